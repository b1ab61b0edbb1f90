//! The golden room's memory: sets, their samples, and what they said.

use costsim_core::golden::{Expected, Judgement, Limits};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::{
    BOOLARRAYOID, BOOLOID, FLOAT8ARRAYOID, FLOAT8OID, INT4OID, JSONBOID, TEXTARRAYOID, TEXTOID,
};

use super::document::Document;
use crate::convert::{Jsonb, row_type};
use crate::db::{self, Statement, column, nullable};
use crate::error::{Error, Result};
use crate::seed;

row_type!(Noted, "costsim_golden_results");

/// One set is loaded after the other: each takes the number behind the last.
static TAKE_TURN: Statement =
    Statement::current("LOCK TABLE @schema@.costsim_golden_sets IN SHARE ROW EXCLUSIVE MODE", &[]);

/// The samples of a document, a row each.
macro_rules! samples {
    () => {
        "SELECT (u.ordinal - 1)::pg_catalog.int4, u.plan::pg_catalog.jsonb, u.budget, u.cost, u.feasible, u.least, u.confidence,
                u.duration, u.risk, u.note
           FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                           pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                           pg_catalog.unnest($9)) WITH ORDINALITY
             AS u(plan, budget, cost, feasible, least, confidence, duration, risk, note, ordinal)"
    };
}

/// The current version, if that is what a document says. What the document leaves out stands for the table's default.
static SAME_SET: Statement = Statement::current(
    "SELECT s.version FROM @schema@.costsim_golden_sets s
      WHERE s.name = $1 AND s.is_current AND s.model = $2 AND s.model_version IS NOT DISTINCT FROM $3
        AND s.description IS NOT DISTINCT FROM $4 AND s.max_mean_error = $5 AND s.max_median_error = $6 AND s.max_std_deviation = $7
        AND s.max_outlier_pct = $8 AND s.max_drift_score = $9 AND s.is_exact = $10 AND s.in_canary = $11",
    &[
        TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, BOOLOID, BOOLOID,
    ],
);

/// Whether a version has the samples of a document, and no others.
static SAME_SAMPLES: Statement = Statement::current(
    concat!(
        "WITH new AS (",
        samples!(),
        "), old AS (SELECT g.position, g.plan, g.budget_cents, g.expected_cost_cents, g.expected_feasible, g.min_confidence,
                           g.expected_confidence, g.expected_duration_ms, g.expected_risk, g.note
                      FROM @schema@.costsim_golden_samples g WHERE g.name = $10 AND g.version = $11)
         SELECT NOT EXISTS ((TABLE new EXCEPT TABLE old) UNION ALL (TABLE old EXCEPT TABLE new))"
    ),
    &[
        TEXTARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, BOOLARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID,
        FLOAT8ARRAYOID, TEXTARRAYOID, TEXTOID, INT4OID,
    ],
);

static REPLACE: Statement = Statement::current(
    "UPDATE @schema@.costsim_golden_sets SET is_current = false WHERE name = $1 AND is_current",
    &[TEXTOID],
);

/// The row that is current takes that from the one before, by a trigger.
static STORE_SET: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_golden_sets
            (name, version, model, model_version, description, max_mean_error, max_median_error, max_std_deviation, max_outlier_pct,
             max_drift_score, is_exact, in_canary, is_current)
     SELECT $1, 1 + greatest(max(s.version), $12), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, true
       FROM @schema@.costsim_golden_sets s WHERE s.name = $1
     RETURNING version",
    &[
        TEXTOID, TEXTOID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, BOOLOID, BOOLOID,
        INT4OID,
    ],
);

