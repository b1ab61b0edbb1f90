-- The lock goes back at commit, or with the abort; who led before leads on, in the same term.
BEGIN;
SELECT led FROM costsim_run_as_leader(7001, 'SELECT 1');
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
-- once more in the same transaction
SELECT led FROM costsim_run_as_leader(7001, 'SELECT 1');
COMMIT;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT released_at IS NOT NULL AS is_over FROM costsim_leaders;
BEGIN;
SELECT led FROM costsim_run_as_leader(7001, 'SELECT 1');
ROLLBACK;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
-- the command fails
SELECT * FROM costsim_run_as_leader(7001, 'SELECT 1 / 0');
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';

SELECT costsim_try_leader(7001, 'replica-a');
SELECT costsim_fencing_token(7001) AS token \gset
SELECT led FROM costsim_run_as_leader(7001, 'SELECT 1');
SELECT costsim_is_leader(7001), costsim_fencing_token(7001) = :token AS same_token;
SELECT * FROM costsim_run_as_leader(7001, 'SELECT 1 / 0');
SELECT costsim_is_leader(7001), costsim_fencing_token(7001) = :token AS same_token;
-- a bare lock that the session took itself stays its own
SELECT costsim_release_leader(7001);
SELECT pg_advisory_lock(7001);
SELECT led FROM costsim_run_as_leader(7001, 'SELECT 1');
SELECT costsim_is_leader(7001), costsim_lock_held(7001), pg_advisory_unlock(7001) AS was_still_held;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
-- the command gives it back itself
SELECT led FROM costsim_run_as_leader(7001, 'SELECT costsim_release_leader(7001)');
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
