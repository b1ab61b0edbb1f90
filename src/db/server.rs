//! What the server is and allows, and its settings.

use std::ffi::CStr;

use chrono::TimeDelta;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::{Answer, Error};

/// Refuses a database whose text is not UTF-8: the install script asks first.
#[pg_extern(stable, parallel_safe)]
fn _costsim_require_utf8() -> Answer<()> {
    // SAFETY: reads a number of the database.
    let encoding = unsafe { pg_sys::GetDatabaseEncoding() };
    if encoding == pg_sys::pg_enc::PG_UTF8 as i32 { Ok(()) } else { Err(Error::NotUtf8.into()) }
}

/// Refuses with 25006 on a standby and in a read-only transaction, before anything was touched.
pub fn require_writable(command: &CStr) {
    // SAFETY: raises an ERROR or returns; the name outlives the call.
    unsafe { pg_sys::PreventCommandIfReadOnly(command.as_ptr()) }
}

/// Refuses with 25006 on a standby, whose rows are behind and whose locks are its own.
pub fn require_primary(command: &CStr) {
    // SAFETY: raises an ERROR or returns; the name outlives the call.
    unsafe { pg_sys::PreventCommandDuringRecovery(command.as_ptr()) }
}

/// Whether this transaction may not write.
pub fn is_read_only() -> bool {
    // SAFETY: reads a flag of the transaction state.
    unsafe { pg_sys::XactReadOnly }
}

/// Whether rows are only carried over from a server that has done already what belongs to them.
pub fn is_replicating() -> bool {
    // SAFETY: reads a setting of the session.
    unsafe { pg_sys::SessionReplicationRole == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as i32 }
}

/// Whether this transaction sees one snapshot to its end: what others have committed since, it may not write over.
pub fn has_lasting_snapshot() -> bool {
    // SAFETY: reads a number of the transaction state.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Whether what this transaction reads may make it fail at its commit.
pub fn is_serializable() -> bool {
    // SAFETY: reads a number of the transaction state.
    unsafe { pg_sys::XactIsoLevel == pg_sys::XACT_SERIALIZABLE as i32 }
}

/// The timeline on which this server writes. It grows when a standby is promoted; 0 on a standby, which does not write.
pub fn timeline() -> u32 {
    // SAFETY: reads numbers of the shared state.
    unsafe {
        if pg_sys::RecoveryInProgress() {
            return 0;
        }
        #[cfg(feature = "pg14")]
        return pg_sys::ThisTimeLineID;
        #[cfg(not(feature = "pg14"))]
        return pg_sys::GetWALInsertionTimeLine();
    }
}

/// How long the server lets a lock be waited for before it looks for a deadlock.
pub fn deadlock_timeout() -> TimeDelta {
    // SAFETY: reads an int of the server's settings, in milliseconds.
    TimeDelta::milliseconds(unsafe { pg_sys::DeadlockTimeout }.into())
}

/// How long the session wants to wait for a lock: `None` for ever.
pub fn lock_timeout() -> Option<TimeDelta> {
    // SAFETY: reads an int of the server's settings, in milliseconds; 0 is none.
    let millis = unsafe { pg_sys::LockTimeout };
    (millis > 0).then(|| TimeDelta::milliseconds(millis.into()))
}

/// A number above 0 that nobody can guess.
pub fn strong_random() -> i64 {
    let mut bytes = [0_u8; 8];
    // SAFETY: fills as many bytes as there are. Where the system has no such numbers, which no system we run on lacks, a guess is
    // as good as a claimant's word anyway.
    let is_filled = unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), bytes.len()) };
    let number = if is_filled { i64::from_ne_bytes(bytes) } else { fastrand::i64(..) };
    (number & i64::MAX).max(1)
}

/// The name of the database this process is connected to.
pub fn database_name() -> String {
    // SAFETY: a look-up by this process's own database; the name is palloc'd by the server and copied here.
    unsafe {
        let name = pg_sys::get_database_name(pg_sys::MyDatabaseId);
        if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// Changes a setting until the innermost level of settings ends.
pub(super) unsafe fn set_for_a_while(name: &CStr, value: &CStr) {
    // SAFETY: the strings outlive the call; the caller has opened a level.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}
