//! Of one alert the newer state never arrives before the older one, whatever fails on the way: a receiver that hears of a fire
//! after the resolve that followed it would raise the alert again.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Answer, Heard, Mode, RecordingEndpoint, wait_until};
use costsim_server_tests::{LIMIT, Site, one, set_everywhere, wait_for};
use fastrand::Rng;
use postgres::Client;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SESSIONS: usize = 6;

/// So many transitions of so many alerts, by sessions that go no faster than requests arrive: what is not seen on the way proves
/// nothing.
#[derive(Clone, Copy)]
struct Flap {
    transitions: usize,
    fingerprints: usize,
    /// A session's transitions for each request that has arrived.
    pace: usize,
    batch_size: usize,
    /// Failures of each endpoint in a thousand requests.
    failures: &'static [u32],
}

fn faulty_endpoints(failures: &[u32], rng: &mut Rng) -> Result<(Vec<RecordingEndpoint>, String)> {
    let endpoints =
        failures.iter().map(|&failures| faulty_endpoint(failures, rng)).collect::<Result<Vec<_>>>()?;
    let urls: Vec<String> = endpoints.iter().map(RecordingEndpoint::url).collect();
    Ok((endpoints, urls.join(",")))
}

const NOTHING_IS_LEFT: &str = "
    SELECT (SELECT pending = 0 AND failed = 0 AND unsent = 0 FROM costsim_alert_queue_stats())
       AND NOT EXISTS (SELECT FROM costsim_alert_queue WHERE owed_to IS NOT NULL)
       AND NOT EXISTS (SELECT FROM costsim_alerts WHERE owed_to IS NOT NULL)";

/// Takes most requests, each after a short while, and fails the others in one way or another, the very first among them.
fn faulty_endpoint(failures_in_a_thousand: u32, rng: &mut Rng) -> Result<RecordingEndpoint> {
    let (mut rng, mut is_first) = (rng.fork(), true);
    RecordingEndpoint::answering(move |_| {
        if std::mem::take(&mut is_first) {
            return Answer::status(500);
        }
        let pause = Duration::from_micros(rng.u64(..8_000));
        match rng.u32(..1_000) {
            chance if chance >= failures_in_a_thousand => Answer::status(200).after(pause),
            chance if chance % 4 == 0 => Answer::hang_up(),
            _ => Answer::status(500).after(pause),
        }
    })
}

fn rng() -> Rng {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    Rng::with_seed(seed)
}

/// Arrivals that are older than what had arrived before them of the same labels. An alert that fires comes before its end, and its
/// end before the next start. Where there is one, the number a client gave while nobody else could change the alert says the same.
fn anachronisms<'a>(heard: impl IntoIterator<Item = &'a Heard>) -> Vec<String> {
    let mut newest: HashMap<&BTreeMap<String, String>, (&Heard, u64)> = HashMap::new();
    let mut found = Vec::new();
    for one in heard {
        let number = one.annotations.get("number").and_then(|number| number.parse().ok()).unwrap_or_default();
        let Some((before, before_number)) = newest.get(&one.labels).copied() else {
            newest.insert(&one.labels, (one, number));
            continue;
        };
        // Two states of one moment: the end is the newer one.
        let is_older = (&one.starts_at, one.is_resolved()) < (&before.starts_at, before.is_resolved())
            || !one.is_resolved() && before.is_resolved() && one.starts_at < before.ends_at
            || number < before_number
            || number == before_number && number > 0 && before.is_resolved() && !one.is_resolved();
        if is_older {
            found.push(format!("{one:?} after {before:?}"));
        }
        newest.insert(&one.labels, (one, number));
    }
    found
}

