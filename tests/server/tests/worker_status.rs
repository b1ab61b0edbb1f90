//! Why nothing is delivered: the status says so, and everything else works.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Alertmanager, Cluster, RecordingEndpoint, ScriptedEndpoint, wait_until};
use costsim_server_tests::{LIMIT, Site, is_running, one, set, sqlstate_of, wait_for};
use postgres::Client;
use std::thread;
use std::time::{Duration, Instant};

const ENQUEUE: &str = r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#;

/// Every room does its work in this database, and the outbox keeps what it cannot deliver.
fn everything_but_delivery_works(client: &mut Client) -> Result<()> {
    assert!(one::<bool>(client, "SELECT costsim_try_leader(7001)")?);
    assert!(one::<bool>(client, "SELECT costsim_is_leader(7001)")?);
    assert!(one::<bool>(client, "SELECT costsim_release_leader(7001)")?);
    assert!(one::<bool>(client, "SELECT changed FROM costsim_disable_v2('test', 'me')")?);
    assert!(one::<bool>(client, "SELECT costsim_is_open()")?);
    assert!(one::<bool>(client, "SELECT costsim_enable_v2('me')")?);
    client.batch_execute(ENQUEUE)?;
    client.batch_execute(r#"SELECT costsim_fire_alert('{"alertname": "b"}')"#)?;
    client.batch_execute("SELECT costsim_write_provenance('run', v1_cost => 1, v2_cost => 2)")?;
    assert_eq!(one::<i64>(client, "SELECT total FROM costsim_drift_stats()")?, 1);
    stays_pending(client)
}

fn stays_pending(client: &mut Client) -> Result<()> {
    assert_eq!(one::<i64>(client, "SELECT pending FROM costsim_alert_queue_stats()")?, 1);
    assert_eq!(one::<i32>(client, "SELECT attempts FROM costsim_alert_queue")?, 0);
    Ok(())
}

/// The status of a database without a worker: its state and what is missing.
fn missing(client: &mut Client) -> Result<(String, String)> {
    let status = Site::worker_status(client)?;
    assert_eq!(status.pid, None);
    Ok((status.state, status.trouble.context("no trouble is told")?))
}

#[test]
fn server_without_preload_does_everything_but_deliver_and_says_so() -> Result<()> {
    let cluster = Cluster::builder()
        .conf("costsim.databases", "app")
        .conf("costsim.alertmanager_url", "http://127.0.0.1:1")
        .start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    everything_but_delivery_works(&mut client)?;
    let (state, trouble) = missing(&mut client)?;
    assert_eq!(state, "not preloaded");
    assert!(trouble.contains("shared_preload_libraries"), "{trouble}");
    Ok(())
}

#[test]
fn database_that_is_not_named_does_everything_but_deliver_and_says_so() -> Result<()> {
    let cluster =
        Cluster::builder().preload(true).conf("costsim.alertmanager_url", "http://127.0.0.1:1").start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    everything_but_delivery_works(&mut client)?;
    let (state, trouble) = missing(&mut client)?;
    assert_eq!(state, "not configured");
    assert!(trouble.contains("costsim.databases"), "{trouble}");

    set(&mut client, "costsim.databases", "app")?;
    Site::wait_for_state(&mut client, "blocked")?;
    let worker = Site::worker_pid(&mut client)?;
    // And not named any more.
    set(&mut client, "costsim.databases", "")?;
    wait_until(LIMIT, "the worker to end", || Ok((!is_running(worker)).then_some(())))?;
    assert_eq!(missing(&mut client)?.0, "not configured");
    Ok(())
}

#[test]
fn server_without_a_free_worker_slot_does_everything_but_deliver_and_says_so() -> Result<()> {
    // One slot goes to the server's own logical replication, one to the launcher.
    let site = Site::builder("http://127.0.0.1:1").conf("max_worker_processes", "2").start()?;
    let mut client = site.create_database_with_extension("app")?;
    everything_but_delivery_works(&mut client)?;
    ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    wait_until(LIMIT, "the launcher to try", || {
        let (state, trouble) = missing(&mut client)?;
        ensure!(state == "down" && trouble.contains("max_worker_processes"), "{state}: {trouble}");
        Ok(Some(()))
    })?;
    stays_pending(&mut client)
}

#[test]
fn server_without_a_slot_for_the_launcher_says_so_too() -> Result<()> {
    let cluster = Site::builder("http://127.0.0.1:1").conf("max_worker_processes", "1").start()?;
    let mut client = cluster.create_database_with_extension("app")?;
    everything_but_delivery_works(&mut client)?;
    let launchers: i64 =
        one(&mut client, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'costsim launcher'")?;
    assert_eq!(launchers, 0, "the server let it start after all");
    let (_, trouble) = missing(&mut client)?;
    assert!(trouble.contains("max_worker_processes"), "{trouble}");
    Ok(())
}

#[test]
fn empty_url_keeps_everything_pending_until_there_is_one() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(""))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    let status = Site::wait_for_state(&mut client, "blocked")?;
    let trouble = status.trouble.context("no trouble is told")?;
    assert!(trouble.contains("costsim.alertmanager_url"), "{trouble}");
    stays_pending(&mut client)?;
    set(&mut client, "costsim.alertmanager_url", &alertmanager.url())?;
    wait_for(&mut client, "the row to be sent", "SELECT status = 'sent' FROM costsim_alert_queue")?;
    let status = Site::wait_for_state(&mut client, "idle")?;
    assert_eq!(status.trouble, None);
    Ok(())
}

