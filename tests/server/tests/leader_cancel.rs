//! Calls that are cancelled, timed out or terminated at any moment leave what was before: no lock, no half of a term.

use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{Cluster, Signal, wait_until};
use costsim_server_tests::{Asked, LIMIT, Shared, check_the_books, one, sqlstate, wait_for};
use fastrand::Rng;
use postgres::{Client, Error, SimpleQueryMessage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

static CLUSTER: Shared<Cluster> = Shared::new();

const WAIT: &str = "SELECT costsim_wait_leader(7001, '10 min')";
const TRY: &str = "SELECT costsim_try_leader(7001)";
const RELEASE: &str = "SELECT costsim_release_leader(7001)";

/// What a client reads last of a session that was terminated.
const TERMINATED: [&str; 2] = ["57P01", "closed"];

/// The file's cluster, and a database of the test's own in it.
fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

fn pid(client: &mut Client) -> Result<i32> {
    one(client, "SELECT pg_backend_pid()")
}

/// Every advisory lock that a server process holds or waits for.
fn locks_of(watcher: &mut Client, pid: i32) -> Result<i64> {
    one(watcher, &format!("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = {pid}"))
}

/// Nobody leads, nobody waits, and no session of this database holds a lock.
fn nothing_is_left(watcher: &mut Client) -> Result<()> {
    let left: String = one(
        watcher,
        "SELECT concat((SELECT json_agg(l) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                         WHERE l.locktype = 'advisory' AND d.datname = current_database()),
                       (SELECT json_agg(s) FROM costsim_leader_status s WHERE leads OR waiting > 0))",
    )?;
    ensure!(left.is_empty(), "{left}");
    check_the_books(watcher)
}

/// How a waiter is interrupted.
enum Interrupt {
    /// The session's own statement_timeout.
    StatementTimeout,
    /// The timeout of the call.
    Timeout,
    /// Another session's call of this function.
    Call(&'static str),
}

/// A waiter that is granted the lock and interrupted before it sees either. Its process stands still meanwhile, so both are
/// there when it goes on, whichever it looks at first.
fn granted_and_interrupted(name: &str, interrupt: &Interrupt, codes: &[&str]) -> Result<()> {
    let (cluster, mut leader) = database(name)?;
    ensure!(one::<bool>(&mut leader, TRY)?, "somebody leads");
    let mut client = cluster.connect(name)?;
    if matches!(interrupt, Interrupt::StatementTimeout) {
        client.batch_execute("SET statement_timeout = '5 s'")?;
    }
    let wait = match interrupt {
        Interrupt::Timeout => "SELECT costsim_wait_leader(7001, '5 s')",
        Interrupt::StatementTimeout | Interrupt::Call(_) => WAIT,
    };
    let waiter = Asked::<bool>::query(client, wait)?;
    waiter.wait_until_queued(&mut leader)?;
    let next = Asked::<bool>::query(cluster.connect(name)?, WAIT)?;
    next.wait_until_queued(&mut leader)?;
    let pid = waiter.pid();
    cluster.kill_backend(pid, Signal::STOP)?;

    ensure!(one::<bool>(&mut leader, RELEASE)?, "the lock cannot be given back");
    let is_granted = format!(
        "SELECT EXISTS (SELECT FROM pg_locks
                         WHERE locktype = 'advisory' AND objid = 7001 AND objsubid = 1 AND granted AND pid = {pid})"
    );
    wait_for(&mut leader, "the lock to be granted", &is_granted)?;
    if let Interrupt::Call(function) = interrupt {
        ensure!(one::<bool>(&mut leader, &format!("SELECT {function}({pid})"))?, "nobody to interrupt");
    } else {
        // The timer fires while the process stands still.
        let is_over = format!(
            "SELECT clock_timestamp() > query_start + interval '5100 ms' FROM pg_stat_activity WHERE pid = {pid}"
        );
        wait_for(&mut leader, "the time to be over", &is_over)?;
    }
    cluster.kill_backend(pid, Signal::CONT)?;

