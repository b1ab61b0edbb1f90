//! A breaker's row as core sees it, whoever wrote it: the application's ORM knows only the columns it always had.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::breaker::{
    Config, HalfOpening, Intent, Outage, Phase, Probing, Severity, Standing, State, Term, Warning,
};
use pgrx::prelude::*;

use crate::convert;
use crate::db::{Row, column, nullable};
use crate::error::Result;

/// What is stored of one breaker.
#[derive(Clone, PartialEq)]
pub struct Stored {
    pub state: State,
    pub config: Config,
    pub disabled_by: Option<String>,
    pub disabled_reason: Option<String>,
    pub incident_id: Option<String>,
}

impl Default for Stored {
    /// A breaker that nothing has happened to.
    fn default() -> Self {
        Self {
            state: State::QUIET,
            config: Config::default(),
            disabled_by: None,
            disabled_reason: None,
            incident_id: None,
        }
    }
}

/// What is read of the open incident.
pub struct OpenIncident {
    pub id: String,
    pub severity: String,
    pub at: Option<DateTime<Utc>>,
}

/// The columns that [`read`] takes from a row of costsim_cb_state, by their alias `s`.
macro_rules! columns {
    () => {
        "s.name, s.disabled, s.disabled_until, s.disabled_by, s.disabled_reason, s.opened_at, s.updated_at, s.requested_term,
         s.requested_until, s.consecutive_failures, s.last_failure_at, s.last_score, s.warning, s.half_open_at, s.half_open_since,
         s.reopenings, s.ttl_jitter, s.probes, s.probes_passed, s.drift_threshold, s.warning_threshold, s.failure_threshold,
         s.schema_error_threshold, s.disable_ttl, s.auto_recover, s.auto_disable, s.half_open, s.probe_permits, s.probe_successes,
         s.probe_timeout, s.half_open_timeout, s.max_disable_ttl,
         s.incident_id, s.opened_incident_id"
    };
}
pub(super) use columns;

/// How many those are.
pub const COLUMNS: i32 = 34;

/// The name and the whole of a breaker from a row that begins with [`columns`].
pub fn read(row: &Row<'_>, incident: Option<OpenIncident>) -> Result<(String, Stored)> {
    let is_disabled: bool = column(row, 2)?;
    let disabled_reason: Option<String> = nullable(row, 5)?;
    let phase =
        if is_disabled { phase(row, disabled_reason.as_deref(), incident.as_ref())? } else { Phase::Closed };
    let warning: Option<String> = nullable(row, 13)?;
    let stored = Stored {
        state: State {
            phase,
            consecutive_failures: column::<i32>(row, 10)?.max(0),
            last_failure_at: moment(row, 11)?,
            last_score: nullable(row, 12)?,
            warning: warning.as_deref().and_then(Warning::from_stored),
        },
        config: config(row)?,
        disabled_by: nullable(row, 4)?,
        disabled_reason,
        incident_id: incident.map(|incident| incident.id),
    };
    Ok((column(row, 1)?, stored))
}

/// The columns by which a row says where the breaker stands.
pub struct Marks {
    pub is_disabled: bool,
    pub until: Option<TimestampWithTimeZone>,
    pub half_open_at: Option<TimestampWithTimeZone>,
    pub half_open_since: Option<TimestampWithTimeZone>,
    pub incident_id: Option<String>,
    pub opened_incident_id: Option<String>,
}

impl Marks {
    /// Whether our own columns tell of this outage. An ORM that knows only the reference's opens and closes without touching ours: then
    /// they tell of one that is over, which had another incident.
    fn is_ours(&self) -> bool {
        self.opened_incident_id.is_some() && self.opened_incident_id == self.incident_id
    }

    /// What another hand may have written: an end before all times has passed, one after all times means what NULL means.
    fn until(&self) -> Option<DateTime<Utc>> {
        let at = self.until?;
        if at.is_neg_infinity() { Some(DateTime::UNIX_EPOCH) } else { calendar(at) }
    }

    /// From when on probes may come. Without an end of the outage they would not have one either.
    fn half_open_at(&self) -> Option<DateTime<Utc>> {
        self.half_open_at.and_then(calendar).filter(|_| self.is_ours() && self.until().is_some())
    }

