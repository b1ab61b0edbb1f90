//! Both cost models against another implementation, in Python, over plans of every kind.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use fastrand::Rng;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

const SKILLS: [&str; 13] = [
    "http_call",
    "llm_invoke",
    "json_transform",
    "fs_read",
    "fs_write",
    "shell_lite",
    "kv_get",
    "kv_set",
    "webhook_send",
    "email_send",
    "unknown",
    "teleport",
    "LLM_INVOKE",
];

const URLS: [&str; 6] = [
    "https://api.example.com",
    "http://localhost:8080/x",
    "http://127.0.0.1",
    "http://127.0.0.10/",
    "https://localhost",
    "",
];

/// One of a list.
fn one_of<'a, T>(rng: &mut Rng, list: &'a [T]) -> &'a T {
    &list[rng.usize(..list.len())]
}

/// A text of this many characters, of one to four bytes each.
fn text(rng: &mut Rng, length: usize) -> String {
    let characters = ["a", " ", "\"", "\\", "\n", "ä", "日", "😀"];
    if length < 8 {
        one_of(rng, &characters).repeat(length)
    } else {
        one_of(rng, &characters).repeat(length - 8) + &characters.concat()
    }
}

fn params(rng: &mut Rng) -> Value {
    let mut params = serde_json::Map::new();
    let is_said = |rng: &mut Rng| rng.u8(..3) > 0;
    if is_said(rng) {
        let length = *one_of(rng, &[0, 1, 10, 500, 999, 1_000, 2_000, 2_001, 4_000, 4_001]);
        let length = if rng.bool() { length } else { rng.usize(..length + 500) };
        params.insert("prompt".into(), text(rng, length).into());
    }
    if rng.u8(..4) == 0 {
        params.insert("prompt_tokens".into(), rng.u32(..9_000).into());
    }
    if rng.u8(..4) == 0 {
        params.insert("completion_tokens".into(), rng.u32(..9_000).into());
    }
    if is_said(rng) {
        params.insert("url".into(), (*one_of(rng, &URLS)).into());
    }
    if is_said(rng) {
        params.insert("timeout".into(), one_of(rng, &[json!(0), json!(0.25), json!(0.5), json!(30)]).clone());
    }
    if is_said(rng) {
        let length = *one_of(rng, &[0, 99, 100, 101, 300]);
        params.insert("command".into(), text(rng, length).into());
    }
    if is_said(rng) {
        params.insert("temperature".into(), "nobody reads this".into());
    }
    params.into()
}

fn step(rng: &mut Rng) -> Value {
    let mut step = json!({ "skill": one_of(rng, &SKILLS) });
    if rng.u8(..5) > 0 {
        step["params"] = params(rng);
    }
    if rng.u8(..3) == 0 {
        step["iterations"] = (*one_of(rng, &[0, 1, 2, 3, 10, 100, 1_000_000])).into();
    }
    step
}

fn plan(rng: &mut Rng) -> Value {
    let steps = *one_of(rng, &[0, 1, 1, 1, 2, 3, 5, 12]);
    (0..steps).map(|_| step(rng)).collect()
}

