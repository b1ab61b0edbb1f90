//! The five tables, as the reference has them, and how their rows are judged.
//!
//! A judgement is a query over the old table, read as ours would have it: each row with its fate (insert, update, already, refused) and why. The
//! dry run counts it, the run writes by it. Nothing in it raises an error for a row that we would not take: what a conversion could stumble over is
//! asked for first.

use pgrx::pg_sys::BuiltinOid;
use pgrx::spi::quote_identifier;

use super::source::{Column as Theirs, Found, Source};
use super::{Mode, Plan};
use crate::db::{self, column};
use crate::error::{Error, Result};

/// Ids above leave our sequence no room for as many again.
pub const GREATEST_ID: i64 = 1 << 62;

/// The longest text, in bytes, that an index takes for sure.
const LONGEST_KEY: i32 = 2600;

/// In seconds: as good as any longer time, and still a time that can be reckoned with.
const CENTURY: i64 = 100 * 365 * 86_400;

/// What a column of ours holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// A text with an index on it.
    Key,
    /// A text that holds a JSON document.
    Document,
    Bigint,
    Integer,
    Double,
    Boolean,
    Moment,
    Json,
}

/// What becomes of a row that has no value for a column.
#[derive(Clone, Copy)]
enum Need {
    /// Nothing: it may be NULL.
    Free,
    /// It is refused; where the old table has no such column, all rows have this value.
    Set(&'static str),
    /// It is refused, and the column has to be there.
    Always,
}

use Kind::{Bigint, Boolean, Document, Double, Integer, Json, Key, Moment, Text};
use Need::{Always, Free, Set};

type Column = (&'static str, Kind, Need);

/// One of the five.
pub struct Table {
    pub name: &'static str,
    /// Of our ids.
    pub sequence: Option<&'static str>,
    /// When its rows are written; incidents come before the states that name them.
    pub turn: u8,
    columns: &'static [Column],
    /// What tells rows apart besides the id.
    kind: Of,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    State,
    Incidents,
    Provenance,
    Alerts,
    Reports,
}

pub static TABLES: [Table; 5] = [
    Table {
        name: "costsim_cb_state",
        sequence: Some("costsim_cb_state_id_seq"),
        turn: 1,
        kind: Of::State,
        columns: &[
            ("id", Bigint, Always),
            ("name", Key, Always),
            ("disabled", Boolean, Set("false")),
            ("disabled_by", Text, Free),
            ("disabled_reason", Text, Free),
            ("disabled_until", Moment, Free),
            ("incident_id", Text, Free),
            ("consecutive_failures", Integer, Set("0")),
            ("last_failure_at", Moment, Free),
            ("updated_at", Moment, Set("now()")),
            ("created_at", Moment, Set("now()")),
        ],
    },
    Table {
        name: "costsim_cb_incidents",
        sequence: None,
        turn: 0,
        kind: Of::Incidents,
        columns: &[
            ("id", Key, Always),
            ("circuit_breaker_name", Key, Always),
            ("timestamp", Moment, Always),
            ("reason", Text, Always),
            ("severity", Text, Always),
            ("drift_score", Double, Free),
            ("sample_count", Integer, Free),
            ("details_json", Document, Free),
            ("resolved", Boolean, Set("false")),
            ("resolved_at", Moment, Free),
            ("resolved_by", Text, Free),
            ("resolution_notes", Text, Free),
            ("alert_sent", Boolean, Set("false")),
            ("alert_sent_at", Moment, Free),
            ("alert_response", Text, Free),
        ],
    },
    Table {
        name: "costsim_provenance",
        sequence: Some("costsim_provenance_id_seq"),
        turn: 2,
        kind: Of::Provenance,
        columns: &[
            ("id", Bigint, Always),
            ("run_id", Key, Free),
            ("tenant_id", Key, Free),
            ("variant_slug", Key, Free),
            ("source", Key, Free),
            ("model_version", Text, Free),
            ("adapter_version", Text, Free),
            ("commit_sha", Text, Free),
            ("input_hash", Key, Free),
            ("output_hash", Text, Free),
            ("v1_cost", Double, Free),
            ("v2_cost", Double, Free),
            ("cost_delta", Double, Free),
            ("payload", Json, Free),
            ("runtime_ms", Integer, Free),
            ("created_at", Moment, Always),
        ],
    },
    Table {
        name: "costsim_alert_queue",
        sequence: Some("costsim_alert_queue_id_seq"),
        turn: 3,
        kind: Of::Alerts,
        columns: &[
            ("id", Bigint, Always),
            ("payload", Json, Always),
            ("alert_type", Text, Free),
            ("circuit_breaker_name", Text, Free),
            ("incident_id", Text, Free),
            ("attempts", Integer, Set("0")),
            ("max_attempts", Integer, Set("10")),
            ("last_attempt_at", Moment, Free),
            ("next_attempt_at", Moment, Set("now()")),
            ("last_error", Text, Free),
            ("status", Text, Always),
            ("created_at", Moment, Always),
            ("sent_at", Moment, Free),
        ],
    },
    Table {
        name: "costsim_canary_reports",
        sequence: Some("costsim_canary_reports_id_seq"),
        turn: 4,
        kind: Of::Reports,
        columns: &[
            ("id", Bigint, Always),
            ("run_id", Key, Always),
            ("timestamp", Moment, Always),
            ("status", Text, Always),
            ("total_samples", Integer, Set("0")),
            ("matching_samples", Integer, Set("0")),
            ("minor_drift_samples", Integer, Set("0")),
            ("major_drift_samples", Integer, Set("0")),
            ("median_cost_diff", Double, Free),
            ("p90_cost_diff", Double, Free),
            ("kl_divergence", Double, Free),
            ("outlier_count", Integer, Free),
            ("passed", Boolean, Always),
            ("failure_reasons_json", Document, Free),
            ("artifact_paths_json", Document, Free),
            ("golden_comparison_json", Document, Free),
            ("created_at", Moment, Set("now()")),
        ],
    },
];

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Text | Key | Document => "text",
            Bigint => "bigint",
            Integer => "integer",
            Double => "double precision",
            Boolean => "boolean",
            Moment => "timestamptz",
            Json => "jsonb",
        }
    }
}

