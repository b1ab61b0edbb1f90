//! Who waits for leadership gets it in its turn, and who stops waiting leaves nothing behind.

use anyhow::Result;
use costsim_harness::{Cluster, wait_until};
use costsim_server_tests::{Asked, LIMIT, Psql, Shared, check_the_books, one, wait_for};
use postgres::Client;
use std::sync::Arc;
use std::time::{Duration, Instant};

static CLUSTER: Shared<Cluster> = Shared::new();

const WAIT: &str = "SELECT costsim_wait_leader(7001, '10 min')";
const TRY: &str = "SELECT costsim_try_leader(7001)";
const RELEASE: &str = "SELECT costsim_release_leader(7001)";
const TOKEN: &str = "SELECT token FROM costsim_leader(7001)";

/// The file's cluster, and a database of the test's own in it.
fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    // The log tells the process and the SQLSTATE of every error.
    let cluster = CLUSTER.get(|| Cluster::builder().conf("log_line_prefix", "%p %e ").start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

fn pid(client: &mut Client) -> Result<i32> {
    one(client, "SELECT pg_backend_pid()")
}

fn waiting(client: &mut Client) -> Result<i64> {
    one(client, "SELECT waiting FROM costsim_leader_status WHERE lock_id = 7001")
}

/// Waits until so many wait. Who looks whether the leader is late stands beside the queue meanwhile.
fn all_wait(client: &mut Client, number: i64) -> Result<()> {
    wait_until(LIMIT, "all to wait", || Ok((waiting(client)? == number).then_some(())))
}

/// Every advisory lock that a server process holds or waits for.
fn locks_of(watcher: &mut Client, pid: i32) -> Result<i64> {
    one(watcher, &format!("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = {pid}"))
}

/// Asks for the leadership on a session of its own, and waits until it stands in the queue.
fn queue(cluster: &Cluster, watcher: &mut Client, database: &str, query: &str) -> Result<Asked<bool>> {
    let waiter = Asked::query(cluster.connect(database)?, query)?;
    waiter.wait_until_queued(watcher)?;
    Ok(waiter)
}

#[test]
fn waiters_lead_one_after_the_other_as_they_came() -> Result<()> {
    let (cluster, mut watcher) = database("queue")?;
    let mut leader = cluster.connect("queue")?;
    assert!(one::<bool>(&mut leader, TRY)?);
    let mut latest: i64 = one(&mut watcher, TOKEN)?;
    let mut waiters = Vec::new();
    for number in 0..9 {
        let wait = format!("SELECT costsim_wait_leader(7001, '10 min', 'waiter {number}')");
        waiters.push(queue(&cluster, &mut watcher, "queue", &wait)?);
        all_wait(&mut watcher, number + 1)?;
    }
    for (number, waiter) in waiters.into_iter().enumerate() {
        // However its leader goes, the next one comes.
        match number % 3 {
            0 => assert!(one::<bool>(&mut leader, RELEASE)?),
            1 => {
                let pid = pid(&mut leader)?;
                assert!(one::<bool>(&mut watcher, &format!("SELECT pg_terminate_backend({pid})"))?);
            }
            _ => drop(leader),
        }
        let led;
        (leader, led) = waiter.answer()?;
        assert!(led);
        let own_lines = format!("{} ", pid(&mut leader)?);
        let log = cluster.log()?;
        let complaint = log.lines().find(|line| line.starts_with(&own_lines) && line.contains("WARNING"));
        assert_eq!(complaint, None, "the lock that was waited for is the session's, and counted once");
        assert!(one::<bool>(&mut leader, "SELECT costsim_is_leader(7001)")?);
        let node: String = one(&mut watcher, "SELECT node_id FROM costsim_leader(7001)")?;
        assert_eq!(node, format!("waiter {number}"));
        assert_eq!(waiting(&mut watcher)?, 8 - i64::try_from(number)?);
        let token = one(&mut watcher, TOKEN)?;
        assert!(token > latest, "token {token} after {latest}");
        latest = token;
    }
    let led: i64 = one(
        &mut watcher,
        "SELECT count(DISTINCT node_id) FROM costsim_leader_events WHERE event = 'acquired'",
    )?;
    assert_eq!(led, 9);
    check_the_books(&mut watcher)
}

#[test]
fn killed_client_hands_over_to_who_waits() -> Result<()> {
    let (cluster, mut watcher) = database("killed")?;
    let mut leader = Psql::start(&cluster, "killed")?;
    assert_eq!(leader.ask(TRY)?, "t");
    for round in 1..=6 {
        let mut heir = Psql::start(&cluster, "killed")?;
        heir.send(WAIT)?;
        wait_for(
            &mut watcher,
            "the heir to wait",
            "SELECT waiting = 1 FROM costsim_leader_status WHERE lock_id = 7001",
        )?;
        leader.kill()?;
        assert_eq!(heir.answer()?, "t", "round {round}");
        assert_eq!(heir.ask("SELECT epoch FROM costsim_leader(7001)")?.parse::<i64>()?, round + 1);
        leader = heir;
    }
    check_the_books(&mut watcher)
}

#[test]
fn waiter_is_next_after_an_operator_resigned_the_leader() -> Result<()> {
    let (cluster, mut watcher) = database("resigned")?;
    let resign = "SELECT costsim_resign_leader(7001, 'it hangs')";
    let mut leader = cluster.connect("resigned")?;
    assert!(one::<bool>(&mut leader, TRY)?);
    let waiter = queue(&cluster, &mut watcher, "resigned", WAIT)?;
    assert!(one::<bool>(&mut watcher, resign)?);
    let (mut heir, led) = waiter.answer()?;
    assert!(led);
    assert!(leader.simple_query("SELECT 1").is_err(), "its session is over");

    // The other mode: nobody has a lock to queue for, and still nobody polls.
    assert!(one::<bool>(&mut heir, RELEASE)?);
    one::<i64>(&mut watcher, "SELECT costsim_try_lease(7001, 'pooled', '1 hour')")?;
    let waiter = Asked::<bool>::query(heir, WAIT)?;
    wait_until_asleep(&mut watcher, waiter.pid())?;
    assert!(!waiter.is_answered());
    assert!(one::<bool>(&mut watcher, resign)?);
    assert!(waiter.answer()?.1);
    check_the_books(&mut watcher)
}

/// Waits until a session waits for something other than its client, whatever that is.
fn wait_until_asleep(watcher: &mut Client, pid: i32) -> Result<()> {
    let is_asleep = format!(
        "SELECT state = 'active' AND wait_event_type IN ('Lock', 'Extension', 'Timeout', 'IPC') AND query LIKE '%costsim_%'
           FROM pg_stat_activity WHERE pid = {pid}"
    );
    wait_for(watcher, "a session to wait", &is_asleep)
}

#[test]
fn waiter_is_next_after_a_lease_that_was_given_back_or_ran_out() -> Result<()> {
    let (cluster, mut watcher) = database("lease")?;
    let token: i64 = one(&mut watcher, "SELECT costsim_try_lease(7001, 'pooled', '1 hour')")?;
    let waiter = Asked::<bool>::query(cluster.connect("lease")?, WAIT)?;
    wait_until_asleep(&mut watcher, waiter.pid())?;
    assert!(!waiter.is_answered(), "the lease lives");
    assert!(one::<bool>(&mut watcher, &format!("SELECT costsim_release_lease(7001, {token})"))?);
    let (mut heir, led) = waiter.answer()?;
    assert!(led);
    assert!(one::<i64>(&mut heir, TOKEN)? > token);
    assert!(one::<bool>(&mut heir, RELEASE)?);

    let token: i64 = one(&mut watcher, "SELECT costsim_try_lease(7001, 'pooled', '500 ms')")?;
    let until: String =
        one(&mut watcher, "SELECT lease_until::text FROM costsim_leaders WHERE lock_id = 7001")?;
    let (mut heir, led) = Asked::<bool>::query(heir, WAIT)?.answer()?;
    assert!(led);
    assert!(one::<i64>(&mut heir, TOKEN)? > token);
    let ended_first: bool =
        one(&mut heir, &format!("SELECT acquired_at >= '{until}' FROM costsim_leader(7001)"))?;
    assert!(ended_first, "nobody leads before the lease is over");
    check_the_books(&mut watcher)
}

#[test]
fn old_client_that_unlocks_hands_over_to_who_waits() -> Result<()> {
    let (cluster, mut watcher) = database("old_client")?;
    let mut old = cluster.connect("old_client")?;
    old.batch_execute("SELECT pg_advisory_lock(7001)")?;
    let second = cluster.connect("old_client")?;
    let waiter = queue(&cluster, &mut watcher, "old_client", WAIT)?;
    // And an old client in the same queue.
    let next = Asked::<bool>::query(second, "SELECT pg_advisory_lock(7001) IS NOT NULL")?;
    next.wait_until_queued(&mut watcher)?;
    all_wait(&mut watcher, 2)?;
    assert!(one::<bool>(&mut old, "SELECT pg_advisory_unlock(7001)")?);
    let (mut leader, led) = waiter.answer()?;
    assert!(led && !next.is_answered());
    assert!(one::<bool>(&mut leader, RELEASE)?);
    next.answer()?;
    Ok(())
}

#[test]
fn leader_that_waits_for_its_own_leadership_has_it() -> Result<()> {
    let (_cluster, mut leader) = database("own")?;
    assert!(one::<bool>(&mut leader, WAIT)?, "nobody is in its way");
    let token: i64 = one(&mut leader, TOKEN)?;
    assert!(one::<bool>(&mut leader, WAIT)?);
    assert_eq!(one::<i64>(&mut leader, TOKEN)?, token);
    assert!(one::<bool>(&mut leader, RELEASE)?);
    assert!(!one::<bool>(&mut leader, "SELECT costsim_lock_held(7001)")?, "once is enough");
    Ok(())
}

#[test]
fn waiter_that_runs_out_of_time_answers_false_and_holds_nothing() -> Result<()> {
    let (cluster, mut leader) = database("timeout")?;
    assert!(one::<bool>(&mut leader, TRY)?);
    let mut waiter = cluster.connect("timeout")?;
    waiter.batch_execute("SET lock_timeout = '1 h'; SET statement_timeout = '1 h'")?;
    let pid = pid(&mut waiter)?;
    for timeout in [0, 1, 300] {
        let asked_at = Instant::now();
        assert!(!one::<bool>(&mut waiter, &format!("SELECT costsim_wait_leader(7001, '{timeout} ms')"))?);
        assert!(asked_at.elapsed() >= Duration::from_millis(timeout), "{timeout}");
        assert_eq!(locks_of(&mut leader, pid)?, 0, "{timeout}");
        assert_eq!(waiting(&mut leader)?, 0);
    }
    let settings: String =
        one(&mut waiter, "SELECT current_setting('lock_timeout') || current_setting('statement_timeout')")?;
    assert_eq!(settings, "1h1h", "the session's own limits are as they were");

    // Within a transaction, that goes on.
    waiter.batch_execute("BEGIN")?;
    assert!(!one::<bool>(&mut waiter, "SELECT costsim_wait_leader(7001, '10 ms')")?);
    assert_eq!(locks_of(&mut leader, pid)?, 0);
    waiter.batch_execute("COMMIT")?;

    assert!(one::<bool>(&mut leader, RELEASE)?);
    assert!(one::<bool>(&mut waiter, "SELECT costsim_wait_leader(7001, '10 ms')")?);
    Ok(())
}

#[test]
fn waiter_that_is_stopped_raises_the_usual_error_and_holds_nothing() -> Result<()> {
    let (cluster, mut leader) = database("stopped")?;
    assert!(one::<bool>(&mut leader, TRY)?);
    for (what, setting, stop, code) in [
        ("a cancel", "", "pg_cancel_backend(pid)", "57014"),
        ("statement_timeout", "SET statement_timeout = '200 ms'", "true", "57014"),
        ("a termination", "", "pg_terminate_backend(pid, 30000)", "57P01"),
    ] {
        let mut client = cluster.connect("stopped")?;
        client.batch_execute(setting)?;
        let waiter = Asked::<bool>::query(client, WAIT)?;
        if setting.is_empty() {
            waiter.wait_until_queued(&mut leader)?;
        }
        let pid = waiter.pid();
        assert!(one::<bool>(&mut leader, &format!("SELECT {stop} FROM (VALUES ({pid})) AS waiter (pid)"))?);
        let (_client, outcome) = waiter.outcome()?;
        assert!(outcome.is_err(), "{what}");
        // Of a session that ended its client does not always read why.
        assert!(cluster.log()?.contains(&format!("{pid} {code} ")), "{what}");
        assert_eq!(locks_of(&mut leader, pid)?, 0, "{what}");
        assert_eq!(waiting(&mut leader)?, 0, "{what}");
    }
    assert!(one::<bool>(&mut leader, "SELECT costsim_is_leader(7001)")?);
    assert!(one::<bool>(&mut leader, RELEASE)?);
    assert!(one::<bool>(&mut cluster.connect("stopped")?, TRY)?);
    check_the_books(&mut leader)
}

#[test]
fn waiter_that_rolls_back_gives_it_to_the_next() -> Result<()> {
    let (cluster, mut leader) = database("rolled_back")?;
    assert!(one::<bool>(&mut leader, TRY)?);
    let before: i64 = one(&mut leader, TOKEN)?;
    let mut hesitant = Vec::new();
    for begin in ["BEGIN", "BEGIN; SAVEPOINT s", "BEGIN"] {
        let mut client = cluster.connect("rolled_back")?;
        client.batch_execute(begin)?;
        let waiter = Asked::<bool>::query(client, WAIT)?;
        waiter.wait_until_queued(&mut leader)?;
        hesitant.push(waiter);
    }
    let last = queue(&cluster, &mut leader, "rolled_back", WAIT)?;
    assert!(one::<bool>(&mut leader, RELEASE)?);
    let ends = ["ROLLBACK", "ROLLBACK TO s", "SELECT 1/0"];
    for (waiter, end) in hesitant.into_iter().zip(ends) {
        let pid = waiter.pid();
        let (mut client, led) = waiter.answer()?;
        assert!(led, "{end}");
        assert!(!last.is_answered(), "{end}");
        assert_eq!(client.simple_query(end).is_err(), end == "SELECT 1/0");
        // An error is told before the transaction is aborted; what is answered after it is answered in its time.
        client.simple_query("")?;
        // What is left of the transaction, open or failed, holds nothing.
        assert_eq!(locks_of(&mut leader, pid)?, 0, "{end}");
    }
    let (mut client, led) = last.answer()?;
    assert!(led);
    assert_eq!(one::<i64>(&mut client, TOKEN)?, before + 1, "what was rolled back was no term");
    check_the_books(&mut leader)
}

#[test]
fn deadlock_of_two_leaders_ends_one_wait_and_neither_term() -> Result<()> {
    let (cluster, mut watcher) = database("deadlock")?;
    let mut first = cluster.connect("deadlock")?;
    let mut second = cluster.connect("deadlock")?;
    assert!(one::<bool>(&mut first, "SELECT costsim_try_leader(1)")?);
    assert!(one::<bool>(&mut second, "SELECT costsim_try_leader(2)")?);
    let first = Asked::<bool>::query(first, "SELECT costsim_wait_leader(2, '10 min')")?;
    first.wait_until_queued(&mut watcher)?;
    let second = Asked::<bool>::query(second, "SELECT costsim_wait_leader(1, '10 min')")?;
    wait_until(LIMIT, "the deadlock to be seen", || {
        Ok((first.is_answered() || second.is_answered()).then_some(()))
    })?;
    let (stopped, waits, own) = if first.is_answered() { (first, second, 1) } else { (second, first, 2) };
    let (mut stopped, code) = stopped.refusal()?;
    assert_eq!(code, "40P01");
    assert!(one::<bool>(&mut stopped, &format!("SELECT costsim_is_leader({own})"))?);
    assert!(!one::<bool>(&mut stopped, &format!("SELECT costsim_is_leader({})", 3 - own))?);
    assert!(one::<bool>(&mut stopped, &format!("SELECT costsim_release_leader({own})"))?);
    let (mut client, led) = waits.answer()?;
    assert!(led);
    let leads_both: bool = one(&mut client, "SELECT costsim_is_leader(1) AND costsim_is_leader(2)")?;
    assert!(leads_both);
    check_the_books(&mut watcher)
}
