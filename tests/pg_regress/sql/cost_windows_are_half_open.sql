-- Any window [from, to) gives what the records in it come to, also where it cuts quarters of an hour; folded and not.
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
SELECT 'acme', 'm' || i % 2, i, timestamptz '2009-12-31 22:00+00' + i * interval '149 seconds' FROM generate_series(0, 200) i;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
SELECT 'acme', 'edge', 1000, timestamptz '2009-12-31 22:00+00' + i * interval '15 minutes' FROM generate_series(0, 20) i;
CREATE VIEW wrong AS
    WITH m AS MATERIALIZED (SELECT timestamptz '2009-12-31 21:50+00' + i * interval '7.5 minutes' + (i % 3) * interval '1 microsecond' AS at FROM generate_series(0, 30) i)
    SELECT a.at AS from_ts, b.at AS to_ts, e.entity FROM m a, m b, (VALUES (NULL), ('m1'), ('edge')) e (entity)
     WHERE (SELECT coalesce(sum(cost_cents), 0) FROM _costsim_cost_pieces('acme', 'model', e.entity, a.at, b.at))
        <> (SELECT coalesce(sum(cost_cents), 0) FROM costsim_cost_records WHERE created_at >= a.at AND created_at < b.at AND (e.entity IS NULL OR model = e.entity));
SELECT count(*) FROM wrong;
SELECT costsim_refresh_costs(30) > 0 AS folded;
SELECT count(*) FROM wrong;
SELECT costsim_refresh_costs() > 0 AS folded;
SELECT count(*) FROM wrong;
DROP VIEW wrong;
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs');
