//! What a worker's next run costs: a straight line through the logarithms of the costs before it, and how far runs lie from it.
//!
//! The slope is that of Theil and Sen (the median of the slopes between all pairs of runs), which a fourth of the runs may lie about without
//! bending it. It counts as far as it stands out of the noise: with t, the slope in units of its standard error, it is multiplied by
//! max(0, 1 - 3 / t^2), since the slope of a few noisy runs is noise, and whoever is told of is chosen for a steep one. The next run is expected where
//! the median of all runs lies, carried along the line.
//!
//! How far it may be from there: the distance from the line that four of five runs keep, as a deviation of the normal distribution, with Student's t
//! of 0.65 (n - 2) degrees of freedom, and a factor 1 + 1.8 / (n - 2.9). Both were found by simulation for n from 6 to 200 runs with and without a trend, so that intervals about
//! hold what they claim (core/tests/prediction_quality.rs asserts how nearly, at 80, 90 and 95 percent): so few runs lie closer to a line drawn through them than the next one
//! will, and that deviation is known less well than one made of all squares, in exchange for not minding outliers.
//!
//! It speaks of one more run of the same kind, independent of the others, of costs that grow by percent if they grow. A rhythm is taken for noise or for a trend, and so is a random walk. A jump of the price looks like a trend for a while, and no interval foresees one.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Interval, sane_level};

/// With fewer runs nothing is said: a line has two parameters, and what is left must tell how far runs lie from it.
pub const FEWEST_RUNS: usize = 6;

/// Of more runs the newest count: older ones are of another time, and pairs grow with the square.
pub const MOST_RUNS: usize = 200;

/// From this ratio of the next run's cost to the median on, it is an overrun: the reference's 30 percent.
pub const OVERRUN: f64 = 1.3;

/// No cost is told beyond this, which no column of costs holds.
const MOST_CENTS: f64 = 1e15;

/// The part of runs whose distance tells how far runs are: as in an interval at 80 percent, so that this one asks least of the noise's shape.
const INNER: f64 = 0.8;

/// As many deviations of the normal distribution that part keeps within: its quantile at 90 percent.
const INNER_DEVIATIONS: f64 = 1.281_551_565_544_6;

/// What the square of t must exceed for a slope to count at all.
const SLOPE_NOISE: f64 = 3.0;

/// What the costs of runs say of the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    runs: usize,
    /// The logarithm of the median.
    level: f64,
    /// That of what is expected.
    expected: f64,
    /// The slope of the logarithm over a run.
    slope: f64,
    /// How far the next run may be, in logarithms, and how well that is known.
    spread: f64,
    freedom: f64,
    /// How far each run lies from the line, in logarithms.
    distances: Vec<f64>,
}

impl Forecast {
    /// Of costs in the order of the runs, the oldest first; `None` of fewer than [`FEWEST_RUNS`]. What is not a positive number is passed over.
    #[must_use]
    pub fn of(costs: &[f64]) -> Option<Self> {
        let mut logs: Vec<f64> =
            costs.iter().copied().filter(|cost| cost.is_finite() && *cost > 0.0).map(f64::ln).collect();
        if logs.len() < FEWEST_RUNS {
            return None;
        }
        if logs.len() > MOST_RUNS {
            logs.drain(..logs.len() - MOST_RUNS);
        }
        let runs = logs.len();
        let n = runs as f64;
        let mut slopes = Vec::with_capacity(runs * (runs - 1) / 2);
        for (place, from) in logs.iter().enumerate() {
            slopes.extend(
                logs.iter()
                    .skip(place + 1)
                    .enumerate()
                    .map(|(between, to)| (to - from) / (between + 1) as f64),
            );
        }
        let steepest = quantile(&mut slopes, 0.5);
        let (_, deviation, _) = along(&logs, steepest);
        let error = deviation / ((n * n * n - n) / 12.0).sqrt();
        let slope = steepest * counts_for(steepest, error);
        let (expected, deviation, distances) = along(&logs, slope);
        Some(Self {
            runs,
            level: quantile(&mut logs, 0.5),
            expected,
            slope,
            spread: deviation * (1.0 + 1.8 / (n - 2.9)),
            freedom: 0.65 * (n - 2.0),
            distances,
        })
    }

