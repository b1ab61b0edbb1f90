//! The receiver takes a request and never answers: the worker holds nothing, hinders nobody and leaves when told.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{
    Alertmanager, Cluster, HangingEndpoint, RecordingEndpoint, proc::thread_count, wait_until,
};
use costsim_server_tests::{FullPort, LIMIT, Shared, Site, is_running, one, set, wait_for};
use postgres::Client;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

const ENQUEUE: &str = r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#;
const FIRE: &str = r#"SELECT costsim_fire_alert('{"alertname": "b"}')"#;

/// What a process that was told to end may take for it, and what nobody else may wait for.
const PROMPT: Duration = Duration::from_secs(1);

/// What whoever wants the worker's own database may have to wait for it to leave.
const MAKES_WAY: Duration = Duration::from_secs(2);

/// How soon there is another worker after one has ended.
const BACK: Duration = Duration::from_secs(3);

/// How often each is measured: a limit that was kept once says little.
const ROUNDS: usize = 20;

/// How many of them are measured at once, where that is possible.
const LANES: usize = 4;

/// Tests that measure many times do not disturb each other.
fn alone() -> MutexGuard<'static, ()> {
    static MEASURING: Mutex<()> = Mutex::new(());
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fields end in this order: the server first.
struct Hang {
    site: Site,
    endpoint: HangingEndpoint,
}

static HANG: Shared<Hang> = Shared::new();

/// The file's server, whose worker is in the middle of a request that lasts for minutes. It was started by hand: a reload, by which the
/// launcher would hear of the database, may have a worker ask anew.
fn hang() -> Result<(Arc<Hang>, Client)> {
    let hang = HANG.get(|| {
        let endpoint = HangingEndpoint::start()?;
        let builder = Site::builder(&endpoint.url())
            .conf("costsim.alertmanager_timeout", "5min")
            .conf("costsim.databases", "");
        let site = Site { cluster: builder.start()? };
        let mut client = site.cluster.create_database_with_extension("app")?;
        ensure!(one::<bool>(&mut client, "SELECT costsim_worker_start()")?);
        // What it keeps in order it does when it begins, and again an hour later.
        wait_for(
            &mut client,
            "the worker to have nothing to do",
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'costsim worker' AND state = 'idle'
                               AND state_change < clock_timestamp() - interval '1 s')",
        )?;
        client.batch_execute(&format!("{ENQUEUE}; {FIRE}"))?;
        endpoint.wait_for_requests(1, LIMIT)?;
        Ok(Hang { site, endpoint })
    })?;
    let client = hang.site.connect()?;
    Ok((hang, client))
}

#[test]
fn worker_holds_no_transaction_and_no_snapshot_while_the_endpoint_hangs() -> Result<()> {
    let (hang, mut client) = hang()?;
    let pid = Site::wait_for_request(&mut client)?;
    let query = "SELECT backend_xid IS NULL AND backend_xmin IS NULL AND xact_start IS NULL, state,
                        (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid AND l.objsubid IS DISTINCT FROM 4
                            AND l.classid IS DISTINCT FROM 'pg_database'::regclass)
                   FROM pg_stat_activity a WHERE pid = $1 AND backend_type = 'costsim worker'";
    // The one lock that it keeps, objsubid 4, makes it the only deliverer of its database; nobody waits for it. Whether somebody wants
    // the database it finds out by asking for a lock of it, which it gives back at once.
    let mut samples = 0;
    // Transactions of others come and go meanwhile, so that there is something to be held back.
    wait_until(LIMIT, "two hundred samples", || {
        client.batch_execute("SELECT pg_current_xact_id()")?;
        let row = client.query_one(query, &[&pid])?;
        assert!(row.get::<_, bool>(0), "sample {samples}: it holds a transaction or a snapshot");
        let state: &str = row.get(1);
        assert!(!state.starts_with("idle in transaction"), "sample {samples}: {state}");
        assert_eq!(row.get::<_, i64>(2), 0, "sample {samples}: it holds a lock");
        samples += 1;
        Ok((samples >= 200).then_some(()))
    })?;
    assert_eq!(hang.endpoint.requests().len(), 1, "it was one and the same request all the time");
    assert_eq!(Site::worker_pid(&mut client)?, pid);
    Ok(())
}

