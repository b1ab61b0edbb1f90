//! Transactions and subtransactions: whole ones, waits and errors inside one, what happens at their ends.

use std::cell::Cell;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, UnwindSafe};

use chrono::TimeDelta;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::prelude::*;
use pgrx::{PgTryBuilder, pg_sys};

use super::home::{begin_to_serve, end_serving, is_installed};
use super::server::{deadlock_timeout, has_lasting_snapshot, set_for_a_while};
use crate::call::must;
use crate::error::{Error, Result};

thread_local! {
    static MUST_BE_DURABLE: Cell<bool> = const { Cell::new(false) };
    static IS_WATCHING_COMMITS: Cell<bool> = const { Cell::new(false) };
    static WAS_DENIED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a right was missing (42501) in what was caught since this was asked last.
pub fn was_denied() -> bool {
    WAS_DENIED.take()
}

/// Has the server call these at the ends of transactions and subtransactions, for the life of the backend.
pub fn watch_ends(of_transaction: pg_sys::XactCallback, of_subtransaction: pg_sys::SubXactCallback) {
    // SAFETY: the functions stay as long as the library, which is never unloaded.
    unsafe {
        pg_sys::RegisterXactCallback(of_transaction, std::ptr::null_mut());
        if of_subtransaction.is_some() {
            pg_sys::RegisterSubXactCallback(of_subtransaction, std::ptr::null_mut());
        }
    }
}

/// The innermost subtransaction that is open; the transaction itself counts as the first.
pub fn current_subtransaction() -> pg_sys::SubTransactionId {
    // SAFETY: reads a number of the transaction state.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// Makes the commit of this transaction wait for its WAL even where the session turned that off: a transition or an alert
/// that was acknowledged must survive a crash. Levels other than `off` stay as the user chose them. What the session says later in
/// the transaction does not undo it: it is said again just before the commit.
pub fn make_commit_durable() {
    switch_durable();
    if !MUST_BE_DURABLE.replace(true) && !IS_WATCHING_COMMITS.replace(true) {
        watch_ends(Some(on_transaction), None);
    }
}

fn switch_durable() {
    // SAFETY: reads an int of the server's settings; the strings are static.
    unsafe {
        if pg_sys::synchronous_commit >= pg_sys::SyncCommitLevel::SYNCHRONOUS_COMMIT_LOCAL_FLUSH as i32 {
            return;
        }
        pg_sys::set_config_option(
            c"synchronous_commit".as_ptr(),
            c"on".as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PRE_COMMIT, XACT_EVENT_PRE_PREPARE,
        XACT_EVENT_PREPARE,
    };
    match event {
        XACT_EVENT_PRE_COMMIT | XACT_EVENT_PRE_PREPARE if MUST_BE_DURABLE.get() => switch_durable(),
        XACT_EVENT_COMMIT | XACT_EVENT_ABORT | XACT_EVENT_PREPARE => MUST_BE_DURABLE.set(false),
        _ => {}
    }
}

/// The transaction of this session whose snapshot lasts to its end; `None` where every statement takes one of its own.
pub fn lasting_transaction() -> Option<u32> {
    if !has_lasting_snapshot() {
        return None;
    }
    // SAFETY: a process with a transaction has its entry among the processes; only it writes that number.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let transaction = (*pg_sys::MyProc).lxid;
        #[cfg(not(any(feature = "pg14", feature = "pg15", feature = "pg16")))]
        let transaction = (*pg_sys::MyProc).vxid.lxid;
        Some(transaction)
    }
}

/// Whether this transaction may have written anything.
pub fn has_written() -> bool {
    // SAFETY: reads a number of the transaction state.
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// What is committed at this moment, whatever the isolation level. The server's own: to be pushed or copied at once.
pub(super) fn latest_snapshot() -> pg_sys::Snapshot {
    // SAFETY: within a transaction. A parallel operation may not take the one, but looks at catalogs by the other all the time.
    unsafe {
        if pg_sys::IsInParallelMode() {
            pg_sys::GetCatalogSnapshot(pg_sys::InvalidOid)
        } else {
            pg_sys::GetLatestSnapshot()
        }
    }
}

/// Runs `body` under what is committed at this moment: just before a commit, where the server has no snapshot at hand, or where the
/// caller's may be old.
pub fn with_latest_snapshot<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: pushed and popped in pairs; an error in between ends the transaction, which pops it.
    unsafe {
        pg_sys::PushActiveSnapshot(latest_snapshot());
        let outcome = body();
        pg_sys::PopActiveSnapshot();
        outcome
    }
}

/// Runs `body` under the snapshot of the transaction, where that lasts to its end.
pub fn with_transaction_snapshot<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: pushed and popped in pairs; an error in between ends the (sub)transaction, which pops it.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let outcome = body();
        pg_sys::PopActiveSnapshot();
        outcome
    }
}

