//! The worker of one database: rounds of what is due, and rest between them.
//!
//! Crash-only: an error that nobody expects ends the process, after it has been written where the status view finds it, and whoever
//! looks after the worker starts another.

use std::cell::RefCell;
use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use pgrx::PgTryBuilder;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use super::delivery::{Delivery, Next, poll};
use super::identity::Identity;
use super::process::{self, Home};
use super::shared::{self, Author, State};
use super::upkeep::{Upkeep, until};
use crate::error::{Error, Result};
use crate::{breaker, clock, convert, db, lock};

/// The worker looks this often whether somebody wants its database for himself, and whether the server is still there.
const GLANCE: Duration = Duration::from_millis(500);

/// How long a process that has just begun sends alerts before it looks after anything else.
const HEAD_START: Duration = Duration::from_secs(1);

/// A worker that can deliver nothing just now is woken no more often than this, however much is committed.
const SOON: Duration = Duration::from_millis(50);

/// A worker whose role may not work looks this often whether it may: a reload is heard at once.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How long a worker that nobody looks after stays after an error, so that a fault that lasts fills no log.
const PENANCE: Duration = Duration::from_secs(30);

/// A worker under the launcher.
#[pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn costsim_worker_main(_argument: pg_sys::Datum) {
    let database = BackgroundWorker::get_extra().to_owned();
    // The name comes from a setting and holds no zero byte.
    let name = CString::new(database.as_str()).unwrap_or_default();
    process::start(&Home::Name(&name));
    work(database, false);
}

/// A worker that was started from SQL: of the database with this number.
#[pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn costsim_worker_by_hand_main(_argument: pg_sys::Datum) {
    let oid = BackgroundWorker::get_extra();
    // Its database was dropped: the postmaster would try again for ever.
    if !has_folder(oid) {
        process::leave_for_good();
    }
    let oid = pg_sys::Oid::from(oid.parse::<u32>().unwrap_or(0));
    process::start(&Home::Oid(oid));
    let database = db::transaction(|| Ok(db::database_name())).unwrap_or_default();
    work(database, true);
}

/// Whether the database with this number has a folder in some tablespace: the data folder is the process' own.
fn has_folder(oid: &str) -> bool {
    let below =
        |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    Path::new("base").join(oid).exists()
        || below(Path::new("pg_tblspc")).any(|space| below(&space).any(|version| version.join(oid).exists()))
}

fn work(database: String, is_by_hand: bool) {
    // SAFETY: this process's own pid and database.
    let (pid, oid) = unsafe { (pg_sys::MyProcPid, pg_sys::MyDatabaseId) };
    let post = Post { database, pid, oid, is_by_hand };
    let last_will = post.clone();
    PgTryBuilder::new(move || run(&post))
        .catch_others(move |error| {
            let (CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic { ereport: report, .. }) = &error;
            last_will.regret(report);
            error.rethrow()
        })
        .execute();
}

/// A worker's place on the board.
#[derive(Clone)]
struct Post {
    database: String,
    pid: i32,
    oid: pg_sys::Oid,
    is_by_hand: bool,
}

thread_local! {
    /// When it was last said that alerts are being sent, and with which trouble.
    static SENDING: RefCell<Option<(Instant, Option<String>)>> = const { RefCell::new(None) };
}

impl Post {
    fn say(&self, state: State, trouble: Option<&str>, until: Option<DateTime<Utc>>) {
        // While it sends it says so at every step, which need not be written down each time.
        let is_sending = state == State::Sending;
        let is_said = SENDING.with_borrow(|said| {
            said.as_ref().is_some_and(|(at, known)| at.elapsed() < GLANCE && known.as_deref() == trouble)
        });
        if is_sending && is_said {
            return;
        }
        SENDING.set(is_sending.then(|| (Instant::now(), trouble.map(str::to_owned))));
        let author =
            Author { database: &self.database, oid: self.oid, pid: self.pid, is_by_hand: self.is_by_hand };
        shared::post(&author, state, trouble, until.map(convert::micros));
        match (state, trouble) {
            (State::Sending | State::Starting, _) => {}
            (State::Idle, Some(trouble)) => process::show_idle(&format!("costsim: idle: {trouble}")),
            (_, Some(trouble)) => process::show_idle(&format!("costsim: blocked: {trouble}")),
            (_, None) => process::show_idle("costsim: idle"),
        }
    }

