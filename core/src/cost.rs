//! What may be written into a record of cost: money, tokens, texts, moments, and the form of a feature tag.
//!
//! Money is checked as the decimal text it is, never as a binary number. A moment is RFC 3339 with its offset from UTC, so that it means the
//! same whoever reads it.

use chrono::{DateTime, Datelike, Utc};

/// The most bytes of an identifier.
pub const LONGEST_TEXT: usize = 512;

/// The most tokens of one kind in one request.
pub const MOST_TOKENS: i64 = 1_000_000_000;

/// The first year that a record may be of: there was nothing to be paid for before, and room is left for every zone.
const FIRST_YEAR: i32 = 2000;

/// The digits before the point of the largest cost: a hundred billion dollars.
const MOST_DIGITS: usize = 13;

/// The widest offset from UTC that the server reads.
const WIDEST_OFFSET: i32 = 16 * 3_600;

/// Why a text cannot be an identifier.
#[must_use]
pub fn text_fault(text: &[u8]) -> Option<String> {
    match text.len() {
        0 => Some("must not be empty".into()),
        length if length > LONGEST_TEXT => Some(format!("has {length} bytes, more than {LONGEST_TEXT}")),
        _ => None,
    }
}

/// Why a decimal number, as the server prints it, cannot be a cost in cents.
#[must_use]
pub fn cost_fault(cents: &str) -> Option<String> {
    if cents == "NaN" || cents.ends_with("Infinity") {
        return Some(format!("must be finite, not {cents}"));
    }
    if cents.starts_with('-') {
        return Some("must not be negative".into());
    }
    let whole = cents.split('.').next().unwrap_or_default();
    (whole.len() > MOST_DIGITS).then(|| "must be less than 10,000,000,000,000 cents".into())
}

/// Why a number cannot be one of tokens.
#[must_use]
pub fn tokens_fault(tokens: i64) -> Option<String> {
    (!(0..=MOST_TOKENS).contains(&tokens)).then(|| format!("must be between 0 and {MOST_TOKENS}"))
}

/// Why a text, which must be RFC 3339 to the letter, cannot be when a request was made.
#[must_use]
pub fn moment_fault(text: &str, now: DateTime<Utc>) -> Option<String> {
    // The library reads more than that: a space for the T, and the minus sign of typographers, which the server does not.
    let is_exact = text.is_ascii() && matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    match DateTime::parse_from_rfc3339(text) {
        Ok(at) if is_exact && at.offset().local_minus_utc().abs() < WIDEST_OFFSET => {
            time_fault(at.to_utc(), now)
        }
        Ok(at) if is_exact => {
            Some(format!("must be a time that the server knows, not one at {}", at.offset()))
        }
        _ => Some("must be a time as RFC 3339 writes it, such as 2025-03-01T12:34:56.789Z".into()),
    }
}

/// Why a moment cannot be when a request was made: it may be a day ahead, for clocks differ.
#[must_use]
pub fn time_fault(at: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
    if at.year() < FIRST_YEAR {
        return Some(format!("must not be before the year {FIRST_YEAR}"));
    }
    ((at - now).num_milliseconds() > 86_400_000).then(|| "must not be more than a day ahead".into())
}

/// Whether a text has the form of a feature tag: namespace.action, of letters, digits, underscores and hyphens.
#[must_use]
pub fn is_feature_tag(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    text.len() <= LONGEST_TEXT && text.contains('.') && text.split('.').all(is_word)
}
