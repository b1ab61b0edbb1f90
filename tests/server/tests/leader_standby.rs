//! A hot standby and a read-only transaction answer, and change nothing.

use anyhow::Result;
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, Standby, one, sqlstate_of};
use postgres::Client;
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().start())
}

const WRITERS: [&str; 21] = [
    "SELECT costsim_try_leader(7001)",
    "SELECT costsim_try_leader(7001, 'node')",
    "SELECT costsim_try_leader(7001, 'node', '1 minute')",
    "SELECT costsim_try_leader(7003, 'other')",
    "SELECT costsim_wait_leader(7001)",
    "SELECT costsim_wait_leader(7001, '0', 'node', '1 minute')",
    "SELECT costsim_try_lease(7001, 'node')",
    "SELECT costsim_try_lease(7003, 'pooled')",
    "SELECT costsim_renew_lease(7003, token) FROM costsim_leaders WHERE lock_id = 7003",
    "SELECT costsim_release_lease(7003, token) FROM costsim_leaders WHERE lock_id = 7003",
    "SELECT costsim_resign_leader(7003, 'because')",
    "SELECT costsim_run_as_leader(7001, 'SELECT 1')",
    "SELECT costsim_report_drift(0.9)",
    "SELECT costsim_report_drift(0.1)",
    "SELECT costsim_disable_v2('because', 'me')",
    "SELECT costsim_enable_v2('me')",
    r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#,
    r#"SELECT costsim_fire_alert('{"alertname": "a"}')"#,
    r#"SELECT costsim_resolve_alert('{"alertname": "fires"}')"#,
    "SELECT costsim_write_provenance('run')",
    r#"SELECT costsim_write_provenance_batch('[{"run_id": "run"}]')"#,
];

/// A state in every room, so that the readers have something to tell.
fn fill(client: &mut Client) -> Result<()> {
    client.batch_execute(
        r#"SELECT costsim_try_lease(7003, 'pooled', '1 hour');
           SELECT costsim_disable_v2('for the readers', 'me');
           SELECT costsim_fire_alert('{"alertname": "fires"}');
           SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test');
           SELECT costsim_write_provenance('run', v1_cost => 1, v2_cost => 3)"#,
    )?;
    Ok(())
}

fn writers_refuse(client: &mut Client) -> Result<()> {
    for statement in WRITERS {
        assert_eq!(sqlstate_of(client, statement)?, "25006", "{statement}");
    }
    Ok(())
}

