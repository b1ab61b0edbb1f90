//! Metrics of whole servers: in the format that Prometheus reads, the same on every replica, and counters that never fall, whoever deletes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, Mode};
use costsim_server_tests::drift::setting;
use costsim_server_tests::{Shared, Standby, one, set, wait_for};
use fastrand::Rng;
use postgres::Client;

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    // Nobody is there, and no worker asks.
    let target = "http://127.0.0.1:9";
    CLUSTER.get(|| Cluster::builder().conf("costsim.alertmanager_url", target).start())
}

/// What names and addresses may hold, to make a line of text go wrong.
const NASTY: [&str; 6] = ["a\"b", "line\nfeed", "back\\slash\\", "\\\"\n", "{x=\"y\"} 1", "ünï 😀\r\t"];

/// A series in every family.
const FILL: &str = "
    SELECT costsim_report_drift(0.9) FROM generate_series(1, 3);
    SELECT costsim_try_lease(7002, 'a', '1 h'), costsim_enqueue_alert('[{\"labels\": {\"a\": \"b\"}}]', 'x');
    INSERT INTO costsim_alert_targets (url, sent, last_success_at) VALUES ('http://one', 7, now()) ON CONFLICT DO NOTHING;
    UPDATE costsim_alert_targets SET failures = failures + 1;
    INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) SELECT 'r', n, n + 1, now() - n * interval '1 minute' FROM generate_series(1, 200) n;
    SELECT costsim_refresh_drift(1000, true);
    SELECT costsim_refresh_drift(1000);
    INSERT INTO costsim_canary_reports (run_id, status, kl_divergence, drift_score) VALUES ('r', 'pass', 0.1, 0.2), ('s', 'fail', 0.3, 0.4) ON CONFLICT DO NOTHING;
    SELECT costsim_record_cost('t', 'm', 5), costsim_set_budget('t', daily_limit_cents => 0);
    SELECT costsim_coordinate('e', 'COST', 's', 'p'), costsim_emit_prediction('t', 'own', 'run', 'r', 0.5, '1');
    INSERT INTO costsim_maintenance (task, last_rows, total_rows) VALUES ('purge_runs', 1, 12) ON CONFLICT (task) DO UPDATE SET total_rows = 12;
    DELETE FROM costsim_leader_events;";

/// What `promtool check metrics` has to say of a text.
fn promtool(text: &str) -> Result<String> {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool: run 'make setup'")?;
    child.stdin.take().context("no stdin")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(if output.status.success() { said } else { format!("{}: {said}", output.status) })
}

fn text(client: &mut Client) -> Result<String> {
    one(client, "SELECT costsim_metrics_text()")
}

#[test]
fn promtool_finds_nothing_whatever_the_labels_hold() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("nasty")?;
    let empty = text(&mut client)?;
    assert_eq!(promtool(&empty)?, "", "{empty}");
    client.batch_execute(FILL)?;
    for nasty in NASTY {
        client.execute(
            "SELECT costsim_disable_v2('r', 'me', name => (costsim_configure_breaker($1)).name)",
            &[&nasty],
        )?;
        client.execute("INSERT INTO costsim_alert_targets (url, sent, last_success_at) VALUES ('http://' || $1, 1, now())", &[&nasty])?;
        client.execute("INSERT INTO costsim_locks (lock_id, name) VALUES (hashtext($1), $1)", &[&nasty])?;
        client.execute("SELECT costsim_record_cost($1, 'm', 5, feature_tag => NULL), costsim_set_budget($1, daily_limit_cents => 7)", &[&nasty])?;
        client.execute("SELECT costsim_emit_prediction('t', $1, 'run', 'r', 0.5, '1')", &[&nasty])?;
    }
    let full = text(&mut client)?;
    assert_eq!(promtool(&full)?, "", "{full}");
    // The tool reads what it is given, and would say so.
    assert_ne!(promtool(&full.replace("\\\"", "\""))?, "");
    assert_ne!(promtool(&full.replace("# HELP costsim_worker_up", "# costsim_worker_up"))?, "");
    for family in [
        "breaker_state",
        "alert_target_up",
        "task_rows_total",
        "leader_terms_total",
        "canary_drift_score",
        "v2_provenance_logs_total",
        "v2_drift_ratio",
        "cost_today_cents",
        "cost_budget_used_ratio",
        "predictions_current",
        "envelopes_active",
        "build_info",
    ] {
        assert!(
            full.lines().any(|line| line.starts_with(&format!("costsim_{family}"))),
            "{family} is missing: {full}"
        );
    }
    assert!(!full.contains("NaN"), "{full}");
    // Each line that is no comment is of the metric whose HELP and TYPE stand above it.
    let mut of = "";
    for line in full.lines() {
        if let Some(type_line) = line.strip_prefix("# TYPE ") {
            of = type_line.split(' ').next().unwrap_or_default();
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            assert_eq!(name, of, "{line}");
        }
    }
    Ok(())
}

