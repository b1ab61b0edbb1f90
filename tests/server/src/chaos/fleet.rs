//! The candidates' processes.

use super::{Kind, Role};
use anyhow::{Context, Result, bail};
use fastrand::Rng;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends with the value: every process is killed and collected.
pub(super) struct Fleet {
    program: PathBuf,
    candidates: Vec<Candidate>,
    rng: Rng,
}

pub(super) struct Candidate {
    role: Role,
    /// The node's name without the number of its life.
    name: String,
    lives: u32,
    process: Child,
}

impl Candidate {
    pub(super) fn node(&self) -> &str {
        &self.role.node
    }

    pub(super) fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.process.id())?)
    }
}

impl Fleet {
    pub(super) fn new(program: &Path, rng: Rng) -> Self {
        Self { program: program.to_owned(), candidates: Vec::new(), rng }
    }

    pub(super) fn add(
        &mut self,
        server: &str,
        lock: i64,
        kind: Kind,
        lease: Duration,
        fenced: bool,
    ) -> Result<()> {
        let letter = char::from(b'a' + u8::try_from(self.candidates.len() % 26)?);
        let name = format!("{lock}-{letter}");
        let role = Role {
            server: server.to_owned(),
            lock,
            node: name.clone(),
            kind,
            lease,
            is_fenced: fenced,
            seed: self.rng.u64(..),
            parent: std::process::id(),
        };
        let process = start(&self.program, &role)?;
        self.candidates.push(Candidate { role, name, lives: 1, process });
        Ok(())
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// kill -9, and another process in its place. Half of them go on under the same name, as a restarted container does;
    /// the others are strangers to the term.
    pub(super) fn kill(&mut self, index: usize) -> Result<()> {
        let candidate = self.candidates.get_mut(index).context("no such candidate")?;
        end(&mut candidate.process)?;
        if self.rng.bool() {
            candidate.lives += 1;
            candidate.role.node = format!("{}{}", candidate.name, candidate.lives);
        }
        candidate.role.seed = self.rng.u64(..);
        candidate.process = start(&self.program, &candidate.role)?;
        Ok(())
    }

    /// A candidate never ends by itself.
    pub(super) fn check(&mut self) -> Result<()> {
        for candidate in &mut self.candidates {
            if let Some(status) = candidate.process.try_wait()? {
                bail!("candidate {} ended by itself with {status}", candidate.role.node);
            }
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for candidate in &mut self.candidates {
            if let Err(error) = end(&mut candidate.process) {
                eprintln!("ending candidate {}: {error:#}", candidate.role.node);
            }
        }
    }
}

fn start(program: &Path, role: &Role) -> Result<Child> {
    Command::new(program)
        .args(role.arguments())
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))
}

/// Also ends one that stands still.
fn end(process: &mut Child) -> Result<()> {
    process.kill()?;
    process.wait()?;
    Ok(())
}
