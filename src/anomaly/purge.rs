//! How long is remembered what was unusual.
//!
//! Nothing that is found is computed from these rows, so whoever deletes old ones changes no finding. What is open stays, and so does a drift
//! that lasts.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::{self, Statement};
use crate::error::{Answer, Result};
use crate::maintenance::{self, Purge, Step, Task};

/// What an operator has said holds for its period, so nothing goes before that is over in every zone.
static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_cost_anomalies
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_cost_anomalies
                             WHERE resolved_at < $1 AND resolved_at IS NOT NULL
                               AND period_start + CASE period WHEN 'month' THEN INTERVAL '1 month' ELSE INTERVAL '1 day' END
                                   < now() - INTERVAL '1 day'
                             ORDER BY resolved_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

static DELETE_BREACHES: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_cost_breaches
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_cost_breaches
                             WHERE breach_date < ($1 AT TIME ZONE 'UTC')::date
                             ORDER BY breach_date LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

static DELETE_DRIFTS: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_cost_drift
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_cost_drift
                             WHERE NOT is_active AND last_check_date < ($1 AT TIME ZONE 'UTC')::date
                             ORDER BY last_check_date LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const TASK: Task = Task::PurgeAnomalies;

const PURGES: [Purge; 3] = [
    Purge { table: c"costsim_cost_anomalies", task: TASK, delete: &DELETE },
    Purge { table: c"costsim_cost_breaches", task: TASK, delete: &DELETE_BREACHES },
    Purge { table: c"costsim_cost_drift", task: TASK, delete: &DELETE_DRIFTS },
];

/// Deletes anomalies that are over, breaches and drifts that have ended, of longer ago than that, the oldest first, at most so many: how many.
///
/// It becomes the owner only after the caller's own deferred triggers have run: as the caller.
#[pg_extern(volatile, parallel_unsafe, requires = ["anomaly"])]
fn costsim_purge_anomalies(
    older_than: default!(Option<Interval>, "'400 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_anomalies()");
    let (age, max_rows) = maintenance::bounds(older_than, max_rows, "Leave it out for 400 days.")?;
    // What is put off to the commit cannot be, where the server watches over what is done.
    db::check_deferred_constraints()?;
    Ok(db::as_owner(|| purge(Step::whole(age, max_rows)))?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    db::check_deferred_constraints()?;
    purge(step)
}

fn purge(step: Step) -> Result<i64> {
    let Some(before) = maintenance::before(step.age) else { return Ok(0) };
    let mut rows = 0;
    for purge in &PURGES {
        rows += purge.delete(before, step.max_rows - rows)?;
    }
    step.note(TASK, rows)?;
    Ok(rows)
}
