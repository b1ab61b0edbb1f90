-- Whoever changes one setting need not know the others: one that has nothing to do by now contradicts nobody.
BEGIN;
SELECT drift_threshold, warning_threshold FROM costsim_configure_breaker('batch', drift_threshold => 0.1);
-- above the drift threshold there is nothing to warn of
SELECT count(*) AS tripped FROM costsim_report_drift(0.09, name => 'batch');
SELECT count(*) AS tripped FROM costsim_report_drift(0.12, name => 'batch');
SELECT cause FROM costsim_cb_events WHERE circuit_breaker_name = 'batch' ORDER BY id;
SELECT consecutive_failures FROM costsim_cb_get_state('batch');

-- a re-opening then lasts as long as the first outage
SELECT disable_ttl, max_disable_ttl FROM costsim_configure_breaker('batch', disable_ttl => '10 days', half_open => true, failure_threshold => 1);
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'batch');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() - interval '1 second' WHERE name = 'batch';
SELECT costsim_cb_allow('batch');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'batch');
SELECT reopenings, half_open_at - last_failure_at = '10 days' AS as_long FROM costsim_cb_state WHERE name = 'batch';
ROLLBACK;
