//! Which column of an application's table is which of ours, and how it is read.
//!
//! A mapping is checked against the table's columns before anything is made of it: what is refused is refused when the view is made and not
//! when somebody reads it. Types are taken by the server's own casts alone, enums by what the server writes for them. A column of text stays a column, and so does a moment with its zone:
//! an index of the table serves as before. Names that a collation of the table's takes for one name, and we for two, are refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pgrx::pg_sys::BuiltinOid::{
    BOOLOID, BYTEAOID, DATEOID, INT4OID, INT8OID, NUMERICOID, TEXTOID, TIMESTAMPOID, TIMESTAMPTZOID, UUIDOID,
    VARCHAROID,
};
use pgrx::pg_sys::Oid;
use pgrx::spi::{quote_identifier, quote_literal};
use serde_json::{Map, Value};

use super::STATUSES;
use crate::convert;
use crate::error::{Error, Result};

/// What a column of ours is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Cents,
    Number,
    Flag,
    Attempt,
    Moment,
}

/// Our columns, in their order, and whether a table must have them.
const COLUMNS: [(&str, Kind, bool); 12] = [
    ("id", Kind::Text, true),
    ("tenant_id", Kind::Text, true),
    ("worker_id", Kind::Text, true),
    ("status", Kind::Text, true),
    ("error", Kind::Text, false),
    ("cost_cents", Kind::Cents, false),
    ("tokens", Kind::Number, false),
    ("is_retry", Kind::Flag, false),
    ("attempt", Kind::Attempt, false),
    ("parent_run_id", Kind::Text, false),
    ("created_at", Kind::Moment, true),
    ("finished_at", Kind::Moment, false),
];

const STATUS_VALUES: &str = "status_values";
const TIME_ZONE: &str = "time_zone";

/// Names that are longer, costs that are no less and times before 2000 or from 9999 on are none in our own table, and nothing of a run here:
/// one odd row must not stop a look at all others.
const LONGEST_NAME: usize = 512;
const MOST_CENTS: &str = "'100000000000000'::numeric";

/// A hint names no more characters of what there is.
const LONGEST_LIST: usize = 1_000;

/// A column of the application's table.
pub struct Column {
    pub name: String,
    /// As people write it.
    pub type_name: String,
    /// The type, or what a domain is over.
    pub base: Oid,
    /// The server's word for what kind of type that is.
    pub category: String,
    /// Into what the server casts it by itself.
    pub casts: Vec<Oid>,
    pub is_never_null: bool,
    /// Whether its collation takes texts for equal that differ.
    pub is_lenient: bool,
}

impl Column {
    /// Whether its texts may be empty, or of any length.
    fn has_any_length(&self) -> bool {
        self.category == "S" || self.category == "U" && self.base != Oid::from(UUIDOID)
    }
}

/// A mapping that fits.
pub struct Mapping<'a> {
    /// For each of our columns the table's, if it has one.
    columns: [Option<&'a Column>; COLUMNS.len()],
    status_values: BTreeMap<String, String>,
    time_zone: Option<String>,
}

impl<'a> Mapping<'a> {
    /// Holds what was asked for against the columns of the table.
    pub fn read(document: &Value, table: &'a [Column]) -> Result<Self> {
        let Value::Object(keys) = document else {
            return Err(Error::invalid(
                "mapping must be a JSON object",
                "Its keys are columns of costsim_worker_runs.",
            ));
        };
        let is_known = |key: &str| {
            COLUMNS.iter().any(|(name, ..)| *name == key) || [STATUS_VALUES, TIME_ZONE].contains(&key)
        };
        if let Some(key) = keys.keys().find(|key| !is_known(key)) {
            let names: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
            return Err(Error::invalid(
                format!("mapping has a key \"{}\" that means nothing", convert::beginning(key, 100)),
                format!("The keys are {}, {STATUS_VALUES} and {TIME_ZONE}.", names.join(", ")),
            ));
        }
        let mut mapping = Self {
            columns: [None; COLUMNS.len()],
            status_values: status_values(keys)?,
            time_zone: text(keys, TIME_ZONE)?.map(str::to_owned),
        };
        for (place, (name, kind, is_required)) in COLUMNS.into_iter().enumerate() {
            let column = match keys.get(name) {
                // The table may have a column of our name that is something else.
                Some(Value::Null) => None,
                Some(_) => {
                    let asked_for = text(keys, name)?.unwrap_or_default();
                    let found = table.iter().find(|column| column.name == asked_for);
                    Some(found.ok_or_else(|| {
                        let shown = convert::beginning(asked_for, 100);
                        Error::invalid(
                            format!("{name}: the source has no column \"{shown}\""),
                            there_is(table),
                        )
                    })?)
                }
                None => table.iter().find(|column| column.name == name),
            };
            match column {
                None if is_required => {
                    return Err(Error::invalid(
                        format!("{name} is missing: the source has no such column"),
                        there_is(table),
                    ));
                }
                None => {}
                Some(column) => {
                    kind.take(name, column, mapping.time_zone.as_deref())?;
                    mapping.columns[place] = Some(column);
                }
            }
        }
        Ok(mapping)
    }

