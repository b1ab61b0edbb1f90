//! Budgets: what a tenant, a feature, a user or a model may spend on a day and in a month, and who keeps to it.
//!
//! The [`Gate`] promises that what is recorded through it never takes the spend that is committed past a hard limit, and that it refuses nothing
//! that would not. Whoever opens it holds the rows of the hard budgets that cover its records, until its transaction, or the savepoint in which it
//! was opened, ends: so nobody else who enforces them decides meanwhile, and what he sees as spent is all that has been admitted by others, together
//! with what his own transaction has recorded. A prepared transaction holds them until it is committed or rolled back.
//!
//! What it does not promise: records that are written without it wait for nobody, so those that are not committed are not counted. A budget counts
//! for what is decided after its commit. The rows are locked in the order of their ids within a call; over several calls of one transaction two
//! sessions can come to wait for each other, and the server ends one of them (40P01).
//!
//! `due` has anomalies looked for · `gate` decides · `store` the rows

mod due;
mod gate;
mod store;

use pgrx::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::db;
use crate::error::{Answer, Error, Result, required};

pub use gate::{Gate, Labels, Refusal};
use store::{Budget, Settings};

/// Whose budget: what `budget_type` and `entity_id` say.
struct Entity<'a> {
    tenant_id: &'a str,
    budget_type: &'a str,
    entity_id: Option<&'a str>,
}

/// Makes a budget, or gives the one there is other settings.
#[pg_extern(volatile, parallel_unsafe, requires = ["budget"])]
#[expect(clippy::too_many_arguments, reason = "the arguments are those of the SQL function")]
fn costsim_set_budget(
    tenant_id: Option<&str>,
    budget_type: default!(Option<&str>, "'tenant'"),
    entity_id: default!(Option<&str>, "NULL"),
    daily_limit_cents: default!(Option<AnyNumeric>, "NULL"),
    monthly_limit_cents: default!(Option<AnyNumeric>, "NULL"),
    warn_threshold_pct: default!(Option<AnyNumeric>, "80"),
    hard_limit_enabled: default!(Option<bool>, "false"),
    is_active: default!(Option<bool>, "true"),
) -> Answer<Budget> {
    db::require_writable(c"costsim_set_budget()");
    let entity = Entity::read(tenant_id, budget_type, entity_id)?;
    let settings = Settings {
        daily_limit: limit(daily_limit_cents, "daily_limit_cents")?,
        monthly_limit: limit(monthly_limit_cents, "monthly_limit_cents")?,
        warn_threshold: threshold(required(warn_threshold_pct, "warn_threshold_pct")?)?,
        is_hard: required(hard_limit_enabled, "hard_limit_enabled")?,
        is_active: required(is_active, "is_active")?,
    };
    Ok(store::set(&entity, settings)?)
}

/// Whether there was such a budget.
#[pg_extern(volatile, parallel_unsafe, requires = ["budget"])]
fn costsim_delete_budget(
    tenant_id: Option<&str>,
    budget_type: default!(Option<&str>, "'tenant'"),
    entity_id: default!(Option<&str>, "NULL"),
) -> Answer<bool> {
    db::require_writable(c"costsim_delete_budget()");
    let (tenant_id, budget_type) = (required(tenant_id, "tenant_id")?, required(budget_type, "budget_type")?);
    Ok(store::delete(&Entity { tenant_id, budget_type, entity_id })?)
}

/// As the columns hold it.
const LONGEST_NAME: usize = 512;

impl<'a> Entity<'a> {
    fn read(
        tenant_id: Option<&'a str>,
        budget_type: Option<&'a str>,
        entity_id: Option<&'a str>,
    ) -> Result<Self> {
        let tenant_id = name(required(tenant_id, "tenant_id")?, "tenant_id")?;
        let budget_type = required(budget_type, "budget_type")?;
        match (budget_type, entity_id) {
            ("tenant", None) => {}
            ("tenant", Some(_)) => {
                return Err(Error::invalid(
                    "entity_id must be null for the budget of a tenant",
                    "Leave entity_id out, or say by budget_type whose budget it is: feature, user or model.",
                ));
            }
            ("feature" | "user" | "model", Some(entity_id)) => {
                name(entity_id, "entity_id")?;
            }
            ("feature" | "user" | "model", None) => {
                return Err(Error::invalid(
                    format!("entity_id must not be null for the budget of a {budget_type}"),
                    "Name the feature, user or model.",
                ));
            }
            _ => {
                return Err(Error::invalid(
                    "budget_type must be tenant, feature, user or model",
                    "Leave it out for the budget of the tenant.",
                ));
            }
        }
        Ok(Self { tenant_id, budget_type, entity_id })
    }
}

fn name<'a>(text: &'a str, argument: &'static str) -> Result<&'a str> {
    if text.is_empty() || text.len() > LONGEST_NAME {
        return Err(Error::invalid(
            format!("{argument} must have from 1 to {LONGEST_NAME} bytes"),
            "Pass the name as the records bear it.",
        ));
    }
    Ok(text)
}

/// Below this what a column of numeric(20,6) cannot hold begins.
const TOO_LARGE: i64 = 100_000_000_000_000;

/// A limit as it can be stored; the server rounds it to its six decimals.
fn limit(value: Option<AnyNumeric>, argument: &'static str) -> Result<Option<AnyNumeric>> {
    let Some(value) = value else { return Ok(None) };
    let is_one = costsim_core::budget::amount(&value.to_string())
        // What would be rounded up to it is too large as well.
        .is_some_and(|amount| amount >= Decimal::ZERO && rounded(amount, 6) < TOO_LARGE.into());
    if is_one {
        return Ok(Some(value));
    }
    Err(Error::invalid(
        format!("{argument} must be a number of cents, 0 or more and less than 10^14"),
        "Pass NULL for no limit.",
    ))
}

/// A threshold as it can be stored, at two decimals.
fn threshold(value: AnyNumeric) -> Result<AnyNumeric> {
    match costsim_core::budget::amount(&value.to_string()) {
        Some(percent) if rounded(percent, 2) > 0.into() && percent <= 100.into() => Ok(value),
        _ => Err(Error::invalid(
            "warn_threshold_pct must be above 0 and at most 100",
            "Pass a percentage of the limit, as 80; two decimals are kept.",
        )),
    }
}

/// As the server rounds: half away from zero.
fn rounded(value: Decimal, decimals: u32) -> Decimal {
    value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero)
}
