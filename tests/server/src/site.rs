//! A server with a database whose worker delivers alerts.

use crate::{LIMIT, child, is_running, one};
use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{Cluster, ClusterBuilder, Signal, wait_until};
use postgres::Client;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A cluster that preloads the extension, and its database `app` with a worker.
#[derive(Debug)]
pub struct Site {
    pub cluster: Cluster,
}

/// What `costsim_worker_status()` says of a session's own database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    pub pid: Option<i32>,
    pub state: String,
    pub trouble: Option<String>,
}

impl Site {
    /// Sends to `url`. The worker's safety poll is an hour away, so whatever it does in a test, somebody woke it for.
    pub fn builder(url: &str) -> ClusterBuilder {
        Cluster::builder()
            .preload(true)
            .conf("costsim.databases", "app")
            .conf("costsim.alertmanager_url", url)
            .conf("costsim.worker_poll_interval", "1h")
            .conf("costsim.alert_max_backoff", "1s")
    }

    /// Starts it, and waits until the worker has found the extension.
    pub fn start(builder: ClusterBuilder) -> Result<Self> {
        let cluster = builder.start()?;
        let site = Self { cluster };
        site.add_database("app")?;
        Ok(site)
    }

    /// Makes a database that `costsim.databases` names, and waits until its worker runs.
    pub fn add_database(&self, name: &str) -> Result<()> {
        let mut client = self.cluster.create_database_with_extension(name)?;
        // The launcher has found it missing, and would look again within a minute.
        let is_reloaded: bool = one(&mut client, "SELECT pg_reload_conf()")?;
        ensure!(is_reloaded, "the server did not reload");
        Self::worker_pid(&mut client).map(drop)
    }

    /// A session of the database `app`.
    pub fn connect(&self) -> Result<Client> {
        self.cluster.connect("app")
    }

    /// Runs `body` while a session of the database `app` repeats a statement, without a pause and until the end.
    pub fn during<T>(&self, statement: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut session = self.connect()?;
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let repeating = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    session.batch_execute(statement)?;
                }
                Ok::<_, anyhow::Error>(())
            });
            let outcome = body();
            is_over.store(true, Ordering::Relaxed);
            repeating.join().map_err(|_| anyhow!("the session has panicked"))??;
            outcome
        })
    }

    /// What the status view says of the worker of the session's database.
    pub fn worker_status(client: &mut Client) -> Result<WorkerStatus> {
        let query =
            "SELECT pid, state, trouble FROM costsim_worker_status() WHERE database = current_database()";
        let row = client.query_one(query, &[])?;
        Ok(WorkerStatus { pid: row.try_get(0)?, state: row.try_get(1)?, trouble: row.try_get(2)? })
    }

    /// Waits until the worker is in this state.
    pub fn wait_for_state(client: &mut Client, state: &str) -> Result<WorkerStatus> {
        wait_until(LIMIT, &format!("the worker to be {state}"), || {
            let status = Self::worker_status(client)?;
            if status.state != state {
                bail!("{status:?}");
            }
            Ok(Some(status))
        })
    }

    /// The process of the worker of the session's database; waits until there is one.
    pub fn worker_pid(client: &mut Client) -> Result<i32> {
        let query = "SELECT pid FROM pg_stat_activity
                      WHERE backend_type = 'costsim worker' AND datname = current_database()";
        wait_until(LIMIT, "a worker", || Ok(client.query_opt(query, &[])?.map(|row| row.get(0))))
    }

    /// Waits until the worker of the session's database is inside a request.
    pub fn wait_for_request(client: &mut Client) -> Result<i32> {
        let query = "SELECT pid FROM pg_stat_activity
                      WHERE backend_type = 'costsim worker' AND datname = current_database()
                        AND query = 'costsim: posting alerts'";
        wait_until(LIMIT, "a request in flight", || Ok(client.query_opt(query, &[])?.map(|row| row.get(0))))
    }

    /// Tells a process of the server to end as `pg_terminate_backend` does, and answers how long it took to be gone.
    pub fn time_to_end(client: &mut Client, pid: i32) -> Result<Duration> {
        let told_at = Instant::now();
        let was_told: bool = one(client, &format!("SELECT pg_terminate_backend({pid})"))?;
        ensure!(was_told, "process {pid} was not there to be told");
        Self::time_until_gone(pid, told_at)
    }

    /// Shuts the server down as an administrator does in a hurry, and answers how long that took.
    pub fn time_to_shut_down(&self) -> Result<Duration> {
        let postmaster = self.cluster.postmaster_pid()?;
        let told_at = Instant::now();
        child::signal(postmaster, Signal::INT)?;
        Self::time_until_gone(postmaster, told_at)
    }

    fn time_until_gone(pid: i32, since: Instant) -> Result<Duration> {
        wait_until(LIMIT, &format!("process {pid} to end"), || Ok((!is_running(pid)).then_some(())))?;
        Ok(since.elapsed())
    }

    /// The lines of the log that speak of the extension's processes or were written by them.
    pub fn lines_of_workers(&self) -> Result<Vec<String>> {
        let log = self.cluster.log().context("the log")?;
        Ok(log.lines().filter(|line| line.contains("costsim")).map(str::to_owned).collect())
    }
}
