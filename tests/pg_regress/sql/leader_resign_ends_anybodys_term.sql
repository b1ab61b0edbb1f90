-- The operator's word: a lease is closed, a session's own term is given back at commit as by its release; with nobody there, or only a bare
-- lock, there is nothing to end.
\pset null '<null>'
SELECT costsim_resign_leader(7108, 'nobody leads');
SELECT costsim_try_lease(7108, 'replica-a', '1 hour') AS token \gset
BEGIN;
SELECT costsim_resign_leader(7108, 'rolled back');
SELECT costsim_lock_held(7108);
ROLLBACK;
SELECT costsim_lock_held(7108), costsim_resign_leader(7108, 'wrong node');
SELECT costsim_lock_held(7108), costsim_renew_lease(7108, :token), costsim_resign_leader(7108, 'once more');
SELECT node_id, released_at IS NOT NULL AS is_over FROM costsim_leaders;
-- ran out: nobody leads
SELECT costsim_try_lease(7108, 'replica-a', '1 microsecond') IS NOT NULL AS taken;
SELECT costsim_resign_leader(7108, 'too late');

SELECT costsim_try_leader(7108, 'replica-b');
BEGIN;
SELECT costsim_resign_leader(7108, 'changed my mind');
SELECT costsim_is_leader(7108), costsim_lock_held(7108);
ROLLBACK;
SELECT costsim_is_leader(7108), costsim_resign_leader(7108, 'maintenance');
SELECT costsim_is_leader(7108), costsim_lock_held(7108);

SELECT pg_advisory_lock(7108);
SELECT costsim_resign_leader(7108, 'a bare lock');
SELECT pg_advisory_unlock(7108) AS was_still_held;
SELECT event, node_id, token & 4294967295 AS epoch, mode, reason FROM costsim_leader_events WHERE lock_id = 7108 ORDER BY id;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
