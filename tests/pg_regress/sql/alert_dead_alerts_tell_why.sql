-- What was given up, and nothing else: what it was about, how often it was tried and brought back, the last answer.
BEGIN;
SELECT count(*) AS queued FROM costsim_enqueue_alert('[{"labels": {"alertname": "A", "severity": "p1"}}, {"labels": {"alertname": "B"}}]', 'disable', 'costsim_v2', 'i-1');
INSERT INTO costsim_alert_queue (payload, alert_type, status) VALUES ('[{"labels": {"a": "b"}}]', 'sent', 'sent'), ('[{"labels": {"a": "b"}}]', 'pending', 'pending'), ('[{"labels": {"a": "b"}}]', 'cancelled', 'cancelled');
SELECT count(*) AS dead FROM costsim_dead_alerts;
SELECT count(*) AS settled FROM costsim_claim_alerts('a') WHERE costsim_settle_alert(id, claim_token, false, 422, 'HTTP 422: no') AND payload #>> '{0,labels,alertname}' = 'A';
SELECT alert_type, labels, attempts, retries, response_code, last_error, created_at = now() AS has_its_moment, finished_at >= created_at AS has_its_end, incident_id
  FROM costsim_dead_alerts WHERE alert_type = 'disable';
-- an ORM's row that holds no alert at all
INSERT INTO costsim_alert_queue (payload, alert_type, status) VALUES ('null', 'null', 'failed'), ('[7]', 'seven', 'failed'), ('{"labels": {}}', 'object', 'failed');
SELECT alert_type, labels FROM costsim_dead_alerts WHERE alert_type IN ('null', 'seven', 'object') ORDER BY id;
ROLLBACK;