    /// Of how many runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// What the next run is expected to cost: as likely more as less.
    #[must_use]
    pub fn projected(&self) -> f64 {
        cents(self.expected)
    }

    /// What a run has cost: the median.
    #[must_use]
    pub fn historical(&self) -> f64 {
        cents(self.level)
    }

    /// How much dearer each run is than the one before: 0.01 is one percent.
    #[must_use]
    pub fn trend_per_run(&self) -> f64 {
        self.slope.exp_m1()
    }

    /// How far the next run is expected above the median of those before, in percent of it.
    #[must_use]
    pub fn overrun_percent(&self) -> f64 {
        (self.expected - self.level).exp_m1() * 100.0
    }

    /// The interval in which the next run's cost lies with a probability. It holds at least that part of the runs before, too: where most cost exactly
    /// the same, the few that do not tell how far a run may be.
    #[must_use]
    pub fn interval(&self, level: f64) -> Interval {
        let level = sane_level(level);
        let of_noise = self.spread * self.student().map_or(0.0, |t| t.inverse_cdf(f64::midpoint(1.0, level)));
        let of_runs =
            quantile(&mut self.distances.iter().map(|distance| distance.abs()).collect::<Vec<_>>(), level);
        let reach = of_noise.max(of_runs);
        Interval { lower: cents(self.expected - reach), upper: cents(self.expected + reach) }
    }

    /// The probability that the next run costs at least so many times the median. Of n runs nobody knows what is rarer than one in n + 1: it is never nearer
    /// to 0 or 1 than that.
    #[must_use]
    pub fn at_least(&self, ratio: f64) -> f64 {
        let above = self.level + ratio.ln() - self.expected;
        if above.is_nan() {
            return 0.0;
        }
        let probability = match self.student() {
            Some(t) if self.spread > 0.0 => t.sf(above / self.spread),
            _ => {
                self.distances.iter().filter(|distance| **distance >= above).count() as f64 / self.runs as f64
            }
        };
        let rarest = 1.0 / (self.runs as f64 + 1.0);
        probability.clamp(rarest, 1.0 - rarest)
    }

    fn student(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.freedom).ok()
    }
}

/// The part of a slope that is believed.
fn counts_for(slope: f64, error: f64) -> f64 {
    let square = (error / slope).powi(2);
    // Without noise every slope is one; without a slope there is none to doubt.
    if square.is_nan() { 1.0 } else { (1.0 - SLOPE_NOISE * square).max(0.0) }
}

/// Where the next run lies by a slope, the deviation of runs from the line, and how far each is from it.
fn along(logs: &[f64], slope: f64) -> (f64, f64, Vec<f64>) {
    let carried = |(place, log): (usize, &f64)| log + slope * (logs.len() - place) as f64;
    let mut all: Vec<f64> = logs.iter().enumerate().map(carried).collect();
    let expected = quantile(&mut all, 0.5);
    for value in &mut all {
        *value -= expected;
    }
    let mut sizes: Vec<f64> = all.iter().map(|distance| distance.abs()).collect();
    (expected, quantile(&mut sizes, INNER) / INNER_DEVIATIONS, all)
}

/// A quantile of some numbers, between the two nearest in proportion; their order is lost.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let place = part * (values.len() - 1) as f64;
    let (_, &mut at, above) = values.select_nth_unstable_by(place as usize, f64::total_cmp);
    let next = above.iter().copied().fold(f64::INFINITY, f64::min);
    if next.is_finite() { at + place.fract() * (next - at) } else { at }
}

fn cents(logarithm: f64) -> f64 {
    logarithm.exp().min(MOST_CENTS)
}
