//! A deposed leader commits nothing: what `costsim_require_leader` was asked for holds up to the commit.

use anyhow::{Result, anyhow, ensure};
use costsim_harness::{Cluster, Signal, wait_until};
use costsim_server_tests::{
    Asked, LIMIT, Shared, check_the_books, one, set, sqlstate, sqlstate_of, wait_for,
};
use fastrand::Rng;
use postgres::{Client, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

static CLUSTER: Shared<Cluster> = Shared::new();

const BY_SESSION: i64 = 7001;
const BY_LEASE: i64 = 7002;
const EVICTED: i64 = 7003;

/// The file's cluster, and a database of the test's own in it. Its log tells in which order transactions were committed.
fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().conf("wal_level", "logical").start())?;
    let mut client = cluster.create_database_with_extension(name)?;
    client.batch_execute("CREATE TABLE work (lock_id bigint, token bigint)")?;
    Ok((cluster, client))
}

/// Whether an error is one with which a transaction of a deposed leader, or of a serializable one, is refused.
fn is_refusal(error: &Error) -> bool {
    ["55000", "40001"].contains(&sqlstate(error).as_str())
}

fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread of the storm has panicked"))?
}

/// How many of a writer's transactions went through, were refused at some point, and of these only at the commit.
#[derive(Debug, Default)]
struct Outcomes {
    committed: i64,
    refused: i64,
    refused_at_commit: i64,
}

impl Outcomes {
    fn are_enough(&self) -> bool {
        self.committed >= 60 && self.refused_at_commit >= 30
    }
}

/// Writes under whatever token it hears of, until enough went through and enough was refused.
fn write_under(mut client: Client, lock_id: i64, isolation: &str, heard: &AtomicI64) -> Result<Outcomes> {
    let mut outcomes = Outcomes::default();
    let deadline = Instant::now() + 2 * LIMIT;
    for round in 0_u64.. {
        if outcomes.are_enough() {
            break;
        }
        ensure!(Instant::now() < deadline, "{isolation} {lock_id}: {outcomes:?}");
        let token = heard.load(Ordering::SeqCst);
        let begun = client.batch_execute(&format!(
            "BEGIN ISOLATION LEVEL {isolation};
             SELECT costsim_require_leader({lock_id}, {token});
             INSERT INTO work VALUES ({lock_id}, {token})"
        ));
        let is_late = begun.is_ok() && round % 3 == 0;
        if is_late {
            wait_until(
                LIMIT,
                "another leader",
                || Ok((heard.load(Ordering::SeqCst) != token).then_some(())),
            )?;
        }
        let has_begun = begun.is_ok();
        match begun.and_then(|()| client.batch_execute("COMMIT")) {
            Ok(()) => {
                ensure!(!is_late, "{isolation} {lock_id}: committed after another leader was heard of");
                outcomes.committed += 1;
            }
            Err(error) => {
                ensure!(is_refusal(&error), "{isolation} {lock_id}: {error:?}");
                outcomes.refused += 1;
                outcomes.refused_at_commit += i64::from(has_begun);
                // A refused commit has ended the transaction already.
                if !has_begun {
                    client.batch_execute("ROLLBACK")?;
                }
            }
        }
    }
    Ok(outcomes)
}

/// Lets two sessions lead in turn, each until it gives it back, is resigned or its session ends.
fn change_sessions(cluster: &Cluster, database: &str, heard: &AtomicI64, is_over: &AtomicBool) -> Result<()> {
    let mut random = Rng::with_seed(1);
    let mut operator = cluster.connect(database)?;
    let mut leader = cluster.connect(database)?;
    while !is_over.load(Ordering::SeqCst) {
        let lead = format!("SELECT costsim_wait_leader({BY_SESSION}, '30 s')");
        ensure!(one::<bool>(&mut leader, &lead)?, "nobody else leads");
        let token = one(&mut leader, &format!("SELECT costsim_fencing_token({BY_SESSION})"))?;
        heard.store(token, Ordering::SeqCst);
        pass_some_time(&mut operator, &mut random)?;
        match random.u8(0..3) {
            0 => ensure!(
                one::<bool>(&mut leader, &format!("SELECT costsim_release_leader({BY_SESSION})"))?,
                "it leads"
            ),
            1 => leader = cluster.connect(database)?,
            _ => {
                let resign = format!("SELECT costsim_resign_leader({BY_SESSION}, 'storm')");
                ensure!(one::<bool>(&mut operator, &resign)?, "nobody to resign");
                leader = cluster.connect(database)?;
            }
        }
    }
    Ok(())
}

