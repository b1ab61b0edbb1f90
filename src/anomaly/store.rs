//! The room's memory: series, budgets and usage as they are read; anomalies, breaches and drifts as they are written.
//!
//! Days are counted from 2000-01-01 on their way, and money comes in millionths of a cent.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use costsim_core::anomaly::{Budget, Micros, Series, Usage};
use pgrx::pg_sys::BuiltinOid::{
    INT4ARRAYOID, INT4OID, INT8ARRAYOID, INT8OID, JSONBOID, NUMERICOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID,
};
use pgrx::prelude::*;
use serde_json::Value;

use crate::convert::{self, Jsonb, row_type};
use crate::db::{Row, Statement, column, nullable};
use crate::error::{Error, Result};

row_type!(Anomaly, "costsim_cost_anomalies");

/// No statement is given more rows at once: what they are passed in has a limit.
const ROWS_AT_ONCE: usize = 1_000;

/// Days since 2000-01-01.
pub type Day = i32;

static TENANTS_AFTER: Statement = Statement::deciding(
    "SELECT u.tenant_id
       FROM ((SELECT n.tenant_id FROM @schema@.costsim_cost_detection AS n WHERE n.tenant_id > $1 ORDER BY n.tenant_id LIMIT $2)
             UNION
             (SELECT DISTINCT p.tenant_id FROM @schema@.costsim_cost_pending AS p WHERE p.tenant_id > $1 ORDER BY p.tenant_id LIMIT $2)) AS u
      ORDER BY u.tenant_id
      LIMIT $2",
    &[TEXTOID, INT4OID],
);

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

/// Open anomalies of which no later look has said anything.
static OPEN: Statement = Statement::deciding(
    "SELECT a.id, a.tenant_id, a.anomaly_type, a.entity_type, a.entity_id, a.period, a.period_start - DATE '2000-01-01',
            (a.period_start + CASE a.period WHEN 'month' THEN INTERVAL '1 month' ELSE INTERVAL '1 day' END)::date - DATE '2000-01-01'
       FROM @schema@.costsim_cost_anomalies AS a
      WHERE a.tenant_id = ANY ($1) AND a.status IN ('open', 'acknowledged') AND a.as_of <= $2
      ORDER BY a.id",
    &[TEXTARRAYOID, TIMESTAMPTZOID],
);

