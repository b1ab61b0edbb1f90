//! Who is to be looked at, and who keeps whom from it: the rows of costsim_cost_detection, and the open anomalies that an operator may hold.

use chrono::{DateTime, Utc};
use pgrx::pg_sys::BuiltinOid::{INT4OID, INT8OID, TEXTARRAYOID, TEXTOID, TIMESTAMPTZOID};
use pgrx::prelude::*;

use crate::convert;
use crate::db::{Statement, column, nullable};
use crate::error::Result;

static TENANTS_AFTER: Statement = Statement::deciding(
    "SELECT u.tenant_id
       FROM ((SELECT n.tenant_id FROM @schema@.costsim_cost_detection AS n WHERE n.tenant_id > $1 ORDER BY n.tenant_id LIMIT $2)
             UNION
             (SELECT DISTINCT p.tenant_id FROM @schema@.costsim_cost_pending AS p WHERE p.tenant_id > $1 ORDER BY p.tenant_id LIMIT $2)) AS u
      ORDER BY u.tenant_id
      LIMIT $2",
    &[TEXTOID, INT4OID],
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
