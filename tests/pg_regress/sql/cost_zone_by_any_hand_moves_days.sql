-- Whoever writes a zone, the tenant's days move with it: a restore writes zones beside a worker that has folded already.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
SELECT t, 'm', 1, timestamptz '2025-03-29 20:07+00' + i * interval '1 hour' FROM (VALUES ('acme'), ('other')) v (t), generate_series(0, 47) i;
SELECT costsim_refresh_costs() > 0 AS folded;
CREATE FUNCTION pg_temp.days() RETURNS SETOF text LANGUAGE sql AS
    $$SELECT concat_ws(' ', tenant_id, day, requests) FROM costsim_cost_daily WHERE dimension = 'tenant' AND requests <> 0 ORDER BY tenant_id, day$$;
SELECT pg_temp.days();
UPDATE costsim_cost_detection SET is_due = false;
COPY costsim_cost_tenants (tenant_id, time_zone) FROM stdin WITH (DELIMITER ',');
acme,Europe/Berlin
late,Asia/Kathmandu
\.
SELECT pg_temp.days();
SELECT tenant_id, is_due FROM costsim_cost_detection ORDER BY 1;
UPDATE costsim_cost_tenants SET tenant_id = 'other' WHERE tenant_id = 'acme';
SELECT pg_temp.days();
DELETE FROM costsim_cost_tenants WHERE tenant_id = 'other';
SELECT pg_temp.days();
UPDATE costsim_cost_tenants SET tenant_id = 'acme', time_zone = 'Pacific/Tongatapu';
TRUNCATE costsim_cost_tenants;
SELECT pg_temp.days();
-- A zone that does not exist would stop every fold: it is refused, also before there is anything to fold.
\set VERBOSITY sqlstate
SAVEPOINT s;
INSERT INTO costsim_cost_tenants VALUES ('new', 'Europe/Nowhere');
ROLLBACK TO s;
-- The trigger function is for its own table.
CREATE TEMP TABLE mine (tenant_id text);
CREATE TRIGGER mine AFTER INSERT ON mine REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION _costsim_cost_zone_changed();
INSERT INTO mine VALUES ('acme');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO costsim_cost_tenants VALUES ('new', 'Europe/Berlin');
ROLLBACK;
