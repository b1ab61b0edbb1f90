-- An outage that another hand began gets its incident with the first report or command, once, and that is told as adopted.
BEGIN;
INSERT INTO costsim_cb_state (name) VALUES ('theirs'), ('asked');
UPDATE costsim_cb_state SET disabled = true, disabled_by = 'ops', disabled_reason = 'price list is wrong' WHERE name IN ('theirs', 'asked');
-- a read gives it none, a good report neither
SELECT costsim_is_open('theirs'), costsim_is_v2_disabled('theirs');
SELECT count(*) FROM costsim_report_drift(0.1, name => 'theirs');
SELECT count(*) AS incidents FROM costsim_cb_incidents;
SELECT count(*) AS tripped FROM generate_series(1, 2) nth, costsim_report_drift(0.5, nth, NULL, 'theirs');
SELECT changed FROM costsim_disable_v2('by hand', 'ann', name => 'asked');
SELECT circuit_breaker_name, severity, reason, reports_while_open FROM costsim_cb_incidents ORDER BY 1;
SELECT circuit_breaker_name, from_state, to_state, cause, e.actor = session_user AS by_the_session, i.id = e.incident_id AS tells_the_incident
  FROM costsim_cb_events e LEFT JOIN costsim_cb_incidents i USING (circuit_breaker_name) WHERE circuit_breaker_name IN ('theirs', 'asked') ORDER BY e.circuit_breaker_name, e.id;
ROLLBACK;
