//! What time does to a breaker happens on time with nobody asking: the worker writes it down.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Alertmanager, HangingEndpoint, Mode, Signal, WebhookSink, wait_until};
use costsim_server_tests::{LIMIT, Shared, Site, check_the_breakers, is_running, one, set, wait_for};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use serde_json::Value;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

/// Fields end in this order: the server first, then those it sends to.
struct Setting {
    site: Site,
    alertmanager: Alertmanager,
    sink: WebhookSink,
}

static SETTING: Shared<Setting> = Shared::new();

const DATABASES: &str = "app,shortened,probed,unasked,locked,poison,busy";

/// The file's server and receivers, and a database of the test's own with a worker of its own. It looks once an hour, so whatever it
/// does earlier, somebody woke it for, or it knew when.
fn database(name: &str) -> Result<(Arc<Setting>, Client)> {
    let setting = SETTING.get(|| {
        let sink = WebhookSink::start()?;
        let alertmanager = Alertmanager::start_with_webhook(&sink.url())?;
        let builder = Site::builder(&alertmanager.url()).conf("costsim.databases", DATABASES);
        Ok(Setting { site: Site::start(builder)?, alertmanager, sink })
    })?;
    if name != "app" {
        setting.site.add_database(name)?;
    }
    let mut client = setting.site.cluster.connect(name)?;
    Site::wait_for_state(&mut client, "idle")?;
    Ok((setting, client))
}

/// An outage that has been ordered.
struct Ordered {
    breaker: &'static str,
    incident: String,
    end: String,
}

impl Ordered {
    /// Opens a breaker, which is made if need be, for a time that is over soon.
    fn new(client: &mut Client, breaker: &'static str, span: &str) -> Result<Self> {
        client.execute("SELECT costsim_configure_breaker($1)", &[&breaker])?;
        let row = client.query_one(
            "SELECT incident_id FROM costsim_disable_v2('test', 'me', clock_timestamp() + $2::text::interval, name => $1)",
            &[&breaker, &span],
        )?;
        let incident = row.try_get(0)?;
        let end = one(
            client,
            &format!("SELECT disabled_until::text FROM costsim_cb_state WHERE name = '{breaker}'"),
        )?;
        Ok(Self { breaker, incident, end })
    }

    /// Waits until somebody has written down that it is over, and checks who and when: neither early nor late. Asks tables only: a
    /// function might do itself what the worker is to do.
    fn wait_for_end(&self, client: &mut Client) -> Result<()> {
        let Self { breaker, incident, end } = self;
        let is_over = format!("SELECT NOT disabled FROM costsim_cb_state WHERE name = '{breaker}'");
        wait_for(client, &format!("the end of {breaker}'s outage"), &is_over)?;
        let row = client.query_one(
            "SELECT i.resolved AND i.resolved_by = 'system-auto-recover'
                    AND i.resolved_at BETWEEN $2::text::timestamptz AND $2::text::timestamptz + interval '5 s',
                    format('incident %s, resolved %s at %s by %s, due at %s', i.id, i.resolved, i.resolved_at, i.resolved_by, $2)
               FROM costsim_cb_incidents i WHERE i.id = $1",
            &[incident, end],
        )?;
        ensure!(row.get::<_, bool>(0), "{}", row.get::<_, String>(1));
        let told: i64 = client
            .query_one(
                "SELECT count(*) FROM costsim_cb_events WHERE incident_id = $1 AND cause = 'ttl_passed' AND to_state = 'closed'",
                &[incident],
            )?
            .get(0);
        ensure!(told == 1, "{told} events tell of the end of {breaker}'s outage");
        check_the_breakers(client)
    }

    fn labels(&self) -> [(&str, &str); 3] {
        [
            ("alertname", "CostSimV2Disabled"),
            ("circuit_breaker", self.breaker),
            ("incident_id", &self.incident),
        ]
    }
}

