//! A session answers from its memory whether a breaker is open, and is right from the moment at which a change of it is
//! committed, whoever made the change and however.
//!
//! Every case lets the sessions answer from memory first, and asks them twice after the change. Each has a database of its own:
//! what is written beside it would tell its sessions to look again. The last case takes away what tells them, and is answered
//! wrongly.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Cluster, Signal, wait_until};
use costsim_server_tests::{Asked, LIMIT, Shared, one, says, sqlstate_of, wait_for};
use postgres::{Client, NoTls};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

/// What the databases of the tests are copies of.
const TEMPLATE: &str = "with_extension";

const OPEN: &str = "SELECT costsim_disable_v2('a test opens it', 'test')";
const CLOSE: &str = "SELECT costsim_enable_v2('test')";

/// As the application's own ORM opens and closes it.
const OPEN_DIRECTLY: &str =
    "UPDATE costsim_cb_state SET disabled = true, disabled_by = 'orm', disabled_reason = 'drift'";
const CLOSE_DIRECTLY: &str =
    "UPDATE costsim_cb_state SET disabled = false, disabled_by = NULL, disabled_reason = NULL";
/// What is over counts as closed. Changes nothing else, so that this is what the memory has to know.
const EXPIRE: &str = "UPDATE costsim_cb_state SET disabled_until = '2000-01-01'";

const ISOLATION_LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

fn new_cluster() -> Result<Cluster> {
    // A vacuum makes every session look again at the table it has vacuumed, which would hide a change that nobody told.
    let cluster = Cluster::builder().conf("autovacuum", "off").conf("wal_level", "logical").start()?;
    cluster.create_database_with_extension(TEMPLATE)?;
    Ok(cluster)
}

/// The same of another breaker.
#[track_caller]
fn says_of(client: &mut Client, name: &str, is_open: bool) -> Result<()> {
    for time in ["the first time", "from memory"] {
        let answer: bool = client.query_one("SELECT costsim_is_open($1)", &[&name])?.try_get(0)?;
        assert_eq!(answer, is_open, "{name}, {time}");
    }
    Ok(())
}

/// The session knows no breaker of this name.
#[track_caller]
fn knows_none(client: &mut Client, name: &str) -> Result<()> {
    for _ in 0..2 {
        assert_eq!(sqlstate_of(client, &format!("SELECT costsim_is_open('{name}')"))?, "42704", "{name}");
    }
    Ok(())
}

/// A database with a breaker whose row is there, closed, and two sessions that answer so from memory.
struct Scene {
    cluster: Arc<Cluster>,
    database: String,
    writer: Client,
    reader: Client,
}

impl Scene {
    fn new(database: &str) -> Result<Self> {
        Self::on(CLUSTER.get(new_cluster)?, database)
    }

    /// On a server of its own. Where a transaction holds the table, who has lost its memory waits for it; and a session that is behind by
    /// thousands of invalidations, of databases that other tests make, is told to forget everything.
    fn alone(database: &str) -> Result<Self> {
        Self::on(Arc::new(new_cluster()?), database)
    }

    fn on(cluster: Arc<Cluster>, database: &str) -> Result<Self> {
        cluster
            .connect("postgres")?
            .batch_execute(&format!("CREATE DATABASE {database} TEMPLATE {TEMPLATE}"))?;
        let (writer, reader) = (connect(&cluster, database)?, connect(&cluster, database)?);
        let mut scene = Self { cluster, database: database.to_owned(), writer, reader };
        scene.writer.batch_execute("INSERT INTO costsim_cb_state (name) VALUES ('costsim_v2')")?;
        scene.both_say(false)?;
        Ok(scene)
    }

    fn connect(&self) -> Result<Client> {
        connect(&self.cluster, &self.database)
    }

    #[track_caller]
    fn both_say(&mut self, is_open: bool) -> Result<()> {
        says(&mut self.reader, is_open)?;
        says(&mut self.writer, is_open)
    }

    /// What the writer commits, both know.
    #[track_caller]
    fn write(&mut self, statement: &str, is_open: bool) -> Result<()> {
        self.writer.batch_execute(statement).with_context(|| statement.to_owned())?;
        self.both_say(is_open)
    }

    /// What the writer does, nobody else sees before its commit or ever after its rollback.
    #[track_caller]
    fn is_seen_from_its_commit_on(
        &mut self,
        write: impl Fn(&mut Client) -> Result<()>,
        was_open: bool,
    ) -> Result<()> {
        self.both_say(was_open)?;
        for end in ["ROLLBACK", "COMMIT"] {
            self.writer.batch_execute("BEGIN")?;
            write(&mut self.writer)?;
            says(&mut self.writer, !was_open)?;
            says(&mut self.reader, was_open)?;
            self.writer.batch_execute(end)?;
            self.both_say(was_open == (end == "ROLLBACK"))?;
        }
        Ok(())
    }
}

/// A session that would rather fail than wait for a lock: a memory needs none.
fn connect(cluster: &Cluster, database: &str) -> Result<Client> {
    let mut client = cluster.connect(database)?;
    client.batch_execute("SET lock_timeout = '10 s'")?;
    Ok(client)
}

/// A statement in another session's transaction, after what makes the state it changes.
#[track_caller]
fn is_seen(database: &str, before: &str, statement: &str, was_open: bool) -> Result<()> {
    is_seen_in(Scene::new(database)?, before, statement, was_open)
}

#[track_caller]
fn is_seen_in(mut scene: Scene, before: &str, statement: &str, was_open: bool) -> Result<()> {
    scene.writer.batch_execute(before)?;
    scene.is_seen_from_its_commit_on(|writer| Ok(writer.batch_execute(statement)?), was_open)
}

// ---------------------------------------------------------------------------------------------------------------------
// Who changes it, and how

#[test]
fn trip_of_another_session_is_seen_from_its_commit_on() -> Result<()> {
    let trip = "SELECT costsim_report_drift(0.9), costsim_report_drift(0.9), costsim_report_drift(0.9)";
    is_seen("cache_trip", "SELECT", trip, false)
}

#[test]
fn disable_of_another_session_is_seen_from_its_commit_on() -> Result<()> {
    is_seen("cache_disable", "SELECT", OPEN, false)
}

#[test]
fn enable_of_another_session_is_seen_from_its_commit_on() -> Result<()> {
    is_seen("cache_enable", OPEN, CLOSE, true)
}

#[test]
fn recovery_written_by_another_session_is_seen_from_its_commit_on() -> Result<()> {
    let mut scene = Scene::new("cache_recovery")?;
    scene.write(OPEN, true)?;
    scene.write(EXPIRE, false)?;
    scene.write("SELECT costsim_is_v2_disabled()", false)?;
    assert!(!one::<bool>(&mut scene.reader, "SELECT disabled FROM costsim_cb_state")?, "it is written down");
    scene.write(OPEN, true)
}

#[test]
fn update_is_seen_from_its_commit_on() -> Result<()> {
    is_seen("cache_update_open", "SELECT", OPEN_DIRECTLY, false)?;
    is_seen("cache_update_close", OPEN, CLOSE_DIRECTLY, true)?;
    is_seen("cache_update_until", OPEN, EXPIRE, true)
}