/// How a column of theirs is read as one of ours.
struct Reading {
    expression: String,
    /// What it stumbles over, and what is said of such a row.
    trouble: Option<(String, String)>,
    /// Whether statements that were written for their type do as well with ours.
    is_alike: bool,
}

/// `None` where the type is another one altogether.
fn read(ours: &str, kind: Kind, theirs: &Theirs, home: &str) -> Option<Reading> {
    use BuiltinOid::{
        BOOLOID, BPCHAROID, FLOAT4OID, FLOAT8OID, INT2OID, INT4OID, INT8OID, JSONBOID, JSONOID, NAMEOID,
        NUMERICOID, TEXTOID, TIMESTAMPOID, TIMESTAMPTZOID, UUIDOID, VARCHAROID,
    };
    let is = |types: &[BuiltinOid]| types.iter().any(|oid| oid.value() == theirs.base);
    let (is_text, is_small, is_json) =
        (is(&[TEXTOID, VARCHAROID, BPCHAROID, NAMEOID]), is(&[INT2OID, INT4OID]), is(&[JSONOID, JSONBOID]));
    let it = format!("x.{}", quote_identifier(ours));
    let cast = |to: &str| format!("{it}::{to}");
    let reading = |expression: String, is_alike| Some(Reading { expression, trouble: None, is_alike });
    let careful = |trouble: String, why: &str, is_alike| {
        let expression = format!("CASE WHEN {trouble} THEN NULL ELSE {it}::{} END", kind.sql());
        Some(Reading { expression, trouble: Some((trouble, format!("{ours} {why}"))), is_alike })
    };
    let text = format!("({it}::text COLLATE \"default\")");
    match kind {
        Key if is_text => Some(Reading {
            trouble: Some((
                format!("octet_length({text}) > {LONGEST_KEY}"),
                format!("{ours} is longer than {LONGEST_KEY} bytes"),
            )),
            expression: text,
            is_alike: true,
        }),
        Text | Document if is_text => reading(text, true),
        Text | Key if is(&[UUIDOID]) || theirs.is_enum => reading(text, false),
        Document if is_json => reading(text, false),
        Bigint if is_small || is(&[INT8OID]) => reading(cast("bigint"), true),
        Integer if is_small => reading(cast("integer"), true),
        Integer if is(&[INT8OID]) => {
            careful(format!("{it} NOT BETWEEN -2147483648 AND 2147483647"), "is out of range", true)
        }
        Double if is_small || is(&[INT8OID, FLOAT4OID, FLOAT8OID]) => reading(cast("double precision"), true),
        Double if is(&[NUMERICOID]) => {
            let trouble = format!(
                "{it} NOT IN (numeric 'NaN', numeric 'Infinity', numeric '-Infinity', 0) AND abs({it}) NOT BETWEEN 2.3e-308 AND 1.7e308"
            );
            careful(trouble, "is out of range", true)
        }
        Boolean if is(&[BOOLOID]) => reading(it, true),
        Moment if is(&[TIMESTAMPTZOID]) => reading(it, true),
        // The reference means UTC wherever it leaves the zone out.
        Moment if is(&[TIMESTAMPOID]) => reading(format!("({it} AT TIME ZONE 'UTC')"), false),
        Json if is(&[JSONBOID]) => reading(it, true),
        Json if is_json || is_text => {
            careful(format!("NOT {home}._costsim_is_jsonb({text})"), "is no JSON that jsonb takes", is_json)
        }
        _ => None,
    }
}

