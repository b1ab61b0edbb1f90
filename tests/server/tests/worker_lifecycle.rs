//! A worker's life: started by hand or by the launcher, told to end, started again by the server, and what it says while it cannot
//! deliver. And the deliverers of others, which take its place.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Alertmanager, Cluster, HangingEndpoint, RecordingEndpoint, wait_until};
use costsim_server_tests::{LIMIT, Site, is_running, kill_and_reconnect, one, set, sqlstate_of, wait_for};
use fastrand::Rng;
use postgres::{Client, NoTls};
use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a process that was told to end may take for it.
const PROMPT: Duration = Duration::from_secs(1);

/// What whoever wants the worker's own database may have to wait for it to leave.
const MAKES_WAY: Duration = Duration::from_secs(2);

/// How soon there is another worker after one has ended that was not told to by its own function.
const BACK: Duration = Duration::from_secs(3);

const START: &str = "SELECT costsim_worker_start()";
const STOP: &str = "SELECT costsim_worker_stop()";

/// A server that has not been prepared for any worker, with a database `app`.
fn unprepared(url: &str) -> Result<Site> {
    let builder = Site::builder(url)
        .preload(false)
        .conf("costsim.databases", "")
        .conf("costsim.alertmanager_timeout", "5min")
        .conf("autovacuum", "off");
    let site = Site { cluster: builder.start()? };
    site.cluster.create_database_with_extension("app")?;
    Ok(site)
}

fn enqueue(client: &mut Client, name: &str) -> Result<()> {
    let query = "SELECT costsim_enqueue_alert(jsonb_build_array(jsonb_build_object('labels', jsonb_build_object('alertname', $1::text))), 'test')";
    client.execute(query, &[&name])?;
    Ok(())
}

/// Queues an alert, and waits until Alertmanager has it and the row says so.
fn delivers(client: &mut Client, alertmanager: &Alertmanager, name: &str) -> Result<()> {
    enqueue(client, name)?;
    arrives(client, alertmanager, name)
}

fn arrives(client: &mut Client, alertmanager: &Alertmanager, name: &str) -> Result<()> {
    wait_until(LIMIT, &format!("alert {name}"), || alertmanager.alert_state(&[("alertname", name)]))?;
    wait_for(client, "the rows to be sent", "SELECT pending = 0 FROM costsim_alert_queue_stats()")
}

/// How many workers the session's database has.
fn workers(client: &mut Client) -> Result<i64> {
    one(
        client,
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'costsim worker' AND datname = current_database()",
    )
}

/// How the server refuses a statement: SQLSTATE, message and advice.
fn refusal(client: &mut Client, statement: &str) -> Result<(String, String, String)> {
    let error = client.simple_query(statement).err().with_context(|| format!("no error: {statement}"))?;
    let said =
        error.as_db_error().with_context(|| format!("no answer of the server to {statement}: {error}"))?;
    let advice = said.hint().with_context(|| format!("no advice: {said}"))?;
    Ok((said.code().code().to_owned(), said.message().to_owned(), advice.to_owned()))
}

/// Waits until the worker is blocked and its trouble holds all these words.
fn wait_for_trouble(client: &mut Client, words: &[&str]) -> Result<String> {
    wait_until(LIMIT, &format!("the worker to tell of {words:?}"), || {
        let status = Site::worker_status(client)?;
        ensure!(status.state == "blocked", "{status:?}");
        let trouble = status.trouble.context("no trouble is told")?;
        ensure!(words.iter().all(|word| trouble.contains(word)), "it says: {trouble}");
        Ok(Some(trouble))
    })
}

// ---------------------------------------------------------------------------------------------------------------------
// By hand, on a server that was not prepared for it

