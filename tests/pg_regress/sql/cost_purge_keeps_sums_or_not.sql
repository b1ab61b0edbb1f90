-- The oldest go first, and what they came to stays, unless it shall not; rebuilding touches live sums alone.
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at, input_tokens, is_retry, skill_id)
SELECT 'acme', 'm', 0.5, now() - i * interval '1 day', 3, true, 's' FROM generate_series(1, 200) i;
CREATE VIEW sums AS SELECT (SELECT count(*) FROM costsim_cost_records) AS records,
    (SELECT row(sum(cost_cents), sum(requests), sum(retries), sum(executions), sum(input_tokens))::text FROM _costsim_cost_pieces('acme', 'model', 'm', NULL, NULL)) AS pieces,
    (SELECT sum(requests) FROM _costsim_cost_days('acme', 'model', 'm', '-infinity', 'infinity')) AS days;
TABLE sums;
SELECT costsim_purge_cost_records(max_rows => 10) AS purged;
SELECT max(created_at) < now() - interval '190 days' AS youngest_is_old, max(created_at) > now() - interval '191.5 days' AS oldest_went FROM
    (SELECT min(created_at) AS created_at FROM costsim_cost_records) x;
TABLE sums;
SELECT costsim_refresh_costs() > 0 AS folded;
TABLE sums;
SELECT costsim_purge_cost_records() AS purged, costsim_purge_cost_records() AS again;
TABLE sums;
SELECT costsim_rebuild_costs('acme') AS quarters;
TABLE sums;
SELECT costsim_purge_cost_records('30 days', keep_sums => false) AS purged;
TABLE sums;
SELECT costsim_refresh_costs() > 0 AS folded;
TABLE sums;
DELETE FROM costsim_cost_quarters WHERE NOT is_purged;
UPDATE costsim_cost_daily SET cost_cents = 77 WHERE NOT is_purged;
ALTER TABLE costsim_cost_records DISABLE TRIGGER costsim_cost_deleted;
DELETE FROM costsim_cost_records WHERE created_at < now() - interval '20 days';
ALTER TABLE costsim_cost_records ENABLE ALWAYS TRIGGER costsim_cost_deleted;
SELECT costsim_rebuild_costs() AS quarters;
TABLE sums;
SELECT is_purged, sum(requests), sum(cost_cents) FROM costsim_cost_daily WHERE dimension = 'user' GROUP BY 1 ORDER BY 1;
SELECT task, last_rows, total_rows, last_error FROM costsim_maintenance ORDER BY 1;
DROP VIEW sums;
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs');
