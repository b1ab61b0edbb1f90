//! One look: runs are read, judged, and what is said of them is kept.

use std::collections::HashMap;

use costsim_core::prediction::cost::{Forecast, OVERRUN};
use costsim_core::prediction::failure::{Belief, Counts, HIGH_RATE};
use costsim_core::prediction::{LEAST_CONFIDENCE, reference};
use costsim_core::verdict::rounded;
use serde_json::{Value, json};

use super::store::{self, Look, Method, Said, Stands, Worker};
use crate::error::Result;
use crate::{clock, lock};

/// Errors that are shown.
const SAMPLES: usize = 3;

/// Of so many newest failures the reference shows errors.
const REFERENCE_SAMPLES: usize = 5;

/// Looks, and answers what is said with where it stands, if it was written.
pub fn predict(look: &Look<'_>) -> Result<Vec<(Said, Option<Stands>)>> {
    match look.tenant {
        Some(tenant) => lock::wait_to_predict(store::key(tenant)),
        None => lock::wait_to_predict_for_all(),
    }
    let workers = store::workers(look)?;
    let mut said = Vec::new();
    for tenant in workers.chunk_by(|one, other| one.tenant == other.tenant) {
        match look.method {
            Method::Standard { min_runs, level } => say_standard(tenant, min_runs, level, &mut said),
            Method::Reference => say_reference(tenant, &mut said),
        }
        pgrx::check_for_interrupts!();
    }
    drop(workers);
    let now = clock::now();
    if look.expires_at <= now {
        return Ok(said.into_iter().map(|said| (said, None)).collect());
    }
    let mut stands = store::write(&said, look, now)?;
    Ok(said.into_iter().enumerate().map(|(place, said)| (said, stands.remove(&place))).collect())
}

/// What is said of counts, as many workers of a tenant have the same.
struct Failing {
    confidence: f64,
    value: Value,
    alike: (f64, f64),
}

fn say_standard(workers: &[Worker], min_runs: u64, level: f64, said: &mut Vec<Said>) {
    let counts: Vec<Counts> = workers.iter().map(|worker| worker.counts).collect();
    let prior = Belief::learnt(&counts);
    let mut known: HashMap<Counts, Option<Failing>> = HashMap::new();
    for worker in workers {
        if worker.counts.failures() > 0 && worker.counts.runs() >= min_runs {
            let failing = known.entry(worker.counts).or_insert_with(|| failing(&prior, worker.counts, level));
            if let Some(failing) = failing {
                let mut factors = failure_factors(worker, SAMPLES, usize::MAX);
                let (alpha, beta) = failing.alike;
                factors.push(factor("posterior", json!({"alpha": alpha, "beta": beta})));
                said.push(worker.said("failure_likelihood", failing.confidence, &failing.value, factors));
            }
        }
        if let Some(forecast) = Forecast::of(&worker.costs) {
            let confidence = forecast.at_least(OVERRUN);
            if confidence >= LEAST_CONFIDENCE {
                let value = overrun(&forecast, level);
                let factors = vec![
                    factor("runs", json!(forecast.runs())),
                    factor("historical_avg_cost", value["historical_avg_cents"].clone()),
                    factor("trend_per_run", value["trend_per_run"].clone()),
                ];
                said.push(worker.said("cost_overrun", rounded(confidence, 3), &value, factors));
            }
        }
    }
}

fn failing(prior: &Belief, counts: Counts, level: f64) -> Option<Failing> {
    let belief = prior.after(counts);
    let confidence = belief.at_least(HIGH_RATE);
    if confidence < LEAST_CONFIDENCE {
        return None;
    }
    let interval = belief.interval(level);
    let (alpha, beta) = belief.alike();
    Some(Failing {
        confidence: rounded(confidence, 3),
        value: json!({
            "predicted_outcome": "high_failure_likelihood",
            "failure_rate": observed_rate(counts),
            "estimated_rate": rounded(belief.median(), 4),
            "lower": rounded(interval.lower, 4),
            "upper": rounded(interval.upper, 4),
            "interval_level": level,
            "failures": counts.failures(),
            "runs": counts.runs(),
        }),
        alike: (rounded(alpha, 6), rounded(beta, 6)),
    })
}