/// Lets two nodes have the lease in turn, each until it gives it back, is resigned or the lease is over.
fn change_leases(cluster: &Cluster, database: &str, heard: &AtomicI64, is_over: &AtomicBool) -> Result<()> {
    let mut random = Rng::with_seed(2);
    let mut client = cluster.connect(database)?;
    for round in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let end = random.u8(0..3);
        let lease = if end == 2 { "20 ms" } else { "1 hour" };
        let ask = format!("SELECT costsim_try_lease({BY_LEASE}, 'node {}', '{lease}')", round % 2);
        let token = wait_until(LIMIT, "the lease", || one::<Option<i64>>(&mut client, &ask))?;
        heard.store(token, Ordering::SeqCst);
        pass_some_time(&mut client, &mut random)?;
        match end {
            0 => client.batch_execute(&format!("SELECT costsim_release_lease({BY_LEASE}, {token})"))?,
            1 => client.batch_execute(&format!("SELECT costsim_resign_leader({BY_LEASE}, 'storm')"))?,
            _ => {}
        }
    }
    Ok(())
}

/// Some round trips, so that a term lasts as long as a few transactions.
fn pass_some_time(client: &mut Client, random: &mut Rng) -> Result<()> {
    for _ in 0..random.u8(0..40) {
        client.batch_execute("SELECT 1")?;
    }
    Ok(())
}

/// Leads under leases of a few milliseconds that are renewed too late, or never, and writes as the leader: whoever is
/// slow is evicted by the others.
fn lead_and_write(cluster: &Cluster, database: &str, seed: u64, is_over: &AtomicBool) -> Result<(i64, i64)> {
    let mut random = Rng::with_seed(seed);
    let (mut committed, mut evicted) = (0, 0);
    let mut session = None;
    while !is_over.load(Ordering::SeqCst) {
        let mut client = match session.take() {
            Some(client) => client,
            None => cluster.connect(database)?,
        };
        let lead = format!("SELECT costsim_try_leader({EVICTED}, 'node {seed}', '10 ms')");
        let outcome = (|| {
            if !client.query_one(&lead, &[])?.get::<_, bool>(0) {
                return Ok(false);
            }
            client.batch_execute(&format!(
                "BEGIN;
                 SELECT costsim_require_leader({EVICTED});
                 INSERT INTO work SELECT {EVICTED}, costsim_fencing_token({EVICTED});
                 SELECT count(*) FROM generate_series(1, {})",
                random.u32(0..300_000)
            ))?;
            client.batch_execute("COMMIT")?;
            Ok::<_, Error>(true)
        })();
        match outcome {
            Ok(has_written) => {
                committed += i64::from(has_written);
                session = Some(client);
            }
            Err(error) if is_refusal(&error) => {
                client.batch_execute("ROLLBACK").ok();
                session = Some(client);
            }
            Err(error) => {
                ensure!(["57P01", "closed"].contains(&sqlstate(&error).as_str()), "{error:?}");
                evicted += 1;
            }
        }
    }
    Ok((committed, evicted))
}

