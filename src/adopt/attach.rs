//! Views over our tables in the place of the old ones, and back.
//!
//! A view shows our columns by the old table's names and order, so that statements which were written for the table go on, ON CONFLICT, RETURNING and
//! FOR UPDATE among them; what a statement leaves out takes our table's default. It belongs to the owner of our tables, and has the grants of the table
//! whose place it takes; the owner of that table has all of them.

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{OIDOID, TEXTOID};
use pgrx::spi::quote_identifier;

use super::judge::rows;
use super::source::{Column, Found, Old, SUFFIX, Source, sequences};
use super::table::{TABLES, Table};
use super::{locks, ours, run};
use crate::db::{self, Statement, column, nullable};
use crate::error::{Error, Result};

/// How a problem begins that keeps a table from being attached.
pub const IN_THE_WAY: &str = "in the way: ";

/// What would go on with the old table, and no more with what the application sees; or would stop.
static OBSTACLES: Statement = Statement::deciding(
    "SELECT array_agg(o.what ORDER BY o.what COLLATE \"C\")
       FROM (SELECT 'foreign key ' || quote_ident(k.conname) AS what FROM pg_constraint k WHERE k.contype = 'f' AND $1 IN (k.conrelid, k.confrelid)
              UNION
             SELECT 'trigger ' || quote_ident(t.tgname) FROM pg_trigger t WHERE t.tgrelid = $1 AND NOT t.tgisinternal
              UNION
             SELECT 'row-level security' FROM pg_class c WHERE c.oid = $1 AND c.relrowsecurity
              UNION
             SELECT 'rule ' || quote_ident(r.rulename) FROM pg_rewrite r WHERE r.ev_class = $1
              UNION
             SELECT 'view ' || r.ev_class::regclass FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
              WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND r.ev_class <> $1
              UNION
             SELECT 'function ' || d.objid::regprocedure FROM pg_depend d
              WHERE d.classid = 'pg_proc'::regclass
                AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = $1
                     OR d.refclassid = 'pg_type'::regclass AND d.refobjid = (SELECT c.reltype FROM pg_class c WHERE c.oid = $1))
              UNION
             SELECT 'publication ' || quote_ident(p.pubname) FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1
              UNION
             SELECT 'publication ' || quote_ident(p.pubname) FROM pg_publication p, pg_get_publication_tables(p.pubname::text) t WHERE t.relid = $1
              UNION
             SELECT 'parent table ' || i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = $1
              UNION
             SELECT CASE WHEN c.relispartition THEN 'partition ' ELSE 'child table ' END || c.oid::regclass
               FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1
              UNION
             SELECT 'partition key ' || pg_get_partkeydef(c.oid) FROM pg_class c WHERE c.oid = $1 AND c.relkind = 'p'
              UNION
             SELECT 'extension ' || quote_ident(e.extname) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
              WHERE d.classid = 'pg_class'::regclass AND d.objid = $1 AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
              UNION
             SELECT 'the name ' || quote_ident(n.relname) FROM pg_class c JOIN pg_class n ON n.relnamespace = c.relnamespace
              WHERE c.oid = $1 AND n.relname = (c.relname || $2)::name) o",
    &[OIDOID, TEXTOID],
);

/// What the roles of a table may do, as commands that give them the same on what has its place.
static GRANTS: Statement = Statement::deciding(
    "SELECT coalesce(array_agg(format('GRANT %s%s ON TABLE %s TO %s%s', g.privilege_type, '(' || g.attribute || ')', $2,
                                      CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
                                      CASE WHEN g.is_grantable AND g.grantee NOT IN (0, g.owner) THEN ' WITH GRANT OPTION' END)), '{}')
       FROM (SELECT a.privilege_type, NULL::text AS attribute, a.grantee, a.is_grantable, c.relowner AS owner
               FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a WHERE c.oid = $1
              UNION ALL
             SELECT a.privilege_type, quote_ident(t.attname), a.grantee, a.is_grantable, c.relowner
               FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped, aclexplode(t.attacl) a WHERE c.oid = $1) g
      WHERE NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'costsim_pg' AND e.extowner = g.grantee)",
    &[OIDOID, TEXTOID],
);

