//! Where samples come from: provenance of the last days, or plans that somebody gives.
//!
//! From provenance they are taken evenly over time: the newest of each of as many equal spans as samples are wanted, and where spans are
//! empty, the newest of what is left. So no burst of one hour stands for a week, and no more rows are read than are wanted, unless most of
//! them are no samples. A row that holds a plan is a sample whose plan both models price anew; one that holds both costs, and no plan that
//! the models can read, is compared as it is.
//!
//! A plan is priced where the server has put the row, and rows that may be large are read one by one: whoever may write provenance decides how
//! large they are.

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::bounded::Bounded;
use costsim_core::divergence::Pair;
use pgrx::pg_sys::BuiltinOid::{INT4OID, INT8ARRAYOID, INT8OID, TIMESTAMPTZOID};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::convert::{self, Jsonb};
use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

/// How far back samples are taken from. Hours, for a day has 25 of them now and then, in the time zone of somebody's session.
const WINDOW: TimeDelta = TimeDelta::hours(7 * 24);

/// The budget of a plan that comes without one, in cents.
const DEFAULT_BUDGET: f64 = 1_000.0;

/// The search is made in some such number of parts, between which the time is looked at.
const PARTS: i32 = 20;

/// Rows that are read at a time, and the most bytes of their payloads as they are stored, which may be compressed to a hundredth.
const READ_AT_ONCE: usize = 200;
const STORED_AT_ONCE: i32 = 64 << 10;

/// The most bytes, and the most elements, of plans that are given.
const LONGEST_GIVEN: usize = 64 << 20;
const MOST_GIVEN: usize = 1_000_000;

/// What makes a row a sample.
macro_rules! is_sample {
    () => {
        "(p.v1_cost IS NOT NULL AND p.v2_cost IS NOT NULL OR pg_catalog.jsonb_typeof(p.payload -> 'plan') = 'array')"
    };
}

