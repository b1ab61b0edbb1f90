//! What the worker keeps in order when nothing else is to do, or has not been done for too long: rolls up drift and cost, runs the canary when it is
//! due, looks for cost anomalies, and purges what is kept no longer ([`super::retention`]).
//!
//! A task that fails says so in the log, once for each new reason, and is tried again later; alerts go on meanwhile.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use pgrx::prelude::*;

use super::delivery::poll;
use super::detection::Detection;
use super::process;
use super::retention::Retention;
use crate::canary::schedule::{self, Ending, Found, Run};
use crate::db::Refusal;
use crate::error::Result;
use crate::maintenance::{self, Task};
use crate::{clock, cost, db, lock, provenance};

/// What is kept no longer is purged this often.
pub const HOURLY: Duration = Duration::from_secs(3_600);

/// A long task looks this often whether it is in somebody's way.
const GLANCE: Duration = Duration::from_millis(500);

/// The pause between two steps of one task: others have their turn.
pub const BREATH: Duration = Duration::from_millis(100);

/// While requests are in flight a task that has been due for so long has its turn all the same, one step of one task at a time: whoever
/// answers meanwhile is heard after it.
const OVERDUE: Duration = Duration::from_secs(2);

/// How long a task rests after it has failed.
pub const SETBACK: Duration = Duration::from_secs(60);

/// No task waits longer for somebody's lock.
const PATIENCE: TimeDelta = TimeDelta::seconds(1);

/// Changes of cost records at a time: alerts wait as long as a step takes.
const FOLDED_AT_ONCE: i64 = 5_000;

/// When each task is due, and what is remembered of it.
pub struct Upkeep {
    drift: Due,
    /// The last hour that was rolled up in this round: one that goes on changing waits for the next.
    rolled_up_to: Option<i64>,
    costs: Due,
    /// Up to where what is pending was folded in this round.
    folded_to: Option<String>,
    canary: Due,
    detection: Detection,
    retention: Retention,
    /// A run whose end is still to be written down.
    ended: Option<(Run, Ending)>,
    /// The settings under which the canary was looked after.
    settings_version: u32,
    /// When a task last had its turn while requests were in flight.
    turned_at: Instant,
}

/// What is kept in order, in the order in which it is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chore {
    Costs,
    Drift,
    Canary,
    Detection,
    Retention,
}

const CHORES: [Chore; 5] = [Chore::Costs, Chore::Drift, Chore::Canary, Chore::Detection, Chore::Retention];

