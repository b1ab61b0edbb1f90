//! Words: those that are written as they are, codes, and ids of letters and digits.

use super::lists::{announces_code, has_digit, is_all, is_kind_of_code, is_name, leads_to_code};
use super::{Last, Scan};

impl Scan<'_> {
    /// A word without digits.
    pub(super) fn plain(&mut self, end: usize) {
        let word = &self.text[self.at..end];
        if self.before() == b'-'
            && self.last == Last::Id
            && word.len() <= 10
            && !word.iter().any(|byte| b"aeiouAEIOU".contains(byte))
        {
            return self.write_id("", end);
        }
        let hyphen_and_digits =
            if self.byte(end) == b'-' { self.run_of(end + 1, u8::is_ascii_digit) } else { 0 };
        let code_end = end + 1 + hyphen_and_digits;
        if hyphen_and_digits > 0 && self.ends(code_end) && !self.goes_on(code_end) {
            if is_kind_of_code(word, hyphen_and_digits) {
                self.awaits_code = false;
                return self.copy_to(code_end);
            }
            if self.is_code_in_capitals(word, hyphen_and_digits) {
                return self.copy_as_is(code_end);
            }
        }
        if word.eq_ignore_ascii_case(b"http") && self.byte(end) == b'/' {
            let mut version = end + 1 + self.run_of(end + 1, u8::is_ascii_digit);
            if version == end + 2 {
                if self.byte(version) == b'.' && self.byte(version + 1).is_ascii_digit() {
                    version += 2;
                }
                if self.ends(version) && !self.goes_on(version) {
                    self.awaits_code = true;
                    return self.copy_to(version);
                }
            }
        }
        self.awaits_code = announces_code(word) || (self.awaits_code && leads_to_code(word));
        self.copy_to(end);
    }

    /// Whether a number goes on behind its digits.
    pub(super) fn goes_on(&self, at: usize) -> bool {
        matches!(self.byte(at), b'.' | b',' | b'-') && self.byte(at + 1).is_ascii_digit()
    }

    pub(super) fn is_code_in_capitals(&self, letters: &[u8], digits: usize) -> bool {
        self.has_small_letters
            && (3..=5).contains(&digits)
            && letters.len() <= 8
            && is_all(letters, u8::is_ascii_uppercase)
    }

    /// A word of digits.
    pub(super) fn digits(&mut self, end: usize) {
        if self.awaits_code && end - self.at <= 5 && !self.goes_on(end) {
            self.awaits_code = false;
            return self.copy_to(end);
        }
        if end - self.at == 32 {
            return self.write("<uuid>", end);
        }
        if !self.number() {
            self.write_number(end);
        }
    }

    /// A word of letters and digits.
    pub(super) fn mixed(&mut self, end: usize) {
        let start = self.at;
        let word = &self.text[start..end];
        let letters = self.run_of(start, u8::is_ascii_alphabetic).min(end - start);
        let (head, tail) = word.split_at(letters);
        if is_name(word) {
            self.awaits_code = false;
            return self.copy_to(end);
        }
        if letters > 0 && is_all(tail, u8::is_ascii_digit) {
            if is_kind_of_code(head, tail.len()) {
                self.awaits_code = false;
                return self.copy_to(end);
            }
            if self.is_code_in_capitals(head, tail.len()) {
                return self.copy_as_is(end);
            }
            if head.eq_ignore_ascii_case(b"v") && tail.len() <= 4 {
                self.out.push(b'v');
                self.at += 1;
                if !self.number() {
                    self.write_number(end);
                }
                return;
            }
        }
        let is_hex = is_all(word, u8::is_ascii_hexdigit);
        let is_prefixed = word.len() > 2
            && word[0] == b'0'
            && matches!(word[1], b'x' | b'X')
            && is_all(&word[2..], u8::is_ascii_hexdigit);
        if self.awaits_code
            && ((is_prefixed && word.len() <= 10)
                || (word.len() == 5 && !word.contains(&b'_') && self.is_behind_state()))
        {
            self.awaits_code = false;
            return self.copy_to(end);
        }
        if is_prefixed {
            return self.write_id("<hex>", end);
        }
        let is_amount = is_all(&word[..word.len() - 1], u8::is_ascii_digit)
            && matches!(word[word.len() - 1], b'b' | b'B' | b'd' | b'D');
        if is_hex && word.len() >= 8 && !is_amount {
            return if word.len() == 32 { self.write("<uuid>", end) } else { self.write_id("<hex>", end) };
        }
        if word[0].is_ascii_digit() && self.number() {
            return;
        }
        if word.contains(&b'_') && self.parts(end) {
            return;
        }
        self.write_id("<id>", end);
    }

    /// Whether the word that announced a code is one behind which letters belong to it.
    pub(super) fn is_behind_state(&self) -> bool {
        let written = self.out.trim_ascii_end();
        let word_end = written.iter().rposition(u8::is_ascii_alphabetic).map_or(0, |at| at + 1);
        written[..word_end].ends_with(b"sqlstate") || written[..word_end].ends_with(b"code")
    }

    /// A word of parts that are letters or digits each; or one whose end begins a UUID.
    pub(super) fn parts(&mut self, end: usize) -> bool {
        let start = self.at;
        let word = &self.text[start..end];
        let last = start + word.iter().rposition(|&byte| byte == b'_').map_or(0, |at| at + 1);
        let is_pure =
            |part: &[u8]| part.iter().all(u8::is_ascii_digit) || part.iter().all(u8::is_ascii_alphabetic);
        let uuid = if end - last == 8 && self.byte(end) == b'-' { self.uuid(last) } else { None };
        if uuid.is_none() && word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'_') {
            self.write_number(end);
            return true;
        }
        let stop = if uuid.is_some() { last } else { end };
        if !self.text[start..stop].split(|&byte| byte == b'_').all(is_pure) {
            return match uuid {
                Some(end) => {
                    self.write_id("<id>", end);
                    true
                }
                None => false,
            };
        }
        self.awaits_code = false;
        self.last = Last::Other;
        for (nth, part) in self.text[start..stop].split(|&byte| byte == b'_').enumerate() {
            if nth > 0 {
                self.out.push(b'_');
            }
            if has_digit(part) {
                self.out.extend_from_slice(b"<n>");
            } else {
                self.out.extend(part.iter().map(u8::to_ascii_lowercase));
            }
        }
        self.at = end;
        if let Some(end) = uuid {
            self.write("<uuid>", end);
        }
        true
    }
}
