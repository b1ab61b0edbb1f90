//! What the breaker's alerts say beside their state. Its thresholds are in its own row.

use std::ffi::CString;

use pgrx::guc::{GucFlags, GucSetting};

use super::define::{define_text, text};

static INSTANCE_ID: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static RUNBOOK_URL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// Defines them.
pub(super) fn init() {
    define_text(
        c"costsim.instance_id",
        c"The instance label of the breaker's alerts.",
        c"Tells several installations apart in one Alertmanager. Default: empty, which stands for the database's name.",
        &INSTANCE_ID,
        GucFlags::default(),
    );
    define_text(
        c"costsim.runbook_url",
        c"The runbook_url annotation of the breaker's alerts.",
        c"Where the person on call finds what to do. Default: empty, no annotation.",
        &RUNBOOK_URL,
        GucFlags::default(),
    );
}

/// The instance label, if the operator chose one.
pub fn instance_id() -> Option<String> {
    text(&INSTANCE_ID)
}

/// The runbook's address, if there is one.
pub fn runbook_url() -> Option<String> {
    text(&RUNBOOK_URL)
}
