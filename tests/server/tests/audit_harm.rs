//! Writing a record harms nobody: whatever is wrong with the record, the table or the server, the call says false, the caller's transaction goes
//! on, and the record is among the dead letters or in the log.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, Shared, Standby, kill_and_reconnect, one, sqlstate_of, wait_for};
use postgres::Client;
use postgres::error::SqlState;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().conf("max_prepared_transactions", "5").start())
}

const PERSIST: &str = "SELECT costsim_persist_audit_record(NULL, 'e', 'cost', 'applied', 'why')";

fn count(client: &mut Client, table: &str) -> Result<i64> {
    one(client, &format!("SELECT count(*) FROM {table}"))
}

/// Does work around a call that fails, in one transaction: the work is there, and the failure counted.
fn goes_on(client: &mut Client, isolation: &str, call: &str) -> Result<()> {
    let (records, failures) =
        (count(client, "costsim_audit_records")?, count(client, "costsim_audit_failures")?);
    client.batch_execute(&format!("BEGIN ISOLATION LEVEL {isolation}; INSERT INTO work VALUES (1)"))?;
    let written = one::<bool>(client, call).with_context(|| isolation.to_owned())?;
    client.batch_execute("INSERT INTO work VALUES (2); COMMIT")?;
    ensure!(!written, "{call}");
    ensure!(count(client, "work")? == 2, "{call}");
    ensure!(count(client, "costsim_audit_records")? == records, "{call}");
    ensure!(count(client, "costsim_audit_failures")? == failures + 1, "not counted: {call}");
    client.batch_execute("TRUNCATE work")?;
    Ok(())
}

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

#[test]
fn bad_input_is_a_dead_letter() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("harm_input")?;
    client.batch_execute(
        "CREATE TABLE work (id integer);
         SELECT costsim_persist_audit_record('00000000-0000-4000-8000-000000000001', 'e', 'cost', 'applied', 'first')",
    )?;
    let calls = [
        "('nope', 'e', 'cost', 'applied', 'r')",
        "('', 'e', 'cost', 'applied', 'r')",
        "('00000000-0000-4000-8000-000000000001', 'e', 'cost', 'applied', 'another record of this number')",
        "(NULL, NULL, 'cost', 'applied', 'r')",
        "(NULL, '', 'cost', 'applied', 'r')",
        "(NULL, repeat('e', 513), 'cost', 'applied', 'r')",
        "(NULL, 'e', NULL, 'applied', 'r')",
        "(NULL, 'e', 'urgent', 'applied', 'r')",
        "(NULL, 'e', 'unknown', 'applied', 'r')",
        "(NULL, 'e', 'cost', NULL, 'r')",
        "(NULL, 'e', 'cost', 'perhaps', 'r')",
        "(NULL, 'e', 'cost', 'applied', NULL)",
        "(NULL, 'e', 'cost', 'applied', '')",
        "(NULL, 'e', 'cost', 'applied', repeat('r', 1048577))",
        "(NULL, 'e', 'cost', 'applied', 'r', 'infinity')",
        "(NULL, 'e', 'cost', 'applied', 'r', '-infinity')",
        "(NULL, 'e', 'cost', 'applied', 'r', '0044-03-15 BC')",
        "(NULL, 'e', 'cost', 'applied', 'r', '10000-01-01')",
        "(NULL, 'e', 'cost', 'applied', 'r', '294276-12-31')",
        "(NULL, 'e', 'cost', 'applied', 'r', now(), '')",
        "(NULL, 'e', 'cost', 'applied', 'r', now(), NULL, repeat('ü', 257))",
        "(NULL, 'e', 'cost', 'applied', 'r', now(), NULL, NULL, -1)",
        "(NULL, 'e', 'cost', 'applied', 'r', now(), NULL, NULL, NULL)",
        "(NULL, 'e', 'cost', 'applied', 'r', now(), NULL, NULL, 0, '')",
        "()",
    ];
    for (nth, arguments) in calls.into_iter().enumerate() {
        goes_on(&mut client, LEVELS[nth % 3], &format!("SELECT costsim_persist_audit_record{arguments}"))?;
    }
    // What cannot be written now cannot be later, and each is tried in its turn.
    let all = i64::try_from(calls.len())?;
    assert_eq!(one::<i64>(&mut client, "SELECT costsim_replay_audit_failures(7)")?, 0);
    assert_eq!(
        one::<i64>(&mut client, "SELECT count(*) FROM costsim_audit_failures WHERE tried_at IS NOT NULL")?,
        7
    );
    assert_eq!(one::<i64>(&mut client, "SELECT costsim_replay_audit_failures()")?, 0);
    assert_eq!(one::<i64>(&mut client, "SELECT unreplayed FROM costsim_audit_status")?, all);
    let codes: String = one(
        &mut client,
        "SELECT string_agg(DISTINCT sqlstate, ' ' ORDER BY sqlstate) FROM costsim_audit_failures",
    )?;
    assert_eq!(codes, "22004 22023 42710");
    // What was too long is not kept at its length.
    let longest: i32 = one(
        &mut client,
        "SELECT max(octet_length(f.record ->> k)) FROM costsim_audit_failures f, jsonb_object_keys(f.record) k WHERE k <> 'reason'",
    )?;
    assert_eq!(longest, 512);
    Ok(())
}

