//! Many sessions move a breaker at the same moment, and it moves as if they had come one after the other.

use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, Shared, check_the_breakers, one, sqlstate};
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().conf("max_connections", "750").conf("shared_buffers", "64MB").start())
}

/// Sessions that act at the same moment.
struct Crowd {
    runtime: Runtime,
    clients: Vec<Arc<Client>>,
}

impl Crowd {
    /// Opens them; a few at a time, because the queue of a socket is short.
    fn gather(cluster: &Cluster, database: &str, size: usize) -> Result<Self> {
        let mut config = Config::new();
        config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname(database);
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let clients = runtime.block_on(async {
            let mut clients = Vec::with_capacity(size);
            while clients.len() < size {
                let mut opening = JoinSet::new();
                for _ in 0..(size - clients.len()).min(50) {
                    let config = config.clone();
                    opening.spawn(async move {
                        let (client, connection) = config.connect(NoTls).await?;
                        tokio::spawn(connection);
                        Ok::<_, tokio_postgres::Error>(client)
                    });
                }
                while let Some(client) = opening.join_next().await {
                    clients.push(Arc::new(client??));
                }
            }
            Ok::<_, anyhow::Error>(clients)
        })?;
        Ok(Self { runtime, clients })
    }

    /// All start together, the n-th with the n-th of these queries in turn, each of which answers a number: the answers by session.
    fn ask<Q: AsRef<str>>(&self, queries: &[Q]) -> Result<Vec<i64>> {
        let queries: Vec<String> = queries.iter().map(|query| query.as_ref().to_owned()).collect();
        self.each(move |number, client| {
            let query = queries[number % queries.len()].clone();
            async move { number_of(&client, &query).await }
        })
    }

    /// All start together and act: what each came to, by session.
    fn each<T, F>(&self, act: impl Fn(usize, Arc<Client>) -> F) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let start = Arc::new(Barrier::new(self.clients.len()));
        self.runtime.block_on(async {
            let mut acting = JoinSet::new();
            for (number, client) in self.clients.iter().enumerate() {
                let (start, act) = (start.clone(), act(number, client.clone()));
                acting.spawn(async move {
                    start.wait().await;
                    (number, act.await)
                });
            }
            let mut results = Vec::with_capacity(self.clients.len());
            while let Some(result) = acting.join_next().await {
                let (number, result) = result?;
                results.push((number, result.with_context(|| format!("session {number}"))?));
            }
            results.sort_by_key(|(number, _)| *number);
            Ok(results.into_iter().map(|(_, result)| result).collect())
        })
    }
}

async fn number_of(client: &Client, query: &str) -> Result<i64> {
    let row = client.query_one(query, &[]).await.with_context(|| query.to_owned())?;
    row.try_get(0).with_context(|| query.to_owned())
}

fn bad_report(name: &str) -> String {
    format!("SELECT count(*) FROM costsim_report_drift(0.9, name => '{name}')")
}

fn good_report(name: &str) -> String {
    format!("SELECT count(*) FROM costsim_report_drift(0, name => '{name}')")
}

fn is_open(name: &str) -> String {
    format!("SELECT costsim_is_open('{name}')::int::bigint")
}

fn allow(name: &str) -> String {
    format!("SELECT costsim_cb_allow('{name}')::int::bigint")
}

fn configure(client: &mut postgres::Client, name: &str, settings: &str) -> Result<()> {
    client.batch_execute(&format!("SELECT costsim_configure_breaker('{name}', {settings})"))?;
    Ok(())
}

/// How often a breaker took steps of this cause that led elsewhere.
fn steps(client: &mut postgres::Client, name: &str, cause: &str) -> Result<i64> {
    let query = "SELECT count(*) FROM costsim_cb_events
                  WHERE circuit_breaker_name = $1 AND cause = $2 AND from_state <> to_state";
    Ok(client.query_one(query, &[&name, &cause])?.try_get(0)?)
}

