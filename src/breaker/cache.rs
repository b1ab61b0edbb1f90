//! What this session remembers of the breakers: the hot path reads no table.
//!
//! ```text
//!   any session: INSERT, UPDATE, DELETE, TRUNCATE of costsim_cb_state
//!       -> trigger -> the bell rings: told by the server to all at commit, to the session itself at its next command
//!   this session, at every look: take in what was told -> forget everything if it was the bell -> read what is missing
//! ```
//!
//! The bell is a relation, and ringing is to say that its definition has changed. The server tells everybody of such a change, waits for
//! nobody, replays it on a standby, and tells the own session of its changes at once and of their rollback too. So what is remembered is what is committed, or done by this very
//! transaction, at the moment of the look: whatever the isolation level, and without a lock.

use std::cell::{Cell, RefCell, RefMut};
use std::mem::ManuallyDrop;

use costsim_core::breaker::{self, Config, Effect, Event, Refused, Standing, State};
use pgrx::pg_sys;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::store::{self, Places};
use crate::error::{Error, Result};
use crate::{clock, convert, db};

/// The breaker that needs no making.
pub const DEFAULT_NAME: &str = "costsim_v2";

/// How often a read is repeated because the table changed under it, before its answer is used without being remembered.
const MOST_READS: usize = 8;

thread_local! {
    // Nothing of it needs to be done at the end of a process, and what needs nothing costs nothing to reach.
    static MEMORY: ManuallyDrop<Memory> = const {
        ManuallyDrop::new(Memory {
            places: Cell::new(Places { table: pg_sys::InvalidOid, bell: pg_sys::InvalidOid }),
            changes: Cell::new(0),
            is_watching: Cell::new(false),
            known_as_of: Cell::new(0),
            known: RefCell::new(FxHashMap::with_hasher(FxBuildHasher)),
        })
    };
}

struct Memory {
    /// The relations the messages are about. The table itself counts as well: what is done to it as a whole may have changed its rows.
    places: Cell<Places>,
    /// How often there was a message since this session began.
    changes: Cell<u64>,
    is_watching: Cell<bool>,
    /// How many of these changes what is known takes into account.
    known_as_of: Cell<u64>,
    /// Never borrowed while anything else runs: a message may come in the middle of that.
    known: RefCell<FxHashMap<Box<str>, Known>>,
}

impl Memory {
    /// What is known, without what has become old.
    fn known(&self) -> RefMut<'_, FxHashMap<Box<str>, Known>> {
        let mut known = self.known.borrow_mut();
        if self.known_as_of.get() != self.changes.get() {
            known.clear();
            self.known_as_of.set(self.changes.get());
        }
        known
    }

    fn note_change(&self) {
        self.changes.set(self.changes.get().wrapping_add(1));
    }
}

/// A breaker as it was read. Its count of failures may have grown since, from one upwards: that is told to nobody.
#[derive(Clone)]
pub struct Known {
    state: State,
    config: Config,
    /// When time changes something about it, by the server's count of microseconds.
    next_change: Option<pg_sys::TimestampTz>,
}

impl Known {
    fn new(state: State, config: Config) -> Self {
        let next_change = breaker::next_change(&state, &config).map(convert::micros);
        Self { state, config, next_change }
    }

    /// Whether work is held back, as of now.
    pub fn is_open(&self) -> bool {
        self.standing() != Standing::Closed
    }

    /// Where it stands, as of now. Time is asked only if it can matter.
    pub fn standing(&self) -> Standing {
        if self.is_due() {
            return breaker::as_of(&self.state, &self.config, clock::now()).phase.standing();
        }
        self.state.phase.standing()
    }

    /// Whether time has done something that nobody has written down.
    pub fn is_due(&self) -> bool {
        self.next_change.is_some_and(clock::has_come)
    }

    /// What an event would do, if this were all there is to know.
    pub fn foresee(&self, event: &Event) -> Result<Vec<Effect>, Refused> {
        breaker::step(&self.state, &self.config, event, clock::now(), 0.0).map(|(_, effects)| effects)
    }
}

/// Looks at a breaker.
pub fn look<T>(name: &str, look: impl FnOnce(&Known) -> T) -> Result<T> {
    db::accept_changes();
    let seen = MEMORY.with(|memory| match memory.known().get(name) {
        Some(known) => Ok(look(known)),
        None => Err(look),
    });
    match seen {
        Ok(answer) => Ok(answer),
        Err(look) => Ok(look(&read(name)?)),
    }
}

/// Reads a breaker, and remembers it unless the table has changed meanwhile.
fn read(name: &str) -> Result<Known> {
    MEMORY.with(|memory| {
        if !memory.is_watching.replace(true) {
            db::watch_relations(on_change)?;
        }
        let mut reads = 0;
        loop {
            let (changes, known) = db::as_owner(|| read_once(memory, name))?;
            reads += 1;
            if changes == memory.changes.get() {
                memory.known().insert(name.into(), known.clone());
                return Ok(known);
            }
            if reads >= MOST_READS {
                return Ok(known);
            }
        }
    })
}

/// What the table says, and which changes of it that is sure to take into account.
fn read_once(memory: &Memory, name: &str) -> Result<(u64, Known)> {
    // First what to listen to, so that no change goes unnoticed.
    let places = store::places()?;
    if memory.places.replace(places) != places {
        memory.note_change();
    }
    let changes = memory.changes.get();
    match store::peek(name)? {
        Some(stored) => Ok((changes, Known::new(stored.state, stored.config))),
        None if name == DEFAULT_NAME => Ok((changes, Known::new(State::QUIET, Config::default()))),
        None => Err(Error::no_such_breaker(name)),
    }
}

/// Called by the server in the middle of anything.
fn on_change(relation: pg_sys::Oid) {
    MEMORY.with(|memory| {
        let Places { table, bell } = memory.places.get();
        if [pg_sys::InvalidOid, table, bell].contains(&relation) {
            memory.note_change();
        }
    });
}
