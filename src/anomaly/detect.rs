//! One look at some tenants: their series are read, judged, and what follows is written.
//!
//! ```text
//!   tenants -> their series -> judged
//!           -> who has spent enough today, and whose anomaly is open, a page at a time -> their series -> judged
//!           -> budgets -> judged
//!   found -> usage, for the cause -> rows, breaches, drifts
//!   open  -> found no more: over
//!   grave -> alerts
//! ```
//!
//! A few statements for many tenants; none for one of them.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use costsim_core::anomaly::{
    self, CENT, ENTITY_DAYS, Judgement, Mean, Micros, Rule, Series, Severity, TENANT_DAYS,
};
use pgrx::prelude::*;
use serde_json::{Value, json};

use super::found::{Judged, cents, fire, judged_budget, key_of, period, row, stored_id, usage};
use super::notice::{self, Notice};
use super::spends::{self, Entity, Tenant};
use super::store::{self, Day, Open};
use crate::error::{Error, Result};
use crate::{alert, guc};

/// So many tenants are looked at together.
pub const TENANTS_AT_ONCE: i32 = 100;

/// Of their entities so many.
const ENTITIES_AT_ONCE: usize = 5_000;

/// The floor of excesses, as rules take it and as the server does.
pub struct Floor {
    pub micros: Micros,
    cents: AnyNumeric,
}

/// As it is set.
pub fn floor() -> Result<Floor> {
    let cents = guc::anomaly_min_cents();
    let micros = (cents * CENT as f64).round() as Micros;
    let cents = AnyNumeric::try_from(cents).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Floor { micros, cents })
}

/// What makes a finding this finding, but for its day.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    tenant: String,
    anomaly_type: String,
    entity_type: String,
    entity_id: String,
    period: String,
}

/// Whom alerts are fired for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Tenants for whom the moment is of today.
    OfToday,
    /// All: the moment is the end of a yesterday that is not told yet.
    OfAll,
}

/// Looks at these tenants as they are at a moment, and writes what follows: the ids of what was found.
pub fn detect(ids: &[String], as_of: DateTime<Utc>, telling: Telling) -> Result<Vec<i64>> {
    let floor = floor()?;
    let tenants: HashMap<String, Tenant> = spends::tenants(ids, as_of, TENANT_DAYS)?
        .into_iter()
        .map(|tenant| (tenant.id.clone(), tenant))
        .collect();
    let open = store::open(ids, as_of)?;
    let mut look = Look {
        floor,
        tenants: &tenants,
        found: Vec::new(),
        breaches: Vec::new(),
        above: HashSet::new(),
        lasting: HashSet::new(),
    };
    for tenant in tenants.values() {
        look.judge_tenant(tenant);
    }
    look.judge_entities(ids, as_of, &open)?;
    for limit in spends::budgets(ids, as_of)? {
        look.found.extend(Some(judged_budget(limit)).filter(|judged| judged.judgement.is_finding()));
    }
    let Look { mut found, breaches, above, lasting, floor: Floor { micros: look_floor, .. }, .. } = look;
    // One order for whoever locks the rows.
    found.sort_unstable_by(|a, b| key_of(a).cmp(&key_of(b)));
    let found: Vec<_> =
        found.into_iter().filter(|judged| tenants.contains_key(&judged.entity.tenant)).collect();
    let used = usage(&found, as_of)?;
    let rows = found.iter().enumerate().map(|(ordinal, judged)| row(ordinal, judged, &tenants, &used));
    let written = store::write(rows, as_of)?;
    store::write_breaches(breaches)?;
    forget_breaches(&tenants, &above)?;
    write_drifts(&tenants, look_floor)?;

    let over = over(&open, &found, &lasting, &tenants);
    store::close(&over, as_of)?;
    let is_over: HashSet<i64> = over.iter().map(|(id, _)| *id).collect();
    let has_begun =
        |row: &&Open| tenants.get(&row.tenant).is_some_and(|tenant| row.period_start <= tenant.day);
    let stay = open.iter().filter(has_begun).map(|row| row.id).filter(|id| !is_over.contains(id)).collect();
    store::confirm(stay, as_of)?;
    let is_live = |tenant: &Tenant| telling == Telling::OfAll || tenant.is_today;
    let mut without_alert: Vec<i64> = over.iter().map(|(id, _)| *id).collect();
    let mut fired = Vec::new();
    for stands in &written {
        let Some(judged) = found.get(stands.ordinal) else { continue };
        let is_grave = judged.judgement.severity == Some(Severity::High);
        if !is_grave || !stands.is_open {
            without_alert.extend(stands.alert.is_some().then_some(stands.id));
        } else if stands.is_current && tenants.get(&judged.entity.tenant).is_some_and(is_live) {
            let fingerprint = fire(judged, &used)?;
            if stands.alert.as_ref() != Some(&fingerprint) {
                if let Some(former) = &stands.alert {
                    alert::resolve_by_fingerprint(former)?;
                }
                fired.push((stands.id, fingerprint));
            }
        }
    }
    store::note_alerts(fired)?;
    notice::end_alerts(without_alert)?;
    tell(tenants.values().filter(|tenant| is_live(tenant)).map(|tenant| tenant.id.clone()).collect())?;
    Ok(written.iter().map(|stands| stands.id).collect())
}