/// What is told to whoever listens, one at a time: the breaker and its state.
fn next_told(listener: &mut Client) -> Result<(String, String)> {
    let mut told = listener.notifications();
    let notification = told.timeout_iter(LIMIT).next()?.context("nothing was told in time")?;
    ensure!(notification.channel() == "costsim_breaker", "told on {}", notification.channel());
    let payload: Value = serde_json::from_str(notification.payload())?;
    let text = |key: &str| {
        payload[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {payload}"))
    };
    Ok((text("name")?, text("state")?))
}

/// The steps of a breaker so far, as `from cause to`.
fn steps(client: &mut Client, name: &str) -> Result<Vec<String>> {
    let query = "SELECT concat_ws(' ', from_state, cause, to_state) FROM costsim_cb_events
                  WHERE circuit_breaker_name = $1 AND cause <> 'configured' ORDER BY id";
    Ok(client.query(query, &[&name])?.iter().map(|row| row.get(0)).collect())
}

#[test]
fn outage_ends_on_time_with_nobody_asking_and_its_alert_is_resolved() -> Result<()> {
    let (setting, mut client) = database("app")?;
    let mut listener = setting.site.connect()?;
    listener.batch_execute("LISTEN costsim_breaker")?;
    let outage = Ordered::new(&mut client, "costsim_v2", "2 s")?;
    assert_eq!(next_told(&mut listener)?, ("costsim_v2".into(), "open".into()));
    setting.sink.wait_for_status(&outage.labels(), "firing", LIMIT)?;
    outage.wait_for_end(&mut client)?;
    assert_eq!(next_told(&mut listener)?, ("costsim_v2".into(), "closed".into()));
    setting.sink.wait_for_status(&outage.labels(), "resolved", LIMIT)?;
    assert_eq!(setting.alertmanager.alert_state(&outage.labels())?, None);
    assert_eq!(steps(&mut client, "costsim_v2")?, ["closed manual open", "open ttl_passed closed"]);

    // And the next ones, of several breakers, each at its time.
    let outages = [
        Ordered::new(&mut client, "third", "3500 ms")?,
        Ordered::new(&mut client, "first", "1500 ms")?,
        Ordered::new(&mut client, "second", "2500 ms")?,
    ];
    for outage in &outages {
        outage.wait_for_end(&mut client)?;
        setting.sink.wait_for_status(&outage.labels(), "resolved", LIMIT)?;
    }
    Ok(())
}

#[test]
fn outage_ends_on_time_without_anybody_to_send_alerts_to() -> Result<()> {
    let site = Site::start(Site::builder(""))?;
    let mut client = site.connect()?;
    Site::wait_for_state(&mut client, "blocked")?;
    for round in ["one", "two"] {
        let outage = Ordered::new(&mut client, round, "700 ms")?;
        outage.wait_for_end(&mut client)?;
    }
    let resolved: i64 =
        one(&mut client, "SELECT count(*) FROM costsim_alerts WHERE resolved_at IS NOT NULL")?;
    assert_eq!(resolved, 2, "alerts are resolved for the day there is somebody");
    Ok(())
}

/// A server whose worker is in the middle of a request that lasts for minutes.
fn hanging_site() -> Result<(Site, HangingEndpoint, Client)> {
    let endpoint = HangingEndpoint::start()?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alertmanager_timeout", "5min"))?;
    let mut client = site.connect()?;
    // A reload that comes while a request hangs has it asked again; the site's own is taken over by then.
    Site::wait_for_state(&mut client, "idle")?;
    Ok((site, endpoint, client))
}

#[test]
fn outage_ends_on_time_while_a_request_hangs() -> Result<()> {
    let (_site, endpoint, mut client) = hanging_site()?;
    // The request carries its own alert.
    let outage = Ordered::new(&mut client, "costsim_v2", "1500 ms")?;
    endpoint.wait_for_requests(1, LIMIT)?;
    Site::wait_for_request(&mut client)?;
    outage.wait_for_end(&mut client)?;
    assert_eq!(endpoint.requests().len(), 1, "it was one and the same request all the time");
    Ok(())
}

#[test]
fn outage_that_begins_while_a_request_hangs_ends_on_time() -> Result<()> {
    let (_site, endpoint, mut client) = hanging_site()?;
    client.batch_execute("SELECT costsim_fire_alert('{\"alertname\": \"Other\"}')")?;
    endpoint.wait_for_requests(1, LIMIT)?;
    Site::wait_for_request(&mut client)?;
    let outage = Ordered::new(&mut client, "costsim_v2", "500 ms")?;
    outage.wait_for_end(&mut client)?;
    assert_eq!(endpoint.requests().len(), 1, "it was one and the same request all the time");
    Ok(())
}

#[test]
fn end_that_another_hand_moves_is_kept() -> Result<()> {
    let (setting, mut client) = database("shortened")?;
    // Of an outage of a day, moved to a moment that has not come yet, and to one that has passed.
    for (breaker, end) in [("soon", "clock_timestamp() + interval '600 ms'"), ("passed", "clock_timestamp()")]
    {
        let mut outage = Ordered::new(&mut client, breaker, "1 day")?;
        setting.sink.wait_for_status(&outage.labels(), "firing", LIMIT)?;
        // The worker sleeps again, and knows of tomorrow.
        Site::wait_for_state(&mut client, "idle")?;
        let change = format!(
            "UPDATE costsim_cb_state SET disabled_until = {end}, updated_at = now() WHERE name = $1 RETURNING disabled_until::text"
        );
        outage.end = client.query_one(&change, &[&breaker])?.get(0);
        outage.wait_for_end(&mut client)?;
        setting.sink.wait_for_status(&outage.labels(), "resolved", LIMIT)?;
        assert_eq!(steps(&mut client, breaker)?, ["closed manual open", "open ttl_passed closed"]);
    }
    // An outage that another hand began, without an incident.
    client.batch_execute(
        "INSERT INTO costsim_cb_state (name, disabled, disabled_by, disabled_reason, disabled_until)
         VALUES ('foreign', true, 'orm', 'by hand', clock_timestamp() + interval '600 ms')",
    )?;
    wait_for(&mut client, "its end", "SELECT NOT disabled FROM costsim_cb_state WHERE name = 'foreign'")?;
    assert_eq!(steps(&mut client, "foreign")?, ["open ttl_passed closed"]);
    let poll: i32 =
        one(&mut client, "SELECT setting::int FROM pg_settings WHERE name = 'costsim.worker_poll_interval'")?;
    assert_eq!(poll, 3_600, "nothing but the change would have woken the worker");
    Ok(())
}

#[test]
fn probing_begins_and_a_lost_probe_opens_again_with_nobody_asking() -> Result<()> {
    let (setting, mut client) = database("probed")?;
    let mut listener = setting.site.cluster.connect("probed")?;
    listener.batch_execute("LISTEN costsim_breaker")?;
    client.batch_execute(
        "SELECT costsim_configure_breaker('probed', failure_threshold => 1, disable_ttl => '500 ms', half_open => true,
                                          probe_permits => 1, probe_successes => 1, probe_timeout => '500 ms',
                                          half_open_timeout => '1 h')",
    )?;
    let incident: String = one(&mut client, "SELECT id FROM costsim_report_drift(0.9, name => 'probed')")?;
    let labels = [("alertname", "CostSimV2Disabled"), ("incident_id", incident.as_str())];
    setting.sink.wait_for_status(&labels, "firing", LIMIT)?;
    let told = |state: &str| ("probed".to_owned(), state.to_owned());
    assert_eq!(next_told(&mut listener)?, told("open"));
    assert_eq!(next_told(&mut listener)?, told("half_open"));
    let has_begun =
        "SELECT half_open_since >= half_open_at AND clock_timestamp() < half_open_at + interval '5 s'
                       FROM costsim_cb_state WHERE name = 'probed'";
    assert!(one::<bool>(&mut client, has_begun)?, "it began early or late");

    // A permit is taken, and nobody ever reports on it. The second outage is the longer one.
    // Until it is committed nobody writes down that it is lost.
    client.batch_execute("BEGIN")?;
    assert!(one::<bool>(&mut client, "SELECT costsim_cb_allow('probed')")?);
    let expiry: String =
        one(&mut client, "SELECT probes[1]::text FROM costsim_cb_state WHERE name = 'probed'")?;
    client.batch_execute("COMMIT")?;
    assert_eq!(next_told(&mut listener)?, told("open"));
    let row = client.query_one(
        "SELECT s.reopenings, s.half_open_at - $1::text::timestamptz > interval '500 ms', s.incident_id = $2, NOT i.resolved
           FROM costsim_cb_state s JOIN costsim_cb_incidents i ON i.id = s.incident_id WHERE s.name = 'probed'",
        &[&expiry, &incident],
    )?;
    assert_eq!(row.get::<_, i32>(0), 1);
    assert!(row.get::<_, bool>(1), "the next outage is no longer than the first");
    assert!(row.get::<_, bool>(2) && row.get::<_, bool>(3), "it is the same incident");
    assert_eq!(next_told(&mut listener)?, told("half_open"));
    check_the_breakers(&mut client)?;

    // This time the probe passes.
    assert!(one::<bool>(&mut client, "SELECT costsim_cb_allow('probed')")?);
    client.batch_execute("SELECT costsim_report_drift(0, name => 'probed')")?;
    assert_eq!(next_told(&mut listener)?, told("closed"));
    setting.sink.wait_for_status(&labels, "resolved", LIMIT)?;
    assert_eq!(
        steps(&mut client, "probed")?,
        [
            "closed drift open",
            "open ttl_passed half_open",
            "half_open probe_expired open",
            "open ttl_passed half_open",
            "half_open probes_passed closed",
        ]
    );
    check_the_breakers(&mut client)
}

