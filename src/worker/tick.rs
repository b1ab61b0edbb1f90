//! The worker of one database: claim, commit, POST, settle, commit.
//!
//! No transaction, snapshot or lock is open while a request is in flight. The rows say where the work stands, so the process may
//! end at any point: what was claimed and not settled is claimed again, by the next worker at once, since there is only one at a
//! time, by anyone else when the lease is over. So an alert may arrive twice, and none is marked sent before Alertmanager has answered for it.

use std::ffi::CString;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::alertmanager::{self, Verdict};
use pgrx::PgTryBuilder;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::http::{Answer, Client};
use super::process;
use super::shared::{self, State};
use crate::alert::outbox::{self, Attempt, Claim, Item, Settled};
use crate::alert::store;
use crate::error::{Error, Result};
use crate::{breaker, clock, db, guc, lock};

/// Who the claims belong to.
const CLAIMANT: &str = "worker";

/// How long a request runs before interrupts are looked at again: well under the second a shutdown may take.
const SLICE: Duration = Duration::from_millis(20);

/// A claim outlives its request by this much, for the settling.
const CLAIM_MARGIN: TimeDelta = TimeDelta::seconds(30);

/// The pause after a failed request, on top of each alert's own: a receiver that is down is not asked for every batch at once.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The worker's process.
#[pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn costsim_worker_main(_argument: pg_sys::Datum) {
    let database = BackgroundWorker::get_extra().to_owned();
    // The name comes from a setting and holds no zero byte.
    let name = CString::new(database.as_str()).unwrap_or_default();
    process::start(Some(&name));
    let board = database.clone();
    // The error ends this process; before that it is written where the status view finds it.
    PgTryBuilder::new(move || run(&database))
        .catch_others(move |error| {
            if let pgrx::pg_sys::panic::CaughtError::PostgresError(report)
            | pgrx::pg_sys::panic::CaughtError::ErrorReport(report) = &error
            {
                shared::post(&board, 0, pg_sys::InvalidOid, State::Down, Some(report.message()));
            }
            error.rethrow()
        })
        .execute();
}

/// A worker's place on the board.
struct Post<'a> {
    database: &'a str,
}

impl Post<'_> {
    fn say(&self, state: State, trouble: Option<&str>) {
        // SAFETY: this process's own pid and database.
        let (pid, oid) = unsafe { (pg_sys::MyProcPid, pg_sys::MyDatabaseId) };
        shared::post(self.database, pid, oid, state, trouble);
    }
}

/// When the worker looks again.
enum Next {
    /// At once: there may be more.
    Now,
    /// After this pause, or as soon as a commit wakes it.
    Woken(Duration),
    /// After this pause and not sooner: commits that go on during an outage must not make it ask without a break.
    Paused(Duration),
}

fn run(database: &str) {
    let post = Post { database };
    let mut memory = Memory::default();
    loop {
        let next = match look_after(&post, &mut memory) {
            Ok(next) => next,
            Err(Error::NotInstalled) => {
                post.say(State::Blocked, Some("extension costsim_pg is not installed in this database"));
                Next::Woken(poll())
            }
            Err(error) => {
                // Ends the process: nothing after it runs.
                pgrx::pg_sys::panic::ErrorReport::from(error).report(PgLogLevel::ERROR);
                return;
            }
        };
        process::show_activity(None);
        match next {
            Next::Now => process::obey(),
            Next::Woken(pause) => process::wait(Some(pause)),
            Next::Paused(pause) => {
                let end = Instant::now() + pause;
                while let Some(rest) =
                    end.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
                {
                    process::wait(Some(rest));
                }
            }
        }
    }
}

fn poll() -> Duration {
    guc::worker_poll_interval().to_std().unwrap_or(Duration::from_secs(30))
}

/// What a worker remembers between rounds; the rows say everything else.
#[derive(Default)]
struct Memory {
    client: Option<Client>,
    /// Incidents still to be marked.
    arrived: Vec<Arrived>,
    /// Whether this process is the database's one worker.
    is_alone: bool,
    /// Why the latest attempt failed, until one succeeds.
    trouble: Option<String>,
    /// Whether this process has had its first round.
    has_begun: bool,
    /// When time does something to a breaker.
    breaker_due: Option<DateTime<Utc>>,
}

