//! What this session remembers of the cost models: pricing a plan reads no table.
//!
//! ```text
//!   any session: INSERT, UPDATE, DELETE, TRUNCATE of the two tables -> trigger -> the server tells all at commit
//!   this session, at every look: take in what was told -> forget everything if it was of these tables, or if what was
//!                                read may have been rolled back -> read all that was known, and what is wanted, in one statement
//! ```
//!
//! Promises: a look sees what is committed at that moment, or done by a command of this very transaction that has ended, and never what was rolled back; where the
//! transaction sees one snapshot to its end, it is what that shows. All that is known, and so both models of a pair, are of one state of
//! the tables. Does not promise one state to a query of many looks: what is committed meanwhile shows from its next look on. Who needs
//! that runs it under REPEATABLE READ.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use costsim_core::simulate::Model;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use super::store;
use crate::db;
use crate::error::{Error, Result};

/// How often a read is repeated because the tables changed under it, before its answer is used without being remembered.
const MOST_READS: usize = 8;

/// The most bytes of a name: an index takes no longer ones.
const LONGEST_NAME: usize = 2_704;

/// Versions remembered at most: more are forgotten, all at once. Nobody compares hundreds, and a session lives long.
const MOST_KNOWN: usize = 64;

thread_local! {
    static MEMORY: Memory = const {
        Memory {
            tables: Cell::new([pg_sys::InvalidOid; 2]),
            changes: Cell::new(0),
            is_watching: Cell::new(false),
            known_as_of: Cell::new(0),
            known_in: Cell::new(None),
            may_be_undone: Cell::new(false),
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
    /// How many changes what is known takes into account.
    known_as_of: Cell<u64>,
    /// The transaction whose snapshot shows what is known; none when it is what is committed.
    known_in: Cell<Option<u32>>,
    /// Whether what is known may have been written by the transaction that read it.
    may_be_undone: Cell<bool>,
    /// Of one state of the tables, read in one statement. Never borrowed while anything else runs.
    known: RefCell<Vec<Known>>,
}

/// A model as it is asked for: its name, and the version unless it is the active one.
pub type Asked<'a> = (&'a str, Option<&'a str>);

/// A model by what was asked for.
struct Known {
    name: Box<str>,
    version: Option<Box<str>>,
    model: Rc<Model>,
}

impl Known {
    fn asked(&self) -> Asked<'_> {
        (&self.name, self.version.as_deref())
    }
}

impl Memory {
    /// Forgets what has become old.
    fn refresh(&self) {
        db::accept_changes();
        let transaction = db::lasting_transaction();
        if self.known_as_of.get() != self.changes.get() || self.known_in.get() != transaction {
            self.known.borrow_mut().clear();
            self.known_as_of.set(self.changes.get());
            self.known_in.set(transaction);
            self.may_be_undone.set(false);
        }
    }

    fn note_change(&self) {
        self.changes.set(self.changes.get().wrapping_add(1));
    }

    /// What was read in a (sub)transaction that has come to nothing is not to be relied on.
    fn note_abort(&self) {
        if self.may_be_undone.get() {
            self.note_change();
        }
    }
}

/// A model, in a version or in the active one.
pub fn look(name: &str, version: Option<&str>) -> Result<Rc<Model>> {
    let [model] = each([(name, version)])?;
    model
}

/// Two models of one state of the tables.
pub fn pair(first: Asked<'_>, second: Asked<'_>) -> Result<[Rc<Model>; 2]> {
    let [first, second] = each([first, second])?;
    Ok([first?, second?])
}

/// Models of one state of the tables, each of which may be unknown for itself. What waits to be dropped where it is called is lost should the
/// server raise an error.
pub fn each<const N: usize>(asked: [Asked<'_>; N]) -> Result<[Result<Rc<Model>>; N]> {
    // A name that no row has the room for is not looked for.
    if let Some((name, version)) = asked.iter().find(|(name, version)| {
        name.len() > LONGEST_NAME || version.is_some_and(|version| version.len() > LONGEST_NAME)
    }) {
        return Err(unknown(name, *version)?);
    }
    MEMORY.with(|memory| {
        memory.refresh();
        let found = {
            let known = memory.known.borrow();
            asked.map(|asked| {
                known.iter().find(|known| known.asked() == asked).map(|known| Rc::clone(&known.model))
            })
        };
        if found.iter().all(Option::is_some) {
            let lost = || Error::Internal("a model that is known is not".into());
            return Ok(found.map(|model| model.ok_or_else(lost)));
        }
        drop(found);
        read(memory, asked)
    })
}

/// Reads the models that are asked for, and anew those that are known, and remembers them unless the tables have changed meanwhile.
fn read<const N: usize>(memory: &Memory, asked: [Asked<'_>; N]) -> Result<[Result<Rc<Model>>; N]> {
    if !memory.is_watching.get() {
        db::watch_relations(on_change)?;
        db::watch_ends(Some(on_transaction), Some(on_subtransaction));
        memory.is_watching.set(true);
    }
    let mut wanted: Vec<(Box<str>, Option<Box<str>>)> =
        asked.iter().map(|(name, version)| ((*name).into(), version.map(Into::into))).collect();
    let known = memory.known.take();
    if known.len() + N <= MOST_KNOWN {
        let others = known.into_iter().filter(|known| !asked.contains(&known.asked()));
        wanted.extend(others.map(|known| (known.name, known.version)));
    }
    for attempt in 1.. {
        let (changes, models) = db::as_owner(|| read_once(memory, &wanted))?;
        let models: Vec<Result<Option<Rc<Model>>>> =
            models.into_iter().map(|model| Ok(model?.map(Rc::new))).collect();
        if changes == memory.changes.get() {
            let mut known: Vec<Known> = Vec::new();
            for ((name, version), model) in wanted.iter().zip(&models) {
                let is_new = known.iter().all(|known| known.asked() != (name, version.as_deref()));
                if let (Ok(Some(model)), true) = (model, is_new) {
                    known.push(Known {
                        name: name.clone(),
                        version: version.clone(),
                        model: Rc::clone(model),
                    });
                }
            }
            memory.known.replace(known);
            memory.known_as_of.set(changes);
            memory.may_be_undone.set(db::has_written());
        } else if attempt < MOST_READS {
            continue;
        }
        let mut models = models.into_iter();
        return Ok(asked.map(|(name, version)| match models.next() {
            Some(Ok(Some(model))) => Ok(model),
            Some(Err(refused)) => Err(refused),
            Some(Ok(None)) | None => Err(unknown(name, version)?),
        }));
    }
    Err(Error::Internal("the models were never read".into()))
}

/// What the tables say, and which changes of them that is sure to take into account.
fn read_once(
    memory: &Memory,
    wanted: &[(Box<str>, Option<Box<str>>)],
) -> Result<(u64, Vec<Result<Option<Model>>>)> {
    // First what to listen to, so that no change goes unnoticed.
    memory.tables.set(tables()?);
    let changes = memory.changes.get();
    let asked: Vec<Asked<'_>> = wanted.iter().map(|(name, version)| (&**name, version.as_deref())).collect();
    let models = if db::has_lasting_snapshot() {
        // What this transaction has done itself shows, whatever the query saw at its beginning.
        db::with_transaction_snapshot(|| store::models(&asked, true))?
    } else {
        store::models(&asked, false)?
    };
    Ok((changes, models))
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
            memory.note_change();
        }
    });
}

/// The messages of a change do not tell of its end if that comes before they are sent: in a trigger that is fired before ours, say.
#[pg_guard]
unsafe extern "C-unwind" fn on_transaction(event: pg_sys::XactEvent::Type, _argument: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    MEMORY.with(|memory| match event {
        XACT_EVENT_ABORT | XACT_EVENT_PREPARE => memory.note_abort(),
        XACT_EVENT_COMMIT => memory.may_be_undone.set(false),
        _ => {}
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn on_subtransaction(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
        MEMORY.with(Memory::note_abort);
    }
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
