//! The explanation: each kind of line, word for word.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::*;
use serde_json::json;

use crate::{disable, drift, enable, hours, minutes, run_with, schema_errors, start, tripped_with};

fn probed() -> Config {
    Config { half_open: true, ..Config::default() }
}

fn lines(state: &State, config: &Config, now: DateTime<Utc>) -> Vec<String> {
    explain("prices", state, config, None, now)
}

fn first(state: &State, config: &Config, now: DateTime<Utc>) -> String {
    lines(state, config, now).remove(0)
}

/// The line that tells of the last event.
fn told(event: &LastEvent) -> String {
    explain("prices", &State::QUIET, &Config::default(), Some(event), start()).remove(1)
}

fn event(to: Standing, cause: Cause) -> LastEvent {
    LastEvent {
        at: start(),
        to: to.as_str().to_owned(),
        cause: cause.as_str().to_owned(),
        actor: Some("circuit_breaker".to_owned()),
        reason: Some("because".to_owned()),
        score: None,
        sample_count: None,
        failures: None,
        config: json!({"drift_threshold": 0.2, "warning_threshold": 0.15, "failure_threshold": 3,
            "schema_error_threshold": 5}),
    }
}

#[test]
fn a_quiet_breaker_has_one_line() {
    assert_eq!(lines(&State::QUIET, &Config::default(), start()), ["prices is closed: work flows"]);
}

#[test]
fn an_open_breaker_names_its_beginning_and_its_end() {
    let now = start() + minutes(30);
    let state = tripped_with(&Config::default());
    assert_eq!(
        first(&state, &Config::default(), now),
        "prices is open since 2025-01-02T12:00:00Z, time alone closes it at 2025-01-03T12:00:00Z (in 23:30:00)"
    );
    assert_eq!(
        first(&tripped_with(&probed()), &probed(), now),
        "prices is open since 2025-01-02T12:00:00Z, probes may come from 2025-01-03T12:00:00Z (in 23:30:00), \
         time alone closes it at 2025-01-03T13:00:00Z (in 24:30:00)"
    );
}

#[test]
fn an_open_breaker_without_an_end_waits_for_a_person() {
    let by_hand = "prices is open since 2025-01-02T12:00:00Z, until it is enabled by hand";
    let (state, _) = run_with(&probed(), &State::QUIET, &[disable("x", Term::Permanent)], start());
    assert_eq!(lines(&state, &probed(), start() + hours(9)), [by_hand]);
    let config = Config { auto_recover: false, ..Config::default() };
    let state = run_with(&config, &State::QUIET, &[schema_errors(5)], start()).0;
    assert_eq!(
        lines(&state, &config, start() + hours(99)),
        [by_hand, "auto_recover is off: only a person closes it"]
    );
}

#[test]
fn a_half_open_breaker_counts_its_probes() {
    let now = start() + hours(24);
    let config = Config { probe_permits: 5, ..probed() };
    let events = [Event::Allow, Event::Allow, Event::Allow, drift(0.0)];
    let (state, _) = run_with(&config, &tripped_with(&config), &events, now);
    assert_eq!(
        first(&state, &config, now),
        "prices is half-open since 2025-01-03T12:00:00Z: 1 of 3 probes passed, 2 on their way, 2 more may come; \
         time alone closes it at 2025-01-03T13:00:00Z (in 1:00:00)"
    );
    let fewer = Config { probe_permits: 2, probe_successes: 2, ..config };
    assert!(first(&state, &fewer, now).contains("1 of 2 probes passed, 2 on their way, 0 more may come;"));
}

#[test]
fn what_time_has_done_is_told_before_it_is_written_down() {
    let unwritten = "time has brought it here; the next call that writes, or the worker, writes that down";
    let (state, config) = (tripped_with(&probed()), probed());
    let told = |now| lines(&state, &config, now).get(1).is_some_and(|line| line == unwritten);
    assert!(!told(start() + hours(23)));
    assert!(told(start() + hours(24)), "half-open");
    assert!(told(start() + hours(25)), "closed");
    assert_eq!(lines(&state, &config, start() + hours(25)), ["prices is closed: work flows", unwritten]);
}

#[test]
fn a_trip_by_drift_is_told_with_what_was_compared() {
    let trip = LastEvent { score: Some(0.5), failures: Some(4), ..event(Standing::Open, Cause::Drift) };
    assert_eq!(
        told(&trip),
        "open at 2025-01-02T12:00:00Z by circuit_breaker (drift): \
         drift score 0.5 > drift_threshold 0.2, failure 4 in a row >= failure_threshold 3"
    );
}

#[test]
fn the_settings_of_a_decision_are_those_of_its_time() {
    let trip = LastEvent {
        score: Some(0.5),
        failures: Some(1),
        config: json!({"drift_threshold": 0.4, "failure_threshold": 1}),
        ..event(Standing::Open, Cause::Drift)
    };
    assert!(
        told(&trip)
            .ends_with("drift score 0.5 > drift_threshold 0.4, failure 1 in a row >= failure_threshold 1")
    );
    let unknown = LastEvent { config: json!(null), ..trip };
    assert!(
        told(&unknown)
            .ends_with("drift score 0.5 > drift_threshold ?, failure 1 in a row >= failure_threshold ?")
    );
}

#[test]
fn a_trip_by_schema_errors_is_told_with_what_was_compared() {
    let trip = LastEvent { sample_count: Some(7), ..event(Standing::Open, Cause::SchemaErrors) };
    assert_eq!(
        told(&trip),
        "open at 2025-01-02T12:00:00Z by circuit_breaker (schema_errors): \
         7 schema errors in one report >= schema_error_threshold 5"
    );
}

