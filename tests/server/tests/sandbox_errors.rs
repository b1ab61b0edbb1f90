//! The sandbox under errors: V2 fails in one call of three, in others the row cannot be recorded, in savepoints and outside of them, transactions roll back, calls are cancelled at
//! any moment. V1's answers are right all the same, what is committed is whole, and no index has taken harm.

use anyhow::{Context, Result, anyhow, ensure};
use costsim_harness::Cluster;
use costsim_server_tests::{Shared, one, sqlstate, wait_for};
use fastrand::Rng;
use postgres::Client;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

static CLUSTER: Shared<Cluster> = Shared::new();

/// Sessions at once.
const SESSIONS: usize = 8;

/// Calls of each, unless COSTSIM_SANDBOX_CALLS says otherwise.
const CALLS: usize = 300;

/// Prices at which V2 is beyond every number once the skill `broken` is done ten times, and V1 is not.
const PRICES: &str = "
    INSERT INTO costsim_skill_costs (model, version, skill, cost_cents) VALUES ('v2', '2.0.0', 'broken', 1e308), ('v1', '1.0.0', 'broken', 3);
    SELECT costsim_configure_breaker('patient', failure_threshold => 1000000000);
    CREATE TABLE beside (call text);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'somebody''s own rule'; END $$;
    CREATE TRIGGER refuse AFTER INSERT ON costsim_provenance FOR EACH ROW WHEN (NEW.run_id LIKE '%refused') EXECUTE FUNCTION refuse();
    CREATE EXTENSION amcheck";

fn database(name: &str) -> Result<(Arc<Cluster>, Client)> {
    let cluster = CLUSTER.get(|| Cluster::builder().conf("costsim.sandbox_enabled", "on").start())?;
    let mut client = cluster.create_database_with_extension(name)?;
    client.batch_execute(PRICES)?;
    Ok((cluster, client))
}

/// What one session knows of what it did.
#[derive(Default)]
struct Known {
    /// Calls that were committed: the run and whether V2 failed.
    committed: BTreeSet<(String, bool)>,
    cancelled: usize,
    rolled_back: usize,
}

/// One plan and what V1 must say of it.
struct Plan {
    text: String,
    v1_cost: f64,
    breaks: bool,
    is_refused: bool,
}

