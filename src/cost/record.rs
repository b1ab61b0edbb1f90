//! What may be recorded: the arguments of one call, and a batch, which is looked at in the server's own form of the JSON without making text
//! of it.
//!
//! The first fault refuses the call, with the place where it is. A key that nobody knows is one: it is a spelling mistake more often than not.
//! A null is the same as no key.

use chrono::{DateTime, Utc};
use costsim_core::cost::{self, cost_fault, moment_fault, text_fault, time_fault, tokens_fault};
use pgrx::pg_sys::JsonbIteratorToken as token;
use pgrx::prelude::*;

use crate::clock;
use crate::convert::{self, Jsonb, JsonbWalk};
use crate::error::{Error, Result};

/// The most records of one call, and the most bytes.
pub const LARGEST_BATCH: usize = 100_000;
pub const LONGEST_BATCH: usize = 64 << 20;

/// Under what a record without a feature, or a user, counts.
pub const UNCLASSIFIED: &str = "unclassified";
pub const ANONYMOUS: &str = "anonymous";

/// One request, by the arguments of costsim_record_cost.
pub struct Record<'a> {
    pub tenant_id: &'a str,
    pub model: &'a str,
    pub cost_cents: AnyNumeric,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub feature_tag: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub request_id: Option<&'a str>,
    pub is_retry: bool,
    pub cached_tokens: i64,
    pub reasoning_tokens: i64,
    pub workflow_id: Option<&'a str>,
    pub skill_id: Option<&'a str>,
    pub created_at: Option<TimestampWithTimeZone>,
}

impl Record<'_> {
    /// Refuses what cannot be stored.
    pub fn check(&self) -> Result<()> {
        let texts = [
            ("tenant_id", Some(self.tenant_id)),
            ("model", Some(self.model)),
            ("feature_tag", self.feature_tag),
            ("user_id", self.user_id),
            ("request_id", self.request_id),
            ("workflow_id", self.workflow_id),
            ("skill_id", self.skill_id),
        ];
        for (name, text) in texts {
            refuse(name, text.and_then(|text| text_fault(text.as_bytes())))?;
        }
        refuse("cost_cents", cost_fault(&self.cost_cents.to_string()))?;
        let tokens = [
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("cached_tokens", self.cached_tokens),
            ("reasoning_tokens", self.reasoning_tokens),
        ];
        for (name, tokens) in tokens {
            refuse(name, tokens_fault(tokens))?;
        }
        if let Some(at) = self.created_at {
            refuse("created_at", time_fault(convert::finite_moment(at, "created_at")?, clock::now()))?;
        }
        Ok(())
    }
}

fn refuse(name: &'static str, fault: Option<String>) -> Result<()> {
    fault.map_or(Ok(()), |fault| Err(unfit(format!("{name} {fault}"))))
}

fn unfit(what: String) -> Error {
    Error::invalid(
        what,
        format!(
            "Cents are a number that is not negative; identifiers have 1 to {} bytes; NULL stands for what is not known.",
            cost::LONGEST_TEXT
        ),
    )
}

/// A whole batch, whose records are fine.
pub struct Batch<'a> {
    pub document: Jsonb,
    /// By what each record is known, in their order.
    pub keys: Vec<Key<'a>>,
}

/// By what a record is known: tenant and request. One without a request is known by nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a> {
    pub tenant_id: &'a [u8],
    pub request_id: Option<&'a [u8]>,
}

impl<'a> Batch<'a> {
    /// Looks at every record of a flat document.
    pub fn read(document: &'a Jsonb) -> Result<Self> {
        if document.size() > LONGEST_BATCH {
            let what = format!("records has {} bytes, more than {LONGEST_BATCH}", document.size());
            return Err(Error::Beyond { what, hint: "Split the batch." });
        }
        let mut walk = JsonbWalk::new(document);
        if !walk.begins_array() {
            return Err(Error::invalid(
                "records must be a JSON array",
                "Pass an array of objects, one per request.",
            ));
        }
        let now = clock::now();
        let mut keys = Vec::new();
        loop {
            let index = keys.len();
            match walk.next(false) {
                token::WJB_BEGIN_OBJECT if index == LARGEST_BATCH => {
                    let what = format!("records has more than {LARGEST_BATCH} elements");
                    return Err(Error::Beyond { what, hint: "Split the batch." });
                }
                token::WJB_BEGIN_OBJECT => keys.push(read_record(&mut walk, index, now)?),
                token::WJB_END_ARRAY => break,
                _ => return Err(bad(index, "", "is not an object")),
            }
        }
        Ok(Self { document: *document, keys })
    }

