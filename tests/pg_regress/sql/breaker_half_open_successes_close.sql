-- probe_successes good reports, each for a permit, close the breaker: incident and alert end, and nothing is left of the outage.
\pset null '<null>'
BEGIN;
SELECT name FROM costsim_configure_breaker('h', failure_threshold => 1, half_open => true, probe_permits => 3, probe_successes => 2, probe_timeout => '5 min');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'h');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT costsim_cb_allow('h') AND costsim_cb_allow('h') AND costsim_cb_allow('h') AS three_permits;
SELECT probes[2:3] AS younger FROM costsim_cb_state WHERE name = 'h' \gset
SELECT count(*) FROM costsim_report_drift(0.1, name => 'h');
SELECT state FROM costsim_cb_get_state('h');
SELECT probes = :'younger' AS oldest_is_used_up, probes_passed FROM costsim_cb_state WHERE name = 'h';
SELECT count(*) FROM costsim_report_drift(0.2, 33, name => 'h');
SELECT is_open, state, consecutive_failures FROM costsim_cb_get_state('h');
SELECT disabled, disabled_by, disabled_reason, disabled_until, incident_id, consecutive_failures, warning, half_open_at, half_open_since, coalesce(cardinality(probes), 0) AS outstanding,
       probes_passed, reopenings FROM costsim_cb_state WHERE name = 'h';
SELECT resolved, resolved_by, resolution_notes FROM costsim_incidents(true, name => 'h');
SELECT count(*) AS firing FROM costsim_alerts WHERE resolved_at IS NULL;
SELECT from_state, to_state, cause, actor, drift_score, sample_count FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1;
SELECT costsim_cb_allow('h'), costsim_is_closed('h');
-- the permit that is still out there is worth nothing: a good report is a good report
SELECT count(*) FROM costsim_report_drift(0.1, name => 'h');
SELECT count(*) AS events FROM costsim_cb_events WHERE circuit_breaker_name = 'h' AND to_state = 'closed' AND from_state <> 'closed';
ROLLBACK;
