//! The pass over a text that makes its template.
//!
//! The text is looked at as bytes, after white space has been made one space each, letters beyond ASCII have been folded and digits beyond ASCII have
//! become `0`. Where what was written could be read as more than it was, it is read again, until it stays: so a template's own template is itself.

mod addresses;
mod codes;
mod lists;
mod moments;
mod numbers;

use super::LONGEST_TEXT;
use lists::{has_digit, is_all, is_word};

/// How often a template is read again at most. No text is known that needs more than three times.
const MOST_PASSES: usize = 8;

/// Makes templates; its buffers are used again for the next one.
#[derive(Default)]
pub struct Normaliser {
    folded: String,
    template: Vec<u8>,
    again: Vec<u8>,
}

impl Normaliser {
    /// The template of a text, empty for a blank one.
    pub fn template(&mut self, text: &str) -> &str {
        let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
        let text = if is_plain(text.as_bytes()) {
            text
        } else {
            fold(text, &mut self.folded);
            &self.folded
        };
        self.template.clear();
        Scan::new(text.as_bytes(), &mut self.template).run();
        for _ in 0..MOST_PASSES {
            // Without these no rule finds anything.
            if !self.template.iter().any(|byte| byte.is_ascii_digit() || matches!(byte, b'@' | b'?')) {
                break;
            }
            self.again.clear();
            Scan::new(&self.template, &mut self.again).run();
            if self.again == self.template {
                break;
            }
            std::mem::swap(&mut self.template, &mut self.again);
        }
        // Whole characters are copied, so this is what it always is.
        std::str::from_utf8(&self.template).unwrap_or_default()
    }
}

