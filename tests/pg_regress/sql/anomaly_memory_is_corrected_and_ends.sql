-- A day that is no breach any more is none when it is looked at again; what is old and over goes, and what is open stays.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT t, 'ada', 'chat.answer', 'm', 1000, '2025-03-10 12:00 UTC'::timestamptz - d * interval '1 day' FROM generate_series(2, 20) d, unnest('{acme,other}'::text[]) t;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at, request_id) SELECT t, 'ada', 'chat.answer', 'm', 1500, '2025-03-09 12:00 UTC'::timestamptz + d * interval '1 day', d FROM generate_series(0, 1) d, unnest('{acme,other}'::text[]) t;
SELECT count(*) FROM costsim_detect_anomalies(as_of => '2025-03-10 18:00 UTC');
SELECT tenant_id, breach_date, count(*) FROM costsim_cost_breaches GROUP BY 1, 2 ORDER BY 1, 2;
UPDATE costsim_cost_records SET cost_cents = 1000 WHERE tenant_id = 'acme' AND request_id = '1';
INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, created_at) VALUES ('acme', 'ned', 'n', 900, '2025-03-10 12:00 UTC');
SELECT entity_type, entity_id, anomaly_type FROM costsim_detect_anomalies('acme', '2025-03-10 18:00 UTC') ORDER BY 1, 2;
SELECT tenant_id, breach_date, entity_type, entity_id, breach_type FROM costsim_cost_breaches WHERE breach_date = '2025-03-10' ORDER BY 1, 3, 4;
SELECT tenant_id, breach_date, count(*) FROM costsim_cost_breaches GROUP BY 1, 2 ORDER BY 1, 2;
-- the day before is another day
DELETE FROM costsim_cost_records WHERE created_at > '2025-03-09 UTC';
SELECT count(*) FROM costsim_detect_anomalies(as_of => '2025-03-10 18:00 UTC');
SELECT tenant_id, breach_date, count(*) FROM costsim_cost_breaches GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM costsim_detect_anomalies(as_of => '2025-03-09 18:00 UTC');
SELECT count(*) FROM costsim_cost_breaches;
ROLLBACK;
BEGIN;
SET LOCAL timezone = 'UTC';
INSERT INTO costsim_cost_anomalies (tenant_id, anomaly_type, severity, entity_type, entity_id, period, period_start, current_value_cents, expected_value_cents, deviation_pct, threshold_pct, message, status, resolution, resolved_at)
SELECT 'acme', 'ABSOLUTE_SPIKE', 'LOW', 'user', 'u', 'day', current_date - d, 2, 1, 100, 115, d::text, CASE WHEN d % 2 = 0 THEN 'open' ELSE 'dismissed' END, CASE WHEN d % 2 = 1 THEN 'operator' END, CASE WHEN d % 2 = 1 THEN now() - d * interval '1 day' END
  FROM generate_series(395, 410) d;
INSERT INTO costsim_cost_anomalies (tenant_id, anomaly_type, severity, entity_type, period, period_start, current_value_cents, expected_value_cents, deviation_pct, threshold_pct, message, status, resolution, resolved_at)
SELECT 'acme', 'BUDGET_EXCEEDED', 'HIGH', 'tenant', 'month', date_trunc('month', now())::date, 2, 1, 200, 100, 'this month', 'dismissed', 'operator', now() - interval '1 second';
INSERT INTO costsim_cost_breaches (tenant_id, entity_type, entity_id, breach_type, breach_date, deviation_pct, current_value_cents, baseline_value_cents)
SELECT 'acme', 'user', 'u', 'ABSOLUTE_SPIKE', current_date - d, 50, 2, 1 FROM generate_series(395, 410) d;
SELECT costsim_purge_anomalies(max_rows => 2) AS purged;
SELECT string_agg(message, ' ' ORDER BY id) FROM costsim_cost_anomalies;
SELECT costsim_purge_anomalies(max_rows => 7) AS purged, (SELECT count(*) FROM costsim_cost_breaches) AS before;
SELECT costsim_purge_anomalies() AS purged, costsim_purge_anomalies() AS again;
SELECT string_agg(message, ' ' ORDER BY id) FROM costsim_cost_anomalies;
SELECT count(*), min(breach_date) >= current_date - 401 AS is_young FROM costsim_cost_breaches;
-- what an operator has said of a month holds for the month
SELECT costsim_purge_anomalies('0') > 0 AS purged;
SELECT string_agg(message, ' ' ORDER BY id) FROM costsim_cost_anomalies;
SELECT count(*) FROM costsim_cost_breaches;
SELECT costsim_purge_anomalies('2000000 years') AS purged;
ROLLBACK;
