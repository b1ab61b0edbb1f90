//! Canaries by schedule: what the worker does when one is due.
//!
//! ```text
//!   look: nothing is due ......................... the worker rests until then
//!   look: a run is due -> begun, commit -> the run and its end, commit
//!                                       -> an error: rolled back; report and end, commit
//!                                       -> somebody's lock: rolled back; put off, commit
//! ```
//!
//! Promises: a run that is due is begun once, and noted as begun before anything is done for it; its report, what the breaker makes of it and its
//! end are one transaction. One that was cut off (process killed, server crashed) is reported under its run_id as an error, and begun once more
//! under another; if that is cut off too, it is reported as well and left. One that ends in an error is reported and left. One that does not get
//! a lock, that of whoever leads the canary or any other, leaves no report: it is begun again after a minute, for an hour at most, and the last of
//! them is reported. Runs that were missed are caught up by one.
//!
//! Does not: decide when a run is due (core does), nor wake the worker for it. While a run is under way its worker does nothing else but make
//! way for whoever wants the database.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::canary::Status;
use costsim_core::schedule::{Patience, Plan, Record, Then, after_run, decide};
use pgrx::pg_sys::BuiltinOid::{INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use super::{Request, Unfinished, store};
use crate::convert::{finite_moment, timestamptz};
use crate::db::{self, Refusal, Row, Statement, column, nullable};
use crate::error::{Error, Result};
use crate::{clock, guc, lock};

/// No run waits longer for a lock: somebody who wants the whole database waits for five seconds, and the worker must have left by then.
const PATIENCE: TimeDelta = TimeDelta::seconds(2);

static READ: Statement = Statement::deciding(
    "SELECT schedule, time_zone, next_run_at, running_run_id, running_since, attempts, last_due_at, put_off, tried_since, again_at,
            last_run_id, last_started_at, last_status, last_error
       FROM @schema@.costsim_canary_schedule WHERE id",
    &[],
);

/// The same for who will write: an operator may have moved the next run.
static LOCK: Statement = Statement::deciding(
    "SELECT schedule, time_zone, next_run_at, running_run_id, running_since, attempts, last_due_at, put_off, tried_since, again_at,
            last_run_id, last_started_at, last_status, last_error
       FROM @schema@.costsim_canary_schedule WHERE id FOR UPDATE",
    &[],
);

/// One row there is, or there has never been a schedule.
static PLAN: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_canary_schedule AS s (schedule, time_zone, next_run_at) VALUES ($1, $2, $3)
     ON CONFLICT (id) DO UPDATE
        SET schedule = excluded.schedule, time_zone = excluded.time_zone, next_run_at = excluded.next_run_at,
            unanswered_since = CASE WHEN s.schedule = excluded.schedule AND s.time_zone = excluded.time_zone THEN s.unanswered_since END",
    &[TEXTOID, TEXTOID, TIMESTAMPTZOID],
);

static BEGIN: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_canary_schedule
        SET running_since = $4, running_run_id = $1, attempts = $3, last_due_at = $2, last_started_at = $4, again_at = NULL,
            put_off = CASE WHEN $3 = 1 THEN 0 ELSE put_off END, tried_since = CASE WHEN $3 = 1 THEN $4 ELSE coalesce(tried_since, $4) END,
            unanswered_since = coalesce(unanswered_since, $4)",
    &[TEXTOID, TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID],
);

static END: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_canary_schedule
        SET running_since = NULL, running_run_id = NULL, last_finished_at = $4, last_run_id = $1, last_status = $2, last_error = $3,
            again_at = NULL, unanswered_since = CASE WHEN $2 IN ('error', 'skipped') THEN unanswered_since END
      WHERE coalesce(running_run_id, last_run_id) = $1",
    &[TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID],
);

static PUT_OFF: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_canary_schedule
        SET running_since = NULL, running_run_id = NULL, last_finished_at = $4, last_run_id = $1, last_status = $2, last_error = $3,
            again_at = $5, put_off = put_off + 1
      WHERE running_run_id = $1",
    &[TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID],
);

