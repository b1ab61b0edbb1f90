-- A session lock cannot follow a transaction that leaves its session: PREPARE is refused, and what was done is undone.
SELECT costsim_try_leader(7002);
BEGIN;
SELECT costsim_try_leader(7001);
PREPARE TRANSACTION 'taken';
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_leader(7001), costsim_lock_held(7001);
BEGIN;
SELECT costsim_release_leader(7002);
PREPARE TRANSACTION 'given';
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_is_leader(7002), costsim_lock_held(7002);
SELECT count(*) AS prepared FROM pg_prepared_xacts;
-- leading meanwhile is no obstacle
BEGIN;
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x') IS NOT NULL AS queued;
PREPARE TRANSACTION 'neither';
COMMIT PREPARED 'neither';
SELECT pending FROM costsim_alert_queue_stats();
SELECT costsim_is_leader(7002), costsim_release_leader(7002);
DELETE FROM costsim_alert_queue;
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
