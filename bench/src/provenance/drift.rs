//! Drift of millions of rows: from the rows, and from roll-ups.

use std::time::Instant;

use anyhow::{Result, ensure};
use postgres::Client;

use super::{Load, Race, Runner, Stage, is_chosen};

const RAW: &str = "provenance_drift_raw";
const RAW_PARALLEL: &str = "provenance_drift_parallel";
const WHOLE: &str = "provenance_drift_rollup_whole";
const UNALIGNED: &str = "provenance_drift_rollup_unaligned";
const TENANT: &str = "provenance_drift_rollup_tenant";
const SERIES: &str = "provenance_drift_rollup_series";
const REFRESH: &str = "provenance_drift_refresh";

/// Thirty days up to the present hour, evenly, in the order of time, of four tenants and two variants. By an INSERT as anybody makes it: with
/// all triggers and indexes.
fn rows(rows: usize) -> String {
    format!(
        "INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, source, input_hash, v1_cost, v2_cost, cost_delta, runtime_ms, created_at)
         SELECT 'run', 'tenant-' || n % 4, CASE WHEN n % 3 = 0 THEN 'canary' ELSE 'v2' END, 'sandbox', 'c29a44abc114a1d7', c.v1, c.v2, c.v2 - c.v1, 7,
                date_trunc('hour', now(), 'UTC') - interval '30 days' + n * (interval '30 days' / {rows})
           FROM generate_series(0::bigint, {rows} - 1) n,
                LATERAL (SELECT 1 + n * 7919 % 100000 / 100.0::float8 AS v1) AS first,
                LATERAL (SELECT first.v1, first.v1 * (0.8 + n * 104729 % 4000 / 10000.0::float8) AS v2) AS c"
    )
}

/// What everybody has without this extension, over the rows of a condition.
fn built_in(condition: &str) -> String {
    format!(
        "SELECT count(d), avg(d), min(d), max(d), stddev_samp(d) FROM (SELECT v2_cost - v1_cost AS d FROM costsim_provenance{condition}) t"
    )
}

/// One statement as a side: so many times a turn, each of which has to answer some rows.
fn asking<'a>(
    stage: &Stage,
    label: &'static str,
    goal: Option<f64>,
    settings: &str,
    statement: &str,
    times: usize,
    unit: f64,
) -> Result<Runner<'a>> {
    let mut client = stage.connect()?;
    client.batch_execute(settings)?;
    let prepared = client.prepare(statement)?;
    let run = move || {
        let start = Instant::now();
        for _ in 0..times {
            ensure!(!client.query(&prepared, &[])?.is_empty(), "{label} answered nothing");
        }
        Ok(times as f64 * unit / start.elapsed().as_secs_f64())
    };
    Ok(Runner { label, says: format!("{settings}; {statement}"), goal, run: Box::new(run) })
}

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    let names = [RAW, RAW_PARALLEL, WHOLE, UNALIGNED, TENANT, SERIES, REFRESH];
    if !names.into_iter().any(|name| is_chosen(name, only)) {
        return Ok(Vec::new());
    }
    let mut client = stage.connect()?;
    build(&mut client, load.drift_rows)?;
    let mut races = Vec::new();
    for (name, settings) in [
        (RAW, "SET max_parallel_workers_per_gather = 0"),
        (RAW_PARALLEL, "SET max_parallel_workers_per_gather = 1"),
    ] {
        if is_chosen(name, only) {
            races.push(of_the_rows(stage, load, name, settings)?);
        }
    }
    for question in &QUESTIONS {
        if is_chosen(question.name, only) {
            races.push(question.race(stage, load)?);
        }
    }
    if is_chosen(REFRESH, only) {
        races.push(refresh(stage, load)?);
    }
    Ok(races)
}

fn build(client: &mut Client, count: usize) -> Result<()> {
    let start = Instant::now();
    client.batch_execute(&rows(count))?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("{count} rows written by one INSERT with all triggers: {rate:.0} rows/s");
    client.batch_execute("VACUUM ANALYZE costsim_provenance")?;
    client.batch_execute("CHECKPOINT")?;
    let start = Instant::now();
    refresh_all(client)?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("refreshed for the first time: {rate:.0} rows/s");
    client.batch_execute("VACUUM ANALYZE costsim_drift_rollups")?;
    client.batch_execute("VACUUM ANALYZE costsim_drift_changes")?;
    // Both sides mean the same rows.
    let same = "SELECT s.total = r.n AND s.min_delta = r.min AND s.max_delta = r.max AND abs(s.avg_delta - r.avg) < 1e-6 * abs(r.avg)
                  FROM costsim_drift_stats() s,
                       (SELECT count(d) AS n, min(d), max(d), avg(d) FROM (SELECT v2_cost - v1_cost AS d FROM costsim_provenance) t) r";
    ensure!(client.query_one(same, &[])?.get::<_, bool>(0), "the two sides answer differently");
    Ok(())
}

fn refresh_all(client: &mut Client) -> Result<()> {
    while client.query_one("SELECT costsim_refresh_drift()", &[])?.get::<_, i64>(0) > 0 {}
    let marked = "SELECT count(*) FROM costsim_drift_changes WHERE hour < date_trunc('hour', now(), 'UTC')";
    let marked: i64 = client.query_one(marked, &[])?.get(0);
    ensure!(marked == 0, "{marked} hours were left");
    Ok(())
}

