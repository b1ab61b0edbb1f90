//! The room's memory: anomalies, breaches and drifts.
//!
//! Days are counted from 2000-01-01 on their way, and money comes in millionths of a cent.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use pgrx::pg_sys::BuiltinOid::{
    INT4ARRAYOID, INT8ARRAYOID, INT8OID, JSONBOID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID,
};
use serde_json::Value;

use super::spends::Entity;
use crate::convert::{self, Jsonb, row_type};
use crate::db::{Statement, column, nullable};
use crate::error::Result;

row_type!(Anomaly, "costsim_cost_anomalies");

/// No statement is given more rows at once: what they are passed in has a limit.
const ROWS_AT_ONCE: usize = 1_000;

/// Days since 2000-01-01.
pub type Day = i32;

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

/// Writes down what an operator says of an anomaly: whether that changed anything.
pub fn act(tenant: &str, id: i64, status: &str, who: &str, note: Option<&str>) -> Result<bool> {
    Ok(ACT.run(&[tenant.into(), id.into(), status.into(), who.into(), note.into()])? > 0)
}

fn run_with(statement: &'static Statement, rows: Vec<Value>) -> Result<()> {
    for page in rows.chunks(ROWS_AT_ONCE) {
        let page = Jsonb::read(&Value::from(page.to_vec()).to_string())?;
        statement.run(&[Jsonb::argument(Some(page))])?;
    }
    Ok(())
}