/// The statement of one transition. The number is drawn while nobody else can change the alert.
fn transition(fingerprint: usize, is_fire: bool, is_numbered: bool) -> String {
    let labels = format!(r#"{{"alertname": "Flap", "kind": "{is_numbered}", "which": "{fingerprint}"}}"#);
    if !is_fire {
        return format!("SELECT costsim_resolve_alert('{labels}')");
    }
    if !is_numbered {
        return format!("SELECT costsim_fire_alert('{labels}')");
    }
    format!(
        "BEGIN; SELECT pg_advisory_xact_lock(1, {fingerprint});
         SELECT costsim_fire_alert('{labels}', jsonb_build_object('number', nextval('numbers')::text)); COMMIT"
    )
}

/// A session's share of the transitions.
fn flap(mut client: Client, mut rng: Rng, plan: Flap, requests: impl Fn() -> usize) -> Result<()> {
    for done in 0..plan.transitions / SESSIONS {
        if done.is_multiple_of(plan.pace) {
            wait_until(LIMIT, "requests", || Ok((requests() >= done / plan.pace).then_some(())))
                .with_context(|| format!("after {done} transitions"))?;
        }
        let fingerprint = rng.usize(..plan.fingerprints);
        client.batch_execute(&transition(fingerprint, rng.bool(), fingerprint.is_multiple_of(2)))?;
    }
    Ok(())
}

/// What Alertmanager would believe, against what the rows say.
fn final_states_agree(client: &mut Client, heard: &[Heard], fingerprints: usize) -> Result<()> {
    let mut last: HashMap<(&str, &str), &Heard> = HashMap::new();
    for one in heard.iter().filter(|one| one.is_accepted) {
        last.insert((one.label("kind"), one.label("which")), one);
    }
    let moment = r#"'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"#;
    let rows = client.query(
        &format!(
            "SELECT labels ->> 'kind', labels ->> 'which', resolved_at IS NOT NULL,
                    to_char(starts_at AT TIME ZONE 'UTC', {moment}), to_char(resolved_at AT TIME ZONE 'UTC', {moment})
               FROM costsim_alerts"
        ),
        &[],
    )?;
    assert_eq!(rows.len(), fingerprints);
    for row in &rows {
        let name: (&str, &str) = (row.get(0), row.get(1));
        let one = last.get(&name).with_context(|| format!("{name:?} was never taken"))?;
        assert_eq!((one.is_resolved(), one.starts_at.as_str()), (row.get(2), row.get(3)), "{name:?}");
        if let Some(resolved_at) = row.get::<_, Option<&str>>(4) {
            assert_eq!(one.ends_at, resolved_at, "{name:?}");
        }
    }
    Ok(())
}

fn fired_states_keep_their_order(plan: Flap) -> Result<()> {
    let mut rng = rng();
    let (endpoints, urls) = faulty_endpoints(plan.failures, &mut rng)?;
    let builder = Site::builder(&urls)
        .conf("costsim.alert_resend_interval", "1s")
        .conf("costsim.alert_batch_size", &plan.batch_size.to_string());
    let site = Site::start(builder)?;
    let mut client = site.connect()?;
    client.batch_execute("CREATE SEQUENCE numbers")?;
    thread::scope(|scope| {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let (client, rng, endpoints) = (site.connect()?, rng.fork(), &endpoints);
            let requests = || endpoints.iter().map(RecordingEndpoint::requests).min().unwrap_or_default();
            sessions.push(scope.spawn(move || flap(client, rng, plan, requests)));
        }
        let join = |session: thread::ScopedJoinHandle<'_, Result<()>>| {
            session.join().map_err(|_| anyhow!("a session has panicked"))?
        };
        sessions.into_iter().try_for_each(join)
    })?;
    wait_for(&mut client, "all to be heard everywhere", NOTHING_IS_LEFT)?;
    for endpoint in &endpoints {
        let heard = endpoint.heard();
        let found = anachronisms(&heard);
        ensure!(found.is_empty(), "{} of {}, the first: {}", found.len(), heard.len(), found[0]);
        final_states_agree(&mut client, &heard, plan.fingerprints)?;
        let most = most_of_a_request(&heard);
        ensure!(most <= plan.batch_size, "{most} alerts in a request");
        // What was not put to the test would not have been shown.
        let count = |is_accepted: bool, is_resolved: bool| {
            heard
                .iter()
                .filter(|one| (one.is_accepted, one.is_resolved()) == (is_accepted, is_resolved))
                .count()
        };
        let counts = [count(true, true), count(true, false), count(false, true), count(false, false)];
        println!("{} requests, {} arrivals: {counts:?}", endpoint.requests(), heard.len());
        ensure!(counts[..2].iter().all(|&count| count > plan.fingerprints), "{counts:?}");
        ensure!(counts[2] + counts[3] > 0, "nothing has failed: {counts:?}");
    }
    Ok(())
}

