-- Halves away from zero at the sixth decimal, and nothing is cut off.
CREATE TEMPORARY TABLE c (n, cents) AS VALUES (1, 0.0004), (2, 0.0000005), (3, 0.00000049999999), (4, 0.1234565), (5, 9999999999999.999999), (6, 0);
SELECT count(*) FROM c CROSS JOIN LATERAL costsim_record_cost('acme', 'm', c.cents, request_id => c.n::text);
SELECT c.cents, r.cost_cents FROM c
 JOIN costsim_cost_records r ON r.request_id = c.n::text ORDER BY n;
SELECT status FROM costsim_record_costs('[{"tenant_id": "b", "model": "m", "cost_cents": 0.0000005}, {"tenant_id": "b", "model": "m", "cost_cents": 4e-4}, {"tenant_id": "b", "model": "m", "cost_cents": 9007199254740.993}]');
SELECT cost_cents FROM costsim_cost_records WHERE tenant_id = 'b' ORDER BY cost_cents;
DROP TABLE c;
SELECT sum(cost_cents) FROM _costsim_cost_days('b', 'tenant', '', '-infinity', 'infinity');
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs');