/// What would have other rows come into a table than are written, or go that were never shown.
static MEDDLERS: Statement = Statement::deciding(
    "SELECT string_agg(m.what, ', ' ORDER BY m.what COLLATE \"C\")
       FROM (SELECT 'trigger ' || quote_ident(t.tgname) AS what FROM pg_trigger t WHERE t.tgrelid = $1 AND NOT t.tgisinternal
              UNION ALL
             SELECT 'rule ' || quote_ident(r.rulename) FROM pg_rewrite r WHERE r.ev_class = $1
              UNION ALL
             SELECT 'row-level security' FROM pg_class c WHERE c.oid = $1 AND c.relrowsecurity
              UNION ALL
             SELECT 'parent table ' || i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = $1
              UNION ALL
             SELECT 'child table ' || i.inhrelid::regclass FROM pg_inherits i WHERE i.inhparent = $1) m",
    &[OIDOID],
);

static OWNER_OF: Statement = Statement::deciding(
    "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = $1",
    &[OIDOID],
);

static OWNER: Statement = Statement::deciding(
    "SELECT quote_ident(pg_get_userbyid(e.extowner)) FROM pg_extension e WHERE e.extname = 'costsim_pg'",
    &[],
);

static OID: Statement = Statement::deciding("SELECT to_regclass($1)::oid", &[TEXTOID]);

/// Why a table cannot be attached.
pub fn obstacles(table: &Table, source: &Source, columns: &[Column]) -> Result<Vec<String>> {
    let found = OBSTACLES.row(&[source.oid.into(), SUFFIX.into()], |row| nullable::<Vec<String>>(row, 1))?;
    let mut found = found.flatten().unwrap_or_default();
    found.extend(table.unlike(columns));
    found.extend(table.left_behind(columns).into_iter().map(|name| format!("column {name} of its own")));
    Ok(found.into_iter().map(|what| format!("{IN_THE_WAY}{what}")).collect())
}

/// Gives the old table another name, and its own to a view over ours.
pub fn put_in_place(table: &Table, source: &Source, home: &str) -> Result<()> {
    let Found::Table(columns) = &source.found else { return Ok(()) };
    let name = &source.name;
    if let Some(sequence) = &source.sequence {
        rename(sequence, |name| (name.len() + SUFFIX.len() < 64).then(|| format!("{name}{SUFFIX}")))?;
    }
    run(&format!("ALTER TABLE {name} RENAME TO {}{SUFFIX}", table.name))?;
    let shown: Vec<_> = table.common(columns).into_iter().map(quote_identifier).collect();
    run(&format!("CREATE VIEW {name} AS SELECT {} FROM {home}.{}", shown.join(", "), table.name))?;
    run(&format!(
        "COMMENT ON VIEW {name} IS 'Stands for the table of that name, over the one of costsim_pg. costsim_unadopt() puts the table back.'"
    ))?;
    let owner = OWNER.row(&[], |row| column::<String>(row, 1))?.ok_or(Error::NotInstalled)?;
    run(&format!("ALTER VIEW {name} OWNER TO {owner}"))?;
    let grants =
        GRANTS.row(&[source.oid.into(), name.as_str().into()], |row| column::<Vec<String>>(row, 1))?;
    grants.unwrap_or_default().iter().try_for_each(|grant| run(grant))
}

/// Keeps everybody from views, old tables and ours.
pub fn lock(sources: &[Source]) -> Result<()> {
    let mut wanted = Vec::new();
    for (table, source) in TABLES.iter().zip(sources) {
        if let Found::Attached(old) = &source.found {
            wanted.extend(locks(&[source.oid, old.oid, ours(table)?], pg_sys::AccessExclusiveLock));
            wanted.extend(locks(&sequences(old.oid)?, pg_sys::AccessExclusiveLock));
        }
    }
    db::lock_all(wanted)
}

/// A table that has come meanwhile is not locked.
pub fn require_same(locked: &[Source], sources: &[Source]) -> Result<()> {
    let place = |source: &Source| match &source.found {
        Found::Attached(old) => Some((source.oid, old.oid)),
        _ => None,
    };
    match locked.iter().zip(sources).find(|(before, now)| place(now).is_some() && place(before) != place(now))
    {
        None => Ok(()),
        Some((_, now)) => Err(Error::Stays {
            what: format!("{} has changed meanwhile", now.name).into(),
            hint: "Call the function again.",
        }),
    }
}

