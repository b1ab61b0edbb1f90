-- What is HIGH today fires an alert once, for as long as it is open; another day of it is the same alert, and so is its end. A day that is replayed fires none.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, date_trunc('day', now(), 'UTC') - d * interval '1 day' FROM generate_series(3, 20) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1500, date_trunc('day', now(), 'UTC') - d * interval '1 day' FROM generate_series(0, 2) d;
SELECT entity_type, severity, alert_fingerprint IS NOT NULL AS told FROM costsim_detect_anomalies('acme');
SELECT labels - 'instance' AS labels, annotations ->> 'summary' AS summary, annotations ->> 'description' AS description, revision FROM costsim_alerts WHERE resolved_at IS NULL ORDER BY labels ->> 'entity_type';
SELECT count(*) FROM costsim_detect_anomalies('acme');
SELECT count(*), max(revision) AS revision FROM costsim_alerts;
-- it was so yesterday already, but now is now
SELECT count(*), count(*) FILTER (WHERE severity = 'HIGH') AS high FROM costsim_detect_anomalies('acme', date_trunc('day', now(), 'UTC') - interval '1 hour');
SELECT count(*) AS replayed FROM costsim_detect_anomalies('acme', date_trunc('day', now(), 'UTC') - interval '1 hour') WHERE alert_fingerprint IS NOT NULL;
-- less than HIGH: the alert ends; HIGH again: it begins again
UPDATE costsim_cost_records SET cost_cents = 1300 WHERE cost_cents = 1500;
SELECT entity_type, severity FROM costsim_detect_anomalies('acme') WHERE entity_type = 'tenant';
SELECT count(*) FILTER (WHERE resolved_at IS NULL) AS firing, count(*) FROM costsim_alerts;
UPDATE costsim_cost_records SET cost_cents = 1500 WHERE cost_cents = 1300;
SELECT count(*) FROM costsim_detect_anomalies('acme');
SELECT count(*) FILTER (WHERE resolved_at IS NULL) AS firing, count(*) FROM costsim_alerts;
-- acknowledged goes on; resolved and dismissed end, and stay so for the day
SELECT costsim_acknowledge_anomaly('acme', id, 'ann', 'known') FROM costsim_cost_anomalies WHERE entity_type = 'tenant' AND status = 'open';
SELECT count(*) FILTER (WHERE resolved_at IS NULL) AS firing FROM costsim_alerts;
SELECT costsim_resolve_anomaly('acme', id, 'ann') FROM costsim_cost_anomalies WHERE entity_type = 'tenant' AND status = 'acknowledged';
SELECT costsim_dismiss_anomaly('acme', id, 'ann', 'a test') FROM costsim_cost_anomalies WHERE entity_type = 'user' AND status = 'open';
SELECT labels ->> 'entity_type' AS entity_type, resolved_at IS NOT NULL AS over FROM costsim_alerts ORDER BY 1;
SELECT entity_type, status, resolution FROM costsim_detect_anomalies('acme');
SELECT count(*) FILTER (WHERE resolved_at IS NULL) AS firing FROM costsim_alerts;
-- what is no more is over
DELETE FROM costsim_cost_records;
SELECT count(*) FROM costsim_detect_anomalies('acme');
SELECT entity_type, status, resolution FROM costsim_cost_anomalies WHERE period_start = (now() AT TIME ZONE 'UTC')::date ORDER BY 1;
SELECT count(*) FILTER (WHERE resolved_at IS NULL) AS firing FROM costsim_alerts;
ROLLBACK;
