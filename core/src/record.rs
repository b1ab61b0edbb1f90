//! What a provenance row says, as one text, and the digest of it.
//!
//! Promises: the same row gives the same digest whoever computes it, in whatever language: it is SHA-256 over the reference form of a
//! JSON object with one member per column. Nothing that a table can hold is refused. Does not: keep a secret; whoever may write the
//! row may write its digest too, which is why digests are worth something only once they are sealed elsewhere.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::canonical::{self, Malformed};
use crate::digest::{Digest, Parts};

/// A row, column by column; the names are the members of the object.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Which adapter computed it.
    pub adapter_version: Option<&'a str>,
    /// Which commit computed it.
    pub commit_sha: Option<&'a str>,
    /// `v2_cost - v1_cost`, or whatever somebody stored there.
    pub cost_delta: Option<f64>,
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
    pub v1_cost: Option<f64>,
    /// Cents.
    pub v2_cost: Option<f64>,
    /// Which model.
    pub variant_slug: Option<&'a str>,
}

impl Row<'_> {
    /// SHA-256 over the reference form of the row. `pulse` is called every few milliseconds.
    pub fn digest(&self, pulse: &mut dyn FnMut()) -> Result<Digest, Malformed> {
        // The members in the order of the form: nothing but the payload has to be read again.
        let mut object = Object(Parts::new(pulse));
        object.text("{\"adapter_version\":", self.adapter_version);
        object.text(",\"commit_sha\":", self.commit_sha);
        object.number(",\"cost_delta\":", self.cost_delta);
        object.moment(",\"created_at\":", self.created_at);
        object.integer(",\"hash_version\":", self.hash_version.map(i64::from));
        object.integer(",\"id\":", Some(self.id));
        object.text(",\"input_hash\":", self.input_hash);
        object.word(",\"is_unique\":", if self.is_unique { "true" } else { "false" });
        object.text(",\"model_version\":", self.model_version);
        object.text(",\"output_hash\":", self.output_hash);
        object.document(",\"payload\":", self.payload)?;
        object.text(",\"run_id\":", self.run_id);
        object.integer(",\"runtime_ms\":", self.runtime_ms.map(i64::from));
        object.text(",\"source\":", self.source);
        object.text(",\"tenant_id\":", self.tenant_id);
        object.number(",\"v1_cost\":", self.v1_cost);
        object.number(",\"v2_cost\":", self.v2_cost);
        object.text(",\"variant_slug\":", self.variant_slug);
        object.word("}", "");
        Ok(object.0.digest())
    }
}

/// A JSON object in the reference form that is being written: each member after what stands before its value.
struct Object<'p>(Parts<'p>);

impl Object<'_> {
    fn word(&mut self, before: &str, word: &str) {
        self.0.buffer.extend_from_slice(before.as_bytes());
        self.0.buffer.extend_from_slice(word.as_bytes());
    }

    fn text(&mut self, before: &str, text: Option<&str>) {
        match text {
            None => self.word(before, "null"),
            Some(text) => {
                self.word(before, "");
                canonical::reference_text(text, &mut self.0.buffer);
            }
        }
    }

    fn integer(&mut self, before: &str, integer: Option<i64>) {
        match integer {
            None => self.word(before, "null"),
            Some(integer) => self.word(before, &integer.to_string()),
        }
    }

    /// JSON has no spelling for what is not finite, so that becomes a string.
    fn number(&mut self, before: &str, number: Option<f64>) {
        match number {
            None => self.word(before, "null"),
            Some(number) if number.is_nan() => self.word(before, "\"NaN\""),
            Some(f64::INFINITY) => self.word(before, "\"Infinity\""),
            Some(f64::NEG_INFINITY) => self.word(before, "\"-Infinity\""),
            Some(number) => {
                self.word(before, "");
                canonical::reference_double(number, &mut self.0.buffer);
            }
        }
    }

    fn moment(&mut self, before: &str, moment: Moment) {
        match moment {
            Moment::Infinity => self.word(before, "\"infinity\""),
            Moment::NegativeInfinity => self.word(before, "\"-infinity\""),
            Moment::At(at) => self.text(before, Some(&at.to_rfc3339_opts(SecondsFormat::Micros, true))),
            Moment::Micros(micros) => self.integer(before, Some(micros)),
        }
    }

    fn document(&mut self, before: &str, text: Option<&str>) -> Result<(), Malformed> {
        match text {
            None => self.word(before, "null"),
            Some(text) => {
                self.word(before, "");
                self.0.document(text)?;
            }
        }
        Ok(())
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
