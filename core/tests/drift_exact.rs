//! Mean and deviation against rational arithmetic, and sizes against the library whose mapping they use.

#![allow(clippy::unwrap_used)]

use costsim_core::drift::exact::{Squares, Sum, deviation};
use costsim_core::drift::sketch::Sketch;
use costsim_core::drift::{KEYS, Summary};
use num_bigint::BigInt;
use proptest::prelude::*;
use sketches_ddsketch::{Config, DDSketch};

/// A finite double as a number of units of 2^-1075: half of the smallest double.
fn units(x: f64) -> BigInt {
    let exponent = (x.to_bits() >> 52 & 0x7ff) as usize;
    let fraction = x.to_bits() & ((1 << 52) - 1);
    let size = match exponent {
        0 => BigInt::from(fraction) << 1_usize,
        _ => BigInt::from(fraction | 1 << 52) << exponent,
    };
    if x.is_sign_negative() { -size } else { size }
}

/// Whether a double is the one nearest to a rational, numerator over denominator in units; sign and comparison of squares apart.
fn assert_nearest(found: f64, is_above: impl Fn(&BigInt) -> bool) {
    // Between two doubles lies their middle, a whole number of these units.
    let middle = |one: f64, two: f64| (units(one) + units(two)) / 2;
    let largest_middle: BigInt = units(f64::MAX) + (units(f64::MAX) - units(f64::MAX.next_down())) / 2;
    let (below, above) = match found {
        f64::INFINITY => (largest_middle, None),
        f64::MAX => (middle(f64::MAX.next_down(), f64::MAX), Some(largest_middle)),
        f64::MIN => (-largest_middle, Some(middle(f64::MIN, f64::MIN.next_up()))),
        _ => (middle(found.next_down(), found), Some(middle(found, found.next_up()))),
    };
    assert!(is_above(&(below - 1)), "{found:e} is too large");
    if let Some(above) = above {
        assert!(!is_above(&(above + 1)), "{found:e} is too small");
    }
}

fn check(numbers: &[f64]) {
    let (mut sum, mut squares) = (Sum::default(), Squares::default());
    sum.add(numbers);
    squares.add(numbers);
    let count = numbers.len() as u64;
    let exact: BigInt = numbers.iter().map(|x| units(*x)).sum();
    let exact_squares: BigInt = numbers.iter().map(|x| units(*x) * units(*x)).sum();
    assert_nearest(sum.mean(count), |bound| exact > bound * count);
    if count > 1 {
        // Variance times count times (count - 1), in square units.
        let spread = exact_squares * count - &exact * &exact;
        let found = deviation(count, &sum, &squares).unwrap();
        assert_nearest(found, |bound| bound < &BigInt::ZERO || spread > bound * bound * count * (count - 1));
    }
    // Whoever comes in another order or in parts comes to the same.
    let (first, second) = numbers.split_at(numbers.len() / 2);
    let (mut parts, mut rest) = (Sum::default(), Sum::default());
    parts.add(second);
    rest.add(first);
    parts.merge(&rest);
    assert_eq!(parts.sign_and_size(), sum.sign_and_size());
    parts.add(&numbers.iter().map(|x| -x).collect::<Vec<_>>());
    assert!(parts.sign_and_size().1.limbs().is_empty(), "what was added and taken away leaves nothing");
}

fn any_finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite())
}

proptest! {
    #[test]
    fn mean_and_deviation_of_any_doubles_are_the_nearest_ones(numbers in prop::collection::vec(any_finite(), 1..40)) {
        check(&numbers);
    }

    #[test]
    fn mean_and_deviation_of_costs_are_the_nearest_ones(numbers in prop::collection::vec(-200.0..200.0, 1..300)) {
        check(&numbers);
    }

    #[test]
    fn what_cancels_leaves_no_error(numbers in prop::collection::vec((-1e18..1e18_f64, -1e-9..1e-9_f64), 1..60)) {
        let numbers: Vec<_> = numbers.into_iter().flat_map(|(large, small): (f64, f64)| [large, small, -large]).collect();
        check(&numbers);
    }

    #[test]
    fn small_differences_on_a_large_mean_keep_their_digits(numbers in prop::collection::vec(0.0..1e-3, 2..100)) {
        let numbers: Vec<_> = numbers.into_iter().map(|x| 1e12 + x).collect();
        check(&numbers);
    }

    #[test]
    fn sizes_are_the_librarys(numbers in prop::collection::vec(prop_oneof![-1e3..1e3, -1e-8..1e-8, 1e-3..1e8], 1..400)) {
        let (mut ours, mut library) = (Sketch::default(), DDSketch::new(Config::defaults()));
        for x in &numbers {
            ours.add(&KEYS, *x).unwrap();
            library.add(*x);
        }
        let count = numbers.len() as u64;
        // Its first and last are the extremes themselves.
        for rank in 1..count.max(2) - 1 {
            let theirs = library.quantile((rank as f64 + 0.5) / (count - 1) as f64).unwrap();
            prop_assert_eq!(theirs, Some(ours.at(rank)), "rank {} of {}", rank, count);
        }
    }

    #[test]
    fn keys_are_the_librarys(numbers in prop::collection::vec(any_finite().prop_map(f64::abs), 100)) {
        let config = Config::defaults();
        for x in numbers.into_iter().filter(|x| !KEYS.is_zero(*x)) {
            prop_assert_eq!(KEYS.key(x), config.key(x), "{:e}", x);
        }
    }
}

#[test]
fn keys_are_the_librarys_around_every_border() {
    let config = Config::defaults();
    let (lowest, highest) = KEYS.range;
    assert!(lowest < -1000 && highest > 35_000);
    for key in lowest + 1..=highest {
        let border = config.pow_gamma(key).to_bits();
        for bits in border - 10..=border + 10 {
            let x = f64::from_bits(bits);
            assert_eq!(KEYS.key(x), config.key(x), "{x:e}");
            assert!((key - KEYS.key(x)) & !1 == 0, "{x:e} is in neither of the bins that meet there");
        }
    }
    // Where a cell of the table begins, too.
    for cell in (1023_u64 - 31) << 6..(1023 + 66) << 6 {
        for bits in (cell << 46) - 3..=(cell << 46) + 3 {
            let x = f64::from_bits(bits);
            assert_eq!(KEYS.key(x), config.key(x), "{x:e}");
        }
    }
}

#[test]
fn a_million_costs_are_summed_without_error() {
    let numbers: Vec<_> =
        (0..1_000_000_u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 * 0.1).collect();
    let mut summary = Summary::default();
    numbers.iter().for_each(|x| summary.add(0.0, *x).unwrap());
    let exact: BigInt = numbers.iter().map(|x| units(*x)).sum();
    assert_nearest(summary.mean().unwrap().unwrap(), |bound| exact > bound * 1_000_000);
    assert!(summary.to_bytes().unwrap().len() < 10_000);
}
