//! A receiver that does whatever an ill, wrong or hostile server does, one connection after the other, and counts what
//! the other side let it do.

mod certificates;

pub use certificates::{Authority, Identity};

use crate::http::{Request, read_request};
use crate::wait_until;
use anyhow::{Context, Result, bail};
use rustix::net::sockopt::{set_socket_linger, set_socket_send_buffer_size};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What was written and not yet read hides in the buffers of the machine; small ones hide little.
const SEND_BUFFER: usize = 16 * 1024;

/// What an endless answer is made of.
const BLOCK: usize = 4 * 1024;

/// The length of a body that says nothing. It is announced and then not kept to.
const BODY: &[u8] = b"out of order";

/// What is done with a request. A bare status is one too: `503.into()`.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A proper answer.
    Reply { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Ends the connection the hard way.
    Reset,
    /// Answers nothing and keeps the connection.
    Hang,
    /// Begins a proper answer, and stops before the body that it announces.
    HangAfterHead(u16),
    /// A proper head, a byte at a time.
    DripHead { status: u16, pause: Duration },
    /// A proper head, and a body without end, a byte at a time.
    DripBody { status: u16, pause: Duration },
    /// A body without end, as fast as it is taken.
    EndlessBody(u16),
    /// A head of so many bytes, in lines of a kilobyte.
    HugeHead { status: u16, bytes: usize },
    /// One line of the head of so many bytes.
    HugeHeader { status: u16, bytes: usize },
    /// Interim answers without end, and never the one that counts.
    EndlessInterim,
    /// Closes the connection before the end of the body that it announces.
    ShortBody(u16),
    /// Sends more than the body that it announces.
    LongBody(u16),
    /// A body that is `unpacked` bytes for whoever unpacks it.
    GzipBomb { status: u16, unpacked: usize },
    /// Something else than HTTP.
    Gibberish,
}

impl Deed {
    pub fn status(status: u16) -> Self {
        Self::Reply { status, headers: Vec::new(), body: Vec::new() }
    }

    /// Another header of a proper answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// The body of a proper answer.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        if let Self::Reply { body, .. } = &mut self {
            *body = bytes.into();
        }
        self
    }
}

impl From<u16> for Deed {
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

type Script = Box<dyn FnMut(&Request) -> Deed + Send>;

/// A server that does as told. It has a loopback address of its own, so that its port stays free while it refuses
/// connections. Closed with the value, also what hangs.
///
/// ```
/// # use costsim_harness::{Deed, HostileEndpoint};
/// # fn main() -> anyhow::Result<()> {
/// let endpoint = HostileEndpoint::start()?;
/// endpoint.does(Deed::EndlessBody(500));
/// endpoint.decides(|request| if request.body.len() > 1000 { 413 } else { 200 }.into());
/// # Ok(())
/// # }
/// ```
pub struct HostileEndpoint {
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<Acceptor>>,
}

struct Shared {
    script: Mutex<Script>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    written: AtomicU64,
    open: Mutex<Vec<Weak<TcpStream>>>,
}

struct Acceptor {
    is_closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl fmt::Debug for HostileEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} connections, {} requests", self.url(), self.connections(), self.count())
    }
}

impl HostileEndpoint {
    /// One that takes everything, until it is told otherwise.
    pub fn start() -> Result<Self> {
        Self::start_with(free_address(), None)
    }

    /// The same behind TLS, with the certificate that `certify` makes for its address. With `clients` it asks for a
    /// certificate of that authority.
    pub fn start_tls(
        certify: impl FnOnce(&str) -> Result<Identity>,
        clients: Option<&Authority>,
    ) -> Result<Self> {
        let address = free_address();
        let identity = certify(&address.to_string())?;
        Self::start_with(address, Some(certificates::server_config(&identity, clients)?))
    }

