//! The provenance room: what a hash, a write, a backfill and an answer about drift cost, against what one would do otherwise.
//!
//! On a server of its own, whose commits wait for the disk. In every race the sides take turns on the same data; a figure is the median of
//! its turns, and a ratio the median of the ratios of turns that stood side by side.

mod backfill;
mod documents;
mod drift;
mod hash;
mod python;
mod write;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use clap::Args;
use costsim_harness::Cluster;
use postgres::Client;
use serde::Serialize;
use serde_json::{Value, json};

use crate::compare::median;
use crate::{DATABASE, Options};

/// How much of everything.
#[derive(Args)]
pub struct Load {
    /// Turns of each side where provenance is measured.
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// Of those, turns where drift is: millions of rows take long.
    #[arg(long, default_value_t = 3)]
    drift_turns: usize,
    /// Rows that are written in batches.
    #[arg(long, default_value_t = 40_000)]
    written_rows: usize,
    /// Rows that a client writes one by one, which takes longer.
    #[arg(long, default_value_t = 5_000)]
    rows_one_by_one: usize,
    /// Records of a backfill, half of which are known.
    #[arg(long, default_value_t = 10_000)]
    baselines: usize,
    /// Of those, what a client checks and inserts one by one.
    #[arg(long, default_value_t = 2_000)]
    baselines_one_by_one: usize,
    /// Rows of which drift is asked.
    #[arg(long, default_value_t = 10_000_000)]
    drift_rows: usize,
}

impl Load {
    /// What was asked for turns at all is the most for drift.
    fn drift_turns(&self) -> usize {
        self.drift_turns.min(self.turns)
    }
}

/// Settings of this room's server without which its figures cannot be read.
const SETTINGS: [&str; 7] =
    ["autovacuum", "fsync", "jit", "max_wal_size", "shared_buffers", "synchronous_commit", "work_mem"];

/// One side of a race.
pub struct Runner<'a> {
    pub label: &'static str,
    /// What it does, in words or SQL.
    pub says: String,
    /// What our side has to reach as a multiple of this one, if that was set before.
    pub goal: Option<f64>,
    /// Runs once, and answers how many per second.
    pub run: Box<dyn FnMut() -> Result<f64> + 'a>,
}

/// What a side came to, turn by turn.
#[derive(Serialize)]
pub struct Lane {
    label: &'static str,
    says: String,
    goal: Option<f64>,
    per_second: Vec<f64>,
}

/// What was measured: ours first.
#[derive(Serialize)]
pub struct Race {
    name: String,
    unit: &'static str,
    lanes: Vec<Lane>,
}

impl Race {
    /// Lets the sides run in turn, the first one first in every second turn only, after one turn that does not count.
    pub fn run(name: &str, unit: &'static str, turns: usize, mut runners: Vec<Runner<'_>>) -> Result<Self> {
        for runner in &mut runners {
            (runner.run)().with_context(|| format!("{name}: {}", runner.label))?;
        }
        let mut rates = vec![Vec::with_capacity(turns); runners.len()];
        for turn in 0..turns {
            let mut order: Vec<usize> = (0..runners.len()).collect();
            if turn % 2 == 1 {
                order.reverse();
            }
            for at in order {
                rates[at]
                    .push((runners[at].run)().with_context(|| format!("{name}: {}", runners[at].label))?);
            }
        }
        let lanes = runners.into_iter().zip(rates);
        let lanes = lanes.map(|(Runner { label, says, goal, .. }, per_second)| Lane {
            label,
            says,
            goal,
            per_second,
        });
        let race = Self { name: name.to_owned(), unit, lanes: lanes.collect() };
        race.print();
        Ok(race)
    }

    /// What this comes to, a line for each other side.
    pub fn print_compact(&self) {
        let ours = format!("{:.2} {}", self.ours(), self.unit);
        for lane in &self.lanes[1..] {
            let goal = lane.goal.map(|goal| goal.to_string()).unwrap_or_default();
            println!("{:<36}{ours:>24}   {:<56}{:>8.2}{goal:>8}", self.name, lane.label, self.ratio(lane));
        }
    }

