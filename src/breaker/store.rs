//! The breaker room's memory: the state row and the incidents.

use chrono::{DateTime, Utc};
use costsim_core::breaker::{Config, Intent, Outage, Phase, Severity, State, Term};
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{BOOLOID, FLOAT8OID, INT4OID, OIDOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::convert;
use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

/// What is stored of one breaker.
pub struct Stored {
    pub state: State,
    pub config: Config,
    pub disabled_by: Option<String>,
    pub disabled_reason: Option<String>,
    pub incident_id: Option<String>,
}

impl Default for Stored {
    /// A breaker that nothing has happened to.
    fn default() -> Self {
        Self {
            state: State { phase: Phase::Closed, consecutive_failures: 0, last_failure_at: None },
            config: Config::default(),
            disabled_by: None,
            disabled_reason: None,
            incident_id: None,
        }
    }
}

/// One statement for the state and its open incident.
const READ_TEXT: &str = "SELECT s.disabled, s.disabled_until, s.auto_recover, s.disabled_by, s.disabled_reason, s.opened_at, s.updated_at,
            s.requested_term, s.requested_until, s.consecutive_failures, s.last_failure_at,
            s.drift_threshold, s.failure_threshold, s.disable_ttl, i.id, i.severity, i.\"timestamp\"
       FROM @schema@.costsim_cb_state s
       LEFT JOIN @schema@.costsim_cb_incidents i
              ON i.circuit_breaker_name = s.name AND NOT i.resolved
      WHERE s.name = $1";

static READ: Statement = Statement::deciding(READ_TEXT, &[TEXTOID]);

static PEEK: Statement = Statement::reading(READ_TEXT, &[TEXTOID]);

/// What the hot path needs, and no text that somebody may have made long.
static PEEK_OPENNESS: Statement = Statement::reading(
    "SELECT disabled, disabled_until, auto_recover FROM @schema@.costsim_cb_state WHERE name = $1",
    &[TEXTOID],
);

static LOCK: Statement =
    Statement::deciding("SELECT id FROM @schema@.costsim_cb_state WHERE name = $1 FOR UPDATE", &[TEXTOID]);

static CREATE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cb_state (name) VALUES ($1) ON CONFLICT (name) DO NOTHING",
    &[TEXTOID],
);

static SAVE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_state
        SET disabled = $2, disabled_by = $3, disabled_reason = $4, disabled_until = $5, incident_id = $6,
            consecutive_failures = $7, last_failure_at = $8, opened_at = $9, requested_term = $10, requested_until = $11,
            updated_at = pg_catalog.clock_timestamp()
      WHERE name = $1",
    &[
        TEXTOID,
        BOOLOID,
        TEXTOID,
        TEXTOID,
        TIMESTAMPTZOID,
        TEXTOID,
        INT4OID,
        TIMESTAMPTZOID,
        TIMESTAMPTZOID,
        TEXTOID,
        TIMESTAMPTZOID,
    ],
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
    "SELECT coalesce(drift_score, 0), coalesce(sample_count, 0) FROM @schema@.costsim_cb_incidents WHERE id = $1",
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

static INCIDENT: Statement = Statement::deciding(
    "SELECT id, circuit_breaker_name, \"timestamp\", reason, severity, drift_score, sample_count, details_json, resolved,
            resolved_at, resolved_by, resolution_notes, alert_sent, alert_sent_at, alert_response, reports_while_open, worst_drift_score
       FROM @schema@.costsim_cb_incidents WHERE id = $1",
    &[TEXTOID],
);

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

/// What is stored, read anew: for a decision.
pub fn read(name: &str) -> Result<Option<Stored>> {
    READ.row(&[name.into()], stored)
}

/// What is stored, as the caller's snapshot sees it: for a plain read, in a parallel worker or on a standby too.
pub fn peek(name: &str) -> Result<Option<Stored>> {
    PEEK.row(&[name.into()], stored)
}

/// What decides whether it is open, and nothing else, as the caller's snapshot sees it.
pub fn peek_openness(name: &str) -> Result<Option<Stored>> {
    PEEK_OPENNESS.row(&[name.into()], |row| {
        let mut stored = Stored::default();
        stored.config.auto_recover = column(row, 3)?;
        if column(row, 1)? {
            let until = until(nullable(row, 2)?);
            stored.state.phase =
                Phase::Open(Outage { since: DateTime::UNIX_EPOCH, until, incident: None, intent: None });
        }
        Ok(stored)
    })
}

/// Locks the breaker's row to the end of the transaction: whether there is one.
pub fn lock(name: &str) -> Result<bool> {
    Ok(LOCK.row(&[name.into()], |_| Ok(()))?.is_some())
}

/// Makes the breaker's row, unless another session has just made it.
pub fn create(name: &str) -> Result<()> {
    CREATE.run(&[name.into()]).map(drop)
}

