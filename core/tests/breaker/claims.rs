//! What holds at every step of every breaker, whatever happens to it. The walks and the search try to break it.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::*;

use crate::{INSTANT, outlook};

/// What was claimed and does not hold.
pub type Claimed = Result<(), String>;

pub fn claim(holds: bool, what: &str) -> Claimed {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// One step that was taken.
#[derive(Debug)]
pub struct Step<'a> {
    pub before: &'a State,
    pub config: &'a Config,
    pub event: &'a Event,
    pub now: DateTime<Utc>,
    pub after: &'a State,
    pub effects: &'a [Effect],
}

/// Takes a step and holds it against every claim; notes the arrows it went along. Nothing if it was refused.
pub fn step_checked(
    before: &State,
    config: &Config,
    event: &Event,
    now: DateTime<Utc>,
    jitter: f64,
    seen: &mut HashSet<Transition>,
) -> Result<Option<(State, Vec<Effect>)>, String> {
    match step(before, config, event, now, jitter) {
        Ok((after, effects)) => {
            let step = Step { before, config, event, now, after: &after, effects: &effects };
            step.check(seen).map_err(|what| format!("{what}: {step:#?}"))?;
            Ok(Some((after, effects)))
        }
        Err(refused) => claim(is_nonsense(event, now), "sense was refused")
            .map_err(|what| format!("{what}: {refused} {event:?}"))
            .map(|()| None),
    }
}

fn is_nonsense(event: &Event, now: DateTime<Utc>) -> bool {
    match event {
        Event::Drift { score, sample_count } => !(0.0..f64::INFINITY).contains(score) || *sample_count < 0,
        Event::Judgement { score, sample_count, reason, .. } => {
            !(0.0..f64::INFINITY).contains(score) || *sample_count < 0 || reason.trim().is_empty()
        }
        Event::SchemaErrors { count } => *count < 0,
        Event::Disable { reason, by, term } => {
            reason.trim().is_empty()
                || by.trim().is_empty()
                || matches!(term, Term::Until(until) if *until <= now)
        }
        Event::Enable { by, .. } => by.trim().is_empty(),
        Event::Allow | Event::Tick => false,
    }
}

