//! Whether a prediction says what has been said already: otherwise every run that ends would make a row.

use serde_json::Value;

/// Probabilities may have moved so far.
const CONFIDENCE: f64 = 0.02;

/// And rates.
const RATE: f64 = 0.01;

/// And costs, as a part of them.
const COST: f64 = 0.01;

/// Whether two values, each with its confidence, say the same: what was counted is the same, or what follows from it all but is. Without an interval
/// it is the numbers themselves.
pub fn is_same((value, confidence): (&Value, f64), (other, other_confidence): (&Value, f64)) -> bool {
    let (Some(one), Some(two)) = (value.as_object(), other.as_object()) else { return false };
    let are_equal = |key: &str| match (&value[key], &other[key]) {
        (Value::Number(one), Value::Number(two)) => one.as_f64() == two.as_f64(),
        (one, two) => one == two,
    };
    if one.len() != two.len() || !are_equal("predicted_outcome") || !are_equal("interval_level") {
        return false;
    }
    if !one.contains_key("interval_level") {
        return confidence == other_confidence && one.keys().all(|key| are_equal(key));
    }
    if one.contains_key("failures") && are_equal("failures") && are_equal("runs") {
        return true;
    }
    let is_near = |key: &str, most: &dyn Fn(f64) -> f64| match (value[key].as_f64(), other[key].as_f64()) {
        (Some(one), Some(two)) => (one - two).abs() <= most(two),
        (one, two) => one == two,
    };
    (confidence - other_confidence).abs() <= CONFIDENCE
        && ["estimated_rate", "lower", "upper"].iter().all(|key| is_near(key, &|_| RATE))
        && ["projected_cost_cents", "lower_cents", "upper_cents", "historical_avg_cents"]
            .iter()
            .all(|key| is_near(key, &|cost| COST * cost.abs()))
}
