//! Many sessions record against the same hard limits at the same moment, and never pass one, nor stop short of it.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, Shared, one};
use fastrand::Rng;
use postgres::{Client, Error, NoTls};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().conf("max_connections", "400").conf("shared_buffers", "64MB").start())
}

fn sessions() -> Result<usize> {
    std::env::var("COSTSIM_BUDGET_SESSIONS").map_or(Ok(100), |text| Ok(text.parse()?))
}

/// What a session may do: one record, or a batch of them.
fn record(rng: &mut Rng, session: usize, round: usize) -> String {
    let mut one = |number: usize| {
        format!(
            r#"{{"tenant_id": "t", "model": "m{}", "cost_cents": {}.{:06}, "user_id": "u{}", "feature_tag": "f.x",
                 "request_id": "{session}-{round}-{number}", "created_at": "2026-03-{:02}T12:00:00Z"}}"#,
            rng.usize(..3),
            rng.usize(..3),
            rng.usize(1..1_000_000),
            rng.usize(..5),
            rng.usize(10..12),
        )
    };
    let count = if session.is_multiple_of(4) { 5 } else { 1 };
    let records: Vec<String> = (0..count).map(&mut one).collect();
    format!("SELECT * FROM costsim_record_costs('[{}]', enforce => true)", records.join(", "))
}

/// Whether the server ended a transaction for the sake of another, as it may.
fn is_of_the_moment(error: &Error) -> bool {
    error.code().is_some_and(|code| ["40001", "40P01"].contains(&code.code()))
}

