//! The drift summary as a type and two aggregates of the server; what it is and what it answers is core's.
//!
//! A datum of the type is the binary form in a varlena. Whoever reads one checks it, so that no cast can hand core what it does not
//! take. The aggregates' states live as long as the memory context of their aggregate. The functions that the server calls for every row
//! take its arguments as they come: a wrapper's checks would cost as much as the work.

use std::collections::VecDeque;

use costsim_core::drift::{Fault, Moving, Quantity, Summary};
use pgrx::PgMemoryContexts;
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

impl FromDatum for DriftSummary {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _type: pg_sys::Oid,
    ) -> Option<Self> {
        (!is_null).then_some(Self(datum))
    }
}

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
        let Some(message) = message.unwrap() else { return Err(refused(Fault::Malformed("it is empty"))) };
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

/// Raises what core refuses, where no wrapper of pgrx does it.
#[inline]
fn must<T>(outcome: Answer<T>) -> T {
    match outcome {
        Ok(value) => value,
        Err(report) => {
            report.report(PgLogLevel::ERROR);
            pgrx::error!("an error was raised and did not end the call")
        }
    }
}

/// The arguments of a call by the server.
#[derive(Clone, Copy)]
struct Call(pg_sys::FunctionCallInfo);

impl Call {
    /// An argument, if it is not null.
    fn argument(self, place: usize) -> Option<pg_sys::Datum> {
        // SAFETY: the server passes as many arguments as the function is declared with, and we ask for no other.
        let argument = unsafe { &(*self.0).args.as_slice((*self.0).nargs as usize)[place] };
        (!argument.isnull).then_some(argument.value)
    }

    fn double(self, place: usize) -> Option<f64> {
        self.argument(place).map(|datum| f64::from_bits(datum.value() as u64))
    }

    fn pair(self) -> Option<(f64, f64)> {
        self.double(1).zip(self.double(2))
    }

    fn summary(self, place: usize) -> Option<Summary> {
        self.argument(place).map(|datum| must(DriftSummary(datum).read()))
    }

    /// A state that an earlier call of the same aggregate has made.
    fn state<'a, T>(self, place: usize) -> Option<&'a mut T> {
        // SAFETY: SQL cannot make an internal value, and what is declared together in 42_drift.sql passes states of one type; it lives
        // as long as the aggregate's memory context, and the server works on one state at a time.
        self.argument(place).map(|datum| unsafe { &mut *datum.cast_mut_ptr::<T>() })
    }

    /// The state, made if this is the first call that needs it.
    #[inline]
    fn state_or_default<'a, T: Default>(self) -> &'a mut T {
        match self.state(0) {
            Some(state) => state,
            None => self.new_state(),
        }
    }

    #[cold]
    fn new_state<'a, T: Default>(self) -> &'a mut T {
        let mut context = std::ptr::null_mut();
        // SAFETY: the call is one by the server, which tells whether it is for an aggregate, and in which memory that lives.
        let kind = unsafe { pg_sys::AggCheckCallContext(self.0, &raw mut context) };
        if kind == 0 {
            pgrx::error!("an aggregate's function was called outside of one");
        }
        // SAFETY: the context was named just now; the state is dropped with it, and not used after.
        unsafe { &mut *PgMemoryContexts::For(context).leak_and_drop_on_delete(T::default()) }
    }

    /// The state as it was passed.
    fn unchanged(self) -> pg_sys::Datum {
        self.argument(0).unwrap_or_else(|| self.null())
    }

    fn null(self) -> pg_sys::Datum {
        // SAFETY: the call is one by the server.
        unsafe { (*self.0).isnull = true };
        pg_sys::Datum::null()
    }
}

/// A state as the server passes it on.
fn passed<T>(state: &mut T) -> pg_sys::Datum {
    pg_sys::Datum::from(std::ptr::from_mut(state))
}

/// Functions that the server calls with its own convention; 42_drift.sql declares them.
macro_rules! called_by_server {
    ($($(#[$doc:meta])* $name:ident, $record:ident: |$call:ident| $body:block)*) => {$(
        /// Says by which convention the function of this name is called.
        #[unsafe(no_mangle)]
        pub extern "C" fn $record() -> &'static pg_sys::Pg_finfo_record {
            const CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &CONVENTION
        }

        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[pg_guard]
        pub unsafe extern "C-unwind" fn $name(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            let $call = Call(fcinfo);
            $body
        }
    )*};
}

