//! What goes wrong again and again: errors that are the same error, and workers that suddenly cost more.
//!
//! Detection reads the runs of a window, of one tenant or of each for itself, and keeps what it finds as episodes: what comes again within
//! one window of the last time is the same row, what comes later a new one ([`costsim_core::pattern`]). Whoever looks at a tenant, and whoever acknowledges, waits for
//! the tenant and holds it to the end of his transaction. Who looks at all waits for nobody: he holds those for whom there is something to write, and passes over those
//! that somebody else holds. A look that finds no run that a row has not seen writes nothing.
//!
//! Does not: change a run, a cost or a trace; it reads runs as whoever calls.

mod detect;
mod occurrences;
mod operate;
mod purge;
mod store;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::cost::text_fault;
use costsim_core::signature::{self, Method};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{Answer, Error, Result, required};
use crate::{clock, convert, db, lock};
use detect::{Look, Tenants};
pub use purge::purge_some;

/// Clocks of clients may be ahead by so much.
const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// No run is older.
const EARLIEST: DateTime<Utc> = DateTime::from_timestamp_nanos(946_684_800_000_000_000);

/// The longest window.
const LONGEST_WINDOW: TimeDelta = TimeDelta::days(90);

/// The longest time that costs are compared over.
const LONGEST_BASELINE: TimeDelta = TimeDelta::days(3_660);

/// The signature of an error: 16 hexadecimal digits, or empty_error.
#[pg_extern(immutable, parallel_safe, strict)]
fn costsim_error_signature(error: &str, method: default!(&str, "'standard'")) -> Answer<String> {
    let method = method_of(method)?;
    Ok(signature::signature(error, method).to_string())
}

/// What the signature of an error is of.
#[pg_extern(immutable, parallel_safe, strict)]
fn costsim_error_template(error: &str) -> String {
    signature::template(error)
}

/// Looks for patterns in the runs of a tenant, or of all, each for itself, as they are at a moment: those that are found, new or known.
#[pg_extern(volatile, parallel_unsafe, requires = ["pattern"])]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns here")]
fn costsim_detect_patterns(
    tenant_id: default!(Option<&str>, "NULL"),
    window: default!(Option<Interval>, "'24 hours'"),
    as_of: default!(Option<TimestampWithTimeZone>, "now()"),
    threshold: default!(Option<i32>, 3),
    spike_pct: default!(Option<f64>, 50.0),
    baseline_window: default!(Option<Interval>, "'30 days'"),
    method: default!(Option<&str>, "'standard'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(feedback_id, Option<i64>),
            name!(tenant_id, String),
            name!(pattern_type, String),
            name!(signature, String),
            name!(severity, String),
            name!(occurrence_count, i64),
            name!(first_seen, TimestampWithTimeZone),
            name!(last_seen, TimestampWithTimeZone),
            name!(description, String),
            name!(is_new, bool),
        ),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_detect_patterns()");
    let look = Look {
        tenant: tenant_id.map(|tenant| name(tenant, "tenant_id")).transpose()?.map(str::to_owned),
        window: window_of(required(window, "window")?)?,
        as_of: convert::finite_moment(required(as_of, "as_of")?, "as_of")?,
        threshold: required(threshold, "threshold")?,
        spike_pct: required(spike_pct, "spike_pct")?,
        baseline: convert::span(required(baseline_window, "baseline_window")?),
        method: method_of(required(method, "method")?)?,
    };
    if look.as_of > clock::now() + TOLERANCE {
        return Err(Error::invalid(
            "as_of must not lie in the future",
            "Leave it out for now, or pass a moment of the past.",
        )
        .into());
    }
    if look.as_of < EARLIEST {
        return Err(Error::invalid("as_of must not lie before 2000", "Leave it out for now.").into());
    }
    if look.threshold < 1 {
        return Err(Error::invalid("threshold must be at least 1", "Leave it out for 3.").into());
    }
    if !look.spike_pct.is_finite() || look.spike_pct <= 0.0 {
        return Err(
            Error::invalid("spike_pct must be a number above 0", "Leave it out for 50 percent.").into()
        );
    }
    if look.baseline <= TimeDelta::zero() || look.baseline > LONGEST_BASELINE {
        return Err(Error::invalid(
            "baseline_window must be longer than nothing, and 3,660 days at most",
            "Leave it out for 30 days.",
        )
        .into());
    }
    let mut tenants = match &look.tenant {
        Some(tenant) => {
            lock::wait_for_feedback_of(detect::key(tenant));
            Tenants::One
        }
        None => Tenants::Free(HashMap::new()),
    };
    let rows: Result<Vec<_>> = detect::detect(&look, &mut tenants)?
        .into_iter()
        .map(|found| {
            Ok((
                found.id,
                found.tenant,
                found.kind.as_str().to_owned(),
                found.signature,
                store::SEVERITY.to_owned(),
                found.count,
                convert::timestamptz(found.seen.first)?,
                convert::timestamptz(found.seen.last)?,
                found.description,
                found.is_new,
            ))
        })
        .collect();
    Ok(TableIterator::new(rows?))
}

fn method_of(name: &str) -> Result<Method> {
    name.parse().map_err(|()| {
        Error::invalid("unknown method", "Pass 'standard', or 'reference' for the signatures of old rows.")
    })
}

/// Whole minutes, which is what a row remembers of it.
fn window_of(window: Interval) -> Result<TimeDelta> {
    let window = convert::span(window);
    if window <= TimeDelta::zero()
        || window > LONGEST_WINDOW
        || TimeDelta::minutes(window.num_minutes()) != window
    {
        return Err(Error::invalid(
            "window must be a number of whole minutes, from 1 minute to 90 days",
            "Leave it out for 24 hours.",
        ));
    }
    Ok(window)
}

/// A name that somebody can have, or nothing is read for it.
fn name<'a>(name: &'a str, argument: &'static str) -> Result<&'a str> {
    match text_fault(name.as_bytes()) {
        None => Ok(name),
        Some(fault) => Err(Error::invalid(format!("{argument} {fault}"), "Pass the name that runs bear.")),
    }
}
