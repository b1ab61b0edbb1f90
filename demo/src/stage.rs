//! What the demo plays on: a throw-away server, a real Alertmanager with somebody behind it who listens, and replicas that are
//! processes of their own so that they can be killed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::SecondsFormat;
use costsim_harness::{Alertmanager, Cluster, WebhookSink};
use postgres::Client;

use crate::prices::Edition;
use crate::replica::Event;
use crate::trace::Request;

pub const DATABASE: &str = "demo";

const SCHEMA: &str = include_str!("../schema.sql");
const GRANTS: &str = include_str!("../grants.sql");

/// How long a replica may take to leave once it was asked to; its own waits are far shorter.
const LEAVE: Duration = Duration::from_secs(5);

/// The servers. They end with the value, the client first.
pub struct Stage {
    pub client: Client,
    pub cluster: Cluster,
    pub alertmanager: Alertmanager,
    pub sink: WebhookSink,
}

impl Stage {
    /// Starts everything and creates the application's tables and its role.
    pub fn set_up() -> Result<Self> {
        let sink = WebhookSink::start()?;
        let alertmanager = Alertmanager::start_with_webhook(&sink.url())?;
        let cluster = Cluster::builder()
            .preload(true)
            .conf("costsim.databases", DATABASE)
            .conf("costsim.worker_role", "demo_worker")
            .conf("costsim.alertmanager_url", &alertmanager.url())
            .start()?;
        let mut client = cluster.create_database_with_extension(DATABASE)?;
        client.batch_execute(SCHEMA).context("demo/schema.sql")?;
        client.batch_execute(GRANTS).context("demo/grants.sql")?;
        Ok(Stage { client, cluster, alertmanager, sink })
    }

    /// The trace, numbered from 1 in the order of the file.
    pub fn load(&mut self, requests: &[Request]) -> Result<()> {
        let columns = "seq, requested_at, context_tokens, generated_tokens";
        let mut copy = self.client.copy_in(&format!("COPY demo_requests ({columns}) FROM STDIN"))?;
        for (seq, request) in (1..).zip(requests) {
            let at = request.requested_at.to_rfc3339_opts(SecondsFormat::Micros, true);
            let seq: i64 = seq;
            writeln!(copy, "{seq}\t{at}\t{}\t{}", request.context_tokens, request.generated_tokens)?;
        }
        copy.finish()?;
        Ok(self.client.batch_execute("ANALYZE demo_requests")?)
    }

    /// What a replica connects with: an ordinary role, and a name to be recognised by.
    pub fn replica_connection(&self, node: &str) -> String {
        let socket = self.cluster.socket_dir().display();
        let port = self.cluster.port();
        format!("host='{socket}' port={port} user=demo_app dbname={DATABASE} application_name={node}")
    }

    /// A command line for looking around.
    pub fn psql(&self) -> String {
        let (bindir, socket) = (self.cluster.bindir().display(), self.cluster.socket_dir().display());
        format!("{bindir}/psql -h {socket} -p {} -U postgres {DATABASE}", self.cluster.port())
    }
}

/// Enters an edition that is in force from a request on.
pub fn publish(client: &mut Client, edition: &Edition, model: &str, from_seq: i64) -> Result<()> {
    let Edition { name, prices, note } = edition;
    client.execute(
        "INSERT INTO demo_prices (edition, model, effective_from_seq, input_per_1k, output_per_1k, note)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[name, &model, &from_seq, &prices.input_per_1k, &prices.output_per_1k, note],
    )?;
    Ok(())
}

/// What a replica said, or that it said its last.
pub struct Message {
    pub pid: u32,
    pub node: &'static str,
    pub what: What,
}

pub enum What {
    Said(Event),
    /// Not one of its events.
    Noise(String),
    Ended,
}

/// A replica's process. Asked to leave with the value, and killed when it does not.
pub struct Replica {
    pub node: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Replica {
    pub fn start(stage: &Stage, node: &'static str, window: usize, outbox: &Sender<Message>) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["replica", "--node", node, "--connection", &stage.replica_connection(node)])
            .args(["--window", &window.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the demo, which then ends its replicas in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {node}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("the replica's output")?;
        let pid = child.id();
        let outbox = outbox.clone();
        thread::spawn(move || {
            let said = BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .map(|line| serde_json::from_str(&line).map_or(What::Noise(line), What::Said));
            for what in said.chain([What::Ended]) {
                if outbox.send(Message { pid, node, what }).is_err() {
                    return;
                }
            }
        });
        Ok(Replica { node, child, stdin })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9: no goodbye, nothing is cleaned up by the process itself.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("killing {}", self.node))?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to leave and waits for that. Answers how it ended, in words, when that was not in order.
    pub fn leave(mut self) -> Result<Option<String>> {
        self.stdin = None;
        let deadline = Instant::now() + LEAVE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok((!status.success()).then(|| match status.signal() {
                    Some(signal) => format!("{} was ended by signal {signal}", self.node),
                    None => format!("{} failed: {status}", self.node),
                }));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(format!("{} did not leave within {LEAVE:?}", self.node)))
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
