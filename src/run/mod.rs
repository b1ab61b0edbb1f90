//! Runs of workers: what patterns and predictions are made of, in a table of ours or read out of the application's own.
//!
//! A run goes from queued over running to an end, never back, and may be told of any number of times: what has ended stays as it is, whoever
//! speaks, and whoever comes too late is told that nothing has changed. An application with such a table of its own need not copy it
//! ([`make`]).
//!
//! Does not: start, stop or repeat a run, or ask whether an application's own table keeps to these rules.
//!
//! `source` where runs are read · `make` the view over the application's own table · `mapping` which column is which · `purge` runs of long ago

pub mod make;
mod mapping;
pub mod purge;
pub mod source;

pub use purge::purge_some;

use chrono::{DateTime, Utc};
use costsim_core::cost::{cost_fault, text_fault, time_fault};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::BuiltinOid::{BOOLOID, INT4OID, INT8OID, NUMERICOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::call::{called_by_server, must};
use crate::db::{self, Statement, column};
use crate::error::{Error, Result, required};
use crate::{clock, convert};

/// What a run can be, in this order; the last three are ends.
const STATUSES: [&str; 5] = ["queued", "running", "completed", "failed", "crashed"];

/// Of these, so many are no end.
const OPEN: usize = 2;

/// The most bytes of an error.
const LONGEST_ERROR: usize = 1 << 20;

/// A run as it is told of. What is not told stays as it is, or is what the table says.
struct Run<'a> {
    tenant_id: &'a str,
    worker_id: &'a str,
    status: &'a str,
    error: Option<&'a str>,
    cost_cents: Option<AnyNumeric>,
    tokens: Option<i64>,
    run_id: Option<&'a str>,
    is_retry: Option<bool>,
    attempt: Option<i32>,
    parent_run_id: Option<&'a str>,
    created_at: Option<TimestampWithTimeZone>,
    finished_at: Option<TimestampWithTimeZone>,
}

/// Writes what is new about a run: whether anything was. Whoever is late with a status that is past by now changes nothing.
static RECORD: Statement = Statement::deciding(
    "WITH told (id) AS MATERIALIZED (SELECT coalesce($7, pg_catalog.gen_random_uuid()::pg_catalog.text)),
          written AS (
         INSERT INTO @schema@.costsim_worker_runs AS r
                (id, tenant_id, worker_id, status, error, cost_cents, tokens, is_retry, attempt, parent_run_id, created_at, finished_at)
         SELECT t.id, $1, $2, $3, $4, $5, $6, coalesce($8, false), coalesce($9, 1), $10,
                coalesce($11, LEAST(pg_catalog.now(), $12)), CASE WHEN $13 THEN coalesce($12, GREATEST(pg_catalog.now(), $11)) END
           FROM told t
             ON CONFLICT (tenant_id, id) DO UPDATE
            SET worker_id = excluded.worker_id, status = excluded.status,
                error = coalesce(excluded.error, r.error), cost_cents = coalesce(excluded.cost_cents, r.cost_cents),
                tokens = coalesce(excluded.tokens, r.tokens), is_retry = coalesce($8, r.is_retry), attempt = coalesce($9, r.attempt),
                parent_run_id = coalesce(excluded.parent_run_id, r.parent_run_id), created_at = coalesce($11, r.created_at),
                finished_at = CASE WHEN $13 THEN coalesce($12, GREATEST(pg_catalog.now(), coalesce($11, r.created_at))) END
          WHERE (r.status OPERATOR(pg_catalog.=) 'queued'
                 OR r.status OPERATOR(pg_catalog.=) 'running' AND excluded.status OPERATOR(pg_catalog.<>) 'queued')
            AND pg_catalog.record_ne(
                ROW(r.worker_id, r.status, r.error, r.cost_cents, r.tokens, r.is_retry, r.attempt, r.parent_run_id, r.created_at),
                ROW(excluded.worker_id, excluded.status, coalesce(excluded.error, r.error), coalesce(excluded.cost_cents, r.cost_cents),
                    coalesce(excluded.tokens, r.tokens), coalesce($8, r.is_retry), coalesce($9, r.attempt),
                    coalesce(excluded.parent_run_id, r.parent_run_id), coalesce($11, r.created_at)))
            AND NOT coalesce($12 OPERATOR(pg_catalog.<) coalesce($11, r.created_at), false)
      RETURNING r.id)
     SELECT t.id, EXISTS (SELECT FROM written) FROM told t",
    &[
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        NUMERICOID,
        INT8OID,
        TEXTOID,
        BOOLOID,
        INT4OID,
        TEXTOID,
        TIMESTAMPTZOID,
        TIMESTAMPTZOID,
        BOOLOID,
    ],
);

/// Whether a run, which nothing was written of, is still open, and would have ended before it began. Its row is locked by then.
static IS_TORN: Statement = Statement::deciding(
    "SELECT true FROM @schema@.costsim_worker_runs r
      WHERE r.tenant_id OPERATOR(pg_catalog.=) $1 AND r.id OPERATOR(pg_catalog.=) $2
        AND (r.status OPERATOR(pg_catalog.=) 'queued' OR r.status OPERATOR(pg_catalog.=) 'running')
        AND $4 OPERATOR(pg_catalog.<) coalesce($3, r.created_at)",
    &[TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID],
);

