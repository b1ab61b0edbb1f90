//! How far the costs of two models are from each other, over pairs that were compared.
//!
//! Promises: the metrics depend on the pairs alone, not on their order, to the last bit; percentiles and divergences are exact for any number
//! of pairs; no memory is taken beyond the pairs themselves, which are put into another order. The reference's fields are the reference's:
//! percentiles by index, rounded as it rounds; ours beside them are not rounded.
//!
//! Does not: keep anything between calls. For a summary that can be kept and merged see [`crate::drift`].

use serde_json::{Map, Value, json};

use crate::drift::Shares;
use crate::drift::exact::Sum;
use crate::verdict::{Verdict, drift_score, relative_difference, rounded, symmetric_drift_score};

/// A drift score above this is an outlier.
pub const OUTLIER: f64 = 0.5;

/// A drift score above this is a failure.
pub const FAILURE: f64 = 0.2;

/// Two costs for the same input, and whether the models agree that it can be run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// What the first model says.
    pub v1: f64,
    /// What the second model says.
    pub v2: f64,
    /// Whether both say that it can run, or both that it cannot.
    pub feasibility_match: bool,
}

impl Pair {
    /// v2 - v1.
    #[inline]
    pub fn delta(&self) -> f64 {
        self.v2 - self.v1
    }

    /// The reference's drift score.
    #[inline]
    pub fn drift_score(&self) -> f64 {
        drift_score(self.v1, self.v2, self.feasibility_match)
    }

    /// The score that treats both costs alike.
    #[inline]
    pub fn symmetric_drift_score(&self) -> f64 {
        symmetric_drift_score(self.v1, self.v2, self.feasibility_match)
    }

    /// What the drift score is called.
    #[inline]
    pub fn verdict(&self) -> Verdict {
        Verdict::of(self.drift_score())
    }
}

/// What has a pair, and perhaps more that the caller needs.
pub trait Compared {
    /// The pair.
    fn pair(&self) -> Pair;
}

impl Compared for Pair {
    #[inline]
    fn pair(&self) -> Pair {
        *self
    }
}

/// What is known of some pairs. Of no pairs everything is zero.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Metrics {
    /// How many pairs.
    pub sample_count: u64,
    /// |v2 - v1| at index n / 2 of the sorted list, at two decimals.
    pub delta_p50: f64,
    /// |v2 - v1| at index floor(0.9 n) of the sorted list, at two decimals.
    pub delta_p90: f64,
    /// Kullback and Leibler's divergence of the second costs from the first, in nats, at four decimals.
    pub kl_divergence: f64,
    /// Pairs whose drift score, at four decimals, is above [`OUTLIER`].
    pub outlier_count: u64,
    /// The share of pairs whose drift score, at four decimals, is above [`FAILURE`], at four decimals.
    pub fail_ratio: f64,
    /// The share of pairs that match, at four decimals.
    pub matching_rate: f64,
    /// Pairs that match.
    pub match_count: u64,
    /// Pairs with a minor drift.
    pub minor_drift_count: u64,
    /// Pairs with a major drift.
    pub major_drift_count: u64,
    /// Pairs with more than that.
    pub mismatch_count: u64,
    /// Pairs whose models disagree about whether the input can be run.
    pub feasibility_mismatches: u64,
    /// The median of |v2 - v1|, between the two in the middle of an even number.
    pub delta_p50_cont: f64,
    /// The 90th percentile of |v2 - v1|, linear between the two values next to it.
    pub delta_p90_cont: f64,
    /// Jensen and Shannon's divergence of first and second costs, in bits: 0 to 1.
    pub js_divergence: f64,
    /// The mean of v2 - v1.
    pub mean_delta: f64,
    /// The mean drift score.
    pub mean_drift: f64,
    /// The greatest drift score.
    pub max_drift: f64,
    /// The mean of |v2 - v1| / greatest(|v1|, |v2|).
    pub mean_symmetric_difference: f64,
    /// Pairs whose difference is NaN or infinite, which count nowhere else.
    pub not_finite: u64,
}

