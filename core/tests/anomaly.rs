//! What is unusual in daily spends: thresholds, runs, histories that are too short, causes.

#![allow(clippy::unwrap_used)]

use costsim_core::anomaly::{
    AT_ONCE, Budget, CENT, Cause, DRIFT_DAYS, ENTITY_DAYS, Judgement, Rule, SPIKE_DAYS, Series, Severity,
    TENANT_DAYS, Usage, budget, cause, drift, new_spender, spike,
};
use proptest::prelude::*;

const ONE: i64 = 1_000_000;

/// A series from cents a day, the last one first.
fn series(cents: &[i64]) -> Series {
    Series::new(TENANT_DAYS, cents.iter().map(|cents| cents * ONE).enumerate(), false)
}

/// Days of 1,000 cents behind these.
fn after_calm(cents: &[i64]) -> Series {
    let mut days = cents.to_vec();
    days.resize(TENANT_DAYS, 1_000);
    series(&days)
}

fn judged(cents: &[i64]) -> Judgement {
    spike(after_calm(cents).today(), 0)
}

fn severity(cents: &[i64]) -> Option<Severity> {
    judged(cents).severity
}

#[test]
fn constants_are_the_references() {
    let thresholds = [Severity::Low, Severity::Medium, Severity::High].map(Severity::threshold);
    assert_eq!(thresholds, [15, 25, 40]);
    assert_eq!((SPIKE_DAYS, DRIFT_DAYS, AT_ONCE), (2, 3, 200));
    assert_eq!((ENTITY_DAYS, TENANT_DAYS), (23, 57));
}

#[test]
fn bands_are_the_references() {
    use Severity::{High, Low, Medium};
    let classes = [14.9, 15.0, 24.9, 25.0, 39.9, 40.0].map(Severity::of);
    assert_eq!(classes, [Low, Low, Low, Medium, Medium, High]);
    // What its function calls LOW for want of a lower class is no finding.
    assert_eq!(severity(&[1_149, 1_149]), None);
    assert_eq!(severity(&[1_150, 1_150]), Some(Low));
    assert_eq!(severity(&[1_249, 1_249]), Some(Low));
    assert_eq!(severity(&[1_250, 1_250]), Some(Medium));
    assert_eq!(severity(&[1_399, 1_399]), Some(Medium));
    assert_eq!(severity(&[1_400, 1_400]), Some(High));
}

#[test]
fn day_exactly_at_a_threshold_has_reached_it() {
    // 1.4 - 1 is less than 0.4 in doubles, and 110 / 3 is no double at all.
    for base in [1, 3, 7, 110, 999_999_999] {
        let days = [base * 7, base * 7].into_iter().chain([base * 5; 40]).collect::<Vec<_>>();
        let judgement = spike(series(&days).today(), 0);
        assert_eq!(
            (judgement.severity, judgement.deviation_pct),
            (Some(Severity::High), Some(40.0)),
            "{base}"
        );
    }
}

#[test]
fn one_day_is_not_enough_unless_it_is_three_times_the_usual() {
    let judgement = judged(&[2_999]);
    assert_eq!((judgement.severity, judgement.days, judgement.days_needed), (None, 1, 2));
    assert_eq!(
        judgement.reason,
        "2999.00 cents today, 199.9 % above the 1000.00 cents expected (mean of 13 days with spend): \
         for 1 day in a row at least 40 % above, 2 are needed"
    );
    let judgement = judged(&[3_000]);
    assert_eq!(
        (judgement.severity, judgement.days, judgement.threshold_pct),
        (Some(Severity::High), 1, 300.0)
    );
    assert_eq!(judged(&[1_500, 1_500]).threshold_pct, 140.0);
}

#[test]
fn days_in_a_row_are_counted_as_they_are() {
    for count in 1..=12_u32 {
        // Twice as much every day, so that the baseline never catches up.
        let days: Vec<i64> = (0..count).map(|ago| 1_500 << (count - 1 - ago)).collect();
        let judgement = judged(&days);
        assert_eq!(judgement.severity, (count >= 2).then_some(Severity::High), "{count} days");
        // Seven days back and no further.
        assert_eq!(judgement.days, count.min(8), "{count} days");
    }
    assert_eq!(judged(&[1_500, 1_500, 1_000, 1_500]).days, 2, "a day between them ends the run");
    assert_eq!(severity(&[1_000, 1_500, 1_500]), None, "the run must reach today");
}

#[test]
fn gravest_band_that_holds_for_two_days_decides() {
    assert_eq!(severity(&[1_900, 1_200]), Some(Severity::Low));
    assert_eq!(severity(&[1_900, 1_300]), Some(Severity::Medium));
    assert_eq!(severity(&[1_200, 1_900]), Some(Severity::Low));
    assert_eq!(severity(&[1_900, 1_100]), None);
}

