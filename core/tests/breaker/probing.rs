//! The rules of the half-open state: permits, probes, and what comes of them.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::*;

use crate::{
    INSTANT, Outlook, closed_by_hand, counted, disable, drift, enable, hours, is_open, minutes, observed,
    outage, outlook, run_with, schema_errors, start, tripped_with,
};

/// A day open, then an hour for three probes of a minute each.
fn config() -> Config {
    Config { half_open: true, ..Config::default() }
}

/// When probing begins.
fn opening() -> DateTime<Utc> {
    start() + hours(24)
}

/// When it ends, if nobody probes.
fn end() -> DateTime<Utc> {
    start() + hours(25)
}

fn run(state: &State, events: &[Event], now: DateTime<Utc>) -> (State, Vec<Effect>) {
    run_with(&config(), state, events, now)
}

fn half_open() -> State {
    run(&tripped_with(&config()), &[Event::Tick], opening()).0
}

/// Half-open, whatever the settings are.
pub fn half_open_since_a_day() -> State {
    let state = half_open();
    assert_eq!(state.phase.standing(), Standing::HalfOpen);
    state
}

/// Half-open with so many permits given at its beginning.
fn with_permits(n: usize) -> State {
    run(&half_open(), &vec![Event::Allow; n], opening()).0
}

fn probing(state: &State) -> &Probing {
    match &state.phase {
        Phase::HalfOpen(_, probing) => probing,
        other => panic!("not half-open: {other:?}"),
    }
}

fn permitted(expires_at: DateTime<Utc>) -> Effect {
    Effect::Permit { expires_at }
}

fn begun(at: DateTime<Utc>) -> Effect {
    Effect::BeginProbing { at }
}

fn recovered(due: DateTime<Utc>) -> Effect {
    Effect::Recover { from: Standing::HalfOpen, due }
}

fn passed(passed: i32) -> Effect {
    Effect::PassProbe { passed }
}

/// What speaks against it in a report of 0.5.
fn bad() -> Option<(String, f64, i32)> {
    Some((trip_reason(0.5, 0.2), 0.5, 10))
}

/// What speaks against it in a report of five schema errors.
fn misshapen() -> Option<(String, f64, i32)> {
    Some((schema_reason(5, 5), 1.0, 5))
}

/// Opened once more at a moment because of a report: open for the span, then the hour of probing.
fn failed(evidence: Option<(String, f64, i32)>, at: DateTime<Utc>, lasting: TimeDelta) -> Effect {
    Effect::Reopen { cause: Cause::ProbeFailed, at, until: Some(at + lasting + hours(1)), evidence }
}

/// The same because there was no report.
fn expired(at: DateTime<Utc>, lasting: TimeDelta) -> Effect {
    Effect::Reopen { cause: Cause::ProbeExpired, at, until: Some(at + lasting + hours(1)), evidence: None }
}

#[test]
fn an_outage_ends_by_a_period_of_probing() {
    let state = tripped_with(&config());
    assert_eq!(outage(&state).half_open, Some(HalfOpening { at: opening(), reopenings: 0, jitter: 0.0 }));
    assert_eq!(outage(&state).until, Some(end()), "when time alone closes it");
    assert_eq!(next_change(&state, &config()), Some(opening()));
    assert_eq!(run(&state, &[Event::Allow], opening() - INSTANT), (state.clone(), vec![]));
    let (state, effects) = run(&state, &[Event::Tick], opening() + minutes(5));
    assert_eq!(effects, [begun(opening())]);
    assert_eq!(*probing(&state), Probing { since: opening(), outstanding: vec![], passed: 0 });
    assert!(is_open(&state, &config(), opening()), "work is still held back");
    assert_eq!(next_change(&state, &config()), Some(end()));
}

