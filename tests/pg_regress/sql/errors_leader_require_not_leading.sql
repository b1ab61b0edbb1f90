-- Who does not lead is refused with 55000, at every isolation level, and the transaction goes on without the requirement.
\set ON_ERROR_ROLLBACK on
SELECT costsim_require_leader(7001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_require_leader(7001, 4294967297);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT costsim_require_leader(7001);
\echo :LAST_ERROR_SQLSTATE
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT costsim_require_leader(7001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_require_leader(7001, 4294967297);
\echo :LAST_ERROR_SQLSTATE
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT costsim_require_leader(7001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_require_leader(7001, 4294967297);
\echo :LAST_ERROR_SQLSTATE
COMMIT;

-- a bare lock is no term
SELECT pg_advisory_lock(7001);
SELECT costsim_require_leader(7001);
\echo :LAST_ERROR_SQLSTATE
SELECT pg_advisory_unlock(7001);
-- a lease is not this session's
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
SELECT costsim_require_leader(7001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_lease(7001, :token);
-- given back in this transaction already
SELECT costsim_try_leader(7001);
BEGIN;
SELECT costsim_release_leader(7001);
SELECT costsim_require_leader(7001);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT costsim_is_leader(7001), costsim_release_leader(7001);
-- wrong values
SELECT costsim_require_leader(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_require_leader(7001, -1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_require_leader(7001, 0);
\echo :LAST_ERROR_SQLSTATE
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
