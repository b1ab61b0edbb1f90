-- One row that has failed or was cancelled is brought back by hand as often as one likes; any other is left as it is.
INSERT INTO costsim_alert_queue (payload, alert_type, status, attempts, retries, finished_at, sent_at, last_error, next_attempt_at)
VALUES ('[{"labels": {"a": "b"}}]', 'failed', 'failed', 10, 1000, now(), NULL, 'HTTP 400: bad', now() + interval '1 day'),
       ('[{"labels": {"a": "b"}}]', 'cancelled', 'cancelled', 3, 0, now(), NULL, NULL, now() + interval '1 day'),
       ('[{"labels": {"a": "b"}}]', 'sent', 'sent', 1, 0, now(), now(), NULL, now()),
       ('[{"labels": {"a": "b"}}]', 'pending', 'pending', 3, 0, NULL, NULL, 'HTTP 503: ill', now() + interval '1 day');
SELECT costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;
SELECT alert_type, costsim_retry_alert(id) FROM costsim_alert_queue ORDER BY id;
SELECT alert_type, status, attempts, retries, next_attempt_at <= clock_timestamp() AS is_due, finished_at IS NULL AS is_open, sent_at IS NULL AS is_unsent FROM costsim_alert_queue ORDER BY id;
SELECT costsim_retry_alert(id) AS already_pending FROM costsim_alert_queue WHERE alert_type = 'failed';
SELECT costsim_retry_alert(-1) AS no_such_row, costsim_retry_alert(id) AS one_that_fires FROM costsim_alerts;
SELECT revision, attempts FROM costsim_alerts;
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
