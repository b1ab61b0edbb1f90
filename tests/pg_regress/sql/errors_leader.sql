-- Every misuse of leadership: its SQLSTATE, what it says, and a transaction that is as it was. ON_ERROR_ROLLBACK puts a savepoint
-- before each statement.
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT costsim_try_leader(7001, 'replica-a');

SELECT costsim_try_leader(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7002, '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7002, E' \t\n');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7002, repeat('x', 201));
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_leader(7001, '');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_leader(NULL);
\echo :LAST_ERROR_SQLSTATE
-- an id that no bigint holds never reaches us
SELECT costsim_try_leader(9223372036854775808);
\echo :LAST_ERROR_SQLSTATE

SELECT costsim_is_leader(7001), costsim_lock_held(7002);
SELECT lock_id, node_id, epoch FROM costsim_leaders;
-- 200 characters are enough for anyone, however many bytes they have
SELECT costsim_try_leader(7002, repeat('😀', 200));
ROLLBACK;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
SELECT count(*) AS rows FROM costsim_leaders;
