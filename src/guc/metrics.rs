//! What Prometheus is shown.

use pgrx::guc::{GucFlags, GucSetting};

use super::define::define_number;

static METRICS_TENANTS: GucSetting<i32> = GucSetting::<i32>::new(20);

/// Defines it. It is read by name, in sql/92_metrics.sql.
pub(super) fn init() {
    define_number(
        c"costsim.metrics_tenants",
        c"How many tenants have metrics of their own.",
        c"Those that have spent most since yesterday; all others are counted together. As many budgets have one, the fullest. Default: 20, for each is some series more that a monitoring system keeps.",
        &METRICS_TENANTS,
        (0, 1_000),
        GucFlags::default(),
    );
}