    /// The process is about to end by an error. Whoever looks after it waits longer each time; where nobody does, it waits itself.
    fn regret(&self, report: &pgrx::pg_sys::panic::ErrorReportWithLevel) {
        if !self.is_by_hand {
            let author =
                Author { database: &self.database, oid: pg_sys::InvalidOid, pid: 0, is_by_hand: false };
            shared::post(&author, State::Down, Some(report.message()), None);
            return;
        }
        // A signal that ends the process is an error too, of a level that nobody may wait after.
        if report.level() != PgLogLevel::ERROR {
            return;
        }
        // SAFETY: ends the transaction, so that nothing is held while the process waits.
        unsafe { pg_sys::AbortCurrentTransaction() };
        self.say(State::Down, Some(report.message()), None);
        let end = Instant::now() + PENANCE;
        while let Some(rest) = end.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
            process::wait(Some(rest.min(GLANCE)));
            self.make_way();
        }
    }

    /// Ends a process that was started by hand where another one is the database's worker.
    fn leave_to_another(&self) {
        if self.is_by_hand && shared::worker_pid().is_some_and(|pid| pid != self.pid) {
            process::leave_for_good();
        }
    }

    /// Ends the process when somebody waits for the sessions of this database to end.
    fn make_way(&self) {
        if lock::is_database_wanted() {
            if self.is_by_hand {
                shared::remove_own();
            }
            process::leave();
        }
    }
}

/// What a worker remembers between rounds; the rows say everything else.
struct Memory {
    identity: Identity,
    delivery: Delivery,
    /// Whether somebody has committed something since the last round.
    is_woken: bool,
    begun_at: Instant,
    /// Whether this process has got as far as the breakers.
    has_begun: bool,
    /// When time does something to a breaker.
    breaker_due: Option<DateTime<Utc>>,
    glanced_at: Instant,
    upkeep: Upkeep,
}

fn run(post: &Post) {
    // From now on whoever commits wakes this process.
    post.say(State::Starting, None, None);
    let now = Instant::now();
    let mut memory = Memory {
        identity: Identity::default(),
        delivery: Delivery::default(),
        is_woken: true,
        begun_at: now,
        has_begun: false,
        breaker_due: None,
        glanced_at: now,
        upkeep: Upkeep::after(GLANCE),
    };
    loop {
        match permitted_round(post, &mut memory) {
            Ok(None) => {
                process::stay_or_leave();
                process::obey();
                memory.is_woken = process::was_woken();
            }
            Ok(Some(Rest { least, most })) => memory.is_woken = sleep(post, &mut memory, least, most),
            Err(Error::NotInstalled) => {
                // What would stop it was dropped with the extension.
                if post.is_by_hand {
                    process::leave_for_good();
                }
                wait_for_another_extension(
                    post,
                    &mut memory,
                    "extension costsim_pg is not installed in this database",
                );
            }
            Err(Error::OtherVersion { what, hint }) => {
                wait_for_another_extension(post, &mut memory, &format!("{what}: {hint}"));
            }
            Err(error) => {
                // Ends the process: nothing after it runs.
                pgrx::pg_sys::panic::ErrorReport::from(error).report(PgLogLevel::ERROR);
                return;
            }
        }
    }
}

/// There is no extension here that this process could work for.
fn wait_for_another_extension(post: &Post, memory: &mut Memory, why: &str) {
    memory.delivery = Delivery::default();
    lock::stop_being_the_only_deliverer();
    post.say(State::Blocked, Some(why), None);
    memory.is_woken = sleep(post, memory, SOON, poll());
}

/// How long there is nothing to do.
struct Rest {
    /// Whoever wakes the worker is heard only after that.
    least: Duration,
    most: Duration,
}

