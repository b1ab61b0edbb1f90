//! How often a worker fails: what is believed of its rate after its runs were counted.
//!
//! Runs of one worker are taken to fail independently, at one rate. Before anything is counted, that rate is believed to be like those of the
//! tenant's other workers: a mixture of Beta distributions, whose weights are learnt from all of them at once (by EM, the maximum likelihood
//! of their counts) beside two that decide where few are known: Jeffreys' prior, Beta(1/2, 1/2), with the say of [`OWN_WEIGHT`] workers, and Beta(1, 8)
//! with that of [`LOW_WEIGHT`], since most things that run fail seldom. More of the latter makes confidences of a few healthy workers less too high, and
//! intervals of a few sick ones miss their level: it is as much as those bear.
//! With the worker's own counts each part becomes Beta(alpha + failures, beta + runs - failures), and weighs as much as it foretold them.
//!
//! Why not Jeffreys alone: whoever is told of is chosen for having failed often, and of many healthy workers some have, by luck. Only what
//! is known of the others tells luck from illness.

use statrs::function::beta::{beta_reg, ln_beta};

use super::{Interval, sane_level};

/// The rate from which on a worker is told of; the reference's confidence reaches one half there.
pub const HIGH_RATE: f64 = 1.0 / 3.0;

/// As many workers Jeffreys' prior counts for.
pub const OWN_WEIGHT: f64 = 4.0;

/// What is believed where few workers are known: most things that run fail seldom.
const LOW: (f64, f64) = (1.0, 8.0);

/// As many workers that counts for.
pub const LOW_WEIGHT: f64 = 4.0;

/// No more runs are believed: the incomplete beta function is good to five digits up to here, and what is stated to so many runs is exact enough.
pub const MOST_RUNS: f64 = 10_000.0;

/// Rounds of learning; weights have settled by then to what a statement shows.
const ROUNDS: usize = 60;

/// What a tenant's workers may be like: mean of the rate, and how many runs that is worth.
const KINDS: [(f64, f64); 14] = [
    (0.004, 250.0),
    (0.012, 90.0),
    (0.03, 50.0),
    (0.06, 40.0),
    (0.1, 30.0),
    (0.16, 25.0),
    (0.24, 20.0),
    (0.34, 18.0),
    (0.45, 16.0),
    (0.56, 16.0),
    (0.67, 18.0),
    (0.78, 20.0),
    (0.88, 30.0),
    (0.96, 40.0),
];

/// What was counted of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counts {
    failures: u64,
    runs: u64,
}

impl Counts {
    /// So many failures among so many runs; more than all of them is all.
    #[must_use]
    pub fn new(failures: u64, runs: u64) -> Self {
        Self { failures: failures.min(runs), runs }
    }

    /// The failures.
    #[must_use]
    pub fn failures(self) -> u64 {
        self.failures
    }

    /// The runs.
    #[must_use]
    pub fn runs(self) -> u64 {
        self.runs
    }

    /// Failures and successes as they are believed.
    fn believed(self) -> (f64, f64) {
        let (failures, runs) = (self.failures as f64, self.runs as f64);
        let share = if runs > MOST_RUNS { MOST_RUNS / runs } else { 1.0 };
        (failures * share, (runs - failures) * share)
    }
}

/// A Beta distribution, and how much it weighs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    alpha: f64,
    beta: f64,
    weight: f64,
}

impl Part {
    /// The logarithm of how likely counts are under it, but for what is common to all.
    fn log_likelihood(self, (failures, successes): (f64, f64)) -> f64 {
        ln_beta(self.alpha + failures, self.beta + successes) - ln_beta(self.alpha, self.beta)
    }
}

/// What is believed of a rate: a mixture of Beta distributions.
#[derive(Debug, Clone, PartialEq)]
pub struct Belief {
    parts: Vec<Part>,
}

impl Belief {
    /// Jeffreys' prior: what is believed where nothing is known.
    #[must_use]
    pub fn jeffreys() -> Self {
        Self { parts: vec![Part { alpha: 0.5, beta: 0.5, weight: 1.0 }] }
    }

    /// What the workers of a tenant are like.
    #[must_use]
    pub fn learnt(workers: &[Counts]) -> Self {
        let mut parts: Vec<Part> = Self::jeffreys().parts;
        parts.push(Part { alpha: LOW.0, beta: LOW.1, weight: 1.0 });
        parts.extend(KINDS.map(|(mean, worth)| Part {
            alpha: mean * worth,
            beta: (1.0 - mean) * worth,
            weight: 1.0,
        }));
        // Many workers have the same counts.
        let mut cells: std::collections::BTreeMap<Counts, f64> = std::collections::BTreeMap::new();
        for &counts in workers.iter().filter(|counts| counts.runs > 0) {
            *cells.entry(counts).or_default() += 1.0;
        }
        let known: f64 = cells.values().sum();
        let likelihoods: Vec<(f64, Vec<f64>)> = cells
            .into_iter()
            .map(|(counts, workers)| {
                let logs: Vec<f64> =
                    parts.iter().map(|part| part.log_likelihood(counts.believed())).collect();
                let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (workers, logs.iter().map(|log| (log - most).exp()).collect())
            })
            .collect();
        let all = known + OWN_WEIGHT + LOW_WEIGHT;
        let even = known / (parts.len() as f64 * all);
        let mut weights: Vec<f64> = parts.iter().map(|_| even).collect();
        weights[0] += OWN_WEIGHT / all;
        weights[1] += LOW_WEIGHT / all;
        for _ in 0..ROUNDS {
            let mut shares = vec![0.0; parts.len()];
            shares[0] = OWN_WEIGHT;
            shares[1] = LOW_WEIGHT;
            for (workers, likelihoods) in &likelihoods {
                let sum: f64 = weights.iter().zip(likelihoods).map(|(weight, likely)| weight * likely).sum();
                if sum > 0.0 {
                    for ((share, weight), likely) in shares.iter_mut().zip(&weights).zip(likelihoods) {
                        *share += workers * weight * likely / sum;
                    }
                }
            }
            weights = shares.into_iter().map(|share| share / all).collect();
        }
        for (part, weight) in parts.iter_mut().zip(weights) {
            part.weight = weight;
        }
        Self { parts }
    }

