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
//! manager and the row hold: `DISCARD ALL` or `pg_advisory_unlock_all()` end a term behind our back, and the bare lock that the
//! same session may take later does not bring it back. [`term`] asks both.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::store;
use crate::error::{Error, Result};

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
    /// Locks of which this module holds one count.
    locked: Vec<i64>,
}

thread_local! {
    static SESSION: RefCell<Session> = RefCell::default();
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// The term this session leads, if it still holds the lock and nobody has led since.
pub fn term(lock_id: i64) -> Result<Option<Term>> {
    match remembered(lock_id) {
        Some(term) if store::is_latest(lock_id, term.token)? => Ok(Some(term)),
        _ => Ok(None),
    }
}

/// The term this session remembers, if it holds the lock.
pub fn remembered(lock_id: i64) -> Option<Term> {
    SESSION.with_borrow(|session| session.terms.get(&lock_id).cloned()).filter(|_| holds(lock_id))
}

/// Takes the advisory lock without waiting: whether this session has it now. It is given back when the (sub)transaction
/// aborts, or when no [`begin`] follows before its end.
pub fn try_lock(lock_id: i64) -> bool {
    watch();
    let has_ours = SESSION.with_borrow(|session| session.locked.contains(&lock_id)) && holds(lock_id);
    if has_ours {
        return true;
    }
    // SAFETY: the tag is a plain struct; a session-level lock (third argument) without waiting (fourth).
    let result = unsafe { pg_sys::LockAcquire(&tag(lock_id), pg_sys::ExclusiveLock as i32, true, true) };
    if result == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
        return false;
    }
    SESSION.with_borrow_mut(|session| {
        if !session.locked.contains(&lock_id) {
            session.locked.push(lock_id);
        }
        let before = session.terms.remove(&lock_id);
        // A remembered term whose lock was gone is over whatever becomes of this transaction.
        drop(before);
        session.changes.push(Change { subtransaction: current(), lock_id, before: None });
    });
    true
}

/// Remembers a new term of this session.
pub fn begin(lock_id: i64, term: Term) {
    change(lock_id, Some(term));
}

/// Forgets the term; the lock follows at commit.
pub fn end(lock_id: i64) {
    change(lock_id, None);
}

fn change(lock_id: i64, after: Option<Term>) {
    watch();
    SESSION.with_borrow_mut(|session| {
        let before = match after {
            Some(term) => session.terms.insert(lock_id, term),
            None => session.terms.remove(&lock_id),
        };
        session.changes.push(Change { subtransaction: current(), lock_id, before });
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
        self.locked.retain(|lock_id| {
            let is_needed = terms.contains_key(lock_id)
                || changes.iter().any(|change| change.lock_id == *lock_id && change.before.is_some());
            if !is_needed && holds(*lock_id) {
                // SAFETY: a session-level lock of which this module took one count.
                unsafe { pg_sys::LockRelease(&tag(*lock_id), pg_sys::ExclusiveLock as i32, true) };
            }
            is_needed
        });
    }
}

fn current() -> pg_sys::SubTransactionId {
    // SAFETY: reads a number of the transaction state.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

fn tag(lock_id: i64) -> pg_sys::LOCKTAG {
    // The four fields of SET_LOCKTAG_ADVISORY for a bigint key, as pg_try_advisory_lock(bigint) fills them.
    let halves = lock_id.cast_unsigned();
    pg_sys::LOCKTAG {
        locktag_field1: store::database().to_u32(),
        locktag_field2: (halves >> 32) as u32,
        locktag_field3: (halves & u64::from(u32::MAX)) as u32,
        locktag_field4: 1,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

fn holds(lock_id: i64) -> bool {
    let tag = tag(lock_id);
    // SAFETY: looks the tag up in this backend's own table of locks.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        return pg_sys::LockHeldByMe(&tag, pg_sys::ExclusiveLock as i32);
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        return pg_sys::LockHeldByMe(&tag, pg_sys::ExclusiveLock as i32, false);
    }
}

fn watch() {
    if IS_WATCHING.replace(true) {
        return;
    }
    // SAFETY: both callbacks stay registered for the life of the backend, as the library does.
    unsafe {
        pg_sys::RegisterXactCallback(Some(on_transaction), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(on_subtransaction), std::ptr::null_mut());
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
            pgrx::pg_sys::panic::ErrorReport::from(Error::CannotPrepare { what: "changed who leads" })
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
