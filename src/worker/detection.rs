//! When the worker looks for cost anomalies, and what follows where it cannot.

use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::process;
use super::upkeep::{BREATH, Due, HOURLY, SETBACK, contained};
use crate::anomaly::schedule::{Failure, Outcome, Round};
use crate::error::Result;
use crate::maintenance::{self, Task};
use crate::{convert, guc};

/// Somebody's name in the log has no more characters.
const LONGEST_NAME: usize = 200;

/// When detection is due, and how far it has come.
pub struct Detection {
    pub due: Due,
    round: Round,
}

impl Detection {
    /// Due after this pause.
    pub fn after(pause: Duration) -> Self {
        let due = Due::after(pause, "looking for cost anomalies", Some(Task::DetectAnomalies));
        Self { due, round: Round::new() }
    }

    /// Looks at the next tenants that are due; one for whom that fails keeps no other waiting.
    pub fn step(&mut self) -> Result<()> {
        if self.due.at > Instant::now() {
            return Ok(());
        }
        let Some(interval) = guc::detect_interval().to_std().ok().filter(|pause| !pause.is_zero()) else {
            self.due.at = Instant::now() + HOURLY;
            return Ok(());
        };
        process::show_activity(&format!("costsim: {}", self.due.name));
        let mut chunk = Vec::new();
        let round = &self.round;
        let why = match contained(|| round.look(&mut chunk))? {
            Some(Ok(outcome)) => {
                let rest = self.looked(&outcome, &chunk, interval)?;
                self.due.trouble = None;
                self.due.at = Instant::now() + rest;
                return Ok(());
            }
            Some(Err(refusal)) => format!("{}: {}", refusal.sqlstate, refusal.message),
            None => "55P03: somebody holds a lock for too long".into(),
        };
        let rest = match self.round.fail(&chunk, &why) {
            Failure::Fewer => BREATH,
            Failure::Of(tenant, is_new) => {
                let trouble = format!("tenant {}: {why}", convert::beginning(&tenant, LONGEST_NAME));
                if is_new {
                    warning!("costsim: {} failed: {trouble}", self.due.name);
                }
                // Where that fails too, the log has it.
                contained(|| maintenance::note_failure(Task::DetectAnomalies, &trouble))?;
                BREATH
            }
            Failure::General => {
                self.due.regret(why)?;
                SETBACK
            }
        };
        self.due.at = Instant::now() + rest;
        Ok(())
    }

    /// How long detection has nothing to do after a look that came to this.
    fn looked(&mut self, outcome: &Outcome, chunk: &[String], interval: Duration) -> Result<Duration> {
        match outcome {
            Outcome::Looked => {
                self.round.go_on(chunk);
                return Ok(BREATH);
            }
            Outcome::Held => {
                let why = "55P03: somebody else is looking, or leads lock 7005";
                contained(|| maintenance::note_failure(Task::DetectAnomalies, why))?;
            }
            Outcome::Nothing if self.round.looked_at > 0 && !self.round.has_failed => {
                let rows = self.round.looked_at;
                contained(|| maintenance::note(Task::DetectAnomalies, rows))?;
            }
            Outcome::Nothing => {}
        }
        self.round.begin_anew();
        Ok(interval)
    }
}
