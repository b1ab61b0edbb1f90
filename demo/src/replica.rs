//! One replica of the application: a process that competes for leadership and prices requests while it leads.
//!
//! ```text
//!    following --- try_leader is true ---> leading --- a window in one transaction ---+
//!        ^                                    ^                                       |
//!        |   not leader any more              +---------------------------------------+
//!        +------------------------------------+
//! ```
//!
//! A window is one transaction: it asks whether this session still leads, reads the next requests without provenance, prices
//! them with both models, writes provenance, reports the window's drift and notes the window. Killed at any point, it leaves a
//! whole window or nothing, and whoever leads next goes on where the rows say. Nothing else is handed over.
//!
//! The process ends when its standard input does: when its parent says so, and also when its parent is gone. It connects as an
//! ordinary role; `grants.sql` has what that role needs.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::Json;
use postgres::{Client, NoTls, Statement, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::prices::{self, Prices};

/// The role the replicas compete for: 7001 is the canary runner's, whose work this is.
pub const LOCK_ID: i64 = 7001;

/// How long a follower waits before it asks again. A leader that gives up says so and the wait ends at once; one that is killed
/// says nothing, and then this is what a take-over takes.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a replica tells its parent, one JSON object per line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Connected; not leading.
    Following,
    /// A term of this replica began.
    Leading { token: i64 },
    /// A window has committed.
    Window(Window),
}

/// What became of one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub first_seq: i64,
    pub last_seq: i64,
    pub drift: f64,
    pub edition: String,
    /// Whose answer the application got: `v2`, or `v1` while the breaker is open.
    pub answered_by: String,
    /// The incident, when this window's drift tripped the breaker.
    pub incident_id: Option<String>,
}

/// How a replica is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The name it leads under
    #[arg(long)]
    pub node: String,
    /// How to connect, in libpq's words
    #[arg(long)]
    pub connection: String,
    /// Requests per window
    #[arg(long)]
    pub window: i64,
}

/// Runs until standard input ends.
pub fn run(options: &Options) -> Result<()> {
    let stopped = Arc::new(AtomicBool::new(false));
    thread::spawn({
        let stopped = Arc::clone(&stopped);
        move || {
            io::stdin().read_to_end(&mut Vec::new()).ok();
            stopped.store(true, Ordering::SeqCst);
        }
    });

    let mut replica = Replica::connect(options)?;
    tell(&Event::Following)?;
    while !stopped.load(Ordering::SeqCst) {
        if !replica.lead()? {
            replica.wait()?;
            continue;
        }
        while !stopped.load(Ordering::SeqCst) {
            match replica.price_window()? {
                Turn::Priced(window) => tell(&Event::Window(window))?,
                Turn::NothingToDo => replica.wait()?,
                Turn::Deposed => break,
            }
        }
    }
    replica.client.execute("SELECT costsim_release_leader($1)", &[&LOCK_ID])?;
    Ok(())
}

fn tell(event: &Event) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, event)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

enum Turn {
    Priced(Window),
    NothingToDo,
    Deposed,
}

struct Replica {
    client: Client,
    statements: Statements,
    node: String,
    window: i64,
    /// Everything up to here was priced by this term or before it. Only saves looking there again.
    done_up_to: i64,
}

struct Statements {
    term: Statement,
    requests: Statement,
    prices: Statement,
    provenance: Statement,
    drift: Statement,
    window: Statement,
}

impl Statements {
    fn prepare(client: &mut Client) -> Result<Self, postgres::Error> {
        Ok(Statements {
            term: client.prepare(
                "SELECT costsim_is_leader($1), costsim_is_open(), l.token, l.acquired_at
                   FROM (SELECT 1) one LEFT JOIN costsim_leader($1) l ON true",
            )?,
            requests: client.prepare(
                "SELECT r.seq, r.context_tokens, r.generated_tokens,
                        costsim_input_hash(json_build_object('context_tokens', r.context_tokens,
                                                             'generated_tokens', r.generated_tokens))
                   FROM demo_requests r
                  WHERE r.seq > $1
                    AND NOT EXISTS (SELECT FROM costsim_provenance p WHERE p.run_id = 'request-' || r.seq)
                  ORDER BY r.seq
                  LIMIT $2",
            )?,
            prices: client.prepare(
                "SELECT edition, input_per_1k, output_per_1k
                   FROM demo_prices
                  WHERE model = $1 AND effective_from_seq <= $2
                  ORDER BY effective_from_seq DESC, entry DESC
                  LIMIT 1",
            )?,
            provenance: client.prepare("SELECT count(*) FROM costsim_write_provenance_batch($1)")?,
            drift: client.prepare("SELECT id FROM costsim_report_drift($1, $2, $3)")?,
            window: client.prepare(
                "INSERT INTO demo_windows (first_seq, last_seq, requests, edition, answered_by, v1_cents, v2_cents, drift,
                                           incident_id, node_id, token, led_since)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            )?,
        })
    }
}

impl Replica {
    fn connect(options: &Options) -> Result<Self> {
        let mut client = Client::connect(&options.connection, NoTls).context("connecting to the server")?;
        client.batch_execute("LISTEN costsim_leader_released")?;
        let statements = Statements::prepare(&mut client)?;
        Ok(Replica { client, statements, node: options.node.clone(), window: options.window, done_up_to: 0 })
    }

