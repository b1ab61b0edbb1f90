//! Backlogs, drained by the worker and in other ways, in turn.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use costsim_harness::{Alertmanager, Listed};

use super::by_hand::{ByHand, Post};
use super::sink::Sink;
use super::stage::{Queue, Stage};
use super::{DRAIN, INGEST, Load, Rates};

/// As many alerts of a request as the worker's default.
const BATCH: usize = 256;

/// Into a receiver that takes everything at once: by the worker, and by a client, one alert after the other.
pub fn into_a_sink(stage: &mut Stage, sink: &Sink, load: &Load) -> Result<Rates> {
    let mut by_hand = ByHand::new(stage.connect()?, &sink.url())?;
    // A few first, over which either side makes its connection and its plans.
    let few = 1_000;
    ours(stage, sink, few.min(load.alerts))?;
    theirs(stage, sink, &mut by_hand, few.min(load.alerts_by_hand))?;
    let (mut ours_per_second, mut theirs_per_second) = (Vec::new(), Vec::new());
    for turn in 0..load.backlogs {
        for is_ours in [turn % 2 == 0, turn % 2 != 0] {
            if is_ours {
                ours_per_second.push(ours(stage, sink, load.alerts)?);
            } else {
                theirs_per_second.push(theirs(stage, sink, &mut by_hand, load.alerts_by_hand)?);
            }
        }
    }
    Ok(Rates {
        name: DRAIN,
        ours: format!("the worker, {} alerts", load.alerts),
        theirs: format!("{} alerts; {}", load.alerts_by_hand, ByHand::says()),
        ours_per_second,
        theirs_per_second,
        missing: Some(pg_net()),
    })
}

fn ours(stage: &mut Stage, sink: &Sink, alerts: usize) -> Result<f64> {
    stage.fill(Queue::Ours, alerts)?;
    let before = sink.alerts();
    let rate = stage.drain(&sink.url(), alerts)?;
    let arrived = sink.alerts() - before;
    ensure!(arrived == alerts, "of {alerts} alerts {arrived} arrived");
    Ok(rate)
}

fn theirs(stage: &mut Stage, sink: &Sink, by_hand: &mut ByHand, alerts: usize) -> Result<f64> {
    stage.fill(Queue::Plain, alerts)?;
    let before = sink.alerts();
    let start = Instant::now();
    let delivered = by_hand.drain()?;
    let elapsed = start.elapsed();
    let arrived = sink.alerts() - before;
    ensure!((delivered, arrived) == (alerts, alerts), "of {alerts} alerts {arrived} arrived");
    Ok(alerts as f64 / elapsed.as_secs_f64())
}

/// Into a real Alertmanager, a new one each time: by the worker, out of the database and with every row settled, and by a client that
/// has the same requests ready beforehand.
pub fn into_alertmanager(stage: &mut Stage, load: &Load) -> Result<Rates> {
    let alerts = load.ingested;
    stage.fill(Queue::Ours, alerts)?;
    let bodies: Vec<String> = stage.payloads(Queue::Ours)?.chunks(BATCH).map(joined).collect();
    let (mut ours_per_second, mut theirs_per_second) = (Vec::new(), Vec::new());
    for turn in 0..load.backlogs {
        for is_ours in [turn % 2 == 0, turn % 2 != 0] {
            let alertmanager = Alertmanager::start()?;
            if is_ours {
                stage.fill(Queue::Ours, alerts)?;
                ours_per_second.push(stage.drain(&alertmanager.url(), alerts)?);
            } else {
                let post = Post::new(&alertmanager.url());
                let start = Instant::now();
                for body in &bodies {
                    post.send(body)?;
                }
                theirs_per_second.push(alerts as f64 / start.elapsed().as_secs_f64());
            }
            let known = alertmanager.alerts(Listed::All)?.len();
            ensure!(known == alerts, "of {alerts} alerts Alertmanager knows {known}");
        }
    }
    Ok(Rates {
        name: INGEST,
        ours: format!("the worker, {alerts} alerts"),
        theirs: format!("{} prepared requests of {BATCH} alerts over one connection", bodies.len()),
        ours_per_second,
        theirs_per_second,
        missing: None,
    })
}

/// One request of several payloads, each an array.
fn joined(payloads: &[String]) -> String {
    let alerts = payloads.iter().map(|payload| payload.trim_start_matches('[').trim_end_matches(']'));
    format!("[{}]", alerts.collect::<Vec<_>>().join(", "))
}

/// Why there is no figure of pg_net beside these.
fn pg_net() -> String {
    const PACKAGE: &str = "postgresql-15-pg-net";
    let policy = Command::new("apt-cache").args(["policy", PACKAGE]).output();
    let known = policy.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match known.as_deref() {
        Ok(answer) if answer.contains("Candidate:") && !answer.contains("Candidate: (none)") => {
            format!("pg_net was not measured, though {PACKAGE} could be installed here")
        }
        Ok(_) => format!("pg_net was not measured: this machine's package lists have no {PACKAGE}"),
        Err(error) => format!("pg_net was not measured: whether it can be installed is not known: {error}"),
    }
}
