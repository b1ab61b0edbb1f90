//! One look at the runs of a window: what is found in them, and what is written of it.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use costsim_core::pattern::{Outcome, Seen, outcome, with_point};
use costsim_core::signature::{Method, Signature, template_by};
use pgrx::PgMemoryContexts;
use serde_json::json;

use super::store::{self, Group, Known, Shown, Spike};
use crate::convert::beginning;
use crate::error::Result;
use crate::{clock, lock};

/// How many findings are made, written and forgotten at once.
const FINDINGS_AT_ONCE: usize = 500;

/// Characters of an error that a row keeps, and a description shows.
const SAMPLE: usize = 500;
const SHOWN: usize = 200;

/// Bytes of a template that a row keeps.
const TEMPLATE: usize = 2_048;

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

/// What is answered of a finding.
pub struct Found {
    /// No row where a later look has spoken of later ones, or somebody else holds the tenant.
    pub id: Option<i64>,
    pub tenant: String,
    pub kind: Kind,
    pub signature: String,
    pub count: i64,
    pub seen: Seen,
    pub description: String,
    pub is_new: bool,
}

/// Where a finding is kept.
#[derive(Clone, Copy, Default)]
struct Kept {
    id: Option<i64>,
    is_new: bool,
}

/// The tenants for which this look may write.
pub enum Tenants {
    /// The one that it is about, which the call has waited for.
    One,
    /// Those for which there is something to write and that nobody else holds. A look at everybody waits for nobody: somebody who leaves a
    /// transaction open must not stop it, and with it all those whose turn was before.
    Free(HashMap<String, bool>),
}

impl Tenants {
    fn holds(&self, tenant: &str) -> bool {
        match self {
            Self::One => true,
            Self::Free(tried) => tried.get(tenant).is_some_and(|&is_held| is_held),
        }
    }

    /// Tries to hold one more.
    fn take(&mut self, tenant: &str) {
        if let Self::Free(tried) = self
            && !tried.contains_key(tenant)
        {
            let has_room = tried.values().filter(|&&is_held| is_held).count() < lock::many();
            let is_held = has_room && lock::try_feedback_of(key(tenant));
            tried.insert(tenant.to_owned(), is_held);
        }
    }
}

/// The key of a tenant's lock.
pub fn key(tenant: &str) -> i64 {
    Signature::of_template(tenant).key()
}

/// Looks, and writes what is new.
pub fn detect(look: &Look, tenants: &mut Tenants) -> Result<Vec<Found>> {
    let mut found = in_pages(store::groups(look)?, |page| keep(look, tenants, failures(look, page)?))?;
    found.extend(in_pages(store::spikes(look)?, |page| {
        keep(look, tenants, page.into_iter().map(|spike| of_spike(look, spike)).collect())
    })?);
    Ok(found)
}

/// Does what is to be done with a long list in pieces, and forgets what each needed.
fn in_pages<T>(mut list: Vec<T>, mut act: impl FnMut(Vec<T>) -> Result<Vec<Found>>) -> Result<Vec<Found>> {
    // Where there are more tenants than can be held, others come first each time.
    let start = match list.len() {
        0 => 0,
        length if length <= lock::many() => 0,
        length => usize::try_from(clock::now().timestamp_micros()).unwrap_or(0) % length,
    };
    list.rotate_left(start);
    let mut found = Vec::with_capacity(list.len());
    let mut list = list.into_iter();
    loop {
        let page: Vec<_> = list.by_ref().take(FINDINGS_AT_ONCE).collect();
        if page.is_empty() {
            break;
        }
        let mut memory = PgMemoryContexts::new("a page of patterns");
        // SAFETY: nothing that is answered lies in the server's memory.
        found.extend(unsafe { memory.switch_to(|_| act(page)) }?);
        pgrx::check_for_interrupts!();
    }
    found.rotate_right(start);
    Ok(found)
}

