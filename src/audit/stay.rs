//! What the tables' own triggers and checks do: a record gets its digest, and stays.
//!
//! The digest is held by a CHECK, which the server looks at after every trigger: a row that says something else than its digest is stored by
//! nobody. That it stays is held by triggers that fire for everybody, in every session_replication_role.

use chrono::{DateTime, Utc};
use costsim_core::audit::{self, Purge, Row};
use pgrx::datum::UnboxDatum;
use pgrx::datum::Uuid;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use super::purge;
use crate::convert;
use crate::db;
use crate::error::{Error, Result};

/// SHA-256 over the RFC 8785 form of a record, 64 hexadecimal digits. NULL where a column that is never NULL is, or a time beyond the years
/// 1 to 9999.
#[pg_extern(immutable, parallel_safe)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the columns, in their order")]
fn costsim_audit_digest(
    audit_id: Option<Uuid>,
    envelope_id: Option<&str>,
    envelope_class: Option<&str>,
    decision: Option<&str>,
    reason: Option<&str>,
    decision_timestamp: Option<TimestampWithTimeZone>,
    created_at: Option<TimestampWithTimeZone>,
    conflicting_envelope_id: Option<&str>,
    preempting_envelope_id: Option<&str>,
    active_envelopes_count: Option<i32>,
    tenant_id: Option<&str>,
    recorded_by: Option<&str>,
) -> Option<String> {
    let row = Row {
        audit_id: *audit_id?.as_bytes(),
        envelope_id: envelope_id?,
        envelope_class: envelope_class?,
        decision: decision?,
        reason: reason?,
        decision_timestamp: moment(decision_timestamp?)?,
        created_at: moment(created_at?)?,
        conflicting_envelope_id,
        preempting_envelope_id,
        active_envelopes_count: active_envelopes_count?,
        tenant_id,
        recorded_by: recorded_by?,
    };
    row.digest()
}

/// The same of a purge, over all its columns but its number.
#[pg_extern(immutable, parallel_safe)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the columns, in their order")]
fn costsim_audit_purge_digest(
    purged_at: Option<TimestampWithTimeZone>,
    purged_by: Option<&str>,
    session_user_name: Option<&str>,
    reason: Option<&str>,
    cut_off: Option<TimestampWithTimeZone>,
    rows: Option<i64>,
    first_decision_timestamp: Option<TimestampWithTimeZone>,
    last_decision_timestamp: Option<TimestampWithTimeZone>,
    digest: Option<&str>,
) -> Option<String> {
    let purge = Purge {
        purged_at: moment(purged_at?)?,
        purged_by: purged_by?,
        session_user_name: session_user_name?,
        reason: reason?,
        cut_off: moment(cut_off?)?,
        rows: rows?,
        first_decision_timestamp: moment(first_decision_timestamp?)?,
        last_decision_timestamp: moment(last_decision_timestamp?)?,
        digest: digest?,
    };
    purge.digest()
}

fn moment(at: TimestampWithTimeZone) -> Option<DateTime<Utc>> {
    convert::moment(at.into())
}

/// Before a record without a digest is written: gives it its own.
#[pg_trigger]
fn _costsim_audit_seal<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByRust>>, PgTriggerError> {
    Ok(raise(sealed(trigger)))
}

fn sealed<'a>(trigger: &'a PgTrigger<'a>) -> Result<Option<PgHeapTuple<'a, AllocatedByRust>>> {
    let is_ours = table(trigger)? == db::relation(c"costsim_audit_records")?
        && trigger.event().fired_before()
        && trigger.event().fired_by_insert();
    let Some(new) = trigger.new().filter(|_| is_ours) else { return Err(misplaced()) };
    let text = |column| named::<String>(&new, column);
    for column in ["decision_timestamp", "created_at"] {
        if named(&new, column)?.is_some_and(|at| moment(at).and_then(audit::moment_text).is_none()) {
            return Err(Error::invalid(
                format!("{column} must be a date in the years 1 to 9999"),
                "A record must have a digest, and such a time has no spelling in it.",
            ));
        }
    }
    let digest = costsim_audit_digest(
        named(&new, "audit_id")?,
        text("envelope_id")?.as_deref(),
        text("envelope_class")?.as_deref(),
        text("decision")?.as_deref(),
        text("reason")?.as_deref(),
        named(&new, "decision_timestamp")?,
        named(&new, "created_at")?,
        text("conflicting_envelope_id")?.as_deref(),
        text("preempting_envelope_id")?.as_deref(),
        named(&new, "active_envelopes_count")?,
        text("tenant_id")?.as_deref(),
        text("recorded_by")?.as_deref(),
    );
    let mut row = new.into_owned();
    row.set_by_name("content_digest", digest).map_err(|error| internal(&error))?;
    Ok(Some(row))
}

/// Before a record is changed or deleted, or a statement would: refuses it, but for what the purge deletes.
#[pg_trigger]
fn _costsim_audit_stays<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    raise(stays(trigger));
    Ok(trigger.old())
}

fn stays(trigger: &PgTrigger<'_>) -> Result<()> {
    let event = trigger.event();
    if event.fired_by_delete() && table(trigger)? == db::relation(c"costsim_audit_records")? {
        let goes = match trigger.old() {
            // Of the statement as a whole; its rows are asked about one by one.
            None => purge::is_purging(),
            Some(old) => match (
                named::<Uuid>(&old, "audit_id")?,
                named::<TimestampWithTimeZone>(&old, "decision_timestamp")?,
                named::<TimestampWithTimeZone>(&old, "created_at")?,
            ) {
                (Some(id), Some(decided), Some(created)) => {
                    purge::lets_go(*id.as_bytes(), decided.into(), created.into())
                }
                _ => false,
            },
        };
        if goes {
            return Ok(());
        }
    }
    Err(Error::Stays {
        what: "audit records stay as they are".into(),
        hint: "What is wrong is corrected by another record. Old ones leave by costsim_purge_audit(), which keeps a record of that.",
    })
}

/// Raised here: what a trigger function answers as an error reaches the client as Rust's own spelling of it.
fn raise<T>(outcome: Result<T>) -> T {
    crate::call::must(outcome.map_err(ErrorReport::from))
}

fn table(trigger: &PgTrigger<'_>) -> Result<pg_sys::Oid> {
    trigger.relid().map_err(|error| internal(&error))
}

fn misplaced() -> Error {
    Error::invalid(
        "this trigger function is for costsim_audit_records as the extension uses it",
        "Leave the extension's trigger functions to its own tables.",
    )
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}

/// A column of a trigger's row.
fn named<T>(row: &PgHeapTuple<'_, AllocatedByPostgres>, column: &str) -> Result<Option<T>>
where
    T: FromDatum + IntoDatum + 'static,
    for<'tuple> T: UnboxDatum<As<'tuple> = T>,
{
    row.get_by_name(column).map_err(|error| internal(&error))
}
