//! The circuit breaker as one function: [`step`] takes a state and an event and gives the next state and what has to be
//! done about it.
//!
//! ```text
//!                   enough bad reports in a row · schema errors · disable
//!      +--------+ --------------------------------------------------------> +------+ ---+ bad report: observed,
//!      | closed |                                                           | open |    | severity may rise;
//!      +--------+ <-------------------------------------------------------- +------+ <--+ disable: end may move
//!        |    ^                  end passed · enable
//!        +----+
//!    report: counted
//! ```
//!
//! Promises: an open breaker has exactly one incident and never trips again; its end moves only because a person asked;
//! an end that has passed counts as closed before anything else is looked at; a call that changes nothing has no effects,
//! so that a quiet breaker writes nothing. Does not: write, alert, or know the time. The caller locks the row, calls
//! [`step`], carries out the effects in their order and stores the state, all in one transaction.

mod model;

use chrono::{DateTime, Utc};

pub use model::{
    Cause, Change, Config, Effect, Event, Intent, Outage, Phase, Refused, Severity, State, Term, Trip,
    Warning,
};

/// Recorded as the one who opened the breaker when no person did.
pub const TRIPPED_BY: &str = "circuit_breaker";

/// Recorded as the one who resolved the incident when the end passed.
pub const RECOVERED_BY: &str = "system-auto-recover";

/// Whether work is held back at `now`: the pure read of the hot path. An end that has passed counts as closed although
/// nobody has written it down yet.
pub fn is_open(state: &State, config: &Config, now: DateTime<Utc>) -> bool {
    match &state.phase {
        Phase::Closed => false,
        Phase::Open(outage) => due(outage, config, now).is_none(),
    }
}

/// The one transition function.
pub fn step(
    state: &State,
    config: &Config,
    event: &Event,
    now: DateTime<Utc>,
) -> Result<(State, Vec<Effect>), Refused> {
    check(event, now)?;
    let mut state = state.clone();
    let mut effects = Vec::new();
    if let Phase::Open(outage) = &state.phase
        && let Some(due) = due(outage, config, now)
    {
        close(&mut state);
        effects.push(Effect::Recover { due });
    }
    match state.phase.clone() {
        Phase::Closed => while_closed(&mut state, config, event, now, &mut effects),
        Phase::Open(outage) => while_open(&mut state, outage, config, event, now, &mut effects),
    }
    Ok((state, effects))
}

/// The reason recorded when drift opens the breaker.
pub fn trip_reason(score: f64, threshold: f64) -> String {
    format!("drift score {score:.4} is above the threshold {threshold:.4}")
}

/// The reason recorded when schema errors open the breaker.
pub fn schema_reason(count: i32, threshold: i32) -> String {
    format!("{count} schema errors in one report, threshold {threshold}")
}

fn check(event: &Event, now: DateTime<Utc>) -> Result<(), Refused> {
    let count =
        |argument, count: i32| if count < 0 { Err(Refused::Count { argument, count }) } else { Ok(()) };
    let text = |name, text: &str| if text.trim().is_empty() { Err(Refused::Blank(name)) } else { Ok(()) };
    match event {
        Event::Drift { score, .. } if !score.is_finite() || *score < 0.0 => Err(Refused::Score(*score)),
        Event::Drift { sample_count, .. } => count("sample_count", *sample_count),
        Event::SchemaErrors { count: errors } => count("error_count", *errors),
        Event::Disable { term: Term::Until(until), .. } if *until <= now => Err(Refused::PastEnd),
        Event::Disable { reason, by, .. } => text("reason", reason).and_then(|()| text("disabled_by", by)),
        Event::Enable { by, .. } => text("enabled_by", by),
        Event::Tick => Ok(()),
    }
}

/// The end of the outage, if it has passed and the breaker may act on it.
fn due(outage: &Outage, config: &Config, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    outage.until.filter(|until| config.auto_recover && *until <= now)
}

fn close(state: &mut State) {
    state.phase = Phase::Closed;
    state.consecutive_failures = 0;
}

fn count_failure(state: &mut State, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
    state.consecutive_failures = state.consecutive_failures.saturating_add(1);
    state.last_failure_at = Some(now);
    effects.push(Effect::CountFailure { failures: state.consecutive_failures });
}

fn reset_failures(state: &mut State, effects: &mut Vec<Effect>) {
    if state.consecutive_failures > 0 {
        state.consecutive_failures = 0;
        effects.push(Effect::ResetFailures);
    }
}

