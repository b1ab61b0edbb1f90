//! The worker purges signals by their retention, each kind by itself, and notes it.
//!
//! It looks once an hour. So what there is to purge is there before it comes.

use anyhow::Result;
use costsim_harness::Cluster;
use costsim_server_tests::{one, set, wait_for};

/// Ten runs that have ended, one each ten hours, and one of each kind that has not.
const RUNS: &str = "
    INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, created_at)
    SELECT i::text, 'acme', 'w', 'failed', now() - i * interval '10 hours' FROM generate_series(1, 10) i
     UNION ALL
    SELECT s, 'acme', 'w', s, now() - interval '1 year' FROM unnest('{queued,running}'::text[]) s";

/// Five patterns and predictions that were last seen, or have expired, one each ten hours.
const SAID: &str = "
    INSERT INTO costsim_pattern_feedback (tenant_id, pattern_type, description, signature, first_seen, last_seen)
    SELECT 'acme', 'failure_pattern', 'again', i::text, now() - i * interval '10 hours', now() - i * interval '10 hours' FROM generate_series(1, 5) i;
    INSERT INTO costsim_predictions (tenant_id, prediction_type, subject_type, subject_id, method, confidence_score, prediction_value, created_at, expires_at)
    SELECT 'acme', 'failure_likelihood', 'worker', i::text, 'standard', 0.5, '{}', now() - interval '10 days', now() - i * interval '10 hours'
      FROM generate_series(1, 5) i";

#[test]
fn worker_purges_feedback_and_predictions_by_their_retention() -> Result<()> {
    let cluster = Cluster::builder()
        .preload(true)
        .conf("costsim.worker_poll_interval", "1 s")
        .conf("costsim.feedback_retention", "25 h")
        .conf("costsim.prediction_retention", "35 h")
        .start()?;
    let mut client = cluster.create_database_with_extension("kept")?;
    client.batch_execute(&format!("{RUNS}; {SAID}"))?;
    set(&mut client, "costsim.databases", "kept")?;
    wait_for(
        &mut client,
        "the worker to purge what was said",
        "SELECT (SELECT array_agg(signature ORDER BY signature) FROM costsim_pattern_feedback) = '{1,2}'::text[]
            AND (SELECT array_agg(subject_id ORDER BY subject_id) FROM costsim_predictions) = '{1,2,3}'::text[]
            AND (SELECT array_agg(task || ' ' || total_rows ORDER BY task) FROM costsim_maintenance WHERE task LIKE 'purge%' AND last_error IS NULL)
                @> '{purge_feedback 3,purge_predictions 2}'",
    )?;
    // Without a setting nothing goes.
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_worker_runs")?, 12);
    Ok(())
}

#[test]
fn worker_purges_runs_by_the_retention_and_notes_it() -> Result<()> {
    let cluster = Cluster::builder()
        .preload(true)
        .conf("costsim.worker_poll_interval", "1 s")
        .conf("costsim.run_retention", "1 d")
        .start()?;
    let mut client = cluster.create_database_with_extension("kept")?;
    client.batch_execute(RUNS)?;
    set(&mut client, "costsim.databases", "kept")?;
    wait_for(
        &mut client,
        "the worker to purge runs",
        "SELECT (SELECT array_agg(id ORDER BY id) FROM costsim_worker_runs) = '{1,2,queued,running}'::text[]
            AND EXISTS (SELECT FROM costsim_maintenance WHERE task = 'purge_runs' AND total_rows = 8 AND last_error IS NULL)",
    )
}

#[test]
fn worker_that_cannot_purge_runs_says_why_and_does_the_rest() -> Result<()> {
    let cluster = Cluster::builder()
        .preload(true)
        .conf("costsim.worker_poll_interval", "1 s")
        .conf("costsim.run_retention", "1 d")
        .conf("costsim.cost_retention", "1 d")
        .start()?;
    let mut client = cluster.create_database_with_extension("kept")?;
    client.batch_execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'runs stay here'; END $$;
         CREATE TRIGGER refuse BEFORE DELETE ON costsim_worker_runs EXECUTE FUNCTION refuse();
         INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
         SELECT 'acme', 'm', 1, now() - interval '3 days'",
    )?;
    client.batch_execute(RUNS)?;
    set(&mut client, "costsim.databases", "kept")?;
    wait_for(
        &mut client,
        "the worker to say why",
        "SELECT EXISTS (SELECT FROM costsim_maintenance WHERE task = 'purge_runs' AND last_error LIKE '%runs stay here%')
            AND NOT EXISTS (SELECT FROM costsim_cost_records)",
    )?;
    assert_eq!(one::<i64>(&mut client, "SELECT count(*) FROM costsim_worker_runs")?, 12);
    Ok(())
}
