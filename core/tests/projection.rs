//! Claims about what a series of daily spends leads one to expect.

#![allow(clippy::unwrap_used)]

use costsim_core::projection::{Expected, Line, Trend};
use fastrand::Rng;
use proptest::prelude::*;

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6 * one.abs().max(other.abs()).max(1.0)
}

#[test]
fn projection_of_a_straight_line_goes_on() {
    let days: Vec<f64> = (0..10).map(|day| 100.0 + 5.0 * f64::from(day)).collect();
    let line = Line::through(&days, 0.8);
    assert!(close(line.slope, 5.0) && close(line.mean, 122.5));
    let Expected { sum, interval } = line.next(3);
    assert!(close(sum, 150.0 + 155.0 + 160.0), "{sum}");
    let (low, high) = interval.unwrap();
    assert!(close(low, sum) && close(high, sum));
}

/// A textbook's numbers, by hand: x = 0..4, y = 2 4 5 4 5. Slope 0.6, mean 4, SSE 2.4, s^2 0.8, t(0.975, 3) = 3.182446.
#[test]
fn projection_interval_is_the_textbooks() {
    let line = Line::through(&[2.0, 4.0, 5.0, 4.0, 5.0], 0.95);
    assert!(close(line.slope, 0.6) && close(line.mean, 4.0));
    let Expected { sum, interval } = line.next(1);
    assert!(close(sum, 5.8));
    let width = 3.182_446_305_284_263 * (0.8_f64 * (1.0 + 0.2 + 0.9)).sqrt();
    let (low, high) = interval.unwrap();
    assert!(close(low, 5.8 - width) && close(high, 5.8 + width), "{low} {high}");
    // Two days together: 5.8 + 6.4, variance 0.8 (2 + 4/5 + (3 + 4)^2 / 10).
    let Expected { sum, interval } = line.next(2);
    let width = 3.182_446_305_284_263 * (0.8_f64 * (2.0 + 0.8 + 4.9)).sqrt();
    let (low, high) = interval.unwrap();
    assert!(close(sum, 12.2) && close(low, 12.2 - width) && close(high, 12.2 + width), "{low} {high}");
}

#[test]
fn projection_of_little_is_its_mean_and_no_interval() {
    assert_eq!(Line::through(&[], 0.8).next(7), Expected { sum: 0.0, interval: None });
    assert_eq!(Line::through(&[10.0], 0.8).next(7), Expected { sum: 70.0, interval: None });
    assert_eq!(Line::through(&[10.0, 30.0], 0.8).next(7), Expected { sum: 140.0, interval: None });
    assert_eq!(Line::through(&[10.0, 30.0], 0.8).slope, 0.0);
    assert!(Line::through(&[1.0, 2.0, 3.0], 0.8).next(1).interval.is_some());
}

#[test]
fn projection_no_day_costs_less_than_nothing() {
    let line = Line::through(&[40.0, 30.0, 20.0, 10.0], 0.8);
    let Expected { sum, interval } = line.next(30);
    assert_eq!(sum, 0.0);
    assert_eq!(interval.unwrap().0, 0.0);
    assert_eq!(line.lasts(1.0, 0.0).days, None);
}

/// The reference's rule at its edges: more than 1.2 times, less than 0.8 times, and at least four days.
#[test]
fn projection_trend_is_the_references() {
    assert_eq!(Trend::of(&[1.0, 1.0, 100.0]), Trend::Stable);
    assert_eq!(Trend::of(&[10.0, 10.0, 12.0, 12.0]), Trend::Stable);
    assert_eq!(Trend::of(&[10.0, 10.0, 12.0, 12.1]), Trend::Increasing);
    assert_eq!(Trend::of(&[10.0, 10.0, 8.0, 8.0]), Trend::Stable);
    assert_eq!(Trend::of(&[10.0, 10.0, 8.0, 7.9]), Trend::Decreasing);
    assert_eq!(Trend::of(&[0.0, 0.0, 0.0, 0.0]), Trend::Stable);
    assert_eq!(Trend::of(&[0.0, 0.0, 0.0, 0.1]), Trend::Increasing);
    // Of five days the middle one is in the second half.
    assert_eq!(Trend::of(&[10.0, 10.0, 30.0, 3.0, 4.0]), Trend::Increasing);
    assert_eq!(
        [Trend::Increasing, Trend::Decreasing, Trend::Stable].map(Trend::as_str),
        ["increasing", "decreasing", "stable"]
    );
}

