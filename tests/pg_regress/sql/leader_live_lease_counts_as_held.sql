-- costsim_lock_held and costsim_leader know a lease for as long as it lives, and this session does not lead by it.
\pset null '<null>'
SELECT costsim_lock_held(7001), (SELECT count(*) FROM costsim_leader(7001)) AS leaders;
SELECT costsim_try_lease(7001, 'replica-a', '1 hour') AS token \gset
SELECT costsim_lock_held(7001), costsim_is_leader(7001), costsim_fencing_token(7001), costsim_lock_held(7002);
SELECT node_id, epoch, token = :token AS same_token, mode, healthy, lease_until > clock_timestamp() AS runs, acquired_at <= clock_timestamp() AS has_begun
  FROM costsim_leader(7001);
SELECT costsim_release_leader(7001) AS is_not_this_sessions;
SELECT costsim_lock_held(7001), costsim_release_lease(7001, :token);
SELECT costsim_lock_held(7001), (SELECT count(*) FROM costsim_leader(7001)) AS leaders;
-- ran out
SELECT costsim_try_lease(7001, 'replica-a', '1 microsecond') IS NOT NULL AS taken;
SELECT costsim_lock_held(7001), (SELECT count(*) FROM costsim_leader(7001)) AS leaders;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