#[test]
fn newer_state_never_arrives_before_an_older_one_in_twenty_thousand_transitions() -> Result<()> {
    let (transitions, fingerprints, pace) = (20_000, 36, 20);
    fired_states_keep_their_order(Flap { transitions, fingerprints, pace, batch_size: 256, failures: &[60] })
}

#[test]
fn newer_state_never_arrives_before_an_older_one_in_batches_of_seven() -> Result<()> {
    let (transitions, fingerprints, pace) = (3_000, 20, 4);
    fired_states_keep_their_order(Flap { transitions, fingerprints, pace, batch_size: 7, failures: &[60] })
}

#[test]
fn newer_state_never_arrives_before_an_older_one_one_by_one() -> Result<()> {
    let (transitions, fingerprints, pace) = (1_500, 6, 2);
    fired_states_keep_their_order(Flap { transitions, fingerprints, pace, batch_size: 1, failures: &[60] })
}

#[test]
fn newer_state_never_arrives_before_an_older_one_at_either_of_two_targets() -> Result<()> {
    let (transitions, fingerprints, pace) = (3_000, 20, 10);
    fired_states_keep_their_order(Flap {
        transitions,
        fingerprints,
        pace,
        batch_size: 12,
        failures: &[30, 150],
    })
}

/// The check itself has to see what it is there for.
#[test]
fn fire_that_comes_late_is_seen_by_the_check() {
    let post = |starts_at: &str, ends_at: &str| Heard {
        request: 0,
        arrived_at: "2026-01-01T12:00:00.000000Z".to_owned(),
        is_accepted: true,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        starts_at: format!("2026-01-01T{starts_at}.000000Z"),
        ends_at: format!("2026-01-01T{ends_at}.000000Z"),
    };
    let (fire, resolve, again) =
        (post("10:00:00", "12:04:00"), post("10:00:00", "11:00:00"), post("11:30:00", "12:04:00"));
    let in_time = [fire.clone(), fire.clone(), resolve.clone(), resolve.clone(), again.clone()];
    assert!(anachronisms(&in_time).is_empty());
    assert_eq!(anachronisms(&[resolve.clone(), fire.clone()]).len(), 1);
    assert_eq!(anachronisms(&[again.clone(), resolve]).len(), 1);
    assert_eq!(anachronisms(&[again, fire]).len(), 1);
}

/// Ready payloads that fire and resolve the same labels, over receivers that fail many a request.
struct Backlog {
    batch_size: usize,
    labels: usize,
    failures: &'static [u32],
    /// How long an annotation each of them carries.
    text: usize,
}

/// Payloads of round `round` fire or resolve on the `round`th.
const RAISE: &str = r#"
    CREATE FUNCTION raise(which integer, round integer, is_over boolean, text text = '') RETURNS bigint LANGUAGE sql AS $$
      SELECT costsim_enqueue_alert(jsonb_build_array(jsonb_build_object(
          'labels', jsonb_build_object('alertname', 'Queued', 'which', which::text),
          'annotations', jsonb_build_object('text', text),
          'startsAt', format('2020-01-0%sT00:00:00.000000Z', round),
          'endsAt', CASE WHEN is_over THEN format('2020-01-0%sT12:00:00.000000Z', round) ELSE '2999-01-01T00:00:00.000000Z' END)), 'order')
    $$"#;

