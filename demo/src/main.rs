//! `make demo`: the whole way in one terminal.
//!
//! Two replicas of an application compete for leadership; the leader prices a trace of LLM requests with an old and a new
//! cost model and records both; in the second half the new model's price table is wrong, its drift trips the circuit breaker
//! and the trip's alert reaches a real Alertmanager; the leader is killed with -9 on the way and the other goes on; in the end
//! a canary tells the wrong price table from the right one, the price table is put right, the breaker is enabled and the alert resolved. Then a report tells what happened, and checks
//! say whether it is true.
//!
//! At the very end the same requests go on a bill: a hard limit refuses what would pass it, and a loop that runs away is found and told of. Then workers
//! fail with one error in many words, which is a pattern and soon a prediction, and envelopes preempt each other, until a kill switch ends them.
//!
//! Nothing of the machine is touched: the server is a throw-away cluster and everything is removed at the end.

mod canary;
mod cost;
mod generator;
mod play;
mod prices;
mod replica;
mod report;
mod screen;
mod signals;
mod stage;
mod trace;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::play::Interrupted;
use crate::trace::OnMalformed;

/// What a shell makes of a program ended by Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

/// costsim_pg at work: leader election, provenance, a circuit breaker and its alert, with a leader killed on the way
#[derive(Parser)]
#[command(name = "costsim_demo", args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    show: Show,
}

#[derive(Subcommand)]
enum Command {
    /// Print a made-up trace as CSV
    Generate(Sample),
    /// One replica of the application; started by the demo itself
    #[command(hide = true)]
    Replica(replica::Options),
}

#[derive(clap::Args)]
struct Show {
    /// Replay this CSV file: a header with timestamp, context tokens, generated tokens. Without it a trace is made up
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// What to do when lines of the file cannot be read
    #[arg(long, value_enum, default_value = "refuse", requires = "trace")]
    on_malformed: OnMalformed,
    #[command(flatten)]
    sample: Sample,
    /// Requests per window, and per transaction. Default: as many as make 40 windows, 2000 at most
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    window: Option<u32>,
    /// Leave everything running after the report, until Ctrl-C
    #[arg(long)]
    keep: bool,
}

#[derive(clap::Args)]
struct Sample {
    /// The seed of a made-up trace: the same seed, the same trace
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// The length of a made-up trace
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    requests: u32,
}

impl Sample {
    fn make(&self) -> Vec<trace::Request> {
        generator::requests(self.seed, self.requests as usize)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::Replica(options)) => replica::run(&options).map(|()| true),
        Some(Command::Generate(sample)) => print_sample(&sample).map(|()| true),
        None => play::run(&arguments.show),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("interrupted; everything was removed");
            ExitCode::from(EXIT_INTERRUPTED)
        }
        Err(error) => {
            eprintln!("costsim_demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_sample(sample: &Sample) -> Result<()> {
    match generator::write_csv(&sample.make(), io::BufWriter::new(io::stdout().lock())) {
        // `| head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
