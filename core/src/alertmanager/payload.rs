//! A ready-made payload, checked before it enters the queue.
//!
//! Alertmanager answers a batch with one bad alert in it with 400 or 422; finding out which one it was costs many posts.
//! So whatever can be known beforehand is refused here, and the caller, not the worker, hears of it.

use std::fmt;

use chrono::{DateTime, FixedOffset};
use serde_json::{Map, Value};
use url::Url;

use super::{Annotations, BadLabels, LabelSet, kind};

/// Alerts in one request. Prometheus sends batches of the same size; Alertmanager takes thousands, but a request that
/// times out is repeated as a whole, and a refused one is bisected.
pub const MAX_ALERTS_PER_POST: usize = 256;

/// Why a JSON value is no payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadPayload {
    /// The whole is not an array.
    NotAnArray {
        /// What it is instead.
        found: &'static str,
    },
    /// The array is empty: there is nothing to deliver.
    Empty,
    /// More alerts than one request carries.
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// One alert is wrong.
    Alert {
        /// Its index in the array, from 0.
        index: usize,
        /// What is wrong with it.
        why: BadAlert,
    },
}

/// What is wrong with one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadAlert {
    /// The element is not an object.
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// There are no `labels`.
    NoLabels,
    /// `labels` or `annotations` are wrong.
    Strings {
        /// Which of the two.
        field: &'static str,
        /// What is wrong there.
        why: BadLabels,
    },
    /// Another field is wrong.
    Field {
        /// Which one.
        field: &'static str,
        /// What it has to be.
        must: &'static str,
    },
}

impl fmt::Display for BadPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArray { found } => write!(f, "alert payload must be an array of alerts, not {found}"),
            Self::Empty => f.write_str("alert payload holds no alert"),
            Self::TooMany { count } => {
                write!(
                    f,
                    "alert payload holds {count} alerts, more than the {MAX_ALERTS_PER_POST} of one request"
                )
            }
            Self::Alert { index, why } => write!(f, "alert payload, element {index}: {why}"),
        }
    }
}

impl fmt::Display for BadAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject { found } => write!(f, "must be an object, not {found}"),
            Self::NoLabels => f.write_str("labels are missing"),
            Self::Strings { field, why } => write!(f, "{field}: {why}"),
            Self::Field { field, must } => write!(f, "{field} must {must}"),
        }
    }
}

impl std::error::Error for BadPayload {}

/// Whether `payload` is an array of alerts that Alertmanager will take.
pub fn validate_payload(payload: &Value) -> Result<(), BadPayload> {
    let Value::Array(alerts) = payload else {
        return Err(BadPayload::NotAnArray { found: kind(payload) });
    };
    if alerts.is_empty() {
        return Err(BadPayload::Empty);
    }
    if alerts.len() > MAX_ALERTS_PER_POST {
        return Err(BadPayload::TooMany { count: alerts.len() });
    }
    let mut alerts = alerts.iter().enumerate();
    alerts
        .try_for_each(|(index, alert)| validate_alert(alert).map_err(|why| BadPayload::Alert { index, why }))
}

fn validate_alert(alert: &Value) -> Result<(), BadAlert> {
    let Value::Object(alert) = alert else {
        return Err(BadAlert::NotAnObject { found: kind(alert) });
    };
    let labels = present(alert, "labels").ok_or(BadAlert::NoLabels)?;
    LabelSet::from_json(labels).map_err(|why| BadAlert::Strings { field: "labels", why })?;
    if let Some(annotations) = present(alert, "annotations") {
        let wrong = |why| BadAlert::Strings { field: "annotations", why };
        Annotations::from_json(annotations).map_err(wrong)?;
    }
    let starts_at = moment(alert, "startsAt")?;
    let ends_at = moment(alert, "endsAt")?;
    if starts_at.zip(ends_at).is_some_and(|(starts_at, ends_at)| ends_at < starts_at) {
        return Err(BadAlert::Field { field: "endsAt", must: "not come before startsAt" });
    }
    match present(alert, "generatorURL") {
        None => Ok(()),
        Some(Value::String(url)) if is_generator_url(url) => Ok(()),
        Some(_) => Err(BadAlert::Field { field: "generatorURL", must: "be a string that holds a URL" }),
    }
}

/// A field that is there; Alertmanager reads `null` as absence.
fn present<'a>(alert: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    alert.get(field).filter(|value| !value.is_null())
}

fn moment(
    alert: &Map<String, Value>,
    field: &'static str,
) -> Result<Option<DateTime<FixedOffset>>, BadAlert> {
    let Some(value) = present(alert, field) else {
        return Ok(None);
    };
    let moment = value.as_str().and_then(rfc3339);
    moment.map(Some).ok_or(BadAlert::Field { field, must: "be a string that holds an RFC 3339 time" })
}

/// RFC 3339 as Go reads it: no blank or small letter in place of `T` and `Z`, no leap second.
fn rfc3339(text: &str) -> Option<DateTime<FixedOffset>> {
    let is_go_like = text.get(10..11) == Some("T") && !text.ends_with('z') && text.get(17..19) != Some("60");
    is_go_like.then(|| DateTime::parse_from_rfc3339(text).ok()).flatten()
}

/// Whether Alertmanager takes this for an alert's generator URL: nothing, an absolute URL or an absolute path.
pub fn is_generator_url(url: &str) -> bool {
    url.is_empty() || is_request_uri(url)
}

/// What Go's `url.ParseRequestURI` takes, and so Alertmanager: an absolute URL or an absolute path, with whole percent
/// escapes outside the query. Go would also let blanks pass inside a path; a URL with blanks in it is a mistake.
fn is_request_uri(uri: &str) -> bool {
    let (text, fragment) = uri.split_once('#').unwrap_or((uri, ""));
    let (path, _query) = text.split_once('?').unwrap_or((text, ""));
    let has_whole_escapes = |part: &str| {
        part.split('%').skip(1).all(|escape| {
            escape.get(..2).is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        })
    };
    !uri.contains(|c: char| c.is_control() || c.is_whitespace())
        && has_whole_escapes(path)
        && has_whole_escapes(fragment)
        && (text.starts_with('/') || Url::parse(text).is_ok())
}
