//! A hot standby answers what its primary has decided, from memory too, and changes nothing; promoted, it decides by itself.

use anyhow::{Context, Result};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{
    LIMIT, Shared, Site, Standby, check_the_breakers, one, says, sqlstate_of, wait_for,
};
use postgres::Client;
use serde_json::Value;
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    // The primary keeps what a transaction on a standby might still see; else that transaction is in the way of the replay.
    CLUSTER.get(|| Cluster::builder().conf("autovacuum", "off").conf("hot_standby_feedback", "on").start())
}

const OPEN: &str = "SELECT costsim_disable_v2('a test opens it', 'test')";
const CLOSE: &str = "SELECT costsim_enable_v2('test')";
const TRIP: &str = "SELECT costsim_report_drift(0.9), costsim_report_drift(0.9), costsim_report_drift(0.9)";

/// A breaker in each state: costsim_v2 open after a drift, its third outage, `closed`, `forever` for good, and `half_open`, which has
/// got there by the clock, with nobody who wrote it down.
fn fill(client: &mut Client) -> Result<()> {
    for _ in 0..2 {
        client.batch_execute(&format!("{OPEN}; {CLOSE}"))?;
    }
    client.batch_execute(TRIP)?;
    client.batch_execute(
        "SELECT costsim_configure_breaker('closed', drift_threshold => 0.4);
         SELECT costsim_configure_breaker('forever');
         SELECT costsim_disable_v2('for good', 'ann', permanent => true, name => 'forever');
         SELECT costsim_configure_breaker('half_open', disable_ttl => '1 hour', half_open => true, half_open_timeout => '2 hours');
         SELECT costsim_disable_v2('for a while', 'ann', name => 'half_open');
         UPDATE costsim_cb_state SET half_open_at = half_open_at - interval '90 min', disabled_until = disabled_until - interval '90 min'
          WHERE name = 'half_open'",
    )?;
    Ok(())
}

/// Everything that is stored of the breakers, to the last column.
fn stored(client: &mut Client) -> Result<Value> {
    one(
        client,
        "SELECT jsonb_build_array((SELECT jsonb_agg(s ORDER BY id) FROM costsim_cb_state s),
                                  (SELECT jsonb_agg(i ORDER BY \"timestamp\", id) FROM costsim_cb_incidents i),
                                  (SELECT jsonb_agg(e ORDER BY id) FROM costsim_cb_events e),
                                  (SELECT jsonb_agg(a ORDER BY fingerprint) FROM costsim_alerts a))",
    )
}

const NAMES: [&str; 4] = ["costsim_v2", "closed", "forever", "half_open"];

const WRITERS: [&str; 19] = [
    "SELECT costsim_report_drift(0.9)",
    "SELECT costsim_report_drift(0.01)",
    "SELECT costsim_report_drift(0.9, name => 'closed')",
    "SELECT costsim_report_drift(0.01, name => 'closed')",
    "SELECT costsim_report_drift(0.01, name => 'half_open')",
    "SELECT costsim_report_schema_error(9)",
    "SELECT costsim_report_schema_error(1)",
    "SELECT costsim_report_schema_error(9, name => 'closed')",
    "SELECT costsim_disable_v2('another reason', 'ann')",
    "SELECT costsim_disable_v2('for good', 'ann', permanent => true, name => 'forever')",
    "SELECT costsim_disable_v2('a', 'ann', name => 'closed')",
    "SELECT costsim_enable_v2('ann')",
    "SELECT costsim_enable_v2('ann', name => 'closed')",
    "SELECT costsim_reset_v2('a', 'ann')",
    "SELECT costsim_configure_breaker('costsim_v2', drift_threshold => 0.3)",
    "SELECT costsim_configure_breaker('costsim_v2')",
    "SELECT costsim_configure_breaker('new')",
    "SELECT costsim_auto_recover()",
    "SELECT costsim_report_drift(0.9, name => 'unknown')",
];

/// What the readers say, in one value, so that two servers, or two moments, can be compared: how long something still takes is left out.
fn readers(client: &mut Client) -> Result<Value> {
    let mut answers = Vec::new();
    for name in NAMES {
        let query = format!(
            "SELECT jsonb_build_object(
                 'is_open', costsim_is_open('{name}'), 'is_closed', costsim_is_closed('{name}'),
                 'state', (SELECT to_jsonb(s) FROM costsim_cb_get_state('{name}') s),
                 'unresolved', (SELECT jsonb_agg(i) FROM costsim_incidents(name => '{name}') i),
                 'incidents', (SELECT jsonb_agg(i) FROM costsim_incidents(true, NULL, '{name}') i),
                 'explained', (SELECT jsonb_agg(regexp_replace(line, '[(]in [0-9:]+[)]', '')) FROM costsim_cb_explain('{name}') line))"
        );
        answers.push(one(client, &query)?);
    }
    Ok(Value::Array(answers))
}

