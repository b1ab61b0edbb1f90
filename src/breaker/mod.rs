//! The circuit breaker: is the new cost model to be trusted just now?
//!
//! The state machine is [`costsim_core::breaker`]; its drawing is there. Here a call locks the row, steps the machine and carries
//! out the effects: state, incident and alert are one transaction, the caller's. A report that changes nothing writes nothing and
//! takes no lock.
//!
//! Reads never write: a breaker whose time is over counts as closed at once, and the next report or command writes that down.
//!
//! `costsim_v2` always exists, with a row of its own from the first time something happens to it. Every other breaker is a row
//! somebody made; a name that nobody made is an error, because it is a spelling mistake more often than not.

mod notice;
mod store;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

use chrono::{DateTime, Utc};
use costsim_core::breaker::{self, Effect, Event, Phase, RECOVERED_BY, Refused, Severity, Term, Trip};
use notice::Notice;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use store::Stored;
pub use store::mark_alerted;

use crate::convert::{self, Jsonb, LONGEST_DOCUMENT, short_text};
use crate::error::{Answer, Error, Result, required};
use crate::{alert, clock, db};

/// The breaker that needs no making.
const DEFAULT_NAME: &str = "costsim_v2";

/// The most characters of a reason or of a name: it is read at every check and sent with every alert.
const LONGEST_TEXT: usize = 1_000;

const SAY_WHO_AND_WHY: &str = "Say in a few words who does it and why: whoever is paged will read it.";

/// Recorded as the one who resolved an incident that was left behind.
const SUPERSEDED_BY: &str = "system-superseded";

/// A row of costsim_cb_incidents.
pub type Incident = (
    String,
    String,
    TimestampWithTimeZone,
    String,
    String,
    Option<f64>,
    Option<i32>,
    Option<String>,
    bool,
    Option<TimestampWithTimeZone>,
    Option<String>,
    Option<String>,
    bool,
    Option<TimestampWithTimeZone>,
    Option<String>,
    i64,
    Option<f64>,
);

/// Whether the breaker is open: whether V2 must not answer. An end that has passed counts as closed. Reads only.
#[pg_extern(stable, parallel_safe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_is_open(name: default!(Option<&str>, "'costsim_v2'")) -> Answer<bool> {
    let stored = known(required(name, "name")?, store::peek_openness)?;
    Ok(breaker::is_open(&stored.state, &stored.config, clock::now()))
}

