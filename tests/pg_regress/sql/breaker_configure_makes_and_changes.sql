-- Makes the breaker if there is none, with the reference's defaults; changes what is named and leaves the rest; answers the row.
\pset null '<null>'
BEGIN;
\x on
SELECT name, disabled, consecutive_failures, drift_threshold, warning_threshold, failure_threshold, schema_error_threshold, disable_ttl, auto_recover,
       auto_disable, half_open, probe_permits, probe_successes, probe_timeout, half_open_timeout, max_disable_ttl
  FROM costsim_configure_breaker('batch');
SELECT drift_threshold, warning_threshold, failure_threshold, schema_error_threshold, disable_ttl, auto_recover,
       auto_disable, half_open, probe_permits, probe_successes, probe_timeout, half_open_timeout, max_disable_ttl
  FROM costsim_configure_breaker('batch', 0.5, 0.4, 2, 7, '2 hours', true, false, true, 5, 4, '30 s', '20 min', '1 day');
SELECT drift_threshold, warning_threshold, failure_threshold, schema_error_threshold, disable_ttl, auto_recover,
       auto_disable, half_open, probe_permits, probe_successes, probe_timeout, half_open_timeout, max_disable_ttl
  FROM costsim_configure_breaker('batch', failure_threshold => 9, auto_disable => true);
\x off
-- '0' is the way to say: until somebody enables it
SELECT disable_ttl FROM costsim_configure_breaker('batch', disable_ttl => '0', half_open => false);
SELECT disable_ttl FROM costsim_configure_breaker('batch', drift_threshold => 0.6);
SELECT disable_ttl FROM costsim_configure_breaker('batch', disable_ttl => '1 hour');
-- the default breaker needs no making, and gets its row
SELECT name, failure_threshold FROM costsim_configure_breaker('costsim_v2', failure_threshold => 1);
SELECT reason FROM costsim_report_drift(0.3);
SELECT name FROM costsim_cb_state ORDER BY name;
ROLLBACK;