#[test]
fn hundred_sessions_report_together_and_one_report_trips_in_each_of_twelve_rounds() -> Result<()> {
    const SESSIONS: i64 = 100;
    let cluster = cluster()?;
    let mut watcher = cluster.create_database_with_extension("trip")?;
    let crowd = Crowd::gather(&cluster, "trip", SESSIONS as usize)?;
    for (round, threshold) in [3, 100, 1, 50, 99, 2, 100, 3, 10, 100, 1, 100].into_iter().enumerate() {
        // The first one has no row yet, and its settings are the defaults.
        let name = if round == 0 { "costsim_v2".to_owned() } else { format!("breaker {round}") };
        if round > 0 {
            configure(&mut watcher, &name, &format!("failure_threshold => {threshold}"))?;
        }
        let open: i64 = crowd.ask(&[is_open(&name)])?.iter().sum();
        ensure!(open == 0, "round {round}: open for {open} sessions before anything was reported");
        let trips: i64 = crowd.ask(&[bad_report(&name)])?.iter().sum();
        ensure!(trips == 1, "round {round}: {trips} reports were told that they opened the breaker");
        let open: i64 = crowd.ask(&[is_open(&name)])?.iter().sum();
        ensure!(open == SESSIONS, "round {round}: open for {open} sessions only");

        let row = watcher.query_one(
            "SELECT s.consecutive_failures, i.reports_while_open, i.severity,
                    (SELECT count(*) FROM costsim_cb_incidents WHERE circuit_breaker_name = s.name),
                    (SELECT count(*) FROM costsim_alerts
                      WHERE labels ->> 'circuit_breaker' = s.name AND resolved_at IS NULL),
                    (SELECT count(*) FROM costsim_cb_events
                      WHERE circuit_breaker_name = s.name AND cause <> 'configured')
               FROM costsim_cb_state s JOIN costsim_cb_incidents i ON i.id = s.incident_id
              WHERE s.name = $1 AND s.disabled AND NOT i.resolved",
            &[&name],
        )?;
        let (failures, while_open, severity): (i32, i64, &str) = (row.get(0), row.get(1), row.get(2));
        ensure!(i64::from(failures) == SESSIONS, "round {round}: {failures} reports were counted");
        ensure!(
            while_open == SESSIONS - threshold,
            "round {round}: {while_open} reports came while it was open"
        );
        ensure!(severity == "P1", "round {round}: {severity}");
        let counts: [i64; 3] = [row.get(3), row.get(4), row.get(5)];
        ensure!(counts == [1; 3], "round {round}: incidents, firing alerts and events are {counts:?}");
        ensure!(steps(&mut watcher, &name, "drift")? == 1, "round {round}");
        check_the_breakers(&mut watcher)?;
    }
    Ok(())
}

const PERMITS: i64 = 7;

/// A breaker that lets probes through, since just now.
fn half_open_breaker(client: &mut postgres::Client, name: &str) -> Result<()> {
    configure(
        client,
        name,
        &format!(
            "failure_threshold => 1, half_open => true, probe_permits => {PERMITS}, probe_successes => {PERMITS},
             probe_timeout => '1 h', half_open_timeout => '2 h'"
        ),
    )?;
    ensure!(one::<i64>(client, &bad_report(name))? == 1, "it did not trip");
    // As if its time had passed.
    client.execute(
        "UPDATE costsim_cb_state
            SET half_open_at = clock_timestamp() - interval '1 s', disabled_until = clock_timestamp() + interval '2 h'
          WHERE name = $1",
        &[&name],
    )?;
    let state: String = one(client, &format!("SELECT state FROM costsim_cb_get_state('{name}')"))?;
    ensure!(state == "half_open", "it is {state}");
    Ok(())
}

/// How many permits were given in this period of probing.
fn given(name: &str) -> String {
    format!(
        "SELECT (cardinality(probes) + probes_passed)::bigint FROM costsim_cb_state WHERE name = '{name}'"
    )
}

/// Every good report of a period of probing counts, the last one closes the breaker, and none closes it twice.
fn probes_pass(crowd: &Crowd, watcher: &mut postgres::Client, name: &str) -> Result<()> {
    let trips: i64 = crowd.ask(&[good_report(name)])?.iter().sum();
    ensure!(trips == 0, "a good report opened it");
    ensure!(steps(watcher, name, "probes_passed")? == 1, "closed once by its probes");
    let open: i64 = crowd.ask(&[is_open(name)])?.iter().sum();
    ensure!(open == 0, "still open for {open} sessions");
    check_the_breakers(watcher)
}