#[test]
fn worker_started_by_hand_delivers_and_ends_for_good_when_it_is_stopped() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = unprepared(&alertmanager.url())?;
    let mut client = site.connect()?;
    enqueue(&mut client, "Before")?;
    assert!(one::<bool>(&mut client, START)?);
    arrives(&mut client, &alertmanager, "Before")?;
    assert!(!one::<bool>(&mut client, START)?, "one runs");
    // It polls once an hour: a commit of any session wakes it.
    let mut other = site.connect()?;
    for name in ["One", "Two", "Three"] {
        let status = Site::wait_for_state(&mut client, "idle")?;
        assert_eq!((status.pid, status.trouble), (Some(Site::worker_pid(&mut client)?), None));
        delivers(&mut other, &alertmanager, name)?;
    }
    let poll: i32 =
        one(&mut client, "SELECT setting::int FROM pg_settings WHERE name = 'costsim.worker_poll_interval'")?;
    assert_eq!(poll, 3_600, "nothing else would have woken it");

    let worker = Site::worker_pid(&mut client)?;
    assert!(one::<bool>(&mut client, STOP)?);
    assert!(!is_running(worker), "it answers when the worker has gone");
    assert!(!one::<bool>(&mut client, STOP)?, "none runs");
    // One that was ended otherwise comes back. By then this one would be back too.
    let mut elsewhere = site.cluster.create_database_with_extension("elsewhere")?;
    assert!(one::<bool>(&mut elsewhere, START)?);
    let ended = Site::worker_pid(&mut elsewhere)?;
    Site::time_to_end(&mut elsewhere, ended)?;
    Site::worker_pid(&mut elsewhere)?;
    assert_eq!(workers(&mut client)?, 0);
    enqueue(&mut client, "Stopped")?;
    let status = Site::worker_status(&mut client)?;
    assert_eq!((status.pid, status.state.as_str()), (None, "not preloaded"));
    assert_eq!(one::<i64>(&mut client, "SELECT pending FROM costsim_alert_queue_stats()")?, 1);

    assert!(one::<bool>(&mut client, START)?);
    arrives(&mut client, &alertmanager, "Stopped")
}

#[test]
fn worker_is_stopped_in_the_middle_of_a_request() -> Result<()> {
    let endpoint = HangingEndpoint::start()?;
    let site = unprepared(&endpoint.url())?;
    let mut client = site.connect()?;
    for requests in 1..=3 {
        assert!(one::<bool>(&mut client, START)?);
        enqueue(&mut client, "a")?;
        endpoint.wait_for_requests(requests, LIMIT)?;
        let worker = Site::wait_for_request(&mut client)?;
        let told_at = Instant::now();
        assert!(one::<bool>(&mut client, STOP)?);
        assert!(told_at.elapsed() < PROMPT, "{:?}", told_at.elapsed());
        assert!(!is_running(worker));
    }
    let untouched =
        "SELECT bool_and(status = 'pending' AND sent_at IS NULL) AND count(*) = 3 FROM costsim_alert_queue";
    assert!(one::<bool>(&mut client, untouched)?, "what was in flight is still to be sent");
    let alertmanager = Alertmanager::start()?;
    set(&mut client, "costsim.alertmanager_url", &alertmanager.url())?;
    assert!(one::<bool>(&mut client, START)?);
    arrives(&mut client, &alertmanager, "a")
}

