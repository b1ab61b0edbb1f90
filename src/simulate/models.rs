//! What this session remembers of the cost models: pricing a plan reads no table.
//!
//! ```text
//!   any session: INSERT, UPDATE, DELETE, TRUNCATE of the two tables -> trigger -> the server tells all at commit
//!   this session, at the first look of every query: take in what was told -> forget everything if it was of these tables
//! ```
//!
//! A query sees one state of a model from its first plan to its last, whatever is committed meanwhile: at the first look it is what is
//! committed then, or done by this very transaction. Where the transaction sees one snapshot to its end, it is what that shows. A
//! parallel query's processes look each for itself, at its beginning; and a query that goes on after one of another moment has looked, in a function it
//! calls, looks anew.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;

use costsim_core::simulate::Model;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use super::store;
use crate::db::{self, Moment};
use crate::error::{Error, Result};

/// How often a read is repeated because the tables changed under it, before its answer is used without being remembered.
const MOST_READS: usize = 8;

/// Versions remembered at most: more are forgotten, all at once. Nobody compares hundreds, and a session lives long.
const MOST_KNOWN: usize = 64;

thread_local! {
    static MEMORY: Memory = const {
        Memory {
            tables: Cell::new([pg_sys::InvalidOid; 2]),
            changes: Cell::new(0),
            is_watching: Cell::new(false),
            looked_at: Cell::new(None),
            known_as_of: Cell::new(0),
            known_in: Cell::new(None),
            known: RefCell::new(Vec::new()),
        }
    };
}

struct Memory {
    /// The relations the messages are about.
    tables: Cell<[pg_sys::Oid; 2]>,
    /// How often there was a message since this session began.
    changes: Cell<u64>,
    is_watching: Cell<bool>,
    /// The moment of the last look.
    looked_at: Cell<Option<Moment>>,
    /// How many changes what is known takes into account.
    known_as_of: Cell<u64>,
    /// The transaction whose snapshot shows what is known; none when it is what is committed.
    known_in: Cell<Option<u32>>,
    /// Never borrowed while anything else runs.
    known: RefCell<Vec<Known>>,
}

/// A model by what was asked for.
struct Known {
    name: Box<str>,
    version: Option<Box<str>>,
    model: Rc<Model>,
}

impl Memory {
    /// What is known, without what has become old.
    fn known(&self) -> RefMut<'_, Vec<Known>> {
        let moment = Moment::now();
        if moment.is_none() || moment != self.looked_at.get() {
            db::accept_changes();
            self.looked_at.set(moment);
            let transaction = moment.filter(|_| db::has_lasting_snapshot()).map(|moment| moment.transaction);
            if self.known_as_of.get() != self.changes.get() || self.known_in.get() != transaction {
                self.known.borrow_mut().clear();
                self.known_as_of.set(self.changes.get());
                self.known_in.set(transaction);
            }
        }
        self.known.borrow_mut()
    }
}

/// A model, in a version or in the active one.
pub fn look(name: &str, version: Option<&str>) -> Result<Rc<Model>> {
    let found = MEMORY.with(|memory| {
        let known = memory.known();
        let is_it = |known: &&Known| *known.name == *name && known.version.as_deref() == version;
        known.iter().find(is_it).map(|known| Rc::clone(&known.model))
    });
    found.map_or_else(|| read(name, version), Ok)
}

/// Reads a model, and remembers it unless the tables have changed meanwhile.
fn read(name: &str, version: Option<&str>) -> Result<Rc<Model>> {
    MEMORY.with(|memory| {
        if !memory.is_watching.get() {
            db::watch_relations(on_change)?;
            memory.is_watching.set(true);
        }
        for attempt in 1.. {
            let (changes, model) = db::as_owner(|| read_once(memory, name, version))?;
            let model = Rc::new(model);
            if changes == memory.changes.get() {
                // What was read before this may be older: it is read again when it is asked for.
                if changes != memory.known_as_of.get() {
                    memory.known.borrow_mut().clear();
                    memory.known_as_of.set(changes);
                }
                let mut known = memory.known.borrow_mut();
                if known.len() >= MOST_KNOWN {
                    known.clear();
                }
                known.push(Known {
                    name: name.into(),
                    version: version.map(Into::into),
                    model: Rc::clone(&model),
                });
                return Ok(model);
            }
            if attempt >= MOST_READS {
                return Ok(model);
            }
        }
        Err(Error::Internal("a model was never read".into()))
    })
}

/// What the tables say, and which changes of them that is sure to take into account.
fn read_once(memory: &Memory, name: &str, version: Option<&str>) -> Result<(u64, Model)> {
    // First what to listen to, so that no change goes unnoticed.
    memory.tables.set(tables()?);
    let changes = memory.changes.get();
    match store::model(name, version, db::has_lasting_snapshot())? {
        Some(model) => Ok((changes, model)),
        None => Err(no_such_model(name, version)?),
    }
}

/// What is said of a model that is not there: which ones are.
pub fn unknown(name: &str, version: Option<&str>) -> Result<Error> {
    db::as_owner(|| no_such_model(name, version))
}

fn no_such_model(name: &str, version: Option<&str>) -> Result<Error> {
    Ok(Error::no_such_model(name, version, format!("There are: {}.", store::known()?)))
}

fn tables() -> Result<[pg_sys::Oid; 2]> {
    Ok([db::relation(c"costsim_cost_models")?, db::relation(c"costsim_skill_costs")?])
}

/// Called by the server in the middle of anything.
fn on_change(relation: pg_sys::Oid) {
    MEMORY.with(|memory| {
        if relation == pg_sys::InvalidOid || memory.tables.get().contains(&relation) {
            memory.changes.set(memory.changes.get().wrapping_add(1));
        }
    });
}

/// After a row of either table has changed, or all are gone: every session reads the models anew.
#[pg_trigger]
fn _costsim_models_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    if let Err(error) = changed(trigger) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(None)
}

fn changed(trigger: &PgTrigger<'_>) -> Result<()> {
    let table = trigger.relid().map_err(|error| Error::Internal(error.to_string()))?;
    if !tables()?.contains(&table) {
        return Err(Error::invalid(
            "_costsim_models_changed() is for changes of the cost models",
            "Leave the extension's trigger functions to its own tables.",
        ));
    }
    db::tell_of_change(table);
    Ok(())
}