    let (mut client, outcome) = waiter.outcome()?;
    match outcome {
        Ok(true) => {
            ensure!(one::<bool>(&mut client, "SELECT costsim_is_leader(7001)")?, "it was told that it leads");
            ensure!(!next.is_answered(), "and so was the next");
            ensure!(one::<bool>(&mut client, RELEASE)?, "what it has cannot be given back");
        }
        Ok(false) => ensure!(codes.contains(&"false"), "answered false"),
        Err(error) => ensure!(codes.contains(&sqlstate(&error).as_str()), "{error}"),
    }
    if client.is_closed() {
        let is_gone = format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})");
        wait_for(&mut leader, "the process to end", &is_gone)?;
    }
    ensure!(locks_of(&mut leader, pid)? == 0, "a lock stays with the session");
    let (mut heir, led) = next.answer()?;
    ensure!(led, "the next in the queue has waited in vain");
    ensure!(one::<bool>(&mut heir, RELEASE)?, "the heir has nothing");
    nothing_is_left(&mut leader)
}

#[test]
fn lock_granted_in_the_moment_of_a_cancel_goes_on_to_the_next() -> Result<()> {
    granted_and_interrupted("cancel", &Interrupt::Call("pg_cancel_backend"), &["57014"])
}

#[test]
fn lock_granted_in_the_moment_of_a_termination_goes_on_to_the_next() -> Result<()> {
    granted_and_interrupted("terminate", &Interrupt::Call("pg_terminate_backend"), &TERMINATED)
}

#[test]
fn lock_granted_in_the_moment_of_the_statement_timeout_goes_on_to_the_next() -> Result<()> {
    granted_and_interrupted("statement_timeout", &Interrupt::StatementTimeout, &["57014"])
}

#[test]
fn lock_granted_in_the_moment_the_wait_is_over_is_led_or_goes_on_to_the_next() -> Result<()> {
    granted_and_interrupted("timeout", &Interrupt::Timeout, &["false"])
}

/// The same without a standstill: cancel and release within microseconds of each other, in either order.
#[test]
fn cancel_that_races_with_the_hand_over_leaves_a_leader_or_nothing() -> Result<()> {
    let (cluster, mut leader) = database("races")?;
    let mut watcher = cluster.connect("races")?;
    let mut canceller = cluster.connect("races")?;
    let mut client = cluster.connect("races")?;
    let waiter_pid = pid(&mut client)?;
    let (mut led, mut cancelled) = (0, 0);
    for round in 0..150_i64 {
        ensure!(one::<bool>(&mut leader, TRY)?, "round {round}: somebody leads");
        let waiter = Asked::<bool>::query(client, WAIT)?;
        waiter.wait_until_queued(&mut watcher)?;
        // Up to some hundred microseconds before, or after.
        let [early, late] = [round * 13 % 400, round * 29 % 400];
        let cancel = format!(
            "SELECT pg_cancel_backend({waiter_pid}) FROM (SELECT count(*) FROM generate_series(1, {early})) AS delay"
        );
        let release = format!(
            "SELECT costsim_release_leader(7001) FROM (SELECT count(*) FROM generate_series(1, {late})) AS delay"
        );
        let cancelling = Asked::<bool>::query(canceller, &cancel)?;
        ensure!(one::<bool>(&mut leader, &release)?, "round {round}: nothing to give back");
        canceller = cancelling.answer()?.0;
        let outcome;
        (client, outcome) = waiter.outcome()?;
        match outcome {
            Ok(has_won) => {
                ensure!(has_won, "round {round}: ten minutes are over");
                led += 1;
                ensure!(one::<bool>(&mut client, RELEASE)?, "round {round}: it leads nothing");
            }
            Err(error) => {
                ensure!(sqlstate(&error) == "57014", "round {round}: {error}");
                cancelled += 1;
            }
        }
        ensure!(locks_of(&mut watcher, waiter_pid)? == 0, "round {round}: a lock stays with the session");
    }
    assert!(led > 0 && cancelled > 0, "{led} led and {cancelled} were cancelled: no race");
    nothing_is_left(&mut watcher)
}

