//! What a schema has by the names of the five tables.

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{OIDOID, TEXTOID};

use super::table::TABLES;
use crate::db::{Statement, column, nullable};
use crate::error::Result;

/// Behind the name of an old table, and of its sequence, while a view stands in its place.
pub const SUFFIX: &str = "_before_costsim";

/// What has the name of one of the tables.
pub struct Source {
    /// Its name with that of its schema, quoted.
    pub name: String,
    pub found: Found,
    pub oid: pg_sys::Oid,
    /// The same, and what inherits from it.
    pub tree: Vec<pg_sys::Oid>,
    /// Whether the caller may act as its owner, where there is something.
    pub is_owned: bool,
    /// The sequence of its ids, quoted with its schema.
    pub sequence: Option<String>,
    /// The same by what stays when names change hands.
    pub sequence_oid: Option<pg_sys::Oid>,
}

pub enum Found {
    Nothing,
    Table(Vec<Column>),
    /// A view of ours, over the columns of the table that it stands for.
    Attached(Old),
    /// Something that is not read, and why.
    Other(String),
}

/// The table behind a view of ours.
pub struct Old {
    pub name: String,
    pub oid: pg_sys::Oid,
    pub columns: Vec<Column>,
    pub sequence: Option<String>,
}

/// A column of theirs.
pub struct Column {
    pub name: String,
    /// What its domain is over, if it has one.
    pub base: pg_sys::Oid,
    pub type_name: String,
    pub is_enum: bool,
    /// Whether no two rows have the same value, by an index of this column alone; an index of a parent has nothing of its children.
    pub is_unique: bool,
}

static RELATION: Statement = Statement::deciding(
    "SELECT c.oid, c.relkind::text, c.relpersistence = 't', pg_has_role(c.relowner, 'USAGE'),
            quote_ident(n.nspname) || '.' || quote_ident(c.relname),
            s.name, s.oid
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN LATERAL (
            SELECT s.oid, quote_ident(m.nspname) || '.' || quote_ident(s.relname) AS name
              FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace m ON m.oid = s.relnamespace
              JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid AND a.attname = 'id'
             WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')
             ORDER BY s.oid LIMIT 1) s ON true
      WHERE n.nspname = $1 AND c.relname = $2",
    &[TEXTOID, TEXTOID],
);

static COLUMNS: Statement = Statement::deciding(
    "WITH RECURSIVE base (attnum, type) AS (
         SELECT a.attnum, a.atttypid FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
          UNION ALL
         SELECT b.attnum, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
     SELECT a.attname::text, t.oid, format_type(a.atttypid, a.atttypmod), t.typtype = 'e',
            EXISTS (SELECT FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                                             AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
            AND NOT EXISTS (SELECT FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhparent AND c.relkind = 'r' WHERE h.inhparent = $1)
       FROM base b
       JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
       JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = b.attnum
      ORDER BY a.attnum",
    &[OIDOID],
);

static TREE: Statement = Statement::deciding(
    "WITH RECURSIVE tree (oid) AS (
         SELECT $1
          UNION
         SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid)
     SELECT t.oid FROM tree t ORDER BY t.oid",
    &[OIDOID],
);

static SEQUENCES: Statement = Statement::deciding(
    "SELECT s.oid FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
      WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.deptype IN ('a', 'i')
      ORDER BY s.oid",
    &[OIDOID],
);

/// Whether a view shows our table, and is of the owner of the extension: nobody else can have made it.
static IS_OURS: Statement = Statement::deciding(
    "SELECT EXISTS (SELECT FROM pg_class v
                      JOIN pg_extension e ON e.extname = 'costsim_pg' AND e.extowner = v.relowner
                      JOIN pg_class t ON t.relnamespace = e.extnamespace AND t.relname = $2 AND t.relkind IN ('r', 'p')
                      JOIN pg_rewrite r ON r.ev_class = v.oid
                      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
                                      AND d.refobjid = t.oid
                     WHERE v.oid = $1)",
    &[OIDOID, TEXTOID],
);

