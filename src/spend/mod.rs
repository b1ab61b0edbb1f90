//! What was spent, and what will be. All reads are SQL functions (`sql/64_spend.sql`); the projection asks core ([`costsim_core::projection`]).

use costsim_core::projection::{Line, Trend};
use pgrx::pg_sys::BuiltinOid::{INT4OID, TEXTOID, TIMESTAMPTZOID};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::convert;
use crate::db::{Statement, column, nullable};
use crate::error::{Error, Result, required};

static FACTS: Statement = Statement::reading(
    "SELECT f.days, f.today_cents::pg_catalog.text, f.month_to_date_cents, f.month_to_date_cents::pg_catalog.text,
            f.monthly_limit_cents, f.monthly_limit_cents::pg_catalog.text, f.day_gone, f.days_left
       FROM @schema@._costsim_projection_facts($1, coalesce($2, pg_catalog.int4 '28'), coalesce($3, pg_catalog.now())) AS f",
    &[TEXTOID, INT4OID, TIMESTAMPTZOID],
);

/// Nearer to 1 no interval says anything.
const MOST_CONFIDENCE: f64 = 0.999_999;

/// What a projection is made of.
struct Facts {
    days: Vec<f64>,
    today: f64,
    month_to_date: AnyNumeric,
    month_to_date_cents: f64,
    monthly_limit: Option<AnyNumeric>,
    monthly_limit_cents: Option<f64>,
    day_gone: f64,
    days_left: i32,
}

fn facts(tenant_id: &str, lookback: i32, as_of: Option<TimestampWithTimeZone>) -> Result<Facts> {
    let number = |text: String| text.parse().map_err(|_| Error::Internal(format!("\"{text}\" is no amount")));
    FACTS
        .row(&[tenant_id.into(), lookback.into(), as_of.into()], |row| {
            Ok(Facts {
                days: column(row, 1)?,
                today: number(column(row, 2)?)?,
                month_to_date: column(row, 3)?,
                month_to_date_cents: number(column(row, 4)?)?,
                monthly_limit: nullable(row, 5)?,
                monthly_limit_cents: nullable(row, 6)?.map(number).transpose()?,
                day_gone: column(row, 7)?,
                days_left: column(row, 8)?,
            })
        })?
        .ok_or_else(|| Error::Internal("no facts for a projection".into()))
}

/// The most days that are looked back or ahead.
const MOST_DAYS: i32 = 365;

/// What a tenant is likely to spend.
#[pg_extern(stable, parallel_restricted, requires = ["spend"])]
#[expect(clippy::type_complexity, reason = "the columns are those of the SQL function")]
fn costsim_cost_projection(
    tenant_id: Option<&str>,
    lookback_days: default!(Option<i32>, "28"),
    forecast_days: default!(Option<i32>, "7"),
    confidence: default!(Option<f64>, "0.8"),
    as_of: default!(Option<TimestampWithTimeZone>, "now()"),
) -> std::result::Result<
    TableIterator<
        'static,
        (
            name!(days_used, i32),
            name!(daily_mean_cents, AnyNumeric),
            name!(slope_cents_per_day, AnyNumeric),
            name!(trend, &'static str),
            name!(projected_cents, AnyNumeric),
            name!(lower_cents, Option<AnyNumeric>),
            name!(upper_cents, Option<AnyNumeric>),
            name!(projected_month_cents, AnyNumeric),
            name!(month_to_date_cents, AnyNumeric),
            name!(monthly_limit_cents, Option<AnyNumeric>),
            name!(days_until_exhausted, Option<AnyNumeric>),
            name!(days_until_exhausted_lower, Option<AnyNumeric>),
            name!(days_until_exhausted_upper, Option<AnyNumeric>),
        ),
    >,
    ErrorReport,
> {
    let tenant_id = required(tenant_id, "tenant_id")?;
    let lookback = days(lookback_days, "lookback_days")?;
    let forecast = days(forecast_days, "forecast_days")?;
    let confidence = required(confidence, "confidence")?;
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Error::invalid(
            "confidence must be between 0 and 1",
            "Pass 0.8 for an interval in which the sum lies four times out of five.",
        )
        .into());
    }
    if confidence > MOST_CONFIDENCE {
        return Err(Error::invalid(
            format!("confidence must not be above {MOST_CONFIDENCE}"),
            "Pass 0.8 for an interval in which the sum lies four times out of five.",
        )
        .into());
    }
    if let Some(as_of) = as_of {
        convert::finite_moment(as_of, "as_of")?;
    }
    let facts = facts(tenant_id, lookback, as_of)?;
    let line = Line::through(&facts.days, confidence);
    let expected = line.next(usize::try_from(forecast).unwrap_or_default());
    let rest: f64 =
        (1..=usize::try_from(facts.days_left).unwrap_or_default()).map(|ahead| line.day(ahead)).sum();
    let month = facts.month_to_date_cents + (line.day(0) - facts.today).max(0.0) + rest;
    let lasts =
        facts.monthly_limit_cents.map(|limit| line.lasts(limit - facts.month_to_date_cents, facts.day_gone));
    let interval = expected.interval;
    let days = |days: Option<f64>| days.map(|days| numeric(days, 2)).transpose();
    Ok(TableIterator::once((
        i32::try_from(line.days).unwrap_or(i32::MAX),
        cents(line.mean)?,
        cents(line.slope)?,
        Trend::of(&facts.days).as_str(),
        cents(expected.sum)?,
        interval.map(|interval| cents(interval.0)).transpose()?,
        interval.map(|interval| cents(interval.1)).transpose()?,
        cents(month)?,
        facts.month_to_date,
        facts.monthly_limit,
        days(lasts.and_then(|lasts| lasts.days))?,
        days(lasts.and_then(|lasts| lasts.at_least))?,
        days(lasts.and_then(|lasts| lasts.at_most))?,
    )))
}

fn days(value: Option<i32>, argument: &'static str) -> Result<i32> {
    let value = required(value, argument)?;
    if (1..=MOST_DAYS).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(
        format!("{argument} must be from 1 to {MOST_DAYS}"),
        "Four weeks of days weigh every day of the week alike.",
    ))
}

fn cents(value: f64) -> Result<AnyNumeric> {
    numeric(value, 6)
}

/// An estimate, at so many decimals.
fn numeric(value: f64, decimals: usize) -> Result<AnyNumeric> {
    AnyNumeric::try_from(format!("{value:.decimals$}").as_str())
        .map_err(|error| Error::Internal(format!("{value} is no number: {error}")))
}
