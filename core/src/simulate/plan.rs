//! A plan as its JSON text says it: what of each step a cost may depend on.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

use super::Fault;
use crate::bounded::{Bounded, Object};

/// The most steps of one plan.
pub const LARGEST_PLAN: usize = 10_000;

/// The most often a step may be repeated.
const MOST_ITERATIONS: f64 = 1e9;

/// The steps an agent means to take.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<'a> {
    /// In their order.
    pub steps: Vec<Step<'a>>,
}

/// One step. What else stands in its text is not read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Step<'a> {
    /// What it does.
    #[serde(borrow)]
    pub skill: Cow<'a, str>,
    /// What with.
    #[serde(default, deserialize_with = "object")]
    pub params: Option<Params>,
    /// How often; once where it does not say.
    pub iterations: Option<Iterations>,
}

/// The parameters that a cost may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
pub struct Params {
    /// What a language model is asked.
    pub prompt: Option<Length>,
    /// How many tokens that has.
    pub prompt_tokens: Option<Size>,
    /// How many tokens the answer has.
    pub completion_tokens: Option<Size>,
    /// After how many seconds a request is given up.
    pub timeout: Option<Size>,
    /// Where it goes.
    pub url: Option<Locality>,
    /// What is run.
    pub command: Option<Length>,
}

/// A whole number from 0 to 1,000,000,000.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iterations(f64);

impl Iterations {
    /// The number, if it is one.
    pub fn new(number: f64) -> Option<Self> {
        (number.fract() == 0.0 && (0.0..=MOST_ITERATIONS).contains(&number)).then_some(Self(number))
    }
}

/// A finite number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size(f64);

impl Size {
    /// The number, if it is one.
    pub fn new(number: f64) -> Option<Self> {
        (number.is_finite() && number >= 0.0).then_some(Self(number))
    }
}

/// The number of characters of a text, which is not kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Length(f64);

impl Length {
    /// Of a text in UTF-8.
    pub fn of(text: &[u8]) -> Self {
        // Each character has one byte that continues none.
        Self(text.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as f64)
    }
}

/// Whether an address is one of this machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Locality(bool);

impl Locality {
    /// Of an address.
    pub fn of(url: &[u8]) -> Self {
        Self(url.starts_with(b"http://localhost") || url.starts_with(b"http://127.0.0.1"))
    }
}

impl Step<'_> {
    /// How often it is done.
    pub fn iterations(&self) -> f64 {
        self.iterations.map_or(1.0, |iterations| iterations.0)
    }

    /// The size of its input: tokens if the step counts them, else the characters of its prompt.
    pub fn input_size(&self) -> f64 {
        let params = self.params();
        params.prompt_tokens.map(|size| size.0).or(params.prompt.map(|length| length.0)).unwrap_or_default()
    }

    /// The size of its output, where the step knows it.
    pub fn output_size(&self) -> Option<f64> {
        self.params().completion_tokens.map(|size| size.0)
    }

    /// After how many seconds it is given up.
    pub fn timeout(&self) -> Option<f64> {
        self.params().timeout.map(|size| size.0)
    }

    /// Whether its request stays on this machine.
    pub fn is_local(&self) -> bool {
        self.params().url.is_some_and(|url| url.0)
    }

    /// How many characters its command has.
    pub fn command_length(&self) -> f64 {
        self.params().command.map_or(0.0, |length| length.0)
    }

    fn params(&self) -> Params {
        self.params.unwrap_or_default()
    }
}

impl<'a> Plan<'a> {
    /// Reads a plan, or says what is wrong with it, and where.
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        match serde_json::from_str::<Bounded<Object<Step<'a>>, LARGEST_PLAN>>(text) {
            Ok(Bounded { found, rest: 0 }) if found.iter().all(|step| !step.0.skill.is_empty()) => {
                Ok(Self { steps: found.into_iter().map(|step| step.0).collect() })
            }
            _ => Err(fault(text)),
        }
    }
}

fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

/// Reads a text without keeping it.
struct Look<T>(fn(&str) -> T);

impl<T> Visitor<'_> for Look<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(self.0(text))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Look(|text| Self::of(text.as_bytes())))
    }
}

impl<'de> Deserialize<'de> for Locality {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Look(|text| Self::of(text.as_bytes())))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("it is negative"))
    }
}

impl<'de> Deserialize<'de> for Iterations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("it is no whole number from 0 to 1,000,000,000"))
    }
}

/// What is wrong with a text that is no plan. Looked for part by part, once it is known that there is something.
fn fault(text: &str) -> Fault {
    let Ok(Bounded { found, rest }) = serde_json::from_str::<Bounded<&RawValue, LARGEST_PLAN>>(text) else {
        return Fault::NotAnArray;
    };
    let faults = found.iter().map(|step| fault_of_step(step.get()));
    match faults.enumerate().find_map(|(index, fault)| Some((index, fault?))) {
        Some((index, what)) => Fault::Step { index, what },
        None if rest > 0 => Fault::TooManySteps,
        None => Fault::NotAnArray,
    }
}

/// The members of a step, unread.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    skill: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    iterations: Option<&'a RawValue>,
}

/// The members of params, unread.
#[derive(Deserialize)]
struct ParamFields<'a> {
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    command: Option<&'a RawValue>,
}

fn fault_of_step(step: &str) -> Option<String> {
    let Ok(Object(fields)) = serde_json::from_str::<Object<Fields<'_>>>(step) else {
        return Some(" must be an object".into());
    };
    let Some(skill) = fields.skill else { return Some(" has no skill".into()) };
    if serde_json::from_str(skill.get()).is_ok_and(|skill: Cow<'_, str>| skill.is_empty()) {
        return Some(".skill must not be empty".into());
    }
    fault_in::<Cow<'_, str>>(fields.skill, ".skill")
        .or_else(|| fault_in::<Iterations>(fields.iterations, ".iterations"))
        .or_else(|| fault_of_params(fields.params?.get()))
}

fn fault_of_params(params: &str) -> Option<String> {
    let Ok(Object(fields)) = serde_json::from_str::<Object<ParamFields<'_>>>(params) else {
        return Some(".params must be an object".into());
    };
    fault_in::<Length>(fields.prompt, ".params.prompt")
        .or_else(|| fault_in::<Size>(fields.prompt_tokens, ".params.prompt_tokens"))
        .or_else(|| fault_in::<Size>(fields.completion_tokens, ".params.completion_tokens"))
        .or_else(|| fault_in::<Size>(fields.timeout, ".params.timeout"))
        .or_else(|| fault_in::<Length>(fields.url, ".params.url"))
        .or_else(|| fault_in::<Length>(fields.command, ".params.command"))
}

/// What is wrong with a member that should be read as a `T`.
fn fault_in<'a, T: Deserialize<'a>>(member: Option<&'a RawValue>, place: &str) -> Option<String> {
    let error = serde_json::from_str::<T>(member?.get()).err()?;
    Some(format!("{place}: {}", plain(&error)))
}

/// A reader's message without its place, which is a place in a part of the text.
fn plain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    // It may quote what it found, however long that is.
    message.chars().take(200).collect()
}
