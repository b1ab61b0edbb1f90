//! The play itself: who does what when, and what is measured on the way.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use postgres::Client;

use crate::Show;
use crate::canary::Trial;
use crate::cost::Bill;
use crate::prices::PriceTable;
use crate::replica::{Event, Window};
use crate::report::{self, Report};
use crate::screen::{Screen, Tone, thousands};
use crate::signals::Signals;
use crate::stage::{Message, Replica, Stage, What, publish};
use crate::trace::{self, Request};

const NODES: [&str; 2] = ["replica-a", "replica-b"];

/// The leader is killed once so much is priced: in the middle, and well before the wrong prices begin.
const KILL_AT_PERCENT: i64 = 35;

/// Windows without which there is no story: three before the wrong prices, and the three bad ones in a row that trip the breaker.
const FEWEST_WINDOWS: usize = 6;

/// So many rows fit on a screen.
const WINDOWS: usize = 40;
const LARGEST_WINDOW: usize = 2_000;

/// Between two looks at something that nobody announces.
const LOOK: Duration = Duration::from_millis(10);

/// A replica that says nothing for so long is stuck: a window takes some ten milliseconds.
const SILENCE: Duration = Duration::from_secs(60);

/// A delivery takes milliseconds; an hour-glass for a machine under load.
const DELIVERY: Duration = Duration::from_secs(30);

/// The user pressed Ctrl-C.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Whether the user pressed Ctrl-C.
#[derive(Clone)]
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    fn listen() -> Result<Self> {
        let pressed = Arc::new(AtomicBool::new(false));
        ctrlc::set_handler({
            let pressed = Arc::clone(&pressed);
            move || pressed.store(true, Ordering::SeqCst)
        })?;
        Ok(Interrupt(pressed))
    }

    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// Looks until there is something to see, for a while.
    fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + DELIVERY;
        loop {
            self.check()?;
            if let Some(seen) = look()? {
                return Ok(seen);
            }
            ensure!(Instant::now() < deadline, "waited {DELIVERY:?} in vain for {what}");
            thread::sleep(LOOK);
        }
    }
}

/// Plays it from start to end. Answers whether all checks at the end passed.
pub fn run(show: &Show) -> Result<bool> {
    let mut screen = Screen::new();
    let interrupt = Interrupt::listen()?;

    let (requests, source) = requests(show, &mut screen)?;
    let plan = Plan::new(&requests, show.window)?;
    let prices = PriceTable::of_demo(&requests[..plan.second_half_from - 1])?;

    screen.event("starting a throw-away PostgreSQL with costsim_pg preloaded, and an Alertmanager");
    let stage = Stage::set_up();
    interrupt.check()?;
    let mut play = Play::new(stage?, plan, prices, interrupt, screen);
    let (story, recovery, bill, signals) = play.perform(&requests).map_err(|error| play.explained(error))?;

    let report = Report::collect(&mut play.stage, source, play.plan.window, story, recovery, bill, signals)?;
    play.screen.line("");
    play.screen.line(&report.text(play.screen.paint()));
    if show.keep {
        play.keep();
    } else {
        play.screen.line(report::HOW_TO_KEEP);
    }
    play.dismiss()?;
    Ok(report.is_good())
}

/// The trace, and where it is from.
fn requests(show: &Show, screen: &mut Screen) -> Result<(Vec<Request>, String)> {
    let (requests, source) = match &show.trace {
        None => (show.sample.make(), format!("made up, seed {}", show.sample.seed)),
        Some(path) => {
            let trace = trace::read(path, show.on_malformed)?;
            if !trace.skipped.is_empty() {
                let count = thousands(trace.skipped.len() as i64);
                screen
                    .event_in(Tone::Bad, &format!("left out of {}: {count} malformed lines", path.display()));
                screen.line(&trace::listed(&trace.skipped));
            }
            (trace.requests, path.file_name().unwrap_or(path.as_os_str()).display().to_string())
        }
    };
    screen.event(&format!("{} requests ({source})", thousands(requests.len() as i64)));
    Ok((requests, source))
}