fn later(moment: DateTime<Utc>, span: TimeDelta) -> DateTime<Utc> {
    moment.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Permits given in the period of probing that a breaker is in.
fn given(state: &State) -> usize {
    match &state.phase {
        Phase::HalfOpen(_, probing) => probing.outstanding.len() + usize::try_from(probing.passed).unwrap(),
        Phase::Closed | Phase::Open(_) => 0,
    }
}

/// What a breaker waits for.
fn due_moments(state: &State) -> Vec<DateTime<Utc>> {
    match &state.phase {
        Phase::Closed => vec![],
        Phase::Open(outage) => {
            outage.until.into_iter().chain(outage.half_open.map(|opening| opening.at)).collect()
        }
        Phase::HalfOpen(outage, probing) => {
            outage.until.into_iter().chain(probing.outstanding.iter().copied()).collect()
        }
    }
}

impl Step<'_> {
    fn check(&self, seen: &mut HashSet<Transition>) -> Claimed {
        claim(!is_nonsense(self.event, self.now), "nonsense was taken")?;
        self.follows_the_drawing(seen)?;
        self.has_one_incident_at_most()?;
        self.gives_no_more_permits_than_there_are()?;
        self.keeps_the_outage()?;
        self.leaves_sense()?;
        claim(!self.effects.is_empty() || self.before == self.after, "changed without an effect")?;
        let timed = self.begins_with_what_time_has_done()?;
        self.counts(&timed)?;
        self.does_what_is_due_and_nothing_else(&timed)?;
        self.has_nothing_more_to_say()
    }

    fn follows_the_drawing(&self, seen: &mut HashSet<Transition>) -> Claimed {
        let mut standing = self.before.phase.standing();
        for transition in self.effects.iter().filter_map(Effect::transition) {
            claim(TRANSITIONS.contains(&transition), "a step that is not in the drawing")?;
            claim(transition.from == standing, "a step from where it did not stand")?;
            standing = transition.to;
            seen.insert(transition);
        }
        claim(standing == self.after.phase.standing(), "it stands where no step has led")
    }

    fn has_one_incident_at_most(&self) -> Claimed {
        let has_incident =
            |state: &State| state.phase.outage().is_some_and(|outage| outage.incident.is_some());
        let mut is_there = has_incident(self.before);
        for effect in self.effects {
            match effect {
                Effect::Trip(_) | Effect::Adopt { .. } => {
                    claim(!is_there, "a second incident")?;
                    is_there = true;
                }
                Effect::Recover { .. } | Effect::Heal { .. } | Effect::Close { .. } => is_there = false,
                Effect::Observe { .. } | Effect::Escalate { .. } | Effect::ChangeDisable { .. } => {
                    claim(is_there, "something to note, and no incident")?;
                }
                Effect::BeginProbing { .. }
                | Effect::Permit { .. }
                | Effect::PassProbe { .. }
                | Effect::Reopen { .. }
                | Effect::CountFailure { .. }
                | Effect::ResetFailures
                | Effect::Warn { .. }
                | Effect::EndWarning => {}
            }
        }
        claim(is_there == has_incident(self.after), "an incident came or went without an effect")
    }

    fn gives_no_more_permits_than_there_are(&self) -> Claimed {
        let most = usize::try_from(self.config.probe_permits).unwrap();
        let mut permits = given(self.before);
        for effect in self.effects {
            match effect {
                Effect::BeginProbing { .. } => permits = 0,
                Effect::Permit { expires_at } => {
                    permits += 1;
                    claim(permits <= most, "more permits than there are")?;
                    claim(*expires_at > self.now, "a permit that has expired already")?;
                }
                _ => {}
            }
        }
        let Phase::HalfOpen(_, probing) = &self.after.phase else { return Ok(()) };
        claim(permits == given(self.after), "a permit was lost or made up")?;
        claim(probing.outstanding.is_sorted(), "permits out of order")
    }

    /// An outage keeps its beginning and its incident, and its end unless a person, a permit or a probe moves it.
    fn keeps_the_outage(&self) -> Claimed {
        let mut outage = self.before.phase.outage().cloned();
        for effect in self.effects {
            match (effect, &mut outage) {
                (Effect::Recover { due, .. }, Some(ending)) => {
                    claim(*due <= self.now && ending.until == Some(*due), "recovered at another moment")?;
                    outage = None;
                }
                (Effect::Heal { .. } | Effect::Close { .. }, Some(_)) => outage = None,
                (Effect::Trip(trip), None) => {
                    let Some(begun) = self.after.phase.outage() else {
                        return Err("a trip to nowhere".to_owned());
                    };
                    claim(begun.since == self.now, "opened at another moment")?;
                    claim(begun.until == trip.until, "another end than was told")?;
                    claim(
                        trip.until.is_some() || self.is_endless_by_wish(false),
                        "an end nobody asked to do without",
                    )?;
                    outage = Some(begun.clone());
                }
                (Effect::BeginProbing { at }, Some(running)) => {
                    let is_due = running.half_open.is_some_and(|opening| opening.at == *at);
                    claim(is_due && *at <= self.now, "probing began at another moment")?;
                }
                (Effect::Permit { expires_at }, Some(running)) => {
                    running.until = running.until.map(|until| until.max(*expires_at));
                }
                (Effect::Reopen { cause, at, until, evidence }, Some(running)) => {
                    let is_told = evidence.is_some() == (*cause == Cause::ProbeFailed);
                    claim(is_told, "a probe failed for no reason, or expired for one")?;
                    running.half_open = self.reopened(running, *at, *until)?;
                    running.until = *until;
                }
                (Effect::ChangeDisable { from, change, until, .. }, Some(running)) => {
                    let never = DateTime::<Utc>::MAX_UTC;
                    let (was, is) = (running.until.unwrap_or(never), until.unwrap_or(never));
                    let is_wished = self.is_endless_by_wish(running.until.is_none());
                    claim(until.is_some() || is_wished, "an end nobody asked to do without")?;
                    let is_default = matches!(self.event, Event::Disable { term: Term::Default, .. });
                    let may_shorten = !is_default || *from == Standing::HalfOpen;
                    claim(may_shorten || is >= was, "a default made it end earlier")?;
                    let told = match change {
                        Change::Extended => is > was,
                        Change::Shortened => is < was,
                        Change::Reworded => is == was,
                    };
                    claim(told, "a change called by another name")?;
                    running.until = *until;
                    running.half_open = self.after.phase.outage().and_then(|outage| outage.half_open);
                }
                (
                    Effect::PassProbe { .. }
                    | Effect::Adopt { .. }
                    | Effect::Observe { .. }
                    | Effect::Escalate { .. },
                    Some(_),
                )
                | (Effect::Warn { .. }, None)
                | (Effect::CountFailure { .. } | Effect::ResetFailures | Effect::EndWarning, _) => {}
                (effect, outage) => return Err(format!("{effect:?} where there is {outage:?}")),
            }
        }
        match (&outage, self.after.phase.outage()) {
            (None, None) => Ok(()),
            (Some(before), Some(after)) => {
                claim(before.since == after.since, "an outage began twice")?;
                claim(after.incident >= before.incident, "an incident grew milder")?;
                claim(before.until == after.until, "the end moved by itself")?;
                claim(before.half_open == after.half_open, "the period of probing moved by itself")
            }
            (Some(_), None) | (None, Some(_)) => Err("an outage came or went without an effect".to_owned()),
        }
    }

    /// The period of probing that a re-opening at a moment has to lead to.
    fn reopened(
        &self,
        running: &Outage,
        at: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
    ) -> Result<Option<HalfOpening>, String> {
        let Some(HalfOpening { reopenings, jitter, .. }) = running.half_open else {
            return Err("opened once more after no probing".to_owned());
        };
        let reopenings = reopenings.saturating_add(1);
        let next = later(at, self.config.reopened_ttl(reopenings, jitter));
        let is_probed = self.config.half_open;
        let end = if is_probed { later(next, self.config.half_open_timeout) } else { next };
        claim(until == Some(end), "opened once more for another time than is due")?;
        Ok(is_probed.then_some(HalfOpening { at: next, reopenings, jitter }))
    }

    fn is_endless_by_wish(&self, was_endless: bool) -> bool {
        match self.event {
            Event::Disable { term: Term::Permanent, .. } => true,
            Event::Disable { term: Term::Until(_), .. } => false,
            _ => self.config.disable_ttl.is_none() || was_endless,
        }
    }

    fn leaves_sense(&self) -> Claimed {
        let State { phase, consecutive_failures, warning, .. } = self.after;
        claim(*consecutive_failures >= 0, "a negative count")?;
        // A hand outside may have opened it in the middle of a warning.
        let may_warn = *phase == Phase::Closed || *warning == self.before.warning;
        claim(warning.is_none() || may_warn, "an open breaker warns")?;
        let opening = phase.outage().and_then(|outage| outage.half_open);
        claim(
            opening.is_none_or(|o| o.reopenings >= 0 && (0.0..1.0).contains(&o.jitter)),
            "a count or a jitter out of range",
        )?;
        let Phase::HalfOpen(outage, probing) = phase else { return Ok(()) };
        claim(probing.passed >= 0, "a negative count of probes")?;
        claim(probing.since <= self.now, "probing before its time")?;
        let Some(until) = outage.until else { return Err("probing without an end".to_owned()) };
        claim(probing.outstanding.iter().all(|expiry| *expiry <= until), "a permit that outlasts its period")
    }

    fn begins_with_what_time_has_done(&self) -> Result<Timed, String> {
        let Self { before, config, now, .. } = self;
        let (timed, effects) =
            step(before, config, &Event::Tick, *now, 0.5).map_err(|refused| refused.to_string())?;
        claim(timed == as_of(before, config, *now), "a read and a write disagree")?;
        let outlook = outlook(before, config, *now);
        claim(outlook.is_open == (timed.phase != Phase::Closed), "the outlook and a write disagree")?;
        claim(outlook.until == next_change(&timed, config), "the outlook ends at another moment")?;
        let (left, right) = (due_moments(&timed), outlook.until);
        claim(
            !config.auto_recover || left.iter().all(|moment| moment > now),
            "something due was left undone",
        )?;
        claim(
            right == left.into_iter().min().filter(|_| config.auto_recover),
            "what comes first does not come next",
        )?;
        claim(self.effects.starts_with(&effects), "time was not first")?;
        claim(next_change(self.after, config).is_none_or(|next| next > *now), "due at once")?;
        Ok(Timed { state: timed, effects: effects.len() })
    }

    fn counts(&self, timed: &Timed) -> Claimed {
        let state = &timed.state;
        let is_closing = |effect: &Effect| matches!(effect, Effect::Heal { .. } | Effect::Close { .. });
        let is_bad = match self.event {
            Event::Drift { score, .. } => *score > self.config.drift_threshold,
            Event::Judgement { is_good, .. } => !is_good,
            _ => false,
        };
        let failures = match self.event {
            _ if self.effects.iter().skip(timed.effects).any(is_closing) => 0,
            Event::Drift { .. } | Event::Judgement { .. } if is_bad => {
                state.consecutive_failures.saturating_add(1)
            }
            Event::Drift { .. } | Event::Judgement { .. } => 0,
            _ => state.consecutive_failures,
        };
        claim(self.after.consecutive_failures == failures, "miscounted")?;
        let latest = match self.event {
            Event::Drift { score, .. } | Event::Judgement { score, .. } if is_bad => {
                (Some(self.now), Some(*score))
            }
            _ => (self.before.last_failure_at, self.before.last_score),
        };
        claim((self.after.last_failure_at, self.after.last_score) == latest, "history was rewritten")
    }

    /// The rules once more, as conditions instead of a course: each effect is there exactly when its condition holds.
    fn does_what_is_due_and_nothing_else(&self, timed: &Timed) -> Claimed {
        let Self { config, event, after, .. } = self;
        let rest = self.effects.get(timed.effects..).unwrap_or_default();
        let state = &timed.state;
        let standing = state.phase.standing();
        let (is_closed, is_half_open) = (standing == Standing::Closed, standing == Standing::HalfOpen);

        let is_drift = matches!(event, Event::Drift { .. } | Event::Judgement { .. });
        let is_bad_drift = match event {
            Event::Drift { score, .. } => *score > config.drift_threshold,
            Event::Judgement { is_good, .. } => !is_good,
            _ => false,
        };
        let is_good_drift = is_drift && !is_bad_drift;
        let is_near =
            is_good_drift && matches!(event, Event::Drift { score, .. } if *score > config.warning_threshold);
        let is_bad_shape =
            matches!(event, Event::SchemaErrors { count } if *count >= config.schema_error_threshold);
        let is_bad = is_bad_drift || is_bad_shape;
        let failures = state.consecutive_failures.saturating_add(1);
        let is_enough = is_bad_shape || (is_bad_drift && failures >= config.failure_threshold);
        let outage = state.phase.outage();
        let (outstanding, passed) = match &state.phase {
            Phase::HalfOpen(_, probing) => (probing.outstanding.len(), probing.passed),
            Phase::Closed | Phase::Open(_) => (0, 0),
        };
        let is_asked = matches!(event, Event::Disable { .. });
        let is_new_intent = match (event, outage.and_then(|outage| outage.intent.as_ref())) {
            (Event::Disable { reason, term, .. }, Some(intent)) => {
                intent.reason != *reason || intent.term != *term
            }
            (Event::Disable { .. }, None) => true,
            _ => false,
        };
        let trips = is_closed && ((is_enough && config.auto_disable) || is_asked);
        let reopens = is_half_open && is_bad;
        let passes = is_half_open && is_good_drift && outstanding > 0;
        let heals = passes && passed + 1 >= config.probe_successes;
        let closes = !is_closed && matches!(event, Event::Enable { .. });
        let changes = !is_closed && is_asked && is_new_intent;
        let notes = !is_closed && is_bad;
        let permits = is_half_open
            && matches!(event, Event::Allow)
            && given(state) < usize::try_from(config.probe_permits).unwrap()
            && config.auto_recover;
        let warning = if is_closed && is_enough && !config.auto_disable {
            Some(Warning::WouldTrip)
        } else if is_closed && is_near {
            Some(Warning::NearThreshold)
        } else {
            None
        };
        let warns = warning.is_some_and(|warning| state.warning.is_none_or(|on| on < warning));
        let is_over = trips || heals || closes || (is_closed && is_good_drift && !is_near);
        let incident = outage.and_then(|outage| outage.incident);
        let adopts = (notes || changes) && incident.is_none();
        let worst = match (notes && is_enough && config.auto_disable, changes) {
            (true, _) if is_bad_drift => Severity::P1,
            (true, _) => Severity::P3,
            (_, true) => Severity::P2,
            (false, false) => Severity::P3,
        };
        let escalates = (notes || changes) && worst > incident.unwrap_or(Severity::P2);

        type Is = fn(&Effect) -> bool;
        let dues: [(&str, bool, Is); 16] = [
            ("trip", trips, |e| matches!(e, Effect::Trip(_))),
            ("re-open", reopens, |e| matches!(e, Effect::Reopen { cause: Cause::ProbeFailed, .. })),
            ("pass", passes && !heals, |e| matches!(e, Effect::PassProbe { .. })),
            ("heal", heals, |e| matches!(e, Effect::Heal { .. })),
            ("close", closes, |e| matches!(e, Effect::Close { .. })),
            ("change", changes, |e| matches!(e, Effect::ChangeDisable { .. })),
            ("note", notes, |e| matches!(e, Effect::Observe { .. })),
            ("permit", permits, |e| matches!(e, Effect::Permit { .. })),
            ("warn", warns, |e| matches!(e, Effect::Warn { .. })),
            ("end a warning", state.warning.is_some() && is_over, |e| matches!(e, Effect::EndWarning)),
            ("adopt", adopts, |e| matches!(e, Effect::Adopt { .. })),
            ("escalate", escalates, |e| matches!(e, Effect::Escalate { .. })),
            ("count", is_bad_drift, |e| matches!(e, Effect::CountFailure { .. })),
            ("reset", is_good_drift && state.consecutive_failures > 0, |e| {
                matches!(e, Effect::ResetFailures)
            }),
            ("recover", false, |e| matches!(e, Effect::Recover { .. })),
            ("begin probing", false, |e| matches!(e, Effect::BeginProbing { .. })),
        ];
        for (what, is_due, is) in dues {
            let times = rest.iter().filter(|effect| is(effect)).count();
            claim(times == usize::from(is_due), if is_due { "left undone" } else { "not due" })
                .map_err(|how| format!("{what}: {how}, {times} times"))?;
        }
        let others = dues.iter().filter(|(_, is_due, _)| *is_due).count();
        claim(rest.len() == others, "an effect that no rule asks for")?;

        let is_allowed = is_allowed(after, self.effects);
        let may_go = permits || after.phase == Phase::Closed;
        claim(
            !matches!(event, Event::Allow) || is_allowed == may_go,
            "allowed without a permit, or not with one",
        )?;
        if let (Phase::HalfOpen(_, before), Phase::HalfOpen(_, after)) = (&state.phase, &after.phase) {
            let left = before.outstanding.get(usize::from(passes)..).unwrap_or_default();
            claim(permits || after.outstanding == left, "another permit than the oldest was used")?;
        }
        let told = rest.iter().find_map(|effect| match effect {
            Effect::PassProbe { passed } | Effect::Heal { passed } => Some(*passed),
            _ => None,
        });
        claim(told.is_none_or(|told| told == passed + 1), "probes miscounted")
    }

    /// Said again at the same moment, only a report or a probe has more to say.
    fn has_nothing_more_to_say(&self) -> Claimed {
        match self.event {
            Event::Drift { .. } | Event::Judgement { .. } | Event::SchemaErrors { .. } => return Ok(()),
            Event::Allow if !self.effects.is_empty() => return Ok(()),
            Event::Disable { .. } | Event::Enable { .. } | Event::Allow | Event::Tick => {}
        }
        let again = step(self.after, self.config, self.event, self.now, 0.25)
            .map_err(|refused| refused.to_string())?;
        claim(again.1.is_empty() && again.0 == *self.after, "said twice, done twice")
    }
}

