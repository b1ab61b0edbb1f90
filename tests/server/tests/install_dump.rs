//! pg_dump and restore: all rows are there, and everything goes on where it was.

use anyhow::Result;
use costsim_harness::{Alertmanager, Cluster, wait_until};
use costsim_server_tests::{LIMIT, Shared, Site, one, run_tool, set, wait_for};
use postgres::Client;
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().conf("wal_level", "logical").start())
}

/// A state in every table, and a past in most.
const FILL: &str = r#"
    SELECT costsim_try_leader(7001, 'node-1'), costsim_try_leader(-1, 'ünï'), costsim_try_leader(7002);
    SELECT costsim_release_leader(7002);
    SELECT costsim_try_leader(7002, lease => '1 h'), costsim_try_lease(7004, 'pooled', '1 h');
    INSERT INTO costsim_locks (lock_id, name, description) VALUES (8001, 'mine', 'of my own');
    INSERT INTO costsim_cb_state (name, drift_threshold) VALUES ('other', 0.5);
    SELECT costsim_report_drift(0.9, 10, '{"why": "drift"}') FROM generate_series(1, 3);
    SELECT costsim_enable_v2('me', 'mended');
    SELECT costsim_disable_v2('by hand', 'me', now() + '1 h');
    SELECT costsim_disable_v2('for good', 'me', permanent => true, name => 'other');
    SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}, "annotations": {"n": "1e400"}}]', 'test')
      FROM generate_series(1, 3);
    UPDATE costsim_alert_queue SET status = 'sent', sent_at = now(), response_code = 200 WHERE id = 1;
    UPDATE costsim_alert_queue SET claimed_by = 'pager', claim_token = 7, claimed_until = now() + '1 h' WHERE id = 2;
    SELECT costsim_fire_alert('{"alertname": "fires"}', '{"summary": "s"}', 'http://origin/');
    SELECT costsim_fire_alert('{"alertname": "resolved"}'), costsim_resolve_alert('{"alertname": "resolved"}');
    INSERT INTO costsim_alert_targets (url, state) VALUES ('http://one:9093/api/v2/alerts', 'ok'), ('http://other:9093/api/v2/alerts', 'failing');
    INSERT INTO costsim_alert_targets (url, sent) VALUES ('http://gone:9093/api/v2/alerts', 3);
    DELETE FROM costsim_alert_targets WHERE sent = 3;
    SELECT costsim_write_provenance_batch('[{"run_id": "r", "v1_cost": 1, "v2_cost": 2.5, "payload": {"big": 12345678901234567890123}},
                                            {"run_id": "s", "tenant_id": "t", "runtime_ms": 7}]');
    SELECT costsim_write_provenance_once('once', 't', input_hash => '015abd7f5cc57a2d');
    INSERT INTO costsim_backfill_staging (record) VALUES ('{"input_hash": "h", "cost": 1}'), ('{"cost": 2}'), ('{"n":  1.10}');
    SELECT costsim_purge_provenance('1 year');
    SELECT costsim_load_golden_set('{"name": "mine", "samples": [{"plan": [{"skill": "kv_get"}], "expected_cost_cents": 0}]}');
    SELECT costsim_validate_golden('mine');
    SELECT costsim_run_canary(plans => '[]', run_id => 'r');
    INSERT INTO costsim_canary_samples (report_id, position, is_replayed, error) SELECT id, 1, true, 'none' FROM costsim_canary_reports;
    INSERT INTO costsim_canary_schedule (schedule, time_zone, next_run_at, attempts, last_run_id, last_status) VALUES ('0 3 * * *', 'Europe/Berlin', now(), 1, 'r', 'pass');
    INSERT INTO costsim_cost_models (model, version, formula, cost_decimals) VALUES ('v1', '1.1.0', 'v1', 3), ('mine', '1', 'v2', 0);
    INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v1', '1.1.0', 'unknown', 0.1), ('v2', '2.0.0', 'mine', 1e308);
    UPDATE costsim_skill_costs SET cost_cents = 0.3 WHERE (model, skill) = ('v2', 'kv_get');
    SELECT costsim_activate_model('v1', '1.1.0');
    INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
    SELECT 't', 'u', 'f.g', 'm', CASE WHEN d < 9 THEN 1500 ELSE 1000 END, date_trunc('day', now(), 'UTC') - d * interval '1 day' FROM generate_series(0, 40) d;
    SELECT costsim_detect_anomalies();
    SELECT costsim_acknowledge_anomaly('t', min(id), 'me', 'seen'), costsim_dismiss_anomaly('t', max(id), 'me') FROM costsim_cost_anomalies;
    SELECT costsim_create_feature_tag('acme', 'support.summarise', budget_cents => 5), costsim_set_cost_time_zone('acme', 'Asia/Kathmandu');
    SELECT costsim_record_cost('acme', 'm', 7, created_at => '2020-01-01 00:00+00');
    SELECT costsim_purge_cost_records('1000 days');
    SELECT costsim_record_cost('acme', 'm', 0.0004, request_id => 'r1', feature_tag => 'support.summarise');
    SELECT costsim_persist_audit_record(NULL, 'ünï "' || n || chr(7), 'safety', 'applied', 'why', now() - n * interval '1 day', tenant_id => 't') FROM generate_series(1, 3) n;
    SELECT costsim_purge_audit('0', 1, 'me', 'a test');
    SET client_min_messages = error;
    SELECT costsim_persist_audit_record('bad', 'e', 'safety', 'applied', 'why');
    RESET client_min_messages;
    SELECT costsim_set_budget('acme', daily_limit_cents => 100, hard_limit_enabled => true);
    SELECT costsim_record_run('acme', 'mailer', 'failed', 'no route to host', 1.5, 7, 'r1', true, 2, 'r0', '2025-06-01 12:00+00', '2025-06-01 12:01+00'),
           costsim_record_run('acme', 'mailer', 'running');
    SELECT costsim_coordinate('kept', 'COST', 's', 'p', '{"n": 1e400}', tenant_id => 'acme'), costsim_coordinate('over', 'PERFORMANCE', 's', 'p');
    SELECT costsim_set_kill_switch(true, 'me', 'outage'), costsim_set_kill_switch(false, 'me', 'over');
    SELECT costsim_coordinate('ünï', 'SAFETY', 's', 'p');
    SELECT costsim_emit_prediction('acme', 'latency', 'run', 'r', 0.25, '{"ms": 1.10}', notes => 'mine'), costsim_emit_prediction('acme', 'latency', 'run', 'r', 1, '[]');
    UPDATE costsim_backfill_staging SET state = 'error', error = '22023: nothing to know it by', processed_at = now() WHERE id = 2;
    INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at)
    SELECT 'failed ' || n, 'ünï', 'w', 'failed', 'no disk', now() - interval '1 hour' FROM generate_series(1, 3) n;
    SELECT count(*) FROM costsim_detect_patterns();
    DO $$ BEGIN CREATE ROLE filled; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    SELECT costsim_grant('filled', 'app', 't');
