//! The canary: both models price what was priced lately, and the breaker is told whether they still agree.
//!
//! One run at a time, under lock 7001; whoever does not lead records that it was skipped. A run reads samples ([`sample`]), compares
//! them ([`compared`]), has [`costsim_core::canary`] judge, tells the breaker once, of pass and fail alike, and leaves a report
//! ([`store`]): all of it or nothing, in the caller's transaction. What goes wrong on the way is a report that says so, and tells the breaker
//! nothing; cancel and shutdown end the call.

mod compared;
mod purge;
mod sample;
pub mod schedule;
mod store;

use std::panic::AssertUnwindSafe;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::canary::{self, Judgement, Limits, Observed, Status, Unsatisfied};
use costsim_core::verdict::rounded;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::json;

use crate::convert::{self, Jsonb};
use crate::error::{Error, Result, required};
use crate::simulate::models;
use crate::{breaker, clock, db, golden, guc, turn};
use compared::{Compared, Run};
pub use purge::purge_some;
use sample::Source;
pub use store::Report;

/// The lock of whoever runs the canary.
const CANARY: i64 = 7001;

/// The most samples of one run.
const MOST_SAMPLES: i32 = 1_000_000;

/// What is asked of a run.
pub struct Request<'a> {
    /// What the run is called; a name is made up for one that has none.
    pub run_id: Option<&'a str>,
    /// When the schedule wanted it.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// How many samples, where none are given.
    pub sample_count: i32,
    /// What it takes to pass.
    pub limits: Limits,
    /// After this it is given up.
    pub max_runtime: TimeDelta,
    /// The samples, where they are given.
    pub plans: Option<Jsonb>,
    /// Who is told.
    pub breaker: &'a str,
    /// The old model.
    pub baseline: &'a str,
    /// The new one.
    pub candidate: &'a str,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            run_id: None,
            scheduled_for: None,
            sample_count: guc::canary_sample_count(),
            limits: Limits { drift: guc::canary_drift_threshold(), ..Limits::default() },
            max_runtime: TimeDelta::minutes(5),
            plans: None,
            breaker: "costsim_v2",
            baseline: "v1",
            candidate: "v2",
        }
    }
}

/// Prices samples by both models, judges the new one, tells the breaker and answers the report. Samples are the plans of the last seven days'
/// provenance, evenly over time, or those that are given.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["canary"])]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::too_many_arguments, reason = "the settings of a run, each with a default")]
fn costsim_run_canary(
    sample_count: default!(Option<i32>, "NULL"),
    drift_threshold: default!(Option<f64>, "NULL"),
    outlier_threshold: default!(Option<f64>, "0.5"),
    outlier_max_pct: default!(Option<f64>, "0.05"),
    max_runtime: default!(Option<Interval>, "'5 minutes'"),
    min_samples: default!(Option<i32>, "10"),
    plans: default!(Option<Jsonb>, "NULL"),
    breaker: default!(Option<&str>, "'costsim_v2'"),
    baseline: default!(Option<&str>, "'v1'"),
    candidate: default!(Option<&str>, "'v2'"),
    run_id: default!(Option<&str>, "NULL"),
) -> Result<Report, ErrorReport> {
    db::require_writable(c"costsim_run_canary()");
    let default = Request::default();
    let limits = Limits {
        drift: share(drift_threshold.unwrap_or(default.limits.drift), "drift_threshold")?,
        outlier: share(required(outlier_threshold, "outlier_threshold")?, "outlier_threshold")?,
        outlier_share: share(required(outlier_max_pct, "outlier_max_pct")?, "outlier_max_pct")?,
        min_samples: within(required(min_samples, "min_samples")?, "min_samples", 0)?.unsigned_abs().into(),
    };
    let max_runtime = convert::span(required(max_runtime, "max_runtime")?);
    if max_runtime <= TimeDelta::zero() {
        return Err(Error::invalid("max_runtime must be positive", "Leave it out for five minutes.").into());
    }
    let request = Request {
        run_id,
        scheduled_for: None,
        sample_count: within(sample_count.unwrap_or(default.sample_count), "sample_count", 1)?,
        limits,
        max_runtime,
        plans,
        breaker: required(breaker, "breaker")?,
        baseline: required(baseline, "baseline")?,
        candidate: required(candidate, "candidate")?,
    };
    Ok(store::report(run(&request)?.report_id)?)
}

/// How a run ended.
pub struct Outcome {
    pub report_id: i64,
    pub run_id: String,
    pub status: Status,
}

