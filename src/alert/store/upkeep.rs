//! What operators do to the queue, what the worker clears away, and the list of targets.

use chrono::{DateTime, TimeDelta, Utc};
use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, INT4ARRAYOID, INT4OID, INT8OID, INTERVALOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID,
};

use crate::convert;
use crate::db::{Statement, column, nullable};
use crate::error::Result;
use crate::guc;

static RETRY_FAILED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue
        SET status = 'pending', attempts = 0, retries = least(retries, 2147483646) + 1, next_attempt_at = pg_catalog.clock_timestamp(), finished_at = NULL,
            sent_at = NULL, owed_to = NULL,
            claimed_by = NULL, claim_token = NULL, claimed_until = NULL
      WHERE status = 'failed' AND retries < $1",
    &[INT4OID],
);

static RETRY: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue
        SET status = 'pending', attempts = 0, retries = least(retries, 2147483646) + 1, next_attempt_at = pg_catalog.clock_timestamp(), finished_at = NULL,
            sent_at = NULL, owed_to = NULL,
            claimed_by = NULL, claim_token = NULL, claimed_until = NULL
      WHERE id = $1 AND status IN ('failed', 'cancelled')",
    &[INT8OID],
);

static CANCEL: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue
        SET status = 'cancelled', finished_at = pg_catalog.clock_timestamp(), owed_to = NULL,
            claimed_by = NULL, claim_token = NULL, claimed_until = NULL
      WHERE id = $1 AND status = 'pending'",
    &[INT8OID],
);

/// Rows that another hand has finished bear no time at which it did. Walks the rows by their numbers, so many at a time: what is left of
/// them, however much, keeps nobody waiting.
static PURGE_QUEUED: Statement = Statement::deciding(
    "WITH slice AS MATERIALIZED (
         SELECT id, status = ANY ($1) AND status <> 'pending'
                    AND coalesce(finished_at, sent_at, last_attempt_at, created_at) < pg_catalog.clock_timestamp() - $2 AS is_over
           FROM @schema@.costsim_alert_queue WHERE id > $3 ORDER BY id LIMIT $4
     ), gone AS (
         DELETE FROM @schema@.costsim_alert_queue
          WHERE id = ANY (ARRAY(SELECT id FROM slice WHERE is_over)) AND status <> 'pending'
         RETURNING 1
     )
     SELECT (SELECT pg_catalog.count(*) FROM gone), (SELECT pg_catalog.max(id) FROM slice)",
    &[TEXTARRAYOID, INTERVALOID, INT8OID, INT8OID],
);

