//! One alert and its life: how it is spelled, until when a post counts, when it is posted again.
//!
//! ```text
//!            fire                 resolve                15 minutes later
//!   (none) -------->  firing  ---------------> resolved -----------------> not sent any more
//!                     |    ^                   |      ^
//!                     +----+                   +------+
//!                 every interval            every interval
//! ```

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::{Annotations, LabelSet};

/// A firing alert ends by itself this many re-send intervals after its last post. Prometheus uses the same four: three
/// posts in a row may be lost before the alert flaps, while a sender that died is believed for no longer than that.
pub const ENDS_AT_INTERVALS: i32 = 4;

/// For how long a resolved alert is sent again. Prometheus keeps the same 15 minutes: Alertmanager forgets everything
/// when it restarts, and one that was down at the moment of the resolution has to hear of it too.
pub const RESOLVED_RESEND_FOR: TimeDelta = TimeDelta::minutes(15);

/// One alert as Alertmanager takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// What it is.
    pub labels: LabelSet,
    /// What there is to say about it.
    pub annotations: Annotations,
    /// Since when it fires.
    pub starts_at: DateTime<Utc>,
    /// Since when it is resolved, or until when this post keeps it firing.
    pub ends_at: Option<DateTime<Utc>>,
    /// Where a reader finds its origin.
    pub generator_url: Option<String>,
}

impl Alert {
    /// One element of the array that is posted to `/api/v2/alerts`.
    pub fn to_json(&self) -> Value {
        let mut alert = Map::new();
        alert.insert("labels".to_owned(), self.labels.to_json());
        alert.insert("annotations".to_owned(), self.annotations.to_json());
        alert.insert("startsAt".to_owned(), rfc3339(self.starts_at).into());
        if let Some(ends_at) = self.ends_at {
            alert.insert("endsAt".to_owned(), rfc3339(ends_at).into());
        }
        if let Some(url) = &self.generator_url {
            alert.insert("generatorURL".to_owned(), url.clone().into());
        }
        alert.into()
    }
}

/// Whether an alert still fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It fires.
    Firing,
    /// It has been resolved.
    Resolved {
        /// At this moment.
        at: DateTime<Utc>,
    },
}

/// The `endsAt` of a firing alert that is posted at `now` and again after each `resend_interval`.
pub fn ends_at(now: DateTime<Utc>, resend_interval: TimeDelta) -> DateTime<Utc> {
    let ahead = resend_interval.max(TimeDelta::zero()).checked_mul(ENDS_AT_INTERVALS);
    ahead.and_then(|ahead| now.checked_add_signed(ahead)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// When an alert that has just been posted, at `now`, is due again; nothing once it has been resolved for long enough.
pub fn next_send(
    liveness: Liveness,
    now: DateTime<Utc>,
    resend_interval: TimeDelta,
) -> Option<DateTime<Utc>> {
    let next = now.checked_add_signed(resend_interval.max(TimeDelta::zero()))?;
    match liveness {
        Liveness::Firing => Some(next),
        Liveness::Resolved { at } => (next.signed_duration_since(at) <= RESOLVED_RESEND_FOR).then_some(next),
    }
}

/// Microseconds, because that is what the server's timestamps hold.
fn rfc3339(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}
