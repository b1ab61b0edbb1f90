-- Whoever takes the lock away behind our back ends the term: the session notices, and a new term has a new epoch.
SELECT costsim_try_leader(7001, 'a'), costsim_try_leader(7002, 'a');
SELECT pg_advisory_unlock_all();
SELECT costsim_is_leader(7001), costsim_is_leader(7002), costsim_lock_held(7001);
SELECT costsim_release_leader(7001);
SELECT costsim_try_leader(7001, 'b');
SELECT node_id, epoch FROM costsim_leaders WHERE lock_id = 7001;
DISCARD ALL;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT costsim_try_leader(7001, 'c');
SELECT node_id, epoch FROM costsim_leaders WHERE lock_id = 7001;
SELECT pg_advisory_unlock(7001);
SELECT costsim_is_leader(7001);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
