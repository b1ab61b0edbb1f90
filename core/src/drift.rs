//! A mergeable summary of cost differences.
//!
//! Promises: a [`Summary`] is a function of the multiset of pairs `(v1, v2)` alone, down to its bytes: adding pairs one by one, in any
//! order, or adding them to several summaries and merging those in any grouping, comes to the same. That is what lets a parallel
//! aggregate and an hourly roll-up answer the same question as a scan of the rows. Count, minimum and maximum are exact, mean and standard
//! deviation the doubles nearest to the exact results.
//!
//! Up to 128 pairs are kept as they are, and every answer is exact. More become counts by size ([`Sketch`](sketch::Sketch)):
//! percentiles are then within 1 % of the value, and a divergence may count a cost that is within 1 % of a border on its other side. Does
//! not: tell differences of 1e-9 or less from zero, once there are more than 128.
//!
//! A pair whose difference is NaN or infinite is counted and otherwise left out: it would turn every later answer into NaN.

mod digest;
mod divergence;
pub mod exact;
mod keys;
mod moving;
pub mod sketch;
mod wire;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::TryReserveError;
use std::fmt;

use digest::{Digest, Moments, delta, ratio};
pub(crate) use divergence::Shares;

pub use keys::{KEYS, Keys};
pub use moving::Moving;

/// The most pairs that are kept as they are.
pub const KEPT: usize = 128;

/// The most pairs of one summary. A double counts them without a gap, and sums of doubles as many have room.
pub const LARGEST_COUNT: u64 = 1 << 53;

/// Why a summary cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no memory for it.
    NoMemory,
    /// It would have more than [`LARGEST_COUNT`] pairs.
    TooMany,
    /// Its bytes are none that a summary has.
    Malformed(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("no memory for a drift summary"),
            Self::TooMany => write!(f, "a drift summary takes at most {LARGEST_COUNT} pairs"),
            Self::Malformed(what) => write!(f, "malformed drift summary: {what}"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<TryReserveError> for Fault {
    fn from(_: TryReserveError) -> Self {
        Self::NoMemory
    }
}

/// What a percentile is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// v2 - v1.
    Delta,
    /// |v2 - v1|.
    AbsDelta,
    /// |v2 - v1| / |v1|, where v1 is not zero.
    RelDelta,
}

impl Quantity {
    /// The quantity of this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "delta" => Some(Self::Delta),
            "abs_delta" => Some(Self::AbsDelta),
            "rel_delta" => Some(Self::RelDelta),
            _ => None,
        }
    }
}

/// What is known of the pairs seen so far.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    not_finite: u64,
    /// All of them while there is no digest, those it does not have yet when there is one.
    pairs: Vec<(f64, f64)>,
    digest: Option<Box<Digest>>,
}

/// The order of pairs in the binary form.
fn order(one: &(f64, f64), two: &(f64, f64)) -> Ordering {
    one.0.total_cmp(&two.0).then(one.1.total_cmp(&two.1))
}

impl Summary {
    /// Adds one pair of costs.
    #[inline]
    pub fn add(&mut self, v1: f64, v2: f64) -> Result<(), Fault> {
        if !(v2 - v1).is_finite() {
            self.not_finite += 1;
            return Ok(());
        }
        if self.pairs.len() == self.pairs.capacity() || self.pairs.len() == KEPT {
            self.make_room()?;
        }
        self.pairs.push((v1, v2));
        Ok(())
    }

    #[cold]
    fn make_room(&mut self) -> Result<(), Fault> {
        if self.pairs.len() >= KEPT {
            self.absorb()?;
        }
        Ok(self.pairs.try_reserve(1)?)
    }

    /// Gives the pairs to the digest.
    fn absorb(&mut self) -> Result<(), Fault> {
        let digest = self.digest.get_or_insert_default();
        if LARGEST_COUNT - digest.moments.count < self.pairs.len() as u64 {
            return Err(Fault::TooMany);
        }
        digest.add(&self.pairs)?;
        self.pairs.clear();
        Ok(())
    }

    /// Makes the form final that later answers are read from: cheaper before several questions than each time.
    pub fn settle(&mut self) -> Result<(), Fault> {
        if self.digest.is_some() { self.absorb() } else { Ok(()) }
    }

