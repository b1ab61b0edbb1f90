//! Leader election: one leader per lock id, and a token that only grows to tell its writes from those of the one before.
//!
//! **The model.** A *term* is one leader with one fencing token. Two things can keep it alive:
//!
//! * *session mode*: the leader's session holds PostgreSQL's session-level advisory lock on the lock id. The lock decides, the row
//!   remembers; both are taken together or not at all. The term ends when the session gives it back or ends. If it has a lease and has
//!   not renewed it in time, a candidate may end that session.
//! * *lease mode*: the row alone, until its lease ends. No session holds anything, so it works behind a transaction pooler.
//!
//! ```text
//!              try_leader: lock free              commit
//!    follower ---------------------> acquiring ------------> leading
//!        ^                               | abort                | release_leader
//!        |<------------------------------+                      v
//!        |<-------------------------------------------- releasing (unlocks at commit;
//!                           commit, or end of session            abort: leading again)
//! ```
//!
//! **Fencing.** A transaction that requires leadership is checked once more just before it commits, and whoever begins the next term
//! waits for such commits. So no write of a deposed leader is committed, whatever was paused for how long.
//!
//! `held` what this session leads · `candidate` asking · `tenure` lease mode · `overdue` ending somebody's term · `fence` requirements

mod candidate;
mod fence;
mod held;
mod overdue;
mod purge;
mod store;
mod tenure;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

pub use purge::purge_some;

use candidate::Candidate;
use costsim_core::lease;
use held::Term;
use pgrx::prelude::*;

use crate::convert::{self, short_text};
use crate::error::{Answer, Error, Result, required};
use crate::{clock, db, lock};

/// The most characters of a node id: it is shown in views and logs.
const LONGEST_NODE_ID: usize = 200;

/// The most characters of a reason.
const LONGEST_REASON: usize = 1_000;

/// Whether this session leads `lock_id` from now on. Never waits for a leader. Asking again while leading is true, takes no second
/// lock, and writes nothing but a lease's renewal. False while somebody else leads, and when this session leads under another node id:
/// then a pooler has put two clients on one session. A leader whose lease is over is evicted.
///
/// Not SECURITY DEFINER: asking while leading, and being refused, are answered from locks alone, and shall cost no more. What touches
/// our tables does so as their owner.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_try_leader(
    lock_id: Option<i64>,
    node_id: default!(Option<&str>, "NULL"),
    lease: default!(Option<Interval>, "NULL"),
) -> Answer<bool> {
    Ok(candidate(lock_id, node_id, lease)?.ask()?)
}

/// Waits in the lock's queue until this session leads: whether it does by the end of `timeout`. Otherwise like
/// `costsim_try_leader`. Cancel and the statement's own timeout raise as ever; nothing is left behind.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_wait_leader(
    lock_id: Option<i64>,
    timeout: default!(Option<Interval>, "'5 seconds'"),
    node_id: default!(Option<&str>, "NULL"),
    lease: default!(Option<Interval>, "NULL"),
) -> Answer<bool> {
    let timeout = patience(required(timeout, "timeout")?)?;
    Ok(candidate(lock_id, node_id, lease)?.wait(timeout)?)
}

/// Gives the leadership back: true when this session led. The lock opens at commit; then `costsim_leader_released` is
/// notified with the lock id. When the transaction aborts, this session leads on.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_release_leader(lock_id: Option<i64>) -> Answer<bool> {
    let lock_id = required(lock_id, "lock_id")?;
    let Some(term) = held::term(lock_id) else { return Ok(false) };
    db::require_writable(c"costsim_release_leader()");
    give_back(lock_id, &term, "released", None)?;
    Ok(true)
}

/// Whether this session leads `lock_id`. Reads this session's memory and its own locks, nothing else.
#[pg_extern(volatile, strict, parallel_restricted)]
fn costsim_is_leader(lock_id: i64) -> bool {
    held::term(lock_id).is_some()
}

/// The fencing token of the term by which this session leads `lock_id`; NULL when it does not.
#[pg_extern(volatile, strict, parallel_restricted)]
fn costsim_fencing_token(lock_id: i64) -> Option<i64> {
    held::term(lock_id).map(|term| term.token)
}

/// Leads by a lease that needs no session: the fencing token, or NULL while somebody else leads. The same node is given the same
/// token again, and its lease renewed.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_try_lease(
    lock_id: Option<i64>,
    node_id: Option<&str>,
    lease: default!(Option<Interval>, "'15 seconds'"),
) -> Answer<Option<i64>> {
    let asking = candidate(lock_id, Some(required(node_id, "node_id")?), Some(required(lease, "lease")?))?;
    db::require_writable(c"costsim_try_lease()");
    let Candidate { lock_id, node_id: Some(node_id), lease: Some(lease) } = asking else { return Ok(None) };
    Ok(tenure::begin(lock_id, node_id, lease)?)
}

/// Renews the lease of a term for as long as it was taken: its new end, `infinity` for a term without a lease, or NULL when the
/// term is over.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_renew_lease(lock_id: Option<i64>, token: Option<i64>) -> Answer<Option<TimestampWithTimeZone>> {
    let (lock_id, token) = (required(lock_id, "lock_id")?, required(token, "token")?);
    db::require_writable(c"costsim_renew_lease()");
    Ok(tenure::renew(lock_id, token, None)?)
}

