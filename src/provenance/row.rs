//! What the table's own triggers do with a row, whoever writes it: word of the hours it changes, and its content digest.
//!
//! One trigger before every row does both. The word comes first: from the moment at which somebody can see the row, be it a trigger or a
//! function of the very statement, its hour is marked. It is called for each row, so it reads the tuple where it stands. (A statement
//! trigger with a transition table would copy every row, payload and all; a generated column would ask whoever writes for the right to
//! call its function.)

use std::ffi::c_void;

use costsim_core::record::{Moment, Row};
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::{changes, hash};
use crate::call::{called_by_server, must};
use crate::convert::{self, Jsonb};
use crate::db;
use crate::error::{Error, Result};

/// The columns by their numbers, as sql/40_provenance.sql lists them. A table's columns keep their numbers for life.
#[derive(Clone, Copy)]
enum Column {
    Id = 1,
    RunId,
    TenantId,
    VariantSlug,
    Source,
    ModelVersion,
    AdapterVersion,
    CommitSha,
    InputHash,
    OutputHash,
    V1Cost,
    V2Cost,
    CostDelta,
    Payload,
    RuntimeMs,
    CreatedAt,
    HashVersion,
    IsUnique,
    ContentDigest,
}

/// Their types. What is read as another type would be read wrongly.
const TYPES: [pg_sys::BuiltinOid; Column::ContentDigest as usize] = {
    use pg_sys::BuiltinOid::{
        BOOLOID, BYTEAOID, FLOAT8OID, INT2OID, INT4OID, INT8OID, JSONBOID, TEXTOID, TIMESTAMPTZOID,
    };
    [
        INT8OID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        FLOAT8OID,
        FLOAT8OID,
        FLOAT8OID,
        JSONBOID,
        INT4OID,
        TIMESTAMPTZOID,
        INT2OID,
        BOOLOID,
        BYTEAOID,
    ]
};

/// Refuses a row whose columns are not those that the extension gave it.
unsafe fn require_known(columns: pg_sys::TupleDesc) -> Result<()> {
    // SAFETY: the caller's; no column beyond the last is asked for.
    let is_known = unsafe {
        usize::try_from((*columns).natts).is_ok_and(|width| width >= TYPES.len())
            && TYPES.iter().enumerate().all(|(index, &known)| is_read_as(type_of(columns, index), known))
    };
    if is_known {
        return Ok(());
    }
    Err(Error::Unsupported {
        what: "costsim_provenance has other columns than the extension gave it",
        hint: "Give the extension's columns their types back, and add columns of your own behind them.",
    })
}

/// The type of a column, counted from 0.
unsafe fn type_of(columns: pg_sys::TupleDesc, index: usize) -> pg_sys::Oid {
    // SAFETY: the caller's: there is such a column.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return (*columns).attrs.as_slice(index + 1)[index].atttypid;
        #[cfg(feature = "pg18")]
        return (*pg_sys::TupleDescAttr(columns, index as i32)).atttypid;
    }
}

/// Whether values of a type are read as those of a known one: `varchar` is stored as `text` is.
fn is_read_as(found: pg_sys::Oid, known: pg_sys::BuiltinOid) -> bool {
    found == known.value() || (known == pg_sys::BuiltinOid::TEXTOID && found == pg_sys::VARCHAROID)
}

/// What a trigger is called with.
struct Call<'a> {
    data: &'a pg_sys::TriggerData,
}

called_by_server! {
    /// The row trigger of costsim_provenance.
    _costsim_provenance_row, pg_finfo__costsim_provenance_row: |fcinfo| {
        // SAFETY: the server's own call, whose record outlives it; likewise below.
        must(before_row(unsafe { &*fcinfo }).map_err(Into::into))
    }

    /// Its trigger for TRUNCATE.
    _costsim_provenance_truncated, pg_finfo__costsim_provenance_truncated: |fcinfo| {
        // SAFETY: as above.
        must(after_truncate(unsafe { &*fcinfo }).map_err(Into::into))
    }

    /// What the digest of a row must be.
    costsim_provenance_digest, pg_finfo_costsim_provenance_digest: |fcinfo| {
        // SAFETY: as above.
        must(digest_of_argument(unsafe { &*fcinfo }).map_err(Into::into))
    }
}

