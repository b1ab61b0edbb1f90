//! Levels as roles have them: what the list says may be called can be called, a dump carries grants and policies, any schema will do.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one, run_tool, wait_for};
use postgres::{Client, NoTls};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().start())
}

/// Every function with NULL for each argument, as it is called, by its name in the list.
const CALLS: &str = "
    SELECT o.object, p.proname::text,
           CASE WHEN p.prokind = 'a'
                THEN format('SELECT %s.%I(%s) FROM (SELECT %s OFFSET 0) v', p.pronamespace::regnamespace, p.proname, names.list, args.list)
                ELSE format('SELECT count(*) FROM (SELECT %s OFFSET 0) v, LATERAL %s.%I(%s) r', args.list, p.pronamespace::regnamespace, p.proname, names.list) END
      FROM _costsim_objects() o JOIN pg_proc p ON p.oid = o.object_id,
           LATERAL (SELECT coalesce(string_agg(format('NULL::%s AS a%s', format_type(t, NULL), n), ', ' ORDER BY n), '1 AS none') AS list
                      FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n)) args,
           LATERAL (SELECT coalesce(string_agg('v.a' || n, ', ' ORDER BY n), '') AS list FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n)) names
     WHERE NOT o.is_inner
     ORDER BY 1";

/// Some name of its own for each level, and what it was granted.
const LEVELS: [(&str, &str, &str); 6] = [
    ("nobody", "", ""),
    ("reader_1", "reader", "'acme'"),
    ("reader_all", "reader", "'*'"),
    ("app_1", "app", "NULL"),
    ("app_all", "app", "'*'"),
    ("oper", "operator", "'*'"),
];

fn session(cluster: &Cluster, database: &str, role: &str) -> Result<Client> {
    let mut client = cluster.config(database).user(role).connect(NoTls)?;
    client.batch_execute("SET costsim.tenant_id = 'acme'; SET statement_timeout = '30s'")?;
    Ok(client)
}

#[test]
fn every_function_is_called_by_whom_the_list_names_and_by_nobody_else() -> Result<()> {
    let cluster = cluster()?;
    let mut owner = cluster.create_database_with_extension("calls")?;
    let calls: Vec<(String, String, String)> =
        owner.query(CALLS, &[])?.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    ensure!(calls.len() > 150, "{} functions", calls.len());
    for (role, level, tenant) in LEVELS {
        owner.batch_execute(&format!("CREATE ROLE calls_{role} LOGIN"))?;
        if !level.is_empty() {
            owner.batch_execute(&format!("SELECT costsim_grant('calls_{role}', '{level}', {tenant})"))?;
        }
        let allowed: Vec<String> = owner
            .query(
                "SELECT a.object FROM costsim_access a
                  WHERE a.kind = 'function' AND (NOT $2 OR a.tenant_ok)
                    AND array_position('{reader,app,operator}', a.level) <= array_position('{reader,app,operator}', $1)",
                &[&level, &!tenant.contains('*')],
            )?
            .iter()
            .map(|row| row.get(0))
            .collect();
        let mut client = session(&cluster, "calls", &format!("calls_{role}"))?;
        for (object, name, call) in &calls {
            let is_allowed = allowed.contains(object);
            // It would start a worker.
            if is_allowed && name.starts_with("costsim_worker_st") && name != "costsim_worker_status" {
                continue;
            }
            let outcome = client.simple_query(&format!("BEGIN; {call}"));
            let refusal = outcome.err().and_then(|error| {
                error.as_db_error().map(|error| (error.code().code().to_owned(), error.message().to_owned()))
            });
            client.batch_execute("ROLLBACK")?;
            let is_denied = refusal.as_ref().is_some_and(|(_, message)| {
                message.ends_with(&format!("permission denied for function {name}"))
                    || message.ends_with(&format!("permission denied for aggregate {name}"))
            });
            assert_eq!(is_denied, !is_allowed, "{role}: {call}: {refusal:?}");
            // What it may call works to the end: nothing beneath is denied.
            if let Some((code, message)) = refusal.filter(|_| is_allowed) {
                let is_denied = code == "42501" && !message.contains("row-level security");
                ensure!(!is_denied && !code.starts_with("XX"), "{role}: {call}: {code} {message}");
            }
        }
    }
    Ok(())
}

