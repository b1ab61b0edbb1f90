//! Word of hours that have changed: what roll-ups must not answer for.
//!
//! A *mark* is a row of costsim_drift_changes that names an hour; it is written in the transaction that changes a row of that hour, so
//! whoever sees the row sees the mark, however late its transaction commits. A reader answers a marked hour from the rows themselves.
//! The refresher takes marks away and writes the roll-up in one transaction.
//!
//! One mark is enough for an hour, and thousands of transactions write into the present one. So a transaction that finds the hour marked
//! writes none, if it can be sure that it sees that mark itself and that nobody takes it away before it ends: it shares a lock on the hour
//! until then, and the refresher passes over an hour whose lock it does not get for itself alone. Nobody waits: who does not get the lock
//! writes a mark.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::TIMESTAMPTZOID;
use pgrx::prelude::*;

use crate::convert;
use crate::db::{self, Statement};
use crate::error::Result;
use crate::lock;

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Locks that a transaction takes at most. Beyond, each hour gets a mark: one that writes into years of hours must not use up the
/// server's table of locks.
const MOST_LOCKS: usize = 16;

static MARK: Statement =
    Statement::current("INSERT INTO @schema@.costsim_drift_changes (hour) VALUES ($1)", &[TIMESTAMPTZOID]);

/// What is committed now: the mark that others will see.
static IS_MARKED: Statement = Statement::looking(MARK_OF_HOUR, &[TIMESTAMPTZOID]);

/// What this statement sees: the mark that this transaction will see, however long its snapshot lasts.
static IS_SEEN: Statement = Statement::reading(MARK_OF_HOUR, &[TIMESTAMPTZOID]);

const MARK_OF_HOUR: &str = "SELECT 1 FROM @schema@.costsim_drift_changes WHERE hour = $1 LIMIT 1";

static MARK_ALL: Statement =
    Statement::current("INSERT INTO @schema@.costsim_drift_changes (hour) VALUES (NULL)", &[]);

thread_local! {
    /// The hours that this transaction has made sure of.
    static SURE_OF: RefCell<BTreeSet<i64>> = const { RefCell::new(BTreeSet::new()) };
    /// The last of them: rows come in runs.
    static LAST: Cell<Option<i64>> = const { Cell::new(None) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// The beginning of the hour, in UTC, of a moment in the server's microseconds. What is infinite is an hour of its own.
fn hour_of(micros: pg_sys::TimestampTz) -> i64 {
    match micros {
        i64::MIN | i64::MAX => micros,
        micros => micros.div_euclid(HOUR) * HOUR,
    }
}

/// Makes sure that the hour of this moment counts as changed from this transaction's commit on.
pub fn mark(created_at: pg_sys::TimestampTz) -> Result<()> {
    let hour = hour_of(created_at);
    if LAST.get() == Some(hour) {
        return Ok(());
    }
    if !SURE_OF.with_borrow(|hours| hours.contains(&hour)) {
        watch();
        db::as_owner(|| {
            if is_marked_for_good(hour)? { Ok(()) } else { MARK.run(&[stamp(hour)?.into()]).map(drop) }
        })?;
        SURE_OF.with_borrow_mut(|hours| hours.insert(hour));
    }
    LAST.set(Some(hour));
    Ok(())
}

/// Has every hour count as changed.
pub fn mark_all() -> Result<()> {
    db::as_owner(|| MARK_ALL.run(&[]).map(drop))
}

/// Whether the hour is marked, and stays so until this transaction ends.
fn is_marked_for_good(hour: i64) -> Result<bool> {
    // Under SERIALIZABLE a look would tie this transaction to every other that marks some hour.
    if db::is_serializable()
        || SURE_OF.with_borrow(BTreeSet::len) >= MOST_LOCKS
        || !lock::try_share_hour(hour)
    {
        return Ok(false);
    }
    let is_there = |statement: &'static Statement| {
        statement.row(&[stamp(hour)?.into()], |_| Ok(())).map(|mark| mark.is_some())
    };
    // A mark that is committed may lie beyond the snapshot under which this transaction goes on reading, and it would overlook its own rows.
    Ok(is_there(&IS_MARKED)?
        && if db::has_lasting_snapshot() {
            // Not the statement's: a foreign key's own reads what is committed now.
            db::with_transaction_snapshot(|| is_there(&IS_SEEN))?
        } else {
            is_there(&IS_SEEN)?
        })
}

fn stamp(hour: i64) -> Result<TimestampWithTimeZone> {
    convert::timestamp(hour)
}

/// Locks go, and marks with them, where a transaction or subtransaction aborts: what was sure is so no longer.
fn watch() {
    if !IS_WATCHING.replace(true) {
        db::watch_ends(Some(on_transaction), Some(on_subtransaction));
    }
}

/// Nothing is sure any more: for who takes marks away in the transaction that may have written them.
pub fn forget() {
    SURE_OF.with_borrow_mut(BTreeSet::clear);
    LAST.set(None);
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    if let XACT_EVENT_COMMIT | XACT_EVENT_ABORT | XACT_EVENT_PREPARE = event {
        forget();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        forget();
    }
}
