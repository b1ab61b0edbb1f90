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

mod books;
mod settings;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::alertmanager::{self, Verdict};

use super::http::{Answer, Client};
use super::process;
use super::shared::State;
use super::target::Target;
use crate::alert::outbox::{self, Attempt, Item, Key, Order, Outcome};
use crate::alert::store::owed;
use crate::error::Result;
use crate::{clock, db, guc};

/// How long requests run before interrupts, and other targets, are looked at again.
const SLICE: Duration = Duration::from_millis(5);

/// How long the worker waits for somebody's lock on a table or a row: it comes back later.
const PATIENCE: TimeDelta = TimeDelta::milliseconds(200);

/// When it comes back.
const LATER: Duration = Duration::from_secs(1);

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
    /// What was found then.
    outdated: Option<String>,
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
        (state, trouble.or_else(|| self.outdated.clone()))
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
            let due = db::transaction_within(PATIENCE, || owed::next_due(now))?;
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
}

/// The pause of a worker that nobody wakes.
pub fn poll() -> Duration {
    guc::worker_poll_interval().to_std().unwrap_or(Duration::from_secs(30))
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
