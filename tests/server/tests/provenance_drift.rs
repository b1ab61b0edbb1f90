//! The drift summary on whole servers: in parallel, by the hour, in windows, on the wire.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one};
use postgres::Client;
use std::io::{Read, Write};
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().conf("max_parallel_workers", "8").start())?;
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
    let groups =
        "SELECT count(*) FROM (SELECT i % 500 AS k, costsim_drift(v1, v2) AS s FROM pair GROUP BY 1) p";
    ensure!(workers_launched(&mut client, groups)? > 0, "no worker helped to group");
    client.batch_execute(
        "CREATE TABLE grouped AS SELECT i % 500 AS k, costsim_drift(v1, v2)::text AS s FROM pair GROUP BY 1",
    )?;
    client.batch_execute("SET max_parallel_workers_per_gather = 0")?;
    let differing = "SELECT count(*) FROM grouped g
                       JOIN (SELECT i % 500 AS k, costsim_drift(v1, v2)::text AS s FROM pair GROUP BY 1) p USING (k) WHERE g.s <> p.s";
    assert_eq!(one::<i64>(&mut client, differing)?, 0);
    Ok(())
}

#[test]
fn a_summary_answers_what_exact_arithmetic_answers() -> Result<()> {
    let (_cluster, mut client) = database("exact")?;
    fill(&mut client, 50_000)?;
    // A cost of at most ten bits behind the point is the same number as a numeric, whose sums are exact; of quotients and roots it is
    // asked for 60 digits, far more than a double has.
    client.batch_execute(
        "CREATE VIEW exact AS SELECT floor(v1 * 1024) / 1024 AS v1, floor(v2 * 1024) / 1024 AS v2 FROM pair;
         CREATE VIEW delta AS SELECT v2 - v1 AS d, abs(v2 - v1) / nullif(abs(v1), 0) AS r FROM exact WHERE v1 <> 'NaN' AND v2 IS NOT NULL",
    )?;
    let row = client.query_one(
        "SELECT ARRAY[costsim_drift_count(s) = n, costsim_drift_not_finite(s) = not_finite, costsim_drift_min(s) = min,
                      costsim_drift_max(s) = max, costsim_drift_rel_max(s) = rel_max,
                      costsim_drift_mean(s) = (round(sum, 60) / n)::float8,
                      costsim_drift_stddev(s) = sqrt(round(n * squares - sum * sum, 60) / (n * (n - 1)))::float8,
                      abs(costsim_drift_rel_mean(s) / rel - 1) < 1e-13,
                      abs(costsim_drift_stddev(s) / stddev - 1) < 1e-12], n
           FROM (SELECT costsim_drift(v1, v2) AS s, count(*) FILTER (WHERE v1 = 'NaN' AND v2 IS NOT NULL) AS not_finite FROM exact) o,
                (SELECT count(*) AS n, min(d), max(d), max(r) AS rel_max, avg(r) AS rel, sum(d::numeric), sum(d::numeric * d::numeric) AS squares,
                        stddev_samp(d) AS stddev FROM delta) p",
        &[],
    )?;
    assert_eq!(row.get::<_, Vec<bool>>(0), [true; 9]);
    assert!(row.get::<_, i64>(1) > 45_000);
    Ok(())
}

/// Frames that slide, grow, shrink, jump, are empty, or leave rows out.
const FRAMES: [&str; 17] = [
    "ORDER BY i ROWS 4 PRECEDING",
    "ORDER BY i ROWS 127 PRECEDING",
    "ORDER BY i ROWS 128 PRECEDING",
    "ORDER BY i ROWS BETWEEN 150 PRECEDING AND 30 FOLLOWING",
    "ORDER BY i ROWS BETWEEN 10 FOLLOWING AND 200 FOLLOWING",
    "ORDER BY i ROWS BETWEEN 2 FOLLOWING AND 1 FOLLOWING",
    "ORDER BY i ROWS BETWEEN UNBOUNDED PRECEDING AND 3 PRECEDING",
    "ORDER BY i ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    "ORDER BY v1, i ROWS BETWEEN 180 PRECEDING AND CURRENT ROW",
    "ORDER BY v2 DESC, i ROWS BETWEEN 180 PRECEDING AND CURRENT ROW",
    "ORDER BY at RANGE BETWEEN interval '3 days' PRECEDING AND interval '1 day' FOLLOWING",
    "ORDER BY i % 20 RANGE BETWEEN 3 PRECEDING AND 1 PRECEDING",
    "ORDER BY i % 20 GROUPS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
    "ORDER BY i ROWS BETWEEN 160 PRECEDING AND 5 FOLLOWING EXCLUDE CURRENT ROW",
    "ORDER BY i % 20 GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES",
    "PARTITION BY i % 3 ORDER BY i ROWS BETWEEN 140 PRECEDING AND 1 PRECEDING",
    "PARTITION BY i % 3 ORDER BY at RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
];

