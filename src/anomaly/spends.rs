//! What was spent and asked for, as detection reads it: series of days, budgets, usage.
//!
//! Days are counted from 2000-01-01 on their way, and money comes in millionths of a cent.

use chrono::{DateTime, Utc};
use costsim_core::anomaly::{Budget, Micros, Series, Usage};
use pgrx::pg_sys::BuiltinOid::{INT4OID, NUMERICOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use super::store::Day;
use crate::convert;
use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

static TENANTS: Statement = Statement::deciding(
    "SELECT t.tenant_id, t.day - DATE '2000-01-01', t.is_today, t.is_older, t.days_ago, t.spends
       FROM @schema@._costsim_anomaly_tenants($1, $2, $3) AS t",
    &[TEXTARRAYOID, TIMESTAMPTZOID, INT4OID],
);

static SPENDERS: Statement = Statement::deciding(
    "SELECT s.tenant_id, s.dimension, s.entity_id FROM @schema@._costsim_anomaly_spenders($1, $2, $3, $4, $5, $6, $7) AS s",
    &[TEXTARRAYOID, TIMESTAMPTZOID, NUMERICOID, TEXTOID, TEXTOID, TEXTOID, INT4OID],
);

static ENTITIES: Statement = Statement::deciding(
    "SELECT e.tenant_id, e.dimension, e.entity_id, e.days_ago, e.spends
       FROM @schema@._costsim_anomaly_entities($1, $2, $3, $4, $5) AS e",
    &[TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, INT4OID],
);

/// More than ten times the greatest limit counts as that.
static BUDGETS: Statement = Statement::deciding(
    "SELECT b.tenant_id, b.budget_type, b.entity_id, b.period, b.period_start - DATE '2000-01-01', b.budget_id, b.hard_limit_enabled,
            trunc(b.limit_cents * 1000000)::text, trunc(least(greatest(b.spent_cents, 0), 1000000000000000) * 1000000)::text, round(b.warn_threshold_pct * 100)::integer
       FROM @schema@._costsim_anomaly_budgets($1, $2) AS b
      ORDER BY b.tenant_id, b.budget_id, b.period",
    &[TEXTARRAYOID, TIMESTAMPTZOID],
);

static USAGE: Statement = Statement::deciding(
    "SELECT u.tenant_id, u.dimension, u.entity_id, u.requests, u.retries, u.input_tokens,
            u.requests_yesterday, u.retries_yesterday, u.input_tokens_yesterday,
            u.top_feature, trunc(least(u.top_cents, 1000000000000000) * 1000000)::text, trunc(least(u.tagged_cents, 1000000000000000) * 1000000)::text
       FROM @schema@._costsim_anomaly_usage($1, $2, $3, $4) AS u",
    &[TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID],
);

/// A tenant's series.
pub struct Tenant {
    pub id: String,
    /// Its day.
    pub day: Day,
    /// Whether that is today.
    pub is_today: bool,
    pub series: Series,
}

/// Who spends: a feature, a user, a model, or a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    pub tenant: String,
    pub dimension: String,
    pub id: String,
}

impl Entity {
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self { tenant: column(row, 1)?, dimension: column(row, 2)?, id: column(row, 3)? })
    }
}

/// A limit as it stands.
pub struct Limit {
    pub tenant: String,
    pub entity_type: String,
    pub entity_id: Option<String>,
    pub period: String,
    pub period_start: Day,
    pub budget_id: i64,
    pub is_hard: bool,
    pub budget: Budget,
}

/// What an entity has asked for.
pub struct Used {
    pub entity: Entity,
    pub today: Usage,
    pub yesterday: Usage,
    /// A tenant's greatest feature, what it has spent and what all have.
    pub features: Option<(String, Micros, Micros)>,
}

/// The series of tenants.
pub fn tenants(ids: &[String], as_of: DateTime<Utc>, length: usize) -> Result<Vec<Tenant>> {
    TENANTS.rows(&[ids.to_vec().into(), convert::timestamptz(as_of)?.into(), count(length).into()], |row| {
        Ok(Tenant {
            id: column(row, 1)?,
            day: column(row, 2)?,
            is_today: column(row, 3)?,
            series: series(row, 5, length, column(row, 4)?)?,
        })
    })
}

