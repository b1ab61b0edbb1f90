//! Recording: each request once per tenant, whoever else records it, and within hard limits where that is asked for.
//!
//! A unique index decides who is first. What somebody else is just writing is waited for: when that commits its record is found by the next
//! look, and when it rolls back ours goes in. With enforcement the budgets are locked before anything is looked at, so what the gate was told
//! of holds until this transaction ends.

use std::collections::{BTreeMap, HashSet};

use rust_decimal::Decimal;

use super::record::{ANONYMOUS, Batch, Key, Record, UNCLASSIFIED};
use super::store::{self, Given, Stored, Written};
use crate::budget::{Gate, Labels, Refusal};
use crate::error::{Error, Result};

/// How often one may be overtaken: each round somebody else's record came, and went again before it could be found.
const ROUNDS: u32 = 100;

/// What became of a record.
#[derive(Clone, Debug)]
pub enum Outcome {
    Recorded(Stored),
    /// The record that was there already.
    Duplicate(Stored),
    Refused {
        feature_tag: Option<String>,
        budget_id: i64,
        reason: String,
    },
}

/// Writes one record.
pub fn one(record: &Record<'_>, is_enforced: bool) -> Result<Outcome> {
    let key =
        Key { tenant_id: record.tenant_id.as_bytes(), request_id: record.request_id.map(str::as_bytes) };
    let look = || store::known(&[key]).map(|mut known| known.pop().flatten());
    let given = if is_enforced {
        let given = store::given(record)?;
        let labels = labels(&given, record.user_id, record.model)?;
        let mut gate = Gate::open(record.tenant_id, &[labels])?;
        if let Some(known) = look()? {
            return Ok(Outcome::Duplicate(known));
        }
        if let Some(Refusal { budget_id, reason }) = gate.admit(0, money(&given.cost)?)? {
            return Ok(Outcome::Refused { feature_tag: given.feature_tag, budget_id, reason });
        }
        Some(given)
    } else {
        None
    };
    for _ in 0..ROUNDS {
        if let Some(stored) = store::write(record, given.as_ref())? {
            return Ok(Outcome::Recorded(stored));
        }
        if let Some(stored) = look()? {
            return Ok(Outcome::Duplicate(stored));
        }
    }
    Err(overtaken())
}

/// Writes the records of a batch: what became of each, in their order.
pub fn batch(batch: &Batch<'_>, is_enforced: bool) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; batch.keys.len()];
    if is_enforced {
        enforce(batch, &mut outcomes)?;
    } else {
        let order = batch.order();
        // Nearly every batch is new.
        let new = if batch.repeats_itself(&order) { None } else { store::write_new_batch(batch.document)? };
        let written = match new {
            Some(written) => written,
            None => store::write_batch(batch.document)?,
        };
        let open = settle(batch, order, written, &mut outcomes)?;
        if !open.is_empty() {
            let open = answer_known(batch, open, &mut outcomes)?;
            if !open.is_empty() {
                let given = store::given_batch(batch.document)?;
                insist(batch, open, |place| given[place].given.feature_tag.as_deref(), &mut outcomes)?;
            }
        }
    }
    let all: Option<Vec<Outcome>> = outcomes.into_iter().collect();
    all.ok_or_else(|| Error::Internal("a record of the batch is unaccounted for".into()))
}

