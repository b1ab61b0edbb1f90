//! Claims about the circuit breaker: each rule once by hand; in `breaker/` the rules of probing, the settings, the explanation,
//! what holds at every step, and the walks and searches it is held against.

// Helpers of tests may unwrap as tests may; clippy recognises only the tests themselves.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "breaker/claims.rs"]
mod claims;
#[path = "breaker/every_state.rs"]
mod every_state;
#[path = "breaker/explanation.rs"]
mod explanation;
#[path = "breaker/probing.rs"]
mod probing;
#[path = "breaker/settings.rs"]
mod settings;
#[path = "breaker/walks.rs"]
mod walks;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use costsim_core::breaker::*;

const INSTANT: TimeDelta = TimeDelta::microseconds(1);

/// Whether work is held back, and until when that is certain if nothing happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    is_open: bool,
    until: Option<DateTime<Utc>>,
}

pub fn outlook(state: &State, config: &Config, now: DateTime<Utc>) -> Outlook {
    let state = as_of(state, config, now);
    Outlook { is_open: state.phase != Phase::Closed, until: next_change(&state, config) }
}

fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2025, 1, 2, 12, 0, 0).unwrap()
}

fn hours(n: i64) -> TimeDelta {
    TimeDelta::hours(n)
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn drift(score: f64) -> Event {
    Event::Drift { score, sample_count: 10 }
}

fn judgement(is_good: bool) -> Event {
    Event::Judgement { is_good, score: 0.1, sample_count: 10, reason: "eight of ten differ".to_owned() }
}

fn schema_errors(count: i32) -> Event {
    Event::SchemaErrors { count }
}

fn disable(reason: &str, term: Term) -> Event {
    Event::Disable { reason: reason.to_owned(), by: "ann".to_owned(), term }
}

fn enable() -> Event {
    Event::Enable { reason: None, by: "ben".to_owned() }
}

/// Steps through events at one moment; gives the state and the effects of the last.
fn run_with(config: &Config, state: &State, events: &[Event], now: DateTime<Utc>) -> (State, Vec<Effect>) {
    events
        .iter()
        .fold((state.clone(), vec![]), |(state, _), event| step(&state, config, event, now, 0.0).unwrap())
}

fn run(state: &State, events: &[Event], now: DateTime<Utc>) -> (State, Vec<Effect>) {
    run_with(&Config::default(), state, events, now)
}

fn is_open(state: &State, config: &Config, now: DateTime<Utc>) -> bool {
    outlook(state, config, now).is_open
}

fn outage(state: &State) -> &Outage {
    state.phase.outage().unwrap_or_else(|| panic!("the breaker is closed"))
}

fn tripped_with(config: &Config) -> State {
    run_with(config, &State::QUIET, &[drift(0.5), drift(0.5), drift(0.5)], start()).0
}

fn tripped() -> State {
    tripped_with(&Config::default())
}

/// Opened by a hand that writes no incident.
fn opened_outside() -> State {
    let outage = Outage {
        since: start(),
        until: Some(start() + hours(9)),
        half_open: None,
        incident: None,
        intent: None,
    };
    State { phase: Phase::Open(outage), ..State::QUIET }
}

fn counted(failures: i32) -> Effect {
    Effect::CountFailure { failures }
}

fn observed(score: f64) -> Effect {
    Effect::Observe { score, sample_count: 10 }
}

fn recovered(due: DateTime<Utc>) -> Effect {
    Effect::Recover { from: Standing::Open, due }
}

fn closed_by_hand(from: Standing) -> Effect {
    Effect::Close { from, reason: None, by: "ben".to_owned() }
}

fn warned(warning: Warning, reason: String, score: f64) -> Effect {
    Effect::Warn { warning, reason, score, sample_count: 10 }
}

fn near(score: f64) -> Effect {
    warned(Warning::NearThreshold, warning_reason(score, 0.15), score)
}

#[test]
fn the_third_bad_report_in_a_row_trips() {
    let (state, effects) = run(&State::QUIET, &[drift(0.5), drift(0.3)], start());
    assert_eq!(effects, [counted(2)]);
    assert!(!is_open(&state, &Config::default(), start()));
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
    assert_eq!(effects, [counted(3), Effect::Trip(trip)]);
    assert_eq!((state.consecutive_failures, state.last_failure_at), (3, Some(start())));
    assert_eq!(state.last_score, Some(0.25));
    assert_eq!((outage(&state).since, outage(&state).half_open), (start(), None));
    assert!(is_open(&state, &Config::default(), start()));
}

#[test]
fn a_score_at_a_threshold_is_on_its_good_side() {
    let (state, effects) = run(&State::QUIET, &[drift(0.2)], start());
    assert_eq!((state.consecutive_failures, effects), (0, vec![near(0.2)]));
    assert_eq!(run(&State::QUIET, &[drift(0.15)], start()), (State::QUIET, vec![]));
    let (_, effects) = run(&State::QUIET, &[drift(0.2_f64.next_up())], start());
    assert_eq!(effects, [counted(1)]);
}

#[test]
fn a_good_report_resets_the_count_and_a_quiet_breaker_stays_quiet() {
    let (state, effects) = run(&State::QUIET, &[drift(0.5), drift(0.5), drift(0.1)], start());
    assert_eq!(effects, [Effect::ResetFailures]);
    assert_eq!(state.consecutive_failures, 0);
    assert_eq!((state.last_failure_at, state.last_score), (Some(start()), Some(0.5)), "history stays");
    assert_eq!(run(&state, &[drift(0.1)], start()), (state.clone(), vec![]));
    let (state, _) = run(&state, &[drift(0.5), drift(0.5)], start());
    assert_eq!(state.phase, Phase::Closed, "it counts from the beginning");
}

#[test]
fn nothing_but_a_report_or_a_person_moves_a_quiet_breaker() {
    for event in [Event::Tick, Event::Allow, enable(), schema_errors(0), drift(0.0)] {
        assert_eq!(run(&State::QUIET, &[event], start() + hours(1000)), (State::QUIET, vec![]));
    }
}

#[test]
fn nonsense_is_refused_in_every_phase() {
    let half_open = probing::half_open_since_a_day();
    for state in [State::QUIET, tripped(), half_open] {
        let refused = |event: &Event| step(&state, &Config::default(), event, start(), 0.0).unwrap_err();
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
            assert!(matches!(refused(&drift(score)), Refused::Score(_)));
        }
        assert_eq!(
            refused(&Event::Drift { score: 0.1, sample_count: -1 }),
            Refused::Count { argument: "sample_count", count: -1 }
        );
        assert_eq!(refused(&schema_errors(-1)), Refused::Count { argument: "error_count", count: -1 });
        assert_eq!(refused(&disable(" ", Term::Default)), Refused::Blank("reason"));
        let nobody = Event::Disable { reason: "x".to_owned(), by: "\t".to_owned(), term: Term::Default };
        assert_eq!(refused(&nobody), Refused::Blank("disabled_by"));
        assert_eq!(refused(&disable("x", Term::Until(start()))), Refused::PastEnd);
        assert_eq!(refused(&Event::Enable { reason: None, by: String::new() }), Refused::Blank("enabled_by"));
    }
    assert_eq!(Term::asked(Some(start()), true), Err(Refused::Contradiction));
    assert!(step(&State::QUIET, &Config::default(), &drift(-0.0), start(), 0.0).is_ok());
    assert!(step(&State::QUIET, &Config::default(), &drift(f64::MAX), start(), 0.0).is_ok());
}

