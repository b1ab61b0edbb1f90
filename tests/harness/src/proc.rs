//! What the kernel says about a process.

use anyhow::{Context, Result};
use std::fs;

/// How many threads a process has.
pub fn thread_count(pid: i32) -> Result<usize> {
    let folder = format!("/proc/{pid}/task");
    Ok(fs::read_dir(&folder).with_context(|| format!("no process {pid}"))?.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn thread_count_sees_a_new_thread() {
        let own = std::process::id() as i32;
        let (release, held) = mpsc::channel::<()>();
        let (arrived, arrival) = mpsc::channel();
        let thread = thread::spawn(move || {
            arrived.send(thread_count(own).unwrap()).unwrap();
            held.recv().ok();
        });
        assert!(arrival.recv().unwrap() >= 2);
        drop(release);
        thread.join().unwrap();
    }
}
