//! What is made of a pattern that was found: whether it goes on, and when a cost is a spike.
//!
//! Promises: what happens again within one window of the last time is the same episode, what happens later is a new one; an earlier look never takes back
//! what a later one has said. Does not: read runs, or judge what is behind them.

use chrono::{DateTime, TimeDelta, Utc};

/// From when to when something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The first time.
    pub first: DateTime<Utc>,
    /// The last time.
    pub last: DateTime<Utc>,
}

/// What a look makes of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is known of it: an episode begins.
    Begins,
    /// It goes on, seen from then to then.
    GoesOn(Seen),
    /// What is known is over, and an episode begins.
    BeginsAnew,
    /// A later look has spoken of this episode.
    IsKnown,
    /// A later look has spoken, and of a later episode.
    IsPast,
}

/// What a look at `as_of` makes of a pattern that it has found, beside the current episode and the look that wrote that.
#[must_use]
pub fn outcome(
    found: Seen,
    as_of: DateTime<Utc>,
    current: Option<(Seen, DateTime<Utc>)>,
    window: TimeDelta,
) -> Outcome {
    let Some((known, written_at)) = current else { return Outcome::Begins };
    let is_same = found.first - known.last <= window && known.first - found.last <= window;
    match (is_same, as_of < written_at) {
        (true, false) => {
            Outcome::GoesOn(Seen { first: known.first.min(found.first), last: known.last.max(found.last) })
        }
        (true, true) => Outcome::IsKnown,
        // Runs of long ago that were told of late.
        (false, _) if found.last < known.first => Outcome::IsPast,
        (false, false) => Outcome::BeginsAnew,
        (false, true) => Outcome::IsPast,
    }
}

/// By how many percent a cost lies above the mean of those before it.
#[must_use]
pub fn spike_pct(recent: f64, mean: f64) -> f64 {
    (recent - mean) / mean * 100.0
}

/// A number as Python prints a float of everyday size: with a point.
#[must_use]
pub fn with_point(number: f64) -> String {
    format!("{number:?}")
}
