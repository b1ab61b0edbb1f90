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
-- nothing is read for a plot that cannot be drawn
SELECT * FROM costsim_spend_plot('a', '0001-01-01', '9999-01-01', 'hour');
SELECT * FROM costsim_spend_plot('a', '2025-01-01', '2025-01-03', width => 2147483647);
SELECT * FROM costsim_spend_plot('a', '-infinity', '2025-01-03');
SELECT * FROM costsim_spend_plot('a', '2025-01-01', 'infinity');
SELECT * FROM costsim_spend_plot('a', NULL, '2025-01-03');
SELECT * FROM costsim_spend_plot('a', '2025-01-01', NULL);
SELECT * FROM costsim_drift_plot('0001-01-01', '9999-01-01', '1 microsecond');
SELECT * FROM costsim_drift_plot('-infinity', 'infinity');
SELECT * FROM costsim_drift_plot(NULL, '2025-01-01');
SELECT * FROM costsim_drift_plot('2025-01-01', '2025-01-03', width => 0);
