//! A canary's verdict: what decides, what is only reported, and where the bounds lie.

#![allow(clippy::unwrap_used)]

use costsim_core::canary::{Judgement, Limits, Observed, Status, Unsatisfied, judge};
use costsim_core::divergence::Pair;
use proptest::prelude::*;

fn pair(v1: f64, v2: f64) -> Pair {
    Pair { v1, v2, feasibility_match: true }
}

fn judged(mut pairs: Vec<Pair>, failures: u64, unreadable: u64) -> Judgement {
    let limits = Limits::default();
    judge(&Observed::new(&mut pairs, failures, unreadable, &limits), &[], &limits)
}

/// The reference's own samples when it has no history.
fn synthetic() -> Vec<Pair> {
    vec![pair(0.0, 0.0), pair(5.0, 4.0), pair(5.0, 4.0), pair(10.0, 25.0)]
}

#[test]
fn reference_s_own_samples_fail_its_three_checks_and_are_too_few_for_ours() {
    let judgement = judged(synthetic(), 0, 0);
    assert_eq!(
        judgement.reference_reasons,
        ["KL divergence 5.4099 > 0.2000", "outliers 25.00% > 5.00%", "major drift 25.00% > 10.00%"]
    );
    assert_eq!(judgement.status, Status::InsufficientData);
    assert_eq!(judgement.reasons, ["4 samples, at least 10 are needed"]);
    assert!(judgement.status.is_passed() && !judgement.status.is_verdict());
}

#[test]
fn shift_of_a_cent_is_no_reason_to_distrust_a_model() {
    let judgement = judged(vec![pair(6.0, 5.0); 10], 0, 0);
    assert_eq!((judgement.status, judgement.reasons), (Status::Pass, vec![]));
    assert_eq!(judgement.reference_reasons[0], "KL divergence 23.0259 > 0.2000");
}

#[test]
fn model_that_is_dearer_by_a_third_fails_with_the_numbers() {
    let judgement = judged(vec![pair(100.0, 130.0); 20], 0, 0);
    assert_eq!(judgement.status, Status::Fail);
    assert_eq!(
        judgement.reasons,
        ["mean relative difference 0.2308 > 0.2 (the new model is 30.0000 cents dearer on average)"]
    );
    let cheaper = judged(vec![pair(100.0, 70.0); 20], 0, 0);
    assert!(cheaper.reasons[0].contains("30.0000 cents cheaper"), "{:?}", cheaper.reasons);
}

#[test]
fn costs_where_there_were_none_count() {
    assert_eq!(judged(vec![pair(0.0, 50.0); 10], 0, 0).status, Status::Fail);
    assert_eq!(judged(vec![pair(0.0, 0.0); 10], 0, 0).status, Status::Pass);
}

#[test]
fn bounds_are_exact_and_strict() {
    // A relative difference of a fifth exactly.
    assert_eq!(judged(vec![pair(5.0, 4.0); 10], 0, 0).status, Status::Pass);
    let apart = |outliers: usize| {
        let mut pairs = vec![pair(100.0, 100.0); 100 - outliers];
        pairs.extend(vec![pair(100.0, 201.0); outliers]);
        judged(pairs, 0, 0).status
    };
    assert_eq!((apart(5), apart(6)), (Status::Pass, Status::Fail));
    let disagreeing = |count: usize| {
        let mut pairs = vec![pair(100.0, 100.0); 100 - count];
        pairs.extend(vec![Pair { feasibility_match: false, ..pair(100.0, 100.0) }; count]);
        judged(pairs, 0, 0).status
    };
    assert_eq!((disagreeing(10), disagreeing(11)), (Status::Pass, Status::Fail));
    assert_eq!(judged(vec![pair(1.0, 1.0); 90], 10, 0).status, Status::Pass);
    assert_eq!(judged(vec![pair(1.0, 1.0); 89], 11, 0).status, Status::Fail);
    assert_eq!(judged(vec![pair(1.0, 1.0); 90], 0, 10).status, Status::Pass);
    assert_eq!(judged(vec![pair(1.0, 1.0); 89], 0, 11).status, Status::Error);
    assert_eq!(judged(vec![pair(1.0, 1.0); 9], 0, 0).status, Status::InsufficientData);
    assert_eq!(judged(vec![pair(1.0, 1.0); 10], 0, 0).status, Status::Pass);
}

#[test]
fn model_that_only_fails_is_not_lacking_data() {
    let judgement = judged(vec![], 10, 0);
    assert_eq!(judgement.status, Status::Fail);
    assert_eq!(judgement.reasons, ["failures of the new model 100.00% > 10.00%"]);
}

#[test]
fn golden_set_decides_by_itself() {
    let limits = Limits::default();
    let unsatisfied = Unsatisfied { name: "historical".into(), reason: "mean error 9 > 5".into() };
    let of = |mut pairs: Vec<Pair>| {
        judge(&Observed::new(&mut pairs, 0, 0, &limits), std::slice::from_ref(&unsatisfied), &limits)
    };
    for pairs in [vec![], vec![pair(1.0, 1.0); 50]] {
        let judgement = of(pairs);
        assert_eq!(judgement.status, Status::Fail);
        assert_eq!(judgement.reasons, ["golden set historical: mean error 9 > 5"]);
    }
}

#[test]
fn nothing_at_all_is_lacking_data_whatever_the_least_number() {
    let limits = Limits { min_samples: 0, ..Limits::default() };
    let judgement = judge(&Observed::new(&mut [], 0, 0, &limits), &[], &limits);
    assert_eq!(judgement.status, Status::InsufficientData);
}

proptest! {
    #[test]
    fn more_of_the_same_changes_nothing(
        pairs in prop::collection::vec((0.0..1e4_f64, 0.0..1e4_f64, any::<bool>()), 10..40),
        times in 2..5_usize,
    ) {
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(v1, v2, feasibility_match)| Pair { v1, v2, feasibility_match })
            .collect();
        let once = judged(pairs.clone(), 0, 0);
        let often = judged(pairs.iter().copied().cycle().take(pairs.len() * times).collect(), 0, 0);
        prop_assert_eq!(once.status, often.status);
    }

    #[test]
    fn it_matters_little_which_model_is_called_the_new_one(
        pairs in prop::collection::vec((0.0..1e4_f64, 0.0..1e4_f64), 10..40),
    ) {
        let one = judged(pairs.iter().map(|(v1, v2)| pair(*v1, *v2)).collect(), 0, 0);
        let other = judged(pairs.iter().map(|(v1, v2)| pair(*v2, *v1)).collect(), 0, 0);
        prop_assert_eq!(one.status, other.status);
    }

    #[test]
    fn agreement_passes_and_equal_costs_are_no_drift(costs in prop::collection::vec(0.0..1e6_f64, 10..60)) {
        let judgement = judged(costs.iter().map(|cost| pair(*cost, *cost)).collect(), 0, 0);
        prop_assert_eq!(judgement.status, Status::Pass);
        prop_assert!(judgement.reference_reasons.is_empty());
    }
}
