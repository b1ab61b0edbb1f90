//! Workers that are started from SQL, with or without preload.
//!
//! The postmaster looks after such a worker: it is started again when it ends, until it is told to leave for good or the server
//! stops.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::{LIBRARY, process, shared};
use crate::error::{Answer, Error};
use crate::{clock, db, guc, lock};

/// How long is waited for a process to come or to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// A worker that has ended is started again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts a worker for this database, if none runs: whether it did. It runs until costsim_worker_stop(), DROP EXTENSION or the end of the server.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_worker_start() -> Answer<bool> {
    db::require_primary(c"costsim_worker_start()");
    lock::wait_to_start_a_worker();
    if shared::worker_pid().is_some() {
        return Ok(false);
    }
    if is_kept_by_launcher() {
        return Ok(false);
    }
    // SAFETY: set once, before any function of ours can run.
    let oid = unsafe { pg_sys::MyDatabaseId }.to_u32().to_string();
    let worker = BackgroundWorkerBuilder::new(&format!("costsim worker for {}", db::database_name()))
        .set_type("costsim worker")
        .set_library(LIBRARY)
        .set_function("costsim_worker_by_hand_main")
        .set_extra(&oid)
        .enable_shmem_access(None)
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(PAUSE))
        // SAFETY: this process's own pid, set before any code of ours runs.
        .set_notify_pid(unsafe { pg_sys::MyProcPid })
        .load_dynamic()
        .map_err(|_| Error::NoWorkerSlot)?;
    // A worker that cannot start says why in the log; it is tried again.
    worker.wait_for_startup().map_err(|_| Error::NoWorkerSlot)?;
    // Whoever asks next must see it.
    let begun_at = Instant::now();
    while shared::worker_pid().is_none() && begun_at.elapsed() < PATIENCE {
        clock::pause(TimeDelta::milliseconds(5));
    }
    Ok(true)
}

/// Ends the worker of this database that costsim_worker_start() has started, for good: whether one ran.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_worker_stop() -> Answer<bool> {
    db::require_primary(c"costsim_worker_stop()");
    if is_kept_by_launcher() {
        return Err(Error::KeptByLauncher.into());
    }
    let begun_at = Instant::now();
    let mut was_there = false;
    while let Some(pid) = shared::worker_pid() {
        was_there = true;
        if begun_at.elapsed() > PATIENCE {
            return Err(Error::Internal(format!("worker {pid} does not end")).into());
        }
        // One that has just ended cannot be told any more.
        process::dismiss(pid);
        clock::pause(TimeDelta::milliseconds(10));
    }
    Ok(was_there)
}

/// Whether the launcher keeps a worker for this database.
fn is_kept_by_launcher() -> bool {
    shared::has_launcher() && guc::databases().contains(&db::database_name())
}
