//! The harness against the real programs it starts.

use costsim_harness::{
    Alertmanager, Answer, Cluster, HangingEndpoint, Listed, Mode, ScriptedEndpoint, Signal, WebhookSink,
    wait_until,
};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A POST on a connection of its own; the answer's status, or nothing when there was no answer.
fn post(url: &str, path: &str, body: &str) -> Option<u16> {
    post_with_patience(url, path, body, LIMIT)
}

fn post_with_patience(url: &str, path: &str, body: &str, patience: Duration) -> Option<u16> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).ok()?;
    answer.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn cluster_starts_restarts_and_leaves_nothing() {
    let cluster = Cluster::builder().without_extension().conf("application_name", "it's").start().unwrap();
    let mut client = cluster.connect("postgres").unwrap();
    client.batch_execute("CREATE TABLE kept AS SELECT 1 AS one").unwrap();

    cluster.restart(Mode::Immediate).unwrap();
    assert!(client.simple_query("SELECT 1").is_err(), "the old session is gone");
    let mut client = cluster.connect("postgres").unwrap();
    let row = client.query_one("SELECT one, current_setting('application_name') FROM kept", &[]).unwrap();
    assert_eq!(row.get::<_, i32>(0), 1, "what was committed survives");
    assert_eq!(row.get::<_, &str>(1), "cluster_starts_restarts_and_leaves_nothing");
    assert!(cluster.log().unwrap().contains("automatic recovery"));

    let from_libpq = std::process::Command::new(cluster.bindir().join("psql"))
        .args(["-Atc", "SELECT 'reached'", &cluster.conn_string("postgres")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&from_libpq.stdout), "reached\n");

    let folder = cluster.data_dir().parent().unwrap().to_owned();
    assert!(folder.exists());
    drop(cluster);
    assert!(!folder.exists());
}

#[test]
fn cluster_survives_the_kill_of_its_postmaster() {
    let cluster = Cluster::builder().without_extension().start().unwrap();
    cluster.kill_backend(cluster.postmaster_pid().unwrap(), Signal::KILL).unwrap();
    cluster.restart(Mode::Fast).unwrap();
    cluster.connect("postgres").unwrap();
}

#[test]
fn cluster_signals_only_its_own_processes() {
    let cluster = Cluster::builder().without_extension().start().unwrap();
    assert!(cluster.kill_backend(std::process::id() as i32, Signal::KILL).is_err());
    let mut client = cluster.connect("postgres").unwrap();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    cluster.kill_backend(pid, Signal::TERM).unwrap();
    wait_until(LIMIT, "the backend to end", || Ok(client.simple_query("SELECT 1").is_err().then_some(())))
        .unwrap();
}

#[test]
fn cluster_says_why_it_did_not_start() {
    let error = Cluster::builder().without_extension().conf("no_such_setting", "1").start().unwrap_err();
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn alertmanager_tells_firing_and_resolved() {
    let sink = WebhookSink::start().unwrap();
    let alertmanager = Alertmanager::start_with_webhook(&sink.url()).unwrap();
    let labels = [("alertname", "harness")];

    let alert = r#"[{"labels":{"alertname":"harness","node":"a"},"startsAt":"2026-01-01T00:00:00Z","endsAt":"2099-01-01T00:00:00Z"}]"#;
    assert_eq!(post(&alertmanager.url(), "/api/v2/alerts", alert), Some(200));
    let state = alertmanager.alert_state(&labels).unwrap().unwrap();
    assert_eq!(state.starts_at, "2026-01-01T00:00:00.000Z");
    assert_eq!(
        alertmanager.alert_state_by_fingerprint(&state.fingerprint).unwrap().unwrap().ends_at,
        state.ends_at
    );
    sink.wait_for_status(&labels, "firing", LIMIT).unwrap();
    assert_eq!(alertmanager.alert_state(&labels).unwrap().unwrap().state, "active");

    assert_eq!(post(&alertmanager.url(), "/api/v2/alerts", &alert.replace("2099", "2026")), Some(200));
    assert_eq!(alertmanager.alert_state(&labels).unwrap(), None, "a resolved alert is not listed");
    let told = sink.wait_for_status(&labels, "resolved", LIMIT).unwrap();
    assert_eq!(told["labels"]["node"], "a");
    assert_eq!(sink.alerts(&labels).len(), 2);
    assert!(sink.alerts(&[("alertname", "other")]).is_empty());
}

#[test]
fn alertmanager_comes_back_under_its_address_without_alerts() {
    let mut alertmanager = Alertmanager::start().unwrap();
    let alert = r#"[{"labels":{"alertname":"harness"},"endsAt":"2099-01-01T00:00:00Z"}]"#;
    let url = alertmanager.url();
    assert_eq!(post(&url, "/api/v2/alerts", alert), Some(200));
    assert_eq!(alertmanager.alerts(Listed::Active).unwrap().len(), 1);

    alertmanager.stop().unwrap();
    assert_eq!(post(&url, "/api/v2/alerts", alert), None);
    alertmanager.restart_on_same_port().unwrap();
    assert_eq!(alertmanager.url(), url);
    assert!(alertmanager.alerts(Listed::All).unwrap().is_empty());
}

#[test]
fn scripted_endpoint_follows_its_script_and_repeats_the_end() {
    let endpoint = ScriptedEndpoint::start([
        Answer::status(503).header("retry-after", "2"),
        Answer::hang_up(),
        200.into(),
    ])
    .unwrap();
    let statuses: Vec<_> = (0..4).map(|n| post(&endpoint.url(), "/x", &format!("{n}"))).collect();
    assert_eq!(statuses, [Some(503), None, Some(200), Some(200)]);
    let requests = endpoint.wait_for_requests(4, LIMIT).unwrap();
    assert_eq!(requests[3].body, b"3");
    assert_eq!(requests[0].path, "/x");
    assert_eq!(requests[0].header("Content-Type"), Some("application/json"));
    let late = endpoint.wait_for_requests(5, Duration::from_millis(10)).unwrap_err();
    assert!(late.to_string().ends_with("4 have arrived"), "{late}");
}

#[test]
fn hanging_endpoint_counts_and_lets_go_when_dropped() {
    let endpoint = HangingEndpoint::start().unwrap();
    assert_eq!(post_with_patience(&endpoint.url(), "/", "{}", Duration::from_millis(100)), None);
    assert_eq!(endpoint.wait_for_requests(1, LIMIT).unwrap().len(), 1);
    let mut held = TcpStream::connect(endpoint.url().trim_start_matches("http://")).unwrap();
    held.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    endpoint.wait_for_requests(2, LIMIT).unwrap();
    drop(endpoint);
    assert_eq!(held.read(&mut [0; 1]).unwrap(), 0, "the connection is closed");
}