#[test]
fn of_sessions_that_start_or_stop_at_once_one_does() -> Result<()> {
    const SESSIONS: usize = 4;
    let site = unprepared("")?;
    let mut client = site.connect()?;
    let mut sessions = (0..SESSIONS).map(|_| site.connect()).collect::<Result<Vec<_>>>()?;
    let mut at_once = |statement: &str| -> Result<usize> {
        let line = Barrier::new(SESSIONS);
        let answers = thread::scope(|scope| {
            let threads: Vec<_> = sessions
                .iter_mut()
                .map(|session| {
                    scope.spawn(|| {
                        line.wait();
                        one::<bool>(session, statement)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Result<Vec<bool>>>()
        })?;
        Ok(answers.into_iter().filter(|&answer| answer).count())
    };
    for round in 0..10 {
        assert_eq!(at_once(START)?, 1, "round {round}: workers started");
        wait_until(LIMIT, "the server to show it", || Ok((workers(&mut client)? > 0).then_some(())))?;
        assert_eq!(workers(&mut client)?, 1, "round {round}");
        assert!(at_once(STOP)? >= 1, "round {round}: nobody has stopped it");
        assert_eq!(workers(&mut client)?, 0, "round {round}");
    }
    Ok(())
}

#[test]
fn start_without_a_free_slot_is_refused_with_advice() -> Result<()> {
    // One slot goes to the server's own logical replication.
    let cluster = Site::builder("")
        .preload(false)
        .conf("costsim.databases", "")
        .conf("max_worker_processes", "2")
        .start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    let mut other = cluster.create_database_with_extension("other")?;
    assert!(one::<bool>(&mut client, START)?);
    for _ in 0..3 {
        let (code, message, advice) = refusal(&mut other, START)?;
        assert_eq!(code, "53400", "{message}");
        assert!(advice.contains("max_worker_processes"), "{advice}");
    }
    assert!(!one::<bool>(&mut client, START)?, "the one that runs is not disturbed");
    assert_eq!(workers(&mut other)?, 0);
    assert!(one::<bool>(&mut client, STOP)?);
    assert!(one::<bool>(&mut other, START)?, "the slot has come free");
    Ok(())
}

#[test]
fn worker_comes_back_by_itself_after_a_signal_and_after_a_crash() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = unprepared(&alertmanager.url())?;
    let mut client = site.connect()?;
    assert!(one::<bool>(&mut client, START)?);
    for round in ["One", "Two", "Three"] {
        let worker = Site::worker_pid(&mut client)?;
        Site::time_to_end(&mut client, worker)?;
        let ended_at = Instant::now();
        let heir = Site::worker_pid(&mut client)?;
        assert_ne!(heir, worker);
        assert!(ended_at.elapsed() < BACK, "round {round}: {:?}", ended_at.elapsed());
        delivers(&mut client, &alertmanager, round)?;
    }
    assert!(!one::<bool>(&mut client, START)?, "it counts as the one that was started");

    let worker = Site::worker_pid(&mut client)?;
    let mut client = kill_and_reconnect(&site.cluster, worker, &mut client, "app")?;
    // How long the server takes to recover is not the question.
    let back_at = Instant::now();
    Site::worker_pid(&mut client)?;
    assert!(back_at.elapsed() < BACK, "{:?}", back_at.elapsed());
    delivers(&mut client, &alertmanager, "AfterTheCrash")?;
    assert!(one::<bool>(&mut client, STOP)?, "it is the one that was started");
    Ok(())
}

#[test]
fn worker_of_a_dropped_database_leaves_its_slot() -> Result<()> {
    let cluster = Site::builder("")
        .preload(false)
        .conf("costsim.databases", "")
        .conf("max_worker_processes", "2")
        .start()?;
    let mut stays = cluster.create_database_with_extension("stays")?;
    for round in 0..3 {
        let mut client = cluster.create_database_with_extension("goes")?;
        // The slot of the one before comes free with its end, or a moment later.
        wait_until(LIMIT, "the slot", || Ok(one::<bool>(&mut client, START).ok()))?;
        drop(client);
        wait_for(
            &mut stays,
            "the session to be gone",
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'goes' AND backend_type = 'client backend')",
        )?;
        stays.batch_execute("DROP DATABASE goes").with_context(|| format!("round {round}"))?;
    }
    wait_until(LIMIT, "the slot", || Ok(one::<bool>(&mut stays, START).ok()))?;
    Ok(())
}

/// A server on which the worker of `app`, started by hand, has run into an error, and the session that saw it.
fn failed(url: &str) -> Result<(Site, Client)> {
    let site = unprepared(url)?;
    let mut client = site.connect()?;
    enqueue(&mut client, "a")?;
    client.batch_execute("ALTER TABLE costsim_alerts RENAME TO hidden")?;
    assert!(one::<bool>(&mut client, START)?);
    wait_until(LIMIT, "the worker to tell of it", || {
        let status = Site::worker_status(&mut client)?;
        let tells = status.trouble.as_ref().is_some_and(|trouble| trouble.contains("costsim_alerts"));
        ensure!(tells, "{status:?}");
        Ok(Some(()))
    })?;
    Ok((site, client))
}

#[test]
fn worker_that_has_failed_is_stopped_and_started_anew() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let (_site, mut client) = failed(&alertmanager.url())?;
    let told_at = Instant::now();
    assert!(one::<bool>(&mut client, STOP)?);
    assert!(told_at.elapsed() < PROMPT, "{:?}", told_at.elapsed());
    assert_eq!(workers(&mut client)?, 0);
    client.batch_execute("ALTER TABLE hidden RENAME TO costsim_alerts")?;
    assert!(one::<bool>(&mut client, START)?);
    arrives(&mut client, &alertmanager, "a")
}

#[test]
fn worker_that_has_failed_ends_when_it_is_terminated_and_makes_way_for_whoever_wants_its_database()
-> Result<()> {
    let (site, mut client) = failed("http://127.0.0.1:1")?;
    let worker = Site::worker_pid(&mut client)?;
    let took = Site::time_to_end(&mut client, worker)?;
    assert!(took < PROMPT, "{took:?}");
    Site::worker_pid(&mut client)?;
    drop(client);
    let mut elsewhere = site.cluster.connect("postgres")?;
    wait_for(
        &mut elsewhere,
        "the session to be gone",
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'client backend')",
    )?;
    let begun_at = Instant::now();
    elsewhere.batch_execute("DROP DATABASE app")?;
    assert!(begun_at.elapsed() < MAKES_WAY, "{:?}", begun_at.elapsed());
    Ok(())
}

