//! The lexemes of RFC 8259.
//!
//! Promises: every function either moves past exactly one well-formed lexeme or says at which byte it is not one. Does
//! not: know nesting, values or any canonical form. The end of the text reads as a NUL byte, which is legal nowhere
//! outside a string and refused inside one, so no caller needs to ask for the end first.

use super::Malformed;

/// A position in a text, moving forward.
pub(super) struct Scanner<'a> {
    /// UTF-8.
    pub(super) text: &'a [u8],
    /// Byte offset of what comes next.
    pub(super) at: usize,
}

/// A number as it was spelled.
#[derive(Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) lexeme: &'a [u8],
    /// Byte offset of its beginning.
    pub(super) at: usize,
    /// Spelled with a fraction or an exponent.
    pub(super) is_float: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    pub(super) fn peek(&self) -> u8 {
        byte(self.text, self.at)
    }

    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    #[inline]
    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    #[inline]
    pub(super) fn skip_blank(&mut self) {
        while let b' ' | b'\t' | b'\n' | b'\r' = self.peek() {
            self.bump();
        }
    }

    pub(super) fn syntax(&self, what: &'static str) -> Malformed {
        Malformed::Syntax { offset: self.at, what }
    }

    #[inline]
    pub(super) fn demand(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        if self.peek() != byte {
            return Err(self.syntax(what));
        }
        self.bump();
        Ok(())
    }

    /// `true`, `false` or `null`.
    pub(super) fn literal(&mut self) -> Result<(), Malformed> {
        let word: &[u8] = match self.peek() {
            b't' => b"true",
            b'f' => b"false",
            _ => b"null",
        };
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// A string with its quotes; refuses lone surrogates if they are not `loose`.
    #[inline]
    pub(super) fn string(&mut self, loose: bool) -> Result<(), Malformed> {
        if self.peek() == b'"' {
            let end = end_of_plain::<false>(self.text, self.at + 1);
            if byte(self.text, end) == b'"' {
                self.at = end + 1;
                return Ok(());
            }
        }
        self.unusual_string(loose)
    }

    /// One with escapes, or none at all.
    fn unusual_string(&mut self, loose: bool) -> Result<(), Malformed> {
        self.demand(b'"', "expected a string")?;
        loop {
            self.at = end_of_plain::<false>(self.text, self.at);
            match self.peek() {
                b'"' => break,
                b'\\' => self.escape(loose)?,
                _ if self.is_at_end() => return Err(self.syntax("unterminated string")),
                _ => return Err(self.syntax("raw control character in a string")),
            }
        }
        self.bump();
        Ok(())
    }

    fn escape(&mut self, loose: bool) -> Result<(), Malformed> {
        let start = self.at;
        self.bump();
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.bump(),
            b'u' => {
                let first = self.unit()?;
                let is_paired = match first {
                    0xd800..=0xdbff if !loose && byte(self.text, self.at) == b'\\' => {
                        self.bump();
                        self.peek() == b'u' && matches!(self.unit()?, 0xdc00..=0xdfff)
                    }
                    0xd800..=0xdfff => loose,
                    _ => true,
                };
                if !is_paired {
                    return Err(Malformed::NoForm { offset: start, what: "lone surrogate" });
                }
            }
            _ => return Err(self.syntax("unknown escape in a string")),
        }
        Ok(())
    }

    /// The `u` of an escape and its four digits.
    fn unit(&mut self) -> Result<u32, Malformed> {
        self.bump();
        let mut unit = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek()).to_digit(16);
            unit =
                unit << 4 | digit.ok_or_else(|| self.syntax("expected four hexadecimal digits after \\u"))?;
            self.bump();
        }
        Ok(unit)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'a>, Malformed> {
        let start = self.at;
        if self.peek() == b'-' {
            self.bump();
        }
        if self.peek() == b'0' {
            self.bump();
        } else {
            self.digits()?;
        }
        let mut is_float = false;
        if self.peek() == b'.' {
            is_float = true;
            self.bump();
            self.digits()?;
        }
        if let b'e' | b'E' = self.peek() {
            is_float = true;
            self.bump();
            if let b'+' | b'-' = self.peek() {
                self.bump();
            }
            self.digits()?;
        }
        Ok(Number { lexeme: self.text.get(start..self.at).unwrap_or(b"0"), at: start, is_float })
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Malformed> {
        if !self.peek().is_ascii_digit() {
            return Err(self.syntax("expected a digit"));
        }
        while self.peek().is_ascii_digit() {
            self.bump();
        }
        Ok(())
    }
}

