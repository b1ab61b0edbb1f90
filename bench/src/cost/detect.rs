//! Anomalies among a hundred, a thousand and ten thousand tenants: in one call, tenant by tenant, and by a client's own query for each.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use postgres::Client;

use super::{Load, Race, Runner, Stage, fold, is_chosen};

pub const NAMES: [&str; 3] = ["cost_detect_hundredth", "cost_detect_tenth", "cost_detect_all"];

/// Thirty days of tenants with two features, two users and two models, four requests a day. One tenant in fifty has spent five times as much on the last day.
const FILL: &str = "
    INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, input_tokens, output_tokens, cost_cents, created_at)
    SELECT 'tenant-' || t, 'user-' || r % 2, 'feature.' || r / 2, 'model-' || r % 2, 1000, 300,
           200 * (0.9 + 0.2 * ((hashint8extended(t * 1000 + d * 4 + r, 60) & 1048575) / 1048575.0))::numeric
               * CASE WHEN d = 0 AND t % 50 = 0 THEN 5 ELSE 1 END,
           TIMESTAMPTZ '2025-06-30 00:00:00+00' - d * INTERVAL '1 day' + INTERVAL '9 hours' + r * INTERVAL '47 minutes'
      FROM generate_series($1::bigint, $2::bigint - 1) t, generate_series(0::bigint, 29) d, generate_series(0::bigint, 3) r";

const AS_OF: &str = "2025-06-30 20:00:00+00";

/// What a client computes that has records and no roll-ups: today's spend of one tenant and of each of its features, users and models, beside
/// their mean of an active day in the fortnight before.
const BY_HAND: &str = "
    WITH spend AS (
        SELECT d.dimension, d.entity_id, date_trunc('day', r.created_at, 'UTC') AS day, sum(r.cost_cents) AS cents
          FROM costsim_cost_records r
         CROSS JOIN LATERAL (VALUES ('tenant', ''), ('feature', r.feature_tag), ('user', r.user_id), ('model', r.model)) d (dimension, entity_id)
         WHERE r.tenant_id = $1 AND r.created_at >= TIMESTAMPTZ '2025-06-30 00:00:00+00' - INTERVAL '28 days'
           AND r.created_at < TIMESTAMPTZ '2025-06-30 20:00:00+00'
         GROUP BY 1, 2, 3)
    SELECT dimension, entity_id,
           sum(cents) FILTER (WHERE day = TIMESTAMPTZ '2025-06-30 00:00:00+00') AS today,
           avg(cents) FILTER (WHERE day BETWEEN TIMESTAMPTZ '2025-06-16 00:00:00+00' AND TIMESTAMPTZ '2025-06-28 00:00:00+00') AS baseline
      FROM spend GROUP BY 1, 2";

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    let mut races = Vec::new();
    for (name, divisor) in NAMES.into_iter().zip([100, 10, 1]) {
        if is_chosen(name, only) {
            races.push(among(stage, name, (load.cost_tenants / divisor).max(1), load.slow_turns())?);
        }
    }
    Ok(races)
}

/// In a database of its own, for one call looks at every tenant there is.
fn among(stage: &Stage, name: &'static str, tenants: usize, turns: usize) -> Result<Race> {
    let mut client = stage.create_database(name)?;
    fill(&mut client, tenants)?;
    let all = format!("SELECT count(*) FROM costsim_detect_anomalies(NULL, '{AS_OF}')");
    let found: i64 = client.query_one(&all, &[])?.get(0);
    ensure!(found > 0 || tenants < 50, "no anomaly is found among {tenants} tenants");
    println!("{tenants} tenants: {found} anomalies");
    client.batch_execute("VACUUM ANALYZE")?;

    let connect = || stage.connect_to(name);
    let mut ours = connect()?;
    let statement = all.clone();
    let in_one_call = move || {
        let start = Instant::now();
        let again: i64 = ours.query_one(&statement, &[])?.get(0);
        ensure!(again == found, "{again} anomalies, and before {found}");
        Ok(tenants as f64 / start.elapsed().as_secs_f64())
    };
    let each = format!("SELECT count(*) FROM costsim_detect_anomalies($1, '{AS_OF}')");
    let runners = vec![
        Runner { label: "all in one call", says: all, goal: None, run: Box::new(in_one_call) },
        one_by_one(connect()?, "a call for each tenant", &each, tenants)?,
        one_by_one(connect()?, "a query of the records for each tenant", BY_HAND, tenants)?,
    ];
    let race = Race::run(name, "tenants/s", turns, runners)?;
    println!("    {:.1} us per tenant, in one call over {tenants}", 1e6 / race.ours());
    drop(client);
    Ok(race)
}

fn fill(client: &mut Client, tenants: usize) -> Result<()> {
    let statement = client.prepare(FILL)?;
    let tenants = i64::try_from(tenants)?;
    for first in (0..tenants).step_by(2_000) {
        client.execute(&statement, &[&first, &tenants.min(first + 2_000)])?;
        fold(client)?;
    }
    client.batch_execute("VACUUM ANALYZE")?;
    Ok(client.batch_execute("CHECKPOINT")?)
}

fn one_by_one<'a>(mut client: Client, label: &'static str, says: &str, tenants: usize) -> Result<Runner<'a>> {
    let prepared = client.prepare(says)?;
    // A thousand tell as much as all do.
    let asked = tenants.min(1_000);
    let run = move || {
        let start = Instant::now();
        for tenant in 0..asked {
            let rows = client.query(&prepared, &[&format!("tenant-{tenant}")])?;
            rows.first().with_context(|| format!("{label} answered nothing"))?;
        }
        Ok(asked as f64 / start.elapsed().as_secs_f64())
    };
    Ok(Runner { label, says: says.to_owned(), goal: None, run: Box::new(run) })
}
