//! Leadership of clients behind PgBouncer in transaction mode, where a server process serves many of them in turn.
//! Pooled clients ask by simple queries: a prepared statement would be left behind in another session.

use anyhow::{Context, Result, anyhow, bail, ensure};
use costsim_harness::{Cluster, PgBouncer, Pooling, wait_until};
use costsim_server_tests::{LIMIT, Shared, one, sqlstate_of};
use postgres::SimpleQueryMessage;
use postgres::fallible_iterator::FallibleIterator;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

static CLUSTER: Shared<Cluster> = Shared::new();

/// The file's cluster, a database of the test's own in it, and a pooler of as many server connections before it.
fn pooled(database: &str, pool_size: u16) -> Result<(Arc<Cluster>, postgres::Client, PgBouncer)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let direct = cluster.create_database_with_extension(database)?;
    let pooler = PgBouncer::start(&cluster, Pooling::Transaction, pool_size)?;
    Ok((cluster, direct, pooler))
}

type Row = Vec<Option<String>>;

fn rows(messages: &[SimpleQueryMessage]) -> Vec<Row> {
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|n| row.get(n).map(str::to_owned)).collect()),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// The single value a simple query answers with.
fn ask(client: &mut postgres::Client, query: &str) -> Result<Option<String>> {
    let rows = rows(&client.simple_query(query).with_context(|| query.to_owned())?);
    rows.into_iter().flatten().next().with_context(|| format!("no answer to {query}"))
}

fn is_true(client: &mut postgres::Client, query: &str) -> Result<bool> {
    Ok(ask(client, query)?.as_deref() == Some("t"))
}

/// A token, or `None` while someone else leads.
fn try_lease(client: &mut postgres::Client, node: &str, lease: &str, lock_id: i64) -> Result<Option<i64>> {
    let token = ask(client, &format!("SELECT costsim_try_lease({lock_id}, '{node}', '{lease}')"))?;
    Ok(token.map(|token| token.parse()).transpose()?)
}

// ---------------------------------------------------------------------------------------------------------------------
// Many nodes over few connections

const NODES: usize = 100;
const ATTEMPTS: usize = 200;
const LOCKS: i64 = 8;
/// Long enough to be given back in time on a loaded machine, and too long to wait for.
const LONG: &str = "1 min";

/// All moments are microseconds of the server's clock.
type Moment = i64;

/// What a node was told, and that it was told between these moments.
#[derive(Clone, Debug)]
struct Answer {
    node: String,
    lock_id: i64,
    asked: Moment,
    answered: Moment,
    told: Told,
}

#[derive(Clone, Debug)]
enum Told {
    Refused,
    Granted {
        token: i64,
        acquired_at: Moment,
        lease_until: Moment,
    },
    Renewed {
        token: i64,
        lease_until: Option<Moment>,
    },
    /// With `None` there was nothing to give back any more.
    GivenBack {
        token: i64,
        released_at: Option<Moment>,
    },
}

/// A row of costsim_leader_events.
#[derive(Clone, Debug)]
struct Event {
    at: Moment,
    lock_id: i64,
    event: String,
    node: String,
    token: i64,
}

/// What a history amounts to.
#[derive(Debug, Default)]
struct Tally {
    attempts: usize,
    refused: usize,
    terms: usize,
    /// Asked again and told the same token, or renewed.
    prolonged: usize,
    given_back: usize,
    /// Ended without being given back, and were succeeded.
    expired: usize,
    /// A renewal or a release that came too late.
    too_late: usize,
}

struct Term<'a> {
    node: &'a str,
    acquired_at: Moment,
    end: Moment,
    is_given_back: bool,
}

impl Term<'_> {
    /// Whether it may be over for a node that was told so by that moment.
    fn is_over_by(&self, moment: Moment) -> bool {
        self.is_given_back || self.end <= moment
    }
}

/// By lock and token.
type Terms<'a> = BTreeMap<(i64, i64), Term<'a>>;

/// Fails on whatever would make two leaders of one lock at one moment. The answers of a node are in its own order, the
/// events in that of their ids.
fn check(answers: &[Answer], events: &[Event]) -> Result<Tally> {
    let mut tally = Tally::default();
    let terms = terms_by_answers(answers, &mut tally)?;
    check_overlaps(&terms)?;
    check_events(&terms, events, &mut tally)?;
    Ok(tally)
}