/// A breaker after what time alone had done before an event, and how many effects that had.
struct Timed {
    state: State,
    effects: usize,
}

/// From wherever it stands, time alone closes a breaker in a few turns, unless somebody wanted it otherwise.
pub fn ends(state: &State, config: &Config, now: DateTime<Utc>) -> Claimed {
    if !config.auto_recover {
        return claim(next_change(state, config).is_none(), "time acts although it may not");
    }
    let mut state = as_of(state, config, now);
    let mut before = now;
    // Expired, open once more, half-open, closed.
    for _ in 0..4 {
        let next = match (&state.phase, next_change(&state, config)) {
            (Phase::Closed, next) => return claim(next.is_none(), "a closed breaker waits for something"),
            (Phase::Open(Outage { until: None, half_open: None, .. }), None) => return Ok(()),
            (_, Some(next)) => next,
            (phase, None) => return Err(format!("no way out of {phase:?}")),
        };
        claim(next > before, "time stands still")?;
        (state, _) = step(&state, config, &Event::Tick, next, 0.0).map_err(|refused| refused.to_string())?;
        before = next;
    }
    claim(state.phase == Phase::Closed, "time goes in circles")
}

/// What an outlook says now is so until the moment it names; `fractions` of the time till then are looked at, and its last instant.
pub fn keeps_its_outlook(state: &State, config: &Config, now: DateTime<Utc>, fractions: &[f64]) -> Claimed {
    let promised = outlook(state, config, now);
    // Where no end is promised: a year.
    let until = promised.until.unwrap_or(later(now, TimeDelta::days(365)));
    let span = (until - now).num_microseconds().unwrap_or(i64::MAX) - 1;
    let within =
        fractions.iter().map(|fraction| now + TimeDelta::microseconds((span as f64 * fraction) as i64));
    for moment in within.chain([until - INSTANT]) {
        let seen = outlook(state, config, moment);
        claim(seen.is_open == promised.is_open, "an outlook did not hold")
            .map_err(|what| format!("{what} at {moment}"))?;
    }
    Ok(())
}

/// Looking at a breaker in between changes nothing of what it comes to.
pub fn is_untouched_by_a_look(
    state: &State,
    config: &Config,
    first: DateTime<Utc>,
    then: DateTime<Utc>,
) -> Claimed {
    let at_once = as_of(state, config, then);
    let looked = as_of(&as_of(state, config, first), config, then);
    claim(looked == at_once, "a look changed something").map_err(|what| {
        format!("{what}: {state:#?} seen at {first}, then at {then}: {looked:#?}, not {at_once:#?}")
    })
}
