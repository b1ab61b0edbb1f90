-- A row is as old as its end, not as its beginning; without one it is as old as its sending, its last attempt, its creation. What is pending stays,
-- whatever its age.
CREATE FUNCTION pg_temp.days(n numeric) RETURNS timestamptz LANGUAGE sql AS $$ SELECT clock_timestamp() - $1 * interval '1 day' $$;
CREATE FUNCTION pg_temp.refill() RETURNS void LANGUAGE sql AS $$
    DELETE FROM public.costsim_alert_queue;
    DELETE FROM public.costsim_alerts;
    INSERT INTO public.costsim_alert_queue (payload, alert_type, status, created_at, last_attempt_at, sent_at, finished_at)
    VALUES ('[]', 'sent long ago', 'sent', pg_temp.days(99), pg_temp.days(31), pg_temp.days(31), pg_temp.days(31)),
           ('[]', 'sent just now after long', 'sent', pg_temp.days(99), pg_temp.days(0), pg_temp.days(0), pg_temp.days(0)),
           ('[]', 'sent 29 days ago', 'sent', pg_temp.days(99), pg_temp.days(29), pg_temp.days(29), pg_temp.days(29)),
           ('[]', 'failed long ago', 'failed', pg_temp.days(99), pg_temp.days(31), NULL, pg_temp.days(31)),
           ('[]', 'cancelled long ago', 'cancelled', pg_temp.days(99), NULL, NULL, pg_temp.days(31)),
           ('[]', 'cancelled two days ago', 'cancelled', pg_temp.days(99), NULL, NULL, pg_temp.days(2)),
           ('[]', 'pending for ages', 'pending', pg_temp.days(9999), pg_temp.days(9999), NULL, NULL),
           ('[]', 'pending again', 'pending', pg_temp.days(9999), pg_temp.days(9999), pg_temp.days(9999), pg_temp.days(9999)),
           ('[]', 'by the ORM, sent long ago', 'sent', pg_temp.days(99), pg_temp.days(31), pg_temp.days(31), NULL),
           ('[]', 'by the ORM, sent yesterday', 'sent', pg_temp.days(99), pg_temp.days(1), pg_temp.days(1), NULL),
           ('[]', 'by the ORM, failed long ago', 'failed', pg_temp.days(99), pg_temp.days(31), NULL, NULL),
           ('[]', 'by the ORM, failed yesterday', 'failed', pg_temp.days(99), pg_temp.days(1), NULL, NULL),
           ('[]', 'by the ORM, made long ago', 'failed', pg_temp.days(99), NULL, NULL, NULL);
    INSERT INTO public.costsim_alerts (fingerprint, labels, starts_at, resolved_at, revision, sent_revision, next_send_at)
    VALUES ('1', '{"alertname": "fires for ages"}', pg_temp.days(99), NULL, 1, 1, now()),
           ('2', '{"alertname": "over, and told"}', pg_temp.days(99), pg_temp.days(31), 2, 2, NULL),
           ('3', '{"alertname": "over, never told"}', pg_temp.days(99), pg_temp.days(31), 2, 1, now()),
           ('4', '{"alertname": "over since yesterday"}', pg_temp.days(99), pg_temp.days(1), 2, 2, NULL);
$$;
CREATE VIEW pg_temp.left_over AS SELECT alert_type FROM costsim_alert_queue UNION ALL SELECT labels ->> 'alertname' FROM costsim_alerts ORDER BY 1;

SELECT FROM pg_temp.refill();
SELECT costsim_purge_old_alerts();
TABLE pg_temp.left_over;
SELECT costsim_purge_old_alerts() AS again;
-- of some statuses; what was fired counts as sent
SELECT FROM pg_temp.refill();
SELECT costsim_purge_old_alerts(30, ARRAY['cancelled']);
SELECT costsim_purge_old_alerts(1, ARRAY['cancelled', 'cancelled']);
SELECT costsim_purge_old_alerts(30, ARRAY['failed']);
TABLE pg_temp.left_over;
SELECT costsim_purge_old_alerts(30, '{}') AS nothing_is_named;
SELECT costsim_purge_old_alerts(statuses => ARRAY['sent']);
TABLE pg_temp.left_over;
-- everything that is over
SELECT costsim_purge_old_alerts(0);
TABLE pg_temp.left_over;
SELECT costsim_purge_old_alerts(2147483647) AS older_than_the_calendar;
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
