//! Settings: which make sense, and what becomes of time when they are absurd.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::*;

use crate::{Event, disable, drift, enable, hours, minutes, outage, run_with, start, tripped_with};

const SANE: fn() -> Config = Config::default;

fn refused(config: Config) -> (&'static str, &'static str) {
    match config.validate() {
        Err(Refused::Setting { setting, must }) => (setting, must),
        other => panic!("{other:?} for {config:?}"),
    }
}

#[test]
fn the_defaults_are_the_references() {
    let config = SANE();
    assert_eq!(config.validate(), Ok(()));
    assert_eq!((config.drift_threshold, config.warning_threshold), (0.2, 0.15));
    assert_eq!((config.failure_threshold, config.schema_error_threshold), (3, 5));
    assert_eq!((config.disable_ttl, config.max_disable_ttl), (Some(hours(24)), TimeDelta::days(7)));
    assert_eq!((config.auto_recover, config.auto_disable, config.half_open), (true, true, false));
    assert_eq!((config.probe_permits, config.probe_successes), (3, 3));
    assert_eq!((config.probe_timeout, config.half_open_timeout), (minutes(1), hours(1)));
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
        let must = "be finite and not negative";
        assert_eq!(refused(Config { drift_threshold: score, ..SANE() }), ("drift_threshold", must));
        assert_eq!(refused(Config { warning_threshold: score, ..SANE() }), ("warning_threshold", must));
    }
    for count in [0, -1, i32::MIN] {
        let least = "be at least 1";
        assert_eq!(refused(Config { failure_threshold: count, ..SANE() }), ("failure_threshold", least));
        assert_eq!(
            refused(Config { schema_error_threshold: count, ..SANE() }),
            ("schema_error_threshold", least)
        );
        assert_eq!(refused(Config { probe_permits: count, ..SANE() }), ("probe_permits", least));
        assert_eq!(refused(Config { probe_successes: count, ..SANE() }), ("probe_successes", least));
    }
    for span in [TimeDelta::zero(), -minutes(1), TimeDelta::MIN] {
        let positive = "be positive";
        assert_eq!(refused(Config { disable_ttl: Some(span), ..SANE() }), ("disable_ttl", positive));
        assert_eq!(refused(Config { probe_timeout: span, ..SANE() }), ("probe_timeout", positive));
        assert_eq!(refused(Config { half_open_timeout: span, ..SANE() }), ("half_open_timeout", positive));
        let endless = Config { disable_ttl: None, ..SANE() };
        assert_eq!(refused(Config { max_disable_ttl: span, ..endless }), ("max_disable_ttl", positive));
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let name = |config| refused(config).0;
    assert_eq!(name(Config { probe_successes: 4, ..SANE() }), "probe_successes");
    assert_eq!(name(Config { probe_permits: 1001, ..SANE() }), "probe_permits");
    assert_eq!(name(Config { half_open: true, auto_recover: false, ..SANE() }), "half_open");
    assert_eq!(name(Config { half_open: true, disable_ttl: None, ..SANE() }), "half_open");
}