const WORKERS: u64 = 8;
const CALLS: usize = 5_000 / WORKERS as usize;
const LOCKS: [i64; 3] = [7001, 7002, 7003];

/// What a session has been told, and nobody has told it otherwise.
#[derive(Clone, Default)]
struct Belief {
    /// Locks that it leads as a session.
    leads: BTreeSet<i64>,
    /// Tokens of leases.
    tokens: BTreeMap<i64, i64>,
}

/// One session of the storm.
struct Worker {
    client: Client,
    name: String,
    random: Rng,
    belief: Belief,
    /// How often a call answered that it leads, and how often it was stopped.
    wins: usize,
    stops: usize,
}

/// A call, and what its answer says.
#[derive(Clone, Copy)]
enum Call {
    Lead,
    GiveBack,
    Lease,
    GiveLeaseBack,
    Other,
}

impl Worker {
    fn new(cluster: &Cluster, database: &str, number: u64) -> Result<Self> {
        Ok(Self {
            client: cluster.connect(database)?,
            name: format!("worker {number}"),
            random: Rng::with_seed(number),
            belief: Belief::default(),
            wins: 0,
            stops: 0,
        })
    }

    /// The next call of the storm, of any function.
    fn call(&mut self, lock_id: i64) -> (Call, String) {
        let name = &self.name;
        // Nobody is evicted here: a session's lease lives longer than the storm.
        let lease = ["NULL", "'1 hour'"][self.random.usize(0..2)];
        let token = self.belief.tokens.get(&lock_id).copied().unwrap_or(1 << 32);
        // Who leads gives back soon, so that the others come to lead.
        let gives_back = self.random.u8(0..3) == 0;
        match self.random.u8(0..12) {
            _ if gives_back && self.belief.leads.contains(&lock_id) => {
                (Call::GiveBack, format!("SELECT costsim_release_leader({lock_id})"))
            }
            _ if gives_back && self.belief.tokens.contains_key(&lock_id) => {
                (Call::GiveLeaseBack, format!("SELECT costsim_release_lease({lock_id}, {token})"))
            }
            0 | 1 => (Call::Lead, format!("SELECT costsim_try_leader({lock_id}, '{name}', {lease})")),
            2 => (Call::Lead, format!("SELECT costsim_wait_leader({lock_id}, '2 ms', '{name}', {lease})")),
            3 => (Call::Lead, format!("SELECT costsim_wait_leader({lock_id}, '1 hour', '{name}')")),
            4 | 5 => (Call::Lease, format!("SELECT costsim_try_lease({lock_id}, '{name}', '1 hour')")),
            6 => (Call::Other, format!("SELECT costsim_renew_lease({lock_id}, {token})")),
            7 => (Call::GiveLeaseBack, format!("SELECT costsim_release_lease({lock_id}, {token})")),
            8 | 9 => (Call::GiveBack, format!("SELECT costsim_release_leader({lock_id})")),
            10 => (Call::Other, format!("SELECT costsim_require_leader({lock_id}, {token})")),
            _ => (Call::Other, format!("SELECT costsim_run_as_leader({lock_id}, 'SELECT 1', '1 ms')")),
        }
    }

