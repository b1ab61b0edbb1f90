//! Fencing tokens.
//!
//! Promises: each token of a lock is greater than every one before it, so that a resource that remembers the greatest
//! token it has seen can turn a deposed leader away. Does not: store anything or decide who leads.
//!
//! ```text
//!    63 | 62 ........... 32 | 31 ............ 0
//!     0 |     timeline      |      epoch
//! ```
//!
//! The epoch counts the terms of one lock and is never reset. The timeline is the server's, and grows when a standby is
//! promoted: an asynchronous standby may not have seen the last epochs, so the epoch alone could repeat one. It stands
//! above the epoch, and once seen it never shrinks, so that a dump restored on a younger cluster goes on growing too.

use std::fmt;

/// Bits of the epoch: a new term each millisecond would last 49 days, one each second 136 years.
const EPOCH_BITS: u32 = 32;

/// No greater token exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// The epoch has reached 2^32 - 1.
    Epoch,
    /// The timeline has reached 2^31: the token would be negative.
    Timeline,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epoch => f.write_str("the epochs of this lock are used up"),
            Self::Timeline => f.write_str("the timeline does not fit a fencing token"),
        }
    }
}

impl std::error::Error for Exhausted {}

/// The token of one term.
pub fn token(timeline: u32, epoch: u32) -> Result<i64, Exhausted> {
    let timeline = i32::try_from(timeline).map_err(|_| Exhausted::Timeline)?;
    Ok(i64::from(timeline) << EPOCH_BITS | i64::from(epoch))
}

/// The token after `previous`, on a server whose timeline is `timeline`. The first term of a lock has epoch 1.
///
/// A negative `previous` cannot come from here and counts as none.
pub fn next_token(previous: Option<i64>, timeline: u32) -> Result<i64, Exhausted> {
    let previous = previous.unwrap_or(0).max(0);
    let epoch = self::epoch(previous).checked_add(1).ok_or(Exhausted::Epoch)?;
    token(timeline.max(self::timeline(previous)), epoch)
}

/// The epoch a token carries.
pub fn epoch(token: i64) -> u32 {
    // The low half by intent.
    token as u32
}

/// The timeline a token carries.
pub fn timeline(token: i64) -> u32 {
    (token >> EPOCH_BITS) as u32
}