    /// The zone of moments that are stored without one.
    pub fn time_zone(&self) -> Option<&str> {
        self.time_zone.as_deref()
    }

    /// Whether an index of the table on that column itself serves whoever looks for one of ours in the view; and the expressions of which
    /// an index would, as the server writes them, without blanks and parentheses.
    pub fn index(&self, name: &str) -> Option<(&'a Column, bool, Vec<String>)> {
        let place = COLUMNS.iter().position(|(ours, ..)| *ours == name)?;
        let column = self.columns[place]?;
        let expression = COLUMNS[place].1.expression(column, self.time_zone());
        let quoted = quote_identifier(&column.name);
        let is = |target: pgrx::pg_sys::BuiltinOid| column.base == Oid::from(target);
        let mut expressions = Vec::new();
        if expression != quoted {
            if let (Kind::Moment, Some(zone)) = (COLUMNS[place].1, self.time_zone()) {
                let moment =
                    if is(TIMESTAMPOID) { quoted } else { format!("{quoted}::timestamp without time zone") };
                let zone = quote_literal(zone);
                expressions.push(format!("{moment} AT TIME ZONE {zone}::text"));
                expressions.push(format!("timezone({zone}::text, {moment})"));
            } else {
                expressions.push(expression.clone());
            }
        }
        let serves = expressions.is_empty() || is(VARCHAROID);
        let bare = |text: String| text.replace(['(', ')', ' '], "");
        Some((column, serves, expressions.into_iter().map(bare).collect()))
    }

    /// The query of the view over this table, whose name is quoted.
    pub fn query(&self, table: &str) -> String {
        let mut query = "SELECT ".to_owned();
        let mut conditions = Vec::new();
        let mut lengths = Vec::new();
        for (place, ((name, kind, is_required), column)) in COLUMNS.into_iter().zip(self.columns).enumerate()
        {
            let comma = if place == 0 { "" } else { ", " };
            let expression = match column {
                None => kind.absent().to_owned(),
                Some(column) if name == "status" => self.status(&kind.expression(column, None)),
                Some(column) => kind.expression(column, self.time_zone()),
            };
            let _ = write!(query, "{comma}{expression} AS {name}");
            let Some(column) = column.filter(|_| is_required) else { continue };
            let theirs = quote_identifier(&column.name);
            match kind {
                Kind::Moment => {
                    let of =
                        if column.base == Oid::from(TIMESTAMPTZOID) { "timestamptz" } else { "timestamp" };
                    let year = |year: &str| format!("{of} '{year}-01-01 00:00:00+00'");
                    conditions.push(format!("{theirs} >= {} AND {theirs} < {}", year("2000"), year("9999")));
                }
                Kind::Text if name != "status" && column.has_any_length() => {
                    conditions.push(format!("{expression} <> ''"));
                    lengths.push(format!("octet_length({expression})"));
                }
                _ if column.is_never_null => {}
                _ => conditions.push(format!("{theirs} IS NOT NULL")),
            }
        }
        // One condition, and in this form: the planner takes it to hold of most rows.
        if !lengths.is_empty() {
            conditions.push(format!("(GREATEST({}) > {LONGEST_NAME}) IS NOT TRUE", lengths.join(", ")));
        }
        format!("{query} FROM {table} WHERE {}", conditions.join(" AND "))
    }

    fn status(&self, expression: &str) -> String {
        if self.status_values.is_empty() {
            return expression.to_owned();
        }
        let mut case = format!("CASE {expression}");
        for (theirs, ours) in &self.status_values {
            let _ = write!(case, " WHEN {} THEN {}", quote_literal(theirs), quote_literal(ours));
        }
        format!("{case} ELSE {expression} END")
    }

    /// What makes the same view again.
    pub fn document(&self) -> Value {
        let mut keys = document(&|name| {
            let found = COLUMNS.iter().zip(self.columns).find(|((ours, ..), _)| *ours == name);
            found.and_then(|(_, column)| column).map(|column| column.name.clone())
        });
        if !self.status_values.is_empty() {
            let values =
                self.status_values.iter().map(|(theirs, ours)| (theirs.clone(), ours.clone().into()));
            keys.insert(STATUS_VALUES.into(), Value::Object(values.collect()));
        }
        if let Some(zone) = &self.time_zone {
            keys.insert(TIME_ZONE.into(), zone.clone().into());
        }
        Value::Object(keys)
    }
}

