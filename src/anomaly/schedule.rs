//! What the worker does: looks at tenants with something new, a few in each transaction.
//!
//! A look that fails is tried again with half as many tenants, down to the one that it fails for; that one waits for the next round, and the others
//! do not wait for it. Whom somebody else holds, an operator or whoever folds, is left out, and stays due.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::detect::{self, Telling};
use super::{DETECTOR, due};
use crate::error::{Error, Result};
use crate::{clock, db, lock, turn};

/// So many tenants in a row for whom a look fails in the same way: it is not for them that it does.
const TOO_MANY: u32 = 10;

/// What a look came to.
pub enum Outcome {
    Looked,
    /// Nobody is due any more.
    Nothing,
    /// Somebody else is looking, or leads the lock.
    Held,
}

/// What follows from a look that failed.
pub enum Failure {
    /// It is tried again with fewer.
    Fewer,
    /// One tenant cannot be looked at, and whether that is news.
    Of(String, bool),
    /// Something else is wrong.
    General,
}

/// The way through all tenants that are due.
pub struct Round {
    /// The last one that was looked at.
    after: String,
    /// So many are looked at next.
    most: i32,
    /// How many have been.
    pub looked_at: i64,
    /// Whether one could not be.
    pub has_failed: bool,
    /// Why the last look failed, and for how many tenants in a row.
    series: Option<(String, u32)>,
    /// Tenants for whom it failed the last time, and why. They are looked at alone.
    troubles: HashMap<String, String>,
}

impl Round {
    pub fn new() -> Self {
        Self {
            after: String::new(),
            most: detect::TENANTS_AT_ONCE,
            looked_at: 0,
            has_failed: false,
            series: None,
            troubles: HashMap::new(),
        }
    }

    /// Looks at the next tenants, and says in `chunk` which these are.
    ///
    /// Whatever is folded or recorded from now on makes its tenant due again, for the mark is taken away before the series are read.
    pub fn look(&self, chunk: &mut Vec<String>) -> Result<Outcome> {
        db::as_owner(|| {
            let mut tenants = due::due(&self.after, self.most)?;
            let alone = tenants.iter().position(|tenant| self.troubles.contains_key(tenant));
            tenants.truncate(alone.map_or(tenants.len(), |place| place.max(1)));
            if tenants.is_empty() {
                return Ok(Outcome::Nothing);
            }
            if !lock::try_be_the_only_detector() {
                return Ok(Outcome::Held);
            }
            match turn::take(DETECTOR) {
                Ok(()) => {}
                Err(Error::LockHeld { .. }) => return Ok(Outcome::Held),
                Err(error) => return Err(error),
            }
            chunk.clone_from(&tenants);
            look_at(&tenants)?;
            Ok(Outcome::Looked)
        })
    }

    /// These have been looked at.
    pub fn go_on(&mut self, chunk: &[String]) {
        for tenant in chunk {
            self.troubles.remove(tenant);
        }
        self.looked_at += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        self.series = None;
        self.step_over(chunk);
        self.most = self.most.saturating_mul(2).min(detect::TENANTS_AT_ONCE);
    }

    /// A look at these has failed.
    pub fn fail(&mut self, chunk: &[String], why: &str) -> Failure {
        let [tenant] = chunk else {
            if chunk.is_empty() {
                return Failure::General;
            }
            self.most = i32::try_from(chunk.len() / 2).unwrap_or(1).max(1);
            return Failure::Fewer;
        };
        self.step_over(chunk);
        self.has_failed = true;
        let count = match self.series.take() {
            Some((before, count)) if before == why => count + 1,
            _ => 1,
        };
        let is_new = self.troubles.insert(tenant.clone(), why.to_owned()).as_deref() != Some(why);
        if count >= TOO_MANY {
            return Failure::General;
        }
        self.series = Some((why.to_owned(), count));
        Failure::Of(tenant.clone(), is_new)
    }

    /// The next round begins with the first tenant.
    pub fn begin_anew(&mut self) {
        let troubles = std::mem::take(&mut self.troubles);
        *self = Self { troubles, ..Self::new() };
    }

    fn step_over(&mut self, chunk: &[String]) {
        if let Some(last) = chunk.last() {
            self.after.clone_from(last);
        }
    }
}

fn look_at(tenants: &[String]) -> Result<()> {
    let now = clock::now();
    let held = due::hold_free(tenants, now)?;
    let tenants: Vec<String> = held.iter().map(|held| held.tenant.clone()).collect();
    if tenants.is_empty() {
        return Ok(());
    }
    due::take_up(&tenants, now)?;
    let mut yesterdays: BTreeMap<DateTime<Utc>, Vec<String>> = BTreeMap::new();
    for held in held {
        if let Some(end) = held.yesterday {
            yesterdays.entry(end).or_default().push(held.tenant);
        }
    }
    // A day may have begun since they were last looked at, and spend of the day before may come late.
    for (end, tenants) in yesterdays {
        detect::detect(&tenants, end, Telling::OfAll)?;
    }
    detect::detect(&tenants, now, Telling::OfAll).map(drop)
}
