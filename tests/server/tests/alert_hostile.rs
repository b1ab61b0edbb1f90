//! Receivers that are ill, wrong or hostile: each costs an attempt its time, some memory and nothing else. Nothing is lost,
//! the status says what is wrong, and no secret comes back.

use anyhow::{Context, Result, bail, ensure};
use costsim_harness::{Authority, Deed, HostileEndpoint, Request, wait_until};
use costsim_server_tests::secrets::{beside_the_data, is_shown_nowhere, secret_file};
use costsim_server_tests::{LIMIT, Site, one, set, wait_for};
use postgres::Client;
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What `costsim.alertmanager_timeout` is here.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What `costsim.alert_max_backoff` is here.
const BACKOFF: Duration = Duration::from_secs(1);

/// What a loaded machine may add to both.
const MARGIN: Duration = Duration::from_secs(3);

/// How much a worker may grow, whatever it is sent.
const MOST_MEMORY: u64 = 16 << 20;

/// What an answer may be let write: what is read of it, and what the buffers of the machine hold.
const MOST_WRITTEN: u64 = 4 << 20;

/// What the endpoint does just now, and what it has seen.
#[derive(Default)]
struct Mood {
    /// None takes everything.
    deed: Option<Deed>,
    /// When a request came that the deed was done to.
    suffered: Vec<Instant>,
    /// The names of the alerts that were taken.
    taken: BTreeSet<String>,
}

struct Trial {
    site: Site,
    client: Client,
    endpoint: HostileEndpoint,
    mood: Arc<Mutex<Mood>>,
    raised: usize,
}

fn lock(mood: &Mutex<Mood>) -> MutexGuard<'_, Mood> {
    mood.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The values of the label `n` in a request.
fn names(request: &Request) -> Vec<String> {
    let alerts = request.json().unwrap_or_default();
    let alerts = alerts.as_array().into_iter().flatten();
    alerts.filter_map(|alert| alert["labels"]["n"].as_str().map(str::to_owned)).collect()
}

fn is_success(deed: &Deed) -> bool {
    match *deed {
        Deed::Reply { status, .. }
        | Deed::HangAfterHead(status)
        | Deed::DripBody { status, .. }
        | Deed::EndlessBody(status)
        | Deed::ShortBody(status)
        | Deed::LongBody(status)
        | Deed::GzipBomb { status, .. } => (200..300).contains(&status),
        _ => false,
    }
}

impl Trial {
    fn start(endpoint: HostileEndpoint) -> Result<Self> {
        let builder = Site::builder("")
            .conf("costsim.alertmanager_timeout", "1s")
            .conf("costsim.alert_resend_interval", "1h");
        let site = Site::start(builder)?;
        let mut client = site.connect()?;
        // After a reload the worker begins anew, and asks at once whomever it would leave alone. Once it knows its target no
        // reload is on its way any more.
        set(&mut client, "costsim.alertmanager_url", &endpoint.url())?;
        wait_for(
            &mut client,
            "the worker to know its target",
            "SELECT count(*) = 1 FROM costsim_alert_targets",
        )?;
        let mood = Arc::<Mutex<Mood>>::default();
        endpoint.decides({
            let mood = mood.clone();
            move |request| {
                let mut mood = lock(&mood);
                let deed = mood.deed.clone();
                if deed.is_some() {
                    mood.suffered.push(Instant::now());
                }
                let deed = deed.unwrap_or(Deed::status(200));
                if is_success(&deed) {
                    mood.taken.extend(names(request));
                }
                deed
            }
        });
        Ok(Self { site, client, endpoint, mood, raised: 0 })
    }

    fn feel(&self, deed: Option<Deed>) {
        let mut mood = lock(&self.mood);
        mood.deed = deed;
        mood.suffered.clear();
    }

