//! Requirements: what a transaction says it may only commit as a leader.
//!
//! A requirement is checked when it is made, and once more just before the commit, when nothing the transaction does can take time
//! any more:
//!
//! ```text
//!   require ......... the transaction works ......... COMMIT
//!      |                                                | joins `commits` (share): nobody begins the next term from here on
//!      | current? else 55000                            | reads what is committed now; not current any more? 55000, nothing is written
//!      v                                                v
//!                                                     committed; then the lock goes
//! ```
//!
//! Whoever begins the next term takes `commits` exclusively first. So every commit by a term is over before the next term begins, and
//! in between nobody waits: a candidate waits for a commit, never for a transaction.

use std::cell::{Cell, RefCell};

use costsim_core::lease;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::{Error, Result};
use crate::{db, lock};

use super::{held, store};

/// What a transaction requires.
#[derive(Clone, Copy)]
struct Requirement {
    subtransaction: pg_sys::SubTransactionId,
    lock_id: i64,
    token: i64,
    /// The subtransaction that ended the term itself, after it was found current: it counts to the commit.
    settled_by: Option<pg_sys::SubTransactionId>,
}

thread_local! {
    /// Oldest first. What a subtransaction required goes with it when it is rolled back.
    static REQUIRED: RefCell<Vec<Requirement>> = const { RefCell::new(Vec::new()) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Requires the term of this token, or that of this session, now and at commit.
pub fn require(lock_id: i64, token: Option<i64>) -> Result<()> {
    let token = match token {
        Some(token) => token,
        None => {
            held::term(lock_id)
                .ok_or_else(|| Error::NotLeader { lock_id, detail: NO_SESSION_TERM.into() })?
                .token
        }
    };
    check(lock_id, token, has_session(lock_id))?;
    watch();
    REQUIRED.with_borrow_mut(|required| {
        // What an outer level requires already, it requires of this one too.
        let is_known =
            |known: &Requirement| (known.lock_id, known.token, known.settled_by) == (lock_id, token, None);
        if !required.iter().any(is_known) {
            required.push(Requirement {
                subtransaction: db::current_subtransaction(),
                lock_id,
                token,
                settled_by: None,
            });
        }
    });
    Ok(())
}

/// To be called before this transaction begins or ends a term of the lock, once every commit by it is done: what it requires is
/// looked at now, for the last time. From here on to its end nobody else changes the term. `has_session`: whether the session of a term
/// in session mode has led until now.
pub fn settle(lock_id: i64, has_session: bool) -> Result<()> {
    let open = |requirement: &Requirement| requirement.lock_id == lock_id && requirement.settled_by.is_none();
    for requirement in REQUIRED.with_borrow(Clone::clone).iter().filter(|&requirement| open(requirement)) {
        check(lock_id, requirement.token, has_session)?;
    }
    REQUIRED.with_borrow_mut(|required| {
        required
            .iter_mut()
            .filter(|requirement| open(requirement))
            .for_each(|requirement| requirement.settled_by = Some(db::current_subtransaction()));
    });
    Ok(())
}

const NO_SESSION_TERM: &str = "This session holds no term of the lock. A leader by lease passes its token.";

fn has_session(lock_id: i64) -> bool {
    lock::leads(lock_id) || lock::has_session(lock_id)
}

/// Whether the term is current, by what is committed at this moment.
fn check(lock_id: i64, token: i64, has_session: bool) -> Result<()> {
    let latest = store::latest(lock_id)?;
    if lease::is_current(latest.as_ref(), token, has_session, super::now()) {
        return Ok(());
    }
    let detail = match latest {
        Some(term) if term.token == token => format!("The term of token {token} is over."),
        Some(term) => format!("The latest term has token {}, not {token}.", term.token),
        None => "Nobody has ever led this lock.".into(),
    };
    Err(Error::NotLeader { lock_id, detail })
}

/// What the transaction requires, once more, at a moment from which on nothing of it waits.
fn check_at_commit() -> Result<()> {
    let mut required = REQUIRED.with_borrow(Clone::clone);
    required.retain(|requirement| requirement.settled_by.is_none());
    // In one order in all transactions, so that no two wait for each other.
    required.sort_by_key(|requirement| requirement.lock_id);
    db::with_statement_timeout_for_locks(|| {
        required.iter().for_each(|requirement| lock::join_commits(requirement.lock_id));
    });
    for requirement in &required {
        check(requirement.lock_id, requirement.token, has_session(requirement.lock_id))?;
    }
    Ok(())
}

fn watch() {
    if !IS_WATCHING.replace(true) {
        db::watch_ends(Some(on_transaction), Some(on_subtransaction));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PRE_COMMIT, XACT_EVENT_PRE_PREPARE,
    };
    if REQUIRED.with_borrow(Vec::is_empty) {
        return;
    }
    let outcome = match event {
        XACT_EVENT_PRE_COMMIT => db::with_latest_snapshot(|| db::as_owner(check_at_commit)),
        XACT_EVENT_PRE_PREPARE => Err(Error::CannotPrepare {
            what: "required leadership",
            detail: "A prepared transaction may commit long after the term is over.",
        }),
        XACT_EVENT_COMMIT | XACT_EVENT_ABORT => {
            REQUIRED.with_borrow_mut(Vec::clear);
            Ok(())
        }
        _ => Ok(()),
    };
    if let Err(refused) = outcome {
        pgrx::pg_sys::panic::ErrorReport::from(refused).report(pgrx::PgLogLevel::ERROR);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    mine: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    use pg_sys::SubXactEvent::{SUBXACT_EVENT_ABORT_SUB, SUBXACT_EVENT_COMMIT_SUB};
    REQUIRED.with_borrow_mut(|required| match event {
        SUBXACT_EVENT_COMMIT_SUB => required.iter_mut().for_each(|requirement| {
            if requirement.subtransaction == mine {
                requirement.subtransaction = parent;
            }
            if requirement.settled_by == Some(mine) {
                requirement.settled_by = Some(parent);
            }
        }),
        SUBXACT_EVENT_ABORT_SUB => {
            required.retain(|requirement| requirement.subtransaction != mine);
            required
                .iter_mut()
                .filter(|requirement| requirement.settled_by == Some(mine))
                .for_each(|requirement| requirement.settled_by = None);
        }
        _ => {}
    });
}
