//! How long provenance is remembered.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::{self, Statement};
use crate::error::{Answer, Result};
use crate::maintenance::{self, Purge, Step, Task};
use crate::turn;

/// The lock of whoever archives or purges provenance.
const ARCHIVER: i64 = 7003;

static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_provenance
      WHERE id = ANY (ARRAY(SELECT id FROM ONLY @schema@.costsim_provenance
                             WHERE created_at < $1
                             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const PURGE: Purge = Purge { table: c"costsim_provenance", task: Task::PurgeProvenance, delete: &DELETE };

/// Deletes provenance that is older than that, the oldest first, at most so many rows: how many.
///
/// It becomes the owner only after the caller's own deferred triggers have run: as the caller.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_purge_provenance(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    db::require_writable(c"costsim_purge_provenance()");
    let (age, max_rows) = maintenance::bounds(older_than, max_rows, "Leave it out for 90 days.")?;
    // What is put off to the commit cannot be, where the server watches over what is done.
    db::check_deferred_constraints()?;
    Ok(db::as_owner(|| {
        turn::take(ARCHIVER)?;
        PURGE.purge(Step::whole(age, max_rows))
    })?)
}

/// Deletes some of what is too old: how many rows. Refuses with 55P03 where another session archives, or whoever holds the lock.
pub fn purge_some(step: Step) -> Result<i64> {
    db::check_deferred_constraints()?;
    turn::take(ARCHIVER)?;
    PURGE.purge(step)
}
