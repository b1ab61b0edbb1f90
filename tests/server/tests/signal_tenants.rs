//! Runs, patterns and predictions of two tenants beside each other, by a role of the session's tenant: no function
//! shows one tenant what is the other's, or that there is one, and a detection that is killed leaves nothing behind.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use costsim_harness::{Cluster, Signal, wait_until};
use costsim_server_tests::{one, sqlstate_of};
use postgres::{Client, NoTls};

/// Long enough for a server that recovers on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A role of the session's tenant. What is the other tenant's has names that nothing else has.
const SCENE: &str = "
    CREATE ROLE app LOGIN;
    SELECT costsim_grant('app', 'app', NULL);
    INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, error, cost_cents, created_at)
    SELECT t || '-run-' || n, t, CASE t WHEN 'zebra' THEN 'zebraworker' ELSE 'w' END, CASE WHEN n <= k THEN 'failed' ELSE 'completed' END,
           CASE WHEN n <= k THEN 'disk full after ' || n || ' s' END, CASE WHEN n > k THEN CASE n WHEN k + 1 THEN CASE t WHEN 'zebra' THEN 123456789 ELSE 500 END ELSE n END END, now() - n * interval '1 minute'
      FROM (VALUES ('acme', 5), ('zebra', 77)) v (t, k), generate_series(1, k + 9) n;";

/// Everything that runs for a tenant, by what it answers. `$OTHER` is the other tenant, as whoever guesses its name would pass it.
const QUESTIONS: [&str; 22] = [
    "SELECT d FROM costsim_detect_patterns('$OWN') d",
    "SELECT d FROM costsim_detect_patterns('$OTHER') d",
    "SELECT d FROM costsim_detect_patterns() d",
    "SELECT d FROM costsim_detect_patterns(method => 'reference') d",
    "SELECT d FROM costsim_predict('$OWN') d",
    "SELECT d FROM costsim_predict('$OTHER') d",
    "SELECT d FROM costsim_predict() d",
    "SELECT d FROM costsim_predict(method => 'reference') d",
    "SELECT costsim_observe_predictions('$OTHER')",
    "SELECT costsim_observe_predictions()",
    "SELECT f FROM costsim_query_feedback('$OTHER', include_past => true) f",
    "SELECT f FROM generate_series(1, 100) n, costsim_get_feedback('$OTHER', n) f",
    "SELECT f FROM costsim_feedback_stats('$OTHER') f",
    "SELECT n FROM generate_series(1, 100) n WHERE costsim_acknowledge_feedback('$OTHER', n, 'kim')",
    "SELECT p FROM costsim_query_predictions('$OTHER', include_expired => true, include_superseded => true) p",
    "SELECT p FROM generate_series(1, 100) n, costsim_get_prediction('$OTHER', n) p",
    "SELECT p FROM costsim_prediction_stats('$OTHER') p",
    "SELECT r FROM costsim_worker_runs r",
    "SELECT f FROM costsim_pattern_feedback f",
    "SELECT p FROM costsim_predictions p",
    "SELECT r FROM costsim_run_source() r",
    "SELECT costsim_emit_prediction('$OWN', 'own', 'worker', 'w', 0.5, '1') > 0",
];

/// What belongs to the other tenant and must not be told. (A shorter number would be a part of some time or other.)
const SECRETS: [&str; 2] = ["zebra", "123456789"];

fn session(cluster: &Cluster, tenant: &str) -> Result<Client> {
    let mut client = cluster.config("tenants").user("app").connect(NoTls)?;
    client.batch_execute(&format!("SET costsim.tenant_id = '{tenant}'"))?;
    Ok(client)
}

fn looks_of_zebra(cluster: &Cluster) -> Result<String> {
    let mut zebra = session(cluster, "zebra")?;
    zebra.batch_execute(
        "SELECT count(*) FROM costsim_detect_patterns(); SELECT count(*) FROM costsim_predict()",
    )?;
    kept(&mut zebra)
}

fn kept(client: &mut Client) -> Result<String> {
    one(
        client,
        "SELECT (SELECT coalesce(string_agg(to_jsonb(f)::text, ' ' ORDER BY id), '') FROM costsim_pattern_feedback f)
             || (SELECT coalesce(string_agg(to_jsonb(p)::text, ' ' ORDER BY id), '') FROM costsim_predictions p)",
    )
}

