//! Golden sets in a whole server: what is written down is what another implementation says, sets survive a dump, and two who load the same set at
//! the same moment make two versions of it.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one, run_tool};
use postgres::error::SqlState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().conf("fsync", "off").start())
}

/// Whether two numbers are the same but for what their print has rounded.
fn is_near(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(other.abs()),
        _ => false,
    }
}

#[test]
fn every_expectation_is_what_the_formula_in_python_says() -> Result<()> {
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("python")?;
    let rows = client.query(
        "SELECT name, position, jsonb_build_object('plan', plan, 'budget_cents', budget_cents),
                jsonb_build_object('cost', expected_cost_cents, 'feasible', expected_feasible, 'confidence', expected_confidence,
                                   'duration_ms', expected_duration_ms, 'risk', expected_risk, 'least', min_confidence)
           FROM costsim_golden_samples ORDER BY name, position",
        &[],
    )?;
    ensure!(rows.len() == 84, "{} samples", rows.len());
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden_v2.py");
    let mut python = Command::new("/usr/bin/python3")
        .args(["-I", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting python: is 'make setup' done?")?;
    let mut input = python.stdin.take().context("its input")?;
    let lines: Vec<String> = rows.iter().map(|row| row.get::<_, Value>(2).to_string()).collect();
    let writer = thread::spawn(move || lines.iter().try_for_each(|line| writeln!(input, "{line}")));
    let output = python.wait_with_output()?;
    writer.join().ok().context("the writer")??;
    ensure!(output.status.success(), "python: {}", output.status);
    let answers: Vec<Value> =
        String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(answers.len() == rows.len(), "python answered {} of {}", answers.len(), rows.len());
    for (row, python) in rows.iter().zip(&answers) {
        let (name, position, written): (String, i32, Value) = (row.get(0), row.get(1), row.get(3));
        assert_eq!(written["feasible"], python["feasible"], "{name} {position}");
        for key in ["cost", "confidence", "duration_ms", "risk"] {
            assert!(
                is_near(&written[key], &python[key]),
                "{name} {position}: {key} of {written} and {python}"
            );
        }
        // What is least is near enough to tell of a model that grows unsure.
        let (least, confidence) = (written["least"].as_f64(), python["confidence"].as_f64());
        let (least, confidence) = least.zip(confidence).context("a number")?;
        assert!(
            least <= confidence && least >= 0.9 * confidence - 0.01,
            "{name} {position}: {least} of {confidence}"
        );
    }
    Ok(())
}

const MINE: &str = r#"{"name": "mine", "description": "of my own", "limits": {"max_mean_error": 0.5}, "is_exact": true,
    "samples": [{"plan": [{"skill": "llm_invoke", "params": {"prompt": "ünï"}}], "expected_cost_cents": 4, "note": "one"},
                {"plan": [], "expected_feasible": false}]}"#;

/// What there is to know of sets, in one text.
const BOOK: &str =
    "SELECT coalesce((SELECT string_agg(t::text, E'\n' ORDER BY t::text) FROM costsim_golden_sets t), '')
    || E'\n' || (SELECT string_agg(t::text, E'\n' ORDER BY t::text) FROM costsim_golden_samples t)
    || E'\n' || (SELECT string_agg(t::text, E'\n' ORDER BY t::text) FROM costsim_golden_results t)";

#[test]
fn restored_database_has_own_sets_changed_seeds_and_results() -> Result<()> {
    let cluster = cluster()?;
    let mut before = cluster.create_database_with_extension("before")?;
    let mut steps = vec![
        format!("SELECT costsim_load_golden_set('{MINE}')"),
        format!("SELECT costsim_load_golden_set('{}')", MINE.replace("0.5", "0.25")),
        // A version of one's own in place of a seed, which gives way; a seed that a canary shall not ask; one whose expectation was changed.
        format!("SELECT costsim_load_golden_set('{}')", MINE.replace("mine", "historical")),
        "UPDATE costsim_golden_sets SET in_canary = false WHERE name = 'noise_injected'".to_owned(),
        "UPDATE costsim_golden_samples SET expected_cost_cents = 7 WHERE name = 'low_variance' AND position = 3".to_owned(),
        "SELECT costsim_validate_golden(name) FROM costsim_golden_sets WHERE is_current".to_owned(),
    ];
    let mut from = "before".to_owned();
    for to in ["after", "again"] {
        for step in steps.drain(..) {
            before.batch_execute(&step)?;
        }
        let file = format!("{}/{from}.dump", cluster.socket_dir().display());
        run_tool(
            &cluster,
            "pg_dump",
            ["--format=custom", "--file", &file, "--dbname", &cluster.conn_string(&from)],
        )?;
        before.batch_execute(&format!("CREATE DATABASE {to}"))?;
        run_tool(&cluster, "pg_restore", ["--exit-on-error", "--dbname", &cluster.conn_string(to), &file])?;
        let mut after = cluster.connect(to)?;
        let wanted: String = one(&mut before, BOOK)?;
        ensure!(wanted.lines().count() > 84 + 6 + 8, "too little to be shown: {wanted}");
        // When a seed was made is no fact about it.
        let dated = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-]\d\d";
        let plain = |client: &mut postgres::Client, book: &str| -> Result<BTreeSet<String>> {
            let query = format!("SELECT regexp_replace($1, '{dated}', '', 'g')");
            let text: String = client.query_one(&query, &[&book])?.get(0);
            Ok(text.lines().map(str::to_owned).collect())
        };
        let found: String = one(&mut after, BOOK)?;
        assert_eq!(plain(&mut after, &found)?, plain(&mut before, &wanted)?, "{from} to {to}");
        let judged = "SELECT string_agg(v.name || ' ' || v.version || ' ' || v.verdict, ', ' ORDER BY v.name)
                        FROM costsim_golden_sets s, costsim_validate_golden(s.name) v WHERE s.is_current";
        let said: String = one(&mut after, judged)?;
        assert_eq!(
            said,
            "high_variance 1 acceptable, historical 2 acceptable, low_variance 1 not_acceptable, mine 2 acceptable, \
             mixed_city 1 acceptable, noise_injected 1 acceptable"
        );
        after.batch_execute(
            "DELETE FROM costsim_golden_results WHERE id IN (SELECT id FROM costsim_golden_results ORDER BY id DESC LIMIT 6)",
        )?;
        from = to.to_owned();
    }
    Ok(())
}

