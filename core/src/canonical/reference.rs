//! The reference's form: what CPython's `json.dumps` prints with sorted keys and no blanks.
//!
//! Promises ASCII, code point order, and Python's `repr` of doubles. Does not follow RFC 8785, which sorts by UTF-16
//! unit, escapes less and prints doubles as ECMAScript does: that is [`super::jcs`].

use super::output::Output;
use super::scan::{Number, end_of_plain};
use super::{Form, Malformed, Sink, double, escape};

pub(super) struct Reference;

impl Form for Reference {
    const IS_STRICT: bool = false;
    const SORTS_BY_BYTE: bool = true;

    /// UTF-8 bytes sort as the code points they encode.
    fn rank_of_byte(byte: u8) -> u8 {
        byte
    }

    fn rank_of_code(code: u32) -> u32 {
        code
    }

    fn check(&self, _: Number<'_>) -> Result<(), Malformed> {
        Ok(())
    }

    fn end_of_plain(text: &[u8], at: usize) -> usize {
        end_of_plain::<true>(text, at)
    }

    fn character<S: Sink>(code: u32, out: &mut Output<'_, '_, S>) {
        if let Some(short) = escape::short(code) {
            return out.bytes(short);
        }
        match code {
            0x20..=0x7e => out.bytes(&[code.to_le_bytes()[0]]),
            0x1_0000.. => {
                let above = code - 0x1_0000;
                out.bytes(&escape::unit(0xd800 + (above >> 10)));
                out.bytes(&escape::unit(0xdc00 + (above & 0x3ff)));
            }
            _ => out.bytes(&escape::unit(code)),
        }
    }

    fn number<S: Sink>(&self, number: Number<'_>, out: &mut Output<'_, '_, S>) {
        match (number.is_float, number.lexeme) {
            (false, b"-0") => out.bytes(b"0"),
            (true, lexeme) if !double::is_short_decimal(lexeme, 3) => {
                out.bytes(double::python(double::read(lexeme)).bytes())
            }
            (_, lexeme) => out.span(number.at, number.at + lexeme.len()),
        }
    }
}

/// A text as the form writes it: the string between quotes.
pub(super) fn text(text: &str, form: &mut Vec<u8>) {
    form.push(b'"');
    let mut rest = text;
    loop {
        let plain = rest
            .bytes()
            .take_while(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
            .count();
        let (before, after) = rest.split_at_checked(plain).unwrap_or((rest, ""));
        form.extend_from_slice(before.as_bytes());
        let mut characters = after.chars();
        let Some(character) = characters.next() else { break };
        match escape::short(character.into()) {
            Some(short) => form.extend_from_slice(short),
            None => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    form.extend_from_slice(&escape::unit((*unit).into()));
                }
            }
        }
        rest = characters.as_str();
    }
    form.push(b'"');
}
