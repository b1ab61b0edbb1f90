//! The worker deletes what is kept no longer, by one setting for each kind: all of it, nothing else, in steps that keep nobody waiting.
//!
//! `COSTSIM_RETENTION_ROWS` says how many rows the large purges have (60,000).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, kill_and_reconnect, one, set, wait_for};
use postgres::{Client, NoTls};

/// Of each table that ends something that is of long ago and over, something that is not over, and something of yesterday.
const FILL: &str = "
    INSERT INTO costsim_leaders (lock_id, node_id, mode, pid, backend_start, epoch, token, lease, lease_until)
    VALUES (99, 'n', 'lease', 1, now(), 2, 2, '1 s', now() - interval '1 year');
    INSERT INTO costsim_leader_events (at, lock_id, event, token)
    SELECT now() - interval '1 year', 99, 'acquired', t FROM generate_series(1, 2) t UNION ALL SELECT now() - interval '1 day', 98, 'acquired', 1;
    INSERT INTO costsim_cb_state (name) VALUES ('b');
    INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved, \"timestamp\", resolved_at)
    VALUES ('old', 'b', 'x', 'P1', true, now() - interval '1 year', now() - interval '1 year'), ('late', 'b', 'x', 'P1', true, now() - interval '1 year', now()),
           ('open', 'b', 'x', 'P1', false, now() - interval '1 year', NULL);
    INSERT INTO costsim_cb_events (circuit_breaker_name, happened_at, from_state, to_state, cause, incident_id, configuration)
    SELECT 'b', at, 'closed', 'open', 'drift', i, '{}'
      FROM (VALUES (now() - interval '1 year', 'old'), (now() - interval '1 year', 'open'), (now(), NULL)) v (at, i);
    INSERT INTO costsim_canary_reports (run_id, \"timestamp\", status, passed)
    SELECT 'run' || i, now() - interval '1 year' + i * interval '1 minute', s, s <> 'fail'
      FROM unnest('{fail,pass,fail,fail,insufficient_data,skipped}'::text[]) WITH ORDINALITY u (s, i);
    INSERT INTO costsim_canary_samples (report_id, position, is_replayed) SELECT id, 1, false FROM costsim_canary_reports;
    INSERT INTO costsim_golden_results (name, version, model, model_version, run_id, validated_at, sample_count, mean_error, median_error, std_deviation,
                                        outlier_pct, drift_score, verdict, reference_verdict, changed_samples, details)
    SELECT n, 1, 'v2', '1', r, at, 1, 0, 0, 0, 0, 0, 'acceptable', 'acceptable', 0, '{}'
      FROM (VALUES ('of_run1', 'run1', now()), ('of_run2', 'run2', now()), ('by_hand', NULL, now() - interval '1 year')) v (n, r, at);
    INSERT INTO costsim_cost_anomalies (tenant_id, anomaly_type, severity, entity_type, period_start, current_value_cents, expected_value_cents,
                                        deviation_pct, threshold_pct, message, status, resolution, resolved_at)
    SELECT 'acme', 'ABSOLUTE_SPIKE', 'LOW', 'tenant', current_date - i, 2, 1, 100, 50, 'x', s, CASE s WHEN 'resolved' THEN 'cleared' END,
           CASE s WHEN 'resolved' THEN now() - i * interval '1 day' END
      FROM (VALUES (400, 'resolved'), (401, 'open'), (2, 'resolved')) v (i, s);
    INSERT INTO costsim_cost_breaches (tenant_id, entity_type, entity_id, breach_type, breach_date, deviation_pct, current_value_cents, baseline_value_cents)
    SELECT 'acme', 'tenant', '', 'ABSOLUTE_SPIKE', current_date - i, 20, 2, 1 FROM unnest('{400,2}'::integer[]) i;
    INSERT INTO costsim_cost_drift (tenant_id, entity_type, entity_id, rolling_7d_avg_cents, baseline_21d_avg_cents, drift_pct, first_drift_date,
                                    last_check_date, is_active)
    SELECT 'acme', 'tenant', i::text, 2, 1, 100, current_date - i, current_date - i, i = 401 FROM unnest('{400,401,2}'::integer[]) i;
    INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class, status, applied_at, ended_at, ended_by)
    SELECT s || i, 'r', s || i, 'COST', s, now() - interval '2 years', CASE s WHEN 'active' THEN NULL ELSE now() - i * interval '1 day' END,
           CASE s WHEN 'active' THEN NULL ELSE 'x' END
      FROM (VALUES (400, 'released'), (400, 'active'), (2, 'released')) v (i, s);
    INSERT INTO costsim_audit_failures (failed_at, record, sqlstate, message, replayed_at)
    VALUES (now() - interval '2 years', '1', 'x', 'old', now() - interval '1 year'), (now() - interval '2 years', '1', 'x', 'waits', NULL),
           (now() - interval '2 years', '1', 'x', 'late', now());
    INSERT INTO costsim_backfill_staging (record, state, processed_at)
    SELECT '{}'::json, s, now() - interval '1 year' FROM unnest('{inserted,skipped,error}'::text[]) s UNION ALL SELECT '{}', 'staged', NULL;
    INSERT INTO costsim_alert_queue (payload, status, created_at, finished_at)
    SELECT '[]'::jsonb, s, now() - interval '2 years', CASE s WHEN 'sent' THEN now() - interval '1 year' END FROM unnest('{sent,pending}'::text[]) s";

