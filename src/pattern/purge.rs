//! How long patterns are remembered, counted from when they were last seen.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::Statement;
use crate::error::{Answer, Result};
use crate::maintenance::{Purge, Step, Task};

static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_pattern_feedback
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_pattern_feedback
                             WHERE last_seen < $1
                             ORDER BY last_seen, id LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const PURGE: Purge = Purge { table: c"costsim_pattern_feedback", task: Task::PurgeFeedback, delete: &DELETE };

/// Deletes patterns that were last seen longer ago than that, the oldest first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["pattern"])]
fn costsim_purge_feedback(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(PURGE.by_hand(c"costsim_purge_feedback()", older_than, max_rows)?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    PURGE.some(step)
}
