-- In a half-open period there are probe_permits permits, outstanding and succeeded together; each has its own expiry, and the period does not end
-- before the last of them.
BEGIN;
SELECT probe_permits, probe_successes FROM costsim_configure_breaker('h', failure_threshold => 1, disable_ttl => '1 hour', half_open => true,
    probe_permits => 3, probe_successes => 3, probe_timeout => '5 min', half_open_timeout => '1 hour');
SELECT costsim_cb_allow('h') AS closed;
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'h');
SELECT costsim_cb_allow('h') AS open;
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT costsim_cb_allow('h') AS first;
SELECT state FROM costsim_cb_get_state('h');
SELECT half_open_since = half_open_at AS is_written_down, cardinality(probes) AS outstanding,
       probes[1] - half_open_at BETWEEN interval '5 min' AND interval '6 min' AS for_five_minutes FROM costsim_cb_state WHERE name = 'h';
SELECT costsim_cb_allow('h') AS second;
-- a success makes no room for another
SELECT count(*) FROM costsim_report_drift(0.1, name => 'h');
SELECT cardinality(probes) AS outstanding, probes_passed FROM costsim_cb_state WHERE name = 'h';
SELECT costsim_cb_allow('h') AS third, costsim_cb_allow('h') AS fourth;
SELECT cardinality(probes) AS outstanding, probes_passed FROM costsim_cb_state WHERE name = 'h';
SELECT count(*) AS events FROM costsim_cb_events WHERE circuit_breaker_name = 'h' AND from_state = 'half_open';
-- an expiry beyond the end moves the end to it
SELECT name FROM costsim_configure_breaker('late', failure_threshold => 1, disable_ttl => '1 hour', half_open => true, probe_timeout => '2 hours');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'late');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp(), disabled_until = clock_timestamp() + interval '1 hour' WHERE name = 'late';
SELECT costsim_cb_allow('late');
SELECT disabled_until = probes[1] AS ends_with_its_probe, disabled_until > now() + interval '119 min' AS later FROM costsim_cb_state WHERE name = 'late';
ROLLBACK;
