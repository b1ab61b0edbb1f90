//! What is called for every failed run: the key of its signature, and an aggregate of what is shown of a group.
//!
//! 72_pattern.sql declares these functions. A group's state is bounded: the newest runs, the first one, and the first names of workers. It lies in the
//! server's memory, which so knows what an aggregation takes, and puts off groups beyond `work_mem` to disk; and it can be passed between parallel workers.

use std::cell::RefCell;

use costsim_core::signature::{LONGEST_TEXT, Method, Normaliser, Signature};
use pgrx::pg_sys;
use pgrx::prelude::*;
use serde_json::json;

use crate::call::{Call, called_by_server, passed};

/// The runs that a row shows, and how many bytes their ids have together.
const NEWEST: usize = 100;
const BYTES_SHOWN: usize = 8_192;

/// The workers that a row names.
const WORKERS: usize = 20;

/// The most entries that a log has: more than twice what is shown of it, so that it is seldom gone through.
const MOST_ENTRIES: usize = 256;

/// The most bytes of a name; rows with longer ones are no runs.
const LONGEST_NAME: usize = 512;

/// What a log has first; an entry of common size.
const FIRST_BYTES: usize = 64;

thread_local! {
    static NORMALISER: RefCell<Normaliser> = RefCell::default();
}

/// A run, as a log has it: when, the lengths of both names, the names.
#[derive(Clone, Copy)]
struct Entry<'a> {
    at: i64,
    id: &'a str,
    worker: &'a str,
}

/// The length of what stands before the names.
const HEAD: usize = 12;

/// The entries of a log.
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (head, rest) = self.0.split_first_chunk::<HEAD>()?;
        let [a, b, c, d, e, f, g, h, one, two, three, four] = *head;
        let (id, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([one, two])))?;
        let (worker, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([three, four])))?;
        self.0 = rest;
        let (id, worker) = (std::str::from_utf8(id).ok()?, std::str::from_utf8(worker).ok()?);
        Some(Entry { at: i64::from_le_bytes([a, b, c, d, e, f, g, h]), id, worker })
    }
}

/// Of runs with one signature: a log of them, in which those that nobody will be shown need not stand.
struct Occurrences {
    log: pg_sys::StringInfoData,
    entries: usize,
    /// How many entries at the beginning have each another worker, in the order of their names.
    named: usize,
    /// The last of the newest, and the first run, when the log was last gone through.
    least: i64,
    first: i64,
}

