//! Simulation: what a plan will cost, by cost models that are rows, and how far two of them are apart.
//!
//! The formulas are [`costsim_core::simulate`], the scores [`costsim_core::verdict`]. Promises: a call prices its plan
//! by one state of the models ([`models`]); what is wrong with a plan is said with its place; nothing is written, but by [`sandbox`]. Does
//! not: run a plan, or know what anything really costs.
//!
//! `glance` a plan that is fine is seen to be · `models` what this session remembers of them · `skills` a list of those that are allowed · `answer` what is said of an estimate · `sandbox` the new model beside the old one

mod answer;
mod glance;
pub mod models;
mod sandbox;
mod skills;
mod store;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

use std::collections::HashSet;

use costsim_core::simulate::{self, Fault, Model, Plan};
use costsim_core::verdict::{self, Verdict};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use skills::Skills;

use crate::convert::{self, Jsonb};
use crate::db;
use crate::error::{Answer, Error, Result, required};

/// The most bytes of a plan.
const LONGEST_PLAN: usize = 64 << 20;

const SPLIT_THE_PLAN: &str =
    "Split the plan, or say iterations for repeated steps and prompt_tokens in place of a long prompt.";

/// What a plan will cost, how long it takes, how it may fail, and whether it can run within a budget.
#[pg_extern(stable, parallel_safe)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
fn costsim_simulate(
    plan: Option<Jsonb>,
    budget_cents: default!(Option<f64>, "1000"),
    model: default!(Option<&str>, "'v1'"),
    version: default!(Option<&str>, "NULL"),
    allowed_skills: default!(Option<Skills>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(feasible, bool),
            name!(status, String),
            name!(estimated_cost_cents, f64),
            name!(estimated_duration_ms, f64),
            name!(budget_remaining_cents, f64),
            name!(confidence_score, Option<f64>),
            name!(model, String),
            name!(model_version, String),
            name!(cumulative_risk, f64),
            name!(budget_utilization, f64),
            name!(step_estimates, Jsonb),
            name!(risks, Jsonb),
            name!(warnings, Jsonb),
            name!(metadata, Jsonb),
        ),
    >,
    ErrorReport,
> {
    let plan = required(plan, "plan")?;
    let budget = budget(budget_cents)?;
    let model = models::look(required(model, "model")?, version)?;
    let allowed = allowed_skills.as_ref().map(Skills::names).transpose()?;
    let plan = plan.flat();
    let plan = read(&plan)?;
    let estimate = estimate(&plan, budget, &model, allowed.as_ref())?;
    Ok(TableIterator::once((
        estimate.is_feasible(),
        estimate.status().to_owned(),
        estimate.cost,
        estimate.duration_ms,
        estimate.budget_remaining,
        estimate.confidence.map(answer::four),
        model.name.clone(),
        model.version.clone(),
        answer::four(estimate.cumulative_risk),
        answer::four(estimate.budget_utilization),
        answer::jsonb(&answer::steps(&estimate, &plan, &model))?,
        answer::jsonb(&answer::risks(&estimate))?,
        answer::jsonb(&answer::warnings(&estimate))?,
        answer::jsonb(&answer::metadata(&estimate, &plan))?,
    )))
}

/// What a plan will cost, in cents, and nothing else.
#[pg_extern(stable, parallel_safe)]
fn costsim_estimate_cost(
    plan: Option<Jsonb>,
    model: default!(Option<&str>, "'v1'"),
    version: default!(Option<&str>, "NULL"),
) -> Answer<f64> {
    let plan = required(plan, "plan")?;
    let model = models::look(required(model, "model")?, version)?;
    let plan = plan.flat();
    let plan = read(&plan)?;
    Ok(simulate::cost(&plan, &model).map_err(refused)?)
}

/// What two models say of one plan, and how far they are apart.
#[pg_extern(stable, parallel_safe)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
fn costsim_compare(
    plan: Option<Jsonb>,
    budget_cents: default!(Option<f64>, "1000"),
    baseline: default!(Option<&str>, "'v1'"),
    candidate: default!(Option<&str>, "'v2'"),
    baseline_version: default!(Option<&str>, "NULL"),
    candidate_version: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(verdict, &'static str),
            name!(v1_cost_cents, f64),
            name!(v2_cost_cents, f64),
            name!(cost_delta_cents, f64),
            name!(cost_delta_pct, f64),
            name!(v1_duration_ms, f64),
            name!(v2_duration_ms, f64),
            name!(duration_delta_ms, f64),
            name!(v1_feasible, bool),
            name!(v2_feasible, bool),
            name!(feasibility_match, bool),
            name!(drift_score, f64),
            name!(symmetric_drift_score, f64),
            name!(symmetric_verdict, &'static str),
            name!(details, Jsonb),
        ),
    >,
    ErrorReport,
> {
    let plan = required(plan, "plan")?;
    let budget = budget(budget_cents)?;
    let baseline = (required(baseline, "baseline")?, baseline_version);
    let [baseline, candidate] =
        models::pair(baseline, (required(candidate, "candidate")?, candidate_version))?;
    let plan = plan.flat();
    let plan = read(&plan)?;
    let v1 = estimate(&plan, budget, &baseline, None)?;
    let v2 = estimate(&plan, budget, &candidate, None)?;
    let compared = simulate::compare(&v1, &v2);
    Ok(TableIterator::once((
        compared.verdict().as_str(),
        compared.v1_cost,
        compared.v2_cost,
        compared.cost_delta(),
        answer::four(compared.cost_delta_pct()),
        compared.v1_duration_ms,
        compared.v2_duration_ms,
        compared.duration_delta_ms(),
        compared.v1_feasible,
        compared.v2_feasible,
        compared.feasibility_match(),
        answer::four(compared.drift_score),
        answer::four(compared.symmetric_drift_score),
        compared.symmetric_verdict().as_str(),
        answer::jsonb(&answer::details(&v1, &v2))?,
    )))
}

/// The reference's drift score of a pair of costs.
#[pg_extern(immutable, strict, parallel_safe)]
fn costsim_drift_score(v1: f64, v2: f64, feasibility_match: default!(bool, "true")) -> Answer<f64> {
    Ok(verdict::drift_score(cost(v1, "v1")?, cost(v2, "v2")?, feasibility_match))
}

/// The same by the difference relative to the greater cost.
#[pg_extern(immutable, strict, parallel_safe)]
fn costsim_symmetric_drift_score(v1: f64, v2: f64, feasibility_match: default!(bool, "true")) -> Answer<f64> {
    Ok(verdict::symmetric_drift_score(cost(v1, "v1")?, cost(v2, "v2")?, feasibility_match))
}

/// The word for a drift score.
#[pg_extern(immutable, strict, parallel_safe)]
fn costsim_drift_verdict(score: f64) -> Answer<&'static str> {
    Ok(Verdict::of(cost(score, "score")?).as_str())
}

/// Makes a version of a model the one that is asked when none is named: whether it was not that already.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_activate_model(model: Option<&str>, version: Option<&str>) -> Answer<bool> {
    db::require_writable(c"costsim_activate_model()");
    let (model, version) = (required(model, "model")?, required(version, "version")?);
    match store::lock_version(model, version)? {
        Some(true) => Ok(false),
        Some(false) => {
            store::activate(model, version)?;
            Ok(true)
        }
        None => Err(models::unknown(model, Some(version))?.into()),
    }
}

/// The text of a plan.
fn text(plan: &Jsonb) -> Result<&str> {
    plan.text("plan", LONGEST_PLAN).map_err(|error| match error {
        Error::TooLarge { what } => Error::Beyond { what, hint: SPLIT_THE_PLAN },
        other => other,
    })
}

/// The steps of a plan that is neither compressed nor elsewhere.
pub fn read(plan: &Jsonb) -> Result<Plan<'_>> {
    // Too large a plan goes the long way as well: it ends there.
    let seen = if plan.size() <= LONGEST_PLAN { glance::plan(plan) } else { None };
    match seen {
        Some(plan) => Ok(plan),
        None => Plan::parse(text(plan)?).map_err(refused),
    }
}

