//! What a target is owed. Read in a transaction that takes no lock; what a row has become when it is settled is for
//! [`settle`](super::settle) to see.

use chrono::{DateTime, Utc};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{INT4OID, INT8ARRAYOID, INT8OID, TIMESTAMPTZOID};
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
