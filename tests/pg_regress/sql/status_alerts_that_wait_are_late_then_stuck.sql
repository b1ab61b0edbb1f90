-- An alert that nobody has: fine for a moment, then somebody should look, then what was promised is not being done.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
BEGIN;
TRUNCATE costsim_alert_queue, costsim_alerts;
-- Without any address nobody has promised anything: a warning, however long it lasts.
SAVEPOINT without;
EXECUTE look('alerts');
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test') IS NOT NULL AS queued;
UPDATE costsim_alert_queue SET created_at = now() - interval '1 day';
EXECUTE look('alerts');
SELECT status, costsim_health() FROM costsim_status() WHERE subsystem = 'worker';
ROLLBACK TO without;
-- As if there were one.
CREATE OR REPLACE FUNCTION _costsim_status_facts()
    RETURNS TABLE (library_version text, is_known boolean, is_library_newer boolean, is_listed boolean, has_target boolean, poll_interval interval)
    LANGUAGE sql STABLE AS $$ SELECT NULL, true, false, false, true, interval '5 s' $$;
EXECUTE look('alerts');
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "a"}}]', 'test') IS NOT NULL AS queued;
EXECUTE look('alerts');
UPDATE costsim_alert_queue SET created_at = now() - interval '3 minutes';
EXECUTE look('alerts');
UPDATE costsim_alert_queue SET created_at = now() - interval '11 minutes';
EXECUTE look('alerts');
SELECT since = (SELECT created_at FROM costsim_alert_queue) - extract(microseconds FROM (SELECT created_at FROM costsim_alert_queue) - date_trunc('second', (SELECT created_at FROM costsim_alert_queue))) * interval '1 microsecond' AS since_it_waits
  FROM costsim_status() WHERE subsystem = 'alerts';
-- The worker is what is missing, and so this is no sound server.
SELECT status, why, what_to_do, costsim_health() FROM costsim_status() WHERE subsystem = 'worker';
-- owed to one of several: another has it already
UPDATE costsim_alert_queue SET owed_to = '{1}';
EXECUTE look('alerts');
UPDATE costsim_alert_queue SET status = 'failed', owed_to = NULL, finished_at = now();
EXECUTE look('alerts');
INSERT INTO costsim_alert_queue (payload, status) SELECT '[]', 'failed' FROM generate_series(1, 1500);
EXECUTE look('alerts');
-- Brought back, it waits since then; once it is long due and nobody tries, it is late again.
UPDATE costsim_alert_queue SET status = 'sent', finished_at = now();
UPDATE costsim_alert_queue SET status = 'failed', created_at = now() - interval '2 days' WHERE id = (SELECT min(id) FROM costsim_alert_queue);
SELECT costsim_retry_failed_alerts();
EXECUTE look('alerts');
UPDATE costsim_alert_queue SET next_attempt_at = now() - interval '11 minutes' WHERE status = 'pending';
EXECUTE look('alerts');
TRUNCATE costsim_alert_queue;
-- what fires counts from when it changed, until that was sent
SELECT costsim_fire_alert('{"alertname": "b"}') IS NOT NULL AS fired;
UPDATE costsim_alerts SET starts_at = now() - interval '1 hour';
EXECUTE look('alerts');
UPDATE costsim_alerts SET sent_at = now(), sent_revision = revision, next_send_at = now() + interval '1 minute';
EXECUTE look('alerts');
UPDATE costsim_alerts SET revision = revision + 1, next_send_at = now();
EXECUTE look('alerts');
ROLLBACK;