#[test]
fn baseline_is_of_active_days_and_needs_three() {
    let days = |active: usize| {
        let mut days = vec![500, 500];
        days.extend((0..13).map(|at| if at < active { 100 } else { 0 }));
        series(&days)
    };
    let judgement = spike(days(2).today(), 0);
    assert_eq!((judgement.severity, judgement.expected), (None, None));
    assert_eq!(
        judgement.reason,
        "500.00 cents today; too little history: 2 days with spend from 14 to 2 days before, 3 are needed"
    );
    let judgement = spike(days(3).today(), 0);
    assert_eq!(judgement.expected.unwrap().rounded(), 100 * CENT);
    assert_eq!(judgement.severity, Some(Severity::High));
}

#[test]
fn less_than_the_least_that_counts_is_no_finding() {
    let calm = after_calm(&[1_500, 1_500]);
    assert!(spike(calm.today(), 500 * CENT).is_finding());
    let judgement = spike(calm.today(), 500 * CENT + 1);
    assert!(!judgement.is_finding() && judgement.is_small);
    assert!(judgement.reason.ends_with("less than 500.00 cents above, which is the least that counts"));
}

#[test]
fn new_spender_is_measured_against_its_tenant() {
    let tenant = after_calm(&[]);
    let of = |cents: &[i64]| new_spender(series(cents).today(), tenant.today(), 0);
    assert_eq!(of(&[149]).severity, None);
    assert_eq!(of(&[150]).severity, Some(Severity::Low));
    assert_eq!(of(&[250]).severity, Some(Severity::Medium));
    let judgement = of(&[400]);
    assert_eq!((judgement.severity, judgement.rule), (Some(Severity::High), Rule::NewSpender));
    assert_eq!((judgement.deviation_pct, judgement.threshold_pct), (Some(40.0), 40.0));
    assert_eq!(judgement.expected.unwrap().rounded(), 0);
    // Its second and third day count as its first did; who has a history is not new.
    assert_eq!(of(&[400, 400]).days, 2);
    assert_eq!(of(&[400, 400, 400, 400]).severity, Some(Severity::High));
    assert_eq!(of(&[400, 400, 400, 400, 400]).severity, None);
    // A tenant that is new itself tells nothing.
    let young = series(&[5_000, 5_000]);
    assert_eq!(new_spender(series(&[400]).today(), young.today(), 0).severity, None);
}

#[test]
fn drift_must_last_three_days_and_needs_a_week_of_history() {
    // 1,000 a day, then 1,300: the mean of a week rises day by day.
    let of = |days: usize| drift(after_calm(&[vec![1_300], vec![1_300; days]].concat()).today(), 0);
    let severities: Vec<_> = (0..=9).map(|days| of(days).severity).collect();
    // From the fourth whole day on 15 % and more, which has lasted for three on the sixth; 25 % from the sixth.
    assert_eq!(severities[..6], [None; 6]);
    assert_eq!(severities[6], Some(Severity::Low));
    assert_eq!((of(6).days, of(4).days), (3, 1));
    assert_eq!(severities[8], Some(Severity::Medium));
    let new = |days: usize| drift(series(&[vec![2_000; 8], vec![1_000; days]].concat()).today(), 0);
    assert_eq!(new(6).expected, None);
    assert!(new(6).reason.contains("6 days from 28 to 8 days before, 7 are needed"), "{}", new(6).reason);
    assert_eq!(new(7).expected.unwrap().days, 7);
}

#[test]
fn drift_counts_whole_days_only() {
    let calm = |today: i64| drift(after_calm(&[today]).today(), 0);
    assert_eq!(calm(0), calm(1_000_000));
}

#[test]
fn drift_that_was_interrupted_begins_anew() {
    // Dear, then a week of nothing, then dear again.
    let days = [vec![5_000; 5], vec![0; 8], vec![5_000; 5]].concat();
    let judgement = drift(after_calm(&days).today(), 0);
    assert!(judgement.days < 5, "{judgement:?}");
}

#[test]
fn budget_warns_and_is_exceeded_at_its_limits() {
    let of = |spent: i64| {
        let limit = Budget { limit: 100 * CENT, spent: i128::from(spent) * CENT, warn_at: 8_000 };
        let judgement = budget(&limit, "day");
        (judgement.rule, judgement.severity, judgement.threshold_pct)
    };
    assert_eq!(of(79), (Rule::BudgetWarning, None, 80.0));
    assert_eq!(of(80), (Rule::BudgetWarning, Some(Severity::Medium), 80.0));
    assert_eq!(of(89), (Rule::BudgetWarning, Some(Severity::Medium), 80.0));
    assert_eq!(of(90), (Rule::BudgetWarning, Some(Severity::High), 80.0));
    assert_eq!(of(100), (Rule::BudgetExceeded, Some(Severity::High), 100.0));
    let nothing = budget(&Budget { limit: 0, spent: CENT, warn_at: 8_000 }, "month");
    assert!(!nothing.is_finding(), "{nothing:?}");
}

