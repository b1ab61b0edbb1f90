//! The signal rooms: what it takes to find patterns among a million failed runs, and to say of ten thousand workers what is to come.
//!
//! On a server of its own, as the provenance room's; sides take turns on the same rows, and a ratio is the median of the ratios of turns
//! that stood side by side. Before each turn of ours that writes, what it has written before is taken away: what is found is written anew.

mod detect;
mod predict;

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
    /// Turns of each side.
    #[arg(long, default_value_t = 7)]
    signal_turns: usize,
    /// Failed runs among which patterns are looked for.
    #[arg(long, default_value_t = 1_000_000)]
    signal_runs: usize,
    /// Tenants, where there are many.
    #[arg(long, default_value_t = 100)]
    signal_tenants: usize,
    /// Workers of whom is said what is to come, of all tenants together.
    #[arg(long, default_value_t = 10_000)]
    signal_workers: usize,
    /// Runs of each of them.
    #[arg(long, default_value_t = 20)]
    signal_worker_runs: usize,
}

/// The races of these names that are asked for: the first among one tenant, the second among many.
fn of_one_and_of_many(
    stage: &Stage,
    load: &Load,
    only: &str,
    names: [&'static str; 2],
    race: fn(&Stage, &'static str, usize, &Load) -> Result<Race>,
) -> Result<Vec<Race>> {
    let tenants = names.into_iter().zip([1, load.signal_tenants]);
    tenants
        .filter(|(name, _)| name.contains(only))
        .map(|(name, tenants)| race(stage, name, tenants, load))
        .collect()
}

/// As of when everything is looked at: the last full hour. A prediction for a time that is past would not be written.
fn as_of(client: &mut Client) -> Result<String> {
    Ok(client.query_one("SELECT date_trunc('hour', now())::text", &[])?.get(0))
}

/// What runs the races of these names that were asked for.
type Part = (&'static [&'static str], fn(&Stage, &Load, &str) -> Result<Vec<Race>>);

const PARTS: [Part; 2] = [(&detect::NAMES, detect::measure), (&predict::NAMES, predict::measure)];

/// Measures what has `only` in its name.
pub fn measure(options: &Options) -> Result<Option<Value>> {
    let is_asked_for = |(names, _): &&Part| names.iter().any(|name| name.contains(&options.only));
    let parts: Vec<_> = PARTS.iter().filter(is_asked_for).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let load = &options.signal;
    let stage = Stage::start()?;
    let races = parts.iter().map(|(_, measure)| measure(&stage, load, &options.only));
    report(&stage, races, &format!("{} turns", load.signal_turns)).map(Some)
}

/// A side that asks one thing, which must count the same in every turn: after `before`, which is not timed, so many `units` at once.
fn counting<'a>(
    mut client: Client,
    label: &'static str,
    goal: Option<f64>,
    before: Option<&'static str>,
    statement: String,
    units: usize,
) -> Result<Runner<'a>> {
    let prepared = client.prepare(&statement)?;
    let mut known = None;
    let run = move || {
        if let Some(before) = before {
            client.batch_execute(before)?;
        }
        let start = Instant::now();
        let found: i64 = client.query_one(&prepared, &[])?.get(0);
        let seconds = start.elapsed().as_secs_f64();
        ensure!(found > 0, "{label}: nothing is found");
        let known = *known.get_or_insert_with(|| {
            println!("{label}: {found}");
            found
        });
        ensure!(found == known, "{label}: {found}, and before {known}");
        Ok(units as f64 / seconds)
    };
    Ok(Runner { label, says: statement, goal, run: Box::new(run) })
}
