//! Long work that one transaction does at a time, under the lock id of whoever leads it.
//!
//! The lock is taken to the end of the transaction, never waited for, and excludes whoever leads the lock id: another session that holds it
//! (old clients with the bare advisory lock too), or anybody with a lease that lives. The session that leads it may do the work itself.

use pgrx::pg_sys::BuiltinOid::INT8OID;

use crate::db::{self, Statement, nullable};
use crate::error::{Error, Result};
use crate::lock;

static LEADER: Statement = Statement::current(
    "SELECT l.mode = 'lease', l.pid, l.node_id FROM @schema@.costsim_leader($1) AS l",
    &[INT8OID],
);

/// Who leads a lock id.
struct Leader {
    has_lease: bool,
    pid: Option<i32>,
    node_id: Option<String>,
}

/// Takes the lock for this transaction, or refuses with 55P03 and says who has it.
pub fn take(lock_id: i64) -> Result<()> {
    if !lock::try_key_for_transaction(lock_id) {
        return Err(match leader(lock_id)? {
            Some(holder) => held(lock_id, &holder),
            None => fleeting(lock_id),
        });
    }
    // From now on nobody begins a lease. One that is just being given, and not committed yet, shows in this lock alone.
    if !lock::try_change(lock_id) {
        return Err(fleeting(lock_id));
    }
    let leader = leader(lock_id)?;
    lock::give_up_change(lock_id);
    match leader {
        Some(leader) if leader.has_lease => Err(held(lock_id, &leader)),
        _ => Ok(()),
    }
}

fn leader(lock_id: i64) -> Result<Option<Leader>> {
    db::as_owner(|| {
        LEADER.row(&[lock_id.into()], |row| {
            Ok(Leader {
                has_lease: nullable(row, 1)?.unwrap_or(false),
                pid: nullable(row, 2)?,
                node_id: nullable(row, 3)?,
            })
        })
    })
}

fn held(lock_id: i64, leader: &Leader) -> Error {
    let node = leader.node_id.as_deref().map_or_else(String::new, |node| format!(" (node \"{node}\")"));
    if leader.has_lease {
        return Error::LockHeld {
            lock_id,
            detail: format!("It is leased{node}, and a lease does not tell whose session this is."),
            hint: "Give the lease back with costsim_release_lease, or let it run out, and lead by costsim_try_leader.",
        };
    }
    let detail = match leader.pid {
        Some(pid) => format!("Process {pid}{node} holds it."),
        None => "A prepared transaction holds it.".into(),
    };
    Error::LockHeld { lock_id, detail, hint: "Wait until it is done, or work in the session that leads." }
}

fn fleeting(lock_id: i64) -> Error {
    Error::LockHeld {
        lock_id,
        detail: "Somebody takes it, renews it or gives it back in this moment.".into(),
        hint: "Try again.",
    }
}
