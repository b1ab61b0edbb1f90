//! Several relations locked together, so that no transaction of an application is ended for it.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use chrono::TimeDelta;
use pgrx::prelude::*;

use super::server::{deadlock_timeout, lock_timeout};
use super::statement::{column, run_once};
use super::transaction::{catch, with_lock_timeout};
use crate::clock;
use crate::error::{Error, Result};

/// A relation, and the mode in which it is to be locked.
pub type Lock = (pg_sys::Oid, u32);

/// Locks relations for the rest of the transaction. Whoever uses one of them may want another next, in whatever order: so a wait is only
/// for the first, while none is held, and a short one for the others, or all are let go and the one that was in use comes first. An attempt in which others
/// are waited for ends before a session that waits for us looks for a deadlock. One that waits long, for the first alone, has autovacuum make way.
/// Who has to wait is told once, for which table.
pub fn lock_all(mut locks: Vec<Lock>) -> Result<()> {
    if locks.is_empty() {
        return Ok(());
    }
    let began = clock::now();
    let patience = deadlock_timeout();
    for attempt in 0_u64.. {
        let left = match lock_timeout() {
            None => patience * 2,
            Some(limit) => limit - (clock::now() - began),
        };
        if left <= TimeDelta::zero() {
            break;
        }
        let is_long = attempt % 2 == 1;
        let first = left.min(if is_long { patience * 2 } else { patience / 2 });
        let others = if is_long { TimeDelta::zero() } else { left.min(patience / 4) };
        let in_use = Cell::new(0);
        let wanted = AssertUnwindSafe((&locks, &in_use));
        let outcome = catch(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, move || {
            let (locks, in_use) = *wanted;
            let mut deadline = clock::now() + first;
            for (place, it) in locks.iter().enumerate() {
                in_use.set(place);
                lock(*it, deadline - clock::now())?;
                if place == 0 {
                    deadline = clock::now() + others;
                }
            }
            Ok(())
        });
        match outcome {
            Ok(Some(())) => return Ok(()),
            Ok(None) | Err(Error::InUse { .. }) => locks[..=in_use.get()].rotate_right(1),
            Err(error) => return Err(error),
        }
        if attempt == 0 {
            tell_of_waiting(locks[0].0)?;
        }
    }
    Err(Error::InUse { table: name(locks[0].0)? })
}

/// Takes one lock, without any wait where there is no time left.
fn lock((relation, mode): Lock, limit: TimeDelta) -> Result<()> {
    let mode = mode.cast_signed();
    if limit > TimeDelta::zero() {
        return with_lock_timeout(limit, || {
            // SAFETY: raises where the lock cannot be had in time.
            unsafe { pg_sys::LockRelationOid(relation, mode) };
            Ok(())
        });
    }
    // SAFETY: takes the lock or answers that it cannot.
    if unsafe { pg_sys::ConditionalLockRelationOid(relation, mode) } {
        Ok(())
    } else {
        Err(Error::InUse { table: name(relation)? })
    }
}

/// The script of an extension tells its user of nothing below a warning.
fn tell_of_waiting(relation: pg_sys::Oid) -> Result<()> {
    // SAFETY: reads a variable of this process.
    let is_script = unsafe { pg_sys::creating_extension };
    let (level, code) = if is_script {
        (PgLogLevel::WARNING, PgSqlErrorCode::ERRCODE_WARNING)
    } else {
        (PgLogLevel::NOTICE, PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION)
    };
    let what = format!("waiting for the transactions that use table {}; see pg_locks", name(relation)?);
    ereport!(level, code, what);
    Ok(())
}

fn name(relation: pg_sys::Oid) -> Result<String> {
    let text = "SELECT ($1::pg_catalog.regclass)::pg_catalog.text";
    Ok(run_once(text, &[relation.into()], |row| column(row, 1))?.unwrap_or_default())
}
