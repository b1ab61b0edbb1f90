-- A lease needs an epoch of its own, as a session's term does: when they are used up it is refused.
INSERT INTO costsim_leaders (lock_id, pid, backend_start, epoch, token) VALUES (7001, 1, now(), 4294967295, (1::bigint << 32) | 4294967295);
\set VERBOSITY terse
SELECT costsim_try_lease(7001, 'replica-a');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_lock_held(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
