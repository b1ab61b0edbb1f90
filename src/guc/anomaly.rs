//! How often cost anomalies are looked for, and what is too little to be one.

use chrono::TimeDelta;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

use super::define::{define_number, seconds};

static DETECT_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(30);
static ANOMALY_MIN_CENTS: GucSetting<f64> = GucSetting::<f64>::new(100.0);

/// Defines them.
pub(super) fn init() {
    define_number(
        c"costsim.detect_interval",
        c"How often the worker looks for cost anomalies.",
        c"Of tenants with spend that is new, and of those with open anomalies when their day has changed; 0 leaves it to costsim_detect_anomalies. Default: 30 s, so that a spike is an alert within a minute.",
        &DETECT_INTERVAL,
        (0, 86_400),
        GucFlags::UNIT_S,
    );
    GucRegistry::define_float_guc(
        c"costsim.anomaly_min_cents",
        c"How much more than expected the least anomaly is about, in cents.",
        c"What is spent beyond the expectation of a day; of a drift, a day of the week. Keeps pennies that have doubled from paging somebody. Does not count for budgets. Default: 100, a dollar.",
        &ANOMALY_MIN_CENTS,
        0.0,
        1e12,
        GucContext::Sighup,
        GucFlags::default(),
    );
}

/// The pause between two looks for cost anomalies; zero: none.
pub fn detect_interval() -> TimeDelta {
    seconds(&DETECT_INTERVAL)
}

/// Below that no excess is an anomaly, in cents.
pub fn anomaly_min_cents() -> f64 {
    ANOMALY_MIN_CENTS.get()
}
