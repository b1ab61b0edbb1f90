//! One look at the runs of a window: what is found in them, and what is written of it.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::pattern::{Outcome, Seen, outcome, with_point};
use costsim_core::signature::{Method, template_by};
use serde_json::json;

use super::store::{self, Known};
use crate::convert::beginning;
use crate::error::Result;

/// How many findings are written at once: what they are passed in has a limit.
const FINDINGS_AT_ONCE: usize = 1_000;

/// Characters of an error that a row keeps, and a description shows.
const SAMPLE: usize = 500;
const SHOWN: usize = 200;

/// What is asked for.
pub struct Look {
    pub tenant: Option<String>,
    pub window: TimeDelta,
    pub as_of: DateTime<Utc>,
    pub threshold: i32,
    pub spike_pct: f64,
    pub baseline: TimeDelta,
    pub method: Method,
}

/// What repeats itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    FailurePattern,
    CostSpike,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FailurePattern => "failure_pattern",
            Self::CostSpike => "cost_spike",
        }
    }
}

/// A pattern as a look has found it. Documents are JSON texts.
pub struct Finding {
    pub tenant: String,
    pub kind: Kind,
    pub signature: String,
    pub version: i32,
    pub count: i64,
    pub seen: Seen,
    pub description: String,
    pub threshold_used: String,
    pub provenance: String,
    pub metadata: String,
}

/// Where a finding is kept.
#[derive(Clone, Copy, Default)]
pub struct Kept {
    /// No row where a later look has spoken of later ones.
    pub id: Option<i64>,
    pub is_new: bool,
}

/// Looks, and writes what is new.
pub fn detect(look: &Look) -> Result<Vec<(Finding, Kept)>> {
    let mut findings = failures(look)?;
    findings.extend(spikes(look)?);
    let mut kept = Vec::with_capacity(findings.len());
    for page in findings.chunks(FINDINGS_AT_ONCE) {
        kept.extend(keep(look, page)?);
        pgrx::check_for_interrupts!();
    }
    Ok(findings.into_iter().zip(kept).collect())
}

fn failures(look: &Look) -> Result<Vec<Finding>> {
    let groups = store::groups(look)?;
    let mut findings = Vec::with_capacity(groups.len());
    for page in groups.chunks(FINDINGS_AT_ONCE) {
        let samples: HashMap<_, _> = store::samples(page)?.into_iter().collect();
        for (ordinal, group) in page.iter().enumerate() {
            // It may have been changed or deleted since.
            let sample = samples.get(&ordinal).map_or("", String::as_str);
            findings.push(Finding {
                tenant: group.tenant.clone(),
                kind: Kind::FailurePattern,
                signature: group.signature.to_string(),
                version: look.method.version(),
                count: group.count,
                seen: group.seen,
                description: format!(
                    "Repeated failure: {} occurrences of the same error: {}",
                    group.count,
                    beginning(sample, SHOWN)
                ),
                threshold_used: format!("threshold={}", look.threshold),
                provenance: json!(group.runs).to_string(),
                metadata: json!({
                    "template": template_by(sample, look.method),
                    "sample_error": beginning(sample, SAMPLE),
                    "workers": group.workers,
                    "worker_id": group.first_worker,
                })
                .to_string(),
            });
        }
        pgrx::check_for_interrupts!();
    }
    Ok(findings)
}

fn spikes(look: &Look) -> Result<Vec<Finding>> {
    let spikes = store::spikes(look)?.into_iter();
    Ok(spikes
        .map(|spike| Finding {
            tenant: spike.tenant,
            kind: Kind::CostSpike,
            signature: format!("cost_spike_{}", spike.worker),
            // The rule has one version only.
            version: Method::Standard.version(),
            count: 1,
            seen: Seen { first: spike.at, last: spike.at },
            description: format!(
                "Cost spike: worker {} cost {} cents, {} percent above the mean of {} cents of its {} runs before",
                beginning(&spike.worker, SHOWN),
                spike.recent,
                spike.percent,
                spike.mean,
                spike.baseline_runs
            ),
            threshold_used: format!("spike_threshold={}%", with_point(look.spike_pct)),
            provenance: json!([spike.run]).to_string(),
            metadata: spike.metadata,
        })
        .collect())
}

/// Writes what is new of findings: where each is kept.
fn keep(look: &Look, findings: &[Finding]) -> Result<Vec<Kept>> {
    let known = store::known(look, findings)?;
    let mut kept = vec![Kept::default(); findings.len()];
    let (mut begun, mut ended, mut going_on, mut past) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, finding) in findings.iter().enumerate() {
        let known = known.get(&place);
        kept[place].id = known.map(|known| known.id);
        match outcome(finding.seen, look.as_of, known.map(Known::as_seen), look.window) {
            Outcome::Begins => begun.push(place),
            Outcome::BeginsAnew => {
                ended.extend(known.map(|known| known.id));
                begun.push(place);
            }
            Outcome::GoesOn(seen) => going_on.extend(known.map(|known| (known.id, seen, finding))),
            Outcome::IsKnown => {}
            Outcome::IsPast => past.push(place),
        }
    }
    store::end(ended)?;
    store::go_on(look, &going_on)?;
    if !begun.is_empty() {
        store::begin(look, begun.iter().map(|&place| &findings[place]))?;
        let written = store::known(look, findings)?;
        for place in begun {
            kept[place] = Kept { id: written.get(&place).map(|known| known.id), is_new: true };
        }
    }
    if !past.is_empty() {
        let rows = store::past(look, findings)?;
        for place in past {
            kept[place].id = rows.get(&place).copied();
        }
    }
    Ok(kept)
}
