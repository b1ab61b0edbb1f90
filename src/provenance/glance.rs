//! A look at a batch that makes no text of it: whether every element is plainly a record.
//!
//! A batch is refused with the very element and key that are wrong, which takes its text and a parser, and costs half as much as writing the
//! rows. Nearly all batches are fine, and that can be seen in the server's own form of the JSON. What is not plainly fine is none of the
//! business of this file: it goes the long way, to be refused there, or to be written all the same.

use pgrx::pg_sys::JsonbIteratorToken as token;

use crate::convert::{Jsonb, JsonbWalk};

/// How many elements a batch has, if each of them is plainly a record. The batch is neither compressed nor elsewhere.
pub fn count(batch: &Jsonb) -> Option<usize> {
    let mut walk = JsonbWalk::new(batch);
    if !walk.begins_array() {
        return None;
    }
    let mut count = 0;
    loop {
        match walk.next(false) {
            token::WJB_BEGIN_OBJECT if is_record(&mut walk) => count += 1,
            token::WJB_END_ARRAY => return Some(count),
            _ => return None,
        }
    }
}

fn is_record(walk: &mut JsonbWalk<'_>) -> bool {
    let (mut v1, mut v2) = (None, None);
    loop {
        let key = match walk.key() {
            Some(Some(key)) => key,
            Some(None) => break,
            None => return false,
        };
        if walk.value().is_none() {
            return false;
        }
        let is_fine = match key {
            b"payload" => true,
            _ if walk.is_null() => true,
            b"run_id" | b"tenant_id" | b"variant_slug" | b"source" | b"model_version"
            | b"adapter_version" | b"commit_sha" | b"input_hash" | b"output_hash" => walk.string().is_some(),
            b"v1_cost" => cost(walk).is_some_and(|cost| v1.insert(cost).is_finite()),
            b"v2_cost" => cost(walk).is_some_and(|cost| v2.insert(cost).is_finite()),
            b"runtime_ms" => walk.number_by(|text| text.parse().ok()).is_some_and(|ms: i32| ms >= 0),
            b"hash_version" => walk
                .number_by(|text| text.parse().ok())
                .is_some_and(|version: i32| (1..=3).contains(&version)),
            _ => false,
        };
        if !is_fine {
            return false;
        }
    }
    v1.zip(v2).is_none_or(|(v1, v2): (f64, f64)| (v2 - v1).is_finite())
}

/// A cost that the server reads as the same double. What is too small for one it refuses, and we do not.
fn cost(walk: &JsonbWalk<'_>) -> Option<f64> {
    let is_zero = |text: &str| !text.contains(|digit| matches!(digit, '1'..='9'));
    walk.number_by(|text| text.parse().ok().filter(|cost: &f64| cost.is_normal() || is_zero(text)))
}
