//! The primary dies with its last terms untold, its standby is promoted, and again: tokens only grow.

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{LIMIT, Standby, check_the_books, crash, one};
use fastrand::Rng;
use postgres::Client;

const ROUNDS: i64 = 20;

/// One lock for each mode.
const BY_SESSION: i64 = 7001;
const BY_LEASE: i64 = 7002;

/// The greatest tokens anybody has ever seen, whatever became of the server that gave them.
#[derive(Default)]
struct Seen {
    by_session: i64,
    by_lease: i64,
}

impl Seen {
    /// The next term of each mode. Ended by its leader, or left to its end with the session or the lease.
    fn lead(&mut self, client: &mut Client, node: &str, is_given_back: bool) -> Result<()> {
        let began: bool = one(client, &format!("SELECT costsim_try_leader({BY_SESSION}, '{node}')"))?;
        ensure!(began, "somebody leads");
        let token = one(client, &format!("SELECT costsim_fencing_token({BY_SESSION})"))?;
        grows(&mut self.by_session, token)?;
        // A name of its own per term: the same one would renew the lease that the server before gave it.
        let ask = format!("SELECT costsim_try_lease({BY_LEASE}, '{node}', '100 ms')");
        let token = wait_until(LIMIT, "a lease", || one::<Option<i64>>(client, &ask))?;
        grows(&mut self.by_lease, token)?;
        if is_given_back {
            let is_over: bool = one(client, &format!("SELECT costsim_release_leader({BY_SESSION})"))?;
            ensure!(is_over, "the lock cannot be given back");
            // Its short lease may have run out already.
            one::<bool>(client, &format!("SELECT costsim_release_lease({BY_LEASE}, {token})"))?;
        } else {
            client.batch_execute("SELECT pg_advisory_unlock_all()")?;
        }
        Ok(())
    }
}

fn grows(latest: &mut i64, token: i64) -> Result<()> {
    ensure!(token > *latest, "token {token} after {latest}");
    *latest = token;
    Ok(())
}

/// The server that everybody writes to.
enum Primary<'a> {
    Original(&'a Cluster),
    Promoted(Standby<'a>),
}

impl<'a> Primary<'a> {
    fn connect(&self) -> Result<Client> {
        match self {
            Self::Original(cluster) => cluster.connect("app"),
            Self::Promoted(server) => server.connect("app"),
        }
    }

    fn start_standby(&self) -> Result<Standby<'a>> {
        match self {
            Self::Original(cluster) => Standby::start(cluster),
            Self::Promoted(server) => server.start_another(),
        }
    }

    fn crash(self) -> Result<()> {
        match self {
            Self::Original(cluster) => crash(cluster),
            Self::Promoted(server) => server.crash(),
        }
    }
}

#[test]
fn tokens_grow_over_twenty_crashes_of_the_primary() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    cluster.create_database_with_extension("app")?;
    let mut random = Rng::with_seed(20);
    let mut seen = Seen::default();
    let mut primary = Primary::Original(&cluster);
    for round in 1..=ROUNDS {
        let mut leader = primary.connect()?;
        let standby = primary.start_standby()?;
        for term in 0..random.u8(0..3) {
            seen.lead(&mut leader, &format!("{round}.{term}"), random.bool())?;
        }
        // Every other standby never hears of the last terms: their epochs are given a second time.
        standby.catch_up()?;
        if round % 2 == 0 {
            standby.cut_off()?;
            for term in 0..random.u8(1..5) {
                seen.lead(&mut leader, &format!("{round}.lost.{term}"), random.bool())?;
            }
        }
        // A term that runs while the server dies.
        let runs: bool = one(&mut leader, &format!("SELECT costsim_try_leader({BY_SESSION})"))?;
        ensure!(runs, "somebody leads");
        grows(
            &mut seen.by_session,
            one(&mut leader, &format!("SELECT costsim_fencing_token({BY_SESSION})"))?,
        )?;
        primary.crash()?;
        standby.promote()?;

        let mut heir = standby.connect("app")?;
        let leads: bool =
            one(&mut heir, &format!("SELECT leads FROM costsim_leader_status WHERE lock_id = {BY_SESSION}"))?;
        ensure!(!leads, "round {round}: a session of the dead server leads");
        seen.lead(&mut heir, &format!("{round}.first"), round % 3 == 0)
            .with_context(|| format!("round {round}"))?;
        assert_eq!(seen.by_session >> 32, round + 1, "a token says on which timeline it was given");
        assert_eq!(seen.by_lease >> 32, round + 1);
        check_the_books(&mut heir)?;
        primary = Primary::Promoted(standby);
    }
    Ok(())
}
