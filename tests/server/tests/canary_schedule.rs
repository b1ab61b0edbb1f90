//! Canaries by schedule: caught up once, never lost in the middle, never in the way of an administrator.

use anyhow::{Context, Result, ensure};
use costsim_harness::{ClusterBuilder, HangingEndpoint, Mode, RecordingEndpoint, wait_until};
use costsim_server_tests::{
    LIMIT, Site, Standby, crash, kill_and_reconnect, one, set, set_for_the_next_start, wait_for,
};
use postgres::Client;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

/// A schedule that comes true while no test runs.
const LEAP_DAYS: &str = "0 0 29 2 *";

/// What a process that was told to end may take for it.
const PROMPT: Duration = Duration::from_secs(1);

/// The worker looks every second: a test that writes into the schedule's row tells nobody.
fn builder(schedule: &str) -> ClusterBuilder {
    builder_for(schedule, "")
}

/// The same, which sends alerts there.
fn builder_for(schedule: &str, url: &str) -> ClusterBuilder {
    Site::builder(url)
        .conf("costsim.worker_poll_interval", "1s")
        .conf("costsim.canary_schedule", schedule)
        // Half of it is the most that a run waits for a lock: here it has all of its patience, and can be seen to wait.
        .conf("deadlock_timeout", "10s")
        .conf("max_prepared_transactions", "5")
}

/// A server whose worker has taken the schedule up.
fn site(schedule: &str) -> Result<(Site, Client)> {
    let site = Site::start(builder(schedule))?;
    let mut client = site.connect()?;
    is_planned(&mut client)?;
    Ok((site, client))
}

fn is_planned(client: &mut Client) -> Result<()> {
    wait_for(
        client,
        "the schedule to be taken up",
        "SELECT EXISTS (SELECT FROM costsim_canary_schedule WHERE next_run_at > now()) FROM costsim_canary_status WHERE NOT is_overdue",
    )
}

/// Moves the next run so far into the past.
fn miss(client: &mut Client, ago: &str) -> Result<()> {
    let moved = client.execute(
        "UPDATE costsim_canary_schedule SET next_run_at = date_trunc('minute', now()) - $1::text::interval",
        &[&ago],
    )?;
    ensure!(moved == 1, "there is no schedule");
    Ok(())
}

/// A report, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    run_id: String,
    status: String,
    /// How long ago the run was due, in minutes.
    ago: i64,
    reasons: String,
}

fn reports(client: &mut Client) -> Result<Vec<Report>> {
    let query = "SELECT run_id, status, (extract(epoch FROM now() - scheduled_for) / 60)::bigint, coalesce(failure_reasons_json, '')
                   FROM costsim_canary_reports ORDER BY id";
    let rows = client.query(query, &[])?;
    Ok(rows
        .iter()
        .map(|row| Report { run_id: row.get(0), status: row.get(1), ago: row.get(2), reasons: row.get(3) })
        .collect())
}

/// Waits until so many runs are on record and none is under way.
fn wait_for_reports(client: &mut Client, count: usize) -> Result<Vec<Report>> {
    wait_until(LIMIT, &format!("{count} reports"), || {
        let reports = reports(client)?;
        let is_idle: bool = one(client, "SELECT running_run_id IS NULL FROM costsim_canary_status")?;
        ensure!(reports.len() >= count && is_idle, "{reports:?}");
        Ok(Some(reports))
    })
}

/// Waits until a run is under way and held up by a lock: its run_id, and the worker's process.
fn wait_until_held_up(client: &mut Client) -> Result<(String, i32)> {
    let query = "SELECT s.running_run_id, a.pid FROM costsim_canary_status s, pg_stat_activity a
                  WHERE s.running_run_id IS NOT NULL AND a.backend_type = 'costsim worker' AND a.datname = current_database()
                    AND a.wait_event_type = 'Lock' AND a.query LIKE '%canary'";
    wait_until(LIMIT, "a run that is held up", || {
        Ok(client.query_opt(query, &[])?.map(|row| (row.get(0), row.get(1))))
    })
}

/// Has the runs of this database wait until it is rolled back, over every crash.
fn hold_up(client: &mut Client) -> Result<()> {
    client.batch_execute("BEGIN; LOCK costsim_provenance; PREPARE TRANSACTION 'held up'")?;
    Ok(())
}

