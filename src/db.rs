//! The only user of SPI: kept statements, the extension's schema, subtransactions, durability.
//!
//! A [`Statement`] is a text that names our objects as `@schema@.costsim_...`; it is prepared at its first use in a backend
//! and kept, because planning anew costs several times the call itself. Three ways to run one:
//!
//! * [`Statement::deciding`] takes a fresh snapshot, as a statement of its own would. Whatever is decided after a lock was
//!   waited for must be read this way: the caller's snapshot may predate what the other session committed. Under REPEATABLE READ and
//!   SERIALIZABLE a statement of its own sees what the transaction saw first, and a row that changed since is an error.
//! * [`Statement::current`] sees what is committed at this moment under every isolation level, and may change it, as the server's own
//!   foreign keys do. For rows that a lock of ours protects from everybody else.
//! * [`Statement::reading`] uses the caller's snapshot and is right for plain reads inside a query.
//!
//! Operators stand bare in the statements of SECURITY DEFINER functions and of the worker, whose search_path is pinned, and with their
//! schema in those that run as the caller.
//!
//! None assigns a transaction id by itself, so all work on a standby when the text only reads.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, UnwindSafe};
use std::rc::Rc;

use chrono::TimeDelta;
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{PgBuiltInOids, PgTryBuilder, pg_sys};

use crate::error::{Answer, Error, Result};

/// The extension's name in pg_extension.
const EXTENSION: &CStr = c"costsim_pg";

/// The table whose relation-cache messages tell that the extension was dropped or made anew.
const LANDMARK: &str = "costsim_leaders";

/// One statement of a room's store.
pub struct Statement {
    text: &'static str,
    arguments: &'static [PgBuiltInOids],
    snapshot: Snapshot,
}

/// What a statement sees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Snapshot {
    /// What the caller's statement sees.
    Callers,
    /// What a statement of its own would see.
    Fresh,
    /// What is committed now.
    Latest,
}

impl Statement {
    /// A statement that writes, or whose answer decides about a write.
    pub const fn deciding(text: &'static str, arguments: &'static [PgBuiltInOids]) -> Self {
        Self { text, arguments, snapshot: Snapshot::Fresh }
    }

    /// A statement that sees what is committed at this moment, whatever the isolation level.
    pub const fn current(text: &'static str, arguments: &'static [PgBuiltInOids]) -> Self {
        Self { text, arguments, snapshot: Snapshot::Latest }
    }

    /// A statement that only reads, under the caller's snapshot.
    pub const fn reading(text: &'static str, arguments: &'static [PgBuiltInOids]) -> Self {
        Self { text, arguments, snapshot: Snapshot::Callers }
    }

