//! One row on its way: how it is spelled for Alertmanager, and what is known of it.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::alertmanager::{self, Alert, Annotations, LabelSet, Liveness, RetryPolicy};
use costsim_core::backoff;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Attempt;
use crate::alert::store::delivery::{self as store, Fired, Queued};
use crate::error::Result;
use crate::guc;

/// The most bytes of one row's payload; `costsim_enqueue_alert` takes a quarter of it, another hand may have written more.
const LONGEST_PAYLOAD: i64 = 4 << 20;

/// Which row an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Queued(i64),
    Fired(i64),
}

/// A row that is on its way to a target.
pub struct Item {
    pub key: Key,
    pub(super) priority: i16,
    /// Another target has it already.
    pub(super) is_owed: bool,
    /// It is still to be counted as sent, failed or tried.
    pub(super) is_pending: bool,
    pub(super) attempts: i32,
    pub(super) max_attempts: i32,
    pub(super) age: TimeDelta,
    pub(super) incident_id: Option<String>,
    pub(super) fired: Option<Firing>,
    spelling: Spelling,
}

/// What a fired alert is besides.
pub(super) struct Firing {
    pub(super) revision: i64,
    pub(super) liveness: Liveness,
    pub(super) ends_at: DateTime<Utc>,
}

/// The alerts of an item as they stand in a POST, separated by commas.
enum Spelling {
    Done {
        text: String,
        alerts: usize,
    },
    /// Too large to have been read with its row.
    NotLoaded,
    /// The row can never be sent.
    Impossible(String),
    /// It was sent, and is not needed any more.
    Sent,
}

impl Key {
    /// The row's number.
    pub fn id(&self) -> i64 {
        match self {
            Key::Queued(id) | Key::Fired(id) => *id,
        }
    }
}

/// As much of an alert as tells which one it is.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    labels: Option<&'a RawValue>,
}

impl Item {
    pub(super) fn of_queued(row: Queued, now: DateTime<Utc>) -> Self {
        Self {
            key: Key::Queued(row.id),
            priority: row.priority,
            is_owed: row.is_owed,
            is_pending: row.is_pending,
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            age: row.created_at.map_or(TimeDelta::zero(), |at| now - at),
            incident_id: row.incident_id,
            fired: None,
            spelling: row.payload.map_or(Spelling::NotLoaded, |payload| spell_payload(&payload)),
        }
    }

    pub(super) fn of_fired(row: Fired, now: DateTime<Utc>) -> Self {
        let liveness = row.resolved_at.map_or(Liveness::Firing, |at| Liveness::Resolved { at });
        let ends_at = ends_at(liveness, now);
        let spelling =
            match spell_alert(&row.labels, &row.annotations, row.generator_url, row.starts_at, ends_at) {
                Ok(text) => Spelling::Done { text, alerts: 1 },
                Err(why) => Spelling::Impossible(why),
            };
        Self {
            key: Key::Fired(row.id),
            priority: row.priority,
            is_owed: row.is_owed,
            is_pending: true,
            attempts: row.attempts,
            max_attempts: i32::MAX,
            age: TimeDelta::zero(),
            incident_id: row.incident_id,
            fired: Some(Firing { revision: row.revision, liveness, ends_at }),
            spelling,
        }
    }

    /// Whether it is a row of the queue.
    pub(super) fn is_queued(&self) -> bool {
        self.fired.is_none()
    }

    /// Which line it waits in.
    pub(super) fn line(&self) -> usize {
        let kind = usize::from(self.fired.is_none());
        if self.priority == 1 { kind } else { 2 + kind }
    }

    pub(super) fn load(&mut self) -> Result<()> {
        if matches!(self.spelling, Spelling::NotLoaded) {
            self.spelling = match store::load(self.key.id(), LONGEST_PAYLOAD)? {
                Some((_, Some(payload))) => spell_payload(&payload),
                Some((bytes, None)) => {
                    Spelling::Impossible(format!("payload has {bytes} bytes, more than {LONGEST_PAYLOAD}"))
                }
                None => Spelling::Impossible("the row is gone".to_owned()),
            };
        }
        Ok(())
    }

