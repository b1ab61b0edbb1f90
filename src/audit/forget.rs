//! How long dead letters are remembered that were written after all. One that still waits is never deleted.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::Statement;
use crate::error::{Answer, Result};
use crate::maintenance::{Purge, Step, Task};

/// The status counts what failed in the last day.
static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_audit_failures
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_audit_failures
                             WHERE replayed_at < $1 AND failed_at < now() - INTERVAL '24 hours'
                             ORDER BY replayed_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const PURGE: Purge =
    Purge { table: c"costsim_audit_failures", task: Task::PurgeAuditFailures, delete: &DELETE };

/// Deletes dead letters that were written as records longer ago than that, those first that were so first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["audit"])]
fn costsim_purge_audit_failures(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(PURGE.by_hand(c"costsim_purge_audit_failures()", older_than, max_rows)?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    PURGE.some(step)
}
