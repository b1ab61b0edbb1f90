-- Every misuse of the operator's functions: its SQLSTATE, what it says, and nothing changed.
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO costsim_alert_queue (payload, status, created_at, finished_at) VALUES ('[]', 'failed', '2020-01-01', '2020-01-01'), ('[]', 'sent', '2020-01-01', '2020-01-01'),
    ('[]', 'cancelled', '2020-01-01', '2020-01-01'), ('[]', 'pending', '2020-01-01', NULL);
SELECT costsim_retry_failed_alerts(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_retry_failed_alerts(0);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_retry_failed_alerts(-1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_retry_alert(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_cancel_alert(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts(-1);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts(0, ARRAY['pending']);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts(0, ARRAY['sent', 'pending']);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts(0, ARRAY['Sent']);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts(0, ARRAY['sent', 'lost']);
\echo :LAST_ERROR_SQLSTATE
SELECT costsim_purge_old_alerts(0, ARRAY['sent', NULL]);
\echo :LAST_ERROR_SQLSTATE
SELECT status, retries FROM costsim_alert_queue ORDER BY id;
ROLLBACK;
