//! What a target is still owed, and what became of it.
//!
//! Read in a transaction that takes no lock, settled in another. What a row looks like when it is settled may differ from what was
//! read: it may have been fired anew, cancelled, taken by another target. So a statement here says what to do in each case, and
//! the same outcome settled twice changes nothing the second time.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, INT4ARRAYOID, INT4OID, INT8ARRAYOID, INT8OID, TEXTOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID,
};
use pgrx::prelude::*;

use super::moment_or_none;
use crate::convert;
use crate::db::{Row, Statement, column, nullable};
use crate::error::Result;

/// What is stored of a payload below this size is read with its row; the others one by one, since what they unfold to is not known.
/// (A column that is stored in more than 2,000 bytes may be compressed.)
macro_rules! queued_columns {
    () => {
        "id, priority, CASE WHEN pg_catalog.pg_column_size(payload) < 1000 THEN payload::text END, attempts, max_attempts,
         CASE WHEN pg_catalog.isfinite(created_at) THEN created_at END, incident_id, status = 'pending', owed_to IS NOT NULL"
    };
}

macro_rules! fired_columns {
    () => {
        concat!(
            "id, priority, CASE WHEN ",
            is_small!(),
            " THEN labels::text END, CASE WHEN ",
            is_small!(),
            " THEN annotations::text END, CASE WHEN ",
            is_small!(),
            " THEN generator_url END, starts_at, resolved_at, revision, attempts, incident_id, owed_to IS NOT NULL"
        )
    };
}

macro_rules! is_small {
    () => {
        "pg_catalog.pg_column_size(labels) + pg_catalog.pg_column_size(annotations)
         + coalesce(pg_catalog.pg_column_size(generator_url), 0) < 1000"
    };
}

macro_rules! due_queued {
    ($priority:literal, $after:literal) => {
        concat!(
            "(SELECT ",
            queued_columns!(),
            " FROM @schema@.costsim_alert_queue
               WHERE status = 'pending' AND owed_to IS NULL AND priority = ",
            $priority,
            " AND id > $",
            $after,
            " AND next_attempt_at <= $2 AND (claimed_until IS NULL OR claimed_until <= $2) AND id <> ALL ($3)
               ORDER BY priority, id LIMIT $1)"
        )
    };
}

macro_rules! owed_queued {
    ($priority:literal) => {
        concat!(
            "(SELECT ",
            queued_columns!(),
            " FROM @schema@.costsim_alert_queue
               WHERE owed_to IS NOT NULL AND owed_to @> ARRAY[$4] AND priority = ",
            $priority,
            " AND (coalesce(sent_at, created_at) >= $2 OR status = 'pending') AND id <> ALL ($3)
               ORDER BY priority, id LIMIT $1)"
        )
    };
}

macro_rules! due_fired {
    ($priority:literal) => {
        concat!(
            "(SELECT ",
            fired_columns!(),
            " FROM @schema@.costsim_alerts
               WHERE next_send_at IS NOT NULL AND priority = ",
            $priority,
            " AND next_send_at <= $2 AND (claimed_until IS NULL OR claimed_until <= $2) AND id <> ALL ($3)
               ORDER BY priority, next_send_at LIMIT $1)"
        )
    };
}

macro_rules! owed_fired {
    ($priority:literal) => {
        concat!(
            "(SELECT ",
            fired_columns!(),
            " FROM @schema@.costsim_alerts
               WHERE owed_to IS NOT NULL AND owed_to @> ARRAY[$4] AND priority = ",
            $priority,
            " AND (next_send_at IS NULL OR next_send_at > $2) AND id <> ALL ($3)
               ORDER BY priority, id LIMIT $1)"
        )
    };
}

static DUE_QUEUED: Statement = Statement::deciding(
    concat!(due_queued!("1", "4"), " UNION ALL ", due_queued!("2", "5")),
    &[INT8OID, TIMESTAMPTZOID, INT8ARRAYOID, INT8OID, INT8OID],
);