/// Records until it is refused several times in a row; answers how many were recorded.
fn spend(client: &mut Client, session: usize, has_ended: &AtomicBool) -> Result<u64> {
    let mut rng = Rng::with_seed(session as u64 + 7);
    let (mut recorded, mut refused) = (0, 0);
    for round in 0.. {
        if refused >= 6 || has_ended.load(Ordering::Relaxed) {
            break;
        }
        let level = if session.is_multiple_of(2) { "READ COMMITTED" } else { "REPEATABLE READ" };
        let record = record(&mut rng, session, round);
        let mut attempt = || -> Result<Vec<String>, Error> {
            let mut transaction = client.transaction()?;
            // A snapshot that is old by the time the budgets are locked.
            transaction.batch_execute(&format!(
                "SET TRANSACTION ISOLATION LEVEL {level}; SELECT count(*) FROM costsim_cost_budgets"
            ))?;
            let rows = transaction.query(&record, &[])?;
            // Some take it back.
            if session.is_multiple_of(7) && round % 3 == 0 {
                transaction.rollback()?;
                return Ok(Vec::new());
            }
            transaction.commit()?;
            Ok(rows.iter().map(|row| row.get("status")).collect())
        };
        let statuses = match attempt() {
            Ok(statuses) => statuses,
            Err(error) if is_of_the_moment(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        recorded += statuses.iter().filter(|status| *status == "recorded").count() as u64;
        if statuses.iter().any(|status| status == "recorded") {
            refused = 0;
        } else if !statuses.is_empty() {
            refused += 1;
        }
    }
    Ok(recorded)
}

/// Day, month and entity budgets, soft ones and ones that are not active among them.
const BUDGETS: &str = "
    SELECT costsim_create_feature_tag('t', 'f.x');
    SELECT costsim_set_budget('t', monthly_limit_cents => 400, daily_limit_cents => 250, hard_limit_enabled => true);
    SELECT costsim_set_budget('t', 'user', 'u1', daily_limit_cents => 30.5, hard_limit_enabled => true);
    SELECT costsim_set_budget('t', 'user', 'u2', monthly_limit_cents => 41.000001, hard_limit_enabled => true);
    SELECT costsim_set_budget('t', 'model', 'm1', monthly_limit_cents => 120, hard_limit_enabled => true);
    SELECT costsim_set_budget('t', 'feature', 'f.x', daily_limit_cents => 240, hard_limit_enabled => true);
    SELECT costsim_set_budget('t', 'model', 'm2', monthly_limit_cents => 1, hard_limit_enabled => false);
    SELECT costsim_set_budget('t', 'user', 'u3', daily_limit_cents => 1, hard_limit_enabled => true, is_active => false)";

/// Each limit with what plain SQL over the records says was spent of it, the highest day of them.
const SPENT: &str = "
    SELECT l.period || ' of ' || b.budget_type || coalesce(' ' || b.entity_id, ''), l.cents::float8, coalesce(max(s.cents), 0)::float8,
           coalesce(max(s.cents), 0) <= l.cents
      FROM costsim_cost_budgets b
     CROSS JOIN LATERAL (VALUES ('day', b.daily_limit_cents), ('month', b.monthly_limit_cents)) l (period, cents)
      LEFT JOIN LATERAL (
            SELECT date_trunc(l.period, r.created_at AT TIME ZONE 'UTC'), sum(r.cost_cents) AS cents FROM costsim_cost_records r
             WHERE r.tenant_id = b.tenant_id
               AND CASE b.budget_type WHEN 'tenant' THEN true WHEN 'user' THEN r.user_id = b.entity_id WHEN 'model' THEN r.model = b.entity_id
                                      ELSE r.feature_tag = b.entity_id END
             GROUP BY 1) s ON true
     WHERE b.is_active AND b.hard_limit_enabled AND l.cents IS NOT NULL
     GROUP BY b.id, 1, l.cents ORDER BY b.id, 1";

fn check_limits(client: &mut Client) -> Result<()> {
    for row in client.query(SPENT, &[])? {
        let (name, limit, spent, is_kept): (String, f64, f64, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        println!("{name}: {spent} of {limit}");
        ensure!(is_kept, "{name}: {spent} spent of {limit}");
    }
    Ok(())
}

#[test]
fn budget_is_never_passed_by_a_hundred_sessions_and_used_to_its_end() -> Result<()> {
    let cluster = cluster()?;
    let mut admin = cluster.create_database_with_extension("race")?;
    admin.batch_execute(BUDGETS)?;
    let sessions = sessions()?;
    let (barrier, has_ended) = (Barrier::new(sessions + 1), AtomicBool::new(false));
    let recorded = thread::scope(|scope| -> Result<u64> {
        let threads: Vec<_> = (0..sessions)
            .map(|session| {
                let (cluster, barrier, has_ended) = (&cluster, &barrier, &has_ended);
                scope.spawn(move || {
                    let client = cluster.config("race").connect(NoTls);
                    barrier.wait();
                    spend(&mut client?, session, has_ended)
                })
            })
            .collect();
        barrier.wait();
        // Sessions that are ended, and folds, in the middle of it.
        let mut folder = cluster.connect("race")?;
        let mut killed = 0;
        let mut rng = Rng::with_seed(1);
        while threads.iter().any(|thread| !thread.is_finished()) && killed < 10 {
            folder.query("SELECT costsim_refresh_costs()", &[])?;
            killed += one::<i64>(
                &mut folder,
                &format!(
                    "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
                      WHERE datname = 'race' AND pid <> pg_backend_pid() AND query LIKE '%enforce%' AND state = 'active'
                        AND {} < 8 LIMIT 1) a",
                    rng.u8(..10)
                ),
            )?;
        }
        let mut recorded = 0;
        let mut lost = 0;
        for thread in threads {
            match thread.join().map_err(|_| anyhow!("a session panicked"))? {
                Ok(count) => recorded += count,
                Err(error)
                    if error.chain().any(|cause| {
                        cause.to_string().contains("terminating connection")
                            || cause.to_string().contains("connection closed")
                    }) =>
                {
                    lost += 1
                }
                Err(error) => {
                    let cause = error
                        .downcast_ref::<Error>()
                        .and_then(Error::as_db_error)
                        .map(|error| error.code().code().to_owned());
                    ensure!(cause.as_deref() == Some("57P01"), "a session ended with {error:#}");
                    lost += 1;
                }
            }
        }
        println!("{recorded} recorded by those that lived, {lost} sessions ended");
        Ok(recorded)
    })?;
    ensure!(recorded > 20, "only {recorded} records");
    check_limits(&mut admin)?;
    // Nothing stopped short: what is refused now would have passed the limit it names, and the least cost there is still goes in.
    let left: f64 = one(
        &mut admin,
        "SELECT least(400 - sum(cost_cents), 240 - sum(cost_cents) FILTER (WHERE created_at < '2026-03-11'))::float8 FROM costsim_cost_records",
    )?;
    ensure!(left >= 0.0, "{left}");
    for day in [10, 11] {
        for user in ["u0", "u1", "u2", "u4"] {
            fill(&mut admin, day, user)?;
        }
    }
    check_limits(&mut admin)?;
    let total: String = one(&mut admin, "SELECT sum(cost_cents)::text FROM costsim_cost_records")?;
    ensure!(total == "400.000000", "the month came to {total}");
    Ok(())
}

/// Spends what is left, by records that are as large as they may be: the largest that is admitted is followed by one of a millionth that is not.
fn fill(client: &mut Client, day: u32, user: &str) -> Result<()> {
    let mut record = |millionths: i64| -> Result<bool> {
        let status: String = client
            .query_one(
                &format!(
                    "SELECT status FROM costsim_record_cost('t', 'm0', {millionths}::numeric / 1000000, feature_tag => 'f.x',
                        user_id => '{user}', created_at => '2026-03-{day} 12:00+00', enforce => true)"
                ),
                &[],
            )?
            .get(0);
        Ok(status == "recorded")
    };
    let mut step: i64 = 1 << 29;
    while step > 0 {
        if !record(step)? {
            step /= 2;
        }
    }
    ensure!(!record(1)?, "a millionth was still admitted");
    Ok(())
}

/// The control: whoever looks first and inserts afterwards overshoots, or this test would show nothing.
#[test]
fn budget_checked_before_the_insert_is_overshot() -> Result<()> {
    let cluster = cluster()?;
    let mut admin = cluster.create_database_with_extension("control")?;
    admin.batch_execute("SELECT costsim_set_budget('t', daily_limit_cents => 10)")?;
    let deadline = Instant::now() + Duration::from_secs(120);
    let sessions = 30;
    let mut rounds = 0;
    loop {
        rounds += 1;
        admin.batch_execute("TRUNCATE costsim_cost_records")?;
        let barrier = Barrier::new(sessions);
        thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> = (0..sessions)
                .map(|_| {
                    let (cluster, barrier) = (&cluster, &barrier);
                    scope.spawn(move || -> Result<()> {
                        let client = cluster.config("control").connect(NoTls);
                        barrier.wait();
                        let mut client = client?;
                        for _ in 0..4 {
                            let spent: f64 = client
                                .query_one("SELECT daily_cents::float8 FROM costsim_current_spend('t', as_of => now() + interval '1 minute')", &[])?
                                .get(0);
                            if spent + 1.0 <= 10.0 {
                                client.batch_execute("SELECT costsim_record_cost('t', 'm', 1)")?;
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a session panicked"))?)
        })?;
        let spent: f64 = one(&mut admin, "SELECT sum(cost_cents)::float8 FROM costsim_cost_records")?;
        if spent > 10.0 {
            println!("{spent} of 10 after {rounds} rounds");
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{rounds} rounds, and never past the limit");
    }
}

/// A backend that dies takes the server down with it; what it had recorded is gone, its lock too, and the limit holds.
#[test]
fn budget_holds_after_a_backend_is_killed_in_the_middle() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut admin = cluster.create_database_with_extension("killed")?;
    admin.batch_execute(
        "SELECT costsim_set_budget('t', daily_limit_cents => 10, hard_limit_enabled => true)",
    )?;
    let mut victim = cluster.connect("killed")?;
    let pid: i32 = one(&mut victim, "SELECT pg_backend_pid()")?;
    victim.batch_execute("BEGIN; SELECT costsim_record_cost('t', 'm', 9, enforce => true)")?;
    let config = cluster.config("killed");
    let waiting = thread::spawn(move || {
        config
            .connect(NoTls)?
            .query("SELECT status FROM costsim_record_cost('t', 'm', 8, enforce => true)", &[])
    });
    wait_until(LIMIT, "the other one to wait", || {
        let count: i64 =
            one(&mut admin, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")?;
        Ok((count == 1).then_some(()))
    })?;
    cluster.kill_backend(pid, Signal::KILL)?;
    ensure!(
        waiting.join().map_err(|_| anyhow!("it panicked"))?.is_err(),
        "the other one outlived the server"
    );
    let mut admin = wait_until(LIMIT, "the server to come back", || cluster.connect("killed").map(Some))?;
    let mut record = |cents: i32| -> Result<String> {
        one(
            &mut admin,
            &format!("SELECT status FROM costsim_record_cost('t', 'm', {cents}, enforce => true)"),
        )
    };
    ensure!(record(10)? == "recorded" && record(1)? == "refused");
    Ok(())
}

/// A prepared transaction holds its budgets until it is decided about.
#[test]
fn budget_of_a_prepared_transaction_is_waited_for() -> Result<()> {
    let cluster = Cluster::builder().conf("max_prepared_transactions", "2").start()?;
    let mut admin = cluster.create_database_with_extension("prepared")?;
    admin.batch_execute(
        "SELECT costsim_set_budget('t', daily_limit_cents => 10, hard_limit_enabled => true)",
    )?;
    admin.batch_execute(
        "BEGIN; SELECT costsim_record_cost('t', 'm', 9, enforce => true); PREPARE TRANSACTION 'p'",
    )?;
    admin.batch_execute("SET lock_timeout = '50ms'")?;
    let error = admin
        .batch_execute("SELECT costsim_record_cost('t', 'm', 1, enforce => true)")
        .err()
        .context("nobody waited")?;
    ensure!(error.code().is_some_and(|code| code.code() == "55P03"), "{error}");
    admin.batch_execute("COMMIT PREPARED 'p'")?;
    let mut record = |cents: i32| -> Result<String> {
        one(
            &mut admin,
            &format!("SELECT status FROM costsim_record_cost('t', 'm', {cents}, enforce => true)"),
        )
    };
    ensure!(record(2)? == "refused" && record(1)? == "recorded");
    Ok(())
}

/// A budget that is made while somebody waits for another one counts as well.
#[test]
fn budget_made_while_another_is_waited_for_counts() -> Result<()> {
    let cluster = cluster()?;
    let mut admin = cluster.create_database_with_extension("meanwhile")?;
    for level in ["READ COMMITTED", "REPEATABLE READ"] {
        admin.batch_execute(
            "DELETE FROM costsim_cost_budgets; SELECT costsim_set_budget('t', daily_limit_cents => 10, hard_limit_enabled => true)",
        )?;
        admin.batch_execute("BEGIN; SELECT id FROM costsim_cost_budgets FOR NO KEY UPDATE")?;
        let config = cluster.config("meanwhile");
        let waiting = thread::spawn(move || -> Result<String> {
            let mut client = config.connect(NoTls)?;
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}"))?;
            let status =
                one(&mut client, "SELECT status FROM costsim_record_cost('t', 'm', 8, enforce => true)")?;
            client.batch_execute("COMMIT")?;
            Ok(status)
        });
        let mut other = cluster.connect("meanwhile")?;
        wait_until(LIMIT, "the other one to wait", || {
            let count: i64 = one(
                &mut other,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'meanwhile' AND wait_event_type = 'Lock'",
            )?;
            Ok((count == 1).then_some(()))
        })?;
        other.batch_execute("SELECT costsim_set_budget('t', 'model', 'm', daily_limit_cents => 5, hard_limit_enabled => true)")?;
        admin.batch_execute("COMMIT")?;
        let status = waiting.join().map_err(|_| anyhow!("it panicked"))??;
        ensure!(status == "refused", "{level}: {status}");
    }
    Ok(())
}
