//! The coordination room's memory: envelopes and the kill switch.
//!
//! All of it is read and changed under the locks that the callers hold, so what is committed at this moment is all there is to know, whatever their
//! isolation level. Each table is read and written as its owner, restricted as the server restricts maintenance. What is written is what was
//! asked for, or it is an error: a trigger of somebody's makes no answer untrue.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use costsim_core::audit::Class;
use costsim_core::coordination::{Active, Request};
use pgrx::pg_sys::BuiltinOid::{BOOLOID, INT8ARRAYOID, JSONBOID, TEXTOID, TIMESTAMPTZOID};

use crate::convert::{self, Jsonb};
use crate::db::{self, Row, Statement, column, nullable};
use crate::error::{Error, Result};

static ACTIVE_COUNT: Statement = Statement::current(
    "SELECT count(*)::integer, session_user::text FROM @schema@.costsim_envelopes e
      WHERE e.status = 'active' AND coalesce(e.tenant_id, '') = coalesce($1, '')",
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

/// Whoever changes rows by hand keeps to no lock of ours: these are his or ours from here on.
static HOLD: Statement = Statement::current(
    "SELECT e.id FROM @schema@.costsim_envelopes e WHERE e.id = ANY ($1) AND e.status = 'active' ORDER BY e.id FOR UPDATE",
    &[INT8ARRAYOID],
);

static HOLD_ALL: Statement = Statement::current(
    "SELECT e.id, e.envelope_id, e.subsystem, e.parameter, e.envelope_class, false, e.tenant_id
       FROM @schema@.costsim_envelopes e
      WHERE e.status = 'active'
      ORDER BY e.id FOR UPDATE",
    &[],
);

/// Answers whether the row says what it was to say, as the two below.
static APPLY: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_envelopes AS e
            (envelope_id, tenant_id, subsystem, parameter, envelope_class, value, reason, applied_by, applied_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, session_user::text), $9)
     RETURNING (e.envelope_id, e.subsystem, e.parameter, e.envelope_class, e.applied_by, e.applied_at, e.status)
                 = ($1, $3, $4, $5, coalesce($8, session_user::text), $9, 'active')
               AND e.tenant_id IS NOT DISTINCT FROM $2 AND e.value IS NOT DISTINCT FROM $6 AND e.reason IS NOT DISTINCT FROM $7",
    &[TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TIMESTAMPTZOID],
);

static END: Statement = Statement::current(
    "UPDATE @schema@.costsim_envelopes e SET status = $2, ended_at = $3, ended_by = $4, ended_reason = $5
      WHERE e.id = ANY ($1) AND e.status = 'active'
     RETURNING e.id, (e.status, e.ended_at, e.ended_by, e.ended_reason) = ($2, $3, $4, $5)",
    &[INT8ARRAYOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID],
);

static TURN: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_kill_switch AS k (is_active, changed_at, changed_by, reason) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE
        SET is_active = excluded.is_active, changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason
     RETURNING (k.is_active, k.changed_at, k.changed_by, k.reason) = ($1, $2, $3, $4)",
    &[BOOLOID, TIMESTAMPTZOID, TEXTOID, TEXTOID],
);

/// Whoever has put a trigger, a policy or an index of his own on a table of ours, it runs as the table's owner and no other.
fn on_envelopes<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    db::as_owner_of(db::relation(c"costsim_envelopes")?, body)
}

fn on_switch<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    db::as_owner_of(db::relation(c"costsim_kill_switch")?, body)
}

/// What a decision needs to know besides what is active where it is made.
pub struct State {
    pub is_killed: bool,
    /// How many envelopes of the tenant are active.
    pub active_count: i32,
    /// Whose session this is.
    pub user: String,
}

