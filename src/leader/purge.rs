//! How long is remembered what became of terms. Epochs are not here: the row of a lock id keeps them, and stays.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::Statement;
use crate::error::{Answer, Result};
use crate::maintenance::{Purge, Step, Task};

/// What became of the latest term of a lock id stays: by it something is told once in a term.
static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_leader_events
      WHERE id = ANY (ARRAY(SELECT e.id FROM ONLY @schema@.costsim_leader_events e
                             WHERE e.at < $1
                               AND NOT EXISTS (SELECT FROM @schema@.costsim_leaders t WHERE t.lock_id = e.lock_id AND t.token = e.token)
                             ORDER BY e.at LIMIT $2 FOR UPDATE OF e SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const PURGE: Purge =
    Purge { table: c"costsim_leader_events", task: Task::PurgeLeaderEvents, delete: &DELETE };

/// Deletes events of longer ago than that, but those of the latest term of a lock id, the oldest first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["leader"])]
fn costsim_purge_leader_events(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(PURGE.by_hand(c"costsim_purge_leader_events()", older_than, max_rows)?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    PURGE.some(step)
}
