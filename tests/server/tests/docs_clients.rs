//! Every client program of the manuals runs as it stands there. Those of docs/leader.md lead, stand back and are deposed; those of
//! docs/breaker.md ask, report and go on without an answer; the one of docs/alerts.md delivers; those of docs/provenance.md hash as the
//! server does, and load baselines; the one of docs/cost.md records. And what docs/provenance.md and docs/cost.md grant is enough for what they
//! have readers and writers do.

use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{Alertmanager, Cluster, PgBouncer, Pooling, wait_until};
use costsim_server_tests::{LIMIT, Shared, one, run_tool, sqlstate_of};
use postgres::Client;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

const LEADER: &str = "docs/leader.md";
const BREAKER: &str = "docs/breaker.md";
const ALERTS: &str = "docs/alerts.md";
const PROVENANCE: &str = "docs/provenance.md";
const COST: &str = "docs/cost.md";
const AUDIT: &str = "docs/audit.md";

/// The clients, as their programs end: `session_` and `lease_` stand before.
const CLIENTS: [&str; 5] = ["psycopg.py", "asyncpg.py", "sqlalchemy.py", "pg.js", "sqlx.rs"];

/// What a cargo build makes of the programs in Rust, which stand in src/bin.
const COMPILED: [(&str, &str, &str); 2] = [
    ("session_sqlx.rs", include_str!("../src/bin/session_sqlx.rs"), env!("CARGO_BIN_EXE_session_sqlx")),
    ("lease_sqlx.rs", include_str!("../src/bin/lease_sqlx.rs"), env!("CARGO_BIN_EXE_lease_sqlx")),
];

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().start())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks of a manual that are marked as `language`.
fn blocks(page: &str, language: &str) -> Result<Vec<String>> {
    let path = root().join(page);
    let manual = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let fence = format!("```{language}\n");
    // What stands before the first fence is no block, nor is what follows the end of one.
    manual
        .split(&fence)
        .skip(1)
        .map(|rest| Ok(rest.split_once("```").context("a block without an end")?.0.to_owned()))
        .collect()
}

/// The client programs of a manual by the name in their first line.
fn programs(page: &str) -> Result<BTreeMap<String, String>> {
    let mut programs = BTreeMap::new();
    for (language, comment) in [("python", "# "), ("js", "// "), ("rust", "// ")] {
        for text in blocks(page, language)? {
            let first = text.lines().next().and_then(|line| line.strip_prefix(comment));
            let name = first.with_context(|| format!("a block in {language} without a name"))?;
            ensure!(programs.insert(name.to_owned(), text.clone()).is_none(), "{name} stands there twice");
        }
    }
    Ok(programs)
}

/// Where a program finds a database.
struct Place<'a> {
    socket_dir: &'a Path,
    port: u16,
    database: &'a str,
}

impl Place<'_> {
    fn url(&self) -> String {
        let Self { socket_dir, port, database } = self;
        format!("postgresql:///{database}?host={}&port={port}&user=postgres", socket_dir.display())
    }
}

