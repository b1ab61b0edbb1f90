-- Lock and row are taken together or not at all: rollback, rollback to a savepoint, an error.
BEGIN;
SELECT costsim_try_leader(7001);
ROLLBACK;
SELECT costsim_is_leader(7001), costsim_lock_held(7001), (SELECT count(*) FROM costsim_leaders) AS rows;

BEGIN;
SELECT costsim_try_leader(7002);
SAVEPOINT s;
SELECT costsim_try_leader(7001);
ROLLBACK TO s;
SELECT costsim_is_leader(7001), costsim_lock_held(7001), costsim_is_leader(7002);
COMMIT;
SELECT costsim_is_leader(7002), costsim_lock_held(7002);
SELECT lock_id, epoch FROM costsim_leaders;

-- a released savepoint belongs to what is around it
BEGIN;
SAVEPOINT outside;
SAVEPOINT inside;
SELECT costsim_try_leader(7001);
RELEASE inside;
SELECT costsim_is_leader(7001);
ROLLBACK TO outside;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
COMMIT;

BEGIN;
SELECT costsim_try_leader(7001);
SELECT 1 / 0;
ROLLBACK;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT costsim_release_leader(7002);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
