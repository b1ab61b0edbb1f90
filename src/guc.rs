//! Settings: what an operator may choose, with the reason for each default.
//!
//! What reaches out of the server is SIGHUP and superuser only: no ordinary role can point the worker elsewhere. Thresholds
//! of a breaker are not here but in its own row. Text that must be understood is read where it is set: what cannot be meant is refused there.

mod access;
mod alert;
mod anomaly;
mod breaker;
mod canary;
mod define;
mod metrics;
mod retention;
mod simulate;
mod worker;

pub use access::worker_role;
pub use alert::*;
pub use anomaly::{anomaly_min_cents, detect_interval};
pub use breaker::{instance_id, runbook_url};
pub use canary::{canary_drift_threshold, canary_sample_count, canary_schedule, canary_time_zone};
pub use retention::*;
pub use simulate::sandbox_enabled;
pub use worker::{databases, worker_poll_interval};

/// Defines every setting.
pub fn init() {
    worker::init();
    alert::init();
    breaker::init();
    simulate::init();
    canary::init();
    anomaly::init();
    retention::init();
    access::init();
    metrics::init();
    reserve_prefix();
}

/// A misspelt setting is an error instead of a setting that nobody reads.
fn reserve_prefix() {
    // SAFETY: the name is static; nothing under it is defined later.
    unsafe {
        #[cfg(feature = "pg14")]
        pgrx::pg_sys::EmitWarningsOnPlaceholders(c"costsim".as_ptr());
        #[cfg(not(feature = "pg14"))]
        pgrx::pg_sys::MarkGUCPrefixReserved(c"costsim".as_ptr());
    }
}
