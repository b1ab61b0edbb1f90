//! How a term ends, and what does not end it.

use anyhow::{Context, Result};
use costsim_harness::{Cluster, Signal, wait_until};
use costsim_server_tests::{LIMIT, Psql, Shared, one, sqlstate_of, wait_for};
use postgres::Client;
use std::sync::Arc;

static CLUSTER: Shared<Cluster> = Shared::new();

/// The file's cluster, and a database of the test's own in it.
fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().start())?;
    let client = cluster.create_database_with_extension(name)?;
    Ok((cluster, client))
}

fn leads(client: &mut Client) -> Result<bool> {
    one(client, "SELECT costsim_is_leader(7001)")
}

fn try_to_lead(client: &mut Client) -> Result<bool> {
    one(client, "SELECT costsim_try_leader(7001)")
}

/// The token of the term that runs now.
fn token(client: &mut Client) -> Result<i64> {
    one(client, "SELECT token FROM costsim_leader(7001)")
}

/// Waits until this session can lead, and answers with its token.
fn succeed(client: &mut Client) -> Result<i64> {
    wait_for(client, "leadership to be free", "SELECT costsim_try_leader(7001)")?;
    token(client)
}

#[test]
fn killed_client_is_succeeded_under_a_greater_token() -> Result<()> {
    let (cluster, mut heir) = database("killed_client")?;
    let mut leader = Psql::start(&cluster, "killed_client")?;
    assert_eq!(leader.ask("SELECT costsim_try_leader(7001, 'first')")?, "t");
    let before: i64 = leader.ask("SELECT token FROM costsim_leader(7001)")?.parse()?;
    assert!(!try_to_lead(&mut heir)?);
    leader.kill()?;
    assert!(succeed(&mut heir)? > before);
    Ok(())
}

#[test]
fn client_killed_within_its_transaction_leaves_no_term() -> Result<()> {
    let (cluster, mut heir) = database("killed_in_transaction")?;
    let mut leader = Psql::start(&cluster, "killed_in_transaction")?;
    assert_eq!(leader.ask("BEGIN; SELECT costsim_try_leader(7001)")?, "t");
    leader.kill()?;
    succeed(&mut heir)?;
    let epoch: i64 = one(&mut heir, "SELECT epoch FROM costsim_leaders")?;
    assert_eq!(epoch, 1, "what was never committed was no term");
    Ok(())
}

#[test]
fn terminated_leader_is_succeeded_under_a_greater_token() -> Result<()> {
    let (cluster, mut heir) = database("terminated")?;
    let mut leader = cluster.connect("terminated")?;
    assert!(try_to_lead(&mut leader)?);
    let before = token(&mut leader)?;
    let pid: i32 = one(&mut leader, "SELECT pg_backend_pid()")?;
    let has_ended: bool = one(&mut heir, &format!("SELECT pg_terminate_backend({pid}, 30000)"))?;
    assert!(has_ended);
    assert!(try_to_lead(&mut heir)?, "the lock went with the session");
    assert!(token(&mut heir)? > before);
    Ok(())
}

#[test]
fn crashed_server_process_of_the_leader_keeps_the_epoch() -> Result<()> {
    // A server of its own: the others' sessions would not survive it.
    let cluster = Cluster::builder().start()?;
    let mut leader = cluster.connect("postgres")?;
    leader.batch_execute("CREATE EXTENSION costsim_pg")?;
    assert!(try_to_lead(&mut leader)?);
    let before = token(&mut leader)?;
    let pid: i32 = one(&mut leader, "SELECT pg_backend_pid()")?;
    cluster.kill_backend(pid, Signal::KILL)?;
    let mut heir = wait_until(LIMIT, "the server to recover", || {
        let mut heir = cluster.connect("postgres")?;
        Ok(try_to_lead(&mut heir)?.then_some(heir))
    })?;
    assert_eq!(token(&mut heir)?, before + 1);
    Ok(())
}

