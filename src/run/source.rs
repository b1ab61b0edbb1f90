//! Where runs are read: `costsim_worker_runs`, or the view over the application's own table that costsim_use_runs has made.
//!
//! The view is the whole memory of it: it is the user's, so a dump brings it along, and it shows to whoever asks no more than the table behind it does.
//! Which columns it reads is taken from the view as it is, and so follows when one is renamed; words and time zone are in its comment.

use pgrx::datum::DatumWithOid;
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{OIDOID, TEXTOID};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::mapping;
use crate::convert::{Jsonb, argument_type};
use crate::db::{self, Row, Statement, column, nullable};
use crate::error::{Error, Result};

/// The view over the application's own table.
pub const VIEW: &str = "costsim_application_runs";

/// A relation, as an argument or an answer.
pub struct Regclass(pg_sys::Datum);

argument_type!(Regclass, "regclass");

impl Regclass {
    pub fn oid(&self) -> pg_sys::Oid {
        // SAFETY: the datum is a regclass, which is an oid.
        unsafe { pg_sys::Oid::from_datum(self.0, false) }.unwrap_or(pg_sys::InvalidOid)
    }
}

impl IntoDatum for Regclass {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::REGCLASSOID
    }
}

// SAFETY: the datum is a regclass.
unsafe impl pgrx::callconv::BoxRet for Regclass {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut pgrx::callconv::FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: the caller's.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

/// The view as the server keeps it, what is written beside it, and what it is over.
static VIEWED: Statement = Statement::looking(
    "SELECT r.ev_action::pg_catalog.text, pg_catalog.obj_description(c.oid, 'pg_class'::pg_catalog.name),
            (SELECT d.refobjid FROM pg_catalog.pg_depend d
              WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid
                AND d.objid OPERATOR(pg_catalog.=) r.oid
                AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
                AND d.refobjid OPERATOR(pg_catalog.<>) c.oid
              LIMIT 1)
       FROM pg_catalog.pg_extension e
       JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) e.extnamespace AND c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.name
       JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) c.oid
      WHERE e.extname OPERATOR(pg_catalog.=) 'costsim_pg'::pg_catalog.name",
    &[TEXTOID],
);

static NAMES: Statement = Statement::looking(
    "SELECT a.attnum::pg_catalog.int4, a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
      WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped",
    &[OIDOID],
);

/// Where runs are read, by which mapping, and whether that is our own table.
#[pg_extern(stable, parallel_safe, requires = ["run"])]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns of the answer here")]
fn costsim_run_source() -> Result<
    TableIterator<
        'static,
        (name!(source, Option<Regclass>), name!(mapping, Option<Jsonb>), name!(is_ours, bool)),
    >,
    ErrorReport,
> {
    let viewed = if is_the_applications()? {
        VIEWED.row(&[VIEW.into()], |row| {
            Ok((column::<String>(row, 1)?, nullable::<String>(row, 2)?, nullable::<pg_sys::Oid>(row, 3)?))
        })?
    } else {
        None
    };
    let regclass = |oid: pg_sys::Oid| Regclass(pg_sys::Datum::from(oid));
    let Some((tree, comment, source)) = viewed else {
        let ours = regclass(db::relation(c"costsim_worker_runs")?);
        return Ok(TableIterator::once((Some(ours), Some(Jsonb::read("{}")?), true)));
    };
    let names = match source {
        Some(source) => {
            NAMES.rows(&[source.into()], |row| Ok((column::<i32>(row, 1)?, column::<String>(row, 2)?)))?
        }
        None => Vec::new(),
    };
    let now = |ours: &str| {
        let place = column_read(&tree, ours)?;
        names.iter().find(|(number, _)| *number == place).map(|(_, name)| name.clone())
    };
    let mapping = comment.and_then(|comment| mapping::remembered(&comment, &now));
    let mapping = mapping.map(|mapping| Jsonb::read(&mapping.to_string())).transpose()?;
    Ok(TableIterator::once((source.map(regclass), mapping, false)))
}

/// The number of the one column of the source that a column of the view is made of. A view's query is kept as a tree, written as the server
/// writes trees: each of its columns as `{TARGETENTRY :expr .. :varattno 3 .. :resno 2 :resname tenant_id ..}`.
fn column_read(tree: &str, ours: &str) -> Option<i32> {
    let word_after = |text: &str, key: &str| {
        text.split_once(key).and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_owned))
    };
    tree.split("{TARGETENTRY ").skip(1).find_map(|entry| {
        let (expression, rest) = entry.split_once(" :resno ")?;
        (word_after(rest, " :resname ")? == ours).then(|| word_after(expression, ":varattno "))??.parse().ok()
    })
}

/// A view of that name that somebody else has made runs code of theirs as whoever reads it. Looked at as names are: as it is now.
static OWNER: Statement = Statement::looking(
    "SELECT c.relkind OPERATOR(pg_catalog.=) 'v'
            AND (c.relowner OPERATOR(pg_catalog.=) e.extowner OR r.rolsuper)
       FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_extension e ON e.extnamespace OPERATOR(pg_catalog.=) c.relnamespace
       JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) c.relowner
      WHERE e.extname OPERATOR(pg_catalog.=) 'costsim_pg'::pg_catalog.name AND c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.name",
    &[TEXTOID],
);

/// Whether runs are read from the application's own table.
pub fn is_the_applications() -> Result<bool> {
    match OWNER.row(&[VIEW.into()], |row| column(row, 1))? {
        None => Ok(false),
        Some(true) => Ok(true),
        Some(false) => Err(Error::NotAllowed {
            what: format!("{VIEW} is not the view that costsim_use_runs makes"),
            hint: "Whoever owns it drops it; then SELECT costsim_use_runs(...) makes the view anew.".into(),
        }),
    }
}

/// Runs a statement over runs as a statement of its own would be: `@runs@` in its text is where they are read, `@schema@` the extension's schema.
/// It is planned anew each time, for the values at hand.
pub fn rows<T>(
    text: &str,
    arguments: &[DatumWithOid<'_>],
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let table = if is_the_applications()? { VIEW } else { "costsim_worker_runs" };
    db::rows_once(&text.replace("@runs@", &format!("@schema@.{table}")), arguments, read)
}