impl Metrics {
    /// Every metric by its name.
    pub fn to_json(&self) -> Map<String, Value> {
        let named = [
            ("sample_count", json!(self.sample_count)),
            ("delta_p50", json!(self.delta_p50)),
            ("delta_p90", json!(self.delta_p90)),
            ("kl_divergence", json!(self.kl_divergence)),
            ("outlier_count", json!(self.outlier_count)),
            ("fail_ratio", json!(self.fail_ratio)),
            ("matching_rate", json!(self.matching_rate)),
            ("match_count", json!(self.match_count)),
            ("minor_drift_count", json!(self.minor_drift_count)),
            ("major_drift_count", json!(self.major_drift_count)),
            ("mismatch_count", json!(self.mismatch_count)),
            ("feasibility_mismatches", json!(self.feasibility_mismatches)),
            ("delta_p50_cont", json!(self.delta_p50_cont)),
            ("delta_p90_cont", json!(self.delta_p90_cont)),
            ("js_divergence", json!(self.js_divergence)),
            ("mean_delta", json!(self.mean_delta)),
            ("mean_drift", json!(self.mean_drift)),
            ("max_drift", json!(self.max_drift)),
            ("mean_symmetric_difference", json!(self.mean_symmetric_difference)),
            ("not_finite", json!(self.not_finite)),
        ];
        named.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }
}

/// What is known of these pairs, which are put into another order.
pub fn metrics<T: Compared>(samples: &mut [T]) -> Metrics {
    let finite = finite_first(samples);
    let not_finite = (samples.len() - finite) as u64;
    let samples = &mut samples[..finite];
    if samples.is_empty() {
        return Metrics { not_finite, ..Metrics::default() };
    }
    let mut tally = Tally::default();
    samples.chunks(CHUNK).for_each(|some| tally.add(some));
    let count = samples.len() as u64;
    let share = |part: u64| rounded(part as f64 / count as f64, 4);
    let v1 = samples.iter().map(|sample| (sample.pair().v1.max(1.0), 1));
    let v2 = samples.iter().map(|sample| (sample.pair().v2.max(1.0), 1));
    let shares = Shares::new(count, (tally.low, tally.high), v1, v2);
    let [matching, minor, major, mismatch] = tally.verdicts;
    let spread = Spread::of(samples);
    Metrics {
        sample_count: count,
        delta_p50: rounded(spread.p50, 2),
        delta_p90: rounded(spread.p90, 2),
        kl_divergence: shares.kullback_leibler(),
        outlier_count: tally.outliers,
        fail_ratio: share(tally.failures),
        matching_rate: share(matching),
        match_count: matching,
        minor_drift_count: minor,
        major_drift_count: major,
        mismatch_count: mismatch,
        feasibility_mismatches: tally.feasibility_mismatches,
        delta_p50_cont: spread.p50_cont,
        delta_p90_cont: spread.p90_cont,
        js_divergence: shares.jensen_shannon(),
        mean_delta: tally.deltas.mean(count),
        mean_drift: tally.drifts.mean(count),
        max_drift: tally.max_drift,
        mean_symmetric_difference: tally.differences.mean(count),
        not_finite,
    }
}

/// The metrics of each group, in the order of the groups. The pairs are put into another order.
pub fn by_group<T: Compared, K: Ord>(samples: &mut [T], key: impl Fn(&T) -> K) -> Vec<(K, Metrics)> {
    samples.sort_unstable_by_key(&key);
    samples
        .chunk_by_mut(|one, two| key(one) == key(two))
        .map(|group| (key(&group[0]), metrics(group)))
        .collect()
}

/// Puts the pairs whose difference is finite before the others; how many they are.
fn finite_first<T: Compared>(samples: &mut [T]) -> usize {
    let mut finite = 0;
    for at in 0..samples.len() {
        if samples[at].pair().delta().is_finite() {
            samples.swap(finite, at);
            finite += 1;
        }
    }
    finite
}

