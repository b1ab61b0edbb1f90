//! Two statements, block by block in turn.

use std::time::Instant;

use anyhow::Result;
use postgres::{Client, Statement};
use serde::Serialize;

/// One side of a comparison.
pub struct Side {
    pub label: &'static str,
    pub sql: &'static str,
}

/// Our way against the other way.
pub struct Comparison {
    pub name: &'static str,
    pub ours: Side,
    pub theirs: Side,
}

/// Calls per second of each block, in the order they ran.
#[derive(Serialize)]
pub struct Outcome {
    pub name: &'static str,
    pub ours: &'static str,
    pub theirs: &'static str,
    pub calls_per_block: usize,
    pub ours_calls_per_second: Vec<f64>,
    pub theirs_calls_per_second: Vec<f64>,
}

impl Comparison {
    /// Runs both sides in turn, after one block of each to warm up.
    pub fn measure(&self, client: &mut Client, blocks: usize, calls: usize) -> Result<Outcome> {
        let ours = client.prepare(self.ours.sql)?;
        let theirs = client.prepare(self.theirs.sql)?;
        block(client, &ours, calls)?;
        block(client, &theirs, calls)?;
        let mut outcome = Outcome {
            name: self.name,
            ours: self.ours.sql,
            theirs: self.theirs.sql,
            calls_per_block: calls,
            ours_calls_per_second: Vec::with_capacity(blocks),
            theirs_calls_per_second: Vec::with_capacity(blocks),
        };
        for turn in 0..blocks {
            // The side that goes first changes, so that neither always runs in the other's wake.
            if turn % 2 == 0 {
                outcome.ours_calls_per_second.push(block(client, &ours, calls)?);
                outcome.theirs_calls_per_second.push(block(client, &theirs, calls)?);
            } else {
                outcome.theirs_calls_per_second.push(block(client, &theirs, calls)?);
                outcome.ours_calls_per_second.push(block(client, &ours, calls)?);
            }
        }
        Ok(outcome)
    }
}

fn block(client: &mut Client, statement: &Statement, calls: usize) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..calls {
        client.query_one(statement, &[])?;
    }
    Ok(calls as f64 / start.elapsed().as_secs_f64())
}

impl Outcome {
    /// Our side's median, in calls per second.
    pub fn ours_median(&self) -> f64 {
        median(&self.ours_calls_per_second)
    }

    /// The other side's median.
    pub fn theirs_median(&self) -> f64 {
        median(&self.theirs_calls_per_second)
    }

    /// Our rate as a part of the other's: the median of the ratios of neighbouring blocks, which met the same noise.
    pub fn ratio(&self) -> f64 {
        let pairs = self.ours_calls_per_second.iter().zip(&self.theirs_calls_per_second);
        median(&pairs.map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}