/// What of it is left.
const LEFT: &str = "
    SELECT array_to_string(ARRAY[
        (SELECT string_agg(lock_id || ':' || token, ',' ORDER BY id) FROM costsim_leader_events),
        (SELECT string_agg(id, ',' ORDER BY id) FROM costsim_cb_incidents),
        (SELECT string_agg(coalesce(incident_id, '-'), ',' ORDER BY id) FROM costsim_cb_events),
        (SELECT string_agg(run_id, ',' ORDER BY id) FROM costsim_canary_reports),
        (SELECT count(*)::text FROM costsim_canary_samples),
        (SELECT string_agg(name, ',' ORDER BY id) FROM costsim_golden_results),
        (SELECT string_agg(status || current_date - period_start, ',' ORDER BY id) FROM costsim_cost_anomalies),
        (SELECT string_agg((current_date - breach_date)::text, ',') FROM costsim_cost_breaches),
        (SELECT string_agg(entity_id, ',' ORDER BY id) FROM costsim_cost_drift),
        (SELECT string_agg(envelope_id, ',' ORDER BY id) FROM costsim_envelopes),
        (SELECT string_agg(message, ',' ORDER BY id) FROM costsim_audit_failures),
        (SELECT string_agg(state, ',' ORDER BY id) FROM costsim_backfill_staging),
        (SELECT string_agg(status, ',' ORDER BY id) FROM costsim_alert_queue)], ' ')";

const ALL: &str = "99:1,99:2,98:1 late,old,open old,open,- run1,run2,run3,run4,run5,run6 6 of_run1,of_run2,by_hand \
                   resolved400,open401,resolved2 400,2 400,401,2 released400,active400,released2 old,waits,late inserted,skipped,error,staged sent,pending";

const KEPT: &str = "99:2,98:1 late,open open,- run2,run3,run4,run6 4 of_run2 \
                    open401,resolved2 2 401,2 active400,released2 waits,late error,staged pending";

/// The settings that begin with an age for ever, or a year.
const SETTINGS: [&str; 10] = [
    "alert",
    "leader_event",
    "breaker_event",
    "incident",
    "canary",
    "golden",
    "anomaly",
    "envelope",
    "audit_failure",
    "backfill",
];

const FOR_EVER: &str = "0";

/// A server whose worker keeps everything for ever, but for these settings.
fn cluster(settings: &[(&str, &str)]) -> Result<Cluster> {
    let mut builder = Cluster::builder().preload(true).conf("costsim.worker_poll_interval", "1 s");
    for name in SETTINGS {
        builder = builder.conf(&format!("costsim.{name}_retention"), FOR_EVER);
    }
    for (name, value) in settings {
        builder = builder.conf(name, value);
    }
    builder.start()
}

