//! One Alertmanager that restarts, several of which one is dead, and a backlog: each gets what it is owed, the urgent first, and
//! none waits for another.

use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{
    Alertmanager, Answer, HangingEndpoint, Heard, Listed, RecordingEndpoint, WebhookSink, wait_until,
};
use costsim_server_tests::{LIMIT, Site, one, set, set_everywhere, wait_for};
use fastrand::Rng;
use postgres::Client;
use std::collections::{BTreeSet, HashMap};
use std::thread;
use std::time::{Duration, Instant};

fn enqueue(client: &mut Client, name: &str) -> Result<i64> {
    one(
        client,
        &format!(r#"SELECT costsim_enqueue_alert('[{{"labels": {{"alertname": "{name}"}}}}]', 'test')"#),
    )
}

fn fire(client: &mut Client, name: &str) -> Result<String> {
    one(client, &format!(r#"SELECT costsim_fire_alert('{{"alertname": "{name}"}}')"#))
}

fn wait_until_listed(alertmanager: &Alertmanager, name: &str) -> Result<()> {
    wait_until(LIMIT, &format!("alert {name}"), || alertmanager.alert_state(&[("alertname", name)])).map(drop)
}

/// The names of what Alertmanager lists.
fn listed(alertmanager: &Alertmanager) -> Result<BTreeSet<String>> {
    let names = alertmanager.alerts(Listed::All)?;
    Ok(names.iter().filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect())
}

fn wait_until_all_listed(alertmanager: &Alertmanager, names: &BTreeSet<String>) -> Result<()> {
    wait_until(LIMIT, "everything to be listed", || {
        let listed = listed(alertmanager)?;
        if let Some(missing) = names.difference(&listed).next() {
            bail!("{missing} is missing among {}", listed.len());
        }
        Ok(Some(()))
    })
}

/// What Alertmanager's endpoint is called in the table.
fn endpoint(base: &str) -> String {
    format!("{base}/api/v2/alerts")
}

/// Waits until the worker knows these targets and no others.
fn send_to(site: &Site, client: &mut Client, urls: &[&str]) -> Result<()> {
    set_everywhere(&site.cluster, "costsim.alertmanager_url", &urls.join(", "))?;
    let wanted: BTreeSet<String> = urls.iter().map(|url| endpoint(url)).collect();
    wait_until(LIMIT, "the worker to know its targets", || {
        let known: BTreeSet<String> = client
            .query("SELECT url FROM costsim_alert_targets", &[])?
            .iter()
            .map(|row| row.get(0))
            .collect();
        if known != wanted {
            bail!("it knows {known:?}");
        }
        Ok(Some(()))
    })
}

/// Waits until a target has failed twice in a row.
fn wait_for_two_failures(client: &mut Client) -> Result<()> {
    wait_until(LIMIT, "two failures", || {
        let failures: Option<i32> = one(client, "SELECT max(failures) FROM costsim_alert_targets")?;
        if failures < Some(2) {
            bail!("{failures:?}, {:?}", Site::worker_status(client)?);
        }
        Ok(Some(()))
    })
}

fn target_id(client: &mut Client, base: &str) -> Result<i32> {
    let row = client.query_one("SELECT id FROM costsim_alert_targets WHERE url = $1", &[&endpoint(base)])?;
    Ok(row.get(0))
}

#[test]
fn restarted_alertmanager_hears_within_two_intervals_of_what_fires_and_then_of_its_end() -> Result<()> {
    let interval = Duration::from_secs(3);
    let sink = WebhookSink::start()?;
    let mut alertmanager = Alertmanager::start_with_webhook(&sink.url())?;
    let site = Site::start(Site::builder(&alertmanager.url()).conf("costsim.alert_resend_interval", "3s"))?;
    let mut client = site.connect()?;
    fire(&mut client, "Lasting")?;
    wait_until_listed(&alertmanager, "Lasting")?;
    alertmanager.restart_on_same_port()?;
    let restarted_at = Instant::now();
    wait_until_listed(&alertmanager, "Lasting")?;
    let took = restarted_at.elapsed();
    ensure!(took < interval * 2, "{took:?}");
    let labels = [("alertname", "Lasting")];
    sink.wait_for_status(&labels, "firing", LIMIT)?;
    assert!(one::<bool>(&mut client, r#"SELECT costsim_resolve_alert('{"alertname": "Lasting"}')"#)?);
    sink.wait_for_status(&labels, "resolved", LIMIT)?;
    assert_eq!(alertmanager.alert_state(&labels)?, None);
    Ok(())
}

#[test]
fn flapping_during_an_outage_leaves_a_row_per_alert_and_the_right_states_after_it() -> Result<()> {
    const ALERTS: usize = 100;
    const TRANSITIONS: usize = 10_000;
    const SESSIONS: usize = 4;
    let mut alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()).conf("costsim.alert_resend_interval", "1s"))?;
    let mut client = site.connect()?;
    alertmanager.stop()?;
    let mut rng = Rng::with_seed(100);
    thread::scope(|scope| {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let (mut client, mut rng) = (site.connect()?, rng.fork());
            sessions.push(scope.spawn(move || {
                for _ in 0..TRANSITIONS / SESSIONS {
                    let word = if rng.bool() { "fire" } else { "resolve" };
                    let labels = format!(r#"{{"alertname": "Flap{}"}}"#, rng.usize(..ALERTS));
                    client.batch_execute(&format!("SELECT costsim_{word}_alert('{labels}')"))?;
                }
                Ok::<_, anyhow::Error>(())
            }));
        }
        sessions
            .into_iter()
            .try_for_each(|session| session.join().map_err(|_| anyhow!("a session has panicked"))?)
    })?;
    let query = "SELECT (SELECT pending + unsent FROM costsim_alert_queue_stats()), (SELECT count(*) FROM costsim_alerts),
                        (SELECT sum(revision)::bigint FROM costsim_alerts)";
    let row = client.query_one(query, &[])?;
    let (waiting, rows, revisions): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert_eq!((waiting, rows), (ALERTS as i64, ALERTS as i64));
    // Half of the calls found the alert as they wanted it.
    ensure!(revisions > TRANSITIONS as i64 / 3, "{revisions} transitions");
    wait_for_two_failures(&mut client)?;

    alertmanager.restart_on_same_port()?;
    wait_for(&mut client, "all to be told", "SELECT unsent = 0 FROM costsim_alert_queue_stats()")?;
    let firing = "SELECT coalesce(array_agg(fingerprint ORDER BY fingerprint), '{}') FROM costsim_alerts WHERE resolved_at IS NULL";
    let firing: Vec<String> = one(&mut client, firing)?;
    ensure!(firing.len() > ALERTS / 4 && firing.len() < ALERTS * 3 / 4, "{} are firing", firing.len());
    let mut known: Vec<String> = alertmanager
        .alerts(Listed::All)?
        .iter()
        .filter_map(|alert| alert["fingerprint"].as_str().map(str::to_owned))
        .collect();
    known.sort();
    assert_eq!(known, firing);
    Ok(())
}

/// How long each of some alerts takes from its commit to Alertmanager's list.
fn latencies(client: &mut Client, alertmanager: &Alertmanager, name: &str) -> Result<Vec<Duration>> {
    let mut found = Vec::new();
    for number in 0..6 {
        let name = format!("{name}{number}");
        enqueue(client, &name)?;
        let committed_at = Instant::now();
        wait_until_listed(alertmanager, &name)?;
        found.push(committed_at.elapsed());
    }
    Ok(found)
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations[durations.len() / 2]
}

/// What the live one gets beside another that does not answer, interleaved with what it gets alone.
fn other_target_holds_nobody_up(other: &str) -> Result<()> {
    let timeout = Duration::from_secs(8);
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(
        Site::builder(&alertmanager.url())
            .conf("costsim.alertmanager_timeout", "8s")
            .conf("costsim.alertmanager_connect_timeout", "8s"),
    )?;
    let mut client = site.connect()?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 0..5 {
        send_to(&site, &mut client, &[&alertmanager.url()])?;
        alone.extend(latencies(&mut client, &alertmanager, &format!("Alone{round}x"))?);
        // In either order of the list.
        let urls = if round % 2 == 0 { [other, &alertmanager.url()] } else { [&alertmanager.url(), other] };
        send_to(&site, &mut client, &urls)?;
        beside.extend(latencies(&mut client, &alertmanager, &format!("Beside{round}x"))?);
    }
    let slowest = beside.iter().copied().max().context("nothing was measured")?;
    println!("median alone {:?}, beside {:?}, slowest {slowest:?}", median(alone), median(beside));
    ensure!(slowest < timeout / 2, "{slowest:?} beside one that does not answer");
    wait_for(
        &mut client,
        "every row to be sent",
        "SELECT pending = 0 AND failed = 0 FROM costsim_alert_queue_stats()",
    )
}

#[test]
fn target_that_refuses_connections_holds_up_no_other() -> Result<()> {
    let mut dead = Alertmanager::start()?;
    dead.stop()?;
    other_target_holds_nobody_up(&dead.url())
}

#[test]
fn target_that_hangs_holds_up_no_other() -> Result<()> {
    let hanging = HangingEndpoint::start()?;
    other_target_holds_nobody_up(&hanging.url())?;
    ensure!(!hanging.requests().is_empty(), "it was never asked");
    Ok(())
}

#[test]
fn target_that_comes_back_gets_what_was_queued_meanwhile_and_what_fires() -> Result<()> {
    let (live, mut dead) = (Alertmanager::start()?, Alertmanager::start()?);
    let site = Site::start(Site::builder("").conf("costsim.alert_batch_size", "16"))?;
    let mut client = site.connect()?;
    send_to(&site, &mut client, &[&live.url(), &dead.url()])?;
    fire(&mut client, "Before")?;
    wait_until_listed(&dead, "Before")?;
    dead.stop()?;
    let mut names = BTreeSet::from(["Before".to_owned()]);
    for number in 0..50 {
        enqueue(&mut client, &format!("Queued{number}"))?;
        names.insert(format!("Queued{number}"));
    }
    for number in 0..10 {
        fire(&mut client, &format!("Fired{number}"))?;
        names.insert(format!("Fired{number}"));
    }
    fire(&mut client, "Over")?;
    wait_until_listed(&live, "Over")?;
    assert!(one::<bool>(&mut client, r#"SELECT costsim_resolve_alert('{"alertname": "Over"}')"#)?);
    wait_until_all_listed(&live, &names)?;
    // One has it: that is enough to be sent, and the other is still owed it.
    wait_for(
        &mut client,
        "every row to be sent",
        "SELECT sent = 50 AND pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )?;
    let owed = target_id(&mut client, &dead.url())?;
    let query = format!(
        "SELECT (SELECT count(*) FROM costsim_alert_queue WHERE owed_to = ARRAY[{owed}]) = 50
            AND (SELECT count(*) FROM costsim_alerts WHERE owed_to = ARRAY[{owed}]) >= 11"
    );
    assert!(one::<bool>(&mut client, &query)?, "what the dead one is owed is written down");

    dead.restart_on_same_port()?;
    // What fired before it went is told at its time; until then a minute may pass.
    names.remove("Before");
    wait_until_all_listed(&dead, &names)?;
    wait_for(
        &mut client,
        "nothing to be owed",
        "SELECT NOT EXISTS (SELECT FROM costsim_alert_queue WHERE owed_to IS NOT NULL)
            AND NOT EXISTS (SELECT FROM costsim_alerts WHERE owed_to IS NOT NULL)",
    )?;
    ensure!(!listed(&dead)?.contains("Over"), "it was told of an end");
    Ok(())
}

#[test]
fn row_is_sent_under_policy_all_when_every_target_has_it() -> Result<()> {
    let (live, mut dead) = (Alertmanager::start()?, Alertmanager::start()?);
    let site = Site::start(Site::builder("").conf("costsim.alert_policy", "all"))?;
    let mut client = site.connect()?;
    send_to(&site, &mut client, &[&live.url(), &dead.url()])?;
    dead.stop()?;
    let id = enqueue(&mut client, "Queued")?;
    fire(&mut client, "Fired")?;
    wait_until_all_listed(&live, &BTreeSet::from(["Queued".to_owned(), "Fired".to_owned()]))?;
    let owed = target_id(&mut client, &dead.url())?;
    wait_for(
        &mut client,
        "both to be owed to the other alone",
        &format!(
            "SELECT (SELECT owed_to = ARRAY[{owed}] FROM costsim_alert_queue) AND (SELECT owed_to = ARRAY[{owed}] FROM costsim_alerts)"
        ),
    )?;
    let half = "SELECT status = 'pending' AND finished_at IS NULL FROM costsim_alert_queue";
    wait_for_two_failures(&mut client)?;
    assert!(one::<bool>(&mut client, half)?, "one of two is not enough");
    let stats = client.query_one("SELECT pending, unsent FROM costsim_alert_queue_stats()", &[])?;
    assert_eq!((stats.get::<_, i64>(0), stats.get::<_, i64>(1)), (1, 1));

    dead.restart_on_same_port()?;
    wait_until_all_listed(&dead, &BTreeSet::from(["Queued".to_owned(), "Fired".to_owned()]))?;
    wait_for(
        &mut client,
        "both to be sent",
        &format!(
            "SELECT (SELECT status = 'sent' AND sent_at IS NOT NULL AND owed_to IS NULL FROM costsim_alert_queue WHERE id = {id})
                AND (SELECT sent_revision = revision AND owed_to IS NULL FROM costsim_alerts)"
        ),
    )
}

#[test]
fn row_that_one_target_has_is_sent_when_the_policy_becomes_any() -> Result<()> {
    let (live, mut dead) = (Alertmanager::start()?, Alertmanager::start()?);
    dead.stop()?;
    let site = Site::start(Site::builder("").conf("costsim.alert_policy", "all"))?;
    let mut client = site.connect()?;
    send_to(&site, &mut client, &[&live.url(), &dead.url()])?;
    enqueue(&mut client, "Queued")?;
    fire(&mut client, "Fired")?;
    let owed = target_id(&mut client, &dead.url())?;
    let both = |status: &str, is_told: bool| {
        format!(
            "SELECT (SELECT status = '{status}' AND owed_to = ARRAY[{owed}] FROM costsim_alert_queue)
                AND (SELECT (sent_revision = revision) = {is_told} AND owed_to = ARRAY[{owed}] FROM costsim_alerts)"
        )
    };
    wait_for(&mut client, "one target to have both", &both("pending", false))?;
    set(&mut client, "costsim.alert_policy", "any")?;
    wait_for(&mut client, "that to be enough, and the other to be owed them still", &both("sent", true))
}

#[test]
fn each_target_says_how_it_is() -> Result<()> {
    let (live, mut dead) = (Alertmanager::start()?, Alertmanager::start()?);
    dead.stop()?;
    let site = Site::start(Site::builder(""))?;
    let mut client = site.connect()?;
    send_to(&site, &mut client, &[&live.url(), &dead.url()])?;
    let new = "SELECT count(*) FROM costsim_alert_targets
                WHERE state = 'new' AND failures = 0 AND sent = 0 AND last_attempt_at IS NULL AND last_error IS NULL";
    assert_eq!(one::<i64>(&mut client, new)?, 2);
    enqueue(&mut client, "a")?;
    let (live_id, dead_id) = (target_id(&mut client, &live.url())?, target_id(&mut client, &dead.url())?);
    let is_ok = |id: i32| {
        format!(
            "SELECT state = 'ok' AND failures = 0 AND sent >= 1 AND last_success_at IS NOT NULL AND last_attempt_at IS NOT NULL
                    AND next_attempt_at IS NULL AND last_error IS NULL AND response_code = 200
               FROM costsim_alert_targets WHERE id = {id}"
        )
    };
    wait_for(&mut client, "one to be well", &is_ok(live_id))?;
    let fails = format!(
        "SELECT state = 'failing' AND failures >= 2 AND sent = 0 AND last_success_at IS NULL AND last_attempt_at IS NOT NULL
                AND next_attempt_at IS NOT NULL AND last_error <> '' AND response_code IS NULL
           FROM costsim_alert_targets WHERE id = {dead_id}"
    );
    wait_for(&mut client, "the other to be failing", &fails)?;
    let status = client.query_one("SELECT targets, targets_failing FROM costsim_alert_status", &[])?;
    assert_eq!((status.get::<_, i64>(0), status.get::<_, i64>(1)), (2, 1));

    dead.restart_on_same_port()?;
    wait_for(&mut client, "both to be well", &is_ok(dead_id))?;
    assert!(one::<bool>(&mut client, &is_ok(live_id))?);
    let status = client.query_one("SELECT targets, targets_failing FROM costsim_alert_status", &[])?;
    assert_eq!((status.get::<_, i64>(0), status.get::<_, i64>(1)), (2, 0));
    Ok(())
}

#[test]
fn target_that_is_taken_out_is_forgotten_and_one_that_is_put_in_is_told() -> Result<()> {
    let (live, mut dead, added) = (Alertmanager::start()?, Alertmanager::start()?, Alertmanager::start()?);
    dead.stop()?;
    let site = Site::start(
        Site::builder("").conf("costsim.alert_policy", "all").conf("costsim.alert_resend_interval", "1s"),
    )?;
    let mut client = site.connect()?;
    send_to(&site, &mut client, &[&live.url(), &dead.url()])?;
    for number in 0..10 {
        enqueue(&mut client, &format!("Queued{number}"))?;
    }
    fire(&mut client, "Fired")?;
    let owed = target_id(&mut client, &dead.url())?;
    wait_for(
        &mut client,
        "all to be owed to the dead one",
        &format!(
            "SELECT (SELECT count(*) = 10 FROM costsim_alert_queue WHERE status = 'pending' AND owed_to = ARRAY[{owed}])
                AND (SELECT owed_to = ARRAY[{owed}] FROM costsim_alerts)"
        ),
    )?;

    send_to(&site, &mut client, &[&live.url()])?;
    wait_for(
        &mut client,
        "what the other has to be enough",
        "SELECT (SELECT count(*) = 10 FROM costsim_alert_queue WHERE status = 'sent' AND sent_at IS NOT NULL AND owed_to IS NULL)
            AND (SELECT sent_revision = revision AND owed_to IS NULL FROM costsim_alerts)",
    )?;

    send_to(&site, &mut client, &[&live.url(), &added.url()])?;
    enqueue(&mut client, "Later")?;
    for alertmanager in [&live, &added] {
        wait_until_all_listed(alertmanager, &BTreeSet::from(["Later".to_owned(), "Fired".to_owned()]))?;
    }
    ensure!(!listed(&added)?.contains("Queued0"), "what had been sent is not news");
    wait_for(
        &mut client,
        "all to be sent",
        "SELECT sent = 11 AND pending = 0 FROM costsim_alert_queue_stats()",
    )
}

#[test]
fn target_that_is_named_four_times_is_one() -> Result<()> {
    let recorder = RecordingEndpoint::start()?;
    let base = recorder.url();
    let site = Site::start(Site::builder(&format!("{base}, {base}/, {base}/api/v2, {base}/api/v2/alerts")))?;
    let mut client = site.connect()?;
    for number in 0..5 {
        let id = enqueue(&mut client, &format!("Once{number}"))?;
        let sent =
            format!("SELECT status = 'sent' AND owed_to IS NULL FROM costsim_alert_queue WHERE id = {id}");
        wait_for(&mut client, "the row to be sent", &sent)?;
    }
    assert_eq!(
        one::<String>(&mut client, "SELECT string_agg(url, ' ') FROM costsim_alert_targets")?,
        endpoint(&base)
    );
    let heard: Vec<String> =
        recorder.look(|heard| heard.iter().map(|one| one.label("alertname").to_owned()).collect());
    assert_eq!(heard, ["Once0", "Once1", "Once2", "Once3", "Once4"]);
    Ok(())
}

/// While a target is slow to take what an alert was, the others hear what it is. Then it has to hear that too.
#[test]
fn target_that_was_busy_with_the_older_state_hears_the_newer_one() -> Result<()> {
    let (quick, slow) = (RecordingEndpoint::start()?, RecordingEndpoint::start()?);
    let site = Site::start(
        Site::builder(&format!("{}, {}", quick.url(), slow.url()))
            .conf("costsim.alert_resend_interval", "1h"),
    )?;
    let mut client = site.connect()?;
    let is_over = |heard: &[Heard]| heard.iter().any(Heard::is_resolved);
    slow.hold();
    fire(&mut client, "Short")?;
    slow.wait_for_held(LIMIT)?;
    wait_for(&mut client, "one to have it", "SELECT sent_revision = 1 FROM costsim_alerts")?;
    assert!(one::<bool>(&mut client, r#"SELECT costsim_resolve_alert('{"alertname": "Short"}')"#)?);
    quick.wait_until(LIMIT, "its end", is_over)?;
    wait_for(&mut client, "one to have its end", "SELECT sent_revision = 2 FROM costsim_alerts")?;
    slow.release();
    slow.wait_until(LIMIT, "its end at the slow one", is_over)?;
    wait_for(&mut client, "nothing to be owed", "SELECT owed_to IS NULL FROM costsim_alerts")
}

/// What a target stumbles over while another has it is tried there again, though nothing else happens.
#[test]
fn row_that_failed_alone_at_one_of_two_targets_arrives_there_later() -> Result<()> {
    for failures in [1, 2, 3] {
        let mut left = failures;
        let stumbling = RecordingEndpoint::answering(move |_| {
            let fails = left > 0;
            left -= usize::from(fails);
            Answer::status(if fails { 500 } else { 200 })
        })?;
        let well = RecordingEndpoint::start()?;
        let site = Site::start(Site::builder("").conf("costsim.alert_batch_size", "2"))?;
        let mut client = site.connect()?;
        send_to(&site, &mut client, &[&well.url(), &stumbling.url()])?;
        client.batch_execute(
            r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Queued"}}]', 'test') FROM generate_series(1, 3)"#,
        )?;
        wait_for(
            &mut client,
            "nothing to be owed",
            "SELECT bool_and(status = 'sent' AND owed_to IS NULL) FROM costsim_alert_queue",
        )
        .with_context(|| format!("after {failures} failures"))?;
        let accepted = stumbling.look(|heard| heard.iter().filter(|one| one.is_accepted).count());
        assert_eq!(accepted, 3);
    }
    Ok(())
}

/// A target that will never take anything, and one that is busy just now.
#[test]
fn alert_that_one_target_refuses_reaches_the_other() -> Result<()> {
    let refusing = RecordingEndpoint::answering(|_| Answer::status(400).body("invalid"))?;
    let slow = RecordingEndpoint::start()?;
    let site = Site::start(Site::builder("").conf("costsim.alert_max_backoff", "5min"))?;
    let mut client = site.connect()?;
    send_to(&site, &mut client, &[&slow.url(), &refusing.url()])?;
    for number in 0..5 {
        slow.hold();
        enqueue(&mut client, &format!("Before{number}"))?;
        slow.wait_for_held(LIMIT)?;
        let (queued, fired) = (format!("Queued{number}"), format!("Fired{number}"));
        enqueue(&mut client, &queued)?;
        fire(&mut client, &fired)?;
        let is_there = |heard: &[Heard], name: &str| heard.iter().any(|one| one.label("alertname") == name);
        refusing
            .wait_until(LIMIT, "the refusal", |heard| is_there(heard, &queued) && is_there(heard, &fired))?;
        slow.release();
        slow.wait_until(LIMIT, "what the other has refused", |heard| {
            is_there(heard, &queued) && is_there(heard, &fired)
        })?;
    }
    wait_for(
        &mut client,
        "all to be sent",
        "SELECT sent = 10 AND pending = 0 AND failed = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )
}

fn is_urgent(heard: &Heard) -> bool {
    ["p1", "P1", "critical", "Page"].contains(&heard.label("severity"))
}

#[test]
fn urgent_alerts_of_a_backlog_arrive_first() -> Result<()> {
    let recorder = RecordingEndpoint::start()?;
    recorder.go_down();
    let site = Site::start(
        Site::builder(&recorder.url())
            .conf("costsim.alert_batch_size", "8")
            .conf("costsim.alert_resend_interval", "1h"),
    )?;
    let mut client = site.connect()?;
    client.batch_execute(
        r#"CREATE FUNCTION raise(severity text, n integer) RETURNS void LANGUAGE sql AS $$
             SELECT costsim_enqueue_alert(jsonb_build_array(jsonb_build_object('labels',
                 jsonb_build_object('alertname', 'Queued', 'severity', severity, 'n', n::text))), 'test');
             SELECT costsim_fire_alert(jsonb_build_object('alertname', 'Fired', 'severity', severity, 'n', n::text)) $$;
           SELECT raise(severity, n) FROM generate_series(1, 10) n, unnest('{p2, p3, warning, none}'::text[]) severity"#,
    )?;
    wait_for_two_failures(&mut client)?;
    client.batch_execute(
        "SELECT raise(severity, n) FROM generate_series(1, 10) n, unnest('{p1, P1, critical, Page}'::text[]) severity",
    )?;
    recorder.come_back();
    wait_for(
        &mut client,
        "all to be sent",
        "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )?;

    let mut requests: Vec<Vec<Heard>> = Vec::new();
    for one in recorder.heard() {
        if requests.len() <= one.request {
            requests.push(Vec::new());
        }
        requests[one.request].push(one);
    }
    assert_eq!(requests.iter().map(Vec::len).sum::<usize>(), 160);
    let last =
        requests.iter().rposition(|request| request.iter().any(is_urgent)).context("nothing is urgent")?;
    // The first one may be what the receiver had missed before there was anything urgent.
    let urgent: Vec<usize> =
        requests[..last].iter().map(|request| request.iter().filter(|one| is_urgent(one)).count()).collect();
    ensure!(urgent.len() >= 10, "{urgent:?}");
    ensure!(urgent[1..].iter().all(|&count| count >= 6), "urgent ones in each request of eight: {urgent:?}");
    ensure!(requests[last + 1..].iter().flatten().count() > 40, "the rest had to wait");
    Ok(())
}

#[test]
fn old_alerts_arrive_while_a_flood_of_urgent_ones_goes_on() -> Result<()> {
    let recorder = RecordingEndpoint::answering(|_| Answer::status(200).after(Duration::from_millis(5)))?;
    let site = Site::start(
        Site::builder("").conf("costsim.alert_batch_size", "8").conf("costsim.alert_resend_interval", "1h"),
    )?;
    let mut client = site.connect()?;
    client.batch_execute(
        r#"SELECT costsim_enqueue_alert(format('[{"labels": {"alertname": "Old", "kind": "queued", "n": "%s"}}]', n)::jsonb, 'test'),
                  costsim_fire_alert(format('{"alertname": "Old", "kind": "fired", "n": "%s"}', n)::jsonb)
             FROM generate_series(1, 20) n"#,
    )?;
    let flood = r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Flood", "severity": "p1"}}]', 'flood'),
                          costsim_fire_alert(format('{"alertname": "Flood", "severity": "p1", "n": "%s"}', n)::jsonb, format('{"at": "%s"}', clock_timestamp())::jsonb)
                     FROM generate_series(1, 100) n"#;
    client.batch_execute(&format!("{flood}; {flood}; {flood}; {flood}; {flood}"))?;
    site.during(flood, || {
        set(&mut client, "costsim.alertmanager_url", &recorder.url())?;
        let is_old = |one: &&Heard| one.label("alertname") == "Old";
        recorder.wait_until(LIMIT, "all old ones", |heard| {
            let old: BTreeSet<_> =
                heard.iter().filter(is_old).map(|one| (one.label("kind"), one.label("n"))).collect();
            old.len() == 40
        })?;
        // Whatever came first, there was always more of the urgent ones to send.
        let left = "SELECT count(*) FROM costsim_alert_queue WHERE status = 'pending' AND priority = 1";
        let left: i64 = one(&mut client, left)?;
        ensure!(left > 100, "the flood was over: {left}");
        let urgent = recorder.look(|heard| heard.iter().filter(|one| is_urgent(one)).count());
        ensure!(urgent > 40, "{urgent} urgent ones have arrived");
        Ok(())
    })
}

/// What a target heard in all, by name.
#[test]
fn every_target_hears_everything_once() -> Result<()> {
    let targets = [RecordingEndpoint::start()?, RecordingEndpoint::start()?, RecordingEndpoint::start()?];
    let urls: Vec<String> = targets.iter().map(RecordingEndpoint::url).collect();
    let site = Site::start(Site::builder(&urls.join(",")).conf("costsim.alert_resend_interval", "1h"))?;
    let mut client = site.connect()?;
    for number in 0..100 {
        enqueue(&mut client, &format!("Queued{number}"))?;
        fire(&mut client, &format!("Fired{number}"))?;
    }
    wait_for(
        &mut client,
        "nothing to be owed",
        "SELECT (SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats())
            AND NOT EXISTS (SELECT FROM costsim_alert_queue WHERE owed_to IS NOT NULL)
            AND NOT EXISTS (SELECT FROM costsim_alerts WHERE owed_to IS NOT NULL)",
    )?;
    for target in &targets {
        let heard = target.heard();
        let mut times: HashMap<&str, usize> = HashMap::new();
        for one in &heard {
            *times.entry(one.label("alertname")).or_default() += 1;
        }
        assert_eq!(times.len(), 200);
        ensure!(times.values().all(|&times| times == 1), "{} arrivals", heard.len());
    }
    let sent: i64 = one(&mut client, "SELECT min(sent) FROM costsim_alert_targets WHERE state = 'ok'")?;
    assert_eq!(sent, 200);
    Ok(())
}