#[test]
fn discard_all_ends_the_leadership() -> Result<()> {
    ends_the_leadership("discard_all", "DISCARD ALL")
}

#[test]
fn unlocking_everything_ends_the_leadership() -> Result<()> {
    ends_the_leadership("unlock_all", "SELECT pg_advisory_unlock_all()")
}

#[test]
fn unlocking_the_key_by_hand_ends_the_leadership() -> Result<()> {
    ends_the_leadership("unlock", "SELECT pg_advisory_unlock(7001)")
}

fn ends_the_leadership(name: &str, statement: &str) -> Result<()> {
    let (cluster, mut leader) = database(name)?;
    let mut heir = cluster.connect(name)?;
    assert!(try_to_lead(&mut leader)?);
    let before = token(&mut leader)?;
    leader.simple_query(statement)?;
    assert!(!leads(&mut leader)?, "the old leader knows");
    let can_release: bool = one(&mut leader, "SELECT costsim_release_leader(7001)")?;
    assert!(!can_release, "there is nothing to give back");
    assert!(!one::<bool>(&mut heir, "SELECT costsim_lock_held(7001)")?);
    assert!(try_to_lead(&mut heir)?);
    assert!(token(&mut heir)? > before);
    assert!(!try_to_lead(&mut leader)?, "the old leader is a candidate like any other");
    Ok(())
}

#[test]
fn same_session_may_lead_again_after_unlocking_everything() -> Result<()> {
    let (_cluster, mut leader) = database("again")?;
    assert!(try_to_lead(&mut leader)?);
    let before = token(&mut leader)?;
    leader.simple_query("DISCARD ALL")?;
    assert!(try_to_lead(&mut leader)?);
    assert_eq!(token(&mut leader)?, before + 1, "it is another term");
    assert!(one::<bool>(&mut leader, "SELECT costsim_release_leader(7001)")?);
    assert!(!one::<bool>(&mut leader, "SELECT costsim_lock_held(7001)")?);
    Ok(())
}

#[test]
fn term_that_ended_does_not_revive_with_the_bare_lock() -> Result<()> {
    let (cluster, mut old) = database("revive")?;
    let mut other = cluster.connect("revive")?;
    assert!(try_to_lead(&mut old)?);
    old.simple_query("SELECT pg_advisory_unlock_all()")?;
    assert!(try_to_lead(&mut other)?);
    let between = token(&mut other)?;
    assert!(one::<bool>(&mut other, "SELECT costsim_release_leader(7001)")?);

    // The old leader takes the lock as old clients do: that makes no term, and least of all its former one.
    assert!(one::<bool>(&mut old, "SELECT pg_try_advisory_lock(7001)")?);
    assert!(!leads(&mut old)?, "another session led since");
    assert!(try_to_lead(&mut old)?);
    assert!(token(&mut old)? > between);
    Ok(())
}

#[test]
fn bare_lock_of_an_old_client_keeps_new_ones_out() -> Result<()> {
    let (cluster, mut old) = database("old_client")?;
    let mut new = cluster.connect("old_client")?;
    assert!(one::<bool>(&mut old, "SELECT pg_try_advisory_lock(7001)")?);
    assert!(!try_to_lead(&mut new)?);
    assert!(one::<bool>(&mut new, "SELECT costsim_lock_held(7001)")?);
    let healthy: bool = one(&mut new, "SELECT healthy FROM costsim_leader(7001)")?;
    assert!(!healthy, "the lock is held, but by no term");
    assert!(one::<bool>(&mut old, "SELECT pg_advisory_unlock(7001)")?);

    assert!(try_to_lead(&mut new)?);
    assert!(!one::<bool>(&mut old, "SELECT pg_try_advisory_lock(7001)")?, "and the other way round");
    Ok(())
}