    /// What is believed after a worker's runs were counted.
    #[must_use]
    pub fn after(&self, counts: Counts) -> Self {
        let (failures, successes) = counts.believed();
        let logs: Vec<f64> = self
            .parts
            .iter()
            .map(|part| part.weight.ln() + part.log_likelihood((failures, successes)))
            .collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
        let parts = self
            .parts
            .iter()
            .zip(logs)
            .map(|(part, log)| Part {
                alpha: part.alpha + failures,
                beta: part.beta + successes,
                weight: (log - most).exp() / sum,
            })
            // What weighs nothing only costs time.
            .filter(|part| part.weight > 1e-7)
            .collect();
        Self { parts }
    }

    /// The probability that the rate is below a bound.
    #[must_use]
    pub fn below(&self, rate: f64) -> f64 {
        let rate = rate.clamp(0.0, 1.0);
        let sum: f64 =
            self.parts.iter().map(|part| part.weight * beta_reg(part.alpha, part.beta, rate)).sum();
        sum.clamp(0.0, 1.0)
    }

    /// The probability that the rate is at least so high.
    #[must_use]
    pub fn at_least(&self, rate: f64) -> f64 {
        // By the mirror image, so that what is nearly impossible does not drown in what is nearly certain.
        let rate = 1.0 - rate.clamp(0.0, 1.0);
        let sum: f64 =
            self.parts.iter().map(|part| part.weight * beta_reg(part.beta, part.alpha, rate)).sum();
        sum.clamp(0.0, 1.0)
    }

    /// The rate below which it lies with this probability.
    #[must_use]
    pub fn quantile(&self, probability: f64) -> f64 {
        // Chords between two ends that stay on either side of it (Illinois' rule), and a halving now and then, so that nothing can go astray.
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        let (mut under, mut over) = (-probability, 1.0 - probability);
        let mut was_under = None;
        for step in 0..200 {
            let chord = low + (high - low) * under / (under - over);
            let at = if step % 4 == 3 || !(chord > low && chord < high) { low.midpoint(high) } else { chord };
            if high - low <= 1e-9 * high {
                break;
            }
            let miss = self.below(at) - probability;
            if miss.abs() < 1e-12 {
                return at;
            }
            if miss < 0.0 {
                if was_under == Some(true) {
                    over /= 2.0;
                }
                (low, under, was_under) = (at, miss, Some(true));
            } else {
                if was_under == Some(false) {
                    under /= 2.0;
                }
                (high, over, was_under) = (at, miss, Some(false));
            }
        }
        low.midpoint(high)
    }

    /// The interval in which the rate lies with a probability, as much being below it as above.
    #[must_use]
    pub fn interval(&self, level: f64) -> Interval {
        let tail = (1.0 - sane_level(level)) / 2.0;
        Interval { lower: self.quantile(tail), upper: self.quantile(1.0 - tail) }
    }

    /// The rate that is as likely too high as too low: always in the interval.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Alpha and beta of the one Beta distribution with the same mean and variance: what is left of it where only two numbers are kept.
    #[must_use]
    pub fn alike(&self) -> (f64, f64) {
        let (mut mean, mut square) = (0.0, 0.0);
        for Part { alpha, beta, weight } in &self.parts {
            let sum = alpha + beta;
            mean += weight * alpha / sum;
            square += weight * alpha * (alpha + 1.0) / (sum * (sum + 1.0));
        }
        let worth = (mean - square) / (square - mean * mean).max(1e-12);
        ((mean * worth).max(1e-6), ((1.0 - mean) * worth).max(1e-6))
    }
}

/// What is foretold of a number of failures: whether it lies among those that were to be expected, and how likely that was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Foretold {
    /// Whether it is no further out than the tails beyond an interval at the level.
    pub is_covered: bool,
    /// The probability of all numbers that are not: at least the level, and of few runs much more, as a number is in or out as a whole.
    pub expected: f64,
}

/// What a Beta distribution of the rate leads one to expect of so many runs to come (the beta-binomial distribution), beside what came. Of few
/// runs nearly every number is expected: only beside [`Foretold::expected`] does a share of covered ones say anything.
#[must_use]
pub fn foretold((alpha, beta): (f64, f64), counts: Counts, level: f64) -> Option<Foretold> {
    let is_sane = |value: f64| (1e-9..=1e9).contains(&value);
    if counts.runs == 0 || !is_sane(alpha) || !is_sane(beta) {
        return None;
    }
    let (failures, successes) = counts.believed();
    let (failures, runs) = (failures.round() as u64, (failures + successes).round());
    let tail = (1.0 - sane_level(level)) / 2.0;
    let mut log = ln_beta(alpha, beta + runs) - ln_beta(alpha, beta);
    let (mut before, mut expected, mut is_covered) = (0.0, 0.0, false);
    for k in 0..=runs as u64 {
        let at = log.exp();
        if before + at > tail + 1e-9 && 1.0 - before > tail + 1e-9 {
            expected += at;
            is_covered |= k == failures;
        }
        before += at;
        let (done, left) = (k as f64, runs - k as f64);
        log += (left * (alpha + done) / ((done + 1.0) * (beta + left - 1.0))).ln();
    }
    Some(Foretold { is_covered, expected: expected.min(1.0) })
}
