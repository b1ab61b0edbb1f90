//! What is left of a run.

use super::driver::Plan;
use crate::history::{Event, History, Kind, Moment, Promise, Step, Violation, Write};
use crate::one;
use anyhow::{Context, Result};
use postgres::Client;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// What was injected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// SIGSTOP, and SIGCONT after more than a lease.
    pub client_pauses: u64,
    pub backend_pauses: u64,
    /// Client pauses that were seen to have hit an open transaction before its insert,
    pub pauses_before_write: u64,
    /// or between insert and commit.
    pub pauses_before_commit: u64,
    /// kill -9
    pub killed_clients: u64,
    /// kill -9 of a server process, and so of the server.
    pub server_crashes: u64,
    /// SIGTERM
    pub terminated_backends: u64,
    /// SIGINT
    pub cancels: u64,
    /// Terms that an operator ended.
    pub resignations: u64,
}

/// How often a candidate was refused something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub doing: String,
    pub sqlstate: String,
    pub times: u64,
    /// The message of one of them.
    pub message: String,
}

/// What is left of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub plan: Plan,
    pub seconds: u64,
    pub server: String,
    pub measured_at: String,
    pub figures: Figures,
    pub refusals: Vec<Refusal>,
    pub history: History,
    pub violations: Vec<Violation>,
    /// Lines of the server's log that nothing injected explains.
    pub complaints: Vec<String>,
}

/// The microseconds of a moment.
macro_rules! micros {
    ($column:literal) => {
        concat!("(extract(epoch FROM ", $column, ") * 1000000)::bigint")
    };
}

/// Takes down everything, once nobody writes any more.
pub(super) fn take(
    client: &mut Client,
    plan: &Plan,
    figures: Figures,
    seconds: u64,
    log: &str,
) -> Result<Outcome> {
    let history = read_history(client, plan.lease)?;
    let violations = history.violations();
    Ok(Outcome {
        plan: plan.clone(),
        seconds,
        server: one(client, "SELECT version()")?,
        measured_at: one(
            client,
            "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
        )?,
        figures,
        refusals: read_refusals(client)?,
        violations,
        complaints: log.lines().filter(|line| is_complaint(line)).map(str::to_owned).collect(),
        history,
    })
}

/// What happened so far. May be asked while it goes on: what is read first is what the rest is compared with.
pub fn read_history(client: &mut Client, lease: Duration) -> Result<History> {
    let mut transaction =
        client.build_transaction().isolation_level(postgres::IsolationLevel::RepeatableRead).start()?;
    let mut history = History { lease: i64::try_from(lease.as_micros())?, ..History::default() };
    let query = concat!("SELECT lock_id, token, mode, event, ", micros!("at"), " FROM costsim_leader_events");
    for row in transaction.query(query, &[])? {
        // The others are no steps of a term.
        let Some(step) = Step::from_name(row.try_get(3)?) else { continue };
        history.events.push(Event {
            lock: row.try_get(0)?,
            token: row.try_get(1)?,
            kind: Kind::from_name(row.try_get(2)?).context("an event of an unknown mode")?,
            step,
            at: row.try_get(4)?,
        });
    }
    let query = concat!(
        "SELECT lock_id, token, ",
        micros!("until"),
        ", ",
        micros!("pg_xact_commit_timestamp(xmin)"),
        " FROM chaos_promises"
    );
    for row in transaction.query(query, &[])? {
        let committed_at =
            row.try_get::<_, Option<Moment>>(3)?.context("a promise whose commit has no moment")?;
        history.promises.push(Promise {
            lock: row.try_get(0)?,
            token: row.try_get(1)?,
            until: row.try_get(2)?,
            committed_at,
        });
    }
    let query =
        concat!("SELECT lock_id, token, ", micros!("pg_xact_commit_timestamp(xmin)"), " FROM chaos_writes");
    for row in transaction.query(query, &[])? {
        let committed_at: Option<Moment> = row.try_get(2)?;
        let committed_at = committed_at.context("a write whose commit has no moment")?;
        history.writes.push(Write { lock: row.try_get(0)?, token: row.try_get(1)?, committed_at });
    }
    transaction.commit()?;
    Ok(history)
}

/// Whether a line tells of a process that crashed by itself, or of something that went wrong and was no error of a statement.
fn is_complaint(line: &str) -> bool {
    let is_crash =
        line.contains("PANIC: ") || line.contains("TRAP: ") || line.contains("terminated by signal");
    let is_injected = [
        // kill -9
        "terminated by signal 9",
        "because of crash of another server process",
        // SIGSTOP
        "did not terminate within",
        // A candidate's ROLLBACK after an error that left no transaction.
        "there is no transaction in progress",
    ];
    (is_crash || line.contains("WARNING: ")) && !is_injected.iter().any(|known| line.contains(known))
}