/// How often a process has gone to sleep so far. The kernel counts each wait that had to be waited for.
fn times_asleep(pid: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(line.context("the kernel does not count")?.trim().parse()?)
}

/// The life of a worker that has nothing to do, until it has looked up so many times more, watched from another database: how many
/// transactions there were in its own one.
fn transactions_of_an_idle_life(site: &Site, watcher: &mut Client, looks: u64) -> Result<i64> {
    const ACCOUNT: &str = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'app'";
    const NOBODY: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'app')";
    // A process settles its account before it leaves the list.
    wait_for(watcher, "everybody to have left", NOBODY)?;
    let before: i64 = one(watcher, ACCOUNT)?;
    ensure!(one::<bool>(&mut site.connect()?, START)?);
    let worker = "SELECT pid, concat_ws(' ', state, query, query_start, state_change, xact_start, backend_xid, backend_xmin)
                    FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'costsim worker' AND query = 'costsim: idle'";
    let see = |watcher: &mut Client| -> Result<Option<(i32, String)>> {
        Ok(watcher.query_opt(worker, &[])?.map(|row| (row.get(0), row.get(1))))
    };
    let (pid, _) = wait_until(LIMIT, "the worker to be idle", || see(watcher))?;
    // A worker that has just begun clears away what is over, one kind of rows after the other, with a nap between two.
    let begun = times_asleep(pid)? + 8;
    wait_until(LIMIT, "the worker to look up", || Ok((times_asleep(pid)? >= begun).then_some(())))?;
    let act = see(watcher)?;
    let mut others = 0;
    wait_until(LIMIT, "the worker to look up more often", || {
        watcher.batch_execute("SELECT pg_current_xact_id()")?;
        others += 1;
        assert_eq!(see(watcher)?, act, "after {others} transactions of others");
        Ok((times_asleep(pid)? >= begun + looks && others >= 300).then_some(()))
    })?;
    ensure!(one::<bool>(&mut site.connect()?, STOP)?);
    wait_for(watcher, "everybody to have left", NOBODY)?;
    Ok(one::<i64>(watcher, ACCOUNT)? - before)
}

#[test]
fn idle_worker_asks_the_database_nothing() -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    let site = unprepared(&endpoint.url())?;
    let mut watcher = site.cluster.connect("postgres")?;
    let short = transactions_of_an_idle_life(&site, &mut watcher, 1)?;
    let long = transactions_of_an_idle_life(&site, &mut watcher, 8)?;
    assert!(short > 0, "a life without any transaction is none");
    // Whether a worker that begins looks once or twice is a matter of who has woken it.
    assert!(long <= short + 2, "{long} transactions in the long life, {short} in the short one");
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// By the launcher

#[test]
fn worker_of_a_named_database_is_the_launchers() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    let worker = Site::worker_pid(&mut client)?;
    assert!(!one::<bool>(&mut client, START)?, "one runs");
    let (code, message, advice) = refusal(&mut client, STOP)?;
    assert_eq!(code, "55000", "{message}");
    assert!(advice.contains("costsim.databases"), "{advice}");
    delivers(&mut client, &alertmanager, "a")?;
    assert_eq!(Site::worker_pid(&mut client)?, worker, "it is the same worker");
    Ok(())
}

