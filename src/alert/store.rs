//! The alert room's memory: the queue of ready payloads, and the alerts that fire.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use pgrx::pg_sys::BuiltinOid::{
    BOOLARRAYOID, INT4ARRAYOID, INT4OID, INT8ARRAYOID, INT8OID, INTERVALOID, JSONBOID, TEXTARRAYOID, TEXTOID,
    TIMESTAMPTZARRAYOID,
};
use pgrx::prelude::*;

use super::outbox::{Fired, Kind, Queued, Settled};
use crate::convert::{self, Jsonb};
use crate::db::{Statement, column, nullable};
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
            resolved_at = NULL, revision = a.revision + 1, attempts = 0, next_send_at = pg_catalog.clock_timestamp()
      WHERE a.resolved_at IS NOT NULL
         OR (a.annotations, a.generator_url, a.incident_id)
            IS DISTINCT FROM (excluded.annotations, excluded.generator_url, coalesce(excluded.incident_id, a.incident_id))",
    &[TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID],
);

/// By its own labels, or by the incident it was fired for: one of the two arguments is NULL.
static RESOLVE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts
        SET resolved_at = greatest(pg_catalog.clock_timestamp(), starts_at), revision = revision + 1, attempts = 0,
            next_send_at = pg_catalog.clock_timestamp()
      WHERE (fingerprint = $1 OR incident_id = $2) AND resolved_at IS NULL",
    &[TEXTOID, TEXTOID],
);

static RESOLVE_OF_INCIDENTS: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts
        SET resolved_at = greatest(pg_catalog.clock_timestamp(), starts_at), revision = revision + 1, attempts = 0,
            next_send_at = pg_catalog.clock_timestamp()
      WHERE incident_id IS NOT NULL AND resolved_at IS NULL",
    &[],
);

/// Longest due first. A row stays claimed until it is settled or the lease is over; what a claimant asks for again it has given up,
/// be it that it was killed, or that the row came with a dump. The ARRAY makes the planner look each row up by
/// key: how many there are it cannot know beforehand.
static CLAIM_QUEUED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue q
        SET claimed_by = $1, claim_token = $2, claimed_until = pg_catalog.clock_timestamp() + $4
      WHERE q.id = ANY (ARRAY(SELECT d.id FROM @schema@.costsim_alert_queue d
                      WHERE d.status = 'pending' AND d.next_attempt_at <= pg_catalog.clock_timestamp()
                        AND (d.claimed_until IS NULL OR d.claimed_until <= pg_catalog.clock_timestamp() OR d.claimed_by = $1)
                      ORDER BY d.next_attempt_at, d.id
                      LIMIT $3 FOR UPDATE SKIP LOCKED))
     RETURNING q.id, pg_catalog.octet_length(q.payload::text)::int8, q.attempts, q.max_attempts,
               CASE WHEN pg_catalog.isfinite(q.created_at) THEN pg_catalog.clock_timestamp() - q.created_at ELSE '0' END,
               q.incident_id",
    &[TEXTOID, INT8OID, INT8OID, INTERVALOID],
);

/// The payloads themselves come in a second step, when it is known how many of them fit.
static LOAD_QUEUED: Statement = Statement::deciding(
    "SELECT id, payload::text FROM @schema@.costsim_alert_queue WHERE id = ANY ($1)",
    &[INT8ARRAYOID],
);

static CLAIM_FIRED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts a
        SET claimed_by = $1, claim_token = $2, claimed_until = pg_catalog.clock_timestamp() + $4
      WHERE a.fingerprint = ANY (ARRAY(SELECT d.fingerprint FROM @schema@.costsim_alerts d
                               WHERE d.next_send_at <= pg_catalog.clock_timestamp()
                                 AND (d.claimed_until IS NULL OR d.claimed_until <= pg_catalog.clock_timestamp() OR d.claimed_by = $1)
                               ORDER BY d.next_send_at, d.fingerprint
                               LIMIT $3 FOR UPDATE SKIP LOCKED))
     RETURNING a.fingerprint, a.labels::text, a.annotations::text, a.generator_url, a.starts_at, a.resolved_at, a.revision,
               a.attempts, a.incident_id",
    &[TEXTOID, INT8OID, INT8OID, INTERVALOID],
);

/// `unnest` of several arrays is a syntax of its own and takes no schema; a worker's search_path is pinned.
static SETTLE_QUEUED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue q
        SET status = s.status, attempts = s.attempts, last_attempt_at = pg_catalog.clock_timestamp(),
            next_attempt_at = coalesce(s.next_at, q.next_attempt_at), response_code = s.code,
            last_error = s.error,
            sent_at = CASE WHEN s.status = 'sent' THEN pg_catalog.clock_timestamp() END,
            finished_at = CASE WHEN s.status <> 'pending' THEN pg_catalog.clock_timestamp() END,
            claimed_by = NULL, claim_token = NULL, claimed_until = NULL
       FROM unnest($2, $3, $4, $5, $6, $7) AS s(id, status, attempts, next_at, code, error)
      WHERE q.id = s.id AND q.claim_token = $1",
    &[INT8OID, INT8ARRAYOID, TEXTARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID, INT4ARRAYOID, TEXTARRAYOID],
);

