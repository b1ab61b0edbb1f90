//! Drift that is answered from roll-ups is the drift of the rows, at every moment and for everybody who asks.
//!
//! Sessions write, move, delete, purge and truncate, take some of it back, prepare it, commit it late, and go past ordinary triggers;
//! refreshes run whenever they like. Again and again `costsim_drift_stats` is asked of some range, and in the same snapshot the
//! aggregate is asked of the raw rows. `COSTSIM_ROLLUP_STEPS`, `_ROUNDS` and `_SEED` make more of it, or the same again.

use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{Cluster, Signal, wait_until};
use costsim_server_tests::drift::{
    Question, Rows, check, check_thoroughly, refresh_everything, seed, setting, this_hour,
};
use costsim_server_tests::{LIMIT, Shared, Site, one, wait_for};
use fastrand::Rng;
use postgres::Client;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

/// A session that writes, and where it stands.
struct Player {
    client: Client,
    name: String,
    /// Rows are its own by their run: two players never wait for each other at a row.
    run: usize,
    in_transaction: bool,
    is_repeatable: bool,
    savepoints: usize,
    /// Since it has refreshed in its transaction, the next refresher waits for it.
    has_refreshed: bool,
}

/// What a step may come to besides success, and then its transaction is rolled back.
const CONFLICTS: [&str; 2] = ["40001", "40P01"];

impl Player {
    fn new(mut client: Client, name: String) -> Result<Self> {
        // Nobody waits; whoever does shows it by an error.
        client.batch_execute("SET lock_timeout = '10 s'; SET timezone = 'UTC'")?;
        Ok(Self {
            client,
            name,
            run: 0,
            in_transaction: false,
            is_repeatable: false,
            savepoints: 0,
            has_refreshed: false,
        })
    }

    fn run_id(&self) -> String {
        format!("{}.{}", self.name, self.run)
    }

    /// Whether it was done; if not, the transaction is over.
    fn may_fail(&mut self, outcome: Result<(), postgres::Error>, with: &[&str]) -> Result<bool> {
        let Err(error) = outcome else { return Ok(true) };
        let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
        if !with.contains(&&*code) {
            return Err(anyhow!(error).context(format!("{} {code}", self.name)));
        }
        self.client.batch_execute("ROLLBACK")?;
        self.in_transaction = false;
        self.has_refreshed = false;
        Ok(false)
    }

    fn say(&mut self, statement: &str, may_fail_with: &[&str]) -> Result<bool> {
        let outcome = self.client.batch_execute(statement);
        self.may_fail(outcome, may_fail_with).with_context(|| statement.chars().take(300).collect::<String>())
    }

    fn begin(&mut self, rng: &mut Rng) -> Result<()> {
        self.is_repeatable = rng.u8(..4) == 0;
        let level = if self.is_repeatable { "REPEATABLE READ" } else { "READ COMMITTED" };
        self.in_transaction = self.say(&format!("BEGIN ISOLATION LEVEL {level}"), &[])?;
        self.savepoints = 0;
        Ok(())
    }

    fn end(&mut self, statement: &str) -> Result<bool> {
        let is_done = self.say(statement, &CONFLICTS)?;
        self.in_transaction = false;
        self.has_refreshed = false;
        Ok(is_done)
    }

