//! Coordination: which envelope controls a parameter, which gives way to it, and the switch that ends them all.
//!
//! It promises, in every snapshot and whoever calls at once: never two active envelopes on one parameter of a tenant; none displaced by an equal or a
//! lower class; none active while the kill switch is; and for each transition a record of the audit in the same transaction, or a dead letter where
//! the audit could not be written. Core decides; what it decides by is read under locks that last to the end of the transaction: one of the kill
//! switch, shared but by the switch itself, then one of the envelope, then one of its subsystem, in this order. So calls for one subsystem each never
//! wait for each other in a circle; a transaction that calls for several can (40P01).
//!
//! What it does not do: it sets no parameter. The application reads what is active and acts by it. Changes of the tables by hand are bound by their
//! constraints alone.
//!
//! `store` the rows

mod purge;
mod store;

pub use purge::purge_some;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use costsim_core::coordination::{self, Entry, KILL_SWITCH, Realm, Request, Ruling, Scope};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::access::scope;
use crate::audit;
use crate::clock;
use crate::convert::{Jsonb, LONGEST_DOCUMENT};
use crate::db;
use crate::error::{Answer, Error, Result, required};
use crate::lock;
use store::{Ending, Envelope};

/// Asks for control of a parameter: what is decided, and what gives way.
#[pg_extern(volatile, parallel_unsafe, requires = ["coordination"])]
#[expect(clippy::too_many_arguments, reason = "the arguments are those of the SQL function")]
#[expect(clippy::type_complexity, reason = "pgrx reads the type")]
fn costsim_coordinate(
    envelope_id: Option<&str>,
    envelope_class: Option<&str>,
    subsystem: Option<&str>,
    parameter: Option<&str>,
    value: default!(Option<Jsonb>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
    tenant_id: default!(Option<&str>, "NULL"),
    applied_by: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(decision, &'static str),
            name!(reason, String),
            name!(conflicting_envelope_id, Option<String>),
            name!(preempted, Vec<String>),
            name!(active_envelopes_count, i32),
            name!(audit_id, Option<pgrx::Uuid>),
            name!(is_audited, bool),
        ),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_coordinate()");
    let request = Request {
        envelope_id: read_envelope_id(envelope_id)?,
        class: envelope_class,
        subsystem: name(required(subsystem, "subsystem")?, "subsystem")?,
        parameter: name(required(parameter, "parameter")?, "parameter")?,
        reason: words(reason)?,
    };
    let tenant_id = optional_name(tenant_id, "tenant_id")?;
    let applied_by = optional_name(applied_by, "applied_by")?;
    let value = value.map(Jsonb::flat);
    if value.is_some_and(|value| value.size() > LONGEST_DOCUMENT) {
        return Err(Error::invalid(
            format!("value must have at most {LONGEST_DOCUMENT} bytes"),
            "Pass what the parameter is to be; keep documents elsewhere.",
        )
        .into());
    }
    scope::require(c"costsim_envelopes", tenant_id)?;
    Ok(TableIterator::once(db::as_owner(|| coordinate(&request, value, tenant_id, applied_by))?))
}

/// What costsim_coordinate answers.
type Decided = (&'static str, String, Option<String>, Vec<String>, i32, Option<pgrx::Uuid>, bool);

fn coordinate(
    request: &Request<'_>,
    value: Option<Jsonb>,
    tenant_id: Option<&str>,
    applied_by: Option<&str>,
) -> Result<Decided> {
    lock::wait_to_share_the_switch();
    lock::wait_for_scope(Realm::Envelope(request.envelope_id).key(tenant_id));
    lock::wait_for_scope(Realm::Subsystem(request.subsystem).key(tenant_id));
    let state = store::state(tenant_id)?;
    let mut scope = Scope { is_killed: state.is_killed, active: store::scope(tenant_id, request, value)? };
    let mut ruling = coordination::coordinate(&scope, request);
    if let Ruling::Applied { displaced, .. } = &ruling
        && !displaced.is_empty()
    {
        // Some may have been ended by hand since; then it is decided by the others.
        let ids: Vec<i64> = displaced.iter().map(|envelope| envelope.id).collect();
        let held = store::hold(ids.clone())?;
        if held.len() < ids.len() {
            scope.active.retain(|envelope| held.contains(&envelope.id) || !ids.contains(&envelope.id));
            ruling = coordination::coordinate(&scope, request);
        }
    }

    let at = clock::now();
    let entries = ruling.entries(request);
    let mut preempted = Vec::new();
    if !entries.is_empty() {
        db::make_commit_durable();
    }
    if let Ruling::Applied { class, displaced, .. } = &ruling {
        if let Some(entry) = entries.first().filter(|_| !displaced.is_empty()) {
            let ids: Vec<i64> = displaced.iter().map(|envelope| envelope.id).collect();
            // All of them give way for the same reason.
            store::end(
                &ids,
                &Ending { status: "preempted", by: request.envelope_id, reason: &entry.reason },
                at,
            )?;
        }
        preempted.extend(displaced.iter().map(|envelope| envelope.envelope_id.clone()));
        store::apply(request, *class, tenant_id, value, applied_by, at)?;
    }
    let audited =
        persist(entries.iter().map(|entry| Told { entry, tenant_id, active_count: state.active_count }), at)?;
    let conflicting = match &ruling {
        Ruling::Rejected { conflicting, .. } => conflicting.clone(),
        Ruling::Stands | Ruling::Applied { .. } => None,
    };
    Ok((
        ruling.decision().name(),
        ruling.reason().into(),
        conflicting,
        preempted,
        state.active_count,
        // The request's own entry is the last.
        audited.last().copied().flatten(),
        audited.iter().all(Option::is_some),
    ))
}

/// Ends an active envelope: whether it was active.
#[pg_extern(volatile, parallel_unsafe, requires = ["coordination"])]
fn costsim_release_envelope(
    envelope_id: Option<&str>,
    tenant_id: default!(Option<&str>, "NULL"),
    released_by: default!(Option<&str>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
) -> Answer<bool> {
    db::require_writable(c"costsim_release_envelope()");
    let envelope_id = read_envelope_id(envelope_id)?;
    let tenant_id = optional_name(tenant_id, "tenant_id")?;
    let released_by = optional_name(released_by, "released_by")?;
    let reason = words(reason)?;
    // Another tenant's envelope is as one that is not there.
    if !scope::admits(c"costsim_envelopes", tenant_id)? {
        return Ok(false);
    }
    Ok(db::as_owner(|| release(envelope_id, tenant_id, released_by, reason))?)
}

fn release(
    envelope_id: &str,
    tenant_id: Option<&str>,
    released_by: Option<&str>,
    reason: Option<&str>,
) -> Result<bool> {
    lock::wait_to_share_the_switch();
    lock::wait_for_scope(Realm::Envelope(envelope_id).key(tenant_id));
    let Some(found) = store::active(tenant_id, envelope_id)? else { return Ok(false) };
    lock::wait_for_scope(Realm::Subsystem(&found.subsystem).key(tenant_id));
    // It may have been preempted while its subsystem was waited for; nobody else applies it meanwhile.
    let Some(envelope) = store::active(tenant_id, envelope_id)? else { return Ok(false) };
    let state = store::state(tenant_id)?;
    if store::hold(vec![envelope.id])?.is_empty() {
        return Ok(false);
    }

    db::make_commit_durable();
    let (at, by) = (clock::now(), released_by.unwrap_or(&state.user));
    let entry = coordination::release(&envelope, by, reason);
    store::end(&[envelope.id], &Ending { status: "released", by, reason: &entry.reason }, at)?;
    persist([Told { entry: &entry, tenant_id, active_count: state.active_count }], at)?;
    Ok(true)
}

/// Turns the kill switch: how many envelopes were reverted.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["coordination"])]
#[search_path(pg_catalog, pg_temp)]
fn costsim_set_kill_switch(
    is_active: Option<bool>,
    changed_by: Option<&str>,
    reason: Option<&str>,
) -> Answer<i32> {
    db::require_writable(c"costsim_set_kill_switch()");
    let is_active = required(is_active, "is_active")?;
    let changed_by = name(required(changed_by, "changed_by")?, "changed_by")?;
    let reason = required(reason, "reason")?;
    if reason.trim().is_empty() {
        return Err(Error::invalid("reason must not be empty", "Say why the kill switch is turned.").into());
    }
    words(Some(reason))?;

    lock::wait_for_the_switch();
    let was_active = store::is_killed()?;
    let envelopes = if is_active && !was_active { store::hold_all()? } else { Vec::new() };
    let active: Vec<_> = envelopes.iter().map(|each| each.envelope.clone()).collect();
    let Some(entries) = coordination::switch(was_active, is_active, &active, changed_by, reason) else {
        return Ok(0);
    };

    db::make_commit_durable();
    let at = clock::now();
    store::turn(is_active, changed_by, reason, at)?;
    let Some(entry) = entries.first() else { return Ok(0) };
    let ids: Vec<i64> = active.iter().map(|envelope| envelope.id).collect();
    // Here too.
    let ending = Ending { status: "reverted", by: KILL_SWITCH, reason: &entry.reason };
    // What somebody's trigger keeps active is no reason to leave the others as they are.
    let ended = store::end_some(&ids, &ending, at)?;
    if ended.len() < ids.len() {
        ereport!(
            PgLogLevel::WARNING,
            PgSqlErrorCode::ERRCODE_WARNING,
            format!(
                "the kill switch is active, and {} of {} envelopes are still active",
                ids.len() - ended.len(),
                ids.len()
            ),
            "A trigger or rule of costsim_envelopes has come between."
        );
    }
    let mut counts: HashMap<Option<&str>, i32> = HashMap::new();
    for Envelope { tenant_id, .. } in &envelopes {
        *counts.entry(tenant_id.as_deref()).or_default() += 1;
    }
    let reverted = envelopes.iter().zip(&entries).filter(|(each, _)| ended.contains(&each.envelope.id));
    let told = reverted.map(|(Envelope { tenant_id, .. }, entry)| Told {
        entry,
        tenant_id: tenant_id.as_deref(),
        active_count: counts.get(&tenant_id.as_deref()).copied().unwrap_or_default(),
    });
    persist(told, at)?;
    Ok(i32::try_from(ended.len()).unwrap_or(i32::MAX))
}

/// What the audit is to say, and of whom.
struct Told<'a> {
    entry: &'a Entry,
    tenant_id: Option<&'a str>,
    /// How many envelopes of the tenant were active.
    active_count: i32,
}

/// Has the audit say it, or dead letters: the id of each record, where it was written.
fn persist<'a>(
    told: impl IntoIterator<Item = Told<'a>>,
    at: DateTime<Utc>,
) -> Result<Vec<Option<pgrx::Uuid>>> {
    let records: Vec<_> = told
        .into_iter()
        .map(|Told { entry, tenant_id, active_count }| audit::Record {
            audit_id: None,
            envelope_id: &entry.envelope_id,
            class: entry.class,
            decision: entry.decision,
            reason: &entry.reason,
            at,
            conflicting: entry.conflicting.as_deref(),
            preempting: entry.preempting.as_deref(),
            active_count,
            tenant_id,
        })
        .collect();
    audit::persist(&records)
}

/// As the columns hold it.
const LONGEST_NAME: usize = 512;

/// A reason is repeated in the record of every envelope that it ends.
const LONGEST_REASON: usize = 8192;

fn read_envelope_id(envelope_id: Option<&str>) -> Result<&str> {
    let envelope_id = name(required(envelope_id, "envelope_id")?, "envelope_id")?;
    if envelope_id == KILL_SWITCH {
        return Err(Error::invalid(
            format!("envelope_id must not be {KILL_SWITCH}"),
            "Choose another name: in the audit this one is the kill switch.",
        ));
    }
    Ok(envelope_id)
}

fn optional_name<'a>(text: Option<&'a str>, argument: &'static str) -> Result<Option<&'a str>> {
    text.map(|text| name(text, argument)).transpose()
}

fn name<'a>(text: &'a str, argument: &'static str) -> Result<&'a str> {
    if text.trim().is_empty() || text.len() > LONGEST_NAME {
        return Err(Error::invalid(
            format!("{argument} must have from 1 to {LONGEST_NAME} bytes, and not be blank"),
            "Pass a name, or leave out what may be left out.",
        ));
    }
    Ok(text)
}

/// A reason, if there is one to speak of.
fn words(reason: Option<&str>) -> Result<Option<&str>> {
    if reason.is_some_and(|reason| reason.len() > LONGEST_REASON) {
        return Err(Error::invalid(
            format!("reason must have at most {LONGEST_REASON} bytes"),
            "Say it shorter, and keep documents elsewhere.",
        ));
    }
    Ok(reason.filter(|reason| !reason.trim().is_empty()))
}
