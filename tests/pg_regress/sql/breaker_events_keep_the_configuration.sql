-- Who set which settings when is an event of its own, in whatever state the breaker is; it moves nothing.
\pset null '<null>'
BEGIN;
SELECT name FROM costsim_configure_breaker('set', drift_threshold => 0.3);
SELECT name FROM costsim_configure_breaker('set', failure_threshold => 1, disable_ttl => '0');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'set');
SELECT disabled FROM costsim_configure_breaker('set', disable_ttl => '90 min', half_open => true);
SELECT disabled FROM costsim_configure_breaker('set', disable_ttl => '90 min');
SELECT costsim_enable_v2('ann', name => 'set');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'set');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'set';
SELECT costsim_is_v2_disabled('set');
SELECT disabled FROM costsim_configure_breaker('set', auto_disable => false);
SELECT from_state, to_state, cause, actor = session_user AS by_us, incident_id IS NOT NULL AS in_an_outage FROM costsim_cb_events
 WHERE circuit_breaker_name = 'set' ORDER BY id;
-- and every event keeps the settings by which it was decided
SELECT cause, configuration ->> 'drift_threshold' AS drift_threshold, configuration ->> 'failure_threshold' AS failure_threshold,
       configuration ->> 'disable_ttl' AS disable_ttl, configuration ->> 'half_open' AS half_open, configuration ->> 'auto_disable' AS auto_disable
  FROM costsim_cb_events WHERE circuit_breaker_name = 'set' ORDER BY id;
SELECT string_agg(key, ' ' ORDER BY key) AS settings FROM costsim_cb_events, jsonb_object_keys(configuration) key
 WHERE id = (SELECT max(id) FROM costsim_cb_events WHERE circuit_breaker_name = 'set');
SELECT state FROM costsim_cb_get_state('set');
ROLLBACK;
