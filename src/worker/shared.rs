//! What the launcher, the workers and every session know of each other: a small board in shared memory.
//!
//! A slot per database with a worker: who runs it, in which state, since when, and the latest trouble. Sessions read it to wake
//! their database's worker at commit and to show its status. Without preload there is no
//! board: then the worker is looked for among the server's processes.

use std::cell::Cell;
use std::ffi::CStr;
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
    last_error: Text<TROUBLE_BYTES>,
    /// Until when it waits, unless somebody wakes it; 0 for nothing in particular.
    until: pg_sys::TimestampTz,
    /// Started from SQL: the launcher does not look after it.
    is_by_hand: bool,
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

thread_local! {
    static KNOWN_WORKER: Cell<Option<*mut pg_sys::PGPROC>> = const { Cell::new(None) };
}

/// The kind of process that a worker is, as pg_stat_activity shows it.
pub const KIND: &CStr = c"costsim worker";

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
    /// The latest trouble, over or not.
    pub last_error: Option<String>,
    /// Until when it waits, unless somebody wakes it.
    pub until: Option<pg_sys::TimestampTz>,
}

/// Who writes on the board, and of which database.
#[derive(Clone, Copy)]
pub struct Author<'a> {
    pub database: &'a str,
    pub oid: pg_sys::Oid,
    /// The worker's process; 0 for whoever speaks for one that does not run.
    pub pid: i32,
    pub is_by_hand: bool,
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

/// Writes down what the database's worker is doing, what hinders it, and until when it waits.
pub fn post(author: &Author<'_>, state: State, trouble: Option<&str>, until: Option<pg_sys::TimestampTz>) {
    if !is_preloaded() {
        return;
    }
    let mut board = BOARD.exclusive();
    let at = now();
    let mut slot = board.of(author.database).copied().unwrap_or(Slot {
        database: Text::new(author.database),
        oid: 0,
        pid: 0,
        state,
        changed_at: at,
        beat_at: at,
        trouble: Text::new(""),
        last_error: Text::new(""),
        until: 0,
        is_by_hand: false,
    });
    // Of two workers the one that was there first is the database's.
    let is_anothers = slot.pid != 0 && slot.pid != author.pid && author.pid != 0;
    if is_anothers && process_of(slot.pid).is_some_and(|process| is_worker(process, author.oid)) {
        return;
    }
    if slot.state != state || slot.pid != author.pid {
        slot.changed_at = at;
    }
    slot.trouble = Text::new(trouble.unwrap_or_default());
    if trouble.is_some() {
        slot.last_error = slot.trouble;
    }
    (slot.pid, slot.oid, slot.state, slot.beat_at) = (author.pid, author.oid.to_u32(), state, at);
    (slot.until, slot.is_by_hand) = (until.unwrap_or(0), author.is_by_hand);
    if let Some(known) = board.of(author.database) {
        *known = slot;
    } else if let Some(free) = board.slots.iter_mut().find(|slot| slot.is_none()) {
        *free = Some(slot);
    }
}

/// Takes this process off the board: it leaves for good.
pub fn remove_own() {
    if !is_preloaded() {
        return;
    }
    // SAFETY: this process's own pid.
    let pid = unsafe { pg_sys::MyProcPid };
    for slot in &mut BOARD.exclusive().slots {
        if slot.is_some_and(|slot| slot.pid == pid) {
            *slot = None;
        }
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
        if slot.is_some_and(|slot| !slot.is_by_hand && !databases.contains(&slot.database.get())) {
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
        last_error: Some(slot.last_error.get()).filter(|text| !text.is_empty()),
        until: (slot.until != 0).then_some(slot.until),
    };
    board.slots.iter().flatten().map(report).collect()
}

/// Sets the latch of this database's worker, if it has one. Raises nothing: it is called while a transaction commits.
pub fn wake() {
    if let Some(process) = worker() {
        // SAFETY: the entry of a live process; setting a latch of a process that has just ended, or of another that took its place,
        // wakes somebody once for nothing.
        unsafe { pg_sys::SetLatch(&raw mut (*process).procLatch) }
    }
}

/// The process of this database's worker.
pub fn worker_pid() -> Option<i32> {
    // SAFETY: the entry of a live process.
    worker().map(|process| unsafe { (*process).pid })
}

fn worker() -> Option<*mut pg_sys::PGPROC> {
    // SAFETY: set once, before any function of ours can run.
    let database = unsafe { pg_sys::MyDatabaseId };
    if is_preloaded() {
        let board = BOARD.share();
        let of_ours = |slot: &&Slot| slot.oid == database.to_u32() && slot.pid != 0;
        let pid = board.slots.iter().flatten().find(of_ours).map(|slot| slot.pid)?;
        drop(board);
        return process_of(pid).filter(|&process| is_worker(process, database));
    }
    // Without a board: as likely as not it is the one that it was before.
    if let Some(process) = KNOWN_WORKER.get().filter(|&process| is_worker(process, database)) {
        return Some(process);
    }
    // SAFETY: the table of processes is as long as it says and stays where it is; what is read of an entry that changes meanwhile
    // is only a guess.
    let found = unsafe {
        let (processes, count) =
            ((*pg_sys::ProcGlobal).allProcs, (*pg_sys::ProcGlobal).allProcCount as usize);
        (0..count).map(|index| processes.add(index)).find(|&process| is_worker(process, database))
    };
    KNOWN_WORKER.set(found);
    found
}

/// Whether a worker has this number; another process may have got it since.
pub fn is_worker_process(pid: i32) -> bool {
    // SAFETY: the entry of a live process.
    process_of(pid).is_some_and(|process| is_worker(process, unsafe { (*process).databaseId }))
}

fn process_of(pid: i32) -> Option<*mut pg_sys::PGPROC> {
    // SAFETY: looks a pid up in the table of processes.
    let process = unsafe { pg_sys::BackendPidGetProc(pid) };
    (!process.is_null()).then_some(process)
}

fn is_worker(process: *mut pg_sys::PGPROC, database: pg_sys::Oid) -> bool {
    // SAFETY: an entry of the table of processes; the name of a kind of worker lies in a buffer of the server's own until the next
    // such question.
    unsafe {
        let pid = (*process).pid;
        if pid == 0 || (*process).databaseId != database || !is_background(process) {
            return false;
        }
        let kind = pg_sys::GetBackgroundWorkerTypeByPid(pid);
        !kind.is_null() && CStr::from_ptr(kind) == KIND
    }
}

unsafe fn is_background(process: *mut pg_sys::PGPROC) -> bool {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return (*process).isBackgroundWorker;
        #[cfg(feature = "pg18")]
        return !(*process).isRegularBackend;
    }
}