/// Reads from the server's log, in the order of the commits, which writes came after their term had ended.
fn stale_writes(client: &mut Client) -> Result<(i64, i64)> {
    client.batch_execute(
        r"CREATE TEMP TABLE said AS
          SELECT n, substring(data FROM 'lock_id\[bigint\]:(\d+)')::bigint AS lock_id,
                 substring(data FROM 'token\[bigint\]:(\d+)')::bigint AS token,
                 CASE WHEN data LIKE 'table public.work:%' THEN 'write'
                      ELSE substring(data FROM 'event\[[a-z ]+\]:''(\w+)''') END AS what
            FROM pg_logical_slot_get_changes('commits', NULL, NULL, 'include-xids', '0')
                 WITH ORDINALITY AS change(lsn, xid, data, n)
           WHERE data LIKE 'table public.work: INSERT:%'
              OR data LIKE 'table public.costsim_leader_events: INSERT:%';
          CREATE INDEX ON said (lock_id, token, n)",
    )?;
    let row = client.query_one(
        "SELECT count(*),
                count(*) FILTER (WHERE NOT EXISTS (SELECT FROM said a
                                                    WHERE a.what = 'acquired' AND a.lock_id = w.lock_id
                                                      AND a.token = w.token AND a.n < w.n)
                                    OR EXISTS (SELECT FROM said a
                                                WHERE a.what = 'acquired' AND a.lock_id = w.lock_id
                                                  AND a.token > w.token AND a.n < w.n)
                                    OR EXISTS (SELECT FROM said e
                                                WHERE e.what IN ('released', 'resigned', 'preempted', 'expired')
                                                  AND e.lock_id = w.lock_id AND e.token = w.token AND e.n < w.n))
           FROM said w WHERE what = 'write'",
        &[],
    )?;
    Ok((row.get(0), row.get(1)))
}

#[test]
fn no_write_commits_after_its_term_however_often_the_leader_changes() -> Result<()> {
    let (cluster, mut watcher) = database("changes")?;
    watcher.batch_execute("SELECT pg_create_logical_replication_slot('commits', 'test_decoding')")?;
    let heard = Arc::new([AtomicI64::new(0), AtomicI64::new(0)]);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut background: Vec<JoinHandle<Result<(i64, i64)>>> = Vec::new();
    for mode in 0..2 {
        let (cluster, heard, is_over) = (cluster.clone(), heard.clone(), is_over.clone());
        background.push(thread::spawn(move || {
            let change = [change_sessions, change_leases][mode];
            change(&cluster, "changes", &heard[mode], &is_over).map(|()| (0, 0))
        }));
    }
    for seed in 1..=3 {
        let (cluster, is_over) = (cluster.clone(), is_over.clone());
        background.push(thread::spawn(move || lead_and_write(&cluster, "changes", seed, &is_over)));
    }
    let mut writers = Vec::new();
    for (mode, lock_id) in [BY_SESSION, BY_LEASE].into_iter().enumerate() {
        for isolation in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
            let (client, heard) = (cluster.connect("changes")?, heard.clone());
            writers.push(thread::spawn(move || write_under(client, lock_id, isolation, &heard[mode])));
        }
    }
    let written: Vec<_> = writers.into_iter().map(join).collect();
    is_over.store(true, Ordering::SeqCst);
    let background = background.into_iter().map(join).collect::<Result<Vec<_>>>()?;
    let written = written.into_iter().collect::<Result<Vec<_>>>()?;

    let (mut committed, mut evicted) = (written.iter().map(|outcomes| outcomes.committed).sum::<i64>(), 0);
    for (more, ended) in background {
        committed += more;
        evicted += ended;
    }
    let (seen, stale) = stale_writes(&mut watcher)?;
    assert_eq!(stale, 0, "of {seen} writes");
    // Of a leader that was evicted while it committed nobody knows whether it did.
    assert!(
        seen >= committed && seen <= committed + evicted,
        "{committed} of {seen} writes, {evicted} evicted"
    );
    let terms: i64 = one(&mut watcher, "SELECT min(epoch) FROM costsim_leaders")?;
    assert!(terms >= 20, "a lock had {terms} terms: too few to show anything");
    assert!(evicted > 0, "nobody was evicted");
    check_the_books(&mut watcher)
}

