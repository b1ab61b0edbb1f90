//! The words of the circuit breaker: what it remembers, what happens to it, what has to be done. Rules that belong to one
//! word alone (a term, a severity) stand here too; what they do to each other is `step`'s.

use std::fmt;

use chrono::{DateTime, Utc};

use super::transition::{Cause, Standing, Transition};

/// What a breaker remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Closed, open or half-open.
    pub phase: Phase,
    /// Bad drift reports since the last good one; stays at its largest value rather than overflow.
    pub consecutive_failures: i32,
    /// The last bad drift report; survives recovery, because it is history.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// Its score.
    pub last_score: Option<f64>,
    /// What was warned of and is not over yet.
    pub warning: Option<Warning>,
}

impl State {
    /// A breaker that nothing has happened to.
    pub const QUIET: Self = Self {
        phase: Phase::Closed,
        consecutive_failures: 0,
        last_failure_at: None,
        last_score: None,
        warning: None,
    };
}

/// Where a breaker stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Work flows.
    Closed,
    /// Work is held back.
    Open(Outage),
    /// Work is held back, but for a few probes.
    HalfOpen(Outage, Probing),
}

impl Phase {
    /// The phase without what is known of it.
    pub fn standing(&self) -> Standing {
        match self {
            Self::Closed => Standing::Closed,
            Self::Open(_) => Standing::Open,
            Self::HalfOpen(..) => Standing::HalfOpen,
        }
    }

    /// What is known of an outage, if there is one.
    pub fn outage(&self) -> Option<&Outage> {
        match self {
            Self::Closed => None,
            Self::Open(outage) | Self::HalfOpen(outage, _) => Some(outage),
        }
    }
}

/// What is known of an open breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// When it opened.
    pub since: DateTime<Utc>,
    /// When time alone ends it; nothing means that a person has to.
    pub until: Option<DateTime<Utc>>,
    /// The period of probing before that end, if there is one.
    pub half_open: Option<HalfOpening>,
    /// The severity of its incident; nothing when a hand outside has opened the breaker without writing one.
    pub incident: Option<Severity>,
    /// What the last person to disable it asked for; nothing when no person did.
    pub intent: Option<Intent>,
}

/// When probing begins, and what it has come to before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HalfOpening {
    /// From when on probes are let through.
    pub at: DateTime<Utc>,
    /// How often this outage was opened once more.
    pub reopenings: i32,
    /// A number in [0, 1), drawn when the breaker opened: how much shorter than nominal its re-openings are.
    pub jitter: f64,
}

/// A period of probing.
#[derive(Debug, Clone, PartialEq)]
pub struct Probing {
    /// When it began.
    pub since: DateTime<Utc>,
    /// When the permits that nobody has reported on expire, the oldest first.
    pub outstanding: Vec<DateTime<Utc>>,
    /// Probes that passed.
    pub passed: i32,
}

/// What a person asked for, as asked. The end alone cannot tell whether a second call asks for the same, because a
/// default end is later each time it is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Why.
    pub reason: String,
    /// For how long.
    pub term: Term,
}

/// For how long a person wants a breaker open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// As long as the breaker's settings say.
    Default,
    /// Until this moment.
    Until(DateTime<Utc>),
    /// Until a person closes it.
    Permanent,
}

impl Term {
    /// The term behind the two arguments of an SQL call.
    pub fn asked(until: Option<DateTime<Utc>>, is_permanent: bool) -> Result<Self, Refused> {
        match (until, is_permanent) {
            (None, false) => Ok(Self::Default),
            (Some(until), false) => Ok(Self::Until(until)),
            (None, true) => Ok(Self::Permanent),
            (Some(_), true) => Err(Refused::Contradiction),
        }
    }
}

/// How bad an incident is; greater is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Schema errors: the new model answers, in a shape that was not agreed.
    P3,
    /// A person has switched it off: intended, but not to be forgotten.
    P2,
    /// Drift: wrong numbers were served.
    P1,
}

