//! Every function of the extension is called with NULL and with the ends of its types' ranges, by a role that has only been granted them,
//! by one of a single tenant's, and, where only the owner may, by the owner.
//!
//! It promises that no call ends a server process, none is a fault of ours (XX000), and whatever is refused is refused with an SQLSTATE of
//! the list below. `COSTSIM_SWEEP=1` calls them with every argument at an end at once as well. What a function answers to such values its own tests say. The functions come from the catalog, so a new one is in.

use anyhow::{Result, bail};
use costsim_harness::Cluster;
use costsim_server_tests::ends::{Function, functions};
use costsim_server_tests::one;
use postgres::{Client, SimpleQueryMessage};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const FILL: &str = include_str!("../released/fill-0.1.0.sql");

/// What a refusal may be: those of `src/error.rs`, and what the server says of values by itself.
const REFUSALS: [&str; 29] = [
    "22004", "22023", "22003", "42704", "42710", "42501", "54000", "54001", "53200", "53400", "55000",
    "55P03", "0A000", "25001", // our own
    "22008", // beyond the calendar
    "2201W", "2201X", // LIMIT and OFFSET
    "22P02", "22007", "22P03", "22021", "22P05", "22030", "22019", // no value of that type
    "2202E", "22012", // array bounds, division by zero
    "23514", "23502", "23505", // a constraint of a table
];

/// They wait, as they are told: a moment is enough here.
const WAITING: [&str; 2] = ["costsim_wait_leader", "costsim_run_as_leader"];

/// They run what they are given, whose errors are its own.
const RUNNING: [&str; 1] = ["costsim_run_as_leader"];

/// A session of a role, whose waits end.
fn session_of(cluster: &Cluster, user: &str) -> Result<Client> {
    let mut config = cluster.config("postgres");
    let mut client = config.user(user).connect(postgres::NoTls)?;
    client.batch_execute("SET client_min_messages = error; SET lock_timeout = '5s'")?;
    Ok(client)
}

#[test]
fn no_function_breaks_on_null_or_on_the_ends_of_its_types() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.connect("postgres")?;
    client.batch_execute("CREATE EXTENSION costsim_pg")?;
    client.batch_execute(FILL)?;
    client.batch_execute(
        "CREATE ROLE sweeper LOGIN BYPASSRLS; GRANT ALL ON SCHEMA public TO sweeper;
         GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO sweeper;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO sweeper; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO sweeper",
    )?;
    client.batch_execute(
        "CREATE SCHEMA old; CREATE TABLE old.costsim_cb_state (LIKE costsim_cb_state INCLUDING ALL)",
    )?;
    // An application of one tenant's, as the manual has it.
    client.batch_execute("CREATE ROLE tenant LOGIN; SELECT costsim_grant('tenant', 'app', 'acme')")?;
    let functions = functions(&mut client)?;
    let swept = sweep(&cluster, "sweeper", &functions.iter().collect::<Vec<_>>())?;
    assert!(
        functions.len() > 150 && swept.count > 4_000,
        "{} functions, {} calls",
        functions.len(),
        swept.count
    );
    assert!(
        swept.answered * 4 > swept.count,
        "only {} of {} calls were answered: most were refused for something else",
        swept.answered,
        swept.count
    );
    let of_tenant = sweep(&cluster, "tenant", &functions.iter().collect::<Vec<_>>())?;
    assert!(of_tenant.answered > 300, "only {} calls of a tenant's were answered", of_tenant.answered);
    let for_owner = ["costsim_grant", "costsim_revoke", "costsim_adopt", "costsim_unadopt"];
    let for_owner: Vec<_> =
        functions.iter().filter(|function| for_owner.contains(&function.name.as_str())).collect();
    assert_eq!(for_owner.len(), 4);
    let of_owner = sweep(&cluster, "postgres", &for_owner)?;
    assert!(of_owner.answered > 15, "only {} calls of the owner's were answered", of_owner.answered);
    let log = cluster.log()?;
    assert!(!log.contains("was terminated by signal") && !log.contains("PANIC"), "a process ended");
    // A session that leads may have been ended, as one function is there to do.
    assert!(one::<bool>(&mut cluster.connect("postgres")?, "SELECT is_current FROM costsim_version()")?);
    Ok(())
}

/// How many calls there were, and how many were answered.
struct Swept {
    count: u32,
    answered: u32,
}

/// Calls functions as a role, and fails where one does what none may.
fn sweep(cluster: &Cluster, user: &str, functions: &[&Function]) -> Result<Swept> {
    let mut session = session_of(cluster, user)?;
    let (mut count, mut answered, mut faults) = (0_u32, 0_u32, String::new());
    let mut refused: BTreeMap<String, u32> = BTreeMap::new();
    let is_thorough = std::env::var_os("COSTSIM_SWEEP").is_some();
    let mut times = Vec::new();
    for function in functions {
        let begun_at = std::time::Instant::now();
        let waits = WAITING.contains(&function.name.as_str());
        let is_slow = waits || function.is_inner();
        // What a function of ours asks of another is bounded by the one that asks: asked by hand, such a one does what it is told.
        let limit = if waits {
            "100ms"
        } else if is_slow {
            "2s"
        } else {
            "30s"
        };
        for call in function.calls(is_thorough)? {
            count += 1;
            let shown: String = call.chars().take(300).collect();
            let outcome = session
                .simple_query(&format!("BEGIN; SET LOCAL statement_timeout = '{limit}'; {call}; ROLLBACK"));
            let error = match outcome {
                Ok(messages) => {
                    answered += u32::from(
                        messages.iter().any(|message| matches!(message, SimpleQueryMessage::Row(_))),
                    );
                    continue;
                }
                Err(error) => error,
            };
            let Some(code) = error.code() else {
                writeln!(faults, "the server process ended: {shown}: {error}")?;
                session = reconnect(cluster, user)?;
                continue;
            };
            let code = code.code().to_owned();
            session.batch_execute("ROLLBACK")?;
            let is_own = RUNNING.contains(&function.name.as_str()) || is_slow && code == "57014";
            if !REFUSALS.contains(&code.as_str()) && !is_own {
                writeln!(faults, "{code}: {shown}: {:?}", error.as_db_error().map(|error| error.message()))?;
            }
            *refused.entry(code).or_default() += 1;
        }
        times.push((begun_at.elapsed(), &function.name));
    }
    println!(
        "{user}: {} functions, {count} calls, {answered} answered, refused: {refused:?}",
        functions.len()
    );
    times.sort();
    println!("longest: {:?}", times.iter().rev().take(5).collect::<Vec<_>>());
    if !faults.is_empty() {
        bail!("{faults}");
    }
    Ok(Swept { count, answered })
}

/// After a crash the server comes back by itself.
fn reconnect(cluster: &Cluster, user: &str) -> Result<Client> {
    costsim_harness::wait_until(costsim_server_tests::LIMIT, "the server to be back", || {
        session_of(cluster, user).map(Some)
    })
}