fn queue_keeps_its_order(backlog: &Backlog) -> Result<()> {
    let Backlog { batch_size, labels, failures, text } = *backlog;
    let mut rng = rng();
    let (endpoints, urls) = faulty_endpoints(failures, &mut rng)?;
    let builder = Site::builder("").conf("costsim.alert_batch_size", &batch_size.to_string());
    let site = Site::start(builder)?;
    let mut client = site.connect()?;
    // For every label set: it fires, it is over, it fires again, it is over. In between come others.
    client.batch_execute(&format!(
        "{RAISE};
         SELECT raise(which, round, is_over, repeat('x', {text}))
           FROM (SELECT * FROM generate_series(1, 2) round, (VALUES (false), (true)) v(is_over), generate_series(1, {labels}) which
                  ORDER BY round, is_over, which) rows"
    ))?;
    set_everywhere(&site.cluster, "costsim.alertmanager_url", &urls)?;
    wait_for(&mut client, "all to be sent everywhere", NOTHING_IS_LEFT)?;
    let sent: i64 = one(&mut client, "SELECT sent FROM costsim_alert_queue_stats()")?;
    assert_eq!(sent, 4 * labels as i64);

    for endpoint in &endpoints {
        let heard = endpoint.heard();
        let failed = heard.iter().filter(|one| !one.is_accepted).count();
        ensure!(failed > 0, "nothing has failed, so nothing was shown");
        let most = most_of_a_request(&heard);
        ensure!(most <= batch_size, "{most} alerts in a request");
        // What was refused has not changed anything there; it comes again, and what was behind it in its batch with it.
        let accepted: Vec<&Heard> = heard.iter().filter(|one| one.is_accepted).collect();
        let found = anachronisms(accepted.iter().copied());
        ensure!(found.is_empty(), "{} of {}, the first: {}", found.len(), accepted.len(), found[0]);
        // Over all that has arrived, taken or not, each alert ends as it was said last.
        for which in 1..=labels {
            let of_one: Vec<&Heard> =
                heard.iter().filter(|one| one.label("which") == which.to_string()).collect();
            ensure!(of_one.len() >= 4, "{which} was told {} times", of_one.len());
            let last = of_one[of_one.len() - 1];
            let state = (last.starts_at.as_str(), last.is_resolved());
            assert_eq!(state, ("2020-01-02T00:00:00.000000Z", true), "{which}");
        }
    }
    Ok(())
}

/// Whoever goes through the queue by its numbers passes this one by before it can be seen.
#[test]
fn alert_of_a_long_transaction_arrives_while_later_ones_keep_coming() -> Result<()> {
    let endpoint = RecordingEndpoint::answering(|_| Answer::status(200).after(Duration::from_millis(5)))?;
    let site = Site::start(Site::builder(&endpoint.url()).conf("costsim.alert_batch_size", "8"))?;
    let (mut client, mut late) = (site.connect()?, site.connect()?);
    client.batch_execute(RAISE)?;
    late.batch_execute(
        r#"BEGIN; SELECT raise(0, 1, false), costsim_fire_alert('{"alertname": "Fired", "which": "0"}')"#,
    )?;
    let flood = "SELECT raise(n, 1, false) FROM generate_series(1, 200) n";
    client.batch_execute(&format!("{flood}; {flood}; {flood}"))?;
    site.during(flood, || {
        endpoint.wait_until(LIMIT, "some of the flood", |heard| heard.len() > 100)?;
        late.batch_execute("COMMIT")?;
        endpoint.wait_until(LIMIT, "the late ones", |heard| {
            heard.iter().filter(|one| one.label("which") == "0").count() == 2
        })?;
        let left: i64 = one(&mut client, "SELECT pending FROM costsim_alert_queue_stats()")?;
        ensure!(left > 100, "the flood was over: {left}");
        Ok(())
    })
}

/// A line per request, for whoever has to find out: which alert, and whether it was its end or was refused.
fn story(heard: &[Heard]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for one in heard {
        lines.resize(one.request + 1, String::new());
        let end = if one.is_resolved() { " over" } else { "" };
        let refused = if one.is_accepted { "" } else { " refused" };
        lines[one.request] += &format!("{}{end}{refused}, ", one.label("which"));
    }
    lines.join("\n")
}

fn most_of_a_request(heard: &[Heard]) -> usize {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for one in heard {
        *counts.entry(one.request).or_default() += 1;
    }
    counts.into_values().max().unwrap_or_default()
}

