//! A real PgBouncer in front of a cluster.
//!
//! Where sessions are pooled by transaction, two clients may share one server process, and each of a client's
//! transactions may run in another one. Whatever PostgreSQL keeps per session is then nobody's: advisory locks, LISTEN,
//! prepared statements. This PgBouncer (1.18) knows of none of them, so clients send simple queries.

use crate::process::Process;
use crate::{Cluster, wait_until};
use anyhow::{Context, Result, ensure};
use postgres::{Client, Config, NoTls};
use rustix::process::getuid;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// It is ready within some milliseconds; a loaded machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Not in the path of an ordinary user.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// Part of the socket's name. The folder is its own, so nobody else can have taken it.
const PORT: u16 = 6432;

/// What a client has a server connection to itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    Transaction,
    /// As long as it is connected; what it leaves behind is then discarded.
    Session,
}

/// A process of Debian's PgBouncer on a socket of its own. Killed with the value.
#[derive(Debug)]
pub struct PgBouncer {
    // Ends before its folder goes.
    _process: Process,
    folder: TempDir,
}

impl PgBouncer {
    /// One that opens at most `pool_size` connections per database, all as the cluster's superuser whoever asks.
    pub fn start(cluster: &Cluster, pooling: Pooling, pool_size: u16) -> Result<Self> {
        // With the cluster's own files, because they are removed even if the holder is killed.
        let home = cluster.data_dir().parent().context("a cluster has a folder")?;
        let folder = tempfile::Builder::new().prefix("pooler.").tempdir_in(home)?;
        let path = folder.path().display();
        let pool_mode = match pooling {
            Pooling::Transaction => "transaction",
            Pooling::Session => "session",
        };
        let config = format!(
            "[databases]\n\
             * = host={} port={} user=postgres\n\
             [pgbouncer]\n\
             unix_socket_dir = {path}\n\
             listen_port = {PORT}\n\
             auth_type = any\n\
             pool_mode = {pool_mode}\n\
             default_pool_size = {pool_size}\n\
             max_client_conn = 500\n\
             log_connections = 0\n\
             log_disconnections = 0\n",
            cluster.socket_dir().display(),
            cluster.port()
        );
        fs::write(folder.path().join("pgbouncer.ini"), config)?;
        // It refuses to be root, and only the server's user may enter the folder of the server's socket.
        let owner = fs::metadata(cluster.data_dir()).context("the data directory")?;
        let mut command = Command::new("setpriv");
        if getuid().as_raw() != owner.uid() {
            chown(folder.path(), Some(owner.uid()), Some(owner.gid()))?;
            command.args([format!("--reuid={}", owner.uid()), format!("--regid={}", owner.gid())]);
            command.arg("--clear-groups");
        }
        let log = File::create(folder.path().join("pgbouncer.log"))?;
        // The kernel ends it when the process that started it is gone, however that ended.
        command
            .args(["--pdeathsig", "KILL", PROGRAM])
            .arg(folder.path().join("pgbouncer.ini"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = Process::spawn(command).context("starting pgbouncer: is 'make setup' done?")?;
        let socket = folder.path().join(format!(".s.PGSQL.{PORT}"));
        let is_ready = wait_until(START_LIMIT, "PgBouncer to listen", || {
            if process.has_ended() {
                return Ok(Some(false));
            }
            Ok(Some(UnixStream::connect(&socket).map(|_| true)?))
        })?;
        let pgbouncer = Self { _process: process, folder };
        ensure!(is_ready, "PgBouncer ended at once: {}", pgbouncer.log()?);
        Ok(pgbouncer)
    }

    /// A new client of the pooler. It may not prepare statements, so ask by `simple_query`.
    pub fn connect(&self, database: &str) -> Result<Client> {
        let mut config = Config::new();
        config.host_path(self.socket_dir()).port(self.port()).user("postgres").dbname(database);
        config.connect(NoTls).with_context(|| format!("connecting to database {database} through PgBouncer"))
    }

    /// The folder of the socket, as [`Cluster::socket_dir`].
    pub fn socket_dir(&self) -> &Path {
        self.folder.path()
    }

    pub fn port(&self) -> u16 {
        PORT
    }

    /// What it wrote to its log.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.folder.path().join("pgbouncer.log")).context("reading PgBouncer's log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres::SimpleQueryMessage;

    const LIMIT: Duration = Duration::from_secs(30);

    fn ask(client: &mut Client, query: &str) -> String {
        let messages = client.simple_query(query).unwrap();
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        row.unwrap().to_owned()
    }

    const PID: &str = "SELECT pg_backend_pid()";

    #[test]
    fn clients_of_a_transaction_pool_share_a_server_process() {
        let cluster = Cluster::builder().without_extension().start().unwrap();
        let pooler = PgBouncer::start(&cluster, Pooling::Transaction, 1).unwrap();
        let mut clients: Vec<_> = (0..200).map(|_| pooler.connect("postgres").unwrap()).collect();
        let pid = ask(&mut clients[0], PID);
        assert!(clients.iter_mut().all(|client| ask(client, PID) == pid));
    }

    #[test]
    fn clients_of_a_session_pool_have_a_server_process_each() {
        let cluster = Cluster::builder().without_extension().start().unwrap();
        let pooler = PgBouncer::start(&cluster, Pooling::Session, 2).unwrap();
        let mut clients = [pooler.connect("postgres").unwrap(), pooler.connect("postgres").unwrap()];
        let pids = clients.each_mut().map(|client| ask(client, PID));
        assert_ne!(pids[0], pids[1]);
        assert_eq!(pids, clients.each_mut().map(|client| ask(client, PID)), "it keeps it");
    }

    #[test]
    fn pooler_is_gone_with_its_value() {
        let cluster = Cluster::builder().without_extension().start().unwrap();
        let pooler = PgBouncer::start(&cluster, Pooling::Transaction, 1).unwrap();
        let mut client = pooler.connect("postgres").unwrap();
        let pid: i32 = ask(&mut client, PID).parse().unwrap();
        let folder = pooler.socket_dir().to_owned();
        drop(pooler);
        assert!(client.simple_query(PID).is_err(), "nobody answers");
        assert!(!folder.exists());
        let mut direct = cluster.connect("postgres").unwrap();
        wait_until(LIMIT, "the pooled session to end", || {
            let query = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
            let has_ended: bool = direct.query_one(query, &[&pid])?.get(0);
            Ok(has_ended.then_some(()))
        })
        .unwrap();
    }
}
