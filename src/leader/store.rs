//! The leader room's memory: the row of a lock id's latest term, and the history of what became of terms.
//!
//! A term is changed under the lock [`crate::lock::try_change`], so what is committed at this moment is all there is to know, whatever
//! the caller's isolation level.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use costsim_core::lease::{Ending, Mode, Term};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{INT4OID, INT8OID, INTERVALOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::convert;
use crate::db::{Statement, column, nullable};
use crate::error::{Error, Result};

static LATEST: Statement = Statement::current(
    "SELECT mode = 'lease', token, node_id, lease_until, released_at IS NOT NULL
       FROM @schema@.costsim_leaders WHERE lock_id = $1",
    &[INT8OID],
);

/// The row and what happened, in one statement: the end of the term before, if nobody told of it, and the new one.
static BEGIN: Statement = Statement::current(
    "WITH before AS (
         SELECT lock_id, node_id, pid, token, mode FROM @schema@.costsim_leaders WHERE lock_id = $1 AND $10 IS NOT NULL
     ), term AS (
         INSERT INTO @schema@.costsim_leaders AS t
                (lock_id, node_id, mode, pid, backend_start, epoch, token, acquired_at, renewed_at, lease, lease_until)
         VALUES ($1, $2, $3, $4, $5, $6 & 4294967295, $6, $7, $7, $8, $7 + $8)
         ON CONFLICT (lock_id) DO UPDATE
            SET node_id = excluded.node_id, mode = excluded.mode, pid = excluded.pid, backend_start = excluded.backend_start,
                epoch = excluded.epoch, token = excluded.token, acquired_at = excluded.acquired_at,
                renewed_at = excluded.renewed_at, lease = excluded.lease, lease_until = excluded.lease_until, released_at = NULL
         RETURNING lock_id, node_id, pid, token, mode
     )
     INSERT INTO @schema@.costsim_leader_events (at, lock_id, event, node_id, pid, token, mode, reason)
     SELECT $7, b.lock_id, $9, b.node_id, b.pid, b.token, b.mode, $10 FROM before b
     UNION ALL
     SELECT $7, t.lock_id, 'acquired', t.node_id, t.pid, t.token, t.mode, NULL FROM term t",
    &[INT8OID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, INTERVALOID, TEXTOID, TEXTOID],
);

static RENEW: Statement = Statement::current(
    "UPDATE @schema@.costsim_leaders
        SET renewed_at = $3, lease = coalesce($4, lease), lease_until = $3 + coalesce($4, lease)
      WHERE lock_id = $1 AND token = $2 AND released_at IS NULL
  RETURNING lease_until",
    &[INT8OID, INT8OID, TIMESTAMPTZOID, INTERVALOID],
);

static END: Statement = Statement::current(
    "WITH term AS (
         UPDATE @schema@.costsim_leaders SET released_at = $3
          WHERE lock_id = $1 AND token = $2 AND released_at IS NULL
      RETURNING lock_id, node_id, pid, token, mode
     )
     INSERT INTO @schema@.costsim_leader_events (at, lock_id, event, node_id, pid, token, mode, reason)
     SELECT $3, t.lock_id, $4, t.node_id, t.pid, t.token, t.mode, $5 FROM term t",
    &[INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID],
);

/// Once for each term, node and reason, however often it comes to pass.
static NOTE: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_leader_events (lock_id, event, node_id, pid, token, mode, reason)
     SELECT t.lock_id, $3, coalesce($4, t.node_id), t.pid, t.token, t.mode, $5
       FROM @schema@.costsim_leaders t
      WHERE t.lock_id = $1 AND t.token = $2
        AND NOT EXISTS (SELECT FROM @schema@.costsim_leader_events e
                         WHERE e.lock_id = $1 AND e.token = $2 AND e.event = $3 AND e.reason = $5
                           AND e.node_id IS NOT DISTINCT FROM coalesce($4, t.node_id))",
    &[INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID],
);

