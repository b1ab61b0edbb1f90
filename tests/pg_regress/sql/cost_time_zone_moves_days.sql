-- Days are the tenant's: pending ones, folded ones and purged ones move with its zone, in the same transaction.
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
SELECT t, 'm', 1, timestamptz '2025-03-29 20:07+00' + i * interval '1 hour' FROM (VALUES ('acme'), ('other')) v (t), generate_series(0, 47) i;
CREATE VIEW days AS SELECT day, sum(requests) AS requests FROM _costsim_cost_days('acme', 'tenant', '', '2025-03-01', '2025-05-01') GROUP BY 1 ORDER BY 1;
SELECT costsim_cost_time_zone('acme');
TABLE days;
SELECT costsim_set_cost_time_zone('acme', 'Europe/Berlin') AS changed, costsim_set_cost_time_zone('acme', 'Europe/Berlin') AS again;
TABLE days;
SELECT costsim_refresh_costs() > 0 AS folded;
TABLE days;
SELECT costsim_purge_cost_records(now() - timestamptz '2025-03-30 12:00+00') AS purged;
SELECT costsim_set_cost_time_zone('acme', 'Pacific/Tongatapu') AS changed, costsim_cost_time_zone('acme');
TABLE days;
BEGIN;
SELECT costsim_set_cost_time_zone('acme', 'Asia/Kathmandu') AS changed;
TABLE days;
ROLLBACK;
TABLE days;
SELECT costsim_refresh_costs() > 0 AS folded;
TABLE days;
SELECT sum(requests), (SELECT sum(requests) FROM costsim_cost_purged) FROM costsim_cost_daily WHERE (tenant_id, dimension) = ('acme', 'model');
SELECT costsim_cost_time_zone('other'), sum(requests) FROM _costsim_cost_days('other', 'tenant', '', '2025-03-30', '2025-03-31');
SELECT costsim_set_cost_time_zone('acme', 'UTC') AS changed, costsim_set_cost_time_zone('new', 'UTC') AS new_one;
TABLE days;
DROP VIEW days;
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs');
