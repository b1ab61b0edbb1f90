//! Where samples come from: provenance of the last days, or plans that somebody gives.
//!
//! From provenance they are taken evenly over time: the newest of each of as many equal spans as samples are wanted, and where spans are
//! empty, the newest of what is left. So no burst of one hour stands for a week, and no more rows are read than are wanted, unless most of
//! them are no samples. A row that holds a plan is a sample whose plan both models price anew; one that holds both costs and no plan is
//! compared as it is.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::bounded::Bounded;
use pgrx::pg_sys::BuiltinOid::{INT4OID, INT8ARRAYOID, TIMESTAMPTZOID};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::convert::{self, Jsonb};
use crate::db::{Statement, column, nullable};
use crate::error::{Error, Result};

/// How far back samples are taken from.
const WINDOW: TimeDelta = TimeDelta::days(7);

/// The budget of a plan that comes without one, in cents.
const DEFAULT_BUDGET: f64 = 1_000.0;

/// Rows that are read at a time: each may hold a plan of some megabytes.
const READ_AT_ONCE: usize = 200;

/// The most bytes, and the most elements, of plans that are given.
const LONGEST_GIVEN: usize = 64 << 20;
const MOST_GIVEN: usize = 1_000_000;

/// What makes a row a sample.
macro_rules! is_sample {
    () => {
        "(p.v1_cost IS NOT NULL AND p.v2_cost IS NOT NULL OR pg_catalog.jsonb_typeof(p.payload -> 'plan') = 'array')"
    };
}

static CHOOSE: Statement = Statement::deciding(
    concat!(
        "WITH spread AS MATERIALIZED (
             SELECT s.id
               FROM pg_catalog.generate_series(1, $1) AS n
              CROSS JOIN LATERAL (
                    SELECT p.id FROM @schema@.costsim_provenance AS p
                     WHERE p.created_at > $2 + ($3 - $2) * ((n - 1)::float8 / $1)
                       AND p.created_at <= $2 + ($3 - $2) * (n::float8 / $1)
                       AND ",
        is_sample!(),
        "      ORDER BY p.created_at DESC, p.id DESC LIMIT 1) AS s
         ), newest AS (
             SELECT p.id FROM @schema@.costsim_provenance AS p
              WHERE p.created_at > $2 AND p.created_at <= $3 AND ",
        is_sample!(),
        "  AND p.id NOT IN (SELECT id FROM spread)
              ORDER BY p.created_at DESC, p.id DESC
              LIMIT (SELECT $1 - count(*) FROM spread)
         )
         SELECT id FROM spread UNION ALL SELECT id FROM newest"
    ),
    &[INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID],
);

static READ: Statement = Statement::deciding(
    "SELECT p.id, p.tenant_id, p.input_hash,
            CASE WHEN pg_catalog.jsonb_typeof(p.payload -> 'plan') = 'array' THEN (p.payload -> 'plan')::text END,
            p.payload ->> 'budget_cents', p.v1_cost, p.v2_cost,
            coalesce(p.payload -> 'comparison' -> 'feasibility_match' <> 'false'::jsonb, true)
       FROM pg_catalog.unnest($1) WITH ORDINALITY AS c(id, ordinal)
       JOIN @schema@.costsim_provenance AS p ON p.id = c.id
      ORDER BY c.ordinal",
    &[INT8ARRAYOID],
);

/// Where samples come from.
pub enum Source {
    /// So many of those that were written until then.
    Provenance { count: i32, until: DateTime<Utc> },
    /// These.
    Given(Jsonb),
}

/// Where one of them comes from.
#[derive(Clone, Default)]
pub struct Origin {
    pub provenance_id: Option<i64>,
    pub tenant_id: Option<String>,
    pub input_hash: Option<String>,
}

/// What there is to compare.
pub enum Content<'a> {
    /// A plan and its budget, to be priced.
    Plan { text: &'a str, budget: f64 },
    /// Costs that were stored.
    Costs { v1: f64, v2: f64, feasibility_match: bool },
    /// Neither: why.
    Nothing(String),
}

