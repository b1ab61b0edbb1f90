//! Predictions are said once, whoever looks and however often: one current row for each subject, and of each tenant by its own runs alone.

use anyhow::{Result, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, one};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

/// Of a tenant's workers, which is known by its name in every tenant.
const RUNS: &str = "INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, cost_cents, created_at)
     SELECT 'tenant ' || t, 'worker ' || w, CASE WHEN g % 4 < t THEN 'failed' ELSE 'completed' END, 10 * 1.1 ^ g * (1 + 0.02 * (g % 3)), now() - interval '1 hour' + g * interval '1 minute'
       FROM generate_series(0, 4) t, generate_series(1, 5) w, generate_series(1, 40) g";

/// Two rows that are current beside each other, or a chain that leads nowhere.
const TORN: &str = "SELECT (SELECT count(*) FROM (SELECT 1 FROM costsim_predictions WHERE superseded_at IS NULL
                       GROUP BY tenant_id, prediction_type, subject_type, subject_id, method HAVING count(*) > 1) d)
                 + (SELECT count(*) FROM costsim_predictions p LEFT JOIN costsim_predictions s ON s.id = p.superseded_by
                     WHERE p.superseded_by IS NOT NULL AND (s.id IS NULL OR (s.tenant_id, s.prediction_type, s.subject_id, s.method)
                                                             IS DISTINCT FROM (p.tenant_id, p.prediction_type, p.subject_id, p.method)))";

/// What the server says when one of its processes has died.
const COME_BACK: &str = "all server processes terminated; reinitializing";

#[test]
fn many_who_predict_and_emit_at_once_and_some_of_whom_are_killed_keep_one_current_row_each() -> Result<()> {
    let rounds: u32 = std::env::var("COSTSIM_PREDICTIONS").map_or(Ok(12), |count| count.parse())?;
    let cluster = Cluster::builder().start()?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE race")?;
    let mut client = cluster.connect("race")?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    client.batch_execute(RUNS)?;
    let is_over = AtomicBool::new(false);
    let (done, cut_off) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| -> Result<()> {
            let mut client = cluster.connect("race")?;
            // What changes what is said, of one tenant.
            while !is_over.load(Ordering::Relaxed) {
                client.batch_execute("INSERT INTO costsim_worker_runs (tenant_id, worker_id, status) VALUES ('tenant 2', 'worker 1', 'failed')")?;
                thread::yield_now();
            }
            Ok(())
        });
        let lookers: Vec<_> = (0..4)
            .map(|number| {
                let (cluster, done, cut_off) = (&cluster, &done, &cut_off);
                scope.spawn(move || -> Result<()> {
                    let mut completed = 0;
                    while completed < rounds {
                        let mut client = cluster.connect("race")?;
                        client.batch_execute("SET application_name = 'looker'")?;
                        let query = match number {
                            0 => "SELECT count(*) FROM costsim_predict()",
                            1 => "SELECT sum((SELECT count(*) FROM costsim_predict('tenant ' || t)))::bigint FROM generate_series(4, 0, -1) t",
                            2 => "SELECT count(*) FROM generate_series(1, 20) g WHERE costsim_emit_prediction('tenant 1', 'own', 'worker', 'worker ' || g % 3, 0.5, to_jsonb(g)) > 0",
                            _ => "SELECT count(*) FROM (SELECT costsim_predict('tenant 2'), costsim_predict('tenant 2', 'reference')) p",
                        };
                        match one::<i64>(&mut client, query) {
                            Ok(_) => {
                                completed += 1;
                                done.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(_) if client.simple_query("SELECT 1").is_err() => {
                                cut_off.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => return Err(error),
                        }
                        let mut client = cluster.connect("race")?;
                        ensure!(one::<i64>(&mut client, TORN)? == 0, "two are current, or a chain is torn");
                    }
                    Ok(())
                })
            })
            .collect();
        let mut killer = cluster.connect("race")?;
        while lookers.iter().any(|looker| !looker.is_finished()) {
            // One that is at work, at any moment of it; not so many that none comes through.
            if cut_off.load(Ordering::Relaxed) <= done.load(Ordering::Relaxed) {
                killer.batch_execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE application_name = 'looker' AND state = 'active' AND datname = 'race' ORDER BY random() LIMIT 1",
                )?;
            }
            thread::yield_now();
        }
        is_over.store(true, Ordering::Relaxed);
        for thread in lookers.into_iter().chain([writer]) {
            thread.join().map_err(|_| anyhow::anyhow!("a session panicked"))??;
        }
        Ok(())
    })?;
    ensure!(cut_off.load(Ordering::Relaxed) > 0, "nobody was killed");
    // Nobody's end was the server's.
    ensure!(!cluster.log()?.contains(COME_BACK), "the server came down");
    // And one that is: a session dies in the midst of its look, uncommitted, and all others with it.
    let mut victim = cluster.connect("race")?;
    let pid: i32 = one(&mut victim, "SELECT pg_backend_pid()")?;
    victim.batch_execute("BEGIN; SELECT count(*) FROM costsim_predict(); SELECT costsim_emit_prediction('tenant 1', 'own', 'worker', 'worker 1', 0.5, '{}')")?;
    cluster.kill_backend(pid, Signal::KILL)?;
    wait_until(LIMIT, "the server to come back", || Ok(cluster.log()?.contains(COME_BACK).then_some(())))?;
    let mut client = wait_until(LIMIT, "a session", || Ok(cluster.connect("race").ok()))?;
    ensure!(one::<i64>(&mut client, TORN)? == 0, "two are current, or a chain is torn");
    let found: i64 = one(&mut client, "SELECT count(*) FROM costsim_predict()")?;
    ensure!(found > 20, "{found} were found");
    ensure!(one::<i64>(&mut client, TORN)? == 0, "two are current, or a chain is torn");
    let current: i64 = one(
        &mut client,
        "SELECT count(*) FROM costsim_predictions WHERE superseded_at IS NULL AND method = 'standard'",
    )?;
    ensure!(current == found, "{current} are current of {found}");
    // The same again, any number of times: nothing new.
    let again = "SELECT count(*) FROM generate_series(1, 5) g, LATERAL (SELECT * FROM costsim_predict() WHERE g > 0) p WHERE p.is_new";
    ensure!(one::<i64>(&mut client, again)? == 0, "what was said was said anew");
    Ok(())
}

