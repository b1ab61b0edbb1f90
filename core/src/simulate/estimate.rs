//! Pricing a plan, and two prices of it side by side.

use super::Fault;
use std::collections::HashSet;

use super::model::{Formula, Model, Shape, Skill, UNKNOWN};
use super::plan::{Plan, Step};
use crate::verdict::{self, Verdict, rounded};

/// The most output that a prompt is expected to have, in characters.
const MOST_OUTPUT: f64 = 4_000.0;

/// Inputs longer than these lower the confidence.
const LONG_INPUT: f64 = 2_000.0;
const VERY_LONG_INPUT: f64 = 4_000.0;

/// Commands longer than this are riskier.
const LONG_COMMAND: f64 = 100.0;

/// The seconds after which a request is given up that does not say.
const DEFAULT_TIMEOUT: f64 = 30.0;

/// Whether a plan can run. When several things keep it from that, the first of this order is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feasibility {
    /// It has no steps.
    InvalidPlan,
    /// The model knows nothing of one of its skills.
    SkillUnavailable,
    /// It costs more than there is.
    BudgetInsufficient,
    /// One of its skills is not allowed.
    PermissionDenied,
    /// It fails more likely than the model's threshold.
    RiskTooHigh,
    /// It can.
    Feasible,
}

impl Feasibility {
    /// As it is stored and reported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidPlan => "invalid_plan",
            Self::SkillUnavailable => "skill_unavailable",
            Self::BudgetInsufficient => "budget_insufficient",
            Self::PermissionDenied => "permission_denied",
            Self::RiskTooHigh => "risk_too_high",
            Self::Feasible => "feasible",
        }
    }
}

/// What an estimate rests on that makes it less sure, or a step riskier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// The model has no costs of the skill and took those of the unknown one.
    UnknownSkill,
    /// The input is longer than 2,000.
    LongInput,
    /// The input is longer than 4,000.
    VeryLongInput,
    /// The request leaves the machine.
    ExternalRequest,
    /// The command is longer than 100 characters.
    LongCommand,
}

impl Warning {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownSkill => "skill without costs of its own",
            Self::LongInput => "input longer than 2,000",
            Self::VeryLongInput => "input longer than 4,000",
            Self::ExternalRequest => "request to another machine",
            Self::LongCommand => "command longer than 100 characters",
        }
    }
}

/// One step's part of an estimate, all its iterations together.
#[derive(Debug, Clone, PartialEq)]
pub struct StepEstimate<'p> {
    /// What it does.
    pub skill: &'p str,
    /// In cents.
    pub cost: f64,
    /// In milliseconds.
    pub latency_ms: f64,
    /// From 0 to 1.
    pub confidence: f64,
}

/// A way in which a step may fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Risk<'p, 'm> {
    /// Which step, from 0.
    pub step: usize,
    /// What it does.
    pub skill: &'p str,
    /// How it fails.
    pub risk_type: &'m str,
    /// That it does so at least once.
    pub probability: f64,
}

/// What a plan will cost, and whether it can run.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate<'p, 'm> {
    /// By which formula.
    pub formula: Formula,
    /// Whether it can run.
    pub feasibility: Feasibility,
    /// In cents, rounded as the model says.
    pub cost: f64,
    /// In whole milliseconds.
    pub duration_ms: f64,
    /// What is left of the budget, in cents; negative when there is not enough.
    pub budget_remaining: f64,
    /// The cost as a share of the budget, which counts as one cent at least.
    pub budget_utilization: f64,
    /// How sure the estimate is, by the new formula.
    pub confidence: Option<f64>,
    /// That any of the risks comes true.
    pub cumulative_risk: f64,
    /// Step by step.
    pub steps: Vec<StepEstimate<'p>>,
    /// Those that are worth naming.
    pub risks: Vec<Risk<'p, 'm>>,
    /// What makes the estimate less sure, and in which step.
    pub warnings: Vec<(usize, Warning)>,
}

impl Estimate<'_, '_> {
    /// Whether the plan can run.
    pub fn is_feasible(&self) -> bool {
        self.feasibility == Feasibility::Feasible
    }

    /// The one word for the answer: the old formula's says whether the plan can run, the new one's whether there was one.
    pub fn status(&self) -> &'static str {
        match (self.formula, self.feasibility) {
            (Formula::V1, feasibility) => feasibility.as_str(),
            (Formula::V2, Feasibility::InvalidPlan) => "schema_error",
            (Formula::V2, _) => "success",
        }
    }
}