    /// Makes a call in the transaction that is open, or in one of its own, with milliseconds to live.
    fn make_call(&mut self) -> Result<Option<Error>> {
        let lock_id = LOCKS[self.random.usize(0..LOCKS.len())];
        let (call, statement) = self.call(lock_id);
        let timeout = self.random.u8(1..=5);
        let asked =
            self.client.simple_query(&format!("SET LOCAL statement_timeout = {timeout}; {statement}"));
        let messages = match asked {
            Ok(messages) => messages,
            Err(error) => return Ok(Some(error)),
        };
        let answer = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let belief = &mut self.belief;
        match (call, answer) {
            (Call::Lead, Some("t")) => {
                self.wins += 1;
                belief.leads.insert(lock_id);
            }
            (Call::GiveBack, Some("t")) => {
                ensure!(belief.leads.remove(&lock_id), "{lock_id} was given back and not led");
            }
            (Call::GiveBack, Some("f")) => {
                ensure!(!belief.leads.contains(&lock_id), "{lock_id} was led and could not be given back");
            }
            (Call::Lease, Some(token)) => {
                self.wins += 1;
                belief.tokens.insert(lock_id, token.parse()?);
            }
            (Call::GiveLeaseBack, Some("t")) => {
                belief.tokens.remove(&lock_id).with_context(|| format!("{lock_id} was no lease of ours"))?;
            }
            (Call::GiveLeaseBack, Some("f")) => {
                ensure!(!belief.tokens.contains_key(&lock_id), "the lease of {lock_id} is lost");
            }
            (Call::Lead, Some("f")) | (Call::Lease, None) | (Call::Other, _) => {}
            (_, other) => bail!("{statement} answers {other:?}"),
        }
        Ok(None)
    }

    /// Counts what was stopped. What is required and not led may be refused, and nothing else.
    fn note(&mut self, error: &Error) -> Result<()> {
        let code = sqlstate(error);
        ensure!(["57014", "55000"].contains(&code.as_str()), "{error:?}");
        self.stops += usize::from(code == "57014");
        Ok(())
    }

    /// Says something until it is not cancelled.
    fn insist(&mut self, statement: &str) -> Result<Vec<SimpleQueryMessage>> {
        wait_until(LIMIT, statement, || match self.client.simple_query(statement) {
            Ok(messages) => Ok(Some(messages)),
            Err(error) => Err(error.into()),
        })
    }

    /// Calls alone, in a transaction, in a savepoint; committed or not.
    fn storm(&mut self) -> Result<()> {
        let mut calls = 0;
        while calls < CALLS {
            let before = self.belief.clone();
            let outcome = if self.random.bool() {
                calls += 1;
                self.make_call()?
            } else {
                let count = self.random.usize(1..4);
                calls += count;
                self.transaction(count)?
            };
            if let Some(error) = outcome {
                self.note(&error)?;
                self.insist("ROLLBACK")?;
                self.belief = before;
            }
            self.compare()?;
        }
        Ok(())
    }

    /// Several calls that count together or not at all.
    fn transaction(&mut self, count: usize) -> Result<Option<Error>> {
        self.insist("BEGIN")?;
        let before = self.belief.clone();
        for _ in 0..count {
            let has_savepoint = self.random.bool();
            let before = self.belief.clone();
            if has_savepoint && let Err(error) = self.client.simple_query("SAVEPOINT s") {
                return Ok(Some(error));
            }
            let refused = self.make_call()?;
            if refused.is_some() && !has_savepoint {
                return Ok(refused);
            }
            if has_savepoint && (refused.is_some() || self.random.bool()) {
                refused.iter().try_for_each(|error| self.note(error))?;
                self.insist("ROLLBACK TO s")?;
                self.belief = before;
            }
        }
        if self.random.u8(0..4) == 0 {
            self.insist("ROLLBACK")?;
            self.belief = before;
            return Ok(None);
        }
        Ok(self.client.simple_query("COMMIT").err())
    }

    /// What the session was told is what it holds.
    fn compare(&mut self) -> Result<()> {
        let asked = LOCKS.map(|lock_id| format!("costsim_is_leader({lock_id})")).join(", ");
        let messages = self.insist(&format!("SELECT {asked}"))?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.context("no row")?;
        for (at, lock_id) in LOCKS.iter().enumerate() {
            let leads = row.get(at) == Some("t");
            ensure!(leads == self.belief.leads.contains(lock_id), "leads {lock_id}: {leads}");
        }
        Ok(())
    }

