//! The five tables, as the reference has them, and how each of their columns is read as one of ours.

use pgrx::pg_sys::BuiltinOid;
use pgrx::spi::quote_identifier;

use super::source::Column as Theirs;
use crate::convert::spelled;

/// The longest text, in bytes, that an index takes for sure.
const LONGEST_KEY: i32 = 2600;

/// What a column of ours holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
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
pub enum Need {
    /// Nothing: it may be NULL.
    Free,
    /// It is refused; where the old table has no such column, all rows have this value.
    Set(&'static str),
    /// It is refused, and the column has to be there.
    Always,
}

use Kind::{Bigint, Boolean, Document, Double, Integer, Json, Key, Moment, Text};
use Need::{Always, Free, Set};

pub type Column = (&'static str, Kind, Need);

/// One of the five.
pub struct Table {
    pub name: &'static str,
    /// Of our ids.
    pub sequence: Option<&'static str>,
    /// When its rows are written; incidents come before the states that name them.
    pub turn: u8,
    pub columns: &'static [Column],
    /// What tells rows apart besides the id.
    pub kind: Of,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Of {
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
    pub fn sql(self) -> &'static str {
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
pub struct Reading {
    pub expression: String,
    /// What it stumbles over, and what is said of such a row.
    pub trouble: Option<(String, String)>,
    /// Whether statements that were written for their type do as well with ours.
    is_alike: bool,
}

/// `None` where the type is another one altogether. No cast, operator or function in it is one that the owner of a type may define: the server passes over
/// casts of domains, and those between its own types are its own; search_path is the server's.
pub fn read(ours: &str, kind: Kind, theirs: &Theirs, home: &str) -> Option<Reading> {
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
    let text = if theirs.is_enum { spelled(&it) } else { format!("({it}::text COLLATE \"default\")") };
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
}