/// Calls that go all the way, by the lowest level that may make them; `true` where one tenant is enough.
const USES: &[(&str, bool, &str)] = &[
    ("reader", true, "SELECT FROM costsim_query_provenance('acme')"),
    ("reader", true, "SELECT costsim_count_provenance('acme'), costsim_check_duplicate('h', 'acme')"),
    ("reader", false, "SELECT FROM costsim_drift_stats()"),
    ("reader", false, "SELECT FROM costsim_drift_series(now() - interval '1 day')"),
    ("reader", true, "SELECT FROM costsim_divergence_report()"),
    ("reader", true, "SELECT FROM costsim_divergence_by_model()"),
    ("reader", true, "SELECT FROM costsim_divergence_by_bucket()"),
    ("reader", true, "SELECT FROM costsim_divergence_samples()"),
    ("reader", true, "SELECT costsim_divergence_json()"),
    ("reader", true, "SELECT FROM costsim_cost_spend('acme', now() - interval '3 days', now())"),
    ("reader", true, "SELECT FROM costsim_cost_metrics('acme', now() - interval '3 days', now())"),
    ("reader", true, "SELECT FROM costsim_llm_usage('acme', now() - interval '3 days', now())"),
    ("reader", true, "SELECT FROM costsim_worker_execution('acme', now() - interval '3 days', now())"),
    ("reader", true, "SELECT FROM costsim_cost_by_user('acme', now() - interval '3 days', now())"),
    ("reader", true, "SELECT FROM costsim_cost_by_model('acme', now() - interval '3 days', now())"),
    ("reader", true, "SELECT FROM costsim_cost_by_feature('acme', now() - interval '3 days', now())"),
    ("reader", true, "SELECT FROM costsim_cost_summary('acme', now() - interval '3 days', now())"),
    ("reader", true, "SELECT FROM costsim_cost_baseline('acme')"),
    ("reader", true, "SELECT FROM costsim_cost_comparison('acme')"),
    ("reader", true, "SELECT FROM costsim_cost_projection('acme')"),
    ("reader", true, "SELECT FROM costsim_query_cost_records('acme')"),
    ("reader", true, "SELECT FROM costsim_budget_status('acme'), costsim_current_spend('acme')"),
    (
        "reader",
        true,
        "SELECT FROM costsim_query_anomalies('acme'), costsim_explain_anomaly('acme'), costsim_breach_history('acme'), costsim_drift_tracking('acme')",
    ),
    ("reader", true, "SELECT FROM costsim_list_feature_tags('acme')"),
    (
        "reader",
        true,
        "SELECT FROM costsim_query_feedback('acme'), costsim_feedback_stats('acme'), costsim_get_feedback('acme', 1)",
    ),
    (
        "reader",
        true,
        "SELECT FROM costsim_query_predictions('acme'), costsim_prediction_stats('acme'), costsim_get_prediction('acme', 1)",
    ),
    ("reader", true, "SELECT FROM costsim_active_envelopes('acme')"),
    (
        "reader",
        true,
        "SELECT costsim_is_open(), costsim_is_closed(), costsim_lock_held(7001), costsim_lock_id('canary_runner')",
    ),
    (
        "reader",
        true,
        "SELECT FROM costsim_simulate('[{\"skill\": \"llm_invoke\"}]'), costsim_compare('[{\"skill\": \"llm_invoke\"}]')",
    ),
    (
        "reader",
        true,
        "SELECT costsim_input_hash('{}'), costsim_jcs_digest('{}'), costsim_error_signature('e'), costsim_drift_score(1, 2)",
    ),
    (
        "reader",
        true,
        "SELECT costsim_drift_mean(d), costsim_drift_count(d) FROM (SELECT costsim_drift(v1_cost, v2_cost) AS d FROM costsim_provenance) s",
    ),
    ("reader", true, "SELECT FROM costsim_run_source()"),
    (
        "reader",
        false,
        "SELECT FROM costsim_cb_get_state(), costsim_incidents(true), costsim_cb_explain(), costsim_leader(7001)",
    ),
    ("reader", false, "SELECT FROM costsim_leader_status"),
    ("reader", false, "SELECT FROM costsim_alert_status, costsim_dead_alerts, costsim_alert_targets"),
    (
        "reader",
        false,
        "SELECT FROM costsim_canary_status, costsim_backfill_progress, costsim_audit_status, costsim_kill_switch_status, costsim_audit, costsim_audit_purged",
    ),
    ("reader", false, "SELECT FROM costsim_query_audit(), costsim_verify_audit()"),
    (
        "reader",
        false,
        "SELECT FROM costsim_query_canary_reports(), costsim_canary_report('x'), costsim_count_canary_reports(), costsim_backfill_verify()",
    ),
    ("reader", false, "SELECT FROM costsim_access, costsim_grants"),
    (
        "app",
        true,
        "SELECT costsim_try_leader(7777), costsim_is_leader(7777), costsim_fencing_token(7777), costsim_require_leader(7777), costsim_release_leader(7777)",
    ),
    ("app", true, "SELECT costsim_try_lease(7778, 'n')"),
    ("app", true, "SELECT costsim_run_as_leader(7779, 'SELECT 1')"),
    (
        "app",
        true,
        "SELECT costsim_cb_allow(), costsim_is_v2_disabled(), count(*) FROM costsim_report_drift(0.9), costsim_report_schema_error(0)",
    ),
    ("app", true, "SELECT costsim_write_provenance('r', 'acme', v1_cost => 1, v2_cost => 2)"),
    (
        "app",
        true,
        "SELECT FROM costsim_write_provenance_once('r', 'acme', input_hash => 'h'), costsim_write_provenance_batch_once('[{\"tenant_id\": \"acme\", \"input_hash\": \"h\"}]')",
    ),
    (
        "app",
        true,
        "SELECT FROM costsim_record_cost('acme', 'm', 1, enforce => true), costsim_record_costs('[{\"tenant_id\": \"acme\", \"model\": \"m\", \"cost_cents\": 1}]')",
    ),
    (
        "app",
        true,
        "SELECT FROM costsim_create_feature_tag('acme', 'a.b'), costsim_set_cost_time_zone('acme', 'Europe/Berlin')",
    ),
    (
        "app",
        true,
        "SELECT costsim_acknowledge_anomaly('acme', 1, 'x'), costsim_resolve_anomaly('acme', 1, 'x'), costsim_dismiss_anomaly('acme', 1, 'x')",
    ),
    ("app", true, "SELECT FROM generate_series(1, 6) n, costsim_record_run('acme', 'w', 'failed', 'e') r"),
    ("app", true, "SELECT FROM costsim_detect_patterns(), costsim_predict()"),
    (
        "app",
        true,
        "SELECT costsim_emit_prediction('acme', 'own', 'worker', 'w', 0.5, '1'), costsim_observe_predictions(), costsim_acknowledge_feedback('acme', 1, 'x')",
    ),
    (
        "app",
        true,
        "SELECT FROM costsim_coordinate('e', 'COST', 's', 'p', tenant_id => 'acme'), costsim_release_envelope('e', 'acme')",
    ),
    ("app", true, "SELECT FROM costsim_sandbox('[{\"skill\": \"llm_invoke\"}]', tenant_id => 'acme')"),
    (
        "app",
        false,
        "SELECT costsim_fire_alert('{\"alertname\": \"A\"}'), costsim_resolve_alert('{\"alertname\": \"A\"}'), costsim_enqueue_alert('[{\"labels\": {\"alertname\": \"B\"}}]', 'x')",
    ),
    (
        "app",
        false,
        "SELECT costsim_persist_audit_record('00000000-0000-4000-8000-000000000001'::uuid, 'e', 'COST', 'APPLIED', 'r', now())",
    ),
    (
        "operator",
        false,
        "SELECT FROM costsim_disable_v2('r', 'x'), costsim_enable_v2('x'), costsim_reset_v2('r', 'x'), costsim_configure_breaker('b'), costsim_auto_recover()",
    ),
    (
        "operator",
        false,
        "SELECT FROM costsim_claim_alerts('x'), costsim_retry_failed_alerts(), costsim_retry_alert(1), costsim_cancel_alert(1), costsim_purge_old_alerts()",
    ),
    (
        "operator",
        false,
        "SELECT costsim_resign_leader(7001, 'r'), costsim_refresh_drift(), costsim_purge_provenance(), costsim_purge_cost_records(), costsim_purge_runs(), costsim_purge_feedback(), costsim_purge_predictions(), costsim_purge_anomalies(), costsim_purge_canary_reports()",
    ),
    (
        "operator",
        false,
        "SELECT FROM costsim_backfill_v1_baseline('[{\"input_hash\": \"hh\", \"cost\": 1}]'), costsim_backfill_staged()",
    ),
    ("operator", false, "SELECT costsim_activate_model('v1', '1.0.0')"),
    ("operator", false, "SELECT FROM costsim_validate_golden('historical'), costsim_run_canary()"),
    (
        "operator",
        false,
        "SELECT FROM costsim_set_budget('acme', daily_limit_cents => 5), costsim_delete_budget('acme')",
    ),
    ("operator", false, "SELECT costsim_refresh_costs(), costsim_rebuild_costs()"),
    ("operator", false, "SELECT FROM costsim_detect_anomalies()"),
    (
        "operator",
        false,
        "SELECT costsim_set_kill_switch(false, 'x', 'r'), costsim_purge_audit('10 years', purged_by => 'x', reason => 'r'), costsim_replay_audit_failures()",
    ),
    ("operator", false, "INSERT INTO costsim_locks (lock_id, name) VALUES (9999, 'x')"),
    ("operator", false, "INSERT INTO costsim_backfill_staging (record) VALUES ('{}')"),
];

