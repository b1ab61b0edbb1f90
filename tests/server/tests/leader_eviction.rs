//! Who may be evicted, and who may not: a candidate ends the registered holder of a lease that is over, and nobody else.

use anyhow::{Result, anyhow, ensure};
use costsim_harness::{Cluster, Signal};
use costsim_server_tests::{Asked, Psql, Shared, check_the_books, one, sqlstate_of, wait_for};
use postgres::{Client, NoTls};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

static CLUSTER: Shared<Cluster> = Shared::new();

const TRY: &str = "SELECT costsim_try_leader(7001, 'heir')";
const LEAD: &str = "SELECT costsim_try_leader(7001, 'holder', '1 hour')";
const TOKEN: &str = "SELECT token FROM costsim_leader(7001)";

/// As if the holder had not renewed for a while.
const EXPIRE: &str =
    "UPDATE costsim_leaders SET lease_until = clock_timestamp() - interval '1 second' WHERE lock_id = 7001";

/// The file's cluster, and a database of the test's own in it.
fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

fn try_to_lead(client: &mut Client) -> Result<bool> {
    one(client, TRY)
}

fn token(client: &mut Client) -> Result<i64> {
    one(client, TOKEN)
}

/// A session that leads 7001 under a lease.
fn holder(cluster: &Cluster, database: &str) -> Result<Client> {
    let mut client = cluster.connect(database)?;
    ensure!(one::<bool>(&mut client, LEAD)?, "somebody leads");
    Ok(client)
}

fn is_alive(client: &mut Client) -> bool {
    client.simple_query("SELECT").is_ok()
}

fn pid(client: &mut Client) -> Result<i32> {
    one(client, "SELECT pg_backend_pid()")
}

/// The history of 7001: what happened to the n-th token, as `acquired 1`.
fn history(client: &mut Client) -> Result<String> {
    one(
        client,
        "SELECT string_agg(event || ' ' || (token & 4294967295), ', ' ORDER BY id)
           FROM costsim_leader_events WHERE lock_id = 7001",
    )
}

/// Makes the row of 7001 name a session as the holder of a lease that is over.
fn accuse(client: &mut Client, pid: i32, backend_start: &str) -> Result<()> {
    let forge = format!(
        "UPDATE costsim_leaders
            SET pid = {pid}, backend_start = {backend_start}, mode = 'session', lease = '1 second',
                lease_until = clock_timestamp() - interval '1 second', released_at = NULL
          WHERE lock_id = 7001"
    );
    ensure!(client.execute(&forge, &[])? == 1, "there is no row to forge");
    Ok(())
}

/// When a server process began.
fn start_of(pid: i32) -> String {
    format!("(SELECT a.backend_start FROM pg_stat_activity a WHERE a.pid = {pid})")
}

/// A row of a term that is over, for forging.
fn leave_a_row(client: &mut Client) -> Result<()> {
    ensure!(one::<bool>(client, LEAD)?, "somebody leads");
    ensure!(one::<bool>(client, "SELECT costsim_release_leader(7001)")?, "the lock cannot be given back");
    Ok(())
}

#[test]
fn zombie_whose_lease_is_over_is_evicted() -> Result<()> {
    let (cluster, mut heir) = database("zombie")?;
    let mut zombie = Psql::start(&cluster, "zombie")?;
    assert_eq!(zombie.ask("SELECT costsim_try_leader(7001, 'zombie', '300 ms')")?, "t");
    let before = token(&mut heir)?;
    let old: i32 = one(&mut heir, "SELECT pid FROM costsim_leader(7001)")?;
    zombie.suspend()?;
    wait_for(
        &mut heir,
        "the lease to end",
        "SELECT lease_until < clock_timestamp() FROM costsim_leaders WHERE lock_id = 7001",
    )?;
    let healthy: bool = one(&mut heir, "SELECT healthy FROM costsim_leader_status WHERE lock_id = 7001")?;
    assert!(!healthy, "who looks is told before anybody acts");

    assert!(try_to_lead(&mut heir)?, "the first who asks leads");
    assert!(token(&mut heir)? > before);
    assert!(
        !one::<bool>(&mut heir, &format!("SELECT EXISTS ({})", start_of(old)))?,
        "the zombie's session is gone"
    );
    assert_eq!(history(&mut heir)?, "acquired 1, preempted 1, acquired 2");
    let preempted: bool = one(
        &mut heir,
        &format!(
            "SELECT node_id = 'zombie' AND pid = {old} AND token = {before} FROM costsim_leader_events WHERE event = 'preempted'"
        ),
    )?;
    assert!(preempted, "the event names who was evicted");
    check_the_books(&mut heir)
}

