//! How long nobody leads: from the end of one leader to the moment the next one knows.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::{Cluster, Psql, Signal, wait_until};
use postgres::{Client, NoTls, Statement};
use serde::Serialize;

/// Far beyond every hand-over: what takes longer does not happen at all.
const LIMIT: Duration = Duration::from_secs(60);

/// How leadership is taken, waited for and given back. Each answers true.
struct Words {
    take: &'static str,
    wait: &'static str,
    give_back: &'static str,
}

static OURS: Words = Words {
    take: "SELECT costsim_try_leader(7010)",
    wait: "SELECT costsim_wait_leader(7010, '1 min')",
    give_back: "SELECT costsim_release_leader(7010)",
};

static PLAIN: Words = Words {
    take: "SELECT pg_try_advisory_lock(7011)",
    wait: "SELECT true FROM pg_advisory_lock(7011)",
    give_back: "SELECT pg_advisory_unlock(7011)",
};

static LEASED: Words = Words {
    take: "SELECT costsim_try_leader(7012, NULL, '1 s')",
    wait: "SELECT costsim_wait_leader(7012, '1 min')",
    give_back: "SELECT costsim_release_leader(7012)",
};

/// One hand-over, and how long it took.
type Round<'a> = Box<dyn FnMut() -> Result<Duration> + 'a>;

/// A way for a term to end.
pub struct Handover {
    pub name: &'static str,
    pub label: &'static str,
    ours: &'static Words,
    theirs: Option<&'static Words>,
    /// One in so many of the rounds asked for: some ends take long.
    every: usize,
    scene: for<'a> fn(&'a Cluster, &'a str, &'static Words) -> Result<Round<'a>>,
}

pub const HANDOVERS: [Handover; 4] = [
    Handover {
        name: "leader_handover_release",
        label: "the leader gives back",
        ours: &OURS,
        theirs: Some(&PLAIN),
        every: 1,
        scene: on_release,
    },
    Handover {
        name: "leader_handover_client_killed",
        label: "its client is killed",
        ours: &OURS,
        theirs: Some(&PLAIN),
        every: 1,
        scene: on_client_killed,
    },
    Handover {
        name: "leader_handover_backend_killed",
        label: "its backend is killed (restart)",
        ours: &OURS,
        theirs: Some(&PLAIN),
        every: 2,
        scene: on_backend_killed,
    },
    Handover {
        name: "leader_handover_lease_over",
        label: "it is stopped, its lease over",
        ours: &LEASED,
        theirs: None,
        every: 10,
        scene: on_lease_over,
    },
];

/// Milliseconds of each round, in the order they ran.
#[derive(Serialize)]
pub struct Latencies {
    pub name: &'static str,
    pub ours: &'static str,
    pub theirs: Option<&'static str>,
    pub ours_ms: Vec<f64>,
    pub theirs_ms: Vec<f64>,
}

impl Handover {
    /// Runs both sides in turn.
    pub fn measure(&self, cluster: &Cluster, database: &str, rounds: usize) -> Result<Latencies> {
        let rounds = (rounds / self.every).max(1);
        let mut ours = (self.scene)(cluster, database, self.ours)?;
        let mut theirs = self.theirs.map(|words| (self.scene)(cluster, database, words)).transpose()?;
        let (mut ours_ms, mut theirs_ms) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            for is_ours in [round % 2 == 0, round % 2 != 0] {
                if is_ours {
                    ours_ms.push(milliseconds(ours()?));
                } else if let Some(theirs) = &mut theirs {
                    theirs_ms.push(milliseconds(theirs()?));
                }
            }
        }
        Ok(Latencies {
            name: self.name,
            ours: self.ours.wait,
            theirs: self.theirs.map(|words| words.wait),
            ours_ms,
            theirs_ms,
        })
    }
}

/// The smallest number that so many per cent of them do not exceed; of few, the greatest.
pub fn percentile(numbers: &[f64], per_cent: usize) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * per_cent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The leader gives back while another session waits; then the two change places.
fn on_release<'a>(cluster: &'a Cluster, database: &'a str, words: &'static Words) -> Result<Round<'a>> {
    let mut observer = cluster.connect(database)?;
    let mut holder = Session::open(cluster, database, words)?;
    let mut candidate = Session::open(cluster, database, words)?;
    holder.take()?;
    Ok(Box::new(move || {
        let latency = hand_over(&mut observer, &mut candidate, || holder.give_back())?;
        std::mem::swap(&mut holder, &mut candidate);
        Ok(latency)
    }))
}

