//! Which databases get a worker, and how often it looks for itself.

use std::ffi::CString;

use chrono::TimeDelta;
use pgrx::guc::{GucFlags, GucSetting};

use super::define::{define_number, define_text, seconds, text};

static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static WORKER_POLL_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(30);

/// Defines them.
pub(super) fn init() {
    define_text(
        c"costsim.databases",
        c"Databases that get a costsim worker.",
        c"A comma-separated list. The worker of a database delivers its alerts. Needs costsim_pg in shared_preload_libraries. Default: none.",
        &DATABASES,
        GucFlags::default(),
    );
    define_number(
        c"costsim.worker_poll_interval",
        c"How often an idle worker looks for work nobody announced.",
        c"Commits wake the worker; this covers what cannot, such as a prepared transaction that commits later. Default: 30 s.",
        &WORKER_POLL_INTERVAL,
        (1, 3_600),
        GucFlags::UNIT_S,
    );
}

/// The databases that get a worker, without repetition, in the order given.
pub fn databases() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in text(&DATABASES).unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
    {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The pause of an idle worker that nobody wakes.
pub fn worker_poll_interval() -> TimeDelta {
    seconds(&WORKER_POLL_INTERVAL)
}
