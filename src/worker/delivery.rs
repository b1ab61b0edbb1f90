//! Brings what is owed to its targets.
//!
//! ```text
//!            due, not in flight             answered
//!   look  ------------------->  in flight  ---------->  settle  -->  look
//!    ^                              |   read ahead meanwhile
//!    +---- commit, due time --------+
//! ```
//!
//! Each target goes its own way: one request of its own in flight, its own pauses, its own place in the queue. No transaction, snapshot
//! or lock is open while a request is in flight, but for the lock by which this process is the only deliverer of its database.
//! The rows say where the work stands, so the process may end at any point: what was sent and not settled is sent again.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::alertmanager::{self, Verdict};
use pgrx::prelude::PgSqlErrorCode;

use super::http::{Answer, Client, Setup};
use super::process;
use super::shared::State;
use super::target::Target;
use crate::alert::outbox::{self, Attempt, Item, Key, Order, Outcome};
use crate::alert::store::delivery;
use crate::alert::store::upkeep::{self, Debts};
use crate::error::{Error, Result};
use crate::guc::{self, AlertPolicy};
use crate::{breaker, clock, db, lock};

/// How long requests run before interrupts, and other targets, are looked at again.
const SLICE: Duration = Duration::from_millis(5);

/// How long the worker waits for somebody's lock on a table or a row: it comes back later.
const PATIENCE: TimeDelta = TimeDelta::milliseconds(200);

/// When it comes back.
const LATER: Duration = Duration::from_secs(1);

/// When a long piece of work goes on.
const SHORTLY: Duration = Duration::from_millis(10);

/// How long requests may go on after a reload that they know nothing of.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Why there are no targets yet.
const LOCKED: &str = "costsim_alert_targets is locked";

/// Incidents that are marked at once.
const MARKED_AT_ONCE: usize = 50;

/// Rows that are remembered because they cannot be written down.
const MOST_UNSETTLED: usize = 10_000;

/// Rows that are put right at once after the list of targets has changed.
const SOME: i64 = 1_000;

/// What comes after a step.
pub enum Next {
    /// At once: requests are in flight, or there may be more to send.
    Step,
    /// Nothing before this moment, unless somebody wakes the worker.
    Rest(Option<DateTime<Utc>>),
    /// Nothing can be delivered; tried again after the pause.
    Blocked { why: String, pause: Duration },
}

/// Everything about delivery that a worker remembers; the rows say the rest.
#[derive(Default)]
pub struct Delivery {
    client: Option<Client>,
    /// The list of addresses, and the settings' version, by which the targets were made.
    list: Option<(String, u32)>,
    refresh_by: Option<Instant>,
    targets: Vec<Target>,
    /// When the rows are put right again that the list of targets has changed.
    debts_at: Option<Instant>,
    /// When what failed by the old settings is tried again.
    hurry_at: Option<Instant>,
    /// What must be written down before its rows may be read again, and could not be.
    unsettled: Vec<Outcome>,
    settle_at: Option<Instant>,
    /// Incidents still to be marked, with what to note on them.
    arrived: HashMap<String, String>,
    /// When incidents are marked that somebody held.
    mark_at: Option<Instant>,
    is_alone: bool,
    /// When the version of the extension was last looked at.
    checked_at: Option<Instant>,
}

/// What has become of an outcome that was to be written down.
enum Written {
    All,
    /// This is left: somebody holds its rows.
    Some(Outcome),
    /// All of it is left: somebody holds the table.
    Nothing(Outcome),
}

impl Delivery {
    /// Somebody has committed something: whoever has nothing to do looks again.
    pub fn wake(&mut self) {
        for target in &mut self.targets {
            target.look_at = None;
        }
    }

