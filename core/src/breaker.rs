//! The circuit breaker as one function: [`step`] takes a state and an event and gives the next state and what has to be
//! done about it.
//!
//! ```text
//!        drift · judged · schema errors · disable                    half_open.at has passed
//!   +--------+ --------------------------------> +------+ --------------------------------------> +-----------+
//!   | closed |                                   | open | --+ bad report: observed, severity may  | half-open | --+ permit given,
//!   +--------+ <-------------------------------- +------+   | rise; disable: end may move         +-----------+   | probe passed
//!     |    ^         end has passed · enable       |    ^   |                                       |   |    ^    |
//!     +----+                                       +----+---+    probe failed · probe expired ·     |   |    +----+
//!     report: counted, warned                           +-----------------------------------------------+
//!          ^                                                      disable                           |
//!          +----------------------------------------------------------------------------------------+
//!                          enough probes passed · end has passed · enable
//! ```
//!
//! Promises: an open breaker has exactly one incident and never trips again; its end moves only because a person asked or a
//! probe failed; every state but closed has an end in time, unless a person or the settings asked for none; no more permits
//! are given in one period of probing than the settings allow; what time has done is done before anything else is looked at; a
//! call that changes nothing has no effects, so that a quiet breaker writes nothing. Does not: write, alert, or know the time. The
//! caller locks the row, calls [`step`], carries out the effects in their order and stores the state, all in one transaction.
//!
//! [`evidence`](self) counts, [`TRANSITIONS`] lists the arrows, [`as_of`] and [`next_change`] tell what time alone does.

mod config;
mod evidence;
mod explain;
mod model;
mod timed;
mod transition;

use chrono::{DateTime, Utc};

pub use config::Config;
use config::End;
use evidence::{Evidence, Finding};
pub use evidence::{schema_reason, trip_reason, warning_reason};
pub use explain::{LastEvent, explain};
pub use model::{
    Change, Effect, Event, HalfOpening, Intent, Outage, Phase, Probing, Refused, Severity, State, Term, Trip,
    Warning,
};
pub use timed::{as_of, next_change};
pub use transition::{Cause, Standing, TRANSITIONS, Transition};

/// Recorded as the one who opened the breaker, or closed it after probes, when no person did.
pub const TRIPPED_BY: &str = "circuit_breaker";

/// Recorded as the one who resolved the incident when the end passed.
pub const RECOVERED_BY: &str = "system-auto-recover";

/// The one transition function. `jitter`, a random number in [0, 1), is kept by an outage that begins now.
pub fn step(
    state: &State,
    config: &Config,
    event: &Event,
    now: DateTime<Utc>,
    jitter: f64,
) -> Result<(State, Vec<Effect>), Refused> {
    check(event, now)?;
    let mut state = state.clone();
    let mut effects = Vec::new();
    timed::advance(&mut state, config, now, &mut effects);
    let moment = Moment { config, now, jitter };
    let finding = match event {
        Event::Drift { score, sample_count } => {
            evidence::drift(&mut state, config, *score, *sample_count, now, &mut effects)
        }
        Event::Judgement { is_good, score, sample_count, reason } => {
            let bad = (!is_good).then_some(reason);
            evidence::judgement(&mut state, config, bad, (*score, *sample_count), now, &mut effects)
        }
        Event::SchemaErrors { count } => evidence::schema_errors(config, *count),
        Event::Disable { .. } | Event::Enable { .. } | Event::Allow | Event::Tick => Finding::Nothing,
    };
    match state.phase.clone() {
        Phase::Closed => while_closed(&mut state, finding, event, &moment, &mut effects),
        Phase::Open(outage) => while_open(&mut state, outage, finding, event, &moment, &mut effects),
        Phase::HalfOpen(outage, probing) => {
            while_half_open(&mut state, outage, probing, finding, event, &moment, &mut effects);
        }
    }
    Ok((state, effects))
}