#[test]
fn worker_of_a_database_that_is_not_named_is_left_alone_by_the_launcher() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.cluster.create_database_with_extension("unnamed")?;
    site.cluster.create_database_with_extension("named_later")?;
    assert!(one::<bool>(&mut client, START)?);
    delivers(&mut client, &alertmanager, "One")?;
    let worker = Site::worker_pid(&mut client)?;
    let status = Site::wait_for_state(&mut client, "idle")?;
    assert_eq!(status.pid, Some(worker));

    // The launcher compares what should run with what runs, and has done so when it has started another.
    set(&mut client, "costsim.databases", "app, named_later")?;
    Site::worker_pid(&mut site.cluster.connect("named_later")?)?;
    set(&mut client, "costsim.databases", "named_later")?;
    let mut app = site.connect()?;
    wait_until(LIMIT, "another worker to be ended", || Ok((workers(&mut app)? == 0).then_some(())))?;
    delivers(&mut client, &alertmanager, "Two")?;
    assert_eq!(Site::worker_pid(&mut client)?, worker, "it is the same worker");
    assert!(one::<bool>(&mut client, STOP)?);
    assert_eq!(workers(&mut client)?, 0);
    Ok(())
}

#[test]
fn launcher_without_a_free_slot_says_so_and_takes_the_next_that_comes_free() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    // One goes to the server's own logical replication, one to the launcher, one to the worker of app.
    let site = Site::start(Site::builder(&alertmanager.url()).conf("max_worker_processes", "3"))?;
    let mut other = site.cluster.create_database_with_extension("other")?;
    set(&mut other, "costsim.databases", "app, other")?;
    wait_until(LIMIT, "the launcher to try", || {
        let status = Site::worker_status(&mut other)?;
        let trouble = status.trouble.context("no trouble is told")?;
        ensure!(
            status.state == "down" && trouble.contains("max_worker_processes"),
            "{}: {trouble}",
            status.state
        );
        Ok(Some(()))
    })?;
    delivers(&mut site.connect()?, &alertmanager, "OfApp")?;
    enqueue(&mut other, "OfOther")?;
    set(&mut other, "costsim.databases", "other")?;
    arrives(&mut other, &alertmanager, "OfOther")
}

// ---------------------------------------------------------------------------------------------------------------------
// What happens to the extension and the settings meanwhile

#[test]
fn extension_of_another_version_blocks_the_worker_until_it_is_its_own_again() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    let version: String =
        one(&mut client, "SELECT extversion FROM pg_extension WHERE extname = 'costsim_pg'")?;
    client.batch_execute("UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'costsim_pg'")?;
    // It looks again when it is woken, which a reload does, but not at every commit.
    let trouble = wait_until(LIMIT, "the worker to notice", || {
        ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
        let status = Site::worker_status(&mut client)?;
        ensure!(status.state == "blocked", "{status:?}");
        Ok(status.trouble)
    })?;
    for word in ["extension", "9.9", &version] {
        assert!(trouble.contains(word), "{trouble}");
    }
    // No function of it would take the alert either.
    client.batch_execute(
        "INSERT INTO costsim_alert_queue (payload) VALUES ('[{\"labels\": {\"alertname\": \"a\"}}]')",
    )?;
    let has_looked =
        "SELECT last_beat > (SELECT created_at FROM costsim_alert_queue) FROM costsim_worker_status()";
    wait_for(&mut client, "the worker to look", has_looked)?;
    wait_for_trouble(&mut client, &["9.9", &version])?;
    let state: String = one(&mut client, "SELECT concat_ws(' ', status, attempts) FROM costsim_alert_queue")?;
    assert_eq!(state, "pending 0", "what it does not know it does not touch");
    client.execute("UPDATE pg_extension SET extversion = $1 WHERE extname = 'costsim_pg'", &[&version])?;
    delivers(&mut client, &alertmanager, "b")?;
    arrives(&mut client, &alertmanager, "a")
}