/// A program that runs. Killed with the value.
struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// A program of docs/leader.md.
    fn start(name: &str, place: &Place<'_>) -> Result<Self> {
        let programs = programs(LEADER)?;
        let text = programs.get(name).with_context(|| format!("{LEADER} has no {name}"))?;
        let Some((_, source, compiled)) = COMPILED.iter().find(|(known, ..)| *known == name) else {
            return Self::interpret(name, text, place, &[]);
        };
        ensure!(source == text, "{name} is not what stands in {LEADER}");
        Self::spawn(name, Command::new(compiled), place)
    }

    /// A text in Python or JavaScript.
    fn interpret(name: &str, text: &str, place: &Place<'_>, environment: &[(&str, &str)]) -> Result<Self> {
        let mut command;
        if name.ends_with(".py") {
            command = Command::new("/usr/bin/python3");
            command.args(["-I", "-"]);
        } else {
            let node =
                ". .ci/env && NODE_PATH=$COSTSIM_HOME/clients/node/usr/share/nodejs exec /usr/bin/node -";
            command = Command::new("bash");
            command.args(["-c", node]).current_dir(root()).env("NODE_NO_WARNINGS", "1");
        }
        command.envs(environment.iter().copied());
        let mut running = Self::spawn(name, command, place)?;
        let mut input = running.child.stdin.take().context("its input")?;
        input.write_all(text.as_bytes()).with_context(|| format!("giving {name} to its interpreter"))?;
        Ok(running)
    }

    fn spawn(name: &str, mut command: Command, place: &Place<'_>) -> Result<Self> {
        let child = command
            .env("DATABASE_URL", place.url())
            // Where the address is a socket's, node-postgres takes the other two from nowhere else.
            .envs([("PGPORT", place.port.to_string()), ("PGUSER", "postgres".into())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}: is 'make setup' done?"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// What it printed, once it has ended well and without a complaint.
    fn output(mut self) -> Result<String> {
        let status = wait_until(LIMIT, &format!("{} to end", self.name), || Ok(self.child.try_wait()?))?;
        let (mut printed, mut complaint) = (String::new(), String::new());
        self.child.stdout.take().context("its output")?.read_to_string(&mut printed)?;
        self.child.stderr.take().context("its complaints")?.read_to_string(&mut complaint)?;
        if !status.success() || !complaint.is_empty() {
            bail!("{} ended with {status} and said: {printed}{complaint}", self.name);
        }
        Ok(printed)
    }

    /// The lines it prints, as it prints them.
    fn lines(mut self) -> Result<Lines> {
        let output = BufReader::new(self.child.stdout.take().context("its output")?);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Ok(Lines { lines, program: self })
    }
}

/// What a program prints that does not end by itself. It ends with the value.
struct Lines {
    lines: mpsc::Receiver<String>,
    program: Running,
}

impl Lines {
    fn next(&self) -> Result<String> {
        self.lines.recv_timeout(LIMIT).with_context(|| format!("{} to print a line", self.program.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The table that the programs write to, from the manual.
fn create_table(client: &mut Client) -> Result<()> {
    let blocks = blocks(LEADER, "sql")?;
    let create = blocks.iter().find(|block| block.starts_with("CREATE TABLE report"));
    client.batch_execute(create.with_context(|| format!("{LEADER} makes no table report"))?)?;
    Ok(())
}

fn reports(client: &mut Client) -> Result<i64> {
    one(client, "SELECT count(*) FROM report")
}

/// What became of a term, in order.
fn history(client: &mut Client, token: i64, node: &str) -> Result<String> {
    let query = "SELECT string_agg(mode || ' ' || event, ', ' ORDER BY id)
                   FROM costsim_leader_events WHERE lock_id = 7001 AND token = $1 AND node_id = $2";
    let row = client.query_one(query, &[&token, &node])?;
    row.get::<_, Option<String>>(0).with_context(|| format!("no term {token} of {node}"))
}

/// A program of the manual meets another leader, leads, and is deposed while it writes.
fn lives_through_a_term(name: &str, place: &Place<'_>, client: &mut Client) -> Result<()> {
    let cluster = cluster()?;
    let (mode, _) = name.split_once('_').context("session or lease")?;
    let before = reports(client)?;

    assert!(one::<bool>(client, "SELECT costsim_try_leader(7001, 'another')")?);
    assert_eq!(Running::start(name, place)?.output()?, "somebody else leads\n");
    assert_eq!(reports(client)?, before, "who does not lead writes nothing");
    assert!(one::<bool>(client, "SELECT costsim_release_leader(7001)")?);

    assert_eq!(Running::start(name, place)?.output()?, "done\n");
    let newest = "SELECT made_by, token, array_agg(day::text ORDER BY day)
                    FROM report GROUP BY made_by, token ORDER BY token DESC LIMIT 1";
    let row = client.query_one(newest, &[])?;
    let (node, token): (String, i64) = (row.get(0), row.get(1));
    assert_eq!(row.get::<_, Vec<String>>(2), ["2026-01-01", "2026-01-02"]);
    assert_eq!(history(client, token, &node)?, format!("{mode} acquired, {mode} released"));
    assert_eq!(reports(client)?, before + 2);

    let mut obstacle = cluster.connect(place.database)?;
    obstacle.batch_execute("BEGIN; LOCK TABLE report IN SHARE MODE")?;
    let mut deposed = Running::start(name, place)?;
    let blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'report'::regclass AND NOT granted)";
    let writes = wait_until(LIMIT, "the leader to write", || {
        let has_ended = deposed.child.try_wait()?.is_some();
        Ok((has_ended || one(client, blocked)?).then_some(!has_ended))
    })?;
    if !writes {
        bail!("it did not write but said: {}", deposed.output()?);
    }
    let row = client.query_one("SELECT node_id, token, mode FROM costsim_leader(7001)", &[])?;
    let (node, later): (String, i64) = (row.get(0), row.get(1));
    assert_eq!(row.get::<_, String>(2), mode);
    assert!(later > token);
    assert!(one::<bool>(client, "SELECT costsim_resign_leader(7001, 'to see it deposed')")?);
    obstacle.batch_execute("COMMIT")?;
    let said = deposed.output()?;
    assert!(said.starts_with("deposed: "), "{said}");
    assert_eq!(history(client, later, &node)?, format!("{mode} acquired, {mode} resigned"));
    assert_eq!(reports(client)?, before + 2, "what it had not committed is not there");
    Ok(())
}

/// A database of its own for a program, with the table it writes to.
fn database_for(name: &str) -> Result<(Arc<Cluster>, String, Client)> {
    let cluster = cluster()?;
    let database = name.replace('.', "_");
    let mut client = cluster.create_database_with_extension(&database)?;
    create_table(&mut client)?;
    Ok((cluster, database, client))
}

/// On a connection of its own.
fn leads_by_its_session(name: &str) -> Result<()> {
    let (cluster, database, mut client) = database_for(name)?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: &database };
    lives_through_a_term(name, &place, &mut client)
}

/// Directly, and through a pooler that hands its two server connections round, among other clients that keep both moving.
fn leads_by_a_lease(name: &str) -> Result<()> {
    let (cluster, database, mut client) = database_for(name)?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: &database };
    lives_through_a_term(name, &place, &mut client)?;

    let pooler = PgBouncer::start(&cluster, Pooling::Transaction, 2)?;
    let place = Place { socket_dir: pooler.socket_dir(), port: pooler.port(), database: &database };
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let others: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut other = pooler.connect(&database)?;
                    // Short enough to change places often, long enough not to occupy a core.
                    while !is_done.load(Ordering::Relaxed) {
                        other.simple_query("SELECT pg_sleep(0.001)")?;
                    }
                    Ok(())
                })
            })
            .collect();
        let outcome = lives_through_a_term(name, &place, &mut client);
        is_done.store(true, Ordering::Relaxed);
        let others: Vec<_> = others.into_iter().map(|other| other.join()).collect();
        outcome?;
        for other in others {
            other.map_err(|_| anyhow!("another client of the pooler panicked"))??;
        }
        Ok(())
    })
}

