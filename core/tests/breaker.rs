//! Claims about the circuit breaker: each rule once by hand, then random walks against invariants.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used, clippy::panic)]

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use costsim_core::breaker::*;
use proptest::prelude::*;

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2025, 1, 2, 12, 0, 0).unwrap()
}

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn quiet() -> State {
    State { phase: Phase::Closed, consecutive_failures: 0, last_failure_at: None }
}

fn drift(score: f64) -> Event {
    Event::Drift { score, sample_count: 10 }
}

fn disable(reason: &str, term: Term) -> Event {
    Event::Disable { reason: reason.to_owned(), by: "ann".to_owned(), term }
}

fn enable() -> Event {
    Event::Enable { reason: None, by: "ben".to_owned() }
}

/// Steps through events at one moment; gives the state and the effects of the last.
fn run_with(config: &Config, state: &State, events: &[Event], now: DateTime<Utc>) -> (State, Vec<Effect>) {
    events.iter().fold((state.clone(), vec![]), |(state, _), event| step(&state, config, event, now).unwrap())
}

fn run(state: &State, events: &[Event], now: DateTime<Utc>) -> (State, Vec<Effect>) {
    run_with(&Config::default(), state, events, now)
}

fn outage(state: &State) -> &Outage {
    match &state.phase {
        Phase::Open(outage) => outage,
        Phase::Closed => panic!("the breaker is closed"),
    }
}

fn tripped() -> State {
    run(&quiet(), &[drift(0.5), drift(0.5), drift(0.5)], start()).0
}

#[test]
fn the_third_bad_report_in_a_row_trips() {
    let (state, effects) = run(&quiet(), &[drift(0.5), drift(0.3)], start());
    assert_eq!(effects, [Effect::CountFailure { failures: 2 }]);
    let (state, effects) = run(&state, &[drift(0.25)], start());
    let trip = Trip {
        cause: Cause::Drift,
        severity: Severity::P1,
        reason: "drift score 0.2500 is above the threshold 0.2000".to_owned(),
        by: "circuit_breaker".to_owned(),
        until: Some(start() + hours(24)),
        score: 0.25,
        sample_count: 10,
    };
    assert_eq!(effects, [Effect::CountFailure { failures: 3 }, Effect::Trip(trip)]);
    assert_eq!((state.consecutive_failures, state.last_failure_at), (3, Some(start())));
    assert_eq!(outage(&state).since, start());
    assert!(is_open(&state, &Config::default(), start()));
}

#[test]
fn a_score_at_the_threshold_is_no_failure() {
    let (state, effects) = run(&quiet(), &[drift(0.2)], start());
    assert_eq!(state, quiet());
    assert_eq!(effects, [Effect::Warn(Warning::NearThreshold { score: 0.2 })]);
}

#[test]
fn a_good_report_resets_the_count_and_a_quiet_breaker_stays_quiet() {
    let (state, effects) = run(&quiet(), &[drift(0.5), drift(0.5), drift(0.1)], start());
    assert_eq!(effects, [Effect::ResetFailures]);
    assert_eq!(state.consecutive_failures, 0);
    assert_eq!(state.last_failure_at, Some(start()), "history stays");
    assert_eq!(run(&state, &[drift(0.1)], start()), (state, vec![]));
}

#[test]
fn nonsense_is_refused() {
    let refused = |event: &Event| step(&quiet(), &Config::default(), event, start()).unwrap_err();
    for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
        assert!(matches!(refused(&drift(score)), Refused::Score(_)));
    }
    assert_eq!(
        refused(&Event::Drift { score: 0.1, sample_count: -1 }),
        Refused::Count { argument: "sample_count", count: -1 }
    );
    assert_eq!(
        refused(&Event::SchemaErrors { count: -1 }),
        Refused::Count { argument: "error_count", count: -1 }
    );
    assert_eq!(refused(&disable(" ", Term::Default)), Refused::Blank("reason"));
    assert_eq!(refused(&disable("x", Term::Until(start()))), Refused::PastEnd);
    assert_eq!(refused(&Event::Enable { reason: None, by: String::new() }), Refused::Blank("enabled_by"));
    assert_eq!(Term::asked(Some(start()), true), Err(Refused::Contradiction));
    assert!(step(&quiet(), &Config::default(), &drift(-0.0), start()).is_ok());
}

