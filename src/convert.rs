//! Between the server's types and core's: moments, spans of time, JSON.
//!
//! Core knows `chrono` and `serde_json`; the server knows microseconds since 2000 and jsonb. Infinite timestamps have no
//! place in a decision and are refused where they come in.
//!
//! JSON that is only stored never passes through a Rust number: `jsonb` holds numbers of any size, and a detour through
//! `f64` would change them. [`Jsonb`] is the server's own value, parsed only when somebody asks for its [`Jsonb::value`];
//! [`JsonText`] is the text of a `json` argument, byte for byte.

mod walk;

use chrono::{DateTime, TimeDelta, Utc};
use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::{Error, Result};

pub use walk::JsonbWalk;

/// Seconds from 1970-01-01 (chrono's epoch) to 2000-01-01 (the server's).
const SERVER_EPOCH: i64 = 946_684_800;

/// An SQL expression for the word of an enum, or of a domain over one, as a text. It is no cast: whoever owns the type may define one, which would run as whoever
/// reads. The NULL makes the enum of a domain without naming it.
pub fn spelled(expression: &str) -> String {
    format!("pg_catalog.textin(pg_catalog.enum_out(COALESCE({expression}, NULL)))")
}

/// A moment from the server's count of microseconds; `None` outside what a calendar holds.
pub fn moment(micros: pg_sys::TimestampTz) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros.checked_add(SERVER_EPOCH * 1_000_000)?)
}

/// A moment from a timestamptz argument: finite, or refused.
pub fn finite_moment(value: TimestampWithTimeZone, argument: &'static str) -> Result<DateTime<Utc>> {
    let refused = || {
        Error::invalid(
            format!("{argument} must be a finite date"),
            "Pass a timestamp within the next 200,000 years.",
        )
    };
    if value.is_infinity() || value.is_neg_infinity() {
        return Err(refused());
    }
    moment(value.into()).ok_or_else(refused)
}

/// The server's count of microseconds for a moment.
pub fn micros(value: DateTime<Utc>) -> pg_sys::TimestampTz {
    value.timestamp_micros() - SERVER_EPOCH * 1_000_000
}

/// The server's count of microseconds for a count of seconds since 1970 and a rest.
#[cfg(target_os = "linux")]
pub fn micros_of_unix(seconds: i64, micros: i64) -> pg_sys::TimestampTz {
    (seconds - SERVER_EPOCH) * 1_000_000 + micros
}

/// The server's timestamptz for a moment.
pub fn timestamptz(value: DateTime<Utc>) -> Result<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(micros(value))
        .map_err(|_| Error::Internal(format!("timestamp {value} is out of the server's range")))
}

/// The server's timestamptz for its own count of microseconds, the infinite ones included.
pub fn timestamp(micros: pg_sys::TimestampTz) -> Result<TimestampWithTimeZone> {
    // SAFETY: a timestamptz is that count.
    unsafe { TimestampWithTimeZone::from_datum(pg_sys::Datum::from(micros), false) }
        .ok_or_else(|| Error::Internal(format!("no timestamp: {micros}")))
}