#[test]
fn whoever_opens_it_it_is_probed_before_it_closes() {
    let jitter = 0.25;
    for event in [schema_errors(5), disable("x", Term::Default), disable("x", Term::Until(opening()))] {
        let (state, effects) = step(&State::QUIET, &config(), &event, start(), jitter).unwrap();
        assert_eq!(outage(&state).half_open, Some(HalfOpening { at: opening(), reopenings: 0, jitter }));
        assert_eq!(outage(&state).until, Some(end()));
        assert!(matches!(effects.as_slice(), [Effect::Trip(trip)] if trip.until == Some(end())));
    }
    let (state, _) = run(&State::QUIET, &[disable("x", Term::Permanent)], start());
    assert_eq!(
        (outage(&state).until, outage(&state).half_open),
        (None, None),
        "what never ends is never probed"
    );
}

#[test]
fn a_period_lets_through_as_many_probes_as_it_has_permits() {
    let mut state = half_open();
    for n in 1..=3 {
        let (next, effects) = run(&state, &[Event::Allow], opening());
        assert_eq!(effects, [permitted(opening() + minutes(1))]);
        assert!(is_allowed(&next, &effects));
        assert_eq!(probing(&next).outstanding.len(), n);
        state = next;
    }
    let (after, effects) = run(&state, &[Event::Allow], opening());
    assert!(!is_allowed(&after, &effects));
    assert_eq!((after, effects), (state, vec![]));
}

#[test]
fn a_probe_that_passed_gives_no_permit_back() {
    let config = Config { probe_successes: 2, ..config() };
    let asked = [Event::Allow, drift(0.0), Event::Allow, Event::Allow];
    let (state, effects) = run_with(&config, &half_open(), &asked, opening());
    assert_eq!((probing(&state).passed, probing(&state).outstanding.len(), effects.len()), (1, 2, 1));
    assert_eq!(run_with(&config, &state, &[Event::Allow], opening()), (state, vec![]));
}

#[test]
fn the_first_caller_after_the_ttl_gets_the_first_permit() {
    let now = opening() + minutes(5);
    let (state, effects) = run(&tripped_with(&config()), &[Event::Allow], now);
    assert_eq!(effects, [begun(opening()), permitted(now + minutes(1))]);
    assert!(is_allowed(&state, &effects));
}

#[test]
fn enough_good_reports_close_it() {
    let (state, effects) = run(&with_permits(3), &[drift(0.1)], opening());
    assert_eq!(effects, [Effect::ResetFailures, passed(1)]);
    let (state, effects) = run(&state, &[drift(0.18)], opening());
    assert_eq!(effects, [passed(2)], "near the threshold is good enough, and no time for a warning");
    let (state, effects) = run(&state, &[drift(0.1)], opening());
    assert_eq!(effects, [Effect::Heal { passed: 3 }]);
    assert_eq!((state.phase, state.consecutive_failures, state.warning), (Phase::Closed, 0, None));
}

#[test]
fn a_good_report_consumes_the_oldest_permit() {
    let (state, _) = run(&with_permits(1), &[Event::Allow], opening() + TimeDelta::seconds(30));
    let (state, _) = run(&state, &[drift(0.0)], opening() + TimeDelta::seconds(40));
    assert_eq!(probing(&state).outstanding, [opening() + TimeDelta::seconds(90)]);
}

#[test]
fn permits_expire_in_the_order_of_their_expiry_whatever_the_order_they_were_given_in() {
    let slow = Config { probe_timeout: minutes(10), ..config() };
    let (state, _) = run_with(&slow, &half_open(), &[Event::Allow], opening());
    let (state, _) = run(&state, &[Event::Allow], opening());
    assert_eq!(probing(&state).outstanding, [opening() + minutes(1), opening() + minutes(10)]);
    assert_eq!(next_change(&state, &config()), Some(opening() + minutes(1)));
}

#[test]
fn a_good_report_without_a_permit_counts_for_nothing() {
    let (state, effects) = run(&half_open(), &[drift(0.0)], opening());
    assert_eq!(effects, [Effect::ResetFailures]);
    assert_eq!(*probing(&state), *probing(&half_open()));
    assert_eq!(run(&state, &[drift(0.0)], opening()), (state, vec![]));
    let config = Config { probe_permits: 3, probe_successes: 1, ..config() };
    let (state, _) = run_with(&config, &half_open(), &[drift(0.0), drift(0.0), drift(0.0)], opening());
    assert_eq!(state.phase.standing(), Standing::HalfOpen);
}