#[test]
fn what_a_level_may_call_works_to_the_end() -> Result<()> {
    let cluster = cluster()?;
    let mut owner = cluster.create_database_with_extension("uses")?;
    let order = ["reader", "app", "operator"];
    let place = |level: &str| order.iter().position(|known| *known == level);
    for (role, level, tenant) in LEVELS.into_iter().skip(1) {
        owner.batch_execute(&format!(
            "CREATE ROLE uses_{role} LOGIN; SELECT costsim_grant('uses_{role}', '{level}', {tenant})"
        ))?;
        let mut client = session(&cluster, "uses", &format!("uses_{role}"))?;
        for (least, is_for_one, statement) in USES {
            let is_allowed = place(least) <= place(level) && (*is_for_one || tenant.contains('*'));
            let refusal = client.batch_execute(&format!("BEGIN; {statement}")).err().map(|error| {
                error.as_db_error().map_or_else(
                    || error.to_string(),
                    |error| format!("{} {}", error.code().code(), error.message()),
                )
            });
            client.batch_execute("ROLLBACK")?;
            match refusal {
                None => ensure!(is_allowed, "{role} may: {statement}"),
                Some(refusal) => {
                    ensure!(!is_allowed && refusal.starts_with("42501"), "{role}: {statement}: {refusal}")
                }
            }
        }
    }
    Ok(())
}

