-- Every misuse of a lease: its SQLSTATE, what it says, and a transaction that is as it was.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
SELECT costsim_try_lease(NULL, 'replica-a');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7002, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7002, 'replica-a', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7002, '');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_try_lease(7002, E' \t\n');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7002, repeat('x', 201));
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT costsim_try_lease(7002, 'replica-a', '0');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT costsim_try_lease(7002, 'replica-a', '-1 second');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7001, 'replica-a', '0');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7002, 'replica-a', '1000000 years');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7002, 'replica-a', '170000000 years');
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_try_leader(7002, 'replica-a', '0');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7002, 'replica-a', '-1 second');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7002, 'replica-a', '170000000 years');
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_renew_lease(NULL, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_renew_lease(7001, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_lease(NULL, 1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_lease(7001, NULL);
\echo :LAST_ERROR_SQLSTATE
-- a token nobody was ever given is a stale one, not a mistake
SELECT costsim_renew_lease(7001, 0) IS NULL AS is_over, costsim_renew_lease(7001, -1) IS NULL AS is_over, costsim_release_lease(7001, -1);
SELECT lock_id, epoch, lease FROM costsim_leaders;
-- 200 characters are enough for anyone, however many bytes they have
SELECT costsim_try_lease(7002, repeat('😀', 200)) IS NOT NULL AS taken;
ROLLBACK;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
SELECT count(*) AS rows FROM costsim_leaders;