/// A key that is known is brought up to date, unless a later look or an operator has spoken of it or it was over by the calendar. One that is new goes on
/// from the row before it, if somebody knows of that; one that comes late, behind a row of a later day, is over already. The rows before and
/// behind are asked for in their order, for which only the index of the key will do.
static WRITE: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cost_anomalies AS a (
            tenant_id, anomaly_type, severity, entity_type, entity_id, period, period_start, current_value_cents, expected_value_cents,
            deviation_pct, threshold_pct, message, breach_count, derived_cause, metadata,
            status, resolution, resolved_at, acknowledged_at, acknowledged_by, note, as_of)
     SELECT f.tenant_id, f.anomaly_type, f.severity, f.entity_type, f.entity_id, f.period, DATE '2000-01-01' + f.day, f.current, f.expected,
            f.deviation, f.threshold, f.message, f.breach_count, f.cause, f.metadata,
            CASE WHEN l.is_late THEN 'resolved' ELSE coalesce(p.status, 'open') END,
            CASE WHEN l.is_late THEN CASE WHEN f.is_of_budget THEN 'period_over' ELSE 'continued' END END,
            CASE WHEN l.is_late THEN now() END, p.acknowledged_at, p.acknowledged_by, p.note, $2
       FROM jsonb_to_recordset($1) AS f (
            tenant_id text, anomaly_type text, severity text, entity_type text, entity_id text, period text, day integer, current numeric,
            expected numeric, deviation double precision, threshold double precision, message text, breach_count integer, cause text,
            metadata jsonb, is_of_budget boolean)
       LEFT JOIN LATERAL (
            SELECT o.status, o.acknowledged_at, o.acknowledged_by, o.note
              FROM @schema@.costsim_cost_anomalies AS o
             WHERE o.tenant_id = f.tenant_id AND o.anomaly_type = f.anomaly_type AND o.entity_type = f.entity_type
               AND coalesce(o.entity_id, '') = coalesce(f.entity_id, '') AND o.period = f.period
               AND o.period_start < DATE '2000-01-01' + f.day AND o.status = 'acknowledged' AND NOT f.is_of_budget
             ORDER BY o.period_start DESC
             LIMIT 1) AS p ON true
       LEFT JOIN LATERAL (
            SELECT true AS is_late
              FROM @schema@.costsim_cost_anomalies AS o
             WHERE o.tenant_id = f.tenant_id AND o.anomaly_type = f.anomaly_type AND o.entity_type = f.entity_type
               AND coalesce(o.entity_id, '') = coalesce(f.entity_id, '') AND o.period = f.period
               AND o.period_start > DATE '2000-01-01' + f.day
             ORDER BY o.period_start DESC
             LIMIT 1) AS l ON true
     ON CONFLICT (tenant_id, anomaly_type, entity_type, coalesce(entity_id, ''), period, period_start) DO UPDATE
        SET severity = excluded.severity, current_value_cents = excluded.current_value_cents,
            expected_value_cents = excluded.expected_value_cents, deviation_pct = excluded.deviation_pct,
            threshold_pct = excluded.threshold_pct, message = excluded.message, breach_count = excluded.breach_count,
            derived_cause = excluded.derived_cause, metadata = excluded.metadata,
            status = CASE WHEN excluded.resolution IS NOT NULL THEN excluded.status WHEN a.resolution IS NULL THEN a.status
                          WHEN a.acknowledged_at IS NULL THEN 'open' ELSE 'acknowledged' END,
            resolution = excluded.resolution, resolved_at = excluded.resolved_at, resolved_by = NULL, as_of = excluded.as_of,
            updated_at = CASE WHEN a.resolution IS NULL AND excluded.resolution IS NULL
                                   AND (a.severity, a.current_value_cents, a.expected_value_cents, a.deviation_pct, a.threshold_pct, a.message,
                                        a.breach_count, a.derived_cause, a.metadata)
                                       IS NOT DISTINCT FROM (excluded.severity, excluded.current_value_cents, excluded.expected_value_cents,
                                        excluded.deviation_pct, excluded.threshold_pct, excluded.message, excluded.breach_count,
                                        excluded.derived_cause, excluded.metadata)
                              THEN a.updated_at ELSE now() END
      WHERE a.as_of <= excluded.as_of AND (a.resolution IS NULL OR a.resolution IN ('cleared', 'superseded'))",
    &[JSONBOID, TIMESTAMPTZOID],
);

static FOUND: Statement = Statement::deciding(
    "SELECT f.ordinal, a.id, a.status IN ('open', 'acknowledged'), a.alert_fingerprint, a.as_of <= $2
       FROM jsonb_to_recordset($1) AS f (
            ordinal integer, tenant_id text, anomaly_type text, entity_type text, entity_id text, period text, day integer)
       JOIN @schema@.costsim_cost_anomalies AS a
         ON a.tenant_id = f.tenant_id AND a.anomaly_type = f.anomaly_type AND a.entity_type = f.entity_type
        AND coalesce(a.entity_id, '') = coalesce(f.entity_id, '') AND a.period = f.period
        AND a.period_start = DATE '2000-01-01' + f.day
      ORDER BY f.ordinal",
    &[JSONBOID, TIMESTAMPTZOID],
);