    /// The places of the records in the order in which they are written. It is that of their keys, so that two batches that share requests
    /// never wait for each other, each with what the other needs.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        // What has no request is known by nothing, and comes last, as the server sorts it.
        order.sort_by_key(|&place| {
            let Key { tenant_id, request_id } = self.keys[place];
            (tenant_id, request_id.is_none(), request_id)
        });
        order
    }

    /// Whether two records are of one request.
    pub fn repeats_itself(&self, order: &[usize]) -> bool {
        let key = |place: usize| self.keys[place];
        order.windows(2).any(|pair| key(pair[0]).request_id.is_some() && key(pair[0]) == key(pair[1]))
    }
}

fn read_record<'a>(walk: &mut JsonbWalk<'a>, index: usize, now: DateTime<Utc>) -> Result<Key<'a>> {
    let (mut tenant_id, mut request_id, mut has_model, mut has_cost) = (None, None, false, false);
    let broken = || Error::Internal("a jsonb object is cut off".into());
    while let Some(key) = walk.key().ok_or_else(broken)? {
        walk.value().ok_or_else(|| bad(index, &shown(key), "must not be an array or an object"))?;
        let fault = match key {
            b"tenant_id" | b"model" | b"feature_tag" | b"user_id" | b"request_id" | b"workflow_id"
            | b"skill_id" => match walk.string() {
                None if walk.is_null() => None,
                None => Some("must be a string".into()),
                Some(text) => {
                    match key {
                        b"tenant_id" => tenant_id = Some(text),
                        b"request_id" => request_id = Some(text),
                        b"model" => has_model = true,
                        _ => {}
                    }
                    text_fault(text)
                }
            },
            b"cost_cents" if !walk.is_null() => {
                has_cost = true;
                match walk.number_by(|text| Some(cost_fault(text))) {
                    Some(fault) => fault,
                    None => Some("must be a number".into()),
                }
            }
            b"cost_cents" => None,
            b"input_tokens" | b"output_tokens" | b"cached_tokens" | b"reasoning_tokens"
                if !walk.is_null() =>
            {
                match walk.number_by(|text| text.parse().ok()) {
                    Some(tokens) => tokens_fault(tokens),
                    None => Some("must be a whole number".into()),
                }
            }
            b"input_tokens" | b"output_tokens" | b"cached_tokens" | b"reasoning_tokens" => None,
            b"is_retry" => {
                (!walk.is_null() && walk.boolean().is_none()).then(|| "must be true or false".into())
            }
            b"created_at" if !walk.is_null() => {
                moment_fault(walk.string().and_then(|text| std::str::from_utf8(text).ok()).unwrap_or(""), now)
            }
            b"created_at" => None,
            _ => Some("is not a key of a cost record".into()),
        };
        if let Some(fault) = fault {
            return Err(bad(index, &shown(key), &fault));
        }
    }
    match (tenant_id, has_model, has_cost) {
        (Some(tenant_id), true, true) => Ok(Key { tenant_id, request_id }),
        (None, ..) => Err(bad(index, "tenant_id", "is missing")),
        (_, false, _) => Err(bad(index, "model", "is missing")),
        (.., false) => Err(bad(index, "cost_cents", "is missing")),
    }
}

/// As much of a key as a message needs.
fn shown(key: &[u8]) -> String {
    convert::beginning(&String::from_utf8_lossy(key), 100).to_owned()
}

fn bad(index: usize, key: &str, fault: &str) -> Error {
    let dot = if key.is_empty() { "" } else { "." };
    Error::invalid(
        format!("records[{index}]{dot}{key} {fault}"),
        "Nothing was written. Elements are counted from 0; the keys are the arguments of costsim_record_cost.",
    )
}
