//! A worker under a role of its own: it does all a worker does, as that role, and what it may not is told where people look.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, RecordingEndpoint, wait_until};
use costsim_server_tests::{LIMIT, Site, one, set, wait_for};
use postgres::{Client, NoTls};

/// Something for every task: an alert, provenance and runs and costs that are old and new, a canary that is due, a breaker that opens.
const WORK: &str = r#"
    SELECT costsim_fire_alert('{"alertname": "A"}'), costsim_enqueue_alert('[{"labels": {"alertname": "B"}}]', 'test');
    SELECT FROM costsim_write_provenance('new', 'acme', v1_cost => 1, v2_cost => 2);
    INSERT INTO costsim_provenance (run_id, tenant_id, v1_cost, v2_cost, created_at) SELECT i::text, 'acme', 1, 2, now() - interval '9 days' FROM generate_series(1, 20) i;
    INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, created_at)
    SELECT 'acme', 'u', 'm', CASE WHEN d < 2 THEN 90000 ELSE 300 END, now() - d * interval '24 hours' - interval '1 second' FROM generate_series(0, 40) d;
    SELECT FROM costsim_set_budget('acme', daily_limit_cents => 100);
    INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at) SELECT 'acme', 'w', 'failed', now() - interval '9 days' FROM generate_series(1, 5);
    INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, description, signature, first_seen, last_seen)
    SELECT 'acme', 'failure_pattern', 'again', i::text, now() - interval '9 days', now() - interval '9 days' FROM generate_series(1, 5) i;
    INSERT INTO costsim_predictions (tenant_id, prediction_type, subject_type, subject_id, method, confidence_score, prediction_value, created_at, expires_at)
    VALUES ('acme', 'failure_likelihood', 'worker', 'w', 'standard', 0.5, '{}', now() - interval '10 days', now() - interval '9 days');
    SELECT FROM costsim_disable_v2('over soon', 'ann', now() + interval '1 second');
"#;

fn cluster(url: &str) -> Result<Cluster> {
    Cluster::builder()
        .preload(true)
        .conf("costsim.worker_role", "clerk")
        .conf("costsim.alertmanager_url", url)
        .conf("costsim.worker_poll_interval", "1s")
        .conf("costsim.detect_interval", "1s")
        .conf("costsim.canary_schedule", "* * * * *")
        .conf("costsim.provenance_retention", "7d")
        .conf("costsim.cost_retention", "30d")
        .conf("costsim.run_retention", "7d")
        .conf("costsim.feedback_retention", "7d")
        .conf("costsim.prediction_retention", "7d")
        .start()
}

fn trouble(client: &mut Client) -> Result<Option<String>> {
    one(client, "SELECT trouble FROM costsim_worker_status() WHERE database = current_database()")
}

