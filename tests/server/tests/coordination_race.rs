//! Many sessions coordinate, release and turn the kill switch at the same moment, and some are killed: what is promised holds in every snapshot.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, one, wait_for};
use fastrand::Rng;
use postgres::{Client, Error, NoTls};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SESSIONS: u64 = 12;

/// For how long they go on.
fn duration() -> Result<Duration> {
    let seconds = std::env::var("COSTSIM_COORDINATION_SECONDS").map_or(Ok(4), |text| text.parse())?;
    Ok(Duration::from_secs(seconds))
}

/// What is wrong in a snapshot; nothing is, in any.
const WRONG: &str = "
    WITH ranked AS (
        SELECT e.*, array_position('{PERFORMANCE,COST,RELIABILITY,SAFETY}', e.envelope_class) AS rank, coalesce(e.tenant_id, '') AS tenant
          FROM costsim_envelopes e
    ), transitions AS (
        SELECT tenant, envelope_id, 'APPLIED' AS decision, applied_at AS at, NULL AS by FROM ranked
         UNION ALL
        SELECT tenant, envelope_id, 'PREEMPTED', ended_at, ended_by FROM ranked WHERE status = 'preempted'
         UNION ALL
        SELECT tenant, envelope_id, 'REVERTED', ended_at, CASE status WHEN 'reverted' THEN 'kill_switch' END FROM ranked
         WHERE status IN ('reverted', 'released')
    ), records AS (
        SELECT coalesce(tenant_id, '') AS tenant, envelope_id, decision, decision_timestamp AS at, preempting_envelope_id AS by
          FROM costsim_audit_records WHERE decision <> 'REJECTED'
         UNION ALL
        SELECT coalesce(record ->> 'tenant_id', ''), record ->> 'envelope_id', record ->> 'decision',
               (record ->> 'decision_timestamp')::timestamptz, record ->> 'preempting_envelope_id'
          FROM costsim_audit_failures WHERE replayed_at IS NULL AND record ->> 'decision' <> 'REJECTED'
    )
    SELECT 'two on one parameter: ' || tenant || '.' || subsystem || '.' || parameter
      FROM ranked WHERE status = 'active' GROUP BY tenant, subsystem, parameter HAVING count(*) > 1
     UNION ALL
    SELECT 'active twice: ' || envelope_id FROM ranked WHERE status = 'active' GROUP BY tenant, envelope_id HAVING count(*) > 1
     UNION ALL
    SELECT 'active under the kill switch: ' || envelope_id FROM ranked, costsim_kill_switch k WHERE status = 'active' AND k.is_active
     UNION ALL
    SELECT 'displaced by no higher class: ' || gone.envelope_id || ' by ' || gone.ended_by FROM ranked gone
     WHERE gone.status = 'preempted'
       AND NOT EXISTS (SELECT FROM ranked by WHERE (by.tenant, by.envelope_id, by.subsystem, by.applied_at) = (gone.tenant, gone.ended_by, gone.subsystem, gone.ended_at)
                          AND by.rank > gone.rank)
     UNION ALL
    SELECT 'overlapping: ' || a.envelope_id || ' and ' || b.envelope_id FROM ranked a JOIN ranked b
        ON (a.tenant, a.subsystem, a.parameter) = (b.tenant, b.subsystem, b.parameter) AND a.id < b.id
       AND tstzrange(a.applied_at, a.ended_at) && tstzrange(b.applied_at, b.ended_at)
     UNION ALL
    (SELECT 'not in the audit: ' || t::text FROM (SELECT * FROM transitions EXCEPT ALL SELECT * FROM records) t)
     UNION ALL
    (SELECT 'only in the audit: ' || t::text FROM (SELECT * FROM records EXCEPT ALL SELECT * FROM transitions) t)";

/// What is wrong, by a snapshot of its own.
fn check(client: &mut Client) -> Result<()> {
    let wrong = client.query(WRONG, &[])?;
    let told: Vec<String> = wrong.iter().take(5).map(|row| row.get(0)).collect();
    ensure!(wrong.is_empty(), "{} wrong: {told:#?}", wrong.len());
    Ok(())
}