    /// Alerts of both kinds in one transaction.
    fn raise(&mut self) -> Result<BTreeSet<String>> {
        self.raised += 1;
        let raised: BTreeSet<String> = (1..=4).map(|number| format!("{}-{number}", self.raised)).collect();
        let mut batch = String::from("BEGIN;");
        for (name, is_fired) in raised.iter().zip([true, false, false, false]) {
            let labels = format!(r#"{{"alertname": "a", "n": "{name}"}}"#);
            batch += &if is_fired {
                format!("SELECT costsim_fire_alert('{labels}');")
            } else {
                format!("SELECT costsim_enqueue_alert('[{{\"labels\": {labels}}}]', 'test');")
            };
        }
        self.client.batch_execute(&(batch + "COMMIT"))?;
        Ok(raised)
    }

    /// Waits until so many attempts in a row have failed and the status says why.
    fn wait_for_trouble(&mut self, failures: i32, words: &str) -> Result<()> {
        let query =
            "SELECT t.failures, t.state, t.last_error, s.trouble, w.trouble, s.targets_failing::integer
                       FROM costsim_alert_targets t, costsim_alert_status s, costsim_worker_status() w
                      WHERE w.database = current_database()";
        wait_until(LIMIT, &format!("{failures} failures and {words:?}"), || {
            let row = self.client.query_one(query, &[])?;
            let (count, state): (i32, &str) = (row.get(0), row.get(1));
            let texts: [Option<&str>; 3] = [row.get(2), row.get(3), row.get(4)];
            let says_it = |text: &Option<&str>| text.is_some_and(|text| text.contains(words));
            let failing: i32 = row.get(5);
            if count < failures || state != "failing" || failing != 1 || !texts.iter().all(says_it) {
                bail!("{count} failures, {state}, {failing} failing: {texts:?}");
            }
            Ok(Some(()))
        })
    }

    /// Waits until everything raised is taken, and written down as such.
    fn wait_until_taken(&mut self, raised: &BTreeSet<String>) -> Result<()> {
        wait_until(LIMIT, "every alert to arrive", || {
            let mood = lock(&self.mood);
            let missing: Vec<&String> = raised.difference(&mood.taken).collect();
            if !missing.is_empty() {
                bail!("{missing:?} have not arrived");
            }
            Ok(Some(()))
        })?;
        wait_for(
            &mut self.client,
            "every row to be settled",
            "SELECT pending = 0 AND unsent = 0 AND failed = 0 FROM costsim_alert_queue_stats()",
        )
    }

    /// Two attempts fail, on time and for the reason that the status names; once the receiver is well everything
    /// arrives. Answers how many bytes an attempt let the receiver write.
    fn fails(&mut self, deed: Deed, words: &str) -> Result<u64> {
        let case = format!("{deed:?}").chars().take(60).collect::<String>();
        let pid = Site::worker_pid(&mut self.client)?;
        let memory = Memory::watch(pid)?;
        let before = self.endpoint.written();
        self.feel(Some(deed));
        let raised = self.raise()?;
        self.wait_for_trouble(2, words).with_context(|| case.clone())?;
        let (written, suffered) = (self.endpoint.written() - before, lock(&self.mood).suffered.clone());
        self.feel(None);
        self.wait_until_taken(&raised).with_context(|| case.clone())?;
        for pair in suffered.windows(2) {
            let apart = pair[1] - pair[0];
            ensure!(apart < TIMEOUT + BACKOFF + MARGIN, "{case}: one attempt and its pause took {apart:?}");
        }
        // What has been taken leaves one connection, which may be used again.
        wait_until(LIMIT, "what was hostile to be left", || match self.endpoint.open() {
            0 | 1 => Ok(Some(())),
            open => bail!("{case}: {open} are open"),
        })?;
        let grown = memory.growth()?;
        ensure!(grown < MOST_MEMORY, "{case}: the worker has grown by {grown} bytes");
        ensure!(Site::worker_pid(&mut self.client)? == pid, "{case}: it is another worker");
        self.what_is_stored_is_short()?;
        Ok(written / suffered.len().max(1) as u64)
    }

    /// One attempt succeeds, although its answer does not end well.
    fn succeeds(&mut self, deed: Deed) -> Result<()> {
        let case = format!("{deed:?}").chars().take(60).collect::<String>();
        let pid = Site::worker_pid(&mut self.client)?;
        let memory = Memory::watch(pid)?;
        let before = self.endpoint.written();
        self.feel(Some(deed));
        let raised = self.raise()?;
        self.wait_until_taken(&raised).with_context(|| case.clone())?;
        let suffered = lock(&self.mood).suffered.clone();
        let took = suffered.first().context("no request")?.elapsed();
        ensure!(took < TIMEOUT + MARGIN, "{case}: {took:?}");
        ensure!(suffered.len() == 1, "{case}: {} requests", suffered.len());
        wait_until(LIMIT, "what was hostile to be left", || match self.endpoint.open() {
            0 => Ok(Some(())),
            open => bail!("{case}: {open} are open"),
        })?;
        let written = self.endpoint.written() - before;
        ensure!(written < MOST_WRITTEN, "{case}: {written} bytes could be written");
        let grown = memory.growth()?;
        ensure!(grown < MOST_MEMORY, "{case}: the worker has grown by {grown} bytes");
        let query = "SELECT failures = 0 AND state = 'ok' AND response_code = 200 FROM costsim_alert_targets";
        ensure!(one::<bool>(&mut self.client, query)?, "{case}: the target counts as failing");
        self.feel(None);
        Ok(())
    }

    fn what_is_stored_is_short(&mut self) -> Result<()> {
        let query = "SELECT coalesce(max(octet_length(last_error)), 0)
                       FROM (SELECT last_error FROM costsim_alert_queue UNION ALL SELECT last_error FROM costsim_alerts
                             UNION ALL SELECT last_error FROM costsim_alert_targets
                             UNION ALL SELECT last_error FROM costsim_worker_status()
                             UNION ALL SELECT trouble FROM costsim_worker_status()) x";
        let longest: i32 = one(&mut self.client, query)?;
        ensure!(longest <= 2048, "{longest} bytes are stored");
        Ok(())
    }

    /// So many rows in one transaction, so that one request brings them all; the label `n` counts them.
    fn enqueue_many(&mut self, rows: usize, poisoned: usize) -> Result<BTreeSet<String>> {
        let statement = "INSERT INTO costsim_alert_queue (payload, alert_type)
            SELECT jsonb_build_array(jsonb_build_object('labels', jsonb_build_object('alertname', 'a', 'n', n::text,
                       'kind', CASE n WHEN $2 THEN 'poison' ELSE 'food' END))), 'test' FROM generate_series(1, $1) n";
        self.client.execute(statement, &[&i32::try_from(rows)?, &i32::try_from(poisoned)?])?;
        Ok((1..=rows).map(|number| number.to_string()).collect())
    }

    fn counts(&mut self) -> Result<(i64, i64, i64)> {
        let row =
            self.client.query_one("SELECT pending, sent, failed FROM costsim_alert_queue_stats()", &[])?;
        Ok((row.get(0), row.get(1), row.get(2)))
    }

    /// From now on the answer depends on the request.
    fn decides(&self, script: impl FnMut(&Request) -> Deed + Send + 'static) {
        let (mood, mut script) = (self.mood.clone(), script);
        self.endpoint.decides(move |request| {
            let deed = script(request);
            if is_success(&deed) {
                lock(&mood).taken.extend(names(request));
            }
            deed
        });
    }
}

fn is_poisoned(request: &Request) -> bool {
    String::from_utf8_lossy(&request.body).contains("poison")
}

fn alerts_in(request: &Request) -> usize {
    request.json().ok().and_then(|alerts| alerts.as_array().map(Vec::len)).unwrap_or(0)
}

/// How much memory a process takes more than when this was made, at the most.
struct Memory {
    pid: i32,
    before: u64,
}

impl Memory {
    fn watch(pid: i32) -> Result<Self> {
        // From now on the kernel remembers the peak anew.
        fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        Ok(Self { pid, before: Self::read(pid, "VmRSS:")? })
    }