/// When a task is done next.
pub struct Due {
    pub name: &'static str,
    /// Where its failures are noted.
    task: Option<Task>,
    pub at: Instant,
    /// Why it failed the last time.
    pub trouble: Option<String>,
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
        let due = |name, task| Due::after(pause, name, task);
        Self {
            drift: due("rolling up drift", Some(Task::RefreshDrift)),
            rolled_up_to: None,
            costs: due("summing up costs", Some(Task::RefreshCosts)),
            folded_to: None,
            canary: due("running the canary", None),
            detection: Detection::after(pause),
            retention: Retention::after(pause),
            ended: None,
            settings_version: process::settings_version(),
            turned_at: Instant::now(),
        }
    }

    /// How long nothing is due.
    pub fn rest(&self) -> Duration {
        let next = CHORES.iter().map(|&chore| self.due_at(chore)).min();
        next.map_or(HOURLY, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether a task is due.
    pub fn is_due(&mut self) -> bool {
        self.hear_of_settings();
        self.rest().is_zero()
    }

    /// Does one step of each task that is due.
    pub fn step(&mut self) -> Result<()> {
        self.hear_of_settings();
        CHORES.iter().try_for_each(|&chore| self.step_of(chore))
    }

    /// Between two requests' slices: does a step of the task that has waited longest, if one has waited too long. What is purged can wait for
    /// all others.
    pub fn take_turn(&mut self) -> Result<()> {
        self.hear_of_settings();
        if self.turned_at.elapsed() < OVERDUE {
            return Ok(());
        }
        let overdue = CHORES.into_iter().filter(|&chore| self.due_at(chore).elapsed() >= OVERDUE);
        let next = overdue.min_by_key(|&chore| (chore == Chore::Retention, self.due_at(chore)));
        let Some(chore) = next else { return Ok(()) };
        let outcome = self.step_of(chore);
        self.turned_at = Instant::now();
        outcome
    }

    fn due_at(&self, chore: Chore) -> Instant {
        match chore {
            Chore::Drift => self.drift.at,
            Chore::Costs => self.costs.at,
            Chore::Canary => self.canary.at,
            Chore::Detection => self.detection.due.at,
            Chore::Retention => self.retention.at(),
        }
    }

    /// The schedule is looked at anew after every reload, and at every poll, for the clock may be set.
    fn hear_of_settings(&mut self) {
        let version = process::settings_version();
        if std::mem::replace(&mut self.settings_version, version) != version {
            self.canary.at = Instant::now();
            self.detection.due.at = Instant::now();
            self.retention.hear_of_settings();
        }
    }

    /// Does a step of one task, if it is due.
    fn step_of(&mut self, chore: Chore) -> Result<()> {
        match chore {
            Chore::Drift => {
                let rolled_up_to = &mut self.rolled_up_to;
                self.drift.step(poll(), || {
                    *rolled_up_to = provenance::refresh_next(*rolled_up_to)?;
                    Ok(more_if(rolled_up_to.is_some()))
                })
            }
            Chore::Costs => {
                let folded_to = &mut self.folded_to;
                self.costs.step(poll(), || {
                    let rows = cost::fold_some(folded_to, FOLDED_AT_ONCE)?;
                    Ok(more_if(rows == FOLDED_AT_ONCE))
                })
            }
            Chore::Canary => self.look_after_canary(),
            Chore::Detection => self.detection.step(),
            Chore::Retention => self.retention.step(),
        }
    }

    /// Runs the canary if it is due.
    fn look_after_canary(&mut self) -> Result<()> {
        if self.canary.at > Instant::now() {
            return Ok(());
        }
        process::show_activity(&format!("costsim: {}", self.canary.name));
        let rest = match self.step_of_canary()? {
            // Somebody has locked a table.
            None => SETBACK,
            Some(Ok(rest)) => {
                self.canary.trouble = None;
                rest
            }
            Some(Err(refusal)) => {
                self.canary.regret(format!("{}: {}", refusal.sqlstate, refusal.message))?;
                SETBACK
            }
        };
        self.canary.at = Instant::now() + rest;
        Ok(())
    }

    /// How long the canary has nothing to do.
    fn step_of_canary(&mut self) -> Result<Option<Result<Duration, Refusal>>> {
        if let Some((run, ending)) = &self.ended {
            match contained(|| run.settle(ending))? {
                Some(Ok(())) => self.ended = None,
                Some(Err(refusal)) => return Ok(Some(Err(refusal))),
                None => return Ok(None),
            }
        }
        let found = match contained(schedule::look)? {
            Some(Ok(found)) => found,
            Some(Err(refusal)) => return Ok(Some(Err(refusal))),
            None => return Ok(None),
        };
        let rest = match found {
            Found::Off => HOURLY,
            Found::NotOurs => poll(),
            Found::Until(at) => until(at).min(poll()),
            Found::Begun(run) => {
                if let Some(ending) = run.perform(make_way)? {
                    if let Ending::Failed(why) = &ending {
                        warning!("costsim: the canary came to nothing: {why}");
                    }
                    self.ended = Some((run, ending));
                }
                // What is left to do is done in the next round: alerts have their turn before.
                Duration::ZERO
            }
        };
        Ok(Some(Ok(rest)))
    }
}

impl Due {
    /// Due after this pause.
    pub fn after(pause: Duration, name: &'static str, task: Option<Task>) -> Self {
        Self { name, task, at: Instant::now() + pause, trouble: None }
    }

    /// Does a step of the task in a transaction of its own, if it is due.
    fn step(&mut self, pause: Duration, body: impl FnOnce() -> Result<Step>) -> Result<()> {
        if self.at > Instant::now() {
            return Ok(());
        }
        process::show_activity(&format!("costsim: {}", self.name));
        let rest = match contained(body)? {
            // Somebody has locked a table.
            None => pause.min(SETBACK),
            Some(Ok(step)) => {
                self.trouble = None;
                if step == Step::More { BREATH } else { pause }
            }
            Some(Err(refusal)) => {
                self.regret(format!("{}: {}", refusal.sqlstate, refusal.message))?;
                SETBACK
            }
        };
        self.at = Instant::now() + rest;
        Ok(())
    }

    /// Says that the task has failed, once for each new reason.
    pub fn regret(&mut self, trouble: String) -> Result<()> {
        if self.trouble.as_ref() == Some(&trouble) {
            return Ok(());
        }
        warning!("costsim: {} failed: {trouble}", self.name);
        if let Some(task) = self.task {
            // Where that fails too, the log has it.
            contained(|| maintenance::note_failure(task, &trouble))?;
        }
        self.trouble = Some(trouble);
        Ok(())
    }
}

/// Runs `body` in a transaction of its own: its answer, or the server's refusal, or nothing where a lock was not to be had.
pub fn contained<T>(body: impl FnOnce() -> Result<T>) -> Result<Option<Result<T, Refusal>>> {
    let body = AssertUnwindSafe(body);
    db::transaction_within(PATIENCE, || db::contain(body))
}

/// Ends the process in the middle of a long task, if somebody waits for the sessions of this database to end.
fn make_way() {
    thread_local! {
        static GLANCED_AT: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    if GLANCED_AT.get().is_some_and(|at| at.elapsed() < GLANCE) {
        return;
    }
    GLANCED_AT.set(Some(Instant::now()));
    if lock::is_database_wanted() {
        process::end();
    }
}

/// How long it is until then.
pub fn until(at: DateTime<Utc>) -> Duration {
    (at - clock::now()).max(TimeDelta::zero()).to_std().unwrap_or_default()
}

fn more_if(is_more: bool) -> Step {
    if is_more { Step::More } else { Step::Done }
}
