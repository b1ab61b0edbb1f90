//! Sessions that raise alerts under whatever happens to their server, and the books they keep.

use crate::{LIMIT, sqlstate};
use anyhow::{Context, Result, anyhow, bail};
use costsim_harness::{Heard, wait_until};
use fastrand::Rng;
use postgres::{Client, Config, NoTls};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// The label that tells one alert from all others.
pub const KEY: &str = "n";

/// The label of what a transaction raised that was then rolled back.
const PHANTOM: &str = "phantom";

/// What the clients were told. Counted by keys, since no two alerts have the same one.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Raised by a transaction whose commit was acknowledged.
    queued: BTreeSet<String>,
    fired: BTreeSet<String>,
    /// Resolved by one, after it was fired by an earlier one.
    resolved: BTreeSet<String>,
    /// The server went before it answered: they may be there or not.
    in_doubt: BTreeSet<String>,
    resolved_in_doubt: BTreeSet<String>,
    /// A resolve of them was rolled back.
    kept_firing: BTreeSet<String>,
    transactions: usize,
    rolled_back: usize,
}

impl Ledger {
    /// Notes a payload that is committed for all its client knows.
    pub fn note_queued(&mut self, key: &str) {
        self.queued.insert(key.to_owned());
    }

    /// How many alerts and ends of alerts were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.queued.len() + self.fired.len() + self.resolved.len()
    }

    pub fn add(&mut self, other: Ledger) {
        self.queued.extend(other.queued);
        self.fired.extend(other.fired);
        self.resolved.extend(other.resolved);
        self.in_doubt.extend(other.in_doubt);
        self.resolved_in_doubt.extend(other.resolved_in_doubt);
        self.kept_firing.extend(other.kept_firing);
        self.transactions += other.transactions;
        self.rolled_back += other.rolled_back;
    }

    /// Compares what was acknowledged with what has arrived, once nothing is under way.
    pub fn reckon(&self, heard: &[Heard]) -> Reckoning {
        let mut reckoning = Reckoning {
            transactions: self.transactions,
            rolled_back: self.rolled_back,
            in_doubt: self.in_doubt.len() + self.resolved_in_doubt.len(),
            queued: self.queued.len(),
            fired: self.fired.len(),
            resolved: self.resolved.len(),
            posts: heard.len(),
            ..Reckoning::default()
        };
        let mut first: BTreeMap<&str, &Heard> = BTreeMap::new();
        let mut ended: BTreeSet<&str> = BTreeSet::new();
        let mut told: BTreeSet<(&str, bool)> = BTreeSet::new();
        for one in heard {
            let key = one.label(KEY);
            let is_known =
                self.queued.contains(key) || self.fired.contains(key) || self.in_doubt.contains(key);
            if one.labels.contains_key(PHANTOM) || !is_known {
                reckoning.phantoms.push(format!("{:?}", one.labels));
            }
            // A queued payload says no end here, and what fires ends hours from now.
            let is_resolved = one.is_resolved();
            if is_resolved {
                ended.insert(key);
            }
            if !told.insert((key, is_resolved)) {
                reckoning.duplicates += 1;
            }
            let before = first.entry(key).or_insert(one);
            if (&before.labels, &before.starts_at) != (&one.labels, &one.starts_at) {
                reckoning.unlike.push(format!("{before:?} and {one:?}"));
            }
        }
        let raised = self.queued.iter().chain(&self.fired);
        reckoning.lost.extend(raised.filter(|key| !first.contains_key(key.as_str())).cloned());
        let not_ended = self.resolved.iter().filter(|key| !ended.contains(key.as_str()));
        reckoning.lost.extend(not_ended.map(|key| format!("the end of {key}")));
        let wrongly = self.kept_firing.iter().filter(|key| {
            ended.contains(key.as_str())
                && !self.resolved.contains(*key)
                && !self.resolved_in_doubt.contains(*key)
        });
        reckoning.phantoms.extend(wrongly.map(|key| format!("the end of {key}")));
        reckoning
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Reckoning {
    /// Committed and acknowledged.
    pub transactions: usize,
    pub rolled_back: usize,
    /// Alerts and ends of alerts.
    pub queued: usize,
    pub fired: usize,
    pub resolved: usize,
    pub in_doubt: usize,
    /// Alerts that have arrived, each as often as it did.
    pub posts: usize,
    /// Arrivals of what had arrived before.
    pub duplicates: usize,
    /// Acknowledged and not arrived.
    pub lost: Vec<String>,
    /// Arrived, and never committed.
    pub phantoms: Vec<String>,
    /// Arrived twice, with other labels or another start.
    pub unlike: Vec<String>,
}

impl Reckoning {
    /// For the evidence.
    pub fn to_json(&self) -> Value {
        json!({
            "transactions_acknowledged": self.transactions,
            "transactions_rolled_back_on_purpose": self.rolled_back,
            "acknowledged": { "queued": self.queued, "fired": self.fired, "resolved": self.resolved },
            "in_doubt_when_the_server_went": self.in_doubt,
            "arrivals": self.posts,
            "duplicates": self.duplicates,
            "duplicates_that_differ": self.unlike.len(),
            "lost": self.lost.len(),
            "phantoms": self.phantoms.len(),
        })
    }

    /// Fails if an alert is lost, was never committed or arrived in two shapes.
    pub fn check(&self) -> Result<()> {
        for (what, found) in [("lost", &self.lost), ("phantoms", &self.phantoms), ("differ", &self.unlike)] {
            if !found.is_empty() {
                bail!("{self}; {what}, for example: {:?}", &found[..found.len().min(10)]);
            }
        }
        Ok(())
    }
}

/// One line that says it all.
impl fmt::Display for Reckoning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transactions ({} more rolled back) queued {}, fired {}, resolved {}, {} in doubt; {} arrivals, {} of them duplicates; \
             lost {}, phantoms {}, unlike {}",
            self.transactions,
            self.rolled_back,
            self.queued,
            self.fired,
            self.resolved,
            self.in_doubt,
            self.posts,
            self.duplicates,
            self.lost.len(),
            self.phantoms.len(),
            self.unlike.len(),
        )
    }
}

