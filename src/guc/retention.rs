//! How long rows are kept: one setting for each kind that ends.

use chrono::TimeDelta;
use pgrx::guc::{GucFlags, GucSetting};

use super::define::{define_number, seconds};

static ALERT_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 86_400);
static PROVENANCE_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static COST_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static RUN_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static FEEDBACK_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static PREDICTION_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);

/// Defines them.
pub(super) fn init() {
    define_number(
        c"costsim.alert_retention",
        c"How long the worker keeps alerts that are over.",
        c"Counted from when a queued alert was sent, given up or cancelled, and a fired one resolved; 0 keeps them for ever. What is pending or fires is never removed. Default: 30 days.",
        &ALERT_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.provenance_retention",
        c"How long the worker keeps provenance.",
        c"Counted from created_at; 0 keeps it for ever. What is purged is gone from drift statistics, too. Default: 0, for a record is kept until somebody decides otherwise.",
        &PROVENANCE_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.cost_retention",
        c"How long the worker keeps cost records.",
        c"Counted from created_at; 0 keeps them for ever. What purged records came to stays in the roll-ups; single requests, and windows that cut a quarter of an hour, lose them. Default: 0, for a record is kept until somebody decides otherwise.",
        &COST_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.run_retention",
        c"How long the worker keeps runs of workers that have ended.",
        c"Counted from created_at, of costsim_worker_runs alone: an application's own table is never touched. 0 keeps them for ever. Default: 0, for a run is kept until somebody decides otherwise.",
        &RUN_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.feedback_retention",
        c"How long the worker keeps what patterns were found.",
        c"Counted from last_seen; 0 keeps it for ever. Default: 0, for feedback is kept until somebody decides otherwise.",
        &FEEDBACK_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.prediction_retention",
        c"How long the worker keeps predictions.",
        c"Counted from expires_at; 0 keeps them for ever. Default: 0, for a prediction is kept, with what came of it, until somebody decides otherwise.",
        &PREDICTION_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
}

/// How long what is over is kept; zero: for ever.
pub fn alert_retention() -> TimeDelta {
    seconds(&ALERT_RETENTION)
}

/// The age up to which the worker keeps cost records; zero: any.
pub fn cost_retention() -> TimeDelta {
    seconds(&COST_RETENTION)
}

/// How long runs that have ended are kept; zero: for ever.
pub fn run_retention() -> TimeDelta {
    seconds(&RUN_RETENTION)
}

/// How long what was found of patterns is kept; zero: for ever.
pub fn feedback_retention() -> TimeDelta {
    seconds(&FEEDBACK_RETENTION)
}

/// How long predictions are kept; zero: for ever.
pub fn prediction_retention() -> TimeDelta {
    seconds(&PREDICTION_RETENTION)
}

/// How long provenance is kept; zero: for ever.
pub fn provenance_retention() -> TimeDelta {
    seconds(&PROVENANCE_RETENTION)
}