    fn growth(&self) -> Result<u64> {
        Ok(Self::read(self.pid, "VmHWM:")?.saturating_sub(self.before))
    }

    fn read(pid: i32, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)).context(name.to_owned())?;
        let kilobytes: u64 = value.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes << 10)
    }
}

#[test]
fn receiver_that_keeps_silent_costs_an_attempt_its_time_and_nothing_else() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    let pause = Duration::from_millis(200);
    trial.fails(Deed::Hang, "no answer within 1 s")?;
    trial.fails(Deed::DripHead { status: 200, pause }, "no answer within 1 s")?;
    trial.fails(Deed::HangAfterHead(500), "HTTP 500")?;
    trial.fails(Deed::DripBody { status: 500, pause }, "HTTP 500")?;
    Ok(())
}

#[test]
fn receiver_that_floods_is_cut_off() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    for (deed, words) in [
        (Deed::EndlessBody(500), "HTTP 500"),
        (Deed::HugeHead { status: 200, bytes: 10 << 20 }, "head is too large"),
        (Deed::HugeHeader { status: 200, bytes: 10 << 20 }, "head is too large"),
        (Deed::GzipBomb { status: 500, unpacked: 64 << 20 }, "HTTP 500"),
    ] {
        let case = format!("{deed:?}");
        let written = trial.fails(deed, words)?;
        ensure!(written < MOST_WRITTEN, "{case}: {written} bytes could be written");
    }
    // These are read and forgotten, for as long as an attempt may take.
    trial.fails(Deed::EndlessInterim, "no answer within 1 s")?;
    Ok(())
}

