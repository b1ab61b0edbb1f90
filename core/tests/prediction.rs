//! Properties of predictions, and the numbers of their sources.

use costsim_core::prediction::cost::{Forecast, OVERRUN};
use costsim_core::prediction::failure::{Belief, Counts, HIGH_RATE, foretold};
use costsim_core::prediction::reference;
use proptest::prelude::*;

fn near(value: f64, expected: f64, relative: f64) -> bool {
    (value - expected).abs() <= relative * expected.abs().max(1e-12)
}

/// Costs as a table may hold them, oldest first.
fn histories() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(0.0001..1e9_f64, 6..60)
}

#[test]
fn quantiles_of_jeffreys_posterior_are_those_of_the_beta_distribution() {
    // Closed forms: Beta(1/2, 1/2) is the arcsine law, Beta(n + 1/2, 1/2) near its end behaves as a power; and tables of Beta(10.5, 10.5).
    let blank = Belief::jeffreys();
    for p in [1e-6_f64, 0.001, 0.1, 0.25, 0.5, 0.9, 0.999, 1.0 - 1e-6] {
        let exact = (std::f64::consts::FRAC_PI_2 * p).sin().powi(2);
        assert!(near(blank.quantile(p), exact, 1e-6), "{p}: {} beside {exact}", blank.quantile(p));
    }
    let even = blank.after(Counts::new(10, 20));
    assert!(near(even.quantile(0.5), 0.5, 1e-9));
    let interval = even.interval(0.8);
    assert!(near(interval.lower, 1.0 - interval.upper, 1e-7));
    // P(rate < 1/2) of Beta(1/2, 3/2) is 1/2 + 1/pi.
    let one = blank.after(Counts::new(0, 1));
    assert!(near(one.below(0.5), 0.5 + std::f64::consts::FRAC_1_PI, 1e-10));
    assert!(near(one.at_least(0.5), 0.5 - std::f64::consts::FRAC_1_PI, 1e-10));
    // What nearly cannot be does not drown: Beta(1/2, 1000.5) beyond a third.
    let healthy = blank.after(Counts::new(0, 1_000)).at_least(HIGH_RATE);
    assert!(healthy > 0.0 && healthy < 1e-170);
}

#[test]
fn beliefs_stay_exact_where_runs_are_many() {
    // By the normal distribution, which a posterior of so many runs all but is.
    for (failures, runs) in [(3_000, 9_000), (1_000, 10_000), (5_000, 10_000), (500_000, 1_000_000)] {
        let counts = Counts::new(failures, runs);
        let belief = Belief::jeffreys().after(counts);
        let n = (runs as f64).min(10_000.0);
        let rate = failures as f64 / runs as f64;
        let deviation = (rate * (1.0 - rate) / n).sqrt();
        let interval = belief.interval(0.8);
        assert!(near(interval.upper, rate + 1.281_55 * deviation, 2e-3), "{interval:?}");
        assert!(near(interval.lower, rate - 1.281_55 * deviation, 2e-3), "{interval:?}");
    }
}

#[test]
fn one_failure_of_one_run_is_no_certainty_among_healthy_workers() {
    let mut tenant = vec![Counts::new(0, 40); 200];
    tenant.push(Counts::new(2, 5));
    let learnt = Belief::learnt(&tenant).after(Counts::new(2, 5));
    let alone = Belief::jeffreys().after(Counts::new(2, 5));
    assert!(alone.at_least(HIGH_RATE) > 0.6, "{}", alone.at_least(HIGH_RATE));
    assert!(learnt.at_least(HIGH_RATE) < alone.at_least(HIGH_RATE));
    // Where nearly all are sick, the same counts weigh more.
    let sick = Belief::learnt(&vec![Counts::new(25, 50); 200]).after(Counts::new(2, 5));
    assert!(sick.at_least(HIGH_RATE) > alone.at_least(HIGH_RATE));
}

#[test]
fn counts_to_come_are_foretold_as_the_beta_binomial_has_it() {
    // Beta(1, 1): every number of failures is as likely as any other, so of 0..=99 the outer tenths are out.
    let flat = (1.0, 1.0);
    let of = |prior, failures, runs| foretold(prior, Counts::new(failures, runs), 0.8);
    let inside: Vec<u64> =
        (0..=99).filter(|k| of(flat, *k, 99).is_some_and(|told| told.is_covered)).collect();
    assert_eq!((inside.first(), inside.last()), (Some(&10), Some(&89)));
    assert!(of(flat, 5, 99).is_some_and(|told| near(told.expected, 0.8, 1e-9)));
    // Of one run both numbers are to be expected, whatever the level: that is certain, and tells nothing.
    assert!(of((10.5, 10.5), 0, 1).is_some_and(|told| told.is_covered && near(told.expected, 1.0, 1e-9)));
    assert!(of((10.5, 10.5), 0, 30).is_some_and(|told| !told.is_covered && told.expected < 0.9));
    assert!(
        of((40.0, 30.0), 5_700, 10_000).is_some_and(|told| told.is_covered && near(told.expected, 0.8, 1e-2))
    );
    assert_eq!(of((f64::NAN, 1.0), 1, 2), None);
    assert_eq!(of(flat, 0, 0), None);
}