#[test]
fn probing_that_nobody_asks_for_ends_closed() -> Result<()> {
    let (setting, mut client) = database("unasked")?;
    let mut listener = setting.site.cluster.connect("unasked")?;
    listener.batch_execute("LISTEN costsim_breaker")?;
    client.batch_execute(
        "SELECT costsim_configure_breaker('unasked', failure_threshold => 1, disable_ttl => '1500 ms', half_open => true,
                                          half_open_timeout => '1500 ms')",
    )?;
    let incident: String = one(&mut client, "SELECT id FROM costsim_report_drift(0.9, name => 'unasked')")?;
    for state in ["open", "half_open", "closed"] {
        assert_eq!(next_told(&mut listener)?, ("unasked".into(), state.into()));
    }
    setting.sink.wait_for_status(&[("incident_id", incident.as_str())], "resolved", LIMIT)?;
    assert_eq!(
        steps(&mut client, "unasked")?,
        ["closed drift open", "open ttl_passed half_open", "half_open ttl_passed closed"]
    );
    check_the_breakers(&mut client)
}

#[test]
fn breaker_that_somebody_works_on_is_ended_afterwards_and_keeps_up_nobody() -> Result<()> {
    let (setting, mut client) = database("locked")?;
    let mut held = Ordered::new(&mut client, "held", "400 ms")?;
    let mut other = setting.site.cluster.connect("locked")?;
    other.batch_execute("BEGIN; SELECT FROM costsim_cb_state WHERE name = 'held' FOR UPDATE")?;
    for (breaker, span) in [("free", "800 ms"), ("also free", "1200 ms")] {
        let free = Ordered::new(&mut client, breaker, span)?;
        free.wait_for_end(&mut client)?;
        setting.sink.wait_for_status(&free.labels(), "resolved", LIMIT)?;
    }
    assert_eq!(steps(&mut client, "held")?, ["closed manual open"], "its row was not free");
    assert!(!one::<bool>(&mut client, "SELECT costsim_is_open('held')")?, "it is closed all the same");
    // The transaction changes nothing, so its end tells nobody.
    held.end = one(&mut client, "SELECT clock_timestamp()::text")?;
    other.batch_execute("COMMIT")?;
    held.wait_for_end(&mut client)?;
    setting.sink.wait_for_status(&held.labels(), "resolved", LIMIT)?;
    Ok(())
}

