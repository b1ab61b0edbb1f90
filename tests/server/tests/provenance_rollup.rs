//! What roll-ups answer, one claim at a time: what is read for it, who may ask when, and who is asked in the middle of a statement. That the
//! answers are right whatever sessions do is played in `provenance_rollup_game.rs`.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::drift::{
    DAY, HOUR, MOMENT, Question, Rows, check, check_thoroughly, differences, refresh_everything, seed,
    this_hour,
};
use costsim_server_tests::{Shared, one, sqlstate_of, wait_for};
use postgres::Client;
use std::sync::Arc;
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

/// Raw rows that a question about hours that are over reads.
fn raw_rows_read(client: &mut Client, statement: &str) -> Result<i64> {
    let mut transaction = client.transaction()?;
    let read = "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
                  FROM pg_stat_xact_user_tables WHERE relname = 'costsim_provenance'";
    let before: i64 = transaction.query_one(read, &[])?.get(0);
    transaction.batch_execute(statement)?;
    let after: i64 = transaction.query_one(read, &[])?.get(0);
    transaction.rollback()?;
    Ok(after - before)
}

#[test]
fn refreshed_hours_are_answered_without_their_rows() -> Result<()> {
    let mut rng = seed(16)?;
    let (_cluster, mut client) = database("answered")?;
    let now = this_hour(&mut client)?;
    client.batch_execute(
        "INSERT INTO costsim_provenance (tenant_id, v1_cost, v2_cost, created_at)
         SELECT 'acme', n, n * 1.1, date_trunc('hour', now(), 'UTC') - n * interval '10 seconds' FROM generate_series(1, 20000) n;
         ANALYZE costsim_provenance",
    )?;
    let [past, of_a_day, from_within] = [
        "SELECT costsim_drift_stats(end_date => date_trunc('hour', now(), 'UTC') - interval '1 microsecond')",
        "SELECT costsim_drift_stats(date_trunc('hour', now(), 'UTC') - interval '24 hours',
                                    date_trunc('hour', now(), 'UTC') - interval '1 microsecond', 'acme')",
        "SELECT costsim_drift_stats(date_trunc('hour', now(), 'UTC') - interval '9 hours 30 minutes',
                                    date_trunc('hour', now(), 'UTC') - interval '1 microsecond')",
    ];
    ensure!(raw_rows_read(&mut client, past)? >= 20_000, "before the first refresh there are only rows");
    refresh_everything(&mut client)?;
    assert_eq!(raw_rows_read(&mut client, past)?, 0);
    assert_eq!(raw_rows_read(&mut client, of_a_day)?, 0);
    // Half an hour of rows, one in ten seconds, at the edge.
    let edge = raw_rows_read(&mut client, from_within)?;
    assert!((180..=362).contains(&edge), "{edge} rows for half an hour of 180");
    // A single row makes one hour of 360 a matter of rows again.
    client.batch_execute(
        "INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at)
         VALUES (1, 2, date_trunc('hour', now(), 'UTC') - interval '5 hours 30 minutes')",
    )?;
    let marked = raw_rows_read(&mut client, past)?;
    assert!((361..=724).contains(&marked), "{marked} rows for one hour of 361");
    check_thoroughly(&mut client, &mut rng, now)?;
    refresh_everything(&mut client)?;
    assert_eq!(raw_rows_read(&mut client, past)?, 0);
    check_thoroughly(&mut client, &mut rng, now)
}

/// The control: rows that change behind the triggers' back are missed, and the comparison of these tests sees it.
#[test]
fn rows_that_change_without_their_trigger_are_noticed_by_the_comparison_and_mended_by_a_rebuild() -> Result<()>
{
    let mut rng = seed(26)?;
    let (_cluster, mut client) = database("control")?;
    let now = this_hour(&mut client)?;
    for _ in 0..10 {
        client.batch_execute(&Rows::random(&mut rng, "control", now - HOUR).insert())?;
    }
    let a_day_ago = format!("{MOMENT} {}", now - DAY);
    let insert = |v2: u8| {
        format!(
            "INSERT INTO costsim_provenance (run_id, tenant_id, v1_cost, v2_cost, created_at) VALUES ('x', 'acme', 1, {v2}, {a_day_ago})"
        )
    };
    client.batch_execute(&insert(2))?;
    refresh_everything(&mut client)?;
    check(&mut client, &Question::EVERYTHING)?;
    for behind in [insert(100), "DELETE FROM costsim_provenance WHERE run_id = 'x'".to_owned()] {
        client.batch_execute("ALTER TABLE costsim_provenance DISABLE TRIGGER ALL")?;
        client.batch_execute(&behind)?;
        client.batch_execute(ENABLE_ALWAYS)?;
        let found = differences(&mut client, &Question::EVERYTHING)?;
        ensure!(found.iter().any(|it| it.starts_with("total")), "{behind} was not noticed: {found:?}");
        client.batch_execute("SELECT costsim_refresh_drift(rebuild => true)")?;
        check_thoroughly(&mut client, &mut rng, now)?;
    }
    Ok(())
}

