//! The leader room's memory: the row of a lock id's latest term.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TEXTOID};

use crate::db::{Statement, column, nullable};
use crate::error::Result;

/// The previous term's token, under a row lock to the end of the transaction, and the timeline the server writes on.
/// `pg_walfile_name` begins with the timeline in eight hexadecimal digits on every supported major.
static PREVIOUS: Statement = Statement::deciding(
    "SELECT t.token, ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int8
       FROM (SELECT) AS always
       LEFT JOIN LATERAL (SELECT token FROM @schema@.costsim_leaders WHERE lock_id = $1 FOR UPDATE) t ON true",
    &[INT8OID],
);

static BEGIN: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_leaders AS t (lock_id, node_id, pid, backend_start, epoch, token, acquired_at)
     SELECT $1, $2, a.pid, a.backend_start, $3 & 4294967295, $3, pg_catalog.clock_timestamp()
       FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a
     ON CONFLICT (lock_id) DO UPDATE
        SET node_id = excluded.node_id, pid = excluded.pid, backend_start = excluded.backend_start,
            epoch = excluded.epoch, token = excluded.token, acquired_at = excluded.acquired_at, released_at = NULL",
    &[INT8OID, TEXTOID, INT8OID],
);

static END: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_leaders SET released_at = pg_catalog.clock_timestamp()
      WHERE lock_id = $1 AND token = $2 AND released_at IS NULL",
    &[INT8OID, INT8OID],
);

static ANNOUNCE: Statement = Statement::deciding(
    "SELECT pg_catalog.pg_notify('costsim_leader_released', $1::pg_catalog.text)",
    &[INT8OID],
);

/// The token of the lock id's latest term, if it ever had one, and the server's timeline.
pub fn previous_token(lock_id: i64) -> Result<(Option<i64>, i64)> {
    let found = PREVIOUS.row(&[lock_id.into()], |row| Ok((nullable(row, 1)?, column(row, 2)?)))?;
    Ok(found.unwrap_or((None, 1)))
}

/// Writes the row of a new term of this session.
pub fn begin_term(lock_id: i64, node_id: Option<&str>, token: i64) -> Result<()> {
    BEGIN.run(&[lock_id.into(), node_id.into(), token.into()]).map(drop)
}

/// Marks a term as given back.
pub fn end_term(lock_id: i64, token: i64) -> Result<()> {
    END.run(&[lock_id.into(), token.into()]).map(drop)
}

/// Tells listeners that the lock is free; the server delivers it after the commit has unlocked.
pub fn announce_release(lock_id: i64) -> Result<()> {
    ANNOUNCE.run(&[lock_id.into()]).map(drop)
}
