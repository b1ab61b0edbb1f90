//! What the launcher, the workers and every session know of each other: a small board in shared memory.
//!
//! A slot per database with a worker: who runs it, in which state, since when, and the latest trouble. Sessions read it to wake
//! their database's worker at commit and to show its status. Without preload there is no board, and all of this is empty.

use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::lwlock::PgLwLock;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init, pg_sys};

/// Databases with a worker at one time. More would exhaust max_worker_processes long before.
pub const SLOTS: usize = 64;

const NAME_BYTES: usize = 64;
const TROUBLE_BYTES: usize = 256;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Asked for, not running yet.
    Starting,
    /// Waiting for something to do.
    Idle,
    /// Talking to Alertmanager.
    Sending,
    /// Running, but unable to deliver; the trouble says why.
    Blocked,
    /// Not running; the trouble says why, and the launcher tries again.
    Down,
}

impl State {
    /// The word the status view shows.
    pub fn word(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Idle => "idle",
            State::Sending => "sending",
            State::Blocked => "blocked",
            State::Down => "down",
        }
    }
}

/// A text of bounded length that may lie in shared memory.
#[derive(Clone, Copy)]
struct Text<const N: usize> {
    length: u16,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    fn new(text: &str) -> Self {
        let mut length = text.len().min(N);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        let mut bytes = [0; N];
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self { length: length as u16, bytes }
    }

    fn get(&self) -> String {
        String::from_utf8_lossy(&self.bytes[..usize::from(self.length).min(N)]).into_owned()
    }
}

/// A database's worker.
#[derive(Clone, Copy)]
struct Slot {
    database: Text<NAME_BYTES>,
    oid: u32,
    pid: i32,
    state: State,
    changed_at: pg_sys::TimestampTz,
    beat_at: pg_sys::TimestampTz,
    trouble: Text<TROUBLE_BYTES>,
}

/// The board.
#[derive(Clone, Copy)]
pub struct Board {
    slots: [Option<Slot>; SLOTS],
    has_launcher: bool,
}

// SAFETY: plain data without pointers.
unsafe impl PGRXSharedMemory for Board {}

// SAFETY: the name is ours.
static BOARD: PgLwLock<Board> = unsafe { PgLwLock::new(c"costsim_pg workers") };
static IS_PRELOADED: AtomicBool = AtomicBool::new(false);

/// A copy of a slot for those who look.
#[derive(Clone, Debug)]
pub struct Report {
    /// The database.
    pub database: String,
    /// Its worker's process, if it runs.
    pub pid: Option<i32>,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub changed_at: pg_sys::TimestampTz,
    /// When it last did anything.
    pub beat_at: pg_sys::TimestampTz,
    /// What keeps it from delivering, or did last.
    pub trouble: Option<String>,
}

/// Asks for the shared memory. Only while the postmaster preloads libraries.
pub fn init() {
    pg_shmem_init!(BOARD = Board { slots: [None; SLOTS], has_launcher: false });
    IS_PRELOADED.store(true, Ordering::Relaxed);
}

/// Whether the library was preloaded, so that there is a board.
pub fn is_preloaded() -> bool {
    IS_PRELOADED.load(Ordering::Relaxed)
}

fn now() -> pg_sys::TimestampTz {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

impl Board {
    fn of(&mut self, database: &str) -> Option<&mut Slot> {
        self.slots.iter_mut().flatten().find(|slot| slot.database.get() == database)
    }
}

/// Writes down what the database's worker is doing. `trouble` stays until the next call replaces it.
pub fn post(database: &str, pid: i32, oid: pg_sys::Oid, state: State, trouble: Option<&str>) {
    if !is_preloaded() {
        return;
    }
    let mut board = BOARD.exclusive();
    let trouble = Text::new(trouble.unwrap_or_default());
    let at = now();
    if let Some(slot) = board.of(database) {
        if slot.state != state || slot.pid != pid {
            slot.changed_at = at;
        }
        (slot.pid, slot.oid, slot.state, slot.beat_at, slot.trouble) =
            (pid, oid.to_u32(), state, at, trouble);
        return;
    }
    if let Some(free) = board.slots.iter_mut().find(|slot| slot.is_none()) {
        *free = Some(Slot {
            database: Text::new(database),
            oid: oid.to_u32(),
            pid,
            state,
            changed_at: at,
            beat_at: at,
            trouble,
        });
    }
}

/// Says that the launcher has come up.
pub fn greet() {
    if is_preloaded() {
        BOARD.exclusive().has_launcher = true;
    }
}

/// Whether a launcher has come up since the server started.
pub fn has_launcher() -> bool {
    is_preloaded() && BOARD.share().has_launcher
}

/// Takes the databases off the board that are not to have a worker any more.
pub fn keep_only(databases: &[String]) {
    if !is_preloaded() {
        return;
    }
    let mut board = BOARD.exclusive();
    for slot in &mut board.slots {
        if slot.is_some_and(|slot| !databases.contains(&slot.database.get())) {
            *slot = None;
        }
    }
}

/// Everything on the board.
pub fn reports() -> Vec<Report> {
    if !is_preloaded() {
        return Vec::new();
    }
    let board = BOARD.share();
    let report = |slot: &Slot| Report {
        database: slot.database.get(),
        pid: (slot.pid != 0).then_some(slot.pid),
        state: slot.state,
        changed_at: slot.changed_at,
        beat_at: slot.beat_at,
        trouble: Some(slot.trouble.get()).filter(|text| !text.is_empty()),
    };
    board.slots.iter().flatten().map(report).collect()
}

/// Sets the latch of this database's worker, if it has one. Raises nothing: it is called while a transaction commits.
pub fn wake() {
    if !is_preloaded() {
        return;
    }
    // SAFETY: set once, before any function of ours can run.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    let pid = BOARD
        .share()
        .slots
        .iter()
        .flatten()
        .find(|slot| slot.oid == database && slot.pid != 0)
        .map(|slot| slot.pid);
    if let Some(pid) = pid {
        // SAFETY: the entry of a live process, or null; setting a latch of a process that has just ended, or of another
        // that took its place, wakes somebody once for nothing.
        unsafe {
            let process = pg_sys::BackendPidGetProc(pid);
            if !process.is_null() {
                pg_sys::SetLatch(&raw mut (*process).procLatch);
            }
        }
    }
}
