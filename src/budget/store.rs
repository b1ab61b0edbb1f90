//! The budget room's memory: budgets, and what is spent of them.

use costsim_core::budget::{self, Limit, Period};
use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, INT8ARRAYOID, NUMERICOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZARRAYOID,
};
use pgrx::prelude::*;

use super::Entity;
use crate::convert::row_type;
use crate::db::{Statement, column};
use crate::error::{Error, Result};

row_type!(Budget, "costsim_cost_budgets");

static SET: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cost_budgets AS b
            (tenant_id, budget_type, entity_id, daily_limit_cents, monthly_limit_cents, warn_threshold_pct, hard_limit_enabled, is_active)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (tenant_id, budget_type, (coalesce(entity_id, ''))) DO UPDATE
        SET daily_limit_cents = excluded.daily_limit_cents, monthly_limit_cents = excluded.monthly_limit_cents,
            warn_threshold_pct = excluded.warn_threshold_pct, hard_limit_enabled = excluded.hard_limit_enabled,
            is_active = excluded.is_active, updated_at = pg_catalog.now()
     RETURNING b",
    &[TEXTOID, TEXTOID, TEXTOID, NUMERICOID, NUMERICOID, NUMERICOID, BOOLOID, BOOLOID],
);

static DELETE: Statement = Statement::deciding(
    "DELETE FROM @schema@.costsim_cost_budgets b
      WHERE b.tenant_id OPERATOR(pg_catalog.=) $1 AND b.budget_type OPERATOR(pg_catalog.=) $2
        AND coalesce(b.entity_id, '') OPERATOR(pg_catalog.=) coalesce($3, '')",
    &[TEXTOID, TEXTOID, TEXTOID],
);

/// The hard budgets of a tenant that limit records with these features, users and models.
macro_rules! covering {
    () => {
        "b.tenant_id = $1 AND b.is_active AND b.hard_limit_enabled
         AND (b.daily_limit_cents IS NOT NULL OR b.monthly_limit_cents IS NOT NULL)
         AND (b.budget_type = 'tenant' OR (b.budget_type = 'feature' AND coalesce(b.entity_id, '') = ANY ($2))
              OR (b.budget_type = 'user' AND coalesce(b.entity_id, '') = ANY ($3))
              OR (b.budget_type = 'model' AND coalesce(b.entity_id, '') = ANY ($4)))"
    };
}

/// Keeps them from everybody else who enforces them, in the order of their ids, so that two calls never wait for each other.
static LOCK: Statement = Statement::current(
    concat!(
        "SELECT b.id, b.budget_type, coalesce(b.entity_id, '') FROM @schema@.costsim_cost_budgets b WHERE ",
        covering!(),
        " ORDER BY b.id FOR NO KEY UPDATE"
    ),
    &[TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID],
);

