//! What Prometheus reads: metrics that are computed from the tables, so that replicas agree and a restart forgets nothing. `sql/92_metrics.sql` has them.
//!
//! Here is what SQL cannot do. A family that fails keeps no other from answering: each is a subtransaction of its own. And what a statement takes
//! away from a counter is kept, whoever deletes, in a row of its own for each label set. Nobody waits for anybody, and none is lost; now and then
//! the rows of a counter that was just written to are folded into one, as far as others leave them alone. TRUNCATE is not seen: who empties a table
//! wants it to begin anew.

use std::ffi::CStr;

use chrono::TimeDelta;
use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::BOOLOID;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::db::{self, Row, Statement, column, nullable};
use crate::error::{Error, Result};

/// How long a family waits for a lock: nobody holds one for longer than a moment, but for those who alter or restore a table.
const PATIENCE: TimeDelta = TimeDelta::milliseconds(250);

macro_rules! family {
    ($function:literal) => {
        Statement::reading(
            concat!("SELECT m.name, m.labels::text, m.value FROM @schema@.", $function, "() AS m"),
            &[],
        )
    };
}

static FAMILIES: [(&str, Statement); 10] = [
    ("breaker", family!("_costsim_metrics_breaker")),
    ("alert", family!("_costsim_metrics_alert")),
    ("worker", family!("_costsim_metrics_worker")),
    ("leader", family!("_costsim_metrics_leader")),
    ("canary", family!("_costsim_metrics_canary")),
    ("drift", family!("_costsim_metrics_drift")),
    ("cost", family!("_costsim_metrics_cost")),
    ("signal", family!("_costsim_metrics_signal")),
    ("audit", family!("_costsim_metrics_audit")),
    ("general", family!("_costsim_metrics_general")),
];

type Series = (String, String, Option<f64>);

fn series(row: &Row<'_>) -> Result<Series> {
    Ok((column(row, 1)?, column(row, 2)?, nullable(row, 3)?))
}

/// The series of all families, and of each whether it failed. Labels are the text of a JSON object.
#[pg_extern(volatile, parallel_unsafe, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn _costsim_metrics_families() -> std::result::Result<
    TableIterator<'static, (name!(name, String), name!(labels, String), name!(value, Option<f64>))>,
    ErrorReport,
> {
    let mut all = Vec::new();
    for (family, statement) in &FAMILIES {
        let found = db::contain_within(PATIENCE, || statement.rows(&[], series))?;
        let has_failed = f64::from(u8::from(found.is_err()));
        all.extend(found.unwrap_or_default());
        let labels = format!(r#"{{"family": "{family}"}}"#);
        all.push(("costsim_metrics_family_failed".to_owned(), labels, Some(has_failed)));
    }
    Ok(TableIterator::new(all))
}

/// Keeps rows of name, labels and value. One time in sixteen what was kept before of a counter that is written to is folded into one row, if $1 says
/// so: what others hold is left to them. By an index, so it costs the same however many counters there are; by chance, so that a transaction of very
/// many statements does not read all that it has folded again with each.
macro_rules! keeping {
    ($($rows:expr),+) => {
        Statement::deciding(
            concat!(
                "WITH written AS (
                     INSERT INTO @schema@.costsim_metrics_kept (name, labels, value) ",
                $($rows,)+
                " RETURNING id, name, labels
                 ), folded AS (
                     DELETE FROM @schema@.costsim_metrics_kept k
                      WHERE k.id = ANY (ARRAY(
                            SELECT o.id FROM written w
                              JOIN @schema@.costsim_metrics_kept o
                                ON o.name = w.name AND jsonb_hash_extended(o.labels, 0) = jsonb_hash_extended(w.labels, 0) AND o.labels = w.labels
                             WHERE $1 AND (hashint8(w.id) & 15) = 0
                               FOR UPDATE OF o SKIP LOCKED))
                     RETURNING k.name, k.labels, k.value
                 )
                 INSERT INTO @schema@.costsim_metrics_kept (name, labels, value)
                 SELECT f.name, f.labels, sum(f.value) FROM folded f GROUP BY f.name, f.labels"
            ),
            &[BOOLOID],
        )
    };
}

/// What deleted rows have counted for.
macro_rules! deleted {
    ($name:literal, $labels:literal, $value:literal, $which:literal, $by:literal) => {
        keeping!(
            "SELECT ",
            $name,
            ", jsonb_build_object(",
            $labels,
            "), ",
            $value,
            " FROM removed r WHERE ",
            $which,
            " GROUP BY ",
            $by
        )
    };
}

static INCIDENTS: Statement = deleted!(
    "'costsim_cb_incidents_total'",
    "'name', r.circuit_breaker_name, 'severity', r.severity",
    "count(*)",
    "true",
    "r.circuit_breaker_name, r.severity"
);

static BREAKER_EVENTS: Statement = deleted!(
    "CASE WHEN r.to_state = 'closed' THEN 'costsim_cb_enabled_total' ELSE 'costsim_cb_disabled_total' END",
    "'name', r.circuit_breaker_name, 'reason', r.cause",
    "count(*)",
    "(r.from_state = 'closed') <> (r.to_state = 'closed')",
    "r.to_state = 'closed', r.circuit_breaker_name, r.cause"
);

static TERMS: Statement = deleted!(
    "'costsim_leader_terms_total'",
    "'lock_id', r.lock_id::text",
    "sum(r.epoch)",
    "true",
    "r.lock_id"
);

