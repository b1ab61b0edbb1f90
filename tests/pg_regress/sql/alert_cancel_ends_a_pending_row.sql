-- A queued alert that nobody needs any more is not sent: true if it was pending. Whoever had claimed it settles nothing.
INSERT INTO costsim_alert_queue (payload, alert_type, status, finished_at)
VALUES ('[{"labels": {"a": "b"}}]', 'failed', 'failed', now()), ('[{"labels": {"a": "b"}}]', 'sent', 'sent', now()), ('[{"labels": {"a": "b"}}]', 'cancelled', 'cancelled', '2020-01-01');
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'pending') AS q \gset
SELECT costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;
SELECT alert_type, costsim_cancel_alert(id) FROM costsim_alert_queue ORDER BY id;
SELECT alert_type, status, finished_at BETWEEN created_at AND clock_timestamp() AS is_finished_just_now, sent_at FROM costsim_alert_queue ORDER BY id;
SELECT costsim_cancel_alert(:q) AS again, costsim_cancel_alert(-1) AS no_such_row, costsim_cancel_alert(id) AS one_that_fires FROM costsim_alerts;
SELECT kind FROM costsim_claim_alerts('a');

-- claimed, then cancelled
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'claimed') AS q \gset
SELECT claim_token AS token FROM costsim_claim_alerts('a') WHERE id = :q \gset
SELECT costsim_cancel_alert(:q);
SELECT costsim_settle_alert(:q, :token, true, 200) AS late, costsim_settle_alert(:q, :token, false, 503, 'ill') AS late;
SELECT status, attempts, sent_at, last_error, claimed_by, claim_token, claimed_until FROM costsim_alert_queue WHERE id = :q;
-- and brought back: the old claim is still no claim
SELECT costsim_retry_alert(:q);
SELECT costsim_settle_alert(:q, :token, true, 200) AS late;
SELECT status FROM costsim_alert_queue WHERE id = :q;
-- one whose turn is to come
UPDATE costsim_alert_queue SET next_attempt_at = 'infinity' WHERE id = :q;
SELECT costsim_cancel_alert(:q);
SELECT pending, cancelled FROM costsim_alert_queue_stats();
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
