//! The signals of the demo: three workers fail with one error under ever other ids, which is one pattern; the failures of one of them rise, which is a
//! prediction; an envelope for reliability preempts one for cost, the kill switch ends them all, and the record of it stays.

use anyhow::{Context, Result, ensure};
use postgres::Client;

const TENANT: &str = "demo";

/// So many runs of each worker, over three days.
const RUNS: i32 = 60;

/// What was found, foreseen and decided.
pub struct Signals {
    pub runs: i64,
    pub pattern: Pattern,
    pub forecast: Forecast,
    pub order: Order,
}

/// What the failures have in common.
pub struct Pattern {
    /// How many there are: one, if the errors are one.
    pub found: usize,
    pub template: String,
    pub occurrences: i64,
    pub texts: i64,
    pub workers: i64,
}

/// Who is likely to fail next.
pub struct Forecast {
    pub workers: Vec<String>,
    pub rate: f64,
    pub lower: f64,
    pub upper: f64,
    pub confidence: f64,
}

/// Who controlled what, and what the record says.
pub struct Order {
    pub preempted: Vec<String>,
    pub reverted: i32,
    pub while_killed: String,
    /// The SQLSTATE and the words with which a change of the record is refused.
    pub refusal: (String, String),
    pub transitions: i64,
    pub records: i64,
    pub changed: i64,
}

/// The same error in other words each time. The mailer's failures become more with every day.
fn fail(client: &mut Client) -> Result<i64> {
    let row = client.query_one(
        "SELECT count(*) FILTER (WHERE r.is_changed)
           FROM unnest(ARRAY['mailer', 'planner', 'writer']) worker, generate_series(1, $2::integer) n,
                LATERAL (SELECT CASE WHEN n % 10 = 0 OR (worker = 'mailer' AND 2 * n > $2 AND n % 6 <> 0) THEN 'failed' ELSE 'completed' END AS status) s,
                LATERAL costsim_record_run($1, worker, s.status,
                    error => CASE s.status WHEN 'failed' THEN format('Timeout after %s ms: POST /v1/orders/%s/items, request req_%s, at %s',
                                                                     1000 + 7 * n, gen_random_uuid(), left(md5(worker || n), 8), now() - interval '1 hour' * n) END,
                    created_at => now() - interval '72 hours' * ($2 - n) / $2) r",
        &[&TENANT, &RUNS],
    )?;
    Ok(row.get(0))
}

/// Looks for what goes wrong again and again, and reads what was found.
fn find(client: &mut Client) -> Result<Pattern> {
    let found = client.query(
        "SELECT FROM costsim_detect_patterns($1) WHERE pattern_type = 'failure_pattern'",
        &[&TENANT],
    )?;
    let row = client.query_opt(
        "SELECT f.metadata ->> 'template', f.occurrence_count::bigint, jsonb_array_length(f.metadata -> 'workers')::bigint,
                (SELECT count(DISTINCT r.error) FROM costsim_worker_runs r WHERE r.tenant_id = $1 AND r.created_at > now() - interval '1 day')
           FROM costsim_query_feedback($1, 'failure_pattern') f",
        &[&TENANT],
    )?;
    let row = row.context("the failures are no pattern")?;
    Ok(Pattern {
        found: found.len(),
        template: row.get(0),
        occurrences: row.get(1),
        workers: row.get(2),
        texts: row.get(3),
    })
}

fn foresee(client: &mut Client) -> Result<Forecast> {
    let rows = client.query(
        "SELECT subject_id, (prediction_value ->> 'failure_rate')::float8, (prediction_value ->> 'lower')::float8,
                (prediction_value ->> 'upper')::float8, confidence_score
           FROM costsim_predict($1) WHERE prediction_type = 'failure_likelihood' ORDER BY subject_id",
        &[&TENANT],
    )?;
    let first = rows.first().context("nobody is likely to fail")?;
    Ok(Forecast {
        workers: rows.iter().map(|row| row.get(0)).collect(),
        rate: first.get(1),
        lower: first.get(2),
        upper: first.get(3),
        confidence: first.get(4),
    })
}

/// Somebody saves, somebody else keeps things going, an operator stops them all, and somebody would rather have it that it never was.
fn decide(client: &mut Client) -> Result<Order> {
    let ask = "SELECT decision || ': ' || reason, preempted FROM costsim_coordinate($1, $2, 'mailer', $3, tenant_id => $4)";
    client.query_one(ask, &[&"save", &"cost", &"concurrency", &TENANT])?;
    let preempted = client.query_one(ask, &[&"calm", &"reliability", &"retries", &TENANT])?.get(1);
    let reverted = client.query_one("SELECT costsim_set_kill_switch(true, 'demo', 'enough')", &[])?.get(0);
    let while_killed = client.query_one(ask, &[&"stop", &"safety", &"concurrency", &TENANT])?.get(0);
    client.query_one("SELECT costsim_set_kill_switch(false, 'demo', 'over')", &[])?;
    let change = "UPDATE costsim_audit_records SET decision = 'REJECTED' WHERE envelope_id = 'calm'";
    let error = client.batch_execute(change).err().context("the record was changed")?;
    let error = error.as_db_error().context("the server did not answer")?;
    let row = client.query_one(
        "SELECT (SELECT sum(1 + (status <> 'active')::integer)::bigint FROM costsim_envelopes),
                (SELECT count(*) FROM costsim_audit_records WHERE decision <> 'REJECTED'), (SELECT count(*) FROM costsim_verify_audit())",
        &[],
    )?;
    Ok(Order {
        preempted,
        reverted,
        while_killed,
        refusal: (error.code().code().to_owned(), error.message().to_owned()),
        transitions: row.get(0),
        records: row.get(1),
        changed: row.get(2),
    })
}

impl Signals {
    /// All of it.
    pub fn run(client: &mut Client) -> Result<Self> {
        let runs = fail(client)?;
        ensure!(runs == 3 * i64::from(RUNS), "{runs} runs were recorded");
        Ok(Self { runs, pattern: find(client)?, forecast: foresee(client)?, order: decide(client)? })
    }
}
