//! A Python program that measures itself: it is given one line, answers one, and then a rate for each line it is given.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

pub struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it answered to its first line.
    pub answer: String,
}

impl Python {
    /// Runs python3 with these arguments, and gives it its first line.
    pub fn run(arguments: &[&str], line: &str) -> Result<Self> {
        let mut child = Command::new("/usr/bin/python3")
            .arg("-I")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting python3")?;
        let mut input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        writeln!(input, "{line}")?;
        let mut python = Self { child, input, output, answer: String::new() };
        python.answer = python.line()?;
        Ok(python)
    }

    /// One pass: how many a second.
    pub fn pass(&mut self, what: &str) -> Result<f64> {
        writeln!(self.input, "{what}")?;
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
