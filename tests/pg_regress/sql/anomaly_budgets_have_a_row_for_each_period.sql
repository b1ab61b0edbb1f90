-- A limit of a day and one of a month are two anomalies, each over with its period.
BEGIN;
SELECT id > 0 AS made FROM costsim_set_budget('acme', daily_limit_cents => 1000, monthly_limit_cents => 10000);
SELECT id > 0 AS made FROM costsim_set_budget('acme', 'feature', 'chat.answer', daily_limit_cents => 5000, warn_threshold_pct => 10);
SELECT id > 0 AS made FROM costsim_set_budget('acme', 'user', 'ada', daily_limit_cents => 0);
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) VALUES ('acme', 'ada', 'chat.answer', 'm', 850, '2025-03-10 09:00 UTC'), ('acme', 'ada', 'chat.answer', 'm', 8000, '2025-03-05 09:00 UTC');
SELECT entity_type, entity_id, anomaly_type, severity, period, period_start, current_value_cents, expected_value_cents, deviation_pct, threshold_pct, derived_cause, message, metadata - 'budget_id' AS metadata
  FROM costsim_detect_anomalies('acme', '2025-03-10 10:00 UTC');
SELECT rule, is_finding, severity, expected_value_cents, reason FROM costsim_explain_anomaly('acme', 'user', 'ada', '2025-03-10 10:00 UTC');
-- from 90 % on a warning is grave; at 100 % it is no warning any more
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) VALUES ('acme', 'ada', 'chat.answer', 'm', 50, '2025-03-10 11:00 UTC');
SELECT anomaly_type, severity, period FROM costsim_detect_anomalies('acme', '2025-03-10 12:00 UTC') WHERE entity_type = 'tenant';
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) VALUES ('acme', 'ada', 'chat.answer', 'm', 100, '2025-03-10 13:00 UTC');
SELECT anomaly_type, severity, period FROM costsim_detect_anomalies('acme', '2025-03-10 14:00 UTC') WHERE entity_type = 'tenant';
SELECT anomaly_type, period, period_start, severity, status, resolution FROM costsim_cost_anomalies WHERE entity_type = 'tenant' ORDER BY period, anomaly_type;
-- a raised limit clears it, a warning is one again
SELECT id > 0 AS set FROM costsim_set_budget('acme', daily_limit_cents => 1100, monthly_limit_cents => 10000);
SELECT anomaly_type, severity, period FROM costsim_detect_anomalies('acme', '2025-03-10 14:00 UTC') WHERE entity_type = 'tenant';
SELECT anomaly_type, period, severity, status, resolution FROM costsim_cost_anomalies WHERE entity_type = 'tenant' ORDER BY period, anomaly_type;
-- the next day, and the next month
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-03-11 00:00 UTC');
SELECT anomaly_type, period, status, resolution FROM costsim_cost_anomalies WHERE entity_type = 'tenant' ORDER BY period, anomaly_type;
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-04-01 00:00 UTC');
SELECT anomaly_type, period, status, resolution FROM costsim_cost_anomalies WHERE period = 'month';
ROLLBACK;