#[test]
fn receiver_that_breaks_off_or_makes_no_sense_is_asked_again() -> Result<()> {
    let elsewhere = HostileEndpoint::start()?;
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    trial.fails(Deed::Reset, "reset by peer")?;
    trial.fails(Deed::ShortBody(500), "HTTP 500: out of order")?;
    trial.fails(Deed::LongBody(503), "HTTP 503: out of order")?;
    trial.fails(Deed::Gibberish, "invalid HTTP version")?;
    for status in [302, 307] {
        let location = format!("{}/api/v2/alerts", elsewhere.url());
        trial.fails(Deed::status(status).header("location", &location), &format!("HTTP {status}"))?;
    }
    assert_eq!(elsewhere.connections(), 0, "nobody is sent elsewhere");
    for status in [401, 404, 599] {
        trial.fails(
            Deed::status(status).body("<html>\n<b>no</b>"),
            &format!("HTTP {status}: <html> <b>no</b>"),
        )?;
    }
    Ok(())
}

#[test]
fn receiver_that_is_not_there_is_asked_until_it_is() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    let first = trial.raise()?;
    trial.wait_until_taken(&first)?;
    trial.endpoint.refuse();
    let connections = trial.endpoint.connections();
    let raised = trial.raise()?;
    trial.wait_for_trouble(2, "Connection refused")?;
    assert_eq!(trial.endpoint.connections(), connections);
    trial.endpoint.listen()?;
    trial.wait_until_taken(&raised)?;
    // Whether the look-up fails at once or takes all the time is up to the machine.
    set(&mut trial.client, "costsim.alertmanager_url", "http://no-such-host.invalid:9093")?;
    wait_for(
        &mut trial.client,
        "the worker to know its target",
        "SELECT count(*) = 1 AND bool_and(url LIKE '%no-such-host%') FROM costsim_alert_targets",
    )?;
    let raised = trial.raise()?;
    trial.wait_for_trouble(1, "")?;
    set(&mut trial.client, "costsim.alertmanager_url", &trial.endpoint.url())?;
    trial.wait_until_taken(&raised)
}

#[test]
fn success_counts_however_its_answer_goes_on() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    let warm = trial.raise()?;
    trial.wait_until_taken(&warm)?;
    for deed in [
        Deed::HangAfterHead(200),
        Deed::DripBody { status: 200, pause: Duration::from_millis(200) },
        Deed::EndlessBody(200),
        Deed::GzipBomb { status: 200, unpacked: 64 << 20 },
        Deed::ShortBody(200),
        Deed::LongBody(200),
    ] {
        trial.succeeds(deed)?;
    }
    Ok(())
}

