//! The lexemes of RFC 8259.
//!
//! Promises: every function either moves past exactly one well-formed lexeme or says at which byte it is not one. Does
//! not: know nesting, values or any canonical form. The end of the text reads as a NUL byte, which is legal nowhere
//! outside a string and refused inside one, so no caller needs to ask for the end first.

use super::Malformed;

/// A position in a text, moving forward.
pub(super) struct Scanner<'a> {
    text: &'a str,
    /// Byte offset of what comes next.
    pub(super) at: usize,
}

/// A number as it was spelled.
#[derive(Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) lexeme: &'a str,
    /// Spelled with a fraction or an exponent.
    pub(super) is_float: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    pub(super) fn skip_blank(&mut self) {
        while let b' ' | b'\t' | b'\n' | b'\r' = self.peek() {
            self.bump();
        }
    }

    pub(super) fn syntax(&self, what: &'static str) -> Malformed {
        Malformed::Syntax { offset: self.at, what }
    }

    pub(super) fn demand(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        if self.peek() != byte {
            return Err(self.syntax(what));
        }
        self.bump();
        Ok(())
    }

    /// `true`, `false` or `null`.
    pub(super) fn literal(&mut self) -> Result<&'static str, Malformed> {
        let rest = self.text.get(self.at..).unwrap_or("");
        let literal = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word));
        let literal = literal.ok_or_else(|| self.syntax("expected a value"))?;
        self.at += literal.len();
        Ok(literal)
    }

    /// A string with its quotes; returns what stands between them.
    pub(super) fn string(&mut self) -> Result<&'a str, Malformed> {
        self.demand(b'"', "expected a string")?;
        let start = self.at;
        loop {
            match self.peek() {
                b'"' => break,
                b'\\' => self.escape()?,
                0 if self.is_at_end() => return Err(self.syntax("unterminated string")),
                0..=0x1f => return Err(self.syntax("raw control character in a string")),
                _ => self.bump(),
            }
        }
        let raw = self.since(start);
        self.bump();
        Ok(raw)
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.bump();
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.bump(),
            b'u' => {
                self.bump();
                for _ in 0..4 {
                    if !self.peek().is_ascii_hexdigit() {
                        return Err(self.syntax("expected four hexadecimal digits after \\u"));
                    }
                    self.bump();
                }
            }
            _ => return Err(self.syntax("unknown escape in a string")),
        }
        Ok(())
    }

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
        Ok(Number { lexeme: self.since(start), is_float })
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        if !self.peek().is_ascii_digit() {
            return Err(self.syntax("expected a digit"));
        }
        while self.peek().is_ascii_digit() {
            self.bump();
        }
        Ok(())
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or("")
    }
}

/// The code points of a string as it stands between its quotes, escapes resolved.
///
/// A pair of surrogate escapes is one astral code point; a lone one stays the surrogate it is, which no `char` can hold,
/// hence `u32`.
pub(super) struct CodePoints<'a> {
    rest: &'a str,
}

impl<'a> CodePoints<'a> {
    /// `raw` must have passed [`Scanner::string`].
    pub(super) fn new(raw: &'a str) -> Self {
        Self { rest: raw }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }
}

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let mut chars = self.rest.chars();
        let mut code = u32::from(chars.next()?);
        if code == u32::from('\\') {
            code = match chars.next()? {
                'b' => 0x08,
                'f' => 0x0c,
                'n' => 0x0a,
                'r' => 0x0d,
                't' => 0x09,
                'u' => {
                    let (first, rest) = unit(chars.as_str())?;
                    let second = rest.strip_prefix("\\u").and_then(unit);
                    let (code, rest) = match (first, second) {
                        (0xd800..=0xdbff, Some((low @ 0xdc00..=0xdfff, rest))) => {
                            (0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00), rest)
                        }
                        _ => (first, rest),
                    };
                    self.rest = rest;
                    return Some(code);
                }
                plain => u32::from(plain),
            };
        }
        self.rest = chars.as_str();
        Some(code)
    }
}

/// The four hexadecimal digits at the start of `text`, and what follows them.
fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}
