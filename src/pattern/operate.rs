//! What people say of a pattern: that they know of it.

use pgrx::prelude::*;

use super::{detect, name, store};
use crate::convert::short_text;
use crate::error::{Answer, required};
use crate::{db, lock};

/// The most characters of a name.
const LONGEST_NAME: usize = 256;

/// The most characters of a note.
const LONGEST_NOTE: usize = 10_000;

/// Says that somebody knows of a pattern: whether that changed anything.
#[pg_extern(volatile, parallel_unsafe, requires = ["pattern"])]
fn costsim_acknowledge_feedback(
    tenant_id: Option<&str>,
    id: Option<i64>,
    acknowledged_by: Option<&str>,
    note: default!(Option<&str>, "NULL"),
) -> Answer<bool> {
    db::require_writable(c"costsim_acknowledge_feedback()");
    let tenant = name(required(tenant_id, "tenant_id")?, "tenant_id")?;
    let id = required(id, "id")?;
    let who = required(acknowledged_by, "acknowledged_by")?;
    let who = short_text(who, "acknowledged_by", LONGEST_NAME, "Say who: a name, an address.")?;
    if let Some(note) = note {
        short_text(note, "note", LONGEST_NOTE, "Leave it out, or say something.")?;
    }
    lock::wait_for_feedback_of(detect::key(tenant));
    Ok(store::acknowledge(tenant, id, who, note)?)
}