#[test]
fn same_record_again_is_true_and_nothing_written() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("harm_again")?;
    let call = "SELECT costsim_persist_audit_record('00000000-0000-4000-8000-000000000001', 'e', 'Cost', 'APPLIED', 'why', '2026-01-01 00:00+00')";
    for _ in 0..3 {
        assert!(one::<bool>(&mut client, call)?);
    }
    // It was written meanwhile, by somebody whom this snapshot does not show.
    for level in LEVELS {
        let mut other = cluster.connect("harm_again")?;
        client.batch_execute(&format!(
            "BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM costsim_audit_records"
        ))?;
        let call = call.replace("00000001'", &format!("000000{}'", level.len()));
        assert!(one::<bool>(&mut other, &call)?);
        assert!(one::<bool>(&mut client, &call)?, "{level}");
        client.batch_execute("COMMIT")?;
    }
    assert_eq!(count(&mut client, "costsim_audit_records")?, 4);
    assert_eq!(count(&mut client, "costsim_audit_failures")?, 0);
    // Who does not say when it was decided says the same a moment later.
    for _ in 0..2 {
        assert!(one::<bool>(
            &mut client,
            "SELECT costsim_persist_audit_record('00000000-0000-4000-8000-00000000000a', 'e', 'Cost', 'APPLIED', 'why')"
        )?);
    }
    assert!(!one::<bool>(
        &mut client,
        "SELECT costsim_persist_audit_record('00000000-0000-4000-8000-00000000000a', 'e', 'Cost', 'APPLIED', 'why', '2026-01-01')"
    )?);
    client.batch_execute("DELETE FROM costsim_audit_failures")?;
    assert_eq!(count(&mut client, "costsim_audit_records")?, 5);
    assert!(one::<bool>(
        &mut client,
        "SELECT costsim_persist_audit_record('no uuid at all', emit_traces => false)"
    )?);
    assert_eq!(count(&mut client, "costsim_audit_records")?, 5);
    Ok(())
}