    fn start_with(address: IpAddr, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind((address, 0)).context("binding a loopback port")?;
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(|_| Deed::status(200))),
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let endpoint = Self { address: listener.local_addr()?, tls, shared, acceptor: Mutex::default() };
        endpoint.accept(listener);
        Ok(endpoint)
    }

    fn accept(&self, listener: TcpListener) {
        let is_closing = Arc::new(AtomicBool::new(false));
        let (closing, shared, tls) = (is_closing.clone(), self.shared.clone(), self.tls.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if closing.load(Ordering::SeqCst) {
                    // A process that another test starts just now has the socket too, until it executes its program.
                    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).ok();
                    return;
                }
                let Ok(stream) = stream else { continue };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let stream = Arc::new(stream);
                shared.remember(&stream);
                let (shared, tls) = (shared.clone(), tls.clone());
                // A peer that hangs up is nothing to report: senders are tested for that.
                thread::spawn(move || serve(Wire(stream), tls, &shared).ok());
            }
        });
        *lock(&self.acceptor) = Some(Acceptor { is_closing, thread });
    }

    /// What `costsim.alertmanager_url` wants.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// From now on this is done with every request.
    pub fn does(&self, deed: impl Into<Deed>) {
        let deed = deed.into();
        self.decides(move |_| deed.clone());
    }

    /// From now on this decides what is done with a request. It is asked in the order of their arrival.
    pub fn decides(&self, script: impl FnMut(&Request) -> Deed + Send + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    /// Refuses every connection from now on, and closes those there are.
    pub fn refuse(&self) {
        if let Some(acceptor) = lock(&self.acceptor).take() {
            acceptor.is_closing.store(true, Ordering::SeqCst);
            // It looks at the flag when somebody connects.
            drop(TcpStream::connect(self.address));
            acceptor.thread.join().ok();
        }
        for connection in self.shared.still_open() {
            connection.shutdown(Shutdown::Both).ok();
        }
    }

    /// Takes connections again.
    pub fn listen(&self) -> Result<()> {
        self.refuse();
        self.accept(TcpListener::bind(self.address).context("binding the same port again")?);
        Ok(())
    }

    /// All requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// How many requests have arrived.
    pub fn count(&self) -> usize {
        lock(&self.shared.requests).len()
    }

    /// How many connections have been made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open. One that the peer has closed counts until that is noticed, which takes a deed
    /// that writes as long as its pause.
    pub fn open(&self) -> usize {
        self.shared.still_open().len()
    }

    /// How many bytes of answers could be written: what the peer has read and what is in the buffers of the machine. With
    /// TLS before they are encrypted.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::SeqCst)
    }

    /// Waits until at least `count` requests have arrived and answers with all of them.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) -> Result<Vec<Request>> {
        wait_until(limit, &format!("{count} requests"), || {
            let requests = self.requests();
            if requests.len() < count {
                bail!("{} have arrived", requests.len());
            }
            Ok(Some(requests))
        })
    }

    /// Waits until every connection is closed.
    pub fn wait_until_left(&self, limit: Duration) -> Result<()> {
        wait_until(limit, "every connection to be closed", || match self.open() {
            0 => Ok(Some(())),
            open => bail!("{open} are open"),
        })
    }
}

impl Drop for HostileEndpoint {
    fn drop(&mut self) {
        self.refuse();
    }
}

impl Shared {
    fn remember(&self, stream: &Arc<TcpStream>) {
        let mut open = lock(&self.open);
        open.retain(|known| known.strong_count() > 0);
        open.push(Arc::downgrade(stream));
    }

    fn still_open(&self) -> Vec<Arc<TcpStream>> {
        lock(&self.open).iter().filter_map(Weak::upgrade).collect()
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nobody else binds a port of it: neither another process, nor this one again.
fn free_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low, ..] = (process::id() % 64_000).to_le_bytes();
    Ipv4Addr::new(127, 1 + low % 250, 1 + high % 250, NEXT.fetch_add(1, Ordering::SeqCst).max(1)).into()
}

