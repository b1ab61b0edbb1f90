//! One provenance record: its keys, what may stand in them, and how a batch of them is read.
//!
//! A key that nobody knows is refused: it is a spelling mistake more often than not. Money is finite or refused. The payload stays
//! the JSON text it is; no number in it is read.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use costsim_core::bounded::Bounded;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The most records of one call: their columns are built in memory, and one statement should not hold a lock for minutes.
pub const LARGEST_BATCH: usize = 100_000;

/// The most bytes of one call, payloads included.
pub const LONGEST_BATCH: usize = 64 << 20;

/// The model whose costs are the baseline, and where backfilled ones come from.
pub const BASELINE: &str = "v1";
pub const BACKFILL: &str = "backfill";

/// One row to be written. The names are the keys of a batch record.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
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
    pub hash_version: Option<i32>,
    #[serde(borrow)]
    pub payload: Option<&'a RawValue>,
    /// Now, unless a baseline brings its own.
    #[serde(skip)]
    pub created_at: Option<DateTime<Utc>>,
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
    pub fn fault(&self) -> Option<String> {
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
        if let Some(ms) = self.runtime_ms.filter(|ms| *ms < 0) {
            return Some(format!("runtime_ms must not be negative, not {ms}"));
        }
        match self.hash_version {
            Some(version) if !(1..=3).contains(&version) => {
                Some(format!("hash_version must be 1, 2 or 3, not {version}"))
            }
            _ => None,
        }
    }

    /// The same for a record that is to be written once: there must be something to know it by.
    pub fn fault_once(&self) -> Option<String> {
        match self.input_hash.as_deref() {
            None | Some("") => Some("input_hash must not be null or empty".into()),
            Some(_) => self.fault(),
        }
    }

    /// What `json` may hold and text may not. `jsonb` has refused it already.
    pub fn fault_of_text(&self) -> Option<String> {
        let texts = [
            ("run_id", &self.run_id),
            ("tenant_id", &self.tenant_id),
            ("model_version", &self.model_version),
            ("adapter_version", &self.adapter_version),
            ("commit_sha", &self.commit_sha),
            ("input_hash", &self.input_hash),
        ];
        let has_zero = |text: &Option<Cow<'_, str>>| text.as_deref().is_some_and(|text| text.contains('\0'));
        let (name, _) = texts.into_iter().find(|(_, text)| has_zero(text))?;
        Some(format!("{name} holds \\u0000, which no text can"))
    }

    /// What a record that is written once is known by.
    pub fn key(&self) -> [&str; 3] {
        [&self.tenant_id, &self.variant_slug, &self.input_hash].map(|text| text.as_deref().unwrap_or(""))
    }
}

/// A record by itself, or what is wrong with it.
pub fn refuse(fault: Option<String>) -> Result<()> {
    match fault {
        Some(fault) => Err(Error::invalid(
            fault,
            "Costs are finite numbers of cents; times are milliseconds; a kind of hash is 1, 2 or 3.",
        )),
        None => Ok(()),
    }
}

/// Reads a JSON array of records, and looks for a fault in each.
pub fn parse_batch<'a>(
    records: &'a str,
    fault: impl Fn(&Record<'a>) -> Option<String>,
) -> Result<Vec<Record<'a>>> {
    elements(records)?
        .into_iter()
        .enumerate()
        .map(|(index, element)| {
            let record: Record<'a> =
                serde_json::from_str(element.get()).map_err(|error| bad_element(index, error.to_string()))?;
            match fault(&record) {
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

/// The elements of a JSON array, unread, and not too many of them.
pub fn elements(records: &str) -> Result<Vec<&RawValue>> {
    let Bounded::<_, LARGEST_BATCH> { found, rest } =
        serde_json::from_str(records).map_err(|_| not_an_array())?;
    match found.len() + rest {
        count if count > LARGEST_BATCH => Err(too_many(count)),
        _ => Ok(found),
    }
}

pub fn not_an_array() -> Error {
    Error::invalid("records must be a JSON array", "Pass an array of objects, one per row.")
}

pub fn too_many(count: usize) -> Error {
    Error::invalid(format!("records has {count} elements, more than {LARGEST_BATCH}"), "Split the batch.")
}
