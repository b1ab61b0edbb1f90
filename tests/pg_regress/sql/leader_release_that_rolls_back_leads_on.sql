-- Given back only at commit; until then, and after an abort, the lock is held.
SELECT costsim_try_leader(7001);
BEGIN;
SELECT costsim_release_leader(7001);
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT costsim_release_leader(7001) AS second_release;
ROLLBACK;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT epoch, released_at FROM costsim_leaders;

BEGIN;
SAVEPOINT s;
SELECT costsim_release_leader(7001);
ROLLBACK TO s;
COMMIT;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);

-- released and taken anew in one transaction: after an abort the old term runs on
BEGIN;
SELECT costsim_release_leader(7001), costsim_try_leader(7001, 'new');
SELECT epoch, node_id FROM costsim_leaders;
ROLLBACK;
SELECT costsim_is_leader(7001);
SELECT epoch, node_id FROM costsim_leaders;
SELECT epoch, healthy FROM costsim_leader(7001);

SELECT costsim_release_leader(7001);
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
