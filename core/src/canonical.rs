//! Canonical byte forms of a JSON text.
//!
//! Promises: two texts with the same meaning under a form give the same bytes, and the form is a fixed point: the
//! canonical bytes of canonical bytes are those bytes (save where the form prints a number that JSON cannot spell, see
//! [`reference()`]). Time is linear in the text, apart from sorting the keys of each object. Memory is an index of the
//! objects whose keys are out of order, at most four bytes a member and twelve an object, not a tree and not a second copy
//! of the text; where there is none left, that is an answer and not the end of the process. No nesting can exhaust the
//! stack.
//!
//! Does not: accept anything beyond RFC 8259. `NaN`, `Infinity`, comments, trailing commas, a byte order mark and raw
//! control characters in strings are refused with the byte offset where reading stopped. It takes text and never a
//! parsed value, because a parsed value has already lost the difference between `1` and `1.0`, between `-0.0` and
//! `0`, and between an integer of forty digits and its neighbour.
//!
//! A form is a few answers (the private trait `Form`): how keys sort, how a character is written, how a number is written,
//! what is refused. Everything else, reading, nesting, duplicate keys, is the same for every form and lives in `document`.

mod document;
mod double;
mod escape;
mod jcs;
mod key;
mod output;
mod reference;
mod scan;

use std::fmt;

use document::Document;
use jcs::Jcs;
use output::Output;
use reference::Reference;
use scan::Number;

/// How large and how deep a text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text; never more than 2^32 - 1.
    pub bytes: usize,
    /// Objects and arrays open at the same time.
    pub depth: usize,
}

impl Default for Limits {
    /// 256 MiB: as much as a jsonb holds. The index of a plan, the usual payload, takes nothing to kilobytes; the most
    /// hostile text of this size, objects of two keys in the wrong order, takes one and a half times its size.
    ///
    /// 1000 levels: CPython, whose form this must match, gives up just below its recursion limit of 1000, so no deeper
    /// document has ever been hashed by the reference. The stack is not the reason; the reader keeps its own.
    fn default() -> Self {
        Self { bytes: 256 << 20, depth: 1000 }
    }
}

impl Limits {
    /// For what is already stored: nothing that a table can hold is refused. A level of nesting costs 16 bytes while
    /// reading and 16 while writing.
    pub fn stored() -> Self {
        Self { bytes: u32::MAX as usize, depth: usize::MAX }
    }
}

/// Why a text has no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The text is longer than allowed; nothing of it was read.
    TooLarge {
        /// Length of the text.
        bytes: usize,
        /// What was allowed.
        limit: usize,
    },
    /// An object or array opens deeper than allowed.
    TooDeep {
        /// Byte offset of the opening bracket.
        offset: usize,
        /// What was allowed.
        limit: usize,
    },
    /// The text is not JSON.
    Syntax {
        /// Byte offset where reading stopped.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The text is JSON, and the form has no bytes for it.
    NoForm {
        /// Byte offset of the key, the escape or the number.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The form is longer than its taker can hold.
    FormTooLarge {
        /// What it can hold, in bytes.
        limit: usize,
    },
    /// There is no memory for the index.
    OutOfMemory,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, limit } => {
                write!(f, "JSON text of {bytes} bytes is longer than {limit} bytes")
            }
            Self::TooDeep { offset, limit } => {
                write!(f, "JSON text nests deeper than {limit} levels at byte {offset}")
            }
            Self::Syntax { offset, what } => write!(f, "invalid JSON at byte {offset}: {what}"),
            Self::NoForm { offset, what } => write!(f, "no canonical form: {what} at byte {offset}"),
            Self::FormTooLarge { limit } => write!(f, "the canonical form is longer than {limit} bytes"),
            Self::OutOfMemory => write!(f, "out of memory for a canonical form"),
        }
    }
}

impl std::error::Error for Malformed {}

/// How much work is done, in bytes or in about as many nanoseconds, before a sink is given a pulse.
const STEP: usize = 1 << 20;

/// Takes a form, piece by piece.
///
/// Both functions may end the work by unwinding.
pub trait Sink {
    /// Takes the next bytes, at most a MiB of them. An error ends the work and is its result.
    fn piece(&mut self, piece: &[u8]) -> Result<(), Malformed>;

