-- What runs say: the last pass, failures in a row since, and none at all.
PREPARE look (text) AS SELECT status, since IS NOT NULL AS has_since, why, what_to_do FROM costsim_status() WHERE subsystem = $1;
BEGIN;
TRUNCATE costsim_canary_reports, costsim_canary_samples, costsim_canary_schedule;
EXECUTE look('canary');
INSERT INTO costsim_canary_reports (run_id, status, "timestamp") VALUES ('a', 'pass', '2025-01-01 00:00+00');
EXECUTE look('canary');
INSERT INTO costsim_canary_reports (run_id, status, "timestamp") VALUES ('b', 'fail', '2025-01-02 00:00+00'), ('c', 'error', '2025-01-03 00:00+00');
EXECUTE look('canary');
SELECT since = '2025-01-02 00:00+00' AS since_the_first_of_them FROM costsim_status() WHERE subsystem = 'canary';
INSERT INTO costsim_canary_reports (run_id, status, "timestamp") VALUES ('d', 'pass', '2025-01-04 00:00+00');
INSERT INTO costsim_canary_reports (run_id, status, "timestamp", scheduled_for) SELECT 's' || n, 'skipped', '2025-01-05 00:00+00', '2025-01-05 00:00+00' FROM generate_series(1, 3) n;
EXECUTE look('canary');
INSERT INTO costsim_canary_reports (run_id, status, "timestamp") VALUES ('e', 'insufficient_data', '2025-01-06 00:00+00');
DELETE FROM costsim_canary_reports WHERE status = 'skipped';
EXECUTE look('canary');
ROLLBACK;
