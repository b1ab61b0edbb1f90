-- What a deliverer reports as its error is cut and cleaned before it is stored: one line, no password of a URL, no query string, no credential.
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') AS q \gset
CREATE FUNCTION pg_temp.told(text) RETURNS text LANGUAGE sql AS $$
    UPDATE public.costsim_alert_queue SET next_attempt_at = clock_timestamp();
    SELECT public.costsim_settle_alert(id, claim_token, false, 500, $1) FROM public.costsim_claim_alerts('a');
    SELECT last_error FROM public.costsim_alert_queue;
$$;
SELECT pg_temp.told('post http://ann:s3cret@alertmanager:9093/api/v2/alerts?token=s3cret failed');
SELECT pg_temp.told('Authorization: Bearer s3cret was refused');
SELECT pg_temp.told('Authorization: Basic YW5uOnMzY3JldA== was refused');
SELECT pg_temp.told(E'two\nlines\tand a tab');
SELECT length(pg_temp.told(repeat('x', 1000000))) < 2000 AS is_cut;
SELECT pg_temp.told(NULL);
SELECT pg_temp.told('') IS NOT DISTINCT FROM '' OR (SELECT last_error IS NULL FROM costsim_alert_queue) AS says_nothing;
SELECT attempts FROM costsim_alert_queue;
DELETE FROM costsim_alert_queue;
