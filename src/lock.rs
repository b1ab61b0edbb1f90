//! Advisory locks: the bigint keys that users know, and locks beside them, with the same key or one of their own, that no SQL function
//! can take.
//!
//! ```text
//!   space     held by                          from .. to                              mode
//!   key       who leads by its session         term (also pg_try_advisory_lock)        exclusive
//!             who does the leader's work once  that call .. end of its transaction     exclusive
//!   mark      the same, through us             term                                    share
//!   leased    the same, with a lease           term                                    share
//!   change    who begins, renews, ends a term  that call .. end of its transaction     exclusive
//!   commits   who commits by a term            check before commit .. end of commit    share
//!             who begins or ends a term        that call .. end of its transaction     exclusive
//!   line      the first of those who wait      that call                               exclusive
//!   hour      who writes rows of that hour     first such row .. end of transaction    share
//!             who rolls that hour up           that call .. end of its transaction     exclusive
//!   feedback  who writes a tenant's patterns   that call .. end of its transaction     exclusive
//!   foresight who predicts for a tenant        that call .. end of its transaction     exclusive; that of all: share
//!             who predicts for everybody       that call .. end of its transaction     that of all: exclusive
//!   process   the one of its kind              see below                               exclusive
//!   switch    who coordinates or releases      that call .. end of its transaction     share
//!             who turns the kill switch        that call .. end of its transaction     exclusive
//!   scope     who decides about an envelope,   that call .. end of its transaction     exclusive
//!             or about a subsystem
//! ```
//!
//! Of one kind there is one deliverer, starter of workers, refresher of drift, scheduler, folder of cost, detector of anomalies; who folds, refreshes or
//! detects holds it to the end of the transaction.
//!
//! A mark never stands in anybody's way, and goes when the session gives up all its locks: `DISCARD ALL` and
//! `pg_advisory_unlock_all()` take it, and taking the key by hand afterwards does not bring it back. `change` lets one transaction at a time
//! decide about a term, whatever its isolation level; `commits` lets nobody begin the next term while somebody commits by this one.

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
    /// Of a term that this session leads with a lease.
    Leased = 5,
    /// Of a transaction that changes a term.
    Change = 6,
    /// Of the transactions that commit by a term.
    Commits = 7,
    /// Of those who wait for a key, but for the first of them.
    Line = 8,
    /// Of an hour's provenance; the key is its beginning in the server's microseconds.
    Hour = 9,
    /// Of a tenant's feedback; the key is a digest of its name.
    Feedback = 10,
    /// Of what is predicted of a tenant by a method; the same, and 0 stands for all.
    Foresight = 11,
    /// Of the kill switch of envelopes.
    Switch = 12,
    /// Of an envelope, or a subsystem, of a tenant; the key is a digest of its name.
    Scope = 13,
}

/// How long a lock lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Span {
    Session,
    Transaction,
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

