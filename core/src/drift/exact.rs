//! Sums of doubles without any rounding, and the one rounding at the end.
//!
//! Promises: a [`Sum`] is the exact sum of what was added, whatever the order; so is a [`Squares`] of the squares. [`Sum::mean`] and
//! [`deviation`] answer the double nearest to the exact result (half to even), infinity beyond the largest. Does not: take NaN or
//! infinity.
//!
//! A double is an integer times a power of two, so a sum is a wide integer that counts units of 2^-1074 (2^-2148 for squares). It is
//! kept in limbs of 32 bits in words of 64: the upper half of a word holds carries until they are passed on.

use std::cmp::Ordering;

/// Limbs of a sum: 1074 bits below the point, 1024 above, 64 for the count.
const SUM_LIMBS: usize = 69;
/// Limbs of a sum of squares: twice the bits, and 64 for the count.
const SQUARES_LIMBS: usize = 134;
/// A limb's word takes less than 2^33 with each addition.
const CARRY_EVERY: u32 = 1 << 30;
/// Additions between two looks at how many there were.
const BATCH: usize = 1 << 10;

/// The exact sum of doubles.
pub type Sum = Exact<SUM_LIMBS>;
/// The exact sum of the squares of doubles.
pub type Squares = Exact<SQUARES_LIMBS>;

/// A wide integer with a sign, in limbs that may still owe each other carries.
#[derive(Clone, Debug)]
pub struct Exact<const N: usize> {
    limbs: [i64; N],
    since_carry: u32,
}

impl<const N: usize> Default for Exact<N> {
    fn default() -> Self {
        Self { limbs: [0; N], since_carry: 0 }
    }
}

/// What a finite double is made of: its integer and how many units of 2^-1074 that integer's one is, as a shift.
#[inline]
fn parts(x: f64) -> (u64, usize) {
    let bits = x.to_bits();
    let exponent = (bits >> 52) as usize & 0x7ff;
    let integer = (bits & ((1 << 52) - 1)) | (u64::from(exponent != 0) << 52);
    (integer, exponent.max(1) - 1)
}

impl Sum {
    /// Adds finite numbers.
    pub fn add(&mut self, numbers: &[f64]) {
        for some in numbers.chunks(BATCH) {
            self.make_ready(some.len());
            some.iter().for_each(|x| self.put(*x));
        }
    }

    #[inline]
    fn put(&mut self, x: f64) {
        let (integer, shift) = parts(x);
        // All ones for a negative number: flipped and plus one is the negative.
        let sign = x.to_bits().cast_signed() >> 63;
        let wide = u128::from(integer) << (shift & 31);
        let limbs = &mut self.limbs[shift >> 5..][..3];
        limbs[0] += (i64::from(wide as u32) ^ sign) - sign;
        limbs[1] += (i64::from((wide >> 32) as u32) ^ sign) - sign;
        limbs[2] += (i64::from((wide >> 64) as u32) ^ sign) - sign;
    }

    /// The sum divided by how many there are.
    pub fn mean(&self, count: u64) -> f64 {
        let (is_negative, mut sum) = self.sign_and_size();
        sum.shift_up(4);
        let rest = sum.divide(count);
        let mean = sum.nearest(-1074 - 128, rest);
        if is_negative { -mean } else { mean }
    }
}

impl Squares {
    /// Adds the square of a finite number, or takes it away.
    #[inline]
    fn put(&mut self, x: f64, sign: i64) {
        let (integer, shift) = parts(x);
        let shift = 2 * shift;
        let square = u128::from(integer) * u128::from(integer);
        let low = (square & u128::from(u64::MAX)) << (shift & 31);
        let high = (square >> 64) << (shift & 31);
        let limbs = &mut self.limbs[shift >> 5..][..5];
        limbs[0] += (i64::from(low as u32) ^ sign) - sign;
        limbs[1] += (i64::from((low >> 32) as u32) ^ sign) - sign;
        limbs[2] += ((i64::from((low >> 64) as u32) + i64::from(high as u32)) ^ sign) - sign;
        limbs[3] += (i64::from((high >> 32) as u32) ^ sign) - sign;
        limbs[4] += (i64::from((high >> 64) as u32) ^ sign) - sign;
    }