/// Where in the trace things happen.
#[derive(Debug, PartialEq)]
struct Plan {
    requests: i64,
    /// Requests per window.
    window: usize,
    /// The number of the first request with wrong prices, the first of its window.
    second_half_from: usize,
}

impl Plan {
    fn new(requests: &[Request], window: Option<u32>) -> Result<Self> {
        let count = requests.len();
        let window =
            window.map_or_else(|| count.div_ceil(WINDOWS).clamp(1, LARGEST_WINDOW), |window| window as usize);
        let windows = count.div_ceil(window);
        ensure!(
            windows >= FEWEST_WINDOWS,
            "too short to show anything: {count} requests, {window} per window, make {windows} windows; it takes {FEWEST_WINDOWS}"
        );
        Ok(Plan { requests: i64::try_from(count)?, window, second_half_from: windows / 2 * window + 1 })
    }
}

/// What happened during the replay, as seen from outside.
#[derive(Default)]
pub struct Story {
    pub killed: Option<Kill>,
    pub trip: Option<Trip>,
}

/// The leader's violent end.
pub struct Kill {
    pub node: &'static str,
    /// The replica's process, which must not be taken for its successor of the same name.
    pid: u32,
    at: Instant,
    pub takeover: Option<TakeOver>,
}

pub struct TakeOver {
    pub node: &'static str,
    /// From the kill to the first window that the other replica committed.
    pub after: Duration,
}

/// The breaker's opening and the alert of it.
pub struct Trip {
    pub incident_id: String,
    /// When the tripping window was committed, by the server's clock.
    at: DateTime<Utc>,
    pub alert: Option<Alert>,
}

impl Trip {
    /// Names this very alert among all others.
    fn labels(&self) -> [(&str, &str); 3] {
        [
            ("alertname", "CostSimV2Disabled"),
            ("circuit_breaker", "costsim_v2"),
            ("incident_id", &self.incident_id),
        ]
    }
}

pub struct Alert {
    /// From the trip to when Alertmanager's API listed it as active.
    pub after: Duration,
    pub fingerprint: String,
}

/// The end of the trouble.
pub struct Recovery {
    /// The worst drift that the corrected prices would have had over the windows with the wrong ones.
    pub worst_drift: f64,
    /// What a canary says of both.
    pub trial: Trial,
    /// From enabling the breaker to when Alertmanager no longer listed the alert.
    pub unlisted_after: Duration,
    /// From enabling the breaker to when Alertmanager told its receiver that the alert is resolved.
    pub resolved_after: Duration,
}

struct Play {
    // First, because what stands first ends first, and a replica whose server vanishes complains.
    replicas: Vec<Replica>,
    stage: Stage,
    plan: Plan,
    prices: PriceTable,
    interrupt: Interrupt,
    screen: Screen,
    outbox: Sender<Message>,
    inbox: Receiver<Message>,
}

impl Play {
    fn new(stage: Stage, plan: Plan, prices: PriceTable, interrupt: Interrupt, screen: Screen) -> Self {
        let (outbox, inbox) = channel();
        Play { stage, plan, prices, interrupt, screen, replicas: Vec::new(), outbox, inbox }
    }

    fn prepare(&mut self, requests: &[Request]) -> Result<()> {
        self.stage.load(requests)?;
        // The price change is entered ahead of time, as price changes are; its request number decides when it counts.
        let second_half = i64::try_from(self.plan.second_half_from)?;
        let client = &mut self.stage.client;
        publish(client, &self.prices.v1, "v1", 1)?;
        publish(client, &self.prices.v2, "v2", 1)?;
        publish(client, &self.prices.wrong, "v2", second_half)?;
        let PriceTable { v1, v2, wrong, .. } = &self.prices;
        self.screen.event(&format!(
            "prices in cents per 1,000 tokens: V1 {:.3} flat, V2 {} in and {} out; from request {} on, by mistake, {} and {}",
            v1.prices.input_per_1k,
            v2.prices.input_per_1k,
            v2.prices.output_per_1k,
            thousands(second_half),
            wrong.prices.input_per_1k,
            wrong.prices.output_per_1k,
        ));
        self.await_worker()
    }