#[test]
fn token_of_a_session_counts_for_other_sessions_until_it_ends() -> Result<()> {
    let (cluster, mut writer) = database("other_session")?;
    for end in ["SELECT costsim_release_leader(7001)", "SELECT pg_advisory_unlock_all()", ""] {
        let mut leader = cluster.connect("other_session")?;
        assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7001)")?);
        let token: i64 = one(&mut leader, "SELECT costsim_fencing_token(7001)")?;
        let require = format!("SELECT costsim_require_leader(7001, {token})");
        writer.batch_execute(&require)?;
        assert_eq!(
            sqlstate_of(&mut writer, "SELECT costsim_require_leader(7001)")?,
            "55000",
            "it does not lead itself"
        );
        for wrong in [token + 1, token - 1, 0, -1, i64::MAX] {
            let require = format!("SELECT costsim_require_leader(7001, '{wrong}')");
            assert_eq!(sqlstate_of(&mut writer, &require)?, "55000", "{wrong}");
        }
        // It ends in the middle of the writer's transaction.
        writer.batch_execute(&format!("BEGIN; {require}; INSERT INTO work VALUES (7001, {token})"))?;
        let pid: i32 = one(&mut leader, "SELECT pg_backend_pid()")?;
        if end.is_empty() {
            drop(leader);
            let is_gone = format!("SELECT NOT EXISTS (SELECT FROM pg_locks WHERE pid = {pid})");
            let mut watcher = cluster.connect("other_session")?;
            wait_for(&mut watcher, "the session to end", &is_gone)?;
        } else {
            leader.batch_execute(end)?;
        }
        assert_eq!(sqlstate_of(&mut writer, "COMMIT")?, "55000", "{end}");
        assert_eq!(sqlstate_of(&mut writer, &require)?, "55000", "{end}");
    }
    assert_eq!(one::<i64>(&mut writer, "SELECT count(*) FROM work")?, 0);
    Ok(())
}

/// A transaction of the leader writes twice; the server dies at any point of it.
#[test]
fn crash_of_the_server_leaves_nothing_half_done() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    cluster
        .create_database_with_extension("app")?
        .batch_execute("CREATE TABLE pairs (token bigint, n bigint)")?;
    let mut latest = 0;
    let mut leader = cluster.connect("app")?;
    for round in 0..4 {
        assert!(
            one::<bool>(&mut leader, "SELECT costsim_try_leader(7001, NULL, '1 hour')")?,
            "round {round}"
        );
        let token: i64 = one(&mut leader, "SELECT costsim_fencing_token(7001)")?;
        assert!(token > latest, "token {token} after {latest}");
        latest = token;
        let pid: i32 = one(&mut leader, "SELECT pg_backend_pid()")?;
        let written = Arc::new(AtomicI64::new(0));
        let writing = {
            let written = written.clone();
            thread::spawn(move || {
                let mut n = 0;
                loop {
                    n += 1;
                    let written_twice = (|| {
                        let insert = format!("INSERT INTO pairs VALUES ({token}, {n})");
                        leader.batch_execute("BEGIN; SELECT costsim_require_leader(7001)")?;
                        leader.batch_execute(&insert)?;
                        leader.batch_execute(&insert)?;
                        leader.batch_execute("COMMIT")
                    })();
                    if let Err(error) = written_twice {
                        return error;
                    }
                    written.store(n, Ordering::SeqCst);
                }
            })
        };
        let enough = 5 + 7 * i64::try_from(round)?;
        wait_until(LIMIT, "some transactions", || {
            Ok((written.load(Ordering::SeqCst) >= enough).then_some(()))
        })?;
        cluster.kill_backend(pid, Signal::KILL)?;
        let error = writing.join().map_err(|_| anyhow!("the writer panicked"))?;
        ensure!(error.is_closed() || error.code().is_none(), "the writer met {error:?}");

        // A session that began before the postmaster knows of the crash would end with the others.
        wait_until(LIMIT, "the server to recover", || {
            let log = cluster.log()?;
            let starts = log.matches("database system is ready to accept connections").count();
            Ok((starts == round + 2).then_some(()))
        })?;
        let mut heir = cluster.connect("app")?;
        let row = heir.query_one(
            &format!(
                "SELECT count(*) FILTER (WHERE parts <> 2), count(*), bool_or(leads)
                   FROM (SELECT count(*) AS parts FROM pairs WHERE token = {token} GROUP BY n) AS pair,
                        costsim_leader_status WHERE lock_id = 7001"
            ),
            &[],
        )?;
        assert_eq!(row.get::<_, i64>(0), 0, "round {round}: half a transaction");
        let told = written.load(Ordering::SeqCst);
        // The last one may have been committed and nobody told.
        assert!(
            (told..=told + 1).contains(&row.get(1)),
            "round {round}: {} after {told}",
            row.get::<_, i64>(1)
        );
        assert!(!row.get::<_, bool>(2), "round {round}: nobody leads");
        let require = format!("SELECT costsim_require_leader(7001, {token})");
        assert_eq!(sqlstate_of(&mut heir, &require)?, "55000");
        leader = heir;
    }
    check_the_books(&mut leader)
}