#[test]
fn queued_payloads_of_the_same_labels_keep_their_order_through_failed_batches() -> Result<()> {
    queue_keeps_its_order(&Backlog { batch_size: 256, labels: 200, failures: &[500], text: 0 })
}

#[test]
fn queued_payloads_keep_their_order_in_batches_of_seven() -> Result<()> {
    queue_keeps_its_order(&Backlog { batch_size: 7, labels: 10, failures: &[400], text: 0 })
}

#[test]
fn queued_payloads_keep_their_order_one_by_one() -> Result<()> {
    queue_keeps_its_order(&Backlog { batch_size: 1, labels: 4, failures: &[400], text: 0 })
}

#[test]
fn large_payloads_keep_their_order() -> Result<()> {
    queue_keeps_its_order(&Backlog { batch_size: 2, labels: 4, failures: &[400], text: 1_500 })
}

#[test]
fn queued_payloads_keep_their_order_at_either_of_two_targets() -> Result<()> {
    queue_keeps_its_order(&Backlog { batch_size: 7, labels: 12, failures: &[100, 400], text: 0 })
}

/// The receiver stumbles over one alert for a while. Others pass it, what is said of the same labels later does not.
fn nothing_passes_what_is_put_aside(batch_size: usize, text: usize) -> Result<()> {
    let others = 40;
    let is_well = Arc::new(AtomicBool::new(false));
    let endpoint = RecordingEndpoint::answering({
        let is_well = is_well.clone();
        move |alerts| {
            let stumbles = alerts.iter().any(|one| one.label("which") == "1" && !one.is_resolved());
            Answer::status(if stumbles && !is_well.load(Ordering::Relaxed) { 500 } else { 200 })
        }
    })?;
    let site = Site::start(Site::builder("").conf("costsim.alert_batch_size", &batch_size.to_string()))?;
    set_everywhere(&site.cluster, "costsim.alertmanager_url", &endpoint.url())?;
    let mut client = site.connect()?;
    client.batch_execute(RAISE)?;
    client.batch_execute(&format!(
        "SELECT raise(which, 1, is_over, repeat('x', {text}))
           FROM (SELECT * FROM (VALUES (false), (true)) v(is_over), generate_series(1, {others}) which ORDER BY is_over, which) rows"
    ))?;
    let accepted = |which: &str| {
        endpoint.look(|heard| {
            let of_one = heard.iter().filter(|one| one.is_accepted && one.label("which") == which);
            of_one.map(Heard::is_resolved).collect::<Vec<bool>>()
        })
    };
    wait_for(
        &mut client,
        "all others to be sent",
        "SELECT bool_and(status = 'sent') FROM costsim_alert_queue WHERE payload #>> '{0,labels,which}' <> '1'",
    )?;
    wait_for(
        &mut client,
        "the one to have failed three times",
        "SELECT max(attempts) >= 3 FROM costsim_alert_queue WHERE status = 'pending'",
    )?;
    ensure!(accepted("1").is_empty(), "its end has passed it:\n{}", endpoint.look(story));
    is_well.store(true, Ordering::Relaxed);
    wait_for(&mut client, "all to be sent", NOTHING_IS_LEFT)?;
    for which in 1..=others {
        assert_eq!(accepted(&which.to_string()), [false, true], "{which}: whether each arrival was the end");
    }
    Ok(())
}

#[test]
fn end_does_not_overtake_its_beginning_that_is_put_aside() -> Result<()> {
    nothing_passes_what_is_put_aside(16, 0)
}

#[test]
fn large_end_does_not_overtake_its_large_beginning_that_is_put_aside() -> Result<()> {
    nothing_passes_what_is_put_aside(16, 1_500)
}

