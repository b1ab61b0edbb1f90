//! How long is remembered what was unusual.
//!
//! Nothing that is found is computed from these rows, so whoever deletes old ones changes no finding. What is open stays.

use chrono::TimeDelta;
use pgrx::prelude::*;

use super::store;
use crate::error::{Answer, Error, required};
use crate::{clock, convert, db};

/// Deletes anomalies that are over and breaches, of longer ago than that, the oldest first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["anomaly"])]
#[search_path(pg_catalog, pg_temp)]
fn costsim_purge_anomalies(
    older_than: default!(Option<Interval>, "'400 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_anomalies()");
    let older_than = convert::span(required(older_than, "older_than")?);
    let max_rows = required(max_rows, "max_rows")?;
    if older_than < TimeDelta::zero() {
        return Err(Error::invalid("older_than must not be negative", "Leave it out for 400 days.").into());
    }
    if max_rows < 1 {
        return Err(Error::invalid("max_rows must be at least 1", "Leave it out for 10,000.").into());
    }
    // Older than the calendar is nothing.
    match clock::now().checked_sub_signed(older_than) {
        Some(before) if convert::timestamptz(before).is_ok() => Ok(store::purge(before, max_rows)?),
        _ => Ok(0),
    }
}
