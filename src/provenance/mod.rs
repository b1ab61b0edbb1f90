//! Provenance: a record of what was computed from what, and hashes that everyone can reproduce.
//!
//! A row holds the costs of both models for one run. `cost_delta` is filled here; money is finite or refused. A batch is
//! written in one statement, all of it or nothing, and answers real ids in input order. Whoever wants one row per input writes
//! *once*: a repeat answers the row that is there. How far V2 is from V1 is a set question and lives in `sql/43_rollup.sql`.
//!
//! `record` what may be written · `glance` a batch that is fine is seen to be · `once` one row per input · `row` what the table's
//! triggers do · `hash` of a document · `drift` summed up · `changes` and `rollup` drift of whole hours · `backfill` baselines, `staged` those that are done ·
//! `purge` how long it is kept

mod backfill;
mod changes;
mod drift;
mod glance;
mod hash;
mod once;
mod purge;
mod record;
mod rollup;
mod row;
mod staged;
mod store;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

pub use purge::purge_some;
pub use rollup::refresh_next;
pub use staged::purge_some as purge_some_staged;

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::convert::Jsonb;
use crate::db;
use crate::error::{Answer, Result, required};

pub use hash::input_hash;
use once::Written;
use record::LONGEST_BATCH;
pub use record::Record;

/// Writes what a part of this extension has computed for its caller, who needs the right to insert and no other: the row's id.
pub fn write_unseen(record: &Record<'_>, payload: Jsonb) -> Result<i64> {
    record::refuse(record.fault())?;
    store::write_unseen(record, payload)
}

/// The record of a function's arguments, each in the field of its own name. The payload is left where the server has it.
macro_rules! record {
    ($($text:ident)*, $($number:ident)*) => {
        Record {
            $($text: $text.map(Into::into),)*
            $($number,)*
            payload: None,
            created_at: None,
        }
    };
}

/// Writes one provenance row and answers its id. cost_delta becomes v2_cost - v1_cost when both are given.
#[pg_extern(volatile, parallel_unsafe)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the columns, in the order callers know")]
fn costsim_write_provenance(
    run_id: Option<&str>,
    tenant_id: default!(Option<&str>, "NULL"),
    variant_slug: default!(Option<&str>, "'v2'"),
    source: default!(Option<&str>, "'sandbox'"),
    model_version: default!(Option<&str>, "NULL"),
    adapter_version: default!(Option<&str>, "NULL"),
    commit_sha: default!(Option<&str>, "NULL"),
    input_hash: default!(Option<&str>, "NULL"),
    output_hash: default!(Option<&str>, "NULL"),
    v1_cost: default!(Option<f64>, "NULL"),
    v2_cost: default!(Option<f64>, "NULL"),
    payload: default!(Option<Jsonb>, "NULL"),
    runtime_ms: default!(Option<i32>, "NULL"),
    hash_version: default!(Option<i32>, "NULL"),
) -> Answer<i64> {
    db::require_writable(c"costsim_write_provenance()");
    let record = record!(
        run_id tenant_id variant_slug source model_version adapter_version commit_sha input_hash output_hash,
        v1_cost v2_cost runtime_ms hash_version
    );
    record::refuse(record.fault())?;
    Ok(store::write(&record, payload)?)
}

/// Writes a JSON array of records, all of them or none, and answers their ids in input order. An empty array writes nothing.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_write_provenance_batch(
    records: Option<Jsonb>,
) -> Result<SetOfIterator<'static, i64>, ErrorReport> {
    db::require_writable(c"costsim_write_provenance_batch()");
    let records = required(records, "records")?.flat();
    // Too large a batch goes the long way as well: it ends there.
    let is_plain = records.size() <= LONGEST_BATCH
        && glance::count(&records).is_some_and(|count| count <= record::LARGEST_BATCH);
    let ids = if is_plain {
        store::write_batch(records)?
    } else {
        let read = record::parse_batch(records.text("records", LONGEST_BATCH)?, Record::fault)?;
        store::insert(&read.iter().collect::<Vec<_>>(), false)?
    };
    Ok(SetOfIterator::new(ids))
}

/// Writes one row unless one of this tenant, variant and input hash was written once: its id, and whether it was inserted.
#[pg_extern(volatile, parallel_unsafe)]
#[expect(clippy::too_many_arguments, reason = "the arguments are the columns, in the order callers know")]
fn costsim_write_provenance_once(
    run_id: Option<&str>,
    tenant_id: default!(Option<&str>, "NULL"),
    variant_slug: default!(Option<&str>, "'v2'"),
    source: default!(Option<&str>, "'sandbox'"),
    model_version: default!(Option<&str>, "NULL"),
    adapter_version: default!(Option<&str>, "NULL"),
    commit_sha: default!(Option<&str>, "NULL"),
    input_hash: default!(Option<&str>, "NULL"),
    output_hash: default!(Option<&str>, "NULL"),
    v1_cost: default!(Option<f64>, "NULL"),
    v2_cost: default!(Option<f64>, "NULL"),
    payload: default!(Option<Jsonb>, "NULL"),
    runtime_ms: default!(Option<i32>, "NULL"),
    hash_version: default!(Option<i32>, "NULL"),
) -> Result<TableIterator<'static, (name!(id, i64), name!(inserted, bool))>, ErrorReport> {
    db::require_writable(c"costsim_write_provenance_once()");
    let record = record!(
        run_id tenant_id variant_slug source model_version adapter_version commit_sha input_hash output_hash,
        v1_cost v2_cost runtime_ms hash_version
    );
    record::refuse(record.fault_once())?;
    let Written { id, is_new } = once::write(&record, payload)?;
    Ok(TableIterator::once((id, is_new)))
}

/// The same for a JSON array of records, all of them or none: id and whether it was inserted, for each in input order.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_write_provenance_batch_once(
    records: Option<Jsonb>,
) -> Result<TableIterator<'static, (name!(id, i64), name!(inserted, bool))>, ErrorReport> {
    db::require_writable(c"costsim_write_provenance_batch_once()");
    let records = required(records, "records")?;
    let read = record::parse_batch(records.text("records", LONGEST_BATCH)?, Record::fault_once)?;
    let written = once::write_all(&read.iter().collect::<Vec<_>>(), store::written_once)?;
    Ok(TableIterator::new(written.into_iter().map(|Written { id, is_new }| (id, is_new))))
}
