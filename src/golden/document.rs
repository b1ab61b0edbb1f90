//! A golden set as its JSON document says it: its keys, what may stand in them, and how it is read.
//!
//! A key that nobody knows is refused: it is a spelling mistake more often than not. A plan that no model could price is refused as well, with
//! its place, for it would be an outlier for ever.

use std::borrow::Cow;

use costsim_core::bounded::Bounded;
use costsim_core::simulate::{Fault, Plan};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::convert;
use crate::error::{Error, Result};

/// The most bytes of one document, and the most samples of a set.
pub const LONGEST: usize = 64 << 20;
const MOST_SAMPLES: usize = 10_000;

/// The most characters of a name: at four bytes each it still fits an index.
const LONGEST_NAME: usize = 500;

/// The most characters of what is told of a fault.
const LONGEST_DETAIL: usize = 500;

const HINT: &str = "Nothing was stored. Elements are counted from 0; the keys are in the comment of costsim_load_golden_set.";

/// A golden set that is to be stored. The names are the keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Text<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default = "default_model")]
    model: Cow<'a, str>,
    #[serde(borrow, default)]
    model_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    limits: Option<&'a RawValue>,
    #[serde(default)]
    is_exact: bool,
    #[serde(default = "yes")]
    in_canary: bool,
    #[serde(borrow)]
    samples: Bounded<&'a RawValue, MOST_SAMPLES>,
}

/// What a set allows; what is left out is the table's default.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Limits {
    pub max_mean_error: Option<f64>,
    pub max_median_error: Option<f64>,
    pub max_std_deviation: Option<f64>,
    pub max_outlier_pct: Option<f64>,
    pub max_drift_score: Option<f64>,
}

/// One plan, and what a model ought to say of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct Sample<'a> {
    #[serde(borrow)]
    pub plan: &'a RawValue,
    #[serde(default = "default_budget")]
    pub budget_cents: f64,
    pub expected_cost_cents: Option<f64>,
    pub expected_feasible: Option<bool>,
    pub min_confidence: Option<f64>,
    pub expected_confidence: Option<f64>,
    pub expected_duration_ms: Option<f64>,
    pub expected_risk: Option<f64>,
    #[serde(borrow)]
    pub note: Option<Cow<'a, str>>,
}

/// A golden set that may be stored.
#[derive(Debug)]
pub struct Document<'a> {
    pub name: Cow<'a, str>,
    pub description: Option<Cow<'a, str>>,
    pub model: Cow<'a, str>,
    pub model_version: Option<Cow<'a, str>>,
    pub limits: Limits,
    pub is_exact: bool,
    pub in_canary: bool,
    pub samples: Vec<Sample<'a>>,
}

fn default_model() -> Cow<'static, str> {
    "v2".into()
}

fn default_budget() -> f64 {
    1_000.0
}

fn yes() -> bool {
    true
}

impl<'a> Document<'a> {
    /// Reads a document, or says what is wrong with it, and where.
    pub fn read(text: &'a str) -> Result<Self> {
        let Text { name, description, model, model_version, limits, is_exact, in_canary, samples } =
            object("document is not a golden set", text)?;
        if samples.rest > 0 {
            let count = samples.found.len() + samples.rest;
            return Err(Error::TooLarge {
                what: format!("samples has {count} elements, more than {MOST_SAMPLES}"),
            });
        }
        let names =
            [("name", Some(&name)), ("model", Some(&model)), ("model_version", model_version.as_ref())];
        for (key, name) in names {
            if name.is_some_and(|name| name.trim().is_empty() || name.chars().count() > LONGEST_NAME) {
                return Err(Error::invalid(format!("{key} must have 1 to {LONGEST_NAME} characters"), HINT));
            }
        }
        let limits: Limits =
            limits.map_or(Ok(Limits::default()), |limits| object("limits cannot be read", limits.get()))?;
        if let Some(fault) = limits.fault() {
            return Err(Error::invalid(format!("limits.{fault}"), HINT));
        }
        let samples =
            samples.found.iter().enumerate().map(|(index, sample)| Sample::read(index, sample.get()));
        let samples = samples.collect::<Result<_>>()?;
        Ok(Self { name, description, model, model_version, limits, is_exact, in_canary, samples })
    }
}

impl Limits {
    fn fault(&self) -> Option<String> {
        amount("max_mean_error", self.max_mean_error)
            .or_else(|| amount("max_median_error", self.max_median_error))
            .or_else(|| amount("max_std_deviation", self.max_std_deviation))
            .or_else(|| share("max_outlier_pct", self.max_outlier_pct))
            .or_else(|| share("max_drift_score", self.max_drift_score))
    }
}

impl<'a> Sample<'a> {
    fn read(index: usize, text: &'a str) -> Result<Self> {
        let sample: Self = object(&format!("samples[{index}] is not a sample"), text)?;
        if let Some(fault) = sample.fault() {
            return Err(Error::invalid(format!("samples[{index}].{fault}"), HINT));
        }
        match Plan::parse(sample.plan.get()) {
            Ok(_) => Ok(sample),
            Err(Fault::TooManySteps) => {
                Err(Error::TooLarge { what: format!("samples[{index}].{}", Fault::TooManySteps) })
            }
            Err(fault) => {
                let fault = fault.to_string();
                let fault = convert::beginning(&fault, LONGEST_DETAIL);
                Err(Error::invalid(format!("samples[{index}].{fault}"), HINT))
            }
        }
    }

    fn fault(&self) -> Option<String> {
        amount("budget_cents", Some(self.budget_cents))
            .or_else(|| amount("expected_cost_cents", self.expected_cost_cents))
            .or_else(|| amount("expected_duration_ms", self.expected_duration_ms))
            .or_else(|| share("min_confidence", self.min_confidence))
            .or_else(|| share("expected_confidence", self.expected_confidence))
            .or_else(|| share("expected_risk", self.expected_risk))
    }
}

/// What is wrong with a number of cents or milliseconds. What JSON can say is finite.
fn amount(key: &str, value: Option<f64>) -> Option<String> {
    let value = value.filter(|value| *value < 0.0)?;
    Some(format!("{key} must not be negative, not {value}"))
}

fn share(key: &str, value: Option<f64>) -> Option<String> {
    let value = value.filter(|value| !(0.0..=1.0).contains(value))?;
    Some(format!("{key} must be from 0 to 1, not {value}"))
}

/// Reads an object. (The reader would take an array of the values, in their order, for one.)
fn object<'a, T: Deserialize<'a>>(what: &str, text: &'a str) -> Result<T> {
    let refused = |detail: String| Error::Invalid {
        what: what.to_owned().into(),
        detail: Some(detail),
        hint: HINT.into(),
    };
    if !text.starts_with('{') {
        return Err(refused("it must be an object".into()));
    }
    serde_json::from_str(text).map_err(|error| refused(plain(&error)))
}

/// A reader's message without the place, which is one in the server's print of the document. It may quote all that it has read: of that
/// the beginning will do.
fn plain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    convert::beginning(message, LONGEST_DETAIL).to_owned()
}