#[test]
fn delete_is_seen_from_its_commit_on() -> Result<()> {
    is_seen("cache_delete", OPEN, "DELETE FROM costsim_cb_state", true)
}

const NO_ROW: &str = "DELETE FROM costsim_cb_state";

#[test]
fn insert_is_seen_from_its_commit_on() -> Result<()> {
    let insert = "INSERT INTO costsim_cb_state (name, disabled) VALUES ('costsim_v2', true)";
    is_seen("cache_insert", NO_ROW, insert, false)
}

#[test]
fn upsert_is_seen_from_its_commit_on() -> Result<()> {
    let upsert = "INSERT INTO costsim_cb_state (name, disabled) VALUES ('costsim_v2', true)
                  ON CONFLICT (name) DO UPDATE SET disabled = true";
    is_seen("cache_upsert_updates", "SELECT", upsert, false)?;
    is_seen("cache_upsert_inserts", NO_ROW, upsert, false)
}

#[test]
fn merge_is_seen_from_its_commit_on() -> Result<()> {
    let merge = "MERGE INTO costsim_cb_state s USING (VALUES ('costsim_v2')) v(name) ON s.name = v.name
                  WHEN MATCHED THEN UPDATE SET disabled = true
                  WHEN NOT MATCHED THEN INSERT (name, disabled) VALUES (v.name, true)";
    is_seen("cache_merge_updates", "SELECT", merge, false)?;
    is_seen("cache_merge_inserts", NO_ROW, merge, false)?;
    let delete = "MERGE INTO costsim_cb_state s USING (VALUES ('costsim_v2')) v(name) ON s.name = v.name
                   WHEN MATCHED THEN DELETE";
    is_seen("cache_merge_deletes", OPEN, delete, true)
}

#[test]
fn copy_is_seen_from_its_commit_on() -> Result<()> {
    let mut scene = Scene::new("cache_copy")?;
    scene.write(NO_ROW, false)?;
    scene.is_seen_from_its_commit_on(
        |writer| {
            let mut input = writer.copy_in("COPY costsim_cb_state (name, disabled) FROM STDIN")?;
            input.write_all(b"costsim_v2\tt\n")?;
            ensure!(input.finish()? == 1, "a row is copied");
            Ok(())
        },
        false,
    )
}

#[test]
fn truncate_is_seen_from_its_commit_on() -> Result<()> {
    is_seen_in(Scene::alone("cache_truncate")?, OPEN, "TRUNCATE costsim_cb_state", true)?;
    // Of an empty table there is no row whose trigger could tell.
    let mut scene = Scene::new("cache_truncate_again")?;
    for _ in 0..2 {
        scene.write("TRUNCATE costsim_cb_state", false)?;
        scene.write(OPEN, true)?;
    }
    Ok(())
}

#[test]
fn change_by_a_session_that_replicates_is_seen_from_its_commit_on() -> Result<()> {
    let replicate = |statement| format!("SET LOCAL session_replication_role = replica; {statement}");
    is_seen("cache_replica_update", "SELECT", &replicate(OPEN_DIRECTLY), false)?;
    is_seen("cache_replica_delete", OPEN, &replicate("DELETE FROM costsim_cb_state"), true)?;
    is_seen_in(Scene::alone("cache_replica_truncate")?, OPEN, &replicate("TRUNCATE costsim_cb_state"), true)
}

#[test]
fn change_that_is_replicated_from_another_database_is_seen() -> Result<()> {
    let mut here = Scene::new("cache_subscriber")?;
    let mut there = Scene::new("cache_publisher")?;
    there.writer.batch_execute("CREATE PUBLICATION breakers FOR TABLE costsim_cb_state")?;
    // Made beforehand: within one cluster the command would wait for itself.
    there.writer.batch_execute("SELECT pg_create_logical_replication_slot('breakers', 'pgoutput')")?;
    here.writer.batch_execute(&format!(
        "CREATE SUBSCRIPTION breakers CONNECTION '{}' PUBLICATION breakers
           WITH (slot_name = 'breakers', create_slot = false, copy_data = false)",
        here.cluster.conn_string("cache_publisher").replace('\'', "''"),
    ))?;
    let steps = [
        (OPEN_DIRECTLY, true),
        (EXPIRE, false),
        ("UPDATE costsim_cb_state SET disabled_until = NULL", true),
        ("DELETE FROM costsim_cb_state", false),
        ("INSERT INTO costsim_cb_state (id, name, disabled) VALUES (7, 'costsim_v2', true)", true),
        ("TRUNCATE costsim_cb_state", false),
        ("INSERT INTO costsim_cb_state (id, name, disabled) VALUES (8, 'costsim_v2', true)", true),
        (CLOSE_DIRECTLY, false),
    ];
    for (statement, is_open) in steps {
        there.write(statement, is_open)?;
        // The subscriber says how far it has got after its commit.
        let written: String = one(&mut there.writer, "SELECT pg_current_wal_flush_lsn()::text")?;
        let has_arrived = format!(
            "SELECT coalesce(bool_and(replay_lsn >= '{written}'), false)
               FROM pg_stat_replication WHERE application_name = 'breakers'"
        );
        wait_for(&mut there.writer, "the subscriber", &has_arrived)?;
        here.both_say(is_open).with_context(|| statement.to_owned())?;
    }
    here.writer.batch_execute("DROP SUBSCRIPTION breakers")?;
    Ok(())
}

#[test]
fn renamed_breaker_answers_by_its_new_name() -> Result<()> {
    let mut scene = Scene::new("cache_rename")?;
    let configure =
        "SELECT costsim_configure_breaker('old'); SELECT costsim_disable_v2('a', 'b', name => 'old')";
    scene.write(configure, false)?;
    for client in [&mut scene.reader, &mut scene.writer] {
        says_of(client, "old", true)?;
        knows_none(client, "new")?;
    }
    scene.write("UPDATE costsim_cb_state SET name = 'new' WHERE name = 'old'", false)?;
    for client in [&mut scene.reader, &mut scene.writer] {
        knows_none(client, "old")?;
        says_of(client, "new", true)?;
    }
    // And a name that changes hands.
    let swap = "UPDATE costsim_cb_state SET name = 'other' WHERE name = 'costsim_v2';
                UPDATE costsim_cb_state SET name = 'costsim_v2' WHERE name = 'new'";
    scene.write(swap, true)?;
    says_of(&mut scene.reader, "other", false)
}

#[test]
fn name_that_was_unknown_is_known_from_the_commit_on() -> Result<()> {
    let mut scene = Scene::new("cache_unknown")?;
    knows_none(&mut scene.reader, "late")?;
    scene.writer.batch_execute("BEGIN; SELECT costsim_configure_breaker('late')")?;
    says_of(&mut scene.writer, "late", false)?;
    knows_none(&mut scene.reader, "late")?;
    scene.writer.batch_execute("COMMIT")?;
    says_of(&mut scene.reader, "late", false)?;
    scene.writer.batch_execute("DELETE FROM costsim_cb_state WHERE name = 'late'")?;
    knows_none(&mut scene.reader, "late")?;
    knows_none(&mut scene.writer, "late")
}

