//! Where alerts are posted to.
//!
//! One tool's documentation shows the base URL, another's the full path, and a setting that doubles the path answers
//! 404 for ever. So both spellings are taken and yield the same endpoint. No error here repeats the URL: it may hold the
//! very password it is refused for.

use std::fmt;

use url::Url;

const ALERTS: &str = "/api/v2/alerts";

/// Why a text is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadEndpoint {
    /// There is nothing between two commas.
    Blank,
    /// It does not begin with `http://` or `https://`.
    Scheme,
    /// It is not a URL.
    NotAUrl,
    /// It carries a user or a password.
    Credentials,
    /// It carries a query or a fragment.
    Query,
    /// It points at the API that newer Alertmanagers have removed.
    OldApi,
}

impl fmt::Display for BadEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "the URL is empty",
            Self::Scheme => "the URL must begin with http:// or https://",
            Self::NotAUrl => "this is not a valid URL",
            Self::Credentials => "the URL must not carry a user or a password",
            Self::Query => "the URL must not carry a query or a fragment",
            Self::OldApi => "the URL names API v1, but alerts are sent by API v2",
        })
    }
}

impl std::error::Error for BadEndpoint {}

/// The first text of a list that is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadEndpoints {
    /// Its place in the list, from 1.
    pub position: usize,
    /// What is wrong with it.
    pub why: BadEndpoint,
}

impl fmt::Display for BadEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alertmanager URL number {}: {}", self.position, self.why)
    }
}

impl std::error::Error for BadEndpoints {}

/// The full endpoint for a base URL (`http://host:9093`, perhaps with a path prefix) or for the endpoint itself.
pub fn endpoint(base: &str) -> Result<String, BadEndpoint> {
    let base = base.trim();
    if base.is_empty() {
        return Err(BadEndpoint::Blank);
    }
    let has_scheme =
        |scheme: &str| base.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if !has_scheme("http://") && !has_scheme("https://") {
        return Err(BadEndpoint::Scheme);
    }
    // The parser would drop tabs and line ends without a word, and take a backslash for a slash.
    if base.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(BadEndpoint::NotAUrl);
    }
    let mut url = Url::parse(base).map_err(|_| BadEndpoint::NotAUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadEndpoint::Credentials);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(BadEndpoint::Query);
    }
    let path = url.path().trim_end_matches('/');
    if path.ends_with("/api/v1") || path.ends_with("/api/v1/alerts") {
        return Err(BadEndpoint::OldApi);
    }
    let prefix = path.strip_suffix(ALERTS).or_else(|| path.strip_suffix("/api/v2")).unwrap_or(path);
    let path = format!("{prefix}{ALERTS}");
    url.set_path(&path);
    Ok(url.into())
}

/// The endpoints of a comma-separated list, each once, in order. A blank list is no endpoint at all.
pub fn endpoints(list: &str) -> Result<Vec<String>, BadEndpoints> {
    let mut found = Vec::new();
    if list.trim().is_empty() {
        return Ok(found);
    }
    for (base, position) in list.split(',').zip(1..) {
        let endpoint = endpoint(base).map_err(|why| BadEndpoints { position, why })?;
        if !found.contains(&endpoint) {
            found.push(endpoint);
        }
    }
    Ok(found)
}