/// What a session does next. Several calls in one transaction may end one of two (40P01).
fn calls(rng: &mut Rng) -> String {
    // Each is a statement of its own.
    let count = if rng.u8(..5) == 0 { 3 } else { 1 };
    let mut call = || {
        let tenant = ["NULL", "'acme'", "'other'"][rng.usize(..3)];
        let envelope = rng.u8(..9);
        match rng.u8(..40) {
            // It is soon off again, or little else would happen.
            turn @ 0..5 => format!("SELECT costsim_set_kill_switch({}, 'ann', 'why')::text, NULL", turn == 0),
            5..11 => format!("SELECT costsim_release_envelope('e{envelope}', {tenant})::text, NULL"),
            _ => format!(
                "SELECT decision, tenant FROM (VALUES ({tenant}::text)) t (tenant), costsim_coordinate('e{envelope}', {class}, 's{s}', 'p{p}', tenant_id => tenant)",
                class = ["'safety'", "'Reliability'", "'COST'", "'performance'", "NULL"][rng.usize(..5)],
                s = rng.u8(..2),
                p = rng.u8(..3),
            ),
        }
    };
    (0..count).map(|_| call()).collect::<Vec<_>>().join(";")
}

/// Whether the server ended a transaction for the sake of another, as it may.
fn is_of_the_moment(error: &Error) -> bool {
    error.code().is_some_and(|code| ["40001", "40P01"].contains(&code.code()))
}

fn is_lost(error: &Error) -> bool {
    // Ended by an operator, or with the whole server, or while that comes back.
    error.is_closed() || error.code().is_none_or(|code| code.code().starts_with("57P"))
}

/// Calls until it is over, and connects anew when its session is lost: how many rejections were certainly committed.
fn play(cluster: &Cluster, session: u64, is_over: &AtomicBool, has_done: &AtomicU64) -> Result<u64> {
    let mut rng = Rng::with_seed(session);
    let (mut rejected, mut client) = (0, None);
    let level = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"][usize::try_from(session % 3)?];
    while !is_over.load(Ordering::Relaxed) {
        let mut attempt = |client: &mut Client| -> Result<u64, Error> {
            let mut transaction = client.transaction()?;
            // A snapshot that is old by the time it is decided.
            transaction.batch_execute(&format!(
                "SET TRANSACTION ISOLATION LEVEL {level}; SELECT count(*) FROM costsim_envelopes"
            ))?;
            let mut told = 0;
            for call in calls(&mut rng).split(';') {
                let answer: String = transaction.query_one(call, &[])?.get(0);
                told += u64::from(answer == "REJECTED");
            }
            if rng.u8(..6) == 0 {
                transaction.rollback()?;
                return Ok(0);
            }
            transaction.commit()?;
            Ok(told)
        };
        let Some(connected) = client.as_mut() else {
            client = Some(wait_until(LIMIT, "a session", || {
                cluster.config("race").connect(NoTls).map(Some).map_err(Into::into)
            })?);
            continue;
        };
        match attempt(connected) {
            Ok(told) => {
                rejected += told;
                has_done.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if is_of_the_moment(&error) => {}
            Err(error) if is_lost(&error) => client = None,
            Err(error) => return Err(error).context("a session"),
        }
    }
    Ok(rejected)
}

#[test]
fn coordination_keeps_its_promises_in_every_snapshot() -> Result<()> {
    let cluster = Cluster::builder()
        .conf("max_connections", "60")
        .conf("deadlock_timeout", "50ms")
        .conf("fsync", "off")
        .start()?;
    drop(cluster.create_database_with_extension("race")?);
    let (is_over, has_done) = (AtomicBool::new(false), AtomicU64::new(0));
    let duration = duration()?;
    let (rejected, lost) = thread::scope(|scope| -> Result<(u64, i64)> {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|session| {
                let (cluster, is_over, has_done) = (&cluster, &is_over, &has_done);
                scope.spawn(move || play(cluster, session, is_over, has_done))
            })
            .collect();
        let outcome = watch(&cluster, duration, &has_done);
        is_over.store(true, Ordering::Relaxed);
        let mut rejected = 0;
        for session in sessions {
            rejected += session.join().map_err(|_| anyhow!("a session panicked"))??;
        }
        outcome.map(|lost| (rejected, lost))
    })?;
    // The first one was lost with the server.
    let mut admin = cluster.connect("race")?;
    check(&mut admin)?;
    let count = |admin: &mut Client, decision: &str| -> Result<i64> {
        one(admin, &format!("SELECT count(*) FROM costsim_audit_records WHERE decision = '{decision}'"))
    };
    let done = has_done.load(Ordering::Relaxed);
    let (applied, preempted) = (count(&mut admin, "APPLIED")?, count(&mut admin, "PREEMPTED")?);
    let (reverted, refused) = (count(&mut admin, "REVERTED")?, count(&mut admin, "REJECTED")?);
    let unwritten: i64 = one(&mut admin, "SELECT count(*) FROM costsim_audit_failures")?;
    println!(
        "{done} transactions; {applied} applied, {preempted} preempted, {reverted} reverted, {refused} rejected, {unwritten} dead letters"
    );
    // Those that were lost at their commit may have rejected something too.
    let at_least = i64::try_from(rejected)?;
    ensure!(refused + unwritten >= at_least, "{refused} rejections recorded of {rejected}");
    ensure!(
        refused <= at_least + 3 * lost,
        "{refused} rejections recorded of {rejected}, and {lost} sessions lost"
    );
    ensure!(applied > 50 && preempted > 10 && reverted > 10 && refused > 50, "too little happened");
    Ok(())
}

