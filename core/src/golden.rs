//! What a golden set says of a cost model.
//!
//! A *golden set* is a list of plans with what a model ought to say of each. The model answers them anew, and [`judge`] holds the answers
//! against what was expected: how far the costs are off, how many answers are outliers, and, for a set that is exact, which answers are
//! not the very ones that were written down.
//!
//! Promises: a sample counts once, however many things are wrong with it; the judgement does not depend on the order of the samples; every
//! statistic is a finite number. Does not: know where samples come from or how a model prices a plan.
//!
//! Two verdicts are given. *Ours* asks each statistic against its own limit. The *reference's* asks for the drift score as well, which is
//! made of the same statistics as parts of their limits: so a set whose limit for it is 0.05 is refused by that rule as soon as its errors
//! use up a twentieth of what the other limits allow. It is reported, and decides nothing.

use crate::verdict::rounded;

/// By how much two numbers may differ, relative to the greater, and still be the same.
const SAME: f64 = 1e-9;

/// How much a mean and a median error weigh in the drift score, each.
const ERROR_WEIGHT: f64 = 0.3;

/// How much the deviation and the share of outliers weigh, each.
const SPREAD_WEIGHT: f64 = 0.2;

/// What a set allows. Errors are cents, shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Of the mean of the errors.
    pub mean_error: f64,
    /// Of their median.
    pub median_error: f64,
    /// Of their standard deviation.
    pub std_deviation: f64,
    /// Of the share of outliers.
    pub outlier_pct: f64,
    /// Of the drift score; by the reference's rule alone.
    pub drift_score: f64,
}

/// What a model ought to say of a plan. `None` is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Expected {
    /// Cents.
    pub cost: Option<f64>,
    /// Whether the plan can run.
    pub is_feasible: Option<bool>,
    /// How sure the model must be at least.
    pub min_confidence: Option<f64>,
    /// How sure it is.
    pub confidence: Option<f64>,
    /// Milliseconds.
    pub duration_ms: Option<f64>,
    /// How likely the plan fails.
    pub risk: Option<f64>,
}

/// What a model says of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Cents.
    pub cost: f64,
    /// Whether the plan can run.
    pub is_feasible: bool,
    /// How sure the model is; `None` of one that does not say.
    pub confidence: Option<f64>,
    /// Milliseconds.
    pub duration_ms: f64,
    /// How likely the plan fails.
    pub risk: f64,
}

/// One plan of a set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Its place in the set.
    pub position: i32,
    /// What was written down.
    pub expected: Expected,
    /// What the model says now; `None` where it failed.
    pub answer: Option<Answer>,
}

/// What a set says of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Samples in all.
    pub samples: usize,
    /// Those whose cost was compared.
    pub errors: usize,
    /// Those at which the model failed.
    pub failed: usize,
    /// Those that are outliers.
    pub outliers: usize,
    /// Of the errors |cost - expected|, in cents.
    pub mean_error: f64,
    /// The upper of two middle ones.
    pub median_error: f64,
    /// Of the population.
    pub std_deviation: f64,
    /// Outliers among all samples.
    pub outlier_pct: f64,
    /// The reference's score, from 0 to 1, at four decimals.
    pub drift_score: f64,
    /// The places of samples that were not answered as they were written down, ascending.
    pub changed: Vec<i32>,
    /// Whether all five limits are kept.
    pub passes_reference: bool,
    /// Why the model is not acceptable; none when it is.
    pub reasons: Vec<String>,
}