/// The byte at an offset; the end reads as NUL.
#[inline]
pub(super) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The eight bytes at an offset, if there are so many.
#[inline]
pub(super) fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of each byte that is a quote or a backslash. Exact up to the first such byte, which is all that anyone
/// looks at; a bit beyond it may be set in error.
#[inline]
pub(super) fn delimiters(word: u64) -> u64 {
    let (quote, slash) = (word ^ each(b'"'), word ^ each(b'\\'));
    let is_zero = |word: u64| word.wrapping_sub(each(1)) & !word;
    (is_zero(quote) | is_zero(slash)) & each(0x80)
}

/// The offset of the first byte from `at` on that a string cannot hold as it stands, its closing quote included; where
/// `ASCII` also of the first byte that is not a printable ASCII character. Eight bytes at a time.
#[inline]
pub(super) fn end_of_plain<const ASCII: bool>(text: &[u8], mut at: usize) -> usize {
    while let Some(word) = word(text, at) {
        let mut special = delimiters(word) | word.wrapping_sub(each(0x20)) & !word;
        if ASCII {
            special |= word | word.wrapping_add(each(1));
        }
        let special = special & each(0x80);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(&byte) = text.get(at) {
        if byte < 0x20 || byte == b'"' || byte == b'\\' || ASCII && byte >= 0x7f {
            break;
        }
        at += 1;
    }
    at
}

/// The code point at `at` in a string that [`Scanner::string`] has passed, escapes resolved, and the offset of the next.
///
/// A pair of surrogate escapes is one astral code point; a lone one stays the surrogate it is, which no `char` can hold,
/// hence `u32`.
pub(super) fn code_point(text: &[u8], at: usize) -> (u32, usize) {
    let low_bits = |ahead: usize, count: u32| (u32::from(byte(text, at + ahead)) & 0x3f) << (6 * count);
    match byte(text, at) {
        b'\\' => escaped(text, at + 1),
        plain @ 0..=0x7f => (u32::from(plain), at + 1),
        lead @ 0x80..=0xdf => ((u32::from(lead) & 0x1f) << 6 | low_bits(1, 0), at + 2),
        lead @ 0xe0..=0xef => ((u32::from(lead) & 0x0f) << 12 | low_bits(1, 1) | low_bits(2, 0), at + 3),
        lead @ 0xf0.. => {
            ((u32::from(lead) & 0x07) << 18 | low_bits(1, 2) | low_bits(2, 1) | low_bits(3, 0), at + 4)
        }
    }
}

fn escaped(text: &[u8], at: usize) -> (u32, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4).unwrap_or(b"");
        digits.iter().fold(0, |unit, digit| unit << 4 | char::from(*digit).to_digit(16).unwrap_or(0))
    };
    let code = match byte(text, at) {
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => 0x0a,
        b'r' => 0x0d,
        b't' => 0x09,
        b'u' => {
            let first = unit(at + 1);
            let is_high = matches!(first, 0xd800..=0xdbff);
            if is_high && byte(text, at + 5) == b'\\' && byte(text, at + 6) == b'u' {
                let low = unit(at + 7);
                if let 0xdc00..=0xdfff = low {
                    return (0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00), at + 11);
                }
            }
            return (first, at + 5);
        }
        plain => u32::from(plain),
    };
    (code, at + 1)
}
