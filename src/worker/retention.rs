//! What ends after a while: one list of what is purged, by which setting, and when it is done.
//!
//! Once an hour each kind is deleted that is older than its setting says, the oldest first, a bounded number of rows in a transaction of its own, with
//! a breath between two. Nobody is waited for: rows that somebody holds are passed by, and a table that somebody has locked is tried again after a
//! minute. What was done is noted in the same transaction, so that a worker that is killed leaves nothing half done and nothing untold.
//! A setting that has changed is heard at once.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::process;
use super::upkeep::{BREATH, Due, HOURLY, SETBACK, contained};
use crate::alert::store::upkeep;
use crate::error::{Error, Result};
use crate::maintenance::{self, Step, Task};
use crate::{
    anomaly, audit, breaker, canary, clock, convert, coordination, cost, golden, guc, leader, pattern,
    prediction, provenance, run,
};

/// Rows at a time: alerts wait as long as a step takes.
const AT_ONCE: i64 = 5_000;

/// Of alerts, so many rows at a time.
const CLEARED_AT_ONCE: i64 = 1_000;
const LOOKED_AT_AT_ONCE: i64 = 10_000;

/// Canary reports at a time: each has up to as many samples as the run took.
const REPORTS_AT_ONCE: i64 = 20;

/// Rows of one kind that end.
struct Kind {
    setting: &'static str,
    task: Task,
    /// What the worker is doing meanwhile.
    name: &'static str,
    keeps: fn() -> TimeDelta,
    way: Way,
    at_once: i64,
}

/// How rows of a kind go.
enum Way {
    /// Deletes some: how many.
    Purge(fn(Step) -> Result<i64>),
    /// The queue is walked by its numbers.
    Alerts,
}

const fn kind(
    setting: &'static str,
    task: Task,
    name: &'static str,
    keeps: fn() -> TimeDelta,
    purge: fn(Step) -> Result<i64>,
) -> Kind {
    Kind { setting, task, name, keeps, way: Way::Purge(purge), at_once: AT_ONCE }
}

static KINDS: [Kind; 15] = [
    Kind {
        setting: "costsim.alert_retention",
        task: Task::PurgeAlerts,
        name: "clearing alerts",
        keeps: guc::alert_retention,
        way: Way::Alerts,
        at_once: LOOKED_AT_AT_ONCE,
    },
    kind(
        "costsim.provenance_retention",
        Task::PurgeProvenance,
        "purging provenance",
        guc::provenance_retention,
        provenance::purge_some,
    ),
    kind(
        "costsim.cost_retention",
        Task::PurgeCosts,
        "purging cost records",
        guc::cost_retention,
        cost::purge_some,
    ),
    kind("costsim.run_retention", Task::PurgeRuns, "purging runs", guc::run_retention, run::purge_some),
    kind(
        "costsim.feedback_retention",
        Task::PurgeFeedback,
        "purging feedback",
        guc::feedback_retention,
        pattern::purge_some,
    ),
    kind(
        "costsim.prediction_retention",
        Task::PurgePredictions,
        "purging predictions",
        guc::prediction_retention,
        prediction::purge_some,
    ),
    kind(
        "costsim.leader_event_retention",
        Task::PurgeLeaderEvents,
        "purging events of leaders",
        guc::leader_event_retention,
        leader::purge_some,
    ),
    // Events before incidents: those of an incident that is over go with it, where both are as old.
    kind(
        "costsim.breaker_event_retention",
        Task::PurgeBreakerEvents,
        "purging events of breakers",
        guc::breaker_event_retention,
        breaker::purge_some_events,
    ),
    kind(
        "costsim.incident_retention",
        Task::PurgeIncidents,
        "purging incidents",
        guc::incident_retention,
        breaker::purge_some_incidents,
    ),
    Kind {
        at_once: REPORTS_AT_ONCE,
        ..kind(
            "costsim.canary_retention",
            Task::PurgeCanaryReports,
            "purging canary reports",
            guc::canary_retention,
            canary::purge_some,
        )
    },
    kind(
        "costsim.golden_retention",
        Task::PurgeGoldenResults,
        "purging golden results",
        guc::golden_retention,
        golden::purge_some,
    ),
    kind(
        "costsim.anomaly_retention",
        Task::PurgeAnomalies,
        "purging anomalies",
        guc::anomaly_retention,
        anomaly::purge_some,
    ),
    kind(
        "costsim.envelope_retention",
        Task::PurgeEnvelopes,
        "purging envelopes",
        guc::envelope_retention,
        coordination::purge_some,
    ),
    kind(
        "costsim.audit_failure_retention",
        Task::PurgeAuditFailures,
        "purging dead letters",
        guc::audit_failure_retention,
        audit::purge_some_letters,
    ),
    kind(
        "costsim.backfill_retention",
        Task::PurgeBackfill,
        "purging staged records",
        guc::backfill_retention,
        provenance::purge_some_staged,
    ),
];

/// When each kind is purged next.
pub struct Retention(Vec<Round>);

/// How far the purge of a kind has come.
struct Round {
    kind: &'static Kind,
    due: Due,
    /// What the setting said when it was last looked at.
    age: TimeDelta,
    /// Whether the next step goes on with a run that has begun.
    goes_on: bool,
    /// The number up to which the queue of alerts was cleared.
    cleared_to: i64,
}

