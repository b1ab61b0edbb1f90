//! What it costs to ask for limits: records with enforcement against the same without, below limits that are never reached.

use std::time::Instant;

use anyhow::Result;
use postgres::Client;

use super::ingest::{batches, write_batches, write_one_by_one};
use super::{Load, Race, Runner, Stage, fold, is_chosen, requests};

pub const NAMES: [&str; 2] = ["cost_enforce_batch", "cost_enforce_one_by_one"];

const BATCH_WITH: &str = "SELECT count(*) FILTER (WHERE status = 'recorded') FROM costsim_record_costs($1::text::jsonb, enforce => true)";
const BATCH_WITHOUT: &str = "SELECT count(*) FILTER (WHERE status = 'recorded') FROM costsim_record_costs($1::text::jsonb, enforce => false)";

macro_rules! one {
    ($enforce:literal) => {
        concat!(
            "SELECT status FROM costsim_record_cost(tenant_id => $1, user_id => $2, feature_tag => $3, request_id => $4, model => $5,
                input_tokens => $6, output_tokens => $7, cost_cents => $8::float8::numeric, created_at => $9, enforce => ",
            $enforce,
            ")"
        )
    };
}

/// Of every tenant one for itself and one for each of its models, by day and by month, and far away.
const BUDGETS: &str = "
    SELECT count(b) FROM generate_series(0, 7) t,
           LATERAL (SELECT costsim_set_budget('tenant-' || t, 'tenant', NULL, 1e9, 1e10, hard_limit_enabled => true)
                    UNION ALL
                    SELECT costsim_set_budget('tenant-' || t, 'model', 'model-' || m, 1e9, 1e10, hard_limit_enabled => true)
                      FROM generate_series(0, 5) m) x (b)";

fn timed<'a>(
    stage: &Stage,
    label: &'static str,
    says: &str,
    records: usize,
    write: impl Fn(&mut Client) -> Result<()> + 'a,
) -> Result<Runner<'a>> {
    let mut client = stage.connect()?;
    let run = move || {
        client.batch_execute("TRUNCATE costsim_cost_records")?;
        client.batch_execute("VACUUM costsim_cost_pending")?;
        let start = Instant::now();
        write(&mut client)?;
        let rate = records as f64 / start.elapsed().as_secs_f64();
        fold(&mut client)?;
        Ok(rate)
    };
    Ok(Runner { label, says: says.to_owned(), goal: None, run: Box::new(run) })
}

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    let mut client = stage.connect()?;
    requests::tag(&mut client)?;
    client.query_one(BUDGETS, &[])?;
    let records = requests::records(load.cost_batched.max(load.cost_one_by_one))?;
    let (batched, singles) = (&records[..load.cost_batched], &records[..load.cost_one_by_one]);
    let batches = batches(batched)?;
    let mut races = Vec::new();
    if is_chosen(NAMES[0], only) {
        let with = |client: &mut Client| write_batches(client, BATCH_WITH, &batches, batched.len());
        let without = |client: &mut Client| write_batches(client, BATCH_WITHOUT, &batches, batched.len());
        let runners = vec![
            timed(stage, "costsim_record_costs, enforced", BATCH_WITH, batched.len(), with)?,
            timed(stage, "costsim_record_costs, not enforced", BATCH_WITHOUT, batched.len(), without)?,
        ];
        races.push(Race::run(NAMES[0], "records/s", load.cost_turns, runners)?);
    }
    if is_chosen(NAMES[1], only) {
        let with = |client: &mut Client| write_one_by_one(client, one!("true"), singles);
        let without = |client: &mut Client| write_one_by_one(client, one!("false"), singles);
        let runners = vec![
            timed(stage, "costsim_record_cost, enforced", one!("true"), singles.len(), with)?,
            timed(stage, "costsim_record_cost, not enforced", one!("false"), singles.len(), without)?,
        ];
        races.push(Race::run(NAMES[1], "records/s", load.cost_turns, runners)?);
    }
    client.batch_execute(
        "TRUNCATE costsim_cost_records; TRUNCATE costsim_feature_tags; DELETE FROM costsim_cost_budgets",
    )?;
    Ok(races)
}
