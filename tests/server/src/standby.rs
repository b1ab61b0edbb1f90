//! A streaming replica of a cluster.

use crate::{LIMIT, one, run_tool};
use anyhow::{Context, Result};
use costsim_harness::{Cluster, wait_until};
use postgres::{Client, Config, NoTls};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

/// A hot standby that replays what the primary writes. Ends before its primary: declare it after the cluster.
#[derive(Debug)]
pub struct Standby<'a> {
    primary: &'a Cluster,
    data_dir: PathBuf,
    port: u16,
}

impl<'a> Standby<'a> {
    /// Copies the primary and starts the copy, in the primary's own folder and with its programs.
    pub fn start(primary: &'a Cluster) -> Result<Self> {
        static STARTED: AtomicU16 = AtomicU16::new(0);
        // A number names a socket, no more, and the folder is this cluster's alone.
        let port = primary.port() + 1 + STARTED.fetch_add(1, Ordering::Relaxed);
        let data_dir = primary.socket_dir().join(format!("standby_{port}"));
        let data = data_dir.to_str().context("the folder's name")?;
        run_tool(
            primary,
            "pg_basebackup",
            [
                "--pgdata",
                data,
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
                "--dbname",
                &primary.conn_string("postgres"),
            ],
        )?;
        let log = format!("{data}/server.log");
        let options = format!("-p {port}");
        run_tool(primary, "pg_ctl", ["start", "-s", "-w", "-D", data, "-l", &log, "-o", &options])
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Self { primary, data_dir, port })
    }

    /// A session on the standby.
    pub fn connect(&self, database: &str) -> Result<Client> {
        let mut config = Config::new();
        config.host_path(self.primary.socket_dir()).port(self.port).user("postgres").dbname(database);
        config.connect(NoTls).context("connecting to the standby")
    }

    /// Waits until the standby shows everything that has been committed by now.
    pub fn catch_up(&self) -> Result<()> {
        // The place of a commit of our own: the log as such may end in half a record that nobody completes for a while.
        let mark = "SELECT pg_logical_emit_message(true, 'costsim', 'catch up')::text";
        let written: String = one(&mut self.primary.connect("postgres")?, mark)?;
        let mut client = self.connect("postgres")?;
        let question = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        wait_until(LIMIT, "the standby to replay", || Ok(one::<bool>(&mut client, &question)?.then_some(())))
    }

    /// Makes it a primary of its own.
    pub fn promote(&self) -> Result<()> {
        let data = self.data_dir.to_str().context("the folder's name")?;
        run_tool(self.primary, "pg_ctl", ["promote", "-s", "-w", "-D", data]).map(drop)
    }
}

impl Drop for Standby<'_> {
    fn drop(&mut self) {
        let Some(data) = self.data_dir.to_str() else { return };
        if let Err(error) =
            run_tool(self.primary, "pg_ctl", ["stop", "-s", "-w", "-m", "immediate", "-D", data])
        {
            eprintln!("stopping a standby: {error:#}");
        }
    }
}
