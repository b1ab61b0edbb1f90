//! What both models say of the samples.

use chrono::{DateTime, Utc};
use costsim_core::canary::{Limits, Observed};
use costsim_core::divergence::Pair;
use costsim_core::simulate::{Fault, Model, Plan, compare as compare_estimates, simulate};
use pgrx::pg_sys::panic::ErrorReport;

use super::sample::{self, Content, Origin, Source, Written};
use super::schedule;
use crate::clock;
use crate::error::Result;
use crate::simulate::read;

/// What a run compares with.
pub struct Run<'a> {
    /// The old model and the new one.
    pub models: [&'a Model; 2],
    /// From when on no sample is begun.
    pub ends_at: DateTime<Utc>,
    pub limits: &'a Limits,
}

/// What came out.
pub struct Compared {
    pub observed: Observed,
    /// Samples that were looked at.
    pub taken: u64,
    /// Samples that the time did not suffice for.
    pub left: u64,
    /// Those that differ or could not be compared.
    pub differing: Vec<Differing>,
}

/// A sample that is worth keeping.
pub struct Differing {
    /// Its place, from 1.
    pub position: i32,
    pub origin: Origin,
    pub is_replayed: bool,
    /// The costs, as far as there are any.
    pub costs: [Option<f64>; 2],
    pub outcome: Result<Pair, String>,
}

/// What a sample comes to.
enum Outcome {
    Pair(Pair),
    /// The old model has priced it at so much, the new one could not.
    Failure(f64, String),
    Unreadable(String),
}

impl Run<'_> {
    /// Whether the time is over; looks after whatever else has to be looked after.
    pub fn is_over(&self) -> bool {
        pgrx::check_for_interrupts!();
        schedule::glance();
        clock::now() >= self.ends_at
    }
}

/// Compares the samples of a source, until they, or the time, are at an end.
pub fn compare(run: &Run<'_>, source: &Source<'_>) -> Result<Compared> {
    let (mut pairs, mut differing) = (Vec::new(), Vec::new());
    let (mut failures, mut unreadable, mut taken) = (0, 0, 0);
    let left = sample::each(source, &|| run.is_over(), |origin, content| {
        if run.is_over() {
            return Ok(false);
        }
        taken += 1;
        let (outcome, is_replayed) = outcome(run.models, content);
        let mut keep = |costs, outcome| {
            let position = i32::try_from(taken).unwrap_or(i32::MAX);
            differing.push(Differing { position, origin: origin.clone(), is_replayed, costs, outcome });
        };
        match outcome {
            Outcome::Pair(pair) => {
                if pair.v1 != pair.v2 || !pair.feasibility_match {
                    keep([Some(pair.v1), Some(pair.v2)], Ok(pair));
                }
                pairs.push(pair);
            }
            Outcome::Failure(v1, error) => {
                failures += 1;
                keep([Some(v1), None], Err(error));
            }
            Outcome::Unreadable(error) => {
                unreadable += 1;
                keep([None, None], Err(error));
            }
        }
        Ok(true)
    })?;
    let observed = Observed::new(&mut pairs, failures, unreadable, run.limits);
    Ok(Compared { observed, taken, left, differing })
}

/// What a sample comes to, and whether the models have priced it.
fn outcome(models: [&Model; 2], content: Content<'_>) -> (Outcome, bool) {
    match content {
        Content::Plan { plan, budget, stored } => match priced(models, &plan, budget) {
            // A list of an application's own, beside costs of its own.
            Outcome::Unreadable(why) => stored.map_or((Outcome::Unreadable(why), true), as_stored),
            outcome => (outcome, true),
        },
        Content::Costs(pair) => as_stored(pair),
        Content::Nothing(why) => (Outcome::Unreadable(why), false),
    }
}

fn as_stored(pair: Pair) -> (Outcome, bool) {
    if pair.delta().is_finite() {
        return (Outcome::Pair(pair), false);
    }
    (Outcome::Unreadable("the costs are not finite".into()), false)
}

fn priced(models: [&Model; 2], plan: &Written<'_>, budget: f64) -> Outcome {
    match plan {
        Written::Text(text) => match Plan::parse(text) {
            Ok(plan) => price(models, &plan, budget),
            Err(fault) => Outcome::Unreadable(said(&fault)),
        },
        Written::Jsonb(plan) => match read(&plan.flat()) {
            Ok(plan) => price(models, &plan, budget),
            Err(error) => Outcome::Unreadable(ErrorReport::from(error).message().to_owned()),
        },
    }
}

fn price([baseline, candidate]: [&Model; 2], plan: &Plan<'_>, budget: f64) -> Outcome {
    let v1 = match simulate(plan, budget, baseline, None) {
        Ok(estimate) => estimate,
        Err(fault) => return Outcome::Unreadable(said(&fault)),
    };
    match simulate(plan, budget, candidate, None) {
        Ok(v2) => {
            let compared = compare_estimates(&v1, &v2);
            Outcome::Pair(Pair {
                v1: compared.v1_cost,
                v2: compared.v2_cost,
                feasibility_match: compared.feasibility_match(),
            })
        }
        Err(fault) => Outcome::Failure(v1.cost, said(&fault)),
    }
}

/// A fault in words of bounded length.
fn said(fault: &Fault) -> String {
    crate::convert::beginning(&fault.to_string(), 500).to_owned()
}
