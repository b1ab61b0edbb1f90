//! What Prometheus reads: metrics that are computed from the tables, so that replicas agree and a restart forgets nothing. `sql/92_metrics.sql` has them.
//!
//! Here is what cannot be computed: what a statement takes away from a counter is kept, whoever deletes, in a row of its own. Nobody waits for
//! anybody, and none is lost; rows of one counter are folded by whoever comes along, as far as others leave them alone. TRUNCATE is not seen: who
//! empties a table wants it to begin anew.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::BuiltinOid::{INT8OID, TEXTARRAYOID, TEXTOID};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use crate::db::{self, Statement};
use crate::error::{Error, Result};

/// What deleted rows have counted for.
macro_rules! keep {
    ($name:literal, $labels:literal, $value:literal, $which:literal, $by:literal) => {
        concat!(
            "INSERT INTO @schema@.costsim_metrics_kept (name, labels, value) SELECT ",
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

static INCIDENTS: Statement = Statement::deciding(
    keep!(
        "'costsim_cb_incidents_total'",
        "'name', r.circuit_breaker_name, 'severity', r.severity",
        "count(*)",
        "true",
        "r.circuit_breaker_name, r.severity"
    ),
    &[],
);

static BREAKER_EVENTS: Statement = Statement::deciding(
    keep!(
        "CASE WHEN r.to_state = 'closed' THEN 'costsim_cb_enabled_total' ELSE 'costsim_cb_disabled_total' END",
        "'name', r.circuit_breaker_name, 'reason', r.cause",
        "count(*)",
        "(r.from_state = 'closed') <> (r.to_state = 'closed')",
        "r.to_state = 'closed', r.circuit_breaker_name, r.cause"
    ),
    &[],
);

static TERMS: Statement = Statement::deciding(
    keep!("'costsim_leader_terms_total'", "'lock_id', r.lock_id::text", "sum(r.epoch)", "true", "r.lock_id"),
    &[],
);

static LEADER_EVENTS: Statement = Statement::deciding(
    keep!(
        "'costsim_leader_events_total'",
        "'lock_id', r.lock_id::text, 'event', r.event",
        "count(*)",
        "true",
        "r.lock_id, r.event"
    ),
    &[],
);

static TARGETS: Statement = Statement::deciding(
    keep!("'costsim_alert_target_sent_total'", "'target', r.url", "sum(r.sent)", "r.sent > 0", "r.url"),
    &[],
);

static CANARY_REPORTS: Statement = Statement::deciding(
    keep!("'costsim_v2_canary_runs_total'", "'status', r.status", "count(*)", "true", "r.status"),
    &[],
);

static TASKS: Statement = Statement::deciding(
    keep!("'costsim_task_rows_total'", "'task', r.task", "sum(r.total_rows)", "r.total_rows > 0", "r.task"),
    &[],
);

static PROVENANCE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_metrics_kept (name, value)
     SELECT 'costsim_v2_provenance_logs_total', p.pairs
       FROM (SELECT count(*) AS pairs FROM removed r WHERE r.v1_cost IS NOT NULL AND r.v2_cost IS NOT NULL) p
      WHERE p.pairs > 0",
    &[],
);

static INCIDENT: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_metrics_kept (name, labels, value)
     VALUES ('costsim_cb_incidents_total', jsonb_build_object('name', $1, 'severity', $2), 1)",
    &[TEXTOID, TEXTOID],
);

static PAIR: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_metrics_kept (name, value) VALUES ('costsim_v2_provenance_logs_total', 1)",
    &[],
);

static FAILURES: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_metrics_kept (name, labels, value)
     VALUES ('costsim_cb_alert_send_failures_total', jsonb_build_object('target', $1), $2)",
    &[TEXTOID, INT8OID],
);