#[test]
fn first_cause_that_fits_is_the_cause() {
    let calm = Usage { requests: 100, retries: 10, input_tokens: 10_000 };
    let of = |today: Usage, features| cause(today, calm, features);
    assert_eq!(of(calm, None), Cause::Unknown);
    // Every ratio is strict.
    assert_eq!(of(Usage { retries: 15, ..calm }, None), Cause::Unknown);
    assert_eq!(of(Usage { retries: 16, ..calm }, None), Cause::RetryLoop);
    assert_eq!(of(Usage { input_tokens: 13_000, ..calm }, None), Cause::Unknown);
    assert_eq!(of(Usage { input_tokens: 13_001, ..calm }, None), Cause::PromptGrowth);
    assert_eq!(of(calm, Some((60, 100))), Cause::Unknown);
    assert_eq!(of(calm, Some((61, 100))), Cause::FeatureSurge);
    let more = Usage { requests: 131, retries: 13, input_tokens: 13_100 };
    assert_eq!(of(Usage { requests: 130, ..more }, None), Cause::Unknown);
    assert_eq!(of(more, None), Cause::TrafficGrowth);
    // All of them at once: the first.
    let all = Usage { requests: 200, retries: 100, input_tokens: 100_000 };
    assert_eq!(of(all, Some((1, 1))), Cause::RetryLoop);
    assert_eq!(of(Usage { retries: 20, ..all }, Some((1, 1))), Cause::PromptGrowth);
    assert_eq!(of(Usage { retries: 20, input_tokens: 20_000, ..all }, Some((1, 1))), Cause::FeatureSurge);
}

#[test]
fn retries_where_there_were_none_are_a_loop_from_one_in_twenty_on() {
    let before = Usage { requests: 100, retries: 0, input_tokens: 10_000 };
    let now = |retries| cause(Usage { retries, ..before }, before, None);
    assert_eq!((now(4), now(5)), (Cause::Unknown, Cause::RetryLoop));
    let nobody = Usage::default();
    assert_eq!(cause(Usage { requests: 10, retries: 9, input_tokens: 1 }, nobody, None), Cause::RetryLoop);
    assert_eq!(cause(Usage { requests: 10, retries: 0, input_tokens: 1 }, nobody, None), Cause::Unknown);
    assert_eq!(cause(nobody, before, None), Cause::Unknown);
}

fn spends() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(
        prop_oneof![1 => Just(0), 4 => 1..10_000_i64, 1 => 1..1_000_000_000_i64],
        0..TENANT_DAYS,
    )
}

fn micro(spends: &[i64]) -> Series {
    Series::new(TENANT_DAYS, spends.iter().copied().enumerate(), false)
}

fn all(of: &Series, tenant: &Series, floor: i128) -> [Judgement; 3] {
    [spike(of.today(), floor), new_spender(of.today(), tenant.today(), floor), drift(of.today(), floor)]
}

proptest! {
    #[test]
    fn more_spend_today_never_makes_it_milder(days in spends(), tenant in spends(), more in 1..1_000_000_000_i64, floor in 0..1_000_000_i128) {
        let mut dearer = days.clone();
        if dearer.is_empty() { dearer.push(0) }
        dearer[0] += more;
        let tenant = micro(&tenant);
        for (before, after) in all(&micro(&days), &tenant, floor).iter().zip(all(&micro(&dearer), &tenant, floor)) {
            // None is less than any severity. Drift looks at whole days; a first day of spend is its one.
            if before.rule != Rule::SustainedDrift {
                prop_assert!(before.severity <= after.severity, "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn order_and_pieces_of_a_series_change_nothing(days in spends(), tenant in spends()) {
        let halves = days.iter().enumerate().rev().flat_map(|(ago, spend)| [(ago, spend / 2), (ago, spend - spend / 2)]);
        let pieces = Series::new(TENANT_DAYS, halves, false);
        prop_assert_eq!(all(&pieces, &micro(&tenant), 7), all(&micro(&days), &micro(&tenant), 7));
    }

    #[test]
    fn other_money_changes_nothing_but_the_floor(days in spends(), tenant in spends(), factor in 1..1_000_000_i64) {
        let times = |days: &[i64]| micro(&days.iter().map(|day| day * factor).collect::<Vec<_>>());
        let verdict = |judgement: &Judgement| (judgement.severity, judgement.days, judgement.watched_days);
        let before = all(&micro(&days), &micro(&tenant), 0);
        let after = all(&times(&days), &times(&tenant), 0);
        for (before, after) in before.iter().zip(&after) {
            prop_assert_eq!(verdict(before), verdict(after));
        }
    }

    #[test]
    fn what_is_further_back_than_a_rule_looks_changes_nothing(days in spends(), tenant in spends()) {
        // An entity's series is as long as its rules need, seen from yesterday too.
        let short = Series::new(ENTITY_DAYS, days.iter().copied().enumerate(), false);
        let (long, tenant) = (micro(&days), micro(&tenant));
        for ago in [0, 1] {
            prop_assert_eq!(spike(short.seen(ago), 0), spike(long.seen(ago), 0));
            prop_assert_eq!(new_spender(short.seen(ago), tenant.seen(ago), 0), new_spender(long.seen(ago), tenant.seen(ago), 0));
        }
    }

    #[test]
    fn yesterday_seen_from_today_is_what_it_was(days in spends()) {
        let yesterday = Series::new(TENANT_DAYS, days.iter().skip(1).copied().enumerate(), false);
        prop_assert_eq!(spike(micro(&days).seen(1), 0), spike(yesterday.today(), 0));
    }
}
