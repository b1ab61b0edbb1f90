//! What roll-ups and pending changes come to is what the records come to, in every snapshot, whatever goes on.
//!
//! Sessions record, correct, remove, purge, truncate, move days to other zones, fold and rebuild, take some of it back, and are cancelled and killed.
//! Somebody else asks meanwhile, in snapshots that last, and holds every tenant, dimension, quarter of an hour and day against the records,
//! and against a book that a trigger of the test keeps of what was purged. `COSTSIM_COST_STEPS` and `COSTSIM_ROLLUP_SEED` make more of
//! it, or the same again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::drift::{seed, setting};
use costsim_server_tests::{LIMIT, Shared, kill_and_reconnect, one, run_tool, sqlstate_of, wait_for};
use fastrand::Rng;
use postgres::Client;
use postgres::error::SqlState;

static CLUSTER: Shared<Cluster> = Shared::new();

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

/// A book of what was purged and keeps its sums, and what differs: nothing, if all is well.
const BOOKS: &str = "
    CREATE TABLE gone (LIKE costsim_cost_records);
    CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('test.keeps', true) = 'yes' THEN INSERT INTO public.gone SELECT * FROM removed; END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER keep AFTER DELETE ON costsim_cost_records REFERENCING OLD TABLE AS removed
        FOR EACH STATEMENT EXECUTE FUNCTION keep();
    CREATE VIEW differences AS
    WITH tenants AS (SELECT DISTINCT tenant_id FROM (SELECT tenant_id FROM costsim_cost_records UNION ALL SELECT tenant_id FROM gone
                                                     UNION ALL SELECT tenant_id FROM costsim_cost_quarters UNION ALL SELECT tenant_id FROM costsim_cost_daily
                                                     UNION ALL SELECT tenant_id FROM costsim_cost_pending) t),
    facts AS (
        SELECT r.tenant_id, d.dimension, d.entity_id, r.created_at,
               r.cost_cents, r.is_retry::int AS retries, (r.workflow_id IS NOT NULL OR r.skill_id IS NOT NULL)::int AS executions, r.input_tokens, r.output_tokens
          FROM (SELECT * FROM costsim_cost_records UNION ALL SELECT * FROM gone) r
         CROSS JOIN LATERAL (VALUES ('tenant', ''), ('feature', coalesce(r.feature_tag, 'unclassified')),
                                    ('user', coalesce(r.user_id, 'anonymous')), ('model', r.model)) d (dimension, entity_id)),
    both_sides AS (
        SELECT 'quarter' AS kind, t.tenant_id, d.dimension, p.entity_id, p.bucket_start::text AS bucket,
               p.cost_cents, p.requests, p.retries, p.executions, p.input_tokens, p.output_tokens
          FROM tenants t, (VALUES ('tenant'), ('feature'), ('user'), ('model')) d (dimension), _costsim_cost_pieces(t.tenant_id, d.dimension, NULL, NULL, NULL) p
        UNION ALL
        SELECT 'day', t.tenant_id, d.dimension, p.entity_id, p.day::text, p.cost_cents, p.requests, p.retries, p.executions, p.input_tokens, p.output_tokens
          FROM tenants t, (VALUES ('tenant'), ('feature'), ('user'), ('model')) d (dimension),
               _costsim_cost_days(t.tenant_id, d.dimension, NULL, '-infinity', 'infinity') p
        UNION ALL
        SELECT k.kind, f.tenant_id, f.dimension, f.entity_id,
               CASE k.kind WHEN 'quarter' THEN date_bin('15 minutes', f.created_at, '2000-01-01 00:00+00')::text
                           ELSE (f.created_at AT TIME ZONE costsim_cost_time_zone(f.tenant_id))::date::text END,
               -f.cost_cents, -1, -f.retries, -f.executions, -f.input_tokens, -f.output_tokens
          FROM facts f, (VALUES ('quarter'), ('day')) k (kind))
    SELECT kind, tenant_id, dimension, entity_id, bucket, sum(cost_cents) AS cost, sum(requests) AS requests
      FROM both_sides
     GROUP BY 1, 2, 3, 4, 5
    HAVING (sum(cost_cents), sum(requests), sum(retries), sum(executions), sum(input_tokens), sum(output_tokens)) <> (0, 0, 0, 0, 0, 0)";

