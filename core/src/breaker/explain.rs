//! Why a breaker stands where it stands, in lines for whoever asks at night: the numbers that were compared, and with what.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

use super::config::Config;
use super::model::{HalfOpening, Outage, Phase, Probing, State, Warning};
use super::timed::as_of;
use super::transition::{Cause, Standing};

/// The latest step of a breaker, as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct LastEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// Where to.
    pub to: String,
    /// Why, as a class.
    pub cause: String,
    /// Who.
    pub actor: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// The score that decided.
    pub score: Option<f64>,
    /// Over how many samples; for schema errors their number.
    pub sample_count: Option<i32>,
    /// Failures in a row, this one included.
    pub failures: Option<i32>,
    /// The settings that were in force, as an object.
    pub config: Value,
}

/// The arithmetic of the last decision, one fact per line: where the breaker stands now, what brought it there, what has been counted
/// since, and which settings change the usual course.
pub fn explain(
    name: &str,
    state: &State,
    config: &Config,
    last: Option<&LastEvent>,
    now: DateTime<Utc>,
) -> Vec<String> {
    let current = as_of(state, config, now);
    let mut lines = vec![standing(name, &current.phase, config, now)];
    if current.phase != state.phase {
        lines.push(
            "time has brought it here; the next call that writes, or the worker, writes that down".into(),
        );
    }
    lines.extend(last.map(decision));
    lines.extend(counted(&current, config));
    if !config.auto_disable {
        lines.push("auto_disable is off: reports warn and never open it".into());
    }
    if !config.auto_recover {
        lines.push("auto_recover is off: only a person closes it".into());
    }
    lines
}

fn standing(name: &str, phase: &Phase, config: &Config, now: DateTime<Utc>) -> String {
    match phase {
        Phase::Closed => format!("{name} is closed: work flows"),
        Phase::Open(outage) => {
            format!("{name} is open since {}, {}", stamp(outage.since), end(outage, config, now))
        }
        Phase::HalfOpen(outage, probing) => {
            let Probing { since, outstanding, passed } = probing;
            let permits = if config.auto_recover { i64::from(config.probe_permits) } else { 0 };
            let left = permits - i64::from(*passed) - i64::try_from(outstanding.len()).unwrap_or(i64::MAX);
            format!(
                "{name} is half-open since {}: {passed} of {} probes passed, {} on their way, {} more may come; {}",
                stamp(*since),
                config.probe_successes,
                outstanding.len(),
                left.max(0),
                end(outage, config, now)
            )
        }
    }
}

fn end(outage: &Outage, config: &Config, now: DateTime<Utc>) -> String {
    let Some(until) = outage.until.filter(|_| config.auto_recover) else {
        return "until it is enabled by hand".into();
    };
    let closes = format!("time alone closes it at {} (in {})", stamp(until), span(until - now));
    match outage.half_open {
        Some(HalfOpening { at, .. }) if at > now => {
            format!("probes may come from {} (in {}), {closes}", stamp(at), span(at - now))
        }
        _ => closes,
    }
}

/// What the latest recorded step compared.
fn decision(event: &LastEvent) -> String {
    let setting = |name: &str| event.config.get(name).map_or_else(|| "?".into(), Value::to_string);
    let score = event.score.unwrap_or_default();
    let count = event.sample_count.unwrap_or_default();
    let is = |cause: Cause| event.cause == cause.as_str();
    let what = if is(Cause::Drift) {
        format!(
            "drift score {score:?} > drift_threshold {}, failure {} in a row >= failure_threshold {}",
            setting("drift_threshold"),
            event.failures.unwrap_or_default(),
            setting("failure_threshold")
        )
    } else if is(Cause::Judged) {
        format!(
            "{}; failure {} in a row >= failure_threshold {}",
            event.reason.as_deref().unwrap_or("judged bad"),
            event.failures.unwrap_or_default(),
            setting("failure_threshold")
        )
    } else if is(Cause::SchemaErrors) {
        format!(
            "{count} schema errors in one report >= schema_error_threshold {}",
            setting("schema_error_threshold")
        )
    } else if is(Cause::NearThreshold) {
        format!(
            "drift score {score:?} > warning_threshold {}, but not > drift_threshold {}",
            setting("warning_threshold"),
            setting("drift_threshold")
        )
    } else {
        event.reason.clone().unwrap_or_else(|| "no reason was given".into())
    };
    let by = event.actor.as_deref().unwrap_or("nobody known");
    format!("{} at {} by {by} ({}): {what}", event.to, stamp(event.at), event.cause)
}

/// What has been counted and may decide next.
fn counted(state: &State, config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    if state.consecutive_failures > 0 {
        let latest = state.last_failure_at.zip(state.last_score).map_or_else(String::new, |(at, score)| {
            format!("; the latest at {}: drift score {score:?}", stamp(at))
        });
        let failures = if state.consecutive_failures == 1 { "failure" } else { "failures" };
        lines.push(format!(
            "{} {failures} in a row, failure_threshold {}{latest}",
            state.consecutive_failures, config.failure_threshold
        ));
    }
    match state.warning.filter(|_| state.phase.standing() == Standing::Closed) {
        None => {}
        Some(Warning::NearThreshold) => lines.push(format!(
            "warning: scores are above warning_threshold {}, but not above drift_threshold {}",
            config.warning_threshold, config.drift_threshold
        )),
        Some(Warning::WouldTrip) => lines.push("warning: it would have opened, were auto_disable on".into()),
    }
    lines
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Hours, minutes and seconds.
fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