/// What the nodes were told, put together: no token is two nodes', and an ended term stays ended.
fn terms_by_answers<'a>(answers: &'a [Answer], tally: &mut Tally) -> Result<Terms<'a>> {
    let mut terms = Terms::new();
    for answer in answers {
        let &Answer { ref node, lock_id, asked, answered, .. } = answer;
        let moments = asked..=answered;
        match answer.told {
            Told::Refused => {
                let mut own =
                    terms.range((lock_id, 0)..(lock_id + 1, 0)).filter(|(_, term)| term.node == node);
                ensure!(
                    own.all(|(_, term)| term.is_over_by(answered)),
                    "is refused while it leads: {answer:?}"
                );
                tally.attempts += 1;
                tally.refused += 1;
            }
            Told::Granted { token, acquired_at, lease_until } => {
                tally.attempts += 1;
                match terms.entry((lock_id, token)) {
                    Entry::Vacant(entry) => {
                        ensure!(moments.contains(&acquired_at), "begins at another time: {answer:?}");
                        ensure!(acquired_at < lease_until, "is over as it begins: {answer:?}");
                        entry.insert(Term { node, acquired_at, end: lease_until, is_given_back: false });
                        tally.terms += 1;
                    }
                    Entry::Occupied(mut entry) => {
                        let term = entry.get_mut();
                        ensure!(term.node == node, "token of {} too: {answer:?}", term.node);
                        ensure!(term.acquired_at == acquired_at, "begins twice: {answer:?}");
                        ensure!(!term.is_over_by(asked), "revives an ended term: {answer:?}");
                        term.end = lease_until;
                        tally.prolonged += 1;
                    }
                }
            }
            Told::Renewed { token, lease_until } => {
                let term = terms.get_mut(&(lock_id, token)).context("renews what was not granted")?;
                match lease_until {
                    Some(lease_until) => {
                        ensure!(!term.is_over_by(asked), "renews an ended term: {answer:?}");
                        term.end = lease_until;
                        tally.prolonged += 1;
                    }
                    None => {
                        ensure!(term.is_over_by(answered), "is told too early that it is over: {answer:?}");
                        tally.too_late += 1;
                    }
                }
            }
            Told::GivenBack { token, released_at } => {
                let term = terms.get_mut(&(lock_id, token)).context("gives back what was not granted")?;
                match released_at {
                    Some(released_at) => {
                        ensure!(!term.is_over_by(asked), "gives back an ended term: {answer:?}");
                        ensure!(moments.contains(&released_at), "ends at another time: {answer:?}");
                        (term.end, term.is_given_back) = (released_at, true);
                        tally.given_back += 1;
                    }
                    None => {
                        ensure!(term.is_over_by(answered), "is told too early that it is over: {answer:?}");
                        tally.too_late += 1;
                    }
                }
            }
        }
    }
    Ok(terms)
}

/// A greater token is a later term, which begins when the former is over.
fn check_overlaps(terms: &Terms) -> Result<()> {
    let mut former: Option<(i64, i64, &Term)> = None;
    for (&(lock_id, token), term) in terms {
        if let Some((former_lock, former_token, former)) = former
            && former_lock == lock_id
        {
            ensure!(
                former.end <= term.acquired_at,
                "lock {lock_id}: term {token} of {} begins {} us before the end of {former_token} of {}",
                term.node,
                former.end - term.acquired_at,
                former.node
            );
        }
        former = Some((lock_id, token, term));
    }
    Ok(())
}

/// The events of a lock are its terms one after the other, and no others than the nodes know of.
fn check_events(terms: &Terms, events: &[Event], tally: &mut Tally) -> Result<()> {
    let mut running = BTreeMap::new();
    let mut begun = 0;
    for event in events {
        let term = terms.get(&(event.lock_id, event.token));
        let term = term.with_context(|| format!("an event of no term: {event:?}"))?;
        ensure!(term.node == event.node, "an event of another node: {event:?}");
        let (latest, is_running) = running.entry(event.lock_id).or_insert((0, false));
        match event.event.as_str() {
            "acquired" => {
                ensure!(!*is_running && event.token > *latest, "{event:?} while {latest} runs");
                ensure!(event.at == term.acquired_at, "begins at another time: {event:?}");
                (*latest, *is_running) = (event.token, true);
                begun += 1;
            }
            "released" | "expired" => {
                ensure!(*is_running && event.token == *latest, "{event:?} while {latest} is the latest");
                ensure!((event.event == "released") == term.is_given_back, "ends in another way: {event:?}");
                // It is the next leader that notices that a lease ran out.
                let is_late = !term.is_given_back && event.at > term.end;
                ensure!(event.at == term.end || is_late, "ends at another time: {event:?}");
                *is_running = false;
                tally.expired += usize::from(!term.is_given_back);
            }
            _ => bail!("nobody did that: {event:?}"),
        }
    }
    ensure!(begun == terms.len(), "{begun} terms began by the events, {} by the answers", terms.len());
    for (lock_id, (latest, is_running)) in running {
        let is_given_back = terms[&(lock_id, latest)].is_given_back;
        ensure!(is_running != is_given_back, "lock {lock_id}: the end of {latest} is not on record");
    }
    Ok(())
}

