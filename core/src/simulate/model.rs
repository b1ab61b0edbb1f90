//! What a cost model knows.

use std::collections::HashMap;

/// The skill whose costs are those of every skill that has none of its own.
pub const UNKNOWN: &str = "unknown";

/// How a plan is priced by a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formula {
    /// The old one: whole thousands of input, every step's risk counts.
    V1,
    /// The new one: input and output by size, a confidence, and only risks that matter.
    V2,
}

impl Formula {
    /// The formula of this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "v1" => Some(Self::V1),
            "v2" => Some(Self::V2),
            _ => None,
        }
    }
}

/// Which parameters of a step change its costs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// None.
    Flat,
    /// A call of a language model: by the size of input and output.
    Llm,
    /// A call over the network: by its timeout, and whether it leaves the machine.
    Http,
    /// A command: by its length.
    Shell,
}

impl Shape {
    /// The shape of this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "flat" => Some(Self::Flat),
            "llm" => Some(Self::Llm),
            "http" => Some(Self::Http),
            "shell" => Some(Self::Shell),
            _ => None,
        }
    }
}

/// The coefficients of one skill. Costs are cents, times milliseconds, sizes characters, or tokens where a step says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Skill {
    /// What changes them.
    pub shape: Shape,
    /// Of one run.
    pub cost: f64,
    /// Of a thousand units of input.
    pub cost_per_1k_input: f64,
    /// Of a thousand units of output.
    pub cost_per_1k_output: f64,
    /// Of one run.
    pub latency_ms: f64,
    /// By how much that varies.
    pub latency_variance_ms: f64,
    /// Of a thousand units of input.
    pub latency_per_1k: f64,
    /// How sure the estimate is, from 0 to 1.
    pub confidence: f64,
    /// How likely one run fails, from 0 to 1.
    pub risk: f64,
    /// How it fails.
    pub risk_type: String,
}

/// A cost model: a formula and a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What it is called.
    pub name: String,
    /// Which of its versions this is.
    pub version: String,
    /// How it prices.
    pub formula: Formula,
    /// To how many decimals of a cent a plan's cost is rounded, half to even.
    pub cost_decimals: u8,
    /// A plan whose risk is above it is not run.
    pub risk_threshold: f64,
    /// A step's risk is listed when it is above it; by the new formula only such a risk counts.
    pub significant_risk: f64,
    /// What it knows of each skill.
    pub skills: HashMap<String, Skill>,
}

impl Model {
    /// The costs of a skill: its own, or those of the unknown one.
    pub fn skill(&self, name: &str) -> Option<&Skill> {
        self.skills.get(name).or_else(|| self.skills.get(UNKNOWN))
    }
}
