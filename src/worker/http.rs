//! One HTTP request at a time, on the one thread a server process may have.
//!
//! The request lives in a current-thread runtime that makes progress only while [`Client::wait`] runs, a slice of time after
//! the other, so that the caller looks after its interrupts in between. Nothing here starts a thread: names are resolved by
//! an asynchronous resolver, not by the C library. Redirects are not followed, no proxy of the environment is used, and of an
//! answer no more is read than [`LONGEST_ANSWER`].

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// The most bytes read of an answer: Alertmanager's are a line or two, and an endless one must not fill the memory.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A connection that is not there after this long is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    /// The server answered.
    Status {
        /// The HTTP status code.
        code: u16,
        /// The beginning of the body.
        body: String,
        /// What the server asked for by Retry-After, in seconds.
        retry_after: Option<u64>,
    },
    /// Nothing came back: no connection, no name, no answer in time.
    Failed(String),
}

/// A client with its connections.
pub struct Client {
    runtime: Runtime,
    http: reqwest::Client,
}

/// A request on its way. Dropping it gives it up.
pub struct InFlight(JoinHandle<Answer>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// A client without a connection.
    pub fn new() -> Result<Self, String> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .hickory_dns(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(1)
            .user_agent(concat!("costsim_pg/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { runtime, http })
    }

    /// Sends a JSON body; the answer is fetched by [`Client::wait`].
    pub fn post(&self, url: &str, body: Vec<u8>, timeout: Duration) -> InFlight {
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(timeout)
            .body(body);
        InFlight(self.runtime.spawn(async move {
            match request.send().await {
                Ok(response) => read(response).await,
                Err(error) => Answer::Failed(explain(&error)),
            }
        }))
    }

    /// Lets the request go on for at most `slice`: its answer, or `None` when it is not there yet.
    pub fn wait(&self, request: &mut InFlight, slice: Duration) -> Option<Answer> {
        self.runtime.block_on(async {
            match tokio::time::timeout(slice, &mut request.0).await {
                Ok(Ok(answer)) => Some(answer),
                Ok(Err(error)) => Some(Answer::Failed(format!("request ended early: {error}"))),
                Err(_) => None,
            }
        })
    }
}

async fn read(mut response: reqwest::Response) -> Answer {
    let code = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    let mut body = Vec::new();
    while body.len() < LONGEST_ANSWER {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(LONGEST_ANSWER - body.len())]),
            Ok(None) => break,
            // The status is the answer; a body that breaks off takes nothing from it.
            Err(_) => break,
        }
    }
    Answer::Status { code, body: String::from_utf8_lossy(&body).into_owned(), retry_after }
}

/// The innermost cause says what happened ("connection refused"); the outer ones repeat the address, which stays out.
fn explain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "Timeout: no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.source().is_none() && std::ptr::addr_eq(cause, error) {
        return "request could not be sent".into();
    }
    cause.to_string()
}
