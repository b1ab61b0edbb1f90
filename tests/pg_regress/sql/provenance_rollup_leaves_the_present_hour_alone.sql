-- What is written now is answered from the rows: its hour is not over. One mark is enough for it.
BEGIN;
INSERT INTO costsim_provenance (v1_cost, v2_cost) SELECT i, i + 1 FROM generate_series(1, 10) i;
SELECT costsim_write_provenance('run', v1_cost => 1, v2_cost => 2) > 0 AS written;
SELECT costsim_write_provenance('run', v1_cost => 1) > 0 AS written;
SELECT count(*) AS marks, bool_and(hour = date_bin('1 hour', now(), '2000-01-01 UTC')) AS of_this_hour FROM costsim_drift_changes WHERE hour IS NOT NULL;
SELECT costsim_refresh_drift();
SELECT count(*) AS marks FROM costsim_drift_changes WHERE hour IS NOT NULL;
SELECT total, avg_delta FROM costsim_drift_stats();
ROLLBACK;

-- a rolled-back savepoint takes its mark along, and what comes after it makes a new one
BEGIN;
SAVEPOINT s;
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, '2025-03-01 10:00 UTC');
SELECT count(*) AS marks FROM costsim_drift_changes WHERE hour IS NOT NULL;
ROLLBACK TO s;
SELECT count(*) AS marks FROM costsim_drift_changes WHERE hour IS NOT NULL;
INSERT INTO costsim_provenance (v1_cost, v2_cost, created_at) VALUES (1, 2, '2025-03-01 10:00 UTC');
SELECT count(*) AS marks FROM costsim_drift_changes WHERE hour IS NOT NULL;
ROLLBACK;

-- rows without both costs say nothing about drift
BEGIN;
INSERT INTO costsim_provenance (v1_cost) VALUES (1);
UPDATE costsim_provenance SET v1_cost = 2;
DELETE FROM costsim_provenance;
SELECT count(*) AS marks FROM costsim_drift_changes WHERE hour IS NOT NULL;
INSERT INTO costsim_provenance (v1_cost) VALUES (1);
UPDATE costsim_provenance SET v2_cost = 2;
SELECT count(*) AS marks FROM costsim_drift_changes WHERE hour IS NOT NULL;
ROLLBACK;
