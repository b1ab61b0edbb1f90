//! Records on their way in: batches and one by one, against plain INSERTs of the same; without and with the fold of what they made pending.

use std::time::Instant;

use anyhow::{Result, ensure};
use postgres::Client;

use super::requests::{self, Record};
use super::{Load, Race, Runner, Stage, fold, is_chosen};

pub const NAMES: [&str; 3] = ["cost_ingest_batch", "cost_ingest_batch_and_fold", "cost_ingest_one_by_one"];

pub const BATCH: usize = 1_000;

/// The same columns, checks and indexes, and nobody who adds anything up.
const TWIN: &str = "CREATE TABLE plain_records (LIKE costsim_cost_records INCLUDING ALL)";

const OURS: &str =
    "SELECT count(*) FILTER (WHERE status = 'recorded') FROM costsim_record_costs($1::text::jsonb)";

const THEIRS: &str = "
    WITH written AS (
        INSERT INTO plain_records (tenant_id, user_id, feature_tag, request_id, model, input_tokens, output_tokens, cost_cents, created_at)
        SELECT tenant_id, user_id, feature_tag, request_id, model, input_tokens, output_tokens, cost_cents, created_at
          FROM jsonb_to_recordset($1::text::jsonb)
            AS r(tenant_id text, user_id text, feature_tag text, request_id text, model text, input_tokens bigint, output_tokens bigint,
                 cost_cents numeric, created_at timestamptz)
        RETURNING 1)
    SELECT count(*) FROM written";

const OURS_ONE: &str = "
    SELECT status FROM costsim_record_cost(tenant_id => $1, user_id => $2, feature_tag => $3, request_id => $4, model => $5,
                                           input_tokens => $6, output_tokens => $7, cost_cents => $8::float8::numeric, created_at => $9)";

const THEIRS_ONE: &str = "
    INSERT INTO plain_records (tenant_id, user_id, feature_tag, request_id, model, input_tokens, output_tokens, cost_cents, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::float8::numeric, $9) RETURNING 'recorded'";

/// Records as batches of jsonb.
pub fn batches(records: &[Record]) -> Result<Vec<String>> {
    let json = |batch: &[Record]| serde_json::to_string(&batch.iter().map(Record::json).collect::<Vec<_>>());
    Ok(records.chunks(BATCH).map(json).collect::<Result<_, _>>()?)
}

/// Every batch by a statement of its own, which answers how many records it wrote.
pub fn write_batches(client: &mut Client, statement: &str, batches: &[String], records: usize) -> Result<()> {
    let prepared = client.prepare(statement)?;
    let mut written = 0;
    for batch in batches {
        written += client.query_one(&prepared, &[batch])?.get::<_, i64>(0);
    }
    ensure!(usize::try_from(written)? == records, "of {records} records {written} were written");
    Ok(())
}

/// Every record by a statement of its own.
pub fn write_one_by_one(client: &mut Client, statement: &str, records: &[Record]) -> Result<()> {
    let prepared = client.prepare(statement)?;
    for r in records {
        let status: String = client
            .query_one(
                &prepared,
                &[&r.tenant, &r.user, &r.feature, &r.request, &r.model, &r.input, &r.output, &r.cost, &r.at],
            )?
            .get(0);
        ensure!(status == "recorded", "{} was {status}", r.request);
    }
    Ok(())
}

/// What it takes to write, to a table that is emptied first, which does not count.
fn timed<'a>(
    stage: &Stage,
    label: &'static str,
    goal: Option<f64>,
    says: &str,
    table: &'static str,
    records: usize,
    write: impl Fn(&mut Client) -> Result<()> + 'a,
) -> Result<Runner<'a>> {
    let mut client = stage.connect()?;
    let run = move || {
        client.batch_execute(&format!("TRUNCATE {table}"))?;
        client.batch_execute("VACUUM costsim_cost_pending")?;
        let start = Instant::now();
        write(&mut client)?;
        Ok(records as f64 / start.elapsed().as_secs_f64())
    };
    Ok(Runner { label, says: says.to_owned(), goal, run: Box::new(run) })
}

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    let mut client = stage.connect()?;
    client.batch_execute(TWIN)?;
    requests::tag(&mut client)?;
    let records = requests::records(load.cost_batched.max(load.cost_one_by_one))?;
    let (batched, singles) = (&records[..load.cost_batched], &records[..load.cost_one_by_one]);
    let batches = batches(batched)?;
    let mut races = Vec::new();
    let plain = |goal| {
        let write = |client: &mut Client| write_batches(client, THEIRS, &batches, batched.len());
        timed(
            stage,
            "INSERT ... SELECT without roll-ups",
            goal,
            THEIRS,
            "plain_records",
            batched.len(),
            write,
        )
    };
    if is_chosen(NAMES[0], only) {
        let ours = |client: &mut Client| write_batches(client, OURS, &batches, batched.len());
        let ours =
            timed(stage, "costsim_record_costs", None, OURS, "costsim_cost_records", batched.len(), ours)?;
        races.push(Race::run(NAMES[0], "records/s", load.cost_turns, vec![ours, plain(Some(0.5))?])?);
    }
    if is_chosen(NAMES[1], only) {
        let ours = |client: &mut Client| {
            write_batches(client, OURS, &batches, batched.len())?;
            ensure!(fold(client)? > 0, "nothing was pending");
            Ok(())
        };
        let says = format!("{OURS}; then SELECT costsim_refresh_costs()");
        let label = "costsim_record_costs, and all of it folded";
        let ours = timed(stage, label, None, &says, "costsim_cost_records", batched.len(), ours)?;
        races.push(Race::run(NAMES[1], "records/s", load.cost_turns, vec![ours, plain(None)?])?);
    }
    if is_chosen(NAMES[2], only) {
        let ours = |client: &mut Client| write_one_by_one(client, OURS_ONE, singles);
        let theirs = |client: &mut Client| write_one_by_one(client, THEIRS_ONE, singles);
        let runners = vec![
            timed(stage, "costsim_record_cost", None, OURS_ONE, "costsim_cost_records", singles.len(), ours)?,
            timed(
                stage,
                "INSERT without roll-ups",
                None,
                THEIRS_ONE,
                "plain_records",
                singles.len(),
                theirs,
            )?,
        ];
        races.push(Race::run(NAMES[2], "records/s", load.cost_turns, runners)?);
    }
    client.batch_execute(
        "TRUNCATE costsim_cost_records; DROP TABLE plain_records; TRUNCATE costsim_feature_tags",
    )?;
    Ok(races)
}