/// Looks all the time, and ends sessions: by the server's hand, and twice by a kill that takes the server down with it. Answers how many sessions
/// were lost.
fn watch(cluster: &Cluster, duration: Duration, has_done: &AtomicU64) -> Result<i64> {
    let mut rng = Rng::with_seed(99);
    let (mut looks, mut ended, mut crashes) = (0, 0, 0);
    let mut reader = cluster.connect("race")?;
    let until = Instant::now() + duration;
    while Instant::now() < until || crashes < 2 || has_done.load(Ordering::Relaxed) < 400 {
        check(&mut reader)?;
        looks += 1;
        ensure!(Instant::now() < until + LIMIT, "too little is done: {looks} looks");
        let victim = reader.query_opt(
            "SELECT pid FROM pg_stat_activity WHERE datname = 'race' AND pid <> pg_backend_pid() AND query LIKE '%costsim_%'
                AND state IN ('active', 'idle in transaction') ORDER BY random() LIMIT 1",
            &[],
        )?;
        let Some(pid) = victim.map(|row| row.get::<_, i32>(0)) else { continue };
        if rng.u8(..8) == 0 {
            ended +=
                one::<i64>(&mut reader, &format!("SELECT pg_terminate_backend({pid})::integer::bigint"))?;
        } else if crashes < 2 && has_done.load(Ordering::Relaxed) > 60 * (crashes + 1) {
            // It may have ended since.
            if cluster.kill_backend(pid, Signal::KILL).is_err() {
                continue;
            }
            crashes += 1;
            wait_until(LIMIT, "the server to go down with it", || {
                Ok(reader.batch_execute("SELECT 1").is_err().then_some(()))
            })?;
            reader = wait_until(LIMIT, "the server to come back", || cluster.connect("race").map(Some))?;
        }
    }
    println!("{looks} looks, {ended} sessions ended, {crashes} crashes");
    Ok(ended + i64::try_from(crashes * SESSIONS)?)
}

