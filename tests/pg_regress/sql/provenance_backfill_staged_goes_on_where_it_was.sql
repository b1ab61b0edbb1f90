-- The staging table: each call takes the next records and notes what became of each; verify finds every baseline, or says what is missing.
\pset null '<null>'
BEGIN;
SELECT id AS there FROM costsim_write_provenance_once('there', 't', 'v1', input_hash => 'there', v1_cost => 3) \gset
\copy costsim_backfill_staging (record) FROM stdin
{"tenant_id": "t", "input_hash": "a", "cost": 1}
{"tenant_id": "t", "input_hash": "b", "cost": 2.5}
{"tenant_id": "t", "input_hash": "there", "cost": 3}
{"tenant_id": "t", "cost": 4}
{"tenant_id": "t", "input_hash": "a", "cost": 1}
{"tenant_id": "t", "payload": {"x": 1.0}, "cost": 6}
{"tenant_id": "t", "input_hash": "c"}
\.
SELECT * FROM costsim_backfill_verify();
SELECT * FROM costsim_backfill_staged(3, 2);
SELECT * FROM costsim_backfill_staged(3, 2);
SELECT * FROM costsim_backfill_staged();
SELECT * FROM costsim_backfill_staged();
SELECT s.record ->> 'input_hash' AS hash, s.state, s.error, p.input_hash, p.v1_cost, s.provenance_id = :there AS was_there, s.processed_at IS NOT NULL AS processed
  FROM costsim_backfill_staging s LEFT JOIN costsim_provenance p ON p.id = s.provenance_id ORDER BY s.id;
SELECT * FROM costsim_backfill_verify();
-- a record that was mended is tried again
UPDATE costsim_backfill_staging SET record = '{"tenant_id": "t", "input_hash": "d", "cost": 4}', state = 'staged', error = NULL WHERE state = 'error';
SELECT * FROM costsim_backfill_staged();
-- what somebody removed or changed is found
DELETE FROM costsim_provenance WHERE input_hash = 'b';
UPDATE costsim_provenance SET v1_cost = 99 WHERE input_hash = 'd';
SELECT * FROM costsim_backfill_verify();
TRUNCATE costsim_backfill_staging;
SELECT * FROM costsim_backfill_verify();
ROLLBACK;