#[test]
fn projection_lasts_as_long_as_the_line_says() {
    let level = Line::through(&[10.0; 14], 0.8);
    for gone in [0.0, 0.3, 1.0] {
        let lasts = level.lasts(35.0, gone);
        assert!(close(lasts.days.unwrap(), 3.5), "{lasts:?}");
        assert!(close(lasts.at_least.unwrap(), 3.5) && close(lasts.at_most.unwrap(), 3.5));
    }
    assert_eq!(level.lasts(0.0, 0.5).days, Some(0.0));
    assert_eq!(level.lasts(-5.0, 0.5).at_most, Some(0.0));
    assert_eq!(level.lasts(1e9, 0.5).days, None);
    // 50, 60, 70: half of the first is over, so 25 are left of it, then 60 and 70.
    let rising = Line::through(&[10.0, 20.0, 30.0, 40.0], 0.8);
    assert!(close(rising.lasts(25.0 + 60.0 + 35.0, 0.5).days.unwrap(), 2.0));
    assert_eq!(Line::through(&[10.0, 10.0], 0.8).lasts(35.0, 0.0).at_least, None);
}

/// Seeded noise about a line: the share of sums to come that lie within the interval is the confidence.
#[test]
fn projection_interval_covers_as_often_as_it_says() {
    let mut rng = Rng::with_seed(20_260_301);
    let mut noise = move || (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
    for (days, ahead, confidence) in [(28, 7, 0.8), (28, 7, 0.95), (10, 3, 0.8), (5, 1, 0.5), (90, 30, 0.9)] {
        let (rounds, mut covered) = (20_000, 0_u32);
        for _ in 0..rounds {
            let mut day = |x: usize| 1_000.0 + 4.0 * x as f64 + 30.0 * noise();
            let seen: Vec<f64> = (0..days).map(&mut day).collect();
            let comes: f64 = (days..days + ahead).map(&mut day).sum();
            let (low, high) = Line::through(&seen, confidence).next(ahead).interval.unwrap();
            covered += u32::from(low <= comes && comes <= high);
        }
        let share = f64::from(covered) / f64::from(rounds);
        // Five standard errors of a share of 20,000.
        assert!((share - confidence).abs() < 0.018, "{days} days, {ahead} ahead: {share} of {confidence}");
    }
}

proptest! {
    /// Against the formulas by plain sums, without a centre.
    #[test]
    fn projection_line_is_that_of_least_squares(days in prop::collection::vec(0.0_f64..1e6, 3..60), ahead in 1_usize..40) {
        let count = days.len() as f64;
        let xs = || (0..days.len()).map(|x| x as f64);
        let (sx, sy): (f64, f64) = (xs().sum(), days.iter().sum());
        let sxx: f64 = xs().map(|x| x * x).sum();
        let sxy: f64 = xs().zip(&days).map(|(x, y)| x * y).sum();
        let slope = (count * sxy - sx * sy) / (count * sxx - sx * sx);
        let start = (sy - slope * sx) / count;
        let line = Line::through(&days, 0.8);
        prop_assert!((line.slope - slope).abs() <= 1e-6 * slope.abs().max(1.0));
        let sum: f64 = (0..ahead).map(|k| (start + slope * (count + k as f64)).max(0.0)).sum();
        let Expected { sum: told, interval } = line.next(ahead);
        prop_assert!((told - sum).abs() <= 1e-6 * sum.abs().max(1.0), "{} {}", told, sum);
        let (low, high) = interval.unwrap();
        prop_assert!(0.0 <= low && low <= told * (1.0 + 1e-9) + 1e-6 && told <= high);
    }

    /// What lasts so long is spent after that time, and the bounds lie around it.
    #[test]
    fn projection_lasts_between_its_bounds(days in prop::collection::vec(1.0_f64..1e4, 3..40), cents in 1.0_f64..1e5, gone in 0.0_f64..1.0) {
        let lasts = Line::through(&days, 0.8).lasts(cents, gone);
        if let (Some(least), Some(expected)) = (lasts.at_least, lasts.days) {
            prop_assert!(least <= expected + 1e-6);
        }
        if let (Some(expected), Some(most)) = (lasts.days, lasts.at_most) {
            prop_assert!(expected <= most + 1e-6);
        }
        prop_assert!(lasts.days.is_none() || lasts.at_least.is_some());
    }
}

#[test]
fn projection_is_a_number_however_sure_one_wants_to_be() {
    for days in [&[3.0, 1.0, 4.0][..], &[3.0, 1.0, 4.0, 1.0, 5.0, 9.0], &[1e200, 0.0, 1e300, 7.0]] {
        for confidence in
            [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-300, 0.999_999, 1.0 - f64::EPSILON, 1.0, 2.0]
        {
            let line = Line::through(days, confidence);
            let Expected { sum, interval } = line.next(7);
            let (low, high) = interval.unwrap_or_default();
            assert!(
                sum.is_finite() && low.is_finite() && high.is_finite(),
                "{confidence}: {sum} {interval:?}"
            );
            let lasts = line.lasts(1e6, 0.5);
            assert!(
                [lasts.days, lasts.at_least, lasts.at_most].into_iter().flatten().all(f64::is_finite),
                "{confidence}: {lasts:?}"
            );
        }
    }
    // There is one as long as there is a number for it.
    assert!(Line::through(&[3.0, 1.0, 4.0], 0.999_999).next(7).interval.is_some());
}