/// As the extension makes them: a plain ENABLE would leave them silent for whoever is a replica.
const ENABLE_ALWAYS: &str = "ALTER TABLE costsim_provenance ENABLE ALWAYS TRIGGER zz_costsim_provenance_row, ENABLE ALWAYS TRIGGER costsim_provenance_truncated,
    ENABLE ALWAYS TRIGGER costsim_metrics_keep, ENABLE ALWAYS TRIGGER costsim_metrics_keep_changed";

#[test]
fn table_has_one_trigger_for_rows_and_the_others_for_statements_and_all_fire_always() -> Result<()> {
    let (_cluster, mut client) = database("triggers")?;
    let are_there = "SELECT string_agg(format('%s %s%s', tgname, tgenabled, CASE WHEN tgtype & 1 = 1 THEN ' row' END), ', ' ORDER BY tgname)
                       FROM pg_trigger WHERE tgrelid = 'costsim_provenance'::regclass";
    let expected = "costsim_metrics_keep A, costsim_metrics_keep_changed A, costsim_provenance_truncated A, zz_costsim_provenance_row A row";
    assert_eq!(one::<String>(&mut client, are_there)?, expected);
    // What puts them back names them all.
    client.batch_execute("ALTER TABLE costsim_provenance ENABLE TRIGGER ALL")?;
    client.batch_execute(ENABLE_ALWAYS)?;
    assert_eq!(one::<String>(&mut client, are_there)?, expected);
    Ok(())
}

/// A mark that cannot be seen yet belongs to rows that cannot be seen yet.
#[test]
fn transaction_that_commits_after_a_refresh_of_its_hour_is_not_missed() -> Result<()> {
    let (cluster, mut client) = database("late")?;
    let now = this_hour(&mut client)?;
    let an_hour_ago = format!("{MOMENT} {}", now - HOUR);
    let insert =
        format!("INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, {an_hour_ago})");
    client.batch_execute(&insert)?;
    let mut late = cluster.connect("late")?;
    let mut reader = cluster.connect("late")?;
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    check(&mut reader, &Question::EVERYTHING)?;
    late.batch_execute("BEGIN")?;
    late.batch_execute(&insert)?;
    for _ in 0..2 {
        client.batch_execute("SELECT costsim_refresh_drift()")?;
        check(&mut client, &Question::EVERYTHING)?;
        check(&mut late, &Question::EVERYTHING)?;
    }
    late.batch_execute("COMMIT")?;
    check(&mut client, &Question::EVERYTHING)?;
    refresh_everything(&mut client)?;
    check(&mut client, &Question::EVERYTHING)?;
    // Its snapshot is from before both; what was refreshed since is not of its world.
    check(&mut reader, &Question::EVERYTHING)?;
    let seen = "SELECT total FROM costsim_drift_stats()";
    assert_eq!((one::<i64>(&mut reader, seen)?, one::<i64>(&mut client, seen)?), (1, 2));
    reader.batch_execute("COMMIT")?;
    assert_eq!(one::<i64>(&mut reader, seen)?, 2);
    Ok(())
}

/// A refresh rolls up what has been committed by now. A transaction that goes on seeing what was there before would find its answers mixed
/// from both.
#[test]
fn refresh_is_refused_in_a_transaction_whose_snapshot_lasts() -> Result<()> {
    let (cluster, mut client) = database("snapshot")?;
    let now = this_hour(&mut client)?;
    let insert = insert_at(&format!("{MOMENT} {}", now - HOUR));
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        client.batch_execute(&insert)?;
        let mut late = cluster.connect("snapshot")?;
        late.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}"))?;
        check(&mut late, &Question::EVERYTHING)?;
        client.batch_execute(&insert)?;
        late.batch_execute("SAVEPOINT before")?;
        for refresh in ["SELECT costsim_refresh_drift()", "SELECT costsim_refresh_drift(rebuild => true)"] {
            assert_eq!(sqlstate_of(&mut late, refresh)?, "25001", "{level}: {refresh}");
            late.batch_execute("ROLLBACK TO before")?;
        }
        check(&mut late, &Question::EVERYTHING).context(level)?;
        // It stands in nobody's way.
        refresh_everything(&mut client)?;
        check(&mut late, &Question::EVERYTHING).context(level)?;
        late.batch_execute("COMMIT")?;
        check(&mut client, &Question::EVERYTHING)?;
    }
    Ok(())
}

