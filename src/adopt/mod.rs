//! Takes over the rows of a database that the reference's ORM made: five tables, in another schema than the extension's.
//!
//! It promises: a dry run answers the same table as the run; the run is one transaction, which leaves everything or nothing; ids stay; a second run
//! takes what came since; a row that our tables would not take, or would take for another one, is left where it is, counted and named. `copy`
//! leaves the old tables as they are, for an application that goes on with them. `attach` puts views over our tables in their place, so that old
//! statements go on, and is taken back by costsim_unadopt, which carries back what was written meanwhile.
//!
//! What it does not do: keep two sets of tables alike. After a copy each side goes its own way.
//!
//! `table` the five, `judge` their rows, `source` what is there, `attach` the views

mod attach;
mod judge;
mod source;
mod table;

use std::ffi::CString;

use chrono::TimeDelta;
use pgrx::iter::TableIterator;
use pgrx::pg_sys::{self, BuiltinOid, panic::ErrorReport};
use pgrx::prelude::*;

use crate::convert::{self, Jsonb};
use crate::db::{self, Lock, Statement, column, nullable};
use crate::error::{Answer, Error, Result, required};
use judge::GREATEST_ID;
use source::{Found, Source};
use table::{TABLES, Table};

/// Ids that stay free behind those that were copied, for the rows that the former system goes on writing: so the two do not draw the same ones.
const ROOM: i64 = 1_000_000;

/// Of a value in the sample no more is shown, in characters.
const LONGEST_SHOWN: usize = 100;

/// What happens to the old tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Copy,
    Attach,
}

/// What is to be done, and how.
struct Plan<'a> {
    mode: Mode,
    is_dry: bool,
    /// Pending alerts that are older are not delivered any more.
    deliver_within: TimeDelta,
    /// The extension's schema, quoted.
    home: &'a str,
    sources: &'a [Source],
}

/// What is said of one table.
#[derive(Default)]
struct Verdict {
    source_rows: i64,
    to_copy: i64,
    copied: i64,
    already: i64,
    refused: i64,
    problems: Vec<String>,
    sample: Option<Jsonb>,
}

static SCHEMA: Statement =
    Statement::deciding("SELECT oid FROM pg_namespace WHERE nspname = $1", &[BuiltinOid::TEXTOID]);

static HOME: Statement = Statement::deciding(
    "SELECT n.nspname::pg_catalog.text, pg_catalog.quote_ident(n.nspname::pg_catalog.text), pg_catalog.pg_has_role(e.extowner, 'USAGE'), n.oid
       FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
      WHERE e.extname OPERATOR(pg_catalog.=) 'costsim_pg'::pg_catalog.name",
    &[],
);

