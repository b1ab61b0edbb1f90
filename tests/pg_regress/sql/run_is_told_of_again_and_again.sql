-- A run is told of as often as anybody likes, goes from queued over running to its end, and never back.
SET client_min_messages = warning;
TRUNCATE costsim_worker_runs;
SELECT * FROM costsim_record_run('acme', 'w', 'queued', run_id => 'r1', is_retry => true, attempt => 2, parent_run_id => 'r0');
SELECT * FROM costsim_record_run('acme', 'w', 'queued', run_id => 'r1');
SELECT * FROM costsim_record_run('acme', 'w', 'running', tokens => 10, run_id => 'r1');
SELECT * FROM costsim_record_run('acme', 'w', 'running', run_id => 'r1', tokens => 10);
-- Late: it runs.
SELECT * FROM costsim_record_run('acme', 'other', 'queued', run_id => 'r1');
SELECT * FROM costsim_record_run('acme', 'w', 'failed', 'no route to host', 1.5, run_id => 'r1');
-- Late, and the same again, and another end: it has ended.
SELECT * FROM costsim_record_run('acme', 'w', 'running', run_id => 'r1');
SELECT * FROM costsim_record_run('acme', 'w', 'failed', 'no route to host', 1.5, run_id => 'r1');
SELECT * FROM costsim_record_run('acme', 'w', 'completed', run_id => 'r1', cost_cents => 9);
SELECT id, tenant_id, worker_id, status, error, cost_cents, tokens, is_retry, attempt, parent_run_id, finished_at IS NOT NULL AS has_ended
  FROM costsim_worker_runs;
-- Another tenant's run of the same name is another run.
SELECT * FROM costsim_record_run('globex', 'w', 'completed', run_id => 'r1');
-- Without a name each call is a run.
SELECT length(a.run_id) = 36 AS is_a_uuid, a.is_changed, a.run_id <> b.run_id AS is_another
  FROM costsim_record_run('globex', 'w', 'completed') a, costsim_record_run('globex', 'w', 'completed') b;
-- Told of only when it was over: it began no later than it ended.
SELECT is_changed FROM costsim_record_run('acme', 'w', 'crashed', run_id => 'r2', finished_at => '2025-06-01 10:00+00');
SELECT created_at = finished_at AS began_when_it_ended FROM costsim_worker_runs WHERE id = 'r2';
SELECT is_changed FROM costsim_record_run('acme', 'w', 'failed', NULL, 0.0000005, NULL, 'r3', created_at => '2025-06-01 09:00+00', finished_at => '2025-06-01 10:00+00');
SELECT error, cost_cents, tokens, is_retry, attempt, finished_at - created_at AS lasted FROM costsim_worker_runs WHERE id = 'r3';
TRUNCATE costsim_worker_runs;
