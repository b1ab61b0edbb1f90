//! Claims about a series of numbers as block characters.

#![allow(clippy::unwrap_used)]

use costsim_core::sparkline::sparkline;
use proptest::prelude::*;

fn of(values: &[f64]) -> String {
    let values: Vec<_> = values.iter().copied().map(Some).collect();
    sparkline(&values, 60)
}

#[test]
fn sparkline_rises_with_its_values() {
    assert_eq!(of(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
}

#[test]
fn sparkline_of_nothing_is_empty() {
    assert_eq!(of(&[]), "");
    assert_eq!(sparkline(&[None, None], 60), "  ");
    assert_eq!(sparkline(&[Some(1.0)], 0), "");
}

#[test]
fn sparkline_begins_at_zero_unless_something_is_negative() {
    assert_eq!(of(&[100.0, 50.0]), "█▅");
    assert_eq!(of(&[-7.0, 0.0]), "▁█");
    assert_eq!(of(&[-7.0, 0.0, 7.0]), "▁▅█");
}

#[test]
fn sparkline_of_equal_values_is_level() {
    assert_eq!(of(&[5.0, 5.0, 5.0]), "███");
    assert_eq!(of(&[0.0, 0.0]), "▁▁");
    assert_eq!(of(&[-5.0, -5.0]), "▁▁");
    assert_eq!(of(&[5.0]), "█");
}

#[test]
fn sparkline_leaves_gaps_blank() {
    assert_eq!(sparkline(&[Some(1.0), None, Some(f64::NAN), Some(0.0)], 60), "█  ▁");
}

#[test]
fn sparkline_of_the_infinite_reaches_the_edge() {
    assert_eq!(of(&[f64::INFINITY, 0.0, 7.0, 3.0, f64::NEG_INFINITY]), "█▁█▄▁");
    assert_eq!(of(&[f64::MAX, -f64::MAX, 0.0]), "█▁▅");
    assert_eq!(of(&[f64::INFINITY, f64::INFINITY]), "██");
}

#[test]
fn sparkline_of_too_many_shows_the_greatest_of_each_column() {
    let mut values = vec![Some(0.0); 1_000];
    values[501] = Some(9.0);
    assert_eq!(sparkline(&values, 10), "▁▁▁▁▁█▁▁▁▁");
    // A column is a gap only where all of it is one.
    assert_eq!(sparkline(&[None, Some(1.0), None, None], 2), "█ ");
}

proptest! {
    #[test]
    fn sparkline_has_a_character_for_each_column(values in prop::collection::vec(prop::option::of(any::<f64>()), 0..300), width in 0_usize..100) {
        let line = sparkline(&values, width);
        prop_assert_eq!(line.chars().count(), values.len().min(width));
        prop_assert!(line.chars().all(|c| " ▁▂▃▄▅▆▇█".contains(c)));
    }

    #[test]
    fn sparkline_keeps_the_order_of_values(values in prop::collection::vec(-1e300..1e300, 2..60)) {
        let line: Vec<char> = of(&values).chars().collect();
        for (one, height) in values.iter().zip(&line) {
            for (other, other_height) in values.iter().zip(&line) {
                prop_assert!(one > other || height <= other_height);
            }
        }
    }

    #[test]
    fn sparkline_shows_the_greatest_at_the_top(values in prop::collection::vec(0.001..1e300, 1..300), width in 1_usize..100) {
        let values: Vec<_> = values.into_iter().map(Some).collect();
        prop_assert!(sparkline(&values, width).contains('█'));
    }

    #[test]
    fn sparkline_does_not_change_with_the_unit(values in prop::collection::vec(0_u32..1_000_000, 1..60), power in -20_i32..20) {
        let plain: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
        // A power of two changes no digit.
        let scaled: Vec<f64> = plain.iter().map(|value| value * 2_f64.powi(power)).collect();
        prop_assert_eq!(of(&plain), of(&scaled));
    }
}
