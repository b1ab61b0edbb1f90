//! How a breaker speaks in Alertmanager: the labels and the text of its alert.

use chrono::{DateTime, SecondsFormat, Utc};
use costsim_core::alertmanager::{Annotations, LabelSet};
use costsim_core::breaker::Severity;
use serde_json::json;

use super::LONGEST_TEXT;
use crate::convert::beginning;
use crate::error::Result;
use crate::{alert, db, guc};

/// What the alert says.
pub struct Notice<'a> {
    pub breaker: &'a str,
    pub incident_id: &'a str,
    pub severity: Severity,
    pub reason: &'a str,
    pub score: f64,
    pub sample_count: i32,
    pub until: Option<DateTime<Utc>>,
}

impl Notice<'_> {
    /// The labels: what makes this alert this alert.
    pub fn labels(&self) -> Result<LabelSet> {
        alert::read_labels(&json!({
            "alertname": "CostSimV2Disabled",
            "severity": self.severity.as_str().to_lowercase(),
            "component": "costsim",
            "circuit_breaker": beginning(self.breaker, LONGEST_TEXT),
            "instance": guc::instance_id().unwrap_or_else(db::database_name),
            "incident_id": self.incident_id,
        }))
    }

    /// The text for whoever is paged.
    pub fn annotations(&self) -> Result<Annotations> {
        let end = self.until.map_or_else(
            || "until it is enabled by hand".to_owned(),
            |until| format!("until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true)),
        );
        let mut annotations = json!({
            "summary": format!("Circuit breaker {} is open ({})", beginning(self.breaker, LONGEST_TEXT), self.severity.as_str()),
            "description": format!(
                "Reason: {}\nDrift score: {:.4}\nSamples: {}\nOpen: {end}",
                beginning(self.reason, LONGEST_TEXT), self.score, self.sample_count
            ),
        });
        if let Some(url) = guc::runbook_url() {
            annotations["runbook_url"] = url.into();
        }
        alert::read_annotations(&annotations)
    }
}
