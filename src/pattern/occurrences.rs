//! What is called for every failed run: the key of its signature, and an aggregate of what is shown of a group.
//!
//! 72_pattern.sql declares these functions. A group's state is bounded: the newest runs, and the first names of workers.

use std::cell::RefCell;
use std::collections::BTreeSet;

use costsim_core::signature::{LONGEST_TEXT, Method, Normaliser, Signature};
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use serde_json::json;

use crate::call::{Call, called_by_server, must, passed};
use crate::convert::Jsonb;

/// The runs that a row shows.
const NEWEST: usize = 100;

/// The workers that a row names.
const WORKERS: usize = 20;

thread_local! {
    static NORMALISER: RefCell<Normaliser> = RefCell::default();
}

/// Of runs with one signature.
#[derive(Default)]
struct Occurrences {
    /// By when, then by id: cut down whenever there are twice as many as are shown.
    newest: Vec<(i64, Box<str>)>,
    /// What a newcomer has to exceed.
    least: Option<i64>,
    first: Option<(i64, Box<str>, Box<str>)>,
    workers: BTreeSet<Box<str>>,
}

impl Occurrences {
    fn add(&mut self, at: i64, id: &str, worker: &str) {
        if self.least.is_none_or(|least| at >= least) {
            self.newest.push((at, id.into()));
            if self.newest.len() == 2 * NEWEST {
                self.cut();
            }
        }
        if self.first.as_ref().is_none_or(|(first, name, _)| (at, id) < (*first, name)) {
            self.first = Some((at, id.into(), worker.into()));
        }
        let is_wanted =
            self.workers.len() < WORKERS || self.workers.last().is_some_and(|last| worker < &**last);
        if is_wanted && !self.workers.contains(worker) {
            self.workers.insert(worker.into());
            if self.workers.len() > WORKERS {
                self.workers.pop_last();
            }
        }
    }

    fn cut(&mut self) {
        self.newest.sort_unstable_by(|one, two| two.cmp(one));
        self.newest.truncate(NEWEST);
        self.least = self.newest.last().filter(|_| self.newest.len() == NEWEST).map(|(at, _)| *at);
    }
}

called_by_server! {
    /// The key of an error's signature; of none, that of an empty one.
    _costsim_error_key, pg_finfo__costsim_error_key: |fcinfo| {
        let call = Call(fcinfo);
        let is_reference = call.argument(1).is_some_and(|datum| datum.value() != 0);
        let key = NORMALISER.with_borrow_mut(|normaliser| {
            if is_reference {
                return Signature::of(call.text(0).unwrap_or_default(), Method::Reference, normaliser);
            }
            Signature::of(call.beginning(0, LONGEST_TEXT).unwrap_or_default(), Method::Standard, normaliser)
        });
        key.key().into_datum().unwrap_or(pg_sys::Datum::null())
    }

    /// A run of _costsim_occurrences.
    _costsim_occurrences_add, pg_finfo__costsim_occurrences_add: |fcinfo| {
        let call = Call(fcinfo);
        let (Some(at), Some(id), Some(worker)) = (call.bigint(1), call.text(2), call.text(3)) else {
            return call.unchanged();
        };
        let state: &mut Occurrences = call.state_or_default();
        state.add(at, id, worker);
        passed(state)
    }

    /// The answer of _costsim_occurrences.
    _costsim_occurrences_final, pg_finfo__costsim_occurrences_final: |fcinfo| {
        let call = Call(fcinfo);
        let Some(state) = call.state::<Occurrences>(0) else { return call.null() };
        state.cut();
        let document = json!({
            "runs": state.newest.iter().map(|(_, id)| id).collect::<Vec<_>>(),
            "first_worker": state.first.as_ref().map(|(.., worker)| worker),
            "workers": state.workers,
        });
        let document = must(Jsonb::read(&document.to_string()).map_err(ErrorReport::from));
        document.into_datum().unwrap_or(pg_sys::Datum::null())
    }
}