#[test]
fn outage_ends_whatever_has_happened_to_the_worker() -> Result<()> {
    // Nobody listens there: an alert that cannot be delivered is no excuse either.
    let site = Site::start(Site::builder("http://127.0.0.1:1"))?;
    let mut client = site.connect()?;

    // Told to end, as by an administrator.
    let worker = Site::worker_pid(&mut client)?;
    let outage = Ordered::new(&mut client, "terminated", "1500 ms")?;
    Site::time_to_end(&mut client, worker)?;
    outage.wait_for_end(&mut client)?;
    let heir = Site::worker_pid(&mut client)?;
    assert_ne!(heir, worker, "the launcher has started another");

    // Away while the end comes.
    set(&mut client, "costsim.databases", "")?;
    wait_until(LIMIT, "the worker to end", || Ok((!is_running(heir)).then_some(())))?;
    let mut outage = Ordered::new(&mut client, "missed", "100 ms")?;
    let has_passed = format!("SELECT clock_timestamp() > '{}'", outage.end);
    wait_for(&mut client, "the end to come", &has_passed)?;
    assert_eq!(steps(&mut client, "missed")?, ["closed manual open"], "there is nobody to write it down");
    outage.end = one(&mut client, "SELECT clock_timestamp()::text")?;
    set(&mut client, "costsim.databases", "app")?;
    outage.wait_for_end(&mut client)?;

    // Killed, and all other processes of the server with it. How long it takes to recover is not the question.
    let worker = Site::worker_pid(&mut client)?;
    Ordered::new(&mut client, "killed", "300 ms")?;
    site.cluster.kill_backend(worker, Signal::KILL)?;
    wait_until(LIMIT, "the sessions to be ended", || {
        Ok(client.batch_execute("SELECT").is_err().then_some(()))
    })?;
    let mut client = wait_until(LIMIT, "the server to recover", || site.connect().map(Some))?;
    let is_over =
        |breaker: &str| format!("SELECT NOT disabled FROM costsim_cb_state WHERE name = '{breaker}'");
    wait_for(&mut client, "the end after a crash", &is_over("killed"))?;

    // Stopped with its server.
    Ordered::new(&mut client, "stopped", "300 ms")?;
    site.cluster.restart(Mode::Fast)?;
    let mut client = site.connect()?;
    wait_for(&mut client, "the end after a restart", &is_over("stopped"))?;
    for breaker in ["killed", "stopped"] {
        assert_eq!(steps(&mut client, breaker)?, ["closed manual open", "open ttl_passed closed"]);
    }
    check_the_breakers(&mut client)
}