static ANNOUNCE: Statement = Statement::deciding(
    "SELECT pg_catalog.pg_notify('costsim_leader_released', $1::pg_catalog.text)",
    &[INT8OID],
);

/// The process on record, if it is the one that leads by its session: of this database, started when the row says, and holding the
/// lock as well as the mark that only our functions set. And whether that process is just changing the term itself.
static LEADING_PROCESS: Statement = Statement::current(
    "SELECT t.pid, EXISTS (SELECT FROM @schema@._costsim_locks(t.lock_id) l WHERE l.pid = t.pid AND l.space = 6 AND l.is_granted)
       FROM @schema@.costsim_leaders t, LATERAL pg_catalog.pg_stat_get_activity(t.pid) a
      WHERE t.lock_id = $1 AND t.token = $2 AND t.released_at IS NULL AND t.mode = 'session'
        AND a.backend_start = t.backend_start
        AND a.datid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
        AND (SELECT count(DISTINCT l.space) FROM @schema@._costsim_locks(t.lock_id) l
              WHERE l.pid = t.pid AND l.is_granted AND l.space IN (1, 3)) = 2",
    &[INT8OID, INT8OID],
);

static TERMINATE: Statement = Statement::current("SELECT pg_catalog.pg_terminate_backend($1)", &[INT4OID]);

static LOCK_ID: Statement =
    Statement::reading("SELECT lock_id FROM @schema@.costsim_locks WHERE name = $1", &[TEXTOID]);

/// With every argument, so that no other function of that name can be a better match.
static WAIT_AS_CALLER: Statement = Statement::current(
    "SELECT @schema@.costsim_wait_leader($1, $2, NULL::pg_catalog.text, NULL::pg_catalog.interval)",
    &[INT8OID, INTERVALOID],
);

static RELEASE_AS_CALLER: Statement =
    Statement::current("SELECT @schema@.costsim_release_leader($1)", &[INT8OID]);

/// What is on record of the lock id's latest term, if it ever had one.
pub fn latest(lock_id: i64) -> Result<Option<Term>> {
    LATEST.row(&[lock_id.into()], |row| {
        Ok(Term {
            mode: if column(row, 1)? { Mode::Lease } else { Mode::Session },
            token: column(row, 2)?,
            node_id: nullable(row, 3)?,
            lease_until: nullable::<TimestampWithTimeZone>(row, 4)?
                .map(|until| convert::finite_moment(until, "lease_until"))
                .transpose()?,
            is_released: column(row, 5)?,
        })
    })
}

/// A term that begins.
pub struct NewTerm<'a> {
    pub lock_id: i64,
    pub node_id: Option<&'a str>,
    pub mode: Mode,
    pub lease: Option<Interval>,
    pub token: i64,
    pub now: DateTime<Utc>,
    /// How the one before ended, if nobody has told yet: whoever begins the next term does.
    pub before: Option<Ended>,
}

/// What there is to tell of a term that ended without a word.
pub struct Ended {
    event: &'static str,
    reason: Cow<'static, str>,
}

impl Ended {
    /// It came to its end by itself.
    pub fn by_itself(ending: Ending) -> Option<Self> {
        let reason = match ending {
            Ending::Released => return None,
            Ending::Expired => "its lease ran out",
            Ending::SessionGone => "its session ended, or let go of the lock",
            Ending::ServerReplaced => "a standby took the server's place",
        };
        Some(Self { event: "expired", reason: reason.into() })
    }

    /// Its session was ended for a candidate.
    pub fn by_eviction(candidate: Option<&str>) -> Self {
        let asking = candidate.map(|name| format!(" for \"{name}\"")).unwrap_or_default();
        Self { event: "preempted", reason: format!("its lease was over; evicted{asking}").into() }
    }
}