#[test]
fn holder_is_evicted_whatever_its_session_does() -> Result<()> {
    let (cluster, mut heir) = database("busy")?;
    heir.batch_execute("CREATE TABLE work (n int)")?;
    for (round, act) in
        ["BEGIN; INSERT INTO work VALUES (1)", "SELECT pg_sleep(600)", "SELECT pg_advisory_lock(1)"]
            .into_iter()
            .enumerate()
    {
        let mut blocker = cluster.connect("busy")?;
        blocker.batch_execute("SELECT pg_advisory_lock(1)")?;
        let busy = Asked::statement(holder(&cluster, "busy")?, act)?;
        let is_busy = format!("SELECT state <> 'idle' FROM pg_stat_activity WHERE pid = {}", busy.pid());
        wait_for(&mut heir, "the holder to be busy", &is_busy)?;
        heir.batch_execute(EXPIRE)?;
        assert!(try_to_lead(&mut heir)?, "{act}");
        assert_eq!(token(&mut heir)? & 0xffff_ffff, 2 * i64::try_from(round)? + 2);
        assert!(one::<bool>(&mut heir, "SELECT costsim_release_leader(7001)")?);
    }
    assert_eq!(one::<i64>(&mut heir, "SELECT count(*) FROM work")?, 0);
    check_the_books(&mut heir)
}

#[test]
fn holder_whose_lease_lives_is_left_alone() -> Result<()> {
    let (cluster, mut candidate) = database("alive")?;
    let mut leader = holder(&cluster, "alive")?;
    assert!(!try_to_lead(&mut candidate)?);
    assert!(!one::<bool>(&mut candidate, "SELECT costsim_wait_leader(7001, '100 ms')")?);
    assert!(
        candidate
            .query_one("SELECT costsim_try_lease(7001, 'heir')", &[])?
            .get::<_, Option<i64>>(0)
            .is_none()
    );
    assert!(is_alive(&mut leader));
    assert_eq!(history(&mut candidate)?, "acquired 1");
    Ok(())
}

#[test]
fn holder_without_a_lease_is_never_evicted_however_old() -> Result<()> {
    let (cluster, mut candidate) = database("eternal")?;
    let mut leader = cluster.connect("eternal")?;
    assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7001)")?);
    candidate.batch_execute(
        "UPDATE costsim_leaders SET acquired_at = acquired_at - interval '10 years', renewed_at = renewed_at - interval '10 years'",
    )?;
    for ask in [
        TRY,
        "SELECT costsim_try_leader(7001, 'heir', '1 second')",
        "SELECT costsim_wait_leader(7001, '50 ms')",
    ] {
        assert!(!one::<bool>(&mut candidate, ask)?, "{ask}");
    }
    assert!(one::<bool>(&mut leader, "SELECT costsim_is_leader(7001)")?);
    assert_eq!(history(&mut candidate)?, "acquired 1");
    Ok(())
}

#[test]
fn holder_that_renewed_meanwhile_is_left_alone() -> Result<()> {
    let (cluster, mut candidate) = database("renewed")?;
    let mut leader = holder(&cluster, "renewed")?;
    let first = token(&mut leader)?;
    for renew in [LEAD, "SELECT costsim_renew_lease(7001, costsim_fencing_token(7001)) > now()"] {
        candidate.batch_execute(EXPIRE)?;
        assert!(one::<bool>(&mut leader, renew)?, "nobody wanted it, so it is still the leader's");
        // A session that has not asked before, and believes nothing yet.
        assert!(!try_to_lead(&mut cluster.connect("renewed")?)?, "{renew}");
        assert!(is_alive(&mut leader));
    }
    assert_eq!(token(&mut candidate)?, first);
    assert_eq!(history(&mut candidate)?, "acquired 1");
    Ok(())
}

