//! How a grave anomaly speaks in Alertmanager: one alert for an entity and a rule, however many days it lasts.

use costsim_core::alertmanager::{Annotations, LabelSet};
use serde_json::json;

use crate::convert::beginning;
use crate::error::Result;
use crate::{alert, db, guc};

use super::store;

/// Labels and annotations bear no more characters of a name.
const LONGEST_TEXT: usize = 1_000;

/// What the alert says.
pub struct Notice<'a> {
    pub tenant: &'a str,
    pub anomaly_type: &'a str,
    pub entity_type: &'a str,
    pub entity_id: Option<&'a str>,
    pub period: &'a str,
    pub message: &'a str,
    pub cause: &'a str,
}

impl Notice<'_> {
    /// Fires it, in this transaction: its fingerprint.
    pub fn fire(&self) -> Result<String> {
        alert::fire(&self.labels()?, &self.annotations()?, None, None)
    }

    /// What makes this alert this alert: no day is among them.
    fn labels(&self) -> Result<LabelSet> {
        alert::read_labels(&json!({
            "alertname": "CostSimCostAnomaly",
            "severity": "high",
            "component": "costsim",
            "instance": guc::instance_id().unwrap_or_else(db::database_name),
            "tenant_id": beginning(self.tenant, LONGEST_TEXT),
            "anomaly_type": self.anomaly_type,
            "entity_type": self.entity_type,
            "entity_id": beginning(self.entity_id.unwrap_or_default(), LONGEST_TEXT),
            "period": self.period,
        }))
    }

    fn annotations(&self) -> Result<Annotations> {
        let mut annotations = json!({
            "summary": format!("{} of tenant {}", self.anomaly_type, beginning(self.tenant, LONGEST_TEXT)),
            "description": format!("{}\nCause: {}", beginning(self.message, 4 * LONGEST_TEXT), self.cause),
        });
        if let Some(url) = guc::runbook_url() {
            annotations["runbook_url"] = url.into();
        }
        alert::read_annotations(&annotations)
    }
}

/// Ends the alerts of these anomalies, but for those that another open one still needs.
pub fn end_alerts(ids: Vec<i64>) -> Result<()> {
    for fingerprint in store::ended_alerts(ids)? {
        alert::resolve_by_fingerprint(&fingerprint)?;
    }
    Ok(())
}