#[test]
fn worker_under_a_role_does_all_its_work_and_nothing_of_it_as_a_superuser() -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    let cluster = cluster(&endpoint.url())?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute("CREATE ROLE clerk NOLOGIN; SELECT costsim_grant('clerk', 'worker')")?;
    // Whoever may put triggers on the tables sees as whom each row is written. The role has been given them, as an application's own might be.
    client.batch_execute(
        "CREATE ROLE mallory; GRANT CREATE, USAGE ON SCHEMA public TO mallory;
         CREATE TABLE seen (who text, tried text, at_table text); GRANT INSERT ON seen TO PUBLIC;
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
         DECLARE outcome text := 'stays';
         BEGIN
             -- The test's own sessions have names.
             IF current_setting('application_name') = '' THEN
                 BEGIN RESET SESSION AUTHORIZATION; outcome := 'reset session'; EXCEPTION WHEN OTHERS THEN NULL; END;
                 BEGIN SET SESSION AUTHORIZATION postgres; outcome := 'set session'; EXCEPTION WHEN OTHERS THEN NULL; END;
                 BEGIN SET ROLE postgres; outcome := 'set role'; EXCEPTION WHEN OTHERS THEN NULL; END;
                 BEGIN SET ROLE none; outcome := 'no role'; EXCEPTION WHEN OTHERS THEN NULL; END;
                 BEGIN PERFORM pg_read_file('postgresql.conf'); outcome := 'read a file'; EXCEPTION WHEN OTHERS THEN NULL; END;
                 BEGIN CREATE ROLE intruder SUPERUSER; outcome := 'made a role'; EXCEPTION WHEN OTHERS THEN NULL; END;
                 INSERT INTO public.seen VALUES (current_user, outcome, TG_TABLE_NAME);
             END IF;
             RETURN NULL;
         END $$;
         ALTER FUNCTION look() OWNER TO mallory;
         DO $$ DECLARE t regclass; BEGIN
             FOR t IN SELECT object_id FROM _costsim_objects() WHERE kind = 'table' LOOP
                 EXECUTE format('CREATE TRIGGER aaa_hostile AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION look()', t);
                 EXECUTE format('CREATE CONSTRAINT TRIGGER aab_hostile AFTER INSERT OR UPDATE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look()', t);
             END LOOP;
         END $$;
         CREATE FUNCTION on_event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.seen VALUES (current_user, 'event', 'event'); END $$;",
    )?;
    client.batch_execute(WORK)?;
    client.batch_execute("UPDATE costsim_cb_state SET disabled_until = now()")?;
    client.batch_execute("CREATE EVENT TRIGGER hostile ON ddl_command_start EXECUTE FUNCTION on_event()")?;
    set(&mut client, "costsim.databases", "app")?;
    wait_for(
        &mut client,
        "the alerts to be delivered",
        "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )?;
    let dones = [
        ("costs to be summed up", "SELECT NOT EXISTS (SELECT FROM costsim_cost_pending)"),
        ("anomalies to be found", "SELECT EXISTS (SELECT FROM costsim_cost_anomalies)"),
        (
            "what is old to be purged",
            "SELECT NOT EXISTS (SELECT FROM costsim_provenance WHERE created_at < now() - interval '8 days')
                AND NOT EXISTS (SELECT FROM costsim_cost_records WHERE created_at < now() - interval '31 days')
                AND NOT EXISTS (SELECT FROM costsim_worker_runs) AND NOT EXISTS (SELECT FROM costsim_pattern_feedback)
                AND NOT EXISTS (SELECT FROM costsim_predictions)",
        ),
        ("the breaker to close", "SELECT NOT costsim_is_open() AND (SELECT NOT disabled FROM costsim_cb_state WHERE name = 'costsim_v2')"),
        ("drift to be rolled up", "SELECT EXISTS (SELECT FROM costsim_maintenance WHERE task = 'refresh_drift' AND last_error IS NULL)"),
    ];
    for (what, question) in dones {
        wait_for(&mut client, what, question).with_context(|| log_of(&cluster))?;
    }
    client.batch_execute("UPDATE costsim_canary_schedule SET next_run_at = now() - interval '1 minute'")?;
    wait_for(
        &mut client,
        "the canary to run",
        "SELECT EXISTS (SELECT FROM costsim_canary_reports WHERE status <> 'error')",
    )
    .with_context(|| log_of(&cluster))?;
    let failed: i64 =
        one(&mut client, "SELECT count(*) FROM costsim_maintenance WHERE last_error IS NOT NULL")?;
    assert_eq!(failed, 0, "{}", log_of(&cluster));
    assert_eq!(trouble(&mut client)?, None);
    let looks: i64 = one(&mut client, "SELECT count(*) FROM seen")?;
    ensure!(looks > 20, "the triggers have seen {looks} statements of the worker");
    let strangers: Option<String> = one(
        &mut client,
        "SELECT string_agg(DISTINCT who || ' ' || tried || ' at ' || at_table, ', ') FROM seen WHERE who <> 'clerk' OR tried <> 'stays'",
    )?;
    assert_eq!(strangers, None);
    ensure!(!endpoint.heard().is_empty(), "nothing was heard");
    Ok(())
}

