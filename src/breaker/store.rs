//! The breaker room's memory: the state row, the incidents, the events.

use chrono::{DateTime, Utc};
use costsim_core::breaker::{LastEvent, Phase, Severity, Term, Transition};
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, FLOAT8OID, INT4OID, INTERVALOID, OIDOID, TEXTOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID,
};
use pgrx::prelude::*;

use super::settings::Asked;
use super::stored::{self, COLUMNS, OpenIncident, Stored, columns};
use crate::convert::{self, row_type};
use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

row_type!(Incident, "costsim_cb_incidents");
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

static PLACES: Statement = Statement::looking(
    "SELECT '@schema@.costsim_cb_state'::pg_catalog.regclass::pg_catalog.oid,
            '@schema@.costsim_cb_state_id_seq'::pg_catalog.regclass::pg_catalog.oid",
    &[],
);

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

/// What a bad report does when it does no more than count, in one step: two that count at once both count.
static COUNT: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_state
        SET consecutive_failures = consecutive_failures + 1, last_failure_at = $2, last_score = $3,
            updated_at = pg_catalog.clock_timestamp()
      WHERE name = $1 AND NOT disabled AND consecutive_failures < $4",
    &[TEXTOID, TIMESTAMPTZOID, FLOAT8OID, INT4OID],
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

/// The settings are those of the row at this moment.
static RECORD: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cb_events (circuit_breaker_name, from_state, to_state, cause, actor, reason, incident_id, drift_score,
                                            sample_count, consecutive_failures, configuration)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
            coalesce((SELECT pg_catalog.to_jsonb(c) FROM (
                SELECT s.drift_threshold, s.warning_threshold, s.failure_threshold, s.schema_error_threshold, s.disable_ttl, s.auto_recover,
                       s.auto_disable, s.half_open, s.probe_permits, s.probe_successes, s.probe_timeout, s.half_open_timeout, s.max_disable_ttl
                  FROM @schema@.costsim_cb_state s WHERE s.name = $1) c), '{}')",
    &[TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, INT4OID, INT4OID],
);

/// A name may be as long as its writer liked; a notification may not.
static ANNOUNCE: Statement = Statement::deciding(
    "SELECT pg_catalog.pg_notify('costsim_breaker',
                pg_catalog.json_build_object('name', pg_catalog.\"left\"($1, 1000), 'state', $2)::pg_catalog.text)",
    &[TEXTOID, TEXTOID],
);

static LAST_EVENT: Statement = Statement::looking(
    "SELECT happened_at, to_state, cause, actor, reason, drift_score, sample_count, consecutive_failures, configuration::pg_catalog.text
       FROM @schema@.costsim_cb_events
      WHERE circuit_breaker_name = $1 AND cause <> 'configured'
      ORDER BY id DESC LIMIT 1",
    &[TEXTOID],
);

static OPEN_INCIDENT: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cb_incidents
            (circuit_breaker_name, \"timestamp\", reason, severity, drift_score, sample_count, details_json, worst_drift_score)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $5)
     RETURNING id",
    &[TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, FLOAT8OID, INT4OID, TEXTOID],
);

static OBSERVE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_incidents
        SET reports_while_open = reports_while_open + 1, worst_drift_score = greatest(worst_drift_score, $2)
      WHERE circuit_breaker_name = $1 AND NOT resolved",
    &[TEXTOID, FLOAT8OID],
);

static ESCALATE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_incidents SET severity = $2 WHERE circuit_breaker_name = $1 AND NOT resolved",
    &[TEXTOID, TEXTOID],
);

static MEASURED: Statement = Statement::deciding(
    "SELECT severity, coalesce(drift_score, 0), coalesce(sample_count, 0) FROM @schema@.costsim_cb_incidents WHERE id = $1",
    &[TEXTOID],
);

static IS_INCIDENT_TABLE: Statement =
    Statement::deciding("SELECT '@schema@.costsim_cb_incidents'::pg_catalog.regclass = $1", &[OIDOID]);

static RESOLVE_INCIDENT: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_incidents
        SET resolved = true, resolved_at = pg_catalog.clock_timestamp(), resolved_by = $2, resolution_notes = $3
      WHERE circuit_breaker_name = $1 AND NOT resolved
     RETURNING id",
    &[TEXTOID, TEXTOID, TEXTOID],
);

static INCIDENT: Statement =
    Statement::deciding("SELECT i FROM @schema@.costsim_cb_incidents i WHERE i.id = $1", &[TEXTOID]);

static HAS_INCIDENT: Statement = Statement::deciding(
    "SELECT EXISTS (SELECT FROM @schema@.costsim_cb_incidents WHERE id = $1)",
    &[TEXTOID],
);

static USER: Statement = Statement::deciding("SELECT session_user::pg_catalog.text", &[]);

