//! The outbox for Prometheus Alertmanager: an alert whose transaction committed arrives, one that rolled back never was.
//!
//! Two ways in. `costsim_fire_alert` and `costsim_resolve_alert` keep an alert's state by its labels: the worker repeats it
//! while it fires and tells its end, so that Alertmanager may restart in between. `costsim_enqueue_alert` takes a ready payload
//! and has it delivered once, at least.
//!
//! This room writes rows in the caller's transaction and sends nothing itself. A commit that left something behind wakes the
//! worker: see [`take_wake`].

mod operate;
pub mod outbox;
pub mod store;
#[cfg(any(test, feature = "pg_test"))]
mod tests;

use std::cell::Cell;

use costsim_core::alertmanager::{Annotations, BadLabels, LabelSet, is_generator_url, validate_payload};
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;
use serde_json::Value;

use crate::convert::Jsonb;
use crate::db;
use crate::error::{self, Answer, Error, required};

/// The most bytes of an alert's labels, and of its annotations: a full batch of the longest still fits a request.
const LONGEST_ALERT_PART: usize = 64 << 10;

thread_local! {
    static HAS_NEWS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this transaction left something for the worker; asking forgets it.
pub fn take_wake() -> bool {
    HAS_NEWS.replace(false)
}

/// Has the commit of this transaction wake the worker.
pub fn wake_worker() {
    HAS_NEWS.set(true);
}

/// Queues a ready Alertmanager payload for delivery and answers its id. Sent when the transaction commits.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_enqueue_alert(
    payload: Option<Jsonb>,
    alert_type: Option<&str>,
    circuit_breaker_name: default!(Option<&str>, "NULL"),
    incident_id: default!(Option<&str>, "NULL"),
    max_attempts: default!(Option<i32>, "NULL"),
) -> Answer<i64> {
    db::require_writable(c"costsim_enqueue_alert()");
    let payload = required(payload, "payload")?;
    let alert_type = required(alert_type, "alert_type")?;
    if alert_type.trim().is_empty() {
        return Err(Error::invalid("alert_type must not be empty", "Pass a word such as 'disable'.").into());
    }
    if max_attempts.is_some_and(|attempts| attempts < 1) {
        return Err(Error::invalid("max_attempts must be at least 1", "Leave it out for 10.").into());
    }
    validate_payload(&payload.value("payload")?).map_err(|bad| {
        Error::invalid(
            bad.to_string(),
            "Pass an array of alerts as Alertmanager's API v2 takes them: [{\"labels\": {\"alertname\": \"...\"}}].",
        )
    })?;
    db::make_commit_durable();
    Ok(store::enqueue(payload, alert_type, circuit_breaker_name, incident_id, max_attempts)?)
}

/// Starts an alert, or gives a firing one new annotations, and answers its fingerprint. It is sent until it is resolved by the
/// same labels. Firing again what fires already with nothing new to say changes nothing.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_fire_alert(
    labels: Option<Jsonb>,
    annotations: default!(Option<Jsonb>, "'{}'"),
    generator_url: default!(Option<&str>, "NULL"),
) -> Answer<String> {
    db::require_writable(c"costsim_fire_alert()");
    let labels = read_labels(&required(labels, "labels")?.value("labels")?)?;
    let annotations = read_annotations(&required(annotations, "annotations")?.value("annotations")?)?;
    if generator_url.is_some_and(|url| !is_generator_url(url)) {
        return Err(Error::invalid(
            "generator_url must be a URL",
            "Pass an absolute URL or path, or leave it out.",
        )
        .into());
    }
    Ok(fire(&labels, &annotations, generator_url, None)?)
}

/// Ends an alert that was fired with exactly these labels: whether it was firing.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn costsim_resolve_alert(labels: Option<Jsonb>) -> Answer<bool> {
    db::require_writable(c"costsim_resolve_alert()");
    let labels = read_labels(&required(labels, "labels")?.value("labels")?)?;
    Ok(resolve(&labels)?)
}

/// Fires an alert in the caller's transaction and answers its fingerprint.
pub fn fire(
    labels: &LabelSet,
    annotations: &Annotations,
    generator_url: Option<&str>,
    incident_id: Option<&str>,
) -> error::Result<String> {
    let fingerprint = labels.fingerprint().to_string();
    let (labels, annotations) = (labels.to_json().to_string(), annotations.to_json().to_string());
    if labels.len().max(annotations.len()).max(generator_url.map_or(0, str::len)) > LONGEST_ALERT_PART {
        return Err(Error::TooLarge {
            what: format!("labels, annotations and generator_url may have {LONGEST_ALERT_PART} bytes each"),
        });
    }
    db::make_commit_durable();
    if store::fire(&fingerprint, &labels, &annotations, generator_url, incident_id)? {
        wake_worker();
    }
    Ok(fingerprint)
}

/// Resolves an alert in the caller's transaction: whether it was firing.
pub fn resolve(labels: &LabelSet) -> error::Result<bool> {
    resolve_by_fingerprint(&labels.fingerprint().to_string())
}

/// The same by the fingerprint that [`fire`] answered.
pub fn resolve_by_fingerprint(fingerprint: &str) -> error::Result<bool> {
    db::make_commit_durable();
    let was_firing = store::resolve(fingerprint)?;
    if was_firing {
        wake_worker();
    }
    Ok(was_firing)
}

/// Resolves whatever fires for an incident, in the caller's transaction.
pub fn resolve_of_incident(incident_id: &str) -> error::Result<()> {
    db::make_commit_durable();
    if store::resolve_of_incident(incident_id)? {
        wake_worker();
    }
    Ok(())
}

/// Resolves whatever fires for any incident, in the caller's transaction.
pub fn resolve_of_incidents() -> error::Result<()> {
    db::make_commit_durable();
    if store::resolve_of_incidents()? {
        wake_worker();
    }
    Ok(())
}

/// The labels of a JSON object.
pub fn read_labels(labels: &Value) -> error::Result<LabelSet> {
    LabelSet::from_json(labels).map_err(|bad| refused("labels", &bad))
}

/// The annotations of a JSON object.
pub fn read_annotations(annotations: &Value) -> error::Result<Annotations> {
    Annotations::from_json(annotations).map_err(|bad| refused("annotations", &bad))
}

fn refused(argument: &str, bad: &BadLabels) -> Error {
    Error::invalid(
        format!("{argument} {bad}"),
        "Pass an object of strings whose names are letters, digits and underscores, such as {\"alertname\": \"QueueStuck\"}.",
    )
}

/// Notes that rows were put into the queue, by whatever statement: the commit will wake the worker.
#[pg_trigger]
fn _costsim_alert_wake<'a>(
    _trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    wake_worker();
    Ok(None)
}