/// Whether a permit that nobody reported on has opened the breaker once more, is read from the incident too.
#[test]
fn incident_that_another_hand_changes_is_known_to_all_sessions_alike() -> Result<()> {
    let mut scene = Scene::new("cache_incident")?;
    scene.write("SELECT costsim_configure_breaker('costsim_v2', half_open => true)", false)?;
    scene.write(OPEN, true)?;
    let half_open = "UPDATE costsim_cb_state SET half_open_at = clock_timestamp() - interval '1 hour';
                     SELECT costsim_cb_allow()";
    scene.write(half_open, true)?;
    let expired = "UPDATE costsim_cb_state SET probes = ARRAY[clock_timestamp() - interval '2 min'],
                                               disabled_until = clock_timestamp() - interval '1 min'";
    scene.write(expired, true)?;
    for statement in [
        "UPDATE costsim_cb_incidents SET resolved = true",
        "UPDATE costsim_cb_incidents SET resolved = false",
        "UPDATE costsim_cb_incidents SET \"timestamp\" = \"timestamp\" - interval '1 s'",
        "DELETE FROM costsim_cb_incidents",
    ] {
        scene.writer.batch_execute(statement)?;
        let answer = one(&mut scene.connect()?, "SELECT costsim_is_open()")?;
        scene.both_say(answer).with_context(|| statement.to_owned())?;
    }
    Ok(())
}

#[test]
fn auto_recover_that_is_switched_keeps_open_what_is_over() -> Result<()> {
    let mut scene = Scene::new("cache_auto_recover")?;
    scene.write(OPEN, true)?;
    scene.write(EXPIRE, false)?;
    scene.write("UPDATE costsim_cb_state SET auto_recover = false", true)?;
    scene.write("SELECT costsim_configure_breaker('costsim_v2', auto_recover => true)", false)
}

/// The other answers from memory: whether a call may go ahead, and whether a good report has anything to reset.
#[test]
fn permission_and_a_good_report_know_what_another_session_committed() -> Result<()> {
    let mut scene = Scene::new("cache_allow_and_report")?;
    let allows = |client: &mut Client| -> Result<bool> {
        let answers = [one(client, "SELECT costsim_cb_allow()")?, one(client, "SELECT costsim_cb_allow()")?];
        ensure!(answers[0] == answers[1], "first {}, then {}", answers[0], answers[1]);
        Ok(answers[0])
    };
    let good_report = "SELECT costsim_report_drift(0.01)";
    for failure in
        ["SELECT costsim_report_drift(0.9)", "UPDATE costsim_cb_state SET consecutive_failures = 2"]
    {
        assert!(allows(&mut scene.reader)?);
        scene.writer.batch_execute(OPEN)?;
        assert!(!allows(&mut scene.reader)?);
        scene.writer.batch_execute(CLOSE)?;
        assert!(allows(&mut scene.reader)?);

        for _ in 0..2 {
            scene.reader.batch_execute(good_report)?;
        }
        scene.writer.batch_execute(failure)?;
        let failures = "SELECT consecutive_failures FROM costsim_cb_state";
        assert!(one::<i32>(&mut scene.writer, failures)? > 0, "{failure}");
        scene.reader.batch_execute(good_report)?;
        assert_eq!(one::<i32>(&mut scene.writer, failures)?, 0, "after {failure}");
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// Transactions

#[test]
fn own_change_is_seen_at_once_and_goes_with_its_savepoint() -> Result<()> {
    let mut scene = Scene::new("cache_savepoint")?;
    for (open, close) in [(OPEN, CLOSE), (OPEN_DIRECTLY, CLOSE_DIRECTLY)] {
        let writer = &mut scene.writer;
        writer.batch_execute("BEGIN; SAVEPOINT a")?;
        writer.batch_execute(open)?;
        says(writer, true)?;
        writer.batch_execute("ROLLBACK TO a")?;
        says(writer, false)?;
        writer.batch_execute(open)?;
        writer.batch_execute("SAVEPOINT b")?;
        says(writer, true)?;
        writer.batch_execute(close)?;
        says(writer, false)?;
        writer.batch_execute("RELEASE b; RELEASE a")?;
        says(writer, false)?;
        writer.batch_execute(open)?;
        says(writer, true)?;
        says(&mut scene.reader, false)?;
        scene.write("COMMIT", true)?;
        scene.write(close, false)?;
    }
    Ok(())
}

#[test]
fn own_change_of_a_released_savepoint_goes_with_the_outer_rollback() -> Result<()> {
    let mut scene = Scene::new("cache_released")?;
    let writer = &mut scene.writer;
    writer.batch_execute("BEGIN; SAVEPOINT outer_one; SAVEPOINT inner_one")?;
    writer.batch_execute(OPEN)?;
    says(writer, true)?;
    writer.batch_execute("RELEASE inner_one")?;
    says(writer, true)?;
    writer.batch_execute("ROLLBACK TO outer_one")?;
    says(writer, false)?;
    writer.batch_execute("SAVEPOINT inner_one")?;
    writer.batch_execute(OPEN)?;
    writer.batch_execute("RELEASE inner_one; RELEASE outer_one")?;
    says(writer, true)?;
    says(&mut scene.reader, false)?;
    scene.write("ROLLBACK", false)
}

#[test]
fn own_change_in_a_failed_transaction_is_gone() -> Result<()> {
    let mut scene = Scene::new("cache_failed")?;
    scene.writer.batch_execute("BEGIN")?;
    scene.writer.batch_execute(OPEN)?;
    says(&mut scene.writer, true)?;
    assert_eq!(sqlstate_of(&mut scene.writer, "SELECT 1 / 0")?, "22012");
    scene.write("ROLLBACK", false)?;
    // In the very statement that fails.
    let fails = "DO $$ BEGIN
                     PERFORM costsim_disable_v2('a', 'b');
                     ASSERT costsim_is_open();
                     RAISE EXCEPTION 'after all not';
                 END $$";
    assert_eq!(sqlstate_of(&mut scene.writer, fails)?, "P0001");
    scene.both_say(false)
}

#[test]
fn own_change_goes_with_the_block_that_catches_an_exception() -> Result<()> {
    let mut scene = Scene::new("cache_block")?;
    scene.writer.batch_execute(
        "CREATE FUNCTION seen_around_a_block(keeps boolean) RETURNS boolean[] LANGUAGE plpgsql AS $$
         DECLARE seen boolean[] := ARRAY[costsim_is_open(), costsim_is_open()];
         BEGIN
             BEGIN
                 PERFORM costsim_disable_v2('a', 'b');
                 seen := seen || costsim_is_open() || costsim_is_open();
                 IF NOT keeps THEN RAISE EXCEPTION 'after all not'; END IF;
             EXCEPTION WHEN raise_exception THEN NULL;
             END;
             RETURN seen || costsim_is_open() || costsim_is_open();
         END $$",
    )?;
    for (keeps, after) in [(false, false), (true, true)] {
        let seen: Vec<bool> = one(&mut scene.writer, &format!("SELECT seen_around_a_block({keeps})"))?;
        assert_eq!(seen, [false, false, true, true, after, after]);
        scene.both_say(after)?;
    }
    Ok(())
}

/// A statement does not see what it is about to do, and the next one does.
#[test]
fn answer_that_a_statement_read_while_it_writes_does_not_stay() -> Result<()> {
    let mut scene = Scene::new("cache_returning")?;
    for (statement, is_open) in [(OPEN_DIRECTLY, true), (CLOSE_DIRECTLY, false)] {
        let says_before: bool = one(&mut scene.writer, &format!("{statement} RETURNING costsim_is_open()"))?;
        assert_eq!(says_before, !is_open);
        scene.both_say(is_open)?;
    }
    // Told by triggers of somebody else's, before and after ours.
    scene.writer.batch_execute(
        "CREATE FUNCTION ask() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM public.costsim_is_open();
             RETURN NEW;
         END $$;
         CREATE TRIGGER a_before BEFORE UPDATE ON costsim_cb_state FOR EACH ROW EXECUTE FUNCTION ask();
         CREATE TRIGGER a_after AFTER UPDATE ON costsim_cb_state FOR EACH ROW EXECUTE FUNCTION ask();
         CREATE TRIGGER z_after AFTER UPDATE ON costsim_cb_state FOR EACH ROW EXECUTE FUNCTION ask();
         CREATE TRIGGER z_statement AFTER UPDATE ON costsim_cb_state EXECUTE FUNCTION ask();",
    )?;
    for (statement, is_open) in [(OPEN_DIRECTLY, true), (CLOSE_DIRECTLY, false), (OPEN, true), (CLOSE, false)]
    {
        scene.write(statement, is_open)?;
    }
    Ok(())
}

#[test]
fn transaction_sees_the_latest_commit_whatever_its_snapshot() -> Result<()> {
    let mut scene = Scene::new("cache_isolation")?;
    for level in ISOLATION_LEVELS {
        for access in ["READ WRITE", "READ ONLY"] {
            let reader = &mut scene.reader;
            reader.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}, {access}"))?;
            assert!(!one::<bool>(reader, "SELECT disabled FROM costsim_cb_state")?, "it has its snapshot");
            says(reader, false)?;
            for (statement, is_open) in [(OPEN, true), (CLOSE, false), (OPEN_DIRECTLY, true)] {
                scene.write(statement, is_open).with_context(|| format!("{level} {access}"))?;
            }
            let shows: bool = one(&mut scene.reader, "SELECT disabled FROM costsim_cb_state")?;
            assert_eq!(shows, level == "READ COMMITTED", "its snapshot is the old one");
            scene.reader.batch_execute("COMMIT")?;
            scene.both_say(true)?;
            scene.write(CLOSE, false)?;
        }
    }
    Ok(())
}

#[test]
fn cursor_sees_what_was_committed_between_two_rows() -> Result<()> {
    let mut scene = Scene::new("cache_cursor")?;
    let reader = &mut scene.reader;
    reader.batch_execute(
        "BEGIN; DECLARE answers CURSOR FOR SELECT costsim_is_open() FROM generate_series(1, 100)",
    )?;
    for (statement, is_open) in [("SELECT", false), (OPEN, true), (CLOSE, false), (OPEN_DIRECTLY, true)] {
        scene.writer.batch_execute(statement)?;
        for _ in 0..2 {
            assert_eq!(one::<bool>(&mut scene.reader, "FETCH 1 FROM answers")?, is_open, "{statement}");
        }
    }
    scene.reader.batch_execute("COMMIT")?;
    Ok(())
}

/// Asks until it is open, and takes an advisory lock once it has seen that it is closed.
const STATEMENTS_THAT_WAIT: [&str; 2] = [
    "SELECT rounds_until_open()",
    "WITH RECURSIVE rounds(n) AS (
         SELECT 1::bigint WHERE NOT costsim_is_open() AND NOT costsim_is_open() AND pg_try_advisory_xact_lock(1)
         UNION ALL
         SELECT n + 1 FROM rounds WHERE NOT costsim_is_open()
     )
     SELECT max(n) FROM rounds",
];