/// Names that nobody has used before, in everything that an application may write as it likes.
const APP_WRITES: &str = "
    SELECT costsim_record_cost('TAG ' || n, 'model TAG ' || n, 5, feature_tag => 'feature TAG ' || n, user_id => 'user TAG ' || n) FROM generate_series(1, 300) n;
    INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) SELECT 'inserted TAG ' || n, 'm', 7 FROM generate_series(1, 300) n;
    SELECT costsim_create_feature_tag('t TAG', 'TAG.x' || n) FROM generate_series(1, 300) n;
    SELECT costsim_emit_prediction('TAG', 'type TAG ' || n, 'run', 'r', 0.5, '1') FROM generate_series(1, 300) n;
    UPDATE costsim_predictions SET observed_at = now(), observed = '{}', was_covered = true;
    SELECT costsim_record_run('TAG', 'worker TAG ' || n, 'failed', error => 'error TAG ' || n) FROM generate_series(1, 300) n;
    INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, severity, description, signature)
    SELECT 'TAG', (ARRAY['failure_pattern', 'cost_spike'])[1 + n % 2], (ARRAY['info', 'warning', 'critical'])[1 + n % 3], 'd', 's TAG ' || n FROM generate_series(1, 300) n;
    INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, source, model_version, v1_cost, v2_cost)
    SELECT 'run TAG ' || n, 't TAG ' || n, 'variant TAG ' || n, 'source TAG ' || n, 'version TAG ' || n, 1, 2 FROM generate_series(1, 300) n;
    SELECT costsim_coordinate('e TAG ' || n, (ARRAY['SAFETY', 'RELIABILITY', 'COST', 'PERFORMANCE'])[1 + n % 4], 'subsystem TAG ' || n, 'parameter TAG ' || n, tenant_id => 't' || n)
      FROM generate_series(1, 300) n;
    SELECT costsim_try_lease(hashtext('TAG ' || n), 'node TAG ' || n, '1 h') FROM generate_series(1, 300) n;
    SELECT costsim_report_drift(0.9), costsim_report_schema_error(9);";

/// The same of an application of one tenant.
const TENANT_WRITES: &str = "
    SELECT costsim_emit_prediction('TENANT', 'its type TAG ' || n, 'run', 'r', 0.5, '1') FROM generate_series(1, 300) n;
    SELECT costsim_record_cost('TENANT', 'model TAG ' || n, 5, user_id => 'user TAG ' || n) FROM generate_series(1, 300) n;
    SELECT costsim_write_provenance('r', 'TENANT', 'variant TAG ' || n, 'source TAG ' || n, v1_cost => 1, v2_cost => 2) FROM generate_series(1, 300) n;
    SELECT costsim_coordinate('its TAG ' || n, 'COST', 'subsystem TAG ' || n, 'parameter TAG ' || n, tenant_id => 'TENANT') FROM generate_series(1, 300) n;
    SELECT costsim_try_lease(hashtext('its TAG ' || n), 'node TAG ' || n, '1 h') FROM generate_series(1, 300) n;";

