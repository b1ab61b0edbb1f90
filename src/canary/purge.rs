//! How long canary reports are kept, with their samples and with what golden sets said in their runs.
//!
//! costsim_purge_canary_reports deletes by hand, with the rights of the caller, whatever is old enough; what the worker deletes changes no count.

use pgrx::pg_sys::BuiltinOid::{INT8OID, TEXTARRAYOID, TIMESTAMPTZOID};

use crate::convert;
use crate::db::{self, Statement, column};
use crate::error::Result;
use crate::maintenance::{self, Step, Task};

/// How many runs have failed in a row is counted back to the last that passed: from there on all stay, and so does the latest report.
static DELETE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_canary_reports
      WHERE id = ANY (ARRAY(SELECT r.id FROM ONLY @schema@.costsim_canary_reports r
                             WHERE r.\"timestamp\" < $1
                               AND r.id < (SELECT max(l.id) FROM @schema@.costsim_canary_reports l)
                               AND (r.status = 'insufficient_data'
                                    OR r.id < (SELECT p.id FROM @schema@.costsim_canary_reports p
                                                WHERE p.status = 'pass' ORDER BY p.id DESC LIMIT 1))
                             ORDER BY r.\"timestamp\" LIMIT $2 FOR UPDATE OF r SKIP LOCKED))
     RETURNING run_id",
    &[TIMESTAMPTZOID, INT8OID],
);

static DELETE_RESULTS: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_golden_results WHERE run_id = ANY ($1)",
    &[TEXTARRAYOID],
);

/// Deletes some reports that are too old: how many.
pub fn purge_some(step: Step) -> Result<i64> {
    db::check_deferred_constraints()?;
    let Some(before) = maintenance::before(step.age) else { return Ok(0) };
    // Either table's owner may have put triggers of his own on it: they must not run as the worker.
    let runs = db::as_owner_of(db::relation(c"costsim_canary_reports")?, || {
        DELETE.rows(&[before.into(), step.max_rows.into()], |row| column::<String>(row, 1))
    })?;
    let rows = convert::count(runs.len());
    if rows > 0 {
        db::as_owner_of(db::relation(c"costsim_golden_results")?, || DELETE_RESULTS.run(&[runs.into()]))?;
    }
    step.note(Task::PurgeCanaryReports, rows)?;
    Ok(rows)
}
