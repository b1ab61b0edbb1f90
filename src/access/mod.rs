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

/// The role's name, quoted where it needs quotes, and whether what it has is no business of grants.
static ROLE: Statement = Statement::current(
    "SELECT quote_ident(r.rolname), r.rolname = 'pg_monitor' OR r.oid = e.extowner
       FROM pg_roles r, pg_extension e WHERE r.oid = $1 AND e.extname = 'costsim_pg'",
    &[OIDOID],
);

/// What a role has been granted: NULL in the tenant is that of the session.
static GRANTED: Statement = Statement::current(
    "SELECT g.level, g.tenant, g.missing FROM @schema@.costsim_grants g WHERE g.grantee::oid = $1",
    &[OIDOID],
);

/// Why policies do not bind a role that was granted one tenant, or that of the session.
static UNBOUND: Statement = Statement::current(
    "SELECT g.unbound_by FROM @schema@.costsim_grants g WHERE g.grantee::oid = $1",
    &[OIDOID],
);

static NOTE: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_granted (grantee, role_id, level, tenant) SELECT r.rolname, r.oid, $2, $3 FROM pg_roles r WHERE r.oid = $1",
    &[OIDOID, TEXTOID, TEXTOID],
);

/// Its own row, under whatever name, and rows under its name that no role has the number of.
static FORGET: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_granted g
      WHERE g.role_id = $1
         OR g.grantee = (SELECT r.rolname FROM pg_roles r WHERE r.oid = $1) AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.role_id)",
    &[OIDOID],
);

/// Rows of roles that are gone by name and number. One of the two is enough to keep it: it refuses who has either.
static SWEEP: Statement = Statement::current(
    "DELETE FROM @schema@.costsim_granted g
      WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.role_id OR r.rolname = g.grantee)",
    &[],
);

/// What takes everything away that the owner has granted a role on the extension's objects, and of it what the role has passed on.
static REVOKING: Statement = Statement::current(
    "WITH held AS (
         SELECT DISTINCT CASE o.kind WHEN 'function' THEN 'ROUTINE' WHEN 'sequence' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, o.object
           FROM @schema@._costsim_held($1) o WHERE o.is_owners)
     SELECT format('REVOKE ALL ON %s %s FROM %s CASCADE', h.kind, string_agg(h.object, ', ' ORDER BY h.object), $2) FROM held h GROUP BY h.kind
      UNION ALL
     SELECT format('REVOKE USAGE ON SCHEMA %s FROM %s CASCADE', e.extnamespace::regnamespace, $2)
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
      WHERE e.extname = 'costsim_pg'
        AND EXISTS (SELECT FROM aclexplode(n.nspacl) a
                     WHERE a.grantee = $1 AND a.privilege_type = 'USAGE' AND a.grantor = n.nspowner AND pg_has_role(n.nspowner, 'USAGE'))",
    &[OIDOID, TEXTOID],
);

/// What others than the owner have granted a role.
static OTHERS: Statement = Statement::current(
    "SELECT string_agg(DISTINCT o.object, ', ') FROM @schema@._costsim_held($1) o WHERE NOT o.is_owners",
    &[OIDOID],
);

/// What gives a role the privileges of a level, of every tenant or not.
static GRANTING: Statement = Statement::current(
    "SELECT format('GRANT USAGE ON SCHEMA %s TO %s', e.extnamespace::regnamespace, $2) FROM pg_extension e
      WHERE e.extname = 'costsim_pg' AND NOT has_schema_privilege($1, e.extnamespace, 'USAGE')
      UNION ALL
     SELECT format('GRANT %s %s ON %s %s TO %s', l.privilege, (SELECT '(' || string_agg(quote_ident(c), ', ') || ')' FROM unnest(l.columns) c),
                   CASE l.kind WHEN 'function' THEN 'ROUTINE' WHEN 'sequence' THEN 'SEQUENCE' ELSE 'TABLE' END,
                   string_agg(l.object, ', ' ORDER BY l.object), $2)
       FROM @schema@._costsim_levels($3, $4) l
      GROUP BY l.privilege, l.columns, CASE l.kind WHEN 'function' THEN 'ROUTINE' WHEN 'sequence' THEN 'SEQUENCE' ELSE 'TABLE' END",
    &[OIDOID, TEXTOID, TEXTOID, BOOLOID],
);