/// Nobody is told any more of what was resolved long ago and no Alertmanager believes to fire: without any address nobody ever heard of it.
static PURGE_FIRED: Statement = Statement::deciding(
    "DELETE FROM @schema@.costsim_alerts
      WHERE id = ANY (ARRAY(SELECT id FROM @schema@.costsim_alerts
                             WHERE resolved_at < pg_catalog.clock_timestamp() - $1
                               AND (next_send_at IS NULL AND sent_revision >= revision
                                    OR resolved_at < pg_catalog.clock_timestamp() - $3
                                       AND coalesce(ends_at, resolved_at) < pg_catalog.clock_timestamp())
                             LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[INTERVALOID, INT8OID, INTERVALOID],
);

/// What a target has missed for so long that it is no news any more.
static FORGET_OLD: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue SET owed_to = NULL
      WHERE id = ANY (ARRAY(SELECT id FROM @schema@.costsim_alert_queue
                             WHERE owed_to IS NOT NULL AND status <> 'pending' AND coalesce(sent_at, created_at) < $1
                             ORDER BY priority, id LIMIT $2 FOR UPDATE SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

static ADD_TARGET: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_alert_targets AS t (url) VALUES ($1)
     ON CONFLICT (url) DO UPDATE SET url = excluded.url
     RETURNING id",
    &[TEXTOID],
);

static KEEP_TARGETS: Statement =
    Statement::deciding("DELETE FROM @schema@.costsim_alert_targets WHERE id <> ALL ($1)", &[INT4ARRAYOID]);

/// What only targets are owed that are no more is owed to nobody; and where one target is enough, what one has is sent. (A row that
/// was accepted has a time at which it was. One that was not, and was refused by the others, is due to all again.)
static SETTLE_DEBTS: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue q
        SET owed_to = n.owed_to,
            status = CASE WHEN q.status <> 'pending' THEN q.status
                          WHEN q.sent_at IS NOT NULL AND (n.owed_to IS NULL OR NOT $2) THEN 'sent'
                          ELSE q.status END,
            finished_at = CASE WHEN q.sent_at IS NOT NULL AND (n.owed_to IS NULL OR NOT $2)
                               THEN coalesce(q.finished_at, pg_catalog.clock_timestamp()) ELSE q.finished_at END
       FROM (SELECT d.id, (SELECT pg_catalog.array_agg(o.target) FROM unnest(d.owed_to) AS o(target) WHERE o.target = ANY ($1)) AS owed_to
               FROM @schema@.costsim_alert_queue d
              WHERE d.owed_to IS NOT NULL
                AND (NOT d.owed_to <@ $1 OR d.status = 'pending' AND d.sent_at IS NOT NULL AND NOT $2)
              ORDER BY d.priority, d.id LIMIT $3 FOR UPDATE SKIP LOCKED) n
      WHERE q.id = n.id",
    &[INT4ARRAYOID, BOOLOID, INT8OID],
);

static SETTLE_DEBTS_FIRED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts a
        SET owed_to = n.owed_to,
            sent_revision = CASE WHEN n.owed_to IS NULL OR NOT $2 THEN a.revision ELSE a.sent_revision END
       FROM (SELECT d.id, (SELECT pg_catalog.array_agg(o.target) FROM unnest(d.owed_to) AS o(target) WHERE o.target = ANY ($1)) AS owed_to
               FROM @schema@.costsim_alerts d
              WHERE d.owed_to IS NOT NULL AND (NOT d.owed_to <@ $1 OR d.sent_revision < d.revision AND NOT $2)
              ORDER BY d.priority, d.id LIMIT $3 FOR UPDATE SKIP LOCKED) n
      WHERE a.id = n.id",
    &[INT4ARRAYOID, BOOLOID, INT8OID],
);

/// What waits because an attempt failed need not wait any longer.
/// Somebody may hold such a row.
static ARE_DEBTS_LEFT: Statement = Statement::deciding(
    "SELECT EXISTS (SELECT FROM @schema@.costsim_alert_queue
                     WHERE owed_to IS NOT NULL AND (NOT owed_to <@ $1 OR status = 'pending' AND sent_at IS NOT NULL AND NOT $2))
         OR EXISTS (SELECT FROM @schema@.costsim_alerts
                     WHERE owed_to IS NOT NULL AND (NOT owed_to <@ $1 OR sent_revision < revision AND NOT $2))",
    &[INT4ARRAYOID, BOOLOID],
);

static HURRY_QUEUED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue SET next_attempt_at = pg_catalog.clock_timestamp()
      WHERE id = ANY (ARRAY(SELECT id FROM @schema@.costsim_alert_queue
                             WHERE status = 'pending' AND attempts > 0 AND next_attempt_at > pg_catalog.clock_timestamp()
                             FOR UPDATE SKIP LOCKED))",
    &[],
);

static HURRY_FIRED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts SET next_send_at = pg_catalog.clock_timestamp()
      WHERE id = ANY (ARRAY(SELECT id FROM @schema@.costsim_alerts
                             WHERE next_send_at > pg_catalog.clock_timestamp() AND attempts > 0
                             FOR UPDATE SKIP LOCKED))",
    &[],
);

static NOTE_SUCCESS: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_targets
        SET state = 'ok', failures = 0, sent = sent + $2, last_attempt_at = pg_catalog.clock_timestamp(),
            last_success_at = CASE WHEN $2 > 0 THEN pg_catalog.clock_timestamp() ELSE last_success_at END, next_attempt_at = NULL, last_error = NULL, response_code = $3
      WHERE id = $1",
    &[INT4OID, INT8OID, INT4OID],
);

static NOTE_FAILURE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_targets
        SET state = 'failing', failures = $2, last_attempt_at = pg_catalog.clock_timestamp(), next_attempt_at = $3,
            last_error = $4, response_code = $5
      WHERE id = $1",
    &[INT4OID, INT4OID, TIMESTAMPTZOID, TEXTOID, INT4OID],
);

