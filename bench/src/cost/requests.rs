//! Requests as they were recorded, over and over.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use fastrand::Rng;
use postgres::Client;
use serde_json::{Value, json};

pub const MODELS: usize = 6;
pub const FEATURES: usize = 20;

/// One line of the trace.
pub struct Line {
    /// Seconds since the first request.
    pub second: f64,
    pub input: i64,
    pub output: i64,
}

/// An hour of a conversation service. The file lies beside the project unless `COSTSIM_SHARED` says otherwise.
pub fn trace() -> Result<Vec<Line>> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let folder = std::env::var_os("COSTSIM_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join("data/azure_llm_conv.csv");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the trace must be at {}; set COSTSIM_SHARED", path.display()))?;
    let mut lines = Vec::new();
    let mut first = None;
    for line in text.lines().skip(1) {
        let mut fields = line.split(',');
        let mut next = || fields.next().with_context(|| format!("a line of fewer than three fields: {line}"));
        let at = NaiveDateTime::parse_from_str(next()?, "%Y-%m-%d %H:%M:%S%.f")?;
        let first = *first.get_or_insert(at);
        let second = (at - first).num_microseconds().context("a trace of ages")? as f64 / 1e6;
        lines.push(Line { second, input: next()?.parse()?, output: next()?.trim().parse()? });
    }
    ensure!(lines.len() > 1_000, "{} has {} requests", path.display(), lines.len());
    Ok(lines)
}

/// The trace as a table, numbered from 0; `part` is how far in the hour a request is, from 0 to below 1.
pub fn plant(client: &mut Client, trace: &[Line]) -> Result<()> {
    client.batch_execute(
        "DROP TABLE IF EXISTS trace;
         CREATE TABLE trace (n bigint PRIMARY KEY, part double precision, input bigint, output bigint)",
    )?;
    let whole = trace.last().map_or(1.0, |line| line.second) + 1.0;
    let mut copy = client.copy_in("COPY trace FROM STDIN")?;
    for (n, Line { second, input, output }) in trace.iter().enumerate() {
        writeln!(copy, "{n}\t{}\t{input}\t{output}", second / whole)?;
    }
    copy.finish()?;
    Ok(client.batch_execute("ANALYZE trace")?)
}

/// A record as a call wants it.
pub struct Record {
    pub tenant: String,
    pub user: String,
    pub feature: String,
    pub request: String,
    pub model: String,
    pub input: i64,
    pub output: i64,
    /// Cents, with six decimals.
    pub cost: f64,
    pub at: DateTime<Utc>,
}

impl Record {
    /// Of one of eight tenants, each with some users that ask several times in a row.
    fn random(rng: &mut Rng, n: usize, line: &Line, at: DateTime<Utc>, last: &mut (u32, u32)) -> Self {
        if rng.u8(..4) == 0 {
            *last = (rng.u32(..8), rng.u32(..200));
        }
        let model = rng.usize(..MODELS);
        let cents = (line.input as f64 * 0.0003 + line.output as f64 * 0.0015) * (1.0 + model as f64);
        Self {
            tenant: format!("tenant-{}", last.0),
            user: format!("user-{}", last.1),
            feature: format!("feature.{}", rng.usize(..FEATURES)),
            request: format!("request-{n}"),
            model: format!("model-{model}"),
            input: line.input,
            output: line.output,
            cost: (cents * 1e6).round() / 1e6,
            at,
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "tenant_id": self.tenant, "user_id": self.user, "feature_tag": self.feature, "request_id": self.request,
            "model": self.model, "input_tokens": self.input, "output_tokens": self.output, "cost_cents": self.cost,
            "created_at": self.at.to_rfc3339(),
        })
    }
}

/// So many records, the last of which is of now.
pub fn records(count: usize) -> Result<Vec<Record>> {
    let trace = trace()?;
    let whole = trace.last().map_or(1.0, |line| line.second);
    let second = |n: usize| trace[n % trace.len()].second + (n / trace.len()) as f64 * whole;
    let (now, mut rng, mut last) = (Utc::now(), Rng::with_seed(60), (0, 0));
    let end = second(count.saturating_sub(1));
    let record = |n| {
        let ago = TimeDelta::microseconds(((end - second(n)) * 1e6) as i64);
        Record::random(&mut rng, n, &trace[n % trace.len()], now - ago, &mut last)
    };
    Ok((0..count).map(record).collect())
}

/// The features of these records, for every tenant.
pub fn tag(client: &mut Client) -> Result<()> {
    client.execute(
        "INSERT INTO costsim_feature_tags (tenant_id, tag, display_name)
         SELECT 'tenant-' || t, 'feature.' || f, 'Feature ' || f FROM generate_series(0, 7) t, generate_series(0, $1 - 1) f",
        &[&i32::try_from(FEATURES)?],
    )?;
    Ok(())
}