#[test]
fn every_process_of_the_server_has_one_thread() -> Result<()> {
    let (_hang, mut client) = hang()?;
    Site::wait_for_request(&mut client)?;
    // This session has used the library too.
    client.batch_execute("SELECT costsim_is_open(); SELECT costsim_try_leader(7001)")?;
    every_process_has_one_thread(&mut client)
}

fn every_process_has_one_thread(client: &mut Client) -> Result<()> {
    let mut kinds = Vec::new();
    for row in client.query("SELECT pid, backend_type FROM pg_stat_activity", &[])? {
        let (pid, kind): (i32, String) = (row.get(0), row.get(1));
        // A process that has just ended has no threads to count.
        if let Ok(count) = thread_count(pid) {
            assert_eq!(count, 1, "{kind} {pid}");
            kinds.push(kind);
        }
    }
    for kind in ["costsim launcher", "costsim worker", "client backend"] {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} among {kinds:?}");
    }
    Ok(())
}

#[test]
fn worker_has_one_thread_with_tls_and_names_to_resolve() -> Result<()> {
    let endpoint = HangingEndpoint::start()?;
    let site = Site::start(Site::builder("").conf("costsim.alertmanager_timeout", "5min"))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    // The greeting of TLS arrives at a receiver that never answers it.
    let tls = endpoint.url().replace("http://127.0.0.1", "https://localhost");
    set(&mut client, "costsim.alertmanager_url", &tls)?;
    let pid = Site::wait_for_request(&mut client)?;
    stays_at_one_thread(&mut client)?;
    every_process_has_one_thread(&mut client)?;
    let took = Site::time_to_end(&mut client, pid)?;
    assert!(took < PROMPT, "{took:?} in the middle of a handshake");

    // Whether the look-up hangs or fails at once is up to the machine.
    set(&mut client, "costsim.alertmanager_url", "https://no-such-host.invalid:9093")?;
    wait_until(LIMIT, "the next worker to take it up", || {
        let taken_up = "SELECT attempts > 0 OR EXISTS (SELECT FROM pg_stat_activity WHERE query = 'costsim: posting alerts')
                          FROM costsim_alert_queue";
        Ok((Site::worker_pid(&mut client)? != pid && one(&mut client, taken_up)?).then_some(()))
    })?;
    stays_at_one_thread(&mut client)?;
    let pid = Site::worker_pid(&mut client)?;
    let took = Site::time_to_end(&mut client, pid)?;
    assert!(took < PROMPT, "{took:?} while it looked for a host");
    Ok(())
}

fn stays_at_one_thread(client: &mut Client) -> Result<()> {
    let mut samples = 0;
    wait_until(LIMIT, "fifty samples", || {
        let pid = Site::worker_pid(client)?;
        if let Ok(count) = thread_count(pid) {
            assert_eq!(count, 1, "sample {samples}");
            samples += 1;
        }
        Ok((samples >= 50).then_some(()))
    })
}

/// Every one of them within the limit; a failure shows them all.
#[track_caller]
fn all_within(limit: Duration, what: &str, times: &[Duration]) {
    assert_eq!(times.len(), ROUNDS, "{what}");
    let longest = times.iter().max().copied().unwrap_or_default();
    assert!(longest < limit, "{what}: up to {longest:?}, of {limit:?} allowed: {times:?}");
}

/// What a thread has come to.
fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow!("it has panicked")))
}

/// What the worker is in the middle of when it is told to end.
#[derive(Clone, Copy, Debug)]
enum Busy {
    Idle,
    Blocked,
    Posting,
    Connecting,
    /// Its alert has been taken, and it cannot write that down.
    Settling,
}

