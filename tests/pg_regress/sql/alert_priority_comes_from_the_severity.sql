-- 1 for what is to wake somebody, by the first alert's severity in whatever case; 2 for everything else, also for what is no array of alerts at all.
BEGIN;
INSERT INTO costsim_alert_queue (payload)
SELECT p::jsonb FROM unnest(ARRAY[
    '[{"labels": {"severity": "p1"}}]', '[{"labels": {"severity": "P1"}}]', '[{"labels": {"severity": "critical"}}]', '[{"labels": {"severity": "Critical"}}]',
    '[{"labels": {"severity": "page"}}]', '[{"labels": {"severity": "PAGE"}}]',
    '[{"labels": {"severity": "p1"}}, {"labels": {"severity": "p3"}}]', '[{"labels": {"severity": "p3"}}, {"labels": {"severity": "p1"}}]',
    '[{"labels": {"severity": "p2"}}]', '[{"labels": {"severity": "p11"}}]', '[{"labels": {"severity": " p1"}}]', '[{"labels": {"severity": ""}}]', '[{"labels": {"severity": null}}]',
    '[{"labels": {"severity": ["p1"]}}]', '[{"labels": {"Severity": "p1"}}]', '[{"labels": {}}]', '[{"severity": "p1"}]', '[]', '[7]', '{"labels": {"severity": "p1"}}', '"p1"', 'null', '7']) p;
SELECT priority, payload FROM costsim_alert_queue ORDER BY id;
SELECT count(*) AS fired FROM unnest(ARRAY['p1', 'PAGE', 'p2', 'critical ']) s, costsim_fire_alert(jsonb_build_object('severity', s));
SELECT costsim_fire_alert('{"alertname": "p1"}') IS NOT NULL AS fired;
SELECT priority, labels FROM costsim_alerts ORDER BY labels;
-- it follows a change, and is not written by hand
UPDATE costsim_alert_queue SET payload = '[{"labels": {"severity": "p1"}}]' WHERE payload = 'null' RETURNING priority;
\set VERBOSITY sqlstate
UPDATE costsim_alert_queue SET priority = 1;
ROLLBACK;