/// Whether whoever asked by [`Event::Allow`] may go ahead.
pub fn is_allowed(state: &State, effects: &[Effect]) -> bool {
    state.phase == Phase::Closed || effects.iter().any(|effect| matches!(effect, Effect::Permit { .. }))
}

/// What a step is taken with.
struct Moment<'a> {
    config: &'a Config,
    now: DateTime<Utc>,
    jitter: f64,
}

fn check(event: &Event, now: DateTime<Utc>) -> Result<(), Refused> {
    let count =
        |argument, count: i32| if count < 0 { Err(Refused::Count { argument, count }) } else { Ok(()) };
    let text = |name, text: &str| if text.trim().is_empty() { Err(Refused::Blank(name)) } else { Ok(()) };
    match event {
        Event::Drift { score, .. } | Event::Judgement { score, .. } if !score.is_finite() || *score < 0.0 => {
            Err(Refused::Score(*score))
        }
        Event::Drift { sample_count, .. } => count("sample_count", *sample_count),
        Event::Judgement { sample_count, reason, .. } => {
            count("sample_count", *sample_count).and_then(|()| text("reason", reason))
        }
        Event::SchemaErrors { count: errors } => count("error_count", *errors),
        Event::Disable { term: Term::Until(until), .. } if *until <= now => Err(Refused::PastEnd),
        Event::Disable { reason, by, .. } => text("reason", reason).and_then(|()| text("disabled_by", by)),
        Event::Enable { by, .. } => text("enabled_by", by),
        Event::Allow | Event::Tick => Ok(()),
    }
}

fn close(state: &mut State, effects: &mut Vec<Effect>) {
    state.phase = Phase::Closed;
    state.consecutive_failures = 0;
    evidence::end_warning(state, effects);
}

fn while_closed(
    state: &mut State,
    finding: Finding,
    event: &Event,
    moment: &Moment<'_>,
    effects: &mut Vec<Effect>,
) {
    match finding {
        Finding::Bad(evidence) if !evidence.is_enough => {}
        Finding::Bad(evidence) if moment.config.auto_disable => {
            let end = moment.config.default_end(moment.now, moment.jitter);
            let Evidence { cause, severity, reason, score, sample_count, .. } = evidence;
            let by = TRIPPED_BY.to_owned();
            let trip = Trip { cause, severity, reason, by, until: end.until, score, sample_count };
            open(state, trip, end, None, moment.now, effects);
        }
        Finding::Bad(Evidence { reason, score, sample_count, .. }) => {
            evidence::warn(state, Warning::WouldTrip, reason, (score, sample_count), effects);
        }
        Finding::Good { near: Some(score) } => {
            let reason = warning_reason(score, moment.config.warning_threshold);
            evidence::warn(state, Warning::NearThreshold, reason, (score, samples(event)), effects);
        }
        Finding::Good { near: None } => evidence::end_warning(state, effects),
        Finding::Nothing => {
            if let Event::Disable { reason, by, term } = event {
                let end = end_of(*term, moment);
                let trip = Trip {
                    cause: Cause::Manual,
                    severity: Severity::P2,
                    reason: reason.clone(),
                    by: by.clone(),
                    until: end.until,
                    score: 0.0,
                    sample_count: 0,
                };
                let intent = Intent { reason: reason.clone(), term: *term };
                open(state, trip, end, Some(intent), moment.now, effects);
            }
        }
    }
}

fn samples(event: &Event) -> i32 {
    match event {
        Event::Drift { sample_count, .. } | Event::Judgement { sample_count, .. } => *sample_count,
        Event::SchemaErrors { count } => *count,
        Event::Disable { .. } | Event::Enable { .. } | Event::Allow | Event::Tick => 0,
    }
}

fn open(
    state: &mut State,
    trip: Trip,
    end: End,
    intent: Option<Intent>,
    now: DateTime<Utc>,
    effects: &mut Vec<Effect>,
) {
    evidence::end_warning(state, effects);
    let End { until, half_open } = end;
    state.phase = Phase::Open(Outage { since: now, until, half_open, incident: Some(trip.severity), intent });
    effects.push(Effect::Trip(trip));
}

