-- Arguments that make no sense.
\set VERBOSITY sqlstate
SELECT costsim_sparkline(NULL);
SELECT costsim_sparkline('{1}', NULL);
SELECT costsim_sparkline('{1}', 0);
SELECT costsim_sparkline('{1}', 1001);
SELECT * FROM costsim_spend_plot('a', '2025-01-01', '2025-01-03', 'fortnight');
SELECT * FROM costsim_spend_plot('a', '2025-01-01', '2025-01-03', width => 0);
SELECT * FROM costsim_spend_plot('a', '2025-01-01', '2025-01-03', width => -2147483648);
BEGIN;
INSERT INTO costsim_provenance (run_id, v1_cost, v2_cost, created_at) VALUES ('r', 1, 2, '2025-01-01');
SELECT * FROM costsim_drift_plot('2025-01-01', '2025-01-03', width => 1001);
ROLLBACK;
SELECT * FROM costsim_drift_plot('2025-01-01', '2025-01-03', '1 month');
SELECT * FROM costsim_drift_plot('2025-01-01', '2025-01-03', '0');
