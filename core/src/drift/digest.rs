//! What is known of many pairs: exact sums and extremes, and counts by size.

use std::collections::TryReserveError;

use super::KEPT;
use super::exact::{Squares, Sum, deviation};
use super::keys::KEYS;
use super::sketch::{Bins, Sketch};

/// Sums and extremes of pairs, without rounding.
#[derive(Clone, Debug)]
pub struct Moments {
    pub count: u64,
    pub min: f64,
    pub max: f64,
    pub sum: Sum,
    pub squares: Squares,
    /// How many pairs have a relative difference: those whose first cost is not zero.
    pub ratios: u64,
    pub ratio_max: f64,
    pub ratio_sum: Sum,
    /// The lowest and the highest cost on either side, none counted as less than 1.
    pub low: f64,
    pub high: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self {
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sum: Sum::default(),
            squares: Squares::default(),
            ratios: 0,
            ratio_max: 0.0,
            ratio_sum: Sum::default(),
            low: f64::INFINITY,
            high: 1.0,
        }
    }
}

/// The difference of a pair; never a negative zero, which would leave the order of two zeros to chance.
#[inline]
pub fn delta((v1, v2): (f64, f64)) -> f64 {
    v2 - v1 + 0.0
}

/// The relative difference of a pair, at most the largest double; none beside a first cost of zero.
#[inline]
pub fn ratio((v1, v2): (f64, f64)) -> Option<f64> {
    (v1 != 0.0).then(|| ((v2 - v1).abs() / v1.abs()).min(f64::MAX))
}

/// The lesser of two numbers that are not NaN: one instruction, where `min` takes care of NaN.
#[inline]
fn lesser(one: f64, two: f64) -> f64 {
    if two < one { two } else { one }
}

/// The greater of two numbers that are not NaN.
#[inline]
pub fn greater(one: f64, two: f64) -> f64 {
    if two > one { two } else { one }
}

/// What is counted of a few pairs, list by list: a processor takes a list in one go.
struct Values {
    deltas: [f64; KEPT],
    count: usize,
    ratios: [f64; KEPT],
    ratio_count: usize,
}

impl Values {
    /// The values of at most [`KEPT`] pairs.
    fn of(pairs: &[(f64, f64)]) -> Self {
        let mut values =
            Self { deltas: [0.0; KEPT], count: pairs.len(), ratios: [0.0; KEPT], ratio_count: 0 };
        for (place, pair) in values.deltas.iter_mut().zip(pairs) {
            *place = delta(*pair);
        }
        for ratio in pairs.iter().filter_map(|pair| ratio(*pair)) {
            values.ratios[values.ratio_count] = ratio;
            values.ratio_count += 1;
        }
        values
    }

    fn deltas(&self) -> &[f64] {
        &self.deltas[..self.count]
    }

    fn ratios(&self) -> &[f64] {
        &self.ratios[..self.ratio_count]
    }
}

impl Moments {
    /// The moments of some pairs.
    pub fn of(pairs: &[(f64, f64)]) -> Self {
        let mut moments = Self::default();
        pairs.chunks(KEPT).for_each(|pairs| moments.add(pairs, &Values::of(pairs)));
        moments
    }

    fn add(&mut self, pairs: &[(f64, f64)], values: &Values) {
        let (deltas, ratios) = (values.deltas(), values.ratios());
        self.count += deltas.len() as u64;
        self.sum.add(deltas);
        self.squares.add(deltas);
        self.ratios += ratios.len() as u64;
        self.ratio_sum.add(ratios);
        pairs.iter().for_each(|pair| self.extend(*pair));
    }

    /// Widens the extremes.
    #[inline]
    pub fn extend(&mut self, pair: (f64, f64)) {
        let delta = delta(pair);
        self.min = lesser(self.min, delta);
        self.max = greater(self.max, delta);
        self.ratio_max = greater(self.ratio_max, ratio(pair).unwrap_or(0.0));
        self.low = lesser(self.low, lesser(greater(pair.0, 1.0), greater(pair.1, 1.0)));
        self.high = greater(greater(self.high, pair.0), pair.1);
    }

    /// Takes a pair out of the sums: whether the extremes may have been its own.
    fn remove(&mut self, pair: (f64, f64)) -> bool {
        let delta = delta(pair);
        self.count -= 1;
        self.sum.add(&[-delta]);
        self.squares.remove(delta);
        let ratio = ratio(pair);
        if let Some(ratio) = ratio {
            self.ratios -= 1;
            self.ratio_sum.add(&[-ratio]);
        }
        delta == self.min
            || delta == self.max
            || ratio == Some(self.ratio_max)
            || pair.0.max(1.0).min(pair.1.max(1.0)) == self.low
            || pair.0.max(pair.1) >= self.high
    }

    /// Forgets the extremes, to be found anew.
    pub fn forget_extremes(&mut self) {
        let Self { min, max, ratio_max, low, high, .. } = Self::default();
        (self.min, self.max, self.ratio_max, self.low, self.high) = (min, max, ratio_max, low, high);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.ratios += other.ratios;
        self.ratio_max = self.ratio_max.max(other.ratio_max);
        self.ratio_sum.merge(&other.ratio_sum);
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }

    /// The mean difference.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum.mean(self.count))
    }

    /// The sample standard deviation of the differences.
    pub fn stddev(&self) -> Option<f64> {
        if self.count < 2 { None } else { deviation(self.count, &self.sum, &self.squares) }
    }

    /// The mean relative difference.
    pub fn ratio_mean(&self) -> Option<f64> {
        (self.ratios > 0).then(|| self.ratio_sum.mean(self.ratios))
    }
}

/// All that is kept of many pairs.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    pub moments: Moments,
    pub delta: Sketch,
    pub ratio: Sketch,
    /// The first costs, none counted as less than 1.
    pub v1: Bins,
    /// The second costs.
    pub v2: Bins,
}

impl Digest {
    /// Adds pairs whose differences are finite.
    pub fn add(&mut self, pairs: &[(f64, f64)]) -> Result<(), TryReserveError> {
        let keys = &*KEYS;
        for pairs in pairs.chunks(KEPT) {
            let values = Values::of(pairs);
            self.moments.add(pairs, &values);
            values.deltas().iter().try_for_each(|x| self.delta.add(keys, *x))?;
            values.ratios().iter().try_for_each(|x| self.ratio.add(keys, *x))?;
            pairs.iter().try_for_each(|(v1, _)| self.v1.add(keys.key(greater(*v1, 1.0))))?;
            pairs.iter().try_for_each(|(_, v2)| self.v2.add(keys.key(greater(*v2, 1.0))))?;
        }
        Ok(())
    }

    /// Takes away a pair that was added: whether the extremes have to be found anew.
    pub fn remove(&mut self, pair: (f64, f64)) -> bool {
        let keys = &*KEYS;
        self.delta.remove(keys, delta(pair));
        if let Some(ratio) = ratio(pair) {
            self.ratio.remove(keys, ratio);
        }
        self.v1.remove(keys.key(pair.0.max(1.0)));
        self.v2.remove(keys.key(pair.1.max(1.0)));
        self.moments.remove(pair)
    }

    /// Adds what another digest has.
    pub fn merge(&mut self, other: &Self) -> Result<(), TryReserveError> {
        self.moments.merge(&other.moments);
        self.delta.merge(&other.delta)?;
        self.ratio.merge(&other.ratio)?;
        self.v1.merge(&other.v1)?;
        self.v2.merge(&other.v2)
    }
}