static OWED_QUEUED: Statement = Statement::deciding(
    concat!(owed_queued!("1"), " UNION ALL ", owed_queued!("2")),
    &[INT8OID, TIMESTAMPTZOID, INT8ARRAYOID, INT4OID],
);

static DUE_FIRED: Statement = Statement::deciding(
    concat!(due_fired!("1"), " UNION ALL ", due_fired!("2")),
    &[INT8OID, TIMESTAMPTZOID, INT8ARRAYOID],
);

static OWED_FIRED: Statement = Statement::deciding(
    concat!(owed_fired!("1"), " UNION ALL ", owed_fired!("2")),
    &[INT8OID, TIMESTAMPTZOID, INT8ARRAYOID, INT4OID],
);

static LOAD_FIRED: Statement = Statement::deciding(
    "SELECT labels::text, annotations::text, generator_url FROM @schema@.costsim_alerts WHERE id = $1",
    &[INT8OID],
);

static LOAD_QUEUED: Statement = Statement::deciding(
    "SELECT pg_catalog.octet_length(payload::text)::int8,
            CASE WHEN pg_catalog.octet_length(payload::text) <= $2 THEN payload::text END
       FROM @schema@.costsim_alert_queue WHERE id = $1",
    &[INT8OID, INT8OID],
);

/// When a row that is not due yet will be, or one that somebody has claimed will be free.
static NEXT_DUE: Statement = Statement::deciding(
    "SELECT least(
        (SELECT min(next_attempt_at) FROM @schema@.costsim_alert_queue
          WHERE status = 'pending' AND owed_to IS NULL AND next_attempt_at > $1 AND next_attempt_at < 'infinity'),
        (SELECT min(claimed_until) FROM @schema@.costsim_alert_queue
          WHERE status = 'pending' AND owed_to IS NULL AND next_attempt_at <= $1 AND claimed_until > $1),
        (SELECT min(next_send_at) FROM @schema@.costsim_alerts WHERE priority = 1 AND next_send_at > $1 AND next_send_at IS NOT NULL),
        (SELECT min(next_send_at) FROM @schema@.costsim_alerts WHERE priority = 2 AND next_send_at > $1 AND next_send_at IS NOT NULL),
        (SELECT min(claimed_until) FROM @schema@.costsim_alerts
          WHERE priority IN (1, 2) AND next_send_at <= $1 AND next_send_at IS NOT NULL AND claimed_until > $1))",
    &[TIMESTAMPTZOID],
);

/// What is owed of a row once target $2 has it, $3 being the others. Every condition is put to the row that is updated itself: what
/// another transaction has just made of it counts.
macro_rules! then_owed_queued {
    () => {
        "nullif(CASE WHEN owed_to IS NULL AND status = 'pending' THEN $3 ELSE pg_catalog.array_remove(owed_to, $2) END, '{}')"
    };
}

/// Whether the row counts as sent then; $5 says that all must have it.
macro_rules! then_sent_queued {
    () => {
        concat!("(NOT $5 OR ", then_owed_queued!(), " IS NULL)")
    };
}

/// A target has taken them.
static TAKE_QUEUED: Statement = Statement::deciding(
    concat!(
        "UPDATE @schema@.costsim_alert_queue
            SET response_code = $4, last_error = NULL,
                last_attempt_at = CASE WHEN status = 'sent' THEN last_attempt_at ELSE pg_catalog.clock_timestamp() END,
                attempts = CASE WHEN status = 'pending' THEN least(attempts, 2147483646) + 1 ELSE attempts END,
                owed_to = ",
        then_owed_queued!(),
        ", status = CASE WHEN ",
        then_sent_queued!(),
        " THEN 'sent' ELSE status END,
           sent_at = coalesce(sent_at, pg_catalog.clock_timestamp()),
           finished_at = CASE WHEN ",
        then_sent_queued!(),
        " THEN coalesce(finished_at, pg_catalog.clock_timestamp()) END
          WHERE id = ANY ($1) AND status <> 'cancelled'"
    ),
    &[INT8ARRAYOID, INT4OID, INT4ARRAYOID, INT4OID, BOOLOID],
);