/// Only what is committed counts: a holder that hangs in the transaction in which it renewed would lead forever.
#[test]
fn uncommitted_renewal_does_not_save_the_holder() -> Result<()> {
    let (cluster, mut candidate) = database("uncommitted")?;
    for (round, renew) in [LEAD, "SELECT costsim_renew_lease(7001, costsim_fencing_token(7001)) > now()"]
        .into_iter()
        .enumerate()
    {
        let mut leader = holder(&cluster, "uncommitted")?;
        let before = token(&mut leader)?;
        candidate.batch_execute(EXPIRE)?;
        leader.batch_execute("BEGIN")?;
        assert!(one::<bool>(&mut leader, renew)?);
        assert!(try_to_lead(&mut candidate)?, "{renew}");
        assert!(leader.batch_execute("COMMIT").is_err());
        assert_eq!(token(&mut candidate)?, before + 1, "round {round}");
        assert!(one::<bool>(&mut candidate, "SELECT costsim_release_leader(7001)")?);
    }
    check_the_books(&mut candidate)
}

#[test]
fn holder_of_the_same_key_in_another_database_is_left_alone() -> Result<()> {
    let (cluster, mut elsewhere) = database("elsewhere")?;
    let (_, mut candidate) = database("here")?;
    leave_a_row(&mut candidate)?;
    assert!(one::<bool>(&mut elsewhere, LEAD)?);
    elsewhere.batch_execute(EXPIRE)?;
    let innocent = pid(&mut elsewhere)?;
    accuse(&mut candidate, innocent, &start_of(innocent))?;

    // Somebody holds the key here: there is nobody to evict.
    let mut old = cluster.connect("here")?;
    old.batch_execute("SELECT pg_advisory_lock(7001)")?;
    assert!(!try_to_lead(&mut candidate)?);
    assert!(is_alive(&mut elsewhere) && is_alive(&mut old));
    // Nobody holds it: the candidate leads without ending anybody.
    assert!(one::<bool>(&mut old, "SELECT pg_advisory_unlock(7001)")?);
    assert!(try_to_lead(&mut candidate)?);
    assert!(one::<bool>(&mut elsewhere, "SELECT costsim_is_leader(7001)")?);
    assert_eq!(
        one::<i64>(&mut candidate, "SELECT count(*) FROM costsim_leader_events WHERE event LIKE 'preempt%'")?,
        0
    );
    Ok(())
}

#[test]
fn lock_of_two_integers_of_the_same_value_is_none_of_ours() -> Result<()> {
    let (cluster, mut candidate) = database("pair")?;
    leave_a_row(&mut candidate)?;
    let mut pair = cluster.connect("pair")?;
    pair.batch_execute("SELECT pg_advisory_lock(0, 7001)")?;
    let innocent = pid(&mut pair)?;
    accuse(&mut candidate, innocent, &start_of(innocent))?;
    let mut old = cluster.connect("pair")?;
    old.batch_execute("SELECT pg_advisory_lock(7001)")?;
    assert!(!try_to_lead(&mut candidate)?);
    assert!(one::<bool>(&mut old, "SELECT pg_advisory_unlock(7001)")?);
    assert!(try_to_lead(&mut candidate)?);
    assert!(is_alive(&mut pair) && is_alive(&mut old));
    assert!(one::<bool>(&mut pair, "SELECT pg_advisory_unlock(0, 7001)")?, "it kept its own lock");
    Ok(())
}

