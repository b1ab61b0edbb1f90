//! Functions that the server calls by its own convention.
//!
//! For what is called once for every row: an aggregate's functions, a row trigger. pgrx's wrappers take each argument into a value of its
//! own first, a trigger's with the whole description of the table, which costs more than what is then done with it. SQL files declare
//! these functions.

use pgrx::prelude::*;

use crate::error::Answer;

/// The value of an answer. A refusal is raised, where no wrapper of pgrx does it.
#[inline]
pub fn must<T>(outcome: Answer<T>) -> T {
    match outcome {
        Ok(value) => value,
        Err(report) => {
            report.report(PgLogLevel::ERROR);
            pgrx::error!("an error was raised and did not end the call")
        }
    }
}

/// Defines such functions, each with the record beside it that says by which convention it is called.
macro_rules! called_by_server {
    ($($(#[$doc:meta])* $name:ident, $record:ident: |$call:ident| $body:block)*) => {$(
        /// Says by which convention the function of this name is called.
        #[unsafe(no_mangle)]
        pub extern "C" fn $record() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const CONVENTION: pgrx::pg_sys::Pg_finfo_record = pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &CONVENTION
        }

        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[pgrx::pg_guard]
        pub unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            let $call = fcinfo;
            $body
        }
    )*};
}
pub(crate) use called_by_server;
