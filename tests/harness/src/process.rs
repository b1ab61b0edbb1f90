//! Programs that end with the process that started them.

use crate::http::get;
use crate::wait_until;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

const STOP_LIMIT: Duration = Duration::from_secs(10);
/// They are ready within a second; a loaded machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(30);

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

/// Starts a program that listens on a loopback port, its log in `folder`, and waits until it answers at `ready`.
pub(crate) fn launch_on_a_free_port(
    folder: &Path,
    ready: &str,
    command: impl Fn(u16) -> Result<Command>,
) -> Result<(u16, Process)> {
    // Between choosing a free port and using it another process may take it.
    let mut failure = None;
    for _ in 0..3 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        match launch(folder, ready, port, &command(port)?) {
            Ok(process) => return Ok((port, process)),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.context("three ports were tried")?)
}

fn launch(folder: &Path, ready: &str, port: u16, program: &Command) -> Result<Process> {
    let log = folder.join("log");
    let output = File::options().create(true).append(true).open(&log)?;
    // The kernel ends it when the process that started it is gone, however that ended.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program.get_program()).args(program.get_args());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let name = program.get_program().display();
    let process =
        Process::spawn(command).with_context(|| format!("starting {name}: is 'make setup' done?"))?;
    wait_until(START_LIMIT, &format!("{name} to be ready"), || {
        if process.has_ended() {
            return Ok(Some(false));
        }
        match get(port, ready)?.0 {
            200 => Ok(Some(true)),
            status => bail!("it answers {status}"),
        }
    })?
    .then_some(process)
    .with_context(|| format!("{name} ended at once: {}", fs::read_to_string(&log).unwrap_or_default()))
}
