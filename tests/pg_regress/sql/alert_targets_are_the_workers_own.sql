-- Which receivers there are the worker writes down. Without one, and for an external deliverer, there are none, and no call makes one.
SELECT costsim_enqueue_alert('[{"labels": {"a": "b"}}]', 'x') IS NOT NULL AS queued, costsim_fire_alert('{"alertname": "F"}') IS NOT NULL AS fired;
SELECT count(*) AS claimed, count(*) FILTER (WHERE costsim_settle_alert(id, claim_token, true, 200)) AS settled FROM costsim_claim_alerts('a');
SELECT count(*) AS targets FROM costsim_alert_targets;
SELECT owed_to FROM costsim_alert_queue UNION ALL SELECT owed_to FROM costsim_alerts;
SELECT column_name, data_type, is_nullable, replace(column_default, '::text', '') AS fills_itself
  FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'costsim_alert_targets' ORDER BY ordinal_position;
\set VERBOSITY sqlstate
INSERT INTO costsim_alert_targets (url, state) VALUES ('http://a', 'ill');
INSERT INTO costsim_alert_targets (url) VALUES ('http://a'), ('http://a');
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_alerts;
