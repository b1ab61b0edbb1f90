//! The reference's form: what CPython's `json.dumps` prints with sorted keys and no blanks.
//!
//! Promises ASCII, code point order, and Python's `repr` of doubles. Does not follow RFC 8785, which sorts by UTF-16
//! unit, escapes less and prints doubles as ECMAScript does.

use std::cmp::Ordering;

use super::document::Key;
use super::scan::{CodePoints, Number};
use super::{Form, double};

pub(super) struct Reference;

impl Form for Reference {
    fn compare(a: Key<'_>, b: Key<'_>) -> Ordering {
        if a.is_plain && b.is_plain {
            // UTF-8 bytes sort as the code points they encode.
            return a.raw.cmp(b.raw);
        }
        CodePoints::new(a.raw).cmp(CodePoints::new(b.raw))
    }

    fn string(raw: &str, sink: &mut impl FnMut(&[u8])) {
        sink(b"\"");
        let mut codes = CodePoints::new(raw);
        loop {
            let plain = codes.rest().bytes().take_while(|byte| is_plain(*byte)).count();
            if let Some((run, rest)) = codes.rest().split_at_checked(plain) {
                sink(run.as_bytes());
                codes = CodePoints::new(rest);
            }
            match codes.next() {
                Some(code) => character(code, sink),
                None => break,
            }
        }
        sink(b"\"");
    }

    fn number(number: Number<'_>, sink: &mut impl FnMut(&[u8])) {
        match (number.is_float, number.lexeme) {
            (true, lexeme) => sink(double::repr(double::read(lexeme)).as_bytes()),
            (false, "-0") => sink(b"0"),
            (false, lexeme) => sink(lexeme.as_bytes()),
        }
    }
}

/// Printed as it stands.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn character(code: u32, sink: &mut impl FnMut(&[u8])) {
    match code {
        0x22 => sink(b"\\\""),
        0x5c => sink(b"\\\\"),
        0x08 => sink(b"\\b"),
        0x09 => sink(b"\\t"),
        0x0a => sink(b"\\n"),
        0x0c => sink(b"\\f"),
        0x0d => sink(b"\\r"),
        0x20..=0x7e => sink(&[code.to_le_bytes()[0]]),
        0x1_0000.. => {
            let above = code - 0x1_0000;
            escape(0xd800 + (above >> 10), sink);
            escape(0xdc00 + (above & 0x3ff), sink);
        }
        _ => escape(code, sink),
    }
}

fn escape(unit: u32, sink: &mut impl FnMut(&[u8])) {
    let digit = |shift: u32| match (unit >> shift & 0xf).to_le_bytes()[0] {
        small @ 0..=9 => b'0' + small,
        large => b'a' + (large - 10),
    };
    sink(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}