    fn write(&mut self, rng: &mut Rng, now: i64) -> Result<bool> {
        let rows = Rows::random(rng, &self.run_id(), now);
        match rng.u8(..8) {
            0 => {
                let outcome = rows.copy(&mut self.client);
                self.may_fail(outcome, &CONFLICTS)
            }
            1 => {
                let run = self.run_id();
                let v1 = rng.i64(1..90_000) as f64 / 100.0;
                let batch = format!(
                    "SELECT costsim_write_provenance_batch(jsonb_build_array(
                         jsonb_build_object('run_id', '{run}', 'tenant_id', 'acme', 'v1_cost', {v1}, 'v2_cost', {}),
                         jsonb_build_object('run_id', '{run}', 'v1_cost', {v1}, 'v2_cost', 0)))",
                    v1 * 1.25
                );
                self.say(&batch, &CONFLICTS)
            }
            2 => {
                // As a subscriber applies what it is sent, and as pg_restore may.
                let statement = rows.insert();
                let as_replica = format!(
                    "SET session_replication_role = replica; {statement}; SET session_replication_role = origin"
                );
                self.say(&as_replica, &CONFLICTS)
            }
            _ => self.say(&rows.insert(), &CONFLICTS),
        }
    }

    /// Its rows change hour, tenant and cost.
    fn change(&mut self, rng: &mut Rng) -> Result<bool> {
        let some = format!(
            "run_id = '{}' AND mod(id, {}) = {}",
            self.run_id(),
            1 + rng.u8(..5),
            // Sometimes none.
            rng.u8(..2)
        );
        let hours = rng.i64(-30..30);
        let set = match rng.u8(..6) {
            0 => format!("created_at = created_at + interval '{hours} hours'"),
            1 => "tenant_id = CASE WHEN tenant_id = 'acme' THEN 'globex' ELSE 'acme' END".to_owned(),
            2 => "v2_cost = v2_cost * 1.25".to_owned(),
            3 => "v1_cost = NULL".to_owned(),
            4 => format!(
                "created_at = created_at + interval '{hours} minutes', variant_slug = 'v2', v2_cost = v1_cost"
            ),
            // Nothing that drift is made of.
            _ => "payload = '{}'".to_owned(),
        };
        self.say(&format!("UPDATE costsim_provenance SET {set} WHERE {some}"), &CONFLICTS)
    }

    fn remove(&mut self, rng: &mut Rng) -> Result<bool> {
        let statement = format!(
            "DELETE FROM costsim_provenance WHERE run_id = '{}' AND mod(id, 3) = {}",
            self.run_id(),
            rng.u8(..3)
        );
        self.say(&statement, &CONFLICTS)
    }

    fn refresh(&mut self, rng: &mut Rng) -> Result<bool> {
        let hours = rng.choice([1, 2, 7, 1_000]).unwrap_or(1);
        let rebuild = rng.u8(..10) == 0;
        let is_done = self.say(&format!("SELECT costsim_refresh_drift({hours}, {rebuild})"), &CONFLICTS)?;
        self.has_refreshed = self.in_transaction;
        Ok(is_done)
    }

    /// It must not refresh, as its snapshot lasts; its transaction is over.
    fn is_refused(&mut self, rng: &mut Rng) -> Result<bool> {
        let rebuild = rng.bool();
        let is_done = self.say(&format!("SELECT costsim_refresh_drift(1000, {rebuild})"), &["25001"])?;
        ensure!(!is_done, "{} refreshed under REPEATABLE READ", self.name);
        Ok(true)
    }
}

/// Every session of a run that is played step by step: one acts at a time, in an order that the seed decides.
struct Game {
    players: Vec<Player>,
    rng: Rng,
    now: i64,
    prepared: Vec<String>,
    names_given: usize,
    done: [usize; 12],
    refusals: usize,
}

impl Game {
    fn step(&mut self) -> Result<()> {
        let act = self.rng.usize(..self.done.len());
        if self.act(act)? {
            self.done[act] += 1;
        }
        Ok(())
    }

