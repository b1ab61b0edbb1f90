-- A good report without an outstanding permit counts for nothing: whoever asked nobody did not probe. While open it counts for nothing either.
BEGIN;
SELECT name FROM costsim_configure_breaker('h', failure_threshold => 1, half_open => true, probe_permits => 1, probe_successes => 1);
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'h');
SELECT count(*) FROM costsim_report_drift(0.0, name => 'h');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT count(*) FROM generate_series(1, 5) nth, costsim_report_drift(0.0, nth, NULL, 'h');
SELECT state FROM costsim_cb_get_state('h');
SELECT probes_passed, coalesce(cardinality(probes), 0) AS outstanding FROM costsim_cb_state WHERE name = 'h';
SELECT costsim_cb_allow('h');
SELECT state FROM costsim_cb_get_state('h');
SELECT count(*) FROM costsim_report_drift(0.0, name => 'h');
SELECT state FROM costsim_cb_get_state('h');
ROLLBACK;