/// What was fired or resolved anew while the request was in flight keeps its own next send.
static SETTLE_FIRED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts a
        SET sent_revision = CASE WHEN s.is_sent THEN s.revision ELSE a.sent_revision END,
            sent_at = CASE WHEN s.is_sent THEN pg_catalog.clock_timestamp() ELSE a.sent_at END,
            next_send_at = CASE WHEN a.revision = s.revision THEN s.next_at ELSE a.next_send_at END,
            attempts = CASE WHEN a.revision = s.revision THEN s.attempts ELSE a.attempts END,
            last_attempt_at = pg_catalog.clock_timestamp(), response_code = s.code, last_error = s.error,
            claimed_by = NULL, claim_token = NULL, claimed_until = NULL
       FROM unnest($2, $3, $4, $5, $6, $7, $8)
            AS s(fingerprint, revision, is_sent, attempts, next_at, code, error)
      WHERE a.fingerprint = s.fingerprint AND a.claim_token = $1",
    &[
        INT8OID,
        TEXTARRAYOID,
        INT8ARRAYOID,
        BOOLARRAYOID,
        INT4ARRAYOID,
        TIMESTAMPTZARRAYOID,
        INT4ARRAYOID,
        TEXTARRAYOID,
    ],
);

static NEXT_DUE: Statement = Statement::deciding(
    "SELECT least((SELECT min(greatest(next_attempt_at, claimed_until)) FROM @schema@.costsim_alert_queue
                    WHERE status = 'pending' AND pg_catalog.isfinite(next_attempt_at)),
                  (SELECT min(greatest(next_send_at, claimed_until)) FROM @schema@.costsim_alerts WHERE next_send_at IS NOT NULL))",
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

/// Claims queued payloads that are due, without reading them.
pub fn claim_queued(claimant: &str, token: i64, limit: i64, lease: TimeDelta) -> Result<Vec<Queued>> {
    CLAIM_QUEUED.rows(
        &[claimant.into(), token.into(), limit.into(), convert::interval(lease)?.into()],
        |row| {
            Ok(Queued {
                id: column(row, 1)?,
                bytes: column(row, 2)?,
                attempts: column(row, 3)?,
                max_attempts: column(row, 4)?,
                age: convert::span(column(row, 5)?),
                incident_id: nullable(row, 6)?,
            })
        },
    )
}

/// The payloads of claimed rows, by id.
pub fn load_queued(ids: Vec<i64>) -> Result<HashMap<i64, String>> {
    let rows = LOAD_QUEUED.rows(&[ids.into()], |row| Ok((column(row, 1)?, column(row, 2)?)))?;
    Ok(rows.into_iter().collect())
}

/// Claims fired or resolved alerts that are due.
pub fn claim_fired(claimant: &str, token: i64, limit: i64, lease: TimeDelta) -> Result<Vec<Fired>> {
    CLAIM_FIRED.rows(
        &[claimant.into(), token.into(), limit.into(), convert::interval(lease)?.into()],
        |row| {
            Ok(Fired {
                fingerprint: column(row, 1)?,
                labels: column(row, 2)?,
                annotations: column(row, 3)?,
                generator_url: nullable(row, 4)?,
                starts_at: convert::finite_moment(column(row, 5)?, "starts_at")?,
                resolved_at: nullable(row, 6)?
                    .map(|at| convert::finite_moment(at, "resolved_at"))
                    .transpose()?,
                revision: column(row, 7)?,
                attempts: column(row, 8)?,
                incident_id: nullable(row, 9)?,
            })
        },
    )
}

/// Writes down what became of claimed alerts. A claim that was lost meanwhile settles nothing.
pub fn settle(token: i64, settled: &[Settled]) -> Result<()> {
    settle_queued(token, settled)?;
    settle_fired(token, settled)
}

fn settle_queued(token: i64, settled: &[Settled]) -> Result<()> {
    let (mut ids, mut statuses, mut attempts, mut next_at, mut codes, mut errors) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    for (id, one) in settled.iter().filter_map(|one| match &one.kind {
        Kind::Queued { id } => Some((*id, one)),
        Kind::Fired { .. } => None,
    }) {
        ids.push(id);
        statuses.push(one.status());
        attempts.push(one.attempts);
        next_at.push(timestamptz(one.next_at)?);
        codes.push(one.code);
        errors.push(one.error.as_deref());
    }
    if ids.is_empty() {
        return Ok(());
    }
    let arguments = [
        token.into(),
        ids.into(),
        statuses.into(),
        attempts.into(),
        next_at.into(),
        codes.into(),
        errors.into(),
    ];
    SETTLE_QUEUED.run(&arguments).map(drop)
}

fn settle_fired(token: i64, settled: &[Settled]) -> Result<()> {
    let (mut fingerprints, mut revisions, mut is_sent, mut attempts, mut next_at, mut codes, mut errors) =
        (vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
    for one in settled {
        let Kind::Fired { fingerprint, revision } = &one.kind else { continue };
        fingerprints.push(fingerprint.as_str());
        revisions.push(*revision);
        is_sent.push(one.is_sent);
        attempts.push(one.attempts);
        next_at.push(timestamptz(one.next_at)?);
        codes.push(one.code);
        errors.push(one.error.as_deref());
    }
    if fingerprints.is_empty() {
        return Ok(());
    }
    let arguments = [
        token.into(),
        fingerprints.into(),
        revisions.into(),
        is_sent.into(),
        attempts.into(),
        next_at.into(),
        codes.into(),
        errors.into(),
    ];
    SETTLE_FIRED.run(&arguments).map(drop)
}

/// When the next alert is due.
pub fn next_due() -> Result<Option<DateTime<Utc>>> {
    let due = NEXT_DUE.row(&[], |row| nullable::<TimestampWithTimeZone>(row, 1))?.flatten();
    // A time no calendar holds is never due.
    Ok(due.and_then(|at| convert::moment(at.into())))
}

fn timestamptz(at: Option<DateTime<Utc>>) -> Result<Option<TimestampWithTimeZone>> {
    at.map(convert::timestamptz).transpose()
}
