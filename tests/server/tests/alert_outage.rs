//! Alertmanager is down, the worker is killed: every alert arrives, and none is said to be sent before it did.

use anyhow::{Result, bail, ensure};
use costsim_harness::{Alertmanager, HangingEndpoint, Listed, RecordingEndpoint, wait_until};
use costsim_server_tests::{LIMIT, Site, kill_and_reconnect, one, set, set_for_the_next_start, wait_for};
use postgres::Client;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const QUEUED: i64 = 50;
const FIRED: i64 = 5;

/// Each alert its own, so that Alertmanager's list can be counted.
fn raise_all(client: &mut Client) -> Result<()> {
    client.batch_execute(&format!(
        r#"SELECT costsim_enqueue_alert(format('[{{"labels": {{"alertname": "Queued", "n": "%s"}}}}]', n)::jsonb, 'test')
             FROM generate_series(1, {QUEUED}) n;
           SELECT costsim_fire_alert(format('{{"alertname": "Fired", "n": "%s"}}', n)::jsonb)
             FROM generate_series(1, {FIRED}) n"#
    ))?;
    Ok(())
}

/// Fails the test at once if any row claims to have been delivered.
fn nothing_is_sent(client: &mut Client) -> Result<()> {
    let query =
        "SELECT (SELECT count(*) FROM costsim_alert_queue WHERE status <> 'pending' OR sent_at IS NOT NULL)
                      + (SELECT count(*) FROM costsim_alerts WHERE sent_revision > 0 OR sent_at IS NOT NULL)";
    assert_eq!(one::<i64>(client, query)?, 0, "a row claims what cannot be");
    Ok(())
}

/// Waits until Alertmanager lists them all, then until the rows say so, and compares with `since` what they say.
fn everything_arrives(client: &mut Client, alertmanager: &Alertmanager, since: &str) -> Result<()> {
    wait_until(LIMIT, "every alert to be listed", || {
        let listed = alertmanager.alerts(Listed::Active)?.len();
        if listed as i64 != QUEUED + FIRED {
            bail!("{listed} are listed");
        }
        Ok(Some(()))
    })?;
    wait_for(
        client,
        "every row to be settled",
        "SELECT pending = 0 AND failed = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )?;
    let too_early: i64 = one(
        client,
        &format!(
            "SELECT (SELECT count(*) FROM costsim_alert_queue WHERE sent_at < '{since}')
                  + (SELECT count(*) FROM costsim_alerts WHERE sent_at < '{since}')"
        ),
    )?;
    assert_eq!(too_early, 0, "none was marked before it could have arrived");
    assert_eq!(one::<i64>(client, "SELECT sent FROM costsim_alert_queue_stats()")?, QUEUED);
    Ok(())
}

fn now(client: &mut Client) -> Result<String> {
    one(client, "SELECT clock_timestamp()::text")
}

#[test]
fn outage_of_alertmanager_loses_nothing_and_marks_nothing() -> Result<()> {
    let mut alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()).conf("costsim.alert_resend_interval", "1s"))?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    alertmanager.stop()?;
    raise_all(&mut client)?;
    wait_until(LIMIT, "everything to have been tried three times", || {
        nothing_is_sent(&mut client)?;
        let query = "SELECT (SELECT min(attempts) FROM costsim_alert_queue) >= 3
                        AND (SELECT min(attempts) FROM costsim_alerts) >= 3";
        Ok(one::<bool>(&mut client, query)?.then_some(()))
    })?;
    let status = Site::wait_for_state(&mut client, "blocked")?;
    assert!(status.trouble.is_some(), "it says why");
    let stats = client
        .query_one("SELECT pending, unsent, firing, last_error FROM costsim_alert_queue_stats()", &[])?;
    assert_eq!(
        (stats.get::<_, i64>(0), stats.get::<_, i64>(1), stats.get::<_, i64>(2)),
        (QUEUED, FIRED, FIRED)
    );
    assert!(stats.get::<_, Option<&str>>(3).is_some(), "the error is shown");

    nothing_is_sent(&mut client)?;
    let back_at = now(&mut client)?;
    alertmanager.restart_on_same_port()?;
    everything_arrives(&mut client, &alertmanager, &back_at)?;
    let status = Site::wait_for_state(&mut client, "idle")?;
    assert_eq!(status.trouble, None, "the trouble is over");
    Ok(())
}

