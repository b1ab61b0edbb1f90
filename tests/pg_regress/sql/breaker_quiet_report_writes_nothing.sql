-- A good report on a quiet breaker makes no row, no row version and no transaction id. Reading does not either.
BEGIN;
SELECT count(*) FROM costsim_report_drift(0.1);
SELECT costsim_is_open();
SELECT state FROM costsim_cb_get_state();
SELECT costsim_enable_v2('ops');
SELECT count(*) AS rows FROM costsim_cb_state;
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
INSERT INTO costsim_cb_state (name) VALUES ('costsim_v2');
BEGIN;
SELECT count(*) FROM costsim_report_drift(0.15);
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
-- and takes no lock: a row lock would have needed a transaction id
COMMIT;
-- whereas a bad one writes
BEGIN;
SELECT count(*) FROM costsim_report_drift(0.3);
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
ROLLBACK;
DELETE FROM costsim_cb_state;
