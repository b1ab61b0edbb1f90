//! The circuit breaker: is the new cost model to be trusted just now?
//!
//! The state machine is [`costsim_core::breaker`]; its drawing is there. A call that looks ([`cache`]) reads nothing but this session's
//! memory. A call that may change something ([`act`]) locks the row, steps the machine and carries out the effects: state, incident,
//! event and alert are one transaction, the caller's. A report that changes nothing writes nothing and takes no lock.
//!
//! Reads never write: a breaker whose time is over counts as closed at once, and the next report or command, or the worker ([`due`]),
//! writes that down. What other hands do to the tables is noticed by triggers ([`outside`]).
//!
//! `costsim_v2` always exists, with a row of its own from the first time something happens to it. Every other breaker is a row
//! somebody made; a name that nobody made is an error, because it is a spelling mistake more often than not.

mod act;
mod cache;
mod due;
mod notice;
mod outside;
mod purge;
mod settings;
mod store;
mod stored;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

use std::panic::AssertUnwindSafe;

use act::{Outcome, SAY_WHO_AND_WHY, apply, refused};
use cache::{DEFAULT_NAME, Known};
use chrono::{DateTime, Utc};
use costsim_core::breaker::{self, Effect, Event, Standing, Term};
pub use due::write_down_each as write_down_what_is_due;
use pgrx::iter::{SetOfIterator, TableIterator};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
pub use purge::{purge_some_events, purge_some_incidents};
use store::event;
pub use store::incident::mark_alerted;
use store::incident::{self, Incident};
use stored::Stored;

use crate::convert::{self, Jsonb, LONGEST_DOCUMENT, short_text};
use crate::error::{Answer, Error, Result, required};
use crate::{clock, db};

/// The most characters of a reason, and of who gives it: it is sent with every alert.
const LONGEST_TEXT: usize = 1_000;

/// The most characters of a name: at four bytes each they still fit an index.
const LONGEST_NAME: usize = 500;

/// Whether the breaker holds work back: whether V2 must not answer. What is committed, or done by this transaction, as of now; an end
/// that has passed counts as closed. No lock, no write, and no table is read once this session knows the breaker.
#[pg_extern(stable, parallel_safe)]
fn costsim_is_open(name: default!(Option<&str>, "'costsim_v2'")) -> Answer<bool> {
    Ok(cache::look(required(name, "name")?, Known::is_open)?)
}

/// Whether work flows: the opposite of `costsim_is_open`.
#[pg_extern(stable, parallel_safe)]
fn costsim_is_closed(name: default!(Option<&str>, "'costsim_v2'")) -> Answer<bool> {
    Ok(!cache::look(required(name, "name")?, Known::is_open)?)
}

/// The same answer as `costsim_is_open`, and what time has done is written down if the transaction can write and nobody else has
/// the breaker. Never waits.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_is_v2_disabled(name: default!(Option<&str>, "'costsim_v2'")) -> Answer<bool> {
    let name = required(name, "name")?;
    let (is_open, is_due) = cache::look(name, |known| (known.is_open(), known.is_due()))?;
    // Under a snapshot that lasts, a row that has changed since could not be written: somebody else will.
    if is_due && !db::is_read_only() && !db::has_lasting_snapshot() {
        // A check answers, whatever keeps that from being written.
        let outcome = db::as_owner(|| Ok(due::try_tick(name)))?;
        return Ok(outcome.map_or(is_open, |outcome| act::is_open(&outcome.after)));
    }
    Ok(is_open)
}

/// Whether the caller may go ahead: true while the breaker is closed; while it is half-open only with one of its permits, which expires
/// if nobody reports on it. Never waits: false while somebody else has the row.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_cb_allow(name: default!(Option<&str>, "'costsim_v2'")) -> Answer<bool> {
    Ok(allow(required(name, "name")?)?)
}

