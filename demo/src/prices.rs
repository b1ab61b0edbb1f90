//! The two price models.
//!
//! V1 has one price for every token. V2 prices input and output apart. Both are a pair of prices in cents per 1,000 tokens;
//! V1's pair is twice the same number. Which edition is in force is a question to the table `demo_prices`; the editions
//! themselves come from `prices.json`.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::trace::Request;

/// The editions of the demo, compiled in: `demo/prices.json`.
const EDITIONS: &str = include_str!("../prices.json");

/// Cents per 1,000 tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    pub input_per_1k: f64,
    pub output_per_1k: f64,
}

impl Prices {
    /// One price for every token.
    pub fn flat(per_1k: f64) -> Self {
        Prices { input_per_1k: per_1k, output_per_1k: per_1k }
    }

    /// What a request costs, in cents.
    pub fn cost(self, context_tokens: i32, generated_tokens: i32) -> f64 {
        (f64::from(context_tokens) * self.input_per_1k + f64::from(generated_tokens) * self.output_per_1k)
            / 1000.0
    }

    fn is_sound(self) -> bool {
        [self.input_per_1k, self.output_per_1k].into_iter().all(|price| price.is_finite() && price >= 0.0)
    }
}

/// How far V2 is from V1 over a window: `|sum(v2) - sum(v1)| / sum(v1)`. A window that costs nothing in V1 has no drift if V2
/// agrees, and drift 1 if it does not.
pub fn drift(v1_cents: f64, v2_cents: f64) -> f64 {
    if v1_cents > 0.0 {
        (v2_cents - v1_cents).abs() / v1_cents
    } else if v2_cents > 0.0 {
        1.0
    } else {
        0.0
    }
}

/// A named pair of prices.
#[derive(Clone, Debug, PartialEq)]
pub struct Edition {
    pub name: String,
    pub prices: Prices,
    pub note: String,
}

/// All editions of a demo, in the order in which they come into force.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceTable {
    pub v1: Edition,
    pub v2: Edition,
    /// V2 of the second half, before anybody noticed.
    pub wrong: Edition,
    /// V2 of the second half, as it should have been.
    pub corrected: Edition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "unit")]
    _unit: String,
    v1: FlatLine,
    v2: SplitLine,
    v2_wrong: SplitLine,
    v2_corrected: SplitLine,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlatLine {
    edition: String,
    per_1k: Option<f64>,
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitLine {
    edition: String,
    input_per_1k: f64,
    output_per_1k: f64,
    note: String,
}

impl From<SplitLine> for Edition {
    fn from(line: SplitLine) -> Self {
        let prices = Prices { input_per_1k: line.input_per_1k, output_per_1k: line.output_per_1k };
        Edition { name: line.edition, prices, note: line.note }
    }
}

impl PriceTable {
    /// The editions of `demo/prices.json`. Where V1 has no price of its own, it gets the price per token that V2 comes to over
    /// `past`: a flat price is fair on average and wrong for every single request.
    pub fn of_demo(past: &[Request]) -> Result<Self> {
        Self::parse(EDITIONS, past).context("demo/prices.json")
    }

    fn parse(json: &str, past: &[Request]) -> Result<Self> {
        let file: File = serde_json::from_str(json)?;
        let v2 = Edition::from(file.v2);
        let flat = file.v1.per_1k.unwrap_or_else(|| average_per_1k(v2.prices, past));
        let v1 = Edition { name: file.v1.edition, prices: Prices::flat(flat), note: file.v1.note };
        let table = PriceTable { v1, v2, wrong: file.v2_wrong.into(), corrected: file.v2_corrected.into() };
        for edition in [&table.v1, &table.v2, &table.wrong, &table.corrected] {
            ensure!(edition.prices.is_sound(), "{}: prices must be finite and not negative", edition.name);
        }
        Ok(table)
    }
}

fn average_per_1k(prices: Prices, past: &[Request]) -> f64 {
    let tokens: f64 = past.iter().map(|r| f64::from(r.context_tokens) + f64::from(r.generated_tokens)).sum();
    let cents: f64 = past.iter().map(|r| prices.cost(r.context_tokens, r.generated_tokens)).sum();
    if tokens > 0.0 { 1000.0 * cents / tokens } else { prices.input_per_1k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator;

    const APART: Prices = Prices { input_per_1k: 3.0, output_per_1k: 6.0 };

    #[test]
    fn prices_input_and_output_are_priced_apart() {
        assert_eq!(APART.cost(1000, 0), 3.0);
        assert_eq!(APART.cost(0, 1000), 6.0);
        assert_eq!(APART.cost(374, 44), (374.0 * 3.0 + 44.0 * 6.0) / 1000.0);
        assert_eq!(APART.cost(0, 0), 0.0);
    }

    #[test]
    fn prices_flat_price_sees_only_the_sum() {
        let flat = Prices::flat(4.0);
        assert_eq!(flat.cost(900, 100), flat.cost(100, 900));
        assert_eq!(flat.cost(500, 500), 4.0);
    }

    #[test]
    fn prices_largest_request_stays_finite() {
        assert!(APART.cost(i32::MAX, i32::MAX).is_finite());
    }

    #[test]
    fn drift_is_relative_to_v1_and_has_no_sign() {
        assert_eq!(drift(100.0, 120.0), 0.2);
        assert_eq!(drift(100.0, 80.0), 0.2);
        assert_eq!(drift(0.0, 0.0), 0.0);
        assert_eq!(drift(0.0, 5.0), 1.0);
    }

    #[test]
    fn price_table_of_the_demo_is_near_before_and_far_after() {
        let trace = generator::requests(1, 8000);
        let table = PriceTable::of_demo(&trace[..4000]).unwrap();
        let sum = |edition: &Edition, part: &[Request]| -> f64 {
            part.iter().map(|r| edition.prices.cost(r.context_tokens, r.generated_tokens)).sum()
        };
        for window in trace.chunks(200) {
            let v1 = sum(&table.v1, window);
            assert!(
                drift(v1, sum(&table.v2, window)) < 0.15,
                "the right edition stays under the threshold of 0.2"
            );
            assert!(drift(v1, sum(&table.wrong, window)) > 0.4, "the wrong edition is clearly above it");
            assert_eq!(sum(&table.corrected, window), sum(&table.v2, window));
        }
    }

    #[test]
    fn price_table_without_tokens_still_has_a_price() {
        assert_eq!(PriceTable::of_demo(&[]).unwrap().v1.prices, Prices::flat(3.0));
    }

    #[test]
    fn price_table_refuses_a_negative_price() {
        let error = PriceTable::parse(&EDITIONS.replace("12.0", "-12.0"), &[]).unwrap_err();
        assert!(error.to_string().contains("v2-2024.2"), "{error}");
    }

    #[test]
    fn price_table_refuses_a_key_nobody_reads() {
        assert!(PriceTable::parse(&EDITIONS.replace("\"output_per_1k\"", "\"output_per_1m\""), &[]).is_err());
    }
}
