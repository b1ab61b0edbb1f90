//! The records' statements. They run as the caller, who needs SELECT and INSERT on the records and SELECT on the feature tags.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, INT4ARRAYOID, INT8OID, JSONBOID, NUMERICOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID,
};
use pgrx::prelude::*;

use super::record::{Key, Record};
use crate::convert::{self, Jsonb};
use crate::db::{self, Row, Statement, column, nullable};
use crate::error::{Error, Result};

macro_rules! columns {
    () => {
        "(tenant_id, model, cost_cents, input_tokens, output_tokens, feature_tag, user_id, request_id, is_retry, cached_tokens,
          reasoning_tokens, workflow_id, skill_id, created_at)"
    };
}

/// Whoever has recorded this request first, has recorded it.
macro_rules! unless_known {
    () => {
        " ON CONFLICT (tenant_id, request_id) WHERE request_id IS NOT NULL DO NOTHING"
    };
}

/// A tag that the tenant has.
macro_rules! active_tag {
    ($tenant:literal, $tag:literal) => {
        concat!(
            "CASE WHEN ",
            $tag,
            " IS NULL OR EXISTS (SELECT FROM @schema@.costsim_feature_tags t
                                                WHERE t.tenant_id OPERATOR(pg_catalog.=) ",
            $tenant,
            " AND t.tag OPERATOR(pg_catalog.=) ",
            $tag,
            " AND t.is_active) THEN ",
            $tag,
            " ELSE 'unclassified' END"
        )
    };
}

/// The records of a batch, whose elements have been looked at, as rows.
macro_rules! batch {
    () => {
        "ROWS FROM (pg_catalog.jsonb_to_recordset($1) AS (
             tenant_id pg_catalog.text, model pg_catalog.text, cost_cents pg_catalog.numeric(20,6), input_tokens pg_catalog.int8,
             output_tokens pg_catalog.int8, feature_tag pg_catalog.text, user_id pg_catalog.text, request_id pg_catalog.text,
             is_retry pg_catalog.bool, cached_tokens pg_catalog.int8, reasoning_tokens pg_catalog.int8, workflow_id pg_catalog.text,
             skill_id pg_catalog.text, created_at pg_catalog.timestamptz)) WITH ORDINALITY AS r
            (tenant_id, model, cost_cents, input_tokens, output_tokens, feature_tag, user_id, request_id, is_retry, cached_tokens,
             reasoning_tokens, workflow_id, skill_id, created_at, ordinal)"
    };
}

/// What is written of a record of a batch.
macro_rules! values {
    ($tag:literal) => {
        concat!(
            "r.tenant_id, r.model, r.cost_cents, coalesce(r.input_tokens, 0), coalesce(r.output_tokens, 0), ",
            $tag,
            ", r.user_id, r.request_id, coalesce(r.is_retry, false), coalesce(r.cached_tokens, 0), coalesce(r.reasoning_tokens, 0),
             r.workflow_id, r.skill_id, coalesce(r.created_at, pg_catalog.now())"
        )
    };
}

macro_rules! in_order {
    () => {
        " ORDER BY r.tenant_id COLLATE pg_catalog.\"C\", r.request_id COLLATE pg_catalog.\"C\" NULLS LAST, r.ordinal"
    };
}

/// With $15 the tag has been looked up.
static WRITE: Statement = Statement::deciding(
    concat!(
        "INSERT INTO @schema@.costsim_cost_records ",
        columns!(),
        " SELECT $1, $2, $3, $4, $5, CASE WHEN $15 THEN $6 ELSE ",
        active_tag!("$1", "$6"),
        " END, $7, $8, $9, $10, $11, $12, $13, coalesce($14, pg_catalog.now())",
        unless_known!(),
        " RETURNING id, feature_tag"
    ),
    &[
        TEXTOID,
        TEXTOID,
        NUMERICOID,
        INT8OID,
        INT8OID,
        TEXTOID,
        TEXTOID,
        TEXTOID,
        BOOLOID,
        INT8OID,
        INT8OID,
        TEXTOID,
        TEXTOID,
        TIMESTAMPTZOID,
        BOOLOID,
    ],
);