/// What runs functions of somebody else when a table is read: even to plan a query the server computes what it can of indexes, constraints, statistics and
/// partition keys, with the rights of whoever reads. Superusers are trusted, and the caller is.
static FOREIGN_CODE: Statement = Statement::deciding(
    "WITH RECURSIVE tree (oid) AS (
         SELECT $1
          UNION
         SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid),
     part (class, oid) AS (
         SELECT 'pg_class'::regclass, t.oid FROM tree t
          UNION ALL
         SELECT 'pg_class'::regclass, i.indexrelid FROM tree t JOIN pg_index i ON i.indrelid = t.oid
          UNION ALL
         SELECT 'pg_constraint'::regclass, k.oid FROM tree t JOIN pg_constraint k ON k.conrelid = t.oid
          UNION ALL
         SELECT 'pg_statistic_ext'::regclass, s.oid FROM tree t JOIN pg_statistic_ext s ON s.stxrelid = t.oid),
     code (class, oid, function) AS (
         SELECT p.class, p.oid, d.refobjid FROM part p
           JOIN pg_depend d ON d.classid = p.class AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
          UNION ALL
         SELECT p.class, p.oid, o.oprcode FROM part p
           JOIN pg_depend d ON d.classid = p.class AND d.objid = p.oid AND d.refclassid = 'pg_operator'::regclass
           JOIN pg_operator o ON o.oid = d.refobjid)
     SELECT string_agg(u.what, ', ' ORDER BY u.what COLLATE \"C\")
       FROM (SELECT pg_describe_object(c.class, c.oid, 0) || ' calls ' || f.oid::regprocedure AS what
               FROM code c JOIN pg_proc f ON f.oid = c.function JOIN pg_roles r ON r.oid = f.proowner
              WHERE NOT r.rolsuper AND r.rolname <> current_user
              UNION
             SELECT pg_describe_object('pg_class'::regclass, t.oid, 0) || ' is part of it' FROM tree t JOIN pg_class c ON c.oid = t.oid
              WHERE c.relkind NOT IN ('r', 'p')) u",
    &[OIDOID],
);

struct Relation {
    oid: pg_sys::Oid,
    kind: String,
    is_temporary: bool,
    is_owned: bool,
    name: String,
    sequence: Option<String>,
    sequence_oid: Option<pg_sys::Oid>,
}

fn relation(schema: &str, name: &str) -> Result<Option<Relation>> {
    RELATION.row(&[schema.into(), name.into()], |row| {
        Ok(Relation {
            oid: column(row, 1)?,
            kind: column(row, 2)?,
            is_temporary: column(row, 3)?,
            is_owned: column(row, 4)?,
            name: column(row, 5)?,
            sequence: nullable(row, 6)?,
            sequence_oid: nullable(row, 7)?,
        })
    })
}

fn columns(table: pg_sys::Oid) -> Result<Vec<Column>> {
    COLUMNS.rows(&[table.into()], |row| {
        Ok(Column {
            name: column(row, 1)?,
            base: column(row, 2)?,
            type_name: column(row, 3)?,
            is_enum: column(row, 4)?,
            is_unique: column(row, 5)?,
        })
    })
}

/// The sequences of a table's columns. Renaming one takes a lock that every transaction which has drawn from it is in the way of.
pub fn sequences(table: pg_sys::Oid) -> Result<Vec<pg_sys::Oid>> {
    SEQUENCES.rows(&[table.into()], |row| column(row, 1))
}

fn is_ours(view: pg_sys::Oid, table: &str) -> Result<bool> {
    Ok(IS_OURS.row(&[view.into(), table.into()], |row| column(row, 1))?.unwrap_or(false))
}

fn foreign_code(table: pg_sys::Oid) -> Result<Option<String>> {
    Ok(FOREIGN_CODE.row(&[table.into()], |row| nullable(row, 1))?.flatten())
}

fn not_a_table(what: &str) -> Found {
    Found::Other(format!("is {what}, not a table"))
}

/// What there is, one for each of the five in their order.
pub fn find(schema: &str) -> Result<Vec<Source>> {
    let quoted = pgrx::spi::quote_identifier(schema);
    TABLES
        .iter()
        .map(|table| {
            let nothing = Source {
                name: format!("{quoted}.{}", table.name),
                found: Found::Nothing,
                oid: pg_sys::InvalidOid,
                tree: Vec::new(),
                is_owned: true,
                sequence: None,
                sequence_oid: None,
            };
            let Some(it) = relation(schema, table.name)? else { return Ok(nothing) };
            let old =
                if it.kind == "v" { relation(schema, &format!("{}{SUFFIX}", table.name))? } else { None };
            let mut is_owned = it.is_owned;
            let found = match (it.kind.as_str(), old) {
                _ if it.is_temporary => not_a_table("a temporary table"),
                ("r" | "p", _) => match foreign_code(it.oid)? {
                    None => Found::Table(columns(it.oid)?),
                    Some(what) => Found::Other(format!("would run what is not yours: {what}")),
                },
                ("v", Some(old))
                    if ["r", "p"].contains(&old.kind.as_str()) && is_ours(it.oid, table.name)? =>
                {
                    is_owned &= old.is_owned;
                    Found::Attached(Old {
                        name: old.name,
                        oid: old.oid,
                        columns: columns(old.oid)?,
                        sequence: old.sequence,
                    })
                }
                // Reading one would run what somebody else has written, with the rights of whoever adopts.
                ("v", _) => not_a_table("a view"),
                ("m", _) => not_a_table("a materialized view"),
                ("f", _) => not_a_table("a foreign table"),
                _ => not_a_table("something else"),
            };
            let tree = TREE.rows(&[it.oid.into()], |row| column(row, 1))?;
            let (sequence, sequence_oid) = (it.sequence, it.sequence_oid);
            Ok(Source { name: it.name, found, oid: it.oid, tree, is_owned, sequence, sequence_oid })
        })
        .collect()
}
