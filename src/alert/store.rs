//! The alert room's memory: the queue of ready payloads, the alerts that fire, and the targets of both.
//!
//! Here is what the client's side writes; [`owed`] reads what is to be sent, [`settle`] writes down what became of it, [`claim`] does
//! both for an external deliverer, [`upkeep`] retries, cancels, purges and keeps the targets.

pub mod claim;
pub mod owed;
pub mod settle;
pub mod upkeep;

use chrono::{DateTime, Utc};
use pgrx::pg_sys::BuiltinOid::{INT4OID, JSONBOID, TEXTOID};
use pgrx::prelude::*;

use crate::convert::{self, Jsonb};
use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

static ENQUEUE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_alert_queue (payload, alert_type, circuit_breaker_name, incident_id, max_attempts)
     VALUES ($1, $2, $3, $4, coalesce($5, 10))
     RETURNING id",
    &[JSONBOID, TEXTOID, TEXTOID, TEXTOID, INT4OID],
);

/// Firing again what fires already, with nothing new to say, changes nothing. An incident's alert stays the incident's, whoever
/// fires it again.
static FIRE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_alerts AS a (fingerprint, labels, annotations, generator_url, incident_id, starts_at)
     VALUES ($1, $2::jsonb, $3::jsonb, $4, $5, pg_catalog.clock_timestamp())
     ON CONFLICT (fingerprint) DO UPDATE
        SET annotations = excluded.annotations, generator_url = excluded.generator_url,
            incident_id = CASE WHEN a.resolved_at IS NULL THEN coalesce(excluded.incident_id, a.incident_id) ELSE excluded.incident_id END,
            starts_at = CASE WHEN a.resolved_at IS NULL THEN a.starts_at ELSE pg_catalog.clock_timestamp() END,
            resolved_at = NULL, revision = a.revision + 1, attempts = 0, next_send_at = pg_catalog.clock_timestamp(),
            owed_to = NULL
      WHERE a.resolved_at IS NOT NULL
         OR (a.annotations, a.generator_url, a.incident_id)
            IS DISTINCT FROM (excluded.annotations, excluded.generator_url, coalesce(excluded.incident_id, a.incident_id))",
    &[TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID],
);

/// By its own labels, or by the incident it was fired for: one of the two arguments is NULL.
static RESOLVE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts
        SET resolved_at = greatest(pg_catalog.clock_timestamp(), starts_at), revision = revision + 1, attempts = 0,
            next_send_at = pg_catalog.clock_timestamp(), owed_to = NULL
      WHERE (fingerprint = $1 OR incident_id = $2) AND resolved_at IS NULL",
    &[TEXTOID, TEXTOID],
);

static RESOLVE_OF_INCIDENTS: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts
        SET resolved_at = greatest(pg_catalog.clock_timestamp(), starts_at), revision = revision + 1, attempts = 0,
            next_send_at = pg_catalog.clock_timestamp(), owed_to = NULL
      WHERE incident_id IS NOT NULL AND resolved_at IS NULL",
    &[],
);

/// A new row of the queue: its id.
pub fn enqueue(
    payload: Jsonb,
    alert_type: &str,
    breaker: Option<&str>,
    incident_id: Option<&str>,
    max_attempts: Option<i32>,
) -> Result<i64> {
    let arguments = [
        Jsonb::argument(Some(payload)),
        alert_type.into(),
        breaker.into(),
        incident_id.into(),
        max_attempts.into(),
    ];
    let id = ENQUEUE.row(&arguments, |row| column(row, 1))?;
    id.ok_or_else(|| Error::Internal("the insert answered no id".into()))
}

/// Makes the alert fire, or gives a firing one its new annotations: whether that changed anything.
pub fn fire(
    fingerprint: &str,
    labels: &str,
    annotations: &str,
    generator_url: Option<&str>,
    incident_id: Option<&str>,
) -> Result<bool> {
    let arguments =
        [fingerprint.into(), labels.into(), annotations.into(), generator_url.into(), incident_id.into()];
    Ok(FIRE.run(&arguments)? > 0)
}

/// Ends a firing alert: whether it was firing.
pub fn resolve(fingerprint: &str) -> Result<bool> {
    Ok(RESOLVE.run(&[fingerprint.into(), None::<&str>.into()])? > 0)
}

/// Ends what fires for an incident: whether anything did.
pub fn resolve_of_incident(incident_id: &str) -> Result<bool> {
    Ok(RESOLVE.run(&[None::<&str>.into(), incident_id.into()])? > 0)
}

/// Ends what fires for any incident: whether anything did.
pub fn resolve_of_incidents() -> Result<bool> {
    Ok(RESOLVE_OF_INCIDENTS.run(&[])? > 0)
}

/// A moment, if there is one and a calendar holds it.
fn moment_or_none(row: &Row<'_>, ordinal: i32) -> Result<Option<DateTime<Utc>>> {
    Ok(nullable::<TimestampWithTimeZone>(row, ordinal)?.and_then(|at| convert::moment(at.into())))
}