/// A budget in cents.
fn budget(cents: Option<f64>) -> Result<f64> {
    cost(required(cents, "budget_cents")?, "budget_cents")
}

/// A number that is finite and not negative.
fn cost(value: f64, argument: &'static str) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(Error::invalid(
        format!("{argument} must be finite and not negative"),
        "Pass a number from 0 upwards.",
    ))
}

/// Why a plan cannot be priced.
fn refused(fault: Fault) -> Error {
    let what = fault.to_string();
    match fault {
        Fault::NotAnArray | Fault::Step { .. } => Error::invalid(
            convert::beginning(&what, 500).to_owned(),
            "A plan is an array of {\"skill\": text, \"params\": {...}, \"iterations\": whole number}; steps are counted from 0.",
        ),
        Fault::TooManySteps => Error::Beyond { what, hint: SPLIT_THE_PLAN },
        Fault::Overflow { .. } => Error::OutOfRange {
            what,
            hint: "Look at the step's iterations and sizes, and at the skill's row in costsim_skill_costs.",
        },
    }
}

/// A model's answer for a plan.
fn estimate<'p, 'm>(
    plan: &'p Plan<'_>,
    budget: f64,
    model: &'m Model,
    allowed: Option<&HashSet<&str>>,
) -> Result<simulate::Estimate<'p, 'm>> {
    simulate::simulate(plan, budget, model, allowed).map_err(refused)
}
