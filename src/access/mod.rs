//! Grants: three levels for roles, and one for the worker, for every tenant or for one.
//!
//! It promises: what a role may do follows from `costsim_access`, one list, and whose rows it sees from policies of row-level security, one of each
//! table with a tenant for each role. Both are the server's own: a dump carries them, DROP OWNED takes them away, and nothing of ours is asked when a
//! row is read. Granting again changes what was granted before, in one transaction.
//!
//! A function that acts as the owner of the tables for a tenant asks [`scope`] before it does: so it refuses what the policies would refuse.
//!
//! It does not: look at what a role has by others, of which it is a member. What is granted to several is added up, policies too.
//!
//! `scope` whose rows the caller sees

pub mod scope;

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{OIDOID, TEXTOID};
use pgrx::prelude::*;

use crate::convert::argument_type;
use crate::db::{self, Statement, column, nullable};
use crate::error::{Answer, Error, Result, required};

/// A role, as an argument.
struct Regrole(pg_sys::Datum);

argument_type!(Regrole, "regrole");

impl Regrole {
    fn oid(&self) -> pg_sys::Oid {
        // SAFETY: the datum is a regrole, which is an oid.
        unsafe { pg_sys::Oid::from_datum(self.0, false) }.unwrap_or(pg_sys::InvalidOid)
    }
}

static MAY_ACT: Statement = Statement::reading(
    "SELECT pg_catalog.pg_has_role(e.extowner, 'USAGE') FROM pg_catalog.pg_extension e
      WHERE e.extname OPERATOR(pg_catalog.=) 'costsim_pg'::pg_catalog.name",
    &[],
);

/// Grants go one after the other: two of one role would meet in the catalogs.
static ONE_AT_A_TIME: Statement =
    Statement::deciding("LOCK TABLE @schema@.costsim_locks IN SHARE UPDATE EXCLUSIVE MODE", &[]);

static ROLE: Statement =
    Statement::current("SELECT quote_ident(rolname) FROM pg_authid WHERE oid = $1", &[OIDOID]);

/// What a role has: NULL in the tenant is that of the session.
static GRANTED: Statement = Statement::current(
    "SELECT g.level, g.tenant, g.missing FROM @schema@.costsim_grants g WHERE g.grantee::oid = $1",
    &[OIDOID],
);

/// What takes everything away that a role has been granted on the extension's objects, by whoever.
static REVOKING: Statement = Statement::current(
    "WITH held AS (
         SELECT CASE o.kind WHEN 'function' THEN 'ROUTINE' WHEN 'sequence' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, o.object
           FROM @schema@._costsim_objects() o,
                aclexplode(CASE o.kind WHEN 'function' THEN (SELECT p.proacl FROM pg_proc p WHERE p.oid = o.object_id)
                                       ELSE (SELECT c.relacl FROM pg_class c WHERE c.oid = o.object_id) END) a
          WHERE a.grantee = $1
          GROUP BY 1, 2)
     SELECT format('DROP POLICY %I ON %s', p.polname, p.polrelid::regclass)
       FROM pg_policy p
       JOIN @schema@._costsim_objects() o ON o.object_id = p.polrelid AND o.kind = 'table'
      WHERE p.polroles = ARRAY[$1] AND p.polname ~ '^costsim_(reader|app|operator|worker)_'
      UNION ALL
     SELECT format('REVOKE ALL ON %s %s FROM %s', h.kind, string_agg(h.object, ', ' ORDER BY h.object), $2) FROM held h GROUP BY h.kind
      UNION ALL
     SELECT format('REVOKE USAGE ON SCHEMA %s FROM %s', e.extnamespace::regnamespace, $2)
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
      WHERE e.extname = 'costsim_pg'
        AND EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = $1 AND a.privilege_type = 'USAGE')",
    &[OIDOID, TEXTOID],
);

