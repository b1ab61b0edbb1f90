//! The drift summary as a type and two aggregates of the server; what it is and what it answers is core's.
//!
//! A datum of the type is the binary form in a varlena. Whoever reads one checks it, so that no cast can hand core what it does not
//! take.
//!
//! `aggregate` what is done for every row

mod aggregate;

use costsim_core::drift::{Fault, Quantity, Summary};
use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::iter::TableIterator;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::convert::argument_type;
use crate::error::{Answer, Error};

/// A drift summary, as the server holds it.
#[derive(Clone, Copy, Debug)]
pub struct DriftSummary(pg_sys::Datum);

argument_type!(DriftSummary, "costsim_drift_summary");

// SAFETY: the datum is a varlena in memory that outlives the call.
unsafe impl BoxRet for DriftSummary {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: the caller's.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

impl DriftSummary {
    /// The summary of these bytes, which are its binary form, in the memory of who asks.
    fn new(bytes: &[u8]) -> Self {
        // A bytea always has a datum.
        Self(bytes.into_datum().unwrap_or(pg_sys::Datum::null()))
    }

    /// The datum of a summary.
    pub fn of(summary: &Summary) -> Answer<Self> {
        Ok(Self::new(&summary.to_bytes().map_err(refused)?))
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the datum is a varlena; what detoasting makes lies in the current context, which outlives the call of our function.
        unsafe {
            let varlena = pg_sys::pg_detoast_datum_packed(self.0.cast_mut_ptr());
            std::slice::from_raw_parts(
                pgrx::varlena::vardata_any(varlena).cast::<u8>(),
                pgrx::varlena::varsize_any_exhdr(varlena),
            )
        }
    }

    /// The summary, checked.
    pub fn read(&self) -> Answer<Summary> {
        Summary::from_bytes(self.bytes()).map_err(refused)
    }
}

#[track_caller]
fn refused(fault: Fault) -> ErrorReport {
    let what = fault.to_string();
    match fault {
        Fault::NoMemory => ErrorReport::new(PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, what, "costsim_pg"),
        Fault::TooMany => {
            ErrorReport::new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, what, "costsim_pg")
                .set_hint("Summarise fewer rows at a time.")
        }
        Fault::Malformed(_) => Error::invalid(
            what,
            "A drift summary comes from costsim_drift() or costsim_drift_merge(), or from a dump of one.",
        )
        .into(),
    }
}

/// The text form: that of a bytea in hex.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn _costsim_drift_out(summary: DriftSummary) -> Answer<std::ffi::CString> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = summary.bytes();
    let mut text = Vec::new();
    text.try_reserve_exact(2 * bytes.len() + 3).map_err(|error| refused(error.into()))?;
    text.extend(b"\\x");
    for byte in bytes {
        text.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    Ok(std::ffi::CString::new(text).unwrap_or_default())
}

/// The summary of a text form, if it is one.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn _costsim_drift_in(text: &std::ffi::CStr) -> Answer<DriftSummary> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let malformed = || refused(Fault::Malformed("its text is not \\x and pairs of hexadecimal digits"));
    let (pairs, rest) = text.to_bytes().strip_prefix(b"\\x").ok_or_else(malformed)?.as_chunks::<2>();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(pairs.len()).map_err(|error| refused(error.into()))?;
    for [high, low] in pairs {
        let (high, low) = digit(*high).zip(digit(*low)).ok_or_else(malformed)?;
        bytes.push((high << 4 | low) as u8);
    }
    if !rest.is_empty() {
        return Err(malformed());
    }
    Summary::from_bytes(&bytes).map_err(refused)?;
    Ok(DriftSummary::new(&bytes))
}

/// The binary form, for a client that asks for binary results.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn _costsim_drift_send(summary: DriftSummary) -> Vec<u8> {
    summary.bytes().to_vec()
}

/// The summary of a binary form that a client has sent, if it is one.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn _costsim_drift_recv(message: pgrx::datum::Internal) -> Answer<DriftSummary> {
    // SAFETY: the server passes a receive function the rest of a message, which it keeps, and expects it to be read to its end.
    let bytes = unsafe {
        let Some(message) = message.into_datum() else {
            return Err(refused(Fault::Malformed("it is empty")));
        };
        let message: *mut pg_sys::StringInfoData = message.cast_mut_ptr();
        let length = (*message).len - (*message).cursor;
        let bytes = pg_sys::pq_getmsgbytes(message, length);
        std::slice::from_raw_parts(bytes.cast::<u8>(), length as usize)
    };
    Summary::from_bytes(bytes).map_err(refused)?;
    Ok(DriftSummary::new(bytes))
}

/// How many pairs.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_count(summary: DriftSummary) -> Answer<i64> {
    Ok(summary.read()?.count().cast_signed())
}

