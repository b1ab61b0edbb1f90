//! How soon an alert arrives when nothing else happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use costsim_harness::wait_until;
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;

use super::by_hand::ByHand;
use super::sink::Sink;
use super::stage::Stage;
use super::{ARRIVAL, ENQUEUE, PLAIN_INSERT};
use crate::handover::Latencies;

const LIMIT: Duration = Duration::from_secs(60);

/// How often a listener that hears nothing looks whether it is to go on.
const LOOK_UP: Duration = Duration::from_millis(100);

const THEIRS: &str = "INSERT, NOTIFY; a client that LISTENs delivers by hand";

/// Milliseconds from the COMMIT that is sent to the request that has arrived whole. Either side waits until the one before is
/// settled and all is quiet.
pub fn measure(stage: &mut Stage, sink: &Sink, rounds: usize) -> Result<Latencies> {
    stage.client.batch_execute("TRUNCATE costsim_alert_queue, plain_alert_queue")?;
    let mut writer = stage.connect()?;
    let mut listener = ByHand::new(stage.connect()?, &sink.url())?;
    listener.client().batch_execute("LISTEN plain_alerts")?;
    stage.deliver_to(&sink.url())?;
    sink.forget();
    let is_over = AtomicBool::new(false);
    let (mut ours_ms, mut theirs_ms) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let listening = scope.spawn(|| listen(&mut listener, &is_over));
        let mut measure = || -> Result<()> {
            // A few rounds first, over which either side makes its connection and its plans.
            for round in 0..rounds + 5 {
                if round == 5 {
                    (ours_ms, theirs_ms) = (Vec::new(), Vec::new());
                }
                for is_ours in [round % 2 == 0, round % 2 != 0] {
                    if is_ours {
                        ours_ms.push(one(&mut writer, sink, ENQUEUE)?);
                        stage.wait_until_drained()?;
                    } else {
                        theirs_ms.push(one(
                            &mut writer,
                            sink,
                            &format!("{PLAIN_INSERT}; NOTIFY plain_alerts"),
                        )?);
                        wait_until(LIMIT, "the row to be marked", || {
                            let query =
                                "SELECT NOT EXISTS (SELECT FROM plain_alert_queue WHERE status = 'pending')";
                            Ok(writer.query_one(query, &[])?.get::<_, bool>(0).then_some(()))
                        })?;
                    }
                }
            }
            Ok(())
        };
        let measured = measure();
        is_over.store(true, Ordering::Relaxed);
        let listened = listening.join().map_err(|_| anyhow!("the listening thread broke off"))?;
        // Who waited in vain for it hears why.
        listened?;
        measured
    })?;
    stage.hold()?;
    Ok(Latencies { name: ARRIVAL, ours: ENQUEUE, theirs: Some(THEIRS), ours_ms, theirs_ms })
}

/// One commit and its arrival.
fn one(writer: &mut Client, sink: &Sink, write: &str) -> Result<f64> {
    writer.batch_execute(&format!("BEGIN; {write}"))?;
    let start = Instant::now();
    writer.batch_execute("COMMIT")?;
    let arrived = sink.next_arrival()?;
    let latency = arrived.checked_duration_since(start).context("what arrived was sent before")?;
    Ok(latency.as_secs_f64() * 1_000.0)
}

fn listen(listener: &mut ByHand, is_over: &AtomicBool) -> Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        if listener.client().notifications().timeout_iter(LOOK_UP).next()?.is_some() {
            listener.drain()?;
        }
    }
    Ok(())
}
