//! One row on its way: how it is spelled for Alertmanager, and what is known of it.

use std::hash::BuildHasher;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::alertmanager::{self, Alert, Annotations, LabelSet, Liveness, RetryPolicy};
use costsim_core::backoff;
use rustc_hash::FxBuildHasher;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Attempt;
use crate::alert::store::owed::{self as store, Fired, Queued, Texts};
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

/// A hash of labels. Where two of different labels are the same, one alert waits for another for nothing.
pub type Label = u64;

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
    starts_at: Option<DateTime<Utc>>,
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
    /// It was sent, and only its labels are needed still.
    Sent {
        labels: Vec<Label>,
    },
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
        let firing = Firing {
            revision: row.revision,
            liveness,
            starts_at: row.starts_at,
            ends_at: ends_at(liveness, now),
        };
        let spelling = row.texts.map_or(Spelling::NotLoaded, |texts| firing.spell(texts));
        Self {
            key: Key::Fired(row.id),
            priority: row.priority,
            is_owed: row.is_owed,
            is_pending: true,
            attempts: row.attempts,
            max_attempts: i32::MAX,
            age: TimeDelta::zero(),
            incident_id: row.incident_id,
            fired: Some(firing),
            spelling,
        }
    }

    /// Whether it is a row of the queue.
    pub fn is_queued(&self) -> bool {
        self.fired.is_none()
    }

    /// Which line it waits in.
    pub(super) fn line(&self) -> usize {
        let kind = usize::from(self.fired.is_none());
        if self.priority == 1 { kind } else { 2 + kind }
    }

    /// Reads what was too large to be read with its row: whether it was.
    pub(super) fn load(&mut self) -> Result<bool> {
        if !matches!(self.spelling, Spelling::NotLoaded) {
            return Ok(false);
        }
        let gone = || Spelling::Impossible("the row is gone".to_owned());
        self.spelling = match &self.fired {
            Some(firing) => store::load_fired(self.key.id())?.map_or_else(gone, |texts| firing.spell(texts)),
            None => match store::load_queued(self.key.id(), LONGEST_PAYLOAD)? {
                Some((_, Some(payload))) => spell_payload(&payload),
                Some((bytes, None)) => {
                    Spelling::Impossible(format!("payload has {bytes} bytes, more than {LONGEST_PAYLOAD}"))
                }
                None => gone(),
            },
        };
        Ok(true)
    }

    /// Bytes and alerts.
    pub(super) fn size(&self) -> (usize, usize) {
        match &self.spelling {
            Spelling::Done { text, alerts } => (text.len() + 1, *alerts),
            Spelling::NotLoaded | Spelling::Impossible(_) | Spelling::Sent { .. } => (0, 0),
        }
    }

    /// Gives up its text, which has been sent.
    pub(super) fn shed(&mut self) {
        self.spelling = Spelling::Sent { labels: self.labels() };
    }

    /// Whether reading behind it finds it no more.
    pub fn is_passed_by(&self) -> bool {
        self.fired.is_none() && !self.is_owed
    }

    /// Why the item cannot be sent at all, if so.
    pub fn fault(&self) -> Option<&str> {
        match &self.spelling {
            Spelling::Impossible(why) => Some(why),
            Spelling::Done { .. } | Spelling::NotLoaded | Spelling::Sent { .. } => None,
        }
    }

    /// The labels of its alerts. A fired alert is one row, which nothing overtakes.
    pub fn labels(&self) -> Vec<Label> {
        let text = match &self.spelling {
            Spelling::Done { text, .. } if self.fired.is_none() => text,
            Spelling::Sent { labels } => return labels.clone(),
            _ => return Vec::new(),
        };
        let array = format!("[{text}]");
        let alerts: Vec<&RawValue> = serde_json::from_str(&array).unwrap_or_default();
        // Each by itself: an element that is no object has no labels, and takes them from no other. What the server prints of two
        // equal objects is the same.
        alerts
            .iter()
            .filter_map(|alert| serde_json::from_str::<Named<'_>>(alert.get()).ok()?.labels)
            .map(|labels| FxBuildHasher.hash_one(labels.get()))
            .collect()
    }

    /// The pause before an item is tried again that failed alone, and has failed so often before.
    pub fn own_pause(&self, attempt: &Attempt, failures: u32) -> TimeDelta {
        let failures = self.attempts.max(0).unsigned_abs().max(failures).saturating_add(1);
        let pause = backoff::delay(failures, guc::alert_max_backoff(), fastrand::f64());
        alertmanager::with_asked_pause(pause, attempt.asked)
    }
}

impl Firing {
    fn spell(&self, texts: Texts) -> Spelling {
        let Some(starts_at) = self.starts_at else {
            return Spelling::Impossible("starts_at lies beyond the calendar".to_owned());
        };
        match spell_alert(&texts.labels, &texts.annotations, texts.generator_url, starts_at, self.ends_at) {
            Ok(text) => Spelling::Done { text, alerts: 1 },
            Err(why) => Spelling::Impossible(why),
        }
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
