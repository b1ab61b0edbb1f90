//! What time has done and nobody has written down yet: for the worker, and for whoever asks without one.

use std::panic::AssertUnwindSafe;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::{Event, next_change};

use super::act::{self, Outcome};
use super::store;
use crate::error::Result;
use crate::{clock, db};

/// When a breaker is looked at again whose row somebody else had.
const WHEN_TAKEN: TimeDelta = TimeDelta::seconds(1);

/// When a breaker is looked at again that could not be recovered. Each time is a warning in the server's log.
const AFTER_FAILURE: TimeDelta = TimeDelta::seconds(30);

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

/// Writes down, in the caller's transaction, what time has done to breakers whose rows are free: their names and what came of it.
pub fn write_down() -> Result<Vec<(String, Outcome)>> {
    let mut moved = Vec::new();
    for name in due()?.0 {
        if let Some(outcome) = act::apply_if_free(&name, &Event::Tick)?.filter(|outcome| outcome.has_moved) {
            moved.push((name, outcome));
        }
    }
    Ok(moved)
}

/// The same for the worker, each breaker in a transaction of its own, so that none waits for another's locks or falls with it. Answers when
/// there will be something to do again.
pub fn write_down_each() -> Result<Option<DateTime<Utc>>> {
    let (names, mut next) = db::transaction(due)?;
    for name in names {
        let tick = AssertUnwindSafe(|| act::apply_if_free(&name, &Event::Tick));
        let again = match db::transaction(|| Ok(db::subtransaction(|| (tick.0)())))? {
            Ok(Some(outcome)) => next_change(&outcome.after.state, &outcome.after.config),
            Ok(None) => Some(clock::now() + WHEN_TAKEN),
            // A breaker that cannot be recovered must not keep others, and alerts, from being looked after.
            Err(error) => {
                pgrx::warning!("circuit breaker {name} was not recovered: {error:?}");
                Some(clock::now() + AFTER_FAILURE)
            }
        };
        next = earlier(next, again);
    }
    Ok(next)
}