#[test]
fn extension_made_anew_elsewhere_while_alerts_are_raised_delivers_on() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    client.batch_execute(
        "CREATE SCHEMA elsewhere; SET lock_timeout = '10 s'; SET search_path = public, elsewhere",
    )?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| -> Result<usize> {
            let mut client = site.connect()?;
            client.batch_execute("SET search_path = public, elsewhere")?;
            let mut raised = 0;
            while !is_over.load(Ordering::Relaxed) {
                // Now and then there is nobody to be asked.
                if enqueue(&mut client, &format!("Busy{}", raised % 10)).is_ok() {
                    raised += 1;
                }
            }
            Ok(raised)
        });
        let outcome = (0..6).try_for_each(|round| {
            let schema = ["elsewhere", "public"][round % 2];
            // The server would drop a table's sequence before the table, and who writes locks them the other way round.
            client
                .batch_execute("BEGIN; LOCK TABLE costsim_alert_queue; DROP EXTENSION costsim_pg; COMMIT")?;
            client.batch_execute(&format!("CREATE EXTENSION costsim_pg SCHEMA {schema}"))?;
            let name = format!("Round{round}");
            enqueue(&mut client, &name)?;
            wait_until(LIMIT, &name, || alertmanager.alert_state(&[("alertname", &name)])).map(drop)
        });
        is_over.store(true, Ordering::Relaxed);
        let raised = busy.join().unwrap()?;
        ensure!(raised > 10, "{raised} alerts are no traffic");
        outcome
    })?;
    wait_for(
        &mut client,
        "all to be sent",
        "SELECT pending = 0 AND failed = 0 FROM costsim_alert_queue_stats()",
    )?;
    Site::wait_for_state(&mut client, "idle")?;
    Ok(())
}

#[test]
fn settings_that_a_reload_brings_block_the_worker_and_let_it_go_on() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    delivers(&mut client, &alertmanager, "First")?;
    let worker = Site::worker_pid(&mut client)?;
    let folder = site.cluster.data_dir().join("certificates");
    let path = folder.to_str().context("the folder's name")?.to_owned();
    let url = alertmanager.url();
    for (name, setting, bad, good) in [
        ("Nonsense", "costsim.alertmanager_url", "nonsense", url.as_str()),
        ("OneOfTwo", "costsim.alertmanager_url", "http://127.0.0.1:1, ftp://127.0.0.1", &url),
        ("Authorities", "costsim.alertmanager_ca_file", &path, ""),
        ("Credentials", "costsim.alertmanager_auth_file", &path, ""),
        ("Proxy", "costsim.alertmanager_proxy", "nonsense://", ""),
    ] {
        set(&mut client, setting, bad)?;
        let trouble = wait_for_trouble(&mut client, &[setting])?;
        if bad == path {
            assert!(trouble.contains(&path), "{trouble}");
        }
        enqueue(&mut client, name)?;
        wait_for_trouble(&mut client, &[setting])?;
        let waits = "SELECT pending = 1 AND failed = 0 FROM costsim_alert_queue_stats()";
        assert!(one::<bool>(&mut client, waits)?, "{setting} = {bad}");
        assert_eq!(alertmanager.alert_state(&[("alertname", name)])?, None);
        set(&mut client, setting, good)?;
        arrives(&mut client, &alertmanager, name)?;
        assert_eq!(Site::wait_for_state(&mut client, "idle")?.trouble, None);
        assert_eq!(Site::worker_pid(&mut client)?, worker, "it is the same worker");
    }
    // And a file that comes to be what it should be, with a reload.
    set(&mut client, "costsim.alertmanager_ca_file", &path)?;
    wait_for_trouble(&mut client, &["costsim.alertmanager_ca_file"])?;
    enqueue(&mut client, "WithAFile")?;
    fs::write(&folder, certificate()?)?;
    ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    arrives(&mut client, &alertmanager, "WithAFile")
}

/// Some certificate of the machine's own.
fn certificate() -> Result<String> {
    let all =
        fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").context("the machine's certificates")?;
    let end = "-----END CERTIFICATE-----\n";
    let length = all.find(end).context("no certificate among them")? + end.len();
    Ok(all[..length].to_owned())
}