/// Makes the old table what the view shows, and gives it its name back: how many rows it got or were changed, and how many went.
pub fn undo(table: &Table, source: &Source, old: &Old) -> Result<(i64, i64)> {
    let (view, theirs) = (&source.name, &old.name);
    let meddlers = MEDDLERS.row(&[old.oid.into()], |row| nullable::<String>(row, 1))?.flatten();
    if let Some(what) = meddlers {
        return Err(Error::Stays {
            what: format!("{theirs} has {what}, by which rows might come in otherwise").into(),
            hint: "Take it away, and call costsim_unadopt() again.",
        });
    }
    let owner =
        OWNER_OF.row(&[old.oid.into()], |row| column::<String>(row, 1))?.ok_or(Error::NotInstalled)?;
    // He reads what has come by the view, as he could before, and writes: what he has put on the table runs with his rights.
    run(&format!("GRANT SELECT ON TABLE {view} TO {owner}"))?;
    let counts = db::as_owner_of(old.oid, || carry_back(table, source, old))?;
    run(&format!("DROP VIEW {view}"))?;
    run(&format!("ALTER TABLE {theirs} RENAME TO {}", table.name))?;
    if let Some(sequence) = &old.sequence {
        rename(sequence, |name| name.strip_suffix(SUFFIX).map(str::to_owned))?;
    }
    Ok(counts)
}

/// The same as the owner of the old table, who sees of ours what the view shows.
fn carry_back(table: &Table, source: &Source, old: &Old) -> Result<(i64, i64)> {
    let (view, theirs) = (&source.name, &old.name);
    let columns = table.common(&old.columns);
    let reads = |name: &str| {
        table.reads(name, &old.columns).ok_or_else(|| Error::Stays {
            what: format!("column {name} of {theirs} is of another type than it was").into(),
            hint: "Change its type back, and call costsim_unadopt() again.",
        })
    };
    let key = table.key();
    let their_key = reads(key)?;
    let removed = rows(&format!(
        "DELETE FROM {theirs} x WHERE NOT EXISTS (SELECT FROM {view} o WHERE o.{key} = {their_key})"
    ))?;
    let changing: Vec<_> = columns.iter().copied().filter(|name| !["id", key].contains(name)).collect();
    let list = |each: &dyn Fn(&str) -> Result<String>| -> Result<String> {
        Ok(changing.iter().map(|name| each(name)).collect::<Result<Vec<_>>>()?.join(", "))
    };
    let quoted = |name: &str| quote_identifier(name);
    let update = format!(
        "UPDATE {theirs} x SET {} FROM {view} o WHERE o.{key} = {their_key} AND ROW({}) IS DISTINCT FROM ROW({})",
        list(&|name| Ok(format!("{0} = o.{0}", quoted(name))))?,
        list(&reads)?,
        list(&|name| Ok(format!("o.{}", quoted(name))))?,
    );
    // A table of keys alone has nothing to change.
    let changed = if changing.is_empty() { 0 } else { rows(&update)? };
    let all: Vec<_> = columns.iter().map(|name| quoted(name)).collect();
    let added = rows(&format!(
        "INSERT INTO {theirs} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {view} o
          WHERE NOT EXISTS (SELECT FROM {theirs} x WHERE {their_key} = o.{key})",
        all.join(", "),
        all.iter().map(|name| format!("o.{name}")).collect::<Vec<_>>().join(", "),
    ))?;
    if let Some(sequence) = &old.sequence {
        run(&format!(
            "SELECT setval(to_regclass({})::regclass, greatest(t.last, s.last_value))
               FROM (SELECT max(id)::bigint AS last FROM {theirs}) t, {sequence} s WHERE t.last > 0",
            pgrx::spi::quote_literal(sequence),
        ))?;
    }
    Ok((changed + added, removed))
}

/// Renames a sequence, if there is another name for it.
fn rename(sequence: &str, other: impl FnOnce(&str) -> Option<String>) -> Result<()> {
    static NAME: Statement =
        Statement::deciding("SELECT relname::text FROM pg_class WHERE oid = $1", &[OIDOID]);
    let oid = OID.row(&[sequence.into()], |row| column::<pg_sys::Oid>(row, 1))?;
    let oid = oid.ok_or_else(|| Error::Internal(format!("{sequence} is gone")))?;
    let name = NAME.row(&[oid.into()], |row| column::<String>(row, 1))?.unwrap_or_default();
    match other(&name) {
        Some(other) => run(&format!("ALTER SEQUENCE {sequence} RENAME TO {}", quote_identifier(other))),
        None => Ok(()),
    }
}