    /// Whether a request is in flight.
    pub fn is_busy(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.in_flight() > 0)
    }

    /// What there is to say of it.
    pub fn state(&self) -> (State, Option<String>) {
        let failing: Vec<&Target> = self.targets.iter().filter(|target| target.trouble.is_some()).collect();
        let trouble = failing.first().map(|target| {
            let trouble = target.trouble.as_deref().unwrap_or_default();
            if self.targets.len() == 1 {
                trouble.to_owned()
            } else {
                format!(
                    "{} of {} Alertmanagers: {}: {trouble}",
                    failing.len(),
                    self.targets.len(),
                    target.name()
                )
            }
        });
        let state = if self.is_busy() {
            State::Sending
        } else if !failing.is_empty() && failing.len() == self.targets.len() {
            State::Blocked
        } else {
            State::Idle
        };
        (state, trouble)
    }

    /// Does what can be done now: settles, starts requests, waits a moment for answers.
    pub fn step(&mut self) -> Result<Next> {
        self.settle_what_waits()?;
        if let Some(blocked) = self.prepare()? {
            return Ok(match blocked {
                Next::Blocked { why, pause } if !self.unsettled.is_empty() => {
                    Next::Blocked { why, pause: pause.min(LATER) }
                }
                blocked => blocked,
            });
        }
        let now = clock::now();
        if !self.is_refreshing() && !self.is_choked() {
            for index in 0..self.targets.len() {
                if self.targets[index].is_due(now) {
                    self.begin(index, now)?;
                }
            }
        }
        if !self.arrived.is_empty() && self.mark_at.is_none_or(|at| at <= Instant::now()) {
            self.mark_at = None;
            self.mark_incidents()?;
        }
        if !self.is_busy() {
            return Ok(Next::Rest(self.next_look()));
        }
        if !self.is_refreshing() && !self.is_choked() {
            self.read_ahead(now)?;
        }
        process::show_activity("costsim: posting alerts");
        if let Some((target, answer)) = self.client.as_mut().and_then(|client| client.wait(SLICE)) {
            self.take_in(target, answer)?;
        }
        Ok(Next::Step)
    }

    /// Takes over the settings and becomes the one deliverer: what stands in the way, if something does.
    fn prepare(&mut self) -> Result<Option<Next>> {
        let poll = poll();
        let list = guc::alertmanager_url().unwrap_or_default();
        let current = (list, process::settings_version());
        let blocked = |why: String| Ok(Some(Next::Blocked { why, pause: poll }));
        if self.list.as_ref() != Some(&current) && !self.may_refresh() {
            return Ok(None);
        }
        if current.0.is_empty() {
            self.stop();
            return blocked("costsim.alertmanager_url is empty: alerts stay pending".into());
        }
        if self.checked_at.is_none_or(|at| at.elapsed() >= LATER) && !self.is_busy() {
            if let Some(why) = version_trouble()? {
                self.stop();
                return blocked(why);
            }
            self.checked_at = Some(Instant::now());
        }
        if !self.is_alone {
            self.is_alone = db::transaction(|| Ok(lock::try_be_the_only_deliverer()))?;
            if !self.is_alone {
                let why = "another worker or an external deliverer serves this database".to_owned();
                return Ok(Some(Next::Blocked { why, pause: LATER }));
            }
        }
        if self.list.as_ref() != Some(&current) {
            if let Err(why) = self.refresh(&current.0)? {
                self.list = None;
                let pause = if why == LOCKED { LATER } else { poll };
                return Ok(Some(Next::Blocked { why, pause }));
            }
            self.list = Some(current);
        }
        self.settle_debts()?;
        self.hurry()?;
        Ok(None)
    }

    /// Puts some of the rows right that the list of targets, or the policy, has overtaken.
    fn settle_debts(&mut self) -> Result<()> {
        if self.debts_at.is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        let ids: Vec<i32> = self.targets.iter().map(|target| target.id).collect();
        let needs_all = guc::alert_policy() == AlertPolicy::All;
        let pause = match db::transaction_within(PATIENCE, || upkeep::settle_debts(&ids, needs_all, SOME))? {
            Some(Debts::None) => None,
            Some(Debts::More) => {
                // What they have become may be due.
                self.wake();
                Some(SHORTLY)
            }
            Some(Debts::Held) | None => Some(LATER),
        };
        self.debts_at = pause.map(|pause| Instant::now() + pause);
        Ok(())
    }

    /// After new settings nothing need wait because something went wrong by the old ones. The rows first: what is owed after a failure
    /// must not be overtaken by what came later.
    fn hurry(&mut self) -> Result<()> {
        if self.hurry_at.is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        self.hurry_at = match db::transaction_within(PATIENCE, upkeep::hurry)? {
            Some(()) => {
                self.targets.iter_mut().for_each(Target::try_again);
                self.wake();
                None
            }
            None => Some(Instant::now() + LATER),
        };
        Ok(())
    }

    fn is_refreshing(&self) -> bool {
        self.refresh_by.is_some()
    }

    /// Requests of the old settings are let end for a moment.
    fn may_refresh(&mut self) -> bool {
        let by = *self.refresh_by.get_or_insert_with(|| Instant::now() + LAST_CALL);
        let may = !self.is_busy() || by <= Instant::now();
        if may {
            self.refresh_by = None;
        }
        may
    }

    /// Delivers nothing from now on, and lets others.
    fn stop(&mut self) {
        for target in &mut self.targets {
            target.give_up();
        }
        (self.client, self.list, self.checked_at) = (None, None, None);
        self.targets.clear();
        if std::mem::take(&mut self.is_alone) {
            lock::stop_being_the_only_deliverer();
        }
    }

    /// Makes client and targets anew by the settings; a target that stays keeps what is known of it.
    fn refresh(&mut self, list: &str) -> Result<std::result::Result<(), String>> {
        let endpoints = match alertmanager::endpoints(list) {
            Ok(endpoints) => endpoints,
            Err(bad) => return Ok(Err(format!("costsim.alertmanager_url: {bad}"))),
        };
        let setup = Setup {
            auth_file: guc::alertmanager_auth_file(),
            ca_file: guc::alertmanager_ca_file(),
            cert_file: guc::alertmanager_cert_file(),
            key_file: guc::alertmanager_key_file(),
            proxy: guc::alertmanager_proxy(),
            connect_timeout: guc::alertmanager_connect_timeout().to_std().unwrap_or(LATER),
        };
        for target in &mut self.targets {
            target.give_up();
        }
        self.client = None;
        let client = match Client::new(&setup) {
            Ok(client) => client,
            Err(why) => return Ok(Err(why)),
        };
        let ids = db::transaction_within(PATIENCE, || {
            let ids = endpoints.iter().map(|url| upkeep::target(url)).collect::<Result<Vec<i32>>>()?;
            upkeep::keep_targets(&ids)?;
            Ok(ids)
        })?;
        let Some(ids) = ids else { return Ok(Err(LOCKED.into())) };
        self.client = Some(client);
        let mut known = std::mem::take(&mut self.targets);
        self.targets = ids
            .into_iter()
            .zip(endpoints)
            .map(|(id, url)| match known.iter().position(|target| target.id == id && target.url == url) {
                Some(at) => known.swap_remove(at),
                None => Target::new(id, url),
            })
            .collect();
        (self.debts_at, self.hurry_at) = (Some(Instant::now()), Some(Instant::now()));
        Ok(Ok(()))
    }

    /// Starts a request to a target, if there is anything to carry.
    fn begin(&mut self, index: usize, now: DateTime<Utc>) -> Result<()> {
        let ready = self.targets[index].take_ready();
        let items = match ready {
            Some(items) => items,
            None => match self.read(index, now)? {
                Some(items) => items,
                None => {
                    // A table is locked.
                    self.targets[index].look_at = now.checked_add_signed(TimeDelta::seconds(1));
                    return Ok(());
                }
            },
        };
        if items.is_empty() {
            let target = &mut self.targets[index];
            let due = db::transaction_within(PATIENCE, || delivery::next_due(now))?;
            // Without an answer, because a table is locked: soon.
            let due = due.unwrap_or_else(|| now.checked_add_signed(TimeDelta::seconds(1)));
            let poll = now.checked_add_signed(guc::worker_poll_interval());
            target.look_at = [due, poll, target.next_from_aside()].into_iter().flatten().min();
            return Ok(());
        }
        self.fly(index, items);
        Ok(())
    }

    fn fly(&mut self, index: usize, items: Vec<Item>) {
        let timeout = guc::alertmanager_timeout().to_std().unwrap_or(LATER);
        let target = &mut self.targets[index];
        if let Some(client) = &mut self.client {
            client.post(target.id, &target.url, outbox::body(&items), timeout);
            target.fly(items);
        }
    }

    /// The next batch for a target; `None` when a lock stands in the way. What cannot be sent at all is settled on the way.
    fn read(&mut self, index: usize, now: DateTime<Utc>) -> Result<Option<Vec<Item>>> {
        process::show_activity("costsim: reading alerts");
        self.targets[index].fetch_from_aside(now);
        loop {
            let target = &self.targets[index];
            let mut but: HashSet<Key> = target.busy().collect();
            let unsettled = self.unsettled.iter().filter(|outcome| outcome.target == target.id);
            but.extend(unsettled.flat_map(|outcome| outcome.items.iter().map(|item| item.key)));
            let mut held = target.held();
            for outcome in self.unsettled.iter().filter(|outcome| outcome.target == target.id) {
                held.extend(outcome.items.iter().flat_map(Item::labels));
            }
            let is_whole = but.is_empty() && target.flight().is_empty();
            let order = Order {
                target: target.id,
                may_be_owed: target.may_be_owed,
                size: target.health.batch(guc::alert_batch_size()),
                turn: target.turn,
                but: &but,
                behind: target.flight(),
                held: &held,
            };
            let Some(batch) = db::transaction_within(PATIENCE, || outbox::read(&order, now))? else {
                return Ok(None);
            };
            let target = &mut self.targets[index];
            target.has_more = batch.has_more;
            // Only a look at everything says that nothing is owed.
            if is_whole && !batch.is_owed && !batch.has_more {
                target.may_be_owed = false;
            }
            let (unfit, fit): (Vec<Item>, Vec<Item>) =
                batch.items.into_iter().partition(|item| item.fault().is_some());
            if unfit.is_empty() {
                return Ok(Some(fit));
            }
            for item in unfit {
                let attempt = Attempt {
                    verdict: Verdict::Permanent,
                    code: None,
                    error: item.fault().map(str::to_owned),
                    asked: None,
                };
                self.settle_alone(index, item, attempt, now)?;
            }
            if !fit.is_empty() {
                return Ok(Some(fit));
            }
        }
    }

    /// Reads the next batch of whoever has a backlog, so that it can go as soon as the answer is there.
    fn read_ahead(&mut self, now: DateTime<Utc>) -> Result<()> {
        for index in 0..self.targets.len() {
            if self.targets[index].wants_to_read_ahead() {
                let items = self.read(index, now)?.unwrap_or_default();
                self.targets[index].has_more &= !items.is_empty();
                self.targets[index].keep_ahead(items);
            }
        }
        Ok(())
    }

    /// Takes in an answer: the next request goes out first, then the rows are settled.
    fn take_in(&mut self, id: i32, answer: Answer) -> Result<()> {
        let Some(index) = self.targets.iter().position(|target| target.id == id) else { return Ok(()) };
        let now = clock::now();
        let attempt = attempt(answer);
        let target = &mut self.targets[index];
        let items = target.land();
        target.look_at = None;
        target.note(&attempt, now);
        match attempt.verdict {
            Verdict::Delivered => {
                target.done_with(&items);
                if !self.is_refreshing()
                    && !self.is_choked()
                    && let Some(next) = self.targets[index].take_ready()
                {
                    self.fly(index, next);
                }
                self.settle(index, items, attempt, now)
            }
            Verdict::Permanent if items.len() > 1 => {
                target.split(items);
                Ok(())
            }
            Verdict::Permanent => {
                for item in items {
                    self.settle_alone(index, item, attempt.clone(), now)?;
                }
                Ok(())
            }
            Verdict::Retryable => {
                target.drop_prepared();
                if let [item] = items.as_slice()
                    && attempt.code.is_some()
                {
                    target.put_aside(item, &attempt, now);
                }
                let next_at = self.soonest(now);
                self.settle(index, items, attempt, next_at)
            }
        }
    }

    /// A row that can never be sent, or was refused by itself: it fails. A fired alert is told again later, for what is wrong with
    /// it may be the receiver.
    fn settle_alone(&mut self, index: usize, item: Item, attempt: Attempt, now: DateTime<Utc>) -> Result<()> {
        let target = &mut self.targets[index];
        let again_at = match item.key {
            Key::Fired(_) => target.put_aside(&item, &attempt, now),
            Key::Queued(_) => now,
        };
        // Other targets need not wait.
        let is_aside = self.targets[index].is_aside(item.key);
        let next_at = if self.targets.len() > 1 && is_aside { now } else { again_at };
        self.settle(index, vec![item], attempt, next_at)
    }

    /// Writes an outcome down, now or later. What was not taken may be tried again at `next_at`.
    fn settle(
        &mut self,
        index: usize,
        items: Vec<Item>,
        attempt: Attempt,
        next_at: DateTime<Utc>,
    ) -> Result<()> {
        let Target { id, health, .. } = self.targets[index];
        if attempt.verdict != Verdict::Retryable {
            for target in self.targets.iter_mut().filter(|target| target.id != id) {
                (target.may_be_owed, target.look_at) = (true, None);
            }
        }
        // Who holds the one table does not keep the rows of the other from being written down.
        let (queued, fired): (Vec<Item>, Vec<Item>) = items.into_iter().partition(Item::is_queued);
        for items in [fired, queued].into_iter().filter(|items| !items.is_empty()) {
            let outcome = Outcome {
                target: id,
                others: self.others(id),
                items,
                attempt: attempt.clone(),
                next_at,
                failures: health.failures,
                not_before: health.not_before,
            };
            if outcome.attempt.verdict == Verdict::Delivered {
                let response = outcome.attempt.code.map_or_else(String::new, |code| format!("HTTP {code}"));
                let arrived = outcome.incidents().into_iter();
                self.arrived.extend(arrived.map(|incident_id| (incident_id, response.clone())));
            }
            // For whoever looks; nothing hangs on it.
            db::transaction_within(PATIENCE, || outcome.note())?;
            if let Written::Some(mut left) | Written::Nothing(mut left) =
                Self::write_down(outcome, &[false, true])?
                && left.must_be_settled()
            {
                left.shed();
                self.unsettled.push(left);
                self.settle_at.get_or_insert(Instant::now() + LATER);
            }
        }
        Ok(())
    }

    /// When what was not taken may be tried again, by whichever target is first.
    fn soonest(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.targets.iter().map(|target| target.health.not_before.unwrap_or(now)).min().unwrap_or(now)
    }

    /// Writes down what can be, where nobody holds the table for long: without a look at who holds what, which is the rule, and then
    /// around it.
    fn write_down(outcome: Outcome, ways: &[bool]) -> Result<Written> {
        process::show_activity("costsim: settling alerts");
        for &is_contended in ways {
            let now = clock::now();
            let left = db::transaction_within(PATIENCE, || outcome.settle(now, is_contended))?;
            if let Some(left) = left {
                return Ok(outcome.keep(&left).map_or(Written::All, Written::Some));
            }
        }
        Ok(Written::Nothing(outcome))
    }

    /// Writes down what could not be written before.
    fn settle_what_waits(&mut self) -> Result<()> {
        if self.settle_at.is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        let mut left: Vec<Outcome> = Vec::new();
        let mut is_held = [false; 2];
        for outcome in std::mem::take(&mut self.unsettled) {
            // A table that is somebody's for one is so for the rest.
            let table = usize::from(outcome.is_queued());
            if is_held[table] {
                left.push(outcome);
                continue;
            }
            let id = outcome.target;
            // It may have looked meanwhile, and passed these by.
            for target in &mut self.targets {
                target.look_at = None;
                target.may_be_owed |= target.id != id;
            }
            match Self::write_down(outcome, &[true])? {
                Written::All => {}
                Written::Some(outcome) => left.push(outcome),
                Written::Nothing(outcome) => {
                    left.push(outcome);
                    is_held[table] = true;
                }
            }
        }
        self.settle_at = (!left.is_empty()).then(|| Instant::now() + LATER);
        self.unsettled = left;
        Ok(())
    }

    /// The targets but one.
    fn others(&self, id: i32) -> Vec<i32> {
        self.targets.iter().map(|target| target.id).filter(|&other| other != id).collect()
    }

    /// Whether so much waits to be written down that nothing more may be sent: somebody holds the whole table.
    fn is_choked(&self) -> bool {
        self.unsettled.iter().map(|outcome| outcome.items.len()).sum::<usize>() >= MOST_UNSETTLED
    }

    /// When there is something to do, if nobody wakes the worker.
    fn next_look(&self) -> Option<DateTime<Utc>> {
        // Choked, it only waits for what it can write down.
        let looks = self.targets.iter().filter_map(Target::next_look).filter(|_| !self.is_choked());
        let now = Instant::now();
        let marks = if self.arrived.is_empty() { None } else { Some(self.mark_at.unwrap_or(now)) };
        let chores = [self.settle_at, self.debts_at, self.hurry_at, marks].into_iter().flatten();
        let chore = chores.min().and_then(|at| TimeDelta::from_std(at.saturating_duration_since(now)).ok());
        looks.chain(chore.map(|pause| clock::now() + pause)).min()
    }

    /// Notes on the incidents that their alert has arrived, each in a transaction of its own and after the alerts were settled: whoever
    /// works on an incident locks it first and its alert second, and nobody may wait for the other way round. One that is locked
    /// is left for the next round.
    fn mark_incidents(&mut self) -> Result<()> {
        let some: Vec<String> = self.arrived.keys().take(MARKED_AT_ONCE).cloned().collect();
        for incident_id in some {
            let Some(response) = self.arrived.remove(&incident_id) else { continue };
            let mark = || {
                db::catch(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, || {
                    breaker::mark_alerted(&incident_id, &response)
                })
            };
            match db::transaction_within(PATIENCE, || Ok(db::subtransaction(mark)))? {
                Some(Ok(Some(true))) => {}
                Some(Ok(Some(false))) => {
                    self.arrived.insert(incident_id, response);
                    self.mark_at = Some(Instant::now() + LATER);
                }
                Some(Ok(None)) | None => {
                    // The table is somebody's: it would be for the rest too.
                    self.arrived.insert(incident_id, response);
                    self.mark_at = Some(Instant::now() + LATER);
                    break;
                }
                // An incident that cannot be marked must not keep others from being told.
                Some(Err(error)) => {
                    pgrx::warning!("incident {incident_id} was not marked as alerted: {error:?}");
                }
            }
        }
        Ok(())
    }
}

/// The pause of a worker that nobody wakes.
pub fn poll() -> Duration {
    guc::worker_poll_interval().to_std().unwrap_or(Duration::from_secs(30))
}

/// Why the extension's tables may not be what this library takes them for.
fn version_trouble() -> Result<Option<String>> {
    const OURS: &str = env!("CARGO_PKG_VERSION");
    let installed = db::transaction(db::installed_version)?.ok_or(Error::NotInstalled)?;
    Ok((installed != OURS).then(|| {
        format!(
            "extension has version {installed}, the library {OURS}: run ALTER EXTENSION costsim_pg UPDATE"
        )
    }))
}

fn attempt(answer: Answer) -> Attempt {
    match answer {
        Answer::Status { code, body, retry_after } => {
            let verdict = alertmanager::verdict(code);
            Attempt {
                verdict,
                code: Some(code),
                error: (verdict != Verdict::Delivered).then(|| alertmanager::error_text(code, &body, &[])),
                asked: retry_after.and_then(|pause| TimeDelta::from_std(pause).ok()),
            }
        }
        Answer::Failed(error) => {
            Attempt { verdict: Verdict::Retryable, code: None, error: Some(error), asked: None }
        }
    }
}