fn failures(look: &Look, groups: Vec<Group>) -> Result<Vec<Finding>> {
    let groups: Result<Vec<_>> =
        groups.into_iter().map(|group| group.shown().map(|shown| (group, shown))).collect();
    let groups = groups?;
    let samples = store::samples(&groups)?;
    let finding = |(ordinal, (group, shown)): (usize, (Group, Shown))| {
        // It may have been changed or deleted since.
        let sample = samples.get(&ordinal).map_or("", String::as_str);
        let mut template = template_by(sample, look.method);
        template.truncate(template.floor_char_boundary(TEMPLATE));
        Finding {
            tenant: group.tenant,
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
            provenance: json!(shown.runs).to_string(),
            metadata: json!({
                "template": template,
                "sample_error": beginning(sample, SAMPLE),
                "workers": shown.workers,
                "worker_id": shown.first_worker,
            })
            .to_string(),
        }
    };
    Ok(groups.into_iter().enumerate().map(finding).collect())
}

fn of_spike(look: &Look, spike: Spike) -> Finding {
    Finding {
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
    }
}

/// What a look makes of a finding, beside what is known, and whether that is to be written.
fn judged(look: &Look, finding: &Finding, known: Option<&Known>) -> (Outcome, bool) {
    let outcome = outcome(finding.seen, look.as_of, known.map(Known::as_seen), look.window);
    let is_written = match outcome {
        Outcome::Begins | Outcome::BeginsAnew => true,
        Outcome::GoesOn(_) => known.is_some_and(|known| known.has_news),
        Outcome::IsKnown | Outcome::IsPast => false,
    };
    (outcome, is_written)
}

/// Writes what is new of findings, and answers what is known of them.
fn keep(look: &Look, tenants: &mut Tenants, findings: Vec<Finding>) -> Result<Vec<Found>> {
    let mut known = store::known(look, &findings)?;
    if matches!(tenants, Tenants::Free(_)) {
        let mut is_written = false;
        for (place, finding) in findings.iter().enumerate() {
            if judged(look, finding, known.get(&place)).1 {
                tenants.take(&finding.tenant);
                is_written = true;
            }
        }
        if is_written {
            // What was there before they were held may have changed.
            known = store::known(look, &findings)?;
        }
    }
    let kept = write(look, tenants, &findings, &known)?;
    let found = findings.into_iter().zip(kept).map(|(finding, kept)| Found {
        id: kept.id,
        tenant: finding.tenant,
        kind: finding.kind,
        signature: finding.signature,
        count: finding.count,
        seen: finding.seen,
        description: finding.description,
        is_new: kept.is_new,
    });
    Ok(found.collect())
}

fn write(
    look: &Look,
    tenants: &Tenants,
    findings: &[Finding],
    known: &HashMap<usize, Known>,
) -> Result<Vec<Kept>> {
    let mut kept = vec![Kept::default(); findings.len()];
    let (mut begun, mut ended, mut going_on, mut past) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, finding) in findings.iter().enumerate() {
        let known = known.get(&place);
        let (outcome, is_written) = judged(look, finding, known);
        let is_written = is_written && tenants.holds(&finding.tenant);
        match outcome {
            Outcome::Begins | Outcome::BeginsAnew if is_written => {
                ended.extend(known.map(|known| known.id));
                begun.push(place);
            }
            Outcome::Begins | Outcome::BeginsAnew => {}
            Outcome::GoesOn(seen) => {
                kept[place].id = known.map(|known| known.id);
                if is_written {
                    going_on.extend(known.map(|known| (place, (known.id, seen, finding))));
                }
            }
            Outcome::IsKnown => kept[place].id = known.map(|known| known.id),
            Outcome::IsPast => past.push(place),
        }
    }
    store::end(ended)?;
    let (places, rows): (Vec<_>, Vec<_>) = going_on.into_iter().unzip();
    let written: HashSet<_> = store::go_on(look, &rows)?.into_iter().collect();
    if written.len() < rows.len() {
        // A purge was faster.
        let left = store::known(look, findings)?;
        begun.extend(places.into_iter().filter(|place| !left.contains_key(place)));
    }
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
