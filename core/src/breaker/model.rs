//! The words of the circuit breaker: what it remembers, what happens to it, what has to be done. Rules that belong to one
//! word alone (a term, a severity, a set of settings) stand here too; what they do to each other is `step`'s.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

/// What a breaker remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Closed or open.
    pub phase: Phase,
    /// Bad drift reports since the last good one; stays at its largest value rather than overflow.
    pub consecutive_failures: i32,
    /// The last bad drift report; survives recovery, because it is history.
    pub last_failure_at: Option<DateTime<Utc>>,
}

/// Where a breaker stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Work flows.
    Closed,
    /// Work is held back.
    Open(Outage),
}

/// What is known of an open breaker.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// When it opened.
    pub since: DateTime<Utc>,
    /// When it ends by itself; nothing means that a person has to end it.
    pub until: Option<DateTime<Utc>>,
    /// The severity of its incident; nothing when a hand outside has opened the breaker without writing one.
    pub incident: Option<Severity>,
    /// What the last person to disable it asked for; nothing when no person did.
    pub intent: Option<Intent>,
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

/// Why a breaker opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Too many bad drift reports in a row.
    Drift,
    /// Too many schema errors in one report.
    SchemaErrors,
    /// A person.
    Manual,
}

/// A breaker's settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// A score strictly above counts as a failure.
    pub drift_threshold: f64,
    /// A score strictly above, but not above the drift threshold, warns.
    pub warning_threshold: f64,
    /// Failures in a row that open the breaker.
    pub failure_threshold: i32,
    /// Schema errors in a single report that open it.
    pub schema_error_threshold: i32,
    /// How long it stays open when nobody says otherwise; nothing means until a person closes it.
    pub disable_ttl: Option<TimeDelta>,
    /// Whether it closes by itself once its end has passed.
    pub auto_recover: bool,
    /// Whether reports may open it at all; otherwise they only warn.
    pub auto_disable: bool,
}

impl Default for Config {
    /// The reference's settings. A day is long enough to be seen by whoever comes to work, and short enough that a
    /// forgotten outage mends itself.
    fn default() -> Self {
        Self {
            drift_threshold: 0.2,
            warning_threshold: 0.15,
            failure_threshold: 3,
            schema_error_threshold: 5,
            disable_ttl: Some(TimeDelta::hours(24)),
            auto_recover: true,
            auto_disable: true,
        }
    }
}

impl Config {
    /// Whether these settings make sense together. [`step`](super::step) is total without, but would follow them into nonsense.
    pub fn validate(&self) -> Result<(), Refused> {
        let is_score = |score: f64| score.is_finite() && score >= 0.0;
        let rules = [
            (is_score(self.drift_threshold), "drift_threshold", "be finite and not negative"),
            (is_score(self.warning_threshold), "warning_threshold", "be finite and not negative"),
            (
                self.warning_threshold <= self.drift_threshold,
                "warning_threshold",
                "not exceed drift_threshold",
            ),
            (self.failure_threshold >= 1, "failure_threshold", "be at least 1"),
            (self.schema_error_threshold >= 1, "schema_error_threshold", "be at least 1"),
            (self.disable_ttl.is_none_or(|ttl| ttl > TimeDelta::zero()), "disable_ttl", "be positive"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, must)) => Err(Refused::Setting { setting, must }),
            None => Ok(()),
        }
    }

    pub(super) fn default_end(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let later = |ttl| now.checked_add_signed(ttl).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.disable_ttl.map(later)
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
    /// Time has passed.
    Tick,
}

/// What has to be done, in this order, with the new state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The end has passed: resolve the incident in the name of [`RECOVERED_BY`](super::RECOVERED_BY) and resolve its alert.
    Recover {
        /// The end that passed.
        due: DateTime<Utc>,
    },
    /// The failure counter has grown.
    CountFailure {
        /// To this value.
        failures: i32,
    },
    /// The failure counter is zero again.
    ResetFailures,
    /// Tell someone, change nothing.
    Warn(Warning),
    /// Open: write an incident and fire its alert.
    Trip(Trip),
    /// The breaker is open but has no incident: write one.
    Adopt {
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
        /// What it was.
        from: Severity,
        /// What it is.
        to: Severity,
    },
    /// A person wants the open breaker open in another way.
    ChangeDisable {
        /// What it does to the end.
        change: Change,
        /// The new end.
        until: Option<DateTime<Utc>>,
        /// Why.
        reason: String,
        /// Who.
        by: String,
    },
    /// A person closes it: resolve the incident in their name and resolve its alert.
    Close {
        /// Why, if they said.
        reason: Option<String>,
        /// Who.
        by: String,
    },
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

/// Something worth telling that changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// A score above the warning threshold, but not above the drift threshold.
    NearThreshold {
        /// The score.
        score: f64,
    },
    /// The breaker would have opened, were it allowed to.
    WouldTrip {
        /// How bad the incident would be.
        severity: Severity,
        /// Why, in words.
        reason: String,
    },
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
