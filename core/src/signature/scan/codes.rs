//! Words: those that are written as they are, codes, and ids of letters and digits.

use super::lists::{
    announces, goes_with_code, has_digit, is_all, is_counted, is_kind_of_code, is_model, is_name, is_one_of,
    is_platform, is_state, is_word, leads_to_code, reasons,
};
use super::{Awaits, Last, Scan};

impl<'a> Scan<'a> {
    /// A word without digits.
    pub(super) fn plain(&mut self, end: usize) {
        let word = &self.text[self.at..end];
        if self.before() == b'-'
            && self.last == Last::Id
            && (word.len() == 5
                || (word.len() <= 10 && !word.iter().any(|byte| b"aeiouAEIOU".contains(byte))))
        {
            return self.write_id("", end);
        }
        if word.len() >= 5 && is_all(word, u8::is_ascii_hexdigit) {
            if self.before() == b'@' {
                return self.write_id("<hex>", end);
            }
            if self.awaits == Awaits::Id && word.len() >= 7 {
                return self.write_id("<id>", end);
            }
        }
        if word.len() >= 14 && is_named_id(word) {
            return self.write_id("<id>", end);
        }
        let hyphen_and_digits =
            if self.byte(end) == b'-' { self.run_of(end + 1, u8::is_ascii_digit) } else { 0 };
        let code_end = end + 1 + hyphen_and_digits;
        if hyphen_and_digits > 0 && self.ends(code_end) && !self.goes_on(code_end) {
            if is_kind_of_code(word, hyphen_and_digits) {
                self.awaits = Awaits::Nothing;
                return self.copy_to(code_end);
            }
            if self.is_code_in_capitals(word, hyphen_and_digits) && self.stands_as_code(code_end) {
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
                    self.awaits = Awaits::Code;
                    return self.copy_to(version);
                }
            }
        }
        if let Some(end) = self.version(end) {
            self.awaits = Awaits::Nothing;
            return self.copy_to(end);
        }
        let is_plural = word.eq_ignore_ascii_case(b"error") && self.out.ends_with(b"<n> validation ");
        let announced = announces(word);
        self.awaits = match announced {
            // An exit status, a HTTP status, an error status.
            Awaits::Figure if self.awaits_code() && word.eq_ignore_ascii_case(b"status") => Awaits::Code,
            Awaits::Nothing if self.awaits_code() && leads_to_code(word) => self.awaits,
            announced => announced,
        };
        self.copy_to(end);
        if is_plural {
            self.out.push(b's');
        }
    }

    /// The end of a name with its version: gpt-4o, TLS 1.2.
    fn version(&self, end: usize) -> Option<usize> {
        if !self.byte(end + 1).is_ascii_digit() {
            return None;
        }
        let word = &self.text[self.at..end];
        match self.byte(end) {
            b'-' if is_model(word) => Some(self.model_end(end)).filter(|&stop| stop > end),
            b' ' if is_platform(word) => self.release_end(end + 1),
            _ => None,
        }
    }

    /// The end of one or two digits, with at most two more parts.
    fn release(&self, start: usize) -> Option<usize> {
        let digits = self.run_of(start, u8::is_ascii_digit);
        let mut end = start + digits;
        for _ in 0..2 {
            let more = self.run_of(end + 1, u8::is_ascii_digit);
            if self.byte(end) != b'.' || !(1..=3).contains(&more) {
                break;
            }
            end += 1 + more;
        }
        ((1..=2).contains(&digits) && self.ends(end)).then_some(end)
    }

    /// The same, if that is all, and no amount.
    fn release_end(&self, start: usize) -> Option<usize> {
        self.release(start)
            .filter(|&end| !self.goes_on(end) && self.byte(end) != b'%' && !self.is_measured(end))
    }

    /// The end of the parts of a model's name: numbers, words, sizes, dates.
    fn model_end(&self, mut at: usize) -> usize {
        while self.byte(at) == b'-' {
            let length = self.run_of(at + 1, |byte| is_word(*byte));
            let part = &self.text[at + 1..at + 1 + length];
            let is_part = match part {
                [] => false,
                _ if is_all(part, u8::is_ascii_alphabetic) => true,
                _ if is_all(part, u8::is_ascii_digit) => {
                    matches!(length, 1 | 2 | 4) || (length == 8 && part.starts_with(b"20"))
                }
                [first, rest @ ..] => {
                    length <= 4
                        && (first.is_ascii_digit() || first.eq_ignore_ascii_case(&b'v'))
                        && is_all(rest, u8::is_ascii_alphanumeric)
                }
            };
            if !is_part {
                break;
            }
            at += 1 + length;
            let more = self.run_of(at + 1, |byte| is_word(*byte));
            if self.byte(at) == b'.' && (1..=3).contains(&more) && self.byte(at + 1).is_ascii_digit() {
                at += 1 + more;
            }
        }
        at
    }

    /// Whether this is a place where codes stand: behind a word for one, at the beginning, between two colons.
    fn stands_as_code(&self, end: usize) -> bool {
        if self.awaits_code() {
            return true;
        }
        let mut written = self.out.as_slice();
        if self.byte(end) == b':' && written.trim_ascii_end().ends_with(b":") {
            return true;
        }
        // A beginning is short.
        if written.len() > 64 {
            return false;
        }
        while let Some((first, rest)) = written.split_first() {
            if first.is_ascii_alphanumeric() {
                return false;
            }
            written = if *first == b'<' { rest.strip_prefix(b"timestamp>").unwrap_or(rest) } else { rest };
        }
        true
    }

    /// Whether a letter E and digits are a code here.
    fn is_e_code(&self, letters: &[u8], digits: usize, end: usize) -> bool {
        (3..=5).contains(&digits)
            && letters.eq_ignore_ascii_case(b"e")
            && (self.stands_as_code(end) || self.out.trim_ascii_end().ends_with(b":"))
    }

    /// Whether the number that ends here may be a code, by what follows it.
    fn may_be_code(&self, end: usize) -> bool {
        let next = self.byte(end + 1);
        match self.byte(end) {
            b' ' if end + 1 >= self.text.len() => true,
            b' ' if is_word(next) => goes_with_code(self.word_at(end + 1)),
            b' ' => b"([{|\"':".contains(&next) || (next == b'-' && self.byte(end + 2) == b' '),
            mark => b":;,.)]}\"'`|!?>-".contains(&mark),
        }
    }

    fn word_at(&self, at: usize) -> &'a [u8] {
        &self.text[at.min(self.text.len())..][..self.run_of(at, |byte| is_word(*byte))]
    }

    /// Whether a text follows, in any case, and ends there.
    fn is_followed_by(&self, at: usize, text: &str) -> bool {
        self.text.get(at..at + text.len()).is_some_and(|found| found.eq_ignore_ascii_case(text.as_bytes()))
            && self.ends(at + text.len())
    }

    /// Whether digits that end here are a code.
    fn is_code(&self, end: usize) -> bool {
        let word = &self.text[self.at..end];
        let is_status = word.len() == 3 && matches!(word[0], b'4' | b'5');
        if self.awaits != Awaits::Nothing || is_status || word.len() == 4 {
            let next = end + usize::from(self.byte(end) == b' ');
            if self.goes_on(end) || matches!(self.byte(next), b'%' | b'/') || self.is_followed_by(end, " of")
            {
                return false;
            }
        }
        let is_announced = match self.awaits {
            Awaits::Nothing | Awaits::Id => false,
            _ if self.is_measured(end) => false,
            Awaits::Code => word.len() <= 5 || (word.len() <= 8 && self.is_behind_state()),
            Awaits::Figure => {
                word.len() <= 5
                    && (self.may_be_code(end) || (is_status && !is_counted(self.word_at(end + 1))))
            }
            Awaits::State => is_state(word),
            Awaits::Status => is_status && self.may_be_code(end),
        };
        if is_announced {
            return true;
        }
        if is_status && self.awaits != Awaits::Id {
            let at = end + usize::from(self.byte(end) == b':') + 1;
            let side = if word[0] == b'4' { "client error" } else { "server error" };
            if self.byte(at - 1) == b' '
                && (self.is_followed_by(at, side)
                    || reasons(word).iter().any(|reason| self.is_followed_by(at, reason)))
            {
                return true;
            }
        }
        // As drivers of MySQL write: (1062, "...").
        (word.len() == 4
            && matches!(word[0], b'1'..=b'5')
            && self.before() == b'('
            && self.byte(end) == b','
            && self.byte(end + 1) == b' '
            && matches!(self.byte(end + 2), b'"' | b'\''))
            || (word.len() <= 3 && self.is_followed_by(end, " exit status"))
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
        if self.is_code(end) {
            self.awaits = Awaits::Nothing;
            return self.copy_to(end);
        }
        // In a name, what hangs on many digits is part of the id.
        let is_in_name = end - self.at >= 8 && self.before() == b'-' && self.byte(end) == b'-';
        let is_id = self.awaits == Awaits::Id
            && !self.goes_on(end)
            && !self.is_measured(end)
            && self.byte(end) != b'%';
        if self.before() == b'@' && end - self.at >= 5 && self.ends(end) {
            return self.write_id("<hex>", end);
        }
        if (is_in_name || is_id) && end - self.at != 32 {
            self.write("<id>", end);
            self.last = if self.byte(end) == b'-' { Last::Id } else { Last::Number };
            return;
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
            self.awaits = Awaits::Nothing;
            return self.copy_to(end);
        }
        if letters > 0 && is_all(tail, u8::is_ascii_digit) {
            if is_kind_of_code(head, tail.len()) {
                self.awaits = Awaits::Nothing;
                return self.copy_to(end);
            }
            if self.is_e_code(head, tail.len(), end) {
                self.awaits = Awaits::Nothing;
                return self.copy_to(end);
            }
            if self.is_code_in_capitals(head, tail.len()) && self.stands_as_code(end) {
                return self.copy_as_is(end);
            }
            let named = if is_model(head) {
                self.release(start + letters).map(|release| self.model_end(release))
            } else if is_platform(head) {
                self.release_end(start + letters)
            } else {
                None
            };
            if let Some(named) = named {
                self.awaits = Awaits::Nothing;
                return self.copy_to(named);
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
        let is_code = match self.awaits {
            Awaits::Nothing | Awaits::Id => is_result(word) && is_prefixed && !self.out.ends_with(b" at "),
            _ if is_prefixed => word.len() <= 10,
            Awaits::State | Awaits::Figure => is_state(word),
            _ => word.len() == 5 && !word.contains(&b'_') && self.is_behind_state(),
        };
        if is_code {
            self.awaits = Awaits::Nothing;
            return self.copy_to(end);
        }
        if is_prefixed {
            return self.write_id("<hex>", end);
        }
        if is_hex && word.len() >= 5 && self.before() == b'@' {
            return self.write_id("<hex>", end);
        }
        if self.awaits == Awaits::Id && is_hex && word.len() >= 7 && word.len() != 32 {
            return self.write_id("<id>", end);
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
        self.awaits = Awaits::Nothing;
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

/// An id of letters alone whose kind is written before it: req_abcdefghij.
fn is_named_id(word: &[u8]) -> bool {
    let Some(kind) = word.iter().position(|&byte| byte == b'_') else { return false };
    word.len() > kind + 10
        && is_one_of(&word[..kind], &["req", "msg", "toolu"])
        && is_all(&word[kind + 1..], u8::is_ascii_alphabetic)
}

/// What Windows calls its errors: 0x8007xxxx and its like, 0xc000xxxx.
fn is_result(word: &[u8]) -> bool {
    word.len() == 10 && (word[2] == b'8' || word[2..].to_ascii_lowercase().starts_with(b"c000"))
}