#[test]
fn two_tenants_with_workers_of_one_name_learn_nothing_of_each_other() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE apart")?;
    let mut client = cluster.connect("apart")?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    client.batch_execute(RUNS)?;
    let said = "SELECT string_agg(concat_ws(' ', prediction_type, subject_id, confidence_score, prediction_value), ';' ORDER BY prediction_type, subject_id)
                  FROM costsim_predict('tenant 2')";
    let alone: String = one(&mut client, said)?;
    // Whatever another tenant does, under the very names: what is said of this one is the same to the last digit.
    client.batch_execute(
        "DELETE FROM costsim_predictions;
         INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, error, cost_cents)
         SELECT 'tenant 3', 'worker ' || g % 5, 'failed', 'of tenant 3', 1000 FROM generate_series(1, 5000) g;
         SELECT count(*) FROM costsim_predict('tenant 3')",
    )?;
    let beside: String = one(&mut client, said)?;
    ensure!(alone == beside, "{alone}\nbeside\n{beside}");
    let of_all = "SELECT count(*) FROM (SELECT confidence_score, prediction_value, subject_id, prediction_type FROM costsim_predict() WHERE tenant_id = 'tenant 2'
                   EXCEPT SELECT confidence_score, prediction_value, subject_id, prediction_type FROM costsim_query_predictions('tenant 2')) d";
    ensure!(one::<i64>(&mut client, of_all)? == 0, "asked of all it is another answer");
    let traces = "SELECT count(*) FROM costsim_query_predictions('tenant 2', include_superseded => true) q WHERE q::text LIKE '%tenant 3%'";
    ensure!(one::<i64>(&mut client, traces)? == 0, "one tenant's row tells of another");
    let ids = "SELECT count(*) FROM costsim_predictions p, LATERAL costsim_get_prediction('tenant 2', p.id) g WHERE p.tenant_id <> 'tenant 2'";
    ensure!(one::<i64>(&mut client, ids)? == 0, "an id of another tenant was found");
    Ok(())
}
