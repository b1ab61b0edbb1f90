//! Which versions of the extension's SQL this library works with.
//!
//! The library is one file for the whole server, and each database has the version of the extension that its last CREATE or ALTER EXTENSION
//! gave it. Between a new package and ALTER EXTENSION UPDATE the library is the newer one; a server that has preloaded the one before, or a
//! session that has loaded it, is the older one. What is not in the list below is refused before any table is touched.
//!
//! It promises that nothing is done to tables the library does not know. It does not make an older library do what a newer one can, and a
//! function that a newer version has brought is missing until the update. That no call crashes stands on a rule: a C symbol keeps its
//! arguments and its result for ever, and a function that gets others gets another symbol (tests/server/tests/upgrade_symbols.rs).

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::statement::{nullable, run_once};
use crate::error::{Error, Result as Answer};

/// This library's own version, and that of the SQL it comes with.
pub const LIBRARY_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The versions of the SQL that it works with beside its own. A version is struck out when a statement needs what it has not. What only newer
/// SQL has a place for, [`super::is_at_least`] asks: the notes of a task ([`crate::maintenance`]), and what the worker does by itself.
const WORKS_WITH: [&str; 1] = ["0.1.0"];

/// Refuses a version of the SQL that is not known here.
pub(super) fn require_known(installed: &str) -> Answer<()> {
    if is_known(installed) {
        return Ok(());
    }
    let hint = if is_newer(installed) {
        "Install the library of that version if it is not there; then reconnect, or restart the server where it is preloaded."
    } else {
        "Run ALTER EXTENSION costsim_pg UPDATE."
    };
    let what = format!(
        "extension \"costsim_pg\" has version {installed}, which its library {LIBRARY_VERSION} does not know"
    );
    Err(Error::OtherVersion { what, hint })
}

/// Whether the library works with that version.
pub fn is_known(installed: &str) -> bool {
    installed == LIBRARY_VERSION || WORKS_WITH.contains(&installed)
}

/// Whether a version comes after the library's. What is no number counts as none.
pub fn is_newer(installed: &str) -> bool {
    numbers(installed) > numbers(LIBRARY_VERSION)
}

/// A version as numbers that can be compared.
pub(super) fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
}

/// What there is to say of the version in this database, although the library works with it.
pub fn version_trouble() -> Answer<Option<String>> {
    let installed = installed_version()?.ok_or(Error::NotInstalled)?;
    require_known(&installed)?;
    Ok((installed != LIBRARY_VERSION).then(|| {
        format!(
            "extension has version {installed}, the library {LIBRARY_VERSION}: run ALTER EXTENSION costsim_pg UPDATE"
        )
    }))
}

/// The version of the extension as it is installed in this database. Not a kept statement: those ask for a version that is known.
pub fn installed_version() -> Answer<Option<String>> {
    let query = "SELECT extversion FROM pg_catalog.pg_extension
                  WHERE extname OPERATOR(pg_catalog.=) 'costsim_pg'::pg_catalog.name";
    Ok(run_once(query, &[], |row| nullable(row, 1))?.flatten())
}

/// The library that this session has loaded, the extension as it is installed in this database, and whether they are of one version.
#[pg_extern(volatile, parallel_restricted)]
fn costsim_version() -> Result<
    TableIterator<
        'static,
        (name!(library, String), name!(extension, Option<String>), name!(is_current, bool)),
    >,
    ErrorReport,
> {
    let installed = installed_version()?;
    let is_current = installed.as_deref() == Some(LIBRARY_VERSION);
    Ok(TableIterator::once((LIBRARY_VERSION.to_owned(), installed, is_current)))
}
