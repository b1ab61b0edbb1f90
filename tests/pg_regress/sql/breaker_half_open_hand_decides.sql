-- A person may close a half-open breaker, or open it again with another reason or end; the same wish once more changes nothing.
\pset null '<null>'
BEGIN;
SELECT name FROM costsim_configure_breaker('h', disable_ttl => '1 hour', half_open => true);
SELECT changed, incident_id AS incident FROM costsim_disable_v2('release', 'ann', name => 'h') \gset
SELECT half_open_at - opened_at AS open_for, disabled_until - half_open_at AS half_open_for FROM costsim_cb_state WHERE name = 'h';
-- closed by hand while half-open
SAVEPOINT s;
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT costsim_cb_allow('h');
SELECT costsim_enable_v2('bob', 'looks well', 'h');
SELECT is_open, state FROM costsim_cb_get_state('h');
SELECT disabled, half_open_at, half_open_since, coalesce(cardinality(probes), 0) AS outstanding FROM costsim_cb_state WHERE name = 'h';
SELECT from_state, to_state, cause, actor, reason FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1;
SELECT resolved_by, resolution_notes FROM costsim_incidents(true, name => 'h');
-- reset is the same
ROLLBACK TO s;
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT costsim_reset_v2('looks well', 'bob', 'h');
SELECT state FROM costsim_cb_get_state('h');
-- the same wish
ROLLBACK TO s;
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT costsim_cb_allow('h');
SELECT changed FROM costsim_disable_v2('release', 'bob', name => 'h');
SELECT state FROM costsim_cb_get_state('h');
-- another one: open again, the same incident, and no permit outstanding
SELECT changed, incident_id = :'incident' AS same_incident FROM costsim_disable_v2('prices', 'bob', name => 'h');
SELECT is_open, state, reason, disabled_by FROM costsim_cb_get_state('h');
SELECT half_open_at > now() AS half_open_later, half_open_since, coalesce(cardinality(probes), 0) AS outstanding, costsim_cb_allow('h') FROM costsim_cb_state WHERE name = 'h';
SELECT from_state, to_state, cause, actor, reason FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1;
-- for good: nothing to probe
SELECT changed FROM costsim_disable_v2('prices', 'bob', permanent => true, name => 'h');
SELECT state, disabled_until FROM costsim_cb_get_state('h');
SELECT half_open_at FROM costsim_cb_state WHERE name = 'h';
SELECT count(*) AS incidents FROM costsim_incidents(true, name => 'h');
-- an end of its own is when probing begins
SELECT name FROM costsim_configure_breaker('until', half_open => true);
SELECT changed FROM costsim_disable_v2('release', 'ann', '2100-01-01 UTC', name => 'until');
SELECT half_open_at AT TIME ZONE 'UTC' AS half_open_at, disabled_until - half_open_at AS half_open_for FROM costsim_cb_state WHERE name = 'until';
SELECT changed FROM costsim_disable_v2('release', 'ann', '2100-01-01 UTC', name => 'until');
ROLLBACK;
