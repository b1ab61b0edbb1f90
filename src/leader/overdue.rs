//! Ending somebody else's term: the session whose lease is over, or whoever an operator names.
//!
//! Ending a process is the one thing here that no rollback undoes, so it is done to nobody but the process on record, which must be of
//! this database, have started when the record says, and hold the lock together with the mark that only a term of ours sets. A renewal
//! meanwhile is kept out by the change lock; only if the process on record has that itself, in a transaction it does not end, it
//! does not help it: what it renewed was not committed when its lease was over.

use std::cell::Cell;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::lease::{self, Mode, Standing};
use pgrx::prelude::*;

use crate::error::Result;
use crate::{clock, db, lock};

use super::store::{self, LeadingProcess};
use super::{fence, held};

/// How long the exit of an evicted process is waited for.
pub const PATIENCE: TimeDelta = TimeDelta::seconds(5);

/// What became of an eviction.
pub enum Eviction {
    /// The process of the term of this token is gone, and its lock with it; and whether that was our doing.
    Gone { token: i64, is_evicted: bool },
    /// The lease lives until then, or there is nobody to evict, or it could not be done.
    NotDue { due: Option<DateTime<Utc>> },
}

/// How long it is believed that a lease lives without another look at its row: a next leader's may be shorter.
const BELIEVED_FOR: TimeDelta = TimeDelta::seconds(1);

/// What a look at a row has shown.
#[derive(Clone, Copy)]
struct Seen {
    lock_id: i64,
    at: DateTime<Utc>,
    due: DateTime<Utc>,
}

thread_local! {
    static SEEN: Cell<Option<Seen>> = const { Cell::new(None) };
}

/// The end of a living lease that this session has seen a moment ago: who asks in a loop need not read the row each time.
pub fn known_due(lock_id: i64) -> Option<DateTime<Utc>> {
    let seen = SEEN.get().filter(|seen| seen.lock_id == lock_id)?;
    let now = clock::now();
    (seen.due > now && (now - seen.at).abs() < BELIEVED_FOR).then_some(seen.due)
}

/// Evicts the session that leads `lock_id`, if its lease is over.
pub fn evict(lock_id: i64, patience: TimeDelta) -> Result<Eviction> {
    if let Overdue::No { due } = look(lock_id)? {
        return Ok(Eviction::NotDue { due });
    }
    let has_change = lock::try_change(lock_id);
    // Once more, now that nobody else can renew it.
    let outcome = match look(lock_id)? {
        Overdue::No { due } => Eviction::NotDue { due },
        Overdue::Since { token, due } => match store::leading_process(lock_id, token)? {
            None => Eviction::Gone { token, is_evicted: false },
            // Somebody else is about to evict it.
            Some(process) if !has_change && !process.is_changing => Eviction::NotDue { due: Some(due) },
            Some(process) => match end_process(lock_id, token, &process, patience)? {
                None => Eviction::Gone { token, is_evicted: true },
                Some(obstacle) => {
                    let reason = format!("its lease is over, but {obstacle}");
                    store::note(lock_id, token, "preempt_denied", None, &reason)?;
                    Eviction::NotDue { due: Some(due) }
                }
            },
        },
    };
    if has_change {
        lock::give_up_change(lock_id);
    }
    Ok(outcome)
}

/// Whether a lock's leader is a session whose lease is over.
enum Overdue {
    Since { token: i64, due: DateTime<Utc> },
    No { due: Option<DateTime<Utc>> },
}

fn look(lock_id: i64) -> Result<Overdue> {
    let Some(term) = store::latest(lock_id)?.filter(|term| term.mode == Mode::Session) else {
        return Ok(Overdue::No { due: None });
    };
    let now = super::now();
    SEEN.set(term.lease_until.map(|due| Seen { lock_id, at: now.time, due }));
    Ok(match (lease::standing(&term, true, now), term.lease_until) {
        (Standing::Overdue, Some(due)) => Overdue::Since { token: term.token, due },
        (_, due) => Overdue::No { due },
    })
}

/// Ends the term of whoever leads, at an operator's word: whether there was one to end.
pub fn resign(lock_id: i64, reason: &str) -> Result<bool> {
    let Some(term) = store::latest(lock_id)?.filter(|term| !term.is_released) else { return Ok(false) };
    let has_change = if lock::try_change(lock_id) {
        true
    } else if store::leading_process(lock_id, term.token)?.is_some_and(|process| process.is_changing) {
        false
    } else {
        lock::wait_for_change(lock_id);
        true
    };
    let Some(term) = store::latest(lock_id)?.filter(|latest| latest.token == term.token) else {
        if has_change {
            lock::give_up_change(lock_id);
        }
        return Ok(false);
    };
    let is_ended = match term.mode {
        Mode::Lease => lease::is_current(Some(&term), term.token, false, super::now()),
        Mode::Session => match store::leading_process(lock_id, term.token)? {
            None => false,
            Some(process) => match end_process(lock_id, term.token, &process, PATIENCE)? {
                None => true,
                Some(obstacle) => {
                    let reason = format!("to resign ({reason}), but {obstacle}");
                    store::note(lock_id, term.token, "preempt_denied", None, &reason)?;
                    false
                }
            },
        },
    };
    if is_ended {
        // Free by now: whoever had it is gone.
        lock::wait_for_change(lock_id);
        lock::wait_for_commits(lock_id);
        fence::settle(lock_id, true)?;
        store::end_term(lock_id, term.token, "resigned", Some(reason), clock::now())?;
        store::announce_release(lock_id)?;
        held::note_change(lock_id);
    } else if has_change {
        lock::give_up_change(lock_id);
    }
    Ok(is_ended)
}

/// Ends a process that leads, and waits until its lock is free: `None`, or what kept it from that.
fn end_process(
    lock_id: i64,
    token: i64,
    process: &LeadingProcess,
    patience: TimeDelta,
) -> Result<Option<&'static str>> {
    let pid = process.pid;
    let deadline = clock::now() + patience;
    let is_told = db::catch(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, move || store::terminate(pid))?;
    let obstacle = if is_told.is_none() {
        Some("the extension's owner may not end that session")
    } else {
        // The server's own way of waiting for the exit looks every 100 ms; most sessions are gone in one.
        let mut pause = TimeDelta::milliseconds(1);
        loop {
            if store::leading_process(lock_id, token)?.is_none() {
                break None;
            }
            if clock::now() >= deadline {
                break Some("its process does not end");
            }
            clock::pause(pause);
            pause = (pause * 2).min(TimeDelta::milliseconds(20));
        }
    };
    // A rollback of the caller undoes the row that tells of it, not the act.
    match obstacle {
        None => log!("costsim_pg: ended process {pid}, which led lock {lock_id} with token {token}"),
        Some(obstacle) => {
            log!("costsim_pg: process {pid} shall no longer lead lock {lock_id}, but {obstacle}")
        }
    }
    Ok(obstacle)
}
