//! From a committed row to a real Alertmanager, and on to whoever is told.

use anyhow::{Context, Result};
use costsim_harness::{Alertmanager, WebhookSink, wait_until};
use costsim_server_tests::{LIMIT, Shared, Site, one, wait_for};
use postgres::Client;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Fields end in this order: the server first, then those it sends to.
struct Setting {
    site: Site,
    alertmanager: Alertmanager,
    sink: WebhookSink,
}

static SETTING: Shared<Setting> = Shared::new();

const DATABASES: &str = "app,trip,orm,rollback,again,prepared";

/// The file's server and receivers, and a database of the test's own with a worker of its own.
fn database(name: &str) -> Result<(Arc<Setting>, Client)> {
    let setting = SETTING.get(|| {
        let sink = WebhookSink::start()?;
        let alertmanager = Alertmanager::start_with_webhook(&sink.url())?;
        let builder = Site::builder(&alertmanager.url())
            .conf("costsim.databases", DATABASES)
            .conf("costsim.alert_resend_interval", "1s");
        Ok(Setting { site: Site::start(builder)?, alertmanager, sink })
    })?;
    if name != "app" {
        setting.site.add_database(name)?;
    }
    let mut client = setting.site.cluster.connect(name)?;
    Site::wait_for_state(&mut client, "idle")?;
    Ok((setting, client))
}

#[test]
fn fired_alert_is_active_under_the_fingerprint_that_was_answered_until_it_is_resolved() -> Result<()> {
    let (setting, mut client) = database("app")?;
    let labels = [("alertname", "Fired"), ("node", "ä 1")];
    let fire = r#"SELECT costsim_fire_alert('{"alertname": "Fired", "node": "ä 1", "empty": ""}', '{"summary": "it burns"}')"#;
    let fingerprint: String = one(&mut client, fire)?;
    let state = wait_until(LIMIT, "the alert to be listed", || setting.alertmanager.alert_state(&labels))?;
    assert_eq!(state.fingerprint, fingerprint);
    let told = setting.sink.wait_for_status(&labels, "firing", LIMIT)?;
    assert_eq!(told["annotations"]["summary"], "it burns");
    assert_eq!(setting.alertmanager.alert_state(&labels)?.context("no alert")?.state, "active");
    wait_for(&mut client, "the row to say so", "SELECT unsent = 0 FROM costsim_alert_queue_stats()")?;

    let resolve = r#"SELECT costsim_resolve_alert('{"alertname": "Fired", "node": "ä 1"}')"#;
    assert!(one::<bool>(&mut client, resolve)?);
    setting.sink.wait_for_status(&labels, "resolved", LIMIT)?;
    assert_eq!(setting.alertmanager.alert_state(&labels)?, None);
    assert!(!one::<bool>(&mut client, resolve)?, "there is nothing to resolve any more");
    Ok(())
}

#[test]
fn enqueued_payload_arrives_and_its_row_tells_of_it() -> Result<()> {
    let (setting, mut client) = database("app")?;
    let id: i64 = one(
        &mut client,
        r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Queued", "n": "1"}}, {"labels": {"alertname": "Queued", "n": "2"}}]', 'test')"#,
    )?;
    wait_for(
        &mut client,
        "the row to be sent",
        &format!("SELECT status = 'sent' FROM costsim_alert_queue WHERE id = {id}"),
    )?;
    for number in ["1", "2"] {
        let labels = [("alertname", "Queued"), ("n", number)];
        assert!(setting.alertmanager.alert_state(&labels)?.is_some(), "alert {number} of the payload");
    }
    let row = client.query_one(
        "SELECT attempts, response_code, last_error, claimed_by,
                sent_at BETWEEN created_at AND clock_timestamp() AND finished_at >= created_at AND last_attempt_at IS NOT NULL
           FROM costsim_alert_queue WHERE id = $1",
        &[&id],
    )?;
    assert_eq!(row.get::<_, i32>(0), 1);
    assert_eq!(row.get::<_, i32>(1), 200);
    assert_eq!(row.get::<_, Option<&str>>(2), None);
    assert_eq!(row.get::<_, Option<&str>>(3), None, "nobody claims it any more");
    assert!(row.get::<_, bool>(4));
    Ok(())
}

#[test]
fn breakers_trip_is_alerted_and_its_recovery_resolves_the_same_alert() -> Result<()> {
    let (setting, mut client) = database("trip")?;
    client.batch_execute("SELECT costsim_report_drift(0.5); SELECT costsim_report_drift(0.5)")?;
    let incident: String = one(&mut client, "SELECT id FROM costsim_report_drift(0.5, 12)")?;
    let labels =
        [("alertname", "CostSimV2Disabled"), ("incident_id", incident.as_str()), ("instance", "trip")];
    setting.sink.wait_for_status(&labels, "firing", LIMIT)?;
    wait_for(
        &mut client,
        "the incident to be marked as alerted",
        "SELECT alert_sent AND alert_sent_at IS NOT NULL AND alert_response = 'HTTP 200' FROM costsim_cb_incidents",
    )?;
    assert!(one::<bool>(&mut client, "SELECT costsim_enable_v2('me', 'mended')")?);
    setting.sink.wait_for_status(&labels, "resolved", LIMIT)?;
    assert_eq!(setting.alertmanager.alert_state(&labels)?, None);
    Ok(())
}

