//! Baselines of which half are known: one call, against a client that checks and inserts one by one.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;

use super::python::{self, CHECK_AND_INSERT};
use super::write::TWIN;
use super::{Load, Race, Runner, Stage, is_chosen};

const BACKFILL: &str = "provenance_backfill";

const OURS: &str =
    "SELECT inserted, skipped, errors FROM costsim_backfill_v1_baseline($1::text::json, batch_size => 1000)";
const OURS_BY_DEFAULT: &str =
    "SELECT inserted, skipped, errors FROM costsim_backfill_v1_baseline($1::text::json)";

/// As the system before did it: any row of that hash counts, and each record is a transaction of its own.
const CHECK: &str = "SELECT id FROM plain_provenance WHERE input_hash = $1 LIMIT 1";
const INSERT: &str =
    "INSERT INTO plain_provenance (run_id, tenant_id, variant_slug, source, input_hash, v1_cost, payload)
     VALUES ($1, $2, 'v1', 'backfill', $3, $4, $5::text::jsonb)";

/// Every second record is there before.
fn known(table: &str, records: usize) -> String {
    format!(
        "TRUNCATE {table};
         INSERT INTO {table} (run_id, tenant_id, variant_slug, source, input_hash, v1_cost)
         SELECT format('known-%s', n), format('tenant-%s', n % 8), 'v1', 'backfill', lpad(to_hex(n), 16, '0'), n
           FROM generate_series(0, {records} - 1, 2) n"
    )
}

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    if !is_chosen(BACKFILL, only) {
        return Ok(Vec::new());
    }
    let mut client = stage.connect()?;
    client.batch_execute(TWIN)?;
    let records = load.baselines;
    let payload = json!({ "plan": [{ "skill": "http_call", "params": { "url": "https://api.example.com" } }], "budget_cents": 100 });
    let payload_text = payload.to_string();
    let batch: Vec<_> = (0..records)
        .map(|n| {
            json!({ "run_id": format!("b-{n}"), "tenant_id": format!("tenant-{}", n % 8), "input_hash": format!("{n:016x}"), "cost": n,
                    "payload": payload })
        })
        .collect();
    let batch = serde_json::to_string(&batch)?;
    let (batch, payload, payload_value) = (&batch, &payload_text, &payload);

    let ours = |label, statement: &'static str| -> Result<Runner<'_>> {
        let mut client = stage.connect()?;
        let prepared = client.prepare(statement)?;
        let run = move || {
            client.batch_execute(&known("costsim_provenance", records))?;
            let start = Instant::now();
            let row = client.query_one(&prepared, &[batch])?;
            let elapsed = start.elapsed();
            let told: [i64; 3] = [row.get(0), row.get(1), row.get(2)];
            let half = i64::try_from(records / 2)?;
            ensure!(told == [half, half, 0], "inserted, skipped, errors: {told:?}");
            Ok(records as f64 / elapsed.as_secs_f64())
        };
        Ok(Runner { label, says: statement.into(), goal: None, run: Box::new(run) })
    };
    let few = load.baselines_one_by_one.min(records);
    let mut theirs = stage.connect()?;
    let (check, insert) = (theirs.prepare(CHECK)?, theirs.prepare(INSERT)?);
    let by_hand = move || {
        theirs.batch_execute(&known("plain_provenance", records))?;
        let (mut inserted, start) = (0, Instant::now());
        for n in 0..few {
            let hash = format!("{n:016x}");
            if theirs.query_opt(&check, &[&hash])?.is_none() {
                let (run, tenant) = (format!("b-{n}"), format!("tenant-{}", n % 8));
                theirs.execute(&insert, &[&run, &tenant, &hash, &(n as f64), payload])?;
                inserted += 1;
            }
        }
        let elapsed = start.elapsed();
        ensure!(inserted == few / 2, "{inserted} of {few} were inserted");
        Ok(few as f64 / elapsed.as_secs_f64())
    };
    let mut client_of_python = stage.connect()?;
    let few_records: Vec<_> = (0..few)
        .map(|n| {
            json!([format!("b-{n}"), format!("tenant-{}", n % 8), format!("{n:016x}"), n, payload_value])
        })
        .collect();
    let mut python = python::backfill(&stage.connection(), &few_records)?;
    let by_python = move || {
        client_of_python.batch_execute(&known("plain_provenance", records))?;
        python.pass("go")
    };
    let runners = vec![
        ours("costsim_backfill_v1_baseline, batches of 1,000", OURS)?,
        ours("the same in batches of 100, the default", OURS_BY_DEFAULT)?,
        Runner {
            label: "check, then insert, record by record, psycopg",
            says: format!("{few} times: {CHECK_AND_INSERT}"),
            goal: Some(100.0),
            run: Box::new(by_python),
        },
        Runner {
            label: "the same by a client in Rust, prepared",
            says: format!("{few} times: {CHECK}; if there is none {INSERT}"),
            goal: None,
            run: Box::new(by_hand),
        },
    ];
    let race = Race::run(BACKFILL, "records/s", load.turns, runners)?;
    client.batch_execute("TRUNCATE costsim_provenance; DROP TABLE plain_provenance")?;
    Ok(vec![race])
}