/// Does what is due: first what needs no network. A process that has just begun sends a batch of alerts before that, so that what may have
/// ended the one before it keeps none from being sent.
fn look_after(post: &Post<'_>, memory: &mut Memory) -> Result<Next> {
    let first = if memory.has_begun { None } else { Some(deliver_alerts(post, memory)?) };
    memory.has_begun = true;
    process::show_activity(Some(c"costsim: recovering breakers"));
    memory.breaker_due = breaker::write_down_what_is_due()?;
    let next = match first {
        Some(next) => next,
        None => deliver_alerts(post, memory)?,
    };
    let until_breaker = memory.breaker_due.map_or(Duration::MAX, until);
    Ok(match next {
        Next::Now => Next::Now,
        Next::Woken(pause) => Next::Woken(pause.min(until_breaker)),
        Next::Paused(pause) => Next::Paused(pause),
    })
}

/// How long it is until then.
fn until(at: DateTime<Utc>) -> Duration {
    (at - clock::now()).max(TimeDelta::zero()).to_std().unwrap_or_default()
}

/// Sends the alerts that are due.
fn deliver_alerts(post: &Post<'_>, memory: &mut Memory) -> Result<Next> {
    let poll = poll();
    let Some(url) = guc::alertmanager_url() else {
        post.say(State::Blocked, Some("costsim.alertmanager_url is empty: alerts stay pending"));
        return Ok(Next::Woken(poll));
    };
    let endpoint = match alertmanager::endpoint(&url) {
        Ok(endpoint) => endpoint,
        Err(bad) => {
            post.say(State::Blocked, Some(&format!("costsim.alertmanager_url: {bad}")));
            return Ok(Next::Woken(poll));
        }
    };
    if !memory.is_alone {
        memory.is_alone = db::transaction(|| Ok(lock::try_be_the_only_worker()))?;
    }
    if !memory.is_alone {
        post.say(State::Blocked, Some("another worker serves this database"));
        return Ok(Next::Woken(poll));
    }
    let client = match &mut memory.client {
        Some(client) => client,
        none => match Client::new() {
            Ok(new) => none.insert(new),
            Err(trouble) => {
                post.say(State::Blocked, Some(&format!("no HTTP client: {trouble}")));
                return Ok(Next::Woken(poll));
            }
        },
    };
    process::show_activity(Some(c"costsim: claiming alerts"));
    let lease = guc::alertmanager_timeout() + CLAIM_MARGIN;
    let claim = db::transaction(|| outbox::claim(CLAIMANT, guc::alert_batch_size(), lease, clock::now()))?;
    if claim.items.is_empty() {
        // With nothing due the trouble may still be there: what failed waits for its next attempt.
        let state = if memory.trouble.is_some() { State::Blocked } else { State::Idle };
        post.say(state, memory.trouble.as_deref());
        let due = db::transaction(store::next_due)?;
        let until_due = due.map(until);
        mark_incidents(&mut memory.arrived)?;
        let poll = if memory.arrived.is_empty() { poll } else { poll.min(PAUSE_AFTER_FAILURE) };
        return Ok(Next::Woken(until_due.map_or(poll, |pause| pause.min(poll))));
    }
    post.say(State::Sending, memory.trouble.as_deref());
    memory.trouble = deliver(client, &endpoint, &claim, &mut memory.arrived, &mut memory.breaker_due)?;
    mark_incidents(&mut memory.arrived)?;
    if memory.trouble.is_some() {
        post.say(State::Blocked, memory.trouble.as_deref());
        return Ok(Next::Paused(PAUSE_AFTER_FAILURE));
    }
    Ok(Next::Now)
}