    /// Adds everything another summary has seen.
    pub fn merge(&mut self, other: &Self) -> Result<(), Fault> {
        // Neither side goes beyond the largest count by itself, so this cannot overflow.
        if self.count() + other.count() > LARGEST_COUNT || self.not_finite + other.not_finite > LARGEST_COUNT
        {
            return Err(Fault::TooMany);
        }
        self.not_finite += other.not_finite;
        if let Some(more) = &other.digest {
            self.digest.get_or_insert_default().merge(more)?;
            self.absorb()?;
        }
        other.pairs.iter().try_for_each(|(v1, v2)| self.add(*v1, *v2))
    }

    /// How many pairs.
    pub fn count(&self) -> u64 {
        self.digest.as_ref().map_or(0, |digest| digest.moments.count) + self.pairs.len() as u64
    }

    /// How many pairs were left out because their difference is not a finite number.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }

    /// The digest with all pairs, if there is one.
    fn digest(&self) -> Result<Option<Cow<'_, Digest>>, Fault> {
        let Some(digest) = &self.digest else { return Ok(None) };
        if self.pairs.is_empty() {
            return Ok(Some(Cow::Borrowed(digest)));
        }
        let mut whole = Digest::clone(digest);
        whole.add(&self.pairs)?;
        Ok(Some(Cow::Owned(whole)))
    }

    fn moments(&self) -> Result<Moments, Fault> {
        Ok(self.digest()?.map_or_else(|| Moments::of(&self.pairs), |digest| digest.moments.clone()))
    }

    /// The mean of v2 - v1.
    pub fn mean(&self) -> Result<Option<f64>, Fault> {
        Ok(self.moments()?.mean())
    }

    /// The smallest v2 - v1.
    pub fn min(&self) -> Result<Option<f64>, Fault> {
        let moments = self.moments()?;
        Ok((moments.count > 0).then_some(moments.min))
    }

    /// The largest v2 - v1.
    pub fn max(&self) -> Result<Option<f64>, Fault> {
        let moments = self.moments()?;
        Ok((moments.count > 0).then_some(moments.max))
    }

    /// The sample standard deviation of v2 - v1, as SQL's `stddev_samp`: nothing for fewer than two pairs.
    pub fn stddev(&self) -> Result<Option<f64>, Fault> {
        Ok(self.moments()?.stddev())
    }

    /// The mean of |v2 - v1| / |v1| over the pairs with v1 other than zero.
    pub fn rel_mean(&self) -> Result<Option<f64>, Fault> {
        Ok(self.moments()?.ratio_mean())
    }

    /// The largest |v2 - v1| / |v1|.
    pub fn rel_max(&self) -> Result<Option<f64>, Fault> {
        let moments = self.moments()?;
        Ok((moments.ratios > 0).then_some(moments.ratio_max))
    }

    /// The percentile as SQL's `percentile_cont`: linear between the two values next to it.
    pub fn percentile(&self, fraction: f64, quantity: Quantity) -> Result<Option<f64>, Fault> {
        self.ranked(quantity, |ranked| {
            let place = fraction * (ranked.count() - 1) as f64;
            let (first, second) = (ranked.at(place.floor() as u64), ranked.at(place.ceil() as u64));
            let part = place - place.floor();
            let between = first + part * (second - first);
            // The way from one end of the doubles to the other is no double.
            if between.is_finite() { between } else { first * (1.0 - part) + second * part }
        })
    }

    /// The percentile as the reference takes it: the value at index `floor(count * fraction)` of the sorted list, at most the last.
    pub fn index_percentile(&self, fraction: f64, quantity: Quantity) -> Result<Option<f64>, Fault> {
        self.ranked(quantity, |ranked| ranked.at((ranked.count() as f64 * fraction).floor() as u64))
    }

    fn ranked(&self, quantity: Quantity, read: impl Fn(&Ranked<'_>) -> f64) -> Result<Option<f64>, Fault> {
        let digest = self.digest()?;
        let ranked = match &digest {
            Some(digest) => Ranked::Counted(digest, quantity),
            None => Ranked::sorted(&self.pairs, quantity)?,
        };
        Ok((ranked.count() > 0).then(|| read(&ranked)))
    }

    fn shares(&self) -> Result<Option<Shares>, Fault> {
        if self.count() == 0 {
            return Ok(None);
        }
        Ok(Some(match self.digest()? {
            Some(digest) => {
                let moments = &digest.moments;
                let values = |bins: &sketch::Bins| {
                    bins.iter().map(|(key, times)| (KEYS.value(key), times)).collect::<Vec<_>>().into_iter()
                };
                let ends = (moments.low, moments.high);
                Shares::new(moments.count, ends, values(&digest.v1), values(&digest.v2))
            }
            None => {
                let moments = Moments::of(&self.pairs);
                let v1 = self.pairs.iter().map(|(v1, _)| (v1.max(1.0), 1));
                let v2 = self.pairs.iter().map(|(_, v2)| (v2.max(1.0), 1));
                Shares::new(moments.count, (moments.low, moments.high), v1, v2)
            }
        }))
    }

    /// Kullback and Leibler's divergence of the second costs from the first, in nats, as the reference computes and rounds it.
    pub fn kl(&self) -> Result<Option<f64>, Fault> {
        Ok(self.shares()?.map(|shares| shares.kullback_leibler()))
    }

    /// Jensen and Shannon's divergence of first and second costs in the same ten bins, in bits: 0 to 1.
    pub fn js(&self) -> Result<Option<f64>, Fault> {
        Ok(self.shares()?.map(|shares| shares.jensen_shannon()))
    }

    /// The binary form: equal for equal multisets of pairs.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Fault> {
        if let Some(digest) = self.digest()? {
            return Ok(wire::write_digest(self.not_finite, &digest));
        }
        let mut pairs = self.pairs.clone();
        pairs.sort_unstable_by(order);
        Ok(wire::write_pairs(self.not_finite, &pairs))
    }

    /// The summary of a binary form; refuses every other sequence of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        wire::read(bytes)
    }
}

