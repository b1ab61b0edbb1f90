-- True again, one lock, the same term, nothing written: so one release is enough.
SELECT costsim_try_leader(7001, 'replica-a');
BEGIN;
SELECT costsim_try_leader(7001, 'replica-a') AS again, costsim_try_leader(7001) AS without_a_name;
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
COMMIT;
SELECT epoch FROM costsim_leaders;
SELECT costsim_release_leader(7001);
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory';
SELECT costsim_release_leader(7001) AS second_release;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