static REASON: Statement = Statement::deciding(
    "SELECT failure_reasons_json::jsonb ->> 0 FROM @schema@.costsim_canary_reports WHERE id = $1 AND status <> 'fail'",
    &[INT8OID],
);

/// What the worker finds when it looks.
pub enum Found {
    /// Nothing comes, until somebody changes the settings.
    Off,
    /// Nothing is due before then.
    Until(DateTime<Utc>),
    /// A run was due, and has been noted as begun.
    Begun(Run),
    /// Nothing to look after: the table is of a later version than the database's, or another process looks after it.
    NotOurs,
}

/// A run that has been begun.
#[derive(Clone)]
pub struct Run {
    run_id: String,
    due_at: DateTime<Utc>,
    begun_at: DateTime<Utc>,
    patience: Patience,
}

/// How a run ended that left nothing behind, which is still to be written down.
pub enum Ending {
    /// It is reported, for this reason.
    Failed(String),
    /// It met somebody's lock, and is begun again.
    PutOff { again_at: DateTime<Utc>, status: Status, reason: String },
}

/// The last run, as it is on record: under way, or put off.
struct Left {
    run_id: String,
    due_at: Option<DateTime<Utc>>,
    begun_at: Option<DateTime<Utc>>,
    put_off: i32,
    status: Status,
    reason: String,
}

fn moment(row: &Row<'_>, ordinal: i32) -> Result<Option<DateTime<Utc>>> {
    // What is infinite never comes.
    Ok(nullable::<TimestampWithTimeZone>(row, ordinal)?.and_then(|at| finite_moment(at, "next_run_at").ok()))
}

fn read(statement: &'static Statement) -> Result<(Record, Option<Left>)> {
    let found = statement.row(&[], |row| {
        let running: Option<String> = nullable(row, 4)?;
        let record = Record {
            schedule: column(row, 1)?,
            time_zone: column(row, 2)?,
            next_run_at: moment(row, 3)?,
            is_running: running.is_some(),
            attempts: column(row, 6)?,
            put_off: column(row, 8)?,
            tried_since: moment(row, 9)?,
            again_at: moment(row, 10)?,
            last_due_at: moment(row, 7)?,
        };
        let is_skipped = nullable::<String>(row, 13)?.as_deref() == Some(Status::Skipped.as_str());
        let left = |run_id, begun_at| -> Result<Left> {
            Ok(Left {
                run_id,
                due_at: record.last_due_at,
                begun_at,
                put_off: record.put_off,
                status: if is_skipped { Status::Skipped } else { Status::Error },
                reason: nullable(row, 14)?.unwrap_or_default(),
            })
        };
        let left = match (running, nullable(row, 11)?) {
            (Some(run_id), _) => Some(left(run_id, moment(row, 5)?)?),
            (None, Some(run_id)) => Some(left(run_id, moment(row, 12)?)?),
            (None, None) => None,
        };
        Ok((record, left))
    })?;
    Ok(found.unwrap_or_default())
}

fn settings() -> Result<Option<Plan>, String> {
    Plan::read(&guc::canary_schedule(), &guc::canary_time_zone())
}

