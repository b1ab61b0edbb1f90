//! Claims about the drift summary.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used)]

use costsim_core::drift::{Fault, KEPT, LARGEST_COUNT, Moving, Quantity, Summary};
use proptest::prelude::*;
use proptest::sample::select;

fn summary(pairs: &[(f64, f64)]) -> Summary {
    let mut summary = Summary::default();
    pairs.iter().for_each(|(v1, v2)| summary.add(*v1, *v2).unwrap());
    summary
}

fn merged(parts: &[Summary]) -> Summary {
    let mut whole = Summary::default();
    parts.iter().for_each(|part| whole.merge(part).unwrap());
    whole
}

fn bytes(summary: &Summary) -> Vec<u8> {
    summary.to_bytes().unwrap()
}

/// Pairs of two lists.
fn lists(v1: &[f64], v2: &[f64]) -> Vec<(f64, f64)> {
    v1.iter().copied().zip(v2.iter().copied()).collect()
}

/// Costs as they are, and as nobody expects them.
fn cost() -> impl Strategy<Value = f64> {
    const ODD: &[f64] = &[
        0.0,
        -0.0,
        1e-9,
        -1e-9,
        1e-10,
        1.0,
        -1.0,
        5e-324,
        -5e-324,
        1e-300,
        1e17,
        1e300,
        -1e300,
        f64::MAX,
        f64::MIN,
        f64::NAN,
        f64::INFINITY,
    ];
    prop_oneof![8 => 0.5..200.0, 2 => -1e6..1e6, 1 => select(ODD)]
}

fn costs(size: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((cost(), cost()), size)
}

