//! An application in another language, which does what it is told.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use costsim_harness::Cluster;
use serde_json::Value;

/// A process of a Python program in tests/, with the system's packages. It reads a command per line and answers each by a line: `{"answer": ...}` or
/// `{"error": ...}`. Ended with the value.
pub struct Application {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Application {
    /// Starts the program, for which DATABASE_URL names a database and a role.
    pub fn start(program: &str, cluster: &Cluster, database: &str, role: &str) -> Result<Self> {
        let folder = cluster.socket_dir().display();
        let url = format!("postgresql:///{database}?host={folder}&port={}&user={role}", cluster.port());
        let mut child = Command::new("/usr/bin/python3")
            .args(["-I", &format!("{}/tests/{program}", env!("CARGO_MANIFEST_DIR"))])
            .env("DATABASE_URL", url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the application: is 'make setup' done?")?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { child, input, output })
    }

    /// Does a command: its answer, or its error.
    pub fn tell(&mut self, command: &Value) -> Result<Value> {
        writeln!(self.input, "{command}").context("telling the application")?;
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the application ended at {command}");
        let mut said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        if let Some(error) = said.get("error") {
            bail!("{command}: {error}");
        }
        Ok(said["answer"].take())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