/// Tells the worker to end, again and again: how long each took for it, and how long it was until there was the next.
fn end_again_and_again(busy: Busy) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (hanging, willing, full) =
        (HangingEndpoint::start()?, RecordingEndpoint::start()?, FullPort::open()?);
    let builder = Site::builder("")
        .conf("costsim.alertmanager_timeout", "5min")
        .conf("costsim.alertmanager_connect_timeout", "5min");
    let site = Site::start(builder)?;
    let (mut client, mut keeper) = (site.connect()?, site.connect()?);
    let url = match busy {
        Busy::Idle => willing.url(),
        Busy::Blocked => String::new(),
        Busy::Posting => hanging.url(),
        Busy::Connecting => full.url(),
        Busy::Settling => {
            client.batch_execute(ENQUEUE)?;
            // Whoever reads may, whoever writes waits.
            keeper.batch_execute("BEGIN; LOCK TABLE costsim_alert_queue IN EXCLUSIVE MODE")?;
            willing.url()
        }
    };
    if matches!(busy, Busy::Posting | Busy::Connecting) {
        client.batch_execute(ENQUEUE)?;
    }
    set(&mut client, "costsim.alertmanager_url", &url)?;
    let (mut ends, mut returns, mut worker) = (Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        wait_until(LIMIT, &format!("the worker to be {busy:?}"), || {
            let status = Site::worker_status(&mut client)?;
            let is_there = status.pid.is_some_and(|pid| pid != worker)
                && match busy {
                    Busy::Idle => status.state == "idle",
                    Busy::Blocked => status.state == "blocked",
                    Busy::Posting => hanging.requests().len() > round,
                    Busy::Connecting => status.pid == Some(Site::wait_for_request(&mut client)?),
                    Busy::Settling => willing.requests() > round,
                };
            ensure!(is_there, "{status:?}");
            Ok(Some(()))
        })?;
        if let Busy::Connecting = busy {
            full.wait_for_somebody()?;
        }
        worker = Site::worker_pid(&mut client)?;
        ends.push(Site::time_to_end(&mut client, worker)?);
        let ended_at = Instant::now();
        assert_ne!(Site::worker_pid(&mut client)?, worker);
        returns.push(ended_at.elapsed());
    }
    let has_waited = "SELECT bool_and(status = 'pending') FROM costsim_alert_queue";
    match busy {
        Busy::Idle | Busy::Blocked => {}
        Busy::Posting | Busy::Connecting => {
            assert!(one::<bool>(&mut client, has_waited)?);
            // A request of the old settings holds up those of the new ones for a moment only.
            set(&mut client, "costsim.alertmanager_url", &willing.url())?;
        }
        Busy::Settling => {
            assert!(one::<bool>(&mut client, has_waited)?);
            keeper.batch_execute("COMMIT")?;
        }
    }
    wait_for(&mut client, "all to be sent", "SELECT pending = 0 FROM costsim_alert_queue_stats()")?;
    Ok((ends, returns))
}

#[test]
fn terminated_worker_ends_within_a_second_in_every_state_and_the_next_one_is_there_within_three() -> Result<()>
{
    let states = [Busy::Idle, Busy::Blocked, Busy::Posting, Busy::Connecting, Busy::Settling];
    thread::scope(|scope| {
        let ends = states.map(|busy| (busy, scope.spawn(move || end_again_and_again(busy))));
        for (busy, times) in ends {
            let (ends, returns) = joined(times).with_context(|| format!("{busy:?}"))?;
            all_within(PROMPT, &format!("{busy:?}: the end"), &ends);
            all_within(BACK, &format!("{busy:?}: the return"), &returns);
        }
        Ok(())
    })
}

/// Databases whose workers are all in the middle of a request that lasts for minutes.
struct Crowd {
    cluster: Cluster,
    endpoint: HangingEndpoint,
}

impl Crowd {
    fn new() -> Result<Self> {
        let endpoint = HangingEndpoint::start()?;
        let names: Vec<String> = ["old", "new"].iter().flat_map(|&kind| Self::names(kind)).collect();
        let cluster = Site::builder(&endpoint.url())
            .conf("costsim.alertmanager_timeout", "5min")
            .conf("costsim.databases", &names.join(","))
            .conf("max_worker_processes", "40")
            .conf("autovacuum", "off")
            .start()?;
        drop(cluster.create_database_with_extension("source")?);
        let crowd = Self { cluster, endpoint };
        for name in Self::names("old") {
            crowd.elsewhere("source")?.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE source"))?;
            crowd.cluster.connect(&name)?.batch_execute(ENQUEUE)?;
        }
        crowd.hangs("old")?;
        Ok(crowd)
    }