    /// Called every few milliseconds, before the first piece and between two, for whoever has to look at something else.
    fn pulse(&mut self) {}
}

impl<F: FnMut(&[u8])> Sink for F {
    fn piece(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self(piece);
        Ok(())
    }
}

/// Collects a form.
struct Collected(Vec<u8>);

impl Sink for Collected {
    fn piece(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        self.0.try_reserve(piece.len()).map_err(|_| Malformed::OutOfMemory)?;
        self.0.extend_from_slice(piece);
        Ok(())
    }
}

/// The reference form of `text`: the bytes of Python's `json.dumps(.., sort_keys=True, separators=(",", ":"))`.
///
/// Pure ASCII. Keys sort by code point, the last of equal keys wins, integers keep every digit, a number with `.`, `e`
/// or `E` is a double and prints as Python's `repr` prints it. A double beyond the range prints `Infinity`, which is the
/// one output that is not itself JSON.
pub fn reference(text: &str, limits: &Limits) -> Result<Vec<u8>, Malformed> {
    let mut form = Collected(Vec::new());
    reference_into(text, limits, &mut form)?;
    Ok(form.0)
}

/// The same form, handed to `sink` piece by piece, so that a hash needs no copy of it.
///
/// The whole text is validated before the first piece: after an error other than its own `sink` has seen nothing.
pub fn reference_into(text: &str, limits: &Limits, sink: &mut impl Sink) -> Result<(), Malformed> {
    form_into(text, &Reference, limits, sink)
}

/// A string value in the reference form, quotes and escapes included, appended to `form`.
pub fn reference_text(text: &str, form: &mut Vec<u8>) {
    reference::text(text, form);
}

/// A double in the reference form, appended to `form`: as Python's `repr`, `NaN`, `Infinity` and `-Infinity` included.
pub fn reference_double(value: f64, form: &mut Vec<u8>) {
    form.extend_from_slice(double::python(value).bytes());
}

/// The form of `text` under RFC 8785: UTF-8, keys in the order of UTF-16, numbers as ECMAScript prints them.
///
/// Duplicate names, lone surrogates and numbers beyond the range of a double are refused. With `strict_numbers` so is every
/// number whose decimal value is not the one that would be printed: 9007199254740993, but not 0.1.
pub fn jcs(text: &str, limits: &Limits, strict_numbers: bool) -> Result<Vec<u8>, Malformed> {
    let mut form = Collected(Vec::new());
    jcs_into(text, limits, strict_numbers, &mut form)?;
    Ok(form.0)
}

/// The same form, handed to `sink` as [`reference_into`] does.
pub fn jcs_into(
    text: &str,
    limits: &Limits,
    strict_numbers: bool,
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    form_into(text, &Jcs { strict_numbers }, limits, sink)
}

fn form_into<F: Form>(text: &str, form: &F, limits: &Limits, sink: &mut impl Sink) -> Result<(), Malformed> {
    Document::read(text, form, limits, sink)?.write(form, sink)
}

/// What distinguishes one canonical form from another.
trait Form {
    /// Refuses duplicate keys and lone surrogates.
    const IS_STRICT: bool;
    /// Whether the bytes of UTF-8 sort as the keys do.
    const SORTS_BY_BYTE: bool;
    /// What the first byte in which two keys differ counts for in their order.
    fn rank_of_byte(byte: u8) -> u8;
    /// The same for their first code points that differ.
    fn rank_of_code(code: u32) -> u32;
    /// Refuses a number that has no form.
    fn check(&self, number: Number<'_>) -> Result<(), Malformed>;
    /// The offset of the first byte from `at` on that is not written as it stands in a string, or its closing quote.
    fn end_of_plain(text: &[u8], at: usize) -> usize;
    /// Writes a character at which `end_of_plain` has stopped.
    fn character<S: Sink>(code: u32, out: &mut Output<'_, '_, S>);
    /// Writes a number that has passed `check`.
    fn number<S: Sink>(&self, number: Number<'_>, out: &mut Output<'_, '_, S>);
}
