//! A busy database is adopted, attached and given back: the application's transactions wait, and none is ended for it.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Asked, Shared, one, sqlstate_of, wait_for};
use postgres::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

static CLUSTER: Shared<Cluster> = Shared::new();

/// The five tables, as an application has them.
const OLD: &str = "CREATE SCHEMA costsim; CREATE EXTENSION costsim_pg SCHEMA costsim; CREATE SCHEMA app;
    CREATE TABLE app.costsim_cb_state (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, disabled boolean NOT NULL DEFAULT false,
        consecutive_failures integer NOT NULL DEFAULT 0, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE app.costsim_cb_incidents (id text PRIMARY KEY, circuit_breaker_name text NOT NULL, \"timestamp\" timestamptz NOT NULL DEFAULT now(),
        reason text NOT NULL, severity text NOT NULL, resolved boolean NOT NULL DEFAULT false);
    CREATE TABLE app.costsim_provenance (id bigserial PRIMARY KEY, run_id text, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE app.costsim_alert_queue (id bigserial PRIMARY KEY, payload jsonb NOT NULL, status text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE app.costsim_canary_reports (id bigserial PRIMARY KEY, run_id text NOT NULL UNIQUE, \"timestamp\" timestamptz NOT NULL DEFAULT now(),
        status text NOT NULL, passed boolean NOT NULL DEFAULT true);
    INSERT INTO app.costsim_cb_state (name) VALUES ('w0'), ('w1'), ('w2'), ('w3')";

fn scene(database: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().conf("autovacuum", "off").start())?;
    cluster.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {database}"))?;
    let mut client = cluster.connect(database)?;
    client.batch_execute(OLD)?;
    Ok((cluster, client))
}

fn call(mode: &str) -> String {
    match mode {
        "back" => "SELECT count(*) FROM costsim.costsim_unadopt('app')".to_owned(),
        "look" => "SELECT count(*) FROM costsim.costsim_adopt('app')".to_owned(),
        mode => format!("SELECT count(*) FROM costsim.costsim_adopt('app', false, '{mode}')"),
    }
}

/// The five, in an order, in words that do for tables and views.
fn statements(writer: usize, nth: usize) -> [String; 5] {
    [
        format!(
            "UPDATE app.costsim_cb_state SET consecutive_failures = {nth}, updated_at = clock_timestamp() WHERE name = 'w{writer}'"
        ),
        format!(
            "INSERT INTO app.costsim_cb_incidents (id, circuit_breaker_name, reason, severity, resolved) VALUES ('{writer}-{nth}', 'w{writer}', 'r', 'P2', true)"
        ),
        format!("INSERT INTO app.costsim_provenance (run_id) VALUES ('{writer}-{nth}')"),
        "INSERT INTO app.costsim_alert_queue (payload, status) VALUES ('[]', 'cancelled')".to_owned(),
        format!("INSERT INTO app.costsim_canary_reports (run_id, status) VALUES ('{writer}-{nth}', 'pass')"),
    ]
}

#[test]
fn writers_in_both_orders_outlive_every_adoption_and_lose_no_row() -> Result<()> {
    let (cluster, mut client) = scene("busy")?;
    let is_over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| -> Result<Vec<i64>> {
        let writers: Vec<_> = [[0, 2], [2, 0], [3, 4]]
            .into_iter()
            .enumerate()
            .map(|(writer, tables)| {
                let mut client = cluster.connect("busy")?;
                let is_over = &is_over;
                Ok(scope.spawn(move || -> Result<usize> {
                    let mut count = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        client.batch_execute("BEGIN")?;
                        for table in tables {
                            let statement = &statements(writer, count)[table];
                            client
                                .batch_execute(statement)
                                .with_context(|| format!("writer {writer}: {statement}"))?;
                        }
                        client.batch_execute("COMMIT")?;
                        count += 1;
                    }
                    Ok(count)
                }))
            })
            .collect::<Result<_>>()?;
        let rounds = (0..4).try_for_each(|_| {
            ["look", "copy", "attach", "back"].iter().try_for_each(|mode| -> Result<()> {
                one::<i64>(&mut client, &call(mode))
                    .with_context(|| format!("{mode} beside writers"))
                    .map(drop)
            })
        });
        is_over.store(true, Ordering::Relaxed);
        let mut written = Vec::new();
        for writer in writers {
            let count = writer.join().map_err(|_| anyhow!("a writer panicked"))??;
            ensure!(count > 4, "a writer came to write {count} times only");
            written.push(i64::try_from(count)?);
        }
        rounds?;
        Ok(written)
    })?;
    let rows = |client: &mut Client, table| one::<i64>(client, &format!("SELECT count(*) FROM app.{table}"));
    assert_eq!(rows(&mut client, "costsim_provenance")?, written[0] + written[1]);
    assert_eq!(rows(&mut client, "costsim_alert_queue")?, written[2]);
    assert_eq!(rows(&mut client, "costsim_canary_reports")?, written[2]);
    Ok(())
}

