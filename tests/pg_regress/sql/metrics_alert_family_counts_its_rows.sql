-- The depth of the queue is what waits, not what is taken at a time; what waits longest counts whether it is queued or fired.
BEGIN;
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
DELETE FROM costsim_alert_targets;
DELETE FROM costsim_metrics_kept;
SELECT name, labels, value FROM _costsim_metrics_alert() ORDER BY name COLLATE "C", labels;
INSERT INTO costsim_alert_queue (payload, status, created_at)
SELECT '[]', s, clock_timestamp() - interval '1 hour' FROM unnest('{pending,pending,sent,failed,cancelled,cancelled}'::text[]) s, generate_series(1, 20);
INSERT INTO costsim_alert_targets (url, state, sent, failures, last_success_at) VALUES ('http://a', 'ok', 7, 0, '2026-01-01 00:00+00'), ('http://b', 'new', 0, 0, NULL);
SELECT costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;
SELECT name, labels, value FROM _costsim_metrics_alert() WHERE name <> 'costsim_alert_oldest_pending_seconds' ORDER BY name COLLATE "C", labels;
SELECT value BETWEEN 3600 AND 3700 AS hour FROM _costsim_metrics_alert() WHERE name = 'costsim_alert_oldest_pending_seconds';
-- One that was given up and is brought back waits from then on, until it has failed again.
UPDATE costsim_alert_queue SET status = 'cancelled' WHERE status = 'pending';
SELECT costsim_retry_failed_alerts() AS brought_back;
SELECT value < 600 AS is_new FROM _costsim_metrics_alert() WHERE name = 'costsim_alert_oldest_pending_seconds';
UPDATE costsim_alert_queue SET attempts = 1, last_attempt_at = clock_timestamp(), next_attempt_at = clock_timestamp() WHERE status = 'pending';
SELECT value BETWEEN 3600 AND 3700 AS hour FROM _costsim_metrics_alert() WHERE name = 'costsim_alert_oldest_pending_seconds';
DELETE FROM costsim_alert_queue;
UPDATE costsim_alerts SET starts_at = clock_timestamp() - interval '2 hours';
SELECT value BETWEEN 7200 AND 7300 AS two_hours FROM _costsim_metrics_alert() WHERE name = 'costsim_alert_oldest_pending_seconds';
-- It had been accepted a minute ago, and was not news before.
UPDATE costsim_alerts SET sent_at = clock_timestamp() - interval '1 minute';
SELECT value BETWEEN 60 AND 120 AS minute FROM _costsim_metrics_alert() WHERE name = 'costsim_alert_oldest_pending_seconds';
-- Failures in a row are forgotten with the next success; the counter is not.
UPDATE costsim_alert_targets SET failures = failures + 1, state = 'failing' WHERE url = 'http://b';
UPDATE costsim_alert_targets SET failures = failures + 2 WHERE url = 'http://b';
SELECT name, value FROM _costsim_metrics_alert() WHERE labels ->> 'target' = 'http://b' ORDER BY name COLLATE "C";
UPDATE costsim_alert_targets SET failures = 0, state = 'ok', sent = 1 WHERE url = 'http://b';
SELECT name, value FROM _costsim_metrics_alert() WHERE labels ->> 'target' = 'http://b' ORDER BY name COLLATE "C";
-- A target that is gone is counted on, and one of the same address goes on from there.
DELETE FROM costsim_alert_targets;
SELECT name, labels, value FROM _costsim_metrics_alert() WHERE labels ? 'target' ORDER BY name COLLATE "C", labels;
INSERT INTO costsim_alert_targets (url, sent) VALUES ('http://a', 1);
SELECT name, labels, value FROM _costsim_metrics_alert() WHERE labels ->> 'target' = 'http://a' ORDER BY name COLLATE "C", labels;
ROLLBACK;
