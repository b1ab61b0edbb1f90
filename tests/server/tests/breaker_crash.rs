//! What a crash leaves of a breaker: every step that was acknowledged, and nothing of what was not committed.

use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{Cluster, Mode, Signal, wait_until};
use costsim_server_tests::{LIMIT, Psql, check_the_breakers, crash, is_running, one, sqlstate, wait_for};
use fastrand::Rng;
use postgres::{Client, SimpleQueryMessage};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A server that writes its log only for who asks to be durable: full pages aside, everything else waits ten seconds.
fn lazy_cluster() -> Result<Cluster> {
    Cluster::builder()
        .conf("wal_writer_delay", "10s")
        .conf("wal_writer_flush_after", "1GB")
        .conf("client_connection_check_interval", "100ms")
        .start()
}

const ROUNDS: usize = 30;

/// Breakers by the names of their only writers, and whether the writer's session is durable by itself.
const WRITERS: [(&str, &str); 6] = [
    ("plain on", "on"),
    ("short on", "on"),
    ("probed on", "on"),
    ("plain off", "off"),
    ("short off", "off"),
    ("probed off", "off"),
];

fn settings(name: &str) -> &'static str {
    match name.split(' ').next() {
        Some("short") => "disable_ttl => '10 ms', failure_threshold => 2",
        Some("probed") => {
            "disable_ttl => '5 ms', max_disable_ttl => '20 ms', failure_threshold => 2, half_open => true, probe_permits => 3,
             probe_successes => 2, probe_timeout => '20 ms', half_open_timeout => '100 ms'"
        }
        _ => "failure_threshold => 2",
    }
}

/// What a writer was told of its breaker.
#[derive(Debug, Default)]
struct Ledger {
    /// Events whose transaction's commit was acknowledged, in their order.
    acknowledged: Vec<i64>,
    /// Events of transactions that were rolled back since the last crash.
    taken_back: Vec<i64>,
    /// The row after the last acknowledged commit.
    row: Option<String>,
}

fn random_act(rng: &mut Rng, name: &str) -> String {
    match rng.u8(..16) {
        0..4 => format!("SELECT costsim_report_drift(0.9, name => '{name}')"),
        4..6 => format!("SELECT costsim_report_drift(0, name => '{name}')"),
        6 => format!("SELECT costsim_report_drift(0.18, name => '{name}')"),
        7 => format!("SELECT costsim_report_schema_error(9, name => '{name}')"),
        8 => format!("SELECT costsim_disable_v2('r{}', 'me', name => '{name}')", rng.u8(..3)),
        9..12 => format!("SELECT costsim_enable_v2('me', name => '{name}')"),
        12..15 => format!("SELECT costsim_cb_allow('{name}')"),
        _ => format!("SELECT costsim_is_v2_disabled('{name}')"),
    }
}

/// Acts until the server is gone. Whatever else goes wrong is an error.
fn write(
    client: &mut Client,
    name: &str,
    rng: &mut Rng,
    ledger: &mut Ledger,
    commits: &AtomicUsize,
) -> Result<()> {
    loop {
        let last = ledger.acknowledged.last().copied().unwrap_or_default();
        let act = random_act(rng, name);
        let story = format!(
            "SELECT id AS event FROM costsim_cb_events WHERE circuit_breaker_name = '{name}' AND id > {last} ORDER BY id;
             SELECT s::text AS breaker FROM costsim_cb_state s WHERE name = '{name}'"
        );
        let is_kept = rng.u8(..8) > 0;
        // A string of statements without BEGIN is a transaction too.
        let batch = match (is_kept, rng.bool()) {
            (true, true) => format!("{act}; {story}"),
            (true, false) => format!("BEGIN; {act}; {story}; COMMIT"),
            (false, _) => format!("BEGIN; {act}; {story}; ROLLBACK"),
        };
        let answer = match client.simple_query(&batch) {
            Ok(answer) => answer,
            Err(error) => match sqlstate(&error).as_str() {
                // In a crash the server has time for a last word, or not.
                "57P01" | "57P02" | "closed" => return Ok(()),
                _ => return Err(anyhow!(error).context(batch)),
            },
        };
        let mut events: Vec<i64> = Vec::new();
        let mut row = None;
        for message in answer {
            let SimpleQueryMessage::Row(line) = message else { continue };
            match line.columns()[0].name() {
                "event" => events.push(line.get(0).context("an event without a number")?.parse()?),
                "breaker" => row = line.get(0).map(str::to_owned),
                _ => {}
            }
        }
        if is_kept {
            ledger.acknowledged.extend(events);
            ledger.row = row;
            commits.fetch_add(1, Ordering::Relaxed);
        } else {
            ledger.taken_back.extend(events);
        }
    }
}