fn of_the_rows(stage: &Stage, load: &Load, name: &str, settings: &str) -> Result<Race> {
    let rows = load.drift_rows as f64;
    let ours = "SELECT costsim_drift_count(d), costsim_drift_mean(d), costsim_drift_stddev(d), costsim_drift_percentile(d, 0.9)
                  FROM (SELECT costsim_drift(v1_cost, v2_cost) AS d FROM costsim_provenance) t";
    let runners = vec![
        asking(stage, "costsim_drift(v1, v2)", None, settings, ours, 1, rows)?,
        // One and a half times the time is two thirds of the rate.
        asking(stage, "count, avg, min, max, stddev_samp", Some(0.667), settings, &built_in(""), 1, rows)?,
    ];
    Race::run(name, "rows/s", load.drift_turns(), runners)
}

/// Asked of roll-ups, and of the rows by what is built in.
struct Question {
    name: &'static str,
    ours: &'static str,
    condition: &'static str,
    by_day: bool,
    goal: Option<f64>,
}

const PAST: &str = " WHERE created_at < date_trunc('hour', now(), 'UTC')";

static QUESTIONS: [Question; 4] = [
    Question {
        name: WHOLE,
        ours: "SELECT * FROM costsim_drift_stats(end_date => date_trunc('hour', now(), 'UTC') - interval '1 us')",
        condition: PAST,
        by_day: false,
        goal: Some(1_000.0),
    },
    Question {
        name: UNALIGNED,
        ours: "SELECT * FROM costsim_drift_stats(date_trunc('hour', now(), 'UTC') - interval '29 days 17 min',
                                                 date_trunc('hour', now(), 'UTC') - interval '77 min')",
        condition: " WHERE created_at BETWEEN date_trunc('hour', now(), 'UTC') - interval '29 days 17 min'
                                          AND date_trunc('hour', now(), 'UTC') - interval '77 min'",
        by_day: false,
        goal: None,
    },
    Question {
        name: TENANT,
        ours: "SELECT * FROM costsim_drift_stats(end_date => date_trunc('hour', now(), 'UTC') - interval '1 us', tenant_id => 'tenant-1')",
        condition: " WHERE created_at < date_trunc('hour', now(), 'UTC') AND tenant_id = 'tenant-1'",
        by_day: false,
        goal: None,
    },
    Question {
        name: SERIES,
        ours: "SELECT * FROM costsim_drift_series(date_trunc('day', now() - interval '29 days', 'UTC'),
                                                  date_trunc('hour', now(), 'UTC') - interval '1 us', '1 day')",
        condition: " WHERE created_at >= date_trunc('day', now() - interval '29 days', 'UTC')
                       AND created_at < date_trunc('hour', now(), 'UTC')",
        by_day: true,
        goal: None,
    },
];

impl Question {
    fn race(&self, stage: &Stage, load: &Load) -> Result<Race> {
        let theirs = if self.by_day {
            format!(
                "SELECT day, count(d), avg(d), min(d), max(d), stddev_samp(d)
                   FROM (SELECT date_trunc('day', created_at, 'UTC') AS day, v2_cost - v1_cost AS d FROM costsim_provenance{}) t GROUP BY 1",
                self.condition
            )
        } else {
            built_in(self.condition)
        };
        let runners = vec![
            asking(stage, "from roll-ups", None, "SET jit = off", self.ours, 20, 1.0)?,
            asking(
                stage,
                "count, avg, min, max, stddev_samp of the rows",
                self.goal,
                "SET jit = off",
                &theirs,
                1,
                1.0,
            )?,
        ];
        Race::run(self.name, "answers/s", load.drift_turns(), runners)
    }
}

/// All hours anew, against one statement that fills a table with what is built in.
fn refresh(stage: &Stage, load: &Load) -> Result<Race> {
    let rows = load.drift_rows as f64;
    let mut ours = stage.connect()?;
    let rebuild = move || {
        let start = Instant::now();
        ours.query_one("SELECT costsim_refresh_drift(rebuild => true)", &[])?;
        refresh_all(&mut ours)?;
        Ok(rows / start.elapsed().as_secs_f64())
    };
    let mut theirs = stage.connect()?;
    theirs.batch_execute("DROP TABLE IF EXISTS plain_rollups")?;
    const FILL: &str = "CREATE TABLE plain_rollups AS
        SELECT date_trunc('hour', created_at, 'UTC') AS hour, tenant_id, variant_slug, source, count(d), avg(d), min(d), max(d), stddev_samp(d)
          FROM (SELECT *, v2_cost - v1_cost AS d FROM costsim_provenance) t GROUP BY 1, 2, 3, 4";
    let fill = move || {
        let start = Instant::now();
        theirs.batch_execute(FILL)?;
        let elapsed = start.elapsed();
        theirs.batch_execute("DROP TABLE plain_rollups")?;
        Ok(rows / elapsed.as_secs_f64())
    };
    let runners = vec![
        Runner {
            label: "costsim_refresh_drift of every hour",
            says: "SELECT costsim_refresh_drift(rebuild => true)".into(),
            goal: None,
            run: Box::new(rebuild),
        },
        Runner {
            label: "a table of built-in aggregates by hour",
            says: FILL.into(),
            goal: None,
            run: Box::new(fill),
        },
    ];
    Race::run(REFRESH, "rows/s", load.drift_turns(), runners)
}
