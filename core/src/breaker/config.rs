//! A breaker's settings, which of them make sense together, and the ends they give to an outage.

use chrono::{DateTime, TimeDelta, Utc};

use super::model::{HalfOpening, Refused};

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
    /// Whether time alone ends an outage. Without, only a person does.
    pub auto_recover: bool,
    /// Whether reports may open a closed breaker at all; otherwise they only warn.
    pub auto_disable: bool,
    /// Whether an outage ends by a period of probing.
    pub half_open: bool,
    /// Permits in one such period.
    pub probe_permits: i32,
    /// Probes that have to pass before it closes.
    pub probe_successes: i32,
    /// How long a probe may take before it counts as failed.
    pub probe_timeout: TimeDelta,
    /// How long the period lasts when nobody probes.
    pub half_open_timeout: TimeDelta,
    /// The longest time that re-opening may lead to.
    pub max_disable_ttl: TimeDelta,
}

impl Default for Config {
    /// The reference's settings. A day is long enough to be seen by whoever comes to work, and short enough that a
    /// forgotten outage mends itself. Three probes, because one may be lucky; a minute for each, because a slow answer of a
    /// language model takes that; a week at most, because a breaker nobody looks at for longer should be removed.
    fn default() -> Self {
        Self {
            drift_threshold: 0.2,
            warning_threshold: 0.15,
            failure_threshold: 3,
            schema_error_threshold: 5,
            disable_ttl: Some(TimeDelta::hours(24)),
            auto_recover: true,
            auto_disable: true,
            half_open: false,
            probe_permits: 3,
            probe_successes: 3,
            probe_timeout: TimeDelta::minutes(1),
            half_open_timeout: TimeDelta::hours(1),
            max_disable_ttl: TimeDelta::days(7),
        }
    }
}

/// How much of a re-opening's time the jitter may take. Half as much again would let a later one be shorter than the one before.
const LARGEST_CUT: f64 = 0.2;

impl Config {
    /// Whether these settings make sense together. [`step`](super::step) is total without, but would follow them into nonsense. A
    /// warning threshold above the drift threshold means that nothing is warned of; a longest time below `disable_ttl`, that re-openings
    /// do not become longer.
    pub fn validate(&self) -> Result<(), Refused> {
        let is_score = |score: f64| score.is_finite() && score >= 0.0;
        let is_span = |span: TimeDelta| span > TimeDelta::zero();
        let rules = [
            (is_score(self.drift_threshold), "drift_threshold", "be finite and not negative"),
            (is_score(self.warning_threshold), "warning_threshold", "be finite and not negative"),
            (self.failure_threshold >= 1, "failure_threshold", "be at least 1"),
            (self.schema_error_threshold >= 1, "schema_error_threshold", "be at least 1"),
            (self.disable_ttl.is_none_or(is_span), "disable_ttl", "be positive"),
            (self.probe_permits >= 1, "probe_permits", "be at least 1"),
            (self.probe_permits <= MOST_PERMITS, "probe_permits", "be at most 1000"),
            (self.probe_successes >= 1, "probe_successes", "be at least 1"),
            (self.probe_successes <= self.probe_permits, "probe_successes", "not exceed probe_permits"),
            (is_span(self.probe_timeout), "probe_timeout", "be positive"),
            (is_span(self.half_open_timeout), "half_open_timeout", "be positive"),
            (is_span(self.max_disable_ttl), "max_disable_ttl", "be positive"),
            (!self.half_open || self.auto_recover, "half_open", "not be on while auto_recover is off"),
            (!self.half_open || self.disable_ttl.is_some(), "half_open", "not be on without a disable_ttl"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, must)) => Err(Refused::Setting { setting, must }),
            None => Ok(()),
        }
    }

    /// Whether settings that were named together make sense together. One that was left as it was contradicts nobody: it just has nothing
    /// to do.
    pub fn contradiction(&self, names_warning: bool, names_longest: bool) -> Result<(), Refused> {
        let rules = [
            (
                !names_warning || self.warning_threshold <= self.drift_threshold,
                "warning_threshold",
                "not exceed drift_threshold",
            ),
            (
                !names_longest || self.disable_ttl.is_none_or(|ttl| ttl <= self.max_disable_ttl),
                "max_disable_ttl",
                "not be shorter than disable_ttl",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, must)) => Err(Refused::Setting { setting, must }),
            None => Ok(()),
        }
    }

    /// The end of an outage that a report begins at `now`.
    pub(super) fn default_end(&self, now: DateTime<Utc>, jitter: f64) -> End {
        self.end_at(self.disable_ttl.map(|ttl| later(now, ttl)), 0, jitter)
    }

    /// The end of an outage that stays open until `at`, or for ever.
    pub(super) fn end_at(&self, at: Option<DateTime<Utc>>, reopenings: i32, jitter: f64) -> End {
        match at {
            Some(at) if self.half_open => End {
                until: Some(later(at, self.half_open_timeout)),
                half_open: Some(HalfOpening { at, reopenings, jitter }),
            },
            until => End { until, half_open: None },
        }
    }

    /// The end of an outage that a probe has opened once more at `moment`.
    pub(super) fn reopened_end(&self, before: HalfOpening, moment: DateTime<Utc>) -> End {
        let reopenings = before.reopenings.saturating_add(1);
        let at = later(moment, self.reopened_ttl(reopenings, before.jitter));
        self.end_at(Some(at), reopenings, before.jitter)
    }

    /// How long the n-th re-opening of an outage lasts: twice as long as the one before up to `max_disable_ttl`, less up to a fifth,
    /// so that breakers that opened together do not probe together, and never less than the first time. The jitter, a number in [0, 1), is one
    /// for a whole outage.
    pub fn reopened_ttl(&self, reopenings: i32, jitter: f64) -> TimeDelta {
        let base = self.disable_ttl.unwrap_or(self.max_disable_ttl);
        let most = self.max_disable_ttl.max(base);
        let doublings = u32::try_from(reopenings).unwrap_or(0).min(30);
        let nominal = base.checked_mul(1 << doublings).map_or(most, |ttl| ttl.min(most));
        let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
        let micros = nominal.num_microseconds().unwrap_or(i64::MAX);
        TimeDelta::microseconds((micros as f64 * (1.0 - LARGEST_CUT * jitter)) as i64).max(base)
    }

    pub(super) fn permit_expiry(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        later(now, self.probe_timeout)
    }
}

/// Their expiries are a column of the breaker's row.
const MOST_PERMITS: i32 = 1_000;

/// How an outage ends by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct End {
    pub until: Option<DateTime<Utc>>,
    pub half_open: Option<HalfOpening>,
}

fn later(moment: DateTime<Utc>, span: TimeDelta) -> DateTime<Utc> {
    moment.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
