//! Functions that the server calls by its own convention.
//!
//! For what is called once for every row: an aggregate's functions, a row trigger. pgrx's wrappers take each argument into a value of its
//! own first, a trigger's with the whole description of the table, which costs more than what is then done with it. SQL files declare
//! these functions.

use pgrx::PgMemoryContexts;
use pgrx::pg_sys;
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

/// The arguments of such a call. SQL files declare what the functions are asked for here.
#[derive(Clone, Copy)]
pub struct Call(pub pg_sys::FunctionCallInfo);

impl Call {
    /// An argument, if it is not null.
    pub fn argument(self, place: usize) -> Option<pg_sys::Datum> {
        // SAFETY: the server passes as many arguments as the function is declared with, and we ask for no other.
        let argument = unsafe { &(*self.0).args.as_slice((*self.0).nargs as usize)[place] };
        (!argument.isnull).then_some(argument.value)
    }

    /// A double precision.
    pub fn double(self, place: usize) -> Option<f64> {
        self.argument(place).map(|datum| f64::from_bits(datum.value() as u64))
    }

    /// A bigint, or what is counted like one.
    pub fn bigint(self, place: usize) -> Option<i64> {
        self.argument(place).map(|datum| datum.value() as i64)
    }

    /// A text.
    pub fn text<'a>(self, place: usize) -> Option<&'a str> {
        // SAFETY: the argument is a text; what detoasting makes lies in the memory of the row, which outlives the call. CREATE EXTENSION
        // has made sure that the database's text is UTF-8.
        self.argument(place).map(|datum| unsafe {
            let varlena = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
            pgrx::varlena::text_to_rust_str_unchecked(varlena)
        })
    }

    /// A bytea.
    pub fn bytes<'a>(self, place: usize) -> Option<&'a [u8]> {
        // SAFETY: as above; a bytea is stored as a text is.
        self.argument(place).map(|datum| unsafe {
            pgrx::varlena::varlena_to_byte_slice(pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr()))
        })
    }

    /// The first bytes of a text, at most so many and cut at a character; of one that is stored apart no more is read.
    pub fn beginning<'a>(self, place: usize, most: usize) -> Option<&'a str> {
        // SAFETY: as above; the slice ends within the bytes that it was asked for.
        let bytes = self.argument(place).map(|datum| unsafe {
            let varlena = pg_sys::pg_detoast_datum_slice(
                datum.cast_mut_ptr(),
                0,
                i32::try_from(most).unwrap_or(i32::MAX),
            );
            pgrx::varlena::varlena_to_byte_slice(varlena)
        })?;
        // Of the last character there may be a part.
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        })
    }

    /// A state that an earlier call of the same aggregate has made.
    pub fn state<'a, T>(self, place: usize) -> Option<&'a mut T> {
        // SAFETY: SQL cannot make an internal value, and the functions of one aggregate are declared together and pass states of one
        // type; a state lives as long as the aggregate's memory context, and the server works on one at a time.
        self.argument(place).map(|datum| unsafe { &mut *datum.cast_mut_ptr::<T>() })
    }

    /// The state, made if this is the first call that needs it.
    #[inline]
    pub fn state_or_default<'a, T: Default>(self) -> &'a mut T {
        match self.state(0) {
            Some(state) => state,
            None => self.new_state(),
        }
    }

    #[cold]
    fn new_state<'a, T: Default>(self) -> &'a mut T {
        let context = self.memory();
        // SAFETY: the context was named just now; the state is dropped with it, and not used after.
        unsafe { &mut *PgMemoryContexts::For(context).leak_and_drop_on_delete(T::default()) }
    }

    /// The memory in which states of the aggregate live, and which the server counts.
    pub fn memory(self) -> pg_sys::MemoryContext {
        let mut context = std::ptr::null_mut();
        // SAFETY: the call is one by the server, which tells whether it is for an aggregate, and in which memory that lives.
        let kind = unsafe { pg_sys::AggCheckCallContext(self.0, &raw mut context) };
        if kind == 0 {
            pgrx::error!("an aggregate's function was called outside of one");
        }
        context
    }

    /// The state as it was passed.
    pub fn unchanged(self) -> pg_sys::Datum {
        self.argument(0).unwrap_or_else(|| self.null())
    }

    /// The answer NULL.
    pub fn null(self) -> pg_sys::Datum {
        // SAFETY: the call is one by the server.
        unsafe { (*self.0).isnull = true };
        pg_sys::Datum::null()
    }
}

/// A state as the server passes it on.
pub fn passed<T>(state: &mut T) -> pg_sys::Datum {
    pg_sys::Datum::from(std::ptr::from_mut(state))
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
