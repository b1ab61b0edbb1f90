//! The view through which runs are read out of an application's own table: made, made anew and dropped by whoever may act as the extension's
//! owner.
//!
//! The view shows to whoever asks what the table shows them, by their own rights and the table's row security, so everybody may select from it. It
//! is no member of the extension: dumps carry it, and where the table is dropped with CASCADE it goes too, and runs are read from our table
//! again.
//!
//! Does not: see to it that ids are unique, or that what the table holds is what our own would take.

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{BOOLOID, OIDOID, TEXTARRAYOID, TEXTOID};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::spi::quote_literal;

use super::mapping::{Column, Mapping};
use super::source::{self, Regclass, VIEW};
use crate::access;
use crate::convert::Jsonb;
use crate::db::{self, Statement, column};
use crate::error::{Answer, Error, Result, required};

/// What a relation is, and its name with that of its schema.
static TABLE: Statement = Statement::deciding(
    "SELECT c.relkind::text, c.relpersistence = 't', quote_ident(n.nspname) || '.' || quote_ident(c.relname),
            c.oid = $2 OR c.oid IS NOT DISTINCT FROM to_regclass($3)
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
    &[OIDOID, OIDOID, TEXTOID],
);

static COLUMNS: Statement = Statement::deciding(
    "WITH RECURSIVE base (attnum, type) AS (
         SELECT a.attnum, a.atttypid FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
          UNION ALL
         SELECT b.attnum, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
     SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), t.oid, t.typcategory::text,
            ARRAY(SELECT c.casttarget FROM pg_cast c WHERE c.castsource = t.oid AND c.oid < 16384::oid), a.attnotnull,
            EXISTS (SELECT FROM pg_collation l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic)
       FROM base b
       JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
       JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = b.attnum
      ORDER BY a.attnum",
    &[OIDOID],
);

static ZONE: Statement =
    Statement::deciding("SELECT timezone($1, TIMESTAMP '2000-01-01 00:00:00') IS NOT NULL", &[TEXTOID]);

/// Whether an index that knows an order begins with a column, where that serves, or with one of these expressions.
static IS_LED: Statement = Statement::deciding(
    "SELECT EXISTS (SELECT FROM pg_index i
                      JOIN pg_class x ON x.oid = i.indexrelid
                      JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
                      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = $2::name
                     WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL
                       AND (i.indkey[0] = a.attnum AND i.indcollation[0] = a.attcollation AND $3
                            OR i.indkey[0] = 0 AND translate(pg_get_indexdef(i.indexrelid, 1, true), '() ', '') = ANY ($4)))",
    &[OIDOID, TEXTOID, BOOLOID, TEXTARRAYOID],
);

static DEFINITION: Statement =
    Statement::deciding("SELECT pg_get_viewdef(to_regclass($1)::oid, true)", &[TEXTOID]);

/// Has runs read from the application's own table, by a view over it, or from ours again: the view's query.
#[pg_extern(volatile, parallel_unsafe, requires = ["run"])]
fn costsim_use_runs(
    source: Option<Regclass>,
    mapping: default!(Option<Jsonb>, "'{}'"),
) -> Answer<Option<String>> {
    db::require_writable(c"costsim_use_runs()");
    access::require_ownership("where runs are read")?;
    let mapping = required(mapping, "mapping")?.value("mapping")?;
    db::as_owner(be_the_only_one)?;
    // Whatever else has that name is not ours to drop.
    let has_view = source::is_the_applications()?;
    let Some(source) = source else {
        db::as_owner(|| drop_view(has_view))?;
        return Ok(None);
    };
    Ok(db::as_owner(|| make(source.oid(), &mapping, has_view).map(Some))?)
}

/// Waits for whoever makes or drops the view just now. Runs are written and read meanwhile.
fn be_the_only_one() -> Result<()> {
    static LOCK: Statement =
        Statement::deciding("LOCK TABLE @schema@.costsim_worker_runs IN SHARE UPDATE EXCLUSIVE MODE", &[]);
    LOCK.run(&[]).map(drop)
}

fn drop_view(is_there: bool) -> Result<()> {
    if is_there { run(&format!("DROP VIEW {}", view()?)) } else { Ok(()) }
}

#[cfg(feature = "pg14")]
fn make(_source: pg_sys::Oid, _mapping: &serde_json::Value, _has_view: bool) -> Result<String> {
    Err(Error::Unsupported {
        what: "a view that obeys the rights of whoever reads it needs PostgreSQL 15",
        hint: "Copy runs by costsim_record_run, or upgrade the server.",
    })
}

