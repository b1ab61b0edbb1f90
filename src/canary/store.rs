//! The canary's memory: its reports, and the samples that differed.

use std::panic::AssertUnwindSafe;

use chrono::{DateTime, Utc};
use costsim_core::canary::{Judgement, Observed};
use costsim_core::verdict::rounded;
use pgrx::pg_sys::BuiltinOid::{
    BOOLARRAYOID, FLOAT8ARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT8OID, JSONBOID, TEXTARRAYOID, TEXTOID,
};
use pgrx::prelude::*;
use serde_json::{Value, json};

use super::compared::{Compared, Differing};
use super::{Outcome, Request};
use crate::convert::{Jsonb, row_type};
use crate::db::{Statement, column};
use crate::error::{Error, Result};
use crate::{clock, db, golden};

row_type!(Report, "costsim_canary_reports");

static NEW_NAME: Statement =
    Statement::deciding("SELECT pg_catalog.left(pg_catalog.gen_random_uuid()::text, 12)", &[]);

static IS_KNOWN: Statement = Statement::deciding(
    "SELECT EXISTS (SELECT FROM @schema@.costsim_canary_reports WHERE run_id = $1)",
    &[TEXTOID],
);

static WRITE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_canary_reports (
            run_id, \"timestamp\", status, passed, total_samples, matching_samples, minor_drift_samples, major_drift_samples,
            median_cost_diff, p90_cost_diff, kl_divergence, outlier_count, failure_reasons_json, golden_comparison_json,
            sample_source, requested_samples, compared_samples, failed_samples, unreadable_samples, feasibility_mismatches,
            drift_score, outlier_share, mean_cost_diff, js_divergence, reference_passed, reference_failure_reasons_json, settings,
            baseline, baseline_version, candidate, candidate_version, breaker_name, is_reported, incident_id, scheduled_for,
            finished_at, runtime_ms)
     SELECT run_id, \"timestamp\", status, passed, total_samples, matching_samples, minor_drift_samples, major_drift_samples,
            median_cost_diff, p90_cost_diff, kl_divergence, outlier_count, failure_reasons_json, golden_comparison_json,
            sample_source, requested_samples, compared_samples, failed_samples, unreadable_samples, feasibility_mismatches,
            drift_score, outlier_share, mean_cost_diff, js_divergence, reference_passed, reference_failure_reasons_json, settings,
            baseline, baseline_version, candidate, candidate_version, breaker_name, is_reported, incident_id, scheduled_for,
            finished_at, runtime_ms
       FROM pg_catalog.jsonb_populate_record(NULL::@schema@.costsim_canary_reports, $1)
     RETURNING id",
    &[JSONBOID],
);

static WRITE_SAMPLES: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_canary_samples (
            report_id, position, provenance_id, tenant_id, input_hash, is_replayed, v1_cost_cents, v2_cost_cents, feasibility_match,
            drift_score, symmetric_drift_score, verdict, error)
     SELECT $1, s.*
       FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5),
                       pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9),
                       pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12), pg_catalog.unnest($13)) AS s",
    &[
        INT8OID,
        INT4ARRAYOID,
        INT8ARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
        BOOLARRAYOID,
        FLOAT8ARRAYOID,
        FLOAT8ARRAYOID,
        BOOLARRAYOID,
        FLOAT8ARRAYOID,
        FLOAT8ARRAYOID,
        TEXTARRAYOID,
        TEXTARRAYOID,
    ],
);

static REPORT: Statement =
    Statement::deciding("SELECT r FROM @schema@.costsim_canary_reports AS r WHERE r.id = $1", &[INT8OID]);

/// A name for a run, as the reference makes them: the beginning of a random UUID.
pub fn new_name() -> Result<String> {
    NEW_NAME.row(&[], |row| column(row, 1))?.ok_or_else(|| Error::Internal("no random name".into()))
}

/// Whether there is a report of that run.
pub fn is_known(run_id: &str) -> Result<bool> {
    Ok(IS_KNOWN.row(&[run_id.into()], |row| column(row, 1))?.unwrap_or(false))
}

/// The refusal of a name that a run has.
pub fn already_exists(run_id: &str) -> Error {
    Error::AlreadyExists { what: format!("canary run \"{run_id}\" already exists") }
}

/// A report as it is stored.
pub fn report(id: i64) -> Result<Report> {
    REPORT
        .row(&[id.into()], |row| column(row, 1))?
        .ok_or_else(|| Error::Internal(format!("canary report {id} was not stored")))
}

/// A report that is to be stored.
pub struct NewReport<'a> {
    pub run_id: String,
    pub begun_at: DateTime<Utc>,
    pub request: &'a Request<'a>,
    /// Of both models, where they are known.
    pub versions: [Option<String>; 2],
    pub judgement: Judgement,
    /// Nothing where nothing was compared.
    pub compared: Option<Compared>,
    /// What the golden sets say.
    pub golden: Vec<golden::Outcome>,
    pub incident_id: Option<String>,
}

