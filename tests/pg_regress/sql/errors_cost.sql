-- Every way in which metering refuses a call.
SELECT costsim_create_feature_tag(NULL, 'a.b');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_create_feature_tag('acme', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_create_feature_tag('', 'a.b');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_create_feature_tag('acme', 'plain');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_create_feature_tag('acme', 'a.b', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_create_feature_tag('acme', 'a.b', budget_cents => -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_create_feature_tag('acme', 'a.b', budget_cents => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_create_feature_tag('acme', 'a.b', description => repeat('x', 65537));
\echo :LAST_ERROR_SQLSTATE
SELECT 1 FROM costsim_create_feature_tag('acme', 'a.b');
SELECT costsim_create_feature_tag('acme', 'a.b');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag(NULL, 'a.b', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'c.d', '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', '[]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', '7');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', '{"tag": "c.d"}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', '{"display_name": null}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', '{"is_active": null}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', '{"is_active": {}}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', '{"budget_cents": "7"}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_update_feature_tag('acme', 'a.b', '{"budget_cents": -7}');
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_record_cost(NULL, 'm', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', NULL, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, input_tokens => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, is_retry => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, enforce => NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('', 'm', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', repeat('m', 513), 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, request_id => '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, user_id => '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', -0.0000001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 'Infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 10000000000000);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, reasoning_tokens => 1000000000001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, created_at => now() + interval '25 hours');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, created_at => 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, created_at => '-infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_cost('acme', 'm', 1, created_at => '1999-12-31 23:59:59.9+00');
SELECT costsim_record_cost('acme', 'm', 1, created_at => '4714-11-24 00:00:00+00 BC');
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_record_costs(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[]', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('7');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[[]]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1}, null]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"model": "m", "cost_cents": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": null, "cost_cents": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "cost": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": "1"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": [1]}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": -1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1e400}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": 7, "model": "m", "cost_cents": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "", "cost_cents": 1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "input_tokens": 1.5}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "input_tokens": -1}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "is_retry": "true"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "created_at": "yesterday"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "created_at": 7}]');
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "created_at": "2025-03-01T12:00:00−05:00"}]');
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "created_at": "2025-03-01 12:00:00Z"}]');
SELECT costsim_set_cost_time_zone('acme', 'EST');
SELECT costsim_set_cost_time_zone('acme', 'CET');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs('[{"tenant_id": "acme", "model": "m", "cost_cents": 1, "created_at": "2999-01-01T00:00:00Z"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs((SELECT jsonb_agg(jsonb_build_object('tenant_id', 'acme', 'model', 'm', 'cost_cents', 1)) FROM generate_series(1, 100001)));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_record_costs(jsonb_build_array(jsonb_build_object('tenant_id', repeat('x', 67108864))));
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_cost_records;

SELECT costsim_refresh_costs(0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_cost_time_zone(NULL, 'UTC');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_cost_time_zone('acme', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_cost_time_zone('', 'UTC');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_cost_time_zone('acme', 'Nowhere/Land');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_cost_time_zone('acme', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_set_cost_time_zone('acme', 'XYZ+3:07');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_cost_records(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_cost_records('-1 day');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_cost_records(max_rows => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_cost_records(keep_sums => NULL);
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE others (i int);
CREATE TRIGGER t AFTER INSERT ON others FOR EACH STATEMENT EXECUTE FUNCTION _costsim_cost_changed();
INSERT INTO others VALUES (1);
\echo :LAST_ERROR_SQLSTATE
DROP TABLE others;

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT costsim_refresh_costs();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT costsim_rebuild_costs();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT costsim_set_cost_time_zone('acme', 'Europe/Berlin');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SAVEPOINT s;
SELECT costsim_record_cost('acme', 'm', 1);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_record_costs('[]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_create_feature_tag('acme', 'x.y');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_update_feature_tag('acme', 'a.b', '{}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_refresh_costs();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_rebuild_costs();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_set_cost_time_zone('acme', 'Europe/Berlin');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_purge_cost_records();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_cost_time_zone('acme');
\echo :LAST_ERROR_SQLSTATE
SELECT sum(cost_cents) FROM _costsim_cost_pieces('acme', 'tenant', '', NULL, NULL);
ROLLBACK;
SET client_min_messages = warning;
TRUNCATE costsim_cost_records, costsim_cost_purged, costsim_cost_pending, costsim_cost_quarters, costsim_cost_daily, costsim_cost_tenants, costsim_cost_detection, costsim_feature_tags RESTART IDENTITY;
DELETE FROM costsim_maintenance WHERE task IN ('refresh_costs', 'purge_costs');
