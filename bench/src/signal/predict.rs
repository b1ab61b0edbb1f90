//! Predictions for many workers, and the reads that they need, alone.

use anyhow::Result;
use postgres::Client;

use super::{Load, Race, Stage, as_of, counting, of_one_and_of_many};

pub const NAMES: [&str; 2] = ["signal_predict_for_one_tenant", "signal_predict_for_many_tenants"];

/// Runs of workers in one week. Of some workers many fail, and of some the cost grows from run to run; half of the runs that fail say why.
const FILL: &str = "
    INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, cost_cents, created_at, finished_at)
    SELECT w || '-' || r, 'tenant-' || w % $3::bigint, 'worker-' || w,
           CASE WHEN fails THEN 'failed' ELSE 'completed' END, CASE WHEN fails AND h % 2 = 0 THEN 'HTTP 503 after ' || h % 1000 || ' ms' END,
           CASE WHEN NOT fails THEN (10 * (0.8 + 0.4 * ((h >> 10) % 1000) / 1000.0) * CASE w % 5 WHEN 0 THEN 1 + 0.1 * r ELSE 1 END)::numeric(20,6) END,
           at, at + INTERVAL '1 minute'
      FROM generate_series($1::bigint, $2::bigint - 1) w, generate_series(1, $4::bigint) r,
           LATERAL (SELECT hashint8extended(w * 1000 + r, 9) & 1099511627775 AS h) x,
           LATERAL (SELECT (h >> 5) % 100 < CASE w % 4 WHEN 0 THEN 60 ELSE 4 END AS fails,
                           TIMESTAMPTZ '@' - INTERVAL '6 days 12 hours' + r * (INTERVAL '6 days' / $4::bigint) + (h % 3600) * INTERVAL '1 second' AS at) y";

/// What a prediction is made of, as the extension reads it: of every worker how many runs ended and how many failed, the newest costs, and the newest
/// errors. Counted as whole rows, since nothing is computed of columns that nobody asks for.
const READS: &str = "
    SELECT count(w) FROM (
        SELECT tenant_id, worker_id,
               count(*) FILTER (WHERE status IN ('completed', 'failed', 'crashed')), count(*) FILTER (WHERE status IN ('failed', 'crashed')), count(*),
               count(*) FILTER (WHERE status = 'failed' AND error IS NOT NULL),
               (array_agg(cost_cents::double precision ORDER BY created_at DESC, id DESC) FILTER (WHERE status = 'completed' AND cost_cents > 0))[1:200],
               (array_agg(left(error, 100) ORDER BY created_at DESC, id DESC) FILTER (WHERE status IN ('failed', 'crashed') AND error IS NOT NULL))[1:20]
          FROM costsim_worker_runs
         WHERE created_at > TIMESTAMPTZ '@' - INTERVAL '7 days' AND created_at <= '@'
         GROUP BY tenant_id, worker_id
         ORDER BY tenant_id, worker_id) w";

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    of_one_and_of_many(stage, load, only, NAMES, among)
}

fn among(stage: &Stage, name: &'static str, tenants: usize, load: &Load) -> Result<Race> {
    let mut client = stage.create_database(name)?;
    let as_of = as_of(&mut client)?;
    fill(&mut client, load, tenants, &as_of)?;
    let predict = format!("SELECT count(*) FROM costsim_predict(NULL, as_of => '{as_of}')");
    let workers = load.signal_workers;
    let connect = || stage.connect_to(name);
    let runners = vec![
        counting(
            connect()?,
            "predictions, which are all written",
            None,
            Some("TRUNCATE costsim_predictions"),
            predict.clone(),
            workers,
        )?,
        counting(connect()?, "the reads alone", Some(0.33), None, READS.replace('@', &as_of), workers)?,
    ];
    let race = Race::run(name, "workers/s", load.signal_turns, runners)?;
    println!("    {:.1} us per worker, of {workers} of {tenants} tenants", 1e6 / race.ours());
    Ok(race)
}

fn fill(client: &mut Client, load: &Load, tenants: usize, as_of: &str) -> Result<()> {
    let statement = client.prepare(&FILL.replace('@', as_of))?;
    let (workers, runs) = (i64::try_from(load.signal_workers)?, i64::try_from(load.signal_worker_runs)?);
    let tenants = i64::try_from(tenants)?;
    for first in (0..workers).step_by(5_000) {
        client.execute(&statement, &[&first, &workers.min(first + 5_000), &tenants, &runs])?;
    }
    client.batch_execute("VACUUM ANALYZE")?;
    Ok(client.batch_execute("CHECKPOINT")?)
}