#[test]
fn a_refusal_says_what_was_wrong() {
    let said =
        |event: Event| step(&State::QUIET, &Config::default(), &event, start(), 0.0).unwrap_err().to_string();
    assert_eq!(said(drift(f64::NAN)), "drift score must be finite and not negative, not NaN");
    assert_eq!(said(drift(f64::NEG_INFINITY)), "drift score must be finite and not negative, not -Infinity");
    assert_eq!(said(schema_errors(-2)), "error_count must not be negative, not -2");
    assert_eq!(said(disable("", Term::Default)), "reason must not be blank");
    assert_eq!(said(disable("x", Term::Until(start()))), "disabled_until must lie in the future");
    assert_eq!(Refused::Contradiction.to_string(), "a permanent disable has no disabled_until");
}

#[test]
fn bad_reports_while_open_are_observed_and_never_trip_again() {
    let before = tripped();
    let (state, effects) = run(&before, &[drift(0.9)], start() + hours(1));
    assert_eq!(effects, [counted(4), observed(0.9)]);
    assert_eq!(outage(&state), outage(&before), "neither incident nor end moves");
}

#[test]
fn good_reports_while_open_reset_the_count_only() {
    let (state, effects) = run(&tripped(), &[drift(0.0)], start());
    assert_eq!(effects, [Effect::ResetFailures]);
    assert_eq!(outage(&state), outage(&tripped()));
    assert_eq!(run(&state, &[drift(0.18)], start()), (state, vec![]), "an open breaker warns of nothing");
}