#[test]
fn bad_reports_while_open_are_observed_and_never_trip_again() {
    let before = tripped();
    let (state, effects) = run(&before, &[drift(0.9)], start() + hours(1));
    let observe = Effect::Observe { score: 0.9, sample_count: 10 };
    assert_eq!(effects, [Effect::CountFailure { failures: 4 }, observe]);
    assert_eq!(outage(&state), outage(&before), "neither incident nor end moves");
}

#[test]
fn a_good_report_while_open_resets_the_count_only() {
    let (state, effects) = run(&tripped(), &[drift(0.0)], start());
    assert_eq!(effects, [Effect::ResetFailures]);
    assert_eq!(outage(&state), outage(&tripped()));
}

#[test]
fn drift_makes_a_milder_incident_worse_once() {
    let (state, _) = run(&quiet(), &[Event::SchemaErrors { count: 5 }], start());
    assert_eq!(outage(&state).incident, Some(Severity::P3));
    let (state, effects) = run(&state, &[drift(0.5), drift(0.5), drift(0.5)], start());
    assert_eq!(effects.last(), Some(&Effect::Escalate { from: Severity::P3, to: Severity::P1 }));
    let (_, effects) = run(&state, &[drift(0.5)], start());
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Escalate { .. })));
}

#[test]
fn schema_errors_trip_by_a_single_report() {
    let four = Event::SchemaErrors { count: 4 };
    assert_eq!(run(&quiet(), &[four.clone(), four], start()), (quiet(), vec![]));
    let (state, effects) = run(&quiet(), &[Event::SchemaErrors { count: 7 }], start());
    assert!(matches!(
        effects.as_slice(),
        [Effect::Trip(Trip { cause: Cause::SchemaErrors, severity: Severity::P3, sample_count: 7, .. })]
    ));
    let (_, effects) = run(&state, &[Event::SchemaErrors { count: 9 }], start());
    assert_eq!(effects, [Effect::Observe { score: 1.0, sample_count: 9 }]);
}

#[test]
fn with_auto_disable_off_reports_only_warn() {
    let config = Config { auto_disable: false, ..Config::default() };
    let (state, effects) = run_with(&config, &quiet(), &[drift(0.5), drift(0.5), drift(0.5)], start());
    assert_eq!(state.phase, Phase::Closed);
    let reason = trip_reason(0.5, 0.2);
    let warning = Effect::Warn(Warning::WouldTrip { severity: Severity::P1, reason });
    assert_eq!(effects, [Effect::CountFailure { failures: 3 }, warning]);
    let (state, _) = run_with(&config, &state, &[disable("x", Term::Default)], start());
    assert!(is_open(&state, &config, start()), "a person still can");
}

#[test]
fn a_passed_end_recovers_before_the_event_applies() {
    let later = start() + hours(24);
    assert!(is_open(&tripped(), &Config::default(), later - TimeDelta::microseconds(1)));
    assert!(!is_open(&tripped(), &Config::default(), later));
    let recover = || Effect::Recover { due: later };
    let (state, effects) = run(&tripped(), &[Event::Tick], later);
    assert_eq!(effects, [recover()]);
    assert_eq!(state, State { last_failure_at: Some(start()), ..quiet() });
    let (_, effects) = run(&tripped(), &[drift(0.5)], later);
    assert_eq!(effects, [recover(), Effect::CountFailure { failures: 1 }]);
    let (_, effects) = run(&tripped(), &[enable()], later);
    assert_eq!(effects, [recover()], "there is nothing left to close");
}

#[test]
fn without_auto_recovery_a_passed_end_means_nothing() {
    let config = Config { auto_recover: false, ..Config::default() };
    let later = start() + hours(1000);
    assert!(is_open(&tripped(), &config, later));
    assert_eq!(run_with(&config, &tripped(), &[Event::Tick], later), (tripped(), vec![]));
}

#[test]
fn the_same_disable_twice_is_one() {
    for term in [Term::Default, Term::Permanent, Term::Until(start() + hours(3))] {
        let (state, effects) = run(&quiet(), &[disable("x", term)], start());
        assert!(matches!(
            effects.as_slice(),
            [Effect::Trip(Trip { cause: Cause::Manual, severity: Severity::P2, .. })]
        ));
        assert_eq!(run(&state, &[disable("x", term)], start() + hours(1)), (state, vec![]));
    }
}