    /// Our rate as a multiple of a side's.
    fn ratio(&self, lane: &Lane) -> f64 {
        let pairs = self.lanes[0].per_second.iter().zip(&lane.per_second);
        median(&pairs.map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }

    /// Our median.
    pub fn ours(&self) -> f64 {
        median(&self.lanes[0].per_second)
    }

    fn print(&self) {
        println!("{}, {}", self.name, self.unit);
        for (at, lane) in self.lanes.iter().enumerate() {
            print!("    {:<56}{:>16.2}", lane.label, median(&lane.per_second));
            if at > 0 {
                print!("{:>12.2}", self.ratio(lane));
            }
            match lane.goal {
                Some(goal) => println!("   (goal {goal})"),
                None => println!(),
            }
        }
    }

    pub fn to_json(&self) -> Value {
        let lanes = self.lanes.iter().map(|lane| {
            json!({ "raw": lane, "median": median(&lane.per_second), "ours_as_a_multiple": self.ratio(lane) })
        });
        json!({ "name": self.name, "unit": self.unit, "lanes": lanes.collect::<Vec<_>>() })
    }
}

/// A server of its own and a session.
pub struct Stage {
    cluster: Cluster,
}

impl Stage {
    pub fn start() -> Result<Self> {
        let builder = Cluster::builder().conf("fsync", "on").conf("shared_buffers", "1GB");
        // Checkpoints in the middle of a turn would hit one side.
        let builder = builder.conf("max_wal_size", "16GB").conf("checkpoint_timeout", "1h");
        let cluster =
            builder.conf("max_parallel_workers_per_gather", "0").conf("work_mem", "64MB").start()?;
        cluster.create_database_with_extension(DATABASE)?;
        Ok(Self { cluster })
    }

    pub fn connect(&self) -> Result<Client> {
        self.cluster.connect(DATABASE)
    }

    /// Another database, with the extension, and a session there.
    pub fn create_database(&self, name: &str) -> Result<Client> {
        self.cluster.create_database_with_extension(name)
    }

    /// A session there.
    pub fn connect_to(&self, database: &str) -> Result<Client> {
        self.cluster.connect(database)
    }

    /// For clients in other languages.
    pub fn connection(&self) -> String {
        self.cluster.conn_string(DATABASE)
    }
}

type Part = (&'static str, fn(&Stage, &Load, &str) -> Result<Vec<Race>>);

/// Each is run if some name of its has what was asked for in it.
const PARTS: [Part; 4] = [
    ("provenance_hash", hash::measure),
    ("provenance_write provenance_triggers", write::measure),
    ("provenance_backfill", backfill::measure),
    ("provenance_drift", drift::measure),
];

/// Measures what has `only` in its name.
pub fn measure(options: &Options) -> Result<Option<Value>> {
    let is_asked_for = |names: &str| {
        names.split(' ').any(|name| name.contains(&options.only) || options.only.starts_with(name))
    };
    let parts: Vec<_> = PARTS.iter().filter(|(names, _)| is_asked_for(names)).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let load = &options.provenance;
    let stage = Stage::start()?;
    let races = parts.iter().map(|(_, measure)| measure(&stage, load, &options.only));
    report(&stage, races, &format!("{} turns, of drift {}", load.turns, load.drift_turns())).map(Some)
}

/// Runs races, prints what came out, and answers the record of it with the server's settings. `turns`: how many there were of each side.
pub fn report(stage: &Stage, parts: impl Iterator<Item = Result<Vec<Race>>>, turns: &str) -> Result<Value> {
    println!("{:<60}{:>16}{:>12}", "", "per second", "ratio");
    let races = parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect::<Vec<_>>();
    println!();
    println!("{:<36}{:>24}   {:<56}{:>8}{:>8}", "", "ours", "against", "ratio", "goal");
    races.iter().for_each(Race::print_compact);
    println!(
        "medians of {turns}, all sides in turn; ratio: our rate as a multiple, to which a goal is the least\n"
    );
    let mut client = stage.connect()?;
    let setting = |name: &'static str| -> Result<(&'static str, String)> {
        Ok((name, client.query_one("SELECT current_setting($1)", &[&name])?.get(0)))
    };
    let settings: BTreeMap<_, _> = SETTINGS.into_iter().map(setting).collect::<Result<_>>()?;
    Ok(json!({ "settings": settings, "races": races.iter().map(Race::to_json).collect::<Vec<_>>() }))
}

/// Whether a race of this name was asked for, by a part of its name or by that of its room.
pub fn is_chosen(name: &str, only: &str) -> bool {
    name.contains(only)
}
