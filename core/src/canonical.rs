//! Canonical byte forms of a JSON text.
//!
//! Promises: two texts with the same meaning under a form give the same bytes, and the form is a fixed point: the
//! canonical bytes of canonical bytes are those bytes (save where the form prints a number that JSON cannot spell, see
//! [`reference()`]). Time is linear in the text, apart from sorting the keys of each object; memory is the index of the
//! object members, not a tree and not a second copy of the text. No nesting can exhaust the stack.
//!
//! Does not: accept anything beyond RFC 8259. `NaN`, `Infinity`, comments, trailing commas, a byte order mark and raw
//! control characters in strings are refused with the byte offset where reading stopped. It takes text and never a
//! parsed value, because a parsed value has already lost the difference between `1` and `1.0`, between `-0.0` and
//! `0`, and between an integer of forty digits and its neighbour.
//!
//! A form is three answers (the private trait `Form`): how keys sort, how a string is written, how a number is written.
//! Everything else, reading, nesting, duplicate keys, is the same for every form and lives in `document`.

mod document;
mod double;
mod reference;
mod scan;

use std::cmp::Ordering;
use std::fmt;

use document::{Document, Key};
use reference::Reference;
use scan::Number;

/// How large and how deep a text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Objects and arrays open at the same time.
    pub depth: usize,
}

impl Default for Limits {
    /// 16 MiB: the index costs at most 20 bytes for a member of five bytes (`"":0,`), so a hostile text needs well
    /// under 200 MiB while a plan, the usual payload, needs kilobytes. An allocation that fails would take the whole
    /// server down, so this must stay far below a small machine's memory.
    ///
    /// 1000 levels: CPython, whose form this must match, gives up just below its recursion limit of 1000, so no deeper
    /// document has ever been hashed by the reference. The stack is not the reason; the reader keeps its own.
    fn default() -> Self {
        Self { bytes: 16 << 20, depth: 1000 }
    }
}

impl Limits {
    /// Of what a table holds already: nothing of it is refused.
    #[must_use]
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
        }
    }
}

impl std::error::Error for Malformed {}

/// The reference form of `text`: the bytes of Python's `json.dumps(.., sort_keys=True, separators=(",", ":"))`.
///
/// Pure ASCII. Keys sort by code point, the last of equal keys wins, integers keep every digit, a number with `.`, `e`
/// or `E` is a double and prints as Python's `repr` prints it. A double beyond the range prints `Infinity`, which is the
/// one output that is not itself JSON.
pub fn reference(text: &str, limits: &Limits) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::with_capacity(text.len().min(limits.bytes));
    reference_into(text, limits, &mut |piece| bytes.extend_from_slice(piece))?;
    Ok(bytes)
}

/// The same form, handed to `sink` piece by piece, so that a hash needs no copy of it.
///
/// The whole text is validated before the first piece: after an error `sink` has seen nothing.
pub fn reference_into(text: &str, limits: &Limits, sink: &mut impl FnMut(&[u8])) -> Result<(), Malformed> {
    Document::read(text, limits)?.write::<Reference>(sink)
}

/// What distinguishes one canonical form from another.
trait Form {
    /// The order of two keys; equal means the same key, however it was spelled.
    fn compare(a: Key<'_>, b: Key<'_>) -> Ordering;
    /// Writes a string, given what stands between its quotes in the text.
    fn string(raw: &str, sink: &mut impl FnMut(&[u8]));
    /// Writes a number.
    fn number(number: Number<'_>, sink: &mut impl FnMut(&[u8]));
}
