//! What has become of requests is written down: at once, or when whoever holds the rows lets them go.

use std::time::Instant;

use chrono::{DateTime, Utc};
use costsim_core::alertmanager::Verdict;
use pgrx::prelude::PgSqlErrorCode;

use super::{Delivery, LATER, PATIENCE};
use crate::alert::outbox::{Attempt, Item, Key, Outcome};
use crate::error::Result;
use crate::worker::process;
use crate::worker::target::Target;
use crate::{breaker, clock, db};

/// Rows that are remembered because they cannot be written down.
const MOST_UNSETTLED: usize = 10_000;

/// Incidents that are marked at once.
const MARKED_AT_ONCE: usize = 50;

/// What has become of an outcome that was to be written down.
enum Written {
    All,
    /// This is left: somebody holds its rows.
    Some(Outcome),
    /// All of it is left: somebody holds the table.
    Nothing(Outcome),
}

impl Delivery {
    /// A row that can never be sent, or was refused by itself: it fails. A fired alert is told again later, for what is wrong with
    /// it may be the receiver.
    pub(super) fn settle_alone(
        &mut self,
        index: usize,
        item: Item,
        attempt: Attempt,
        now: DateTime<Utc>,
    ) -> Result<()> {
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
    pub(super) fn settle(
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
    pub(super) fn soonest(&self, now: DateTime<Utc>) -> DateTime<Utc> {
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
    pub(super) fn settle_what_waits(&mut self) -> Result<()> {
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
    pub(super) fn is_choked(&self) -> bool {
        self.unsettled.iter().map(|outcome| outcome.items.len()).sum::<usize>() >= MOST_UNSETTLED
    }

    /// Notes on the incidents that their alert has arrived, each in a transaction of its own and after the alerts were settled: whoever
    /// works on an incident locks it first and its alert second, and nobody may wait for the other way round. One that is locked
    /// is left for the next round.
    pub(super) fn mark_incidents(&mut self) -> Result<()> {
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
