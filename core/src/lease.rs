//! Terms of leadership: when one is over, who may begin the next, and the fencing tokens that number them.
//!
//! Promises: at no moment two terms of a lock stand, as long as the terms are begun one at a time; and each token is greater than
//! every one before it, so that a resource that remembers the greatest token it has seen can turn a deposed leader away. Does not:
//! store anything, or take a lock.
//!
//! ```text
//!              begin                     the lease runs out
//!    (none) ---------> stands -------------------------------> overdue      a session's term: a candidate may evict it,
//!       ^                |  ^------------- renewed -------------- |         until then the session may still renew
//!       |                |                                        |
//!       |                | given back, the lease runs out (lease  | evicted
//!       |                | mode), the session ends, the server    |
//!       |                v is replaced by a standby               v
//!       +-------------- over <-----------------------------------+
//! ```
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

use chrono::{DateTime, TimeDelta, Utc};

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

/// What keeps a term alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A session that holds the lock. A lease, if there is one, only says from when on it may be evicted.
    Session,
    /// The lease alone.
    Lease,
}

/// What is on record of a lock's latest term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What keeps it alive.
    pub mode: Mode,
    /// Its fencing token.
    pub token: i64,
    /// Who leads, in the application's own words.
    pub node_id: Option<String>,
    /// When its lease runs out, if it has one.
    pub lease_until: Option<DateTime<Utc>>,
    /// Whether it was given back.
    pub is_released: bool,
}

/// Where a term stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its leader leads.
    Leads,
    /// Its leader leads still, but has not renewed its lease in time: a candidate may evict its session.
    Overdue,
    /// Nobody leads by it any more.
    Over(Ending),
}

/// How a term came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was given back.
    Released,
    /// Its lease ran out.
    Expired,
    /// Its session ended, or lost the lock.
    SessionGone,
    /// The server that gave it was replaced by a standby, which may not have seen what came after it.
    ServerReplaced,
}

/// When and where a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The server's clock.
    pub time: DateTime<Utc>,
    /// The server's timeline.
    pub timeline: u32,
}

/// What a call may make of the latest term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Begin the next term, after one that ended like this; `None` when there was none before.
    Begin(Option<Ending>),
    /// The caller leads already, by the term of this token: its lease is renewed.
    Renew(i64),
    /// Somebody else leads.
    Refused,
}

/// Where a term stands at a moment. `has_session`: whether the session of a term in session mode still leads by it.
pub fn standing(term: &Term, has_session: bool, now: Now) -> Standing {
    let is_past = term.lease_until.is_none_or(|until| until <= now.time);
    match term.mode {
        _ if term.is_released => Standing::Over(Ending::Released),
        _ if timeline(term.token) < now.timeline => Standing::Over(Ending::ServerReplaced),
        Mode::Session if !has_session => Standing::Over(Ending::SessionGone),
        Mode::Session if term.lease_until.is_some() && is_past => Standing::Overdue,
        // A lease without an end would be one that nobody can take over.
        Mode::Lease if is_past => Standing::Over(Ending::Expired),
        Mode::Session | Mode::Lease => Standing::Leads,
    }
}

/// What a candidate gets that nobody's session stands in the way of. `lease_of`: the name under which it asks for a lease; a session
/// that has taken the lock itself passes none, and never continues a lease.
pub fn ask(latest: Option<&Term>, lease_of: Option<&str>, has_session: bool, now: Now) -> Asked {
    let Some(term) = latest else { return Asked::Begin(None) };
    match standing(term, has_session, now) {
        Standing::Over(ending) => Asked::Begin(Some(ending)),
        Standing::Leads
            if term.mode == Mode::Lease && lease_of.is_some() && lease_of == term.node_id.as_deref() =>
        {
            Asked::Renew(term.token)
        }
        Standing::Leads | Standing::Overdue => Asked::Refused,
    }
}

/// Whether the term of this token is the latest one, and its leader leads by it.
pub fn is_current(latest: Option<&Term>, token: i64, has_session: bool, now: Now) -> bool {
    latest.is_some_and(|term| {
        term.token == token && !matches!(standing(term, has_session, now), Standing::Over(_))
    })
}

/// The longest lease: what is longer is not meant, and would overflow the calendar.
pub const LONGEST: TimeDelta = TimeDelta::days(3_660);

/// Whether somebody can mean a lease of this length: longer than nothing, at most [`LONGEST`].
pub fn is_sensible(lease: TimeDelta) -> bool {
    lease > TimeDelta::zero() && lease <= LONGEST
}