/// The same with one target only, and nothing owed: the common case, at half the price.
static TAKE_QUEUED_ALONE: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue
        SET status = 'sent', owed_to = NULL, response_code = $2, last_error = NULL, last_attempt_at = pg_catalog.clock_timestamp(),
            attempts = least(attempts, 2147483646) + 1, sent_at = pg_catalog.clock_timestamp(), finished_at = pg_catalog.clock_timestamp()
      WHERE id = ANY ($1) AND status IN ('pending', 'failed')",
    &[INT8ARRAYOID, INT4OID],
);

/// Whether the turn that was posted is still the row's: nobody has fired or resolved it anew, and no other target has ended the turn.
/// What was fired anew while the request was in flight stays due, whoever took what it was before. $6 is when this is asked.
macro_rules! is_turn {
    () => {
        "(a.revision = s.revision AND a.next_send_at IS NOT NULL AND a.next_send_at <= $6)"
    };
}

/// Who has taken what the alert was before is still owed what it is.
macro_rules! then_owed_fired {
    () => {
        concat!(
            "nullif(CASE WHEN ",
            is_turn!(),
            " THEN $9 WHEN a.revision = s.revision THEN pg_catalog.array_remove(a.owed_to, $5) ELSE a.owed_to END, '{}')"
        )
    };
}

/// Target $5 has taken them; $9 are the others, $8 says that all must have heard a revision before it counts as heard.
static TAKE_FIRED: Statement = Statement::deciding(
    concat!(
        "UPDATE @schema@.costsim_alerts a
            SET sent_at = pg_catalog.clock_timestamp(), ends_at = s.ends_at,
                attempts = CASE WHEN a.revision = s.revision THEN 0 ELSE a.attempts END,
                last_attempt_at = pg_catalog.clock_timestamp(), response_code = $7, last_error = NULL,
                next_send_at = CASE WHEN ",
        is_turn!(),
        " THEN s.next_at ELSE a.next_send_at END, owed_to = ",
        then_owed_fired!(),
        ", sent_revision = CASE WHEN $8 AND (a.revision <> s.revision OR ",
        then_owed_fired!(),
        " IS NOT NULL) THEN a.sent_revision ELSE greatest(a.sent_revision, s.revision) END
           FROM unnest($1, $2, $3, $4) AS s(id, revision, next_at, ends_at)
          WHERE a.id = s.id"
    ),
    &[
        INT8ARRAYOID,
        INT8ARRAYOID,
        TIMESTAMPTZARRAYOID,
        TIMESTAMPTZARRAYOID,
        INT4OID,
        TIMESTAMPTZOID,
        INT4OID,
        BOOLOID,
        INT4ARRAYOID,
    ],
);

/// Not taken: to be tried again at $3, or given up. What another target has taken is none of this one's business.
static MISS_QUEUED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alert_queue
        SET attempts = least(attempts, 2147483646) + 1, last_attempt_at = pg_catalog.clock_timestamp(), response_code = $4, last_error = $5,
            next_attempt_at = coalesce($3, next_attempt_at),
            status = CASE WHEN $2 THEN 'failed' ELSE status END,
            finished_at = CASE WHEN $2 THEN pg_catalog.clock_timestamp() END,
            owed_to = CASE WHEN $2 THEN NULL ELSE owed_to END,
            claimed_by = NULL, claim_token = NULL, claimed_until = NULL
      WHERE id = ANY ($1) AND status = 'pending'",
    &[INT8ARRAYOID, BOOLOID, TIMESTAMPTZOID, INT4OID, TEXTOID],
);

static MISS_FIRED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts a
        SET attempts = least(a.attempts, 2147483646) + 1, last_attempt_at = pg_catalog.clock_timestamp(), response_code = $4, last_error = $5,
            next_send_at = $3
       FROM unnest($1, $2) AS s(id, revision)
      WHERE a.id = s.id AND a.revision = s.revision AND a.next_send_at <= $6",
    &[INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, INT4OID, TEXTOID, TIMESTAMPTZOID],
);