/// For each pair of a budget and a quarter of an hour the limits that hold then, and what is spent of them: by whole days of the tenant's zone, from the
/// roll-ups and from what is pending. And whether there is a budget by now that is not among those that were locked.
///
/// What is pending is read once, not for each limit, and added up by the names that have budgets. The roll-ups are asked for entity and day together, so that
/// the index that has both answers.
static SPENT: Statement = Statement::current(
    concat!(
        "WITH zone AS MATERIALIZED (
             SELECT @schema@.costsim_cost_time_zone($1) AS name
         ), wanted AS MATERIALIZED (
             SELECT w.ordinal, b.id, b.budget_type, coalesce(b.entity_id, '') AS entity_id, b.daily_limit_cents, b.monthly_limit_cents,
                    (w.quarter AT TIME ZONE z.name)::date AS day
               FROM zone z, unnest($5, $6) WITH ORDINALITY AS w (id, quarter, ordinal)
               JOIN @schema@.costsim_cost_budgets b ON b.id = w.id
         ), periods AS MATERIALIZED (
             SELECT DISTINCT w.id, w.budget_type, w.entity_id, 'day' AS period, w.day AS from_day, w.day + 1 AS to_day,
                    w.daily_limit_cents AS amount
               FROM wanted w WHERE w.daily_limit_cents IS NOT NULL
              UNION ALL
             SELECT DISTINCT w.id, w.budget_type, w.entity_id, 'month', date_trunc('month', w.day::timestamp)::date,
                    (date_trunc('month', w.day::timestamp) + interval '1 month')::date, w.monthly_limit_cents
               FROM wanted w WHERE w.monthly_limit_cents IS NOT NULL
         ), span AS MATERIALIZED (
             SELECT @schema@._costsim_midnight(min(p.from_day), min(z.name)) AS from_ts, @schema@._costsim_midnight(max(p.to_day), min(z.name)) AS to_ts
               FROM periods p, zone z
         ), noted AS MATERIALIZED (
             SELECT q.bucket_start, q.feature_tag, q.user_id, q.model, q.cost_cents
               FROM @schema@.costsim_cost_pending q
              WHERE q.tenant_id = $1 AND q.bucket_start >= (SELECT s.from_ts FROM span s) AND q.bucket_start < (SELECT s.to_ts FROM span s)
         ), pending AS MATERIALIZED (
             SELECT n.budget_type, n.entity_id, (n.bucket_start AT TIME ZONE z.name)::date AS day, n.cents
               FROM zone z, (
                    SELECT 'tenant' AS budget_type, '' AS entity_id, n.bucket_start, sum(n.cost_cents) AS cents FROM noted n GROUP BY n.bucket_start
                     UNION ALL
                    SELECT 'feature', n.feature_tag, n.bucket_start, sum(n.cost_cents) FROM noted n
                     WHERE n.feature_tag = ANY (ARRAY(SELECT DISTINCT w.entity_id FROM wanted w WHERE w.budget_type = 'feature'))
                     GROUP BY n.feature_tag, n.bucket_start
                     UNION ALL
                    SELECT 'user', n.user_id, n.bucket_start, sum(n.cost_cents) FROM noted n
                     WHERE n.user_id = ANY (ARRAY(SELECT DISTINCT w.entity_id FROM wanted w WHERE w.budget_type = 'user'))
                     GROUP BY n.user_id, n.bucket_start
                     UNION ALL
                    SELECT 'model', n.model, n.bucket_start, sum(n.cost_cents) FROM noted n
                     WHERE n.model = ANY (ARRAY(SELECT DISTINCT w.entity_id FROM wanted w WHERE w.budget_type = 'model'))
                     GROUP BY n.model, n.bucket_start) n
         ), spent AS MATERIALIZED (
             SELECT p.id, p.period, p.from_day, p.to_day, p.budget_type, p.entity_id, p.amount, d.cents + q.cents AS cents
               FROM periods p
              CROSS JOIN LATERAL (
                    SELECT coalesce(sum(d.cost_cents), 0) AS cents FROM @schema@.costsim_cost_daily d
                     WHERE d.tenant_id = $1 AND d.dimension = p.budget_type
                       AND (d.entity_id, d.day) >= (p.entity_id, p.from_day) AND (d.entity_id, d.day) < (p.entity_id, p.to_day)) d
              CROSS JOIN LATERAL (
                    SELECT coalesce(sum(n.cents), 0) AS cents FROM pending n
                     WHERE n.budget_type = p.budget_type AND n.entity_id = p.entity_id AND n.day >= p.from_day AND n.day < p.to_day) q
         )
         SELECT w.ordinal, s.id, s.budget_type, s.entity_id, s.period, to_char(s.from_day, 'YYYY-MM-DD'), s.amount::text, s.cents::text,
                (SELECT EXISTS (SELECT FROM @schema@.costsim_cost_budgets b WHERE ",
        covering!(),
        " AND b.id <> ALL ($7)))
           FROM wanted w JOIN spent s ON s.id = w.id AND w.day >= s.from_day AND w.day < s.to_day
          ORDER BY s.id, s.period, s.from_day"
    ),
    &[TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID],
);

/// What a budget allows.
pub struct Settings {
    pub daily_limit: Option<AnyNumeric>,
    pub monthly_limit: Option<AnyNumeric>,
    pub warn_threshold: AnyNumeric,
    pub is_hard: bool,
    pub is_active: bool,
}

/// Makes a budget, or gives the one there is these settings.
pub fn set(entity: &Entity<'_>, settings: Settings) -> Result<Budget> {
    let arguments = [
        entity.tenant_id.into(),
        entity.budget_type.into(),
        entity.entity_id.into(),
        settings.daily_limit.into(),
        settings.monthly_limit.into(),
        settings.warn_threshold.into(),
        settings.is_hard.into(),
        settings.is_active.into(),
    ];
    SET.row(&arguments, |row| column(row, 1))?
        .ok_or_else(|| Error::Internal("a budget was not stored".into()))
}

/// Whether there was one.
pub fn delete(entity: &Entity<'_>) -> Result<bool> {
    let arguments = [entity.tenant_id.into(), entity.budget_type.into(), entity.entity_id.into()];
    Ok(DELETE.run(&arguments)? > 0)
}

/// The names that records bear, each once.
#[derive(Default)]
pub struct Names<'a> {
    pub features: Vec<&'a str>,
    pub users: Vec<&'a str>,
    pub models: Vec<&'a str>,
}

