-- With half_open the TTL ends in probing, not in closing: from half_open_at on the breaker is half-open, still open for everybody who only asks
-- whether it is, and closes by itself half_open_timeout later. Until somebody writes, that is computed.
BEGIN;
SELECT half_open FROM costsim_configure_breaker('h', failure_threshold => 1, disable_ttl => '1 hour', half_open => true, half_open_timeout => '20 min');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'h');
SELECT half_open_at - opened_at AS open_for, disabled_until - half_open_at AS half_open_for, half_open_since IS NULL AS not_yet, reopenings, probes_passed
  FROM costsim_cb_state WHERE name = 'h';
SELECT state, costsim_is_open('h'), costsim_is_v2_disabled('h'), costsim_cb_allow('h') FROM costsim_cb_get_state('h');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'h';
SELECT is_open, state, opened_at IS NOT NULL AS keeps_when, reason, incident_id IS NOT NULL AS keeps_incident, disabled_by, disabled_until > now() AS has_an_end
  FROM costsim_cb_get_state('h');
SELECT costsim_is_open('h'), costsim_is_closed('h');
SELECT half_open_since IS NULL AS not_written_yet FROM costsim_cb_state WHERE name = 'h';
SELECT costsim_is_v2_disabled('h');
SELECT half_open_since = half_open_at AS half_open_since_it_was_due FROM costsim_cb_state WHERE name = 'h';
SELECT from_state, to_state, cause, actor FROM costsim_cb_events WHERE circuit_breaker_name = 'h' ORDER BY id DESC LIMIT 1;
SELECT count(*) FILTER (WHERE NOT resolved) AS unresolved, (SELECT count(*) FROM costsim_alerts WHERE resolved_at IS NULL) AS firing
  FROM costsim_cb_incidents;
-- without half_open it is closed then, and without auto_recover nothing ends by time
SELECT half_open FROM costsim_configure_breaker('plain', failure_threshold => 1, disable_ttl => '1 hour');
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'plain');
SELECT half_open_at IS NULL AS never_half_open, disabled_until - opened_at AS open_for FROM costsim_cb_state WHERE name = 'plain';
UPDATE costsim_cb_state SET auto_recover = false, half_open = false WHERE name = 'h';
SELECT count(*) FROM costsim_auto_recover();
SELECT costsim_is_open('h');
ROLLBACK;
