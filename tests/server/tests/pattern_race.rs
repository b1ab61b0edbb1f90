//! Patterns are kept once, whoever looks and however often, and no tenant sees what another one's look like.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::one;
use postgres::Client;

/// How many looks each session takes.
fn rounds() -> u32 {
    std::env::var("COSTSIM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(25)
}

fn database(cluster: &Cluster, name: &str) -> Result<Client> {
    cluster.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {name}"))?;
    let mut client = cluster.connect(name)?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    Ok(client)
}

#[test]
fn many_who_look_at_once_keep_one_row_each() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = database(&cluster, "race")?;
    let is_over = AtomicBool::new(false);
    let looks = [
        "SELECT count(*) FROM costsim_detect_patterns()",
        "SELECT count(*) FROM costsim_detect_patterns('t1')",
        "SELECT count(*) FROM costsim_detect_patterns('t2')",
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM costsim_detect_patterns('t1'); COMMIT",
        "SELECT count(*) FROM costsim_detect_patterns(); SELECT costsim_acknowledge_feedback('t1', 1, 'kim')",
    ];
    thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| -> Result<()> {
            let mut client = cluster.connect("race")?;
            let mut number = 0;
            // Not for ever: every look reads all that was written.
            while number < 200 && !is_over.load(Ordering::Relaxed) {
                number += 1;
                client.batch_execute(&format!(
                    "INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error)
                     SELECT '{number}-' || k, 't' || t, 'w', 'failed', 'step ' || repeat('x', k) || ' failed after {number} s'
                       FROM generate_series(1, 3) t, generate_series(1, 4) k"
                ))?;
            }
            Ok(())
        });
        // Whoever is in the middle of a look is ended now and then.
        let killer = scope.spawn(|| -> Result<u32> {
            let mut client = cluster.connect("race")?;
            let mut ended = 0;
            while !is_over.load(Ordering::Relaxed) {
                let rows = client.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE query LIKE '%costsim_detect%' AND state = 'active' AND pid <> pg_backend_pid() AND random() < 0.02 LIMIT 1",
                    &[],
                )?;
                ended += u32::try_from(rows.len())?;
            }
            Ok(ended)
        });
        let lookers: Vec<_> = (0..2 * looks.len())
            .map(|nth| {
                let (cluster, look) = (&cluster, looks[nth % looks.len()]);
                scope.spawn(move || -> Result<u32> {
                    let mut client = cluster.connect("race")?;
                    let mut done = 0;
                    while done < rounds() {
                        match client.batch_execute(look) {
                            Ok(()) => done += 1,
                            Err(error)
                                if client.is_closed()
                                    || error.code().is_some_and(|code| code.code() == "57P01") =>
                            {
                                client = cluster.connect("race")?;
                            }
                            // A deadlock or a row that is there twice would be one of these.
                            Err(error) => return Err(error.into()),
                        }
                    }
                    Ok(done)
                })
            })
            .collect();
        let outcomes: Vec<_> = lookers.into_iter().map(|looker| looker.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            outcome.map_err(|_| anyhow::anyhow!("a session panicked"))??;
        }
        writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
        let ended = killer.join().map_err(|_| anyhow::anyhow!("the killer panicked"))??;
        eprintln!("{ended} sessions were ended");
        Ok(())
    })?;
    client.batch_execute("SELECT count(*) FROM costsim_detect_patterns()")?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_pattern_feedback")?, 12);
    assert_eq!(
        one::<i64>(&mut client, "SELECT count(*) FROM costsim_pattern_feedback WHERE is_current")?,
        12
    );
    let differing = "SELECT count(*) FROM costsim_pattern_feedback f
                      WHERE occurrence_count <> (SELECT count(*) FROM costsim_worker_runs r
                                                  WHERE r.tenant_id = f.tenant_id AND costsim_error_signature(r.error) = f.signature)";
    assert_eq!(one::<i64>(&mut client, differing)?, 0);
    Ok(())
}

#[test]
fn no_tenant_learns_of_another_one_with_the_same_error() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = database(&cluster, "tenants")?;
    client.batch_execute(
        "INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error)
         SELECT 'zebra-' || n, 'zebra', 'zebraworker', 'failed', 'disk full' FROM generate_series(1, 7717) n;
         INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error)
         SELECT 'acme-' || n, 'acme', 'w', 'failed', 'disk full' FROM generate_series(1, 3) n;
         INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, cost_cents, created_at)
         SELECT 'zebracost-' || n, t, 'w', 'completed', CASE n WHEN 1 THEN 7718 ELSE 100 END, now() - n * interval '1 minute'
           FROM (VALUES ('zebra')) v (t), generate_series(1, 9) n;
         SELECT count(*) FROM costsim_detect_patterns('zebra')",
    )?;
    let zebras: i64 =
        one(&mut client, "SELECT id FROM costsim_pattern_feedback WHERE pattern_type = 'failure_pattern'")?;
    let statements = [
        "SELECT d FROM costsim_detect_patterns('acme') d".to_owned(),
        "SELECT f FROM costsim_query_feedback('acme', include_past => true) f".to_owned(),
        format!("SELECT f FROM costsim_get_feedback('acme', {zebras}) f"),
        "SELECT f FROM costsim_feedback_stats('acme') f".to_owned(),
        format!("SELECT costsim_acknowledge_feedback('acme', {zebras}, 'kim')"),
        "SELECT d FROM costsim_detect_patterns('acme', \"window\" => '0') d".to_owned(),
        "SELECT d FROM costsim_detect_patterns('acme', method => 'reference') d".to_owned(),
        "SELECT f FROM costsim_pattern_feedback f WHERE tenant_id = 'acme'".to_owned(),
    ];
    for statement in &statements {
        let answer = match client.simple_query(statement) {
            Ok(rows) => format!("{rows:?}"),
            Err(error) => format!("{:?}", error.as_db_error()),
        };
        for secret in ["zebra", "7717", "7718"] {
            ensure!(!answer.contains(secret), "{statement}: {answer}");
        }
    }
    // Both looks together do the same as each.
    client.batch_execute("SELECT count(*) FROM costsim_detect_patterns()")?;
    let counts = "SELECT string_agg(tenant_id || occurrence_count, ' ' ORDER BY tenant_id, pattern_type) FROM costsim_pattern_feedback WHERE signature_version = 1";
    assert_eq!(one::<String>(&mut client, counts)?, "acme3 zebra1 zebra7717");
    let known: i64 = one(&mut client, "SELECT count(*) FROM costsim_pattern_feedback WHERE acknowledged")?;
    assert_eq!(known, 0);
    Ok(())
}