#[test]
fn locked_table_costs_less_than_a_second_and_cancel_passes() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("harm_locked")?;
    client.batch_execute("CREATE TABLE work (id integer)")?;
    let mut other = cluster.connect("harm_locked")?;
    for level in LEVELS {
        other.batch_execute("BEGIN; LOCK TABLE costsim_audit_records IN SHARE MODE")?;
        goes_on(&mut client, level, PERSIST)?;
        other.batch_execute("COMMIT")?;
    }
    let codes: String =
        one(&mut client, "SELECT string_agg(DISTINCT sqlstate, ' ') FROM costsim_audit_failures")?;
    assert_eq!(codes, "55P03");

    other.batch_execute("BEGIN; LOCK TABLE costsim_audit_records, costsim_audit_failures")?;
    client.batch_execute("BEGIN; INSERT INTO work VALUES (1)")?;
    let begun = Instant::now();
    assert!(!one::<bool>(&mut client, PERSIST)?);
    let waited = begun.elapsed();
    client.batch_execute("COMMIT")?;
    assert_eq!(count(&mut client, "work")?, 1);
    // What a loaded machine adds is not ours.
    ensure!(waited < Duration::from_secs(3), "{waited:?}");
    wait_until(LIMIT, "the record in the log", || {
        Ok(cluster.log()?.contains("an audit record is in this log alone").then_some(()))
    })?;

    client.batch_execute("SET statement_timeout = '100ms'")?;
    assert_eq!(sqlstate_of(&mut client, PERSIST)?, "57014");
    client.batch_execute("RESET statement_timeout; SET lock_timeout = '10ms'")?;
    let begun = Instant::now();
    assert!(!one::<bool>(&mut client, PERSIST)?);
    // Ours is the longer patience, and does not count.
    ensure!(begun.elapsed() < Duration::from_millis(600), "{:?}", begun.elapsed());
    assert_eq!(one::<String>(&mut client, "SHOW lock_timeout")?, "10ms");
    client.batch_execute("RESET lock_timeout")?;
    other.batch_execute("COMMIT")?;
    // One wait tells what the others would.
    other.batch_execute("BEGIN; LOCK TABLE costsim_audit_records IN SHARE MODE")?;
    assert_eq!(one::<i64>(&mut client, "SELECT costsim_replay_audit_failures()")?, 0);
    assert_eq!(
        one::<i64>(&mut client, "SELECT count(*) FROM costsim_audit_failures WHERE tried_at IS NOT NULL")?,
        1
    );
    other.batch_execute("COMMIT")?;
    assert_eq!(one::<i64>(&mut client, "SELECT costsim_replay_audit_failures()")?, 3);
    Ok(())
}

#[test]
fn broken_table_is_no_trouble_of_the_callers() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("harm_broken")?;
    client.batch_execute("CREATE TABLE work (id integer)")?;
    let broken = [
        (
            "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'XX000'; END $$;
             CREATE TRIGGER fails AFTER INSERT ON costsim_audit_records EXECUTE FUNCTION fails()",
            "DROP TRIGGER fails ON costsim_audit_records",
        ),
        (
            "CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 / 0; RETURN NEW; END $$;
             CREATE TRIGGER fails BEFORE INSERT ON costsim_audit_records FOR EACH ROW EXECUTE FUNCTION fails()",
            "DROP TRIGGER fails ON costsim_audit_records",
        ),
        // A cancel that is none.
        (
            "CREATE OR REPLACE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '57014'; END $$;
             CREATE TRIGGER fails BEFORE INSERT ON costsim_audit_records FOR EACH ROW EXECUTE FUNCTION fails()",
            "DROP TRIGGER fails ON costsim_audit_records",
        ),
        ("ALTER TABLE costsim_audit_records RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO costsim_audit_records"),
        (
            "ALTER TABLE costsim_audit_records ADD CONSTRAINT narrow CHECK (tenant_id IS NOT NULL) NOT VALID",
            "ALTER TABLE costsim_audit_records DROP CONSTRAINT narrow",
        ),
        (
            "ALTER TABLE costsim_audit_records ENABLE ROW LEVEL SECURITY; ALTER TABLE costsim_audit_records FORCE ROW LEVEL SECURITY;
             CREATE ROLE harm_nobody; ALTER TABLE costsim_audit_records OWNER TO harm_nobody",
            "ALTER TABLE costsim_audit_records OWNER TO postgres; ALTER TABLE costsim_audit_records DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
        ),
        (
            "CREATE RULE away AS ON INSERT TO costsim_audit_records DO INSTEAD NOTHING",
            "DROP RULE away ON costsim_audit_records",
        ),
        (
            "CREATE RULE away AS ON UPDATE TO costsim_audit_records DO INSTEAD NOTHING",
            "DROP RULE away ON costsim_audit_records",
        ),
        (
            "ALTER TABLE costsim_audit_records DROP CONSTRAINT costsim_audit_records_pkey",
            "ALTER TABLE costsim_audit_records ADD PRIMARY KEY (audit_id)",
        ),
    ];
    for (nth, (breaks, mends)) in broken.into_iter().enumerate() {
        client.batch_execute(breaks)?;
        let (table, mut worker) = ("elsewhere", cluster.connect("harm_broken")?);
        let is_away = breaks.contains(table);
        if is_away {
            client.batch_execute("CREATE VIEW costsim_audit_records AS SELECT 1 AS one WHERE false")?;
        }
        let outcome = goes_on(&mut worker, LEVELS[nth % 3], PERSIST);
        if is_away {
            client.batch_execute("DROP VIEW costsim_audit_records")?;
        }
        client.batch_execute(mends)?;
        outcome.with_context(|| breaks.to_owned())?;
        ensure!(one::<i64>(&mut worker, "SELECT costsim_replay_audit_failures()")? == 1, "{breaks}");
    }
    Ok(())
}