    /// Runs the statement and turns every row into a value.
    pub fn rows<T>(
        &'static self,
        arguments: &[DatumWithOid<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.execute(arguments, |table, count| match table {
            Some(table) => (0..count).map(|index| read(&Row { table, index })).collect(),
            None => Ok(Vec::new()),
        })
    }

    /// Runs the statement and turns its first row, if there is one, into a value.
    pub fn row<T>(
        &'static self,
        arguments: &[DatumWithOid<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.execute(arguments, |table, count| match table {
            Some(table) if count > 0 => read(&Row { table, index: 0 }).map(Some),
            _ => Ok(None),
        })
    }

    /// Runs the statement and answers how many rows it touched.
    pub fn run(&'static self, arguments: &[DatumWithOid<'_>]) -> Result<usize> {
        self.execute(arguments, |_, count| Ok(count))
    }

    /// Runs the statement and hands over its rows, which live as long as the call, and how many it touched.
    fn execute<T>(
        &'static self,
        arguments: &[DatumWithOid<'_>],
        take: impl FnOnce(Option<&pg_sys::SPITupleTable>, usize) -> Result<T>,
    ) -> Result<T> {
        let plan = self.plan()?;
        if arguments.len() != self.arguments.len() {
            return Err(Error::Internal(format!(
                "{} arguments for a statement of {}",
                arguments.len(),
                self.arguments.len()
            )));
        }
        let value = |argument: &DatumWithOid<'_>| match argument.datum() {
            Some(datum) => (datum.sans_lifetime(), b' ' as c_char),
            None => (pg_sys::Datum::from(0), b'n' as c_char),
        };
        let (mut values, nulls): (Vec<_>, Vec<_>) = arguments.iter().map(value).unzip();
        let _connection = Connection::open();
        // SAFETY: the plan is kept for the life of the backend, the arrays have the length it was prepared for, and the table
        // of rows is not used beyond the connection.
        unsafe {
            let (values, nulls) = (values.as_mut_ptr(), nulls.as_ptr());
            let status = match self.snapshot {
                Snapshot::Callers => pg_sys::SPI_execute_plan(plan, values, nulls, true, 0),
                Snapshot::Fresh => pg_sys::SPI_execute_plan(plan, values, nulls, false, 0),
                // The snapshot is copied before it is used.
                Snapshot::Latest => {
                    let latest = pg_sys::GetLatestSnapshot();
                    let none = std::ptr::null_mut();
                    pg_sys::SPI_execute_snapshot(plan, values, nulls, latest, none, false, true, 0)
                }
            };
            if status < 0 {
                return Err(Error::Internal(format!("statement ended with SPI code {status}")));
            }
            take(pg_sys::SPI_tuptable.as_ref(), pg_sys::SPI_processed as usize)
        }
    }

    fn plan(&'static self) -> Result<pg_sys::SPIPlanPtr> {
        let schema = schema()?;
        let key = std::ptr::from_ref(self) as usize;
        if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).copied()) {
            return Ok(plan);
        }
        let text = CString::new(self.text.replace("@schema@", &schema))
            .map_err(|_| Error::Internal("a statement holds a zero byte".into()))?;
        let mut types: Vec<pg_sys::Oid> = self.arguments.iter().map(|oid| oid.value()).collect();
        let _connection = Connection::open();
        // SAFETY: the text and the types outlive the call. The plan is kept, and never freed: it lives as long as its backend.
        // One plan for all values: our look-ups go by key, and planning anew costs more than any of them.
        let plan = unsafe {
            let plan = pg_sys::SPI_prepare_cursor(
                text.as_ptr(),
                types.len() as i32,
                types.as_mut_ptr(),
                pg_sys::CURSOR_OPT_GENERIC_PLAN as i32,
            );
            if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                let code = pg_sys::SPI_result;
                return Err(Error::Internal(format!("statement could not be prepared: SPI code {code}")));
            }
            plan
        };
        PLANS.with_borrow_mut(|plans| plans.insert(key, plan));
        Ok(plan)
    }
}

/// A connection to SPI. After an error it is left to the end of the (sub)transaction, which closes it.
struct Connection;

impl Connection {
    fn open() -> Self {
        // SAFETY: closed by Drop, or by the server when an error unwinds. The call has no way to fail but by raising.
        unsafe { pg_sys::SPI_connect() };
        Self
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: the connection that open() made is the innermost one.
            unsafe { pg_sys::SPI_finish() };
        }
    }
}

/// One row of an answer.
pub struct Row<'a> {
    table: &'a pg_sys::SPITupleTable,
    index: usize,
}

/// A column of a row that is never NULL, counted from 1.
pub fn column<T: FromDatum>(row: &Row<'_>, ordinal: i32) -> Result<T> {
    nullable(row, ordinal)?.ok_or_else(|| Error::Internal(format!("column {ordinal} is unexpectedly null")))
}