/// A server whose commits wait for a standby that does not exist, except in sessions that do not ask for one.
struct Hanging {
    cluster: Cluster,
    watcher: Client,
}

impl Hanging {
    fn start() -> Result<Self> {
        let cluster = Cluster::builder().start()?;
        cluster.create_database_with_extension("app")?.batch_execute("CREATE TABLE work (token bigint)")?;
        let mut hanging = Self { watcher: cluster.connect("app")?, cluster };
        set(&mut hanging.watcher, "synchronous_standby_names", "nobody")?;
        hanging.watcher = hanging.connect()?;
        // Whether a commit waits is decided by the checkpointer's word in shared memory.
        let probe = Asked::statement(hanging.cluster.connect("app")?, "CREATE TABLE probe ()")?;
        hanging.wait_until_hanging(probe.pid())?;
        hanging.cancel(probe.pid())?;
        probe.answer()?;
        Ok(hanging)
    }

    /// A session whose own commits do not wait.
    fn connect(&self) -> Result<Client> {
        let mut client = self.cluster.connect("app")?;
        client.batch_execute("SET synchronous_commit = local")?;
        Ok(client)
    }

    /// Begins to write under a token, and hangs in the commit.
    fn write(&mut self, token: i64) -> Result<Asked<()>> {
        let mut writer = self.cluster.connect("app")?;
        writer.batch_execute(&format!(
            "BEGIN; SELECT costsim_require_leader(7001, {token}); INSERT INTO work VALUES ({token})"
        ))?;
        let writing = Asked::statement(writer, "COMMIT")?;
        self.wait_until_hanging(writing.pid())?;
        Ok(writing)
    }

    fn wait_until_hanging(&mut self, pid: i32) -> Result<()> {
        let hangs = format!("SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = {pid}");
        wait_for(&mut self.watcher, "a commit to hang", &hangs)
    }

    /// Ends the wait of a commit: the server warns that the standby may lack it, and goes on.
    fn cancel(&mut self, pid: i32) -> Result<()> {
        ensure!(
            one::<bool>(&mut self.watcher, &format!("SELECT pg_cancel_backend({pid})"))?,
            "{pid} is gone"
        );
        Ok(())
    }

    fn written(&mut self) -> Result<i64> {
        one(&mut self.watcher, "SELECT count(*) FROM work")
    }
}

#[test]
fn next_lease_waits_for_a_commit_of_the_former_one() -> Result<()> {
    let mut hanging = Hanging::start()?;
    let mut former = hanging.connect()?;
    let token: i64 = one(&mut former, "SELECT costsim_try_lease(7001, 'former', '10 seconds')")?;
    let writing = hanging.write(token)?;
    wait_for(
        &mut hanging.watcher,
        "the lease to end",
        "SELECT lease_until < clock_timestamp() FROM costsim_leaders WHERE lock_id = 7001",
    )?;

    let mut next = hanging.connect()?;
    next.batch_execute("SET statement_timeout = '300 ms'")?;
    let ask = "SELECT costsim_try_lease(7001, 'next')";
    assert_eq!(sqlstate_of(&mut next, ask)?, "57014", "it waits, and can be stopped");
    next.batch_execute("RESET statement_timeout")?;
    let taking = Asked::<i64>::query(next, ask)?;
    taking.wait_until_queued(&mut hanging.watcher)?;
    assert_eq!(hanging.written()?, 0, "the write is not to be seen yet");
    assert!(!taking.is_answered(), "nor the next leader");

    hanging.cancel(writing.pid())?;
    writing.answer()?;
    let (mut next, greater) = taking.answer()?;
    assert!(greater > token);
    assert_eq!(one::<i64>(&mut next, "SELECT count(*) FROM work")?, 1, "who leads sees what came before");
    check_the_books(&mut hanging.watcher)
}