fn let_go(client: &mut Client) -> Result<()> {
    client.batch_execute("ROLLBACK PREPARED 'held up'")?;
    Ok(())
}

/// kill -9 of a worker, and a session of the server that has recovered from it.
fn kill(site: &Site, worker: i32, client: &mut Client) -> Result<Client> {
    kill_and_reconnect(&site.cluster, worker, client, "app")
}

fn is_cut_off(report: &Report, run_id: &str) -> bool {
    report.run_id == run_id && report.status == "error" && report.reasons.contains("cut off")
}

/// What the status view says of the last run: status, error, and how many have failed in a row.
fn last(client: &mut Client) -> Result<(String, Option<String>, i64)> {
    let query = "SELECT last_status, last_error, failed_in_a_row FROM costsim_canary_status";
    let row = client.query_one(query, &[])?;
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

#[test]
fn runs_that_were_missed_are_caught_up_by_one() -> Result<()> {
    let (_site, mut client) = site(LEAP_DAYS)?;
    for (round, (ago, minutes)) in
        [("3 days", 4_320), ("30 hours", 1_800), ("1 minute", 1)].iter().enumerate()
    {
        miss(&mut client, ago)?;
        let reports = wait_for_reports(&mut client, round + 1)?;
        ensure!(reports.len() == round + 1, "{reports:?}");
        let report = &reports[round];
        ensure!((*minutes..minutes + 2).contains(&report.ago), "{report:?}");
        assert_eq!(report.status, "insufficient_data");
        let row = client.query_one(
            "SELECT s.last_run_id, s.last_finished_at >= s.last_started_at AND s.last_started_at > s.last_due_at AND s.next_run_at > now(),
                    to_char(s.next_run_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), t.attempts, s.is_overdue
               FROM costsim_canary_status s, costsim_canary_schedule t",
            &[],
        )?;
        assert_eq!(row.get::<_, &str>(0), report.run_id);
        assert!(row.get::<_, bool>(1));
        assert_eq!(
            (row.get::<_, &str>(2), row.get::<_, i32>(3), row.get::<_, bool>(4)),
            ("02-29 00:00", 1, false)
        );
        let why = Some("0 samples, at least 10 are needed".into());
        assert_eq!(last(&mut client)?, ("insufficient_data".into(), why, 0));
    }
    is_planned(&mut client)
}

/// Waits until the run has been put off so often: with which status and why.
fn wait_until_put_off(client: &mut Client, times: i32) -> Result<(String, String)> {
    let query = "SELECT s.last_status, s.last_error FROM costsim_canary_status s, costsim_canary_schedule t
                  WHERE t.put_off = $1 AND s.attempts = $1 AND s.running_since IS NULL AND NOT s.is_overdue
                    AND s.again_at - s.last_finished_at BETWEEN interval '50 s' AND interval '1 minute'";
    wait_until(LIMIT, "a run to be put off", || {
        Ok(client.query_opt(query, &[&times])?.map(|row| (row.get(0), row.get(1))))
    })
}

/// The minute is over.
fn begin_again(client: &mut Client) -> Result<()> {
    let moved = client
        .execute("UPDATE costsim_canary_schedule SET again_at = now() WHERE again_at IS NOT NULL", &[])?;
    ensure!(moved == 1, "no run was put off");
    Ok(())
}

/// So is the hour.
fn lose_patience(client: &mut Client) -> Result<()> {
    client.batch_execute(
        "UPDATE costsim_canary_schedule
            SET tried_since = tried_since - interval '1 hour', unanswered_since = unanswered_since - interval '1 hour'",
    )?;
    begin_again(client)
}

fn lead(client: &mut Client) -> Result<()> {
    ensure!(one::<bool>(client, "SELECT costsim_try_leader(7001)")?, "somebody else leads");
    Ok(())
}

fn stop_leading(client: &mut Client) -> Result<()> {
    ensure!(one::<bool>(client, "SELECT costsim_release_leader(7001)")?, "it did not lead");
    Ok(())
}

#[test]
fn run_that_meets_a_lock_is_begun_again_and_alerts_go_on_meanwhile() -> Result<()> {
    let receiver = RecordingEndpoint::start()?;
    let site = Site::start(builder_for(LEAP_DAYS, &receiver.url()))?;
    let mut client = site.connect()?;
    is_planned(&mut client)?;
    lead(&mut client)?;
    miss(&mut client, "1 hour")?;
    for times in 1..=2 {
        let (status, why) = wait_until_put_off(&mut client, times)?;
        assert!(status == "skipped" && why.contains("lock 7001"), "{status}: {why}");
        client
            .batch_execute(r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#)?;
        receiver.wait_until(LIMIT, "the alert", |heard| heard.len() >= times as usize)?;
        assert_eq!(reports(&mut client)?, [], "nobody needs one for every minute");
        begin_again(&mut client)?;
    }
    wait_until_put_off(&mut client, 3)?;
    stop_leading(&mut client)?;
    hold_up(&mut client)?;
    begin_again(&mut client)?;
    let (status, why) = wait_until_put_off(&mut client, 4)?;
    assert!(status == "error" && why.contains("55P03"), "{status}: {why}");
    assert_eq!(reports(&mut client)?, []);
    let_go(&mut client)?;
    begin_again(&mut client)?;
    let reports = wait_for_reports(&mut client, 1)?;
    assert!(reports.len() == 1 && reports[0].status == "insufficient_data", "{reports:?}");
    assert!((60..62).contains(&reports[0].ago), "the due time is the first one's: {reports:?}");
    let query = "SELECT attempts = 5 AND again_at IS NULL AND unanswered_since IS NULL AND skipped_in_a_row = 0 AND NOT is_overdue
                   FROM costsim_canary_status";
    assert!(one::<bool>(&mut client, query)?);
    is_planned(&mut client)
}

#[test]
fn run_that_meets_locks_for_an_hour_is_reported_once_and_overdue_until_one_has_a_verdict() -> Result<()> {
    let (_site, mut client) = site(LEAP_DAYS)?;
    lead(&mut client)?;
    miss(&mut client, "1 hour")?;
    wait_until_put_off(&mut client, 1)?;
    lose_patience(&mut client)?;
    let skipped = wait_for_reports(&mut client, 1)?;
    assert!(skipped[0].status == "skipped" && skipped[0].reasons.contains("lock 7001"), "{skipped:?}");
    let query = "SELECT is_overdue AND again_at IS NULL AND next_run_at > now() AND last_status = 'skipped', attempts, skipped_in_a_row,
                        failed_in_a_row FROM costsim_canary_status";
    let shown = |client: &mut Client| -> Result<_> {
        let row = client.query_one(query, &[])?;
        Ok((row.get::<_, bool>(0), row.get::<_, i32>(1), row.get::<_, i64>(2), row.get::<_, i64>(3)))
    };
    assert_eq!(shown(&mut client)?, (true, 2, 1, 0));
    stop_leading(&mut client)?;
    // Another lock: that is an error, and the due time before stays without a verdict.
    hold_up(&mut client)?;
    miss(&mut client, "5 minutes")?;
    wait_for(
        &mut client,
        "a run to be put off",
        "SELECT again_at IS NOT NULL AND is_overdue FROM costsim_canary_status",
    )?;
    lose_patience(&mut client)?;
    let failed = wait_for_reports(&mut client, 2)?;
    assert!(failed[1].status == "error" && failed[1].reasons.contains("55P03"), "{failed:?}");
    assert!(failed[1].reasons.contains("put off 1 times before") && failed.len() == 2, "{failed:?}");
    let_go(&mut client)?;
    assert!(one::<bool>(&mut client, "SELECT is_overdue FROM costsim_canary_status")?);
    miss(&mut client, "1 minute")?;
    let answered = wait_for_reports(&mut client, 3)?;
    assert_eq!(answered[2].status, "insufficient_data");
    assert_eq!(shown(&mut client)?, (false, 1, 1, 1));
    assert!(!one::<bool>(&mut client, "SELECT is_overdue FROM costsim_canary_status")?);
    is_planned(&mut client)
}

#[test]
fn run_that_was_put_off_is_left_and_reported_when_the_next_is_due_or_the_schedule_changes() -> Result<()> {
    let (_site, mut client) = site(LEAP_DAYS)?;
    lead(&mut client)?;
    miss(&mut client, "1 hour")?;
    wait_until_put_off(&mut client, 1)?;
    let first: String = one(&mut client, "SELECT last_run_id FROM costsim_canary_status")?;
    miss(&mut client, "0 minutes")?;
    wait_for(
        &mut client,
        "the next one to be put off",
        "SELECT last_run_id IS NOT NULL AND again_at IS NOT NULL AND last_due_at > now() - interval '10 minutes' FROM costsim_canary_status",
    )?;
    let left = wait_for_reports(&mut client, 1)?;
    assert!(left.len() == 1 && left[0].run_id == first && left[0].status == "skipped", "{left:?}");
    assert!(
        left[0].reasons.contains("lock 7001") && left[0].reasons.contains("and left") && left[0].ago >= 60,
        "{left:?}"
    );
    set(&mut client, "costsim.canary_schedule", "30 1 29 2 *")?;
    let left = wait_for_reports(&mut client, 2)?;
    assert!(left.len() == 2 && left[1].status == "skipped" && left[1].ago < 10, "{left:?}");
    wait_for_next_run(&mut client, "UTC", Some("02-29 01:30"))?;
    let query =
        "SELECT again_at IS NULL AND unanswered_since IS NULL AND NOT is_overdue FROM costsim_canary_status";
    assert!(one::<bool>(&mut client, query)?, "a new schedule owes nothing");
    Ok(())
}

#[test]
fn blanks_around_the_settings_make_no_run_overdue() -> Result<()> {
    let site = Site::start(builder(LEAP_DAYS))?;
    let mut client = site.connect()?;
    is_planned(&mut client)?;
    set(&mut client, "costsim.canary_time_zone", "\t \u{b}Asia/Kolkata\t")?;
    set(&mut client, "costsim.canary_schedule", "\t 30 1 29 2 *\u{c} ")?;
    wait_for_next_run(&mut client, "Asia/Kolkata", Some("02-29 01:30"))?;
    is_planned(&mut client)?;
    // ALTER SYSTEM takes no line ends, a file does.
    for name in ["costsim.canary_schedule", "costsim.canary_time_zone"] {
        client.batch_execute(&format!("ALTER SYSTEM RESET {name}"))?;
    }
    let file = site.cluster.data_dir().join("postgresql.conf");
    let mut file = OpenOptions::new().append(true).open(file)?;
    writeln!(file, r"costsim.canary_schedule = '\r\n 45 1 29 2 *\n'")?;
    writeln!(file, r"costsim.canary_time_zone = '\nAsia/Kolkata\r\n'")?;
    assert!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    wait_for_next_run(&mut client, "Asia/Kolkata", Some("02-29 01:45"))?;
    is_planned(&mut client)?;
    let row = client.query_one("SELECT schedule, time_zone FROM costsim_canary_status", &[])?;
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("45 1 29 2 *", "Asia/Kolkata"));
    Ok(())
}

#[test]
fn canary_and_roll_up_have_their_turn_while_requests_hang() -> Result<()> {
    let hanging = [HangingEndpoint::start()?, HangingEndpoint::start()?, HangingEndpoint::start()?];
    let receiver = RecordingEndpoint::start()?;
    let urls: Vec<String> = hanging.iter().map(HangingEndpoint::url).chain([receiver.url()]).collect();
    let site =
        Site::start(builder_for(LEAP_DAYS, &urls.join(", ")).conf("costsim.alertmanager_timeout", "5min"))?;
    let mut client = site.connect()?;
    is_planned(&mut client)?;
    let enqueue = r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#;
    client.batch_execute(enqueue)?;
    for endpoint in &hanging {
        endpoint.wait_for_requests(1, LIMIT)?;
    }
    miss(&mut client, "1 hour")?;
    wait_for_reports(&mut client, 1)?;
    client.batch_execute(
        "SELECT costsim_write_provenance('r', v1_cost => 1, v2_cost => 2); UPDATE costsim_provenance SET created_at = now() - interval '1 day'",
    )?;
    wait_for(&mut client, "a roll-up", "SELECT EXISTS (SELECT FROM costsim_drift_rollups)")?;
    let heard = receiver.requests();
    client.batch_execute(enqueue)?;
    receiver.wait_until(LIMIT, "the next alert", |all| all.len() > heard)?;
    for endpoint in &hanging {
        assert_eq!(endpoint.requests().len(), 1, "it was one and the same request all the time");
    }
    // A setting is taken up, too; the requests begin anew then.
    set(&mut client, "costsim.canary_schedule", "30 1 29 2 *")?;
    wait_for_next_run(&mut client, "UTC", Some("02-29 01:30"))?;
    Ok(())
}

/// The next run, on the clock of that zone.
fn next_run(client: &mut Client, zone: &str) -> Result<Option<String>> {
    one(
        client,
        &format!(
            "SELECT to_char(next_run_at AT TIME ZONE '{zone}', 'MM-DD HH24:MI') FROM costsim_canary_schedule"
        ),
    )
}

fn wait_for_next_run(client: &mut Client, zone: &str, expected: Option<&str>) -> Result<()> {
    wait_until(LIMIT, &format!("the next run to be {expected:?}"), || {
        let next = next_run(client, zone)?;
        ensure!(next.as_deref() == expected, "{next:?}");
        Ok(Some(()))
    })
}

#[test]
fn schedule_that_changes_counts_from_now_and_an_empty_one_is_off() -> Result<()> {
    let site = Site::start(builder("").conf("costsim.worker_poll_interval", "1h"))?;
    let mut client = site.connect()?;
    assert!(!one::<bool>(
        &mut client,
        "SELECT is_overdue OR next_run_at IS NOT NULL FROM costsim_canary_status"
    )?);
    // Nothing wakes the worker but the reload.
    set(&mut client, "costsim.canary_schedule", LEAP_DAYS)?;
    is_planned(&mut client)?;
    wait_for_next_run(&mut client, "UTC", Some("02-29 00:00"))?;
    set(&mut client, "costsim.canary_time_zone", "Asia/Kolkata")?;
    wait_for_next_run(&mut client, "Asia/Kolkata", Some("02-29 00:00"))?;
    wait_for_next_run(&mut client, "UTC", Some("02-28 18:30"))?;
    // What was missed under another schedule is not caught up.
    miss(&mut client, "1 hour")?;
    set(&mut client, "costsim.canary_schedule", "30 1 29 2 *")?;
    wait_for_next_run(&mut client, "Asia/Kolkata", Some("02-29 01:30"))?;
    miss(&mut client, "1 hour")?;
    set(&mut client, "costsim.canary_schedule", "")?;
    wait_for_next_run(&mut client, "UTC", None)?;
    assert!(!one::<bool>(&mut client, "SELECT is_overdue FROM costsim_canary_status")?);
    miss(&mut client, "1 hour")?;
    set(&mut client, "costsim.canary_sample_count", "7")?;
    wait_for_next_run(&mut client, "UTC", None)?;
    assert_eq!(reports(&mut client)?, []);
    let row = client.query_one(
        "SELECT schedule, time_zone, sample_count, drift_threshold FROM costsim_canary_status",
        &[],
    )?;
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("", "Asia/Kolkata"));
    assert_eq!(row.get::<_, f64>(3), 0.2);
    Ok(())
}