/// Up to when a look has seen the period of a row: its spends after that are those of another.
macro_rules! seen {
    ($as_of:literal) => {
        concat!(
            "greatest(a.as_of, least(",
            $as_of,
            ", @schema@._costsim_midnight(
                 (a.period_start + CASE a.period WHEN 'month' THEN INTERVAL '1 month' ELSE INTERVAL '1 day' END)::date,
                 @schema@.costsim_cost_time_zone(a.tenant_id)) - INTERVAL '1 microsecond'))"
        )
    };
}

static CLOSE: Statement = Statement::deciding(
    concat!(
        "UPDATE @schema@.costsim_cost_anomalies AS a
            SET status = 'resolved', resolution = c.resolution, resolved_at = clock_timestamp(), updated_at = now(), as_of = ",
        seen!("$3"),
        "  FROM ROWS FROM (unnest($1), unnest($2)) AS c (id, resolution)
          WHERE a.id = c.id AND a.status IN ('open', 'acknowledged') AND a.as_of <= $3"
    ),
    &[INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID],
);

/// What lasts though it was not found.
static CONFIRM: Statement = Statement::deciding(
    concat!(
        "UPDATE @schema@.costsim_cost_anomalies AS a
            SET as_of = ",
        seen!("$2"),
        " WHERE a.id = ANY ($1) AND a.status IN ('open', 'acknowledged') AND a.as_of < ",
        seen!("$2")
    ),
    &[INT8ARRAYOID, TIMESTAMPTZOID],
);

/// Grave ones that nobody has been told of, or whose alert has ended.
static UNTOLD: Statement = Statement::deciding(
    "SELECT a.id, a.tenant_id, a.anomaly_type, a.entity_type, a.entity_id, a.period, a.message, a.derived_cause
       FROM @schema@.costsim_cost_anomalies AS a
      WHERE a.tenant_id = ANY ($1) AND a.status IN ('open', 'acknowledged') AND a.severity = 'HIGH'
        AND NOT EXISTS (SELECT FROM @schema@.costsim_alerts AS f WHERE f.fingerprint = a.alert_fingerprint AND f.resolved_at IS NULL)
      ORDER BY a.tenant_id, a.id",
    &[TEXTARRAYOID],
);

static NOTE_ALERTS: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cost_anomalies AS a
        SET alert_fingerprint = f.fingerprint
       FROM ROWS FROM (unnest($1), unnest($2)) AS f (id, fingerprint)
      WHERE a.id = f.id",
    &[INT8ARRAYOID, TEXTARRAYOID],
);

/// Alerts of these rows that no open one needs any more. The tenant is one of the labels that a fingerprint is of.
static ENDED_ALERTS: Statement = Statement::deciding(
    "SELECT DISTINCT a.alert_fingerprint
       FROM @schema@.costsim_cost_anomalies AS a
      WHERE a.id = ANY ($1) AND a.alert_fingerprint IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM @schema@.costsim_cost_anomalies AS o
             WHERE o.alert_fingerprint = a.alert_fingerprint
               AND o.status IN ('open', 'acknowledged') AND o.severity = 'HIGH')
      ORDER BY a.alert_fingerprint",
    &[INT8ARRAYOID],
);

static ANOMALIES: Statement = Statement::deciding(
    "SELECT a FROM @schema@.costsim_cost_anomalies AS a WHERE a.id = ANY ($1)
      ORDER BY a.tenant_id, a.entity_type, a.entity_id, a.anomaly_type, a.period",
    &[INT8ARRAYOID],
);

static WRITE_BREACHES: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cost_breaches AS b (
            tenant_id, entity_type, entity_id, breach_type, breach_date, deviation_pct, current_value_cents, baseline_value_cents)
     SELECT f.tenant_id, f.entity_type, f.entity_id, f.breach_type, DATE '2000-01-01' + f.day, f.deviation, f.current, f.expected
       FROM jsonb_to_recordset($1) AS f (
            tenant_id text, entity_type text, entity_id text, breach_type text, day integer, deviation double precision, current numeric,
            expected numeric)
     ON CONFLICT (tenant_id, entity_type, entity_id, breach_type, breach_date) DO UPDATE
        SET deviation_pct = excluded.deviation_pct, current_value_cents = excluded.current_value_cents,
            baseline_value_cents = excluded.baseline_value_cents
      WHERE (b.deviation_pct, b.current_value_cents, b.baseline_value_cents)
            IS DISTINCT FROM (excluded.deviation_pct, excluded.current_value_cents, excluded.baseline_value_cents)",
    &[JSONBOID],
);