    /// Whether something was done.
    fn act(&mut self, act: usize) -> Result<bool> {
        let at = self.rng.usize(..self.players.len());
        // These wait for whoever is there, or for his rows.
        if act >= 10 {
            if self.rng.u8(..9) > 0 {
                return Ok(false);
            }
            self.finish()?;
        }
        let is_refreshing =
            self.players.iter().enumerate().any(|(other, it)| other != at && it.has_refreshed);
        let Self { players, rng, now, prepared, names_given, refusals, .. } = self;
        let player = &mut players[at];
        match act {
            0 | 1 => player.write(rng, *now),
            2 => player.change(rng),
            3 => player.remove(rng),
            4 if !player.in_transaction => player.begin(rng).map(|()| true),
            // Late, often: others have done and refreshed much since.
            4 if rng.u8(..3) == 0 => player.end("COMMIT"),
            5 if player.in_transaction && rng.u8(..3) == 0 => player.end("ROLLBACK"),
            6 if player.in_transaction => {
                player.savepoints += 1;
                player.say(&format!("SAVEPOINT s{}", player.savepoints), &[])
            }
            7 if player.in_transaction && player.savepoints > 0 => {
                let back = if rng.bool() { "ROLLBACK TO" } else { "RELEASE" };
                let savepoint = player.savepoints;
                player.savepoints -= usize::from(back == "RELEASE");
                player.say(&format!("{back} s{savepoint}"), &CONFLICTS)
            }
            8 if player.in_transaction && !player.has_refreshed && prepared.len() < 5 && rng.bool() => {
                *names_given += 1;
                let name = format!("p{names_given}");
                let is_done = player.end(&format!("PREPARE TRANSACTION '{name}'"))?;
                if is_done {
                    prepared.push(name);
                    // Its rows of before are locked until somebody decides.
                    player.run += 1;
                }
                Ok(is_done)
            }
            8 if !player.in_transaction && !prepared.is_empty() => {
                let name = prepared.swap_remove(rng.usize(..prepared.len()));
                let decision = if rng.u8(..3) == 0 { "ROLLBACK" } else { "COMMIT" };
                player.say(&format!("{decision} PREPARED '{name}'"), &[])
            }
            9 if player.in_transaction && player.is_repeatable => {
                *refusals += 1;
                player.is_refused(rng)
            }
            9 if !is_refreshing && (!player.in_transaction || !player.is_repeatable && rng.u8(..4) == 0) => {
                player.refresh(rng)
            }
            10 => {
                let days = rng.u8(..4);
                let rows = rng.choice([1, 10, 500]).unwrap_or(1);
                player.say(&format!("SELECT costsim_purge_provenance('{days} days', {rows})"), &[])
            }
            11 if rng.bool() => {
                let ending = if rng.bool() { "COMMIT" } else { "ROLLBACK" };
                let rows = Rows::random(rng, &player.run_id(), *now).insert();
                player.say(&format!("BEGIN; TRUNCATE costsim_provenance; {rows}; {ending}"), &CONFLICTS)
            }
            _ => Ok(false),
        }
    }

    /// Some session asks, as it stands: with what it wrote and has not committed, or with an old snapshot.
    fn ask(&mut self) -> Result<()> {
        let asked = if self.rng.u8(..3) == 0 {
            Question::EVERYTHING
        } else {
            Question::random(&mut self.rng, self.now)
        };
        let at = self.rng.usize(..self.players.len());
        let player = &mut self.players[at];
        check(&mut player.client, &asked).with_context(|| {
            format!(
                "{}, in a transaction: {}, repeatable: {}",
                player.name, player.in_transaction, player.is_repeatable
            )
        })
    }

    fn finish(&mut self) -> Result<()> {
        for player in &mut self.players {
            if player.in_transaction {
                player.end("COMMIT")?;
            }
        }
        for name in std::mem::take(&mut self.prepared) {
            self.players[0].say(&format!("COMMIT PREPARED '{name}'"), &[])?;
        }
        Ok(())
    }
}

#[test]
fn whoever_asks_at_any_step_is_told_what_the_rows_say() -> Result<()> {
    let mut rng = seed(6)?;
    let steps = setting("COSTSIM_ROLLUP_STEPS", 600)?;
    let (cluster, mut client) = database("steps")?;
    let now = this_hour(&mut client)?;
    let players = (0..5)
        .map(|number| Player::new(cluster.connect("steps")?, format!("s{number}")))
        .collect::<Result<_>>()?;
    let fork = rng.fork();
    let mut game =
        Game { players, rng: fork, now, prepared: Vec::new(), names_given: 0, done: [0; 12], refusals: 0 };
    for step in 0..steps {
        game.step().with_context(|| format!("step {step}"))?;
        game.ask().with_context(|| format!("after step {step}"))?;
    }
    ensure!(game.done.iter().all(|&times| times > 0), "some kind of step never came: {:?}", game.done);
    ensure!(game.refusals > 0, "nobody refreshed with a snapshot of his own");
    game.finish()?;
    check_thoroughly(&mut client, &mut rng, now)?;
    refresh_everything(&mut client)?;
    check_thoroughly(&mut client, &mut rng, now)
}

/// What goes on beside each other in the tests below, until it is told to end.
struct Traffic<'a> {
    cluster: &'a Cluster,
    database: &'static str,
    now: i64,
    is_over: AtomicBool,
    compared: AtomicUsize,
    written: AtomicUsize,
}