/// Before a row comes, changes or goes: marks for the hours in which the answer about drift will be another one, and the digest of
/// what is about to be written.
fn before_row(fcinfo: &pg_sys::FunctionCallInfoBaseData) -> Result<pg_sys::Datum> {
    let call = Call::read(fcinfo)?;
    let event = call.data.tg_event;
    require(
        event & pg_sys::TRIGGER_EVENT_ROW != 0
            && event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_BEFORE,
    )?;
    // SAFETY: a row trigger's tuples are ones of this relation; of an update the second is the new one, else there is none.
    unsafe {
        let columns = (*call.data.tg_relation).rd_att;
        require_known(columns)?;
        for tuple in [call.data.tg_trigtuple, call.data.tg_newtuple] {
            if !tuple.is_null() {
                mark_hour(tuple, columns)?;
            }
        }
        if event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_DELETE {
            return Ok(pg_sys::Datum::from(call.data.tg_trigtuple));
        }
        sealed(call.written(), columns)
    }
}

/// After all rows have gone.
fn after_truncate(fcinfo: &pg_sys::FunctionCallInfoBaseData) -> Result<pg_sys::Datum> {
    let call = Call::read(fcinfo)?;
    require(call.data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_TRUNCATE)?;
    changes::mark_all()?;
    Ok(pg_sys::Datum::from(0))
}

/// Marks the hour of a row that has something to say about drift.
unsafe fn mark_hour(tuple: pg_sys::HeapTuple, columns: pg_sys::TupleDesc) -> Result<()> {
    // SAFETY: the caller's.
    let value = |column: Column| unsafe { value(tuple, columns, column) };
    if value(Column::V1Cost).is_some()
        && value(Column::V2Cost).is_some()
        && let Some(created_at) = value(Column::CreatedAt)
    {
        changes::mark(created_at.value() as pg_sys::TimestampTz)?;
    }
    Ok(())
}

/// The row with its digest in its column, in the memory of whoever writes.
unsafe fn sealed(tuple: pg_sys::HeapTuple, columns: pg_sys::TupleDesc) -> Result<pg_sys::Datum> {
    // SAFETY: the caller's.
    unsafe {
        let mut digest = bytea(&Values::read(tuple, columns)?.digest()?);
        let (mut number, mut is_null) = (Column::ContentDigest as i32, false);
        let sealed = pg_sys::heap_modify_tuple_by_cols(
            tuple,
            columns,
            1,
            &raw mut number,
            &raw mut digest,
            &raw mut is_null,
        );
        Ok(pg_sys::Datum::from(sealed))
    }
}

/// The digest of the row that is the one argument.
fn digest_of_argument(fcinfo: &pg_sys::FunctionCallInfoBaseData) -> Result<pg_sys::Datum> {
    // SAFETY: declared STRICT with one argument of the table's row type; the tuple is made of the datum, which outlives the call.
    unsafe {
        let header = pg_sys::pg_detoast_datum(fcinfo.args.as_slice(1)[0].value.cast_mut_ptr())
            as pg_sys::HeapTupleHeader;
        let (kind, modifier) =
            ((*header).t_choice.t_datum.datum_typeid, (*header).t_choice.t_datum.datum_typmod);
        let mut tuple = pg_sys::HeapTupleData {
            t_len: pgrx::varlena::varsize(header as *const pg_sys::varlena) as u32,
            t_data: header,
            ..Default::default()
        };
        let columns = pg_sys::lookup_rowtype_tupdesc(kind, modifier);
        let digest = require_known(columns)
            .and_then(|()| Values::read(&raw mut tuple, columns))
            .and_then(|values| values.digest());
        if (*columns).tdrefcount >= 0 {
            pg_sys::DecrTupleDescRefCount(columns);
        }
        Ok(bytea(&digest?))
    }
}

impl<'a> Call<'a> {
    fn read(fcinfo: &'a pg_sys::FunctionCallInfoBaseData) -> Result<Self> {
        // SAFETY: the context of a call as a trigger is the trigger's data.
        let data = unsafe {
            let is_trigger =
                !fcinfo.context.is_null() && (*fcinfo.context).type_ == pg_sys::NodeTag::T_TriggerData;
            is_trigger.then(|| &*fcinfo.context.cast::<pg_sys::TriggerData>())
        };
        let ours = db::relation(c"costsim_provenance")?;
        match data {
            // SAFETY: the server opens the relation before it calls.
            Some(data) if unsafe { (*data.tg_relation).rd_id } == ours => Ok(Self { data }),
            _ => Err(misplaced()),
        }
    }

