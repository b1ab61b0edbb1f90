//! Claims about golden sets.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used)]

use costsim_core::golden::{Answer, Expected, Judgement, Limits, Sample, judge};
use proptest::prelude::*;

const LIMITS: Limits =
    Limits { mean_error: 5.0, median_error: 3.0, std_deviation: 10.0, outlier_pct: 0.05, drift_score: 0.1 };

const ANSWER: Answer =
    Answer { cost: 10.0, is_feasible: true, confidence: Some(0.9), duration_ms: 500.0, risk: 0.1 };

/// What the answer is, in every field.
fn as_answered(answer: &Answer) -> Expected {
    Expected {
        cost: Some(answer.cost),
        is_feasible: Some(answer.is_feasible),
        min_confidence: answer.confidence,
        confidence: answer.confidence,
        duration_ms: Some(answer.duration_ms),
        risk: Some(answer.risk),
    }
}

fn sample(position: i32, expected: Expected, answer: Option<Answer>) -> Sample {
    Sample { position, expected, answer }
}

/// Samples of which only the costs are off, by these.
fn off_by(errors: &[f64]) -> Vec<Sample> {
    let expected = as_answered(&ANSWER);
    let answers = errors.iter().map(|error| Answer { cost: ANSWER.cost + error, ..ANSWER });
    (0..).zip(answers).map(|(position, answer)| sample(position, expected, Some(answer))).collect()
}

fn kept(judgement: &Judgement, limits: &Limits) -> bool {
    judgement.mean_error <= limits.mean_error
        && judgement.median_error <= limits.median_error
        && judgement.std_deviation <= limits.std_deviation
        && judgement.outlier_pct <= limits.outlier_pct
}

#[test]
fn statistics_by_hand() {
    let judgement = judge(&off_by(&[1.0, -2.0, 3.0, 6.0]), &LIMITS, false);
    assert_eq!((judgement.samples, judgement.errors, judgement.failed, judgement.outliers), (4, 4, 0, 0));
    assert_eq!(judgement.mean_error, 3.0);
    assert_eq!(judgement.median_error, 3.0, "the upper of two middle ones");
    assert_eq!(judgement.std_deviation, 3.5_f64.sqrt());
    // 0.3 * 3/5 + 0.3 * 3/3 + 0.2 * sqrt(3.5)/10
    assert_eq!(judgement.drift_score, 0.5174);
    assert!(judgement.is_acceptable());
    assert!(!judgement.passes_reference, "0.5174 > 0.1");
    assert_eq!(judgement.changed, [0, 1, 2, 3]);
}

#[test]
fn errors_within_every_limit_are_acceptable_where_the_reference_refuses_them() {
    // A fifth of the limit of the mean is 0.06 already.
    let limits = Limits { drift_score: 0.05, ..LIMITS };
    let judgement = judge(&off_by(&[1.0, 1.0]), &limits, false);
    assert!(judgement.is_acceptable() && !judgement.passes_reference, "{judgement:?}");
    assert_eq!(judgement.drift_score, 0.16);
}

#[test]
fn sample_with_everything_wrong_counts_once() {
    let expected = Expected { is_feasible: Some(false), min_confidence: Some(0.95), ..Expected::default() };
    let judgement = judge(
        &[sample(0, expected, Some(ANSWER)), sample(1, Expected::default(), Some(ANSWER))],
        &LIMITS,
        false,
    );
    assert_eq!((judgement.outliers, judgement.outlier_pct), (1, 0.5));
    assert_eq!(judgement.reasons, ["share of outliers 0.5 > 0.05"]);
}

#[test]
fn failure_of_the_model_is_an_outlier_and_a_change_and_no_error() {
    let judgement = judge(&[sample(7, as_answered(&ANSWER), None)], &LIMITS, true);
    assert_eq!((judgement.errors, judgement.failed, judgement.outliers), (0, 1, 1));
    assert_eq!(judgement.changed, [7]);
    assert_eq!(judgement.reasons, ["share of outliers 1 > 0.05", "1 of 1 samples changed"]);
}

