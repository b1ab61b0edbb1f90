//! What a dashboard reads of ninety days: from the roll-ups, and by aggregates over the records with their index.

use std::time::Instant;

use anyhow::{Result, ensure};
use postgres::Client;

use super::{Load, Race, Stage, asking, fold, is_chosen, requests};

pub const NAMES: [&str; 6] = [
    "cost_dashboard_days",
    "cost_dashboard_feature",
    "cost_dashboard_model",
    "cost_dashboard_user",
    "cost_dashboard_month",
    "cost_dashboard_small_days",
];

/// Rows that one statement writes, and whose changes are folded before the next.
const STEP: usize = 500_000;

/// Ninety days up to the first of September. A user asks eight times in a row; twenty features, six models and two thousand users are drawn by a seed,
/// some of them far more often than others.
fn fill(tenant: &str, of: usize, trace: usize) -> String {
    let times = of.div_ceil(trace);
    format!(
        "INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, request_id, workflow_id, model, input_tokens, output_tokens,
                                           cached_tokens, cost_cents, is_retry, created_at)
         SELECT '{tenant}', 'user-' || (power((hashint8extended(g.n / 8, 61) & 1048575) / 1048576.0::float8, 2) * 2000)::integer,
                'feature.' || (power((hashint8extended(g.n / 4, 62) & 1048575) / 1048576.0::float8, 2) * 19)::integer,
                'r' || g.n, CASE WHEN g.n % 3 = 0 THEN 'workflow-' || g.n % 50 END, 'model-' || m, t.input, t.output, t.input / 4,
                (t.input * 0.0003 + t.output * 0.0015) * (1 + m), g.n % 97 = 0,
                TIMESTAMPTZ '2025-06-03 00:00:00+00' + (g.n / {trace} + t.part) * (INTERVAL '90 days' / {times}::float8)
           FROM generate_series($1::bigint, $2::bigint - 1) AS g (n)
           JOIN trace t ON t.n = g.n % {trace},
                LATERAL (SELECT (power((hashint8extended(g.n, 63) & 1048575) / 1048576.0::float8, 2) * 5)::integer AS m) AS drawn"
    )
}

/// Asked of the roll-ups, and of the records. Both for 'TENANT'.
struct Question {
    name: &'static str,
    tenant: &'static str,
    ours: &'static str,
    theirs: &'static str,
    goal: Option<f64>,
}

const DAYS: &str =
    "SELECT * FROM costsim_cost_spend('TENANT', '2025-06-03 00:00:00+00', '2025-09-01 00:00:00+00')";
const DAYS_RAW: &str = "
    SELECT date_trunc('day', created_at, 'UTC'), sum(cost_cents) AS spend_cents, count(*), sum(input_tokens), sum(output_tokens) FROM costsim_cost_records
     WHERE tenant_id = 'TENANT' AND created_at >= '2025-06-03 00:00:00+00' AND created_at < '2025-09-01 00:00:00+00'
     GROUP BY 1 ORDER BY 1";

macro_rules! by {
    ($column:literal) => {
        concat!(
            "SELECT ",
            $column,
            ", sum(cost_cents) AS spend_cents, count(*), sum(input_tokens), sum(output_tokens) FROM costsim_cost_records
              WHERE tenant_id = 'TENANT' AND created_at >= '2025-06-03 00:00:00+00' AND created_at < '2025-09-01 00:00:00+00'
              GROUP BY 1 ORDER BY 2 DESC LIMIT 100"
        )
    };
}

const BIG: &str = "big";
const SMALL: &str = "small";