    fn names(kind: &str) -> impl Iterator<Item = String> {
        (1..=ROUNDS).map(move |number| format!("{kind}_{number}"))
    }

    /// Waits until every worker of these databases is inside a request.
    fn hangs(&self, kind: &str) -> Result<()> {
        let mut client = self.cluster.connect("postgres")?;
        let query = "SELECT count(DISTINCT datname) FROM pg_stat_activity
                      WHERE backend_type = 'costsim worker' AND query = 'costsim: posting alerts' AND datname LIKE $1 || '\\_%'";
        ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
        wait_until(LIMIT, &format!("{ROUNDS} requests"), || {
            let hanging: i64 = client.query_one(query, &[&kind])?.get(0);
            ensure!(
                hanging == ROUNDS as i64,
                "{hanging} hang; {} have arrived",
                self.endpoint.requests().len()
            );
            Ok(Some(()))
        })
    }

    /// A session elsewhere, once those of the test have left a database.
    fn elsewhere(&self, name: &str) -> Result<Client> {
        let mut client = self.cluster.connect("postgres")?;
        let question = format!(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'client backend')"
        );
        wait_for(&mut client, "the sessions of the test to be gone", &question)?;
        Ok(client)
    }

    /// Runs a command that wants to have a worker's database for itself: how long the worker takes to leave. What the command costs by
    /// itself is not the question.
    fn time_to_leave(&self, name: &str, command: &str) -> Result<Duration> {
        let mut client = self.elsewhere(name)?;
        let query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'costsim worker' AND datname = $1";
        let worker: i32 = client.query_one(query, &[&name])?.get(0);
        thread::scope(|scope| {
            let begun_at = Instant::now();
            let command = scope.spawn(move || client.batch_execute(command).context(command.to_owned()));
            wait_until(LIMIT, "the worker to leave", || Ok((!is_running(worker)).then_some(())))?;
            let took = begun_at.elapsed();
            joined(command)?;
            Ok(took)
        })
    }

    /// How long something takes in each of the databases. It is done in several at once, since most of it is waiting.
    fn time_each(
        &self,
        kind: &str,
        time: impl Fn(&Self, &str) -> Result<Duration> + Sync,
    ) -> Result<Vec<Duration>> {
        let names: Vec<String> = Self::names(kind).collect();
        thread::scope(|scope| {
            let lanes: Vec<_> = names
                .chunks(ROUNDS / LANES)
                .map(|names| {
                    let time = &time;
                    scope.spawn(move || names.iter().map(|name| time(self, name)).collect::<Result<Vec<_>>>())
                })
                .collect();
            let times = lanes.into_iter().map(joined).collect::<Result<Vec<_>>>()?;
            Ok(times.concat())
        })
    }
}

