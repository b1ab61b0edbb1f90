-- The application's own ORM closes the breaker and loses the commit that would have resolved the incident: the next trip and the
-- next disable resolve it, end its alert, and go on.
SELECT severity FROM costsim_report_drift(0.5);
SELECT severity FROM costsim_report_drift(0.5);
SELECT severity FROM costsim_report_drift(0.5);
UPDATE costsim_cb_state SET disabled = false, disabled_by = NULL, disabled_reason = NULL, disabled_until = NULL,
       incident_id = NULL, consecutive_failures = 0 WHERE name = 'costsim_v2';
SELECT costsim_is_open();
SELECT changed FROM costsim_disable_v2('by hand', 'ann');
SELECT changed FROM costsim_disable_v2('by hand', 'ann');
SELECT severity, resolved, resolved_by FROM costsim_incidents(true) ORDER BY resolved DESC;
SELECT labels ->> 'severity' AS severity, resolved_at IS NOT NULL AS resolved FROM costsim_alerts ORDER BY 1;
-- What was asked for in the outage before does not count in this one, and neither does its beginning.
UPDATE costsim_cb_state SET disabled = false, incident_id = NULL WHERE name = 'costsim_v2';
UPDATE costsim_cb_state SET disabled = true, disabled_reason = 'by hand', disabled_until = NULL WHERE name = 'costsim_v2';
INSERT INTO costsim_cb_incidents (id, circuit_breaker_name, timestamp, reason, severity)
VALUES ('orm', 'costsim_v2', now() + interval '1 hour', 'by hand', 'P2');
SELECT opened_at > now() + interval '59 minutes' AS opened_with_its_incident FROM costsim_cb_get_state();
SELECT changed FROM costsim_disable_v2('by hand', 'ann');
SELECT costsim_enable_v2('ann');
TRUNCATE costsim_cb_state, costsim_cb_incidents, costsim_alerts;
