-- The history of a lock: each change of leader with its term, the role that caused it, and the operator's reason.
\pset null '<null>'
CREATE ROLE costsim_regress_leader;
GRANT EXECUTE ON FUNCTION costsim_try_leader, costsim_release_leader, costsim_try_lease, costsim_release_lease, costsim_resign_leader TO costsim_regress_leader;
SET SESSION AUTHORIZATION costsim_regress_leader;
-- taken and given back
SELECT costsim_try_leader(7106, 'replica-a'), costsim_try_leader(7106, 'replica-a') AS again, costsim_release_leader(7106);
SELECT costsim_try_lease(7106, 'replica-b', '1 hour') AS token \gset
SELECT costsim_release_lease(7106, :token);
-- ran out, and a session that just ended (its locks did)
SELECT costsim_try_lease(7106, 'replica-c', '1 microsecond') IS NOT NULL AS taken;
SELECT costsim_try_leader(7106, 'replica-d');
SELECT pg_advisory_unlock_all();
SELECT costsim_try_leader(7106);
-- two clients of a pooler
SELECT costsim_release_leader(7106);
SELECT costsim_try_leader(7106, 'replica-e'), costsim_try_leader(7106, 'replica-f');
RESET SESSION AUTHORIZATION;
-- resigned, by whom and why
SELECT costsim_resign_leader(7106, 'maintenance');
SELECT event, node_id, token & 4294967295 AS epoch, mode, CASE caused_by WHEN current_user THEN 'me' ELSE caused_by END AS caused_by,
       CASE event WHEN 'resigned' THEN reason ELSE (reason IS NOT NULL)::text END AS reason
  FROM costsim_leader_events WHERE lock_id = 7106 ORDER BY id;
SELECT bool_and(at BETWEEN now() - interval '1 hour' AND clock_timestamp()) AS all_lately,
       bool_and(pid = pg_backend_pid()) FILTER (WHERE mode = 'session') AS this_session
  FROM costsim_leader_events WHERE lock_id = 7106;
DROP OWNED BY costsim_regress_leader;
DROP ROLE costsim_regress_leader;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