#[test]
fn standby_answers_every_reader_as_its_primary_does() -> Result<()> {
    let cluster = cluster()?;
    let mut primary = cluster.create_database_with_extension("standby_reads")?;
    fill(&mut primary)?;
    let standby = Standby::start(&cluster)?;
    standby.catch_up()?;
    let mut replica = standby.connect("standby_reads")?;
    assert!(one::<bool>(&mut replica, "SELECT pg_is_in_recovery()")?);

    let answers = readers(&mut replica)?;
    assert_eq!(answers, readers(&mut primary)?);
    assert_eq!(stored(&mut replica)?, stored(&mut primary)?);
    let states: Vec<(&Value, &Value)> = [0, 1, 2, 3]
        .iter()
        .map(|&n: &usize| (&answers[n]["is_open"], &answers[n]["state"]["state"]))
        .collect();
    let expected = [(true, "open"), (false, "closed"), (true, "open"), (true, "half_open")];
    for ((is_open, state), (expected_open, expected_state)) in states.into_iter().zip(expected) {
        assert_eq!((is_open, state), (&expected_open.into(), &expected_state.into()));
    }
    for n in 0..NAMES.len() {
        let lines = answers[n]["explained"].as_array().context("no explanation")?;
        assert!(!lines.is_empty());
    }

    // A page after the other.
    let mut pages: Vec<String> = Vec::new();
    while pages.len() < 3 {
        let before = pages.last().map_or_else(|| "NULL".to_owned(), |id| format!("'{id}'"));
        pages.push(one(
            &mut replica,
            &format!("SELECT id FROM costsim_incidents(true, 1, before_id => {before})"),
        )?);
    }
    let last = format!("SELECT FROM costsim_incidents(true, 1, before_id => '{}')", pages[2]);
    assert!(replica.query_opt(&last, &[])?.is_none());
    let all: Vec<String> = one(&mut primary, "SELECT array_agg(id) FROM costsim_incidents(true, NULL)")?;
    assert_eq!(pages, all);
    Ok(())
}