#[test]
fn url_that_is_none_blocks_and_shows_no_secret() -> Result<()> {
    let receiver = ScriptedEndpoint::start([200.into()])?;
    let site = Site::start(Site::builder(""))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    let address = receiver.url().replace("http://", "");
    for url in [
        format!("ftp://{address}"),
        format!("http://admin:s3cret@{address}"),
        format!("http://{address}/?token=s3cret"),
        "s3cret".into(),
        format!("http://{address}:s3cret"),
        "http://".into(),
    ] {
        set(&mut client, "costsim.alertmanager_url", &url)?;
        let trouble = wait_until(LIMIT, "the worker to tell of it", || {
            let status = Site::worker_status(&mut client)?;
            let trouble = status.trouble.context("no trouble is told")?;
            // The first one stands until the reload has arrived.
            Ok((status.state == "blocked" && !trouble.contains("empty")).then_some(trouble))
        })?;
        assert!(!trouble.contains("s3cret"), "{trouble}");
        assert!(trouble.contains("costsim.alertmanager_url"), "{trouble}");
        let stats: String = one(&mut client, "SELECT costsim_alert_queue_stats()::text")?;
        assert!(!stats.contains("s3cret"), "{stats}");
        stays_pending(&mut client)?;
    }
    assert!(receiver.requests().is_empty());
    client.batch_execute("CREATE ROLE somebody; SET ROLE somebody")?;
    assert_eq!(sqlstate_of(&mut client, "SHOW costsim.alertmanager_url")?, "42501");
    Ok(())
}

#[test]
fn database_that_is_created_later_gets_its_worker_without_a_reload() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let cluster = Site::builder(&alertmanager.url()).start()?;
    let mut watcher = cluster.create_database_with_extension("watcher")?;
    let state = "SELECT state FROM costsim_worker_status() WHERE database = 'app'";
    wait_until(LIMIT, "the launcher to miss it", || {
        Ok((one::<String>(&mut watcher, state)? == "down").then_some(()))
    })?;
    let trouble: String = one(&mut watcher, &state.replace("state", "trouble"))?;
    assert!(trouble.contains("does not exist"), "{trouble}");

    let mut client = cluster.create_database_with_extension("app")?;
    client.batch_execute(ENQUEUE)?;
    // It looks again once a minute.
    wait_until(Duration::from_secs(75), "the alert", || alertmanager.alert_state(&[("alertname", "a")]))?;
    Ok(())
}