    /// Adds the squares of finite numbers.
    pub fn add(&mut self, numbers: &[f64]) {
        for some in numbers.chunks(BATCH) {
            self.make_ready(some.len());
            some.iter().for_each(|x| self.put(*x, 0));
        }
    }

    /// Takes the square of a finite number away.
    pub fn remove(&mut self, x: f64) {
        self.make_ready(1);
        self.put(x, -1);
    }

    /// The root of the mean square.
    pub fn root_mean(&self, count: u64) -> f64 {
        let (_, mut squares) = self.sign_and_size();
        squares.shift_up(8);
        let rest = squares.divide(count);
        squares.nearest_root(-2148 - 256, rest)
    }
}

/// The sample standard deviation of `count` numbers, two or more, with this sum and these squares; `None` when no numbers have them.
pub fn deviation(count: u64, sum: &Sum, squares: &Squares) -> Option<f64> {
    let (is_negative, mut spread) = squares.sign_and_size();
    let (_, sum) = sum.sign_and_size();
    spread.multiply(count);
    if is_negative || !spread.subtract(&sum.squared()) {
        return None;
    }
    spread.shift_up(8);
    let first = spread.divide(count);
    let second = spread.divide(count - 1);
    Some(spread.nearest_root(-2148 - 256, first | second))
}

impl<const N: usize> Exact<N> {
    /// Passes the carries on if so many more additions could be too many.
    fn make_ready(&mut self, additions: usize) {
        self.since_carry += additions as u32;
        if self.since_carry >= CARRY_EVERY {
            self.carry();
            self.since_carry += additions as u32;
        }
    }

    /// Adds what another sum has.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.carry();
        self.make_ready(1);
        self.limbs.iter_mut().zip(other.limbs).for_each(|(limb, more)| *limb += more);
    }

    /// Passes the carries on: every limb but the last, which has the sign, is then within 0 and 2^32 - 1.
    #[cold]
    fn carry(&mut self) {
        let mut carry = 0;
        for limb in &mut self.limbs[..N - 1] {
            let whole = *limb + carry;
            *limb = whole & 0xffff_ffff;
            carry = whole >> 32;
        }
        self.limbs[N - 1] += carry;
        self.since_carry = 1;
    }

    /// Whether the sum is below zero, and how large it is without its sign.
    pub fn sign_and_size(&self) -> (bool, Natural) {
        let mut sum = self.clone();
        sum.carry();
        let is_negative = sum.limbs[N - 1] < 0;
        if is_negative {
            sum.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            sum.carry();
        }
        let mut size = Natural(sum.limbs.iter().map(|limb| *limb as u32).collect());
        size.trim();
        (is_negative, size)
    }

    /// The sum of this sign and size; `None` if it has no room.
    pub fn of(is_negative: bool, limbs: impl ExactSizeIterator<Item = u32>) -> Option<Self> {
        // The last limb has the sign.
        if limbs.len() >= N {
            return None;
        }
        let mut sum = Self { since_carry: 1, ..Self::default() };
        sum.limbs.iter_mut().zip(limbs).for_each(|(limb, size)| {
            *limb = if is_negative { -i64::from(size) } else { i64::from(size) };
        });
        sum.carry();
        Some(sum)
    }
}

/// A natural number of any size: limbs from the lowest, the last of which is not zero.
#[derive(Debug, PartialEq, Eq)]
pub struct Natural(Vec<u32>);

impl Natural {
    /// Its limbs, from the lowest.
    pub fn limbs(&self) -> &[u32] {
        &self.0
    }

    fn trim(&mut self) {
        let used = self.0.iter().rposition(|limb| *limb != 0).map_or(0, |last| last + 1);
        self.0.truncate(used);
    }

    fn bits(&self) -> i32 {
        self.0.last().map_or(0, |last| self.0.len() as i32 * 32 - last.leading_zeros() as i32)
    }

    /// Makes it 2^32 times as large, so many times.
    fn shift_up(&mut self, limbs: usize) {
        if !self.0.is_empty() {
            self.0.splice(..0, std::iter::repeat_n(0, limbs));
        }
    }