/// How many pairs were left out because v2 - v1 is NaN or infinite.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_not_finite(summary: DriftSummary) -> Answer<i64> {
    Ok(summary.read()?.not_finite().cast_signed())
}

/// The mean of v2 - v1.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_mean(summary: DriftSummary) -> Answer<Option<f64>> {
    summary.read()?.mean().map_err(refused)
}

/// The smallest v2 - v1.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_min(summary: DriftSummary) -> Answer<Option<f64>> {
    summary.read()?.min().map_err(refused)
}

/// The largest v2 - v1.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_max(summary: DriftSummary) -> Answer<Option<f64>> {
    summary.read()?.max().map_err(refused)
}

/// The sample standard deviation of v2 - v1.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_stddev(summary: DriftSummary) -> Answer<Option<f64>> {
    summary.read()?.stddev().map_err(refused)
}

/// The mean of |v2 - v1| / |v1|.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_rel_mean(summary: DriftSummary) -> Answer<Option<f64>> {
    summary.read()?.rel_mean().map_err(refused)
}

/// The largest |v2 - v1| / |v1|.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_rel_max(summary: DriftSummary) -> Answer<Option<f64>> {
    summary.read()?.rel_max().map_err(refused)
}

/// An interpolated percentile.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_percentile(
    summary: DriftSummary,
    fraction: f64,
    quantity: default!(&str, "'abs_delta'"),
) -> Answer<Option<f64>> {
    let quantity = asked(fraction, quantity)?;
    summary.read()?.percentile(fraction, quantity).map_err(refused)
}

/// A percentile by index.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_index_percentile(
    summary: DriftSummary,
    fraction: f64,
    quantity: default!(&str, "'abs_delta'"),
) -> Answer<Option<f64>> {
    let quantity = asked(fraction, quantity)?;
    summary.read()?.index_percentile(fraction, quantity).map_err(refused)
}

/// All that is usually asked of a summary, in one row: it is read once.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns from the type, letter by letter")]
fn costsim_drift_report(
    summary: DriftSummary,
) -> Result<
    TableIterator<
        'static,
        (
            name!(total, i64),
            name!(avg_delta, Option<f64>),
            name!(min_delta, Option<f64>),
            name!(max_delta, Option<f64>),
            name!(stddev_delta, Option<f64>),
            name!(p50_abs_delta, Option<f64>),
            name!(p90_abs_delta, Option<f64>),
            name!(p99_abs_delta, Option<f64>),
            name!(p50_rel_delta, Option<f64>),
            name!(p90_rel_delta, Option<f64>),
            name!(p99_rel_delta, Option<f64>),
            name!(p50_delta, Option<f64>),
            name!(p90_delta, Option<f64>),
            name!(p99_delta, Option<f64>),
            name!(kl_divergence, Option<f64>),
            name!(js_divergence, Option<f64>),
            name!(not_finite, i64),
        ),
    >,
    ErrorReport,
> {
    let summary = summary.read()?;
    let of = |quantity| -> Answer<_> {
        let percentile = |fraction| summary.percentile(fraction, quantity).map_err(refused);
        Ok((percentile(0.5)?, percentile(0.9)?, percentile(0.99)?))
    };
    let (absolute, relative, signed) =
        (of(Quantity::AbsDelta)?, of(Quantity::RelDelta)?, of(Quantity::Delta)?);
    Ok(TableIterator::once((
        summary.count().cast_signed(),
        summary.mean().map_err(refused)?,
        summary.min().map_err(refused)?,
        summary.max().map_err(refused)?,
        summary.stddev().map_err(refused)?,
        absolute.0,
        absolute.1,
        absolute.2,
        relative.0,
        relative.1,
        relative.2,
        signed.0,
        signed.1,
        signed.2,
        summary.kl().map_err(refused)?,
        summary.js().map_err(refused)?,
        summary.not_finite().cast_signed(),
    )))
}

fn asked(fraction: f64, quantity: &str) -> Result<Quantity, Error> {
    if !(0.0..=1.0).contains(&fraction) {
        return Err(Error::invalid(
            format!("fraction must be within 0 and 1, not {fraction}"),
            "The median is 0.5, the 90th percentile 0.9.",
        ));
    }
    Quantity::of(quantity).ok_or_else(|| {
        Error::invalid(
            format!("unknown quantity \"{}\"", crate::convert::beginning(quantity, 100)),
            "Pass delta, abs_delta or rel_delta.",
        )
    })
}

/// Kullback and Leibler's divergence of the second costs from the first.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_kl(summary: DriftSummary) -> Answer<Option<f64>> {
    summary.read()?.kl().map_err(refused)
}

/// Jensen and Shannon's divergence of first and second costs.
#[pg_extern(immutable, strict, parallel_safe, requires = ["drift_shell"])]
fn costsim_drift_js(summary: DriftSummary) -> Answer<Option<f64>> {
    summary.read()?.js().map_err(refused)
}
