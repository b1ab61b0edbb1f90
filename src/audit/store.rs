//! The record's table.

use std::cell::Cell;

use costsim_core::audit::Row;
use pgrx::datum::Uuid;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{BOOLOID, INT4OID, TEXTOID, TIMESTAMPTZOID, UUIDOID};

use super::record::Fit;
use crate::convert;
use crate::db::{self, Statement, column};
use crate::error::{Error, Result};

/// A statement that answers no row has met one with this number, or a trigger that kept it out.
static INSERT: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_audit_records
            (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at,
             conflicting_envelope_id, preempting_envelope_id, active_envelopes_count, tenant_id, recorded_by, content_digest)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     ON CONFLICT (audit_id) DO NOTHING
     RETURNING content_digest",
    &[
        UUIDOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TIMESTAMPTZOID,
        TIMESTAMPTZOID,
        TEXTOID,
        TEXTOID,
        INT4OID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
    ],
);

/// Whether the record of this number says the same; when it was written and by whom does not count, nor when it was decided if nobody has said that.
static SAME: Statement = Statement::current(
    "SELECT (envelope_id, envelope_class, decision, reason, active_envelopes_count) = ($2, $3, $4, $5, $9)
            AND ($11 OR decision_timestamp = $6)
            AND conflicting_envelope_id IS NOT DISTINCT FROM $7 AND preempting_envelope_id IS NOT DISTINCT FROM $8
            AND tenant_id IS NOT DISTINCT FROM $10
       FROM ONLY @schema@.costsim_audit_records WHERE audit_id = $1",
    &[
        UUIDOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TIMESTAMPTZOID,
        TEXTOID,
        TEXTOID,
        INT4OID,
        TEXTOID,
        BOOLOID,
    ],
);

thread_local! {
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Whether a record is being written just now.
pub fn is_writing() -> bool {
    IS_WRITING.get()
}

/// While it lives, a record is being written. An error ends it as well.
struct Writing(bool);

impl Writing {
    fn begin() -> Self {
        Self(IS_WRITING.replace(true))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        IS_WRITING.set(self.0);
    }
}

/// A number that no record has.
pub fn new_id() -> [u8; 16] {
    let halves = [db::strong_random(), db::strong_random()];
    let mut bytes = [0_u8; 16];
    for (place, byte) in halves.into_iter().flat_map(i64::to_ne_bytes).enumerate() {
        bytes[place] = byte;
    }
    // Version 4, variant 1. (The two bits that such a number of ours never has set do not make them any less many.)
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

/// Writes a record, or finds that it stands: its number. It is written as the owner of the table, so that whatever he has put on it runs as he.
pub fn write(record: &Fit<'_>) -> Result<Uuid> {
    let id = Uuid::from_bytes(record.audit_id);
    // SAFETY: reads a number of the transaction state.
    let created_at = unsafe { pg_sys::GetCurrentTransactionStartTimestamp() };
    let row = Row {
        audit_id: record.audit_id,
        envelope_id: record.envelope_id,
        envelope_class: record.envelope_class,
        decision: record.decision.name(),
        reason: record.reason,
        decision_timestamp: record.decision_timestamp,
        created_at: convert::moment(created_at).unwrap_or_default(),
        conflicting_envelope_id: record.conflicting_envelope_id,
        preempting_envelope_id: record.preempting_envelope_id,
        active_envelopes_count: record.active_envelopes_count,
        tenant_id: record.tenant_id,
        recorded_by: record.recorded_by,
    };
    let digest = row.digest().ok_or_else(|| Error::Internal("a record without a digest".into()))?;
    let at = convert::timestamptz(record.decision_timestamp)?;
    let created_at = convert::timestamptz(row.created_at)?;
    let _writing = Writing::begin();
    db::as_owner_of(db::relation(c"costsim_audit_records")?, || {
        let stored: Option<String> = INSERT.row(
            &[
                id.into(),
                row.envelope_id.into(),
                row.envelope_class.into(),
                row.decision.into(),
                row.reason.into(),
                at.into(),
                created_at.into(),
                row.conflicting_envelope_id.into(),
                row.preempting_envelope_id.into(),
                row.active_envelopes_count.into(),
                row.tenant_id.into(),
                row.recorded_by.into(),
                digest.as_str().into(),
            ],
            |row| column(row, 1),
        )?;
        match stored {
            Some(stored) if stored == digest => return Ok(id),
            Some(_) => return Err(kept_out("a trigger has changed the record")),
            None => {}
        }
        let is_same = SAME.row(
            &[
                id.into(),
                row.envelope_id.into(),
                row.envelope_class.into(),
                row.decision.into(),
                row.reason.into(),
                at.into(),
                row.conflicting_envelope_id.into(),
                row.preempting_envelope_id.into(),
                row.active_envelopes_count.into(),
                row.tenant_id.into(),
                record.is_undated.into(),
            ],
            |row| column(row, 1),
        )?;
        match is_same {
            Some(true) => Ok(id),
            Some(false) => Err(Error::AlreadyExists { what: "another record has this audit_id".into() }),
            None => Err(kept_out("a trigger or rule has kept the record out")),
        }
    })
}

fn kept_out(what: &'static str) -> Error {
    Error::Stays { what: what.into(), hint: "Look at the triggers and rules of costsim_audit_records." }
}