/// Asked once, which is one snapshot: nothing must differ.
fn check(client: &mut Client) -> Result<i64> {
    let row = client.query_one(
        "SELECT (SELECT count(*) FROM costsim_cost_records) + (SELECT count(*) FROM gone), (SELECT count(*) FROM differences),
                (SELECT string_agg(d::text, ' ') FROM (SELECT * FROM differences LIMIT 5) d)",
        &[],
    )?;
    let (rows, differences, some): (i64, i64, Option<String>) = (row.get(0), row.get(1), row.get(2));
    ensure!(differences == 0, "{differences} sums differ: {}", some.unwrap_or_default());
    Ok(rows)
}

const ZONES: [&str; 5] =
    ["UTC", "Asia/Kathmandu", "Pacific/Tongatapu", "America/New_York", "Australia/Lord_Howe"];

/// What a step may come to besides success: somebody else was in the way, or ended it.
const EXPECTED: [&str; 4] = ["40001", "40P01", "57014", "55P03"];

/// One statement of a session's, and whether it may run under a snapshot that lasts.
fn statement(rng: &mut Rng) -> (String, bool) {
    let tenant = rng.u8(..3);
    let at = format!("now() - interval '{} minutes'", rng.u32(..14_000));
    let request = rng.u32(..400);
    let some = format!("id % {} = {}", rng.u8(3..9), rng.u8(..3));
    let cost = format!("0.{:06}", rng.u32(..1_000_000));
    match rng.u8(..20) {
        0..=3 => (
            format!(
                "SELECT costsim_record_cost('t{tenant}', 'm{}', {cost}, {}, 7, NULL, 'u{}', 'r{request}', {}, created_at => {at})",
                rng.u8(..3),
                rng.u32(..5_000),
                rng.u8(..4),
                rng.bool()
            ),
            true,
        ),
        4..=6 => (
            format!(
                "SELECT count(*) FROM costsim_record_costs((SELECT jsonb_agg(jsonb_build_object('tenant_id', 't' || i % 3, 'model', 'm' || i % 4, 'cost_cents', {cost},
                     'request_id', 'r' || ({request} + i * 7919) % 400, 'skill_id', 's', 'created_at', {at})) FROM generate_series(1, {}) i))",
                rng.u8(1..30)
            ),
            true,
        ),
        7..=9 => (
            format!(
                "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at, user_id, feature_tag, workflow_id)
                 SELECT 't' || i % 3, 'm', {cost} * i, {at} + i * interval '11 minutes', 'u' || i % 5, nullif('f.' || i % 3, 'f.0'), 'w' FROM generate_series(1, 20) i"
            ),
            true,
        ),
        10 | 11 => (
            format!(
                "UPDATE costsim_cost_records SET cost_cents = {cost}, created_at = created_at - interval '{} minutes', tenant_id = 't{tenant}', request_id = NULL, user_id = NULL WHERE {some}",
                rng.u8(..100)
            ),
            true,
        ),
        12 => (format!("DELETE FROM costsim_cost_records WHERE {some} AND tenant_id = 't{tenant}'"), true),
        13 => (format!("SET LOCAL test.keeps = 'yes'; SELECT costsim_purge_cost_records('8 days', {}); SET LOCAL test.keeps = 'no'", rng.u8(1..200)), true),
        14 => (format!("SELECT costsim_purge_cost_records('9 days', {}, false)", rng.u8(1..200)), true),
        15 => (format!("SELECT costsim_set_cost_time_zone('t{tenant}', '{}')", ZONES[rng.usize(..ZONES.len())]), false),
        16 | 17 => (format!("SELECT costsim_refresh_costs({})", rng.u16(1..500)), false),
        18 => (format!("SELECT costsim_rebuild_costs({})", if rng.bool() { "NULL".to_owned() } else { format!("'t{tenant}'") }), false),
        _ if rng.u8(..6) == 0 => ("TRUNCATE costsim_cost_records".to_owned(), false),
        _ => ("SELECT costsim_refresh_costs(); DELETE FROM costsim_cost_records WHERE id % 50 = 1".to_owned(), false),
    }
}