#[test]
fn two_hundred_sessions_ask_and_seven_get_a_permit() -> Result<()> {
    let cluster = cluster()?;
    let mut watcher = cluster.create_database_with_extension("permits")?;
    let crowd = Crowd::gather(&cluster, "permits", 200)?;
    for round in 0..4 {
        let name = format!("breaker {round}");
        half_open_breaker(&mut watcher, &name)?;
        let open: i64 = crowd.ask(&[is_open(&name)])?.iter().sum();
        ensure!(open == 200, "round {round}: a half-open breaker is open for whoever only looks");
        // Who comes while another one is being answered is refused, so not all seven are given at the first attempt.
        let mut permits = 0;
        wait_until(LIMIT, "the seventh permit", || {
            permits += crowd.ask(&[allow(&name)])?.iter().sum::<i64>();
            assert!(permits <= PERMITS, "round {round}: {permits} permits");
            assert_eq!(one::<i64>(&mut watcher, &given(&name))?, permits, "round {round}");
            Ok((permits == PERMITS).then_some(()))
        })?;
        for _ in 0..3 {
            let more: i64 = crowd.ask(&[allow(&name)])?.iter().sum();
            ensure!(more == 0, "round {round}: {more} permits beyond the seventh");
        }
        check_the_breakers(&mut watcher)?;
        probes_pass(&crowd, &mut watcher, &name)?;
    }
    Ok(())
}

#[test]
fn permit_that_is_rolled_back_is_given_again_and_never_eight_are_committed() -> Result<()> {
    let cluster = cluster()?;
    let mut watcher = cluster.create_database_with_extension("permits_back")?;
    let crowd = Crowd::gather(&cluster, "permits_back", 200)?;
    let name = "costsim_v2";
    half_open_breaker(&mut watcher, name)?;
    let (mut kept, mut taken_back, mut round) = (0, 0, 0);
    wait_until(LIMIT, "the seventh permit", || {
        round += 1;
        // Every other session takes back what it got, by an abort, or of a savepoint; each then looks at what is committed.
        let outcomes = crowd.each(move |number, client| async move {
            let ending = match (number + round) % 4 {
                0 => "ROLLBACK",
                2 => "ROLLBACK TO SAVEPOINT before; COMMIT",
                _ => "COMMIT",
            };
            client.batch_execute("BEGIN; SAVEPOINT before").await?;
            let is_given = number_of(&client, &allow(name)).await?;
            client.batch_execute(ending).await?;
            let committed = number_of(&client, &given(name)).await?;
            Ok((is_given, ending == "COMMIT", committed))
        })?;
        for (is_given, is_kept, committed) in outcomes {
            assert!(committed <= PERMITS, "round {round}: {committed} permits are committed");
            *(if is_kept { &mut kept } else { &mut taken_back }) += is_given;
        }
        assert_eq!(one::<i64>(&mut watcher, &given(name))?, kept, "round {round}");
        Ok((kept == PERMITS).then_some(()))
    })?;
    assert!(taken_back > 0, "no permit was taken back in {round} rounds");
    let more: i64 = crowd.ask(&[allow(name)])?.iter().sum();
    assert_eq!(more, 0, "permits beyond the seventh");
    probes_pass(&crowd, &mut watcher, name)
}

