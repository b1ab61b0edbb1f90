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
#[derive(Debug, Clone, Copy)]
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
        digest::reference_digest(&self.text()?, &Limits::stored(), pulse)
    }

    /// A JSON object, its members in the order of the form, which is then made without looking twice.
    fn text(&self) -> Result<String, Malformed> {
        let mut text = Object::with_room_for(self.payload.map_or(0, str::len))?;
        text.member("adapter_version", &self.adapter_version)?;
        text.member("commit_sha", &self.commit_sha)?;
        text.member("cost_delta", &self.cost_delta)?;
        text.member("created_at", &self.created_at)?;
        text.member("hash_version", &self.hash_version)?;
        text.member("id", &self.id)?;
        text.member("input_hash", &self.input_hash)?;
        text.member("is_unique", &self.is_unique)?;
        text.member("model_version", &self.model_version)?;
        text.member("output_hash", &self.output_hash)?;
        text.document("payload", self.payload.unwrap_or("null"));
        text.member("run_id", &self.run_id)?;
        text.member("runtime_ms", &self.runtime_ms)?;
        text.member("source", &self.source)?;
        text.member("tenant_id", &self.tenant_id)?;
        text.member("v1_cost", &self.v1_cost)?;
        text.member("v2_cost", &self.v2_cost)?;
        text.member("variant_slug", &self.variant_slug)?;
        text.end()
    }
}

/// A JSON object that is being written.
struct Object(Vec<u8>);

impl Object {
    fn with_room_for(payload: usize) -> Result<Self, Malformed> {
        let mut text = Vec::new();
        text.try_reserve(payload.saturating_add(ROOM)).map_err(|_| Malformed::OutOfMemory)?;
        Ok(Self(text))
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn member(&mut self, name: &str, value: &impl Serialize) -> Result<(), Malformed> {
        self.name(name);
        serde_json::to_writer(&mut self.0, value)
            .map_err(|_| Malformed::Syntax { offset: self.0.len(), what: "a value that is no JSON" })
    }

    /// A member that is JSON already.
    fn document(&mut self, name: &str, text: &str) {
        self.name(name);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn end(mut self) -> Result<String, Malformed> {
        self.0.push(b'}');
        String::from_utf8(self.0).map_err(|_| Malformed::Syntax { offset: 0, what: "not UTF-8" })
    }
}

/// Names, and texts of the usual length.
const ROOM: usize = 1024;

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