#[test]
fn another_intent_moves_the_end() {
    let change = |from: Term, to: Term| {
        let (state, _) = run(&quiet(), &[disable("x", from)], start());
        let (after, effects) = run(&state, &[disable("y", to)], start() + hours(1));
        assert_eq!(outage(&after).since, start());
        match effects.as_slice() {
            [Effect::ChangeDisable { change, until, .. }] => {
                assert_eq!(*until, outage(&after).until);
                (*change, until.map(|until| (until - start()).num_hours()))
            }
            other => panic!("{other:?}"),
        }
    };
    let in_hours = |n| Term::Until(start() + hours(n));
    assert_eq!(change(in_hours(3), in_hours(5)), (Change::Extended, Some(5)));
    assert_eq!(change(in_hours(5), in_hours(3)), (Change::Shortened, Some(3)));
    assert_eq!(change(in_hours(5), in_hours(5)), (Change::Reworded, Some(5)));
    assert_eq!(change(in_hours(5), Term::Permanent), (Change::Extended, None));
    assert_eq!(change(Term::Permanent, in_hours(5)), (Change::Shortened, Some(5)));
    // A default extends, but never shortens.
    assert_eq!(change(in_hours(5), Term::Default), (Change::Extended, Some(25)));
    assert_eq!(change(in_hours(99), Term::Default), (Change::Reworded, Some(99)));
    assert_eq!(change(Term::Permanent, Term::Default), (Change::Reworded, None));
}

#[test]
fn a_person_may_take_over_what_the_breaker_did() {
    let (state, effects) = run(&tripped(), &[disable("keep it off", Term::Permanent)], start());
    assert_eq!(effects.len(), 1);
    assert_eq!((outage(&state).until, outage(&state).incident), (None, Some(Severity::P1)));
    let (state, _) = run(&quiet(), &[Event::SchemaErrors { count: 5 }], start());
    let (_, effects) = run(&state, &[disable("x", Term::Default)], start());
    assert_eq!(effects.last(), Some(&Effect::Escalate { from: Severity::P3, to: Severity::P2 }));
}

#[test]
fn a_breaker_opened_from_outside_gets_its_incident() {
    let foreign = Outage { since: start(), until: None, incident: None, intent: None };
    let state = State { phase: Phase::Open(foreign), ..quiet() };
    let (after, effects) = run(&state, &[drift(0.5)], start());
    assert_eq!(effects.get(1), Some(&Effect::Adopt { severity: Severity::P2 }));
    assert_eq!(outage(&after).incident, Some(Severity::P2));
    let (_, effects) = run(&state, &[enable()], start());
    assert_eq!(effects, [Effect::Close { reason: None, by: "ben".to_owned() }]);
}

#[test]
fn enable_closes_once() {
    let (state, effects) = run(&tripped(), &[enable()], start());
    assert_eq!(effects, [Effect::Close { reason: None, by: "ben".to_owned() }]);
    assert_eq!(state.consecutive_failures, 0);
    assert_eq!(run(&state, &[enable()], start()), (state, vec![]));
}

#[test]
fn the_counter_stays_at_its_largest_value() {
    let config = Config { auto_disable: false, ..Config::default() };
    let state = State { consecutive_failures: i32::MAX, ..quiet() };
    assert_eq!(run_with(&config, &state, &[drift(1.0)], start()).0.consecutive_failures, i32::MAX);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    assert_eq!(Config::default().validate(), Ok(()));
    let sane = Config::default();
    let cases = [
        Config { drift_threshold: f64::NAN, ..sane },
        Config { warning_threshold: 0.3, ..sane },
        Config { failure_threshold: 0, ..sane },
        Config { schema_error_threshold: 0, ..sane },
        Config { disable_ttl: Some(TimeDelta::zero()), ..sane },
    ];
    cases.iter().for_each(|config| assert!(config.validate().is_err(), "{config:?}"));
}

#[test]
fn a_stored_severity_reads_back() {
    for severity in [Severity::P1, Severity::P2, Severity::P3] {
        assert_eq!(Severity::from_stored(severity.as_str()), Some(severity));
        assert_eq!(Severity::from_stored(&severity.as_str().to_lowercase()), Some(severity));
    }
    assert_eq!(Severity::from_stored("critical"), None);
    assert!(Severity::P1 > Severity::P2 && Severity::P2 > Severity::P3);
}