#[test]
fn every_client_has_a_program_for_each_mode_and_no_program_is_left_out() -> Result<()> {
    let named: Vec<String> = programs(LEADER)?.into_keys().collect();
    let mut wanted: Vec<String> =
        CLIENTS.iter().flat_map(|client| [format!("session_{client}"), format!("lease_{client}")]).collect();
    wanted.sort();
    assert_eq!(named, wanted);
    Ok(())
}

#[test]
fn psycopg_leads_by_its_session() -> Result<()> {
    leads_by_its_session("session_psycopg.py")
}

#[test]
fn psycopg_leads_by_a_lease_and_through_a_transaction_pooler() -> Result<()> {
    leads_by_a_lease("lease_psycopg.py")
}

#[test]
fn asyncpg_leads_by_its_session() -> Result<()> {
    leads_by_its_session("session_asyncpg.py")
}

#[test]
fn asyncpg_leads_by_a_lease_and_through_a_transaction_pooler() -> Result<()> {
    leads_by_a_lease("lease_asyncpg.py")
}

#[test]
fn sqlalchemy_leads_by_its_session() -> Result<()> {
    leads_by_its_session("session_sqlalchemy.py")
}

#[test]
fn sqlalchemy_leads_by_a_lease_and_through_a_transaction_pooler() -> Result<()> {
    leads_by_a_lease("lease_sqlalchemy.py")
}

#[test]
fn node_postgres_leads_by_its_session() -> Result<()> {
    leads_by_its_session("session_pg.js")
}

#[test]
fn node_postgres_leads_by_a_lease_and_through_a_transaction_pooler() -> Result<()> {
    leads_by_a_lease("lease_pg.js")
}

#[test]
fn sqlx_leads_by_its_session() -> Result<()> {
    leads_by_its_session("session_sqlx.rs")
}

#[test]
fn sqlx_leads_by_a_lease_and_through_a_transaction_pooler() -> Result<()> {
    leads_by_a_lease("lease_sqlx.rs")
}

const POOLS_IN_PYTHON: &str = r#"
import asyncio, os
import asyncpg, psycopg_pool
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ["DATABASE_URL"]
LEAD, LEADS = "SELECT costsim_try_leader({})", "SELECT costsim_is_leader({})"

with psycopg_pool.ConnectionPool(URL, min_size=1, max_size=1) as pool:
    for query in [LEAD, LEADS]:
        with pool.connection() as conn:
            print("psycopg", conn.execute(query.format(1)).fetchone()[0])

async def main():
    async with asyncpg.create_pool(URL, min_size=1, max_size=1) as pool:
        for query in [LEAD, LEADS]:
            async with pool.acquire() as conn:
                print("asyncpg", await conn.fetchval(query.format(2)))
    engine = create_async_engine(make_url(URL).set(drivername="postgresql+asyncpg"), pool_size=1, max_overflow=0)
    for query in [LEAD, LEADS]:
        async with engine.begin() as conn:
            print("sqlalchemy", await conn.scalar(text(query.format(3))))
    await engine.dispose()

asyncio.run(main())
"#;

const POOL_IN_NODE: &str = r#"
const { Pool } = require('pg');
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 1 });
(async () => {
  for (const query of ['SELECT costsim_try_leader(4) AS it', 'SELECT costsim_is_leader(4) AS it']) {
    console.log('pg', (await pool.query(query)).rows[0].it);
  }
})().finally(() => pool.end());
"#;

/// Leads on a connection of sqlx's pool, and looks again when the pool hands it out the next time.
fn sqlx_pool_keeps_the_lead(url: &str) -> Result<bool> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(url).await?;
        let leads: bool = sqlx::query_scalar("SELECT costsim_try_leader(5)").fetch_one(&pool).await?;
        ensure!(leads, "nobody else leads");
        let keeps = sqlx::query_scalar("SELECT costsim_is_leader(5)").fetch_one(&pool).await?;
        pool.close().await;
        Ok(keeps)
    })
}

