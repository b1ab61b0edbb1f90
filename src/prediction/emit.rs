//! An application's own predictions.

use pgrx::pg_sys::BuiltinOid::{FLOAT8OID, INT8OID, JSONBOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use super::name;
use crate::clock;
use crate::convert::{self, Jsonb, LONGEST_DOCUMENT, short_text};
use crate::db::{self, Statement, column};
use crate::error::{Answer, Error, Result, required};

/// The most bytes of a type's name.
const LONGEST_TYPE: usize = 128;

/// So often it is tried to take the place of what others say at the same moment.
const TURNS: usize = 3;

/// The most characters of a note.
const LONGEST_NOTE: usize = 10_000;

static SUPERSEDE: Statement = Statement::current(
    "UPDATE @schema@.costsim_predictions AS p
        SET superseded_at = pg_catalog.clock_timestamp()
      WHERE p.tenant_id OPERATOR(pg_catalog.=) $1 AND p.prediction_type OPERATOR(pg_catalog.=) $2
        AND p.subject_type OPERATOR(pg_catalog.=) $3 AND p.subject_id OPERATOR(pg_catalog.=) $4
        AND p.method OPERATOR(pg_catalog.=) 'external'::pg_catalog.text AND p.superseded_at IS NULL
     RETURNING p.id",
    &[TEXTOID, TEXTOID, TEXTOID, TEXTOID],
);

static WRITE: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_predictions (
            tenant_id, prediction_type, subject_type, subject_id, method, confidence_score, prediction_value, contributing_factors, notes,
            created_at, expires_at)
     SELECT $1, $2, $3, $4, 'external', $5, $6, $7, $9, c.c, coalesce($8, c.c OPERATOR(pg_catalog.+) '24 hours'::pg_catalog.interval)
       FROM pg_catalog.clock_timestamp() AS c (c)
      WHERE $8 IS NULL OR $8 OPERATOR(pg_catalog.>) c.c
     ON CONFLICT (tenant_id, prediction_type, subject_type, subject_id, method) WHERE superseded_at IS NULL DO NOTHING
     RETURNING id",
    &[TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, JSONBOID, JSONBOID, TIMESTAMPTZOID, TEXTOID],
);

static LINK: Statement = Statement::current(
    "UPDATE @schema@.costsim_predictions AS p SET superseded_by = $2 WHERE p.id OPERATOR(pg_catalog.=) $1",
    &[INT8OID, INT8OID],
);

/// Keeps an application's own prediction, in place of its former one of the same type and subject: its id.
#[pg_extern(volatile, parallel_unsafe, requires = ["prediction"])]
#[expect(clippy::too_many_arguments, reason = "the columns of a prediction")]
fn costsim_emit_prediction(
    tenant_id: Option<&str>,
    prediction_type: Option<&str>,
    subject_type: Option<&str>,
    subject_id: Option<&str>,
    confidence_score: Option<f64>,
    prediction_value: Option<Jsonb>,
    contributing_factors: default!(Option<Jsonb>, "'[]'"),
    expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    notes: default!(Option<&str>, "NULL"),
) -> Answer<i64> {
    db::require_writable(c"costsim_emit_prediction()");
    let tenant = name(required(tenant_id, "tenant_id")?, "tenant_id")?;
    let kind = required(prediction_type, "prediction_type")?;
    if kind.is_empty() || kind.len() > LONGEST_TYPE {
        let what = format!("prediction_type must have 1 to {LONGEST_TYPE} bytes");
        return Err(Error::invalid(what, "Name what is predicted, such as latency_breach.").into());
    }
    let subject_type = required(subject_type, "subject_type")?;
    if !["worker", "run", "tenant"].contains(&subject_type) {
        return Err(
            Error::invalid("unknown subject_type", "A subject is a worker, a run or a tenant.").into()
        );
    }
    let subject = name(required(subject_id, "subject_id")?, "subject_id")?;
    let confidence = required(confidence_score, "confidence_score")?;
    if !(0.0..=1.0).contains(&confidence) {
        return Err(Error::invalid(
            "confidence_score must be between 0 and 1",
            "Pass a probability; 0.8 is four of five.",
        )
        .into());
    }
    let value = document(prediction_value, "prediction_value")?;
    let factors = document(contributing_factors, "contributing_factors")?;
    let expires = expires_at.map(|moment| convert::finite_moment(moment, "expires_at")).transpose()?;
    let check_expiry = || match expires {
        Some(expires) if expires <= clock::now() => {
            Err(Error::invalid("expires_at must lie in the future", "Leave it out for 24 hours from now."))
        }
        _ => Ok(()),
    };
    check_expiry()?;
    if let Some(notes) = notes {
        short_text(notes, "notes", LONGEST_NOTE, "Leave it out, or say something.")?;
    }
    for _ in 0..TURNS {
        // What another session is just saying is waited for, and then superseded.
        let key = [tenant.into(), kind.into(), subject_type.into(), subject.into()];
        let former: Option<i64> = SUPERSEDE.row(&key, |row| column(row, 1))?;
        let written: Option<i64> = WRITE.row(
            &[
                tenant.into(),
                kind.into(),
                subject_type.into(),
                subject.into(),
                confidence.into(),
                Jsonb::argument(Some(value)),
                Jsonb::argument(Some(factors)),
                expires_at.into(),
                notes.into(),
            ],
            |row| column(row, 1),
        )?;
        if let Some(id) = written {
            if let Some(former) = former {
                LINK.run(&[former.into(), id.into()])?;
            }
            return Ok(id);
        }
        // It may have passed while somebody was waited for.
        check_expiry()?;
        pgrx::check_for_interrupts!();
    }
    Err(Error::Stays {
        what: "the prediction could not be written".into(),
        hint: "A trigger of costsim_predictions may keep rows out, or a policy hide the current row, or keep it from being updated: \
               whoever emits needs to select, insert and update the tenant's rows.",
    }
    .into())
}

/// A document that is not too large.
fn document(value: Option<Jsonb>, argument: &'static str) -> Result<Jsonb> {
    let value = required(value, argument)?;
    if value.size() > LONGEST_DOCUMENT {
        let what = format!("{argument} has {} bytes, more than {LONGEST_DOCUMENT}", value.size());
        return Err(Error::invalid(what, "Pass what people will read, and keep the rest elsewhere."));
    }
    Ok(value)
}
