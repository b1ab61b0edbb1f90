//! How long patterns are remembered, counted from when they were last seen.

use chrono::TimeDelta;
use pgrx::prelude::*;

use super::store;
use crate::error::{Answer, Error, Result, required};
use crate::{clock, convert, db, provenance};

/// Deletes patterns that were last seen longer ago than that, the oldest first, at most so many: how many.
///
/// It becomes the owner only after the caller's own deferred triggers have run: as the caller.
#[pg_extern(volatile, parallel_unsafe, requires = ["pattern"])]
fn costsim_purge_feedback(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_feedback()");
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
#[allow(dead_code, reason = "for the worker's upkeep")]
pub fn purge_some(older_than: TimeDelta, max_rows: i64) -> Result<i64> {
    db::check_deferred_constraints()?;
    purge(older_than, max_rows)
}

fn purge(older_than: TimeDelta, max_rows: i64) -> Result<i64> {
    // Older than the calendar is nothing.
    let before = clock::now().checked_sub_signed(older_than).map(convert::timestamptz);
    let Some(Ok(before)) = before else { return Ok(0) };
    // An application may have put triggers of its own on the table, or own it: they must not run as whoever calls, or as the worker.
    let rows =
        db::as_owner_of(db::relation(c"costsim_pattern_feedback")?, || store::purge(before, max_rows))?;
    provenance::note(provenance::Task::PurgeFeedback, rows)?;
    Ok(rows)
}
