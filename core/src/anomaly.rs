//! What is unusual in a series of daily spends, and why: spikes, spenders nobody knew, drift that lasts, budgets.
//!
//! Everything is computed from the series alone: what an earlier run found, or that there was none, changes nothing. A judgement is made of every
//! series, whether or not it is a finding, and says why in numbers; detection and explanation are this one computation. What a day is measured
//! against is a [`Baseline`]: a rule asks for the expectation of a day and knows nothing of how it came about, so that finer buckets or
//! seasons can join as another one.
//!
//! Promises: money is counted in millionths of a cent and compared as whole numbers, so a day exactly at a threshold has reached it; more spend
//! on the last day never makes a judgement milder; multiplying a whole series changes nothing but what the floor says. Does not: know
//! entities, days of a calendar or zones. A series counts days back from its last one.

mod budget;
mod cause;
mod drift;
mod series;
mod spike;

pub use budget::{Budget, budget};
pub use cause::{Cause, Usage, cause};
pub use drift::{DRIFT_DAYS, LONGEST_DRIFT, drift};
pub use series::{ACTIVE_DAYS, Baseline, CALENDAR_DAYS, Mean, Missing, Series, View};
pub use spike::{AT_ONCE, LONGEST_RUN, NEW_DAYS, SPIKE_DAYS, new_spender, spike};

/// Millionths of a cent.
pub type Micros = i128;

/// Millionths of a cent in one.
pub const CENT: Micros = 1_000_000;

/// How far back the series of an entity is looked at: its run, and the baseline of the day at whose end that begins, once more as of the
/// day before.
pub const ENTITY_DAYS: usize = 1 + 7 + 14 + 1;

/// The same of a tenant, for whose drift more is needed.
pub const TENANT_DAYS: usize = 1 + 27 + 28 + 1;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// To be looked at some day.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at now: somebody is told.
    High,
}

impl Severity {
    /// From the gravest on.
    pub const ALL: [Self; 3] = [Self::High, Self::Medium, Self::Low];

    /// The class of a deviation in percent. What is below every band falls into the lowest class; a rule never asks then.
    pub fn of(deviation_pct: f64) -> Self {
        if deviation_pct >= 40.0 {
            Self::High
        } else if deviation_pct >= 25.0 {
            Self::Medium
        } else {
            Self::Low
        }
    }

    /// From which deviation in percent on.
    pub fn threshold(self) -> u32 {
        match self {
            Self::Low => 15,
            Self::Medium => 25,
            Self::High => 40,
        }
    }

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}

/// What a judgement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// More on a day than on the days before.
    AbsoluteSpike,
    /// Much on a day, by whom there are too few days to compare with.
    NewSpender,
    /// More in a week than in the weeks before.
    SustainedDrift,
    /// A budget that is almost used up.
    BudgetWarning,
    /// A budget that is used up.
    BudgetExceeded,
}

impl Rule {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AbsoluteSpike => "ABSOLUTE_SPIKE",
            Self::NewSpender => "NEW_SPENDER",
            Self::SustainedDrift => "SUSTAINED_DRIFT",
            Self::BudgetWarning => "BUDGET_WARNING",
            Self::BudgetExceeded => "BUDGET_EXCEEDED",
        }
    }

    /// Whether it is about a limit and not about a series.
    pub fn is_of_budget(self) -> bool {
        matches!(self, Self::BudgetWarning | Self::BudgetExceeded)
    }
}

/// What a rule says of a series, or of a budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Which rule.
    pub rule: Rule,
    /// How grave the finding is; nothing where it is none.
    pub severity: Option<Severity>,
    /// What was spent.
    pub current: Micros,
    /// What was to be expected, where that is known.
    pub expected: Option<Mean>,
    /// How far from that, in percent; of a budget, how much of it is used; of a new spender, how much of what its tenant spends.
    pub deviation_pct: Option<f64>,
    /// Which limit was reached, or would have to be, in percent of what is expected; of a new spender, of what its tenant spends.
    pub threshold_pct: f64,
    /// For how many days it has been reached.
    pub days: u32,
    /// For how many it must be.
    pub days_needed: u32,
    /// For how many days the lowest band has been reached.
    pub watched_days: u32,
    /// Whether it is about less than the least that counts.
    pub is_small: bool,
    /// Why, in numbers.
    pub reason: String,
}

impl Judgement {
    /// Whether somebody should know.
    pub fn is_finding(&self) -> bool {
        self.severity.is_some()
    }

    fn new(rule: Rule, current: Micros) -> Self {
        Self {
            rule,
            severity: None,
            current,
            expected: None,
            deviation_pct: None,
            threshold_pct: 0.0,
            days: 0,
            days_needed: 1,
            watched_days: 0,
            is_small: false,
            reason: String::new(),
        }
    }
}

/// An amount in words.
fn shown(amount: Micros) -> String {
    format!("{:.2} cents", amount as f64 / CENT as f64)
}

/// Days in words.
fn days(count: u32) -> String {
    if count == 1 { "1 day".into() } else { format!("{count} days") }
}

/// The gravest band that holds for so many days, by `run`: how many days a threshold has been reached. Else the gravest that was reached at all.
fn gravest(needed: u32, run: impl Fn(u32) -> u32) -> (Option<Severity>, Severity, u32) {
    for severity in Severity::ALL {
        let days = run(severity.threshold());
        if days >= needed {
            return (Some(severity), severity, days);
        }
    }
    let reached = Severity::ALL.into_iter().map(|severity| (severity, run(severity.threshold())));
    let (severity, days) = reached.into_iter().find(|(_, days)| *days > 0).unwrap_or((Severity::Low, 0));
    (None, severity, days)
}
