//! The file of secrets that requests to an Alertmanager carry.
//!
//! ```text
//!   # one authorization, any number of other headers
//!   basic USER:PASSWORD
//!   bearer TOKEN
//!   header X-Scope-OrgID: tenant-a
//! ```
//!
//! Promises: what is read here is sent as it stands, in headers that cannot change what the request is or where it goes, and
//! every spelling in which a secret is sent is known, so that it can be masked where it comes back. No error repeats a
//! part of the file. Does not: open the file, or judge who may read it.

use std::cmp::Reverse;
use std::fmt;

use super::error_text::scrub;

/// Headers that say what the request is, or belong to the connection: the client's own.
const NOT_OURS: [&str; 16] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The value of a header that is shorter hides nothing, and would be masked in half of all words.
const SHORTEST_SECRET: usize = 4;

/// Why a text is no file of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It begins with none of the words that a line may begin with.
    Keyword,
    /// Nothing follows the word.
    Blank,
    /// A control character.
    Control,
    /// A token or header with a character that no header can carry as it stands.
    NotAscii,
    /// A token of several words.
    TokenWords,
    /// A user without a password behind a colon.
    NoColon,
    /// The name of the header is none.
    HeaderName,
    /// The header has no value, or there is no colon.
    HeaderValue,
    /// The header is the client's own.
    NotOurs,
    /// There is an authorization already.
    SecondAuthorization,
    /// The header is there already.
    SecondHeader,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyword => "a line begins with basic, bearer, header or #",
            Self::Blank => "nothing follows the first word",
            Self::Control => "control characters are not allowed",
            Self::NotAscii => "only ASCII characters are allowed here",
            Self::TokenWords => "a token has no blanks",
            Self::NoColon => "basic is followed by USER:PASSWORD",
            Self::HeaderName => "header is followed by NAME: VALUE, and this is not the name of a header",
            Self::HeaderValue => "header is followed by NAME: VALUE, and this has no value",
            Self::NotOurs => "this header is set by the client itself",
            Self::SecondAuthorization => "there is an authorization already",
            Self::SecondHeader => "this header is there already",
        })
    }
}

/// The first thing wrong with a file of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadCredentials {
    /// A line that cannot be used.
    Line {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// There are only comments, or nothing: more likely a file that is just being written than one that is meant so.
    Empty,
}

impl fmt::Display for BadCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { number, fault } => write!(f, "line {number}: {fault}"),
            Self::Empty => f.write_str("it holds no credentials"),
        }
    }
}

impl std::error::Error for BadCredentials {}

/// What is sent with every request, and what of it must not be seen.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    headers: Vec<(String, String)>,
    secrets: Vec<String>,
}

/// Whoever prints it learns how much there is.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} headers)", self.headers.len())
    }
}

impl Credentials {
    /// Reads the text of a file. Blanks around a line, and around the value in it, are dropped.
    pub fn parse(text: &str) -> Result<Self, BadCredentials> {
        let mut read = Self::default();
        for (line, number) in text.split('\n').zip(1..) {
            read.line(line.strip_suffix('\r').unwrap_or(line))
                .map_err(|fault| BadCredentials::Line { number, fault })?;
        }
        if read.headers.is_empty() { Err(BadCredentials::Empty) } else { Ok(read) }
    }

    /// Names, in lower case, and values of the headers to send.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every secret, in every spelling in which it is sent: a password by itself and encoded with its user.
    pub fn secrets(&self) -> Vec<&str> {
        self.secrets.iter().map(String::as_str).collect()
    }

    /// What may be stored of a text from elsewhere. One that `is_cut`, which broke off before its end, may end in the
    /// beginning of a secret, which is then cut as well.
    pub fn scrub(&self, text: &str, is_cut: bool) -> String {
        let mut secrets = self.secrets();
        if !is_cut {
            return scrub(text, &secrets);
        }
        // Whole ones go first, the longest before what it may contain: else the cut would leave a part of one.
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        let mut text = text.to_owned();
        for secret in &secrets {
            text = text.replace(secret, "***");
        }
        let begun = secrets.iter().map(|secret| begun_at_the_end(&text, secret)).max().unwrap_or(0);
        text.truncate(text.len() - begun);
        scrub(&text, &secrets)
    }

    fn line(&mut self, line: &str) -> Result<(), Fault> {
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains(|c: char| c.is_control() && c != '\t') {
            return Err(Fault::Control);
        }
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let rest = rest.trim_matches([' ', '\t']);
        let read = match word.to_ascii_lowercase().as_str() {
            "basic" => Self::basic,
            "bearer" => Self::bearer,
            "header" => Self::header,
            _ => return Err(Fault::Keyword),
        };
        if rest.is_empty() {
            return Err(Fault::Blank);
        }
        if rest.contains('\t') {
            return Err(Fault::Control);
        }
        read(self, rest)
    }

    fn basic(&mut self, pair: &str) -> Result<(), Fault> {
        let (user, password) = pair.split_once(':').ok_or(Fault::NoColon)?;
        // Some services take a key as the user, and no password.
        let secret = if password.is_empty() { user } else { password };
        if secret.is_empty() {
            return Err(Fault::Blank);
        }
        let encoded = base64(pair.as_bytes());
        self.secrets.extend([secret.to_owned(), encoded.trim_end_matches('=').to_owned()]);
        self.authorization(format!("Basic {encoded}"))
    }

    fn bearer(&mut self, token: &str) -> Result<(), Fault> {
        if !token.is_ascii() {
            return Err(Fault::NotAscii);
        }
        if token.contains(' ') {
            return Err(Fault::TokenWords);
        }
        self.secrets.push(token.to_owned());
        self.authorization(format!("Bearer {token}"))
    }

    fn header(&mut self, pair: &str) -> Result<(), Fault> {
        let (name, value) = pair.split_once(':').ok_or(Fault::HeaderValue)?;
        let value = value.trim_matches(' ');
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(Fault::HeaderName);
        }
        if value.is_empty() {
            return Err(Fault::HeaderValue);
        }
        if !value.is_ascii() {
            return Err(Fault::NotAscii);
        }
        let name = name.to_ascii_lowercase();
        if NOT_OURS.contains(&name.as_str()) {
            return Err(Fault::NotOurs);
        }
        if value.len() >= SHORTEST_SECRET {
            self.secrets.push(value.to_owned());
        }
        if name == "authorization" {
            // The word before is the scheme, which everybody may know.
            self.secrets.extend(value.split_once(' ').map(|(_, secret)| secret.trim().to_owned()));
            return self.authorization(value.to_owned());
        }
        if self.headers.iter().any(|(known, _)| *known == name) {
            return Err(Fault::SecondHeader);
        }
        self.headers.push((name, value.to_owned()));
        Ok(())
    }

    fn authorization(&mut self, value: String) -> Result<(), Fault> {
        if self.headers.iter().any(|(name, _)| name == "authorization") {
            return Err(Fault::SecondAuthorization);
        }
        self.headers.push(("authorization".into(), value));
        Ok(())
    }
}

/// The characters of a token, which is what the name of a header is (RFC 9110, 5.6.2).
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// How many bytes at the end of a text are the beginning of a secret, though not all of it.
fn begun_at_the_end(text: &str, secret: &str) -> usize {
    let is_begun = |length: &usize| secret.get(..*length).is_some_and(|start| text.ends_with(start));
    (1..secret.len()).rev().find(is_begun).unwrap_or(0)
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= group.len() {
                let index = (bits >> (18 - 6 * digit)) & 63;
                out.push(char::from(DIGITS[index as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}
