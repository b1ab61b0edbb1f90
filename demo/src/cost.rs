//! The bill of the demo: the requests are recorded with their prices, a hard limit refuses what would pass it, and a loop that runs away
//! becomes an anomaly, and the anomaly an alert.
//!
//! The trace is laid over the fortnight before today, so that there is something to compare today with.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use costsim_harness::{Alertmanager, Cluster};
use postgres::Client;

use crate::prices::Prices;
use crate::stage::DATABASE;

const TENANT: &str = "demo";

/// So many of the last requests are on the bill.
const REQUESTS: i64 = 20_000;

/// As many as a batch may well have.
const BATCH: i64 = 1_000;

/// So many sessions ask at once for what only one of them can have.
const SESSIONS: usize = 8;

/// How many times as much as on other days the loop spends.
const SURGE: i32 = 4;

const ALERT: [(&str, &str); 4] = [
    ("alertname", "CostSimCostAnomaly"),
    ("tenant_id", TENANT),
    ("anomaly_type", "ABSOLUTE_SPIKE"),
    ("entity_type", "tenant"),
];

/// What was recorded, refused and found.
pub struct Bill {
    /// Records of the trace, and whether their sums are those of plain SQL.
    pub records: i64,
    pub cents: String,
    pub is_exact: bool,
    /// Of the sessions that spent at once.
    pub recorded: usize,
    pub refused: usize,
    /// Why the last one was.
    pub reason: String,
    /// What became of the loop.
    pub spike: Spike,
    /// From the end of the loop to when Alertmanager's API listed the alert as active.
    pub alert_after: Duration,
}

/// The anomaly of the tenant.
pub struct Spike {
    pub severity: String,
    pub message: String,
    pub cause: String,
}

/// Puts the last requests on the bill, in batches, as an application would.
fn record(client: &mut Client, prices: Prices) -> Result<(i64, String, bool)> {
    client.query_one("SELECT costsim_create_feature_tag($1, 'chat.answer')", &[&TENANT])?;
    let batch = client.prepare(
        "SELECT count(*) FILTER (WHERE status = 'recorded')
           FROM costsim_record_costs((
                SELECT jsonb_agg(jsonb_build_object(
                           'tenant_id', $1::text, 'model', 'v2', 'feature_tag', 'chat.answer', 'user_id', 'user-' || seq % 50,
                           'request_id', 'request-' || seq, 'input_tokens', context_tokens, 'output_tokens', generated_tokens,
                           'cost_cents', (context_tokens * $2::float8 + generated_tokens * $3::float8) / 1000,
                           'created_at', now() - interval '1 day' * (1 + seq % 14)))
                  FROM demo_requests WHERE seq > $4 AND seq <= $4 + $5))",
    )?;
    let last: i64 = client.query_one("SELECT max(seq) FROM demo_requests", &[])?.get(0);
    let mut records = 0;
    let first = (last - REQUESTS).max(0);
    for before in (first..last).step_by(BATCH as usize) {
        let size = BATCH.min(last - before);
        let row = client
            .query_one(&batch, &[&TENANT, &prices.input_per_1k, &prices.output_per_1k, &before, &size])?;
        records += row.get::<_, i64>(0);
    }
    ensure!(records == last - first, "of {} requests {records} were recorded", last - first);
    let row = client.query_one(
        "SELECT trim_scale(s.spend_cents)::text, s.spend_cents = r.cents AND s.requests = r.requests
           FROM costsim_cost_summary($1, now() - interval '15 days', now()) s,
                (SELECT sum(cost_cents) AS cents, count(*) AS requests FROM costsim_cost_records WHERE tenant_id = $1) r",
        &[&TENANT],
    )?;
    Ok((records, row.get(0), row.get(1)))
}

/// Several sessions spend at once under a hard limit that has room for one of them: how many were recorded, and why the others were not.
fn spend_at_once(client: &mut Client, cluster: &Cluster) -> Result<(usize, Vec<String>)> {
    client.query_one(
        "SELECT costsim_set_budget($1, 'user', 'trial', daily_limit_cents => 15, hard_limit_enabled => true)",
        &[&TENANT],
    )?;
    let session = || -> Result<Option<String>> {
        let row = cluster.connect(DATABASE)?.query_one(
            "SELECT reason FROM costsim_record_cost($1, 'v2', 10, user_id => 'trial', enforce => true)",
            &[&TENANT],
        )?;
        Ok(row.get(0))
    };
    let answers = thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS).map(|_| scope.spawn(session)).collect();
        let answers = sessions.into_iter().map(|session| session.join().ok().context("a session")?);
        answers.collect::<Result<Vec<_>>>()
    })?;
    let refusals: Vec<_> = answers.into_iter().flatten().collect();
    Ok((SESSIONS - refusals.len(), refusals))
}

/// A client repeats what fails, and every time it costs something. Answers what detection makes of it.
fn run_away(client: &mut Client) -> Result<Spike> {
    client.query_one(
        "SELECT count(r)
           FROM (SELECT ($2::integer * sum(baseline_daily_avg_cents) + 1000) / 200 AS cents FROM costsim_cost_baseline($1)) b,
                LATERAL (SELECT costsim_record_costs(jsonb_agg(jsonb_build_object(
                                    'tenant_id', $1::text, 'model', 'v2', 'feature_tag', 'chat.answer', 'user_id', 'agent-7',
                                    'cost_cents', round(b.cents, 6), 'input_tokens', 1000, 'is_retry', n > 1)))
                           FROM generate_series(1, 200) n) r",
        &[&TENANT, &SURGE],
    )?;
    let found = client.query_opt(
        "SELECT severity, message, coalesce(derived_cause, '') FROM costsim_detect_anomalies($1)
          WHERE anomaly_type = 'ABSOLUTE_SPIKE' AND entity_type = 'tenant'",
        &[&TENANT],
    )?;
    let found = found.context("the loop is no anomaly")?;
    Ok(Spike { severity: found.get(0), message: found.get(1), cause: found.get(2) })
}

/// Whether Alertmanager has heard of it.
fn is_listed(alertmanager: &Alertmanager) -> Result<bool> {
    Ok(alertmanager.alert_state(&ALERT)?.is_some_and(|alert| alert.state == "active"))
}

/// Whoever looked after it says that it is over.
fn resolve(client: &mut Client) -> Result<()> {
    client.query(
        "SELECT costsim_resolve_anomaly(tenant_id, id, 'demo', 'the client was stopped') FROM costsim_cost_anomalies WHERE status = 'open'",
        &[],
    )?;
    Ok(())
}

impl Bill {
    /// All of it; `wait` looks until something is so.
    pub fn run(
        client: &mut Client,
        cluster: &Cluster,
        alertmanager: &Alertmanager,
        prices: Prices,
        mut wait: impl FnMut(&str, &mut dyn FnMut() -> Result<Option<()>>) -> Result<()>,
    ) -> Result<Self> {
        let (records, cents, is_exact) = record(client, prices)?;
        let (recorded, refusals) = spend_at_once(client, cluster)?;
        let started = Instant::now();
        let spike = run_away(client)?;
        wait("Alertmanager to list the anomaly", &mut || Ok(is_listed(alertmanager)?.then_some(())))?;
        let alert_after = started.elapsed();
        resolve(client)?;
        wait("Alertmanager to list the anomaly no longer", &mut || {
            Ok(alertmanager.alert_state(&ALERT)?.is_none().then_some(()))
        })?;
        let refused = refusals.len();
        let reason = refusals.into_iter().next().unwrap_or_default();
        Ok(Self { records, cents, is_exact, recorded, refused, reason, spike, alert_after })
    }
}