#[test]
fn extension_that_is_created_later_delivers() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let cluster = Site::builder(&alertmanager.url()).start()?;
    cluster.connect("postgres")?.batch_execute("CREATE DATABASE app")?;
    let mut client = cluster.connect("app")?;
    ensure!(one::<bool>(&mut client, "SELECT pg_reload_conf()")?);
    let worker = Site::worker_pid(&mut client)?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    let status = Site::worker_status(&mut client)?;
    assert_eq!((status.pid, status.state.as_str()), (Some(worker), "blocked"));
    let trouble = status.trouble.context("no trouble is told")?;
    assert!(trouble.contains("not installed"), "{trouble}");
    client.batch_execute(ENQUEUE)?;
    wait_until(LIMIT, "the alert", || alertmanager.alert_state(&[("alertname", "a")]))?;
    assert_eq!(Site::worker_pid(&mut client)?, worker, "it is the same worker");
    Ok(())
}

#[test]
fn extension_can_be_dropped_under_an_idle_worker_which_stays_calm() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    let worker = Site::worker_pid(&mut client)?;
    let lines = site.lines_of_workers()?.len();
    for round in ["first", "second", "third"] {
        client.batch_execute(&ENQUEUE.replace("\"a\"", &format!("\"{round}\"")))?;
        wait_until(LIMIT, "the alert", || alertmanager.alert_state(&[("alertname", round)]))?;
        Site::wait_for_state(&mut client, "idle")?;
        wait_for(&mut client, "the row to be sent", "SELECT status = 'sent' FROM costsim_alert_queue")?;
        assert_eq!(Site::worker_pid(&mut client)?, worker, "it is the same worker");
        client.batch_execute(
            "SET lock_timeout = '2s'; DROP EXTENSION costsim_pg; CREATE EXTENSION costsim_pg",
        )?;
    }
    let new_lines = site.lines_of_workers()?.split_off(lines);
    assert!(new_lines.is_empty(), "{new_lines:#?}");
    Ok(())
}

#[test]
fn fault_that_is_mended_is_over_with_the_next_worker() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&alertmanager.url()))?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "idle")?;
    // Whoever looks for work finds no table any more.
    client.batch_execute("ALTER TABLE costsim_alerts RENAME TO hidden")?;
    client.batch_execute(ENQUEUE)?;
    let begun_at = Instant::now();
    wait_until(LIMIT, "three workers to have failed", || {
        let log = site.cluster.log()?;
        let errors =
            log.lines().filter(|line| line.contains("ERROR") && line.contains("costsim_alerts")).count();
        ensure!(errors >= 3, "{errors} have failed");
        Ok(Some(()))
    })?;
    // The pauses between them grow.
    assert!(begun_at.elapsed() > Duration::from_millis(2_500), "{:?}", begun_at.elapsed());
    let status = Site::wait_for_state(&mut client, "down")?;
    let trouble = status.trouble.context("no trouble is told")?;
    assert!(trouble.contains("costsim_alerts"), "{trouble}");
    client.batch_execute("ALTER TABLE hidden RENAME TO costsim_alerts")?;
    wait_until(LIMIT, "the alert", || alertmanager.alert_state(&[("alertname", "a")]))?;
    Ok(())
}

/// What keeps alerts from arriving.
#[derive(Clone, Copy, Debug)]
enum Fault {
    NobodyListens,
    ReceiverIsIll,
    /// Well and ill by turns.
    ReceiverFlaps,
    CredentialsAreOpenToAll,
    TableIsGone,
    /// The same under a worker that nobody but the server itself looks after.
    TableIsGoneByHand,
}

