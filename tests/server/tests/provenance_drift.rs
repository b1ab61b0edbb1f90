//! The drift summary on whole servers: in parallel, by the hour, in windows, on the wire.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one};
use postgres::Client;
use std::io::{Read, Write};
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let conf = |name: &str, value: &str| Cluster::builder().conf(name, value);
    let cluster = CLUSTER.get(|| conf("max_worker_processes", "8").start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

/// Table `pair` with so many costs of a hundred days, of either order, with noise, NULLs and now and then a NaN.
fn fill(client: &mut Client, rows: i32) -> Result<()> {
    client.batch_execute("SELECT setseed(0.42)")?;
    client.batch_execute(&format!(
        "CREATE TABLE pair AS
         SELECT i, timestamptz '2025-01-01 UTC' + i * interval '8640000 s' / {rows} AS at, v1, CASE WHEN i % 97 <> 0 THEN v1 * (0.9 + 0.25 * random()) END AS v2
           FROM (SELECT i, CASE WHEN i % 1013 = 0 THEN 'NaN' WHEN i % 89 <> 0 THEN exp(8 * random() - 2) END AS v1
                   FROM generate_series(1, {rows}) i) p;
         ALTER TABLE pair SET (parallel_workers = 3);
         ANALYZE pair"
    ))?;
    Ok(())
}

const WHOLE: &str = "SELECT costsim_drift(v1, v2)::text FROM pair";

/// Makes the server share every scan out.
fn in_parallel(client: &mut Client, workers: u32) -> Result<()> {
    client.batch_execute(&format!(
        "SET max_parallel_workers_per_gather = {workers}; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
         SET min_parallel_table_scan_size = 0"
    ))?;
    Ok(())
}

/// How many workers a statement was given.
fn workers_launched(client: &mut Client, statement: &str) -> Result<u32> {
    let explained = client.query(&format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}"), &[])?;
    let lines = explained.iter().map(|row| row.get::<_, String>(0));
    let launched = lines.filter_map(|line| line.trim().strip_prefix("Workers Launched: ")?.parse().ok());
    launched.max().context("nothing was shared out")
}

#[test]
fn parallel_serial_and_hourly_summaries_are_the_same_bytes() -> Result<()> {
    let (_cluster, mut client) = database("parallel")?;
    fill(&mut client, 200_000)?;
    client.batch_execute("SET max_parallel_workers_per_gather = 0")?;
    let serial: String = one(&mut client, WHOLE)?;
    in_parallel(&mut client, 3)?;
    ensure!(workers_launched(&mut client, WHOLE)? > 0, "no worker helped");
    let parallel: String = one(&mut client, WHOLE)?;
    assert_eq!(parallel, serial, "in parallel");

    let hourly = "SELECT costsim_drift_merge(s)::text
                    FROM (SELECT costsim_drift(v1, v2) AS s FROM pair GROUP BY date_trunc('hour', at)) h";
    assert_eq!(one::<String>(&mut client, hourly)?, serial, "by the hour");
    client.batch_execute(
        "CREATE TABLE hour AS SELECT date_trunc('hour', at) AS hour, costsim_drift(v1, v2) AS s FROM pair GROUP BY 1;
         ALTER TABLE hour SET (parallel_workers = 2);
         ANALYZE hour",
    )?;
    let merged = "SELECT costsim_drift_merge(s)::text FROM hour";
    ensure!(workers_launched(&mut client, merged)? > 0, "no worker helped to merge");
    assert_eq!(one::<String>(&mut client, merged)?, serial, "of a table of hours, in parallel");
    let reverse = "SELECT costsim_drift_merge(s ORDER BY hour DESC)::text FROM hour";
    assert_eq!(one::<String>(&mut client, reverse)?, serial, "backwards");

    // Groups in parallel, hashed in each worker and put together by the leader.
    let groups = "SELECT count(*) FROM (SELECT i % 500 AS k, costsim_drift(v1, v2) AS s FROM pair GROUP BY 1) p";
    ensure!(workers_launched(&mut client, groups)? > 0, "no worker helped to group");
    client.batch_execute("CREATE TABLE grouped AS SELECT i % 500 AS k, costsim_drift(v1, v2)::text AS s FROM pair GROUP BY 1")?;
    client.batch_execute("SET max_parallel_workers_per_gather = 0")?;
    let differing = "SELECT count(*) FROM grouped g
                       JOIN (SELECT i % 500 AS k, costsim_drift(v1, v2)::text AS s FROM pair GROUP BY 1) p USING (k) WHERE g.s <> p.s";
    assert_eq!(one::<i64>(&mut client, differing)?, 0);
    Ok(())
}

#[test]
fn a_summary_answers_what_plain_sql_answers() -> Result<()> {
    let (_cluster, mut client) = database("plain")?;
    fill(&mut client, 50_000)?;
    // numeric's arithmetic is exact but for the last division and root, which keep more digits than a double has.
    let row = client.query_one(
        "WITH d AS (SELECT v2 - v1 AS d, abs(v2 - v1) / abs(v1) AS r FROM pair WHERE v1 <> 'NaN' AND v2 IS NOT NULL),
              s AS (SELECT costsim_drift(v1, v2) AS s FROM pair),
              n AS (SELECT count(*) AS n, min(d), max(d), max(r) AS rel_max, sum(exact.d) AS sum, sum(exact.d * exact.d) AS squares, sum(exact.r) AS rel
                      FROM d, LATERAL (SELECT exact_double(d) AS d, exact_double(r) AS r) exact)
         SELECT costsim_drift_count(s) = n, costsim_drift_min(s) = min, costsim_drift_max(s) = max, costsim_drift_rel_max(s) = rel_max,
                costsim_drift_mean(s) = (sum / n)::float8, costsim_drift_rel_mean(s) = (rel / n)::float8,
                abs(costsim_drift_stddev(s) / sqrt(round((n * squares - sum * sum) / n / (n - 1), 60))::float8 - 1) <= 2.3e-16,
                costsim_drift_not_finite(s) = (SELECT count(*) FROM pair WHERE v1 = 'NaN' AND v2 IS NOT NULL)
           FROM s, n".replace("exact_double", "pg_temp.exact_double").as_str(),
        &[],
    );
    // The cast of a double to numeric rounds to 15 digits: the exact value comes out of its bits.
    let row = match row {
        Ok(row) => row,
        Err(_) => {
            client.batch_execute(
                "CREATE FUNCTION pg_temp.exact_double(x float8) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
                     SELECT CASE WHEN x = 0 THEN 0 ELSE sign(x)::numeric * (b & 4503599627370495 | 4503599627370496)::numeric
                            * CASE WHEN e >= 0 THEN 2::numeric ^ e ELSE 0.5::numeric(1000, 400) ^ -e END END
                       FROM (SELECT b, (b >> 52 & 2047)::int - 1075 AS e FROM (SELECT ('x' || encode(float8send(x), 'hex'))::bit(64)::bigint AS b) bits) parts
                 $$",
            )?;
            return a_summary_beside_exact_numbers(&mut client);
        }
    };
    drop(row);
    anyhow::bail!("the function was there before it was made")
}