/// Target $2 has refused them: it is for the others to take them, and when none is left that might, they have failed.
static REFUSE_QUEUED: Statement = Statement::deciding(
    concat!(
        "UPDATE @schema@.costsim_alert_queue
            SET owed_to = ",
        then_owed_queued!(),
        ", attempts = CASE WHEN status = 'pending' THEN least(attempts, 2147483646) + 1 ELSE attempts END,
           last_attempt_at = CASE WHEN status = 'pending' THEN pg_catalog.clock_timestamp() ELSE last_attempt_at END,
           response_code = CASE WHEN status = 'pending' THEN $4 ELSE response_code END,
           last_error = CASE WHEN status = 'pending' THEN $5 ELSE last_error END,
           status = CASE WHEN status = 'pending' AND ",
        then_owed_queued!(),
        " IS NULL THEN 'failed' ELSE status END,
           finished_at = CASE WHEN status = 'pending' AND ",
        then_owed_queued!(),
        " IS NULL THEN pg_catalog.clock_timestamp() ELSE finished_at END
          WHERE id = ANY ($1) AND status <> 'cancelled'"
    ),
    &[INT8ARRAYOID, INT4OID, INT4ARRAYOID, INT4OID, TEXTOID],
);

/// What target $3 has refused of what others have told it is no longer owed to it: the next turn is.
static REFUSE_FIRED: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_alerts a
        SET owed_to = nullif(pg_catalog.array_remove(a.owed_to, $3), '{}'),
            sent_revision = CASE WHEN nullif(pg_catalog.array_remove(a.owed_to, $3), '{}') IS NULL
                                 THEN greatest(a.sent_revision, s.revision) ELSE a.sent_revision END
       FROM unnest($1, $2) AS s(id, revision)
      WHERE a.id = s.id AND a.revision = s.revision AND a.owed_to IS NOT NULL",
    &[INT8ARRAYOID, INT8ARRAYOID, INT4OID],
);

static FIND_QUEUED: Statement =
    Statement::deciding("SELECT id FROM @schema@.costsim_alert_queue WHERE id = ANY ($1)", &[INT8ARRAYOID]);

static FIND_FIRED: Statement =
    Statement::deciding("SELECT id FROM @schema@.costsim_alerts WHERE id = ANY ($1)", &[INT8ARRAYOID]);

static LOCK_QUEUED: Statement = Statement::deciding(
    "SELECT id FROM @schema@.costsim_alert_queue WHERE id = ANY ($1) FOR UPDATE SKIP LOCKED",
    &[INT8ARRAYOID],
);

static LOCK_FIRED: Statement = Statement::deciding(
    "SELECT id FROM @schema@.costsim_alerts WHERE id = ANY ($1) FOR UPDATE SKIP LOCKED",
    &[INT8ARRAYOID],
);

/// A row of the queue that a target is owed.
pub struct Queued {
    pub id: i64,
    pub priority: i16,
    /// The payload, unless it is large: then [`load`] has it.
    pub payload: Option<String>,
    pub attempts: i32,
    pub max_attempts: i32,
    pub created_at: Option<DateTime<Utc>>,
    pub incident_id: Option<String>,
    pub is_pending: bool,
    pub is_owed: bool,
}

/// A fired alert that a target is owed.
pub struct Fired {
    pub id: i64,
    pub priority: i16,
    /// Unless they are large: then [`load_fired`] has them.
    pub texts: Option<Texts>,
    /// `None` beyond what a calendar holds.
    pub starts_at: Option<DateTime<Utc>>,
    pub resolved_at: Option<DateTime<Utc>>,
    pub revision: i64,
    pub attempts: i32,
    pub incident_id: Option<String>,
    pub is_owed: bool,
}

/// What a fired alert says.
pub struct Texts {
    pub labels: String,
    pub annotations: String,
    pub generator_url: Option<String>,
}

/// Which rows are wanted.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// Those that are owed to every target; of the queue, those behind these numbers, one for each priority.
    Due { behind: [i64; 2] },
    /// Those that another target has, and this one has not.
    Owed { to: i32 },
}