/// One transaction of some statements, some of them taken back.
fn transaction(client: &mut Client, rng: &mut Rng) -> Result<bool> {
    let lasts = rng.u8(..5) == 0;
    let mut text = format!(
        "BEGIN ISOLATION LEVEL {}; SET LOCAL lock_timeout = '20 s'",
        if lasts { "REPEATABLE READ" } else { "READ COMMITTED" }
    );
    for number in 0..rng.u8(1..5) {
        let (statement, may_last) = statement(rng);
        if lasts && !may_last {
            continue;
        }
        match rng.u8(..5) {
            0 => text += &format!("; SAVEPOINT s{number}; {statement}; ROLLBACK TO s{number}"),
            1 => text += &format!("; SAVEPOINT s{number}; {statement}; RELEASE s{number}"),
            _ => text += &format!("; {statement}"),
        }
    }
    text += if rng.u8(..5) == 0 { "; ROLLBACK" } else { "; COMMIT" };
    let Err(error) = client.batch_execute(&text) else { return Ok(true) };
    let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
    client.batch_execute("ROLLBACK")?;
    if EXPECTED.contains(&&*code) {
        Ok(false)
    } else {
        Err(anyhow!(error).context(format!("{code}: {text}")))
    }
}

#[test]
fn every_snapshot_has_sums_that_are_what_its_records_come_to() -> Result<()> {
    let steps = setting("COSTSIM_COST_STEPS", 60)?;
    let mut rng = seed(8)?;
    // Its own server, which is to crash.
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("sums")?;
    client.batch_execute(BOOKS)?;
    let is_over = AtomicBool::new(false);
    let (done, taken_back, asked) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let outcome: Result<()> = thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|number| {
                let mut rng = rng.fork();
                let (cluster, done, taken_back) = (&cluster, &done, &taken_back);
                scope.spawn(move || -> Result<()> {
                    let mut client = cluster.connect("sums")?;
                    for step in 0..steps {
                        let is_done = transaction(&mut client, &mut rng)
                            .with_context(|| format!("writer {number}, step {step}"))?;
                        if is_done { done } else { taken_back }.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        let canceller = scope.spawn(|| -> Result<()> {
            let mut client = cluster.connect("postgres")?;
            let ended = || done.load(Ordering::Relaxed) + taken_back.load(Ordering::Relaxed);
            while !is_over.load(Ordering::Relaxed) {
                let seen = ended();
                client.batch_execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                      WHERE datname = 'sums' AND state = 'active' AND query LIKE 'BEGIN ISOLATION%' ORDER BY random() LIMIT 1",
                )?;
                // One in some.
                wait_until(LIMIT, "some transactions more", || {
                    Ok((ended() >= seen + 6 || is_over.load(Ordering::Relaxed)).then_some(()))
                })?;
            }
            Ok(())
        });
        let reader = scope.spawn(|| -> Result<()> {
            let mut client = cluster.connect("sums")?;
            while !is_over.load(Ordering::Relaxed) {
                let mut snapshot = client
                    .build_transaction()
                    .isolation_level(postgres::IsolationLevel::RepeatableRead)
                    .start()?;
                // TRUNCATE takes rows out of snapshots that are older than it; so it is waited for before the snapshot is taken.
                if let Err(error) =
                    snapshot.batch_execute("LOCK TABLE costsim_cost_records IN ACCESS SHARE MODE")
                {
                    // Of two writers in a deadlock one truncates, and who stands in the queue between them is ended as well as they.
                    ensure!(error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED), "{error:?}");
                    continue;
                }
                let first: i64 = snapshot.query_one("SELECT count(*) FROM differences", &[])?.get(0);
                let again: i64 = snapshot.query_one("SELECT count(*) FROM differences", &[])?.get(0);
                ensure!((first, again) == (0, 0), "{first} and then {again} sums differ");
                snapshot.commit()?;
                asked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        let joined: Vec<Result<()>> = writers
            .into_iter()
            .map(|it| it.join().unwrap_or_else(|_| Err(anyhow!("a writer panicked"))))
            .collect();
        is_over.store(true, Ordering::Relaxed);
        for it in [canceller, reader] {
            it.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        joined.into_iter().collect()
    });
    outcome?;
    let [done, taken_back, asked] = [&done, &taken_back, &asked].map(|it| it.load(Ordering::Relaxed));
    println!("{done} transactions, {taken_back} taken back, {asked} snapshots");
    ensure!(done > 0 && asked > 0, "{done} transactions, {asked} snapshots");
    check(&mut client)?;

    // A session that is killed takes all others with it; what it had not committed is nowhere.
    let rows = loop {
        transaction(&mut client, &mut rng)?;
        client.batch_execute(
            "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) SELECT 't1', 'm', 1 FROM generate_series(1, 50)",
        )?;
        let rows = check(&mut client)?;
        if rows > 0 {
            break rows;
        }
    };
    let mut victim = cluster.connect("sums")?;
    victim.batch_execute(
        "BEGIN; INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('t1', 'killed', 1); SELECT costsim_refresh_costs(20)",
    )?;
    let pid = one(&mut victim, "SELECT pg_backend_pid()")?;
    let mut client = kill_and_reconnect(&cluster, pid, &mut client, "sums")?;
    assert_eq!(check(&mut client)?, rows);
    client.batch_execute("SELECT costsim_refresh_costs()")?;
    assert_eq!(check(&mut client)?, rows);
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_cost_pending")?, 0);
    Ok(())
}

#[test]
fn a_million_records_of_0_0004_cents_come_to_400_exactly() -> Result<()> {
    let (_cluster, mut client) = database("sub_cent")?;
    client.batch_execute(
        "SELECT count(*) FROM costsim_record_costs((SELECT jsonb_agg(jsonb_build_object('tenant_id', 'acme', 'model', 'm', 'cost_cents', 0.0004))
                                                      FROM generate_series(1, 50000)));
         INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
         SELECT 'acme', 'm', 0.0004, now() - i * interval '1 s' FROM generate_series(1, 950000) i",
    )?;
    let sums = "SELECT (SELECT sum(cost_cents) = 400 AND sum(requests) = 1000000 FROM _costsim_cost_pieces('acme', 'tenant', '', NULL, NULL))
                   AND (SELECT sum(cost_cents) = 400 FROM _costsim_cost_days('acme', 'model', 'm', '-infinity', 'infinity'))";
    assert!(one::<bool>(&mut client, sums)?, "pending");
    client.batch_execute("SELECT costsim_refresh_costs()")?;
    assert!(one::<bool>(&mut client, sums)?, "folded");
    Ok(())
}

#[test]
fn dump_keeps_the_sums_of_purged_records_and_the_restore_makes_the_others() -> Result<()> {
    let (cluster, mut before) = database("spent")?;
    before.batch_execute(
        "SELECT costsim_set_cost_time_zone('acme', 'Pacific/Tongatapu');
         INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at, request_id)
         SELECT 'acme', 'm' || i % 3, i * 0.000001, now() - i * interval '5 hours', i::text FROM generate_series(1, 300) i;
         SELECT costsim_purge_cost_records('50 days'), costsim_refresh_costs(), costsim_purge_cost_records('40 days');
         SELECT costsim_record_cost('acme', 'late', 5)",
    )?;
    let folder = cluster.socket_dir().to_str().context("a folder whose name is no text")?.to_owned();
    let file = format!("{folder}/spent.dump");
    run_tool(
        &cluster,
        "pg_dump",
        ["--format=custom", "--no-sync", "--file", &file, "--dbname", &cluster.conn_string("spent")],
    )?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE restored")?;
    run_tool(
        &cluster,
        "pg_restore",
        ["--exit-on-error", "--dbname", &cluster.conn_string("restored"), &file],
    )?;
    let mut after = cluster.connect("restored")?;
    let sums = "SELECT string_agg(x::text, ' ') FROM (
                    SELECT d.dimension, p.entity_id, p.bucket_start, sum(p.cost_cents), sum(p.requests)
                      FROM (VALUES ('tenant'), ('model')) d (dimension), _costsim_cost_pieces('acme', d.dimension, NULL, NULL, NULL) p GROUP BY 1, 2, 3
                    UNION ALL
                    SELECT 'day', p.entity_id, p.day, sum(p.cost_cents), sum(p.requests)
                      FROM _costsim_cost_days('acme', 'model', NULL, '-infinity', 'infinity') p GROUP BY 1, 2, 3
                    ORDER BY 1, 2, 3) x";
    let expected: String = one(&mut before, sums)?;
    assert_eq!(one::<String>(&mut after, sums)?, expected);
    assert!(one::<bool>(&mut after, "SELECT EXISTS (SELECT FROM costsim_cost_purged)")?);
    after.batch_execute("SELECT costsim_refresh_costs()")?;
    assert_eq!(one::<String>(&mut after, sums)?, expected, "folded");
    after.batch_execute("SELECT costsim_rebuild_costs()")?;
    assert_eq!(one::<String>(&mut after, sums)?, expected, "rebuilt");
    Ok(())
}

