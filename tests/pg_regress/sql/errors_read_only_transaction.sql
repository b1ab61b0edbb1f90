-- Every function that may write refuses with 25006 before it has touched anything, as it does on a standby; a refusal comes before any other.
\set ON_ERROR_ROLLBACK on
\set VERBOSITY terse
BEGIN READ ONLY;
SELECT costsim_try_leader(7001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_wait_leader(7001);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_try_lease(7001, 'a');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_run_as_leader(7001, 'SELECT 1');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resign_leader(7001, 'maintenance');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_lock_held(7001), costsim_is_leader(7001), costsim_fencing_token(7001), costsim_lock_id('canary_runner');
SELECT costsim_report_drift(0.1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_report_drift('NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_disable_v2('a', 'ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enable_v2('ann');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_enqueue_alert('[{"labels": {"alertname": "A"}}]', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_fire_alert('{"alertname": "A"}');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resolve_alert('{"alertname": "A"}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('a');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM costsim_claim_alerts('');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_settle_alert(1, 1, true);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_retry_failed_alerts();
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_retry_alert(1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_cancel_alert(1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts();
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts(30, '{}');
\echo :LAST_ERROR_SQLSTATE
SELECT pending, firing FROM costsim_alert_queue_stats();
SELECT pending, targets FROM costsim_alert_status;
SELECT costsim_write_provenance('r');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_write_provenance_batch('[]');
\echo :LAST_ERROR_SQLSTATE
COMMIT;
-- a leader that would stop
SELECT costsim_try_leader(7001);
BEGIN READ ONLY;
SELECT costsim_release_leader(7002) AS nothing_to_do;
SELECT costsim_release_leader(7001);
\echo :LAST_ERROR_SQLSTATE
COMMIT;
SELECT costsim_is_leader(7001);
SELECT costsim_release_leader(7001);
-- one by lease
SELECT costsim_try_lease(7001, 'a', '1 hour') AS token \gset
BEGIN READ ONLY;
SELECT costsim_renew_lease(7001, :token);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_release_lease(7001, :token);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_resign_leader(7001, 'maintenance');
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_require_leader(7001, :token);
SELECT costsim_lock_held(7001), leads FROM costsim_leader_status WHERE lock_id = 7001;
COMMIT;
SELECT costsim_release_lease(7001, :token);
DELETE FROM costsim_leaders;
DELETE FROM costsim_leader_events;
SELECT (SELECT count(*) FROM costsim_leaders) AS leaders, (SELECT count(*) FROM costsim_cb_state) AS states, (SELECT count(*) FROM costsim_alerts) AS alerts,
       (SELECT count(*) FROM costsim_alert_queue) AS queued, (SELECT count(*) FROM costsim_provenance) AS provenance;