macro_rules! write_batch {
    ($on_conflict:expr) => {
        concat!(
            "INSERT INTO @schema@.costsim_cost_records ",
            columns!(),
            " SELECT ",
            values!("CASE WHEN r.feature_tag IS NULL OR t.tag IS NOT NULL THEN r.feature_tag ELSE 'unclassified' END"),
            " FROM ",
            batch!(),
            " LEFT JOIN @schema@.costsim_feature_tags t
                ON t.tenant_id OPERATOR(pg_catalog.=) r.tenant_id AND t.tag OPERATOR(pg_catalog.=) r.feature_tag AND t.is_active",
            in_order!(),
            $on_conflict,
            " RETURNING id, feature_tag, tenant_id, request_id"
        )
    };
}

static WRITE_BATCH: Statement = Statement::deciding(write_batch!(unless_known!()), &[JSONBOID]);

/// The same where a request that is known is an error, which costs a third less.
static WRITE_NEW_BATCH: Statement = Statement::deciding(write_batch!(""), &[JSONBOID]);

/// Of a batch the records at these ordinals, with these tags.
static WRITE_SOME: Statement = Statement::deciding(
    concat!(
        "INSERT INTO @schema@.costsim_cost_records ",
        columns!(),
        " SELECT ",
        values!("a.tag"),
        " FROM ",
        batch!(),
        " JOIN ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS a(ordinal, tag)
            ON a.ordinal OPERATOR(pg_catalog.=) r.ordinal",
        in_order!(),
        unless_known!(),
        " RETURNING id, feature_tag, tenant_id, request_id"
    ),
    &[JSONBOID, INT4ARRAYOID, TEXTARRAYOID],
);

/// What a budget needs to know of a record: the tag as it will be stored, the moment, the cost as it will be stored.
static GIVEN: Statement = Statement::current(
    concat!(
        "SELECT ",
        active_tag!("$1", "$2"),
        ", coalesce($3, pg_catalog.now()), $4::pg_catalog.numeric(20,6)::pg_catalog.text"
    ),
    &[TEXTOID, TEXTOID, TIMESTAMPTZOID, NUMERICOID],
);

static GIVEN_BATCH: Statement = Statement::current(
    concat!(
        "SELECT ",
        active_tag!("r.tenant_id", "r.feature_tag"),
        ", coalesce(r.created_at, pg_catalog.now()), r.cost_cents::pg_catalog.text, r.tenant_id, r.user_id, r.model FROM ",
        batch!(),
        " ORDER BY r.ordinal"
    ),
    &[JSONBOID],
);

/// The record of each request, if there is one: committed by now, whatever the isolation level, or the transaction's own.
static KNOWN: Statement = Statement::current(
    "SELECT r.id, r.feature_tag
       FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS k(tenant_id, request_id, ordinal)
       LEFT JOIN LATERAL (SELECT r.id, r.feature_tag FROM @schema@.costsim_cost_records r
                           WHERE r.tenant_id OPERATOR(pg_catalog.=) k.tenant_id AND r.request_id OPERATOR(pg_catalog.=) k.request_id
                           LIMIT 1) r ON true
      ORDER BY k.ordinal",
    &[TEXTARRAYOID, TEXTARRAYOID],
);

/// A record that is there.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: i64,
    pub feature_tag: Option<String>,
}

/// One that has just been written by a batch.
pub struct Written {
    pub stored: Stored,
    pub tenant_id: String,
    pub request_id: Option<String>,
}

/// What a record that is to be written counts under, and how much.
pub struct Given {
    pub feature_tag: Option<String>,
    pub at: TimestampWithTimeZone,
    pub cost: String,
}

/// The same for one of a batch.
pub struct GivenOfBatch {
    pub given: Given,
    pub tenant_id: String,
    pub user_id: Option<String>,
    pub model: String,
}

fn stored(row: &Row<'_>) -> Result<Stored> {
    Ok(Stored { id: column(row, 1)?, feature_tag: nullable(row, 2)? })
}