/// Takes over the rows of the five tables in a schema, or says what would become of them.
#[pg_extern(volatile, parallel_unsafe, requires = ["adopt"])]
#[search_path(pg_catalog, pg_temp)]
#[expect(clippy::type_complexity, reason = "pgrx reads the type")]
fn costsim_adopt(
    source_schema: Option<&str>,
    dry_run: default!(Option<bool>, "true"),
    mode: default!(Option<&str>, "'copy'"),
    deliver_within: default!(Option<Interval>, "'1 hour'"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(table_name, String),
            name!(source_rows, i64),
            name!(to_copy, i64),
            name!(copied, i64),
            name!(already, i64),
            name!(refused, i64),
            name!(problem, Option<String>),
            name!(sample, Option<Jsonb>),
        ),
    >,
    ErrorReport,
> {
    let schema = required(source_schema, "source_schema")?;
    let is_dry = required(dry_run, "dry_run")?;
    let mode = match required(mode, "mode")? {
        "copy" => Mode::Copy,
        "attach" => Mode::Attach,
        _ => {
            return Err(Error::invalid(
                "mode must be copy or attach",
                "copy leaves the old tables as they are; attach puts views in their place.",
            )
            .into());
        }
    };
    let deliver_within = convert::span(required(deliver_within, "deliver_within")?);
    if deliver_within < TimeDelta::zero() {
        return Err(Error::invalid("deliver_within must not be negative", "Leave it out for an hour.").into());
    }
    if is_dry {
        db::require_primary(c"costsim_adopt()");
    } else {
        require_run(c"costsim_adopt()")?;
    }
    let home = require_home(schema)?;
    let mut sources = source::find(schema)?;
    if sources.iter().all(|source| matches!(source.found, Found::Nothing)) {
        return Err(Error::NothingToAdopt { schema: schema.to_owned() }.into());
    }
    require_owned(&sources)?;
    if is_dry {
        keep_as_they_are(&sources)?;
    } else {
        lock(&sources, mode)?;
    }
    // What was waited for may have changed them.
    let locked = std::mem::replace(&mut sources, source::find(schema)?);
    require_same(&locked, &sources)?;
    require_owned(&sources)?;
    let plan = Plan { mode, is_dry, deliver_within, home: &home, sources: &sources };
    let verdicts = adopt(&plan)?;
    let rows: Vec<_> = TABLES
        .iter()
        .zip(verdicts)
        .map(|(table, it)| {
            let problem = (!it.problems.is_empty()).then(|| it.problems.join("; "));
            let name = table.name.to_owned();
            (name, it.source_rows, it.to_copy, it.copied, it.already, it.refused, problem, it.sample)
        })
        .collect();
    Ok(TableIterator::new(rows))
}

/// Puts the old tables back in the place of the views, with what was written meanwhile.
#[pg_extern(volatile, parallel_unsafe, requires = ["adopt"])]
#[search_path(pg_catalog, pg_temp)]
fn costsim_unadopt(
    source_schema: Option<&str>,
) -> Result<
    TableIterator<'static, (name!(table_name, String), name!(written, i64), name!(removed, i64))>,
    ErrorReport,
> {
    let schema = required(source_schema, "source_schema")?;
    require_run(c"costsim_unadopt()")?;
    require_home(schema)?;
    let mut sources = source::find(schema)?;
    require_owned(&sources)?;
    attach::lock(&sources)?;
    let locked = std::mem::replace(&mut sources, source::find(schema)?);
    attach::require_same(&locked, &sources)?;
    require_owned(&sources)?;
    // What waits for the commit is checked as whoever has put it off, and not as the owner of an old table.
    db::check_deferred_constraints()?;
    let mut rows = Vec::new();
    for (table, source) in TABLES.iter().zip(&sources) {
        if let Found::Attached(old) = &source.found {
            let (written, removed) = attach::undo(table, source, old)?;
            rows.push((table.name.to_owned(), written, removed));
        }
    }
    if rows.is_empty() {
        return Err(Error::invalid(
            "no table of source_schema is attached",
            "There is something to take back only after costsim_adopt(..., mode => 'attach').",
        )
        .into());
    }
    Ok(TableIterator::new(rows))
}

/// Whether a JSON text, of whatever make, has a jsonb.
#[pg_extern(stable, strict, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn _costsim_is_jsonb(document: &str) -> Answer<bool> {
    Ok(db::attempt(|| Jsonb::read(document))?.is_ok())
}

/// Refuses what cannot be done here and now.
fn require_run(function: &'static std::ffi::CStr) -> Result<()> {
    db::require_writable(function);
    if db::has_lasting_snapshot() {
        // It would not see what was committed while it waited for its locks.
        return Err(Error::LastingSnapshot { what: "taking over tables" });
    }
    db::make_commit_durable();
    Ok(())
}