#[test]
fn a_few_schema_errors_are_neither_success_nor_failure() {
    let state = with_permits(1);
    assert_eq!(run(&state, &[schema_errors(4)], opening()), (state, vec![]));
}

#[test]
fn a_failed_probe_opens_it_once_more_for_twice_as_long() {
    let now = opening() + TimeDelta::seconds(20);
    let (state, effects) = run(&with_permits(2), &[drift(0.5)], now);
    assert_eq!(effects, [counted(4), observed(0.5), failed(bad(), now, hours(48))]);
    let next = HalfOpening { at: now + hours(48), reopenings: 1, jitter: 0.0 };
    assert_eq!(outage(&state).half_open, Some(next));
    assert_eq!(
        (outage(&state).since, outage(&state).incident),
        (start(), Some(Severity::P1)),
        "one incident"
    );
    assert_eq!(state.phase.standing(), Standing::Open, "its permits are void");
    let (state, effects) = run(&state, &[drift(0.0)], now);
    assert_eq!(effects, [Effect::ResetFailures], "a probe that comes back late counts for nothing");
    let (_, effects) = run(&state, &[Event::Allow], next.at);
    assert_eq!(
        effects,
        [begun(next.at), permitted(next.at + minutes(1))],
        "the next period has permits of its own"
    );
}

#[test]
fn a_failure_opens_it_once_more_with_or_without_a_permit() {
    for state in [half_open(), with_permits(1)] {
        let (_, effects) = run(&state, &[schema_errors(5)], opening());
        let seen = Effect::Observe { score: 1.0, sample_count: 5 };
        assert_eq!(effects, [seen, failed(misshapen(), opening(), hours(48))]);
    }
    let off = Config { auto_disable: false, ..config() };
    let (_, effects) = run_with(&off, &half_open(), &[drift(0.5)], opening());
    assert_eq!(effects.last(), Some(&failed(bad(), opening(), hours(48))), "it was never closed");
}

#[test]
fn each_reopening_of_an_outage_lasts_longer_until_the_most_and_the_next_outage_begins_anew() {
    let mut state = tripped_with(&config());
    let mut lasted = vec![];
    for n in 1..=5 {
        let now = outage(&state).half_open.map(|opening| opening.at).unwrap();
        state = run(&state, &[drift(0.5)], now).0;
        let next = outage(&state).half_open.unwrap();
        assert_eq!((next.reopenings, state.consecutive_failures), (n, 3 + n));
        lasted.push((next.at - now).num_hours());
    }
    assert_eq!(lasted, [48, 96, 168, 168, 168]);
    let (state, _) = run(&state, &[enable()], start());
    let (state, _) = run(&state, &[drift(0.5), drift(0.5), drift(0.5)], start());
    assert_eq!(outage(&state).half_open.map(|opening| opening.reopenings), Some(0));
}

#[test]
fn the_jitter_of_an_outage_is_drawn_once() {
    let (state, _) = step(&State::QUIET, &config(), &schema_errors(5), start(), 0.5).unwrap();
    let (state, effects) = step(&state, &config(), &drift(0.5), opening(), 0.9).unwrap();
    let lasting = config().reopened_ttl(1, 0.5);
    assert_eq!(lasting, minutes(48 * 60 * 9 / 10));
    assert_eq!(effects.last(), Some(&failed(bad(), opening(), lasting)));
    let next = HalfOpening { at: opening() + lasting, reopenings: 1, jitter: 0.5 };
    assert_eq!(outage(&state).half_open, Some(next));
}