#[test]
fn receiver_whose_certificate_is_not_trusted_is_told_nothing() -> Result<()> {
    let (known, unknown) = (Authority::new("known")?, Authority::new("unknown")?);
    for (endpoint, words) in [
        (HostileEndpoint::start_tls(|host| known.expired_server(host), None)?, "certificate expired"),
        (
            HostileEndpoint::start_tls(|_| known.server("elsewhere.example"), None)?,
            "certificate not valid for name",
        ),
        (HostileEndpoint::start_tls(|host| unknown.server(host), None)?, "UnknownIssuer"),
    ] {
        let good = HostileEndpoint::start_tls(|host| known.server(host), None)?;
        let mut trial = Trial::start(endpoint)?;
        let ca = beside_the_data(&trial.site.cluster, "ca.pem")?;
        fs::write(&ca, known.pem())?;
        let auth = secret_file(&trial.site.cluster, "auth", "bearer c4n4ry-of-tls")?;
        set(&mut trial.client, "costsim.alertmanager_auth_file", &auth)?;
        set(&mut trial.client, "costsim.alertmanager_ca_file", &ca.display().to_string())?;
        trial.raise()?;
        trial.wait_for_trouble(2, words)?;
        assert_eq!(trial.endpoint.count(), 0, "{words}: neither alerts nor secrets");
        assert_eq!(trial.counts()?, (3, 0, 0));
        set(&mut trial.client, "costsim.alertmanager_url", &good.url())?;
        wait_for(
            &mut trial.client,
            "delivery",
            "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()",
        )?;
        let requests = good.requests();
        let arrived: BTreeSet<String> = requests.iter().flat_map(names).collect();
        assert_eq!(arrived.len(), 4);
        assert!(
            requests.iter().all(|request| request.header("authorization") == Some("Bearer c4n4ry-of-tls"))
        );
        is_shown_nowhere(&trial.site.cluster, &mut trial.client, &["c4n4ry-of-tls"])?;
    }
    Ok(())
}

#[test]
fn system_certificates_count_unless_there_is_a_file_of_others() -> Result<()> {
    let authority = Authority::new("own")?;
    let mut trial = Trial::start(HostileEndpoint::start_tls(|host| authority.server(host), None)?)?;
    let raised = trial.raise()?;
    trial.wait_for_trouble(1, "UnknownIssuer")?;
    // Several in one file, the right one last.
    let ca = beside_the_data(&trial.site.cluster, "ca.pem")?;
    fs::write(&ca, format!("{}\n# ours\n{}", Authority::new("another")?.pem(), authority.pem()))?;
    set(&mut trial.client, "costsim.alertmanager_ca_file", &ca.display().to_string())?;
    trial.wait_until_taken(&raised)
}

#[test]
fn receiver_that_asks_for_a_certificate_is_shown_it() -> Result<()> {
    let (servers, clients) = (Authority::new("servers")?, Authority::new("clients")?);
    let mut trial = Trial::start(HostileEndpoint::start_tls(|host| servers.server(host), Some(&clients))?)?;
    let ca = beside_the_data(&trial.site.cluster, "ca.pem")?;
    fs::write(&ca, servers.pem())?;
    set(&mut trial.client, "costsim.alertmanager_ca_file", &ca.display().to_string())?;
    let raised = trial.raise()?;
    trial.wait_for_trouble(1, "CertificateRequired")?;
    let identity = clients.client("costsim")?;
    let cert = beside_the_data(&trial.site.cluster, "cert.pem")?;
    fs::write(&cert, &identity.certificate)?;
    let key = secret_file(&trial.site.cluster, "key.pem", &identity.key)?;
    // One without the other is a mistake that the status names; nothing is sent meanwhile.
    set(&mut trial.client, "costsim.alertmanager_cert_file", &cert.display().to_string())?;
    wait_until(LIMIT, "the worker to be blocked", || {
        let status = Site::worker_status(&mut trial.client)?;
        let is_named =
            status.trouble.as_ref().is_some_and(|trouble| trouble.contains("of no use without the other"));
        if status.state != "blocked" || !is_named {
            bail!("{status:?}");
        }
        Ok(Some(()))
    })?;
    assert_eq!(trial.endpoint.count(), 0);
    set(&mut trial.client, "costsim.alertmanager_key_file", &key)?;
    trial.wait_until_taken(&raised)?;
    let lines: Vec<&str> = identity.key.lines().filter(|line| !line.starts_with('-')).collect();
    is_shown_nowhere(&trial.site.cluster, &mut trial.client, &lines)
}