/// A receiver asks for a pause, once, and meanwhile something happens. The end that is queued then must not be heard before the
/// beginning, which waits. Together with something else: what fails alone is put aside, which is another way to wait.
fn end_waits_for_its_beginning(while_it_waits: impl FnOnce(&Site, &mut Client) -> Result<()>) -> Result<()> {
    let mut answers = vec![Answer::status(503).header("retry-after", "5")];
    let endpoint = RecordingEndpoint::answering(move |_| answers.pop().unwrap_or(200.into()))?;
    let site = Site::start(Site::builder(""))?;
    set_everywhere(&site.cluster, "costsim.alertmanager_url", &endpoint.url())?;
    let mut client = site.connect()?;
    client
        .batch_execute(&format!("{RAISE}; BEGIN; SELECT raise(1, 1, false), raise(2, 1, false); COMMIT"))?;
    wait_for(
        &mut client,
        "the pause",
        "SELECT bool_and(attempts = 1 AND next_attempt_at > clock_timestamp() + '3 s') FROM costsim_alert_queue",
    )?;
    while_it_waits(&site, &mut client)?;
    let mut client = wait_until(LIMIT, "the server", || site.connect().map(Some))?;
    client.batch_execute("SELECT raise(1, 1, true)")?;
    wait_for(&mut client, "all to be sent", NOTHING_IS_LEFT)?;
    let is_over: Vec<bool> = endpoint.look(|heard| {
        let taken = heard.iter().filter(|one| one.is_accepted && one.label("which") == "1");
        taken.map(Heard::is_resolved).collect()
    });
    assert_eq!(is_over, [false, true], "whether each arrival was the end:\n{}", endpoint.look(story));
    Ok(())
}

#[test]
fn end_does_not_overtake_its_beginning_that_waits() -> Result<()> {
    end_waits_for_its_beginning(|_, _| Ok(()))
}

#[test]
fn end_does_not_overtake_its_beginning_that_waits_while_settings_are_reloaded() -> Result<()> {
    end_waits_for_its_beginning(|site, _| set_everywhere(&site.cluster, "costsim.alert_max_backoff", "2s"))
}

#[test]
fn end_does_not_overtake_its_beginning_that_waits_while_the_worker_is_replaced() -> Result<()> {
    end_waits_for_its_beginning(|_, client| {
        let pid = Site::worker_pid(client)?;
        Site::time_to_end(client, pid)?;
        wait_until(LIMIT, "another worker", || Ok((Site::worker_pid(client)? != pid).then_some(())))
    })
}

#[test]
fn end_does_not_overtake_its_beginning_that_waits_while_the_server_is_restarted() -> Result<()> {
    end_waits_for_its_beginning(|site, _| site.cluster.restart(Mode::Fast))
}

/// What was taken and could not be written down comes again from the next worker. Nothing newer may have gone before it then.
#[test]
fn end_is_heard_last_though_the_worker_ends_before_it_could_write_down_the_beginning() -> Result<()> {
    let endpoint = RecordingEndpoint::start()?;
    let site = Site::start(Site::builder(""))?;
    set_everywhere(&site.cluster, "costsim.alertmanager_url", &endpoint.url())?;
    let (mut client, mut locker) = (site.connect()?, site.connect()?);
    client.batch_execute(RAISE)?;
    endpoint.hold();
    client.batch_execute("SELECT raise(1, 1, false)")?;
    endpoint.wait_for_held(LIMIT)?;
    locker.batch_execute("BEGIN; SELECT FROM costsim_alert_queue FOR UPDATE")?;
    endpoint.release();
    client.batch_execute("SELECT raise(2, 1, false), raise(1, 1, true)")?;
    wait_for(
        &mut client,
        "something else to be sent",
        "SELECT status = 'sent' FROM costsim_alert_queue WHERE payload #>> '{0,labels,which}' = '2'",
    )?;
    let pid = Site::worker_pid(&mut client)?;
    Site::time_to_end(&mut client, pid)?;
    wait_until(LIMIT, "the next worker to tell it again", || {
        Ok(endpoint
            .look(|heard| heard.iter().filter(|one| one.label("which") == "1").count() >= 2)
            .then_some(()))
    })?;
    locker.batch_execute("ROLLBACK")?;
    wait_for(&mut client, "all to be sent", NOTHING_IS_LEFT)?;
    let last =
        endpoint.look(|heard| heard.iter().rfind(|one| one.label("which") == "1").map(Heard::is_resolved));
    assert_eq!(last, Some(true), "whether the last word was the end:\n{}", endpoint.look(story));
    Ok(())
}
