//! Many sessions coordinate, release and turn the kill switch at the same moment, and some are killed: what is promised holds in every snapshot.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, one, sqlstate_of, wait_for};
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
    const COUNT: i64 = 500;
    let cluster = Cluster::builder().start()?;
    let mut admin = cluster.create_database_with_extension("locked")?;
    let all = format!(
        "INSERT INTO costsim_envelopes (envelope_id, subsystem, parameter, envelope_class)
         SELECT 'e' || i, 's' || i, 'p', 'COST' FROM generate_series(1, {COUNT}) i"
    );
    let mut other = cluster.connect("locked")?;
    for (locked, letters) in [
        ("costsim_audit_records", COUNT),
        // Nor for the dead letters.
        ("costsim_audit_records, costsim_audit_failures", 0),
    ] {
        admin.batch_execute(&all)?;
        other.batch_execute(&format!("BEGIN; LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE"))?;
        let started = Instant::now();
        let reverted: i32 = one(&mut admin, "SELECT costsim_set_kill_switch(true, 'ann', 'outage')")?;
        let took = started.elapsed();
        ensure!(i64::from(reverted) == COUNT, "{reverted}");
        println!("{COUNT} envelopes were reverted in {took:?}");
        // Two waits of less than a second together, and what a loaded machine adds.
        ensure!(took < Duration::from_secs(4), "{took:?}");
        other.batch_execute("COMMIT")?;
        let replayed: i64 = one(&mut admin, "SELECT costsim_replay_audit_failures(100000)")?;
        ensure!(replayed == letters, "{replayed}");
        let stand: i64 = one(
            &mut admin,
            "SELECT count(*) FROM costsim_envelopes e JOIN costsim_audit_records r
                 ON r.envelope_id = e.envelope_id AND r.decision = 'REVERTED' AND r.decision_timestamp = e.ended_at",
        )?;
        ensure!(stand == COUNT, "{stand}");
        admin.batch_execute("SELECT costsim_set_kill_switch(false, 'ann', 'over')")?;
    }
    let lines = cluster.log()?.matches("an audit record is in this log alone").count();
    ensure!(lines >= usize::try_from(COUNT)?, "{lines}");
    Ok(())
}

/// Whoever ends an envelope by hand keeps to no lock of ours: what he has ended is his.
#[test]
fn coordination_by_hand_fails_nobody() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut admin = cluster.create_database_with_extension("by_hand")?;
    let by_hand = "UPDATE costsim_envelopes SET status = 'released', ended_at = now(), ended_by = 'a hand' WHERE envelope_id = 'a'";
    for (call, expected, audited) in [
        ("SELECT costsim_set_kill_switch(true, 'ann', 'outage')::text", "1", "b REVERTED"),
        (
            "SELECT reason || preempted::text FROM costsim_coordinate('top', 'SAFETY', 's', 'p')",
            "takes control of s.p and preempts 1 envelope{b}",
            "b PREEMPTED, top APPLIED",
        ),
        ("SELECT costsim_release_envelope('a')::text", "false", ""),
    ] {
        admin.batch_execute(
            "SELECT costsim_coordinate('a', 'COST', 's', 'p'), costsim_coordinate('b', 'COST', 's', 'q')",
        )?;
        let before: i64 = one(&mut admin, "SELECT count(*) FROM costsim_audit_records")?;
        admin.batch_execute(&format!("BEGIN; {by_hand}"))?;
        let config = cluster.config("by_hand");
        let waiter = thread::spawn(move || -> Result<String> {
            Ok(config.connect(NoTls)?.query_one(call, &[])?.get(0))
        });
        let mut watcher = cluster.connect("by_hand")?;
        wait_for(
            &mut watcher,
            "the call to wait",
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'by_hand' AND wait_event_type = 'Lock'",
        )?;
        admin.batch_execute("COMMIT")?;
        let answer = waiter.join().map_err(|_| anyhow!("it panicked"))??;
        ensure!(answer == expected, "{answer}: {call}");
        let told: String = one(
            &mut admin,
            &format!(
                "SELECT coalesce(string_agg(envelope_id || ' ' || decision, ', ' ORDER BY envelope_id), '')
                   FROM (SELECT * FROM costsim_audit_records ORDER BY created_at, decision_timestamp OFFSET {before}) r"
            ),
        )?;
        ensure!(told == audited, "{told}: {call}");
        admin.batch_execute(
            "SELECT costsim_set_kill_switch(false, 'ann', 'over');
             SELECT costsim_release_envelope(envelope_id) FROM costsim_active_envelopes()",
        )?;
    }
    Ok(())
}