/// Tells of a run: its name, and whether that changed anything.
#[pg_extern(volatile, parallel_unsafe, requires = ["run"])]
#[expect(clippy::too_many_arguments, reason = "the arguments are the columns")]
fn costsim_record_run(
    tenant_id: Option<&str>,
    worker_id: Option<&str>,
    status: Option<&str>,
    error: default!(Option<&str>, "NULL"),
    cost_cents: default!(Option<AnyNumeric>, "NULL"),
    tokens: default!(Option<i64>, "NULL"),
    run_id: default!(Option<&str>, "NULL"),
    is_retry: default!(Option<bool>, "NULL"),
    attempt: default!(Option<i32>, "NULL"),
    parent_run_id: default!(Option<&str>, "NULL"),
    created_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    finished_at: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> Result<TableIterator<'static, (name!(run_id, String), name!(is_changed, bool))>, ErrorReport> {
    db::require_writable(c"costsim_record_run()");
    let run = Run {
        tenant_id: required(tenant_id, "tenant_id")?,
        worker_id: required(worker_id, "worker_id")?,
        status: required(status, "status")?,
        error,
        cost_cents,
        tokens,
        run_id,
        is_retry,
        attempt,
        parent_run_id,
        created_at,
        finished_at,
    };
    run.check()?;
    Ok(TableIterator::once(run.write()?))
}

impl Run<'_> {
    fn has_ended(&self) -> bool {
        STATUSES[OPEN..].contains(&self.status)
    }

    /// Refuses what cannot be stored.
    fn check(&self) -> Result<()> {
        let texts = [
            ("tenant_id", Some(self.tenant_id)),
            ("worker_id", Some(self.worker_id)),
            ("run_id", self.run_id),
            ("parent_run_id", self.parent_run_id),
        ];
        for (name, text) in texts {
            refuse(name, text.and_then(|text| text_fault(text.as_bytes())))?;
        }
        if !STATUSES.contains(&self.status) {
            return Err(Error::invalid(
                format!("status must not be \"{}\"", convert::beginning(self.status, 100)),
                format!("A run is one of {}.", STATUSES.join(", ")),
            ));
        }
        if let Some(length) = self.error.map(str::len).filter(|&length| length > LONGEST_ERROR) {
            refuse("error", Some(format!("has {length} bytes, more than {LONGEST_ERROR}")))?;
        }
        refuse("cost_cents", self.cost_cents.as_ref().and_then(|cents| cost_fault(&cents.to_string())))?;
        refuse("tokens", self.tokens.filter(|&tokens| tokens < 0).map(|_| "must not be negative".into()))?;
        refuse("attempt", self.attempt.filter(|&attempt| attempt < 1).map(|_| "must be at least 1".into()))?;
        let created_at = moment(self.created_at, "created_at")?;
        let finished_at = moment(self.finished_at, "finished_at")?;
        if finished_at.is_some() && !self.has_ended() {
            return Err(unfit(format!(
                "finished_at must be null, for a run that is {} has not ended",
                self.status
            )));
        }
        if let (Some(begun), Some(ended)) = (created_at, finished_at)
            && ended < begun
        {
            return Err(torn());
        }
        Ok(())
    }

    fn write(self) -> Result<(String, bool)> {
        let has_ended = self.has_ended();
        let arguments = [
            self.tenant_id.into(),
            self.worker_id.into(),
            self.status.into(),
            self.error.into(),
            self.cost_cents.into(),
            self.tokens.into(),
            self.run_id.into(),
            self.is_retry.into(),
            self.attempt.into(),
            self.parent_run_id.into(),
            self.created_at.into(),
            self.finished_at.into(),
            has_ended.into(),
        ];
        let told = RECORD.row(&arguments, |row| Ok((column::<String>(row, 1)?, column::<bool>(row, 2)?)))?;
        let (id, is_changed) =
            told.ok_or_else(|| Error::Internal("a run was told of and nobody heard it".into()))?;
        if !is_changed && self.finished_at.is_some() {
            let arguments =
                [self.tenant_id.into(), id.as_str().into(), self.created_at.into(), self.finished_at.into()];
            if IS_TORN.row(&arguments, |row| column::<bool>(row, 1))?.is_some() {
                return Err(torn());
            }
        }
        Ok((id, is_changed))
    }
}

fn moment(at: Option<TimestampWithTimeZone>, argument: &'static str) -> Result<Option<DateTime<Utc>>> {
    let Some(at) = at else { return Ok(None) };
    let at = convert::finite_moment(at, argument)?;
    refuse(argument, time_fault(at, clock::now()))?;
    Ok(Some(at))
}

fn refuse(name: &'static str, fault: Option<String>) -> Result<()> {
    fault.map_or(Ok(()), |fault| Err(unfit(format!("{name} {fault}"))))
}

fn torn() -> Error {
    unfit("finished_at must not be before created_at".into())
}

fn unfit(what: String) -> Error {
    Error::invalid(
        what,
        "Names have 1 to 512 bytes, an error up to 1 MiB; cents and tokens are not negative; NULL stands for what is not known.",
    )
}

called_by_server! {
    /// After an UPDATE that has changed a run that had ended, or has taken one back. It refuses whoever calls it.
    _costsim_worker_runs_stay, pg_finfo__costsim_worker_runs_stay: |_fcinfo| {
        must(Err(ErrorReport::from(Error::Stays {
            what: "a run of a worker goes from queued over running to its end, and stays".into(),
            hint: "Record another run, with is_retry and parent_run_id where it repeats this one.",
        })))
    }
}
