//! Claims about the metrics of compared pairs.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used)]

use costsim_core::divergence::{Metrics, Pair, by_group, metrics};
use costsim_core::drift::Summary;
use costsim_core::verdict::{drift_score, relative_difference, rounded};
use proptest::prelude::*;
use proptest::sample::select;

fn agreed(v1: f64, v2: f64) -> Pair {
    Pair { v1, v2, feasibility_match: true }
}

fn pairs(v1: &[f64], v2: &[f64]) -> Vec<Pair> {
    v1.iter().zip(v2).map(|(v1, v2)| agreed(*v1, *v2)).collect()
}

fn of(pairs: &[Pair]) -> Metrics {
    metrics(&mut pairs.to_vec())
}

/// Costs as they are, many alike, and as nobody expects them.
fn cost() -> impl Strategy<Value = f64> {
    const ODD: &[f64] =
        &[0.0, -0.0, 1e-9, 1.0, -1.0, 5e-324, 1e17, 1e300, f64::MAX, f64::MIN, f64::NAN, f64::INFINITY];
    prop_oneof![6 => 0.5..200.0, 4 => (0..20_u8).prop_map(f64::from), 1 => select(ODD)]
}

fn compared() -> impl Strategy<Value = Vec<Pair>> {
    let pair = (cost(), cost(), prop::bool::weighted(0.9)).prop_map(|(v1, v2, feasibility_match)| Pair {
        v1,
        v2,
        feasibility_match,
    });
    prop::collection::vec(pair, 0..300)
}

/// The same by sorting lists, step by step as the reference describes them.
struct ByLists {
    sizes: Vec<f64>,
    scores: Vec<f64>,
    finite: Vec<Pair>,
}