/// The extension's schema, quoted, for whoever may act as its owner. It keeps its name, and so does the application's.
fn require_home(schema: &str) -> Result<String> {
    let home = HOME.row(&[], |row| {
        Ok((column::<String>(row, 1)?, column::<String>(row, 2)?, column::<bool>(row, 3)?, column(row, 4)?))
    })?;
    let (name, quoted, may_act, oid) = home.ok_or(Error::NotInstalled)?;
    if !may_act {
        return Err(Error::NotAllowed {
            what: "taking over tables is for the owner of the extension".into(),
            hint: "Ask a role that may act as the owner of costsim_pg.".into(),
        });
    }
    if name == schema {
        return Err(Error::invalid(
            "source_schema must not be the extension's own schema",
            "Pass the schema of the application's tables.",
        ));
    }
    hold(&name, oid)?;
    if let Some(theirs) = schema_oid(schema)? {
        hold(schema, theirs)?;
    }
    Ok(quoted)
}

fn schema_oid(name: &str) -> Result<Option<pg_sys::Oid>> {
    SCHEMA.row(&[name.into()], |row| column(row, 1))
}

/// From here on the name of this schema is its own: what has been looked at and is locked is what a name finds.
fn hold(name: &str, schema: pg_sys::Oid) -> Result<()> {
    if db::hold_schema(schema) && schema_oid(name)? == Some(schema) {
        return Ok(());
    }
    Err(Error::Stays {
        what: format!("schema {} has changed meanwhile", pgrx::spi::quote_identifier(name)).into(),
        hint: "Call the function again.",
    })
}

fn require_owned(sources: &[Source]) -> Result<()> {
    match sources.iter().find(|source| !source.is_owned) {
        None => Ok(()),
        Some(source) => Err(Error::NotAllowed {
            what: format!("{} belongs to somebody else", source.name),
            hint: "Ask a role that may act as the owner of the tables and of costsim_pg.".into(),
        }),
    }
}

/// A table, or a child of one, that has come meanwhile is not locked.
fn require_same(locked: &[Source], sources: &[Source]) -> Result<()> {
    let is_table = |source: &Source| matches!(source.found, Found::Table(_));
    let is_locked =
        |before: &Source, now: &Source| is_table(before) && before.oid == now.oid && before.tree == now.tree;
    match locked.iter().zip(sources).find(|(before, now)| is_table(now) && !is_locked(before, now)) {
        None => Ok(()),
        Some((_, now)) => Err(Error::Stays {
            what: format!("{} has changed meanwhile", now.name).into(),
            hint: "Call the function again.",
        }),
    }
}

/// Keeps everybody from changing what the old tables are made of; writers go on. Nobody can put an index on one between the look at it and the reading.
fn keep_as_they_are(sources: &[Source]) -> Result<()> {
    if tables(sources).next().is_none() {
        return Ok(());
    }
    db::lock_all(tables(sources).flat_map(|it| locks(&it.tree, pg_sys::ShareUpdateExclusiveLock)).collect())
}

fn tables(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| matches!(source.found, Found::Table(_)))
}

fn locks(relations: &[pg_sys::Oid], mode: u32) -> impl Iterator<Item = Lock> {
    relations.iter().map(move |relation| (*relation, mode))
}

/// One of our tables.
fn ours(table: &Table) -> Result<pg_sys::Oid> {
    let name = CString::new(table.name).map_err(|error| Error::Internal(error.to_string()))?;
    db::relation(&name)
}

/// Keeps everybody from writing to the old tables, and others from adopting: all at once, what is raised later could meet a reader that wants to write.
fn lock(sources: &[Source], mode: Mode) -> Result<()> {
    let mut wanted = Vec::new();
    for table in &TABLES {
        // Writers of ours go on.
        wanted.push((ours(table)?, pg_sys::ShareUpdateExclusiveLock));
    }
    for source in tables(sources) {
        match mode {
            Mode::Copy => wanted.extend(locks(&source.tree, pg_sys::ShareRowExclusiveLock)),
            Mode::Attach => {
                wanted.extend(locks(&source.tree, pg_sys::AccessExclusiveLock));
                wanted.extend(locks(&source::sequences(source.oid)?, pg_sys::AccessExclusiveLock));
            }
        }
    }
    db::lock_all(wanted)
}