/// What is there after a crash is what was acknowledged, with at most the one transaction that was under way.
fn check_against(ledger: &mut Ledger, client: &mut Client, name: &str) -> Result<()> {
    let rows = client.query(
        "SELECT id, xmin::text FROM costsim_cb_events WHERE circuit_breaker_name = $1 ORDER BY id",
        &[&name],
    )?;
    let there: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let lost: Vec<&i64> = ledger
        .acknowledged
        .iter()
        .filter(|id| there.binary_search_by_key(id, |(id, _)| id).is_err())
        .collect();
    ensure!(lost.is_empty(), "acknowledged events are lost: {lost:?}");
    let revenants: Vec<&i64> =
        ledger.taken_back.iter().filter(|id| there.binary_search_by_key(id, |(id, _)| id).is_ok()).collect();
    ensure!(revenants.is_empty(), "events of rolled back transactions are there: {revenants:?}");
    let (known, under_way) = there.split_at(ledger.acknowledged.len());
    ensure!(
        known.iter().map(|(id, _)| *id).eq(ledger.acknowledged.iter().copied()),
        "events nobody was told of"
    );
    ensure!(
        under_way.iter().all(|(_, transaction)| *transaction == under_way[0].1),
        "more than one transaction was under way: {under_way:?}"
    );
    // The row is as it was, or followed by something later. What is merely counted is as durable as the session wanted it.
    if let Some(row) = &ledger.row {
        let query = "SELECT to_jsonb(s) - counted = to_jsonb($2::text::costsim_cb_state) - counted
                            OR s.updated_at > ($2::text::costsim_cb_state).updated_at, s::text
                       FROM costsim_cb_state s,
                            LATERAL (SELECT CASE WHEN name LIKE '%off' THEN '{consecutive_failures,last_failure_at,last_score,updated_at,warning}'
                                                 ELSE '{}' END::text[] AS counted) c
                      WHERE name = $1";
        let found = client.query_one(query, &[&name, row])?;
        ensure!(found.get::<_, bool>(0), "the row was {row} and is {}", found.get::<_, String>(1));
    }
    // From here on the story goes on after what was found.
    ledger.acknowledged.extend(under_way.iter().map(|(id, _)| *id));
    ledger.taken_back.clear();
    ledger.row = None;
    Ok(())
}

/// Ends the server in one of the ways it may end, and has it back.
fn strike(cluster: &Cluster, round: usize, backend: i32) -> Result<()> {
    match round % 3 {
        0 => cluster.restart(Mode::Immediate),
        1 => {
            crash(cluster)?;
            cluster.restart(Mode::Immediate)
        }
        // The postmaster ends all others and recovers by itself.
        _ => cluster.kill_backend(backend, Signal::KILL),
    }
}

#[test]
fn thirty_crashes_under_load_lose_no_acknowledged_step_and_make_none_up() -> Result<()> {
    let cluster = lazy_cluster()?;
    let mut client = cluster.create_database_with_extension("app")?;
    for (name, _) in WRITERS {
        client.execute(&format!("SELECT costsim_configure_breaker($1, {})", settings(name)), &[&name])?;
    }
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let mut ledgers: Vec<Ledger> = Vec::new();
    for (name, _) in WRITERS {
        let mut ledger = Ledger::default();
        for row in
            client.query("SELECT id FROM costsim_cb_events WHERE circuit_breaker_name = $1", &[&name])?
        {
            ledger.acknowledged.push(row.get(0));
        }
        ledgers.push(ledger);
    }
    let configured = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum::<usize>();

    for round in 0..ROUNDS {
        let commits = Arc::new(AtomicUsize::new(0));
        let mut writing = Vec::new();
        let mut backends = Vec::new();
        for ((name, is_durable), mut ledger) in WRITERS.into_iter().zip(std::mem::take(&mut ledgers)) {
            let mut session = cluster.connect("app")?;
            session.batch_execute(&format!("SET synchronous_commit = {is_durable}"))?;
            backends.push(one::<i32>(&mut session, "SELECT pg_backend_pid()")?);
            let (commits, mut rng) = (commits.clone(), rng.fork());
            writing.push(thread::spawn(move || {
                write(&mut session, name, &mut rng, &mut ledger, &commits)
                    .with_context(|| name.to_owned())?;
                Ok::<_, anyhow::Error>(ledger)
            }));
        }
        let wanted = rng.usize(20..400);
        let waited = wait_until(LIMIT, "the load", || {
            let is_failed = writing.iter().any(thread::JoinHandle::is_finished);
            Ok((is_failed || commits.load(Ordering::Relaxed) >= wanted).then_some(()))
        });
        strike(&cluster, round, backends[rng.usize(..backends.len())])?;
        waited?;
        for writer in writing {
            ledgers.push(writer.join().map_err(|_| anyhow!("a writer has panicked"))??);
        }

        let mut client = wait_until(LIMIT, "the server to recover", || cluster.connect("app").map(Some))?;
        check_the_breakers(&mut client).with_context(|| format!("round {round}"))?;
        for ((name, _), ledger) in WRITERS.into_iter().zip(&mut ledgers) {
            check_against(ledger, &mut client, name).with_context(|| format!("round {round}: {name}"))?;
        }
    }
    let events = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum::<usize>() - configured;
    ensure!(events > 20 * ROUNDS, "{events} events in {ROUNDS} rounds show nothing");
    for (name, ledger) in WRITERS.iter().map(|(name, _)| name).zip(&ledgers) {
        ensure!(ledger.acknowledged.len() > ROUNDS, "{name} has taken {} steps", ledger.acknowledged.len());
    }
    Ok(())
}