/// Gives a lease back: true when the term of this token was running. Announced as by `costsim_release_leader`.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_release_lease(lock_id: Option<i64>, token: Option<i64>) -> Answer<bool> {
    let (lock_id, token) = (required(lock_id, "lock_id")?, required(token, "token")?);
    db::require_writable(c"costsim_release_lease()");
    if let Some(term) = held::term(lock_id).filter(|term| term.token == token) {
        give_back(lock_id, &term, "released", None)?;
        return Ok(true);
    }
    Ok(tenure::end(lock_id, token)?)
}

/// Raises 55000 unless the term of this token, or that of this session, is current, now and again just before the transaction
/// commits. A deposed leader's transaction cannot commit.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_require_leader(lock_id: Option<i64>, token: default!(Option<i64>, "NULL")) -> Answer<()> {
    let lock_id = required(lock_id, "lock_id")?;
    db::require_primary(c"costsim_require_leader()");
    Ok(fence::require(lock_id, token)?)
}

/// Runs a command if this session leads, or comes to lead within `timeout`, with the caller's rights: whether it led, and how many
/// rows the command touched or returned. Its errors come out unchanged. The lead is given back with the transaction's commit, unless
/// this session had it before.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_run_as_leader(
    lock_id: Option<i64>,
    command: Option<&str>,
    timeout: default!(Option<Interval>, "'0 seconds'"),
) -> std::result::Result<
    TableIterator<'static, (name!(led, bool), name!(rows, Option<i64>))>,
    pgrx::pg_sys::panic::ErrorReport,
> {
    let lock_id = required(lock_id, "lock_id")?;
    let command = required(command, "command")?;
    if command.trim().is_empty() {
        let hint = "Pass the SQL that shall run while this session leads.";
        return Err(Error::invalid("command must not be blank", hint).into());
    }
    let timeout = required(timeout, "timeout")?;
    let has_led = held::term(lock_id).is_some();
    if !store::wait_as_caller(lock_id, timeout)? {
        return Ok(TableIterator::once((false, None)));
    }
    let rows = db::run_command(command)?;
    if !has_led {
        store::release_as_caller(lock_id)?;
    }
    Ok(TableIterator::once((true, Some(i64::try_from(rows).unwrap_or(i64::MAX)))))
}

/// Ends the term of whoever leads, at an operator's word: true when there was one. A session that leads is terminated; this
/// session just gives back what it leads.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_resign_leader(lock_id: Option<i64>, reason: Option<&str>) -> Answer<bool> {
    let lock_id = required(lock_id, "lock_id")?;
    let hint = "Say in a few words why; it is kept in costsim_leader_events.";
    let reason = short_text(required(reason, "reason")?, "reason", LONGEST_REASON, hint)?;
    db::require_writable(c"costsim_resign_leader()");
    db::make_commit_durable();
    if let Some(term) = held::term(lock_id) {
        give_back(lock_id, &term, "resigned", Some(reason))?;
        return Ok(true);
    }
    Ok(overdue::resign(lock_id, reason)?)
}

/// The lock id registered under this name in `costsim_locks`.
#[pg_extern(stable, parallel_safe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_lock_id(name: Option<&str>) -> Answer<i64> {
    let name = required(name, "name")?;
    Ok(store::lock_id(name)?.ok_or_else(|| Error::no_such_lock(name))?)
}

/// Ends the term of this session; its lock opens at commit.
fn give_back(lock_id: i64, term: &Term, event: &str, reason: Option<&str>) -> Result<()> {
    db::make_commit_durable();
    lock::wait_for_change(lock_id);
    lock::wait_for_commits(lock_id);
    fence::settle(lock_id, true)?;
    store::end_term(lock_id, term.token, event, reason, clock::now())?;
    store::announce_release(lock_id)?;
    held::end(lock_id);
    Ok(())
}

fn candidate<'a>(
    lock_id: Option<i64>,
    node_id: Option<&'a str>,
    lease: Option<Interval>,
) -> Result<Candidate<'a>> {
    let lock_id = required(lock_id, "lock_id")?;
    let hint = "Pass a name that tells this replica from the others, or leave it out.";
    let node_id = node_id.map(|name| short_text(name, "node_id", LONGEST_NODE_ID, hint)).transpose()?;
    let lease = lease.map(lease_length).transpose()?;
    Ok(Candidate { lock_id, node_id, lease })
}

/// When and where a decision is made.
fn now() -> lease::Now {
    lease::Now { time: clock::now(), timeline: db::timeline() }
}

/// The server's timeline; 0 on a standby, which cannot know that it replaces anybody.
#[pg_extern(stable, parallel_safe)]
fn _costsim_timeline() -> i64 {
    db::timeline().into()
}

/// A lease's length, in one unit: a month is 30 days, whichever month it is.
fn lease_length(lease: Interval) -> Result<Interval> {
    let span = convert::span(lease);
    if lease::is_sensible(span) {
        return convert::interval(span);
    }
    Err(Error::invalid(
        format!("lease must be longer than nothing and at most {} days", lease::LONGEST.num_days()),
        "Pass a few times the pause between two renewals, such as '15 s'.",
    ))
}

/// A timeout as a span of time; what is longer than a lease can be is as good as for ever.
fn patience(timeout: Interval) -> Result<chrono::TimeDelta> {
    let span = convert::span(timeout);
    if span < chrono::TimeDelta::zero() {
        return Err(Error::invalid(
            "timeout must not be negative",
            "Pass how long to wait, such as '5 s', or '0'.",
        ));
    }
    Ok(span.min(lease::LONGEST))
}

/// The token of the next term of a lock id.
fn next_token(lock_id: i64, latest: Option<&lease::Term>) -> Result<i64> {
    lease::next_token(latest.map(|term| term.token), db::timeline())
        .map_err(|_| Error::Exhausted { what: format!("lock {lock_id} has used up its epochs") })
}
