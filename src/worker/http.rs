//! HTTP requests, at most one per target, on the one thread a server process may have.
//!
//! Requests live in a current-thread runtime that makes progress only while [`Client::wait`] runs, a slice of time after the
//! other, so that the caller looks after its interrupts in between. Nothing here starts a thread: names are resolved by an
//! asynchronous resolver, not by the C library.
//!
//! The other end may be ill or hostile. Redirects are not followed, no proxy of the environment is used, every step has an
//! end, of an answer no more is read than [`LONGEST_ANSWER`], compressed bodies are not unpacked, and what is handed back
//! holds no secret that was sent. (Of the head of an answer hyper reads 408 kB and 100 headers at most.)

mod secret_file;

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use costsim_core::alertmanager::Credentials;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, ClientBuilder, Identity, Proxy, Response, Url};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::timeout;

/// The most bytes read of an answer: Alertmanager's are a line or two, and an endless one must not fill the memory.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The body of a refusal says why. It may take this long once its status is there, which is what counts.
const REFUSAL_LIMIT: Duration = Duration::from_secs(5);

/// The body of a success says nothing. It is read so that the connection can be used again, and that is worth this much.
const SUCCESS_LIMIT: Duration = Duration::from_secs(1);

/// Shorter than what servers and firewalls keep an idle connection for, so that seldom one is used that is gone.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// No one is asked to wait longer; the caller has a shorter limit of its own.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// What a client is made of: the settings by these names. Two equal ones may still differ in what the files hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Credentials, see [`Credentials`].
    pub auth_file: Option<String>,
    /// The certificates to trust instead of the system's.
    pub ca_file: Option<String>,
    /// The client's own certificate.
    pub cert_file: Option<String>,
    /// The key of that.
    pub key_file: Option<String>,
    /// Where requests go instead of to their URL.
    pub proxy: Option<String>,
    /// A connection that is not there after this long is not there.
    pub connect_timeout: Duration,
}

/// What became of a request. Its texts may be stored: they are one line, bounded, and hold no secret that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server answered.
    Status {
        /// The HTTP status code.
        code: u16,
        /// The beginning of the body, unless it was a success.
        body: String,
        /// How long the server asked to be left alone by Retry-After.
        retry_after: Option<Duration>,
    },
    /// Nothing came back: no connection, no name, no answer in time.
    Failed(String),
}

/// A client with its connections and requests. Dropping it closes them all.
pub struct Client {
    runtime: Runtime,
    http: reqwest::Client,
    credentials: Credentials,
    connect_timeout: Duration,
    /// Each yields what an [`Answer`] is made of, not yet scrubbed.
    requests: JoinSet<Answered>,
    targets: Vec<(i32, AbortHandle)>,
}

