//! Claims about hard limits.

#![allow(clippy::unwrap_used)]

use costsim_core::budget::{Ledger, Limit, Period, amount};
use proptest::prelude::*;
use rust_decimal::Decimal;

fn limit(budget_id: i64, period: Period, amount: &str, spent: &str) -> Limit {
    Limit {
        budget_id,
        owner: "tenant".into(),
        period,
        start: "2026-03-01".into(),
        amount: decimal(amount),
        spent: decimal(spent),
    }
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Millionths of a cent as an amount.
fn millionths(count: i64) -> Decimal {
    Decimal::new(count, 6)
}

#[test]
fn budget_what_reaches_its_limit_passes_and_a_millionth_more_does_not() {
    let mut ledger = Ledger::new(vec![limit(1, Period::Day, "10", "9.999999")]);
    assert!(ledger.admit(&[0], decimal("0.000002")).is_err());
    assert_eq!(ledger.admit(&[0], decimal("0.000001")), Ok(()));
    assert_eq!(ledger.admit(&[0], Decimal::ZERO), Ok(()));
    assert!(ledger.admit(&[0], decimal("0.000001")).is_err());
    assert_eq!(ledger.limits()[0].spent, decimal("10"));
}

#[test]
fn budget_of_nothing_refuses_whatever_costs_something() {
    let mut ledger = Ledger::new(vec![limit(1, Period::Month, "0", "0")]);
    assert!(ledger.admit(&[0], decimal("0.000001")).is_err());
    assert_eq!(ledger.admit(&[0], Decimal::ZERO), Ok(()));
}

#[test]
fn budget_past_its_limit_lets_pass_what_is_free_and_nothing_else() {
    let mut ledger = Ledger::new(vec![limit(1, Period::Month, "1", "2")]);
    assert!(ledger.admit(&[0], decimal("0.000001")).is_err());
    assert_eq!(ledger.admit(&[0], Decimal::ZERO), Ok(()));
}

#[test]
fn budget_refusal_says_the_numbers() {
    let limits = vec![limit(7, Period::Day, "100.500000", "99.50"), limit(7, Period::Month, "100", "99.5")];
    let mut ledger = Ledger::new(limits);
    let refusal = ledger.admit(&[0, 1], decimal("0.750000")).unwrap_err();
    assert_eq!(refusal.limit.budget_id, 7);
    let told = "0.75 cents would pass the limit of 100 cents of tenant in 2026-03: 99.5 cents are spent";
    assert_eq!(refusal.to_string(), told);
    let refusal = ledger.admit(&[0, 1], decimal("2")).unwrap_err();
    let told = "2 cents would pass the limit of 100.5 cents of tenant on 2026-03-01: 99.5 cents are spent";
    assert_eq!(refusal.to_string(), told);
}

#[test]
fn budget_sum_beyond_every_decimal_is_past_the_limit() {
    let mut ledger = Ledger::new(vec![Limit { spent: Decimal::MAX, ..limit(1, Period::Day, "5", "0") }]);
    assert!(ledger.admit(&[0], Decimal::ONE).is_err());
}

#[test]
fn budget_amounts_are_read_to_the_last_digit_or_as_the_largest() {
    assert_eq!(amount("99999999999999.999999"), Some(decimal("99999999999999.999999")));
    assert_eq!(amount("-0.000001"), Some(decimal("-0.000001")));
    assert_eq!(amount(&"9".repeat(40)), Some(Decimal::MAX));
    assert_eq!(amount(&format!("-{}.5", "9".repeat(40))), Some(Decimal::MIN));
    assert_eq!(amount("NaN"), None);
    assert_eq!(amount("Infinity"), None);
    assert_eq!(amount(""), None);
}

#[test]
fn budget_periods_have_their_names() {
    for period in [Period::Day, Period::Month] {
        assert_eq!(Period::parse(period.as_str()), Some(period));
    }
    assert_eq!(Period::parse("week"), None);
}

/// Limits as millionths (amount, spent), and records as (cost, which limits cover it).
type Game = (Vec<(i64, i64)>, Vec<(i64, Vec<bool>)>);

fn games() -> impl Strategy<Value = Game> {
    (1_usize..6).prop_flat_map(|count| {
        let limits = prop::collection::vec((0_i64..5_000_000, 0_i64..3_000_000), count);
        let records =
            prop::collection::vec((0_i64..400_000, prop::collection::vec(any::<bool>(), count)), 0..120);
        (limits, records)
    })
}

proptest! {
    /// Against sums of whole numbers: admitted is what passes no limit, and nothing else.
    #[test]
    fn budget_admits_exactly_what_passes_no_limit((limits, records) in games()) {
        let mut ledger = Ledger::new(limits.iter().map(|&(amount, spent)| Limit {
            amount: millionths(amount), spent: millionths(spent), ..limit(1, Period::Day, "0", "0")
        }).collect());
        let mut spent: Vec<i64> = limits.iter().map(|limit| limit.1).collect();
        for (cost, covered) in records {
            let places: Vec<usize> = (0..covered.len()).filter(|&place| covered[place]).collect();
            let first = places.iter().copied().find(|&place| cost > 0 && spent[place] + cost > limits[place].0);
            match ledger.admit(&places, millionths(cost)) {
                Ok(()) => {
                    prop_assert_eq!(first, None);
                    places.iter().for_each(|&place| spent[place] += cost);
                }
                Err(refusal) => {
                    let first = first.unwrap();
                    prop_assert_eq!(refusal.limit.amount, millionths(limits[first].0));
                    prop_assert_eq!(refusal.limit.spent, millionths(spent[first]));
                }
            }
        }
        for (limit, spent) in ledger.limits().iter().zip(spent) {
            prop_assert_eq!(limit.spent, millionths(spent));
        }
    }
}
