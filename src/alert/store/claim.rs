//! Claims of an external deliverer.

use chrono::{DateTime, TimeDelta, Utc};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{BOOLOID, INT2OID, INT4OID, INT8OID, INTERVALOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use super::moment_or_none;
use crate::convert;
use crate::db::{Statement, column, nullable};
use crate::error::Result;

/// Of what is free no more than 8 MB at once, and at least one: all of it becomes somebody's memory.
static CLAIM_QUEUED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue q
        SET claimed_by = $1, claim_token = $2, claimed_until = pg_catalog.clock_timestamp() + $4
      WHERE q.id = ANY (ARRAY(
                SELECT w.id
                  FROM (SELECT f.id, pg_catalog.sum(f.bytes) OVER (ORDER BY f.id) - f.bytes AS bytes_before
                          FROM (SELECT d.id, pg_catalog.octet_length(d.payload::text) AS bytes
                                  FROM @schema@.costsim_alert_queue d
                                 WHERE d.status = 'pending' AND d.owed_to IS NULL AND d.priority = $5
                                   AND d.next_attempt_at <= pg_catalog.clock_timestamp()
                                   AND (d.claimed_until IS NULL OR d.claimed_until <= pg_catalog.clock_timestamp())
                                 ORDER BY d.priority, d.id
                                 LIMIT $3 FOR UPDATE SKIP LOCKED) f) w
                 WHERE w.bytes_before < 8388608))
     RETURNING q.id, q.payload::text, q.attempts, q.claimed_until",
    &[TEXTOID, INT8OID, INT8OID, INTERVALOID, INT2OID],
);

static CLAIM_FIRED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts a
        SET claimed_by = $1, claim_token = $2, claimed_until = pg_catalog.clock_timestamp() + $4, claimed_revision = a.revision,
            claimed_ends_at = coalesce(a.resolved_at, $6)
      WHERE a.id = ANY (ARRAY(SELECT d.id FROM @schema@.costsim_alerts d
                               WHERE d.priority = $5 AND d.next_send_at <= pg_catalog.clock_timestamp()
                                 AND (d.claimed_until IS NULL OR d.claimed_until <= pg_catalog.clock_timestamp())
                               ORDER BY d.priority, d.next_send_at, d.id
                               LIMIT $3 FOR UPDATE SKIP LOCKED))
     RETURNING a.id, a.labels::text, a.annotations::text, a.generator_url, a.starts_at, a.resolved_at, a.attempts,
               a.claimed_until",
    &[TEXTOID, INT8OID, INT8OID, INTERVALOID, INT2OID, TIMESTAMPTZOID],
);

/// Whoever holds the row now decides first; a claim that is not on it then is over.
static LOCK_QUEUED: Statement = Statement::deciding(
    "SELECT attempts, max_attempts, CASE WHEN pg_catalog.isfinite(created_at) THEN created_at END, incident_id
       FROM @schema@.costsim_alert_queue
      WHERE id = $1 AND claim_token = $2 AND status = 'pending' FOR UPDATE",
    &[INT8OID, INT8OID],
);

static LOCK_FIRED: Statement = Statement::deciding(
    "SELECT attempts, resolved_at, incident_id
       FROM @schema@.costsim_alerts WHERE id = $1 AND claim_token = $2 FOR UPDATE",
    &[INT8OID, INT8OID],
);

static SETTLE_QUEUED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue
        SET status = $2, attempts = least(attempts, 2147483646) + 1, last_attempt_at = pg_catalog.clock_timestamp(),
            next_attempt_at = coalesce($3, next_attempt_at), response_code = $4, last_error = $5,
            sent_at = CASE WHEN $2 = 'sent' THEN pg_catalog.clock_timestamp() END,
            finished_at = CASE WHEN $2 <> 'pending' THEN pg_catalog.clock_timestamp() END,
            claimed_by = NULL, claim_token = NULL, claimed_until = NULL
      WHERE id = $1",
    &[INT8OID, TEXTOID, TIMESTAMPTZOID, INT4OID, TEXTOID],
);

/// What was fired or resolved anew since it was claimed keeps its own next send.
static SETTLE_FIRED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts
        SET sent_revision = CASE WHEN $2 THEN greatest(sent_revision, claimed_revision) ELSE sent_revision END,
            sent_at = CASE WHEN $2 THEN pg_catalog.clock_timestamp() ELSE sent_at END,
            ends_at = CASE WHEN $2 THEN claimed_ends_at ELSE ends_at END,
            attempts = CASE WHEN $2 OR revision <> claimed_revision THEN 0 ELSE least(attempts, 2147483646) + 1 END,
            last_attempt_at = pg_catalog.clock_timestamp(), response_code = $4, last_error = $5,
            next_send_at = CASE WHEN revision = claimed_revision THEN $3 ELSE next_send_at END,
            claimed_by = NULL, claim_token = NULL, claimed_until = NULL, claimed_revision = NULL, claimed_ends_at = NULL
      WHERE id = $1",
    &[INT8OID, BOOLOID, TIMESTAMPTZOID, INT4OID, TEXTOID],
);

