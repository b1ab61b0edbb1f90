-- Tenants that have spent most since yesterday have series of their own, the others one together, and so has a tenant that is called like them.
BEGIN;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_budgets, costsim_cost_anomalies, costsim_cost_tenants;
SELECT name, labels, value FROM _costsim_metrics_cost() ORDER BY name COLLATE "C", labels;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) SELECT 't' || n, 'm', n FROM generate_series(1, 25) n;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('(others)', 'm', 1000);
SELECT count(*) AS pending FROM costsim_cost_pending;
CREATE TEMP TABLE before AS SELECT name, labels, value FROM _costsim_metrics_cost() WHERE labels ? 'tenant_id';
SELECT name, count(*), sum(value), min(value), max(value) FROM before WHERE name <> 'costsim_cost_month_cents' GROUP BY name ORDER BY name COLLATE "C";
SELECT labels ->> 'tenant_id' AS tenant_id, value FROM before WHERE name = 'costsim_cost_today_cents' ORDER BY value DESC LIMIT 3;
-- This month began before now.
SELECT count(*), min(value), max(value) FROM before WHERE name = 'costsim_cost_month_cents';
-- Rolled up or not, it is the same.
SELECT costsim_refresh_costs() > 0 AS folded;
SELECT count(*) AS differing FROM (SELECT name, labels, value FROM _costsim_metrics_cost() WHERE labels ? 'tenant_id' EXCEPT TABLE before) d;
-- A day is the tenant's own: what was spent a day and a half ago was not spent today anywhere.
INSERT INTO costsim_cost_tenants VALUES ('t25', 'Pacific/Kiritimati');
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at) VALUES ('t25', 'm', 500, now() - interval '36 hours');
SELECT value FROM _costsim_metrics_cost() WHERE name = 'costsim_cost_today_cents' AND labels = '{"tenant_id": "t25"}';
INSERT INTO costsim_cost_budgets (tenant_id, budget_type, entity_id, daily_limit_cents) VALUES
    ('t1', 'tenant', NULL, 4), ('t2', 'model', 'm', 1), ('t3', 'tenant', NULL, 0), ('gone', 'tenant', NULL, 0);
SELECT labels, value FROM _costsim_metrics_cost() WHERE name = 'costsim_cost_budget_used_ratio' ORDER BY value DESC, labels;
INSERT INTO costsim_cost_anomalies (tenant_id, anomaly_type, severity, entity_type, period_start, current_value_cents, expected_value_cents, deviation_pct, threshold_pct, message, status)
SELECT 't', 'ABSOLUTE_SPIKE', 'HIGH', 'tenant', date '2026-01-01' + n, 1, 1, 1, 1, 'm', CASE n WHEN 1 THEN 'acknowledged' ELSE 'open' END FROM generate_series(1, 3) n;
SELECT labels, value FROM _costsim_metrics_cost() WHERE name = 'costsim_cost_anomalies_open';
ROLLBACK;