#[test]
fn an_expired_probe_opens_it_once_more_from_its_expiry() {
    let expiry = opening() + minutes(1);
    let state = with_permits(1);
    assert_eq!(next_change(&state, &config()), Some(expiry));
    let (passed_in_time, _) = run(&state, &[drift(0.0)], expiry - INSTANT);
    assert_eq!(probing(&passed_in_time).passed, 1);
    let (state, effects) = run(&state, &[drift(0.0)], expiry);
    let reopening = expired(expiry, hours(48));
    assert_eq!(effects, [reopening, Effect::ResetFailures], "a report at the moment of expiry is too late");
    assert_eq!(
        outage(&state).half_open,
        Some(HalfOpening { at: expiry + hours(48), reopenings: 1, jitter: 0.0 })
    );
}

#[test]
fn one_expired_probe_outweighs_those_that_passed() {
    let (state, _) = run(&with_permits(3), &[drift(0.0), drift(0.0)], opening());
    let (_, effects) = run(&state, &[Event::Tick], opening() + minutes(1));
    assert_eq!(effects, [expired(opening() + minutes(1), hours(48))]);
}

#[test]
fn one_look_makes_up_for_everything_that_time_has_done() {
    let expiry = opening() + minutes(1);
    let (again, over) = (expiry + hours(48), expiry + hours(49));
    let reopening = expired(expiry, hours(48));
    let looked_at = |now| run(&with_permits(2), &[Event::Tick], now);
    assert_eq!(looked_at(again - INSTANT).1, std::slice::from_ref(&reopening));
    assert_eq!(looked_at(again).1, [reopening.clone(), begun(again)]);
    let (state, effects) = looked_at(over + hours(1000));
    assert_eq!(effects, [reopening.clone(), begun(again), recovered(over)]);
    assert_eq!((state.phase, state.consecutive_failures), (Phase::Closed, 0));
    let (_, effects) = run(&with_permits(2), &[drift(0.5)], again + minutes(1));
    assert_eq!(
        effects,
        [
            reopening.clone(),
            begun(again),
            counted(4),
            observed(0.5),
            failed(bad(), again + minutes(1), hours(96))
        ],
        "and then for what happens"
    );
    let (state, effects) = run(&with_permits(2), &[Event::Allow], over);
    assert_eq!(effects, [reopening, begun(again), recovered(over)]);
    assert!(is_allowed(&state, &effects));
    let unseen = tripped_with(&config());
    assert_eq!(run(&unseen, &[Event::Tick], end()).1, [begun(opening()), recovered(end())]);
}

#[test]
fn a_period_nobody_probes_in_ends_closed() {
    let (state, effects) = run(&half_open(), &[Event::Tick], end() - INSTANT);
    assert_eq!((&state, effects.as_slice()), (&half_open(), [].as_slice()));
    let (state, effects) = run(&state, &[Event::Tick], end());
    assert_eq!((state.phase, effects), (Phase::Closed, vec![recovered(end())]));
    assert!(!is_open(&half_open(), &config(), end()));
}

#[test]
fn an_end_that_a_hand_outside_put_before_the_probing_leaves_it_out() {
    let Phase::Open(outage) = tripped_with(&config()).phase else { panic!("not open") };
    for until in [opening() - minutes(1), opening()] {
        let phase = Phase::Open(Outage { until: Some(until), ..outage.clone() });
        let state = State { phase, ..State::QUIET };
        assert_eq!(next_change(&state, &config()), Some(until));
        assert_eq!(run(&state, &[Event::Tick], end()).1, [crate::recovered(until)]);
    }
}

#[test]
fn a_period_whose_probes_passed_but_were_too_few_ends_closed() {
    let (state, _) = run(&with_permits(2), &[drift(0.0), drift(0.0)], opening());
    assert_eq!(next_change(&state, &config()), Some(end()));
    assert_eq!(run(&state, &[Event::Tick], end()).1, [recovered(end())]);
}

