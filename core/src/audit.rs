//! What may stand in the record of coordination, and the digest that seals it.
//!
//! Promises: the same record gives the same digest whoever computes it, in whatever language: it is SHA-256 over the RFC 8785 form of a JSON
//! object with one member per column. Classes and decisions are known by their words in whatever case. Does not: keep a secret or name an
//! author; whoever may write a record can write its digest too.

use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::digest;

/// What stands for a class that nobody declared.
pub const NO_CLASS: &str = "UNKNOWN";

/// The most bytes of an envelope's or a tenant's name.
pub const LONGEST_NAME: usize = 512;

/// The most bytes of a reason. A decision is told in a line; what is larger is a mistake, and must not become somebody's disk.
pub const LONGEST_REASON: usize = 1 << 20;

/// How much an envelope matters: a later one comes before an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// How fast things go.
    Performance,
    /// What they cost.
    Cost,
    /// Whether they go on.
    Reliability,
    /// Whether they do harm.
    Safety,
}

impl Class {
    /// All of them, the one that matters most first.
    pub const ALL: [Self; 4] = [Self::Safety, Self::Reliability, Self::Cost, Self::Performance];

    /// The word that is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safety => "SAFETY",
            Self::Reliability => "RELIABILITY",
            Self::Cost => "COST",
            Self::Performance => "PERFORMANCE",
        }
    }

    /// The class of this name, in whatever case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was decided about an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It holds.
    Applied,
    /// It does not.
    Rejected,
    /// It held, and had to give way to one that matters more.
    Preempted,
    /// It held, and was ended by the kill switch or by its owner.
    Reverted,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Rejected, Self::Preempted, Self::Reverted];

    /// The word that is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "APPLIED",
            Self::Rejected => "REJECTED",
            Self::Preempted => "PREEMPTED",
            Self::Reverted => "REVERTED",
        }
    }

    /// The decision of this name, in whatever case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record as it is stored, column by column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Its number.
    pub audit_id: [u8; 16],
    /// What was decided about.
    pub envelope_id: &'a str,
    /// How much that matters, or [`NO_CLASS`].
    pub envelope_class: &'a str,
    /// What was decided.
    pub decision: &'a str,
    /// Why.
    pub reason: &'a str,
    /// When.
    pub decision_timestamp: DateTime<Utc>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// What stood in the way.
    pub conflicting_envelope_id: Option<&'a str>,
    /// What it had to give way to.
    pub preempting_envelope_id: Option<&'a str>,
    /// How many held at that moment.
    pub active_envelopes_count: i32,
    /// Whose it is.
    pub tenant_id: Option<&'a str>,
    /// Who wrote it.
    pub recorded_by: &'a str,
}

/// The members in the order of the form: UTF-16 code units, which for these names is the alphabet.
#[derive(Serialize)]
struct Object<'a> {
    active_envelopes_count: i32,
    audit_id: &'a str,
    conflicting_envelope_id: Option<&'a str>,
    created_at: &'a str,
    decision: &'a str,
    decision_timestamp: &'a str,
    envelope_class: &'a str,
    envelope_id: &'a str,
    preempting_envelope_id: Option<&'a str>,
    reason: &'a str,
    recorded_by: &'a str,
    tenant_id: Option<&'a str>,
}

impl Row<'_> {
    /// The RFC 8785 form of the record; none where a time has a year that is not of four digits.
    #[must_use]
    pub fn form(&self) -> Option<String> {
        // A derived writer of plain texts and one whole number gives that form by itself: no space, the members as they stand above, the
        // shortest escapes. What could fail, a map with odd keys or a sink that is full, is not here.
        serde_json::to_string(&Object {
            active_envelopes_count: self.active_envelopes_count,
            audit_id: &uuid_text(&self.audit_id),
            conflicting_envelope_id: self.conflicting_envelope_id,
            created_at: &moment_text(self.created_at)?,
            decision: self.decision,
            decision_timestamp: &moment_text(self.decision_timestamp)?,
            envelope_class: self.envelope_class,
            envelope_id: self.envelope_id,
            preempting_envelope_id: self.preempting_envelope_id,
            reason: self.reason,
            recorded_by: self.recorded_by,
            tenant_id: self.tenant_id,
        })
        .ok()
    }

    /// SHA-256 over that form: 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        Some(digest::hex(&Sha256::digest(self.form()?).into()))
    }
}

/// What a purge says of itself, column by column, but for its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge<'a> {
    /// When.
    pub purged_at: DateTime<Utc>,
    /// Who, as the call said.
    pub purged_by: &'a str,
    /// Who, as the server knew.
    pub session_user_name: &'a str,
    /// Why.
    pub reason: &'a str,
    /// What was deleted is older than this.
    pub cut_off: DateTime<Utc>,
    /// How many records.
    pub rows: i64,
    /// Of the oldest of them.
    pub first_decision_timestamp: DateTime<Utc>,
    /// Of the newest of them.
    pub last_decision_timestamp: DateTime<Utc>,
    /// Over the digests of all of them.
    pub digest: &'a str,
}

/// The same as with a record.
#[derive(Serialize)]
struct PurgeObject<'a> {
    cut_off: &'a str,
    digest: &'a str,
    first_decision_timestamp: &'a str,
    last_decision_timestamp: &'a str,
    purged_at: &'a str,
    purged_by: &'a str,
    reason: &'a str,
    rows: i64,
    session_user_name: &'a str,
}

impl Purge<'_> {
    /// The RFC 8785 form; none where a time has a year that is not of four digits. (It is that form for fewer rows than 2^53.)
    #[must_use]
    pub fn form(&self) -> Option<String> {
        serde_json::to_string(&PurgeObject {
            cut_off: &moment_text(self.cut_off)?,
            digest: self.digest,
            first_decision_timestamp: &moment_text(self.first_decision_timestamp)?,
            last_decision_timestamp: &moment_text(self.last_decision_timestamp)?,
            purged_at: &moment_text(self.purged_at)?,
            purged_by: self.purged_by,
            reason: self.reason,
            rows: self.rows,
            session_user_name: self.session_user_name,
        })
        .ok()
    }

    /// SHA-256 over that form: 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        Some(digest::hex(&Sha256::digest(self.form()?).into()))
    }
}

/// One digest over many, in their order: SHA-256 over each with a line feed after it.
pub fn digest_of<'a>(digests: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for digest in digests {
        hasher.update(digest);
        hasher.update("\n");
    }
    digest::hex(&hasher.finalize().into())
}

/// A moment as the form has it: UTC with microseconds.
#[must_use]
pub fn moment_text(at: DateTime<Utc>) -> Option<String> {
    (1..=9999).contains(&at.year()).then(|| at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// A UUID as the server prints it.
#[must_use]
pub fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text
}

/// A UUID in the spellings that the server reads: in whatever case, in braces or not, a hyphen allowed behind every fourth digit.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let text = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => text,
    };
    let (mut bytes, mut digits, mut was_hyphen) = ([0_u8; 16], 0, true);
    for character in text.chars() {
        if character == '-' {
            if was_hyphen || digits % 4 != 0 || digits == 32 {
                return None;
            }
            was_hyphen = true;
            continue;
        }
        let value = u8::try_from(character.to_digit(16)?).ok()?;
        let byte = bytes.get_mut(digits / 2)?;
        *byte = *byte << 4 | value;
        (digits, was_hyphen) = (digits + 1, false);
    }
    (digits == 32).then_some(bytes)
}