/// The values of a quantity, by rank.
enum Ranked<'a> {
    Sorted(Vec<f64>),
    Counted(&'a Digest, Quantity),
}

impl Ranked<'_> {
    fn sorted(pairs: &[(f64, f64)], quantity: Quantity) -> Result<Self, Fault> {
        let mut values = Vec::new();
        values.try_reserve_exact(pairs.len())?;
        values.extend(pairs.iter().filter_map(|pair| match quantity {
            Quantity::Delta => Some(delta(*pair)),
            Quantity::AbsDelta => Some(delta(*pair).abs()),
            Quantity::RelDelta => ratio(*pair),
        }));
        values.sort_unstable_by(f64::total_cmp);
        Ok(Self::Sorted(values))
    }

    fn count(&self) -> u64 {
        match self {
            Self::Sorted(values) => values.len() as u64,
            Self::Counted(digest, Quantity::RelDelta) => digest.moments.ratios,
            Self::Counted(digest, Quantity::Delta | Quantity::AbsDelta) => digest.moments.count,
        }
    }

    /// The value of a rank, counted from 0; the last one's for any beyond. There is one.
    fn at(&self, rank: u64) -> f64 {
        let last = self.count() - 1;
        let rank = rank.min(last);
        let (digest, quantity) = match self {
            Self::Sorted(values) => return values[rank as usize],
            Self::Counted(digest, quantity) => (digest, quantity),
        };
        let moments = &digest.moments;
        // The extremes are known, and nothing lies beyond them.
        let (least, greatest) = match quantity {
            Quantity::Delta => (moments.min, moments.max),
            Quantity::AbsDelta => (moments.min.max(-moments.max).max(0.0), moments.max.max(-moments.min)),
            Quantity::RelDelta => (0.0, moments.ratio_max),
        };
        let value = match quantity {
            _ if rank == last => greatest,
            Quantity::Delta if rank == 0 => least,
            Quantity::Delta => digest.delta.at(rank),
            Quantity::AbsDelta => digest.delta.size_at(rank),
            Quantity::RelDelta => digest.ratio.at(rank),
        };
        value.clamp(least, greatest)
    }
}