#[test]
fn nonsense_is_refused_where_it_is_set_and_the_field_is_named() -> Result<()> {
    let (site, mut client) = site(LEAP_DAYS)?;
    for (name, value, word) in [
        ("costsim.canary_schedule", "0 24 * * *", "hour \"24\""),
        ("costsim.canary_schedule", "0 3 30 2 *", "day of month \"30\""),
        ("costsim.canary_schedule", "nightly", "1 fields"),
        ("costsim.canary_time_zone", "Europe/Berln", "Europe/Berln"),
        ("costsim.canary_time_zone", "", "IANA"),
    ] {
        let error =
            set_for_the_next_start(&mut client, name, value).err().with_context(|| value.to_owned())?;
        let error = error.downcast::<postgres::Error>()?;
        let said = error.as_db_error().context("no answer of the server")?;
        assert_eq!(said.code().code(), "22023", "{said:?}");
        assert!(said.detail().is_some_and(|detail| detail.contains(word)), "{said:?}");
    }
    for (name, value) in
        [("canary_sample_count", "0"), ("canary_sample_count", "1000001"), ("canary_drift_threshold", "1.5")]
    {
        let refused = set_for_the_next_start(&mut client, &format!("costsim.{name}"), value);
        assert!(refused.is_err(), "{name} = {value}");
    }
    // In the file it is refused when that is read, and what was there before stays.
    let file = site.cluster.data_dir().join("postgresql.conf");
    writeln!(OpenOptions::new().append(true).open(file)?, "costsim.canary_schedule = '61 * * * *'")?;
    assert!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    wait_until(LIMIT, "the server to say so", || {
        Ok(site.cluster.log()?.contains("minute \"61\"").then_some(()))
    })?;
    assert_eq!(one::<String>(&mut client, "SHOW costsim.canary_schedule")?, LEAP_DAYS);
    miss(&mut client, "1 hour")?;
    wait_for_reports(&mut client, 1)?;
    // A server that starts with it starts, and runs nothing.
    drop(client);
    site.cluster.restart(Mode::Fast)?;
    let mut client = site.connect()?;
    wait_for_next_run(&mut client, "UTC", None)?;
    assert_eq!(one::<String>(&mut client, "SELECT schedule FROM costsim_canary_status")?, "");
    Ok(())
}