#[test]
fn read_only_and_standby_leave_it_in_the_log() -> Result<()> {
    let primary = Cluster::builder().start()?;
    let mut client = primary.create_database_with_extension("harm_read_only")?;
    client.batch_execute("BEGIN READ ONLY")?;
    assert!(!one::<bool>(&mut client, PERSIST)?);
    assert_eq!(one::<i32>(&mut client, "SELECT 1")?, 1);
    client.batch_execute("COMMIT")?;
    assert_eq!(count(&mut client, "costsim_audit_failures")?, 0);
    ensure!(primary.log()?.contains("an audit record is in this log alone"), "not in the log");
    assert_eq!(
        sqlstate_of(&mut client, "BEGIN READ ONLY; SELECT costsim_purge_audit('1 day', 1, 'me', 'r')")?,
        "25006"
    );
    client.batch_execute("ROLLBACK")?;

    assert!(one::<bool>(&mut client, PERSIST)?);
    let standby = Standby::start(&primary)?;
    standby.catch_up()?;
    let mut reader = standby.connect("harm_read_only")?;
    reader.batch_execute("BEGIN")?;
    assert!(!one::<bool>(&mut reader, PERSIST)?);
    assert_eq!(one::<i64>(&mut reader, "SELECT count(*) FROM costsim_query_audit()")?, 1);
    reader.batch_execute("COMMIT")?;
    assert_eq!(one::<i64>(&mut reader, "SELECT count(*) FROM costsim_verify_audit()")?, 0);
    assert_eq!(sqlstate_of(&mut reader, "SELECT costsim_replay_audit_failures()")?, "25006");
    Ok(())
}

