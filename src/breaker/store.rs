//! The breaker room's memory: the state row, the incidents, the events.

pub mod event;
pub mod incident;

use chrono::{DateTime, Utc};
use costsim_core::breaker::{Phase, Term};
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, FLOAT8OID, INT4OID, INTERVALOID, TEXTOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID,
};
use pgrx::prelude::*;

use super::settings::Asked;
use super::stored::{self, COLUMNS, OpenIncident, Stored, columns};
use crate::convert::{self, row_type};
use crate::db::{self, Row, Statement, column, nullable};
use crate::error::Result;

row_type!(Breaker, "costsim_cb_state");

/// The state and its open incident, as one moment saw them.
macro_rules! with_incident {
    ($filter:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", i.id, i.severity, i.\"timestamp\"
               FROM @schema@.costsim_cb_state s
               LEFT JOIN @schema@.costsim_cb_incidents i ON i.circuit_breaker_name = s.name AND NOT i.resolved
              WHERE ",
            $filter
        )
    };
}

static PEEK: Statement = Statement::looking(with_incident!("s.name = $1"), &[TEXTOID]);

static OPEN_ONES: Statement = Statement::looking(with_incident!("s.disabled ORDER BY s.name"), &[]);

/// The incident is read once the row is locked: joined, it would be seen as it was before the wait.
macro_rules! locked {
    ($how:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM @schema@.costsim_cb_state s WHERE s.name = $1 FOR UPDATE ",
            $how
        )
    };
}

static LOCK: Statement = Statement::deciding(locked!(""), &[TEXTOID]);

static LOCK_IF_FREE: Statement = Statement::deciding(locked!("SKIP LOCKED"), &[TEXTOID]);

static INCIDENT_OF: Statement = Statement::deciding(
    "SELECT id, severity, \"timestamp\" FROM @schema@.costsim_cb_incidents WHERE circuit_breaker_name = $1 AND NOT resolved",
    &[TEXTOID],
);

static CREATE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cb_state (name) VALUES ($1) ON CONFLICT (name) DO NOTHING",
    &[TEXTOID],
);

static SAVE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_state
        SET consecutive_failures = $2, last_failure_at = $3, last_score = $4, warning = $5,
            disabled = $6, disabled_by = $7, disabled_reason = $8, disabled_until = $9, incident_id = $10, opened_at = $11,
            requested_term = $12, requested_until = $13, half_open_at = $14, half_open_since = $15, reopenings = $16, ttl_jitter = $17,
            probes = $18, probes_passed = $19, opened_incident_id = CASE WHEN $6 THEN $10 END,
            updated_at = pg_catalog.clock_timestamp()
      WHERE name = $1",
    &[
        TEXTOID,
        INT4OID,
        TIMESTAMPTZOID,
        FLOAT8OID,
        TEXTOID,
        BOOLOID,
        TEXTOID,
        TEXTOID,
        TIMESTAMPTZOID,
        TEXTOID,
        TIMESTAMPTZOID,
        TEXTOID,
        TIMESTAMPTZOID,
        TIMESTAMPTZOID,
        TIMESTAMPTZOID,
        INT4OID,
        FLOAT8OID,
        TIMESTAMPTZARRAYOID,
        INT4OID,
    ],
);

/// What a bad report does when it does no more than count, in one step: two that count at once both count. By the settings of the row at
/// that moment, which may be younger than what the session knows.
static COUNT: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_state
        SET consecutive_failures = consecutive_failures + 1, last_failure_at = $2, last_score = $3,
            updated_at = pg_catalog.clock_timestamp()
      WHERE name = $1 AND NOT disabled AND $3 > drift_threshold AND consecutive_failures BETWEEN 0 AND failure_threshold - 2",
    &[TEXTOID, TIMESTAMPTZOID, FLOAT8OID],
);

/// What most other reports change.
static SAVE_COUNT: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_state
        SET consecutive_failures = $2, last_failure_at = $3, last_score = $4, updated_at = pg_catalog.clock_timestamp()
      WHERE name = $1",
    &[TEXTOID, INT4OID, TIMESTAMPTZOID, FLOAT8OID],
);

