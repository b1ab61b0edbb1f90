//! What every rule says of somebody, also where it says nothing.

use chrono::{DateTime, Utc};
use costsim_core::anomaly::{ENTITY_DAYS, Judgement, Mean, Series, Severity, TENANT_DAYS};
use pgrx::iter::TableIterator;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::spends::{self, Entity};
use super::{detect, found, moment, name};
use crate::access::scope;
use crate::db;
use crate::error::{Error, Result, required};

/// What every rule says of a tenant, or of one of its entities.
#[pg_extern(stable, parallel_unsafe, requires = ["anomaly"])]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns here")]
fn costsim_explain_anomaly(
    tenant_id: Option<&str>,
    entity_type: default!(Option<&str>, "'tenant'"),
    entity_id: default!(Option<&str>, "NULL"),
    as_of: default!(Option<TimestampWithTimeZone>, "now()"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(rule, String),
            name!(is_finding, bool),
            name!(severity, Option<String>),
            name!(current_value_cents, AnyNumeric),
            name!(expected_value_cents, Option<AnyNumeric>),
            name!(deviation_pct, Option<f64>),
            name!(threshold_pct, f64),
            name!(days, i32),
            name!(days_needed, i32),
            name!(reason, String),
        ),
    >,
    ErrorReport,
> {
    let tenant_id = name(required(tenant_id, "tenant_id")?, "tenant_id")?;
    let entity_type = required(entity_type, "entity_type")?;
    let as_of = moment(as_of)?;
    let mut entity = entity(tenant_id, entity_type, entity_id)?;
    let floor = detect::floor()?.micros;
    // Another tenant is as one that has nothing, which nobody of no name has.
    if !scope::admits(c"costsim_cost_records", Some(tenant_id))? {
        entity.tenant = String::new();
    }
    let judgements = db::as_owner(|| judgements(&entity, as_of, floor))?;
    let numeric = |amount| {
        AnyNumeric::try_from(found::cents(amount).as_str())
            .map_err(|error| Error::Internal(error.to_string()))
    };
    let rows: Result<Vec<_>> = judgements
        .into_iter()
        .map(|judgement| {
            Ok((
                judgement.rule.as_str().to_owned(),
                judgement.is_finding(),
                judgement.severity.map(Severity::as_str).map(str::to_owned),
                numeric(judgement.current)?,
                judgement.expected.map(Mean::rounded).map(numeric).transpose()?,
                judgement.deviation_pct,
                judgement.threshold_pct,
                judgement.days.cast_signed(),
                judgement.days_needed.cast_signed(),
                judgement.reason,
            ))
        })
        .collect();
    Ok(TableIterator::new(rows?))
}

fn entity(tenant: &str, dimension: &str, id: Option<&str>) -> Result<Entity> {
    let id = id.unwrap_or_default();
    match dimension {
        "tenant" if id.is_empty() || id == tenant => {
            Ok(Entity { tenant: tenant.into(), dimension: dimension.into(), id: String::new() })
        }
        "tenant" => Err(Error::invalid("entity_id must be left out for a tenant", "tenant_id says which.")),
        "feature" | "user" | "model" if id.is_empty() => Err(Error::invalid(
            format!("entity_id must say which {dimension}"),
            "Pass its name; what bears no tag is 'unclassified', who bears no name 'anonymous'.",
        )),
        "feature" | "user" | "model" => Ok(Entity {
            tenant: tenant.into(),
            dimension: dimension.into(),
            id: name(id, "entity_id")?.into(),
        }),
        _ => Err(Error::invalid(
            "entity_type must be tenant, feature, user or model",
            "Pass one of them; left out it is the tenant.",
        )),
    }
}

/// What every rule says of it.
fn judgements(entity: &Entity, as_of: DateTime<Utc>, floor: i128) -> Result<Vec<Judgement>> {
    let ids = [entity.tenant.clone()];
    let mut judgements = Vec::new();
    if let Some(tenant) = spends::tenants(&ids, as_of, TENANT_DAYS)?.first() {
        if entity.dimension == "tenant" {
            judgements.extend(detect::of_tenant(&tenant.series, 0, floor));
        } else {
            let known = spends::entities(std::slice::from_ref(entity), as_of, ENTITY_DAYS)?;
            let series = known
                .into_iter()
                .next()
                .map_or_else(|| Series::new(ENTITY_DAYS, [], false), |(_, series)| series);
            judgements.extend(detect::of_entity(&series, tenant, 0, floor));
        }
    }
    let limits = spends::budgets(&ids, as_of)?.into_iter().map(found::judged_budget);
    judgements.extend(limits.filter(|judged| judged.entity == *entity).map(|judged| judged.judgement));
    Ok(judgements)
}