#[test]
fn record_is_there_if_its_transaction_is() -> Result<()> {
    let cluster = Cluster::builder()
        .conf("max_prepared_transactions", "5")
        .conf("restart_after_crash", "on")
        .start()?;
    let mut client = cluster.create_database_with_extension("harm_crash")?;
    client.batch_execute(&format!(
        "BEGIN; {PERSIST}; ROLLBACK; BEGIN; {PERSIST}; PREPARE TRANSACTION 'kept'; BEGIN; {PERSIST}; PREPARE TRANSACTION 'dropped';
         BEGIN; SAVEPOINT a; {PERSIST}; ROLLBACK TO a; {PERSIST}; COMMIT"
    ))?;
    assert_eq!(count(&mut client, "costsim_audit_records")?, 1);
    // In the middle of a transaction that has written a record and a dead letter, and of a purge that waits.
    let mut victim = cluster.connect("harm_crash")?;
    let pid: i32 = one(&mut victim, "SELECT pg_backend_pid()")?;
    victim.batch_execute(&format!("BEGIN; {PERSIST}; SELECT costsim_persist_audit_record('bad'); SELECT costsim_purge_audit('0', 10, 'me', 'r')"))?;
    let mut client = kill_and_reconnect(&cluster, pid, &mut client, "harm_crash")?;
    client.batch_execute("COMMIT PREPARED 'kept'")?;
    client.batch_execute("ROLLBACK PREPARED 'dropped'")?;
    assert_eq!(count(&mut client, "costsim_audit_records")?, 2);
    assert_eq!(count(&mut client, "costsim_audit_failures")?, 0);
    assert_eq!(count(&mut client, "costsim_audit_purges")?, 0);
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_verify_audit()")?, 0);
    Ok(())
}

#[test]
fn purges_and_writers_at_once_account_for_every_record() -> Result<()> {
    const WRITERS: i64 = 4;
    const EACH: i64 = 40;
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("harm_races")?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let cluster = &cluster;
                scope.spawn(move || -> Result<()> {
                    let mut client = cluster.connect("harm_races")?;
                    client.batch_execute(&format!("SET default_transaction_isolation = '{}'", LEVELS[writer as usize % 3].to_lowercase()))?;
                    for nth in 0..EACH {
                        let call = format!("SELECT costsim_persist_audit_record(NULL, 'e{writer}', 'cost', 'applied', 'n{nth}')");
                        ensure!(one::<bool>(&mut client, &call)?, "{call}");
                    }
                    Ok(())
                })
            })
            .collect();
        let purgers: Vec<_> = (0..2)
            .map(|nth| {
                let (cluster, is_over) = (&cluster, &is_over);
                scope.spawn(move || -> Result<i64> {
                    let mut client = cluster.connect("harm_races")?;
                    client.batch_execute(&format!(
                        "SET default_transaction_isolation = '{}'",
                        LEVELS[nth * 2].to_lowercase()
                    ))?;
                    let mut purged = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        match client.query_one("SELECT costsim_purge_audit('0', 7, 'me', 'r')", &[]) {
                            Ok(row) => purged += row.get::<_, i64>(0),
                            // The other has taken a row that this one's snapshot shows: nothing was purged.
                            Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {}
                            Err(error) => return Err(error.into()),
                        }
                    }
                    Ok(purged)
                })
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        for writer in ended {
            writer.map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        let mut purged = 0;
        for purger in purgers {
            purged += purger.join().map_err(|_| anyhow::anyhow!("a purger panicked"))??;
        }
        ensure!(count(&mut client, "costsim_audit_records")? + purged == WRITERS * EACH, "{purged} purged");
        ensure!(
            one::<i64>(&mut client, "SELECT purged FROM costsim_audit_status")? == purged,
            "not what is recorded"
        );
        ensure!(purged > 0, "nothing was purged");
        Ok(())
    })
}

#[test]
fn serializable_writers_do_not_fail_each_other() -> Result<()> {
    let cluster = cluster()?;
    let mut one_session = cluster.create_database_with_extension("harm_serializable")?;
    let mut other = cluster.connect("harm_serializable")?;
    for session in [&mut one_session, &mut other] {
        session.batch_execute(&format!("BEGIN ISOLATION LEVEL SERIALIZABLE; {PERSIST}"))?;
    }
    one_session.batch_execute(&format!("{PERSIST}; COMMIT"))?;
    other.batch_execute(&format!("{PERSIST}; COMMIT"))?;
    assert_eq!(count(&mut other, "costsim_audit_records")?, 4);
    Ok(())
}

