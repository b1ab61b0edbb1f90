//! The server whose worker delivers, and the backlogs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, wait_until};
use postgres::Client;

use crate::DATABASE;

/// Far beyond every drain: what takes longer does not happen at all.
const LIMIT: Duration = Duration::from_secs(900);

/// An alert of a backlog, of the size that the breaker's have. `n` tells one from the other.
const PAYLOAD: &str = "jsonb_build_array(jsonb_build_object(
    'labels', jsonb_build_object('alertname', 'Bench', 'severity', 'p2', 'component', 'costsim', 'instance', 'bench', 'n', n::text),
    'annotations', jsonb_build_object('summary', 'costsim_v2 was switched off',
        'description', 'drift score 0.35 > drift_threshold 0.2, failure 3 in a row >= failure_threshold 3'),
    'startsAt', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')))";

/// Who keeps the rows of a backlog.
#[derive(Clone, Copy)]
pub enum Queue {
    Ours,
    /// Columns, indexes and settings are ours, and nothing else is.
    Plain,
}

impl Queue {
    pub fn table(self) -> &'static str {
        match self {
            Self::Ours => "costsim_alert_queue",
            Self::Plain => "plain_alert_queue",
        }
    }
}

/// A database of the same server that nobody delivers for.
const QUIET: &str = "quiet";

pub struct Stage {
    cluster: Cluster,
    pub client: Client,
}

impl Stage {
    pub fn start() -> Result<Self> {
        // As a server in production has it: whoever commits waits for the disk.
        let builder = Cluster::builder().preload(true).conf("fsync", "on");
        let cluster = builder.conf("costsim.databases", DATABASE).start()?;
        let mut client = cluster.create_database_with_extension(DATABASE)?;
        make_plain_queue(&mut client)?;
        let mut stage = Self { cluster, client };
        // The launcher has found the database missing, and would look again within a minute.
        stage.reload()?;
        stage.hold()?;
        Ok(stage)
    }

    /// A session of a database of its own, without a worker.
    pub fn quiet(&self) -> Result<Client> {
        let mut client = self.cluster.create_database_with_extension(QUIET)?;
        make_plain_queue(&mut client)?;
        Ok(client)
    }

    /// Another session.
    pub fn connect(&self) -> Result<Client> {
        self.cluster.connect(DATABASE)
    }

    /// Replaces a backlog by `alerts` new ones, a millisecond apart.
    pub fn fill(&mut self, queue: Queue, alerts: usize) -> Result<()> {
        let table = queue.table();
        self.client.batch_execute(&format!(
            "TRUNCATE {table};
             INSERT INTO {table} (payload, alert_type, created_at, next_attempt_at)
             SELECT {PAYLOAD}, 'bench', at, at
               FROM generate_series(1, {alerts}) AS n, LATERAL (SELECT now() - ({alerts} - n) * interval '1 ms') AS age (at)"
        ))?;
        Ok(())
    }

    /// The payloads of a backlog.
    pub fn payloads(&mut self, queue: Queue) -> Result<Vec<String>> {
        let query = format!("SELECT payload::text FROM {} ORDER BY id", queue.table());
        Ok(self.client.query(&query, &[])?.iter().map(|row| row.get(0)).collect())
    }

    /// Lets the worker send its backlog, and answers the alerts per second: from the reload that gives it an address to the moment
    /// at which every row is settled and it has nothing left to do.
    pub fn drain(&mut self, url: &str, alerts: usize) -> Result<f64> {
        self.set_url(url)?;
        let start = Instant::now();
        self.reload()?;
        self.wait_until_drained()?;
        let elapsed = start.elapsed();
        let sent: i64 = self.client.query_one("SELECT sent FROM costsim_alert_queue_stats()", &[])?.get(0);
        ensure!(usize::try_from(sent)? == alerts, "{sent} of {alerts} were sent");
        self.hold()?;
        Ok(alerts as f64 / elapsed.as_secs_f64())
    }

    /// Lets the worker send whatever comes.
    pub fn deliver_to(&mut self, url: &str) -> Result<()> {
        self.set_url(url)?;
        self.reload()?;
        self.wait_until_drained()
    }

    /// Waits until the worker is idle and nothing is pending.
    pub fn wait_until_drained(&mut self) -> Result<()> {
        // What it is about is shown in shared memory. Only once it says that it is idle a table is read.
        wait_until(LIMIT, "the worker to have nothing left to do", || {
            if self.activity()?.1 != "costsim: idle" {
                return Ok(None);
            }
            let query = "SELECT NOT EXISTS (SELECT FROM costsim_alert_queue WHERE status = 'pending')";
            Ok(self.client.query_one(query, &[])?.get::<_, bool>(0).then_some(()))
        })
    }

    /// Takes the worker's address away, and waits until it waits for one.
    pub fn hold(&mut self) -> Result<()> {
        self.set_url("")?;
        self.reload()?;
        wait_until(LIMIT, "the worker to miss its address", || {
            Ok(self.activity()?.1.starts_with("costsim: blocked").then_some(()))
        })
    }

    /// The worker's process.
    pub fn worker(&mut self) -> Result<i32> {
        Ok(self.activity()?.0)
    }

    fn activity(&mut self) -> Result<(i32, String)> {
        let query = "SELECT pid, query FROM pg_stat_activity
                      WHERE backend_type = 'costsim worker' AND datname = current_database()";
        let row = self.client.query_opt(query, &[])?.context("there is no worker")?;
        Ok((row.get(0), row.get(1)))
    }

    fn set_url(&mut self, url: &str) -> Result<()> {
        Ok(self.client.batch_execute(&format!("ALTER SYSTEM SET costsim.alertmanager_url = '{url}'"))?)
    }

    fn reload(&mut self) -> Result<()> {
        let is_reloaded: bool = self.client.query_one("SELECT pg_reload_conf()", &[])?.get(0);
        ensure!(is_reloaded, "the server did not reload");
        Ok(())
    }
}

fn make_plain_queue(client: &mut Client) -> Result<()> {
    let options =
        "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = 'costsim_alert_queue'::regclass";
    let options: Option<String> = client.query_one(options, &[])?.get(0);
    let options = options.map_or_else(String::new, |options| format!("WITH ({options})"));
    let create = "CREATE TABLE plain_alert_queue (LIKE costsim_alert_queue INCLUDING ALL)";
    Ok(client.batch_execute(&format!("{create} {options}"))?)
}
