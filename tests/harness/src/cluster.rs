//! PostgreSQL servers that belong to one test.

use anyhow::{Context, Result, anyhow, bail};
use postgres::{Client, Config, NoTls};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio, id};

/// The one implementation of a throw-away cluster; the shell tests use it too.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster.sh");

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As an administrator does: sessions are ended, everything is written out.
    Fast,
    /// As a crash does: the next start recovers from the log.
    Immediate,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Fast => "fast",
            Mode::Immediate => "immediate",
        }
    }
}

/// What the server shall be like. Made by [`Cluster::builder`].
#[derive(Debug)]
pub struct ClusterBuilder {
    options: Vec<String>,
}

impl ClusterBuilder {
    /// Whether the server loads the extension at its start; needed for the worker's launcher.
    pub fn preload(mut self, preload: bool) -> Self {
        self.options.retain(|option| option != "--preload");
        if preload {
            self.options.push("--preload".into());
        }
        self
    }

    /// A setting in postgresql.conf. The last one of a name wins.
    pub fn conf(mut self, name: &str, value: &str) -> Self {
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        self.options.extend(["--conf".into(), format!("{name} = '{value}'")]);
        self
    }

    /// A server that has never heard of the extension.
    pub fn without_extension(mut self) -> Self {
        self.options.push("--no-extension".into());
        self
    }

    /// A server that has the install scripts of the released versions too, for `CREATE EXTENSION ... VERSION`.
    pub fn released(mut self) -> Self {
        self.options.push("--released".into());
        self
    }

    /// The folder of the built extension, if not the one `make build` fills.
    pub fn stage(mut self, folder: &Path) -> Self {
        self.options.extend(["--stage".into(), folder.display().to_string()]);
        self
    }

    /// Creates the cluster and waits until it accepts connections, which takes about a second.
    pub fn start(self) -> Result<Cluster> {
        let owner = id().to_string();
        let output =
            script(["start", "--owner", &owner].into_iter().chain(self.options.iter().map(String::as_str)))?;
        let answer = String::from_utf8(output.stdout).context("the answer of cluster.sh")?;
        let values: HashMap<&str, &str> = answer.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |name: &str| {
            values
                .get(name)
                .copied()
                .with_context(|| format!("no {name} in the answer of cluster.sh: {answer}"))
        };
        Ok(Cluster {
            folder: value("COSTSIM_CLUSTER")?.into(),
            host: value("PGHOST")?.into(),
            port: value("PGPORT")?.parse().context("PGPORT")?,
            user: value("PGUSER")?.into(),
            data_dir: value("PGDATA")?.into(),
            bindir: value("COSTSIM_BINDIR")?.into(),
        })
    }
}

/// A running PostgreSQL server with its own data, socket and copy of the programs. Ends with the value.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    host: PathBuf,
    port: u16,
    user: String,
    data_dir: PathBuf,
    bindir: PathBuf,
}

impl Cluster {
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder { options: Vec::new() }
    }

    /// A new session, as superuser. It bears the test's name in `pg_stat_activity` and in the log.
    pub fn connect(&self, database: &str) -> Result<Client> {
        self.config(database).connect(NoTls).with_context(|| format!("connecting to database {database}"))
    }

    /// What [`connect`](Self::connect) uses, for sessions that want to change it: another user, other options.
    pub fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.host).port(self.port).user(&self.user).dbname(database);
        // The test runner names its threads after the tests.
        if let Some(test) = std::thread::current().name() {
            // The server keeps 63 bytes of it, and the end of a test's path says most.
            let start =
                (0..test.len()).find(|&at| test.is_char_boundary(at) && test.len() - at < 64).unwrap_or(0);
            config.application_name(&test[start..]);
        }
        config
    }

    /// The same in libpq's words, for other programs.
    pub fn conn_string(&self, database: &str) -> String {
        let quoted = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
        let host = quoted(&self.host.display().to_string());
        format!("host={host} port={} user={} dbname={}", self.port, quoted(&self.user), quoted(database))
    }

    /// Creates a database, the extension in it, and answers with a session there.
    pub fn create_database_with_extension(&self, name: &str) -> Result<Client> {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        self.connect("postgres")?.batch_execute(&format!("CREATE DATABASE {quoted}"))?;
        let mut client = self.connect(name)?;
        client.batch_execute("CREATE EXTENSION costsim_pg").context("creating the extension")?;
        Ok(client)
    }

    /// Stops the server and starts it again on the same data. Open sessions are lost.
    pub fn restart(&self, mode: Mode) -> Result<()> {
        script(["restart", path(&self.folder)?, "--mode", mode.name()]).map(drop)
    }

    /// Sends a signal to one process of this server: a backend, a worker, or the postmaster itself.
    pub fn kill_backend(&self, pid: i32, signal: Signal) -> Result<()> {
        // A wrong number must not hit a process of the machine.
        let program =
            fs::read_link(format!("/proc/{pid}/exe")).with_context(|| format!("no process {pid}"))?;
        if !program.starts_with(&self.folder) {
            bail!("process {pid} is none of this cluster but {}", program.display());
        }
        let pid = Pid::from_raw(pid).with_context(|| format!("{pid} is no process number"))?;
        kill_process(pid, signal).with_context(|| format!("sending {signal:?} to {pid:?}"))
    }

    /// The process all others of the server descend from.
    pub fn postmaster_pid(&self) -> Result<i32> {
        let file =
            fs::read_to_string(self.data_dir.join("postmaster.pid")).context("the server does not run")?;
        file.lines().next().and_then(|line| line.parse().ok()).context("postmaster.pid has no number")
    }

    /// The server's log up to now.
    pub fn log(&self) -> Result<String> {
        let log = fs::read(self.folder.join("server.log")).context("reading the server's log")?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the socket; libpq takes it where it takes a host name.
    pub fn socket_dir(&self) -> &Path {
        &self.host
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The folder of the scripts of this server's extensions.
    pub fn extension_dir(&self) -> Result<PathBuf> {
        let output =
            Command::new(self.bindir.join("pg_config")).arg("--sharedir").output().context("pg_config")?;
        let folder = String::from_utf8(output.stdout).context("the answer of pg_config")?;
        Ok(Path::new(folder.trim_end()).join("extension"))
    }

    /// The server's own psql, pg_dump, pg_basebackup and so on.
    pub fn bindir(&self) -> &Path {
        &self.bindir
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(log) = self.log()
        {
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- last lines of the server log\n{tail}");
        }
        // Nothing is kept, so nothing has to be written out first.
        if let Err(error) =
            path(&self.folder).and_then(|folder| script(["stop", folder, "--mode", "immediate"]))
        {
            eprintln!("removing a cluster: {error:#}");
        }
    }
}

fn path(folder: &Path) -> Result<&str> {
    folder.to_str().with_context(|| format!("{} is not UTF-8", folder.display()))
}

fn script<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Output> {
    let output = Command::new(SCRIPT)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("running tests/cluster.sh")?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(anyhow!("{}", String::from_utf8_lossy(&output.stderr).trim_end()))
    }
}