#[test]
fn statement_that_runs_sees_what_is_committed_meanwhile() -> Result<()> {
    let mut scene = Scene::new("cache_within_a_statement")?;
    scene.writer.batch_execute(
        "CREATE FUNCTION rounds_until_open() RETURNS bigint LANGUAGE plpgsql AS $$
         DECLARE rounds bigint := 0;
         BEGIN
             ASSERT NOT costsim_is_open() AND NOT costsim_is_open() AND pg_try_advisory_xact_lock(1);
             WHILE NOT costsim_is_open() LOOP
                 rounds := rounds + 1;
             END LOOP;
             RETURN rounds;
         END $$",
    )?;
    for statement in STATEMENTS_THAT_WAIT {
        for level in ISOLATION_LEVELS {
            let mut client = scene.connect()?;
            client.batch_execute(&format!(
                "SET statement_timeout = '60 s'; SET default_transaction_isolation = '{level}'"
            ))?;
            says(&mut client, false)?;
            let asked = Asked::<i64>::query(client, statement)?;
            let has_begun = format!(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = {})",
                asked.pid()
            );
            wait_for(&mut scene.writer, "a statement to have asked", &has_begun)?;
            scene.write(OPEN, true)?;
            let (mut client, _) = asked.answer().with_context(|| format!("{level}: {statement}"))?;
            says(&mut client, true)?;
            scene.write(CLOSE, false)?;
        }
    }
    Ok(())
}

#[test]
fn prepared_transaction_counts_from_its_second_commit_on() -> Result<()> {
    let mut scene = Scene::new("cache_prepared")?;
    scene.write(OPEN, true)?;
    for (end, is_open) in [("ROLLBACK", true), ("COMMIT", false)] {
        scene.writer.batch_execute("BEGIN")?;
        scene.writer.batch_execute(EXPIRE)?;
        says(&mut scene.writer, false)?;
        scene.write("PREPARE TRANSACTION 'cache_prepared'", true)?;
        scene.write(&format!("{end} PREPARED 'cache_prepared'"), is_open)?;
    }
    // Ended by another session than the one that wrote.
    scene.writer.batch_execute("BEGIN; UPDATE costsim_cb_state SET disabled_until = NULL")?;
    scene.write("PREPARE TRANSACTION 'cache_prepared'", false)?;
    scene.reader.batch_execute("COMMIT PREPARED 'cache_prepared'")?;
    scene.both_say(true)?;
    // What closes it is notified, which cannot be prepared; what is replicated is not.
    scene.writer.batch_execute("BEGIN; SET LOCAL session_replication_role = replica")?;
    scene.writer.batch_execute(CLOSE_DIRECTLY)?;
    says(&mut scene.writer, false)?;
    scene.write("PREPARE TRANSACTION 'cache_prepared'", true)?;
    scene.write("COMMIT PREPARED 'cache_prepared'", false)
}

// ---------------------------------------------------------------------------------------------------------------------
// What becomes of the table

