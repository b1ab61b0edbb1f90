//! Claims about the drift summary.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used)]

use costsim_core::drift::Summary;
use proptest::prelude::*;

fn summary(pairs: &[(f64, f64)]) -> Summary {
    let mut summary = Summary::default();
    pairs.iter().for_each(|(v1, v2)| summary.add(*v1, *v2).unwrap());
    summary
}

fn is_close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-9 * scale.max(1.0)
}

#[test]
fn a_small_sample_by_hand() {
    let summary = summary(&[(10.0, 12.0), (10.0, 14.0), (10.0, 9.0)]);
    assert_eq!((summary.count, summary.min, summary.max), (3, -1.0, 4.0));
    assert!(is_close(summary.mean, 5.0 / 3.0, 1.0));
    assert!(is_close(summary.stddev_samp().unwrap(), (19.0_f64 / 3.0).sqrt(), 1.0));
}

#[test]
fn fewer_than_two_pairs_have_no_deviation() {
    assert_eq!(Summary::default().stddev_samp(), None);
    assert_eq!(summary(&[(1.0, 3.0)]).stddev_samp(), None);
}

#[test]
fn small_differences_on_a_large_mean_keep_their_digits() {
    let pairs: Vec<_> = (0..1000).map(|i| (0.0, 1e9 + f64::from(i % 2))).collect();
    assert!(is_close(summary(&pairs).stddev_samp().unwrap(), (250.0_f64 / 999.0).sqrt(), 1.0));
}

#[test]
fn what_is_not_finite_is_refused_and_leaves_no_trace() {
    let mut summary = Summary::default();
    for (v1, v2) in [(f64::NAN, 1.0), (1.0, f64::INFINITY), (-f64::MAX, f64::MAX)] {
        assert!(summary.add(v1, v2).is_err());
    }
    assert_eq!(summary, Summary::default());
}

proptest! {
    #[test]
    fn merging_in_any_grouping_is_adding_one_by_one(
        pairs in prop::collection::vec((-1e6..1e6, -1e6..1e6), 1..60), cuts in (0..60_usize, 0..60_usize),
    ) {
        let (first, second) = (cuts.0.min(cuts.1).min(pairs.len()), cuts.0.max(cuts.1).min(pairs.len()));
        let (a, b, c) = (summary(&pairs[..first]), summary(&pairs[first..second]), summary(&pairs[second..]));
        let serial = summary(&pairs);
        for merged in [a.merge(&b).merge(&c), a.merge(&b.merge(&c)), c.merge(&a).merge(&b)] {
            prop_assert_eq!((merged.count, merged.min, merged.max), (serial.count, serial.min, serial.max));
            prop_assert!(is_close(merged.mean, serial.mean, 1e6));
            prop_assert!(is_close(merged.m2, serial.m2, serial.m2));
        }
    }

    #[test]
    fn an_empty_side_changes_nothing(pairs in prop::collection::vec((-1e6..1e6, -1e6..1e6), 0..20)) {
        let some = summary(&pairs);
        prop_assert_eq!(some.merge(&Summary::default()), some);
        prop_assert_eq!(Summary::default().merge(&some), some);
    }
}
