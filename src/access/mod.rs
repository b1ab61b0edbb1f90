//! Grants: three levels for roles, and one for the worker, for every tenant or for one.
//!
//! It promises: what a role may do follows from `costsim_access`, one list, and whose rows it sees from policies of row-level security, one of each
//! table with a tenant for each role. Both are the server's own: DROP OWNED takes them away, and nothing of ours is asked when a row is read. A dump carries
//! privileges, and `costsim_granted`, whose restore makes the policies anew. Granting again changes what was granted before, in one transaction.
//!
//! A function that acts as the owner of the tables for a tenant asks [`scope`] before it does: so it refuses what the policies would refuse.
//!
//! It does not: look at what a role has by others, of which it is a member. What is granted to several is added up, policies too.
//!
//! `scope` whose rows the caller sees

pub mod scope;

use std::cell::Cell;

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{BOOLOID, OIDOID, TEXTOID};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

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

/// What a role has been granted: NULL in the tenant is that of the session.
static GRANTED: Statement = Statement::current(
    "SELECT g.level, g.tenant, g.missing FROM @schema@.costsim_grants g WHERE g.grantee::oid = $1",
    &[OIDOID],
);

static NOTE: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_granted (grantee, level, tenant) VALUES ($1::regrole, $2, $3)",
    &[OIDOID, TEXTOID, TEXTOID],
);

static FORGET: Statement =
    Statement::current("DELETE FROM @schema@.costsim_granted g WHERE g.grantee::oid = $1", &[OIDOID]);

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

/// What gives a role the privileges of a level, of every tenant or not.
static GRANTING: Statement = Statement::current(
    "SELECT format('GRANT USAGE ON SCHEMA %s TO %s', e.extnamespace::regnamespace, $2) FROM pg_extension e
      WHERE e.extname = 'costsim_pg' AND NOT has_schema_privilege($1, e.extnamespace, 'USAGE')
      UNION ALL
     SELECT format('GRANT %s ON %s %s TO %s', l.privilege,
                   CASE l.kind WHEN 'function' THEN 'ROUTINE' WHEN 'sequence' THEN 'SEQUENCE' ELSE 'TABLE' END,
                   string_agg(l.object, ', ' ORDER BY l.object), $2)
       FROM @schema@._costsim_levels($3, $4) l
      GROUP BY l.privilege, CASE l.kind WHEN 'function' THEN 'ROUTINE' WHEN 'sequence' THEN 'SEQUENCE' ELSE 'TABLE' END",
    &[OIDOID, TEXTOID, TEXTOID, BOOLOID],
);

/// The policies that are missing of what was granted, and their tables.
static POLICIES: Statement = Statement::current(
    "SELECT DISTINCT
            -- A name is not given twice, whatever roles are called before and after.
            format('CREATE POLICY %I ON %s TO %I USING (%s)',
                   'costsim_' || g.level || '_' || left(r.rolname, 30) || '_' || left(gen_random_uuid()::text, 8),
                   l.object, r.rolname, @schema@._costsim_condition(g.tenant)),
            l.object
       FROM @schema@.costsim_granted g
       JOIN pg_roles r ON r.oid = g.grantee::oid,
            LATERAL (SELECT DISTINCT v.object, v.object_id FROM @schema@._costsim_levels(g.level, coalesce(g.tenant = '*', false)) v WHERE v.kind = 'table') l
       JOIN @schema@._costsim_objects() o ON o.object_id = l.object_id AND o.has_tenant
      WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = l.object_id AND r.oid = ANY (p.polroles)
                           AND pg_get_expr(p.polqual, p.polrelid) = @schema@._costsim_condition(g.tenant))
      ORDER BY 2",
    &[],
);

thread_local! {
    /// Whether costsim_grant writes its own note.
    static IS_GRANTING: Cell<bool> = const { Cell::new(false) };
}

/// While it is there the trigger leaves policies to costsim_grant. It goes when an error unwinds, too.
struct Granting;

impl Granting {
    fn begin() -> Self {
        IS_GRANTING.set(true);
        Self
    }
}

impl Drop for Granting {
    fn drop(&mut self) {
        IS_GRANTING.set(false);
    }
}

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
        FORGET.run(&[grantee.into()])?;
        {
            let _granting = Granting::begin();
            NOTE.run(&[grantee.into(), level.into(), tenant.into()])?;
        }
        run_all(&GRANTING, &[grantee.into(), name.as_str().into(), level.into(), is_every.into()])?;
        make_policies()?;
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
        let was_noted = FORGET.run(&[grantee.into()])? > 0;
        Ok(run_all(&REVOKING, &[grantee.into(), name.as_str().into()])? || was_noted)
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

/// Makes the policies that are missing of what was granted.
fn make_policies() -> Result<()> {
    let commands: Vec<String> = POLICIES.rows(&[], |row| column(row, 1))?;
    commands.iter().try_for_each(|command| db::run_once(command, &[], |_| Ok(())).map(drop))
}

/// After rows of costsim_granted were inserted by a restore. Where it runs in several sessions the tables may be in use: then whoever restores is told how
/// to make the policies, and until then the roles see no rows.
#[pg_trigger]
fn _costsim_granted<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    if !IS_GRANTING.get()
        && let Err(error) = restore(trigger)
    {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(None)
}

fn restore(trigger: &PgTrigger<'_>) -> Result<()> {
    let table = trigger.relid().map_err(|error| Error::Internal(error.to_string()))?;
    if table != db::relation(c"costsim_granted")? {
        return Err(Error::invalid(
            "_costsim_granted() is for costsim_granted",
            "Leave the extension's trigger functions to its own tables.",
        ));
    }
    // Whoever may insert here owns the table, or was given it by who does: the policies are for him to make who owns the others.
    require_ownership("what roles may do")?;
    db::as_owner(|| {
        let tables: Vec<String> = POLICIES.rows(&[], |row| column(row, 2))?;
        if tables.is_empty() {
            return Ok(());
        }
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT", tables.join(", "));
        let is_free =
            db::catch(PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, || db::run_once(&lock, &[], |_| Ok(())))?
                .is_some();
        if is_free {
            return make_policies();
        }
        ereport!(
            PgLogLevel::WARNING,
            PgSqlErrorCode::ERRCODE_WARNING,
            "the policies of costsim_granted are not made, for other sessions use the tables".to_owned(),
            "Afterwards: SELECT costsim_grant(grantee, level, tenant) FROM costsim_grants WHERE NOT is_complete."
        );
        Ok(())
    })
}
