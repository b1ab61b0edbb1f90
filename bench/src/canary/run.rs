//! A canary run, and the reads that it cannot do without.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Load, is_chosen, plans};
use crate::provenance::{Race, Runner, Stage};

pub const NAMES: [&str; 1] = ["canary_run"];

/// The reads of a run, as it makes them, and nothing done with what is read but to look at its length. From the window's start to its end.
const READS: &str = "WITH w AS MATERIALIZED (SELECT $1::int4 AS wanted, now() - interval '7 days' AS first, now() AS last
     ), spread AS MATERIALIZED (
         SELECT s.id
           FROM w CROSS JOIN LATERAL generate_series(1, w.wanted) AS n
          CROSS JOIN LATERAL (
                SELECT p.id FROM costsim_provenance AS p
                 WHERE p.created_at > w.first + (w.last - w.first) * ((n - 1)::float8 / w.wanted)
                   AND p.created_at <= w.first + (w.last - w.first) * (n::float8 / w.wanted)
                   AND (p.v1_cost IS NOT NULL AND p.v2_cost IS NOT NULL OR jsonb_typeof(p.payload -> 'plan') = 'array')
                 ORDER BY p.created_at DESC, p.id DESC LIMIT 1) AS s)
     SELECT count(*), sum(length(CASE WHEN jsonb_typeof(p.payload -> 'plan') = 'array' THEN (p.payload -> 'plan')::text END)),
            sum((p.payload ->> 'budget_cents')::float8),
            count(*) FILTER (WHERE coalesce(p.payload -> 'comparison' -> 'feasibility_match' <> 'false'::jsonb, true))
       FROM spread c JOIN costsim_provenance AS p ON p.id = c.id";

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    if !NAMES.into_iter().any(|name| is_chosen(name, only)) {
        return Ok(Vec::new());
    }
    let count = i32::try_from(load.canary_samples)?;
    let texts = plans::agreed(5 * load.canary_samples);
    let mut client = stage.connect()?;
    // Evenly over somewhat more than the seven days that are looked at.
    client.execute(
        "INSERT INTO costsim_provenance (run_id, tenant_id, source, v1_cost, v2_cost, cost_delta, payload, created_at)
         SELECT 'run', 'tenant-' || n % 4, 'sandbox', 5, 5, 0, jsonb_build_object('plan', p::jsonb, 'budget_cents', 1000),
                now() - n * interval '8 days' / cardinality($1::text[])
           FROM unnest($1::text[]) WITH ORDINALITY t (p, n)",
        &[&texts],
    )?;
    client.batch_execute("VACUUM ANALYZE costsim_provenance")?;
    let (mut ours, mut theirs) = (stage.connect()?, stage.connect()?);
    let statement = "SELECT status, compared_samples FROM costsim_run_canary(sample_count => $1)";
    let (run, read) = (ours.prepare(statement)?, theirs.prepare(READS)?);
    let runners = vec![
        Runner {
            label: "costsim_run_canary",
            says: statement.to_owned(),
            goal: None,
            run: Box::new(move || {
                let start = Instant::now();
                let row = ours.query_one(&run, &[&count])?;
                let rate = f64::from(count) / start.elapsed().as_secs_f64();
                let (status, compared): (String, i32) = (row.get(0), row.get(1));
                ensure!(status == "pass" && compared == count, "{status} of {compared}");
                Ok(rate)
            }),
        },
        Runner {
            label: "its reads alone",
            says: READS.to_owned(),
            // Twice the time is half the rate.
            goal: Some(0.5),
            run: Box::new(move || {
                let start = Instant::now();
                let row = theirs.query_one(&read, &[&count])?;
                let rate = f64::from(count) / start.elapsed().as_secs_f64();
                let answered: i64 = row.get(0);
                ensure!(answered == i64::from(count), "{answered} rows were read");
                Ok(rate)
            }),
        },
    ];
    let races = vec![Race::run(NAMES[0], "samples/s", load.canary_turns, runners)?];
    client.batch_execute("TRUNCATE costsim_provenance")?;
    Ok(races)
}
