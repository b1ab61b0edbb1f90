//! What is pending, added to the roll-ups.
//!
//! One transaction folds at a time; whoever writes records does not wait for it, and it not for them. Each step moves what it takes out of
//! costsim_cost_pending into the roll-ups in one statement, so a snapshot shows it here or there. Sums of which nothing is left go away.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TEXTARRAYOID, TEXTOID};
use pgrx::prelude::*;

use crate::db::{self, Statement, column, nullable};
use crate::error::{Answer, Error, Result, required};
use crate::lock;
use crate::maintenance::{self, Task};

/// Pending rows of one step.
const STEP: i64 = 10_000;

/// Before everything that is pending.
const BEGINNING: &str = "(0,0)";

macro_rules! sums_of {
    ($of:literal) => {
        concat!(
            "sum(",
            $of,
            ".cost_cents) AS cost_cents, sum(",
            $of,
            ".requests)::bigint AS requests, sum(",
            $of,
            ".retries)::bigint AS retries,
             sum(",
            $of,
            ".executions)::bigint AS executions, sum(",
            $of,
            ".input_tokens)::bigint AS input_tokens,
             sum(",
            $of,
            ".output_tokens)::bigint AS output_tokens, sum(",
            $of,
            ".cached_tokens)::bigint AS cached_tokens,
             sum(",
            $of,
            ".reasoning_tokens)::bigint AS reasoning_tokens"
        )
    };
}
pub(super) use sums_of;

/// What an upsert does with a sum that is there, and which rows then hold nothing.
macro_rules! added_to {
    ($sum:literal) => {
        concat!(
            " DO UPDATE SET
                cost_cents = ",
            $sum,
            ".cost_cents + excluded.cost_cents, requests = ",
            $sum,
            ".requests + excluded.requests,
                retries = ",
            $sum,
            ".retries + excluded.retries, executions = ",
            $sum,
            ".executions + excluded.executions,
                input_tokens = ",
            $sum,
            ".input_tokens + excluded.input_tokens, output_tokens = ",
            $sum,
            ".output_tokens + excluded.output_tokens,
                cached_tokens = ",
            $sum,
            ".cached_tokens + excluded.cached_tokens,
                reasoning_tokens = ",
            $sum,
            ".reasoning_tokens + excluded.reasoning_tokens
             RETURNING CASE WHEN ",
            $sum,
            ".requests = 0 AND ",
            $sum,
            ".cost_cents = 0 AND ",
            $sum,
            ".retries = 0 AND ",
            $sum,
            ".executions = 0
                             AND ",
            $sum,
            ".input_tokens = 0 AND ",
            $sum,
            ".output_tokens = 0 AND ",
            $sum,
            ".cached_tokens = 0
                             AND ",
            $sum,
            ".reasoning_tokens = 0 THEN ",
            $sum,
            ".ctid::text END AS empty"
        )
    };
}

/// Takes so many rows behind a place, and answers how many these were, the place of the last, and where nothing is left.
static FOLD: Statement = Statement::current(
    concat!(
        "WITH gone AS MATERIALIZED (
             DELETE FROM @schema@.costsim_cost_pending p
              WHERE p.ctid = ANY (ARRAY(SELECT o.ctid FROM @schema@.costsim_cost_pending o WHERE o.ctid > $2::tid LIMIT $1))
             RETURNING p.*, p.ctid AS place
         ), facts AS MATERIALIZED (
             SELECT g.tenant_id, d.dimension, d.entity_id, g.bucket_start, ", sums_of!("g"), "
               FROM gone g
              CROSS JOIN LATERAL (VALUES ('tenant', ''), ('feature', g.feature_tag), ('user', g.user_id), ('model', g.model))
                AS d (dimension, entity_id)
              GROUP BY 1, 2, 3, 4
         ), quarters AS (
             INSERT INTO @schema@.costsim_cost_quarters AS q
             SELECT f.* FROM facts f
             ON CONFLICT (tenant_id, dimension, entity_id, bucket_start)", added_to!("q"), "
         ), tenants AS MATERIALIZED (
             SELECT g.tenant_id, coalesce((SELECT t.time_zone FROM @schema@.costsim_cost_tenants t WHERE t.tenant_id = g.tenant_id), 'UTC') AS time_zone
               FROM gone g GROUP BY 1
         ), days AS (
             INSERT INTO @schema@.costsim_cost_daily AS c
             SELECT f.tenant_id, f.dimension, f.entity_id, (f.bucket_start AT TIME ZONE t.time_zone)::date, ", sums_of!("f"), "
               FROM facts f JOIN tenants t ON t.tenant_id = f.tenant_id
              GROUP BY 1, 2, 3, 4
             ON CONFLICT (tenant_id, dimension, entity_id, day)", added_to!("c"), "
         ), due AS (
             INSERT INTO @schema@.costsim_cost_detection AS n (tenant_id, due_from)
             SELECT g.tenant_id, min(g.bucket_start) FROM gone g GROUP BY g.tenant_id ORDER BY g.tenant_id
             ON CONFLICT (tenant_id) DO UPDATE SET is_due = true, due_from = least(n.due_from, excluded.due_from)
              WHERE NOT n.is_due OR n.due_from IS NULL OR n.due_from > excluded.due_from
         )
         SELECT (SELECT count(*) FROM gone), (SELECT max(place)::text FROM gone),
                (SELECT array_agg(q.empty) FROM quarters q WHERE q.empty IS NOT NULL),
                (SELECT array_agg(d.empty) FROM days d WHERE d.empty IS NOT NULL)"
    ),
    &[INT8OID, TEXTOID],
);

static CLEAR_QUARTERS: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_cost_quarters WHERE ctid = ANY ($1::tid[])",
    &[TEXTARRAYOID],
);

static CLEAR_DAYS: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_cost_daily WHERE ctid = ANY ($1::tid[])",
    &[TEXTARRAYOID],
);

