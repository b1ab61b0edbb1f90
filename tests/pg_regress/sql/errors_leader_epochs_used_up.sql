-- A token is never reused: the term that would need one more epoch is refused, and the lock is not kept.
INSERT INTO costsim_leaders (lock_id, pid, backend_start, epoch, token) VALUES (7001, 1, now(), 4294967295, (1::bigint << 32) | 4294967295);
SELECT costsim_try_leader(7001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
BEGIN;
SELECT costsim_try_leader(7002);
SAVEPOINT s;
SELECT costsim_try_leader(7001);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT costsim_is_leader(7001), costsim_lock_held(7001), costsim_is_leader(7002);
ROLLBACK;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