/// Skips an incident that somebody works on just now, rather than wait for a transaction of unknown length.
static MARK_ALERTED: Statement = Statement::deciding(
    "WITH free AS (SELECT id FROM @schema@.costsim_cb_incidents WHERE id = $1 AND NOT alert_sent FOR UPDATE SKIP LOCKED),
          marked AS (UPDATE @schema@.costsim_cb_incidents i
                        SET alert_sent = true, alert_sent_at = pg_catalog.clock_timestamp(), alert_response = $2
                       FROM free WHERE i.id = free.id RETURNING i.id)
     SELECT EXISTS (SELECT FROM marked)
         OR NOT EXISTS (SELECT FROM @schema@.costsim_cb_incidents WHERE id = $1 AND NOT alert_sent)",
    &[TEXTOID, TEXTOID],
);

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
    let places = PLACES.row(&[], |row| Ok(Places { table: column(row, 1)?, bell: column(row, 2)? }))?;
    places.ok_or_else(|| Error::Internal("no answer to a question without a table".into()))
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

/// Counts one failure more, if the breaker is closed and has counted fewer than `below`: whether it did.
pub fn count(name: &str, at: DateTime<Utc>, score: f64, below: i32) -> Result<bool> {
    Ok(COUNT.run(&[name.into(), convert::timestamptz(at)?.into(), score.into(), below.into()])? > 0)
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

/// What an event is recorded with.
#[derive(Default)]
pub struct Particulars<'a> {
    pub actor: &'a str,
    pub reason: &'a str,
    pub incident_id: Option<&'a str>,
    pub score: Option<f64>,
    pub sample_count: Option<i32>,
    pub failures: Option<i32>,
}

/// Records a step of a breaker.
pub fn record(name: &str, step: Transition, particulars: &Particulars<'_>) -> Result<()> {
    let Particulars { actor, reason, incident_id, score, sample_count, failures } = particulars;
    let arguments = [
        name.into(),
        step.from.as_str().into(),
        step.to.as_str().into(),
        step.cause.as_str().into(),
        (*actor).into(),
        (*reason).into(),
        (*incident_id).into(),
        (*score).into(),
        (*sample_count).into(),
        (*failures).into(),
    ];
    RECORD.run(&arguments)?;
    if step.from != step.to {
        ANNOUNCE.run(&[name.into(), step.to.as_str().into()])?;
    }
    Ok(())
}

/// The latest event that is more than a change of settings.
pub fn last_event(name: &str) -> Result<Option<LastEvent>> {
    LAST_EVENT.row(&[name.into()], |row| {
        let config: String = column(row, 9)?;
        Ok(LastEvent {
            at: convert::finite_moment(column(row, 1)?, "happened_at")?,
            to: column(row, 2)?,
            cause: column(row, 3)?,
            actor: nullable(row, 4)?,
            reason: nullable(row, 5)?,
            score: nullable(row, 6)?,
            sample_count: nullable(row, 7)?,
            failures: nullable(row, 8)?,
            config: serde_json::from_str(&config).unwrap_or_default(),
        })
    })
}

/// Who is connected.
pub fn session_user() -> Result<String> {
    let user = USER.row(&[], |row| column(row, 1))?;
    Ok(user.unwrap_or_default())
}

/// A new open incident: its id.
pub fn open_incident(
    name: &str,
    since: DateTime<Utc>,
    reason: &str,
    severity: Severity,
    score: f64,
    sample_count: i32,
    details: Option<&str>,
) -> Result<String> {
    let arguments = [
        name.into(),
        convert::timestamptz(since)?.into(),
        reason.into(),
        severity.as_str().into(),
        score.into(),
        sample_count.into(),
        details.into(),
    ];
    let id = OPEN_INCIDENT.row(&arguments, |row| column(row, 1))?;
    id.ok_or_else(|| Error::Internal("the insert answered no id".into()))
}

/// Notes a bad report on the open incident.
pub fn observe(name: &str, score: f64) -> Result<()> {
    OBSERVE.run(&[name.into(), score.into()]).map(drop)
}

/// Raises the open incident's severity.
pub fn escalate(name: &str, to: Severity) -> Result<()> {
    ESCALATE.run(&[name.into(), to.as_str().into()]).map(drop)
}

/// How bad an incident is, with its score and samples.
pub fn measured(incident_id: &str) -> Result<Option<(Severity, f64, i32)>> {
    MEASURED.row(&[incident_id.into()], |row| {
        Ok((stored::severity(&column::<String>(row, 1)?), column(row, 2)?, column(row, 3)?))
    })
}

/// Whether the table is that of the incidents.
pub fn is_incident_table(table: pg_sys::Oid) -> Result<bool> {
    Ok(IS_INCIDENT_TABLE.row(&[table.into()], |row| column(row, 1))?.unwrap_or(false))
}

/// Resolves the open incident, if there is one: its id.
pub fn resolve_incident(name: &str, by: &str, notes: &str) -> Result<Option<String>> {
    RESOLVE_INCIDENT.row(&[name.into(), by.into(), notes.into()], |row| column(row, 1))
}

/// Notes that Alertmanager has taken the incident's alert: false while somebody else works on the incident.
pub fn mark_alerted(incident_id: &str, response: &str) -> Result<bool> {
    let done = MARK_ALERTED.row(&[incident_id.into(), response.into()], |row| column(row, 1))?;
    Ok(done.unwrap_or(true))
}

/// An incident as the table holds it.
pub fn incident(id: &str) -> Result<Option<Incident>> {
    INCIDENT.row(&[id.into()], |row| column(row, 1))
}

/// Whether there is an incident of this id.
pub fn has_incident(id: &str) -> Result<bool> {
    Ok(HAS_INCIDENT.row(&[id.into()], |row| column(row, 1))?.unwrap_or(false))
}