/// How often a process has gone to sleep so far. The kernel counts each wait that had to be waited for.
fn times_asleep(pid: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(line.context("the kernel does not count")?.trim().parse()?)
}

/// What the worker of the session's database did last, and when. It says so before it asks for anything.
fn last_act(client: &mut Client) -> Result<String> {
    one(
        client,
        "SELECT concat_ws(' ', pid, query, query_start, state_change, xact_start) FROM pg_stat_activity
          WHERE backend_type = 'costsim worker' AND datname = current_database()",
    )
}

/// Waits until the worker of the session's database sleeps, with nothing to do.
fn wait_for_sleep(client: &mut Client) -> Result<()> {
    let sleeps = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                  WHERE backend_type = 'costsim worker' AND datname = current_database()
                                    AND state = 'idle' AND wait_event_type = 'Extension')
                     AND NOT EXISTS (SELECT FROM costsim_alerts WHERE sent_revision < revision)";
    wait_for(client, "the worker to sleep", sleeps)
}

/// A process that is not even woken issues no query. By itself it looks up once a second, whether somebody wants its database. The time in
/// which it is watched is that of an outage elsewhere, which another worker ends.
#[test]
fn breaker_that_time_does_nothing_to_wakes_no_worker() -> Result<()> {
    let alertmanager = Alertmanager::start()?;
    let builder = Site::builder(&alertmanager.url())
        .conf("costsim.databases", "app,clock")
        .conf("costsim.alert_resend_interval", "1 h")
        .conf("autovacuum", "off");
    let site = Site::start(builder)?;
    site.add_database("clock")?;
    let (mut client, mut clock) = (site.connect()?, site.cluster.connect("clock")?);
    let worker = Site::worker_pid(&mut client)?;
    for (breaker, preparation, traffic) in [
        (
            "closed",
            "SELECT costsim_configure_breaker('quiet')",
            "SELECT costsim_report_drift(0, name => 'quiet'), costsim_cb_allow('quiet'), costsim_is_v2_disabled('quiet')",
        ),
        (
            "counting",
            "SELECT costsim_configure_breaker('counting', failure_threshold => 1000000)",
            "SELECT costsim_report_drift(0.9, name => 'counting'), costsim_report_drift(0.9, name => 'counting')",
        ),
        (
            "open for long",
            "SELECT costsim_configure_breaker('long'); SELECT costsim_disable_v2('r', 'me', name => 'long')",
            "SELECT costsim_report_drift(0.9, name => 'long'), costsim_cb_allow('long'), costsim_is_v2_disabled('long')",
        ),
        (
            "open for good",
            "SELECT costsim_configure_breaker('good');
             SELECT costsim_disable_v2('r', 'me', permanent => true, name => 'good')",
            "SELECT costsim_report_schema_error(9, name => 'good'), costsim_cb_allow('good')",
        ),
    ] {
        client.batch_execute(preparation)?;
        client.batch_execute(traffic)?;
        wait_for_sleep(&mut client)?;
        // What woke it before may have done so twice; after an outage elsewhere it has not.
        let mut before = (times_asleep(worker)?, last_act(&mut client)?);
        wait_until(LIMIT, "nothing to happen in the time of an outage elsewhere", || {
            let outage = Ordered::new(&mut clock, "costsim_v2", "700 ms")?;
            let (mut calls, begun_at) = (0, Instant::now());
            while one::<bool>(&mut clock, "SELECT disabled FROM costsim_cb_state")? {
                client.batch_execute(traffic)?;
                calls += 1;
            }
            outage.wait_for_end(&mut clock)?;
            ensure!(calls > 20, "{calls} calls are no traffic");
            let after = (times_asleep(worker)?, last_act(&mut client)?);
            let woken = after.0 - before.0;
            let has_acted = after.1 != before.1;
            before = after;
            ensure!(
                woken <= 1 + begun_at.elapsed().as_secs() && !has_acted,
                "a worker whose breaker is {breaker} was woken {woken} times in {calls} calls"
            );
            Ok(Some(()))
        })?;
    }
    // And it would have been seen.
    let before = last_act(&mut client)?;
    client.batch_execute("SELECT costsim_enable_v2('me', name => 'long')")?;
    wait_until(LIMIT, "the worker to be woken by a change", || {
        Ok((last_act(&mut client)? != before).then_some(()))
    })?;
    assert_eq!(Site::worker_pid(&mut client)?, worker, "it is the same worker");
    Ok(())
}