fn readers_answer(client: &mut Client) -> Result<()> {
    assert!(one::<bool>(client, "SELECT costsim_is_open()")?);
    assert_eq!(one::<String>(client, "SELECT state FROM costsim_cb_get_state()")?, "open");
    assert_eq!(one::<i64>(client, "SELECT count(*) FROM costsim_incidents()")?, 1);
    assert_eq!(one::<i64>(client, "SELECT pending FROM costsim_alert_queue_stats()")?, 1);
    // The breaker's own, and the one above.
    assert_eq!(one::<i64>(client, "SELECT firing FROM costsim_alert_queue_stats()")?, 2);
    assert_eq!(one::<f64>(client, "SELECT avg_delta FROM costsim_drift_stats()")?, 2.0);
    assert_eq!(one::<String>(client, r#"SELECT costsim_input_hash('{"a":1}')"#)?, "015abd7f5cc57a2d");
    assert!(client.query_opt("SELECT FROM costsim_leader(7002)", &[])?.is_none());
    assert!(!one::<bool>(client, "SELECT costsim_is_leader(7002)")?);
    assert!(
        !one::<bool>(client, "SELECT costsim_release_leader(7002)")?,
        "who does not lead releases nothing"
    );
    assert_eq!(one::<i64>(client, "SELECT count(*) FROM costsim_worker_status()")?, 1);
    assert_eq!(one::<i64>(client, "SELECT costsim_lock_id('canary_runner')")?, 7001);
    assert_eq!(
        one::<Option<i64>>(client, "SELECT costsim_fencing_token(7003)")?,
        None,
        "no session leads it"
    );
    let lease = "mode = 'lease' AND node_id = 'pooled' AND healthy AND epoch = 1";
    assert!(one::<bool>(client, &format!("SELECT {lease} FROM costsim_leader(7003)"))?);
    assert!(one::<bool>(client, &format!("SELECT {lease} FROM costsim_leader_status WHERE lock_id = 7003"))?);
    assert!(one::<bool>(client, "SELECT costsim_lock_held(7003)")?, "a live lease is seen from anywhere");
    let registered: i64 =
        one(client, "SELECT count(*) FROM costsim_leader_status WHERE lock_id BETWEEN 7001 AND 7005")?;
    assert_eq!(registered, 5);
    let leads_elsewhere = "SELECT bool_or(leads) FROM costsim_leader_status WHERE lock_id <> 7003";
    assert!(!one::<bool>(client, leads_elsewhere)?);
    Ok(())
}

/// A requirement is checked again at the commit, where a standby has nothing to check it against; a transaction that only
/// reads has.
fn term_can_be_required(client: &mut Client) -> Result<()> {
    let token: i64 = one(client, "SELECT token FROM costsim_leader(7003)")?;
    client.simple_query(&format!("SELECT costsim_require_leader(7003, {token})"))?;
    let other = format!("SELECT costsim_require_leader(7003, {token} + 1)");
    assert_eq!(sqlstate_of(client, &other)?, "55000");
    assert_eq!(sqlstate_of(client, "SELECT costsim_require_leader(7001)")?, "55000");
    Ok(())
}

/// Terms and their history, to the last column.
fn terms(client: &mut Client) -> Result<String> {
    one(
        client,
        "SELECT concat((SELECT json_agg(t ORDER BY lock_id) FROM costsim_leaders t),
                       (SELECT json_agg(e ORDER BY id) FROM costsim_leader_events e))",
    )
}

fn advisory_locks(client: &mut Client) -> Result<i64> {
    one(
        client,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid BETWEEN 7001 AND 7005
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
}

#[test]
fn standby_answers_readers_and_refuses_writers() -> Result<()> {
    let cluster = cluster()?;
    let mut primary = cluster.create_database_with_extension("replicated")?;
    fill(&mut primary)?;
    let standby = Standby::start(&cluster)?;
    standby.catch_up()?;

    let mut replica = standby.connect("replicated")?;
    assert!(one::<bool>(&mut replica, "SELECT pg_is_in_recovery()")?);
    let before = terms(&mut replica)?;
    writers_refuse(&mut replica)?;
    readers_answer(&mut replica)?;
    for token in ["NULL", "1", "(SELECT token FROM costsim_leader(7003))"] {
        let require = format!("SELECT costsim_require_leader(7003, {token})");
        assert_eq!(sqlstate_of(&mut replica, &require)?, "25006", "{require}");
    }
    assert_eq!(advisory_locks(&mut replica)?, 0, "a refused candidate holds nothing");
    assert_eq!(terms(&mut replica)?, before);
    assert!(!one::<bool>(&mut replica, "SELECT costsim_lock_held(7001)")?);

    // The same in a transaction that goes on after the refusal.
    replica.batch_execute("BEGIN")?;
    for statement in WRITERS {
        replica.batch_execute("SAVEPOINT s")?;
        assert_eq!(sqlstate_of(&mut replica, statement)?, "25006", "{statement}");
        replica.batch_execute("ROLLBACK TO s")?;
        assert_eq!(advisory_locks(&mut replica)?, 0, "{statement}");
    }
    replica.batch_execute("COMMIT")?;

    // What the primary decides later is seen too.
    assert!(one::<bool>(&mut primary, "SELECT costsim_enable_v2('me')")?);
    standby.catch_up()?;
    assert!(!one::<bool>(&mut replica, "SELECT costsim_is_open()")?);
    Ok(())
}

#[test]
fn promoted_standby_goes_on_with_greater_tokens() -> Result<()> {
    let cluster = cluster()?;
    let mut primary = cluster.create_database_with_extension("promoted")?;
    for _ in 0..5 {
        assert!(one::<bool>(&mut primary, "SELECT costsim_try_leader(7001)")?);
        assert!(one::<bool>(&mut primary, "SELECT costsim_release_leader(7001)")?);
    }
    let standby = Standby::start(&cluster)?;
    standby.catch_up()?;
    // A term the standby never hears of: without the timeline its token would be given a second time.
    let mut replica = standby.connect("promoted")?;
    standby.promote()?;
    assert!(one::<bool>(&mut primary, "SELECT costsim_try_leader(7001)")?);
    let lost: i64 = one(&mut primary, "SELECT token FROM costsim_leader(7001)")?;
    assert!(one::<bool>(&mut replica, "SELECT costsim_try_leader(7001)")?);
    let token: i64 = one(&mut replica, "SELECT token FROM costsim_leader(7001)")?;
    assert!(token > lost, "token {token} after {lost}");
    assert_eq!(token >> 32, 2, "it says on which timeline it was given");
    Ok(())
}

/// What the standby knows of a lease may be old: that it was given back, and the next one begun, it may not have heard. A token that
/// came to life again would be smaller than one that was used meanwhile.
#[test]
fn lease_ends_with_the_server_that_gave_it() -> Result<()> {
    let cluster = cluster()?;
    let mut primary = cluster.create_database_with_extension("lease_replaced")?;
    let old: i64 = one(&mut primary, "SELECT costsim_try_lease(7001, 'a', '1 hour')")?;
    let standby = Standby::start(&cluster)?;
    standby.catch_up()?;
    let mut replica = standby.connect("lease_replaced")?;
    let told = "SELECT token FROM costsim_leader(7001)";
    assert_eq!(one::<i64>(&mut replica, told)?, old, "a standby tells what its primary knows");
    standby.promote()?;
    // What the promoted one never hears of.
    assert!(one::<bool>(&mut primary, &format!("SELECT costsim_release_lease(7001, {old})"))?);
    let lost: i64 = one(&mut primary, "SELECT costsim_try_lease(7001, 'b', '1 hour')")?;

    assert!(replica.query_opt(told, &[])?.is_none(), "nobody leads");
    assert!(!one::<bool>(&mut replica, "SELECT costsim_lock_held(7001)")?);
    assert_eq!(sqlstate_of(&mut replica, &format!("SELECT costsim_require_leader(7001, {old})"))?, "55000");
    let renewed = format!("SELECT costsim_renew_lease(7001, {old}) IS NULL");
    assert!(one::<bool>(&mut replica, &renewed)?, "not even its own node goes on");
    let new: i64 = one(&mut replica, "SELECT costsim_try_lease(7001, 'a', '1 hour')")?;
    assert!(new > lost, "token {new} after {lost}");
    let why: String = one(
        &mut replica,
        "SELECT reason FROM costsim_leader_events WHERE lock_id = 7001 AND event = 'expired'",
    )?;
    assert_eq!(why, "a standby took the server's place");
    Ok(())
}

#[test]
fn read_only_transaction_answers_readers_and_refuses_writers() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("read_only")?;
    fill(&mut client)?;
    let before = terms(&mut client)?;
    client.batch_execute("SET default_transaction_read_only = on")?;
    writers_refuse(&mut client)?;
    readers_answer(&mut client)?;
    term_can_be_required(&mut client)?;
    assert_eq!(advisory_locks(&mut client)?, 0);
    assert_eq!(terms(&mut client)?, before);
    Ok(())
}

#[test]
fn leader_may_ask_again_in_a_read_only_transaction() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("asks_again")?;
    assert!(one::<bool>(&mut client, "SELECT costsim_try_leader(7001)")?);
    client.batch_execute("BEGIN READ ONLY")?;
    assert!(one::<bool>(&mut client, "SELECT costsim_try_leader(7001)")?, "it needs nothing written");
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim_release_leader(7001)")?, "25006");
    client.batch_execute("ROLLBACK")?;
    assert!(
        one::<bool>(&mut client, "SELECT costsim_is_leader(7001)")?,
        "and a refused release ends nothing"
    );
    Ok(())
}
