//! The coordination room's memory: envelopes and the kill switch.
//!
//! All of it is read and changed under the locks that the callers hold, so what is committed at this moment is all there is to know, whatever their
//! isolation level.

use chrono::{DateTime, Utc};
use costsim_core::audit::Class;
use costsim_core::coordination::{Active, Request};
use pgrx::pg_sys::BuiltinOid::{BOOLOID, INT8ARRAYOID, JSONBOID, TEXTOID, TIMESTAMPTZOID};

use crate::convert::{self, Jsonb};
use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

static STATE: Statement = Statement::current(
    "SELECT EXISTS (SELECT FROM @schema@.costsim_kill_switch k WHERE k.is_active),
            (SELECT count(*)::integer FROM @schema@.costsim_envelopes e
              WHERE e.status = 'active' AND coalesce(e.tenant_id, '') = coalesce($1, '')),
            session_user::text",
    &[TEXTOID],
);

static IS_KILLED: Statement =
    Statement::current("SELECT EXISTS (SELECT FROM @schema@.costsim_kill_switch k WHERE k.is_active)", &[]);

static SCOPE: Statement = Statement::current(
    "SELECT e.id, e.envelope_id, e.subsystem, e.parameter, e.envelope_class, e.value IS NOT DISTINCT FROM $4
       FROM @schema@.costsim_envelopes e
      WHERE e.status = 'active' AND coalesce(e.tenant_id, '') = coalesce($1, '') AND (e.subsystem = $2 OR e.envelope_id = $3)
      ORDER BY e.id",
    &[TEXTOID, TEXTOID, TEXTOID, JSONBOID],
);

static ACTIVE: Statement = Statement::current(
    "SELECT e.id, e.envelope_id, e.subsystem, e.parameter, e.envelope_class, false
       FROM @schema@.costsim_envelopes e
      WHERE e.status = 'active' AND coalesce(e.tenant_id, '') = coalesce($1, '') AND e.envelope_id = $2",
    &[TEXTOID, TEXTOID],
);

static ALL_ACTIVE: Statement = Statement::current(
    "SELECT e.id, e.envelope_id, e.subsystem, e.parameter, e.envelope_class, false, e.tenant_id,
            (count(*) OVER (PARTITION BY coalesce(e.tenant_id, '')))::integer
       FROM @schema@.costsim_envelopes e
      WHERE e.status = 'active'
      ORDER BY e.id",
    &[],
);

static APPLY: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_envelopes
            (envelope_id, tenant_id, subsystem, parameter, envelope_class, value, reason, applied_by, applied_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, session_user::text), $9)",
    &[TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TIMESTAMPTZOID],
);

static END: Statement = Statement::current(
    "UPDATE @schema@.costsim_envelopes e SET status = $2, ended_at = $3, ended_by = $4, ended_reason = $5
      WHERE e.id = ANY ($1) AND e.status = 'active'",
    &[INT8ARRAYOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID],
);

static TURN: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_kill_switch AS k (is_active, changed_at, changed_by, reason) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE
        SET is_active = excluded.is_active, changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason",
    &[BOOLOID, TIMESTAMPTZOID, TEXTOID, TEXTOID],
);

/// What a decision needs to know besides what is active where it is made.
pub struct State {
    pub is_killed: bool,
    /// How many envelopes of the tenant are active.
    pub active_count: i32,
    /// Whose session this is.
    pub user: String,
}

pub fn state(tenant_id: Option<&str>) -> Result<State> {
    STATE
        .row(&[tenant_id.into()], |row| {
            Ok(State { is_killed: column(row, 1)?, active_count: column(row, 2)?, user: column(row, 3)? })
        })?
        .ok_or_else(|| Error::Internal("the state of coordination has no row".into()))
}

/// Whether the kill switch is active.
pub fn is_killed() -> Result<bool> {
    IS_KILLED
        .row(&[], |row| column(row, 1))?
        .ok_or_else(|| Error::Internal("the state of coordination has no row".into()))
}

/// What is active in the subsystem, and the envelope itself wherever it is.
pub fn scope(tenant_id: Option<&str>, request: &Request<'_>, value: Option<Jsonb>) -> Result<Vec<Active>> {
    let arguments =
        [tenant_id.into(), request.subsystem.into(), request.envelope_id.into(), Jsonb::argument(value)];
    SCOPE.rows(&arguments, read)
}

/// The envelope, where it is active.
pub fn active(tenant_id: Option<&str>, envelope_id: &str) -> Result<Option<Active>> {
    ACTIVE.row(&[tenant_id.into(), envelope_id.into()], read)
}

/// An active envelope, and whose it is.
pub struct Envelope {
    pub envelope: Active,
    pub tenant_id: Option<String>,
    /// How many envelopes of the tenant are active.
    pub active_count: i32,
}

/// Every tenant's, in the order in which they were applied.
pub fn all_active() -> Result<Vec<Envelope>> {
    ALL_ACTIVE.rows(&[], |row| {
        Ok(Envelope { envelope: read(row)?, tenant_id: nullable(row, 7)?, active_count: column(row, 8)? })
    })
}

fn read(row: &Row<'_>) -> Result<Active> {
    let class: String = column(row, 5)?;
    Ok(Active {
        id: column(row, 1)?,
        envelope_id: column(row, 2)?,
        subsystem: column(row, 3)?,
        parameter: column(row, 4)?,
        class: Class::parse(&class)
            .ok_or_else(|| Error::Internal(format!("an envelope has class {class}, which is none")))?,
        has_that_value: column(row, 6)?,
    })
}

/// Makes the envelope active.
pub fn apply(
    request: &Request<'_>,
    class: Class,
    tenant_id: Option<&str>,
    value: Option<Jsonb>,
    applied_by: Option<&str>,
    at: DateTime<Utc>,
) -> Result<()> {
    let arguments = [
        request.envelope_id.into(),
        tenant_id.into(),
        request.subsystem.into(),
        request.parameter.into(),
        class.name().into(),
        Jsonb::argument(value),
        request.reason.into(),
        applied_by.into(),
        convert::timestamptz(at)?.into(),
    ];
    APPLY.run(&arguments).map(drop)
}

/// How an envelope ends.
pub struct Ending<'a> {
    pub status: &'static str,
    pub by: &'a str,
    pub reason: &'a str,
}

/// Ends these envelopes, all of which were active when they were read.
pub fn end(ids: &[i64], ending: &Ending<'_>, at: DateTime<Utc>) -> Result<()> {
    let arguments = [
        ids.to_vec().into(),
        ending.status.into(),
        convert::timestamptz(at)?.into(),
        ending.by.into(),
        ending.reason.into(),
    ];
    let ended = END.run(&arguments)?;
    if ended == ids.len() {
        return Ok(());
    }
    // Whoever changes rows by hand keeps to no lock of ours.
    Err(Error::Internal(format!("{} envelopes were to end, and {ended} were active", ids.len())))
}

/// Turns the kill switch.
pub fn turn(is_active: bool, changed_by: &str, reason: &str, at: DateTime<Utc>) -> Result<()> {
    let arguments = [is_active.into(), convert::timestamptz(at)?.into(), changed_by.into(), reason.into()];
    TURN.run(&arguments).map(drop)
}