#[test]
fn process_number_that_was_used_again_protects_its_new_owner() -> Result<()> {
    let (cluster, mut candidate) = database("pid")?;
    leave_a_row(&mut candidate)?;
    let mut bystander = cluster.connect("pid")?;
    let innocent = pid(&mut bystander)?;
    let start = start_of(innocent);
    let mut old = cluster.connect("pid")?;

    // The number alone, and then number and start of a session that does not hold the key: free, and held by another.
    for start in [format!("{start} - interval '1 second'"), start.clone()] {
        accuse(&mut candidate, innocent, &start)?;
        old.batch_execute("SELECT pg_advisory_lock(7001)")?;
        assert!(!try_to_lead(&mut candidate)?, "{start}");
        assert!(one::<bool>(&mut old, "SELECT pg_advisory_unlock(7001)")?);
        assert!(try_to_lead(&mut candidate)?, "{start}");
        assert!(is_alive(&mut bystander) && is_alive(&mut old), "{start}");
        assert!(one::<bool>(&mut candidate, "SELECT costsim_release_leader(7001)")?);
    }

    // It does hold the key, and the mark even, but is not the session that the row means.
    assert!(one::<bool>(&mut bystander, LEAD)?);
    accuse(&mut candidate, innocent, &format!("{start} - interval '1 second'"))?;
    assert!(!try_to_lead(&mut candidate)?);
    assert!(is_alive(&mut bystander));
    // And the same with the right session and another's number: the candidate's own.
    let own = pid(&mut candidate)?;
    accuse(&mut candidate, own, &start_of(own))?;
    assert!(!try_to_lead(&mut candidate)?);
    assert!(is_alive(&mut bystander) && is_alive(&mut candidate));
    assert_eq!(
        one::<i64>(&mut candidate, "SELECT count(*) FROM costsim_leader_events WHERE event LIKE 'preempt%'")?,
        0
    );
    Ok(())
}

#[test]
fn old_client_is_never_evicted_even_if_a_row_names_it() -> Result<()> {
    let (cluster, mut candidate) = database("bare")?;
    leave_a_row(&mut candidate)?;
    let mut old = cluster.connect("bare")?;
    old.batch_execute("SELECT pg_advisory_lock(7001)")?;
    let innocent = pid(&mut old)?;
    accuse(&mut candidate, innocent, &start_of(innocent))?;
    assert!(!try_to_lead(&mut candidate)?);
    assert!(!one::<bool>(&mut candidate, "SELECT costsim_wait_leader(7001, '50 ms')")?);
    assert!(is_alive(&mut old));

    // Nor after it had led itself, under a lease that is over by now.
    assert!(one::<bool>(&mut old, "SELECT pg_advisory_unlock(7001)")?);
    assert!(one::<bool>(&mut old, LEAD)?);
    old.batch_execute("SELECT pg_advisory_unlock_all(); SELECT pg_advisory_lock(7001)")?;
    candidate.batch_execute(EXPIRE)?;
    assert!(!try_to_lead(&mut candidate)?);
    assert!(is_alive(&mut old));
    Ok(())
}

#[test]
fn caller_who_may_terminate_nobody_evicts_the_zombie_and_no_more() -> Result<()> {
    let (cluster, mut owner) = database("rights")?;
    owner.batch_execute(
        "CREATE ROLE eviction_candidate LOGIN;
         GRANT EXECUTE ON FUNCTION costsim_try_leader(bigint, text, interval) TO eviction_candidate",
    )?;
    let mut zombie = holder(&cluster, "rights")?;
    let zombie_pid = pid(&mut zombie)?;
    let mut candidate = cluster.config("rights").user("eviction_candidate").connect(NoTls)?;
    let terminate = format!("SELECT pg_terminate_backend({zombie_pid})");
    assert_eq!(sqlstate_of(&mut candidate, &terminate)?, "42501");
    assert_eq!(sqlstate_of(&mut candidate, EXPIRE)?, "42501");
    assert!(!try_to_lead(&mut candidate)?);
    assert!(is_alive(&mut zombie));

    owner.batch_execute(EXPIRE)?;
    assert_eq!(sqlstate_of(&mut candidate, &terminate)?, "42501");
    // Who asked a moment ago may believe for another moment that the lease lives.
    wait_for(&mut candidate, "the zombie to be evicted", TRY)?;
    assert!(!is_alive(&mut zombie));
    let caused_by: String =
        one(&mut owner, "SELECT caused_by::text FROM costsim_leader_events WHERE event = 'preempted'")?;
    assert_eq!(caused_by, "eviction_candidate", "the caller's own name, not that of the functions' owner");
    check_the_books(&mut owner)
}

