//! Roll-ups of drift: a summary for each hour, and each day, of a tenant, a variant and a source, so that any range is answered from a
//! few of them and the rows at its edges.
//!
//! Every hour but the present one is rolled up, behind the back of whoever writes: see `changes` for what makes that right. Hours to come are
//! too, for whoever writes rows chooses their time, and a mark of the year 2300 would stay. A day's roll-up is made of its hours', in the
//! transaction that changes one of them.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{TIMESTAMPTZARRAYOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use super::changes;
use crate::convert;
use crate::db::{self, Statement, column};
use crate::error::{Answer, Error, Result, required};
use crate::lock;
use crate::maintenance::{self, Task};

/// Hours that have changed; the present one is left to the readers, and so is what has no end, as the calendar's last day. More than one call
/// takes: some may be held for long.
static DUE: Statement = Statement::current(
    "SELECT DISTINCT hour FROM @schema@.costsim_drift_changes
      WHERE hour > $1 AND hour < TIMESTAMPTZ '294276-12-31 00:00:00+00'
        AND (hour <= pg_catalog.clock_timestamp() - INTERVAL '1 hour' OR hour > pg_catalog.clock_timestamp())
      ORDER BY hour LIMIT 10000",
    &[TIMESTAMPTZOID],
);

static FORGET_MARKS: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_drift_changes WHERE hour = ANY ($1)",
    &[TIMESTAMPTZARRAYOID],
);

static FORGET_HOURS: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_drift_rollups WHERE hours = 1 AND bucket_start = ANY ($1)",
    &[TIMESTAMPTZARRAYOID],
);

/// By tenant, variant and source, and from these in all.
static ROLL_UP_HOURS: Statement = Statement::current(
    "WITH parts AS (
         INSERT INTO @schema@.costsim_drift_rollups (hours, bucket_start, tenant_id, variant_slug, source, summary)
         SELECT 1, h.hour, p.tenant_id, p.variant_slug, p.source, @schema@.costsim_drift(p.v1_cost, p.v2_cost)
           FROM pg_catalog.unnest($1) AS h(hour)
          CROSS JOIN LATERAL (SELECT tenant_id, variant_slug, source, v1_cost, v2_cost
                                FROM ONLY @schema@.costsim_provenance
                               WHERE created_at >= h.hour AND created_at < h.hour + INTERVAL '1 hour'
                                 AND v1_cost IS NOT NULL AND v2_cost IS NOT NULL) p
          GROUP BY h.hour, p.tenant_id, p.variant_slug, p.source
         RETURNING bucket_start, summary
     )
     INSERT INTO @schema@.costsim_drift_rollups (hours, bucket_start, is_total, summary)
     SELECT 1, bucket_start, true, @schema@.costsim_drift_merge(summary) FROM parts GROUP BY bucket_start",
    &[TIMESTAMPTZARRAYOID],
);

/// The days of these hours, begun anew.
static FORGET_DAYS: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_drift_rollups
      WHERE hours = 24
        AND bucket_start = ANY (SELECT pg_catalog.date_bin('1 day', h.hour, '2000-01-01 00:00:00+00') FROM pg_catalog.unnest($1) AS h(hour))",
    &[TIMESTAMPTZARRAYOID],
);

static ROLL_UP_DAYS: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_drift_rollups (hours, bucket_start, tenant_id, variant_slug, source, is_total, summary)
     SELECT 24, d.day, r.tenant_id, r.variant_slug, r.source, r.is_total, @schema@.costsim_drift_merge(r.summary)
       FROM (SELECT DISTINCT pg_catalog.date_bin('1 day', h.hour, '2000-01-01 00:00:00+00') AS day
               FROM pg_catalog.unnest($1) AS h(hour)) d
       JOIN @schema@.costsim_drift_rollups r
         ON r.hours = 1 AND r.bucket_start >= d.day AND r.bucket_start < d.day + INTERVAL '24 hours'
      GROUP BY d.day, r.tenant_id, r.variant_slug, r.source, r.is_total",
    &[TIMESTAMPTZARRAYOID],
);

static IS_REBUILDING: Statement =
    Statement::current("SELECT 1 FROM @schema@.costsim_drift_changes WHERE hour IS NULL LIMIT 1", &[]);