/// Writes the row of a new term of this process.
pub fn begin_term(term: &NewTerm<'_>) -> Result<()> {
    let mode = match term.mode {
        Mode::Session => "session",
        Mode::Lease => "lease",
    };
    // SAFETY: numbers of this process, set at its start.
    let (pid, started_at) = unsafe { (pg_sys::MyProcPid, pg_sys::MyStartTimestamp) };
    let started_at = TimestampWithTimeZone::try_from(started_at)
        .map_err(|_| Error::Internal("this process has no time of its start".into()))?;
    let arguments: [DatumWithOid<'_>; 10] = [
        term.lock_id.into(),
        term.node_id.into(),
        mode.into(),
        pid.into(),
        started_at.into(),
        term.token.into(),
        convert::timestamptz(term.now)?.into(),
        term.lease.into(),
        term.before.as_ref().map(|ended| ended.event).into(),
        term.before.as_ref().map(|ended| ended.reason.as_ref()).into(),
    ];
    BEGIN.run(&arguments).map(drop)
}

/// Moves the end of a term's lease: its new end, or the infinite one of a term without a lease. `None` when there is no such term any
/// more. `lease`: a new length; the old one stays if it is left out.
pub fn renew_term(
    lock_id: i64,
    token: i64,
    lease: Option<Interval>,
    now: DateTime<Utc>,
) -> Result<Option<TimestampWithTimeZone>> {
    let arguments = [lock_id.into(), token.into(), convert::timestamptz(now)?.into(), lease.into()];
    RENEW.row(&arguments, |row| column(row, 1))
}

/// Marks a term as given back.
pub fn end_term(
    lock_id: i64,
    token: i64,
    event: &str,
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    let now = convert::timestamptz(now)?;
    END.run(&[lock_id.into(), token.into(), now.into(), event.into(), reason.into()]).map(drop)
}

/// Writes down what happened to a term; `node_id`: to whom, if not to its leader.
pub fn note(lock_id: i64, token: i64, event: &str, node_id: Option<&str>, reason: &str) -> Result<()> {
    NOTE.run(&[lock_id.into(), token.into(), event.into(), node_id.into(), reason.into()]).map(drop)
}

/// Tells listeners that the lock is free; the server delivers it after the commit has unlocked.
pub fn announce_release(lock_id: i64) -> Result<()> {
    ANNOUNCE.run(&[lock_id.into()]).map(drop)
}

/// A process that leads by its session.
pub struct LeadingProcess {
    pub pid: i32,
    /// Whether its own open transaction changes the term.
    pub is_changing: bool,
}

/// The process that leads by the term of this token, if it is alive and really does.
pub fn leading_process(lock_id: i64, token: i64) -> Result<Option<LeadingProcess>> {
    LEADING_PROCESS.row(&[lock_id.into(), token.into()], |row| {
        Ok(LeadingProcess { pid: column(row, 1)?, is_changing: column(row, 2)? })
    })
}

/// Tells a process of the server to end: whether it was there to be told.
pub fn terminate(pid: i32) -> Result<bool> {
    Ok(TERMINATE.row(&[pid.into()], |row| column(row, 1))?.unwrap_or(false))
}

/// The lock id registered under a name.
pub fn lock_id(name: &str) -> Result<Option<i64>> {
    LOCK_ID.row(&[name.into()], |row| column(row, 1))
}

/// `costsim_wait_leader`, with the rights of whoever calls.
pub fn wait_as_caller(lock_id: i64, timeout: Interval) -> Result<bool> {
    Ok(WAIT_AS_CALLER.row(&[lock_id.into(), timeout.into()], |row| column(row, 1))?.unwrap_or(false))
}

/// `costsim_release_leader`, with the rights of whoever calls.
pub fn release_as_caller(lock_id: i64) -> Result<bool> {
    Ok(RELEASE_AS_CALLER.row(&[lock_id.into()], |row| column(row, 1))?.unwrap_or(false))
}
