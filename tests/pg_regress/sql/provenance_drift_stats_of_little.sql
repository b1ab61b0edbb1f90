-- No rows: zero moments, no percentiles. One row: no spread. A v1 of zero has no ratio.
\pset null '<null>'
BEGIN;
SELECT * FROM costsim_drift_stats();
SELECT costsim_write_provenance('r', v1_cost => 4, v2_cost => 3) IS NOT NULL AS written;
SELECT * FROM costsim_drift_stats();
DELETE FROM costsim_provenance;
SELECT costsim_write_provenance('r', v1_cost => 0, v2_cost => 3) IS NOT NULL AS written;
SELECT * FROM costsim_drift_stats();
DELETE FROM costsim_provenance;
SELECT costsim_write_provenance('r', v1_cost => -4, v2_cost => -3) IS NOT NULL AS written;
SELECT p50_abs_delta, p50_rel_delta FROM costsim_drift_stats();
ROLLBACK;