/// One node of many: asks for leases, and renews them, gives them back or lets them run out, as the dice fall.
struct Node {
    name: String,
    client: tokio_postgres::Client,
    dice: u64,
    answers: Vec<Answer>,
}

impl Node {
    async fn start(number: usize, config: tokio_postgres::Config) -> Result<Vec<Answer>> {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        let mut node =
            Self { name: format!("node-{number}"), client, dice: number as u64, answers: Vec::new() };
        let mut left = None;
        for _ in 0..ATTEMPTS {
            // What was left to run out may be over by now, or not.
            match left.take() {
                Some((lock_id, token)) if node.roll(2) == 0 => node.renew(lock_id, token).await?,
                Some((lock_id, token)) if node.roll(2) == 0 => node.give_back(lock_id, token).await?,
                _ => {}
            }
            let lock_id = 1 + node.roll(LOCKS);
            let is_left = node.roll(2) == 0;
            let lease = if is_left { ["5 ms", "20 ms", "60 ms"][node.roll(3) as usize] } else { LONG };
            let Some(token) = node.try_lease(lock_id, lease).await? else { continue };
            if node.roll(2) == 0 {
                node.renew(lock_id, token).await?;
            }
            if is_left {
                left = Some((lock_id, token));
                continue;
            }
            node.give_back(lock_id, token).await?;
            if node.roll(4) == 0 {
                node.renew(lock_id, token).await?;
            }
        }
        Ok(node.answers)
    }

    async fn try_lease(&mut self, lock_id: i64, lease: &str) -> Result<Option<i64>> {
        let call = format!("costsim_try_lease({lock_id}, '{}', '{lease}')", self.name);
        self.ask(lock_id, &call, |token, row| match token {
            None => Ok(Told::Refused),
            Some(token) => {
                ensure!(row.token == Some(token), "token {token} is not in the row");
                let acquired_at = row.acquired_at.context("the begin of a term")?;
                let lease_until = row.lease_until.context("the end of a lease")?;
                Ok(Told::Granted { token, acquired_at, lease_until })
            }
        })
        .await
    }

    async fn renew(&mut self, lock_id: i64, token: i64) -> Result<()> {
        let call = format!("micros(costsim_renew_lease({lock_id}, {token}))");
        self.ask(lock_id, &call, |lease_until, row| {
            let in_row = row.lease_until.filter(|_| lease_until.is_some());
            ensure!(lease_until == in_row, "told {lease_until:?}, and the row says {in_row:?}");
            Ok(Told::Renewed { token, lease_until })
        })
        .await
        .map(drop)
    }

    async fn give_back(&mut self, lock_id: i64, token: i64) -> Result<()> {
        let call = format!("costsim_release_lease({lock_id}, {token})::integer");
        self.ask(lock_id, &call, |was_current, row| {
            let released_at = row.released_at.filter(|_| was_current == Some(1));
            ensure!((was_current == Some(1)) == released_at.is_some(), "told {was_current:?}");
            Ok(Told::GivenBack { token, released_at })
        })
        .await
        .map(drop)
    }

    /// Calls a function, reads the lock's row in the same transaction, and keeps what both together tell.
    async fn ask(
        &mut self,
        lock_id: i64,
        call: &str,
        told: impl FnOnce(Option<i64>, &LockRow) -> Result<Told>,
    ) -> Result<Option<i64>> {
        let query = format!(
            "SELECT micros(clock_timestamp()), {call}, micros(clock_timestamp());
             SELECT token, micros(acquired_at), micros(lease_until), micros(released_at)
               FROM (SELECT) AS always LEFT JOIN costsim_leaders ON lock_id = {lock_id}"
        );
        let messages = self.client.simple_query(&query).await.with_context(|| call.to_owned())?;
        let [answer, row] = rows(&messages).try_into().map_err(|rows| anyhow!("{call}: {rows:?}"))?;
        let [asked, value, answered] = numbers(answer)?;
        let [token, acquired_at, lease_until, released_at] = numbers(row)?;
        let row = LockRow { token, acquired_at, lease_until, released_at };
        let told = told(value, &row).with_context(|| call.to_owned())?;
        let (asked, answered) = (asked.context("a clock")?, answered.context("a clock")?);
        self.answers.push(Answer { node: self.name.clone(), lock_id, asked, answered, told });
        Ok(value)
    }

