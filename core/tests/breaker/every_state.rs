//! A small breaker, searched to the end: every state that any course of events can lead to, and every step from each.
//!
//! Time runs in whole minutes and all moments count from now, so that the states are finitely many. What decides nothing is
//! forgotten: when the outage and the last failure were, how far the count is above its threshold.

use std::collections::{HashSet, VecDeque};

use chrono::{DateTime, Utc};
use costsim_core::breaker::*;

use crate::claims::{ends, is_untouched_by_a_look, keeps_its_outlook, step_checked};
use crate::{disable, drift, enable, judgement, minutes, schema_errors, start};

fn coarse() -> Config {
    Config {
        failure_threshold: 2,
        disable_ttl: Some(minutes(2)),
        half_open: true,
        probe_permits: 2,
        probe_successes: 2,
        // Longer than the period: every permit moves its end.
        probe_timeout: minutes(3),
        half_open_timeout: minutes(2),
        max_disable_ttl: minutes(7),
        ..Config::default()
    }
}

/// The settings between which somebody switches: as above; no probing and no trips; no clock.
fn settings() -> [Config; 3] {
    [
        coarse(),
        Config { half_open: false, auto_disable: false, probe_permits: 1, probe_successes: 1, ..coarse() },
        Config { half_open: false, auto_recover: false, disable_ttl: None, ..coarse() },
    ]
}

const NOW: fn() -> DateTime<Utc> = start;

fn in_minutes(n: i64) -> DateTime<Utc> {
    NOW() + minutes(n)
}

fn events(now: DateTime<Utc>) -> Vec<Event> {
    vec![
        drift(0.0),
        drift(0.18),
        drift(0.5),
        judgement(true),
        judgement(false),
        schema_errors(5),
        disable("default", Term::Default),
        disable("until", Term::Until(now + minutes(1))),
        disable("permanent", Term::Permanent),
        enable(),
        Event::Allow,
        Event::Tick,
    ]
}

/// The same breaker, seen from a clock that shows [`NOW`] instead of `now`.
fn relative(mut state: State, now: DateTime<Utc>) -> State {
    let ahead = now - NOW();
    // Without a clock that acts on it what is due stays, and is then long past.
    let shift = |moment: DateTime<Utc>| if moment > now { moment - ahead } else { in_minutes(-30) };
    state.consecutive_failures = state.consecutive_failures.min(coarse().failure_threshold);
    (state.last_failure_at, state.last_score) = (None, None);
    if let Phase::Open(outage) | Phase::HalfOpen(outage, _) = &mut state.phase {
        outage.since = NOW();
        outage.until = outage.until.map(shift);
        if let Some(opening) = &mut outage.half_open {
            opening.at = shift(opening.at);
            // From the second on they last as long as they may.
            opening.reopenings = opening.reopenings.min(2);
        }
        if let Some(Intent { term: Term::Until(until), .. }) = &mut outage.intent {
            // Nobody asks for what is past.
            *until = shift(*until).max(NOW());
        }
    }
    if let Phase::HalfOpen(_, probing) = &mut state.phase {
        probing.since = NOW();
        probing.outstanding.iter_mut().for_each(|expiry| *expiry = shift(*expiry));
    }
    state
}

/// All that is left of a relative state, as numbers.
fn key(state: &State, setting: usize) -> Vec<i64> {
    let minute = |moment: DateTime<Utc>| (moment - NOW()).num_minutes();
    let mut key = vec![i64::try_from(setting).unwrap(), i64::from(state.consecutive_failures)];
    key.push(state.warning.map_or(0, |warning| 1 + warning as i64));
    if let Some(Outage { until, half_open, incident, intent, .. }) = state.phase.outage() {
        key.push(until.map_or(i64::MAX, minute));
        key.extend(
            half_open.map_or([i64::MAX; 2], |opening| [minute(opening.at), i64::from(opening.reopenings)]),
        );
        key.push(incident.map_or(0, |severity| 1 + severity as i64));
        key.push(match intent.as_ref().map(|intent| intent.term) {
            None => -4,
            Some(Term::Default) => -3,
            Some(Term::Permanent) => -2,
            Some(Term::Until(until)) => minute(until),
        });
    }
    if let Phase::HalfOpen(_, probing) = &state.phase {
        key.push(i64::from(probing.passed));
        key.extend(probing.outstanding.iter().copied().map(minute));
    }
    key
}

/// What may have happened to the row before anything happens to the breaker.
fn by_other_hands(state: &State) -> Vec<State> {
    match &state.phase {
        Phase::Closed => {
            let half_open = Some(HalfOpening { at: in_minutes(1), reopenings: 0, jitter: 0.0 });
            let outage =
                Outage { since: NOW(), until: Some(in_minutes(2)), half_open, incident: None, intent: None };
            vec![State { phase: Phase::Open(outage), ..state.clone() }]
        }
        Phase::Open(outage) => {
            let phase = Phase::Open(Outage { incident: None, ..outage.clone() });
            vec![State { phase, ..state.clone() }]
        }
        Phase::HalfOpen(outage, probing) => {
            let phase = Phase::HalfOpen(Outage { incident: None, ..outage.clone() }, probing.clone());
            vec![State { phase, ..state.clone() }]
        }
    }
}

#[test]
fn no_state_that_can_be_reached_breaks_a_claim() {
    let settings = settings();
    let mut known = HashSet::from([key(&State::QUIET, 0)]);
    let mut ahead = VecDeque::from([(State::QUIET, 0)]);
    let mut seen = HashSet::new();
    let mut steps = 0;
    while let Some((state, setting)) = ahead.pop_front() {
        let config = &settings[setting];
        let looked_at = || -> Result<(), String> {
            ends(&state, config, NOW())?;
            keeps_its_outlook(&state, config, NOW(), &[0.0, 0.5])?;
            (0..12)
                .step_by(3)
                .try_for_each(|n| is_untouched_by_a_look(&state, config, in_minutes(n), in_minutes(12)))
        };
        looked_at().unwrap_or_else(|what| panic!("{what}: {state:#?} with {config:#?}"));
        let mut find = |state: State, setting: usize| {
            if known.insert(key(&state, setting)) {
                ahead.push_back((state, setting));
            }
        };
        (0..settings.len()).for_each(|other| find(state.clone(), other));
        by_other_hands(&state).into_iter().for_each(|touched| find(touched, setting));
        for now in [0, 1, 8].map(in_minutes) {
            for event in events(now) {
                let stepped = step_checked(&state, config, &event, now, 0.0, &mut seen);
                let (next, _) = stepped.unwrap_or_else(|what| panic!("{what}")).unwrap();
                find(relative(next, now), setting);
                steps += 1;
            }
        }
    }
    assert!(known.len() > 10_000 && steps > 100_000, "{} states and {steps} steps are too few", known.len());
    let missing: Vec<_> = TRANSITIONS.iter().filter(|arrow| !seen.contains(arrow)).collect();
    assert!(missing.is_empty(), "no course leads along {missing:#?}");
}
