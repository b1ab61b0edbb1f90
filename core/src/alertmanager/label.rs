//! Labels, which identify an alert, and annotations, which describe it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::kind;

/// The identity of an alert: names `[a-zA-Z_][a-zA-Z0-9_]*`, values never empty, at least one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSet(BTreeMap<String, String>);

/// The description of an alert. Names follow the rule of label names; values may be empty, and there may be none at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(BTreeMap<String, String>);

/// Why a JSON value is no label set, or no annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadLabels {
    /// The whole is not an object.
    NotAnObject {
        /// What it is instead.
        found: &'static str,
    },
    /// A name that Alertmanager refuses.
    Name {
        /// The name.
        name: String,
    },
    /// A value that is not a string.
    NotAString {
        /// The name it stands under.
        name: String,
        /// What it is instead.
        found: &'static str,
    },
    /// No label has a value.
    Empty,
}

impl fmt::Display for BadLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject { found } => write!(f, "must be an object of strings, not {found}"),
            Self::Name { name } => {
                write!(f, "name {name:?} must be letters, digits and underscores and not begin with a digit")
            }
            Self::NotAString { name, found } => write!(f, "value of {name:?} must be a string, not {found}"),
            Self::Empty => f.write_str("must hold at least one label with a value"),
        }
    }
}

impl std::error::Error for BadLabels {}

impl LabelSet {
    /// Reads a JSON object of strings. Labels with an empty value are dropped, as Alertmanager drops them: to Prometheus
    /// an empty label and a missing one are the same thing.
    pub fn from_json(value: &Value) -> Result<Self, BadLabels> {
        let mut labels = strings(value)?;
        labels.retain(|_, value| !value.is_empty());
        if labels.is_empty() {
            return Err(BadLabels::Empty);
        }
        Ok(Self(labels))
    }

    /// The labels as a JSON object.
    pub fn to_json(&self) -> Value {
        to_json(&self.0)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of one label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The fingerprint under which Alertmanager keeps the alert.
    pub fn fingerprint(&self) -> Fingerprint {
        // 64-bit FNV-1a, over names in byte order; 0xff closes each part because it occurs in no UTF-8 text.
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let parts = self.0.iter().flat_map(|(name, value)| [name, value]);
        let bytes = parts.flat_map(|part| part.bytes().chain([0xff]));
        Fingerprint(bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
    }
}

impl Annotations {
    /// Reads a JSON object of strings.
    pub fn from_json(value: &Value) -> Result<Self, BadLabels> {
        strings(value).map(Self)
    }

    /// The annotations as a JSON object.
    pub fn to_json(&self) -> Value {
        to_json(&self.0)
    }
}

/// Prometheus' `model.Fingerprint` of a label set; prints as the 16 lower-case hexadecimal digits of Alertmanager's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn strings(value: &Value) -> Result<BTreeMap<String, String>, BadLabels> {
    let Value::Object(object) = value else {
        return Err(BadLabels::NotAnObject { found: kind(value) });
    };
    let entry = |(name, value): (&String, &Value)| {
        if !is_name(name) {
            return Err(BadLabels::Name { name: shortened(name) });
        }
        match value {
            Value::String(value) => Ok((name.clone(), value.clone())),
            _ => Err(BadLabels::NotAString { name: shortened(name), found: kind(value) }),
        }
    };
    object.iter().map(entry).collect()
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Enough of a name to recognise it: an error message is not the place for a megabyte that was given as a name.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

fn to_json(strings: &BTreeMap<String, String>) -> Value {
    strings.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect()
}
