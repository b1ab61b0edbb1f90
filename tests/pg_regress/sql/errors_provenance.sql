-- Every misuse of provenance: its SQLSTATE, what it says, and nothing stored. ON_ERROR_ROLLBACK puts a savepoint before each statement.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_write_provenance('before') IS NOT NULL AS written;

SELECT costsim_write_provenance('r', v1_cost => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance('r', v2_cost => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance('r', v1_cost => 'Infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance('r', v1_cost => 1, v2_cost => '-Infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance('r', runtime_ms => -1);
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_write_provenance_batch(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch('null');
\echo :LAST_ERROR_SQLSTATE
-- the element is named by its number; what is wrong with it stands in DETAIL
\set VERBOSITY terse
SELECT costsim_write_provenance_batch('[{"run_id": "good"}, null]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch('[{"run_id": "good"}, {"run_id": "good"}, {"run_id": 3}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch('[{"v1_cost": "NaN"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch('[{"v1_cost": 1e400}]');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT costsim_write_provenance_batch('[{"runtime_ms": -1}]');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_write_provenance_batch('[{"runtime_ms": 2147483648}]');
\echo :LAST_ERROR_SQLSTATE
-- a key nobody knows is a spelling mistake more often than not
SELECT costsim_write_provenance_batch('[{"v1_costs": 1}]');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT costsim_write_provenance_batch((SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 100001)));
\echo :LAST_ERROR_SQLSTATE

SELECT run_id FROM costsim_provenance;
SELECT costsim_write_provenance('after') IS NOT NULL AS written;
ROLLBACK;
-- A difference that no double holds.
SELECT costsim_write_provenance('r', v1_cost => -1.7e308, v2_cost => 1.7e308);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch('[{}, {"v1_cost": -1.7e308, "v2_cost": 1.7e308}]');
\echo :LAST_ERROR_SQLSTATE
-- The kind of a hash, and what is written once without anything to know it by.
SELECT costsim_write_provenance('r', hash_version => 4);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance('r', hash_version => 0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch('[{}, {"hash_version": 4}]');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_once('r');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_once('r', input_hash => '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_once('r', input_hash => 'h', v1_cost => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch_once(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch_once('{}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch_once('[{"input_hash": "h"}, {"run_id": "r"}]');
\echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT costsim_write_provenance_once('r', input_hash => 'h');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch_once('[]');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- by hand, too
\set VERBOSITY terse
INSERT INTO costsim_provenance (is_unique) VALUES (true);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_provenance (hash_version) VALUES (4);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM costsim_provenance;
