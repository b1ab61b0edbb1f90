//! How the workers fare.

use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::shared::{self, Report, State};
use crate::db::{self, Statement, column, nullable};
use crate::error::{Error, Result as Answer};
use crate::guc;

/// A worker as the server shows it, for where there is no board.
static ACTIVITY: Statement = Statement::reading(
    "SELECT pid, query, state_change, backend_start FROM pg_catalog.pg_stat_activity
      WHERE backend_type = 'costsim worker' AND datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
      ORDER BY backend_start DESC LIMIT 1",
    &[],
);

/// The workers as they are, and why the current database has none if so.
#[pg_extern(volatile, parallel_restricted, security_definer)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
pub fn costsim_worker_status() -> Result<
    TableIterator<
        'static,
        (
            name!(database, String),
            name!(pid, Option<i32>),
            name!(state, String),
            name!(since, Option<TimestampWithTimeZone>),
            name!(last_beat, Option<TimestampWithTimeZone>),
            name!(waits_for, Option<String>),
            name!(trouble, Option<String>),
            name!(last_error, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let here = db::database_name();
    let mut rows = Vec::new();
    let reports = shared::reports();
    let is_listed = reports.iter().any(|report| report.database == here);
    for report in reports {
        let stamp =
            |at| TimestampWithTimeZone::try_from(at).map_err(|_| Error::Internal("bad timestamp".into()));
        let waits_for = waits_for(&report)?;
        rows.push((
            report.database,
            report.pid,
            report.state.word().to_owned(),
            Some(stamp(report.changed_at)?),
            Some(stamp(report.beat_at)?),
            waits_for,
            report.trouble,
            report.last_error,
        ));
    }
    if !is_listed {
        rows.push(match seen()? {
            Some(Seen { pid, activity, changed_at, started_at }) => {
                let (state, trouble) = read_activity(&activity);
                let trouble = trouble.map(str::to_owned);
                let since = changed_at.or(started_at);
                (here, Some(pid), state.word().to_owned(), since, changed_at, None, trouble.clone(), trouble)
            }
            // It does not show itself yet.
            None if shared::worker_pid().is_some() => {
                let (pid, state) = (shared::worker_pid(), State::Starting.word().to_owned());
                (here, pid, state, None, None, None, None, None)
            }
            None => {
                let (state, trouble) = absence(&here);
                (here, None, state.to_owned(), None, None, None, Some(trouble.to_owned()), None)
            }
        });
    }
    Ok(TableIterator::new(rows))
}

/// What a worker in this state waits for.
fn waits_for(report: &Report) -> Answer<Option<String>> {
    let until = match report.until {
        Some(at) => {
            let at = TimestampWithTimeZone::try_from(at)
                .map_err(|_| Error::Internal("bad timestamp".into()))?
                .to_iso_string();
            Some(at)
        }
        None => None,
    };
    Ok(match (report.state, until) {
        (State::Idle, Some(at)) => Some(format!("a commit, or {at}")),
        (State::Idle, None) => Some("a commit".to_owned()),
        (State::Sending, _) => Some("an answer of Alertmanager".to_owned()),
        (State::Blocked, Some(at)) => Some(format!("the next attempt at {at}")),
        (State::Blocked, None) => Some("the trouble to be mended".to_owned()),
        (State::Starting | State::Down, _) => None,
    })
}

/// Why a database has no worker.
fn absence(database: &str) -> (&'static str, &'static str) {
    // SAFETY: reads a flag of the server.
    if unsafe { pg_sys::RecoveryInProgress() } {
        ("in recovery", "a standby delivers nothing; its workers start when it is promoted")
    } else if !shared::is_preloaded() {
        (
            "not preloaded",
            "add costsim_pg to shared_preload_libraries and restart the server, or start a worker with costsim_worker_start()",
        )
    } else if !shared::has_launcher() {
        ("no launcher", "the launcher does not run: raise max_worker_processes and restart the server")
    } else if guc::databases().iter().any(|known| known == database) {
        ("starting", "the launcher has not come to it yet")
    } else {
        (
            "not configured",
            "name this database in costsim.databases and reload, or start a worker with costsim_worker_start()",
        )
    }
}

/// A worker that the server shows.
struct Seen {
    pid: i32,
    activity: String,
    changed_at: Option<TimestampWithTimeZone>,
    started_at: Option<TimestampWithTimeZone>,
}

fn seen() -> Answer<Option<Seen>> {
    if shared::is_preloaded() {
        return Ok(None);
    }
    ACTIVITY.row(&[], |row| {
        Ok(Seen {
            pid: column(row, 1)?,
            activity: nullable(row, 2)?.unwrap_or_default(),
            changed_at: nullable(row, 3)?,
            started_at: nullable(row, 4)?,
        })
    })
}

/// What a worker says of itself, as [`super::process::show_activity`] shows it.
fn read_activity(activity: &str) -> (State, Option<&str>) {
    if let Some(trouble) = activity.strip_prefix("costsim: blocked: ") {
        return (State::Blocked, Some(trouble));
    }
    if let Some(trouble) = activity.strip_prefix("costsim: idle: ") {
        return (State::Idle, Some(trouble));
    }
    match activity {
        "costsim: idle" => (State::Idle, None),
        "" => (State::Starting, None),
        _ => (State::Sending, None),
    }
}
