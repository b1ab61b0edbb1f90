//! Where the extension lives in this database, and whose it is.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use super::server::set_for_a_while;
use super::statement::{Statement, column, forget_plans};
use super::transaction::with_latest_snapshot;
use super::version;
use crate::error::{Error, Result};

/// The extension's name in pg_extension.
const EXTENSION: &CStr = c"costsim_pg";

/// The table whose relation-cache messages tell that the extension was dropped or made anew.
const LANDMARK: &str = "costsim_leaders";

/// What is called with a relation that has changed.
type Listener = fn(pg_sys::Oid);

/// One for each room that remembers rows.
const MOST_LISTENERS: usize = 4;

thread_local! {
    static HOME: RefCell<Option<Home>> = const { RefCell::new(None) };
    static IS_STALE: Cell<bool> = const { Cell::new(true) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
    static LISTENERS: Cell<[Option<Listener>; MOST_LISTENERS]> = const { Cell::new([None; MOST_LISTENERS]) };
    /// A copy of the landmark's oid that the callback may read while [`HOME`] is borrowed.
    static LANDMARK_OID: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
    /// The role of this process, where it is a worker that has one of its own.
    static SERVANT: Cell<Option<pg_sys::Oid>> = const { Cell::new(None) };
}

/// Where the extension lives.
#[derive(PartialEq)]
struct Home {
    /// The schema's name, quoted where it needs quotes.
    schema: Rc<str>,
    /// The same as an oid.
    namespace: pg_sys::Oid,
    /// The landmark table: another oid means another CREATE EXTENSION.
    landmark: pg_sys::Oid,
    /// Whose tables they are.
    owner: pg_sys::Oid,
    /// The version of the SQL: another one has other statements.
    version: String,
}

/// The extension's schema, ready to stand in a statement. Resolved once per backend, and again after DROP EXTENSION,
/// CREATE EXTENSION, ALTER EXTENSION UPDATE or ALTER SCHEMA RENAME. Refused where the library does not know the extension's version.
pub fn schema() -> Result<Rc<str>> {
    if !IS_STALE.get()
        && let Some(schema) = HOME.with_borrow(|home| home.as_ref().map(|home| Rc::clone(&home.schema)))
    {
        return Ok(schema);
    }
    watch();
    // Cleared before the look-up, so that a message that comes in during it is not lost.
    IS_STALE.set(false);
    let found = look_up_home();
    if !matches!(found, Ok(Some(_))) {
        IS_STALE.set(true);
    }
    let found = found?.ok_or(Error::NotInstalled)?;
    let schema = Rc::clone(&found.schema);
    // A vacuum of the landmark gets us here too; the plans are given up only when they would name another place.
    if HOME.with_borrow(|home| home.as_ref() != Some(&found)) {
        forget_plans();
        LANDMARK_OID.set(found.landmark);
        HOME.set(Some(found));
    }
    Ok(schema)
}

/// The role that owns our tables.
fn owner() -> Result<pg_sys::Oid> {
    schema()?;
    HOME.with_borrow(|home| home.as_ref().map(|home| home.owner)).ok_or(Error::NotInstalled)
}

/// Whether the SQL in this database is of that version or a later one.
pub fn is_at_least(version: &str) -> Result<bool> {
    schema()?;
    HOME.with_borrow(|home| {
        home.as_ref().map(|home| version::numbers(&home.version) >= version::numbers(version))
    })
    .ok_or(Error::NotInstalled)
}

/// A relation of the extension, by its name: what the catalog says now.
pub fn relation(name: &CStr) -> Result<pg_sys::Oid> {
    schema()?;
    let namespace =
        HOME.with_borrow(|home| home.as_ref().map(|home| home.namespace)).ok_or(Error::NotInstalled)?;
    // SAFETY: a catalog look-up by a name that outlives it.
    let relation = unsafe { pg_sys::get_relname_relid(name.as_ptr(), namespace) };
    if relation == pg_sys::InvalidOid { Err(Error::NotInstalled) } else { Ok(relation) }
}

/// Whether the extension is installed in this database, without raising.
pub(super) fn is_installed() -> bool {
    // SAFETY: a catalog look-up; the second argument asks for InvalidOid instead of an error.
    unsafe { pg_sys::get_extension_oid(EXTENSION.as_ptr(), true) != pg_sys::InvalidOid }
}

fn look_up_home() -> Result<Option<Home>> {
    if !is_installed() {
        return Ok(None);
    }
    // Not a kept statement: it is what the kept ones need to be prepared. Not under the caller's snapshot, which may show where the
    // extension once was.
    with_latest_snapshot(|| Spi::connect(read_home))
}

fn read_home(client: &SpiClient<'_>) -> Result<Option<Home>> {
    let table = client.select(
        "SELECT pg_catalog.quote_ident(n.nspname::pg_catalog.text), c.oid, c.relowner, n.oid, e.extversion
           FROM pg_catalog.pg_extension e
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
           JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.name
          WHERE e.extname OPERATOR(pg_catalog.=) 'costsim_pg'::pg_catalog.name",
        Some(1),
        &[LANDMARK.into()],
    )?;
    let Some(row) = table.into_iter().next() else { return Ok(None) };
    let (Some(schema), Some(landmark), Some(owner), Some(namespace), Some(version)) =
        (row.get::<String>(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get::<String>(5)?)
    else {
        return Ok(None);
    };
    version::require_known(&version)?;
    Ok(Some(Home { schema: schema.into(), namespace, landmark, owner, version }))
}

fn watch() {
    if IS_WATCHING.replace(true) {
        return;
    }
    // SAFETY: both callbacks only set a flag; they stay registered for the life of the backend, as the library does.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(on_relation_change), pg_sys::Datum::from(0));
        pg_sys::CacheRegisterSyscacheCallback(
            pg_sys::SysCacheIdentifier::NAMESPACEOID as i32,
            Some(on_namespace_change),
            pg_sys::Datum::from(0),
        );
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_relation_change(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    if relation == pg_sys::InvalidOid || relation == LANDMARK_OID.get() {
        IS_STALE.set(true);
    }
    for listener in LISTENERS.get().into_iter().flatten() {
        listener(relation);
    }
}

/// Has `listener` called with every relation that another session, or this one, has changed or told of; InvalidOid stands for all. It comes
/// in the middle of anything, so it must not do more than set a flag. The server has few places for such callbacks: one serves us all.
/// A listener that finds no place would never hear anything, and is refused.
pub fn watch_relations(listener: Listener) -> Result<()> {
    let mut listeners = LISTENERS.get();
    let place = listeners.iter_mut().find(|place| place.is_none());
    *place.ok_or_else(|| Error::Internal("too many listeners".into()))? = Some(listener);
    LISTENERS.set(listeners);
    watch();
    Ok(())
}

/// Takes in what other sessions have told by now. To be called where nothing waits to be dropped.
pub fn accept_changes() {
    unsafe extern "C-unwind" {
        // The server's function itself: the library's wrapper, which turns an error into one of Rust's, costs more than the look.
        fn AcceptInvalidationMessages();
    }
    // SAFETY: called within a transaction, where the server does the same at every lock of a table. An error, for lack of memory say, passes
    // over the frames up to the SQL call, which hold only what they borrow from the server.
    unsafe { AcceptInvalidationMessages() }
}

/// Tells every session at commit, and this one at its next command, that the table has changed.
pub fn tell_of_change(table: pg_sys::Oid) {
    // SAFETY: raises if there is no such table, or registers a message with the transaction.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(table) }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_namespace_change(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    IS_STALE.set(true);
}

/// From now on, whatever transaction this process begins does all it does as that role, or, with `None`, as the one that it has
/// connected as. Nothing that runs in such a transaction becomes anybody else, but a SECURITY DEFINER function: neither by SET ROLE nor by
/// what makes a function of ours the owner of its tables.
pub fn serve_as(role: Option<pg_sys::Oid>) {
    SERVANT.set(role);
}

/// Makes the transaction that has just begun one of the worker's role, if there is one.
pub(super) fn begin_to_serve() {
    if let Some(role) = SERVANT.get() {
        // SAFETY: at the beginning of a transaction, whose abort puts the user back. The restriction is the one under which neither role nor
        // session_authorization can be set.
        unsafe { pg_sys::SetUserIdAndSecContext(role, pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32) };
    }
}

/// Puts the user back after a commit, which does not.
pub(super) fn end_serving() {
    if SERVANT.get().is_some() {
        // SAFETY: no transaction is open; the session's own user was there before.
        unsafe { pg_sys::SetUserIdAndSecContext(pg_sys::GetSessionUserId(), 0) };
    }
}

/// Runs `body`, which a SECURITY DEFINER trigger of ours does as the owner, as the worker's role where a worker has one: what somebody has put on
/// a table that the trigger writes is not run as the owner on the worker's behalf.
pub fn as_servant<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    match SERVANT.get() {
        Some(role) => as_user(role, pg_sys::SECURITY_LOCAL_USERID_CHANGE, true, body),
        None => body(),
    }
}

/// Runs `body` as a SECURITY DEFINER function of ours would run: as the owner of our tables, with a search_path nobody else chose. For
/// what is called by the server itself, and for a function whose usual call needs nothing of it and shall not pay for it.
pub fn as_owner<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    if SERVANT.get().is_some() {
        return body();
    }
    as_user(owner()?, pg_sys::SECURITY_LOCAL_USERID_CHANGE, true, body)
}

/// Runs `body` as the owner of a table, whoever that is by now, as the server maintains a table: what the owner has put on it runs with
/// his rights, and changes nothing of the session. Rows that row security would hide from him are an error.
pub fn as_owner_of<T>(table: pg_sys::Oid, body: impl FnOnce() -> Result<T>) -> Result<T> {
    static OWNER: Statement = Statement::looking(
        "SELECT relowner FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) $1",
        &[pgrx::pg_sys::BuiltinOid::OIDOID],
    );
    let owner = OWNER.row(&[table.into()], |row| column(row, 1))?.ok_or(Error::NotInstalled)?;
    if SERVANT.get().is_some() {
        return body();
    }
    let restrictions = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
    as_user(owner, restrictions, false, || {
        // SAFETY: within the level of settings that ends with this.
        unsafe { set_for_a_while(c"row_security", c"off") };
        body()
    })
}

/// What `body` sets stays if `keeps_settings` says so.
fn as_user<T>(
    user: pg_sys::Oid,
    restrictions: u32,
    keeps_settings: bool,
    body: impl FnOnce() -> Result<T>,
) -> Result<T> {
    // SAFETY: what the server does around such a function. After an error the abort puts user and settings back.
    unsafe {
        let (mut before, mut context) = (pg_sys::InvalidOid, 0);
        pg_sys::GetUserIdAndSecContext(&mut before, &mut context);
        let level = pg_sys::NewGUCNestLevel();
        set_for_a_while(c"search_path", c"pg_catalog, pg_temp");
        pg_sys::SetUserIdAndSecContext(user, context | restrictions as i32);
        let outcome = body();
        pg_sys::SetUserIdAndSecContext(before, context);
        pg_sys::AtEOXact_GUC(keeps_settings, level);
        outcome
    }
}