#[test]
fn standby_refuses_every_writer_and_answers_those_that_only_might_write() -> Result<()> {
    let cluster = cluster()?;
    let mut primary = cluster.create_database_with_extension("standby_writes")?;
    fill(&mut primary)?;
    let standby = Standby::start(&cluster)?;
    standby.catch_up()?;
    let mut replica = standby.connect("standby_writes")?;
    let (before, said) = (stored(&mut replica)?, readers(&mut replica)?);

    for statement in WRITERS {
        assert_eq!(sqlstate_of(&mut replica, statement)?, "25006", "{statement}");
    }
    // The same in a transaction that goes on after the refusal.
    replica.batch_execute("BEGIN")?;
    for statement in WRITERS {
        replica.batch_execute("SAVEPOINT s")?;
        assert_eq!(sqlstate_of(&mut replica, statement)?, "25006", "{statement}");
        replica.batch_execute("ROLLBACK TO s")?;
        says(&mut replica, true)?;
    }
    replica.batch_execute("COMMIT")?;

    for _ in 0..2 {
        for (name, is_disabled) in NAMES.into_iter().zip([true, false, true, true]) {
            let check = format!("SELECT costsim_is_v2_disabled('{name}')");
            assert_eq!(one::<bool>(&mut replica, &check)?, is_disabled, "{name}");
            // A permit would have to be written down, and a probe nobody has written down is none.
            let allow = format!("SELECT costsim_cb_allow('{name}')");
            assert_eq!(one::<bool>(&mut replica, &allow)?, !is_disabled, "{name}");
        }
    }
    assert_eq!(stored(&mut replica)?, before);
    assert_eq!(readers(&mut replica)?, said);

    // The primary gives what its standby refused.
    assert!(one::<bool>(&mut primary, "SELECT costsim_cb_allow('half_open')")?);
    check_the_breakers(&mut primary)
}

#[test]
fn warm_session_of_a_standby_follows_its_primary() -> Result<()> {
    let cluster = cluster()?;
    let mut primary = cluster.create_database_with_extension("standby_follows")?;
    let standby = Standby::start(&cluster)?;
    standby.catch_up()?;
    let is_heard = "SELECT bool_and(xmin IS NOT NULL) FROM pg_replication_slots";
    wait_for(&mut primary, "the standby's feedback", is_heard)?;
    let mut replica = standby.connect("standby_follows")?;
    let mut in_transaction = standby.connect("standby_follows")?;
    in_transaction.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")?;
    for client in [&mut replica, &mut in_transaction] {
        says(client, false)?;
    }
    let (open, close) =
        ("UPDATE costsim_cb_state SET disabled = true", "UPDATE costsim_cb_state SET disabled = false");
    for round in 0..10 {
        for (statement, is_open) in
            [(TRIP, true), (CLOSE, false), (open, true), (close, false), (OPEN, true), (CLOSE, false)]
        {
            // Not yet, and never.
            primary.batch_execute("BEGIN")?;
            primary.batch_execute(statement)?;
            primary.batch_execute("ROLLBACK")?;
            if round == 0 {
                standby.catch_up()?;
                says(&mut replica, !is_open)?;
            }
            primary.batch_execute(statement)?;
            standby.catch_up()?;
            for client in [&mut replica, &mut in_transaction] {
                says(client, is_open).with_context(|| format!("round {round}: {statement}"))?;
            }
        }
    }
    // What takes the table away for a moment waits for nobody's transaction.
    in_transaction.batch_execute("COMMIT")?;
    for (statement, is_open) in [
        (OPEN, true),
        ("VACUUM FULL costsim_cb_state", true),
        ("DELETE FROM costsim_cb_state", false),
        ("INSERT INTO costsim_cb_state (name, disabled) VALUES ('costsim_v2', true)", true),
        ("TRUNCATE costsim_cb_state", false),
        (OPEN, true),
        ("DROP EXTENSION costsim_pg; CREATE EXTENSION costsim_pg", false),
        (OPEN, true),
        (
            "BEGIN; UPDATE costsim_cb_state SET disabled_until = '2000-01-01'; PREPARE TRANSACTION 'standby_follows'",
            true,
        ),
        ("COMMIT PREPARED 'standby_follows'", false),
    ] {
        primary.batch_execute(statement).with_context(|| statement.to_owned())?;
        standby.catch_up()?;
        for client in [&mut replica, &mut in_transaction] {
            says(client, is_open).with_context(|| statement.to_owned())?;
        }
    }
    Ok(())
}

