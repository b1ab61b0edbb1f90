//! What several of the server tests need: a server whose worker delivers, a standby, a client that can be killed.
//!
//! Each test file claims something of whole servers. Tests that do not disturb each other share a [`Shared`] cluster;
//! each that stops a server, or sends its worker elsewhere, has its own.

mod alert_load;
mod application;
mod asked;
mod books;
mod breaker;
pub mod catalog;
pub mod chaos;
mod child;
pub mod drift;
pub mod ends;
mod full_port;
pub mod history;
pub mod secrets;
mod shared;
mod site;
mod standby;

pub use alert_load::{AlertLoad, KEY, Ledger, Reckoning, enqueue};
pub use application::Application;
pub use asked::{Asked, sqlstate};
pub use books::check_the_books;
pub use breaker::{check_the_breakers, says};
pub use child::{is_running, run_tool};
pub use costsim_harness::Psql;
pub use full_port::FullPort;
pub use shared::Shared;
pub use site::{Site, WorkerStatus};
pub use standby::{Standby, crash};

use anyhow::{Context, Result, ensure};
use costsim_harness::{Cluster, Signal, wait_until};
use postgres::Client;
use postgres::types::FromSqlOwned;
use std::path::PathBuf;
use std::time::Duration;

/// How long a test waits for what takes moments: long enough for a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The single value a query answers with.
pub fn one<T: FromSqlOwned>(client: &mut Client, query: &str) -> Result<T> {
    let row = client.query_one(query, &[]).with_context(|| query.to_owned())?;
    row.try_get(0).with_context(|| query.to_owned())
}

/// Waits until a query that asks yes or no answers yes.
pub fn wait_for(client: &mut Client, what: &str, question: &str) -> Result<()> {
    wait_until(LIMIT, what, || Ok(one::<bool>(client, question)?.then_some(())))
}

/// kill -9 of a backend, which makes the server end all sessions and recover: a session of it afterwards. It takes new ones for a moment before, which
/// end as well, so that an older one has to have ended first.
pub fn kill_and_reconnect(
    cluster: &Cluster,
    pid: i32,
    session: &mut Client,
    database: &str,
) -> Result<Client> {
    cluster.kill_backend(pid, Signal::KILL)?;
    wait_until(LIMIT, "the server to notice", || {
        Ok(session.simple_query("SELECT 1").is_err().then_some(()))
    })?;
    wait_until(LIMIT, "the server to be back", || cluster.connect(database).map(Some))
}

/// The SQLSTATE with which a statement fails.
pub fn sqlstate_of(client: &mut Client, statement: &str) -> Result<String> {
    let outcome = client.simple_query(statement);
    let error = outcome.err().with_context(|| format!("no error: {statement}"))?;
    let code = error.code().with_context(|| format!("no answer of the server to {statement}: {error}"))?;
    Ok(code.code().to_owned())
}

/// Changes a setting of the whole server and has it taken over.
pub fn set(client: &mut Client, name: &str, value: &str) -> Result<()> {
    set_for_the_next_start(client, name, value)?;
    ensure!(one::<bool>(client, "SELECT pg_reload_conf()")?, "the server did not reload");
    Ok(())
}

/// The same, and waits until every process of the server has been told of this reload and of those before it.
pub fn set_everywhere(cluster: &Cluster, name: &str, value: &str) -> Result<()> {
    set(&mut cluster.connect("postgres")?, name, value)?;
    let postmaster = cluster.postmaster_pid()?;
    wait_until(LIMIT, "the postmaster to have taken the signal", || {
        let status = std::fs::read_to_string(format!("/proc/{postmaster}/status"))?;
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).context("no signals")?;
        // SIGHUP is the first of them.
        Ok((u64::from_str_radix(pending.trim(), 16)? & 1 == 0).then_some(()))
    })?;
    // It does so between two connections.
    cluster.connect("postgres").map(drop)
}

/// Changes a setting in the file, without telling the running server.
pub fn set_for_the_next_start(client: &mut Client, name: &str, value: &str) -> Result<()> {
    client.batch_execute(&format!("ALTER SYSTEM SET {name} = '{value}'"))?;
    Ok(())
}

/// A file that lies beside the project unless `COSTSIM_SHARED` says otherwise.
pub fn shared_file(name: &str) -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    std::env::var_os("COSTSIM_SHARED").map_or_else(beside, PathBuf::from).join(name)
}