/// A worker folds and purges what has come already, while the rest of a restore is still to come.
#[test]
fn restore_beside_a_worker_comes_to_the_same() -> Result<()> {
    let cluster = Cluster::builder()
        .preload(true)
        .conf("costsim.databases", "restored")
        .conf("costsim.worker_poll_interval", "1 s")
        .conf("costsim.cost_retention", "45 d")
        .start()?;
    let mut before = cluster.create_database_with_extension("spent")?;
    before.batch_execute(
        "SELECT costsim_set_cost_time_zone('acme', 'Pacific/Tongatapu');
         INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at, request_id)
         SELECT 'acme', 'm' || i % 3, i * 0.000001, now() - i * interval '5 hours', i::text FROM generate_series(1, 300) i;
         SELECT costsim_purge_cost_records('50 days'), costsim_refresh_costs(), costsim_purge_cost_records('49 days')",
    )?;
    let file =
        format!("{}/spent.dump", cluster.socket_dir().to_str().context("a folder whose name is no text")?);
    let source = cluster.conn_string("spent");
    run_tool(&cluster, "pg_dump", ["--format=custom", "--no-sync", "--file", &file, "--dbname", &source])?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE restored")?;
    let target = cluster.conn_string("restored");
    run_tool(&cluster, "pg_restore", ["--exit-on-error", "--section=pre-data", "--dbname", &target, &file])?;
    let mut after = cluster.connect("restored")?;
    for table in ["costsim_cost_purged", "costsim_cost_records", "costsim_cost_tenants"] {
        run_tool(
            &cluster,
            "pg_restore",
            ["--exit-on-error", "--data-only", "--table", table, "--dbname", &target, &file],
        )?;
        let is_folded = "SELECT NOT EXISTS (SELECT FROM costsim_cost_pending) AND EXISTS (SELECT FROM costsim_cost_quarters)";
        wait_for(&mut after, "the worker to fold", is_folded)?;
    }
    let days = "SELECT string_agg(x::text, ' ') FROM (
                    SELECT p.entity_id, p.day, sum(p.cost_cents), sum(p.requests) FROM _costsim_cost_days('acme', 'model', NULL, '-infinity', 'infinity') p
                     GROUP BY 1, 2 ORDER BY 1, 2) x";
    assert_eq!(one::<String>(&mut after, days)?, one::<String>(&mut before, days)?);
    Ok(())
}

