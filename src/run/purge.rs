//! How long runs are remembered, where they are in our table.
//!
//! Only what has ended goes. An application's own table is its own affair.

use chrono::TimeDelta;
use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::{self, Statement};
use crate::error::{Answer, Error, Result, required};
use crate::{clock, convert, provenance};

static PURGE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_worker_runs
      WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY @schema@.costsim_worker_runs
                               WHERE created_at < $1 AND status IN ('completed', 'failed', 'crashed')
                               ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

/// Deletes runs that have ended and were asked for longer ago than that, the oldest first, at most so many: how many.
///
/// It becomes the owner only after the caller's own deferred triggers have run: as the caller.
#[pg_extern(volatile, parallel_unsafe, requires = ["run"])]
fn costsim_purge_runs(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_runs()");
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
    Ok(db::as_owner(|| purge(older_than, max_rows))?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(older_than: TimeDelta, max_rows: i64) -> Result<i64> {
    db::check_deferred_constraints()?;
    purge(older_than, max_rows)
}

fn purge(older_than: TimeDelta, max_rows: i64) -> Result<i64> {
    // Older than the calendar is nothing.
    let before = clock::now().checked_sub_signed(older_than).map(convert::timestamptz);
    let Some(Ok(before)) = before else { return Ok(0) };
    // An application may have put triggers of its own on the table, or own it: they must not run as whoever calls, or as the worker.
    let deleted = db::as_owner_of(db::relation(c"costsim_worker_runs")?, || {
        PURGE.run(&[before.into(), max_rows.into()])
    })?;
    let rows = convert::count(deleted);
    provenance::note(provenance::Task::PurgeRuns, rows)?;
    Ok(rows)
}
