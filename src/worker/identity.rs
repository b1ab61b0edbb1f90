//! As whom the worker works: costsim.worker_role, or the superuser as which the server has connected it.
//!
//! The process is the superuser's, but with a role every transaction is the role's from its beginning to its end, deferred triggers included, and nothing
//! that runs in it gets back: neither role nor session can be set, and what makes a function of ours the owner of the tables does nothing. As the
//! superuser only the catalog is asked whether there is such a role, without a statement. So a role that is missing is a trouble that
//! costsim_worker_status() shows, and no process that cannot start.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::process;
use super::upkeep::contained;
use crate::db::{self, Statement, column};
use crate::error::{Error, Result};
use crate::guc;

/// Whether there still is such a role is looked at no more often than this.
const GLANCE: Duration = Duration::from_secs(1);

static MAY_WORK: Statement = Statement::deciding(
    "SELECT coalesce(bool_or(g.level = 'worker' AND g.is_complete), false) FROM @schema@.costsim_grants g WHERE g.grantee = current_user::regrole",
    &[],
);

/// The role that the worker has taken on.
#[derive(Default)]
pub struct Identity {
    /// The settings under which it was found that the role may work.
    settings_version: Option<u32>,
    looked_at: Option<Instant>,
    /// As whom this process has worked.
    served: Option<pg_sys::Oid>,
}

/// A role as the catalog has it.
struct Role {
    oid: pg_sys::Oid,
    is_superuser: bool,
}

impl Identity {
    /// Takes the role on that the settings name: what stands in the way, if something does.
    pub fn take(&mut self) -> Result<Option<String>> {
        let version = process::settings_version();
        // Where anything was denied since, somebody may have revoked.
        let is_known = !db::was_denied() && self.settings_version == Some(version);
        if is_known && self.looked_at.is_some_and(|at| at.elapsed() < GLANCE) {
            return Ok(None);
        }
        let Some(name) = guc::worker_role() else {
            self.begin_anew_but_as(None);
            db::serve_as(None);
            self.remember(version);
            return Ok(None);
        };
        db::serve_as(None);
        let shown = name.to_string_lossy();
        let Some(role) = db::transaction(|| Ok(look_up(&name)))? else {
            self.settings_version = None;
            return Ok(Some(format!("costsim.worker_role: role \"{shown}\" does not exist")));
        };
        if role.is_superuser {
            self.settings_version = None;
            return Ok(Some(format!("costsim.worker_role: role \"{shown}\" is a superuser")));
        }
        self.begin_anew_but_as(Some(role.oid));
        db::serve_as(Some(role.oid));
        self.served = Some(role.oid);
        if !is_known && let Some(why) = refusal()? {
            self.settings_version = None;
            return Ok(Some(format!(
                "costsim.worker_role: role \"{shown}\" lacks rights ({why}): SELECT costsim_grant('{shown}', 'worker')"
            )));
        }
        self.remember(version);
        Ok(None)
    }

    /// Whether the role may work is to be asked again.
    pub fn doubt(&mut self) {
        self.settings_version = None;
    }

    /// Ends a process that has worked as another role: what triggers of that one's have left in the session (temporary tables, prepared statements) is
    /// not there for the next.
    fn begin_anew_but_as(&self, role: Option<pg_sys::Oid>) {
        if self.served.is_some() && self.served != role {
            process::leave();
        }
    }

    fn remember(&mut self, version: u32) {
        (self.settings_version, self.looked_at) = (Some(version), Some(Instant::now()));
    }
}

/// Why the role that was taken on may not work.
fn refusal() -> Result<Option<String>> {
    let answer = contained(|| {
        match db::relation(c"costsim_grants") {
            // The script of an earlier version: whoever delivers says so.
            Err(Error::NotInstalled) if db::installed_version()?.is_some() => return Ok(Some(true)),
            other => other?,
        };
        MAY_WORK.row(&[], |row| column(row, 1))
    })?;
    Ok(match answer {
        Some(Ok(Some(true))) => None,
        Some(Ok(_)) => Some("the level worker is not granted, or not complete".into()),
        Some(Err(refusal)) => Some(refusal.message),
        None => Some("a lock stands in the way".into()),
    })
}

fn look_up(name: &CStr) -> Option<Role> {
    // SAFETY: look-ups in a catalog, in a transaction; a role that is not there is no error.
    unsafe {
        let oid = pg_sys::get_role_oid(name.as_ptr(), true);
        (oid != pg_sys::InvalidOid).then(|| Role { oid, is_superuser: pg_sys::superuser_arg(oid) })
    }
}