/// Who has spent at least so much on the day, behind one of them.
pub fn spenders(
    tenants: &[String],
    as_of: DateTime<Utc>,
    least: &AnyNumeric,
    after: Option<&Entity>,
    most: usize,
) -> Result<Vec<Entity>> {
    let (tenant, dimension, id) = after
        .map_or(("", "", ""), |after| (after.tenant.as_str(), after.dimension.as_str(), after.id.as_str()));
    let arguments = [
        tenants.to_vec().into(),
        convert::timestamptz(as_of)?.into(),
        least.clone().into(),
        tenant.into(),
        dimension.into(),
        id.into(),
        count(most).into(),
    ];
    SPENDERS.rows(&arguments, Entity::read)
}

/// The series of entities; those that have never spent are left out.
pub fn entities(asked: &[Entity], as_of: DateTime<Utc>, length: usize) -> Result<Vec<(Entity, Series)>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let [tenants, dimensions, ids] = columns(asked);
    let arguments = [
        tenants.into(),
        dimensions.into(),
        ids.into(),
        convert::timestamptz(as_of)?.into(),
        count(length).into(),
    ];
    // Whether anything was spent before is asked of tenants only.
    ENTITIES.rows(&arguments, |row| Ok((Entity::read(row)?, series(row, 4, length, false)?)))
}

/// Where budgets stand.
pub fn budgets(tenants: &[String], as_of: DateTime<Utc>) -> Result<Vec<Limit>> {
    BUDGETS.rows(&[tenants.to_vec().into(), convert::timestamptz(as_of)?.into()], |row| {
        let warn_at: i32 = column(row, 10)?;
        Ok(Limit {
            tenant: column(row, 1)?,
            entity_type: column(row, 2)?,
            entity_id: nullable(row, 3)?,
            period: column(row, 4)?,
            period_start: column(row, 5)?,
            budget_id: column(row, 6)?,
            is_hard: column(row, 7)?,
            budget: Budget {
                limit: micros(&column::<String>(row, 8)?)?,
                spent: micros(&column::<String>(row, 9)?)?,
                warn_at: warn_at.unsigned_abs(),
            },
        })
    })
}

/// What entities have asked for.
pub fn usage(asked: &[Entity], as_of: DateTime<Utc>) -> Result<Vec<Used>> {
    let [tenants, dimensions, ids] = columns(asked);
    let arguments = [tenants.into(), dimensions.into(), ids.into(), convert::timestamptz(as_of)?.into()];
    USAGE.rows(&arguments, |row| {
        let usage = |from| -> Result<Usage> {
            Ok(Usage {
                requests: column(row, from)?,
                retries: column(row, from + 1)?,
                input_tokens: column(row, from + 2)?,
            })
        };
        let features = match nullable::<String>(row, 10)? {
            Some(name) => {
                Some((name, micros(&column::<String>(row, 11)?)?, micros(&column::<String>(row, 12)?)?))
            }
            None => None,
        };
        Ok(Used { entity: Entity::read(row)?, today: usage(4)?, yesterday: usage(7)?, features })
    })
}

fn series(row: &Row<'_>, ordinal: i32, length: usize, is_older: bool) -> Result<Series> {
    let days: Vec<i32> = column(row, ordinal)?;
    let spends: Vec<i64> = column(row, ordinal + 1)?;
    let spends =
        days.iter().zip(spends).filter_map(|(&ago, spend)| Some((usize::try_from(ago).ok()?, spend)));
    Ok(Series::new(length, spends, is_older))
}

fn columns(entities: &[Entity]) -> [Vec<&str>; 3] {
    let of = |part: fn(&Entity) -> &str| entities.iter().map(part).collect();
    [of(|entity| &entity.tenant), of(|entity| &entity.dimension), of(|entity| &entity.id)]
}

fn micros(text: &str) -> Result<Micros> {
    text.parse().map_err(|_| Error::Internal(format!("no amount: {text}")))
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
