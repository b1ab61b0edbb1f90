-- The value object of the reference's get_state, column by column; opened_at stays where it was [B-26].
\pset null '<null>'
BEGIN;
SELECT * FROM costsim_cb_get_state();
SELECT count(*) AS tripped FROM generate_series(1, 3) nth, costsim_report_drift(0.5, nth);
SELECT opened_at AS opened FROM costsim_cb_get_state() \gset
SELECT count(*) AS tripped FROM costsim_report_drift(0.7);
SELECT g.is_open = s.disabled AS is_open, g.state, g.opened_at = :'opened' AS opened_when_it_opened, s.updated_at > g.opened_at AS changed_since,
       g.reason = s.disabled_reason AS reason, g.incident_id = s.incident_id AS incident_id, g.consecutive_failures,
       g.last_failure_at = s.last_failure_at AS last_failure_at, g.disabled_until = s.disabled_until AS disabled_until, g.disabled_by
  FROM costsim_cb_get_state() g, costsim_cb_state s;
-- [B-21] whether drift has disabled it is told by the incident
SELECT g.is_open AND i.severity = 'P1' AS is_disabled_by_drift FROM costsim_cb_get_state() g JOIN costsim_cb_incidents i ON i.id = g.incident_id;
SELECT costsim_enable_v2('ann');
SELECT is_open, state, opened_at, reason, incident_id, consecutive_failures, last_failure_at IS NOT NULL AS remembers, disabled_until, disabled_by
  FROM costsim_cb_get_state();
ROLLBACK;
