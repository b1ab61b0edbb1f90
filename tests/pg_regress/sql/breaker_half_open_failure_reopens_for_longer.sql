-- A bad report while half-open, with or without a permit, opens the breaker again: the same incident, no permit left, and a TTL that doubles each
-- time, less up to a fifth at random, until max_disable_ttl; so each is longer than the one before.
BEGIN;
SELECT name FROM costsim_configure_breaker('h', failure_threshold => 3, disable_ttl => '1 hour', half_open => true, half_open_timeout => '10 min',
    max_disable_ttl => '7 hours', probe_successes => 1);
SELECT count(*) AS tripped FROM generate_series(1, 3) nth, costsim_report_drift(0.5, nth, NULL, 'h');
SELECT incident_id AS incident, opened_at AS opened FROM costsim_cb_state WHERE name = 'h' \gset
CREATE TEMP TABLE outages (nth integer, lasted interval, rest interval, permits integer, passed integer);
INSERT INTO outages SELECT reopenings, half_open_at - opened_at, disabled_until - half_open_at FROM costsim_cb_state WHERE name = 'h';
-- first with a permit that was used, then without any
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT costsim_cb_allow('h') AND costsim_cb_allow('h') AS two_permits;
SELECT count(*) AS tripped FROM costsim_report_drift(0.4, 21, name => 'h');
SELECT is_open, state, incident_id = :'incident' AS same_incident, opened_at = :'opened' AS same_outage, costsim_cb_allow('h') FROM costsim_cb_get_state('h');
SELECT half_open_since IS NULL AS not_half_open, coalesce(cardinality(probes), 0) AS outstanding, probes_passed, reopenings FROM costsim_cb_state WHERE name = 'h';
SELECT from_state, to_state, cause, actor, drift_score, sample_count, incident_id = :'incident' AS same_incident FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1;
INSERT INTO outages SELECT reopenings, half_open_at - happened_at, disabled_until - half_open_at
  FROM costsim_cb_state s, LATERAL (SELECT happened_at FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1) e WHERE name = 'h';
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT count(*) AS tripped FROM costsim_report_drift(0.4, name => 'h');
INSERT INTO outages SELECT reopenings, half_open_at - happened_at, disabled_until - half_open_at
  FROM costsim_cb_state s, LATERAL (SELECT happened_at FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1) e WHERE name = 'h';
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
-- schema errors do it too, if they are enough
SELECT count(*) AS tripped FROM costsim_report_schema_error(4, name => 'h');
SELECT state FROM costsim_cb_get_state('h');
SELECT count(*) AS tripped FROM costsim_report_schema_error(5, name => 'h');
SELECT state FROM costsim_cb_get_state('h');
INSERT INTO outages SELECT reopenings, half_open_at - happened_at, disabled_until - half_open_at
  FROM costsim_cb_state s, LATERAL (SELECT happened_at FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1) e WHERE name = 'h';
SELECT nth, lasted BETWEEN wanted * CASE nth WHEN 0 THEN 1 ELSE 0.79 END AND wanted AS is_in_bounds, lasted > lag(lasted, 1, '0') OVER (ORDER BY nth) AS is_longer,
       rest = '10 min' AS half_open_for_ten_minutes
  FROM outages, LATERAL (SELECT least(interval '7 hours', interval '1 hour' * 2 ^ nth)) w (wanted) ORDER BY nth;
SELECT from_state, to_state, cause FROM costsim_cb_events WHERE circuit_breaker_name = 'h' AND 'half_open' IN (from_state, to_state) ORDER BY id;
-- no alert went out anew, none ended, but it was told of each new end; and the incident noted every bad report
SELECT count(*) AS incidents, max(reports_while_open) AS noted, bool_or(resolved) AS resolved FROM costsim_incidents(true, name => 'h');
SELECT count(*) AS alerts, count(resolved_at) AS resolved, max(revision) AS revision FROM costsim_alerts;
-- closed and tripped once more, it is as long as ever
SELECT costsim_enable_v2('ann', name => 'h');
SELECT count(*) AS tripped FROM generate_series(1, 3) nth, costsim_report_drift(0.5, nth, NULL, 'h');
SELECT half_open_at - opened_at AS open_for, reopenings FROM costsim_cb_state WHERE name = 'h';
ROLLBACK;