#[test]
fn only_the_pool_of_asyncpg_loses_the_lead_of_a_connection_that_comes_back() -> Result<()> {
    let cluster = cluster()?;
    cluster.create_database_with_extension("pools")?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "pools" };
    assert_eq!(
        Running::interpret("pools.py", POOLS_IN_PYTHON, &place, &[])?.output()?,
        "psycopg True\npsycopg True\nasyncpg True\nasyncpg False\nsqlalchemy True\nsqlalchemy True\n"
    );
    assert_eq!(Running::interpret("pool.js", POOL_IN_NODE, &place, &[])?.output()?, "pg true\npg true\n");
    assert!(sqlx_pool_keeps_the_lead(&place.url())?);
    Ok(())
}

/// A program of docs/breaker.md.
fn guarded(name: &str) -> Result<String> {
    programs(BREAKER)?.remove(name).with_context(|| format!("{BREAKER} has no {name}"))
}

/// What `ask_psycopg.py` prints when V2 answers so.
fn asked(place: &Place<'_>, v2_answers: &str, more: &[(&str, &str)]) -> Result<String> {
    let environment: Vec<_> = [("V2_ANSWERS", v2_answers)].iter().chain(more).copied().collect();
    let text = guarded("ask_psycopg.py")?;
    Running::interpret("ask_psycopg.py", &text, place, &environment)?.output()
}

#[test]
fn no_program_of_the_breakers_manual_is_left_out() -> Result<()> {
    let named: Vec<String> = programs(BREAKER)?.into_keys().collect();
    assert_eq!(named, ["ask_psycopg.py", "listen_psycopg.py"]);
    Ok(())
}

#[test]
fn psycopg_opens_the_breaker_by_its_reports_and_then_stands_back() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("ask_trip")?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "ask_trip" };
    assert_eq!(asked(&place, "150", &[])?, "v2 answers 150.0\n");
    assert_eq!(asked(&place, "150", &[])?, "v2 answers 150.0\n");
    let opening = asked(&place, "150", &[])?;
    let incident: String = one(&mut client, "SELECT incident_id FROM costsim_cb_get_state()")?;
    assert_eq!(opening, format!("opened: incident {incident}\nv2 answers 150.0\n"));
    assert_eq!(asked(&place, "150", &[])?, "v1 answers 100.0\n");
    Ok(())
}

#[test]
fn psycopg_opens_a_half_open_breaker_by_a_bad_probe_and_closes_it_by_a_good_one() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("ask_probe")?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "ask_probe" };
    client.batch_execute(
        "SELECT costsim_configure_breaker('costsim_v2', half_open => true, disable_ttl => '1 microsecond',
                                          probe_permits => 1, probe_successes => 1)",
    )?;
    client.batch_execute("SELECT costsim_disable_v2('to see it probed', 'test')")?;
    let latest =
        "SELECT cause FROM costsim_cb_events WHERE from_state = 'half_open' ORDER BY id DESC LIMIT 1";
    assert_eq!(asked(&place, "150", &[])?, "v2 answers 150.0\n");
    assert_eq!(one::<String>(&mut client, latest)?, "probe_failed");
    assert_eq!(asked(&place, "104", &[])?, "v2 answers 104.0\n");
    assert_eq!(one::<String>(&mut client, latest)?, "probes_passed");
    assert_eq!(one::<String>(&mut client, "SELECT state FROM costsim_cb_get_state()")?, "closed");
    Ok(())
}

#[test]
fn psycopg_without_a_database_does_what_the_application_chose() -> Result<()> {
    // Nothing listens there.
    let nowhere = Place { socket_dir: Path::new("/nonexistent"), port: 1, database: "none" };
    assert_eq!(asked(&nowhere, "104", &[])?, "not asked: None\nv1 answers 100.0\n");
    assert_eq!(
        asked(&nowhere, "104", &[("V2_WHEN_UNKNOWN", "yes")])?,
        "not asked: None\nnot reported: None\nv2 answers 104.0\n"
    );
    Ok(())
}

#[test]
fn psycopg_that_listens_hears_of_each_change_and_finds_back_after_a_lost_connection() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("listen")?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "listen" };
    // Without its net, so that it is the announcement that it hears.
    let text = guarded("listen_psycopg.py")?.replace("LOOK_AGAIN = 10 ", "LOOK_AGAIN = 100_000 ");
    ensure!(text.contains("100_000"), "the program looks again at other times");
    let lines = Running::interpret("listen_psycopg.py", &text, &place, &[])?.lines()?;
    assert_eq!(lines.next()?, "closed");
    client.batch_execute("SELECT costsim_disable_v2('to be heard', 'test')")?;
    assert_eq!(lines.next()?, "open");
    client.batch_execute("SELECT costsim_enable_v2('test')")?;
    assert_eq!(lines.next()?, "closed");

    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = 'listen' AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    assert_eq!(one::<i64>(&mut client, end)?, 1);
    assert_eq!(lines.next()?, "None");
    client.batch_execute("SELECT costsim_disable_v2('while nobody listens', 'test')")?;
    // It may have looked just before.
    while lines.next()? != "open" {}
    Ok(())
}