pub fn state(tenant_id: Option<&str>) -> Result<State> {
    let is_killed = is_killed()?;
    on_envelopes(|| {
        ACTIVE_COUNT.row(&[tenant_id.into()], |row| {
            Ok(State { is_killed, active_count: column(row, 1)?, user: column(row, 2)? })
        })
    })?
    .ok_or_else(|| Error::Internal("the state of coordination has no row".into()))
}

/// Whether the kill switch is active.
pub fn is_killed() -> Result<bool> {
    on_switch(|| IS_KILLED.row(&[], |row| column(row, 1)))?
        .ok_or_else(|| Error::Internal("the state of coordination has no row".into()))
}

/// What is active in the subsystem, and the envelope itself wherever it is.
pub fn scope(tenant_id: Option<&str>, request: &Request<'_>, value: Option<Jsonb>) -> Result<Vec<Active>> {
    let arguments =
        [tenant_id.into(), request.subsystem.into(), request.envelope_id.into(), Jsonb::argument(value)];
    on_envelopes(|| SCOPE.rows(&arguments, read))
}

/// The envelope, where it is active.
pub fn active(tenant_id: Option<&str>, envelope_id: &str) -> Result<Option<Active>> {
    on_envelopes(|| ACTIVE.row(&[tenant_id.into(), envelope_id.into()], read))
}

/// Keeps these envelopes as they are, from everybody, to the end of the transaction: those of them that are active still.
pub fn hold(ids: Vec<i64>) -> Result<HashSet<i64>> {
    Ok(on_envelopes(|| HOLD.rows(&[ids.into()], |row| column(row, 1)))?.into_iter().collect())
}

/// An active envelope, and whose it is.
pub struct Envelope {
    pub envelope: Active,
    pub tenant_id: Option<String>,
}

/// Keeps every tenant's as they are, in the order in which they were applied.
pub fn hold_all() -> Result<Vec<Envelope>> {
    on_envelopes(|| {
        HOLD_ALL.rows(&[], |row| Ok(Envelope { envelope: read(row)?, tenant_id: nullable(row, 7)? }))
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
    must_be_said(on_envelopes(|| APPLY.row(&arguments, |row| column(row, 1)))?)
}

/// How an envelope ends.
pub struct Ending<'a> {
    pub status: &'static str,
    pub by: &'a str,
    pub reason: &'a str,
}

/// Ends these envelopes, all of which are held: those that have ended, which are fewer where somebody's trigger comes between.
pub fn end_some(ids: &[i64], ending: &Ending<'_>, at: DateTime<Utc>) -> Result<HashSet<i64>> {
    let arguments = [
        ids.to_vec().into(),
        ending.status.into(),
        convert::timestamptz(at)?.into(),
        ending.by.into(),
        ending.reason.into(),
    ];
    let ended = on_envelopes(|| END.rows(&arguments, |row| Ok((column(row, 1)?, nullable(row, 2)?))))?;
    Ok(ended.into_iter().filter_map(|(id, says_so)| (says_so == Some(true)).then_some(id)).collect())
}

/// Ends all of them or none.
pub fn end(ids: &[i64], ending: &Ending<'_>, at: DateTime<Utc>) -> Result<()> {
    must_be_said(Some(end_some(ids, ending, at)?.len() == ids.len()))
}

/// Turns the kill switch.
pub fn turn(is_active: bool, changed_by: &str, reason: &str, at: DateTime<Utc>) -> Result<()> {
    let arguments = [is_active.into(), convert::timestamptz(at)?.into(), changed_by.into(), reason.into()];
    must_be_said(on_switch(|| TURN.row(&arguments, |row| column(row, 1)))?)
}

/// What is answered and audited must have happened.
fn must_be_said(says_so: Option<bool>) -> Result<()> {
    if says_so == Some(true) {
        return Ok(());
    }
    Err(Error::Stays {
        what: "a trigger or rule has come between coordination and its tables".into(),
        hint: "Nothing was changed. Look at the triggers and rules of costsim_envelopes and costsim_kill_switch.",
    })
}
