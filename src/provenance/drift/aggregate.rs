//! What the aggregates costsim_drift and costsim_drift_merge do with a row, with each other's states, and in a window that moves.
//!
//! A state lives in the aggregate's own memory and goes with it. 42_drift.sql declares these functions.

use std::collections::VecDeque;

use costsim_core::drift::{Moving, Summary};
use pgrx::PgMemoryContexts;
use pgrx::pg_sys;

use super::{DriftSummary, refused};
use crate::call::{called_by_server, must};

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

/// Summaries within a window that moves.
type Summaries = VecDeque<Summary>;

called_by_server! {
    /// A row of costsim_drift.
    _costsim_drift_add, pg_finfo__costsim_drift_add: |fcinfo| {
        let call = Call(fcinfo);
        let Some((v1, v2)) = call.pair() else { return call.unchanged() };
        let state: &mut Summary = call.state_or_default();
        must(state.add(v1, v2).map_err(refused));
        passed(state)
    }

    /// A row of costsim_drift_merge.
    _costsim_drift_merge, pg_finfo__costsim_drift_merge: |fcinfo| {
        let call = Call(fcinfo);
        let Some(summary) = call.summary(1) else { return call.unchanged() };
        let state: &mut Summary = call.state_or_default();
        must(state.merge(&summary).map_err(refused));
        passed(state)
    }

    /// The states of two processes, of either aggregate.
    _costsim_drift_combine, pg_finfo__costsim_drift_combine: |fcinfo| {
        let call = Call(fcinfo);
        let Some(other) = call.state::<Summary>(1) else { return call.unchanged() };
        let state: &mut Summary = call.state_or_default();
        must(state.merge(other).map_err(refused));
        passed(state)
    }

    /// The answer of either aggregate; without a row, that of no pairs.
    _costsim_drift_final, pg_finfo__costsim_drift_final: |fcinfo| {
        let call = Call(fcinfo);
        match call.state::<Summary>(0) {
            Some(state) => {
                must(state.settle().map_err(refused));
                must(DriftSummary::of(state)).0
            }
            None => must(DriftSummary::of(&Summary::default())).0,
        }
    }

    /// A state on its way to another process.
    _costsim_drift_serial, pg_finfo__costsim_drift_serial: |fcinfo| {
        let call = Call(fcinfo);
        let Some(state) = call.state::<Summary>(0) else { return call.null() };
        must(state.settle().map_err(refused));
        must(DriftSummary::of(state)).0
    }

    /// The state that came from another process.
    _costsim_drift_deserial, pg_finfo__costsim_drift_deserial: |fcinfo| {
        let call = Call(fcinfo);
        let Some(summary) = call.summary(0) else { return call.null() };
        // The server combines it with another state before it resets the memory of this call.
        pg_sys::Datum::from(PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(summary))
    }

    /// A row enters the window of costsim_drift. The server wants a state even of one that is no pair.
    _costsim_drift_enter, pg_finfo__costsim_drift_enter: |fcinfo| {
        let call = Call(fcinfo);
        let state: &mut Moving = call.state_or_default();
        if let Some((v1, v2)) = call.pair() {
            must(state.add(v1, v2).map_err(refused));
        }
        passed(state)
    }

    /// The oldest row leaves the window of costsim_drift; NULL, and the server counts anew, if it is not the one that entered.
    _costsim_drift_leave, pg_finfo__costsim_drift_leave: |fcinfo| {
        let call = Call(fcinfo);
        let Some((v1, v2)) = call.pair() else { return call.unchanged() };
        let Some(state) = call.state::<Moving>(0) else { return call.null() };
        if state.remove(v1, v2) { passed(state) } else { call.null() }
    }

    /// The answer for a window of costsim_drift.
    _costsim_drift_window, pg_finfo__costsim_drift_window: |fcinfo| {
        let call = Call(fcinfo);
        match call.state::<Moving>(0) {
            Some(state) => DriftSummary::new(&must(state.to_bytes().map_err(refused))).0,
            None => must(DriftSummary::of(&Summary::default())).0,
        }
    }

    /// A summary enters the window of costsim_drift_merge.
    _costsim_drift_merge_enter, pg_finfo__costsim_drift_merge_enter: |fcinfo| {
        let call = Call(fcinfo);
        let state: &mut Summaries = call.state_or_default();
        if let Some(summary) = call.summary(1) {
            must(state.try_reserve(1).map_err(|error| refused(error.into())));
            state.push_back(summary);
        }
        passed(state)
    }

    /// The oldest summary leaves the window of costsim_drift_merge.
    _costsim_drift_merge_leave, pg_finfo__costsim_drift_merge_leave: |fcinfo| {
        let call = Call(fcinfo);
        if call.argument(1).is_none() {
            return call.unchanged();
        }
        let Some(state) = call.state::<Summaries>(0) else { return call.null() };
        if state.pop_front().is_some() { passed(state) } else { call.null() }
    }

    /// The answer for a window of costsim_drift_merge.
    _costsim_drift_merge_window, pg_finfo__costsim_drift_merge_window: |fcinfo| {
        let call = Call(fcinfo);
        let mut merged = Summary::default();
        let summaries = call.state::<Summaries>(0);
        must(summaries.into_iter().flatten().try_for_each(|summary| merged.merge(summary)).map_err(refused));
        must(DriftSummary::of(&merged)).0
    }
}
