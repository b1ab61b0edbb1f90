-- Drift while an outage of schema errors is being probed makes it worse before it opens it again: told as two steps, by one alert that ends and one
-- that fires.
BEGIN;
SELECT name FROM costsim_configure_breaker('worse', failure_threshold => 1, half_open => true);
SELECT severity FROM costsim_report_schema_error(5, name => 'worse');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'worse';
SELECT costsim_is_v2_disabled('worse');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, 20, NULL, 'worse');
SELECT severity, reports_while_open, resolved FROM costsim_incidents(name => 'worse');
SELECT from_state, to_state, cause FROM costsim_cb_events WHERE circuit_breaker_name = 'worse' AND from_state = 'half_open' ORDER BY id;
SELECT labels ->> 'severity' AS severity, resolved_at IS NULL AS fires FROM costsim_alerts ORDER BY 1;
ROLLBACK;
