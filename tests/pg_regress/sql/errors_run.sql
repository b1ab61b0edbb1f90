-- Every misuse of the runs' functions: its SQLSTATE, and what it says.
SET client_min_messages = warning;
TRUNCATE costsim_worker_runs;
SELECT * FROM costsim_record_run(NULL, 'w', 'queued');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_record_run('acme', NULL, 'queued');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_record_run('acme', 'w', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_record_run('acme', 'w', 'done');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_record_run('', 'w', 'queued');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_record_run('acme', repeat('w', 513), 'queued');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_record_run('acme', 'w', 'queued', run_id => '');
SELECT * FROM costsim_record_run('acme', 'w', 'queued', parent_run_id => '');
SELECT * FROM costsim_record_run('acme', 'w', 'failed', repeat('e', 1048577));
SELECT * FROM costsim_record_run('acme', 'w', 'completed', cost_cents => -1);
SELECT * FROM costsim_record_run('acme', 'w', 'completed', cost_cents => 'NaN');
SELECT * FROM costsim_record_run('acme', 'w', 'completed', tokens => -1);
SELECT * FROM costsim_record_run('acme', 'w', 'completed', attempt => 0);
SELECT * FROM costsim_record_run('acme', 'w', 'queued', created_at => '1999-12-31 00:00+00');
SELECT * FROM costsim_record_run('acme', 'w', 'queued', created_at => now() + interval '25 hours');
SELECT * FROM costsim_record_run('acme', 'w', 'queued', created_at => 'infinity');
SELECT * FROM costsim_record_run('acme', 'w', 'running', finished_at => now());
SELECT * FROM costsim_record_run('acme', 'w', 'failed', created_at => '2025-06-01 10:00+00', finished_at => '2025-06-01 09:00+00');
\echo :LAST_ERROR_SQLSTATE
-- What was told before counts as well; a clock that runs ahead ends a run when it began at the earliest.
SELECT is_changed FROM costsim_record_run('acme', 'w', 'running', run_id => 'late', created_at => '2025-06-01 10:00+00');
SELECT * FROM costsim_record_run('acme', 'w', 'completed', run_id => 'late', finished_at => '2025-06-01 09:00+00');
\echo :LAST_ERROR_SQLSTATE
SELECT is_changed FROM costsim_record_run('acme', 'w', 'completed', run_id => 'late', finished_at => '2025-06-01 10:00+00');
SELECT is_changed FROM costsim_record_run('acme', 'w', 'completed', run_id => 'late', finished_at => '2025-06-01 09:00+00');
SELECT is_changed FROM costsim_record_run('acme', 'w', 'queued', run_id => 'ahead', created_at => now() + interval '2 hours');
SELECT * FROM costsim_record_run('acme', 'w', 'failed', run_id => 'ahead', finished_at => now());
SELECT is_changed FROM costsim_record_run('acme', 'w', 'failed', run_id => 'ahead');
SELECT is_changed FROM costsim_record_run('acme', 'w', 'failed', run_id => 'ahead at once', created_at => now() + interval '2 hours');
SELECT id, finished_at = created_at AS ends_as_it_begins FROM costsim_worker_runs ORDER BY id;
\set VERBOSITY terse
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, created_at, finished_at) VALUES ('acme', 'w', 'failed', '2025-06-01 10:00+00', '2025-06-01 09:00+00');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_worker_runs (tenant_id, worker_id, status, finished_at) VALUES ('acme', 'w', 'failed', 'infinity');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
TRUNCATE costsim_worker_runs;
BEGIN READ ONLY;
SELECT * FROM costsim_record_run('acme', 'w', 'queued');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT costsim_purge_runs();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT costsim_purge_runs(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_runs('-1 s');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_runs(max_rows => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_worker_runs;
-- The application's own table.
CREATE TABLE jobs (job text, client integer[], client_name varchar, kind text, state text, began timestamp, day_of date, made timestamptz, odd bytea);
SELECT costsim_use_runs('jobs', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_use_runs('jobs', '[]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_use_runs('jobs');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_use_runs('jobs', '{"identity": "job"}');
SELECT costsim_use_runs('jobs', '{"id": "jib"}');
SELECT costsim_use_runs('jobs', '{"id": 5}');
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client"}');
SELECT costsim_use_runs('jobs', '{"id": "odd"}');
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client_name", "worker_id": "kind", "status": "state", "created_at": "kind"}');
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client_name", "worker_id": "kind", "status": "state", "created_at": "began"}');
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client_name", "worker_id": "kind", "status": "state", "created_at": "began", "time_zone": "Mars/Base"}');
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client_name", "worker_id": "kind", "status": "state", "created_at": "made", "cost_cents": "kind"}');
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client_name", "worker_id": "kind", "status": "state", "created_at": "made", "status_values": {"succeeded": "good"}}');
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client_name", "worker_id": "kind", "status": "state", "created_at": "made", "status_values": "good"}');
SELECT costsim_use_runs('jobs', '{"id": null}');
SELECT costsim_use_runs('costsim_worker_runs');
SELECT costsim_use_runs('pg_class_oid_index');
SELECT costsim_use_runs(4294967295::oid::regclass);
\echo :LAST_ERROR_SQLSTATE
CREATE TEMPORARY TABLE passing (LIKE costsim_worker_runs);
SELECT costsim_use_runs('passing');
SELECT * FROM costsim_run_source();
CREATE ROLE run_nobody;
GRANT EXECUTE ON FUNCTION costsim_use_runs(regclass, jsonb) TO run_nobody;
GRANT ALL ON jobs TO run_nobody;
SET ROLE run_nobody;
SELECT costsim_use_runs('jobs', '{"id": "job", "tenant_id": "client_name", "worker_id": "kind", "status": "state", "created_at": "made"}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_use_runs(NULL);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP OWNED BY run_nobody;
DROP ROLE run_nobody;
BEGIN READ ONLY;
SELECT costsim_use_runs(NULL);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
DROP TABLE jobs;
DELETE FROM costsim_maintenance WHERE task = 'purge_runs';
