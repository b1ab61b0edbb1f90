//! How it is, at a glance: one row for each subsystem, from one look each (`sql/90_status.sql`, where the rules and every threshold are).
//!
//! A look that fails, or that would have to wait for somebody's lock, is told of in its row and keeps no other from being taken: each is a
//! subtransaction of its own. What it says is cut to a width at which a row fits a terminal of 120 columns; the views that `what_to_do` names say
//! everything. It writes nothing, so it works on a standby and in a read-only transaction. What a standby sees is the primary's trouble: bad there is
//! what keeps this server itself from answering.

use chrono::TimeDelta;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::convert;
use crate::db::{self, Refusal, Row, Statement, column, nullable};
use crate::error::{Error, Result};
use crate::guc;

/// How long a look waits for a lock: nobody holds one for longer than a moment, but for those who alter or restore a table.
const PATIENCE: TimeDelta = TimeDelta::milliseconds(250);

/// At 120 columns psql has so many characters for the two texts, beside the longest subsystem and a moment in any time zone.
const WHY: usize = 33;
const WHAT_TO_DO: usize = 30;

/// SQLSTATE of a lock that was waited for in vain.
const LOCKED: &str = "55P03";

macro_rules! look {
    ($function:literal) => {
        Statement::reading(
            concat!(
                "SELECT s.status, pg_catalog.date_trunc('second', s.since), s.why, s.what_to_do FROM @schema@.",
                $function,
                "() AS s"
            ),
            &[],
        )
    };
}

/// What is looked at, in the order in which it is shown: what must work for anything to be heard of comes first.
static LOOKS: [(&str, Statement); 15] = [
    ("worker", look!("_costsim_status_worker")),
    ("alerts", look!("_costsim_status_alerts")),
    ("targets", look!("_costsim_status_targets")),
    ("breakers", look!("_costsim_status_breakers")),
    ("leaders", look!("_costsim_status_leaders")),
    ("canary", look!("_costsim_status_canary")),
    ("drift", look!("_costsim_status_drift")),
    ("costs", look!("_costsim_status_costs")),
    ("budgets", look!("_costsim_status_budgets")),
    ("anomalies", look!("_costsim_status_anomalies")),
    ("signals", look!("_costsim_status_signals")),
    ("audit", look!("_costsim_status_audit")),
    ("coordination", look!("_costsim_status_coordination")),
    ("retention", look!("_costsim_status_retention")),
    ("version", look!("_costsim_status_version")),
];

/// What is a standby's own: the library, which may know nothing of the SQL that it was sent.
const OWN: &str = "version";

/// What a look has found.
struct Found {
    status: String,
    since: Option<TimestampWithTimeZone>,
    why: String,
    what_to_do: Option<String>,
}

impl Found {
    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            status: column(row, 1)?,
            since: nullable(row, 2)?,
            why: nullable(row, 3)?.unwrap_or_default(),
            what_to_do: nullable(row, 4)?,
        })
    }

    /// Nothing that a load balancer could mend by staying away from here.
    fn of_another_server(mut self) -> Self {
        if self.status == "bad" {
            self.status = "warn".to_owned();
        }
        self
    }

    /// The look itself has failed: nobody knows how it is. Only a lock says that somebody is at work.
    fn failed(refusal: &Refusal) -> Self {
        let (status, why) = match refusal.sqlstate.as_str() {
            LOCKED => ("warn", "somebody has locked the table".to_owned()),
            _ => ("bad", refusal.message.clone()),
        };
        let what_to_do = Some(format!("the look failed: {}", refusal.sqlstate));
        Self { status: status.to_owned(), since: None, why, what_to_do }
    }
}

/// How each subsystem fares.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
fn costsim_status() -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(subsystem, &'static str),
            name!(status, String),
            name!(since, Option<TimestampWithTimeZone>),
            name!(why, String),
            name!(what_to_do, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let mut rows = Vec::with_capacity(LOOKS.len());
    // SAFETY: reads a flag of the server.
    let is_standby = unsafe { pg_sys::RecoveryInProgress() };
    for (subsystem, look) in &LOOKS {
        let found = db::contain_within(PATIENCE, || {
            look.row(&[], Found::read)?.ok_or_else(|| Error::Internal("the look has no row".into()))
        })?
        .map(|found| if is_standby && *subsystem != OWN { found.of_another_server() } else { found })
        .unwrap_or_else(|refusal| Found::failed(&refusal));
        let what_to_do = found.what_to_do.map(|text| cut(&text, WHAT_TO_DO));
        rows.push((*subsystem, found.status, found.since, cut(&found.why, WHY), what_to_do));
    }
    Ok(TableIterator::new(rows))
}

/// A text on one line, of at most so many characters. Characters of double width count once.
fn cut(text: &str, most: usize) -> String {
    let mut line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most + 1).collect();
    if line.chars().count() > most {
        line.pop();
        line.pop();
        line.truncate(line.trim_end().len());
        line.push('…');
    }
    line
}

/// What a look needs to know and SQL cannot see.
#[pg_extern(stable, parallel_safe)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
fn _costsim_status_facts() -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(library_version, &'static str),
            name!(is_known, bool),
            name!(is_library_newer, bool),
            name!(is_listed, bool),
            name!(has_target, bool),
            name!(poll_interval, Interval),
        ),
    >,
    ErrorReport,
> {
    let installed = db::installed_version()?.unwrap_or_default();
    Ok(TableIterator::once((
        db::LIBRARY_VERSION,
        db::is_known(&installed),
        !db::is_newer(&installed),
        guc::databases().contains(&db::database_name()),
        guc::alertmanager_url().is_some(),
        convert::interval(guc::worker_poll_interval())?,
    )))
}