    /// The row that is about to be written.
    fn written(&self) -> pg_sys::HeapTuple {
        if self.data.tg_newtuple.is_null() { self.data.tg_trigtuple } else { self.data.tg_newtuple }
    }
}

fn require(is_in_place: bool) -> Result<()> {
    if is_in_place { Ok(()) } else { Err(misplaced()) }
}

fn misplaced() -> Error {
    Error::invalid(
        "this trigger function is for costsim_provenance as the extension uses it",
        "Leave the extension's trigger functions to its own tables.",
    )
}

/// One column of a tuple.
unsafe fn value(
    tuple: pg_sys::HeapTuple,
    columns: pg_sys::TupleDesc,
    column: Column,
) -> Option<pg_sys::Datum> {
    let number = std::num::NonZeroUsize::new(column as usize)?;
    // SAFETY: the caller's.
    unsafe { pgrx::htup::heap_getattr_raw(tuple, number, columns) }
}

/// A row's columns, taken apart.
struct Values {
    data: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Values {
    unsafe fn read(tuple: pg_sys::HeapTuple, columns: pg_sys::TupleDesc) -> Result<Self> {
        // SAFETY: both arrays are as long as the row is wide.
        unsafe {
            let width = usize::try_from((*columns).natts).unwrap_or(0);
            let mut values = Self { data: vec![pg_sys::Datum::from(0); width], nulls: vec![true; width] };
            pg_sys::heap_deform_tuple(tuple, columns, values.data.as_mut_ptr(), values.nulls.as_mut_ptr());
            Ok(values)
        }
    }

    fn get<T: FromDatum>(&self, column: Column) -> Option<T> {
        let index = column as usize - 1;
        // SAFETY: the type is the column's.
        unsafe { T::from_datum(self.data[index], self.nulls[index]) }
    }

    fn digest(&self) -> Result<[u8; 32]> {
        let payload: Option<Jsonb> = self.get(Column::Payload);
        let payload = payload.as_ref().map(|payload| payload.text("payload", usize::MAX)).transpose()?;
        let row = Row {
            adapter_version: self.get(Column::AdapterVersion),
            commit_sha: self.get(Column::CommitSha),
            cost_delta: self.get(Column::CostDelta),
            created_at: moment(self.get(Column::CreatedAt)),
            hash_version: self.get(Column::HashVersion),
            id: self.get(Column::Id).unwrap_or_default(),
            input_hash: self.get(Column::InputHash),
            is_unique: self.get(Column::IsUnique).unwrap_or_default(),
            model_version: self.get(Column::ModelVersion),
            output_hash: self.get(Column::OutputHash),
            payload,
            run_id: self.get(Column::RunId),
            runtime_ms: self.get(Column::RuntimeMs),
            source: self.get(Column::Source),
            tenant_id: self.get(Column::TenantId),
            v1_cost: self.get(Column::V1Cost),
            v2_cost: self.get(Column::V2Cost),
            variant_slug: self.get(Column::VariantSlug),
        };
        row.digest(&mut hash::heed_interrupts).map_err(hash::refused)
    }
}

fn moment(at: Option<TimestampWithTimeZone>) -> Moment {
    match at.map(pg_sys::TimestampTz::from) {
        // The column is NOT NULL; a row that breaks that is refused after this.
        None | Some(i64::MIN) => Moment::NegativeInfinity,
        Some(i64::MAX) => Moment::Infinity,
        Some(micros) => convert::moment(micros).map_or(Moment::Micros(micros), Moment::At),
    }
}

/// A bytea in the memory of whoever asks.
fn bytea(bytes: &[u8]) -> pg_sys::Datum {
    // SAFETY: as long as its header says, and filled at once.
    unsafe {
        let size = bytes.len() + pg_sys::VARHDRSZ;
        let datum = pg_sys::palloc(size).cast::<pg_sys::varlena>();
        pgrx::set_varsize_4b(datum, size as i32);
        let start = pgrx::varlena::vardata_4b(datum).cast_mut().cast::<c_void>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast(), bytes.len());
        pg_sys::Datum::from(datum)
    }
}
