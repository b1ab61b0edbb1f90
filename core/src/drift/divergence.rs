//! How far the costs of one model, as a whole, are from those of the other.
//!
//! Ten bins of equal width over both lists, every cost counted as 1 at least. The raw measure is the reference's; it is not symmetric, and
//! reaches 23 as soon as the lists lie apart. The bounded one is for decisions.

/// Bins of a comparison.
const BINS: usize = 10;

/// What the reference adds to a share, lest it divide by zero.
const FLOOR: f64 = 1e-10;

/// The shares of two lists in the bins.
pub struct Shares {
    v1: [f64; BINS],
    v2: [f64; BINS],
}

impl Shares {
    /// The shares of two lists of values and how often each occurs, between the lowest and the highest of both.
    pub fn new(
        count: u64,
        (low, high): (f64, f64),
        v1: impl Iterator<Item = (f64, u64)>,
        v2: impl Iterator<Item = (f64, u64)>,
    ) -> Self {
        let width = (high - low) / BINS as f64;
        let shares = |list: &mut dyn Iterator<Item = (f64, u64)>| {
            let mut counts = [0_u64; BINS];
            for (value, times) in list {
                let bin = if width > 0.0 { (value.clamp(low, high) - low) / width } else { 0.0 };
                counts[(bin as usize).min(BINS - 1)] += times;
            }
            counts.map(|times| times as f64 / count as f64)
        };
        let (mut v1, mut v2) = (v1, v2);
        Self { v1: shares(&mut v1), v2: shares(&mut v2) }
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.v1.iter().copied().zip(self.v2)
    }

    /// Kullback and Leibler's divergence of the second list from the first, in nats, as the reference has it: rounded to four decimals.
    pub fn kullback_leibler(&self) -> f64 {
        let parts = self.pairs().filter(|(p, _)| *p > FLOOR);
        let sum: f64 = parts.map(|(p, q)| p * ((p + FLOOR) / (q + FLOOR)).ln()).sum();
        let sum = sum.max(0.0);
        // Printing rounds the exact value, half to even, as Python's round does.
        format!("{sum:.4}").parse().unwrap_or(sum)
    }

    /// Jensen and Shannon's divergence in bits: the same from either side, 0 for equal shares, 1 for lists that have no bin in common.
    pub fn jensen_shannon(&self) -> f64 {
        let part = |p: f64, middle: f64| if p > 0.0 { p * (p / middle).log2() } else { 0.0 };
        let parts = self.pairs().map(|(p, q)| {
            let middle = f64::midpoint(p, q);
            part(p, middle) + part(q, middle)
        });
        (parts.sum::<f64>() / 2.0).clamp(0.0, 1.0)
    }
}
