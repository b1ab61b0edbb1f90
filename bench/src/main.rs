//! Figures of costsim_pg, each as a ratio against what a user would do otherwise.
//!
//! Both sides run on one throw-away server, in turn, so that whatever else the machine does meets both alike: calls on one
//! connection, block by block, of which the figure is the median; checks after a write, hand-overs between sessions and alerts on their
//! way, round by round. Every run leaves its raw numbers under `bench/runs/`.

mod alert;
mod breaker;
mod canary;
mod compare;
mod cost;
mod handover;
mod leader;
mod provenance;
mod python;
mod record;
mod signal;
mod written;

use anyhow::Result;
use clap::Parser;
use compare::Outcome;
use costsim_harness::Cluster;
use handover::{HANDOVERS, Latencies, percentile};
use written::Written;

/// Measures costsim_pg against plain SQL.
#[derive(Parser)]
struct Options {
    /// Blocks of each side; the figure is their median.
    #[arg(long, default_value_t = 31)]
    blocks: usize,
    /// Statements in a block.
    #[arg(long, default_value_t = 2_000)]
    calls: usize,
    /// Hand-overs of each side; fewer of those that take long.
    #[arg(long, default_value_t = 200)]
    handovers: usize,
    #[command(flatten)]
    load: alert::Load,
    #[command(flatten)]
    provenance: provenance::Load,
    #[command(flatten)]
    canary: canary::Load,
    #[command(flatten)]
    cost: cost::Load,
    #[command(flatten)]
    signal: signal::Load,
    /// Measure only what has this in its name.
    #[arg(default_value = "")]
    only: String,
}

const DATABASE: &str = "bench";

fn main() -> Result<()> {
    let options = Options::parse();
    let cluster = Cluster::builder().start()?;
    let mut outcomes = compare(&cluster, &options)?;
    let mut latencies = miss(&cluster, &options)?;
    latencies.extend(hand_over(&cluster, &options)?);
    let alerts = alert::measure(&options)?;
    outcomes.extend(alerts.outcomes);
    latencies.extend(alerts.latencies);
    let provenance = provenance::measure(&options)?;
    let canary = canary::measure(&options)?;
    let cost = cost::measure(&options)?;
    let signal = signal::measure(&options)?;
    // Hand-overs may have restarted the server, so the sessions from before are gone.
    let mut client = cluster.connect(DATABASE)?;
    let memory = alerts.memory.as_ref();
    let rooms = [("provenance", provenance), ("canary", canary), ("cost", cost), ("signal", signal)];
    let path = record::write(&mut client, &outcomes, &latencies, &alerts.rates, memory, rooms)?;
    println!("raw run in {}", path.display());
    Ok(())
}

fn compare(cluster: &Cluster, options: &Options) -> Result<Vec<Outcome>> {
    let mut client = cluster.create_database_with_extension(DATABASE)?;
    client.batch_execute(leader::TABLES)?;
    breaker::prepare(&mut client)?;
    let leader: Vec<_> = leader::COMPARISONS.iter().filter(|it| it.name.contains(&options.only)).collect();
    let breaker: Vec<_> = breaker::CONTESTS.iter().filter(|it| it.name.contains(&options.only)).collect();
    if leader.is_empty() && breaker.is_empty() {
        return Ok(Vec::new());
    }
    let mut rival = cluster.connect(DATABASE)?;
    let mut measured = Vec::new();
    print_head();
    for it in leader {
        let outcome = it.measure(&mut client, &mut rival, options.blocks, options.calls)?;
        measured.push(print_rates([it.ours.label, it.theirs.label], outcome));
    }
    // A session that leads nothing.
    let mut client = cluster.connect(DATABASE)?;
    for it in breaker {
        let outcome = it.measure(&mut client, &mut rival, options.blocks, options.calls)?;
        measured.push(print_rates([it.ours.label, it.theirs.label], outcome));
    }
    Ok(print_foot(options, measured))
}

