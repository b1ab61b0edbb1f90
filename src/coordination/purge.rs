//! How long envelopes are remembered that have ended. The audit keeps what was decided about them.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::Statement;
use crate::error::{Answer, Result};
use crate::maintenance::{Purge, Step, Task};

static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_envelopes
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_envelopes
                             WHERE status <> 'active' AND ended_at < $1
                             ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const PURGE: Purge = Purge { table: c"costsim_envelopes", task: Task::PurgeEnvelopes, delete: &DELETE };

/// Deletes envelopes that ended longer ago than that, those that did so first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["coordination"])]
fn costsim_purge_envelopes(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(PURGE.by_hand(c"costsim_purge_envelopes()", older_than, max_rows)?)
}

/// Deletes some of what is too old: how many rows.
pub fn purge_some(step: Step) -> Result<i64> {
    PURGE.some(step)
}
