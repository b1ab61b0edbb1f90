//! What a run leaves behind: its raw numbers, and what they were measured on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use postgres::Client;
use serde_json::{Value, json};

use crate::alert::{Memory, Rates};
use crate::compare::{Outcome, median};
use crate::handover::{Latencies, percentile};

/// Settings without which the figures cannot be read.
const SETTINGS: [&str; 8] = [
    "autovacuum",
    "fsync",
    "full_page_writes",
    "jit",
    "max_connections",
    "shared_buffers",
    "synchronous_commit",
    "wal_level",
];

/// Writes `bench/runs/<time>.json` and answers its path.
pub fn write(
    client: &mut Client,
    outcomes: &[Outcome],
    handovers: &[Latencies],
    rates: &[Rates],
    memory: Option<&Memory>,
    rooms: [(&str, Option<Value>); 4],
) -> Result<PathBuf> {
    let server: String = client.query_one("SELECT version()", &[])?.get(0);
    let now = chrono::Utc::now();
    let mut record = json!({
        "measured_at": now.to_rfc3339(),
        "version": env!("CARGO_PKG_VERSION"),
        "server": server,
        "settings": settings(client)?,
        "processor": processor(),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "comparisons": outcomes.iter().map(|outcome| json!({
            "raw": outcome,
            "ours_median": outcome.ours_median(),
            "theirs_median": outcome.theirs_median(),
            "ratio": outcome.ratio(),
        })).collect::<Vec<_>>(),
        "handovers": handovers.iter().map(|latencies| json!({
            "raw": latencies,
            "ours_ms": summary(&latencies.ours_ms),
            "theirs_ms": latencies.theirs.map(|_| summary(&latencies.theirs_ms)),
        })).collect::<Vec<_>>(),
        "backlogs": rates.iter().map(|rates| json!({
            "raw": rates,
            "ours_median": median(&rates.ours_per_second),
            "theirs_median": median(&rates.theirs_per_second),
            "ratio": rates.ratio(),
        })).collect::<Vec<_>>(),
        "memory": memory.map(|memory| json!({
            "raw": memory,
            "own_kb": range(&memory.own_kb),
            "own_first_and_last_tenth_kb": memory.own_at_the_ends_kb(),
            "resident_kb": range(&memory.resident_kb),
        })),
    });
    for (room, measured) in rooms {
        record[room] = measured.into();
    }
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/runs"));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}.json", now.format("%Y-%m-%dT%H%M%SZ")));
    std::fs::write(&path, serde_json::to_string_pretty(&record)? + "\n")
        .context(path.display().to_string())?;
    Ok(path)
}

fn summary(milliseconds: &[f64]) -> Value {
    json!({
        "p50": percentile(milliseconds, 50),
        "p99": percentile(milliseconds, 99),
        "max": percentile(milliseconds, 100),
    })
}

fn range(kilobytes: &[f64]) -> Value {
    json!({
        "min": percentile(kilobytes, 0),
        "median": percentile(kilobytes, 50),
        "max": percentile(kilobytes, 100),
    })
}

fn settings(client: &mut Client) -> Result<BTreeMap<&'static str, String>> {
    let setting = |name| Ok((name, client.query_one("SELECT current_setting($1)", &[&name])?.get(0)));
    SETTINGS.into_iter().map(setting).collect()
}

fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}