impl NewReport<'_> {
    /// What was observed; nothing where nothing was compared.
    pub fn observed(&self) -> Observed {
        self.compared.as_ref().map(|compared| compared.observed).unwrap_or_default()
    }

    /// Stores the report and the samples that differ.
    pub fn write(self) -> Result<Outcome> {
        let Self { run_id, judgement: Judgement { status, .. }, compared, .. } = &self;
        let document = Jsonb::read(&self.document().to_string())?;
        let write = AssertUnwindSafe(|| WRITE.row(&[Jsonb::argument(Some(document))], |row| column(row, 1)));
        // Somebody else's run of that name has just ended.
        let written = db::catch(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, write)?;
        let report_id = written
            .ok_or_else(|| already_exists(run_id))?
            .ok_or_else(|| Error::Internal("the insert answered no id".into()))?;
        if let Some(compared) = compared {
            for some in compared.differing.chunks(10_000) {
                write_samples(report_id, some)?;
            }
        }
        Ok(Outcome { report_id, run_id: run_id.clone(), status: *status })
    }

    /// The row, column by column.
    fn document(&self) -> Value {
        let Self { request, judgement, compared, .. } = self;
        let observed = self.observed();
        let metrics = &observed.metrics;
        let finished_at = clock::now();
        // Of nothing there is no median.
        let some = |value: Value| if metrics.sample_count > 0 { value } else { Value::Null };
        let texts = |list: &[String]| (!list.is_empty()).then(|| json!(list).to_string());
        let limits = &request.limits;
        json!({
            "run_id": self.run_id,
            "timestamp": self.begun_at.to_rfc3339(),
            "status": judgement.status.as_str(),
            "passed": judgement.status.is_passed(),
            "total_samples": compared.as_ref().map_or(0, |compared| compared.taken),
            "matching_samples": metrics.match_count,
            "minor_drift_samples": metrics.minor_drift_count,
            "major_drift_samples": metrics.major_drift_count + metrics.mismatch_count,
            "median_cost_diff": some(json!(metrics.delta_p50)),
            "p90_cost_diff": some(json!(metrics.delta_p90)),
            "kl_divergence": some(json!(metrics.kl_divergence)),
            "outlier_count": some(json!(observed.reference_outliers)),
            "failure_reasons_json": texts(&judgement.reasons),
            "golden_comparison_json": (!self.golden.is_empty()).then(|| json!(self.golden).to_string()),
            "sample_source": if request.plans.is_some() { "plans" } else { "provenance" },
            "requested_samples": request.plans.is_none().then_some(request.sample_count),
            "compared_samples": metrics.sample_count,
            "failed_samples": observed.failures,
            "unreadable_samples": observed.unreadable,
            "feasibility_mismatches": metrics.feasibility_mismatches,
            "drift_score": some(json!(observed.drift())),
            "outlier_share": some(json!(rounded(observed.outliers as f64 / metrics.sample_count as f64, 4))),
            "mean_cost_diff": some(json!(metrics.mean_delta)),
            "js_divergence": some(json!(metrics.js_divergence)),
            "reference_passed": some(json!(judgement.reference_reasons.is_empty())),
            "reference_failure_reasons_json": texts(&judgement.reference_reasons),
            "settings": {
                "drift_threshold": limits.drift,
                "outlier_threshold": limits.outlier,
                "outlier_max_pct": limits.outlier_share,
                "min_samples": limits.min_samples,
                "max_runtime_seconds": request.max_runtime.num_milliseconds() as f64 / 1_000.0,
            },
            "baseline": request.baseline,
            "baseline_version": self.versions[0],
            "candidate": request.candidate,
            "candidate_version": self.versions[1],
            "breaker_name": request.breaker,
            "is_reported": judgement.status.is_verdict(),
            "incident_id": self.incident_id,
            "scheduled_for": request.scheduled_for.map(|at| at.to_rfc3339()),
            "finished_at": finished_at.to_rfc3339(),
            "runtime_ms": (finished_at - self.begun_at).num_milliseconds(),
        })
    }
}

fn write_samples(report_id: i64, samples: &[Differing]) -> Result<()> {
    fn of<'a, T>(samples: &'a [Differing], field: impl Fn(&'a Differing) -> T) -> Vec<T> {
        samples.iter().map(field).collect()
    }
    let pairs = of(samples, |sample| sample.outcome.as_ref().ok());
    let scored = |score: &dyn Fn(&costsim_core::divergence::Pair) -> f64| {
        pairs.iter().map(|pair| pair.map(|pair| rounded(score(pair), 4))).collect::<Vec<_>>()
    };
    let verdicts: Vec<_> = pairs.iter().map(|pair| pair.map(|pair| pair.verdict().as_str())).collect();
    let matches: Vec<_> = pairs.iter().map(|pair| pair.map(|pair| pair.feasibility_match)).collect();
    WRITE_SAMPLES
        .run(&[
            report_id.into(),
            of(samples, |sample| sample.position).into(),
            of(samples, |sample| sample.origin.provenance_id).into(),
            of(samples, |sample| sample.origin.tenant_id.as_deref()).into(),
            of(samples, |sample| sample.origin.input_hash.as_deref()).into(),
            of(samples, |sample| sample.is_replayed).into(),
            of(samples, |sample| sample.costs[0]).into(),
            of(samples, |sample| sample.costs[1]).into(),
            matches.into(),
            scored(&|pair| pair.drift_score()).into(),
            scored(&|pair| pair.symmetric_drift_score()).into(),
            verdicts.into(),
            of(samples, |sample| sample.outcome.as_ref().err().map(String::as_str)).into(),
        ])
        .map(drop)
}