/// The control: each kind of wrong is seen, or the test above would show nothing.
#[test]
fn coordination_that_breaks_its_promises_is_seen() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut admin = cluster.create_database_with_extension("wrong")?;
    let kinds = |admin: &mut Client| -> Result<String> {
        one(
            admin,
            &format!(
                "SELECT coalesce(string_agg(DISTINCT split_part(w.w, ':', 1), ', ' ORDER BY split_part(w.w, ':', 1)), '') FROM ({WRONG}) w (w)"
            ),
        )
    };
    admin.batch_execute(
        "SELECT costsim_coordinate('low', 'COST', 's', 'p'), costsim_coordinate('high', 'SAFETY', 's', 'q');
         SELECT costsim_coordinate('low', 'COST', 'other', 'p'), costsim_release_envelope('high')",
    )?;
    ensure!(kinds(&mut admin)?.is_empty(), "{}", kinds(&mut admin)?);
    let cases = [
        (
            "DROP INDEX uq_costsim_envelopes_parameter, uq_costsim_envelopes_envelope;
             INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class, applied_at)
             SELECT envelope_id, subsystem, parameter, envelope_class, applied_at FROM costsim_envelopes WHERE status = 'active'",
            "active twice, not in the audit, overlapping, two on one parameter",
        ),
        ("INSERT INTO costsim_kill_switch (is_active, changed_by, reason) VALUES (true, 'x', 'y')", "active under the kill switch"),
        ("UPDATE costsim_envelopes SET envelope_class = 'PERFORMANCE' WHERE envelope_id = 'high'", "displaced by no higher class"),
        ("DELETE FROM costsim_envelopes WHERE status = 'active'", "only in the audit"),
    ];
    for (change, expected) in cases {
        admin.batch_execute(&format!("BEGIN; {change}"))?;
        let seen = kinds(&mut admin)?;
        admin.batch_execute("ROLLBACK")?;
        ensure!(seen == expected, "{seen}, not {expected}");
    }
    Ok(())
}

/// Whoever turns the kill switch does not wait for an audit that is locked, longer than a moment, and nothing is lost.
#[test]
fn coordination_kill_switch_works_while_the_audit_is_locked() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut admin = cluster.create_database_with_extension("locked")?;
    let count: i64 = one(
        &mut admin,
        "SELECT count(decision) FROM generate_series(1, 20) i, costsim_coordinate('e' || i, 'COST', 's' || i, 'p')",
    )?;
    ensure!(count == 20);
    let mut other = cluster.connect("locked")?;
    other.batch_execute("BEGIN; LOCK TABLE costsim_audit_records IN ACCESS EXCLUSIVE MODE")?;
    let started = Instant::now();
    let reverted: i32 = one(&mut admin, "SELECT costsim_set_kill_switch(true, 'ann', 'outage')")?;
    let took = started.elapsed();
    ensure!(reverted == 20, "{reverted}");
    println!("20 envelopes were reverted in {took:?}");
    ensure!(took < Duration::from_secs(5), "{took:?}");
    other.batch_execute("COMMIT")?;
    let replayed: i64 = one(&mut admin, "SELECT costsim_replay_audit_failures()")?;
    ensure!(replayed == 20, "{replayed}");
    let stand: i64 = one(
        &mut admin,
        "SELECT count(*) FROM costsim_envelopes e JOIN costsim_audit_records r
             ON r.envelope_id = e.envelope_id AND r.decision = 'REVERTED' AND r.decision_timestamp = e.ended_at",
    )?;
    ensure!(stand == 20, "{stand}");
    Ok(())
}

/// A decision of a prepared transaction is waited for until it is decided about.
#[test]
fn coordination_of_a_prepared_transaction_is_waited_for() -> Result<()> {
    let cluster = Cluster::builder().conf("max_prepared_transactions", "2").start()?;
    let mut admin = cluster.create_database_with_extension("prepared")?;
    admin
        .batch_execute("BEGIN; SELECT costsim_coordinate('a', 'COST', 's', 'p'); PREPARE TRANSACTION 'p'")?;
    let waiting = |call: &str| -> Result<thread::JoinHandle<Result<String>>> {
        let (config, call) = (cluster.config("prepared"), call.to_owned());
        let mut watcher = cluster.connect("prepared")?;
        let handle = thread::spawn(move || Ok(config.connect(NoTls)?.query_one(&call, &[])?.get(0)));
        wait_for(
            &mut watcher,
            "the other one to wait",
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'prepared' AND wait_event_type = 'Lock'",
        )?;
        Ok(handle)
    };
    let switch = waiting("SELECT costsim_set_kill_switch(true, 'ann', 'outage')::text")?;
    admin.batch_execute("COMMIT PREPARED 'p'")?;
    let reverted = switch.join().map_err(|_| anyhow!("it panicked"))??;
    ensure!(reverted == "1", "{reverted}");
    check(&mut admin)
}
