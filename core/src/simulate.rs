//! What a plan will cost, by a cost model.
//!
//! A [`Plan`] is the steps an agent means to take; a [`Model`] knows what each skill costs, how long it takes and how often it fails. Two
//! formulas are known, [`Formula`]; which skills there are and what they cost is the model's own table. [`simulate`] prices a plan
//! and says whether it can run, [`compare`] holds two estimates side by side.
//!
//! Promises: the reference's numbers for the reference's tables; the same estimate for the same arguments; iterations
//! count in both formulas; costs are finite, or the step is named that made them overflow. Does not: know what a step will do, or read a price
//! from anywhere.

mod estimate;
mod model;
mod plan;

pub use estimate::{Comparison, Estimate, Feasibility, Risk, StepEstimate, Warning, compare, cost, simulate};
pub use model::{Formula, Model, Shape, Skill, UNKNOWN};
pub use plan::{Iterations, LARGEST_PLAN, Length, Locality, Params, Plan, Size, Step};

use std::fmt;

/// Why a plan cannot be priced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is no array.
    NotAnArray,
    /// It has more than [`LARGEST_PLAN`] steps.
    TooManySteps,
    /// A step is not one: where, and what is wrong with it.
    Step {
        /// Counted from 0.
        index: usize,
        /// As it is said after the place: `skill must be a text`.
        what: String,
    },
    /// The costs are beyond every number.
    Overflow {
        /// The step that was too much.
        index: usize,
        /// Its skill.
        skill: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArray => f.write_str("plan must be a JSON array of steps"),
            Self::TooManySteps => write!(f, "plan has more than {LARGEST_PLAN} steps"),
            Self::Step { index, what } => write!(f, "plan[{index}]{what}"),
            Self::Overflow { index, skill } => write!(f, "costs of plan[{index}] ({skill}) are out of range"),
        }
    }
}

impl std::error::Error for Fault {}