    /// Gives back what it believes to lead.
    fn give_back(&mut self) -> Result<()> {
        for lock_id in &self.belief.leads {
            let had: bool = one(&mut self.client, &format!("SELECT costsim_release_leader({lock_id})"))?;
            ensure!(had, "{lock_id} cannot be given back");
        }
        for (lock_id, token) in &self.belief.tokens {
            let had: bool =
                one(&mut self.client, &format!("SELECT costsim_release_lease({lock_id}, {token})"))?;
            ensure!(had, "the lease of {lock_id} cannot be given back");
        }
        Ok(())
    }
}

/// Calls a function on a random one of these processes, at random moments, until told to end.
fn interrupt_at_random(mut client: Client, function: &str, pids: &[i32], is_over: &AtomicBool) -> Result<()> {
    let mut random = Rng::with_seed(57014);
    while !is_over.load(Ordering::Relaxed) {
        let (pid, delay) = (pids[random.usize(0..pids.len())], random.u32(0..20_000));
        let interrupt = format!(
            "SELECT {function}({pid}) FROM (SELECT count(*) FROM generate_series(1, {delay})) AS delay"
        );
        one::<bool>(&mut client, &interrupt)?;
    }
    Ok(())
}

#[test]
fn five_thousand_calls_stopped_at_any_moment_leave_every_term_whole() -> Result<()> {
    let (cluster, mut watcher) = database("storm")?;
    let mut workers = Vec::new();
    for number in 1..=WORKERS {
        workers.push(Worker::new(&cluster, "storm", number)?);
    }
    let pids = workers.iter_mut().map(|worker| pid(&mut worker.client)).collect::<Result<Vec<_>>>()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let interrupter = {
        let (client, is_over) = (cluster.connect("storm")?, is_over.clone());
        thread::spawn(move || interrupt_at_random(client, "pg_cancel_backend", &pids, &is_over))
    };
    let storming: Vec<_> = workers
        .into_iter()
        .map(|mut worker| {
            thread::spawn(move || {
                let outcome = worker.storm().with_context(|| worker.name.clone());
                (worker, outcome)
            })
        })
        .collect();
    let joined: Vec<_> = storming.into_iter().map(thread::JoinHandle::join).collect();
    is_over.store(true, Ordering::Relaxed);
    interrupter.join().map_err(|_| anyhow!("the interrupter panicked"))??;
    let mut workers = Vec::new();
    for outcome in joined {
        let (worker, outcome) = outcome.map_err(|_| anyhow!("a worker panicked"))?;
        outcome?;
        workers.push(worker);
    }
    for worker in &mut workers {
        worker.give_back().with_context(|| worker.name.clone())?;
    }
    // All sessions are still there: what one of them had kept would be seen.
    nothing_is_left(&mut watcher)?;
    let [wins, stops] = [|worker: &Worker| worker.wins, |worker: &Worker| worker.stops]
        .map(|count| workers.iter().map(count).sum::<usize>());
    assert!(wins > 200 && stops > 200, "{wins} calls led and {stops} were stopped: no storm");
    Ok(())
}

