//! The alert room: what a call costs its caller, how fast a backlog leaves, how soon one alert arrives, what the worker needs.
//!
//! On a server of its own that preloads the extension, for it is the worker that is measured. The other side keeps a table of the
//! same shape and delivers by hand. What a call costs is measured in a database that has no worker, and again while one delivers.

mod by_hand;
mod drain;
mod latency;
mod memory;
mod sink;
mod stage;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::Options;
use crate::compare::{Call, Comparison, Outcome, Side, Way, median, one_row};
use crate::handover::{Latencies, percentile};
pub use memory::Memory;
use sink::Sink;
use stage::Stage;

/// How much of everything.
#[derive(Args)]
pub struct Load {
    /// Alerts of a backlog that the worker drains.
    #[arg(long, default_value_t = 100_000)]
    alerts: usize,
    /// Alerts of one that is drained by hand, which takes longer.
    #[arg(long, default_value_t = 2_000)]
    alerts_by_hand: usize,
    /// Alerts that an Alertmanager takes at a time.
    #[arg(long, default_value_t = 20_000)]
    ingested: usize,
    /// Backlogs of each side; the figure is their median.
    #[arg(long, default_value_t = 5)]
    backlogs: usize,
    /// Alerts of each side that are waited for one by one.
    #[arg(long, default_value_t = 500)]
    arrivals: usize,
    /// Alerts that are drained while the worker's memory is watched.
    #[arg(long, default_value_t = 1_000_000)]
    watched: usize,
}

/// What was measured.
#[derive(Default)]
pub struct Figures {
    pub outcomes: Vec<Outcome>,
    pub latencies: Vec<Latencies>,
    pub rates: Vec<Rates>,
    pub memory: Option<Memory>,
}

/// Alerts per second, backlog by backlog, in the order they ran.
#[derive(Serialize)]
pub struct Rates {
    pub name: &'static str,
    pub ours: String,
    pub theirs: String,
    pub ours_per_second: Vec<f64>,
    pub theirs_per_second: Vec<f64>,
    /// What was not measured, and why.
    pub missing: Option<String>,
}

impl Rates {
    /// Our rate as a part of the other's: the median of the ratios of neighbouring backlogs.
    pub fn ratio(&self) -> f64 {
        let pairs = self.ours_per_second.iter().zip(&self.theirs_per_second);
        median(&pairs.map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }
}

const ENQUEUE: &str = r#"SELECT costsim_enqueue_alert(
    '[{"labels": {"alertname": "Bench", "severity": "p2", "instance": "bench"}, "annotations": {"summary": "nothing moves"}}]', 'bench')"#;

const PLAIN_INSERT: &str = r#"INSERT INTO plain_alert_queue (payload, alert_type) VALUES (
    '[{"labels": {"alertname": "Bench", "severity": "p2", "instance": "bench"}, "annotations": {"summary": "nothing moves"}}]', 'bench')"#;

static OUR_CALL: [Call; 1] = [one_row(ENQUEUE)];
static THEIR_CALL: [Call; 1] = [one_row(PLAIN_INSERT)];

/// What the call itself costs.
static UNATTENDED: [Comparison; 2] = [
    one("alert_enqueue", "costsim_enqueue_alert"),
    hundred("alert_enqueue_hundred", "a hundred in a transaction"),
];

/// The same while the worker is woken by each commit and delivers beside it, on the same processors.
static ATTENDED: [Comparison; 2] = [
    one("alert_enqueue_delivered", "the same, delivered meanwhile"),
    hundred("alert_enqueue_hundred_delivered", "a hundred, delivered meanwhile"),
];

const fn one(name: &'static str, label: &'static str) -> Comparison {
    Comparison {
        name,
        rival: "",
        setup: "SET synchronous_commit = on",
        ours: Side { label, way: Way::Calls(&OUR_CALL) },
        theirs: Side { label: "INSERT into such a table", way: Way::Calls(&THEIR_CALL) },
    }
}