/// The breaker's state in one row, as of now.
#[pg_extern(stable, parallel_safe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
fn costsim_cb_get_state(
    name: default!(Option<&str>, "'costsim_v2'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(is_open, bool),
            name!(state, String),
            name!(opened_at, Option<TimestampWithTimeZone>),
            name!(reason, Option<String>),
            name!(incident_id, Option<String>),
            name!(consecutive_failures, i32),
            name!(last_failure_at, Option<TimestampWithTimeZone>),
            name!(disabled_until, Option<TimestampWithTimeZone>),
            name!(disabled_by, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let stored = known(required(name, "name")?, store::peek)?;
    let stamp = |at: Option<DateTime<Utc>>| at.map(convert::timestamptz).transpose();
    let last_failure_at = stamp(stored.state.last_failure_at)?;
    let is_open = breaker::is_open(&stored.state, &stored.config, clock::now());
    let row = match stored.state.phase {
        Phase::Open(outage) if is_open => (
            true,
            "open".to_owned(),
            stamp(Some(outage.since))?,
            stored.disabled_reason,
            stored.incident_id,
            stored.state.consecutive_failures,
            last_failure_at,
            stamp(outage.until)?,
            stored.disabled_by,
        ),
        Phase::Open(_) | Phase::Closed => {
            let failures = if matches!(stored.state.phase, Phase::Open(_)) {
                0
            } else {
                stored.state.consecutive_failures
            };
            (false, "closed".to_owned(), None, None, None, failures, last_failure_at, None, None)
        }
    };
    Ok(TableIterator::once(row))
}

/// Reports how far V2 is from V1. Answers the incident when this very report opened the breaker, else no row. A score strictly
/// above the breaker's drift_threshold counts as a failure, failure_threshold of them in a row open it; a better score starts the
/// count anew, and writes nothing when there is nothing to reset. While open, a bad report is noted on the incident.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "the columns of costsim_cb_incidents")]
fn costsim_report_drift(
    drift_score: Option<f64>,
    sample_count: default!(Option<i32>, "1"),
    details: default!(Option<Jsonb>, "NULL"),
    name: default!(Option<&str>, "'costsim_v2'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(circuit_breaker_name, String),
            name!(timestamp, TimestampWithTimeZone),
            name!(reason, String),
            name!(severity, String),
            name!(drift_score, Option<f64>),
            name!(sample_count, Option<i32>),
            name!(details_json, Option<String>),
            name!(resolved, bool),
            name!(resolved_at, Option<TimestampWithTimeZone>),
            name!(resolved_by, Option<String>),
            name!(resolution_notes, Option<String>),
            name!(alert_sent, bool),
            name!(alert_sent_at, Option<TimestampWithTimeZone>),
            name!(alert_response, Option<String>),
            name!(reports_while_open, i64),
            name!(worst_drift_score, Option<f64>),
        ),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_report_drift()");
    let event = Event::Drift {
        score: required(drift_score, "drift_score")?,
        sample_count: required(sample_count, "sample_count")?,
    };
    let outcome = apply(
        required(name, "name")?,
        &event,
        details.as_ref().map(|details| details.text("details", LONGEST_DOCUMENT)).transpose()?,
    )?;
    let incident = match outcome.tripped {
        Some(id) => store::incident(&id)?,
        None => None,
    };
    Ok(TableIterator::new(incident))
}

/// Opens the breaker by hand. Asking for what is so already changes nothing; another reason or end changes the open breaker
/// and never makes a second incident.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_disable_v2(
    reason: Option<&str>,
    disabled_by: Option<&str>,
    disabled_until: default!(Option<TimestampWithTimeZone>, "NULL"),
    permanent: default!(Option<bool>, "false"),
    name: default!(Option<&str>, "'costsim_v2'"),
) -> Result<TableIterator<'static, (name!(changed, bool), name!(incident_id, Option<String>))>, ErrorReport> {
    db::require_writable(c"costsim_disable_v2()");
    let until = disabled_until.map(|at| convert::finite_moment(at, "disabled_until")).transpose()?;
    let term = Term::asked(until, required(permanent, "permanent")?).map_err(refused)?;
    let event = Event::Disable {
        reason: said(required(reason, "reason")?, "reason")?,
        by: said(required(disabled_by, "disabled_by")?, "disabled_by")?,
        term,
    };
    let outcome = apply(required(name, "name")?, &event, Some("{\"manual_disable\": true}"))?;
    Ok(TableIterator::once((outcome.changed, outcome.incident_id)))
}

/// Closes the breaker, resolves its incident and its alert: true only if it was open.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_enable_v2(
    enabled_by: Option<&str>,
    reason: default!(Option<&str>, "NULL"),
    name: default!(Option<&str>, "'costsim_v2'"),
) -> Answer<bool> {
    db::require_writable(c"costsim_enable_v2()");
    let reason = reason.map(|reason| said(reason, "reason")).transpose()?;
    let by = said(required(enabled_by, "enabled_by")?, "enabled_by")?;
    let event = Event::Enable { reason, by };
    Ok(apply(required(name, "name")?, &event, None)?.closed)
}

/// Before an unresolved incident is written, by us or by the application's own ORM, the one before it is resolved: its breaker was
/// closed, or opened once more, by a hand that left it behind. So one is open at a time, and its alert does not fire for ever.
#[pg_trigger]
fn _costsim_supersede_incident<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    // Raised here: what a trigger function answers as an error reaches the client as Rust's own spelling of it.
    if let Err(error) = supersede(trigger) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(trigger.new())
}