"#;

fn tables(client: &mut Client) -> Result<Vec<String>> {
    let query = "SELECT c.relname::text FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
                  WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'costsim_pg')
                    AND d.classid = 'pg_class'::regclass AND c.relkind = 'r'
                    AND c.relname NOT IN ('costsim_drift_changes', 'costsim_drift_rollups',
                                          'costsim_cost_detection', 'costsim_cost_pending', 'costsim_cost_quarters', 'costsim_cost_daily', -- made anew of the rows
                                          'costsim_maintenance', 'costsim_prediction_looks') -- of that server
                  ORDER BY 1";
    Ok(client.query(query, &[])?.iter().map(|row| row.get(0)).collect())
}

/// Every row of a table, as text.
fn rows(client: &mut Client, schema: &str, table: &str) -> Result<Vec<String>> {
    let query = format!("SELECT t::text FROM {schema}.{table} t ORDER BY 1");
    Ok(client.query(&query, &[])?.iter().map(|row| row.get(0)).collect())
}

/// Dumps the database `from` and restores it as `to`; neither program may say a word.
fn copy_database(cluster: &Cluster, from: &str, to: &str) -> Result<()> {
    copy_database_by(cluster, from, to, "--no-sync")
}

/// The same by one more option of pg_dump.
fn copy_database_by(cluster: &Cluster, from: &str, to: &str, option: &str) -> Result<()> {
    let folder = cluster.socket_dir().to_str().unwrap_or_default();
    let file = format!("{folder}/{from}.dump");
    run_tool(
        cluster,
        "pg_dump",
        ["--format=custom", option, "--file", &file, "--dbname", &cluster.conn_string(from)],
    )?;
    cluster.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {to}"))?;
    run_tool(cluster, "pg_restore", ["--exit-on-error", "--dbname", &cluster.conn_string(to), &file])
        .map(drop)
}