#[test]
fn holder_that_does_not_end_in_time_is_not_overtaken() -> Result<()> {
    let (cluster, mut candidate) = database("frozen")?;
    let mut frozen = holder(&cluster, "frozen")?;
    let before = token(&mut candidate)?;
    let frozen_pid = pid(&mut frozen)?;
    candidate.batch_execute(EXPIRE)?;
    cluster.kill_backend(frozen_pid, Signal::STOP)?;
    let asked_at = Instant::now();
    let answer = try_to_lead(&mut candidate);
    let took = asked_at.elapsed();
    // Whoever waits for it can be stopped.
    candidate.batch_execute("SET statement_timeout = '200 ms'")?;
    let stopped = sqlstate_of(&mut candidate, TRY);
    cluster.kill_backend(frozen_pid, Signal::CONT)?;

    assert!(!answer?, "its process still holds the lock");
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(15), "{took:?}");
    assert_eq!(stopped?, "57014");
    candidate.batch_execute("RESET statement_timeout")?;
    let denied: i64 =
        one(&mut candidate, "SELECT token FROM costsim_leader_events WHERE event = 'preempt_denied'")?;
    assert_eq!(denied, before);
    let end = format!("SELECT NOT EXISTS ({})", start_of(frozen_pid));
    wait_for(&mut candidate, "the holder to end", &end)?;
    assert!(try_to_lead(&mut candidate)?);
    assert!(token(&mut candidate)? > before);
    check_the_books(&mut candidate)
}