/// Lets a fault last for a minute in which alerts are raised all the time; at no moment are there more lines than it may write.
fn stays_quiet(fault: Fault) -> Result<()> {
    const MOST_LINES: usize = 10;
    let mut is_well = false;
    let endpoint = RecordingEndpoint::answering(move |_| {
        is_well = matches!(fault, Fault::ReceiverFlaps) && !is_well;
        if is_well { 200.into() } else { 503.into() }
    })?;
    let url = match fault {
        Fault::NobodyListens => "http://127.0.0.1:1".to_owned(),
        _ => endpoint.url(),
    };
    let mut builder = Site::builder(&url);
    if let Fault::CredentialsAreOpenToAll = fault {
        builder = builder.conf("costsim.alertmanager_auth_file", "/etc/passwd");
    }
    let site = if let Fault::TableIsGoneByHand = fault {
        let site = Site { cluster: builder.preload(false).conf("costsim.databases", "").start()? };
        let mut client = site.cluster.create_database_with_extension("app")?;
        ensure!(one::<bool>(&mut client, "SELECT costsim_worker_start()")?);
        site
    } else {
        Site::start(builder)?
    };
    let mut client = site.connect()?;
    Site::worker_pid(&mut client)?;
    let lines = site.lines_of_workers()?.len();
    let (begun_at, mut rounds) = (Instant::now(), 0);
    if let Fault::TableIsGone | Fault::TableIsGoneByHand = fault {
        client.batch_execute("ALTER TABLE costsim_alerts RENAME TO hidden")?;
    }
    wait_until(Duration::from_secs(90), "a minute", || {
        if rounds % 20 == 0 {
            client.batch_execute(ENQUEUE)?;
        }
        if rounds % 200 == 0 {
            client.batch_execute("SELECT pg_reload_conf()")?;
        }
        rounds += 1;
        let new_lines = site.lines_of_workers()?.split_off(lines);
        assert!(new_lines.len() <= MOST_LINES, "{fault:?}, after {:?}: {new_lines:#?}", begun_at.elapsed());
        Ok((begun_at.elapsed() >= Duration::from_secs(60)).then_some(()))
    })?;
    // It has been there all the time.
    match fault {
        Fault::ReceiverFlaps => assert!(endpoint.requests() > 20, "{} requests", endpoint.requests()),
        Fault::NobodyListens | Fault::ReceiverIsIll => {
            let failures: i32 = one(&mut client, "SELECT failures FROM costsim_alert_targets")?;
            assert!(failures > 20, "{failures} failures");
        }
        Fault::CredentialsAreOpenToAll | Fault::TableIsGone | Fault::TableIsGoneByHand => {
            let status = Site::worker_status(&mut client)?;
            assert!(status.trouble.is_some(), "{status:?}");
            assert_eq!(endpoint.requests(), 0);
        }
    }
    Ok(())
}

#[test]
fn fault_that_lasts_writes_at_most_ten_lines_a_minute() -> Result<()> {
    let faults = [
        Fault::NobodyListens,
        Fault::ReceiverIsIll,
        Fault::ReceiverFlaps,
        Fault::CredentialsAreOpenToAll,
        Fault::TableIsGone,
        Fault::TableIsGoneByHand,
    ];
    thread::scope(|scope| {
        let outcomes = faults.map(|fault| (fault, scope.spawn(move || stays_quiet(fault))));
        outcomes.into_iter().try_for_each(|(fault, outcome)| {
            outcome
                .join()
                .unwrap_or_else(|_| Err(anyhow!("too much is said")))
                .with_context(|| format!("{fault:?}"))
        })
    })
}

#[test]
fn dropped_database_takes_its_worker_with_it() -> Result<()> {
    let site = Site::start(Site::builder("http://127.0.0.1:1"))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    let worker = Site::worker_pid(&mut client)?;
    drop(client);
    let mut elsewhere = site.cluster.create_database_with_extension("elsewhere")?;
    wait_for(
        &mut elsewhere,
        "the sessions to be gone",
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'client backend')",
    )?;
    elsewhere.batch_execute("DROP DATABASE app WITH (FORCE)")?;
    assert!(!is_running(worker));
    wait_until(LIMIT, "the launcher to see it", || {
        let trouble: Option<String> =
            one(&mut elsewhere, "SELECT trouble FROM costsim_worker_status() WHERE database = 'app'")?;
        Ok(trouble.is_some_and(|trouble| trouble.contains("does not exist")).then_some(()))
    })
}
