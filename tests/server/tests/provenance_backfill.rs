//! The backfill while it runs: who may see it, who may not run beside it, what ends it, and what a crash leaves of it.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, Mode, wait_until};
use costsim_server_tests::{Asked, LIMIT, Shared, one, sqlstate_of};
use postgres::Client;
use rustix::process::Signal;
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

/// A database in which whoever writes a row with run_id wait waits as long as somebody holds advisory lock 99.
fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let mut client = cluster.create_database_with_extension(name)?;
    client.batch_execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM pg_advisory_xact_lock_shared(99);
             RETURN NEW;
         END $$;
         CREATE TRIGGER wait BEFORE INSERT ON costsim_provenance
             FOR EACH ROW WHEN (NEW.run_id = 'wait') EXECUTE FUNCTION wait();
         ALTER TABLE costsim_provenance ADD CONSTRAINT cheap CHECK (v1_cost < 1000)",
    )?;
    Ok((cluster, client))
}

/// Five hundred records: every tenth a repeat of the one before, one that the table refuses, one that waits.
const RECORDS: &str = "SELECT json_agg(json_build_object(
           'run_id', CASE WHEN i = 350 THEN 'wait' ELSE 'run-' || i END, 'tenant_id', 't',
           'input_hash', to_char(CASE WHEN i % 10 = 9 THEN i - 1 ELSE i END, 'FM0000'),
           'cost', CASE WHEN i = 125 THEN 5000 ELSE i END) ORDER BY i) FROM generate_series(0, 499) i";

fn backfill(batch_size: i32) -> String {
    format!(
        "SELECT format('%s/%s/%s', inserted, skipped, errors) FROM costsim_backfill_v1_baseline(({RECORDS}), {batch_size})"
    )
}

/// Starts a backfill that waits for a lock of `holder` at its 350th record.
fn start(cluster: &Cluster, name: &str, holder: &mut Client) -> Result<Asked<String>> {
    holder.batch_execute("SELECT pg_advisory_lock(99)")?;
    let asked = Asked::query(cluster.connect(name)?, &backfill(100))?;
    asked.wait_until_queued(holder)?;
    Ok(asked)
}

#[test]
fn progress_moves_before_the_eyes_of_another_session() -> Result<()> {
    let (cluster, mut watcher) = database("progress")?;
    let running = start(&cluster, "progress", &mut watcher)?;

    let row = watcher.query_one(
        "SELECT pid, records_total, processed, inserted, skipped, errors, started_at <= clock_timestamp()
                AND started_at > clock_timestamp() - interval '10 min' FROM costsim_backfill_progress",
        &[],
    )?;
    let counts: Vec<i64> = (1..6).map(|column| row.get(column)).collect();
    assert_eq!(row.get::<_, i32>(0), running.pid());
    // Three batches are done, and the one with the bad record has not taken the line off the board.
    assert_eq!(counts, [500, 300, 269, 30, 1]);
    assert!(row.get::<_, bool>(6), "it began just now");
    let copied = "SELECT tuples_processed || '/' || tuples_excluded || ' ' || command
                    FROM pg_stat_progress_copy WHERE datname = current_database() AND relid = 'costsim_provenance'::regclass";
    assert_eq!(one::<String>(&mut watcher, copied)?, "269/31 COPY FROM");
    assert_eq!(
        one::<i64>(&mut watcher, "SELECT count(*) FROM costsim_provenance")?,
        0,
        "nothing is committed"
    );

    watcher.batch_execute("SELECT pg_advisory_unlock(99)")?;
    assert_eq!(running.answer()?.1, "449/50/1");
    assert_eq!(one::<i64>(&mut watcher, "SELECT count(*) FROM costsim_backfill_progress")?, 0);
    assert_eq!(
        one::<i64>(
            &mut watcher,
            "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database()"
        )?,
        0
    );
    Ok(())
}

#[test]
fn progress_is_not_that_of_an_ordinary_copy() -> Result<()> {
    let (cluster, mut watcher) = database("copy")?;
    watcher.batch_execute("SELECT pg_advisory_lock(99)")?;
    let copy = Asked::statement(
        cluster.connect("copy")?,
        "COPY costsim_provenance (run_id) FROM PROGRAM 'echo wait'",
    )?;
    copy.wait_until_queued(&mut watcher)?;
    assert_eq!(
        one::<i64>(
            &mut watcher,
            "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database()"
        )?,
        1
    );
    assert_eq!(one::<i64>(&mut watcher, "SELECT count(*) FROM costsim_backfill_progress")?, 0);
    watcher.batch_execute("SELECT pg_advisory_unlock(99)")?;
    copy.answer().map(drop)
}