/// A list of SQL expressions.
fn list(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

impl Table {
    /// Columns that hold whole documents: too long to be shown.
    pub fn documents(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().filter(|(_, kind, _)| matches!(kind, Document | Json)).map(|(name, ..)| *name)
    }

    fn ours(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|(ours, ..)| *ours == name)
    }

    /// What is wrong with the columns of the old table, so that none of its rows can be read.
    pub fn unfit(&self, theirs: &[Theirs]) -> Vec<String> {
        self.columns
            .iter()
            .filter_map(|(name, kind, need)| match theirs.iter().find(|it| it.name == *name) {
                None => matches!(need, Always).then(|| format!("column {name} is missing")),
                Some(it) => match read(name, *kind, it, "") {
                    None => Some(format!("column {name} is {} and not {}", it.type_name, kind.sql())),
                    Some(_) => None,
                },
            })
            .collect()
    }

    /// Columns that ours do not have.
    pub fn left_behind(&self, theirs: &[Theirs]) -> Vec<String> {
        theirs
            .iter()
            .filter(|it| self.ours(&it.name).is_none())
            .map(|it| quote_identifier(&it.name))
            .collect()
    }

    /// Columns whose type makes old statements fail, or mean something else, on ours.
    pub fn unlike(&self, theirs: &[Theirs]) -> Vec<String> {
        theirs
            .iter()
            .filter_map(|it| {
                let (name, kind, _) = self.ours(&it.name)?;
                let is_alike = read(name, *kind, it, "").is_some_and(|reading| reading.is_alike);
                (!is_alike).then(|| format!("column {name} is {}", it.type_name))
            })
            .collect()
    }

    /// Columns that both have, as they are named.
    pub fn common(&self, theirs: &[Theirs]) -> Vec<&'static str> {
        theirs.iter().filter_map(|it| self.ours(&it.name)).map(|(name, ..)| *name).collect()
    }

    /// A column of an old table `x`, read as ours by whoever may read the table alone; only where the types are alike.
    pub fn reads(&self, name: &str, theirs: &[Theirs]) -> Option<String> {
        let (name, kind, _) = self.ours(name)?;
        let it = theirs.iter().find(|it| it.name == *name)?;
        let reading = read(name, *kind, it, "").filter(|reading| reading.is_alike)?;
        // What is attached is JSON that jsonb takes, unless the owner has written something else since: his own error.
        Some(if it.base == BuiltinOid::JSONOID.value() {
            format!("x.{}::jsonb", quote_identifier(name))
        } else {
            reading.expression
        })
    }

    /// What names a row beyond renumbering.
    pub fn key(&self) -> &'static str {
        if self.kind == Of::State { "name" } else { "id" }
    }

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
                order.push("ctid".into());
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
        pgrx::spi::quote_literal(format!("{home}.{}", self.sequence.unwrap_or_default()))
    }
}

/// Runs a statement that writes, and answers how many rows it has written.
pub fn rows(statement: &str) -> Result<i64> {
    let counted = format!("WITH written AS ({statement} RETURNING 1) SELECT count(*) FROM written");
    let count = db::run_once(&counted, &[], |row| column(row, 1))?;
    count.ok_or_else(|| Error::Internal("a count has no row".into()))
}
