//! The binary form of a summary.
//!
//! Promises: equal multisets of pairs have equal bytes, on every machine whose logarithm rounds alike; what [`read`] takes is what [`write`]
//! writes, and makes sense: anything else is refused, without a panic and without more memory than a summary may have.
//!
//! Little end first. `n` is a number in groups of seven bits, lowest first, as short as it can be; `z` is one with a sign, zigzag.
//!
//! ```text
//! summary = 1, 0, n not finite, n count (at most 128), pairs: v1 v2 as doubles, in their total order
//!         | 1, 1, n not finite, n count, min max low high as doubles, sum, squares,
//!           n ratios, greatest ratio as double, sum of ratios, sketch of deltas, sketch of ratios, bins of v1, bins of v2
//! sum     = sign (0 or 1), n limbs, if any: n place of the lowest, limbs of 32 bits, the first and the last not zero
//! sketch  = bins below zero, n zeros, bins above zero
//! bins    = n bins, if any: z first key, n its count, then for each next one: n distance of its key, n count
//! ```

use super::digest::{Digest, delta};
use super::exact::{Exact, deviation};
use super::keys::KEYS;
use super::sketch::{Bins, Sketch};
use super::{Fault, KEPT, LARGEST_COUNT, Summary};

const VERSION: u8 = 1;
const PAIRS: u8 = 0;
const DIGEST: u8 = 1;

/// The bytes of some pairs in order.
pub fn write_pairs(not_finite: u64, pairs: &[(f64, f64)]) -> Vec<u8> {
    let mut out = vec![VERSION, PAIRS];
    put_number(&mut out, not_finite);
    put_number(&mut out, pairs.len() as u64);
    pairs.iter().for_each(|(v1, v2)| put_doubles(&mut out, [*v1, *v2]));
    out
}

