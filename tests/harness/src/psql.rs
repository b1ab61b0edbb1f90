//! A client that can be killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::Cluster;

/// A client that is a process of its own, so that it can be killed without a word to the server.
#[derive(Debug)]
pub struct Psql {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Psql {
    pub fn start(cluster: &Cluster, database: &str) -> Result<Self> {
        let mut child = Command::new(cluster.bindir().join("psql"))
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .arg(cluster.conn_string(database))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting psql")?;
        let input = child.stdin.take().context("psql's input")?;
        let output = BufReader::new(child.stdout.take().context("psql's output")?);
        Ok(Self { child, input, output })
    }

    /// Sends a query with a one-line answer, and answers with it.
    pub fn ask(&mut self, query: &str) -> Result<String> {
        self.send(query)?;
        self.answer()
    }

    /// Sends a query and waits for nothing.
    pub fn send(&mut self, query: &str) -> Result<()> {
        writeln!(self.input, "{query};").context("writing to psql")
    }

    /// Waits for the next line that psql prints.
    pub fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "psql ended");
        Ok(line.trim_end().to_owned())
    }

    /// Stops the process as a long pause of its machine does: the connection stays, and nobody answers.
    pub fn suspend(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::STOP)?)
    }

    /// kill -9.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
