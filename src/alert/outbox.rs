//! A delivery: what was claimed, how it is spelled for Alertmanager, what becomes of it.
//!
//! ```text
//!   claim, commit  ->  spell  ->  POST  ->  judge  ->  settle, commit
//! ```
//!
//! Nothing here opens a socket or a transaction; the worker does both, one after the other and never at once.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::alertmanager::{
    self, Alert, Annotations, LabelSet, Liveness, RetryPolicy, Settlement, Verdict,
};
use serde_json::value::RawValue;

use super::store;
use crate::error::Result;
use crate::guc;

/// The most bytes of one row's payload; `costsim_enqueue_alert` takes a quarter of it, another hand may have written more.
const LONGEST_PAYLOAD: i64 = 4 << 20;

/// The most bytes of queued payloads in one request: what a worker holds in memory is a small multiple of it, whatever is queued.
const LONGEST_BODY: i64 = 8 << 20;

/// A claimed row of the queue.
pub struct Queued {
    pub id: i64,
    pub bytes: i64,
    pub attempts: i32,
    pub max_attempts: i32,
    pub age: TimeDelta,
    pub incident_id: Option<String>,
}

/// A claimed alert that fires or was resolved.
pub struct Fired {
    pub fingerprint: String,
    pub labels: String,
    pub annotations: String,
    pub generator_url: Option<String>,
    pub starts_at: DateTime<Utc>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub revision: i64,
    pub attempts: i32,
    pub incident_id: Option<String>,
}

/// Which row a claimed item is.
#[derive(Clone)]
pub enum Kind {
    Queued { id: i64 },
    Fired { fingerprint: String, revision: i64 },
}

/// A claimed item, spelled.
pub struct Item {
    kind: Kind,
    /// The alerts as they stand in a POST, separated by commas; an error when the row cannot be spelled at all.
    spelled: std::result::Result<String, String>,
    attempts: i32,
    policy: RetryPolicy,
    age: TimeDelta,
    liveness: Option<Liveness>,
    incident_id: Option<String>,
}

/// Everything claimed at once, under one token.
pub struct Claim {
    pub token: i64,
    pub items: Vec<Item>,
}

/// What became of one item.
pub struct Settled {
    pub kind: Kind,
    pub is_sent: bool,
    pub is_final: bool,
    pub attempts: i32,
    pub next_at: Option<DateTime<Utc>>,
    pub code: Option<i32>,
    pub error: Option<String>,
    pub incident_id: Option<String>,
}

/// What one attempt brought, for every item that was part of it.
pub struct Attempt {
    pub verdict: Verdict,
    pub code: Option<u16>,
    pub error: Option<String>,
    /// The receiver asked not to be tried sooner.
    pub not_before: Option<TimeDelta>,
}

impl Attempt {
    /// What is wrong with the receiver, if something is; what is wrong with an alert is not.
    pub fn trouble(&self) -> Option<String> {
        self.error.clone().filter(|_| self.verdict == Verdict::Retryable)
    }
}

/// Claims what is due, at most a batch, for `lease`.
pub fn claim(claimant: &str, limit: i64, lease: TimeDelta, now: DateTime<Utc>) -> Result<Claim> {
    let token = fastrand::i64(1..);
    // What fires goes first: it is news of a state that lasts, and the queue cannot starve it.
    let fired = store::claim_fired(claimant, token, limit, lease)?;
    let room = limit - i64::try_from(fired.len()).unwrap_or(limit);
    let queued = if room > 0 { store::claim_queued(claimant, token, room, lease)? } else { Vec::new() };
    let mut items: Vec<Item> = fired.into_iter().map(|alert| spell_fired(alert, now)).collect();
    let taken = within_budget(queued);
    let fitting = taken.iter().filter(|row| row.bytes <= LONGEST_PAYLOAD);
    let mut payloads = store::load_queued(fitting.map(|row| row.id).collect())?;
    items.extend(taken.into_iter().map(|row| {
        let payload = payloads.remove(&row.id);
        spell_queued(row, payload.as_deref())
    }));
    Ok(Claim { token, items })
}

/// As many rows as one request may carry, at least one. The rest is claimed again for the next.
fn within_budget(mut rows: Vec<Queued>) -> Vec<Queued> {
    // An UPDATE answers its rows as it found them.
    rows.sort_by_key(|row| row.id);
    let mut bytes = 0;
    let fit = rows.iter().position(|row| {
        bytes += row.bytes.min(LONGEST_PAYLOAD);
        bytes > LONGEST_BODY
    });
    rows.truncate(fit.unwrap_or(rows.len()).max(1));
    rows
}

