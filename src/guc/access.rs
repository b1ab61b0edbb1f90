//! Whose rows a session is about, and as whom the worker works.

use std::ffi::CString;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

/// Read by policies alone, as every setting is read in SQL.
static TENANT_ID: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static WORKER_ROLE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));

/// Defines them.
pub(super) fn init() {
    GucRegistry::define_string_guc(
        c"costsim.tenant_id",
        c"Whose rows a role sees that costsim_grant has given the tenant of its session.",
        c"Behind a transaction pooler it is said by SET LOCAL, in the transaction: what SET says stays for the next client. Without it such a role sees no rows. It changes nothing for other roles. Default: empty.",
        &TENANT_ID,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"costsim.worker_role",
        c"The role as which the workers work.",
        c"No superuser, and given what it needs by costsim_grant(role, 'worker'). It need not be able to log in. While it is missing or lacks a right the worker does nothing and says so in costsim_worker_status(). Default: empty, the superuser of the cluster.",
        &WORKER_ROLE,
        GucContext::Sighup,
        GucFlags::SUPERUSER_ONLY,
    );
}

/// The role of the workers, if it is not the superuser.
pub fn worker_role() -> Option<CString> {
    WORKER_ROLE.get().filter(|role| !role.is_empty())
}
