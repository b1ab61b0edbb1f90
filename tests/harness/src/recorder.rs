//! A receiver that takes alerts as Alertmanager does, and remembers every one of them in the order of their arrival.

use crate::http::{Answer, Request, Server};
use crate::wait_until;
use anyhow::{Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// One alert of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which request brought it, from 0.
    pub request: usize,
    /// When: RFC 3339, UTC, microseconds, as the worker writes its own moments. So two of them compare as texts.
    pub arrived_at: String,
    /// Whether the request was answered with a success. An answer that never got through counts as well.
    pub is_accepted: bool,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// As it stands there; nothing if it does not.
    pub starts_at: String,
    pub ends_at: String,
}

impl Heard {
    /// Whether it was over when it arrived.
    pub fn is_resolved(&self) -> bool {
        !self.ends_at.is_empty() && self.ends_at <= self.arrived_at
    }

    /// The value of a label; nothing if there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

type Script = Box<dyn FnMut(&[Heard]) -> Answer + Send>;

/// Takes every alert, unless it is told to do otherwise.
///
/// ```
/// # use costsim_harness::RecordingEndpoint;
/// # fn main() -> anyhow::Result<()> {
/// let endpoint = RecordingEndpoint::start()?;
/// assert!(endpoint.heard().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RecordingEndpoint {
    server: Server,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Default)]
struct State {
    heard: Vec<Heard>,
    requests: usize,
    /// None takes everything.
    script: Option<Script>,
    is_down: bool,
    is_holding: bool,
    /// Requests that were held since [`RecordingEndpoint::hold`].
    held: usize,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "{} alerts in {} requests", state.heard.len(), state.requests)
    }
}

impl RecordingEndpoint {
    pub fn start() -> Result<Self> {
        Self::start_with(State::default())
    }

    /// One whose answers are the script's, which sees the alerts of a request and is asked in the order of their arrival.
    pub fn answering(script: impl FnMut(&[Heard]) -> Answer + Send + 'static) -> Result<Self> {
        Self::start_with(State { script: Some(Box::new(script)), ..State::default() })
    }

    fn start_with(state: State) -> Result<Self> {
        let record = Arc::new(Record { state: Mutex::new(state), released: Condvar::new() });
        let server = Server::start({
            let record = record.clone();
            move |request| record.take(&request)
        })?;
        Ok(Self { server, record })
    }

    /// What `costsim.alertmanager_url` wants.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Everything that has arrived, in that order.
    pub fn heard(&self) -> Vec<Heard> {
        self.record.state().heard.clone()
    }

    /// Looks at what has arrived without copying it.
    pub fn look<T>(&self, look: impl FnOnce(&[Heard]) -> T) -> T {
        look(&self.record.state().heard)
    }

    /// How many requests have arrived.
    pub fn requests(&self) -> usize {
        self.record.state().requests
    }

    /// From now on a request arrives, is remembered, and gets no answer.
    pub fn hold(&self) {
        let mut state = self.record.state();
        state.is_holding = true;
        state.held = 0;
    }

    /// Waits until a request is held, and answers with what it brought.
    pub fn wait_for_held(&self, limit: Duration) -> Result<Vec<Heard>> {
        wait_until(limit, "a request to be held", || {
            let state = self.record.state();
            let last = state.requests.checked_sub(1);
            let of_last =
                || state.heard.iter().filter(|heard| Some(heard.request) == last).cloned().collect();
            Ok((state.held > 0).then(of_last))
        })
    }

    /// Answers what was held, and everything from now on.
    pub fn release(&self) {
        self.record.state().is_holding = false;
        self.record.released.notify_all();
    }

    /// From now on hangs up on every request and remembers none, as if nobody were there.
    pub fn go_down(&self) {
        self.record.state().is_down = true;
    }

    /// Takes alerts again.
    pub fn come_back(&self) {
        self.record.state().is_down = false;
    }

    /// Waits until a look at what has arrived says yes.
    pub fn wait_until(
        &self,
        limit: Duration,
        what: &str,
        mut is_there: impl FnMut(&[Heard]) -> bool,
    ) -> Result<()> {
        wait_until(limit, what, || {
            let state = self.record.state();
            if !is_there(&state.heard) {
                bail!("{} alerts have arrived in {} requests", state.heard.len(), state.requests);
            }
            Ok(Some(()))
        })
    }
}