static BREACHES: Statement = Statement::deciding(
    "SELECT b.tenant_id, b.entity_type, b.entity_id, b.breach_type, b.id
       FROM ROWS FROM (unnest($1), unnest($2)) AS f (tenant_id, day)
       JOIN @schema@.costsim_cost_breaches AS b ON b.tenant_id = f.tenant_id AND b.breach_date = DATE '2000-01-01' + f.day
      ORDER BY b.id",
    &[TEXTARRAYOID, INT4ARRAYOID],
);

static DELETE_BREACHES: Statement = Statement::deciding(
    "DELETE FROM @schema@.costsim_cost_breaches AS b WHERE b.id = ANY ($1)",
    &[INT8ARRAYOID],
);

/// A look at a day before the last one that was looked at changes nothing.
static WRITE_DRIFTS: Statement = Statement::deciding(
    "INSERT INTO @schema@.costsim_cost_drift AS d (
            tenant_id, entity_type, entity_id, rolling_7d_avg_cents, baseline_21d_avg_cents, drift_pct, drift_days_count, first_drift_date,
            last_check_date)
     SELECT f.tenant_id, 'tenant', f.tenant_id, f.current, f.expected, f.deviation, f.days, DATE '2000-01-01' + (f.day - f.days + 1),
            DATE '2000-01-01' + f.day
       FROM jsonb_to_recordset($1) AS f (
            tenant_id text, day integer, current numeric, expected numeric, deviation double precision, days integer)
     ON CONFLICT (tenant_id, entity_type, entity_id) DO UPDATE
        SET rolling_7d_avg_cents = excluded.rolling_7d_avg_cents, baseline_21d_avg_cents = excluded.baseline_21d_avg_cents,
            drift_pct = excluded.drift_pct, drift_days_count = excluded.drift_days_count, first_drift_date = excluded.first_drift_date,
            last_check_date = excluded.last_check_date, is_active = true, updated_at = now()
      WHERE d.last_check_date <= excluded.last_check_date
        AND (d.rolling_7d_avg_cents, d.baseline_21d_avg_cents, d.drift_pct, d.drift_days_count, d.first_drift_date, d.last_check_date, d.is_active)
            IS DISTINCT FROM (excluded.rolling_7d_avg_cents, excluded.baseline_21d_avg_cents, excluded.drift_pct, excluded.drift_days_count,
             excluded.first_drift_date, excluded.last_check_date, true)",
    &[JSONBOID],
);

static END_DRIFTS: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cost_drift AS d
        SET is_active = false, last_check_date = DATE '2000-01-01' + f.day, updated_at = now()
       FROM ROWS FROM (unnest($1), unnest($2)) AS f (tenant_id, day)
      WHERE d.tenant_id = f.tenant_id AND d.entity_type = 'tenant' AND d.entity_id = f.tenant_id AND d.is_active
        AND d.last_check_date <= DATE '2000-01-01' + f.day",
    &[TEXTARRAYOID, INT4ARRAYOID],
);

