//! Error texts that may be stored, logged and shown.
//!
//! Promises: bounded length, one line, no secret that was named, no user or password of a URL, no query string, no
//! credential after `Bearer` or `Basic`. Masks too much rather than too little: whatever looks like the start of a URL is
//! masked up to the last `@` of its word. Does not: recognise a secret that looks like any other word and was not named.

/// Characters of a response body that are kept. Alertmanager names the bad alert in its first line; more would be a
/// proxy's HTML page.
pub const MAX_BODY_CHARS: usize = 200;

/// Characters of any other error text that are kept.
pub const MAX_ERROR_CHARS: usize = 500;

const MASK: &str = "***";

/// What is recorded of an answer that was not a success.
pub fn error_text(status: u16, body: &str, secrets: &[&str]) -> String {
    // Masked first, shortened then: half a password is no longer recognised as one.
    let body: String = masked(body, secrets).chars().take(MAX_BODY_CHARS).collect();
    format!("HTTP {status}: {}", body.trim())
}

/// What is recorded of an error that brought no answer. `secrets` are the credentials in use, in every spelling in which
/// they are sent.
pub fn scrub(text: &str, secrets: &[&str]) -> String {
    masked(text, secrets).chars().take(MAX_ERROR_CHARS).collect()
}

fn masked(text: &str, secrets: &[&str]) -> String {
    let mut text = one_line(text);
    let mut secrets: Vec<String> = secrets.iter().map(|secret| one_line(secret.trim())).collect();
    // The longest first: a secret that contains another one must not survive as what is left around it.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), MASK);
    }
    let mut out = String::with_capacity(text.len());
    let mut is_credential_next = false;
    for word in text.split_inclusive(' ') {
        let (word, blank) = word.strip_suffix(' ').map_or((word, ""), |word| (word, " "));
        if is_credential_next && !word.is_empty() {
            out.push_str(MASK);
        } else {
            mask_word(word, &mut out);
        }
        out.push_str(blank);
        is_credential_next = names_credential(word) || is_credential_next && word.is_empty();
    }
    out
}

/// Control characters would break a log line, and a NUL cannot be stored; other blanks become plain ones so that words
/// end where a reader sees them end.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect()
}

/// Ends in one of the authentication schemes that carry a credential as the next word.
fn names_credential(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.ends_with("bearer") || word.ends_with("basic")
}

fn mask_word(word: &str, out: &mut String) {
    let mut rest = word;
    let is_url = if let Some((head, tail)) = word.split_once("//") {
        out.push_str(head);
        out.push_str("//");
        rest = tail;
        if let Some((_, tail)) = tail.rsplit_once('@') {
            out.push_str(MASK);
            out.push('@');
            rest = tail;
        }
        true
    } else {
        false
    };
    let query = rest.find(['?', '#']).and_then(|at| rest.split_at_checked(at));
    match query {
        Some((path, query)) if is_url || query.contains('=') => {
            out.push_str(path);
            // The punctuation of the sentence around the URL stays.
            let end = query.trim_end_matches(['"', '\'', ')', '>', ',', ':', ';', '.']);
            let (query, punctuation) = query.split_at_checked(end.len()).unwrap_or((query, ""));
            if query.len() > 1 {
                out.push('?');
                out.push_str(MASK);
            }
            out.push_str(punctuation);
        }
        _ => out.push_str(rest),
    }
}