fn insert_at(moment: &str) -> String {
    format!("INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, {moment})")
}

/// Marks of an hour that are committed.
fn marks_of(client: &mut Client, hour: i64) -> Result<i64> {
    let question = format!("SELECT count(*) FROM costsim_drift_changes WHERE hour = {MOMENT} {hour}");
    one(client, &question)
}

/// What drift counts, and what the rows are, as one text: of one statement, so of one snapshot.
const BOTH: &str = "format('%s of %s', (SELECT s.total FROM costsim_drift_stats() s), (SELECT count(*) FROM costsim_provenance))";

/// Hours that are over, with two rows each, and all of it rolled up.
fn rolled_up(client: &mut Client, hours: i64) -> Result<()> {
    client.batch_execute(&format!(
        "INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
         SELECT 'old', n, n + 1, date_trunc('hour', now(), 'UTC') - n * interval '30 minutes' FROM generate_series(1, {hours} * 2) n"
    ))?;
    refresh_everything(client)
}

/// Answers that some code noted: so many, and every one that of the rows.
fn check_noted(client: &mut Client, question: &str, expected: usize) -> Result<()> {
    let noted: Vec<String> = client.query(question, &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(noted.len(), expected, "{noted:?}");
    for answer in &noted {
        let (total, rows) = answer.split_once(" of ").with_context(|| answer.clone())?;
        assert_eq!(total, rows, "drift's total of so many rows, in turn: {noted:?}");
    }
    Ok(())
}

/// Triggers of one kind fire in the order of their names, row after row: this one comes between a row and whatever else there is.
#[test]
fn trigger_of_the_users_that_asks_in_the_same_statement_is_told_what_the_rows_say() -> Result<()> {
    let (_cluster, mut client) = database("in_triggers")?;
    client.batch_execute(&format!(
        "CREATE TABLE noted (answer text);
         CREATE FUNCTION check_drift() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO noted SELECT {BOTH}; RETURN NULL; END $$;
         CREATE TRIGGER check_drift AFTER INSERT OR UPDATE OR DELETE ON costsim_provenance
             FOR EACH ROW EXECUTE FUNCTION check_drift()"
    ))?;
    // More hours than a transaction takes locks of.
    rolled_up(&mut client, 30)?;
    let statements = [
        "INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
         SELECT 'new', 1, 2, date_trunc('hour', now(), 'UTC') - n * interval '17 minutes' FROM generate_series(1, 40) n",
        "UPDATE costsim_provenance SET created_at = created_at - interval '100 minutes' WHERE run_id = 'new'",
        "UPDATE costsim_provenance SET v1_cost = v1_cost + 1 WHERE run_id = 'new'",
        "DELETE FROM costsim_provenance WHERE run_id = 'new'",
    ];
    for (at, statement) in statements.into_iter().enumerate() {
        for level in ["READ COMMITTED", "REPEATABLE READ"] {
            client.batch_execute("TRUNCATE noted")?;
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; {statement}"))?;
            check_noted(&mut client, "SELECT answer FROM noted", 40).with_context(|| statement.to_owned())?;
            check(&mut client, &Question::EVERYTHING)?;
            // Of the last only what is committed goes on.
            client.batch_execute(if level == "READ COMMITTED" { "ROLLBACK" } else { "COMMIT" })?;
        }
        check(&mut client, &Question::EVERYTHING)?;
        if at % 2 == 0 {
            refresh_everything(&mut client)?;
        }
    }
    Ok(())
}

/// All that a rule makes of a statement has one snapshot, and counts what the parts before it wrote. A mark that was committed after it was
/// taken is not in it.
#[test]
fn rule_that_writes_and_asks_is_told_what_the_rows_say_when_another_marks_the_hour_in_between() -> Result<()>
{
    let (cluster, mut client) = database("rule")?;
    client.batch_execute(&format!(
        "CREATE TABLE log (answer text);
         CREATE VIEW prices AS SELECT v1_cost, v2_cost, created_at FROM costsim_provenance;
         CREATE RULE priced AS ON INSERT TO prices DO INSTEAD (
             INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (NEW.v1_cost, NEW.v2_cost, NEW.created_at);
             INSERT INTO log SELECT {BOTH})"
    ))?;
    rolled_up(&mut client, 5)?;
    in_between(&cluster, &mut client)?;
    check_noted(&mut client, "SELECT answer FROM log", 1)?;
    assert_eq!(one::<String>(&mut client, "SELECT answer FROM log")?, "11 of 11", "without the other's row");
    check(&mut client, &Question::EVERYTHING)
}

/// Inserts into the view, and another first when that statement has begun.
fn in_between(cluster: &Cluster, client: &mut Client) -> Result<()> {
    const GATE: &str = "7";
    let now = this_hour(client)?;
    let moment = format!("{MOMENT} {}", now - 2 * HOUR);
    assert_eq!(marks_of(client, now - 2 * HOUR)?, 0);
    let mut writer = cluster.connect("rule")?;
    let pid: i32 = one(&mut writer, "SELECT pg_backend_pid()")?;
    client.batch_execute(&format!("SELECT pg_advisory_lock({GATE})"))?;
    thread::scope(|scope| -> Result<()> {
        let statement =
            format!("INSERT INTO prices SELECT 1, 2, {moment} FROM pg_advisory_xact_lock({GATE}) AS gate");
        let writing = scope.spawn(move || writer.batch_execute(&statement));
        // It has its snapshot, and has written nothing.
        let waits = format!(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = {pid} AND NOT granted)"
        );
        let waited = wait_for(client, "the writer to come to the gate", &waits);
        let marked = client.batch_execute(&insert_at(&moment));
        client.batch_execute(&format!("SELECT pg_advisory_unlock({GATE})"))?;
        writing.join().map_err(|_| anyhow!("the writer panicked"))??;
        waited?;
        Ok(marked?)
    })
}