/// Answer or refusal, to the last word.
fn told(client: &mut Client, question: &str) -> String {
    match client.simple_query(question) {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{:?}", error.as_db_error()),
    }
}

#[test]
fn no_function_shows_a_tenant_what_another_one_has_even_after_a_detection_was_killed() -> Result<()> {
    let cluster = Cluster::builder().start()?;
    let mut client = cluster.create_database_with_extension("tenants")?;
    client.batch_execute(SCENE)?;
    // A detection that has looked, and is about to write, dies with its process.
    let mut holder = cluster.connect("tenants")?;
    holder.batch_execute("BEGIN; LOCK TABLE costsim_pattern_feedback IN EXCLUSIVE MODE")?;
    let mut doomed = session(&cluster, "zebra")?;
    let pid: i32 = one(&mut doomed, "SELECT pg_backend_pid()")?;
    let dying =
        std::thread::spawn(move || doomed.simple_query("SELECT d FROM costsim_detect_patterns() d").is_err());
    let is_waiting = format!(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {pid} AND NOT granted AND relation = 'costsim_pattern_feedback'::regclass)"
    );
    wait_until(LIMIT, "the detection to be in the middle", || {
        Ok(one::<bool>(&mut client, &is_waiting)?.then_some(()))
    })?;
    cluster.kill_backend(pid, Signal::KILL)?;
    ensure!(matches!(dying.join(), Ok(true)), "a detection that was killed answered");
    wait_until(LIMIT, "all sessions to be ended", || {
        if let Ok(row) = holder.query_one("SELECT 1", &[]) {
            bail!("it still answers {}", row.get::<_, i32>(0));
        }
        Ok(Some(()))
    })?;
    let mut client = wait_until(LIMIT, "the server to recover", || cluster.connect("tenants").map(Some))?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_pattern_feedback")?, 0);
    // Before the other tenant has anything but runs, and after it has patterns and predictions as well.
    let (mut acme, mut answers) = (session(&cluster, "acme")?, Vec::new());
    for round in 0..2 {
        for question in QUESTIONS {
            let question = question.replace("$OWN", "acme").replace("$OTHER", "zebra");
            let answer = told(&mut acme, &question);
            ensure!(
                !SECRETS.iter().any(|secret| answer.contains(secret)),
                "round {round}: {question}: {answer}"
            );
            answers.push((question, answer));
        }
        if round == 0 {
            let of_zebra = looks_of_zebra(&cluster)?;
            ensure!(
                of_zebra.contains("disk full") && of_zebra.contains("zebraworker"),
                "zebra has {of_zebra}"
            );
            answers.clear();
        }
    }
    // What the other's name is asked for is answered as a name that nobody has.
    for question in QUESTIONS.iter().filter(|question| question.contains("$OTHER")) {
        let answer = |client: &mut Client, name| told(client, &question.replace("$OTHER", name));
        let (of_zebra, of_nobody) = (answer(&mut acme, "zebra"), answer(&mut acme, "nobody"));
        assert_eq!(of_zebra, of_nobody, "{question}");
    }
    // The same look as a superuser's, who sees both, finds of each what it found by itself: nothing new.
    let before = (kept(&mut acme)?, kept(&mut session(&cluster, "zebra")?)?);
    ensure!(before.0.contains("\"occurrence_count\": 5"), "acme has {}", before.0);
    ensure!(before.1.contains("\"occurrence_count\": 77"), "zebra has {}", before.1);
    // Nobody writes as another tenant, whether it has such a run or not.
    for run in ["zebra-run-1", "no-such-run"] {
        let write = format!("SELECT * FROM costsim_record_run('zebra', 'w', 'failed', run_id => '{run}')");
        assert_eq!(sqlstate_of(&mut acme, &write)?, "42501");
    }
    let emit = "SELECT costsim_emit_prediction('zebra', 'own', 'worker', 'w', 0.5, '1')";
    assert_eq!(sqlstate_of(&mut acme, emit)?, "42501");
    assert_eq!((kept(&mut acme)?, kept(&mut session(&cluster, "zebra")?)?), before, "who was refused wrote");
    let runs: i64 = one(&mut client, "SELECT count(*) FROM costsim_worker_runs")?;
    assert_eq!(runs, 14 + 86);
    Ok(())
}