fn end_of(term: Term, moment: &Moment<'_>) -> End {
    match term {
        Term::Default => moment.config.default_end(moment.now, moment.jitter),
        Term::Until(until) => moment.config.end_at(Some(until), 0, moment.jitter),
        Term::Permanent => End { until: None, half_open: None },
    }
}

fn while_open(
    state: &mut State,
    mut outage: Outage,
    finding: Finding,
    event: &Event,
    moment: &Moment<'_>,
    effects: &mut Vec<Effect>,
) {
    if let Finding::Bad(evidence) = &finding {
        note(&mut outage, evidence, moment.config, Standing::Open, effects);
    }
    match event {
        Event::Enable { reason, by } => return enable(state, reason.as_ref(), by, effects),
        Event::Disable { reason, by, term } => {
            disable_again(&mut outage, reason, by, *term, Standing::Open, moment, effects);
        }
        Event::Drift { .. }
        | Event::Judgement { .. }
        | Event::SchemaErrors { .. }
        | Event::Allow
        | Event::Tick => {}
    }
    state.phase = Phase::Open(outage);
}

fn while_half_open(
    state: &mut State,
    mut outage: Outage,
    mut probing: Probing,
    finding: Finding,
    event: &Event,
    moment: &Moment<'_>,
    effects: &mut Vec<Effect>,
) {
    match &finding {
        Finding::Bad(evidence) => {
            note(&mut outage, evidence, moment.config, Standing::HalfOpen, effects);
            let told = (evidence.reason.clone(), evidence.score, evidence.sample_count);
            return reopen(state, outage, moment.config, moment.now, Some(told), effects);
        }
        Finding::Good { .. } if !probing.outstanding.is_empty() => {
            probing.outstanding.remove(0);
            probing.passed = probing.passed.saturating_add(1);
            let passed = probing.passed;
            if passed >= moment.config.probe_successes {
                close(state, effects);
                return effects.push(Effect::Heal { passed });
            }
            effects.push(Effect::PassProbe { passed });
        }
        Finding::Good { .. } | Finding::Nothing => {}
    }
    match event {
        Event::Enable { reason, by } => return enable(state, reason.as_ref(), by, effects),
        Event::Disable { reason, by, term } => {
            if disable_again(&mut outage, reason, by, *term, Standing::HalfOpen, moment, effects) {
                state.phase = Phase::Open(outage);
                return;
            }
        }
        Event::Allow => permit(&mut outage, &mut probing, moment, effects),
        Event::Drift { .. } | Event::Judgement { .. } | Event::SchemaErrors { .. } | Event::Tick => {}
    }
    state.phase = Phase::HalfOpen(outage, probing);
}

/// Notes a bad report on the incident of an open breaker.
fn note(
    outage: &mut Outage,
    evidence: &Evidence,
    config: &Config,
    standing: Standing,
    effects: &mut Vec<Effect>,
) {
    adopt(outage, standing, effects);
    effects.push(Effect::Observe { score: evidence.score, sample_count: evidence.sample_count });
    if config.auto_disable && evidence.is_enough {
        escalate(outage, evidence.severity, standing, effects);
    }
}

fn enable(state: &mut State, reason: Option<&String>, by: &str, effects: &mut Vec<Effect>) {
    let from = state.phase.standing();
    close(state, effects);
    effects.push(Effect::Close { from, reason: reason.cloned(), by: by.to_owned() });
}

