-- A client that takes the advisory lock itself leads, without a term: held, but neither mine nor healthy.
SELECT pg_advisory_lock(7001);
SELECT costsim_lock_held(7001), costsim_is_leader(7001);
SELECT pid = pg_backend_pid() AS is_me, node_id IS NULL AND epoch IS NULL AND token IS NULL AS has_no_term, healthy FROM costsim_leader(7001);

-- the same session may turn it into a term; the lock it took itself stays its own
SELECT costsim_try_leader(7001);
SELECT epoch, healthy FROM costsim_leader(7001);
SELECT costsim_release_leader(7001);
SELECT costsim_lock_held(7001), costsim_is_leader(7001);
SELECT pg_advisory_unlock(7001) AS was_still_held;
SELECT costsim_lock_held(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