/// The same of an application of all tenants alone: what it sends.
const APP_SENDS: &str = "
    SELECT costsim_fire_alert(jsonb_build_object('alertname', 'TAG ' || n, 'severity', 'TAG ' || n)) FROM generate_series(1, 300) n;
    SELECT costsim_enqueue_alert('[{\"labels\": {\"a\": \"b\"}}]', 'type TAG ' || n, 'breaker TAG ' || n) FROM generate_series(1, 300) n;
    SELECT costsim_persist_audit_record('a TAG ' || n, 'e TAG', (ARRAY['COST', 'class TAG ' || n])[1 + n % 2], 'REJECTED', 'reason TAG ' || n, now()) FROM generate_series(1, 300) n;";

/// The same of an operator.
const OPERATOR_WRITES: &str = "
    SELECT costsim_disable_v2('reason TAG ' || n, 'actor TAG ' || n, name => (costsim_configure_breaker('breaker TAG ' || n)).name) FROM generate_series(1, 300) n;
    SELECT costsim_set_budget('TAG ' || n, 'feature', 'entity TAG ' || n, daily_limit_cents => 5) FROM generate_series(1, 300) n;
    SELECT costsim_refresh_costs(), costsim_detect_anomalies();
    SELECT costsim_set_kill_switch(n % 2 = 0, 'actor TAG ' || n, 'reason TAG ' || n) FROM generate_series(1, 20) n;";

#[test]
fn series_are_no_more_however_many_names_there_are() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("names")?;
    client.batch_execute(
        "CREATE ROLE metrics_app; CREATE ROLE metrics_tenant; CREATE ROLE metrics_operator;
         SELECT costsim_grant('metrics_app', 'app'), costsim_grant('metrics_tenant', 'app', 'TENANT'), costsim_grant('metrics_operator', 'operator');
         SET client_min_messages = error",
    )?;
    let count = "SELECT count(*) FROM costsim_metrics";
    let mut counts: Vec<i64> = Vec::new();
    for round in ["one", "two", "three"] {
        for (role, statements) in [
            ("app", APP_WRITES),
            ("app", APP_SENDS),
            ("tenant", TENANT_WRITES),
            ("operator", OPERATOR_WRITES),
        ] {
            for statement in statements.replace("TAG", round).split(";\n") {
                client
                    .batch_execute(&format!("SET ROLE metrics_{role}; {statement}; RESET ROLE"))
                    .with_context(|| format!("{role}: {statement}"))?;
            }
        }
        counts.push(one(&mut client, count)?);
    }
    // A breaker or a lock has many series, and a hundred of each are shown; what comes later adds none.
    ensure!(counts[0] < 4_000 && counts.is_sorted_by(|before, after| before >= after), "{counts:?}");
    let failed =
        "SELECT count(*) FROM costsim_metrics WHERE name = 'costsim_metrics_family_failed' AND value = 1";
    assert_eq!(one::<i64>(&mut client, failed)?, 0);
    let full = text(&mut client)?;
    assert_eq!(promtool(&full)?, "", "{full}");
    Ok(())
}

/// What does not depend on the server that is asked: everything but its own worker, its own sessions and how old something is.
const SHARED_SERIES: &str = "SELECT string_agg(format('%s %s %s', name, labels, value), E'\\n' ORDER BY name, labels::text) FROM costsim_metrics
    WHERE name !~ '^costsim_(worker|leader_(held|healthy|waiting|lease_left_seconds)|alert_oldest_pending_seconds|v2_drift_|v2_cost_delta)'";