impl<'a> Traffic<'a> {
    fn new(cluster: &'a Cluster, database: &'static str, now: i64) -> Self {
        let [compared, written] = [0, 0].map(AtomicUsize::new);
        Self { cluster, database, now, is_over: AtomicBool::new(false), compared, written }
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Transactions of any kind, of its own rows and now and then of everybody's.
    fn write(&self, mut rng: Rng, name: &str) -> Result<()> {
        let mut player = Player::new(self.cluster.connect(self.database)?, name.to_owned())?;
        while self.goes_on() {
            player.begin(&mut rng)?;
            for _ in 0..rng.u8(1..5) {
                let goes_on = match rng.u8(..6) {
                    0 => player.change(&mut rng)?,
                    1 => player.remove(&mut rng)?,
                    2 => {
                        let of_all = format!(
                            "UPDATE costsim_provenance SET v2_cost = v2_cost + 1
                              WHERE id IN (SELECT id FROM costsim_provenance WHERE mod(id, 50) = {} ORDER BY id LIMIT 5)",
                            rng.u8(..50)
                        );
                        player.say(&of_all, &CONFLICTS)?
                    }
                    _ => player.write(&mut rng, self.now)?,
                };
                if !goes_on {
                    break;
                }
            }
            if player.in_transaction {
                let ending = if rng.u8(..4) == 0 { "ROLLBACK" } else { "COMMIT" };
                player.end(ending)?;
                self.written.fetch_add(1, Ordering::Relaxed);
            }
            // What it has written so far stays; the next transactions have rows of their own.
            player.run += usize::from(rng.u8(..8) == 0);
        }
        Ok(())
    }

    fn refresh(&self, mut rng: Rng) -> Result<()> {
        let mut player = Player::new(self.cluster.connect(self.database)?, "refresher".to_owned())?;
        while self.goes_on() {
            player.refresh(&mut rng)?;
        }
        Ok(())
    }

    /// Keeps the table small.
    fn purge(&self, mut rng: Rng) -> Result<()> {
        let mut player = Player::new(self.cluster.connect(self.database)?, "purger".to_owned())?;
        while self.goes_on() {
            let some = format!("SELECT costsim_purge_provenance('{} hours', 40)", rng.u8(1..96));
            player.say(&some, &CONFLICTS)?;
        }
        Ok(())
    }

    fn compare(&self, mut rng: Rng) -> Result<()> {
        let mut client = self.cluster.connect(self.database)?;
        while self.goes_on() {
            let asked = if rng.bool() { Question::EVERYTHING } else { Question::random(&mut rng, self.now) };
            check(&mut client, &asked)?;
            // The same, in one snapshot of several statements.
            client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
            for _ in 0..3 {
                check(&mut client, &Question::random(&mut rng, self.now))?;
                check(&mut client, &asked)?;
            }
            client.batch_execute("COMMIT")?;
            self.compared.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Runs the sessions, and `body` beside them, to whose end they go on. An error of one ends all.
    fn run(&self, rng: &mut Rng, refreshes: bool, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut parts: Vec<Box<dyn FnOnce() -> Result<()> + Send + '_>> = Vec::new();
        for number in 0..3 {
            let rng = rng.fork();
            parts.push(Box::new(move || self.write(rng, &format!("w{number}"))));
        }
        let [one, two, three] = [rng.fork(), rng.fork(), rng.fork()];
        parts.push(Box::new(move || self.purge(one)));
        parts.push(Box::new(move || self.compare(two)));
        if refreshes {
            parts.push(Box::new(move || self.refresh(three)));
        }
        thread::scope(|scope| {
            let mut sessions = Vec::new();
            for part in parts {
                sessions.push(scope.spawn(move || {
                    let outcome = part();
                    self.is_over.store(true, Ordering::Relaxed);
                    outcome
                }));
            }
            let outcome = body();
            self.is_over.store(true, Ordering::Relaxed);
            for session in sessions {
                session.join().map_err(|_| anyhow!("a session panicked"))??;
            }
            outcome
        })
    }

    /// Waits until so much has been compared and written since, or somebody has failed.
    fn wait_for(&self, compared: usize, written: usize) -> Result<()> {
        // The more there is, the longer each takes.
        let limit = LIMIT * (2 + u32::try_from(compared / 20)?);
        wait_until(limit, "enough to be compared", || {
            if !self.goes_on() {
                return Ok(Some(()));
            }
            let (compares, writes) =
                (self.compared.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed));
            if compares < compared || writes < written {
                bail!("{compares} comparisons, {writes} transactions");
            }
            Ok(Some(()))
        })
    }
}

#[test]
fn sessions_that_write_refresh_and_purge_at_the_same_time_never_make_an_answer_wrong() -> Result<()> {
    let mut rng = seed(36)?;
    let steps = usize::try_from(setting("COSTSIM_ROLLUP_STEPS", 600)?)?;
    let (cluster, mut client) = database("together")?;
    let now = this_hour(&mut client)?;
    let traffic = Traffic::new(&cluster, "together", now);
    traffic.run(&mut rng, true, || traffic.wait_for(steps / 10, steps / 2))?;
    refresh_everything(&mut client)?;
    check_thoroughly(&mut client, &mut rng, now)
}

#[test]
fn worker_refreshes_what_is_over_while_sessions_write() -> Result<()> {
    let mut rng = seed(46)?;
    let site = Site::start(Site::builder("").conf("costsim.worker_poll_interval", "1s"))?;
    let mut client = site.connect()?;
    let now = this_hour(&mut client)?;
    let refreshed =
        "SELECT coalesce((SELECT total_rows FROM costsim_maintenance WHERE task = 'refresh_drift'), 0)";
    let traffic = Traffic::new(&site.cluster, "app", now);
    traffic.run(&mut rng, false, || {
        for _ in 0..3 {
            let before: i64 = one(&mut client, refreshed)?;
            wait_until(LIMIT, "the worker to refresh", || {
                let after: i64 = one(&mut client, refreshed)?;
                Ok((after > before || !traffic.goes_on()).then_some(()))
            })?;
        }
        traffic.wait_for(10, 20)
    })?;
    // Nobody else refreshes here.
    let is_done =
        "SELECT NOT EXISTS (SELECT FROM costsim_drift_changes WHERE hour < date_trunc('hour', now(), 'UTC'))";
    // Some hundred hours, with a rest after each.
    wait_until(4 * LIMIT, "the worker to have come to every hour that is over", || {
        Ok(one::<bool>(&mut client, is_done)?.then_some(()))
    })?;
    let complaints: Vec<String> =
        site.lines_of_workers()?.into_iter().filter(|line| line.contains("failed")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    check_thoroughly(&mut client, &mut rng, now)
}

#[test]
fn refresh_that_is_killed_leaves_answers_right_and_the_next_one_goes_on() -> Result<()> {
    let mut rng = seed(56)?;
    let rounds = setting("COSTSIM_ROLLUP_ROUNDS", 4)?;
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("killed")?;
    let now = this_hour(&mut client)?;
    let mut was_caught = 0;
    for round in 0..rounds {
        for _ in 0..40 {
            client.batch_execute(&Rows::random(&mut rng, "killed", now).insert())?;
        }
        // Another one writes and has not committed.
        let mut late = cluster.connect("killed")?;
        late.batch_execute("BEGIN")?;
        late.batch_execute(&Rows::random(&mut rng, "late", now).insert())?;

        let mut refresher = cluster.connect("killed")?;
        let pid: i32 = one(&mut refresher, "SELECT pg_backend_pid()")?;
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| -> Result<()> {
            let is_over = &is_over;
            let refreshing = scope.spawn(move || {
                let rebuild = "SELECT costsim_refresh_drift(rebuild => true)";
                while !is_over.load(Ordering::Relaxed) && refresher.simple_query(rebuild).is_ok() {}
            });
            // A transaction number: it has written something and has not committed it.
            let question = format!("SELECT backend_xid IS NOT NULL FROM pg_stat_activity WHERE pid = {pid}");
            let caught = wait_for(&mut client, "a refresh that has begun to write", &question);
            let killed = cluster.kill_backend(pid, Signal::KILL);
            is_over.store(true, Ordering::Relaxed);
            killed?;
            refreshing.join().map_err(|_| anyhow!("the refresher panicked"))?;
            was_caught += u32::from(caught.is_ok());
            Ok(())
        })?;
        // The server ends every session, and starts again by itself.
        wait_until(LIMIT, "the server to notice", || {
            Ok(client.simple_query("SELECT 1").is_err().then_some(()))
        })?;
        client = wait_until(LIMIT, "the server to be back", || {
            let mut client = cluster.connect("killed")?;
            client.simple_query("SELECT 1")?;
            Ok(Some(client))
        })?;
        check_thoroughly(&mut client, &mut rng, now).with_context(|| format!("after kill {round}"))?;
        if round % 2 == 1 {
            refresh_everything(&mut client)?;
            check_thoroughly(&mut client, &mut rng, now)
                .with_context(|| format!("refreshed after kill {round}"))?;
        }
    }
    ensure!(was_caught > 0, "no refresh was caught at work");
    Ok(())
}
