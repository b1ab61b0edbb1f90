//! A session asks to lead, at once or in the lock's queue.
//!
//! ```text
//!   the lock is free ---> change lock ---> latest term over? ---> commits of it done? ---> row, token: leads
//!         |                   | busy             | a lease lives
//!         | busy              v                  v
//!         +---> overdue? evict it     refused, and the lock goes back at once
//!                  | no
//!                  v
//!               refused; who waits, waits in line, and the first in line in the lock's own queue
//! ```

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::lease::{self, Asked, Mode};
use pgrx::prelude::*;

use crate::error::{Error, Result};
use crate::{clock, db, lock};

use super::fence;
use super::held::{self, Term};
use super::overdue::{self, Eviction};
use super::store::{self, Ended, NewTerm};

/// How often the first in line looks whether a lease was given back: no lock tells.
const LEASE_LOOK: TimeDelta = TimeDelta::milliseconds(100);

/// The least time a session that is told to end is given for it, however short the wait.
const SHORTEST_PATIENCE: TimeDelta = TimeDelta::seconds(1);

/// How long a lock may be out of the hands of whoever it was cleared for.
const A_MOMENT: TimeDelta = TimeDelta::milliseconds(10);

fn patience_until(deadline: DateTime<Utc>) -> TimeDelta {
    (deadline - clock::now()).clamp(SHORTEST_PATIENCE, overdue::PATIENCE)
}

/// How often the first in line looks after a leader that has not promised anything: seldom enough for the server to find a deadlock
/// in between.
fn look_again() -> TimeDelta {
    (db::deadlock_timeout() * 2).max(TimeDelta::seconds(1))
}

/// Who asks, for what.
pub struct Candidate<'a> {
    pub lock_id: i64,
    pub node_id: Option<&'a str>,
    pub lease: Option<Interval>,
}

/// Why a candidate does not lead now.
#[derive(Clone, Copy)]
enum Obstacle {
    /// A session holds the lock; its lease, if it has one, is over then.
    Session { due: Option<DateTime<Utc>> },
    /// Somebody leads by a lease alone.
    Lease { until: DateTime<Utc> },
    /// A transaction is just changing the term.
    Change,
}

