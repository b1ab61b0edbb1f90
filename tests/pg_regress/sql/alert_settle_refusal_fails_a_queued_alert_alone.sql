-- 400, 413 and 422 speak of the alert itself: a queued one has failed, at once. One that fires is told again later: it has not failed as long as it fires.
SELECT count(costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x')) AS queued FROM generate_series(1, 3);
SELECT count(*) AS fired FROM generate_series(1, 3) n, costsim_fire_alert(jsonb_build_object('n', n::text));
CREATE TEMP TABLE claim AS SELECT *, row_number() OVER (PARTITION BY kind ORDER BY id) AS n FROM costsim_claim_alerts('a');
SELECT kind, n, costsim_settle_alert(id, claim_token, false, (ARRAY[400, 413, 422])[n], 'refused') FROM claim ORDER BY kind, n;
SELECT status, attempts, response_code, last_error, finished_at BETWEEN created_at AND clock_timestamp() AS is_finished, sent_at, claimed_by, claim_token, claimed_until
  FROM costsim_alert_queue ORDER BY id;
SELECT sent_revision, attempts, response_code, last_error, next_send_at > last_attempt_at - interval '1 s' AND next_send_at < clock_timestamp() + interval '5 min' AS is_told_again,
       resolved_at, claimed_by, claim_token, claimed_until
  FROM costsim_alerts ORDER BY id;
SELECT pending, failed, firing, unsent FROM costsim_alert_queue_stats();
-- however often it is refused, and however old it is
UPDATE costsim_alerts SET attempts = 1000000, starts_at = '2020-01-01', next_send_at = clock_timestamp();
SELECT count(*) AS claimed, count(*) FILTER (WHERE costsim_settle_alert(id, claim_token, false, 400, 'refused')) AS settled FROM costsim_claim_alerts('a');
SELECT DISTINCT attempts, next_send_at < clock_timestamp() + interval '5 min' AS is_told_again FROM costsim_alerts;
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
