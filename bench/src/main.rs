//! Figures of costsim_pg, each as a ratio against what a user would do otherwise.
//!
//! Both sides run on one throw-away server, in turn, so that whatever else the machine does meets both alike: calls on one
//! connection, block by block, of which the figure is the median; hand-overs between sessions, round by round. Every run leaves its
//! raw numbers under `bench/runs/`.

mod compare;
mod handover;
mod leader;
mod record;
mod written;

use anyhow::Result;
use clap::Parser;
use compare::{Comparison, Outcome, Side, Way, no, one_row};
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
    /// Measure only what has this in its name.
    #[arg(default_value = "")]
    only: String,
}

const DATABASE: &str = "bench";

const BREAKER: Comparison = Comparison {
    name: "breaker_is_open",
    rival: "",
    // A breaker with a history, as in production, has its state in a row.
    setup: "SELECT costsim_report_drift(0.5)",
    ours: Side { label: "costsim_is_open", way: Way::Calls(&[no("SELECT costsim_is_open()")]) },
    theirs: Side { label: "SELECT 1", way: Way::Calls(&[one_row("SELECT 1")]) },
};

fn main() -> Result<()> {
    let options = Options::parse();
    let cluster = Cluster::builder().start()?;
    let outcomes = compare(&cluster, &options)?;
    let handovers = hand_over(&cluster, &options)?;
    // Hand-overs may have restarted the server, so the sessions from before are gone.
    let path = record::write(&mut cluster.connect(DATABASE)?, &outcomes, &handovers)?;
    println!("raw run in {}", path.display());
    Ok(())
}

fn compare(cluster: &Cluster, options: &Options) -> Result<Vec<Outcome>> {
    let mut client = cluster.create_database_with_extension(DATABASE)?;
    client.batch_execute(leader::TABLES)?;
    let mut rival = cluster.connect(DATABASE)?;
    let chosen: Vec<_> =
        leader::COMPARISONS.iter().chain([&BREAKER]).filter(|it| it.name.contains(&options.only)).collect();
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let mut measured = Vec::new();
    println!("{:<34}{:>12}   {:<34}{:>12}   ratio", "", "calls/s", "against", "calls/s");
    for comparison in chosen {
        let outcome = comparison.measure(&mut client, &mut rival, options.blocks, options.calls)?;
        println!(
            "{:<34}{:>12.0}   {:<34}{:>12.0}   {:.2}",
            comparison.ours.label,
            outcome.ours_median(),
            comparison.theirs.label,
            outcome.theirs_median(),
            outcome.ratio()
        );
        measured.push((comparison, outcome));
    }
    println!("medians of {} blocks of {} statements, both sides in turn\n", options.blocks, options.calls);

    println!(
        "{:<34}{:>12}{:>12}{:>12}{:>14}",
        "written by a call", "WAL bytes", "inserted", "updated", "HOT updates"
    );
    for (comparison, outcome) in &measured {
        print_written(comparison.ours.label, &outcome.ours_written);
        print_written(comparison.theirs.label, &outcome.theirs_written);
    }
    println!();
    Ok(measured.into_iter().map(|(_, outcome)| outcome).collect())
}

fn print_written(label: &str, written: &Written) {
    println!(
        "{label:<34}{:>12.0}{:>12.2}{:>12.2}{:>14.2}",
        written.wal_bytes, written.rows_inserted, written.rows_updated, written.rows_updated_hot
    );
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