fn spell_queued(row: Queued, payload: Option<&str>) -> Item {
    let alerts: std::result::Result<Vec<&RawValue>, _> = payload.map_or(Ok(Vec::new()), serde_json::from_str);
    let spelled = match alerts {
        _ if row.bytes > LONGEST_PAYLOAD => {
            Err(format!("payload has {} bytes, more than {LONGEST_PAYLOAD}", row.bytes))
        }
        Ok(alerts) if !alerts.is_empty() => {
            Ok(alerts.iter().map(|alert| alert.get()).collect::<Vec<_>>().join(","))
        }
        Ok(_) => Err("payload holds no alert".to_owned()),
        Err(_) => Err("payload is not a JSON array of alerts".to_owned()),
    };
    Item {
        kind: Kind::Queued { id: row.id },
        spelled,
        attempts: row.attempts,
        policy: RetryPolicy {
            max_attempts: row.max_attempts,
            retry_window: guc::alert_retry_window(),
            backoff_cap: guc::alert_max_backoff(),
        },
        age: row.age,
        liveness: None,
        incident_id: row.incident_id,
    }
}

fn spell_fired(row: Fired, now: DateTime<Utc>) -> Item {
    let liveness = row.resolved_at.map_or(Liveness::Firing, |at| Liveness::Resolved { at });
    let ends_at = match liveness {
        Liveness::Firing => alertmanager::ends_at(now, guc::alert_resend_interval()),
        Liveness::Resolved { at } => at,
    };
    let spelled = strings(&row.labels, LabelSet::from_json).and_then(|labels| {
        let annotations = strings(&row.annotations, Annotations::from_json)?;
        let (starts_at, generator_url) = (row.starts_at, row.generator_url);
        Ok(Alert { labels, annotations, starts_at, ends_at: Some(ends_at), generator_url }
            .to_json()
            .to_string())
    });
    Item {
        kind: Kind::Fired { fingerprint: row.fingerprint, revision: row.revision },
        spelled,
        attempts: row.attempts,
        // What fires is told until it is heard: there is no number of attempts after which silence would be right.
        policy: RetryPolicy {
            max_attempts: i32::MAX,
            retry_window: TimeDelta::MAX,
            backoff_cap: guc::alert_max_backoff(),
        },
        age: TimeDelta::zero(),
        liveness: Some(liveness),
        incident_id: row.incident_id,
    }
}

fn strings<T, E: std::fmt::Display>(
    text: &str,
    read: fn(&serde_json::Value) -> std::result::Result<T, E>,
) -> std::result::Result<T, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    read(&value).map_err(|error| error.to_string())
}

/// The body of a POST that carries the items.
pub fn body(items: &[&Item]) -> Vec<u8> {
    let alerts: Vec<&str> = items.iter().filter_map(|item| item.spelled.as_deref().ok()).collect();
    format!("[{}]", alerts.join(",")).into_bytes()
}

impl Item {
    /// Why the item cannot be sent at all, if so.
    pub fn fault(&self) -> Option<&str> {
        self.spelled.as_ref().err().map(String::as_str)
    }

    /// What becomes of the item after an attempt.
    pub fn judge(&self, attempt: &Attempt, now: DateTime<Utc>) -> Settled {
        let settlement =
            alertmanager::settle(&self.policy, attempt.verdict, self.attempts, self.age, fastrand::f64());
        let settled = |is_sent, is_final, attempts, next_at| Settled {
            kind: self.kind.clone(),
            is_sent,
            is_final,
            attempts,
            next_at,
            code: attempt.code.map(i32::from),
            error: attempt.error.clone(),
            incident_id: self.incident_id.clone().filter(|_| is_sent),
        };
        match settlement {
            Settlement::Sent { attempts } => match self.liveness {
                Some(liveness) => {
                    let next = alertmanager::next_send(liveness, now, guc::alert_resend_interval());
                    settled(true, next.is_none(), 0, next)
                }
                None => settled(true, true, attempts, None),
            },
            Settlement::Retry { attempts, after } => {
                let after = alertmanager::with_asked_pause(after, attempt.not_before);
                settled(false, false, attempts, Some(now + after))
            }
            Settlement::Dead { attempts, why: _ } => settled(false, true, attempts, None),
        }
    }
}

impl Settled {
    /// The queue's word for it.
    pub fn status(&self) -> &'static str {
        match (self.is_final, self.is_sent) {
            (false, _) => "pending",
            (true, true) => "sent",
            (true, false) => "failed",
        }
    }
}
