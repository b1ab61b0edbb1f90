-- A plot of what a tenant has spent: a title, a line, an axis, numbers.
BEGIN;
INSERT INTO costsim_cost_records (tenant_id, model, cost_cents, created_at)
SELECT 'plot', 'm', 100 + 10 * (d % 7) + CASE WHEN d = 20 THEN 300 ELSE 0 END, timestamptz '2025-01-01 12:00+00' + d * interval '1 day' FROM generate_series(0, 29) d WHERE d <> 10;
SELECT * FROM costsim_spend_plot('plot', '2025-01-01', '2025-01-31');
SELECT * FROM costsim_spend_plot('plot', '2025-01-01', '2025-01-31', width => 10);
SELECT * FROM costsim_spend_plot('plot', '2025-01-01', '2025-01-31', 'week');
SELECT * FROM costsim_spend_plot('plot', '2025-01-01', '2025-01-31', 'hour');
SELECT * FROM costsim_spend_plot('plot', '2025-01-01', '2025-03-01', 'month', 5);
SELECT costsim_set_cost_time_zone('plot', 'Asia/Kathmandu');
SELECT * FROM costsim_spend_plot('plot', '2025-01-01', '2025-01-03', NULL, NULL);
-- without the last arguments: the 30 days before now
SELECT count(*), min(length(l)) > 0 AS none_empty FROM costsim_spend_plot('plot') l;
-- nobody's, and nothing to draw
SELECT * FROM costsim_spend_plot(NULL);
SELECT * FROM costsim_spend_plot('nobody', '2025-01-01', '2025-01-04');
-- what somebody has called himself does not reach the terminal as it is
SELECT * FROM costsim_spend_plot(E'\x1b[31m\n' || repeat('x', 100), '2025-01-01', '2025-01-04');
ROLLBACK;
