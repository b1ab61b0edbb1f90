//! Plans priced in one query, and one by one by a client in CPython.

use std::cell::RefCell;

use anyhow::Result;

use super::python;
use super::{Load, asking, is_chosen, plans};
use crate::provenance::{Race, Runner, Stage};

/// The race, what we are asked, and what Python calls it.
const QUESTIONS: [(&str, &str, &str); 4] = [
    ("canary_simulate_estimate", "SELECT count(costsim_estimate_cost(plan)) FROM plans", "estimate"),
    (
        "canary_simulate_v1",
        "SELECT count(s.estimated_cost_cents) FROM plans CROSS JOIN LATERAL costsim_simulate(plan) s",
        "v1",
    ),
    (
        "canary_simulate_v2",
        "SELECT count(s.estimated_cost_cents) FROM plans CROSS JOIN LATERAL costsim_simulate(plan, model => 'v2') s",
        "v2",
    ),
    (
        "canary_simulate_compare",
        "SELECT count(c.drift_score) FROM plans CROSS JOIN LATERAL costsim_compare(plan) c",
        "compare",
    ),
];

pub const NAMES: [&str; 4] = [QUESTIONS[0].0, QUESTIONS[1].0, QUESTIONS[2].0, QUESTIONS[3].0];

/// How much faster a query over a table has to be than a client's calls.
const GOAL: f64 = 50.0;

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    let texts = plans::mixed(load.plans);
    let mut client = stage.connect()?;
    client.batch_execute("CREATE TABLE plans (id integer PRIMARY KEY, plan jsonb NOT NULL)")?;
    client.execute(
        "INSERT INTO plans SELECT n, p::jsonb FROM unnest($1::text[]) WITH ORDINALITY t (p, n)",
        &[&texts],
    )?;
    client.batch_execute("VACUUM ANALYZE plans")?;
    println!(
        "{} plans of {} bytes each",
        texts.len(),
        texts.iter().map(String::len).sum::<usize>() / texts.len()
    );
    let python = RefCell::new(python::start(&texts, &stage.connection())?);
    let mut races = Vec::new();
    for (name, statement, call) in QUESTIONS {
        if !is_chosen(name, only) {
            continue;
        }
        let runners = vec![
            asking(stage.connect()?, "one query over a table", None, statement, texts.len())?,
            Runner {
                label: "CPython: json.loads and a call for each plan",
                says: format!("simulate_cpython.py, {call}, from texts that it has"),
                goal: Some(GOAL),
                run: Box::new(|| python.borrow_mut().pass(&format!("texts {call}"))),
            },
            Runner {
                label: "CPython: each plan by a query of its own",
                says: format!(
                    "simulate_cpython.py, {call}, from texts that it fetches by psycopg one by one"
                ),
                goal: Some(GOAL),
                run: Box::new(|| python.borrow_mut().pass(&format!("fetched {call}"))),
            },
        ];
        races.push(Race::run(name, "plans/s", load.canary_turns, runners)?);
    }
    Ok(races)
}