/// The newest sample of each span from the $4th to the $5th, of $1 between $2 and $3.
static SPREAD: Statement = Statement::deciding(
    concat!(
        "SELECT s.id, s.stored
           FROM pg_catalog.generate_series($4, $5) AS n
          CROSS JOIN LATERAL (
                SELECT p.id, coalesce(pg_catalog.pg_column_size(p.payload), 0) AS stored
                  FROM @schema@.costsim_provenance AS p
                 WHERE p.created_at > $2 + '168 hours'::interval * ((n - 1)::float8 / $1)
                   AND p.created_at <= CASE WHEN n = $1 THEN $3 ELSE $2 + '168 hours'::interval * (n::float8 / $1) END
                   AND ",
        is_sample!(),
        "        ORDER BY p.created_at DESC, p.id DESC LIMIT 1) AS s"
    ),
    &[INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID],
);

/// The newest samples that are not among $1, at most $4.
static NEWEST: Statement = Statement::deciding(
    concat!(
        "SELECT p.id, coalesce(pg_catalog.pg_column_size(p.payload), 0)
           FROM @schema@.costsim_provenance AS p
          WHERE p.created_at > $2 AND p.created_at <= $3 AND ",
        is_sample!(),
        "   AND p.id NOT IN (SELECT id FROM pg_catalog.unnest($1) AS known(id))
          ORDER BY p.created_at DESC, p.id DESC
          LIMIT $4"
    ),
    &[INT8ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID],
);

static READ: Statement = Statement::deciding(
    "SELECT p.id, pg_catalog.left(p.tenant_id, 200), pg_catalog.left(p.input_hash, 200),
            CASE WHEN pg_catalog.jsonb_typeof(p.payload -> 'plan') = 'array' THEN p.payload -> 'plan' END,
            pg_catalog.left(p.payload ->> 'budget_cents', 100), p.v1_cost, p.v2_cost,
            coalesce(p.payload -> 'comparison' -> 'feasibility_match' <> 'false'::jsonb, true)
       FROM pg_catalog.unnest($1) WITH ORDINALITY AS c(id, ordinal)
       JOIN @schema@.costsim_provenance AS p ON p.id = c.id
      ORDER BY c.ordinal",
    &[INT8ARRAYOID],
);

/// Where samples come from.
pub enum Source<'a> {
    /// So many of those that were written until then.
    Provenance { count: i32, until: DateTime<Utc> },
    /// These.
    Given(Vec<&'a RawValue>),
}

impl<'a> Source<'a> {
    /// Plans that are given, unread.
    pub fn given(plans: &'a Jsonb) -> Result<Self> {
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
        Ok(Self::Given(found))
    }
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
    Plan { plan: Written<'a>, budget: f64, stored: Option<Pair> },
    /// Costs that were stored.
    Costs(Pair),
    /// Neither: why.
    Nothing(String),
}

/// A plan, in the form in which it is at hand.
pub enum Written<'a> {
    Text(&'a str),
    Jsonb(Jsonb),
}

/// Hands over every sample, as long as `take` says that it goes on, and there is time: how many were not handed over.
pub fn each(
    source: &Source<'_>,
    is_over: &dyn Fn() -> bool,
    mut take: impl FnMut(&Origin, Content<'_>) -> Result<bool>,
) -> Result<u64> {
    match source {
        Source::Provenance { count, until } => from_provenance(*count, *until, is_over, &mut take),
        Source::Given(plans) => from_given(plans, &mut take),
    }
}

/// A row that is chosen, and how large its payload is as it is stored.
type Chosen = (i64, i32);

fn from_provenance(
    count: i32,
    until: DateTime<Utc>,
    is_over: &dyn Fn() -> bool,
    take: &mut dyn FnMut(&Origin, Content<'_>) -> Result<bool>,
) -> Result<u64> {
    let Some(chosen) = choose(count, until, is_over)? else { return Ok(count.unsigned_abs().into()) };
    let mut left = chosen.len() as u64;
    for some in at_once(&chosen) {
        let ids: Vec<i64> = some.iter().map(|(id, _)| *id).collect();
        let mut goes_on = true;
        READ.rows(&[ids.into()], |row| {
            if !goes_on {
                return Ok(());
            }
            let origin = Origin {
                provenance_id: Some(column(row, 1)?),
                tenant_id: nullable(row, 2)?,
                input_hash: nullable(row, 3)?,
            };
            goes_on = take(&origin, content(row)?)?;
            left -= u64::from(goes_on);
            Ok(())
        })?;
        if !goes_on {
            return Ok(left);
        }
    }
    Ok(0)
}

/// The samples, as far as there are any; nothing where the time was over before.
fn choose(count: i32, until: DateTime<Utc>, is_over: &dyn Fn() -> bool) -> Result<Option<Vec<Chosen>>> {
    let [from, until] = [until - WINDOW, until].map(convert::timestamptz);
    let (from, until) = (from?, until?);
    let read = |row: &Row<'_>| Ok((column(row, 1)?, column(row, 2)?));
    let mut chosen: Vec<Chosen> = Vec::new();
    let part = (count / PARTS).max(1);
    let mut first = 1;
    while first <= count {
        let last = first.saturating_add(part - 1).min(count);
        let spans = [count.into(), from.into(), until.into(), first.into(), last.into()];
        chosen.extend(SPREAD.rows(&spans, read)?);
        if is_over() {
            return Ok(None);
        }
        first = last + 1;
    }
    let missing = i64::from(count) - convert::count(chosen.len());
    // Where every span is empty, nothing is left.
    if missing > 0 && !chosen.is_empty() {
        let known: Vec<i64> = chosen.iter().map(|(id, _)| *id).collect();
        chosen.extend(NEWEST.rows(&[known.into(), from.into(), until.into(), missing.into()], read)?);
    }
    Ok(if is_over() { None } else { Some(chosen) })
}

/// The rows in groups that may be read at a time.
fn at_once(mut chosen: &[Chosen]) -> impl Iterator<Item = &[Chosen]> {
    std::iter::from_fn(move || {
        let mut stored = 0_i32;
        let fits = |(_, size): &&Chosen| {
            stored = stored.saturating_add(*size);
            stored <= STORED_AT_ONCE
        };
        let length = chosen.iter().take(READ_AT_ONCE).take_while(fits).count().max(1);
        let (some, rest) = chosen.split_at_checked(length)?;
        chosen = rest;
        Some(some)
    })
}

fn content<'a>(row: &Row<'_>) -> Result<Content<'a>> {
    let plan: Option<Jsonb> = nullable(row, 4)?;
    let budget: Option<String> = nullable(row, 5)?;
    let costs = nullable::<f64>(row, 6)?.zip(nullable(row, 7)?);
    let feasibility_match = column(row, 8)?;
    let stored = costs.map(|(v1, v2)| Pair { v1, v2, feasibility_match });
    Ok(match (plan, stored) {
        (Some(plan), stored) => match budget_of(budget.as_deref()) {
            Some(budget) => Content::Plan { plan: Written::Jsonb(plan), budget, stored },
            None => Content::Nothing("budget_cents is no number from 0 upwards".into()),
        },
        (None, Some(stored)) => Content::Costs(stored),
        (None, None) => Content::Nothing("the row has changed".into()),
    })
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

fn given(text: &str, budget: f64) -> Content<'_> {
    Content::Plan { plan: Written::Text(text), budget, stored: None }
}

fn from_given(
    plans: &[&RawValue],
    take: &mut dyn FnMut(&Origin, Content<'_>) -> Result<bool>,
) -> Result<u64> {
    let mut left = plans.len();
    for element in plans {
        let content = if element.get().starts_with('{') {
            match serde_json::from_str::<Given<'_>>(element.get()) {
                Ok(Given { budget_cents: Some(budget), .. }) if budget < 0.0 => {
                    Content::Nothing("budget_cents is negative".into())
                }
                Ok(Given { plan, budget_cents }) => given(plan.get(), budget_cents.unwrap_or(DEFAULT_BUDGET)),
                Err(error) => Content::Nothing(convert::beginning(&error.to_string(), 500).to_owned()),
            }
        } else {
            given(element.get(), DEFAULT_BUDGET)
        };
        if !take(&Origin::default(), content)? {
            return Ok(left as u64);
        }
        left -= 1;
    }
    Ok(0)
}
