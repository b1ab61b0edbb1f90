//! A hot standby delivers nothing. Promoted, it delivers what its dead primary owed: every alert that was acknowledged.

use anyhow::{Context, Result, ensure};
use costsim_harness::{RecordingEndpoint, wait_until};
use costsim_server_tests::{
    AlertLoad, KEY, LIMIT, Ledger, Site, Standby, crash, enqueue, one, set, sqlstate_of, wait_for,
};
use fastrand::Rng;
use postgres::config::TargetSessionAttrs;
use postgres::{Client, Config};
use serde_json::json;
use std::collections::BTreeSet;

/// What a server that is no standby has to show: its worker, which has nothing left to do.
fn wait_until_delivered(client: &mut Client) -> Result<()> {
    wait_for(
        client,
        "every row to be settled",
        "SELECT pending = 0 AND unsent = 0 AND failed = 0 FROM costsim_alert_queue_stats()",
    )
}

const HAS_NO_PROCESS_OF_OURS: &str =
    "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type LIKE 'costsim%')";

/// A primary that answers a commit when its standby has it.
fn pair(url: &str) -> Result<(Site, Client)> {
    // What arrives twice was sent twice because of the crash.
    let site = Site::start(Site::builder(url).conf("costsim.alert_resend_interval", "1h"))?;
    let client = site.connect()?;
    Ok((site, client))
}

fn wait_for_the_synchronous_standby(client: &mut Client) -> Result<()> {
    set(client, "synchronous_standby_names", "*")?;
    wait_for(
        client,
        "a synchronous standby",
        "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming')",
    )
}

#[test]
fn standby_has_no_worker_and_delivers_nothing_until_it_is_promoted() -> Result<()> {
    let (primarys, standbys) = (RecordingEndpoint::start()?, RecordingEndpoint::start()?);
    let (site, mut client) = pair(&primarys.url())?;
    let standby = Standby::start(&site.cluster)?;
    let mut replica = standby.connect("app")?;
    set(&mut replica, "costsim.alertmanager_url", &standbys.url())?;
    wait_for_the_synchronous_standby(&mut client)?;
    // The standby has rows to deliver, if it wanted to: the primary gets no answer for them.
    primarys.hold();
    client.batch_execute("SET synchronous_commit = remote_apply")?;
    let mut ledger = Ledger::default();
    for key in ["one", "two", "three"] {
        client.batch_execute(&enqueue(&json!({ "alertname": "Queued", KEY: key }).to_string()))?;
        ledger.note_queued(key);
    }
    primarys.wait_for_held(LIMIT)?;
    let stats = replica.query_one("SELECT pending, sent FROM costsim_alert_queue_stats()", &[])?;
    assert_eq!((stats.get::<_, i64>(0), stats.get::<_, i64>(1)), (3, 0));

    assert!(one::<bool>(&mut replica, HAS_NO_PROCESS_OF_OURS)?);
    let status = Site::worker_status(&mut replica)?;
    assert_eq!((status.state.as_str(), status.pid), ("in recovery", None), "{status:?}");
    let state: String = one(&mut replica, "SELECT worker_state FROM costsim_alert_status")?;
    assert_eq!(state, "in recovery");
    for statement in [
        "SELECT costsim_worker_start()",
        "SELECT costsim_fire_alert('{\"alertname\": \"a\"}')",
        "SELECT * FROM costsim_claim_alerts('standby')",
    ] {
        assert_eq!(sqlstate_of(&mut replica, statement)?, "25006", "{statement}");
    }
    assert_eq!(standbys.requests(), 0);

    crash(&site.cluster)?;
    drop(replica);
    standby.promote()?;
    let mut heir = standby.connect("app")?;
    // Nobody has confirmed the primary's request, so all of it is told again, by the heir to its own receiver.
    wait_until_delivered(&mut heir)?;
    assert!(Site::worker_status(&mut heir)?.pid.is_some());
    let reckoning = ledger.reckon(&standbys.heard());
    reckoning.check()?;
    assert_eq!((reckoning.queued, reckoning.posts), (3, 3), "{reckoning}");
    // Both told the same, as far as the primary got.
    ledger.reckon(&[primarys.heard(), standbys.heard()].concat()).check()
}

#[test]
fn promoted_standby_delivers_every_alert_that_was_acknowledged_with_remote_apply() -> Result<()> {
    fail_over_under_load("remote_apply")
}

#[test]
fn promoted_standby_delivers_every_alert_that_was_acknowledged_with_synchronous_commit_on() -> Result<()> {
    fail_over_under_load("on")
}

fn fail_over_under_load(synchronous_commit: &str) -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    let (site, mut client) = pair(&endpoint.url())?;
    let standby = Standby::start(&site.cluster)?;
    let port: String = one(&mut standby.connect("app")?, "SHOW port")?;
    wait_for_the_synchronous_standby(&mut client)?;
    let mut heirs = Config::new();
    heirs.host_path(site.cluster.socket_dir()).port(port.parse()?).user("postgres").dbname("app");
    // Whoever comes before the promotion tries again.
    heirs.target_session_attrs(TargetSessionAttrs::ReadWrite);

    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let settings = format!("SET synchronous_commit = {synchronous_commit}");
    let load = AlertLoad::start(site.cluster.config("app"), 8, &settings, &mut rng);
    load.allow(5_000);
    load.wait_for(300)?;
    // From here on the receiver hears, and the primary never learns that it did.
    endpoint.hold();
    let held = endpoint.wait_for_held(LIMIT)?;
    load.wait_for(200)?;
    load.move_to(heirs);
    crash(&site.cluster)?;
    endpoint.release();
    let told_by_the_primary = endpoint.look(<[_]>::len);
    standby.promote()?;
    load.wait_for(200).context("load on the promoted server")?;
    let ledger = load.finish()?;

    let mut heir = standby.connect("app")?;
    wait_until_delivered(&mut heir)?;
    let heard = endpoint.heard();
    let reckoning = ledger.reckon(&heard);
    println!("{synchronous_commit}: {reckoning}");
    reckoning.check()?;
    ensure!(reckoning.in_doubt > 0, "the primary was not at work when it died: {reckoning}");
    let by_the_heir: BTreeSet<&str> = heard[told_by_the_primary..].iter().map(|one| one.label(KEY)).collect();
    let forgotten: Vec<&str> =
        held.iter().map(|one| one.label(KEY)).filter(|key| !by_the_heir.contains(key)).collect();
    ensure!(forgotten.is_empty(), "sent and not settled, and not told again: {forgotten:?}");
    let status = wait_until(LIMIT, "the worker's status", || Site::worker_status(&mut heir).map(Some))?;
    ensure!(status.pid.is_some() && status.trouble.is_none(), "{status:?}");
    Ok(())
}
