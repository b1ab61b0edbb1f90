//! What needs a clock or a network: a launcher, and one worker per named database.
//!
//! ```text
//!   postmaster -- launcher --+-- worker for app      waits on its latch; a commit that left alerts wakes it
//!                            +-- worker for other
//! ```
//!
//! Everything but delivery works without a worker, and then `costsim_worker_status()` says why nothing is delivered.

mod by_hand;
mod delivery;
mod detection;
mod external;
mod http;
mod identity;
mod launcher;
mod process;
mod retention;
mod shared;
mod status;
mod target;
mod tick;
mod upkeep;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::{alert, db};

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
