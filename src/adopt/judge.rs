//! How the rows of the old tables are judged, and how they are written.
//!
//! A judgement is a query over the old table, read as ours would have it: each row with its fate (insert, update, already, refused) and why. The
//! dry run counts it, the run writes by it. Nothing in it raises an error for a row that we would not take: what a conversion could stumble over is
//! asked for first.

use pgrx::spi::{quote_identifier, quote_literal};

use super::source::{Column as Theirs, Found, Source};
use super::table::Need::{Free, Set};
use super::table::{Of, TABLES, Table, read};
use super::{Mode, Plan};
use crate::db::{self, column};
use crate::error::{Error, Result};

/// Ids above leave our sequence no room for as many again.
pub const GREATEST_ID: i64 = 1 << 62;

/// In seconds: as good as any longer time, and still a time that can be reckoned with.
const CENTURY: i64 = 100 * 365 * 86_400;

/// A list of SQL expressions.
fn list(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

impl Table {
    /// The old table as a subquery with our columns, and what is wrong with each row of it by itself.
    fn read_all(&self, plan: &Plan<'_>, source: &Source, theirs: &[Theirs]) -> String {
        let (mut whens, mut columns) = (Vec::new(), Vec::new());
        for (name, kind, need) in self.columns {
            let quoted = quote_identifier(name);
            let found = theirs.iter().find(|it| it.name == *name);
            let Some(reading) = found.and_then(|it| read(name, *kind, it, plan.home)) else {
                let value = if let Set(value) = need { value } else { "NULL" };
                columns.push(format!("{value}::{} AS {quoted}", kind.sql()));
                continue;
            };
            if !matches!(need, Free) {
                whens.push(format!("WHEN x.{quoted} IS NULL THEN '{name} is null'"));
            }
            if let Some((trouble, why)) = reading.trouble {
                whens.push(format!("WHEN {trouble} THEN '{why}'"));
            }
            columns.push(format!("{} AS {quoted}", reading.expression));
        }
        // Of rows that are one by their key, which ours may have once only, the first is taken.
        let keys: &[&str] = match self.kind {
            Of::State => &["name"],
            Of::Reports => &["id", "run_id"],
            _ => &["id"],
        };
        for key in keys {
            if theirs.iter().any(|it| it.name == *key && !it.is_unique) {
                let mut order = vec![format!("{key} IS NULL")];
                if self.kind == Of::State && theirs.iter().any(|it| it.name == "updated_at") {
                    order.push("updated_at DESC NULLS LAST".into());
                }
                order.push("tableoid, ctid".into());
                whens.push(format!(
                    "WHEN row_number() OVER (PARTITION BY {key} ORDER BY {}) > 1 THEN 'another row has the same {key}'",
                    list(order)
                ));
            }
        }
        if self.sequence.is_some() {
            whens.push(format!("WHEN x.id > {GREATEST_ID} THEN 'id leaves no room for more'"));
        }
        format!("SELECT {}, CASE {} END AS wrong FROM {} x", list(columns), whens.join(" "), source.name)
    }

    /// The judgement of every row, as a subquery in parentheses: our columns, why, and fate.
    pub fn judged(&self, plan: &Plan<'_>, source: &Source) -> String {
        let Found::Table(theirs) = &source.found else { return String::new() };
        let (home, all) = (plan.home, self.read_all(plan, source, theirs));
        let has = |name: &str| theirs.iter().any(|it| it.name == name);
        let (on, same, behind, whys, columns) = match self.kind {
            Of::State => (
                "o.name = s.name",
                "true".to_owned(),
                if has("updated_at") { "s.updated_at > o.updated_at" } else { "false" },
                String::new(),
                list(self.columns.iter().map(|(name, ..)| match *name {
                    "id" => format!(
                        "CASE WHEN o.id IS NULL AND NOT EXISTS (SELECT FROM {home}.costsim_cb_state t WHERE t.id = s.id) THEN s.id END AS id"
                    ),
                    name => format!("s.{name}"),
                })),
            ),
            Of::Incidents => (
                "o.id = s.id",
                "o.circuit_breaker_name = s.circuit_breaker_name AND o.\"timestamp\" = s.\"timestamp\"".to_owned(),
                "s.resolved AND NOT o.resolved",
                String::new(),
                self.incident_columns(plan),
            ),
            Of::Provenance => ("o.id = s.id", "o.created_at = s.created_at".to_owned(), "false", String::new(), "s.*".to_owned()),
            Of::Alerts => (
                "o.id = s.id",
                "o.created_at = s.created_at".to_owned(),
                "false",
                format!(
                    "WHEN EXISTS (SELECT FROM {home}.costsim_alerts a WHERE a.id = s.id) THEN 'id is that of an alert that was fired'
                     WHEN s.status NOT IN ('pending', 'sent', 'failed', 'cancelled') THEN 'status is none of pending, sent, failed, cancelled'
                     {}",
                    match plan.mode {
                        Mode::Copy => "WHEN s.status = 'pending' THEN 'is pending, and delivered from there: attach takes it over'",
                        Mode::Attach => "",
                    }
                ),
                self.alert_columns(plan),
            ),
            Of::Reports => (
                "o.id = s.id",
                "o.run_id = s.run_id".to_owned(),
                "false",
                format!(
                    "WHEN EXISTS (SELECT FROM {home}.costsim_canary_reports r WHERE r.run_id = s.run_id) THEN 'run_id is taken by another row'
                     WHEN s.status NOT IN ('pass', 'fail', 'error', 'skipped', 'insufficient_data')
                     THEN 'status is none of pass, fail, error, skipped, insufficient_data'"
                ),
                "s.*".to_owned(),
            ),
        };
        let key = self.key();
        format!(
            "(SELECT f.*, CASE WHEN f.why IS NOT NULL THEN 'refused' WHEN NOT f.is_same THEN 'insert'
                               WHEN f.is_behind THEN 'update' ELSE 'already' END AS fate
                FROM (SELECT {columns}, o.{key} IS NOT NULL AND {same} AS is_same, {behind} AS is_behind,
                             CASE WHEN s.wrong IS NOT NULL THEN s.wrong
                                  WHEN o.{key} IS NOT NULL AND NOT ({same}) THEN 'id is taken by another row'
                                  WHEN o.{key} IS NOT NULL THEN NULL
                                  {whys} END AS why
                        FROM ({all}) s LEFT JOIN {home}.{name} o ON {on}) f)",
            name = self.name,
        )
    }

    /// An incident stays open only where the breaker that comes along is open by it: one per breaker. The reference has left many behind.
    fn incident_columns(&self, plan: &Plan<'_>) -> String {
        let state = &TABLES[0];
        let still_open = match plan.sources.first() {
            Some(source) if matches!(&source.found, Found::Table(columns) if state.unfit(columns).is_empty()) =>
            {
                format!(
                    "EXISTS (SELECT FROM {} b WHERE b.fate IN ('insert', 'update') AND b.disabled
                                                AND b.incident_id = s.id AND b.name = s.circuit_breaker_name)",
                    state.judged(plan, source)
                )
            }
            _ => "false".to_owned(),
        };
        list(self.columns.iter().map(|(name, ..)| match *name {
            "resolved" => format!("s.resolved OR NOT {still_open} AS resolved"),
            "resolved_at" => {
                format!("CASE WHEN s.resolved OR {still_open} THEN s.resolved_at ELSE now() END AS resolved_at")
            }
            "resolved_by" => format!(
                "CASE WHEN s.resolved OR {still_open} THEN s.resolved_by ELSE 'costsim_adopt' END AS resolved_by"
            ),
            "resolution_notes" => format!(
                "CASE WHEN s.resolved OR {still_open} THEN s.resolution_notes
                      ELSE concat_ws(': ', 'was left unresolved', s.resolution_notes) END AS resolution_notes"
            ),
            name => format!("s.{}", quote_identifier(name)),
        }))
    }

    /// What has ended has a time at which it did. What has waited for long is told to nobody any more: the page would come for what is over.
    fn alert_columns(&self, plan: &Plan<'_>) -> String {
        let seconds = plan.deliver_within.num_seconds().min(CENTURY);
        let stale = format!("s.status = 'pending' AND s.created_at < now() - interval '{seconds} seconds'");
        let mut columns = list(self.columns.iter().map(|(name, ..)| match *name {
            "status" => format!("CASE WHEN {stale} THEN 'cancelled' ELSE s.status END AS status"),
            "last_error" => format!(
                "CASE WHEN {stale} THEN 'had been pending for too long when it was adopted' ELSE s.last_error END AS last_error"
            ),
            name => format!("s.{name}"),
        }));
        columns.push_str(&format!(
            ", CASE WHEN {stale} THEN now() WHEN s.status = 'pending' THEN NULL
                    ELSE coalesce(s.sent_at, s.last_attempt_at, s.created_at) END AS finished_at"
        ));
        columns
    }

    /// Writes what is to be written: how many rows.
    pub fn copy(&self, plan: &Plan<'_>, source: &Source) -> Result<i64> {
        let (home, name, judged) = (plan.home, self.name, self.judged(plan, source));
        let mut columns: Vec<_> = self.columns.iter().map(|(name, ..)| quote_identifier(name)).collect();
        if self.kind == Of::Alerts {
            columns.push("finished_at".into());
        }
        let values = list(columns.iter().map(|column| match (self.kind, column.as_str()) {
            (Of::State, "id") => {
                format!("coalesce(j.id, nextval({}::regclass))", self.sequence_literal(home))
            }
            _ => format!("j.{column}"),
        }));
        // What is there is brought up to date first, for all that follows.
        let mut written = match self.kind {
            Of::State => {
                let sets = columns.iter().filter(|column| !["id", "name", "created_at"].contains(&column.as_str()));
                let sets = list(sets.map(|column| format!("{column} = j.{column}")));
                rows(&format!("UPDATE {home}.{name} o SET {sets} FROM {judged} j WHERE j.fate = 'update' AND o.name = j.name"))?
            }
            Of::Incidents => rows(&format!(
                "UPDATE {home}.{name} o SET resolved = true, resolved_at = j.resolved_at, resolved_by = j.resolved_by,
                        resolution_notes = j.resolution_notes, alert_sent = o.alert_sent OR j.alert_sent,
                        alert_sent_at = coalesce(o.alert_sent_at, j.alert_sent_at)
                   FROM {judged} j WHERE j.fate = 'update' AND o.id = j.id"
            ))?,
            Of::Provenance | Of::Alerts | Of::Reports => 0,
        };
        written += rows(&format!(
            "INSERT INTO {home}.{name} ({}) SELECT {values} FROM {judged} j WHERE j.fate = 'insert'",
            columns.join(", ")
        ))?;
        Ok(written)
    }

    fn sequence_literal(&self, home: &str) -> String {
        quote_literal(format!("{home}.{}", self.sequence.unwrap_or_default()))
    }
}

/// Runs a statement that writes, and answers how many rows it has written.
pub fn rows(statement: &str) -> Result<i64> {
    let counted = format!("WITH written AS ({statement} RETURNING 1) SELECT count(*) FROM written");
    let count = db::run_once(&counted, &[], |row| column(row, 1))?;
    count.ok_or_else(|| Error::Internal("a count has no row".into()))
}