/// What the program of docs/alerts.md prints, line by line, in the order of the alphabet.
fn delivered(place: &Place<'_>, alertmanager: &Alertmanager) -> Result<Vec<String>> {
    let programs = programs(ALERTS)?;
    let text = programs.get("deliver_psycopg.py").context("docs/alerts.md has no deliver_psycopg.py")?;
    let environment = [("ALERTMANAGER_URL", &*alertmanager.url())];
    let printed = Running::interpret("deliver_psycopg.py", text, place, &environment)?.output()?;
    let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
    lines.sort();
    Ok(lines)
}

#[test]
fn no_program_of_the_alerts_manual_is_left_out() -> Result<()> {
    let named: Vec<String> = programs(ALERTS)?.into_keys().collect();
    assert_eq!(named, ["deliver_psycopg.py"]);
    Ok(())
}

#[test]
fn psycopg_delivers_what_it_claims_and_tells_what_became_of_it() -> Result<()> {
    let mut alertmanager = Alertmanager::start()?;
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("deliver")?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "deliver" };
    // More than one batch; and past every check, as an ORM writes, one that Alertmanager refuses.
    client.batch_execute(
        r#"SELECT costsim_enqueue_alert(format('[{"labels": {"alertname": "Queued%s"}}]', n)::jsonb, 'test') FROM generate_series(1, 12) n;
           SELECT costsim_fire_alert('{"alertname": "Fired"}');
           INSERT INTO costsim_alert_queue (payload, alert_type) VALUES ('[{"labels": {"alertname": "Bad", "bad name": "x"}}]', 'bad')"#,
    )?;
    let mut expected: Vec<String> = (1..=12).map(|n| format!("Queued{n}: 200")).collect();
    expected.extend(["Bad: 400".to_owned(), "Fired: 200".to_owned()]);
    expected.sort();
    assert_eq!(delivered(&place, &alertmanager)?, expected);
    for name in ["Queued1", "Queued12", "Fired"] {
        assert!(alertmanager.alert_state(&[("alertname", name)])?.is_some(), "{name} has not arrived");
    }
    let told = "SELECT string_agg(told, '; ' ORDER BY told) FROM (
                    SELECT format('%s %s, %s', count(*), status, left(last_error, 8)) AS told
                      FROM costsim_alert_queue GROUP BY status, left(last_error, 8)) t";
    assert_eq!(one::<String>(&mut client, told)?, "1 failed, HTTP 400; 12 sent, ");
    assert!(one::<bool>(&mut client, "SELECT sent_revision = revision FROM costsim_alerts")?);

    assert!(delivered(&place, &alertmanager)?.is_empty(), "nothing is due");
    client.batch_execute(r#"SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Late"}}]', 'test')"#)?;
    alertmanager.stop()?;
    let lines = delivered(&place, &alertmanager)?;
    // Its pause is random, and may be over before the program looks again.
    assert!(!lines.is_empty() && lines.iter().all(|line| line == "Late: None"), "{lines:?}");
    let waits =
        "SELECT status = 'pending' AND attempts > 0 AND last_error LIKE '%refused%' AND claimed_by IS NULL
                   FROM costsim_alert_queue WHERE payload @> '[{\"labels\": {\"alertname\": \"Late\"}}]'";
    assert!(one::<bool>(&mut client, waits)?);
    Ok(())
}

/// A program of docs/provenance.md.
fn of_provenance(name: &str) -> Result<String> {
    programs(PROVENANCE)?.remove(name).with_context(|| format!("{PROVENANCE} has no {name}"))
}

#[test]
fn no_program_of_the_provenance_manual_is_left_out() -> Result<()> {
    let named: Vec<String> = programs(PROVENANCE)?.into_keys().collect();
    assert_eq!(named, ["hash_pg.js", "hash_psycopg.py", "load_psycopg.py"]);
    Ok(())
}

