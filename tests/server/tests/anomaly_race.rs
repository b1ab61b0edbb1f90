//! Anomalies are found once, whoever looks and however often, and told once.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Alertmanager, Cluster, wait_until};
use costsim_server_tests::{LIMIT, Shared, Site, kill_and_reconnect, one, wait_for};
use postgres::{Client, NoTls};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// An end-to-end promise of the worker.
const A_MINUTE: Duration = Duration::from_secs(60);

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().start())
}

/// A zone in which it is about noon now: no test meets a midnight.
const NOON: &str = "(SELECT 'Etc/GMT' || CASE WHEN u.hour < 12 THEN '-' ELSE '+' END || abs(u.hour - 12)
                       FROM (SELECT extract(hour FROM now() AT TIME ZONE 'UTC')::integer AS hour) u)";

/// Three weeks of the usual for some tenants, and two days of much more.
fn plant(client: &mut Client, tenants: i32) -> Result<()> {
    client.batch_execute(&format!(
        "INSERT INTO costsim_cost_tenants SELECT 'tenant ' || t, {NOON} FROM generate_series(1, {tenants}) t;
         INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
         SELECT 'tenant ' || t, 'ada', 'chat.answer', 'm', CASE WHEN d < 2 THEN 1500 ELSE 1000 END,
                date_trunc('day', now(), {NOON}) - d * interval '1 day'
           FROM generate_series(1, {tenants}) t, generate_series(0, 20) d;
         SELECT costsim_refresh_costs()"
    ))?;
    Ok(())
}

/// Rows that are open beside each other, and alerts that fire without one or the other way round.
fn check_one_set(client: &mut Client, tenants: i64) -> Result<()> {
    let keys = "SELECT count(*) FROM (SELECT tenant_id, anomaly_type, entity_type, coalesce(entity_id, ''), period
                  FROM costsim_cost_anomalies WHERE status IN ('open', 'acknowledged') GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1) d";
    ensure!(one::<i64>(client, keys)? == 0, "an anomaly is open twice");
    let high = "SELECT count(DISTINCT alert_fingerprint) FROM costsim_cost_anomalies
                 WHERE status IN ('open', 'acknowledged') AND severity = 'HIGH'";
    // A tenant, a feature, a user and a model of each.
    ensure!(one::<i64>(client, high)? == 4 * tenants, "not every one has its alert");
    let apart = "SELECT count(*) FROM costsim_alerts a FULL JOIN (
                     SELECT DISTINCT alert_fingerprint FROM costsim_cost_anomalies WHERE status IN ('open', 'acknowledged') AND severity = 'HIGH') o
                     ON o.alert_fingerprint = a.fingerprint
                  WHERE (a.fingerprint IS NULL) OR (o.alert_fingerprint IS NULL) IS DISTINCT FROM (a.resolved_at IS NOT NULL)";
    ensure!(one::<i64>(client, apart)? == 0, "alerts and anomalies tell different things");
    Ok(())
}

