//! What time it is: the server's, read anew at every call.
//!
//! Leases, TTLs and claims are compared with the moment itself, not with the start of the transaction, so this is
//! `clock_timestamp()` and never `now()`. Core takes moments as arguments; this is where they come from.

use chrono::{DateTime, Utc};
use pgrx::pg_sys;

use crate::convert;

/// The server's clock.
pub fn now() -> DateTime<Utc> {
    // SAFETY: reads the clock, touches no state of the backend.
    convert::moment(unsafe { pg_sys::GetCurrentTimestamp() }).unwrap_or_default()
}