/// The documents of the manual's table of forms, and what it says of them.
fn forms() -> Result<Vec<[String; 3]>> {
    let manual = std::fs::read_to_string(root().join(PROVENANCE))?;
    let rows = manual.lines().filter(|line| line.starts_with("| `{"));
    let forms: Vec<_> = rows
        .map(|row| {
            let mut cells =
                row.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`').to_owned());
            let mut next = || cells.next().with_context(|| format!("a row of fewer than three: {row}"));
            Ok([next()?, next()?, next()?])
        })
        .collect::<Result<_>>()?;
    ensure!(forms.len() > 10, "only {} documents were found", forms.len());
    Ok(forms)
}

#[test]
fn table_of_forms_is_what_the_server_answers() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("forms")?;
    for [document, reference, jcs] in forms()? {
        for (function, form) in [("costsim_canonical", reference), ("costsim_jcs", jcs)] {
            let query = format!("SELECT {function}($1::text::json)");
            let answer = match client.query_one(&query, &[&document]) {
                Ok(row) => row.get(0),
                Err(error) => {
                    error.code().map(|code| code.code().to_owned()).with_context(|| error.to_string())?
                }
            };
            assert_eq!(answer, form, "{function} of {document}");
        }
    }
    let odd = "SELECT costsim_jcs('[9007199254740993]', strict_numbers => true)";
    assert_eq!(sqlstate_of(&mut client, odd)?, "22023");
    Ok(())
}

#[test]
fn programs_in_python_and_javascript_hash_as_the_server_does() -> Result<()> {
    let cluster = cluster()?;
    cluster.create_database_with_extension("hashes")?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "hashes" };
    // What RFC 8785 has no form for is left out, and everything else is one document.
    let documents: Vec<String> =
        forms()?.into_iter().filter(|[_, _, jcs]| jcs != "22023").map(|[document, ..]| document).collect();
    let odd = r#"{"n": [0, -1.5, 1e20, 1e21, 1e22, 5e-324, 1.7976931348623157e308, 333333333.33333329, 123456789012345680000, 0.000001],
                  "s": "\u0000\u001f\u007f\u2028\"\\\/é\ud83d\ude00", "": [], "o": {"a": {}, "A": null, "\u00e9": [true, false]}}"#;
    for payload in [format!("[{}]", documents.join(", ")), odd.to_owned(), "17".to_owned()] {
        for name in ["hash_psycopg.py", "hash_pg.js"] {
            let printed = Running::interpret(name, &of_provenance(name)?, &place, &[("PAYLOAD", &payload)])?
                .output()?;
            let lines: Vec<&str> = printed.lines().collect();
            ensure!(
                lines.len() == 3 && lines.iter().all(|line| line.ends_with(" as the server's")),
                "{name} of {payload}: {printed}"
            );
        }
    }
    Ok(())
}

const BASELINES: &str = r#"{"tenant_id": "acme", "run_id": "1", "payload": {"text": "a \"quoted\" \\ one,\ttwo", "n": 1.0}, "cost": 10}
{"tenant_id": "acme", "run_id": "2", "payload": {"n": 2}, "cost": 20.5}
{"tenant_id": "globex", "run_id": "3", "payload": {"n": 2}, "cost": 21}
{"tenant_id": "globex", "run_id": "4", "cost": 22}
{"tenant_id": "acme", "run_id": "5", "payload": {"n": 2}, "cost": 99}
"#;

#[test]
fn psycopg_loads_a_file_of_baselines_and_going_on_with_it_loads_nothing_twice() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("load")?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "load" };
    let file = cluster.socket_dir().join("baselines.jsonl");
    std::fs::write(&file, BASELINES)?;
    let file = file.to_str().context("the file's name")?.to_owned();
    let load = |more: &[(&str, &str)]| -> Result<Vec<String>> {
        let environment: Vec<_> = [("BASELINES", &*file)].iter().chain(more).copied().collect();
        let text = of_provenance("load_psycopg.py")?;
        let printed = Running::interpret("load_psycopg.py", &text, &place, &environment)?.output()?;
        Ok(printed.lines().map(str::to_owned).collect())
    };
    let rows = "SELECT count(*) FROM costsim_provenance WHERE variant_slug = 'v1' AND source = 'backfill'";
    assert_eq!(load(&[("DRY_RUN", "yes")])?, ["inserted 3, skipped 1, errors 1, remaining 5"]);
    assert_eq!(one::<i64>(&mut client, rows)?, 0);
    // The dry run has staged the file.
    let printed = load(&[])?;
    assert_eq!(
        printed[..2],
        [
            "inserted 3, skipped 1, errors 1, remaining 0",
            "staged 0, inserted 3, skipped 1, errors 1, missing 0, differing 1"
        ]
    );
    assert!(printed.len() == 3 && printed[2].starts_with("4: "), "{printed:?}");
    assert_eq!(one::<i64>(&mut client, rows)?, 3);
    // The whole file again.
    assert_eq!(load(&[])?[0], "inserted 0, skipped 4, errors 1, remaining 0");
    assert_eq!(one::<i64>(&mut client, rows)?, 3);
    Ok(())
}

#[test]
fn psql_loads_the_same_file_as_the_manual_has_it() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("psql")?;
    let script: String = blocks(PROVENANCE, "psql")?.concat();
    let file = cluster.data_dir().join("baselines.jsonl");
    std::fs::write(&file, BASELINES)?;
    let script = script.replace("'baselines.jsonl'", &format!("'{}'", file.display()));
    ensure!(script.contains(&file.display().to_string()), "the manual has no COPY of baselines.jsonl");
    let path = cluster.data_dir().join("load.sql");
    std::fs::write(&path, script)?;
    let path = path.to_str().context("the script's name")?;
    let connection = cluster.conn_string("psql");
    run_tool(&cluster, "psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &connection, "-f", path])?;
    let states = "SELECT string_agg(state, ' ' ORDER BY id) FROM costsim_backfill_staging";
    assert_eq!(one::<String>(&mut client, states)?, "inserted inserted inserted error skipped");
    let stored = "SELECT payload ->> 'text' FROM costsim_provenance WHERE run_id = '1'";
    assert_eq!(one::<String>(&mut client, stored)?, "a \"quoted\" \\ one,\ttwo");
    Ok(())
}

/// What a role of docs/provenance.md does, statement by statement.
fn does(client: &mut Client, role: &str, statements: &[&str]) -> Result<()> {
    client.batch_execute(&format!("SET ROLE {role}"))?;
    for statement in statements {
        client.batch_execute(statement).with_context(|| format!("{role}: {statement}"))?;
    }
    Ok(client.batch_execute("RESET ROLE")?)
}

#[test]
fn grants_of_the_provenance_manual_are_enough_to_write_and_to_read_and_for_no_more() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("grants")?;
    let blocks = blocks(PROVENANCE, "sql")?;
    let grants = blocks.iter().find(|block| block.starts_with("CREATE ROLE cost_writer"));
    client.batch_execute(grants.with_context(|| format!("{PROVENANCE} makes no cost_writer"))?)?;
    let batch = r#"SELECT costsim_write_provenance_batch('[{"run_id": "1", "tenant_id": "acme", "v1_cost": 1, "v2_cost": 2, "payload": {}},
                                                           {"run_id": "2", "v1_cost": 1, "v2_cost": 2}]')"#;
    let late = "INSERT INTO costsim_provenance (tenant_id, v1_cost, v2_cost, created_at) VALUES ('acme', 1, 2, now() - interval '2 days')";
    let hash = "SELECT costsim_input_hash('{}'), costsim_input_digest('{}')";
    let reading = [
        "SELECT * FROM costsim_drift_stats()",
        "SELECT * FROM costsim_drift_stats(now() - interval '30 days', now(), tenant_id => 'acme', variant_slug => 'v2')",
        "SELECT * FROM costsim_drift_series(now() - interval '7 days', now(), '1 day')",
        "SELECT * FROM costsim_drift_series(bucket => '15 minutes')",
        "SELECT costsim_drift_js(costsim_drift_merge(summary)), costsim_drift_kl(costsim_drift_merge(summary)) FROM costsim_drift_series()",
        "SELECT costsim_drift_count(d), costsim_drift_not_finite(d), costsim_drift_mean(d), costsim_drift_min(d), costsim_drift_max(d),
                costsim_drift_stddev(d), costsim_drift_rel_mean(d), costsim_drift_rel_max(d), costsim_drift_percentile(d, 0.9),
                costsim_drift_index_percentile(d, 0.9), costsim_drift_kl(d), costsim_drift_js(d), d::text
           FROM (SELECT costsim_drift(v1_cost, v2_cost) FROM costsim_provenance) AS t (d)",
        "SELECT r.* FROM costsim_drift_series() s, costsim_drift_report(s.summary) r",
        "SELECT * FROM costsim_query_provenance(tenant_id => 'acme')",
        "SELECT costsim_count_provenance(), costsim_check_duplicate('015abd7f5cc57a2d')",
        "SELECT hour FROM costsim_drift_changes",
        "SELECT hours, bucket_start, is_total FROM costsim_drift_rollups",
        "SELECT task, last_error FROM costsim_maintenance",
    ];
    for _ in 0..2 {
        does(&mut client, "cost_writer", &[batch, late, hash])?;
        does(&mut client, "cost_reader", &reading)?;
        client.batch_execute("SELECT costsim_refresh_drift()")?;
        // Now from roll-ups.
        does(&mut client, "cost_reader", &reading)?;
    }
    let total = "SELECT total FROM costsim_drift_stats()";
    client.batch_execute("SET ROLE cost_reader")?;
    assert_eq!(one::<i64>(&mut client, total)?, 6);
    for refused in [batch, "DELETE FROM costsim_provenance", "SELECT costsim_refresh_drift()"] {
        assert_eq!(sqlstate_of(&mut client, refused)?, "42501", "{refused}");
    }
    // Whoever writes reads as well.
    client.batch_execute("SET ROLE cost_writer")?;
    assert_eq!(one::<i64>(&mut client, total)?, 6);
    for refused in [
        "DELETE FROM costsim_provenance",
        "UPDATE costsim_provenance SET v1_cost = 0",
        "TRUNCATE costsim_provenance",
        "SELECT costsim_refresh_drift()",
    ] {
        assert_eq!(sqlstate_of(&mut client, refused)?, "42501", "{refused}");
    }
    Ok(())
}

#[test]
fn psycopg_records_once_what_it_repeats_and_is_told_of_a_limit() -> Result<()> {
    let named: Vec<String> = programs(COST)?.into_keys().collect();
    assert_eq!(named, ["meter_psycopg.py"]);
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("meter")?;
    client.batch_execute(
        "SELECT costsim_create_feature_tag('globex', 'chat.answer');
         SELECT costsim_set_budget('globex', 'feature', 'chat.answer', monthly_limit_cents => 50, hard_limit_enabled => true)",
    )?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "meter" };
    let text = &programs(COST)?["meter_psycopg.py"];
    let printed = Running::interpret("meter_psycopg.py", text, &place, &[])?.output()?;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..2], ["req-1 recorded None", "req-1 duplicate None"]);
    assert!(lines.len() == 3 && lines[2].starts_with("req-2 refused 100 cents would pass"), "{lines:?}");
    let stored = "SELECT string_agg(concat_ws(' ', request_id, feature_tag, user_id, model, cost_cents, input_tokens, output_tokens), '; ')
                    FROM costsim_cost_records";
    assert_eq!(one::<String>(&mut client, stored)?, "req-1 chat.answer ada model-a 0.012300 374 44");
    Ok(())
}

#[test]
fn psycopg_computes_the_digest_of_every_audit_record() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("digests")?;
    let odd = r#""\b\f\n\r\t\x01\x1f\x7f\\ / é \u2028 \U0001F600"#;
    client.batch_execute(&format!(
        "SET TimeZone = 'Asia/Kathmandu';
         SELECT costsim_persist_audit_record(('00000000-0000-4000-8000-00000000000' || n)::text, E'{odd}' || n, 'safety', 'applied', E'{odd}',
                                             timestamptz '2026-01-01 00:00:00.000001+00' + n * interval '1.5 seconds', NULL, E'{odd}', n, E'{odd}')
           FROM generate_series(1, 3) n;
         ALTER TABLE costsim_audit_records DISABLE TRIGGER USER, DROP CONSTRAINT costsim_audit_content_digest_valid;
         UPDATE costsim_audit_records SET active_envelopes_count = 7 WHERE active_envelopes_count = 2"
    ))?;
    let place = Place { socket_dir: cluster.socket_dir(), port: cluster.port(), database: "digests" };
    let text = &programs(AUDIT)?["digest_psycopg.py"];
    let printed = Running::interpret("digest_psycopg.py", text, &place, &[])?.output()?;
    let words: Vec<&str> = printed.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(words, ["whole", "changed", "whole"], "{printed}");
    Ok(())
}

#[test]
fn grants_of_the_cost_manual_are_enough_to_record_and_to_read_and_for_no_more() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("cost_grants")?;
    let blocks = blocks(COST, "sql")?;
    let grants = blocks.iter().find(|block| block.starts_with("CREATE ROLE meter"));
    client.batch_execute(grants.with_context(|| format!("{COST} makes no meter"))?)?;
    client.batch_execute(
        "SELECT costsim_set_budget('acme', daily_limit_cents => 50, hard_limit_enabled => true)",
    )?;
    let one_record = "SELECT costsim_record_cost('acme', 'model-a', 1, request_id => 'r', enforce => true)";
    let batch = r#"SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "model-a", "cost_cents": 1}]', enforce => true)"#;
    let window = "'acme', now() - interval '1 day', now() + interval '1 day'";
    let mut reading = vec![
        "SELECT * FROM costsim_current_spend('acme')".to_owned(),
        "SELECT * FROM costsim_budget_status('acme')".to_owned(),
        "SELECT * FROM costsim_cost_projection('acme')".to_owned(),
        "SELECT * FROM costsim_cost_baseline('acme')".to_owned(),
        "SELECT * FROM costsim_cost_comparison('acme')".to_owned(),
        "SELECT * FROM costsim_query_cost_records('acme')".to_owned(),
        "SELECT * FROM costsim_query_anomalies('acme')".to_owned(),
        "SELECT * FROM costsim_explain_anomaly('acme')".to_owned(),
        "SELECT * FROM costsim_breach_history('acme')".to_owned(),
        "SELECT * FROM costsim_drift_tracking('acme')".to_owned(),
        "SELECT * FROM costsim_list_feature_tags('acme')".to_owned(),
    ];
    for function in [
        "cost_spend",
        "llm_usage",
        "cost_metrics",
        "worker_execution",
        "cost_by_feature",
        "cost_by_user",
        "cost_by_model",
        "cost_summary",
    ] {
        reading.push(format!("SELECT * FROM costsim_{function}({window})"));
    }
    let reading: Vec<&str> = reading.iter().map(String::as_str).collect();
    does(&mut client, "meter", &[one_record, batch])?;
    does(&mut client, "dashboard", &reading)?;
    client.batch_execute("SELECT costsim_refresh_costs()")?;
    does(&mut client, "dashboard", &reading)?;
    client.batch_execute("SET ROLE dashboard")?;
    assert_eq!(
        one::<i64>(
            &mut client,
            "SELECT requests FROM costsim_cost_summary('acme', now() - interval '1 day', now())"
        )?,
        2
    );
    for refused in [
        batch,
        "DELETE FROM costsim_cost_records",
        "SELECT costsim_refresh_costs()",
        "SELECT costsim_detect_anomalies('acme')",
    ] {
        assert_eq!(sqlstate_of(&mut client, refused)?, "42501", "{refused}");
    }
    client.batch_execute("SET ROLE meter")?;
    for refused in [
        "DELETE FROM costsim_cost_records",
        "UPDATE costsim_cost_records SET cost_cents = 0",
        "DELETE FROM costsim_cost_daily",
        "SELECT costsim_refresh_costs()",
    ] {
        assert_eq!(sqlstate_of(&mut client, refused)?, "42501", "{refused}");
    }
    Ok(())
}