fn overrun(forecast: &Forecast, level: f64) -> Value {
    let interval = forecast.interval(level);
    json!({
        "predicted_outcome": "cost_overrun",
        "projected_cost_cents": rounded(forecast.projected(), 6),
        "lower_cents": rounded(interval.lower, 6),
        "upper_cents": rounded(interval.upper, 6),
        "interval_level": level,
        "historical_avg_cents": rounded(forecast.historical(), 6),
        "overrun_percent": rounded(forecast.overrun_percent(), 1),
        "trend_per_run": rounded(forecast.trend_per_run(), 6),
    })
}

fn say_reference(workers: &[Worker], said: &mut Vec<Said>) {
    for worker in workers {
        if let Some(failure) = reference::Failure::of(worker.told_failures, worker.all_runs)
            && failure.is_told()
        {
            let value = json!({
                "predicted_outcome": "high_failure_likelihood",
                "failure_rate": rounded(failure.rate, 3),
                "recent_failures": worker.told_failures,
                "total_runs": worker.all_runs,
            });
            let mut factors = failure_factors(worker, SAMPLES, REFERENCE_SAMPLES);
            for factor in &mut factors {
                match factor["factor"].as_str() {
                    Some("recent_failures") => factor["value"] = json!(worker.told_failures),
                    Some("failure_rate") => factor["value"] = json!(rounded(failure.rate, 3)),
                    _ => {}
                }
            }
            said.push(worker.said("failure_likelihood", rounded(failure.confidence, 3), &value, factors));
        }
        if let Some(cost) = reference::Cost::of(&worker.costs)
            && cost.is_told()
        {
            let value = json!({
                "predicted_outcome": "cost_overrun",
                "projected_cost_cents": rounded(cost.projected, 2),
                "historical_avg_cents": rounded(cost.historical, 2),
                "overrun_percent": rounded(cost.overrun_percent, 1),
            });
            let factors = vec![
                factor("recent_avg_cost", json!(rounded(cost.recent, 2))),
                factor("historical_avg_cost", json!(rounded(cost.historical, 2))),
                factor("trend_multiplier", json!(rounded(cost.multiplier, 3))),
                factor("sample_size", json!({"recent": 3, "historical": cost.older_runs})),
            ];
            said.push(worker.said("cost_overrun", cost.confidence, &value, factors));
        }
    }
}

fn failure_factors(worker: &Worker, most: usize, among: usize) -> Vec<Value> {
    let mut samples: Vec<&str> = Vec::new();
    for error in worker.errors.iter().take(among).map(String::as_str).filter(|error| !error.is_empty()) {
        if samples.len() < most && !samples.contains(&error) {
            samples.push(error);
        }
    }
    vec![
        factor("recent_failures", json!(worker.counts.failures())),
        factor("failure_rate", json!(observed_rate(worker.counts))),
        factor("error_samples", json!(samples)),
        factor("feedback_patterns", json!(worker.patterns)),
    ]
}

fn observed_rate(counts: Counts) -> f64 {
    rounded(counts.failures() as f64 / counts.runs().max(1) as f64, 4)
}

#[expect(clippy::needless_pass_by_value, reason = "made for it")]
fn factor(name: &str, value: Value) -> Value {
    json!({"factor": name, "value": value})
}

impl Worker {
    fn said(&self, kind: &'static str, confidence: f64, value: &Value, factors: Vec<Value>) -> Said {
        Said {
            tenant: self.tenant.clone(),
            kind,
            subject: self.id.clone(),
            confidence,
            value: value.clone(),
            factors: Value::Array(factors).to_string(),
        }
    }
}