#[test]
fn restored_database_has_every_row_and_goes_on_where_it_was() -> Result<()> {
    let cluster = cluster()?;
    let mut before = cluster.connect("postgres")?;
    before.batch_execute("CREATE DATABASE dumped")?;
    let mut before = {
        drop(before);
        cluster.connect("dumped")?
    };
    // A schema whose name needs quotes, as a user may choose.
    before.batch_execute(
        r#"CREATE SCHEMA "cost sim"; CREATE EXTENSION costsim_pg SCHEMA "cost sim";
                            SET search_path = "cost sim", public"#,
    )?;
    before.batch_execute(FILL)?;
    copy_database(&cluster, "dumped", "restored")?;

    let mut after = cluster.connect("restored")?;
    after.batch_execute(r#"SET search_path = "cost sim", public"#)?;
    let tables = tables(&mut before)?;
    assert!(tables.len() >= 8, "{tables:?}");
    for table in &tables {
        let expected = rows(&mut before, "\"cost sim\"", table)?;
        assert!(!expected.is_empty(), "{table} is empty, so nothing is shown of it");
        assert_eq!(rows(&mut after, "\"cost sim\"", table)?, expected, "{table}");
    }

    // Nobody leads there, and whoever does has a greater token.
    for lock_id in ["7001", "-1", "7002"] {
        let known: i64 =
            one(&mut after, &format!("SELECT token FROM costsim_leaders WHERE lock_id = {lock_id}"))?;
        assert!(!one::<bool>(&mut after, &format!("SELECT costsim_lock_held({lock_id})"))?);
        assert!(one::<bool>(&mut after, &format!("SELECT costsim_try_leader({lock_id})"))?);
        let token: i64 = one(&mut after, &format!("SELECT token FROM costsim_leader({lock_id})"))?;
        assert_eq!(token, known + 1, "lock {lock_id}");
    }
    // The breakers are as they were, and close.
    assert!(one::<bool>(&mut after, "SELECT costsim_is_open()")?);
    assert!(one::<bool>(&mut after, "SELECT costsim_is_open('other')")?);
    assert!(one::<bool>(&mut after, "SELECT costsim_enable_v2('me')")?);
    assert!(one::<bool>(&mut after, "SELECT costsim_enable_v2('me', name => 'other')")?);
    assert_eq!(one::<i64>(&mut after, "SELECT count(*) FROM costsim_incidents(true, NULL)")?, 2);
    // The sequences go on behind the last row.
    let id: i64 =
        one(&mut after, r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "b"}}]', 'test')"#)?;
    let next: i64 = one(&mut before, "SELECT last_value + 1 FROM \"cost sim\".costsim_alert_queue_id_seq")?;
    assert_eq!(id, next);
    assert_eq!(one::<i64>(&mut after, "SELECT costsim_write_provenance('next')")?, 4);
    let once =
        "SELECT inserted FROM costsim_write_provenance_once('again', 't', input_hash => '015abd7f5cc57a2d')";
    assert!(!one::<bool>(&mut after, once)?);
    // Lock 7004 is leased there until its end; the load goes on after that.
    after.batch_execute("SELECT costsim_release_lease(7004, token) FROM costsim_leader(7004)")?;
    assert_eq!(one::<i64>(&mut after, "SELECT inserted FROM costsim_backfill_staged()")?, 1);
    // What is active there is in the way of others.
    let conflicting = "SELECT conflicting_envelope_id FROM costsim_coordinate('new', 'SAFETY', 's', 'p')";
    assert_eq!(one::<String>(&mut after, conflicting)?, "ünï");
    after.batch_execute("INSERT INTO costsim_cb_state (name) VALUES ('third')")?;
    assert!(!one::<bool>(&mut after, "SELECT costsim_is_open('third')")?);
    assert!(one::<bool>(&mut after, r#"SELECT costsim_resolve_alert('{"alertname": "fires"}')"#)?);
    assert_eq!(
        one::<String>(
            &mut after,
            "SELECT status FROM costsim_record_cost('acme', 'm', 7, request_id => 'r1')"
        )?,
        "duplicate"
    );
    // Drift is answered from the rows until they are rolled up again.
    assert_eq!(one::<i64>(&mut after, "SELECT total FROM costsim_drift_stats()")?, 1);
    assert!(one::<bool>(&mut after, "SELECT EXISTS (SELECT FROM costsim_drift_changes WHERE hour IS NULL)")?);
    after.batch_execute("SELECT costsim_refresh_drift()")?;
    assert!(one::<bool>(
        &mut after,
        "SELECT NOT EXISTS (SELECT FROM costsim_drift_changes WHERE hour IS NULL)"
    )?);
    assert_eq!(one::<i64>(&mut after, "SELECT total FROM costsim_drift_stats()")?, 1);
    Ok(())
}

#[test]
fn restored_database_can_be_dumped_and_restored_again() -> Result<()> {
    let cluster = cluster()?;
    let mut first = cluster.create_database_with_extension("first")?;
    first.batch_execute(FILL)?;
    copy_database(&cluster, "first", "second")?;
    copy_database(&cluster, "second", "third")?;
    let mut third = cluster.connect("third")?;
    for table in tables(&mut third)? {
        assert_eq!(rows(&mut third, "public", &table)?, rows(&mut first, "public", &table)?, "{table}");
    }
    Ok(())
}

#[test]
fn restored_outbox_is_delivered_although_the_dump_holds_claims() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::builder(&alertmanager.url()).start()?;
    let mut client = site.create_database_with_extension("source")?;
    client.batch_execute(FILL)?;
    copy_database(&site, "source", "app")?;
    set(&mut client, "costsim.databases", "app")?;
    let mut client = site.connect("app")?;
    wait_for(
        &mut client,
        "all to be sent",
        "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )?;
    wait_until(LIMIT, "what fires", || alertmanager.alert_state(&[("alertname", "fires")]))?;
    Ok(())
}

/// The rows that a restore must bring back where the extension has made seeds already, in whatever order they come.
#[test]
fn edited_seeds_take_their_places_in_a_restore() -> Result<()> {
    let cluster = cluster()?;
    let active_first = "
        INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.1.0', 'v1', true);
        UPDATE costsim_cost_models SET risk_threshold = 0.4 WHERE (model, version) = ('v1', '1.0.0')";
    let active_last = "
        UPDATE costsim_cost_models SET risk_threshold = 0.4, is_active = false WHERE (model, version) = ('v1', '1.0.0');
        INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.1.0', 'v1', true)";
    let none_active = "UPDATE costsim_cost_models SET is_active = false";
    let back_and_forth = "
        INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.1.0', 'v1', true);
        SELECT costsim_activate_model('v1', '1.0.0')";
    let of_skills = "
        UPDATE costsim_skill_costs SET cost_cents = 0.1 + 0.2, latency_ms = 1e-300 WHERE skill = 'email_send';
        INSERT INTO costsim_skill_costs (model, version, skill) VALUES ('v1', '1.0.0', 'mine')";
    let changes = [active_first, active_last, none_active, back_and_forth, of_skills];
    for (number, change) in changes.into_iter().enumerate() {
        for (kind, option) in ["--no-sync", "--inserts", "--rows-per-insert=100"].into_iter().enumerate() {
            let name = format!("seeds_{number}_{kind}");
            let mut before = cluster.create_database_with_extension(&name)?;
            before.batch_execute(change)?;
            let copy = format!("{name}_copy");
            copy_database_by(&cluster, &name, &copy, option)?;
            let mut after = cluster.connect(&copy)?;
            for table in ["costsim_cost_models", "costsim_skill_costs"] {
                let expected = rows(&mut before, "public", table)?;
                assert_eq!(rows(&mut after, "public", table)?, expected, "{option}: {change}");
            }
        }
    }
    Ok(())
}

/// The tables that have seeds.
const SEEDED: [&str; 4] =
    ["costsim_cost_models", "costsim_skill_costs", "costsim_golden_sets", "costsim_golden_samples"];

/// What a user may do to seeds, or with their keys, such that no seed is missing afterwards. A group's do not meet.
const USES: [&[(&str, &str)]; 3] = [
    &[
        (
            "a deleted seed's key is used again",
            "DELETE FROM costsim_skill_costs WHERE (model, skill) = ('v1', 'kv_get');
             INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v1', '1.0.0', 'kv_get', 4), ('v1', '1.0.0', 'mine', 5)",
        ),
        (
            "the keys of a deleted set are used again",
            "DELETE FROM costsim_golden_sets WHERE name = 'historical';
             INSERT INTO costsim_golden_sets (name, version, is_current) VALUES ('historical', 1, true);
             INSERT INTO costsim_golden_samples (name, version, position, plan) SELECT 'historical', 1, n, '[]' FROM generate_series(0, 6) n",
        ),
        (
            "a version is copied with all columns",
            "INSERT INTO costsim_cost_models SELECT model, '2.1.0', formula, false, cost_decimals, risk_threshold, significant_risk,
                    description, created_at, origin FROM costsim_cost_models WHERE model = 'v2';
             INSERT INTO costsim_skill_costs SELECT model, '2.1.0', skill, shape, cost_cents, cost_per_1k_input, cost_per_1k_output,
                    latency_ms, latency_variance_ms, latency_per_1k, confidence, risk, risk_type, origin
               FROM costsim_skill_costs WHERE model = 'v2'",
        ),
        (
            "the flag came back",
            "INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.1.0', 'v1', true);
             UPDATE costsim_cost_models SET is_active = true WHERE version = '1.0.0'",
        ),
    ],
    &[
        (
            "whole rows are saved twice",
            "UPDATE costsim_skill_costs SET cost_cents = 7, origin = 'seed' WHERE skill = 'kv_get';
             UPDATE costsim_skill_costs SET cost_cents = 8, origin = 'seed' WHERE skill = 'kv_get'",
        ),
        (
            "a version takes the flag and gives it up",
            "INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v2', '2.1.0', 'v2', true);
             UPDATE costsim_cost_models SET is_active = false WHERE version = '2.1.0'",
        ),
        (
            "a set takes the flag and gives it up",
            r#"SELECT costsim_load_golden_set('{"name": "historical", "samples": [{"plan": []}]}');
               UPDATE costsim_golden_sets SET is_current = false WHERE name = 'historical'"#,
        ),
    ],
    &[
        (
            "a deleted seed's key is used again by a row that says it is a seed",
            "DELETE FROM costsim_skill_costs WHERE (model, skill) = ('v1', 'kv_get');
             INSERT INTO costsim_skill_costs (model, version, skill, cost_cents, origin) VALUES ('v1', '1.0.0', 'kv_get', 99, 'seed')",
        ),
        (
            "a version has taken the flag from a seed that was edited before, another from one that is edited after",
            "UPDATE costsim_cost_models SET risk_threshold = 0.25 WHERE model = 'v1';
             INSERT INTO costsim_cost_models (model, version, formula, is_active) VALUES ('v1', '1.1.0', 'v1', true), ('v2', '2.1.0', 'v2', true);
             UPDATE costsim_cost_models SET risk_threshold = 0.25 WHERE (model, version) = ('v2', '2.0.0')",
        ),
    ],
];

#[test]
fn restored_database_has_whatever_was_done_to_seeds() -> Result<()> {
    let cluster = cluster()?;
    for (number, uses) in USES.into_iter().enumerate() {
        let (what, changes): (Vec<_>, Vec<_>) = uses.iter().copied().unzip();
        let name = format!("uses_{number}");
        let mut before = cluster.create_database_with_extension(&name)?;
        before.batch_execute(&changes.join("; "))?;
        let mut from = name.clone();
        // The second time what was restored is dumped.
        for (kind, option) in ["--no-sync", "--inserts"].into_iter().enumerate() {
            let copy = format!("{name}_{kind}");
            copy_database_by(&cluster, &from, &copy, option)?;
            let mut after = cluster.connect(&copy)?;
            for table in SEEDED {
                let expected = rows(&mut before, "public", table)?;
                assert_eq!(rows(&mut after, "public", table)?, expected, "{option}: {what:?}");
            }
            from = copy;
        }
    }
    Ok(())
}

#[test]
fn restored_database_has_a_set_of_ones_own_by_the_name_of_a_deleted_seed() -> Result<()> {
    let cluster = cluster()?;
    let mut before = cluster.create_database_with_extension("named")?;
    before.batch_execute(
        r#"DELETE FROM costsim_golden_sets WHERE name = 'historical';
           SELECT costsim_load_golden_set('{"name": "historical", "samples": [{"plan": []}]}')"#,
    )?;
    copy_database(&cluster, "named", "named_copy")?;
    let mut after = cluster.connect("named_copy")?;
    let mine = "SELECT string_agg(s::text || g::text, ' ')
                  FROM costsim_golden_sets s JOIN costsim_golden_samples g USING (name, version) WHERE s.is_current AND s.name = 'historical'";
    let (expected, found): (String, String) = (one(&mut before, mine)?, one(&mut after, mine)?);
    assert_eq!(found, expected);
    Ok(())
}

#[test]
fn subscriber_with_seeds_of_its_own_takes_the_publishers_rows() -> Result<()> {
    let cluster = cluster()?;
    for (number, uses) in USES.into_iter().enumerate() {
        let (what, changes): (Vec<_>, Vec<_>) = uses.iter().copied().unzip();
        let [from, to] = ["from", "to"].map(|end| format!("seeds_{end}_{number}"));
        let mut there = cluster.create_database_with_extension(&from)?;
        let mut here = cluster.create_database_with_extension(&to)?;
        there.batch_execute(&changes.join("; "))?;
        there.batch_execute(&format!("CREATE PUBLICATION seeds FOR TABLE {}", SEEDED.join(", ")))?;
        // Made beforehand: within one cluster the command would wait for itself.
        there.batch_execute(&format!("SELECT pg_create_logical_replication_slot('{to}', 'pgoutput')"))?;
        here.batch_execute(&format!(
            "CREATE SUBSCRIPTION {to} CONNECTION '{}' PUBLICATION seeds WITH (slot_name = '{to}', create_slot = false)",
            cluster.conn_string(&from).replace('\'', "''"),
        ))?;
        let is_ready = "SELECT count(*) = 4 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel";
        wait_for(&mut here, "the first copies", is_ready)?;
        for table in SEEDED {
            let expected = rows(&mut there, "public", table)?;
            assert_eq!(rows(&mut here, "public", table)?, expected, "{what:?}");
        }
        here.batch_execute(&format!("DROP SUBSCRIPTION {to}"))?;
    }
    Ok(())
}
