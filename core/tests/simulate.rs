//! Both formulas give the reference's numbers, and scores keep their bounds.

#![allow(clippy::expect_used)]

use std::collections::{HashMap, HashSet};

use costsim_core::simulate::{
    Estimate, Fault, Feasibility, Formula, Model, Plan, Shape, Skill, Warning, compare, cost, simulate,
};
use costsim_core::verdict::{
    Verdict, cost_delta_pct, drift_score, relative_difference, rounded, symmetric_drift_score,
};
use proptest::prelude::*;

/// The coefficients of a skill, in the order of the reference's tables.
fn skill(shape: Shape, cost: f64, latency_ms: f64, confidence: f64, risk: f64, risk_type: &str) -> Skill {
    Skill {
        shape,
        cost,
        cost_per_1k_input: 0.0,
        cost_per_1k_output: 0.0,
        latency_ms,
        latency_variance_ms: 0.0,
        latency_per_1k: 0.0,
        confidence,
        risk,
        risk_type: risk_type.into(),
    }
}

fn model(formula: Formula, significant_risk: f64, skills: Vec<(&str, Skill)>) -> Model {
    let skills: HashMap<_, _> = skills.into_iter().map(|(name, skill)| (name.to_owned(), skill)).collect();
    let name = if formula == Formula::V1 { "v1" } else { "v2" };
    Model {
        name: name.into(),
        version: "1".into(),
        formula,
        cost_decimals: 0,
        risk_threshold: 0.5,
        significant_risk,
        skills,
    }
}

/// The old model, in the reference's numbers.
fn v1() -> Model {
    use Shape::{Flat, Http, Llm};
    let llm = Skill { cost_per_1k_input: 1.0, ..skill(Llm, 5.0, 2000.0, 1.0, 0.05, "rate_limit") };
    model(
        Formula::V1,
        0.05,
        vec![
            ("http_call", skill(Http, 0.0, 500.0, 1.0, 0.10, "timeout")),
            ("llm_invoke", llm),
            ("json_transform", skill(Flat, 0.0, 10.0, 1.0, 0.01, "transform_error")),
            ("fs_read", skill(Flat, 0.0, 50.0, 1.0, 0.05, "not_found")),
            ("email_send", skill(Flat, 1.0, 500.0, 1.0, 0.05, "delivery")),
            ("unknown", skill(Flat, 10.0, 1000.0, 1.0, 0.20, "unknown")),
        ],
    )
}

/// The new model, in the reference's numbers.
fn v2() -> Model {
    use Shape::{Flat, Http, Llm, Shell};
    let llm = Skill {
        cost_per_1k_input: 0.8,
        cost_per_1k_output: 1.2,
        latency_per_1k: 200.0,
        ..skill(Llm, 3.5, 1800.0, 0.92, 0.03, "rate_limit")
    };
    let http = Skill { latency_variance_ms: 150.0, ..skill(Http, 0.0, 350.0, 0.85, 0.08, "timeout") };
    model(
        Formula::V2,
        0.02,
        vec![
            ("http_call", http),
            ("llm_invoke", llm),
            ("json_transform", skill(Flat, 0.0, 5.0, 0.98, 0.005, "transform_error")),
            ("shell_lite", skill(Shell, 0.0, 150.0, 0.88, 0.07, "timeout")),
            ("email_send", skill(Flat, 0.8, 350.0, 0.93, 0.03, "delivery")),
            ("unknown", skill(Flat, 5.0, 500.0, 0.60, 0.15, "unknown")),
        ],
    )
}

fn plan(text: &str) -> Plan<'_> {
    Plan::parse(text).expect("a plan")
}