/// Pairs that are counted at a time: a processor adds a list in one go.
const CHUNK: usize = 128;

/// What one pass over the pairs counts.
struct Tally {
    verdicts: [u64; 4],
    outliers: u64,
    failures: u64,
    feasibility_mismatches: u64,
    deltas: Sum,
    drifts: Sum,
    differences: Sum,
    max_drift: f64,
    /// The lowest and the highest cost, none counted as less than 1.
    low: f64,
    high: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            verdicts: [0; 4],
            outliers: 0,
            failures: 0,
            feasibility_mismatches: 0,
            deltas: Sum::default(),
            drifts: Sum::default(),
            differences: Sum::default(),
            max_drift: 0.0,
            low: f64::INFINITY,
            high: 1.0,
        }
    }
}

impl Tally {
    /// Adds at most [`CHUNK`] pairs.
    fn add<T: Compared>(&mut self, samples: &[T]) {
        let [mut deltas, mut drifts, mut differences] = [[0.0; CHUNK]; 3];
        for (at, sample) in samples.iter().enumerate() {
            let pair = sample.pair();
            let drift = pair.drift_score();
            deltas[at] = pair.delta();
            drifts[at] = drift;
            differences[at] = relative_difference(pair.v1, pair.v2);
            self.verdicts[Verdict::of(drift) as usize] += 1;
            self.outliers += u64::from(is_above(drift, OUTLIER));
            self.failures += u64::from(is_above(drift, FAILURE));
            self.feasibility_mismatches += u64::from(!pair.feasibility_match);
            self.max_drift = self.max_drift.max(drift);
            let (v1, v2) = (pair.v1.max(1.0), pair.v2.max(1.0));
            self.low = self.low.min(v1.min(v2));
            self.high = self.high.max(v1.max(v2));
        }
        self.deltas.add(&deltas[..samples.len()]);
        self.drifts.add(&drifts[..samples.len()]);
        self.differences.add(&differences[..samples.len()]);
    }
}

/// Whether a score, at four decimals, is above a limit that has no more.
#[inline]
fn is_above(score: f64, limit: f64) -> bool {
    // Rounding moves a score by half a ten-thousandth at most; it takes long, and few need it.
    score > limit && (score > limit + 1e-4 || rounded(score, 4) > limit)
}

/// Percentiles of |v2 - v1|.
struct Spread {
    p50: f64,
    p90: f64,
    p50_cont: f64,
    p90_cont: f64,
}

impl Spread {
    /// Of one pair at least. No list is sorted: each rank is looked for among what lies above the one before.
    fn of<T: Compared>(samples: &mut [T]) -> Self {
        let count = samples.len();
        let last = count - 1;
        let by_index = [count / 2, ((count as f64 * 0.9) as usize).min(last)];
        let places = [0.5, 0.9].map(|fraction| fraction * last as f64);
        let [middle, ninth] = places.map(|place| [place.floor() as usize, place.ceil() as usize]);
        let mut ranks = [by_index[0], by_index[1], middle[0], middle[1], ninth[0], ninth[1]];
        ranks.sort_unstable();
        let mut placed = 0;
        for rank in ranks {
            if rank >= placed {
                let rest = &mut samples[placed..];
                rest.select_nth_unstable_by(rank - placed, |one, two| size(one).total_cmp(&size(two)));
                placed = rank + 1;
            }
        }
        let at = |rank: usize| size(&samples[rank]);
        let between = |[below, above]: [usize; 2], place: f64| {
            let (below, above) = (at(below), at(above));
            below + (place - place.floor()) * (above - below)
        };
        Self {
            p50: at(by_index[0]),
            p90: at(by_index[1]),
            p50_cont: between(middle, places[0]),
            p90_cont: between(ninth, places[1]),
        }
    }
}

#[inline]
fn size<T: Compared>(sample: &T) -> f64 {
    sample.pair().delta().abs()
}
