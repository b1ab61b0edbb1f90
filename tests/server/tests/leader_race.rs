//! Many sessions want to lead at the same moment.

use anyhow::{Context, Result, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one, wait_for};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio::runtime::Builder;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

static CLUSTER: Shared<Cluster> = Shared::new();

fn cluster() -> Result<Arc<Cluster>> {
    CLUSTER.get(|| Cluster::builder().conf("max_connections", "1150").conf("shared_buffers", "64MB").start())
}

fn config(cluster: &Cluster, database: &str) -> Config {
    let mut config = Config::new();
    config.host_path(cluster.socket_dir()).port(cluster.port()).user("postgres").dbname(database);
    config
}

async fn connect(config: Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Opens as many sessions; a few at a time, because the queue of a socket is short.
async fn connect_all(config: &Config, count: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let mut opening = JoinSet::new();
        for _ in 0..(count - clients.len()).min(50) {
            opening.spawn(connect(config.clone()));
        }
        while let Some(client) = opening.join_next().await {
            clients.push(client??);
        }
    }
    Ok(clients)
}

/// All sessions ask at once, the n-th by the n-th of these queries in turn: who was answered true.
async fn race(clients: &[Arc<Client>], queries: &'static [&'static str]) -> Result<Vec<usize>> {
    let start = Arc::new(Barrier::new(clients.len()));
    let mut racing = JoinSet::new();
    for (number, client) in clients.iter().enumerate() {
        let (client, start) = (client.clone(), start.clone());
        racing.spawn(async move {
            start.wait().await;
            let query = queries[number % queries.len()];
            let row = client.query_one(query, &[]).await.with_context(|| format!("session {number}"))?;
            Ok::<_, anyhow::Error>((number, row.try_get::<_, bool>(0)?))
        });
    }
    let mut winners = Vec::new();
    while let Some(outcome) = racing.join_next().await {
        let (number, has_won) = outcome??;
        if has_won {
            winners.push(number);
        }
    }
    Ok(winners)
}

const SESSIONS: usize = 1_000;
const ROUNDS: usize = 20;

#[test]
fn thousand_sessions_race_and_one_wins_in_each_of_twenty_rounds() -> Result<()> {
    let cluster = cluster()?;
    cluster.create_database_with_extension("race")?;
    let config = config(&cluster, "race");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let clients: Vec<_> = connect_all(&config, SESSIONS).await?.into_iter().map(Arc::new).collect();
        let mut latest: Option<(i64, i64)> = None;
        for round in 0..ROUNDS {
            let winners = race(&clients, &["SELECT costsim_try_leader(7001)"]).await?;
            ensure!(winners.len() == 1, "round {round} has the winners {winners:?}");
            let winner = &clients[winners[0]];
            let row = winner
                .query_one(
                    "SELECT epoch, token, pid = pg_backend_pid(), healthy, costsim_is_leader(7001)
                       FROM costsim_leader(7001)",
                    &[],
                )
                .await?;
            ensure!(row.get::<_, bool>(2) && row.get::<_, bool>(3) && row.get::<_, bool>(4), "round {round}");
            let (epoch, token) = (row.get::<_, i64>(0), row.get::<_, i64>(1));
            if let Some((last_epoch, last_token)) = latest {
                ensure!(epoch == last_epoch + 1, "round {round}: epoch {epoch} after {last_epoch}");
                ensure!(token > last_token, "round {round}: token {token} after {last_token}");
            }
            latest = Some((epoch, token));
            let row = winner.query_one("SELECT costsim_release_leader(7001)", &[]).await?;
            ensure!(row.get::<_, bool>(0), "the winner of round {round} has nothing to release");
        }
        Ok(())
    })
}

#[test]
fn old_clients_and_new_ones_elect_one_leader_between_them() -> Result<()> {
    let cluster = cluster()?;
    let mut watcher = cluster.create_database_with_extension("mixed")?;
    let config = config(&cluster, "mixed");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut wins = [0; 2];
    runtime.block_on(async {
        let clients: Vec<_> = connect_all(&config, 60).await?.into_iter().map(Arc::new).collect();
        for round in 0..40 {
            let queries = &["SELECT pg_try_advisory_lock(7001)", "SELECT costsim_try_leader(7001)"];
            let winners = race(&clients, queries).await?;
            ensure!(winners.len() == 1, "round {round} has the winners {winners:?}");
            let side = winners[0] % 2;
            wins[side] += 1;
            let release = ["SELECT pg_advisory_unlock(7001)", "SELECT costsim_release_leader(7001)"][side];
            let row = clients[winners[0]].query_one(release, &[]).await?;
            ensure!(row.get::<_, bool>(0), "the winner of round {round} has nothing to release");
        }
        Ok(())
    })?;
    assert!(wins.iter().all(|&count| count > 0), "one side never won, so nothing was shown: {wins:?}");
    let epoch: i64 = one(&mut watcher, "SELECT epoch FROM costsim_leaders WHERE lock_id = 7001")?;
    assert_eq!(epoch, wins[1], "every term of a new client has an epoch, and an old client's has none");
    Ok(())
}

/// A session leads as long as it does not let go, and a lease as long as it was told: whoever begins a term beside it would write
/// that the one before had come to an end by itself.
#[test]
fn sessions_and_leases_race_and_none_begins_beside_another() -> Result<()> {
    let cluster = cluster()?;
    let mut watcher = cluster.create_database_with_extension("both_modes")?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut racing = Vec::new();
    for number in 0..4 {
        let (mut client, is_over) = (cluster.connect("both_modes")?, is_over.clone());
        racing.push(thread::spawn(move || -> Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                if number == 0 {
                    if one::<bool>(&mut client, "SELECT costsim_try_leader(7001)")? {
                        client.batch_execute("BEGIN; SELECT costsim_require_leader(7001); COMMIT")?;
                        ensure!(
                            one::<bool>(&mut client, "SELECT costsim_release_leader(7001)")?,
                            "not leading"
                        );
                    }
                } else {
                    let ask = format!("SELECT costsim_try_lease(7001, 'node {number}', '1 min')");
                    if let Some(token) = one::<Option<i64>>(&mut client, &ask)? {
                        let release = format!("SELECT costsim_release_lease(7001, {token})");
                        ensure!(one::<bool>(&mut client, &release)?, "the lease of token {token} is gone");
                    }
                }
            }
            Ok(())
        }));
    }
    // A hundred at a time: how fast they are is nobody's promise.
    let waited = (100..=2500).step_by(100).try_for_each(|terms| {
        let both = format!(
            "SELECT count(*) FILTER (WHERE mode = 'session') >= {terms} AND count(*) FILTER (WHERE mode = 'lease') >= {terms}
               FROM costsim_leader_events WHERE event = 'acquired'"
        );
        wait_for(&mut watcher, &format!("{terms} terms of each kind"), &both)
    });
    is_over.store(true, Ordering::Relaxed);
    for racer in racing {
        racer.join().map_err(|_| anyhow::anyhow!("a racer has panicked"))??;
    }
    waited?;
    let by_itself: i64 = one(
        &mut watcher,
        "SELECT count(*) FROM costsim_leader_events WHERE event NOT IN ('acquired', 'released')",
    )?;
    assert_eq!(by_itself, 0, "terms that were begun beside another");
    Ok(())
}
