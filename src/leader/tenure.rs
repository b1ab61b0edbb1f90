//! Terms that a lease alone keeps alive: no session holds anything, so they suit clients behind a transaction pooler.
//!
//! The term is over for everybody, its leader included, at the very moment its lease ends by the server's clock.

use costsim_core::lease::{self, Asked, Mode};
use pgrx::prelude::*;

use crate::error::Result;
use crate::{clock, db, lock};

use super::store::{self, Ended, NewTerm};
use super::{fence, held};

/// Leads by a lease: its token, or `None` while somebody else leads.
pub fn begin(lock_id: i64, node_id: &str, length: Interval) -> Result<Option<i64>> {
    let seen = store::latest(lock_id)?;
    // Whether a session leads, the lock tells; here only a lease counts that lives, and whose it is.
    match lease::ask(seen.as_ref(), Some(node_id), false, super::now()) {
        Asked::Renew(token) => return Ok(renew(lock_id, token, Some(length))?.map(|_| token)),
        // The key before the change lock: a session that has the key and not the change lock gives way, so one of the two goes on.
        Asked::Begin(_) if lock::is_key_free(lock_id) && lock::try_change(lock_id) => {}
        Asked::Begin(_) | Asked::Refused => return Ok(None),
    }
    // Once more, now that nobody else can change it. No session held the lock after the first look, so a session that leads now has
    // begun a term since.
    let latest = store::latest(lock_id)?;
    if latest.as_ref().map(|term| term.token) != seen.map(|term| term.token) {
        lock::give_up_change(lock_id);
        return Ok(None);
    }
    match lease::ask(latest.as_ref(), Some(node_id), false, super::now()) {
        Asked::Begin(ending) => {
            lock::wait_for_commits(lock_id);
            fence::settle(lock_id, false)?;
            let token = super::next_token(lock_id, latest.as_ref())?;
            db::make_commit_durable();
            store::begin_term(&NewTerm {
                lock_id,
                node_id: Some(node_id),
                mode: Mode::Lease,
                lease: Some(length),
                token,
                // After all waits: every commit by an earlier term was before.
                now: clock::now(),
                before: ending.and_then(Ended::by_itself),
            })?;
            held::note_change(lock_id);
            Ok(Some(token))
        }
        // Its lease was over at the first look, and was renewed since by a clock that went back.
        Asked::Renew(_) | Asked::Refused => {
            lock::give_up_change(lock_id);
            Ok(None)
        }
    }
}

/// Moves the end of a lease, in either mode: the new end, or `None` when the term is over. A term without a lease has no end.
pub fn renew(lock_id: i64, token: i64, length: Option<Interval>) -> Result<Option<TimestampWithTimeZone>> {
    db::make_commit_durable();
    lock::wait_for_change(lock_id);
    let latest = store::latest(lock_id)?;
    let has_session = lock::leads(lock_id) || lock::has_session(lock_id);
    let now = super::now();
    let end = match latest {
        Some(term) if lease::is_current(Some(&term), token, has_session, now) => {
            if term.lease_until.is_some() || length.is_some() {
                store::renew_term(lock_id, token, length, now.time)?
            } else {
                lock::give_up_change(lock_id);
                return Ok(Some(TimestampWithTimeZone::positive_infinity()));
            }
        }
        _ => None,
    };
    match end {
        Some(_) => held::note_change(lock_id),
        None => lock::give_up_change(lock_id),
    }
    Ok(end)
}

/// Gives a lease back: whether this token's term was running by one.
pub fn end(lock_id: i64, token: i64) -> Result<bool> {
    lock::wait_for_change(lock_id);
    let latest = store::latest(lock_id)?.filter(|term| term.mode == Mode::Lease);
    if !lease::is_current(latest.as_ref(), token, false, super::now()) {
        lock::give_up_change(lock_id);
        return Ok(false);
    }
    db::make_commit_durable();
    lock::wait_for_commits(lock_id);
    fence::settle(lock_id, false)?;
    store::end_term(lock_id, token, "released", None, clock::now())?;
    store::announce_release(lock_id)?;
    held::note_change(lock_id);
    Ok(true)
}