#[test]
fn extension_made_anew_by_this_session_begins_anew() -> Result<()> {
    let mut scene = Scene::alone("cache_made_anew")?;
    let anew = "DROP EXTENSION costsim_pg; CREATE EXTENSION costsim_pg";
    scene.write(OPEN, true)?;
    scene.writer.batch_execute("BEGIN")?;
    scene.writer.batch_execute(anew)?;
    says(&mut scene.writer, false)?;
    says(&mut scene.reader, true)?;
    scene.writer.batch_execute(OPEN)?;
    says(&mut scene.writer, true)?;
    scene.writer.batch_execute(CLOSE)?;
    says(&mut scene.writer, false)?;
    scene.write("ROLLBACK", true)?;
    scene.write(anew, false)?;
    scene.write(OPEN, true)?;
    scene.write(anew, false)
}

#[test]
fn extension_made_anew_by_another_session_begins_anew() -> Result<()> {
    let mut scene = Scene::new("cache_made_anew_elsewhere")?;
    for _ in 0..2 {
        scene.write(OPEN, true)?;
        scene.writer.batch_execute("DROP EXTENSION costsim_pg")?;
        let ask = "SELECT costsim_is_open()";
        assert_eq!(sqlstate_of(&mut scene.reader, ask)?, "42883", "there is nothing to ask");
        scene.write("CREATE EXTENSION costsim_pg", false)?;
        scene.write(OPEN_DIRECTLY, false)?;
        scene.write("INSERT INTO costsim_cb_state (name, disabled) VALUES ('costsim_v2', true)", true)?;
    }
    Ok(())
}

#[test]
fn extension_that_moves_to_another_schema_is_found_there() -> Result<()> {
    let mut scene = Scene::new("cache_schema")?;
    for client in [&mut scene.writer, &mut scene.reader] {
        client.batch_execute("SET search_path = public, elsewhere, renamed")?;
    }
    scene.write(OPEN, true)?;
    let move_away =
        "CREATE SCHEMA elsewhere; DROP EXTENSION costsim_pg; CREATE EXTENSION costsim_pg SCHEMA elsewhere";
    scene.write(move_away, false)?;
    scene.write(OPEN, true)?;
    scene.write("ALTER SCHEMA elsewhere RENAME TO renamed", true)?;
    scene.write(CLOSE, false)?;
    scene.write("ALTER SCHEMA renamed RENAME TO elsewhere", false)?;
    scene.write(OPEN_DIRECTLY, true)?;
    // Another one takes its place, open; the breakers stay where they are.
    let decoy = "CREATE SCHEMA renamed; CREATE TABLE renamed.costsim_cb_state (LIKE elsewhere.costsim_cb_state INCLUDING ALL);
                 INSERT INTO renamed.costsim_cb_state SELECT * FROM elsewhere.costsim_cb_state";
    scene.write(decoy, true)?;
    scene.write("UPDATE elsewhere.costsim_cb_state SET disabled = false", false)?;
    scene.write("DROP SCHEMA renamed CASCADE", false)?;
    // While the reader's transaction runs.
    scene.reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    scene.both_say(false)?;
    scene.write(OPEN, true)?;
    scene.write("ALTER SCHEMA elsewhere RENAME TO renamed", true)?;
    scene.write(CLOSE, false)?;
    scene.reader.batch_execute("COMMIT")?;
    scene.both_say(false)
}

#[test]
fn table_that_is_rewritten_or_altered_says_the_same_and_is_followed_on() -> Result<()> {
    let mut scene = Scene::new("cache_rewritten")?;
    let mut is_open = false;
    for statement in [
        "VACUUM costsim_cb_state",
        "VACUUM FULL costsim_cb_state",
        "CLUSTER costsim_cb_state USING costsim_cb_state_pkey",
        "REINDEX TABLE costsim_cb_state",
        "REINDEX TABLE CONCURRENTLY costsim_cb_state",
        "ANALYZE costsim_cb_state",
        "CREATE INDEX ON costsim_cb_state (updated_at)",
        "ALTER TABLE costsim_cb_state ADD COLUMN of_the_application text DEFAULT clock_timestamp()::text",
        "ALTER TABLE costsim_cb_state ALTER of_the_application TYPE varchar(100) USING 'rewritten'",
        "ALTER TABLE costsim_cb_state DROP COLUMN of_the_application",
        "ALTER TABLE costsim_cb_state SET (fillfactor = 90)",
        "ALTER TABLE costsim_cb_state SET UNLOGGED",
        "ALTER TABLE costsim_cb_state SET LOGGED",
        "GRANT SELECT ON costsim_cb_state TO PUBLIC",
    ] {
        scene.write(statement, is_open)?;
        for step in if is_open { [CLOSE, OPEN_DIRECTLY] } else { [OPEN, CLOSE_DIRECTLY] } {
            is_open = !is_open;
            scene.write(step, is_open).with_context(|| format!("after {statement}"))?;
        }
        scene.write(if is_open { CLOSE_DIRECTLY } else { OPEN_DIRECTLY }, !is_open)?;
        is_open = !is_open;
    }
    Ok(())
}

#[test]
fn answer_from_memory_needs_no_lock_of_the_table() -> Result<()> {
    let mut scene = Scene::alone("cache_locked_table")?;
    let mut third = scene.connect()?;
    says(&mut third, false)?;
    scene.writer.batch_execute("BEGIN; LOCK TABLE costsim_cb_state IN ACCESS EXCLUSIVE MODE")?;
    scene.both_say(false)?;
    scene.writer.batch_execute(OPEN)?;
    says(&mut scene.writer, true)?;
    says(&mut scene.reader, false)?;
    says(&mut third, false)?;
    scene.write("COMMIT", true)?;
    says(&mut third, true)
}

// ---------------------------------------------------------------------------------------------------------------------
// Time

/// Whether the breaker is open, after a check that the clock says the same: open is asked before the end, closed after it.
fn says_by_the_clock(client: &mut Client) -> Result<bool> {
    let row = client.query_one(
        "SELECT is_open, CASE WHEN is_open THEN before < disabled_until ELSE after >= disabled_until END
           FROM (SELECT clock_timestamp() AS before, costsim_is_open() AS is_open, clock_timestamp() AS after) asked,
                costsim_cb_state",
        &[],
    )?;
    let is_open = row.try_get(0)?;
    assert!(row.try_get::<_, bool>(1)?, "open: {is_open}, against the clock");
    Ok(is_open)
}

#[test]
fn end_that_passes_with_nobody_writing_closes_it() -> Result<()> {
    let mut scene = Scene::new("cache_time_passes")?;
    // The memory of the transaction that made it so, of one that began before, and of another session.
    let mut in_transaction = scene.connect()?;
    in_transaction.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    says(&mut in_transaction, false)?;
    let row =
        "SELECT concat(xmin, ' ', ctid, ' ', (SELECT count(*) FROM costsim_cb_events)) FROM costsim_cb_state";
    scene.writer.batch_execute(
        "UPDATE costsim_cb_state SET disabled = true, disabled_until = clock_timestamp() + '1.5 s'",
    )?;
    let before: String = one(&mut scene.writer, row)?;
    says(&mut in_transaction, true)?;
    scene.both_say(true)?;
    for client in [&mut scene.writer, &mut scene.reader] {
        wait_until(LIMIT, "the end", || Ok((!says_by_the_clock(client)?).then_some(())))?;
        says(client, false)?;
    }
    says(&mut in_transaction, false)?;
    assert_eq!(one::<String>(&mut scene.writer, row)?, before, "nobody wrote");
    Ok(())
}

