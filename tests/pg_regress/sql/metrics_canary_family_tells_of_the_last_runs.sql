BEGIN;
DELETE FROM costsim_canary_reports;
DELETE FROM costsim_canary_schedule;
DELETE FROM costsim_metrics_kept;
-- Nothing has run: no moment, no score, and nothing has failed.
SELECT name, labels, value FROM _costsim_metrics_canary() WHERE value IS NOT NULL ORDER BY name COLLATE "C", labels;
INSERT INTO costsim_canary_reports (run_id, status, passed, "timestamp", kl_divergence, drift_score) VALUES
    ('1', 'pass', true, '2026-01-01 00:00+00', 0.25, 0.1), ('2', 'fail', false, '2026-01-02 00:00+00', 0.5, 'NaN'),
    ('3', 'skipped', true, '2026-01-03 00:00+00', NULL, NULL), ('4', 'insufficient_data', true, '2026-01-04 00:00+00', NULL, NULL);
SELECT name, labels, value FROM _costsim_metrics_canary() ORDER BY name COLLATE "C", labels;
-- What is no number has no row where people look.
SELECT count(*) FROM costsim_metrics WHERE name = 'costsim_canary_drift_score';
SELECT costsim_purge_canary_reports(now() - '2026-01-03 00:00+00');
SELECT labels, value FROM _costsim_metrics_canary() WHERE name = 'costsim_v2_canary_runs_total' ORDER BY labels;
ROLLBACK;