#[test]
fn hundred_sessions_find_outages_over_and_each_is_ended_once() -> Result<()> {
    const NAMES: [&str; 4] = ["costsim_v2", "b", "c", "d"];
    let cluster = cluster()?;
    let mut watcher = cluster.create_database_with_extension("recover")?;
    for name in NAMES {
        configure(&mut watcher, name, "failure_threshold => 1000")?;
    }
    let crowd = Crowd::gather(&cluster, "recover", 120)?;
    let recover_all = || "SELECT count(*) FROM costsim_auto_recover()".to_owned();
    let check = |name: &str| format!("SELECT costsim_is_v2_disabled('{name}')::int::bigint");
    let allow = |name: &str| format!("SELECT 1 - costsim_cb_allow('{name}')::int::bigint");
    // What the sessions do for a breaker, and whether its bad reports can be counted.
    type Kinds<'a> = Vec<(&'a str, Box<dyn Fn(&str) -> String>)>;
    let rounds: Vec<(bool, Kinds<'_>)> = vec![
        (true, vec![("check", Box::new(check))]),
        (true, vec![("recover", Box::new(move |_| recover_all()))]),
        (true, vec![("bad", Box::new(bad_report))]),
        (true, vec![("good", Box::new(good_report))]),
        (true, vec![("allow", Box::new(allow)), ("open", Box::new(is_open)), ("check", Box::new(check))]),
        (
            true,
            vec![
                ("check", Box::new(check)),
                ("bad", Box::new(bad_report)),
                ("recover", Box::new(move |_| recover_all())),
            ],
        ),
        (
            false,
            vec![
                ("bad", Box::new(bad_report)),
                ("good", Box::new(good_report)),
                ("check", Box::new(check)),
                ("recover", Box::new(move |_| recover_all())),
                ("allow", Box::new(allow)),
            ],
        ),
    ];
    for (round, (is_counted, kinds)) in rounds.into_iter().enumerate() {
        for name in NAMES {
            watcher.execute("SELECT costsim_disable_v2('round', 'me', name => $1)", &[&name])?;
        }
        watcher.batch_execute(
            "UPDATE costsim_cb_state SET disabled_until = clock_timestamp() - interval '1 s'",
        )?;
        let questions: Vec<(&str, &str, String)> =
            kinds.iter().flat_map(|(kind, query)| NAMES.map(|name| (*kind, name, query(name)))).collect();
        let queries: Vec<&str> = questions.iter().map(|(_, _, query)| query.as_str()).collect();
        let answers = crowd.ask(&queries)?;

        let mut recovered = 0;
        for (number, answer) in answers.iter().enumerate() {
            let (kind, name, _) = &questions[number % questions.len()];
            match *kind {
                "recover" => recovered += answer,
                _ => ensure!(*answer == 0, "round {round}: {kind} of {name} answers {answer}"),
            }
        }
        let asked = |kind: &str, name: &str| {
            let is_asked = |number: &usize| {
                let (its_kind, its_name, _) = &questions[number % questions.len()];
                *its_kind == kind && *its_name == name
            };
            (0..answers.len()).filter(is_asked).count() as i64
        };
        ensure!(recovered <= 4, "round {round}: {recovered} recoveries of four breakers were told");
        if kinds.len() == 1 && asked("recover", NAMES[0]) > 0 {
            ensure!(recovered == 4, "round {round}: {recovered} recoveries were told");
        }
        for name in NAMES {
            let row = watcher.query_one(
                "SELECT s.disabled, s.consecutive_failures,
                        (SELECT count(*) FROM costsim_cb_incidents
                          WHERE circuit_breaker_name = s.name AND resolved
                            AND resolved_by = 'system-auto-recover' AND reports_while_open = 0),
                        (SELECT count(*) FROM costsim_cb_incidents WHERE circuit_breaker_name = s.name),
                        (SELECT count(*) FROM costsim_alerts
                          WHERE labels ->> 'circuit_breaker' = s.name AND resolved_at IS NOT NULL)
                   FROM costsim_cb_state s WHERE name = $1",
                &[&name],
            )?;
            let (is_disabled, failures): (bool, i32) = (row.get(0), row.get(1));
            ensure!(!is_disabled, "round {round}: {name} is not closed");
            let (failures, bad) = (i64::from(failures), asked("bad", name));
            let is_right = if is_counted { failures == bad } else { (0..=bad).contains(&failures) };
            ensure!(is_right, "round {round}: {failures} failures of {name} after {bad} bad reports");
            let ended: [i64; 3] = [row.get(2), row.get(3), row.get(4)];
            ensure!(ended == [round as i64 + 1; 3], "round {round}: {name} has {ended:?}");
            ensure!(steps(&mut watcher, name, "ttl_passed")? == round as i64 + 1, "round {round}: {name}");
        }
        check_the_breakers(&mut watcher)?;
    }
    Ok(())
}

/// Breakers of the storm: one that time closes soon, one that probes close, one that hands close.
const BREAKERS: [(&str, &str); 3] = [
    ("short", "disable_ttl => '20 ms', max_disable_ttl => '1 s', failure_threshold => 2"),
    (
        "probed",
        "disable_ttl => '3 ms', max_disable_ttl => '9 ms', failure_threshold => 2, half_open => true, probe_permits => 2,
         probe_successes => 1, half_open_timeout => '100 ms'",
    ),
    ("costsim_v2", "disable_ttl => '10 min', failure_threshold => 3"),
];

