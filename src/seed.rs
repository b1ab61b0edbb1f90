//! Rows that came with the extension, among rows of the user's own.
//!
//! A table with seeds has a column `origin`: `seed` for a row that the install script has written and that is still as it came, `edited` for any
//! other row with the key of a seed, `user` for all the rest. A seed whose flag (below) another row has taken, and that is as it came
//! otherwise, is `superseded`. Seeds are not dumped, for the extension brings them along. A dump holds what has the key of one and is none;
//! where it is restored, each takes the place of the seed with its key, in place, so that the rows which refer to it stay.
//!
//! One trigger keeps that so, before a row comes or changes. The column is its alone: which keys are seeds' is written down here, and what a
//! statement says of the origin counts for one thing, that a row takes a place. Where the table has a flag of which at most one row of a group
//! may have it (the active version of a model), the row that gets the flag takes it from whichever has it: a restored row cannot know whether a
//! seed has it. The trigger is given the flag's column, or '', and the columns of the key; the first of these makes the group.
//!
//! Does not: remember that a seed was deleted, or that it was called something else. It is there again after a restore. And a data-only restore
//! with `--disable-triggers` is one without this: an edited row then meets the seed. And a statement that gives the flag to one row and writes
//! to the row that has it fails if it comes to that one last: the server lets no row be written twice by one statement.

use std::cell::Cell;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{OIDOID, RECORDOID};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::db::{self, Statement, column, nullable};
use crate::error::{Error, Result};

const COLUMN: &str = "origin";
const SEED: &str = "seed";
const SUPERSEDED: &str = "superseded";
const EDITED: &str = "edited";
const USER: &str = "user";

/// The versions of cost models that the install script writes, and the skills of each.
const MODELS: [[&str; 2]; 2] = [["v1", "1.0.0"], ["v2", "2.0.0"]];
const SKILLS: [&str; 11] = [
    "http_call",
    "llm_invoke",
    "json_transform",
    "fs_read",
    "fs_write",
    "shell_lite",
    "kv_get",
    "kv_set",
    "webhook_send",
    "email_send",
    "unknown",
];

/// The golden sets that it writes, and how many samples each has.
const GOLDEN_SETS: [(&str, i32); 5] = [
    ("low_variance", 30),
    ("high_variance", 16),
    ("mixed_city", 25),
    ("noise_injected", 8),
    ("historical", 5),
];
const GOLDEN_VERSION: i32 = 1;

type Row<'a> = PgHeapTuple<'a, AllocatedByPostgres>;
type Written<'a> = PgHeapTuple<'a, AllocatedByRust>;

/// Why a row changes.
#[derive(Clone, Copy, PartialEq)]
enum Cause {
    /// Somebody's statement.
    Statement,
    /// A row has come that takes its place.
    Replaced,
    /// Another row takes its flag.
    Superseded,
}

thread_local! {
    static CAUSE: Cell<Cause> = const { Cell::new(Cause::Statement) };
}

/// The last version of a golden set that came with the extension; 0 for a name of the user's own. It comes again with a restore, so
/// nothing else should be called that.
pub fn golden_version(name: &str) -> i32 {
    if GOLDEN_SETS.iter().any(|(known, _)| *known == name) { GOLDEN_VERSION } else { 0 }
}

/// Whether the install script writes a row with this key.
fn is_seeds(table: &str, key: &[String]) -> bool {
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    match (table, key.as_slice()) {
        ("costsim_cost_models", [model, version]) => MODELS.contains(&[*model, *version]),
        ("costsim_skill_costs", [model, version, skill]) => {
            MODELS.contains(&[*model, *version]) && SKILLS.contains(skill)
        }
        ("costsim_golden_sets", [name, version]) => is_golden(name, version).is_some(),
        ("costsim_golden_samples", [name, version, position]) => is_golden(name, version)
            .zip(position.parse().ok())
            .is_some_and(|(count, position): (i32, i32)| (0..count).contains(&position)),
        _ => false,
    }
}

/// How many samples a golden set has, if it is a seed.
fn is_golden(name: &str, version: &str) -> Option<i32> {
    let known = GOLDEN_SETS.iter().find(|(known, _)| *known == name && version == GOLDEN_VERSION.to_string());
    known.map(|(_, count)| *count)
}

/// Before a row comes or changes.
#[pg_trigger]
fn _costsim_seed_row<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<Written<'a>>, PgTriggerError> {
    match before_row(trigger) {
        Ok(row) => Ok(row),
        Err(error) => {
            ErrorReport::from(error).report(PgLogLevel::ERROR);
            Ok(None)
        }
    }
}

