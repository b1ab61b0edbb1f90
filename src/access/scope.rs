//! Whose rows the caller sees, for functions that act as the owner of the tables: what its policies say, asked before.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{OIDOID, TEXTOID};

use crate::db::{self, Statement, nullable};
use crate::error::{Error, Result};

/// Whether one of the policies of a table that hold for the caller admits a tenant; NULL where none holds. They have the three forms that
/// costsim_grant gives them; one of another form admits nothing here.
static ADMITS: Statement = Statement::looking(
    "SELECT pg_catalog.bool_or(CASE p.condition
                WHEN 'true'::pg_catalog.text THEN true
                WHEN '(tenant_id = NULLIF(current_setting(''costsim.tenant_id''::text, true), ''''::text))'::pg_catalog.text
                    THEN coalesce($2 OPERATOR(pg_catalog.=) pg_catalog.current_setting('costsim.tenant_id'::pg_catalog.text, true)
                                  AND $2 OPERATOR(pg_catalog.<>) ''::pg_catalog.text, false)
                ELSE coalesce(p.condition OPERATOR(pg_catalog.=) pg_catalog.concat('(tenant_id = '''::pg_catalog.text,
                                  pg_catalog.replace($2, ''''::pg_catalog.text, ''''''::pg_catalog.text), '''::text)'::pg_catalog.text)
                              AND $2 IS NOT NULL, false) END)
       FROM (SELECT pg_catalog.pg_get_expr(o.polqual, o.polrelid) AS condition FROM pg_catalog.pg_policy o
              WHERE o.polrelid OPERATOR(pg_catalog.=) $1 AND o.polpermissive
                AND EXISTS (SELECT FROM pg_catalog.unnest(o.polroles) AS r (oid)
                             WHERE CASE WHEN r.oid OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN true
                                        ELSE pg_catalog.pg_has_role(r.oid, 'USAGE'::pg_catalog.text) END)) p",
    &[OIDOID, TEXTOID],
);

/// Whether the caller sees rows of a tenant (`None`: those of none) in this table. A role that no policy speaks of has been given the function
/// alone, by hand, and may use it for every tenant.
pub fn admits(table: &CStr, tenant: Option<&str>) -> Result<bool> {
    let table = db::relation(table)?;
    // SAFETY: looks at the catalogs for the current user, and raises nothing.
    let is_restricted = unsafe {
        pg_sys::check_enable_rls(table, pg_sys::InvalidOid, true)
            == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
    };
    if !is_restricted {
        return Ok(true);
    }
    Ok(ADMITS.row(&[table.into(), tenant.into()], |row| nullable(row, 1))?.flatten().unwrap_or(true))
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