#[test]
fn end_that_is_moved_before_it_has_passed_counts() -> Result<()> {
    let mut scene = Scene::new("cache_end_moves")?;
    let until = |span: &str| {
        format!("UPDATE costsim_cb_state SET disabled = true, disabled_until = clock_timestamp() + '{span}'")
    };
    scene.write(&until("1 hour"), true)?;
    scene.writer.batch_execute(&until("1 s"))?;
    wait_until(LIMIT, "the end", || Ok((!says_by_the_clock(&mut scene.reader)?).then_some(())))?;
    scene.both_say(false)?;
    scene.write(&until("1 hour"), true)?;
    scene.write(&until("-1 hour"), false)
}

// ---------------------------------------------------------------------------------------------------------------------
// Sessions of all kinds

#[test]
fn thousand_breakers_are_each_followed_by_one_session() -> Result<()> {
    let mut scene = Scene::new("cache_thousand")?;
    scene.writer.batch_execute(
        "INSERT INTO costsim_cb_state (name, disabled) SELECT 'breaker ' || n, n % 3 = 0 FROM generate_series(1, 1000) n",
    )?;
    let wrong = "SELECT count(*) FROM costsim_cb_state WHERE costsim_is_open(name) IS DISTINCT FROM disabled";
    let open = "SELECT count(*) FROM costsim_cb_state WHERE costsim_is_open(name)";
    let check = |client: &mut Client, expected: i64| -> Result<()> {
        for _ in 0..2 {
            assert_eq!(one::<i64>(client, wrong)?, 0);
            assert_eq!(one::<i64>(client, open)?, expected);
        }
        Ok(())
    };
    check(&mut scene.reader, 333)?;
    scene.writer.batch_execute("SELECT costsim_disable_v2('a', 'b', name => 'breaker 1000')")?;
    check(&mut scene.reader, 334)?;
    scene.writer.batch_execute("UPDATE costsim_cb_state SET disabled = NOT disabled")?;
    check(&mut scene.reader, 667)?;
    scene.writer.batch_execute("DELETE FROM costsim_cb_state WHERE NOT disabled")?;
    check(&mut scene.reader, 667)?;
    knows_none(&mut scene.reader, "breaker 3")?;
    scene.writer.batch_execute("UPDATE costsim_cb_state SET disabled = false WHERE name = 'breaker 1'")?;
    check(&mut scene.reader, 666)?;
    says_of(&mut scene.reader, "breaker 1", false)
}

/// A copy of a database has its tables under the same numbers.
#[test]
fn breakers_of_the_same_name_in_two_databases_are_two() -> Result<()> {
    let cluster = CLUSTER.get(new_cluster)?;
    drop(Scene::new("cache_twin_one")?);
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE cache_twin_two TEMPLATE cache_twin_one")?;
    let mut sessions = Vec::new();
    for database in ["cache_twin_one", "cache_twin_two"] {
        let mut pair = [connect(&cluster, database)?, connect(&cluster, database)?];
        for client in &mut pair {
            says(client, false)?;
        }
        sessions.push(pair);
    }
    for (changed, statement, is_open) in
        [(0, OPEN, true), (1, OPEN, true), (0, CLOSE, false), (1, CLOSE, false)]
    {
        let other = sessions[1 - changed][0].query_one("SELECT costsim_is_open()", &[])?.try_get(0)?;
        sessions[changed][0].batch_execute(statement)?;
        for client in &mut sessions[changed] {
            says(client, is_open)?;
        }
        for client in &mut sessions[1 - changed] {
            says(client, other)?;
        }
    }
    Ok(())
}

/// For how many of the rows the breaker is open, asked by parallel workers alone.
fn open_in_workers(client: &mut Client) -> Result<i64> {
    let explain = "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
                   SELECT FROM many WHERE costsim_is_open(CASE WHEN n > 0 THEN 'costsim_v2' END)";
    // Those of other tests may be all there are for a moment.
    wait_until(LIMIT, "parallel workers", || {
        let mut plan = String::new();
        for row in client.query(explain, &[])? {
            writeln!(plan, "{}", row.try_get::<_, &str>(0)?)?;
        }
        ensure!(plan.contains("Workers Launched: 2"), "{plan}");
        let rows = plan.split_once("Gather (actual rows=").and_then(|(_, rest)| rest.split_once(' '));
        let (rows, _) = rows.with_context(|| plan.clone())?;
        Ok(Some(rows.parse()?))
    })
}

#[test]
fn parallel_workers_and_their_leader_agree_on_the_latest() -> Result<()> {
    let mut scene = Scene::new("cache_parallel")?;
    scene.writer.batch_execute(
        "CREATE TABLE many AS SELECT n FROM generate_series(1, 10000) n;
         ALTER TABLE many SET (parallel_workers = 2)",
    )?;
    for client in [&mut scene.writer, &mut scene.reader] {
        client.batch_execute(
            "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET max_parallel_workers_per_gather = 2;
             SET parallel_leader_participation = off",
        )?;
    }
    let agree = |client: &mut Client, is_open: bool| -> Result<()> {
        assert_eq!(open_in_workers(client)?, if is_open { 10_000 } else { 0 }, "by the workers");
        says(client, is_open)?;
        // All in one statement, the leader asking too.
        client.batch_execute("SET LOCAL parallel_leader_participation = on")?;
        let answers =
            "SELECT count(DISTINCT costsim_is_open(CASE WHEN n > 0 THEN 'costsim_v2' END)) FROM many";
        assert_eq!(one::<i64>(client, answers)?, 1);
        client.batch_execute("SET LOCAL parallel_leader_participation = off")?;
        Ok(())
    };
    for level in ISOLATION_LEVELS {
        scene.reader.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM many"))?;
        agree(&mut scene.reader, false)?;
        for (statement, is_open) in
            [(OPEN, true), (CLOSE, false), (OPEN_DIRECTLY, true), (CLOSE_DIRECTLY, false)]
        {
            scene.writer.batch_execute(statement)?;
            agree(&mut scene.reader, is_open).with_context(|| format!("{level}: {statement}"))?;
        }
        scene.reader.batch_execute("COMMIT")?;
    }
    // What the leader itself has not committed yet.
    scene.writer.batch_execute("BEGIN")?;
    scene.writer.batch_execute(OPEN)?;
    agree(&mut scene.writer, true)?;
    scene.writer.batch_execute("SAVEPOINT s")?;
    scene.writer.batch_execute(CLOSE)?;
    agree(&mut scene.writer, false)?;
    scene.writer.batch_execute("ROLLBACK TO s")?;
    agree(&mut scene.writer, true)?;
    scene.write("ROLLBACK", false)?;
    scene.reader.batch_execute("BEGIN")?;
    agree(&mut scene.reader, false)
}

