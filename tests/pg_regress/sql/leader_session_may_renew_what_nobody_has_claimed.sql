-- A session whose lease ran out leads until somebody evicts it: it holds the lock, and may renew. It never evicts itself.
\pset null '<null>'
SELECT costsim_try_leader(7001, 'replica-a', '1 microsecond');
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT lease_until < clock_timestamp() AS ran_out, healthy FROM costsim_leader(7001);
SELECT costsim_fencing_token(7001) AS token \gset
SELECT costsim_renew_lease(7001, :token) IS NOT NULL AS renewed;
SELECT costsim_try_leader(7001, 'replica-b', '1 hour') AS under_another_name, costsim_try_lease(7001, 'replica-a', '1 hour') AS as_a_lease;
SELECT costsim_try_leader(7001, 'replica-a', '1 hour') AS again;
SELECT costsim_fencing_token(7001) = :token AS same_token, lease_until > clock_timestamp() AS runs FROM costsim_leader(7001);
SELECT costsim_release_leader(7001);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