#[test]
fn run_whose_worker_is_killed_is_reported_and_repeated_once() -> Result<()> {
    let (site, mut client) = site(LEAP_DAYS)?;
    hold_up(&mut client)?;
    miss(&mut client, "1 hour")?;
    let (first, worker) = wait_until_held_up(&mut client)?;
    let begun_at: String = one(&mut client, "SELECT running_since::text FROM costsim_canary_status")?;
    let mut client = kill(&site, worker, &mut client)?;
    let (second, _) = wait_until_held_up(&mut client)?;
    assert_ne!(second, first);
    let said: String = one(&mut client, "SELECT timestamp::text FROM costsim_canary_reports")?;
    assert_eq!(said, begun_at, "the report of one that was cut off says when that was begun");
    assert!(is_cut_off(&reports(&mut client)?[0], &first));
    let attempts: i32 = one(&mut client, "SELECT attempts FROM costsim_canary_schedule")?;
    assert_eq!(attempts, 2);
    let_go(&mut client)?;
    let reports = wait_for_reports(&mut client, 2)?;
    assert_eq!(
        (reports[1].run_id.as_str(), reports[1].status.as_str()),
        (second.as_str(), "insufficient_data")
    );
    assert_eq!(reports.len(), 2);
    assert!(reports[0].ago == reports[1].ago && reports[0].ago >= 60, "both were due then: {reports:?}");
    assert_eq!(last(&mut client)?.0, "insufficient_data");
    is_planned(&mut client)
}