/// One step in a session that does not ask for durability, just before a crash: what it prepares, what it does, and what is true
/// afterwards if it was not lost.
const LAST_STEPS: [(&str, &str, &str); 9] = [
    ("", "SELECT costsim_disable_v2('r', 'me')", "SELECT disabled FROM costsim_cb_state"),
    (
        "SELECT costsim_disable_v2('r', 'me')",
        "SELECT costsim_enable_v2('me')",
        "SELECT NOT disabled FROM costsim_cb_state",
    ),
    (
        "SELECT costsim_report_drift(0.9), costsim_report_drift(0.9)",
        "SELECT costsim_report_drift(0.9)",
        "SELECT disabled FROM costsim_cb_state",
    ),
    ("", "SELECT costsim_report_drift(0.18)", "SELECT warning = 'near_threshold' FROM costsim_cb_state"),
    ("", "SELECT costsim_report_schema_error(9)", "SELECT disabled FROM costsim_cb_state"),
    (
        "SELECT costsim_disable_v2('r', 'me'); UPDATE costsim_cb_state SET disabled_until = now()",
        "SELECT costsim_is_v2_disabled()",
        "SELECT NOT disabled FROM costsim_cb_state",
    ),
    (
        "SELECT costsim_disable_v2('r', 'me'); UPDATE costsim_cb_state SET disabled_until = now()",
        "SELECT costsim_auto_recover()",
        "SELECT NOT disabled FROM costsim_cb_state",
    ),
    (
        "SELECT costsim_configure_breaker('costsim_v2', half_open => true); SELECT costsim_disable_v2('r', 'me');
         UPDATE costsim_cb_state SET half_open_at = now(); SELECT costsim_is_v2_disabled()",
        "SELECT costsim_cb_allow()",
        "SELECT cardinality(probes) = 1 FROM costsim_cb_state",
    ),
    (
        "SELECT costsim_configure_breaker('costsim_v2', failure_threshold => 4)",
        "SELECT costsim_configure_breaker('costsim_v2', failure_threshold => 5)",
        "SELECT failure_threshold = 5 FROM costsim_cb_state",
    ),
];

#[test]
fn last_step_before_a_crash_survives_without_synchronous_commit() -> Result<()> {
    let cluster = lazy_cluster()?;
    cluster.create_database_with_extension("app")?;
    let mut lost = 0;
    for (preparation, step, is_there) in LAST_STEPS {
        let mut client = cluster.connect("app")?;
        client.batch_execute(
            "DROP EXTENSION costsim_pg; CREATE EXTENSION costsim_pg;
             CREATE TABLE IF NOT EXISTS ordinary (n integer); TRUNCATE ordinary",
        )?;
        client.batch_execute(preparation)?;
        client.batch_execute("SET synchronous_commit = off")?;
        // The first change of a page after a checkpoint logs the whole page; later ones are short, and stay near the beginning of a
        // page of the log, which remains unwritten.
        client.batch_execute(&format!(
            "CHECKPOINT; BEGIN; {step}; ROLLBACK; INSERT INTO ordinary VALUES (1);
             SELECT pg_logical_emit_message(false, 'fill', repeat('x', 8400 - mod(pg_current_wal_insert_lsn() - '0/0', 8192)::int))"
        ))?;
        client.batch_execute(step)?;
        // What did not ask for it is the proof that the server keeps nothing by itself.
        client.batch_execute("INSERT INTO ordinary VALUES (2)")?;
        cluster.restart(Mode::Immediate)?;
        let mut client = cluster.connect("app")?;
        assert!(one::<bool>(&mut client, is_there)?, "lost after its acknowledgement: {step}");
        check_the_breakers(&mut client).context(step)?;
        let rows: i64 = one(&mut client, "SELECT count(*) FROM ordinary WHERE n = 2")?;
        lost += usize::from(rows == 0);
    }
    assert!(lost > LAST_STEPS.len() / 2, "only {lost} ordinary rows were lost, so nothing was shown");
    Ok(())
}

