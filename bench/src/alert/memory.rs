//! What the worker's process takes while it drains a long backlog.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde::Serialize;

use super::sink::Sink;
use super::stage::{Queue, Stage};
use crate::handover::percentile;

const PAUSE: Duration = Duration::from_millis(50);

/// Kilobytes, in the order they were read.
#[derive(Serialize)]
pub struct Memory {
    pub alerts: usize,
    pub alerts_per_second: f64,
    /// What is the process's own. This is what would grow if something were kept.
    pub own_kb: Vec<f64>,
    /// With the pages of the server's shared memory that it has touched so far: at most all of `shared_buffers`.
    pub resident_kb: Vec<f64>,
}

/// Drains a backlog and looks at the worker meanwhile.
pub fn measure(stage: &mut Stage, sink: &Sink, alerts: usize) -> Result<Memory> {
    stage.fill(Queue::Ours, alerts)?;
    let worker = stage.worker()?;
    let before = sink.alerts();
    let is_over = AtomicBool::new(false);
    let (alerts_per_second, samples) = thread::scope(|scope| {
        let watching = scope.spawn(|| watch(worker, &is_over));
        let drained = stage.drain(&sink.url(), alerts);
        is_over.store(true, Ordering::Relaxed);
        let samples = watching.join().map_err(|_| anyhow!("the watching thread broke off"))?;
        anyhow::Ok((drained?, samples?))
    })?;
    let arrived = sink.alerts() - before;
    ensure!(arrived == alerts, "of {alerts} alerts {arrived} arrived");
    ensure!(stage.worker()? == worker, "the worker was replaced");
    let (own_kb, resident_kb) = samples.into_iter().unzip();
    Ok(Memory { alerts, alerts_per_second, own_kb, resident_kb })
}

/// Its own, and all that is resident, until it is over.
fn watch(process: i32, is_over: &AtomicBool) -> Result<Vec<(f64, f64)>> {
    let mut samples = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let next = Instant::now() + PAUSE;
        samples.push(sample(process)?);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(samples)
}

fn sample(process: i32) -> Result<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let values: HashMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let kilobytes = |name: &str| -> Result<f64> {
        let value = values.get(name).and_then(|value| value.split_whitespace().next());
        Ok(value.with_context(|| format!("no {name} of process {process}"))?.parse()?)
    };
    Ok((kilobytes("RssAnon")?, kilobytes("VmRSS")?))
}

impl Memory {
    /// Medians of the first and the last tenth of the time: whether it has grown.
    pub fn own_at_the_ends_kb(&self) -> [f64; 2] {
        let tenth = (self.own_kb.len() / 10).max(1);
        let last = self.own_kb.len().saturating_sub(tenth);
        [&self.own_kb[..tenth.min(self.own_kb.len())], &self.own_kb[last..]].map(|part| percentile(part, 50))
    }

    pub fn print(&self) {
        let [first, last] = self.own_at_the_ends_kb();
        let range = |numbers: &[f64]| [0, 50, 100].map(|per_cent| percentile(numbers, per_cent));
        let [own, resident] = [range(&self.own_kb), range(&self.resident_kb)];
        println!(
            "the worker's memory over {} alerts, kB    own: min {:.0} median {:.0} max {:.0}, first tenth {first:.0}, last {last:.0}",
            self.alerts, own[0], own[1], own[2]
        );
        println!(
            "with the shared buffers it has touched          min {:.0} median {:.0} max {:.0}; {:.0} alerts/s\n",
            resident[0], resident[1], resident[2], self.alerts_per_second
        );
    }
}