#[test]
fn standby_agrees_with_its_primary() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("replicated")?;
    client.batch_execute(FILL)?;
    let standby = Standby::start(&cluster)?;
    client.batch_execute(&format!(
        "{FILL} DELETE FROM costsim_canary_reports; DELETE FROM costsim_leaders; DELETE FROM costsim_cb_incidents"
    ))?;
    standby.catch_up()?;
    let expected: String = one(&mut client, SHARED_SERIES)?;
    let mut there = standby.connect("replicated")?;
    assert_eq!(one::<String>(&mut there, SHARED_SERIES)?, expected);
    assert!(expected.lines().count() > 50, "{expected}");
    assert_eq!(promtool(&text(&mut there)?)?, "");
    assert!(one::<bool>(
        &mut there,
        "SELECT value = 0 FROM costsim_metrics WHERE name = 'costsim_worker_wanted'"
    )?);
    assert!(one::<bool>(
        &mut client,
        "SELECT value = 1 FROM costsim_metrics WHERE name = 'costsim_worker_wanted'"
    )?);
    Ok(())
}

#[test]
fn restart_forgets_nothing() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("restarted")?;
    client.batch_execute(FILL)?;
    let expected: String = one(&mut client, SHARED_SERIES)?;
    drop(client);
    cluster.restart(Mode::Immediate)?;
    let mut client = cluster.connect("restarted")?;
    assert_eq!(one::<String>(&mut client, SHARED_SERIES)?, expected);
    Ok(())
}

type Counters = BTreeMap<(String, String), f64>;

