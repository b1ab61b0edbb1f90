-- A row for every lock id that has a name or was ever led: who leads it, in which term, how long still, and how many wait.
\pset null '<null>'
SELECT lock_id, name, leads, pid, node_id, mode, epoch, lease_left, healthy, waiting FROM costsim_leader_status ORDER BY lock_id;
SELECT costsim_try_leader(7001, 'replica-a'), costsim_try_leader(7002, 'replica-a', '1 hour');
SELECT costsim_try_lease(7003, 'replica-b', '1 hour') AS token \gset
SELECT pg_advisory_lock(7004);
SELECT costsim_try_leader(8001), costsim_release_leader(8001);
SELECT costsim_try_lease(8002, 'replica-c', '1 microsecond') IS NOT NULL AS taken;
SELECT lock_id, name, leads, pid = pg_backend_pid() AS is_me, node_id, mode, epoch, healthy, waiting FROM costsim_leader_status ORDER BY lock_id;
SELECT s.lock_id, s.token = t.token AS the_rows_token, s.acquired_at = t.acquired_at AS the_rows_begin, s.age BETWEEN '0' AND '1 hour' AS is_young,
       s.lease_left BETWEEN '59 minutes' AND '1 hour' AS has_time_left, s.application_name
  FROM costsim_leader_status s JOIN costsim_leaders t USING (lock_id) WHERE s.leads ORDER BY s.lock_id;
-- whoever uses a bare lock that was never led and has no name is not ours
SELECT pg_advisory_lock(8003);
SELECT count(*) FROM costsim_leader_status WHERE lock_id = 8003;
SELECT pg_advisory_unlock_all();
SELECT costsim_release_lease(7003, :token);
SELECT lock_id, leads FROM costsim_leader_status ORDER BY lock_id;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