/// A payload as it was claimed.
pub struct Queued {
    pub id: i64,
    pub payload: String,
    pub attempts: i32,
    pub until: TimestampWithTimeZone,
}

/// A fired alert as it was claimed.
pub struct Fired {
    pub id: i64,
    pub labels: String,
    pub annotations: String,
    pub generator_url: Option<String>,
    /// `None` beyond what a calendar holds.
    pub starts_at: Option<DateTime<Utc>>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub attempts: i32,
    pub until: TimestampWithTimeZone,
}

/// Who claims, by which token, how many rows of which priority, for how long.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    pub claimant: &'a str,
    pub token: i64,
    pub limit: i64,
    pub lease: TimeDelta,
    pub priority: i16,
}

impl<'a> Claim<'a> {
    fn arguments(&self) -> Result<Vec<DatumWithOid<'a>>> {
        Ok(vec![
            self.claimant.into(),
            self.token.into(),
            self.limit.into(),
            convert::interval(self.lease)?.into(),
            self.priority.into(),
        ])
    }
}

/// Claims payloads that are due.
pub fn queued(claim: &Claim<'_>) -> Result<Vec<Queued>> {
    CLAIM_QUEUED.rows(&claim.arguments()?, |row| {
        Ok(Queued {
            id: column(row, 1)?,
            payload: column(row, 2)?,
            attempts: column(row, 3)?,
            until: column(row, 4)?,
        })
    })
}

/// Claims fired and resolved alerts that are due; one that fires will be said to end at `ends_at`.
pub fn fired(claim: &Claim<'_>, ends_at: DateTime<Utc>) -> Result<Vec<Fired>> {
    let mut arguments = claim.arguments()?;
    arguments.push(convert::timestamptz(ends_at)?.into());
    CLAIM_FIRED.rows(&arguments, |row| {
        Ok(Fired {
            id: column(row, 1)?,
            labels: column(row, 2)?,
            annotations: column(row, 3)?,
            generator_url: nullable(row, 4)?,
            starts_at: moment_or_none(row, 5)?,
            resolved_at: moment_or_none(row, 6)?,
            attempts: column(row, 7)?,
            until: column(row, 8)?,
        })
    })
}

/// What a claim holds, locked until the end of the transaction.
pub enum Held {
    Queued {
        attempts: i32,
        max_attempts: i32,
        created_at: Option<DateTime<Utc>>,
        incident_id: Option<String>,
    },
    Fired {
        attempts: i32,
        resolved_at: Option<DateTime<Utc>>,
        incident_id: Option<String>,
    },
}

/// What the claim of this token holds under this id, if it still does.
pub fn lock(id: i64, token: i64) -> Result<Option<Held>> {
    let arguments = [id.into(), token.into()];
    let queued = LOCK_QUEUED.row(&arguments, |row| {
        Ok(Held::Queued {
            attempts: column(row, 1)?,
            max_attempts: column(row, 2)?,
            created_at: moment_or_none(row, 3)?,
            incident_id: nullable(row, 4)?,
        })
    })?;
    if queued.is_some() {
        return Ok(queued);
    }
    LOCK_FIRED.row(&arguments, |row| {
        Ok(Held::Fired {
            attempts: column(row, 1)?,
            resolved_at: moment_or_none(row, 2)?,
            incident_id: nullable(row, 3)?,
        })
    })
}

/// What became of a claimed row.
pub struct Outcome<'a> {
    pub next_at: Option<DateTime<Utc>>,
    pub code: Option<i32>,
    pub error: Option<&'a str>,
}

/// Settles a locked row of the queue.
pub fn settle_queued(id: i64, status: &str, outcome: &Outcome<'_>) -> Result<()> {
    let next_at = outcome.next_at.map(convert::timestamptz).transpose()?;
    SETTLE_QUEUED
        .run(&[id.into(), status.into(), next_at.into(), outcome.code.into(), outcome.error.into()])
        .map(drop)
}

/// Settles a locked fired alert.
pub fn settle_fired(id: i64, is_taken: bool, outcome: &Outcome<'_>) -> Result<()> {
    let next_at = outcome.next_at.map(convert::timestamptz).transpose()?;
    SETTLE_FIRED
        .run(&[id.into(), is_taken.into(), next_at.into(), outcome.code.into(), outcome.error.into()])
        .map(drop)
}