impl Drop for RecordingEndpoint {
    fn drop(&mut self) {
        // Whoever waits to be answered is a thread that would wait for ever.
        self.release();
    }
}

impl Record {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, request: &Request) -> Answer {
        if request.method != "POST" || request.path != "/api/v2/alerts" {
            return Answer::status(404);
        }
        let Ok(Value::Array(alerts)) = request.json() else { return Answer::status(400) };
        let mut guard = self.state();
        let state = &mut *guard;
        if state.is_down {
            return Answer::hang_up();
        }
        let first = state.heard.len();
        let (number, arrived_at) = (state.requests, rfc3339(SystemTime::now()));
        state.requests += 1;
        state.heard.extend(alerts.iter().map(|alert| read(alert, number, &arrived_at)));
        let answer = match &mut state.script {
            Some(script) => script(&state.heard[first..]),
            None => Answer::status(200),
        };
        let is_accepted = answer.is_success();
        for heard in &mut state.heard[first..] {
            heard.is_accepted = is_accepted;
        }
        if state.is_holding {
            state.held += 1;
            drop(self.released.wait_while(guard, |state| state.is_holding));
        }
        answer
    }
}

fn read(alert: &Value, request: usize, arrived_at: &str) -> Heard {
    let text = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
    let strings = |name: &str| {
        let entries = alert[name].as_object().into_iter().flatten();
        entries.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    };
    Heard {
        request,
        arrived_at: arrived_at.to_owned(),
        is_accepted: false,
        labels: strings("labels"),
        annotations: strings("annotations"),
        starts_at: text("startsAt"),
        ends_at: text("endsAt"),
    }
}

fn rfc3339(moment: SystemTime) -> String {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (mut days, of_day) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let day = days + 1;
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn post(url: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
        let length = body.len();
        write!(
            stream,
            "POST /api/v2/alerts HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn moment_is_written_as_the_calendar_says() {
        for (micros, written) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_704_067_199_000_001, "2023-12-31T23:59:59.000001Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_micros(micros)), written);
        }
    }

    #[test]
    fn recorder_remembers_what_it_takes_and_what_it_refuses() -> Result<()> {
        let mut answers = vec![Answer::status(200), Answer::status(500)];
        let endpoint = RecordingEndpoint::answering(move |_| answers.pop().unwrap_or(200.into()))?;
        let body = r#"[{"labels": {"a": "1"}, "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2020-01-02T00:00:00Z"},
                       {"labels": {"a": "2"}, "annotations": {"b": "3"}, "endsAt": "2999-01-01T00:00:00Z"}]"#;
        assert!(post(&endpoint.url(), body)?.starts_with("HTTP/1.1 500"));
        assert!(post(&endpoint.url(), body)?.starts_with("HTTP/1.1 200"));
        let heard = endpoint.heard();
        let seen: Vec<_> =
            heard.iter().map(|it| (it.request, it.is_accepted, it.label("a"), it.is_resolved())).collect();
        assert_eq!(
            seen,
            [(0, false, "1", true), (0, false, "2", false), (1, true, "1", true), (1, true, "2", false)]
        );
        assert_eq!(heard[3].annotations["b"], "3");
        Ok(())
    }

    #[test]
    fn recorder_holds_its_answer_back_until_it_is_told() -> Result<()> {
        let endpoint = RecordingEndpoint::start()?;
        endpoint.hold();
        let url = endpoint.url();
        let sender = std::thread::spawn(move || post(&url, r#"[{"labels": {"a": "1"}}]"#));
        assert_eq!(endpoint.wait_for_held(Duration::from_secs(30))?[0].label("a"), "1");
        assert!(!sender.is_finished());
        endpoint.release();
        assert!(sender.join().unwrap()?.starts_with("HTTP/1.1 200"));
        endpoint.go_down();
        assert_eq!(post(&endpoint.url(), "[]")?, "");
        assert_eq!(endpoint.requests(), 1);
        Ok(())
    }
}