#[test]
fn run_that_is_killed_twice_is_left_until_the_next_is_due() -> Result<()> {
    let (site, mut client) = site(LEAP_DAYS)?;
    hold_up(&mut client)?;
    miss(&mut client, "1 hour")?;
    let (first, worker) = wait_until_held_up(&mut client)?;
    let mut client = kill(&site, worker, &mut client)?;
    let (second, worker) = wait_until_held_up(&mut client)?;
    let mut client = kill(&site, worker, &mut client)?;
    let cut_off = wait_for_reports(&mut client, 2)?;
    assert!(is_cut_off(&cut_off[0], &first) && is_cut_off(&cut_off[1], &second), "{cut_off:?}");
    let (status, error, failed) = last(&mut client)?;
    assert_eq!((status.as_str(), failed), ("error", 2));
    assert!(error.is_some_and(|error| error.contains("cut off")));
    is_planned(&mut client)?;
    let_go(&mut client)?;
    miss(&mut client, "1 minute")?;
    let reports = wait_for_reports(&mut client, 3)?;
    assert_eq!(reports.len(), 3, "{reports:?}");
    assert_eq!(reports[2].status, "insufficient_data");
    assert_eq!(one::<i32>(&mut client, "SELECT attempts FROM costsim_canary_schedule")?, 1);
    Ok(())
}