fn while_closed(
    state: &mut State,
    config: &Config,
    event: &Event,
    now: DateTime<Utc>,
    effects: &mut Vec<Effect>,
) {
    match event {
        Event::Drift { score, sample_count } if *score > config.drift_threshold => {
            count_failure(state, now, effects);
            if state.consecutive_failures >= config.failure_threshold {
                let trip = Trip {
                    cause: Cause::Drift,
                    severity: Severity::P1,
                    reason: trip_reason(*score, config.drift_threshold),
                    by: TRIPPED_BY.to_owned(),
                    until: config.default_end(now),
                    score: *score,
                    sample_count: *sample_count,
                };
                trip_or_warn(state, config, trip, now, effects);
            }
        }
        Event::Drift { score, .. } => {
            reset_failures(state, effects);
            if *score > config.warning_threshold {
                effects.push(Effect::Warn(Warning::NearThreshold { score: *score }));
            }
        }
        Event::SchemaErrors { count } if *count >= config.schema_error_threshold => {
            let trip = Trip {
                cause: Cause::SchemaErrors,
                severity: Severity::P3,
                reason: schema_reason(*count, config.schema_error_threshold),
                by: TRIPPED_BY.to_owned(),
                until: config.default_end(now),
                score: 1.0,
                sample_count: *count,
            };
            trip_or_warn(state, config, trip, now, effects);
        }
        Event::Disable { reason, by, term } => {
            let trip = Trip {
                cause: Cause::Manual,
                severity: Severity::P2,
                reason: reason.clone(),
                by: by.clone(),
                until: end_of(*term, config, now),
                score: 0.0,
                sample_count: 0,
            };
            open(state, trip, Some(Intent { reason: reason.clone(), term: *term }), now, effects);
        }
        Event::SchemaErrors { .. } | Event::Enable { .. } | Event::Tick => {}
    }
}

fn trip_or_warn(
    state: &mut State,
    config: &Config,
    trip: Trip,
    now: DateTime<Utc>,
    effects: &mut Vec<Effect>,
) {
    if config.auto_disable {
        open(state, trip, None, now, effects);
    } else {
        let Trip { severity, reason, .. } = trip;
        effects.push(Effect::Warn(Warning::WouldTrip { severity, reason }));
    }
}

fn open(
    state: &mut State,
    trip: Trip,
    intent: Option<Intent>,
    now: DateTime<Utc>,
    effects: &mut Vec<Effect>,
) {
    let incident = Some(trip.severity);
    state.phase = Phase::Open(Outage { since: now, until: trip.until, incident, intent });
    effects.push(Effect::Trip(trip));
}

fn end_of(term: Term, config: &Config, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match term {
        Term::Default => config.default_end(now),
        Term::Until(until) => Some(until),
        Term::Permanent => None,
    }
}

fn while_open(
    state: &mut State,
    mut outage: Outage,
    config: &Config,
    event: &Event,
    now: DateTime<Utc>,
    effects: &mut Vec<Effect>,
) {
    match event {
        Event::Drift { score, sample_count } if *score > config.drift_threshold => {
            count_failure(state, now, effects);
            adopt(&mut outage, effects);
            effects.push(Effect::Observe { score: *score, sample_count: *sample_count });
            if config.auto_disable && state.consecutive_failures >= config.failure_threshold {
                escalate(&mut outage, Severity::P1, effects);
            }
        }
        Event::Drift { .. } => reset_failures(state, effects),
        Event::SchemaErrors { count } if *count >= config.schema_error_threshold => {
            adopt(&mut outage, effects);
            effects.push(Effect::Observe { score: 1.0, sample_count: *count });
        }
        Event::Disable { reason, by, term } => {
            let intent = Intent { reason: reason.clone(), term: *term };
            if outage.intent.as_ref() == Some(&intent) {
                return;
            }
            adopt(&mut outage, effects);
            let (change, until) = changed_end(&outage, *term, config, now);
            effects.push(Effect::ChangeDisable { change, until, reason: reason.clone(), by: by.clone() });
            outage.until = until;
            outage.intent = Some(intent);
            escalate(&mut outage, Severity::P2, effects);
        }
        Event::Enable { reason, by } => {
            close(state);
            effects.push(Effect::Close { reason: reason.clone(), by: by.clone() });
            return;
        }
        Event::SchemaErrors { .. } | Event::Tick => {}
    }
    state.phase = Phase::Open(outage);
}

/// A breaker opened by a hand outside gets its incident at the first occasion; a person did it, hence P2.
fn adopt(outage: &mut Outage, effects: &mut Vec<Effect>) {
    if outage.incident.is_none() {
        outage.incident = Some(Severity::P2);
        effects.push(Effect::Adopt { severity: Severity::P2 });
    }
}

fn escalate(outage: &mut Outage, to: Severity, effects: &mut Vec<Effect>) {
    if let Some(from) = outage.incident.filter(|from| *from < to) {
        outage.incident = Some(to);
        effects.push(Effect::Escalate { from, to });
    }
}

/// The end after another disable. The last explicit word counts; a default never ends an outage earlier than it would
/// have ended without it, or a second person's unspecific call would cut a permanent disable down to a day.
fn changed_end(
    outage: &Outage,
    term: Term,
    config: &Config,
    now: DateTime<Utc>,
) -> (Change, Option<DateTime<Utc>>) {
    let asked = end_of(term, config, now);
    let until = match term {
        Term::Default => asked.zip(outage.until).map(|(asked, until)| asked.max(until)),
        Term::Until(_) | Term::Permanent => asked,
    };
    // No end is later than any end.
    let later = |end: Option<DateTime<Utc>>| end.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let change = match later(until).cmp(&later(outage.until)) {
        std::cmp::Ordering::Greater => Change::Extended,
        std::cmp::Ordering::Less => Change::Shortened,
        std::cmp::Ordering::Equal => Change::Reworded,
    };
    (change, until)
}
