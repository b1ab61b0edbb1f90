-- Quantiles of two windows. What was ever written is told once it is rolled up, and does not fall when rows go.
BEGIN;
TRUNCATE costsim_provenance;
DELETE FROM costsim_metrics_kept;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at)
SELECT 'r' || n, 100, 100 + n, now() - CASE WHEN n <= 10 THEN interval '1 minute' WHEN n <= 20 THEN interval '30 minutes' ELSE interval '3 days' END
  FROM generate_series(1, 30) n;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost) VALUES ('no pair', 1, NULL), ('not finite', 1, 'Infinity');
SELECT name, labels, round(value::numeric, 4) AS value FROM _costsim_metrics_drift() ORDER BY name COLLATE "C", labels;
DELETE FROM costsim_drift_changes;
SELECT 1 FROM costsim_refresh_drift(100, true);
SELECT value FROM _costsim_metrics_drift() WHERE name = 'costsim_v2_provenance_logs_total';
DELETE FROM costsim_provenance WHERE created_at < now() - interval '1 day';
UPDATE costsim_provenance SET v2_cost = NULL WHERE run_id = 'r1';
SELECT value FROM _costsim_metrics_drift() WHERE name = 'costsim_v2_provenance_logs_total';
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost) VALUES ('one more', 1, 1);
SELECT value FROM _costsim_metrics_drift() WHERE name = 'costsim_v2_provenance_logs_total';
SELECT labels, value FROM costsim_metrics_kept WHERE name = 'costsim_v2_provenance_logs_total' ORDER BY value;
ROLLBACK;
