//! A streaming replica of a cluster.

use crate::{LIMIT, child, one, run_tool, set, wait_for};
use anyhow::{Context, Result};
use costsim_harness::{Cluster, wait_until};
use postgres::{Client, Config, NoTls};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

/// A hot standby that replays what its primary writes. Lives in the folder of a cluster and with its programs, and ends
/// before it: declare it after the cluster.
#[derive(Debug)]
pub struct Standby<'a> {
    home: &'a Cluster,
    primary_port: u16,
    data_dir: PathBuf,
    port: u16,
    has_crashed: bool,
}

impl<'a> Standby<'a> {
    /// Copies the cluster and starts the copy.
    pub fn start(primary: &'a Cluster) -> Result<Self> {
        Self::copy(primary, primary.port())
    }

    /// A standby of this one, which has been promoted.
    pub fn start_another(&self) -> Result<Self> {
        Self::copy(self.home, self.port)
    }

    fn copy(home: &'a Cluster, primary_port: u16) -> Result<Self> {
        static STARTED: AtomicU16 = AtomicU16::new(0);
        // A number names a socket, no more, and the folder is this cluster's alone.
        let port = home.port() + 1 + STARTED.fetch_add(1, Ordering::Relaxed);
        let data_dir = home.socket_dir().join(format!("standby_{port}"));
        let data = data_dir.to_str().context("the folder's name")?;
        // Of a name that is given twice the last one counts.
        let primary = format!("{} port={primary_port}", home.conn_string("postgres"));
        // Made before the copy begins: without it a checkpoint, and every copy asks for one, removes what another still needs.
        let slot = format!("standby_{port}");
        connect(home, primary_port, "postgres")?
            .batch_execute(&format!("SELECT pg_create_physical_replication_slot('{slot}', true)"))?;
        run_tool(
            home,
            "pg_basebackup",
            [
                "--pgdata",
                data,
                "--write-recovery-conf",
                "--slot",
                &slot,
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
                "--dbname",
                &primary,
            ],
        )?;
        let log = format!("{data}/server.log");
        let options = format!("-p {port}");
        run_tool(home, "pg_ctl", ["start", "-s", "-w", "-D", data, "-l", &log, "-o", &options])
            .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(Self { home, primary_port, data_dir, port, has_crashed: false })
    }

    /// A session on the standby.
    pub fn connect(&self, database: &str) -> Result<Client> {
        connect(self.home, self.port, database).context("connecting to the standby")
    }

    /// Waits until the standby shows everything that has been committed by now.
    pub fn catch_up(&self) -> Result<()> {
        // The place of a commit of our own: the log as such may end in half a record that nobody completes for a while.
        let mark = "SELECT pg_logical_emit_message(true, 'costsim', 'catch up')::text";
        let written: String = one(&mut connect(self.home, self.primary_port, "postgres")?, mark)?;
        let mut client = self.connect("postgres")?;
        let question = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        wait_until(LIMIT, "the standby to replay", || Ok(one::<bool>(&mut client, &question)?.then_some(())))
            .with_context(|| std::fs::read_to_string(self.data_dir.join("server.log")).unwrap_or_default())
    }

    /// Cuts it off from its primary: what is written there from now on never arrives.
    pub fn cut_off(&self) -> Result<()> {
        let mut client = self.connect("postgres")?;
        set(&mut client, "primary_conninfo", "")?;
        let has_no_receiver =
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walreceiver')";
        wait_for(&mut client, "the standby to be cut off", has_no_receiver)
    }

    /// Makes it a primary of its own.
    pub fn promote(&self) -> Result<()> {
        let data = self.data_dir.to_str().context("the folder's name")?;
        run_tool(self.home, "pg_ctl", ["promote", "-s", "-w", "-D", data]).map(drop)
    }

    /// Its primary keeps nothing for it any more.
    fn give_up_slot(&self) -> Result<()> {
        // One that has died keeps nothing anyway.
        let Ok(mut primary) = connect(self.home, self.primary_port, "postgres") else { return Ok(()) };
        let give_up = format!("SELECT pg_drop_replication_slot('standby_{}')", self.port);
        wait_until(LIMIT, "its slot to be free", || Ok(Some(primary.batch_execute(&give_up)?)))
    }

    /// kill -9 of all its processes.
    pub fn crash(mut self) -> Result<()> {
        let file = std::fs::read_to_string(self.data_dir.join("postmaster.pid"))?;
        let postmaster = file.lines().next().and_then(|line| line.parse().ok()).context("no number")?;
        self.has_crashed = true;
        child::kill_server(postmaster)
    }
}

/// A session on the server of this port, in the cluster's folder.
fn connect(home: &Cluster, port: u16, database: &str) -> Result<Client> {
    let mut config = Config::new();
    config.host_path(home.socket_dir()).port(port).user("postgres").dbname(database);
    Ok(config.connect(NoTls)?)
}

/// kill -9 of all processes of a cluster's server.
pub fn crash(cluster: &Cluster) -> Result<()> {
    child::kill_server(cluster.postmaster_pid()?)
}

impl Drop for Standby<'_> {
    fn drop(&mut self) {
        let Some(data) = self.data_dir.to_str() else { return };
        if !self.has_crashed
            && let Err(error) =
                run_tool(self.home, "pg_ctl", ["stop", "-s", "-w", "-m", "immediate", "-D", data])
        {
            eprintln!("stopping a standby: {error:#}");
        }
        if let Err(error) = self.give_up_slot() {
            eprintln!("after a standby: {error:#}");
        }
        // A long chain of them would fill the disk before their cluster is removed.
        if let Err(error) = std::fs::remove_dir_all(&self.data_dir) {
            eprintln!("removing a standby: {error:#}");
        }
    }
}
