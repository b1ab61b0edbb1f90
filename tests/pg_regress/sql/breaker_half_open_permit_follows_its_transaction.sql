-- A permit belongs to the transaction that asked: rolled back, to a savepoint too, it was not given.
BEGIN;
SELECT name FROM costsim_configure_breaker('h', failure_threshold => 1, half_open => true, probe_permits => 1, probe_successes => 1);
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'h');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SAVEPOINT s;
SELECT costsim_cb_allow('h') AS given, costsim_cb_allow('h') AS used_up;
ROLLBACK TO s;
SELECT costsim_cb_allow('h') AS given_again, costsim_cb_allow('h') AS used_up;
-- so does the report on it
SAVEPOINT t;
SELECT count(*) FROM costsim_report_drift(0.1, name => 'h');
SELECT costsim_is_open('h');
ROLLBACK TO t;
SELECT costsim_is_open('h'), cardinality(probes) AS outstanding FROM costsim_cb_state WHERE name = 'h';
SELECT count(*) FROM costsim_report_drift(0.1, name => 'h');
SELECT costsim_is_open('h');
ROLLBACK;
-- a transaction that may not write gets none
SELECT name FROM costsim_configure_breaker('not_written', failure_threshold => 1, half_open => true);
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'not_written');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'not_written';
BEGIN READ ONLY;
SELECT state, costsim_cb_allow('not_written') FROM costsim_cb_get_state('not_written');
COMMIT;
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() WHERE name = 'not_written';
BEGIN READ ONLY;
SELECT state, costsim_cb_allow('not_written') FROM costsim_cb_get_state('not_written');
COMMIT;
TRUNCATE costsim_cb_state, costsim_cb_incidents, costsim_alerts;