fn written(row: &Row<'_>) -> Result<Written> {
    Ok(Written { stored: stored(row)?, tenant_id: column(row, 3)?, request_id: nullable(row, 4)? })
}

fn read_given(row: &Row<'_>) -> Result<Given> {
    Ok(Given { feature_tag: nullable(row, 1)?, at: column(row, 2)?, cost: column(row, 3)? })
}

/// Writes a record unless its request is known. What has been looked up before is written as it was found.
pub fn write(record: &Record<'_>, given: Option<&Given>) -> Result<Option<Stored>> {
    let tag = given.map_or(record.feature_tag, |given| given.feature_tag.as_deref());
    let at = given.map_or(record.created_at, |given| Some(given.at));
    WRITE.row(
        &[
            record.tenant_id.into(),
            record.model.into(),
            record.cost_cents.clone().into(),
            record.input_tokens.into(),
            record.output_tokens.into(),
            tag.into(),
            record.user_id.into(),
            record.request_id.into(),
            record.is_retry.into(),
            record.cached_tokens.into(),
            record.reasoning_tokens.into(),
            record.workflow_id.into(),
            record.skill_id.into(),
            at.into(),
            given.is_some().into(),
        ],
        stored,
    )
}

/// Writes the records of a batch, none of whose requests is known; if one is, nothing.
pub fn write_new_batch(batch: Jsonb) -> Result<Option<Vec<Written>>> {
    db::catch(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, || {
        WRITE_NEW_BATCH.rows(&[Jsonb::argument(Some(batch))], written)
    })
}

/// Writes the records of a batch whose requests are not known.
pub fn write_batch(batch: Jsonb) -> Result<Vec<Written>> {
    WRITE_BATCH.rows(&[Jsonb::argument(Some(batch))], written)
}

/// Writes those of a batch at these places, counted from 0, with these tags.
pub fn write_some(batch: Jsonb, places: &[usize], tags: Vec<Option<&str>>) -> Result<Vec<Written>> {
    let ordinals: Vec<i32> = places
        .iter()
        .map(|&place| {
            i32::try_from(place + 1).map_err(|_| Error::Internal("a place beyond any batch".into()))
        })
        .collect::<Result<_>>()?;
    WRITE_SOME.rows(&[Jsonb::argument(Some(batch)), ordinals.into(), tags.into()], written)
}

/// What a record will count under.
pub fn given(record: &Record<'_>) -> Result<Given> {
    let arguments = [
        record.tenant_id.into(),
        record.feature_tag.into(),
        record.created_at.into(),
        record.cost_cents.clone().into(),
    ];
    GIVEN.row(&arguments, read_given)?.ok_or_else(|| Error::Internal("a question without an answer".into()))
}

/// What each record of a batch will count under.
pub fn given_batch(batch: Jsonb) -> Result<Vec<GivenOfBatch>> {
    GIVEN_BATCH.rows(&[Jsonb::argument(Some(batch))], |row| {
        Ok(GivenOfBatch {
            given: read_given(row)?,
            tenant_id: column(row, 4)?,
            user_id: nullable(row, 5)?,
            model: column(row, 6)?,
        })
    })
}

/// The record of each of these requests, if there is one.
pub fn known(keys: &[Key<'_>]) -> Result<Vec<Option<Stored>>> {
    if keys.iter().all(|key| key.request_id.is_none()) {
        return Ok(vec![None; keys.len()]);
    }
    let text = |bytes: Option<&'_ [u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let tenants: Vec<_> = keys.iter().map(|key| text(Some(key.tenant_id))).collect();
    let requests: Vec<_> = keys.iter().map(|key| text(key.request_id)).collect();
    let arguments: [DatumWithOid<'_>; 2] = [tenants.into(), requests.into()];
    KNOWN.rows(&arguments, |row| {
        let id: Option<i64> = nullable(row, 1)?;
        id.map(|id| Ok(Stored { id, feature_tag: nullable(row, 2)? })).transpose()
    })
}

/// A moment as core counts it.
pub fn moment(at: TimestampWithTimeZone) -> Result<chrono::DateTime<chrono::Utc>> {
    convert::finite_moment(at, "created_at")
}