impl Candidate<'_> {
    /// Whether this session leads now. Waits for nobody who leads.
    pub fn ask(&self) -> Result<bool> {
        match held::term(self.lock_id) {
            Some(term) => self.ask_again(&term),
            None => {
                db::require_writable(c"costsim_try_leader()");
                Ok(self.try_to_lead(overdue::PATIENCE)?.is_none())
            }
        }
    }

    /// Whether this session leads by the end of `timeout`.
    pub fn wait(&self, timeout: TimeDelta) -> Result<bool> {
        if let Some(term) = held::term(self.lock_id) {
            return self.ask_again(&term);
        }
        db::require_writable(c"costsim_wait_leader()");
        let deadline = clock::now() + timeout;
        if self.try_to_lead(patience_until(deadline))?.is_none() {
            return Ok(true);
        }
        let left = deadline - clock::now();
        if left <= TimeDelta::zero() || !db::wait_at_most(left, || lock::wait_in_line(self.lock_id))? {
            return Ok(false);
        }
        let leads = self.wait_as_the_first(deadline)?;
        lock::leave_line(self.lock_id);
        Ok(leads)
    }

    /// The first in line waits for the lock itself, and looks after its leader: a lease may be over, or may have come meanwhile. So it
    /// leaves the lock's queue now and then; the line keeps the order.
    fn wait_as_the_first(&self, deadline: DateTime<Utc>) -> Result<bool> {
        while let Some(obstacle) = self.try_to_lead(patience_until(deadline))? {
            let now = clock::now();
            let left = deadline - now;
            if left <= TimeDelta::zero() {
                return Ok(false);
            }
            match obstacle {
                Obstacle::Session { due } => {
                    let next_look = match due {
                        Some(due) if due > now => look_again().min(due - now),
                        Some(_) | None => look_again(),
                    };
                    if held::wait_for_lock(self.lock_id, left.min(next_look))?
                        && self.lead_with_lock(Some(deadline), None)?.is_none()
                    {
                        return Ok(true);
                    }
                }
                Obstacle::Lease { until } => clock::pause(left.min(until - now).min(LEASE_LOOK)),
                Obstacle::Change => {
                    if db::wait_at_most(left, || lock::wait_for_change(self.lock_id))? {
                        lock::give_up_change(self.lock_id);
                    }
                }
            }
        }
        Ok(true)
    }

    /// The session leads already: so it does for the same node, and a lease is renewed.
    fn ask_again(&self, term: &Term) -> Result<bool> {
        match self.node_id {
            Some(asking) if term.node_id.as_deref() != Some(asking) => {
                // A pooler has put two clients on this session. In a read-only transaction nobody is told.
                if !db::is_read_only() {
                    db::as_owner(|| self.note_refusal(term, asking))?;
                }
                Ok(false)
            }
            _ if self.lease.is_some() => {
                db::require_writable(c"costsim_try_leader()");
                db::as_owner(|| self.renew(term))
            }
            _ => Ok(true),
        }
    }

    fn note_refusal(&self, term: &Term, asking: &str) -> Result<()> {
        let reason = match term.node_id.as_deref() {
            Some(leading) => format!("the session leads as \"{leading}\""),
            None => "the session leads without a name".to_owned(),
        };
        store::note(self.lock_id, term.token, "refused_pooler", Some(asking), &reason)
    }

    fn renew(&self, term: &Term) -> Result<bool> {
        db::make_commit_durable();
        lock::wait_for_change(self.lock_id);
        let is_renewed = store::renew_term(self.lock_id, term.token, self.lease, clock::now())?.is_some();
        if is_renewed {
            lock::mark_leased(self.lock_id);
            held::note_change(self.lock_id);
        } else {
            // Somebody has deleted or replaced the row by hand: what is not on record is no term.
            held::end(self.lock_id);
        }
        Ok(is_renewed)
    }

    fn try_to_lead(&self, patience: TimeDelta) -> Result<Option<Obstacle>> {
        if held::try_lock(self.lock_id) {
            return db::as_owner(|| self.lead_with_lock(None, None));
        }
        if !lock::is_leased(self.lock_id) {
            return Ok(Some(Obstacle::Session { due: None }));
        }
        if let Some(due) = overdue::known_due(self.lock_id) {
            return Ok(Some(Obstacle::Session { due: Some(due) }));
        }
        db::as_owner(|| self.evict(patience))
    }

    fn evict(&self, patience: TimeDelta) -> Result<Option<Obstacle>> {
        match overdue::evict(self.lock_id, patience)? {
            Eviction::NotDue { due } => Ok(Some(Obstacle::Session { due })),
            // Somebody who has just asked in vain may have the lock for a moment.
            Eviction::Gone { token, is_evicted } if held::wait_for_lock(self.lock_id, A_MOMENT)? => {
                self.lead_with_lock(None, is_evicted.then_some(token))
            }
            Eviction::Gone { .. } => Ok(Some(Obstacle::Session { due: None })),
        }
    }

    /// Begins a term with the lock in hand, or gives it back. `deadline`: until when to wait for others that change the term; without
    /// one only commits in flight are waited for. `evicted`: the token of the term that was ended for this one.
    fn lead_with_lock(
        &self,
        deadline: Option<DateTime<Utc>>,
        evicted: Option<i64>,
    ) -> Result<Option<Obstacle>> {
        let lock_id = self.lock_id;
        let wait = |wait: fn(i64)| match deadline {
            Some(deadline) => db::wait_at_most(deadline - clock::now(), move || wait(lock_id)),
            None => {
                wait(lock_id);
                Ok(true)
            }
        };
        let may_change =
            if deadline.is_some() { wait(lock::wait_for_change)? } else { lock::try_change(lock_id) };
        if !may_change {
            held::give_up_lock(lock_id);
            return Ok(Some(Obstacle::Change));
        }
        let latest = store::latest(lock_id)?;
        let obstacle = match lease::ask(latest.as_ref(), None, false, super::now()) {
            Asked::Begin(ending) if wait(lock::wait_for_commits)? => {
                fence::settle(lock_id, false)?;
                let was_evicted = evicted.is_some() && evicted == latest.as_ref().map(|term| term.token);
                let new = NewTerm {
                    lock_id,
                    node_id: self.node_id,
                    mode: Mode::Session,
                    lease: self.lease,
                    token: super::next_token(lock_id, latest.as_ref())?,
                    // After all waits: every commit by an earlier term was before.
                    now: clock::now(),
                    before: if was_evicted {
                        Some(Ended::by_eviction(self.node_id))
                    } else {
                        ending.and_then(Ended::by_itself)
                    },
                };
                // A term that was led and then forgotten in a crash would give its token to somebody else.
                db::make_commit_durable();
                store::begin_term(&new)?;
                if self.lease.is_some() {
                    lock::mark_leased(lock_id);
                }
                held::begin(lock_id, Term { node_id: self.node_id.map(Into::into), token: new.token });
                return Ok(None);
            }
            Asked::Begin(_) => Obstacle::Change,
            Asked::Renew(_) | Asked::Refused => {
                let until = latest.and_then(|term| term.lease_until);
                Obstacle::Lease {
                    until: until.ok_or_else(|| Error::Internal("a lease without an end".into()))?,
                }
            }
        };
        lock::give_up_change(lock_id);
        held::give_up_lock(lock_id);
        Ok(Some(obstacle))
    }
}