fn counters(client: &mut Client) -> Result<Counters> {
    let query = "SELECT name, labels::text, value FROM costsim_metrics WHERE type = 'counter'";
    Ok(client.query(query, &[])?.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

/// One step of the game: whatever writes, purges, deletes by hand, or takes it all back.
fn step(rng: &mut Rng) -> String {
    let name = rng.choice(["costsim_v2", "b", "c"]).unwrap_or("b");
    let n = rng.u32(1..1_000_000);
    let statement = match rng.u32(0..21) {
        0 => format!("SELECT costsim_report_drift(0.9, name => '{name}') FROM generate_series(1, 3)"),
        1 => format!("SELECT costsim_enable_v2('me', name => '{name}')"),
        2 => format!("SELECT costsim_disable_v2('why', 'me', name => '{name}')"),
        3 => format!("SELECT costsim_report_schema_error(9, name => '{name}')"),
        4 => format!("DELETE FROM costsim_cb_incidents WHERE circuit_breaker_name = '{name}' AND resolved"),
        5 => "DELETE FROM costsim_cb_incidents".to_owned(),
        6 => format!("UPDATE costsim_cb_incidents SET severity = 'P{}' WHERE circuit_breaker_name = '{name}'", n % 3 + 1),
        7 => "ALTER TABLE costsim_cb_events DISABLE TRIGGER costsim_cb_events_stay; DELETE FROM costsim_cb_events WHERE id % 2 = 0;
              ALTER TABLE costsim_cb_events ENABLE TRIGGER costsim_cb_events_stay".to_owned(),
        8 => format!("SELECT costsim_release_lease(l.id, token) FROM (VALUES (8000 + {})) l(id), costsim_try_lease(l.id, 'n', '1 h') token", n % 3),
        9 => "DELETE FROM costsim_leader_events WHERE id % 3 = 0".to_owned(),
        10 => "DELETE FROM costsim_leaders WHERE lock_id % 2 = 0".to_owned(),
        11 => format!("INSERT INTO costsim_alert_targets (url, sent) VALUES ('http://{}', 0) ON CONFLICT (url) DO UPDATE SET sent = costsim_alert_targets.sent + 3", n % 3),
        12 => format!("UPDATE costsim_alert_targets SET failures = {}, state = 'failing'", n % 4),
        13 => "DELETE FROM costsim_alert_targets WHERE id % 2 = 0".to_owned(),
        14 => format!("INSERT INTO costsim_canary_reports (run_id, status, \"timestamp\") VALUES ('{n}', 'fail', now() - interval '{} days') ON CONFLICT DO NOTHING", n % 200),
        15 => "SELECT costsim_purge_canary_reports('90 days', 3), costsim_purge_old_alerts(0, NULL)".to_owned(),
        16 => "INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost) SELECT 'r', 1, nullif(n, 3) FROM generate_series(1, 5) n".to_owned(),
        17 => "DELETE FROM costsim_provenance WHERE id % 3 = 0; UPDATE costsim_provenance SET v1_cost = NULL WHERE id % 7 = 0".to_owned(),
        18 => format!("INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) SELECT 'r', 1, 2, m + g * interval '1 hour'
                         FROM generate_series(1, 7) g, (VALUES (timestamptz '2300-01-01 UTC' + interval '{} hours'), ('infinity'), ('-infinity')) v (m)", n % 9),
        19 => "UPDATE costsim_provenance SET created_at = (ARRAY['2300-01-01 UTC', 'infinity', '2020-01-01 UTC'])[1 + id % 3]::timestamptz WHERE id % 5 = 0".to_owned(),
        _ => "SELECT costsim_purge_runs('0'), costsim_purge_provenance('0', 2), costsim_refresh_drift(); DELETE FROM costsim_maintenance".to_owned(),
    };
    match rng.u32(0..8) {
        0 => format!("BEGIN; {statement}; ROLLBACK"),
        // Rolling up wants to see what is committed meanwhile.
        1 if !statement.contains("refresh_drift") => {
            format!("BEGIN ISOLATION LEVEL SERIALIZABLE; {statement}; COMMIT")
        }
        2 => format!("BEGIN; SAVEPOINT a; {statement}; ROLLBACK TO a; COMMIT"),
        _ => format!("BEGIN; {statement}; COMMIT"),
    }
}

#[test]
fn counters_never_fall_whatever_is_deleted() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("game")?;
    client.batch_execute(
        "SELECT costsim_configure_breaker('b'), costsim_configure_breaker('c'), costsim_refresh_drift(1000, true)",
    )?;
    let seed = setting("COSTSIM_METRICS_SEED", fastrand::u64(..))?;
    println!("COSTSIM_METRICS_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let (mut most, mut grown) = (counters(&mut client)?, 0);
    for turn in 0..setting("COSTSIM_METRICS_STEPS", 250)? {
        let statement = step(&mut rng);
        client.batch_execute(&statement).with_context(|| statement.clone())?;
        let now = counters(&mut client)?;
        for (series, least) in &most {
            let value = now.get(series);
            // What has counted nothing may go with what it was named after; provenance is not told of while much of it is not rolled up.
            let may_go = *least == 0.0 || series.0 == "costsim_v2_provenance_logs_total";
            ensure!(value.is_some() || may_go, "turn {turn}, {series:?} is gone after {statement}");
            ensure!(
                value.is_none_or(|value| value >= least),
                "turn {turn}, {series:?}: {least} became {value:?} by {statement}"
            );
        }
        for (series, value) in now {
            let known = most.insert(series, value);
            grown += usize::from(known.is_none_or(|known| value > known));
        }
    }
    ensure!(grown > 50, "only {grown} counters grew");
    let kept: i64 = one(&mut client, "SELECT count(DISTINCT name) FROM costsim_metrics_kept")?;
    ensure!(kept >= 6, "only {kept} counters were kept");
    Ok(())
}

#[test]
fn many_sessions_that_delete_at_once_lose_nothing() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("many")?;
    let (sessions, rounds) = (6_i64, i64::try_from(setting("COSTSIM_METRICS_ROUNDS", 60)?)?);
    client.batch_execute(&format!(
        "INSERT INTO costsim_canary_reports (run_id, status) SELECT 'r' || n, (ARRAY['pass', 'fail', 'error'])[1 + n % 3] FROM generate_series(1, {0}) n;
         INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved) SELECT 'i' || n, 'b' || n % 2, 'r', 'P1', true FROM generate_series(1, {0}) n;
         INSERT INTO costsim_alert_targets (url) SELECT 'http://' || n FROM generate_series(1, {sessions}) n",
        sessions * rounds
    ))?;
    let before = counters(&mut client)?;
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..sessions)
            .map(|session| {
                let cluster = &cluster;
                scope.spawn(move || -> Result<()> {
                    let mut client = cluster.connect("many")?;
                    for round in 0..rounds {
                        let n = round * sessions + session + 1;
                        // In either order: nobody waits for anybody, so nobody waits for each other.
                        let (one, other) = (
                            format!("DELETE FROM costsim_canary_reports WHERE run_id = 'r{n}'"),
                            format!("DELETE FROM costsim_cb_incidents WHERE id = 'i{n}'"),
                        );
                        let (first, second) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
                        let end = if round % 7 == 0 { "ROLLBACK" } else { "COMMIT" };
                        client.batch_execute(&format!("BEGIN; {first}; {second}; {end}"))?;
                        client.batch_execute(&format!(
                            "UPDATE costsim_alert_targets SET failures = failures + 1 WHERE url = 'http://{}'",
                            session + 1
                        ))?;
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a session panicked"))?)
    })?;
    let mut after = counters(&mut client)?;
    after.retain(|(name, _), _| name != "costsim_cb_alert_send_failures_total");
    let before: Counters =
        before.into_iter().filter(|((name, _), _)| name != "costsim_cb_alert_send_failures_total").collect();
    assert_eq!(after, before);
    let failures =
        "SELECT sum(value)::bigint FROM costsim_metrics WHERE name = 'costsim_cb_alert_send_failures_total'";
    assert_eq!(one::<i64>(&mut client, failures)?, sessions * rounds);
    assert!(one::<bool>(
        &mut client,
        &format!("SELECT count(*) < {} FROM costsim_metrics_kept", 3 * sessions * rounds / 2)
    )?);
    Ok(())
}

/// Statements that take one row each from a counter that has very many label sets.
#[test]
fn keeping_looks_at_the_counter_that_is_written_to_and_at_no_other() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("folding")?;
    client.batch_execute(
        "INSERT INTO costsim_metrics_kept (name, labels, value)
         SELECT 'costsim_cb_incidents_total', jsonb_build_object('name', 'b' || n, 'severity', 'P1'), 1 FROM generate_series(1, 20000) n;
         INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved) SELECT 'i' || n, 'b1', 'r', 'P1', true FROM generate_series(1, 300) n",
    )?;
    client.batch_execute("VACUUM ANALYZE")?;
    let reads = "SELECT seq_scan + coalesce(seq_tup_read, 0) FROM pg_stat_user_tables WHERE relname = 'costsim_metrics_kept'";
    let flush = "SELECT pg_stat_force_next_flush()";
    client.batch_execute(flush)?;
    let before: i64 = one(&mut client, reads)?;
    for n in 1..=300 {
        client.batch_execute(&format!("DELETE FROM costsim_cb_incidents WHERE id = 'i{n}'"))?;
    }
    client.batch_execute(flush)?;
    assert_eq!(one::<i64>(&mut client, reads)?, before);
    let rows = "SELECT count(*) FROM costsim_metrics_kept WHERE labels ->> 'name' = 'b1'";
    assert!(one::<i64>(&mut client, rows)? < 200, "they were not folded");
    let sum = "SELECT sum(value)::bigint FROM costsim_metrics_kept WHERE labels ->> 'name' = 'b1'";
    assert_eq!(one::<i64>(&mut client, sum)?, 301);
    Ok(())
}

#[test]
fn counters_fall_on_no_subscriber_that_takes_what_was_kept() -> Result<()> {
    let cluster = Cluster::builder().conf("wal_level", "logical").start()?;
    let mut there = cluster.create_database_with_extension("published")?;
    let mut here = cluster.create_database_with_extension("subscribed")?;
    there.batch_execute(
        "INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved) SELECT 'i' || n, 'b', 'r', 'P2', true FROM generate_series(1, 5) n;
         INSERT INTO costsim_alert_targets (url, sent) VALUES ('http://one', 3)",
    )?;
    // As docs/metrics.md has it.
    let tables = "costsim_metrics_kept, costsim_cb_incidents, costsim_alert_targets";
    there.batch_execute(&format!("CREATE PUBLICATION counted FOR TABLE {tables}"))?;
    // Made beforehand: within one cluster the command would wait for itself.
    there.batch_execute("SELECT pg_create_logical_replication_slot('counted', 'pgoutput')")?;
    here.batch_execute(&format!(
        "CREATE SUBSCRIPTION counted CONNECTION '{}' PUBLICATION counted WITH (slot_name = 'counted', create_slot = false)",
        cluster.conn_string("published").replace('\'', "''"),
    ))?;
    wait_for(
        &mut here,
        "the first copies",
        "SELECT count(*) = 3 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel",
    )?;
    for change in [
        "UPDATE costsim_cb_incidents SET severity = 'P1' WHERE id = 'i1'",
        "UPDATE costsim_alert_targets SET failures = failures + 2",
        "DELETE FROM costsim_cb_incidents",
        "DELETE FROM costsim_alert_targets",
    ] {
        there.batch_execute(change)?;
        let mut expected = counters(&mut there)?;
        expected.retain(|(name, _), _| {
            name.contains("incidents") || name.contains("target") || name.contains("send")
        });
        ensure!(expected.values().sum::<f64>() > 7.0, "nothing is counted: {expected:?}");
        costsim_harness::wait_until(costsim_server_tests::LIMIT, change, || {
            let found = counters(&mut here)?;
            Ok(expected.iter().all(|(series, value)| found.get(series) == Some(value)).then_some(()))
        })?;
    }
    here.batch_execute("DROP SUBSCRIPTION counted")?;
    Ok(())
}

#[test]
fn worker_is_wanted_by_a_server_that_came_back_without_the_library() -> Result<()> {
    let cluster = Cluster::builder().conf("costsim.databases", "back").start()?;
    let wanted = "SELECT value = 1 FROM costsim_metrics WHERE name = 'costsim_worker_wanted'";
    let mut client = cluster.create_database_with_extension("back")?;
    assert!(one::<bool>(&mut cluster.connect("back")?, wanted)?);
    let up = "SELECT value = 0 FROM costsim_metrics WHERE name = 'costsim_worker_up'";
    assert!(one::<bool>(&mut client, up)?);
    let mut other = cluster.create_database_with_extension("other")?;
    assert!(!one::<bool>(&mut other, wanted)?);
    // What waits there wants one as soon as there is somewhere to send it.
    other.batch_execute("SELECT costsim_disable_v2('prices look wrong', 'ada')")?;
    assert!(!one::<bool>(&mut other, wanted)?);
    set(&mut other, "costsim.alertmanager_url", "http://127.0.0.1:9")?;
    wait_for(&mut other, "a worker to be wanted", wanted)
}

#[test]
fn scrape_reads_no_table_of_raw_rows_from_end_to_end() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("scraped")?;
    client.batch_execute(
        "SET client_min_messages = warning;
         INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
         SELECT 't' || n % 50, 'm', 1, now() - n * interval '1 minute' FROM generate_series(1, 20000) n;
         INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) SELECT 'r', 1, 2, now() - n * interval '2 minutes' FROM generate_series(1, 20000) n;
         INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status) SELECT n::text, 't', 'w', 'completed' FROM generate_series(1, 20000) n;
         SELECT costsim_refresh_drift(1000, true); SELECT costsim_refresh_costs(); SELECT costsim_set_budget('t1', daily_limit_cents => 5);",
    )?;
    client.batch_execute("VACUUM ANALYZE")?;
    let scans = "SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables WHERE relname IN ('costsim_cost_records', 'costsim_provenance', 'costsim_worker_runs')";
    let flush = "SELECT pg_stat_force_next_flush()";
    client.batch_execute(flush)?;
    let before: i64 = one(&mut client, scans)?;
    assert!(text(&mut client)?.contains("costsim_v2_provenance_logs_total 20000"));
    client.batch_execute(flush)?;
    assert_eq!(one::<i64>(&mut client, scans)?, before);
    // It would be seen.
    client.batch_execute("SELECT sum(cost_cents) FROM costsim_cost_records")?;
    client.batch_execute(flush)?;
    wait_for(&mut client, "the scan to be counted", &format!("SELECT ({scans}) = {}", before + 1))?;
    Ok(())
}

