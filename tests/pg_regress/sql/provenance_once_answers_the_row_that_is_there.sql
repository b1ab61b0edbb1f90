-- A repeat answers the id of the row that was written once, and false; tenant, variant and input hash are what it is known by.
BEGIN;
SELECT inserted FROM costsim_write_provenance_once('run-1', 'acme', input_hash => '015abd7f5cc57a2d', v1_cost => 1, v2_cost => 3, payload => '{"n": 1.10}');
SELECT id AS first FROM costsim_provenance \gset
SELECT id = :first AS is_the_first, inserted FROM costsim_write_provenance_once('run-2', 'acme', input_hash => '015abd7f5cc57a2d', v1_cost => 7);
-- another tenant, another variant, another hash: another row
SELECT inserted FROM costsim_write_provenance_once('run-3', 'other', input_hash => '015abd7f5cc57a2d');
SELECT inserted FROM costsim_write_provenance_once('run-4', 'acme', 'v1', input_hash => '015abd7f5cc57a2d');
SELECT inserted FROM costsim_write_provenance_once('run-5', 'acme', input_hash => '0000000000000000');
-- no tenant and an empty one are the same, and so are no variant and an empty one
SELECT inserted FROM costsim_write_provenance_once('run-6', NULL, NULL, input_hash => 'h');
SELECT inserted FROM costsim_write_provenance_once('run-7', '', '', input_hash => 'h');
-- plain writes go on making duplicates, and do not count
SELECT count(DISTINCT costsim_write_provenance('plain', 'acme', input_hash => h)) FROM (VALUES ('015abd7f5cc57a2d'), ('015abd7f5cc57a2d'), ('ff')) v(h);
SELECT inserted FROM costsim_write_provenance_once('run-8', 'acme', input_hash => 'ff');
SELECT run_id, tenant_id, variant_slug, source, input_hash, cost_delta, payload, hash_version, is_unique FROM costsim_provenance ORDER BY id;
-- what was rolled back was not written
SAVEPOINT s;
SELECT inserted FROM costsim_write_provenance_once('run-9', 'acme', input_hash => 'ee');
ROLLBACK TO s;
SELECT inserted FROM costsim_write_provenance_once('run-10', 'acme', input_hash => 'ee');
-- a repeat uses no id
SELECT max(id) AS newest FROM costsim_provenance \gset
SELECT inserted FROM costsim_write_provenance_once('again', 'acme', input_hash => 'ee');
SELECT costsim_write_provenance('next') = :newest + 1 AS has_the_next_id;
ROLLBACK;
-- [B-43] hashes of different kinds are told apart, whoever passes them
BEGIN;
SELECT inserted FROM costsim_write_provenance_once('digest', 'acme', input_hash => costsim_input_digest('{"a":1}'));
SELECT inserted FROM costsim_write_provenance_once('hash', 'acme', input_hash => costsim_input_hash('{"a":1}'));
SELECT run_id, hash_version FROM costsim_provenance ORDER BY id;
ROLLBACK;
