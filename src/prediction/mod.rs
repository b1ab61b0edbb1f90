//! Predictions: which workers are likely to fail often, whose next run is likely to cost much more, how surely, and what came of it.
//!
//! [`costsim_predict`] reads the runs of a window in one statement, has [`costsim_core::prediction`] judge each worker, and writes what changed in
//! a few statements, however many workers there are. It runs with the rights of the caller. One transaction at a time predicts for a tenant,
//! to its end, and what it then sees of predictions is what is committed, under every isolation level: so any number of sessions keep one
//! current row for each subject. What a later look has said no earlier one takes back.
//!
//! Does not: act on a prediction, run by itself, or know more of a worker than its runs. What runs say of all workers that are looked at is in memory at once: at most 200 costs and 20
//! beginnings of errors each.

mod emit;
mod observe;
mod purge;
mod same;
mod say;
mod store;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::cost::text_fault;
use costsim_core::prediction::{HIGHEST_LEVEL, LEAST_LEVEL};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::convert::Jsonb;
use crate::error::{Error, Result, required};
use crate::{clock, convert, db};
pub use purge::purge_some;
use store::{Look, Method};

/// Clocks of clients may be ahead by so much.
const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// Nothing is looked at, or said, for longer.
const LONGEST: TimeDelta = TimeDelta::days(366);

/// Says which workers of a tenant, or of all, are likely to fail, and whose next run is likely to cost much more.
#[pg_extern(volatile, parallel_unsafe, requires = ["prediction"])]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns here")]
fn costsim_predict(
    tenant_id: default!(Option<&str>, "NULL"),
    method: default!(Option<&str>, "'standard'"),
    as_of: default!(Option<TimestampWithTimeZone>, "now()"),
    window: default!(Option<Interval>, "'7 days'"),
    min_runs: default!(Option<i32>, 5),
    interval_level: default!(Option<f64>, 0.8),
    valid_for: default!(Option<Interval>, "'24 hours'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(prediction_id, Option<i64>),
            name!(tenant_id, String),
            name!(prediction_type, String),
            name!(subject_type, String),
            name!(subject_id, String),
            name!(confidence_score, f64),
            name!(prediction_value, Jsonb),
            name!(expires_at, TimestampWithTimeZone),
            name!(is_new, bool),
        ),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_predict()");
    tenant_id.map(|tenant| name(tenant, "tenant_id")).transpose()?;
    let method = match required(method, "method")? {
        "standard" => Method::Standard { min_runs: min_runs_of(min_runs)?, level: level_of(interval_level)? },
        "reference" => {
            min_runs_of(min_runs)?;
            level_of(interval_level)?;
            Method::Reference
        }
        _ => return Err(Error::invalid("unknown method", "The methods are standard and reference.").into()),
    };
    let as_of = moment(as_of)?;
    let window = span(window, "window", "Leave it out for 7 days.")?;
    let valid_for = span(valid_for, "valid_for", "Leave it out for 24 hours.")?;
    let beyond = || Error::invalid("as_of is too far from now", "Pass a moment of the last centuries.");
    let look = Look {
        tenant: tenant_id,
        method,
        as_of,
        since: as_of.checked_sub_signed(window).ok_or_else(beyond)?,
        expires_at: as_of.checked_add_signed(valid_for).ok_or_else(beyond)?,
    };
    let rows = say::predict(&look)?;
    let expires_at = convert::timestamptz(look.expires_at)?;
    let rows: Result<Vec<_>> = rows
        .into_iter()
        .map(|(said, stands)| {
            Ok((
                stands.as_ref().map(|stands| stands.id),
                said.tenant,
                said.kind.to_owned(),
                "worker".to_owned(),
                said.subject,
                said.confidence,
                Jsonb::read(&said.value.to_string())?,
                stands.as_ref().map_or(expires_at, |stands| stands.expires_at),
                stands.is_some_and(|stands| stands.is_new),
            ))
        })
        .collect();
    Ok(TableIterator::new(rows?))
}

/// A name that somebody can have, or nothing is read for it.
fn name<'a>(name: &'a str, argument: &'static str) -> Result<&'a str> {
    match text_fault(name.as_bytes()) {
        None => Ok(name),
        Some(fault) => Err(Error::invalid(format!("{argument} {fault}"), "Pass the name that runs bear.")),
    }
}

fn min_runs_of(min_runs: Option<i32>) -> Result<u64> {
    u64::try_from(required(min_runs, "min_runs")?)
        .ok()
        .filter(|runs| *runs > 0)
        .ok_or_else(|| Error::invalid("min_runs must be at least 1", "Leave it out for 5."))
}

fn level_of(level: Option<f64>) -> Result<f64> {
    let level = required(level, "interval_level")?;
    if (LEAST_LEVEL..=HIGHEST_LEVEL).contains(&level) {
        return Ok(level);
    }
    Err(Error::invalid(
        format!("interval_level must be between {LEAST_LEVEL} and {HIGHEST_LEVEL}"),
        "Leave it out for 0.8: in four of five cases the interval holds what comes.",
    ))
}

/// A span that is one.
fn span(value: Option<Interval>, argument: &'static str, hint: &'static str) -> Result<TimeDelta> {
    let span = convert::span(required(value, argument)?);
    if span <= TimeDelta::zero() || span > LONGEST {
        let what = format!("{argument} must be more than nothing and at most 366 days");
        return Err(Error::invalid(what, hint));
    }
    Ok(span)
}

/// A moment that is not to come.
fn moment(as_of: Option<TimestampWithTimeZone>) -> Result<DateTime<Utc>> {
    let as_of = convert::finite_moment(required(as_of, "as_of")?, "as_of")?;
    if as_of > clock::now() + TOLERANCE {
        return Err(Error::invalid(
            "as_of must not lie in the future",
            "Leave it out for now, or pass a moment of the past.",
        ));
    }
    Ok(as_of)
}
