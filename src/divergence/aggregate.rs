//! What the report's two aggregates do with a pair: one for the metrics alone, one for the whole report.
//!
//! A state lives in the aggregate's own memory and goes with it. 56_divergence.sql declares these functions. An answer is a jsonb, which
//! the SQL functions make columns of.

use std::cmp::Reverse;
use std::collections::TryReserveError;

use costsim_core::divergence::{Compared, Metrics, Pair, by_group, metrics};
use costsim_core::verdict::rounded;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};

use crate::call::{Call, called_by_server, must, passed};
use crate::convert::{Jsonb, beginning, moment};
use crate::error::Answer;

/// The most pairs of one answer: half a gigabyte of them.
const MOST_PAIRS: usize = 20_000_000;

/// The most models, and the most days, of one report.
const MOST_GROUPS: usize = 10_000;

/// The newest pairs that a report shows, as the reference does.
const NEWEST: usize = 100;

/// The pairs that differ most that a report shows.
const WORST: usize = 20;

/// Characters of a text that a report shows: hashes have 64 at most, versions a few.
const SHOWN: usize = 200;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The pair in arguments 1 to 3. Without an answer about feasibility the models agree.
fn pair(call: Call) -> Option<Pair> {
    let (v1, v2) = call.double(1).zip(call.double(2))?;
    let feasibility_match = call.argument(3).is_none_or(|datum| datum.value() != 0);
    Some(Pair { v1, v2, feasibility_match })
}

/// A document as the server holds it.
fn document(value: Value) -> pg_sys::Datum {
    let document = must(Jsonb::read(&value.to_string()).map_err(ErrorReport::from));
    document.into_datum().unwrap_or(pg_sys::Datum::null())
}

#[track_caller]
fn too_many(what: String) -> ErrorReport {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED, what, "costsim_pg")
        .set_hint("Ask for a shorter window, for one tenant, or for fewer samples.")
}

#[track_caller]
fn no_memory(_: TryReserveError) -> ErrorReport {
    let what = "no memory for the pairs of a divergence report";
    ErrorReport::new(PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, what, "costsim_pg")
        .set_hint("Ask for a shorter window, for one tenant, or for fewer samples.")
}

/// Adds one to a list that may grow to the most pairs there may be.
#[inline]
fn add<T>(list: &mut Vec<T>, one: T) -> Answer<()> {
    if list.len() == list.capacity() {
        make_room(list)?;
    }
    list.push(one);
    Ok(())
}

#[cold]
fn make_room<T>(list: &mut Vec<T>) -> Answer<()> {
    if list.len() >= MOST_PAIRS {
        return Err(too_many(format!("a divergence report takes at most {MOST_PAIRS} pairs")));
    }
    // Exactly, so that the list is looked at when it has its most.
    let more = list.len().clamp(64, MOST_PAIRS - list.len());
    list.try_reserve_exact(more).map_err(no_memory)
}

/// What a report keeps of a pair: 24 bytes.
#[derive(Clone, Copy)]
struct Sample {
    v1: f64,
    v2: f64,
    /// Counted from 2000-01-01 in UTC, as the server counts.
    day: i32,
    /// Its place among the report's models.
    model: u16,
    feasibility_match: bool,
}

impl Compared for Sample {
    #[inline]
    fn pair(&self) -> Pair {
        Pair { v1: self.v1, v2: self.v2, feasibility_match: self.feasibility_match }
    }
}

/// What a report shows of a pair.
struct Shown {
    pair: Pair,
    at: i64,
    id: i64,
    v1_id: Option<i64>,
    model: u16,
    input_hash: Option<Box<str>>,
}

/// The greatest by a key, of however many: a list that is cut down whenever it has become long.
struct Greatest<K, const MOST: usize> {
    found: Vec<(K, Shown)>,
    /// What a newcomer has to exceed.
    least: Option<K>,
}

impl<K, const MOST: usize> Default for Greatest<K, MOST> {
    fn default() -> Self {
        Self { found: Vec::new(), least: None }
    }
}