/// A span from an interval; months count 30 days, as `extract(epoch ...)` of the server counts them.
pub fn span(value: Interval) -> TimeDelta {
    let micros = value.as_micros().clamp(i64::MIN.into(), i64::MAX.into());
    TimeDelta::microseconds(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The server's interval for a span.
pub fn interval(value: TimeDelta) -> Result<Interval> {
    let micros = value.num_microseconds().unwrap_or(i64::MAX);
    Interval::new(0, 0, micros).map_err(|_| Error::Internal(format!("interval {value} is out of range")))
}

/// A number of rows, as SQL counts them.
pub fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A jsonb argument, as the server holds it.
#[derive(Clone, Copy, Debug)]
pub struct Jsonb(pg_sys::Datum);

/// A json argument, as the server holds it: text.
#[derive(Clone, Copy, Debug)]
pub struct JsonText(pg_sys::Datum);

/// The most bytes of a document that is parsed here or sent to Alertmanager. An alert is a few hundred; what is larger is a
/// mistake, and must not become somebody's memory.
pub const LONGEST_DOCUMENT: usize = 1 << 20;

impl Jsonb {
    /// The JSON text as the server prints it, of at most `limit` bytes. It lies in the server's memory, where a lack of memory is an
    /// ordinary error: Rust would end the process, and with it every session.
    pub fn text(&self, argument: &'static str, limit: usize) -> Result<&str> {
        // SAFETY: the datum is a jsonb that the caller's memory context keeps alive; jsonb_out answers a C string in the current
        // context, which outlives the call of our function.
        let printed = unsafe {
            let printed = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(JSONB_OUT), self.0);
            std::ffi::CStr::from_ptr(printed)
        };
        bounded(printed.to_bytes(), argument, limit)
    }

    /// The same value, neither compressed nor elsewhere: for one that is looked at more than once.
    pub fn flat(self) -> Self {
        // SAFETY: the datum is a jsonb; what is made of it lies in the current context, as the argument does.
        Self(unsafe { pg_sys::pg_detoast_datum(self.0.cast_mut_ptr()) }.into())
    }

    /// How many bytes the value has in the server's own form.
    pub fn size(&self) -> usize {
        // SAFETY: the datum is a jsonb; only its head is looked at.
        unsafe { pg_sys::toast_raw_datum_size(self.0) }
    }

    /// The value as core sees it; a number that no `f64` can hold is refused.
    pub fn value(&self, argument: &'static str) -> Result<serde_json::Value> {
        serde_json::from_str(self.text(argument, LONGEST_DOCUMENT)?).map_err(|error| {
            match error.to_string() {
                // The one limit the reader has, and no code of its own for it.
                detail if detail.starts_with("recursion limit") => {
                    Error::TooDeep { what: format!("{argument} is nested too deeply") }
                }
                detail => Error::Invalid {
                    what: format!("{argument} cannot be read").into(),
                    detail: Some(detail),
                    hint: "Pass a JSON document whose numbers fit a double.".into(),
                },
            }
        })
    }

    /// The value as an argument of a statement, unchanged.
    pub fn argument<'a>(value: Option<Jsonb>) -> DatumWithOid<'a> {
        match value {
            // SAFETY: the datum is a jsonb.
            Some(Jsonb(datum)) => unsafe { DatumWithOid::new(datum, pg_sys::JSONBOID) },
            None => DatumWithOid::null_oid(pg_sys::JSONBOID),
        }
    }
}

impl Jsonb {
    /// The value of a JSON text, in the memory of who asks. A number stays the number it is.
    pub fn read(text: &str) -> Result<Self> {
        let text = std::ffi::CString::new(text)
            .map_err(|_| Error::Internal("a JSON text with a zero byte".into()))?;
        // SAFETY: jsonb_in takes a C string, which it copies, and answers a jsonb in the current context.
        let datum = unsafe {
            pg_sys::OidInputFunctionCall(
                pg_sys::Oid::from(JSONB_IN),
                text.as_ptr().cast_mut(),
                pg_sys::InvalidOid,
                -1,
            )
        };
        Ok(Self(datum))
    }
}

impl JsonText {
    /// How many bytes the text has, without reading it.
    pub fn length(&self) -> usize {
        // SAFETY: the datum is a json; only its head is looked at, or where it says what it is.
        unsafe { pg_sys::toast_raw_datum_size(self.0) }.saturating_sub(pg_sys::VARHDRSZ)
    }

    /// The text, of at most `limit` bytes, in the server's memory.
    pub fn text(&self, argument: &'static str, limit: usize) -> Result<&str> {
        // SAFETY: the datum is a json, stored as text is; what detoasting makes lies in the current context, which outlives the
        // call of our function.
        let bytes = unsafe {
            let text = pg_sys::pg_detoast_datum_packed(self.0.cast_mut_ptr());
            std::slice::from_raw_parts(
                pgrx::varlena::vardata_any(text).cast::<u8>(),
                pgrx::varlena::varsize_any_exhdr(text),
            )
        };
        bounded(bytes, argument, limit)
    }
}

fn bounded<'a>(bytes: &'a [u8], argument: &'static str, limit: usize) -> Result<&'a str> {
    if bytes.len() > limit {
        let what = format!("{argument} has {} bytes, more than {limit}", bytes.len());
        return Err(Error::TooLarge { what });
    }
    // CREATE EXTENSION has made sure that the database's text is UTF-8.
    std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8)
}

/// A text argument of bounded length, in characters, that is not blank: it is stored, shown and sent on.
pub fn short_text<'a>(
    text: &'a str,
    argument: &'static str,
    longest: usize,
    hint: &'static str,
) -> Result<&'a str> {
    // The bytes first: a text of a gigabyte need not be counted.
    if text.trim().is_empty() || text.len() > 4 * longest || text.chars().count() > longest {
        return Err(Error::invalid(format!("{argument} must have 1 to {longest} characters"), hint));
    }
    Ok(text)
}

