//! How long is remembered what golden sets said. Nothing is computed from it.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::Statement;
use crate::error::{Answer, Result};
use crate::maintenance::{Purge, Step, Task};

static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_golden_results
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_golden_results
                             WHERE validated_at < $1
                             ORDER BY validated_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const PURGE: Purge =
    Purge { table: c"costsim_golden_results", task: Task::PurgeGoldenResults, delete: &DELETE };

/// Deletes what golden sets said longer ago than that, the oldest first, at most so many rows: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["golden"])]
fn costsim_purge_golden_results(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(PURGE.by_hand(c"costsim_purge_golden_results()", older_than, max_rows)?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    PURGE.some(step)
}
