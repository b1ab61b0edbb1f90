-- What is HIGH, and lasts from a day that nobody was told of, has its alert after a look at today. A replay leaves the alerts of what is open alone.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, date_trunc('day', now(), 'UTC') - d * interval '1 day' FROM generate_series(3, 20) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1500, date_trunc('day', now(), 'UTC') - d * interval '1 day' FROM generate_series(1, 2) d;
SELECT count(*) AS found, count(alert_fingerprint) AS told FROM costsim_detect_anomalies('acme', date_trunc('day', now(), 'UTC') - interval '1 hour');
SELECT count(*) AS found FROM costsim_detect_anomalies('acme');
SELECT entity_type, status, severity, alert_fingerprint IS NOT NULL AS told FROM costsim_cost_anomalies ORDER BY 1;
SELECT labels ->> 'entity_type' AS entity_type, resolved_at, revision FROM costsim_alerts ORDER BY 1;
-- again: nothing new
SELECT count(*) AS found FROM costsim_detect_anomalies('acme');
SELECT count(*), max(revision) AS revision FROM costsim_alerts WHERE resolved_at IS NULL;
-- before the second dear day there was nothing: a replay of that moment ends no alert
SELECT count(*) AS found FROM costsim_detect_anomalies('acme', date_trunc('day', now(), 'UTC') - interval '25 hours');
SELECT count(*), max(revision) AS revision FROM costsim_alerts WHERE resolved_at IS NULL;
-- an alert that somebody has ended by hand fires again while the anomaly is open
SELECT costsim_resolve_alert(labels) FROM costsim_alerts WHERE labels ->> 'entity_type' = 'user';
SELECT count(*) AS found FROM costsim_detect_anomalies('acme');
SELECT count(*), max(revision) AS revision FROM costsim_alerts WHERE resolved_at IS NULL;
ROLLBACK;
