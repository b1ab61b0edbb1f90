//! The incidents: what an outage began with, and how it ended.

use chrono::{DateTime, Utc};
use costsim_core::breaker::Severity;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{FLOAT8OID, INT4OID, TEXTOID, TIMESTAMPTZOID};

use crate::breaker::stored;
use crate::convert::{self, row_type};
use crate::db::{self, Statement, column};
use crate::error::{Error, Result};

row_type!(Incident, "costsim_cb_incidents");

static OPEN: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cb_incidents
            (circuit_breaker_name, \"timestamp\", reason, severity, drift_score, sample_count, details_json, worst_drift_score)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $5)
     RETURNING id",
    &[TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, FLOAT8OID, INT4OID, TEXTOID],
);

static OBSERVE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_incidents
        SET reports_while_open = least(reports_while_open, 9223372036854775806) + 1, worst_drift_score = greatest(worst_drift_score, $2)
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

static RESOLVE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_incidents
        SET resolved = true, resolved_at = pg_catalog.clock_timestamp(), resolved_by = $2, resolution_notes = $3
      WHERE circuit_breaker_name = $1 AND NOT resolved",
    &[TEXTOID, TEXTOID, TEXTOID],
);

static FIND: Statement =
    Statement::deciding("SELECT i FROM @schema@.costsim_cb_incidents i WHERE i.id = $1", &[TEXTOID]);

/// Takes what the end of an outage changes, as far as nobody else has it.
static TAKE: Statement = Statement::deciding(
    "WITH incident AS (SELECT id FROM @schema@.costsim_cb_incidents WHERE circuit_breaker_name = $1 AND NOT resolved),
          alert AS (SELECT a.fingerprint FROM @schema@.costsim_alerts a JOIN incident i ON a.incident_id = i.id WHERE a.resolved_at IS NULL)
     SELECT (SELECT count(*) FROM incident)
            = (SELECT count(*) FROM (SELECT FROM @schema@.costsim_cb_incidents
                                      WHERE circuit_breaker_name = $1 AND NOT resolved FOR NO KEY UPDATE SKIP LOCKED) taken)
        AND (SELECT count(*) FROM alert)
            = (SELECT count(*) FROM (SELECT FROM @schema@.costsim_alerts
                                      WHERE fingerprint IN (SELECT fingerprint FROM alert) FOR NO KEY UPDATE SKIP LOCKED) taken)",
    &[TEXTOID],
);

static RESOLVE_ALL: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cb_incidents
        SET resolved = true, resolved_at = pg_catalog.clock_timestamp(), resolved_by = $1, resolution_notes = $2
      WHERE NOT resolved",
    &[TEXTOID, TEXTOID],
);

static EXISTS: Statement = Statement::deciding(
    "SELECT EXISTS (SELECT FROM @schema@.costsim_cb_incidents WHERE id = $1)",
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

/// A new open incident: its id.
pub fn open(
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
    let id = OPEN.row(&arguments, |row| column(row, 1))?;
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

/// The table.
pub fn table() -> Result<pg_sys::Oid> {
    db::relation(c"costsim_cb_incidents")
}

/// Resolves the open incident, if there is one; its alert ends with it.
pub fn resolve(name: &str, by: &str, notes: &str) -> Result<()> {
    RESOLVE.run(&[name.into(), by.into(), notes.into()]).map(drop)
}

/// Notes that Alertmanager has taken the incident's alert: false while somebody else works on the incident.
pub fn mark_alerted(incident_id: &str, response: &str) -> Result<bool> {
    let done = MARK_ALERTED.row(&[incident_id.into(), response.into()], |row| column(row, 1))?;
    Ok(done.unwrap_or(true))
}

/// An incident as the table holds it.
pub fn find(id: &str) -> Result<Option<Incident>> {
    FIND.row(&[id.into()], |row| column(row, 1))
}

/// Whether there is an incident of this id.
pub fn exists(id: &str) -> Result<bool> {
    Ok(EXISTS.row(&[id.into()], |row| column(row, 1))?.unwrap_or(false))
}

/// Takes the open incident and its alert to the end of the transaction, without waiting: whether nobody else has one of them.
pub fn take(name: &str) -> Result<bool> {
    Ok(TAKE.row(&[name.into()], |row| column(row, 1))?.unwrap_or(true))
}

/// Resolves every open incident.
pub fn resolve_all(by: &str, notes: &str) -> Result<()> {
    RESOLVE_ALL.run(&[by.into(), notes.into()]).map(drop)
}