/// Once a counter has twice as many rows as it needs, and 64 more: what others hold is left to them.
static FOLD: Statement = Statement::deciding(
    "WITH folded AS (
         DELETE FROM @schema@.costsim_metrics_kept k
          WHERE k.id = ANY (ARRAY(SELECT o.id FROM @schema@.costsim_metrics_kept o
                                   WHERE o.name = ANY ($1)
                                     AND (SELECT count(*) > 2 * count(DISTINCT (n.name, n.labels)) + 64
                                            FROM @schema@.costsim_metrics_kept n WHERE n.name = ANY ($1))
                                     FOR UPDATE SKIP LOCKED))
         RETURNING k.name, k.labels, k.value)
     INSERT INTO @schema@.costsim_metrics_kept (name, labels, value)
     SELECT f.name, f.labels, sum(f.value) FROM folded f GROUP BY f.name, f.labels",
    &[TEXTARRAYOID],
);

/// A table behind counters: what to keep when rows of it are deleted, and under which names.
struct Counted {
    table: &'static CStr,
    deleted: &'static Statement,
    names: &'static [&'static str],
}

static COUNTED: [Counted; 8] = [
    Counted { table: c"costsim_cb_incidents", deleted: &INCIDENTS, names: &["costsim_cb_incidents_total"] },
    Counted {
        table: c"costsim_cb_events",
        deleted: &BREAKER_EVENTS,
        names: &["costsim_cb_disabled_total", "costsim_cb_enabled_total"],
    },
    Counted { table: c"costsim_leaders", deleted: &TERMS, names: &["costsim_leader_terms_total"] },
    Counted {
        table: c"costsim_leader_events",
        deleted: &LEADER_EVENTS,
        names: &["costsim_leader_events_total"],
    },
    Counted {
        table: c"costsim_alert_targets",
        deleted: &TARGETS,
        names: &["costsim_alert_target_sent_total", "costsim_cb_alert_send_failures_total"],
    },
    Counted {
        table: c"costsim_canary_reports",
        deleted: &CANARY_REPORTS,
        names: &["costsim_v2_canary_runs_total"],
    },
    Counted {
        table: c"costsim_provenance",
        deleted: &PROVENANCE,
        names: &["costsim_v2_provenance_logs_total"],
    },
    Counted { table: c"costsim_maintenance", deleted: &TASKS, names: &["costsim_task_rows_total"] },
];

/// After rows behind a counter were deleted, or have changed what they count for.
#[pg_trigger]
fn _costsim_metrics_keep<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    if let Err(error) = kept(trigger) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(None)
}

fn kept(trigger: &PgTrigger<'_>) -> Result<()> {
    let counted = counted(trigger.relid().map_err(|error| internal(&error))?)?;
    let rows = if trigger.event().fired_by_delete() {
        counted.deleted.run_on(trigger, &[])?
    } else {
        changed(trigger, counted)?
    };
    // Rows that were folded by others since the snapshot of the transaction cannot be passed over.
    if rows > 0 && !db::has_lasting_snapshot() {
        FOLD.run(&[counted.names.to_vec().into()])?;
    }
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

/// A row that counts for something else from now on.
fn changed(trigger: &PgTrigger<'_>, counted: &Counted) -> Result<usize> {
    let (Some(old), Some(new)) = (trigger.old(), trigger.new()) else {
        return Err(Error::Internal("a trigger for rows without a row".into()));
    };
    if std::ptr::eq(counted.deleted, &TARGETS) {
        let failures = |row: &PgHeapTuple<'_, AllocatedByPostgres>| {
            row.get_by_name::<i32>("failures").map_err(|error| internal(&error))
        };
        let more = i64::from(failures(&new)?.unwrap_or(0)) - i64::from(failures(&old)?.unwrap_or(0));
        return FAILURES.run(&[text(&new, "url")?.into(), more.into()]);
    }
    if std::ptr::eq(counted.deleted, &PROVENANCE) {
        return PAIR.run(&[]);
    }
    INCIDENT.run(&[text(&old, "circuit_breaker_name")?.into(), text(&old, "severity")?.into()])
}

fn text(row: &PgHeapTuple<'_, AllocatedByPostgres>, column: &str) -> Result<Option<String>> {
    row.get_by_name(column).map_err(|error| internal(&error))
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}