/// What must have happened in a storm, or it would have shown nothing.
const CAUSES: [&str; 12] = [
    "drift",
    "schema_errors",
    "manual",
    "ttl_passed",
    "probes_passed",
    "probe_failed",
    "probe_expired",
    "escalated",
    "adopted",
    "near_threshold",
    "configured",
    "outside",
];

/// A random thing that one may do to a breaker.
fn random_act(rng: &mut Rng, name: &str, is_orm: bool) -> String {
    if is_orm && rng.u8(..3) == 0 {
        // The columns that the reference's own ORM writes.
        return match rng.u8(..4) {
            0 => format!(
                "UPDATE costsim_cb_state
                    SET disabled = true, disabled_by = 'orm', disabled_reason = 'by hand', updated_at = now(),
                        disabled_until = CASE WHEN random() < 0.5 THEN clock_timestamp() + interval '20 ms' END
                  WHERE name = '{name}' AND NOT disabled"
            ),
            1 => format!(
                "UPDATE costsim_cb_state
                    SET disabled = false, disabled_by = NULL, disabled_reason = NULL, disabled_until = NULL, incident_id = NULL,
                        consecutive_failures = 0, updated_at = now()
                  WHERE name = '{name}' AND disabled"
            ),
            2 => format!(
                "UPDATE costsim_cb_state SET disabled_until = clock_timestamp() + interval '{} ms', updated_at = now()
                  WHERE name = '{name}' AND disabled",
                rng.i8(-5..20)
            ),
            _ => format!(
                "UPDATE costsim_cb_state SET disabled_until = NULL, updated_at = now()
                  WHERE name = '{name}' AND disabled"
            ),
        };
    }
    match rng.u8(..40) {
        0..8 => bad_report(name),
        8..14 => good_report(name),
        14..16 => format!("SELECT costsim_report_drift(0.18, name => '{name}')"),
        16..18 => format!("SELECT costsim_report_schema_error(9, name => '{name}')"),
        18 => format!("SELECT costsim_report_schema_error(1, name => '{name}')"),
        19 => format!("SELECT costsim_disable_v2('r{}', 'me', name => '{name}')", rng.u8(..3)),
        20 => format!(
            "SELECT costsim_disable_v2('r', 'me', clock_timestamp() + interval '{} ms', name => '{name}')",
            rng.u8(20..200)
        ),
        21 => format!("SELECT costsim_disable_v2('for good', 'me', permanent => true, name => '{name}')"),
        22..24 => format!("SELECT costsim_enable_v2('me', name => '{name}')"),
        24..32 => allow(name),
        32..35 => format!("SELECT costsim_is_v2_disabled('{name}')"),
        35 => is_open(name),
        36 => format!("SELECT costsim_cb_get_state('{name}')"),
        37 => "SELECT costsim_auto_recover()".to_owned(),
        38 => {
            // Permits that may be reported on in time, and permits that may not.
            let (threshold, timeout) = (["0.15", "0.16"][rng.usize(..2)], ["1 ms", "1 s"][rng.usize(..2)]);
            format!(
                "SELECT costsim_configure_breaker('{name}', warning_threshold => {threshold}, probe_timeout => '{timeout}')"
            )
        }
        // As a nervous operator does to somebody else's statement, or session.
        _ => {
            let end = if rng.u8(..10) == 0 { "pg_terminate_backend" } else { "pg_cancel_backend" };
            format!(
                "SELECT {end}(pid) FROM (SELECT pid FROM pg_stat_activity
                  WHERE application_name = 'storm' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) other"
            )
        }
    }
}

/// One to three acts in a transaction on one breaker, and how it ends: two breakers in one would be a deadlock of our own making.
fn random_transaction(rng: &mut Rng, is_orm: bool) -> Vec<String> {
    let name = BREAKERS[rng.usize(..BREAKERS.len())].0;
    let mut act = || random_act(rng, name, is_orm);
    let (first, second, third) = (act(), act(), act());
    let text = |text: &str| text.to_owned();
    match rng.u8(..12) {
        0 => vec![text("BEGIN"), first, second, third, text("COMMIT")],
        1 => vec![text("BEGIN"), first, second, text("ROLLBACK")],
        2 => vec![
            text("BEGIN"),
            first,
            text("SAVEPOINT s"),
            second,
            text("ROLLBACK TO s"),
            third,
            text("COMMIT"),
        ],
        3 => vec![text("BEGIN ISOLATION LEVEL REPEATABLE READ"), first, second, text("COMMIT")],
        _ => vec![first],
    }
}