/// What one run of a step comes to.
struct Run {
    cost: f64,
    latency_ms: f64,
    confidence: f64,
    risk: f64,
    warning: Option<Warning>,
}

/// Prices one run of a step.
fn price(formula: Formula, step: &Step<'_>, skill: &Skill) -> Run {
    let mut run = Run {
        cost: skill.cost,
        latency_ms: skill.latency_ms,
        confidence: skill.confidence,
        risk: skill.risk,
        warning: None,
    };
    match (formula, skill.shape) {
        (Formula::V1, Shape::Llm) => {
            let thousands = (step.input_size() / 1_000.0).floor();
            run.cost = skill.cost.max(thousands * skill.cost_per_1k_input);
        }
        (Formula::V1, Shape::Http) => {
            if let Some(timeout) = step.timeout() {
                run.latency_ms = skill.latency_ms.min(timeout * 1_000.0);
            }
        }
        (Formula::V2, Shape::Llm) => {
            let input = step.input_size();
            let output = step.output_size().unwrap_or_else(|| (2.0 * input).min(MOST_OUTPUT));
            run.cost +=
                skill.cost_per_1k_input * input / 1_000.0 + skill.cost_per_1k_output * output / 1_000.0;
            run.latency_ms += skill.latency_per_1k * input / 1_000.0;
            if input > LONG_INPUT {
                run.confidence *= 0.95;
                run.warning = Some(Warning::LongInput);
            }
            if input > VERY_LONG_INPUT {
                run.confidence *= 0.90;
                run.warning = Some(Warning::VeryLongInput);
            }
        }
        (Formula::V2, Shape::Http) => {
            let most = step.timeout().unwrap_or(DEFAULT_TIMEOUT) * 1_000.0;
            run.latency_ms = (skill.latency_ms + skill.latency_variance_ms).min(most);
            if !step.is_local() {
                run.risk = (run.risk * 1.5).min(1.0);
                run.confidence *= 0.95;
                run.warning = Some(Warning::ExternalRequest);
            }
        }
        (Formula::V2, Shape::Shell) => {
            if step.command_length() > LONG_COMMAND {
                run.risk = (run.risk * 1.2).min(1.0);
                run.confidence *= 0.95;
                run.warning = Some(Warning::LongCommand);
            }
        }
        (_, Shape::Flat) | (Formula::V1, Shape::Shell) => {}
    }
    run
}

/// The costs of a skill, and whether they are those of the unknown one.
fn costs_of<'m>(model: &'m Model, skill: &str) -> Option<(&'m Skill, bool)> {
    match model.skills.get(skill) {
        Some(own) => Some((own, skill == UNKNOWN)),
        None => Some((model.skills.get(UNKNOWN)?, true)),
    }
}

fn overflow(index: usize, step: &Step<'_>) -> Fault {
    Fault::Overflow { index, skill: step.skill.chars().take(100).collect() }
}

/// What a plan will cost, in cents: [`Estimate::cost`] alone.
pub fn cost(plan: &Plan<'_>, model: &Model) -> Result<f64, Fault> {
    let (mut total, mut duration) = (0.0, 0.0);
    for (index, step) in plan.steps.iter().enumerate() {
        if let Some((skill, _)) = costs_of(model, &step.skill) {
            let run = price(model.formula, step, skill);
            total += run.cost * step.iterations();
            // Nobody asks for it, but a plan is refused by both or by neither.
            duration += run.latency_ms * step.iterations();
            if !f64::is_finite(total) || !f64::is_finite(duration) {
                return Err(overflow(index, step));
            }
        }
    }
    Ok(rounded(total, model.cost_decimals))
}