#[test]
fn second_backfill_is_refused_and_told_who_runs() -> Result<()> {
    let (cluster, mut holder) = database("two")?;
    let running = start(&cluster, "two", &mut holder)?;
    let mut second = cluster.connect("two")?;
    for call in [backfill(100), "SELECT * FROM costsim_backfill_staged()".into()] {
        let error = second.simple_query(&call).err().context("a second backfill runs")?;
        let error = error.as_db_error().context("no answer of the server")?;
        assert_eq!((error.code().code(), error.message()), ("55P03", "lock 7004 is held by somebody else"));
        assert_eq!(error.detail(), Some(format!("Process {} holds it.", running.pid()).as_str()));
    }
    // Nor does anybody begin to lead.
    assert!(!one::<bool>(&mut second, "SELECT pg_try_advisory_lock(7004)")?);
    assert!(!one::<bool>(&mut second, "SELECT costsim_try_leader(7004)")?);
    assert!(one::<bool>(&mut second, "SELECT costsim_try_lease(7004, 'other') IS NULL")?);

    holder.batch_execute("SELECT pg_advisory_unlock(99)")?;
    assert_eq!(running.answer()?.1, "449/50/1");
    assert_eq!(one::<String>(&mut second, &backfill(1))?, "0/499/1");
    let once = "SELECT count(*) = 449 AND count(DISTINCT input_hash) = 449 FROM costsim_provenance";
    assert!(one::<bool>(&mut second, once)?);
    Ok(())
}

#[test]
fn leader_of_the_lock_keeps_others_from_it() -> Result<()> {
    let (cluster, mut leader) = database("led")?;
    let mut other = cluster.connect("led")?;
    assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7004, 'node-1')")?);
    let pid: i32 = one(&mut leader, "SELECT pg_backend_pid()")?;
    let error = other.simple_query(&backfill(100)).err().context("it runs beside the leader")?;
    let detail = error.as_db_error().and_then(|error| error.detail().map(str::to_owned));
    assert_eq!(detail, Some(format!("Process {pid} (node \"node-1\") holds it.")));
    // The leader itself may, and leads on.
    assert_eq!(one::<String>(&mut leader, &backfill(100))?, "449/50/1");
    assert!(one::<bool>(&mut leader, "SELECT costsim_is_leader(7004) AND costsim_release_leader(7004)")?);

    // A lease that is being given and not committed yet counts.
    leader.batch_execute("BEGIN; SELECT costsim_try_lease(7004, 'pooled', '1 h')")?;
    assert_eq!(sqlstate_of(&mut other, &backfill(100))?, "55P03");
    leader.batch_execute("COMMIT")?;
    assert_eq!(sqlstate_of(&mut other, &backfill(100))?, "55P03");
    // One that is over does not.
    leader.batch_execute("UPDATE costsim_leaders SET lease_until = clock_timestamp() - interval '1 s'")?;
    assert_eq!(one::<String>(&mut other, &backfill(100))?, "0/499/1");
    Ok(())
}

#[test]
fn cancel_ends_the_call_and_is_no_records_error() -> Result<()> {
    let (cluster, mut holder) = database("cancelled")?;
    for (end, sqlstate) in [("pg_cancel_backend", "57014"), ("pg_terminate_backend", "57P01")] {
        let running = start(&cluster, "cancelled", &mut holder)?;
        holder.batch_execute(&format!("SELECT {end}({})", running.pid()))?;
        let refusal = running.refusal()?.1;
        // Of a session that is terminated the client often sees the end alone.
        assert!(
            refusal == sqlstate || end == "pg_terminate_backend" && refusal == "closed",
            "{end}: {refusal}"
        );
        holder.batch_execute("SELECT pg_advisory_unlock_all()")?;
    }
    // The timeouts: of the statement, and of the lock it waits for.
    for (setting, sqlstate) in [("statement_timeout", "57014"), ("lock_timeout", "55P03")] {
        holder.batch_execute("SELECT pg_advisory_lock(99)")?;
        let mut client = cluster.connect("cancelled")?;
        client.batch_execute(&format!("SET {setting} = '300 ms'"))?;
        assert_eq!(sqlstate_of(&mut client, &backfill(100))?, sqlstate, "{setting}");
        holder.batch_execute("SELECT pg_advisory_unlock_all()")?;
    }
    wait_until(LIMIT, "the terminated session to be gone", || {
        Ok((!one::<bool>(&mut holder, "SELECT costsim_lock_held(7004)")?).then_some(()))
    })?;
    assert_eq!(one::<i64>(&mut holder, "SELECT count(*) FROM costsim_provenance")?, 0);
    assert_eq!(one::<String>(&mut holder, &backfill(100))?, "449/50/1");
    Ok(())
}

