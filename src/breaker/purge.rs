//! How long is remembered what happened to breakers: incidents that are over, and events.
//!
//! Nobody may delete an event but [`costsim_purge_breaker_events`] and the worker: the trigger lets one statement of theirs pass.

use std::cell::Cell;

use pgrx::pg_sys::BuiltinOid::{INT8OID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::db::{self, Statement};
use crate::error::{Answer, Result};
use crate::maintenance::{self, Purge, Step, Task};

/// What another hand has resolved bears no time at which it did. The incident that a breaker's row names stays.
static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_cb_incidents
      WHERE resolved
        AND id = ANY (ARRAY(SELECT i.id FROM ONLY @schema@.costsim_cb_incidents i
                             WHERE i.resolved AND coalesce(i.resolved_at, i.\"timestamp\") < $1
                               AND NOT EXISTS (SELECT FROM @schema@.costsim_cb_state s WHERE i.id IN (s.incident_id, s.opened_incident_id))
                             ORDER BY coalesce(i.resolved_at, i.\"timestamp\") LIMIT $2 FOR UPDATE OF i SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

/// The last decision about a breaker stays, for it is explained, and its last change, for metrics tell when that was; and so does what belongs to an
/// incident that is not over.
static DELETE_EVENTS: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_cb_events
      WHERE id = ANY (ARRAY(SELECT e.id FROM ONLY @schema@.costsim_cb_events e
                             WHERE e.happened_at < $1
                               AND EXISTS (SELECT FROM @schema@.costsim_cb_events l
                                            WHERE l.circuit_breaker_name = e.circuit_breaker_name AND l.id > e.id
                                              AND l.cause NOT IN ('configured', 'escalated'))
                               AND (e.from_state = e.to_state
                                    OR EXISTS (SELECT FROM @schema@.costsim_cb_events l
                                                WHERE l.circuit_breaker_name = e.circuit_breaker_name AND l.id > e.id
                                                  AND l.from_state <> l.to_state))
                               AND NOT EXISTS (SELECT FROM @schema@.costsim_cb_incidents i WHERE i.id = e.incident_id AND NOT i.resolved)
                             ORDER BY e.happened_at LIMIT $2 FOR UPDATE OF e SKIP LOCKED))",
    &[TIMESTAMPTZOID, INT8OID],
);

const INCIDENTS: Purge =
    Purge { table: c"costsim_cb_incidents", task: Task::PurgeIncidents, delete: &DELETE };

const EVENTS: Purge =
    Purge { table: c"costsim_cb_events", task: Task::PurgeBreakerEvents, delete: &DELETE_EVENTS };

thread_local! {
    static MAY_PASS: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, one statement may delete events. An error ends it as well.
struct Passage;

impl Passage {
    fn open() -> Self {
        MAY_PASS.set(true);
        Self
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        MAY_PASS.set(false);
    }
}

/// Whether the statement that deletes events just now is the purge's, which is asked once: a statement of somebody's trigger finds the passage
/// closed, or closes it to the purge.
pub fn lets_go() -> bool {
    MAY_PASS.replace(false)
}

/// Deletes incidents that were resolved longer ago than that, those that were so first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["breaker"])]
fn costsim_purge_incidents(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(INCIDENTS.by_hand(c"costsim_purge_incidents()", older_than, max_rows)?)
}

/// Deletes events of longer ago than that, but the last decision about a breaker, its last change, and what belongs to an incident that is
/// not over, the oldest first, at most so many: how many.
#[pg_extern(volatile, parallel_unsafe, requires = ["breaker"])]
fn costsim_purge_breaker_events(
    older_than: default!(Option<Interval>, "'90 days'"),
    max_rows: default!(Option<i64>, 10_000),
) -> Answer<i64> {
    Ok(maintenance::by_hand(c"costsim_purge_breaker_events()", older_than, max_rows, purge_events)?)
}

/// Deletes some incidents that are too old: how many.
pub fn purge_some_incidents(step: Step) -> Result<i64> {
    INCIDENTS.some(step)
}

/// Deletes some events that are too old: how many.
pub fn purge_some_events(step: Step) -> Result<i64> {
    db::check_deferred_constraints()?;
    purge_events(step)
}

fn purge_events(step: Step) -> Result<i64> {
    let _passage = Passage::open();
    EVENTS.purge(step)
}