fn log_of(cluster: &Cluster) -> String {
    let log = cluster.log().unwrap_or_default();
    log.lines()
        .filter(|line| line.contains("costsim") || line.contains("ERROR"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn role_that_is_missing_or_lacks_rights_is_a_trouble_and_no_loop_in_the_log() -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    let cluster = cluster(&endpoint.url())?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute(r#"SELECT costsim_fire_alert('{"alertname": "A"}')"#)?;
    set(&mut client, "costsim.databases", "app")?;
    let says = |client: &mut Client, words: &str| {
        wait_until(LIMIT, words, || Ok(trouble(client)?.filter(|trouble| trouble.contains(words))))
    };
    says(&mut client, "role \"clerk\" does not exist")?;
    let pid = Site::worker_pid(&mut client)?;
    client.batch_execute("CREATE ROLE clerk SUPERUSER")?;
    says(&mut client, "is a superuser")?;
    client.batch_execute("ALTER ROLE clerk NOSUPERUSER")?;
    says(&mut client, "SELECT costsim_grant('clerk', 'worker')")?;
    client.batch_execute("SELECT costsim_grant('clerk', 'operator')")?;
    says(&mut client, "level worker is not granted")?;
    assert_eq!(one::<i64>(&mut client, "SELECT unsent FROM costsim_alert_queue_stats()")?, 1);
    client.batch_execute("SELECT costsim_grant('clerk', 'worker')")?;
    wait_for(&mut client, "the alert to be delivered", "SELECT unsent = 0 FROM costsim_alert_queue_stats()")?;
    // The same process all the while, and it complained nowhere else.
    assert_eq!(Site::worker_pid(&mut client)?, pid);
    let log = cluster.log()?;
    ensure!(!log.contains("FATAL"), "{log}");
    ensure!(log.matches("costsim worker").count() < 5, "{log}");
    // Without the setting it works as before.
    set(&mut client, "costsim.worker_role", "")?;
    client.batch_execute(r#"SELECT costsim_revoke('clerk'), costsim_fire_alert('{"alertname": "B"}')"#)?;
    wait_for(&mut client, "the alert to be delivered", "SELECT unsent = 0 FROM costsim_alert_queue_stats()")?;
    assert_eq!(trouble(&mut client)?, None);
    client.batch_execute("DROP ROLE clerk")?;
    Ok(())
}

#[test]
fn role_that_loses_its_rights_stops_at_the_first_refusal_and_goes_on_when_they_are_back() -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    let cluster = cluster(&endpoint.url())?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute("CREATE ROLE clerk NOLOGIN; SELECT costsim_grant('clerk', 'worker')")?;
    set(&mut client, "costsim.databases", "app")?;
    let fire = |client: &mut Client, name: &str| {
        client.batch_execute(&format!(r#"SELECT costsim_fire_alert('{{"alertname": "{name}"}}')"#))
    };
    let delivered = "SELECT unsent = 0 FROM costsim_alert_queue_stats()";
    let stops = |client: &mut Client| {
        wait_until(LIMIT, "the worker to say what it lacks", || {
            Ok(trouble(client)?.filter(|trouble| {
                trouble.contains("lacks rights") && trouble.contains("costsim_grant('clerk'")
            }))
        })
    };
    fire(&mut client, "A")?;
    wait_for(&mut client, "the alert to be delivered", delivered)?;
    let pid = Site::worker_pid(&mut client)?;
    // All of it, and then one right that a task of its own is refused for, where nothing is to be delivered.
    client.batch_execute("DROP OWNED BY clerk")?;
    fire(&mut client, "B")?;
    stops(&mut client)?;
    assert_eq!(one::<i64>(&mut client, "SELECT unsent FROM costsim_alert_queue_stats()")?, 1);
    client.batch_execute("SELECT costsim_grant('clerk', 'worker')")?;
    wait_for(&mut client, "the alert to be delivered", delivered)?;
    client.batch_execute("REVOKE DELETE ON costsim_cost_pending FROM clerk")?;
    client.batch_execute(
        "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('acme', 'm', 1)",
    )?;
    stops(&mut client)?;
    fire(&mut client, "C")?;
    assert_eq!(one::<i64>(&mut client, "SELECT unsent FROM costsim_alert_queue_stats()")?, 1);
    client.batch_execute("SELECT costsim_grant('clerk', 'worker')")?;
    wait_for(&mut client, "the alert to be delivered", delivered)?;
    // The same process all the while.
    assert_eq!(Site::worker_pid(&mut client)?, pid, "{}", log_of(&cluster));
    assert_eq!(trouble(&mut client)?, None);
    // What is refused for another reason is an error as before: the role may work.
    client.batch_execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF current_setting('application_name') = '' THEN RAISE insufficient_privilege USING MESSAGE = 'not on a sunday'; END IF; RETURN NULL; END $$;
         CREATE TRIGGER aaa_refuses AFTER UPDATE ON costsim_alerts FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
    )?;
    fire(&mut client, "D")?;
    wait_for(
        &mut client,
        "the refusal to be told",
        "SELECT coalesce(bool_or(last_error LIKE '%not on a sunday%'), false) FROM costsim_worker_status() WHERE database = current_database()",
    )?;
    client.batch_execute("DROP TRIGGER aaa_refuses ON costsim_alerts")?;
    wait_for(&mut client, "the alert to be delivered", delivered)?;
    Ok(())
}

#[test]
fn only_a_superuser_says_as_whom_the_worker_works() -> Result<()> {
    let cluster = Cluster::builder().preload(true).start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute("CREATE ROLE someone LOGIN")?;
    let mut someone = cluster.config("app").user("someone").connect(NoTls)?;
    someone.batch_execute("SET costsim.tenant_id = 'acme'")?;
    for statement in ["SHOW costsim.worker_role", "ALTER SYSTEM SET costsim.worker_role = 'someone'"] {
        assert_eq!(costsim_server_tests::sqlstate_of(&mut someone, statement)?, "42501");
    }
    assert_eq!(
        costsim_server_tests::sqlstate_of(&mut client, "SET costsim.worker_role = 'someone'")?,
        "55P02"
    );
    Ok(())
}

#[test]
fn what_a_trigger_sets_in_the_worker_ends_with_its_transaction_and_the_process_with_its_role() -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    let cluster = cluster(&endpoint.url())?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute(
        "CREATE ROLE clerk NOLOGIN; SELECT costsim_grant('clerk', 'worker'); CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
         CREATE TABLE seen (at_transaction bigint DEFAULT txid_current(), nth bigserial, who text, path text); GRANT ALL ON seen, seen_nth_seq TO PUBLIC;
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF current_setting('application_name') = '' THEN
                 INSERT INTO public.seen (who, path) VALUES (current_user, current_setting('search_path'));
                 PERFORM set_config('search_path', 'evil, pg_catalog', false);
             END IF;
             RETURN NULL; END $$;
         CREATE TRIGGER hostile AFTER INSERT OR UPDATE ON costsim_alert_targets FOR EACH STATEMENT EXECUTE FUNCTION look();
         CREATE TRIGGER hostile AFTER INSERT OR UPDATE ON costsim_maintenance FOR EACH STATEMENT EXECUTE FUNCTION look();
         CREATE TRIGGER hostile AFTER INSERT OR UPDATE ON costsim_alerts FOR EACH STATEMENT EXECUTE FUNCTION look()",
    )?;
    let deliver = |client: &mut Client, name: &str| {
        client.batch_execute(&format!(
            r#"SELECT costsim_fire_alert('{{"alertname": "{name}"}}'); SELECT FROM costsim_write_provenance('{name}', v1_cost => 1, v2_cost => 2)"#
        ))?;
        wait_for(client, "the alert to be delivered", "SELECT unsent = 0 FROM costsim_alert_queue_stats()")
    };
    set(&mut client, "costsim.databases", "app")?;
    for name in ["A", "B", "C"] {
        deliver(&mut client, name)?;
    }
    let pid = Site::worker_pid(&mut client)?;
    set(&mut client, "costsim.worker_role", "")?;
    deliver(&mut client, "D")?;
    wait_for(&mut client, "the superuser's work", "SELECT EXISTS (SELECT FROM seen WHERE who = 'postgres')")?;
    ensure!(Site::worker_pid(&mut client)? != pid, "the process that was the clerk's is the superuser's");
    let (transactions, bad): (i64, i64) = (
        one(&mut client, "SELECT count(DISTINCT at_transaction) FROM seen")?,
        one(
            &mut client,
            "SELECT count(*) FROM (SELECT DISTINCT ON (at_transaction) path FROM seen ORDER BY at_transaction, nth) s WHERE path <> 'pg_catalog, pg_temp'",
        )?,
    );
    ensure!(transactions > 2, "only {transactions} transactions were seen");
    assert_eq!(bad, 0);
    Ok(())
}
