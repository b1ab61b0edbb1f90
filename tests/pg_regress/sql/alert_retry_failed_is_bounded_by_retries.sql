-- What has failed is brought back, due now and with all its attempts before it, but the same row not more than max_retries times by this function.
INSERT INTO costsim_alert_queue (payload, alert_type, status, attempts, retries, finished_at, last_error, response_code, next_attempt_at, created_at)
VALUES ('[{"labels": {"a": "b"}}]', 'never brought back', 'failed', 10, 0, now(), 'HTTP 503: ill', 503, now() + interval '1 day', '2020-01-01'),
       ('[{"labels": {"a": "b"}}]', 'twice', 'failed', 10, 2, now(), 'HTTP 503: ill', 503, now() + interval '1 day', '2020-01-01'),
       ('[{"labels": {"a": "b"}}]', 'three times', 'failed', 10, 3, now(), 'HTTP 503: ill', 503, now() + interval '1 day', '2020-01-01'),
       ('[{"labels": {"a": "b"}}]', 'pending', 'pending', 4, 0, NULL, 'HTTP 503: ill', 503, now() + interval '1 day', '2020-01-01'),
       ('[{"labels": {"a": "b"}}]', 'sent', 'sent', 1, 0, now(), NULL, 200, now(), '2020-01-01'),
       ('[{"labels": {"a": "b"}}]', 'cancelled', 'cancelled', 1, 0, now(), NULL, NULL, now(), '2020-01-01');
SELECT costsim_retry_failed_alerts();
SELECT alert_type, status, attempts, max_attempts, retries, next_attempt_at <= clock_timestamp() AS is_due, finished_at IS NULL AS is_open, claimed_by FROM costsim_alert_queue ORDER BY id;
SELECT costsim_retry_failed_alerts() AS again, costsim_retry_failed_alerts(3) AS and_again;
SELECT costsim_retry_failed_alerts(1) AS none, costsim_retry_failed_alerts(4) AS one_more;
SELECT alert_type, status, retries FROM costsim_alert_queue WHERE retries > 0 ORDER BY id;

-- failing anew, it has its attempts again, and its age has not become less
UPDATE costsim_alert_queue SET max_attempts = 2 WHERE alert_type = 'twice';
SELECT c.claim_token AS token, id FROM costsim_claim_alerts('a') c JOIN costsim_alert_queue q USING (id) WHERE alert_type = 'twice' \gset
SELECT costsim_settle_alert(:id, :token, false, 503, 'ill');
SELECT status, attempts FROM costsim_alert_queue WHERE id = :id;
UPDATE costsim_alert_queue SET next_attempt_at = clock_timestamp() WHERE id = :id;
SELECT claim_token AS token FROM costsim_claim_alerts('a') WHERE id = :id \gset
SELECT costsim_settle_alert(:id, :token, false, 503, 'ill');
SELECT status, attempts, retries FROM costsim_alert_queue WHERE id = :id;
SELECT costsim_retry_failed_alerts();
DELETE FROM costsim_alert_queue;
