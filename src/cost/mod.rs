//! What LLM requests cost: feature tags, records, and what they come to.
//!
//! A record is written once per tenant and request; whoever is second is told of the first. Its trigger notes what it comes to, in the same
//! statement, so that in any snapshot roll-ups and what is pending are together what the records are. Money is decimal from end to end.
//!
//! `record` what may be written · `write` each request once, and within hard limits · `tag` feature tags · `pending` what a statement changes ·
//! `fold` into the roll-ups · `upkeep` roll-ups anew, the purge · `zone` when days begin · `store` the records' statements

mod fold;
mod pending;
mod record;
mod store;
mod tag;
mod upkeep;
mod write;
mod zone;

pub use fold::fold_some;
pub use upkeep::purge_some;

use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::convert::Jsonb;
use crate::db;
use crate::error::required;

use record::{Batch, Record};
use write::Outcome;

/// Records one request, unless it is known: what became of it.
#[pg_extern(volatile, parallel_unsafe, requires = ["cost"])]
#[expect(
    clippy::too_many_arguments,
    clippy::type_complexity,
    reason = "the arguments are the columns, and pgrx reads the type"
)]
fn costsim_record_cost(
    tenant_id: Option<&str>,
    model: Option<&str>,
    cost_cents: Option<AnyNumeric>,
    input_tokens: default!(Option<i64>, 0),
    output_tokens: default!(Option<i64>, 0),
    feature_tag: default!(Option<&str>, "NULL"),
    user_id: default!(Option<&str>, "NULL"),
    request_id: default!(Option<&str>, "NULL"),
    is_retry: default!(Option<bool>, false),
    cached_tokens: default!(Option<i64>, 0),
    reasoning_tokens: default!(Option<i64>, 0),
    workflow_id: default!(Option<&str>, "NULL"),
    skill_id: default!(Option<&str>, "NULL"),
    created_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    enforce: default!(Option<bool>, false),
) -> Result<
    TableIterator<
        'static,
        (
            name!(status, &'static str),
            name!(id, Option<i64>),
            name!(feature_tag, Option<String>),
            name!(budget_id, Option<i64>),
            name!(reason, Option<String>),
        ),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_record_cost()");
    let record = Record {
        tenant_id: required(tenant_id, "tenant_id")?,
        model: required(model, "model")?,
        cost_cents: required(cost_cents, "cost_cents")?,
        input_tokens: required(input_tokens, "input_tokens")?,
        output_tokens: required(output_tokens, "output_tokens")?,
        feature_tag,
        user_id,
        request_id,
        is_retry: required(is_retry, "is_retry")?,
        cached_tokens: required(cached_tokens, "cached_tokens")?,
        reasoning_tokens: required(reasoning_tokens, "reasoning_tokens")?,
        workflow_id,
        skill_id,
        created_at,
    };
    let is_enforced = required(enforce, "enforce")?;
    record.check()?;
    Ok(TableIterator::once(told(write::one(&record, is_enforced)?)))
}

/// Records a JSON array of requests, all of them or none: what became of each, in their order.
#[pg_extern(volatile, parallel_unsafe, requires = ["cost"])]
#[expect(clippy::type_complexity, reason = "pgrx reads the type")]
fn costsim_record_costs(
    records: Option<Jsonb>,
    enforce: default!(Option<bool>, false),
) -> Result<
    TableIterator<
        'static,
        (
            name!(ordinal, i32),
            name!(status, &'static str),
            name!(id, Option<i64>),
            name!(feature_tag, Option<String>),
            name!(budget_id, Option<i64>),
            name!(reason, Option<String>),
        ),
    >,
    ErrorReport,
> {
    db::require_writable(c"costsim_record_costs()");
    let records = required(records, "records")?.flat();
    let is_enforced = required(enforce, "enforce")?;
    let outcomes = write::batch(&Batch::read(&records)?, is_enforced)?;
    Ok(TableIterator::new((1..).zip(outcomes).map(|(ordinal, outcome)| {
        let (status, id, feature_tag, budget_id, reason) = told(outcome);
        (ordinal, status, id, feature_tag, budget_id, reason)
    })))
}

/// An outcome as SQL tells it.
fn told(outcome: Outcome) -> (&'static str, Option<i64>, Option<String>, Option<i64>, Option<String>) {
    match outcome {
        Outcome::Recorded(stored) => ("recorded", Some(stored.id), stored.feature_tag, None, None),
        Outcome::Duplicate(stored) => ("duplicate", Some(stored.id), stored.feature_tag, None, None),
        Outcome::Refused { feature_tag, budget_id, reason } => {
            ("refused", None, feature_tag, Some(budget_id), Some(reason))
        }
    }
}
