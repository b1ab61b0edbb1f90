-- Without a worker none is wanted, until an alert waits. Tasks are those that were done.
BEGIN;
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
DELETE FROM costsim_maintenance;
DELETE FROM costsim_metrics_kept;
SELECT name, labels, value FROM _costsim_metrics_worker() WHERE value IS NOT NULL ORDER BY name COLLATE "C", labels;
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') > 0 AS queued;
SELECT name, value FROM _costsim_metrics_worker() WHERE name = 'costsim_worker_wanted';
INSERT INTO costsim_maintenance (task, last_run_at, last_rows, total_rows, last_error) VALUES
    ('purge_runs', '2026-01-01 00:00+00', 1, 12, NULL), ('refresh_costs', '2026-01-01 00:00+00', 0, 0, 'no disk');
SELECT name, labels, value FROM _costsim_metrics_worker() WHERE labels ? 'task' ORDER BY name COLLATE "C", labels;
ROLLBACK;
