//! The receiver takes a request and never answers: the worker holds nothing, hinders nobody and leaves when told.

use anyhow::{Context, Result};
use costsim_harness::{Alertmanager, HangingEndpoint, proc::thread_count, wait_until};
use costsim_server_tests::{LIMIT, Shared, Site, one, set, wait_for};
use postgres::Client;
use std::fs;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

const ENQUEUE: &str = r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test')"#;
const FIRE: &str = r#"SELECT costsim_fire_alert('{"alertname": "b"}')"#;

/// What a process that was told to end may take for it.
const PROMPT: Duration = Duration::from_secs(1);

/// Fields end in this order: the server first.
struct Hang {
    site: Site,
    endpoint: HangingEndpoint,
}

static HANG: Shared<Hang> = Shared::new();

/// The file's server, whose worker is in the middle of a request that lasts for minutes.
fn hang() -> Result<(Arc<Hang>, Client)> {
    let hang = HANG.get(|| {
        let endpoint = HangingEndpoint::start()?;
        let builder = Site::builder(&endpoint.url())
            .conf("costsim.alertmanager_timeout", "5min")
            .conf("costsim.databases", "app");
        let site = Site::start(builder)?;
        site.connect()?.batch_execute(&format!("{ENQUEUE}; {FIRE}"))?;
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
                        (SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid AND l.objsubid IS DISTINCT FROM 4)
                   FROM pg_stat_activity a WHERE pid = $1 AND backend_type = 'costsim worker'";
    // The one lock it may hold, objsubid 4, makes it the only worker of its database; nobody waits for it.
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
fn drop_database_of_another_database_does_not_wait_for_the_request() -> Result<()> {
    let (hang, mut client) = hang()?;
    Site::wait_for_request(&mut client)?;
    drop(hang.site.cluster.create_database_with_extension("other")?);
    wait_for(
        &mut client,
        "the other database's sessions to be gone",
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'other')",
    )?;
    let started = Instant::now();
    client.batch_execute("DROP DATABASE other")?;
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
    assert_eq!(hang.endpoint.requests().len(), 1, "the request hangs on");
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
    wait_for(
        &mut client,
        "the next worker to take it up",
        "SELECT attempts > 0 OR claimed_until > clock_timestamp() + '5 min' FROM costsim_alert_queue",
    )?;
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

/// A port that takes no more connections: whoever asks for one waits for an answer to its first packet.
struct FullPort {
    port: u16,
    _runtime: Runtime,
    _listener: tokio::net::TcpListener,
    _waiting: Vec<TcpStream>,
}

impl FullPort {
    fn open() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let listener = {
            let _inside = runtime.enter();
            let socket = TcpSocket::new_v4()?;
            socket.bind("127.0.0.1:0".parse()?)?;
            socket.listen(1)?
        };
        let address = listener.local_addr()?;
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            waiting.push(stream);
        }
        Ok(Self { port: address.port(), _runtime: runtime, _listener: listener, _waiting: waiting })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Waits until somebody is half-way to a connection. State 02 of the kernel's list is SYN_SENT.
    fn wait_for_somebody(&self) -> Result<()> {
        let wanted = format!("0100007F:{:04X} 02", self.port);
        wait_until(LIMIT, "a connection half-way", || {
            Ok(fs::read_to_string("/proc/net/tcp")?.contains(&wanted).then_some(()))
        })
    }
}

#[test]
fn terminated_worker_ends_within_a_second_in_every_state_and_the_next_one_goes_on() -> Result<()> {
    let endpoint = HangingEndpoint::start()?;
    let full = FullPort::open()?;
    let alertmanager = Alertmanager::start()?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alertmanager_timeout", "5min"))?;
    let mut client = site.connect()?;

    Site::wait_for_state(&mut client, "idle")?;
    let idle = Site::worker_pid(&mut client)?;
    let took = Site::time_to_end(&mut client, idle)?;
    assert!(took < PROMPT, "{took:?} when idle");

    client.batch_execute(ENQUEUE)?;
    endpoint.wait_for_requests(1, LIMIT)?;
    let hanging = Site::wait_for_request(&mut client)?;
    assert_ne!(hanging, idle, "the launcher has started another");
    let took = Site::time_to_end(&mut client, hanging)?;
    assert!(took < PROMPT, "{took:?} in mid-request");

    set(&mut client, "costsim.alertmanager_url", &full.url())?;
    let connecting = Site::wait_for_request(&mut client)?;
    full.wait_for_somebody()?;
    let took = Site::time_to_end(&mut client, connecting)?;
    assert!(took < PROMPT, "{took:?} while connecting");

    set(&mut client, "costsim.alertmanager_url", &alertmanager.url())?;
    wait_until(LIMIT, "the next worker to deliver", || alertmanager.alert_state(&[("alertname", "a")]))?;
    wait_for(&mut client, "the row to be sent", "SELECT status = 'sent' FROM costsim_alert_queue")
}

#[test]
fn extension_can_be_dropped_while_the_endpoint_hangs() -> Result<()> {
    let endpoint = HangingEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alertmanager_timeout", "3s"))?;
    let mut client = site.connect()?;
    client.batch_execute(ENQUEUE)?;
    endpoint.wait_for_requests(1, LIMIT)?;
    let started = Instant::now();
    client.batch_execute("DROP EXTENSION costsim_pg")?;
    assert!(started.elapsed() < PROMPT, "{:?}", started.elapsed());
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
            Ok((!costsim_server_tests::is_running(pid)).then_some(()))
        })?;
        assert!(killed_at.elapsed() < PROMPT * 2, "{name}: {:?}", killed_at.elapsed());
    }
    Ok(())
}
