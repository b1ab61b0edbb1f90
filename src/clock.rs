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

/// Whether a moment has come, by the server's count of microseconds: [`now`] for those who ask very often. Most moments are far away,
/// and for that a look at the clock that the kernel keeps in passing is enough.
pub fn has_come(micros: pg_sys::TimestampTz) -> bool {
    // SAFETY: as above.
    !is_far(micros) && unsafe { pg_sys::GetCurrentTimestamp() >= micros }
}

/// How far that clock may be behind: a tick of the kernel, which is 10 ms at the most, and something on top.
#[cfg(target_os = "linux")]
const COARSE: i64 = 20_000;

#[cfg(target_os = "linux")]
fn is_far(micros: pg_sys::TimestampTz) -> bool {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let now = convert::micros_of_unix(time.tv_sec, time.tv_nsec / 1_000);
    micros > now.saturating_add(COARSE)
}

#[cfg(not(target_os = "linux"))]
fn is_far(_micros: pg_sys::TimestampTz) -> bool {
    false
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