/// Rests until somebody wakes the process, or the time is over: whether somebody did.
fn sleep(post: &Post, memory: &mut Memory, least: Duration, most: Duration) -> bool {
    let begun_at = Instant::now();
    let mut is_woken = false;
    loop {
        let limit = if is_woken { least } else { most };
        let rest = limit.saturating_sub(begun_at.elapsed());
        // However short it is: what the process was told is heard.
        is_woken |= process::wait(Some(rest.min(GLANCE)));
        glance(post, memory);
        if (if is_woken { least } else { most }) <= begun_at.elapsed() {
            return is_woken;
        }
    }
}

/// Looks, now and then, whether the process is in somebody's way.
fn glance(post: &Post, memory: &mut Memory) {
    if memory.glanced_at.elapsed() >= GLANCE {
        memory.glanced_at = Instant::now();
        post.make_way();
    }
}

/// Does what is due, if the role may work. Where a right is missing in the middle the role is asked after again: one that may not work waits, and what
/// one is refused that may is an error like others.
fn permitted_round(post: &Post, memory: &mut Memory) -> Result<Option<Rest>> {
    glance(post, memory);
    if let Some(trouble) = memory.identity.take()? {
        return Ok(Some(wait_for_rights(post, memory, &trouble)));
    }
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| Ok(round(post, memory))))
        .catch_when(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, Err)
        .execute();
    match outcome {
        Ok(outcome) => outcome,
        Err(refusal) => {
            // SAFETY: ends the transaction in which it was raised, as the server's own loops do.
            unsafe { pg_sys::AbortCurrentTransaction() };
            memory.identity.doubt();
            match memory.identity.take()? {
                Some(trouble) => Ok(Some(wait_for_rights(post, memory, &trouble))),
                None => refusal.rethrow(),
            }
        }
    }
}

/// The role may not work: somebody has to mend that.
fn wait_for_rights(post: &Post, memory: &mut Memory, trouble: &str) -> Rest {
    // Whatever it had in flight is sent again by whoever comes next.
    memory.delivery = Delivery::default();
    lock::stop_being_the_only_deliverer();
    post.leave_to_another();
    post.say(State::Blocked, Some(trouble), None);
    Rest { least: LOOK_AGAIN, most: LOOK_AGAIN }
}

/// Does what is due: answers how long there is nothing to do, or nothing when there is.
fn round(post: &Post, memory: &mut Memory) -> Result<Option<Rest>> {
    if memory.is_woken {
        memory.delivery.wake();
    }
    // A process that has just begun sends alerts first, so that what may have ended the one before it keeps none from being sent.
    let is_breakers_turn = memory.is_woken || memory.breaker_due.is_some_and(|at| at <= clock::now());
    if memory.has_begun && is_breakers_turn {
        memory.breaker_due = recover_breakers()?;
    }
    memory.is_woken = false;
    let next = memory.delivery.step()?;
    if !memory.has_begun && (!memory.delivery.is_busy() || memory.begun_at.elapsed() >= HEAD_START) {
        memory.has_begun = true;
        memory.breaker_due = recover_breakers()?;
    }
    let (state, trouble) = memory.delivery.state();
    match next {
        Next::Step => {
            post.say(State::Sending, trouble.as_deref(), None);
            memory.upkeep.take_turn()?;
            Ok(None)
        }
        Next::Rest(at) => {
            post.say(state, trouble.as_deref(), at);
            if memory.upkeep.is_due() {
                memory.upkeep.step()?;
                // What it did last is over.
                post.say(state, trouble.as_deref(), at);
            }
            let due = [at, memory.breaker_due].into_iter().flatten().min();
            let most = due.map_or(poll(), until).min(poll()).min(memory.upkeep.rest());
            Ok(Some(Rest { least: Duration::ZERO, most }))
        }
        Next::Blocked { why, pause } => {
            post.leave_to_another();
            memory.upkeep.step()?;
            post.say(State::Blocked, Some(&why), None);
            let most = memory.breaker_due.map_or(pause, until).min(pause).min(memory.upkeep.rest());
            Ok(Some(Rest { least: SOON, most }))
        }
    }
}

fn recover_breakers() -> Result<Option<DateTime<Utc>>> {
    process::show_activity("costsim: recovering breakers");
    breaker::write_down_what_is_due()
}
