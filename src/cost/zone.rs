//! In which time zone a tenant's days begin.
//!
//! Whoever writes a zone, by whatever statement, the tenant's days are summed up anew from the quarters of an hour in the same transaction: so days and
//! zone are of one mind in every snapshot, in a restore too, whose zones may come after the first fold.

use costsim_core::cost::text_fault;
use costsim_core::schedule::zone;
use pgrx::pg_sys::BuiltinOid::TEXTOID;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::trigger_support::PgTriggerError;

use super::fold::be_the_only_one;
use crate::access::scope;
use crate::convert;
use crate::db::{self, Statement, column};
use crate::error::{Answer, Error, Result, required};

/// Days of the quarters of some tenants.
macro_rules! days_of {
    ($which:literal) => {
        concat!(
            "INSERT INTO @schema@.costsim_cost_daily
             SELECT q.tenant_id, q.dimension, q.entity_id, (q.bucket_start AT TIME ZONE coalesce(t.time_zone, 'UTC'))::date, ",
            $crate::cost::fold::sums_of!("q"),
            "  FROM @schema@.costsim_cost_quarters q LEFT JOIN @schema@.costsim_cost_tenants t ON t.tenant_id = q.tenant_id
              WHERE ",
            $which,
            " GROUP BY 1, 2, 3, 4"
        )
    };
}
pub(super) use days_of;

static SET: Statement = Statement::current(
    "INSERT INTO @schema@.costsim_cost_tenants AS t (tenant_id, time_zone) VALUES ($1, $2)
     ON CONFLICT (tenant_id) DO UPDATE SET time_zone = excluded.time_zone",
    &[TEXTOID, TEXTOID],
);

static TIME_ZONE: Statement = Statement::current(
    "SELECT coalesce((SELECT t.time_zone FROM @schema@.costsim_cost_tenants t WHERE t.tenant_id = $1), 'UTC')",
    &[TEXTOID],
);

/// Whether every day of a zone, in winter and summer, is made of whole quarters of an hour. (Before 1972 one was not that is now.)
static IS_OF_QUARTERS: Statement = Statement::reading(
    "SELECT bool_and(extract(epoch FROM (m.moment AT TIME ZONE $1) - (m.moment AT TIME ZONE 'UTC')) % 900 = 0)
       FROM generate_series(TIMESTAMPTZ '1975-01-01 00:00:00+00', TIMESTAMPTZ '2038-01-01 00:00:00+00', INTERVAL '3 months') AS m (moment)",
    &[TEXTOID],
);

/// An error of the server's own where one does not exist: no fold would get past it.
static TRY: Statement = Statement::current("SELECT count(now() AT TIME ZONE a.time_zone) FROM added a", &[]);

macro_rules! of {
    ($table:literal) => {
        concat!("tenant_id IN (SELECT x.tenant_id FROM ", $table, " x)")
    };
}

static FORGET_ADDED: Statement =
    Statement::current(concat!("DELETE FROM @schema@.costsim_cost_daily WHERE ", of!("added")), &[]);
static FORGET_REMOVED: Statement =
    Statement::current(concat!("DELETE FROM @schema@.costsim_cost_daily WHERE ", of!("removed")), &[]);
static FORGET_ALL: Statement = Statement::current("DELETE FROM @schema@.costsim_cost_daily", &[]);
static SUM_UP_ADDED: Statement =
    Statement::current(days_of!("q.tenant_id IN (SELECT x.tenant_id FROM added x)"), &[]);
static SUM_UP_REMOVED: Statement =
    Statement::current(days_of!("q.tenant_id IN (SELECT x.tenant_id FROM removed x)"), &[]);
static SUM_UP_ALL: Statement = Statement::current(days_of!("true"), &[]);

/// What happens to days may be an anomaly, or none any more.
static LOOK_AGAIN: Statement = Statement::current(
    concat!("UPDATE @schema@.costsim_cost_detection SET is_due = true WHERE ", of!("added")),
    &[],
);

/// Says in which time zone a tenant's days begin: whether that is another than before.
#[pg_extern(volatile, parallel_unsafe, requires = ["cost"])]
fn costsim_set_cost_time_zone(tenant_id: Option<&str>, time_zone: Option<&str>) -> Answer<bool> {
    db::require_writable(c"costsim_set_cost_time_zone()");
    let (tenant_id, time_zone) = (required(tenant_id, "tenant_id")?, required(time_zone, "time_zone")?);
    if let Some(fault) = text_fault(tenant_id.as_bytes()) {
        return Err(Error::invalid(format!("tenant_id {fault}"), "Pass the tenant's own name.").into());
    }
    let hint = "Pass a name of the IANA database with its continent, such as Europe/Berlin, or UTC.";
    zone(convert::beginning(time_zone, 100)).map_err(|why| Error::invalid(why, hint))?;
    if !time_zone.contains('/') && time_zone != "UTC" {
        return Err(Error::invalid(
            "time_zone must not be an abbreviation: a session may read it otherwise",
            hint,
        )
        .into());
    }
    scope::require(c"costsim_cost_tenants", Some(tenant_id))?;
    Ok(db::as_owner(|| set(tenant_id, time_zone))?)
}

fn set(tenant_id: &str, time_zone: &str) -> Result<bool> {
    let is_of_quarters: Option<bool> = IS_OF_QUARTERS.row(&[time_zone.into()], |row| column(row, 1))?;
    if is_of_quarters != Some(true) {
        return Err(Error::invalid(
            "time_zone must be a whole number of quarters of an hour from UTC",
            "Sums are kept by quarters of an hour; take a zone next to it.",
        ));
    }
    be_the_only_one("costsim_set_cost_time_zone()")?;
    let before: Option<String> = TIME_ZONE.row(&[tenant_id.into()], |row| column(row, 1))?;
    if before.as_deref() == Some(time_zone) {
        return Ok(false);
    }
    SET.run(&[tenant_id.into(), time_zone.into()])?;
    Ok(true)
}

/// After a statement has changed costsim_cost_tenants.
#[pg_trigger]
fn _costsim_cost_zone_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> std::result::Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    if let Err(error) = changed(trigger) {
        ErrorReport::from(error).report(PgLogLevel::ERROR);
    }
    Ok(None)
}

fn changed(trigger: &PgTrigger<'_>) -> Result<()> {
    let table = trigger.relid().map_err(|error| Error::Internal(error.to_string()))?;
    if table != db::relation(c"costsim_cost_tenants")? {
        return Err(Error::invalid(
            "_costsim_cost_zone_changed() is for changes of costsim_cost_tenants",
            "Leave the extension's trigger functions to its own tables.",
        ));
    }
    be_the_only_one("a change of costsim_cost_tenants")?;
    let event = trigger.event();
    if event.fired_by_truncate() {
        FORGET_ALL.run(&[])?;
        SUM_UP_ALL.run(&[])?;
        return Ok(());
    }
    if event.fired_by_delete() || event.fired_by_update() {
        FORGET_REMOVED.run_on(trigger, &[])?;
        SUM_UP_REMOVED.run_on(trigger, &[])?;
    }
    if event.fired_by_insert() || event.fired_by_update() {
        TRY.run_on(trigger, &[])?;
        FORGET_ADDED.run_on(trigger, &[])?;
        SUM_UP_ADDED.run_on(trigger, &[])?;
        LOOK_AGAIN.run_on(trigger, &[])?;
    }
    Ok(())
}
