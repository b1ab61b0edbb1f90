//! What needs a clock or a network: a launcher, and one worker per named database.
//!
//! ```text
//!   postmaster -- launcher --+-- worker for app      waits on its latch; a commit that left alerts wakes it
//!                            +-- worker for other
//! ```
//!
//! Everything but delivery works without a worker, and then `costsim_worker_status()` says why nothing is delivered.

mod http;
mod launcher;
mod process;
mod shared;
mod tick;

use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::Error;
use crate::{alert, db, guc};

/// The library's name as the server finds it.
const LIBRARY: &str = "costsim_pg";

/// Registers the launcher when preloaded, and in every backend the wake-up at commit.
pub fn init() {
    // SAFETY: read in the postmaster, or in the backend that loads the library.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        shared::init();
        launcher::register();
    }
    db::watch_ends(Some(on_transaction), None);
}

/// One wake-up for a transaction, after its commit and however many alerts it left.
#[pg_guard]
unsafe extern "C-unwind" fn on_transaction(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    match event {
        XACT_EVENT_COMMIT if alert::take_wake() => shared::wake(),
        // What was prepared commits elsewhere; the worker's poll finds it.
        XACT_EVENT_ABORT | XACT_EVENT_PREPARE => {
            alert::take_wake();
        }
        _ => {}
    }
}

/// The workers as they are, and why the current database has none if so.
#[pg_extern(volatile, parallel_restricted)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
fn costsim_worker_status() -> Result<
    TableIterator<
        'static,
        (
            name!(database, String),
            name!(pid, Option<i32>),
            name!(state, String),
            name!(since, Option<TimestampWithTimeZone>),
            name!(last_beat, Option<TimestampWithTimeZone>),
            name!(trouble, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let here = db::database_name();
    let mut rows = Vec::new();
    let reports = shared::reports();
    let is_listed = reports.iter().any(|report| report.database == here);
    for report in reports {
        let stamp =
            |at| TimestampWithTimeZone::try_from(at).map_err(|_| Error::Internal("bad timestamp".into()));
        rows.push((
            report.database,
            report.pid,
            report.state.word().to_owned(),
            Some(stamp(report.changed_at)?),
            Some(stamp(report.beat_at)?),
            report.trouble,
        ));
    }
    if !is_listed {
        // SAFETY: reads a flag of the server.
        let is_standby = unsafe { pg_sys::RecoveryInProgress() };
        let (state, trouble) = if !shared::is_preloaded() {
            ("not preloaded", "add costsim_pg to shared_preload_libraries and restart the server")
        } else if is_standby {
            ("in recovery", "a standby delivers nothing; its workers start when it is promoted")
        } else if !shared::has_launcher() {
            ("no launcher", "the launcher does not run: raise max_worker_processes and restart the server")
        } else if guc::databases().contains(&here) {
            ("starting", "the launcher has not come to it yet")
        } else {
            ("not configured", "name this database in costsim.databases and reload")
        };
        rows.push((here, None, state.to_owned(), None, None, Some(trouble.to_owned())));
    }
    Ok(TableIterator::new(rows))
}
