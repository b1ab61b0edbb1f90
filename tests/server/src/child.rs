//! Processes of the server's own programs.

use crate::LIMIT;
use anyhow::{Context, Result, bail};
use costsim_harness::{Cluster, Signal, wait_until};
use rustix::process::{Pid, kill_process};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Runs one of the server's programs as the server's user, and answers with what it printed. Whatever it says on
/// standard error is a failure, even if it exits as if nothing were.
pub fn run_tool<S: AsRef<OsStr>>(
    cluster: &Cluster,
    program: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Result<String> {
    let owner = std::fs::metadata(cluster.data_dir()).context("the data directory")?;
    let mut command = Command::new(cluster.bindir().join(program));
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    if rustix::process::getuid().as_raw() != owner.uid() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let output = command.output().with_context(|| format!("starting {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.is_empty() {
        bail!("{program} ended with {} and said: {said}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("the output of {program}"))
}

/// Whether there is a process of this number. One that has ended and that nobody has collected counts as gone.
pub fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // The name stands in parentheses and may hold anything; the state follows.
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// kill -9 of a whole server: the postmaster and every process it has, as a machine that loses its power.
pub(crate) fn kill_server(postmaster: i32) -> Result<()> {
    // Stopped first, it starts no process that the list lacks.
    signal(postmaster, Signal::STOP)?;
    let mut family = vec![postmaster];
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if parent_of(pid) == Some(postmaster) {
            family.push(pid);
        }
    }
    for &pid in &family {
        // One that has ended by itself is as good.
        signal(pid, Signal::KILL).ok();
    }
    wait_until(LIMIT, "a killed server to be gone", || {
        Ok(family.iter().all(|&pid| !is_running(pid)).then_some(()))
    })
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Sends a signal to one of the server's own processes.
pub(crate) fn signal(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).with_context(|| format!("{pid} is no process number"))?;
    Ok(kill_process(pid, signal)?)
}
