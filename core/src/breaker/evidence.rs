//! What a report says about the model, whatever the breaker's phase: the counting, apart from the drawing.
//!
//! Another way to count (a window of calls, a rate) is another arm here, with its own memory in [`State`]; the drawing knows only the
//! [`Finding`].

use chrono::{DateTime, Utc};

use super::config::Config;
use super::model::{Effect, Severity, State, Warning};
use super::transition::Cause;

/// What a report comes to.
pub(super) enum Finding {
    /// The model is well.
    Good {
        /// Its score, if it is near the threshold.
        near: Option<f64>,
    },
    /// It is not.
    Bad(Evidence),
    /// Nothing can be said.
    Nothing,
}

/// What speaks against the model.
pub(super) struct Evidence {
    pub cause: Cause,
    pub severity: Severity,
    pub reason: String,
    /// The reported score, or 1 for schema errors.
    pub score: f64,
    /// The samples, or the number of schema errors.
    pub sample_count: i32,
    /// Whether it opens a closed breaker.
    pub is_enough: bool,
}

/// Weighs a drift report and counts it.
pub(super) fn drift(
    state: &mut State,
    config: &Config,
    score: f64,
    sample_count: i32,
    now: DateTime<Utc>,
    effects: &mut Vec<Effect>,
) -> Finding {
    if score > config.drift_threshold {
        let failure = (Cause::Drift, trip_reason(score, config.drift_threshold));
        return count(state, config, failure, (score, sample_count), now, effects);
    }
    reset(state, effects);
    Finding::Good { near: (score > config.warning_threshold).then_some(score) }
}

/// Counts what somebody says who has weighed it already.
pub(super) fn judgement(
    state: &mut State,
    config: &Config,
    bad: Option<&String>,
    (score, sample_count): (f64, i32),
    now: DateTime<Utc>,
    effects: &mut Vec<Effect>,
) -> Finding {
    if let Some(reason) = bad {
        return count(state, config, (Cause::Judged, reason.clone()), (score, sample_count), now, effects);
    }
    reset(state, effects);
    Finding::Good { near: None }
}

/// Counts one failure more.
fn count(
    state: &mut State,
    config: &Config,
    (cause, reason): (Cause, String),
    (score, sample_count): (f64, i32),
    now: DateTime<Utc>,
    effects: &mut Vec<Effect>,
) -> Finding {
    state.consecutive_failures = state.consecutive_failures.saturating_add(1);
    state.last_failure_at = Some(now);
    state.last_score = Some(score);
    effects.push(Effect::CountFailure { failures: state.consecutive_failures });
    Finding::Bad(Evidence {
        cause,
        severity: Severity::P1,
        reason,
        score,
        sample_count,
        is_enough: state.consecutive_failures >= config.failure_threshold,
    })
}

/// Begins to count anew.
fn reset(state: &mut State, effects: &mut Vec<Effect>) {
    if state.consecutive_failures > 0 {
        state.consecutive_failures = 0;
        effects.push(Effect::ResetFailures);
    }
}

/// Weighs a report of schema errors, which is never added to another.
pub(super) fn schema_errors(config: &Config, count: i32) -> Finding {
    if count < config.schema_error_threshold {
        return Finding::Nothing;
    }
    Finding::Bad(Evidence {
        cause: Cause::SchemaErrors,
        severity: Severity::P3,
        reason: schema_reason(count, config.schema_error_threshold),
        score: 1.0,
        sample_count: count,
        is_enough: true,
    })
}

/// Begins a warning, unless it or a worse one is on already.
pub(super) fn warn(
    state: &mut State,
    warning: Warning,
    reason: String,
    (score, sample_count): (f64, i32),
    effects: &mut Vec<Effect>,
) {
    if state.warning < Some(warning) {
        state.warning = Some(warning);
        effects.push(Effect::Warn { warning, reason, score, sample_count });
    }
}

/// Ends whatever warning is on.
pub(super) fn end_warning(state: &mut State, effects: &mut Vec<Effect>) {
    if state.warning.take().is_some() {
        effects.push(Effect::EndWarning);
    }
}

/// The reason recorded when drift opens the breaker.
pub fn trip_reason(score: f64, threshold: f64) -> String {
    format!("drift score {score:.4} is above the threshold {threshold:.4}")
}

/// The reason recorded when schema errors open the breaker.
pub fn schema_reason(count: i32, threshold: i32) -> String {
    let errors = if count == 1 { "error" } else { "errors" };
    format!("{count} schema {errors} in one report, threshold {threshold}")
}

/// The reason recorded when scores come near the threshold.
pub fn warning_reason(score: f64, threshold: f64) -> String {
    format!("drift score {score:.4} is above the warning threshold {threshold:.4}")
}