    /// The worker of a new database comes up beside everything else. The time from trip to alert shall not measure that.
    fn await_worker(&mut self) -> Result<()> {
        let client = &mut self.stage.client;
        let state = "SELECT pid, state FROM costsim_worker_status() WHERE database = current_database()";
        let pid: i32 = self.interrupt.wait_for("the worker to be ready", || {
            let worker = client.query_opt(state, &[])?;
            Ok(worker.filter(|worker| worker.get::<_, &str>(1) == "idle").and_then(|worker| worker.get(0)))
        })?;
        self.screen.event(&format!("the extension's worker is ready to deliver, process {pid}"));
        Ok(())
    }

    fn perform(&mut self, requests: &[Request]) -> Result<(Story, Recovery, Bill, Signals)> {
        self.prepare(requests)?;
        let story = self.replay()?;
        let recovery = self.recover(&story)?;
        let bill = self.bill()?;
        let signals = self.signals()?;
        Ok((story, recovery, bill, signals))
    }

    /// What went wrong, with what the extension says about its own deliveries: that is where to look first.
    fn explained(&mut self, error: anyhow::Error) -> anyhow::Error {
        if error.is::<Interrupted>() {
            return error;
        }
        match self.deliveries() {
            Ok(Some(deliveries)) => error.context(deliveries),
            Ok(None) | Err(_) => error,
        }
    }