#[test]
fn a_warning_is_told_with_what_was_compared() {
    let warning = LastEvent { score: Some(0.18), ..event(Standing::Closed, Cause::NearThreshold) };
    assert_eq!(
        told(&warning),
        "closed at 2025-01-02T12:00:00Z by circuit_breaker (near_threshold): \
         drift score 0.18 > warning_threshold 0.15, but not > drift_threshold 0.2"
    );
}

#[test]
fn any_other_step_is_told_in_the_words_it_was_given() {
    let by_hand = LastEvent { actor: Some("ann".to_owned()), ..event(Standing::Open, Cause::Manual) };
    assert_eq!(told(&by_hand), "open at 2025-01-02T12:00:00Z by ann (manual): because");
    let silent = LastEvent { actor: None, reason: None, ..event(Standing::HalfOpen, Cause::TtlPassed) };
    assert_eq!(
        told(&silent),
        "half_open at 2025-01-02T12:00:00Z by nobody known (ttl_passed): no reason was given"
    );
}

#[test]
fn failures_in_a_row_are_told_with_the_latest() {
    let (state, _) = run_with(&Config::default(), &State::QUIET, &[drift(0.5), drift(0.25)], start());
    let told = lines(&state, &Config::default(), start());
    assert_eq!(
        told[1..],
        ["2 failures in a row, failure_threshold 3; the latest at 2025-01-02T12:00:00Z: drift score 0.25"]
    );
    let (state_of_one, _) = run_with(&Config::default(), &State::QUIET, &[drift(0.5)], start());
    assert_eq!(
        lines(&state_of_one, &Config { drift_threshold: 0.9, ..Config::default() }, start())[1..],
        ["1 failure in a row, failure_threshold 3; the latest at 2025-01-02T12:00:00Z: drift score 0.5"],
        "it was compared with another threshold than that of today"
    );
    let of_old = State { consecutive_failures: 2, ..State::QUIET };
    assert_eq!(
        lines(&of_old, &Config::default(), start())[1..],
        ["2 failures in a row, failure_threshold 3"]
    );
    let (state, _) = run_with(&Config::default(), &state, &[drift(0.0)], start());
    assert_eq!(lines(&state, &Config::default(), start()).len(), 1, "none in a row are no news");
}

#[test]
fn warnings_are_told_while_they_last_and_only_while_closed() {
    let (state, _) = run_with(&Config::default(), &State::QUIET, &[drift(0.18)], start());
    let near = "warning: scores are above warning_threshold 0.15, but not above drift_threshold 0.2";
    assert_eq!(lines(&state, &Config::default(), start())[1..], [near]);
    let config = Config { auto_disable: false, ..Config::default() };
    let (state, _) = run_with(&config, &State::QUIET, &[schema_errors(5)], start());
    assert_eq!(
        lines(&state, &config, start())[1..],
        [
            "warning: it would have opened, were auto_disable on",
            "auto_disable is off: reports warn and never open it"
        ]
    );
    // A hand outside has opened it meanwhile.
    let state = State { phase: crate::opened_outside().phase, ..state };
    assert!(lines(&state, &config, start()).iter().all(|line| !line.starts_with("warning")));
}

#[test]
fn what_time_alone_does_is_told_as_not_written_down_however_it_ends() {
    // Half-open, its probe expired, open, half-open again: where it stands is where it stood.
    let config = Config {
        half_open: true,
        disable_ttl: Some(TimeDelta::minutes(1)),
        half_open_timeout: TimeDelta::days(300),
        ..Config::default()
    };
    let tripped = run_with(&config, &State::QUIET, &[drift(0.5), drift(0.5), drift(0.5)], start()).0;
    let later = start() + TimeDelta::minutes(1);
    let probed = run_with(&config, &tripped, &[Event::Allow], later).0;
    let much_later = later + TimeDelta::minutes(10);
    assert_eq!(as_of(&probed, &config, much_later).phase.standing(), Standing::HalfOpen);
    let told = lines(&probed, &config, much_later);
    assert!(told[1].starts_with("time has brought it here"), "{told:?}");
}

#[test]
fn no_more_probes_may_come_where_none_is_given() {
    let config = Config { half_open: true, ..Config::default() };
    let tripped = run_with(&config, &State::QUIET, &[drift(0.5), drift(0.5), drift(0.5)], start()).0;
    let half_open = as_of(&tripped, &config, start() + TimeDelta::hours(24));
    let told = lines(&half_open, &Config { auto_recover: false, ..config }, start() + TimeDelta::hours(24));
    assert!(told[0].contains("0 more may come"), "{told:?}");
}

#[test]
fn the_lines_come_in_one_order() {
    let config = Config { auto_disable: false, auto_recover: false, ..Config::default() };
    let bad = [drift(0.5), drift(0.5), drift(0.5)];
    let (state, _) = run_with(&config, &State::QUIET, &bad, start());
    let last = event(Standing::Closed, Cause::WouldTrip);
    let told = explain("prices", &state, &config, Some(&last), start());
    let begins = ["prices is closed", "closed at", "3 failures", "warning: ", "auto_disable", "auto_recover"];
    assert_eq!(told.len(), begins.len());
    assert!(told.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{told:#?}");
    let (state, _) = run_with(&config, &state, &[disable("x", Term::Default), enable()], start());
    assert_eq!(lines(&state, &config, start()).len(), 3, "a person's enable wipes the slate");
}
