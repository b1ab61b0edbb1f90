-- [B-20] With auto_disable off a report counts and tells once what it would have done, and opens nothing; a person still can.
\pset null '<null>'
BEGIN;
SELECT auto_disable FROM costsim_configure_breaker('watched', auto_disable => false);
SELECT count(*) AS tripped FROM generate_series(1, 5) nth, costsim_report_drift(0.5, nth, NULL, 'watched');
SELECT is_open, state, consecutive_failures FROM costsim_cb_get_state('watched');
SELECT warning FROM costsim_cb_state WHERE name = 'watched';
SELECT from_state, to_state, cause, drift_score, sample_count, incident_id FROM costsim_cb_events WHERE circuit_breaker_name = 'watched' AND cause <> 'configured' ORDER BY id;
SELECT (SELECT count(*) FROM costsim_cb_incidents) AS incidents, (SELECT count(*) FROM costsim_alerts) AS alerts;
-- a good report ends it, and the next time is told again
SELECT count(*) FROM costsim_report_drift(0.1, name => 'watched');
SELECT warning, consecutive_failures FROM costsim_cb_state WHERE name = 'watched';
SELECT count(*) AS tripped FROM generate_series(1, 3) nth, costsim_report_drift(0.5, nth, NULL, 'watched');
SELECT count(*) FROM costsim_cb_events WHERE circuit_breaker_name = 'watched' AND cause = 'would_trip';
SELECT count(*) FROM costsim_report_drift(0.1, name => 'watched');
-- schema errors too
SELECT count(*) AS tripped FROM generate_series(5, 6) errors, costsim_report_schema_error(errors, NULL, 'watched');
SELECT cause, drift_score, sample_count FROM costsim_cb_events WHERE circuit_breaker_name = 'watched' ORDER BY id DESC LIMIT 1;
SELECT count(*) FROM costsim_cb_events WHERE circuit_breaker_name = 'watched' AND cause = 'would_trip';
SELECT costsim_is_open('watched');
-- switched on, the next failure trips: what was counted counts
SELECT count(*) FROM generate_series(1, 3) nth, costsim_report_drift(0.5, nth, NULL, 'watched');
SELECT auto_disable FROM costsim_configure_breaker('watched', auto_disable => true);
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'watched');
SELECT warning, consecutive_failures FROM costsim_cb_state WHERE name = 'watched';
SELECT costsim_enable_v2('ann', name => 'watched');
-- off again: a person may open it, and reports while open are noted without making it worse
SELECT auto_disable FROM costsim_configure_breaker('watched', auto_disable => false);
SELECT changed FROM costsim_disable_v2('by hand', 'ann', name => 'watched');
SELECT count(*) AS tripped FROM generate_series(1, 3) nth, costsim_report_drift(0.5, nth, NULL, 'watched');
SELECT severity, reports_while_open FROM costsim_incidents(name => 'watched');
ROLLBACK;