/// The same, for a part of this extension.
pub fn allow(name: &str) -> Result<bool> {
    match cache::look(name, Known::standing)? {
        Standing::Closed => return Ok(true),
        Standing::Open => return Ok(false),
        Standing::HalfOpen if db::is_read_only() => return Ok(false),
        Standing::HalfOpen => {}
    }
    let ask = || Ok(act::apply_if_free(name, &Event::Allow)?.is_some_and(|outcome| outcome.is_allowed));
    let is_allowed = db::as_owner(|| {
        // Under a snapshot that lasts, a row that has changed since cannot be written: that is a no, and not the caller's trouble.
        if db::has_lasting_snapshot() {
            db::catch(PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE, AssertUnwindSafe(ask))
        } else {
            ask().map(Some)
        }
    })?;
    Ok(is_allowed.unwrap_or(false))
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
    let stored = known(required(name, "name")?)?;
    let stamp = |at: Option<DateTime<Utc>>| at.map(convert::timestamptz).transpose();
    let state = breaker::as_of(&stored.state, &stored.config, clock::now());
    let outage = state.phase.outage();
    let while_open = |text: Option<String>| text.filter(|_| outage.is_some());
    Ok(TableIterator::once((
        outage.is_some(),
        state.phase.standing().as_str().to_owned(),
        stamp(outage.map(|outage| outage.since))?,
        while_open(stored.disabled_reason),
        while_open(stored.incident_id),
        state.consecutive_failures,
        stamp(state.last_failure_at)?,
        stamp(outage.and_then(|outage| outage.until))?,
        while_open(stored.disabled_by),
    )))
}

/// Why the breaker stands where it stands, one fact per line: the numbers that were compared at the last decision, and with what.
#[pg_extern(stable, parallel_safe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_cb_explain(
    name: default!(Option<&str>, "'costsim_v2'"),
) -> Result<SetOfIterator<'static, String>, ErrorReport> {
    let name = required(name, "name")?;
    let Stored { state, config, .. } = known(name)?;
    let last = event::last(name)?;
    let lines = breaker::explain(name, &state, &config, last.as_ref(), clock::now());
    Ok(SetOfIterator::new(lines))
}

/// Reports how far V2 is from V1. Answers the incident when this very report opened the breaker, else no row. A score strictly
/// above the breaker's drift_threshold counts as a failure, failure_threshold of them in a row open it; a better score starts the
/// count anew, and writes nothing when there is nothing to reset. While open, a bad report is noted on the incident; while half-open, it
/// opens the breaker once more, and a good one redeems a permit.
#[pg_extern(volatile, parallel_unsafe, requires = ["breaker"])]
fn costsim_report_drift(
    drift_score: Option<f64>,
    sample_count: default!(Option<i32>, "1"),
    details: default!(Option<Jsonb>, "NULL"),
    name: default!(Option<&str>, "'costsim_v2'"),
) -> Result<SetOfIterator<'static, Incident>, ErrorReport> {
    db::require_writable(c"costsim_report_drift()");
    let event = Event::Drift {
        score: required(drift_score, "drift_score")?,
        sample_count: required(sample_count, "sample_count")?,
    };
    Ok(SetOfIterator::new(report(required(name, "name")?, &event, details)?))
}

/// Reports answers of the wrong shape. Answers the incident when this very report opened the breaker, else no row. As many as the
/// breaker's schema_error_threshold in one report open it; reports are not added up.
#[pg_extern(volatile, parallel_unsafe, requires = ["breaker"])]
fn costsim_report_schema_error(
    error_count: default!(Option<i32>, "1"),
    details: default!(Option<Jsonb>, "NULL"),
    name: default!(Option<&str>, "'costsim_v2'"),
) -> Result<SetOfIterator<'static, Incident>, ErrorReport> {
    db::require_writable(c"costsim_report_schema_error()");
    let event = Event::SchemaErrors { count: required(error_count, "error_count")? };
    Ok(SetOfIterator::new(report(required(name, "name")?, &event, details)?))
}