/// Runs the canary, and leaves a report whatever becomes of it.
pub fn run(request: &Request<'_>) -> Result<Outcome> {
    let begun_at = clock::now();
    let run_id = name_of(request.run_id)?;
    breaker::require(request.breaker)?;
    let [baseline, candidate] = models::pair((request.baseline, None), (request.candidate, None))?;
    let source = match &request.plans {
        Some(plans) => Source::given(plans)?,
        None => Source::Provenance { count: request.sample_count, until: begun_at },
    };
    let mut report = store::NewReport {
        run_id: run_id.clone(),
        begun_at,
        request,
        versions: [baseline.version.clone(), candidate.version.clone()].map(Some),
        judgement: Judgement { status: Status::Skipped, reasons: Vec::new(), reference_reasons: Vec::new() },
        compared: None,
        golden: Vec::new(),
        incident_id: None,
    };
    match turn::take(CANARY) {
        // Whoever ran before has ended by now.
        Ok(()) => report.begun_at = clock::now(),
        Err(Error::LockHeld { detail, .. }) => {
            report.judgement.reasons = vec![format!("another session leads lock {CANARY}: {detail}")];
            return report.write();
        }
        Err(error) => return Err(error),
    }
    let comparing = Run {
        models: [&baseline, &candidate],
        ends_at: begun_at.checked_add_signed(request.max_runtime).unwrap_or(DateTime::<Utc>::MAX_UTC),
        limits: &request.limits,
    };
    let compare = || {
        let golden = golden::validate_all(Some(&run_id), &candidate, &|| {
            // They are asked whatever the time: what they say is a verdict by itself.
            comparing.is_over();
        })?;
        Ok((compared::compare(&comparing, &source)?, golden))
    };
    let outcome = db::contain(AssertUnwindSafe(compare))?;
    match outcome {
        Ok((compared, golden)) => {
            report.judgement = judged(&compared, &golden, request);
            (report.compared, report.golden) = (Some(compared), golden);
        }
        Err(refusal) => {
            report.judgement.status = Status::Error;
            report.judgement.reasons = vec![format!("{}: {}", refusal.sqlstate, refusal.message)];
        }
    }
    if report.judgement.status.is_verdict() {
        report.incident_id = tell_breaker(&report)?;
    }
    report.write()
}

/// A run that came to nothing, and whose transaction is no more.
pub struct Unfinished<'a> {
    pub run_id: &'a str,
    /// When the schedule wanted it.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// When it was begun.
    pub begun_at: DateTime<Utc>,
    /// Error or skipped.
    pub status: Status,
    pub reason: &'a str,
}

/// Leaves a report of a run that came to nothing.
pub fn record_unfinished(run: &Unfinished<'_>) -> Result<Outcome> {
    let Unfinished { scheduled_for, begun_at, status, .. } = *run;
    let request = Request { run_id: Some(run.run_id), scheduled_for, ..Request::default() };
    let reasons = vec![run.reason.to_owned()];
    let report = store::NewReport {
        run_id: name_of(request.run_id)?,
        begun_at,
        request: &request,
        versions: [None, None],
        judgement: Judgement { status, reasons, reference_reasons: Vec::new() },
        compared: None,
        golden: Vec::new(),
        incident_id: None,
    };
    report.write()
}

fn judged(compared: &Compared, golden: &[golden::Outcome], request: &Request<'_>) -> Judgement {
    let unsatisfied: Vec<_> = golden
        .iter()
        .filter(|set| !set.is_acceptable)
        .map(|set| Unsatisfied { name: set.name.clone(), reason: set.reasons.join(", ") })
        .collect();
    let judgement = canary::judge(&compared.observed, &unsatisfied, &request.limits);
    let stopped =
        |reason: String| Judgement { status: Status::Error, reasons: vec![reason], ..judgement.clone() };
    match compared.left {
        0 if compared.taken == 0 && request.plans.is_some() => stopped("no plans were given".into()),
        0 => judgement,
        left => stopped(format!(
            "stopped after {} seconds, with {} samples done and {left} to go",
            request.max_runtime.num_milliseconds() as f64 / 1_000.0,
            compared.taken
        )),
    }
}

/// Tells the breaker what the run says: the incident that began with it.
fn tell_breaker(report: &store::NewReport<'_>) -> Result<Option<String>> {
    let Observed { metrics, .. } = report.observed();
    let status = report.judgement.status;
    let details = json!({
        "run_id": report.run_id,
        "failure_reasons": report.judgement.reasons,
        "drift_score": rounded(report.observed().drift(), 4),
        "mean_cost_diff": rounded(metrics.mean_delta, 4),
        "outlier_count": report.observed().outliers,
        "kl_divergence": metrics.kl_divergence,
        "js_divergence": rounded(metrics.js_divergence, 4),
    });
    let samples = i32::try_from(metrics.sample_count).unwrap_or(i32::MAX);
    let reason = match report.judgement.reasons.as_slice() {
        [] => format!("canary {} passed", report.run_id),
        reasons => format!("canary {} failed: {}", report.run_id, reasons.join("; ")),
    };
    let measured = (report.observed().drift(), samples);
    let reason = convert::beginning(&reason, 1_000);
    breaker::judge(report.request.breaker, status == Status::Pass, measured, reason, &details.to_string())
}

/// The name of a run that has none yet.
fn name_of(asked: Option<&str>) -> Result<String> {
    let Some(name) = asked else { return store::new_name() };
    convert::short_text(name, "run_id", 100, "Leave it out, and a name is made up.")?;
    if store::is_known(name)? {
        return Err(store::already_exists(name));
    }
    Ok(name.to_owned())
}

fn share(value: f64, argument: &'static str) -> Result<f64> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(
        format!("{argument} must be from 0 to 1, not {value}"),
        "It is a share: 0.2 is a fifth.",
    ))
}

fn within(value: i32, argument: &'static str, least: i32) -> Result<i32> {
    if (least..=MOST_SAMPLES).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(
        format!("{argument} must be from {least} to {MOST_SAMPLES}, not {value}"),
        "Leave it out for the default.",
    ))
}
