-- The application's ORM closes a half-open breaker and opens it again, and knows nothing of the columns for half-open: what they say is over with the
-- outage they tell of. No permit is given, and the new outage ends when its own end has come.
\pset null '<null>'
BEGIN;
SELECT name FROM costsim_configure_breaker('left', failure_threshold => 1, half_open => true, probe_permits => 3, probe_successes => 1);
SELECT count(*) AS tripped FROM costsim_report_drift(0.5, name => 'left');
UPDATE costsim_cb_state SET half_open_at = clock_timestamp() WHERE name = 'left';
SELECT costsim_cb_allow('left');
UPDATE costsim_cb_state SET disabled = false, disabled_by = NULL, disabled_reason = NULL, disabled_until = NULL, incident_id = NULL, consecutive_failures = 0 WHERE name = 'left';
UPDATE costsim_cb_incidents SET resolved = true, resolved_by = 'ops' WHERE circuit_breaker_name = 'left';
SELECT state, costsim_is_open('left'), costsim_cb_allow('left') FROM costsim_cb_get_state('left');
UPDATE costsim_cb_state SET disabled = true, disabled_by = 'ops', disabled_reason = 'by hand', disabled_until = now() + interval '1 hour' WHERE name = 'left';
SELECT state, costsim_is_open('left'), costsim_cb_allow('left'), disabled_until - now() AS disabled_for FROM costsim_cb_get_state('left');
SELECT count(*) AS tripped FROM costsim_report_drift(0.1, name => 'left');
SELECT state FROM costsim_cb_get_state('left');
-- told as it is: a breaker that another hand opens is open
SELECT from_state, to_state, cause FROM costsim_cb_events WHERE circuit_breaker_name = 'left' AND cause = 'outside' ORDER BY id;
-- with an incident of the application's own as well
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, reason, severity) VALUES ('theirs', 'left', 'by hand', 'P2');
UPDATE costsim_cb_state SET incident_id = 'theirs' WHERE name = 'left';
SELECT state, costsim_cb_allow('left') FROM costsim_cb_get_state('left');
UPDATE costsim_cb_state SET disabled_until = clock_timestamp() WHERE name = 'left';
SELECT state, costsim_is_open('left'), costsim_cb_allow('left') FROM costsim_cb_get_state('left');
SELECT * FROM costsim_auto_recover();
SELECT from_state, to_state, cause FROM costsim_cb_events WHERE circuit_breaker_name = 'left' ORDER BY id DESC LIMIT 1;
ROLLBACK;