static SAVE_WARNING: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_state
        SET consecutive_failures = $2, last_failure_at = $3, last_score = $4, warning = $5, updated_at = pg_catalog.clock_timestamp()
      WHERE name = $1",
    &[TEXTOID, INT4OID, TIMESTAMPTZOID, FLOAT8OID, TEXTOID],
);

static DISOWN: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_state SET opened_incident_id = NULL WHERE name = $1 AND opened_incident_id IS NOT NULL",
    &[TEXTOID],
);

static CONFIGURE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_state
        SET drift_threshold = coalesce($2, drift_threshold),
            warning_threshold = coalesce($3, warning_threshold),
            failure_threshold = coalesce($4, failure_threshold),
            schema_error_threshold = coalesce($5, schema_error_threshold),
            disable_ttl = CASE WHEN $6 IS NULL THEN disable_ttl WHEN $6 = '0' THEN NULL ELSE $6 END,
            auto_recover = coalesce($7, auto_recover),
            auto_disable = coalesce($8, auto_disable),
            half_open = coalesce($9, half_open),
            probe_permits = coalesce($10, probe_permits),
            probe_successes = coalesce($11, probe_successes),
            probe_timeout = coalesce($12, probe_timeout),
            half_open_timeout = coalesce($13, half_open_timeout),
            max_disable_ttl = coalesce($14, max_disable_ttl),
            updated_at = pg_catalog.clock_timestamp()
      WHERE name = $1",
    &[
        TEXTOID,
        FLOAT8OID,
        FLOAT8OID,
        INT4OID,
        INT4OID,
        INTERVALOID,
        BOOLOID,
        BOOLOID,
        BOOLOID,
        INT4OID,
        INT4OID,
        INTERVALOID,
        INTERVALOID,
        INTERVALOID,
    ],
);

static BREAKER: Statement =
    Statement::deciding("SELECT s FROM @schema@.costsim_cb_state s WHERE s.name = $1", &[TEXTOID]);

/// Which relations stand for the state.
#[derive(Clone, Copy, PartialEq)]
pub struct Places {
    /// The table.
    pub table: pg_sys::Oid,
    /// What sessions are told has changed when rows of the table have. It is the table's sequence and not the table itself: of that every
    /// session would have to read its definition again, and plan its statements anew.
    pub bell: pg_sys::Oid,
}

/// Which relations those are.
pub fn places() -> Result<Places> {
    Ok(Places { table: db::relation(c"costsim_cb_state")?, bell: db::relation(c"costsim_cb_state_id_seq")? })
}

/// What is committed of a breaker, or done by this transaction: for a read, in a parallel worker or on a standby too.
pub fn peek(name: &str) -> Result<Option<Stored>> {
    PEEK.row(&[name.into()], |row| Ok(with_incident(row)?.1))
}

/// The same for every breaker that is open or half-open in its row, with its name.
pub fn open_ones() -> Result<Vec<(String, Stored)>> {
    OPEN_ONES.rows(&[], with_incident)
}

fn with_incident(row: &Row<'_>) -> Result<(String, Stored)> {
    let incident = match nullable(row, COLUMNS + 1)? {
        Some(id) => Some(open_incident_at(row, id, COLUMNS + 2)?),
        None => None,
    };
    stored::read(row, incident)
}

fn open_incident_at(row: &Row<'_>, id: String, ordinal: i32) -> Result<OpenIncident> {
    let at: TimestampWithTimeZone = column(row, ordinal + 1)?;
    Ok(OpenIncident { id, severity: column(row, ordinal)?, at: convert::moment(at.into()) })
}

/// Locks the breaker's row to the end of the transaction and answers what it says: nothing if there is no such row, or, unless the
/// caller wants to wait, if somebody else has locked it.
pub fn lock(name: &str, waits: bool) -> Result<Option<Stored>> {
    let statement = if waits { &LOCK } else { &LOCK_IF_FREE };
    statement.row(&[name.into()], |row| {
        let incident = if column(row, 2)? {
            INCIDENT_OF.row(&[name.into()], |row| open_incident_at(row, column(row, 1)?, 2))?
        } else {
            None
        };
        Ok(stored::read(row, incident)?.1)
    })
}