#[test]
fn dump_carries_grants_and_policies_and_dropping_leaves_none() -> Result<()> {
    let cluster = cluster()?;
    let mut owner = cluster.create_database_with_extension("granted")?;
    owner.batch_execute(
        "CREATE ROLE \"dumped o'app\" LOGIN; CREATE ROLE dumped_session; CREATE ROLE dumped_worker;
         SELECT costsim_grant('\"dumped o''app\"', 'app', 'o''neil'), costsim_grant('dumped_session', 'reader', NULL), costsim_grant('dumped_worker', 'worker');
         INSERT INTO costsim_provenance (tenant_id) VALUES ('o''neil'), ('other')",
    )?;
    let state = "SELECT string_agg(format('%s %s %s %s', grantee, level, tenant, missing), ', ' ORDER BY grantee::text) FROM costsim_grants";
    let before: String = one(&mut owner, state)?;
    ensure!(before.matches(" 0").count() == 3, "{before}");
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE granted_again")?;
    let dump = cluster.data_dir().parent().context("a folder")?.join("granted.dump");
    let dump = dump.to_str().context("a path")?;
    run_tool(&cluster, "pg_dump", ["-Fc", "-f", dump, "-d", &cluster.conn_string("granted")])?;
    run_tool(&cluster, "pg_restore", ["--exit-on-error", "-d", &cluster.conn_string("granted_again"), dump])?;
    let mut again = cluster.connect("granted_again")?;
    assert_eq!(one::<String>(&mut again, state)?, before);
    let mut app = cluster.config("granted_again").user("dumped o'app").connect(NoTls)?;
    assert_eq!(
        one::<String>(&mut app, "SELECT string_agg(tenant_id, ',') FROM costsim_provenance")?,
        "o'neil"
    );
    again.batch_execute("DROP EXTENSION costsim_pg")?;
    assert_eq!(one::<i64>(&mut again, "SELECT count(*) FROM pg_policy")?, 0);
    Ok(())
}