#[test]
fn as_many_tenants_have_series_as_the_setting_says() -> Result<()> {
    let cluster = Cluster::builder().conf("costsim.metrics_tenants", "1").start()?;
    let mut client = cluster.create_database_with_extension("bounded")?;
    client.batch_execute(
        "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) SELECT 't' || n, 'm', n FROM generate_series(1, 3) n;
         SELECT costsim_set_budget('t' || n, daily_limit_cents => 6) FROM generate_series(1, 3) n",
    )?;
    let shown = "SELECT string_agg(labels ->> 'tenant_id' || ' ' || value, ', ' ORDER BY name, labels::text) FROM costsim_metrics
                  WHERE name IN ('costsim_cost_today_cents', 'costsim_cost_budget_used_ratio')";
    // A session that has not loaded the library reads the setting all the same.
    let mut fresh = cluster.connect("bounded")?;
    assert_eq!(one::<String>(&mut fresh, shown)?, "t3 0.5, (others) 3, t3 3");
    set(&mut client, "costsim.metrics_tenants", "0")?;
    wait_for(
        &mut client,
        "the setting to be told",
        "SELECT current_setting('costsim.metrics_tenants') = '0'",
    )?;
    assert_eq!(one::<String>(&mut client, shown)?, "(others) 6");
    Ok(())
}