#[test]
fn restarted_alertmanager_hears_again_of_what_fires() -> Result<()> {
    let mut alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()).conf("costsim.alert_resend_interval", "1s"))?;
    let mut client = site.connect()?;
    client.batch_execute(r#"SELECT costsim_fire_alert('{"alertname": "Lasting"}')"#)?;
    wait_until(LIMIT, "the alert", || alertmanager.alert_state(&[("alertname", "Lasting")]))?;
    alertmanager.restart_on_same_port()?;
    wait_until(LIMIT, "the alert again", || alertmanager.alert_state(&[("alertname", "Lasting")]))?;
    Ok(())
}

/// The request has arrived and is not answered: that is when the worker is killed. How much of all there is it carries is not the
/// question: a worker that was just looking when it was committed takes the rest later.
fn wait_for_the_middle(client: &mut Client, endpoint: &HangingEndpoint) -> Result<i32> {
    let requests = endpoint.wait_for_requests(1, LIMIT)?;
    let carried = requests[0].json()?.as_array().map_or(0, Vec::len) as i64;
    ensure!((1..=QUEUED + FIRED).contains(&carried), "{carried} alerts are on their way");
    let pid = Site::wait_for_request(client)?;
    nothing_is_sent(client)?;
    let claimed = "SELECT (SELECT count(*) FROM costsim_alert_queue WHERE num_nonnulls(claimed_by, claim_token, claimed_until) > 0)
                        + (SELECT count(*) FROM costsim_alerts WHERE num_nonnulls(claimed_by, claim_token, claimed_until) > 0)";
    assert_eq!(one::<i64>(client, claimed)?, 0, "a worker writes nothing before it knows the answer");
    Ok(pid)
}

#[test]
fn worker_killed_between_reading_and_settling_loses_nothing_and_marks_nothing() -> Result<()> {
    let endpoint = HangingEndpoint::start()?;
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alertmanager_timeout", "5s"))?;
    let mut client = site.connect()?;
    client.batch_execute("BEGIN")?;
    raise_all(&mut client)?;
    client.batch_execute("COMMIT")?;
    let pid = wait_for_the_middle(&mut client, &endpoint)?;
    let mut client = kill_and_reconnect(&site.cluster, pid, &mut client, "app")?;
    nothing_is_sent(&mut client)?;

    // The next worker tries the same address once more before it hears of the other.
    let reloaded_at = now(&mut client)?;
    set(&mut client, "costsim.alertmanager_url", &alertmanager.url())?;
    everything_arrives(&mut client, &alertmanager, &reloaded_at)
}

#[test]
fn next_worker_sends_at_once_what_the_killed_one_had_in_flight() -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    // Whoever waited for the end of the killed worker's request would wait for this time.
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alertmanager_timeout", "5min"))?;
    let mut client = site.connect()?;
    endpoint.hold();
    client.batch_execute("BEGIN")?;
    raise_all(&mut client)?;
    client.batch_execute("COMMIT")?;
    endpoint.wait_for_held(LIMIT)?;
    let pid = Site::wait_for_request(&mut client)?;
    let mut client = kill_and_reconnect(&site.cluster, pid, &mut client, "app")?;
    nothing_is_sent(&mut client)?;
    let killed_at = Instant::now();
    endpoint.release();
    wait_for(
        &mut client,
        "every row to be settled",
        "SELECT sent = 50 AND failed = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )?;
    ensure!(killed_at.elapsed() < Duration::from_secs(20), "{:?}", killed_at.elapsed());
    // The answer to the first request found nobody: what it carried has come again.
    let again: BTreeSet<_> =
        endpoint.heard().into_iter().filter(|heard| heard.request > 0).map(|heard| heard.labels).collect();
    assert_eq!(again.len() as i64, QUEUED + FIRED);
    Ok(())
}

#[test]
fn crash_of_the_server_right_after_a_commit_loses_no_alert() -> Result<()> {
    use costsim_harness::Mode;
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(
        Site::builder("")
            .conf("synchronous_commit", "off")
            .conf("wal_writer_delay", "10s")
            .conf("wal_writer_flush_after", "1GB"),
    )?;
    let mut client = site.connect()?;
    set_for_the_next_start(&mut client, "costsim.alertmanager_url", &alertmanager.url())?;
    raise_all(&mut client)?;
    let since = now(&mut client)?;
    site.cluster.restart(Mode::Immediate)?;
    everything_arrives(&mut site.connect()?, &alertmanager, &since)
}