/// An event, and the minutes that pass before it. Ends lie near enough to be reached within a walk.
fn happening() -> impl Strategy<Value = (i64, i64, Event)> {
    let term = prop_oneof![Just(0_i64).boxed(), Just(-1_i64).boxed(), (1..3000_i64).boxed(),];
    let event = prop_oneof![
        6 => (prop_oneof![Just(0.0), 0.0..0.5, Just(f64::NAN)], -1..20).prop_map(|(score, sample_count)| Event::Drift { score, sample_count }),
        1 => (-1..9).prop_map(|count| Event::SchemaErrors { count }),
        2 => "[ab]?".prop_map(|reason| disable(&reason, Term::Default)),
        1 => Just(enable()),
        2 => Just(Event::Tick),
    ];
    (prop_oneof![0..10_i64, 0..2000_i64], term, event)
}

fn config() -> impl Strategy<Value = Config> {
    let ttl = prop::option::weighted(0.8, (1..3000_i64).prop_map(TimeDelta::minutes));
    (ttl, any::<bool>(), prop::bool::weighted(0.8), 1..5).prop_map(
        |(disable_ttl, auto_recover, auto_disable, failure_threshold)| Config {
            disable_ttl,
            auto_recover,
            auto_disable,
            failure_threshold,
            ..Config::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_walk_leaves_the_drawing(config in config(), walk in prop::collection::vec(happening(), 1..80)) {
        let mut state = quiet();
        let mut now = start();
        let mut open_incidents = 0;
        let mut was_asked_permanent = false;
        for (minutes, term, mut event) in walk {
            now += TimeDelta::minutes(minutes);
            if let Event::Disable { term: chosen, .. } = &mut event {
                *chosen = match term {
                    0 => Term::Default,
                    -1 => Term::Permanent,
                    minutes => Term::Until(now + TimeDelta::minutes(minutes)),
                };
            }
            let was_open = is_open(&state, &config, now);
            let Ok((next, effects)) = step(&state, &config, &event, now) else { continue };

            let trips = effects.iter().filter(|effect| matches!(effect, Effect::Trip(_))).count();
            let closes = effects.iter().filter(|e| matches!(e, Effect::Close { .. } | Effect::Recover { .. })).count();
            prop_assert!(!(was_open && trips > 0), "an open breaker tripped again");
            prop_assert!(trips <= 1 && closes <= 1);
            open_incidents = open_incidents + trips - closes;
            prop_assert_eq!(open_incidents, usize::from(matches!(next.phase, Phase::Open(_))));
            prop_assert!(next.consecutive_failures >= 0);
            if effects.is_empty() {
                prop_assert_eq!(&next, &state, "changed without an effect");
            }

            if trips > 0 { was_asked_permanent = false }
            if let Event::Disable { term: Term::Permanent, .. } = event { was_asked_permanent = true }
            match (&state.phase, &next.phase) {
                (_, Phase::Closed) => {}
                (Phase::Open(before), Phase::Open(after)) if trips == 0 => {
                    prop_assert_eq!(before.since, after.since);
                    prop_assert!(after.incident >= before.incident, "an incident grew milder");
                    let is_asked = effects.iter().any(|effect| matches!(effect, Effect::ChangeDisable { .. }));
                    prop_assert!(is_asked || before.until == after.until, "the end moved by itself");
                }
                (_, Phase::Open(after)) => prop_assert_eq!(after.since, now),
            }
            if let Phase::Open(outage) = &next.phase {
                prop_assert!(outage.incident.is_some());
                let has_way_out = outage.until.is_some() || config.disable_ttl.is_none() || was_asked_permanent;
                prop_assert!(has_way_out, "an outage without an end that nobody asked for");
            }

            // The same event again, at the same moment: only reports have more to say.
            if !matches!(event, Event::Drift { .. } | Event::SchemaErrors { .. }) {
                let (again, effects) = step(&next, &config, &event, now).unwrap();
                prop_assert_eq!(again, next.clone());
                prop_assert_eq!(effects, vec![]);
            }
            state = next;
        }
    }
}