/// The same within hard limits. What is known already costs nothing, and what a batch has had accepted counts for the rest of it.
fn enforce(batch: &Batch<'_>, outcomes: &mut [Option<Outcome>]) -> Result<()> {
    let given = store::given_batch(batch.document)?;
    let mut by_tenant: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, record) in given.iter().enumerate() {
        by_tenant.entry(&record.tenant_id).or_default().push(place);
    }
    // All budgets are locked before anything is looked at.
    let mut gates = Vec::new();
    for (tenant_id, places) in by_tenant {
        let labels = places
            .iter()
            .map(|&place| {
                let record = &given[place];
                labels(&record.given, record.user_id.as_deref(), &record.model)
            })
            .collect::<Result<Vec<_>>>()?;
        gates.push((Gate::open(tenant_id, &labels)?, places));
    }
    let known = store::known(&batch.keys)?;
    let (mut admitted, mut requests) = (Vec::new(), HashSet::new());
    for (gate, places) in &mut gates {
        for (index, &place) in places.iter().enumerate() {
            let request = batch.keys[place].request_id;
            let tenant_id = batch.keys[place].tenant_id;
            if let Some(stored) = &known[place] {
                outcomes[place] = Some(Outcome::Duplicate(stored.clone()));
            } else if request.is_some_and(|request| requests.contains(&(tenant_id, request))) {
                // The first of them will be there.
                admitted.push(place);
            } else if let Some(Refusal { budget_id, reason }) =
                gate.admit(index, money(&given[place].given.cost)?)?
            {
                let feature_tag = given[place].given.feature_tag.clone();
                outcomes[place] = Some(Outcome::Refused { feature_tag, budget_id, reason });
            } else {
                requests.extend(request.map(|request| (tenant_id, request)));
                admitted.push(place);
            }
        }
    }
    insist(batch, admitted, |place| given[place].given.feature_tag.as_deref(), outcomes)
}

/// Writes the records at these places until each is written or found.
fn insist<'g>(
    batch: &Batch<'_>,
    mut open: Vec<usize>,
    tag: impl Fn(usize) -> Option<&'g str>,
    outcomes: &mut [Option<Outcome>],
) -> Result<()> {
    for _ in 0..ROUNDS {
        if open.is_empty() {
            return Ok(());
        }
        let tags = open.iter().map(|&place| tag(place)).collect();
        let written = store::write_some(batch.document, &open, tags)?;
        let is_open: HashSet<usize> = open.into_iter().collect();
        let order = batch.order().into_iter().filter(|place| is_open.contains(place)).collect();
        let rest = settle(batch, order, written, outcomes)?;
        open = answer_known(batch, rest, outcomes)?;
    }
    if open.is_empty() { Ok(()) } else { Err(overtaken()) }
}

/// Says of what was written whose record it is: both are in one order. Answers the places that nothing was written for.
fn settle(
    batch: &Batch<'_>,
    order: Vec<usize>,
    written: Vec<Written>,
    outcomes: &mut [Option<Outcome>],
) -> Result<Vec<usize>> {
    let is_whole = written.len() == order.len();
    let mut written = written.into_iter().peekable();
    let mut open = Vec::new();
    for place in order {
        let key = &batch.keys[place];
        let is_its_own = |row: &Written| {
            is_whole
                || (row.tenant_id.as_bytes() == key.tenant_id
                    && row.request_id.as_ref().map(String::as_bytes) == key.request_id)
        };
        match written.next_if(is_its_own) {
            Some(row) => outcomes[place] = Some(Outcome::Recorded(row.stored)),
            None => open.push(place),
        }
    }
    match written.next() {
        None => Ok(open),
        Some(_) => Err(Error::Internal("a record that nobody has given".into())),
    }
}

/// Answers those that are there, and says which are not.
fn answer_known(batch: &Batch<'_>, open: Vec<usize>, outcomes: &mut [Option<Outcome>]) -> Result<Vec<usize>> {
    if open.is_empty() {
        return Ok(open);
    }
    let keys: Vec<Key<'_>> = open.iter().map(|&place| batch.keys[place]).collect();
    let mut rest = Vec::new();
    for (place, known) in open.into_iter().zip(store::known(&keys)?) {
        match known {
            Some(stored) => outcomes[place] = Some(Outcome::Duplicate(stored)),
            None => rest.push(place),
        }
    }
    Ok(rest)
}

fn labels<'a>(given: &'a Given, user_id: Option<&'a str>, model: &'a str) -> Result<Labels<'a>> {
    Ok(Labels {
        feature: given.feature_tag.as_deref().unwrap_or(UNCLASSIFIED),
        user: user_id.unwrap_or(ANONYMOUS),
        model,
        at: store::moment(given.at)?,
    })
}

/// A cost as it will be stored.
fn money(text: &str) -> Result<Decimal> {
    text.parse().map_err(|_| Error::Internal(format!("no decimal number: {text}")))
}

fn overtaken() -> Error {
    Error::Unsupported {
        what: "a cost record was neither inserted nor found",
        hint: "Look for a trigger, a rule or a policy on costsim_cost_records that hides rows.",
    }
}