impl Occurrences {
    /// Of no runs.
    fn new<'a>(context: pg_sys::MemoryContext) -> &'a mut Self {
        let size = size_of::<Self>();
        // SAFETY: both pieces are of the sizes that are asked for, and live as long as the context, in which the log stays when it grows. The
        // server's memory is aligned for every type.
        unsafe {
            let place = pg_sys::MemoryContextAlloc(context, size).cast::<Self>();
            let data = pg_sys::MemoryContextAlloc(context, FIRST_BYTES).cast();
            let log = pg_sys::StringInfoData { data, len: 0, maxlen: FIRST_BYTES as i32, cursor: 0 };
            place.write(Self { log, entries: 0, named: 0, least: i64::MIN, first: i64::MIN });
            &mut *place
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes have been written.
        unsafe { std::slice::from_raw_parts(self.log.data.cast(), self.log.len as usize) }
    }

    fn add(&mut self, entry: Entry<'_>) {
        if self.is_passed_over(entry) {
            return;
        }
        if self.entries >= MOST_ENTRIES {
            self.cut();
        }
        self.append(entry);
    }

    fn append(&mut self, entry: Entry<'_>) {
        let lengths = [entry.id.len() as u16, entry.worker.len() as u16].map(u16::to_le_bytes);
        let parts: [&[u8]; 5] =
            [&entry.at.to_le_bytes(), &lengths[0], &lengths[1], entry.id.as_bytes(), entry.worker.as_bytes()];
        for part in parts {
            // SAFETY: the log is one that the server makes larger where it lies.
            unsafe {
                pg_sys::appendBinaryStringInfo(&raw mut self.log, part.as_ptr().cast(), part.len() as i32)
            };
        }
        self.entries += 1;
    }

    /// Whether a run is neither among the newest nor the first, and its worker is named without it or never.
    fn is_passed_over(&self, entry: Entry<'_>) -> bool {
        if entry.at >= self.least || entry.at <= self.first {
            return false;
        }
        let mut names = Entries(self.bytes()).take(self.named).map(|entry| entry.worker);
        names.any(|name| name == entry.worker)
            || self.named == WORKERS
                && Entries(self.bytes()).nth(WORKERS - 1).is_some_and(|last| entry.worker > last.worker)
    }

    /// Leaves out what nobody will be shown.
    fn cut(&mut self) {
        let bytes = self.bytes().to_vec();
        let entries: Vec<_> = Entries(&bytes).collect();
        let named = first_workers(&entries);
        let newest = newest(&entries);
        let first = first(&entries);
        let mut is_kept = vec![false; entries.len()];
        for &place in newest.iter().chain(&first) {
            is_kept[place] = true;
        }
        for &place in &named {
            is_kept[place] = false;
        }
        self.log.len = 0;
        self.entries = 0;
        self.named = named.len();
        self.least =
            newest.last().filter(|_| newest.len() == NEWEST).map_or(i64::MIN, |&place| entries[place].at);
        self.first = first.map_or(i64::MIN, |place| entries[place].at);
        for &place in &named {
            self.append(entries[place]);
        }
        for (entry, _) in entries.iter().zip(is_kept).filter(|(_, is_kept)| *is_kept) {
            self.append(*entry);
        }
    }

    /// What a row shows.
    fn shown(&self) -> String {
        let entries: Vec<_> = Entries(self.bytes()).collect();
        let mut room = BYTES_SHOWN;
        let runs: Vec<_> = newest(&entries)
            .into_iter()
            .map(|place| entries[place].id)
            .take_while(|id| {
                let fits = id.len() <= room;
                room = room.saturating_sub(id.len());
                fits
            })
            .collect();
        json!({
            "runs": runs,
            "first_worker": first(&entries).map(|place| entries[place].worker),
            "workers": first_workers(&entries).into_iter().map(|place| entries[place].worker).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

/// The places of the newest, the newest first.
fn newest(entries: &[Entry<'_>]) -> Vec<usize> {
    let by_newness = |one: &usize, two: &usize| {
        let (one, two) = (&entries[*one], &entries[*two]);
        (two.at, two.id).cmp(&(one.at, one.id))
    };
    let mut places: Vec<_> = (0..entries.len()).collect();
    if places.len() > NEWEST {
        places.select_nth_unstable_by(NEWEST, by_newness);
        places.truncate(NEWEST);
    }
    places.sort_unstable_by(by_newness);
    places
}

fn first(entries: &[Entry<'_>]) -> Option<usize> {
    (0..entries.len()).min_by_key(|&place| (entries[place].at, entries[place].id))
}

/// A place for each of the first names of workers, in their order.
fn first_workers(entries: &[Entry<'_>]) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::with_capacity(WORKERS + 1);
    for (place, entry) in entries.iter().enumerate() {
        if places.len() == WORKERS && places.last().is_some_and(|&last| entries[last].worker < entry.worker) {
            continue;
        }
        if let Err(at) = places.binary_search_by(|&known| entries[known].worker.cmp(entry.worker)) {
            places.insert(at, place);
            places.truncate(WORKERS);
        }
    }
    places
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
        if id.len() > LONGEST_NAME || worker.len() > LONGEST_NAME {
            return call.unchanged();
        }
        let state = call.state(0).unwrap_or_else(|| Occurrences::new(call.memory()));
        state.add(Entry { at, id, worker });
        passed(state)
    }

    /// Two states of _costsim_occurrences in one.
    _costsim_occurrences_combine, pg_finfo__costsim_occurrences_combine: |fcinfo| {
        let call = Call(fcinfo);
        let Some(other) = call.state::<Occurrences>(1) else { return call.unchanged() };
        let state = call.state(0).unwrap_or_else(|| Occurrences::new(call.memory()));
        for entry in Entries(other.bytes()) {
            state.add(entry);
        }
        passed(state)
    }

    /// A state of _costsim_occurrences, to be passed to another process.
    _costsim_occurrences_serialize, pg_finfo__costsim_occurrences_serialize: |fcinfo| {
        let call = Call(fcinfo);
        // Declared STRICT.
        let Some(state) = call.state::<Occurrences>(0) else { return call.null() };
        if state.entries > NEWEST {
            state.cut();
        }
        state.bytes().into_datum().unwrap_or(pg_sys::Datum::null())
    }

    /// A state of _costsim_occurrences that was passed so.
    _costsim_occurrences_deserialize, pg_finfo__costsim_occurrences_deserialize: |fcinfo| {
        let call = Call(fcinfo);
        let Some(log) = call.bytes(0) else { return call.null() };
        // Outside of an aggregate there is no such call. The state is looked at once, and goes with the row.
        call.memory();
        let state = Occurrences::new(pgrx::PgMemoryContexts::CurrentMemoryContext.value());
        for entry in Entries(log) {
            state.append(entry);
        }
        passed(state)
    }

    /// The answer of _costsim_occurrences.
    _costsim_occurrences_final, pg_finfo__costsim_occurrences_final: |fcinfo| {
        let call = Call(fcinfo);
        let Some(state) = call.state::<Occurrences>(0) else { return call.null() };
        state.shown().into_datum().unwrap_or(pg_sys::Datum::null())
    }
}
