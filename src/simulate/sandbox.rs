//! The sandbox: the new model computes beside the old one, and answers for nothing.
//!
//! ```text
//!   V1 ──> answer ─────────────────────────────────────────────────────────────┐
//!   switched on? ──> breaker lets it? ──> V2, comparison ──> record, report ───┴──> one row
//!                                              │ error          │ error
//!                                              └─ recorded,     └─ taken back, and told
//!                                                 reported as bad
//! ```
//!
//! Promises: what V1 says is answered whatever V2 does, but for what would have stopped V1 too (a cancel, a crash, no memory); each call in
//! which V2 was asked leaves one provenance row and one report to the breaker, both or neither, in the caller's transaction, and keeps a permit only with them; both
//! models are of one state; with the sandbox off
//! nothing is written. Does not: answer by V2, or wait for anybody but the one who has the breaker's row.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use costsim_core::simulate::{self, Comparison, Model, Plan};
use costsim_core::verdict::Verdict;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::{Map, Value, json};

use super::skills::Skills;
use super::{answer, budget, estimate, models, read, text};
use crate::convert::{self, Jsonb};
use crate::db::{self, Refusal};
use crate::error::{Error, Result, required};
use crate::provenance::{self, Record};
use crate::{breaker, guc};

/// The models that the sandbox holds side by side, each in its active version.
const BASELINE: &str = "v1";
const CANDIDATE: &str = "v2";

/// The source of the rows it records.
const SOURCE: &str = "sandbox";

/// The score of a plan that V2 could not price.
const WORST_SCORE: f64 = 1.0;

/// The most characters of an error's text that are passed on.
const LONGEST_MESSAGE: usize = 500;

/// Prices a plan by V1, and, where it is switched on and the breaker lets it, by V2 beside it.
#[pg_extern(volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
fn costsim_sandbox(
    plan: Option<Jsonb>,
    budget_cents: default!(Option<f64>, "1000"),
    tenant_id: default!(Option<&str>, "NULL"),
    run_id: default!(Option<&str>, "NULL"),
    breaker: default!(Option<&str>, "'costsim_v2'"),
    allowed_skills: default!(Option<Skills>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(v1_feasible, bool),
            name!(v1_status, String),
            name!(v1_cost_cents, f64),
            name!(v1_duration_ms, f64),
            name!(sandbox_enabled, bool),
            name!(v2_cost_cents, Option<f64>),
            name!(v2_feasible, Option<bool>),
            name!(v2_status, Option<String>),
            name!(v2_error, Option<String>),
            name!(verdict, Option<String>),
            name!(drift_score, Option<f64>),
            name!(symmetric_drift_score, Option<f64>),
            name!(provenance_id, Option<i64>),
            name!(incident_id, Option<String>),
            name!(v1, Jsonb),
            name!(v2, Option<Jsonb>),
            name!(comparison, Option<Jsonb>),
        ),
    >,
    ErrorReport,
> {
    let plan = required(plan, "plan")?;
    let is_enabled = guc::sandbox_enabled();
    // Both of one state, whatever is committed between one answer and the other.
    let (model, candidate) = if is_enabled {
        let [baseline, candidate] = models::each([(BASELINE, None), (CANDIDATE, None)])?;
        (baseline?, Some(candidate))
    } else {
        (models::look(BASELINE, None)?, None)
    };
    let plan = plan.flat();
    let plan_text = text(&plan)?;
    let allowed = allowed_skills.as_ref().map(Skills::names).transpose()?;
    let question = Question {
        plan: read(&plan)?,
        plan_text,
        budget: budget(budget_cents)?,
        allowed: allowed.as_ref(),
        tenant_id,
        run_id,
        breaker: required(breaker, "breaker")?,
    };
    let v1 = estimate(&question.plan, question.budget, &model, question.allowed)?;
    let outcome = match candidate {
        Some(candidate) => question.ask(&v1, candidate)?,
        None => Outcome::default(),
    };
    let Outcome { v2, error, provenance_id, incident_id } = outcome;
    let of_both = |told: fn(&Candidate) -> Value| v2.as_ref().map(|v2| answer::jsonb(&told(v2))).transpose();
    Ok(TableIterator::once((
        v1.is_feasible(),
        v1.status().to_owned(),
        v1.cost,
        v1.duration_ms,
        is_enabled,
        v2.as_ref().map(|v2| v2.compared.v2_cost),
        v2.as_ref().map(|v2| v2.compared.v2_feasible),
        v2.as_ref().map(|v2| v2.status.to_owned()),
        error,
        v2.as_ref().map(|v2| v2.compared.verdict().as_str().to_owned()),
        v2.as_ref().map(|v2| answer::four(v2.compared.drift_score)),
        v2.as_ref().map(|v2| answer::four(v2.compared.symmetric_drift_score)),
        provenance_id,
        incident_id,
        answer::jsonb(&answer::estimate(&v1, &question.plan, &model))?,
        of_both(|v2| v2.estimate.clone())?,
        of_both(|v2| v2.comparison.clone())?,
    )))
}

/// What is asked.
struct Question<'a> {
    plan: Plan<'a>,
    plan_text: &'a str,
    budget: f64,
    allowed: Option<&'a HashSet<&'a str>>,
    tenant_id: Option<&'a str>,
    run_id: Option<&'a str>,
    breaker: &'a str,
}