/// What all sessions of a load look at.
#[derive(Debug)]
struct Order {
    server: Config,
    /// Transactions that may still be begun.
    allowed: usize,
    /// Acknowledged alerts since the load began.
    acknowledged: usize,
    is_over: bool,
}

/// Sessions at work, each on a thread. One that loses its server looks for it again.
#[derive(Debug)]
pub struct AlertLoad {
    order: Arc<(Mutex<Order>, Condvar)>,
    sessions: Vec<JoinHandle<Result<Ledger>>>,
}

impl AlertLoad {
    /// Each session begins with these statements. No transaction is begun before it is allowed.
    pub fn start(server: Config, sessions: usize, settings: &str, rng: &mut Rng) -> Self {
        let order = Order { server, allowed: 0, acknowledged: 0, is_over: false };
        let order = Arc::new((Mutex::new(order), Condvar::new()));
        let sessions = (0..sessions)
            .map(|number| {
                let (order, settings, rng) = (order.clone(), settings.to_owned(), rng.fork());
                thread::spawn(move || {
                    let session = Session {
                        number,
                        settings,
                        rng,
                        raised: 0,
                        ledger: Ledger::default(),
                        firing: Vec::new(),
                    };
                    session.work(&order)
                })
            })
            .collect();
        Self { order, sessions }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Order) -> T) -> T {
        let (order, changed) = &*self.order;
        let answer = change(&mut order.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
        answer
    }

    /// Lets so many more transactions begin, by whichever session.
    pub fn allow(&self, transactions: usize) {
        self.change(|order| order.allowed += transactions);
    }

    /// Sends the sessions to another server when they lose theirs.
    pub fn move_to(&self, server: Config) {
        self.change(|order| order.server = server);
    }

    /// How many alerts have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.change(|order| order.acknowledged)
    }

    /// Waits until so many more alerts are acknowledged.
    pub fn wait_for(&self, alerts: usize) -> Result<()> {
        let wanted = self.acknowledged() + alerts;
        wait_until(LIMIT, &format!("{alerts} more acknowledged alerts"), || {
            if self.sessions.iter().any(JoinHandle::is_finished) {
                // Its error comes out at the end.
                return Ok(Some(()));
            }
            Ok((self.acknowledged() >= wanted).then_some(()))
        })
    }

    /// Ends the sessions after the transactions that are under way, and answers with their books.
    pub fn finish(mut self) -> Result<Ledger> {
        self.end()
    }

    fn end(&mut self) -> Result<Ledger> {
        self.change(|order| order.is_over = true);
        let mut ledger = Ledger::default();
        for session in self.sessions.drain(..) {
            ledger.add(session.join().map_err(|_| anyhow!("a session of the load has panicked"))??);
        }
        Ok(ledger)
    }
}

impl Drop for AlertLoad {
    fn drop(&mut self) {
        // After a failure elsewhere its own is of no interest.
        self.end().ok();
    }
}

struct Session {
    number: usize,
    settings: String,
    rng: Rng,
    raised: usize,
    ledger: Ledger,
    /// Acknowledged and not resolved yet.
    firing: Vec<String>,
}

/// What one transaction does, as far as it will be held to it.
#[derive(Default)]
struct Act {
    statements: Vec<String>,
    queued: Vec<String>,
    fired: Vec<String>,
    resolved: Vec<String>,
}

