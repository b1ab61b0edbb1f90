-- Both write the same rows, so each sees the other's at once, inside one transaction too.
\pset null '<null>'
BEGIN;
INSERT INTO costsim_cb_state (name, disabled, consecutive_failures) VALUES ('costsim_v2', false, 2);
SELECT costsim_is_open(), consecutive_failures FROM costsim_cb_get_state();

-- the application's two failures and our one make three
SELECT reason, severity, sample_count FROM costsim_report_drift(0.3, 8);
SELECT disabled, disabled_by, disabled_reason, consecutive_failures, disabled_until - last_failure_at = '24 hours' AS for_a_day, s.incident_id = i.id AS is_linked
  FROM costsim_cb_state s, costsim_cb_incidents i;

-- the application closes it, and its incident, by itself
UPDATE costsim_cb_state SET disabled = false, disabled_by = NULL, disabled_reason = NULL, disabled_until = NULL, incident_id = NULL, consecutive_failures = 0;
UPDATE costsim_cb_incidents SET resolved = true, resolved_at = now(), resolved_by = 'ops';
SELECT costsim_is_open();
SELECT is_open, state, reason, incident_id, disabled_by FROM costsim_cb_get_state();
SELECT count(*) FROM costsim_incidents();

-- the application opens it without an incident: until it says, or without an end
UPDATE costsim_cb_state SET disabled = true, disabled_by = 'ops', disabled_reason = 'price list is wrong', disabled_until = now() + '1 hour'::interval;
SELECT costsim_is_open();
SELECT is_open, state, reason, incident_id, disabled_until - now() AS disabled_for, disabled_by FROM costsim_cb_get_state();
UPDATE costsim_cb_state SET disabled_until = now() - '1 second'::interval;
SELECT costsim_is_open();
UPDATE costsim_cb_state SET disabled_until = NULL;
SELECT costsim_is_open();
UPDATE costsim_cb_state SET disabled_until = 'infinity';
SELECT costsim_is_open(), disabled_until FROM costsim_cb_get_state();

-- the next bad report gives it the incident it lacks, in the words of whoever opened it
SELECT count(*) AS tripped FROM costsim_report_drift(0.9);
SELECT reason, severity, worst_drift_score, reports_while_open FROM costsim_incidents();
SELECT costsim_enable_v2('us');
SELECT disabled, disabled_by, disabled_reason, disabled_until, incident_id, consecutive_failures FROM costsim_cb_state;
ROLLBACK;
