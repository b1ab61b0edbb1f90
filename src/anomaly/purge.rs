//! How long is remembered what was unusual.
//!
//! Nothing that is found is computed from these rows, so whoever deletes old ones changes no finding. What is open stays.

use pgrx::prelude::*;

use super::store;
use crate::error::Answer;
use crate::{db, maintenance};

/// Deletes anomalies that are over and breaches, of longer ago than that, the oldest first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["anomaly"])]
#[search_path(pg_catalog, pg_temp)]
fn costsim_purge_anomalies(
    older_than: default!(Option<Interval>, "'400 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_anomalies()");
    let (age, max_rows) = maintenance::bounds(older_than, max_rows, "Leave it out for 400 days.")?;
    match maintenance::before(age) {
        Some(before) => Ok(store::purge(before, max_rows)?),
        None => Ok(0),
    }
}