#[cfg(not(feature = "pg14"))]
fn make(source: pg_sys::Oid, mapping: &serde_json::Value, has_view: bool) -> Result<String> {
    hold(source)?;
    let view = view()?;
    let ours = db::relation(c"costsim_worker_runs")?;
    let described = TABLE.row(&[source.into(), ours.into(), view.as_str().into()], |row| {
        Ok((
            column::<String>(row, 1)?,
            column::<bool>(row, 2)?,
            column::<String>(row, 3)?,
            column::<bool>(row, 4)?,
        ))
    })?;
    let hint = "Pass a table, or a view over one, or NULL to read costsim_worker_runs again.";
    let table = match described {
        Some((kind, false, name, false)) if ["r", "p", "v", "m", "f"].contains(&kind.as_str()) => {
            (kind, name)
        }
        Some((.., true)) => {
            return Err(Error::invalid("source must not be what the extension itself reads", hint));
        }
        Some((_, true, ..)) => return Err(Error::invalid("source must not be temporary", hint)),
        _ => return Err(Error::invalid("source must be a table or a view", hint)),
    };
    let columns = COLUMNS.rows(&[source.into()], |row| {
        Ok(Column {
            name: column(row, 1)?,
            type_name: column(row, 2)?,
            base: column(row, 3)?,
            category: column(row, 4)?,
            casts: column(row, 5)?,
            is_never_null: column(row, 6)?,
            is_lenient: column(row, 7)?,
        })
    })?;
    let mapping = Mapping::read(mapping, &columns)?;
    if let Some(zone) = mapping.time_zone() {
        db::attempt(|| ZONE.row(&[zone.into()], |row| column::<bool>(row, 1)))?
            .map_err(|refusal| Error::invalid(refusal.message, "pg_timezone_names shows what there is."))?;
    }
    drop_view(has_view)?;
    run(&format!("CREATE VIEW {view} WITH (security_invoker = true) AS {}", mapping.query(&table.1)))?;
    // It shows nobody more than the table does.
    run(&format!("GRANT SELECT ON {view} TO PUBLIC"))?;
    run(&format!("COMMENT ON VIEW {view} IS {}", quote_literal(mapping.document().to_string())))?;
    if ["r", "p", "m"].contains(&table.0.as_str()) {
        tell_of_a_missing_index(source, &table.1, &mapping)?;
    }
    let definition = DEFINITION.row(&[view.as_str().into()], |row| column(row, 1))?;
    definition.ok_or_else(|| Error::Internal("the view is gone".into()))
}

/// What is looked at is what the view is then made over, by name: its owner may give the name to something else, or a column another type.
#[cfg(not(feature = "pg14"))]
fn hold(source: pg_sys::Oid) -> Result<()> {
    static SCHEMA: Statement =
        Statement::deciding("SELECT relnamespace FROM pg_class WHERE oid = $1", &[OIDOID]);
    db::hold_relation(source);
    if let Some(schema) = SCHEMA.row(&[source.into()], |row| column(row, 1))? {
        db::hold_schema(schema);
    }
    Ok(())
}

/// Every look at runs is at one tenant's, or at those of a window of time.
fn tell_of_a_missing_index(source: pg_sys::Oid, name: &str, mapping: &Mapping<'_>) -> Result<()> {
    for ours in ["tenant_id", "created_at"] {
        let Some((theirs, serves, expressions)) = mapping.index(ours) else { continue };
        let arguments = [source.into(), theirs.name.as_str().into(), serves.into(), expressions.into()];
        let is_led = IS_LED.row(&arguments, |row| column(row, 1))?;
        if is_led == Some(true) {
            return Ok(());
        }
    }
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!(
            "{name} has no index (btree) that begins with the tenant or the time as the view reads them: each look at runs reads all of it"
        ),
        "costsim_pg",
    )
    .set_hint("Make one on (tenant, time), by the names they have there, or the expressions in the view.")
    .report(PgLogLevel::NOTICE);
    Ok(())
}

/// The view's name, ready to stand in a statement.
fn view() -> Result<String> {
    static NAME: Statement = Statement::deciding(
        "SELECT quote_ident(n.nspname) || '.' || $1
           FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'costsim_pg'::name",
        &[TEXTOID],
    );
    let name = NAME.row(&[VIEW.into()], |row| column(row, 1))?;
    name.ok_or_else(|| Error::Internal("the extension has no schema".into()))
}

fn run(command: &str) -> Result<()> {
    db::run_once(command, &[], |_| Ok(())).map(drop)
}
