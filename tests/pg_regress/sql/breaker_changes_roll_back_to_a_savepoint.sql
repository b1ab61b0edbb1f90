-- A trip that was rolled back never was, and the session that made it sees that at once.
BEGIN;
SELECT count(*) FROM generate_series(1, 2) AS report, costsim_report_drift(0.5, report);
SAVEPOINT s;
SELECT count(*) AS tripped FROM costsim_report_drift(0.5);
SELECT costsim_is_open();
ROLLBACK TO s;
SELECT costsim_is_open(), consecutive_failures FROM costsim_cb_get_state();
SELECT (SELECT count(*) FROM costsim_cb_incidents) AS incidents, (SELECT count(*) FROM costsim_alerts) AS alerts;
SELECT count(*) AS tripped FROM costsim_report_drift(0.5);
SAVEPOINT t;
SELECT costsim_enable_v2('ann');
ROLLBACK TO t;
SELECT costsim_is_open();
SELECT count(*) AS firing FROM costsim_alerts WHERE resolved_at IS NULL;
ROLLBACK;