static STORE_SAMPLES: Statement = Statement::current(
    concat!(
        "INSERT INTO @schema@.costsim_golden_samples
                (position, plan, budget_cents, expected_cost_cents, expected_feasible, min_confidence, expected_confidence,
                 expected_duration_ms, expected_risk, note, name, version)
         SELECT s.*, $10, $11 FROM (",
        samples!(),
        ") s"
    ),
    &[
        TEXTARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, BOOLARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID,
        FLOAT8ARRAYOID, TEXTARRAYOID, TEXTOID, INT4OID,
    ],
);

/// The columns of a set.
macro_rules! set {
    () => {
        "SELECT s.name, s.version, s.model, s.model_version, s.is_exact, s.max_mean_error, s.max_median_error, s.max_std_deviation,
                s.max_outlier_pct, s.max_drift_score
           FROM @schema@.costsim_golden_sets s "
    };
}

static FIND: Statement = Statement::deciding(
    concat!(set!(), "WHERE s.name = $1 AND CASE WHEN $2 IS NULL THEN s.is_current ELSE s.version = $2 END"),
    &[TEXTOID, INT4OID],
);

static OF_CANARY: Statement = Statement::deciding(
    concat!(
        set!(),
        "WHERE s.is_current AND s.in_canary AND s.model = $1 AND (s.model_version IS NULL OR s.model_version = $2) ORDER BY s.name"
    ),
    &[TEXTOID, TEXTOID],
);

static SAMPLES: Statement = Statement::deciding(
    "SELECT g.position, g.plan::pg_catalog.text, g.budget_cents, g.expected_cost_cents, g.expected_feasible, g.min_confidence,
            g.expected_confidence, g.expected_duration_ms, g.expected_risk
       FROM @schema@.costsim_golden_samples g WHERE g.name = $1 AND g.version = $2 ORDER BY g.position",
    &[TEXTOID, INT4OID],
);

static NOTE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_golden_results AS r
            (name, version, model, model_version, run_id, sample_count, mean_error, median_error, std_deviation, outlier_pct, drift_score,
             verdict, reference_verdict, changed_samples, details)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
     RETURNING r",
    &[
        TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TEXTOID,
        TEXTOID, INT4OID, JSONBOID,
    ],
);

/// A set, as it is asked.
pub struct Set {
    pub name: String,
    pub version: i32,
    pub model: String,
    pub model_version: Option<String>,
    pub is_exact: bool,
    pub limits: Limits,
}

/// A sample of it.
pub struct Sample {
    pub position: i32,
    pub plan: String,
    pub budget: f64,
    pub expected: Expected,
}

/// Waits until nobody else loads a set, to the end of the transaction.
pub fn take_turn() -> Result<()> {
    TAKE_TURN.run(&[]).map(drop)
}

/// What the table's defaults are.
const DEFAULT_LIMITS: [f64; 5] = [5.0, 3.0, 10.0, 0.05, 0.1];

fn of_set<'a>(document: &'a Document<'_>) -> Vec<DatumWithOid<'a>> {
    let limits = &document.limits;
    let limits = [
        limits.max_mean_error,
        limits.max_median_error,
        limits.max_std_deviation,
        limits.max_outlier_pct,
        limits.max_drift_score,
    ];
    let mut arguments: Vec<DatumWithOid<'_>> = vec![
        document.name.as_ref().into(),
        document.model.as_ref().into(),
        document.model_version.as_deref().into(),
        document.description.as_deref().into(),
    ];
    arguments
        .extend(limits.iter().zip(DEFAULT_LIMITS).map(|(limit, default)| limit.unwrap_or(default).into()));
    arguments.extend([document.is_exact.into(), document.in_canary.into()]);
    arguments
}

fn of_samples<'a>(document: &'a Document<'_>, version: i32) -> Vec<DatumWithOid<'a>> {
    let samples = &document.samples;
    let plans: Vec<&str> = samples.iter().map(|sample| sample.plan.get()).collect();
    let budgets: Vec<f64> = samples.iter().map(|sample| sample.budget_cents).collect();
    let costs: Vec<Option<f64>> = samples.iter().map(|sample| sample.expected_cost_cents).collect();
    let feasible: Vec<Option<bool>> = samples.iter().map(|sample| sample.expected_feasible).collect();
    let least: Vec<Option<f64>> = samples.iter().map(|sample| sample.min_confidence).collect();
    let confidences: Vec<Option<f64>> = samples.iter().map(|sample| sample.expected_confidence).collect();
    let durations: Vec<Option<f64>> = samples.iter().map(|sample| sample.expected_duration_ms).collect();
    let risks: Vec<Option<f64>> = samples.iter().map(|sample| sample.expected_risk).collect();
    let notes: Vec<Option<&str>> = samples.iter().map(|sample| sample.note.as_deref()).collect();
    vec![
        plans.into(),
        budgets.into(),
        costs.into(),
        feasible.into(),
        least.into(),
        confidences.into(),
        durations.into(),
        risks.into(),
        notes.into(),
        document.name.as_ref().into(),
        version.into(),
    ]
}

