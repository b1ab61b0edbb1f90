//! costsim_status() of whole servers: with a worker and without, on a standby, behind locks, and beside what is large.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, RecordingEndpoint, Signal, wait_until};
use costsim_server_tests::{LIMIT, Site, Standby, one, set, wait_for};
use postgres::Client;
use std::env;
use std::time::Instant;

const ENQUEUE: &str = r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#;

/// Status, reason and advice of a subsystem.
fn look(client: &mut Client, subsystem: &str) -> Result<(String, String, Option<String>)> {
    let row = client
        .query_one("SELECT status, why, what_to_do FROM costsim_status() WHERE subsystem = $1", &[&subsystem])
        .with_context(|| subsystem.to_owned())?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

fn is_healthy(client: &mut Client) -> Result<bool> {
    one(client, "SELECT costsim_health()")
}

fn wait_for_status(client: &mut Client, subsystem: &str, status: &str) -> Result<()> {
    let question =
        format!("SELECT status = '{status}' FROM costsim_status() WHERE subsystem = '{subsystem}'");
    wait_for(client, &format!("{subsystem} to be {status}"), &question)
}

#[test]
fn status_without_preload_is_off_until_somebody_wants_a_worker() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    assert_eq!(look(&mut client, "worker")?, ("off".into(), "not preloaded".into(), None));
    ensure!(is_healthy(&mut client)?);
    // An alert that is new harms nobody, one that gets old does.
    client.batch_execute(ENQUEUE)?;
    ensure!(is_healthy(&mut client)?);
    client.batch_execute("UPDATE costsim_alert_queue SET created_at = now() - interval '1 hour'")?;
    assert_eq!(look(&mut client, "alerts")?.0, "warn");
    ensure!(is_healthy(&mut client)?, "nobody has promised to deliver it");
    set(&mut client, "costsim.alertmanager_url", "http://127.0.0.1:1")?;
    wait_for_status(&mut client, "worker", "bad")?;
    ensure!(!is_healthy(&mut client)?);
    client.batch_execute("DELETE FROM costsim_alert_queue")?;
    set(&mut client, "costsim.databases", "app")?;
    wait_for_status(&mut client, "worker", "bad")?;
    assert_eq!(
        look(&mut client, "worker")?,
        ("bad".into(), "not preloaded".into(), Some("preload costsim_pg, restart".into()))
    );
    Ok(())
}

#[test]
fn status_of_a_worker_that_hangs_or_is_gone_is_bad() -> Result<()> {
    let site = Site::start(Cluster::builder().preload(true).conf("costsim.databases", "app"))?;
    let mut client = site.connect()?;
    wait_for_status(&mut client, "worker", "ok")?;
    assert_eq!(look(&mut client, "worker")?.1, "runs; nowhere to send alerts");
    ensure!(one::<bool>(
        &mut client,
        "SELECT s.since = date_trunc('second', a.backend_start) FROM costsim_status() s, pg_stat_activity a
          WHERE s.subsystem = 'worker' AND a.backend_type = 'costsim worker'"
    )?);
    ensure!(is_healthy(&mut client)?);
    // One that hangs: stopped, it gives no sign of life. The limit is moved to where the test need not wait for it.
    let worker = Site::worker_pid(&mut client)?;
    // In the middle of its first round it could hold what others wait for.
    let rests =
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'costsim worker' AND state = 'idle'
                                   AND state_change < clock_timestamp() - interval '1 s')";
    wait_for(&mut client, "the worker to have nothing to do", rests)?;
    site.cluster.kill_backend(worker, Signal::STOP)?;
    client.batch_execute(
        "CREATE OR REPLACE VIEW costsim_status_limits AS
         SELECT INTERVAL '-1 hour' AS worker_silent, INTERVAL '1 minute' AS worker_starting, INTERVAL '2 minutes' AS alert_late,
                INTERVAL '10 minutes' AS alert_stuck, 3 AS target_failures, INTERVAL '1 minute' AS leader_overdue, INTERVAL '1 day' AS leader_gone,
                3::bigint AS canary_skipped, INTERVAL '3 hours' AS drift_late, INTERVAL '10 minutes' AS costs_late, INTERVAL '1 hour' AS detection_late,
                INTERVAL '1 day' AS signal_recent, INTERVAL '10 minutes' AS audit_recent, 3::bigint AS audit_failing, INTERVAL '3 hours' AS retention_late,
                1000::bigint AS counted",
    )?;
    assert_eq!(look(&mut client, "worker")?.0, "bad");
    ensure!(look(&mut client, "worker")?.1.starts_with("silent: "));
    site.cluster.kill_backend(worker, Signal::CONT)?;
    Ok(())
}