/// A budget whose row this transaction holds.
pub struct Held {
    pub id: i64,
    pub budget_type: String,
    pub entity_id: String,
}

/// Holds the hard budgets that cover such records, once whoever else holds them is done.
pub fn lock(tenant_id: &str, names: &Names<'_>) -> Result<Vec<Held>> {
    let arguments = [
        tenant_id.into(),
        names.features.clone().into(),
        names.users.clone().into(),
        names.models.clone().into(),
    ];
    LOCK.rows(&arguments, |row| {
        Ok(Held { id: column(row, 1)?, budget_type: column(row, 2)?, entity_id: column(row, 3)? })
    })
}

/// A limit, and for which pair of budget and quarter, by its place, it was found.
pub struct Found {
    pub pair: usize,
    pub limit: Limit,
}

/// What is spent of limits.
pub struct Spent {
    pub found: Vec<Found>,
    /// Whether there are more budgets than those that were locked.
    pub is_incomplete: bool,
}

/// The limits of these budgets in the quarters beside them, in the order in which they are asked.
pub fn spent(
    tenant_id: &str,
    names: &Names<'_>,
    budgets: Vec<i64>,
    quarters: Vec<TimestampWithTimeZone>,
    held: &[Held],
) -> Result<Spent> {
    let held: Vec<i64> = held.iter().map(|budget| budget.id).collect();
    let arguments = [
        tenant_id.into(),
        names.features.clone().into(),
        names.users.clone().into(),
        names.models.clone().into(),
        budgets.into(),
        quarters.into(),
        held.into(),
    ];
    let mut is_incomplete = false;
    let found = SPENT.rows(&arguments, |row| {
        is_incomplete |= column::<bool>(row, 9)?;
        let pair = usize::try_from(column::<i64>(row, 1)? - 1)
            .map_err(|_| Error::Internal("a pair has no place".into()))?;
        let (budget_type, entity_id): (String, String) = (column(row, 3)?, column(row, 4)?);
        let owner =
            if entity_id.is_empty() { "the tenant".into() } else { format!("{budget_type} \"{entity_id}\"") };
        let limit = Limit {
            budget_id: column(row, 2)?,
            owner,
            period: Period::parse(&column::<String>(row, 5)?)
                .ok_or_else(|| Error::Internal("a limit has no period".into()))?,
            start: column(row, 6)?,
            amount: amount(column(row, 7)?)?,
            spent: amount(column(row, 8)?)?,
        };
        Ok(Found { pair, limit })
    })?;
    Ok(Spent { found, is_incomplete })
}

fn amount(text: String) -> Result<rust_decimal::Decimal> {
    budget::amount(&text).ok_or_else(|| Error::Internal(format!("\"{text}\" is no amount")))
}