const fn hundred(name: &'static str, label: &'static str) -> Comparison {
    Comparison {
        name,
        rival: "",
        setup: "SET synchronous_commit = on",
        ours: Side { label, way: Way::Transaction(OUR_CALL[0], 100) },
        theirs: Side {
            label: "a hundred INSERTs in a transaction",
            way: Way::Transaction(THEIR_CALL[0], 100),
        },
    }
}

const DRAIN: &str = "alert_drain";
const INGEST: &str = "alert_ingest";
const ARRIVAL: &str = "alert_commit_to_arrival";
const MEMORY: &str = "alert_memory";

/// Measures what has `only` in its name.
pub fn measure(options: &Options) -> Result<Figures> {
    let is_chosen = |name: &str| name.contains(&options.only);
    let mut figures = Figures::default();
    let [unattended, attended] = [&UNATTENDED, &ATTENDED]
        .map(|all| all.iter().filter(|it| is_chosen(it.name)).collect::<Vec<&Comparison>>());
    let compares = !unattended.is_empty() || !attended.is_empty();
    if !compares && ![DRAIN, INGEST, ARRIVAL, MEMORY].into_iter().any(is_chosen) {
        return Ok(figures);
    }
    let load = &options.load;
    let mut stage = Stage::start()?;
    let sink = Sink::start()?;
    if compares {
        figures.outcomes = compare(&mut stage, &sink, options, &unattended, &attended)?;
    }
    if is_chosen(DRAIN) {
        let rates = drain::into_a_sink(&mut stage, &sink, load)?;
        figures.rates.push(print("a backlog drained into a sink", "by hand", rates));
    }
    if is_chosen(INGEST) {
        let rates = drain::into_alertmanager(&mut stage, load)?;
        figures.rates.push(print("into an Alertmanager", "its own limit", rates));
    }
    if is_chosen(ARRIVAL) {
        let latencies = latency::measure(&mut stage, &sink, load.arrivals)?;
        print_latencies(&latencies);
        figures.latencies.push(latencies);
    }
    if is_chosen(MEMORY) {
        let memory = memory::measure(&mut stage, &sink, load.watched)?;
        memory.print();
        figures.memory = Some(memory);
    }
    Ok(figures)
}

fn compare(
    stage: &mut Stage,
    sink: &Sink,
    options: &Options,
    unattended: &[&Comparison],
    attended: &[&Comparison],
) -> Result<Vec<Outcome>> {
    let mut quiet = stage.quiet()?;
    let mut rival = stage.connect()?;
    crate::print_head();
    let mut measured = Vec::new();
    for it in unattended {
        let outcome = it.measure(&mut quiet, &mut rival, options.blocks, options.calls)?;
        measured.push(crate::print_rates([it.ours.label, it.theirs.label], outcome));
    }
    stage.deliver_to(&sink.url())?;
    for it in attended {
        let outcome = it.measure(&mut stage.client, &mut rival, options.blocks, options.calls)?;
        measured.push(crate::print_rates([it.ours.label, it.theirs.label], outcome));
    }
    stage.wait_until_drained()?;
    stage.hold()?;
    Ok(crate::print_foot(options, measured))
}

fn print(ours: &str, theirs: &str, rates: Rates) -> Rates {
    println!(
        "{ours:<36}{:>10.0} alerts/s   {theirs:<16}{:>10.0} alerts/s   {:.2}",
        median(&rates.ours_per_second),
        median(&rates.theirs_per_second),
        rates.ratio()
    );
    println!("medians of {} backlogs of each side, in turn\n", rates.ours_per_second.len());
    if let Some(missing) = &rates.missing {
        println!("{missing}\n");
    }
    rates
}

fn print_latencies(latencies: &Latencies) {
    let [ours, theirs] = [&latencies.ours_ms, &latencies.theirs_ms];
    println!(
        "from COMMIT to arrival, milliseconds    p50 {:.2}  p99 {:.2}   by LISTEN and hand   p50 {:.2}  p99 {:.2}",
        percentile(ours, 50),
        percentile(ours, 99),
        percentile(theirs, 50),
        percentile(theirs, 99)
    );
    println!("{} of each side, in turn, each waited for\n", ours.len());
}
