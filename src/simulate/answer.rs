//! What is said of an estimate and of a comparison, with the fields and the decimals of the reference.

use costsim_core::simulate::{Comparison, Estimate, Formula, Model, Plan};
use costsim_core::verdict::rounded;
use serde_json::{Map, Value, json};

use crate::convert::Jsonb;
use crate::error::Result;

/// The extension's version stands for the adapter's.
const ADAPTER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A number to so many decimals, written as the server writes it: what is whole has no fraction.
fn number(value: f64, decimals: u8) -> Value {
    exact(rounded(value, decimals))
}

/// A number as it is.
pub fn exact(value: f64) -> Value {
    // Beyond, not every whole number is a double, and the digits would be made up.
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// Four decimals, as the reference stores shares and scores.
pub fn four(value: f64) -> f64 {
    rounded(value, 4)
}

/// A value in the server's form.
pub fn jsonb(value: &Value) -> Result<Jsonb> {
    Jsonb::read(&value.to_string())
}

/// Step by step; what the model cannot price has no estimate.
pub fn steps(estimate: &Estimate<'_, '_>, plan: &Plan<'_>, model: &Model) -> Value {
    let priced = plan.steps.iter().enumerate().filter(|(_, step)| model.skill(&step.skill).is_some());
    let steps = priced.zip(&estimate.steps).map(|((index, _), step)| {
        json!({
            "step_index": index,
            "skill_id": step.skill,
            "cost_cents": number(step.cost, 2),
            "latency_ms": number(step.latency_ms, 2),
            "confidence": number(step.confidence, 4),
        })
    });
    steps.collect()
}

/// What may go wrong.
pub fn risks(estimate: &Estimate<'_, '_>) -> Value {
    let risks = estimate.risks.iter().map(|risk| {
        json!({
            "step_index": risk.step,
            "skill_id": risk.skill,
            "risk_type": risk.risk_type,
            "probability": exact(risk.probability),
        })
    });
    risks.collect()
}

/// What makes the estimate less sure, and, where the status does not say it, why the plan cannot run.
pub fn warnings(estimate: &Estimate<'_, '_>) -> Value {
    let reason = (estimate.formula == Formula::V2 && !estimate.is_feasible())
        .then(|| format!("infeasible: {}", estimate.feasibility.as_str()));
    let steps =
        estimate.warnings.iter().map(|(index, warning)| format!("step {index}: {}", warning.as_str()));
    reason.into_iter().chain(steps).map(Value::String).collect()
}

/// The rest.
pub fn metadata(estimate: &Estimate<'_, '_>, plan: &Plan<'_>) -> Value {
    json!({
        "plan_steps": plan.steps.len(),
        "cumulative_risk": number(estimate.cumulative_risk, 4),
        "budget_utilization": number(estimate.budget_utilization, 4),
        "adapter_version": ADAPTER_VERSION,
        "commit_sha": null,
    })
}

/// A whole estimate as one document.
pub fn estimate(estimate: &Estimate<'_, '_>, plan: &Plan<'_>, model: &Model) -> Value {
    json!({
        "feasible": estimate.is_feasible(),
        "status": estimate.status(),
        "estimated_cost_cents": exact(estimate.cost),
        "estimated_duration_ms": exact(estimate.duration_ms),
        "budget_remaining_cents": exact(estimate.budget_remaining),
        "confidence_score": estimate.confidence.map(|confidence| number(confidence, 4)),
        "model": model.name,
        "model_version": model.version,
        "step_estimates": steps(estimate, plan, model),
        "risks": risks(estimate),
        "warnings": warnings(estimate),
        "metadata": metadata(estimate, plan),
    })
}

/// What is said of two estimates beside their numbers.
pub fn details(v1: &Estimate<'_, '_>, v2: &Estimate<'_, '_>) -> Value {
    json!({
        "v1_status": v1.status(),
        "v2_status": v2.status(),
        "v2_confidence": v2.confidence.map(|confidence| number(confidence, 4)),
        "v1_risks_count": v1.risks.len(),
        "v2_risks_count": v2.risks.len(),
    })
}

/// What a breaker is told of a comparison, and what every comparison says.
pub fn in_short(comparison: &Comparison) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("verdict".into(), comparison.verdict().as_str().into());
    told.insert("cost_delta_cents".into(), exact(comparison.cost_delta()));
    told.insert("cost_delta_pct".into(), number(comparison.cost_delta_pct(), 4));
    told.insert("feasibility_match".into(), comparison.feasibility_match().into());
    told
}

/// A whole comparison as one document.
pub fn comparison(of: &Comparison, details: Value) -> Value {
    let mut told = in_short(of);
    let more = [
        ("v1_cost_cents", exact(of.v1_cost)),
        ("v2_cost_cents", exact(of.v2_cost)),
        ("v1_duration_ms", exact(of.v1_duration_ms)),
        ("v2_duration_ms", exact(of.v2_duration_ms)),
        ("duration_delta_ms", exact(of.duration_delta_ms())),
        ("v1_feasible", of.v1_feasible.into()),
        ("v2_feasible", of.v2_feasible.into()),
        ("drift_score", number(of.drift_score, 4)),
        ("symmetric_drift_score", number(of.symmetric_drift_score, 4)),
        ("symmetric_verdict", of.symmetric_verdict().as_str().into()),
        ("details", details),
    ];
    told.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(told)
}