/// Another disable of an open breaker: whether it asks for something new.
fn disable_again(
    outage: &mut Outage,
    reason: &str,
    by: &str,
    term: Term,
    from: Standing,
    moment: &Moment<'_>,
    effects: &mut Vec<Effect>,
) -> bool {
    let intent = Intent { reason: reason.to_owned(), term };
    if outage.intent.as_ref() == Some(&intent) {
        return false;
    }
    adopt(outage, from, effects);
    let (change, end) = changed_end(outage, term, from, moment);
    let (reason, by) = (reason.to_owned(), by.to_owned());
    effects.push(Effect::ChangeDisable { from, change, until: end.until, reason, by });
    (outage.until, outage.half_open) = (end.until, end.half_open);
    outage.intent = Some(intent);
    escalate(outage, Severity::P2, Standing::Open, effects);
    true
}

/// Gives a permit, if there is one left. The period outlasts its permits.
fn permit(outage: &mut Outage, probing: &mut Probing, moment: &Moment<'_>, effects: &mut Vec<Effect>) {
    let given = probing.outstanding.len() + usize::try_from(probing.passed).unwrap_or(0);
    let most = usize::try_from(moment.config.probe_permits).unwrap_or(0);
    // Without a clock that acts on it, a permit that nobody reports on would be lost for good.
    if given >= most || !moment.config.auto_recover {
        return;
    }
    let expires_at = moment.config.permit_expiry(moment.now);
    let place = probing.outstanding.partition_point(|expiry| *expiry <= expires_at);
    probing.outstanding.insert(place, expires_at);
    outage.until = outage.until.map(|until| until.max(expires_at));
    effects.push(Effect::Permit { expires_at });
}

/// Opens once more, because of what was told of a probe at `moment`, or because nothing was by then.
fn reopen(
    state: &mut State,
    mut outage: Outage,
    config: &Config,
    moment: DateTime<Utc>,
    evidence: Option<(String, f64, i32)>,
    effects: &mut Vec<Effect>,
) {
    let before = outage.half_open.unwrap_or(HalfOpening { at: moment, reopenings: 0, jitter: 0.0 });
    let End { until, half_open } = config.reopened_end(before, moment);
    (outage.until, outage.half_open) = (until, half_open);
    state.phase = Phase::Open(outage);
    let cause = if evidence.is_some() { Cause::ProbeFailed } else { Cause::ProbeExpired };
    effects.push(Effect::Reopen { cause, at: moment, until, evidence });
}

/// A breaker opened by a hand outside gets its incident at the first occasion; a person did it, hence P2.
fn adopt(outage: &mut Outage, standing: Standing, effects: &mut Vec<Effect>) {
    if outage.incident.is_none() {
        outage.incident = Some(Severity::P2);
        effects.push(Effect::Adopt { standing, severity: Severity::P2 });
    }
}

fn escalate(outage: &mut Outage, to: Severity, standing: Standing, effects: &mut Vec<Effect>) {
    if let Some(from) = outage.incident.filter(|from| *from < to) {
        outage.incident = Some(to);
        effects.push(Effect::Escalate { standing, from, to });
    }
}

/// The end after another disable. The last explicit word counts; a default never ends an outage earlier than it would
/// have ended without it, or a second person's unspecific call would cut a permanent disable down to a day. A period of probing is over
/// in any case.
fn changed_end(outage: &Outage, term: Term, from: Standing, moment: &Moment<'_>) -> (Change, End) {
    // No end is later than any end.
    let later = |end: Option<DateTime<Utc>>| end.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let asked = end_of(term, moment);
    let is_earlier = term == Term::Default && later(asked.until) <= later(outage.until);
    let end = match from {
        Standing::Open if is_earlier => End { until: outage.until, half_open: outage.half_open },
        Standing::HalfOpen if is_earlier => End { until: outage.until, ..asked },
        Standing::Closed | Standing::Open | Standing::HalfOpen => asked,
    };
    let change = match later(end.until).cmp(&later(outage.until)) {
        std::cmp::Ordering::Greater => Change::Extended,
        std::cmp::Ordering::Less => Change::Shortened,
        std::cmp::Ordering::Equal => Change::Reworded,
    };
    (change, end)
}
