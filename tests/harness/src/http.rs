//! As much HTTP/1.1 as the endpoints need. Written out instead of taken from a library, because the endpoints exist
//! for what a library prevents: to hang, to hang up, to answer nonsense.

use anyhow::{Context, Result, anyhow};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One received request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the body is not JSON")
    }
}

/// What an endpoint does with a request. A bare status code is an answer too: `503.into()`.
#[derive(Clone, Debug)]
pub struct Answer(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Reply { status: u16, headers: Vec<(String, String)>, body: Vec<u8>, delay: Duration },
    Hang,
    HangUp,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self(Kind::Reply { status, headers: Vec::new(), body: Vec::new(), delay: Duration::ZERO })
    }

    /// Never answers and keeps the connection open.
    pub fn hang() -> Self {
        Self(Kind::Hang)
    }

    /// Closes the connection without an answer: the sender cannot know whether its request counted.
    pub fn hang_up() -> Self {
        Self(Kind::HangUp)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Kind::Reply { headers, .. } = &mut self.0 {
            headers.push((name.into(), value.into()));
        }
        self
    }

    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        if let Kind::Reply { body, .. } = &mut self.0 {
            *body = bytes.into();
        }
        self
    }

    /// Whether it says that the request was taken.
    pub(crate) fn is_success(&self) -> bool {
        matches!(self.0, Kind::Reply { status: 200..=299, .. })
    }

    /// Answers only after a while.
    pub fn after(mut self, pause: Duration) -> Self {
        if let Kind::Reply { delay, .. } = &mut self.0 {
            *delay = pause;
        }
        self
    }
}

impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

/// A server on a free loopback port, one thread per connection. When dropped the port is closed, and so are the
/// connections, also those that hang.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<Weak<TcpStream>>>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("binding a loopback port")?;
        let address = listener.local_addr()?;
        let closing = Arc::new(AtomicBool::new(false));
        let connections = Arc::<Mutex<Vec<Weak<TcpStream>>>>::default();
        let handler = Arc::new(handler);
        let acceptor = thread::spawn({
            let (closing, connections) = (closing.clone(), connections.clone());
            move || {
                for stream in listener.incoming() {
                    if closing.load(Ordering::SeqCst) {
                        // A process that another test starts just now has the socket too, until it executes its program.
                        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).ok();
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let stream = Arc::new(stream);
                    let mut open = connections.lock().unwrap_or_else(PoisonError::into_inner);
                    open.retain(|known| known.strong_count() > 0);
                    open.push(Arc::downgrade(&stream));
                    let handler = handler.clone();
                    // A peer that goes away in mid-request is nothing to report: senders are tested for that.
                    thread::spawn(move || serve(&stream, &*handler).ok());
                }
            }
        });
        Ok(Self { address, closing, connections, acceptor: Some(acceptor) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        // The acceptor looks at the flag when somebody connects.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
        for connection in self.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(connection) = connection.upgrade() {
                connection.shutdown(Shutdown::Both).ok();
            }
        }
    }
}

/// Requests of one connection, one after the other, until the peer closes it or an answer says so.
fn serve(stream: &TcpStream, handler: &(impl Fn(Request) -> Answer + ?Sized)) -> Result<()> {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    while let Some(request) = read_request(&mut input)? {
        let is_last = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        match handler(request).0 {
            Kind::Reply { status, headers, body, delay } => {
                thread::sleep(delay);
                // Written at once: a peer that reads once gets it all.
                let mut answer = format!("HTTP/1.1 {status} as told\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    answer.push_str(&format!("{name}: {value}\r\n"));
                }
                let answer = [answer.as_bytes(), b"\r\n", &body].concat();
                output.write_all(&answer)?;
                if is_last {
                    return Ok(());
                }
            }
            Kind::Hang => {
                // Ends when the peer or the server closes the connection.
                input.read_to_end(&mut Vec::new())?;
            }
            Kind::HangUp => return Ok(()),
        }
    }
    Ok(())
}

pub(crate) fn read_request(input: &mut impl BufRead) -> Result<Option<Request>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let (method, path) =
        (words.next().context("no method")?.to_owned(), words.next().context("no path")?.to_owned());
    let headers = read_headers(input)?;
    let mut request = Request { method, path, headers, body: Vec::new() };
    if request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        request.body = read_chunks(input)?;
    } else if let Some(length) = request.header("content-length") {
        request.body = vec![0; length.parse().context("content-length")?];
        input.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

fn read_headers(input: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(headers) };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_chunks(input: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        input.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).context("chunk size")?;
        let start = body.len();
        body.resize(start + size, 0);
        input.read_exact(&mut body[start..])?;
        let mut end = String::new();
        input.read_line(&mut end)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// A GET that answers with status and body. HTTP/1.0, so that the body ends with the connection.
pub(crate) fn get(port: u16, path: &str) -> Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: 127.0.0.1:{port}\r\n\r\n")?;
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let status = line.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| anyhow!("no status in {line:?}"))?;
    read_headers(&mut input)?;
    let mut body = Vec::new();
    input.read_to_end(&mut body)?;
    Ok((status, body))
}
