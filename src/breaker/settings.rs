//! A breaker's settings, as an operator changes them.

use costsim_core::breaker::{Cause, Config, Event, Transition};
use pgrx::prelude::*;

use super::act::{act, lock_or_create, refused};
use super::store::event::{self, Particulars};
use super::store::{self, Breaker};
use super::{LONGEST_NAME, outside};
use crate::convert::{self, short_text};
use crate::error::{Answer, Error, Result, required};
use crate::{clock, db};

/// The settings to change; nothing means as it is.
pub struct Asked {
    pub drift_threshold: Option<f64>,
    pub warning_threshold: Option<f64>,
    pub failure_threshold: Option<i32>,
    pub schema_error_threshold: Option<i32>,
    /// Zero, the reference's word for "until somebody enables it", takes the end away.
    pub disable_ttl: Option<Interval>,
    pub auto_recover: Option<bool>,
    pub auto_disable: Option<bool>,
    pub half_open: Option<bool>,
    pub probe_permits: Option<i32>,
    pub probe_successes: Option<i32>,
    pub probe_timeout: Option<Interval>,
    pub half_open_timeout: Option<Interval>,
    pub max_disable_ttl: Option<Interval>,
}

impl Asked {
    fn applied_to(&self, before: Config) -> Config {
        let span = |asked: Option<Interval>, before| asked.map_or(before, convert::span);
        Config {
            drift_threshold: self.drift_threshold.unwrap_or(before.drift_threshold),
            warning_threshold: self.warning_threshold.unwrap_or(before.warning_threshold),
            failure_threshold: self.failure_threshold.unwrap_or(before.failure_threshold),
            schema_error_threshold: self.schema_error_threshold.unwrap_or(before.schema_error_threshold),
            disable_ttl: match self.disable_ttl.map(convert::span) {
                Some(ttl) => Some(ttl).filter(|ttl| !ttl.is_zero()),
                None => before.disable_ttl,
            },
            auto_recover: self.auto_recover.unwrap_or(before.auto_recover),
            auto_disable: self.auto_disable.unwrap_or(before.auto_disable),
            half_open: self.half_open.unwrap_or(before.half_open),
            probe_permits: self.probe_permits.unwrap_or(before.probe_permits),
            probe_successes: self.probe_successes.unwrap_or(before.probe_successes),
            probe_timeout: span(self.probe_timeout, before.probe_timeout),
            half_open_timeout: span(self.half_open_timeout, before.half_open_timeout),
            max_disable_ttl: span(self.max_disable_ttl, before.max_disable_ttl),
        }
    }
}

/// Changes a breaker's settings and answers its row; what is left out stays as it is. Makes the breaker if there is none. The
/// settings hold from the next event on; an outage that runs keeps its end.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["breaker"])]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::too_many_arguments, reason = "one argument for each setting, to be named by the caller")]
fn costsim_configure_breaker(
    name: Option<&str>,
    drift_threshold: default!(Option<f64>, "NULL"),
    warning_threshold: default!(Option<f64>, "NULL"),
    failure_threshold: default!(Option<i32>, "NULL"),
    schema_error_threshold: default!(Option<i32>, "NULL"),
    disable_ttl: default!(Option<Interval>, "NULL"),
    auto_recover: default!(Option<bool>, "NULL"),
    auto_disable: default!(Option<bool>, "NULL"),
    half_open: default!(Option<bool>, "NULL"),
    probe_permits: default!(Option<i32>, "NULL"),
    probe_successes: default!(Option<i32>, "NULL"),
    probe_timeout: default!(Option<Interval>, "NULL"),
    half_open_timeout: default!(Option<Interval>, "NULL"),
    max_disable_ttl: default!(Option<Interval>, "NULL"),
) -> Answer<Breaker> {
    db::require_writable(c"costsim_configure_breaker()");
    let name = short_text(
        required(name, "name")?,
        "name",
        LONGEST_NAME,
        "Call it by what it protects, such as costsim_v2.",
    )?;
    let asked = Asked {
        drift_threshold,
        warning_threshold,
        failure_threshold,
        schema_error_threshold,
        disable_ttl,
        auto_recover,
        auto_disable,
        half_open,
        probe_permits,
        probe_successes,
        probe_timeout,
        half_open_timeout,
        max_disable_ttl,
    };
    Ok(configure(name, &asked)?)
}

fn configure(name: &str, asked: &Asked) -> Result<Breaker> {
    let (stored, is_new) = lock_or_create(name)?;
    // First what time has done by the settings so far: others must not bring back what is over.
    let before = act(name, stored, &Event::Tick, None, clock::now())?.after;
    let config = asked.applied_to(before.config);
    let named = (asked.warning_threshold.is_some(), asked.max_disable_ttl.is_some());
    config.validate().and_then(|()| config.contradiction(named.0, named.1)).map_err(refused)?;
    if is_new || config != before.config {
        db::make_commit_durable();
        if config != before.config {
            outside::not_outside(|| store::configure(name, asked))?;
        }
        let standing = before.state.phase.standing();
        let step = Transition { from: standing, cause: Cause::Configured, to: standing };
        let (actor, reason) = (event::session_user()?, if is_new { "made" } else { "changed" });
        event::record(name, step, &Particulars { actor: &actor, reason, ..Particulars::default() })?;
    }
    store::breaker(name)?.ok_or_else(|| Error::Internal("the row was locked and is gone".into()))
}
