//! What operators do to the queue: bring back, cancel, purge.

use chrono::TimeDelta;
use pgrx::prelude::*;

use super::store::upkeep;
use super::wake_worker;
use crate::convert::count;
use crate::db;
use crate::error::{Answer, Error, required};
use crate::maintenance::{self, Task};

/// What a row can be that is over.
const OVER: [&str; 3] = ["sent", "failed", "cancelled"];

/// Days. Nothing is older than the calendar.
const LONGEST_AGE: i32 = 1_000_000;

/// Brings back the queued alerts that have failed, unless they were brought back so many times already: how many.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_retry_failed_alerts(max_retries: default!(Option<i32>, 3)) -> Answer<i64> {
    db::require_writable(c"costsim_retry_failed_alerts()");
    let max_retries = required(max_retries, "max_retries")?;
    if max_retries < 1 {
        return Err(Error::invalid("max_retries must be at least 1", "Leave it out for 3.").into());
    }
    db::make_commit_durable();
    let rows = upkeep::retry_failed(max_retries)?;
    if rows > 0 {
        wake_worker();
    }
    Ok(count(rows))
}

/// Brings back one queued alert that has failed or was cancelled: whether it had.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_retry_alert(id: Option<i64>) -> Answer<bool> {
    db::require_writable(c"costsim_retry_alert()");
    let id = required(id, "id")?;
    db::make_commit_durable();
    let is_back = upkeep::retry(id)?;
    if is_back {
        wake_worker();
    }
    Ok(is_back)
}

/// Takes a pending alert out of the queue: whether it was pending.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_cancel_alert(id: Option<i64>) -> Answer<bool> {
    db::require_writable(c"costsim_cancel_alert()");
    let id = required(id, "id")?;
    db::make_commit_durable();
    Ok(upkeep::cancel(id)?)
}

/// Deletes what has been over for so many days: how much.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_purge_old_alerts(
    days: default!(Option<i32>, 30),
    statuses: default!(Option<Vec<Option<String>>>, "NULL"),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_old_alerts()");
    let days = required(days, "days")?;
    if days < 0 {
        return Err(Error::invalid("days must not be negative", "Leave it out for 30.").into());
    }
    let statuses = match statuses {
        None => OVER.map(str::to_owned).to_vec(),
        Some(statuses) => statuses.into_iter().map(over).collect::<Result<_, _>>()?,
    };
    let age = TimeDelta::days(days.min(LONGEST_AGE).into());
    let (mut rows, _) = upkeep::purge_queued(&statuses, age, i64::MIN, i64::MAX)?;
    if statuses.iter().any(|status| status == "sent") {
        rows += count(upkeep::purge_fired(age, i64::MAX)?);
    }
    maintenance::note(Task::PurgeAlerts, rows)?;
    Ok(rows)
}

fn over(status: Option<String>) -> Result<String, Error> {
    status.filter(|status| OVER.contains(&status.as_str())).ok_or_else(|| {
        Error::invalid(
            "statuses may hold sent, failed and cancelled",
            "What is pending is never purged; costsim_cancel_alert(id) takes it out of the queue.",
        )
    })
}
