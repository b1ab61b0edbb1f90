//! CPython, as a client runs it: a process that has the documents and makes a pass over them when told to.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

const PROGRAM: &str = r#"
import hashlib, json, sys, time
texts = json.loads(sys.stdin.readline())
parsed = [json.loads(text) for text in texts]
def digest(payload):
    return hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
def parse():
    for text in texts: digest(json.loads(text))
def dump():
    for payload in parsed: digest(payload)
print(" ".join(digest(payload) for payload in parsed[:5]), flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    {"parse": parse, "dump": dump}[line.strip()]()
    print(len(texts) / (time.perf_counter() - start), flush=True)
"#;

/// What is measured of it.
pub const PARSE: &str =
    "json.loads, json.dumps(sort_keys=True, separators=(',', ':')), hashlib.sha256 of each text";
pub const DUMP: &str =
    "json.dumps(sort_keys=True, separators=(',', ':')), hashlib.sha256 of each payload, parsed beforehand";

pub struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Hashes of the first documents.
    pub first: Vec<String>,
}

impl Python {
    pub fn start(texts: &[String]) -> Result<Self> {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-I", "-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting python3")?;
        let mut input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        writeln!(input, "{}", serde_json::to_string(texts)?)?;
        let mut python = Self { child, input, output, first: Vec::new() };
        python.first = python.line()?.split(' ').map(str::to_owned).collect();
        Ok(python)
    }

    /// One pass: documents per second.
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
