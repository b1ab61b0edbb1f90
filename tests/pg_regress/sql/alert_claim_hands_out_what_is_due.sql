-- An external deliverer is handed what is due, each row once, ready to POST: queued payloads as they are, fired alerts spelled as Alertmanager's
-- API v2 takes them. One token per call; nothing is said to be sent by it.
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Q", "n": "1"}, "x": 1.10}]', 'x') AS q1 \gset
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Q", "n": "2"}}, {"labels": {"alertname": "Q", "n": "3"}}]', 'x') AS q2 \gset
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "Later"}}]', 'x') AS later \gset
UPDATE costsim_alert_queue SET next_attempt_at = clock_timestamp() + interval '1 hour' WHERE id = :later;
INSERT INTO costsim_alert_queue (payload, status) SELECT '[{"labels": {"a": "b"}}]', s FROM unnest(ARRAY['sent', 'failed', 'cancelled']) s;
SELECT costsim_fire_alert('{"alertname": "F", "empty": ""}', '{"summary": "s"}', 'http://example.com/g') AS fingerprint \gset
SELECT costsim_fire_alert('{"alertname": "R"}') IS NOT NULL AS fired, costsim_resolve_alert('{"alertname": "R"}') AS resolved;
SELECT id AS f FROM costsim_alerts WHERE fingerprint = :'fingerprint' \gset

CREATE TEMP TABLE claim AS SELECT * FROM costsim_claim_alerts('pager', lease => '10 min');
SELECT kind, jsonb_array_length(payload) AS alerts, payload #>> '{0,labels,alertname}' AS name, attempts,
       claimed_until - clock_timestamp() BETWEEN interval '9 min' AND interval '10 min' AS has_its_lease
  FROM claim ORDER BY id;
SELECT count(DISTINCT claim_token) AS tokens, bool_and(claim_token IS NOT NULL) AS every_row_has_one, count(DISTINCT id) AS ids FROM claim;
SELECT c.payload = q.payload AS as_it_was_queued, c.claim_token = q.claim_token AND c.claimed_until = q.claimed_until AS is_on_record, q.claimed_by, q.status, q.attempts
  FROM claim c JOIN costsim_alert_queue q USING (id) WHERE c.kind = 'queued' ORDER BY id;

-- a fired alert says since when, and that it lasts four intervals more; one that was resolved says since when
SELECT jsonb_object_keys(payload -> 0) AS key FROM claim WHERE id = :f;
SELECT payload #> '{0,labels}' AS labels, payload #> '{0,annotations}' AS annotations, payload #>> '{0,generatorURL}' AS generator_url FROM claim WHERE id = :f;
SELECT a.labels ->> 'alertname' AS name, (c.payload #>> '{0,startsAt}')::timestamptz = a.starts_at AS since_it_began,
       CASE WHEN a.resolved_at IS NULL THEN (c.payload #>> '{0,endsAt}')::timestamptz - clock_timestamp() BETWEEN interval '3 min' AND interval '4 min'
            ELSE (c.payload #>> '{0,endsAt}')::timestamptz = a.resolved_at END AS ends_in_time,
       a.claimed_by, a.sent_revision, a.claim_token = c.claim_token AS is_on_record
  FROM claim c JOIN costsim_alerts a USING (id) WHERE c.kind = 'fired' ORDER BY 1;
SELECT DISTINCT payload #>> '{0,startsAt}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$' AND payload #>> '{0,endsAt}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$' AS rfc_3339
  FROM claim WHERE kind = 'fired';

-- what is claimed is nobody else's, the same claimant's neither
SELECT count(*) AS left_over FROM costsim_claim_alerts('pager');
SELECT count(*) AS left_over FROM costsim_claim_alerts('another');
-- at most so many, the next token is another
SELECT count(*) AS queued FROM generate_series(1, 5) n, costsim_enqueue_alert(jsonb_build_array(jsonb_build_object('labels', jsonb_build_object('n', n::text))), 'x');
CREATE TEMP TABLE two AS SELECT * FROM costsim_claim_alerts('pager', 2);
CREATE TEMP TABLE rest AS SELECT * FROM costsim_claim_alerts('pager');
SELECT (SELECT count(*) FROM two) AS two, (SELECT count(*) FROM rest) AS rest,
       (SELECT array_agg(payload #>> '{0,labels,n}' ORDER BY id) FROM two) AS oldest_first,
       (SELECT count(DISTINCT claim_token) FROM (TABLE claim UNION ALL TABLE two UNION ALL TABLE rest) c) AS tokens;
SELECT count(*) AS in_both FROM two JOIN rest USING (id);
SELECT pending, sent FROM costsim_alert_queue_stats();
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
