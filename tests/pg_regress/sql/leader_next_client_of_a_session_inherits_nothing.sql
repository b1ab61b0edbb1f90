-- A pooler resets a session with DISCARD ALL and gives it to the next client: an old one takes the bare lock there, and is no leader
-- of ours, nor is its lock ours to give back; a new one begins a term of its own.
SELECT costsim_try_leader(7001, 'first');
DISCARD ALL;
SELECT pg_try_advisory_lock(7001);
SELECT costsim_is_leader(7001), costsim_release_leader(7001), costsim_lock_held(7001);
SELECT healthy, node_id FROM costsim_leader(7001);
SELECT costsim_try_leader(7001, 'second');
SELECT node_id, epoch FROM costsim_leader(7001);
SELECT costsim_release_leader(7001);
-- the bare lock is still the client's own
SELECT costsim_lock_held(7001), pg_advisory_unlock(7001), costsim_lock_held(7001);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
