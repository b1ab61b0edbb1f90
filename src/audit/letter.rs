//! Dead letters: what could not be recorded, and why. They are counted by what is there, and written again when what stood in the way is gone.

use std::panic::AssertUnwindSafe;

use chrono::TimeDelta;
use pgrx::datum::Uuid;
use pgrx::pg_sys::BuiltinOid::{INT8OID, JSONBOID, TEXTOID, UUIDOID};
use pgrx::prelude::*;

use super::record::Asked;
use super::{PATIENCE, store};
use crate::convert::Jsonb;
use crate::db::{self, Refusal, Statement, column, nullable};
use crate::error::{Error, Result};

/// How long a dead letter waits for a lock, after the record has waited.
const LAST_PATIENCE: TimeDelta = TimeDelta::milliseconds(250);

static KEEP: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_audit_failures (record, sqlstate, message, audit_id) VALUES ($1, $2, $3, $4) RETURNING id",
    &[JSONBOID, TEXTOID, TEXTOID, UUIDOID],
);

/// Those that somebody else is at are his.
static NEXT: Statement = Statement::current(
    "SELECT id, record::text, audit_id FROM ONLY @schema@.costsim_audit_failures
      WHERE replayed_at IS NULL
      ORDER BY tried_at NULLS FIRST, id LIMIT $1 FOR UPDATE SKIP LOCKED",
    &[INT8OID],
);

static REPLAYED: Statement = Statement::current(
    "UPDATE ONLY @schema@.costsim_audit_failures
        SET tried_at = clock_timestamp(), replayed_at = clock_timestamp(), audit_id = $2 WHERE id = $1",
    &[INT8OID, UUIDOID],
);

static FAILED_AGAIN: Statement = Statement::current(
    "UPDATE ONLY @schema@.costsim_audit_failures SET tried_at = clock_timestamp(), sqlstate = $2, message = $3 WHERE id = $1",
    &[INT8OID, TEXTOID, TEXTOID],
);

/// Keeps what could not be recorded: among the dead letters, else in the server's log.
pub fn keep(asked: &Asked<'_>, refusal: &Refusal) -> Result<()> {
    let cut = asked.cut();
    let record = serde_json::to_string(&cut)
        .map_err(|error| Error::Internal(format!("a record without a text: {error}")))?;
    let letter = || {
        let record = Jsonb::read(&record)?;
        let id = asked.id().ok().map(Uuid::from_bytes);
        db::as_owner_of(db::relation(c"costsim_audit_failures")?, || {
            let arguments = [
                Jsonb::argument(Some(record)),
                refusal.sqlstate.as_str().into(),
                refusal.message.as_str().into(),
                id.into(),
            ];
            KEEP.row(&arguments, |row| column::<i64>(row, 1))
        })
    };
    let detail = match db::contain_within(LAST_PATIENCE, AssertUnwindSafe(letter))? {
        Ok(Some(id)) => format!("It is kept as number {id} in costsim_audit_failures."),
        lost => {
            let why = lost.err().map_or_else(|| "it was kept out".into(), |refusal| refusal.message);
            ereport!(
                PgLogLevel::LOG,
                PgSqlErrorCode::ERRCODE_WARNING,
                "an audit record is in this log alone",
                format!("The record: {record}")
            );
            format!("It is in the server's log alone: {why}.")
        }
    };
    ereport!(
        PgLogLevel::WARNING,
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("an audit record was not written: {} ({})", refusal.message, refusal.sqlstate),
        detail
    );
    Ok(())
}

/// Tries dead letters again, at most so many: how many are written now.
pub fn replay(most: i64) -> Result<usize> {
    let table = db::relation(c"costsim_audit_failures")?;
    let letters = db::as_owner_of(table, || {
        NEXT.rows(&[most.into()], |row| {
            Ok((column::<i64>(row, 1)?, column::<String>(row, 2)?, nullable::<Uuid>(row, 3)?))
        })
    })?;
    let mut written = 0;
    for (id, record, audit_id) in letters {
        pgrx::check_for_interrupts!();
        let outcome = db::contain_within(
            PATIENCE,
            AssertUnwindSafe(|| {
                let asked: Asked<'_> = serde_json::from_str(&record).map_err(|error| Error::Invalid {
                    what: "the record of a dead letter cannot be read".into(),
                    detail: Some(error.to_string()),
                    hint: "Its keys are the arguments of costsim_persist_audit_record.".into(),
                })?;
                let new_id = audit_id.map_or_else(store::new_id, |id| *id.as_bytes());
                store::write(&Asked { new_id, ..asked }.record()?)
            }),
        )?;
        db::as_owner_of(table, || match &outcome {
            Ok(audit_id) => REPLAYED.run(&[id.into(), (*audit_id).into()]),
            Err(refusal) => FAILED_AGAIN.run(&[
                id.into(),
                refusal.sqlstate.as_str().into(),
                refusal.message.as_str().into(),
            ]),
        })?;
        written += usize::from(outcome.is_ok());
    }
    Ok(written)
}