/// What a transaction uses first, and next, in an order in which whoever adopts does not take them.
const ORDERS: [(&str, &str, &str); 5] = [
    (
        "copy",
        "INSERT INTO app.costsim_provenance (run_id) VALUES ('held')",
        "UPDATE app.costsim_cb_state SET disabled = false",
    ),
    (
        "copy",
        "INSERT INTO app.archive (run_id) VALUES ('held')",
        "UPDATE app.costsim_cb_state SET disabled = false",
    ),
    (
        "attach",
        "INSERT INTO app.costsim_provenance (run_id) VALUES ('held')",
        "UPDATE app.costsim_cb_state SET disabled = false",
    ),
    (
        "attach",
        "SELECT nextval('app.costsim_provenance_id_seq')",
        "UPDATE app.costsim_cb_state SET disabled = false",
    ),
    // What it has read of ours it is to go on with by the view.
    ("back", "SELECT FROM costsim.costsim_provenance", "UPDATE app.costsim_cb_state SET disabled = false"),
];

#[test]
fn a_transaction_that_holds_one_table_and_wants_another_gets_it() -> Result<()> {
    // As soon as it is waited for, and when whoever waits has looked for a deadlock and found none.
    for (moment, waited) in ["0 ms", "1100 ms"].into_iter().enumerate() {
        for (turn, (mode, first, next)) in ORDERS.into_iter().enumerate() {
            let database = format!("held_{moment}_{turn}");
            let (cluster, mut client) = scene(&database)?;
            match (mode, first.contains("archive")) {
                ("back", _) => client.batch_execute(&call("attach"))?,
                (_, true) => {
                    client.batch_execute("CREATE TABLE app.archive () INHERITS (app.costsim_provenance)")?
                }
                _ => {}
            }
            client.batch_execute(&format!("BEGIN; {first}"))?;
            let mut watcher = cluster.connect(&database)?;
            let adoption = Asked::<i64>::query(cluster.connect(&database)?, &call(mode))?;
            let is_waiting = format!(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {} AND NOT granted AND waitstart < clock_timestamp() - interval '{waited}')",
                adoption.pid()
            );
            wait_for(&mut watcher, "it to wait for the transaction", &is_waiting)?;
            client.batch_execute(next).with_context(|| format!("{mode}, {first}: {next}"))?;
            client.batch_execute("COMMIT")?;
            assert_eq!(adoption.answer()?.1, 5, "{mode}, {first}");
        }
    }
    Ok(())
}

#[test]
fn whoever_is_not_to_wait_ends_with_nothing_changed() -> Result<()> {
    let (cluster, mut client) = scene("impatient")?;
    let mut holder = cluster.connect("impatient")?;
    let shape = "SELECT string_agg(relname::text || relkind::text, ',' ORDER BY relname COLLATE \"C\") FROM pg_class WHERE relnamespace = 'app'::regnamespace";
    for mode in ["copy", "attach", "back"] {
        if mode == "back" {
            client.batch_execute(&call("attach"))?;
        }
        let before: String = one(&mut client, shape)?;
        holder.batch_execute("BEGIN; INSERT INTO app.costsim_provenance (run_id) VALUES ('held')")?;
        client.batch_execute("BEGIN; SET LOCAL lock_timeout = '1500 ms'; SAVEPOINT s")?;
        assert_eq!(sqlstate_of(&mut client, &call(mode))?, "55P03", "{mode}");
        client.batch_execute("ROLLBACK TO s")?;
        assert_eq!(one::<String>(&mut client, shape)?, before);
        let held = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode IN ('AccessExclusiveLock', 'ShareRowExclusiveLock')";
        assert_eq!(one::<i64>(&mut client, held)?, 0, "{mode} keeps a lock");
        client.batch_execute("COMMIT")?;
        holder.batch_execute("ROLLBACK")?;
    }
    assert_eq!(one::<i64>(&mut client, &call("back"))?, 5);
    Ok(())
}
