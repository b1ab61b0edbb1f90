//! A walk through a jsonb that makes no text of it.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;

use pgrx::pg_sys;
use pgrx::pg_sys::{JsonbIteratorToken as token, jbvType as kind};
use pgrx::prelude::*;

use super::Jsonb;

unsafe extern "C-unwind" {
    // The server's functions themselves: they are called dozens of times per document, and the library's wrappers, which turn an error into one
    // of Rust's, cost more than the look. The only error there can be is a lack of memory.
    fn JsonbIteratorInit(container: *mut pg_sys::JsonbContainer) -> *mut pg_sys::JsonbIterator;
    fn JsonbIteratorNext(
        iterator: *mut *mut pg_sys::JsonbIterator,
        value: *mut pg_sys::JsonbValue,
        skip_nested: bool,
    ) -> pg_sys::JsonbIteratorToken::Type;
    fn numeric_out(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum;
    fn numeric_float8_no_overflow(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum;
    fn DirectFunctionCall1Coll(
        function: unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> pg_sys::Datum,
        collation: pg_sys::Oid,
        argument: pg_sys::Datum,
    ) -> pg_sys::Datum;
    fn numeric_int4_opt_error(number: pg_sys::Numeric, has_failed: *mut bool) -> i32;
    fn pfree(memory: *mut std::ffi::c_void);
}

/// Goes through a document token by token. Holds nothing that waits to be dropped, as an error of the server goes past it.
pub struct JsonbWalk<'a> {
    iterator: *mut pg_sys::JsonbIterator,
    value: pg_sys::JsonbValue,
    document: PhantomData<&'a Jsonb>,
}

impl<'a> JsonbWalk<'a> {
    /// Begins before the first token of a value that is flat.
    pub fn new(document: &'a Jsonb) -> Self {
        // SAFETY: the datum is a jsonb, not compressed and not elsewhere; its container stands behind the length word. A value of zeros is
        // an empty one.
        unsafe {
            let varlena = document.0.cast_mut_ptr::<pg_sys::varlena>();
            let iterator = JsonbIteratorInit(varlena.byte_add(pg_sys::VARHDRSZ).cast());
            Self { iterator, value: std::mem::zeroed(), document: PhantomData }
        }
    }

    /// The next token; of what is nested, one token for the whole of it, if that is wanted.
    #[inline]
    pub fn next(&mut self, skip_nested: bool) -> token::Type {
        // SAFETY: the iterator is the one that JsonbIteratorInit made, or what it has become since; it is not asked on beyond its end.
        unsafe { JsonbIteratorNext(&raw mut self.iterator, &raw mut self.value, skip_nested) }
    }

    /// Whether the first token begins an array, and not what only wraps a scalar.
    pub fn begins_array(&mut self) -> bool {
        // SAFETY: at the beginning of an array the value says whether it only wraps a scalar.
        self.next(false) == token::WJB_BEGIN_ARRAY && !unsafe { self.value.val.array.rawScalar }
    }

    /// The next key of an object, or none at its end; nothing where there is neither.
    pub fn key(&mut self) -> Option<Option<&'a [u8]>> {
        match self.next(true) {
            token::WJB_END_OBJECT => Some(None),
            token::WJB_KEY => self.string().map(Some),
            _ => None,
        }
    }

    /// Goes on to the value behind a key, whole.
    pub fn value(&mut self) -> Option<()> {
        (self.next(true) == token::WJB_VALUE).then_some(())
    }

    /// Whether the value is a null.
    pub fn is_null(&self) -> bool {
        self.value.type_ == kind::jbvNull
    }

    /// The value, if it is true or false.
    pub fn boolean(&self) -> Option<bool> {
        if self.value.type_ != kind::jbvBool {
            return None;
        }
        // SAFETY: the value says of itself that it is one.
        Some(unsafe { self.value.val.boolean })
    }

    /// The key or value, if it is a text: its bytes in UTF-8.
    pub fn string(&self) -> Option<&'a [u8]> {
        if self.value.type_ != kind::jbvString {
            return None;
        }
        // SAFETY: the value is a string, and lies in the document.
        unsafe {
            let text = self.value.val.string;
            let length = usize::try_from(text.len).unwrap_or(0);
            // An empty one need not lie anywhere.
            if length == 0 { Some(&[]) } else { Some(std::slice::from_raw_parts(text.val.cast(), length)) }
        }
    }

    /// The value, if it is a number: the double next to it, which may be infinite.
    pub fn number(&self) -> Option<f64> {
        let numeric = self.numeric()?;
        // SAFETY: the numeric lies in the document, flat, as a jsonb holds it: behind its length word, the word that says of what kind it is.
        // Of a short one without decimals the server makes an integer in a fraction of the time.
        unsafe {
            let head = numeric.cast::<u16>().add(2).read();
            if head & KIND_AND_DECIMALS == SHORT {
                let mut has_failed = false;
                let number = numeric_int4_opt_error(numeric, &raw mut has_failed);
                if !has_failed {
                    return Some(f64::from(number));
                }
            }
            let number = DirectFunctionCall1Coll(
                numeric_float8_no_overflow,
                pg_sys::InvalidOid,
                pg_sys::Datum::from(numeric),
            );
            f64::from_datum(number, false)
        }
    }

    /// The value, if it is a number whose text can be read so.
    pub fn number_by<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let numeric = self.numeric()?;
        // SAFETY: the numeric lies in the document; its text is ours and ASCII.
        unsafe {
            let text = DirectFunctionCall1Coll(numeric_out, pg_sys::InvalidOid, pg_sys::Datum::from(numeric))
                .cast_mut_ptr::<c_char>();
            let number = CStr::from_ptr(text).to_str().ok().and_then(read);
            pfree(text.cast());
            number
        }
    }

    fn numeric(&self) -> Option<pg_sys::Numeric> {
        if self.value.type_ != kind::jbvNumeric {
            return None;
        }
        // SAFETY: the value is a number.
        Some(unsafe { self.value.val.numeric })
    }
}

/// The bits of a numeric's head that tell its kind and the decimals of a short one, and what they are of a short one without any. The form
/// is that of the data on disk, the same in every major.
const KIND_AND_DECIMALS: u16 = 0xC000 | 0x1F80;
const SHORT: u16 = 0x8000;