#[test]
fn one_bad_alert_among_many_is_found_in_few_requests() -> Result<()> {
    for (status, poisoned) in [(400, 1), (422, 129), (400, 256)] {
        let mut trial = Trial::start(HostileEndpoint::start()?)?;
        trial.decides(move |request| match is_poisoned(request) {
            true => Deed::status(status).body("bad label"),
            false => 200.into(),
        });
        let raised = trial.enqueue_many(256, poisoned)?;
        wait_for(
            &mut trial.client,
            "every row to be settled",
            "SELECT pending = 0 FROM costsim_alert_queue_stats()",
        )?;
        assert_eq!(trial.counts()?, (0, 255, 1));
        let row = trial.client.query_one(
            "SELECT payload -> 0 -> 'labels' ->> 'kind', response_code, last_error, attempts FROM costsim_alert_queue
              WHERE status = 'failed'",
            &[],
        )?;
        assert_eq!(row.get::<_, &str>(0), "poison");
        assert_eq!(row.get::<_, i32>(1), i32::from(status));
        assert!(row.get::<_, &str>(2).contains("bad label"), "{row:?}");
        assert_eq!(row.get::<_, i32>(3), 1);
        let mut good = raised;
        good.remove(&poisoned.to_string());
        assert_eq!(lock(&trial.mood).taken, good);
        let requests = trial.endpoint.count();
        assert!(requests <= 2 * 8 + 3, "{requests} requests to find one of 256");
        let asked: usize = trial.endpoint.requests().iter().map(alerts_in).sum();
        assert!(asked <= 3 * 256, "{asked} alerts in all requests");
    }
    Ok(())
}

#[test]
fn batch_that_is_too_large_is_split_until_it_fits() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    trial.decides(|request| if alerts_in(request) > 10 { 413.into() } else { 200.into() });
    let raised = trial.enqueue_many(256, 0)?;
    trial.wait_until_taken(&raised)?;
    assert_eq!(trial.counts()?, (0, 256, 0));
    let requests = trial.endpoint.count();
    assert!(requests <= 70, "{requests} requests");
    // One that is too large by itself stays too large.
    trial.decides(|_| 413.into());
    trial.enqueue_many(1, 0)?;
    wait_for(
        &mut trial.client,
        "it to fail",
        "SELECT failed = 1 AND pending = 0 FROM costsim_alert_queue_stats()",
    )?;
    assert_eq!(trial.endpoint.count(), requests + 1);
    Ok(())
}

#[test]
fn receiver_that_names_a_time_is_left_alone_until_then() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    // A date has whole seconds, so that it is up to one nearer than it was asked for; what is asked for is well beyond
    // the pause that the worker would make by itself.
    let date =
        r#"to_char((clock_timestamp() + '4 s') AT TIME ZONE 'UTC', 'Dy, DD Mon YYYY HH24:MI:SS "GMT"')"#;
    for (asked, least) in [("'3'", Duration::from_millis(2900)), (date, Duration::from_millis(1500))] {
        let asked: String = one(&mut trial.client, &format!("SELECT {asked}"))?;
        trial.feel(Some(Deed::status(429).header("retry-after", &asked).body("slow down")));
        let raised = trial.raise()?;
        trial.wait_for_trouble(1, "HTTP 429: slow down")?;
        // What is raised meanwhile wakes the worker, and is no reason to ask.
        trial.raise()?;
        let first = *lock(&trial.mood).suffered.first().context("no request")?;
        wait_until(
            LIMIT,
            "the second request",
            || Ok((lock(&trial.mood).suffered.len() >= 2).then_some(())),
        )?;
        let waited = lock(&trial.mood).suffered[1] - first;
        ensure!(waited >= least, "asked again after {waited:?} when told {asked}");
        trial.feel(None);
        trial.wait_until_taken(&raised)?;
    }
    Ok(())
}

#[test]
fn receiver_that_fails_for_long_loses_nothing() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    trial.feel(Some(Deed::status(500).body("database is on fire")));
    let mut raised = trial.enqueue_many(300, 0)?;
    raised.append(&mut trial.raise()?);
    // More attempts than a row has.
    wait_until(LIMIT * 2, "many refusals", || match lock(&trial.mood).suffered.len() {
        25.. => Ok(Some(())),
        count => bail!("{count} so far"),
    })?;
    trial.wait_for_trouble(10, "HTTP 500: database is on fire")?;
    assert_eq!(trial.counts()?, (303, 0, 0));
    raised.append(&mut trial.raise()?);
    trial.feel(None);
    trial.wait_until_taken(&raised)?;
    assert_eq!(trial.counts()?, (0, 306, 0));
    Ok(())
}

