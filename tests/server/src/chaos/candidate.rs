//! A candidate: leads whenever it can, writes under its token, and believes in its term until the server says otherwise.

use crate::history::Kind;
use anyhow::{Context, Result, ensure};
use costsim_harness::Signal;
use fastrand::Rng;
use postgres::error::SqlState;
use postgres::{Client, Error, IsolationLevel, NoTls, Statement};
use rustix::process::{getppid, set_parent_process_death_signal};
use std::thread;
use std::time::{Duration, Instant};

/// What a candidate process is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Where the server is, in libpq's words.
    pub server: String,
    pub lock: i64,
    pub node: String,
    pub kind: Kind,
    pub lease: Duration,
    /// Whether its writes go through `costsim_require_leader`.
    pub is_fenced: bool,
    pub seed: u64,
    /// The process whose end is its own.
    pub parent: u32,
}

impl Role {
    /// The arguments of its program.
    pub fn arguments(&self) -> Vec<String> {
        vec![
            self.server.clone(),
            self.lock.to_string(),
            self.node.clone(),
            self.kind.name().to_owned(),
            self.lease.as_millis().to_string(),
            self.is_fenced.to_string(),
            self.seed.to_string(),
            self.parent.to_string(),
        ]
    }

    pub fn from_arguments(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let mut next = |what: &str| arguments.next().with_context(|| format!("no argument says {what}"));
        Ok(Self {
            server: next("where the server is")?,
            lock: next("which lock")?.parse()?,
            node: next("the node's name")?,
            kind: Kind::from_name(&next("the kind of term")?).context("no kind of term")?,
            lease: Duration::from_millis(next("the lease")?.parse()?),
            is_fenced: next("whether it is fenced")?.parse()?,
            seed: next("the seed")?.parse()?,
            parent: next("the parent")?.parse()?,
        })
    }
}

/// What a candidate was doing when it was refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Seeking,
    Renewing,
    Writing,
    Committing,
    Releasing,
}

impl Doing {
    fn name(self) -> &'static str {
        match self {
            Self::Seeking => "seeking",
            Self::Renewing => "renewing",
            Self::Writing => "writing",
            Self::Committing => "committing",
            Self::Releasing => "releasing",
        }
    }
}

/// Runs a candidate for ever; it ends by being killed, or with its parent.
pub fn run(role: &Role) -> Result<()> {
    // Set first and asked then: a parent that ended before would not be noticed otherwise.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let parent = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    ensure!(parent == Some(role.parent), "the parent is gone");
    let mut candidate = Candidate {
        role,
        rng: Rng::with_seed(role.seed),
        token: None,
        renewed_at: Instant::now(),
        doing: Doing::Seeking,
    };
    loop {
        let session = Session::open(role);
        // The server is away: it recovers, or has too many sessions for a moment.
        let Ok(mut session) = session else {
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        // A term of a session went with it. A lease is its holder's on whatever connection.
        if role.kind == Kind::Session {
            candidate.token = None;
        }
        while !session.client.is_closed() {
            if let Err(error) = candidate.step(&mut session) {
                candidate.settle(&mut session, &error);
            }
        }
    }
}

/// A connection and what is prepared on it.
struct Session {
    client: Client,
    insert: Statement,
    promise: Statement,
    renew: Statement,
}

impl Session {
    fn open(role: &Role) -> Result<Self, Error> {
        let mut config: postgres::Config = role.server.parse()?;
        config.application_name(&role.node);
        let mut client = config.connect(NoTls)?;
        let insert = client.prepare("INSERT INTO chaos_writes (lock_id, token, node) VALUES ($1, $2, $3)")?;
        let promise = client.prepare(
            "INSERT INTO chaos_promises
             SELECT lock_id, token, lease_until FROM costsim_leaders WHERE lock_id = $1 AND token = $2",
        )?;
        // One statement, so a promise is on record if and only if the renewal is.
        let renew = client.prepare(
            "INSERT INTO chaos_promises
             SELECT $1, $2, until FROM costsim_renew_lease($1, $2) AS until WHERE until IS NOT NULL",
        )?;
        Ok(Self { client, insert, promise, renew })
    }
}

struct Candidate<'a> {
    role: &'a Role,
    rng: Rng,
    /// The term it believes in.
    token: Option<i64>,
    renewed_at: Instant,
    doing: Doing,
}