impl Judgement {
    /// Whether the model may be used, as far as this set can tell.
    pub fn is_acceptable(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Holds the answers of a model against a set. Of an exact set every answer must be the very one that was written down.
pub fn judge(samples: &[Sample], limits: &Limits, is_exact: bool) -> Judgement {
    let mut errors: Vec<f64> = samples.iter().filter_map(cost_error).collect();
    // Sums of floating numbers depend on their order; of sorted ones they do not depend on the samples'.
    errors.sort_by(f64::total_cmp);
    let (mean_error, std_deviation) = mean_and_deviation(&errors);
    let median_error = errors.get(errors.len() / 2).copied().unwrap_or_default();
    let outliers = samples.iter().filter(|sample| is_outlier(sample)).count();
    let outlier_pct = share(outliers, samples.len());
    let mut changed: Vec<i32> =
        samples.iter().filter(|sample| has_changed(sample)).map(|sample| sample.position).collect();
    changed.sort_unstable();

    let parts = [
        ("mean error", mean_error, limits.mean_error, ERROR_WEIGHT),
        ("median error", median_error, limits.median_error, ERROR_WEIGHT),
        ("standard deviation", std_deviation, limits.std_deviation, SPREAD_WEIGHT),
        ("share of outliers", outlier_pct, limits.outlier_pct, SPREAD_WEIGHT),
    ];
    let drift_score = parts.iter().map(|(_, value, limit, weight)| weight * used_up(*value, *limit)).sum();
    let drift_score = rounded(f64::min(drift_score, 1.0), 4);
    // A number that is no number is above every limit.
    let is_within = |value: f64, limit: f64| value <= limit;
    let mut reasons: Vec<String> = parts
        .iter()
        .filter(|(_, value, limit, _)| !is_within(*value, *limit))
        .map(|(name, value, limit, _)| format!("{name} {} > {limit}", rounded(*value, 4)))
        .collect();
    let passes_reference = !samples.is_empty() && reasons.is_empty() && drift_score <= limits.drift_score;
    if samples.is_empty() {
        reasons.push("no samples".into());
    }
    if is_exact && !changed.is_empty() {
        reasons.push(format!("{} of {} samples changed", changed.len(), samples.len()));
    }
    Judgement {
        samples: samples.len(),
        errors: errors.len(),
        failed: samples.iter().filter(|sample| sample.answer.is_none()).count(),
        outliers,
        mean_error,
        median_error,
        std_deviation,
        outlier_pct,
        drift_score,
        changed,
        passes_reference,
        reasons,
    }
}

/// By how many cents the cost is off, where one was expected and the model has answered.
fn cost_error(sample: &Sample) -> Option<f64> {
    let expected = sample.expected.cost?;
    let error = (sample.answer?.cost - expected).abs();
    Some(error.min(f64::MAX))
}

/// Whether the answer is of another kind than was expected. A model that does not say how sure it is is not sure enough.
fn is_outlier(sample: &Sample) -> bool {
    let Some(answer) = sample.answer else { return true };
    let expected = &sample.expected;
    let is_other = expected.is_feasible.is_some_and(|feasible| feasible != answer.is_feasible);
    // As with what is written down: who asks for what is shown asks for no more than that.
    let is_below = |least: f64, found: f64| found < least && rounded(found, 4) < least;
    let is_unsure = expected
        .min_confidence
        .is_some_and(|least| answer.confidence.is_none_or(|found| is_below(least, found)));
    is_other || is_unsure
}

/// Whether the answer is not the one that was written down.
fn has_changed(sample: &Sample) -> bool {
    let Some(answer) = sample.answer else { return true };
    let expected = &sample.expected;
    let is_other =
        |expected: Option<f64>, found: f64| expected.is_some_and(|expected| !is_same(expected, found));
    // Of a probability four decimals are shown, and who writes down what is shown is right.
    let is_other_share = |expected: Option<f64>, found: Option<f64>| {
        expected.is_some_and(|expected| {
            found.is_none_or(|found| !is_same(expected, found) && !is_same(expected, rounded(found, 4)))
        })
    };
    expected.is_feasible.is_some_and(|feasible| feasible != answer.is_feasible)
        || is_other(expected.cost, answer.cost)
        || is_other(expected.duration_ms, answer.duration_ms)
        || is_other_share(expected.confidence, answer.confidence)
        || is_other_share(expected.risk, Some(answer.risk))
}

fn is_same(one: f64, other: f64) -> bool {
    // Equal ones first: the rest has no answer for two that are zero.
    one == other || (one - other).abs() <= SAME * one.abs().max(other.abs())
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What part of its limit a value is. Of a limit of zero nothing is nothing, and everything else too much.
fn used_up(value: f64, limit: f64) -> f64 {
    match (value > 0.0, limit > 0.0) {
        (false, _) => 0.0,
        (true, false) => f64::INFINITY,
        (true, true) => value / limit,
    }
}

/// Mean and population standard deviation of sorted numbers that are not negative; zeros of none.
fn mean_and_deviation(sorted: &[f64]) -> (f64, f64) {
    let Some(&largest) = sorted.last() else { return (0.0, 0.0) };
    let count = sorted.len() as f64;
    let of = |scale: f64| {
        let mean = sorted.iter().map(|value| value / scale).sum::<f64>() / count;
        let squares = sorted.iter().map(|value| (value / scale - mean).powi(2)).sum::<f64>();
        (mean * scale, (squares / count).sqrt() * scale)
    };
    match of(1.0) {
        (mean, deviation) if mean.is_finite() && deviation.is_finite() => (mean, deviation),
        // Beyond what can be squared they are taken as parts of the largest.
        _ => of(largest),
    }
}
