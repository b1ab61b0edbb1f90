//! What stands between a database and Prometheus: Debian's two exporters, and a page that shows a file.

use crate::http::{Answer, Server, get};
use crate::process::{Process, launch_on_a_free_port};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A process of an exporter on a loopback port. Killed with the value.
#[derive(Debug)]
pub struct Exporter {
    port: u16,
    // Ends before its folder goes.
    _process: Process,
    folder: TempDir,
}

impl Exporter {
    /// postgres_exporter, with queries of our own and none of its own.
    pub fn postgres(conn_string: &str, queries: &Path) -> Result<Self> {
        Self::start("costsim_pg_exporter.", |port, _| {
            let mut command = Command::new("prometheus-postgres-exporter");
            command
                .env("DATA_SOURCE_NAME", format!("{conn_string} sslmode=disable"))
                .args(["--disable-default-metrics", "--disable-settings-metrics"])
                .args(["--no-collector.database", "--no-collector.bgwriter"])
                .arg(format!("--extend.query-path={}", queries.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            Ok(command)
        })
    }

    /// justwatch's sql_exporter, with this configuration.
    pub fn sql(config: &str) -> Result<Self> {
        Self::start("costsim_sql_exporter.", |port, folder| {
            let file = folder.join("config.yaml");
            fs::write(&file, config)?;
            let mut command = Command::new("prometheus-sql-exporter");
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            Ok(command)
        })
    }

    fn start(prefix: &str, command: impl Fn(u16, &Path) -> Result<Command>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let (port, process) = launch_on_a_free_port(folder.path(), "/", |port| command(port, folder.path()))?;
        Ok(Self { port, _process: process, folder })
    }

    /// For a target of Prometheus.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What Prometheus is told.
    pub fn metrics(&self) -> Result<String> {
        let (status, body) = get(self.port, "/metrics").context("asking an exporter")?;
        ensure!(status == 200, "an exporter answers {status}: {}", String::from_utf8_lossy(&body));
        String::from_utf8(body).context("the text of an exporter")
    }

    /// What it wrote to its log.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.folder.path().join("log")).context("reading an exporter's log")
    }
}

/// Shows a file as node_exporter shows what its textfile collector finds.
#[derive(Debug)]
pub struct FilePage {
    server: Server,
}

impl FilePage {
    pub fn start(file: PathBuf) -> Result<Self> {
        let server = Server::start(move |_| match fs::read(&file) {
            Ok(text) => Answer::status(200).header("content-type", "text/plain; version=0.0.4").body(text),
            Err(_) => Answer::status(404),
        })?;
        Ok(Self { server })
    }

    /// For a target of Prometheus.
    pub fn address(&self) -> String {
        self.server.url().trim_start_matches("http://").to_owned()
    }
}