fn read_refusals(client: &mut Client) -> Result<Vec<Refusal>> {
    let query =
        "SELECT doing, sqlstate, count(*), min(message) FROM chaos_errors GROUP BY 1, 2 ORDER BY 1, 2";
    let mut refusals = Vec::new();
    for row in client.query(query, &[])? {
        refusals.push(Refusal {
            doing: row.try_get(0)?,
            sqlstate: row.try_get(1)?,
            times: row.try_get::<_, i64>(2)?.unsigned_abs(),
            message: row.try_get(3)?,
        });
    }
    Ok(refusals)
}

impl Outcome {
    /// How many writes committed after a later term had begun.
    pub fn stale_commits(&self) -> usize {
        self.violations.iter().filter(|found| matches!(found, Violation::StaleCommit { .. })).count()
    }

    /// How often candidates were refused something with this SQLSTATE.
    pub fn refused(&self, doing: Option<&str>, sqlstate: &str) -> u64 {
        let of = |refusal: &&Refusal| {
            refusal.sqlstate == sqlstate && doing.is_none_or(|doing| refusal.doing == doing)
        };
        self.refusals.iter().filter(of).map(|refusal| refusal.times).sum()
    }

    /// What is no part of the contract: errors that nobody provoked.
    pub fn unexpected_refusals(&self) -> Vec<&Refusal> {
        let is_writing = |refusal: &Refusal| ["writing", "committing"].contains(&refusal.doing.as_str());
        let is_expected = |refusal: &Refusal| match refusal.sqlstate.as_str() {
            // The requirement is not met: at once, or just before the commit.
            "55000" => is_writing(refusal),
            // A transaction of an isolation level that asks to be repeated.
            "40001" => is_writing(refusal),
            // Cancelled, terminated, and a server that went or is not there yet.
            "57014" | "57P01" | "57P02" | "57P03" => true,
            _ => false,
        };
        self.refusals.iter().filter(|refusal| !is_expected(refusal)).collect()
    }

    /// The same for a machine.
    pub fn to_json(&self) -> Value {
        let figures = &self.figures;
        let ends = [Step::Released, Step::Resigned, Step::Preempted, Step::Expired]
            .map(|step| (step.name().to_owned(), self.history.count(step).into()));
        json!({
            "measured_at": self.measured_at,
            "server": self.server,
            "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            "seed": self.plan.seed,
            "seconds": self.seconds,
            "every_write_requires_leadership": self.plan.is_fenced,
            "lease_ms": u64::try_from(self.plan.lease.as_millis()).unwrap_or(u64::MAX),
            "candidates": self.plan.locks.iter().map(|(lock, kinds)| json!({
                "lock_id": lock,
                "by": kinds.map(Kind::name).join(", "),
            })).collect::<Vec<_>>(),
            "injected": {
                "client_pauses_longer_than_the_lease": figures.client_pauses,
                "client_pauses_within_a_transaction_before_its_insert": figures.pauses_before_write,
                "client_pauses_within_a_transaction_after_its_insert": figures.pauses_before_commit,
                "backend_pauses_longer_than_the_lease": figures.backend_pauses,
                "clients_killed": figures.killed_clients,
                "server_crashes": figures.server_crashes,
                "backends_terminated": figures.terminated_backends,
                "cancels_sent": figures.cancels,
                "terms_resigned_by_an_operator": figures.resignations,
            },
            "terms": self.history.terms(),
            "ends_of_terms": serde_json::Map::from_iter(ends),
            "promises_checked": self.history.promises.len(),
            "writes_checked": self.history.writes.len(),
            "refused": self.refusals.iter().map(|refusal| json!({
                "doing": refusal.doing,
                "sqlstate": refusal.sqlstate,
                "times": refusal.times,
                "for_example": refusal.message,
            })).collect::<Vec<_>>(),
            "stale_commits": self.stale_commits(),
            "violations": self.violations.len(),
            "unexplained_lines_in_the_log": self.complaints.len(),
        })
    }
}

/// One line that says it all.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        write!(
            f,
            "seed {}, {} s, {} candidates: {} pauses ({} of clients, {} of them in a transaction; {} of server processes), \
             {} clients killed, {} server crashes, {} sessions terminated, {} cancels sent ({} hit), {} resigned; \
             {} terms, {} writes checked, {} refused with 55000 ({} of them at commit), {} with 40001; stale commits: {}, violations: {}",
            self.plan.seed,
            self.seconds,
            self.plan.locks.iter().map(|(_, kinds)| kinds.len()).sum::<usize>(),
            figures.client_pauses + figures.backend_pauses,
            figures.client_pauses,
            figures.pauses_before_write + figures.pauses_before_commit,
            figures.backend_pauses,
            figures.killed_clients,
            figures.server_crashes,
            figures.terminated_backends,
            figures.cancels,
            self.refused(None, "57014"),
            figures.resignations,
            self.history.terms(),
            self.history.writes.len(),
            self.refused(None, "55000"),
            self.refused(Some("committing"), "55000"),
            self.refused(None, "40001"),
            self.stale_commits(),
            self.violations.len(),
        )
    }
}