/// What the sessions of a storm share.
#[derive(Default)]
struct Storm {
    is_over: AtomicBool,
    transactions: AtomicUsize,
    cancelled: AtomicUsize,
    terminated: AtomicUsize,
}

impl Storm {
    /// Does this and that until the storm is over; a session that was ended is replaced.
    fn weather(&self, cluster: &Cluster, seed: u64, is_orm: bool) -> Result<postgres::Client> {
        let connect = || {
            let mut config = cluster.config("storm");
            config.application_name("storm");
            config.connect(postgres::NoTls)
        };
        let mut rng = Rng::with_seed(seed);
        let mut client = connect()?;
        while !self.is_over.load(Ordering::Relaxed) {
            let statements = random_transaction(&mut rng, is_orm);
            let is_strict = statements[0].ends_with("REPEATABLE READ");
            let failed = statements
                .iter()
                .find_map(|statement| Some((statement, client.batch_execute(statement).err()?)));
            self.transactions.fetch_add(1, Ordering::Relaxed);
            let Some((statement, error)) = failed else { continue };
            match sqlstate(&error).as_str() {
                "57014" => self.cancelled.fetch_add(1, Ordering::Relaxed),
                "57P01" | "closed" => self.terminated.fetch_add(1, Ordering::Relaxed),
                "40001" if is_strict => 0,
                // The end that was asked for has passed in the queue for the row.
                "22023" if statement.contains("interval") => 0,
                _ => return Err(anyhow!(error).context(statement.clone())),
            };
            // A cancel or an end may still be on its way.
            while let Err(error) = client.batch_execute("ROLLBACK") {
                match sqlstate(&error).as_str() {
                    "57014" => {}
                    "57P01" | "closed" => client = connect()?,
                    _ => bail!(error),
                }
            }
        }
        Ok(client)
    }
}

#[test]
fn storm_of_everything_leaves_a_gapless_chain_of_legal_steps_in_every_snapshot() -> Result<()> {
    const SESSIONS: usize = 30;
    const TRANSACTIONS: usize = 4_000;
    let cluster = cluster()?;
    let mut watcher = cluster.create_database_with_extension("storm")?;
    for (name, settings) in BREAKERS {
        configure(&mut watcher, name, settings)?;
    }
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let storm = Arc::new(Storm::default());
    let sessions: Vec<JoinHandle<Result<postgres::Client>>> = (0..SESSIONS as u64)
        .map(|number| {
            let (storm, cluster) = (storm.clone(), cluster.clone());
            thread::spawn(move || storm.weather(&cluster, seed.wrapping_add(number), number < 3))
        })
        .collect();

    let mut snapshots = 0;
    let waited = wait_until(LIMIT * 2, "everything to have happened", || {
        // A session that fails ends the storm, and tells why below.
        if sessions.iter().any(JoinHandle::is_finished) {
            return Ok(Some(Ok(())));
        }
        if let Err(complaints) = check_the_breakers(&mut watcher) {
            return Ok(Some(Err(complaints)));
        }
        snapshots += 1;
        let causes = watcher.query("SELECT DISTINCT cause FROM costsim_cb_events", &[])?;
        let causes: Vec<String> = causes.iter().map(|row| row.get(0)).collect();
        let missing: Vec<&str> =
            CAUSES.into_iter().filter(|cause| !causes.iter().any(|seen| seen == cause)).collect();
        let [transactions, cancelled, terminated] =
            [&storm.transactions, &storm.cancelled, &storm.terminated]
                .map(|counter| counter.load(Ordering::Relaxed));
        ensure!(
            missing.is_empty() && transactions >= TRANSACTIONS && cancelled > 0 && terminated > 0,
            "{transactions} transactions, {cancelled} cancelled, {terminated} sessions ended, and nothing by {missing:?}"
        );
        Ok(Some(Ok(())))
    });
    storm.is_over.store(true, Ordering::Relaxed);
    let mut clients = Vec::new();
    for session in sessions {
        clients.push(session.join().map_err(|_| anyhow!("a session's thread has panicked"))??);
    }
    waited??;
    check_the_breakers(&mut watcher)?;
    assert!(snapshots > 10, "only {snapshots} snapshots were looked at");

    // Whatever a session remembers of the storm, it follows what is committed now. Some were ended by the last ones to act.
    clients.retain_mut(|client| client.batch_execute("SELECT").is_ok());
    assert!(clients.len() > SESSIONS / 2, "only {} sessions are left", clients.len());
    for (name, _) in BREAKERS {
        for (statement, open) in [
            ("costsim_enable_v2('me', name =>", 0),
            ("costsim_disable_v2('end', 'me', permanent => true, name =>", 1),
        ] {
            watcher.batch_execute(&format!("SELECT {statement} '{name}')"))?;
            for client in &mut clients {
                ensure!(one::<i64>(client, &is_open(name))? == open, "{name} after {statement}");
            }
        }
    }
    check_the_breakers(&mut watcher)
}