#[test]
fn a_moving_window_is_the_summary_of_its_rows() -> Result<()> {
    let (_cluster, mut client) = database("windows")?;
    fill(&mut client, 900)?;
    client.batch_execute(
        "CREATE TABLE part AS SELECT i, v1, v2, at, CASE WHEN i % 11 <> 0 THEN (SELECT costsim_drift(q.v1, q.v2) FROM pair q WHERE q.i % 40 = p.i % 40 AND q.i > p.i) END AS s
           FROM pair p WHERE i <= 400",
    )?;
    // The server does not take rows back from an aggregate whose argument is volatile: it counts every frame from its first row on.
    let questions = [
        ("pair", "costsim_drift(v1, v2)", "costsim_drift(v1 + 0 * random(), v2)"),
        (
            "pair",
            "costsim_drift(v1, v2) FILTER (WHERE i % 5 <> 2)",
            "costsim_drift(v1 + 0 * random(), v2) FILTER (WHERE i % 5 <> 2)",
        ),
        ("part", "costsim_drift_merge(s)", "costsim_drift_merge(CASE WHEN random() >= 0 THEN s END)"),
    ];
    for (table, moving, plain) in questions {
        for frame in FRAMES {
            let row = client
                .query_one(
                    &format!(
                        "SELECT count(*) FILTER (WHERE m::text IS DISTINCT FROM p::text), max(costsim_drift_count(m))
                           FROM (SELECT {moving} OVER w AS m, {plain} OVER w AS p FROM {table} WINDOW w AS ({frame})) o"
                    ),
                    &[],
                )
                .with_context(|| format!("{moving} over ({frame})"))?;
            assert_eq!(row.get::<_, i64>(0), 0, "{moving} over ({frame})");
            assert_eq!(
                row.get::<_, i64>(1) > 0,
                !frame.contains("2 FOLLOWING AND 1 FOLLOWING"),
                "{moving} over ({frame})"
            );
        }
    }
    Ok(())
}

#[test]
fn binary_copies_are_the_summaries_and_malformed_ones_are_refused() -> Result<()> {
    let (_cluster, mut client) = database("binary")?;
    fill(&mut client, 3_000)?;
    client.batch_execute(
        "CREATE TABLE kept AS SELECT i % 50 AS k, costsim_drift(v1, v2) AS s FROM pair GROUP BY 1;
         INSERT INTO kept SELECT -1, costsim_drift(v1, v2) FROM pair;
         CREATE TABLE back (LIKE kept)",
    )?;
    let mut copied = Vec::new();
    client.copy_out("COPY kept TO STDOUT (FORMAT binary)")?.read_to_end(&mut copied)?;
    let mut writer = client.copy_in("COPY back FROM STDIN (FORMAT binary)")?;
    writer.write_all(&copied)?;
    assert_eq!(writer.finish()?, 51);
    let same = "SELECT count(*) FROM kept JOIN back USING (k) WHERE kept.s::text = back.s::text";
    assert_eq!(one::<i64>(&mut client, same)?, 51);

    // The last field's last byte, before the two of the trailer.
    let last = copied.len() - 3;
    copied[last] ^= 0xff;
    let mut writer = client.copy_in("COPY back FROM STDIN (FORMAT binary)")?;
    writer.write_all(&copied)?;
    let refused = writer.finish().err().context("a changed summary was taken")?;
    assert_eq!(refused.code().context("no answer of the server")?.code(), "22023");
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM back")?, 51);
    Ok(())
}

/// The memory of the session's process, in kB.
fn resident(client: &mut Client) -> Result<u64> {
    let pid: i32 = one(client, "SELECT pg_backend_pid()")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn states_go_with_their_query() -> Result<()> {
    let (_cluster, mut client) = database("memory")?;
    fill(&mut client, 60_000)?;
    client.batch_execute("SET max_parallel_workers_per_gather = 0")?;
    let mut round = || -> Result<u64> {
        for statement in [
            "SELECT count(s) FROM (SELECT costsim_drift(v1, v2) AS s FROM pair GROUP BY i % 300) o",
            "SELECT count(s) FROM (SELECT costsim_drift(v1, v2) OVER (ORDER BY i ROWS 200 PRECEDING) AS s FROM pair WHERE i < 2000) o",
            "SELECT count(s) FROM (SELECT costsim_drift(v1, v2) OVER (ORDER BY i ROWS 20 PRECEDING EXCLUDE CURRENT ROW) AS s FROM pair WHERE i < 2000) o",
            "SELECT costsim_drift_merge(s) FROM (SELECT costsim_drift(v1, v2) AS s FROM pair GROUP BY i % 300) o",
        ] {
            client.simple_query(statement)?;
        }
        // An error leaves states behind as a cancel does.
        let failing = "SELECT count(s) FROM (SELECT costsim_drift(v1, 1 / (i - 59999) + v2) AS s FROM pair GROUP BY i % 300) o";
        ensure!(client.simple_query(failing).is_err(), "a division by zero went well");
        resident(&mut client)
    };
    for _ in 0..3 {
        round()?;
    }
    let before = round()?;
    let mut after = before;
    for _ in 0..12 {
        after = round()?;
    }
    // A round that left its states behind would leave some 20 MB.
    assert!(after < before + 8_000, "from {before} kB to {after} kB");
    Ok(())
}