fn try_take(tag: &pg_sys::LOCKTAG, mode: u32, span: Span) -> bool {
    // SAFETY: the tag is a plain struct; the last argument: without waiting.
    let result = span.owned(|| unsafe { pg_sys::LockAcquire(tag, mode as i32, span == Span::Session, true) });
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

fn wait_for(tag: &pg_sys::LOCKTAG, mode: u32) {
    // SAFETY: the tag is a plain struct. Cancel, timeouts and deadlocks raise.
    Span::Transaction.owned(|| unsafe { pg_sys::LockAcquire(tag, mode as i32, false, false) });
}

/// Waits for a lock of the session. A lock that is granted in the moment in which its wait is cancelled stays with its owner; so the
/// transaction waits, and gives it back when it aborts, and the session joins what the transaction holds.
fn wait_and_keep(tag: &pg_sys::LOCKTAG, mode: u32) {
    wait_for(tag, mode);
    keep(tag, mode);
}

/// Turns a lock of this transaction into one of the session.
fn keep(tag: &pg_sys::LOCKTAG, mode: u32) {
    try_take(tag, mode, Span::Session);
    release_one(tag, mode, Span::Transaction);
}

impl Span {
    /// Runs `act` so that a lock of the transaction is on the transaction's account, and not on that of the statement that runs: it may
    /// have been taken in a subtransaction, and be given back after it.
    fn owned<T>(self, act: impl FnOnce() -> T) -> T {
        if self == Self::Session {
            return act();
        }
        // SAFETY: both owners outlive the call; after an error the abort puts its own in place.
        unsafe {
            let before = pg_sys::CurrentResourceOwner;
            pg_sys::CurrentResourceOwner = pg_sys::CurTransactionResourceOwner;
            let outcome = act();
            pg_sys::CurrentResourceOwner = before;
            outcome
        }
    }
}

/// What a look at a mark takes for a moment: it meets the share lock of whoever set the mark, and no other look.
const LOOK: u32 = pg_sys::RowExclusiveLock;

/// Whether nobody else holds a lock that stands in the way of `mode`, at this moment.
fn is_free(tag: &pg_sys::LOCKTAG, mode: u32) -> bool {
    let is_free = try_take(tag, mode, Span::Transaction);
    if is_free {
        release_one(tag, mode, Span::Transaction);
    }
    is_free
}

fn release_one(tag: &pg_sys::LOCKTAG, mode: u32, span: Span) {
    // SAFETY: a lock of this process, of which it took one count for this span.
    span.owned(|| unsafe { pg_sys::LockRelease(tag, mode as i32, span == Span::Session) });
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
        release_one(tag, mode, Span::Session);
    }
}

/// Takes the key's lock without waiting: whether this session has it now.
pub fn try_key(key: i64) -> bool {
    try_take(&tag(key, Space::Key), pg_sys::ExclusiveLock, Span::Session)
}

/// Takes the key's lock without waiting, to the end of this transaction: whether it has it now, or its session had it before.
pub fn try_key_for_transaction(key: i64) -> bool {
    try_take(&tag(key, Space::Key), pg_sys::ExclusiveLock, Span::Transaction)
}

/// Waits in the queue of the key's lock, and takes it to the end of this transaction.
pub fn wait_for_key(key: i64) {
    wait_for(&tag(key, Space::Key), pg_sys::ExclusiveLock);
}

/// Turns the lock that [`wait_for_key`] got into one of the session.
pub fn keep_key(key: i64) {
    keep(&tag(key, Space::Key), pg_sys::ExclusiveLock);
}

/// Gives back one count of the key's lock, whoever took it.
pub fn release_key(key: i64) {
    give_back(&tag(key, Space::Key), pg_sys::ExclusiveLock);
}

/// Whether no session holds the key's lock, exclusively or shared, this one included, at this moment.
pub fn is_key_free(key: i64) -> bool {
    let tag = tag(key, Space::Key);
    let is_mine = [pg_sys::ExclusiveLock, pg_sys::ShareLock].iter().any(|&mode| holds(&tag, mode));
    !is_mine && is_free(&tag, pg_sys::ExclusiveLock)
}

/// Sets the key's mark: from now on [`leads`] tells whether what this session holds is what it took here. Waits no longer than
/// somebody's look in [`has_session`].
pub fn mark(key: i64) {
    wait_and_keep(&tag(key, Space::Mark), pg_sys::ShareLock);
}

/// Says that the term of this session has a lease.
pub fn mark_leased(key: i64) {
    let tag = tag(key, Space::Leased);
    if !holds(&tag, pg_sys::ShareLock) {
        wait_and_keep(&tag, pg_sys::ShareLock);
    }
}

/// Whether a session other than this one leads by a term with a lease.
pub fn is_leased(key: i64) -> bool {
    !is_free(&tag(key, Space::Leased), LOOK)
}

/// Whether a session other than this one leads by a term: it has the mark, and the key is not free. (A mark stays behind when
/// its session unlocks the key by hand.) Only when there is a mark is the key looked at, with the weakest lock that meets its holder's.
pub fn has_session(key: i64) -> bool {
    !is_free(&tag(key, Space::Mark), LOOK) && !is_free(&tag(key, Space::Key), pg_sys::RowShareLock)
}

