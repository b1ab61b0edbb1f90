//! A library that is newer or older than the extension in a database: it works with what it knows, and else says what to do.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Alertmanager, Cluster, wait_until};
use costsim_server_tests::ends::functions;
use costsim_server_tests::{LIMIT, Site, one, set_everywhere, wait_for};
use postgres::Client;
use postgres::error::SqlState;

const OURS: &str = env!("CARGO_PKG_VERSION");

/// Ways to a version of tomorrow and of before yesterday, and back; they change nothing but what every update script does.
fn make_ways(cluster: &Cluster, version: &str) -> Result<()> {
    let touch = "ALTER TABLE @extschema@.costsim_leaders SET (fillfactor = 50);\n";
    for (from, to) in [(OURS, version), (version, OURS)] {
        std::fs::write(cluster.extension_dir()?.join(format!("costsim_pg--{from}--{to}.sql")), touch)?;
    }
    Ok(())
}

fn update(client: &mut Client, to: &str) -> Result<()> {
    client
        .batch_execute(&format!("ALTER EXTENSION costsim_pg UPDATE TO '{to}'"))
        .with_context(|| to.to_owned())
}

/// One statement of each room, among them some whose triggers do the work. (A session that has the answer in memory goes on giving it, as it
/// touches no table: the breaker's check, and prices.)
const CALLS: [&str; 15] = [
    "SELECT costsim_try_leader(7001)",
    "SELECT costsim_cb_get_state()",
    "SELECT costsim_report_drift(0.9)",
    "SELECT costsim_fire_alert('{\"alertname\": \"a\"}')",
    "SELECT costsim_enqueue_alert('[{\"labels\": {\"alertname\": \"a\"}}]', 'test')",
    "SELECT costsim_write_provenance('r')",
    "INSERT INTO costsim_provenance (v1_cost, v2_cost) VALUES (1, 2)",
    "SELECT costsim_activate_model('v1', '1.0.0')",
    "SELECT costsim_run_canary(plans => '[]')",
    "SELECT costsim_record_cost('acme', 'm', 7)",
    "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('acme', 'm', 7)",
    "SELECT costsim_detect_anomalies('acme')",
    "SELECT costsim_record_run('acme', 'mailer', 'failed', 'why')",
    "SELECT costsim_purge_audit('1 day', 1, 'me', 'a test')",
    "SELECT costsim_coordinate('e', 'SAFETY', 's', 'p')",
];

/// Every call is refused, and told what to do.
fn all_are_refused(client: &mut Client, version: &str, hint: &str) -> Result<()> {
    for call in CALLS {
        let error = client.batch_execute(call).err().with_context(|| format!("{call} was not refused"))?;
        let error = error.as_db_error().with_context(|| format!("{call} lost its server process"))?.clone();
        assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "{call}: {error}");
        assert!(error.message().contains(version) && error.message().contains(OURS), "{call}: {error}");
        assert!(error.hint().is_some_and(|told| told.contains(hint)), "{call}: {:?}", error.hint());
    }
    let row = client.query_one("SELECT library, extension, is_current FROM costsim_version()", &[])?;
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1), row.get::<_, bool>(2)), (OURS, version, false));
    Ok(())
}

fn all_work(client: &mut Client) -> Result<()> {
    for call in CALLS {
        client.batch_execute(&format!("BEGIN; {call}; ROLLBACK")).with_context(|| call.to_owned())?;
    }
    assert!(one::<bool>(client, "SELECT is_current FROM costsim_version()")?);
    Ok(())
}

#[test]
fn extension_that_the_library_does_not_know_is_refused_until_it_does() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    let mut other = cluster.connect("app")?;
    for (version, hint) in [("99.0.0", "restart the server"), ("0.0.9", "ALTER EXTENSION costsim_pg UPDATE")]
    {
        make_ways(&cluster, version)?;
        // Both have used it, and have statements of their own.
        all_work(&mut client)?;
        all_work(&mut other)?;
        update(&mut client, version)?;
        all_are_refused(&mut client, version, hint)?;
        all_are_refused(&mut other, version, hint)?;
        // A session that has never used it.
        all_are_refused(&mut cluster.connect("app")?, version, hint)?;
        update(&mut other, OURS)?;
        all_work(&mut client)?;
        all_work(&mut other)?;
    }
    assert!(!cluster.log()?.contains("was terminated by signal"));
    Ok(())
}

#[test]
fn extension_of_a_released_version_works_until_it_is_updated() -> Result<()> {
    let cluster = Cluster::builder().released().start()?;
    let mut client = cluster.connect("postgres")?;
    client.batch_execute("CREATE EXTENSION costsim_pg VERSION '0.1.0'")?;
    let mut other = cluster.connect("postgres")?;
    for session in [&mut client, &mut other] {
        for call in CALLS {
            session.batch_execute(&format!("BEGIN; {call}; ROLLBACK")).with_context(|| call.to_owned())?;
        }
    }
    client.batch_execute("ALTER EXTENSION costsim_pg UPDATE")?;
    all_work(&mut client)?;
    all_work(&mut other)
}

