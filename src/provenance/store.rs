//! The provenance room's memory: a statement for a row, one for a batch, and what is asked before something is written once.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, FLOAT8ARRAYOID, FLOAT8OID, INT4ARRAYOID, INT4OID, INT8OID, JSONBOID, OIDOID, TEXTARRAYOID,
    TEXTOID, TIMESTAMPTZARRAYOID,
};

use super::record::Record;
use crate::convert::{self, Jsonb};
use crate::db::{self, Statement, column, nullable};
use crate::error::{Error, Result};

/// The kind of a hash that nobody has named, by its looks.
macro_rules! version_of {
    ($hash:literal) => {
        concat!(
            "CASE WHEN ",
            $hash,
            " OPERATOR(pg_catalog.~) '^[0-9a-f]+$'
                  THEN CASE WHEN pg_catalog.octet_length(",
            $hash,
            ") OPERATOR(pg_catalog.=) 16 THEN 1
                            WHEN pg_catalog.octet_length(",
            $hash,
            ") OPERATOR(pg_catalog.=) 64 THEN 2 END END"
        )
    };
}

/// The columns that every statement fills, in its order of them.
macro_rules! columns {
    () => {
        "(run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash, output_hash,
          v1_cost, v2_cost, runtime_ms, cost_delta, hash_version, payload"
    };
}

/// The values of one row, from parameters 1 to 14.
macro_rules! one_row {
    () => {
        concat!(
            "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11 OPERATOR(pg_catalog.-) $10, coalesce($13, ",
            version_of!("$8"),
            "), CASE WHEN $14 OPERATOR(pg_catalog.<>) 'null'::pg_catalog.jsonb THEN $14 END"
        )
    };
}

static WRITE: Statement = Statement::deciding(
    concat!(
        "INSERT INTO @schema@.costsim_provenance ",
        columns!(),
        ") VALUES (",
        one_row!(),
        ") RETURNING id"
    ),
    &[
        TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID,
        FLOAT8OID, INT4OID, INT4OID, JSONBOID,
    ],
);

/// Whether the caller may say which id a row has. Who is bound to a tenant may not, and reads what it writes.
static MAY_NAME_IDS: Statement = Statement::deciding(
    "SELECT pg_catalog.has_column_privilege($1, 'id'::pg_catalog.text, 'INSERT'::pg_catalog.text)",
    &[OIDOID],
);

/// Next to be given to a row. Asked for as the owner, so that who only inserts needs no right to read what was inserted.
static NEXT_ID: Statement = Statement::deciding("SELECT nextval($1::regclass)", &[OIDOID]);

static WRITE_UNSEEN: Statement = Statement::deciding(
    concat!("INSERT INTO @schema@.costsim_provenance ", columns!(), ", id) VALUES (", one_row!(), ", $15)"),
    &[
        TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID,
        FLOAT8OID, INT4OID, INT4OID, JSONBOID, INT8OID,
    ],
);

/// Answers no row when somebody else's row was committed just between the look and the insert.
static WRITE_ONCE: Statement = Statement::deciding(
    concat!(
        "WITH known AS MATERIALIZED (
             SELECT p.id FROM @schema@.costsim_provenance AS p
              WHERE p.is_unique AND coalesce(p.tenant_id, '') OPERATOR(pg_catalog.=) coalesce($2, '')
                AND coalesce(p.variant_slug, '') OPERATOR(pg_catalog.=) coalesce($3, '')
                AND p.input_hash OPERATOR(pg_catalog.=) $8
         ), new AS (
             INSERT INTO @schema@.costsim_provenance ",
        columns!(),
        ", is_unique) SELECT ",
        one_row!(),
        ", true WHERE NOT EXISTS (SELECT FROM known)
             ON CONFLICT ((coalesce(tenant_id, '')), (coalesce(variant_slug, '')), input_hash) WHERE is_unique DO NOTHING
             RETURNING id
         )
         SELECT id, true FROM new UNION ALL SELECT id, false FROM known"
    ),
    &[
        TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID,
        INT4OID, INT4OID, JSONBOID,
    ],
);

/// Takes the columns out of the batch itself, whose elements have been looked at. Each text once: OFFSET keeps the planner from writing the
/// inner expressions wherever they are used. WITH ORDINALITY and ORDER BY keep the ids, and the answer, in input order.
static WRITE_BATCH: Statement = Statement::deciding(
    concat!(
        "INSERT INTO @schema@.costsim_provenance ",
        columns!(),
        ") SELECT r.x OPERATOR(pg_catalog.->>) 'run_id', r.x OPERATOR(pg_catalog.->>) 'tenant_id',
            CASE WHEN r.x OPERATOR(pg_catalog.?) 'variant_slug' THEN r.x OPERATOR(pg_catalog.->>) 'variant_slug' ELSE 'v2' END,
            CASE WHEN r.x OPERATOR(pg_catalog.?) 'source' THEN r.x OPERATOR(pg_catalog.->>) 'source' ELSE 'sandbox' END,
            r.x OPERATOR(pg_catalog.->>) 'model_version', r.x OPERATOR(pg_catalog.->>) 'adapter_version',
            r.x OPERATOR(pg_catalog.->>) 'commit_sha', r.input_hash, r.x OPERATOR(pg_catalog.->>) 'output_hash',
            r.v1_cost, r.v2_cost, (r.x OPERATOR(pg_catalog.->>) 'runtime_ms')::pg_catalog.int4,
            r.v2_cost OPERATOR(pg_catalog.-) r.v1_cost,
            coalesce((r.x OPERATOR(pg_catalog.->>) 'hash_version')::pg_catalog.int4, ",
        version_of!("r.input_hash"),
        "), CASE WHEN r.payload OPERATOR(pg_catalog.<>) 'null'::pg_catalog.jsonb THEN r.payload END
       FROM (SELECT e.x, e.ordinal, e.x OPERATOR(pg_catalog.->>) 'input_hash' AS input_hash,
                    (e.x OPERATOR(pg_catalog.->>) 'v1_cost')::pg_catalog.float8 AS v1_cost,
                    (e.x OPERATOR(pg_catalog.->>) 'v2_cost')::pg_catalog.float8 AS v2_cost,
                    e.x OPERATOR(pg_catalog.->) 'payload' AS payload
               FROM pg_catalog.jsonb_array_elements($1) WITH ORDINALITY AS e(x, ordinal)
             OFFSET 0) AS r
      ORDER BY r.ordinal
     RETURNING id"
    ),
    &[JSONBOID],
);

/// Inserts records column by column; of those that are written once, what is there already is left out. Each payload is JSON text,
/// so that no number in it is touched. The order is that of the records.
static INSERT: Statement = Statement::deciding(
    concat!(
        "INSERT INTO @schema@.costsim_provenance ",
        columns!(),
        ", created_at, is_unique)
     SELECT r.run_id, r.tenant_id, r.variant_slug, r.source, r.model_version, r.adapter_version, r.commit_sha,
            r.input_hash, r.output_hash, r.v1_cost, r.v2_cost, r.runtime_ms,
            r.v2_cost OPERATOR(pg_catalog.-) r.v1_cost, coalesce(r.hash_version, ",
        version_of!("r.input_hash"),
        "), r.payload::pg_catalog.jsonb, coalesce(r.created_at, pg_catalog.now()), $16
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                       pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                       pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),
                       pg_catalog.unnest($13), pg_catalog.unnest($14), pg_catalog.unnest($15)) WITH ORDINALITY
         AS r(run_id, tenant_id, variant_slug, source, model_version, adapter_version, commit_sha, input_hash, output_hash,
              v1_cost, v2_cost, runtime_ms, hash_version, payload, created_at, ordinal)
      ORDER BY r.ordinal
     ON CONFLICT ((coalesce(tenant_id, '')), (coalesce(variant_slug, '')), input_hash) WHERE is_unique DO NOTHING
     RETURNING id"
    ),
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
        INT4ARRAYOID,
        TEXTARRAYOID,
        TIMESTAMPTZARRAYOID,
        BOOLOID,
    ],
);

