//! What time alone does to a breaker: a function of its state and the clock, so that a read and a write can never disagree.

use chrono::{DateTime, Utc};

use super::close;
use super::config::Config;
use super::model::{Effect, Phase, Probing, State};

/// The breaker as it is at `now`, whether or not anybody has written it down: the pure read. It holds until the [`next_change`].
pub fn as_of(state: &State, config: &Config, now: DateTime<Utc>) -> State {
    let mut state = state.clone();
    advance(&mut state, config, now, &mut Vec::new());
    state
}

/// When time will next do something to the breaker, if nothing else happens; nothing means never.
pub fn next_change(state: &State, config: &Config) -> Option<DateTime<Utc>> {
    if !config.auto_recover {
        return None;
    }
    match &state.phase {
        Phase::Closed => None,
        Phase::Open(outage) => {
            outage.half_open.map(|opening| opening.at).into_iter().chain(outage.until).min()
        }
        Phase::HalfOpen(outage, probing) => probing.outstanding.iter().copied().chain(outage.until).min(),
    }
}

/// Lets time do what it has done by `now`. Each turn passes one arrow of the drawing, and only a permit that expires leads back, so
/// there are four turns at most.
pub(super) fn advance(state: &mut State, config: &Config, now: DateTime<Utc>, effects: &mut Vec<Effect>) {
    while let Some(due) = next_change(state, config).filter(|due| *due <= now) {
        let from = state.phase.standing();
        match state.phase.clone() {
            Phase::Closed => return,
            Phase::HalfOpen(outage, probing) if probing.outstanding.contains(&due) => {
                super::reopen(state, outage, config, due, None, effects);
            }
            Phase::Open(outage) if outage.until.is_none_or(|until| due < until) => {
                effects.push(Effect::BeginProbing { at: due });
                state.phase = Phase::HalfOpen(outage, Probing { since: due, outstanding: vec![], passed: 0 });
            }
            Phase::Open(_) | Phase::HalfOpen(..) => {
                close(state, effects);
                effects.push(Effect::Recover { from, due });
            }
        }
    }
}
