//! Receivers that refuse, ask for patience or hang up, and rows that cannot be sent.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Alertmanager, Answer, ScriptedEndpoint, wait_until};
use costsim_server_tests::{LIMIT, Site, one, wait_for};

const ENQUEUE: &str = r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#;

/// A server that sends to `url`, whose worker was started by hand. A reload, by which the launcher hears of a database, may come while it
/// works already; then it asks a receiver anew that it would have left alone.
fn undisturbed(url: &str) -> Result<Site> {
    let site = Site { cluster: Site::builder(url).conf("costsim.databases", "").start()? };
    let mut client = site.cluster.create_database_with_extension("app")?;
    ensure!(one::<bool>(&mut client, "SELECT costsim_worker_start()")?);
    Ok(site)
}

#[test]
fn one_bad_row_among_many_fails_alone() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    // As an application's ORM writes, past every check: no labels, no array, nothing, an array of nonsense.
    client.batch_execute(
        r#"BEGIN;
           SELECT costsim_fire_alert('{"alertname": "Fired"}');
           INSERT INTO costsim_alert_queue (payload, alert_type)
           SELECT format('[{"labels": {"alertname": "Good", "n": "%s"}}]', n)::jsonb, 'good' FROM generate_series(1, 6) n;
           INSERT INTO costsim_alert_queue (payload, alert_type)
           VALUES ('[{"labels": {}}]', 'refused'), ('[{"labels": {"bad name": "x"}}]', 'refused'), ('[7]', 'refused'),
                  ('[{"labels": {"alertname": "x"}, "startsAt": "yesterday"}]', 'refused'),
                  ('{"labels": {"alertname": "x"}}', 'unfit'), ('[]', 'unfit'), ('null', 'unfit'), ('"x"', 'unfit');
           INSERT INTO costsim_alert_queue (payload, alert_type)
           SELECT format('[{"labels": {"alertname": "Good", "n": "%s"}}]', n)::jsonb, 'good' FROM generate_series(7, 12) n;
           COMMIT"#,
    )?;
    wait_for(&mut client, "every row to be settled", "SELECT pending = 0 FROM costsim_alert_queue_stats()")?;
    let query = "SELECT alert_type, status, (sent_at IS NOT NULL), (last_error IS NOT NULL), response_code, attempts, payload::text
                   FROM costsim_alert_queue ORDER BY id";
    for row in client.query(query, &[])? {
        let (kind, status): (&str, &str) = (row.get(0), row.get(1));
        let (is_sent, has_error): (bool, bool) = (row.get(2), row.get(3));
        let (code, attempts, payload): (Option<i32>, i32, &str) = (row.get(4), row.get(5), row.get(6));
        let expected = match kind {
            "good" => ("sent", true, false, Some(200)),
            "refused" => ("failed", false, true, Some(400)),
            _ => ("failed", false, true, None),
        };
        assert_eq!((status, is_sent, has_error, code), expected, "{payload}");
        assert_eq!(attempts, 1, "{payload}");
    }
    for number in 1..=12 {
        let labels = [("alertname", "Good"), ("n", &*number.to_string())];
        assert!(alertmanager.alert_state(&labels)?.is_some(), "good alert {number}");
    }
    assert!(alertmanager.alert_state(&[("alertname", "Fired")])?.is_some());
    wait_for(
        &mut client,
        "the fired one to be settled",
        "SELECT unsent = 0 FROM costsim_alert_queue_stats()",
    )?;
    Ok(())
}

