//! What a run leaves behind: its raw numbers, and what they were measured on.

use std::path::PathBuf;

use anyhow::{Context, Result};
use postgres::Client;
use serde_json::json;

use crate::compare::Outcome;

/// Writes `bench/runs/<time>.json` and answers its path.
pub fn write(client: &mut Client, outcomes: &[Outcome]) -> Result<PathBuf> {
    let server: String = client.query_one("SELECT version()", &[])?.get(0);
    let now = chrono::Utc::now();
    let record = json!({
        "measured_at": now.to_rfc3339(),
        "version": env!("CARGO_PKG_VERSION"),
        "server": server,
        "processor": processor(),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "comparisons": outcomes.iter().map(|outcome| json!({
            "raw": outcome,
            "ours_median": outcome.ours_median(),
            "theirs_median": outcome.theirs_median(),
            "ratio": outcome.ratio(),
        })).collect::<Vec<_>>(),
    });
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/runs"));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}.json", now.format("%Y-%m-%dT%H%M%SZ")));
    std::fs::write(&path, serde_json::to_string_pretty(&record)? + "\n")
        .context(path.display().to_string())?;
    Ok(path)
}

fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}
