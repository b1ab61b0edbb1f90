//! A delivery: what a target is owed, how it is spelled for Alertmanager, what becomes of it.
//!
//! ```text
//!   read  ->  spell, seat  ->  POST  ->  judge  ->  settle
//! ```
//!
//! Nothing here opens a socket or a transaction; the worker does both, one after the other and never at once. It claims nothing: it
//! is the only deliverer of its database by a lock that it holds, and remembers what it has under way.

mod item;
mod outcome;

pub use item::{Item, Key, Label, body, ends_at, policy, spell_alert};
pub use outcome::{Attempt, Outcome};

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::alertmanager::{self, LINES};

use super::store::owed::{self as store, Wanted};
use crate::error::Result;
use crate::guc;

/// The most bytes in one request: what a worker holds in memory is a small multiple of it, whatever is queued.
const LONGEST_BODY: usize = 8 << 20;

/// So often a look that finds only what has to wait goes on behind it.
const LOOKS: usize = 8;

/// What a target is owed is forgotten after the retry window, but not sooner than this.
const SHORTEST_DEBT: TimeDelta = TimeDelta::hours(1);

/// What a target wants to read.
pub struct Order<'a> {
    pub target: i32,
    /// Whether others may have what this one has not.
    pub may_be_owed: bool,
    pub size: usize,
    pub turn: usize,
    /// What is under way already, or waits for something else.
    pub but: &'a HashSet<Key>,
    /// What is in flight, when this is read ahead: what is due of the queue is looked for behind it.
    pub behind: &'a [Item],
    /// Labels whose alerts have to wait, because an older one does.
    pub held: &'a HashSet<Label>,
}

/// What there is for a target.
pub struct Batch {
    pub items: Vec<Item>,
    /// Whether others have something that this one has not.
    pub is_owed: bool,
    /// Whether more may be waiting.
    pub has_more: bool,
}

/// Reads the next batch for a target.
pub fn read(order: &Order<'_>, now: DateTime<Utc>) -> Result<Batch> {
    let limit = i64::try_from(order.size).unwrap_or(i64::MAX);
    let window = guc::alert_retry_window().max(SHORTEST_DEBT);
    let since = now.checked_sub_signed(window).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let (mut but, mut held) = (order.but.clone(), order.held.clone());
    let mut behind = last_of(order.behind);
    let mut is_owed = false;
    for _ in 0..LOOKS {
        // What others have had first: it is older. What is in flight may have become such since.
        let mut wanted = Vec::with_capacity(2);
        if order.may_be_owed {
            let flying = order.behind.iter().map(|item| item.key);
            wanted.push((Wanted::Owed { to: order.target }, split(but.iter().copied().chain(flying))));
        }
        wanted.push((Wanted::Due { behind }, split(but.iter().copied())));
        let mut lines: [Vec<Item>; LINES] = Default::default();
        for (wanted, (queued_but, fired_but)) in wanted {
            for row in store::fired(wanted, limit, now, fired_but)? {
                let item = Item::of_fired(row, now);
                lines[item.line()].push(item);
            }
            for row in store::queued(wanted, limit, now, since, queued_but)? {
                let item = Item::of_queued(row, now);
                lines[item.line()].push(item);
            }
        }
        is_owed |= lines.iter().flatten().any(|item| item.is_owed);
        let found: usize = lines.iter().map(Vec::len).sum();
        let next = lines.iter().map(|line| last_of(line)).fold(behind, latest);
        // A fired alert goes when its turn comes; queued ones in their order, whoever else has them.
        for line in lines.iter_mut().filter(|line| line.iter().any(Item::is_queued)) {
            line.sort_by_key(|item| item.key.id());
        }
        let mut waiting = hold_back(&mut lines, &mut held);
        let known = waiting.len();
        let items = seat(lines, order, &mut held, &mut waiting)?;
        if !items.is_empty() || waiting.is_empty() {
            return Ok(Batch { has_more: found > items.len() || items.len() >= order.size, items, is_owed });
        }
        // Whatever was read has to wait; behind it may stand what need not. Unless it was seen only when it had a seat: then others
        // were read that have had none.
        if waiting.len() == known {
            behind = next;
        }
        but.extend(waiting);
    }
    Ok(Batch { items: Vec::new(), is_owed, has_more: true })
}

/// The numbers of the last rows of the queue among these, one for each priority.
fn last_of(items: &[Item]) -> [i64; 2] {
    let mut last = [i64::MIN; 2];
    for item in items.iter().filter(|item| item.is_passed_by()) {
        let last = &mut last[usize::from(item.priority != 1)];
        *last = item.key.id().max(*last);
    }
    last
}

fn latest(some: [i64; 2], others: [i64; 2]) -> [i64; 2] {
    [some[0].max(others[0]), some[1].max(others[1])]
}

fn split(keys: impl Iterator<Item = Key>) -> (Vec<i64>, Vec<i64>) {
    let (queued, fired): (Vec<Key>, Vec<Key>) = keys.partition(|key| matches!(key, Key::Queued(_)));
    (queued.into_iter().map(|key| key.id()).collect(), fired.into_iter().map(|key| key.id()).collect())
}

/// Takes out what must not overtake an older alert of the same labels: what of it would be read again. Its own labels are held from then
/// on.
fn hold_back(lines: &mut [Vec<Item>; LINES], held: &mut HashSet<Label>) -> HashSet<Key> {
    let mut out = HashSet::new();
    if held.is_empty() {
        return out;
    }
    for line in lines {
        line.retain(|item| {
            let must_wait = must_wait(item, held);
            if must_wait {
                out.insert(item.key);
            }
            !must_wait
        });
    }
    out
}

fn must_wait(item: &Item, held: &mut HashSet<Label>) -> bool {
    let labels = item.labels();
    let must_wait = labels.iter().any(|labels| held.contains(labels));
    if must_wait {
        held.extend(labels);
    }
    must_wait
}

/// As many items as one request may carry, at least one, in the order in which they go. What turns out to have to wait when it is
/// loaded is left out.
fn seat(
    mut lines: [Vec<Item>; LINES],
    order: &Order<'_>,
    held: &mut HashSet<Label>,
    waiting: &mut HashSet<Key>,
) -> Result<Vec<Item>> {
    let seats = alertmanager::seats(order.size, std::array::from_fn(|line| lines[line].len()), order.turn);
    let (mut items, mut bytes, mut alerts) = (Vec::new(), 0, 0);
    for (line, seats) in lines.iter_mut().zip(seats) {
        for mut item in line.drain(..).take(seats) {
            if item.load()? && !held.is_empty() && must_wait(&item, held) {
                waiting.insert(item.key);
                continue;
            }
            let (more_bytes, more_alerts) = item.size();
            let is_too_much = bytes + more_bytes > LONGEST_BODY || alerts + more_alerts > order.size;
            if is_too_much && !items.is_empty() {
                return Ok(items);
            }
            bytes += more_bytes;
            alerts += more_alerts;
            items.push(item);
        }
    }
    Ok(items)
}