/// Looks what is due, in the caller's transaction, and notes it as begun; what was cut off is reported before.
pub fn look() -> Result<Found> {
    if db::relation(c"costsim_canary_schedule").is_err() || !lock::is_the_only_scheduler() {
        return Ok(Found::NotOurs);
    }
    let plan = match settings() {
        Ok(plan) => plan,
        // The settings are checked where they are set.
        Err(why) => {
            warning!("costsim: the canary has no schedule: {why}");
            None
        }
    };
    // Most looks find nothing to do, and write nothing.
    if let Some(found) = nothing_to_do(plan.as_ref(), &read(&READ)?.0) {
        return Ok(found);
    }
    let (record, left) = read(&LOCK)?;
    let now = clock::now();
    let decision = decide(plan.as_ref(), &record, now);
    match left {
        Some(left) if decision.was_cut_off => report_cut_off(&left)?,
        Some(left) if decision.is_left => report_left(&left)?,
        _ => {}
    }
    match (decision.then, plan) {
        (Then::Run { due_at, attempt }, Some(plan)) => {
            // One that is begun once more leaves the next as it is planned, perhaps by hand.
            let planned = record.next_run_at.filter(|at| attempt > 1 && *at > now);
            let next_run_at = planned.or_else(|| plan_after(&plan, &record, due_at, now));
            write_plan(&record, Some(&plan), next_run_at)?;
            let (since, put_off) =
                if attempt == 1 { (now, 0) } else { (record.tried_since.unwrap_or(now), record.put_off) };
            begin(due_at, attempt, now, Patience { since, put_off, next_run_at }).map(Found::Begun)
        }
        (Then::Again(at), _) => Ok(Found::Until(at)),
        (Then::Wait(at), plan) => {
            write_plan(&record, plan.as_ref(), Some(at))?;
            Ok(Found::Until(at))
        }
        (Then::Off | Then::Run { .. }, plan) => {
            write_plan(&record, plan.as_ref(), None)?;
            Ok(Found::Off)
        }
    }
}

fn nothing_to_do(plan: Option<&Plan>, record: &Record) -> Option<Found> {
    let decision = decide(plan, record, clock::now());
    match decision.then {
        _ if decision.was_cut_off || decision.is_left => None,
        Then::Again(at) => Some(Found::Until(at)),
        Then::Wait(at) if is_written(record, plan, Some(at)) => Some(Found::Until(at)),
        Then::Off if is_written(record, plan, None) => Some(Found::Off),
        Then::Wait(_) | Then::Off | Then::Run { .. } => None,
    }
}

/// The next run is planned when one is begun, so that one which is never heard of again is not in its way.
fn plan_after(
    plan: &Plan,
    record: &Record,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    after_run(plan, due_at.max(record.last_due_at.unwrap_or(due_at)), now)
}

/// The settings as they are put on record; without a schedule the zone stays what it was.
fn settings_of<'a>(record: &'a Record, plan: Option<&'a Plan>) -> (&'a str, &'a str) {
    let zone = if record.time_zone.is_empty() { "UTC" } else { record.time_zone.as_str() };
    plan.map_or(("", zone), |plan| (plan.schedule.as_str(), plan.time_zone.as_str()))
}

fn is_written(record: &Record, plan: Option<&Plan>, next: Option<DateTime<Utc>>) -> bool {
    let (schedule, time_zone) = settings_of(record, plan);
    record.next_run_at == next
        && record.schedule == schedule
        && (record.time_zone == time_zone || plan.is_none())
}

fn write_plan(record: &Record, plan: Option<&Plan>, next: Option<DateTime<Utc>>) -> Result<()> {
    if is_written(record, plan, next) {
        return Ok(());
    }
    let (schedule, time_zone) = settings_of(record, plan);
    let next = next.map(timestamptz).transpose()?;
    PLAN.run(&[schedule.into(), time_zone.into(), next.into()]).map(drop)
}

fn begin(due_at: DateTime<Utc>, attempt: i32, now: DateTime<Utc>, patience: Patience) -> Result<Run> {
    let run_id = store::new_name()?;
    db::make_commit_durable();
    BEGIN.run(&[
        run_id.as_str().into(),
        timestamptz(due_at)?.into(),
        attempt.into(),
        timestamptz(now)?.into(),
    ])?;
    Ok(Run { run_id, due_at, begun_at: now, patience })
}

fn end(run_id: &str, status: &str, error: Option<&str>) -> Result<()> {
    db::make_commit_durable();
    END.run(&[run_id.into(), status.into(), error.into(), timestamptz(clock::now())?.into()]).map(drop)
}

fn report_cut_off(left: &Left) -> Result<()> {
    let since =
        left.begun_at.map_or_else(String::new, |since| format!(" after {}", since.format("%F %T UTC")));
    let reason =
        format!("cut off: the worker, or its server, ended in the middle of the run, some time{since}");
    report(&left.unfinished(Status::Error, &reason))
}