#[test]
fn bare_insert_of_an_application_wakes_the_worker() -> Result<()> {
    let (setting, mut client) = database("orm")?;
    let started = Instant::now();
    // The reference's columns, the reference's words.
    client.execute(
        "INSERT INTO costsim_alert_queue (payload, alert_type, circuit_breaker_name, incident_id, attempts, max_attempts,
                                          last_attempt_at, next_attempt_at, last_error, status, created_at, sent_at)
         VALUES ($1::text::jsonb, 'disable', 'costsim_v2', NULL, 0, 10, NULL, now(), NULL, 'pending', now(), NULL)",
        &[&r#"[{"labels": {"alertname": "Orm"}, "annotations": {"summary": "s"}, "startsAt": "2026-01-01T00:00:00Z"}]"#],
    )?;
    wait_until(LIMIT, "the alert to arrive", || setting.alertmanager.alert_state(&[("alertname", "Orm")]))?;
    let poll = one::<i32>(
        &mut client,
        "SELECT setting::int FROM pg_settings WHERE name = 'costsim.worker_poll_interval'",
    )?;
    assert_eq!(poll, 3_600, "nothing else would have found it");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn rolled_back_alert_is_never_sent() -> Result<()> {
    let (setting, mut client) = database("rollback")?;
    client.batch_execute(
        r#"BEGIN;
           SELECT costsim_fire_alert('{"alertname": "RolledBack", "way": "fire"}');
           SELECT costsim_enqueue_alert('[{"labels": {"alertname": "RolledBack", "way": "enqueue"}}]', 'test');
           SELECT costsim_disable_v2('never was', 'me');
           ROLLBACK;
           BEGIN;
           SELECT costsim_fire_alert('{"alertname": "Kept", "part": "before"}');
           SAVEPOINT s;
           SELECT costsim_fire_alert('{"alertname": "RolledBack", "way": "savepoint"}');
           ROLLBACK TO s;
           SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Kept", "part": "after"}}]', 'test');
           COMMIT"#,
    )?;
    // What was committed later has arrived, so whatever was sent before it has too.
    for part in ["before", "after"] {
        let labels = [("alertname", "Kept"), ("part", part)];
        wait_until(LIMIT, "the committed alert", || setting.alertmanager.alert_state(&labels))?;
    }
    assert_eq!(setting.alertmanager.alert_state(&[("alertname", "RolledBack")])?, None);
    assert_eq!(setting.alertmanager.alert_state(&[("instance", "rollback")])?, None);
    assert!(setting.sink.alerts(&[("alertname", "RolledBack")]).is_empty());
    Ok(())
}

#[test]
fn firing_alert_is_sent_again_every_interval() -> Result<()> {
    let (setting, mut client) = database("again")?;
    let labels = [("alertname", "Lasting")];
    client.batch_execute(r#"SELECT costsim_fire_alert('{"alertname": "Lasting"}')"#)?;
    let first = wait_until(LIMIT, "the alert", || setting.alertmanager.alert_state(&labels))?;
    // Each send says that the alert lasts four intervals more: it would be gone by itself otherwise.
    let mut ends = vec![first.ends_at.clone()];
    wait_until(LIMIT, "five more sends", || {
        let state = setting.alertmanager.alert_state(&labels)?.context("it is gone")?;
        assert_eq!(state.starts_at, first.starts_at, "it is one and the same alert");
        if ends.last() != Some(&state.ends_at) {
            ends.push(state.ends_at);
        }
        Ok((ends.len() > 5).then_some(()))
    })?;
    assert!(ends.is_sorted(), "{ends:?}");
    let row = client.query_one("SELECT revision, sent_revision, attempts FROM costsim_alerts", &[])?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i32>(2)), (1, 1, 0));
    Ok(())
}

#[test]
fn alert_of_a_prepared_transaction_is_sent_once_somebody_wakes_the_worker() -> Result<()> {
    let (setting, mut client) = database("prepared")?;
    client.batch_execute(
        r#"BEGIN;
           SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Prepared"}}]', 'test');
           PREPARE TRANSACTION 'alert'"#,
    )?;
    let queued = one::<i64>(&mut client, "SELECT pending FROM costsim_alert_queue_stats()")?;
    assert_eq!(queued, 0);
    client.batch_execute("COMMIT PREPARED 'alert'")?;
    client
        .batch_execute(r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "After"}}]', 'test')"#)?;
    wait_until(LIMIT, "the alert", || setting.alertmanager.alert_state(&[("alertname", "Prepared")]))?;
    Ok(())
}