/// A quantity of every pair that has it, sorted.
fn sorted(pairs: &[(f64, f64)], quantity: Quantity) -> Vec<f64> {
    let pairs = pairs.iter().filter(|(v1, v2)| (v2 - v1).is_finite());
    let mut values: Vec<f64> = pairs
        .filter_map(|(v1, v2)| match quantity {
            Quantity::Delta => Some(v2 - v1),
            Quantity::AbsDelta => Some((v2 - v1).abs()),
            Quantity::RelDelta => (*v1 != 0.0).then(|| ((v2 - v1).abs() / v1.abs()).min(f64::MAX)),
        })
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

const QUANTITIES: [Quantity; 3] = [Quantity::Delta, Quantity::AbsDelta, Quantity::RelDelta];
const FRACTIONS: [f64; 9] = [0.0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0];

#[test]
fn a_small_sample_by_hand() {
    let summary = summary(&[(8.0, 10.0), (8.0, 12.0), (8.0, 7.0), (0.0, 2.0)]);
    assert_eq!((summary.count(), summary.not_finite()), (4, 0));
    assert_eq!((summary.min(), summary.max()), (Ok(Some(-1.0)), Ok(Some(4.0))));
    assert_eq!(summary.mean(), Ok(Some(7.0 / 4.0)));
    assert_eq!(summary.stddev(), Ok(Some((51.0_f64 / 12.0).sqrt())));
    assert_eq!((summary.rel_mean(), summary.rel_max()), (Ok(Some(0.875 / 3.0)), Ok(Some(0.5))));
}

#[test]
fn nothing_is_known_of_no_pairs() {
    let none = Summary::default();
    assert_eq!((none.count(), none.not_finite()), (0, 0));
    for answer in [
        none.mean(),
        none.min(),
        none.max(),
        none.stddev(),
        none.rel_mean(),
        none.rel_max(),
        none.kl(),
        none.js(),
    ] {
        assert_eq!(answer, Ok(None));
    }
    for quantity in QUANTITIES {
        assert_eq!(
            (none.percentile(0.5, quantity), none.index_percentile(0.5, quantity)),
            (Ok(None), Ok(None))
        );
    }
}

#[test]
fn one_pair_has_no_deviation() {
    assert_eq!(summary(&[(1.0, 3.0)]).stddev(), Ok(None));
    assert_eq!(summary(&[(1.0, 3.0), (2.0, 4.0)]).stddev(), Ok(Some(0.0)));
}

#[test]
fn what_is_not_finite_is_counted_and_otherwise_left_out() {
    let mut summary = Summary::default();
    for (v1, v2) in
        [(f64::NAN, 1.0), (1.0, f64::INFINITY), (-f64::MAX, f64::MAX), (f64::INFINITY, f64::INFINITY)]
    {
        summary.add(v1, v2).unwrap();
    }
    assert_eq!((summary.count(), summary.not_finite()), (0, 4));
    summary.add(1.0, 2.0).unwrap();
    assert_eq!((summary.mean(), summary.kl()), (Ok(Some(1.0)), Ok(Some(23.0259))));
    assert_eq!(merged(&[summary.clone(), summary]).not_finite(), 8);
}

#[test]
fn a_deviation_beyond_the_largest_double_is_infinite() {
    let summary = summary(&[(0.0, f64::MAX), (0.0, f64::MIN)]);
    assert_eq!((summary.mean(), summary.stddev()), (Ok(Some(0.0)), Ok(Some(f64::INFINITY))));
    assert_eq!(summary.percentile(0.5, Quantity::Delta), Ok(Some(0.0)));
}

#[test]
fn the_129th_pair_keeps_what_was_exact_exact() {
    let pairs: Vec<_> = (0..129).map(|i| (100.0, 100.0 + f64::from(i % 7) * 0.1)).collect();
    let (small, large) = (summary(&pairs[..KEPT]), summary(&pairs));
    assert_eq!((small.count(), large.count()), (128, 129));
    assert_eq!(small.max(), large.max());
    assert!(bytes(&small).len() > KEPT * 16, "the pairs are kept");
    assert!(bytes(&large).len() < 500, "the pairs are gone");
}

/// The vectors of the reference: lists, their divergence in nats, four decimals.
const DIVERGENCES: [(&[f64], &[f64], f64); 8] = [
    (&[100.0; 5], &[100.0; 5], 0.0),
    (&[100.0; 5], &[50.0, 150.0, 75.0, 125.0, 100.0], 1.6094),
    (
        &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
        &[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0],
        2.003,
    ),
    (&[5.0; 10], &[6.0; 10], 23.0259),
    (&[10.0, 20.0, 30.0, 40.0], &[12.0, 18.0, 33.0, 41.0], 10.8198),
    (&[100.0; 3], &[100.0, 105.0, 150.0], 1.0986),
    (&[0.0; 3], &[0.0, 0.0, 10.0], 0.4055),
    (&[0.0, 5.0, 5.0, 10.0], &[0.0, 4.0, 4.0, 25.0], 5.4099),
];

#[test]
fn divergences_are_the_references() {
    for (v1, v2, expected) in DIVERGENCES {
        assert_eq!(summary(&lists(v1, v2)).kl(), Ok(Some(expected)), "{v1:?} beside {v2:?}");
    }
}

#[test]
fn divergences_of_many_costs_away_from_the_borders_are_those_of_few() {
    for (v1, v2, _) in [DIVERGENCES[0], DIVERGENCES[3], DIVERGENCES[4]] {
        let pairs = lists(v1, v2);
        let (few, many) = (summary(&pairs), summary(&pairs.repeat(50)));
        assert!(many.count() > KEPT as u64);
        assert_eq!((many.kl(), many.js()), (few.kl(), few.js()), "{v1:?} beside {v2:?}");
    }
}

#[test]
fn the_bounded_divergence_is_0_for_equal_lists_and_1_for_separate_ones() {
    for (v1, v2, expected) in [(&[5.0; 10], &[5.0; 10], 0.0), (&[5.0; 10], &[6.0; 10], 1.0)] {
        for times in [1, 40] {
            assert_eq!(summary(&lists(v1, v2).repeat(times)).js(), Ok(Some(expected)));
        }
    }
}

#[test]
fn index_percentiles_are_the_references() {
    let indexes = [(0, 0), (1, 1), (1, 2), (2, 3), (2, 4), (3, 5), (3, 6), (4, 7), (4, 8), (5, 9), (5, 9)];
    for (count, (median, ninetieth)) in (1..=11).zip(indexes) {
        let pairs: Vec<_> = (0..count).rev().map(|i| (0.0, f64::from(i))).collect();
        let summary = summary(&pairs);
        let at = |fraction| summary.index_percentile(fraction, Quantity::AbsDelta).unwrap().unwrap();
        assert_eq!((at(0.5), at(0.9)), (f64::from(median), f64::from(ninetieth)), "of {count}");
        assert_eq!(at(1.0), f64::from(count - 1), "never beyond the last");
    }
}

#[test]
fn more_pairs_than_can_be_counted_are_refused() {
    let mut summary = summary(&[(1.0, 2.0); 200]);
    let fault = loop {
        let twice = summary.clone();
        match summary.merge(&twice) {
            Ok(()) => assert!(summary.count() <= LARGEST_COUNT),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault, Fault::TooMany);
    assert!(summary.count() > LARGEST_COUNT / 2);
    assert_eq!((summary.mean(), summary.stddev()), (Ok(Some(1.0)), Ok(Some(0.0))));
}

/// A case is hundreds of pairs, some of which span every double: fewer cases than usual, unless PROPTEST_CASES says otherwise.
fn some_cases() -> ProptestConfig {
    let few = std::env::var_os("PROPTEST_CASES").is_none().then_some(30);
    let usual = ProptestConfig::default();
    ProptestConfig { cases: few.unwrap_or(usual.cases), ..usual }
}

proptest! {
    #![proptest_config(some_cases())]

    #[test]
    fn any_order_and_any_grouping_give_the_same_bytes(
        pairs in costs(0..500), cuts in prop::collection::vec(0..500_usize, 0..6), shuffle in any::<prop::sample::Index>(),
    ) {
        let serial = bytes(&summary(&pairs));
        let mut backwards = pairs.clone();
        backwards.reverse();
        backwards.rotate_left(if pairs.is_empty() { 0 } else { shuffle.index(pairs.len()) });
        prop_assert_eq!(&bytes(&summary(&backwards)), &serial);

        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(pairs.len())).chain([0, pairs.len()]).collect();
        cuts.sort_unstable();
        let parts: Vec<_> = cuts.windows(2).map(|cut| summary(&pairs[cut[0]..cut[1]])).collect();
        prop_assert_eq!(&bytes(&merged(&parts)), &serial);
        // From the last to the first, in twos, and by way of the bytes.
        let mut parts: Vec<_> = parts.iter().map(|part| Summary::from_bytes(&bytes(part)).unwrap()).rev().collect();
        while parts.len() > 1 {
            parts = parts.chunks(2).map(merged).collect();
        }
        prop_assert_eq!(&bytes(&parts[0]), &serial);
    }

    #[test]
    fn the_binary_form_keeps_every_answer(pairs in costs(0..300)) {
        let before = summary(&pairs);
        let after = Summary::from_bytes(&bytes(&before)).unwrap();
        prop_assert_eq!(bytes(&after), bytes(&before));
        prop_assert_eq!((after.count(), after.not_finite()), (before.count(), before.not_finite()));
        let answers = |it: &Summary| {
            let moments = [it.mean(), it.min(), it.max(), it.stddev(), it.rel_mean(), it.rel_max(), it.kl(), it.js()];
            let mut bits: Vec<_> = moments.into_iter().map(|answer| answer.unwrap().map(f64::to_bits)).collect();
            for (quantity, fraction) in QUANTITIES.iter().flat_map(|q| FRACTIONS.map(|f| (*q, f))) {
                bits.push(it.percentile(fraction, quantity).unwrap().map(f64::to_bits));
            }
            bits
        };
        prop_assert_eq!(answers(&after), answers(&before));
    }

    #[test]
    fn percentiles_of_few_pairs_are_exact(pairs in costs(1..=KEPT)) {
        let summary = summary(&pairs);
        for quantity in QUANTITIES {
            let values = sorted(&pairs, quantity);
            for fraction in FRACTIONS {
                let at = values.get(((values.len() as f64 * fraction).floor() as usize).min(values.len().saturating_sub(1)));
                prop_assert_eq!(summary.index_percentile(fraction, quantity).unwrap(), at.copied());
                let between = summary.percentile(fraction, quantity).unwrap();
                prop_assert_eq!(between.is_some(), !values.is_empty());
                if let Some(between) = between {
                    let place = fraction * (values.len() - 1) as f64;
                    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
                    prop_assert!((low..=high).contains(&between), "{} within {} and {}", between, low, high);
                    if (high - low).is_finite() {
                        prop_assert_eq!(between, low + (place - place.floor()) * (high - low));
                    }
                }
            }
        }
    }

    #[test]
    fn percentiles_of_many_pairs_are_within_one_per_cent(pairs in costs(300..600)) {
        let is_near = |found: f64, exact: f64| {
            (found - exact).abs() <= exact.abs() * (0.01 + 1e-9) || exact.abs() <= 1e-9 && found.abs() <= 1e-9
        };
        let summary = summary(&pairs);
        for quantity in QUANTITIES {
            let values = sorted(&pairs, quantity);
            for fraction in FRACTIONS {
                let exact = values[((values.len() as f64 * fraction).floor() as usize).min(values.len() - 1)];
                let found = summary.index_percentile(fraction, quantity).unwrap().unwrap();
                prop_assert!(is_near(found, exact), "{:?} {}: {} for {}", quantity, fraction, found, exact);
                let place = fraction * (values.len() - 1) as f64;
                let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
                let found = summary.percentile(fraction, quantity).unwrap().unwrap();
                let slack = |x: f64| (x.abs() * 0.010_001).max(1e-9);
                prop_assert!(low - slack(low) <= found && found <= high + slack(high), "{:?} {}", quantity, fraction);
            }
        }
    }

    #[test]
    fn extremes_are_those_of_the_pairs(pairs in costs(1..300)) {
        let (summary, deltas, ratios) = (summary(&pairs), sorted(&pairs, Quantity::Delta), sorted(&pairs, Quantity::RelDelta));
        prop_assert_eq!(summary.count() + summary.not_finite(), pairs.len() as u64);
        prop_assert_eq!(summary.count(), deltas.len() as u64);
        prop_assert_eq!(summary.min().unwrap(), deltas.first().copied());
        prop_assert_eq!(summary.max().unwrap(), deltas.last().copied());
        prop_assert_eq!(summary.rel_max().unwrap(), ratios.last().copied());
        let (mean, low, high) = (summary.mean().unwrap(), deltas.first(), deltas.last());
        prop_assert!(mean.is_none_or(|mean| *low.unwrap() <= mean && mean <= *high.unwrap()));
    }

    #[test]
    fn the_bounded_divergence_is_the_same_from_either_side(pairs in costs(1..300)) {
        let swapped: Vec<_> = pairs.iter().map(|(v1, v2)| (*v2, *v1)).collect();
        let (one, other) = (summary(&pairs).js().unwrap(), summary(&swapped).js().unwrap());
        prop_assert_eq!(one, other);
        prop_assert!(one.is_none_or(|one| (0.0..=1.0).contains(&one)));
    }

    #[test]
    fn a_moving_window_is_the_summary_of_its_pairs(pairs in costs(1..400), widths in prop::collection::vec(0..300_usize, 1..60)) {
        let (mut window, mut from, mut to) = (Moving::default(), 0, 0);
        for (step, width) in widths.iter().enumerate() {
            let end = (pairs.len() * (step + 1) / widths.len()).max(to);
            while to < end {
                window.add(pairs[to].0, pairs[to].1).unwrap();
                to += 1;
            }
            while from + width < to {
                prop_assert!(window.remove(pairs[from].0, pairs[from].1));
                from += 1;
            }
            prop_assert_eq!(window.to_bytes().unwrap(), bytes(&summary(&pairs[from..to])), "rows {} to {}", from, to);
        }
    }
}

#[test]
fn a_window_does_not_lose_what_never_entered() {
    let mut window = Moving::default();
    assert!(!window.remove(1.0, 2.0));
    assert!(!window.remove(f64::NAN, 2.0));
    window.add(1.0, 2.0).unwrap();
    assert!(!window.remove(1.0, 3.0));
}
