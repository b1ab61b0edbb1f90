//! How long records of a backfill are remembered that are done. What is staged, or was refused, stays.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::Statement;
use crate::error::{Answer, Result};
use crate::maintenance::{Purge, Step, Task};

static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_backfill_staging
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_backfill_staging
                             WHERE state IN ('inserted', 'skipped') AND processed_at < $1
                             ORDER BY processed_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const PURGE: Purge = Purge { table: c"costsim_backfill_staging", task: Task::PurgeBackfill, delete: &DELETE };

/// Deletes staged records that were inserted or skipped longer ago than that, those that were so first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["backfill"])]
fn costsim_purge_backfill(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(PURGE.by_hand(c"costsim_purge_backfill()", older_than, max_rows)?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    PURGE.some(step)
}