#[test]
fn function_called_for_each_row_of_an_insert_is_told_what_the_rows_say() -> Result<()> {
    let (_cluster, mut client) = database("in_functions")?;
    rolled_up(&mut client, 30)?;
    for volatility in ["VOLATILE", "STABLE"] {
        client.batch_execute(&format!(
            "CREATE OR REPLACE FUNCTION seen(integer) RETURNS text LANGUAGE plpgsql {volatility} AS $$
                 BEGIN RETURN (SELECT {BOTH}); END $$"
        ))?;
        let insert = "INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
                      SELECT seen(n), 1, 2, date_trunc('hour', now(), 'UTC') - n * interval '47 minutes' FROM generate_series(1, 20) n";
        for (returning, level) in [
            ("RETURNING run_id", "READ COMMITTED"),
            ("RETURNING seen(1)", "READ COMMITTED"),
            ("RETURNING seen(1)", "REPEATABLE READ"),
        ] {
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}"))?;
            let context = || format!("{volatility}, {level}, {returning}");
            check_noted(&mut client, &format!("{insert} {returning}"), 20).with_context(context)?;
            check(&mut client, &Question::EVERYTHING).with_context(context)?;
            client.batch_execute("COMMIT")?;
            check(&mut client, &Question::EVERYTHING).with_context(context)?;
            refresh_everything(&mut client)?;
        }
    }
    Ok(())
}

#[test]
fn repeatable_read_writers_leave_no_mark_each_where_their_snapshot_shows_one() -> Result<()> {
    let (cluster, mut client) = database("repeatable")?;
    rolled_up(&mut client, 5)?;
    let now = this_hour(&mut client)?;
    let hour = now - 2 * HOUR;
    let insert = insert_at(&format!("{MOMENT} {hour}"));
    client.batch_execute(&insert)?;
    assert_eq!(marks_of(&mut client, hour)?, 1);
    // Under SERIALIZABLE even a look at the marks would tie writers of different rows to each other, so there each leaves one.
    for (level, left) in [("REPEATABLE READ", 1), ("SERIALIZABLE", 11)] {
        for _ in 0..10 {
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; {insert}"))?;
            check(&mut client, &Question::EVERYTHING)?;
            client.batch_execute("COMMIT")?;
        }
        assert_eq!(
            marks_of(&mut client, hour)?,
            left,
            "ten transactions wrote into an hour that was marked, {level}"
        );
    }

    // One whose snapshot is older than the mark needs its own; one whose snapshot shows a mark that has gone since, as well.
    refresh_everything(&mut client)?;
    let mut before = cluster.connect("repeatable")?;
    before.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    check(&mut before, &Question::EVERYTHING)?;
    client.batch_execute(&insert)?;
    before.batch_execute(&insert)?;
    check(&mut before, &Question::EVERYTHING)?;
    before.batch_execute("COMMIT")?;
    check(&mut client, &Question::EVERYTHING)?;

    let mut after = cluster.connect("repeatable")?;
    after.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    check(&mut after, &Question::EVERYTHING)?;
    refresh_everything(&mut client)?;
    after.batch_execute(&insert)?;
    check(&mut after, &Question::EVERYTHING)?;
    after.batch_execute("COMMIT")?;
    check(&mut client, &Question::EVERYTHING)?;
    assert_eq!(one::<String>(&mut client, &format!("SELECT {BOTH}"))?, "34 of 34");
    Ok(())
}