#[test]
fn worker_in_mid_request_makes_way_within_two_seconds_for_whoever_wants_its_database() -> Result<()> {
    let _alone = alone();
    let crowd = Crowd::new()?;
    // One after the other: what it costs beside three others is not the question.
    let turn = Mutex::new(());
    let times = crowd.time_each("old", |crowd, name| {
        let mut client = crowd.cluster.connect(name)?;
        let took = {
            let _turn = turn.lock();
            let begun_at = Instant::now();
            client.batch_execute("DROP EXTENSION costsim_pg")?;
            begun_at.elapsed()
        };
        client.batch_execute(&format!("CREATE EXTENSION costsim_pg; {ENQUEUE}"))?;
        Ok(took)
    })?;
    all_within(MAKES_WAY, "DROP EXTENSION", &times);

    crowd.hangs("old")?;
    let times = (0..ROUNDS)
        .map(|_| {
            drop(crowd.cluster.create_database_with_extension("bystander")?);
            let mut client = crowd.elsewhere("bystander")?;
            // It makes one itself, and others have left much to write.
            client.batch_execute("CHECKPOINT")?;
            let begun_at = Instant::now();
            client.batch_execute("DROP DATABASE bystander")?;
            Ok(begun_at.elapsed())
        })
        .collect::<Result<Vec<_>>>()?;
    all_within(PROMPT, "DROP DATABASE of another", &times);

    let times = crowd.time_each("old", |crowd, name| {
        let took = crowd.time_to_leave(name, &format!("CREATE DATABASE copy_of_{name} TEMPLATE {name}"))?;
        crowd.elsewhere(name)?.batch_execute(&format!("DROP DATABASE copy_of_{name}"))?;
        Ok(took)
    })?;
    all_within(MAKES_WAY, "CREATE DATABASE ... TEMPLATE", &times);

    // The workers are back in their databases.
    crowd.hangs("old")?;
    let rename = |name: &str| format!("ALTER DATABASE {name} RENAME TO {}", name.replace("old", "new"));
    let times = crowd.time_each("old", |crowd, name| crowd.time_to_leave(name, &rename(name)))?;
    all_within(MAKES_WAY, "ALTER DATABASE ... RENAME", &times);

    crowd.hangs("new")?;
    let drop_database = |name: &str| format!("DROP DATABASE {name}");
    let times = crowd.time_each("new", |crowd, name| crowd.time_to_leave(name, &drop_database(name)))?;
    all_within(MAKES_WAY, "DROP DATABASE", &times);
    let mut client = crowd.cluster.connect("postgres")?;
    let left = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'costsim worker'";
    wait_until(LIMIT, "the workers to be gone", || Ok((one::<i64>(&mut client, left)? == 0).then_some(())))
}

#[test]
fn extension_dropped_while_the_endpoint_hangs_delivers_again_when_it_is_back() -> Result<()> {
    let endpoint = HangingEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alertmanager_timeout", "3s"))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    endpoint.wait_for_requests(1, LIMIT)?;
    client.batch_execute("DROP EXTENSION costsim_pg")?;
    // When the request has ended there is nothing to settle any more; whoever runs then says what is missing.
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    let alertmanager = Alertmanager::start()?;
    set(&mut client, "costsim.alertmanager_url", &alertmanager.url())?;
    client.batch_execute(ENQUEUE)?;
    wait_until(LIMIT, "the alert", || alertmanager.alert_state(&[("alertname", "a")]))?;
    wait_for(&mut client, "the row to be sent", "SELECT status = 'sent' FROM costsim_alert_queue")
}

#[test]
fn server_shuts_down_at_once_while_the_endpoint_hangs() -> Result<()> {
    let endpoint = HangingEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alertmanager_timeout", "5min"))?;
    site.connect()?.batch_execute(ENQUEUE)?;
    endpoint.wait_for_requests(1, LIMIT)?;
    let took = site.time_to_shut_down()?;
    assert!(took < Duration::from_secs(3), "{took:?}");
    let log = site.cluster.log()?;
    let last = log.lines().last().context("an empty log")?;
    assert!(last.contains("database system is shut down"), "{last}");
    Ok(())
}

#[test]
fn worker_leaves_with_its_postmaster() -> Result<()> {
    use costsim_harness::Signal;
    let endpoint = HangingEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alertmanager_timeout", "5min"))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    endpoint.wait_for_requests(1, LIMIT)?;
    let worker = Site::worker_pid(&mut client)?;
    let launcher: i32 =
        one(&mut client, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'costsim launcher'")?;
    site.cluster.kill_backend(site.cluster.postmaster_pid()?, Signal::KILL)?;
    let killed_at = Instant::now();
    for (name, pid) in [("launcher", launcher), ("worker", worker)] {
        wait_until(Duration::from_secs(5), &format!("the {name} to end"), || {
            Ok((!is_running(pid)).then_some(()))
        })?;
        assert!(killed_at.elapsed() < PROMPT * 2, "{name}: {:?}", killed_at.elapsed());
    }
    Ok(())
}