/// Hands over every sample, as long as `take` says that it goes on: how many were not handed over.
pub fn each(source: &Source, mut take: impl FnMut(&Origin, Content<'_>) -> Result<bool>) -> Result<u64> {
    match source {
        Source::Provenance { count, until } => from_provenance(*count, *until, &mut take),
        Source::Given(plans) => from_given(plans, &mut take),
    }
}

fn from_provenance(
    count: i32,
    until: DateTime<Utc>,
    take: &mut dyn FnMut(&Origin, Content<'_>) -> Result<bool>,
) -> Result<u64> {
    let window = [until - WINDOW, until].map(convert::timestamptz);
    let [from, until] = window;
    let ids: Vec<i64> = CHOOSE.rows(&[count.into(), from?.into(), until?.into()], |row| column(row, 1))?;
    let mut left = ids.len();
    for some in ids.chunks(READ_AT_ONCE) {
        let rows = READ.rows(&[some.to_vec().into()], |row| {
            let origin = Origin {
                provenance_id: Some(column(row, 1)?),
                tenant_id: nullable(row, 2)?,
                input_hash: nullable(row, 3)?,
            };
            let plan: Option<String> = nullable(row, 4)?;
            let budget: Option<String> = nullable(row, 5)?;
            let costs = nullable::<f64>(row, 6)?.zip(nullable(row, 7)?);
            Ok((origin, plan, budget, costs, column::<bool>(row, 8)?))
        })?;
        for (origin, plan, budget, costs, feasibility_match) in &rows {
            let content = match (plan, costs) {
                (Some(text), _) => match budget_of(budget.as_deref()) {
                    Some(budget) => Content::Plan { text, budget },
                    None => Content::Nothing("budget_cents is no number from 0 upwards".into()),
                },
                (None, Some((v1, v2))) => {
                    Content::Costs { v1: *v1, v2: *v2, feasibility_match: *feasibility_match }
                }
                (None, None) => Content::Nothing("the row has changed".into()),
            };
            if !take(origin, content)? {
                return Ok(left as u64);
            }
            left -= 1;
        }
    }
    Ok(0)
}

/// The budget of a row.
fn budget_of(text: Option<&str>) -> Option<f64> {
    match text {
        None => Some(DEFAULT_BUDGET),
        Some(text) => text.parse().ok().filter(|budget: &f64| budget.is_finite() && *budget >= 0.0),
    }
}

/// A plan that is given with its budget.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given<'a> {
    #[serde(borrow)]
    plan: &'a RawValue,
    budget_cents: Option<f64>,
}

fn from_given(plans: &Jsonb, take: &mut dyn FnMut(&Origin, Content<'_>) -> Result<bool>) -> Result<u64> {
    let text = plans.text("plans", LONGEST_GIVEN)?;
    let Bounded::<&RawValue, MOST_GIVEN> { found, rest } = serde_json::from_str(text).map_err(|_| {
        Error::invalid(
            "plans must be a JSON array",
            "Pass an array of plans, or of {\"plan\": [...], \"budget_cents\": number}.",
        )
    })?;
    if rest > 0 {
        return Err(Error::TooLarge { what: format!("plans has more than {MOST_GIVEN} elements") });
    }
    let mut left = found.len();
    for element in found {
        let content = if element.get().starts_with('{') {
            match serde_json::from_str::<Given<'_>>(element.get()) {
                Ok(Given { budget_cents: Some(budget), .. }) if budget < 0.0 => {
                    Content::Nothing("budget_cents is negative".into())
                }
                Ok(Given { plan, budget_cents }) => {
                    Content::Plan { text: plan.get(), budget: budget_cents.unwrap_or(DEFAULT_BUDGET) }
                }
                Err(error) => Content::Nothing(error.to_string()),
            }
        } else {
            Content::Plan { text: element.get(), budget: DEFAULT_BUDGET }
        };
        if !take(&Origin::default(), content)? {
            return Ok(left as u64);
        }
        left -= 1;
    }
    Ok(0)
}
