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
static LEADER_EVENT_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(365 * 86_400);
static BREAKER_EVENT_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static INCIDENT_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static CANARY_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static GOLDEN_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static ANOMALY_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(400 * 86_400);
static ENVELOPE_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static AUDIT_FAILURE_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static BACKFILL_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(30 * 86_400);

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
    define_number(
        c"costsim.leader_event_retention",
        c"How long the worker keeps what became of leaders.",
        c"Counted from when it came to pass; 0 keeps it for ever. What became of the latest term of a lock id stays, and so do epochs, which are not here. Default: 365 days, for nothing is computed from it.",
        &LEADER_EVENT_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.breaker_event_retention",
        c"How long the worker keeps what happened to breakers.",
        c"Counted from when it was written down; 0 keeps it for ever. The last decision about a breaker stays, and so does what belongs to an incident that is not over. Default: 0, for it proves by which settings was decided.",
        &BREAKER_EVENT_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.incident_retention",
        c"How long the worker keeps incidents that are over.",
        c"Counted from when they were resolved; 0 keeps them for ever. Default: 0, for an outage is on record until somebody decides otherwise.",
        &INCIDENT_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.canary_retention",
        c"How long the worker keeps canary reports.",
        c"With their samples, and with what golden sets said in their runs. Counted from when the run began; 0 keeps them for ever. Reports since the last run that passed stay, and so does the latest: how many failed in a row is counted from them. Default: 0, for a verdict is on record until somebody decides otherwise.",
        &CANARY_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.golden_retention",
        c"How long the worker keeps what golden sets said.",
        c"Counted from when they were asked; 0 keeps it for ever. Default: 0, for a verdict is on record until somebody decides otherwise.",
        &GOLDEN_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.anomaly_retention",
        c"How long the worker keeps cost anomalies that are over.",
        c"Counted from when they were resolved; of breaches and drifts that have ended from their day; 0 keeps them for ever. What is open is never removed. Default: 400 days, a year and a month beside it, for nothing is computed from them.",
        &ANOMALY_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.envelope_retention",
        c"How long the worker keeps envelopes that have ended.",
        c"Counted from when they ended; 0 keeps them for ever. What is active is never removed, nor is the audit. Default: 0, for envelopes and audit can be held beside each other.",
        &ENVELOPE_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.audit_failure_retention",
        c"How long the worker keeps dead letters of the audit that were written after all.",
        c"Counted from when they were; 0 keeps them for ever. One that waits is never removed, nor is one of the last 24 hours. Default: 0, for it proves why a record came late.",
        &AUDIT_FAILURE_RETENTION,
        (0, 3_650 * 86_400),
        GucFlags::UNIT_S,
    );
    define_number(
        c"costsim.backfill_retention",
        c"How long the worker keeps records of a backfill that are done.",
        c"Counted from when they were inserted or skipped; 0 keeps them for ever. What is staged, or was refused, is never removed. Default: 30 days, for what they say is in costsim_provenance by then.",
        &BACKFILL_RETENTION,
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

/// How long what became of leaders is kept; zero: for ever.
pub fn leader_event_retention() -> TimeDelta {
    seconds(&LEADER_EVENT_RETENTION)
}

/// How long what happened to breakers is kept; zero: for ever.
pub fn breaker_event_retention() -> TimeDelta {
    seconds(&BREAKER_EVENT_RETENTION)
}

/// How long incidents that are over are kept; zero: for ever.
pub fn incident_retention() -> TimeDelta {
    seconds(&INCIDENT_RETENTION)
}

/// How long canary reports are kept; zero: for ever.
pub fn canary_retention() -> TimeDelta {
    seconds(&CANARY_RETENTION)
}

/// How long what golden sets said is kept; zero: for ever.
pub fn golden_retention() -> TimeDelta {
    seconds(&GOLDEN_RETENTION)
}

/// How long cost anomalies that are over are kept; zero: for ever.
pub fn anomaly_retention() -> TimeDelta {
    seconds(&ANOMALY_RETENTION)
}

/// How long envelopes that have ended are kept; zero: for ever.
pub fn envelope_retention() -> TimeDelta {
    seconds(&ENVELOPE_RETENTION)
}

/// How long dead letters of the audit that were written after all are kept; zero: for ever.
pub fn audit_failure_retention() -> TimeDelta {
    seconds(&AUDIT_FAILURE_RETENTION)
}

/// How long records of a backfill that are done are kept; zero: for ever.
pub fn backfill_retention() -> TimeDelta {
    seconds(&BACKFILL_RETENTION)
}
