//! The pass over a text that makes its template.
//!
//! The text is looked at as bytes, after white space has been made one space each, letters beyond ASCII have been folded and digits beyond ASCII have
//! become `0`. Where what was written could be read as more than it was, it is read again, until it stays: so a template's own template is itself.

use super::LONGEST_TEXT;

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

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    /// White space that is written when something follows it.
    is_apart: bool,
    /// A word has been read behind which a number is a code.
    awaits_code: bool,
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

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn has_digit(word: &[u8]) -> bool {
    word.iter().any(u8::is_ascii_digit)
}

fn is_all(word: &[u8], class: fn(&u8) -> bool) -> bool {
    !word.is_empty() && word.iter().all(class)
}

/// Compares a word of letters with small ones.
fn is_one_of(word: &[u8], known: &[&str]) -> bool {
    known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// Words behind which a number says which error it is.
fn announces_code(word: &[u8]) -> bool {
    let known: &[&str] = match word.len() {
        2 => &["rc"],
        3 => &["err", "sig"],
        4 => &["http", "code", "exit"],
        5 => &["errno", "error"],
        6 => &["status", "signal", "exited"],
        7 => &["errcode", "sqlcode", "hresult"],
        8 => &["err_code", "sqlstate", "exitcode", "winerror", "ntstatus"],
        9 => &["exit_code", "errorcode", "http_code"],
        10 => &["error_code", "statuscode", "returncode"],
        11 => &["status_code", "http_status", "return_code"],
        _ => return false,
    };
    is_one_of(word, known)
}

/// Words that may stand between such a word and its number.
fn leads_to_code(word: &[u8]) -> bool {
    matches!(word.len(), 2..=6) && is_one_of(word, &["is", "was", "of", "with", "number"])
}

/// Kinds of codes whose digits follow at once, or behind a hyphen.
fn is_kind_of_code(letters: &[u8], digits: usize) -> bool {
    match letters.len() {
        1 => (3..=5).contains(&digits) && letters[0].eq_ignore_ascii_case(&b'e'),
        2..=8 => {
            (1..=5).contains(&digits)
                && is_one_of(
                    letters,
                    &[
                        "ec", "rc", "ts", "cs", "bc", "pg", "err", "ora", "tns", "pls", "rman", "sql", "lnk",
                        "msb", "http", "code", "exit", "error", "errno", "status", "sqlcode",
                    ],
                )
        }
        _ => false,
    }
}

/// Words with digits that are names of things, not of one thing.
fn is_name(word: &[u8]) -> bool {
    let known: &[&str] = match word.len() {
        2 => &["s3", "h2", "k8"],
        3 => &[
            "ec2", "md5", "i18", "x86", "x64", "tls", "k8s", "db2", "io2", "mp3", "mp4", "ie9", "int", "i32",
            "i64", "u32", "u64", "f32", "f64",
        ],
        4 => {
            &["utf8", "sha1", "ipv4", "ipv6", "i18n", "l10n", "int2", "int4", "int8", "b2b_", "gpt4", "web3"]
        }
        5 => &["utf16", "utf32", "int16", "int32", "int64", "http1", "http2", "http3", "x86_64"],
        6 => &[
            "sha256", "sha384", "sha512", "base32", "base64", "oauth2", "x86_64", "win32", "float4",
            "float8", "uint32", "uint64", "latin1",
        ],
        7 => &["float32", "float64"],
        _ => return false,
    };
    is_one_of(word, known)
}

/// Units that are written behind a number without a space.
fn is_unit(word: &[u8]) -> bool {
    word.len() <= 8
        && (is_duration(word)
            || is_one_of(
                word,
                &[
                    "b", "k", "g", "t", "kb", "mb", "gb", "tb", "pb", "kib", "mib", "gib", "tib", "bytes",
                    "x", "px", "hz", "khz", "mhz", "ghz", "st", "nd", "rd", "th", "bps", "kbps", "mbps",
                    "gbps", "rps", "qps", "usd", "eur", "cents", "c", "f", "w", "v",
                ],
            ))
}

fn is_duration(word: &[u8]) -> bool {
    word.len() <= 7
        && is_one_of(
            word,
            &[
                "s", "m", "h", "d", "w", "y", "ms", "us", "ns", "sec", "secs", "min", "mins", "hr", "hrs",
                "day", "days", "hour", "hours", "second", "seconds", "minute", "minutes",
            ],
        )
}

const MONTHS: [&str; 24] = [
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const DAYS: [&str; 14] = [
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

impl<'a> Scan<'a> {
    fn new(text: &'a [u8], out: &'a mut Vec<u8>) -> Self {
        Self {
            text,
            at: 0,
            out,
            is_apart: false,
            awaits_code: false,
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
        self.awaits_code = false;
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
                self.awaits_code = false;
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
            b'-' | b'+' if next.is_ascii_digit() && !self.is_in_path && !self.awaits_code => {
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
        if !b":=#([\"'-".contains(&byte) {
            self.awaits_code = false;
        }
        self.out.push(byte);
        self.at += 1;
        self.last = if byte == b'-' && last == Last::Id { Last::Id } else { Last::Other };
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
            self.awaits_code = false;
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
        self.awaits_code = false;
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

    /// A word without digits.
    fn plain(&mut self, end: usize) {
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
    fn goes_on(&self, at: usize) -> bool {
        matches!(self.byte(at), b'.' | b',' | b'-') && self.byte(at + 1).is_ascii_digit()
    }

    fn is_code_in_capitals(&self, letters: &[u8], digits: usize) -> bool {
        self.has_small_letters
            && (3..=5).contains(&digits)
            && letters.len() <= 8
            && is_all(letters, u8::is_ascii_uppercase)
    }

    fn copy_as_is(&mut self, end: usize) {
        self.out.extend_from_slice(&self.text[self.at..end]);
        self.at = end;
        self.last = Last::Other;
        self.awaits_code = false;
    }

    /// A word of digits.
    fn digits(&mut self, end: usize) {
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
    fn mixed(&mut self, end: usize) {
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
    fn is_behind_state(&self) -> bool {
        let written = self.out.trim_ascii_end();
        let word_end = written.iter().rposition(u8::is_ascii_alphabetic).map_or(0, |at| at + 1);
        written[..word_end].ends_with(b"sqlstate") || written[..word_end].ends_with(b"code")
    }

    /// A word of parts that are letters or digits each; or one whose end begins a UUID.
    fn parts(&mut self, end: usize) -> bool {
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

    /// A number with all that belongs to it, if it ends where a word does.
    fn number(&mut self) -> bool {
        let Some(mut at) = self.number_end(self.at) else { return false };
        if self.ends(at) {
            self.write_number(at);
            return true;
        }
        // Units, and durations of more than one.
        loop {
            let unit = self.run_of(at, u8::is_ascii_alphabetic);
            let name = &self.text[at..at + unit];
            let end = at + unit;
            if unit == 0 || !is_unit(name) {
                return false;
            }
            if self.ends(end) {
                let (start, number) = (self.at, at);
                self.write_number(number);
                debug_assert!(start < end);
                self.copy_to(end);
                self.awaits_code = false;
                return true;
            }
            if !is_duration(name) {
                return false;
            }
            let Some(next) = self.number_end(end) else { return false };
            at = next;
        }
    }

    /// The end of digits with thousands, points and an exponent.
    fn number_end(&self, start: usize) -> Option<usize> {
        let digits = self.run_of(start, u8::is_ascii_digit);
        if digits == 0 {
            return None;
        }
        let mut at = start + digits;
        if digits <= 3 {
            while self.byte(at) == b',' && self.run_of(at + 1, u8::is_ascii_digit) == 3 {
                at += 4;
            }
        }
        while self.byte(at) == b'.' && self.byte(at + 1).is_ascii_digit() {
            at += 1 + self.run_of(at + 1, u8::is_ascii_digit);
        }
        if matches!(self.byte(at), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(at + 1), b'-' | b'+'));
            let exponent = self.run_of(at + 1 + sign, u8::is_ascii_digit);
            if exponent > 0 && self.ends(at + 1 + sign + exponent) {
                at += 1 + sign + exponent;
            }
        }
        Some(at)
    }

    /// The end of a UUID with dashes.
    fn uuid(&self, start: usize) -> Option<usize> {
        let text = self.text.get(start..start + 36)?;
        let is_one = text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
        (is_one && self.ends(start + 36)).then_some(start + 36)
    }

    /// The end of an e-mail address that begins here.
    fn address(&mut self) -> Option<usize> {
        if self.at < self.no_address_before {
            return None;
        }
        let is_part = |byte: &u8| is_word(*byte) || b".%+-".contains(byte);
        let at = self.at + self.run_of(self.at, is_part);
        self.no_address_before = at;
        if self.byte(at) != b'@' {
            return None;
        }
        let mut end = at
            + 1
            + self.run_of(at + 1, |byte| byte.is_ascii_alphanumeric() || *byte == b'.' || *byte == b'-');
        while matches!(self.byte(end - 1), b'.' | b'-') {
            end -= 1;
        }
        let host = self.text.get(at + 1..end)?;
        let dot = host.iter().rposition(|&byte| byte == b'.')?;
        (dot > 0 && is_all(&host[dot + 1..], u8::is_ascii_alphabetic) && self.ends(end)).then_some(end)
    }

    fn ipv4(&self) -> Option<usize> {
        let mut at = self.at;
        for nth in 0..4 {
            if nth > 0 {
                if self.byte(at) != b'.' {
                    return None;
                }
                at += 1;
            }
            self.two_or_three(at).map(|end| at = end)?;
        }
        (self.ends(at) && !(self.byte(at) == b'.' && self.byte(at + 1).is_ascii_digit())).then_some(at)
    }

    /// The end of a number up to 255.
    fn two_or_three(&self, at: usize) -> Option<usize> {
        let length = self.run_of(at, u8::is_ascii_digit);
        let value = self.text[at..at + length.min(3)]
            .iter()
            .fold(0_u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        ((1..=3).contains(&length) && value <= 255).then_some(at + length)
    }

    fn ipv6(&self, start: usize) -> Option<usize> {
        // No address is longer, and what is longer is not looked at again and again.
        let rest = &self.text[start..self.text.len().min(start + 46)];
        let length = rest.iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b':').count();
        if length > 45 {
            return None;
        }
        let mut end = start + length;
        // A colon behind it is the sentence's.
        if length > 2 && self.byte(end - 1) == b':' && self.byte(end - 2) != b':' {
            end -= 1;
        }
        let text = &self.text[start..end];
        let colons = text.iter().filter(|&&byte| byte == b':').count();
        let is_short = text.windows(2).filter(|pair| pair == b"::").count() == 1;
        let groups_fit = text.split(|&byte| byte == b':').all(|group| group.len() <= 4);
        ((is_short && (2..=7).contains(&colons) || colons == 7)
            && groups_fit
            && has_digit(text)
            && self.ends(end))
        .then_some(end)
    }

    fn hardware_address(&self, separator: u8) -> Option<usize> {
        let text = self.text.get(self.at..self.at + 17)?;
        let is_one = text.iter().enumerate().all(|(at, byte)| match at % 3 {
            2 => *byte == separator,
            _ => byte.is_ascii_hexdigit(),
        });
        let end = self.at + 17;
        (is_one && self.ends(end) && self.byte(end) != separator).then_some(end)
    }

    /// A number of so many digits, and not more, up to a value.
    fn figure(&self, at: usize, length: std::ops::RangeInclusive<usize>, most: u32) -> Option<usize> {
        let digits = self.run_of(at, u8::is_ascii_digit);
        let value =
            || self.text[at..at + digits].iter().fold(0_u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        (length.contains(&digits) && value() <= most).then_some(at + digits)
    }

    fn expect(&self, at: usize, bytes: &[u8]) -> Option<usize> {
        bytes.contains(&self.byte(at)).then_some(at + 1)
    }

    /// The end of a moment that begins with digits.
    fn moment(&self) -> Option<usize> {
        let start = self.at;
        match self.run_of(start, u8::is_ascii_digit) {
            4 => {
                let separator = self.byte(start + 4);
                let month = self.figure(self.expect(start + 4, b"-/.")?, 2..=2, 12)?;
                let date = self.figure(self.expect(month, &[separator])?, 2..=2, 31)?;
                self.date_end(date, b"Tt _")
            }
            8 => {
                let time = self.expect(start + 8, b"Tt")?;
                let digits = self.run_of(time, u8::is_ascii_digit);
                let end = time + digits;
                let end = if matches!(self.byte(end), b'z' | b'Z') { end + 1 } else { end };
                (matches!(digits, 4 | 6) && self.ends(end)).then_some(end)
            }
            1 | 2 => self.time(start).or_else(|| self.date_from_day(start)),
            _ => None,
        }
    }

    /// Where a date ends, a time may follow.
    fn date_end(&self, date: usize, separators: &[u8]) -> Option<usize> {
        let time = self.expect(date, separators).and_then(|at| self.time(at));
        time.or_else(|| self.ends(date).then_some(date))
    }

    /// The end of a time of day with all that belongs to it.
    fn time(&self, start: usize) -> Option<usize> {
        if start == self.at && matches!(self.before(), b':' | b'.') {
            return None;
        }
        let hour = self.figure(start, 1..=2, 24)?;
        let mut end = self.figure(self.expect(hour, b":")?, 2..=2, 59)?;
        if let Some(second) = self.expect(end, b":").and_then(|at| self.figure(at, 2..=2, 60)) {
            end = second;
            if let Some(fraction) = self.expect(end, b".,").filter(|&at| self.byte(at).is_ascii_digit()) {
                end = fraction + self.run_of(fraction, u8::is_ascii_digit);
            }
        }
        let gap = usize::from(self.byte(end) == b' ' && end < self.text.len());
        if matches!(self.byte(end + gap), b'a' | b'A' | b'p' | b'P')
            && matches!(self.byte(end + gap + 1), b'm' | b'M')
            && self.ends(end + gap + 2)
        {
            end += gap + 2;
        }
        let end = self.zone(end);
        (self.ends(end) && !(self.byte(end) == b':' && self.byte(end + 1).is_ascii_digit())).then_some(end)
    }

    fn zone(&self, end: usize) -> usize {
        if matches!(self.byte(end), b'z' | b'Z') && self.ends(end + 1) {
            return end + 1;
        }
        let at = end + usize::from(self.byte(end) == b' ' && end < self.text.len());
        let name = self.text.get(at..at + 3).unwrap_or_default();
        if is_one_of(name, &["utc", "gmt"]) && self.ends(at + 3) {
            return at + 3;
        }
        if let Some(hours) = self.expect(at, b"+-").and_then(|at| self.digits_at(at, 2)) {
            let minutes = self.digits_at(self.expect(hours, b":").unwrap_or(hours), 2);
            if let Some(zone) = minutes.filter(|&zone| self.ends(zone)) {
                return zone;
            }
        }
        end
    }

    /// The end of so many digits, whatever follows.
    fn digits_at(&self, at: usize, length: usize) -> Option<usize> {
        let digits = self.text.get(at..at + length)?;
        is_all(digits, u8::is_ascii_digit).then_some(at + length)
    }

    /// 02/01/2025, 2.1.2025, 02-Jan-2025, 2 Jan 2025, with a time.
    fn date_from_day(&self, start: usize) -> Option<usize> {
        let day = self.figure(start, 1..=2, 31)?;
        let separator = self.byte(day);
        let month_at = self.expect(day, b"/.- ")?;
        let letters = self.run_of(month_at, u8::is_ascii_alphabetic);
        let month = if letters > 0 {
            is_one_of(&self.text[month_at..month_at + letters], &MONTHS).then_some(month_at + letters)?
        } else if separator == b' ' {
            return None;
        } else {
            self.figure(month_at, 1..=2, 31)?
        };
        let year = self.figure(self.expect(month, &[separator])?, 4..=4, 2999)?;
        let time = self.expect(year, b":").and_then(|at| self.time(at));
        time.or_else(|| self.date_end(year, b" ,T"))
    }

    /// A moment that begins with the name of a day or a month.
    fn named_moment(&self, end: usize) -> Option<usize> {
        let word = &self.text[self.at..end];
        if !(3..=9).contains(&word.len()) {
            return None;
        }
        if is_one_of(word, &DAYS) {
            let at = self.expect(end, b",").unwrap_or(end);
            let at = self.spaces(at)?;
            return self.date_from_day(at).or_else(|| {
                let letters = self.run_of(at, u8::is_ascii_alphabetic);
                self.month_first(at, at + letters)
            });
        }
        self.month_first(self.at, end)
    }

    /// Jan 2 03:04:05, Jan 2 03:04:05 2025, Jan 2, 2025 with a time.
    fn month_first(&self, start: usize, end: usize) -> Option<usize> {
        if !is_one_of(&self.text[start..end], &MONTHS) {
            return None;
        }
        let day = self.figure(self.spaces(end)?, 1..=2, 31)?;
        let at = self.spaces(self.expect(day, b",").unwrap_or(day))?;
        if let Some(time) = self.time(at) {
            let year =
                self.spaces(time).and_then(|at| self.figure(at, 4..=4, 2999)).filter(|&end| self.ends(end));
            return Some(year.unwrap_or(time));
        }
        let year = self.figure(at, 4..=4, 2999)?;
        self.date_end(year, b" ,")
    }

    /// One space, or two where days are aligned.
    fn spaces(&self, at: usize) -> Option<usize> {
        let spaces = self.run_of(at, |byte| *byte == b' ');
        (1..=2).contains(&spaces).then_some(at + spaces)
    }
}

/// `v1`, `V2`: which routes there are.
fn is_route_version(segment: &[u8]) -> bool {
    segment.len() <= 4 && matches!(segment[0], b'v' | b'V') && is_all(&segment[1..], u8::is_ascii_digit)
}