/// What is answered and audited has happened: whoever's trigger changes it or keeps it out, the call fails, and nothing has.
#[test]
fn coordination_claims_nothing_that_did_not_happen() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut admin = cluster.create_database_with_extension("claims")?;
    admin.batch_execute("SELECT costsim_coordinate('low', 'COST', 's', 'p')")?;
    let stand = "SELECT jsonb_build_array((SELECT jsonb_agg(e) FROM costsim_envelopes e), (SELECT jsonb_agg(k) FROM costsim_kill_switch k),
                                          (SELECT count(*) FROM costsim_audit_records), (SELECT count(*) FROM costsim_audit_failures))::text";
    let before: String = one(&mut admin, stand)?;
    let apply = "SELECT costsim_coordinate('new', 'COST', 't', 'p')";
    let preempt = "SELECT costsim_coordinate('high', 'SAFETY', 's', 'p')";
    let release = "SELECT costsim_release_envelope('low')";
    let turn = "SELECT costsim_set_kill_switch(true, 'ann', 'why')";
    for (table, event, body, call) in [
        ("costsim_envelopes", "INSERT", "RETURN NULL", apply),
        ("costsim_envelopes", "INSERT", "NEW.parameter := 'q'; RETURN NEW", apply),
        ("costsim_envelopes", "INSERT", "NEW.value := '7'; RETURN NEW", apply),
        ("costsim_envelopes", "UPDATE", "RETURN NULL", preempt),
        ("costsim_envelopes", "UPDATE", "RETURN OLD", preempt),
        ("costsim_envelopes", "UPDATE", "RETURN OLD", release),
        ("costsim_envelopes", "UPDATE", "NEW.ended_by := 'bob'; RETURN NEW", release),
        ("costsim_kill_switch", "INSERT", "RETURN NULL", turn),
        ("costsim_kill_switch", "INSERT", "NEW.is_active := false; RETURN NEW", turn),
    ] {
        admin.batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$;
             CREATE TRIGGER meddles BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION meddles()"
        ))?;
        let code = sqlstate_of(&mut admin, call)?;
        ensure!(code == "55000", "{code}: {event} {body}");
        admin.batch_execute(&format!("DROP TRIGGER meddles ON {table}"))?;
        ensure!(one::<String>(&mut admin, stand)? == before, "{event} {body}");
    }
    // The kill switch ends what it can.
    admin.batch_execute(
        "SELECT costsim_coordinate('kept', 'COST', 't', 'p');
         CREATE OR REPLACE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN OLD.envelope_id <> 'kept' THEN NEW END; END $$;
         CREATE TRIGGER meddles BEFORE UPDATE ON costsim_envelopes FOR EACH ROW EXECUTE FUNCTION meddles()",
    )?;
    ensure!(one::<i32>(&mut admin, turn)? == 1);
    let told: String = one(
        &mut admin,
        "SELECT string_agg(envelope_id, ' ') FROM costsim_audit_records WHERE decision = 'REVERTED'",
    )?;
    ensure!(told == "low", "{told}");
    Ok(())
}

/// A table that is somebody else's by now runs what he has put on it as he, and no trigger of his with the rights of the extension's owner.
#[test]
fn coordination_lends_its_rights_to_no_owner_of_a_table() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut admin = cluster.create_database_with_extension("lends")?;
    admin.batch_execute(
        "CREATE ROLE mallory; GRANT ALL ON SCHEMA public TO mallory;
         ALTER TABLE costsim_envelopes OWNER TO mallory; ALTER TABLE costsim_kill_switch OWNER TO mallory;
         SET ROLE mallory;
         CREATE TABLE seen (who text);
         CREATE FUNCTION looks() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN INSERT INTO seen VALUES (current_user); RETURN NULL; END $$;
         CREATE TRIGGER looks AFTER INSERT OR UPDATE ON costsim_envelopes EXECUTE FUNCTION looks();
         CREATE TRIGGER looks AFTER INSERT OR UPDATE ON costsim_kill_switch EXECUTE FUNCTION looks();
         RESET ROLE;
         SELECT costsim_coordinate('low', 'COST', 's', 'p'), costsim_coordinate('high', 'SAFETY', 's', 'p');
         SELECT costsim_release_envelope('high'), costsim_coordinate('low', 'COST', 's', 'p'), costsim_set_kill_switch(true, 'ann', 'why')",
    )?;
    let seen: String =
        one(&mut admin, "SELECT string_agg(DISTINCT who, ' ') || ' ' || (count(*) > 5) FROM seen")?;
    ensure!(seen == "mallory true", "{seen}");
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
