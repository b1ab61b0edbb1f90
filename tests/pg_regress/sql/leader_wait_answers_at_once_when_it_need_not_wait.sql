-- A free lock, one's own, another name on the same session: no wait. Timeout zero only looks.
SELECT costsim_wait_leader(7001, '1 hour', 'replica-a');
SELECT mode, node_id, epoch FROM costsim_leader(7001);
BEGIN;
SELECT costsim_wait_leader(7001, '1 hour', 'replica-a') AS again, costsim_wait_leader(7001) AS without_a_name, costsim_wait_leader(7001, '0') AS at_once;
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
SELECT costsim_wait_leader(7001, '1 hour', 'replica-b') AS under_another_name;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1;
SELECT costsim_release_leader(7001);
-- with a lease
SELECT costsim_wait_leader(7001, '0', 'replica-a', '1 hour');
SELECT costsim_is_leader(7001), node_id, epoch, lease_until > clock_timestamp() AS runs FROM costsim_leader(7001);
SELECT costsim_wait_leader(7001, '1 hour', 'replica-a', '1 hour') AS again;
SELECT costsim_release_leader(7001);
-- taken by an abort back
BEGIN;
SELECT costsim_wait_leader(7001);
ROLLBACK;
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
