//! What a statement changes in the records, noted for the roll-ups in the same statement, whoever runs it.
//!
//! What is noted is a sum with a sign, so nothing about the records has to be read again when it is folded. TRUNCATE takes records out of older
//! snapshots too, which is PostgreSQL's own exception to snapshots; the sums stay in those.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use super::upkeep;
use crate::db::{self, Statement};
use crate::error::{Error, Result};
use crate::lock;

/// A quarter of an hour, and whom its records are counted under.
macro_rules! key {
    () => {
        "r.tenant_id, date_bin(INTERVAL '15 minutes', r.created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'),
         coalesce(r.feature_tag, 'unclassified'), coalesce(r.user_id, 'anonymous'), r.model"
    };
}

/// What records of one key come to, with a sign.
macro_rules! sums {
    ($sign:literal) => {
        concat!(
            $sign,
            "sum(r.cost_cents), ",
            $sign,
            "count(*), ",
            $sign,
            "count(*) FILTER (WHERE r.is_retry), ",
            $sign,
            "count(*) FILTER (WHERE r.workflow_id IS NOT NULL OR r.skill_id IS NOT NULL), ",
            $sign,
            "sum(r.input_tokens)::bigint, ",
            $sign,
            "sum(r.output_tokens)::bigint, ",
            $sign,
            "sum(r.cached_tokens)::bigint, ",
            $sign,
            "sum(r.reasoning_tokens)::bigint"
        )
    };
}

macro_rules! note {
    ($sign:literal, $table:literal, $is_purged:literal) => {
        concat!(
            "INSERT INTO @schema@.costsim_cost_pending SELECT ",
            key!(),
            ", ",
            $is_purged,
            ", ",
            sums!($sign),
            " FROM ",
            $table,
            " r GROUP BY 1, 2, 3, 4, 5"
        )
    };
}

static ADD: Statement = Statement::deciding(note!("", "added", "false"), &[]);
static TAKE_AWAY: Statement = Statement::deciding(note!("-", "removed", "false"), &[]);

/// Records are purged, and what they came to stays.
static KEEP: Statement = Statement::deciding(note!("", "removed", "true"), &[]);

/// Records are gone, but not the sums of those that were purged before.
static FORGET_PENDING: Statement =
    Statement::current("DELETE FROM @schema@.costsim_cost_pending WHERE NOT is_purged", &[]);
static FORGET_QUARTERS: Statement =
    Statement::current("DELETE FROM @schema@.costsim_cost_quarters WHERE NOT is_purged", &[]);
static FORGET_DAYS: Statement =
    Statement::current("DELETE FROM @schema@.costsim_cost_daily WHERE NOT is_purged", &[]);

/// After a statement has changed costsim_cost_records.
#[pg_trigger]
fn _costsim_cost_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    if let Err(error) = changed(trigger) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(None)
}

fn changed(trigger: &PgTrigger<'_>) -> Result<()> {
    let table = trigger.relid().map_err(|error| Error::Internal(error.to_string()))?;
    if table != db::relation(c"costsim_cost_records")? {
        return Err(Error::invalid(
            "_costsim_cost_changed() is for changes of the cost records",
            "Leave the extension's trigger functions to its own tables.",
        ));
    }
    let event = trigger.event();
    if event.fired_by_truncate() {
        // What is being folded just now must not come back.
        lock::wait_to_be_the_only_folder();
        FORGET_PENDING.run(&[])?;
        FORGET_QUARTERS.run(&[])?;
        FORGET_DAYS.run(&[])?;
        return Ok(());
    }
    if event.fired_by_delete() || event.fired_by_update() {
        TAKE_AWAY.run_on(trigger)?;
    }
    if event.fired_by_delete() && upkeep::keeps_sums() {
        KEEP.run_on(trigger)?;
    }
    if event.fired_by_insert() || event.fired_by_update() {
        ADD.run_on(trigger)?;
    }
    Ok(())
}
