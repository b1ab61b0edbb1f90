//! What a canary run says of the new model: both models have priced the same plans, and the differences are weighed.
//!
//! What decides is paired and bounded: the mean of the relative differences |v2 - v1| / greatest(|v1|, |v2|), the share of pairs that are
//! further apart than a limit, of pairs about whose feasibility the models disagree, of plans at which the new model failed, and every golden
//! set. The reference's rule rests on an unpaired divergence that reaches 23 where five cents have become six; its verdict is given
//! beside ours, and decides nothing.
//!
//! Promises: too few samples are no verdict; what could not be compared never disappears from the shares; every reason names the number
//! and the limit that it broke. Does not: price a plan, or know where it comes from.

use crate::divergence::{Metrics, Pair, metrics};
use crate::verdict::{relative_difference, rounded};

/// The share of pairs with a major drift that the reference takes.
const MAJOR_SHARE: f64 = 0.10;

/// The share of pairs about whose feasibility the models may disagree.
const DISAGREEMENT_SHARE: f64 = 0.10;

/// The share of samples at which the new model may fail.
const FAILURE_SHARE: f64 = 0.10;

/// The share of samples that may not be samples at all.
const UNREADABLE_SHARE: f64 = 0.10;

/// What a run takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Of the mean relative difference; of the divergence, by the reference's rule.
    pub drift: f64,
    /// A pair with a relative difference above it is an outlier; with a drift score above it, by the reference's rule.
    pub outlier: f64,
    /// Of the share of outliers.
    pub outlier_share: f64,
    /// Fewer samples are no verdict.
    pub min_samples: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { drift: 0.2, outlier: 0.5, outlier_share: 0.05, min_samples: 10 }
    }
}

/// What became of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observed {
    /// Of the pairs.
    pub metrics: Metrics,
    /// Pairs whose relative difference is above the limit.
    pub outliers: u64,
    /// Pairs whose drift score is.
    pub reference_outliers: u64,
    /// Samples that the old model has priced and the new one could not.
    pub failures: u64,
    /// Samples that the old model could not price either.
    pub unreadable: u64,
}

impl Observed {
    /// Sums up the pairs, which are put into another order.
    pub fn new(pairs: &mut [Pair], failures: u64, unreadable: u64, limits: &Limits) -> Self {
        let count = |is: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| is(pair)).count() as u64;
        let outliers = count(&|pair| relative_difference(pair.v1, pair.v2) > limits.outlier);
        let reference_outliers = count(&|pair| rounded(pair.drift_score(), 4) > limits.outlier);
        Self { metrics: metrics(pairs), outliers, reference_outliers, failures, unreadable }
    }

    /// How far the models are apart, from 0 to 1.
    pub fn drift(&self) -> f64 {
        self.metrics.mean_symmetric_difference
    }

    /// Samples that say something of the new model.
    fn telling(&self) -> u64 {
        self.metrics.sample_count + self.failures
    }
}

/// A golden set that the new model does not satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsatisfied {
    /// Which.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The new model may be trusted.
    Pass,
    /// It may not.
    Fail,
    /// The run says nothing: it could not be done.
    Error,
    /// Somebody else leads.
    Skipped,
    /// The run says nothing: there was too little to compare.
    InsufficientData,
}

impl Status {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skipped => "skipped",
            Self::InsufficientData => "insufficient_data",
        }
    }

    /// Whether nothing went wrong.
    pub fn is_passed(self) -> bool {
        !matches!(self, Self::Fail | Self::Error)
    }

    /// Whether the run says something of the new model.
    pub fn is_verdict(self) -> bool {
        matches!(self, Self::Pass | Self::Fail)
    }
}

/// What a run comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How it ended.
    pub status: Status,
    /// Why it did not pass.
    pub reasons: Vec<String>,
    /// Why it would not have passed by the reference's rule; none where it would.
    pub reference_reasons: Vec<String>,
}

/// Weighs what was observed.
pub fn judge(observed: &Observed, unsatisfied: &[Unsatisfied], limits: &Limits) -> Judgement {
    let reference_reasons = reference_reasons(observed, limits);
    let judgement = |status, reasons| Judgement { status, reasons, reference_reasons };
    let is_enough = observed.telling() >= limits.min_samples.max(1);
    let mut reasons = if is_enough { reasons(observed, limits) } else { Vec::new() };
    reasons.extend(unsatisfied.iter().map(|set| format!("golden set {}: {}", set.name, set.reason)));
    if !reasons.is_empty() {
        return judgement(Status::Fail, reasons);
    }
    let all = observed.telling() + observed.unreadable;
    if let Some(reason) = above("samples that could not be read", observed.unreadable, all, UNREADABLE_SHARE)
    {
        return judgement(Status::Error, vec![reason]);
    }
    if !is_enough {
        let reason =
            format!("{} samples, at least {} are needed", observed.telling(), limits.min_samples.max(1));
        return judgement(Status::InsufficientData, vec![reason]);
    }
    judgement(Status::Pass, Vec::new())
}

/// What speaks against the new model.
fn reasons(observed: &Observed, limits: &Limits) -> Vec<String> {
    let metrics = &observed.metrics;
    let pairs = metrics.sample_count;
    let drift = (observed.drift() > limits.drift).then(|| {
        let way = if metrics.mean_delta < 0.0 { "cheaper" } else { "dearer" };
        format!(
            "mean relative difference {:.4} > {} (the new model is {:.4} cents {way} on average)",
            observed.drift(),
            limits.drift,
            metrics.mean_delta.abs()
        )
    });
    let outliers = above("outliers", observed.outliers, pairs, limits.outlier_share)
        .map(|reason| format!("{reason} (relative difference above {})", limits.outlier));
    let disagreements =
        above("feasibility disagreements", metrics.feasibility_mismatches, pairs, DISAGREEMENT_SHARE);
    let failures = above("failures of the new model", observed.failures, observed.telling(), FAILURE_SHARE);
    [drift, outliers, disagreements, failures].into_iter().flatten().collect()
}

/// What speaks against it by the reference's rule.
fn reference_reasons(observed: &Observed, limits: &Limits) -> Vec<String> {
    let metrics = &observed.metrics;
    let pairs = metrics.sample_count;
    let divergence = (metrics.kl_divergence > limits.drift)
        .then(|| format!("KL divergence {:.4} > {:.4}", metrics.kl_divergence, limits.drift));
    let outliers = above("outliers", observed.reference_outliers, pairs, limits.outlier_share);
    let major = above("major drift", metrics.major_drift_count + metrics.mismatch_count, pairs, MAJOR_SHARE);
    [divergence, outliers, major].into_iter().flatten().collect()
}

/// Says that a part of all is greater than it may be.
fn above(what: &str, part: u64, all: u64, most: f64) -> Option<String> {
    let share = part as f64 / all as f64;
    (share > most).then(|| format!("{what} {:.2}% > {:.2}%", share * 100.0, most * 100.0))
}