/// The first characters of a text, at most so many.
pub fn beginning(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

/// The oids of `jsonb_in` and `jsonb_out`, fixed in every catalog.
const JSONB_IN: u32 = 3806;
const JSONB_OUT: u32 = 3804;

impl IntoDatum for Jsonb {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: the datum is a jsonb in memory that outlives the call.
unsafe impl pgrx::callconv::BoxRet for Jsonb {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut pgrx::callconv::FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: the caller's.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

/// What pgrx needs to take a type of ours, which is the server's datum and nothing else, as a function's argument.
macro_rules! argument_type {
    ($type:ident, $sql:literal) => {
        impl pgrx::FromDatum for $type {
            unsafe fn from_polymorphic_datum(
                datum: pgrx::pg_sys::Datum,
                is_null: bool,
                _type: pgrx::pg_sys::Oid,
            ) -> Option<Self> {
                (!is_null).then_some(Self(datum))
            }
        }

        // SAFETY: the type is made of its datum by FromDatum alone and borrows nothing.
        unsafe impl pgrx::datum::UnboxDatum for $type {
            type As<'src> = $type;
            unsafe fn unbox<'src>(datum: pgrx::datum::Datum<'src>) -> Self
            where
                Self: 'src,
            {
                // SAFETY: the caller vouches that the datum is of this type and not null.
                match unsafe { <$type as pgrx::FromDatum>::from_datum(datum.sans_lifetime(), false) } {
                    Some(value) => value,
                    None => pgrx::error!("unexpected null"),
                }
            }
        }

        // SAFETY: as above.
        unsafe impl<'fcx> pgrx::callconv::ArgAbi<'fcx> for $type {
            unsafe fn unbox_arg_unchecked(argument: pgrx::callconv::Arg<'_, 'fcx>) -> Self {
                // SAFETY: pgrx calls this for an argument of this type that is not null.
                match unsafe { argument.unbox_arg_using_from_datum() } {
                    Some(value) => value,
                    None => pgrx::error!("unexpected null"),
                }
            }

            unsafe fn unbox_nullable_arg(
                argument: pgrx::callconv::Arg<'_, 'fcx>,
            ) -> pgrx::nullable::Nullable<Self> {
                // SAFETY: pgrx calls this for an argument of this type.
                unsafe { argument.unbox_arg_using_from_datum().into() }
            }
        }

        // SAFETY: the SQL type named is the one whose datums FromDatum reads.
        unsafe impl pgrx::pgrx_sql_entity_graph::metadata::SqlTranslatable for $type {
            const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($type);
            const TYPE_ORIGIN: pgrx::pgrx_sql_entity_graph::metadata::TypeOrigin =
                pgrx::pgrx_sql_entity_graph::metadata::TypeOrigin::External;
            const ARGUMENT_SQL: std::result::Result<
                pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef,
                pgrx::pgrx_sql_entity_graph::metadata::ArgumentError,
            > = Ok(pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef::literal($sql));
            const RETURN_SQL: std::result::Result<
                pgrx::pgrx_sql_entity_graph::metadata::ReturnsRef,
                pgrx::pgrx_sql_entity_graph::metadata::ReturnsError,
            > = Ok(pgrx::pgrx_sql_entity_graph::metadata::ReturnsRef::One(
                pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef::literal($sql),
            ));
        }
    };
}
pub(crate) use argument_type;

argument_type!(Jsonb, "jsonb");
argument_type!(JsonText, "json");

/// A whole row of a table of ours, as a function answers it: of the type that the table's name is.
macro_rules! row_type {
    ($type:ident, $table:literal) => {
        #[doc = concat!("A row of ", $table, ".")]
        pub struct $type(pgrx::pg_sys::Datum);

        impl pgrx::FromDatum for $type {
            /// Out of a statement's answer, into the memory of who asked.
            unsafe fn from_polymorphic_datum(
                datum: pgrx::pg_sys::Datum,
                is_null: bool,
                _type: pgrx::pg_sys::Oid,
            ) -> Option<Self> {
                // SAFETY: the caller vouches that the datum is a composite one; the rows of a statement are read while its
                // connection is open.
                (!is_null).then(|| Self(unsafe { pgrx::pg_sys::SPI_datumTransfer(datum, false, -1) }))
            }
        }

        // SAFETY: the datum is of the type that the SQL mapping names.
        unsafe impl pgrx::callconv::BoxRet for $type {
            unsafe fn box_into<'fcx>(
                self,
                fcinfo: &mut pgrx::callconv::FcInfo<'fcx>,
            ) -> pgrx::datum::Datum<'fcx> {
                // SAFETY: the row lies in the memory of whoever called the function.
                unsafe { fcinfo.return_raw_datum(self.0) }
            }
        }

        // SAFETY: as above.
        unsafe impl pgrx::pgrx_sql_entity_graph::metadata::SqlTranslatable for $type {
            const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($type);
            const TYPE_ORIGIN: pgrx::pgrx_sql_entity_graph::metadata::TypeOrigin =
                pgrx::pgrx_sql_entity_graph::metadata::TypeOrigin::External;
            const ARGUMENT_SQL: std::result::Result<
                pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef,
                pgrx::pgrx_sql_entity_graph::metadata::ArgumentError,
            > = Ok(pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef::literal($table));
            const RETURN_SQL: std::result::Result<
                pgrx::pgrx_sql_entity_graph::metadata::ReturnsRef,
                pgrx::pgrx_sql_entity_graph::metadata::ReturnsError,
            > = Ok(pgrx::pgrx_sql_entity_graph::metadata::ReturnsRef::One(
                pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef::literal($table),
            ));
        }
    };
}
pub(crate) use row_type;