impl<K: Ord + Copy, const MOST: usize> Greatest<K, MOST> {
    #[inline]
    fn offer(&mut self, key: K, shown: impl FnOnce() -> Shown) {
        if self.least.is_some_and(|least| key <= least) {
            return;
        }
        self.found.push((key, shown()));
        if self.found.len() == 16 * MOST {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.found.len() > MOST {
            self.found.select_nth_unstable_by(MOST - 1, |one, two| two.0.cmp(&one.0));
            self.least = Some(self.found[MOST - 1].0);
            self.found.truncate(MOST);
        }
    }

    /// The greatest first.
    fn sorted(&mut self) -> impl Iterator<Item = &Shown> {
        self.cut();
        self.found.sort_unstable_by_key(|(key, _)| Reverse(*key));
        self.found.iter().map(|(_, shown)| shown)
    }
}

/// The models of a report, each by a number.
#[derive(Default)]
struct Models {
    names: Vec<Option<Box<str>>>,
    numbers: FxHashMap<Option<Box<str>>, u16>,
    latest: u16,
}

impl Models {
    /// The number of a model. Rows of one model come one after the other, mostly.
    #[inline]
    fn number(&mut self, name: Option<&str>) -> Answer<u16> {
        match self.names.get(usize::from(self.latest)) {
            Some(latest) if latest.as_deref() == name => Ok(self.latest),
            _ => self.look_up(name),
        }
    }

    fn look_up(&mut self, name: Option<&str>) -> Answer<u16> {
        let name: Option<Box<str>> = name.map(|name| beginning(name, SHOWN).into());
        if let Some(number) = self.numbers.get(&name) {
            self.latest = *number;
            return Ok(self.latest);
        }
        if self.names.len() == MOST_GROUPS {
            return Err(too_many(format!("a divergence report takes at most {MOST_GROUPS} model versions")));
        }
        self.latest = self.names.len() as u16;
        self.names.push(name.clone());
        self.numbers.insert(name, self.latest);
        Ok(self.latest)
    }

    fn name(&self, number: u16) -> Option<&str> {
        self.names.get(usize::from(number)).and_then(Option::as_deref)
    }
}

/// Everything a report is made of, collected in one pass over the pairs.
#[derive(Default)]
struct Report {
    samples: Vec<Sample>,
    models: Models,
    /// By when, then by id.
    newest: Greatest<(i64, i64), NEWEST>,
    /// By the bits of the symmetric score, which is not negative, so that they are ordered as it is; then as the newest.
    worst: Greatest<(u64, i64, i64), WORST>,
}

impl Report {
    fn add(&mut self, call: Call) -> Answer<()> {
        let (Some(pair), Some(at), Some(id)) = (pair(call), call.bigint(4), call.bigint(7)) else {
            return Ok(());
        };
        let model = self.models.number(call.text(5))?;
        let day = at.div_euclid(MICROS_PER_DAY) as i32;
        let Pair { v1, v2, feasibility_match } = pair;
        add(&mut self.samples, Sample { v1, v2, day, model, feasibility_match })?;
        if pair.delta().is_finite() {
            let shown = || Shown {
                pair,
                at,
                id,
                v1_id: call.bigint(8),
                model,
                input_hash: call.text(6).map(|hash| beginning(hash, SHOWN).into()),
            };
            self.newest.offer((at, id), shown);
            self.worst.offer((pair.symmetric_drift_score().to_bits(), at, id), shown);
        }
        Ok(())
    }