/// What another implementation says, line by line.
fn python(asked: &[Value]) -> Result<Vec<Value>> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulate_cpython.py");
    let mut python = Command::new("/usr/bin/python3")
        .args(["-I", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting python3: is 'make setup' done?")?;
    let mut input = python.stdin.take().context("its input")?;
    let lines: Vec<String> = asked.iter().map(Value::to_string).collect();
    let writer = thread::spawn(move || lines.iter().try_for_each(|line| writeln!(input, "{line}")));
    let output = python.wait_with_output()?;
    writer.join().ok().context("the writer")??;
    ensure!(output.status.success(), "python3: {}", output.status);
    let answers = String::from_utf8(output.stdout)?;
    Ok(answers.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Whether two numbers are one to `decimals` decimals, give or take what the order of additions does.
fn is_near(one: f64, two: f64, decimals: i32) -> bool {
    (one - two).abs() <= 0.500_001 * 10_f64.powi(-decimals) + 1e-9 * one.abs()
}

/// Whether two costs are the two neighbours of a total that lies between them, to the last bits: the implementations add in different orders,
/// and either may be right.
fn are_neighbours(one: f64, two: f64, total: f64) -> bool {
    (one - two).abs() == 1.0 && (total - f64::midpoint(one, two)).abs() < 1e-9 * total.max(1.0)
}

const ASKED: &str = "SELECT jsonb_build_object('v1', v1, 'v2', v2, 'compared', c, 'estimates', jsonb_build_array(costsim_estimate_cost(plan), costsim_estimate_cost(plan, 'v2')))::text
   FROM plans, LATERAL (SELECT to_jsonb(s) AS v1 FROM costsim_simulate(plan, budget_cents, 'v1', allowed_skills => allowed) s) one,
        LATERAL (SELECT to_jsonb(s) AS v2 FROM costsim_simulate(plan, budget_cents, 'v2', allowed_skills => allowed) s) two,
        LATERAL (SELECT to_jsonb(s) AS c FROM costsim_compare(plan, budget_cents) s) three
  ORDER BY id";

/// Holds what SQL says of a plan against what Python says; whether its cost is one of two that are both right.
fn check(of: &str, model: &str, sql: &Value, python: &Value, estimate: &Value) -> Result<bool> {
    let number = |value: &Value| value.as_f64().with_context(|| format!("{value} of {of} by {model}"));
    let costs = (number(&sql["estimated_cost_cents"])?, number(&python["cost"])?);
    if are_neighbours(costs.0, costs.1, number(&python["total"])?) {
        return Ok(true);
    }
    assert_eq!(sql["status"], python["status"], "{of} by {model}");
    assert_eq!(sql["feasible"], python["feasible"], "{of} by {model}");
    for (column, key, decimals) in [
        ("estimated_cost_cents", "cost", 9),
        ("budget_remaining_cents", "remaining", 6),
        ("budget_utilization", "utilization", 4),
        ("cumulative_risk", "risk", 4),
    ] {
        let (ours, theirs) = (number(&sql[column])?, number(&python[key])?);
        assert!(
            is_near(ours, theirs, decimals),
            "{column} of {of} by {model}: {ours}, and in python {theirs}"
        );
    }
    let (ours, theirs) = (number(&sql["estimated_duration_ms"])?, number(&python["duration_ms"])?);
    assert!((ours - theirs).abs() <= 1.0, "duration of {of} by {model}: {ours}, and in python {theirs}");
    assert_eq!(sql["confidence_score"].is_null(), python["confidence"].is_null(), "{of} by {model}");
    if !python["confidence"].is_null() {
        assert!(is_near(number(&sql["confidence_score"])?, number(&python["confidence"])?, 4), "{of}");
    }
    assert_eq!(number(estimate)?, number(&python["cost"])?, "estimate of {of} by {model}");
    for key in ["steps", "risks"] {
        let column = if key == "steps" { "step_estimates" } else { "risks" };
        let (ours, theirs) = (sql[column].as_array(), python[key].as_array());
        assert_eq!(ours.map(Vec::len), theirs.map(Vec::len), "{column} of {of} by {model}");
    }
    Ok(false)
}

#[test]
fn every_plan_costs_in_sql_what_it_costs_in_python() -> Result<()> {
    let count = std::env::var("COSTSIM_PLANS").map_or(Ok(3_000), |count| count.parse())?;
    let mut rng = Rng::with_seed(8_102);
    let asked: Vec<Value> = (0..count)
        .map(|_| {
            let allowed = (rng.u8(..4) == 0).then(|| SKILLS[rng.usize(..6)..].to_vec());
            let budget = *one_of(&mut rng, &[0.0, 0.5, 1.0, 4.0, 5.0, 20.0, 1_000.0, 1e9]);
            json!({ "plan": plan(&mut rng), "budget_cents": budget, "allowed": allowed })
        })
        .collect();
    let cluster = Cluster::builder().conf("fsync", "off").start()?;
    let mut client = cluster.create_database_with_extension("simulate")?;
    client.batch_execute(
        "CREATE TABLE plans (id int PRIMARY KEY, plan jsonb, budget_cents double precision, allowed text[])",
    )?;
    client.execute(
        "INSERT INTO plans SELECT n, a -> 'plan', (a ->> 'budget_cents')::float8,
                CASE WHEN jsonb_typeof(a -> 'allowed') = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(a -> 'allowed')) END
           FROM jsonb_array_elements($1) WITH ORDINALITY p (a, n)",
        &[&Value::from(asked.clone())],
    )?;
    let answers = python(&asked)?;
    let rows = client.query(ASKED, &[])?;
    ensure!(
        rows.len() == answers.len() && rows.len() == count,
        "{} and {} answers",
        rows.len(),
        answers.len()
    );
    let (mut either, mut feasible, mut statuses) = (0, 0, std::collections::BTreeSet::new());
    for ((asked, row), python) in asked.iter().zip(&rows).zip(&answers) {
        let sql: Value = serde_json::from_str(row.get(0))?;
        let of: String = asked.to_string().chars().take(500).collect();
        let mut is_either = false;
        for (place, model) in ["v1", "v2"].into_iter().enumerate() {
            is_either |= check(&of, model, &sql[model], &python[model], &sql["estimates"][place])?;
        }
        statuses.insert(python["v1"]["status"].to_string());
        feasible += i32::from(python["v2"]["feasible"] == true);
        if is_either {
            either += 1;
            continue;
        }
        let (ours, theirs) = (&sql["compared"], &python["compared"]);
        assert_eq!(ours["verdict"], theirs["verdict"], "{of}");
        for (column, key) in
            [("drift_score", "drift"), ("symmetric_drift_score", "symmetric"), ("cost_delta_pct", "pct")]
        {
            let (ours, theirs) = (ours[column].as_f64(), theirs[key].as_f64());
            let (ours, theirs) = ours.zip(theirs).context(key)?;
            assert!(is_near(ours, theirs, 4), "{column} of {of}: {ours}, and in python {theirs}");
        }
    }
    // Every answer there is was among them, and few were not compared.
    ensure!(either * 200 < count, "of {either} of {count} either cost is right");
    ensure!(statuses.len() == 5, "{statuses:?}");
    ensure!((1..count as i32).contains(&feasible), "{feasible} feasible");
    Ok(())
}
