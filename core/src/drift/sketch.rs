//! How often each size occurs, to one per cent.
//!
//! Promises: counts alone, so order and grouping leave no trace; a value read back lies within 1 % of what was put in, over the whole
//! range of doubles. Does not: tell numbers of 1e-9 or less from zero.
//!
//! This is DDSketch with the library's mapping. The counts are our own: the library's store gives its bins away only in an encoding whose
//! reader trusts its input, and folds together what lies more than 2,048 bins below the largest, which would break the 1 %. A store
//! here covers the range it has seen: about 35 counters for each doubling, 36,500 (290 kB) for data that spans every double.

use std::collections::TryReserveError;

use super::keys::{KEYS, Keys};

/// Room for neighbours on either side when a store grows.
const MARGIN: i32 = 32;

/// Counts by key, over the range of keys that occur.
#[derive(Clone, Debug, Default)]
pub struct Bins {
    first: i32,
    counts: Vec<u64>,
}

impl Bins {
    /// Counts one more of a key.
    #[inline]
    pub fn add(&mut self, key: i32) -> Result<(), TryReserveError> {
        *self.slot(key)? += 1;
        Ok(())
    }

    /// Counts one less of a key that was counted.
    pub fn remove(&mut self, key: i32) {
        if let Some(count) = self.counts.get_mut(key.wrapping_sub(self.first) as usize) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts more of a key.
    pub fn add_many(&mut self, key: i32, count: u64) -> Result<(), TryReserveError> {
        *self.slot(key)? += count;
        Ok(())
    }

    /// Makes room for keys that are going to be counted.
    pub fn cover(&mut self, first: i32, last: i32) -> Result<(), TryReserveError> {
        if self.counts.is_empty() {
            self.first = first;
        }
        let end = self.first + self.counts.len() as i32;
        let below = (self.first - first).max(0) as usize;
        let above = (last + 1 - end).max(0) as usize;
        self.counts.try_reserve_exact(below + above)?;
        self.counts.resize(self.counts.len() + above + below, 0);
        self.counts.rotate_right(below);
        self.first -= below as i32;
        Ok(())
    }

    #[inline]
    fn slot(&mut self, key: i32) -> Result<&mut u64, TryReserveError> {
        if key.wrapping_sub(self.first) as usize >= self.counts.len() {
            self.grow(key)?;
        }
        Ok(&mut self.counts[(key - self.first) as usize])
    }

    #[cold]
    fn grow(&mut self, key: i32) -> Result<(), TryReserveError> {
        self.cover(key - MARGIN, key + MARGIN)
    }

    /// Adds what another store has counted.
    pub fn merge(&mut self, other: &Self) -> Result<(), TryReserveError> {
        if let Some((first, last)) = other.ends() {
            self.cover(first, last)?;
        }
        other.iter().try_for_each(|(key, count)| self.add_many(key, count))
    }

    /// The keys that occur, upwards, and how often.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, u64)> + '_ {
        let counts = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(place, count)| (self.first + place as i32, *count))
    }

    /// The first and the last key that occur.
    pub fn ends(&self) -> Option<(i32, i32)> {
        Some((self.iter().next()?.0, self.iter().next_back()?.0))
    }

    fn count(&self, key: i32) -> u64 {
        self.counts.get(key.wrapping_sub(self.first) as usize).copied().unwrap_or(0)
    }
}

/// Counts of sizes of either sign.
#[derive(Clone, Debug, Default)]
pub struct Sketch {
    /// Numbers above zero and numbers below it, by the key of their size. Chosen by index: a branch would be guessed wrong every other time.
    bins: [Bins; 2],
    /// Numbers that have no bin.
    zeros: u64,
}

impl Sketch {
    /// The sketch of these counts.
    pub fn new(below: Bins, zeros: u64, above: Bins) -> Self {
        Self { bins: [above, below], zeros }
    }

    /// How many numbers have no bin.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Numbers above zero.
    pub fn above(&self) -> &Bins {
        &self.bins[0]
    }

    /// Numbers below zero, by the key of their size.
    pub fn below(&self) -> &Bins {
        &self.bins[1]
    }

    /// Counts one more finite number.
    #[inline]
    pub fn add(&mut self, keys: &Keys, x: f64) -> Result<(), TryReserveError> {
        let size = x.abs();
        if keys.is_zero(size) {
            self.zeros += 1;
            return Ok(());
        }
        self.bins[usize::from(x < 0.0)].add(keys.key(size))
    }

    /// Counts one less of a number that was counted.
    pub fn remove(&mut self, keys: &Keys, x: f64) {
        let size = x.abs();
        if keys.is_zero(size) {
            self.zeros = self.zeros.saturating_sub(1);
            return;
        }
        self.bins[usize::from(x < 0.0)].remove(keys.key(size));
    }

    /// Adds what another sketch has counted.
    pub fn merge(&mut self, other: &Self) -> Result<(), TryReserveError> {
        self.zeros += other.zeros;
        self.bins.iter_mut().zip(&other.bins).try_for_each(|(bins, more)| bins.merge(more))
    }

    /// The number of this rank, counted from 0 upwards, to 1 %.
    pub fn at(&self, rank: u64) -> f64 {
        let below = self.below().iter().rev().map(|(key, count)| (-1.0, key, count));
        let above = self.above().iter().map(|(key, count)| (1.0, key, count));
        walk(below.chain([(0.0, 0, self.zeros)]).chain(above), rank)
    }

    /// The size of this rank, counted from 0 upwards, to 1 %.
    pub fn size_at(&self, rank: u64) -> f64 {
        let (below, above) = (self.below().ends(), self.above().ends());
        let ends = below.into_iter().chain(above).reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)));
        let keys = ends.map_or(0..0, |(first, last)| first..last + 1);
        let sizes = keys.map(|key| (1.0, key, self.below().count(key) + self.above().count(key)));
        walk([(0.0, 0, self.zeros)].into_iter().chain(sizes), rank)
    }
}

/// The number of a rank among signs and keys that ascend.
fn walk(counted: impl Iterator<Item = (f64, i32, u64)>, rank: u64) -> f64 {
    let mut left = rank;
    for (sign, key, count) in counted {
        if left < count {
            return if sign == 0.0 { 0.0 } else { sign * KEYS.value(key) };
        }
        left -= count;
    }
    f64::INFINITY
}
