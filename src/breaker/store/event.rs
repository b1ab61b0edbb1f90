//! The events: every step a breaker took, and its announcement.

use costsim_core::breaker::{LastEvent, Transition};
use pgrx::pg_sys::BuiltinOid::{FLOAT8OID, INT4OID, TEXTOID};

use crate::breaker::stored;
use crate::db::{Statement, column, nullable};
use crate::error::Result;

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

static LAST: Statement = Statement::looking(
    "SELECT happened_at, to_state, cause, actor, reason, drift_score, sample_count, consecutive_failures, configuration::pg_catalog.text
       FROM @schema@.costsim_cb_events
      WHERE circuit_breaker_name = $1 AND cause NOT IN ('configured', 'escalated')
      ORDER BY id DESC LIMIT 1",
    &[TEXTOID],
);

static USER: Statement = Statement::deciding("SELECT session_user::pg_catalog.text", &[]);

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

/// The latest event by which something was decided about its state.
pub fn last(name: &str) -> Result<Option<LastEvent>> {
    LAST.row(&[name.into()], |row| {
        let config: String = column(row, 9)?;
        Ok(LastEvent {
            at: stored::calendar(column(row, 1)?).unwrap_or_default(),
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