/// Everything that a trip leaves behind in the tables.
const TRACES: &str =
    "SELECT (SELECT count(*) FROM costsim_cb_incidents) + (SELECT count(*) FROM costsim_alerts)
                           + (SELECT count(*) FROM costsim_alert_queue)
                           + (SELECT count(*) FROM costsim_cb_events WHERE cause <> 'configured')";

#[test]
fn trip_that_is_rolled_back_leaves_nothing_and_everybody_knows() -> Result<()> {
    let cluster = cluster()?;
    let mut other = cluster.create_database_with_extension("rollback")?;
    let mut own = cluster.connect("rollback")?;
    let name = "costsim_v2";
    let both = |own: &mut postgres::Client, other: &mut postgres::Client| -> Result<(i64, i64)> {
        Ok((one(own, &is_open(name))?, one(other, &is_open(name))?))
    };
    let trip = "SELECT costsim_report_drift(0.9), costsim_report_drift(0.9), costsim_report_drift(0.9)";

    for begin in ["BEGIN", "BEGIN ISOLATION LEVEL SERIALIZABLE"] {
        assert_eq!(both(&mut own, &mut other)?, (0, 0));
        own.batch_execute(begin)?;
        own.batch_execute(trip)?;
        assert_eq!(both(&mut own, &mut other)?, (1, 0), "its own transaction knows, and nobody else");
        own.batch_execute("ROLLBACK")?;
        assert_eq!(both(&mut own, &mut other)?, (0, 0));
        assert_eq!(one::<i64>(&mut other, TRACES)?, 0);
        assert_eq!(one::<i64>(&mut other, "SELECT count(*) FROM costsim_cb_state")?, 0, "nor a row");
    }

    // An error in the same statement, and a savepoint's end.
    assert!(own.batch_execute(&format!("{trip}, 1 / (random() * 0)::int")).is_err());
    assert_eq!(both(&mut own, &mut other)?, (0, 0));
    own.batch_execute("BEGIN; SAVEPOINT s")?;
    own.batch_execute(trip)?;
    assert_eq!(both(&mut own, &mut other)?, (1, 0));
    own.batch_execute("ROLLBACK TO s")?;
    assert_eq!(both(&mut own, &mut other)?, (0, 0));
    own.batch_execute("COMMIT")?;
    assert_eq!(both(&mut own, &mut other)?, (0, 0));
    assert_eq!(one::<i64>(&mut other, TRACES)?, 0);

    // The same of the way back.
    own.batch_execute(trip)?;
    assert_eq!(both(&mut own, &mut other)?, (1, 1));
    own.batch_execute("BEGIN; SELECT costsim_enable_v2('me')")?;
    assert_eq!(both(&mut own, &mut other)?, (0, 1));
    own.batch_execute("ROLLBACK")?;
    assert_eq!(both(&mut own, &mut other)?, (1, 1));
    assert_eq!(one::<i64>(&mut other, TRACES)?, 3, "one incident, one alert, one event");
    check_the_breakers(&mut other)
}