#[test]
fn lock_of_another_database_or_another_kind_of_key_does_not_matter() -> Result<()> {
    let (cluster, mut client) = database("own")?;
    let mut elsewhere = cluster.connect("postgres")?;
    assert!(one::<bool>(&mut elsewhere, "SELECT pg_try_advisory_lock(7001)")?);
    let mut pair = cluster.connect("own")?;
    assert!(one::<bool>(&mut pair, "SELECT pg_try_advisory_lock(0, 7001)")?);

    assert!(!one::<bool>(&mut client, "SELECT costsim_lock_held(7001)")?);
    assert!(client.query_opt("SELECT FROM costsim_leader(7001)", &[])?.is_none());
    assert!(try_to_lead(&mut client)?);
    let pid: i32 = one(&mut client, "SELECT pid FROM costsim_leader(7001)")?;
    assert_eq!(pid, one::<i32>(&mut client, "SELECT pg_backend_pid()")?);
    Ok(())
}

#[test]
fn locks_at_the_ends_of_bigint_are_led_like_any_other() -> Result<()> {
    let (cluster, mut client) = database("extremes")?;
    let mut other = cluster.connect("extremes")?;
    for lock_id in [i64::MIN, -1, 0, i64::from(u32::MAX) + 1, i64::MAX] {
        let try_to_lead = format!("SELECT costsim_try_leader('{lock_id}')");
        assert!(one::<bool>(&mut client, &try_to_lead)?, "{lock_id}");
        assert!(!one::<bool>(&mut other, &try_to_lead)?, "{lock_id}");
        let key_is_held = format!("SELECT costsim_lock_held('{lock_id}')");
        assert!(one::<bool>(&mut other, &key_is_held)?, "{lock_id}");
        let lock_by_hand = format!("SELECT pg_try_advisory_lock('{lock_id}')");
        assert!(
            !one::<bool>(&mut other, &lock_by_hand)?,
            "{lock_id} is the key of the server's own functions"
        );
    }
    Ok(())
}

#[test]
fn transaction_that_began_to_lead_cannot_be_prepared() -> Result<()> {
    let (cluster, mut client) = database("prepared")?;
    client.batch_execute("BEGIN; SELECT costsim_try_leader(7001)")?;
    assert_eq!(sqlstate_of(&mut client, "PREPARE TRANSACTION 'led'")?, "0A000");
    client.batch_execute("ROLLBACK")?;
    assert!(!leads(&mut client)?);
    assert!(try_to_lead(&mut cluster.connect("prepared")?)?, "nothing of it is left");
    let count: i64 = one(&mut client, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = 'led'")?;
    assert_eq!(count, 0);
    Ok(())
}

#[test]
fn leader_may_prepare_a_transaction_that_changes_no_term() -> Result<()> {
    let (_cluster, mut client) = database("prepares")?;
    assert!(try_to_lead(&mut client)?);
    client.batch_execute(
        "BEGIN; SELECT costsim_try_leader(7001); SELECT costsim_write_provenance('run'); PREPARE TRANSACTION 'work'",
    )?;
    client.batch_execute("COMMIT PREPARED 'work'")?;
    assert!(leads(&mut client)?);
    Ok(())
}

#[test]
fn release_is_announced_after_the_lock_is_free() -> Result<()> {
    use postgres::fallible_iterator::FallibleIterator;
    let (cluster, mut leader) = database("announced")?;
    let mut heir = cluster.connect("announced")?;
    heir.batch_execute("LISTEN costsim_leader_released")?;
    for round in 0..50 {
        assert!(try_to_lead(&mut leader)?);
        assert!(one::<bool>(&mut leader, "SELECT costsim_release_leader(7001)")?);
        let told = heir.notifications().timeout_iter(LIMIT).next()?.context("no notification")?;
        assert_eq!(told.payload(), "7001");
        assert!(try_to_lead(&mut heir)?, "round {round}: who is told can lead at once");
        assert!(one::<bool>(&mut heir, "SELECT costsim_release_leader(7001)")?);
        heir.notifications().timeout_iter(LIMIT).next()?.context("its own notification")?;
    }
    Ok(())
}
