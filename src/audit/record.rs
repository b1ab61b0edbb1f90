//! What was asked to be recorded, and what can be written of it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use costsim_core::audit::{self, Class, Decision, LONGEST_NAME, LONGEST_REASON, NO_CLASS};
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};

use crate::convert;
use crate::error::{Error, Result, required};

/// A record as somebody asked for it, right or wrong. Its members are the keys of a dead letter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Asked<'a> {
    pub audit_id: Option<Cow<'a, str>>,
    pub envelope_id: Option<Cow<'a, str>>,
    pub envelope_class: Option<Cow<'a, str>>,
    pub decision: Option<Cow<'a, str>>,
    pub reason: Option<Cow<'a, str>>,
    /// As [`spelled`].
    pub decision_timestamp: Option<String>,
    pub conflicting_envelope_id: Option<Cow<'a, str>>,
    pub preempting_envelope_id: Option<Cow<'a, str>>,
    pub active_envelopes_count: Option<i32>,
    pub tenant_id: Option<Cow<'a, str>>,
    pub recorded_by: Option<Cow<'a, str>>,
    /// Whether a text was too long to be kept whole: such a record is not the one that was asked for, and is never written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// Whether nobody has said when it was decided: a record that stands may say another time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_undated: bool,
    /// What number it gets unless it brings one.
    #[serde(skip)]
    pub new_id: [u8; 16],
}

/// The same where it can be written.
pub struct Fit<'a> {
    pub audit_id: [u8; 16],
    pub envelope_id: &'a str,
    pub envelope_class: &'static str,
    pub decision: Decision,
    pub reason: &'a str,
    pub decision_timestamp: DateTime<Utc>,
    pub is_undated: bool,
    pub conflicting_envelope_id: Option<&'a str>,
    pub preempting_envelope_id: Option<&'a str>,
    pub active_envelopes_count: i32,
    pub tenant_id: Option<&'a str>,
    pub recorded_by: &'a str,
}

impl<'a> Asked<'a> {
    /// Nothing yet, by whoever this session is.
    pub fn by_session() -> Self {
        Self { recorded_by: Some(session_user().into()), ..Self::default() }
    }

    /// What a room of this extension asks for.
    pub fn of(record: &super::Record<'a>) -> Result<Self> {
        Ok(Self {
            audit_id: record.audit_id.map(|id| audit::uuid_text(id.as_bytes()).into()),
            envelope_id: Some(record.envelope_id.into()),
            envelope_class: Some(record.class.map_or(NO_CLASS, Class::name).into()),
            decision: Some(record.decision.name().into()),
            reason: Some(record.reason.into()),
            decision_timestamp: Some(spelled(convert::timestamptz(record.at)?)),
            conflicting_envelope_id: record.conflicting.map(Into::into),
            preempting_envelope_id: record.preempting.map(Into::into),
            active_envelopes_count: Some(record.active_count),
            tenant_id: record.tenant_id.map(Into::into),
            ..Self::by_session()
        })
    }

