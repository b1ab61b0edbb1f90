//! What an update script has done before and after its own statements. It makes these two functions for itself, and drops them.
//!
//! It promises that an update makes no transaction of an application fail. A lock that the update waits for while it holds others can be half of a
//! deadlock, and the server ends whoever has waited for `deadlock_timeout`. So it takes all its locks at once, within half of that, or gives them all back and tries
//! again: whoever waits behind it waits no longer. What is made as a superuser is given to the owner of the extension, so that no function of
//! another owner is ever called with a superuser's rights by one of ours.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use pgrx::pg_sys;
use pgrx::prelude::*;

use super::server::deadlock_timeout;
use super::statement::{column, nullable, rows_once, run_once};
use super::transaction::{catch, with_lock_timeout};
use crate::error::{Answer, Error, Result};

/// The extension's members that have an owner, but for the script's own functions. Sequences of columns go with their tables.
const MEMBERS: &str = "WITH members AS (
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid, c.oid::regclass::text AS name, c.relowner AS owner, e.extowner
      FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      JOIN pg_class c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
     WHERE e.extname = 'costsim_pg' AND c.relkind IN ('r', 'p', 'v', 'S')
       AND NOT EXISTS (SELECT FROM pg_depend o WHERE c.relkind = 'S' AND o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 'ROUTINE', p.oid, p.oid::regprocedure::text, p.proowner, e.extowner
      FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
     WHERE e.extname = 'costsim_pg' AND p.proname NOT IN ('_costsim_begin_update', '_costsim_end_update')
    UNION ALL
    SELECT 'TYPE', t.oid, t.oid::regtype::text, t.typowner, e.extowner
      FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
      JOIN pg_type t ON d.classid = 'pg_type'::regclass AND d.objid = t.oid
     WHERE e.extname = 'costsim_pg')";

/// Who may read or write a table of ours, but sees none of its rows, for no policy is of him. `docs/releasing.md` has the same.
const BLIND: &str = "
    SELECT string_agg(DISTINCT coalesce(quote_ident(r.rolname), 'PUBLIC'), ', ')
      FROM pg_extension e
      JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass
      JOIN pg_class c ON c.oid = d.objid AND c.relrowsecurity
     CROSS JOIN LATERAL (SELECT (aclexplode(c.relacl)).grantee
                          UNION SELECT (aclexplode(a.attacl)).grantee FROM pg_attribute a WHERE a.attrelid = c.oid) g
      LEFT JOIN pg_roles r ON r.oid = g.grantee
     WHERE e.extname = 'costsim_pg' AND g.grantee <> c.relowner AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)
       AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polroles && ARRAY[g.grantee, 0])";

/// Before anything is changed: refuses objects of several owners, and locks every table.
#[pg_extern(sql = false)]
fn _costsim_begin_update() -> Answer<()> {
    let strange = format!(
        "{MEMBERS} SELECT string_agg(DISTINCT m.owner::regrole::text, ', '), min(m.extowner::regrole::text) FROM members m WHERE m.owner <> m.extowner"
    );
    let strange =
        run_once(&strange, &[], |row| Ok((nullable::<String>(row, 1)?, nullable::<String>(row, 2)?)))?;
    if let Some((Some(others), Some(owner))) = strange {
        return Err(Error::NotAllowed {
            what: format!("extension \"costsim_pg\" is of {owner}, and objects of it are of {others}"),
            hint: format!("Give them to {owner} first: ALTER ... OWNER TO, or REASSIGN OWNED."),
        }
        .into());
    }
    // As they were made: leaders, breakers, incidents, alerts, and so on.
    let tables = format!("{MEMBERS} SELECT m.oid FROM members m WHERE m.kind = 'TABLE' ORDER BY m.oid");
    let tables = rows_once(&tables, &[], |row| column(row, 1))?;
    Ok(lock_at_once(&tables)?)
}

/// After all is changed: what is new is the owner's, and who is told is told.
#[pg_extern(sql = false)]
fn _costsim_end_update() -> Answer<()> {
    let commands = format!(
        "{MEMBERS} SELECT format('ALTER %s %s OWNER TO %I', m.kind, m.name, pg_get_userbyid(m.extowner)) FROM members m WHERE m.owner <> m.extowner"
    );
    for command in rows_once::<String>(&commands, &[], |row| column(row, 1))? {
        run_once(&command, &[], |_| Ok(()))?;
    }
    if let Some(Some(roles)) = run_once(BLIND, &[], |row| nullable::<String>(row, 1))? {
        ereport!(
            PgLogLevel::WARNING,
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("row-level security shows no rows to roles that were granted tables by hand: {roles}"),
            "SELECT costsim_grant(role, level, tenant), and see docs/releasing.md."
        );
    }
    Ok(())
}

/// Locks every table against all others: as long as the session's lock_timeout allows, and for ever without one.
fn lock_at_once(tables: &[pg_sys::Oid]) -> Result<()> {
    // SAFETY: reads an int of the server's settings, in milliseconds.
    let allowed = unsafe { pg_sys::LockTimeout };
    let (begun_at, allowed) = (Instant::now(), u64::try_from(allowed).unwrap_or(0));
    let patience = deadlock_timeout() / 2;
    let mut is_told = false;
    loop {
        let has_all = catch(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, || lock_within(tables, patience))?;
        if has_all.is_some() {
            return Ok(());
        }
        if allowed > 0 && begun_at.elapsed() >= Duration::from_millis(allowed) {
            return lock_within(tables, patience);
        }
        if !std::mem::replace(&mut is_told, true) {
            notice!("costsim_pg: waiting for the transactions that use its tables; see pg_locks");
        }
        // Whoever has waited goes on meanwhile.
        let pause = patience.num_milliseconds() as f64 / 500.0;
        run_once("SELECT pg_catalog.pg_sleep($1)", &[pause.into()], |_| Ok(()))?;
    }
}

fn lock_within(tables: &[pg_sys::Oid], patience: TimeDelta) -> Result<()> {
    let begun_at = Instant::now();
    for table in tables {
        let waited = TimeDelta::from_std(begun_at.elapsed()).unwrap_or(patience);
        with_lock_timeout(patience - waited, || {
            // SAFETY: raises where the lock cannot be had in time.
            unsafe { pg_sys::LockRelationOid(*table, pg_sys::AccessExclusiveLock as i32) };
            Ok(())
        })?;
    }
    Ok(())
}