#[test]
fn status_of_a_database_that_nobody_can_work_for_is_bad() -> Result<()> {
    // One slot goes to the server's own logical replication, one to the launcher.
    let builder =
        Cluster::builder().preload(true).conf("costsim.databases", "app").conf("max_worker_processes", "2");
    let cluster = builder.start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    wait_for_status(&mut client, "worker", "bad")?;
    ensure!(!is_healthy(&mut client)?);
    Ok(())
}

#[test]
fn status_of_a_target_that_refuses_is_bad_and_its_alerts_are_late() -> Result<()> {
    let site = Site::start(Site::builder("http://127.0.0.1:1"))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    wait_for_status(&mut client, "targets", "bad")?;
    client.batch_execute("UPDATE costsim_alert_queue SET created_at = now() - interval '3 minutes'")?;
    assert_eq!(look(&mut client, "alerts")?.0, "warn");
    ensure!(["warn", "ok"].contains(&look(&mut client, "worker")?.0.as_str()));
    client.batch_execute("UPDATE costsim_alert_queue SET created_at = now() - interval '30 minutes'")?;
    assert_eq!(look(&mut client, "alerts")?.0, "bad");
    // And all is well once it takes them.
    let endpoint = RecordingEndpoint::start()?;
    set(&mut client, "costsim.alertmanager_url", &endpoint.url())?;
    wait_for_status(&mut client, "alerts", "ok")?;
    wait_for_status(&mut client, "targets", "ok")?;
    ensure!(is_healthy(&mut client)?);
    Ok(())
}

#[test]
fn status_answers_on_a_standby() -> Result<()> {
    let cluster = Cluster::builder().preload(true).conf("costsim.databases", "app").start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute("SELECT costsim_disable_v2('prices look wrong', 'ada')")?;
    client.batch_execute("SELECT costsim_try_lease(7001, 'a', '1 hour')")?;
    // The primary is ill.
    client.batch_execute(
        "INSERT INTO costsim_audit_failures (record, sqlstate, message) SELECT '{}', '23505', 'm' FROM generate_series(1, 3)",
    )?;
    ensure!(!is_healthy(&mut client)?);
    let standby = Standby::start(&cluster)?;
    let mut there = standby.connect("app")?;
    wait_for(&mut there, "the standby to have it", "SELECT costsim_is_open()")?;
    assert_eq!(look(&mut there, "worker")?, ("off".into(), "a standby delivers nothing".into(), None));
    assert_eq!(look(&mut there, "breakers")?.0, "warn");
    wait_for_status(&mut there, "audit", "warn")?;
    let failed: i64 =
        one(&mut there, "SELECT count(*) FROM costsim_status() WHERE what_to_do LIKE 'the look failed%'")?;
    assert_eq!(failed, 0);
    ensure!(is_healthy(&mut there)?);
    Ok(())
}

#[test]
fn status_waits_for_no_lock() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    let mut other = cluster.connect("app")?;
    let mut restoring = other.transaction()?;
    restoring.batch_execute("LOCK TABLE costsim_kill_switch IN ACCESS EXCLUSIVE MODE")?;
    assert_eq!(
        look(&mut client, "coordination")?,
        ("warn".into(), "somebody has locked the table".into(), Some("the look failed: 55P03".into()))
    );
    assert_eq!(look(&mut client, "breakers")?.0, "ok");
    ensure!(is_healthy(&mut client)?);
    // What it changed for that is as it was.
    assert_eq!(one::<String>(&mut client, "SHOW lock_timeout")?, "0");
    assert_eq!(one::<String>(&mut client, "SHOW enable_seqscan")?, "on");
    restoring.rollback()?;
    assert_eq!(look(&mut client, "coordination")?.0, "off");
    Ok(())
}