static ACT: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cost_anomalies AS a
        SET status = $3, updated_at = now(), note = coalesce($5, a.note),
            acknowledged_at = CASE $3 WHEN 'acknowledged' THEN clock_timestamp() ELSE a.acknowledged_at END,
            acknowledged_by = CASE $3 WHEN 'acknowledged' THEN $4 ELSE a.acknowledged_by END,
            resolution = CASE $3 WHEN 'acknowledged' THEN NULL ELSE 'operator' END,
            resolved_at = CASE $3 WHEN 'acknowledged' THEN NULL ELSE clock_timestamp() END,
            resolved_by = CASE $3 WHEN 'acknowledged' THEN NULL ELSE $4 END
      WHERE a.tenant_id = $1 AND a.id = $2 AND a.status IN ('open', CASE $3 WHEN 'acknowledged' THEN 'open' ELSE 'acknowledged' END)",
    &[TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID],
);

/// What an operator has said holds for its period, so nothing goes before that is over in every zone.
static PURGE: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_cost_anomalies AS a
      USING (SELECT o.id FROM ONLY @schema@.costsim_cost_anomalies AS o
              WHERE o.resolved_at < $1 AND o.resolved_at IS NOT NULL
                AND o.period_start + CASE o.period WHEN 'month' THEN INTERVAL '1 month' ELSE INTERVAL '1 day' END < now() - INTERVAL '1 day'
              ORDER BY o.resolved_at, o.id LIMIT $2 FOR UPDATE SKIP LOCKED) AS o
      WHERE a.id = o.id",
    &[TIMESTAMPTZOID, INT8OID],
);

static PURGE_BREACHES: Statement = Statement::deciding(
    "DELETE FROM ONLY @schema@.costsim_cost_breaches AS b
      USING (SELECT o.id FROM ONLY @schema@.costsim_cost_breaches AS o
              WHERE o.breach_date < ($1 AT TIME ZONE 'UTC')::date
              ORDER BY o.breach_date, o.id LIMIT $2 FOR UPDATE SKIP LOCKED) AS o
      WHERE b.id = o.id",
    &[TIMESTAMPTZOID, INT8OID],
);

static DUE: Statement = Statement::deciding(
    "SELECT d FROM @schema@._costsim_anomaly_due($1, $2) AS d ORDER BY d",
    &[TEXTOID, INT4OID],
);

/// The rows of tenants with spend that nobody has folded. Their mark is what is pending.
static MAKE_ROWS: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_cost_detection (tenant_id, is_due)
     SELECT u.tenant_id, false
       FROM unnest($1) AS u (tenant_id)
      WHERE NOT EXISTS (SELECT FROM @schema@.costsim_cost_detection AS n WHERE n.tenant_id = u.tenant_id)
        AND (EXISTS (SELECT FROM @schema@.costsim_cost_pending AS p WHERE p.tenant_id = u.tenant_id)
             OR EXISTS (SELECT FROM @schema@.costsim_cost_daily AS d WHERE d.tenant_id = u.tenant_id)
             OR EXISTS (SELECT FROM @schema@.costsim_cost_anomalies AS a WHERE a.tenant_id = u.tenant_id))
      ORDER BY u.tenant_id
     ON CONFLICT (tenant_id) DO NOTHING",
    &[TEXTARRAYOID],
);

/// Holds the open anomalies of some tenants that nobody else holds: one that is not among them.
static HOLD_OPEN: Statement = Statement::current(
    "WITH held AS (
         SELECT a.id FROM @schema@.costsim_cost_anomalies AS a
          WHERE a.tenant_id = ANY ($1) AND a.status IN ('open', 'acknowledged')
            FOR UPDATE SKIP LOCKED
     )
     SELECT min(a.id)
       FROM @schema@.costsim_cost_anomalies AS a
      WHERE a.tenant_id = ANY ($1) AND a.status IN ('open', 'acknowledged') AND a.id <> ALL (ARRAY(SELECT h.id FROM held AS h))",
    &[TEXTARRAYOID],
);

/// One alone: nobody waits for whoever waits here.
static WAIT_FOR: Statement = Statement::current(
    "SELECT a.id FROM @schema@.costsim_cost_anomalies AS a WHERE a.id = $1 FOR UPDATE",
    &[INT8OID],
);

