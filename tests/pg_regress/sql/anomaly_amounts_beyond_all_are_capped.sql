-- However much was spent, it is found, and nothing runs over.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, '2025-03-10 09:00 UTC'::timestamptz - d * interval '1 day' FROM generate_series(0, 20) d;
SELECT costsim_refresh_costs();
SELECT id > 0 AS set FROM costsim_set_budget('acme', daily_limit_cents => 99999999999999.999999, monthly_limit_cents => 0.000001);
UPDATE costsim_cost_daily SET cost_cents = 1e60 WHERE day IN ('2025-03-10', '2025-03-09');
UPDATE costsim_cost_quarters SET cost_cents = 1e60 WHERE bucket_start >= '2025-03-09 00:00 UTC';
INSERT INTO costsim_cost_pending SELECT 'acme', '2025-03-10 09:00 UTC', 'chat.answer', 'ada', 'm', 1e60, 1, 0, 0, 0, 0, 0, 0;
SELECT anomaly_type, entity_type, period, severity, current_value_cents, expected_value_cents FROM costsim_detect_anomalies('acme', '2025-03-10 12:00 UTC') ORDER BY entity_type, anomaly_type, period;
SELECT rule, is_finding, current_value_cents FROM costsim_explain_anomaly('acme', as_of => '2025-03-10 12:00 UTC') ORDER BY 1, 3;
ROLLBACK;
