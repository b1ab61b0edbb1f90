//! Advisory locks of this session: the bigint keys that users know, and marks beside them that no SQL function can take.
//!
//! A key's lock is exactly that of `pg_try_advisory_lock(bigint)`. A mark has the same key in a space of its own, is shared, so that
//! it never stands in anybody's way, and goes when this session gives up all its locks: `DISCARD ALL` and
//! `pg_advisory_unlock_all()` take it, and taking the key by hand afterwards does not bring it back.

use pgrx::pg_sys;

/// Which lock of a key.
#[derive(Clone, Copy)]
enum Space {
    /// Of `pg_try_advisory_lock(bigint)`; 2 is the space of two integers.
    Key = 1,
    /// Of a term that this session leads.
    Mark = 3,
    /// Of the one background process of a kind.
    Process = 4,
}

fn tag(key: i64, space: Space) -> pg_sys::LOCKTAG {
    // The fields of SET_LOCKTAG_ADVISORY, filled as the server fills them for a bigint.
    let halves = key.cast_unsigned();
    pg_sys::LOCKTAG {
        // SAFETY: set once, before any function of ours can run.
        locktag_field1: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field2: (halves >> 32) as u32,
        locktag_field3: (halves & u64::from(u32::MAX)) as u32,
        locktag_field4: space as u16,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

fn try_take(tag: &pg_sys::LOCKTAG, mode: u32) -> bool {
    // SAFETY: the tag is a plain struct; a session-level lock (third argument) without waiting (fourth).
    let result = unsafe { pg_sys::LockAcquire(tag, mode as i32, true, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

fn holds(tag: &pg_sys::LOCKTAG, mode: u32) -> bool {
    // SAFETY: looks the tag up in this process's own table of locks.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        return pg_sys::LockHeldByMe(tag, mode as i32);
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        return pg_sys::LockHeldByMe(tag, mode as i32, false);
    }
}

fn give_back(tag: &pg_sys::LOCKTAG, mode: u32) {
    if holds(tag, mode) {
        // SAFETY: a session-level lock that this process holds, and of which it took one count itself.
        unsafe { pg_sys::LockRelease(tag, mode as i32, true) };
    }
}

/// Takes the key's lock without waiting: whether this session has it now.
pub fn try_key(key: i64) -> bool {
    try_take(&tag(key, Space::Key), pg_sys::ExclusiveLock)
}

/// Gives back one count of the key's lock, whoever took it.
pub fn release_key(key: i64) {
    give_back(&tag(key, Space::Key), pg_sys::ExclusiveLock);
}

/// Sets the key's mark: from now on [`leads`] tells whether what this session holds is what it took here.
pub fn mark(key: i64) {
    // Shared locks of a space nobody else uses are always to be had.
    try_take(&tag(key, Space::Mark), pg_sys::ShareLock);
}

/// Whether this session still holds the key and the mark.
pub fn leads(key: i64) -> bool {
    holds(&tag(key, Space::Key), pg_sys::ExclusiveLock) && holds(&tag(key, Space::Mark), pg_sys::ShareLock)
}

/// Gives back key and mark. A lock of the key that the session took by hand after it had lost ours stays its own.
pub fn release(key: i64) {
    if leads(key) {
        release_key(key);
    }
    give_back(&tag(key, Space::Mark), pg_sys::ShareLock);
}

/// Whether this process is the only one of its kind in its database, from now until it ends.
pub fn try_be_the_only_worker() -> bool {
    try_take(&tag(0, Space::Process), pg_sys::ExclusiveLock)
}
