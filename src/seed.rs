//! Rows that came with the extension, among rows of the user's own.
//!
//! A table with seeds has a column `origin`: `seed` for a row that the install script has written, `edited` for such a row once somebody has
//! changed it, `user` for any other. Seeds are not dumped, for the extension brings them along. A dump holds the edited ones; where
//! it is restored, each takes the place of the seed with its key, in place, so that the rows which refer to it stay.
//!
//! One trigger keeps that so, before a row comes or changes. Where the table has a flag of which at most one row of a group may have it
//! (the active version of a model), the trigger is given the names of both columns, and the row that gets the flag takes it from
//! whichever has it: a restored row cannot know whether a seed has it.
//!
//! Does not: remember that a seed was deleted, or that it was called something else. It is there again after a restore. And a data-only restore
//! with `--disable-triggers` is one without this: an edited row then meets the seed.

use std::cell::Cell;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::OIDOID;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::db::{self, Statement, column, nullable};
use crate::error::{Error, Result};

const COLUMN: &str = "origin";
const SEED: &str = "seed";
const EDITED: &str = "edited";

type Row<'a> = PgHeapTuple<'a, AllocatedByPostgres>;
type Written<'a> = PgHeapTuple<'a, AllocatedByRust>;

thread_local! {
    /// Whether the row that changes does so because of another one, which says what becomes of its origin.
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
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
    let new = trigger.new().ok_or_else(|| {
        Error::invalid(
            "_costsim_seed_row() is for inserts and updates of rows",
            "Leave the extension's trigger functions to its own tables.",
        )
    })?;
    let new = new.into_owned();
    let flag = flag(trigger)?;
    let has_flag = flag.as_ref().map_or(Ok(false), |flag| is_set(&new, &flag.column))?;
    match trigger.old() {
        Some(old) => changed(trigger, &old, new, flag.filter(|_| has_flag)),
        None => come(trigger, new, flag.filter(|_| has_flag)),
    }
}

/// A row is about to change; its flag, if it is to have it.
fn changed<'a>(
    trigger: &PgTrigger<'_>,
    old: &Row<'_>,
    mut new: Written<'a>,
    flag: Option<Flag>,
) -> Result<Option<Written<'a>>> {
    if let Some(flag) = flag
        && !is_set(old, &flag.column)?
    {
        Table::of(trigger)?.take_flag(&flag)?;
    }
    let is_seed = origin(old)?.as_deref() == Some(SEED) && origin(&new)?.as_deref() == Some(SEED);
    if is_seed && !IS_OURS.get() && !db::is_replicating() {
        new.set_by_name(COLUMN, EDITED).map_err(|error| internal(&error))?;
    }
    Ok(Some(new))
}

/// A row is about to come.
fn come<'a>(trigger: &PgTrigger<'_>, new: Written<'a>, flag: Option<Flag>) -> Result<Option<Written<'a>>> {
    let takes_place = matches!(origin(&new)?.as_deref(), Some(SEED | EDITED));
    if !takes_place && flag.is_none() {
        return Ok(Some(new));
    }
    let table = Table::of(trigger)?;
    let known = table.origin_of()?;
    match (known.as_deref(), flag) {
        (Some(SEED), _) if takes_place => {
            ours(|| table.replace())?;
            return Ok(None);
        }
        // What is there already will be refused, or dealt with by ON CONFLICT.
        (Some(_), _) | (None, None) => {}
        // A seed that gives way to a new row does so wherever that is restored, and need not be dumped.
        (None, Some(flag)) => ours(|| table.take_flag(&flag))?,
    }
    Ok(Some(new))
}

/// Runs a statement that leaves origins alone.
fn ours<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    /// Ends it when an error unwinds, too.
    struct Ours(bool);
    impl Drop for Ours {
        fn drop(&mut self) {
            IS_OURS.set(self.0);
        }
    }
    let _ours = Ours(IS_OURS.replace(true));
    body()
}

/// Of which at most one row of a group may have it: its column, and those that make the group.
struct Flag {
    column: String,
    group: String,
}

fn flag(trigger: &PgTrigger<'_>) -> Result<Option<Flag>> {
    let mut names = trigger.extra_args().map_err(|error| internal(&error))?.into_iter();
    Ok(names.next().zip(names.next()).map(|(column, group)| Flag { column, group }))
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
        db::run_once(&text, &[self.argument()], |_| Ok(())).map(drop)
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

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}