/// The next one is due, or the schedule has changed, before a run that was put off could be begun again.
fn report_left(left: &Left) -> Result<()> {
    let reason = format!("{} (put off {} times, and left)", left.reason, left.put_off);
    report(&left.unfinished(left.status, &reason))
}

impl Left {
    fn unfinished<'a>(&'a self, status: Status, reason: &'a str) -> Unfinished<'a> {
        let begun_at = self.begun_at.unwrap_or_else(clock::now);
        Unfinished { run_id: &self.run_id, scheduled_for: self.due_at, begun_at, status, reason }
    }
}

fn report(run: &Unfinished<'_>) -> Result<()> {
    super::record_unfinished(run)?;
    end(run.run_id, run.status.as_str(), Some(run.reason))
}

thread_local! {
    /// What this process does between two samples.
    static MEANWHILE: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Called between two samples: whoever runs by schedule looks after other things.
pub fn glance() {
    if let Some(look) = MEANWHILE.get() {
        look();
    }
}

impl Run {
    /// Runs the canary, in a transaction of its own: how it ended, if it left nothing. Calls `meanwhile` between two samples.
    pub fn perform(&self, meanwhile: fn()) -> Result<Option<Ending>> {
        let request =
            Request { run_id: Some(&self.run_id), scheduled_for: Some(self.due_at), ..Request::default() };
        let mut skipped = None;
        let body = AssertUnwindSafe(|| {
            let outcome = super::run(&request)?;
            // What somebody has put off to the commit would fail there, where nobody can catch it.
            db::check_deferred_constraints()?;
            let reason: Option<String> =
                REASON.row(&[outcome.report_id.into()], |row| nullable(row, 1))?.flatten();
            if outcome.status == Status::Skipped
                && let Some(again_at) = self.patience.again_at(clock::now())
            {
                skipped = Some((again_at, reason.unwrap_or_default()));
                // Takes the report back.
                return Err(Error::Internal("the run is put off".into()));
            }
            end(&outcome.run_id, outcome.status.as_str(), reason.as_deref())
        });
        MEANWHILE.set(Some(meanwhile));
        let outcome = db::transaction_within(PATIENCE, || db::contain(body));
        MEANWHILE.set(None);
        let outcome = outcome?;
        if let Some((again_at, reason)) = skipped {
            return Ok(Some(Ending::PutOff { again_at, status: Status::Skipped, reason }));
        }
        Ok(match outcome {
            Some(Ok(())) => None,
            Some(Err(Refusal { sqlstate, message })) => {
                Some(Ending::Failed(format!("{sqlstate}: {message}")))
            }
            None => {
                let why = "55P03: a lock was not to be had in time".to_owned();
                Some(match self.patience.again_at(clock::now()) {
                    Some(again_at) => Ending::PutOff { again_at, status: Status::Error, reason: why },
                    None => Ending::Failed(match self.patience.put_off {
                        0 => why,
                        times => format!("{why} (put off {times} times before)"),
                    }),
                })
            }
        })
    }

    /// Writes down how the run ended, in the caller's transaction.
    pub fn settle(&self, ending: &Ending) -> Result<()> {
        match ending {
            Ending::Failed(reason) => report(&Unfinished {
                run_id: &self.run_id,
                scheduled_for: Some(self.due_at),
                begun_at: self.begun_at,
                status: Status::Error,
                reason,
            }),
            Ending::PutOff { again_at, status, reason } => {
                db::make_commit_durable();
                let (run_id, now) = (self.run_id.as_str(), timestamptz(clock::now())?);
                let again_at = timestamptz(*again_at)?;
                PUT_OFF
                    .run(&[
                        run_id.into(),
                        status.as_str().into(),
                        reason.as_str().into(),
                        now.into(),
                        again_at.into(),
                    ])
                    .map(drop)
            }
        }
    }
}
