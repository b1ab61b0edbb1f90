//! CPython, as a client runs it: the same two models, in a process that has the plans or fetches each of them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

/// The program that a test holds against ours.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/server/tests/simulate_cpython.py");

pub struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// A client of the database at `connection`, where the plans are a table of the same order.
    pub fn start(plans: &[String], connection: &str) -> Result<Self> {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-I", PROGRAM, "bench"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting python3")?;
        let mut input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        writeln!(input, "{}", json!([plans, connection]))?;
        let mut python = Self { child, input, output };
        ensure!(python.line()? == "ready", "python3 is not ready");
        Ok(python)
    }

    /// One pass over all plans, from its own texts or fetched: plans per second.
    pub fn pass(&mut self, source: &str, call: &str) -> Result<f64> {
        writeln!(self.input, "{source} {call}")?;
        Ok(self.line()?.parse()?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "python3 has ended");
        Ok(line.trim().to_owned())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