fn rows() -> i64 {
    std::env::var("COSTSIM_RETENTION_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(60_000)
}

/// So many events of leaders, each a year old.
fn old_events(client: &mut Client, rows: i64) -> Result<()> {
    client.batch_execute(&format!(
        "INSERT INTO costsim_leader_events (at, lock_id, event, token)
         SELECT now() - interval '1 year' + i * interval '1 ms', 1, 'acquired', i FROM generate_series(1, {rows}) i;
         ANALYZE costsim_leader_events"
    ))?;
    Ok(())
}

/// How many of them are left, and how many are noted as purged, at one moment.
fn books(client: &mut Client) -> Result<(i64, i64)> {
    let row = client.query_one(
        "SELECT (SELECT count(*) FROM costsim_leader_events WHERE lock_id = 1),
                coalesce((SELECT total_rows FROM costsim_maintenance WHERE task = 'purge_leader_events'), 0)",
        &[],
    )?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn worker_pid(client: &mut Client) -> Result<i32> {
    wait_until(LIMIT, "a worker", || {
        one(client, "SELECT max(pid) FROM costsim_worker_status() WHERE database = current_database()")
    })
}

/// Waits until the worker is in the middle of the purge.
fn wait_for_the_middle(client: &mut Client, rows: i64) -> Result<()> {
    wait_until(LIMIT, "the purge to have begun", || {
        let (left, gone) = books(client)?;
        ensure!(left + gone == rows, "{left} are left and {gone} noted, of {rows}");
        ensure!(left > 0, "the purge was over before it was looked at");
        Ok((gone > 0).then_some(()))
    })
}

#[test]
fn worker_purges_every_kind_by_its_setting_as_soon_as_it_is_set() -> Result<()> {
    let cluster = cluster(&[])?;
    let mut client = cluster.create_database_with_extension("kept")?;
    client.batch_execute(FILL)?;
    set(&mut client, "costsim.databases", "kept")?;
    let failed_in_a_row = "SELECT failed_in_a_row FROM costsim_canary_status";
    assert_eq!(one::<i64>(&mut client, failed_in_a_row)?, 2);
    // The worker has looked at everything, and for ever is for ever.
    worker_pid(&mut client)?;
    wait_for(
        &mut client,
        "the worker to idle",
        "SELECT count(*) > 0 FROM costsim_worker_status() WHERE database = 'kept' AND state = 'blocked'",
    )?;
    assert_eq!(one::<String>(&mut client, LEFT)?, ALL);
    for name in SETTINGS {
        client.batch_execute(&format!("ALTER SYSTEM SET costsim.{name}_retention = '30 d'"))?;
    }
    // It is heard at the reload, not within the hour.
    client.batch_execute("SELECT pg_reload_conf()")?;
    wait_until(LIMIT, "the worker to purge what is too old", || {
        Ok((one::<String>(&mut client, LEFT)? == KEPT).then_some(()))
    })
    .with_context(|| one::<String>(&mut client, LEFT).unwrap_or_default())?;
    wait_for(
        &mut client,
        "it to be noted",
        "SELECT count(*) = 14 FROM costsim_retention WHERE setting IS NOT NULL AND keeps = '30 days' AND last_run_at IS NOT NULL
            AND total_rows > 0 AND last_error IS NULL AND (oldest IS NULL OR oldest < now())",
    )
    .with_context(|| dump(&mut client))?;
    // What is counted from what is left is what it was.
    assert_eq!(one::<i64>(&mut client, failed_in_a_row)?, 2);
    assert_eq!(one::<i64>(&mut client, "SELECT epoch FROM costsim_leaders WHERE lock_id = 99")?, 2);
    Ok(())
}

fn dump(client: &mut Client) -> String {
    let query = "SELECT string_agg(r::text, E'\\n') FROM costsim_retention r WHERE setting IS NOT NULL";
    one::<String>(client, query).unwrap_or_else(|error| error.to_string())
}

#[test]
fn purge_that_is_killed_in_the_middle_leaves_nothing_half_done() -> Result<()> {
    let rows = rows();
    let cluster = cluster(&[("costsim.leader_event_retention", "1 d"), ("restart_after_crash", "on")])?;
    let mut client = cluster.create_database_with_extension("kept")?;
    old_events(&mut client, rows)?;
    set(&mut client, "costsim.databases", "kept")?;
    wait_for_the_middle(&mut client, rows)?;
    let worker = worker_pid(&mut client)?;
    // The next worker goes on.
    let mut client = kill_and_reconnect(&cluster, worker, &mut client, "kept")?;
    wait_until(LIMIT, "the purge to end", || {
        let (left, gone) = books(&mut client)?;
        ensure!(left + gone == rows, "{left} are left and {gone} noted, of {rows}");
        Ok((left == 0).then_some(()))
    })?;
    Ok(())
}

#[test]
fn purges_by_hand_and_by_the_worker_count_each_row_once() -> Result<()> {
    let rows = rows();
    let cluster = cluster(&[("costsim.leader_event_retention", "1 d")])?;
    let mut client = cluster.create_database_with_extension("kept")?;
    old_events(&mut client, rows)?;
    set(&mut client, "costsim.databases", "kept")?;
    let hands = (0..3).map(|_| {
        let mut client = cluster.connect("kept")?;
        Ok(thread::spawn(move || -> Result<i64> {
            let mut gone = 0;
            loop {
                let rows: i64 = one(&mut client, "SELECT costsim_purge_leader_events('1 day', 500)")?;
                gone += rows;
                if books(&mut client)?.0 == 0 {
                    return Ok(gone);
                }
            }
        }))
    });
    let hands = hands.collect::<Result<Vec<_>>>()?;
    let mut by_hand = 0;
    for hand in hands {
        by_hand += hand.join().map_err(|_| anyhow::anyhow!("a session ended by a panic"))??;
    }
    let (left, gone) = books(&mut client)?;
    assert_eq!((left, gone), (0, rows));
    ensure!(by_hand <= rows, "{by_hand} of {rows} by hand");
    Ok(())
}

#[test]
fn what_somebody_holds_or_refuses_keeps_nothing_else_waiting() -> Result<()> {
    let cluster = cluster(&[
        ("costsim.envelope_retention", "1 d"),
        ("costsim.audit_failure_retention", "1 d"),
        ("costsim.backfill_retention", "1 d"),
        ("costsim.golden_retention", "1 d"),
    ])?;
    let mut client = cluster.create_database_with_extension("kept")?;
    client.batch_execute(FILL)?;
    client.batch_execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'letters stay here'; END $$;
         CREATE TRIGGER refuse BEFORE DELETE ON costsim_audit_failures EXECUTE FUNCTION refuse();
         INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class, status, applied_at, ended_at, ended_by)
         VALUES ('held', 'r', 'held', 'COST', 'released', now() - interval '2 years', now() - interval '1 year', 'x')",
    )?;
    // A row, and a whole table.
    let mut holder = cluster.connect("kept")?;
    holder.batch_execute(
        "BEGIN; SELECT FROM costsim_envelopes WHERE envelope_id = 'held' FOR UPDATE; LOCK TABLE costsim_golden_results IN SHARE MODE",
    )?;
    set(&mut client, "costsim.databases", "kept")?;
    wait_for(
        &mut client,
        "the worker to purge the rest, and to say why not all",
        "SELECT (SELECT array_agg(envelope_id ORDER BY id) FROM costsim_envelopes) = '{active400,held}'::text[]
            AND (SELECT count(*) FROM costsim_backfill_staging) = 2
            AND (SELECT last_error FROM costsim_maintenance WHERE task = 'purge_audit_failures') = 'P0001: letters stay here'
            AND (SELECT last_error FROM costsim_maintenance WHERE task = 'purge_golden_results') LIKE '55P03: %'
            AND (SELECT last_error FROM costsim_retention WHERE table_name = 'costsim_golden_results') LIKE '55P03: %'",
    )
    .with_context(|| dump(&mut client))?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_audit_failures")?, 3);
    holder.batch_execute("ROLLBACK")?;
    client.batch_execute("DROP TRIGGER refuse ON costsim_audit_failures")?;
    for name in ["envelope", "audit_failure", "golden"] {
        set(&mut client, &format!("costsim.{name}_retention"), "25 h")?;
    }
    wait_for(
        &mut client,
        "the worker to come back to them",
        "SELECT (SELECT count(*) FROM costsim_envelopes) = 1 AND (SELECT count(*) FROM costsim_audit_failures) = 2
            AND NOT EXISTS (SELECT FROM costsim_golden_results WHERE name = 'by_hand')
            AND NOT EXISTS (SELECT FROM costsim_maintenance WHERE last_error IS NOT NULL)",
    )
    .with_context(|| dump(&mut client))
}