fn stored(row: &Row<'_>) -> Result<Stored> {
    // A time that no calendar holds, written by another hand, tells nothing.
    let moment = |ordinal: i32| -> Result<Option<DateTime<Utc>>> {
        Ok(nullable::<TimestampWithTimeZone>(row, ordinal)?.and_then(|at| convert::moment(at.into())))
    };
    let is_disabled: bool = column(row, 1)?;
    let disabled_reason: Option<String> = nullable(row, 5)?;
    let severity = nullable::<String>(row, 16)?.as_deref().map(severity).transpose()?;
    let term = match nullable::<String>(row, 8)?.as_deref() {
        None => None,
        Some("permanent") => Some(Term::Permanent),
        Some("until") => moment(9)?.map(Term::Until),
        Some(_) => Some(Term::Default),
    };
    // An ORM that knows only the reference's columns opens and closes without touching ours: then they tell of an outage that
    // is over. They belong to this one if its incident began when they say.
    let (opened_at, incident_at) = (moment(6)?, moment(17)?);
    let is_ours = opened_at.is_some() && opened_at == incident_at;
    let phase = if is_disabled {
        Phase::Open(Outage {
            // A hand that opened it without an incident left only the time of its last change.
            since: incident_at.or(moment(7)?).unwrap_or_default(),
            until: until(nullable(row, 2)?),
            incident: severity,
            intent: term
                .filter(|_| is_ours)
                .map(|term| Intent { reason: disabled_reason.clone().unwrap_or_default(), term }),
        })
    } else {
        Phase::Closed
    };
    Ok(Stored {
        state: State { phase, consecutive_failures: column(row, 10)?, last_failure_at: moment(11)? },
        config: Config {
            auto_recover: column(row, 3)?,
            drift_threshold: column(row, 12)?,
            failure_threshold: column(row, 13)?,
            disable_ttl: nullable::<Interval>(row, 14)?.map(convert::span),
            ..Config::default()
        },
        disabled_by: nullable(row, 4)?,
        disabled_reason,
        incident_id: nullable(row, 15)?,
    })
}

/// What another hand may have written: an end before all times has passed, one after all times means what NULL means.
fn until(at: Option<TimestampWithTimeZone>) -> Option<DateTime<Utc>> {
    let at = at?;
    if at.is_neg_infinity() {
        return Some(DateTime::UNIX_EPOCH);
    }
    convert::moment(at.into())
}

/// A severity that is none of ours, written by another hand, counts as the worst.
#[expect(clippy::unnecessary_wraps, reason = "used as the reader of an optional column")]
fn severity(text: &str) -> Result<Severity> {
    Ok(Severity::from_stored(text).unwrap_or(Severity::P1))
}

/// Writes the whole state.
pub fn save(name: &str, stored: &Stored) -> Result<()> {
    let stamp = |at: Option<DateTime<Utc>>| at.map(convert::timestamptz).transpose();
    let outage = match &stored.state.phase {
        Phase::Closed => None,
        Phase::Open(outage) => Some(outage),
    };
    let term = outage.and_then(|outage| outage.intent.as_ref()).map(|intent| intent.term);
    let (term_word, term_until) = match term {
        None => (None, None),
        Some(Term::Default) => (Some("default"), None),
        Some(Term::Until(until)) => (Some("until"), Some(until)),
        Some(Term::Permanent) => (Some("permanent"), None),
    };
    let arguments = [
        name.into(),
        outage.is_some().into(),
        stored.disabled_by.as_deref().into(),
        stored.disabled_reason.as_deref().into(),
        stamp(outage.and_then(|outage| outage.until))?.into(),
        stored.incident_id.as_deref().into(),
        stored.state.consecutive_failures.into(),
        stamp(stored.state.last_failure_at)?.into(),
        stamp(outage.map(|outage| outage.since))?.into(),
        term_word.into(),
        stamp(term_until)?.into(),
    ];
    SAVE.run(&arguments).map(drop)
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

/// The score and the samples of an incident.
pub fn measured(incident_id: &str) -> Result<(f64, i32)> {
    let found = MEASURED.row(&[incident_id.into()], |row| Ok((column(row, 1)?, column(row, 2)?)))?;
    Ok(found.unwrap_or_default())
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
pub fn incident(id: &str) -> Result<Option<super::Incident>> {
    INCIDENT.row(&[id.into()], |row| {
        Ok((
            column(row, 1)?,
            column(row, 2)?,
            column(row, 3)?,
            column(row, 4)?,
            column(row, 5)?,
            nullable(row, 6)?,
            nullable(row, 7)?,
            nullable(row, 8)?,
            column(row, 9)?,
            nullable(row, 10)?,
            nullable(row, 11)?,
            nullable(row, 12)?,
            column(row, 13)?,
            nullable(row, 14)?,
            nullable(row, 15)?,
            column(row, 16)?,
            nullable(row, 17)?,
        ))
    })
}
