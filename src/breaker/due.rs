//! What time has done and nobody has written down yet: for the worker, and for whoever asks without one.

use std::panic::AssertUnwindSafe;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::{Event, next_change};

use pgrx::pg_sys::panic::ErrorReport;

use super::act::{self, Outcome};
use super::store;
use crate::error::Result;
use crate::{clock, db};

/// When a breaker is looked at again whose row somebody else had.
const WHEN_TAKEN: TimeDelta = TimeDelta::seconds(1);

/// When a breaker is looked at again that could not be recovered. Each time is a warning in the server's log.
const AFTER_FAILURE: TimeDelta = TimeDelta::seconds(30);

/// As many are recovered before alerts have their turn.
const MOST_AT_ONCE: usize = 100;

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

/// Writes down, in the caller's transaction, what time has done to breakers whose rows are free: their names and what came of it. One
/// that cannot be recovered keeps no other from it.
pub fn write_down() -> Result<Vec<(String, Outcome)>> {
    let mut moved = Vec::new();
    for name in due()?.0 {
        if let Some(outcome) = try_tick(&name).flatten().filter(|outcome| outcome.has_moved) {
            moved.push((name, outcome));
        }
    }
    Ok(moved)
}

/// The same for the worker, each breaker in a transaction of its own, so that none waits for another's locks or falls with it, and not more
/// than alerts can wait for. Answers when there will be something to do again.
pub fn write_down_each() -> Result<Option<DateTime<Utc>>> {
    let (names, mut next) = db::transaction(due)?;
    for (count, name) in names.into_iter().enumerate() {
        let again = if count >= MOST_AT_ONCE {
            Some(clock::now())
        } else {
            // What somebody has put off to the commit would fail there, where nobody can catch it.
            match db::transaction(|| Ok(attempt(&name, db::check_deferred_constraints)))? {
                Some(Some(outcome)) => next_change(&outcome.after.state, &outcome.after.config),
                Some(None) => Some(clock::now() + WHEN_TAKEN),
                None => Some(clock::now() + AFTER_FAILURE),
            }
        };
        next = earlier(next, again);
    }
    Ok(next)
}

/// Writes down, in the caller's transaction, what time has done to one breaker: `None` if that failed, which is told in the log and to the
/// client; `Some(None)` if somebody else has the breaker just now.
pub fn try_tick(name: &str) -> Option<Option<Outcome>> {
    attempt(name, || Ok(()))
}

fn attempt(name: &str, check: fn() -> Result<()>) -> Option<Option<Outcome>> {
    let tick = AssertUnwindSafe(|| {
        let outcome = act::apply_if_free(name, &Event::Tick)?;
        check().map(|()| outcome)
    });
    match db::subtransaction(|| (tick.0)()) {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            let error = ErrorReport::from(error);
            pgrx::warning!("circuit breaker \"{name}\" was not recovered: {}", error.message());
            None
        }
    }
}
