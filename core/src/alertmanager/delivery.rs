//! What an answer means, and what becomes of the row.

use std::fmt;

use chrono::TimeDelta;

use crate::backoff;

/// What an HTTP status says about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// The receiver will never take it: the fault is in the alert.
    Permanent,
    /// It may be taken later: the fault is elsewhere.
    Retryable,
}

/// | Status          | Verdict   | Why                                                                         |
/// |-----------------|-----------|-----------------------------------------------------------------------------|
/// | 2xx             | delivered |                                                                             |
/// | 400, 413, 422   | permanent | malformed, too large, invalid: true of this alert at any time               |
/// | 401, 403, 407   | retryable | credentials: heals when an operator renews them, and the alerts matter then |
/// | 404, 405, 410   | retryable | wrong path or wrong service: heals with the setting                         |
/// | 3xx             | retryable | redirects are not followed; heals with the setting                          |
/// | 408, 425, 429   | retryable | the receiver asks for another time                                          |
/// | 5xx             | retryable | the receiver is ill                                                         |
/// | everything else | retryable | unknown; giving up on an alert needs a reason                               |
pub fn verdict(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Delivered,
        400 | 413 | 422 => Verdict::Permanent,
        _ => Verdict::Retryable,
    }
}

/// When to give up, and how fast to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts that must have failed before an alert may be given up.
    pub max_attempts: i32,
    /// Time that must have passed as well. Attempts alone run out within 14 minutes by the reference's numbers, which is
    /// shorter than many an outage. Zero leaves the decision to the attempts.
    pub retry_window: TimeDelta,
    /// The longest delay between two attempts.
    pub backoff_cap: TimeDelta,
}

impl Default for RetryPolicy {
    /// The reference's ten attempts and 300 seconds, and a window of a day: an outage over a night is survived.
    fn default() -> Self {
        Self { max_attempts: 10, retry_window: TimeDelta::hours(24), backoff_cap: backoff::DEFAULT_CAP }
    }
}

/// What becomes of a row after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Delivered.
    Sent {
        /// Attempts made, this one included.
        attempts: i32,
    },
    /// To be tried again.
    Retry {
        /// Attempts made, this one included.
        attempts: i32,
        /// After this long.
        after: TimeDelta,
    },
    /// Given up.
    Dead {
        /// Attempts made, this one included.
        attempts: i32,
        /// For this reason.
        why: Death,
    },
}

/// Why an alert was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The receiver will never take it.
    Refused,
    /// Attempts and retry window are used up.
    Exhausted,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused by the receiver",
            Self::Exhausted => "attempts and retry window used up",
        })
    }
}

/// The longest pause a receiver may ask for. A receiver that is confused, or hostile, must not park an alert for years.
pub const LONGEST_ASKED_PAUSE: TimeDelta = TimeDelta::hours(1);

/// The pause before the next attempt, where the receiver asked for one (Retry-After): the longer of both, within reason.
pub fn with_asked_pause(after: TimeDelta, asked: Option<TimeDelta>) -> TimeDelta {
    asked.map_or(after, |asked| after.max(asked.min(LONGEST_ASKED_PAUSE)))
}

/// Settles one attempt on a row that has been pending for `pending_age` and was tried `attempts_before` times before it.
/// `jitter` is a random number in [0, 1), see [`backoff::delay`].
pub fn settle(
    policy: &RetryPolicy,
    verdict: Verdict,
    attempts_before: i32,
    pending_age: TimeDelta,
    jitter: f64,
) -> Settlement {
    let attempts = attempts_before.max(0).saturating_add(1);
    match verdict {
        Verdict::Delivered => Settlement::Sent { attempts },
        Verdict::Permanent => Settlement::Dead { attempts, why: Death::Refused },
        // A window of zero asks nothing of the age, not even that the clock has not gone back since the row was made.
        Verdict::Retryable
            if attempts >= policy.max_attempts
                && pending_age.max(TimeDelta::zero()) >= policy.retry_window =>
        {
            Settlement::Dead { attempts, why: Death::Exhausted }
        }
        Verdict::Retryable => {
            let after = backoff::delay(attempts.unsigned_abs(), policy.backoff_cap, jitter);
            Settlement::Retry { attempts, after }
        }
    }
}
