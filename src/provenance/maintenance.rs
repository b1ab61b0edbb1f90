//! What keeps the room in order, and when it last did: the roll-ups' refresh and the purge.

use chrono::TimeDelta;
use pgrx::pg_sys::BuiltinOid::{INT8OID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::{self, Statement};
use crate::error::{Answer, Error, Result, required};
use crate::{clock, convert, turn};

/// The lock of whoever archives or purges provenance.
const ARCHIVER: i64 = 7003;

/// What is done again and again.
#[derive(Clone, Copy)]
pub enum Task {
    PurgeProvenance,
    RefreshDrift,
    PurgeCosts,
    RefreshCosts,
    DetectAnomalies,
    PurgeRuns,
    PurgeFeedback,
    PurgePredictions,
}

static NOTE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_maintenance AS m (task, last_rows, total_rows, last_error) VALUES ($1, $2, $2, $3)
     ON CONFLICT (task) DO UPDATE
        SET last_run_at = pg_catalog.clock_timestamp(), last_rows = excluded.last_rows, total_rows = m.total_rows + excluded.last_rows,
            last_error = excluded.last_error",
    &[TEXTOID, INT8OID, TEXTOID],
);

static PURGE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_provenance
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_provenance
                             WHERE created_at < $1
                             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

/// Notes that a task has been done, and on how many rows or hours.
pub fn note(task: Task, rows: i64) -> Result<()> {
    NOTE.run(&[task.name().into(), rows.into(), None::<&str>.into()]).map(drop)
}

/// Notes that a task has failed.
pub fn note_failure(task: Task, error: &str) -> Result<()> {
    NOTE.run(&[task.name().into(), 0_i64.into(), error.into()]).map(drop)
}

impl Task {
    pub fn name(self) -> &'static str {
        match self {
            Self::PurgeProvenance => "purge_provenance",
            Self::RefreshDrift => "refresh_drift",
            Self::PurgeCosts => "purge_costs",
            Self::RefreshCosts => "refresh_costs",
            Self::DetectAnomalies => "detect_anomalies",
            Self::PurgeRuns => "purge_runs",
            Self::PurgeFeedback => "purge_feedback",
            Self::PurgePredictions => "purge_predictions",
        }
    }
}

/// Deletes provenance that is older than that, the oldest first, at most so many rows: how many.
///
/// It becomes the owner only after the caller's own deferred triggers have run: as the caller.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_purge_provenance(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_provenance()");
    let older_than = convert::span(required(older_than, "older_than")?);
    let max_rows = required(max_rows, "max_rows")?;
    if older_than < TimeDelta::zero() {
        return Err(Error::invalid("older_than must not be negative", "Leave it out for 90 days.").into());
    }
    if max_rows < 1 {
        return Err(Error::invalid("max_rows must be at least 1", "Leave it out for 10,000.").into());
    }
    // What is put off to the commit cannot be, where the server watches over what is done.
    db::check_deferred_constraints()?;
    Ok(db::as_owner(|| {
        turn::take(ARCHIVER)?;
        purge(older_than, max_rows)
    })?)
}

/// Deletes some of what is too old, unless another session archives: how many rows.
pub fn purge_some(older_than: TimeDelta, max_rows: i64) -> Result<i64> {
    db::check_deferred_constraints()?;
    match turn::take(ARCHIVER) {
        Ok(()) => purge(older_than, max_rows),
        Err(Error::LockHeld { .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

fn purge(older_than: TimeDelta, max_rows: i64) -> Result<i64> {
    // Older than the calendar is nothing.
    let before = clock::now().checked_sub_signed(older_than).map(convert::timestamptz);
    let Some(Ok(before)) = before else { return Ok(0) };
    // An application may have put triggers of its own on the table, or own it: they must not run as whoever calls, or as the worker.
    let deleted = db::as_owner_of(db::relation(c"costsim_provenance")?, || {
        PURGE.run(&[before.into(), max_rows.into()])
    })?;
    let rows = convert::count(deleted);
    note(Task::PurgeProvenance, rows)?;
    Ok(rows)
}
