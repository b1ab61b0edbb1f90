//! The provenance room's memory: one statement for a row, one for a batch.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{
    FLOAT8ARRAYOID, FLOAT8OID, INT4ARRAYOID, INT4OID, JSONBOID, TEXTARRAYOID, TEXTOID,
};

use super::Record;
use crate::convert::Jsonb;
use crate::db::{Statement, column};
use crate::error::{Error, Result};

static WRITE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_provenance
            (run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash, output_hash,
             v1_cost, v2_cost, runtime_ms, cost_delta, payload)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11 OPERATOR(pg_catalog.-) $10,
             CASE WHEN $13 OPERATOR(pg_catalog.<>) 'null'::pg_catalog.jsonb THEN $13 END)
     RETURNING id",
    &[
        TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID, INT4OID,
        JSONBOID,
    ],
);

/// Inserts a batch column by column, and takes each payload out of the batch itself, so that no number in it is touched.
/// WITH ORDINALITY and ORDER BY keep the ids, and the answer, in input order.
static WRITE_BATCH: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_provenance
            (run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash, output_hash,
             v1_cost, v2_cost, runtime_ms, cost_delta, payload)
     SELECT r.run_id, r.tenant_id, r.variant_slug, r.source, r.model_version, r.adapter_version, r.commit_sha,
            r.input_hash, r.output_hash, r.v1_cost, r.v2_cost, r.runtime_ms,
            r.v2_cost OPERATOR(pg_catalog.-) r.v1_cost,
            CASE WHEN r.element OPERATOR(pg_catalog.->) 'payload' OPERATOR(pg_catalog.<>) 'null'::pg_catalog.jsonb
                 THEN r.element OPERATOR(pg_catalog.->) 'payload' END
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                       pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                       pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),
                       pg_catalog.jsonb_array_elements($13)) WITH ORDINALITY
         AS r(run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash, output_hash,
              v1_cost, v2_cost, runtime_ms, element, ordinal)
      ORDER BY r.ordinal
     RETURNING id",
    &[
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        FLOAT8ARRAYOID,
        FLOAT8ARRAYOID,
        INT4ARRAYOID,
        JSONBOID,
    ],
);

/// The text columns of a record, in the order of both statements.
fn texts<'a>(record: &'a Record<'_>) -> [Option<&'a str>; 9] {
    [
        &record.run_id,
        &record.tenant_id,
        &record.variant_slug,
        &record.source,
        &record.model_version,
        &record.adapter_version,
        &record.commit_sha,
        &record.input_hash,
        &record.output_hash,
    ]
    .map(|text| text.as_deref())
}

/// Writes one record and answers its id.
pub fn write(record: &Record<'_>, payload: Option<Jsonb>) -> Result<i64> {
    let mut arguments: Vec<DatumWithOid<'_>> = texts(record).map(Into::into).into();
    arguments.extend([
        record.v1_cost.into(),
        record.v2_cost.into(),
        record.runtime_ms.into(),
        Jsonb::argument(payload),
    ]);
    let id = WRITE.row(&arguments, |row| column(row, 1))?;
    id.ok_or_else(|| Error::Internal("the insert answered no id".into()))
}

/// Writes the records, which were read from `batch`, and answers their ids in the same order.
pub fn write_batch(records: &[Record<'_>], batch: Jsonb) -> Result<Vec<i64>> {
    let mut columns: [Vec<Option<&str>>; 9] = Default::default();
    for record in records {
        for (column, text) in columns.iter_mut().zip(texts(record)) {
            column.push(text);
        }
    }
    let v1: Vec<Option<f64>> = records.iter().map(|record| record.v1_cost).collect();
    let v2: Vec<Option<f64>> = records.iter().map(|record| record.v2_cost).collect();
    let runtime: Vec<Option<i32>> = records.iter().map(|record| record.runtime_ms).collect();

    let mut arguments: Vec<DatumWithOid<'_>> = columns.into_iter().map(Into::into).collect();
    arguments.extend([v1.into(), v2.into(), runtime.into(), Jsonb::argument(Some(batch))]);
    WRITE_BATCH.rows(&arguments, |row| column(row, 1))
}
