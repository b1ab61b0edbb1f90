//! What time has done and nobody has written down yet: for the worker, and for whoever asks without one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::{Event, next_change};
use pgrx::pg_sys::panic::ErrorReport;

use super::act::{self, Outcome};
use super::store;
use crate::error::Result;
use crate::{alert, clock, db};

/// When a breaker is looked at again which somebody else had just then.
const WHEN_TAKEN: TimeDelta = TimeDelta::seconds(1);

/// When a breaker is looked at again that could not be recovered. Each time is a warning in the server's log.
const AFTER_FAILURE: TimeDelta = TimeDelta::seconds(10);

/// As many are tried before alerts have their turn.
const MOST_AT_ONCE: usize = 100;

thread_local! {
    /// Until when this process leaves a breaker alone that it has tried in vain.
    static PUT_OFF: RefCell<HashMap<String, DateTime<Utc>>> = RefCell::default();
}

fn put_off_until(name: &str) -> Option<DateTime<Utc>> {
    let now = clock::now();
    PUT_OFF.with_borrow(|put_off| put_off.get(name).copied().filter(|until| *until > now))
}

fn put_off(name: &str, span: TimeDelta) -> DateTime<Utc> {
    let now = clock::now();
    PUT_OFF.with_borrow_mut(|put_off| {
        put_off.retain(|_, until| *until > now);
        put_off.insert(name.to_owned(), now + span);
    });
    now + span
}

/// The names of the breakers for which time has done something, and when it will do so next for any other.
fn due() -> Result<(Vec<String>, Option<DateTime<Utc>>)> {
    let now = clock::now();
    let (mut names, mut next) = (Vec::new(), None);
    for (name, stored) in store::open_ones()? {
        match next_change(&stored.state, &stored.config) {
            Some(at) if at <= now => names.push(name),
            at => next = earlier(next, at),
        }
    }
    Ok((names, next))
}

fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}

/// Writes down, in the caller's transaction, what time has done to breakers that are free: their names and what came of it. One that
/// cannot be recovered keeps no other from it.
pub fn write_down() -> Result<Vec<(String, Outcome)>> {
    let mut moved = Vec::new();
    for name in due()?.0 {
        if let Some(outcome) = attempt(&name, || Ok(())).filter(|outcome| outcome.has_moved) {
            moved.push((name, outcome));
        }
    }
    Ok(moved)
}

/// The same for the worker, each breaker in a transaction of its own, so that none waits for another's locks or falls with it, and not more
/// than alerts can wait for. Answers when there will be something to do again.
pub fn write_down_each() -> Result<Option<DateTime<Utc>>> {
    let (names, mut next) = db::transaction(due)?;
    let mut tried = 0;
    for name in names {
        let again = match put_off_until(&name) {
            None if tried == MOST_AT_ONCE => Some(clock::now()),
            None => {
                tried += 1;
                // What somebody has put off to the commit would fail there, where nobody can catch it.
                match db::transaction(|| Ok(attempt(&name, db::check_deferred_constraints)))? {
                    Some(outcome) => next_change(&outcome.after.state, &outcome.after.config),
                    None => put_off_until(&name).or_else(|| Some(put_off(&name, WHEN_TAKEN))),
                }
            }
            until => until,
        };
        next = earlier(next, again);
    }
    Ok(next)
}

/// Writes down, in the caller's transaction, what time has done to one breaker, unless it is not free, or was tried in vain a moment ago.
pub fn try_tick(name: &str) -> Option<Outcome> {
    if put_off_until(name).is_some() { None } else { attempt(name, || Ok(())) }
}

/// What fails is told in the log and to the client, and has changed nothing.
fn attempt(name: &str, check: fn() -> Result<()>) -> Option<Outcome> {
    // The worker is woken by what is written, not by what is taken back: it would wake itself.
    let had_news = alert::take_wake();
    let tick = AssertUnwindSafe(|| {
        let outcome = act::apply_if_free(name, &Event::Tick)?;
        check().map(|()| outcome)
    });
    let outcome = db::subtransaction(|| (tick.0)());
    if outcome.is_err() {
        alert::take_wake();
    }
    if had_news {
        alert::wake_worker();
    }
    match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            put_off(name, AFTER_FAILURE);
            let error = ErrorReport::from(error);
            pgrx::warning!("circuit breaker \"{name}\" was not recovered: {}", error.message());
            None
        }
    }
}