#[test]
fn execute_is_all_that_a_role_needs() -> Result<()> {
    let mut scene = Scene::new("cache_role")?;
    scene.writer.batch_execute(
        "CREATE ROLE cache_role LOGIN;
         GRANT EXECUTE ON FUNCTION costsim_is_open, costsim_is_closed TO cache_role",
    )?;
    let mut role = scene.cluster.config("cache_role").user("cache_role").connect(NoTls)?;
    assert_eq!(sqlstate_of(&mut role, "SELECT FROM costsim_cb_state")?, "42501");
    says(&mut role, false)?;
    for level in ISOLATION_LEVELS {
        role.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; SELECT 1"))?;
        for (statement, is_open) in
            [(OPEN, true), (CLOSE, false), (OPEN_DIRECTLY, true), (CLOSE_DIRECTLY, false)]
        {
            scene.write(statement, is_open)?;
            says(&mut role, is_open)?;
        }
        role.batch_execute("COMMIT")?;
    }
    scene.write(OPEN, true)?;
    says(&mut role, true)
}

#[test]
fn memory_serves_every_role_that_may_ask_and_no_other() -> Result<()> {
    let mut scene = Scene::new("cache_set_role")?;
    scene.writer.batch_execute(
        "CREATE ROLE cache_may; CREATE ROLE cache_may_not;
         GRANT EXECUTE ON FUNCTION costsim_is_open, costsim_is_closed TO cache_may",
    )?;
    let mut is_open = false;
    for (role, statement) in [("cache_may", OPEN), ("postgres", CLOSE), ("cache_may", OPEN_DIRECTLY)] {
        scene.reader.batch_execute(&format!("SET ROLE {role}"))?;
        says(&mut scene.reader, is_open)?;
        is_open = !is_open;
        scene.write(statement, is_open)?;
        scene.reader.batch_execute("SET ROLE cache_may_not")?;
        assert_eq!(sqlstate_of(&mut scene.reader, "SELECT costsim_is_open()")?, "42501");
        scene.reader.batch_execute("RESET ROLE")?;
        says(&mut scene.reader, is_open)?;
    }
    Ok(())
}

#[test]
fn hostile_search_path_finds_no_other_table() -> Result<()> {
    let mut scene = Scene::new("cache_hostile")?;
    scene.writer.batch_execute(
        "CREATE SCHEMA hostile;
         CREATE TABLE hostile.costsim_cb_state (LIKE costsim_cb_state);
         INSERT INTO hostile.costsim_cb_state SELECT * FROM costsim_cb_state;
         UPDATE hostile.costsim_cb_state SET disabled = true;
         CREATE FUNCTION hostile.never(text, text) RETURNS boolean LANGUAGE sql RETURN false;
         CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.never);
         CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql RETURN 'infinity'::timestamptz",
    )?;
    // In memory before, and read for the first time under it.
    let mut fresh = scene.connect()?;
    for client in [&mut scene.reader, &mut fresh] {
        client.batch_execute(
            "SET search_path = hostile, pg_temp, pg_catalog, public;
             CREATE TEMP TABLE costsim_cb_state (LIKE hostile.costsim_cb_state)",
        )?;
        says(client, false)?;
    }
    for (statement, is_open) in [(OPEN, true), (CLOSE, false), (OPEN_DIRECTLY, true)] {
        scene.write(statement, is_open)?;
        says(&mut fresh, is_open)?;
    }
    Ok(())
}

#[test]
fn statement_prepared_long_ago_is_as_right_as_a_new_one() -> Result<()> {
    let mut scene = Scene::new("cache_prepared_statement")?;
    scene.reader.batch_execute(
        "PREPARE answer AS SELECT costsim_is_open();
         PREPARE answer_of (text) AS SELECT costsim_is_open($1);
         CREATE FUNCTION answer() RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN costsim_is_open(); END';
         CREATE VIEW answers AS SELECT costsim_is_open() AS answer, n FROM generate_series(1, 3) n",
    )?;
    let ask = |client: &mut Client, is_open: bool| -> Result<()> {
        // Often enough for a plan that is kept.
        for _ in 0..7 {
            for question in ["EXECUTE answer", "EXECUTE answer_of('costsim_v2')", "SELECT answer()"] {
                assert_eq!(one::<bool>(client, question)?, is_open, "{question}");
            }
        }
        let all = "SELECT array_agg(answer) FROM answers";
        assert_eq!(one::<Vec<bool>>(client, all)?, [is_open; 3]);
        Ok(())
    };
    ask(&mut scene.reader, false)?;
    for begin in ["SELECT", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"] {
        scene.reader.batch_execute(begin)?;
        for (statement, is_open) in
            [(OPEN, true), (CLOSE, false), (OPEN_DIRECTLY, true), (CLOSE_DIRECTLY, false)]
        {
            ask(&mut scene.reader, !is_open)?;
            scene.writer.batch_execute(statement)?;
            ask(&mut scene.reader, is_open).with_context(|| format!("{begin}: {statement}"))?;
        }
        scene.reader.batch_execute("COMMIT")?;
    }
    // And outlives what it asks.
    scene.writer.batch_execute(OPEN)?;
    scene.reader.batch_execute("DROP VIEW answers")?;
    scene.writer.batch_execute("DROP EXTENSION costsim_pg; CREATE EXTENSION costsim_pg")?;
    for (statement, is_open) in [("SELECT", false), (OPEN, true), (CLOSE, false)] {
        scene.writer.batch_execute(statement)?;
        for question in ["EXECUTE answer", "EXECUTE answer_of('costsim_v2')", "SELECT answer()"] {
            assert_eq!(one::<bool>(&mut scene.reader, question)?, is_open, "{question}");
        }
    }
    Ok(())
}

#[test]
fn session_that_discards_everything_still_answers_right() -> Result<()> {
    let mut scene = Scene::new("cache_discard")?;
    for (statement, is_open) in [(OPEN, true), (CLOSE, false), (OPEN_DIRECTLY, true)] {
        for discard in ["DISCARD ALL", "DISCARD PLANS", "RESET ALL", "DEALLOCATE ALL"] {
            scene.reader.batch_execute(discard)?;
            says(&mut scene.reader, !is_open)?;
        }
        scene.writer.batch_execute(statement)?;
        scene.reader.batch_execute("DISCARD ALL")?;
        scene.both_say(is_open)?;
    }
    Ok(())
}