    /// Whether this replica leads from now on.
    fn lead(&mut self) -> Result<bool> {
        let leads =
            self.client.query_one("SELECT costsim_try_leader($1, $2)", &[&LOCK_ID, &self.node])?.get(0);
        if leads {
            // Another replica may have led in between.
            self.done_up_to = 0;
            let token = self.client.query_one("SELECT token FROM costsim_leader($1)", &[&LOCK_ID])?.get(0);
            tell(&Event::Leading { token })?;
        }
        Ok(leads)
    }

    /// Until a leader says that it gave up, and for a moment at most.
    fn wait(&mut self) -> Result<()> {
        self.client.notifications().timeout_iter(PATIENCE).next()?;
        Ok(())
    }

    fn price_window(&mut self) -> Result<Turn> {
        let mut work = self.client.transaction()?;
        let turn = price_window(&mut work, &self.statements, &self.node, self.done_up_to, self.window)?;
        match &turn {
            Turn::Priced(window) => {
                work.commit()?;
                self.done_up_to = window.last_seq;
            }
            Turn::NothingToDo | Turn::Deposed => work.rollback()?,
        }
        Ok(turn)
    }
}

/// The edition of one model that is in force.
struct InForce {
    edition: String,
    prices: Prices,
}

fn price_window(
    work: &mut Transaction<'_>,
    statements: &Statements,
    node: &str,
    done_up_to: i64,
    size: i64,
) -> Result<Turn> {
    let term = work.query_one(&statements.term, &[&LOCK_ID])?;
    if !term.get::<_, bool>(0) {
        return Ok(Turn::Deposed);
    }
    let answered_by = if term.get(1) { "v1" } else { "v2" };
    let token: i64 = term.get(2);
    let led_since: DateTime<Utc> = term.get(3);

    let requests = work.query(&statements.requests, &[&done_up_to, &size])?;
    let (Some(first), Some(last)) = (requests.first(), requests.last()) else { return Ok(Turn::NothingToDo) };
    let (first_seq, last_seq): (i64, i64) = (first.get(0), last.get(0));
    // An edition comes into force at the first request of a window, so the window has one.
    let v1 = in_force(work, statements, first_seq, "v1")?;
    let v2 = in_force(work, statements, first_seq, "v2")?;

    let (mut v1_cents, mut v2_cents) = (0.0, 0.0);
    let mut records = Vec::with_capacity(requests.len());
    for request in &requests {
        let (seq, context_tokens, generated_tokens): (i64, i32, i32) =
            (request.get(0), request.get(1), request.get(2));
        // Both models, always: while the breaker is open V2 is still computed, in the shadow of V1's answer.
        let v1_cost = v1.prices.cost(context_tokens, generated_tokens);
        let v2_cost = v2.prices.cost(context_tokens, generated_tokens);
        v1_cents += v1_cost;
        v2_cents += v2_cost;
        records.push(json!({
            "run_id": format!("request-{seq}"),
            "tenant_id": "demo",
            "variant_slug": answered_by,
            "source": "sandbox",
            "model_version": v2.edition,
            "input_hash": request.get::<_, String>(3),
            "v1_cost": v1_cost,
            "v2_cost": v2_cost,
            "payload": {
                "seq": seq,
                "context_tokens": context_tokens,
                "generated_tokens": generated_tokens,
                "v1_edition": v1.edition,
                "leader": node,
                "token": token,
            },
        }));
    }
    work.execute(&statements.provenance, &[&Json(&records)])?;

    let drift = prices::drift(v1_cents, v2_cents);
    let count = i32::try_from(requests.len()).context("the window is too large")?;
    let details =
        json!({"first_seq": first_seq, "last_seq": last_seq, "edition": v2.edition, "reported_by": node});
    let incident_id: Option<String> = work
        .query_opt(&statements.drift, &[&drift, &count, &Json(&details)])?
        .map(|incident| incident.get(0));

    work.execute(
        &statements.window,
        &[
            &first_seq,
            &last_seq,
            &count,
            &v2.edition,
            &answered_by,
            &v1_cents,
            &v2_cents,
            &drift,
            &incident_id,
            &node,
            &token,
            &led_since,
        ],
    )?;
    Ok(Turn::Priced(Window {
        first_seq,
        last_seq,
        drift,
        edition: v2.edition,
        answered_by: answered_by.into(),
        incident_id,
    }))
}

fn in_force(work: &mut Transaction<'_>, statements: &Statements, seq: i64, model: &str) -> Result<InForce> {
    let row = work
        .query_opt(&statements.prices, &[&model, &seq])?
        .with_context(|| format!("no edition of {model} is in force at request {seq}"))?;
    Ok(InForce {
        edition: row.get(0),
        prices: Prices { input_per_1k: row.get(1), output_per_1k: row.get(2) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replica_events_survive_the_pipe() {
        let window = Window {
            first_seq: 1,
            last_seq: 500,
            drift: 0.031_415_926_535,
            edition: "v2-2024.1".into(),
            answered_by: "v2".into(),
            incident_id: None,
        };
        for event in [Event::Following, Event::Leading { token: 4_294_967_297 }, Event::Window(window)] {
            let line = serde_json::to_string(&event).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        }
    }
}