/// Rows of the queue, in order of priority and age: of each priority at most `limit`. Those owed must have been made since `since`.
pub fn queued(
    wanted: Wanted,
    limit: i64,
    now: DateTime<Utc>,
    since: DateTime<Utc>,
    but: Vec<i64>,
) -> Result<Vec<Queued>> {
    let read = |row: &Row<'_>| {
        Ok(Queued {
            id: column(row, 1)?,
            priority: column(row, 2)?,
            payload: nullable(row, 3)?,
            attempts: column(row, 4)?,
            max_attempts: column(row, 5)?,
            created_at: moment_or_none(row, 6)?,
            incident_id: nullable(row, 7)?,
            is_pending: column(row, 8)?,
            is_owed: column(row, 9)?,
        })
    };
    match wanted {
        Wanted::Due { behind: [first, second] } => {
            let arguments =
                [limit.into(), convert::timestamptz(now)?.into(), but.into(), first.into(), second.into()];
            DUE_QUEUED.rows(&arguments, read)
        }
        Wanted::Owed { to } => OWED_QUEUED
            .rows(&[limit.into(), convert::timestamptz(since)?.into(), but.into(), to.into()], read),
    }
}

/// Fired and resolved alerts: of each priority at most `limit`.
pub fn fired(wanted: Wanted, limit: i64, now: DateTime<Utc>, but: Vec<i64>) -> Result<Vec<Fired>> {
    let read = |row: &Row<'_>| {
        Ok(Fired {
            id: column(row, 1)?,
            priority: column(row, 2)?,
            texts: match (nullable(row, 3)?, nullable(row, 4)?) {
                (Some(labels), Some(annotations)) => {
                    Some(Texts { labels, annotations, generator_url: nullable(row, 5)? })
                }
                _ => None,
            },
            starts_at: moment_or_none(row, 6)?,
            resolved_at: moment_or_none(row, 7)?,
            revision: column(row, 8)?,
            attempts: column(row, 9)?,
            incident_id: nullable(row, 10)?,
            is_owed: column(row, 11)?,
        })
    };
    let mut arguments: Vec<DatumWithOid<'_>> =
        vec![limit.into(), convert::timestamptz(now)?.into(), but.into()];
    match wanted {
        Wanted::Due { .. } => DUE_FIRED.rows(&arguments, read),
        Wanted::Owed { to } => {
            arguments.push(to.into());
            OWED_FIRED.rows(&arguments, read)
        }
    }
}

/// A payload with its size in bytes; too long a one is not loaded.
pub fn load_queued(id: i64, longest: i64) -> Result<Option<(i64, Option<String>)>> {
    LOAD_QUEUED.row(&[id.into(), longest.into()], |row| Ok((column(row, 1)?, nullable(row, 2)?)))
}

/// What a fired alert says.
pub fn load_fired(id: i64) -> Result<Option<Texts>> {
    LOAD_FIRED.row(&[id.into()], |row| {
        Ok(Texts { labels: column(row, 1)?, annotations: column(row, 2)?, generator_url: nullable(row, 3)? })
    })
}

/// When something becomes due that is not due at `now`.
pub fn next_due(now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let due = NEXT_DUE
        .row(&[convert::timestamptz(now)?.into()], |row| nullable::<TimestampWithTimeZone>(row, 1))?
        .flatten();
    // A time no calendar holds is never due.
    Ok(due.and_then(|at| convert::moment(at.into())))
}

/// Who has taken something, and what that means.
pub struct Taker {
    pub target: i32,
    pub others: Vec<i32>,
    /// Whether a row counts as sent only when every target has it.
    pub needs_all: bool,
}

/// What a target has taken of the queue.
pub fn take_queued(ids: Vec<i64>, taker: &Taker, nothing_is_owed: bool, code: Option<i32>) -> Result<()> {
    if nothing_is_owed && taker.others.is_empty() {
        return TAKE_QUEUED_ALONE.run(&[ids.into(), code.into()]).map(drop);
    }
    let arguments =
        [ids.into(), taker.target.into(), taker.others.clone().into(), code.into(), taker.needs_all.into()];
    TAKE_QUEUED.run(&arguments).map(drop)
}