#[test]
fn run_obeys_who_ends_its_worker_and_who_ends_the_server() -> Result<()> {
    let (site, mut client) = site(LEAP_DAYS)?;
    hold_up(&mut client)?;
    miss(&mut client, "1 hour")?;
    let (first, worker) = wait_until_held_up(&mut client)?;
    let took = Site::time_to_end(&mut client, worker)?;
    assert!(took < PROMPT, "{took:?}");
    let (second, _) = wait_until_held_up(&mut client)?;
    let took = site.time_to_shut_down()?;
    assert!(took < PROMPT * 5, "{took:?}");
    site.cluster.restart(Mode::Fast)?;
    let mut client = site.connect()?;
    let cut_off = wait_for_reports(&mut client, 2)?;
    assert!(is_cut_off(&cut_off[0], &first) && is_cut_off(&cut_off[1], &second), "{cut_off:?}");
    assert_eq!(cut_off.len(), 2);
    let_go(&mut client)
}

#[test]
fn run_that_ends_in_an_error_is_reported_and_not_repeated() -> Result<()> {
    let (_site, mut client) = site(LEAP_DAYS)?;
    client.batch_execute(
        "CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'the disk is on fire' USING ERRCODE = '58030'; END$$;
         CREATE TRIGGER breaks BEFORE INSERT ON costsim_canary_reports FOR EACH ROW WHEN (new.status <> 'error') EXECUTE FUNCTION breaks()",
    )?;
    client.batch_execute("UPDATE costsim_canary_schedule SET next_run_at = '2020-01-01 00:00+00'")?;
    let broken = wait_for_reports(&mut client, 1)?;
    assert_eq!(broken[0].status, "error");
    let query = "SELECT r.timestamp = s.last_started_at AND r.scheduled_for = '2020-01-01 00:00+00' AND r.runtime_ms BETWEEN 0 AND 60000
                    AND r.timestamp > now() - interval '1 minute' AND r.baseline_version IS NULL AND r.candidate_version IS NULL
                   FROM costsim_canary_reports r, costsim_canary_status s";
    assert!(
        one::<bool>(&mut client, query)?,
        "it says when it was begun, and no version that it does not know"
    );
    assert!(broken[0].reasons.contains("the disk is on fire"), "{broken:?}");
    let (status, error, failed) = last(&mut client)?;
    assert_eq!((status.as_str(), failed), ("error", 1));
    assert!(error.is_some_and(|error| error.contains("58030") && error.contains("the disk is on fire")));
    // One that fails at the commit, where nobody catches anything.
    client.batch_execute(
        "DROP TRIGGER breaks ON costsim_canary_reports;
         CREATE CONSTRAINT TRIGGER breaks AFTER INSERT ON costsim_canary_reports DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW WHEN (new.status <> 'error') EXECUTE FUNCTION breaks()",
    )?;
    miss(&mut client, "1 minute")?;
    let broken = wait_for_reports(&mut client, 2)?;
    assert!(broken.len() == 2 && broken[1].reasons.contains("the disk is on fire"), "{broken:?}");
    is_planned(&mut client)?;
    assert_eq!(last(&mut client)?.2, 2);
    Ok(())
}