static QUESTIONS: [Question; 6] = [
    Question { name: NAMES[0], tenant: BIG, ours: DAYS, theirs: DAYS_RAW, goal: Some(500.0) },
    Question {
        name: NAMES[1],
        tenant: BIG,
        ours: "SELECT * FROM costsim_cost_by_feature('TENANT', '2025-06-03 00:00:00+00', '2025-09-01 00:00:00+00')",
        theirs: by!("feature_tag"),
        goal: Some(500.0),
    },
    Question {
        name: NAMES[2],
        tenant: BIG,
        ours: "SELECT * FROM costsim_cost_by_model('TENANT', '2025-06-03 00:00:00+00', '2025-09-01 00:00:00+00')",
        theirs: by!("model"),
        goal: Some(500.0),
    },
    Question {
        name: NAMES[3],
        tenant: BIG,
        ours: "SELECT * FROM costsim_cost_by_user('TENANT', '2025-06-03 00:00:00+00', '2025-09-01 00:00:00+00')",
        theirs: by!("user_id"),
        goal: None,
    },
    Question {
        name: NAMES[4],
        tenant: BIG,
        ours: "SELECT * FROM costsim_current_spend('TENANT', as_of => '2025-08-31 17:23:00+00')",
        theirs: "SELECT sum(cost_cents) FILTER (WHERE created_at >= '2025-08-31 00:00:00+00') AS daily_cents, sum(cost_cents) AS monthly_cents
                   FROM costsim_cost_records
                  WHERE tenant_id = 'TENANT' AND created_at >= '2025-08-01 00:00:00+00' AND created_at < '2025-08-31 17:23:00+00'",
        goal: Some(500.0),
    },
    Question { name: NAMES[5], tenant: SMALL, ours: DAYS, theirs: DAYS_RAW, goal: None },
];

pub fn measure(stage: &Stage, load: &Load, only: &str) -> Result<Vec<Race>> {
    let mut client = stage.connect()?;
    build(&mut client, load.cost_records)?;
    let mut races = Vec::new();
    for question in QUESTIONS.iter().filter(|question| is_chosen(question.name, only)) {
        races.push(question.race(stage, load)?);
    }
    Ok(races)
}

fn build(client: &mut Client, count: usize) -> Result<()> {
    let trace = requests::trace()?;
    requests::plant(client, &trace)?;
    for (tenant, count) in [(BIG, count), (SMALL, (count / 100).max(1))] {
        let statement = client.prepare(&fill(tenant, count, trace.len()))?;
        let (mut writing, mut folding, mut folded) = (0.0, 0.0, 0);
        for first in (0..count).step_by(STEP) {
            let start = Instant::now();
            client
                .execute(&statement, &[&i64::try_from(first)?, &i64::try_from(count.min(first + STEP))?])?;
            writing += start.elapsed().as_secs_f64();
            let start = Instant::now();
            folded += fold(client)?;
            folding += start.elapsed().as_secs_f64();
        }
        println!(
            "{count} records written by INSERT ... SELECT: {:.0} records/s; {folded} pending rows folded: {:.0} records/s",
            count as f64 / writing,
            count as f64 / folding
        );
    }
    client.batch_execute("VACUUM ANALYZE")?;
    client.batch_execute("CHECKPOINT")?;
    for table in ["costsim_cost_records", "costsim_cost_quarters", "costsim_cost_daily"] {
        let size = "SELECT pg_size_pretty(pg_total_relation_size($1::text::regclass)), count(*) FROM ";
        let row = client.query_one(&format!("{size}{table}"), &[&table])?;
        println!("{table}: {} rows, {}", row.get::<_, i64>(1), row.get::<_, String>(0));
    }
    Ok(())
}

impl Question {
    fn race(&self, stage: &Stage, load: &Load) -> Result<Race> {
        let [ours, theirs] =
            [self.ours, self.theirs].map(|statement| statement.replace("TENANT", self.tenant));
        is_agreed(&mut stage.connect()?, &ours, &theirs)?;
        let parallel = {
            let mut client = stage.connect()?;
            client.batch_execute("SET max_parallel_workers_per_gather = 1")?;
            client
        };
        let runners = vec![
            asking(stage.connect()?, "from roll-ups", None, &ours, 50)?,
            asking(stage.connect()?, "an aggregate over the records", self.goal, &theirs, 1)?,
            asking(parallel, "the same with a parallel worker", None, &theirs, 1)?,
        ];
        Race::run(self.name, "answers/s", load.slow_turns(), runners)
    }
}

/// Both sides mean the same cents, in as many rows.
fn is_agreed(client: &mut Client, ours: &str, theirs: &str) -> Result<()> {
    let cents = |client: &mut Client, statement: &str, column: &str| -> Result<String> {
        let cents = format!("SELECT count(*) || ' rows, ' || trim_scale(sum({column})) FROM ({statement}) t");
        Ok(client.query_one(&cents, &[])?.get(0))
    };
    let column = if ours.contains("current_spend") { "monthly_cents" } else { "spend_cents" };
    let (ours, theirs) = (cents(client, ours, column)?, cents(client, theirs, column)?);
    ensure!(ours == theirs, "ours: {ours}; theirs: {theirs}");
    Ok(())
}
