//! What every background process of ours does alike: start, wait, obey signals.
//!
//! SIGTERM is the server's own `die`: it ends the process at the next check for interrupts, with exit code 1, and the
//! postmaster or the launcher decides whether to start another. Nothing blocks for longer than a slice without that check.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pgrx::{check_for_interrupts, pg_sys};
use rustix::process::{Pid, Signal, kill_process};

use super::shared;

static SETTINGS: AtomicU32 = AtomicU32::new(0);

/// Which database a process belongs to.
pub enum Home<'a> {
    /// None: the shared catalogs only.
    None,
    /// The one of this name.
    Name(&'a CStr),
    /// The one of this number, whatever it is called.
    Oid(pg_sys::Oid),
}

/// Settings a database's or role's owner may have changed, and what this code relies on. Each transaction begins by them, whatever was set in the one before.
const PINNED: [(&CStr, &CStr); 13] = [
    (c"search_path", c"pg_catalog, pg_temp"),
    // What must last says so itself; that an alert was sent, and is sent again after a crash, need not.
    (c"synchronous_commit", c"off"),
    (c"default_transaction_isolation", c"read committed"),
    (c"default_transaction_read_only", c"off"),
    (c"row_security", c"on"),
    (c"statement_timeout", c"0"),
    (c"idle_in_transaction_session_timeout", c"0"),
    // The worker must not wait for an application's forgotten lock: it fails, and tries again.
    (c"lock_timeout", c"10s"),
    (c"session_replication_role", c"origin"),
    (c"track_activities", c"on"),
    // What the worker looks for it finds by an index and in its order. What the planner believes of a queue, which was empty
    // when it last looked, must not change that.
    (c"enable_seqscan", c"off"),
    (c"enable_bitmapscan", c"off"),
    (c"enable_sort", c"off"),
];

unsafe extern "C-unwind" {
    // The server's own handlers themselves: pgrx exports them wrapped in a guard, which a signal handler must not have.
    fn die(signal: i32);
    fn SignalHandlerForConfigReload(signal: i32);
    fn SignalHandlerForShutdownRequest(signal: i32);
    // What the bindings of some majors do not say: it never returns.
    fn proc_exit(code: i32) -> !;
}

/// Takes the signals and connects: to a database, or to the shared catalogs only.
pub fn start(home: &Home<'_>) {
    // SAFETY: the calls and their order are those of the server's own workers.
    unsafe {
        set_handler(pg_sys::SIGHUP, SignalHandlerForConfigReload);
        set_handler(pg_sys::SIGTERM, die);
        set_handler(pg_sys::SIGUSR2, SignalHandlerForShutdownRequest);
        pg_sys::BackgroundWorkerUnblockSignals();
        match home {
            Home::None => pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0),
            Home::Name(name) => {
                pg_sys::BackgroundWorkerInitializeConnection(name.as_ptr(), std::ptr::null(), 0)
            }
            Home::Oid(oid) => pg_sys::BackgroundWorkerInitializeConnectionByOid(*oid, pg_sys::InvalidOid, 0),
        }
        for (setting, value) in PINNED {
            pg_sys::SetConfigOption(
                setting.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_SUSET,
                pg_sys::GucSource::PGC_S_OVERRIDE,
            );
        }
    }
}

unsafe fn set_handler(signal: u32, handler: unsafe extern "C-unwind" fn(i32)) {
    // SAFETY: the handler is one of the server's own.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal as i32, Some(handler));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal as i32, Some(handler));
    }
}

/// Waits until something wakes this process or the pause is over (`None`: however long), then obeys what came in: whether it was woken.
pub fn wait(pause: Option<Duration>) -> bool {
    let reasons = pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
    let (reasons, millis) = match pause {
        // Rounded up: waking before the moment would mean looking twice.
        Some(pause) => {
            (reasons | pg_sys::WL_TIMEOUT, pause.as_millis().saturating_add(1).min(86_400_000) as i64)
        }
        None => (reasons, -1),
    };
    // SAFETY: this process's own latch.
    let events = unsafe {
        let events = pg_sys::WaitLatch(pg_sys::MyLatch, reasons as i32, millis, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        events
    };
    obey();
    events as u32 & pg_sys::WL_LATCH_SET != 0
}

/// Ends the process if it was told to, or if its server is gone: an orphan would keep the shared memory from the next server.
/// For where the process does not wait on its latch.
pub fn stay_or_leave() {
    check_for_interrupts!();
    let reasons = pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: a wait of no time, for nothing but the end of the server.
    unsafe { pg_sys::WaitLatch(pg_sys::MyLatch, reasons as i32, 0, pg_sys::PG_WAIT_EXTENSION) };
}

/// Whether something has woken this process since it last looked, for where it does not wait.
pub fn was_woken() -> bool {
    // SAFETY: this process's own latch.
    unsafe {
        let is_set = (*pg_sys::MyLatch).is_set != 0;
        if is_set {
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        is_set
    }
}

/// Ends the process if it was told to, and takes over changed settings.
pub fn obey() {
    check_for_interrupts!();
    // SAFETY: the flags are set by the server's own handler; the settings file is read where the server reads it.
    unsafe {
        if pg_sys::ShutdownRequestPending != 0 {
            leave_for_good();
        }
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
            SETTINGS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How often the settings were read anew.
pub fn settings_version() -> u32 {
    SETTINGS.load(Ordering::Relaxed)
}

/// Ends the process, so that nobody starts another in its place.
pub fn leave_for_good() -> ! {
    shared::remove_own();
    // SAFETY: the server's own way out, with all its clearing up; called where no lock and no transaction is open.
    unsafe { proc_exit(0) }
}

/// Ends the process; whoever looks after it starts another.
pub fn leave() -> ! {
    // SAFETY: as above.
    unsafe { proc_exit(1) }
}

/// Ends the process from within a transaction, as SIGTERM does; whoever looks after it starts another.
pub fn end() {
    kill_process(rustix::process::getpid(), Signal::TERM).ok();
    check_for_interrupts!();
}

/// Tells a worker to leave for good, if it is still there.
pub fn dismiss(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        kill_process(pid, Signal::USR2).ok();
    }
}

/// Shows in pg_stat_activity what the process is doing.
pub fn show_activity(text: &str) {
    let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
    // SAFETY: the text is copied.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()) }
}

/// Shows in pg_stat_activity what the process waits for.
pub fn show_idle(text: &str) {
    show_activity(text);
    // SAFETY: without a text the one from before stays.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null()) }
}