/// Brings back what has failed and was brought back fewer than so many times: how much.
pub fn retry_failed(max_retries: i32) -> Result<usize> {
    RETRY_FAILED.run(&[max_retries.into()])
}

/// Brings one row back: whether it had failed or been cancelled.
pub fn retry(id: i64) -> Result<bool> {
    Ok(RETRY.run(&[id.into()])? > 0)
}

/// Takes one row out of the queue: whether it was pending.
pub fn cancel(id: i64) -> Result<bool> {
    Ok(CANCEL.run(&[id.into()])? > 0)
}

/// Deletes finished rows of the queue among the next `count` behind number `behind`: how many, and the number of the last of them, if
/// there was one.
pub fn purge_queued(
    statuses: &[String],
    age: TimeDelta,
    behind: i64,
    count: i64,
) -> Result<(i64, Option<i64>)> {
    let arguments = [statuses.to_vec().into(), convert::interval(age)?.into(), behind.into(), count.into()];
    let row = PURGE_QUEUED.row(&arguments, |row| Ok((column(row, 1)?, nullable(row, 2)?)))?;
    Ok(row.unwrap_or((0, None)))
}

/// Deletes resolved alerts of which there is nothing left to tell, and those that were resolved longer ago than anybody tries to tell of
/// them: how many, at most `limit`.
pub fn purge_fired(age: TimeDelta, limit: i64) -> Result<usize> {
    let news = age.max(guc::alert_retry_window()).max(TimeDelta::hours(1));
    PURGE_FIRED.run(&[convert::interval(age)?.into(), limit.into(), convert::interval(news)?.into()])
}

/// Forgets what targets are owed since before `since`: how much, at most `limit`.
pub fn forget_old(since: DateTime<Utc>, limit: i64) -> Result<usize> {
    FORGET_OLD.run(&[convert::timestamptz(since)?.into(), limit.into()])
}

/// The target's id, new or known.
pub fn target(url: &str) -> Result<i32> {
    let id = ADD_TARGET.row(&[url.into()], |row| column(row, 1))?;
    id.ok_or_else(|| crate::error::Error::Internal("the insert answered no id".into()))
}

/// Deletes every other target.
pub fn keep_targets(ids: &[i32]) -> Result<()> {
    KEEP_TARGETS.run(&[ids.to_vec().into()]).map(drop)
}

/// What is left to settle after some of it was.
#[derive(Debug, PartialEq, Eq)]
pub enum Debts {
    None,
    /// More of the same.
    More,
    /// Rows that somebody holds.
    Held,
}

/// Settles what the list of targets, or the policy, has made obsolete, at most `limit` of each kind at once.
pub fn settle_debts(targets: &[i32], needs_all: bool, limit: i64) -> Result<Debts> {
    let arguments = [targets.to_vec().into(), needs_all.into(), limit.into()];
    if SETTLE_DEBTS.run(&arguments)? + SETTLE_DEBTS_FIRED.run(&arguments)? > 0 {
        return Ok(Debts::More);
    }
    let is_left =
        ARE_DEBTS_LEFT.row(&[targets.to_vec().into(), needs_all.into()], |row| column::<bool>(row, 1))?;
    Ok(if is_left == Some(true) { Debts::Held } else { Debts::None })
}

/// Lets what waits because an attempt failed be tried again now.
pub fn hurry() -> Result<()> {
    HURRY_QUEUED.run(&[])?;
    HURRY_FIRED.run(&[]).map(drop)
}

/// Notes that a target has taken so many rows.
pub fn note_success(target: i32, rows: usize, code: Option<i32>) -> Result<()> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    NOTE_SUCCESS.run(&[target.into(), rows.into(), code.into()]).map(drop)
}

/// Notes that a target fails.
pub fn note_failure(
    target: i32,
    failures: u32,
    next_at: DateTime<Utc>,
    error: Option<&str>,
    code: Option<i32>,
) -> Result<()> {
    let failures = i32::try_from(failures).unwrap_or(i32::MAX);
    let arguments =
        [target.into(), failures.into(), convert::timestamptz(next_at)?.into(), error.into(), code.into()];
    NOTE_FAILURE.run(&arguments).map(drop)
}