    fn half_open_since(&self) -> Option<DateTime<Utc>> {
        self.half_open_since.and_then(calendar).filter(|_| self.half_open_at().is_some())
    }

    /// Where the breaker stands, by what is written down.
    pub fn standing(&self) -> Standing {
        match (self.is_disabled, self.half_open_since()) {
            (false, _) => Standing::Closed,
            (true, None) => Standing::Open,
            (true, Some(_)) => Standing::HalfOpen,
        }
    }
}

/// A time that no calendar holds, written by another hand, tells nothing.
pub fn calendar(at: TimestampWithTimeZone) -> Option<DateTime<Utc>> {
    convert::moment(at.into())
}

fn moment(row: &Row<'_>, ordinal: i32) -> Result<Option<DateTime<Utc>>> {
    Ok(nullable(row, ordinal)?.and_then(calendar))
}

fn phase(row: &Row<'_>, reason: Option<&str>, incident: Option<&OpenIncident>) -> Result<Phase> {
    let marks = Marks {
        is_disabled: column(row, 2)?,
        until: nullable(row, 3)?,
        half_open_at: nullable(row, 14)?,
        half_open_since: nullable(row, 15)?,
        incident_id: nullable(row, 33)?,
        opened_incident_id: nullable(row, 34)?,
    };
    let term = match nullable::<String>(row, 8)?.as_deref() {
        None => None,
        Some("permanent") => Some(Term::Permanent),
        Some("until") => moment(row, 9)?.map(Term::Until),
        Some(_) => Some(Term::Default),
    };
    let half_open = match marks.half_open_at() {
        Some(at) => Some(HalfOpening { at, reopenings: column(row, 16)?, jitter: column(row, 17)? }),
        None => None,
    };
    // A hand that opened it without an incident left only the time of its last change.
    let incident_at = incident.and_then(|incident| incident.at);
    let since = moment(row, 6)?.filter(|_| marks.is_ours()).or(incident_at).or(moment(row, 7)?);
    let outage = Outage {
        since: since.unwrap_or_default(),
        until: marks.until(),
        half_open,
        incident: incident.map(|incident| severity(&incident.severity)),
        intent: term
            .filter(|_| marks.is_ours())
            .map(|term| Intent { reason: reason.unwrap_or_default().to_owned(), term }),
    };
    match (marks.standing(), marks.half_open_since()) {
        (Standing::Closed, _) => Ok(Phase::Closed),
        (Standing::HalfOpen, Some(since)) => {
            let mut outstanding = probes(row)?;
            outstanding.sort_unstable();
            Ok(Phase::HalfOpen(outage, Probing { since, outstanding, passed: column(row, 19)? }))
        }
        (Standing::Open | Standing::HalfOpen, _) => Ok(Phase::Open(outage)),
    }
}

/// A severity that is none of ours, written by another hand, counts as the worst.
pub fn severity(text: &str) -> Severity {
    Severity::from_stored(text).unwrap_or(Severity::P1)
}

fn probes(row: &Row<'_>) -> Result<Vec<DateTime<Utc>>> {
    let probes: Vec<Option<TimestampWithTimeZone>> = column(row, 18)?;
    Ok(probes.into_iter().flatten().filter_map(|at| convert::moment(at.into())).collect())
}

fn config(row: &Row<'_>) -> Result<Config> {
    let span = |ordinal| -> Result<TimeDelta> { Ok(convert::span(column::<Interval>(row, ordinal)?)) };
    Ok(Config {
        drift_threshold: column(row, 20)?,
        warning_threshold: column(row, 21)?,
        failure_threshold: column(row, 22)?,
        schema_error_threshold: column(row, 23)?,
        disable_ttl: nullable::<Interval>(row, 24)?.map(convert::span),
        auto_recover: column(row, 25)?,
        auto_disable: column(row, 26)?,
        half_open: column(row, 27)?,
        probe_permits: column(row, 28)?,
        probe_successes: column(row, 29)?,
        probe_timeout: span(30)?,
        half_open_timeout: span(31)?,
        max_disable_ttl: span(32)?,
    })
}
