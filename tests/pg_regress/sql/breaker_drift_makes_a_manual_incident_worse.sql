-- Disabled by hand is P2; enough bad reports in a row while open make it P1, and the alert changes its severity: the old one ends.
BEGIN;
SELECT changed FROM costsim_disable_v2('a', 'ann');
SELECT count(*) FROM generate_series(1, 2) AS report, costsim_report_drift(0.5, report);
SELECT severity FROM costsim_incidents();
SELECT count(*) AS tripped FROM costsim_report_drift(0.5);
SELECT severity, reports_while_open FROM costsim_incidents();
SELECT labels ->> 'severity' AS severity, resolved_at IS NULL AS fires FROM costsim_alerts ORDER BY 1;
SELECT costsim_enable_v2('ann');
SELECT count(*) AS still_firing FROM costsim_alerts WHERE resolved_at IS NULL;
ROLLBACK;
