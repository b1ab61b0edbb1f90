//! What a statement changes in the records, noted for the roll-ups in the same statement, whoever runs it.
//!
//! What is noted is a sum with a sign, so nothing about the records has to be read again when it is folded. TRUNCATE takes records out of older
//! snapshots too, which is PostgreSQL's own exception to snapshots; the sums stay in those.

use pgrx::pg_sys::BuiltinOid::TIMESTAMPTZOID;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use super::upkeep;
use crate::db::{self, Statement};
use crate::error::{Error, Result};

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

macro_rules! sum_up {
    ($into:literal, $sign:literal, $table:literal, $which:literal) => {
        concat!(
            "INSERT INTO @schema@.",
            $into,
            " SELECT ",
            key!(),
            ", ",
            sums!($sign),
            " FROM ",
            $table,
            " r ",
            $which,
            " GROUP BY 1, 2, 3, 4, 5"
        )
    };
}

static ADD: Statement = Statement::deciding(sum_up!("costsim_cost_pending", "", "added", ""), &[]);
static TAKE_AWAY: Statement = Statement::deciding(sum_up!("costsim_cost_pending", "-", "removed", ""), &[]);

/// What records came to that are purged. What else is deleted meanwhile, by a trigger of the application's say, is not.
static KEEP: Statement = Statement::deciding(
    sum_up!("costsim_cost_purged", "", "removed", "WHERE r.created_at < $1"),
    &[TIMESTAMPTZOID],
);

/// Sums of purged records are of one key already.
macro_rules! pass_on {
    ($sign:literal, $table:literal) => {
        concat!(
            "INSERT INTO @schema@.costsim_cost_pending
             SELECT r.tenant_id, r.bucket_start, r.feature_tag, r.user_id, r.model, ",
            $sign,
            "r.cost_cents, ",
            $sign,
            "r.requests, ",
            $sign,
            "r.retries, ",
            $sign,
            "r.executions, ",
            $sign,
            "r.input_tokens, ",
            $sign,
            "r.output_tokens, ",
            $sign,
            "r.cached_tokens, ",
            $sign,
            "r.reasoning_tokens FROM ",
            $table,
            " r"
        )
    };
}

static ADD_PURGED: Statement = Statement::deciding(pass_on!("", "added"), &[]);
static TAKE_AWAY_PURGED: Statement = Statement::deciding(pass_on!("-", "removed"), &[]);

/// After a statement has changed costsim_cost_records or costsim_cost_purged.
#[pg_trigger]
fn _costsim_cost_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    if let Err(error) = db::as_servant(|| changed(trigger)) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(None)
}

fn changed(trigger: &PgTrigger<'_>) -> Result<()> {
    let table = trigger.relid().map_err(|error| Error::Internal(error.to_string()))?;
    let event = trigger.event();
    let (add, take_away) = if table == db::relation(c"costsim_cost_records")? {
        (&ADD, &TAKE_AWAY)
    } else if table == db::relation(c"costsim_cost_purged")? {
        (&ADD_PURGED, &TAKE_AWAY_PURGED)
    } else {
        return Err(Error::invalid(
            "_costsim_cost_changed() is for changes of the cost records",
            "Leave the extension's trigger functions to its own tables.",
        ));
    };
    if event.fired_by_truncate() {
        // What is left is in the other table.
        return upkeep::rebuild(None).map(drop);
    }
    if event.fired_by_delete() || event.fired_by_update() {
        take_away.run_on(trigger, &[])?;
    }
    if let Some(before) = upkeep::kept_before()
        && event.fired_by_delete()
        && std::ptr::eq(take_away, &TAKE_AWAY)
    {
        KEEP.run_on(trigger, &[before.into()])?;
    }
    if event.fired_by_insert() || event.fired_by_update() {
        add.run_on(trigger, &[])?;
    }
    Ok(())
}