impl Plan {
    fn random(rng: &mut Rng) -> Self {
        let times = rng.u32(10..20);
        let is_refused = rng.u8(..6) == 0;
        if rng.u8(..3) == 0 {
            let text = format!(r#"[{{"skill": "kv_get"}}, {{"skill": "broken", "iterations": {times}}}]"#);
            Self { text, v1_cost: 3.0 * f64::from(times), breaks: true, is_refused }
        } else {
            let text = format!(r#"[{{"skill": "llm_invoke", "iterations": {times}}}]"#);
            Self { text, v1_cost: 5.0 * f64::from(times), breaks: false, is_refused }
        }
    }
}

/// One call, with a row beside it; V1's answer is checked whatever becomes of the transaction.
fn call(client: &mut Client, plan: &Plan, run: &str, with_savepoint: bool) -> Result<(), postgres::Error> {
    if with_savepoint {
        client.batch_execute("SAVEPOINT s")?;
    }
    client.execute("INSERT INTO beside VALUES ($1)", &[&run])?;
    let row = client.query_one(
        "SELECT v1_cost_cents, v2_error, provenance_id, v2_cost_cents
           FROM costsim_sandbox($1::text::jsonb, 1000, 'tenant', $2, 'patient')",
        &[&plan.text, &run],
    )?;
    assert_eq!(row.get::<_, f64>(0), plan.v1_cost, "{run}: V1's answer");
    let error: Option<String> = row.get(1);
    let told = |what: &str| error.as_deref().is_some_and(|error| error.contains(what));
    assert_eq!(told("22003: costs of plan[1]"), plan.breaks, "{run}: {error:?}");
    assert_eq!(told("not recorded: P0001: somebody's own rule"), plan.is_refused, "{run}: {error:?}");
    assert_eq!(row.get::<_, Option<f64>>(3).is_none(), plan.breaks, "{run}: V2's answer");
    assert_eq!(row.get::<_, Option<i64>>(2).is_none(), plan.is_refused, "{run}: its row");
    Ok(())
}

/// Ends a transaction that was cancelled. The next cancel may hit this very command, and the transaction is still open then.
fn roll_back(client: &mut Client) -> Result<()> {
    loop {
        match client.batch_execute("ROLLBACK") {
            Err(error) if sqlstate(&error) == "57014" => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// A session's transactions, each of a few calls, of which some roll back, whole or to a savepoint.
fn session(cluster: &Cluster, name: &str, number: usize, calls: usize, done: &AtomicUsize) -> Result<Known> {
    let mut client = cluster.connect(name)?;
    client.batch_execute(&format!("SET application_name = 'sandboxed {number}'"))?;
    let mut rng = Rng::with_seed(number as u64);
    let mut known = Known::default();
    let mut next = 0;
    while next < calls {
        let mut held = Vec::new();
        let outcome = (|| {
            client.batch_execute("BEGIN")?;
            for _ in 0..rng.usize(1..4) {
                let plan = Plan::random(&mut rng);
                let run = format!("{number}/{next}{}", if plan.is_refused { "/refused" } else { "" });
                next += 1;
                let with_savepoint = rng.bool();
                call(&mut client, &plan, &run, with_savepoint)?;
                if with_savepoint && rng.u8(..4) == 0 {
                    client.batch_execute("ROLLBACK TO s")?;
                } else {
                    held.push((run, plan.breaks));
                }
            }
            if rng.u8(..5) == 0 {
                client.batch_execute("ROLLBACK")?;
                held.clear();
                known.rolled_back += 1;
                return Ok(());
            }
            client.batch_execute("COMMIT")
        })();
        done.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(()) => known.committed.extend(held),
            // A cancel leaves by the call, or by the COMMIT before it is one: nothing of the transaction is there.
            Err(error) if sqlstate(&error) == "57014" => {
                known.cancelled += 1;
                roll_back(&mut client)?;
            }
            Err(error) => return Err(anyhow!(error).context(format!("session {number}"))),
        }
    }
    Ok(known)
}

#[test]
fn sandbox_errors_leave_v1_right_and_every_index_whole() -> Result<()> {
    let calls: usize = match std::env::var("COSTSIM_SANDBOX_CALLS") {
        Ok(calls) => calls.parse()?,
        Err(_) => CALLS,
    };
    let (cluster, mut client) = database("sandboxed")?;
    let done = AtomicUsize::new(0);
    let known = thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|number| {
                let (cluster, done) = (&cluster, &done);
                scope.spawn(move || session(cluster, "sandboxed", number, calls, done))
            })
            .collect();
        // Whoever is active is cancelled, again and again, while there are sessions: each time after some transactions more.
        let mut seen = 0;
        while sessions.iter().any(|session| !session.is_finished()) {
            if done.load(Ordering::Relaxed) >= seen + 5 {
                seen = done.load(Ordering::Relaxed);
                let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                               WHERE application_name LIKE 'sandboxed %' AND state = 'active' ORDER BY random() LIMIT 2";
                client.execute(cancel, &[])?;
            }
            thread::yield_now();
        }
        sessions
            .into_iter()
            .map(|session| session.join().map_err(|_| anyhow!("a session panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;

    // Every committed call has one row, unless that was refused, and every row a committed call.
    let committed: BTreeSet<_> = known.iter().flat_map(|known| known.committed.iter().cloned()).collect();
    let query = "SELECT run_id, payload ? 'error', v2_cost IS NULL, count(*) FROM costsim_provenance GROUP BY 1, 2, 3";
    let mut recorded = BTreeSet::new();
    for row in client.query(query, &[])? {
        let (run, breaks, lacks, count): (String, bool, bool, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        ensure!(count == 1, "{run} has {count} rows");
        ensure!(breaks == lacks, "{run} has both an error and a cost, or neither");
        recorded.insert((run, breaks));
    }
    let kept: BTreeSet<_> = committed.iter().filter(|(run, _)| !run.ends_with("refused")).cloned().collect();
    assert_eq!(recorded, kept);
    let beside: BTreeSet<String> =
        client.query("SELECT call FROM beside", &[])?.iter().map(|row| row.get(0)).collect();
    assert_eq!(beside, committed.iter().map(|(run, _)| run.clone()).collect());
    let (cancelled, rolled_back) =
        known.iter().fold((0, 0), |sum, known| (sum.0 + known.cancelled, sum.1 + known.rolled_back));
    let failed = committed.iter().filter(|(_, breaks)| *breaks).count();
    println!(
        "{} calls committed, {failed} of them failed in V2, {} were not recorded; {rolled_back} transactions rolled back, {cancelled} cancelled",
        committed.len(),
        committed.len() - kept.len()
    );
    ensure!(failed > SESSIONS && rolled_back > SESSIONS && cancelled > 0, "not everything has happened");

    // The rows are in every index once, and nothing else is.
    let checked: i64 = one(
        &mut client,
        "SELECT count(bt_index_check(c.oid, heapallindexed => true)::text)
           FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_am a ON a.oid = c.relam
          WHERE a.amname = 'btree' AND i.indrelid::regclass::text ~ '^_?costsim_'",
    )?;
    ensure!(checked > 20, "only {checked} indexes were looked at");
    // Those that failed have counted, as those that were good have ended the count: the breaker can be used.
    let failures: i32 = one(&mut client, "SELECT consecutive_failures FROM costsim_cb_get_state('patient')")?;
    ensure!(failures >= 0, "{failures}");
    client.batch_execute("SELECT costsim_report_drift(0.0, name => 'patient')")?;
    wait_for(
        &mut client,
        "the count to begin anew",
        "SELECT consecutive_failures = 0 FROM costsim_cb_get_state('patient')",
    )
    .context("the breaker after it all")
}