/// One fired alert as it was told.
pub struct Told {
    pub id: i64,
    pub revision: i64,
    pub next_at: Option<DateTime<Utc>>,
    pub ends_at: DateTime<Utc>,
}

/// What a target has taken of the fired alerts.
pub fn take_fired(told: &[Told], taker: &Taker, now: DateTime<Utc>, code: Option<i32>) -> Result<()> {
    let next_at: Vec<_> = told.iter().map(|one| timestamptz(one.next_at)).collect::<Result<_>>()?;
    let ends_at: Vec<_> = told.iter().map(|one| timestamptz(Some(one.ends_at))).collect::<Result<_>>()?;
    let arguments = [
        told.iter().map(|one| one.id).collect::<Vec<_>>().into(),
        told.iter().map(|one| one.revision).collect::<Vec<_>>().into(),
        next_at.into(),
        ends_at.into(),
        taker.target.into(),
        convert::timestamptz(now)?.into(),
        code.into(),
        taker.needs_all.into(),
        taker.others.clone().into(),
    ];
    TAKE_FIRED.run(&arguments).map(drop)
}

/// What an attempt brought that was not taken.
pub struct Miss<'a> {
    pub code: Option<i32>,
    pub error: Option<&'a str>,
}

/// Rows of the queue that were not taken: given up, or tried again, at `next_at` at the soonest.
pub fn miss_queued(
    ids: Vec<i64>,
    is_dead: bool,
    next_at: Option<DateTime<Utc>>,
    miss: &Miss<'_>,
) -> Result<()> {
    let arguments =
        [ids.into(), is_dead.into(), timestamptz(next_at)?.into(), miss.code.into(), miss.error.into()];
    MISS_QUEUED.run(&arguments).map(drop)
}

/// Fired alerts, by id and revision, that were not taken: tried again at `next_at` at the soonest.
pub fn miss_fired(
    alerts: (Vec<i64>, Vec<i64>),
    next_at: DateTime<Utc>,
    now: DateTime<Utc>,
    miss: &Miss<'_>,
) -> Result<()> {
    let arguments = [
        alerts.0.into(),
        alerts.1.into(),
        convert::timestamptz(next_at)?.into(),
        miss.code.into(),
        miss.error.into(),
        convert::timestamptz(now)?.into(),
    ];
    MISS_FIRED.run(&arguments).map(drop)
}

/// Rows of the queue that a target has refused.
pub fn refuse_queued(ids: Vec<i64>, target: i32, others: &[i32], miss: &Miss<'_>) -> Result<()> {
    let arguments = [ids.into(), target.into(), others.to_vec().into(), miss.code.into(), miss.error.into()];
    REFUSE_QUEUED.run(&arguments).map(drop)
}

/// Fired alerts, by id and revision, that a target has refused.
pub fn refuse_fired(alerts: (Vec<i64>, Vec<i64>), target: i32) -> Result<()> {
    REFUSE_FIRED.run(&[alerts.0.into(), alerts.1.into(), target.into()]).map(drop)
}

/// Locks what is free of these rows of the queue: which of them somebody else holds.
pub fn lock_queued(ids: Vec<i64>) -> Result<Vec<i64>> {
    held(&LOCK_QUEUED, &FIND_QUEUED, ids)
}

/// Locks what is free of these fired alerts: which of them somebody else holds.
pub fn lock_fired(ids: Vec<i64>) -> Result<Vec<i64>> {
    held(&LOCK_FIRED, &FIND_FIRED, ids)
}

/// What could not be locked and is still there.
fn held(lock: &'static Statement, find: &'static Statement, mut ids: Vec<i64>) -> Result<Vec<i64>> {
    let free: HashSet<i64> = lock.rows(&[ids.clone().into()], |row| column(row, 1))?.into_iter().collect();
    ids.retain(|id| !free.contains(id));
    if ids.is_empty() {
        return Ok(ids);
    }
    find.rows(&[ids.into()], |row| column(row, 1))
}

fn timestamptz(at: Option<DateTime<Utc>>) -> Result<Option<TimestampWithTimeZone>> {
    at.map(convert::timestamptz).transpose()
}
