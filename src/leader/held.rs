//! What this session leads, and the advisory locks behind it.
//!
//! An advisory lock knows nothing of transactions, a term does: what a (sub)transaction took is given back when it aborts, and
//! what it gave back is unlocked only when it commits. So each change is written down with its subtransaction, and one rule
//! decides about the lock itself:
//!
//! ```text
//!   the lock is needed  <=>  this session leads it now,
//!                            or a change that could still be undone would make it lead it again
//! ```
//!
//! [`Session::settle`] applies the rule after every end of a (sub)transaction. The memory is a cache of a truth that the lock
//! manager holds: `DISCARD ALL` or `pg_advisory_unlock_all()` end a term behind our back, and the bare lock that the same session, or
//! the next client a pooler puts on it, takes later does not bring it back. [`crate::lock`] tells the two apart.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use chrono::TimeDelta;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::{Error, Result};
use crate::{db, lock};

/// A term that this session leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Who asked, in the application's own words.
    pub node_id: Option<Rc<str>>,
    /// The fencing token.
    pub token: i64,
}

/// What a change replaced, so that an abort can put it back.
struct Change {
    subtransaction: pg_sys::SubTransactionId,
    lock_id: i64,
    before: Option<Term>,
}

#[derive(Default)]
struct Session {
    terms: HashMap<i64, Term>,
    /// Oldest first; empty outside a transaction that changed something.
    changes: Vec<Change>,
    /// Locks of which this module took one count.
    locked: Vec<Lock>,
}

#[derive(Clone, Copy)]
struct Lock {
    lock_id: i64,
    /// Whether the mark was set that tells this lock from one that the session takes by hand.
    is_marked: bool,
}

impl Lock {
    fn give_back(self) {
        if self.is_marked { lock::release(self.lock_id) } else { lock::release_key(self.lock_id) }
    }
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// The term this session leads, if it still holds what came with it.
pub fn term(lock_id: i64) -> Option<Term> {
    let term = SESSION.with_borrow(|session| session.terms.get(&lock_id).cloned())?;
    if lock::leads(lock_id) {
        return Some(term);
    }
    forget_lost(lock_id);
    None
}

/// A term that was lost behind our back is over whatever becomes of this transaction, and nothing left of it may count for the
/// next one.
fn forget_lost(lock_id: i64) {
    lock::release(lock_id);
    SESSION.with_borrow_mut(|session| {
        session.locked.retain(|lock| lock.lock_id != lock_id);
        session.terms.remove(&lock_id);
        session
            .changes
            .iter_mut()
            .filter(|change| change.lock_id == lock_id)
            .for_each(|change| change.before = None);
    });
}

/// Takes the advisory lock without waiting: whether this session has it now. It is given back when the (sub)transaction
/// aborts, or when no [`begin`] follows before its end.
pub fn try_lock(lock_id: i64) -> bool {
    if has_lock(lock_id) {
        return true;
    }
    let is_ours = lock::try_key(lock_id);
    if is_ours {
        remember_lock(lock_id);
    }
    is_ours
}

/// The same, waiting in the lock's queue for at most `limit`.
pub fn wait_for_lock(lock_id: i64, limit: TimeDelta) -> Result<bool> {
    if has_lock(lock_id) {
        return Ok(true);
    }
    let is_ours = db::wait_at_most(limit, || lock::wait_for_key(lock_id))?;
    if is_ours {
        lock::keep_key(lock_id);
        remember_lock(lock_id);
    }
    Ok(is_ours)
}

/// Gives the lock back that was taken in vain: no term shall begin.
pub fn give_up_lock(lock_id: i64) {
    SESSION.with_borrow_mut(|session| {
        // Written down by [`remember_lock`]; as if it had never been.
        session.changes.pop_if(|change| {
            change.lock_id == lock_id && change.before.is_none() && !session.terms.contains_key(&lock_id)
        });
        session.settle();
    });
}

fn has_lock(lock_id: i64) -> bool {
    watch();
    if SESSION.with_borrow(|session| session.locked.iter().all(|lock| lock.lock_id != lock_id)) {
        return false;
    }
    let leads = lock::leads(lock_id);
    if !leads {
        forget_lost(lock_id);
    }
    leads
}

fn remember_lock(lock_id: i64) {
    // Written down before the mark is set: should that fail, the abort gives the key back.
    SESSION.with_borrow_mut(|session| {
        session.locked.push(Lock { lock_id, is_marked: false });
        session.changes.push(Change { subtransaction: db::current_subtransaction(), lock_id, before: None });
    });
    lock::mark(lock_id);
    SESSION.with_borrow_mut(|session| {
        session
            .locked
            .iter_mut()
            .filter(|lock| lock.lock_id == lock_id)
            .for_each(|lock| lock.is_marked = true);
    });
}

/// Remembers a new term of this session.
pub fn begin(lock_id: i64, term: Term) {
    change(lock_id, Some(term));
}

/// Forgets the term; the lock follows at commit.
pub fn end(lock_id: i64) {
    change(lock_id, None);
}

/// Notes that this transaction has changed the term of somebody else's lease: it cannot be prepared either.
pub fn note_change(lock_id: i64) {
    let here = db::current_subtransaction();
    let is_known = |change: &Change| change.lock_id == lock_id && change.subtransaction == here;
    if SESSION.with_borrow(|session| session.changes.iter().any(is_known)) {
        return;
    }
    let term = SESSION.with_borrow(|session| session.terms.get(&lock_id).cloned());
    change(lock_id, term);
}

fn change(lock_id: i64, after: Option<Term>) {
    watch();
    SESSION.with_borrow_mut(|session| {
        let before = match after {
            Some(term) => session.terms.insert(lock_id, term),
            None => session.terms.remove(&lock_id),
        };
        session.changes.push(Change { subtransaction: db::current_subtransaction(), lock_id, before });
    });
}

impl Session {
    /// Undoes, newest first, the changes from `first` on.
    fn undo_from(&mut self, first: usize) {
        for change in self.changes.drain(first..).rev() {
            match change.before {
                Some(term) => self.terms.insert(change.lock_id, term),
                None => self.terms.remove(&change.lock_id),
            };
        }
    }