fn adopt(plan: &Plan<'_>) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for (table, source) in TABLES.iter().zip(plan.sources) {
        verdicts.push(judge(plan, table, source)?);
    }
    if plan.is_dry {
        return Ok(verdicts);
    }
    if plan.mode == Mode::Attach {
        require_whole(&verdicts)?;
    }
    // A state refers to its incident: incidents come first, and end by their own words.
    let mut order: Vec<_> = TABLES.iter().zip(plan.sources).zip(&mut verdicts).collect();
    order.sort_by_key(|((table, _), _)| table.turn);
    for ((table, source), verdict) in order {
        if verdict.to_copy > 0 {
            move_sequence(plan, table, source)?;
            verdict.copied = table.copy(plan, source)?;
            if verdict.copied != verdict.to_copy {
                return Err(Error::Stays {
                    what: format!("{} of {} rows came into {}", verdict.copied, verdict.to_copy, table.name)
                        .into(),
                    hint: "A trigger or rule on it keeps rows out: take it away, or disable it, and adopt again.",
                });
            }
        }
    }
    if plan.mode == Mode::Attach {
        for (table, source) in TABLES.iter().zip(plan.sources) {
            if let Found::Table(_) = source.found {
                move_sequence(plan, table, source)?;
                attach::put_in_place(table, source, plan.home)?;
            }
        }
    }
    Ok(verdicts)
}

/// Rows that stay behind would be gone from the application's sight, and what is in the way of the views is.
fn require_whole(verdicts: &[Verdict]) -> Result<()> {
    let troubles: Vec<_> = TABLES
        .iter()
        .zip(verdicts)
        .filter(|(_, it)| {
            it.refused > 0 || it.problems.iter().any(|problem| problem.starts_with(attach::IN_THE_WAY))
        })
        .map(|(table, it)| format!("{}: {}", table.name, it.problems.join("; ")))
        .collect();
    if troubles.is_empty() {
        return Ok(());
    }
    Err(Error::CannotAttach { detail: troubles.join("\n") })
}

