-- While a lease lives no session leads, under no name; the key, looked into, is out of the candidate's hands at once, not only when its
-- transaction ends.
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
BEGIN;
SELECT costsim_try_leader(7001), costsim_try_leader(7001, 'replica-a'), costsim_try_leader(7001, 'replica-b', '1 minute');
SELECT count(*) AS keys_and_marks FROM pg_locks WHERE locktype = 'advisory' AND objsubid IN (1, 3);
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SAVEPOINT s;
SELECT costsim_try_leader(7001);
SELECT count(*) AS keys_and_marks FROM pg_locks WHERE locktype = 'advisory' AND objsubid IN (1, 3);
ROLLBACK TO s;
COMMIT;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
SELECT mode, node_id, epoch, token = :token AS same_token FROM costsim_leader(7001);
-- the plain lock that a session took before stays its own
SELECT pg_advisory_lock(7001);
SELECT costsim_try_leader(7001);
SELECT pg_advisory_unlock(7001) AS was_still_held;
SELECT costsim_release_lease(7001, :token);
SELECT costsim_try_leader(7001);
SELECT costsim_release_leader(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
