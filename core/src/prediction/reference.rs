//! The reference's rules of thumb, for whoever compares with it: no interval, and a confidence that is no probability.
//!
//! A failure is foretold where a third of the runs failed, however few they are; an overrun where the newest three runs cost the square root of 1.3 times the
//! mean of those before: the reference multiplies their mean by the ratio once more.

/// Of so many runs the mean is the recent cost.
const RECENT: usize = 3;

/// From so many percent on it is an overrun.
const OVERRUN_PERCENT: f64 = 30.0;

/// What the reference says of failures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failure {
    /// Failures among all runs.
    pub rate: f64,
    /// The rate times 1.5, at most 1.
    pub confidence: f64,
}

impl Failure {
    /// Of failures among runs of whatever status; `None` without a failure. Fewer runs than failures are as many.
    #[must_use]
    pub fn of(failures: u64, runs: u64) -> Option<Self> {
        if failures == 0 {
            return None;
        }
        let rate = failures as f64 / runs.max(failures) as f64;
        Some(Self { rate, confidence: (rate * 1.5).min(1.0) })
    }

    /// Whether it is told.
    #[must_use]
    pub fn is_told(self) -> bool {
        self.confidence >= super::LEAST_CONFIDENCE
    }
}

/// What the reference says of costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// The mean of the newest three.
    pub recent: f64,
    /// The mean of those before.
    pub historical: f64,
    /// How many those are.
    pub older_runs: usize,
    /// The first over the second.
    pub multiplier: f64,
    /// The first times that.
    pub projected: f64,
    /// How far that lies above the second, in percent.
    pub overrun_percent: f64,
    /// A hundredth of that, at most 0.95.
    pub confidence: f64,
}

impl Cost {
    /// Of costs in the order of the runs, the oldest first; `None` of fewer than three. What is not a positive number is passed over.
    #[must_use]
    pub fn of(costs: &[f64]) -> Option<Self> {
        let costs: Vec<f64> = costs.iter().copied().filter(|cost| cost.is_finite() && *cost > 0.0).collect();
        let (older, newest) = costs.split_at_checked(costs.len().checked_sub(RECENT)?)?;
        let recent = mean(newest);
        let historical = if older.is_empty() { recent } else { mean(older) };
        let multiplier = recent / historical;
        let projected = recent * multiplier;
        let overrun_percent = (projected - historical) / historical * 100.0;
        let all = [recent, historical, multiplier, projected, overrun_percent];
        all.iter().all(|value| value.is_finite()).then_some(Self {
            recent,
            historical,
            older_runs: older.len(),
            multiplier,
            projected,
            overrun_percent,
            confidence: (overrun_percent / 100.0).clamp(0.0, 0.95),
        })
    }

    /// Whether it is told.
    #[must_use]
    pub fn is_told(self) -> bool {
        self.overrun_percent >= OVERRUN_PERCENT
    }
}

/// The newest first, as the reference adds them up.
fn mean(costs: &[f64]) -> f64 {
    costs.iter().rev().sum::<f64>() / costs.len() as f64
}
