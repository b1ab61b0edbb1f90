//! What a provenance row says, as one text, and the digest of it.
//!
//! Promises: the same row gives the same digest whoever computes it, in whatever language: it is SHA-256 over the reference form of a
//! JSON object with one member per column. Nothing that a table can hold is refused. Does not: keep a secret; whoever may write the
//! row may write its digest too, which is why digests are worth something only once they are sealed elsewhere.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use crate::canonical::{Limits, Malformed};
use crate::digest::{self, Digest};

/// A row, column by column; the names are the members of the object.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Row<'a> {
    /// Which adapter computed it.
    pub adapter_version: Option<&'a str>,
    /// Which commit computed it.
    pub commit_sha: Option<&'a str>,
    /// `v2_cost - v1_cost`, or whatever somebody stored there.
    pub cost_delta: Option<Number>,
    /// When it was written.
    pub created_at: Moment,
    /// Which hash `input_hash` is.
    pub hash_version: Option<i16>,
    /// Its number.
    pub id: i64,
    /// Hash of the input.
    pub input_hash: Option<&'a str>,
    /// Whether it is the only one of its input.
    pub is_unique: bool,
    /// Which model computed it.
    pub model_version: Option<&'a str>,
    /// Hash of the output.
    pub output_hash: Option<&'a str>,
    /// The payload's text, a JSON document.
    #[serde(serialize_with = "as_it_is")]
    pub payload: Option<&'a str>,
    /// The run.
    pub run_id: Option<&'a str>,
    /// Milliseconds.
    pub runtime_ms: Option<i32>,
    /// Where it comes from.
    pub source: Option<&'a str>,
    /// Whose it is.
    pub tenant_id: Option<&'a str>,
    /// Cents.
    pub v1_cost: Option<Number>,
    /// Cents.
    pub v2_cost: Option<Number>,
    /// Which model.
    pub variant_slug: Option<&'a str>,
}

impl Row<'_> {
    /// SHA-256 over the reference form of the row. `pulse` is called every few milliseconds.
    pub fn digest(&self, pulse: &mut dyn FnMut()) -> Result<Digest, Malformed> {
        let text = serde_json::to_string(self)
            .map_err(|_| Malformed::Syntax { offset: 0, what: "a payload that is no JSON" })?;
        digest::reference_digest(&text, &Limits::stored(), pulse)
    }
}

/// A double of a row. JSON has no spelling for what is not finite, so that becomes a string: "NaN", "Infinity", "-Infinity".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_nan() => serializer.serialize_str("NaN"),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            number => serializer.serialize_f64(number),
        }
    }
}

/// When a row was written, as text: UTC with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After every other.
    Infinity,
    /// Before every other.
    NegativeInfinity,
    /// A date of the calendar.
    At(DateTime<Utc>),
    /// A date beyond chrono's calendar but not the server's: its microseconds since 2000-01-01, as a number.
    Micros(i64),
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Infinity => serializer.serialize_str("infinity"),
            Self::NegativeInfinity => serializer.serialize_str("-infinity"),
            Self::At(moment) => {
                serializer.serialize_str(&moment.to_rfc3339_opts(SecondsFormat::Micros, true))
            }
            Self::Micros(micros) => serializer.serialize_i64(*micros),
        }
    }
}

/// A JSON text within a JSON text.
fn as_it_is<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        None => serializer.serialize_none(),
        Some(text) => serde_json::from_str::<&serde_json::value::RawValue>(text)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer),
    }
}
