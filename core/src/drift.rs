//! A mergeable summary of cost differences.
//!
//! Promises: adding pairs one by one, or adding them to several summaries and merging those in any grouping, gives the
//! same count, minimum and maximum exactly and the same mean and deviation up to rounding. That is what lets a parallel
//! aggregate and an hourly roll-up answer the same question as a scan of the rows. Does not: keep the values, hence
//! no percentiles.
//!
//! The sums are Welford's, merged by Chan, Golub and LeVeque's rule: a naive sum of squares loses every digit when the
//! differences are small beside their mean.

use std::fmt;

/// What is known of the differences `v2 - v1` seen so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many pairs.
    pub count: u64,
    /// Their mean difference; 0 while there is none.
    pub mean: f64,
    /// The sum of squared distances from the mean.
    pub m2: f64,
    /// The smallest difference; positive infinity while there is none.
    pub min: f64,
    /// The largest difference; negative infinity while there is none.
    pub max: f64,
}

/// A pair whose difference is not a finite number: it would turn every later answer into NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NotFinite {
    /// The first cost of the pair.
    pub v1: f64,
    /// The second cost of the pair.
    pub v2: f64,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the difference of costs {} and {} is not a finite number", self.v1, self.v2)
    }
}

impl std::error::Error for NotFinite {}

impl Default for Summary {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, m2: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Summary {
    /// Adds one pair of costs.
    pub fn add(&mut self, v1: f64, v2: f64) -> Result<(), NotFinite> {
        let delta = v2 - v1;
        if !delta.is_finite() {
            return Err(NotFinite { v1, v2 });
        }
        self.count += 1;
        let distance = delta - self.mean;
        self.mean += distance / self.count as f64;
        self.m2 += distance * (delta - self.mean);
        self.min = self.min.min(delta);
        self.max = self.max.max(delta);
        Ok(())
    }

    /// The summary of everything either side has seen.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        // An empty side must leave the other one bit for bit as it is.
        if self.count == 0 {
            return *other;
        }
        if other.count == 0 {
            return *self;
        }
        let count = self.count + other.count;
        let (left, right, whole) = (self.count as f64, other.count as f64, count as f64);
        let distance = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + distance * (right / whole),
            m2: self.m2 + other.m2 + distance * distance * (left * right / whole),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// The sample standard deviation, as SQL's `stddev_samp`: nothing for fewer than two pairs.
    pub fn stddev_samp(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.m2 / (self.count - 1) as f64).sqrt())
    }
}
