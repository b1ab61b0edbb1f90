//! Programs that end with the process that started them.

use crate::wait_until;
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Command;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A child process with a thread that waits for it. The kernel's promise to kill a child with its parent is kept per
/// thread, so the thread that starts it has to live as long as it does; that of a test may end before.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    keeper: Option<JoinHandle<()>>,
}

impl Process {
    pub fn spawn(mut command: Command) -> Result<Self> {
        let (started, start) = mpsc::channel();
        let keeper = thread::spawn(move || match command.spawn() {
            Ok(mut child) => {
                started.send(Ok(child.id())).ok();
                child.wait().ok();
            }
            Err(error) => {
                started.send(Err(error)).ok();
            }
        });
        let pid = start.recv().context("the thread that starts a process ended")??;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("the number of a process")?;
        Ok(Self { pid, keeper: Some(keeper) })
    }

    pub fn has_ended(&self) -> bool {
        self.keeper.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(self) -> Result<()> {
        kill_process(self.pid, Signal::TERM).ok();
        wait_until(STOP_LIMIT, "a process to end", || Ok(self.has_ended().then_some(())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            kill_process(self.pid, Signal::KILL).ok();
        }
        if let Some(keeper) = self.keeper.take() {
            keeper.join().ok();
        }
    }
}