#[test]
fn an_open_breaker_allows_nobody() {
    let (state, effects) = run(&tripped(), &[Event::Allow], start());
    assert_eq!((&state, effects.as_slice()), (&tripped(), [].as_slice()));
    assert!(!is_allowed(&state, &effects));
    assert!(is_allowed(&State::QUIET, &[]));
}

#[test]
fn drift_makes_a_milder_incident_worse_once() {
    let (state, _) = run(&State::QUIET, &[schema_errors(5)], start());
    assert_eq!(outage(&state).incident, Some(Severity::P3));
    let (state, effects) = run(&state, &[drift(0.5), drift(0.5), drift(0.5)], start());
    let escalated = Effect::Escalate { standing: Standing::Open, from: Severity::P3, to: Severity::P1 };
    assert_eq!(effects, [counted(3), observed(0.5), escalated]);
    let (_, effects) = run(&state, &[drift(0.5)], start());
    assert_eq!(effects, [counted(4), observed(0.5)]);
}

#[test]
fn without_auto_disable_reports_make_no_incident_worse() {
    let config = Config { auto_disable: false, failure_threshold: 1, ..Config::default() };
    let (state, _) = run_with(&config, &State::QUIET, &[disable("x", Term::Default)], start());
    let (state, effects) = run_with(&config, &state, &[drift(0.5)], start());
    assert_eq!(effects, [counted(1), observed(0.5)]);
    assert_eq!(outage(&state).incident, Some(Severity::P2));
}

#[test]
fn schema_errors_trip_by_a_single_report() {
    assert_eq!(
        run(&State::QUIET, &[schema_errors(4), schema_errors(4)], start()),
        (State::QUIET, vec![]),
        "nothing adds up"
    );
    let (state, effects) = run(&State::QUIET, &[schema_errors(7)], start());
    let trip = Trip {
        cause: Cause::SchemaErrors,
        severity: Severity::P3,
        reason: "7 schema errors in one report, threshold 5".to_owned(),
        by: "circuit_breaker".to_owned(),
        until: Some(start() + hours(24)),
        score: 1.0,
        sample_count: 7,
    };
    assert_eq!(effects, [Effect::Trip(trip)]);
    assert_eq!(state.consecutive_failures, 0);
    let (_, effects) = run(&state, &[schema_errors(9)], start());
    assert_eq!(effects, [Effect::Observe { score: 1.0, sample_count: 9 }]);
    assert_eq!(run(&state, &[schema_errors(4)], start()), (state, vec![]));
    assert_eq!(schema_reason(1, 1), "1 schema error in one report, threshold 1");
}