#[test]
fn any_schema_and_any_search_path_will_do() -> Result<()> {
    let cluster = cluster()?;
    let mut postgres = cluster.connect("postgres")?;
    postgres.batch_execute("CREATE DATABASE elsewhere")?;
    let mut owner = cluster.connect("elsewhere")?;
    owner.batch_execute(
        "CREATE SCHEMA \"Odd \"\"Place\"\"\"; CREATE EXTENSION costsim_pg SCHEMA \"Odd \"\"Place\"\"\"; CREATE ROLE elsewhere_app LOGIN; CREATE ROLE elsewhere_owner;
         SELECT \"Odd \"\"Place\"\"\".costsim_grant('elsewhere_app', 'app', 'acme');",
    )?;
    let mut app = cluster.config("elsewhere").user("elsewhere_app").connect(NoTls)?;
    app.batch_execute("SELECT \"Odd \"\"Place\"\"\".costsim_write_provenance('r', 'acme')")?;
    assert_eq!(one::<i64>(&mut app, "SELECT count(*) FROM \"Odd \"\"Place\"\"\".costsim_provenance")?, 1);
    app.batch_execute(
        "SET search_path = \"Odd \"\"Place\"\"\"; SELECT costsim_create_feature_tag('acme', 'a.b')",
    )?;
    ensure!(
        one::<bool>(&mut owner, "SELECT \"Odd \"\"Place\"\"\".costsim_revoke('elsewhere_app')")?,
        "nothing was revoked"
    );
    owner.batch_execute("DROP ROLE elsewhere_app, elsewhere_owner")?;
    Ok(())
}

/// A level's grants survive where a role is gone or tables are busy; nobody gets another's.
#[test]
fn restore_waits_for_who_reads_and_gives_nothing_to_others() -> Result<()> {
    let cluster = cluster()?;
    let mut owner = cluster.create_database_with_extension("busy")?;
    owner.batch_execute(
        "CREATE ROLE busy_acme LOGIN; CREATE ROLE busy_gone; CREATE ROLE busy_missing;
         SELECT costsim_grant('busy_acme', 'app', 'acme'), costsim_grant('busy_gone', 'operator'), costsim_grant('busy_missing', 'reader');
         INSERT INTO costsim_provenance (tenant_id) VALUES ('acme'), ('other');
         DROP OWNED BY busy_gone; DROP ROLE busy_gone",
    )?;
    let folder = cluster.data_dir().parent().context("a folder")?;
    let dump = folder.join("busy.dump");
    let dump = dump.to_str().context("a path")?;
    run_tool(&cluster, "pg_dump", ["-Fc", "--no-acl", "-f", dump, "-d", &cluster.conn_string("busy")])?;
    owner.batch_execute("DROP OWNED BY busy_missing; DROP ROLE busy_missing; CREATE ROLE busy_gone")?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE busy_again")?;
    let target = cluster.conn_string("busy_again");
    run_tool(&cluster, "pg_restore", ["--exit-on-error", "--section=pre-data", "-d", &target, dump])?;
    // Somebody reads while the data come, and autovacuum might: the restore waits for him, and for none twice.
    let mut reader = cluster.connect("busy_again")?;
    reader.batch_execute("BEGIN; SELECT FROM costsim_provenance; LOCK TABLE costsim_cost_records IN SHARE UPDATE EXCLUSIVE MODE")?;
    let mut watcher = cluster.connect("busy_again")?;
    std::thread::scope(|scope| -> Result<()> {
        let restore = scope.spawn(|| {
            run_tool(
                &cluster,
                "pg_restore",
                ["--exit-on-error", "--section=data", "-j", "4", "-d", &target, dump],
            )
        });
        wait_for(
            &mut watcher,
            "the restore to wait",
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock')",
        )?;
        reader.batch_execute("COMMIT")?;
        restore.join().map_err(|_| anyhow::anyhow!("the restore panicked"))??;
        Ok(())
    })?;
    run_tool(&cluster, "pg_restore", ["--exit-on-error", "--section=post-data", "-d", &target, dump])?;
    // Those that are there have what they had; the name without a role is kept, and has nothing.
    assert_eq!(
        one::<String>(
            &mut watcher,
            "SELECT string_agg(grantee || ' ' || tenant, ', ' ORDER BY grantee) FROM costsim_granted"
        )?,
        "busy_acme acme, busy_missing *"
    );
    assert_eq!(
        one::<String>(
            &mut watcher,
            "SELECT string_agg(DISTINCT r::regrole::text, ',') FROM pg_policy, unnest(polroles) r"
        )?,
        "busy_acme"
    );
    // Where everything was lost but a privilege, functions of the owner refuse as policies would.
    watcher.batch_execute("SELECT costsim_grant('busy_acme', 'app', 'acme')")?;
    let mut acme = cluster.config("busy_again").user("busy_acme").connect(NoTls)?;
    assert_eq!(
        one::<String>(&mut acme, "SELECT string_agg(tenant_id, ',') FROM costsim_provenance")?,
        "acme"
    );
    let refused = acme.batch_execute("SELECT costsim_create_feature_tag('zebra', 'a.b')").err();
    ensure!(
        refused.is_some_and(|error| error.code().is_some_and(|code| code.code() == "42501")),
        "a tag of another tenant"
    );
    Ok(())
}