/// The leader's client is killed and says nothing more; its backend finds the connection closed.
fn on_client_killed<'a>(cluster: &'a Cluster, database: &'a str, words: &'static Words) -> Result<Round<'a>> {
    let mut observer = cluster.connect(database)?;
    let mut candidate = Session::open(cluster, database, words)?;
    Ok(Box::new(move || {
        let mut holder = Psql::start(cluster, database)?;
        ensure!(holder.ask(words.take)? == "t", "the holder does not lead");
        let latency = hand_over(&mut observer, &mut candidate, || holder.kill())?;
        candidate.give_back()?;
        Ok(latency)
    }))
}

/// The leader's backend is killed. The server drops every session and recovers, so nobody can wait in its queue: a candidate
/// connects and asks until it leads.
fn on_backend_killed<'a>(
    cluster: &'a Cluster,
    database: &'a str,
    words: &'static Words,
) -> Result<Round<'a>> {
    Ok(Box::new(move || {
        let mut holder = Session::open(cluster, database, words)?;
        holder.take()?;
        // Recovery starts here, whatever was written before.
        holder.client.batch_execute("CHECKPOINT")?;
        let killed = Instant::now();
        cluster.kill_backend(holder.pid, Signal::KILL)?;
        let mut candidate = loop {
            let asked = Session::open(cluster, database, words)
                .and_then(|mut candidate| candidate.take().map(|()| candidate));
            match asked {
                Ok(candidate) => break candidate,
                Err(error) if killed.elapsed() > LIMIT => return Err(error),
                // The recovering server needs the processor too.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        };
        let latency = killed.elapsed();
        candidate.give_back()?;
        Ok(latency)
    }))
}

/// The leader's client stands still and does not renew; its session lives on, until the candidate ends it. The time counts from
/// the end of the lease.
fn on_lease_over<'a>(cluster: &'a Cluster, database: &'a str, words: &'static Words) -> Result<Round<'a>> {
    let mut observer = cluster.connect(database)?;
    let mut candidate = Session::open(cluster, database, words)?;
    Ok(Box::new(move || {
        let mut holder = Psql::start(cluster, database)?;
        ensure!(holder.ask(words.take)? == "t", "the holder does not lead");
        holder.suspend()?;
        let row = observer.query_one("SELECT lease_until FROM costsim_leaders WHERE lock_id = 7012", &[])?;
        let lease_until: SystemTime = row.get(0);
        ensure!(SystemTime::now() < lease_until, "the lease was over before anybody waited for its end");
        candidate.wait()?;
        let latency =
            SystemTime::now().duration_since(lease_until).context("led before the lease was over")?;
        candidate.give_back()?;
        Ok(latency)
    }))
}

/// Lets `candidate` wait, ends the leader once it does, and answers how long it waited from then on.
fn hand_over(
    observer: &mut Client,
    candidate: &mut Session,
    end: impl FnOnce() -> Result<()>,
) -> Result<Duration> {
    let pid = candidate.pid;
    thread::scope(|scope| {
        let waiting = scope.spawn(|| candidate.wait());
        wait_until(LIMIT, "the candidate to wait", || {
            let row = observer
                .query_one("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)", &[&pid])?;
            Ok(row.get::<_, bool>(0).then_some(()))
        })?;
        let ended = Instant::now();
        end()?;
        let led = waiting.join().map_err(|_| anyhow!("the waiting thread broke off"))??;
        Ok(led - ended)
    })
}

/// A connection that leads or wants to. Its statements are prepared, so that the figure has no round trip but the one that counts.
struct Session {
    client: Client,
    pid: i32,
    take: Statement,
    wait: Statement,
    give_back: Statement,
}

impl Session {
    fn open(cluster: &Cluster, database: &str, words: &Words) -> Result<Self> {
        // A hand-over that never comes shall end the run, not hang it.
        let options = format!("-c statement_timeout={}", LIMIT.as_millis());
        let mut client = cluster.config(database).options(&options).connect(NoTls)?;
        Ok(Self {
            pid: client.query_one("SELECT pg_backend_pid()", &[])?.get(0),
            take: client.prepare(words.take)?,
            wait: client.prepare(words.wait)?,
            give_back: client.prepare(words.give_back)?,
            client,
        })
    }

    fn take(&mut self) -> Result<()> {
        let leads: bool = self.client.query_one(&self.take, &[])?.get(0);
        ensure!(leads, "somebody else leads");
        Ok(())
    }

    /// Answers when the answer came.
    fn wait(&mut self) -> Result<Instant> {
        let leads: bool = self.client.query_one(&self.wait, &[])?.get(0);
        let answered = Instant::now();
        ensure!(leads, "waited in vain");
        Ok(answered)
    }

    fn give_back(&mut self) -> Result<()> {
        let led: bool = self.client.query_one(&self.give_back, &[])?.get(0);
        ensure!(led, "did not lead");
        Ok(())
    }
}
