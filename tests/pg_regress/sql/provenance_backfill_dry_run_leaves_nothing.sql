-- A dry run counts what a run would do, errors of the table included, and takes all of it back.
BEGIN;
ALTER TABLE costsim_provenance ADD CONSTRAINT cheap CHECK (v1_cost < 1000);
SELECT costsim_write_provenance('r', 'acme', 'v1', input_hash => 'a') IS NOT NULL AS written;
\set records '[{"tenant_id": "acme", "input_hash": "a"}, {"input_hash": "b"}, {"input_hash": "b"}, {"input_hash": "c", "cost": 2000}, {}]'
SELECT inserted, skipped, errors, jsonb_array_length(error_details) AS told FROM costsim_backfill_v1_baseline(:'records', dry_run => true);
SELECT count(*) AS rows FROM costsim_provenance;
SELECT inserted, skipped, errors, jsonb_array_length(error_details) AS told FROM costsim_backfill_v1_baseline(:'records');
SELECT count(*) AS rows FROM costsim_provenance;
INSERT INTO costsim_backfill_staging (record) SELECT json_array_elements(:'records');
-- as many remain as before, until it is done
SELECT * FROM costsim_backfill_staged(3, dry_run => true);
SELECT * FROM costsim_backfill_staged(3, dry_run => true);
SELECT * FROM costsim_backfill_staged(dry_run => true);
SELECT state, count(*) FROM costsim_backfill_staging GROUP BY state;
SELECT * FROM costsim_backfill_staged(3);
ROLLBACK;
