-- A plot of how far V2 is from V1: where there are no pairs nothing is drawn.
BEGIN;
INSERT INTO costsim_provenance (run_id, tenant_id, variant_slug, v1_cost, v2_cost, created_at)
SELECT 'r', 'plot', 'v', 100, 100 + 2 * h, timestamptz '2025-01-01 00:30+00' + h * interval '1 hour' FROM generate_series(0, 20) h WHERE h NOT BETWEEN 8 AND 11;
SELECT * FROM costsim_drift_plot('2025-01-01 00:00+00', '2025-01-01 23:59+00', tenant_id => 'plot');
SELECT * FROM costsim_drift_plot('2025-01-01 00:00+00', '2025-01-01 23:59+00', '2 hours', 'plot', 'v', 12);
SELECT * FROM costsim_drift_plot('2025-01-01 00:00+00', '2025-01-01 23:59+00', '10 minutes', 'plot', width => 24);
SELECT * FROM costsim_drift_plot('2025-01-01 00:00+00', '2025-01-01 23:59+00', '10 seconds', 'plot', width => 24);
SELECT * FROM costsim_drift_plot('2025-01-01 00:00+00', '2025-01-02 00:00+00', NULL, 'plot', NULL, NULL);
SELECT * FROM costsim_drift_plot('2025-01-01', '2025-01-02', tenant_id => 'nobody');
-- a pair without a ratio is one all the same
INSERT INTO costsim_provenance (run_id, tenant_id, v1_cost, v2_cost, created_at) VALUES ('r', 'zero', 0, 5, '2025-01-01 00:30+00');
SELECT * FROM costsim_drift_plot('2025-01-01 00:00+00', '2025-01-01 02:00+00', tenant_id => 'zero');
ROLLBACK;
