//! The worker purges signals by their retention, each kind by itself, and notes it.

use anyhow::Result;
use costsim_harness::Cluster;
use costsim_server_tests::{one, set, wait_for};

/// Ten runs that have ended, one each ten hours, and one of each kind that has not.
const RUNS: &str = "
    INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, created_at)
    SELECT i::text, 'acme', 'w', 'failed', now() - i * interval '10 hours' FROM generate_series(1, 10) i
     UNION ALL
    SELECT s, 'acme', 'w', s, now() - interval '1 year' FROM unnest('{queued,running}'::text[]) s";

#[test]
fn worker_purges_runs_by_the_retention_and_notes_it() -> Result<()> {
    let cluster = Cluster::builder()
        .preload(true)
        .conf("costsim.databases", "kept")
        .conf("costsim.worker_poll_interval", "1 s")
        .conf("costsim.run_retention", "1 d")
        .start()?;
    let mut client = cluster.create_database_with_extension("kept")?;
    client.batch_execute(RUNS)?;
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
        .conf("costsim.databases", "kept")
        .conf("costsim.worker_poll_interval", "1 s")
        .conf("costsim.run_retention", "1 d")
        .conf("costsim.cost_retention", "1 d")
        .start()?;
    let mut client = cluster.connect("postgres")?;
    // Nothing is purged before the trigger is there.
    set(&mut client, "costsim.databases", "")?;
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
