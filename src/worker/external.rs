//! Delivery by somebody else, where the database may not open sockets.
//!
//! The deliverer claims rows for a time, posts them, and settles each by the token of its claim. A claim that was lost, because its
//! time was over and somebody else took the row, settles nothing. What is promised of order is promised here too: an alert is claimed
//! by one deliverer at a time, and with the state it has then.

use chrono::TimeDelta;
use costsim_core::alertmanager::{self, Liveness, Settlement, Verdict};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::alert::outbox::{ends_at, policy, spell_alert};
use crate::alert::store::claim::{self, Claim, Held, Outcome};
use crate::convert::{self, Jsonb};
use crate::error::{Answer, Error, Result as Checked, required};
use crate::{alert, breaker, clock, db, guc, lock};

/// More in one call would be more than the deliverer can post within any sensible lease.
const MOST_CLAIMED: i32 = 10_000;

/// Claims alerts that are due, for a deliverer outside: at most "max", each for `lease`. One row per alert or queued payload, to be posted as
/// it is and then settled by its id and the token.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "the columns of the answer")]
fn costsim_claim_alerts(
    claimant: Option<&str>,
    max: default!(Option<i32>, 100),
    lease: default!(Option<Interval>, "'1 minute'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, i64),
            name!(kind, String),
            name!(payload, Jsonb),
            name!(attempts, i32),
            name!(claim_token, i64),
            name!(claimed_until, TimestampWithTimeZone),
        ),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_claim_alerts()");
    let claimant = convert::short_text(
        required(claimant, "claimant")?,
        "claimant",
        200,
        "Pass a name that tells this deliverer from others.",
    )?;
    let max = required(max, "max")?;
    if !(1..=MOST_CLAIMED).contains(&max) {
        return Err(Error::invalid("max must be between 1 and 10000", "Leave it out for 100.").into());
    }
    let lease = convert::span(required(lease, "lease")?);
    if lease <= TimeDelta::zero() || lease > TimeDelta::hours(1) {
        return Err(Error::invalid(
            "lease must be positive, and an hour at most",
            "Pass as long as posting what was claimed may take, such as interval '1 minute'.",
        )
        .into());
    }
    if !lock::try_deliver_with_others() {
        return Err(Error::DeliveredByWorker.into());
    }
    let claim = Claim { claimant, token: db::strong_random(), limit: i64::from(max), lease, priority: 1 };
    let now = clock::now();
    let mut claimed = Vec::new();
    for priority in [1, 2] {
        let left = |claimed: &Vec<_>| claim.limit - i64::try_from(claimed.len()).unwrap_or(claim.limit);
        // A quarter is the queue's, however much fires.
        let limit = left(&claimed) - left(&claimed) / 4;
        let fired = claim::fired(&Claim { priority, limit, ..claim }, ends_at(Liveness::Firing, now))?;
        for one in in_order(fired, |one| one.id) {
            let liveness = one.resolved_at.map_or(Liveness::Firing, |at| Liveness::Resolved { at });
            let ends_at = ends_at(liveness, now);
            let Some(starts_at) = one.starts_at else {
                pgrx::warning!("alert {} cannot be told: starts_at lies beyond the calendar", one.id);
                continue;
            };
            let payload =
                match spell_alert(&one.labels, &one.annotations, one.generator_url, starts_at, ends_at) {
                    Ok(payload) => Jsonb::read(&format!("[{payload}]"))?,
                    // Written by another hand; it keeps nobody from the rest.
                    Err(why) => {
                        pgrx::warning!("alert {} cannot be told: {why}", one.id);
                        continue;
                    }
                };
            claimed.push((one.id, "fired".to_owned(), payload, one.attempts, claim.token, one.until));
        }
        let queued = claim::queued(&Claim { priority, limit: left(&claimed), ..claim })?;
        for one in in_order(queued, |one| one.id) {
            let payload = Jsonb::read(&one.payload)?;
            claimed.push((one.id, "queued".to_owned(), payload, one.attempts, claim.token, one.until));
        }
    }
    Ok(TableIterator::new(claimed))
}

/// An UPDATE answers its rows as it found them.
fn in_order<T>(mut rows: Vec<T>, id: impl Fn(&T) -> i64) -> Vec<T> {
    rows.sort_by_key(id);
    rows
}

/// Says what became of a claimed alert: whether the claim was still this one's.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_settle_alert(
    id: Option<i64>,
    claim_token: Option<i64>,
    delivered: Option<bool>,
    status_code: default!(Option<i32>, "NULL"),
    error: default!(Option<&str>, "NULL"),
) -> Answer<bool> {
    db::require_writable(c"costsim_settle_alert()");
    let (id, token) = (required(id, "id")?, required(claim_token, "claim_token")?);
    let delivered = required(delivered, "delivered")?;
    if status_code.is_some_and(|code| !(100..=599).contains(&code)) {
        return Err(Error::invalid(
            "status_code must be an HTTP status",
            "Pass a number from 100 to 599, or leave it out.",
        )
        .into());
    }
    db::make_commit_durable();
    let Some(held) = claim::lock(id, token)? else { return Ok(false) };
    let error =
        error.filter(|_| !delivered).map(|text| alertmanager::scrub(convert::beginning(text, 10_000), &[]));
    let incident_id = settle(id, held, delivered, status_code, error.as_deref())?;
    if let Some(incident_id) = incident_id.filter(|_| delivered) {
        let response = status_code.map_or_else(String::new, |code| format!("HTTP {code}"));
        breaker::mark_alerted(&incident_id, &response)?;
    }
    alert::wake_worker();
    Ok(true)
}

/// Settles what is held: the incident that it belongs to.
fn settle(
    id: i64,
    held: Held,
    delivered: bool,
    code: Option<i32>,
    error: Option<&str>,
) -> Checked<Option<String>> {
    let now = clock::now();
    let verdict = match code.and_then(|code| u16::try_from(code).ok()).map(alertmanager::verdict) {
        _ if delivered => Verdict::Delivered,
        Some(Verdict::Permanent) => Verdict::Permanent,
        _ => Verdict::Retryable,
    };
    match held {
        Held::Queued { attempts, max_attempts, created_at, incident_id } => {
            let age = created_at.map_or(TimeDelta::zero(), |at| now - at);
            let settlement =
                alertmanager::settle(&policy(max_attempts), verdict, attempts, age, fastrand::f64());
            let (status, next_at) = match settlement {
                Settlement::Sent { .. } => ("sent", None),
                Settlement::Dead { .. } => ("failed", None),
                Settlement::Retry { after, .. } => ("pending", Some(now + after)),
            };
            claim::settle_queued(id, status, &Outcome { next_at, code, error })?;
            Ok(incident_id)
        }
        Held::Fired { attempts, resolved_at, incident_id } => {
            let liveness = resolved_at.map_or(Liveness::Firing, |at| Liveness::Resolved { at });
            let next_at = if delivered {
                alertmanager::next_send(liveness, now, guc::alert_resend_interval())
            } else {
                let failures = attempts.max(0).unsigned_abs().saturating_add(1);
                let pause = costsim_core::backoff::delay(failures, guc::alert_max_backoff(), fastrand::f64());
                Some(now + pause)
            };
            claim::settle_fired(id, delivered, &Outcome { next_at, code, error })?;
            Ok(incident_id)
        }
    }
}
