//! What became of what was sent.
//!
//! What a row looks like when it is settled may differ from what was read: it may have been fired anew, cancelled, taken by another
//! target. So a statement here says what to do in each case.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, INT4ARRAYOID, INT4OID, INT8ARRAYOID, TEXTOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZOID,
};
use pgrx::prelude::*;

use crate::convert;
use crate::db::{Statement, column};
use crate::error::Result;

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