/// Sends what was claimed and writes down what became of it: the trouble, if the receiver could not be reached or was not well.
fn deliver(
    client: &Client,
    endpoint: &str,
    claim: &Claim,
    arrived: &mut Vec<Arrived>,
    breaker_due: &mut Option<DateTime<Utc>>,
) -> Result<Option<String>> {
    let (faulty, fit): (Vec<&Item>, Vec<&Item>) = claim.items.iter().partition(|item| item.fault().is_some());
    for item in faulty {
        settle(claim.token, &[item], &unfit(item), arrived)?;
    }
    if fit.is_empty() {
        return Ok(None);
    }
    let attempt = post_alerts(client, endpoint, &fit, breaker_due)?;
    if attempt.verdict != Verdict::Permanent || fit.len() == 1 {
        settle(claim.token, &fit, &attempt, arrived)?;
        return Ok(attempt.trouble());
    }
    // One alert the receiver cannot take spoils the answer for all: each is asked about alone, and settled alone, so that a
    // receiver that fails half-way is asked no further and takes nothing back.
    for item in fit {
        let alone = post_alerts(client, endpoint, &[item], breaker_due)?;
        settle(claim.token, &[item], &alone, arrived)?;
        if alone.verdict == Verdict::Retryable {
            return Ok(alone.trouble());
        }
    }
    Ok(None)
}

/// Writes down what an attempt brought for each item that was part of it.
fn settle(token: i64, items: &[&Item], attempt: &Attempt, arrived: &mut Vec<Arrived>) -> Result<()> {
    process::show_activity(Some(c"costsim: settling alerts"));
    let settled: Vec<Settled> = items.iter().map(|item| item.judge(attempt, clock::now())).collect();
    db::transaction(|| store::settle(token, &settled))?;
    let response = attempt.code.map_or_else(String::new, |code| format!("HTTP {code}"));
    arrived.extend(
        settled
            .into_iter()
            .filter_map(|one| one.incident_id)
            .map(|incident_id| Arrived { incident_id, response: response.clone() }),
    );
    Ok(())
}

/// An incident whose alert has arrived, to be noted on it.
struct Arrived {
    incident_id: String,
    response: String,
}

/// Notes on the incidents that their alert has arrived, each in a transaction of its own and after the alerts were settled: whoever
/// works on an incident locks it first and its alert second, and nobody may wait for the other way round. One that is locked
/// is left for the next round.
fn mark_incidents(arrived: &mut Vec<Arrived>) -> Result<()> {
    let mut left = Vec::new();
    for one in arrived.drain(..) {
        let mark = || breaker::mark_alerted(&one.incident_id, &one.response);
        match db::transaction(|| Ok(db::subtransaction(mark)))? {
            Ok(true) => {}
            Ok(false) => left.push(one),
            // An incident that cannot be marked must not keep others from being told.
            Err(error) => pgrx::warning!("incident {} was not marked as alerted: {error:?}", one.incident_id),
        }
    }
    *arrived = left;
    Ok(())
}

/// What becomes of a row that no request can carry.
fn unfit(item: &Item) -> Attempt {
    Attempt {
        verdict: Verdict::Permanent,
        code: None,
        error: item.fault().map(str::to_owned),
        not_before: None,
    }
}

/// One request. A breaker that is due while it is in flight does not wait for its end; a commit may have brought one near.
fn post_alerts(
    client: &Client,
    endpoint: &str,
    items: &[&Item],
    breaker_due: &mut Option<DateTime<Utc>>,
) -> Result<Attempt> {
    process::show_activity(Some(c"costsim: posting alerts"));
    let timeout = guc::alertmanager_timeout().to_std().unwrap_or(Duration::from_secs(10));
    let mut request = client.post(endpoint, outbox::body(items), timeout);
    let answer = loop {
        if let Some(answer) = client.wait(&mut request, SLICE) {
            break answer;
        }
        process::stay_or_leave();
        if process::was_woken() || breaker_due.is_some_and(|at| at <= clock::now()) {
            *breaker_due = breaker::write_down_what_is_due()?;
        }
    };
    Ok(match answer {
        Answer::Status { code, body, retry_after } => {
            let verdict = alertmanager::verdict(code);
            let error = (verdict != Verdict::Delivered).then(|| alertmanager::error_text(code, &body, &[]));
            let not_before =
                retry_after.and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?));
            Attempt { verdict, code: Some(code), error, not_before }
        }
        Answer::Failed(error) => Attempt {
            verdict: Verdict::Retryable,
            code: None,
            error: Some(alertmanager::scrub(&error, &[])),
            not_before: None,
        },
    })
}