#[test]
fn run_keeps_nobody_from_dropping_its_database() -> Result<()> {
    for how in ["", " WITH (FORCE)"] {
        let (site, mut client) = site(LEAP_DAYS)?;
        client.batch_execute("BEGIN; LOCK costsim_provenance")?;
        let mut other = site.connect()?;
        miss(&mut other, "1 hour")?;
        wait_until_held_up(&mut other)?;
        drop(other);
        let mut administrator = site.cluster.connect("postgres")?;
        let mut watcher = site.cluster.connect("postgres")?;
        let begun_at = Instant::now();
        thread::scope(|scope| {
            let dropping = scope.spawn(|| administrator.batch_execute(&format!("DROP DATABASE app{how}")));
            wait_for(
                &mut watcher,
                "the drop to wait, or to be done",
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND mode = 'AccessExclusiveLock' AND granted)
                     OR NOT EXISTS (SELECT FROM pg_database WHERE datname = 'app')",
            )?;
            drop(client);
            dropping.join().map_err(|_| anyhow::anyhow!("the session has panicked"))?.context("DROP DATABASE")
        })?;
        assert!(begun_at.elapsed() < Duration::from_secs(5), "{:?}", begun_at.elapsed());
    }
    Ok(())
}

/// So many rows of provenance whose plans have 10,000 steps: some milliseconds each.
fn write_long_plans(client: &mut Client, rows: i32) -> Result<()> {
    client.execute(
        "INSERT INTO costsim_provenance (payload)
         SELECT jsonb_build_object('plan', (SELECT jsonb_agg('{\"skill\": \"kv_get\"}'::jsonb) FROM generate_series(1, 10000))) FROM generate_series(1, $1)",
        &[&rows],
    )?;
    Ok(())
}