/// What is gathered of some tenants.
struct Look<'a> {
    floor: Floor,
    tenants: &'a HashMap<String, Tenant>,
    found: Vec<Judged>,
    /// Days that are not written yet.
    breaches: Vec<Value>,
    /// Who spent more than expected on the day itself.
    above: HashSet<Key>,
    /// What was a finding on the day before.
    lasting: HashSet<Key>,
}

impl Look<'_> {
    fn judge_tenant(&mut self, tenant: &Tenant) {
        let entity = entity_of(tenant);
        for judgement in of_tenant(&tenant.series, 0, self.floor.micros) {
            self.take(&entity, judgement, |ago| Some(anomaly::spike(tenant.series.seen(ago), 0)));
        }
        for judgement in of_tenant(&tenant.series, 1, self.floor.micros) {
            self.remember(&entity, &judgement);
        }
    }

    /// Those whose anomaly is open first, and then all who have spent enough to be one.
    fn judge_entities(&mut self, ids: &[String], as_of: DateTime<Utc>, open: &[Open]) -> Result<()> {
        let known: BTreeSet<Entity> = open.iter().filter_map(entity_of_open).collect();
        let mut page: Vec<Entity> = known.iter().cloned().collect();
        let mut after: Option<Entity> = None;
        let mut is_last = false;
        loop {
            for (entity, series) in spends::entities(&page, as_of, ENTITY_DAYS)? {
                self.judge_entity(&entity, &series, known.contains(&entity));
            }
            store::write_breaches(std::mem::take(&mut self.breaches))?;
            if is_last {
                return Ok(());
            }
            pgrx::check_for_interrupts!();
            page = spends::spenders(ids, as_of, &self.floor.cents, after.as_ref(), ENTITIES_AT_ONCE)?;
            is_last = page.len() < ENTITIES_AT_ONCE;
            after = page.last().cloned();
            page.retain(|entity| !known.contains(entity));
        }
    }

    fn judge_entity(&mut self, entity: &Entity, series: &Series, is_known: bool) {
        let tenants = self.tenants;
        let Some(tenant) = tenants.get(&entity.tenant) else { return };
        for judgement in of_entity(series, tenant, 0, self.floor.micros) {
            let rule = judgement.rule;
            self.take(entity, judgement, |ago| {
                of_entity(series, tenant, ago, 0).into_iter().find(|judgement| judgement.rule == rule)
            });
        }
        if is_known {
            for judgement in of_entity(series, tenant, 1, self.floor.micros) {
                self.remember(entity, &judgement);
            }
        }
    }

    /// Keeps a finding, and the days that led to it. `judged` judges a day so many days ago.
    fn take(&mut self, entity: &Entity, judgement: Judgement, judged: impl Fn(usize) -> Option<Judgement>) {
        let day = self.tenants.get(&entity.tenant).map_or(0, |tenant| tenant.day);
        if judgement.rule != Rule::SustainedDrift && !judgement.is_small {
            for ago in 0..judgement.watched_days {
                let Some(breach) = usize::try_from(ago).ok().and_then(&judged) else { break };
                if ago == 0 {
                    self.above.insert(breach_key(entity, breach.rule.as_str()));
                }
                self.breaches.push(json!({
                    "tenant_id": entity.tenant,
                    "entity_type": entity.dimension,
                    "entity_id": entity.id,
                    "breach_type": breach.rule.as_str(),
                    "day": day - ago.cast_signed(),
                    "deviation": breach.deviation_pct,
                    "current": cents(breach.current),
                    "expected": cents(breach.expected.map_or(0, Mean::rounded)),
                }));
            }
        }
        if judgement.is_finding() {
            self.found.push(Judged { entity: entity.clone(), judgement, limit: None });
        }
    }

    fn remember(&mut self, entity: &Entity, judgement: &Judgement) {
        if judgement.is_finding() {
            self.lasting.insert(Key {
                tenant: entity.tenant.clone(),
                anomaly_type: judgement.rule.as_str().into(),
                entity_type: entity.dimension.clone(),
                entity_id: stored_id(entity, judgement.rule).unwrap_or_default(),
                period: "day".into(),
            });
        }
    }
}

/// What the rules say of a tenant, seen so many days ago.
pub fn of_tenant(series: &Series, ago: usize, floor: Micros) -> [Judgement; 2] {
    [anomaly::spike(series.seen(ago), floor), anomaly::drift(series.seen(ago), floor)]
}

/// What the rules say of a feature, a user or a model, seen so many days ago.
pub fn of_entity(series: &Series, tenant: &Tenant, ago: usize, floor: Micros) -> [Judgement; 2] {
    [
        anomaly::spike(series.seen(ago), floor),
        anomaly::new_spender(series.seen(ago), tenant.series.seen(ago), floor),
    ]
}

/// The tenant itself.
pub fn entity_of(tenant: &Tenant) -> Entity {
    Entity { tenant: tenant.id.clone(), dimension: "tenant".into(), id: String::new() }
}

