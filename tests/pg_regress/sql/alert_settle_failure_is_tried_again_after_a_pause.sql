-- What did not arrive is due again after a random pause of at most 2^n seconds and at most costsim.alert_max_backoff; the row tells why.
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') AS q \gset
SELECT costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;
SELECT id AS f FROM costsim_alerts \gset
SELECT DISTINCT claim_token AS token FROM costsim_claim_alerts('a') \gset
SELECT costsim_settle_alert(:q, :token, false, 503, 'HTTP 503: ill'), costsim_settle_alert(:f, :token, false, error => 'connection refused');
SHOW costsim.alert_max_backoff;
SELECT status, attempts, response_code, last_error, next_attempt_at - last_attempt_at BETWEEN interval '-1 s' AND interval '2 s' AS is_due_soon,
       last_attempt_at BETWEEN created_at AND clock_timestamp() AS was_tried, sent_at, finished_at, claimed_by, claim_token, claimed_until
  FROM costsim_alert_queue;
SELECT sent_revision, sent_at, ends_at, attempts, response_code, last_error, next_send_at - last_attempt_at BETWEEN interval '-1 s' AND interval '2 s' AS is_due_soon, claimed_by, claim_token, claimed_until
  FROM costsim_alerts;
SELECT pending, unsent, last_error IS NOT NULL AS tells_why FROM costsim_alert_queue_stats();

-- every code but 400, 413 and 422, and none at all; the pause never exceeds the setting
DO $$
DECLARE
    token bigint;
    code integer;
    soonest interval := '1 day';
    longest interval := '0';
    pause interval;
BEGIN
    FOREACH code IN ARRAY ARRAY[100, 301, 401, 403, 404, 408, 418, 425, 429, 500, 502, 503, 504, 599, NULL] LOOP
        FOR round IN 1..20 LOOP
            UPDATE public.costsim_alert_queue SET next_attempt_at = clock_timestamp(), attempts = 30 + round;
            UPDATE public.costsim_alerts SET next_send_at = clock_timestamp(), attempts = 30 + round;
            SELECT DISTINCT claim_token INTO STRICT token FROM public.costsim_claim_alerts('a');
            ASSERT (SELECT count(*) FROM (SELECT id FROM public.costsim_alert_queue UNION ALL SELECT id FROM public.costsim_alerts) r
                     WHERE public.costsim_settle_alert(r.id, token, false, code, 'ill')) = 2;
            ASSERT (SELECT status = 'pending' AND attempts = 31 + round AND response_code IS NOT DISTINCT FROM code FROM public.costsim_alert_queue);
            ASSERT (SELECT attempts = 31 + round AND sent_revision = 0 FROM public.costsim_alerts);
            FOR pause IN SELECT next_attempt_at - last_attempt_at FROM public.costsim_alert_queue UNION ALL SELECT next_send_at - last_attempt_at FROM public.costsim_alerts LOOP
                ASSERT pause BETWEEN '-1 s' AND '5 min', pause;
                soonest := least(soonest, pause);
                longest := greatest(longest, pause);
            END LOOP;
        END LOOP;
    END LOOP;
    -- 600 pauses between 0 and 5 minutes: that all of them miss a tenth of it at either end does not happen
    ASSERT soonest < '30 s' AND longest > '270 s', format('%s to %s', soonest, longest);
END $$;
-- nobody gets it before
UPDATE costsim_alert_queue SET next_attempt_at = clock_timestamp() + interval '1 min';
UPDATE costsim_alerts SET next_send_at = clock_timestamp() + interval '1 min';
SELECT count(*) AS due FROM costsim_claim_alerts('a');
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
