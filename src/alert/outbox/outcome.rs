//! What a request brought, and how it is written down.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::alertmanager::{self, Settlement, Verdict};

use super::item::{Item, Key, policy};
use super::split;
use crate::alert::store::settle::{self as store, Taker, Told};
use crate::alert::store::upkeep;
use crate::error::Result;
use crate::guc::{self, AlertPolicy};

/// What one attempt brought, for every item that was part of it. Its texts hold no secrets.
#[derive(Clone)]
pub struct Attempt {
    pub verdict: Verdict,
    pub code: Option<u16>,
    pub error: Option<String>,
    /// The receiver asked not to be tried sooner.
    pub asked: Option<TimeDelta>,
}

/// An attempt that is to be written down.
pub struct Outcome {
    pub target: i32,
    /// The other targets at that time.
    pub others: Vec<i32>,
    pub items: Vec<Item>,
    pub attempt: Attempt,
    /// When what was not taken may be tried again, by whichever target.
    pub next_at: DateTime<Utc>,
    /// The target's failures in a row, and when it is asked again.
    pub failures: u32,
    pub not_before: Option<DateTime<Utc>>,
}

impl Outcome {
    /// Writes down what became of the items: which of them are locked by somebody else, and left as they are.
    /// Whether there are such is only asked if `is_contended`.
    pub fn settle(&self, now: DateTime<Utc>, is_contended: bool) -> Result<HashSet<Key>> {
        let mut left = HashSet::new();
        if is_contended {
            let (queued, fired) = split(self.items.iter().map(|item| item.key));
            left.extend(store::lock_queued(queued)?.into_iter().map(Key::Queued));
            left.extend(store::lock_fired(fired)?.into_iter().map(Key::Fired));
        }
        let items: Vec<&Item> = self.items.iter().filter(|item| !left.contains(&item.key)).collect();
        let code = self.attempt.code.map(i32::from);
        if self.attempt.verdict == Verdict::Delivered {
            self.take(&items, now, code)?;
        } else {
            self.miss(&items, now, code)?;
        }
        Ok(left)
    }

    /// What is left of it, if anything, without what has been sent.
    pub fn keep(mut self, left: &HashSet<Key>) -> Option<Self> {
        self.items.retain(|item| left.contains(&item.key));
        self.shed();
        (!self.items.is_empty()).then_some(self)
    }

    /// Whether these are rows of the queue; fired alerts are settled apart from them.
    pub fn is_queued(&self) -> bool {
        self.items.first().is_some_and(Item::is_queued)
    }

    /// Gives up the texts, which have been sent.
    pub fn shed(&mut self) {
        for item in &mut self.items {
            item.shed();
        }
    }

    /// Writes down how the target fares.
    pub fn note(&self) -> Result<()> {
        let code = self.attempt.code.map(i32::from);
        match (self.attempt.verdict, self.not_before) {
            (Verdict::Delivered, _) => upkeep::note_success(self.target, self.items.len(), code),
            (Verdict::Permanent, _) if code.is_some() => upkeep::note_success(self.target, 0, code),
            (Verdict::Retryable, Some(next_at)) => {
                upkeep::note_failure(self.target, self.failures, next_at, self.attempt.error.as_deref(), code)
            }
            _ => Ok(()),
        }
    }

    /// Whether the items must not be sent again before this is written down. That an attempt failed may stay unsaid.
    pub fn must_be_settled(&self) -> bool {
        self.attempt.verdict != Verdict::Retryable
    }

    fn take(&self, items: &[&Item], now: DateTime<Utc>, code: Option<i32>) -> Result<()> {
        let needs_all = guc::alert_policy() == AlertPolicy::All;
        let taker = Taker { target: self.target, others: self.others.clone(), needs_all };
        let (mut queued, mut told, mut is_owed) = (Vec::new(), Vec::new(), false);
        for item in items {
            match (&item.key, &item.fired) {
                (Key::Fired(id), Some(firing)) => told.push(Told {
                    id: *id,
                    revision: firing.revision,
                    next_at: alertmanager::next_send(firing.liveness, now, guc::alert_resend_interval()),
                    ends_at: firing.ends_at,
                }),
                (key, _) => {
                    is_owed |= item.is_owed;
                    queued.push(key.id());
                }
            }
        }
        if !queued.is_empty() {
            store::take_queued(queued, &taker, !is_owed, code)?;
        }
        if !told.is_empty() {
            store::take_fired(&told, &taker, now, code)?;
        }
        Ok(())
    }

    fn miss(&self, items: &[&Item], now: DateTime<Utc>, code: Option<i32>) -> Result<()> {
        let (mut again, mut dead, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let (mut fired, mut fired_refused) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let is_permanent = self.attempt.verdict == Verdict::Permanent;
        for item in items {
            match (&item.key, &item.fired) {
                (Key::Fired(id), Some(firing)) => {
                    let list = match (item.is_owed, is_permanent) {
                        (false, _) => &mut fired,
                        (true, true) => &mut fired_refused,
                        (true, false) => continue,
                    };
                    list.0.push(*id);
                    list.1.push(firing.revision);
                }
                // What nobody can be sent fails for all, unless some have it.
                (key, _) if is_permanent && (code.is_some() || !item.is_pending) => refused.push(key.id()),
                // What another target has taken is none of this one's business.
                (_, _) if !item.is_pending => {}
                (key, _) => match self.judge(item) {
                    Settlement::Dead { .. } => dead.push(key.id()),
                    Settlement::Retry { .. } | Settlement::Sent { .. } => again.push(key.id()),
                },
            }
        }
        let miss = store::Miss { code, error: self.attempt.error.as_deref() };
        if !again.is_empty() {
            store::miss_queued(again, false, Some(self.next_at), &miss)?;
        }
        if !dead.is_empty() {
            store::miss_queued(dead, true, None, &miss)?;
        }
        if !refused.is_empty() {
            store::refuse_queued(refused, self.target, &self.others, &miss)?;
        }
        if !fired_refused.0.is_empty() {
            store::refuse_fired(fired_refused, self.target)?;
        }
        if !fired.0.is_empty() {
            store::miss_fired(fired, self.next_at, now, &miss)?;
        }
        Ok(())
    }

    /// What becomes of a row of the queue that was not taken.
    fn judge(&self, item: &Item) -> Settlement {
        let policy = policy(item.max_attempts);
        alertmanager::settle(&policy, self.attempt.verdict, item.attempts, item.age, fastrand::f64())
    }

    /// Incidents whose alert has arrived.
    pub fn incidents(&self) -> Vec<String> {
        if self.attempt.verdict != Verdict::Delivered {
            return Vec::new();
        }
        self.items.iter().filter_map(|item| item.incident_id.clone()).collect()
    }
}