/// Adds what is pending to the roll-ups, at most so many rows: how many.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["cost"])]
#[search_path(pg_catalog, pg_temp)]
fn costsim_refresh_costs(max_rows: default!(Option<i64>, "NULL")) -> Answer<i64> {
    db::require_writable(c"costsim_refresh_costs()");
    if max_rows.is_some_and(|rows| rows < 1) {
        return Err(Error::invalid("max_rows must be at least 1", "Leave it out for all.").into());
    }
    be_the_only_one("costsim_refresh_costs()")?;
    let (mut folded, mut place) = (0, None);
    loop {
        let rows = step(&mut place, STEP.min(max_rows.unwrap_or(i64::MAX) - folded))?;
        folded += rows;
        if rows == 0 || max_rows.is_some_and(|most| folded >= most) {
            break;
        }
        pgrx::check_for_interrupts!();
    }
    note(folded)?;
    Ok(folded)
}

/// Folds some of what is pending behind a place, unless somebody else is at it, or the transaction's snapshot lasts. No place: from the beginning; and none is left when all is
/// done.
pub fn fold_some(place: &mut Option<String>, max_rows: i64) -> Result<i64> {
    if db::has_lasting_snapshot() || !lock::try_be_the_only_folder() {
        *place = None;
        return Ok(0);
    }
    let rows = step(place, max_rows)?;
    note(rows)?;
    Ok(rows)
}

/// Waits until this transaction is the only one that changes the roll-ups, to its end. One whose snapshot lasts would see what it cannot have
/// seen.
pub fn be_the_only_one(what: &'static str) -> Result<()> {
    if db::has_lasting_snapshot() {
        return Err(Error::LastingSnapshot { what });
    }
    lock::wait_to_be_the_only_folder();
    Ok(())
}

fn note(rows: i64) -> Result<()> {
    if rows > 0 { maintenance::note(Task::RefreshCosts, rows) } else { Ok(()) }
}

fn step(place: &mut Option<String>, max_rows: i64) -> Result<i64> {
    let from = place.as_deref().unwrap_or(BEGINNING);
    let found = FOLD.row(&[max_rows.into(), from.into()], |row| {
        let (count, last): (i64, Option<String>) = (column(row, 1)?, nullable(row, 2)?);
        let empty: [Option<Vec<String>>; 2] = [nullable(row, 3)?, nullable(row, 4)?];
        Ok((count, last, empty))
    })?;
    let (count, last, empty) = required(found, "count")?;
    *place = last;
    for (clear, places) in [&CLEAR_QUARTERS, &CLEAR_DAYS].into_iter().zip(empty) {
        if let Some(places) = places {
            clear.run(&[places.into()])?;
        }
    }
    Ok(count)
}
