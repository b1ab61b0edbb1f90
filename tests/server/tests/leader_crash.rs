//! What a crash of the server leaves of a term: its number, and nothing else.

use anyhow::Result;
use costsim_harness::{Cluster, Mode};
use costsim_server_tests::one;
use postgres::Client;

fn token(client: &mut Client) -> Result<i64> {
    one(client, "SELECT token FROM costsim_leader(7001)")
}

#[test]
fn crash_ends_the_term_and_keeps_its_epoch() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut leader = cluster.create_database_with_extension("app")?;
    for _ in 0..3 {
        assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7001)")?);
        assert!(one::<bool>(&mut leader, "SELECT costsim_release_leader(7001)")?);
    }
    assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7001)")?);
    let before = token(&mut leader)?;
    cluster.restart(Mode::Immediate)?;

    let mut heir = cluster.connect("app")?;
    assert!(!one::<bool>(&mut heir, "SELECT costsim_lock_held(7001)")?);
    assert!(heir.query_opt("SELECT FROM costsim_leader(7001)", &[])?.is_none(), "the row alone leads nobody");
    assert!(one::<bool>(&mut heir, "SELECT costsim_try_leader(7001)")?);
    assert_eq!(token(&mut heir)?, before + 1);
    let epoch: i64 = one(&mut heir, "SELECT epoch FROM costsim_leader(7001)")?;
    assert_eq!(epoch, 5);
    Ok(())
}

/// A token is handed out, used, and its row lost in the crash: then the next term must not have the same one. The server
/// writes out full pages of its log only, and anything else every ten seconds, so what did not ask to be durable is lost.
#[test]
fn crash_never_gives_a_token_twice_even_without_synchronous_commit() -> Result<()> {
    let cluster = Cluster::builder()
        .conf("synchronous_commit", "off")
        .conf("wal_writer_delay", "10s")
        .conf("wal_writer_flush_after", "1GB")
        .start()?;
    let mut leader = cluster.create_database_with_extension("app")?;
    // The first change of a page after a checkpoint, a reader's clean-up included, logs the whole page; a later one is short.
    assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7001)")?);
    token(&mut leader)?;
    assert!(one::<bool>(&mut leader, "SELECT costsim_release_leader(7001)")?);
    // So the log stands near the beginning of a page when the term begins, and the page stays unwritten.
    leader.batch_execute(
        "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 8400 - mod(pg_current_wal_insert_lsn() - '0/0', 8192)::int))",
    )?;
    assert!(one::<bool>(&mut leader, "SELECT costsim_try_leader(7001)")?);
    let before = token(&mut leader)?;
    cluster.restart(Mode::Immediate)?;

    let mut heir = cluster.connect("app")?;
    assert!(one::<bool>(&mut heir, "SELECT costsim_try_leader(7001)")?);
    let after = token(&mut heir)?;
    assert!(after > before, "token {after} after {before}");
    Ok(())
}
