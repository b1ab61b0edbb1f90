-- A queued alert has failed when its attempts are used up and it is older than costsim.alert_retry_window: neither is enough alone.
WITH queued AS (
    INSERT INTO costsim_alert_queue (payload, alert_type, attempts, max_attempts, created_at)
    VALUES ('[{"labels": {"a": "b"}}]', 'young, attempts used up', 99, 10, clock_timestamp() - interval '23 hours'),
           ('[{"labels": {"a": "b"}}]', 'old, attempts left', 8, 10, clock_timestamp() - interval '1 year'),
           ('[{"labels": {"a": "b"}}]', 'old, the last attempt', 9, 10, clock_timestamp() - interval '25 hours'),
           ('[{"labels": {"a": "b"}}]', 'old, attempts long used up', 2147483647, 10, clock_timestamp() - interval '25 hours'),
           ('[{"labels": {"a": "b"}}]', 'old for ever', 9, 10, '-infinity'),
           ('[{"labels": {"a": "b"}}]', 'of the future', 9, 10, 'infinity'),
           ('[{"labels": {"a": "b"}}]', 'old, with one attempt', 0, 1, clock_timestamp() - interval '25 hours')
    RETURNING id)
SELECT count(*) FROM queued;
SELECT count(*) AS claimed, count(*) FILTER (WHERE costsim_settle_alert(id, claim_token, false, 503, 'ill')) AS settled FROM costsim_claim_alerts('a');
SHOW costsim.alert_retry_window;
SELECT alert_type, status, attempts, finished_at IS NOT NULL AS is_finished, status = 'pending' AND next_attempt_at BETWEEN last_attempt_at - interval '1 s' AND last_attempt_at + interval '5 min' AS is_tried_again
  FROM costsim_alert_queue ORDER BY id;
SELECT alert_type, attempts, response_code, last_error FROM costsim_dead_alerts ORDER BY id;
DELETE FROM costsim_alert_queue;