#[test]
fn terminated_waiters_leave_nothing_behind() -> Result<()> {
    let (cluster, mut watcher) = database("terminated")?;
    let mut leader = cluster.connect("terminated")?;
    for round in 0..10 {
        ensure!(one::<bool>(&mut leader, TRY)?, "round {round}: somebody leads");
        let mut waiters = Vec::new();
        for number in 0..8 {
            let mut client = cluster.connect("terminated")?;
            client.batch_execute(["BEGIN", "SELECT"][number % 2])?;
            let waiter = Asked::<bool>::query(client, WAIT)?;
            waiter.wait_until_queued(&mut watcher)?;
            waiters.push(waiter);
        }
        // All of them at once, and the leader goes in the middle of it.
        let pids = waiters.iter().map(|waiter| waiter.pid().to_string()).collect::<Vec<_>>();
        let (first, rest) = pids.split_at(4);
        let terminate = |pids: &[String]| {
            format!(
                "SELECT bool_and(pg_terminate_backend(pid)) FROM unnest('{{{}}}'::int[]) AS pid",
                pids.join(",")
            )
        };
        assert!(one::<bool>(&mut watcher, &terminate(first))?);
        assert!(one::<bool>(&mut leader, RELEASE)?);
        assert!(one::<bool>(&mut watcher, &terminate(rest))?);
        for waiter in waiters {
            // One of the rest may have led for a moment.
            match waiter.outcome()?.1 {
                Ok(led) => ensure!(led, "round {round}: ten minutes are over"),
                Err(error) => {
                    ensure!(TERMINATED.contains(&sqlstate(&error).as_str()), "round {round}: {error}")
                }
            }
        }
        let gone = format!(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ('{{{}}}'::int[]))",
            pids.join(",")
        );
        wait_for(&mut watcher, "the waiters to be gone", &gone)?;
        nothing_is_left(&mut watcher)?;
    }
    Ok(())
}

/// Sessions that lead, renew and wait are terminated at any moment, wherever they are.
#[test]
fn terminated_leaders_and_candidates_leave_every_term_whole() -> Result<()> {
    let (cluster, mut watcher) = database("terminate_storm")?;
    let is_over = Arc::new(AtomicBool::new(false));
    let terminator = {
        let (mut client, is_over) = (cluster.connect("terminate_storm")?, is_over.clone());
        thread::spawn(move || -> Result<()> {
            let mut random = Rng::with_seed(7);
            while !is_over.load(Ordering::Relaxed) {
                let delay = random.u32(0..60_000);
                client.simple_query(&format!(
                    "SELECT pg_terminate_backend(pid)
                       FROM (SELECT count(*) FROM generate_series(1, {delay})) AS delay,
                            (SELECT pid FROM pg_stat_activity
                              WHERE datname = current_database() AND application_name LIKE 'worker %'
                              ORDER BY random() LIMIT 1) AS victim"
                ))?;
            }
            Ok(())
        })
    };
    let mut storming = Vec::new();
    for number in 1..=6 {
        let mut config = cluster.config("terminate_storm");
        config.application_name(&format!("worker {number}"));
        storming.push(thread::spawn(move || -> Result<(usize, usize)> {
            let mut random = Rng::with_seed(number);
            let (mut ended, mut wins) = (0, 0);
            let mut session: Option<Client> = None;
            for _ in 0..250 {
                let mut client = match session.take() {
                    Some(client) => client,
                    None => match config.connect(postgres::NoTls) {
                        Ok(client) => client,
                        // Terminated before it was ready.
                        Err(_) => continue,
                    },
                };
                let call = [
                    "SELECT costsim_try_leader(7001, NULL, '1 hour')",
                    "SELECT costsim_wait_leader(7001, '20 ms')",
                    "SELECT costsim_release_leader(7001)",
                    "SELECT costsim_try_lease(7001, 'pooled', '1 ms') IS NOT NULL",
                    "SELECT (costsim_run_as_leader(7001, 'SELECT pg_sleep(0.001)', '5 ms')).led",
                ][random.usize(0..5)];
                match client.query_one(call, &[]).and_then(|row| row.try_get::<_, bool>(0)) {
                    Ok(answer) => {
                        wins += usize::from(answer);
                        session = Some(client);
                    }
                    Err(error) if TERMINATED.contains(&sqlstate(&error).as_str()) => ended += 1,
                    Err(error) => bail!("{call}: {error:?}"),
                }
            }
            Ok((ended, wins))
        }));
    }
    let joined: Vec<_> = storming.into_iter().map(thread::JoinHandle::join).collect();
    is_over.store(true, Ordering::Relaxed);
    terminator.join().map_err(|_| anyhow!("the terminator panicked"))??;
    let (mut ended, mut wins) = (0, 0);
    for outcome in joined {
        let counts = outcome.map_err(|_| anyhow!("a worker panicked"))??;
        ended += counts.0;
        wins += counts.1;
    }
    let gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity
                  WHERE datname = current_database() AND application_name LIKE 'worker %')";
    wait_for(&mut watcher, "the sessions to be gone", gone)?;
    wait_for(&mut watcher, "the last lease to end", "SELECT NOT costsim_lock_held(7001)")?;
    nothing_is_left(&mut watcher)?;
    assert!(ended > 50 && wins > 50, "{ended} sessions ended and {wins} calls led: no storm");
    Ok(())
}

