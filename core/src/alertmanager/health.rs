//! Whether a receiver is well, when it is asked next, and how much it is given at once.
//!
//! ```text
//!            taken                     missed: pause min(2^n, cap), full jitter, or what it asked for
//!   well  <---------  anything   anything  ----------> ill, not before then
//! ```
//!
//! An ill receiver is asked with the rows it missed, in their order. Where it *answers* and yet takes nothing, one row may be what
//! makes it stumble: each answered miss in a row quarters the batch, until a row stands alone, and the one that fails alone is put
//! aside for a while so that the rest goes on.

use chrono::{DateTime, TimeDelta, Utc};

use super::with_asked_pause;
use crate::backoff;

/// What is known of a receiver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// Requests in a row that brought nothing.
    pub failures: u32,
    /// How many of them, at the end of the row, were answered.
    answered: u32,
    /// Not asked before.
    pub not_before: Option<DateTime<Utc>>,
}

impl Health {
    /// Whether the latest request was taken, or there was none.
    pub fn is_well(&self) -> bool {
        self.failures == 0
    }

    /// Whether it may be asked at `now`.
    pub fn may_be_asked(&self, now: DateTime<Utc>) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// After a request that was taken, or refused for what was in it.
    pub fn after_success() -> Self {
        Self::default()
    }

    /// After a request, at `now`, that brought nothing. `asked` is the pause the receiver asked for, `jitter` a random number in
    /// [0, 1).
    pub fn after_failure(
        self,
        now: DateTime<Utc>,
        was_answered: bool,
        asked: Option<TimeDelta>,
        cap: TimeDelta,
        jitter: f64,
    ) -> Self {
        let failures = self.failures.saturating_add(1);
        let pause = with_asked_pause(backoff::delay(failures, cap, jitter), asked);
        Self {
            failures,
            answered: if was_answered { self.answered.saturating_add(1) } else { 0 },
            not_before: Some(now.checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC)),
        }
    }

    /// How many rows the next request may carry, of at most `most`.
    pub fn batch(&self, most: usize) -> usize {
        most.checked_shr(self.answered.saturating_mul(2)).unwrap_or(0).max(1)
    }
}