#[test]
fn the_reference_gives_the_numbers_of_its_formulas() {
    let failure =
        reference::Failure::of(1, 1).map(|failure| (failure.rate, failure.confidence, failure.is_told()));
    assert_eq!(failure, Some((1.0, 1.0, true)));
    assert_eq!(reference::Failure::of(1, 3).map(reference::Failure::is_told), Some(true));
    assert_eq!(
        reference::Failure::of(1, 4).map(|failure| (failure.confidence, failure.is_told())),
        Some((0.375, false))
    );
    assert_eq!(reference::Failure::of(0, 9), None);
    // Three runs can never tell anything; two are none.
    assert_eq!(
        reference::Cost::of(&[1.0, 2.0, 9.0]).map(|cost| (cost.overrun_percent, cost.is_told())),
        Some((0.0, false))
    );
    assert_eq!(reference::Cost::of(&[1.0, 2.0]), None);
    let cost = reference::Cost::of(&[100.0, 100.0, 115.0, 115.0, 115.0]);
    let told = cost.map(|cost| (cost.recent, cost.historical, cost.older_runs, cost.is_told()));
    assert_eq!(told, Some((115.0, 100.0, 2, true)));
    assert!(
        cost.is_some_and(
            |cost| near(cost.projected, 132.25, 1e-12) && near(cost.overrun_percent, 32.25, 1e-9)
        )
    );
    assert_eq!(reference::Cost::of(&[100.0, 114.0, 114.0, 114.0]).map(reference::Cost::is_told), Some(false));
    assert_eq!(reference::Cost::of(&[1.0, 9.0, 9.0, 9.0]).map(|cost| cost.confidence), Some(0.95));
}

#[test]
fn a_trend_without_noise_goes_on_and_one_outlier_does_not_bend_it() {
    let mut costs: Vec<f64> = (0..12).map(|run| 10.0 * 1.1_f64.powi(run)).collect();
    let exact = Forecast::of(&costs).map_or(0.0, |forecast| forecast.projected());
    assert!(near(exact, 10.0 * 1.1_f64.powi(12), 1e-9), "{exact}");
    costs[6] *= 50.0;
    let bent = Forecast::of(&costs).map_or(0.0, |forecast| forecast.projected());
    assert!(near(bent, exact, 0.1), "{bent} beside {exact}");
    let still = Forecast::of(&[7.0; 6]);
    assert!(still.is_some_and(
        |still| near(still.projected(), 7.0, 1e-12) && near(still.at_least(OVERRUN), 1.0 / 7.0, 1e-12)
    ));
    assert_eq!(Forecast::of(&[7.0; 5]), None);
}

#[test]
fn intervals_narrow_with_more_runs() {
    let mut last = f64::INFINITY;
    for times in [1_u64, 2, 5, 20, 100] {
        let interval = Belief::jeffreys().after(Counts::new(3 * times, 8 * times)).interval(0.8);
        assert!(interval.upper - interval.lower < last);
        last = interval.upper - interval.lower;
    }
    let mut last = f64::INFINITY;
    for times in [1_usize, 2, 5, 20] {
        let costs: Vec<f64> = [10.0, 13.0, 9.0, 12.0, 11.0, 8.0, 10.0, 9.5].repeat(times);
        let width = Forecast::of(&costs).map_or(f64::INFINITY, |forecast| {
            let interval = forecast.interval(0.8);
            (interval.upper / interval.lower).ln()
        });
        assert!(width < last, "{times}: {width} beside {last}");
        last = width;
    }
}

