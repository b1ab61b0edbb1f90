//! What keeps tables in order, and when it last did: the tasks of `costsim_maintenance`, and the purges of rows by their age.

use std::ffi::CStr;

use chrono::TimeDelta;
use pgrx::pg_sys::BuiltinOid::{BOOLOID, INT8OID, TEXTOID};
use pgrx::prelude::*;

use crate::db::{self, Statement};
use crate::error::{Error, Result, required};
use crate::{clock, convert};

/// What is done again and again.
#[derive(Clone, Copy)]
pub enum Task {
    PurgeProvenance,
    RefreshDrift,
    PurgeCosts,
    RefreshCosts,
    DetectAnomalies,
    PurgeRuns,
    PurgeFeedback,
    PurgePredictions,
    PurgeAlerts,
    PurgeLeaderEvents,
    PurgeBreakerEvents,
    PurgeIncidents,
    PurgeCanaryReports,
    PurgeGoldenResults,
    PurgeAnomalies,
    PurgeEnvelopes,
    PurgeAuditFailures,
    PurgeBackfill,
}

static NOTE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_maintenance AS m (task, last_rows, total_rows, last_error) VALUES ($1, $2, $2, $3)
     ON CONFLICT (task) DO UPDATE
        SET last_run_at = pg_catalog.clock_timestamp(), total_rows = m.total_rows + excluded.last_rows, last_error = excluded.last_error,
            last_rows = CASE WHEN $4 THEN m.last_rows ELSE 0 END + excluded.last_rows",
    &[TEXTOID, INT8OID, TEXTOID, BOOLOID],
);

/// Notes that a task has been done, and on how many rows or hours.
pub fn note(task: Task, rows: i64) -> Result<()> {
    write(task, rows, None, false)
}

/// The same of a later step of what was noted last: its rows are added.
pub fn note_more(task: Task, rows: i64) -> Result<()> {
    write(task, rows, None, true)
}

/// Notes that a task has failed.
pub fn note_failure(task: Task, error: &str) -> Result<()> {
    write(task, 0, Some(error), false)
}

fn write(task: Task, rows: i64, error: Option<&str>, goes_on: bool) -> Result<()> {
    // The table takes no tasks but those of its own version.
    if !task.is_known()? {
        return Ok(());
    }
    NOTE.run(&[task.name().into(), rows.into(), error.into(), goes_on.into()]).map(drop)
}

impl Task {
    /// The version of the SQL that brought it.
    fn since(self) -> &'static str {
        match self {
            Self::PurgeProvenance
            | Self::RefreshDrift
            | Self::PurgeCosts
            | Self::RefreshCosts
            | Self::DetectAnomalies
            | Self::PurgeRuns
            | Self::PurgeFeedback
            | Self::PurgePredictions => "0.1.0",
            Self::PurgeAlerts
            | Self::PurgeLeaderEvents
            | Self::PurgeBreakerEvents
            | Self::PurgeIncidents
            | Self::PurgeCanaryReports
            | Self::PurgeGoldenResults
            | Self::PurgeAnomalies
            | Self::PurgeEnvelopes
            | Self::PurgeAuditFailures
            | Self::PurgeBackfill => "0.2.0",
        }
    }

    /// Whether the SQL in this database, which may be of an earlier version than the library, knows the task.
    pub fn is_known(self) -> Result<bool> {
        db::is_at_least(self.since())
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::PurgeProvenance => "purge_provenance",
            Self::RefreshDrift => "refresh_drift",
            Self::PurgeCosts => "purge_costs",
            Self::RefreshCosts => "refresh_costs",
            Self::DetectAnomalies => "detect_anomalies",
            Self::PurgeRuns => "purge_runs",
            Self::PurgeFeedback => "purge_feedback",
            Self::PurgePredictions => "purge_predictions",
            Self::PurgeAlerts => "purge_alerts",
            Self::PurgeLeaderEvents => "purge_leader_events",
            Self::PurgeBreakerEvents => "purge_breaker_events",
            Self::PurgeIncidents => "purge_incidents",
            Self::PurgeCanaryReports => "purge_canary_reports",
            Self::PurgeGoldenResults => "purge_golden_results",
            Self::PurgeAnomalies => "purge_anomalies",
            Self::PurgeEnvelopes => "purge_envelopes",
            Self::PurgeAuditFailures => "purge_audit_failures",
            Self::PurgeBackfill => "purge_backfill",
        }
    }
}

