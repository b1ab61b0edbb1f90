-- A day is active, and a spender has begun, when something was spent; what is pending is counted as it comes to, also where it takes away.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, created_at, request_id)
SELECT 'acme', 'ada', 'm', CASE WHEN d IN (3, 5) THEN 0 ELSE 60 END, '2025-03-20 12:00 UTC'::timestamptz - d * interval '1 day', 'd' || d FROM generate_series(1, 14) d;
SELECT * FROM costsim_cost_baseline('acme', 'user', '2025-03-20 18:00 UTC');
SELECT reason FROM costsim_explain_anomaly('acme', 'user', 'ada', '2025-03-20 18:00 UTC') WHERE rule = 'NEW_SPENDER';
-- nothing was spent long ago: neither by a record that cost nothing, nor by one that was taken away again
INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, created_at, request_id) VALUES ('acme', 'ada', 'm', 0, '2025-01-01 UTC', 'free'), ('acme', 'ada', 'm', 500, '2025-01-01 UTC', 'gone'), ('acme', 'ada', 'm', 0, '2025-03-01 UTC', 'first');
DELETE FROM costsim_cost_records WHERE request_id = 'gone';
SELECT drift_baseline_avg_cents FROM costsim_cost_baseline('acme', 'user', '2025-03-20 18:00 UTC');
SELECT is_older FROM _costsim_anomaly_tenants('{acme}', '2025-03-20 18:00 UTC', 57);
SELECT costsim_refresh_costs() > 0 AS folded;
SELECT drift_baseline_avg_cents FROM costsim_cost_baseline('acme', 'user', '2025-03-20 18:00 UTC');
SELECT is_older FROM _costsim_anomaly_tenants('{acme}', '2025-03-20 18:00 UTC', 57);
-- it was: pending, folded, and taken away while that is pending
INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, created_at, request_id) VALUES ('acme', 'ada', 'm', 500, '2025-01-01 UTC', 'gone');
SELECT drift_baseline_avg_cents, (SELECT is_older FROM _costsim_anomaly_tenants('{acme}', '2025-03-20 18:00 UTC', 57)) FROM costsim_cost_baseline('acme', 'user', '2025-03-20 18:00 UTC');
SELECT costsim_refresh_costs() > 0 AS folded;
SELECT drift_baseline_avg_cents, (SELECT is_older FROM _costsim_anomaly_tenants('{acme}', '2025-03-20 18:00 UTC', 57)) FROM costsim_cost_baseline('acme', 'user', '2025-03-20 18:00 UTC');
DELETE FROM costsim_cost_records WHERE request_id = 'gone';
SELECT drift_baseline_avg_cents, (SELECT is_older FROM _costsim_anomaly_tenants('{acme}', '2025-03-20 18:00 UTC', 57)) FROM costsim_cost_baseline('acme', 'user', '2025-03-20 18:00 UTC');
-- purged, and its sum stays
INSERT INTO costsim_cost_records (tenant_id, user_id, model, cost_cents, created_at) VALUES ('acme', 'ada', 'm', 500, '2025-01-01 UTC');
SELECT costsim_refresh_costs() > 0 AS folded, costsim_purge_cost_records((now() - timestamptz '2025-02-01 UTC')::interval) AS purged;
SELECT drift_baseline_avg_cents, (SELECT is_older FROM _costsim_anomaly_tenants('{acme}', '2025-03-20 18:00 UTC', 57)) FROM costsim_cost_baseline('acme', 'user', '2025-03-20 18:00 UTC');
ROLLBACK;