#[test]
fn end_that_passes_is_seen_on_a_standby_too() -> Result<()> {
    let cluster = cluster()?;
    let mut primary = cluster.create_database_with_extension("standby_time")?;
    let standby = Standby::start(&cluster)?;
    primary.batch_execute(
        "SELECT costsim_disable_v2('for a moment', 'ann', clock_timestamp() + '10 s');
         SELECT costsim_configure_breaker('probed', disable_ttl => '10 s', half_open => true, half_open_timeout => '1 hour');
         SELECT costsim_disable_v2('for a moment', 'ann', name => 'probed')",
    )?;
    standby.catch_up()?;
    let mut replica = standby.connect("standby_time")?;
    says(&mut replica, true)?;
    let probed = "SELECT state FROM costsim_cb_get_state('probed')";
    assert_eq!(one::<String>(&mut replica, probed)?, "open");
    let before = stored(&mut replica)?;
    wait_for(&mut replica, "the end", "SELECT costsim_is_closed()")?;
    says(&mut replica, false)?;
    assert!(!one::<bool>(&mut replica, "SELECT costsim_is_v2_disabled()")?);
    assert!(one::<bool>(&mut replica, "SELECT costsim_cb_allow()")?);
    assert_eq!(one::<String>(&mut replica, "SELECT state FROM costsim_cb_get_state()")?, "closed");
    wait_for(&mut replica, "probing", "SELECT state = 'half_open' FROM costsim_cb_get_state('probed')")?;
    assert!(one::<bool>(&mut replica, "SELECT costsim_is_open('probed')")?);
    assert!(!one::<bool>(&mut replica, "SELECT costsim_cb_allow('probed')")?);
    standby.catch_up()?;
    assert_eq!(stored(&mut replica)?, before, "nobody wrote");
    Ok(())
}

/// The primary is cut off before any end has passed, so whatever is written down afterwards the promoted one has written.
#[test]
fn promoted_standby_trips_and_recovers_by_itself() -> Result<()> {
    let site = Site::start(Site::builder(""))?;
    let mut primary = site.connect()?;
    let standby = Standby::start(&site.cluster)?;
    primary.batch_execute(OPEN)?;
    primary.batch_execute(
        "SELECT costsim_configure_breaker('due');
         SELECT costsim_disable_v2('until it is promoted', 'ann', clock_timestamp() + '12 s', name => 'due')",
    )?;
    standby.catch_up()?;
    standby.cut_off()?;
    let mut replica = standby.connect("app")?;
    says(&mut replica, true)?;
    let is_open =
        "SELECT disabled AND disabled_until > clock_timestamp() FROM costsim_cb_state WHERE name = 'due'";
    assert!(one::<bool>(&mut replica, is_open)?);
    // What the old primary decides from now on is nobody's business.
    primary.batch_execute(CLOSE)?;
    standby.promote()?;

    // The session that was warm goes on.
    says(&mut replica, true)?;
    replica.batch_execute(CLOSE)?;
    says(&mut replica, false)?;
    replica.batch_execute(TRIP)?;
    says(&mut replica, true)?;
    let mut other = standby.connect("app")?;
    says(&mut other, true)?;
    other.batch_execute(CLOSE)?;
    says(&mut replica, false)?;

    // Its worker does what is due, and is woken for what will be.
    let recovered = |client: &mut Client, name: &str| -> Result<()> {
        let is_written = format!(
            "SELECT NOT disabled AND EXISTS (SELECT FROM costsim_cb_events e
                                              WHERE e.circuit_breaker_name = s.name AND e.cause = 'ttl_passed'
                                                AND e.to_state = 'closed')
               FROM costsim_cb_state s WHERE name = '{name}'"
        );
        wait_until(LIMIT, &format!("{name} to be closed"), || {
            Ok(one::<bool>(client, &is_written)?.then_some(()))
        })
    };
    recovered(&mut other, "due")?;
    other.batch_execute("SELECT costsim_disable_v2('for a moment', 'ann', clock_timestamp() + '0.5 s')")?;
    recovered(&mut other, "costsim_v2")?;
    says(&mut replica, false)?;
    assert_eq!(one::<i64>(&mut other, "SELECT count(*) FROM costsim_incidents()")?, 0);
    check_the_breakers(&mut other)
}