/// Those that nobody else holds, and the end of their yesterday where that has to be looked at.
static HOLD_FREE: Statement = Statement::deciding(
    "SELECT n.tenant_id,
            CASE WHEN least(n.due_from, (SELECT min(p.bucket_start) FROM @schema@.costsim_cost_pending AS p WHERE p.tenant_id = n.tenant_id))
                      < d.midnight THEN d.midnight - INTERVAL '1 microsecond' END
       FROM @schema@.costsim_cost_detection AS n
      CROSS JOIN LATERAL (SELECT @schema@.costsim_cost_time_zone(n.tenant_id)) AS z (time_zone)
      CROSS JOIN LATERAL (SELECT @schema@._costsim_midnight(($2 AT TIME ZONE z.time_zone)::date, z.time_zone)) AS d (midnight)
      WHERE n.tenant_id = ANY ($1)
      ORDER BY n.tenant_id
        FOR UPDATE OF n SKIP LOCKED",
    &[TEXTARRAYOID, TIMESTAMPTZOID],
);

/// An operator keeps detection away from a tenant, and no other operator, and nobody who folds.
static HOLD_AS_OPERATOR: Statement = Statement::current(
    "SELECT n.tenant_id FROM @schema@.costsim_cost_detection AS n WHERE n.tenant_id = $1 FOR KEY SHARE",
    &[TEXTOID],
);

