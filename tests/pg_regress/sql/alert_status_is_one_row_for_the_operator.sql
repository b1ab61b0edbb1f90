-- One row says whether alerts arrive, and if not why: what waits, since when, what fires, which targets fail, what the worker does.
SELECT pending, oldest_pending, failed, firing, unsent, targets, targets_failing, worker_state IN ('not preloaded', 'not configured') AS has_no_worker, worker_pid, trouble IS NOT NULL AS says_why, last_error
  FROM costsim_alert_status;
BEGIN;
SELECT count(costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x')) AS queued FROM generate_series(1, 3);
SELECT costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;
INSERT INTO costsim_alert_queue (payload, status, last_error, last_attempt_at) VALUES ('[]', 'failed', 'HTTP 400: bad', now());
INSERT INTO costsim_alert_targets (url, state, failures, last_error) VALUES ('http://a/api/v2/alerts', 'ok', 0, NULL), ('http://b/api/v2/alerts', 'failing', 3, NULL), ('http://c/api/v2/alerts', 'new', 0, NULL);
SELECT pending, oldest_pending = now() AS knows_the_oldest, failed, firing, unsent, targets, targets_failing, last_error FROM costsim_alert_status;
ROLLBACK;
-- the same in a transaction that may not write
BEGIN READ ONLY;
SELECT count(*) AS rows, min(pending) AS pending FROM costsim_alert_status;
SELECT count(*) AS dead FROM costsim_dead_alerts;
COMMIT;
