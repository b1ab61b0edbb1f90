//! Between the server's types and core's: moments, spans of time, JSON.
//!
//! Core knows `chrono` and `serde_json`; the server knows microseconds since 2000 and jsonb. Infinite timestamps have no
//! place in a decision and are refused where they come in.
//!
//! JSON that is only stored never passes through a Rust number: `jsonb` holds numbers of any size, and a detour through
//! `f64` would change them. [`Jsonb`] is the server's own value, parsed only when somebody asks for its [`Jsonb::value`];
//! [`JsonText`] is the text of a `json` argument, byte for byte.

use chrono::{DateTime, TimeDelta, Utc};
use pgrx::callconv::{Arg, ArgAbi};
use pgrx::datum::{DatumWithOid, UnboxDatum};
use pgrx::nullable::Nullable;
use pgrx::pg_sys;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;

use crate::error::{Error, Result};

/// Seconds from 1970-01-01 (chrono's epoch) to 2000-01-01 (the server's).
const SERVER_EPOCH: i64 = 946_684_800;

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

/// The server's timestamptz for a moment.
pub fn timestamptz(value: DateTime<Utc>) -> Result<TimestampWithTimeZone> {
    let micros = value.timestamp_micros() - SERVER_EPOCH * 1_000_000;
    TimestampWithTimeZone::try_from(micros)
        .map_err(|_| Error::Internal(format!("timestamp {value} is out of the server's range")))
}

/// A span from an interval; months count 30 days, as `extract(epoch ...)` of the server counts them.
pub fn span(value: Interval) -> TimeDelta {
    let micros = i64::try_from(value.as_micros()).unwrap_or(i64::MAX);
    TimeDelta::microseconds(micros)
}

/// The server's interval for a span.
pub fn interval(value: TimeDelta) -> Result<Interval> {
    let micros = value.num_microseconds().unwrap_or(i64::MAX);
    Interval::new(0, 0, micros).map_err(|_| Error::Internal(format!("interval {value} is out of range")))
}

/// A jsonb argument, as the server holds it.
#[derive(Clone, Copy, Debug)]
pub struct Jsonb(pg_sys::Datum);

/// The text of a json argument.
#[derive(Debug)]
pub struct JsonText(pub String);

impl Jsonb {
    /// The JSON text, as the server prints it.
    pub fn text(self) -> String {
        // SAFETY: the datum is a jsonb that the caller's memory context keeps alive; jsonb_out answers a C string.
        unsafe {
            let printed = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(JSONB_OUT), self.0);
            std::ffi::CStr::from_ptr(printed).to_string_lossy().into_owned()
        }
    }

    /// The value as core sees it; a number that no `f64` can hold is refused.
    pub fn value(self, argument: &'static str) -> Result<serde_json::Value> {
        serde_json::from_str(&self.text()).map_err(|error| match error.to_string() {
            // The one limit the reader has, and no code of its own for it.
            detail if detail.starts_with("recursion limit") => {
                Error::TooComplex { what: format!("{argument} is nested too deeply") }
            }
            detail => Error::Invalid {
                what: format!("{argument} cannot be read").into(),
                detail: Some(detail),
                hint: "Pass a JSON document whose numbers fit a double.".into(),
            },
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

/// The oid of `jsonb_out`, fixed in every catalog.
const JSONB_OUT: u32 = 3804;

impl FromDatum for Jsonb {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _type: pg_sys::Oid,
    ) -> Option<Self> {
        (!is_null).then_some(Self(datum))
    }
}

impl FromDatum for JsonText {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        type_: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: json is stored as text is; the caller vouches for the datum.
        unsafe { String::from_polymorphic_datum(datum, is_null, type_) }.map(Self)
    }
}

/// What pgrx needs to take a type of ours as a function's argument.
macro_rules! argument_type {
    ($type:ident, $sql:literal) => {
        // SAFETY: the type is made of its datum by FromDatum alone and borrows nothing.
        unsafe impl UnboxDatum for $type {
            type As<'src> = $type;
            unsafe fn unbox<'src>(datum: pgrx::datum::Datum<'src>) -> Self
            where
                Self: 'src,
            {
                // SAFETY: the caller vouches that the datum is of this type and not null.
                match unsafe { $type::from_datum(datum.sans_lifetime(), false) } {
                    Some(value) => value,
                    None => pgrx::error!("unexpected null"),
                }
            }
        }

        // SAFETY: as above.
        unsafe impl<'fcx> ArgAbi<'fcx> for $type {
            unsafe fn unbox_arg_unchecked(argument: Arg<'_, 'fcx>) -> Self {
                // SAFETY: pgrx calls this for an argument of this type that is not null.
                match unsafe { argument.unbox_arg_using_from_datum() } {
                    Some(value) => value,
                    None => pgrx::error!("unexpected null"),
                }
            }

            unsafe fn unbox_nullable_arg(argument: Arg<'_, 'fcx>) -> Nullable<Self> {
                // SAFETY: pgrx calls this for an argument of this type.
                unsafe { argument.unbox_arg_using_from_datum().into() }
            }
        }

        // SAFETY: the SQL type named is the one whose datums FromDatum reads.
        unsafe impl SqlTranslatable for $type {
            const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($type);
            const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
            const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> =
                Ok(SqlMappingRef::literal($sql));
            const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
                Ok(ReturnsRef::One(SqlMappingRef::literal($sql)));
        }
    };
}

argument_type!(Jsonb, "jsonb");
argument_type!(JsonText, "json");