/// Runs `body` in a transaction of its own, in a process that has none open: commits when it answers, aborts when it refuses.
/// An error of the server passes through and ends the process, as it must.
pub fn transaction<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: the sequence every background worker uses; nothing of the transaction is kept after it.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        // What somebody's trigger has set for the session, in a transaction before, ends here: the settings are those of the start, or of the server.
        pg_sys::ResetAllOptions();
        begin_to_serve();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let outcome = body();
        match outcome {
            Ok(_) => {
                pg_sys::PopActiveSnapshot();
                // What was put off runs as whoever has put it off.
                pg_sys::CommitTransactionCommand();
                end_serving();
            }
            Err(_) => pg_sys::AbortCurrentTransaction(),
        }
        // Without this the statistics of a process that never runs a client's command stay unreported, and autovacuum would
        // not learn of the rows it left behind.
        pg_sys::pgstat_report_stat(true);
        outcome
    }
}

/// Runs `body` in a transaction of its own, as [`transaction`] does, in which no lock is waited for longer than `limit`, nor than half of
/// `deadlock_timeout`: of two who wait for each other the server would end the other one, be it a DROP EXTENSION. `None` when a lock
/// was not to be had in time, and then nothing was done. Whatever goes wrong because the extension is being dropped is [`Error::NotInstalled`].
pub fn transaction_within<T>(limit: TimeDelta, body: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let limit = limit.min(deadlock_timeout() / 2);
    transaction(|| {
        in_subtransaction(AssertUnwindSafe(|| with_lock_timeout(limit, body).map(Some)), |caught| {
            match code_of(&caught) {
                Some(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE) => Ok(None),
                _ if !must_propagate(&caught) && !is_installed() => Err(Error::NotInstalled),
                _ => caught.rethrow(),
            }
        })
    })
}

/// Runs `body`, in which no lock is waited for longer than `limit`: 55P03.
pub fn with_lock_timeout<T>(limit: TimeDelta, body: impl FnOnce() -> Result<T>) -> Result<T> {
    let millis = limit.num_milliseconds().clamp(1, i64::from(i32::MAX));
    let text = CString::new(millis.to_string()).unwrap_or_default();
    // SAFETY: the setting is put back when its level ends, here or by the abort of the subtransaction.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        set_for_a_while(c"lock_timeout", &text);
        let outcome = body();
        pg_sys::AtEOXact_GUC(true, level);
        outcome
    }
}

/// Runs `wait`, in which this session waits for one lock, for at most `limit`: whether it got it. What was locked for the
/// transaction stays locked. All other errors, cancel and the statement's own timeout among them, pass through.
pub fn wait_at_most(limit: TimeDelta, wait: impl FnOnce() + UnwindSafe) -> Result<bool> {
    let outcome = catch(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, move || {
        with_lock_timeout(limit, || {
            wait();
            Ok(())
        })
    })?;
    Ok(outcome.is_some())
}

/// Runs `wait`, in which a commit waits for locks. The server has put the timeout of the statement aside by then, so where the session
/// has one, and none for locks, it counts for each of them: 55P03.
pub fn with_statement_timeout_for_locks(wait: impl FnOnce()) {
    // SAFETY: reads settings in milliseconds; what is changed is put back here, or by the abort.
    unsafe {
        let limit = pg_sys::StatementTimeout;
        if limit == 0 || pg_sys::LockTimeout != 0 {
            return wait();
        }
        let millis = CString::new(limit.to_string()).unwrap_or_default();
        let level = pg_sys::NewGUCNestLevel();
        set_for_a_while(c"lock_timeout", &millis);
        wait();
        pg_sys::AtEOXact_GUC(true, level);
    }
}