fn report(name: &str, event: &Event, details: Option<Jsonb>) -> Result<Option<Incident>> {
    // Read in any case: what is wrong with it shall not depend on what the report does.
    let details = details.as_ref().map(|details| details.text("details", LONGEST_DOCUMENT)).transpose()?;
    match trip(name, event, details)? {
        Some(id) => db::as_owner(|| incident::find(&id)),
        None => Ok(None),
    }
}

/// Reports what a part of this extension has measured, and judged by itself: the incident when this report opened the breaker.
/// A judgement counts as good or bad whatever its score; the incident gives its words.
pub fn judge(
    name: &str,
    is_good: bool,
    (score, sample_count): (f64, i32),
    reason: &str,
    details: &str,
) -> Result<Option<String>> {
    let event = Event::Judgement { is_good, score, sample_count, reason: reason.to_owned() };
    trip(name, &event, Some(details))
}

/// Refuses the name of a breaker that does not exist.
pub fn require(name: &str) -> Result<()> {
    cache::look(name, |_| ())
}

/// Reports what a part of this extension has measured, as costsim_report_drift does: the incident when this report opened the breaker.
pub fn measure(name: &str, score: f64, sample_count: i32, details: &str) -> Result<Option<String>> {
    trip(name, &Event::Drift { score, sample_count }, Some(details))
}

/// Does what a report asks for, and nothing where it changes nothing: the incident that it began.
fn trip(name: &str, event: &Event, details: Option<&str>) -> Result<Option<String>> {
    let foreseen = cache::look(name, |known| known.foresee(event))?.map_err(refused)?;
    if foreseen.is_empty() {
        return Ok(None);
    }
    db::as_owner(|| {
        if let (Event::Drift { score, .. } | Event::Judgement { score, .. }, [Effect::CountFailure { .. }]) =
            (event, foreseen.as_slice())
            && store::count(name, clock::now(), *score)?
        {
            return Ok(None);
        }
        Ok(apply(name, event, details)?.tripped)
    })
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
    let Outcome { is_changed, after, .. } =
        apply(required(name, "name")?, &event, Some("{\"manual_disable\": true}"))?;
    Ok(TableIterator::once((is_changed, after.incident_id)))
}

/// Closes the breaker, resolves its incident and its alert: true only if it was open or half-open.
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
    Ok(apply(required(name, "name")?, &Event::Enable { reason, by }, None)?.is_closed)
}

/// The same as `costsim_enable_v2`, in the words of the reset that applications know.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_reset_v2(
    reason: Option<&str>,
    reset_by: Option<&str>,
    name: default!(Option<&str>, "'costsim_v2'"),
) -> Answer<bool> {
    db::require_writable(c"costsim_reset_v2()");
    let reason = Some(said(required(reason, "reason")?, "reason")?);
    let by = said(required(reset_by, "reset_by")?, "reset_by")?;
    Ok(apply(required(name, "name")?, &Event::Enable { reason, by }, None)?.is_closed)
}

/// Writes down what time has done to any breaker that nobody else has just now: its name and where it stands now. The worker does so by itself.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_auto_recover()
-> Result<TableIterator<'static, (name!(name, String), name!(state, String))>, ErrorReport> {
    db::require_writable(c"costsim_auto_recover()");
    let moved = due::write_down()?.into_iter().map(|(name, outcome)| {
        let state = outcome.after.state.phase.standing().as_str();
        (name, state.to_owned())
    });
    Ok(TableIterator::new(moved.collect::<Vec<_>>()))
}

/// A text that somebody said: who does it, or why.
fn said(text: &str, argument: &'static str) -> Result<String> {
    short_text(text, argument, LONGEST_TEXT, SAY_WHO_AND_WHY).map(str::to_owned)
}

/// What is stored of a breaker that exists.
fn known(name: &str) -> Result<Stored> {
    match store::peek(name)? {
        Some(stored) => Ok(stored),
        None if name == DEFAULT_NAME => Ok(Stored::default()),
        None => Err(Error::no_such_breaker(name)),
    }
}
