//! The correct client of Alertmanager's API v2, without the network.
//!
//! Promises: what passes here is accepted by Alertmanager (label names, at least one label, time order, URL shape), an
//! alert has the fingerprint that Alertmanager itself computes, every HTTP status has one meaning, and no error text
//! carries a credential. Does not: send anything, store anything, or group, silence and route alerts.
//!
//! ```text
//!   row --> payload --> POST endpoint --> status --> verdict --> settle --> sent
//!                          ^                                        |-----> dead
//!                          +------------- retry after backoff <-----+
//! ```

mod alert;
mod credentials;
mod delivery;
mod endpoint;
mod error_text;
mod health;
mod label;
mod payload;
mod seats;

pub use alert::{Alert, ENDS_AT_INTERVALS, Liveness, RESOLVED_RESEND_FOR, ends_at, next_send};
pub use credentials::{BadCredentials, Credentials, Fault};
pub use delivery::{
    Death, LONGEST_ASKED_PAUSE, RetryPolicy, Settlement, Verdict, settle, verdict, with_asked_pause,
};
pub use endpoint::{BadEndpoint, BadEndpoints, endpoint, endpoints};
pub use error_text::{MAX_BODY_CHARS, MAX_ERROR_CHARS, error_text, scrub};
pub use health::Health;
pub use label::{Annotations, BadLabels, Fingerprint, LabelSet};
pub use payload::{BadAlert, BadPayload, MAX_ALERTS_PER_POST, is_generator_url, validate_payload};
pub use seats::{LINES, seats};

/// What a JSON value is, for error messages.
fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "an array",
        serde_json::Value::Object(_) => "an object",
    }
}