#[test]
fn many_who_look_at_once_while_records_come_in_and_some_are_killed_find_one_set() -> Result<()> {
    let rounds: u32 = std::env::var("COSTSIM_DETECTIONS").map_or(Ok(12), |count| count.parse())?;
    let cluster = cluster()?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE race")?;
    let mut client = cluster.connect("race")?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    plant(&mut client, 20)?;
    let is_over = AtomicBool::new(false);
    let done = AtomicU32::new(0);
    let cut_off = AtomicU32::new(0);
    thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = (0..2)
            .map(|number| {
                let (cluster, is_over) = (&cluster, &is_over);
                scope.spawn(move || -> Result<()> {
                    let mut client = cluster.connect("race")?;
                    let write = format!(
                        "INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents)
                         SELECT 'tenant ' || t, 'ada', 'chat.answer', 'm', 0.01 FROM generate_series(1 + {number}, 20, 2) t"
                    );
                    while !is_over.load(Ordering::Relaxed) {
                        client.batch_execute(&write)?;
                        client.batch_execute("SELECT costsim_refresh_costs()")?;
                    }
                    Ok(())
                })
            })
            .collect();
        let lookers: Vec<_> = (0..4)
            .map(|number| {
                let (cluster, done, cut_off) = (&cluster, &done, &cut_off);
                scope.spawn(move || -> Result<()> {
                    let mut completed = 0;
                    while completed < rounds {
                        // It bears its name from the start, or it could be killed in the middle of taking it.
                        let mut config = cluster.config("race");
                        let mut client = config.application_name("looker").connect(NoTls)?;
                        let query = if number % 2 == 0 {
                            "SELECT count(*) FROM costsim_detect_anomalies()"
                        } else {
                            "SELECT sum((SELECT count(*) FROM costsim_detect_anomalies('tenant ' || t)))::bigint FROM generate_series(1, 20) t"
                        };
                        match one::<i64>(&mut client, query) {
                            Ok(found) => {
                                ensure!(found == 80, "{found} were found");
                                completed += 1;
                                done.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(_) if client.simple_query("SELECT 1").is_err() => {
                                cut_off.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => return Err(error),
                        }
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
        for thread in lookers.into_iter().chain(writers) {
            thread.join().map_err(|_| anyhow::anyhow!("a session panicked"))??;
        }
        Ok(())
    })?;
    ensure!(cut_off.load(Ordering::Relaxed) > 0, "nobody was killed");
    check_one_set(&mut client, 20)?;
    ensure!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_detect_anomalies()")? == 80);
    check_one_set(&mut client, 20)?;
    // Nothing that was in flight is lost: what is stored is what the records say.
    let apart = "SELECT count(*) FROM costsim_cost_anomalies a
                  WHERE a.entity_type = 'tenant' AND a.status = 'open' AND a.current_value_cents <>
                        (SELECT sum(r.cost_cents) FROM costsim_cost_records r
                          WHERE r.tenant_id = a.tenant_id AND r.created_at >= a.period_start::timestamp AT TIME ZONE costsim_cost_time_zone(a.tenant_id))";
    ensure!(one::<i64>(&mut client, apart)? == 0, "an anomaly is not what was spent");
    Ok(())
}

#[test]
fn spike_is_an_anomaly_and_an_alert_within_a_minute_and_is_over_with_it() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let builder = Site::builder(&alertmanager.url()).conf("costsim.detect_interval", "5s");
    let site = Site::start(builder)?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    let begun_at = Instant::now();
    plant(&mut client, 1)?;
    let labels = [
        ("alertname", "CostSimCostAnomaly"),
        ("tenant_id", "tenant 1"),
        ("entity_type", "tenant"),
        ("anomaly_type", "ABSOLUTE_SPIKE"),
        ("severity", "high"),
    ];
    wait_until(A_MINUTE, "the alert", || alertmanager.alert_state(&labels))?;
    let took = begun_at.elapsed();
    ensure!(took < A_MINUTE, "{took:?}");
    check_one_set(&mut client, 1)?;
    let id: i64 = one(
        &mut client,
        "SELECT id FROM costsim_cost_anomalies WHERE entity_type = 'tenant' AND status = 'open'",
    )?;
    ensure!(one::<bool>(&mut client, &format!("SELECT costsim_resolve_anomaly('tenant 1', {id}, 'ann')"))?);
    wait_until(LIMIT, "the alert to end", || Ok(alertmanager.alert_state(&labels)?.is_none().then_some(())))?;
    Ok(())
}

#[test]
fn worker_looks_at_tenants_with_something_new_and_at_no_others() -> Result<()> {
    let site = Site::start(Site::builder("").conf("costsim.detect_interval", "1s"))?;
    let mut client = site.connect()?;
    plant(&mut client, 250)?;
    wait_for(
        &mut client,
        "all tenants to be looked at",
        "SELECT count(*) = 250 AND bool_and(NOT is_due AND detected_at IS NOT NULL) FROM costsim_cost_detection",
    )?;
    check_one_set(&mut client, 250)?;
    let before: Option<String> =
        one(&mut client, "SELECT max(detected_at)::text FROM costsim_cost_detection")?;
    let before = before.context("nobody looked")?;
    client.batch_execute(
        "INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents) VALUES ('tenant 7', 'ada', 'm', 1)",
    )?;
    wait_for(
        &mut client,
        "one of them to be looked at again",
        &format!("SELECT detected_at > '{before}' FROM costsim_cost_detection WHERE tenant_id = 'tenant 7'"),
    )?;
    let others: i64 = one(
        &mut client,
        &format!(
            "SELECT count(*) FROM costsim_cost_detection WHERE detected_at > '{before}' AND tenant_id <> 'tenant 7'"
        ),
    )?;
    ensure!(others == 0, "{others} others were looked at without a reason");
    Ok(())
}

#[test]
fn worker_leaves_it_to_who_leads_the_lock_and_goes_on_after_a_crash() -> Result<()> {
    let builder =
        Site::builder("").conf("costsim.detect_interval", "1s").conf("costsim.worker_poll_interval", "1s");
    let site = Site::start(builder)?;
    let mut client = site.connect()?;
    ensure!(one::<bool>(&mut client, "SELECT costsim_try_leader(costsim_lock_id('cost_detector'))")?);
    plant(&mut client, 3)?;
    // The session that leads may look itself; the worker has not, however often it was its turn.
    for _ in 0..3 {
        let now: String = one(&mut client, "SELECT clock_timestamp()::text")?;
        wait_for(
            &mut client,
            "a turn of the worker",
            &format!(
                "SELECT EXISTS (SELECT FROM costsim_maintenance
                                 WHERE task = 'detect_anomalies' AND last_error LIKE '55P03: %7005' AND last_run_at > '{now}')"
            ),
        )?;
    }
    ensure!(
        one::<i64>(&mut client, "SELECT count(*) FROM costsim_cost_detection WHERE detected_at IS NOT NULL")?
            == 0
    );
    ensure!(
        one::<i64>(
            &mut client,
            "SELECT count(*) FROM costsim_detect_anomalies('tenant 1') WHERE severity = 'HIGH'"
        )? == 4
    );
    let worker = Site::worker_pid(&mut client)?;
    let mut client = kill_and_reconnect(&site.cluster, worker, &mut client, "app")?;
    wait_for(
        &mut client,
        "all tenants to be looked at",
        "SELECT count(*) = 3 AND bool_and(detected_at IS NOT NULL) FROM costsim_cost_detection",
    )?;
    wait_for(
        &mut client,
        "the trouble to be over",
        "SELECT last_error IS NULL AND last_rows > 0 FROM costsim_maintenance WHERE task = 'detect_anomalies'",
    )?;
    check_one_set(&mut client, 3)
}

#[test]
fn worker_and_hands_look_together_and_find_one_set() -> Result<()> {
    let cluster = Cluster::builder().preload(true).conf("costsim.detect_interval", "1s").start()?;
    let mut client = cluster.connect("postgres")?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    client.batch_execute("SELECT costsim_worker_start()")?;
    plant(&mut client, 30)?;
    // Whoever looks by hand meets the worker that looks by its interval.
    wait_until(LIMIT, "both to have looked", || {
        ensure!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_detect_anomalies()")? == 120);
        let all = "SELECT bool_and(detected_at IS NOT NULL) FROM costsim_cost_detection";
        Ok(one::<bool>(&mut client, all)?.then_some(()))
    })?;
    check_one_set(&mut client, 30)
}

/// The worker has looked at all that are due.
const NOBODY_IS_DUE: &str = "SELECT NOT EXISTS (SELECT FROM _costsim_anomaly_due('', 1))";

/// Its worker folds and looks every second.
fn quick_site() -> Result<Site> {
    let builder =
        Site::builder("").conf("costsim.detect_interval", "1s").conf("costsim.worker_poll_interval", "1s");
    Site::start(builder)
}

#[test]
fn worker_judges_yesterday_to_its_end_and_tells_of_it() -> Result<()> {
    let site = quick_site()?;
    let mut client = site.connect()?;
    // The same zone to the end, whatever hour begins meanwhile.
    let noon: String = one(&mut client, &format!("SELECT {NOON}"))?;
    // The usual, up to yesterday.
    client.batch_execute(&format!(
        "INSERT INTO costsim_cost_tenants VALUES ('late', '{noon}');
         INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
         SELECT 'late', 'ada', 'chat.answer', 'm', 1000, date_trunc('day', now(), '{noon}') - d * interval '1 day' FROM generate_series(0, 20) d"
    ))?;
    wait_for(
        &mut client,
        "a look",
        "SELECT count(*) = 1 AND bool_and(detected_at IS NOT NULL) FROM costsim_cost_detection",
    )?;
    wait_for(&mut client, "a rest", NOBODY_IS_DUE)?;
    ensure!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_cost_anomalies")? == 0);
    // Of the last second of yesterday, and heard of only now.
    client.batch_execute(&format!(
        "INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at)
         VALUES ('late', 'ada', 'chat.answer', 'm', 5000, date_trunc('day', now(), '{noon}') - interval '1 second')"
    ))?;
    wait_for(
        &mut client,
        "yesterday to be told of",
        &format!(
            "SELECT count(*) = 4 AND bool_and(status = 'open' AND severity = 'HIGH' AND current_value_cents = 6000
                                              AND period_start = (now() AT TIME ZONE '{noon}')::date - 1)
               FROM costsim_cost_anomalies a JOIN costsim_alerts f ON f.fingerprint = a.alert_fingerprint AND f.resolved_at IS NULL"
        ),
    )?;
    wait_for(&mut client, "a rest", "SELECT NOT is_due AND due_from IS NULL FROM costsim_cost_detection")?;
    check_one_set(&mut client, 1)
}

#[test]
fn operator_who_does_not_commit_stops_detection_of_his_tenant_alone() -> Result<()> {
    let site = quick_site()?;
    let mut client = site.connect()?;
    plant(&mut client, 20)?;
    wait_for(&mut client, "all to be looked at", "SELECT count(*) = 80 FROM costsim_cost_anomalies")?;
    wait_for(&mut client, "a rest", NOBODY_IS_DUE)?;
    let mut operator = site.connect()?;
    operator.batch_execute(
        "BEGIN;
         SELECT costsim_acknowledge_anomaly(tenant_id, id, 'ann') FROM costsim_cost_anomalies WHERE tenant_id = 'tenant 7' AND entity_type = 'user'",
    )?;
    let before: String = one(&mut client, "SELECT clock_timestamp()::text")?;
    client.batch_execute(
        "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) SELECT 'tenant ' || t, 'm', 1 FROM generate_series(1, 20) t",
    )?;
    wait_for(
        &mut client,
        "all others to be looked at",
        &format!(
            "SELECT count(*) = 19 FROM costsim_cost_detection WHERE NOT is_due AND detected_at > '{before}'"
        ),
    )?;
    // His own is neither looked at nor forgotten, and what is pending of it was folded all the same.
    let his = "SELECT is_due FROM costsim_cost_detection WHERE tenant_id = 'tenant 7'";
    wait_for(&mut client, "the fold", his)?;
    // He may go on, in any order.
    operator.batch_execute(
        "SELECT costsim_resolve_anomaly(tenant_id, id, 'ann') FROM costsim_cost_anomalies WHERE tenant_id = 'tenant 7' ORDER BY id DESC; COMMIT",
    )?;
    wait_for(&mut client, "his tenant to be looked at", &format!("SELECT NOT d FROM ({his}) AS q (d)"))?;
    let his = "SELECT count(*) FROM costsim_cost_anomalies WHERE tenant_id = 'tenant 7' AND resolution = 'operator'";
    ensure!(one::<i64>(&mut client, his)? == 4, "the operator did not have the last word");
    Ok(())
}

#[test]
fn tenant_that_cannot_be_looked_at_stops_no_other() -> Result<()> {
    let site = quick_site()?;
    let mut client = site.connect()?;
    client.batch_execute(
        "CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a stone'; END$$;
         CREATE TRIGGER stumble BEFORE INSERT ON costsim_cost_anomalies FOR EACH ROW
            WHEN (new.tenant_id IN ('tenant 7', 'tenant 93')) EXECUTE FUNCTION stumble()",
    )?;
    plant(&mut client, 120)?;
    wait_for(
        &mut client,
        "all others to be looked at",
        "SELECT count(*) = 118 AND bool_and(detected_at IS NOT NULL) FROM costsim_cost_detection WHERE tenant_id NOT IN ('tenant 7', 'tenant 93')",
    )?;
    check_one_set(&mut client, 118)?;
    wait_for(
        &mut client,
        "the trouble to be noted",
        "SELECT EXISTS (SELECT FROM costsim_maintenance WHERE task = 'detect_anomalies' AND last_error ~ '^tenant tenant (7|93): P0001: a stone$')",
    )?;
    ensure!(
        one::<i64>(
            &mut client,
            "SELECT count(*) FROM costsim_cost_detection WHERE detected_at IS NULL AND is_due"
        )? == 2
    );
    // Once the stone is away they have their turn.
    client.batch_execute("DROP TRIGGER stumble ON costsim_cost_anomalies")?;
    wait_for(
        &mut client,
        "the trouble to be over",
        "SELECT last_error IS NULL FROM costsim_maintenance WHERE task = 'detect_anomalies'",
    )?;
    check_one_set(&mut client, 120)
}

#[test]
fn tenant_whose_rows_are_locked_stops_no_other() -> Result<()> {
    let site = quick_site()?;
    let mut client = site.connect()?;
    plant(&mut client, 8)?;
    wait_for(&mut client, "all to be looked at", "SELECT count(*) = 32 FROM costsim_cost_anomalies")?;
    wait_for(&mut client, "a rest", NOBODY_IS_DUE)?;
    let mut idle = site.connect()?;
    idle.batch_execute("BEGIN; SELECT FROM costsim_cost_anomalies WHERE tenant_id = 'tenant 3' FOR UPDATE")?;
    let before: String = one(&mut client, "SELECT clock_timestamp()::text")?;
    client.batch_execute(
        "INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) SELECT 'tenant ' || t, 'm', 1 FROM generate_series(1, 8) t",
    )?;
    wait_for(
        &mut client,
        "all others to be looked at",
        &format!(
            "SELECT count(*) = 7 FROM costsim_cost_detection WHERE NOT is_due AND detected_at > '{before}'"
        ),
    )?;
    wait_for(
        &mut client,
        "the trouble to be noted",
        "SELECT EXISTS (SELECT FROM costsim_maintenance WHERE task = 'detect_anomalies' AND last_error LIKE 'tenant tenant 3: 55P03: %')",
    )?;
    idle.batch_execute("COMMIT")?;
    wait_for(&mut client, "the last to be looked at", NOBODY_IS_DUE)?;
    check_one_set(&mut client, 8)
}