    /// A number below `sides`. The sequence is the node's own and the same in every run.
    fn roll(&mut self, sides: i64) -> i64 {
        // Knuth's linear congruential generator; its high bits are the good ones.
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) as i64 % sides
    }
}

/// The row of a lock in costsim_leaders; there is none before its first term.
struct LockRow {
    token: Option<i64>,
    acquired_at: Option<Moment>,
    lease_until: Option<Moment>,
    released_at: Option<Moment>,
}

fn numbers<const COLUMNS: usize>(row: Row) -> Result<[Option<i64>; COLUMNS]> {
    let row: Vec<_> =
        row.iter().map(|value| value.as_deref().map(str::parse).transpose()).collect::<Result<_, _>>()?;
    row.try_into().map_err(|row| anyhow!("another number of columns: {row:?}"))
}

#[test]
fn hundred_nodes_over_two_connections_get_no_lease_twice() -> Result<()> {
    let (_cluster, mut direct, pooler) = pooled("hammer", 2)?;
    direct.batch_execute(
        "CREATE FUNCTION micros(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE
         RETURN (extract(epoch FROM moment) * 1000000)::bigint",
    )?;
    let mut config = tokio_postgres::Config::new();
    config.host_path(pooler.socket_dir()).port(pooler.port()).user("postgres").dbname("hammer");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let answers = runtime.block_on(async {
        let mut nodes = JoinSet::new();
        for number in 0..NODES {
            nodes.spawn(Node::start(number, config.clone()));
        }
        let mut answers = Vec::new();
        while let Some(told) = nodes.join_next().await {
            answers.extend(told??);
        }
        Ok::<_, anyhow::Error>(answers)
    })?;
    let events = direct.query(
        "SELECT micros(at), lock_id, event, node_id, token FROM costsim_leader_events ORDER BY id",
        &[],
    )?;
    let event = |row: &postgres::Row| {
        Ok(Event {
            at: row.try_get(0)?,
            lock_id: row.try_get(1)?,
            event: row.try_get(2)?,
            node: row.try_get(3)?,
            token: row.try_get(4)?,
        })
    };
    let tally = check(&answers, &events.iter().map(event).collect::<Result<Vec<_>>>()?)?;
    println!("{tally:?}");

    assert_eq!(tally.attempts, NODES * ATTEMPTS);
    assert!(tally.terms > 300, "{tally:?}");
    // Each way to begin, to go on and to end was gone often enough to have shown something.
    for count in [tally.refused, tally.prolonged, tally.given_back, tally.expired, tally.too_late] {
        assert!(count > 50, "{tally:?}");
    }
    let sessions: i64 = one(
        &mut direct,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )?;
    assert_eq!(sessions, 2, "the nodes shared two connections");
    Ok(())
}

/// A node that is told something at one moment.
fn told(node: &str, at: Moment, told: Told) -> Answer {
    Answer { node: node.into(), lock_id: 1, asked: at, answered: at, told }
}

fn granted(node: &str, token: i64, acquired_at: Moment, lease_until: Moment) -> Answer {
    told(node, acquired_at, Told::Granted { token, acquired_at, lease_until })
}

fn event(at: Moment, event: &str, node: &str, token: i64) -> Event {
    Event { at, lock_id: 1, event: event.into(), node: node.into(), token }
}

#[test]
fn check_of_a_history_accepts_one_leader_at_a_time() -> Result<()> {
    let answers = [
        granted("a", 1, 10, 20),
        told("b", 15, Told::Refused),
        told("a", 19, Told::Renewed { token: 1, lease_until: Some(29) }),
        granted("b", 2, 29, 99),
        told("a", 30, Told::Renewed { token: 1, lease_until: None }),
        told("b", 40, Told::GivenBack { token: 2, released_at: Some(40) }),
        granted("a", 3, 40, 50),
    ];
    let events = [
        event(10, "acquired", "a", 1),
        event(29, "expired", "a", 1),
        event(29, "acquired", "b", 2),
        event(40, "released", "b", 2),
        event(40, "acquired", "a", 3),
    ];
    let tally = check(&answers, &events)?;
    assert_eq!((tally.attempts, tally.terms, tally.expired, tally.too_late), (4, 3, 1, 1));
    Ok(())
}