static TAKE_UP: Statement = Statement::deciding(
    "UPDATE @schema@.costsim_cost_detection AS n
        SET is_due = false, due_from = NULL, detected_at = now(),
            detected_day = ($2 AT TIME ZONE @schema@.costsim_cost_time_zone(n.tenant_id))::date
      WHERE n.tenant_id = ANY ($1)",
    &[TEXTARRAYOID, TIMESTAMPTZOID],
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
    fn read(row: &Row<'_>) -> Result<Self> {
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

/// An anomaly that is not over.
pub struct Open {
    pub id: i64,
    pub tenant: String,
    pub anomaly_type: String,
    pub entity_type: String,
    pub entity_id: Option<String>,
    pub period: String,
    pub period_start: Day,
    pub period_end: Day,
}

/// An anomaly that has been found, by its place among those that were written.
pub struct Found {
    pub ordinal: usize,
    pub id: i64,
    pub is_open: bool,
    pub alert: Option<String>,
    /// Whether no later look has said something else of it.
    pub is_current: bool,
}

/// A grave anomaly without an alert.
pub struct Untold {
    pub id: i64,
    pub tenant: String,
    pub anomaly_type: String,
    pub entity_type: String,
    pub entity_id: Option<String>,
    pub period: String,
    pub message: String,
    pub cause: String,
}

/// A tenant that the worker holds.
pub struct Held {
    pub tenant: String,
    /// The end of its yesterday, if that has to be looked at.
    pub yesterday: Option<DateTime<Utc>>,
}

/// The tenants behind one of them, in order.
pub fn tenants_after(after: &str, most: i32) -> Result<Vec<String>> {
    TENANTS_AFTER.rows(&[after.into(), most.into()], |row| column(row, 1))
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

/// What is open of these tenants, and was so for no later look.
pub fn open(tenants: &[String], as_of: DateTime<Utc>) -> Result<Vec<Open>> {
    OPEN.rows(&[tenants.to_vec().into(), convert::timestamptz(as_of)?.into()], |row| {
        Ok(Open {
            id: column(row, 1)?,
            tenant: column(row, 2)?,
            anomaly_type: column(row, 3)?,
            entity_type: column(row, 4)?,
            entity_id: nullable(row, 5)?,
            period: column(row, 6)?,
            period_start: column(row, 7)?,
            period_end: column(row, 8)?,
        })
    })
}

/// Writes what was found, and answers where it stands.
pub fn write(mut found: impl Iterator<Item = Value>, as_of: DateTime<Utc>) -> Result<Vec<Found>> {
    let as_of = convert::timestamptz(as_of)?;
    let mut written = Vec::new();
    loop {
        let page: Vec<Value> = found.by_ref().take(ROWS_AT_ONCE).collect();
        if page.is_empty() {
            return Ok(written);
        }
        let page = Jsonb::read(&Value::from(page).to_string())?;
        WRITE.run(&[Jsonb::argument(Some(page)), as_of.into()])?;
        written.extend(FOUND.rows(&[Jsonb::argument(Some(page)), as_of.into()], |row| {
            let ordinal: i32 = column(row, 1)?;
            Ok(Found {
                ordinal: usize::try_from(ordinal).unwrap_or(usize::MAX),
                id: column(row, 2)?,
                is_open: column(row, 3)?,
                alert: nullable(row, 4)?,
                is_current: column(row, 5)?,
            })
        })?);
        pgrx::check_for_interrupts!();
    }
}

/// Writes down that anomalies are over, and why.
pub fn close(over: &[(i64, &'static str)], as_of: DateTime<Utc>) -> Result<()> {
    for page in over.chunks(ROWS_AT_ONCE) {
        let (ids, why): (Vec<_>, Vec<_>) = page.iter().copied().unzip();
        CLOSE.run(&[ids.into(), why.into(), convert::timestamptz(as_of)?.into()])?;
    }
    Ok(())
}

/// Notes that these have been looked at, and stay.
pub fn confirm(ids: Vec<i64>, as_of: DateTime<Utc>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    CONFIRM.run(&[ids.into(), convert::timestamptz(as_of)?.into()]).map(drop)
}

/// Grave anomalies of these tenants without an alert that fires.
pub fn untold(tenants: Vec<String>) -> Result<Vec<Untold>> {
    UNTOLD.rows(&[tenants.into()], |row| {
        Ok(Untold {
            id: column(row, 1)?,
            tenant: column(row, 2)?,
            anomaly_type: column(row, 3)?,
            entity_type: column(row, 4)?,
            entity_id: nullable(row, 5)?,
            period: column(row, 6)?,
            message: column(row, 7)?,
            cause: column(row, 8)?,
        })
    })
}

/// Notes which alerts fire for which anomalies.
pub fn note_alerts(fired: Vec<(i64, String)>) -> Result<()> {
    for page in fired.chunks(ROWS_AT_ONCE) {
        let (ids, fingerprints): (Vec<_>, Vec<_>) = page.iter().cloned().unzip();
        NOTE_ALERTS.run(&[ids.into(), fingerprints.into()])?;
    }
    Ok(())
}

/// The alerts of these anomalies that none needs any more.
pub fn ended_alerts(ids: Vec<i64>) -> Result<Vec<String>> {
    // In one order, whatever the pages, for whoever locks them.
    let mut ended = BTreeSet::new();
    for page in ids.chunks(ROWS_AT_ONCE) {
        ended.extend(ENDED_ALERTS.rows(&[page.to_vec().into()], |row| column::<String>(row, 1))?);
    }
    Ok(ended.into_iter().collect())
}

/// Anomalies as they are stored.
pub fn anomalies(ids: &[i64]) -> Result<Vec<Anomaly>> {
    ANOMALIES.rows(&[ids.to_vec().into()], |row| column(row, 1))
}

/// Keeps the days on which somebody spent more than expected.
pub fn write_breaches(breaches: Vec<Value>) -> Result<()> {
    run_with(&WRITE_BREACHES, breaches)
}

/// Which breaches are kept of these days of these tenants: ids, of whom, of what type.
pub fn breaches(days: Vec<(&str, Day)>) -> Result<Vec<(i64, Entity, String)>> {
    let (tenants, days): (Vec<_>, Vec<_>) = days.into_iter().unzip();
    BREACHES.rows(&[tenants.into(), days.into()], |row| {
        Ok((column(row, 5)?, Entity::read(row)?, column(row, 4)?))
    })
}

/// Forgets breaches.
pub fn delete_breaches(ids: Vec<i64>) -> Result<()> {
    for page in ids.chunks(ROWS_AT_ONCE) {
        DELETE_BREACHES.run(&[page.to_vec().into()])?;
    }
    Ok(())
}

/// Keeps the drifts that last.
pub fn write_drifts(drifts: Vec<Value>) -> Result<()> {
    run_with(&WRITE_DRIFTS, drifts)
}

/// Ends the drifts of these tenants as of these days.
pub fn end_drifts(tenants: Vec<String>, days: Vec<Day>) -> Result<()> {
    END_DRIFTS.run(&[tenants.into(), days.into()]).map(drop)
}

/// Deletes anomalies that are over and breaches from before a moment, the oldest first, at most so many: how many.
pub fn purge(before: DateTime<Utc>, most: i64) -> Result<i64> {
    let before = convert::timestamptz(before)?;
    let anomalies = convert::count(PURGE.run(&[before.into(), most.into()])?);
    let breaches = PURGE_BREACHES.run(&[before.into(), (most - anomalies).into()])?;
    Ok(anomalies + convert::count(breaches))
}

/// Writes down what an operator says of an anomaly: whether that changed anything.
pub fn act(tenant: &str, id: i64, status: &str, who: &str, note: Option<&str>) -> Result<bool> {
    Ok(ACT.run(&[tenant.into(), id.into(), status.into(), who.into(), note.into()])? > 0)
}

/// The tenants that the worker looks at next.
pub fn due(after: &str, most: i32) -> Result<Vec<String>> {
    DUE.rows(&[after.into(), most.into()], |row| column(row, 1))
}

/// Holds the open anomalies of these tenants: one that somebody else holds, if there is one.
pub fn hold_open(tenants: &[String]) -> Result<Option<i64>> {
    Ok(HOLD_OPEN.row(&[tenants.to_vec().into()], |row| nullable(row, 1))?.flatten())
}

/// Waits for whoever else holds an anomaly.
pub fn wait_for(id: i64) -> Result<()> {
    WAIT_FOR.rows(&[id.into()], |row| column::<i64>(row, 1)).map(drop)
}

/// Holds those of these tenants that nobody else holds.
pub fn hold_free(tenants: &[String], as_of: DateTime<Utc>) -> Result<Vec<Held>> {
    MAKE_ROWS.run(&[tenants.to_vec().into()])?;
    HOLD_FREE.rows(&[tenants.to_vec().into(), convert::timestamptz(as_of)?.into()], |row| {
        let yesterday: Option<TimestampWithTimeZone> = nullable(row, 2)?;
        let yesterday = yesterday.map(|end| convert::finite_moment(end, "yesterday")).transpose()?;
        Ok(Held { tenant: column(row, 1)?, yesterday })
    })
}

/// Keeps detection away from a tenant, and waits for one that is at it.
pub fn hold_as_operator(tenant: &str) -> Result<()> {
    let is_there = || HOLD_AS_OPERATOR.row(&[tenant.into()], |row| column::<String>(row, 1));
    if is_there()?.is_none() {
        // Its records have not been folded since a restore, or there is nothing at all.
        MAKE_ROWS.run(&[vec![tenant].into()])?;
        is_there()?;
    }
    Ok(())
}

/// Notes that tenants are looked at now.
pub fn take_up(tenants: &[String], as_of: DateTime<Utc>) -> Result<()> {
    TAKE_UP.run(&[tenants.to_vec().into(), convert::timestamptz(as_of)?.into()]).map(drop)
}

fn run_with(statement: &'static Statement, rows: Vec<Value>) -> Result<()> {
    for page in rows.chunks(ROWS_AT_ONCE) {
        let page = Jsonb::read(&Value::from(page.to_vec()).to_string())?;
        statement.run(&[Jsonb::argument(Some(page))])?;
    }
    Ok(())
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
