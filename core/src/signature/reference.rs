//! The reference's normalisation, byte for byte: Python's `lower`, `strip` and `re` over text.
//!
//! Its `\d` is any decimal digit of Unicode, its `\b` lies between what is a letter, a number or `_` and what is not. Where the two libraries know
//! different versions of Unicode, characters that only the newer one knows may differ.

use std::sync::LazyLock;

use regex::Regex;

/// A pattern of ours; one that could not be read would match nothing, and the vectors would say so.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static UUID: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
static TIME: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"\p{Nd}{4}-\p{Nd}{2}-\p{Nd}{2}[T ]\p{Nd}{2}:\p{Nd}{2}:\p{Nd}{2}"));
/// Whole words, so that what is digits alone stands alone.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"[\p{L}\p{N}_]+"));
static DIGITS: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^\p{Nd}+$"));

fn replaced(pattern: Option<&Regex>, text: String, by: &str) -> String {
    pattern.map(|pattern| pattern.replace_all(&text, by).into_owned()).unwrap_or(text)
}

/// What `str.isspace` says: besides white space the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub fn template(text: &str) -> String {
    let text = text.to_lowercase().trim_matches(is_space).to_owned();
    let text = replaced(UUID.as_ref(), text, "<uuid>");
    let text = replaced(TIME.as_ref(), text, "<timestamp>");
    let (Some(word), Some(digits)) = (WORD.as_ref(), DIGITS.as_ref()) else { return text };
    let number = |found: &regex::Captures<'_>| {
        if digits.is_match(&found[0]) { "<n>".to_owned() } else { found[0].to_owned() }
    };
    word.replace_all(&text, number).into_owned()
}