fn llm(characters: usize) -> String {
    format!(r#"{{"skill": "llm_invoke", "params": {{"prompt": "{}"}}}}"#, "é".repeat(characters))
}

fn priced<'p, 'm>(plan: &'p Plan<'_>, model: &'m Model) -> Estimate<'p, 'm> {
    simulate(plan, 1000.0, model, None).expect("an estimate")
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn old_model_prices_as_the_reference() {
    for (characters, cents) in [(0, 5.0), (5_000, 5.0), (5_999, 5.0), (6_000, 6.0), (12_345, 12.0)] {
        let text = format!("[{}]", llm(characters));
        assert_eq!(priced(&plan(&text), &v1()).cost, cents, "{characters} characters");
    }
    let text = r#"[{"skill": "http_call", "params": {"timeout": 0.2}}, {"skill": "http_call"},
                   {"skill": "teleport"}, {"skill": "email_send", "iterations": 3}]"#;
    let plan = plan(text);
    let model = v1();
    let estimate = priced(&plan, &model);
    assert_eq!((estimate.cost, estimate.duration_ms), (13.0, 200.0 + 500.0 + 1000.0 + 1500.0));
    // Every step counts; those above 0.05 are listed.
    let safety = 0.9 * 0.9 * 0.8 * 0.95_f64.powi(3);
    assert!(close(estimate.cumulative_risk, 1.0 - safety), "{}", estimate.cumulative_risk);
    assert_eq!(estimate.risks.iter().map(|risk| risk.step).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!((estimate.status(), estimate.confidence), ("feasible", None));
}

#[test]
fn new_model_prices_as_the_reference() {
    // 3.5 + 0.8 a thousand in + 1.2 a thousand out, of which there are twice as many, at most 4,000.
    for (characters, cents) in [(0, 4.0), (1_000, 7.0), (5_000, 12.0), (20_000, 24.0)] {
        let text = format!("[{}]", llm(characters));
        assert_eq!(priced(&plan(&text), &v2()).cost, cents, "{characters} characters");
    }
    let text = format!("[{}, {}]", llm(5_000), llm(5_000));
    let two = plan(&text);
    assert_eq!((priced(&two, &v1()).cost, priced(&two, &v2()).cost), (10.0, 25.0));
    let model = v2();
    let estimate = priced(&two, &model);
    assert!(close(estimate.confidence.expect("one"), (0.92 * 0.95 * 0.90_f64).powi(2)));
    assert_eq!(estimate.duration_ms, 2.0 * (1800.0 + 1000.0));
    assert_eq!(estimate.warnings, [(0, Warning::VeryLongInput), (1, Warning::VeryLongInput)]);
    assert_eq!(estimate.status(), "success");
}

#[test]
fn new_model_looks_at_address_timeout_and_command() {
    let command = "x".repeat(101);
    let text = format!(
        r#"[{{"skill": "http_call", "params": {{"url": "http://localhost:80/"}}}},
            {{"skill": "http_call", "params": {{"url": "https://api.example.com", "timeout": 0.3}}}},
            {{"skill": "http_call"}},
            {{"skill": "shell_lite", "params": {{"command": "{command}"}}}}]"#
    );
    let plan = plan(&text);
    let model = v2();
    let estimate = priced(&plan, &model);
    let latencies: Vec<_> = estimate.steps.iter().map(|step| step.latency_ms).collect();
    assert_eq!(latencies, [500.0, 300.0, 500.0, 150.0]);
    let risks: Vec<_> = estimate.risks.iter().map(|risk| rounded(risk.probability, 4)).collect();
    assert_eq!(risks, [0.08, 0.12, 0.12, 0.084]);
    let confidences: Vec<_> = estimate.steps.iter().map(|step| rounded(step.confidence, 4)).collect();
    assert_eq!(confidences, [0.85, 0.8075, 0.8075, 0.836]);
}

#[test]
fn insignificant_risks_do_not_count_in_the_new_model() {
    let plan = plan(r#"[{"skill": "json_transform", "iterations": 1000}]"#);
    let (old, new) = (v1(), v2());
    assert_eq!(priced(&plan, &new).cumulative_risk, 0.0);
    assert!(priced(&plan, &old).cumulative_risk > 0.99);
}

#[test]
fn iterations_count_in_both() {
    let plan = plan(r#"[{"skill": "llm_invoke", "params": {"prompt": "hi"}, "iterations": 10}]"#);
    let (old, new) = (v1(), v2());
    let (v1, v2) = (priced(&plan, &old), priced(&plan, &new));
    assert_eq!((v1.cost, v2.cost), (50.0, 35.0));
    assert!(close(v2.risks[0].probability, 1.0 - 0.97_f64.powi(10)));
}

#[test]
fn step_that_is_never_done_costs_and_risks_nothing() {
    let plan = plan(r#"[{"skill": "unknown", "iterations": 0}]"#);
    let new = v2();
    let estimate = priced(&plan, &new);
    assert_eq!((estimate.cost, estimate.confidence, estimate.cumulative_risk), (0.0, Some(1.0), 0.0));
    assert!(estimate.risks.is_empty());
}

#[test]
fn first_reason_in_the_reference_s_order_is_named() {
    let risky = plan(r#"[{"skill": "unknown", "iterations": 9}]"#);
    let old = v1();
    let reason = |budget, allowed: Option<&[&str]>| {
        let allowed: Option<HashSet<&str>> = allowed.map(|names| names.iter().copied().collect());
        simulate(&risky, budget, &old, allowed.as_ref()).expect("an estimate").feasibility
    };
    assert_eq!(reason(89.0, Some(&[])), Feasibility::BudgetInsufficient);
    assert_eq!(reason(90.0, Some(&["llm_invoke"])), Feasibility::PermissionDenied);
    assert_eq!(reason(90.0, None), Feasibility::RiskTooHigh);
    let mut without = v1();
    without.skills.remove("unknown");
    let estimate = simulate(&risky, 1000.0, &without, None).expect("an estimate");
    assert_eq!(estimate.status(), "skill_unavailable");
}

#[test]
fn empty_plan_is_answered() {
    let empty = plan("[]");
    let (old, new) = (v1(), v2());
    let (v1, v2) = (priced(&empty, &old), priced(&empty, &new));
    assert_eq!((v1.status(), v2.status()), ("invalid_plan", "schema_error"));
    assert!(!v1.is_feasible() && !v2.is_feasible());
    assert_eq!(compare(&v1, &v2).verdict(), Verdict::Match);
}

#[test]
fn tokens_stand_in_place_of_characters() {
    let text = r#"[{"skill": "llm_invoke", "params": {"prompt": "hi", "prompt_tokens": 3000, "completion_tokens": 500}}]"#;
    let plan = plan(text);
    let mut new = v2();
    new.cost_decimals = 4;
    assert_eq!(priced(&plan, &new).cost, 3.5 + 2.4 + 0.6);
}

#[test]
fn overflow_names_the_step() {
    let mut new = v2();
    new.skills.get_mut("email_send").expect("a skill").cost = f64::MAX;
    let plan = plan(r#"[{"skill": "llm_invoke"}, {"skill": "email_send", "iterations": 2}]"#);
    let overflow = Fault::Overflow { index: 1, skill: "email_send".into() };
    assert_eq!(simulate(&plan, 1.0, &new, None), Err(overflow.clone()));
    assert_eq!(cost(&plan, &new), Err(overflow));
}

#[test]
fn what_is_no_plan_is_named_with_its_place() {
    let cases = [
        ("{}", "plan must be a JSON array of steps"),
        ("7", "plan must be a JSON array of steps"),
        (r#"[{"skill": "a"}, 5]"#, "plan[1] must be an object"),
        (r#"[{"iterations": 2}]"#, "plan[0] has no skill"),
        (r#"[{"skill": 7}]"#, "plan[0].skill: invalid type: integer `7`, expected a string"),
        (r#"[{"skill": ""}]"#, "plan[0].skill must not be empty"),
        (r#"[["email_send", null, 3]]"#, "plan[0] must be an object"),
        (
            r#"[{"skill": "a", "params": ["a", 5, null, null, null, null]}]"#,
            "plan[0].params must be an object",
        ),
        (r#"[{"skill": null}]"#, "plan[0] has no skill"),
        (
            r#"[{"skill": "a", "iterations": -1}]"#,
            "plan[0].iterations: it is no whole number from 0 to 1,000,000,000",
        ),
        (
            r#"[{"skill": "a", "iterations": 1.5}]"#,
            "plan[0].iterations: it is no whole number from 0 to 1,000,000,000",
        ),
        (
            r#"[{"skill": "a", "iterations": "2"}]"#,
            "plan[0].iterations: invalid type: string \"2\", expected f64",
        ),
        (r#"[{"skill": "a", "params": []}]"#, "plan[0].params must be an object"),
        (
            r#"[{"skill": "a", "params": {"prompt": 5}}]"#,
            "plan[0].params.prompt: invalid type: integer `5`, expected a text",
        ),
        (r#"[{"skill": "a", "params": {"timeout": -5}}]"#, "plan[0].params.timeout: it is negative"),
        (
            r#"[{"skill": "a", "params": {"prompt_tokens": 1e999}}]"#,
            "plan[0].params.prompt_tokens: number out of range",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(Plan::parse(text).expect_err(text).to_string(), message);
    }
    let long = format!("[{}]", vec![r#"{"skill": "a"}"#; 10_001].join(","));
    assert_eq!(Plan::parse(&long), Err(Fault::TooManySteps));
}

#[test]
fn what_a_plan_does_not_need_may_be_null_or_anything() {
    let plan = plan(
        r#"[{"skill": "a", "params": null, "iterations": null, "id": {"x": [1]}},
            {"skill": "b", "params": {"prompt": null, "url": null, "timeout": null, "other": {}}, "iterations": 2.0}]"#,
    );
    assert_eq!(plan.steps.iter().map(|step| step.iterations()).collect::<Vec<_>>(), [1.0, 2.0]);
}

/// The reference's table of scores: first cost, second cost, score, relative difference, word.
#[test]
fn scores_are_the_references() {
    let cases = [
        (100.0, 105.0, 0.03, 0.05, Verdict::Match),
        (100.0, 108.0, 0.048, 0.08, Verdict::Match),
        (100.0, 109.0, 0.054, 0.09, Verdict::MinorDrift),
        (100.0, 125.0, 0.15, 0.25, Verdict::MinorDrift),
        (100.0, 126.0, 0.156, 0.26, Verdict::MajorDrift),
        (100.0, 150.0, 0.3, 0.5, Verdict::MajorDrift),
        (100.0, 151.0, 0.306, 0.51, Verdict::Mismatch),
        (5.0, 4.0, 0.12, 0.2, Verdict::MinorDrift),
        (1.0, 3.0, 0.6, 2.0, Verdict::Mismatch),
        (0.0, 50.0, 0.0, 0.0, Verdict::Match),
    ];
    for (v1, v2, score, pct, verdict) in cases {
        let found = drift_score(v1, v2, true);
        assert_eq!(
            (rounded(found, 4), rounded(cost_delta_pct(v1, v2), 4), Verdict::of(found)),
            (score, pct, verdict),
            "{v1}, {v2}"
        );
    }
    assert_eq!(drift_score(100.0, 100.0, false), 0.4);
    assert_eq!(Verdict::of(drift_score(100.0, 100.0, false)), Verdict::Mismatch);
    // What the reference's score does not see.
    assert_eq!(symmetric_drift_score(0.0, 50.0, true), 0.6);
}

#[test]
fn word_changes_just_above_its_bound() {
    use Verdict::{MajorDrift, Match, MinorDrift, Mismatch};
    for (bound, below, above) in
        [(0.05, Match, MinorDrift), (0.15, MinorDrift, MajorDrift), (0.30, MajorDrift, Mismatch)]
    {
        assert_eq!((Verdict::of(bound), Verdict::of(f64::next_up(bound))), (below, above));
    }
    assert_eq!((Verdict::of(0.0), Verdict::of(1.0)), (Match, Mismatch));
}

fn any_cost() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..10.0_f64, 0.0..1e6_f64, 0.0..1e300_f64]
}

proptest! {
    #[test]
    fn scores_are_from_0_to_1(v1 in any_cost(), v2 in any_cost(), agree: bool) {
        prop_assert!((0.0..=1.0).contains(&drift_score(v1, v2, agree)));
        prop_assert!((0.0..=1.0).contains(&symmetric_drift_score(v1, v2, agree)));
        prop_assert!((0.0..=1.0).contains(&relative_difference(v1, v2)));
    }

    #[test]
    fn symmetric_score_is_the_same_from_both_sides(v1 in any_cost(), v2 in any_cost(), agree: bool) {
        prop_assert_eq!(symmetric_drift_score(v1, v2, agree), symmetric_drift_score(v2, v1, agree));
        prop_assert_eq!(symmetric_drift_score(v1, v1, true), 0.0);
    }

    #[test]
    fn scores_grow_with_the_difference(v1 in any_cost(), less in 0.0..1e6_f64, more in 0.0..1e6_f64) {
        for score in [drift_score, symmetric_drift_score] {
            prop_assert!(score(v1, v1 + less, true) <= score(v1, v1 + less + more, true));
            prop_assert!(score(v1, (v1 - less).max(0.0), true) <= score(v1, (v1 - less - more).max(0.0), true));
            prop_assert!(score(v1, v1 + less, true) <= score(v1, v1 + less, false));
        }
    }

    #[test]
    fn words_are_in_the_order_of_scores(one in 0.0..=1.0_f64, other in 0.0..=1.0_f64) {
        prop_assert_eq!(Verdict::of(one.min(other)), Verdict::of(one).min(Verdict::of(other)));
    }

    #[test]
    fn symmetric_score_sees_no_more_than_the_reference_s_from_a_cent_on(v1 in 1.0..1e9_f64, v2 in any_cost()) {
        prop_assert!(symmetric_drift_score(v1, v2, true) <= drift_score(v1, v2, true) + 1e-12);
    }

    #[test]
    fn rounding_is_that_of_the_printed_number(
        value in prop_oneof![-1e6..1e6_f64, -1.0..1.0_f64, (-100_000..100_000_i32).prop_map(|n| f64::from(n) / 1e5 + 5e-6), any::<f64>()],
        decimals in 0..7_u8,
    ) {
        let printed: f64 = format!("{value:.*}", usize::from(decimals)).parse().expect("a number");
        let found = rounded(value, decimals);
        prop_assert!(found == printed || found.is_nan() && printed.is_nan(), "{value:?} at {decimals}: {found:?}, {printed:?}");
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = Plan::parse(&text);
    }

    #[test]
    fn cost_alone_is_the_cost_of_the_estimate(counts in prop::collection::vec((0..6_usize, 0..20_u32, 0..9_000_u32), 0..8)) {
        let names = ["http_call", "llm_invoke", "json_transform", "shell_lite", "email_send", "other"];
        let steps: Vec<_> = counts
            .iter()
            .map(|(name, iterations, tokens)| {
                let name = names[*name];
                format!(r#"{{"skill": "{name}", "iterations": {iterations}, "params": {{"prompt_tokens": {tokens}}}}}"#)
            })
            .collect();
        let text = format!("[{}]", steps.join(","));
        let plan = plan(&text);
        for model in [v1(), v2()] {
            prop_assert_eq!(cost(&plan, &model).expect("a cost"), priced(&plan, &model).cost);
        }
    }
}
