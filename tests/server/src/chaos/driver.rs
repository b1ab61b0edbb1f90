//! A run: starts the candidates, injects, and takes down what happened.

use super::fleet::Fleet;
use super::outcome::{self, Figures, Outcome};
use super::pauses::Pauses;
use super::{Kind, TABLES};
use crate::{LIMIT, one};
use anyhow::{Context, Result, bail, ensure};
use costsim_harness::{Cluster, Signal, wait_until};
use fastrand::Rng;
use postgres::Client;
use postgres::error::SqlState;
use std::fs::read_link;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A run that is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program of a candidate.
    pub program: PathBuf,
    /// Where all random numbers come from. The same one makes the same plan, not the same run.
    pub seed: u64,
    /// How long at least.
    pub time: Duration,
    /// How much longer, until there is enough to be checked.
    pub patience: Duration,
    pub lease: Duration,
    /// Whether every write goes through `costsim_require_leader`.
    pub is_fenced: bool,
    /// The locks, and how each one's candidates lead.
    pub locks: Vec<(i64, [Kind; 3])>,
    /// How often a server process is killed with -9, which takes the whole server with it.
    pub server_crashes: u32,
}

impl Plan {
    /// Runs it on a server of its own, until there is enough.
    pub fn run(&self, mut is_enough: impl FnMut(&mut Client) -> Result<bool>) -> Result<Outcome> {
        let cluster = Cluster::builder().conf("track_commit_timestamp", "on").start()?;
        let cluster = Arc::new(cluster);
        self.prepare(cluster.create_database_with_extension("chaos")?)?;
        let mut driver = Driver::start(self, &cluster)?;
        let began_at = Instant::now();
        driver.rage(began_at, &mut is_enough)?;
        let (figures, seconds) = (driver.figures, began_at.elapsed().as_secs());
        driver.end();

        let mut client = reconnect(&cluster)?;
        wait_for_the_last_backend(&mut client)?;
        let outcome = outcome::take(&mut client, self, figures, seconds, &cluster.log()?)?;
        self.lead_every_lock(&mut client)?;
        Ok(outcome)
    }

    fn prepare(&self, mut client: Client) -> Result<()> {
        client.batch_execute(TABLES)?;
        for (lock, _) in &self.locks {
            client.execute("INSERT INTO chaos_counters (lock_id) VALUES ($1)", &[lock])?;
        }
        Ok(())
    }

    /// Whatever happened to it, a lock can be led once all is quiet.
    fn lead_every_lock(&self, client: &mut Client) -> Result<()> {
        for (lock, _) in &self.locks {
            let query = format!("SELECT costsim_try_leader({lock}, 'afterwards')");
            wait_until(LIMIT, &format!("lock {lock} to be free"), || {
                Ok(one::<bool>(client, &query)?.then_some(()))
            })?;
        }
        Ok(())
    }
}

/// A candidate as the server sees it.
struct Seen {
    /// Its place in the fleet.
    index: usize,
    backend: i32,
    leads: bool,
}

struct Driver<'a> {
    cluster: &'a Arc<Cluster>,
    plan: &'a Plan,
    rng: Rng,
    /// None while the server is away.
    client: Option<Client>,
    // The order matters when a run fails: what is paused goes on first.
    clients: Pauses,
    backends: Pauses,
    fleet: Fleet,
    figures: Figures,
}

impl<'a> Driver<'a> {
    fn start(plan: &'a Plan, cluster: &'a Arc<Cluster>) -> Result<Self> {
        let mut rng = Rng::with_seed(plan.seed);
        let mut fleet = Fleet::new(&plan.program, rng.fork());
        for (lock, kinds) in &plan.locks {
            for kind in kinds {
                fleet.add(&cluster.conn_string("chaos"), *lock, *kind, plan.lease, plan.is_fenced)?;
            }
        }
        let program = plan.program.canonicalize()?;
        let of_cluster = cluster.clone();
        Ok(Self {
            cluster,
            plan,
            rng,
            client: None,
            clients: Pauses::new(Arc::new(move |pid, signal| signal_program(&program, pid, signal))),
            backends: Pauses::new(Arc::new(move |pid, signal| of_cluster.kill_backend(pid, signal))),
            fleet,
            figures: Figures::default(),
        })
    }