/// The bytes of a digest.
pub fn write_digest(not_finite: u64, digest: &Digest) -> Vec<u8> {
    let moments = &digest.moments;
    let mut out = vec![VERSION, DIGEST];
    put_number(&mut out, not_finite);
    put_number(&mut out, moments.count);
    put_doubles(&mut out, [moments.min, moments.max, moments.low, moments.high]);
    put_sum(&mut out, &moments.sum);
    put_sum(&mut out, &moments.squares);
    put_number(&mut out, moments.ratios);
    put_doubles(&mut out, [moments.ratio_max]);
    put_sum(&mut out, &moments.ratio_sum);
    for sketch in [&digest.delta, &digest.ratio] {
        put_bins(&mut out, sketch.below());
        put_number(&mut out, sketch.zeros());
        put_bins(&mut out, sketch.above());
    }
    put_bins(&mut out, &digest.v1);
    put_bins(&mut out, &digest.v2);
    out
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_doubles<const N: usize>(out: &mut Vec<u8>, doubles: [f64; N]) {
    doubles.iter().for_each(|double| out.extend_from_slice(&double.to_le_bytes()));
}

fn put_sum<const N: usize>(out: &mut Vec<u8>, sum: &Exact<N>) {
    let (is_negative, size) = sum.sign_and_size();
    let place = size.limbs().iter().position(|limb| *limb != 0).unwrap_or(0);
    let limbs = &size.limbs()[place..];
    out.push(u8::from(is_negative));
    put_number(out, limbs.len() as u64);
    if !limbs.is_empty() {
        put_number(out, place as u64);
        limbs.iter().for_each(|limb| out.extend_from_slice(&limb.to_le_bytes()));
    }
}

fn put_bins(out: &mut Vec<u8>, bins: &Bins) {
    put_number(out, bins.iter().count() as u64);
    let mut before = None;
    for (key, count) in bins.iter() {
        let step = match before {
            Some(before) => (key - before) as u32,
            None => (key << 1 ^ key >> 31).cast_unsigned(),
        };
        put_number(out, step.into());
        put_number(out, count);
        before = Some(key);
    }
}

/// The summary of these bytes.
pub fn read(bytes: &[u8]) -> Result<Summary, Fault> {
    let mut input = Input(bytes);
    if input.byte()? != VERSION {
        return Err(Fault::Malformed("it is of another version"));
    }
    let kind = input.byte()?;
    let mut summary = Summary { not_finite: input.number_up_to(LARGEST_COUNT)?, ..Summary::default() };
    match kind {
        PAIRS => summary.pairs = input.pairs()?,
        DIGEST => summary.digest = Some(Box::new(input.digest()?)),
        _ => return Err(Fault::Malformed("it is of another kind")),
    }
    if !input.0.is_empty() {
        return Err(Fault::Malformed("something follows its end"));
    }
    Ok(summary)
}

/// Refuses what does not hold.
fn require(holds: bool, what: &'static str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Malformed(what)) }
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Fault::Malformed("it is cut off"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.take().map(u8::from_le_bytes)
    }

    fn double(&mut self) -> Result<f64, Fault> {
        let double = self.take().map(f64::from_le_bytes)?;
        require(double.is_finite(), "a number in it is not finite")?;
        Ok(double)
    }

    fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            require(bits << shift >> shift == bits, "a number in it is too large")?;
            number |= bits << shift;
            if byte < 0x80 {
                require(byte != 0 || shift == 0, "a number in it is longer than it need be")?;
                return Ok(number);
            }
        }
        Err(Fault::Malformed("a number in it is too large"))
    }

    fn number_up_to(&mut self, largest: u64) -> Result<u64, Fault> {
        let number = self.number()?;
        require(number <= largest, "a number in it is too large")?;
        Ok(number)
    }

    fn pairs(&mut self) -> Result<Vec<(f64, f64)>, Fault> {
        let count = self.number_up_to(KEPT as u64)?;
        let mut pairs = Vec::new();
        pairs.try_reserve_exact(count as usize)?;
        for _ in 0..count {
            pairs.push((self.double()?, self.double()?));
        }
        require(pairs.iter().all(|pair| delta(*pair).is_finite()), "a difference in it is not finite")?;
        require(
            pairs.is_sorted_by(|one, next| super::order(one, next).is_le()),
            "its pairs are not in order",
        )?;
        Ok(pairs)
    }

    fn sum<const N: usize>(&mut self) -> Result<Exact<N>, Fault> {
        let is_negative = self.byte()?;
        require(is_negative <= 1, "a sign in it is neither plus nor minus")?;
        let count = self.number_up_to(N as u64)? as usize;
        if count == 0 {
            require(is_negative == 0, "a zero in it has a sign")?;
            return Ok(Exact::default());
        }
        let place = self.number_up_to(N as u64)? as usize;
        let mut limbs = [0_u32; N];
        require(place + count < N, "a sum in it is too large")?;
        for limb in &mut limbs[place..place + count] {
            *limb = self.take().map(u32::from_le_bytes)?;
        }
        require(limbs[place] != 0 && limbs[place + count - 1] != 0, "a sum in it is longer than it need be")?;
        Exact::of(is_negative == 1, limbs[..place + count].iter().copied())
            .ok_or(Fault::Malformed("a sum in it is too large"))
    }

    /// Bins, and how much they count.
    fn bins(&mut self) -> Result<(Bins, u64), Fault> {
        let (lowest, highest) = KEYS.range;
        let many = (highest - lowest + 1) as u64;
        let mut bins = Bins::default();
        let (mut key, mut total) = (0, 0_u64);
        // They are kept as they come; a range that is wide but empty costs its counters once.
        for place in 0..self.number_up_to(many)? {
            if place == 0 {
                let zigzag = self.number_up_to(2 * many)? as i32;
                key = zigzag >> 1 ^ -(zigzag & 1);
            } else {
                let step = self.number_up_to(many)? as i32;
                require(step > 0, "a bin in it comes twice")?;
                key += step;
            }
            require((lowest..=highest).contains(&key), "a bin in it has a key that no number has")?;
            let count = self.number_up_to(LARGEST_COUNT)?;
            require(count > 0, "a bin in it is empty")?;
            total += count;
            require(total <= LARGEST_COUNT, "its counts are too large")?;
            bins.add_many(key, count)?;
        }
        Ok((bins, total))
    }

    fn sketch(&mut self) -> Result<(Sketch, u64), Fault> {
        let (below, before) = self.bins()?;
        let zeros = self.number_up_to(LARGEST_COUNT)?;
        let (above, after) = self.bins()?;
        Ok((Sketch::new(below, zeros, above), before + zeros + after))
    }

    fn digest(&mut self) -> Result<Digest, Fault> {
        let mut digest = Digest::default();
        let moments = &mut digest.moments;
        moments.count = self.number_up_to(LARGEST_COUNT)?;
        require(moments.count > KEPT as u64, "it has bins where it should have pairs")?;
        [moments.min, moments.max] = [self.double()?, self.double()?];
        [moments.low, moments.high] = [self.double()?, self.double()?];
        moments.sum = self.sum()?;
        moments.squares = self.sum()?;
        moments.ratios = self.number_up_to(moments.count)?;
        moments.ratio_max = self.double()?;
        moments.ratio_sum = self.sum()?;
        let (count, ratios) = (moments.count, moments.ratios);
        let mut totals = [0; 4];
        (digest.delta, totals[0]) = self.sketch()?;
        (digest.ratio, totals[1]) = self.sketch()?;
        (digest.v1, totals[2]) = self.bins()?;
        (digest.v2, totals[3]) = self.bins()?;
        require(totals == [count, ratios, count, count], "its counts contradict each other")?;
        require(makes_sense(&digest), "its sums contradict its extremes")?;
        require(ends_agree(&digest), "its bins contradict its extremes")?;
        Ok(digest)
    }
}

