-- Acknowledged is taken over by the next day; resolved and dismissed stay for their day; another tenant's id is nobody's.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1000, '2025-03-10 12:00 UTC'::timestamptz - d * interval '1 day' FROM generate_series(2, 20) d;
INSERT INTO costsim_cost_records (tenant_id, user_id, feature_tag, model, cost_cents, created_at) SELECT 'acme', 'ada', 'chat.answer', 'm', 1500, '2025-03-09 12:00 UTC'::timestamptz + d * interval '1 day' FROM generate_series(0, 4) d;
SELECT min(id) AS feature, max(id) AS "user" FROM costsim_detect_anomalies('acme', '2025-03-10 18:00 UTC') \gset
SELECT costsim_acknowledge_anomaly('other', :feature, 'ann'), costsim_resolve_anomaly('other', :feature, 'ann'), costsim_dismiss_anomaly('other', :feature, 'ann');
SELECT costsim_acknowledge_anomaly('acme', :feature, 'ann', 'on it'), costsim_acknowledge_anomaly('acme', :feature, 'bob');
SELECT costsim_dismiss_anomaly('acme', :user, 'ann', 'a load test'), costsim_dismiss_anomaly('acme', :user, 'ann'), costsim_acknowledge_anomaly('acme', :user, 'ann'), costsim_resolve_anomaly('acme', :user, 'ann');
SELECT entity_type, status, resolution, acknowledged_by, resolved_by, note FROM costsim_detect_anomalies('acme', '2025-03-10 19:00 UTC');
-- the next day
SELECT entity_type, status, acknowledged_by, note FROM costsim_detect_anomalies('acme', '2025-03-11 18:00 UTC');
SELECT entity_type, period_start, status, resolution, resolved_by FROM costsim_cost_anomalies ORDER BY entity_type, period_start;
-- what is open, the newest first, page by page
SELECT entity_type, period_start, status FROM costsim_query_anomalies('acme');
SELECT count(*) FROM costsim_query_anomalies('acme', include_resolved => true);
SELECT count(*) FROM costsim_query_anomalies('acme', severity => 'low');
SELECT detected_at AS at, id FROM costsim_query_anomalies('acme', include_resolved => true, "limit" => 5) OFFSET 4 \gset
SELECT count(*) FROM costsim_query_anomalies('acme', '2000-01-01', true, 'high', 100, :'at', :id);
SELECT count(*) FROM costsim_query_anomalies('acme', now() + interval '1 hour', true);
SELECT breach_date AS day, id FROM costsim_breach_history('acme', "limit" => 4) OFFSET 3 \gset
SELECT entity_type, breach_date FROM costsim_breach_history('acme', before_date => :'day', before_id => :id, "limit" => 2);
SELECT (SELECT count(*) FROM costsim_breach_history('acme', 'user', 'ada')) AS of_ada, (SELECT count(*) FROM costsim_breach_history('acme', 'tenant', '', '2025-03-11', '2025-03-12')) AS of_a_day;
ROLLBACK;