fn before_row<'a>(trigger: &'a PgTrigger<'a>) -> Result<Option<Written<'a>>> {
    let new = new_row(trigger)?;
    let mut arguments = trigger.extra_args().map_err(|error| internal(&error))?.into_iter();
    let flag = arguments.next().filter(|name| !name.is_empty());
    let key: Vec<String> = arguments.collect();
    let name = trigger.table_name().map_err(|error| internal(&error))?;
    let is_seeds = values(&new, &key)?.is_some_and(|key| is_seeds(&name, &key));
    let flag = flag.zip(key.into_iter().next()).map(|(column, group)| Flag { column, group });
    let has_flag = flag.as_ref().map_or(Ok(false), |flag| is_set(&new, &flag.column))?;
    let flag = flag.filter(|_| has_flag);
    match trigger.old() {
        Some(old) => changed(trigger, &old, new, is_seeds, flag).map(Some),
        None => come(trigger, new, is_seeds, flag),
    }
}

fn new_row<'a>(trigger: &'a PgTrigger<'a>) -> Result<Written<'a>> {
    let new = trigger.new().ok_or_else(|| {
        Error::invalid(
            "_costsim_seed_row() is for inserts and updates of rows",
            "Leave the extension's trigger functions to its own tables.",
        )
    })?;
    Ok(new.into_owned())
}

/// A row is about to change; its flag, if it is to have it.
fn changed<'a>(
    trigger: &'a PgTrigger<'a>,
    old: &Row<'_>,
    mut new: Written<'a>,
    is_seeds: bool,
    flag: Option<Flag>,
) -> Result<Written<'a>> {
    // What comes out of a dump, or from a server that has decided already, is as it was there.
    let is_copied = CAUSE.get() == Cause::Replaced || db::is_replicating();
    let (before, said) = (origin(old)?, origin(&new)?);
    let after = match (before.as_deref(), said.as_deref()) {
        _ if !is_seeds => USER,
        (_, Some(said @ (EDITED | SUPERSEDED))) if is_copied => {
            if said == EDITED {
                EDITED
            } else {
                SUPERSEDED
            }
        }
        (Some(SEED | SUPERSEDED), _) if CAUSE.get() == Cause::Superseded => SUPERSEDED,
        (Some(SEED), _) if is_same(trigger, SEED)? => SEED,
        (Some(SUPERSEDED), _) if is_same(trigger, SUPERSEDED)? => SUPERSEDED,
        _ => EDITED,
    };
    set_origin(&mut new, after)?;
    if let Some(flag) = flag
        && !is_set(old, &flag.column)?
    {
        Table::of(trigger)?.take_flag(&flag)?;
    }
    Ok(new)
}

/// Whether a row that changes stays as it is, but for what is said of its origin.
fn is_same<'a>(trigger: &'a PgTrigger<'a>, origin: &'static str) -> Result<bool> {
    // Byte by byte: so equal numbers that print otherwise are not the same.
    static SAME: Statement =
        Statement::reading("SELECT $1 OPERATOR(pg_catalog.*=) $2", &[RECORDOID, RECORDOID]);
    let mut new = new_row(trigger)?;
    set_origin(&mut new, origin)?;
    let rows = trigger.old().and_then(PgHeapTuple::into_composite_datum).zip(new.into_composite_datum());
    let (old, new) = rows.ok_or_else(|| Error::Internal("the trigger has no rows".into()))?;
    // SAFETY: both are rows, in the memory of the trigger's call.
    let rows = [old, new].map(|row| unsafe { DatumWithOid::new(row, RECORDOID.value()) });
    Ok(SAME.row(&rows, |row| column(row, 1))?.unwrap_or(false))
}

/// A row is about to come.
fn come<'a>(
    trigger: &'a PgTrigger<'a>,
    mut new: Written<'a>,
    is_seeds: bool,
    flag: Option<Flag>,
) -> Result<Option<Written<'a>>> {
    let takes_place = is_seeds
        && match origin(&new)?.as_deref() {
            Some(EDITED | SUPERSEDED) => true,
            // The first copy of a table that a subscriber has with seeds of its own.
            Some(SEED) => db::is_replicating(),
            _ => false,
        };
    if takes_place || flag.is_some() {
        let table = Table::of(trigger)?;
        match (table.origin_of()?.as_deref(), flag) {
            (Some(SEED | SUPERSEDED), _) if takes_place => {
                because(Cause::Replaced, || table.replace())?;
                return Ok(None);
            }
            // What is there already will be refused, or dealt with by ON CONFLICT.
            (Some(_), _) | (None, None) => {}
            (None, Some(flag)) => table.take_flag(&flag)?,
        }
    }
    set_origin(&mut new, if is_seeds { EDITED } else { USER })?;
    Ok(Some(new))
}

/// Runs a statement that changes rows for a cause of ours.
fn because<T>(cause: Cause, body: impl FnOnce() -> Result<T>) -> Result<T> {
    /// Ends it when an error unwinds, too.
    struct Before(Cause);
    impl Drop for Before {
        fn drop(&mut self) {
            CAUSE.set(self.0);
        }
    }
    let _before = Before(CAUSE.replace(cause));
    body()
}