type Labels = [&'static str; 2];

fn print_head() {
    println!("{:<36}{:>12}   {:<36}{:>12}   ratio", "", "calls/s", "against", "calls/s");
}

fn print_foot(options: &Options, measured: Vec<(Labels, Outcome)>) -> Vec<Outcome> {
    println!("medians of {} blocks of {} statements, both sides in turn\n", options.blocks, options.calls);
    println!(
        "{:<36}{:>12}{:>12}{:>12}{:>14}",
        "written by a call", "WAL bytes", "inserted", "updated", "HOT updates"
    );
    for ([ours, theirs], outcome) in &measured {
        print_written(ours, &outcome.ours_written);
        print_written(theirs, &outcome.theirs_written);
    }
    println!();
    measured.into_iter().map(|(_, outcome)| outcome).collect()
}

fn print_rates(labels: Labels, outcome: Outcome) -> (Labels, Outcome) {
    println!(
        "{:<36}{:>12.0}   {:<36}{:>12.0}   {:.2}",
        labels[0],
        outcome.ours_median(),
        labels[1],
        outcome.theirs_median(),
        outcome.ratio()
    );
    (labels, outcome)
}

fn print_written(label: &str, written: &Written) {
    println!(
        "{label:<36}{:>12.0}{:>12.2}{:>12.2}{:>14.2}",
        written.wal_bytes, written.rows_inserted, written.rows_updated, written.rows_updated_hot
    );
}

fn miss(cluster: &Cluster, options: &Options) -> Result<Vec<Latencies>> {
    let chosen: Vec<_> = breaker::MISSES.iter().filter(|it| it.name.contains(&options.only)).collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let mut measured = Vec::new();
    println!(
        "{:<36}{:>8}{:>10}{:>10}   {:<12}{:>10}{:>10}{:>20}",
        "check in microseconds", "rounds", "p50", "p99", "against", "p50", "p99", "memory grown, bytes"
    );
    for miss in chosen {
        let (latencies, grown) = miss.measure(cluster, DATABASE, options.calls)?;
        let microseconds = |numbers, per_cent| percentile(numbers, per_cent) * 1_000.0;
        println!(
            "{:<36}{:>8}{:>10.1}{:>10.1}   {:<12}{:>10.1}{:>10.1}{:>20}",
            miss.label,
            latencies.ours_ms.len(),
            microseconds(&latencies.ours_ms, 50),
            microseconds(&latencies.ours_ms, 99),
            "the next one",
            microseconds(&latencies.theirs_ms, 50),
            microseconds(&latencies.theirs_ms, 99),
            grown
        );
        measured.push(latencies);
    }
    println!("of fewer than 100 rounds, p99 is the longest\n");
    Ok(measured)
}

fn hand_over(cluster: &Cluster, options: &Options) -> Result<Vec<Latencies>> {
    let chosen: Vec<_> = HANDOVERS.iter().filter(|it| it.name.contains(&options.only)).collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let mut measured = Vec::new();
    println!(
        "{:<34}{:>8}{:>10}{:>10}   {:<22}{:>10}{:>10}",
        "hand-over in milliseconds", "rounds", "p50", "p99", "against", "p50", "p99"
    );
    for handover in chosen {
        let latencies = handover.measure(cluster, DATABASE, options.handovers)?;
        print!(
            "{:<34}{:>8}{:>10.2}{:>10.2}",
            handover.label,
            latencies.ours_ms.len(),
            percentile(&latencies.ours_ms, 50),
            percentile(&latencies.ours_ms, 99)
        );
        if latencies.theirs.is_some() {
            print!(
                "   {:<22}{:>10.2}{:>10.2}",
                "a plain advisory lock",
                percentile(&latencies.theirs_ms, 50),
                percentile(&latencies.theirs_ms, 99)
            );
        }
        println!();
        measured.push(latencies);
    }
    println!("both sides in turn; of fewer than 100 rounds, p99 is the longest\n");
    Ok(measured)
}