impl Candidate<'_> {
    /// One chance in so many.
    fn happens_once_in(&mut self, times: u32) -> bool {
        self.rng.u32(0..times) == 0
    }

    /// What an application does between two statements. Most of a transaction's time is spent here, so this is where
    /// most pauses hit.
    fn think(&mut self) {
        let time = Duration::from_micros(self.rng.u64(0..3_000));
        if self.rng.bool() {
            thread::sleep(time);
        }
    }

    fn step(&mut self, session: &mut Session) -> Result<(), Error> {
        let Some(token) = self.token else {
            self.doing = Doing::Seeking;
            self.seek(session)?;
            if self.token.is_none() {
                thread::sleep(Duration::from_millis(self.rng.u64(5..40)));
            }
            return Ok(());
        };
        if self.renewed_at.elapsed() > self.role.lease / 3 {
            self.doing = Doing::Renewing;
            self.renew(session, token)
        } else if self.happens_once_in(300) {
            self.doing = Doing::Releasing;
            self.release(&mut session.client, token)
        } else {
            self.doing = Doing::Writing;
            self.write(session, token)
        }
    }

    /// Tries to lead: alone, in a transaction, in one that is rolled back, or in the queue.
    fn seek(&mut self, session: &mut Session) -> Result<(), Error> {
        let began_at = Instant::now();
        let way = self.rng.u32(0..10);
        let client = &mut session.client;
        let token = match way {
            0 => {
                let mut transaction = client.transaction()?;
                self.ask_to_lead(&mut transaction)?;
                self.think();
                transaction.rollback()?;
                None
            }
            1..=4 => {
                let mut transaction = client.transaction()?;
                let token = self.ask_to_lead(&mut transaction)?;
                if let Some(token) = token {
                    transaction.execute(&session.promise, &[&self.role.lock, &token])?;
                    self.think();
                }
                transaction.commit()?;
                token
            }
            5..=6 if self.role.kind == Kind::Session => {
                let query = format!(
                    "SELECT costsim_wait_leader({}, '{} ms', '{}', '{} ms')",
                    self.role.lock,
                    self.role.lease.as_millis(),
                    self.role.node,
                    self.role.lease.as_millis()
                );
                let leads: bool = client.query_one(&query, &[])?.try_get(0)?;
                if leads { self.own_token(client)? } else { None }
            }
            _ => self.ask_to_lead(client)?,
        };
        self.token = token;
        self.renewed_at = began_at;
        Ok(())
    }

    /// The token of the term it leads from now on, or led already.
    fn ask_to_lead(&self, client: &mut impl postgres::GenericClient) -> Result<Option<i64>, Error> {
        let Role { lock, node, lease, .. } = self.role;
        let lease = lease.as_millis();
        match self.role.kind {
            Kind::Session => {
                let query = format!("SELECT costsim_try_leader({lock}, '{node}', '{lease} ms')");
                let leads: bool = client.query_one(&query, &[])?.try_get(0)?;
                if leads { self.own_token(client) } else { Ok(None) }
            }
            Kind::Lease => {
                let query = format!("SELECT costsim_try_lease({lock}, '{node}', '{lease} ms')");
                client.query_one(&query, &[])?.try_get(0)
            }
        }
    }

    fn own_token(&self, client: &mut impl postgres::GenericClient) -> Result<Option<i64>, Error> {
        client.query_one("SELECT costsim_fencing_token($1)", &[&self.role.lock])?.try_get(0)
    }

    fn renew(&mut self, session: &mut Session, token: i64) -> Result<(), Error> {
        let began_at = Instant::now();
        if self.rng.bool() {
            let renewed = session.client.execute(&session.renew, &[&self.role.lock, &token])?;
            if renewed == 0 {
                self.token = None;
            }
        } else {
            // Asking again is renewing, as long as it is the same term; otherwise it is the next one.
            self.token = self.ask_to_lead(&mut session.client)?;
        }
        self.renewed_at = began_at;
        Ok(())
    }

    fn release_query(&self, token: i64) -> String {
        match self.role.kind {
            Kind::Session => format!("SELECT costsim_release_leader({})", self.role.lock),
            Kind::Lease => format!("SELECT costsim_release_lease({}, {token})", self.role.lock),
        }
    }

    fn release(&mut self, client: &mut Client, token: i64) -> Result<(), Error> {
        client.batch_execute(&self.release_query(token))?;
        self.token = None;
        Ok(())
    }

    /// One transaction, one row. The requirement comes first, as in an application; everything a transaction may do
    /// besides comes now and then.
    fn write(&mut self, session: &mut Session, token: i64) -> Result<(), Error> {
        let isolation = match self.rng.u32(0..4) {
            0 => IsolationLevel::RepeatableRead,
            1 => IsolationLevel::Serializable,
            _ => IsolationLevel::ReadCommitted,
        };
        let lock = self.role.lock;
        // A session that leads may leave the token out: then it is its own leadership that is required.
        let require = if self.role.kind == Kind::Session && self.rng.bool() {
            format!("SELECT costsim_require_leader({lock})")
        } else {
            format!("SELECT costsim_require_leader({lock}, {token})")
        };
        let require = if self.role.is_fenced { require } else { "SELECT 'nothing is required'".to_owned() };

        let mut transaction = session.client.build_transaction().isolation_level(isolation).start()?;
        if self.happens_once_in(10) {
            transaction.batch_execute(&format!("SAVEPOINT s; {require}; RELEASE s"))?;
        } else {
            transaction.batch_execute(&require)?;
        }
        self.think();
        match self.rng.u32(0..20) {
            0 => transaction.batch_execute(&format!("SAVEPOINT s; {require}; ROLLBACK TO s"))?,
            1 => transaction
                .batch_execute(&format!("UPDATE chaos_counters SET n = n + 1 WHERE lock_id = {lock}"))?,
            2..=4 => transaction.batch_execute("SELECT max(id) FROM chaos_writes")?,
            _ => {}
        }
        transaction.execute(&session.insert, &[&lock, &token, &self.role.node])?;
        self.think();
        // What is given back here still counts until the commit.
        let is_last = self.happens_once_in(200);
        if is_last {
            transaction.batch_execute(&self.release_query(token))?;
        }
        self.doing = Doing::Committing;
        transaction.commit()?;
        if is_last {
            self.token = None;
        }
        Ok(())
    }

    /// Puts on record what the server refused; goes on as if nothing were, unless the term is over.
    fn settle(&mut self, session: &mut Session, error: &Error) {
        // No answer of the server: the connection is lost.
        let Some(code) = error.code() else { return };
        if matches!(self.doing, Doing::Writing | Doing::Committing)
            && *code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
        {
            self.token = None;
        }
        let report = "INSERT INTO chaos_errors (node, doing, sqlstate, message) VALUES ($1, $2, $3, $4)";
        let message = error.as_db_error().map_or("", |error| error.message());
        // A COMMIT or ROLLBACK that is cancelled leaves its transaction open, and these may be cancelled, too.
        for _ in 0..5 {
            let parameters: [&(dyn postgres::types::ToSql + Sync); 4] =
                [&self.role.node, &self.doing.name(), &code.code(), &message];
            if session.client.is_closed()
                || session.client.batch_execute("ROLLBACK").is_ok()
                    && session.client.execute(report, &parameters).is_ok()
            {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_survives_its_way_through_the_arguments() {
        let role = Role {
            server: "host='/tmp/it''s here' port=1".into(),
            lock: -7,
            node: "7-a".into(),
            kind: Kind::Lease,
            lease: Duration::from_millis(900),
            is_fenced: false,
            seed: u64::MAX,
            parent: 42,
        };
        assert_eq!(Role::from_arguments(role.arguments()).unwrap(), role);
        assert!(Role::from_arguments(role.arguments().into_iter().take(7)).is_err());
    }
}