/// Of which at most one row of a group may have it: its column, and those that make the group.
struct Flag {
    column: String,
    group: String,
}

/// A table with seeds, as its statements name it, and the row that comes.
struct Table {
    row: pg_sys::Datum,
    name: String,
    row_type: pg_sys::Oid,
    columns: String,
    values: String,
    is_key: String,
}

impl Table {
    /// The names in it come out of the catalog and are quoted there. $1 is the new row.
    fn of(trigger: &PgTrigger<'_>) -> Result<Self> {
        static TABLE: Statement = Statement::deciding(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.reltype,
                    pg_catalog.string_agg(pg_catalog.quote_ident(a.attname::pg_catalog.text), ', ' ORDER BY a.attnum),
                    pg_catalog.string_agg(pg_catalog.format('($1).%I', a.attname), ', ' ORDER BY a.attnum),
                    pg_catalog.string_agg(pg_catalog.format('t.%1$I OPERATOR(pg_catalog.=) ($1).%1$I', a.attname), ' AND ')
                        FILTER (WHERE a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey))
               FROM pg_catalog.pg_class AS c
               JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
               JOIN pg_catalog.pg_index AS i ON i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisprimary
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
                AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped
                AND a.attgenerated OPERATOR(pg_catalog.=) ''::pg_catalog.\"char\"
              WHERE c.oid OPERATOR(pg_catalog.=) $1
              GROUP BY n.nspname, c.relname, c.reltype",
            &[OIDOID],
        );
        let value = trigger.new().and_then(PgHeapTuple::into_composite_datum);
        let value = value.ok_or_else(|| Error::Internal("the trigger has no new row".into()))?;
        let relation = trigger.relid().map_err(|error| internal(&error))?;
        let found = TABLE.row(&[relation.into()], |row| {
            Ok(Self {
                row: value,
                name: column(row, 1)?,
                row_type: column(row, 2)?,
                columns: column(row, 3)?,
                values: column(row, 4)?,
                is_key: column(row, 5)?,
            })
        })?;
        found.ok_or_else(|| {
            Error::invalid(
                "_costsim_seed_row() is for tables with a primary key",
                "Leave the extension's trigger functions to its own tables.",
            )
        })
    }

    /// The origin of the row with the key of this one.
    fn origin_of(&self) -> Result<Option<String>> {
        let text = format!("SELECT t.{COLUMN} FROM {} AS t WHERE {}", self.name, self.is_key);
        Ok(db::run_once(&text, &[self.argument()], |row| nullable(row, 1))?.flatten())
    }

    /// Puts a row in the place of the one with its key.
    fn replace(&self) -> Result<()> {
        let Self { name, columns, values, is_key, .. } = self;
        let text = format!("UPDATE {name} AS t SET ({columns}) = ROW({values}) WHERE {is_key}");
        db::run_once(&text, &[self.argument()], |_| Ok(())).map(drop)
    }

    /// Takes the flag from all others of the row's group.
    fn take_flag(&self, flag: &Flag) -> Result<()> {
        let quoted = |name: &str| pgrx::spi::quote_identifier(name);
        let (flag, group) = (quoted(&flag.column), quoted(&flag.group));
        let text = format!(
            "UPDATE {} AS t SET {flag} = false WHERE t.{group} OPERATOR(pg_catalog.=) ($1).{group} AND t.{flag} AND NOT ({})",
            self.name, self.is_key
        );
        because(Cause::Superseded, || db::run_once(&text, &[self.argument()], |_| Ok(()))).map(drop)
    }

    fn argument<'a>(&self) -> DatumWithOid<'a> {
        // SAFETY: a row of the table is of its row type; it lies in the memory of the trigger's call.
        unsafe { DatumWithOid::new(self.row, self.row_type) }
    }
}

fn is_set<A: pgrx::WhoAllocated>(row: &PgHeapTuple<'_, A>, column: &str) -> Result<bool> {
    Ok(row.get_by_name(column).map_err(|error| internal(&error))?.unwrap_or(false))
}

fn origin<A: pgrx::WhoAllocated>(row: &PgHeapTuple<'_, A>) -> Result<Option<String>> {
    row.get_by_name(COLUMN).map_err(|error| internal(&error))
}

fn set_origin(row: &mut Written<'_>, origin: &'static str) -> Result<()> {
    row.set_by_name(COLUMN, origin).map_err(|error| internal(&error))
}

/// The values of a row's key, as text; none if one is missing.
fn values(row: &Written<'_>, key: &[String]) -> Result<Option<Vec<String>>> {
    let value = |name: &String| match row.get_by_name::<String>(name) {
        Ok(text) => Ok(text),
        Err(_) => row
            .get_by_name::<i32>(name)
            .map(|number| number.map(|number| number.to_string()))
            .map_err(|error| internal(&error)),
    };
    key.iter().map(value).collect()
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}
