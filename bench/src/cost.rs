//! The cost rooms: what it takes to record what requests cost, to read what they come to, to find what is odd, and to keep a limit.
//!
//! On a server of its own, as the provenance room's; sides take turns on the same data, and a ratio is the median of the ratios of turns
//! that stood side by side. Tokens and times are those of a recorded trace, over and over; tenants, features, users and models are drawn from
//! seeds.

mod dashboard;
mod detect;
mod enforce;
mod ingest;
mod requests;

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
    /// Turns of each side where costs are recorded and limits kept.
    #[arg(long, default_value_t = 7)]
    cost_turns: usize,
    /// Of those, turns where the other side reads every record, or every tenant by itself.
    #[arg(long, default_value_t = 3)]
    cost_slow_turns: usize,
    /// Records that are written in batches of 1,000, each turn.
    #[arg(long, default_value_t = 50_000)]
    cost_batched: usize,
    /// Records that are written one by one, each turn.
    #[arg(long, default_value_t = 5_000)]
    cost_one_by_one: usize,
    /// Records of 90 days of one tenant, of which dashboards are read; another tenant has a hundredth of it.
    #[arg(long, default_value_t = 10_000_000)]
    cost_records: usize,
    /// Tenants among which anomalies are looked for; and a tenth, and a hundredth of them.
    #[arg(long, default_value_t = 10_000)]
    cost_tenants: usize,
}

impl Load {
    /// What was asked for turns at all is the most where turns are long.
    fn slow_turns(&self) -> usize {
        self.cost_slow_turns.min(self.cost_turns)
    }
}

/// What runs a race, or none that was not asked for, and the names of its races.
type Part = (&'static [&'static str], fn(&Stage, &Load, &str) -> Result<Vec<Race>>);

const PARTS: [Part; 4] = [
    (&ingest::NAMES, ingest::measure),
    (&enforce::NAMES, enforce::measure),
    (&detect::NAMES, detect::measure),
    (&dashboard::NAMES, dashboard::measure),
];

/// Measures what has `only` in its name.
pub fn measure(options: &Options) -> Result<Option<Value>> {
    let is_asked_for = |(names, _): &&Part| names.iter().any(|name| is_chosen(name, &options.only));
    let parts: Vec<_> = PARTS.iter().filter(is_asked_for).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let load = &options.cost;
    let stage = Stage::start()?;
    let races = parts.iter().map(|(_, measure)| measure(&stage, load, &options.only));
    report(
        &stage,
        races,
        &format!("{} turns, of dashboards and detection {}", load.cost_turns, load.slow_turns()),
    )
    .map(Some)
}

/// Whether a race of this name was asked for.
fn is_chosen(name: &str, only: &str) -> bool {
    name.contains(only)
}

/// A statement without parameters as a side: so many times a turn, each of which has to answer some rows.
fn asking<'a>(
    mut client: Client,
    label: &'static str,
    goal: Option<f64>,
    statement: &str,
    times: usize,
) -> Result<Runner<'a>> {
    let prepared = client.prepare(statement)?;
    let run = move || {
        let start = Instant::now();
        for _ in 0..times {
            ensure!(!client.query(&prepared, &[])?.is_empty(), "{label} answered nothing");
        }
        Ok(times as f64 / start.elapsed().as_secs_f64())
    };
    Ok(Runner { label, says: statement.to_owned(), goal, run: Box::new(run) })
}

/// Folds all that is pending, and answers how many rows that were.
fn fold(client: &mut Client) -> Result<i64> {
    Ok(client.query_one("SELECT costsim_refresh_costs()", &[])?.get(0))
}