/// A column of a row that may be NULL, counted from 1.
pub fn nullable<T: FromDatum>(row: &Row<'_>, ordinal: i32) -> Result<Option<T>> {
    // SAFETY: the index is below the number of rows; the server checks the ordinal; the type is the one the statement answers
    // in that column.
    unsafe {
        let tuple = *row.table.vals.add(row.index);
        let mut is_null = false;
        let datum = pg_sys::SPI_getbinval(tuple, row.table.tupdesc, ordinal, &mut is_null);
        if pg_sys::SPI_result == pg_sys::SPI_ERROR_NOATTRIBUTE {
            return Err(Error::Internal(format!("the statement has no column {ordinal}")));
        }
        Ok(T::from_datum(datum, is_null))
    }
}

thread_local! {
    static PLANS: RefCell<HashMap<usize, pg_sys::SPIPlanPtr>> = RefCell::default();
    static HOME: RefCell<Option<Home>> = const { RefCell::new(None) };
    static IS_STALE: Cell<bool> = const { Cell::new(true) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
    static MUST_BE_DURABLE: Cell<bool> = const { Cell::new(false) };
    static IS_WATCHING_COMMITS: Cell<bool> = const { Cell::new(false) };
    /// A copy of the landmark's oid that the callback may read while [`HOME`] is borrowed.
    static LANDMARK_OID: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
}

/// Where the extension lives.
#[derive(PartialEq)]
struct Home {
    /// The schema's name, quoted where it needs quotes.
    schema: Rc<str>,
    /// The landmark table: another oid means another CREATE EXTENSION.
    landmark: pg_sys::Oid,
    /// Whose tables they are.
    owner: pg_sys::Oid,
}

/// The extension's schema, ready to stand in a statement. Resolved once per backend, and again after DROP EXTENSION,
/// CREATE EXTENSION or ALTER SCHEMA RENAME.
pub fn schema() -> Result<Rc<str>> {
    if !IS_STALE.get()
        && let Some(schema) = HOME.with_borrow(|home| home.as_ref().map(|home| Rc::clone(&home.schema)))
    {
        return Ok(schema);
    }
    watch();
    // Cleared before the look-up, so that a message that comes in during it is not lost.
    IS_STALE.set(false);
    let found = look_up_home();
    if !matches!(found, Ok(Some(_))) {
        IS_STALE.set(true);
    }
    let found = found?.ok_or(Error::NotInstalled)?;
    let schema = Rc::clone(&found.schema);
    // A vacuum of the landmark gets us here too; the plans are given up only when they would name another place.
    if HOME.with_borrow(|home| home.as_ref() != Some(&found)) {
        PLANS.with_borrow_mut(HashMap::clear);
        LANDMARK_OID.set(found.landmark);
        HOME.set(Some(found));
    }
    Ok(schema)
}

/// Whether the extension is installed in this database, without raising.
fn is_installed() -> bool {
    // SAFETY: a catalog look-up; the second argument asks for InvalidOid instead of an error.
    unsafe { pg_sys::get_extension_oid(EXTENSION.as_ptr(), true) != pg_sys::InvalidOid }
}

fn look_up_home() -> Result<Option<Home>> {
    if !is_installed() {
        return Ok(None);
    }
    // Not a kept statement: it is what the kept ones need to be prepared.
    Spi::connect(|client| {
        let table = client.select(
            "SELECT pg_catalog.quote_ident(n.nspname::pg_catalog.text), c.oid, c.relowner
               FROM pg_catalog.pg_extension e
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
               JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
                AND c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.name
              WHERE e.extname OPERATOR(pg_catalog.=) 'costsim_pg'::pg_catalog.name",
            Some(1),
            &[LANDMARK.into()],
        )?;
        let Some(row) = table.into_iter().next() else { return Ok(None) };
        let (Some(schema), Some(landmark), Some(owner)) = (row.get::<String>(1)?, row.get(2)?, row.get(3)?)
        else {
            return Ok(None);
        };
        Ok(Some(Home { schema: schema.into(), landmark, owner }))
    })
}

fn watch() {
    if IS_WATCHING.replace(true) {
        return;
    }
    // SAFETY: both callbacks only set a flag; they stay registered for the life of the backend, as the library does.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(on_relation_change), pg_sys::Datum::from(0));
        pg_sys::CacheRegisterSyscacheCallback(
            pg_sys::SysCacheIdentifier::NAMESPACEOID as i32,
            Some(on_namespace_change),
            pg_sys::Datum::from(0),
        );
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_relation_change(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    if relation == pg_sys::InvalidOid || relation == LANDMARK_OID.get() {
        IS_STALE.set(true);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_namespace_change(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    IS_STALE.set(true);
}

/// Refuses a database whose text is not UTF-8: the install script asks first.
#[pg_extern(stable, parallel_safe)]
fn _costsim_require_utf8() -> Answer<()> {
    // SAFETY: reads a number of the database.
    let encoding = unsafe { pg_sys::GetDatabaseEncoding() };
    if encoding == pg_sys::pg_enc::PG_UTF8 as i32 { Ok(()) } else { Err(Error::NotUtf8.into()) }
}

/// Refuses with 25006 on a standby and in a read-only transaction, before anything was touched.
pub fn require_writable(command: &CStr) {
    // SAFETY: raises an ERROR or returns; the name outlives the call.
    unsafe { pg_sys::PreventCommandIfReadOnly(command.as_ptr()) }
}

/// Makes the commit of this transaction wait for its WAL even where the session turned that off: a transition or an alert
/// that was acknowledged must survive a crash. Levels other than `off` stay as the user chose them. What the session says later in
/// the transaction does not undo it: it is said again just before the commit.
pub fn make_commit_durable() {
    switch_durable();
    if !MUST_BE_DURABLE.replace(true) && !IS_WATCHING_COMMITS.replace(true) {
        // SAFETY: the callback stays registered for the life of the backend, as the library does.
        unsafe { pg_sys::RegisterXactCallback(Some(on_transaction), std::ptr::null_mut()) };
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

/// Refuses with 25006 on a standby, whose rows are behind and whose locks are its own.
pub fn require_primary(command: &CStr) {
    // SAFETY: raises an ERROR or returns; the name outlives the call.
    unsafe { pg_sys::PreventCommandDuringRecovery(command.as_ptr()) }
}

/// How long the server lets a lock be waited for before it looks for a deadlock.
pub fn deadlock_timeout() -> TimeDelta {
    // SAFETY: reads an int of the server's settings, in milliseconds.
    TimeDelta::milliseconds(unsafe { pg_sys::DeadlockTimeout }.into())
}

/// Whether this transaction may not write.
pub fn is_read_only() -> bool {
    // SAFETY: reads a flag of the transaction state.
    unsafe { pg_sys::XactReadOnly }
}

/// The timeline on which this server writes. It grows when a standby is promoted; 0 on a standby, which does not write.
pub fn timeline() -> u32 {
    // SAFETY: reads numbers of the shared state.
    unsafe {
        if pg_sys::RecoveryInProgress() {
            return 0;
        }
        #[cfg(feature = "pg14")]
        return pg_sys::ThisTimeLineID;
        #[cfg(not(feature = "pg14"))]
        return pg_sys::GetWALInsertionTimeLine();
    }
}

/// Runs a command of the caller's own, as the caller, and answers how many rows it touched or returned. Its errors are its own, to the
/// last field.
pub fn run_command(command: &str) -> Result<u64> {
    unsafe extern "C-unwind" {
        // The server's function itself. The library's wrapper turns an error into one of Rust's and back, and what a user's error may
        // hold besides message and stock SQLSTATE is lost on the way. Unwrapped, it leaves as it would leave a function in C.
        fn SPI_execute_extended(text: *const c_char, options: *const pg_sys::SPIExecuteOptions) -> i32;
    }
    // SAFETY: an error passes over this frame without looking at it, so nothing here waits to be dropped: the text lies in the server's
    // memory, and the connection is closed by hand, or by the abort. The options hold no pointers but the receiver, which is the server's
    // own. It drops the rows as they come: what is answered is their number.
    let (status, processed) = unsafe {
        let text = pg_sys::pnstrdup(command.as_ptr().cast(), command.len());
        let options = pg_sys::SPIExecuteOptions { dest: pg_sys::None_Receiver, ..Default::default() };
        pg_sys::SPI_connect();
        let status = SPI_execute_extended(text, &raw const options);
        let processed = pg_sys::SPI_processed;
        pg_sys::SPI_finish();
        (status, processed)
    };
    match status {
        0.. => Ok(processed),
        pg_sys::SPI_ERROR_TRANSACTION => Err(Error::Unsupported {
            what: "command must not begin or end a transaction",
            hint: "Leave BEGIN, COMMIT and ROLLBACK to the caller.",
        }),
        pg_sys::SPI_ERROR_COPY => Err(Error::Unsupported {
            what: "command must not COPY to or from the client",
            hint: "Use a file, or INSERT.",
        }),
        code => Err(Error::Internal(format!("command ended with SPI code {code}"))),
    }
}

/// Runs `wait`, in which this session waits for one lock, for at most `limit`: whether it got it. What was locked for the
/// transaction stays locked. All other errors, cancel and the statement's own timeout among them, pass through.
pub fn wait_at_most(limit: TimeDelta, wait: impl FnOnce() + UnwindSafe) -> Result<bool> {
    let millis = limit.num_milliseconds().clamp(1, i64::from(i32::MAX));
    let text = CString::new(millis.to_string()).unwrap_or_default();
    let outcome = catch(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, move || {
        // SAFETY: the setting is put back when its level ends, here or by the abort of the subtransaction.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            set_for_a_while(c"lock_timeout", &text);
            wait();
            pg_sys::AtEOXact_GUC(true, level);
        }
        Ok(())
    })?;
    Ok(outcome.is_some())
}

/// The name of the database this process is connected to.
pub fn database_name() -> String {
    // SAFETY: a look-up by this process's own database; the name is palloc'd by the server and copied here.
    unsafe {
        let name = pg_sys::get_database_name(pg_sys::MyDatabaseId);
        if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// Runs `body` as a SECURITY DEFINER function of ours would run: as the owner of our tables, with a search_path nobody else chose. For
/// what is called by the server itself, and for a function whose usual call needs nothing of it and shall not pay for it.
pub fn as_owner<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    schema()?;
    let owner = HOME.with_borrow(|home| home.as_ref().map(|home| home.owner)).ok_or(Error::NotInstalled)?;
    // SAFETY: what the server does around such a function. After an error the abort puts user and settings back.
    unsafe {
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        let level = pg_sys::NewGUCNestLevel();
        set_for_a_while(c"search_path", c"pg_catalog, pg_temp");
        let restricted = context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32;
        pg_sys::SetUserIdAndSecContext(owner, restricted);
        let outcome = body();
        pg_sys::SetUserIdAndSecContext(user, context);
        pg_sys::AtEOXact_GUC(true, level);
        outcome
    }
}

/// Changes a setting until the innermost level of settings ends.
unsafe fn set_for_a_while(name: &CStr, value: &CStr) {
    // SAFETY: the strings outlive the call; the caller has opened a level.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

/// Runs `body` where the server has no snapshot of its own at hand: just before a commit.
pub fn with_snapshot<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: pushed and popped in pairs; an error in between ends the transaction, which pops it.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
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
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let outcome = body();
        match outcome {
            Ok(_) => {
                pg_sys::PopActiveSnapshot();
                pg_sys::CommitTransactionCommand();
            }
            Err(_) => pg_sys::AbortCurrentTransaction(),
        }
        // Without this the statistics of a process that never runs a client's command stay unreported, and autovacuum would
        // not learn of the rows it left behind.
        pg_sys::pgstat_report_stat(true);
        outcome
    }
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

fn message_of(caught: &CaughtError) -> String {
    match caught {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report.message().to_owned(),
        CaughtError::RustPanic { ereport, .. } => ereport.message().to_owned(),
    }
}

#[cfg(any(test, feature = "pg_test"))]
mod tests;