#[test]
fn check_of_a_history_finds_every_kind_of_double_grant() -> Result<()> {
    let first = || granted("a", 1, 10, 20);
    let renewed = |at, lease_until| told("a", at, Told::Renewed { token: 1, lease_until });
    let given_back = |at| told("a", at, Told::GivenBack { token: 1, released_at: Some(at) });
    let begun = || event(10, "acquired", "a", 1);
    let other = |at| vec![begun(), event(at, "expired", "a", 1), event(at, "acquired", "b", 2)];
    let histories = [
        ("token of a too", vec![first(), granted("b", 1, 10, 20)], vec![begun()]),
        ("1 us before the end", vec![first(), granted("b", 2, 19, 30)], other(19)),
        ("6 us before the end", vec![first(), renewed(16, Some(26)), granted("b", 2, 20, 30)], other(20)),
        ("renews an ended term", vec![first(), renewed(20, Some(30))], vec![begun()]),
        ("revives an ended term", vec![first(), told("a", 20, granted("a", 1, 10, 30).told)], vec![begun()]),
        ("gives back an ended term", vec![first(), given_back(20)], vec![begun()]),
        ("too early", vec![first(), renewed(19, None)], vec![begun()]),
        ("refused while it leads", vec![first(), told("a", 19, Told::Refused)], vec![begun()]),
        ("0 terms began by the events", vec![first()], vec![]),
        ("an event of no term", vec![first()], other(20)),
        (
            "while 1 runs",
            vec![first(), granted("b", 2, 20, 30)],
            vec![begun(), event(20, "acquired", "b", 2)],
        ),
        ("an event of another node", vec![first()], vec![event(10, "acquired", "b", 1)]),
        ("at another time", vec![first()], vec![event(11, "acquired", "a", 1)]),
        ("at another time", vec![first()], vec![begun(), event(19, "expired", "a", 1)]),
        ("another way", vec![first()], vec![begun(), event(20, "released", "a", 1)]),
        ("end of 1 is not on record", vec![first(), given_back(15)], vec![begun()]),
        ("nobody did that", vec![first()], vec![begun(), event(20, "resigned", "a", 1)]),
    ];
    for (finding, answers, events) in histories {
        let error = check(&answers, &events).err().with_context(|| format!("missed: {finding}"))?;
        ensure!(error.to_string().contains(finding), "{finding}: {error}");
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// What belongs to a session

#[test]
fn second_node_on_a_pooled_connection_is_refused_and_recorded_once() -> Result<()> {
    let (_cluster, mut direct, pooler) = pooled("refused", 1)?;
    let mut first = pooler.connect("refused")?;
    let mut second = pooler.connect("refused")?;
    assert!(is_true(&mut first, "SELECT costsim_try_leader(7001, 'first')")?);
    for _ in 0..5 {
        assert!(!is_true(&mut second, "SELECT costsim_try_leader(7001, 'second')")?);
        assert!(is_true(&mut first, "SELECT costsim_try_leader(7001, 'first')")?, "it still leads");
    }
    let refusals = "SELECT node_id, mode, pid, token = (SELECT token FROM costsim_leaders)
                      FROM costsim_leader_events WHERE event = 'refused_pooler' ORDER BY id";
    let seen = direct.query(refusals, &[])?;
    assert_eq!(seen.len(), 1, "however often it asked");
    assert_eq!((seen[0].get(0), seen[0].get(1)), (Some("second"), Some("session")));
    assert_eq!(Some(seen[0].get::<_, i32>(2).to_string()), ask(&mut first, "SELECT pg_backend_pid()")?);
    assert!(seen[0].get::<_, bool>(3), "the token is that of the term which stood in its way");

    assert!(!is_true(&mut second, "SELECT costsim_try_leader(7001, 'third')")?);
    assert_eq!(direct.query(refusals, &[])?.len(), 2, "another name is another finding");
    assert_eq!(one::<i64>(&mut direct, "SELECT epoch FROM costsim_leaders")?, 1, "nothing changed");
    Ok(())
}

/// The reason for leases: the server cannot tell one client of a connection from the next.
#[test]
fn clients_without_a_name_on_a_pooled_connection_both_lead() -> Result<()> {
    let (_cluster, _, pooler) = pooled("nameless", 1)?;
    let mut first = pooler.connect("nameless")?;
    let mut second = pooler.connect("nameless")?;
    for client in [&mut first, &mut second] {
        assert!(is_true(client, "SELECT costsim_try_leader(7001)")?);
        assert!(is_true(client, "SELECT costsim_is_leader(7001)")?);
        assert!(is_true(client, "SELECT pg_try_advisory_lock(7002)")?, "nor can PostgreSQL itself");
    }
    // With leases the same two are told apart.
    assert!(try_lease(&mut first, "first", "1 hour", 7003)?.is_some());
    assert_eq!(try_lease(&mut second, "second", "1 hour", 7003)?, None);
    Ok(())
}

#[test]
fn listening_through_a_pooler_is_in_vain_and_a_direct_session_is_told() -> Result<()> {
    let (cluster, mut leader, pooler) = pooled("listening", 1)?;
    let mut pooled = pooler.connect("listening")?;
    let mut direct = cluster.connect("listening")?;
    for client in [&mut pooled, &mut direct] {
        client.simple_query("LISTEN costsim_leader_released")?;
    }
    let token = try_lease(&mut leader, "leader", "1 hour", 7001)?.context("nobody else leads")?;
    assert_eq!(try_lease(&mut direct, "heir", "1 hour", 7001)?, None);
    assert!(one::<bool>(&mut leader, &format!("SELECT costsim_release_lease(7001, {token})"))?);

    let told = direct.notifications().timeout_iter(LIMIT).next()?.context("no notification")?;
    assert_eq!((told.channel(), told.payload()), ("costsim_leader_released", "7001"));
    assert!(try_lease(&mut direct, "heir", "1 hour", 7001)?.is_some_and(|heirs| heirs > token));

    // It came to the pooler while the connection served nobody.
    wait_until(LIMIT, "the pooler to drop the notification", || {
        let log = pooler.log()?;
        if log.contains("got packet 'A' from server when not linked") { Ok(Some(())) } else { bail!(log) }
    })?;
    pooled.simple_query("SELECT 1")?;
    assert!(pooled.notifications().iter().next()?.is_none(), "it is lost");
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------------------
// Fencing

/// A transaction of a leader, which makes sure of leading and does its work, up to its COMMIT.
fn work(leader: &mut postgres::Client, token: i64) -> Result<()> {
    leader.simple_query("BEGIN")?;
    leader.simple_query(&format!("SELECT costsim_require_leader(7001, {token})"))?;
    leader.simple_query("INSERT INTO work VALUES (pg_backend_pid())")?;
    Ok(())
}

/// `depose` is a query that answers true.
fn deposed_leader_cannot_commit(database: &str, depose: &str) -> Result<()> {
    let (_cluster, mut direct, pooler) = pooled(database, 2)?;
    direct.batch_execute("CREATE TABLE work (pid integer)")?;
    let mut leader = pooler.connect(database)?;
    let mut heir = pooler.connect(database)?;
    let token = try_lease(&mut leader, "leader", "1 hour", 7001)?.context("nobody else leads")?;
    work(&mut leader, token)?;
    assert!(one::<bool>(&mut direct, depose)?);
    let heirs = try_lease(&mut heir, "heir", "1 hour", 7001)?.context("nobody leads any more")?;
    assert!(heirs > token);

    assert_eq!(sqlstate_of(&mut leader, "COMMIT")?, "55000");
    assert_eq!(one::<i64>(&mut direct, "SELECT count(*) FROM work")?, 0, "its work went with it");
    let require = format!("SELECT costsim_require_leader(7001, {token})");
    assert_eq!(sqlstate_of(&mut leader, &require)?, "55000", "and it can know before");
    // A token belongs to no connection: with the heir's, both clients may work, and the one that failed is fine.
    for client in [&mut leader, &mut heir] {
        work(client, heirs)?;
        client.simple_query("COMMIT")?;
    }
    assert_eq!(one::<i64>(&mut direct, "SELECT count(*) FROM work")?, 2);
    Ok(())
}

#[test]
fn leader_deposed_by_an_operator_cannot_commit_through_a_pooler() -> Result<()> {
    deposed_leader_cannot_commit("resigned", "SELECT costsim_resign_leader(7001, 'it hangs')")
}

#[test]
fn leader_whose_lease_ran_out_cannot_commit_through_a_pooler() -> Result<()> {
    deposed_leader_cannot_commit(
        "ran_out",
        "UPDATE costsim_leaders SET lease_until = clock_timestamp() RETURNING true",
    )
}