impl Client {
    /// A client without a connection, with what the files hold now. The error names the setting and the rule that is
    /// broken, never what a file holds.
    pub fn new(setup: &Setup) -> Result<Self, String> {
        let credentials = credentials(setup)?;
        let mut http = bare().default_headers(headers(&credentials)?);
        if let Some(path) = &setup.ca_file {
            http = http.tls_built_in_root_certs(false);
            for certificate in authorities(path)? {
                http = http.add_root_certificate(certificate);
            }
        }
        if let Some(identity) = identity(setup)? {
            http = http.identity(identity);
        }
        if let Some(proxy) = &setup.proxy {
            http = http.proxy(trusted_proxy(proxy)?);
        }
        let http = http
            .connect_timeout(setup.connect_timeout)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE_LIMIT)
            .user_agent(concat!("costsim_pg/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no HTTP client: {}", innermost(&error)))?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| format!("no HTTP client: {error}"))?;
        Ok(Self {
            runtime,
            http,
            credentials,
            connect_timeout: setup.connect_timeout,
            requests: JoinSet::new(),
            targets: Vec::new(),
        })
    }

    /// Starts a request with a JSON body; its answer is fetched by [`Client::wait`]. One of the same target that is still
    /// on its way is given up.
    pub fn post(&mut self, target: i32, url: &str, body: Vec<u8>, limit: Duration) {
        self.give_up(target);
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(limit)
            .body(body);
        let connect_timeout = self.connect_timeout;
        let handle = self.requests.spawn_on(
            async move {
                // Lets the runtime see first that the server has closed an idle connection. Nobody looked since the last
                // request, and this one would be sent into the void.
                yield_often().await;
                match request.send().await {
                    Ok(response) => read(response).await,
                    Err(error) => Answered::Failed(explain(&error, connect_timeout, limit)),
                }
            },
            self.runtime.handle(),
        );
        self.targets.push((target, handle));
    }

    /// Lets the requests go on for at most `slice`, until the first of them ends: its target and its answer. `None` when
    /// none has ended; at once when there is none.
    pub fn wait(&mut self, slice: Duration) -> Option<(i32, Answer)> {
        let Self { runtime, requests, targets, credentials, .. } = self;
        let ended = runtime.block_on(async {
            let first = timeout(slice, async {
                while let Some(ended) = requests.join_next_with_id().await {
                    let (id, answered) = match ended {
                        Ok(ended) => ended,
                        Err(error) => (error.id(), Answered::Failed("the request ended early".into())),
                    };
                    // One that was given up is not among them any more.
                    if let Some(at) = targets.iter().position(|(_, handle)| handle.id() == id) {
                        return Some((targets.swap_remove(at).0, answered));
                    }
                }
                None
            });
            let first = first.await.ok().flatten();
            // A body that was left unread closes its connection, which is a task of its own.
            yield_often().await;
            first
        });
        ended.map(|(target, answered)| (target, answered.scrubbed(credentials)))
    }

    /// Drops the request of a target, if there is one, and closes its connection.
    pub fn give_up(&mut self, target: i32) {
        let Some(at) = self.targets.iter().position(|(known, _)| *known == target) else { return };
        self.targets.swap_remove(at).1.abort();
        self.runtime.block_on(yield_often());
    }

    /// How many requests are on their way.
    pub fn in_flight(&self) -> usize {
        self.targets.len()
    }
}

/// What a request yields, as the other end sent it.
enum Answered {
    Status { code: u16, body: Vec<u8>, is_cut: bool, retry_after: Option<Duration> },
    Failed(String),
}

impl Answered {
    fn scrubbed(self, credentials: &Credentials) -> Answer {
        match self {
            Self::Status { code, body, is_cut, retry_after } => {
                let body = credentials.scrub(&String::from_utf8_lossy(&body), is_cut);
                Answer::Status { code, body, retry_after }
            }
            Self::Failed(why) => Answer::Failed(credentials.scrub(&why, false)),
        }
    }
}

/// Lets every other task have its turn, and the runtime look at its connections, more often than closing one takes.
async fn yield_often() {
    for _ in 0..4 {
        yield_now().await;
    }
}

/// Nothing of the environment, nothing that leads elsewhere.
fn bare() -> ClientBuilder {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().hickory_dns(true)
}

fn credentials(setup: &Setup) -> Result<Credentials, String> {
    let Some(path) = &setup.auth_file else { return Ok(Credentials::default()) };
    let refused = |why: &str| format!("costsim.alertmanager_auth_file {path}: {why}");
    let content = secret_file::secret(path).map_err(|why: String| refused(&why))?;
    let text = str::from_utf8(&content).map_err(|_| refused("it must be UTF-8 text"))?;
    Credentials::parse(text).map_err(|bad| refused(&bad.to_string()))
}

fn headers(credentials: &Credentials) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in credentials.headers() {
        let refused = |_| "costsim.alertmanager_auth_file: it holds what cannot be a header".to_owned();
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused(()))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| refused(()))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn authorities(path: &str) -> Result<Vec<Certificate>, String> {
    let refused = |why: &str| format!("costsim.alertmanager_ca_file {path}: {why}");
    let pem = secret_file::public(path).map_err(|why: String| refused(&why))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|_| refused("it must hold certificates in PEM form"))?;
    if certificates.is_empty() {
        return Err(refused("it holds no certificate in PEM form"));
    }
    for (certificate, number) in certificates.iter().zip(1..) {
        // Built apart, because the error of the whole client does not tell which part is at fault.
        let alone = bare().tls_built_in_root_certs(false).add_root_certificate(certificate.clone());
        alone.build().map_err(|_| refused(&format!("certificate number {number} cannot be trusted")))?;
    }
    Ok(certificates)
}

