//! Processes that stand still for a while, and surely go on.

use anyhow::Result;
use costsim_harness::Signal;
use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Sends a signal to a process, if it is still the one that is meant.
pub type Send = dyn Fn(i32, Signal) -> Result<()> + std::marker::Send + Sync;

/// Continues what it stopped: each process when its pause is over, and all of them when it is dropped.
///
/// A thread of its own does that. Whoever stops processes also talks to the server, and a server that waits for a stopped
/// process would have him wait as well.
pub struct Pauses {
    send: std::sync::Arc<Send>,
    paused: HashMap<i32, Instant>,
    to_waker: Option<Sender<(i32, Instant)>>,
    waker: Option<JoinHandle<()>>,
}

impl Pauses {
    pub fn new(send: std::sync::Arc<Send>) -> Self {
        let (to_waker, told) = mpsc::channel();
        let waking = send.clone();
        let waker = thread::spawn(move || {
            let mut paused: Vec<(i32, Instant)> = Vec::new();
            loop {
                let now = Instant::now();
                let (due, others) = paused.into_iter().partition(|(_, until)| *until <= now);
                paused = others;
                go_on(&*waking, due);
                let next = paused.iter().map(|(_, until)| *until).min();
                let wait = next.map_or(Duration::from_secs(1), |until| until.saturating_duration_since(now));
                match told.recv_timeout(wait) {
                    Ok(pause) => paused.push(pause),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return go_on(&*waking, paused),
                }
            }
        });
        Self { send, paused: HashMap::new(), to_waker: Some(to_waker), waker: Some(waker) }
    }

    /// Whether the process stands still just now.
    pub fn includes(&self, pid: i32) -> bool {
        self.paused.get(&pid).is_some_and(|until| *until > Instant::now())
    }

    /// Stops a process for so long; false if it is gone, or stands still already.
    pub fn stop(&mut self, pid: i32, time: Duration) -> bool {
        let Some(to_waker) = &self.to_waker else { return false };
        let until = Instant::now() + time;
        // Told before: from the moment it stands still, somebody knows that it has to go on.
        if self.includes(pid) || to_waker.send((pid, until)).is_err() {
            return false;
        }
        self.paused.insert(pid, until);
        (self.send)(pid, Signal::STOP).is_ok()
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.to_waker = None;
        if let Some(waker) = self.waker.take() {
            waker.join().ok();
        }
    }
}

/// A process that has ended meanwhile needs no waking.
fn go_on(send: &Send, paused: Vec<(i32, Instant)>) {
    for (pid, _) in paused {
        send(pid, Signal::CONT).ok();
    }
}
