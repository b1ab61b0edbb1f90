//! Dead letters: what could not be recorded, and why. They are counted by what is there, and written again when what stood in the way is gone.

use std::panic::AssertUnwindSafe;

use chrono::TimeDelta;
use pgrx::datum::Uuid;
use pgrx::pg_sys::BuiltinOid::{INT8OID, TEXTARRAYOID, TEXTOID, UUIDARRAYOID, UUIDOID};
use pgrx::prelude::*;

use super::record::Asked;
use super::{LOCKED, PATIENCE, store};
use crate::db::{self, Refusal, Statement, column, nullable};
use crate::error::{Error, Result};

/// How long a dead letter waits for a lock, after the record has waited.
const LAST_PATIENCE: TimeDelta = TimeDelta::milliseconds(250);

static KEEP: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_audit_failures (record, sqlstate, message, audit_id)
     SELECT l.record::jsonb, l.sqlstate, l.message, l.audit_id
       FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS l (record, sqlstate, message, audit_id, nth)
      ORDER BY l.nth
     RETURNING id",
    &[TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, UUIDARRAYOID],
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

/// Keeps what could not be recorded, and why: all of it among the dead letters, else in the server's log. One warning tells of all.
pub fn keep(letters: &[(Asked<'_>, Refusal)]) -> Result<()> {
    let Some((_, first)) = letters.first() else { return Ok(()) };
    let records = letters
        .iter()
        .map(|(asked, _)| serde_json::to_string(&asked.cut()))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| Error::Internal(format!("a record without a text: {error}")))?;
    let insert = || {
        let refusals = || letters.iter().map(|(_, refusal)| refusal);
        let ids: Vec<Option<Uuid>> =
            letters.iter().map(|(asked, _)| asked.id().ok().map(Uuid::from_bytes)).collect();
        db::as_owner_of(db::relation(c"costsim_audit_failures")?, || {
            let arguments = [
                records.clone().into(),
                refusals().map(|refusal| refusal.sqlstate.clone()).collect::<Vec<_>>().into(),
                refusals().map(|refusal| refusal.message.clone()).collect::<Vec<_>>().into(),
                ids.into(),
            ];
            let kept = KEEP.rows(&arguments, |row| column::<i64>(row, 1))?;
            if kept.len() == letters.len() { Ok(kept) } else { Err(kept_out()) }
        })
    };
    let detail = match db::contain_within(LAST_PATIENCE, AssertUnwindSafe(insert))? {
        Ok(kept) => match (kept.first(), kept.last()) {
            (Some(first), Some(last)) if first != last => {
                format!("They are kept in costsim_audit_failures, from number {first} to {last}.")
            }
            (Some(id), _) => format!("It is kept as number {id} in costsim_audit_failures."),
            (None, _) => String::new(),
        },
        Err(why) => {
            for record in &records {
                ereport!(
                    PgLogLevel::LOG,
                    PgSqlErrorCode::ERRCODE_WARNING,
                    "an audit record is in this log alone",
                    format!("The record: {record}")
                );
            }
            let subject = if records.len() == 1 { "It is" } else { "They are" };
            format!("{subject} in the server's log alone: {}.", why.message)
        }
    };
    let what = match letters.len() {
        1 => "an audit record was not written".into(),
        count => format!("{count} audit records were not written, the first of them"),
    };
    ereport!(
        PgLogLevel::WARNING,
        PgSqlErrorCode::ERRCODE_WARNING,
        format!("{what}: {} ({})", first.message, first.sqlstate),
        detail
    );
    Ok(())
}

fn kept_out() -> Error {
    Error::Stays {
        what: "a trigger has kept dead letters out".into(),
        hint: "Look at the triggers of costsim_audit_failures.",
    }
}

/// Tries dead letters again, at most so many: how many are written now. It goes no further than to the first that waits for a lock in vain.
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
        if outcome.is_err_and(|refusal| refusal.sqlstate == LOCKED) {
            break;
        }
    }
    Ok(written)
}
