//! What an event does: lock the row, step the machine, carry out its effects, save. One transaction, the caller's.

use chrono::{DateTime, SecondsFormat, Utc};
use costsim_core::breaker::{
    self, Cause, Effect, Event, Phase, RECOVERED_BY, Refused, Severity, TRIPPED_BY, Trip,
};

use super::cache::DEFAULT_NAME;
use super::notice::Notice;
use super::outside;
use super::store::event::{self, Particulars};
use super::store::{self, incident};
use super::stored::Stored;
use crate::error::{Error, Result};
use crate::{alert, clock, db};

pub const SAY_WHO_AND_WHY: &str = "Say in a few words who does it and why: whoever is paged will read it.";

/// More than other sessions will spoil; a trigger that swallows the row spoils any number.
const MOST_TRIES: usize = 10;

/// What an event did.
#[derive(Default)]
pub struct Outcome {
    /// A person's word changed something.
    pub is_changed: bool,
    /// The incident of a trip.
    pub tripped: Option<String>,
    /// A person's word closed it.
    pub is_closed: bool,
    /// Whoever asked may go ahead.
    pub is_allowed: bool,
    /// The breaker took a step.
    pub has_moved: bool,
    /// How it is afterwards.
    pub after: Stored,
}

/// Applies an event, after whoever has the row just now.
pub fn apply(name: &str, event: &Event, details: Option<&str>) -> Result<Outcome> {
    let stored = match store::lock(name, true)? {
        Some(stored) => stored,
        // What does nothing to it makes no row.
        None if name == DEFAULT_NAME && foresee(&Stored::default(), event, clock::now())?.is_empty() => {
            return Ok(Outcome { is_allowed: true, ..Outcome::default() });
        }
        None if name == DEFAULT_NAME => lock_or_create(name)?.0,
        None => return Err(Error::no_such_breaker(name)),
    };
    act(name, stored, event, details, clock::now())
}

/// Locks the breaker's row, and makes it if there is none: whether it did.
pub fn lock_or_create(name: &str) -> Result<(Stored, bool)> {
    let mut is_new = false;
    for _ in 0..MOST_TRIES {
        if let Some(stored) = store::lock(name, true)? {
            return Ok((stored, is_new));
        }
        // Another session may make it first, and another hand may remove it before it is ours.
        db::make_commit_durable();
        is_new = store::create(name)?;
    }
    Err(Error::Unsupported {
        what: "the circuit breaker's row does not stay where it was inserted",
        hint: "Look for a trigger or rule on costsim_cb_state that takes inserts away.",
    })
}

/// Applies an event unless somebody else has just now what that would change, or there is no such row.
pub fn apply_if_free(name: &str, event: &Event) -> Result<Option<Outcome>> {
    let Some(stored) = store::lock(name, false)? else { return Ok(None) };
    let now = clock::now();
    if foresee(&stored, event, now)?.iter().any(touches_incident) && !incident::take(name)? {
        return Ok(None);
    }
    act(name, stored, event, None, now).map(Some)
}

/// What an event would do.
fn foresee(stored: &Stored, event: &Event, now: DateTime<Utc>) -> Result<Vec<Effect>> {
    let foreseen = breaker::step(&stored.state, &stored.config, event, now, 0.0);
    foreseen.map(|(_, effects)| effects).map_err(refused)
}

