//! A look at a batch that makes no text of it: whether every element is plainly a record.
//!
//! A batch is refused with the very element and key that are wrong, which takes its text and a parser, and costs half as much as writing the
//! rows. Nearly all batches are fine, and that can be seen in the server's own form of the JSON. What is not plainly fine is none of the
//! business of this file: it goes the long way, to be refused there, or to be written all the same.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys;
use pgrx::pg_sys::{JsonbIteratorToken as token, jbvType as kind};
use pgrx::prelude::*;

use crate::convert::Jsonb;

/// How many elements a batch has, if each of them is plainly a record.
pub fn count(batch: Jsonb) -> Option<usize> {
    let datum = batch.into_datum()?;
    // SAFETY: the datum is a jsonb, not compressed and not elsewhere; its container stands behind the length word. The walk holds nothing
    // that waits to be dropped.
    unsafe {
        let varlena = datum.cast_mut_ptr::<pg_sys::varlena>();
        let mut walk = Walk {
            iterator: JsonbIteratorInit(varlena.byte_add(pg_sys::VARHDRSZ).cast()),
            value: std::mem::zeroed(),
        };
        walk.elements()
    }
}

unsafe extern "C-unwind" {
    // The server's functions themselves: they are called dozens of times per record, and the library's wrappers, which turn an error into one
    // of Rust's, cost more than the look. The only error there can be is a lack of memory.
    fn JsonbIteratorInit(container: *mut pg_sys::JsonbContainer) -> *mut pg_sys::JsonbIterator;
    fn JsonbIteratorNext(
        iterator: *mut *mut pg_sys::JsonbIterator,
        value: *mut pg_sys::JsonbValue,
        skip_nested: bool,
    ) -> pg_sys::JsonbIteratorToken::Type;
    fn numeric_out(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum;
    fn DirectFunctionCall1Coll(
        function: unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum,
        collation: pg_sys::Oid,
        argument: pg_sys::Datum,
    ) -> pg_sys::Datum;
    fn pfree(memory: *mut std::ffi::c_void);
}

struct Walk {
    iterator: *mut pg_sys::JsonbIterator,
    value: pg_sys::JsonbValue,
}

impl Walk {
    fn next(&mut self, skip_nested: bool) -> token::Type {
        // SAFETY: the iterator is the one that JsonbIteratorInit made, or what it has become since; it is not asked on beyond its end.
        unsafe { JsonbIteratorNext(&raw mut self.iterator, &raw mut self.value, skip_nested) }
    }

    fn elements(&mut self) -> Option<usize> {
        // SAFETY: at the beginning of an array the value says whether it only wraps a scalar.
        if self.next(false) != token::WJB_BEGIN_ARRAY || unsafe { self.value.val.array.rawScalar } {
            return None;
        }
        let mut count = 0;
        loop {
            match self.next(false) {
                token::WJB_BEGIN_OBJECT if self.is_record() => count += 1,
                token::WJB_END_ARRAY => return Some(count),
                _ => return None,
            }
        }
    }

    fn is_record(&mut self) -> bool {
        let (mut v1, mut v2) = (None, None);
        loop {
            match self.next(true) {
                token::WJB_END_OBJECT => break,
                token::WJB_KEY => {}
                _ => return false,
            }
            // SAFETY: a key is a string, and lies in the batch.
            let key = unsafe {
                let text = self.value.val.string;
                std::slice::from_raw_parts(text.val.cast::<u8>(), usize::try_from(text.len).unwrap_or(0))
            };
            if self.next(true) != token::WJB_VALUE {
                return false;
            }
            let is_fine = match key {
                b"payload" => true,
                _ if self.value.type_ == kind::jbvNull => true,
                b"run_id" | b"tenant_id" | b"variant_slug" | b"source" | b"model_version"
                | b"adapter_version" | b"commit_sha" | b"input_hash" | b"output_hash" => {
                    self.value.type_ == kind::jbvString
                }
                b"v1_cost" => self.cost().is_some_and(|cost| v1.insert(cost).is_finite()),
                b"v2_cost" => self.cost().is_some_and(|cost| v2.insert(cost).is_finite()),
                b"runtime_ms" => self.number(|text| text.parse().ok()).is_some_and(|ms: i32| ms >= 0),
                b"hash_version" => {
                    self.number(|text| text.parse().ok()).is_some_and(|version| (1..=3).contains(&version))
                }
                _ => false,
            };
            if !is_fine {
                return false;
            }
        }
        v1.zip(v2).is_none_or(|(v1, v2): (f64, f64)| (v2 - v1).is_finite())
    }

    /// A cost that the server reads as the same double. What is too small for one it refuses, and we do not.
    fn cost(&self) -> Option<f64> {
        let is_zero = |text: &str| !text.contains(|digit| matches!(digit, '1'..='9'));
        self.number(|text| text.parse().ok().filter(|cost: &f64| cost.is_normal() || is_zero(text)))
    }

    fn number<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if self.value.type_ != kind::jbvNumeric {
            return None;
        }
        // SAFETY: the numeric lies in the batch; its text is ours and ASCII.
        unsafe {
            let numeric = pg_sys::Datum::from(self.value.val.numeric);
            let text =
                DirectFunctionCall1Coll(numeric_out, pg_sys::InvalidOid, numeric).cast_mut_ptr::<c_char>();
            let number = CStr::from_ptr(text).to_str().ok().and_then(read);
            pfree(text.cast());
            number
        }
    }
}
