-- Whoever writes rows chooses their time: no hour that is to come, or none at all, takes the counter away, makes it fall, or makes the status warn.
BEGIN;
SET LOCAL client_min_messages = error;
TRUNCATE costsim_provenance, costsim_maintenance;
DELETE FROM costsim_metrics_kept;
DELETE FROM costsim_drift_changes;
SELECT costsim_refresh_drift(1000, true) AS hours;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost) SELECT 'now', 1, 2 FROM generate_series(1, 5);
PREPARE counter AS SELECT value FROM _costsim_metrics_drift() WHERE name = 'costsim_v2_provenance_logs_total';
PREPARE status AS SELECT status, why FROM costsim_status() WHERE subsystem = 'drift';
EXECUTE counter;
INSERT INTO costsim_provenance (run_id, tenant_id, v1_cost, v2_cost, created_at)
SELECT 'to come', 't', 1, 100, timestamptz '2300-01-01 00:30 UTC' + g * interval '1 hour' FROM generate_series(1, 7) g;
EXECUTE counter;
-- They are rolled up as if they were over, so no mark of them stays; what is of now is told without them.
SELECT costsim_refresh_drift() AS hours;
SELECT count(*) AS to_come FROM costsim_drift_changes WHERE hour > now();
SELECT count(*) AS rolled_up FROM costsim_drift_rollups WHERE hours = 1 AND is_total AND bucket_start > now();
SELECT total, max_delta FROM costsim_drift_stats();
SELECT total FROM costsim_drift_stats('2300-01-01 00:00 UTC', '2300-01-01 03:15 UTC');
EXECUTE counter;
EXECUTE status;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) VALUES ('to come', 1, 100, '2300-01-01 02:00 UTC');
EXECUTE counter;
SELECT costsim_refresh_drift(1000, rebuild => true) AS hours;
EXECUTE counter;
SELECT costsim_purge_provenance('1 day') AS purged;
DELETE FROM costsim_provenance WHERE created_at > now() + interval '1 day' AND created_at < '2300-01-01 03:00 UTC';
EXECUTE counter;
-- What is never rolled up: no more than seven hours of it, no mark that is late for ever, and nothing that counts twice.
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) VALUES ('never', 1, 2, '-infinity'), ('never', 1, 2, 'infinity');
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
SELECT 'never', 1, 2, timestamptz '294276-12-31 00:00 UTC' + g * interval '1 hour' FROM generate_series(0, 23) g;
SELECT costsim_refresh_drift() AS hours;
EXECUTE counter;
UPDATE costsim_maintenance SET last_run_at = now() - interval '4 hours' WHERE task = 'refresh_drift';
EXECUTE status;
DELETE FROM costsim_provenance WHERE run_id = 'never';
EXECUTE counter;
UPDATE costsim_provenance SET created_at = 'infinity' WHERE run_id = 'to come';
EXECUTE counter;
DELETE FROM costsim_provenance;
EXECUTE counter;
-- The earliest moment that there is.
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) VALUES ('first', 1, 2, '4714-11-24 00:00 UTC BC'), ('last', 1, 2, '294276-12-30 23:59:59.999999 UTC');
EXECUTE counter;
SELECT costsim_refresh_drift() AS hours;
EXECUTE counter;
DELETE FROM costsim_provenance;
EXECUTE counter;
ROLLBACK;
DEALLOCATE counter;
DEALLOCATE status;