/// Everything that a trip leaves behind, in tables and locks.
const TRACES: &str = "SELECT (SELECT count(*) FROM costsim_cb_incidents) + (SELECT count(*) FROM costsim_alerts)
                           + (SELECT count(*) FROM costsim_cb_events) + (SELECT count(*) FROM costsim_cb_state)";

const TRIP: &str = "SELECT count(*) FROM (SELECT costsim_report_drift(0.9), costsim_report_drift(0.9), costsim_report_drift(0.9)) r";

#[test]
fn client_that_dies_in_the_middle_of_a_trip_leaves_nothing() -> Result<()> {
    let cluster = lazy_cluster()?;
    let mut other = cluster.create_database_with_extension("app")?;
    let is_open = "SELECT costsim_is_open()";
    assert!(!one::<bool>(&mut other, is_open)?);
    for way in ["kill -9 between statements", "kill -9 in a statement", "terminated", "dropped connection"] {
        let pid = match way {
            "dropped connection" => {
                let mut dying = cluster.connect("app")?;
                let pid: i32 = one(&mut dying, "SELECT pg_backend_pid()")?;
                dying.batch_execute("BEGIN")?;
                assert_eq!(one::<i64>(&mut dying, TRIP)?, 1);
                assert!(one::<bool>(&mut dying, is_open)?);
                assert!(!one::<bool>(&mut other, is_open)?);
                pid
            }
            _ => {
                let mut dying = Psql::start(&cluster, "app")?;
                let pid = dying.ask("SELECT pg_backend_pid()")?.parse()?;
                dying.send("BEGIN")?;
                assert_eq!(dying.ask(TRIP)?, "1");
                assert_eq!(dying.ask(is_open)?, "t");
                assert!(!one::<bool>(&mut other, is_open)?);
                if way == "kill -9 in a statement" {
                    dying.send(
                        "SELECT costsim_disable_v2('longer', 'me', permanent => true), pg_sleep(600)",
                    )?;
                    wait_for(
                        &mut other,
                        "the statement to run",
                        &format!(
                            "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = {pid}"
                        ),
                    )?;
                }
                if way == "terminated" {
                    ensure!(one::<bool>(&mut other, &format!("SELECT pg_terminate_backend({pid})"))?);
                    wait_until(LIMIT, "the session to end", || Ok((!is_running(pid)).then_some(())))?;
                }
                dying.kill()?;
                pid
            }
        };
        wait_until(LIMIT, &format!("the session to end: {way}"), || Ok((!is_running(pid)).then_some(())))?;
        assert!(!one::<bool>(&mut other, is_open)?, "{way}");
        assert_eq!(one::<i64>(&mut other, TRACES)?, 0, "{way}");
        check_the_breakers(&mut other)?;
    }
    // Nor a lock: the next ones are counted from one on.
    other.batch_execute("SET lock_timeout = '5s'")?;
    assert_eq!(one::<i64>(&mut other, TRIP)?, 1);
    assert!(one::<bool>(&mut other, is_open)?);
    check_the_breakers(&mut other)
}

/// The server process of a session is killed in the middle of a trip: the server recovers, and nothing of it is there.
#[test]
fn server_process_that_is_killed_in_the_middle_of_a_trip_leaves_nothing() -> Result<()> {
    let cluster = lazy_cluster()?;
    let mut dying = cluster.create_database_with_extension("app")?;
    let pid: i32 = one(&mut dying, "SELECT pg_backend_pid()")?;
    dying.batch_execute("BEGIN")?;
    assert_eq!(one::<i64>(&mut dying, TRIP)?, 1);
    let mut witness = cluster.connect("app")?;
    cluster.kill_backend(pid, Signal::KILL)?;
    wait_until(LIMIT, "all sessions to be ended", || {
        if let Ok(row) = witness.query_one("SELECT 1", &[]) {
            bail!("it still answers {}", row.get::<_, i32>(0));
        }
        Ok(Some(()))
    })?;
    let mut client = wait_until(LIMIT, "the server to recover", || cluster.connect("app").map(Some))?;
    assert!(!one::<bool>(&mut client, "SELECT costsim_is_open()")?);
    assert_eq!(one::<i64>(&mut client, TRACES)?, 0);
    Ok(())
}