static FORGET_REBUILD: Statement =
    Statement::current("DELETE FROM @schema@.costsim_drift_changes WHERE hour IS NULL", &[]);

static FORGET_ALL: Statement = Statement::current("DELETE FROM @schema@.costsim_drift_rollups", &[]);

/// Every hour in which there is something.
static MARK_WHAT_THERE_IS: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_drift_changes (hour)
     SELECT pg_catalog.date_bin('1 hour', created_at, '2000-01-01 00:00:00+00')
       FROM ONLY @schema@.costsim_provenance
      WHERE v1_cost IS NOT NULL AND v2_cost IS NOT NULL
     EXCEPT
     SELECT hour FROM @schema@.costsim_drift_changes",
    &[],
);

/// Rolls up hours that have changed, but for the present one, at most so many, the oldest first: how many. With `rebuild` everything is rolled up
/// anew. Waits for another refresh to end, and for no writer: an hour that an open transaction has written into is left for the next time.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_refresh_drift(
    max_hours: default!(Option<i32>, 200),
    rebuild: default!(Option<bool>, false),
) -> Answer<i64> {
    db::require_writable(c"costsim_refresh_drift()");
    let max_hours = usize::try_from(required(max_hours, "max_hours")?).unwrap_or(0);
    if !(1..=MOST_HOURS).contains(&max_hours) {
        return Err(Error::invalid(
            format!("max_hours must be between 1 and {MOST_HOURS}"),
            "Call it again for more: each call takes a lock for each hour.",
        )
        .into());
    }
    let rebuild = required(rebuild, "rebuild")?;
    // Its own later questions would be answered from roll-ups of rows that it does not see.
    if db::has_lasting_snapshot() {
        return Err(Error::LastingSnapshot { what: "costsim_refresh_drift()" }.into());
    }
    lock::wait_to_be_the_only_refresher();
    if rebuild {
        changes::mark_all()?;
    }
    Ok(refresh(max_hours, None)?.len() as i64)
}

/// The most hours of one call.
const MOST_HOURS: usize = 1_000;

/// Rolls up the next hour that is due behind `after`, unless somebody else is at it: which one.
pub fn refresh_next(after: Option<i64>) -> Result<Option<i64>> {
    if !lock::try_be_the_only_refresher() {
        return Ok(None);
    }
    Ok(refresh(1, after)?.pop())
}

/// Rolls up what is due behind `after`: which hours. Only one transaction at a time is here.
fn refresh(max_hours: usize, after: Option<i64>) -> Result<Vec<i64>> {
    // What this transaction was sure of may go.
    changes::forget();
    if IS_REBUILDING.row(&[], |_| Ok(()))?.is_some() {
        FORGET_REBUILD.run(&[])?;
        forget_the_endless()?;
        FORGET_ALL.run(&[])?;
        MARK_WHAT_THERE_IS.run(&[])?;
    }
    let after = convert::timestamp(after.unwrap_or(i64::MIN))?;
    let due: Vec<TimestampWithTimeZone> = DUE.rows(&[after.into()], |row| column(row, 1))?;
    let hours: Vec<_> =
        due.into_iter().filter(|&hour| lock::try_take_hour(hour.into())).take(max_hours).collect();
    if !hours.is_empty() {
        // The marks first: what is committed after this look leaves one of its own.
        for step in [&FORGET_MARKS, &FORGET_HOURS, &ROLL_UP_HOURS, &FORGET_DAYS, &ROLL_UP_DAYS] {
            step.run(&[DatumWithOid::from(hours.clone())])?;
        }
        maintenance::note(Task::RefreshDrift, convert::count(hours.len()))?;
    }
    Ok(hours.into_iter().map(Into::into).collect())
}

/// The hours of infinite moments are never over, so their marks would stay where the rows have gone.
fn forget_the_endless() -> Result<()> {
    let endless: Vec<_> = [i64::MIN, i64::MAX]
        .into_iter()
        .filter(|&hour| lock::try_take_hour(hour))
        .map(convert::timestamp)
        .collect::<Result<_>>()?;
    FORGET_MARKS.run(&[endless.into()]).map(drop)
}