/// Steps the breaker whose row is locked.
pub fn act(
    name: &str,
    before: Stored,
    event: &Event,
    details: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Outcome> {
    let (state, effects) =
        breaker::step(&before.state, &before.config, event, now, fastrand::f64()).map_err(refused)?;
    let is_allowed = breaker::is_allowed(&state, &effects);
    let mut after = before.clone();
    after.state = state;
    let mut outcome = Outcome { is_allowed, ..Outcome::default() };
    if !effects.is_empty() {
        // A count that a crash takes back is an observation less; a step, or a permit, would be a promise broken.
        let is_promise = |effect: &Effect| {
            effect.transition().is_some()
                || matches!(effect, Effect::Permit { .. } | Effect::PassProbe { .. })
        };
        if effects.iter().any(is_promise) {
            db::make_commit_durable();
        }
        let mut hand = Hand { name, stored: after, details, now, outcome };
        for effect in &effects {
            hand.carry_out(effect)?;
        }
        (after, outcome) = (hand.stored, hand.outcome);
        outside::not_outside(|| store::save(name, &before, &after))?;
    }
    outcome.after = after;
    Ok(outcome)
}

/// Whether an effect changes more than the row and its history.
fn touches_incident(effect: &Effect) -> bool {
    match effect {
        Effect::BeginProbing { .. }
        | Effect::Permit { .. }
        | Effect::PassProbe { .. }
        | Effect::CountFailure { .. }
        | Effect::ResetFailures
        | Effect::Warn { .. }
        | Effect::EndWarning => false,
        Effect::Recover { .. }
        | Effect::Heal { .. }
        | Effect::Close { .. }
        | Effect::Trip(_)
        | Effect::Reopen { .. }
        | Effect::Adopt { .. }
        | Effect::Observe { .. }
        | Effect::Escalate { .. }
        | Effect::ChangeDisable { .. } => true,
    }
}

/// What carries out the effects of one step.
struct Hand<'a> {
    name: &'a str,
    stored: Stored,
    details: Option<&'a str>,
    now: DateTime<Utc>,
    outcome: Outcome,
}

