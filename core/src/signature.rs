//! What makes two errors the same error: the template of a text, and the signature of that.
//!
//! Promises: one text has one template, in every process and release of the same version; other ids, times, numbers, case and white space do
//! not change it; a template of a template is itself; the work is one pass over at most 8,192 bytes. Does not: understand what it reads. An id
//! that is made of letters alone stays, and so does a word of the language of the error.
//!
//! | In the text                                                             | In the template                                     |
//! |-------------------------------------------------------------------------|-----------------------------------------------------|
//! | letters                                                                 | lower case                                          |
//! | white space                                                             | one space; none at the ends                         |
//! | a UUID, also in braces or without dashes                                | `<uuid>`                                            |
//! | a date, a time of day, both; with fractions, zone, names of months      | `<timestamp>`                                       |
//! | `0x` and digits; eight or more hexadecimal digits with a digit and a letter; a MAC address | `<hex>`                          |
//! | an IPv4 or IPv6 address; an e-mail address                              | `<ip>`; `<email>`                                   |
//! | a segment of a path with a digit in it, but for a version such as `v1`  | `<id>`, and the file's extension                     |
//! | the query of a path or URL                                              | `?<query>`                                          |
//! | a word of letters and digits, such as `abc123` or `req_8fk2`            | `<id>`, with what of its kind hangs on it by hyphens |
//! | behind `id`, `job`, `container`, `commit`, `user` and their like: a whole number, seven or more hexadecimal digits | `<id>`   |
//! | behind `@`: five or more hexadecimal digits                             | `<hex>`                                             |
//! | a name with a number, such as `shard_12`                                | `shard_<n>`                                         |
//! | a number: sign, thousands, decimals, exponent; a version `1.2.3`, `v2`  | `<n>`, `v<n>`                                       |
//! | a duration or a size: `3ms`, `1m30s`, `30 seconds`, `1.5GiB`; days and a time of day | `<n>`; `<timestamp>`                   |
//! | a number and another unit glued on: `60hz`; percent                     | `<n>hz`; `<n>%`                                     |
//!
//! Codes stay as they are, since they say which error it is:
//!
//! * behind `http`, `code`, `errno`, `sqlstate`, `signal`, `exit status` and their like a number of at most five digits (eight behind `code`), a
//!   hexadecimal one of at most eight, and five characters behind `sqlstate` and `code`;
//! * behind `error`, `err`, `status`, `exit`, `exited`, at most five digits, but only at the end, before punctuation, a bracket or a quote, or before a word
//!   such as `after`, `from`, `when`; and 400 to 599, or a SQLSTATE with a letter, before whatever is not counted (`rows`, `items`, `retries`...);
//! * behind `response`, `returned`, `received`, `got`, `failed`, `occurred`, `HTTPError` and their like 400 to 599, in the same places; anywhere before `client
//!   error`, `server error` or the phrase that RFC 9110 has for it;
//! * none of these before a percent sign, a slash, `of` or a unit;
//! * a SQLSTATE behind `fatal`, `panic` and `pq`; a number of MySQL in `(1062, "`; a HRESULT of `0x8` and seven digits, but behind `at`;
//! * `HTTP404`, `ORA-00942`, `AADSTS50011` and others whose kind is known, in any case;
//! * a word of up to eight capitals and three to five digits (`PAY1001`, `AUTH-4001`) in a text that is not all in capitals, but only where codes stand: at the
//!   beginning (a time may precede it), between two colons, behind a word for a code. `E1001` likewise, in any case, and behind a colon.
//!
//! Words such as `utf8` or `sha256`, which are no ids, stay too, and versions that are names: `TLS 1.2`, `HTTP/2`, `Python 3.12`, `gpt-4o`, `llama-3-8b`.

mod reference;
mod scan;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

pub use scan::Normaliser;

/// How many bytes of a text are looked at, and the most that a template has.
pub const LONGEST_TEXT: usize = 8_192;

/// By which rules errors are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The rules above.
    Standard,
    /// Those of the reference, with its flaw: times with a `T` stay in pieces.
    Reference,
}

impl Method {
    /// The number that is kept beside a signature.
    #[must_use]
    pub fn version(self) -> i32 {
        match self {
            Self::Reference => 0,
            Self::Standard => 1,
        }
    }
}

impl FromStr for Method {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "standard" => Ok(Self::Standard),
            "reference" => Ok(Self::Reference),
            _ => Err(()),
        }
    }
}

/// The first 64 bits of the SHA-256 of a template; zero is that of no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature(u64);

impl Signature {
    /// The signature of a text by a method, made with a normaliser that is used again and again.
    pub fn of(text: &str, method: Method, normaliser: &mut Normaliser) -> Self {
        match method {
            Method::Standard => Self::of_template(normaliser.template(text)),
            Method::Reference if text.is_empty() => Self(0),
            Method::Reference => Self::digest(&reference::template(text)),
        }
    }

    /// The signature of what is a template already.
    #[must_use]
    pub fn of_template(template: &str) -> Self {
        if template.is_empty() { Self(0) } else { Self::digest(template) }
    }

    fn digest(template: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(template).into();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// The same as the server's bigint.
    #[must_use]
    pub fn key(self) -> i64 {
        self.0.cast_signed()
    }

    /// The signature that a bigint stands for.
    #[must_use]
    pub fn from_key(key: i64) -> Self {
        Self(key.cast_unsigned())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("empty_error"),
            bits => write!(f, "{bits:016x}"),
        }
    }
}

/// The template of a text.
#[must_use]
pub fn template(text: &str) -> String {
    Normaliser::default().template(text).to_owned()
}

/// The template of a text by a method.
#[must_use]
pub fn template_by(text: &str, method: Method) -> String {
    match method {
        Method::Standard => template(text),
        Method::Reference if text.is_empty() => String::new(),
        Method::Reference => reference::template(text),
    }
}

/// The signature of a text.
#[must_use]
pub fn signature(text: &str, method: Method) -> Signature {
    Signature::of(text, method, &mut Normaliser::default())
}
