//! What a series of daily spends leads one to expect: a straight line through it, and how surely it goes on.
//!
//! The line is that of least squares over whole days, and the interval around a sum of days to come is the prediction interval of Student's
//! t: it holds where days scatter about the line independently and alike, which spends do about as much as not. Days are counted from 0; the
//! day that has not ended yet is the first to come. With fewer than three days there is no line to judge: their mean, and no interval.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Days further than this are not told: ten years.
const FURTHEST: usize = 3_660;

/// With fewer days than this, a slope would be drawn through noise.
const FEWEST_FOR_A_LINE: usize = 3;

/// With fewer, the halves of a series say nothing.
const FEWEST_FOR_A_TREND: usize = 4;

/// Which way a series goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// The mean of its second half is more than 1.2 times that of its first.
    Increasing,
    /// Less than 0.8 times.
    Decreasing,
    /// Neither, or too short.
    Stable,
}

impl Trend {
    /// The reference's rule. Of an odd number of days the middle one belongs to the second half.
    pub fn of(days: &[f64]) -> Self {
        if days.len() < FEWEST_FOR_A_TREND {
            return Self::Stable;
        }
        let (first, second) = days.split_at(days.len() / 2);
        let (first, second) = (mean(first), mean(second));
        if second > 1.2 * first {
            Self::Increasing
        } else if second < 0.8 * first {
            Self::Decreasing
        } else {
            Self::Stable
        }
    }

    /// As it is reported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Increasing => "increasing",
            Self::Decreasing => "decreasing",
            Self::Stable => "stable",
        }
    }
}

/// A line through a series, and how far days are from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// How many days it was drawn through.
    pub days: usize,
    /// What a day comes to in the mean.
    pub mean: f64,
    /// How much more it is each day.
    pub slope: f64,
    /// How far, and how sure; `None` with too few days.
    spread: Option<Spread>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    /// The standard deviation of a day about the line.
    deviation: f64,
    /// The squares of the distances of the days from the middle one.
    squares: f64,
    /// How many deviations are as probable as asked.
    quantile: f64,
}

/// What is to be expected of some days together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// No day is less than nothing.
    pub sum: f64,
    /// Where it lies with the confidence asked for; `None` with too few days.
    pub interval: Option<(f64, f64)>,
}

/// How long it takes to spend something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lasts {
    /// Days from now; `None` for never, or longer than ten years.
    pub days: Option<f64>,
    /// If as much is spent as the interval allows.
    pub at_least: Option<f64>,
    /// If as little; `None` also where there is no interval.
    pub at_most: Option<f64>,
}

impl Line {
    /// Through whole days in their order. `confidence` is between 0 and 1, both excluded; of others there is no interval, nor of one so near to 1 that no number is the
    /// quantile.
    pub fn through(days: &[f64], confidence: f64) -> Self {
        let count = days.len();
        let mean = mean(days);
        if count < FEWEST_FOR_A_LINE {
            return Self { days: count, mean, slope: 0.0, spread: None };
        }
        let middle = (count - 1) as f64 / 2.0;
        let squares: f64 = (0..count).map(|day| (day as f64 - middle).powi(2)).sum();
        let products: f64 =
            days.iter().enumerate().map(|(day, cents)| (day as f64 - middle) * (cents - mean)).sum();
        let slope = products / squares;
        let errors: f64 = days
            .iter()
            .enumerate()
            .map(|(day, cents)| (cents - mean - slope * (day as f64 - middle)).powi(2))
            .sum();
        let freedom = (count - 2) as f64;
        let quantile = (confidence > 0.0 && confidence < 1.0)
            .then(|| StudentsT::new(0.0, 1.0, freedom).ok())
            .flatten()
            .map(|student| student.inverse_cdf(0.5 + confidence / 2.0));
        // Where either is beyond what numbers can say, so is the interval.
        let spread = quantile
            .map(|quantile| Spread { deviation: (errors / freedom).sqrt(), squares, quantile })
            .filter(|spread| spread.quantile.is_finite() && spread.deviation.is_finite());
        Self { days: count, mean, slope, spread }
    }

    /// What the line says of a day, which may be less than nothing. Day 0 is the first it was drawn through.
    fn at(&self, day: f64) -> f64 {
        self.mean + self.slope * (day - self.middle())
    }

    fn middle(&self) -> f64 {
        (self.days as f64 - 1.0) / 2.0
    }

    /// What the n-th day to come is expected to cost; the first is 0.
    pub fn day(&self, ahead: usize) -> f64 {
        self.at((self.days + ahead) as f64).max(0.0)
    }

    /// What the next days together are expected to cost.
    pub fn next(&self, count: usize) -> Expected {
        let sum: f64 = (0..count).map(|ahead| self.day(ahead)).sum();
        let centre = self.days as f64 + (count as f64 - 1.0) / 2.0;
        let bare = count as f64 * self.at(centre);
        let interval = self
            .half_width(count as f64, centre)
            .filter(|width| width.is_finite())
            // Where days were lifted to nothing, the sum is more than the line's.
            .map(|width| ((bare - width).max(0.0), (bare + width).max(sum)));
        Expected { sum, interval }
    }

    /// How far from the line a stretch of so many days, with that day in its middle, may come to lie.
    fn half_width(&self, length: f64, centre: f64) -> Option<f64> {
        self.spread.map(|Spread { deviation, squares, quantile }| {
            let of_the_line =
                length.powi(2) / self.days as f64 + (length * (centre - self.middle())).powi(2) / squares;
            quantile * deviation * (length + of_the_line).sqrt()
        })
    }

    /// How long `cents` last from now on, when `gone` of the day that has not ended is over (0 to 1).
    pub fn lasts(&self, cents: f64, gone: f64) -> Lasts {
        let gone = gone.clamp(0.0, 1.0);
        let spent = |time: f64| self.until(gone + time) - self.until(gone);
        // Day n covers half a day before and after n, so now is at days - 0.5 + gone.
        let width =
            |time: f64| self.half_width(time, self.days as f64 - 0.5 + gone + time / 2.0).unwrap_or_default();
        let is_sure = self.spread.is_some();
        Lasts {
            days: first(cents, spent),
            at_least: is_sure.then(|| first(cents, |time| spent(time) + width(time))).flatten(),
            at_most: is_sure.then(|| first(cents, |time| spent(time) - width(time))).flatten(),
        }
    }

    /// What is spent from the beginning of the day that has not ended, to so many days later.
    fn until(&self, time: f64) -> f64 {
        // No further than the furthest day and one, so the number of whole days is a small one.
        let whole = time.floor().max(0.0) as usize;
        let days: f64 = (0..whole).map(|ahead| self.day(ahead)).sum();
        days + (time - whole as f64) * self.day(whole)
    }
}

/// The first time at which a sum that begins with nothing reaches `target`, to a millionth of a day or so.
fn first(target: f64, sum: impl Fn(f64) -> f64) -> Option<f64> {
    if target <= 0.0 {
        return Some(0.0);
    }
    // Steps that double, so that a far day is found in a dozen looks; within one the sum reaches the target once.
    let (mut low, mut high) = (0.0, 0.25);
    while sum(high) < target {
        low = high;
        high *= 2.0;
        if high > FURTHEST as f64 {
            return None;
        }
    }
    for _ in 0..48 {
        let middle = (low + high) / 2.0;
        if sum(middle) < target { low = middle } else { high = middle }
    }
    Some(high)
}

fn mean(days: &[f64]) -> f64 {
    if days.is_empty() { 0.0 } else { days.iter().sum::<f64>() / days.len() as f64 }
}
