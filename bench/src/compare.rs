//! Two ways to the same end, block by block in turn.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use postgres::{Client, Statement};
use serde::Serialize;

use crate::written::{self, Written};

/// One statement and what it has to answer: a figure of calls that did something else would be worth nothing.
#[derive(Clone, Copy)]
pub struct Call {
    sql: &'static str,
    answer: Answer,
}

#[derive(Clone, Copy)]
enum Answer {
    Is(bool),
    OneRow,
}

/// A query that answers true.
pub const fn yes(sql: &'static str) -> Call {
    Call { sql, answer: Answer::Is(true) }
}

/// A query that answers false.
pub const fn no(sql: &'static str) -> Call {
    Call { sql, answer: Answer::Is(false) }
}

/// A statement that answers with one row, or writes one.
pub const fn one_row(sql: &'static str) -> Call {
    Call { sql, answer: Answer::OneRow }
}

/// How a side speaks to the server.
pub enum Way {
    /// Calls prepared once, each a round trip and a transaction of its own.
    Calls(&'static [Call]),
    /// One call, prepared once, so many times in one transaction.
    Transaction(Call, usize),
    /// A transaction in one message: one round trip, whatever it holds.
    Script(&'static str),
}

/// One side of a comparison.
pub struct Side {
    pub label: &'static str,
    pub way: Way,
}

/// Our way against the other way.
pub struct Comparison {
    pub name: &'static str,
    /// What another session does first, to stand in the way.
    pub rival: &'static str,
    /// What the measuring session does then.
    pub setup: &'static str,
    pub ours: Side,
    pub theirs: Side,
}

/// What was measured. A call is one pass through all statements of a side; rates stand in the order the blocks ran.
#[derive(Serialize)]
pub struct Outcome {
    pub name: &'static str,
    pub ours: String,
    pub theirs: String,
    pub calls_per_block: usize,
    pub ours_calls_per_second: Vec<f64>,
    pub theirs_calls_per_second: Vec<f64>,
    pub ours_written: Written,
    pub theirs_written: Written,
}

/// The statements of a side, known to the server.
enum Ready {
    Calls(Vec<(Statement, Call)>),
    Transaction(Statement, Call, usize),
    Script(&'static str),
}

impl Comparison {
    /// Runs both sides in turn, after one block of each to warm up, and then once more to see what they write. A block has
    /// `statements` statements of the longer side.
    pub fn measure(
        &self,
        client: &mut Client,
        rival: &mut Client,
        blocks: usize,
        statements: usize,
    ) -> Result<Outcome> {
        rival.batch_execute(self.rival)?;
        client.batch_execute(self.setup)?;
        let calls = (statements / self.ours.way.len().max(self.theirs.way.len())).max(1);
        let ours = self.ours.way.prepare(client)?;
        let theirs = self.theirs.way.prepare(client)?;
        ours.rate(client, calls)?;
        theirs.rate(client, calls)?;
        let mut ours_rates = Vec::with_capacity(blocks);
        let mut theirs_rates = Vec::with_capacity(blocks);
        for turn in 0..blocks {
            // The side that goes first changes, so that neither always runs in the other's wake.
            if turn % 2 == 0 {
                ours_rates.push(ours.rate(client, calls)?);
                theirs_rates.push(theirs.rate(client, calls)?);
            } else {
                theirs_rates.push(theirs.rate(client, calls)?);
                ours_rates.push(ours.rate(client, calls)?);
            }
        }
        Ok(Outcome {
            name: self.name,
            ours: self.ours.way.sql(),
            theirs: self.theirs.way.sql(),
            calls_per_block: calls,
            ours_calls_per_second: ours_rates,
            theirs_calls_per_second: theirs_rates,
            ours_written: written::by(client, |client| ours.run(client))?,
            theirs_written: written::by(client, |client| theirs.run(client))?,
        })
    }
}

impl Way {
    fn len(&self) -> usize {
        match self {
            Self::Calls(calls) => calls.len(),
            Self::Transaction(_, times) => *times,
            Self::Script(_) => 1,
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Calls(calls) => calls.iter().map(|call| call.sql).collect::<Vec<_>>().join("; "),
            Self::Transaction(call, times) => format!("BEGIN; {times} times {}; COMMIT", call.sql),
            Self::Script(sql) => (*sql).to_owned(),
        }
    }

    fn prepare(&self, client: &mut Client) -> Result<Ready> {
        match self {
            Self::Calls(calls) => {
                let ready = calls.iter().map(|call| Ok((client.prepare(call.sql)?, *call)));
                Ok(Ready::Calls(ready.collect::<Result<_>>()?))
            }
            Self::Transaction(call, times) => {
                Ok(Ready::Transaction(client.prepare(call.sql)?, *call, *times))
            }
            Self::Script(sql) => Ok(Ready::Script(sql)),
        }
    }
}

impl Ready {
    /// Calls per second.
    fn rate(&self, client: &mut Client, calls: usize) -> Result<f64> {
        let start = Instant::now();
        for _ in 0..calls {
            self.run(client)?;
        }
        Ok(calls as f64 / start.elapsed().as_secs_f64())
    }

    fn run(&self, client: &mut Client) -> Result<()> {
        match self {
            Self::Calls(calls) => calls.iter().try_for_each(|(statement, call)| call.run(client, statement)),
            Self::Transaction(statement, call, times) => {
                client.batch_execute("BEGIN")?;
                (0..*times).try_for_each(|_| call.run(client, statement))?;
                Ok(client.batch_execute("COMMIT")?)
            }
            Self::Script(sql) => client.batch_execute(sql).with_context(|| (*sql).to_owned()),
        }
    }
}

impl Call {
    fn run(&self, client: &mut Client, statement: &Statement) -> Result<()> {
        match self.answer {
            Answer::Is(expected) => {
                let answer: Option<bool> = client.query_one(statement, &[])?.try_get(0)?;
                ensure!(answer == Some(expected), "{} answered {answer:?}", self.sql);
            }
            Answer::OneRow => {
                let rows = client.execute(statement, &[])?;
                ensure!(rows == 1, "{} met {rows} rows", self.sql);
            }
        }
        Ok(())
    }
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

pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}
