//! Statements that are prepared once per backend and kept, and what they answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_char};

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::{PgBuiltInOids, pg_sys};

use super::home::schema;
use super::transaction::latest_snapshot;
use crate::error::{Error, Result};

thread_local! {
    static PLANS: RefCell<HashMap<usize, pg_sys::SPIPlanPtr>> = RefCell::default();
}

/// Gives up every kept plan: it names a place that is no more.
pub(super) fn forget_plans() {
    PLANS.with_borrow_mut(HashMap::clear);
}

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
    /// What is committed now, and nothing is written.
    LatestToRead,
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

    /// The same for a statement that only reads, in a parallel worker too.
    pub const fn looking(text: &'static str, arguments: &'static [PgBuiltInOids]) -> Self {
        Self { text, arguments, snapshot: Snapshot::LatestToRead }
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

    /// Runs a statement that names the transition tables of a trigger, and answers how many rows it touched.
    pub fn run_on(&'static self, trigger: &PgTrigger<'_>, arguments: &[DatumWithOid<'_>]) -> Result<usize> {
        self.execute_on(Some(trigger), arguments, |_, count| Ok(count))
    }

    /// Runs the statement and hands over its rows, which live as long as the call, and how many it touched.
    fn execute<T>(
        &'static self,
        arguments: &[DatumWithOid<'_>],
        take: impl FnOnce(Option<&pg_sys::SPITupleTable>, usize) -> Result<T>,
    ) -> Result<T> {
        self.execute_on(None, arguments, take)
    }

    fn execute_on<T>(
        &'static self,
        trigger: Option<&PgTrigger<'_>>,
        arguments: &[DatumWithOid<'_>],
        take: impl FnOnce(Option<&pg_sys::SPITupleTable>, usize) -> Result<T>,
    ) -> Result<T> {
        let plan = self.plan(trigger)?;
        if arguments.len() != self.arguments.len() {
            return Err(Error::Internal(format!(
                "{} arguments for a statement of {}",
                arguments.len(),
                self.arguments.len()
            )));
        }
        let (mut values, nulls) = datums(arguments);
        let _connection = Connection::open_on(trigger)?;
        // SAFETY: the plan is kept for the life of the backend, the arrays have the length it was prepared for, and the table
        // of rows is not used beyond the connection.
        unsafe {
            let (values, nulls) = (values.as_mut_ptr(), nulls.as_ptr());
            let status = match self.snapshot {
                Snapshot::Callers => pg_sys::SPI_execute_plan(plan, values, nulls, true, 0),
                Snapshot::Fresh => pg_sys::SPI_execute_plan(plan, values, nulls, false, 0),
                // The snapshot is copied before it is used.
                Snapshot::Latest | Snapshot::LatestToRead => {
                    let (none, reads) = (std::ptr::null_mut(), self.snapshot == Snapshot::LatestToRead);
                    pg_sys::SPI_execute_snapshot(plan, values, nulls, latest_snapshot(), none, reads, true, 0)
                }
            };
            if status < 0 {
                return Err(Error::Internal(format!("statement ended with SPI code {status}")));
            }
            take(pg_sys::SPI_tuptable.as_ref(), pg_sys::SPI_processed as usize)
        }
    }

    pub(super) fn plan(&'static self, trigger: Option<&PgTrigger<'_>>) -> Result<pg_sys::SPIPlanPtr> {
        let schema = schema()?;
        let key = std::ptr::from_ref(self) as usize;
        if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).copied()) {
            return Ok(plan);
        }
        let text = CString::new(self.text.replace("@schema@", &schema))
            .map_err(|_| Error::Internal("a statement holds a zero byte".into()))?;
        let mut types: Vec<pg_sys::Oid> = self.arguments.iter().map(|oid| oid.value()).collect();
        let _connection = Connection::open_on(trigger)?;
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

/// Runs a statement whose text is made of names out of the catalog, and which is run too seldom to be kept: its first row, if it answers any.
/// It sees what a statement of its own would see.
pub fn run_once<T>(
    text: &str,
    arguments: &[DatumWithOid<'_>],
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    execute_once(text, arguments, |table, count| match table {
        Some(table) if count > 0 => read(&Row { table, index: 0 }).map(Some),
        _ => Ok(None),
    })
}

/// The same for all its rows. `@schema@` is the extension's schema.
pub fn rows_once<T>(
    text: &str,
    arguments: &[DatumWithOid<'_>],
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let text = text.replace("@schema@", &schema()?);
    execute_once(&text, arguments, |table, count| match table {
        Some(table) => (0..count).map(|index| read(&Row { table, index })).collect(),
        None => Ok(Vec::new()),
    })
}

/// The same as what is committed at this moment, under every isolation level; parallel workers may share the work.
pub fn rows_once_now<T>(
    text: &str,
    arguments: &[DatumWithOid<'_>],
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let text = CString::new(text.replace("@schema@", &schema()?))
        .map_err(|_| Error::Internal("a statement holds a zero byte".into()))?;
    let mut types: Vec<pg_sys::Oid> = arguments.iter().map(DatumWithOid::oid).collect();
    let (mut values, nulls) = datums(arguments);
    let _connection = Connection::open();
    // SAFETY: text and arrays outlive the call; plan and table of rows are not used beyond the connection, which frees them.
    unsafe {
        let options = pg_sys::CURSOR_OPT_PARALLEL_OK | pg_sys::CURSOR_OPT_CUSTOM_PLAN;
        let plan =
            pg_sys::SPI_prepare_cursor(text.as_ptr(), types.len() as i32, types.as_mut_ptr(), options as i32);
        if plan.is_null() {
            let code = pg_sys::SPI_result;
            return Err(Error::Internal(format!("statement could not be prepared: SPI code {code}")));
        }
        let (values, nulls, none) = (values.as_mut_ptr(), nulls.as_ptr(), std::ptr::null_mut());
        let status =
            pg_sys::SPI_execute_snapshot(plan, values, nulls, latest_snapshot(), none, false, true, 0);
        if status < 0 {
            return Err(Error::Internal(format!("statement ended with SPI code {status}")));
        }
        let count = pg_sys::SPI_processed as usize;
        match pg_sys::SPI_tuptable.as_ref() {
            Some(table) => (0..count).map(|index| read(&Row { table, index })).collect(),
            None => Ok(Vec::new()),
        }
    }
}

fn execute_once<T>(
    text: &str,
    arguments: &[DatumWithOid<'_>],
    take: impl FnOnce(Option<&pg_sys::SPITupleTable>, usize) -> Result<T>,
) -> Result<T> {
    let text = CString::new(text).map_err(|_| Error::Internal("a statement holds a zero byte".into()))?;
    let mut types: Vec<pg_sys::Oid> = arguments.iter().map(DatumWithOid::oid).collect();
    let (mut values, nulls) = datums(arguments);
    let _connection = Connection::open();
    // SAFETY: text and arrays outlive the call; the table of rows is not used beyond the connection.
    unsafe {
        let status = pg_sys::SPI_execute_with_args(
            text.as_ptr(),
            types.len() as i32,
            types.as_mut_ptr(),
            values.as_mut_ptr(),
            nulls.as_ptr(),
            false,
            0,
        );
        if status < 0 {
            return Err(Error::Internal(format!("statement ended with SPI code {status}")));
        }
        take(pg_sys::SPI_tuptable.as_ref(), pg_sys::SPI_processed as usize)
    }
}

/// Arguments as SPI takes them: the values, and which of them are null.
fn datums(arguments: &[DatumWithOid<'_>]) -> (Vec<pg_sys::Datum>, Vec<c_char>) {
    let value = |argument: &DatumWithOid<'_>| match argument.datum() {
        Some(datum) => (datum.sans_lifetime(), b' ' as c_char),
        None => (pg_sys::Datum::from(0), b'n' as c_char),
    };
    arguments.iter().map(value).unzip()
}

/// A connection to SPI. After an error it is left to the end of the (sub)transaction, which closes it.
struct Connection;

impl Connection {
    fn open() -> Self {
        // SAFETY: closed by Drop, or by the server when an error unwinds. The call has no way to fail but by raising.
        unsafe { pg_sys::SPI_connect() };
        Self
    }

    /// One in which the transition tables of a trigger, if there is one, have their names.
    fn open_on(trigger: Option<&PgTrigger<'_>>) -> Result<Self> {
        let connection = Self::open();
        if let Some(trigger) = trigger {
            // SAFETY: the server only reads it, and keeps it no longer than the connection, which the trigger's call outlives.
            let code = unsafe {
                pg_sys::SPI_register_trigger_data(std::ptr::from_ref(trigger.trigger_data()).cast_mut())
            };
            if code < 0 {
                return Err(Error::Internal(format!(
                    "transition tables could not be named: SPI code {code}"
                )));
            }
        }
        Ok(connection)
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

/// Runs a command of the caller's own, as the caller, and answers how many rows it touched or returned. Its errors are its own, to the
/// last field.
pub fn run_command(command: &str) -> Result<u64> {
    unsafe extern "C-unwind" {
        // The server's function itself. The library's wrapper turns an error into one of Rust's and back, and what a user's error may
        // hold besides message and stock SQLSTATE is lost on the way. Unwrapped, it leaves as it would leave a function in C.
        fn SPI_execute_extended(text: *const c_char, options: *const pg_sys::SPIExecuteOptions) -> i32;
    }
    // SAFETY: an error passes over this frame, and all up to the SQL call, without looking at them. So nothing here waits to be dropped (the
    // text lies in the server's memory, the connection is closed by hand or by the abort), and the callers keep only what they borrow from
    // the server or do without: a string of the arguments, numbers. The options hold no pointers but the receiver, which is the server's
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
