-- Five names are known; users add theirs, and a name nobody has given is an error.
SELECT lock_id, name, length(description) > 10 AS is_described FROM costsim_locks ORDER BY lock_id;
SELECT costsim_lock_id('canary_runner'), costsim_lock_id('alert_worker'), costsim_lock_id('provenance_archiver'), costsim_lock_id('baseline_backfill'), costsim_lock_id('cost_detector');
INSERT INTO costsim_locks (lock_id, name, description) VALUES (8001, 'nightly_report', 'Sends the report.');
SELECT costsim_lock_id('nightly_report');
SELECT costsim_try_leader(costsim_lock_id('nightly_report')), costsim_release_leader(8001);
-- one name, one id
INSERT INTO costsim_locks (lock_id, name) VALUES (8002, 'nightly_report');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO costsim_locks (lock_id, name) VALUES (8001, 'another_name');
\echo :LAST_ERROR_SQLSTATE
DELETE FROM costsim_locks WHERE lock_id = 8001;
SELECT costsim_lock_id('nightly_report');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_lock_id('Canary_Runner');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_lock_id('');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_lock_id(NULL);
\echo :LAST_ERROR_SQLSTATE
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
