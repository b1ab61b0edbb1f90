-- The oldest go first, and what they came to stays, unless it shall not; rebuilding makes sums of records and of what was purged.
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
DELETE FROM costsim_cost_quarters;
UPDATE costsim_cost_daily SET cost_cents = 77;
ALTER TABLE costsim_cost_records DISABLE TRIGGER costsim_cost_deleted;
DELETE FROM costsim_cost_records WHERE created_at < now() - interval '20 days';
ALTER TABLE costsim_cost_records ENABLE ALWAYS TRIGGER costsim_cost_deleted;
SELECT costsim_rebuild_costs() AS quarters;
TABLE sums;
SELECT sum(requests), sum(cost_cents) FROM costsim_cost_daily WHERE dimension = 'user';
-- A quarter of an hour goes whole, or stays.
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents) VALUES ('now', 'm', 9);
SELECT costsim_purge_cost_records('0') >= 0 AS purged, count(*) FROM costsim_cost_records WHERE tenant_id = 'now' AND created_at >= date_bin('15 minutes', now(), '2000-01-01 00:00+00');
-- What is deleted of purged sums counts no longer; TRUNCATE of either leaves the other.
DELETE FROM costsim_cost_purged WHERE bucket_start < now() - interval '100 days';
SELECT sum(requests) FROM _costsim_cost_days('acme', 'user', 'anonymous', '-infinity', 'infinity');
TRUNCATE costsim_cost_records;
SELECT sum(requests), (SELECT sum(requests) FROM costsim_cost_purged WHERE tenant_id = 'acme') FROM _costsim_cost_days('acme', 'user', 'anonymous', '-infinity', 'infinity');
TRUNCATE costsim_cost_purged;
SELECT sum(requests) FROM _costsim_cost_days('acme', 'user', 'anonymous', '-infinity', 'infinity');
-- What a trigger of the application deletes meanwhile was not purged.
CREATE FUNCTION pg_temp.more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.costsim_cost_records WHERE model = 'fresh'; RETURN NULL; END $$;
CREATE TRIGGER more AFTER DELETE ON costsim_cost_records FOR EACH ROW EXECUTE FUNCTION pg_temp.more();
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at) VALUES ('acme', 'old', 1, now() - interval '99 days'), ('acme', 'fresh', 2, now());
SELECT costsim_purge_cost_records();
SELECT entity_id, sum(requests) FROM _costsim_cost_days('acme', 'model', NULL, '-infinity', 'infinity') GROUP BY 1 HAVING sum(requests) <> 0;
DROP TRIGGER more ON costsim_cost_records;
-- A caller's own trigger that was put off runs before, and as the caller: as the owner of the extension it could do anything.
CREATE ROLE regress_purger;
GRANT EXECUTE ON FUNCTION costsim_purge_cost_records(interval, bigint, boolean), costsim_purge_provenance(interval, bigint) TO regress_purger;
CREATE SCHEMA regress_purger AUTHORIZATION regress_purger;
SET ROLE regress_purger;
CREATE TABLE regress_purger.mine (n integer);
CREATE FUNCTION regress_purger.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'runs as %', current_user; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON regress_purger.mine DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION regress_purger.tell();
BEGIN;
INSERT INTO regress_purger.mine VALUES (1);
SELECT costsim_purge_cost_records();
COMMIT;
BEGIN;
INSERT INTO regress_purger.mine VALUES (2);
SELECT costsim_purge_provenance();
COMMIT;
RESET ROLE;
DROP SCHEMA regress_purger CASCADE;
DROP OWNED BY regress_purger;
DROP ROLE regress_purger;
SELECT task, total_rows, last_error FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs') ORDER BY 1;
DROP VIEW sums;
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs', 'purge_provenance');
