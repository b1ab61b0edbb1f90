//! Writing once: one row per tenant, variant and input hash among the rows written this way, whoever writes at the same time.
//!
//! A unique index decides. What is there already is looked up first, so that a repeat costs a look and no id. What somebody else inserts
//! meanwhile is waited for: when that commits its row is found by the next look, and when it rolls back ours goes in. Under a snapshot
//! that lasts, the other's row cannot be answered, and the server raises 40001.

use std::collections::{BTreeMap, HashSet};

use super::record::Record;
use super::store;
use crate::convert::Jsonb;
use crate::error::{Error, Result};

/// How often one may be overtaken: each round somebody else's row came, and went again before it could be found.
const ROUNDS: u32 = 100;

/// What became of a record.
#[derive(Clone, Copy)]
pub struct Written {
    pub id: i64,
    /// Or it was there.
    pub is_new: bool,
}

/// How the rows of records are found that are there already.
pub type Look = fn(&[&Record<'_>]) -> Result<Vec<Option<i64>>>;

/// Writes one record, unless it is there.
pub fn write(record: &Record<'_>, payload: Option<Jsonb>) -> Result<Written> {
    for _ in 0..ROUNDS {
        if let Some((id, is_new)) = store::write_once(record, payload)? {
            return Ok(Written { id, is_new });
        }
    }
    Err(overtaken())
}

/// Writes those records that are not there, of several with the same key the first: what became of each, in their order.
pub fn write_all(records: &[&Record<'_>], look: Look) -> Result<Vec<Written>> {
    // In the order of keys, not of records: two batches that share keys would otherwise wait for each other, each with what the other needs.
    let mut open: BTreeMap<[&str; 3], Vec<usize>> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        open.entry(record.key()).or_default().push(index);
    }
    let mut open: Vec<Vec<usize>> = open.into_values().collect();
    let mut written = vec![Written { id: 0, is_new: false }; records.len()];
    let mut settle = |group: &[usize], id: i64, is_new: bool| {
        for (nth, &index) in group.iter().enumerate() {
            written[index] = Written { id, is_new: is_new && nth == 0 };
        }
    };
    let firsts = |groups: &[Vec<usize>]| groups.iter().map(|group| records[group[0]]).collect::<Vec<_>>();

    let mut inserted: HashSet<i64> = HashSet::new();
    for _ in 0..ROUNDS {
        let known = look(&firsts(&open))?;
        let mut unknown = Vec::new();
        for (group, known) in open.into_iter().zip(known) {
            match known {
                Some(id) => settle(&group, id, inserted.contains(&id)),
                None => unknown.push(group),
            }
        }
        let ids = if unknown.is_empty() { Vec::new() } else { store::insert(&firsts(&unknown), true)? };
        if ids.len() == unknown.len() {
            for (group, id) in unknown.iter().zip(ids) {
                settle(group, id, true);
            }
            return Ok(written);
        }
        // Which of them went in, the next look tells.
        inserted.extend(ids);
        open = unknown;
    }
    Err(overtaken())
}

fn overtaken() -> Error {
    Error::Unsupported {
        what: "a row was neither inserted nor found",
        hint: "A policy hides the row that is there, or a trigger keeps rows out: then it cannot be written once.",
    }
}
