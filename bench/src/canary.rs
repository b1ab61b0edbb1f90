//! Simulation, canary and divergence: what they cost in the database, against a client that does the same and against the reads alone.
//!
//! On a server of its own, as the provenance room's; sides take turns on the same data, and a ratio is the median of the ratios of turns
//! that stood side by side.

mod divergence;
mod plans;
mod python;
mod run;
mod simulate;

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use postgres::Client;
use serde_json::Value;

use crate::Options;
use crate::provenance::{Race, Runner, Stage, report};

/// How much of everything.
#[derive(Args)]
pub struct Load {
    /// Turns of each side where simulation, canary and divergence are measured.
    #[arg(long, default_value_t = 7)]
    canary_turns: usize,
    /// Plans that are priced.
    #[arg(long, default_value_t = 10_000)]
    plans: usize,
    /// Samples of a canary run, out of five times as many rows.
    #[arg(long, default_value_t = 10_000)]
    canary_samples: usize,
    /// Pairs of which divergence is asked.
    #[arg(long, default_value_t = 1_000_000)]
    divergence_pairs: usize,
}

/// What runs a race, or none that was not asked for, and the names of its races.
type Part = (&'static [&'static str], fn(&Stage, &Load, &str) -> Result<Vec<Race>>);

const PARTS: [Part; 3] = [
    (&simulate::NAMES, simulate::measure),
    (&run::NAMES, run::measure),
    (&divergence::NAMES, divergence::measure),
];

/// Measures what has `only` in its name.
pub fn measure(options: &Options) -> Result<Option<Value>> {
    let is_asked_for = |(names, _): &&Part| names.iter().any(|name| is_chosen(name, &options.only));
    let parts: Vec<_> = PARTS.iter().filter(is_asked_for).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let load = &options.canary;
    let stage = Stage::start()?;
    let races = parts.iter().map(|(_, measure)| measure(&stage, load, &options.only));
    report(&stage, races, &format!("{} turns", load.canary_turns)).map(Some)
}

/// Whether a race of this name was asked for: by a part of its name, or by that of the room.
fn is_chosen(name: &str, only: &str) -> bool {
    name.contains(only) || only == "canary"
}

/// One statement as a side. It answers one row, the same in every turn; so many of a unit are done each time.
fn asking<'a>(
    mut client: Client,
    label: &'static str,
    goal: Option<f64>,
    statement: &str,
    units: usize,
) -> Result<Runner<'a>> {
    let prepared = client.prepare(statement)?;
    let run = move || {
        let start = Instant::now();
        let row = client.query_one(&prepared, &[])?;
        let rate = units as f64 / start.elapsed().as_secs_f64();
        let answered: i64 = row.get(0);
        ensure!(answered == units as i64, "{label} answered {answered}, not {units}");
        Ok(rate)
    };
    Ok(Runner { label, says: statement.to_owned(), goal, run: Box::new(run) })
}