#[test]
fn purge_whose_lock_somebody_holds_says_so_and_goes_on_when_it_is_free() -> Result<()> {
    let cluster = cluster(&[("costsim.provenance_retention", "7d")])?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute(
        "INSERT INTO costsim_provenance (run_id, created_at) VALUES ('old', now() - interval '9 days'), ('new', now()); CREATE ROLE nobody LOGIN",
    )?;
    // Any role may take any advisory lock.
    let mut nobody = cluster.config("app").user("nobody").connect(NoTls)?;
    nobody.batch_execute("SELECT pg_advisory_lock(7003)")?;
    let pid: i32 = one(&mut nobody, "SELECT pg_backend_pid()")?;
    set(&mut client, "costsim.databases", "app")?;
    let noted = "SELECT last_error FROM costsim_maintenance WHERE task = 'purge_provenance'";
    let error = wait_until(LIMIT, "the purge to be noted", || {
        Ok(client.query_opt(noted, &[])?.and_then(|row| row.get::<_, Option<String>>(0)))
    })?;
    assert_eq!(error, format!("55P03: lock 7003 is held: Process {pid} holds it."));
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_provenance")?, 2);
    nobody.batch_execute("SELECT pg_advisory_unlock(7003)")?;
    set(&mut client, "costsim.provenance_retention", "8d")?;
    wait_for(
        &mut client,
        "the purge",
        "SELECT last_error IS NULL AND last_rows = 1 FROM costsim_maintenance WHERE task = 'purge_provenance'",
    )?;
    assert_eq!(one::<String>(&mut client, "SELECT string_agg(run_id, ',') FROM costsim_provenance")?, "new");
    Ok(())
}

