//! Servers that stop in mid-work and workers that are killed at every step of a delivery: every alert whose commit was
//! acknowledged arrives, none that was rolled back does, and one that arrives twice is the same one.
//!
//! `make alert-chaos` does it for more rounds and leaves its figures in `docs/evidence`.

use anyhow::{Context, Result, bail, ensure};
use costsim_harness::{ClusterBuilder, Mode, RecordingEndpoint, Signal, wait_until};
use costsim_server_tests::{
    AlertLoad, FullPort, KEY, LIMIT, Ledger, Reckoning, Site, enqueue, one, set, set_for_the_next_start,
    wait_for,
};
use fastrand::Rng;
use postgres::Client;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const SESSIONS: usize = 4;

/// Longer than the worker keeps away from a table that was locked.
const MOMENT: Duration = Duration::from_secs(2);

/// A server whose log is written for who asks for it, and otherwise ten seconds later.
fn lazy(url: &str) -> ClusterBuilder {
    Site::builder(url)
        .conf("wal_writer_delay", "10s")
        .conf("wal_writer_flush_after", "1GB")
        // What arrives twice was sent twice because of a crash: nothing here is repeated for its own sake.
        .conf("costsim.alert_resend_interval", "1h")
        .conf("costsim.alertmanager_connect_timeout", "1s")
}

/// Where a blow hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// The server is stopped and does not get to say anything; wherever its worker is.
    ServerStopped,
    /// The worker is killed and takes the server with it: when it has woken and looks what there is,
    Reading,
    /// when it has asked for a connection,
    Connecting,
    /// when the receiver has the alerts and has not answered,
    Sent,
    /// when it was answered and cannot write that down.
    Settling,
}

const BLOWS: [Blow; 5] = [Blow::ServerStopped, Blow::Reading, Blow::Connecting, Blow::Sent, Blow::Settling];

/// What a run stands on. Fields end in this order: the load first, then the server, then what it sends to.
struct Scene {
    load: AlertLoad,
    site: Site,
    endpoint: RecordingEndpoint,
    full: FullPort,
    /// Of the alerts that the harness itself raises.
    ledger: Ledger,
    raised: usize,
}

impl Scene {
    fn start(synchronous_commit: &str, rng: &mut Rng) -> Result<Self> {
        let endpoint = RecordingEndpoint::start()?;
        let site = Site::start(lazy(&endpoint.url()))?;
        let settings = format!("SET synchronous_commit = {synchronous_commit}");
        let load = AlertLoad::start(site.cluster.config("app"), SESSIONS, &settings, rng);
        Ok(Self { load, site, endpoint, full: FullPort::open()?, ledger: Ledger::default(), raised: 0 })
    }

    fn reconnect(&self) -> Result<Client> {
        wait_until(LIMIT, "the server to be back", || self.site.connect().map(Some))
    }

    /// One alert of the harness's own, so that there is something to deliver whatever the load does.
    fn raise(&mut self, client: &mut Client) -> Result<()> {
        self.raised += 1;
        let key = format!("harness-{}", self.raised);
        client.batch_execute(&enqueue(&json!({ "alertname": "Harness", KEY: key }).to_string()))?;
        self.ledger.note_queued(&key);
        Ok(())
    }

    /// Strikes while the load goes on, and has the server back.
    fn strike(&mut self, blow: Blow) -> Result<()> {
        let mut client = self.reconnect()?;
        match blow {
            Blow::ServerStopped => self.site.cluster.restart(Mode::Immediate),
            Blow::Reading => {
                let mut locker = self.site.connect()?;
                let pid = wait_until(LIMIT, "the worker to be caught reading", || {
                    locker.batch_execute("BEGIN; LOCK TABLE costsim_alerts IN ACCESS EXCLUSIVE MODE")?;
                    self.raise(&mut client)?;
                    let caught = wait_for_activity(&mut client, "reading alerts", MOMENT);
                    if caught.is_err() {
                        // It wants to settle something first, which the lock keeps it from.
                        locker.batch_execute("ROLLBACK")?;
                    }
                    caught.map(Some)
                })?;
                self.kill(client, pid)
            }
            Blow::Connecting => {
                set(&mut client, "costsim.alertmanager_url", &self.full.url())?;
                self.raise(&mut client)?;
                self.full.wait_for_somebody()?;
                let pid = Site::worker_pid(&mut client)?;
                self.kill(client, pid)?;
                set(&mut self.reconnect()?, "costsim.alertmanager_url", &self.endpoint.url())
            }
            Blow::Sent => {
                self.endpoint.hold();
                self.raise(&mut client)?;
                let pid = Site::wait_for_request(&mut client)?;
                self.endpoint.wait_for_held(LIMIT)?;
                self.kill(client, pid)?;
                self.endpoint.release();
                Ok(())
            }
            Blow::Settling => {
                self.endpoint.hold();
                self.raise(&mut client)?;
                self.endpoint.wait_for_held(LIMIT)?;
                let mut locker = self.site.connect()?;
                locker.batch_execute("BEGIN; LOCK TABLE costsim_alert_queue IN EXCLUSIVE MODE")?;
                self.endpoint.release();
                let pid = wait_for_activity(&mut client, "settling alerts", LIMIT)?;
                self.kill(client, pid)
            }
        }
    }

