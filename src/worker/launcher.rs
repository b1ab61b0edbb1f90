//! Keeps one worker per named database alive.
//!
//! Level-triggered: each round compares what should run with what runs, and mends the difference. A round is due at the start,
//! after a reload, when a worker ends, and when a pause is over. So a missed signal costs nothing.
//!
//! A worker that ends is started again after a pause that grows with its failures in a row, so that a database that cannot be
//! served fills neither the log nor the process table.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use costsim_core::backoff;
use pgrx::bgworkers::{
    BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker,
};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::shared::{self, Author, State};
use super::{LIBRARY, process};
use crate::guc;

/// The pause before the launcher itself, or a worker that was told to end, is started again. After a failure it is 4 seconds, and twice
/// as long after every further one in a row.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// A worker that keeps failing is tried after so many seconds: a log line a minute.
const LONGEST_PAUSE: i64 = 60;
/// What only waits for somebody else (a database to be created, a slot to come free) is looked at this often: it logs nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// A worker that has run this long was well; its next end is a first failure again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Registers the launcher with the postmaster.
pub fn register() {
    BackgroundWorkerBuilder::new("costsim launcher")
        .set_type("costsim launcher")
        .set_library(LIBRARY)
        .set_function("costsim_launcher_main")
        .enable_shmem_access(None)
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(SHORTEST_PAUSE))
        .load();
}

/// What the launcher remembers of a database's worker.
struct Charge {
    worker: Option<DynamicBackgroundWorker>,
    started_at: Instant,
    failures: u32,
    not_before: Instant,
}

/// The launcher's process.
#[pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn costsim_launcher_main(_argument: pg_sys::Datum) {
    process::start(&process::Home::None);
    shared::greet();
    let mut charges: HashMap<String, Charge> = HashMap::new();
    loop {
        let pause = mend(&mut charges);
        process::wait(pause);
    }
}

/// One round: answers when the next one is due at the latest.
fn mend(charges: &mut HashMap<String, Charge>) -> Option<Duration> {
    let mut wanted = guc::databases();
    wanted.truncate(shared::SLOTS);
    shared::keep_only(&wanted);
    charges.retain(|database, charge| {
        let is_wanted = wanted.contains(database);
        if !is_wanted && let Some(worker) = charge.worker.take() {
            worker.terminate();
        }
        is_wanted
    });
    let mut next: Option<Duration> = None;
    for database in wanted {
        let now = Instant::now();
        let charge = charges.entry(database.clone()).or_insert(Charge {
            worker: None,
            started_at: now,
            failures: 0,
            not_before: now,
        });
        if let Some(pause) = tend(&database, charge) {
            next = Some(next.map_or(pause, |known| known.min(pause)));
        }
    }
    next
}

/// Looks after one database: answers after which pause it wants to be looked after again.
fn tend(database: &str, charge: &mut Charge) -> Option<Duration> {
    if let Some(worker) = &charge.worker {
        match worker.pid() {
            Ok(_) | Err(BackgroundWorkerStatus::NotYetStarted) => return None,
            Err(_) => note_end(database, charge),
        }
    }
    let now = Instant::now();
    if charge.not_before > now {
        return Some(charge.not_before - now);
    }
    if shared::reports()
        .iter()
        .any(|report| report.database == database && report.pid.is_some_and(shared::is_worker_process))
    {
        // Started by a launcher that ended before us. It cannot tell us when it ends, so look again.
        return Some(LOOK_AGAIN);
    }
    let oid = match look_up(database) {
        Some(Database { oid, allows_connections: true }) => oid,
        Some(_) => return wait_for(database, "database allows no connections"),
        None => return wait_for(database, "database does not exist"),
    };
    say(database, oid, State::Starting, None);
    match start(database) {
        Some(worker) => {
            (charge.worker, charge.started_at) = (Some(worker), now);
            None
        }
        None => wait_for(database, "no free worker slot: raise max_worker_processes"),
    }
}

/// Says what is missing, to look again later.
fn wait_for(database: &str, trouble: &str) -> Option<Duration> {
    say(database, pg_sys::InvalidOid, State::Down, Some(trouble));
    Some(LOOK_AGAIN)
}

/// Speaks for a worker that does not run.
fn say(database: &str, oid: pg_sys::Oid, state: State, trouble: Option<&str>) {
    shared::post(&Author { database, oid, pid: 0, is_by_hand: false }, state, trouble, None);
}

fn note_end(database: &str, charge: &mut Charge) {
    let now = Instant::now();
    charge.worker = None;
    let known = shared::reports().into_iter().find(|report| report.database == database);
    // One that was at its work was told to end, or made way; one that fails says so and takes its number off the board.
    let was_at_work = known.as_ref().is_some_and(|report| report.pid.is_some());
    charge.failures = match charge.failures {
        _ if was_at_work => 0,
        _ if now.duration_since(charge.started_at) >= WELL_AFTER => 1,
        failures => failures.saturating_add(1),
    };
    let pause = match charge.failures {
        0 => SHORTEST_PAUSE,
        failures => {
            backoff::nominal(failures + 1, TimeDelta::seconds(LONGEST_PAUSE)).to_std().unwrap_or(LOOK_AGAIN)
        }
    };
    charge.not_before = now + pause;
    let trouble = known.and_then(|report| report.trouble).unwrap_or_else(|| "worker ended".into());
    say(database, pg_sys::InvalidOid, State::Down, Some(&trouble));
}

fn start(database: &str) -> Option<DynamicBackgroundWorker> {
    BackgroundWorkerBuilder::new(&format!("costsim worker for {database}"))
        .set_type("costsim worker")
        .set_library(LIBRARY)
        .set_function("costsim_worker_main")
        .set_extra(database)
        .enable_shmem_access(None)
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(None)
        // SAFETY: this process's own pid, set before any code of ours runs.
        .set_notify_pid(unsafe { pg_sys::MyProcPid })
        .load_dynamic()
        .ok()
}

/// What the launcher wants to know of a database.
struct Database {
    oid: pg_sys::Oid,
    allows_connections: bool,
}

/// The database with this name. The catalog is read from end to end: the index on its names cannot be opened by a
/// process that belongs to no database, until some other process has connected for the first time.
fn look_up(database: &str) -> Option<Database> {
    let name = CString::new(database).ok()?;
    // SAFETY: a scan of a shared catalog in a transaction of its own; each tuple is used before the next is asked for.
    unsafe {
        pg_sys::StartTransactionCommand();
        let catalog = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let everything = pg_sys::InvalidOid;
        let scan = pg_sys::systable_beginscan(
            catalog,
            everything,
            false,
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
        );
        let mut found = None;
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let row = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            if CStr::from_ptr((*row).datname.data.as_ptr()) == name.as_c_str() {
                found = Some(Database { oid: (*row).oid, allows_connections: (*row).datallowconn });
                break;
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, pg_sys::AccessShareLock as i32);
        pg_sys::CommitTransactionCommand();
        found
    }
}