#[test]
fn settings_named_together_contradict_each_other_only_where_they_are_named() {
    let setting = |outcome| match outcome {
        Err(Refused::Setting { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    let config = Config { warning_threshold: 0.3, max_disable_ttl: hours(23), ..SANE() };
    assert_eq!(config.contradiction(false, false), Ok(()));
    assert_eq!(setting(config.contradiction(true, false)), "warning_threshold");
    assert_eq!(setting(config.contradiction(false, true)), "max_disable_ttl");
    assert_eq!(SANE().contradiction(true, true), Ok(()));
    assert_eq!(Config { disable_ttl: None, ..config }.contradiction(false, true), Ok(()));
}

#[test]
fn settings_that_have_nothing_to_do_are_taken() {
    let config = Config { drift_threshold: 0.1, max_disable_ttl: hours(23), ..SANE() };
    assert_eq!(config.validate(), Ok(()));
    let (state, effects) = run_with(&config, &State::QUIET, &[drift(0.1)], start());
    assert_eq!((state, effects), (State::QUIET, vec![]), "there is nothing between the two thresholds");
    for reopenings in 0..5 {
        assert_eq!(config.reopened_ttl(reopenings, 0.0), hours(24), "never shorter than the first outage");
    }
}

#[test]
fn settings_at_their_limits_are_taken() {
    let cases = [
        Config { warning_threshold: 0.2, ..SANE() },
        Config { drift_threshold: 0.0, warning_threshold: 0.0, ..SANE() },
        Config { drift_threshold: f64::MAX, ..SANE() },
        Config { failure_threshold: i32::MAX, schema_error_threshold: i32::MAX, ..SANE() },
        Config { probe_permits: 1000, probe_successes: 1000, ..SANE() },
        Config { probe_permits: 1, probe_successes: 1, ..SANE() },
        Config { max_disable_ttl: hours(24), ..SANE() },
        Config { disable_ttl: None, auto_recover: false, auto_disable: false, ..SANE() },
        Config { disable_ttl: Some(TimeDelta::microseconds(1)), half_open: true, ..SANE() },
        absurd(),
    ];
    cases.iter().for_each(|config| assert_eq!(config.validate(), Ok(()), "{config:?}"));
}

#[test]
fn a_refused_setting_is_named_in_words() {
    let said = Config { probe_successes: 4, ..SANE() }.validate().unwrap_err().to_string();
    assert_eq!(said, "probe_successes must not exceed probe_permits");
}

#[test]
fn each_reopening_lasts_twice_as_long_as_the_one_before_up_to_the_most() {
    let config = Config { disable_ttl: Some(hours(1)), max_disable_ttl: hours(20), ..SANE() };
    let lasts = |n| config.reopened_ttl(n, 0.0).num_hours();
    assert_eq!([1, 2, 3, 4, 5, 6, 99].map(lasts), [2, 4, 8, 16, 20, 20, 20]);
    let endless = Config { disable_ttl: None, ..config };
    assert_eq!(endless.reopened_ttl(1, 0.0), hours(20), "without a ttl the most is the measure");
}

#[test]
fn jitter_takes_up_to_a_fifth_and_never_makes_a_reopening_shorter_than_the_one_before() {
    let most = TimeDelta::days(7);
    for ttl in [TimeDelta::milliseconds(1), TimeDelta::seconds(7), minutes(1), hours(5), hours(24)] {
        let config = Config { disable_ttl: Some(ttl), max_disable_ttl: most, ..SANE() };
        for jitter in [0.0, 0.1, 0.5, 0.75, 1.0_f64.next_down()] {
            let mut before = ttl;
            let mut nominal = ttl;
            for n in 1..=64 {
                let was_capped = nominal == most;
                nominal = (nominal * 2).min(most);
                let lasts = config.reopened_ttl(n, jitter);
                let least = nominal * 4 / 5 - TimeDelta::microseconds(1);
                assert!(least <= lasts && lasts <= nominal, "{n}: {lasts} of {nominal}");
                assert!(
                    if was_capped { lasts == before } else { lasts > before },
                    "{n}: {lasts} after {before}"
                );
                before = lasts;
            }
            assert_eq!(nominal, most);
        }
    }
    let config = Config { disable_ttl: Some(hours(1)), ..SANE() };
    assert_eq!(config.reopened_ttl(1, 0.5), minutes(108));
    assert_eq!(config.reopened_ttl(1, 1.0), minutes(96));
}

#[test]
fn a_reopening_is_never_longer_than_the_settings_allow_however_absurd_they_are() {
    let spans = [TimeDelta::microseconds(1), hours(24), TimeDelta::microseconds(i64::MAX), TimeDelta::MAX];
    let jitters = [0.0, 0.3, 1.0, -1.0, 7.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for most in spans {
        for ttl in spans.map(Some).into_iter().chain([None]) {
            let config = Config { disable_ttl: ttl, max_disable_ttl: most, ..SANE() };
            let longest = ttl.map_or(most, |ttl| ttl.max(most));
            for n in [i32::MIN, -1, 0, 1, 29, 30, 31, 32, 62, 63, 64, i32::MAX] {
                for jitter in jitters {
                    let lasts = config.reopened_ttl(n, jitter);
                    assert!(
                        lasts >= TimeDelta::zero() && lasts <= longest,
                        "{lasts}: {config:?}, {n}, {jitter}"
                    );
                }
            }
        }
    }
}

/// Spans that no calendar holds.
fn absurd() -> Config {
    Config {
        disable_ttl: Some(TimeDelta::MAX),
        half_open: true,
        probe_timeout: TimeDelta::MAX,
        half_open_timeout: TimeDelta::MAX,
        max_disable_ttl: TimeDelta::MAX,
        ..SANE()
    }
}

#[test]
fn an_end_beyond_the_calendar_is_the_end_of_the_calendar() {
    let end = DateTime::<Utc>::MAX_UTC;
    let state = tripped_with(&absurd());
    assert_eq!(outage(&state).until, Some(end));
    assert_eq!(outage(&state).half_open.map(|opening| opening.at), Some(end));
    let (state, effects) = run_with(&absurd(), &state, &[Event::Tick], end);
    assert_eq!(
        (state.phase, effects),
        (Phase::Closed, vec![crate::recovered(end)]),
        "probing would be over at once"
    );
}

#[test]
fn a_permit_beyond_the_calendar_and_the_largest_count_of_reopenings_overflow_nothing() {
    let end = DateTime::<Utc>::MAX_UTC;
    let config = absurd();
    let opening = HalfOpening { at: start(), reopenings: i32::MAX, jitter: 0.5 };
    let outage_before = Outage {
        since: start(),
        until: Some(start() + hours(1)),
        half_open: Some(opening),
        incident: Some(Severity::P1),
        intent: None,
    };
    let state = State { phase: Phase::Open(outage_before), ..State::QUIET };
    let (state, effects) = run_with(&config, &state, &[Event::Allow], start());
    assert_eq!(effects.last(), Some(&Effect::Permit { expires_at: end }));
    assert_eq!(outage(&state).until, Some(end));
    let (reopened, _) = run_with(&config, &state, &[drift(0.5)], start());
    assert_eq!(outage(&reopened).until, Some(end));
    assert_eq!(outage(&reopened).half_open, Some(HalfOpening { at: end, ..opening }));
    let (state, effects) = run_with(&config, &state, &[Event::Tick], end);
    assert_eq!(state.phase, Phase::Closed);
    assert!(matches!(effects.as_slice(), [Effect::Reopen { .. }, Effect::Recover { .. }]), "{effects:?}");
}

#[test]
fn the_last_moment_of_the_calendar_is_a_moment_like_any_other() {
    let end = DateTime::<Utc>::MAX_UTC;
    for now in [end, end - crate::INSTANT, end - hours(24)] {
        for config in [SANE(), Config { half_open: true, ..SANE() }, absurd()] {
            let (state, effects) =
                run_with(&config, &State::QUIET, &[drift(0.5), drift(0.5), drift(0.5)], now);
            assert!(matches!(effects.last(), Some(Effect::Trip(trip)) if trip.until == Some(end)));
            let others =
                [Event::Tick, Event::Allow, disable("x", Term::Default), drift(0.5), drift(0.0), enable()];
            for event in others {
                let (after, _) = run_with(&config, &state, &[event], now);
                assert_eq!(as_of(&after, &config, end).phase, Phase::Closed, "time ends all of it");
            }
        }
    }
}
