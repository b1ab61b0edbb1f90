//! What an update script has done before and after its own statements. It makes these two functions for itself, and drops them.
//!
//! It promises that an update makes no transaction of an application fail: all tables are locked before the first is changed. What is made as a
//! superuser is given to the owner of the extension, so that no function of another owner is ever called with a superuser's rights by one of ours.

use pgrx::pg_sys;
use pgrx::prelude::*;

use super::locks::lock_all;
use super::statement::{column, nullable, rows_once, run_once};
use crate::error::{Answer, Error};

/// The extension's members that have an owner, but for the script's own functions. Sequences of columns go with their tables, and
/// so do types of rows, and arrays with their elements: newer servers have those as members too.
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
     WHERE e.extname = 'costsim_pg' AND t.typrelid = 0 AND t.typelem = 0)";

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
    Ok(lock_all(tables.into_iter().map(|table| (table, pg_sys::AccessExclusiveLock)).collect())?)
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
