//! A receiver that no figure waits for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Far beyond every arrival.
const LIMIT: Duration = Duration::from_secs(60);

/// An alert of [`Stage`](super::stage::Stage) has this many opening braces: its own, of its labels and of its annotations. Counting
/// bytes takes no parser.
const BRACES: usize = 3;

/// Takes requests with a length, one thread per connection, and answers 200 to each. Lasts as long as the process.
pub struct Sink {
    address: SocketAddr,
    braces: Arc<AtomicUsize>,
    arrivals: Receiver<Instant>,
}

impl Sink {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let braces = Arc::<AtomicUsize>::default();
        let (arrived, arrivals) = mpsc::channel();
        thread::spawn({
            let braces = braces.clone();
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let (braces, arrived) = (braces.clone(), arrived.clone());
                    thread::spawn(move || {
                        if let Err(error) = serve(&stream, &braces, &arrived) {
                            eprintln!("the sink gave a connection up: {error:#}");
                        }
                    });
                }
            }
        });
        Ok(Self { address, braces, arrivals })
    }

    /// What `costsim.alertmanager_url` wants.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Alerts so far.
    pub fn alerts(&self) -> usize {
        self.braces.load(Ordering::Relaxed) / BRACES
    }

    /// Forgets the arrivals up to now.
    pub fn forget(&self) {
        self.arrivals.try_iter().for_each(drop);
    }

    /// When the next request had arrived whole.
    pub fn next_arrival(&self) -> Result<Instant> {
        self.arrivals.recv_timeout(LIMIT).context("an alert did not arrive")
    }
}

/// Requests of one connection until the peer closes it.
fn serve(stream: &TcpStream, braces: &AtomicUsize, arrived: &Sender<Instant>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::with_capacity(256 << 10, stream);
    let mut output = stream;
    let mut body = Vec::new();
    while let Some(length) = read_head(&mut input)? {
        body.resize(length, 0);
        input.read_exact(&mut body)?;
        // Nobody may listen any more.
        arrived.send(Instant::now()).ok();
        output.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        braces.fetch_add(body.iter().filter(|&&byte| byte == b'{').count(), Ordering::Relaxed);
    }
    Ok(())
}

/// The length of the body that follows; none at the end of the connection.
fn read_head(input: &mut impl BufRead) -> Result<Option<usize>> {
    let (mut line, mut length, mut lines) = (String::new(), None, 0);
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            ensure!(lines == 0, "a connection ended in the middle of a request");
            return Ok(None);
        }
        lines += 1;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.trim().parse()?)
            }
            None if lines > 1 => return length.context("a request without a length").map(Some),
            _ => {}
        }
    }
}