#[test]
fn status_of_a_leader_that_hangs_while_others_wait_is_bad() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    ensure!(one::<bool>(&mut client, "SELECT costsim_try_leader(7001, 'hangs', '1 hour')")?);
    assert_eq!(look(&mut client, "leaders")?, ("ok".into(), "1 leads, 0 wait".into(), None));
    let mut waiting = cluster.connect("app")?;
    let mut watching = cluster.connect("app")?;
    std::thread::scope(|scope| -> Result<()> {
        // An old client, which evicts nobody.
        let waits = scope.spawn(move || waiting.batch_execute("SELECT pg_advisory_lock(7001)"));
        wait_for(
            &mut watching,
            "somebody to wait",
            "SELECT waiting = 1 FROM costsim_leader_status WHERE lock_id = 7001",
        )?;
        watching.batch_execute("UPDATE costsim_leaders SET lease_until = now() - interval '2 minutes'")?;
        let seen = look(&mut watching, "leaders");
        ensure!(one::<bool>(&mut client, "SELECT costsim_release_leader(7001)")?);
        waits.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
        assert_eq!(
            seen?,
            (
                "bad".into(),
                "canary_runner hangs, others wait".into(),
                Some("see costsim_leader_status".into())
            )
        );
        Ok(())
    })
}

#[test]
fn status_of_a_canary_that_nobody_runs_is_bad() -> Result<()> {
    let cluster = Cluster::builder().conf("costsim.canary_schedule", "15 3 * * *").start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    // No worker has taken the schedule up.
    assert_eq!(look(&mut client, "canary")?.0, "bad");
    client.batch_execute(
        "INSERT INTO costsim_canary_schedule (schedule, time_zone, next_run_at) VALUES ('15 3 * * *', 'UTC', now() + interval '1 hour')",
    )?;
    assert_eq!(look(&mut client, "canary")?, ("ok".into(), "not run yet".into(), None));
    client.batch_execute("UPDATE costsim_canary_schedule SET next_run_at = now() - interval '20 minutes'")?;
    assert_eq!(look(&mut client, "canary")?.1, "the run is overdue");
    ensure!(one::<bool>(
        &mut client,
        "SELECT s.since = date_trunc('second', c.next_run_at) FROM costsim_status() s, costsim_canary_schedule c WHERE s.subsystem = 'canary'"
    )?);
    Ok(())
}

#[test]
fn status_without_an_alertmanager_recovers_from_a_trip() -> Result<()> {
    let site = Site::start(Cluster::builder().preload(true).conf("costsim.databases", "app"))?;
    let mut client = site.connect()?;
    wait_for_status(&mut client, "worker", "ok")?;
    client.batch_execute(
        "SELECT costsim_disable_v2('why', 'ada');
         SELECT costsim_enable_v2('ada', 'over');
         UPDATE costsim_alerts SET starts_at = starts_at - interval '1 hour', resolved_at = resolved_at - interval '1 hour'",
    )?;
    assert_eq!(look(&mut client, "alerts")?.0, "warn");
    assert_eq!(look(&mut client, "worker")?.0, "ok");
    ensure!(is_healthy(&mut client)?);
    // The worker forgets too, when it begins and an hour later.
    let has_looked = "SELECT EXISTS (SELECT FROM costsim_maintenance WHERE task = 'purge_alerts')";
    wait_for(&mut client, "the worker to have looked", has_looked)?;
    // Too young to be forgotten, whatever somebody asks for,
    client.batch_execute("UPDATE costsim_alerts SET resolved_at = now()")?;
    client.batch_execute("SELECT costsim_purge_old_alerts(0)")?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_alerts")?, 1);
    // and in the end nobody is told any more.
    client.batch_execute("UPDATE costsim_alerts SET starts_at = starts_at - interval '40 days', resolved_at = resolved_at - interval '40 days'")?;
    assert_eq!(one::<i64>(&mut client, "SELECT costsim_purge_old_alerts()")?, 1);
    assert_eq!(look(&mut client, "alerts")?.0, "off");
    Ok(())
}

#[test]
fn status_right_after_a_restart_is_not_late() -> Result<()> {
    let site = Site::start(Cluster::builder().preload(true).conf("costsim.databases", "app"))?;
    let mut client = site.connect()?;
    wait_for_status(&mut client, "worker", "ok")?;
    // As if everything had been done for the last time before a day of downtime.
    client.batch_execute(
        "INSERT INTO costsim_maintenance (task, last_rows, total_rows, last_run_at)
         SELECT t, 0, 0, now() - interval '1 day' FROM unnest('{purge_predictions,purge_alerts}'::text[]) t
             ON CONFLICT (task) DO UPDATE SET last_run_at = excluded.last_run_at",
    )?;
    assert_eq!(look(&mut client, "retention")?.0, "ok");
    Ok(())
}