#[test]
fn row_that_always_fails_holds_no_other_up() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    trial.decides(|request| if is_poisoned(request) { 500.into() } else { 200.into() });
    let mut raised = trial.enqueue_many(40, 20)?;
    wait_for(
        &mut trial.client,
        "the others",
        "SELECT sent = 39 AND pending = 1 FROM costsim_alert_queue_stats()",
    )?;
    let others = trial.raise()?;
    wait_for(
        &mut trial.client,
        "later ones",
        "SELECT sent = 42 AND unsent = 0 FROM costsim_alert_queue_stats()",
    )?;
    raised.extend(others);
    let query =
        "SELECT payload -> 0 -> 'labels' ->> 'kind' FROM costsim_alert_queue WHERE status = 'pending'";
    assert_eq!(one::<String>(&mut trial.client, query)?, "poison");
    trial.decides(|_| 200.into());
    trial.wait_until_taken(&raised)
}

#[test]
fn receiver_that_sends_secrets_back_makes_none_seen() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    // The file, the header and its value, and what of it must not be seen: the first is sent back by itself, too.
    let cases = [
        ("bearer c4n4ry.bearer", "authorization", "Bearer c4n4ry.bearer", ["c4n4ry.bearer", "c4n4ry"]),
        (
            "basic ann:c4n4ry:p4ssw0rd é",
            "authorization",
            "Basic YW5uOmM0bjRyeTpwNHNzdzByZCDDqQ==",
            ["c4n4ry:p4ssw0rd é", "YW5uOmM0bjRy"],
        ),
        (
            "# for the proxy\nheader X-Api-Key: c4n4ry key",
            "x-api-key",
            "c4n4ry key",
            ["c4n4ry key", "c4n4ry"],
        ),
        ("header Authorization: Custom c4n4ry==", "authorization", "Custom c4n4ry==", ["c4n4ry==", "c4n4ry"]),
    ];
    for (content, name, value, secrets) in cases {
        let auth = secret_file(&trial.site.cluster, "auth", content)?;
        set(&mut trial.client, "costsim.alertmanager_auth_file", &auth)?;
        for status in [500, 400] {
            trial.decides(move |request| {
                let mut echo: String =
                    request.headers.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
                // By itself as well, if the worker knows it by now.
                if request.header(name) == Some(value) {
                    echo += secrets[0];
                }
                Deed::status(status).body(echo)
            });
            let before = trial.endpoint.count();
            trial.enqueue_many(2, 0)?;
            // The reload may come after the alert: what counts are the requests with the new secret.
            wait_until(LIMIT, "requests that bear the secret", || {
                let requests = trial.endpoint.requests();
                let bear =
                    requests[before..].iter().filter(|request| request.header(name) == Some(value)).count();
                if bear < 2 {
                    bail!("{bear} of {}", requests.len() - before);
                }
                Ok(Some(()))
            })
            .with_context(|| content.to_owned())?;
            wait_for(
                &mut trial.client,
                "the answer to be written down",
                &format!("SELECT bool_or(last_error LIKE 'HTTP {status}%***%') FROM costsim_alert_queue"),
            )?;
            is_shown_nowhere(&trial.site.cluster, &mut trial.client, &secrets)?;
            trial.decides(|_| 200.into());
            wait_for(
                &mut trial.client,
                "the queue to be empty",
                "SELECT pending = 0 FROM costsim_alert_queue_stats()",
            )?;
            trial.client.batch_execute("DELETE FROM costsim_alert_queue")?;
        }
    }
    Ok(())
}

#[test]
fn answer_is_stored_in_part_and_on_one_line() -> Result<()> {
    let mut trial = Trial::start(HostileEndpoint::start()?)?;
    trial.decides(|request| {
        if is_poisoned(request) { Deed::status(400).body("ü\u{0}\r\n".repeat(10_000)) } else { 200.into() }
    });
    trial.enqueue_many(2, 1)?;
    wait_for(&mut trial.client, "both to be settled", "SELECT pending = 0 FROM costsim_alert_queue_stats()")?;
    let row =
        trial.client.query_one("SELECT last_error FROM costsim_alert_queue WHERE status = 'failed'", &[])?;
    let error: &str = row.get(0);
    assert!(error.starts_with("HTTP 400: ü") && !error.contains(['\r', '\n']), "{error}");
    trial.what_is_stored_is_short()?;
    Ok(())
}