/// The entity whose series an open anomaly is about; a tenant's is read anyhow.
fn entity_of_open(open: &Open) -> Option<Entity> {
    let is_of_series = !open.anomaly_type.starts_with("BUDGET_") && open.entity_type != "tenant";
    is_of_series.then(|| Entity {
        tenant: open.tenant.clone(),
        dimension: open.entity_type.clone(),
        id: open.entity_id.clone().unwrap_or_default(),
    })
}

/// Of what is open, what is over, and why.
fn over(
    open: &[Open],
    found: &[Judged],
    lasting: &HashSet<Key>,
    tenants: &HashMap<String, Tenant>,
) -> Vec<(i64, &'static str)> {
    let found: HashMap<Key, Day> = found
        .iter()
        .map(|judged| {
            let (period, day) = period(judged, tenants);
            let Judged { entity, judgement, .. } = judged;
            let key = Key {
                tenant: entity.tenant.clone(),
                anomaly_type: judgement.rule.as_str().into(),
                entity_type: entity.dimension.clone(),
                entity_id: stored_id(entity, judgement.rule).unwrap_or_default(),
                period: period.into(),
            };
            (key, day)
        })
        .collect();
    let why = |row: &Open| -> Option<&'static str> {
        let day = tenants.get(&row.tenant)?.day;
        // A day that is looked at again ends nothing that came after it.
        if row.period_start > day {
            return None;
        }
        let key = |anomaly_type: &str| Key {
            tenant: row.tenant.clone(),
            anomaly_type: anomaly_type.into(),
            entity_type: row.entity_type.clone(),
            entity_id: row.entity_id.clone().unwrap_or_default(),
            period: row.period.clone(),
        };
        let own = key(&row.anomaly_type);
        let is_found = found.get(&own).is_some_and(|day| *day == row.period_start);
        if row.anomaly_type.starts_with("BUDGET_") {
            let is_exceeded = || found.get(&key("BUDGET_EXCEEDED")) == Some(&row.period_start);
            return match () {
                () if row.period_end <= day => Some("period_over"),
                () if is_found => None,
                () if row.anomaly_type == "BUDGET_WARNING" && is_exceeded() => Some("superseded"),
                () => Some("cleared"),
            };
        }
        match () {
            () if is_found => None,
            () if found.contains_key(&own) => Some("continued"),
            () if lasting.contains(&own) => None,
            () => Some("cleared"),
        }
    };
    open.iter().filter_map(|row| why(row).map(|why| (row.id, why))).collect()
}

/// Forgets that somebody spent more than expected on the day that was looked at, where that is so no more: records have been corrected.
fn forget_breaches(tenants: &HashMap<String, Tenant>, above: &HashSet<Key>) -> Result<()> {
    let days = tenants.values().map(|tenant| (tenant.id.as_str(), tenant.day)).collect();
    let gone = store::breaches(days)?.into_iter();
    let gone = gone.filter(|(_, entity, breach_type)| !above.contains(&breach_key(entity, breach_type)));
    store::delete_breaches(gone.map(|(id, ..)| id).collect())
}

/// What makes a breach this breach, but for its day.
fn breach_key(entity: &Entity, breach_type: &str) -> Key {
    Key {
        tenant: entity.tenant.clone(),
        anomaly_type: breach_type.into(),
        entity_type: entity.dimension.clone(),
        entity_id: entity.id.clone(),
        period: "day".into(),
    }
}

/// Keeps which tenants drift, and ends the drifts of all others.
fn write_drifts(tenants: &HashMap<String, Tenant>, floor: Micros) -> Result<()> {
    let (mut lasting, mut ended, mut days) = (Vec::new(), Vec::new(), Vec::new());
    let mut sorted: Vec<_> = tenants.values().collect();
    sorted.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    for tenant in sorted {
        let drift = anomaly::drift(tenant.series.today(), floor);
        if drift.watched_days == 0 || drift.is_small {
            ended.push(tenant.id.clone());
            days.push(tenant.day);
            continue;
        }
        lasting.push(json!({
            "tenant_id": tenant.id,
            "day": tenant.day,
            "current": cents(drift.current),
            "expected": cents(drift.expected.map_or(0, Mean::rounded)),
            "deviation": drift.deviation_pct,
            "days": drift.watched_days,
        }));
    }
    store::write_drifts(lasting)?;
    store::end_drifts(ended, days)
}

/// Fires the alerts of grave anomalies that have none, such as what lasts since a day that nobody was told of.
fn tell(tenants: Vec<String>) -> Result<()> {
    let mut fired = Vec::new();
    for untold in store::untold(tenants)? {
        let notice = Notice {
            tenant: &untold.tenant,
            anomaly_type: &untold.anomaly_type,
            entity_type: &untold.entity_type,
            entity_id: untold.entity_id.as_deref(),
            period: &untold.period,
            message: &untold.message,
            cause: &untold.cause,
        };
        fired.push((untold.id, notice.fire()?));
    }
    store::note_alerts(fired)
}
