-- Only what has ended goes, the oldest first.
SET client_min_messages = warning;
TRUNCATE costsim_worker_runs;
INSERT INTO costsim_worker_runs (id, tenant_id, worker_id, status, created_at)
SELECT s || i, 't', 'w', s, now() - i * interval '40 days'
  FROM unnest('{queued,running,completed,failed,crashed}'::text[]) s, generate_series(1, 3) i;
SELECT costsim_purge_runs(max_rows => 2);
SELECT count(*), count(*) FILTER (WHERE created_at < now() - interval '119 days') AS oldest FROM costsim_worker_runs;
SELECT costsim_purge_runs();
SELECT costsim_purge_runs();
SELECT status, count(*) FROM costsim_worker_runs GROUP BY 1 ORDER BY 1;
SELECT task, last_rows, total_rows, last_error FROM costsim_maintenance WHERE task = 'purge_runs';
-- Runs that never end are not read again and again.
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at) SELECT 't', 'w', 'running', now() - interval '1 year' FROM generate_series(1, 20000);
ANALYZE costsim_worker_runs;
EXPLAIN (COSTS OFF) SELECT ctid FROM ONLY costsim_worker_runs WHERE created_at < now() - interval '90 days' AND status IN ('completed', 'failed', 'crashed') ORDER BY created_at LIMIT 10000 FOR UPDATE SKIP LOCKED;
SELECT pg_stat_force_next_flush();
SELECT idx_scan AS before FROM pg_stat_user_indexes WHERE indexrelname = 'costsim_worker_runs_ended_idx' \gset
SELECT costsim_purge_runs();
SELECT pg_stat_force_next_flush();
SELECT idx_scan > :before AS is_used FROM pg_stat_user_indexes WHERE indexrelname = 'costsim_worker_runs_ended_idx';
DELETE FROM costsim_worker_runs WHERE created_at < now() - interval '200 days';
-- Older than the calendar is nothing.
SELECT costsim_purge_runs('170000000 years');
-- Whoever may call it needs nothing more.
CREATE ROLE run_janitor;
GRANT EXECUTE ON FUNCTION costsim_purge_runs(interval, bigint) TO run_janitor;
SET ROLE run_janitor;
SELECT costsim_purge_runs('1 day');
DELETE FROM costsim_worker_runs;
RESET ROLE;
SELECT status, count(*) FROM costsim_worker_runs GROUP BY 1 ORDER BY 1;
DROP OWNED BY run_janitor;
DROP ROLE run_janitor;
TRUNCATE costsim_worker_runs;
DELETE FROM costsim_maintenance WHERE task = 'purge_runs';
