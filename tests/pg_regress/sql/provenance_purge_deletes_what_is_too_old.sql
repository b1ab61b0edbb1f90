-- The oldest first, at most so many, and drift follows.
BEGIN;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) SELECT i, 1, i, now() - i * interval '10 days' FROM generate_series(1, 20) i;
SELECT costsim_refresh_drift() > 0 AS rolled_up;
SELECT total, max_delta FROM costsim_drift_stats();
SELECT costsim_purge_provenance(max_rows => 3);
SELECT min(run_id::int), max(run_id::int) FROM costsim_provenance;
SELECT costsim_purge_provenance();
SELECT min(run_id::int), max(run_id::int) FROM costsim_provenance;
SELECT costsim_purge_provenance();
SELECT total, max_delta FROM costsim_drift_stats();
SELECT costsim_refresh_drift();
SELECT total, max_delta FROM costsim_drift_stats();
SELECT costsim_purge_provenance('0');
SELECT count(*) FROM costsim_provenance;
SELECT task, last_rows, total_rows, last_run_at > now() AS now FROM costsim_maintenance WHERE task IN ('purge_provenance', 'refresh_drift') ORDER BY task;
ROLLBACK;