impl Severity {
    /// As stored in an incident.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P3 => "P3",
            Self::P2 => "P2",
            Self::P1 => "P1",
        }
    }

    /// The severity behind a stored text, in either case.
    pub fn from_stored(text: &str) -> Option<Self> {
        [Self::P3, Self::P2, Self::P1].into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text))
    }
}

/// What happens to a breaker.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A comparison of the two models was reported.
    Drift {
        /// How far they are apart.
        score: f64,
        /// Over how many samples.
        sample_count: i32,
    },
    /// Somebody who has measured more than a score says whether the model is well.
    Judgement {
        /// Whether it is.
        is_good: bool,
        /// What comes nearest to a score of how far the models are apart.
        score: f64,
        /// Over how many samples.
        sample_count: i32,
        /// Why, in words.
        reason: String,
    },
    /// Answers of the wrong shape were reported.
    SchemaErrors {
        /// How many.
        count: i32,
    },
    /// A person opens it.
    Disable {
        /// Why.
        reason: String,
        /// Who.
        by: String,
        /// For how long.
        term: Term,
    },
    /// A person closes it.
    Enable {
        /// Why, if they say.
        reason: Option<String>,
        /// Who.
        by: String,
    },
    /// Somebody asks whether they may go ahead.
    Allow,
    /// Time has passed.
    Tick,
}

/// What has to be done, in this order, with the new state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Time is over: resolve the incident in the name of [`RECOVERED_BY`](super::RECOVERED_BY) and resolve its alert.
    Recover {
        /// Where it stood.
        from: Standing,
        /// The end that passed.
        due: DateTime<Utc>,
    },
    /// Enough probes have passed: resolve the incident in the name of [`TRIPPED_BY`](super::TRIPPED_BY) and resolve its alert.
    Heal {
        /// How many.
        passed: i32,
    },
    /// A person closes it: resolve the incident in their name and resolve its alert.
    Close {
        /// Where it stood.
        from: Standing,
        /// Why, if they said.
        reason: Option<String>,
        /// Who.
        by: String,
    },
    /// Open: write an incident and fire its alert.
    Trip(Trip),
    /// Probes may come.
    BeginProbing {
        /// Since when.
        at: DateTime<Utc>,
    },
    /// A permit is given.
    Permit {
        /// When it expires.
        expires_at: DateTime<Utc>,
    },
    /// A probe has passed, and more are wanted.
    PassProbe {
        /// How many have.
        passed: i32,
    },
    /// Open once more: the alert is told of the new end.
    Reopen {
        /// [`Cause::ProbeFailed`] or [`Cause::ProbeExpired`].
        cause: Cause,
        /// Since when.
        at: DateTime<Utc>,
        /// The new end.
        until: Option<DateTime<Utc>>,
        /// What speaks against it, in words, with the score and over how many samples; nothing for a probe that expired.
        evidence: Option<(String, f64, i32)>,
    },
    /// The failure counter has grown.
    CountFailure {
        /// To this value.
        failures: i32,
    },
    /// The failure counter is zero again.
    ResetFailures,
    /// Something begins that is worth telling and changes nothing else.
    Warn {
        /// What.
        warning: Warning,
        /// Why, in words.
        reason: String,
        /// The score.
        score: f64,
        /// Over how many samples.
        sample_count: i32,
    },
    /// What was warned of is over.
    EndWarning,
    /// The breaker is open but has no incident: write one.
    Adopt {
        /// Where it stands.
        standing: Standing,
        /// Of this severity.
        severity: Severity,
    },
    /// A bad report while open: note it on the incident.
    Observe {
        /// The drift score, or 1 for schema errors.
        score: f64,
        /// The samples, or the number of schema errors.
        sample_count: i32,
    },
    /// The incident is worse than it was.
    Escalate {
        /// Where the breaker stands.
        standing: Standing,
        /// What it was.
        from: Severity,
        /// What it is.
        to: Severity,
    },
    /// A person wants the open breaker open in another way.
    ChangeDisable {
        /// Where it stood.
        from: Standing,
        /// What it does to the end.
        change: Change,
        /// The new end.
        until: Option<DateTime<Utc>>,
        /// Why.
        reason: String,
        /// Who.
        by: String,
    },
}