impl Kind {
    fn type_name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Cents => "numeric",
            Self::Number => "bigint",
            Self::Flag => "boolean",
            Self::Attempt => "integer",
            Self::Moment => "timestamptz",
        }
    }

    /// Refuses a column that cannot be read as this.
    fn take(self, name: &str, column: &Column, time_zone: Option<&str>) -> Result<()> {
        let is = |target: pgrx::pg_sys::BuiltinOid| column.base == Oid::from(target);
        let becomes =
            |target: pgrx::pg_sys::BuiltinOid| is(target) || column.casts.contains(&Oid::from(target));
        let fits = match self {
            Self::Text => matches!(column.category.as_str(), "S" | "N" | "E" | "U") && !is(BYTEAOID),
            Self::Cents => becomes(NUMERICOID),
            Self::Number => becomes(INT8OID),
            Self::Flag => becomes(BOOLOID),
            Self::Attempt => becomes(INT4OID),
            Self::Moment => is(TIMESTAMPTZOID) || is(TIMESTAMPOID) || is(DATEOID),
        };
        if !fits {
            return Err(Error::invalid(
                format!(
                    "{name}: column \"{}\" is of type {}, which is no {}",
                    column.name,
                    column.type_name,
                    self.type_name()
                ),
                "Name another column, or make a view over the table that casts it, and use that.",
            ));
        }
        // What is equal there, or next in order, would be another tenant's here.
        if self == Self::Text && name != "error" && column.is_lenient {
            return Err(Error::invalid(
                format!("{name}: the collation of column \"{}\" is not deterministic", column.name),
                "Make a view over the table that reads it with COLLATE \"C\", and use that.",
            ));
        }
        if self == Self::Moment && !is(TIMESTAMPTZOID) && time_zone.is_none() {
            return Err(Error::invalid(
                format!(
                    "{name}: column \"{}\" is of type {}, which says no time zone",
                    column.name, column.type_name
                ),
                "Add \"time_zone\" to the mapping, such as \"UTC\": the zone of the clock that wrote it.",
            ));
        }
        Ok(())
    }

    /// How a column that fits is read. search_path is the server's own.
    fn expression(self, column: &Column, time_zone: Option<&str>) -> String {
        let name = quote_identifier(&column.name);
        let is = |target: pgrx::pg_sys::BuiltinOid| column.base == Oid::from(target);
        match self {
            Self::Text if is(TEXTOID) => name,
            Self::Text if column.category == "E" => convert::spelled(&name),
            Self::Text => format!("{name}::text"),
            // What is no amount is not known.
            Self::Cents => format!(
                "CASE WHEN {name}::numeric >= 0 AND {name}::numeric < {MOST_CENTS} THEN {name}::numeric END"
            ),
            Self::Number => format!("{name}::bigint"),
            Self::Flag => format!("COALESCE({name}::boolean, false)"),
            Self::Attempt => format!("COALESCE({name}::integer, 1)"),
            Self::Moment if is(TIMESTAMPTZOID) => name,
            Self::Moment => {
                format!("({name}::timestamp AT TIME ZONE {})", quote_literal(time_zone.unwrap_or("UTC")))
            }
        }
    }

    /// What stands for a column that the table does not have.
    fn absent(self) -> &'static str {
        match self {
            Self::Text => "NULL::text",
            Self::Cents => "NULL::numeric",
            Self::Number => "NULL::bigint",
            Self::Flag => "false",
            Self::Attempt => "1",
            Self::Moment => "NULL::timestamptz",
        }
    }
}

/// For each of our columns the table's, or null.
fn document(column: &dyn Fn(&str) -> Option<String>) -> Map<String, Value> {
    COLUMNS.iter().map(|(name, ..)| ((*name).to_owned(), column(name).into())).collect()
}

/// The mapping that a view was made with, with the names that its columns have by now. `None` where the view, or what is remembered of it, is
/// another hand's.
pub fn remembered(comment: &str, column: &dyn Fn(&str) -> Option<String>) -> Option<Value> {
    let Ok(Value::Object(mut before)) = serde_json::from_str(comment) else { return None };
    let mut keys = document(column);
    for key in [STATUS_VALUES, TIME_ZONE] {
        keys.extend(before.remove(key).map(|value| (key.to_owned(), value)));
    }
    Some(Value::Object(keys))
}

/// What the source has, for a hint.
fn there_is(table: &[Column]) -> String {
    let names: Vec<&str> = table.iter().map(|column| column.name.as_str()).collect();
    let list = names.join(", ");
    let shown = convert::beginning(&list, LONGEST_LIST);
    let dots = if shown.len() < list.len() { "..." } else { "" };
    format!("Its columns are {shown}{dots}.")
}

fn text<'a>(keys: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>> {
    match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => {
            let hint = if key == TIME_ZONE {
                "Name a time zone, such as UTC."
            } else {
                "Name a column of the source."
            };
            Err(Error::invalid(format!("mapping: {key} must be a string"), hint))
        }
    }
}

fn status_values(keys: &Map<String, Value>) -> Result<BTreeMap<String, String>> {
    let hint = || {
        format!(
            "Map words of the source onto {}, as in {{\"succeeded\": \"completed\"}}.",
            STATUSES.join(", ")
        )
    };
    let values = match keys.get(STATUS_VALUES) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(values)) => values,
        Some(_) => return Err(Error::invalid("mapping: status_values must be an object", hint())),
    };
    let pair = |(theirs, ours): (&String, &Value)| match ours.as_str().filter(|ours| STATUSES.contains(ours))
    {
        Some(ours) => Ok((theirs.clone(), ours.to_owned())),
        None => Err(Error::invalid(
            format!(
                "mapping: status_values maps \"{}\" onto what is no status",
                convert::beginning(theirs, 100)
            ),
            hint(),
        )),
    };
    values.iter().map(pair).collect()
}
