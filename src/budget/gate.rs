//! Which records may be written under the hard limits that cover them.

use std::collections::HashSet;
use std::hash::Hash;

use chrono::{DateTime, Utc};
use costsim_core::budget::Ledger;
use pgrx::prelude::*;
use rust_decimal::Decimal;
use rustc_hash::FxHashMap;

use super::store::{self, Held, Names, Spent};
use crate::access::scope;
use crate::convert;
use crate::db;
use crate::error::Result;

/// What a record is counted under.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    pub feature: &'a str,
    pub user: &'a str,
    pub model: &'a str,
    pub at: DateTime<Utc>,
}

/// Why a record is not written.
#[derive(Debug)]
pub struct Refusal {
    pub budget_id: i64,
    pub reason: String,
}

/// The limits that hold for records of one tenant, held against everybody else who enforces them.
pub struct Gate {
    ledger: Ledger,
    /// The limits that cover each pair of a budget and a quarter of an hour.
    limits: Vec<Vec<usize>>,
    /// The pairs of each record; empty where no hard budget covers any.
    pairs: Vec<Vec<usize>>,
}

impl Gate {
    /// Waits for the hard budgets that cover these records, holds them, and looks what is spent of them: what is committed, and what this
    /// transaction has written. Records are asked for later by their places.
    pub fn open(tenant_id: &str, records: &[Labels<'_>]) -> Result<Self> {
        let names = Names {
            features: distinct(records.iter().map(|record| record.feature)),
            users: distinct(records.iter().map(|record| record.user)),
            models: distinct(records.iter().map(|record| record.model)),
        };
        // What is spent of another tenant's limits is not told by a refusal.
        scope::require(c"costsim_cost_records", Some(tenant_id))?;
        db::as_owner(|| {
            loop {
                let held = store::lock(tenant_id, &names)?;
                if held.is_empty() {
                    return Ok(Self { ledger: Ledger::default(), limits: Vec::new(), pairs: Vec::new() });
                }
                let asked = Asked::new(records, &held)?;
                let spent = store::spent(tenant_id, &names, asked.budgets, asked.quarters, &held)?;
                // Somebody has made another budget, or a hard one of a soft one, while this one was waited for.
                if !spent.is_incomplete {
                    return Ok(Self::new(spent, asked.pairs, asked.count));
                }
                pgrx::check_for_interrupts!();
            }
        })
    }

    fn new(spent: Spent, pairs: Vec<Vec<usize>>, count: usize) -> Self {
        let mut places = FxHashMap::default();
        let mut ledger = Vec::new();
        let mut limits = vec![Vec::new(); count];
        for found in spent.found {
            let key = (found.limit.budget_id, found.limit.period, found.limit.start.clone());
            let place = *places.entry(key).or_insert_with(|| {
                ledger.push(found.limit);
                ledger.len() - 1
            });
            if let Some(limits) = limits.get_mut(found.pair) {
                limits.push(place);
            }
        }
        Self { ledger: Ledger::new(ledger), limits, pairs }
    }

    /// Counts the record of that place, or says why it may not be written.
    pub fn admit(&mut self, index: usize, cost: Decimal) -> Result<Option<Refusal>> {
        let Some(pairs) = self.pairs.get(index) else { return Ok(None) };
        let mut places: Vec<usize> =
            pairs.iter().filter_map(|&pair| self.limits.get(pair)).flatten().copied().collect();
        // Limits stand in the ledger by the ids of their budgets.
        places.sort_unstable();
        Ok(self
            .ledger
            .admit(&places, cost)
            .err()
            .map(|refusal| Refusal { budget_id: refusal.limit.budget_id, reason: refusal.to_string() }))
    }
}

/// What is asked of the budgets: each with the quarters of an hour in which it covers a record.
struct Asked {
    budgets: Vec<i64>,
    quarters: Vec<TimestampWithTimeZone>,
    /// How many pairs there are.
    count: usize,
    /// The pairs of each record.
    pairs: Vec<Vec<usize>>,
}

/// A quarter of an hour in microseconds: the days of every zone are made of whole ones.
const QUARTER: i64 = 15 * 60 * 1_000_000;

impl Asked {
    fn new(records: &[Labels<'_>], held: &[Held]) -> Result<Self> {
        let by_entity: FxHashMap<(&str, &str), i64> = held
            .iter()
            .map(|budget| ((budget.budget_type.as_str(), budget.entity_id.as_str()), budget.id))
            .collect();
        let mut asked = Self {
            budgets: Vec::new(),
            quarters: Vec::new(),
            count: 0,
            pairs: Vec::with_capacity(records.len()),
        };
        let mut known = FxHashMap::default();
        for record in records {
            let micros = convert::micros(record.at);
            let quarter = micros - micros.rem_euclid(QUARTER);
            let entities =
                [("tenant", ""), ("feature", record.feature), ("user", record.user), ("model", record.model)];
            let mut pairs = Vec::new();
            for id in entities.iter().filter_map(|entity| by_entity.get(entity)) {
                let pair = match known.get(&(*id, quarter)) {
                    Some(&pair) => pair,
                    None => {
                        asked.budgets.push(*id);
                        asked.quarters.push(convert::timestamp(quarter)?);
                        known.insert((*id, quarter), asked.count);
                        asked.count += 1;
                        asked.count - 1
                    }
                };
                pairs.push(pair);
            }
            asked.pairs.push(pairs);
        }
        Ok(asked)
    }
}

/// Each once, in the order in which they come.
fn distinct<T: Eq + Hash + Copy>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    values.filter(|value| seen.insert(*value)).collect()
}
