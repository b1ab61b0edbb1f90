-- A renewal touches one row and no index, however it is asked for, and tells no history.
SELECT costsim_try_leader(7001, 'replica-a', '1 hour');
SELECT costsim_fencing_token(7001) AS session_token, costsim_try_lease(7002, 'replica-b', '1 hour') AS lease_token \gset
SELECT count(*) AS events_before FROM costsim_leader_events \gset
-- what this session counted so far goes to the server; from here on it counts anew
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT costsim_try_leader(7001, 'replica-a', '1 hour') AS again;
SELECT pg_stat_get_xact_tuples_updated('costsim_leaders'::regclass) AS updated, pg_stat_get_xact_tuples_hot_updated('costsim_leaders'::regclass) AS hot;
SELECT costsim_renew_lease(7001, :session_token) IS NOT NULL AS renewed, costsim_renew_lease(7002, :lease_token) IS NOT NULL AS renewed,
       costsim_try_lease(7002, 'replica-b', '1 hour') = :lease_token AS renewed;
SELECT pg_stat_get_xact_tuples_updated('costsim_leaders'::regclass) AS updated, pg_stat_get_xact_tuples_hot_updated('costsim_leaders'::regclass) AS hot,
       pg_stat_get_xact_tuples_inserted('costsim_leader_events'::regclass) AS told;
COMMIT;
SELECT count(*) - :events_before AS told FROM costsim_leader_events;
SELECT costsim_release_leader(7001), costsim_release_lease(7002, :lease_token);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