/// What becomes of the rows of a table, without doing it.
fn judge(plan: &Plan<'_>, table: &Table, source: &Source) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let columns = match &source.found {
        Found::Nothing => {
            verdict.problems.push("there is no such table".into());
            return Ok(verdict);
        }
        Found::Attached(_) => {
            verdict.problems.push("is attached already".into());
            return Ok(verdict);
        }
        Found::Other(what) => {
            let prefix = if plan.mode == Mode::Attach { attach::IN_THE_WAY } else { "" };
            verdict.problems.push(format!("{prefix}{what}"));
            return Ok(verdict);
        }
        Found::Table(columns) => columns,
    };
    let unfit = table.unfit(columns);
    if !unfit.is_empty() {
        verdict.source_rows = one(&format!("SELECT count(*) FROM {}", source.name))?;
        verdict.refused = verdict.source_rows;
        verdict.problems.extend(unfit);
        if plan.mode == Mode::Attach {
            verdict.problems.push(format!("{}rows of it cannot be read", attach::IN_THE_WAY));
        }
        return Ok(verdict);
    }
    let judged = table.judged(plan, source);
    let counts = format!(
        "SELECT coalesce(sum(n), 0)::bigint, coalesce(sum(n) FILTER (WHERE fate IN ('insert', 'update')), 0)::bigint,
                coalesce(sum(n) FILTER (WHERE fate = 'already'), 0)::bigint, coalesce(sum(n) FILTER (WHERE fate = 'refused'), 0)::bigint,
                array_agg(n || CASE n WHEN 1 THEN ' row: ' ELSE ' rows: ' END || why ORDER BY n DESC, why COLLATE \"C\") FILTER (WHERE fate = 'refused')
           FROM (SELECT fate, CASE fate WHEN 'refused' THEN why END AS why, count(*) AS n FROM {judged} j GROUP BY 1, 2) k"
    );
    let found = db::run_once(&counts, &[], |row| {
        let numbers: [i64; 4] = [column(row, 1)?, column(row, 2)?, column(row, 3)?, column(row, 4)?];
        Ok((numbers, nullable::<Vec<String>>(row, 5)?.unwrap_or_default()))
    })?;
    if let Some(([all, to_copy, already, refused], whys)) = found {
        (verdict.source_rows, verdict.to_copy) = (all, to_copy);
        (verdict.already, verdict.refused) = (already, refused);
        verdict.problems.extend(whys);
    }
    let behind = table.left_behind(columns);
    if !behind.is_empty() {
        verdict.problems.push(format!("columns that stay behind: {}", behind.join(", ")));
    }
    if plan.mode == Mode::Attach {
        verdict.problems.extend(attach::obstacles(table, source, columns)?);
    }
    let shown = if verdict.refused > 0 { "fate = 'refused'" } else { "fate IN ('insert', 'update')" };
    let unseen: String = table.documents().map(|name| format!(",{name}")).collect();
    let sample = format!(
        "SELECT jsonb_agg(s.shown || CASE WHEN s.fate = 'refused' THEN jsonb_build_object('why', s.why) ELSE '{{}}' END)::text
           FROM (SELECT (SELECT jsonb_object_agg(e.key, CASE WHEN length(e.value::text) > {LONGEST_SHOWN}
                                                             THEN to_jsonb(left(e.value #>> '{{}}', {LONGEST_SHOWN}) || '...') ELSE e.value END)
                           FROM jsonb_each(to_jsonb(j) - '{{why,fate,wrong,is_same,is_behind{unseen}}}'::text[]) e
                          WHERE e.value <> 'null') AS shown, j.fate, j.why
                   FROM {judged} j WHERE {shown} ORDER BY j.id LIMIT 3) s"
    );
    let sample = db::run_once(&sample, &[], |row| nullable::<String>(row, 1))?.flatten();
    verdict.sample = sample.map(|text| Jsonb::read(&text)).transpose()?;
    Ok(verdict)
}

/// Has our sequence go on behind the ids that come. It never goes back, and is not taken back by a rollback: ids are left out, none is given twice.
fn move_sequence(plan: &Plan<'_>, table: &Table, source: &Source) -> Result<()> {
    let Some(sequence) = table.sequence else { return Ok(()) };
    let room = if plan.mode == Mode::Copy { ROOM } else { 0 };
    let ours = format!("{}.{sequence}", plan.home);
    // By its oid: nobody keeps its owner from giving its name to a view.
    let last_drawn = match source.sequence_oid {
        Some(theirs) => {
            format!(
                "(SELECT l.id FROM pg_sequence_last_value({}::oid) l (id) WHERE l.id <= {GREATEST_ID})",
                theirs.to_u32()
            )
        }
        None => "0".to_owned(),
    };
    run(&format!(
        "SELECT setval({literal}::regclass, t.target)
           FROM (SELECT greatest(max(id), {last_drawn})::bigint + {room} AS target FROM {name} WHERE id::numeric BETWEEN 1 AND {most}) t, {ours} o
          WHERE t.target > o.last_value OR t.target = o.last_value AND NOT o.is_called",
        literal = pgrx::spi::quote_literal(&ours),
        name = source.name,
        most = GREATEST_ID,
    ))
}

fn one(query: &str) -> Result<i64> {
    let count = db::run_once(query, &[], |row| column(row, 1))?;
    count.ok_or_else(|| Error::Internal("a count has no row".into()))
}

fn run(command: &str) -> Result<()> {
    db::run_once(command, &[], |_| Ok(())).map(drop)
}