#[test]
fn rows_at_the_ends_of_the_calendar_break_nothing() -> Result<()> {
    let mut rng = seed(66)?;
    let (_cluster, mut client) = database("calendar")?;
    let now = this_hour(&mut client)?;
    rolled_up(&mut client, 40)?;
    let ends = [
        "'294276-12-31 12:00Z'",
        "'4714-11-24 00:00Z BC'",
        "'262143-01-01 00:00Z'",
        "'infinity'",
        "'-infinity'",
    ];
    let questions = [
        "SELECT costsim_drift_stats('294276-12-31 12:00Z', '294276-12-31 12:00Z')",
        "SELECT costsim_drift_stats('294276-12-30 11:00Z', NULL, 'acme')",
        "SELECT costsim_drift_stats(NULL, '4714-11-24 00:00Z BC')",
        "SELECT count(*) FROM costsim_drift_series(bucket => '1 hour')",
        "SELECT count(*) FROM costsim_drift_series(bucket => '1 day')",
    ];
    for end in ends {
        client.batch_execute(&insert_at(end))?;
        for refresh in ["", "SELECT costsim_refresh_drift()", "SELECT costsim_refresh_drift(rebuild => true)"]
        {
            client.batch_execute(refresh).with_context(|| format!("{refresh} with a row at {end}"))?;
            check_thoroughly(&mut client, &mut rng, now).with_context(|| format!("a row at {end}"))?;
            for question in questions {
                client.batch_execute(question).with_context(|| format!("{question} with a row at {end}"))?;
            }
        }
    }
    let gone = "DELETE FROM costsim_provenance WHERE run_id IS NULL";
    assert_eq!(client.execute(gone, &[])?, ends.len() as u64);
    check_thoroughly(&mut client, &mut rng, now)?;
    refresh_everything(&mut client)?;
    check_thoroughly(&mut client, &mut rng, now)
}

/// A refresh takes marks away that its own transaction has made, so the next row needs a new one.
#[test]
fn row_that_comes_after_a_rebuild_in_the_same_transaction_is_not_missed() -> Result<()> {
    let (_cluster, mut client) = database("rebuilt")?;
    let now = this_hour(&mut client)?;
    for moment in
        ["'infinity'", "'-infinity'", &format!("{MOMENT} {now}"), &format!("{MOMENT} {}", now - HOUR)]
    {
        rolled_up(&mut client, 2)?;
        let insert = insert_at(moment);
        for refresh in ["SELECT costsim_refresh_drift()", "SELECT costsim_refresh_drift(rebuild => true)"] {
            let delete = format!("DELETE FROM costsim_provenance WHERE created_at = {moment}");
            client.batch_execute(&format!("BEGIN; {insert}; {delete}; {refresh}; {insert}"))?;
            check(&mut client, &Question::EVERYTHING).with_context(|| format!("{refresh}, {moment}"))?;
            client.batch_execute("COMMIT")?;
            check(&mut client, &Question::EVERYTHING).with_context(|| format!("{refresh}, {moment}"))?;
        }
        refresh_everything(&mut client)?;
        check(&mut client, &Question::EVERYTHING).with_context(|| moment.to_owned())?;
    }
    Ok(())
}

#[test]
fn refresh_takes_no_negative_number_of_hours() -> Result<()> {
    let (_cluster, mut client) = database("misuse")?;
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim_refresh_drift(-1)")?, "22023");
    assert_eq!(sqlstate_of(&mut client, "SELECT costsim_refresh_drift(NULL)")?, "22004");
    Ok(())
}