fn is_space(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// Whether a text is of ASCII, with single spaces alone.
fn is_plain(text: &[u8]) -> bool {
    let mut before = 0;
    text.iter().all(|&byte| {
        let is_plain = byte.is_ascii() && (!is_space(byte) || (byte == b' ' && before != b' '));
        before = byte;
        is_plain
    })
}

/// Folds what is not, so that no spelling of a letter counts, and no script of a digit.
fn fold(text: &str, folded: &mut String) {
    folded.clear();
    for c in text.chars() {
        if c.is_whitespace() || (c.is_ascii() && is_space(c as u8)) {
            if !folded.ends_with(' ') {
                folded.push(' ');
            }
        } else if c.is_ascii() {
            folded.push(c);
        } else if c.is_numeric() {
            folded.push('0');
        } else {
            // Down, up and down: a capital sharp s has no other way to be one.
            folded.extend(c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
        }
    }
}

/// What was written last, as far as it matters for what follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Id,
    Number,
    Other,
}

/// What the words before let expect of a number or an id.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Nothing,
    /// A code, whatever its number.
    Code,
    /// A code, if what follows it does not say that the number is one of things.
    Figure,
    /// A SQLSTATE.
    State,
    /// A status of HTTP that tells of an error.
    Status,
    /// An id.
    Id,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    /// White space that is written when something follows it.
    is_apart: bool,
    awaits: Awaits,
    /// A slash has been read since the last white space or quote.
    has_slash: bool,
    /// What follows is a segment of a path.
    is_in_path: bool,
    last: Last,
    /// Up to here no e-mail address begins.
    no_address_before: usize,
    /// Whether the text has small letters, so that capitals mean something.
    has_small_letters: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self {
            text,
            at: 0,
            out,
            is_apart: false,
            awaits: Awaits::Nothing,
            has_slash: false,
            is_in_path: false,
            last: Last::Other,
            no_address_before: 0,
            has_small_letters: text.iter().any(u8::is_ascii_lowercase),
        }
    }

    fn run(mut self) {
        while let Some(&byte) = self.text.get(self.at) {
            if is_space(byte) {
                self.is_apart = true;
                (self.is_in_path, self.has_slash) = (false, false);
                self.last = Last::Other;
                self.at += 1;
                continue;
            }
            let before = self.out.len();
            if self.is_apart && before > 0 {
                self.out.push(b' ');
            }
            self.is_apart = false;
            if is_word(byte) {
                self.word();
            } else {
                self.mark(byte);
            }
            if self.out.len() > LONGEST_TEXT {
                self.out.truncate(before);
                break;
            }
        }
        let kept = self.out.trim_ascii_end().len();
        self.out.truncate(kept);
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(b' ')
    }

    fn before(&self) -> u8 {
        if self.at == 0 { b' ' } else { self.text[self.at - 1] }
    }

    fn copy_to(&mut self, end: usize) {
        self.out.extend(self.text[self.at..end].iter().map(u8::to_ascii_lowercase));
        self.at = end;
        self.last = Last::Other;
    }

    fn write(&mut self, placeholder: &str, end: usize) {
        self.out.extend_from_slice(placeholder.as_bytes());
        self.at = end;
        self.last = Last::Other;
        self.awaits = Awaits::Nothing;
    }

    fn write_id(&mut self, placeholder: &str, end: usize) {
        // What hangs on an id by a hyphen is part of it.
        if self.before() == b'-' && self.last == Last::Id {
            self.out.pop();
            self.at = end;
            return;
        }
        self.write(placeholder, end);
        self.last = Last::Id;
    }

    fn write_number(&mut self, end: usize) {
        self.write("<n>", end);
        self.last = Last::Number;
    }

    /// How many bytes of a class there are.
    fn run_of(&self, at: usize, class: fn(&u8) -> bool) -> usize {
        self.text[at.min(self.text.len())..].iter().take_while(|byte| class(byte)).count()
    }

    /// Whether no word goes on here.
    fn ends(&self, at: usize) -> bool {
        !is_word(self.byte(at))
    }

    /// Anything that is no word.
    fn mark(&mut self, byte: u8) {
        let next = self.byte(self.at + 1);
        let last = self.last;
        match byte {
            b'/' | b'\\' => {
                self.awaits = Awaits::Nothing;
                if byte == b'/' && next == b'/' && self.before() == b':' {
                    self.is_in_path = false;
                    self.has_slash = true;
                    return self.copy_to(self.at + 2);
                }
                // A slash between numbers is none of a path.
                self.is_in_path = self.has_slash || last != Last::Number;
                self.has_slash = self.is_in_path;
            }
            b'?' if self.has_slash && (is_word(next) || next == b'<') => return self.query(),
            b'{' => {
                if let Some(end) = self.uuid(self.at + 1).filter(|&end| self.byte(end) == b'}') {
                    return self.write("<uuid>", end + 1);
                }
                self.leave_path();
            }
            b'-' | b'+' if next.is_ascii_digit() && !self.is_in_path && !self.awaits_code() => {
                let before = self.before();
                if before <= b' ' || b"(=[{,:;|\"'".contains(&before) {
                    // The sign of the number that follows.
                    self.at += 1;
                    return;
                }
            }
            // A number without a digit before its point.
            b'.' if next.is_ascii_digit() && !self.is_in_path && !is_word(self.before()) => {
                self.at += 1;
                return;
            }
            b':' => {
                self.is_in_path = false;
                if next == b':'
                    && !is_word(self.before())
                    && let Some(end) = self.ipv6(self.at)
                {
                    return self.write("<ip>", end);
                }
            }
            b'"' | b'\'' | b'`' | b'(' | b')' | b'[' | b']' | b'}' | b',' | b';' | b'|' => self.leave_path(),
            _ => {}
        }
        let is_pid = byte == b'[' && self.before() == b' ' && self.awaits == Awaits::Figure;
        if !b":=#([\"'-".contains(&byte) || is_pid || (byte == b'-' && self.awaits == Awaits::Id) {
            self.awaits = Awaits::Nothing;
        }
        self.out.push(byte);
        self.at += 1;
        self.last = if byte == b'-' && last == Last::Id { Last::Id } else { Last::Other };
    }

    fn awaits_code(&self) -> bool {
        !matches!(self.awaits, Awaits::Nothing | Awaits::Id)
    }

    fn leave_path(&mut self) {
        (self.is_in_path, self.has_slash) = (false, false);
    }

    /// What is asked for behind a path.
    fn query(&mut self) {
        let rest = &self.text[self.at + 1..];
        let length = if rest.starts_with(b"<query>") {
            7
        } else {
            let is_inside = |byte: &&u8| !is_space(**byte) && !b"\"'`()[]{}<>,;|".contains(byte);
            rest.iter().take_while(is_inside).count()
        };
        if length == 0 {
            self.out.push(b'?');
            self.at += 1;
            self.last = Last::Other;
            self.awaits = Awaits::Nothing;
            return;
        }
        let end = self.at + 1 + length;
        self.is_in_path = false;
        self.write("?<query>", end);
    }

    /// A word, or what begins like one.
    fn word(&mut self) {
        if let Some(end) = self.address() {
            return self.write("<email>", end);
        }
        if self.is_in_path {
            return self.segment();
        }
        let start = self.at;
        let end = start + self.run_of(start, |byte| is_word(*byte));
        let next = self.byte(end);
        let first = self.text[start];
        if next == b'-'
            && end - start == 8
            && let Some(end) = self.uuid(start)
        {
            return self.write("<uuid>", end);
        }
        if first.is_ascii_digit() {
            if let Some(end) = self.moment() {
                return self.write("<timestamp>", end);
            }
            if next == b'.'
                && let Some(end) = self.ipv4()
            {
                self.write("<ip>", end);
                self.last = Last::Number;
                return;
            }
        } else if let Some(end) = self.named_moment(end) {
            return self.write("<timestamp>", end);
        }
        if matches!(next, b':' | b'-')
            && end - start <= 4
            && is_all(&self.text[start..end], u8::is_ascii_hexdigit)
        {
            if let Some(end) = self.hardware_address(next) {
                return self.write("<hex>", end);
            }
            if next == b':'
                && let Some(end) = self.ipv6(start)
            {
                return self.write("<ip>", end);
            }
        }
        let word = &self.text[start..end];
        if !has_digit(word) {
            self.plain(end);
        } else if is_all(word, u8::is_ascii_digit) {
            self.digits(end);
        } else {
            self.mixed(end);
        }
    }

    /// A segment of a path.
    fn segment(&mut self) {
        let is_part = |byte: &u8| is_word(*byte) || b".~%+=@-".contains(byte);
        let length = self.run_of(self.at, is_part);
        let mut end = self.at + length;
        while self.text[end - 1] == b'.' {
            end -= 1;
        }
        let segment = &self.text[self.at..end];
        self.awaits = Awaits::Nothing;
        if !has_digit(segment) || is_route_version(segment) {
            return self.copy_to(end);
        }
        let extension = segment.iter().rposition(|&byte| byte == b'.').map(|dot| &segment[dot..]);
        let extension = extension.filter(|extension| {
            (2..=6).contains(&extension.len()) && is_all(&extension[1..], u8::is_ascii_alphabetic)
        });
        self.out.extend_from_slice(b"<id>");
        if let Some(extension) = extension {
            self.out.extend(extension.iter().map(u8::to_ascii_lowercase));
        }
        self.at = end;
        self.last = Last::Other;
    }

    fn copy_as_is(&mut self, end: usize) {
        self.out.extend_from_slice(&self.text[self.at..end]);
        self.at = end;
        self.last = Last::Other;
        self.awaits = Awaits::Nothing;
    }
}

/// `v1`, `V2`: which routes there are.
fn is_route_version(segment: &[u8]) -> bool {
    segment.len() <= 4 && matches!(segment[0], b'v' | b'V') && is_all(&segment[1..], u8::is_ascii_digit)
}