/// What an application does that has the tables already and knows of no probes: it opens for good, trips once more, closes and opens.
#[test]
fn chain_has_no_gap_where_another_hand_ends_a_period_of_probing() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("other_hand")?;
    let changes = [
        "UPDATE costsim_cb_state SET disabled_until = NULL",
        "INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity) VALUES ('other', 'second', 'drift', 'P1');
         UPDATE costsim_cb_state
            SET disabled = true, incident_id = 'other', disabled_until = now() + interval '1 day' WHERE name = 'second'",
        "UPDATE costsim_cb_state SET disabled = false, disabled_until = NULL, incident_id = NULL WHERE name = 'third';
         UPDATE costsim_cb_state SET disabled = true WHERE name = 'third'",
        "UPDATE costsim_cb_state SET disabled = false, disabled_until = NULL, incident_id = NULL WHERE name = 'fourth';
         UPDATE costsim_cb_state SET disabled = true, disabled_until = now() + interval '1 day' WHERE name = 'fourth'",
    ];
    let mut gaps = Vec::new();
    for (name, change) in ["first", "second", "third", "fourth"].into_iter().zip(changes) {
        half_open_breaker(&mut client, name)?;
        // So that it is written down that they may come, and one is under way.
        assert_eq!(one::<i64>(&mut client, &allow(name))?, 1);
        client.batch_execute(change)?;
        client.execute("SELECT costsim_enable_v2('me', name => $1)", &[&name])?;
        let chain = "SELECT concat_ws(' ', circuit_breaker_name, cause, 'from', from_state, 'after', before)
                       FROM (SELECT *, lag(to_state) OVER (ORDER BY id) AS before
                               FROM costsim_cb_events WHERE circuit_breaker_name = $1) e
                      WHERE from_state <> before";
        gaps.extend(client.query(chain, &[&name])?.iter().map(|row| row.get::<_, String>(0)));
    }
    assert!(gaps.is_empty(), "{gaps:#?}");
    Ok(())
}

/// What the tests of this room rely on: that a contradiction is found.
#[test]
fn contradictions_between_rows_events_incidents_and_alerts_are_found() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("contradictions")?;
    client.batch_execute(
        "SELECT costsim_disable_v2('first', 'me'); SELECT costsim_enable_v2('me'); SELECT costsim_disable_v2('second', 'me')",
    )?;
    check_the_breakers(&mut client)?;
    for (forgery, complaint) in [
        ("DELETE FROM costsim_cb_events WHERE to_state = 'closed'", "goes from closed after open"),
        (
            "UPDATE costsim_cb_events SET cause = 'drift' WHERE to_state = 'closed'",
            "goes from open to closed by drift",
        ),
        ("UPDATE costsim_cb_state SET disabled = false", "the last event says open"),
        (
            "UPDATE costsim_cb_state SET half_open_at = now(), half_open_since = now()",
            "the row is half_open, the last event says open",
        ),
        ("UPDATE costsim_cb_state SET incident_id = 'other'", "incident other, unresolved is"),
        ("UPDATE costsim_cb_incidents SET resolved = true, resolved_by = 'x'", "with incident"),
        ("UPDATE costsim_cb_events SET incident_id = NULL WHERE to_state = 'open'", "begins 0 times"),
        ("UPDATE costsim_alerts SET resolved_at = NULL", "still fires"),
        ("UPDATE costsim_alerts SET resolved_at = now()", "the alerts that fire are"),
        ("UPDATE costsim_cb_incidents SET severity = 'P1'", "the alerts that fire are"),
        ("DELETE FROM costsim_cb_incidents", "which is not there"),
    ] {
        client.batch_execute(
            "BEGIN; ALTER TABLE costsim_cb_state DISABLE TRIGGER USER; ALTER TABLE costsim_cb_events DISABLE TRIGGER USER;
             ALTER TABLE costsim_cb_incidents DISABLE TRIGGER USER",
        )?;
        client.batch_execute(forgery)?;
        let complaints = check_the_breakers(&mut client).err().map(|error| error.to_string());
        client.batch_execute("ROLLBACK")?;
        let complaints = complaints.with_context(|| format!("nothing is found after {forgery}"))?;
        assert!(complaints.contains(complaint), "{forgery}: {complaints}");
    }
    check_the_breakers(&mut client)
}