/// Sessions that use the tables in one order and another, while roles are granted this and that.
#[test]
fn granting_beside_writers_ends_nobodys_transaction() -> Result<()> {
    let cluster = cluster()?;
    let mut owner = cluster.create_database_with_extension("beside")?;
    owner.batch_execute("CREATE ROLE beside_one")?;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = [
            ["costsim_write_provenance('r', 'acme')", "costsim_record_cost('acme', 'm', 1)"],
            ["costsim_record_cost('acme', 'm', 1)", "costsim_record_run('acme', 'w', 'failed', 'e')"],
            ["costsim_record_run('acme', 'w', 'failed', 'e')", "costsim_write_provenance('r', 'acme')"],
        ]
        .into_iter()
        .map(|calls| {
            let mut client = cluster.connect("beside")?;
            Ok(scope.spawn({
                let is_over = &is_over;
                move || -> Result<u32> {
                    let mut count = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        client.batch_execute("BEGIN")?;
                        for call in calls {
                            client.batch_execute(&format!("SELECT FROM {call} s"))?;
                        }
                        client.batch_execute("COMMIT")?;
                        count += 1;
                    }
                    Ok(count)
                }
            }))
        })
        .collect::<Result<_>>()?;
        let granted = (0..10).try_for_each(|turn| {
            let (level, tenant) = if turn % 2 == 0 { ("app", "acme") } else { ("reader", "*") };
            owner.batch_execute(&format!("SELECT costsim_grant('beside_one', '{level}', '{tenant}')"))
        });
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            let count = writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
            ensure!(count > 0, "nothing was written");
        }
        Ok(granted?)
    })?;
    // Whoever is not to wait says so.
    let mut reader = cluster.connect("beside")?;
    reader.batch_execute("BEGIN; SELECT FROM costsim_provenance")?;
    let late = owner.batch_execute("SET lock_timeout = '1500ms'; SELECT costsim_revoke('beside_one')").err();
    let code = late.as_ref().and_then(|error| error.code()).map(|code| code.code().to_owned());
    assert_eq!(code.as_deref(), Some("55P03"), "{late:?}");
    reader.batch_execute("COMMIT")?;
    ensure!(one::<bool>(&mut owner, "SELECT costsim_revoke('beside_one')")?, "nothing was revoked");
    Ok(())
}

#[test]
fn backup_by_a_reader_of_all_data_needs_bypassrls() -> Result<()> {
    let cluster = cluster()?;
    let mut owner = cluster.create_database_with_extension("backup")?;
    owner.batch_execute("CREATE ROLE backup_role LOGIN IN ROLE pg_read_all_data; INSERT INTO costsim_provenance (tenant_id) VALUES ('acme')")?;
    let dump = cluster.data_dir().parent().context("a folder")?.join("backup.dump");
    let dump = dump.to_str().context("a path")?;
    let database = format!("{} user=backup_role", cluster.conn_string("backup"));
    let refused = run_tool(&cluster, "pg_dump", ["-f", dump, "-d", &database]).err();
    let refused = refused.map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(refused.contains("row-level security"), "{refused}");
    owner.batch_execute("ALTER ROLE backup_role BYPASSRLS")?;
    run_tool(&cluster, "pg_dump", ["-f", dump, "-d", &database])?;
    Ok(())
}
