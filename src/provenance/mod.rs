//! Provenance: a record of what was computed from what, and hashes that everyone can reproduce.
//!
//! A row holds the costs of both models for one run. `cost_delta` is filled here; money is finite or refused. A batch is
//! written in one statement, all of it or nothing, and answers real ids in input order. How far V2 is from V1 is a set
//! question and lives in `sql/40_provenance.sql`. The hashes live in `hash`.

mod changes;
mod drift;
mod hash;
mod maintenance;
mod rollup;
mod row;
mod store;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

pub use maintenance::purge_some;
pub use rollup::refresh_some;

use std::borrow::Cow;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::convert::Jsonb;
use crate::db;
use crate::error::{Answer, Error, Result, required};

/// The most records of one batch: their columns are built in memory, and one statement should not hold a lock for minutes.
const LARGEST_BATCH: usize = 100_000;

/// The most bytes of one batch, payloads included.
const LONGEST_BATCH: usize = 64 << 20;

/// One row to be written. The names are the keys of a batch record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<'a> {
    #[serde(borrow)]
    pub run_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub tenant_id: Option<Cow<'a, str>>,
    #[serde(borrow, default = "default_variant")]
    pub variant_slug: Option<Cow<'a, str>>,
    #[serde(borrow, default = "default_source")]
    pub source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub adapter_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub commit_sha: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub input_hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub output_hash: Option<Cow<'a, str>>,
    pub v1_cost: Option<f64>,
    pub v2_cost: Option<f64>,
    pub runtime_ms: Option<i32>,
    /// Stored as the server holds it and never read here: see [`store::write_batch`].
    #[serde(default, rename = "payload")]
    _payload: IgnoredAny,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's own type")]
fn default_variant() -> Option<Cow<'static, str>> {
    Some("v2".into())
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's own type")]
fn default_source() -> Option<Cow<'static, str>> {
    Some("sandbox".into())
}

impl Record<'_> {
    /// What makes a record unfit to be stored, if anything does.
    fn fault(&self) -> Option<String> {
        let costs = [("v1_cost", self.v1_cost), ("v2_cost", self.v2_cost)];
        if let Some((name, cost)) =
            costs.into_iter().find(|(_, cost)| cost.is_some_and(|cost| !cost.is_finite()))
        {
            let found = if cost.is_some_and(f64::is_nan) { "NaN" } else { "infinite" };
            return Some(format!("{name} must be finite, not {found}"));
        }
        if self.v1_cost.zip(self.v2_cost).is_some_and(|(v1, v2)| !(v2 - v1).is_finite()) {
            return Some("v2_cost - v1_cost must be finite".into());
        }
        match self.runtime_ms {
            Some(ms) if ms < 0 => Some(format!("runtime_ms must not be negative, not {ms}")),
            _ => None,
        }
    }
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
) -> Answer<i64> {
    db::require_writable(c"costsim_write_provenance()");
    let record = Record {
        run_id: run_id.map(Into::into),
        tenant_id: tenant_id.map(Into::into),
        variant_slug: variant_slug.map(Into::into),
        source: source.map(Into::into),
        model_version: model_version.map(Into::into),
        adapter_version: adapter_version.map(Into::into),
        commit_sha: commit_sha.map(Into::into),
        input_hash: input_hash.map(Into::into),
        output_hash: output_hash.map(Into::into),
        v1_cost,
        v2_cost,
        runtime_ms,
        _payload: IgnoredAny,
    };
    if let Some(fault) = record.fault() {
        return Err(
            Error::invalid(fault, "Costs are finite numbers of cents; times are milliseconds.").into()
        );
    }
    Ok(store::write(&record, payload)?)
}

/// Writes a JSON array of records, all of them or none, and answers their ids in input order. An empty array writes nothing.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_write_provenance_batch(
    records: Option<Jsonb>,
) -> Result<SetOfIterator<'static, i64>, ErrorReport> {
    db::require_writable(c"costsim_write_provenance_batch()");
    let records = required(records, "records")?;
    let checked = parse_batch(records.text("records", LONGEST_BATCH)?)?;
    let ids = if checked.is_empty() { Vec::new() } else { store::write_batch(&checked, records)? };
    Ok(SetOfIterator::new(ids))
}

fn parse_batch(records: &str) -> Result<Vec<Record<'_>>> {
    let not_an_array =
        |_| Error::invalid("records must be a JSON array", "Pass an array of objects, one per row.");
    let elements: Vec<&serde_json::value::RawValue> = serde_json::from_str(records).map_err(not_an_array)?;
    if elements.len() > LARGEST_BATCH {
        return Err(Error::invalid(
            format!("records has {} elements, more than {LARGEST_BATCH}", elements.len()),
            "Split the batch.",
        ));
    }
    elements
        .into_iter()
        .enumerate()
        .map(|(index, element)| {
            let record: Record<'_> =
                serde_json::from_str(element.get()).map_err(|error| bad_element(index, error.to_string()))?;
            match record.fault() {
                Some(fault) => Err(bad_element(index, fault)),
                None => Ok(record),
            }
        })
        .collect()
}

fn bad_element(index: usize, detail: String) -> Error {
    Error::Invalid {
        what: format!("records[{index}] is not a provenance record").into(),
        detail: Some(detail),
        hint: "Nothing was written. Elements are counted from 0; the keys are the arguments of costsim_write_provenance.".into(),
    }
}
