//! Retry delays.
//!
//! Promises: the delay after the n-th failure lies in (0, min(2^n s, cap)], for every n, every cap and every jitter, so
//! no caller has to guard its arguments. Does not: decide whether to retry at all, nor remember anything between calls.
//!
//! The jitter is "full": it spreads the delay over the whole interval rather than around its end. After an outage many
//! rows fail at the same moment, and only full jitter keeps them from coming back at the same moment too.

use chrono::TimeDelta;

/// The cap of the reference: after eight failures the receiver is down for longer than a blip, and five minutes is as
/// late as a page may be once it is back.
pub const DEFAULT_CAP: TimeDelta = TimeDelta::seconds(300);

/// The delay without jitter: 2, 4, 8, 16, 32, 64, 128, 256, 300, 300 ... seconds after failures 1, 2, 3 ... for the
/// default cap. A negative cap counts as zero.
pub fn nominal(attempts_after_failure: u32, cap: TimeDelta) -> TimeDelta {
    let cap = cap.max(TimeDelta::zero());
    let power = 1_i64.checked_shl(attempts_after_failure).filter(|power| *power > 0);
    power.and_then(TimeDelta::try_seconds).map_or(cap, |delay| delay.min(cap))
}

/// [`nominal`] scaled by `1 - jitter`, to the microsecond that a timestamp can hold.
///
/// `jitter` is a uniform random number in [0, 1): 0 keeps the whole delay, values near 1 leave almost none of it, and at
/// least a microsecond remains of any delay that was not zero. Numbers outside are clamped; NaN counts as 0, which errs
/// towards waiting.
pub fn delay(attempts_after_failure: u32, cap: TimeDelta, jitter: f64) -> TimeDelta {
    let whole = nominal(attempts_after_failure, cap);
    let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
    // A cap beyond 292,000 years does not fit; the delay it stands for does not matter.
    let micros = whole.num_microseconds().unwrap_or(i64::MAX);
    let kept = (micros as f64 * (1.0 - jitter)).ceil() as i64;
    TimeDelta::microseconds(kept.max(1)).min(whole)
}