/// What makes the policies of a role (NULL: of all) those of what it was granted: tables in the order in which they are locked, commands, drops first.
/// Constants are quoted in the way that no setting changes, and whether a policy is there is told by its name.
static POLICIES: Statement = Statement::current(
    "WITH wanted AS (
         SELECT g.role_id, g.tenant, r.rolname, o.object_id, o.object, @schema@._costsim_policy(g.level, g.role_id, g.tenant) AS name
           FROM @schema@.costsim_granted g
           JOIN pg_roles r ON r.oid = g.role_id AND r.rolname = g.grantee,
                LATERAL (SELECT DISTINCT v.object_id FROM @schema@._costsim_levels(g.level, coalesce(g.tenant = '*', false)) v WHERE v.kind = 'table') l
           JOIN @schema@._costsim_objects() o ON o.object_id = l.object_id AND o.has_tenant
          WHERE $1 IS NULL OR g.role_id = $1),
     present AS (
         SELECT p.polname, o.object_id, o.object,
                EXISTS (SELECT FROM wanted w
                         WHERE w.object_id = o.object_id AND w.name = p.polname AND p.polroles = ARRAY[w.role_id]
                           AND p.polpermissive AND p.polcmd = '*') AS fits
           FROM pg_policy p
           JOIN @schema@._costsim_objects() o ON o.object_id = p.polrelid AND o.kind = 'table'
          WHERE p.polname ~ '^costsim_(reader|app|operator|worker)_[0-9]+_'
            AND (split_part(p.polname, '_', 3) = $1::text OR $1 IS NULL AND EXISTS (SELECT FROM wanted w WHERE w.name = p.polname)))
     SELECT s.command, s.object_id
       FROM (SELECT format('DROP POLICY %I ON %s', p.polname, p.object) AS command, p.object_id, p.object, 1 AS step FROM present p WHERE NOT p.fits
              UNION ALL
             SELECT format('CREATE POLICY %I ON %s TO %I USING (%s)', w.name, w.object, w.rolname,
                           CASE WHEN w.tenant IS NULL THEN 'tenant_id = nullif(current_setting(''costsim.tenant_id''::text, true), ''''::text)'
                                WHEN w.tenant = '*' THEN 'true'
                                ELSE format('tenant_id = %L::text', w.tenant) END),
                    w.object_id, w.object, 2
               FROM wanted w
              WHERE NOT EXISTS (SELECT FROM present p WHERE p.object_id = w.object_id AND p.polname = w.name AND p.fits)) s
      ORDER BY s.object, s.step, s.command",
    &[OIDOID],
);

/// The rows of a restore are of the roles that have their names here.
static ADOPT: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_granted g SET role_id = r.oid
       FROM costsim_new n JOIN pg_roles r ON r.rolname = n.grantee
      WHERE g.role_id = n.role_id AND g.grantee = n.grantee AND g.role_id <> r.oid",
    &[],
);

static NOBODYS: Statement = Statement::current(
    "SELECT string_agg(quote_ident(g.grantee), ', ' ORDER BY g.grantee) FROM @schema@.costsim_granted g
      WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.role_id AND r.rolname = g.grantee)",
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
        SWEEP.run(&[])?;
        let wanted = Grant { level: level.to_owned(), tenant: tenant.map(str::to_owned), missing: 0 };
        if granted(grantee)?.as_ref() == Some(&wanted) {
            warn_of_unbound(grantee, &name)?;
            return Ok(false);
        }
        FORGET.run(&[grantee.into()])?;
        {
            let _granting = Granting::begin();
            NOTE.run(&[grantee.into(), level.into(), tenant.into()])?;
        }
        make_policies(Some(grantee))?;
        run_all(&REVOKING, &[grantee.into(), name.as_str().into()])?;
        run_all(&GRANTING, &[grantee.into(), name.as_str().into(), level.into(), is_every.into()])?;
        warn_of_unbound(grantee, &name)?;
        Ok(true)
    })?)
}

/// Says that a role sees more than the tenant that it is granted, and why.
fn warn_of_unbound(grantee: pg_sys::Oid, name: &str) -> Result<()> {
    if let Some(why) = UNBOUND.row(&[grantee.into()], |row| nullable::<String>(row, 1))?.flatten() {
        ereport!(
            PgLogLevel::WARNING,
            PgSqlErrorCode::ERRCODE_WARNING,
            format!("role {name} is not bound to the tenant it is granted: {why}"),
            "Grant the tenant to a role that has nothing else: costsim_grants.unbound_by says when it is bound."
        );
    }
    Ok(())
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
        SWEEP.run(&[])?;
        let was_noted = FORGET.run(&[grantee.into()])? > 0;
        let had_policies = make_policies(Some(grantee))?;
        let had_privileges = run_all(&REVOKING, &[grantee.into(), name.as_str().into()])?;
        if let Some(objects) = OTHERS.row(&[grantee.into()], |row| nullable::<String>(row, 1))?.flatten() {
            ereport!(
                PgLogLevel::WARNING,
                PgSqlErrorCode::ERRCODE_WARNING_PRIVILEGE_NOT_REVOKED,
                format!("role {name} keeps what others than the owner have granted it: {objects}"),
                "They can revoke it, and so can costsim_revoke of the role that passed it on."
            );
        }
        Ok(was_noted || had_policies || had_privileges)
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

/// The name of a role that can be granted a level, quoted where it needs quotes.
fn role(oid: pg_sys::Oid) -> Result<String> {
    let no_such_role = || Error::NoSuchRole { role: oid.to_u32().to_string() };
    let (name, is_given) =
        ROLE.row(&[oid.into()], |row| Ok((column(row, 1)?, column(row, 2)?)))?.ok_or_else(no_such_role)?;
    if is_given {
        return Err(Error::invalid(
            format!("role {name} is not granted a level"),
            "The extension's owner has everything, and pg_monitor what CREATE EXTENSION has given it. Name another role.",
        ));
    }
    Ok(name)
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

/// Makes the policies of a role (`None`: of all) those of what it was granted: whether there was anything to change.
fn make_policies(grantee: Option<pg_sys::Oid>) -> Result<bool> {
    let changes = || POLICIES.rows(&[grantee.into()], |row| Ok((column(row, 1)?, column(row, 2)?)));
    let mut tables: Vec<pg_sys::Oid> = changes()?.into_iter().map(|(_, table): (String, _)| table).collect();
    tables.dedup();
    db::lock_all(tables.into_iter().map(|table| (table, pg_sys::AccessExclusiveLock)).collect())?;
    let commands: Vec<(String, pg_sys::Oid)> = changes()?;
    commands.iter().try_for_each(|(command, _)| db::run_once(command, &[], |_| Ok(())).map(drop))?;
    Ok(!commands.is_empty())
}

/// After rows of costsim_granted were inserted by a restore.
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
        ADOPT.run_on(trigger, &[])?;
        if let Some(roles) = NOBODYS.row(&[], |row| nullable::<String>(row, 1))?.flatten() {
            ereport!(
                PgLogLevel::WARNING,
                PgSqlErrorCode::ERRCODE_WARNING,
                format!("costsim_granted names roles that there are not: {roles}"),
                "Nobody gets what they had. Make the role, and say costsim_grant."
            );
        }
        make_policies(None).map(drop)
    })
}