/// One step of a purge.
#[derive(Clone, Copy)]
pub struct Step {
    /// What is older goes.
    pub age: TimeDelta,
    pub max_rows: i64,
    /// Whether it goes on with what the step before has begun: its rows are noted as of one run.
    pub goes_on: bool,
}

impl Step {
    /// A purge that is one step.
    pub fn whole(age: TimeDelta, max_rows: i64) -> Self {
        Self { age, max_rows, goes_on: false }
    }

    /// Notes how many rows it has deleted.
    pub fn note(&self, task: Task, rows: i64) -> Result<()> {
        if self.goes_on { note_more(task, rows) } else { note(task, rows) }
    }
}

/// Rows that are deleted by their age.
pub struct Purge {
    pub table: &'static CStr,
    pub task: Task,
    /// Deletes what is of before a moment, the oldest first, at most so many rows.
    pub delete: &'static Statement,
}

impl Purge {
    /// Deletes rows that are older than that, at most so many, for whoever calls this function: how many.
    ///
    /// It becomes the owner only after the caller's own deferred triggers have run: as the caller.
    pub fn by_hand(
        &self,
        function: &CStr,
        older_than: Option<Interval>,
        max_rows: Option<i64>,
    ) -> Result<i64> {
        by_hand(function, older_than, max_rows, |step| self.purge(step))
    }

    /// Does one step: how many rows it has deleted.
    pub fn some(&self, step: Step) -> Result<i64> {
        db::check_deferred_constraints()?;
        self.purge(step)
    }

    /// The same as the owner already, and after what was deferred.
    pub fn purge(&self, step: Step) -> Result<i64> {
        let Some(before) = before(step.age) else { return Ok(0) };
        let rows = self.delete(before, step.max_rows)?;
        step.note(self.task, rows)?;
        Ok(rows)
    }

    /// Deletes, and notes nothing.
    pub fn delete(&self, before: TimestampWithTimeZone, max_rows: i64) -> Result<i64> {
        // An application may have put triggers of its own on the table, or own it: they must not run as whoever calls, or as the worker.
        let deleted = db::as_owner_of(db::relation(self.table)?, || {
            self.delete.run(&[before.into(), max_rows.into()])
        })?;
        Ok(convert::count(deleted))
    }
}

/// A purge by whoever calls this function, as the owner: how many rows it has deleted.
pub fn by_hand(
    function: &CStr,
    older_than: Option<Interval>,
    max_rows: Option<i64>,
    purge: impl FnOnce(Step) -> Result<i64>,
) -> Result<i64> {
    db::require_writable(function);
    let (age, max_rows) = bounds(older_than, max_rows, "Leave it out for 90 days.")?;
    // What is put off to the commit cannot be, where the server watches over what is done.
    db::check_deferred_constraints()?;
    db::as_owner(|| purge(Step::whole(age, max_rows)))
}

/// The arguments of a purge; the hint says what an age may be.
pub fn bounds(
    older_than: Option<Interval>,
    max_rows: Option<i64>,
    hint: &'static str,
) -> Result<(TimeDelta, i64)> {
    let older_than = convert::span(required(older_than, "older_than")?);
    let max_rows = required(max_rows, "max_rows")?;
    if older_than < TimeDelta::zero() {
        return Err(Error::invalid("older_than must not be negative", hint));
    }
    if max_rows < 1 {
        return Err(Error::invalid("max_rows must be at least 1", "Leave it out for 10,000."));
    }
    Ok((older_than, max_rows))
}

/// The moment that was so long ago. Older than the calendar is nothing.
pub fn before(age: TimeDelta) -> Option<TimestampWithTimeZone> {
    clock::now().checked_sub_signed(age).and_then(|before| convert::timestamptz(before).ok())
}