impl Effect {
    /// The step in the drawing that the effect stands for, if it is one.
    pub fn transition(&self) -> Option<Transition> {
        use Standing::{Closed, HalfOpen, Open};
        let transition = |from, cause, to| Some(Transition { from, cause, to });
        match self {
            Self::Recover { from, .. } => transition(*from, Cause::TtlPassed, Closed),
            Self::Heal { .. } => transition(HalfOpen, Cause::ProbesPassed, Closed),
            Self::Close { from, .. } => transition(*from, Cause::Manual, Closed),
            Self::Trip(trip) => transition(Closed, trip.cause, Open),
            Self::BeginProbing { .. } => transition(Open, Cause::TtlPassed, HalfOpen),
            Self::Reopen { cause, .. } => transition(HalfOpen, *cause, Open),
            Self::Warn { warning, .. } => transition(Closed, warning.cause(), Closed),
            Self::Adopt { standing, .. } => transition(*standing, Cause::Adopted, *standing),
            Self::Escalate { standing, .. } => transition(*standing, Cause::Escalated, *standing),
            Self::ChangeDisable { from, .. } => transition(*from, Cause::Manual, Open),
            Self::Permit { .. }
            | Self::PassProbe { .. }
            | Self::CountFailure { .. }
            | Self::ResetFailures
            | Self::EndWarning
            | Self::Observe { .. } => None,
        }
    }
}

/// How a breaker opens.
#[derive(Debug, Clone, PartialEq)]
pub struct Trip {
    /// Why, as a class.
    pub cause: Cause,
    /// How bad.
    pub severity: Severity,
    /// Why, in words.
    pub reason: String,
    /// Who.
    pub by: String,
    /// When it ends by itself, if it does.
    pub until: Option<DateTime<Utc>>,
    /// The score for the incident: the reported one, 1 for schema errors, 0 for a person.
    pub score: f64,
    /// The samples for the incident: the reported ones, the number of schema errors, 0 for a person.
    pub sample_count: i32,
}

/// Something that was told when it began, and is told again only after it has ended. The greater is the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// Scores above the warning threshold, but not above the drift threshold.
    NearThreshold,
    /// The breaker would have opened, were it allowed to.
    WouldTrip,
}

impl Warning {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        self.cause().as_str()
    }

    /// The warning behind a stored word.
    pub fn from_stored(word: &str) -> Option<Self> {
        [Self::NearThreshold, Self::WouldTrip].into_iter().find(|known| known.as_str() == word)
    }

    fn cause(self) -> Cause {
        match self {
            Self::NearThreshold => Cause::NearThreshold,
            Self::WouldTrip => Cause::WouldTrip,
        }
    }
}

/// What a new intent does to the end of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ends later.
    Extended,
    /// It ends earlier.
    Shortened,
    /// It ends as before; the reason is another.
    Reworded,
}

/// An event that makes no sense: nothing happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Refused {
    /// A score that is NaN, infinite or negative. A comparison would take NaN for a good one.
    Score(f64),
    /// A negative number of samples or errors.
    Count {
        /// Which one.
        argument: &'static str,
        /// What was passed.
        count: i32,
    },
    /// A text that may not be blank.
    Blank(&'static str),
    /// An end that has passed already.
    PastEnd,
    /// An end for something permanent.
    Contradiction,
    /// A setting out of range.
    Setting {
        /// Which one.
        setting: &'static str,
        /// What it has to do.
        must: &'static str,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Score(score) => {
                write!(f, "drift score must be finite and not negative, not {}", in_words(*score))
            }
            Self::Count { argument, count } => write!(f, "{argument} must not be negative, not {count}"),
            Self::Blank(argument) => write!(f, "{argument} must not be blank"),
            Self::PastEnd => f.write_str("disabled_until must lie in the future"),
            Self::Contradiction => f.write_str("a permanent disable has no disabled_until"),
            Self::Setting { setting, must } => write!(f, "{setting} must {must}"),
        }
    }
}

impl std::error::Error for Refused {}

/// A number as PostgreSQL spells it.
fn in_words(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    number.to_string()
}
