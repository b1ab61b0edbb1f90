//! Leader election: one session per lock id leads, and says so with a token that only grows.
//!
//! **The model.** A *term* is one session holding PostgreSQL's session-level advisory lock on the lock id, together with a
//! committed row that numbers the term. Lock and row are taken together or not at all; the lock decides, the row remembers.
//! The term ends when the session gives it back, or when the session ends, for whatever reason. Nobody is ever pre-empted.
//!
//! ```text
//!              try_leader: lock free              commit
//!    follower ---------------------> acquiring ------------> leading
//!        ^                               | abort                | release_leader
//!        |<------------------------------+                      v
//!        |<-------------------------------------------- releasing (unlocks at commit;
//!        |                  commit, or end of session            abort: leading again)
//! ```
//!
//! What it does not do: it does not notice a leader that is alive but useless, and it cannot tell two clients apart that a
//! transaction pooler puts on one session, unless they name themselves by different node ids.

mod held;
mod store;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

use costsim_core::lease;
use held::Term;
use pgrx::prelude::*;

use crate::convert::short_text;
use crate::db;
use crate::error::{Answer, Error, Result, required};

/// The most characters of a node id: it is shown in views and logs.
const LONGEST_NODE_ID: usize = 200;

/// Whether this session leads `lock_id` from now on. Never waits. Asking again while leading is true, takes no second lock and
/// writes nothing. False while another session leads, and when this session leads under another node id: then a pooler has
/// put two clients on one session.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_try_leader(lock_id: Option<i64>, node_id: default!(Option<&str>, "NULL")) -> Answer<bool> {
    let lock_id = required(lock_id, "lock_id")?;
    let hint = "Pass a name that tells this replica from the others, or leave it out.";
    let node_id = node_id.map(|name| short_text(name, "node_id", LONGEST_NODE_ID, hint)).transpose()?;
    if let Some(term) = held::term(lock_id) {
        return Ok(is_same_node(&term, node_id));
    }
    db::require_writable(c"costsim_try_leader()");
    if !held::try_lock(lock_id) {
        return Ok(false);
    }
    begin_term(lock_id, node_id)?;
    Ok(true)
}

/// Gives the leadership back: true when this session led. The lock opens at commit; then `costsim_leader_released` is
/// notified with the lock id. When the transaction aborts, this session leads on.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_release_leader(lock_id: Option<i64>) -> Answer<bool> {
    let lock_id = required(lock_id, "lock_id")?;
    let Some(term) = held::term(lock_id) else { return Ok(false) };
    db::require_writable(c"costsim_release_leader()");
    db::make_commit_durable();
    store::end_term(lock_id, term.token)?;
    store::announce_release(lock_id)?;
    held::end(lock_id);
    Ok(true)
}

/// Whether this session leads `lock_id`. Reads this session's memory and its own locks, nothing else.
#[pg_extern(volatile, strict, parallel_restricted)]
fn costsim_is_leader(lock_id: i64) -> bool {
    held::term(lock_id).is_some()
}

fn begin_term(lock_id: i64, node_id: Option<&str>) -> Result<()> {
    // A term that was led and then forgotten in a crash would give its token to somebody else.
    db::make_commit_durable();
    let (previous, timeline) = store::previous_token(lock_id)?;
    let timeline = u32::try_from(timeline).map_err(|_| Error::Internal("timeline out of range".into()))?;
    let token = lease::next_token(previous, timeline)
        .map_err(|_| Error::Exhausted { what: format!("lock {lock_id} has used up its epochs") })?;
    store::begin_term(lock_id, node_id, token)?;
    held::begin(lock_id, Term { node_id: node_id.map(Into::into), token });
    Ok(())
}

fn is_same_node(term: &Term, node_id: Option<&str>) -> bool {
    match (&term.node_id, node_id) {
        (Some(leading), Some(asking)) => leading.as_ref() == asking,
        (None, _) | (_, None) => true,
    }
}
