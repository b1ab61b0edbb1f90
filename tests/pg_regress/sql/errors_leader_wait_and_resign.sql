-- Every misuse of waiting and of the operator's function.
\set ON_ERROR_ROLLBACK on
SELECT costsim_wait_leader(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_wait_leader(7001, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_wait_leader(7001, '-1 millisecond');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_wait_leader(7001, '1 second', '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_wait_leader(7001, '1 second', 'replica-a', '0');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_wait_leader(7001, '1 second', 'replica-a', '-1 second');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT costsim_resign_leader(NULL, 'maintenance');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resign_leader(7001, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resign_leader(7001, ' ');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_resign_leader(7001, repeat('x', 1001));
\echo :LAST_ERROR_SQLSTATE
-- while leading the same is said, and the term runs on
SELECT costsim_try_leader(7001);
SELECT costsim_wait_leader(7001, '-1 millisecond');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resign_leader(7001, '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_leader(7001), costsim_release_leader(7001);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