/// Prices a plan within a budget of so many cents; without a list of allowed skills all of them are.
pub fn simulate<'p, 'm>(
    plan: &'p Plan<'_>,
    budget: f64,
    model: &'m Model,
    allowed: Option<&HashSet<&str>>,
) -> Result<Estimate<'p, 'm>, Fault> {
    let mut steps = Vec::with_capacity(plan.steps.len());
    let (mut risks, mut warnings) = (Vec::new(), Vec::new());
    let (mut total, mut duration, mut confidence, mut safety) = (0.0, 0.0, 1.0, 1.0);
    let (mut is_known, mut is_allowed) = (true, true);
    for (index, step) in plan.steps.iter().enumerate() {
        is_allowed &= allowed.is_none_or(|allowed| allowed.contains(step.skill.as_ref()));
        let Some((skill, is_unknown)) = costs_of(model, &step.skill) else {
            is_known = false;
            continue;
        };
        let run = price(model.formula, step, skill);
        let iterations = step.iterations();
        let (cost, latency_ms) = (run.cost * iterations, run.latency_ms * iterations);
        total += cost;
        duration += latency_ms;
        if !f64::is_finite(total) || !f64::is_finite(duration) {
            return Err(overflow(index, step));
        }
        if iterations == 0.0 {
            // What is never done is neither risky nor unsure.
            steps.push(StepEstimate { skill: &step.skill, cost, latency_ms, confidence: 1.0 });
            continue;
        }
        confidence *= run.confidence;
        // Once is no power: it is the coefficient itself.
        let probability = if iterations == 1.0 { run.risk } else { 1.0 - (1.0 - run.risk).powf(iterations) };
        let is_significant = run.risk > model.significant_risk;
        if is_significant || model.formula == Formula::V1 {
            safety *= 1.0 - probability;
        }
        if is_significant {
            risks.push(Risk { step: index, skill: &step.skill, risk_type: &skill.risk_type, probability });
        }
        let unknown = is_unknown.then_some(Warning::UnknownSkill);
        warnings.extend(unknown.into_iter().chain(run.warning).map(|what| (index, what)));
        steps.push(StepEstimate { skill: &step.skill, cost, latency_ms, confidence: run.confidence });
    }
    let cost = rounded(total, model.cost_decimals);
    let cumulative_risk = 1.0 - safety;
    let feasibility = if plan.steps.is_empty() {
        Feasibility::InvalidPlan
    } else if !is_known {
        Feasibility::SkillUnavailable
    } else if cost > budget {
        Feasibility::BudgetInsufficient
    } else if !is_allowed {
        Feasibility::PermissionDenied
    } else if cumulative_risk > model.risk_threshold {
        Feasibility::RiskTooHigh
    } else {
        Feasibility::Feasible
    };
    Ok(Estimate {
        formula: model.formula,
        feasibility,
        cost,
        duration_ms: duration.round_ties_even(),
        budget_remaining: budget - cost,
        budget_utilization: cost / budget.max(1.0),
        confidence: (model.formula == Formula::V2).then_some(confidence),
        cumulative_risk,
        steps,
        risks,
        warnings,
    })
}

/// Two estimates of one plan side by side. Scores are not rounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The costs in cents.
    pub v1_cost: f64,
    /// Of the second model.
    pub v2_cost: f64,
    /// The durations in milliseconds.
    pub v1_duration_ms: f64,
    /// By the second model.
    pub v2_duration_ms: f64,
    /// Whether the plan can run.
    pub v1_feasible: bool,
    /// By the second model.
    pub v2_feasible: bool,
    /// The reference's score.
    pub drift_score: f64,
    /// The one that is the same from both sides.
    pub symmetric_drift_score: f64,
}

impl Comparison {
    /// v2 - v1, in cents.
    pub fn cost_delta(&self) -> f64 {
        self.v2_cost - self.v1_cost
    }

    /// The difference relative to the first cost.
    pub fn cost_delta_pct(&self) -> f64 {
        verdict::cost_delta_pct(self.v1_cost, self.v2_cost)
    }

    /// v2 - v1, in milliseconds.
    pub fn duration_delta_ms(&self) -> f64 {
        self.v2_duration_ms - self.v1_duration_ms
    }

    /// Whether both models agree that the plan can run, or cannot.
    pub fn feasibility_match(&self) -> bool {
        self.v1_feasible == self.v2_feasible
    }

    /// The reference's word for it.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(self.drift_score)
    }

    /// The word for the symmetric score.
    pub fn symmetric_verdict(&self) -> Verdict {
        Verdict::of(self.symmetric_drift_score)
    }
}

/// Holds two estimates of one plan side by side.
pub fn compare(v1: &Estimate<'_, '_>, v2: &Estimate<'_, '_>) -> Comparison {
    let feasibility_match = v1.is_feasible() == v2.is_feasible();
    Comparison {
        v1_cost: v1.cost,
        v2_cost: v2.cost,
        v1_duration_ms: v1.duration_ms,
        v2_duration_ms: v2.duration_ms,
        v1_feasible: v1.is_feasible(),
        v2_feasible: v2.is_feasible(),
        drift_score: verdict::drift_score(v1.cost, v2.cost, feasibility_match),
        symmetric_drift_score: verdict::symmetric_drift_score(v1.cost, v2.cost, feasibility_match),
    }
}