/// The server keeps so many messages between sessions and no more; who is too far behind is told to forget everything.
#[test]
fn session_that_misses_the_message_itself_still_answers_right() -> Result<()> {
    let mut scene = Scene::new("cache_overflow")?;
    let sleeper: i32 = one(&mut scene.reader, "SELECT pg_backend_pid()")?;
    for (statement, is_open) in [(OPEN, true), (CLOSE_DIRECTLY, false)] {
        scene.cluster.kill_backend(sleeper, Signal::STOP)?;
        let outcome = scene.writer.batch_execute(statement).and_then(|()| {
            scene.writer.batch_execute(
                "DO $$ BEGIN
                     FOR n IN 1..200 LOOP
                         CREATE TEMP TABLE passing (a text PRIMARY KEY);
                         DROP TABLE passing;
                     END LOOP;
                 END $$",
            )
        });
        scene.cluster.kill_backend(sleeper, Signal::CONT)?;
        outcome?;
        scene.both_say(is_open)?;
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// Under load

const FLIPS: u32 = 2_000;
const READERS: usize = 2;

/// How far the writer has got. The breaker is open after every odd flip.
#[derive(Default)]
struct Progress {
    begun: AtomicU32,
    acknowledged: AtomicU32,
    is_over: AtomicBool,
}

fn is_open_after(flip: u32) -> bool {
    flip % 2 == 1
}

/// Asks without a pause, checks every answer that only one state of the breaker allows, and tells which that was when it is another
/// than before.
fn never_stop_asking(mut client: Client, progress: &Progress, seen: &Sender<u32>) -> Result<()> {
    let ask = client.prepare("SELECT costsim_is_open()")?;
    let mut latest = None;
    while !progress.is_over.load(Ordering::SeqCst) {
        let acknowledged = progress.acknowledged.load(Ordering::SeqCst);
        let answer: bool = client.query_one(&ask, &[])?.try_get(0)?;
        if progress.begun.load(Ordering::SeqCst) == acknowledged {
            ensure!(answer == is_open_after(acknowledged), "{answer} after flip {acknowledged}");
            if latest.replace(acknowledged) != Some(acknowledged) {
                seen.send(acknowledged).ok();
            }
        }
    }
    Ok(())
}

#[test]
fn every_one_of_two_thousand_changes_is_seen_from_its_acknowledgement_on() -> Result<()> {
    let mut scene = Scene::new("cache_flips")?;
    let progress = Progress::default();
    let clients = (0..READERS).map(|_| scene.connect()).collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let progress = &progress;
        let (seen, readers): (Vec<_>, Vec<_>) = clients
            .into_iter()
            .map(|client| {
                let (sender, seen) = mpsc::channel();
                (seen, scope.spawn(move || never_stop_asking(client, progress, &sender)))
            })
            .unzip();
        let outcome = (|| {
            for flip in 1..=FLIPS {
                progress.begun.store(flip, Ordering::SeqCst);
                scene.writer.batch_execute(if is_open_after(flip) { OPEN } else { CLOSE })?;
                progress.acknowledged.store(flip, Ordering::SeqCst);
                let answer: bool = one(&mut scene.reader, "SELECT costsim_is_open()")?;
                ensure!(answer == is_open_after(flip), "{answer} after flip {flip}");
                // The next one waits until each of them in turn has answered after this one.
                let turn = &seen[flip as usize % READERS];
                while turn.recv_timeout(LIMIT).with_context(|| format!("no answer after flip {flip}"))? < flip
                {
                }
            }
            Ok(())
        })();
        progress.is_over.store(true, Ordering::SeqCst);
        // One that was answered wrongly has ended, which is why it was waited for in vain.
        for reader in readers {
            reader.join().map_err(|_| anyhow!("a reader has panicked"))??;
        }
        outcome
    })?;
    let incidents: i64 = one(&mut scene.writer, "SELECT count(*) FROM costsim_incidents(true, NULL)")?;
    assert_eq!(incidents, i64::from(FLIPS / 2));
    scene.both_say(false)
}

const FLIPS_WITHIN: u32 = 200;

/// The same as seen from within one statement: what a sequence says does not depend on a snapshot.
#[test]
fn statement_that_never_stops_asking_sees_every_change_from_its_commit_on() -> Result<()> {
    let mut scene = Scene::new("cache_flips_within")?;
    scene.writer.batch_execute(
        "CREATE FUNCTION never_stop_asking(flips bigint, OUT checked bigint, OUT wrong bigint) LANGUAGE plpgsql AS $$
         DECLARE
             answer boolean;
             before bigint;
             after bigint;
             latest bigint := -1;
         BEGIN
             SELECT 0, 0 INTO checked, wrong;
             WHILE latest < flips LOOP
                 before := (SELECT last_value FROM committed);
                 answer := costsim_is_open();
                 after := (SELECT last_value FROM begun);
                 CONTINUE WHEN before <> after;
                 checked := checked + 1;
                 wrong := wrong + (answer <> (after % 2 = 1))::integer;
                 IF after <> latest THEN
                     latest := setval('seen', after);
                 END IF;
             END LOOP;
         END $$",
    )?;
    for level in ["READ COMMITTED", "REPEATABLE READ"] {
        for counter in ["begun", "committed", "seen"] {
            scene.writer.batch_execute(&format!(
                "DROP SEQUENCE IF EXISTS {counter}; CREATE SEQUENCE {counter} MINVALUE 0; SELECT setval('{counter}', 0)"
            ))?;
        }
        let mut client = scene.connect()?;
        client.batch_execute(&format!(
            "SET statement_timeout = '120 s'; SET default_transaction_isolation = '{level}'"
        ))?;
        let ask = format!("SELECT ARRAY[checked, wrong] FROM never_stop_asking({FLIPS_WITHIN})");
        let asked = Asked::<Vec<i64>>::query(client, &ask)?;
        for flip in 1..=FLIPS_WITHIN {
            let step = if is_open_after(flip) { OPEN_DIRECTLY } else { CLOSE_DIRECTLY };
            // Each a transaction of its own.
            for statement in ["SELECT nextval('begun')", step, "SELECT nextval('committed')"] {
                scene.writer.batch_execute(statement)?;
            }
            says(&mut scene.reader, is_open_after(flip))?;
            let is_seen = format!("SELECT last_value >= {flip} FROM seen");
            wait_for(&mut scene.writer, "the statement to have asked", &is_seen)?;
        }
        let (_, answer) = asked.answer()?;
        let [checked, wrong] = answer[..] else { return Err(anyhow!("{answer:?}")) };
        assert_eq!(wrong, 0, "of {checked} answers under {level}");
        assert!(checked >= i64::from(FLIPS_WITHIN));
    }
    Ok(())
}

/// A session is only right because it is told: nothing else in these tests makes it look again. On a server of its own: a test that
/// overruns the server's queue of messages has every session of the server look again, in whatever database.
#[test]
fn session_that_nobody_tells_is_wrong() -> Result<()> {
    let mut scene = Scene::on(Arc::new(new_cluster()?), "cache_control")?;
    scene.write("ALTER TABLE costsim_cb_state DISABLE TRIGGER ALL", false)?;
    scene.writer.batch_execute(OPEN_DIRECTLY)?;
    says(&mut scene.reader, false)?;
    scene.reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    says(&mut scene.reader, false)?;
    scene.reader.batch_execute("COMMIT")?;
    says(&mut scene.connect()?, true)?;
    says(&mut scene.reader, false)?;
    scene.writer.batch_execute("ALTER TABLE costsim_cb_state ENABLE TRIGGER ALL")?;
    scene.both_say(true)
}