    /// The server ends all its sessions when one process is killed, and starts again by itself.
    fn kill(&self, mut client: Client, pid: i32) -> Result<()> {
        self.site.cluster.kill_backend(pid, Signal::KILL)?;
        wait_until(LIMIT, "the server to notice", || {
            Ok(client.simple_query("SELECT 1").is_err().then_some(()))
        })?;
        self.reconnect().map(drop)
    }
}

/// Waits until the worker does this, and answers with its process.
fn wait_for_activity(client: &mut Client, activity: &str, limit: Duration) -> Result<i32> {
    let query = "SELECT pid FROM pg_stat_activity
                  WHERE backend_type = 'costsim worker' AND datname = current_database() AND query = $1";
    wait_until(limit, &format!("the worker to be {activity}"), || {
        Ok(client.query_opt(query, &[&format!("costsim: {activity}")])?.map(|row| row.get(0)))
    })
}

/// Waits until the rows say that all has arrived, or that there is nothing left to hope for.
fn wait_until_delivered(client: &mut Client) -> Result<()> {
    wait_for(
        client,
        "every row to be settled",
        "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )?;
    let query = "SELECT (SELECT count(*) FROM costsim_alert_queue WHERE status <> 'sent' OR sent_at IS NULL)
                      + (SELECT count(*) FROM costsim_alerts WHERE sent_revision <> revision OR sent_at IS NULL)";
    ensure!(one::<i64>(client, query)? == 0, "rows that were not sent");
    Ok(())
}

/// Nothing was told of a transaction that is not there: an alert is read when its commit is safe.
fn every_arrival_has_its_row(client: &mut Client, endpoint: &RecordingEndpoint) -> Result<()> {
    let keys: Vec<String> =
        endpoint.look(|heard| heard.iter().map(|one| one.label(KEY).to_owned()).collect());
    let query = "SELECT count(*), min(heard.key) FROM unnest($1::text[]) AS heard(key)
                  WHERE NOT EXISTS (SELECT FROM costsim_alerts WHERE labels ->> 'n' = heard.key)
                    AND NOT EXISTS (SELECT FROM costsim_alert_queue WHERE payload #>> '{0,labels,n}' = heard.key)";
    let row = client.query_one(query, &[&keys])?;
    let without: i64 = row.get(0);
    ensure!(without == 0, "{without} arrivals without a row, such as {:?}", row.get::<_, Option<&str>>(1));
    Ok(())
}

/// A number that `make alert-chaos` sets.
fn setting(name: &str) -> Result<Option<u64>> {
    let Ok(value) = std::env::var(name) else { return Ok(None) };
    value.parse().map(Some).with_context(|| format!("{name} is {value}"))
}

/// Leaves the figures of a run where they are asked for.
fn report(client: &mut Client, name: &str, mut figures: Value) -> Result<()> {
    let Ok(folder) = std::env::var("COSTSIM_ALERT_EVIDENCE") else { return Ok(()) };
    figures["server"] = one::<String>(client, "SELECT version()")?.into();
    figures["measured_at"] =
        one::<String>(client, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")?
            .into();
    figures["cores"] = std::thread::available_parallelism().map_or(0, std::num::NonZero::get).into();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(folder);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, serde_json::to_string_pretty(&figures)? + "\n")
        .with_context(|| path.display().to_string())
}

/// Every blow under load, round by round, with sessions that ask for this much of durability.
fn survive(synchronous_commit: &str) -> Result<()> {
    let seed = setting("COSTSIM_ALERT_SEED")?.unwrap_or_else(|| fastrand::u64(..));
    println!("synchronous_commit {synchronous_commit}, seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let rounds = usize::try_from(setting("COSTSIM_ALERT_ROUNDS")?.unwrap_or(BLOWS.len() as u64))?;
    ensure!(rounds >= BLOWS.len(), "fewer rounds than there are blows");
    let mut scene = Scene::start(synchronous_commit, &mut rng)?;
    let mut blows = [0; BLOWS.len()];
    let mut order: Vec<usize> = Vec::new();
    for round in 0..rounds {
        if order.is_empty() {
            order = (0..BLOWS.len()).collect();
            rng.shuffle(&mut order);
        }
        let Some(at) = order.pop() else { bail!("no blow is left") };
        scene.load.allow(400);
        scene.load.wait_for(rng.usize(20..200))?;
        scene.strike(BLOWS[at]).with_context(|| format!("round {round}: {:?}", BLOWS[at]))?;
        blows[at] += 1;
    }
    let Scene { load, site, endpoint, full: _full, mut ledger, .. } = scene;
    ledger.add(load.finish()?);
    let mut client = wait_until(LIMIT, "the server to be back", || site.connect().map(Some))?;
    let settled = wait_until_delivered(&mut client);
    let reckoning = ledger.reckon(&endpoint.heard());
    println!("{reckoning}");
    let blows_by_name: serde_json::Map<String, Value> =
        BLOWS.iter().zip(blows).map(|(blow, times)| (format!("{blow:?}"), times.into())).collect();
    let figures = json!({
        "synchronous_commit": synchronous_commit,
        "seed": seed,
        "sessions": SESSIONS,
        "rounds": rounds,
        "blows": blows_by_name,
        "result": reckoning.to_json(),
    });
    report(&mut client, &format!("alert_chaos_{synchronous_commit}"), figures)?;
    reckoning.check()?;
    settled?;
    every_arrival_has_its_row(&mut client, &endpoint)?;
    has_shown_something(&reckoning, rounds)
}

/// What was not put to the test would not have been shown.
fn has_shown_something(reckoning: &Reckoning, rounds: usize) -> Result<()> {
    ensure!(reckoning.transactions > 20 * rounds && reckoning.rolled_back > 0, "{reckoning}");
    ensure!(reckoning.queued > 0 && reckoning.fired > 0 && reckoning.resolved > 0, "{reckoning}");
    // At least what was sent and not settled came again.
    ensure!(reckoning.duplicates > 0, "{reckoning}");
    Ok(())
}

#[test]
fn acknowledged_alerts_survive_crashes_and_kills_with_synchronous_commit_on() -> Result<()> {
    survive("on")
}

#[test]
fn acknowledged_alerts_survive_crashes_and_kills_with_synchronous_commit_local() -> Result<()> {
    survive("local")
}

#[test]
fn acknowledged_alerts_survive_crashes_and_kills_with_synchronous_commit_off() -> Result<()> {
    survive("off")
}

/// The same books, the same blow, and rows that an application inserts by itself in a session that does not ask for durability.
#[test]
fn plain_inserts_without_synchronous_commit_are_lost_and_missed() -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    let site = Site::start(lazy(""))?;
    let mut ledger = Ledger::default();
    let rounds = 5;
    for round in 0..rounds {
        let mut client = wait_until(LIMIT, "the server to be back", || site.connect().map(Some))?;
        client
            .batch_execute("SET synchronous_commit = off; CREATE TABLE IF NOT EXISTS ordinary (n integer)")?;
        // The first change of a page after a checkpoint logs the whole page; later ones are short, and stay near the beginning
        // of a page of the log, which remains unwritten.
        client.batch_execute(
            "CHECKPOINT; INSERT INTO costsim_alert_queue (payload, alert_type, status) VALUES ('[]', 'page', 'failed');
             SELECT pg_logical_emit_message(false, 'fill', repeat('x', 8400 - mod(pg_current_wal_insert_lsn() - '0/0', 8192)::int))",
        )?;
        for number in 0..3 {
            let key = format!("{round}-{number}");
            client.execute(
                "INSERT INTO costsim_alert_queue (payload, alert_type)
                 VALUES (jsonb_build_array(jsonb_build_object('labels', jsonb_build_object('alertname', 'Plain', 'n', $1::text))), 'plain')",
                &[&key],
            )?;
            ledger.note_queued(&key);
        }
        site.cluster.restart(Mode::Immediate)?;
    }
    let mut client = site.connect()?;
    client.batch_execute("DELETE FROM costsim_alert_queue WHERE alert_type = 'page'")?;
    set_for_the_next_start(&mut client, "costsim.alertmanager_url", &endpoint.url())?;
    drop(client);
    site.cluster.restart(Mode::Fast)?;
    let mut client = site.connect()?;
    wait_until_delivered(&mut client)?;
    let reckoning = ledger.reckon(&endpoint.heard());
    println!("plain inserts: {reckoning}");
    let figures = json!({ "synchronous_commit": "off, by a plain INSERT", "rounds": rounds, "result": reckoning.to_json() });
    report(&mut client, "alert_chaos_without_forcing", figures)?;
    ensure!(!reckoning.lost.is_empty(), "nothing was lost, so nothing was shown: {reckoning}");
    ensure!(reckoning.check().is_err(), "what is lost is not missed");
    Ok(())
}