#[test]
fn with_auto_disable_off_reports_warn_once_and_never_trip() {
    let config = Config { auto_disable: false, ..Config::default() };
    let bad = [drift(0.5), drift(0.5), drift(0.5)];
    let would_trip = |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::Warn { .. }));
    let (state, effects) = run_with(&config, &State::QUIET, &bad, start());
    assert_eq!(state.phase, Phase::Closed);
    assert_eq!(effects, [counted(3), warned(Warning::WouldTrip, trip_reason(0.5, 0.2), 0.5)]);
    let (state, effects) = run_with(&config, &state, &[drift(0.5)], start());
    assert_eq!(effects, [counted(4)], "it was told when it began");
    assert!(!would_trip(&run_with(&config, &state, &[schema_errors(99)], start()).1));
    let (state, effects) = run_with(&config, &state, &[drift(0.1)], start());
    assert_eq!(effects, [Effect::ResetFailures, Effect::EndWarning]);
    assert!(would_trip(&run_with(&config, &state, &bad, start()).1), "it begins anew");
    let (_, effects) = run_with(&config, &State::QUIET, &[schema_errors(5)], start());
    let reason = schema_reason(5, 5);
    assert_eq!(effects, [Effect::Warn { warning: Warning::WouldTrip, reason, score: 1.0, sample_count: 5 }]);
    let (state, _) = run_with(&config, &state, &[disable("x", Term::Default)], start());
    assert!(is_open(&state, &config, start()), "a person still can");
}

#[test]
fn a_score_near_the_threshold_warns_once_until_a_good_one_ends_it() {
    let (state, effects) = run(&State::QUIET, &[drift(0.18)], start());
    assert_eq!((state.warning, effects), (Some(Warning::NearThreshold), vec![near(0.18)]));
    assert_eq!(run(&state, &[drift(0.19)], start()), (state.clone(), vec![]), "told once");
    let (state, effects) = run(&state, &[drift(0.5), drift(0.18)], start());
    assert_eq!(effects, [Effect::ResetFailures], "one bad report does not end it");
    let (state, effects) = run(&state, &[drift(0.15)], start());
    assert_eq!((&state.warning, effects.as_slice()), (&None, [Effect::EndWarning].as_slice()));
    assert_eq!(run(&state, &[drift(0.15)], start()), (state.clone(), vec![]));
    assert_eq!(run(&state, &[drift(0.16)], start()).1, [near(0.16)], "it begins anew");
}

#[test]
fn a_trip_ends_a_warning_by_whomever_it_is_made() {
    let (warned, _) = run(&State::QUIET, &[drift(0.18)], start());
    let by_reports = [drift(0.5), drift(0.5), drift(0.5)];
    let by_a_person = [disable("x", Term::Default)];
    for events in [by_reports.as_slice(), &[schema_errors(5)], &by_a_person] {
        let (state, effects) = run(&warned, events, start());
        assert_eq!(state.warning, None);
        assert!(matches!(effects.as_slice(), [.., Effect::EndWarning, Effect::Trip(_)]), "{effects:?}");
    }
}

#[test]
fn a_worse_warning_takes_the_place_of_a_milder_one() {
    let config = Config { auto_disable: false, failure_threshold: 1, ..Config::default() };
    let (state, _) = run_with(&config, &State::QUIET, &[drift(0.18)], start());
    let (state, effects) = run_with(&config, &state, &[drift(0.5)], start());
    assert_eq!(effects, [counted(1), warned(Warning::WouldTrip, trip_reason(0.5, 0.2), 0.5)]);
    let (state, effects) = run_with(&config, &state, &[drift(0.18)], start());
    assert_eq!((state.warning, effects), (Some(Warning::WouldTrip), vec![Effect::ResetFailures]));
}

#[test]
fn a_passed_end_recovers_before_the_event_applies() {
    let later = start() + hours(24);
    assert!(is_open(&tripped(), &Config::default(), later - INSTANT));
    assert!(!is_open(&tripped(), &Config::default(), later));
    let (state, effects) = run(&tripped(), &[Event::Tick], later);
    assert_eq!(effects, [recovered(later)]);
    assert_eq!(state, State { last_failure_at: Some(start()), last_score: Some(0.5), ..State::QUIET });
    let (_, effects) = run(&tripped(), &[drift(0.5)], later);
    assert_eq!(effects, [recovered(later), counted(1)]);
    let (_, effects) = run(&tripped(), &[enable()], later);
    assert_eq!(effects, [recovered(later)], "there is nothing left to close");
    let (state, effects) = run(&tripped(), &[disable("x", Term::Default)], later);
    assert!(matches!(effects.as_slice(), [Effect::Recover { .. }, Effect::Trip(_)]), "another incident");
    assert_eq!(outage(&state).since, later);
    let (state, effects) = run(&tripped(), &[Event::Allow], later + hours(7));
    assert!(is_allowed(&state, &effects));
    assert_eq!(effects, [recovered(later)], "due when it was, whenever it is written down");
}