    /// Gives back every lock that nothing needs any more.
    fn settle(&mut self) {
        let (terms, changes) = (&self.terms, &self.changes);
        self.locked.retain(|lock| {
            let is_needed = terms.contains_key(&lock.lock_id)
                || changes.iter().any(|change| change.lock_id == lock.lock_id && change.before.is_some());
            if !is_needed {
                lock.give_back();
            }
            is_needed
        });
    }
}

fn watch() {
    if !IS_WATCHING.replace(true) {
        db::watch_ends(Some(on_transaction), Some(on_subtransaction));
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PARALLEL_ABORT, XACT_EVENT_PRE_PREPARE,
    };
    match event {
        XACT_EVENT_COMMIT => SESSION.with_borrow_mut(|session| {
            session.changes.clear();
            session.settle();
        }),
        XACT_EVENT_ABORT | XACT_EVENT_PARALLEL_ABORT => SESSION.with_borrow_mut(|session| {
            session.undo_from(0);
            session.settle();
        }),
        XACT_EVENT_PRE_PREPARE if SESSION.with_borrow(|session| !session.changes.is_empty()) => {
            pgrx::pg_sys::panic::ErrorReport::from(Error::CannotPrepare {
                what: "changed who leads",
                detail: "A session lock belongs to its session; a prepared transaction belongs to none.",
            })
            .report(pgrx::PgLogLevel::ERROR);
        }
        _ => {}
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
    SESSION.with_borrow_mut(|session| match event {
        SUBXACT_EVENT_COMMIT_SUB => {
            session
                .changes
                .iter_mut()
                .filter(|change| change.subtransaction == mine)
                .for_each(|change| change.subtransaction = parent);
        }
        SUBXACT_EVENT_ABORT_SUB => {
            // Subtransactions nest, so a subtransaction's changes are the last ones.
            let first = session.changes.iter().position(|change| change.subtransaction == mine);
            if let Some(first) = first {
                session.undo_from(first);
                session.settle();
            }
        }
        _ => {}
    });
}