#[test]
fn of_concurrent_batches_with_the_same_requests_each_is_recorded_once() -> Result<()> {
    let (cluster, mut client) = database("once")?;
    let mut rng = seed(9)?;
    let recorded: usize = thread::scope(|scope| {
        let sessions: Vec<_> = (0..6)
            .map(|number| {
                let mut rng = rng.fork();
                let cluster = &cluster;
                scope.spawn(move || -> Result<usize> {
                    let mut client = cluster.connect("once")?;
                    let mut recorded = 0;
                    for _ in 0..30 {
                        let mut requests: Vec<u32> = (0..40).map(|_| rng.u32(..600)).collect();
                        rng.shuffle(&mut requests);
                        let records: Vec<String> = requests
                            .iter()
                            .map(|request| format!(r#"{{"tenant_id": "acme", "model": "s{number}", "cost_cents": 1, "request_id": "{request}"}}"#))
                            .collect();
                        let call = format!(
                            "SELECT status, id FROM costsim_record_costs('[{}]', {})",
                            records.join(","),
                            rng.u8(..4) == 0
                        );
                        for row in client.query(&call, &[])? {
                            let (status, id): (&str, Option<i64>) = (row.get(0), row.get(1));
                            ensure!(id.is_some() && matches!(status, "recorded" | "duplicate"), "{status} {id:?}");
                            recorded += usize::from(status == "recorded");
                        }
                    }
                    Ok(recorded)
                })
            })
            .collect();
        sessions
            .into_iter()
            .map(|it| it.join().map_err(|_| anyhow!("a session panicked"))?)
            .sum::<Result<usize>>()
    })?;
    let found: i64 = one(&mut client, "SELECT count(*) FROM costsim_cost_records")?;
    assert_eq!(i64::try_from(recorded)?, found);
    assert_eq!(
        one::<i64>(&mut client, "SELECT count(DISTINCT request_id) FROM costsim_cost_records")?,
        found
    );
    Ok(())
}

#[test]
fn a_batch_that_is_malformed_anywhere_writes_nothing() -> Result<()> {
    let (_cluster, mut client) = database("malformed")?;
    let mut rng = seed(10)?;
    let keys = [
        "tenant_id",
        "model",
        "cost_cents",
        "input_tokens",
        "created_at",
        "is_retry",
        "request_id",
        "nonsense",
    ];
    let values = [
        "{}",
        "[1]",
        "\"\"",
        "1e500",
        "-1",
        "\"\\u00e9\"",
        "true",
        "\"2025-13-01T00:00:00Z\"",
        "\"2025-01-01T00:00:00+15:59\"",
    ];
    for _ in 0..200 {
        let (key, value) = (keys[rng.usize(..keys.len())], values[rng.usize(..values.len())]);
        let fine = r#"{"tenant_id": "acme", "model": "m", "cost_cents": 1}"#;
        let odd = format!(r#"{{"tenant_id": "acme", "model": "m", "cost_cents": 1, "{key}": {value}}}"#);
        let long = format!(
            r#"{{"tenant_id": "acme", "model": "m", "cost_cents": 1, "request_id": "{}"}}"#,
            "x".repeat(rng.usize(500..530))
        );
        let place = rng.usize(..3);
        let mut records = vec![fine, fine];
        let unfit = if rng.u8(..4) == 0 { long.as_str() } else { odd.as_str() };
        records.insert(place, unfit);
        let call = format!("SELECT count(*) FROM costsim_record_costs('[{}]')", records.join(","));
        match client.simple_query(&call) {
            Ok(_) => client.batch_execute("TRUNCATE costsim_cost_records")?,
            Err(error) => {
                let error = error.as_db_error().context("no error of the server")?;
                ensure!(error.code().code() == "22023", "{} for {unfit}", error.code().code());
                ensure!(
                    error.message().starts_with(&format!("records[{place}].")),
                    "{} for {unfit}",
                    error.message()
                );
            }
        }
        assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_cost_records")?, 0, "{unfit}");
    }
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim_record_costs('[1, 2')")?, "22P02");
    Ok(())
}

#[test]
fn worker_folds_what_is_pending_and_purges_by_the_retention() -> Result<()> {
    let cluster = Cluster::builder()
        .preload(true)
        .conf("costsim.databases", "metered")
        .conf("costsim.worker_poll_interval", "1 s")
        .conf("costsim.cost_retention", "1 d")
        .start()?;
    let mut client = cluster.create_database_with_extension("metered")?;
    client.batch_execute(
        "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
         SELECT 'acme', 'm', 1, now() - i * interval '1 hour' FROM generate_series(1, 48) i",
    )?;
    wait_for(
        &mut client,
        "the worker to fold and purge",
        "SELECT (SELECT count(*) FROM costsim_cost_records) < 25 AND NOT EXISTS (SELECT FROM costsim_cost_pending)
            AND (SELECT sum(requests) FROM costsim_cost_purged) >= 23
            AND (SELECT sum(requests) FROM costsim_cost_daily WHERE dimension = 'tenant') = 48",
    )?;
    assert!(one::<bool>(
        &mut client,
        "SELECT sum(requests) = 48 FROM costsim_cost_quarters WHERE dimension = 'model'"
    )?);
    let noted = "SELECT count(*) = 2 AND bool_and(last_error IS NULL) FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs')";
    assert!(one::<bool>(&mut client, noted)?);
    Ok(())
}
