//! How long runs are remembered, where they are in our table.
//!
//! Only what has ended goes. An application's own table is its own affair.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::Statement;
use crate::error::{Answer, Result};
use crate::maintenance::{Purge, Step, Task};

static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_worker_runs
      WHERE ctid = ANY (ARRAY(SELECT ctid FROM ONLY @schema@.costsim_worker_runs
                               WHERE created_at < $1 AND status IN ('completed', 'failed', 'crashed')
                               ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const PURGE: Purge = Purge { table: c"costsim_worker_runs", task: Task::PurgeRuns, delete: &DELETE };

/// Deletes runs that have ended and were asked for longer ago than that, the oldest first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["run"])]
fn costsim_purge_runs(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(PURGE.by_hand(c"costsim_purge_runs()", older_than, max_rows)?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    PURGE.some(step)
}