/// The row that each key was written once with. A question per key, not a join: it is planned once for any size of the table.
static ONCE: Statement = Statement::deciding(
    "SELECT (SELECT p.id FROM @schema@.costsim_provenance AS p
              WHERE p.is_unique AND coalesce(p.tenant_id, '') OPERATOR(pg_catalog.=) k.tenant_id
                AND coalesce(p.variant_slug, '') OPERATOR(pg_catalog.=) k.variant_slug
                AND p.input_hash OPERATOR(pg_catalog.=) k.input_hash
              LIMIT 1)
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY
         AS k(tenant_id, variant_slug, input_hash, ordinal)
      ORDER BY k.ordinal",
    &[TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID],
);

/// The row that is each key's baseline, whoever wrote it. The variant is asked for in a way that no index serves, so that the hash is what
/// is looked up.
static BASELINES: Statement = Statement::deciding(
    "SELECT (SELECT p.id FROM @schema@.costsim_provenance AS p
              WHERE p.input_hash OPERATOR(pg_catalog.=) k.input_hash
                AND coalesce(p.tenant_id, '') OPERATOR(pg_catalog.=) k.tenant_id
                AND coalesce(p.variant_slug, '') OPERATOR(pg_catalog.=) k.variant_slug
              ORDER BY p.is_unique DESC
              LIMIT 1)
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY
         AS k(tenant_id, variant_slug, input_hash, ordinal)
      ORDER BY k.ordinal",
    &[TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID],
);