/// Has constraints and triggers that are put off to the commit checked now, and for the rest of the transaction at once.
pub fn check_deferred_constraints() -> Result<()> {
    Ok(Spi::run("SET CONSTRAINTS ALL IMMEDIATE")?)
}

/// Runs `body` in a subtransaction of its own: an error rolls back what `body` did and comes back as data. Cancel and shutdown are
/// never swallowed.
pub fn subtransaction<T>(body: impl FnOnce() -> Result<T> + UnwindSafe) -> Result<T> {
    in_subtransaction(body, |caught| {
        if must_propagate(&caught) {
            caught.rethrow()
        }
        Err(Error::Internal(message_of(&caught)))
    })
}

/// The same for an error that is expected: `None` when the server raised it. All others pass through unchanged.
pub fn catch<T>(
    expected: PgSqlErrorCode,
    body: impl FnOnce() -> Result<T> + UnwindSafe,
) -> Result<Option<T>> {
    in_subtransaction(
        || body().map(Some),
        |caught| if code_of(&caught) == Some(expected) { Ok(None) } else { caught.rethrow() },
    )
}

/// What the server said of something that it refused.
#[derive(Clone)]
pub struct Refusal {
    pub sqlstate: String,
    pub message: String,
}

/// Runs `body` in a subtransaction of its own, where what goes wrong lies in the data: then the server's refusal is the answer, and what
/// `body` did is rolled back. What lies in the moment (cancel, shutdown, a deadlock, a lock's timeout, no memory, no disk) passes through.
pub fn attempt<T>(body: impl FnOnce() -> Result<T> + UnwindSafe) -> Result<Result<T, Refusal>> {
    in_subtransaction(
        || body().map(Ok),
        |caught| match sqlstate_of(&caught) {
            Some(sqlstate) if !is_of_the_moment(&sqlstate) => {
                Ok(Err(Refusal { sqlstate, message: message_of(&caught) }))
            }
            _ => caught.rethrow(),
        },
    )
}

/// Runs `body` in a subtransaction of its own, whatever it is that goes wrong: but for a lock that is waited for too long, cancel and
/// shutdown, which pass through, the server's refusal is the answer; what goes wrong because the extension is being dropped is
/// [`Error::NotInstalled`].
pub fn contain<T>(body: impl FnOnce() -> Result<T> + UnwindSafe) -> Result<Result<T, Refusal>> {
    let outcome = in_subtransaction(
        // A refusal of our own is raised, so that it has its code.
        || Ok(Ok(must(body().map_err(ErrorReport::from)))),
        |caught| match sqlstate_of(&caught) {
            Some(sqlstate)
                if !must_propagate(&caught)
                    && code_of(&caught) != Some(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE) =>
            {
                Ok(Err(Refusal { sqlstate, message: message_of(&caught) }))
            }
            _ => caught.rethrow(),
        },
    )?;
    if outcome.is_err() && !is_installed() { Err(Error::NotInstalled) } else { Ok(outcome) }
}

/// Runs `body` in a subtransaction of its own, in which no lock is waited for longer than `limit`, nor longer than the session wants:
/// whatever goes wrong, but for cancel and shutdown, which pass through, the server's refusal is the answer. For what must not harm its caller:
/// the code of a cancel that somebody's trigger raises is an error like others.
pub fn contain_within<T>(
    limit: TimeDelta,
    body: impl FnOnce() -> Result<T> + UnwindSafe,
) -> Result<Result<T, Refusal>> {
    // SAFETY: reads a setting in milliseconds; 0 is none.
    let limit = match unsafe { pg_sys::LockTimeout } {
        0 => limit,
        millis => limit.min(TimeDelta::milliseconds(millis.into())),
    };
    let body = AssertUnwindSafe(body);
    in_subtransaction(
        AssertUnwindSafe(|| Ok(Ok(must(with_lock_timeout(limit, || (body.0)()).map_err(ErrorReport::from))))),
        |caught| match sqlstate_of(&caught) {
            Some(sqlstate) if !must_propagate(&caught) || !is_of_the_server(&caught) => {
                Ok(Err(Refusal { sqlstate, message: message_of(&caught) }))
            }
            _ => caught.rethrow(),
        },
    )
}

