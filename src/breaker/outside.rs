//! What other hands do to the tables: the application's own ORM, or an operator with an UPDATE. Trigger functions.

use std::cell::Cell;

use chrono::TimeDelta;
use costsim_core::breaker::{Cause, Config, Standing, Transition};
use pgrx::datum::UnboxDatum;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use super::act::refused;
use super::purge;
use super::store::event::{self, Particulars};
use super::store::{self, incident};
use super::stored::Marks;
use crate::error::{Error, Result};
use crate::{alert, convert, db};

/// Recorded as the one who resolved an incident that was left behind.
const SUPERSEDED_BY: &str = "system-superseded";

type Returned<'a> = std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError>;

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Runs a statement whose change of the state is recorded by whoever runs it.
pub fn not_outside<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    /// Ends it when an error unwinds, too.
    struct Ours;
    impl Drop for Ours {
        fn drop(&mut self) {
            IS_OURS.set(false);
        }
    }
    IS_OURS.set(true);
    let _ours = Ours;
    body()
}

/// After a row of costsim_cb_state has changed, or all are gone: every session forgets what it remembers, the worker looks when
/// it has to look next, what another hand opened or closed is recorded, and what it closed is over.
#[pg_trigger]
fn _costsim_breaker_changed<'a>(trigger: &'a PgTrigger<'a>) -> Returned<'a> {
    raise(db::as_servant(|| changed(trigger)));
    Ok(None)
}

/// After the count of failures has begun or ended, which every session remembers too.
#[pg_trigger]
fn _costsim_breaker_counted<'a>(trigger: &'a PgTrigger<'a>) -> Returned<'a> {
    raise(db::as_servant(|| ring(trigger)));
    Ok(None)
}

/// Before an unresolved incident is written, by us or by the application's own ORM, the one before it is resolved: its breaker was
/// closed, or opened once more, by a hand that left it behind. So one is open at a time, and its alert does not fire for ever.
#[pg_trigger]
fn _costsim_supersede_incident<'a>(trigger: &'a PgTrigger<'a>) -> Returned<'a> {
    raise(db::as_servant(|| supersede(trigger)));
    Ok(trigger.new())
}

/// After an incident was resolved or removed, by us or by another hand: its alert is over.
#[pg_trigger]
fn _costsim_incident_ended<'a>(trigger: &'a PgTrigger<'a>) -> Returned<'a> {
    raise(db::as_servant(|| ended(trigger)));
    Ok(None)
}

/// Refuses what would change or remove a recorded event, but for the purge.
#[pg_trigger]
fn _costsim_cb_events_stay<'a>(trigger: &'a PgTrigger<'a>) -> Returned<'a> {
    raise(stay(trigger));
    Ok(None)
}

