//! Figures of costsim_pg, each as a ratio against what a user would do otherwise.
//!
//! Both sides run on one connection of one throw-away server, block by block in turn, so that whatever else the machine does
//! meets both alike; the figure is the median over the blocks. Every run leaves its raw numbers under `bench/runs/`.

mod compare;
mod record;

use anyhow::Result;
use clap::Parser;
use compare::{Comparison, Side};
use costsim_harness::Cluster;

/// Measures costsim_pg against plain SQL.
#[derive(Parser)]
struct Options {
    /// Blocks of each side; the figure is their median.
    #[arg(long, default_value_t = 31)]
    blocks: usize,
    /// Calls in a block.
    #[arg(long, default_value_t = 2_000)]
    calls: usize,
    /// Measure only the comparisons whose name contains this.
    #[arg(default_value = "")]
    only: String,
}

/// What is compared with what. Each statement is prepared once and run over the wire, as an application does.
const COMPARISONS: [Comparison; 3] = [
    Comparison {
        name: "leader_ask_while_leading",
        ours: Side { label: "costsim_try_leader, leading", sql: "SELECT costsim_try_leader(7001)" },
        theirs: Side { label: "pg_try_advisory_lock", sql: "SELECT pg_try_advisory_lock(7001)" },
    },
    Comparison {
        name: "leader_refused",
        ours: Side { label: "costsim_try_leader, refused", sql: "SELECT costsim_try_leader(7002)" },
        theirs: Side { label: "pg_try_advisory_lock, refused", sql: "SELECT pg_try_advisory_lock(7002)" },
    },
    Comparison {
        name: "breaker_is_open",
        ours: Side { label: "costsim_is_open", sql: "SELECT costsim_is_open()" },
        theirs: Side { label: "SELECT 1", sql: "SELECT 1" },
    },
];

fn main() -> Result<()> {
    let options = Options::parse();
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("bench")?;
    // Another session leads 7002, so that asking for it is refused.
    let mut other = cluster.connect("bench")?;
    other.execute("SELECT costsim_try_leader(7002)", &[])?;
    client.execute("SELECT costsim_try_leader(7001)", &[])?;
    // A breaker with a history, as in production: its state lies in a row.
    client.execute("SELECT costsim_report_drift(0.5)", &[])?;

    let mut outcomes = Vec::new();
    println!("{:<34}{:>12}   {:<34}{:>12}   ratio", "", "calls/s", "against", "calls/s");
    for comparison in COMPARISONS.iter().filter(|comparison| comparison.name.contains(&options.only)) {
        let outcome = comparison.measure(&mut client, options.blocks, options.calls)?;
        println!(
            "{:<34}{:>12.0}   {:<34}{:>12.0}   {:.2}",
            comparison.ours.label,
            outcome.ours_median(),
            comparison.theirs.label,
            outcome.theirs_median(),
            outcome.ratio()
        );
        outcomes.push(outcome);
    }
    let path = record::write(&mut client, &outcomes)?;
    println!(
        "\nmedians of {} blocks of {} calls, both sides in turn; raw run in {}",
        options.blocks,
        options.calls,
        path.display()
    );
    Ok(())
}
