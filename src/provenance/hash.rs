//! Hashes of a JSON document that everyone can reproduce, and the forms that they are made of.
//!
//! Two forms: the reference's, which CPython prints (versions 1 and 2 of a stored hash), and that of RFC 8785 (version 3). All
//! of it is core's; here is what a server adds: the text of the argument is looked at where it lies, a form is built where the
//! server can answer with it, and a cancel is heeded every few milliseconds.
//!
//! The functions take JSON *text*: `jsonb` has already lost what they need (key order, `1.0` against `1`, the sign of `-0.0`).

use costsim_core::canonical::{self, Limits, Malformed, Sink};
use costsim_core::digest;
use pgrx::pg_sys;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;

use crate::convert::JsonText;
use crate::error::{Answer, Error};

/// The first 16 hexadecimal digits of [`costsim_input_digest`].
#[pg_extern(immutable, strict, parallel_safe)]
fn costsim_input_hash(payload: JsonText) -> Answer<String> {
    Ok(digest::short_hex(&reference_digest(payload)?))
}

/// SHA-256 of [`costsim_canonical`], 64 hexadecimal digits: what CPython answers for
/// `hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()`.
#[pg_extern(immutable, strict, parallel_safe)]
fn costsim_input_digest(payload: JsonText) -> Answer<String> {
    Ok(digest::hex(&reference_digest(payload)?))
}

/// The reference's canonical form: what CPython prints for `json.dumps(payload, sort_keys=True, separators=(",", ":"))`.
#[pg_extern(immutable, strict, parallel_safe)]
fn costsim_canonical(payload: JsonText) -> Answer<Form> {
    let mut form = Form::new();
    canonical::reference_into(text(&payload)?, &Limits::default(), &mut form).map_err(refused)?;
    Ok(form)
}

/// The form of RFC 8785.
#[pg_extern(immutable, strict, parallel_safe)]
fn costsim_jcs(payload: JsonText, strict_numbers: default!(bool, "false")) -> Answer<Form> {
    let mut form = Form::new();
    canonical::jcs_into(text(&payload)?, &Limits::default(), strict_numbers, &mut form).map_err(refused)?;
    Ok(form)
}

/// SHA-256 of [`costsim_jcs`], 64 hexadecimal digits.
#[pg_extern(immutable, strict, parallel_safe)]
fn costsim_jcs_digest(payload: JsonText, strict_numbers: default!(bool, "false")) -> Answer<String> {
    let digest =
        digest::jcs_digest(text(&payload)?, &Limits::default(), strict_numbers, &mut heed_interrupts);
    Ok(digest::hex(&digest.map_err(refused)?))
}

/// The hash of a text that is no argument of ours.
pub fn input_hash(text: &str) -> Result<String, Error> {
    let digest = digest::reference_digest(text, &Limits::default(), &mut heed_interrupts).map_err(refused)?;
    Ok(digest::short_hex(&digest))
}

fn reference_digest(payload: JsonText) -> Answer<digest::Digest> {
    let digest = digest::reference_digest(text(&payload)?, &Limits::default(), &mut heed_interrupts);
    Ok(digest.map_err(refused)?)
}

fn text(payload: &JsonText) -> Answer<&str> {
    Ok(payload.text("payload", Limits::default().bytes)?)
}

/// What core does now and then. A cancel leaves by unwinding, and what core holds is freed on the way.
pub fn heed_interrupts() {
    pgrx::check_for_interrupts!();
}

/// Why a document has no form or no digest.
pub fn refused(error: Malformed) -> Error {
    match error {
        Malformed::TooLarge { .. } | Malformed::FormTooLarge { .. } => {
            Error::TooLarge { what: error.to_string() }
        }
        Malformed::TooDeep { .. } => Error::TooDeep { what: error.to_string() },
        Malformed::Syntax { .. } => Error::invalid(error.to_string(), "Pass a JSON document."),
        Malformed::NoForm { .. } => Error::invalid(
            error.to_string(),
            "Pass unique names, whole characters and numbers that a double holds, or hash with costsim_input_digest.",
        ),
        Malformed::OutOfMemory => Error::OutOfMemory { what: "out of memory for the canonical form" },
    }
}

/// The most bytes of a value in the server, but for its length word and the zero byte that the server appends here.
const LONGEST_FORM: usize = 0x3fff_ffff - pg_sys::VARHDRSZ - 1;

/// A form, in the server's memory from its first byte on: the text that the function answers with.
struct Form(pg_sys::StringInfoData);

impl Form {
    fn new() -> Self {
        let mut bytes = pg_sys::StringInfoData::default();
        // SAFETY: both write into what they are given; the memory is the current context's, which outlives the call. The zeros
        // are where the length goes.
        unsafe {
            pg_sys::initStringInfo(&raw mut bytes);
            pg_sys::appendBinaryStringInfo(&raw mut bytes, [0; pg_sys::VARHDRSZ].as_ptr().cast(), 4);
        }
        Self(bytes)
    }
}

impl Sink for Form {
    fn piece(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        let length = usize::try_from(self.0.len).unwrap_or(usize::MAX).saturating_add(piece.len());
        match i32::try_from(piece.len()) {
            Ok(count) if length <= LONGEST_FORM + pg_sys::VARHDRSZ => {
                // SAFETY: the piece has so many bytes. A lack of memory is an error of the server's.
                unsafe { pg_sys::appendBinaryStringInfo(&raw mut self.0, piece.as_ptr().cast(), count) };
                Ok(())
            }
            _ => Err(Malformed::FormTooLarge { limit: LONGEST_FORM }),
        }
    }

    fn pulse(&mut self) {
        heed_interrupts();
    }
}

// SAFETY: what is answered is a text: its length, and bytes of UTF-8, which both forms are.
unsafe impl pgrx::callconv::BoxRet for Form {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut pgrx::callconv::FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: the data begins with room for the length and lies in memory that outlives the call.
        unsafe {
            pgrx::varlena::set_varsize_4b(self.0.data.cast(), self.0.len);
            fcinfo.return_raw_datum(pg_sys::Datum::from(self.0.data))
        }
    }
}

// SAFETY: the SQL type named is the one that box_into answers with.
unsafe impl SqlTranslatable for Form {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Form);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("text"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("text")));
}