fn identity(setup: &Setup) -> Result<Option<Identity>, String> {
    let (cert, key) = match (&setup.cert_file, &setup.key_file) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => return Ok(None),
        _ => {
            return Err("costsim.alertmanager_cert_file and costsim.alertmanager_key_file: \
                        one is of no use without the other"
                .into());
        }
    };
    let secret =
        secret_file::secret(key).map_err(|why| format!("costsim.alertmanager_key_file {key}: {why}"))?;
    // Both may be one file.
    let pem = if cert == key {
        secret
    } else {
        let public = secret_file::public(cert)
            .map_err(|why| format!("costsim.alertmanager_cert_file {cert}: {why}"))?;
        [public.as_slice(), b"\n", &secret].concat()
    };
    let refused = |why: &str| {
        format!("costsim.alertmanager_cert_file {cert} and costsim.alertmanager_key_file {key}: {why}")
    };
    let identity = Identity::from_pem(&pem)
        .map_err(|_| refused("they must hold a certificate and its unencrypted key in PEM form"))?;
    let alone = bare().tls_built_in_root_certs(false).identity(identity.clone());
    alone.build().map_err(|_| refused("this certificate cannot be used with this key"))?;
    Ok(Some(identity))
}

/// Its user and password would be in a setting that every superuser's session shows.
fn trusted_proxy(url: &str) -> Result<Proxy, String> {
    let refused = |why: &str| format!("costsim.alertmanager_proxy: {why}");
    let parsed = Url::parse(url).map_err(|_| refused("this is not a valid URL"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(refused("the URL must begin with http:// or https://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(refused("the URL must not carry a user or a password"));
    }
    Proxy::all(parsed).map_err(|_| refused("this URL cannot be that of a proxy"))
}

/// The status is the answer; a body that breaks off, or takes too long, takes nothing from it.
async fn read(mut response: Response) -> Answered {
    let is_success = response.status().is_success();
    let code = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(pause);
    let mut body = Vec::new();
    let whole = timeout(if is_success { SUCCESS_LIMIT } else { REFUSAL_LIMIT }, async {
        loop {
            match response.chunk().await {
                Ok(None) => return true,
                Ok(Some(chunk)) => {
                    body.extend_from_slice(&chunk[..chunk.len().min(LONGEST_ANSWER - body.len())]);
                    if body.len() == LONGEST_ANSWER {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    });
    let is_whole = whole.await.unwrap_or(false);
    if is_success {
        body.clear();
    }
    Answered::Status { code, body, is_cut: !is_whole, retry_after }
}

/// Seconds, or a date (RFC 9110, 10.2.3). One that has passed asks for nothing.
fn pause(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let pause = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let then = u64::try_from(DateTime::parse_from_rfc2822(text).ok()?.timestamp()).ok()?;
        Duration::from_secs(then).checked_sub(now)?
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// The innermost cause says what happened ("connection refused"); the outer ones repeat the address, which stays out.
fn explain(error: &reqwest::Error, connect_timeout: Duration, limit: Duration) -> String {
    if error.is_timeout() && error.is_connect() {
        return format!("no connection within {}", in_words(connect_timeout));
    }
    if error.is_timeout() {
        return format!("no answer within {}", in_words(limit));
    }
    let cause = innermost(error);
    if causes(error).any(|cause| cause.to_string() == "dns error") {
        // The question itself, which the resolver repeats in its own notation, is the name in the URL.
        let cause = cause.trim_start_matches("proto error: ").split(" for Query").next().unwrap_or_default();
        return format!("the name of the host cannot be resolved: {cause}");
    }
    cause
}

fn in_words(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "the request could not be sent".to_owned(), ToString::to_string)
}

/// What stands behind an error, from the outside in.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
