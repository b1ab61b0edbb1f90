//! The record of coordination: what was decided about which envelope, and why; written so that it stays.
//!
//! Promises: writing a record never harms the caller: it is true, and the record stands, or false, with a warning, the transaction as it was, and
//! the record among the dead letters (or in the server's log, where nothing can be written). A record that stands is changed and deleted by no
//! SQL, whoever runs it; only the purge deletes, what is older than its bound, and leaves a record of that. Does not: hold against who drops
//! the extension, disables triggers or writes to the files; `costsim_verify_audit` shows what was changed so.
//!
//! `record` what was asked, and what can be written of it · `store` the tables · `stay` what the tables' triggers do · `letter` what could not be
//! written, and is again · `purge` the only way out · `forget` letters of long ago

mod forget;
mod letter;
mod purge;
mod record;
mod stay;
mod store;

pub use forget::purge_some as purge_some_letters;

use std::panic::AssertUnwindSafe;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::audit::{Class, Decision};
use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::convert;
use crate::db::{self, Refusal};
use crate::error::{Answer, Result};
use record::Asked;

/// How long a record waits for a lock. Together with the dead letter's it is less than a second.
const PATIENCE: TimeDelta = TimeDelta::milliseconds(700);

/// A lock was waited for in vain.
const LOCKED: &str = "55P03";

/// A record of one decision.
pub struct Record<'a> {
    /// Its number; a new one unless given.
    pub audit_id: Option<Uuid>,
    pub envelope_id: &'a str,
    /// None is for what was rejected for want of one.
    pub class: Option<Class>,
    pub decision: Decision,
    pub reason: &'a str,
    /// When it was decided.
    pub at: DateTime<Utc>,
    pub conflicting: Option<&'a str>,
    pub preempting: Option<&'a str>,
    pub active_count: i32,
    pub tenant_id: Option<&'a str>,
}

/// Writes records: the number of each, or none where it went to the dead letters or the log. An error is only what must pass: cancel, shutdown.
pub fn persist(records: &[Record<'_>]) -> Result<Vec<Option<Uuid>>> {
    keep(records.iter().map(Asked::of).collect::<Result<_>>()?)
}

/// Writes what was asked for, or keeps it as dead letters. Once a lock was waited for in vain no other record waits for it: the rest are
/// letters at once. So a locked table costs one record's patience, however many there are.
fn keep(asked: Vec<Asked<'_>>) -> Result<Vec<Option<Uuid>>> {
    let (mut written, mut letters) = (Vec::with_capacity(asked.len()), Vec::new());
    let mut locked: Option<Refusal> = None;
    for asked in asked {
        pgrx::check_for_interrupts!();
        // Named before it is tried, so that whoever tries again writes the same record.
        let asked = Asked { new_id: store::new_id(), ..asked };
        let outcome = match &locked {
            Some(refusal) => Err(refusal.clone()),
            None => db::contain_within(PATIENCE, AssertUnwindSafe(|| store::write(&asked.record()?)))?,
        };
        written.push(match outcome {
            Ok(id) => Some(id),
            Err(refusal) => {
                if locked.is_none() && refusal.sqlstate == LOCKED {
                    locked = Some(refusal.clone());
                }
                letters.push((asked, refusal));
                None
            }
        });
    }
    letter::keep(&letters)?;
    Ok(written)
}

/// Writes a record of a decision: whether it stands. Never raises, whatever is wrong.
#[pg_extern(volatile, parallel_unsafe)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the columns, in the order callers know")]
fn costsim_persist_audit_record(
    audit_id: default!(Option<&str>, "NULL"),
    envelope_id: default!(Option<&str>, "NULL"),
    envelope_class: default!(Option<&str>, "NULL"),
    decision: default!(Option<&str>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
    decision_timestamp: default!(Option<TimestampWithTimeZone>, "NULL"),
    conflicting_envelope_id: default!(Option<&str>, "NULL"),
    preempting_envelope_id: default!(Option<&str>, "NULL"),
    active_envelopes_count: default!(Option<i32>, 0),
    tenant_id: default!(Option<&str>, "NULL"),
    emit_traces: default!(Option<bool>, true),
) -> Answer<bool> {
    // What is replayed was recorded when it happened.
    if emit_traces == Some(false) {
        return Ok(true);
    }
    let asked = Asked {
        audit_id: audit_id.map(Into::into),
        envelope_id: envelope_id.map(Into::into),
        envelope_class: envelope_class.map(Into::into),
        decision: decision.map(Into::into),
        reason: reason.map(Into::into),
        decision_timestamp: Some(record::spelled(decision_timestamp.unwrap_or_else(record::begun))),
        is_undated: decision_timestamp.is_none(),
        conflicting_envelope_id: conflicting_envelope_id.map(Into::into),
        preempting_envelope_id: preempting_envelope_id.map(Into::into),
        active_envelopes_count,
        tenant_id: tenant_id.map(Into::into),
        ..Asked::by_session()
    };
    Ok(keep(vec![asked])?.iter().all(Option::is_some))
}

/// The same with a number that is a uuid already.
#[pg_extern(name = "costsim_persist_audit_record", volatile, parallel_unsafe)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the columns, in the order callers know")]
fn costsim_persist_audit_record_uuid(
    audit_id: Option<Uuid>,
    envelope_id: default!(Option<&str>, "NULL"),
    envelope_class: default!(Option<&str>, "NULL"),
    decision: default!(Option<&str>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
    decision_timestamp: default!(Option<TimestampWithTimeZone>, "NULL"),
    conflicting_envelope_id: default!(Option<&str>, "NULL"),
    preempting_envelope_id: default!(Option<&str>, "NULL"),
    active_envelopes_count: default!(Option<i32>, 0),
    tenant_id: default!(Option<&str>, "NULL"),
    emit_traces: default!(Option<bool>, true),
) -> Answer<bool> {
    let audit_id = audit_id.map(|id| costsim_core::audit::uuid_text(id.as_bytes()));
    costsim_persist_audit_record(
        audit_id.as_deref(),
        envelope_id,
        envelope_class,
        decision,
        reason,
        decision_timestamp,
        conflicting_envelope_id,
        preempting_envelope_id,
        active_envelopes_count,
        tenant_id,
        emit_traces,
    )
}

/// Writes dead letters that can be written now, those that have waited longest for a try first, at most so many tries: how many were written.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_replay_audit_failures(max_rows: default!(Option<i64>, 1_000)) -> Answer<i64> {
    db::require_writable(c"costsim_replay_audit_failures()");
    let max_rows = purge::at_least_one(max_rows, "Leave it out for 1,000.")?;
    Ok(convert::count(letter::replay(max_rows)?))
}
