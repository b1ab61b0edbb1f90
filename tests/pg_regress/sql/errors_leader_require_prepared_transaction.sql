-- Nobody could check a prepared transaction's requirement when it commits: PREPARE is refused, 0A000. So it is with a lease that was taken,
-- renewed or given back.
\set VERBOSITY terse
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
BEGIN;
SELECT costsim_require_leader(7001, :token);
PREPARE TRANSACTION 'required';
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7002);
BEGIN;
SELECT costsim_require_leader(7002);
PREPARE TRANSACTION 'required';
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SELECT costsim_release_lease(7001, :token);
PREPARE TRANSACTION 'given back';
\echo :LAST_ERROR_SQLSTATE
BEGIN;
SELECT costsim_try_lease(7003, 'replica-a') IS NOT NULL AS taken;
PREPARE TRANSACTION 'taken';
\echo :LAST_ERROR_SQLSTATE
SELECT gid FROM pg_prepared_xacts;
-- a requirement that was rolled back is no obstacle
BEGIN;
SAVEPOINT s;
SELECT costsim_require_leader(7001, :token);
ROLLBACK TO s;
CREATE TABLE prepared ();
PREPARE TRANSACTION 'not required';
COMMIT PREPARED 'not required';
SELECT lock_id, mode, released_at FROM costsim_leaders ORDER BY lock_id;
SELECT costsim_release_lease(7001, :token), costsim_release_leader(7002);
DROP TABLE prepared;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
