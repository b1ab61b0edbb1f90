//! Whether the new cost model is asked at all.

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

static SANDBOX_ENABLED: GucSetting<bool> = GucSetting::<bool>::new(false);

/// Defines them.
pub(super) fn init() {
    GucRegistry::define_bool_guc(
        c"costsim.sandbox_enabled",
        c"Whether costsim_sandbox asks the new cost model at all.",
        c"While off it answers by the baseline alone and writes nothing. A superuser may set it for a session or a role, too. Default: off.",
        &SANDBOX_ENABLED,
        GucContext::Suset,
        GucFlags::default(),
    );
}

/// Whether the sandbox asks the new cost model.
pub fn sandbox_enabled() -> bool {
    SANDBOX_ENABLED.get()
}
