-- One bad record, wherever it stands: no row is written.
\set VERBOSITY terse
SELECT count(*) FROM costsim_write_provenance_batch('[{"run_id": "good"}, {"v1_cost": "a"}]');
SELECT count(*) AS rows FROM costsim_provenance;
BEGIN;
SELECT costsim_write_provenance('before') IS NOT NULL AS written;
SAVEPOINT s;
SELECT count(*) FROM costsim_write_provenance_batch('[{"run_id": "good"}, {"run_id": "good", "runtime_ms": -1}]');
ROLLBACK TO s;
SELECT run_id FROM costsim_provenance;
ROLLBACK;
-- a failure of the server in the middle, too
ALTER TABLE costsim_provenance ADD CONSTRAINT costsim_regress CHECK (run_id <> 'third');
SELECT count(*) FROM costsim_write_provenance_batch('[{"run_id": "first"}, {"run_id": "second"}, {"run_id": "third"}]');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) AS rows FROM costsim_provenance;
ALTER TABLE costsim_provenance DROP CONSTRAINT costsim_regress;