    /// Everything goes on, then every candidate is killed.
    fn end(self) {}

    fn rage(
        &mut self,
        began_at: Instant,
        is_enough: &mut impl FnMut(&mut Client) -> Result<bool>,
    ) -> Result<()> {
        let plan = self.plan;
        // Spread over the run, not before the first terms and not too late for new ones.
        let mut crashes: Vec<Instant> = (0..plan.server_crashes)
            .map(|number| {
                let share = (f64::from(number) + 0.2 + 0.6 * self.rng.f64()) / f64::from(plan.server_crashes);
                began_at + plan.time.mul_f64(share)
            })
            .rev()
            .collect();
        let mut asked_at = began_at;
        loop {
            self.fleet.check()?;
            let now = Instant::now();
            let seen = self.look()?;
            if crashes.last().is_some_and(|at| *at <= now) {
                if self.crash(&seen)? {
                    crashes.pop();
                }
            } else {
                self.inject(&seen)?;
            }
            // The pace of what is injected; nothing is waited for.
            thread::sleep(Duration::from_millis(self.rng.u64(40..300)));

            let age = began_at.elapsed();
            if age < plan.time || asked_at.elapsed() < Duration::from_secs(1) {
                continue;
            }
            asked_at = Instant::now();
            if crashes.is_empty() && self.with_client(&mut *is_enough)?.unwrap_or(false) {
                return Ok(());
            }
            if age > plan.time + plan.patience {
                eprintln!("seed {}: the run ends without having reached what it was to reach", plan.seed);
                return Ok(());
            }
        }
    }