#[test]
fn settings_of_the_database_do_not_bind_its_worker() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    site.connect()?.batch_execute(
        "ALTER DATABASE app SET default_transaction_read_only = on;
         ALTER DATABASE app SET default_transaction_isolation = 'serializable';
         ALTER DATABASE app SET search_path = 'nowhere';
         ALTER DATABASE app SET lock_timeout = 1;
         ALTER DATABASE app SET statement_timeout = 1;
         ALTER DATABASE app SET idle_session_timeout = 100;
         ALTER DATABASE app SET session_replication_role = 'replica';
         ALTER DATABASE app SET row_security = off",
    )?;
    let pins = "-c default_transaction_read_only=off -c search_path=public -c lock_timeout=0 -c statement_timeout=0 \
                -c idle_session_timeout=0 -c session_replication_role=origin";
    let mut client = site.cluster.config("app").options(pins).connect(NoTls)?;
    let worker = Site::worker_pid(&mut client)?;
    Site::time_to_end(&mut client, worker)?;
    let heir = Site::worker_pid(&mut client)?;
    delivers(&mut client, &alertmanager, "One")?;
    delivers(&mut client, &alertmanager, "Two")?;
    let breaker = "SELECT costsim_disable_v2('test', 'me', clock_timestamp() + interval '100 ms')";
    client.batch_execute(breaker)?;
    wait_for(&mut client, "the worker to write its end down", "SELECT NOT disabled FROM costsim_cb_state")?;
    assert_eq!(Site::worker_pid(&mut client)?, heir, "it is the same worker");
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// The deliverers of others

#[test]
fn worker_and_external_deliverers_exclude_each_other() -> Result<()> {
    const CLAIM: &str = "SELECT count(*) FROM costsim_claim_alerts('pager', lease => '1 hour')";
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    let (code, message, advice) = refusal(&mut client, CLAIM)?;
    assert_eq!(code, "55000", "{message}");
    assert!(advice.contains("costsim.alertmanager_url"), "{advice}");
    delivers(&mut client, &alertmanager, "ByTheWorker")?;
    assert_eq!(sqlstate_of(&mut client, CLAIM)?, "55000");

    // With nobody to send to it makes room.
    set(&mut client, "costsim.alertmanager_url", "")?;
    wait_until(LIMIT, "the worker to make room", || Ok(one::<i64>(&mut client, CLAIM).ok()))?;
    enqueue(&mut client, "Claimed")?;
    let row = client
        .query_one("SELECT id, claim_token FROM costsim_claim_alerts('pager', lease => '1 hour')", &[])?;
    let (id, token): (i64, i64) = (row.get(0), row.get(1));
    let worker = Site::worker_status(&mut client)?;
    assert_eq!(worker.state, "blocked", "{worker:?}");

    // And comes back. What somebody has claimed stays his until he settles it, or until his time is over.
    set(&mut client, "costsim.alertmanager_url", &alertmanager.url())?;
    enqueue(&mut client, "ByTheWorkerAgain")?;
    wait_until(LIMIT, "the worker's own", || alertmanager.alert_state(&[("alertname", "ByTheWorkerAgain")]))?;
    assert_eq!(sqlstate_of(&mut client, CLAIM)?, "55000");
    assert_eq!(alertmanager.alert_state(&[("alertname", "Claimed")])?, None, "it is somebody else's");
    let settle = format!("SELECT costsim_settle_alert({id}, {token}, false, 503, 'ill')");
    assert!(one::<bool>(&mut client, &settle)?, "a claim of before can be settled");
    arrives(&mut client, &alertmanager, "Claimed")
}

/// What was delivered, and by which claim; which claim's settling counted.
#[derive(Default)]
struct Recorder {
    arrived: HashMap<i64, Vec<i64>>,
    settled: HashMap<i64, Vec<i64>>,
    crashes: usize,
    lost: usize,
}

