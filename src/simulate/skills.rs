//! A list of skills that a plan may use, as the server holds it.
//!
//! Promises: a list beyond our limits is refused before anything is made of it; names are borrowed. Does not: ask whether there is such a
//! skill.

use std::collections::HashSet;
use std::ptr::null_mut;

use pgrx::pg_sys;

use crate::convert::argument_type;
use crate::error::{Error, Result};

/// The most names.
const MOST_NAMES: usize = 10_000;

/// The most bytes of them all, with what the server adds.
const MOST_BYTES: usize = 1 << 20;

const NAME_FEWER: &str = "Name the skills of this plan alone, or pass NULL for all.";

/// An argument of text[].
#[derive(Clone, Copy, Debug)]
pub struct Skills(pg_sys::Datum);

argument_type!(Skills, "text[]");

impl Skills {
    /// The names. They lie in the server's memory.
    pub fn names(&self) -> Result<HashSet<&str>> {
        // SAFETY: the datum is an array; only its head is looked at, or where it says what it is.
        let size = unsafe { pg_sys::toast_raw_datum_size(self.0) };
        if size > MOST_BYTES {
            return Err(beyond(format!("allowed_skills has {size} bytes, more than {MOST_BYTES}")));
        }
        // SAFETY: the datum is an array, of text as the function's signature says; what detoasting makes lies in the current context,
        // which outlives the call of our function. An array keeps its dimensions behind its head, and the server counts what they
        // come to. The elements, of which there are so many, are neither compressed nor elsewhere as long as they lie in an array
        // that is not.
        unsafe {
            let array = pg_sys::pg_detoast_datum(self.0.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
            let dimensions = array.add(1).cast::<i32>();
            let count = pg_sys::ArrayGetNItems((*array).ndim, dimensions);
            if usize::try_from(count).is_ok_and(|count| count > MOST_NAMES) {
                return Err(beyond(format!("allowed_skills has {count} elements, more than {MOST_NAMES}")));
            }
            if pg_sys::array_contains_nulls(array) {
                return Err(Error::Null { argument: "allowed_skills[]" });
            }
            let (mut elements, mut count) = (null_mut(), 0);
            pg_sys::deconstruct_array(
                array,
                pg_sys::TEXTOID,
                -1,
                false,
                pg_sys::TYPALIGN_INT as std::ffi::c_char,
                &mut elements,
                null_mut(),
                &mut count,
            );
            (0..count as usize).map(|index| name((*elements.add(index)).cast_mut_ptr())).collect()
        }
    }
}

/// A name out of an array.
///
/// # Safety
/// A text that outlives what is answered.
unsafe fn name<'a>(text: *mut pg_sys::varlena) -> Result<&'a str> {
    // SAFETY: the caller's; a text that is compressed is made one that is not.
    let bytes = unsafe {
        let text = pg_sys::pg_detoast_datum_packed(text);
        std::slice::from_raw_parts(
            pgrx::varlena::vardata_any(text).cast::<u8>(),
            pgrx::varlena::varsize_any_exhdr(text),
        )
    };
    std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8)
}

fn beyond(what: String) -> Error {
    Error::Beyond { what, hint: NAME_FEWER }
}
