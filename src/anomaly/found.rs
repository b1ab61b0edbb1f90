//! What was found: what makes it this finding, what is written of it, what is told of it, and where it seems to come from.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use costsim_core::anomaly::{self, CENT, Cause, Judgement, Mean, Micros, Rule, Severity};
use serde_json::{Map, Value, json};

use super::notice::Notice;
use super::spends::{self, Entity, Limit, Tenant, Used};
use super::store::Day;
use crate::convert::beginning;
use crate::error::Result;

/// Causes are asked for so many at once.
const CAUSES_AT_ONCE: usize = 5_000;

/// Somebody's name in a message has no more characters.
const LONGEST_NAME: usize = 200;

/// What a rule says, and of whom.
pub struct Judged {
    pub entity: Entity,
    pub judgement: Judgement,
    /// What is told of it besides.
    pub limit: Option<Limit>,
}

/// What is said of a limit.
pub fn judged_budget(limit: Limit) -> Judged {
    let entity = Entity {
        tenant: limit.tenant.clone(),
        dimension: limit.entity_type.clone(),
        id: limit.entity_id.clone().unwrap_or_default(),
    };
    Judged { entity, judgement: anomaly::budget(&limit.budget, &limit.period), limit: Some(limit) }
}

/// The id under which a finding is stored: none for a tenant, but for its drift, which bears the tenant's.
pub fn stored_id(entity: &Entity, rule: Rule) -> Option<String> {
    match rule {
        Rule::SustainedDrift => Some(entity.tenant.clone()),
        _ => (entity.dimension != "tenant").then(|| entity.id.clone()),
    }
}

pub fn key_of(judged: &Judged) -> (&Entity, Rule, Option<&str>) {
    (&judged.entity, judged.judgement.rule, judged.limit.as_ref().map(|limit| limit.period.as_str()))
}

/// The period of a finding, and its first day.
pub fn period<'a>(judged: &'a Judged, tenants: &HashMap<String, Tenant>) -> (&'a str, Day) {
    match &judged.limit {
        Some(limit) => (&limit.period, limit.period_start),
        None => ("day", tenants.get(&judged.entity.tenant).map_or(0, |tenant| tenant.day)),
    }
}

/// What the entities of spikes have asked for, today and yesterday.
pub fn usage(found: &[Judged], as_of: DateTime<Utc>) -> Result<HashMap<Entity, Used>> {
    let is_of_usage =
        |judged: &&Judged| matches!(judged.judgement.rule, Rule::AbsoluteSpike | Rule::NewSpender);
    let asked: Vec<Entity> = found.iter().filter(is_of_usage).map(|judged| judged.entity.clone()).collect();
    let mut all = HashMap::new();
    for page in asked.chunks(CAUSES_AT_ONCE) {
        all.extend(spends::usage(page, as_of)?.into_iter().map(|used| (used.entity.clone(), used)));
    }
    Ok(all)
}

fn cause_of(judged: &Judged, used: &HashMap<Entity, Used>) -> Cause {
    if !matches!(judged.judgement.rule, Rule::AbsoluteSpike | Rule::NewSpender) {
        return Cause::Unknown;
    }
    used.get(&judged.entity).map_or(Cause::Unknown, |used| {
        let features = used.features.as_ref().map(|(_, top, all)| (*top, *all));
        anomaly::cause(used.today, used.yesterday, features)
    })
}

/// Who, and why.
fn message(judged: &Judged) -> String {
    let Entity { tenant, dimension, id } = &judged.entity;
    let name = if dimension == "tenant" { tenant } else { id };
    format!("{dimension} {}: {}", beginning(name, LONGEST_NAME), judged.judgement.reason)
}

/// A finding as it is written.
pub fn row(
    ordinal: usize,
    judged: &Judged,
    tenants: &HashMap<String, Tenant>,
    used: &HashMap<Entity, Used>,
) -> Value {
    let Judged { entity, judgement, .. } = judged;
    let (period, day) = period(judged, tenants);
    json!({
        "ordinal": ordinal,
        "tenant_id": entity.tenant,
        "anomaly_type": judgement.rule.as_str(),
        "severity": judgement.severity.map(Severity::as_str),
        "entity_type": entity.dimension,
        "entity_id": stored_id(entity, judgement.rule),
        "period": period,
        "day": day,
        "current": cents(judgement.current),
        "expected": cents(judgement.expected.map_or(0, Mean::rounded)),
        "deviation": judgement.deviation_pct,
        "threshold": judgement.threshold_pct,
        "message": message(judged),
        "breach_count": judgement.days,
        "cause": cause_of(judged, used).as_str(),
        "metadata": metadata(judged, used.get(entity)),
        "is_of_budget": judgement.rule.is_of_budget(),
    })
}

/// The figures behind a finding.
fn metadata(judged: &Judged, used: Option<&Used>) -> Value {
    let Judgement { rule, expected, current, days, .. } = &judged.judgement;
    let (average, of_days) = expected.map_or((0, 0), |mean| (mean.rounded(), mean.days));
    let number = |amount: Micros| amount as f64 / CENT as f64;
    let mut figures = Map::new();
    let mut note = |name: &str, value: Value| figures.insert(name.into(), value);
    match (rule, &judged.limit) {
        (_, Some(limit)) => {
            note("period", limit.period.as_str().into());
            note("limit_cents", number(limit.budget.limit).into());
            note("warn_threshold_pct", (f64::from(limit.budget.warn_at) / 100.0).into());
            note("budget_id", limit.budget_id.into());
            note("hard_limit_enabled", limit.is_hard.into());
        }
        (Rule::SustainedDrift, None) => {
            note("rolling_7d_avg", number(*current).into());
            note("baseline_avg", number(average).into());
            note("baseline_days", of_days.into());
            note("drift_days", (*days).into());
        }
        (_, None) => {
            note("lookback_days", 14.into());
            note("baseline_daily_avg", number(average).into());
            note("active_days", if *rule == Rule::NewSpender { 0 } else { of_days }.into());
            note("consecutive_breaches", (*days).into());
        }
    }
    if let Some(Used { today, yesterday, features, .. }) = used.filter(|_| judged.limit.is_none()) {
        note("requests", json!([today.requests, yesterday.requests]));
        note("retries", json!([today.retries, yesterday.retries]));
        note("input_tokens", json!([today.input_tokens, yesterday.input_tokens]));
        if let Some((name, top, all)) = features {
            note("top_feature", name.as_str().into());
            note("top_feature_cents", json!([number(*top), number(*all)]));
        }
    }
    Value::Object(figures)
}

/// Fires its alert: the fingerprint.
pub fn fire(judged: &Judged, used: &HashMap<Entity, Used>) -> Result<String> {
    let Judged { entity, judgement, limit } = judged;
    Notice {
        tenant: &entity.tenant,
        anomaly_type: judgement.rule.as_str(),
        entity_type: &entity.dimension,
        entity_id: stored_id(entity, judgement.rule).as_deref(),
        period: limit.as_ref().map_or("day", |limit| &limit.period),
        message: &message(judged),
        cause: cause_of(judged, used).as_str(),
    }
    .fire()
}

/// An amount as the server reads it.
pub fn cents(amount: Micros) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let amount = amount.unsigned_abs();
    let cent = CENT.unsigned_abs();
    format!("{sign}{}.{:06}", amount / cent, amount % cent)
}