/// Summaries within a window that moves.
type Summaries = VecDeque<Summary>;

called_by_server! {
    /// A row of costsim_drift.
    _costsim_drift_add, pg_finfo__costsim_drift_add: |call| {
        let Some((v1, v2)) = call.pair() else { return call.unchanged() };
        let state: &mut Summary = call.state_or_default();
        must(state.add(v1, v2).map_err(refused));
        passed(state)
    }

    /// A row of costsim_drift_merge.
    _costsim_drift_merge, pg_finfo__costsim_drift_merge: |call| {
        let Some(summary) = call.summary(1) else { return call.unchanged() };
        let state: &mut Summary = call.state_or_default();
        must(state.merge(&summary).map_err(refused));
        passed(state)
    }

    /// The states of two processes, of either aggregate.
    _costsim_drift_combine, pg_finfo__costsim_drift_combine: |call| {
        let Some(other) = call.state::<Summary>(1) else { return call.unchanged() };
        let state: &mut Summary = call.state_or_default();
        must(state.merge(other).map_err(refused));
        passed(state)
    }

    /// The answer of either aggregate; without a row, that of no pairs.
    _costsim_drift_final, pg_finfo__costsim_drift_final: |call| {
        match call.state::<Summary>(0) {
            Some(state) => {
                must(state.settle().map_err(refused));
                must(DriftSummary::of(state)).0
            }
            None => must(DriftSummary::of(&Summary::default())).0,
        }
    }

    /// A state on its way to another process.
    _costsim_drift_serial, pg_finfo__costsim_drift_serial: |call| {
        let Some(state) = call.state::<Summary>(0) else { return call.null() };
        must(state.settle().map_err(refused));
        must(DriftSummary::of(state)).0
    }

    /// The state that came from another process.
    _costsim_drift_deserial, pg_finfo__costsim_drift_deserial: |call| {
        let Some(summary) = call.summary(0) else { return call.null() };
        // The server combines it with another state before it resets the memory of this call.
        pg_sys::Datum::from(PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(summary))
    }

    /// A row enters the window of costsim_drift. The server wants a state even of one that is no pair.
    _costsim_drift_enter, pg_finfo__costsim_drift_enter: |call| {
        let state: &mut Moving = call.state_or_default();
        if let Some((v1, v2)) = call.pair() {
            must(state.add(v1, v2).map_err(refused));
        }
        passed(state)
    }

    /// The oldest row leaves the window of costsim_drift; NULL, and the server counts anew, if it is not the one that entered.
    _costsim_drift_leave, pg_finfo__costsim_drift_leave: |call| {
        let Some((v1, v2)) = call.pair() else { return call.unchanged() };
        let Some(state) = call.state::<Moving>(0) else { return call.null() };
        if state.remove(v1, v2) { passed(state) } else { call.null() }
    }

    /// The answer for a window of costsim_drift.
    _costsim_drift_window, pg_finfo__costsim_drift_window: |call| {
        match call.state::<Moving>(0) {
            Some(state) => DriftSummary::new(&must(state.to_bytes().map_err(refused))).0,
            None => must(DriftSummary::of(&Summary::default())).0,
        }
    }

    /// A summary enters the window of costsim_drift_merge.
    _costsim_drift_merge_enter, pg_finfo__costsim_drift_merge_enter: |call| {
        let state: &mut Summaries = call.state_or_default();
        if let Some(summary) = call.summary(1) {
            must(state.try_reserve(1).map_err(|error| refused(error.into())));
            state.push_back(summary);
        }
        passed(state)
    }

    /// The oldest summary leaves the window of costsim_drift_merge.
    _costsim_drift_merge_leave, pg_finfo__costsim_drift_merge_leave: |call| {
        if call.argument(1).is_none() {
            return call.unchanged();
        }
        let Some(state) = call.state::<Summaries>(0) else { return call.null() };
        if state.pop_front().is_some() { passed(state) } else { call.null() }
    }

    /// The answer for a window of costsim_drift_merge.
    _costsim_drift_merge_window, pg_finfo__costsim_drift_merge_window: |call| {
        let mut merged = Summary::default();
        let summaries = call.state::<Summaries>(0);
        must(summaries.into_iter().flatten().try_for_each(|summary| merged.merge(summary)).map_err(refused));
        must(DriftSummary::of(&merged)).0
    }
}