static LEADER_EVENTS: Statement = deleted!(
    "'costsim_leader_events_total'",
    "'lock_id', r.lock_id::text, 'event', r.event",
    "count(*)",
    "true",
    "r.lock_id, r.event"
);

static TARGETS: Statement =
    deleted!("'costsim_alert_target_sent_total'", "'target', r.url", "sum(r.sent)", "r.sent > 0", "r.url");

static CANARY_REPORTS: Statement =
    deleted!("'costsim_v2_canary_runs_total'", "'status', r.status", "count(*)", "true", "r.status");

static TASKS: Statement = deleted!(
    "'costsim_task_rows_total'",
    "'task', r.task",
    "sum(r.total_rows)",
    "r.total_rows > 0",
    "r.task"
);

/// Whether a row of provenance counts: as the query of the counter has it.
macro_rules! is_pair {
    ($row:literal) => {
        concat!(
            $row,
            ".v1_cost IS NOT NULL AND ",
            $row,
            ".v2_cost IS NOT NULL AND ",
            $row,
            ".created_at > TIMESTAMPTZ '-infinity' AND ",
            $row,
            ".created_at < TIMESTAMPTZ '294276-12-31 00:00:00+00'"
        )
    };
}

static PROVENANCE: Statement = keeping!(
    "SELECT 'costsim_v2_provenance_logs_total', '{}'::jsonb, p.pairs
       FROM (SELECT count(*) AS pairs FROM removed r WHERE ",
    is_pair!("r"),
    ") p WHERE p.pairs > 0"
);

/// What an incident was of and is no more. Not by a join: its plan is kept, and what suits one row would take for ever with many.
static INCIDENTS_CHANGED: Statement = keeping!(
    "SELECT 'costsim_cb_incidents_total', jsonb_build_object('name', c.name, 'severity', c.severity), count(*)
       FROM (SELECT r.id, r.circuit_breaker_name, r.severity FROM removed r
             EXCEPT ALL
             SELECT a.id, a.circuit_breaker_name, a.severity FROM added a) c (id, name, severity)
      GROUP BY c.name, c.severity"
);

static PROVENANCE_CHANGED: Statement = keeping!(
    "SELECT 'costsim_v2_provenance_logs_total', '{}'::jsonb, c.pairs
       FROM (SELECT count(*) AS pairs
               FROM (SELECT r.id FROM removed r WHERE ",
    is_pair!("r"),
    " EXCEPT ALL SELECT a.id FROM added a WHERE ",
    is_pair!("a"),
    ") p) c WHERE c.pairs > 0"
);

static TARGETS_FAILED: Statement = keeping!(
    "SELECT 'costsim_cb_alert_send_failures_total', jsonb_build_object('target', f.url), sum(f.more)
       FROM (SELECT max(u.url), sum(u.n)
               FROM (SELECT r.id, r.url, -r.failures FROM removed r UNION ALL SELECT a.id, a.url, a.failures FROM added a) u (id, url, n)
              GROUP BY u.id HAVING sum(u.n) > 0) f (url, more)
      GROUP BY f.url"
);

/// A table behind counters: what to keep when rows of it are deleted, and when they change.
struct Counted {
    table: &'static CStr,
    deleted: &'static Statement,
    changed: Option<&'static Statement>,
}

static COUNTED: [Counted; 8] = [
    Counted { table: c"costsim_cb_incidents", deleted: &INCIDENTS, changed: Some(&INCIDENTS_CHANGED) },
    Counted { table: c"costsim_cb_events", deleted: &BREAKER_EVENTS, changed: None },
    Counted { table: c"costsim_leaders", deleted: &TERMS, changed: None },
    Counted { table: c"costsim_leader_events", deleted: &LEADER_EVENTS, changed: None },
    Counted { table: c"costsim_alert_targets", deleted: &TARGETS, changed: Some(&TARGETS_FAILED) },
    Counted { table: c"costsim_canary_reports", deleted: &CANARY_REPORTS, changed: None },
    Counted { table: c"costsim_provenance", deleted: &PROVENANCE, changed: Some(&PROVENANCE_CHANGED) },
    Counted { table: c"costsim_maintenance", deleted: &TASKS, changed: None },
];

/// After rows behind a counter were deleted, or have changed what they count for.
#[pg_trigger]
fn _costsim_metrics_keep<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    if let Err(error) = db::as_servant(|| kept(trigger)) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(None)
}

fn kept(trigger: &PgTrigger<'_>) -> Result<()> {
    let counted = counted(trigger.relid().map_err(|error| Error::Internal(error.to_string()))?)?;
    let statement = if trigger.event().fired_by_delete() {
        counted.deleted
    } else {
        counted.changed.ok_or_else(|| Error::Internal("a trigger for what does not change".into()))?
    };
    // Rows that were folded by others since the snapshot of the transaction cannot be passed over.
    statement.run_on(trigger, &[(!db::has_lasting_snapshot()).into()])?;
    Ok(())
}

fn counted(table: pg_sys::Oid) -> Result<&'static Counted> {
    for counted in &COUNTED {
        if db::relation(counted.table)? == table {
            return Ok(counted);
        }
    }
    Err(Error::invalid(
        "_costsim_metrics_keep() is for tables behind the metrics",
        "Leave the extension's trigger functions to its own tables.",
    ))
}