/// Raised here: what a trigger function answers as an error reaches the client as Rust's own spelling of it.
fn raise(outcome: Result<()>) {
    if let Err(error) = outcome {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}

/// Refuses another table, to which somebody has attached a function of ours.
fn require(is_ours: bool, what: &'static str) -> Result<()> {
    if is_ours {
        return Ok(());
    }
    Err(Error::invalid(what, "Leave the extension's trigger functions to its own tables."))
}

fn table(trigger: &PgTrigger<'_>) -> Result<pg_sys::Oid> {
    trigger.relid().map_err(|error| internal(&error))
}

/// Has every session forget what it remembers.
fn ring(trigger: &PgTrigger<'_>) -> Result<()> {
    let places = store::places()?;
    require(table(trigger)? == places.table, "this trigger function is for changes of costsim_cb_state")?;
    db::tell_of_change(places.bell);
    Ok(())
}

fn changed(trigger: &PgTrigger<'_>) -> Result<()> {
    ring(trigger)?;
    alert::wake_worker();
    if let Some(new) = trigger.new().filter(|_| !IS_OURS.get()) {
        config(&new)?.validate().map_err(refused)?;
    }
    // A restored dump comes in as inserts, and brings its events along, as replication does.
    if IS_OURS.get() || trigger.event().fired_by_insert() || db::is_replicating() {
        return Ok(());
    }
    let seen = |row: Option<PgHeapTuple<'_, AllocatedByPostgres>>| row.as_ref().map(seen).transpose();
    match (seen(trigger.old())?, seen(trigger.new())?) {
        (None, None) => incident::resolve_all(&event::session_user()?, "all breakers were removed"),
        // Under another name it is another breaker.
        (Some(old), Some(new)) if old.name != new.name => {
            step(&old.name, Some(&old), None)?;
            if new.standing == Standing::Closed {
                return Ok(());
            }
            not_outside(|| store::disown(&new.name))?;
            let found = Seen { standing: Standing::Open, incident_id: None, ..new };
            step(&found.name, None, Some(&found))
        }
        (Some(old), new) => step(&old.name, Some(&old), new.as_ref()),
        (None, Some(_)) => Ok(()),
    }
}

/// What another hand has left behind in a row, or found there.
struct Seen {
    name: String,
    standing: Standing,
    reason: Option<String>,
    incident_id: Option<String>,
    failures: Option<i32>,
}

fn seen(row: &PgHeapTuple<'_, AllocatedByPostgres>) -> Result<Seen> {
    Ok(Seen {
        name: named(row, "name")?.unwrap_or_default(),
        standing: marks(row)?.standing(),
        reason: named(row, "disabled_reason")?,
        incident_id: named(row, "incident_id")?,
        failures: named(row, "consecutive_failures")?,
    })
}

/// Records what another hand has opened or closed. What it closes is over: the incident, with its alert, and what our own columns tell.
fn step(name: &str, old: Option<&Seen>, new: Option<&Seen>) -> Result<()> {
    let standing = |seen: Option<&Seen>| seen.map_or(Standing::Closed, |seen| seen.standing);
    let (before, after) = (standing(old), standing(new));
    // What moves in the time of an outage, or in its words, is no step.
    if before == after {
        return Ok(());
    }
    let user = event::session_user()?;
    // What closes it leaves the old reason behind, or none.
    let reason = new.filter(|_| after != Standing::Closed).and_then(|new| new.reason.as_deref());
    let incident_id = old.and_then(|old| old.incident_id.as_deref());
    let particulars = Particulars {
        actor: &user,
        reason: reason.unwrap_or("another hand wrote the row"),
        incident_id: incident_id.or(new.and_then(|new| new.incident_id.as_deref())),
        failures: new.or(old).and_then(|seen| seen.failures),
        ..Particulars::default()
    };
    let step = Transition { from: before, cause: Cause::Outside, to: after };
    event::record(name, step, &particulars)?;
    if after == Standing::Closed {
        incident::resolve(name, &user, "another hand closed the breaker")?;
        not_outside(|| store::disown(name))?;
    }
    Ok(())
}

/// What a row says of where the breaker stands.
fn marks(row: &PgHeapTuple<'_, AllocatedByPostgres>) -> Result<Marks> {
    Ok(Marks {
        is_disabled: named(row, "disabled")?.unwrap_or(false),
        until: named(row, "disabled_until")?,
        half_open_at: named(row, "half_open_at")?,
        half_open_since: named(row, "half_open_since")?,
        incident_id: named(row, "incident_id")?,
        opened_incident_id: named(row, "opened_incident_id")?,
    })
}

/// The settings in a row.
fn config(row: &PgHeapTuple<'_, AllocatedByPostgres>) -> Result<Config> {
    let span =
        |column| -> Result<Option<TimeDelta>> { Ok(named::<Interval>(row, column)?.map(convert::span)) };
    let required = |column| Error::Internal(format!("{column} is unexpectedly null"));
    macro_rules! setting {
        ($column:literal) => {
            named(row, $column)?.ok_or_else(|| required($column))?
        };
        (span $column:literal) => {
            span($column)?.ok_or_else(|| required($column))?
        };
    }
    Ok(Config {
        drift_threshold: setting!("drift_threshold"),
        warning_threshold: setting!("warning_threshold"),
        failure_threshold: setting!("failure_threshold"),
        schema_error_threshold: setting!("schema_error_threshold"),
        disable_ttl: span("disable_ttl")?,
        auto_recover: setting!("auto_recover"),
        auto_disable: setting!("auto_disable"),
        half_open: setting!("half_open"),
        probe_permits: setting!("probe_permits"),
        probe_successes: setting!("probe_successes"),
        probe_timeout: setting!(span "probe_timeout"),
        half_open_timeout: setting!(span "half_open_timeout"),
        max_disable_ttl: setting!(span "max_disable_ttl"),
    })
}

/// A column of a trigger's row.
fn named<T>(row: &PgHeapTuple<'_, AllocatedByPostgres>, column: &str) -> Result<Option<T>>
where
    T: FromDatum + IntoDatum + 'static,
    for<'tuple> T: UnboxDatum<As<'tuple> = T>,
{
    row.get_by_name(column).map_err(|error| internal(&error))
}

fn supersede(trigger: &PgTrigger<'_>) -> Result<()> {
    let is_ours = incident::table()? == table(trigger)? && !trigger.event().fired_by_update();
    require(is_ours, "_costsim_supersede_incident() is for inserts into costsim_cb_incidents")?;
    let new = trigger.new().ok_or_else(|| Error::Internal("the trigger has no new row".into()))?;
    let (id, name): (Option<String>, Option<String>) =
        (named(&new, "id")?, named(&new, "circuit_breaker_name")?);
    let Some((id, name)) = id.zip(name) else { return Ok(()) };
    // An upsert of what is there already will insert nothing, and must not end anything.
    if incident::exists(&id)? {
        return Ok(());
    }
    incident::resolve(&name, SUPERSEDED_BY, "a new incident was opened")
}

fn stay(trigger: &PgTrigger<'_>) -> Result<()> {
    if trigger.event().fired_by_delete() && purge::lets_go() {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: "costsim_cb_events only grows",
        hint: "costsim_purge_breaker_events() takes old rows out, and so does costsim.breaker_event_retention.",
    })
}

fn ended(trigger: &PgTrigger<'_>) -> Result<()> {
    let is_ours = incident::table()? == table(trigger)?;
    require(is_ours, "_costsim_incident_ended() is for changes of costsim_cb_incidents")?;
    let Some(old) = trigger.old() else { return alert::resolve_of_incidents() };
    let is_resolved = |row: &PgHeapTuple<'_, AllocatedByPostgres>| -> Result<bool> {
        Ok(named(row, "resolved")?.unwrap_or(false))
    };
    let Some(id) = named::<String>(&old, "id")? else { return Ok(()) };
    let goes_on = match trigger.new() {
        Some(new) => !is_resolved(&new)? && named::<String>(&new, "id")?.as_ref() == Some(&id),
        None => false,
    };
    if goes_on || is_resolved(&old)? { Ok(()) } else { alert::resolve_of_incident(&id) }
}