#[test]
fn status_of_many_lock_ids_is_a_glance() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute(
        "INSERT INTO costsim_leaders (lock_id, mode, pid, backend_start, epoch, token, released_at)
         SELECT 100000 + n, 'session', 1, now(), 1, 1, now() FROM generate_series(1, 20000) n",
    )?;
    ensure!(one::<bool>(&mut client, "SELECT costsim_try_leader(900001, 'last', '1 hour')")?);
    // However far behind, whoever leads is seen.
    assert_eq!(look(&mut client, "leaders")?, ("ok".into(), "1 leads, 0 wait".into(), None));
    let begun_at = Instant::now();
    look(&mut client, "leaders")?;
    println!("20,000 lock ids: {:?}", begun_at.elapsed());
    Ok(())
}

/// On a big database: rows by COSTSIM_STATUS_ROWS (20,000 in the default run). No look reads a table of records as a whole.
#[test]
fn status_is_a_glance_whatever_the_tables_hold() -> Result<()> {
    let rows: i64 = match env::var("COSTSIM_STATUS_ROWS") {
        Ok(rows) => rows.parse().context("COSTSIM_STATUS_ROWS")?,
        Err(_) => 20_000,
    };
    let cluster = Cluster::builder().conf("autovacuum", "off").conf("shared_buffers", "256MB").start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute(&format!(
        "INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, created_at)
         SELECT 't' || n % 100, 'u' || n % 1000, 'm', 1, now() - n * interval '1 second' FROM generate_series(1, {rows}) n;
         INSERT INTO costsim_provenance (run_id, tenant_id, v1_cost, v2_cost, created_at)
         SELECT 'r', 't' || n % 100, 100, 101, now() - n * interval '1 second' FROM generate_series(1, {rows}) n;
         INSERT INTO costsim_alert_queue (payload, status, sent_at, finished_at) SELECT '[]', 'sent', now(), now() FROM generate_series(1, {rows});
         INSERT INTO costsim_worker_runs (tenant_id, worker_id, status) SELECT 't', 'w', 'completed' FROM generate_series(1, {rows}) n;
         INSERT INTO costsim_audit_failures (record, sqlstate, message, failed_at, replayed_at)
         SELECT '{{}}', '23505', 'm', now() - interval '1 year', now() FROM generate_series(1, {rows} / 10);
         SELECT costsim_refresh_drift(); SELECT costsim_refresh_costs();
         INSERT INTO costsim_alert_queue (payload) SELECT '[]' FROM generate_series(1, {rows} / 10);"
    ))?;
    let read = "SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_user_tables
                 WHERE relname IN ('costsim_cost_records', 'costsim_provenance', 'costsim_alert_queue', 'costsim_worker_runs', 'costsim_audit_failures')";
    let mut transaction = client.transaction()?;
    let begun_at = Instant::now();
    let bad: i64 = transaction
        .query_one("SELECT count(*) FROM costsim_status() WHERE what_to_do LIKE 'the look failed%'", &[])?
        .get(0);
    println!("{rows} rows: the first look of a session took {:?}", begun_at.elapsed());
    assert_eq!(bad, 0);
    let gone_through: i64 = transaction.query_one(read, &[])?.get(0);
    assert_eq!(gone_through, 0, "rows read one after the other");
    transaction.commit()?;
    let mut fastest = f64::INFINITY;
    for nth in 0..10 {
        let plan: String = client
            .query("EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM costsim_status()", &[])?
            .iter()
            .map(|row| row.get::<_, String>(0) + "\n")
            .collect();
        let took = plan
            .split("Execution Time: ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .context("no time")?;
        let took: f64 = took.parse()?;
        println!("{rows} rows: look {nth} took {took} ms");
        fastest = fastest.min(took);
    }
    // A glance of 20 ms on an idle machine; the machine that runs all the tests is none.
    ensure!(fastest < 200.0, "{fastest} ms");
    Ok(())
}

#[test]
fn status_reads_the_same_from_many_sessions_at_once() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    let answers = |client: &mut Client| -> Result<String> {
        one(client, "SELECT string_agg(subsystem || ' ' || status, ', ') FROM costsim_status()")
    };
    let first = answers(&mut client)?;
    let mut others = (0..4).map(|_| cluster.connect("app")).collect::<Result<Vec<_>>>()?;
    for other in &mut others {
        assert_eq!(answers(other)?, first);
    }
    // Dropped and made again, it is found again by who knows the old one.
    client.batch_execute("DROP EXTENSION costsim_pg; CREATE EXTENSION costsim_pg")?;
    for other in &mut others {
        wait_until(LIMIT, "the new one to be found", || Ok((answers(other)? == first).then_some(())))?;
    }
    Ok(())
}
