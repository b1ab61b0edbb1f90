-- Behind a lease the wait ends when the lease does, without anybody's word.
SELECT costsim_try_lease(7001, 'replica-a', '50 milliseconds') & 4294967295 AS epoch;
SELECT costsim_wait_leader(7001, '1 minute', 'replica-b');
SELECT mode, node_id, epoch FROM costsim_leader(7001);
SELECT costsim_release_leader(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
