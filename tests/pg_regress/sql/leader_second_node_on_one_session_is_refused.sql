-- Behind a transaction pooler two clients share a session: the second name does not lead.
SELECT costsim_try_leader(7001, 'replica-a');
SELECT costsim_try_leader(7001, 'replica-b');
SELECT node_id, epoch FROM costsim_leaders;
SELECT costsim_is_leader(7001);
SELECT costsim_release_leader(7001);
SELECT costsim_try_leader(7001, 'replica-b');
SELECT node_id, epoch FROM costsim_leaders;
SELECT costsim_release_leader(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