/// Whether this session still holds the key and the mark.
pub fn leads(key: i64) -> bool {
    holds(&tag(key, Space::Key), pg_sys::ExclusiveLock) && holds(&tag(key, Space::Mark), pg_sys::ShareLock)
}

/// Gives back key and marks. A lock of the key that the session took by hand after it had lost ours stays its own.
pub fn release(key: i64) {
    if leads(key) {
        release_key(key);
    }
    give_back(&tag(key, Space::Mark), pg_sys::ShareLock);
    give_back(&tag(key, Space::Leased), pg_sys::ShareLock);
}

/// Whether this transaction may now change the key's term; another one that does keeps it from that until it ends.
pub fn try_change(key: i64) -> bool {
    try_take(&tag(key, Space::Change), pg_sys::ExclusiveLock, Span::Transaction)
}

/// Waits until this transaction may change the key's term.
pub fn wait_for_change(key: i64) {
    wait_for(&tag(key, Space::Change), pg_sys::ExclusiveLock);
}

/// Takes back one [`try_change`] or [`wait_for_change`] that changed nothing.
pub fn give_up_change(key: i64) {
    release_one(&tag(key, Space::Change), pg_sys::ExclusiveLock, Span::Transaction);
}

/// Waits until every commit by the key's term is done; from now on to the end of this transaction nobody else begins one.
pub fn wait_for_commits(key: i64) {
    wait_for(&tag(key, Space::Commits), pg_sys::ExclusiveLock);
}

/// Announces that this transaction is about to commit by the key's term.
pub fn join_commits(key: i64) {
    wait_for(&tag(key, Space::Commits), pg_sys::ShareLock);
}

/// Waits until this session is the first of those who wait for the key.
pub fn wait_in_line(key: i64) {
    wait_for(&tag(key, Space::Line), pg_sys::ExclusiveLock);
}

/// Lets the next one be the first.
pub fn leave_line(key: i64) {
    release_one(&tag(key, Space::Line), pg_sys::ExclusiveLock, Span::Transaction);
}

/// Whether this process is the only one that delivers the alerts of its database, from now until it ends or gives that up.
pub fn try_be_the_only_deliverer() -> bool {
    try_take(&tag(0, Space::Process), pg_sys::ExclusiveLock, Span::Session)
}

/// Lets others deliver.
pub fn stop_being_the_only_deliverer() {
    give_back(&tag(0, Space::Process), pg_sys::ExclusiveLock);
}

/// Whether no process is the only one that delivers, from now to the end of this transaction.
pub fn try_deliver_with_others() -> bool {
    try_take(&tag(0, Space::Process), pg_sys::ShareLock, Span::Transaction)
}

/// Keeps others from starting a worker for this database, to the end of this transaction; waits for whoever does so just now.
pub fn wait_to_start_a_worker() {
    wait_for(&tag(1, Space::Process), pg_sys::ExclusiveLock);
}

/// Whether this is the only transaction that rolls up, from now to its end.
pub fn try_be_the_only_refresher() -> bool {
    try_take(&tag(2, Space::Process), pg_sys::ExclusiveLock, Span::Transaction)
}

/// Waits until this is the only transaction that rolls up, to its end.
pub fn wait_to_be_the_only_refresher() {
    wait_for(&tag(2, Space::Process), pg_sys::ExclusiveLock);
}

/// Whether this process is the one that runs what is due by a schedule, to its end.
pub fn is_the_only_scheduler() -> bool {
    let tag = tag(3, Space::Process);
    holds(&tag, pg_sys::ExclusiveLock) || try_take(&tag, pg_sys::ExclusiveLock, Span::Session)
}

/// Whether this is the only transaction that looks for cost anomalies, from now to its end.
pub fn try_be_the_only_detector() -> bool {
    try_take(&tag(7, Space::Process), pg_sys::ExclusiveLock, Span::Transaction)
}

/// Waits until this is the only transaction that looks for cost anomalies, to its end.
pub fn wait_to_be_the_only_detector() {
    wait_for(&tag(7, Space::Process), pg_sys::ExclusiveLock);
}