impl Session {
    fn work(mut self, order: &(Mutex<Order>, Condvar)) -> Result<Ledger> {
        let (order, changed) = order;
        let mut client = None;
        loop {
            let mut now = order.lock().unwrap_or_else(PoisonError::into_inner);
            while now.allowed == 0 && !now.is_over {
                now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
            }
            if now.is_over {
                return Ok(self.ledger);
            }
            now.allowed -= 1;
            drop(now);
            let session = match &mut client {
                Some(session) => session,
                none => none.insert(self.connect(order)?),
            };
            let before = self.ledger.acknowledged();
            if !self.transact(session)? {
                client = None;
            }
            let gained = self.ledger.acknowledged() - before;
            order.lock().unwrap_or_else(PoisonError::into_inner).acknowledged += gained;
        }
    }

    fn connect(&self, order: &Mutex<Order>) -> Result<Client> {
        wait_until(LIMIT, "the server to be there", || {
            let order = order.lock().unwrap_or_else(PoisonError::into_inner);
            let (server, is_over) = (order.server.clone(), order.is_over);
            drop(order);
            let attempt = server.connect(NoTls).map_err(anyhow::Error::from).and_then(|mut client| {
                client.batch_execute(&self.settings)?;
                Ok(client)
            });
            match attempt {
                Err(error) if is_over => Ok(Some(Err(error.context("the load ended without a server")))),
                other => other.map(|client| Some(Ok(client))),
            }
        })?
    }

    /// One transaction; false when the server went in the middle of it.
    fn transact(&mut self, client: &mut Client) -> Result<bool> {
        let is_kept = self.rng.u8(..5) > 0;
        let mut act = Act::default();
        for _ in 0..self.rng.u8(1..4) {
            self.raise(&mut act, !is_kept);
        }
        if is_kept && self.rng.u8(..4) == 0 {
            let mut undone = Act::default();
            self.raise(&mut undone, true);
            self.ledger.kept_firing.append(&mut undone.resolved.into_iter().collect());
            act.statements.push(format!("SAVEPOINT s; {}; ROLLBACK TO s", undone.statements.join("; ")));
        }
        let end = if is_kept { "COMMIT" } else { "ROLLBACK" };
        let batch = format!("BEGIN; {}; {end}", act.statements.join("; "));
        let outcome = client.batch_execute(&batch);
        if let Err(error) = &outcome {
            match sqlstate(error).as_str() {
                // In a crash the server has time for a last word, or not.
                "57P01" | "57P02" | "57P03" | "closed" => {}
                _ => {
                    return Err(outcome.err().map_or_else(|| anyhow!("no error"), Into::into)).context(batch);
                }
            }
        }
        let ledger = &mut self.ledger;
        match (is_kept, outcome.is_ok()) {
            (true, true) => {
                ledger.transactions += 1;
                self.firing.extend(act.fired.iter().cloned());
                ledger.queued.extend(act.queued);
                ledger.fired.extend(act.fired);
                ledger.resolved.extend(act.resolved);
            }
            (true, false) => {
                ledger.in_doubt.extend(act.queued);
                ledger.in_doubt.extend(act.fired);
                ledger.resolved_in_doubt.extend(act.resolved);
            }
            (false, _) => {
                ledger.rolled_back += 1;
                ledger.kept_firing.extend(act.resolved);
            }
        }
        Ok(outcome.is_ok())
    }

    /// Adds one thing to a transaction: a payload, an alert that fires, or the end of an earlier one.
    fn raise(&mut self, act: &mut Act, is_phantom: bool) {
        if self.rng.u8(..5) == 0 && !self.firing.is_empty() {
            let at = self.rng.usize(..self.firing.len());
            // One whose end is taken back fires on.
            let key = if is_phantom { self.firing[at].clone() } else { self.firing.swap_remove(at) };
            act.statements.push(format!("SELECT costsim_resolve_alert('{}')", labels(&key, false)));
            act.resolved.push(key);
            return;
        }
        self.raised += 1;
        let key = format!("{}-{}", self.number, self.raised);
        let labels = labels(&key, is_phantom);
        if self.rng.bool() {
            act.statements.push(enqueue(&labels));
            act.queued.push(key);
        } else {
            act.statements
                .push(format!("SELECT costsim_fire_alert('{labels}', '{{\"summary\": \"{key}\"}}')"));
            act.fired.push(key);
        }
    }
}

/// Every third is of the highest priority.
fn labels(key: &str, is_phantom: bool) -> String {
    let severity = if key.ends_with(['0', '3', '6', '9']) { "p1" } else { "p3" };
    let mut labels = json!({ "alertname": "Load", KEY: key, "severity": severity });
    if is_phantom {
        labels[PHANTOM] = "yes".into();
    }
    labels.to_string()
}

/// The statement that queues an alert with these labels, which began now.
pub fn enqueue(labels: &str) -> String {
    format!(
        r#"SELECT costsim_enqueue_alert(jsonb_build_array(jsonb_build_object('labels', '{labels}'::jsonb, 'startsAt',
               to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))), 'load')"#
    )
}