    /// Bytes and alerts.
    pub(super) fn size(&self) -> (usize, usize) {
        match &self.spelling {
            Spelling::Done { text, alerts } => (text.len() + 1, *alerts),
            Spelling::NotLoaded | Spelling::Impossible(_) | Spelling::Sent => (0, 0),
        }
    }

    /// Gives up its text, which has been sent.
    pub(super) fn shed(&mut self) {
        self.spelling = Spelling::Sent;
    }

    /// Whether reading behind it finds it no more.
    pub fn is_passed_by(&self) -> bool {
        self.fired.is_none() && !self.is_owed
    }

    /// Why the item cannot be sent at all, if so.
    pub fn fault(&self) -> Option<&str> {
        match &self.spelling {
            Spelling::Impossible(why) => Some(why),
            Spelling::Done { .. } | Spelling::NotLoaded | Spelling::Sent => None,
        }
    }

    /// The labels of its alerts, as text. What the server prints of two equal objects is the same. A fired alert is one row, which
    /// nothing overtakes.
    pub fn labels(&self) -> Vec<String> {
        let Spelling::Done { text, .. } = &self.spelling else { return Vec::new() };
        if self.fired.is_some() {
            return Vec::new();
        }
        let array = format!("[{text}]");
        let alerts: Vec<&RawValue> = serde_json::from_str(&array).unwrap_or_default();
        // Each by itself: an element that is no object has no labels, and takes them from no other.
        alerts
            .iter()
            .filter_map(|alert| serde_json::from_str::<Named<'_>>(alert.get()).ok()?.labels)
            .map(|labels| labels.get().to_owned())
            .collect()
    }

    /// The pause before an item is tried again that failed alone.
    pub fn own_pause(&self, attempt: &Attempt) -> TimeDelta {
        let attempts = self.attempts.max(0).unsigned_abs().saturating_add(1);
        let pause = backoff::delay(attempts, guc::alert_max_backoff(), fastrand::f64());
        alertmanager::with_asked_pause(pause, attempt.asked)
    }
}

/// When to give up a queued alert.
pub fn policy(max_attempts: i32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        retry_window: guc::alert_retry_window(),
        backoff_cap: guc::alert_max_backoff(),
    }
}

/// The endsAt of a post at `now`.
pub fn ends_at(liveness: Liveness, now: DateTime<Utc>) -> DateTime<Utc> {
    match liveness {
        Liveness::Firing => alertmanager::ends_at(now, guc::alert_resend_interval()),
        Liveness::Resolved { at } => at,
    }
}

fn spell_payload(payload: &str) -> Spelling {
    match serde_json::from_str::<Vec<&RawValue>>(payload) {
        Ok(alerts) if !alerts.is_empty() => {
            let texts: Vec<&str> = alerts.iter().map(|alert| alert.get()).collect();
            Spelling::Done { alerts: texts.len(), text: texts.join(",") }
        }
        Ok(_) => Spelling::Impossible("payload holds no alert".to_owned()),
        Err(_) => Spelling::Impossible("payload is not a JSON array of alerts".to_owned()),
    }
}

/// One fired alert as it stands in a POST.
pub fn spell_alert(
    labels: &str,
    annotations: &str,
    generator_url: Option<String>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
) -> std::result::Result<String, String> {
    let labels = strings(labels, LabelSet::from_json)?;
    let annotations = strings(annotations, Annotations::from_json)?;
    Ok(Alert { labels, annotations, starts_at, ends_at: Some(ends_at), generator_url }.to_json().to_string())
}

fn strings<T, E: std::fmt::Display>(
    text: &str,
    read: fn(&serde_json::Value) -> std::result::Result<T, E>,
) -> std::result::Result<T, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    read(&value).map_err(|error| error.to_string())
}

/// The body of a POST that carries the items.
pub fn body(items: &[Item]) -> Vec<u8> {
    let mut body = vec![b'['];
    for item in items {
        let Spelling::Done { text, .. } = &item.spelling else { continue };
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(text.as_bytes());
    }
    body.push(b']');
    body
}