/// Whether this is the only transaction that changes roll-ups of cost, from now to its end.
pub fn try_be_the_only_folder() -> bool {
    try_take(&tag(4, Space::Process), pg_sys::ExclusiveLock, Span::Transaction)
}

/// Waits until this is the only transaction that changes roll-ups of cost, to its end.
pub fn wait_to_be_the_only_folder() {
    wait_for(&tag(4, Space::Process), pg_sys::ExclusiveLock);
}

/// Keeps an hour's marks where they are, to the end of this transaction, unless somebody is taking them away just now.
pub fn try_share_hour(hour: i64) -> bool {
    try_take(&tag(hour, Space::Hour), pg_sys::ShareLock, Span::Transaction)
}

/// Whether no other open transaction relies on an hour's marks, to the end of this one.
pub fn try_take_hour(hour: i64) -> bool {
    try_take(&tag(hour, Space::Hour), pg_sys::ExclusiveLock, Span::Transaction)
}

/// The key that stands for all tenants.
const EVERYBODY: i64 = 0;

/// Waits until this is the only transaction that looks for patterns of this tenant, or acknowledges them, to its end.
pub fn wait_for_feedback_of(tenant: i64) {
    wait_for(&tag(tenant, Space::Feedback), pg_sys::ExclusiveLock);
}

/// Whether this is the only transaction that writes patterns of this tenant, from now to its end.
pub fn try_feedback_of(tenant: i64) -> bool {
    try_take(&tag(tenant, Space::Feedback), pg_sys::ExclusiveLock, Span::Transaction)
}

/// How many locks a transaction may well take of those that the server has room for: a share of the room of sixteen sessions.
pub fn many() -> usize {
    // SAFETY: a setting of the server's, fixed at its start.
    usize::try_from(unsafe { pg_sys::max_locks_per_xact }).unwrap_or(0) * 16
}

/// Waits until nobody else predicts for the tenant of this key, to the end of this transaction.
pub fn wait_to_predict(key: i64) {
    wait_for_one(Space::Foresight, key);
}

/// Waits until nobody else predicts for anybody, to the end of this transaction.
pub fn wait_to_predict_for_all() {
    wait_for(&tag(EVERYBODY, Space::Foresight), pg_sys::ExclusiveLock);
}

/// Waits for whoever has this key or all of them.
fn wait_for_one(space: Space, key: i64) {
    wait_for(&tag(EVERYBODY, space), pg_sys::ShareLock);
    wait_for(&tag(key, space), pg_sys::ExclusiveLock);
}

/// Keeps the kill switch as it is, to the end of this transaction; waits for whoever turns it.
pub fn wait_to_share_the_switch() {
    wait_for(&tag(0, Space::Switch), pg_sys::ShareLock);
}

/// Waits until nobody else decides about envelopes; from now on to the end of this transaction nobody else begins to.
pub fn wait_for_the_switch() {
    wait_for(&tag(0, Space::Switch), pg_sys::ExclusiveLock);
}

/// Waits until this is the only transaction that decides about an envelope or a subsystem, to its end.
pub fn wait_for_scope(key: i64) {
    wait_for(&tag(key, Space::Scope), pg_sys::ExclusiveLock);
}

/// Whether somebody is about to drop, rename or copy this database, and waits for its sessions to end. Such a command locks the
/// database against new sessions, so this asks for the lock of a new session. Needs no transaction.
pub fn is_database_wanted() -> bool {
    let tag = pg_sys::LOCKTAG {
        // The fields of SET_LOCKTAG_OBJECT for a shared object.
        locktag_field1: pg_sys::InvalidOid.to_u32(),
        locktag_field2: pg_sys::DatabaseRelationId.to_u32(),
        // SAFETY: set once, before any function of ours can run.
        locktag_field3: unsafe { pg_sys::MyDatabaseId }.to_u32(),
        locktag_field4: 0,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    };
    let is_free = try_take(&tag, pg_sys::RowExclusiveLock, Span::Session);
    if is_free {
        release_one(&tag, pg_sys::RowExclusiveLock, Span::Session);
    }
    !is_free
}
