-- A breaker follows its own schema_error_threshold; a trip is an outage like any other: alert, end, recovery, and a good drift report does not close it.
BEGIN;
SELECT schema_error_threshold FROM costsim_configure_breaker('strict', schema_error_threshold => 1, disable_ttl => '1 hour');
SELECT circuit_breaker_name, severity, drift_score, sample_count, details_json, resolved, reports_while_open, worst_drift_score, reason
  FROM costsim_report_schema_error(details => '{"field": "cost"}', name => 'strict');
SELECT is_open, state, disabled_by, disabled_until - opened_at AS disabled_for FROM costsim_cb_get_state('strict');
SELECT annotations ->> 'summary' AS summary, labels ->> 'severity' AS severity FROM costsim_alerts;
SELECT count(*) FROM costsim_report_drift(0.0, name => 'strict');
SELECT costsim_is_open('strict');
-- bad drift in the outage makes it worse: P3 to P1
SELECT count(*) AS tripped FROM generate_series(1, 3) nth, costsim_report_drift(0.9, nth, NULL, 'strict');
SELECT severity, reports_while_open FROM costsim_incidents(name => 'strict');
SELECT labels ->> 'severity' AS severity, resolved_at IS NULL AS fires FROM costsim_alerts ORDER BY 1;
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() WHERE name = 'strict';
SELECT costsim_is_v2_disabled('strict');
SELECT from_state, to_state, cause, actor, drift_score, sample_count FROM costsim_cb_events WHERE circuit_breaker_name = 'strict' AND cause <> 'configured' ORDER BY id;
ROLLBACK;
