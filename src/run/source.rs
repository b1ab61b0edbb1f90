//! Where runs are read: `costsim_worker_runs`, or the view over the application's own table that costsim_use_runs has made.
//!
//! The view is the whole memory of it: it is the user's, so a dump brings it along, and it shows to whoever asks no more than the table behind it does.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::BuiltinOid::TEXTOID;

use crate::db::{self, Row, Statement, column};
use crate::error::{Error, Result};

/// The view over the application's own table.
pub const VIEW: &str = "costsim_application_runs";

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
