//! Whose rows the caller sees, for functions that act as the owner of the tables: what it has been granted, asked before.
//!
//! It promises: what costsim_grant has not admitted is refused, and so is what it has admitted where the policy is gone or a restrictive one of somebody's own
//! might say no. A role is known by name and number together; who has either of a role that was granted something, and not both, is refused. Only who was
//! never granted anything, and has no rights of a role that was, has been given the function alone, by hand, and may use it for every tenant.
//!
//! It does not: read policies. One by hand that admits more holds for the tables, and not here.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{OIDOID, TEXTOID};

use crate::db::{self, Statement, column};
use crate::error::{Error, Result};

/// Whether a role may see a tenant (NULL: none) in a table. Run as the owner.
static ADMITS: Statement = Statement::looking(
    "WITH held AS MATERIALIZED (
         SELECT r.oid, g.level, g.tenant, r.oid OPERATOR(pg_catalog.=) g.role_id AND r.rolname OPERATOR(pg_catalog.=) g.grantee AS fits
           FROM @schema@.costsim_granted g
           JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) g.role_id OR r.rolname OPERATOR(pg_catalog.=) g.grantee
          WHERE pg_catalog.pg_has_role($3, r.oid, 'USAGE'::pg_catalog.text))
     SELECT CASE
         WHEN EXISTS (SELECT FROM pg_catalog.pg_policy p, pg_catalog.unnest(p.polroles) AS m (oid)
                       WHERE p.polrelid OPERATOR(pg_catalog.=) $1 AND NOT p.polpermissive
                         AND CASE WHEN m.oid OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN true
                                  ELSE pg_catalog.pg_has_role($3, m.oid, 'USAGE'::pg_catalog.text) END) THEN false
         WHEN NOT EXISTS (SELECT FROM held) THEN true
         ELSE EXISTS (SELECT FROM held h
                       WHERE h.fits
                         AND CASE WHEN h.tenant IS NULL
                                  THEN coalesce($2 OPERATOR(pg_catalog.=) pg_catalog.current_setting('costsim.tenant_id'::pg_catalog.text, true)
                                                AND $2 OPERATOR(pg_catalog.<>) ''::pg_catalog.text, false)
                                  WHEN h.tenant OPERATOR(pg_catalog.=) '*'::pg_catalog.text THEN true
                                  ELSE coalesce(h.tenant OPERATOR(pg_catalog.=) $2, false) END
                         AND EXISTS (SELECT FROM pg_catalog.pg_policy p
                                      WHERE p.polrelid OPERATOR(pg_catalog.=) $1 AND p.polpermissive AND p.polcmd OPERATOR(pg_catalog.=) '*'::\"char\"
                                        AND p.polroles OPERATOR(pg_catalog.=) ARRAY[h.oid]
                                        AND p.polname OPERATOR(pg_catalog.=) @schema@._costsim_policy(h.level, h.oid, h.tenant))) END",
    &[OIDOID, TEXTOID, OIDOID],
);

/// Whether the caller sees rows of a tenant (`None`: those of none) in this table.
pub fn admits(table: &CStr, tenant: Option<&str>) -> Result<bool> {
    let table = db::relation(table)?;
    // SAFETY: looks at the catalogs for the current user, and raises nothing.
    let (is_restricted, caller) = unsafe {
        let answer = pg_sys::check_enable_rls(table, pg_sys::InvalidOid, true);
        (answer == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32, pg_sys::GetUserId())
    };
    if !is_restricted {
        return Ok(true);
    }
    let arguments = [table.into(), tenant.into(), caller.into()];
    let answer = db::as_owner(|| ADMITS.row(&arguments, |row| column(row, 1)))?;
    Ok(answer == Some(true))
}

/// Refuses to write a row of a tenant whose rows the caller does not see, as the server would.
pub fn require(table: &CStr, tenant: Option<&str>) -> Result<()> {
    if admits(table, tenant)? {
        return Ok(());
    }
    Err(Error::NotAllowed {
        what: format!("new row violates row-level security policy for table \"{}\"", table.to_string_lossy()),
        hint: "The role has been granted another tenant; costsim.tenant_id says which, where it is the session's.".into(),
    })
}
