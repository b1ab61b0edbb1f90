//! Cost anomalies: what is unusual in what tenants spend, kept once for each day, told once to whoever is on call, and explained.
//!
//! Detection reads the daily series of many tenants at once, has [`costsim_core::anomaly`] judge them, and writes what was found, what is over and
//! what is to be told in the caller's transaction ([`detect`]). What it finds follows from the series alone: it may run any number of times, by
//! anybody, and days without a run lose nothing. One transaction at a time does it, under lock 7005. Whoever looks never waits for an
//! operator while he holds anything. What a later look has said no earlier one takes back.
//!
//! Does not: prevent spend (budgets with a hard limit do), or wait for the roll-ups, since what is pending counts.

mod detect;
mod due;
mod explain;
mod found;
mod notice;
mod operate;
mod purge;
pub mod schedule;
mod spends;
mod store;

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::cost::text_fault;
use pgrx::iter::SetOfIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::error::{Error, Result, required};
use crate::{clock, convert, db, lock, turn};
use detect::Telling;
pub use purge::purge_some;
pub use store::Anomaly;

/// The lock of whoever looks for anomalies.
const DETECTOR: i64 = 7005;

/// Clocks of clients may be ahead by so much.
const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// Looks for anomalies of a tenant, or of all, as they are at a moment: those that are found, new or known.
#[pg_extern(volatile, parallel_unsafe, security_definer, requires = ["anomaly"])]
#[search_path(pg_catalog, pg_temp)]
fn costsim_detect_anomalies(
    tenant_id: default!(Option<&str>, "NULL"),
    as_of: default!(Option<TimestampWithTimeZone>, "now()"),
) -> Result<SetOfIterator<'static, Anomaly>, ErrorReport> {
    db::require_writable(c"costsim_detect_anomalies()");
    let as_of = moment(as_of)?;
    tenant_id.map(|tenant| name(tenant, "tenant_id")).transpose()?;
    let chunks = chunks(tenant_id)?;
    be_the_only_one(&chunks)?;
    turn::take(DETECTOR)?;
    let mut found = Vec::new();
    for tenants in &chunks {
        found.extend(detect::detect(tenants, as_of, Telling::OfToday)?);
        pgrx::check_for_interrupts!();
    }
    Ok(SetOfIterator::new(store::anomalies(&found)?))
}

/// The tenants to be looked at.
fn chunks(tenant_id: Option<&str>) -> Result<Vec<Vec<String>>> {
    let mut chunks = Vec::new();
    if let Some(tenant) = tenant_id {
        chunks.push(vec![tenant.to_owned()]);
        return Ok(chunks);
    }
    let mut after = String::new();
    loop {
        let tenants = due::tenants_after(&after, detect::TENANTS_AT_ONCE)?;
        let Some(last) = tenants.last() else { return Ok(chunks) };
        after.clone_from(last);
        chunks.push(tenants);
        pgrx::check_for_interrupts!();
    }
}

/// A name that somebody can have, or nothing is read for it.
fn name<'a>(name: &'a str, argument: &'static str) -> Result<&'a str> {
    match text_fault(name.as_bytes()) {
        None => Ok(name),
        Some(fault) => Err(Error::invalid(format!("{argument} {fault}"), "Pass the name that records bear.")),
    }
}

/// Waits until this is the only transaction that looks, and no operator holds an anomaly of these tenants. While it waits for an operator it holds
/// nothing: others may look, and the operator may go on to any other anomaly.
fn be_the_only_one(chunks: &[Vec<String>]) -> Result<()> {
    loop {
        let busy = Cell::new(None);
        let held = db::catch(
            PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
            AssertUnwindSafe(|| {
                lock::wait_to_be_the_only_detector();
                for tenants in chunks {
                    if let Some(id) = due::hold_open(tenants)? {
                        busy.set(Some(id));
                        return Err(Error::Internal("an anomaly is held by somebody else".into()));
                    }
                    pgrx::check_for_interrupts!();
                }
                Ok(())
            }),
        );
        let Some(id) = busy.get() else { return held.map(drop) };
        db::rehearse(|| due::wait_for(id))?;
    }
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
