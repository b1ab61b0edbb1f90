//! No commit of a deposed leader, whatever happens to clients, server processes and the server: three candidates per lock,
//! in both modes, under pauses longer than the lease, kills, crashes and cancels. And the same without the requirement,
//! which must go wrong: otherwise nothing would have been shown.
//!
//! `make chaos` runs it for longer and leaves its figures in `docs/evidence`.

use anyhow::{Context, Result, ensure};
use costsim_server_tests::chaos::{Kind, Outcome, Plan, read_history};
use costsim_server_tests::history::{Step, Violation};
use costsim_server_tests::one;
use std::path::Path;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(1);
const WRITES: i64 = 10_000;
const PAUSES: u64 = 30;

/// A number that `make chaos` sets.
fn setting(name: &str) -> Result<Option<u64>> {
    let Ok(value) = std::env::var(name) else { return Ok(None) };
    value.parse().map(Some).with_context(|| format!("{name} is {value}"))
}

fn plan(is_fenced: bool, time: Duration) -> Result<Plan> {
    use Kind::{Lease, Session};
    let seed = setting("COSTSIM_CHAOS_SEED")?.unwrap_or_else(|| fastrand::u64(..));
    let crashes = u32::try_from(time.as_secs() / 25)?.max(1);
    println!("seed {seed}");
    Ok(Plan {
        program: env!("CARGO_BIN_EXE_leader_candidate").into(),
        seed,
        time,
        patience: Duration::from_secs(35),
        lease: LEASE,
        is_fenced,
        locks: vec![
            (7001, [Session; 3]),
            (7002, [Lease; 3]),
            (-9_000_000_000, [Session; 3]),
            (9_000_000_000, [Lease; 3]),
            (7003, [Session, Session, Lease]),
        ],
        server_crashes: crashes,
    })
}

/// Prints the line of a run, and leaves its figures where they are asked for.
fn report(outcome: &Outcome, name: &str) -> Result<()> {
    println!("{name}: {outcome}");
    for refusal in &outcome.refusals {
        println!("  {} x {} while {}: {}", refusal.times, refusal.sqlstate, refusal.doing, refusal.message);
    }
    if let Ok(folder) = std::env::var("COSTSIM_CHAOS_EVIDENCE") {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let folder = root.join(folder);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, serde_json::to_string_pretty(&outcome.to_json())? + "\n")
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn first_ten(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().take(10).map(ToString::to_string).collect();
    format!("{} violations:\n{}", violations.len(), lines.join("\n"))
}

#[test]
fn deposed_leader_never_commits_under_pauses_kills_crashes_and_cancels() -> Result<()> {
    let time = setting("COSTSIM_CHAOS_SECONDS")?.unwrap_or(50);
    let outcome = plan(true, Duration::from_secs(time))?.run(|client| {
        let query = "SELECT (SELECT count(*) FROM chaos_writes) >= $1
                        AND EXISTS (SELECT FROM chaos_errors WHERE doing = 'committing' AND sqlstate = '55000')";
        Ok(client.query_one(query, &[&WRITES])?.try_get(0)?)
    })?;
    report(&outcome, "leader_chaos")?;

    let unexpected = outcome.unexpected_refusals();
    ensure!(unexpected.is_empty(), "refused without a reason: {unexpected:#?}");
    ensure!(outcome.violations.is_empty(), "{}", first_ten(&outcome.violations));
    ensure!(outcome.complaints.is_empty(), "the server complains: {:#?}", outcome.complaints);
    // What was not put to the test would not have been shown.
    let figures = &outcome.figures;
    ensure!(outcome.history.writes.len() as i64 >= WRITES, "{outcome}");
    ensure!(figures.client_pauses + figures.backend_pauses >= PAUSES, "{outcome}");
    ensure!(figures.pauses_before_write > 0 && figures.pauses_before_commit > 0, "{outcome}");
    ensure!(
        figures.backend_pauses > 0 && figures.killed_clients > 0 && figures.server_crashes > 0,
        "{outcome}"
    );
    ensure!(figures.terminated_backends > 0 && outcome.refused(None, "57014") > 0, "{outcome}");
    ensure!(outcome.refused(Some("committing"), "55000") > 0, "{outcome}");
    for end in [Step::Released, Step::Expired, Step::Preempted] {
        ensure!(outcome.history.count(end) > 0, "no term was {}: {outcome}", end.name());
    }
    Ok(())
}

#[test]
fn deposed_leader_commits_under_pauses_without_the_requirement() -> Result<()> {
    let patience = Duration::from_secs(60);
    let plan = Plan { server_crashes: 0, patience, ..plan(false, Duration::from_secs(5))? };
    let outcome = plan.run(|client| {
        ensure!(one::<i64>(client, "SELECT count(*) FROM chaos_errors WHERE sqlstate = '55000'")? == 0);
        let found = read_history(client, LEASE)?.violations();
        Ok(found.iter().any(|found| matches!(found, Violation::StaleCommit { .. })))
    })?;
    report(&outcome, "leader_chaos_without_requirement")?;
    assert!(outcome.stale_commits() > 0, "{outcome}");
    // It is the writes that go wrong, not the terms.
    let of_writes =
        |found: &&Violation| matches!(found, Violation::StaleCommit { .. } | Violation::TokenFell { .. });
    let others: Vec<Violation> =
        outcome.violations.iter().filter(|found| !of_writes(found)).copied().collect();
    assert!(others.is_empty(), "{}", first_ten(&others));
    Ok(())
}
