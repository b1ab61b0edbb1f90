//! Roll-ups made anew, and the purge.
//!
//! What changes roll-ups does so under the lock of the fold, and in one transaction: a snapshot shows them before or after. The purge changes
//! records alone; that their sums stay is noted by their trigger, as every change is.

use std::cell::Cell;

use pgrx::pg_sys::BuiltinOid::{INT8OID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use super::fold::{be_the_only_one, sums_of};
use super::zone::days_of;
use crate::db::{self, Statement};
use crate::error::{Answer, Result, required};
use crate::maintenance::{self, Step, Task};
use crate::{clock, convert, lock};

/// A quarter of an hour in microseconds.
const QUARTER: i64 = 15 * 60 * 1_000_000;

static FORGET_QUARTERS: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_cost_quarters WHERE ($1 IS NULL OR tenant_id = $1)",
    &[TEXTOID],
);

static FORGET_DAYS: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_cost_daily WHERE ($1 IS NULL OR tenant_id = $1)",
    &[TEXTOID],
);

/// One statement, so that what is no longer pending and what is summed are of one snapshot.
static SUM_UP: Statement = Statement::current(
    concat!(
        "WITH gone AS (
             DELETE FROM @schema@.costsim_cost_pending p WHERE ($1 IS NULL OR p.tenant_id = $1)
         ), due AS (
             INSERT INTO @schema@.costsim_cost_detection AS n (tenant_id, due_from)
             SELECT r.tenant_id, min(r.created_at) FROM @schema@.costsim_cost_records r WHERE $1 IS NULL OR r.tenant_id = $1 GROUP BY r.tenant_id
              ORDER BY r.tenant_id
             ON CONFLICT (tenant_id) DO UPDATE SET is_due = true, due_from = least(n.due_from, excluded.due_from)
         )
         INSERT INTO @schema@.costsim_cost_quarters
         SELECT f.tenant_id, d.dimension, d.entity_id, f.bucket_start, ",
        sums_of!("f"),
        "  FROM (SELECT r.tenant_id, date_bin(INTERVAL '15 minutes', r.created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS bucket_start,
                        coalesce(r.feature_tag, 'unclassified') AS feature_tag, coalesce(r.user_id, 'anonymous') AS user_id, r.model,
                        sum(r.cost_cents) AS cost_cents, count(*) AS requests, count(*) FILTER (WHERE r.is_retry) AS retries,
                        count(*) FILTER (WHERE r.workflow_id IS NOT NULL OR r.skill_id IS NOT NULL) AS executions,
                        sum(r.input_tokens) AS input_tokens, sum(r.output_tokens) AS output_tokens,
                        sum(r.cached_tokens) AS cached_tokens, sum(r.reasoning_tokens) AS reasoning_tokens
                   FROM @schema@.costsim_cost_records r
                  WHERE $1 IS NULL OR r.tenant_id = $1
                  GROUP BY 1, 2, 3, 4, 5
                 UNION ALL
                 SELECT r.tenant_id, r.bucket_start, r.feature_tag, r.user_id, r.model, r.cost_cents, r.requests, r.retries, r.executions,
                        r.input_tokens, r.output_tokens, r.cached_tokens, r.reasoning_tokens
                   FROM @schema@.costsim_cost_purged r
                  WHERE $1 IS NULL OR r.tenant_id = $1) f
          CROSS JOIN LATERAL (VALUES ('tenant', ''), ('feature', f.feature_tag), ('user', f.user_id), ('model', f.model))
            AS d (dimension, entity_id)
          GROUP BY 1, 2, 3, 4"
    ),
    &[TEXTOID],
);

static SUM_UP_DAYS: Statement = Statement::current(days_of!("($1 IS NULL OR q.tenant_id = $1)"), &[TEXTOID]);

static PURGE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_cost_records r
      USING (SELECT o.tenant_id, o.created_at, o.id FROM ONLY @schema@.costsim_cost_records o
              WHERE o.created_at < $1
              ORDER BY o.created_at LIMIT $2 FOR UPDATE SKIP LOCKED) o
      WHERE r.tenant_id = o.tenant_id AND r.created_at = o.created_at AND r.id = o.id",
    &[TIMESTAMPTZOID, INT8OID],
);

thread_local! {
    /// Before which moment records that are deleted just now are purged, and their sums stay.
    static KEPT_BEFORE: Cell<Option<TimestampWithTimeZone>> = const { Cell::new(None) };
}

/// Before which moment the sums of the records that are deleted just now stay, if any do.
pub fn kept_before() -> Option<TimestampWithTimeZone> {
    KEPT_BEFORE.get()
}

/// Makes the roll-ups anew, of a tenant or of all: how many rows of quarters.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["cost"])]
#[search_path(pg_catalog, pg_temp)]
fn costsim_rebuild_costs(tenant_id: default!(Option<&str>, "NULL")) -> Answer<i64> {
    db::require_writable(c"costsim_rebuild_costs()");
    be_the_only_one("costsim_rebuild_costs()")?;
    Ok(rebuild(tenant_id)?)
}

/// The same under whatever snapshot, once nobody else changes them.
pub fn rebuild(tenant_id: Option<&str>) -> Result<i64> {
    // What is being folded just now must not come back.
    lock::wait_to_be_the_only_folder();
    FORGET_QUARTERS.run(&[tenant_id.into()])?;
    FORGET_DAYS.run(&[tenant_id.into()])?;
    let rows = SUM_UP.run(&[tenant_id.into()])?;
    SUM_UP_DAYS.run(&[tenant_id.into()])?;
    Ok(convert::count(rows))
}

/// Deletes records that are older than that, the oldest first, at most so many: how many.
///
/// It becomes the owner only after the caller's own deferred triggers have run: as the caller.
#[pg_extern(volatile, parallel_unsafe, requires = ["cost"])]
fn costsim_purge_cost_records(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
    keep_sums: default!(Option<bool>, true),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_cost_records()");
    let (older_than, max_rows) = maintenance::bounds(older_than, max_rows, "Leave it out for 90 days.")?;
    let keep_sums = required(keep_sums, "keep_sums")?;
    // What is put off to the commit cannot be, where the server watches over what is done.
    db::check_deferred_constraints()?;
    Ok(db::as_owner(|| purge(Step::whole(older_than, max_rows), keep_sums))?)
}

/// Deletes some of what is too old, and keeps its sums: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    db::check_deferred_constraints()?;
    purge(step, true)
}

fn purge(step: Step, keep_sums: bool) -> Result<i64> {
    // Older than the calendar is nothing. Quarters of an hour go whole: one that is cut would be read from records that are gone.
    let Some(before) = clock::now().checked_sub_signed(step.age) else { return Ok(0) };
    let Ok(before) = convert::timestamp(convert::micros(before).div_euclid(QUARTER) * QUARTER) else {
        return Ok(0);
    };
    // An application may have put triggers of its own on the table, or own it: they must not run as whoever calls, or as the worker.
    let deleted = db::as_owner_of(db::relation(c"costsim_cost_records")?, || {
        let _keeping = Keeping::begin(keep_sums.then_some(before));
        PURGE.run(&[before.into(), step.max_rows.into()])
    })?;
    let rows = convert::count(deleted);
    step.note(Task::PurgeCosts, rows)?;
    Ok(rows)
}

/// While it lives, the trigger keeps the sums of what is deleted. An error ends it as well.
struct Keeping;

impl Keeping {
    fn begin(before: Option<TimestampWithTimeZone>) -> Self {
        KEPT_BEFORE.set(before);
        Self
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        KEPT_BEFORE.set(None);
    }
}