#[test]
fn confidence_that_is_not_told_is_not_enough() {
    let answer = Answer { confidence: None, ..ANSWER };
    let with = |min_confidence, confidence| Expected { min_confidence, confidence, ..Expected::default() };
    let outliers = |expected| judge(&[sample(0, expected, Some(answer))], &LIMITS, true);
    assert_eq!(outliers(with(Some(0.0), None)).outliers, 1);
    assert_eq!(outliers(with(None, Some(0.5))).changed, [0]);
    assert!(outliers(with(None, None)).is_acceptable());
}

#[test]
fn confidence_as_it_is_shown_is_enough() {
    let exact = 0.98 * 0.98;
    let outliers = |least: f64, found: f64| {
        let expected = Expected { min_confidence: Some(least), ..Expected::default() };
        let answer = Answer { confidence: Some(found), ..ANSWER };
        judge(&[sample(0, expected, Some(answer))], &LIMITS, false).outliers
    };
    assert!(exact < 0.9604, "{exact}");
    assert_eq!(outliers(0.9604, exact), 0, "what is shown");
    assert_eq!(outliers(exact, exact), 0, "what is");
    assert_eq!(outliers(0.96035, 0.96036), 0, "what is, where less is shown");
    assert_eq!(outliers(0.9605, exact), 1, "neither");
}

#[test]
fn set_without_samples_is_not_acceptable() {
    for is_exact in [false, true] {
        let judgement = judge(&[], &LIMITS, is_exact);
        assert_eq!(judgement.reasons, ["no samples"]);
        assert!(!judgement.passes_reference);
        assert_eq!((judgement.mean_error, judgement.drift_score), (0.0, 0.0));
    }
}

#[test]
fn limit_itself_is_kept() {
    let limits = Limits { mean_error: 2.0, median_error: 2.0, std_deviation: 0.0, ..LIMITS };
    assert!(judge(&off_by(&[2.0, 2.0]), &limits, false).is_acceptable());
    assert!(!judge(&off_by(&[2.0, 2.0000001]), &limits, false).is_acceptable());
}

#[test]
fn limit_of_zero_allows_nothing() {
    let none =
        Limits { mean_error: 0.0, median_error: 0.0, std_deviation: 0.0, outlier_pct: 0.0, drift_score: 0.0 };
    let exact = judge(&off_by(&[0.0, 0.0]), &none, true);
    assert!(exact.is_acceptable() && exact.passes_reference && exact.drift_score == 0.0);
    let off = judge(&off_by(&[0.0, 1e-6]), &none, false);
    assert!(!off.is_acceptable() && off.drift_score == 1.0, "{off:?}");
}

#[test]
fn difference_below_a_billionth_is_none() {
    let expected = as_answered(&ANSWER);
    let changed = |answer| !judge(&[sample(0, expected, Some(answer))], &LIMITS, true).changed.is_empty();
    assert!(!changed(Answer { cost: 10.0 * (1.0 + 9e-10), ..ANSWER }));
    assert!(changed(Answer { cost: 10.0 * (1.0 + 2e-9), ..ANSWER }));
    assert!(changed(Answer { duration_ms: 500.001, ..ANSWER }));
    assert!(changed(Answer { risk: 0.1001, ..ANSWER }));
    assert!(changed(Answer { confidence: Some(0.89), ..ANSWER }));
    assert!(changed(Answer { is_feasible: false, ..ANSWER }));
    // What is shown of a probability, four decimals, is the same as well.
    assert!(!changed(Answer { risk: 0.100_04, confidence: Some(0.899_96), ..ANSWER }));
    let zero = Answer { cost: 0.0, ..ANSWER };
    let judgement = judge(&[sample(0, as_answered(&zero), Some(zero))], &LIMITS, true);
    assert!(judgement.changed.is_empty(), "zero is zero");
}

#[test]
fn costs_beyond_every_sum_have_finite_statistics() {
    let judgement = judge(&off_by(&[1.7e308, 1.7e308, 1.7e308]), &LIMITS, false);
    assert!(judgement.mean_error.is_finite() && judgement.std_deviation.is_finite(), "{judgement:?}");
    assert!((judgement.mean_error / 1.7e308 - 1.0).abs() < 1e-12);
    assert_eq!(judgement.drift_score, 1.0);
    assert!(!judgement.is_acceptable());
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..100.0, 1 => Just(0.0), 1 => 0.0..1e300, 1 => Just(f64::MAX)]
}