/// Runs `body` and takes back what it did: only its answer is left.
pub fn rehearse<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut answer = None;
    let played = AssertUnwindSafe(|| {
        answer = Some(body()?);
        Err(Error::Internal("a rehearsal is rolled back".into()))
    });
    let rolled_back: Result<T> = in_subtransaction(played, |caught| caught.rethrow());
    answer.map_or(rolled_back, Ok)
}

/// Classes 40 transaction rollback, 53 resources, 57 operator, 58 system; a lock that is not available; corrupted data.
fn is_of_the_moment(sqlstate: &str) -> bool {
    matches!(sqlstate.get(..2), Some("40" | "53" | "57" | "58"))
        || matches!(sqlstate, "55P03" | "XX001" | "XX002")
}

/// A code as people know it.
fn sqlstate(code: PgSqlErrorCode) -> String {
    // Five characters of six bits each, the first one lowest, as MAKE_SQLSTATE packs them.
    let packed = code as u32;
    (0..5).filter_map(|nth| char::from_u32(((packed >> (6 * nth)) & 0x3F) + u32::from(b'0'))).collect()
}

/// The only place that catches a server error, since catching one without a subtransaction leaves the data torn.
fn in_subtransaction<T>(
    body: impl FnOnce() -> Result<T> + UnwindSafe,
    handle: impl FnOnce(CaughtError) -> Result<T>,
) -> Result<T> {
    // SAFETY: the sequence of plpgsql's exception blocks: begin, run, release or roll back, and in both cases restore the
    // memory context and resource owner that were current.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        let restore = move || {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        };
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let body = AssertUnwindSafe(body);
        let outcome = PgTryBuilder::new(move || Ok((body.0)())).catch_others(Err).execute();
        match outcome {
            Ok(Ok(value)) => {
                pg_sys::ReleaseCurrentSubTransaction();
                restore();
                Ok(value)
            }
            Ok(Err(refused)) => {
                pg_sys::RollbackAndReleaseCurrentSubTransaction();
                restore();
                Err(refused)
            }
            Err(caught) => {
                pg_sys::RollbackAndReleaseCurrentSubTransaction();
                restore();
                if code_of(&caught) == Some(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE) {
                    WAS_DENIED.set(true);
                }
                handle(caught)
            }
        }
    }
}

fn code_of(caught: &CaughtError) -> Option<PgSqlErrorCode> {
    match caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
            Some(report.sql_error_code())
        }
        CaughtError::RustPanic { .. } => None,
    }
}

/// The code of a server error as people know it; none for a panic of ours. The library knows stock codes only, others become XX000.
fn sqlstate_of(caught: &CaughtError) -> Option<String> {
    code_of(caught).map(sqlstate)
}

fn must_propagate(caught: &CaughtError) -> bool {
    code_of(caught).is_none_or(|code| {
        matches!(
            code,
            PgSqlErrorCode::ERRCODE_QUERY_CANCELED
                | PgSqlErrorCode::ERRCODE_ADMIN_SHUTDOWN
                | PgSqlErrorCode::ERRCODE_CRASH_SHUTDOWN
        )
    })
}

/// Whether it is raised where the server itself ends a statement or a session; where that is not known, it may be.
fn is_of_the_server(caught: &CaughtError) -> bool {
    match caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
            report.function_name().is_none_or(|name| name == "ProcessInterrupts")
        }
        CaughtError::RustPanic { .. } => true,
    }
}

fn message_of(caught: &CaughtError) -> String {
    match caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report.message().to_owned(),
        CaughtError::RustPanic { ereport, .. } => ereport.message().to_owned(),
    }
}
