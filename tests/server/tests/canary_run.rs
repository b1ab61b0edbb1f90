//! Canaries by hand: one at a time, no verdict of nothing, and what prices that differ do to the breaker, on an hour of real requests.
//!
//! The trace is the Azure LLM inference trace of 2023, conversation service; its token counts are priced per 1,000.
//! `COSTSIM_CANARY_ROUNDS` is how often two replicas run at once.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, Shared, one, shared_file, sqlstate, wait_for};
use postgres::{Client, Row};
use serde_json::{Value, json};
use std::sync::{Arc, Barrier};
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

const REQUESTS: usize = 19_366;

/// Cents for a thousand context tokens, and for a thousand generated ones.
const PRICES: (f64, f64) = (0.3, 0.6);

fn prepared(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

/// Runs the canary: its report.
fn canary(client: &mut Client, arguments: &str) -> Result<Row> {
    let query = format!("SELECT * FROM costsim_run_canary({arguments})");
    client.query_one(&query, &[]).with_context(|| query)
}

fn status(report: &Row) -> &str {
    report.get("status")
}

fn reasons(report: &Row) -> &str {
    report.get::<_, Option<&str>>("failure_reasons_json").unwrap_or_default()
}

/// So many plans that both models price.
fn plans(count: usize) -> Vec<Value> {
    (0..count).map(|n| json!([{"skill": "llm_invoke", "params": {"prompt": "x".repeat(n)}}])).collect()
}

fn rounds() -> usize {
    std::env::var("COSTSIM_CANARY_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(25)
}

const IS_UNTOUCHED: &str = "SELECT NOT EXISTS (SELECT FROM costsim_cb_state WHERE disabled OR consecutive_failures > 0)
                               AND NOT EXISTS (SELECT FROM costsim_cb_incidents) AND NOT EXISTS (SELECT FROM costsim_cb_events)
                               AND NOT EXISTS (SELECT FROM costsim_alerts) AND costsim_is_closed()";

#[test]
fn of_two_replicas_that_run_the_canary_at_once_one_does_and_the_other_says_that_it_was_skipped() -> Result<()>
{
    let (cluster, mut client) = prepared("replicas")?;
    let rounds = rounds();
    let line = Barrier::new(2);
    let samples = Value::Array(plans(30));
    let replica = |name: &str| -> Result<Vec<(String, bool)>> {
        let mut session = cluster.connect("replicas")?;
        session.batch_execute(&format!("SET application_name = '{name}'"))?;
        let query = "SELECT status, passed FROM costsim_run_canary(plans => $1, candidate => 'v1')";
        let mut run = |is_held: bool| -> Result<(String, bool)> {
            line.wait();
            let mut transaction = session.transaction()?;
            let row = transaction.query_one(query, &[&samples])?;
            if is_held {
                // Nobody has committed before both have run.
                line.wait();
            }
            transaction.commit()?;
            Ok((row.get(0), row.get(1)))
        };
        let held = (0..rounds).map(|_| run(true)).collect::<Result<Vec<_>>>()?;
        for _ in 0..rounds {
            run(false)?;
        }
        Ok(held)
    };
    let (one_says, other_says) = thread::scope(|scope| {
        let (one, other) = (scope.spawn(|| replica("one")), scope.spawn(|| replica("other")));
        let join = |thread: thread::ScopedJoinHandle<'_, Result<_>>| {
            thread.join().map_err(|_| anyhow!("a replica has panicked"))?
        };
        Ok::<_, anyhow::Error>((join(one)?, join(other)?))
    })?;
    for (round, mut pair) in one_says.into_iter().zip(other_says).map(|(one, other)| [one, other]).enumerate()
    {
        pair.sort();
        assert_eq!(pair, [("pass".into(), true), ("skipped".into(), true)], "round {round}");
    }
    let row = client.query_one(
        "SELECT count(*), count(*) FILTER (WHERE status = 'pass'), count(*) FILTER (WHERE status = 'skipped' AND failure_reasons_json LIKE '%lock 7001%'),
                (SELECT count(*) FROM costsim_canary_reports a, costsim_canary_reports b
                  WHERE a.id < b.id AND a.status = 'pass' AND b.status = 'pass' AND (a.\"timestamp\", a.finished_at) OVERLAPS (b.\"timestamp\", b.finished_at))
           FROM costsim_canary_reports",
        &[],
    )?;
    let (all, passed, skipped): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    ensure!(all == 4 * rounds as i64 && passed + skipped == all, "{passed} and {skipped} of {all}");
    ensure!(passed >= 2 * rounds as i64 && skipped >= rounds as i64, "{passed} and {skipped} of {all}");
    // When a run that was skipped asked, one was under way or about to commit; two that ran did not do so at once.
    assert_eq!(row.get::<_, i64>(3), 0, "two have run at once");
    assert!(one::<bool>(&mut client, "SELECT NOT costsim_lock_held(7001)")?);
    Ok(())
}

#[test]
fn ten_nights_of_a_fresh_installation_say_nothing_and_trip_nothing() -> Result<()> {
    let (_cluster, mut client) = prepared("fresh")?;
    for night in 1..=10 {
        let report = canary(&mut client, "")?;
        assert_eq!(status(&report), "insufficient_data", "night {night}: {}", reasons(&report));
        assert!(report.get::<_, bool>("passed") && !report.get::<_, bool>("is_reported"));
        assert_eq!(
            (report.get::<_, i32>("total_samples"), report.get::<_, i32>("requested_samples")),
            (0, 100)
        );
        assert!(reasons(&report).contains("at least 10 are needed"), "{}", reasons(&report));
        assert!(one::<bool>(&mut client, IS_UNTOUCHED)?, "night {night}");
    }
    assert_eq!(one::<i64>(&mut client, "SELECT costsim_count_canary_reports('insufficient_data')")?, 10);
    Ok(())
}

/// A request of the trace: what it costs by the same prices, to a millionth of a cent.
#[derive(Clone, Copy)]
struct Request {
    context: u32,
    generated: u32,
}

impl Request {
    fn cost(self, factor: f64) -> f64 {
        let (input, output) = PRICES;
        let cents = (f64::from(self.context) * input + f64::from(self.generated) * output) * factor / 1_000.0;
        (cents * 1e6).round_ties_even() / 1e6
    }
}

fn trace() -> Result<Vec<Request>> {
    let path = shared_file("data/azure_llm_conv.csv");
    let mut file = csv::Reader::from_path(&path)
        .with_context(|| format!("the trace must be at {}; set COSTSIM_SHARED", path.display()))?;
    let mut requests = Vec::new();
    for record in file.records() {
        let record = record?;
        requests.push(Request { context: record[1].parse()?, generated: record[2].parse()? });
    }
    ensure!(requests.len() == REQUESTS, "{} has {} requests", path.display(), requests.len());
    Ok(requests)
}

/// The trace as provenance of the last six days, and two models that agree about it.
fn with_trace(name: &str) -> Result<(Arc<Cluster>, Client, Vec<Request>)> {
    let (cluster, mut client) = prepared(name)?;
    let requests = trace()?;
    for batch in requests.chunks(2_000) {
        let records = batch.iter().map(|request| {
            let params = json!({"prompt_tokens": request.context, "completion_tokens": request.generated});
            json!({"run_id": "trace", "tenant_id": "acme", "payload": {"plan": [{"skill": "llm_invoke", "params": params}]}})
        });
        let records = Value::Array(records.collect());
        client.query("SELECT costsim_write_provenance_batch($1)", &[&records])?;
    }
    client.execute(
        "UPDATE costsim_provenance SET created_at = now() - interval '6 days' * (id::float8 / $1::float8)",
        &[&(REQUESTS as f64)],
    )?;
    client.batch_execute(&format!(
        "INSERT INTO costsim_cost_models (model, version, formula, cost_decimals) VALUES ('v1', 'tokens', 'v2', 6), ('v2', 'tokens', 'v2', 6);
         INSERT INTO costsim_skill_costs (model, version, skill, shape, cost_per_1k_input, cost_per_1k_output)
         SELECT model, 'tokens', 'llm_invoke', 'llm', {}, {} FROM unnest('{{v1, v2}}'::text[]) AS model;
         SELECT costsim_activate_model('v1', 'tokens'), costsim_activate_model('v2', 'tokens')",
        PRICES.0, PRICES.1
    ))?;
    Ok((cluster, client, requests))
}

/// V2 takes so many times what it should.
fn reprice(client: &mut Client, factor: f64) -> Result<()> {
    let update = "UPDATE costsim_skill_costs SET cost_per_1k_input = $1, cost_per_1k_output = $2
                   WHERE (model, version, skill) = ('v2', 'tokens', 'llm_invoke')";
    let changed = client.execute(update, &[&(PRICES.0 * factor), &(PRICES.1 * factor)])?;
    ensure!(changed == 1, "{changed} prices were changed");
    Ok(())
}

fn failures(client: &mut Client) -> Result<i32> {
    one(
        client,
        "SELECT coalesce(max(consecutive_failures), 0) FROM costsim_cb_state WHERE name = 'costsim_v2'",
    )
}

#[test]
fn real_requests_priced_alike_pass_and_dearer_ones_trip_the_breaker_with_the_figures() -> Result<()> {
    let (_cluster, mut client, requests) = with_trace("trace")?;
    for night in 1..=10 {
        let report = canary(&mut client, "sample_count => 500")?;
        assert_eq!(status(&report), "pass", "night {night}: {}", reasons(&report));
        assert_eq!(
            (report.get::<_, i32>("compared_samples"), report.get::<_, i32>("matching_samples")),
            (500, 500)
        );
        assert_eq!(report.get::<_, f64>("drift_score"), 0.0);
        assert_eq!(report.get::<_, &str>("candidate_version"), "tokens");
    }
    assert!(one::<bool>(&mut client, IS_UNTOUCHED)?);
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_canary_samples")?, 0);

    // Nine cents and a bit more for what nine cost: by eye nobody sees it.
    reprice(&mut client, 1.3)?;
    for failed in 1..=2 {
        let report = canary(&mut client, "")?;
        assert_eq!(status(&report), "fail");
        assert_eq!(failures(&mut client)?, failed);
    }
    // Corrected before it trips: that counts from nought again.
    reprice(&mut client, 1.0)?;
    assert_eq!(status(&canary(&mut client, "")?), "pass");
    assert_eq!(failures(&mut client)?, 0);

    reprice(&mut client, 1.3)?;
    let mut tripped = None;
    for failed in 1..=3 {
        assert!(one::<bool>(&mut client, "SELECT costsim_is_closed()")?, "before failure {failed}");
        // Every request there is.
        let report = canary(&mut client, "sample_count => 1000000")?;
        assert_eq!(status(&report), "fail");
        assert_eq!(report.get::<_, i32>("compared_samples"), REQUESTS as i32);
        // A request of no tokens costs nothing either way.
        let apart = |it: &Request| it.cost(1.3) - it.cost(1.0);
        let mean: f64 = requests.iter().map(apart).sum::<f64>() / REQUESTS as f64;
        let said: f64 = report.get("mean_cost_diff");
        assert!((said - mean).abs() < 1e-6, "{said} and not {mean}");
        let relative: f64 =
            requests.iter().filter(|it| it.cost(1.3) > 0.0).map(|it| apart(it) / it.cost(1.3)).sum();
        let (said, expected): (f64, f64) = (report.get("drift_score"), relative / REQUESTS as f64);
        assert!((said - expected).abs() < 1e-6, "{said} and not {expected}");
        assert!(reasons(&report).contains("mean relative difference 0.2308 > 0.2"), "{}", reasons(&report));
        assert_eq!(report.get::<_, Option<&str>>("incident_id").is_some(), failed == 3);
        tripped = Some(report);
    }
    let report = tripped.context("no report")?;
    assert!(one::<bool>(&mut client, "SELECT costsim_is_open()")?);
    let incident =
        client.query_one("SELECT id, reason, drift_score, sample_count FROM costsim_incidents()", &[])?;
    assert_eq!(Some(incident.get::<_, &str>(0)), report.get::<_, Option<&str>>("incident_id"));
    let reason: &str = incident.get(1);
    for figure in [report.get::<_, &str>("run_id"), "0.2308 > 0.2", "cents dearer on average"] {
        assert!(reason.contains(figure), "{figure} is not in: {reason}");
    }
    assert_eq!(incident.get::<_, i32>(3), REQUESTS as i32);
    let fires =
        "SELECT count(*) FROM costsim_alerts WHERE resolved_at IS NULL AND annotations::text LIKE '%0.2308%'";
    assert_eq!(one::<i64>(&mut client, fires)?, 1);
    assert_eq!(
        one::<i64>(
            &mut client,
            "SELECT count(*) FROM costsim_canary_samples s WHERE s.report_id = (SELECT max(report_id) FROM costsim_canary_samples)"
        )?,
        REQUESTS as i64
    );

    // Corrected: the canary says so, and whoever is on call closes the breaker.
    reprice(&mut client, 1.0)?;
    assert_eq!(status(&canary(&mut client, "")?), "pass");
    assert!(one::<bool>(&mut client, "SELECT costsim_is_open()")?, "a canary closes nothing");
    assert!(one::<bool>(&mut client, "SELECT costsim_enable_v2('me', 'prices corrected')")?);
    assert_eq!(failures(&mut client)?, 0);
    assert_eq!(one::<i64>(&mut client, "SELECT failed_in_a_row FROM costsim_canary_status")?, 0);
    Ok(())
}

#[test]
fn run_that_is_ended_from_outside_leaves_neither_a_report_nor_the_lock() -> Result<()> {
    let (cluster, mut client) = prepared("ended")?;
    for (how, code) in [("cancel", "57014"), ("terminate", "57P01"), ("timeout", "57014")] {
        let mut holder = cluster.connect("ended")?;
        holder.batch_execute("BEGIN; LOCK costsim_provenance")?;
        let mut session = cluster.connect("ended")?;
        let pid: i32 = one(&mut session, "SELECT pg_backend_pid()")?;
        if how == "timeout" {
            session.batch_execute("SET statement_timeout = '100ms'")?;
        }
        let error = thread::scope(|scope| {
            let running = scope.spawn(|| session.simple_query("SELECT costsim_run_canary()").err());
            if how != "timeout" {
                wait_for(
                    &mut client,
                    "the run to wait",
                    &format!(
                        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock')"
                    ),
                )?;
                assert!(one::<bool>(&mut client, "SELECT costsim_lock_held(7001)")?);
                assert!(one::<bool>(&mut client, &format!("SELECT pg_{how}_backend({pid})"))?);
            }
            let error = running.join().map_err(|_| anyhow!("the session has panicked"))?;
            error.with_context(|| format!("{how}: no error"))
        })?;
        let found = sqlstate(&error);
        // The server's last word may not arrive.
        assert!(found == code || how == "terminate" && found == "closed", "{how}: {found}");
        holder.batch_execute("ROLLBACK")?;
        wait_until(LIMIT, "the lock to be free", || {
            Ok((!one::<bool>(&mut client, "SELECT costsim_lock_held(7001)")?).then_some(()))
        })?;
        assert_eq!(one::<i64>(&mut client, "SELECT costsim_count_canary_reports()")?, 0, "{how}");
    }
    // A lock that is not to be had is no report either: the caller has asked for that error.
    let mut holder = cluster.connect("ended")?;
    holder.batch_execute("BEGIN; LOCK costsim_provenance")?;
    client.batch_execute("SET lock_timeout = '10ms'")?;
    let error = client.simple_query("SELECT costsim_run_canary()").err().context("no error")?;
    assert_eq!(sqlstate(&error), "55P03");
    holder.batch_execute("ROLLBACK")?;
    assert_eq!(status(&canary(&mut client, "")?), "insufficient_data");
    Ok(())
}

#[test]
fn run_that_takes_too_long_is_an_error_that_says_how_far_it_got() -> Result<()> {
    let (_cluster, mut client) = prepared("long")?;
    // The new model is a hundred times dearer: had it been judged, it would have failed.
    let plans = Value::Array(plans(3_000));
    let query = "SELECT * FROM costsim_run_canary(plans => $1, max_runtime => '1 microsecond')";
    for _ in 0..4 {
        let report = client.query_one(query, &[&plans])?;
        assert_eq!(status(&report), "error");
        assert!(
            reasons(&report).contains("stopped after") && reasons(&report).contains("to go"),
            "{}",
            reasons(&report)
        );
        assert!(!report.get::<_, bool>("passed") && !report.get::<_, bool>("is_reported"));
    }
    assert!(one::<bool>(&mut client, IS_UNTOUCHED)?);
    assert_eq!(one::<i64>(&mut client, "SELECT failed_in_a_row FROM costsim_canary_status")?, 4);
    Ok(())
}

#[test]
fn plans_that_are_none_are_counted_and_too_many_of_them_are_an_error() -> Result<()> {
    let (_cluster, mut client) = prepared("given")?;
    let malformed = [
        json!(17),
        json!("a plan"),
        json!([{"params": {}}]),
        json!([{"skill": 1}]),
        json!([{"skill": "llm_invoke", "iterations": -1}]),
        json!({"plan": [{"skill": "kv_get"}], "budget_cents": -5}),
        json!({"plan": "none"}),
        json!({"budget_cents": 5}),
        json!({"plan": [], "colour": "red"}),
        json!([{"skill": "llm_invoke", "params": {"prompt_tokens": "many"}}]),
    ];
    let run = |client: &mut Client, plans: Vec<Value>| {
        client.query_one(
            "SELECT * FROM costsim_run_canary(plans => $1, candidate => 'v1')",
            &[&Value::Array(plans)],
        )
    };
    // One in ten.
    let mut mixed = plans(90);
    mixed.splice(30..30, malformed.clone());
    let report = run(&mut client, mixed.clone())?;
    assert_eq!(status(&report), "pass", "{}", reasons(&report));
    let counts = ["total_samples", "compared_samples", "unreadable_samples", "failed_samples"]
        .map(|it| report.get::<_, i32>(it));
    assert_eq!(counts, [100, 90, 10, 0]);
    let places: Vec<i32> = client
        .query("SELECT position FROM costsim_canary_samples WHERE report_id = $1 AND error <> '' ORDER BY position", &[&report.get::<_, i64>("id")])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(places, (31..=40).collect::<Vec<i32>>());
    // One more.
    mixed.push(json!(null));
    let report = run(&mut client, mixed)?;
    assert_eq!(status(&report), "error");
    assert!(
        reasons(&report).contains("samples that could not be read 10.89% > 10.00%"),
        "{}",
        reasons(&report)
    );
    assert_eq!(status(&run(&mut client, malformed.to_vec())?), "error");
    assert_eq!(status(&run(&mut client, Vec::new())?), "error");
    assert_eq!(status(&run(&mut client, plans(9))?), "insufficient_data");
    let error = canary(&mut client, "plans => '{\"plan\": []}'").err().context("no error")?;
    assert_eq!(sqlstate(error.downcast_ref().context("no answer of the server")?), "22023");
    assert!(one::<bool>(
        &mut client,
        "SELECT costsim_is_closed() AND NOT EXISTS (SELECT FROM costsim_cb_incidents)"
    )?);
    Ok(())
}
