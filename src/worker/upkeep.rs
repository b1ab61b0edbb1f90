//! What the worker keeps in order when nothing else is to do: clears away what is over for long, rolls up drift, purges provenance.
//!
//! A task that fails says so in the log, once for each new reason, and is tried again later; alerts go on meanwhile.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use pgrx::prelude::*;

use super::delivery::poll;
use super::process;
use crate::alert::store::upkeep;
use crate::error::{Error, Result};
use crate::{clock, db, guc, provenance};

/// What is over is cleared away, and provenance purged, this often.
const HOURLY: Duration = Duration::from_secs(3_600);

/// The pause between two steps of one task: others have their turn.
const BREATH: Duration = Duration::from_millis(100);

/// How long a task rests after it has failed.
const PENANCE: Duration = Duration::from_secs(60);

/// No task waits longer for somebody's lock.
const PATIENCE: TimeDelta = TimeDelta::seconds(1);

/// Of alerts, so many rows at a time.
const CLEARED_AT_ONCE: i64 = 1_000;
const LOOKED_AT_AT_ONCE: i64 = 10_000;

/// Rows of provenance, and hours of drift, at a time: alerts wait as long as a step takes.
const PURGED_AT_ONCE: i64 = 5_000;
const ROLLED_UP_AT_ONCE: usize = 4;

/// When each task is due, and what is remembered of it.
pub struct Upkeep {
    alerts: Due,
    /// The number up to which the queue was cleared.
    cleared_to: i64,
    drift: Due,
    provenance: Due,
}

/// When a task is done next.
struct Due {
    at: Instant,
    /// Why it failed the last time.
    trouble: Option<String>,
}

/// What a step of a task has found.
#[derive(PartialEq, Eq)]
enum Step {
    More,
    Done,
}

impl Upkeep {
    /// Everything is due after this pause.
    pub fn after(pause: Duration) -> Self {
        let due = || Due { at: Instant::now() + pause, trouble: None };
        Self { alerts: due(), cleared_to: i64::MIN, drift: due(), provenance: due() }
    }

    /// How long nothing is due.
    pub fn rest(&self) -> Duration {
        let next = self.alerts.at.min(self.drift.at).min(self.provenance.at);
        next.saturating_duration_since(Instant::now())
    }

    /// Does one step of each task that is due.
    pub fn step(&mut self) -> Result<()> {
        let cleared_to = &mut self.cleared_to;
        self.alerts.step("clearing alerts", HOURLY, || clear_alerts(cleared_to))?;
        self.drift.step("rolling up drift", poll(), || {
            Ok(more_if(provenance::refresh_some(ROLLED_UP_AT_ONCE)? > 0))
        })?;
        self.provenance.step("purging provenance", HOURLY, || {
            let age = guc::provenance_retention();
            if age.is_zero() {
                return Ok(Step::Done);
            }
            Ok(more_if(provenance::purge_some(age, PURGED_AT_ONCE)? > 0))
        })
    }
}

impl Due {
    /// Does a step of the task in a transaction of its own, if it is due.
    fn step(&mut self, name: &str, pause: Duration, body: impl FnOnce() -> Result<Step>) -> Result<()> {
        if self.at > Instant::now() {
            return Ok(());
        }
        process::show_activity(&format!("costsim: {name}"));
        let body = std::panic::AssertUnwindSafe(body);
        let step = db::transaction_within(PATIENCE, || match db::subtransaction(body) {
            Err(Error::Internal(trouble)) => Ok(Err(trouble)),
            outcome => outcome.map(Ok),
        })?;
        let rest = match step {
            // Somebody has locked a table.
            None => pause.min(PENANCE),
            Some(Ok(step)) => {
                self.trouble = None;
                if step == Step::More { BREATH } else { pause }
            }
            Some(Err(trouble)) => {
                if self.trouble.as_ref() != Some(&trouble) {
                    warning!("costsim: {name} failed: {trouble}");
                }
                self.trouble = Some(trouble);
                PENANCE
            }
        };
        self.at = Instant::now() + rest;
        Ok(())
    }
}

fn more_if(is_more: bool) -> Step {
    if is_more { Step::More } else { Step::Done }
}

/// Removes some of the alerts that are over for long, behind number `cleared_to`.
fn clear_alerts(cleared_to: &mut i64) -> Result<Step> {
    let over = ["sent", "failed", "cancelled"].map(str::to_owned);
    let age = guc::alert_retention();
    let owed_since = clock::now() - guc::alert_retry_window().max(TimeDelta::hours(1));
    let forgotten = upkeep::forget_old(owed_since, CLEARED_AT_ONCE)?;
    if age.is_zero() {
        return Ok(more_if(forgotten > 0));
    }
    let fired = upkeep::purge_fired(age, CLEARED_AT_ONCE)?;
    let (_, last) = upkeep::purge_queued(&over, age, *cleared_to, LOOKED_AT_AT_ONCE)?;
    *cleared_to = last.unwrap_or(i64::MIN);
    Ok(more_if(forgotten + fired > 0 || last.is_some()))
}