/// Two in three records are new, some are bad; the rest repeats an earlier one, often of another chunk.
const STAGE: &str = "INSERT INTO costsim_backfill_staging (record)
    SELECT CASE WHEN i % 97 = 0 THEN json_build_object('tenant_id', 't', 'cost', i)
                ELSE json_build_object('tenant_id', 't' || i % 3, 'payload', json_build_object('n', key), 'cost', key) END
      FROM (SELECT i, CASE WHEN i % 3 = 0 THEN i / 2 ELSE i END AS key FROM generate_series(1, $1) i) k ORDER BY i";

/// One chunk after the other until none remain; an error when the server goes away.
fn load(client: &mut Client) -> Result<()> {
    loop {
        let remaining: i64 = one(client, "SELECT remaining FROM costsim_backfill_staged(50, 20)")?;
        if remaining == 0 {
            return Ok(());
        }
    }
}

/// The server is killed again and again in the middle of the load, in both ways, and the load goes on. `COSTSIM_BACKFILL_CRASHES` says how often.
#[test]
fn crash_loses_and_doubles_nothing() -> Result<()> {
    let crashes: usize = match std::env::var("COSTSIM_BACKFILL_CRASHES") {
        Ok(number) => number.parse()?,
        Err(_) => 3,
    };
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    let records = i32::try_from(crashes * 4000)?;
    client.execute(STAGE, &[&records])?;
    // Committed chunks must survive; the last ones may be lost with their notes, as any commit without a flush.
    client.batch_execute("CHECKPOINT")?;
    for crash in 0..crashes {
        let processed: i64 =
            one(&mut client, "SELECT count(*) FROM costsim_backfill_staging WHERE state <> 'staged'")?;
        let threshold = processed + fastrand::i64(1..=1000);
        let mut loader = cluster.connect("app")?;
        let pid: i32 = one(&mut loader, "SELECT pg_backend_pid()")?;
        let loading = std::thread::spawn(move || load(&mut loader));
        wait_until(LIMIT, "the load to get on", || {
            let query = "SELECT count(*) FROM costsim_backfill_staging WHERE state <> 'staged'";
            Ok((one::<i64>(&mut client, query)? >= threshold).then_some(()))
        })?;
        if crash % 2 == 0 {
            cluster.kill_backend(pid, Signal::KILL)?;
        } else {
            cluster.restart(Mode::Immediate)?;
        }
        let outcome = loading.join().map_err(|_| anyhow::anyhow!("the loader panicked"))?;
        ensure!(outcome.is_err(), "the load ended before crash {crash}");
        // The server ends all sessions before it starts anew, and takes new ones for a moment before it does.
        wait_until(LIMIT, "the crash to reach every session", || {
            Ok(client.simple_query("").is_err().then_some(()))
        })?;
        client = wait_until(LIMIT, "the server to be back", || cluster.connect("app").map(Some))?;
        check_the_chunks(&mut client)?;
    }
    load(&mut client)?;
    check_the_chunks(&mut client)?;
    let told =
        "SELECT staged || '/' || errors || '/' || missing || '/' || differing FROM costsim_backfill_verify()";
    assert_eq!(one::<String>(&mut client, told)?, format!("0/{}/0/0", records / 97));
    // Every baseline once, and no other.
    let differences: i64 = one(
        &mut client,
        "WITH wanted AS (SELECT DISTINCT record ->> 'tenant_id' AS tenant_id, costsim_input_hash(record -> 'payload') AS input_hash
                           FROM costsim_backfill_staging WHERE record -> 'payload' IS NOT NULL)
         SELECT (SELECT count(*) FROM costsim_provenance p FULL JOIN wanted w USING (tenant_id, input_hash) WHERE p.id IS NULL OR w.input_hash IS NULL)
              + (SELECT count(*) - count(DISTINCT (tenant_id, input_hash)) FROM costsim_provenance)",
    )?;
    assert_eq!(differences, 0);
    Ok(())
}

/// A chunk is there with its notes or not at all.
fn check_the_chunks(client: &mut Client) -> Result<()> {
    let torn: i64 = one(
        client,
        "SELECT (SELECT count(*) FROM costsim_provenance p
                  WHERE NOT EXISTS (SELECT FROM costsim_backfill_staging s WHERE s.provenance_id = p.id AND s.state = 'inserted'))
              + (SELECT missing FROM costsim_backfill_verify())
              + (SELECT count(*) % 50 FROM costsim_backfill_staging WHERE state <> 'staged')",
    )?;
    ensure!(torn == 0, "{torn} rows without their notes, notes without their rows, or half chunks");
    Ok(())
}