#[test]
fn eight_deliverers_that_crash_deliver_everything_and_settle_nothing_twice() -> Result<()> {
    const QUEUED: i64 = 1_600;
    const FIRED: i64 = 400;
    let builder = Cluster::builder()
        .conf("costsim.alert_max_backoff", "1s")
        .conf("costsim.alert_resend_interval", "1h");
    let cluster = builder.start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute(&format!(
        "SELECT costsim_enqueue_alert(jsonb_build_array(jsonb_build_object('labels', jsonb_build_object('n', n::text))), 'test')
           FROM generate_series(1, {QUEUED}) n;
         SELECT costsim_fire_alert(jsonb_build_object('n', n::text)) FROM generate_series(1, {FIRED}) n"
    ))?;
    let recorder = Mutex::new(Recorder::default());
    thread::scope(|scope| {
        let deliverers: Vec<_> = (1..=8)
            .map(|number| {
                scope.spawn({
                    let (cluster, recorder) = (&cluster, &recorder);
                    move || deliver(cluster, number, recorder)
                })
            })
            .collect();
        deliverers.into_iter().try_for_each(|deliverer| deliverer.join().unwrap())
    })?;

    let is_done = "SELECT pending = 0 AND failed = 0 AND unsent = 0 FROM costsim_alert_queue_stats()";
    assert!(one::<bool>(&mut client, is_done)?, "all is sent");
    let recorder = recorder.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ids: Vec<i64> = client
        .query("SELECT id FROM costsim_alert_queue UNION ALL SELECT id FROM costsim_alerts", &[])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(ids.len() as i64, QUEUED + FIRED);
    for id in ids {
        let arrived = recorder.arrived.get(&id).with_context(|| format!("alert {id} has not arrived"))?;
        let settled = recorder.settled.get(&id).with_context(|| format!("nobody has settled alert {id}"))?;
        assert_eq!(settled.len(), 1, "alert {id} was settled by {settled:?}");
        assert!(arrived.contains(&settled[0]), "alert {id} was settled by a claim that has not delivered it");
    }
    assert!(
        recorder.crashes > 20 && recorder.lost > 20,
        "{} crashes, {} claims lost",
        recorder.crashes,
        recorder.lost
    );
    Ok(())
}

/// One deliverer: claims, delivers, settles, until everything is sent. Now and then it loses its connection at any point, or comes too
/// late with what it settles.
fn deliver(cluster: &Cluster, number: u64, recorder: &Mutex<Recorder>) -> Result<()> {
    let mut rng = Rng::with_seed(number);
    let name = format!("deliverer {number}");
    let mut late: Vec<(i64, i64)> = Vec::new();
    let mut client = cluster.connect("app")?;
    let begun_at = Instant::now();
    loop {
        ensure!(begun_at.elapsed() < LIMIT * 3, "it takes too long");
        let claim = "SELECT id, claim_token FROM costsim_claim_alerts($1, $2, '200 ms')";
        let rows = client.query(claim, &[&name, &rng.i32(1..60)])?;
        let claimed: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        if claimed.is_empty() && late.is_empty() {
            let is_done = "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()";
            if one::<bool>(&mut client, is_done)? {
                return Ok(());
            }
            continue;
        }
        // The longer it waited, the more likely another has claimed it meanwhile.
        if rng.u8(..4) == 0 || claimed.is_empty() {
            for (id, token) in late.drain(..) {
                settle(&mut client, recorder, id, token, true)?;
            }
        }
        for (id, token) in claimed {
            let fate = rng.u8(..40);
            if fate == 0 {
                // It dies before it has delivered anything more, and knows of nothing when it is back.
                client = crash(cluster, recorder)?;
                break;
            }
            if fate == 1 {
                settle(&mut client, recorder, id, token, false)?;
                continue;
            }
            lock(recorder).arrived.entry(id).or_default().push(token);
            match fate {
                2 => {
                    client = crash(cluster, recorder)?;
                    break;
                }
                3 => {
                    // Its commit was never sent.
                    let settle = format!("BEGIN; SELECT costsim_settle_alert({id}, {token}, true, 200)");
                    client.batch_execute(&settle)?;
                    client = crash(cluster, recorder)?;
                    break;
                }
                4..8 => late.push((id, token)),
                _ => settle(&mut client, recorder, id, token, true)?,
            }
        }
    }
}

fn settle(
    client: &mut Client,
    recorder: &Mutex<Recorder>,
    id: i64,
    token: i64,
    has_arrived: bool,
) -> Result<()> {
    let code = if has_arrived { 200 } else { 503 };
    let query = "SELECT costsim_settle_alert($1, $2, $3, $4, CASE WHEN NOT $3 THEN 'ill' END)";
    let counts: bool = client.query_one(query, &[&id, &token, &has_arrived, &code])?.get(0);
    let mut recorder = lock(recorder);
    if !counts {
        recorder.lost += 1;
    } else if has_arrived {
        recorder.settled.entry(id).or_default().push(token);
    }
    Ok(())
}

/// The connection is gone without a word, whatever it had begun; the next one begins anew.
fn crash(cluster: &Cluster, recorder: &Mutex<Recorder>) -> Result<Client> {
    lock(recorder).crashes += 1;
    cluster.connect("app")
}

fn lock(recorder: &Mutex<Recorder>) -> std::sync::MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}