#[test]
fn receiver_that_refuses_a_batch_and_then_fails_is_asked_no_further() -> Result<()> {
    // The batch is refused, its first half alone is taken, and at the second the receiver breaks down.
    let endpoint = ScriptedEndpoint::start([400.into(), 200.into(), 503.into(), 200.into()])?;
    let site = undisturbed(&endpoint.url())?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    client.batch_execute(&format!("{ENQUEUE} FROM generate_series(1, 20)"))?;
    wait_for(&mut client, "every row to be sent", "SELECT sent = 20 FROM costsim_alert_queue_stats()")?;
    let alerts: Vec<usize> = endpoint
        .requests()
        .iter()
        .map(|request| Ok(serde_json::from_slice::<Vec<serde_json::Value>>(&request.body)?.len()))
        .collect::<Result<_>>()?;
    assert_eq!(alerts, [20, 10, 10, 10], "the second half goes together once the receiver is well");
    let attempts: String =
        one(&mut client, "SELECT string_agg(attempts::text, '' ORDER BY id) FROM costsim_alert_queue")?;
    // A batch that is refused for something in it is no attempt at the others.
    assert_eq!(attempts, format!("{}{}", "1".repeat(10), "2".repeat(10)));
    Ok(())
}

#[test]
fn receiver_that_asks_for_patience_is_given_it() -> Result<()> {
    let endpoint = ScriptedEndpoint::start([Answer::status(503).header("retry-after", "3"), 200.into()])?;
    let site = undisturbed(&endpoint.url())?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    wait_for(&mut client, "the first attempt", "SELECT attempts = 1 FROM costsim_alert_queue")?;
    let promised: bool =
        one(&mut client, "SELECT next_attempt_at - last_attempt_at > '2.9 s' FROM costsim_alert_queue")?;
    assert!(promised, "its own pause is a second at most here");
    assert_eq!(one::<i32>(&mut client, "SELECT response_code FROM costsim_alert_queue")?, 503);
    let due: String = one(&mut client, "SELECT next_attempt_at::text FROM costsim_alert_queue")?;
    // Meanwhile other commits wake the worker; that is no reason to send this one.
    client.batch_execute(r#"SELECT costsim_fire_alert('{"alertname": "b"}')"#)?;
    wait_for(&mut client, "the row to be sent", "SELECT status = 'sent' FROM costsim_alert_queue")?;
    let kept: bool =
        one(&mut client, &format!("SELECT sent_at >= '{due}' AND attempts = 2 FROM costsim_alert_queue"))?;
    assert!(kept);
    Ok(())
}

#[test]
fn receiver_that_asks_for_ages_is_asked_again_within_the_hour() -> Result<()> {
    for asked in ["9000000000000000", "1000000000", "99999999999999999999999"] {
        let endpoint = ScriptedEndpoint::start([Answer::status(503).header("retry-after", asked)])?;
        let site = undisturbed(&endpoint.url())?;
        let mut client = site.connect()?;
        client.batch_execute(&format!("{ENQUEUE}; SELECT costsim_fire_alert('{{\"alertname\": \"b\"}}')"))?;
        // A worker that was just looking may have seen one of the two only; the other waits for the same receiver.
        let is_asked = "SELECT EXISTS (SELECT FROM costsim_alert_targets WHERE failures > 0)";
        wait_for(&mut client, "the receiver to have been asked", is_asked)?;
        let within: bool = one(
            &mut client,
            "SELECT count(*) = 3 AND bool_and(next < now() + interval '61 minutes')
               FROM (SELECT next_attempt_at FROM costsim_alert_queue UNION ALL SELECT next_send_at FROM costsim_alerts
                     UNION ALL SELECT next_attempt_at FROM costsim_alert_targets) w (next)",
        )?;
        assert!(within, "Retry-After: {asked}");
    }
    Ok(())
}

#[test]
fn row_with_an_endless_time_stops_nobody() -> Result<()> {
    let endpoint = ScriptedEndpoint::start([200.into()])?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let mut client = site.connect()?;
    client.batch_execute(
        r#"INSERT INTO costsim_alert_queue (payload, alert_type, created_at) VALUES ('[{"labels": {"a": "1"}}]', 'due', '-infinity');
           INSERT INTO costsim_alert_queue (payload, alert_type, created_at, next_attempt_at)
           VALUES ('[{"labels": {"a": "2"}}]', 'due', 'infinity', '-infinity'), ('[{"labels": {"a": "3"}}]', 'never', now(), 'infinity')"#,
    )?;
    client.batch_execute(ENQUEUE)?;
    wait_for(
        &mut client,
        "all but one to be sent",
        "SELECT sent = 3 AND pending = 1 FROM costsim_alert_queue_stats()",
    )?;
    Site::wait_for_state(&mut client, "idle")?;
    assert_eq!(
        one::<String>(&mut client, "SELECT alert_type FROM costsim_alert_queue WHERE status = 'pending'")?,
        "never"
    );
    Ok(())
}

#[test]
fn row_that_was_tried_as_often_as_can_be_counted_stops_nobody() -> Result<()> {
    let endpoint = ScriptedEndpoint::start([503.into(), 200.into()])?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let mut client = site.connect()?;
    client.batch_execute(
        r#"INSERT INTO costsim_alert_queue (payload, alert_type, attempts, max_attempts)
           VALUES ('[{"labels": {"a": "1"}}]', 'endless', 2147483647, 2147483647), ('[{"labels": {"a": "2"}}]', 'other', 0, 10)"#,
    )?;
    client.batch_execute(
        r#"SELECT costsim_fire_alert('{"alertname": "b"}'); UPDATE costsim_alerts SET attempts = 2147483647"#,
    )?;
    wait_for(&mut client, "all to be sent", "SELECT sent = 2 AND unsent = 0 FROM costsim_alert_queue_stats()")
}

#[test]
fn large_payloads_go_in_several_requests_and_too_large_ones_not_at_all() -> Result<()> {
    let endpoint = ScriptedEndpoint::start([200.into()])?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let mut client = site.connect()?;
    client.batch_execute(
        "INSERT INTO costsim_alert_queue (payload, alert_type)
         SELECT jsonb_build_array(jsonb_build_object('labels', jsonb_build_object('a', n), 'annotations',
                    jsonb_build_object('text', repeat('x', CASE WHEN n = 5 THEN 5000000 ELSE 3000000 END)))),
                CASE WHEN n = 5 THEN 'too large' ELSE 'large' END
           FROM generate_series(1, 10) n",
    )?;
    wait_for(&mut client, "every row to be settled", "SELECT pending = 0 FROM costsim_alert_queue_stats()")?;
    let query = "SELECT count(*) FROM costsim_alert_queue WHERE (alert_type, status) IN (('large', 'sent'), ('too large', 'failed'))";
    assert_eq!(one::<i64>(&mut client, query)?, 10);
    let longest = endpoint.requests().iter().map(|request| request.body.len()).max().unwrap_or_default();
    assert!((3_000_000..9_000_000).contains(&longest), "longest request: {longest} bytes");
    Ok(())
}

#[test]
fn breaker_and_worker_never_wait_for_each_other_in_a_circle() -> Result<()> {
    let endpoint = ScriptedEndpoint::start([Answer::hang_up(), 200.into()])?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let mut client = site.connect()?;
    client.batch_execute("SELECT costsim_report_drift(0.9); SELECT costsim_report_drift(0.9)")?;
    for round in 0..20 {
        // The third report trips; while the worker delivers, one transaction works on the incident first and on its alert second.
        client.batch_execute(
            "SELECT costsim_report_drift(0.9);
             BEGIN; SELECT costsim_report_drift(0.95);",
        )?;
        let mut other = site.connect()?;
        wait_for(&mut other, "the alert to arrive", "SELECT unsent = 0 FROM costsim_alert_queue_stats()")?;
        client
            .batch_execute("SELECT costsim_enable_v2('me'); COMMIT; SELECT costsim_report_drift(0.9); SELECT costsim_report_drift(0.9)")
            .with_context(|| format!("round {round}"))?;
    }
    wait_for(
        &mut client,
        "every incident to be marked, the locked ones later",
        "SELECT bool_and(alert_sent) FROM costsim_incidents(include_resolved => true, \"limit\" => NULL)",
    )?;
    Ok(())
}

#[test]
fn receiver_that_hangs_up_or_redirects_is_tried_again() -> Result<()> {
    let elsewhere = ScriptedEndpoint::start([200.into()])?;
    let redirect = Answer::status(307).header("location", &elsewhere.url());
    let endpoint = ScriptedEndpoint::start([
        Answer::hang_up(),
        redirect,
        500.into(),
        401.into(),
        404.into(),
        429.into(),
        200.into(),
    ])?;
    let site = undisturbed(&endpoint.url())?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    wait_for(&mut client, "the row to be sent", "SELECT status = 'sent' FROM costsim_alert_queue")?;
    assert_eq!(one::<i32>(&mut client, "SELECT attempts FROM costsim_alert_queue")?, 7);
    let requests = endpoint.wait_for_requests(7, LIMIT)?;
    assert!(requests.iter().all(|request| request.path == "/api/v2/alerts" && request.method == "POST"));
    assert!(elsewhere.requests().is_empty(), "a redirect is not followed");
    Ok(())
}

#[test]
fn row_is_given_up_when_attempts_and_time_are_used_up() -> Result<()> {
    let endpoint = ScriptedEndpoint::start([503.into()])?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alert_retry_window", "0"))?;
    let mut client = site.connect()?;
    client.batch_execute(
        r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test', max_attempts => 3);
           SELECT costsim_fire_alert('{"alertname": "b"}')"#,
    )?;
    wait_for(&mut client, "the row to fail", "SELECT status = 'failed' FROM costsim_alert_queue")?;
    assert_eq!(one::<i32>(&mut client, "SELECT attempts FROM costsim_alert_queue")?, 3);
    // What fires is told until it is heard.
    wait_for(&mut client, "a fourth attempt at what fires", "SELECT attempts >= 4 FROM costsim_alerts")?;
    Ok(())
}

#[test]
fn endless_answer_is_read_in_part() -> Result<()> {
    let endpoint = ScriptedEndpoint::start([Answer::status(500).body(vec![b'x'; 50_000_000]), 200.into()])?;
    let site = Site::start(Site::builder(&endpoint.url()))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    wait_for(&mut client, "the first attempt", "SELECT attempts >= 1 FROM costsim_alert_queue")?;
    let longest: i32 =
        one(&mut client, "SELECT coalesce(max(length(last_error)), 0) FROM costsim_alert_queue")?;
    ensure!(longest < 2_000, "{longest} characters of it were stored");
    wait_for(&mut client, "the row to be sent", "SELECT status = 'sent' FROM costsim_alert_queue")?;
    Ok(())
}

#[test]
fn resolve_that_comes_while_the_alert_is_in_flight_is_sent_after_it() -> Result<()> {
    let endpoint =
        ScriptedEndpoint::start([Answer::status(200).after(std::time::Duration::from_secs(1)), 200.into()])?;
    let site = undisturbed(&endpoint.url())?;
    let mut client = site.connect()?;
    client.batch_execute(r#"SELECT costsim_fire_alert('{"alertname": "a"}')"#)?;
    endpoint.wait_for_requests(1, LIMIT)?;
    assert!(one::<bool>(&mut client, r#"SELECT costsim_resolve_alert('{"alertname": "a"}')"#)?);
    let requests = endpoint.wait_for_requests(2, LIMIT)?;
    let (first, second) = (requests[0].json()?, requests[1].json()?);
    assert_eq!(first[0]["startsAt"], second[0]["startsAt"]);
    let ends = |alert: &serde_json::Value| alert[0]["endsAt"].as_str().map(str::to_owned);
    assert!(ends(&second) < ends(&first), "the second says that it has ended");
    wait_until(LIMIT, "the row to be settled", || {
        Ok(one::<bool>(&mut client, "SELECT sent_revision = 2 AND revision = 2 FROM costsim_alerts")?
            .then_some(()))
    })
}