#[test]
fn leader_that_gives_back_waits_for_a_commit_under_its_token() -> Result<()> {
    let mut hanging = Hanging::start()?;
    let mut leader = hanging.connect()?;
    assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7001)")?);
    let token: i64 = one(&mut leader, "SELECT costsim_fencing_token(7001)")?;
    let writing = hanging.write(token)?;
    let releasing = Asked::<bool>::query(leader, "SELECT costsim_release_leader(7001)")?;
    releasing.wait_until_queued(&mut hanging.watcher)?;
    let mut next = hanging.connect()?;
    assert!(!one::<bool>(&mut next, "SELECT costsim_try_leader(7001)")?, "the lock opens with the release");
    assert!(!releasing.is_answered());
    assert_eq!(hanging.written()?, 0);

    hanging.cancel(writing.pid())?;
    writing.answer()?;
    assert!(releasing.answer()?.1);
    assert!(one::<bool>(&mut next, "SELECT costsim_try_leader(7001)")?);
    assert_eq!(one::<i64>(&mut next, "SELECT count(*) FROM work")?, 1);
    check_the_books(&mut hanging.watcher)
}

#[test]
fn next_session_waits_for_a_commit_under_the_token_of_one_that_ended() -> Result<()> {
    let mut hanging = Hanging::start()?;
    let mut leader = hanging.connect()?;
    assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7001)")?);
    let token: i64 = one(&mut leader, "SELECT costsim_fencing_token(7001)")?;
    let writing = hanging.write(token)?;
    leader.batch_execute("SELECT pg_advisory_unlock_all()")?;
    let taking = Asked::<bool>::query(hanging.connect()?, "SELECT costsim_try_leader(7001)")?;
    taking.wait_until_queued(&mut hanging.watcher)?;
    assert_eq!(hanging.written()?, 0);
    assert!(!taking.is_answered());

    hanging.cancel(writing.pid())?;
    writing.answer()?;
    let (mut next, leads) = taking.answer()?;
    assert!(leads);
    assert_eq!(one::<i64>(&mut next, "SELECT count(*) FROM work")?, 1);
    check_the_books(&mut hanging.watcher)
}

/// An eviction ends the wait of the holder's own commit; what it had written to the log by then stays written.
#[test]
fn eviction_of_a_holder_that_hangs_in_its_commit_comes_after_that_commit() -> Result<()> {
    let mut hanging = Hanging::start()?;
    let mut holder = hanging.connect()?;
    assert!(one::<bool>(&mut holder, "SELECT costsim_try_leader(7001, 'holder', '1 hour')")?);
    let token: i64 = one(&mut holder, "SELECT costsim_fencing_token(7001)")?;
    holder.batch_execute(&format!(
        "SET synchronous_commit = on;
         BEGIN; SELECT costsim_require_leader(7001); INSERT INTO work VALUES ({token})"
    ))?;
    let writing = Asked::statement(holder, "COMMIT")?;
    hanging.wait_until_hanging(writing.pid())?;
    hanging.watcher.batch_execute(
        "UPDATE costsim_leaders SET lease_until = clock_timestamp() - interval '1 second' WHERE lock_id = 7001",
    )?;
    let mut next = hanging.connect()?;
    assert!(one::<bool>(&mut next, "SELECT costsim_try_leader(7001, 'next')")?);
    assert_eq!(one::<i64>(&mut next, "SELECT count(*) FROM work")?, 1);
    assert!(one::<i64>(&mut next, "SELECT costsim_fencing_token(7001)")? > token);
    let (_session, outcome) = writing.outcome()?;
    assert!(outcome.is_err(), "its session ended before it could be told");
    check_the_books(&mut hanging.watcher)
}