impl ByLists {
    fn new(pairs: &[Pair]) -> Self {
        let finite: Vec<_> = pairs.iter().copied().filter(|pair| (pair.v2 - pair.v1).is_finite()).collect();
        let mut sizes: Vec<_> = finite.iter().map(|pair| (pair.v2 - pair.v1).abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let scores =
            finite.iter().map(|pair| drift_score(pair.v1, pair.v2, pair.feasibility_match)).collect();
        Self { sizes, scores, finite }
    }

    fn between(&self, fraction: f64) -> f64 {
        let place = fraction * (self.sizes.len() - 1) as f64;
        let (below, above) = (self.sizes[place.floor() as usize], self.sizes[place.ceil() as usize]);
        below + (place - place.floor()) * (above - below)
    }

    fn share(&self, is_counted: impl Fn(f64) -> bool) -> f64 {
        rounded(self.count(is_counted) as f64 / self.scores.len() as f64, 4)
    }

    fn count(&self, is_counted: impl Fn(f64) -> bool) -> u64 {
        self.scores.iter().filter(|score| is_counted(**score)).count() as u64
    }

    fn mean(&self, of: impl Fn(&Pair) -> f64) -> f64 {
        self.finite.iter().map(|pair| of(pair) / self.finite.len() as f64).sum()
    }
}

fn is_near(one: f64, two: f64, scale: f64) -> bool {
    (one - two).abs() <= 1e-12 * scale.max(1.0)
}

#[test]
fn a_small_sample_by_hand() {
    let mut four = pairs(&[10.0, 10.0, 10.0, 0.0], &[10.0, 11.0, 14.0, 50.0]);
    four[0].feasibility_match = false;
    let metrics = metrics(&mut four);
    // |delta| 0, 1, 4, 50; scores 0.4, 0.06, 0.24 and, since the first cost is zero, 0.
    let expected = Metrics {
        sample_count: 4,
        delta_p50: 4.0,
        delta_p90: 50.0,
        kl_divergence: metrics.kl_divergence,
        outlier_count: 0,
        fail_ratio: 0.5,
        matching_rate: 0.25,
        match_count: 1,
        minor_drift_count: 1,
        major_drift_count: 1,
        mismatch_count: 1,
        feasibility_mismatches: 1,
        delta_p50_cont: 2.5,
        delta_p90_cont: 4.0 + 0.7 * 46.0,
        js_divergence: metrics.js_divergence,
        mean_delta: 13.75,
        mean_drift: metrics.mean_drift,
        max_drift: 0.4,
        mean_symmetric_difference: metrics.mean_symmetric_difference,
        not_finite: 0,
    };
    assert!((expected.delta_p90_cont - metrics.delta_p90_cont).abs() < 1e-12);
    assert_eq!(metrics, Metrics { delta_p90_cont: metrics.delta_p90_cont, ..expected });
    assert!((metrics.mean_drift - 0.7 / 4.0).abs() < 1e-15);
    assert!((metrics.mean_symmetric_difference - (1.0 / 11.0 + 4.0 / 14.0 + 1.0) / 4.0).abs() < 1e-15);
}

#[test]
fn of_nothing_everything_is_zero() {
    assert_eq!(of(&[]), Metrics::default());
    let none = of(&[agreed(f64::NAN, 1.0), agreed(f64::MIN, f64::MAX), agreed(f64::INFINITY, f64::INFINITY)]);
    assert_eq!(none, Metrics { not_finite: 3, ..Metrics::default() });
}

#[test]
fn kl_is_the_references() {
    let ten = |first: i32| (first..first + 10).map(f64::from).collect::<Vec<_>>();
    let cases = [
        (vec![100.0; 5], vec![100.0; 5], 0.0),
        (vec![100.0; 5], vec![50.0, 150.0, 75.0, 125.0, 100.0], 1.6094),
        (ten(1), ten(2), 2.003),
        (vec![5.0; 10], vec![6.0; 10], 23.0259),
        (vec![10.0, 20.0, 30.0, 40.0], vec![12.0, 18.0, 33.0, 41.0], 10.8198),
        (vec![100.0; 3], vec![100.0, 105.0, 150.0], 1.0986),
        (vec![0.0; 3], vec![0.0, 0.0, 10.0], 0.4055),
        (vec![0.0, 5.0, 5.0, 10.0], vec![0.0, 4.0, 4.0, 25.0], 5.4099),
    ];
    for (v1, v2, kl) in cases {
        assert_eq!(of(&pairs(&v1, &v2)).kl_divergence, kl, "{v1:?} {v2:?}");
    }
}

#[test]
fn percentiles_by_index_are_the_references() {
    let indexes = [
        (1, 0, 0),
        (2, 1, 1),
        (3, 1, 2),
        (4, 2, 3),
        (5, 2, 4),
        (6, 3, 5),
        (7, 3, 6),
        (8, 4, 7),
        (9, 4, 8),
        (10, 5, 9),
        (11, 5, 9),
    ];
    for (count, p50, p90) in indexes {
        // The size of a difference is its rank, and the greatest come first.
        let pairs: Vec<_> = (0..count).rev().map(|rank| agreed(100.0, 100.0 - f64::from(rank))).collect();
        let metrics = of(&pairs);
        assert_eq!((metrics.delta_p50, metrics.delta_p90), (f64::from(p50), f64::from(p90)), "of {count}");
    }
}

#[test]
fn rounding_goes_by_the_exact_value_and_ties_to_the_even_digit() {
    for (delta, expected) in [(0.125, 0.12), (0.375, 0.38), (2.675, 2.67), (0.005, 0.01), (1e17, 1e17)] {
        assert_eq!(of(&[agreed(0.0, delta)]).delta_p50, expected, "{delta}");
    }
    // One of 32 is 0.03125.
    let mut many = vec![agreed(100.0, 200.0); 31];
    many.push(agreed(100.0, 100.0));
    assert_eq!((of(&many).matching_rate, of(&many).fail_ratio), (0.0312, 0.9688));
}

#[test]
fn outliers_and_failures_go_by_the_score_at_four_decimals() {
    let of_score = |pct: f64| of(&[agreed(100_000.0, 100_000.0 * (1.0 + pct))]);
    // 0.6 of these.
    assert_eq!(of_score(0.8334).outlier_count, 0, "0.50004 is 0.5000");
    assert_eq!(of_score(0.8335).outlier_count, 1, "0.5001");
    assert_eq!(of_score(0.33334).fail_ratio, 0.0, "0.200004 is 0.2000");
    assert_eq!(of_score(0.3335).fail_ratio, 1.0, "0.2001");
}

#[test]
fn a_shift_of_ten_costs_is_unbounded_by_one_measure_alone() {
    let shifted = of(&pairs(&[5.0; 10], &[6.0; 10]));
    assert_eq!((shifted.kl_divergence, shifted.js_divergence), (23.0259, 1.0));
    assert!(shifted.mean_symmetric_difference < 0.17);
}

#[test]
fn groups_are_measured_each_by_itself() {
    let samples = pairs(&[1.0, 2.0, 3.0, 4.0, 5.0], &[1.0, 3.0, 3.0, 9.0, 5.0]);
    // The costs of even size form one group.
    let groups = by_group(&mut samples.clone(), |pair| pair.v1 % 2.0 == 0.0);
    let odd = of(&pairs(&[1.0, 3.0, 5.0], &[1.0, 3.0, 5.0]));
    let even = of(&pairs(&[2.0, 4.0], &[3.0, 9.0]));
    assert_eq!(groups, [(false, odd), (true, even)]);
    assert_eq!(by_group(&mut Vec::<Pair>::new(), |_| 0), []);
}

#[test]
fn every_metric_has_a_name() {
    let named = of(&pairs(&[8.0, 9.0], &[9.0, 12.0])).to_json();
    // As many as the record prints.
    let fields = format!("{:?}", Metrics::default()).matches(": ").count();
    assert_eq!(named.len(), fields);
    assert_eq!(named["sample_count"], 2);
    assert_eq!(named["delta_p50"], 3.0);
}

proptest! {
    #[test]
    fn order_does_not_matter(pairs in compared().prop_flat_map(|pairs| (Just(pairs.clone()), Just(pairs).prop_shuffle()))) {
        prop_assert_eq!(of(&pairs.0), of(&pairs.1));
    }

    #[test]
    fn lists_that_are_sorted_say_the_same(pairs in compared()) {
        let (metrics, lists) = (of(&pairs), ByLists::new(&pairs));
        prop_assert_eq!(metrics.sample_count, lists.sizes.len() as u64);
        prop_assert_eq!(metrics.not_finite, (pairs.len() - lists.sizes.len()) as u64);
        let count = lists.sizes.len();
        if count > 0 {
            prop_assert_eq!(metrics.delta_p50, rounded(lists.sizes[count / 2], 2));
            prop_assert_eq!(metrics.delta_p90, rounded(lists.sizes[(count as f64 * 0.9) as usize], 2));
            prop_assert_eq!(metrics.delta_p50_cont, lists.between(0.5));
            prop_assert_eq!(metrics.delta_p90_cont, lists.between(0.9));
            prop_assert_eq!(metrics.fail_ratio, lists.share(|score| rounded(score, 4) > 0.2));
            prop_assert_eq!(metrics.matching_rate, lists.share(|score| score <= 0.05));
            prop_assert_eq!(metrics.outlier_count, lists.count(|score| rounded(score, 4) > 0.5));
            prop_assert_eq!(metrics.match_count, lists.count(|score| score <= 0.05));
            prop_assert_eq!(metrics.minor_drift_count, lists.count(|score| score > 0.05 && score <= 0.15));
            prop_assert_eq!(metrics.major_drift_count, lists.count(|score| score > 0.15 && score <= 0.3));
            prop_assert_eq!(metrics.mismatch_count, lists.count(|score| score > 0.3));
            prop_assert_eq!(metrics.max_drift, lists.scores.iter().copied().fold(0.0, f64::max));
            prop_assert!(is_near(metrics.mean_drift, lists.mean(|pair| drift_score(pair.v1, pair.v2, pair.feasibility_match)), 1.0));
            prop_assert!(is_near(metrics.mean_symmetric_difference, lists.mean(|pair| relative_difference(pair.v1, pair.v2)), 1.0));
            let scale = lists.sizes[count - 1];
            prop_assert!(is_near(metrics.mean_delta, lists.mean(|pair| pair.v2 - pair.v1), scale));
        }
    }

    #[test]
    fn few_pairs_are_what_the_drift_summary_says(pairs in compared().prop_map(|mut pairs| { pairs.truncate(128); pairs })) {
        let mut summary = Summary::default();
        pairs.iter().for_each(|pair| summary.add(pair.v1, pair.v2).unwrap());
        let metrics = of(&pairs);
        prop_assert_eq!(summary.count(), metrics.sample_count);
        prop_assert_eq!(summary.kl().unwrap().unwrap_or(0.0), metrics.kl_divergence);
        prop_assert_eq!(summary.js().unwrap().unwrap_or(0.0), metrics.js_divergence);
        prop_assert_eq!(summary.mean().unwrap().unwrap_or(0.0), metrics.mean_delta);
    }

    #[test]
    fn everything_has_its_bounds(pairs in compared()) {
        let metrics = of(&pairs);
        for share in [metrics.fail_ratio, metrics.matching_rate, metrics.js_divergence, metrics.mean_drift, metrics.max_drift,
                      metrics.mean_symmetric_difference] {
            prop_assert!((0.0..=1.0).contains(&share), "{:?}", metrics);
        }
        prop_assert!((0.0..=23.0259).contains(&metrics.kl_divergence));
        prop_assert!(0.0 <= metrics.delta_p50 && metrics.delta_p50 <= metrics.delta_p90);
        prop_assert!(metrics.delta_p50_cont <= metrics.delta_p90_cont && metrics.delta_p90_cont.is_finite());
        prop_assert!(metrics.mean_drift <= metrics.max_drift);
        let counts = [metrics.match_count, metrics.minor_drift_count, metrics.major_drift_count, metrics.mismatch_count];
        prop_assert_eq!(counts.iter().sum::<u64>(), metrics.sample_count);
        prop_assert!(metrics.outlier_count <= metrics.mismatch_count);
    }

    #[test]
    fn what_treats_both_costs_alike_does_not_see_them_exchanged(pairs in compared()) {
        let exchanged: Vec<_> = pairs.iter().map(|pair| Pair { v1: pair.v2, v2: pair.v1, ..*pair }).collect();
        let (one, two) = (of(&pairs), of(&exchanged));
        prop_assert_eq!(one.js_divergence, two.js_divergence);
        prop_assert_eq!(one.mean_symmetric_difference, two.mean_symmetric_difference);
        prop_assert_eq!(one.mean_delta, -two.mean_delta);
        prop_assert_eq!((one.delta_p50, one.delta_p90), (two.delta_p50, two.delta_p90));
        prop_assert_eq!((one.delta_p50_cont, one.delta_p90_cont), (two.delta_p50_cont, two.delta_p90_cont));
    }
}