impl Hand<'_> {
    fn carry_out(&mut self, effect: &Effect) -> Result<()> {
        // Before it is done: what ends has its incident still.
        let incident_before = self.stored.incident_id.clone();
        let mut told = Told::default();
        match effect {
            // These are part of the state that is saved.
            Effect::CountFailure { .. }
            | Effect::ResetFailures
            | Effect::EndWarning
            | Effect::Permit { .. }
            | Effect::PassProbe { .. } => {}
            Effect::Observe { score, sample_count: _ } => incident::observe(self.name, *score)?,
            Effect::BeginProbing { at } => {
                told = Told::new(RECOVERED_BY, format!("probes may come since {}", stamp(*at)));
            }
            Effect::Recover { from: _, due } => {
                told = Told::new(RECOVERED_BY, format!("its time was over at {}", stamp(*due)));
                self.close(&told)?;
            }
            Effect::Heal { passed } => {
                let probes = if *passed == 1 { "probe" } else { "probes" };
                told = Told::new(TRIPPED_BY, format!("{passed} {probes} passed"));
                self.close(&told)?;
            }
            Effect::Close { from: _, reason, by } => {
                told = Told::new(by, reason.clone().unwrap_or_else(|| "enabled by hand".into()));
                self.close(&told)?;
                (self.outcome.is_changed, self.outcome.is_closed) = (true, true);
            }
            Effect::Trip(trip) => {
                told = Told::new(&trip.by, trip.reason.clone());
                (told.score, told.sample_count) = (Some(trip.score), Some(trip.sample_count));
                let id = self.open(trip, self.details)?;
                (self.outcome.is_changed, self.outcome.tripped) = (true, Some(id));
            }
            Effect::Warn { warning: _, reason, score, sample_count } => {
                told = Told::new(TRIPPED_BY, reason.clone());
                (told.score, told.sample_count) = (Some(*score), Some(*sample_count));
            }
            Effect::Reopen { cause: _, at, until: _, evidence } => {
                told = Told::new(TRIPPED_BY, format!("nobody reported on a probe by {}", stamp(*at)));
                if let Some((reason, score, sample_count)) = evidence {
                    told.reason = format!("a probe failed: {reason}");
                    (told.score, told.sample_count) = (Some(*score), Some(*sample_count));
                }
                self.fire_alert()?;
            }
            Effect::Adopt { standing: _, severity } => {
                let reason = self.stored.disabled_reason.clone();
                let by = self.stored.disabled_by.clone().unwrap_or_else(|| "unknown".into());
                told = Told::new(&by, reason.unwrap_or_else(|| "opened by another hand".into()));
                self.adopt(*severity, &told)?;
            }
            Effect::Escalate { standing: _, from, to } => {
                told = Told::new(TRIPPED_BY, format!("{} became {}", from.as_str(), to.as_str()));
                incident::escalate(self.name, *to)?;
                // The severity is a label, so this is another alert.
                if let Some(id) = &self.stored.incident_id {
                    alert::resolve_of_incident(id)?;
                }
                self.fire_alert()?;
            }
            Effect::ChangeDisable { from: _, change: _, until: _, reason, by } => {
                told = Told::new(by, reason.clone());
                (self.stored.disabled_by, self.stored.disabled_reason) =
                    (Some(by.clone()), Some(reason.clone()));
                self.outcome.is_changed = true;
                self.fire_alert()?;
            }
        }
        let Some(step) = effect.transition() else { return Ok(()) };
        self.outcome.has_moved = true;
        let incident_id = self.stored.incident_id.clone().or(incident_before);
        let particulars = Particulars {
            actor: &told.by,
            reason: &told.reason,
            incident_id: incident_id.as_deref(),
            score: told.score,
            sample_count: told.sample_count,
            failures: Some(self.stored.state.consecutive_failures),
        };
        event::record(self.name, step, &particulars)
    }

    fn open(&mut self, trip: &Trip, details: Option<&str>) -> Result<String> {
        let Trip { severity, reason, score, sample_count, .. } = trip;
        let id = incident::open(self.name, self.now, reason, *severity, *score, *sample_count, details)?;
        (self.stored.disabled_by, self.stored.disabled_reason) =
            (Some(trip.by.clone()), Some(reason.clone()));
        self.stored.incident_id = Some(id.clone());
        self.fire_alert()?;
        Ok(id)
    }

    /// Gives an open breaker the incident it lacks.
    fn adopt(&mut self, severity: Severity, told: &Told) -> Result<()> {
        let trip = Trip {
            cause: Cause::Manual,
            severity,
            reason: told.reason.clone(),
            by: told.by.clone(),
            until: None,
            score: 0.0,
            sample_count: 0,
        };
        self.open(&trip, None).map(drop)
    }

    fn close(&mut self, told: &Told) -> Result<()> {
        (self.stored.disabled_by, self.stored.disabled_reason) = (None, None);
        incident::resolve(self.name, &told.by, &told.reason)?;
        // The trigger does so for other hands; ours does not depend on it.
        self.stored.incident_id.take().map_or(Ok(()), |id| alert::resolve_of_incident(&id))
    }

    /// Fires the open incident's alert, or gives it new text.
    fn fire_alert(&self) -> Result<()> {
        let Some(incident_id) = self.stored.incident_id.as_deref() else { return Ok(()) };
        let Some((severity, score, sample_count)) = incident::measured(incident_id)? else { return Ok(()) };
        let outage = self.stored.state.phase.outage();
        let notice = Notice {
            breaker: self.name,
            incident_id,
            severity,
            reason: self.stored.disabled_reason.as_deref().unwrap_or_default(),
            score,
            sample_count,
            until: outage.and_then(|outage| outage.until).filter(|_| self.stored.config.auto_recover),
        };
        alert::fire(&notice.labels()?, &notice.annotations()?, None, Some(incident_id)).map(drop)
    }
}

/// Who did it and why, for the event.
#[derive(Default)]
struct Told {
    by: String,
    reason: String,
    score: Option<f64>,
    sample_count: Option<i32>,
}

impl Told {
    fn new(by: &str, reason: String) -> Self {
        Self { by: by.to_owned(), reason, ..Self::default() }
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whether the breaker, after this, holds work back.
pub fn is_open(stored: &Stored) -> bool {
    stored.state.phase != Phase::Closed
}

pub fn refused(refused: Refused) -> Error {
    let hint = match &refused {
        Refused::Score(_) => "A drift score is 0 for equal costs and grows with their distance.",
        Refused::Count { .. } => {
            "Pass how many comparisons the score stands for, or how many errors there were."
        }
        Refused::Blank(_) => SAY_WHO_AND_WHY,
        Refused::PastEnd => "Leave it out for the breaker's disable_ttl.",
        Refused::Contradiction => "Pass either an end or permanent => true.",
        Refused::Setting { .. } => {
            "See the comments on the columns of costsim_cb_state for what the settings mean."
        }
    };
    Error::invalid(refused.to_string(), hint)
}