/// Loads a document, and does so again when a transaction that sees one snapshot is told to.
fn load(client: &mut postgres::Client, document: &Value) -> Result<i32> {
    loop {
        match client.query_one("SELECT costsim_load_golden_set($1)", &[document]) {
            Ok(row) => return Ok(row.get(0)),
            Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[test]
fn two_who_load_a_set_at_once_make_two_versions_and_one_is_current() -> Result<()> {
    const SESSIONS: i32 = 4;
    const EACH: i32 = 25;
    let cluster = cluster()?;
    let mut client = cluster.create_database_with_extension("crowd")?;
    let versions = thread::scope(|scope| {
        let loaders: Vec<_> = (0..SESSIONS)
            .map(|session| {
                let cluster = Arc::clone(&cluster);
                scope.spawn(move || -> Result<Vec<i32>> {
                    let mut client = cluster.connect("crowd")?;
                    // One of them sees one snapshot to its end.
                    if session == 0 {
                        client.batch_execute("SET default_transaction_isolation = 'repeatable read'")?;
                    }
                    (0..EACH)
                        .map(|turn| {
                            let plan = json!([{"skill": "kv_get", "iterations": session * EACH + turn}]);
                            let document = json!({"name": "crowd", "samples": [{"plan": plan}]});
                            load(&mut client, &document)
                        })
                        .collect()
                })
            })
            .collect();
        loaders.into_iter().map(|loader| loader.join().ok().context("a loader")?).collect::<Result<Vec<_>>>()
    })?;
    let versions: BTreeSet<i32> = versions.into_iter().flatten().collect();
    assert_eq!(versions, (1..=SESSIONS * EACH).collect(), "each its own number");
    let current: i32 =
        one(&mut client, "SELECT version FROM costsim_golden_sets WHERE name = 'crowd' AND is_current")?;
    assert_eq!(current, SESSIONS * EACH);
    let whole = "SELECT count(*) = 100 AND count(DISTINCT plan) = 100 FROM costsim_golden_samples WHERE name = 'crowd'";
    assert!(one::<bool>(&mut client, whole)?);
    Ok(())
}