fn supersede(trigger: &PgTrigger<'_>) -> Result<()> {
    let internal = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let table = trigger.relid().map_err(|error| internal(&error))?;
    if !store::is_incident_table(table)? || trigger.event().fired_by_update() {
        return Err(Error::invalid(
            "_costsim_supersede_incident() is for inserts into costsim_cb_incidents",
            "Leave the extension's trigger functions to its own tables.",
        ));
    }
    let new = trigger.new().ok_or_else(|| Error::Internal("the trigger has no new row".into()))?;
    let text = |column| new.get_by_name::<String>(column).map_err(|error| internal(&error));
    let (id, name) = (text("id")?, text("circuit_breaker_name")?);
    let Some((id, name)) = id.zip(name) else { return Ok(()) };
    // An upsert of what is there already will insert nothing, and must not end anything.
    if store::incident(&id)?.is_some() {
        return Ok(());
    }
    resolve_alert(store::resolve_incident(&name, SUPERSEDED_BY, "a new incident was opened")?.as_deref())
}

/// A text that somebody said: who does it, or why.
fn said(text: &str, argument: &'static str) -> Result<String> {
    short_text(text, argument, LONGEST_TEXT, SAY_WHO_AND_WHY).map(str::to_owned)
}

/// What an event did.
#[derive(Default)]
struct Outcome {
    changed: bool,
    /// The incident of a trip.
    tripped: Option<String>,
    /// A person's close did something.
    closed: bool,
    /// The open incident afterwards.
    incident_id: Option<String>,
}

/// Steps the machine and carries out what it says, in the caller's transaction.
fn apply(name: &str, event: &Event, details: Option<&str>) -> Result<Outcome> {
    let glance = known(name, store::read)?;
    let (_, effects) = breaker::step(&glance.state, &glance.config, event, clock::now()).map_err(refused)?;
    if effects.iter().all(is_silent) {
        return Ok(Outcome { incident_id: glance.incident_id, ..Outcome::default() });
    }
    if !store::lock(name)? {
        store::create(name)?;
        store::lock(name)?;
    }
    db::make_commit_durable();
    let mut stored = known(name, store::read)?;
    let now = clock::now();
    let (state, effects) = breaker::step(&stored.state, &stored.config, event, now).map_err(refused)?;
    stored.state = state;
    let mut outcome = Outcome::default();
    for effect in &effects {
        carry_out(name, &mut stored, effect, details, now, &mut outcome)?;
    }
    if !effects.iter().all(is_silent) {
        store::save(name, &stored)?;
    }
    outcome.incident_id = stored.incident_id;
    Ok(outcome)
}

/// An effect that leaves the row as it is.
fn is_silent(effect: &Effect) -> bool {
    matches!(effect, Effect::Warn(_))
}

fn carry_out(
    name: &str,
    stored: &mut Stored,
    effect: &Effect,
    details: Option<&str>,
    now: DateTime<Utc>,
    outcome: &mut Outcome,
) -> Result<()> {
    match effect {
        // The counter is part of the state that is saved; a warning changes nothing.
        Effect::CountFailure { .. } | Effect::ResetFailures | Effect::Warn(_) => {}
        Effect::Recover { due } => {
            close(name, stored, RECOVERED_BY, &format!("its time was over at {due}"))?;
        }
        Effect::Close { reason, by } => {
            close(name, stored, by, reason.as_deref().unwrap_or("enabled by hand"))?;
            (outcome.changed, outcome.closed) = (true, true);
        }
        Effect::Trip(trip) => {
            let id = open(name, stored, trip, details, now)?;
            (outcome.changed, outcome.tripped) = (true, Some(id));
        }
        Effect::Adopt { severity } => {
            let reason = stored.disabled_reason.clone().unwrap_or_else(|| "opened by another hand".into());
            let by = stored.disabled_by.clone().unwrap_or_else(|| "unknown".into());
            let until = end(stored);
            let trip = Trip {
                cause: breaker::Cause::Manual,
                severity: *severity,
                reason,
                by,
                until,
                score: 0.0,
                sample_count: 0,
            };
            open(name, stored, &trip, None, now)?;
        }
        Effect::Observe { score, sample_count: _ } => store::observe(name, *score)?,
        Effect::Escalate { from: _, to } => {
            store::escalate(name, *to)?;
            // The severity is a label, so this is another alert.
            resolve_alert(stored.incident_id.as_deref())?;
            fire_alert(name, stored, *to, end(stored))?;
        }
        Effect::ChangeDisable { change: _, until, reason, by } => {
            (stored.disabled_by, stored.disabled_reason) = (Some(by.clone()), Some(reason.clone()));
            outcome.changed = true;
            let severity = match &stored.state.phase {
                Phase::Open(outage) => outage.incident.unwrap_or(Severity::P2),
                Phase::Closed => Severity::P2,
            };
            fire_alert(name, stored, severity, *until)?;
        }
    }
    Ok(())
}