proptest! {
    #[test]
    fn an_interval_of_rates_holds_its_median_and_widens_with_the_level(failures in 0_u64..5_000, more in 0_u64..5_000, level in 0.01..0.99_f64, others in proptest::collection::vec((0_u64..50, 0_u64..50), 0..20)) {
        let counts = Counts::new(failures, failures + more);
        let tenant: Vec<Counts> = others.iter().map(|(f, n)| Counts::new(*f, f + n)).collect();
        for prior in [Belief::jeffreys(), Belief::learnt(&tenant)] {
            let belief = prior.after(counts);
            let (narrow, wide) = (belief.interval(level), belief.interval(level + 0.009));
            prop_assert!(narrow.covers(belief.median()), "{narrow:?} {}", belief.median());
            prop_assert!(wide.lower <= narrow.lower + 1e-8 && narrow.upper <= wide.upper + 1e-8);
            prop_assert!(narrow.lower >= 0.0 && narrow.upper <= 1.0 && narrow.lower < narrow.upper);
            prop_assert!((belief.below(HIGH_RATE) + belief.at_least(HIGH_RATE) - 1.0).abs() < 1e-5);
            let (alpha, beta) = belief.alike();
            prop_assert!(alpha > 0.0 && beta > 0.0 && alpha.is_finite() && beta.is_finite());
        }
    }

    #[test]
    fn one_more_failure_never_lowers_the_probability(failures in 0_u64..300, more in 1_u64..300, others in proptest::collection::vec((0_u64..50, 0_u64..50), 0..20)) {
        let tenant: Vec<Counts> = others.iter().map(|(f, n)| Counts::new(*f, f + n)).collect();
        for prior in [Belief::jeffreys(), Belief::learnt(&tenant)] {
            let before = prior.after(Counts::new(failures, failures + more)).at_least(HIGH_RATE);
            let after = prior.after(Counts::new(failures + 1, failures + more)).at_least(HIGH_RATE);
            prop_assert!(after >= before - 1e-5, "{before} then {after}");
        }
    }

    #[test]
    fn an_interval_of_costs_holds_what_is_projected_and_widens_with_the_level(costs in histories(), level in 0.01..0.98_f64) {
        let Some(forecast) = Forecast::of(&costs) else { return Err(TestCaseError::fail("no forecast")) };
        let (narrow, wide) = (forecast.interval(level), forecast.interval(level + 0.01));
        prop_assert!(narrow.covers(forecast.projected()));
        prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
        prop_assert!((0.0..=1.0).contains(&forecast.at_least(OVERRUN)));
        prop_assert!(forecast.at_least(1.0) >= forecast.at_least(OVERRUN));
    }

    #[test]
    fn scaled_costs_scale_the_answer(costs in histories(), scale in 0.001..1000.0_f64) {
        let scaled: Vec<f64> = costs.iter().map(|cost| cost * scale).collect();
        let (Some(one), Some(other)) = (Forecast::of(&costs), Forecast::of(&scaled)) else { return Err(TestCaseError::fail("no forecast")) };
        prop_assert!(near(other.historical(), one.historical() * scale, 1e-9));
        prop_assert!((other.at_least(OVERRUN) - one.at_least(OVERRUN)).abs() < 1e-6);
        // No cost is told beyond what a column holds.
        let (from, to) = (one.interval(0.8), other.interval(0.8));
        if from.upper < 1e12 && to.upper < 1e12 {
            prop_assert!(near(other.projected(), one.projected() * scale, 1e-6));
            prop_assert!(near(to.lower, from.lower * scale, 1e-6) && near(to.upper, from.upper * scale, 1e-6));
        }
    }

    #[test]
    fn nothing_is_ever_not_a_number(failures in any::<u64>(), runs in any::<u64>(), level in any::<f64>(), costs in proptest::collection::vec(any::<f64>(), 0..30), alpha in any::<f64>(), beta in any::<f64>()) {
        let counts = Counts::new(failures, runs);
        for belief in [Belief::jeffreys().after(counts), Belief::learnt(&[counts]).after(counts)] {
            let interval = belief.interval(level);
            prop_assert!([interval.lower, interval.upper, belief.median(), belief.at_least(HIGH_RATE)].iter().all(|value| (0.0..=1.0).contains(value)));
        }
        if let Some(told) = foretold((alpha.abs(), beta.abs()), Counts::new(failures % 100, runs % 1_000), level) {
            prop_assert!((0.0..=1.0).contains(&told.expected), "{told:?}");
        }
        // Positive ones of any size as well, subnormal to nearly infinite.
        let sizes: Vec<f64> = costs.iter().map(|cost| cost.abs()).collect();
        for costs in [&costs, &sizes] {
            if let Some(forecast) = Forecast::of(costs) {
                let interval = forecast.interval(level);
                prop_assert!([interval.lower, interval.upper, forecast.projected(), forecast.historical()].iter().all(|value| value.is_finite() && *value >= 0.0), "{forecast:?} {interval:?}");
                prop_assert!((0.0..=1.0).contains(&forecast.at_least(OVERRUN)));
                prop_assert!(!forecast.overrun_percent().is_nan() && !forecast.trend_per_run().is_nan());
            }
            if let Some(cost) = reference::Cost::of(costs) {
                prop_assert!([cost.projected, cost.historical, cost.overrun_percent, cost.confidence].iter().all(|value| value.is_finite()));
            }
        }
    }
}