/// What gives a role a level: $3 whether of every tenant, $4 the tenant, or NULL for that of the session.
static GRANTING: Statement = Statement::current(
    "WITH wanted AS MATERIALIZED (
         SELECT DISTINCT CASE a.kind WHEN 'function' THEN 'ROUTINE' WHEN 'sequence' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
                a.object, a.object_id, a.privilege
           FROM @schema@._costsim_levels($5, $3) a)
     SELECT format('GRANT USAGE ON SCHEMA %s TO %s', e.extnamespace::regnamespace, $2) FROM pg_extension e
      WHERE e.extname = 'costsim_pg' AND NOT has_schema_privilege($1, e.extnamespace, 'USAGE')
      UNION ALL
     SELECT format('GRANT %s ON %s %s TO %s', w.privilege, w.kind, string_agg(w.object, ', ' ORDER BY w.object), $2)
       FROM wanted w GROUP BY w.privilege, w.kind
      UNION ALL
     (SELECT format('CREATE POLICY %I ON %s TO %s USING (%s)',
                    -- A name is not given twice, whatever roles are called before and after.
                    'costsim_' || $5 || '_' || left((SELECT r.rolname FROM pg_authid r WHERE r.oid = $1), 30)
                        || '_' || left(gen_random_uuid()::text, 8),
                    w.object, $2,
                    CASE WHEN $3 THEN 'true'
                         WHEN $4 IS NULL THEN 'tenant_id = nullif(current_setting(''costsim.tenant_id'', true), '''')'
                         ELSE format('tenant_id = %L', $4) END)
        FROM wanted w
        JOIN pg_attribute t ON t.attrelid = w.object_id AND t.attname = 'tenant_id' AND NOT t.attisdropped
        JOIN pg_class c ON c.oid = w.object_id AND c.relkind IN ('r', 'p')
       WHERE w.kind = 'TABLE'
       GROUP BY w.object
       ORDER BY w.object)",
    &[OIDOID, TEXTOID, pgrx::pg_sys::BuiltinOid::BOOLOID, TEXTOID, TEXTOID],
);

/// The most bytes of a tenant's name, as the tables have it.
const LONGEST_TENANT: usize = 512;

/// Grants a role a level, for every tenant ('*'), one, or that of the session (NULL): whether that changed anything.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_grant(
    grantee: Option<Regrole>,
    level: Option<&str>,
    tenant: default!(Option<&str>, "'*'"),
) -> Answer<bool> {
    db::require_writable(c"costsim_grant()");
    let grantee = required(grantee, "grantee")?.oid();
    let level = required(level, "level")?;
    if !["reader", "app", "operator", "worker"].contains(&level) {
        return Err(Error::invalid(
            "level must be reader, app, operator or worker",
            "Each of the first three holds what the ones before hold; worker is for costsim.worker_role.",
        )
        .into());
    }
    let is_every = tenant == Some("*");
    if !is_every && ["operator", "worker"].contains(&level) {
        return Err(Error::invalid(
            format!("{level} must be granted for every tenant"),
            "Leave tenant out, or grant reader or app.",
        )
        .into());
    }
    if tenant.is_some_and(|tenant| tenant.is_empty() || tenant.len() > LONGEST_TENANT) {
        return Err(Error::invalid(
            format!("tenant must have from 1 to {LONGEST_TENANT} bytes"),
            "Pass a tenant, NULL for the one of the session's costsim.tenant_id, or leave it out for every tenant.",
        )
        .into());
    }
    require_ownership("what roles may do")?;
    Ok(db::as_owner(|| {
        ONE_AT_A_TIME.run(&[])?;
        let name = role(grantee)?;
        let wanted = Grant { level: level.to_owned(), tenant: tenant.map(str::to_owned), missing: 0 };
        if granted(grantee)?.as_ref() == Some(&wanted) {
            return Ok(false);
        }
        run_all(&REVOKING, &[grantee.into(), name.as_str().into()])?;
        run_all(
            &GRANTING,
            &[
                grantee.into(),
                name.as_str().into(),
                is_every.into(),
                tenant.filter(|_| !is_every).into(),
                level.into(),
            ],
        )?;
        Ok(true)
    })?)
}

/// Takes away all that a role has of the extension: whether there was anything.
#[pg_extern(volatile, parallel_unsafe)]
fn costsim_revoke(grantee: Option<Regrole>) -> Answer<bool> {
    db::require_writable(c"costsim_revoke()");
    let grantee = required(grantee, "grantee")?.oid();
    require_ownership("what roles may do")?;
    Ok(db::as_owner(|| {
        ONE_AT_A_TIME.run(&[])?;
        let name = role(grantee)?;
        run_all(&REVOKING, &[grantee.into(), name.as_str().into()])
    })?)
}

/// What costsim_grants says of a role.
#[derive(PartialEq)]
struct Grant {
    level: String,
    tenant: Option<String>,
    missing: i64,
}

fn granted(grantee: pg_sys::Oid) -> Result<Option<Grant>> {
    GRANTED.row(&[grantee.into()], |row| {
        Ok(Grant { level: column(row, 1)?, tenant: nullable(row, 2)?, missing: column(row, 3)? })
    })
}

/// The role's name, quoted where it needs quotes.
fn role(oid: pg_sys::Oid) -> Result<String> {
    let no_such_role = || Error::NoSuchRole { role: oid.to_u32().to_string() };
    ROLE.row(&[oid.into()], |row| column(row, 1))?.ok_or_else(no_such_role)
}

/// Refuses whoever may not act as the owner of the extension.
pub fn require_ownership(what: &str) -> Result<()> {
    if MAY_ACT.row(&[], |row| column(row, 1))? == Some(true) {
        return Ok(());
    }
    Err(Error::NotAllowed {
        what: format!("{what} is for the owner of the extension to say"),
        hint: "Ask a role that may act as the owner of costsim_pg.".into(),
    })
}

/// Runs the commands that a statement makes of the catalogs: whether there was any.
fn run_all(commands: &'static Statement, arguments: &[pgrx::datum::DatumWithOid<'_>]) -> Result<bool> {
    let commands: Vec<String> = commands.rows(arguments, |row| column(row, 1))?;
    for command in &commands {
        db::run_once(command, &[], |_| Ok(()))?;
    }
    Ok(!commands.is_empty())
}