#[test]
fn replication_carries_records_and_their_digests() -> Result<()> {
    let cluster = Cluster::builder().conf("wal_level", "logical").start()?;
    let mut source = cluster.create_database_with_extension("harm_source")?;
    let mut target = cluster.create_database_with_extension("harm_target")?;
    source.batch_execute(
        "CREATE PUBLICATION records FOR TABLE costsim_audit_records WITH (publish = 'insert')",
    )?;
    source.batch_execute("SELECT pg_create_logical_replication_slot('harm', 'pgoutput')")?;
    let connection = cluster.conn_string("harm_source").replace('\'', "''");
    target.batch_execute(&format!(
        "CREATE SUBSCRIPTION harm CONNECTION '{connection}' PUBLICATION records WITH (create_slot = false, slot_name = 'harm', copy_data = false)"
    ))?;
    source.batch_execute(&format!("{PERSIST}; {PERSIST}; SELECT costsim_purge_audit('0', 1, 'me', 'r')"))?;
    wait_for(&mut target, "the records", "SELECT count(*) = 2 FROM costsim_audit_records")?;
    assert_eq!(one::<i64>(&mut target, "SELECT count(*) FROM costsim_verify_audit()")?, 0);
    target.batch_execute("DROP SUBSCRIPTION harm")?;
    Ok(())
}

#[test]
fn edited_dump_is_refused_and_a_true_one_is_not() -> Result<()> {
    let cluster = cluster()?;
    let mut source = cluster.create_database_with_extension("harm_dumped")?;
    source.batch_execute("SELECT costsim_persist_audit_record(NULL, 'e' || n, 'cost', 'applied', 'why ' || n) FROM generate_series(1, 3) n")?;
    let mut dump = String::new();
    source.copy_out("COPY costsim_audit_records TO STDOUT")?.read_to_string(&mut dump)?;
    let mut target = cluster.create_database_with_extension("harm_restored")?;
    // What a restore sets, and what it does not.
    target.batch_execute("SET session_replication_role = replica; SET row_security = off")?;
    for edited in [
        dump.replace("why 2", "because"),
        dump.replace("\tCOST\t", "\tSAFETY\t"),
        dump.replace("\tpostgres\t", "\tsomebody\t"),
        dump.replacen("\te1\t", "\te9\t", 1),
    ] {
        ensure!(edited != dump, "nothing was edited");
        let mut writer = target.copy_in("COPY costsim_audit_records FROM STDIN")?;
        writer.write_all(edited.as_bytes())?;
        let error = writer.finish().err().context("an edited dump was restored")?;
        assert_eq!(error.code(), Some(&SqlState::CHECK_VIOLATION));
    }
    let mut writer = target.copy_in("COPY costsim_audit_records FROM STDIN")?;
    writer.write_all(dump.as_bytes())?;
    assert_eq!(writer.finish()?, 3);
    assert_eq!(one::<i64>(&mut target, "SELECT count(*) FROM costsim_verify_audit()")?, 0);
    Ok(())
}

/// Where the small letter of I is another one than elsewhere.
#[test]
fn words_are_known_in_a_turkish_database() -> Result<()> {
    let cluster = cluster()?;
    cluster.connect("postgres")?.batch_execute(
        "CREATE DATABASE harm_turkish TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'tr'",
    )?;
    let mut client = cluster.connect("harm_turkish")?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    assert_eq!(one::<String>(&mut client, "SELECT upper('i')")?, "İ");
    assert!(one::<bool>(
        &mut client,
        "SELECT costsim_persist_audit_record(NULL, 'e', 'reliability', 'applied', 'why')"
    )?);
    assert_eq!(
        one::<i64>(
            &mut client,
            "SELECT count(*) FROM costsim_query_audit(envelope_class => 'reliability', decision => 'applied')"
        )?,
        1
    );
    Ok(())
}
