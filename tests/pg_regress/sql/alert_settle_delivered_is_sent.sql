-- What arrived is sent, once: when, by which answer, after how many attempts. A fired alert is told again in an interval, one that was resolved for
-- fifteen minutes.
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') AS q \gset
SELECT claim_token AS token FROM costsim_claim_alerts('a') \gset
SELECT costsim_settle_alert(:q, :token, true, 200);
SELECT status, attempts, response_code, last_error, sent_at BETWEEN created_at AND clock_timestamp() AS has_its_moment, finished_at BETWEEN created_at AND clock_timestamp() AS is_finished,
       last_attempt_at BETWEEN created_at AND clock_timestamp() AS was_tried, owed_to, claimed_by, claim_token, claimed_until
  FROM costsim_alert_queue;
SELECT count(*) AS due FROM costsim_claim_alerts('a');
-- what failed before and arrives now shows no error; the code may be left out, and so may everything
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') AS q \gset
UPDATE costsim_alert_queue SET attempts = 3, last_error = 'HTTP 503: ill', response_code = 503 WHERE id = :q;
SELECT claim_token AS token, attempts FROM costsim_claim_alerts('a') \gset
\echo :attempts
SELECT costsim_settle_alert(id => :q, claim_token => :token, delivered => true);
SELECT status, attempts, response_code, last_error FROM costsim_alert_queue WHERE id = :q;

SELECT costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;
SELECT id AS f, claim_token AS token, payload #>> '{0,endsAt}' AS ends_at FROM costsim_claim_alerts('a') \gset
SELECT costsim_settle_alert(:f, :token, true, 200);
SELECT revision, sent_revision, sent_at <= clock_timestamp() AS has_its_moment, attempts, response_code, last_error, claimed_by, claim_token, claimed_until,
       next_send_at - clock_timestamp() BETWEEN interval '50 s' AND interval '1 min' AS is_due_in_an_interval, ends_at - clock_timestamp() BETWEEN interval '3 min' AND interval '4 min' AS is_believed_until
  FROM costsim_alerts;
SELECT firing, unsent FROM costsim_alert_queue_stats();
SELECT count(*) AS due FROM costsim_claim_alerts('a');
-- the interval is over
UPDATE costsim_alerts SET next_send_at = clock_timestamp();
SELECT claim_token AS token, (payload #>> '{0,endsAt}')::timestamptz > :'ends_at'::timestamptz AS lasts_longer FROM costsim_claim_alerts('a') \gset
\echo :lasts_longer
SELECT costsim_settle_alert(:f, :token, true, 200);
SELECT revision, sent_revision FROM costsim_alerts;
SELECT costsim_resolve_alert('{"alertname": "F"}');
SELECT claim_token AS token FROM costsim_claim_alerts('a') \gset
SELECT costsim_settle_alert(:f, :token, true, 200);
SELECT revision, sent_revision, ends_at = resolved_at AS has_ended, next_send_at - clock_timestamp() BETWEEN interval '50 s' AND interval '1 min' AS is_told_again FROM costsim_alerts;
UPDATE costsim_alerts SET resolved_at = resolved_at - interval '14 min 30 s', starts_at = resolved_at - interval '1 hour', next_send_at = clock_timestamp();
SELECT claim_token AS token FROM costsim_claim_alerts('a') \gset
SELECT costsim_settle_alert(:f, :token, true, 200);
SELECT next_send_at FROM costsim_alerts;
SELECT firing, unsent FROM costsim_alert_queue_stats();
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