fn answers() -> impl Strategy<Value = Answer> {
    (number(), any::<bool>(), prop::option::of(0.0..=1.0), number(), 0.0..=1.0).prop_map(
        |(cost, is_feasible, confidence, duration_ms, risk)| Answer {
            cost,
            is_feasible,
            confidence,
            duration_ms,
            risk,
        },
    )
}

fn expectations() -> impl Strategy<Value = Expected> {
    let parts = (
        prop::option::of(number()),
        prop::option::of(any::<bool>()),
        prop::option::of(0.0..=1.0),
        prop::option::of(0.0..=1.0),
        prop::option::of(number()),
        prop::option::of(0.0..=1.0),
    );
    parts.prop_map(|(cost, is_feasible, min_confidence, confidence, duration_ms, risk)| Expected {
        cost,
        is_feasible,
        min_confidence,
        confidence,
        duration_ms,
        risk,
    })
}

fn samples(size: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Sample>> {
    let one = (expectations(), prop::option::weighted(0.9, answers()));
    prop::collection::vec(one, size).prop_map(|list| {
        (0..).zip(list).map(|(position, (expected, answer))| sample(position, expected, answer)).collect()
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    (0.0..50.0, 0.0..50.0, 0.0..50.0, 0.0..=1.0, 0.0..=1.0).prop_map(
        |(mean_error, median_error, std_deviation, outlier_pct, drift_score)| Limits {
            mean_error,
            median_error,
            std_deviation,
            outlier_pct,
            drift_score,
        },
    )
}

proptest! {
    #[test]
    fn drift_is_from_0_to_1_and_every_statistic_finite(samples in samples(0..40), limits in limits()) {
        let judgement = judge(&samples, &limits, false);
        prop_assert!((0.0..=1.0).contains(&judgement.drift_score));
        prop_assert!((0.0..=1.0).contains(&judgement.outlier_pct));
        for statistic in [judgement.mean_error, judgement.median_error, judgement.std_deviation] {
            prop_assert!(statistic.is_finite() && statistic >= 0.0);
        }
    }

    #[test]
    fn order_of_the_samples_does_not_matter(
        (one, other) in samples(0..40).prop_flat_map(|samples| (Just(samples.clone()), Just(samples).prop_shuffle())),
        limits in limits(), is_exact: bool,
    ) {
        prop_assert_eq!(judge(&one, &limits, is_exact), judge(&other, &limits, is_exact));
    }

    #[test]
    fn acceptable_if_and_only_if_within_the_limits(samples in samples(0..8), limits in limits(), is_exact: bool) {
        let judgement = judge(&samples, &limits, is_exact);
        let fits = !samples.is_empty() && kept(&judgement, &limits) && (!is_exact || judgement.changed.is_empty());
        prop_assert_eq!(judgement.is_acceptable(), fits);
        let fits = !samples.is_empty() && kept(&judgement, &limits) && judgement.drift_score <= limits.drift_score;
        prop_assert_eq!(judgement.passes_reference, fits);
    }

    #[test]
    fn sample_counts_once(samples in samples(1..40), limits in limits()) {
        let judgement = judge(&samples, &limits, false);
        prop_assert!(judgement.outliers <= samples.len() && judgement.failed <= judgement.outliers);
        prop_assert!(judgement.changed.len() <= samples.len());
        let alone: usize = samples.iter().map(|sample| judge(&[*sample], &limits, false).outliers).sum();
        prop_assert_eq!(judgement.outliers, alone);
    }

    #[test]
    fn set_of_its_own_answers_is_exact(answers in prop::collection::vec(answers(), 1..40), limits in limits()) {
        let samples: Vec<Sample> = (0..)
            .zip(&answers)
            .map(|(position, answer)| sample(position, as_answered(answer), Some(*answer)))
            .collect();
        let judgement = judge(&samples, &limits, true);
        prop_assert_eq!(judgement.changed, Vec::<i32>::new());
        prop_assert_eq!((judgement.mean_error, judgement.drift_score), (0.0, 0.0));
    }
}