#[test]
fn worker_leaves_a_purge_when_its_database_is_dropped() -> Result<()> {
    let rows = rows();
    let cluster = cluster(&[("costsim.leader_event_retention", "1 d")])?;
    let mut client = cluster.create_database_with_extension("kept")?;
    old_events(&mut client, rows)?;
    set(&mut client, "costsim.databases", "kept")?;
    wait_for_the_middle(&mut client, rows)?;
    let worker = worker_pid(&mut client)?;
    drop(client);
    let begun_at = Instant::now();
    cluster.connect("postgres")?.batch_execute("DROP DATABASE kept")?;
    eprintln!("left and dropped within {:?}", begun_at.elapsed());
    ensure!(!costsim_server_tests::is_running(worker), "the worker still runs");
    Ok(())
}

#[test]
fn large_purge_blocks_no_writer() -> Result<()> {
    let rows = rows();
    let cluster = cluster(&[("costsim.leader_event_retention", "1 d")])?;
    let mut client = cluster.create_database_with_extension("kept")?;
    old_events(&mut client, rows)?;
    let mut writer = cluster.connect("kept")?;
    let over = std::sync::Arc::new(AtomicBool::new(false));
    let is_over = std::sync::Arc::clone(&over);
    let writing = thread::spawn(move || -> Result<(i64, Duration)> {
        // Whoever had to wait for the purge would be refused.
        writer.batch_execute("SET lock_timeout = '200 ms'; SET synchronous_commit = off")?;
        let (mut written, mut slowest) = (0, Duration::ZERO);
        while !is_over.load(Ordering::Relaxed) {
            let begun_at = Instant::now();
            writer.batch_execute(
                "WITH new AS (INSERT INTO costsim_leader_events (lock_id, event, token) VALUES (2, 'acquired', 1) RETURNING id)
                 SELECT FROM new; UPDATE costsim_leader_events SET reason = 'x' WHERE lock_id = 2 AND token = 1 AND reason IS NULL",
            )?;
            slowest = slowest.max(begun_at.elapsed());
            written += 1;
        }
        Ok((written, slowest))
    });
    let begun_at = Instant::now();
    set(&mut client, "costsim.databases", "kept")?;
    // A million rows take the longer.
    let limit = LIMIT + Duration::from_millis(u64::try_from(rows)? / 2);
    let purged = wait_until(limit, "the purge to end", || Ok((books(&mut client)?.0 == 0).then_some(())));
    let took = begun_at.elapsed();
    over.store(true, Ordering::Relaxed);
    let (written, slowest) = writing.join().map_err(|_| anyhow::anyhow!("the writer ended by a panic"))??;
    purged?;
    eprintln!("{rows} rows purged in {took:?}; meanwhile {written} writes, the slowest in {slowest:?}");
    ensure!(written > 0, "nothing was written meanwhile");
    assert_eq!(
        one::<i64>(&mut client, "SELECT count(*) FROM costsim_leader_events WHERE lock_id = 2")?,
        written
    );
    // The steps of one run are noted as one.
    wait_for(
        &mut client,
        "the run to be noted",
        &format!(
            "SELECT last_rows = {rows} AND total_rows = {rows} FROM costsim_maintenance WHERE task = 'purge_leader_events'"
        ),
    )
}
