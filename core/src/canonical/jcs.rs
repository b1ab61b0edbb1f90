//! The form of RFC 8785, the JSON Canonicalization Scheme.
//!
//! Promises what the RFC does: keys sort by UTF-16 unit, only what must be escaped is, and a number is the double that
//! ECMAScript would print. Refuses what I-JSON forbids or a double cannot hold: a name that stands twice in an object, half
//! of a surrogate pair, a number beyond the range. Where asked, also every number that the form would print as another.

use super::double::Digits;
use super::output::Output;
use super::scan::{Number, end_of_plain};
use super::{Form, Malformed, Sink, double, escape};

pub(super) struct Jcs {
    pub(super) strict_numbers: bool,
}

/// All integers of so many digits are doubles, and print as they are spelled.
const EXACT_DIGITS: usize = 15;

impl Form for Jcs {
    const IS_STRICT: bool = true;
    const SORTS_BY_BYTE: bool = false;

    /// Only characters beyond the basic plane, which begin with F0 and more, sort differently: their surrogates, D800 to
    /// DFFF, come before E000 to FFFF, which begin with EE and EF.
    fn rank_of_byte(byte: u8) -> u8 {
        if let 0xee | 0xef = byte { byte + 0x10 } else { byte }
    }

    fn rank_of_code(code: u32) -> u32 {
        if let 0xe000..=0xffff = code { code + 0x11_0000 } else { code }
    }

    fn check(&self, number: Number<'_>) -> Result<(), Malformed> {
        if is_as_printed(number) {
            return Ok(());
        }
        let refused = |what| Err(Malformed::NoForm { offset: number.at, what });
        let value = double::read(number.lexeme);
        if value.is_infinite() {
            return refused("number beyond the range of a double");
        }
        if self.strict_numbers && !double::is_same(number.lexeme, &Digits::new(value)) {
            return refused("number that would be printed as another");
        }
        Ok(())
    }

    fn end_of_plain(text: &[u8], at: usize) -> usize {
        end_of_plain::<false>(text, at)
    }

    fn character<S: Sink>(code: u32, out: &mut Output<'_, '_, S>) {
        if let Some(short) = escape::short(code) {
            return out.bytes(short);
        }
        match char::from_u32(code) {
            Some(plain @ ' '..) => out.bytes(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => out.bytes(&escape::unit(code)),
        }
    }

    fn number<S: Sink>(&self, number: Number<'_>, out: &mut Output<'_, '_, S>) {
        if is_as_printed(number) {
            return out.span(number.at, number.at + number.lexeme.len());
        }
        let value = double::read(number.lexeme);
        out.bytes(double::ecmascript(value, &Digits::new(value)).bytes())
    }
}

/// Whether a number is printed as it is spelled, which most are.
fn is_as_printed(number: Number<'_>) -> bool {
    let lexeme = number.lexeme;
    if number.is_float {
        double::is_short_decimal(lexeme, 5) && !lexeme.ends_with(b".0")
    } else {
        lexeme.len() <= EXACT_DIGITS && lexeme != b"-0"
    }
}