    fn answer(&mut self) -> Answer<Value> {
        let mut answer = metrics(&mut self.samples).to_json();
        pgrx::check_for_interrupts!();
        let days = by_group(&mut self.samples, |sample| sample.day);
        if days.len() > MOST_GROUPS {
            return Err(too_many(format!("a divergence report takes at most {MOST_GROUPS} days with pairs")));
        }
        let day = |(day, metrics): &(i32, Metrics)| {
            group("bucket_start", stamp(i64::from(*day) * MICROS_PER_DAY), metrics)
        };
        answer.insert("by_bucket".into(), days.iter().map(day).collect());
        pgrx::check_for_interrupts!();
        let mut models = by_group(&mut self.samples, |sample| sample.model);
        // By name, those without one last, as ORDER BY has it.
        let named = |number: u16| (self.models.name(number).is_none(), self.models.name(number));
        models.sort_unstable_by(|one, two| named(one.0).cmp(&named(two.0)));
        let model = |(number, metrics): &(u16, Metrics)| {
            group("model_version", self.models.name(*number).into(), metrics)
        };
        answer.insert("by_model".into(), models.iter().map(model).collect());
        answer.insert("detailed_samples".into(), self.newest.sorted().map(Shown::detailed).collect());
        let worst = self.worst.sorted().map(|shown| shown.in_full(self.models.name(shown.model)));
        answer.insert("worst_samples".into(), worst.collect());
        Ok(Value::Object(answer))
    }
}

/// The metrics of a group, with what it is called by.
fn group(key: &str, name: Value, metrics: &Metrics) -> Value {
    let mut group = metrics.to_json();
    group.insert(key.into(), name);
    Value::Object(group)
}

/// A moment in text, in UTC.
fn stamp(micros: i64) -> Value {
    moment(micros).map(|moment| moment.to_rfc3339()).into()
}

impl Shown {
    /// With the reference's keys, scores at four decimals as it has them.
    fn detailed(&self) -> Value {
        json!({
            "timestamp": stamp(self.at),
            "input_hash": self.input_hash,
            "v1_cost_cents": self.pair.v1,
            "v2_cost_cents": self.pair.v2,
            "cost_delta_cents": self.pair.delta(),
            "drift_score": rounded(self.pair.drift_score(), 4),
            "verdict": self.pair.verdict().as_str(),
        })
    }

    fn in_full(&self, model: Option<&str>) -> Value {
        json!({
            "id": self.id,
            "v1_id": self.v1_id,
            "timestamp": stamp(self.at),
            "model_version": model,
            "input_hash": self.input_hash,
            "v1_cost_cents": self.pair.v1,
            "v2_cost_cents": self.pair.v2,
            "cost_delta_cents": self.pair.delta(),
            "drift_score": self.pair.drift_score(),
            "symmetric_drift_score": self.pair.symmetric_drift_score(),
            "feasibility_match": self.pair.feasibility_match,
            "verdict": self.pair.verdict().as_str(),
        })
    }
}

called_by_server! {
    /// A pair of _costsim_divergence.
    _costsim_divergence_add, pg_finfo__costsim_divergence_add: |fcinfo| {
        let call = Call(fcinfo);
        let Some(pair) = pair(call) else { return call.unchanged() };
        let state: &mut Vec<Pair> = call.state_or_default();
        must(add(state, pair));
        passed(state)
    }

    /// The answer of _costsim_divergence; without a pair, that of none.
    _costsim_divergence_final, pg_finfo__costsim_divergence_final: |fcinfo| {
        let state = Call(fcinfo).state::<Vec<Pair>>(0);
        document(Value::Object(state.map_or_else(Metrics::default, |pairs| metrics(pairs)).to_json()))
    }

    /// A pair of _costsim_divergence_report.
    _costsim_divergence_report_add, pg_finfo__costsim_divergence_report_add: |fcinfo| {
        let call = Call(fcinfo);
        let state: &mut Report = call.state_or_default();
        must(state.add(call));
        passed(state)
    }

    /// The answer of _costsim_divergence_report; without a pair, that of none.
    _costsim_divergence_report_final, pg_finfo__costsim_divergence_report_final: |fcinfo| {
        let answer = match Call(fcinfo).state::<Report>(0) {
            Some(report) => report.answer(),
            None => Report::default().answer(),
        };
        document(must(answer))
    }
}