#[test]
fn of_several_candidates_one_evicts_and_leads() -> Result<()> {
    let (cluster, mut watcher) = database("candidates")?;
    const CANDIDATES: usize = 4;
    let mut candidates = Vec::new();
    for _ in 0..CANDIDATES {
        candidates.push(cluster.connect("candidates")?);
    }
    for round in 0..15 {
        let mut zombie = holder(&cluster, "candidates")?;
        watcher.batch_execute(EXPIRE)?;
        let start = Arc::new(Barrier::new(CANDIDATES));
        let racing: Vec<_> = candidates
            .drain(..)
            .map(|mut client| {
                let start = start.clone();
                thread::spawn(move || {
                    start.wait();
                    let has_won = try_to_lead(&mut client);
                    (client, has_won)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for racer in racing {
            let (client, has_won) = racer.join().map_err(|_| anyhow!("a candidate has panicked"))?;
            if has_won? {
                winners.push(candidates.len());
            }
            candidates.push(client);
        }
        assert_eq!(winners.len(), 1, "round {round}");
        let winner = &mut candidates[winners[0]];
        assert!(one::<bool>(winner, "SELECT costsim_release_leader(7001)")?);
        assert!(!is_alive(&mut zombie), "round {round}");
    }
    // Whoever begins the next term says how the one before ended. A candidate that had not a hand in it, but was the first to find the
    // lock free, knows only that the session is gone.
    let ends = "SELECT count(*) FROM costsim_leader_events
                 WHERE event = 'preempted' OR (event = 'expired' AND reason LIKE 'its session ended%')";
    assert_eq!(one::<i64>(&mut watcher, ends)?, 15);
    check_the_books(&mut watcher)
}

#[test]
fn waiting_candidate_takes_over_when_the_lease_runs_out_though_nobody_polls() -> Result<()> {
    let (cluster, mut watcher) = database("waits")?;
    let mut zombie = cluster.connect("waits")?;
    assert!(one::<bool>(&mut zombie, "SELECT costsim_try_leader(7001, 'zombie', '5 seconds')")?);
    let before = token(&mut zombie)?;
    let waiter = Asked::<bool>::query(
        cluster.connect("waits")?,
        "SELECT costsim_wait_leader(7001, '10 min', 'heir')",
    )?;
    waiter.wait_until_queued(&mut watcher)?;
    // The lease is renewed under the waiter's eyes, and then no more.
    assert!(one::<bool>(&mut zombie, "SELECT costsim_try_leader(7001, 'zombie', '5 seconds')")?);
    assert!(!waiter.is_answered());
    let until: String =
        one(&mut watcher, "SELECT lease_until::text FROM costsim_leaders WHERE lock_id = 7001")?;
    let (mut heir, led) = waiter.answer()?;
    assert!(led);
    assert!(token(&mut heir)? > before);
    assert!(!is_alive(&mut zombie));
    let waited: bool = one(&mut heir, &format!("SELECT acquired_at >= '{until}' FROM costsim_leader(7001)"))?;
    assert!(waited, "nobody is evicted before its lease is over");
    assert_eq!(history(&mut heir)?, "acquired 1, preempted 1, acquired 2");
    check_the_books(&mut heir)
}

/// Who stands in the queue has seen another leader, one without a lease, and is woken by nobody.
#[test]
fn waiting_candidate_takes_over_from_a_leader_that_came_after_it_had_queued() -> Result<()> {
    let (cluster, mut watcher) = database("overtaken")?;
    let mut first = cluster.connect("overtaken")?;
    assert!(one::<bool>(&mut first, "SELECT costsim_try_leader(7001, 'first')")?);
    let second = "SELECT costsim_wait_leader(7001, '10 min', 'second', '500 ms')";
    let second = Asked::<bool>::query(cluster.connect("overtaken")?, second)?;
    second.wait_until_queued(&mut watcher)?;
    let third = Asked::<bool>::query(
        cluster.connect("overtaken")?,
        "SELECT costsim_wait_leader(7001, '10 min', 'third')",
    )?;
    third.wait_until_queued(&mut watcher)?;
    assert!(one::<bool>(&mut first, "SELECT costsim_release_leader(7001)")?);
    let (mut zombie, led) = second.answer()?;
    assert!(led);
    // It renews no more.
    let (_heir, led) = third.answer()?;
    assert!(led);
    assert!(!is_alive(&mut zombie));
    check_the_books(&mut watcher)
}

/// The same with a leader that takes a lease only while others wait already.
#[test]
fn waiting_candidate_takes_over_when_a_lease_that_was_taken_meanwhile_runs_out() -> Result<()> {
    let (cluster, mut watcher) = database("late_lease")?;
    let mut zombie = cluster.connect("late_lease")?;
    assert!(one::<bool>(&mut zombie, "SELECT costsim_try_leader(7001)")?);
    let waiter =
        Asked::<bool>::query(cluster.connect("late_lease")?, "SELECT costsim_wait_leader(7001, '10 min')")?;
    waiter.wait_until_queued(&mut watcher)?;
    assert!(one::<bool>(&mut zombie, "SELECT costsim_try_leader(7001, NULL, '500 ms')")?);
    let (_heir, led) = waiter.answer()?;
    assert!(led);
    assert!(!is_alive(&mut zombie));
    check_the_books(&mut watcher)
}

#[test]
fn eviction_that_rolls_back_leaves_the_lock_to_the_next() -> Result<()> {
    let (cluster, mut candidate) = database("rolled_back")?;
    for (round, end) in ["ROLLBACK", "ROLLBACK TO s; COMMIT"].into_iter().enumerate() {
        let mut zombie = holder(&cluster, "rolled_back")?;
        let before = token(&mut zombie)?;
        candidate.batch_execute(EXPIRE)?;
        candidate.batch_execute("BEGIN; SAVEPOINT s")?;
        assert!(try_to_lead(&mut candidate)?);
        candidate.batch_execute(end)?;
        assert!(!is_alive(&mut zombie), "who was ended stays ended");
        assert!(!one::<bool>(&mut candidate, "SELECT costsim_lock_held(7001)")?, "{end}");
        assert!(candidate.query_opt("SELECT FROM costsim_leader(7001)", &[])?.is_none(), "{end}");
        let mut heir = cluster.connect("rolled_back")?;
        assert!(try_to_lead(&mut heir)?, "{end}");
        assert_eq!(token(&mut heir)?, before + 1, "what was rolled back was no term");
        let [old, new] = [2 * round + 1, 2 * round + 2];
        let history = history(&mut heir)?;
        assert!(history.ends_with(&format!("acquired {old}, expired {old}, acquired {new}")), "{history}");
        assert!(one::<bool>(&mut heir, "SELECT costsim_release_leader(7001)")?);
    }
    check_the_books(&mut candidate)
}

#[test]
fn evicted_node_is_a_candidate_like_any_other() -> Result<()> {
    let (cluster, mut heir) = database("again")?;
    let mut zombie = holder(&cluster, "again")?;
    heir.batch_execute(EXPIRE)?;
    assert!(try_to_lead(&mut heir)?);
    assert!(!is_alive(&mut zombie));
    let mut back = cluster.connect("again")?;
    assert!(!one::<bool>(&mut back, LEAD)?, "under its own name too");
    assert!(one::<bool>(&mut heir, "SELECT costsim_release_leader(7001)")?);
    assert!(one::<bool>(&mut back, LEAD)?);
    check_the_books(&mut heir)
}
