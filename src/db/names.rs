//! Names that stay what they are while somebody goes by them.

use pgrx::pg_sys;

/// Keeps a relation, its columns and its name from being changed until the transaction ends; readers and writers go on.
pub fn hold_relation(relation: pg_sys::Oid) {
    // SAFETY: waits for a lock, or raises an ERROR.
    unsafe { pg_sys::LockRelationOid(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE) };
}

/// Keeps a schema from being renamed or dropped until the transaction ends, as a foreign key keeps a row; no privilege is asked for. A table that is
/// locked can then be read by its name. Not on a standby, which locks no rows. Whether the schema is there; its name is to be read after this.
pub fn hold_schema(schema: pg_sys::Oid) -> bool {
    let lock = pg_sys::RowShareLock as pg_sys::LOCKMODE;
    // SAFETY: a look-up in the catalog and a row lock, as the server does for its own; what is found is used until it is given back.
    unsafe {
        let catalog = pg_sys::table_open(pg_sys::NamespaceRelationId, lock);
        let is_there = loop {
            let known =
                pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::NAMESPACEOID as i32, schema.into());
            if known.is_null() {
                break false;
            }
            let mut row = pg_sys::HeapTupleData { t_self: (*known).t_self, ..Default::default() };
            pg_sys::ReleaseSysCache(known);
            let mut buffer = pg_sys::InvalidBuffer as pg_sys::Buffer;
            let mut trouble = pg_sys::TM_FailureData::default();
            let outcome = pg_sys::heap_lock_tuple(
                catalog,
                &raw mut row,
                pg_sys::GetCurrentCommandId(false),
                pg_sys::LockTupleMode::LockTupleKeyShare,
                pg_sys::LockWaitPolicy::LockWaitBlock,
                // A version that is being written, with other privileges say, is held too.
                true,
                &raw mut buffer,
                &raw mut trouble,
            );
            pg_sys::ReleaseBuffer(buffer);
            if outcome == pg_sys::TM_Result::TM_Ok {
                break true;
            }
            // It has changed since it was known.
            pg_sys::AcceptInvalidationMessages();
            pgrx::check_for_interrupts!();
        };
        // The lock on the catalog stays, as it does for a statement.
        pg_sys::table_close(catalog, pg_sys::NoLock as pg_sys::LOCKMODE);
        is_there
    }
}
