-- Without a worker none is wanted, nor for an alert that waits while there is nowhere to send it. Tasks are those that were done; one that is switched off
-- fails no more, for nothing would ever end it.
BEGIN;
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
DELETE FROM costsim_maintenance;
DELETE FROM costsim_metrics_kept;
SELECT name, labels, value FROM _costsim_metrics_worker() WHERE value IS NOT NULL ORDER BY name COLLATE "C", labels;
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') > 0 AS queued;
SELECT name, value FROM _costsim_metrics_worker() WHERE name = 'costsim_worker_wanted';
INSERT INTO costsim_maintenance (task, last_run_at, last_rows, total_rows, last_error) VALUES
    ('purge_runs', '2026-01-01 00:00+00', 1, 12, 'no disk'), ('purge_alerts', '2026-01-01 00:00+00', 1, 12, 'no disk'),
    ('detect_anomalies', '2026-01-01 00:00+00', 1, 12, 'no disk'), ('refresh_costs', '2026-01-01 00:00+00', 0, 0, 'no disk'),
    ('refresh_drift', '2026-01-01 00:00+00', 0, 0, NULL);
SELECT name, labels, value FROM _costsim_metrics_worker() WHERE labels ? 'task' ORDER BY name COLLATE "C", labels;
ROLLBACK;
