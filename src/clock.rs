//! What time it is: the server's, read anew at every call.
//!
//! Leases, TTLs and claims are compared with the moment itself, not with the start of the transaction, so this is
//! `clock_timestamp()` and never `now()`. Core takes moments as arguments; this is where they come from.

use chrono::{DateTime, TimeDelta, Utc};
use pgrx::pg_sys;

use crate::convert;

/// The server's clock.
pub fn now() -> DateTime<Utc> {
    // SAFETY: reads the clock, touches no state of the backend.
    convert::moment(unsafe { pg_sys::GetCurrentTimestamp() }).unwrap_or_default()
}

/// Waits for as long, or shorter when this process is told something. Cancel and the end of the server are obeyed.
pub fn pause(span: TimeDelta) {
    let reasons = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // Rounded up: waking before the moment would mean looking twice.
    let millis = span.num_milliseconds().saturating_add(1).max(0);
    // SAFETY: this process's own latch.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, reasons as i32, millis, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}