/// The text columns of a record, in the order of the statements.
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

fn one_row<'a>(record: &'a Record<'_>, payload: Option<Jsonb>) -> Vec<DatumWithOid<'a>> {
    let mut arguments: Vec<DatumWithOid<'_>> = texts(record).map(Into::into).into();
    arguments.extend([
        record.v1_cost.into(),
        record.v2_cost.into(),
        record.runtime_ms.into(),
        record.hash_version.into(),
        Jsonb::argument(payload),
    ]);
    arguments
}

/// Writes one record and answers its id.
pub fn write(record: &Record<'_>, payload: Option<Jsonb>) -> Result<i64> {
    let id = WRITE.row(&one_row(record, payload), |row| column(row, 1))?;
    id.ok_or_else(|| Error::Internal("the insert answered no id".into()))
}

/// Writes one record, without reading it back where the caller may name its id: its id.
pub fn write_unseen(record: &Record<'_>, payload: Jsonb) -> Result<i64> {
    let table = db::relation(c"costsim_provenance")?;
    if MAY_NAME_IDS.row(&[table.into()], |row| column(row, 1))? == Some(false) {
        return write(record, Some(payload));
    }
    let id = db::as_owner(|| {
        let sequence = db::relation(c"costsim_provenance_id_seq")?;
        NEXT_ID.row(&[sequence.into()], |row| column::<i64>(row, 1))
    })?;
    let id = id.ok_or_else(|| Error::Internal("the sequence answered no id".into()))?;
    let mut arguments = one_row(record, Some(payload));
    arguments.push(id.into());
    match WRITE_UNSEEN.run(&arguments)? {
        1 => Ok(id),
        _ => Err(Error::Unsupported {
            what: "the provenance row does not stay where it was inserted",
            hint: "Look for a trigger or rule on costsim_provenance that takes inserts away.",
        }),
    }
}

/// Writes one record unless it was written once: its id, and whether it was inserted. `None` when somebody else was just quicker.
pub fn write_once(record: &Record<'_>, payload: Option<Jsonb>) -> Result<Option<(i64, bool)>> {
    WRITE_ONCE.row(&one_row(record, payload), |row| Ok((column(row, 1)?, column(row, 2)?)))
}

/// Writes the records of a batch that is known to be fine, and answers their ids in the same order.
pub fn write_batch(batch: Jsonb) -> Result<Vec<i64>> {
    WRITE_BATCH.rows(&[Jsonb::argument(Some(batch))], |row| column(row, 1))
}

/// Inserts records and answers the ids of those that were inserted, in the same order: of records that are written once, not those that are
/// there by now.
pub fn insert(records: &[&Record<'_>], once: bool) -> Result<Vec<i64>> {
    let mut columns: [Vec<Option<&str>>; 9] = Default::default();
    for record in records {
        for (column, text) in columns.iter_mut().zip(texts(record)) {
            column.push(text);
        }
    }
    let v1: Vec<Option<f64>> = records.iter().map(|record| record.v1_cost).collect();
    let v2: Vec<Option<f64>> = records.iter().map(|record| record.v2_cost).collect();
    let runtime: Vec<Option<i32>> = records.iter().map(|record| record.runtime_ms).collect();
    let version: Vec<Option<i32>> = records.iter().map(|record| record.hash_version).collect();
    let payload: Vec<Option<&str>> =
        records.iter().map(|record| record.payload.map(serde_json::value::RawValue::get)).collect();
    let created = records
        .iter()
        .map(|record| record.created_at.map(convert::timestamptz).transpose())
        .collect::<Result<Vec<_>>>()?;

    let mut arguments: Vec<DatumWithOid<'_>> = columns.into_iter().map(Into::into).collect();
    arguments.extend([
        v1.into(),
        v2.into(),
        runtime.into(),
        version.into(),
        payload.into(),
        created.into(),
        once.into(),
    ]);
    INSERT.rows(&arguments, |row| column(row, 1))
}

/// The row that each record was written once as, if it was.
pub fn written_once(records: &[&Record<'_>]) -> Result<Vec<Option<i64>>> {
    look_up(&ONCE, records)
}

/// The row that is each record's baseline, if there is one.
pub fn baselines(records: &[&Record<'_>]) -> Result<Vec<Option<i64>>> {
    look_up(&BASELINES, records)
}

fn look_up(question: &'static Statement, records: &[&Record<'_>]) -> Result<Vec<Option<i64>>> {
    let mut columns: [Vec<&str>; 3] = Default::default();
    for record in records {
        for (column, text) in columns.iter_mut().zip(record.key()) {
            column.push(text);
        }
    }
    let arguments: Vec<DatumWithOid<'_>> = columns.into_iter().map(Into::into).collect();
    question.rows(&arguments, |row| nullable(row, 1))
}
