//! What the aggregates costsim_drift and costsim_drift_merge do with a row, with each other's states, and in a window that moves.
//!
//! A state lives in the aggregate's own memory and goes with it. 42_drift.sql declares these functions.

use std::collections::VecDeque;

use costsim_core::drift::{Moving, Summary};
use pgrx::PgMemoryContexts;
use pgrx::pg_sys;

use super::{DriftSummary, refused};
use crate::call::{Call, called_by_server, must, passed};

/// The pair in arguments 1 and 2.
fn pair(call: Call) -> Option<(f64, f64)> {
    call.double(1).zip(call.double(2))
}

fn summary(call: Call, place: usize) -> Option<Summary> {
    call.argument(place).map(|datum| must(DriftSummary(datum).read()))
}

/// Summaries within a window that moves.
type Summaries = VecDeque<Summary>;

called_by_server! {
    /// A row of costsim_drift.
    _costsim_drift_add, pg_finfo__costsim_drift_add: |fcinfo| {
        let call = Call(fcinfo);
        let Some((v1, v2)) = pair(call) else { return call.unchanged() };
        let state: &mut Summary = call.state_or_default();
        must(state.add(v1, v2).map_err(refused));
        passed(state)
    }

    /// A row of costsim_drift_merge.
    _costsim_drift_merge, pg_finfo__costsim_drift_merge: |fcinfo| {
        let call = Call(fcinfo);
        let Some(summary) = summary(call, 1) else { return call.unchanged() };
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
        let Some(summary) = summary(call, 0) else { return call.null() };
        // The server combines it with another state before it resets the memory of this call.
        pg_sys::Datum::from(PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(summary))
    }

    /// A row enters the window of costsim_drift. The server wants a state even of one that is no pair.
    _costsim_drift_enter, pg_finfo__costsim_drift_enter: |fcinfo| {
        let call = Call(fcinfo);
        let state: &mut Moving = call.state_or_default();
        if let Some((v1, v2)) = pair(call) {
            must(state.add(v1, v2).map_err(refused));
        }
        passed(state)
    }

    /// The oldest row leaves the window of costsim_drift; NULL, and the server counts anew, if it is not the one that entered.
    _costsim_drift_leave, pg_finfo__costsim_drift_leave: |fcinfo| {
        let call = Call(fcinfo);
        let Some((v1, v2)) = pair(call) else { return call.unchanged() };
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
        if let Some(summary) = summary(call, 1) {
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
