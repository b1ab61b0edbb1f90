//! The divergence report: how far V2 is from V1 over pairs that are on record, and nothing else.
//!
//! Promises: every number comes from two costs that somebody computed, one per model, for the same input of the same tenant; where there are
//! none the report says so with zeros. Whoever asks sees what their own rights and policies show them. The pairs are read once, whatever is
//! asked of them.
//!
//! Does not: compute a cost, write anything, or hold more than 20,000,000 pairs at a time.
//!
//! What a pair is, and the reports themselves, are set questions and live in `sql/56_divergence.sql`; the metrics are core's.
//!
//! `aggregate` what is done for every pair

mod aggregate;

use costsim_core::divergence::Pair;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::convert::{finite_moment, timestamptz};
use crate::error::{Error, Result, required};

/// How far back a report goes that does not say how far.
const USUAL_DAYS: chrono::TimeDelta = chrono::TimeDelta::days(7);

/// The window of a report, from what was asked for.
#[pg_extern(stable, parallel_safe, requires = ["backfill"])]
fn _costsim_divergence_window(
    start_date: Option<TimestampWithTimeZone>,
    end_date: Option<TimestampWithTimeZone>,
    max_samples: Option<i32>,
) -> Result<
    TableIterator<
        'static,
        (name!(start_date, TimestampWithTimeZone), name!(end_date, TimestampWithTimeZone)),
    >,
    ErrorReport,
> {
    Ok(TableIterator::once(window(start_date, end_date, max_samples)?))
}

fn window(
    start_date: Option<TimestampWithTimeZone>,
    end_date: Option<TimestampWithTimeZone>,
    max_samples: Option<i32>,
) -> Result<(TimestampWithTimeZone, TimestampWithTimeZone)> {
    let end = finite_moment(required(end_date, "end_date")?, "end_date")?;
    let start = match start_date {
        Some(start) => finite_moment(start, "start_date")?,
        None => end - USUAL_DAYS,
    };
    if start > end {
        return Err(Error::Invalid {
            what: "start_date must not be after end_date".into(),
            detail: Some(format!("The window would begin at {start} and end at {end}.")),
            hint: "Exchange them; end_date is now unless it is given.".into(),
        });
    }
    if max_samples.is_some_and(|most| most < 0) {
        return Err(Error::invalid(
            "max_samples must not be negative",
            "Pass how many of the newest pairs to look at, or NULL for all of them.",
        ));
    }
    let no_calendar =
        |_| Error::invalid("the window begins before the calendar", "Pass a start_date of this era.");
    Ok((timestamptz(start).map_err(no_calendar)?, timestamptz(end)?))
}

/// The pair, if its difference is a finite number.
fn finite(v1: f64, v2: f64, feasibility_match: bool) -> Option<Pair> {
    (v2 - v1).is_finite().then_some(Pair { v1, v2, feasibility_match })
}

/// The reference's drift score of a stored pair.
#[pg_extern(immutable, strict, parallel_safe, requires = ["backfill"])]
fn _costsim_divergence_score(v1: f64, v2: f64, feasibility_match: bool) -> Option<f64> {
    Some(finite(v1, v2, feasibility_match)?.drift_score())
}

/// The symmetric drift score of a stored pair.
#[pg_extern(immutable, strict, parallel_safe, requires = ["backfill"])]
fn _costsim_divergence_symmetric_score(v1: f64, v2: f64, feasibility_match: bool) -> Option<f64> {
    Some(finite(v1, v2, feasibility_match)?.symmetric_drift_score())
}

/// What the drift of a stored pair is called.
#[pg_extern(immutable, strict, parallel_safe, requires = ["backfill"])]
fn _costsim_divergence_verdict(v1: f64, v2: f64, feasibility_match: bool) -> Option<&'static str> {
    Some(finite(v1, v2, feasibility_match)?.verdict().as_str())
}
