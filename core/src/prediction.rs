//! What is likely to go wrong with a worker, and how surely: whether its runs fail too often, and what its next run costs.
//!
//! | Module        | Says                                                                       |
//! |---------------|----------------------------------------------------------------------------|
//! | [`failure`]   | which rates of failure fit what was counted, and how likely each is        |
//! | [`cost`]      | where the next run's cost lies, by a line through the costs before it      |
//! | [`reference`] | the same two by the reference's rules of thumb, without an interval        |
//!
//! An interval at a level claims: of many such statements the true value lies in about that part. It does so while runs to come are of the
//! kind of those that were; a worker that has just been changed is another worker, and nothing here knows of it.

pub mod cost;
pub mod failure;
pub mod reference;

/// What is told has at least this probability.
pub const LEAST_CONFIDENCE: f64 = 0.5;

/// A value between two ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Interval {
    /// Whether a value lies in it, its ends included.
    #[must_use]
    pub fn covers(self, value: f64) -> bool {
        self.lower <= value && value <= self.upper
    }
}

/// A level that an interval can have: what was asked for, within what can be told of a few runs.
fn sane_level(level: f64) -> f64 {
    if level.is_nan() { 0.8 } else { level.clamp(LEAST_LEVEL, HIGHEST_LEVEL) }
}

/// The lowest level of an interval.
pub const LEAST_LEVEL: f64 = 0.01;

/// The highest level of an interval: beyond it a statement is about tails that nobody has seen, and what was measured does not hold.
pub const HIGHEST_LEVEL: f64 = 0.95;