#[test]
fn a_tenant_of_which_the_planner_knows_nothing_is_looked_at_in_one_pass() -> Result<()> {
    let cluster = Cluster::builder().conf("autovacuum", "off").start()?;
    let mut client = database(&cluster, "stale")?;
    client.batch_execute(
        "INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error) VALUES ('1', 'old', 'w', 'failed', 'disk full');
         ANALYZE;
         INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error)
         SELECT n::text, 'new', 'w' || n % 30, 'failed', 'no such thing: ' || translate((n % 10000)::text, '0123456789', 'abcdefghij') || ' ' || n
           FROM generate_series(1, 40000) n;
         SET statement_timeout = '30s'",
    )?;
    // Group by group over all runs it would be 400 million comparisons.
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_detect_patterns('new')")?, 10_000);
    let counts = "SELECT count(*) FROM costsim_pattern_feedback
                   WHERE occurrence_count = 4 AND jsonb_array_length(provenance) = 4 AND is_current";
    assert_eq!(one::<i64>(&mut client, counts)?, 10_000);
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_detect_patterns() WHERE is_new")?, 0);
    Ok(())
}

#[test]
fn parallel_workers_find_what_one_process_finds() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = database(&cluster, "parallel")?;
    client.batch_execute(
        "INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, created_at)
         SELECT n::text, 't' || n % 3, 'w' || n * 7919 % 40, 'failed', 'kind ' || repeat('x', n % 5), now() - n * 7919 % 20011 * interval '1 second'
           FROM generate_series(1, 20000) n;
         ANALYZE costsim_worker_runs;
         SET max_parallel_workers_per_gather = 0;
         SELECT count(*) FROM costsim_detect_patterns();
         CREATE TABLE alone AS SELECT tenant_id, signature, occurrence_count, first_seen, last_seen, provenance, metadata FROM costsim_pattern_feedback;
         TRUNCATE costsim_pattern_feedback;
         SET max_parallel_workers_per_gather = 4; SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
         SELECT count(*) FROM costsim_detect_patterns();",
    )?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM alone")?, 15);
    let same = "SELECT count(*) FROM (SELECT * FROM alone INTERSECT
                SELECT tenant_id, signature, occurrence_count, first_seen, last_seen, provenance, metadata FROM costsim_pattern_feedback) s";
    assert_eq!(one::<i64>(&mut client, same)?, 15);
    // And what they find is what there is.
    let right = "SELECT count(*) FROM alone a
                  WHERE provenance = (SELECT jsonb_agg(id ORDER BY created_at DESC, id COLLATE \"C\" DESC)
                                        FROM (SELECT r.* FROM costsim_worker_runs r
                                               WHERE r.tenant_id = a.tenant_id AND costsim_error_signature(r.error) = a.signature
                                               ORDER BY created_at DESC, id COLLATE \"C\" DESC LIMIT 100) n)
                    AND metadata -> 'workers' = (SELECT jsonb_agg(worker_id ORDER BY worker_id COLLATE \"C\")
                                                   FROM (SELECT DISTINCT r.worker_id COLLATE \"C\" AS worker_id FROM costsim_worker_runs r
                                                          WHERE r.tenant_id = a.tenant_id AND costsim_error_signature(r.error) = a.signature
                                                          ORDER BY 1 LIMIT 20) w)
                    AND metadata ->> 'worker_id' = (SELECT r.worker_id FROM costsim_worker_runs r
                                                     WHERE r.tenant_id = a.tenant_id AND costsim_error_signature(r.error) = a.signature
                                                     ORDER BY created_at, id COLLATE \"C\" LIMIT 1)";
    assert_eq!(one::<i64>(&mut client, right)?, 15);
    Ok(())
}

#[test]
fn more_tenants_than_there_is_room_for_locks_are_written_by_later_looks() -> Result<()> {
    let cluster = Cluster::builder().conf("max_locks_per_transaction", "10").start()?;
    let mut client = database(&cluster, "crowd")?;
    client.batch_execute(
        "INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error)
         SELECT 'r', 'tenant ' || n, 'w', 'failed', 'disk full' FROM generate_series(1, 400) n",
    )?;
    let look = "SELECT count(*) FILTER (WHERE is_new) FROM costsim_detect_patterns(threshold => 1)";
    assert_eq!(one::<i64>(&mut client, look)?, 160);
    let mut looks = 1;
    while one::<i64>(&mut client, "SELECT count(*) FROM costsim_pattern_feedback")? < 400 {
        one::<i64>(&mut client, look)?;
        looks += 1;
        ensure!(looks < 100, "not everybody's turn comes");
    }
    assert_eq!(one::<i64>(&mut client, look)?, 0);
    Ok(())
}
