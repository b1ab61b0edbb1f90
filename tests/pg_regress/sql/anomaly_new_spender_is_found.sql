-- Who has no history is measured against what the tenant spends; a tenant without one tells nothing.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, '2025-03-10 12:00 UTC'::timestamptz - d * interval '1 day' FROM generate_series(0, 20) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) VALUES ('acme', 'bob', 'chat.answer', 'm', 400, '2025-03-10 09:00 UTC'), ('acme', 'cyd', 'chat.answer', 'm', 160, '2025-03-10 09:00 UTC'),
          ('acme', 'dan', 'chat.answer', 'm', 149, '2025-03-10 09:00 UTC'), ('new', 'eve', 'chat.answer', 'm', 9000, '2025-03-10 09:00 UTC');
SELECT entity_type, entity_id, anomaly_type, severity, current_value_cents, expected_value_cents, deviation_pct, threshold_pct, breach_count, message
  FROM costsim_detect_anomalies(as_of => '2025-03-10 18:00 UTC') WHERE entity_type = 'user';
SELECT rule, is_finding, reason FROM costsim_explain_anomaly('acme', 'user', 'dan', '2025-03-10 18:00 UTC');
SELECT rule, is_finding, reason FROM costsim_explain_anomaly('acme', 'user', 'ada', '2025-03-10 18:00 UTC');
SELECT rule, is_finding, reason FROM costsim_explain_anomaly('new', 'user', 'eve', '2025-03-10 18:00 UTC');
SELECT rule, is_finding, reason FROM costsim_explain_anomaly('new', as_of => '2025-03-10 18:00 UTC');
SELECT rule, is_finding, reason FROM costsim_explain_anomaly('nobody', 'model', 'm', '2025-03-10 18:00 UTC');
ROLLBACK;