    /// The record, if nothing is wrong with it.
    pub fn record(&self) -> Result<Fit<'_>> {
        if self.is_cut {
            return Err(Error::invalid(
                "a record that was cut cannot be written",
                "Write it again from where it came from.",
            ));
        }
        let decision = required(self.decision.as_deref(), "decision")?;
        let decision = Decision::parse(decision).ok_or_else(|| {
            unknown("decision", decision, "Pass APPLIED, REJECTED, PREEMPTED or REVERTED, in whatever case.")
        })?;
        let class = required(self.envelope_class.as_deref(), "envelope_class")?;
        let is_without = class.eq_ignore_ascii_case(NO_CLASS) && decision == Decision::Rejected;
        let envelope_class = match Class::parse(class) {
            Some(class) => class.name(),
            None if is_without => NO_CLASS,
            None => {
                return Err(unknown(
                    "envelope_class",
                    class,
                    "Pass SAFETY, RELIABILITY, COST or PERFORMANCE, in whatever case; UNKNOWN is for what was rejected for want of a class.",
                ));
            }
        };
        let at = required(self.decision_timestamp.as_deref(), "decision_timestamp")?;
        Ok(Fit {
            audit_id: self.id()?,
            envelope_id: bounded(
                required(self.envelope_id.as_deref(), "envelope_id")?,
                "envelope_id",
                LONGEST_NAME,
            )?,
            envelope_class,
            decision,
            reason: bounded(required(self.reason.as_deref(), "reason")?, "reason", LONGEST_REASON)?,
            decision_timestamp: DateTime::parse_from_rfc3339(at)
                .map(|at| at.to_utc())
                .ok()
                .filter(|at| audit::moment_text(*at).is_some())
                .ok_or_else(|| {
                    Error::invalid(
                        "decision_timestamp must be a date in the years 1 to 9999",
                        "Leave it out for now.",
                    )
                })?,
            is_undated: self.is_undated,
            conflicting_envelope_id: name(
                self.conflicting_envelope_id.as_deref(),
                "conflicting_envelope_id",
            )?,
            preempting_envelope_id: name(self.preempting_envelope_id.as_deref(), "preempting_envelope_id")?,
            active_envelopes_count: required(self.active_envelopes_count, "active_envelopes_count")
                .and_then(not_negative)?,
            tenant_id: name(self.tenant_id.as_deref(), "tenant_id")?,
            recorded_by: required(self.recorded_by.as_deref(), "recorded_by")?,
        })
    }

    /// The number that it has, or would have.
    pub fn id(&self) -> Result<[u8; 16]> {
        match self.audit_id.as_deref() {
            None => Ok(self.new_id),
            Some(id) => audit::parse_uuid(id).ok_or_else(|| {
                Error::invalid(
                    format!("audit_id \"{}\" is not a UUID", convert::beginning(id, 100)),
                    "Pass a UUID, or leave it out for a new one.",
                )
            }),
        }
    }

    /// The same with no text larger than a record may hold in its place.
    pub fn cut(&self) -> Self {
        let mut is_cut = self.is_cut;
        let mut cut_at = |text: &Option<Cow<'a, str>>, most: usize| {
            text.as_ref().map(|text| {
                let mut end = text.len().min(most);
                is_cut |= end < text.len();
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                Cow::Owned(text[..end].to_owned())
            })
        };
        let reason = cut_at(&self.reason, LONGEST_REASON);
        let mut cut = |text| cut_at(text, LONGEST_NAME);
        Self {
            audit_id: cut(&self.audit_id),
            envelope_id: cut(&self.envelope_id),
            envelope_class: cut(&self.envelope_class),
            decision: cut(&self.decision),
            reason,
            conflicting_envelope_id: cut(&self.conflicting_envelope_id),
            preempting_envelope_id: cut(&self.preempting_envelope_id),
            tenant_id: cut(&self.tenant_id),
            decision_timestamp: self.decision_timestamp.clone(),
            active_envelopes_count: self.active_envelopes_count,
            recorded_by: self.recorded_by.clone(),
            is_undated: self.is_undated,
            is_cut,
            new_id: self.new_id,
        }
    }
}

/// When this transaction began: what the server calls now.
pub fn begun() -> TimestampWithTimeZone {
    // SAFETY: reads a number of the transaction state.
    let at = unsafe { pg_sys::GetCurrentTransactionStartTimestamp() };
    at.try_into().unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}

/// A moment as a dead letter has it: what no calendar holds has no spelling that is read again.
pub fn spelled(at: TimestampWithTimeZone) -> String {
    let micros = pg_sys::TimestampTz::from(at);
    match convert::moment(micros).and_then(audit::moment_text) {
        Some(text) => text,
        None if micros == i64::MAX => "infinity".into(),
        None if micros == i64::MIN => "-infinity".into(),
        None => format!("{micros} microseconds from 2000"),
    }
}

fn unknown(argument: &str, found: &str, hint: &'static str) -> Error {
    Error::invalid(format!("unknown {argument} \"{}\"", convert::beginning(found, 100)), hint)
}

fn not_negative(count: i32) -> Result<i32> {
    if count < 0 {
        return Err(Error::invalid(
            format!("active_envelopes_count must not be negative, not {count}"),
            "Pass how many envelopes were active at the decision.",
        ));
    }
    Ok(count)
}

fn name<'a>(text: Option<&'a str>, argument: &'static str) -> Result<Option<&'a str>> {
    text.map(|text| bounded(text, argument, LONGEST_NAME)).transpose()
}

fn bounded<'a>(text: &'a str, argument: &'static str, longest: usize) -> Result<&'a str> {
    if text.is_empty() || text.len() > longest {
        return Err(Error::invalid(
            format!("{argument} must have 1 to {longest} bytes, not {}", text.len()),
            "Leave it out, or pass a shorter text.",
        ));
    }
    Ok(text)
}

/// Who is connected, whatever role the session has taken since.
pub fn session_user() -> String {
    // SAFETY: a look-up by the session's own user, without an error for one that is gone; the name is the server's and copied here.
    unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetSessionUserId(), true);
        if name.is_null() {
            "(dropped)".into()
        } else {
            std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }
}
