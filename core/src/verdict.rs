//! How far one price is from another, as a number and as a word.
//!
//! The drift score is the reference's: six tenths for the relative difference of the costs, capped at 1, and four tenths when one model
//! would let the plan run and the other would not. It divides by the first cost, so a first cost of zero hides any second one, and
//! doubling weighs more than halving. The symmetric score beside it divides by the greater cost and has neither flaw. Both are from 0 to 1.
//!
//! Costs are finite and not negative; of others nothing is promised but that no function panics.

/// The part of a score that is the difference of the costs.
const COST_WEIGHT: f64 = 0.6;

/// The part of a score for a disagreement about whether the plan can run.
const FEASIBILITY_WEIGHT: f64 = 0.4;

/// What a drift score is called. The words are in order of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// At most 0.05.
    Match,
    /// At most 0.15.
    MinorDrift,
    /// At most 0.30.
    MajorDrift,
    /// More than that.
    Mismatch,
}

impl Verdict {
    /// The word for a score, by its exact value.
    pub fn of(score: f64) -> Self {
        match score {
            score if score <= 0.05 => Self::Match,
            score if score <= 0.15 => Self::MinorDrift,
            score if score <= 0.30 => Self::MajorDrift,
            _ => Self::Mismatch,
        }
    }

    /// As it is stored and reported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::MinorDrift => "minor_drift",
            Self::MajorDrift => "major_drift",
            Self::Mismatch => "mismatch",
        }
    }
}

/// The difference of the costs relative to the first, which counts as 1 at least; 0 where the first is 0.
pub fn cost_delta_pct(v1: f64, v2: f64) -> f64 {
    if v1 > 0.0 { (v2 - v1).abs() / v1.max(1.0) } else { 0.0 }
}

/// The difference of the costs relative to the greater of them: 0 where they are equal, 1 where one of them alone is zero.
pub fn relative_difference(v1: f64, v2: f64) -> f64 {
    let greater = v1.abs().max(v2.abs());
    if greater > 0.0 { ((v2 - v1).abs() / greater).min(1.0) } else { 0.0 }
}

/// The reference's drift score of a pair of costs.
pub fn drift_score(v1: f64, v2: f64, feasibility_match: bool) -> f64 {
    score(cost_delta_pct(v1, v2).min(1.0), feasibility_match)
}

/// The same with the symmetric difference in place of the reference's.
pub fn symmetric_drift_score(v1: f64, v2: f64, feasibility_match: bool) -> f64 {
    score(relative_difference(v1, v2), feasibility_match)
}

fn score(difference: f64, feasibility_match: bool) -> f64 {
    let disagreement = if feasibility_match { 0.0 } else { 1.0 };
    COST_WEIGHT * difference + FEASIBILITY_WEIGHT * disagreement
}

/// A number at so many decimals: the exact binary value is rounded, a tie to the even digit, as Python's `round` does.
pub fn rounded(value: f64, decimals: u8) -> f64 {
    if decimals == 0 || !value.is_finite() {
        return value.round_ties_even();
    }
    let scale = 10_f64.powi(i32::from(decimals));
    let scaled = value * scale;
    // Away from a tie, which the product may have moved by a last bit, and where whole numbers are exact, the quotient is the very double
    // that the printed number is.
    let is_sure = scaled.abs() < 1e12 && decimals < 16 && (scaled - scaled.floor() - 0.5).abs() > 1e-3;
    if is_sure {
        return scaled.round_ties_even() / scale;
    }
    format!("{value:.*}", usize::from(decimals)).parse().unwrap_or(value)
}