fn open(
    name: &str,
    stored: &mut Stored,
    trip: &Trip,
    details: Option<&str>,
    now: DateTime<Utc>,
) -> Result<String> {
    let Trip { severity, reason, score, sample_count, .. } = trip;
    let id = store::open_incident(name, now, reason, *severity, *score, *sample_count, details)?;
    (stored.disabled_by, stored.disabled_reason) = (Some(trip.by.clone()), Some(reason.clone()));
    stored.incident_id = Some(id.clone());
    fire_alert(name, stored, *severity, trip.until)?;
    Ok(id)
}

fn close(name: &str, stored: &mut Stored, by: &str, notes: &str) -> Result<()> {
    (stored.disabled_by, stored.disabled_reason, stored.incident_id) = (None, None, None);
    resolve_alert(store::resolve_incident(name, by, notes)?.as_deref())
}

/// Fires the open incident's alert, or gives it new text.
fn fire_alert(name: &str, stored: &Stored, severity: Severity, until: Option<DateTime<Utc>>) -> Result<()> {
    let Some(incident_id) = stored.incident_id.as_deref() else { return Ok(()) };
    let (score, sample_count) = store::measured(incident_id)?;
    let notice = Notice {
        breaker: name,
        incident_id,
        severity,
        reason: stored.disabled_reason.as_deref().unwrap_or_default(),
        score,
        sample_count,
        until,
    };
    alert::fire(&notice.labels()?, &notice.annotations()?, None, Some(incident_id)).map(drop)
}

/// Resolves what fires for the incident.
fn resolve_alert(incident_id: Option<&str>) -> Result<()> {
    incident_id.map_or(Ok(()), alert::resolve_of_incident)
}

fn end(stored: &Stored) -> Option<DateTime<Utc>> {
    match &stored.state.phase {
        Phase::Open(outage) => outage.until,
        Phase::Closed => None,
    }
}

/// What is stored of a breaker that exists.
fn known(name: &str, read: fn(&str) -> Result<Option<Stored>>) -> Result<Stored> {
    match read(name)? {
        Some(stored) => Ok(stored),
        None if name == DEFAULT_NAME => Ok(Stored::default()),
        None => Err(Error::NoSuchBreaker { name: name.to_owned() }),
    }
}

fn refused(refused: Refused) -> Error {
    let hint = match &refused {
        Refused::Score(_) => "A drift score is 0 for equal costs and grows with their distance.",
        Refused::Count { .. } => "Pass how many comparisons the score stands for.",
        Refused::Blank(_) => SAY_WHO_AND_WHY,
        Refused::PastEnd => "Leave it out for the breaker's disable_ttl.",
        Refused::Contradiction => "Pass either an end or permanent => true.",
        Refused::Setting { .. } => "Correct the breaker's row in costsim_cb_state.",
    };
    Error::invalid(refused.to_string(), hint)
}
