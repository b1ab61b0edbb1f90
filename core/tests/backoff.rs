//! Claims about retry delays.

use chrono::TimeDelta;
use costsim_core::backoff::{DEFAULT_CAP, delay, nominal};
use proptest::prelude::*;

#[test]
fn without_jitter_the_delays_are_those_of_the_reference() {
    let seconds: Vec<i64> = (1..=11).map(|n| nominal(n, DEFAULT_CAP).num_seconds()).collect();
    assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(seconds.iter().take(9).sum::<i64>(), 810);
}

#[test]
fn no_jitter_is_the_whole_delay() {
    assert_eq!(delay(3, DEFAULT_CAP, 0.0), TimeDelta::seconds(8));
    assert_eq!(delay(3, DEFAULT_CAP, 0.75), TimeDelta::seconds(2));
    assert_eq!(delay(3, DEFAULT_CAP, f64::NAN), TimeDelta::seconds(8));
}

#[test]
fn nonsense_is_clamped() {
    for attempts in [0, 1, 62, 63, 64, 65, u32::MAX] {
        for cap in [TimeDelta::MIN, TimeDelta::zero(), TimeDelta::MAX, DEFAULT_CAP] {
            for jitter in [f64::NEG_INFINITY, -1.0, 1.0, 1e300, f64::INFINITY, f64::NAN] {
                let whole = nominal(attempts, cap);
                let delay = delay(attempts, cap, jitter);
                assert!(delay >= TimeDelta::zero() && delay <= whole, "{attempts} {cap} {jitter}");
                assert_eq!(delay.is_zero(), whole.is_zero());
            }
        }
    }
}

proptest! {
    #[test]
    fn a_delay_lies_above_zero_and_within_its_nominal(
        attempts in any::<u32>(), cap in 1_i64..10_000_000, jitter in any::<f64>(),
    ) {
        let cap = TimeDelta::milliseconds(cap);
        let whole = nominal(attempts, cap);
        let delay = delay(attempts, cap, jitter);
        prop_assert!(whole <= cap);
        prop_assert!(TimeDelta::zero() < delay && delay <= whole);
    }

    #[test]
    fn more_failures_never_wait_less(attempts in 0..100_u32, jitter in 0.0..1.0) {
        prop_assert!(delay(attempts, DEFAULT_CAP, jitter) <= delay(attempts + 1, DEFAULT_CAP, jitter));
    }
}