#[test]
fn a_permit_given_near_the_end_moves_the_end() {
    let now = end() - TimeDelta::seconds(1);
    let (state, _) = run(&half_open(), &[Event::Allow], opening() + minutes(1));
    assert_eq!(outage(&state).until, Some(end()), "an early one does not");
    let (state, effects) = run(&half_open(), &[Event::Allow], now);
    let expiry = now + minutes(1);
    assert_eq!(effects, [permitted(expiry)]);
    assert_eq!(outage(&state).until, Some(expiry));
    let (passing, _) = run(&state, &[drift(0.0)], end());
    assert_eq!(run(&passing, &[Event::Tick], expiry).1, [recovered(expiry)]);
    let (_, effects) = run(&state, &[Event::Tick], expiry);
    assert_eq!(effects, [expired(expiry, hours(48))], "a lost probe is no good sign");
}

#[test]
fn a_person_closes_it_while_it_is_probed() {
    let (state, effects) = run(&with_permits(2), &[enable()], opening());
    assert_eq!(effects, [closed_by_hand(Standing::HalfOpen)]);
    assert_eq!((state.phase, state.consecutive_failures), (Phase::Closed, 0));
}

#[test]
fn another_disable_ends_the_probing() {
    let now = opening() + TimeDelta::seconds(10);
    let changed = |term| {
        let (state, effects) = run(&with_permits(2), &[disable("no probes", term)], now);
        assert_eq!((state.phase.standing(), outage(&state).since), (Standing::Open, start()));
        match effects.as_slice() {
            [Effect::ChangeDisable { from: Standing::HalfOpen, change, until, .. }] => {
                assert_eq!(*until, outage(&state).until);
                (*change, outage(&state).half_open.map(|opening| (opening.at, opening.reopenings)), *until)
            }
            other => panic!("{other:?}"),
        }
    };
    let tomorrow = now + hours(24);
    let probed_again = (Change::Extended, Some((tomorrow, 0)), Some(tomorrow + hours(1)));
    assert_eq!(changed(Term::Default), probed_again);
    assert_eq!(changed(Term::Until(tomorrow)), probed_again);
    assert_eq!(changed(Term::Permanent), (Change::Extended, None, None));
    let soon = now + minutes(1);
    assert_eq!(
        changed(Term::Until(soon)),
        (Change::Extended, Some((soon, 0)), Some(soon + hours(1))),
        "its period of probing lies later too"
    );
}

#[test]
fn the_same_disable_again_leaves_the_probing_alone() {
    let (state, _) = run(&State::QUIET, &[disable("x", Term::Default)], start());
    let (state, effects) = run(&state, &[disable("x", Term::Default)], opening());
    assert_eq!(effects, [begun(opening())]);
    assert_eq!(state.phase.standing(), Standing::HalfOpen);
}

#[test]
fn a_half_open_breaker_without_an_incident_gets_one_before_it_opens_again() {
    let Phase::HalfOpen(outage, probing) = half_open().phase else { panic!("not half-open") };
    let phase = Phase::HalfOpen(Outage { incident: None, ..outage }, probing);
    let state = State { phase, ..half_open() };
    let adopted = Effect::Adopt { standing: Standing::HalfOpen, severity: Severity::P2 };
    let (_, effects) = run(&state, &[schema_errors(5)], opening());
    let seen = Effect::Observe { score: 1.0, sample_count: 5 };
    assert_eq!(effects, [adopted.clone(), seen, failed(misshapen(), opening(), hours(48))]);
    let (_, effects) = run(&state, &[disable("x", Term::Permanent)], opening());
    assert_eq!(effects.first(), Some(&adopted));
    assert_eq!(run(&state, &[Event::Tick], end()).1, [recovered(end())], "time alone needs none");
}

#[test]
fn a_failed_probe_may_make_the_incident_worse() {
    let config = Config { failure_threshold: 1, ..config() };
    let (state, _) = run_with(&config, &State::QUIET, &[schema_errors(5)], start());
    let (state, effects) = run_with(&config, &state, &[drift(0.5)], opening());
    let escalated = Effect::Escalate { standing: Standing::HalfOpen, from: Severity::P3, to: Severity::P1 };
    let reopening = failed(bad(), opening(), hours(48));
    assert_eq!(effects, [begun(opening()), counted(1), observed(0.5), escalated, reopening]);
    assert_eq!(outage(&state).incident, Some(Severity::P1));
}