/// A connection. The one who may shut it down knows it weakly, so that it ends with its thread.
struct Wire(Arc<TcpStream>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

/// Counts what it writes.
struct Counted<'a> {
    inner: Box<dyn Duplex>,
    written: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.written.fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Requests of one connection, one after the other, until a deed or the peer ends it.
fn serve(wire: Wire, tls: Option<Arc<ServerConfig>>, shared: &Shared) -> Result<()> {
    set_socket_send_buffer_size(&*wire.0, SEND_BUFFER)?;
    wire.0.set_nodelay(true)?;
    let socket = Arc::downgrade(&wire.0);
    let inner: Box<dyn Duplex> = match tls {
        Some(config) => Box::new(StreamOwned::new(ServerConnection::new(config)?, wire)),
        None => Box::new(wire),
    };
    let mut stream = BufReader::new(Counted { inner, written: &shared.written });
    while let Some(request) = read_request(&mut stream)? {
        let deed = {
            // Decided in the order in which they are remembered.
            let mut script = lock(&shared.script);
            lock(&shared.requests).push(request.clone());
            script(&request)
        };
        if matches!(deed, Deed::Reset)
            && let Some(socket) = socket.upgrade()
        {
            set_socket_linger(&*socket, Some(Duration::ZERO))?;
        }
        if !do_it(deed, &mut stream)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers whether the connection goes on.
fn do_it<S: Duplex>(deed: Deed, stream: &mut BufReader<S>) -> Result<bool> {
    let head = |status: u16, rest: &str| format!("HTTP/1.1 {status} as told\r\n{rest}\r\n").into_bytes();
    let announced = |length: usize| format!("content-length: {length}\r\n");
    match deed {
        Deed::Reply { status, headers, body } => {
            let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let answer = [head(status, &(announced(body.len()) + &lines)), body].concat();
            send(stream, &answer)?;
            return Ok(true);
        }
        Deed::Reset => {}
        Deed::Hang => wait_for_the_end(stream)?,
        Deed::HangAfterHead(status) => {
            send(stream, &head(status, &announced(BODY.len())))?;
            wait_for_the_end(stream)?;
        }
        Deed::DripHead { status, pause } => {
            let answer = [&head(status, &announced(BODY.len())), BODY].concat();
            drip(stream, answer.into_iter(), pause)?;
        }
        Deed::DripBody { status, pause } => {
            send(stream, &head(status, &announced(usize::MAX >> 1)))?;
            drip(stream, BODY.iter().copied().cycle(), pause)?;
        }
        Deed::EndlessBody(status) => {
            send(stream, &head(status, "transfer-encoding: chunked\r\n"))?;
            let block = [format!("{BLOCK:x}\r\n").as_bytes(), &[b'x'; BLOCK], b"\r\n"].concat();
            loop {
                send(stream, &block)?;
            }
        }
        Deed::HugeHead { status, bytes } => {
            let line = format!("x-filler: {}\r\n", "x".repeat(1012));
            let filler = line.repeat(bytes.div_ceil(line.len()));
            send(stream, &[&head(status, &(filler + &announced(BODY.len()))), BODY].concat())?;
            return Ok(true);
        }
        Deed::HugeHeader { status, bytes } => {
            let line = format!("x-filler: {}\r\n", "x".repeat(bytes));
            send(stream, &[&head(status, &(line + &announced(BODY.len()))), BODY].concat())?;
            return Ok(true);
        }
        Deed::EndlessInterim => loop {
            send(stream, &head(103, "link: </style.css>\r\n"))?;
        },
        Deed::ShortBody(status) => {
            send(stream, &[&head(status, &announced(BODY.len() + 100)), BODY].concat())?;
        }
        Deed::LongBody(status) => {
            let more = head(status, &announced(0));
            send(stream, &[&head(status, &announced(BODY.len())), BODY, BODY, &more].concat())?;
            return Ok(true);
        }
        Deed::GzipBomb { status, unpacked } => {
            let body = gzip_bomb(unpacked);
            let lines = announced(body.len()) + "content-encoding: gzip\r\n";
            send(stream, &[head(status, &lines), body].concat())?;
            return Ok(true);
        }
        Deed::Gibberish => send(stream, b"220 mail.example.net ESMTP\r\n\r\n")?,
    }
    Ok(false)
}

fn send<S: Duplex>(stream: &mut BufReader<S>, bytes: &[u8]) -> Result<()> {
    let stream = stream.get_mut();
    stream.write_all(bytes)?;
    stream.flush()?;
    Ok(())
}

fn drip<S: Duplex>(
    stream: &mut BufReader<S>,
    bytes: impl Iterator<Item = u8>,
    pause: Duration,
) -> Result<()> {
    for byte in bytes {
        send(stream, &[byte])?;
        thread::sleep(pause);
    }
    Ok(())
}

/// Ends when the peer closes the connection, or the endpoint is closed.
fn wait_for_the_end(stream: &mut impl BufRead) -> Result<()> {
    io::copy(stream, &mut io::sink())?;
    Ok(())
}

/// A gzip stream of one letter, `unpacked` times, in a 158th of that. Made by hand: one block of deflate with fixed codes, in it
/// the letter, then "the last 258 bytes once more" again and again. (Its checksum is not filled in; who has come to that
/// has unpacked it all.)
fn gzip_bomb(unpacked: usize) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut bits, mut count) = (0_u32, 0);
    let mut put = |value: u32, width: u32| {
        for at in 0..width {
            bits |= (value >> at & 1) << count;
            count += 1;
            if count == 8 {
                out.push(bits as u8);
                (bits, count) = (0, 0);
            }
        }
    };
    // A code is written from its highest bit on, everything else from its lowest.
    let code = |value: u32, width: u32| value.reverse_bits() >> (32 - width);
    put(1, 1);
    put(1, 2);
    put(code(0x30 + u32::from(b'x'), 8), 8);
    for _ in 0..unpacked / 258 {
        put(code(0b1100_0101, 8), 8);
        put(code(0, 5), 5);
    }
    put(code(0, 7), 7);
    put(0, 7);
    let length = unpacked / 258 * 258 + 1;
    out.extend([0; 4]);
    out.extend((length as u32).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn connect(endpoint: &HostileEndpoint) -> TcpStream {
        let stream = TcpStream::connect(endpoint.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    fn ask(stream: &mut TcpStream, body: &str) {
        write!(stream, "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    }

    /// What comes before the end of the connection, and how that ended.
    fn answer(endpoint: &HostileEndpoint, most: u64) -> (String, Option<io::ErrorKind>) {
        let mut stream = connect(endpoint);
        ask(&mut stream, "{}");
        let mut seen = Vec::new();
        let end = stream.take(most).read_to_end(&mut seen).err().map(|error| error.kind());
        (String::from_utf8_lossy(&seen).into_owned(), end)
    }

    #[test]
    fn endpoint_decides_by_the_request_and_remembers_it() {
        let endpoint = HostileEndpoint::start().unwrap();
        endpoint.decides(|request| {
            let is_bad = request.body == b"bad";
            if is_bad { Deed::status(400).header("x-why", "it is bad").body("no") } else { 200.into() }
        });
        let mut stream = connect(&endpoint);
        for (body, expected) in
            [("good", "HTTP/1.1 200 "), ("bad", "HTTP/1.1 400 "), ("good", "HTTP/1.1 200 ")]
        {
            ask(&mut stream, body);
            let mut seen = vec![0; expected.len()];
            stream.read_exact(&mut seen).unwrap();
            assert_eq!(String::from_utf8_lossy(&seen), expected);
            let rest = if body == "bad" {
                "as told\r\ncontent-length: 2\r\nx-why: it is bad\r\n\r\nno"
            } else {
                "as told\r\ncontent-length: 0\r\n\r\n"
            };
            let mut seen = vec![0; rest.len()];
            stream.read_exact(&mut seen).unwrap();
            assert_eq!(String::from_utf8_lossy(&seen), rest);
        }
        assert_eq!((endpoint.connections(), endpoint.count(), endpoint.open()), (1, 3, 1));
        assert_eq!(endpoint.requests()[1].body, b"bad");
        drop(stream);
        endpoint.wait_until_left(LIMIT).unwrap();
    }

    #[test]
    fn endpoint_refuses_and_comes_back_on_the_same_port() {
        let endpoint = HostileEndpoint::start().unwrap();
        let mut open = connect(&endpoint);
        endpoint.refuse();
        assert_eq!(open.read(&mut [0]).unwrap(), 0, "what was open is closed");
        let refused = TcpStream::connect(endpoint.address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        endpoint.listen().unwrap();
        connect(&endpoint);
    }

    #[test]
    fn each_deed_is_what_it_says() {
        let endpoint = HostileEndpoint::start().unwrap();
        let pause = Duration::from_millis(1);
        let starts = |deed: Deed, most: u64, start: &str| {
            let name = format!("{deed:?}");
            endpoint.does(deed);
            let (seen, end) = answer(&endpoint, most);
            assert!(seen.starts_with(start), "{name}: {seen}");
            (seen, end)
        };
        assert_eq!(starts(Deed::Reset, 1, "").1, Some(io::ErrorKind::ConnectionReset));
        starts(Deed::HangAfterHead(500), 20, "HTTP/1.1 500 as told");
        starts(Deed::DripHead { status: 500, pause }, 20, "HTTP/1.1 500 as told");
        let (seen, _) = starts(Deed::DripBody { status: 200, pause }, 100, "HTTP/1.1 200 as told");
        assert!(seen.contains("\r\n\r\nout of orderout of order"), "{seen}");
        let (seen, _) = starts(Deed::EndlessBody(200), 1 << 20, "HTTP/1.1 200 as told");
        assert_eq!(seen.len(), 1 << 20);
        let (seen, _) =
            starts(Deed::HugeHead { status: 200, bytes: 1 << 20 }, 1 << 20, "HTTP/1.1 200 as told");
        assert!(!seen.contains("\r\n\r\n"));
        let (seen, _) =
            starts(Deed::HugeHeader { status: 200, bytes: 1 << 20 }, 1 << 20, "HTTP/1.1 200 as told");
        assert_eq!(seen.lines().count(), 2);
        starts(Deed::EndlessInterim, 1 << 20, "HTTP/1.1 103 as told");
        let (seen, end) =
            starts(Deed::ShortBody(200), 1 << 20, "HTTP/1.1 200 as told\r\ncontent-length: 112\r\n");
        assert!(seen.ends_with("out of order") && end.is_none());
        starts(Deed::LongBody(200), 60, "HTTP/1.1 200 as told\r\ncontent-length: 12\r\n\r\nout of orderout");
        starts(Deed::Gibberish, 1 << 20, "220 mail");
        endpoint.does(Deed::Hang);
        let mut stream = connect(&endpoint);
        ask(&mut stream, "{}");
        let count = endpoint.count();
        endpoint.wait_for_requests(count, LIMIT).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_nobody_reads_is_not_written() {
        let endpoint = HostileEndpoint::start().unwrap();
        endpoint.does(Deed::EndlessBody(200));
        let mut stream = connect(&endpoint);
        ask(&mut stream, "{}");
        stream.read_exact(&mut [0; 100]).unwrap();
        drop(stream);
        endpoint.wait_until_left(LIMIT).unwrap();
        assert!(endpoint.written() < 4 << 20, "{}", endpoint.written());
    }

    #[test]
    fn bomb_unpacks_to_what_it_says() {
        let bomb = gzip_bomb(1 << 20);
        assert!(bomb.len() < 8 << 10);
        // The tool complains about the checksum after it has unpacked everything.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bomb).unwrap();
        let output = process::Command::new("gzip")
            .arg("-dc")
            .stdin(std::fs::File::open(file.path()).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.stdout.len(), (1 << 20) / 258 * 258 + 1);
        assert!(output.stdout.iter().all(|byte| *byte == b'x'));
    }
}