    /// What is under way and why it does not arrive; nothing when all is well.
    fn deliveries(&mut self) -> Result<Option<String>> {
        let said = self.stage.client.query_opt(
            "SELECT format('outbox: %s unsent, %s; worker: %s, %s', q.unsent, coalesce(q.last_error, 'no error'),
                           w.state, coalesce(w.trouble, 'no trouble'))
               FROM costsim_alert_queue_stats() q, costsim_worker_status() w
              WHERE w.database = current_database() AND (q.unsent > 0 OR w.state NOT IN ('idle', 'sending'))",
            &[],
        )?;
        Ok(said.map(|said| said.get(0)))
    }

    fn start_replica(&mut self, node: &'static str) -> Result<()> {
        let replica = Replica::start(&self.stage, node, self.plan.window, &self.outbox)?;
        self.replicas.push(replica);
        Ok(())
    }

    /// Until every request is priced and the alert is seen.
    fn replay(&mut self) -> Result<Story> {
        for node in NODES {
            self.start_replica(node)?;
        }
        let mut story = Story::default();
        let mut expected_ends = HashSet::new();
        let (mut done, mut drift, mut leader) = (0, 0.0, "nobody");
        let started = Instant::now();
        let mut heard = Instant::now();
        let mut finished = None;

        loop {
            self.interrupt.check()?;
            match self.inbox.recv_timeout(LOOK) {
                Ok(message) => {
                    heard = Instant::now();
                    match message.what {
                        What::Said(Event::Following) => {}
                        What::Said(Event::Leading { token }) => {
                            leader = message.node;
                            self.screen.event(&format!("{leader} leads, token {token}"));
                        }
                        What::Said(Event::Window(window)) => {
                            done = done.max(window.last_seq);
                            drift = window.drift;
                            self.watch_edition(&window);
                            self.watch_takeover(&mut story, message.node, message.pid)?;
                            self.watch_trip(&mut story, &window)?;
                            if story.killed.is_none() && done * 100 >= self.plan.requests * KILL_AT_PERCENT {
                                expected_ends.insert(message.pid);
                                story.killed = Some(self.kill(message.pid)?);
                            }
                        }
                        What::Noise(line) => bail!("{} said {line:?}", message.node),
                        What::Ended if expected_ends.contains(&message.pid) => {}
                        What::Ended => bail!("{} ended by itself", message.node),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    ensure!(
                        finished.is_some() || heard.elapsed() < SILENCE,
                        "the replicas say nothing for {SILENCE:?}"
                    );
                }
                Err(RecvTimeoutError::Disconnected) => bail!("nobody is left to listen to"),
            }
            self.watch_alert(&mut story)?;

            let total = self.plan.requests;
            self.screen.progress(|| {
                let rate = done as f64 / started.elapsed().as_secs_f64();
                let (percent, done) = (100 * done / total, thousands(done));
                format!(
                    "{percent:3} %  {done} requests, {} per s, drift {drift:.3}, {leader} leads",
                    thousands(rate as i64)
                )
            });
            if done == total {
                let since = *finished.get_or_insert_with(Instant::now);
                ensure!(
                    story.trip.is_some(),
                    "all requests are priced and the breaker never tripped: no three windows in a row drifted above its threshold"
                );
                if story.trip.as_ref().is_some_and(|trip| trip.alert.is_some()) {
                    return Ok(story);
                }
                ensure!(
                    since.elapsed() < DELIVERY,
                    "Alertmanager does not list the alert after {DELIVERY:?}"
                );
            }
        }
    }

    fn kill(&mut self, pid: u32) -> Result<Kill> {
        let index =
            self.replicas.iter().position(|replica| replica.pid() == pid).context("the leader to kill")?;
        let replica = self.replicas.swap_remove(index);
        let node = replica.node;
        let at = Instant::now();
        replica.kill()?;
        self.screen.event_in(Tone::Bad, &format!("kill -9 {pid}: {node}, the leader, is gone"));
        Ok(Kill { node, pid, at, takeover: None })
    }

    fn watch_edition(&mut self, window: &Window) {
        if window.first_seq == self.plan.second_half_from as i64 {
            let note = &self.prices.wrong.note;
            self.screen.event(&format!("half-way: V2 now counts with {} ({note})", window.edition));
        }
    }

    /// A window by anybody but the killed process is the other's first.
    fn watch_takeover(&mut self, story: &mut Story, node: &'static str, pid: u32) -> Result<()> {
        let Some(kill) = story.killed.as_mut().filter(|kill| kill.takeover.is_none() && kill.pid != pid)
        else {
            return Ok(());
        };
        let after = kill.at.elapsed();
        kill.takeover = Some(TakeOver { node, after });
        let killed = kill.node;
        self.screen.event_in(
            Tone::Good,
            &format!(
                "{node} goes on where the rows say, {} after the kill; {killed} starts again and follows",
                millis(after)
            ),
        );
        self.start_replica(killed)
    }

    fn watch_trip(&mut self, story: &mut Story, window: &Window) -> Result<()> {
        // The message of the tripping window is lost when its sender is killed after the commit; the next window, answered by
        // V1, tells the same.
        if story.trip.is_some() || (window.incident_id.is_none() && window.answered_by == "v2") {
            return Ok(());
        }
        let trip = self.stage.client.query_one(
            "SELECT incident_id, priced_at, drift, first_seq FROM demo_windows
              WHERE incident_id IS NOT NULL ORDER BY first_seq LIMIT 1",
            &[],
        )?;
        let (incident_id, first_seq): (String, i64) = (trip.get(0), trip.get(3));
        let (drift, window): (f64, i64) = (trip.get(2), (first_seq - 1) / self.plan.window as i64 + 1);
        self.screen.event_in(
            Tone::Bad,
            &format!("the breaker trips: drift {drift:.3} in window {window}, incident {incident_id}; V1 answers from now on"),
        );
        if first_seq < self.plan.second_half_from as i64 {
            self.screen.event(
                "(before the wrong prices came: this trace's own mix varies that much from window to window)",
            );
        }
        story.trip = Some(Trip { incident_id, at: trip.get(1), alert: None });
        Ok(())
    }

    fn watch_alert(&mut self, story: &mut Story) -> Result<()> {
        let Some(trip) = story.trip.as_mut().filter(|trip| trip.alert.is_none()) else { return Ok(()) };
        let Some(listed) =
            self.stage.alertmanager.alert_state(&trip.labels())?.filter(|alert| alert.state == "active")
        else {
            return Ok(());
        };
        let after = (Utc::now() - trip.at).to_std().unwrap_or_default();
        self.screen.event_in(
            Tone::Good,
            &format!("Alertmanager lists CostSimV2Disabled as active, {} after the trip", millis(after)),
        );
        trip.alert = Some(Alert { after, fingerprint: listed.fingerprint });
        Ok(())
    }

    /// Puts the prices right, looks whether that is enough, enables the breaker and waits until the alert is resolved.
    fn recover(&mut self, story: &Story) -> Result<Recovery> {
        // Who leads the replay's lock runs the canary, or nobody else does.
        self.dismiss()?;
        let Play { stage: Stage { client, alertmanager, sink, .. }, interrupt, screen, prices, plan, .. } =
            self;
        let labels = story.trip.as_ref().context("there is nothing to recover from")?.labels();
        // Alertmanager tells nobody of an end whose beginning it did not tell.
        interrupt.wait_for("the notification that the alert fires", || {
            Ok(sink.alerts(&labels).iter().any(|alert| alert["status"] == "firing").then_some(()))
        })?;

        let corrected = &prices.corrected.name;
        publish(client, &prices.corrected, "v2", i64::try_from(plan.second_half_from)?)?;
        let worst_drift = drift_with(client, corrected, &prices.wrong.name)?;
        screen.event(&format!(
            "V2 is put right: with {corrected} these windows drift {worst_drift:.3} at most"
        ));

        let trial = Trial::run(client, prices)?;
        screen.event(&format!(
            "a canary over the last requests: {} with {} (mean relative difference {:.3}), {} with {corrected} ({:.3})",
            trial.wrong.status, prices.wrong.name, trial.wrong.drift, trial.corrected.status, trial.corrected.drift
        ));

        let reason = format!("price table put right: {corrected}");
        let enabled = Instant::now();
        let changed: bool = client.query_one("SELECT costsim_enable_v2('demo', $1)", &[&reason])?.get(0);
        ensure!(changed, "the breaker was not open any more");
        screen.event("the breaker is enabled again");

        interrupt.wait_for("Alertmanager to list the alert no longer", || {
            Ok(alertmanager.alert_state(&labels)?.is_none().then_some(()))
        })?;
        let unlisted_after = enabled.elapsed();
        interrupt.wait_for("the notification that the alert is resolved", || {
            Ok(sink.alerts(&labels).last().is_some_and(|alert| alert["status"] == "resolved").then_some(()))
        })?;
        let resolved_after = enabled.elapsed();
        let (unlisted, resolved) = (millis(unlisted_after), millis(resolved_after));
        screen.event_in(
            Tone::Good,
            &format!("Alertmanager lists it no longer, {unlisted} later; its receiver was told \"resolved\" after {resolved}"),
        );

        Ok(Recovery { worst_drift, trial, unlisted_after, resolved_after })
    }

    /// What the requests cost, who may not spend more, and who did.
    fn bill(&mut self) -> Result<Bill> {
        let Play { stage: Stage { client, cluster, alertmanager, .. }, interrupt, screen, prices, .. } = self;
        let wait = |what: &str, look: &mut dyn FnMut() -> Result<Option<()>>| interrupt.wait_for(what, look);
        let bill = Bill::run(client, cluster, alertmanager, prices.corrected.prices, wait)?;
        screen.event(&format!(
            "{} requests are on the bill, {} cents; of {} sessions at once under a hard limit {} may spend",
            thousands(bill.records),
            bill.cents,
            bill.recorded + bill.refused,
            bill.recorded
        ));
        screen
            .event_in(Tone::Bad, &format!("a loop runs away: {}, {}", bill.spike.severity, bill.spike.cause));
        screen.event_in(
            Tone::Good,
            &format!(
                "Alertmanager lists CostSimCostAnomaly as active, {} after it began; then it is resolved",
                millis(bill.alert_after)
            ),
        );

        // The worker books a delivery after the answer, in a transaction of its own.
        interrupt.wait_for("the outbox to be empty", || {
            let empty = "SELECT pending = 0 AND unsent = 0 FROM costsim_alert_queue_stats()";
            Ok(client.query_one(empty, &[])?.get::<_, bool>(0).then_some(()))
        })?;
        Ok(bill)
    }

    /// What fails again and again, who is likely to, and who gets to do something about it.
    fn signals(&mut self) -> Result<Signals> {
        let Play { stage: Stage { client, .. }, screen, .. } = self;
        let signals = Signals::run(client)?;
        let Signals { pattern, forecast, order, .. } = &signals;
        screen.event_in(
            Tone::Bad,
            &format!(
                "{} failures of {} workers in {} texts are {} error: {}",
                pattern.occurrences, pattern.workers, pattern.texts, pattern.found, pattern.template
            ),
        );
        screen.event(&format!(
            "{} is likely to fail: in {:.0} % of its runs, {:.0} to {:.0} with 80 % certainty",
            forecast.workers.join(", "),
            100.0 * forecast.rate,
            100.0 * forecast.lower,
            100.0 * forecast.upper
        ));
        screen.event(&format!(
            "an envelope for reliability preempts {}; the kill switch ends {}; the record of it refuses to change",
            order.preempted.join(", "),
            order.reverted
        ));
        Ok(signals)
    }

    fn dismiss(&mut self) -> Result<()> {
        for replica in self.replicas.drain(..) {
            if let Some(trouble) = replica.leave()? {
                bail!(trouble);
            }
        }
        Ok(())
    }

    /// Until Ctrl-C.
    fn keep(&mut self) {
        self.screen.line(&format!(
            "still running\n  psql          {}\n  Alertmanager  {}\nCtrl-C removes everything.",
            self.stage.psql(),
            self.stage.alertmanager.url()
        ));
        while self.interrupt.check().is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The worst drift of the windows priced with `wrong`, had they been priced with `corrected`.
fn drift_with(client: &mut Client, corrected: &str, wrong: &str) -> Result<f64> {
    let row = client.query_one(
        "SELECT coalesce(max(abs(again.v2_cents - w.v1_cents) / w.v1_cents), 0)
           FROM demo_windows w
          CROSS JOIN LATERAL (
                SELECT sum(r.context_tokens * p.input_per_1k + r.generated_tokens * p.output_per_1k) / 1000 AS v2_cents
                  FROM demo_requests r, demo_prices p
                 WHERE r.seq BETWEEN w.first_seq AND w.last_seq AND p.edition = $1) again
          WHERE w.edition = $2 AND w.v1_cents > 0",
        &[&corrected, &wrong],
    )?;
    Ok(row.get(0))
}

/// A short time in words.
pub fn millis(time: Duration) -> String {
    if time < Duration::from_secs(2) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator;

    fn plan(requests: usize, window: Option<u32>) -> Result<Plan> {
        Plan::new(&generator::requests(1, requests), window)
    }

    #[test]
    fn plan_makes_forty_windows_and_changes_prices_at_the_start_of_one() {
        assert_eq!(
            plan(19_366, None).unwrap(),
            Plan { requests: 19_366, window: 485, second_half_from: 9_701 }
        );
        assert_eq!(plan(6, None).unwrap(), Plan { requests: 6, window: 1, second_half_from: 4 });
        assert_eq!(plan(20_000, Some(250)).unwrap().second_half_from, 10_001);
    }

    #[test]
    fn plan_leaves_three_windows_for_the_wrong_prices() {
        for count in 6..400 {
            let plan = plan(count, None).unwrap();
            assert!(
                count.div_ceil(plan.window) - (plan.second_half_from - 1) / plan.window >= 3,
                "{count} requests"
            );
        }
    }

    #[test]
    fn plan_refuses_what_is_too_short() {
        assert!(plan(5, None).is_err());
        assert!(plan(1_000, Some(500)).unwrap_err().to_string().contains("2 windows"));
    }
}
