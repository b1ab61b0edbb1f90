//! What operators say of an anomaly: they know of it, it is over, it is none.
//!
//! Whoever speaks holds the tenant against detection until the transaction ends: so neither waits for the other's rows or alerts in an order that
//! could meet. The worker leaves such a tenant for later; detection by hand waits.

use pgrx::prelude::*;

use super::{due, name, notice, store};
use crate::access::scope;
use crate::convert::short_text;
use crate::db;
use crate::error::{Answer, Result, required};

/// The most characters of a name.
const LONGEST_NAME: usize = 256;

/// The most characters of a note.
const LONGEST_NOTE: usize = 10_000;

/// Says that somebody knows of an anomaly: whether that changed anything.
#[pg_extern(volatile, parallel_unsafe, requires = ["anomaly"])]
fn costsim_acknowledge_anomaly(
    tenant_id: Option<&str>,
    id: Option<i64>,
    acknowledged_by: Option<&str>,
    note: default!(Option<&str>, "NULL"),
) -> Answer<bool> {
    db::require_writable(c"costsim_acknowledge_anomaly()");
    Ok(act(tenant_id, id, "acknowledged", (acknowledged_by, "acknowledged_by"), note)?)
}

/// Ends an anomaly: whether that changed anything.
#[pg_extern(volatile, parallel_unsafe, requires = ["anomaly"])]
fn costsim_resolve_anomaly(
    tenant_id: Option<&str>,
    id: Option<i64>,
    resolved_by: Option<&str>,
    note: default!(Option<&str>, "NULL"),
) -> Answer<bool> {
    db::require_writable(c"costsim_resolve_anomaly()");
    Ok(act(tenant_id, id, "resolved", (resolved_by, "resolved_by"), note)?)
}

/// Says that an anomaly is none: whether that changed anything.
#[pg_extern(volatile, parallel_unsafe, requires = ["anomaly"])]
fn costsim_dismiss_anomaly(
    tenant_id: Option<&str>,
    id: Option<i64>,
    dismissed_by: Option<&str>,
    note: default!(Option<&str>, "NULL"),
) -> Answer<bool> {
    db::require_writable(c"costsim_dismiss_anomaly()");
    Ok(act(tenant_id, id, "dismissed", (dismissed_by, "dismissed_by"), note)?)
}

fn act(
    tenant: Option<&str>,
    id: Option<i64>,
    status: &str,
    (who, argument): (Option<&str>, &'static str),
    note: Option<&str>,
) -> Result<bool> {
    let tenant = name(required(tenant, "tenant_id")?, "tenant_id")?;
    let id = required(id, "id")?;
    let who = short_text(required(who, argument)?, argument, LONGEST_NAME, "Say who: a name, an address.")?;
    if let Some(note) = note {
        short_text(note, "note", LONGEST_NOTE, "Leave it out, or say something.")?;
    }
    // Another tenant's anomaly is as one that is not there.
    if !scope::admits(c"costsim_cost_anomalies", Some(tenant))? {
        return Ok(false);
    }
    db::as_owner(|| {
        due::hold_as_operator(tenant)?;
        let is_changed = store::act(tenant, id, status, who, note)?;
        if is_changed {
            notice::end_alerts(vec![id])?;
        }
        Ok(is_changed)
    })
}