    /// Asks the server something; None if it is away, or said so by ending the session.
    fn with_client<T>(&mut self, ask: impl FnOnce(&mut Client) -> Result<T>) -> Result<Option<T>> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => match self.cluster.connect("chaos") {
                Ok(mut client) => {
                    // A stopped process may stop others; this one has to look after all of them.
                    if client.batch_execute("SET statement_timeout = '3s'").is_err() {
                        return Ok(None);
                    }
                    client
                }
                Err(_) => return Ok(None),
            },
        };
        let answer = ask(&mut client);
        match answer {
            Err(_) if client.is_closed() => Ok(None),
            Err(error) if is_transient(&error) => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => {
                self.client = Some(client);
                Ok(Some(answer))
            }
        }
    }

    /// Who is connected, and who leads as far as the rows tell.
    fn look(&mut self) -> Result<Vec<Seen>> {
        let query = "SELECT a.application_name, a.pid,
                            EXISTS (SELECT FROM costsim_leaders l
                                     WHERE l.node_id = a.application_name AND l.released_at IS NULL)
                       FROM pg_stat_activity a
                      WHERE a.datname = 'chaos' AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()";
        let rows = self.with_client(|client| Ok(client.query(query, &[])?))?.unwrap_or_default();
        let mut seen = Vec::new();
        for row in rows {
            let (node, backend, leads): (String, i32, bool) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            // A killed one's server process lives on for a moment.
            if let Some(index) = self.fleet.candidates().iter().position(|candidate| candidate.node() == node)
            {
                seen.push(Seen { index, backend, leads });
            }
        }
        Ok(seen)
    }

    /// Mostly a leader: what happens to others shows little.
    fn choose<'s>(&mut self, seen: &'s [Seen]) -> Option<&'s Seen> {
        let leaders: Vec<&Seen> = seen.iter().filter(|seen| seen.leads).collect();
        if self.rng.u32(0..10) < 7 && !leaders.is_empty() {
            return self.rng.choice(leaders);
        }
        self.rng.choice(seen)
    }

    /// Longer than the lease, so its term can be over before it goes on.
    fn pause(&mut self) -> Duration {
        self.plan.lease.mul_f64(1.2 + 0.8 * self.rng.f64())
    }

    fn inject(&mut self, seen: &[Seen]) -> Result<()> {
        let Some(victim) = self.choose(seen) else { return Ok(()) };
        let (index, backend) = (victim.index, victim.backend);
        let is_paused = self.backends.includes(backend);
        match self.rng.u32(0..100) {
            0..50 => self.pause_client(index, backend),
            50..60 => {
                let time = self.pause();
                self.figures.backend_pauses += u64::from(self.backends.stop(backend, time));
                Ok(())
            }
            // It would take the signal when it goes on, and that is another experiment.
            _ if is_paused => Ok(()),
            60..80 => {
                self.cancel(backend);
                Ok(())
            }
            80..88 => {
                self.figures.terminated_backends +=
                    u64::from(self.cluster.kill_backend(backend, Signal::TERM).is_ok());
                Ok(())
            }
            88..96 => {
                self.figures.killed_clients += 1;
                self.fleet.kill(index)
            }
            _ => self.resign(),
        }
    }

    fn pause_client(&mut self, index: usize, backend: i32) -> Result<()> {
        let candidate = self.fleet.candidates().get(index).context("a candidate that was seen")?;
        let pid = candidate.pid()?;
        let time = self.pause();
        if !self.clients.stop(pid, time) {
            return Ok(());
        }
        self.figures.client_pauses += 1;
        // Where it was caught can only be told now, while it stands still.
        let query = "SELECT query FROM pg_stat_activity WHERE pid = $1 AND state = 'idle in transaction'";
        let caught = self.with_client(|client| Ok(client.query_opt(query, &[&backend])?))?.flatten();
        if let Some(row) = caught {
            let last: String = row.try_get(0)?;
            let inserted = last.starts_with("INSERT INTO chaos_writes");
            self.figures.pauses_before_commit += u64::from(inserted);
            self.figures.pauses_before_write += u64::from(!inserted);
        }
        Ok(())
    }

    /// Between two statements there is nothing to cancel, so many are sent in a row.
    fn cancel(&mut self, backend: i32) {
        for _ in 0..30 {
            self.figures.cancels += u64::from(self.cluster.kill_backend(backend, Signal::INT).is_ok());
            thread::sleep(Duration::from_micros(self.rng.u64(50..500)));
        }
    }

    fn resign(&mut self) -> Result<()> {
        let Some((lock, _)) = self.rng.choice(&self.plan.locks).copied() else { return Ok(()) };
        let resigned = self.with_client(|client| {
            let row = client.query_one("SELECT costsim_resign_leader($1, 'chaos')", &[&lock])?;
            Ok(row.try_get::<_, bool>(0)?)
        })?;
        self.figures.resignations += u64::from(resigned == Some(true));
        Ok(())
    }

    /// A server process that is killed takes the whole server with it; false if there was none to kill.
    fn crash(&mut self, seen: &[Seen]) -> Result<bool> {
        let Some(victim) = self.choose(seen) else { return Ok(false) };
        if self.cluster.kill_backend(victim.backend, Signal::KILL).is_err() {
            return Ok(false);
        }
        self.client = None;
        self.figures.server_crashes += 1;
        // Everything that follows needs the server back.
        reconnect(self.cluster)?;
        Ok(true)
    }
}

/// What a server that is away, or that stands still for a moment, says.
fn is_transient(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<postgres::Error>().and_then(postgres::Error::code);
    code.is_some_and(|code| {
        [
            SqlState::QUERY_CANCELED,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
        ]
        .contains(code)
    })
}

/// Sends a signal to a process that runs this program: a number may be used again.
fn signal_program(program: &Path, pid: i32, signal: Signal) -> Result<()> {
    let runs = read_link(format!("/proc/{pid}/exe")).with_context(|| format!("no process {pid}"))?;
    ensure!(runs == program, "process {pid} is no candidate but {}", runs.display());
    crate::child::signal(pid, signal)
}

fn reconnect(cluster: &Cluster) -> Result<Client> {
    wait_until(LIMIT, "the server to be there", || {
        let mut client = cluster.connect("chaos")?;
        one::<bool>(&mut client, "SELECT true")?;
        Ok(Some(client))
    })
}

/// What the candidates sent last may still commit.
fn wait_for_the_last_backend(client: &mut Client) -> Result<()> {
    let others = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = 'chaos' AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    wait_until(LIMIT, "the candidates' sessions to end", || match one::<i64>(client, others)? {
        0 => Ok(Some(())),
        some => bail!("{some} are there"),
    })
}
