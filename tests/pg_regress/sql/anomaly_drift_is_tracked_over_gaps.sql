-- Drift of whole days, computed from the series: the same on every run of a day, and after days without one. Its row becomes active again.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, '2025-01-01 12:00 UTC'::timestamptz + d * interval '1 day' FROM generate_series(0, 39) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 300, '2025-02-01 13:00 UTC'::timestamptz + d * interval '1 day' FROM generate_series(0, 8) d;
SELECT d::date AS day, f.severity, f.breach_count, f.deviation_pct, f.threshold_pct
  FROM generate_series('2025-02-04'::date, '2025-02-10', '1 day') d LEFT JOIN LATERAL costsim_detect_anomalies('acme', d::date + time '18:00' AT TIME ZONE 'UTC') f ON f.anomaly_type = 'SUSTAINED_DRIFT';
-- the same day again
SELECT entity_id, breach_count, current_value_cents, expected_value_cents, derived_cause, message, metadata
  FROM costsim_detect_anomalies('acme', '2025-02-10 23:00 UTC') WHERE anomaly_type = 'SUSTAINED_DRIFT';
SELECT entity_type, entity_id, rolling_7d_avg_cents, drift_days_count, first_drift_date, last_check_date, is_active FROM costsim_drift_tracking('acme');
SELECT period_start, status, resolution FROM costsim_cost_anomalies WHERE anomaly_type = 'SUSTAINED_DRIFT' ORDER BY period_start;
-- it ends, and one look is enough
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-02-28 18:00 UTC');
SELECT is_active, drift_days_count, last_check_date FROM costsim_cost_drift;
SELECT count(*) FROM costsim_drift_tracking('acme');
SELECT period_start, status, resolution FROM costsim_cost_anomalies WHERE anomaly_type = 'SUSTAINED_DRIFT' ORDER BY period_start DESC LIMIT 1;
-- another one, after days that nobody looked at: the same row, counted from its own beginning
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, '2025-02-10 12:00 UTC'::timestamptz + d * interval '1 day' FROM generate_series(0, 60) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 900, '2025-04-01 13:00 UTC'::timestamptz + d * interval '1 day' FROM generate_series(0, 8) d;
SELECT severity, breach_count FROM costsim_detect_anomalies('acme', '2025-04-08 01:00 UTC') WHERE anomaly_type = 'SUSTAINED_DRIFT';
SELECT is_active, drift_days_count, first_drift_date, last_check_date, count(*) OVER () AS rows FROM costsim_cost_drift;
-- a day before the last one that was looked at changes nothing of it
SELECT severity, breach_count, status, resolution FROM costsim_detect_anomalies('acme', '2025-04-07 18:00 UTC') WHERE anomaly_type = 'SUSTAINED_DRIFT';
SELECT is_active, drift_days_count, last_check_date FROM costsim_cost_drift;
ROLLBACK;