impl Retention {
    /// Everything is due after this pause.
    pub fn after(pause: Duration) -> Self {
        let round = |kind: &'static Kind| Round {
            kind,
            due: Due::after(pause, kind.name, Some(kind.task)),
            age: (kind.keeps)(),
            goes_on: false,
            cleared_to: i64::MIN,
        };
        Self(KINDS.iter().map(round).collect())
    }

    /// When the next step of any kind is due.
    pub fn at(&self) -> Instant {
        let next = self.0.iter().map(|round| round.due.at).min();
        next.unwrap_or_else(|| Instant::now() + HOURLY)
    }

    /// After a reload: what has another setting now is due.
    pub fn hear_of_settings(&mut self) {
        for round in &mut self.0 {
            let age = (round.kind.keeps)();
            if std::mem::replace(&mut round.age, age) != age {
                round.due.at = Instant::now();
                round.goes_on = false;
            }
        }
    }

    /// Does a step of the kind that has waited longest, if it is due: alerts wait for no more than one.
    pub fn step(&mut self) -> Result<()> {
        let now = Instant::now();
        for round in self.0.iter_mut().filter(|round| round.is_kept() && round.due.at <= now) {
            round.due.at = now + HOURLY;
        }
        self.0.iter_mut().min_by_key(|round| round.due.at).map_or(Ok(()), Round::step)
    }
}

impl Round {
    fn step(&mut self) -> Result<()> {
        if self.due.at > Instant::now() {
            return Ok(());
        }
        let rest = self.purge()?;
        self.due.at = Instant::now() + rest;
        Ok(())
    }

    /// Whether rows of this kind are kept for ever. What alerts are owed is forgotten all the same.
    fn is_kept(&self) -> bool {
        self.age.is_zero() && !matches!(self.kind.way, Way::Alerts)
    }

    /// Does a step in a transaction of its own: how long there is nothing to do.
    fn purge(&mut self) -> Result<Duration> {
        process::show_activity(&format!("costsim: {}", self.kind.name));
        let step = Step { age: self.age, max_rows: self.kind.at_once, goes_on: self.goes_on };
        // Whatever comes next but more of the same is a run of its own.
        self.goes_on = false;
        let (kind, cleared_to) = (self.kind, &mut self.cleared_to);
        let has_more = contained(|| match kind.way {
            // Until the extension is updated nothing goes that its version would have kept.
            Way::Purge(_) if !kind.task.is_known()? => Ok(Some(false)),
            Way::Purge(purge) => match purge(step) {
                // Somebody else has its turn: who it is stands where the purge is noted.
                Err(Error::LockHeld { lock_id, detail, .. }) => {
                    let why = format!("55P03: lock {lock_id} is held: {detail}");
                    maintenance::note_failure(kind.task, &why).map(|()| None)
                }
                rows => Ok(Some(rows? >= step.max_rows)),
            },
            Way::Alerts => clear_alerts(step, cleared_to).map(Some),
        })?;
        match has_more {
            Some(Ok(None)) => Ok(SETBACK),
            Some(Ok(Some(has_more))) => {
                self.due.trouble = None;
                self.goes_on = has_more;
                Ok(if self.goes_on { BREATH } else { HOURLY })
            }
            Some(Err(refusal)) => {
                self.due.regret(format!("{}: {}", refusal.sqlstate, refusal.message))?;
                Ok(SETBACK)
            }
            None => {
                let why = "55P03: somebody holds a lock for too long";
                contained(|| maintenance::note_failure(self.kind.task, why))?;
                Ok(SETBACK)
            }
        }
    }
}

/// Removes some of the alerts that are over for long, behind number `cleared_to`: whether there may be more.
fn clear_alerts(step: Step, cleared_to: &mut i64) -> Result<bool> {
    let over = ["sent", "failed", "cancelled"].map(str::to_owned);
    let owed_since = clock::now() - guc::alert_retry_window().max(TimeDelta::hours(1));
    let forgotten = upkeep::forget_old(owed_since, CLEARED_AT_ONCE)?;
    if step.age.is_zero() {
        return Ok(forgotten > 0);
    }
    let fired = upkeep::purge_fired(step.age, CLEARED_AT_ONCE)?;
    let (queued, last) = upkeep::purge_queued(&over, step.age, *cleared_to, step.max_rows)?;
    *cleared_to = last.unwrap_or(i64::MIN);
    step.note(Task::PurgeAlerts, convert::count(fired) + queued)?;
    Ok(forgotten + fired > 0 || last.is_some())
}

/// What ends after a while, and by which setting; keeps is NULL where it does not.
#[pg_extern(stable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn _costsim_retentions() -> std::result::Result<
    TableIterator<'static, (name!(task, String), name!(setting, String), name!(keeps, Option<Interval>))>,
    ErrorReport,
> {
    let rows = KINDS
        .iter()
        .map(|kind| {
            let keeps = (kind.keeps)();
            let keeps = if keeps.is_zero() { None } else { Some(convert::interval(keeps)?) };
            Ok((kind.task.name().to_owned(), kind.setting.to_owned(), keeps))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(TableIterator::new(rows))
}