/// What V2 said.
struct Candidate {
    version: String,
    status: &'static str,
    compared: Comparison,
    estimate: Value,
    comparison: Value,
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    v2: Option<Candidate>,
    error: Option<String>,
    provenance_id: Option<i64>,
    incident_id: Option<String>,
}

impl Question<'_> {
    /// Asks V2, records what it said, and reports it.
    fn ask(&self, v1: &simulate::Estimate<'_, '_>, candidate: Result<Rc<Model>>) -> Result<Outcome> {
        // A breaker that nobody has made is the caller's mistake, and no answer.
        breaker::require(self.breaker)?;
        if db::is_read_only() {
            if !breaker::allow(self.breaker)? {
                return Ok(self.held_back());
            }
            db::require_writable(c"costsim_sandbox()");
        }
        // What V2 said stays even if nothing may be told of it.
        let mut v2 = None;
        // The breaker's permit is in it: who cannot report gives it back.
        let told = contained(|| {
            if !breaker::allow(self.breaker)? {
                return Ok(None);
            }
            let begin = Instant::now();
            let said = v2.insert(contained(|| self.candidate(v1, &*candidate?))?);
            let runtime_ms = i32::try_from(begin.elapsed().as_millis()).unwrap_or(i32::MAX);
            match said {
                Ok(v2) => self.report(v2, runtime_ms),
                Err(refusal) => self.report_failure(v1.cost, refusal, runtime_ms),
            }
            .map(Some)
        })?;
        let (v2, failure) = match v2 {
            Some(Ok(v2)) => (Some(v2), None),
            Some(Err(refusal)) => (None, Some(said(&refusal))),
            None => (None, None),
        };
        Ok(match told {
            Ok(Some(Told { provenance_id, incident_id, trip })) => {
                Outcome { v2, error: failure.or(trip), provenance_id: Some(provenance_id), incident_id }
            }
            Ok(None) => self.held_back(),
            // Neither recorded nor reported, for a reason that lies with the caller: rights, a constraint, a trigger.
            Err(refusal) => {
                let told = format!("not recorded: {}", said(&refusal));
                let error = failure.map_or_else(|| told.clone(), |failure| format!("{failure}; {told}"));
                Outcome { v2, error: Some(error), ..Outcome::default() }
            }
        })
    }

    fn held_back(&self) -> Outcome {
        let name = convert::beginning(self.breaker, 100);
        let error = Some(format!("circuit breaker \"{name}\" holds V2 back"));
        Outcome { error, ..Outcome::default() }
    }

    fn candidate(&self, v1: &simulate::Estimate<'_, '_>, model: &Model) -> Result<Candidate> {
        let v2 = estimate(&self.plan, self.budget, model, self.allowed)?;
        let compared = simulate::compare(v1, &v2);
        Ok(Candidate {
            version: model.version.clone(),
            status: v2.status(),
            compared,
            estimate: answer::estimate(&v2, &self.plan, model),
            comparison: answer::comparison(&compared, answer::details(v1, &v2)),
        })
    }

    /// Records what V2 said, and reports how far it is from V1.
    fn report(&self, v2: &Candidate, runtime_ms: i32) -> Result<Told> {
        let compared = &v2.compared;
        let record = Record {
            model_version: Some(v2.version.as_str().into()),
            v1_cost: Some(compared.v1_cost),
            v2_cost: Some(compared.v2_cost),
            ..self.record(runtime_ms)?
        };
        let provenance_id = provenance::write_unseen(&record, self.payload("comparison", &v2.comparison)?)?;
        let score = compared.drift_score.max(compared.symmetric_drift_score);
        let details = self.details(answer::in_short(compared));
        let incident_id = breaker::measure(self.breaker, score, 1, &details)?;
        let trip = incident_id.as_ref().map(|_| {
            let verdict = Verdict::of(score).as_str();
            format!("this report opened the circuit breaker: drift score {}, {verdict}", answer::four(score))
        });
        Ok(Told { provenance_id, incident_id, trip })
    }

    /// Records that V2 could not price the plan, and reports that.
    fn report_failure(&self, v1_cost: f64, refusal: &Refusal, runtime_ms: i32) -> Result<Told> {
        let Refusal { sqlstate, message } = refusal;
        let error = json!({ "sqlstate": sqlstate, "message": convert::beginning(message, LONGEST_MESSAGE) });
        let record = Record { v1_cost: Some(v1_cost), ..self.record(runtime_ms)? };
        let provenance_id = provenance::write_unseen(&record, self.payload("error", &error)?)?;
        let mut details = Map::new();
        details.insert("error".into(), error);
        let details = self.details(details);
        let reason = format!("V2 could not price a plan: {}", said(refusal));
        let incident_id = breaker::judge(self.breaker, false, (WORST_SCORE, 1), &reason, &details)?;
        Ok(Told { provenance_id, incident_id, trip: None })
    }

    /// What every row of the sandbox has.
    fn record(&self, runtime_ms: i32) -> Result<Record<'_>> {
        let budget = answer::exact(self.budget);
        let input = format!("{{\"budget_cents\":{budget},\"plan\":{}}}", self.plan_text);
        Ok(Record {
            run_id: self.run_id.map(Into::into),
            tenant_id: self.tenant_id.map(Into::into),
            variant_slug: Some(CANDIDATE.into()),
            source: Some(SOURCE.into()),
            input_hash: Some(provenance::input_hash(&input)?.into()),
            runtime_ms: Some(runtime_ms),
            ..Record::default()
        })
    }

    /// The plan and what came of it. The plan stays the text it is.
    fn payload(&self, name: &str, value: &Value) -> Result<Jsonb> {
        let budget = answer::exact(self.budget);
        Jsonb::read(&format!("{{\"budget_cents\":{budget},\"plan\":{},\"{name}\":{value}}}", self.plan_text))
    }

    /// What the breaker's incident keeps.
    fn details(&self, mut told: Map<String, Value>) -> String {
        told.insert(
            "tenant_id".into(),
            self.tenant_id.map(|id| convert::beginning(id, LONGEST_MESSAGE)).into(),
        );
        told.insert("run_id".into(), self.run_id.map(|id| convert::beginning(id, LONGEST_MESSAGE)).into());
        Value::Object(told).to_string()
    }
}

/// What came of recording and reporting.
struct Told {
    provenance_id: i64,
    incident_id: Option<String>,
    /// What is said of a report that opened the breaker.
    trip: Option<String>,
}

/// Runs `body` in a subtransaction: what goes wrong in it for a reason that lies in the data is an answer, whoever refuses it.
fn contained<T>(body: impl FnOnce() -> Result<T>) -> Result<std::result::Result<T, Refusal>> {
    db::attempt(AssertUnwindSafe(|| {
        body().map_err(|error| {
            ErrorReport::from(error).report(PgLogLevel::ERROR);
            Error::Internal("an error was raised and did not end the call".into())
        })
    }))
}

fn said(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.sqlstate, convert::beginning(&refusal.message, LONGEST_MESSAGE))
}