#[test]
fn an_outlook_tells_until_when_it_holds() {
    let config = Config::default();
    assert_eq!(outlook(&State::QUIET, &config, start()), Outlook { is_open: false, until: None });
    let end = start() + hours(24);
    assert_eq!(outlook(&tripped(), &config, start()), Outlook { is_open: true, until: Some(end) });
    assert_eq!(outlook(&tripped(), &config, end), Outlook { is_open: false, until: None });
    assert_eq!(next_change(&tripped(), &config), Some(end));
    assert_eq!(as_of(&tripped(), &config, end - INSTANT), tripped());
}

#[test]
fn without_auto_recovery_a_passed_end_means_nothing() {
    let config = Config { auto_recover: false, ..Config::default() };
    let later = start() + hours(1000);
    assert_eq!(outlook(&tripped(), &config, later), Outlook { is_open: true, until: None });
    assert_eq!(run_with(&config, &tripped(), &[Event::Tick], later), (tripped(), vec![]));
    assert_eq!(next_change(&tripped(), &config), None);
    let (_, effects) = run(&tripped(), &[Event::Tick], later);
    assert_eq!(effects, [recovered(start() + hours(24))], "switched on again, it makes up for it");
}

#[test]
fn without_a_ttl_it_stays_open_until_a_person_closes_it() {
    let config = Config { disable_ttl: None, ..Config::default() };
    let state = tripped_with(&config);
    assert_eq!(outage(&state).until, None);
    assert_eq!(run_with(&config, &state, &[Event::Tick], DateTime::<Utc>::MAX_UTC), (state.clone(), vec![]));
    assert_eq!(run_with(&config, &state, &[enable()], start()).1, [closed_by_hand(Standing::Open)]);
}

#[test]
fn the_same_disable_twice_is_one() {
    for term in [Term::Default, Term::Permanent, Term::Until(start() + hours(3))] {
        let (state, effects) = run(&State::QUIET, &[disable("x", term)], start());
        let until = match term {
            Term::Default => Some(start() + hours(24)),
            Term::Permanent => None,
            Term::Until(until) => Some(until),
        };
        let trip = Trip {
            cause: Cause::Manual,
            severity: Severity::P2,
            reason: "x".to_owned(),
            by: "ann".to_owned(),
            until,
            score: 0.0,
            sample_count: 0,
        };
        assert_eq!(effects, [Effect::Trip(trip)]);
        assert_eq!(run(&state, &[disable("x", term)], start() + hours(1)), (state, vec![]));
    }
}