#[test]
fn probing_switched_off_in_the_middle_lets_the_running_outage_keep_its_way() {
    let off = Config { half_open: false, ..config() };
    let (state, effects) = run_with(&off, &tripped_with(&config()), &[Event::Allow], opening());
    assert_eq!(effects, [begun(opening()), permitted(opening() + minutes(1))]);
    let (state, effects) = run_with(&off, &state, &[drift(0.5)], opening());
    let until = Some(opening() + hours(48));
    assert_eq!(
        effects.last(),
        Some(&Effect::Reopen { cause: Cause::ProbeFailed, at: opening(), until, evidence: bad() })
    );
    assert_eq!(
        (outage(&state).until, outage(&state).half_open),
        (until, None),
        "its next end is a plain one"
    );
}

#[test]
fn probing_switched_on_in_the_middle_waits_for_the_next_outage() {
    let off = Config { half_open: false, ..config() };
    let state = tripped_with(&off);
    let (state, effects) = run(&state, &[Event::Tick], opening());
    assert_eq!((state.phase, effects), (Phase::Closed, vec![crate::recovered(opening())]));
}

#[test]
fn fewer_permits_in_the_middle_take_none_back_and_give_none_more() {
    let fewer = Config { probe_permits: 1, probe_successes: 1, ..config() };
    let state = with_permits(2);
    assert_eq!(run_with(&fewer, &state, &[Event::Allow], opening()), (state.clone(), vec![]));
    let (_, effects) = run_with(&fewer, &state, &[drift(0.0)], opening());
    assert_eq!(effects, [Effect::ResetFailures, Effect::Heal { passed: 1 }], "and fewer have to pass");
    let more = Config { probe_permits: 4, ..config() };
    let (state, _) = run_with(&more, &with_permits(3), &[Event::Allow], opening());
    assert_eq!(probing(&state).outstanding.len(), 4);
    assert_eq!(run_with(&more, &state, &[Event::Allow], opening()), (state, vec![]));
}

#[test]
fn a_ttl_taken_away_in_the_middle_leaves_every_reopening_an_end() {
    let endless = Config { disable_ttl: None, half_open: false, ..config() };
    let state = with_permits(1);
    assert_eq!(
        next_change(&state, &endless),
        next_change(&state, &config()),
        "the running period keeps its end"
    );
    let (state, effects) = run_with(&endless, &state, &[drift(0.5)], opening());
    let until = Some(opening() + TimeDelta::days(7));
    assert_eq!(
        effects.last(),
        Some(&Effect::Reopen { cause: Cause::ProbeFailed, at: opening(), until, evidence: bad() })
    );
    assert_eq!(next_change(&state, &endless), until);
}

#[test]
fn with_auto_recovery_switched_off_in_the_middle_time_stands_still() {
    let still = Config { auto_recover: false, half_open: false, ..config() };
    let late = end() + hours(1000);
    for state in [tripped_with(&config()), half_open(), with_permits(1)] {
        assert_eq!(next_change(&state, &still), None);
        assert_eq!(outlook(&state, &still, late), Outlook { is_open: true, until: None });
        assert_eq!(run_with(&still, &state, &[Event::Tick], late), (state.clone(), vec![]));
        let (after, effects) = run_with(&still, &state, &[Event::Allow], late);
        assert!(!is_allowed(&after, &effects), "a permit that never expires would be lost for good");
        assert_eq!((&after, effects.as_slice()), (&state, [].as_slice()));
        assert_eq!(run(&state, &[Event::Tick], late).0.phase, Phase::Closed, "switched on again, it goes on");
    }
    let (state, effects) = run_with(&still, &with_permits(1), &[drift(0.0)], late);
    assert_eq!(effects, [Effect::ResetFailures, passed(1)], "a probe on its way may still pass");
    let (_, effects) = run_with(&still, &state, &[enable()], late);
    assert_eq!(effects, [closed_by_hand(Standing::HalfOpen)]);
}