/// The current version of a document's set, if it has the same content.
pub fn same(document: &Document<'_>) -> Result<Option<i32>> {
    let Some(version) = SAME_SET.row(&of_set(document), |row| column(row, 1))? else { return Ok(None) };
    let is_same = SAME_SAMPLES.row(&of_samples(document, version), |row| column(row, 1))?;
    Ok((is_same == Some(true)).then_some(version))
}

/// Stores a document as the next version of its set, which is current: its number.
pub fn store(document: &Document<'_>) -> Result<i32> {
    // The trigger sees what the transaction sees. Where that is one snapshot to the end, the version before may be newer, and what the
    // trigger did not see must not be a duplicate key. (What it saw and has changed since is a serialization failure, as it should be.)
    if db::has_lasting_snapshot() {
        REPLACE.run(&[document.name.as_ref().into()])?;
    }
    let mut arguments = of_set(document);
    arguments.push(seed::golden_version(&document.name).into());
    let version = STORE_SET.row(&arguments, |row| column(row, 1))?;
    let version = version.ok_or_else(|| Error::Internal("the insert answered no version".into()))?;
    STORE_SAMPLES.run(&of_samples(document, version))?;
    Ok(version)
}

fn read_set(row: &db::Row<'_>) -> Result<Set> {
    Ok(Set {
        name: column(row, 1)?,
        version: column(row, 2)?,
        model: column(row, 3)?,
        model_version: nullable(row, 4)?,
        is_exact: column(row, 5)?,
        limits: Limits {
            mean_error: column(row, 6)?,
            median_error: column(row, 7)?,
            std_deviation: column(row, 8)?,
            outlier_pct: column(row, 9)?,
            drift_score: column(row, 10)?,
        },
    })
}

/// A version of a set, or the current one.
pub fn find(name: &str, version: Option<i32>) -> Result<Option<Set>> {
    FIND.row(&[name.into(), version.into()], read_set)
}

/// The sets that a canary asks of a version of a model.
pub fn of_canary(model: &str, model_version: &str) -> Result<Vec<Set>> {
    OF_CANARY.rows(&[model.into(), model_version.into()], read_set)
}

/// The samples of a set, in their order.
pub fn samples(set: &Set) -> Result<Vec<Sample>> {
    SAMPLES.rows(&[set.name.as_str().into(), set.version.into()], |row| {
        Ok(Sample {
            position: column(row, 1)?,
            plan: column(row, 2)?,
            budget: column(row, 3)?,
            expected: Expected {
                cost: nullable(row, 4)?,
                is_feasible: nullable(row, 5)?,
                min_confidence: nullable(row, 6)?,
                confidence: nullable(row, 7)?,
                duration_ms: nullable(row, 8)?,
                risk: nullable(row, 9)?,
            },
        })
    })
}

/// Notes what a set said of a model: the row.
pub fn note(
    set: &Set,
    (model, model_version): (&str, &str),
    run_id: Option<&str>,
    judgement: &Judgement,
    details: Jsonb,
) -> Result<Noted> {
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let word = |is_acceptable| if is_acceptable { "acceptable" } else { "not_acceptable" };
    let arguments = [
        set.name.as_str().into(),
        set.version.into(),
        model.into(),
        model_version.into(),
        run_id.into(),
        count(judgement.samples).into(),
        judgement.mean_error.into(),
        judgement.median_error.into(),
        judgement.std_deviation.into(),
        judgement.outlier_pct.into(),
        judgement.drift_score.into(),
        word(judgement.is_acceptable()).into(),
        word(judgement.passes_reference).into(),
        count(judgement.changed.len()).into(),
        Jsonb::argument(Some(details)),
    ];
    let row = NOTE.row(&arguments, |row| column(row, 1))?;
    row.ok_or_else(|| Error::Internal("the insert answered no row".into()))
}