    fn multiply(&mut self, by: u64) {
        let mut carry = 0_u128;
        for limb in &mut self.0 {
            carry += u128::from(*limb) * u128::from(by);
            *limb = carry as u32;
            carry >>= 32;
        }
        self.0.extend([carry as u32, (carry >> 32) as u32]);
        self.trim();
    }

    /// Divides it; whether there is a rest.
    fn divide(&mut self, by: u64) -> bool {
        let mut rest = 0_u128;
        for limb in self.0.iter_mut().rev() {
            rest = rest << 32 | u128::from(*limb);
            *limb = (rest / u128::from(by)) as u32;
            rest %= u128::from(by);
        }
        self.trim();
        rest != 0
    }

    fn squared(&self) -> Self {
        let mut square = vec![0_u32; 2 * self.0.len()];
        for (place, limb) in self.0.iter().enumerate() {
            let mut carry = 0_u64;
            for (into, other) in square[place..].iter_mut().zip(self.0.iter().chain([&0])) {
                carry += u64::from(*limb) * u64::from(*other) + u64::from(*into);
                *into = carry as u32;
                carry >>= 32;
            }
        }
        let mut square = Self(square);
        square.trim();
        square
    }

    /// Takes another number away; false, and nothing is changed, if that one is larger.
    fn subtract(&mut self, other: &Self) -> bool {
        let order =
            self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()));
        if order == Ordering::Less {
            return false;
        }
        let mut borrow = 0_i64;
        for (limb, less) in self.0.iter_mut().zip(other.0.iter().chain(std::iter::repeat(&0))) {
            let left = i64::from(*limb) - i64::from(*less) + borrow;
            *limb = left as u32;
            borrow = left >> 32;
        }
        self.trim();
        true
    }

    fn bit(&self, place: i32) -> bool {
        self.0.get(place as usize / 32).is_some_and(|limb| limb >> (place % 32) & 1 == 1)
    }

    /// Whether any bit below this place is set.
    fn any_below(&self, place: i32) -> bool {
        let whole = (place as usize / 32).min(self.0.len());
        self.0[..whole].iter().any(|limb| *limb != 0)
            || self.0.get(whole).is_some_and(|limb| limb & ((1 << (place % 32)) - 1) != 0)
    }

    /// The number without its lowest bits; what is left fits.
    fn without_lowest(&self, bits: i32) -> u128 {
        let whole = bits as usize / 32;
        let limbs = self.0.iter().skip(whole).take(5).enumerate();
        limbs.fold(0, |left, (place, limb)| {
            let place = place as i32 * 32 - bits % 32;
            let limb = u128::from(*limb);
            left | if place < 0 { limb >> -place } else { limb << place }
        })
    }

    /// The double nearest to the number, and a rest if there is one, times 2^scale, where scale is below -1074 or the number has more than
    /// 53 bits.
    fn nearest(&self, scale: i32, has_rest: bool) -> f64 {
        let highest = self.bits() - 1 + scale;
        if highest > 1023 {
            return f64::INFINITY;
        }
        // The place of the last bit that a double of this size has.
        let last = (highest - 52).max(-1074);
        let dropped = last - scale;
        if self.0.is_empty() || dropped > self.bits() {
            return 0.0;
        }
        let integer = self.without_lowest(dropped) as u64;
        let is_up = self.bit(dropped - 1) && (has_rest || self.any_below(dropped - 1) || integer & 1 == 1);
        // The integer's highest bit adds one to the exponent, and a carry one more: up to infinity.
        f64::from_bits((((last + 1074) as u64) << 52) + integer + u64::from(is_up))
    }

    /// The double nearest to the square root of the number, and a rest if there is one, times 2^scale; the number has more than 128 bits or
    /// is zero.
    fn nearest_root(&self, scale: i32, has_rest: bool) -> f64 {
        let dropped = (self.bits() - 128).max(0);
        let dropped = dropped + (dropped + scale).rem_euclid(2);
        let top = self.without_lowest(dropped);
        let root = top.isqrt();
        let has_rest = has_rest || self.any_below(dropped) || root * root != top;
        let mut limbs = Self(vec![root as u32, (root >> 32) as u32]);
        limbs.trim();
        limbs.nearest((scale + dropped) / 2, has_rest)
    }
}
