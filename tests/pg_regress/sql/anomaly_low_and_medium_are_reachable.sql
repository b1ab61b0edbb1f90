-- Each band has its own threshold, which a day exactly at it has reached.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 't' || s, 'ada', 'chat.answer', 'm', 1000, '2025-03-10 12:00 UTC'::timestamptz - d * interval '1 day'
  FROM unnest('{1149.999999,1150,1249.999999,1250,1399.999999,1400}'::numeric[]) WITH ORDINALITY u (c, s), generate_series(2, 20) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 't' || s, 'ada', 'chat.answer', 'm', c, '2025-03-10 12:00 UTC'::timestamptz - d * interval '1 day'
  FROM unnest('{1149.999999,1150,1249.999999,1250,1399.999999,1400}'::numeric[]) WITH ORDINALITY u (c, s), generate_series(0, 1) d;
SELECT tenant_id, severity, current_value_cents, deviation_pct, threshold_pct FROM costsim_detect_anomalies(as_of => '2025-03-10 18:00 UTC') WHERE entity_type = 'tenant';
-- nothing is about less than the least that counts
SELECT costsim_refresh_costs() > 0 AS folded;
SELECT rule, is_finding, days, reason FROM costsim_explain_anomaly('t2', as_of => '2025-03-10 18:00 UTC') WHERE rule = 'ABSOLUTE_SPIKE';
UPDATE costsim_cost_records SET cost_cents = cost_cents / 2 WHERE tenant_id = 't2';
SELECT rule, is_finding, days, reason FROM costsim_explain_anomaly('t2', as_of => '2025-03-10 18:00 UTC') WHERE rule = 'ABSOLUTE_SPIKE';
SELECT count(*) FROM costsim_detect_anomalies('t2', '2025-03-10 18:00 UTC');
SELECT status, resolution FROM costsim_cost_anomalies WHERE tenant_id = 't2' AND entity_type = 'tenant';
-- and again: what was over by itself is open again
UPDATE costsim_cost_records SET cost_cents = cost_cents * 2 WHERE tenant_id = 't2';
SELECT entity_type, severity, status, resolution, resolved_at FROM costsim_detect_anomalies('t2', '2025-03-10 18:00 UTC');
ROLLBACK;