/// Makes the breaker's row, unless another session has just made it: whether it did.
pub fn create(name: &str) -> Result<bool> {
    Ok(CREATE.run(&[name.into()])? > 0)
}

/// Writes the whole state, or only what a report counts if nothing else has changed since `before`: what is named wakes every session.
pub fn save(name: &str, before: &Stored, after: &Stored) -> Result<()> {
    let state = &after.state;
    let mut arguments = vec![
        name.into(),
        state.consecutive_failures.into(),
        stamp(state.last_failure_at)?.into(),
        state.last_score.into(),
    ];
    let told = |stored: &Stored| {
        (stored.disabled_by.clone(), stored.disabled_reason.clone(), stored.incident_id.clone())
    };
    let stands_still = state.phase == before.state.phase && told(before) == told(after);
    if stands_still && state.warning == before.state.warning {
        return SAVE_COUNT.run(&arguments).map(drop);
    }
    arguments.push(state.warning.map(|warning| warning.as_str()).into());
    if stands_still {
        return SAVE_WARNING.run(&arguments).map(drop);
    }
    let outage = state.phase.outage();
    let half_open = outage.and_then(|outage| outage.half_open);
    let (probing_since, probes, passed) = match &state.phase {
        Phase::HalfOpen(_, probing) => (Some(probing.since), probing.outstanding.clone(), probing.passed),
        Phase::Closed | Phase::Open(_) => (None, vec![], 0),
    };
    let probes = probes.into_iter().map(convert::timestamptz).collect::<Result<Vec<_>>>()?;
    let term = outage.and_then(|outage| outage.intent.as_ref()).map(|intent| intent.term);
    let (term_word, term_until) = match term {
        None => (None, None),
        Some(Term::Default) => (Some("default"), None),
        Some(Term::Until(until)) => (Some("until"), Some(until)),
        Some(Term::Permanent) => (Some("permanent"), None),
    };
    arguments.extend([
        outage.is_some().into(),
        after.disabled_by.as_deref().into(),
        after.disabled_reason.as_deref().into(),
        stamp(outage.and_then(|outage| outage.until))?.into(),
        after.incident_id.as_deref().into(),
        stamp(outage.map(|outage| outage.since))?.into(),
        term_word.into(),
        stamp(term_until)?.into(),
        stamp(half_open.map(|opening| opening.at))?.into(),
        stamp(probing_since)?.into(),
        half_open.map_or(0, |opening| opening.reopenings).into(),
        half_open.map_or(0.0, |opening| opening.jitter).into(),
        probes.into(),
        passed.into(),
    ]);
    SAVE.run(&arguments).map(drop)
}

/// What our own columns tell is of an outage that is over.
pub fn disown(name: &str) -> Result<()> {
    DISOWN.run(&[name.into()]).map(drop)
}

/// Counts one failure more, if the breaker is closed and that is all it does: whether it did.
pub fn count(name: &str, at: DateTime<Utc>, score: f64) -> Result<bool> {
    Ok(COUNT.run(&[name.into(), convert::timestamptz(at)?.into(), score.into()])? > 0)
}

fn stamp(at: Option<DateTime<Utc>>) -> Result<Option<TimestampWithTimeZone>> {
    at.map(convert::timestamptz).transpose()
}

/// Writes the settings that are asked for, and leaves the others as they are.
pub fn configure(name: &str, asked: &Asked) -> Result<()> {
    let arguments = [
        name.into(),
        asked.drift_threshold.into(),
        asked.warning_threshold.into(),
        asked.failure_threshold.into(),
        asked.schema_error_threshold.into(),
        asked.disable_ttl.into(),
        asked.auto_recover.into(),
        asked.auto_disable.into(),
        asked.half_open.into(),
        asked.probe_permits.into(),
        asked.probe_successes.into(),
        asked.probe_timeout.into(),
        asked.half_open_timeout.into(),
        asked.max_disable_ttl.into(),
    ];
    CONFIGURE.run(&arguments).map(drop)
}

/// A breaker's row as it is.
pub fn breaker(name: &str) -> Result<Option<Breaker>> {
    BREAKER.row(&[name.into()], |row| column(row, 1))
}