/// Whether sums and extremes can be those of one list: what no list has would give answers that no list has, or none.
fn makes_sense(digest: &Digest) -> bool {
    let moments = &digest.moments;
    let largest = moments.min.abs().max(moments.max.abs());
    let positive_zero = |x: f64| x != 0.0 || x.is_sign_positive();
    moments.min <= moments.max
        && [moments.min, moments.max, moments.ratio_max].into_iter().all(positive_zero)
        && 1.0 <= moments.low
        && moments.low <= moments.high
        && moments.mean().is_some_and(|mean| moments.min <= mean && mean <= moments.max)
        && !moments.squares.sign_and_size().0
        && moments.squares.root_mean(moments.count) <= largest
        && deviation(moments.count, &moments.sum, &moments.squares).is_some()
        && moments.ratio_max >= 0.0
        && (moments.ratios > 0 || moments.ratio_max == 0.0)
        && moments.ratio_mean().map_or_else(
            || moments.ratio_sum.sign_and_size().1.limbs().is_empty(),
            |mean| (0.0..=moments.ratio_max).contains(&mean) && mean.is_sign_positive(),
        )
}

/// Whether the outermost bins are those of the extremes; to one bin, since another machine's logarithm may round otherwise.
fn ends_agree(digest: &Digest) -> bool {
    let moments = &digest.moments;
    let is_near = |key: Option<i32>, x: f64| match key {
        Some(key) => !KEYS.is_zero(x) && key.abs_diff(KEYS.key(x)) <= 1,
        None => KEYS.is_zero(x),
    };
    let last = |bins: &Bins| bins.ends().map(|ends| ends.1);
    let (v1, v2) = (digest.v1.ends(), digest.v2.ends());
    let (Some(v1), Some(v2)) = (v1, v2) else { return false };
    is_near(last(digest.delta.above()), moments.max)
        && is_near(last(digest.delta.below()), -moments.min)
        && digest.ratio.below().ends().is_none()
        && is_near(last(digest.ratio.above()), moments.ratio_max)
        && is_near(Some(v1.0.min(v2.0)), moments.low)
        && is_near(Some(v1.1.max(v2.1)), moments.high)
}
