//! Golden sets: plans whose right answer is written down, and what they say of a model.
//!
//! A set is rows: a version of it is loaded whole and never changed. Asking one is: read its samples, have the model price each plan anew,
//! hold the answers against what was written down ([`costsim_core::golden`]), store what came out. A plan that the model fails at is an
//! outlier of the set and not an error of the call, so that one bad coefficient does not hide what the other samples would say.
//!
//! `document` a set as JSON says it · `store` the rows · `purge` what sets said long ago

mod document;
mod purge;
mod store;

pub use purge::purge_some;

use costsim_core::golden::{self, Answer as Answered, Judgement, Limits, Sample};
use costsim_core::simulate::{Fault, Model, Plan, simulate};
use pgrx::prelude::*;
use serde::Serialize;

use crate::convert::{self, Jsonb};
use crate::db;
use crate::error::{Answer, Error, Result, required};
use crate::simulate::models;

use document::Document;
use store::{Noted, Set};

/// How many places, and how many failures, are told one by one.
const MOST_PLACES: usize = 100;

/// The most characters of a failure: it may quote the plan.
const LONGEST_FAILURE: usize = 500;

/// Stores a golden set and answers its version. The content of the current version again writes nothing.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_load_golden_set(document: Option<Jsonb>) -> Answer<i32> {
    db::require_writable(c"costsim_load_golden_set()");
    let document = required(document, "document")?;
    let document = Document::read(document.text("document", document::LONGEST)?)?;
    store::take_turn()?;
    match store::same(&document)? {
        Some(version) => Ok(version),
        None => Ok(store::store(&document)?),
    }
}

/// Asks a model a golden set, and answers the row that is stored of it.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["golden"])]
#[search_path(pg_catalog, pg_temp)]
fn costsim_validate_golden(
    name: Option<&str>,
    version: default!(Option<i32>, "NULL"),
    model: default!(Option<&str>, "NULL"),
    model_version: default!(Option<&str>, "NULL"),
) -> Answer<Noted> {
    db::require_writable(c"costsim_validate_golden()");
    let name = required(name, "name")?;
    let set = store::find(name, version)?.ok_or_else(|| Error::no_such_golden_set(name, version))?;
    let model_version = match (model, model_version) {
        // The version that a set was written for is one of its own model.
        (None, None) => set.model_version.as_deref(),
        (Some(model), None) if model == set.model => set.model_version.as_deref(),
        (_, model_version) => model_version,
    };
    let model = models::look(model.unwrap_or(&set.model), model_version)?;
    Ok(ask(&set, &model, None, &|| ())?.1)
}

/// What one set said of a model, for a canary.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub name: String,
    pub version: i32,
    pub sample_count: usize,
    pub mean_error: f64,
    pub outlier_pct: f64,
    pub drift_score: f64,
    pub changed_samples: usize,
    pub is_acceptable: bool,
    pub passes_reference: bool,
    pub reasons: Vec<String>,
}

/// Asks a model all sets that a canary asks of its version, and stores what they say. It runs as the owner of the tables. `heed` is called
/// before each sample.
pub fn validate_all(run_id: Option<&str>, model: &Model, heed: &dyn Fn()) -> Result<Vec<Outcome>> {
    db::as_owner(|| {
        store::of_canary(&model.name, &model.version)?
            .into_iter()
            .map(|set| {
                let (judgement, _) = ask(&set, model, run_id, heed)?;
                Ok(Outcome {
                    name: set.name,
                    version: set.version,
                    sample_count: judgement.samples,
                    mean_error: judgement.mean_error,
                    outlier_pct: judgement.outlier_pct,
                    drift_score: judgement.drift_score,
                    changed_samples: judgement.changed.len(),
                    is_acceptable: judgement.is_acceptable(),
                    passes_reference: judgement.passes_reference,
                    reasons: judgement.reasons,
                })
            })
            .collect()
    })
}

/// Where a model failed, and how.
#[derive(Serialize)]
struct Failure {
    position: i32,
    error: String,
}

/// What a result tells beside its columns.
#[derive(Serialize)]
struct Details<'a> {
    thresholds: Thresholds,
    errors_count: usize,
    outliers_count: usize,
    failed_count: usize,
    changed: &'a [i32],
    failed: &'a [Failure],
    reasons: &'a [String],
}

/// The limits of a set, by the names of their columns.
#[derive(Serialize)]
struct Thresholds {
    max_mean_error: f64,
    max_median_error: f64,
    max_std_deviation: f64,
    max_outlier_pct: f64,
    max_drift_score: f64,
}

impl From<Limits> for Thresholds {
    fn from(limits: Limits) -> Self {
        Self {
            max_mean_error: limits.mean_error,
            max_median_error: limits.median_error,
            max_std_deviation: limits.std_deviation,
            max_outlier_pct: limits.outlier_pct,
            max_drift_score: limits.drift_score,
        }
    }
}

/// Asks a model a set, and stores what came out.
fn ask(set: &Set, model: &Model, run_id: Option<&str>, heed: &dyn Fn()) -> Result<(Judgement, Noted)> {
    let mut failures = Vec::new();
    let mut samples = Vec::new();
    for store::Sample { position, plan, budget, expected } in store::samples(set)? {
        pgrx::check_for_interrupts!();
        heed();
        let answer = match price(&plan, budget, model) {
            Ok(answer) => Some(answer),
            Err(fault) => {
                if failures.len() < MOST_PLACES {
                    let error = convert::beginning(&fault.to_string(), LONGEST_FAILURE).to_owned();
                    failures.push(Failure { position, error });
                }
                None
            }
        };
        samples.push(Sample { position, expected, answer });
    }
    let judgement = golden::judge(&samples, &set.limits, set.is_exact);
    let details = Details {
        thresholds: set.limits.into(),
        errors_count: judgement.errors,
        outliers_count: judgement.outliers,
        failed_count: judgement.failed,
        changed: &judgement.changed[..judgement.changed.len().min(MOST_PLACES)],
        failed: &failures,
        reasons: &judgement.reasons,
    };
    let details = serde_json::to_string(&details)
        .map_err(|error| Error::Internal(format!("details could not be told: {error}")))?;
    let row = store::note(set, (&model.name, &model.version), run_id, &judgement, Jsonb::read(&details)?)?;
    Ok((judgement, row))
}

/// What a model says of a plan.
fn price(plan: &str, budget: f64, model: &Model) -> Result<Answered, Fault> {
    let plan = Plan::parse(plan)?;
    let estimate = simulate(&plan, budget, model, None)?;
    Ok(Answered {
        cost: estimate.cost,
        is_feasible: estimate.is_feasible(),
        confidence: estimate.confidence,
        duration_ms: estimate.duration_ms,
        risk: estimate.cumulative_risk,
    })
}