#[test]
fn long_run_makes_way_for_who_renames_its_database_and_is_repeated() -> Result<()> {
    let (site, mut client) = site(LEAP_DAYS)?;
    // Some seconds of work.
    write_long_plans(&mut client, 2_000)?;
    set(&mut client, "costsim.canary_sample_count", "2000")?;
    set(&mut client, "costsim.databases", "app, renamed")?;
    let mut administrator = site.cluster.connect("postgres")?;
    miss(&mut client, "1 hour")?;
    let query = "SELECT running_run_id FROM costsim_canary_status WHERE running_run_id IS NOT NULL";
    let run_id: String =
        wait_until(LIMIT, "a run", || Ok(client.query_opt(query, &[])?.map(|row| row.get(0))))?;
    drop(client);
    wait_for(
        &mut administrator,
        "the session to be gone",
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'client backend')",
    )?;
    let begun_at = Instant::now();
    administrator.batch_execute("ALTER DATABASE app RENAME TO renamed")?;
    let took = begun_at.elapsed();
    let mut client = site.cluster.connect("renamed")?;
    let reports = wait_for_reports(&mut client, 2)?;
    println!("renamed after {took:?}");
    assert!(took < PROMPT * 3, "{took:?}");
    assert!(is_cut_off(&reports[0], &run_id) && reports.len() == 2, "{reports:?}");
    assert_ne!(reports[1].status, "error", "{reports:?}");
    let took: i64 =
        one(&mut client, "SELECT max(runtime_ms) FROM costsim_canary_reports WHERE status <> 'error'")?;
    println!("a run takes {took} ms");
    Ok(())
}

#[test]
fn promoted_standby_reports_what_its_primary_left_and_repeats_it() -> Result<()> {
    let (site, mut client) = site(LEAP_DAYS)?;
    let standby = Standby::start(&site.cluster)?;
    // A run has patience for two seconds: what can be had before is had before.
    let mut replica = standby.connect("app")?;
    let running = "SELECT running_run_id FROM costsim_canary_status";
    one::<Option<String>>(&mut replica, running)?;
    client.batch_execute("BEGIN; LOCK costsim_provenance")?;
    let mut other = site.connect()?;
    miss(&mut other, "1 hour")?;
    let (run_id, _) = wait_until_held_up(&mut other)?;
    standby.catch_up()?;
    standby.cut_off()?;
    let seen: Option<String> = one(&mut replica, running)?;
    assert_eq!(seen.as_ref(), Some(&run_id), "the standby shows it, and does nothing about it");
    crash(&site.cluster)?;
    drop(replica);
    standby.promote()?;
    let mut heir = standby.connect("app")?;
    let reports = wait_for_reports(&mut heir, 2)?;
    assert_eq!(reports.len(), 2);
    assert!(is_cut_off(&reports[0], &run_id) && reports[1].status == "insufficient_data", "{reports:?}");
    Ok(())
}

#[test]
fn database_without_the_table_or_without_the_extension_has_a_worker_all_the_same() -> Result<()> {
    let (site, mut client) = site(LEAP_DAYS)?;
    client.batch_execute("ALTER TABLE costsim_canary_schedule RENAME TO costsim_elsewhere")?;
    // A roll-up shows that the worker has been through a round since.
    let upkeep_goes_on = |client: &mut Client| {
        client.batch_execute(
            "SELECT costsim_write_provenance('r', v1_cost => 1, v2_cost => 2); UPDATE costsim_provenance SET created_at = now() - interval '1 day'",
        )?;
        wait_for(
            client,
            "a roll-up",
            "SELECT EXISTS (SELECT FROM costsim_drift_rollups) AND NOT EXISTS (SELECT FROM costsim_drift_changes WHERE hour < now() - interval '5 hours')",
        )
    };
    let worker = Site::worker_pid(&mut client)?;
    upkeep_goes_on(&mut client)?;
    client.batch_execute("DROP EXTENSION costsim_pg")?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    is_planned(&mut client)?;
    miss(&mut client, "1 hour")?;
    wait_for_reports(&mut client, 1)?;
    assert_eq!(Site::worker_pid(&mut client)?, worker);
    let lines = site.lines_of_workers()?;
    ensure!(!lines.iter().any(|line| line.contains("ERROR") || line.contains("failed")), "{lines:#?}");
    Ok(())
}
