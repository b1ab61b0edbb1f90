-- A day above its baseline is no spike, two in a row are, and they are counted as they are: on every day anew, whether or not it was looked at before.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, '2025-03-10 12:00 UTC'::timestamptz - d * interval '1 day' FROM generate_series(2, 20) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1500, '2025-03-09 12:00 UTC'::timestamptz + d * interval '1 day' FROM generate_series(0, 4) d;
-- the first day: a deviation, and a day that is kept, but no finding
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-03-09 18:00 UTC');
SELECT entity_type, entity_id, breach_date, deviation_pct FROM costsim_breach_history('acme') ORDER BY entity_type;
SELECT entity_type, entity_id, anomaly_type, severity, period, period_start, current_value_cents, expected_value_cents, deviation_pct, threshold_pct, breach_count, status
  FROM costsim_detect_anomalies('acme', '2025-03-10 18:00 UTC');
-- days that nobody looked at lose nothing
SELECT entity_type, severity, breach_count, period_start FROM costsim_detect_anomalies(as_of => '2025-03-13 18:00 UTC');
SELECT breach_date, deviation_pct, baseline_value_cents FROM costsim_breach_history('acme', 'tenant', from_day => '2025-03-10', to_day => '2025-03-13');
SELECT message, metadata FROM costsim_cost_anomalies WHERE entity_type = 'tenant' AND period_start = '2025-03-13' AND anomaly_type = 'ABSOLUTE_SPIKE';
-- a day of the usual spend ends the run: what was found yesterday lasts for the day, and is over on the next
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) VALUES ('acme', 'ada', 'chat.answer', 'm', 1000, '2025-03-14 12:00 UTC'), ('acme', 'ada', 'chat.answer', 'm', 1000, '2025-03-15 12:00 UTC');
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-03-14 18:00 UTC') WHERE anomaly_type = 'ABSOLUTE_SPIKE';
SELECT entity_type, period_start, status, resolution FROM costsim_cost_anomalies WHERE anomaly_type = 'ABSOLUTE_SPIKE' ORDER BY entity_type, period_start;
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-03-15 18:00 UTC') WHERE anomaly_type = 'ABSOLUTE_SPIKE';
SELECT entity_type, period_start, status, resolution FROM costsim_cost_anomalies WHERE period_start = '2025-03-13' AND anomaly_type = 'ABSOLUTE_SPIKE' ORDER BY entity_type;
-- three times the usual does not wait for tomorrow
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) VALUES ('acme', 'ada', 'chat.answer', 'm', 4000, '2025-03-16 01:00 UTC');
SELECT entity_type, severity, threshold_pct, breach_count FROM costsim_detect_anomalies('acme', '2025-03-16 02:00 UTC') WHERE entity_type = 'tenant' AND anomaly_type = 'ABSOLUTE_SPIKE';
-- before the call came it had not
SELECT count(*) FROM costsim_detect_anomalies('acme', '2025-03-16 01:00 UTC') WHERE anomaly_type = 'ABSOLUTE_SPIKE';
ROLLBACK;