/// The table of docs/metrics.md, as the catalogue has it.
const TABLE: &str = "SELECT string_agg(format('| `%s` | %s | %s | %s |', name, type, labels, help), E'\\n' ORDER BY place) || E'\\n' FROM (
    SELECT name, type, coalesce(nullif(labels, ''), '-') AS labels, replace(help, '|', '\\|') AS help, place FROM _costsim_metrics_catalogue()) c";

#[test]
fn manual_has_every_metric_as_its_help_says() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("told")?;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let manual = std::fs::read_to_string(&page)?;
    let (head, rest) = manual.split_once("<!-- metrics -->\n").context("no marker")?;
    let (shown, tail) = rest.split_once("<!-- end of metrics -->").context("no end")?;
    let header = "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n";
    let expected = format!("{header}{}", one::<String>(&mut client, TABLE)?);
    if setting("COSTSIM_WRITE_DOCS", 0)? == 1 {
        std::fs::write(&page, format!("{head}<!-- metrics -->\n{expected}<!-- end of metrics -->{tail}"))?;
        return Ok(());
    }
    assert_eq!(shown, expected, "run this test with COSTSIM_WRITE_DOCS=1");
    // And every name that the page mentions is one.
    let names: Vec<String> = client
        .query("SELECT name FROM _costsim_metrics_catalogue()", &[])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    for line in tail.lines().filter(|line| line.starts_with("| costsim_")) {
        let became = line.split('|').nth(3).context("no third column")?;
        for name in became.split('`').filter(|word| word.starts_with("costsim_") && !word.contains('(')) {
            let name = name.split('{').next().unwrap_or_default();
            assert!(names.iter().any(|known| known == name), "{name}: {line}");
        }
    }
    Ok(())
}