#[test]
fn worker_of_a_newer_library_delivers_and_says_that_an_update_is_due() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site { cluster: Site::builder(&alertmanager.url()).released().start()? };
    site.cluster.connect("postgres")?.batch_execute("CREATE DATABASE app")?;
    let mut client = site.connect()?;
    client.batch_execute("CREATE EXTENSION costsim_pg VERSION '0.1.0'")?;
    ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    client.batch_execute("SELECT costsim_fire_alert('{\"alertname\": \"Old\"}')")?;
    wait_until(LIMIT, "the alert", || alertmanager.alert_state(&[("alertname", "Old")]))?;
    wait_for(
        &mut client,
        "the worker to say so",
        "SELECT bool_or(trouble LIKE '%0.1.0%ALTER EXTENSION costsim_pg UPDATE%') FROM costsim_worker_status()",
    )?;
    let worker = Site::worker_pid(&mut client)?;
    client.batch_execute("ALTER EXTENSION costsim_pg UPDATE")?;
    wait_until(LIMIT, "the worker to be content", || {
        ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
        client.batch_execute("SELECT costsim_fire_alert('{\"alertname\": \"New\"}')")?;
        let is_content =
            one::<bool>(&mut client, "SELECT bool_and(trouble IS NULL) FROM costsim_worker_status()")?;
        Ok(is_content.then_some(()))
    })?;
    wait_until(LIMIT, "the alert", || alertmanager.alert_state(&[("alertname", "New")]))?;
    assert_eq!(Site::worker_pid(&mut client)?, worker, "it is the same process");
    Ok(())
}

/// What would say that the SQL has not what the library wants of it.
const MISFITS: [&str; 7] = ["23514", "42P01", "42703", "42883", "42P10", "42804", "XX000"];

#[test]
fn every_function_of_a_released_version_works_under_the_newer_library() -> Result<()> {
    let cluster = Cluster::builder().released().start()?;
    let mut client = cluster.connect("postgres")?;
    // Of the values that functions are called with, one is a role.
    client.batch_execute("CREATE EXTENSION costsim_pg VERSION '0.1.0'; CREATE ROLE sweeper")?;
    client.batch_execute(include_str!("../released/fill-0.1.0.sql"))?;
    let (mut count, mut answered) = (0, 0);
    for function in functions(&mut client)? {
        let call = function.ordinary_call()?;
        count += 1;
        match client.simple_query(&format!("BEGIN; {call}; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK")) {
            Ok(_) => answered += 1,
            Err(error) => {
                let code = error.code().with_context(|| format!("{call}: {error}"))?.code().to_owned();
                client.batch_execute("ROLLBACK")?;
                assert!(!MISFITS.contains(&code.as_str()), "{call}: {error:?}");
            }
        }
    }
    ensure!(count > 100 && answered * 3 > count * 2, "{answered} of {count}");
    for purge in ["old_alerts", "anomalies", "runs", "feedback", "predictions", "provenance", "cost_records"]
    {
        client
            .batch_execute(&format!("SELECT costsim_purge_{purge}('1 day')"))
            .or_else(|_| client.batch_execute(&format!("SELECT costsim_purge_{purge}()")))
            .with_context(|| purge.to_owned())?;
    }
    Ok(())
}

#[test]
fn worker_of_a_newer_library_keeps_what_it_knows_in_order_and_warns_of_nothing() -> Result<()> {
    // Without an Alertmanager: it says that an update is due all the same.
    let cluster = Cluster::builder()
        .preload(true)
        .released()
        .conf("costsim.databases", "app")
        .conf("costsim.worker_poll_interval", "1s")
        .conf("costsim.detect_interval", "1s")
        .conf("costsim.provenance_retention", "7d")
        .conf("costsim.prediction_retention", "7d")
        .start()?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE app")?;
    let mut client = cluster.connect("app")?;
    client.batch_execute("CREATE EXTENSION costsim_pg VERSION '0.1.0'")?;
    client.batch_execute(include_str!("../released/fill-0.1.0.sql"))?;
    ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    let events: i64 = one(&mut client, "SELECT count(*) FROM costsim_leader_events")?;
    client.batch_execute("UPDATE costsim_leader_events SET at = now() - interval '9 years'")?;
    wait_for(
        &mut client,
        "the worker to say so",
        "SELECT bool_or(trouble LIKE '%0.1.0%ALTER EXTENSION costsim_pg UPDATE%') FROM costsim_worker_status() WHERE database = 'app'",
    )?;
    let done = "SELECT EXISTS (SELECT FROM costsim_maintenance WHERE task = 'purge_predictions')";
    wait_for(&mut client, "the purges", done)?;
    // What is due later has its turn later: by then every kind of rows was looked at.
    let before =
        "CREATE TABLE seen AS SELECT last_run_at FROM costsim_maintenance WHERE task = 'purge_provenance'";
    client.batch_execute(before)?;
    set_everywhere(&cluster, "costsim.provenance_retention", "8d")?;
    wait_for(
        &mut client,
        "the next purge",
        "SELECT m.last_run_at > s.last_run_at FROM costsim_maintenance m, seen s WHERE m.task = 'purge_provenance'",
    )?;
    assert_eq!(
        one::<i64>(&mut client, "SELECT count(*) FROM costsim_leader_events")?,
        events,
        "of no version that ended them"
    );
    let log = cluster.log()?;
    // What sessions were told is theirs.
    let warned: Vec<_> = log.lines().filter(|line| line.contains("WARNING:  costsim:")).collect();
    assert!(warned.is_empty(), "{warned:?}");
    Ok(())
}
