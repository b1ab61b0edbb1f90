-- A transaction that leaves its session: what it changed of a breaker is remembered by nobody before COMMIT PREPARED, and by everybody from then
-- on, the session that prepared it included.
SELECT name FROM costsim_configure_breaker('prepared', failure_threshold => 2);
SELECT count(*) AS tripped FROM costsim_report_drift(0.1, name => 'prepared');
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'prepared');
SELECT consecutive_failures FROM costsim_cb_get_state('prepared');
PREPARE TRANSACTION 'a failure';
-- good reports change nothing yet, and do not wait
SET lock_timeout = '10 s';
BEGIN;
SELECT count(*) AS tripped FROM costsim_report_drift(0.1, name => 'prepared');
SELECT costsim_is_open('prepared'), pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
COMMIT PREPARED 'a failure';
SELECT consecutive_failures FROM costsim_cb_get_state('prepared');
SELECT count(*) AS tripped FROM costsim_report_drift(0.1, name => 'prepared');
SELECT consecutive_failures FROM costsim_cb_get_state('prepared');
BEGIN;
SELECT name FROM costsim_configure_breaker('later');
PREPARE TRANSACTION 'made';
\set VERBOSITY sqlstate
SELECT costsim_is_open('later');
ROLLBACK PREPARED 'made';
SELECT costsim_is_open('later');
RESET lock_timeout;
TRUNCATE costsim_cb_state;