#[test]
fn another_intent_moves_the_end() {
    let change = |from: Term, to: Term| {
        let (state, _) = run(&State::QUIET, &[disable("x", from)], start());
        let (after, effects) = run(&state, &[disable("y", to)], start() + hours(1));
        assert_eq!(outage(&after).since, start());
        match effects.as_slice() {
            [Effect::ChangeDisable { from: Standing::Open, change, until, reason, by }] => {
                assert_eq!((*until, reason.as_str(), by.as_str()), (outage(&after).until, "y", "ann"));
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
fn the_same_words_for_another_time_are_another_intent() {
    let (state, _) = run(&State::QUIET, &[disable("x", Term::Default)], start());
    let (state, effects) = run(&state, &[disable("x", Term::Permanent)], start());
    assert!(matches!(
        effects.as_slice(),
        [Effect::ChangeDisable { change: Change::Extended, until: None, .. }]
    ));
    assert_eq!(outage(&state).until, None);
}

#[test]
fn a_person_may_take_over_what_the_breaker_did() {
    let (state, effects) = run(&tripped(), &[disable("keep it off", Term::Permanent)], start());
    assert_eq!(effects.len(), 1);
    assert_eq!((outage(&state).until, outage(&state).incident), (None, Some(Severity::P1)));
    let (state, _) = run(&State::QUIET, &[schema_errors(5)], start());
    let (_, effects) = run(&state, &[disable("x", Term::Default)], start());
    let escalated = Effect::Escalate { standing: Standing::Open, from: Severity::P3, to: Severity::P2 };
    assert_eq!(effects.last(), Some(&escalated));
}

#[test]
fn a_breaker_opened_from_outside_gets_its_incident() {
    let adopted = Effect::Adopt { standing: Standing::Open, severity: Severity::P2 };
    let (after, effects) = run(&opened_outside(), &[drift(0.5)], start());
    assert_eq!(effects, [counted(1), adopted.clone(), observed(0.5)]);
    assert_eq!(outage(&after).incident, Some(Severity::P2));
    let (after, effects) = run(&opened_outside(), &[disable("x", Term::Permanent)], start());
    assert!(
        matches!(effects.as_slice(), [Effect::Adopt { .. }, Effect::ChangeDisable { .. }]),
        "{effects:?}"
    );
    assert_eq!(run(&after, &[disable("x", Term::Permanent)], start()), (after, vec![]), "once");
    let config = Config { failure_threshold: 1, ..Config::default() };
    let (_, effects) = run_with(&config, &opened_outside(), &[drift(0.5)], start());
    let escalated = Effect::Escalate { standing: Standing::Open, from: Severity::P2, to: Severity::P1 };
    assert_eq!(effects, [counted(1), adopted, observed(0.5), escalated]);
}

#[test]
fn a_breaker_opened_from_outside_closes_like_any_other() {
    assert_eq!(run(&opened_outside(), &[enable()], start()).1, [closed_by_hand(Standing::Open)]);
    let end = start() + hours(9);
    assert_eq!(run(&opened_outside(), &[Event::Tick], end).1, [recovered(end)]);
    for event in [Event::Allow, Event::Tick, drift(0.0), schema_errors(1)] {
        assert_eq!(run(&opened_outside(), &[event], start()), (opened_outside(), vec![]), "no occasion");
    }
}

#[test]
fn enable_closes_once() {
    let (state, effects) = run(&tripped(), &[enable()], start());
    assert_eq!(effects, [closed_by_hand(Standing::Open)]);
    assert_eq!(state.consecutive_failures, 0);
    assert_eq!(run(&state, &[enable()], start()), (state, vec![]));
    let said = Event::Enable { reason: Some("mended".to_owned()), by: "ben".to_owned() };
    let (_, effects) = run(&tripped(), &[said], start());
    assert!(matches!(effects.as_slice(), [Effect::Close { reason: Some(reason), .. }] if reason == "mended"));
}

#[test]
fn the_counter_stays_at_its_largest_value() {
    let config = Config { auto_disable: false, ..Config::default() };
    let state = State { consecutive_failures: i32::MAX, ..State::QUIET };
    let (state, effects) = run_with(&config, &state, &[drift(1.0)], start());
    assert_eq!(state.consecutive_failures, i32::MAX);
    assert_eq!(effects.first(), Some(&counted(i32::MAX)));
}

#[test]
fn a_stored_word_reads_back() {
    for severity in [Severity::P1, Severity::P2, Severity::P3] {
        assert_eq!(Severity::from_stored(severity.as_str()), Some(severity));
        assert_eq!(Severity::from_stored(&severity.as_str().to_lowercase()), Some(severity));
    }
    assert_eq!(Severity::from_stored("critical"), None);
    assert!(Severity::P1 > Severity::P2 && Severity::P2 > Severity::P3);
    for warning in [Warning::NearThreshold, Warning::WouldTrip] {
        assert_eq!(Warning::from_stored(warning.as_str()), Some(warning));
    }
    assert_eq!(Warning::from_stored("drift"), None);
}

#[test]
fn the_drawing_has_each_arrow_once() {
    for (n, arrow) in TRANSITIONS.iter().enumerate() {
        assert!(!TRANSITIONS.iter().skip(n + 1).any(|other| other == arrow), "{arrow:?} twice");
        assert!(!matches!(arrow.cause, Cause::Configured | Cause::Outside), "{arrow:?} is not a step");
    }
}