/// An alert of somebody else's reaches whoever is paged.
fn another_alert_arrives(setting: &Setting, client: &mut Client, name: &str) -> Result<()> {
    client.execute("SELECT costsim_fire_alert(jsonb_build_object('alertname', $1::text))", &[&name])?;
    setting.sink.wait_for_status(&[("alertname", name)], "firing", LIMIT)?;
    Ok(())
}

#[test]
fn breaker_that_cannot_be_recovered_holds_up_no_other_and_no_alert() -> Result<()> {
    let (setting, mut client) = database("poison")?;
    // It fails where it cannot be caught any more, unless somebody sees to it: at the commit. What a sequence has counted stays counted.
    client.batch_execute(
        "CREATE SEQUENCE attempts;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.attempts'); RAISE EXCEPTION 'not this one'; END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON costsim_cb_state DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (OLD.name = 'a_poison' AND NOT NEW.disabled) EXECUTE FUNCTION refuse()",
    )?;
    let worker = Site::worker_pid(&mut client)?;
    let poison = Ordered::new(&mut client, "a_poison", "200 ms")?;
    let other = Ordered::new(&mut client, "other", "300 ms")?;
    other.wait_for_end(&mut client)?;
    another_alert_arrives(&setting, &mut client, "BesidePoison")?;
    let is_held_up = "SELECT disabled AND disabled_until < clock_timestamp() FROM costsim_cb_state WHERE name = 'a_poison'";
    assert!(one::<bool>(&mut client, is_held_up)?);
    assert_eq!(Site::worker_pid(&mut client)?, worker, "nothing has ended it");
    let attempts: i64 = one(&mut client, "SELECT last_value FROM attempts")?;
    assert!(attempts <= 3, "it was tried {attempts} times");
    // Once the reason is gone it is recovered by itself, a while later.
    client.batch_execute("DROP TRIGGER refuse ON costsim_cb_state")?;
    setting.sink.wait_for_status(&poison.labels(), "resolved", LIMIT)?;
    check_the_breakers(&mut client)
}

#[test]
fn transaction_that_keeps_incidents_holds_up_no_alert_and_no_report() -> Result<()> {
    let (setting, mut client) = database("busy")?;
    let outages = [Ordered::new(&mut client, "one", "700 ms")?, Ordered::new(&mut client, "two", "700 ms")?];
    let mut keeper = setting.site.cluster.connect("busy")?;
    keeper.batch_execute(
        "BEGIN; UPDATE costsim_cb_incidents SET resolution_notes = 'looking at it' WHERE NOT resolved",
    )?;
    wait_for(
        &mut client,
        "the end",
        "SELECT bool_and(disabled_until < clock_timestamp()) FROM costsim_cb_state",
    )?;
    for round in 1..=3 {
        another_alert_arrives(&setting, &mut client, &format!("BesideKeeper{round}"))?;
        // The worker has looked at both meanwhile, and has neither of their rows.
        client.batch_execute("SET lock_timeout = '5 s'; SELECT FROM costsim_cb_state FOR UPDATE")?;
    }
    assert!(one::<bool>(&mut client, "SELECT bool_and(disabled) FROM costsim_cb_state")?);
    keeper.batch_execute("COMMIT")?;
    for outage in &outages {
        setting.sink.wait_for_status(&outage.labels(), "resolved", LIMIT)?;
    }
    check_the_breakers(&mut client)
}
