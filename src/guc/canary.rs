//! When the canary runs, and what it takes for one that passes.

use std::ffi::{CString, c_char, c_void};

use costsim_core::schedule::{Plan, zone};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::{pg_guard, pg_sys};

use super::define::{define_checked_text, define_number, is_understood, shown, text};

static CANARY_SCHEDULE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static CANARY_TIME_ZONE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"UTC"));
static CANARY_SAMPLE_COUNT: GucSetting<i32> = GucSetting::<i32>::new(100);
static CANARY_DRIFT_THRESHOLD: GucSetting<f64> = GucSetting::<f64>::new(0.2);

/// Defines them.
pub(super) fn init() {
    define_checked_text(
        c"costsim.canary_schedule",
        c"When the worker runs the canary.",
        c"Cron text of five fields (minute, hour, day of month, month, day of week) or a nickname such as @daily, in costsim.canary_time_zone. Runs that were missed are caught up once. Default: empty, never.",
        &CANARY_SCHEDULE,
        check_schedule,
    );
    define_checked_text(
        c"costsim.canary_time_zone",
        c"The time zone of costsim.canary_schedule.",
        c"A name of the IANA database, such as Europe/Berlin. What is due once a day is so when clocks change, too. Default: UTC.",
        &CANARY_TIME_ZONE,
        check_time_zone,
    );
    define_number(
        c"costsim.canary_sample_count",
        c"How many stored samples a canary compares.",
        c"For scheduled runs, and for calls that do not say. Default: 100.",
        &CANARY_SAMPLE_COUNT,
        (1, 1_000_000),
        GucFlags::default(),
    );
    GucRegistry::define_float_guc(
        c"costsim.canary_drift_threshold",
        c"The drift above which a canary fails.",
        c"Of the mean of |v2 - v1| / greatest(|v1|, |v2|) over the samples, from 0 to 1; for scheduled runs, and for calls that do not say. Default: 0.2.",
        &CANARY_DRIFT_THRESHOLD,
        0.0,
        1.0,
        GucContext::Sighup,
        GucFlags::default(),
    );
}

#[pg_guard]
unsafe extern "C-unwind" fn check_schedule(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server passes the new value.
    let value = unsafe { shown(value) };
    is_understood(Plan::read(&value, "UTC"))
}

#[pg_guard]
unsafe extern "C-unwind" fn check_time_zone(
    value: *mut *mut c_char,
    _extra: *mut *mut c_void,
    _source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: the server passes the new value.
    let value = unsafe { shown(value) };
    is_understood(zone(&value))
}

/// When canaries run, as it is set; empty: never.
pub fn canary_schedule() -> String {
    text(&CANARY_SCHEDULE).unwrap_or_default()
}

/// The zone of that, as it is set.
pub fn canary_time_zone() -> String {
    text(&CANARY_TIME_ZONE).unwrap_or_default()
}

/// How many samples a canary compares.
pub fn canary_sample_count() -> i32 {
    CANARY_SAMPLE_COUNT.get()
}

/// The drift above which a canary fails.
pub fn canary_drift_threshold() -> f64 {
    CANARY_DRIFT_THRESHOLD.get()
}