/// Stops a session that looks at marks all the time in the moment in which it holds the lock of a look.
fn stop_within_a_look(cluster: &Cluster, watcher: Client, looker: i32) -> Result<Client> {
    let holds_it = format!(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 3 AND granted AND pid = {looker})"
    );
    let mut watcher = Some(watcher);
    // By chance, some hundred tries.
    wait_until(4 * LIMIT, "the looker to be stopped in the middle", || {
        cluster.kill_backend(looker, Signal::STOP)?;
        let asked = Asked::<bool>::query(watcher.take().context("no watcher")?, &holds_it)?;
        // A process that stands still within the lock manager keeps everybody from looking into it.
        let answered =
            wait_until(Duration::from_millis(50), "an answer", || Ok(asked.is_answered().then_some(())));
        if answered.is_err() {
            cluster.kill_backend(looker, Signal::CONT)?;
        }
        let (client, is_held) = asked.answer()?;
        if answered.is_ok() && is_held {
            return Ok(Some(client));
        }
        if answered.is_ok() {
            cluster.kill_backend(looker, Signal::CONT)?;
        }
        watcher = Some(client);
        Ok(None)
    })
}

/// A session that sets its mark waits for another one's look, is granted the lock and cancelled before it sees either.
#[test]
fn mark_granted_in_the_moment_of_a_cancel_is_given_back() -> Result<()> {
    let (cluster, watcher) = database("looked_at")?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut looker = cluster.connect("looked_at")?;
    let looker_pid = pid(&mut looker)?;
    let looking = {
        let is_over = is_over.clone();
        thread::spawn(move || -> Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                // Each is refused, after a look.
                looker.batch_execute(
                    "DO $$ BEGIN FOR n IN 1..1000 LOOP
                       BEGIN PERFORM costsim_require_leader(7001, -1); EXCEPTION WHEN SQLSTATE '55000' THEN END;
                     END LOOP; END $$",
                )?;
            }
            Ok(())
        })
    };
    let mut watcher = stop_within_a_look(&cluster, watcher, looker_pid)?;

    let client = cluster.connect("looked_at")?;
    let candidate = Asked::<bool>::query(client, TRY)?;
    let pid = candidate.pid();
    let of_mark = |is_granted| {
        format!(
            "SELECT EXISTS (SELECT FROM pg_locks
                             WHERE locktype = 'advisory' AND objsubid = 3 AND granted = {is_granted} AND pid = {pid})"
        )
    };
    wait_for(&mut watcher, "the candidate to wait for the look", &of_mark(false))?;
    cluster.kill_backend(pid, Signal::STOP)?;
    cluster.kill_backend(looker_pid, Signal::CONT)?;
    wait_for(&mut watcher, "the mark to be granted", &of_mark(true))?;
    ensure!(one::<bool>(&mut watcher, &format!("SELECT pg_cancel_backend({pid})"))?, "nobody to cancel");
    cluster.kill_backend(pid, Signal::CONT)?;

    let (_client, outcome) = candidate.outcome()?;
    let code = outcome.err().map(|error| sqlstate(&error));
    ensure!(code.as_deref() == Some("57014"), "not cancelled: {code:?}");
    is_over.store(true, Ordering::Relaxed);
    looking.join().map_err(|_| anyhow!("the looker panicked"))??;
    nothing_is_left(&mut watcher)
}
